/* SPDX-License-Identifier: Apache-2.0 */
/* token_test.c - a token of a client's own, and what the server says when it refuses one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cert.h"
#include "tests/kit/cmocka/run.h"

struct file {
	char path[32];
};

static void file_make(struct file *file, const char *content)
{
	int fd;

	strcpy(file->path, "/tmp/kolk-tokens-XXXXXX");
	fd = mkstemp(file->path);
	assert_true(fd >= 0);
	close(fd);
	assert_true(kit_file_write(file->path, content));
}

static enum kolk_err whoami(struct kolk_mcp_client *client, const struct kolk_http_field *field,
			    struct kolk_mcp_result *result)
{
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);

	request.method = "tools/call";
	request.params = "{\"name\":\"whoami\",\"arguments\":{}}";
	request.params_size = strlen(request.params);
	request.fields = field;
	request.field_count = field != NULL ? 1 : 0;
	return kolk_mcp_call(client, &request, result);
}

static enum kolk_err ask(struct kolk_mcp_client *client, const struct kolk_http_field *field,
			 char text[4096])
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);
	enum kolk_err err = whoami(client, field, &result);

	snprintf(text, 4096, "%u %s%s", result.status,
		 result.result != NULL ? (const char *)result.result : "",
		 result.challenge != NULL ? result.challenge : "");
	kolk_mcp_result_free(&result);
	return err;
}

/* Session and calls have it; a call may have another one; it ends the session, too. */
static void a_client_has_a_token(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND };
	const struct kolk_http_field own = { "authorization", "Bearer two" };
	struct kolk_mcp_client *client;
	struct place place;
	struct file file;
	char text[4096];

	(void)state;
	file_make(&file, "one ann\ntwo ann\nthree ann\n");
	options.server.tokens = file.path;
	place_open(&place, &options);
	client = place_client(&place, "ann", NULL);
	assert_int_equal(kolk_mcp_client_set_token(client, "a b"), KOLK_E_OPTIONS);
	assert_int_equal(kolk_mcp_client_set_token(client, "one"), KOLK_OK);
	assert_int_equal(ask(client, NULL, text), KOLK_OK);
	assert_non_null(strstr(text, "Bearer one"));
	assert_int_equal(ask(client, &own, text), KOLK_OK);
	assert_non_null(strstr(text, "Bearer two"));
	assert_int_equal(kolk_mcp_client_set_token(client, "three"), KOLK_OK);
	assert_int_equal(ask(client, NULL, text), KOLK_OK);
	assert_non_null(strstr(text, "Bearer three"));
	assert_true(kit_file_write(file.path, "three ann\n"));
	assert_int_equal(place_number(&place, MCP_N_sessions_created), 1);
	place_client_close(&place, client);
	place_close(&place); /* no session is left */
	unlink(file.path);
}

/* Of a call, and of a session that could not be made. */
static void a_refusal_has_its_challenge(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND };
	struct kolk_mcp_client *client;
	struct place place;
	struct file file;
	char text[4096];

	(void)state;
	file_make(&file, "one ann\nthree ann narrow\n");
	options.server.tokens = file.path;
	place_open(&place, &options);
	client = place_client(&place, "bob", NULL);
	assert_int_equal(ask(client, NULL, text), KOLK_E_AUTH);
	assert_memory_equal(text, "401 Bearer realm=\"fixture\"", 26);
	place_client_close(&place, client);
	client = place_client(&place, "ann", NULL);
	assert_int_equal(kolk_mcp_client_set_token(client, "one"), KOLK_OK);
	assert_int_equal(ask(client, NULL, text), KOLK_OK);
	assert_int_equal(kolk_mcp_client_set_token(client, "two"), KOLK_OK);
	assert_int_equal(ask(client, NULL, text), KOLK_E_AUTH);
	assert_memory_equal(text, "401 Bearer realm=\"fixture\"", 26);
	assert_int_equal(kolk_mcp_client_set_token(client, "three"), KOLK_OK);
	assert_int_equal(ask(client, NULL, text), KOLK_E_AUTH);
	assert_memory_equal(text, "403 Bearer error=\"insufficient_scope\"", 37);
	assert_int_equal(kolk_mcp_client_set_token(client, "one"), KOLK_OK);
	place_client_close(&place, client);
	place_close(&place);
	unlink(file.path);
}

/* Of HTTP+SSE: of the stream. */
static void a_refused_stream_has_its_challenge(void **state)
{
	struct place_options options = { .mcp.transport = KOLK_MCP_HTTP_SSE, .mcp.path = "/sse" };
	struct kolk_mcp_client *client;
	struct place place;
	struct file file;
	char text[4096];

	(void)state;
	file_make(&file, "one ann\n");
	options.server.tokens = file.path;
	place_open(&place, &options);
	client = place_client(&place, "bob", NULL);
	assert_int_equal(ask(client, NULL, text), KOLK_E_AUTH);
	assert_memory_equal(text, "401 Bearer realm=\"fixture\"", 26);
	place_client_close(&place, client);
	place_close(&place);
	unlink(file.path);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_refused_stream_has_its_challenge),
	cmocka_unit_test(a_client_has_a_token),
	cmocka_unit_test(a_refusal_has_its_challenge),
};

CMOCKA_TESTS(mcp_token, tests);
