/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools_attempts_test.c - what an argument says is data wherever it goes: in programs and in requests.
 * That it is in Redis and in PostgreSQL, their tests say.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/tools_place.h"

static json_t *output_of(json_t *result)
{
	return json_object_get(result, "output");
}

static void test_program_attempts(void)
{
	struct tools_place place;

	unlink("/tmp/kolk-injected");
	MUST(tools_open(&place, "  []\n", "echo, plain",
		   "- {name: echo, parameters: [{name: text, required: true}],\n"
		   "   command: [/usr/bin/printf, '--', '.%s', '{{text}}']}\n"
		   "- {name: plain, parameters: [{name: text, required: true}],\n"
		   "   command: [/usr/bin/printf, '%s', '{{text}}', 'a{{text}}']}\n"));
	for (uint32_t i = 0; i < attempt_count; i++) {
		char bytes[200], wanted[220];
		size_t size;
		json_t *value = attempt_of(i, bytes, &size);
		json_t *answer = call(&place, "echo", json_pack("{s:O}", "text", value));
		json_t *plain = call(&place, "plain", json_pack("{s:O}", "text", value));
		bool nul = memchr(bytes, '\0', size) != NULL;
		int length = snprintf(wanted, sizeof wanted, "%.*sa%.*s", (int)size, bytes, (int)size,
				      bytes);

		if (!nul && !is_same(output_of(structured(plain)), wanted, (size_t)length) &&
		    bytes[0] != '-')
			note_attempt("plain", value), FAILED("it comes back");
		if ((nul || bytes[0] == '-') &&
		    (structured(plain) != NULL ||
		     !is_error(plain)))
			note_attempt("plain", value), FAILED("it is refused");
		snprintf(wanted, sizeof wanted, ".%.*s", (int)size, bytes);
		if (!nul && !is_same(output_of(structured(answer)), wanted, size + 1))
			note_attempt("echo", value), FAILED("it comes back");
		json_decref(plain);
		json_decref(answer);
		json_decref(value);
	}
	CHECK(access("/tmp/kolk-injected", F_OK) != 0);
	place_close(&place.place);
}

static void encode(const char *bytes, size_t size, char to[700])
{
	for (size_t i = 0; i < size; i++) {
		bool plain = strchr("-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
				    bytes[i]) != NULL && bytes[i] != '\0';

		to += sprintf(to, plain ? "%c" : "%%%02X", (unsigned char)bytes[i]);
	}
	*to = '\0';
}

/* In a query, in JSON and in a path; no request beside those that were asked for. */
static void test_http_attempts(void)
{
	struct tools_origin origin = { .mock = NULL };
	struct tools_place place;
	char pools[300];
	uint32_t asked = 0;

	MUST(tools_origin_open(&origin, pools));
	MUST(tools_open(&place, pools, "query, body, path",
		   "- {name: query, pool: web, parameters: [{name: text, required: true}],\n"
		   "   http: {path: /q, query: ['t={{text}}', 'z=1']}}\n"
		   "- {name: body, pool: web, parameters: [{name: text, required: true}],\n"
		   "   http: {path: /b, method: POST, body: '{\"t\": {{text}}, \"u\": \"{{text}}\"}'}}\n"
		   "- {name: path, pool: web, parameters: [{name: text, required: true}],\n"
		   "   http: {path: '/p/{{text}}/z'}}\n"));
	for (uint32_t i = 0; i < attempt_count; i++) {
		char bytes[200], encoded[700], line[900];
		size_t size;
		json_t *value = attempt_of(i, bytes, &size), *one, *two, *three, *got;

		encode(bytes, size, encoded);
		snprintf(line, sizeof line, "GET /q?t=%s&z=1 HTTP/1.1", encoded);
		one = call(&place, "query", json_pack("{s:O}", "text", value));
		got = json_object_get(json_object_get(structured(one), "body"), "line");
		if (!is_same(got, line, strlen(line)))
			note_attempt("query", value), FAILED("it comes back");
		asked++;
		/* The server of the test writes C strings: JSON has no NUL as it is. */
		two = call(&place, "body", json_pack("{s:O}", "text", value));
		got = json_object_get(json_object_get(structured(two), "body"), "body");
		if (json_object_size(got) != 2 || !is_same(json_object_get(got, "t"), bytes, size) ||
		    !is_same(json_object_get(got, "u"), bytes, size))
			note_attempt("body", value), FAILED("it comes back");
		asked++;
		three = call(&place, "path", json_pack("{s:O}", "text", value));
		snprintf(line, sizeof line, "GET /p/%s/z HTTP/1.1", encoded);
		got = json_object_get(json_object_get(structured(three), "body"), "line");
		asked += got != NULL;
		if (got != NULL ? !is_same(got, line, strlen(line)) :
				  strpbrk(bytes, "/\\.;") == NULL && memchr(bytes, 0, size) == NULL)
			note_attempt("path", value), FAILED("it comes back, or is refused");
		if (got != NULL && (memchr(bytes, '/', size) != NULL || memchr(bytes, '\\', size) != NULL))
			note_attempt("path", value), FAILED("it is refused");
		json_decref(one);
		json_decref(two);
		json_decref(three);
		json_decref(value);
	}
	CHECK(kolk__load_acquire(&origin.requests) == asked);
	place_close(&place.place);
	kit_mock_close(origin.mock);
}

static const struct tap_test tests[] = {
	{ "what an argument says is data: programs", test_program_attempts },
	{ "what an argument says is data: requests", test_http_attempts },
};

TAP_TESTS(tools_attempts, tests);
