/* SPDX-License-Identifier: Apache-2.0 */
/* keys_test.c - keys of tokens by URL: fetched, rotated, from a server that fails, lies or is slow. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"
#include "tests/gateway/program/signed.h"
#include "tests/kit/certs.h"

static char text[PROGRAM_TEXT];

static const char one[] = SIGNED_ONE, two[] = SIGNED_TWO;
static const char only_one[] = "{\"keys\":[" KEY_ONE "]}";
static const char only_two[] = "{\"keys\":[" KEY_TWO "]}";
static const char both[] = "{\"keys\":[" KEY_ONE "," KEY_TWO "]}";

/* ---- the server of keys */

enum { LARGE = 300 * 1024 };

struct issuer {
	struct kit_mock *mock;
	KOLK__ATOMIC(const char *) says; /* the body, or one of those below */
	kolk__atomic_u32 asked, other;   /* requests for /keys; for anything else */
};

static const char broken[] = "500", moved[] = "302", large[] = "large", silent[] = "silent";

static void say_large(struct kit_mock_conn *conn)
{
	char *body = malloc(LARGE);

	memset(body, ' ', LARGE);
	kit_mock_say(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	kit_mock_send(conn, body, LARGE);
	free(body);
}

static void play_issuer(struct kit_mock_conn *conn, void *user)
{
	struct issuer *issuer = user;
	char head[4096], answer[2048];

	while (kit_mock_read_until(conn, "\r\n\r\n", head, sizeof head, 10000)) {
		const char *says = kolk__load_acquire(&issuer->says);

		kolk__add_acq_rel(strncmp(head, "GET /keys HTTP/1.1\r\n", 20) == 0 ? &issuer->asked :
										    &issuer->other, 1);
		if (says == silent) {
			kit_mock_drain(conn, 20000);
			return;
		}
		if (says == large) {
			say_large(conn);
			return;
		}
		if (says == broken || says == moved)
			snprintf(answer, sizeof answer, "HTTP/1.1 %s No\r\nLocation: /other\r\n"
							"Content-Length: 0\r\n\r\n", says);
		else
			snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu"
							"\r\n\r\n%s", strlen(says), says);
		kit_mock_say(conn, answer);
	}
}

static bool issuer_open(struct issuer *issuer, const char *says, const struct kit_cert *cert)
{
	*issuer = (struct issuer){ .mock = NULL };
	kolk__store_release(&issuer->says, says);
	issuer->mock = kit_mock_open(&(struct kit_mock_options){ .play = play_issuer, .user = issuer,
								 .cert = cert });
	return issuer->mock != NULL || FAILED("there is a server of keys");
}

/* ---- a gateway that asks it */

#define POOLS "  - {name: up, address: \"127.0.0.1:1\", protocol: http}\n"
#define ROUTES "    - {match: {path: /}, answer: {body: in}, tenant: required}\n"

static void tenants(char lines[512], const struct issuer *issuer, const char *more)
{
	snprintf(lines, 512,
		 "  tenants: {from: jwt, issuer: i, audience: any, keys_url: \"http://%s/keys\"%s}\n",
		 kit_mock_address(issuer->mock), more);
}

static bool begin_with(struct program *program, const char *lines, const char *pools)
{
	return program_start_with(program, &(struct program_file){ .pools = pools, .routes = ROUTES,
								   .gateway = lines });
}

static bool begin(struct program *program, const struct issuer *issuer, const char *more)
{
	char lines[512];

	tenants(lines, issuer, more);
	return begin_with(program, lines, POOLS);
}

static void end(struct program *program, struct issuer *issuer)
{
	CHECK(program_stop(program, 10000));
	CHECK(kolk__load_acquire(&issuer->other) == 0); /* no redirect was followed */
	kit_mock_close(issuer->mock);
}

/* The status that this token gets; its answer is in text. */
static int ask(const struct program *program, const char *token)
{
	char request[1024];

	snprintf(request, sizeof request,
		 "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n",
		 token);
	return program_ask(program, request, text) == 0 && strlen(text) > 12 ? atoi(text + 9) : 0;
}

static bool soon(const struct program *program, const char *token, int status)
{
	int last = 0;
	bool held = WITHIN_MS(10000, (last = ask(program, token)) == status);

	if (!held)
		tap_note("the last status was %d", last);
	return held;
}

/* What is there is forgotten, so that program_says finds what comes. */
static bool says_next(struct program *program, const char *words)
{
	program->said[0] = '\0';
	return program_says(program, words);
}

/* ---- tests */

static void test_first(void)
{
	char arguments[128], pools[512];
	struct program program;
	struct issuer issuer;
	char lines[512];

	MUST(issuer_open(&issuer, broken, NULL));
	tenants(lines, &issuer, "");
	snprintf(pools, sizeof pools, POOLS "admin: {listen: \"unix:/tmp/kolk-keys-%d.sock\"}\n",
		 (int)getpid());
	snprintf(arguments, sizeof arguments, "/api/pool-status --unix-socket /tmp/kolk-keys-%d.sock",
		 (int)getpid());
	MUST(begin_with(&program, lines, pools));
	CHECK(ask(&program, one) == 503 && strstr(text, "retry-after: 1\r\n") != NULL);
	CHECK(strstr(text, "{\"error\":\"the keys of tokens are not here\",\"phase\":\"keys\","
			   "\"status\":503}\n") != NULL);
	CHECK(program_ask(&program, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", text) ==
		      0 && strstr(text, " 401 ") != NULL);
	CHECK(program_says(&program, "/keys: status 500\n"));
	CHECK(program_curl(&program, arguments, text) == 0 &&
	      strstr(text, "\"keys\":0,") != NULL && strstr(text, "\"error\":\"status 500\"") != NULL);
	kolk__store_release(&issuer.says, only_one);
	CHECK(soon(&program, one, 200) && strstr(text, "\r\n\r\nin") != NULL);
	CHECK(ask(&program, two) == 401);
	CHECK(program_says(&program, "/keys: fetched\n"));
	memcpy(arguments, "/metrics        ", 16);
	CHECK(program_curl(&program, arguments, text) == 0);
	CHECK(strstr(text, "kolk_gateway_keys{url=\"http://127.0.0.1:") != NULL &&
	      strstr(text, "/keys\",outcome=\"ok\"} 1\n") != NULL &&
	      strstr(text, "kolk_gateway_keys_unknown_total{") != NULL);
	end(&program, &issuer);
}

static void test_rotation(void)
{
	struct program program;
	struct issuer issuer;

	MUST(issuer_open(&issuer, only_one, NULL));
	MUST(begin(&program, &issuer, ", keys_refresh: 2s"));
	CHECK(soon(&program, one, 200) && ask(&program, two) == 401);
	kolk__store_release(&issuer.says, both);
	CHECK(soon(&program, two, 200) && ask(&program, one) == 200);
	kolk__store_release(&issuer.says, only_two); /* also for tokens that were read before */
	CHECK(soon(&program, one, 401) && ask(&program, two) == 200);
	end(&program, &issuer);
}

/* Tokens of keys that are not there make it fetch, once in 10 s, and one at a time. */
static void test_unknown(void)
{
	struct program program;
	struct issuer issuer;
	char token[sizeof two + 8];

	MUST(issuer_open(&issuer, only_one, NULL));
	MUST(begin(&program, &issuer, ", keys_refresh: 1h"));
	CHECK(soon(&program, one, 200));
	kolk__store_release(&issuer.says, both);
	for (int i = 0; i < 100; i++) { /* each another token of key "two" */
		snprintf(token, sizeof token, "%s", two);
		snprintf(token + strlen(token) - 4, 5, "%04u", (unsigned)i % 10000);
		CHECK(ask(&program, token) == 401);
	}
	CHECK(ask(&program, two) == 401 && kolk__load_acquire(&issuer.asked) == 1);
	CHECK(WITHIN_MS(15000, kolk__load_acquire(&issuer.asked) == 2));
	CHECK(soon(&program, two, 200) && kolk__load_acquire(&issuer.asked) == 2);
	end(&program, &issuer);
}

static void test_failures(void)
{
	static const struct {
		const char *says, *words;
	} bad[] = {
		{ broken, "/keys: status 500; those that are here stay in force\n" },
		{ moved, "/keys: status 302; those that are here stay in force\n" },
		{ large, "/keys: more than 256 KiB; those" },
		{ "<html>", "/keys: it is not JSON; those" },
		{ "{\"keys\":[]}", "/keys: no key in it is for RS256 or ES256; those" },
		{ "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}",
		  "/keys: key 1 is no key that can be used; those" },
		{ silent, "/keys: the deadline passed" },
	};
	struct program program;
	struct issuer issuer;

	MUST(issuer_open(&issuer, only_one, NULL));
	MUST(begin(&program, &issuer, ", keys_refresh: 1s"));
	CHECK(soon(&program, one, 200));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		kolk__store_release(&issuer.says, bad[i].says);
		if (!CHECK(says_next(&program, bad[i].words)))
			tap_note("waited for: %s", bad[i].words);
		CHECK(ask(&program, one) == 200);
	}
	kolk__store_release(&issuer.says, only_two);
	CHECK(soon(&program, two, 200) && ask(&program, one) == 401);
	end(&program, &issuer);
}

static void test_max_age(void)
{
	struct program program;
	struct issuer issuer;

	MUST(issuer_open(&issuer, only_one, NULL));
	MUST(begin(&program, &issuer, ", keys_refresh: 1s, keys_max_age: 3s"));
	CHECK(soon(&program, one, 200));
	kolk__store_release(&issuer.says, broken);
	CHECK(soon(&program, one, 503) && program_says(&program, "older than keys_max_age"));
	kolk__store_release(&issuer.says, only_one);
	CHECK(soon(&program, one, 200));
	end(&program, &issuer);
}

/* Its certificate is verified: by these anchors, and for this name. */
static void test_tls(void)
{
	struct kit_certs certs;
	struct kit_cert cert;
	struct program program;
	struct issuer issuer;
	char lines[512];

	MUST(CHECK(kit_certs_open(&certs)));
	MUST(kit_cert_make(&(struct kit_cert_spec){ .subject = "issuer", .ip = "127.0.0.1" },
			   &certs.authority.cert, &cert));
	MUST(issuer_open(&issuer, only_one, &cert));
	for (int trusted = 1; trusted >= 0; trusted--) {
		snprintf(lines, sizeof lines,
			 "  tenants: {from: jwt, issuer: i, audience: any, keys_ca_file: %s,\n"
			 "    keys_url: \"https://%s/keys\"}\n",
			 trusted ? certs.authority.pem : certs.other_authority.pem,
			 kit_mock_address(issuer.mock));
		MUST(begin_with(&program, lines, POOLS));
		if (trusted)
			CHECK(soon(&program, one, 200));
		else
			CHECK(program_says(&program, "(tls)\n") && ask(&program, one) == 503);
		if (trusted)
			CHECK(program_stop(&program, 10000));
	}
	CHECK(kolk__load_acquire(&issuer.asked) == 1);
	end(&program, &issuer);
	kit_certs_close(&certs);
}

/* A reload keeps the keys of a URL that stays, whatever its server says now. */
static void test_reload(void)
{
	struct program_file file = { .pools = POOLS, .routes = ROUTES };
	struct issuer issuer, other;
	struct program program;
	char lines[512];

	MUST(issuer_open(&issuer, only_one, NULL) && issuer_open(&other, only_two, NULL));
	MUST(begin(&program, &issuer, ""));
	CHECK(soon(&program, one, 200));
	kolk__store_release(&issuer.says, silent);
	tenants(lines, &issuer, ", keys_refresh: 1s");
	file.gateway = lines;
	CHECK(program_configure_with(&program, &file) && program_reload(&program));
	CHECK(ask(&program, one) == 200);
	for (int i = 0; i < 3; i++) {
		tenants(lines, i % 2 == 0 ? &other : &issuer, "");
		CHECK(program_configure_with(&program, &file) && program_reload(&program));
		CHECK(soon(&program, two, i % 2 == 0 ? 200 : 503));
	}
	CHECK(ask(&program, one) == 401);
	kit_mock_close(other.mock);
	end(&program, &issuer);
}

static const struct tap_test tests[] = {
	{ "keys by URL: before the first fetch, in status and metrics", test_first },
	{ "keys by URL: rotated", test_rotation },
	{ "keys by URL: tokens of unknown keys", test_unknown },
	{ "keys by URL: its server fails", test_failures },
	{ "keys by URL: too old", test_max_age },
	{ "keys by URL: TLS", test_tls },
	{ "keys by URL: a reload", test_reload },
};
TAP_TESTS(keys, tests);
