/* SPDX-License-Identifier: Apache-2.0 */
/* serve_head_test.c - head.c and admin.c: heads that are in doubt, and what follows a request. */
#include "tests/ops/serve_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/kit/tap.h"

/* The library reads ahead: the head of a second one could not be checked before it does. */
static void a_connection_serves_one_request(void **state)
{
	struct serve_fixture *fixture = *state;
	const struct kolk_admin_options o = serve_options(fixture);
	int fd;

	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_OK);
	assert_int_equal(serve_ask(fixture, HEALTH), 200);
	assert_non_null(strstr(fixture->answer, "Connection: close\r\n"));
	assert_int_equal(serve_ask(fixture, HEALTH HEALTH), 400);
	/* The second comes later: before the server has closed, or after. */
	fd = serve_connect(fixture);
	serve_say(fd, HEALTH);
	(void)send(fd, HEALTH, sizeof HEALTH - 1, MSG_NOSIGNAL);
	assert_true(serve_read_to_end(fixture, fd, 5000));
	close(fd);
	assert_null(strstr(fixture->answer + (fixture->answer[0] != 0), "HTTP/1.1"));
}

static void a_head_comes_byte_by_byte(void **state)
{
	static const char good[] = "POST /api/cleanup-connections HTTP/1.1\r\nHost: localhost\r\n"
				   "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
	struct serve_fixture *fixture = *state;
	const struct kolk_admin_options o = serve_options(fixture);
	int fd;

	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_OK);
	fd = serve_connect(fixture);
	for (const char *at = good; *at != 0; at++) {
		serve_say_bytes(fd, at, 1);
		(void)usleep(500);
	}
	assert_true(serve_read_to_end(fixture, fd, 5000));
	close(fd);
	assert_non_null(strstr(fixture->answer, "HTTP/1.1 200"));
	/* What is doubtful is not waited out. */
	fd = serve_connect(fixture);
	serve_say(fd, "GET /health HTTP/1.1\r\nHost : localhost\r\n");
	assert_true(serve_read_to_end(fixture, fd, 5000));
	close(fd);
	assert_non_null(strstr(fixture->answer, "HTTP/1.1 400"));
	/* The other end gives up. */
	fd = serve_connect(fixture);
	serve_say(fd, "GET /health HTTP/1.1\r\n");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_true(serve_read_to_end(fixture, fd, 5000));
	close(fd);
	assert_string_equal(fixture->answer, "");
}

static void what_is_no_http(void **state)
{
	static const char *const texts[] = {
		"\r\n\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02\x00\x01\xfc\x03\x03", "GET / HTTP/9.9\r\n\r\n",
		"GET /health HTTP/1.1\r\nContent-Length: -1\r\n" END,
		"POST /api/drain HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END "zz\r\n",
	};
	struct serve_fixture *fixture = *state;
	struct kolk_admin_options o = serve_options(fixture);
	char *huge = malloc(100001);

	o.request_timeout_ns = 300 * KOLK_MS_NS;
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_OK);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		assert_int_not_equal(serve_ask(fixture, texts[i]), 200);
	memset(huge, 'a', 100000);
	memcpy(huge, "GET /", 5);
	huge[100000] = 0;
	{
		int fd = serve_connect(fixture);

		(void)!send(fd, huge, 100000, MSG_NOSIGNAL);
		assert_true(serve_read_to_end(fixture, fd, 2000));
		assert_null(strstr(fixture->answer, "HTTP/1.1 200"));
		close(fd);
	}
	free(huge);
	assert_int_equal(serve_ask(fixture, "GET /health HTTP/1.1\r\n" END), 200);
}

/* A proxy in front may have used the other one of two headers, or another path. */
static void what_can_be_read_in_two_ways(void **state)
{
#define SECRET "Authorization: Bearer " TOKEN "\r\n"
#define EVICT "POST /api/evict HTTP/1.1\r\nContent-Type: application/json\r\n" SECRET
	static const struct {
		const char *request;
		int status;
	} cases[] = {
		{ "GET /metrics HTTP/1.1\r\n" SECRET END, 200 },
		{ "GET /metrics HTTP/1.1\r\n" SECRET "Authorization: Bearer no\r\n" END, 400 },
		{ "GET /metrics HTTP/1.1\r\nauthorization: Bearer no\r\n" SECRET END, 400 },
		{ "GET /health HTTP/1.1\r\nHost: evil.example\r\n" END, 400 },
		{ EVICT "Content-Length: 2\r\nContent-Length: 4\r\n" END "{}{}", 400 },
		{ EVICT "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n" END "2\r\n{}\r\n0\r\n\r\n", 400 },
		{ EVICT "Transfer-Encoding: gzip, chunked\r\n" END "2\r\n{}\r\n0\r\n\r\n", 400 },
		{ EVICT "Transfer-Encoding: identity\r\n" END "{}", 400 },
		{ EVICT "Origin: http://localhost\r\nOrigin: null\r\nContent-Length: 0\r\n" END, 400 },
		{ EVICT "Content-Type: text/plain\r\nContent-Length: 0\r\n" END, 400 },
		{ "GET /health%00 HTTP/1.1\r\n" END, 404 },
		{ "GET /%68ealth HTTP/1.1\r\n" END, 404 },
		{ "GET /api%2fpool-status HTTP/1.1\r\n" SECRET END, 404 },
		{ "GET /api/pool-status?keys=1&keys=2 HTTP/1.1\r\n" SECRET END, 400 },
		{ "GET /api/pool-status?k%65ys=1 HTTP/1.1\r\n" SECRET END, 200 },
	};
	struct serve_fixture *fixture = *state;

	serve_open_with_token(fixture);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(serve_ask(fixture, cases[i].request), cases[i].status);
}

static void heads_that_are_in_doubt(void **state)
{
#define CLEANUP "POST /api/cleanup-connections HTTP/1.1\r\nContent-Type: application/json\r\n" SECRET
#define HEAD(text) { text, sizeof text - 1 }
	static const struct {
		const char *bytes;
		size_t size;
	} heads[] = {
		/* names */
		HEAD(CLEANUP "Content-Length : 2\r\n" END "{}"),
		HEAD(CLEANUP "Content-Length\t: 2\r\n" END "{}"),
		HEAD(CLEANUP "Content-Length: 2\r\nX Y: z\r\n" END "{}"),
		HEAD(CLEANUP "Content-Length: 2\r\nX(Y): z\r\n" END "{}"),
		HEAD(CLEANUP "Content-Length: 2\r\nX\xc3\xa4: z\r\n" END "{}"),
		HEAD(CLEANUP "Content-Length: 2\r\n: z\r\n" END "{}"),
		HEAD(CLEANUP "Content-Length: 2\r\nno colon\r\n" END "{}"),
		/* lines */
		HEAD(CLEANUP "X: a\r\n b\r\nContent-Length: 2\r\n" END "{}"),
		HEAD(CLEANUP "X: a\r\n\tContent-Length: 4\r\nContent-Length: 2\r\n" END "{}"),
		HEAD("GET /health HTTP/1.1\r\n Host: evil.example\r\n" END),
		HEAD("GET /health HTTP/1.1\r\n\tX: y\r\n" END),
		HEAD("GET /health HTTP/1.1\r\n \r\n" END),
		HEAD("GET /health HTTP/1.1\r\nX: a\rHost: evil.example\r\n" END),
		HEAD("GET /health HTTP/1.1\rX: a\r\n" END),
		HEAD("GET /health HTTP/1.1\r\nX: a\r\r\n" END),
		HEAD("GET /health HTTP/1.1\r\nX: a\nY: b\r\n" END),
		HEAD("GET /health HTTP/1.1\nHost: localhost\n\n"),
		/* the first line */
		HEAD(" GET /health HTTP/1.1\r\n" END),
		HEAD("GET  /health HTTP/1.1\r\n" END),
		HEAD("GET\t/health HTTP/1.1\r\n" END),
		HEAD("GET /health  HTTP/1.1\r\n" END),
		HEAD("GET /health HTTP/1.1 \r\n" END),
		HEAD("GET /health HTTP/1.1 x\r\n" END),
		HEAD("GET /health http/1.1\r\n" END),
		HEAD("GET /health HTTP/1.01\r\n" END),
		HEAD("GET /he\xc3\xa4lth HTTP/1.1\r\n" END),
		HEAD("GET /health\r\n" END),
		HEAD("(GET) /health HTTP/1.1\r\n" END),
		/* bytes */
		HEAD("GET /health\0x HTTP/1.1\r\n" END),
		HEAD("GET /health HTTP/1.1\r\nX\0: y\r\n" END),
		HEAD("GET /health HTTP/1.1\r\nConnection: close\r\nHost: localhost\0evil\r\n\r\n"),
		HEAD("GET /metrics HTTP/1.1\r\nAuthorization: Bearer " TOKEN "\0x\r\n" END),
		HEAD("GET /health HTTP/1.1\r\nX: a\x1b[31m\r\n" END),
		HEAD("GET /health HTTP/1.1\r\nX: a\x7f\r\n" END),
		HEAD("\x16\x03\x01\x02\x00\x01\xfc\x03\x03"),
		/* lengths */
		HEAD(CLEANUP "Content-Length: +2\r\n" END "{}"),
		HEAD(CLEANUP "Content-Length: 0x2\r\n" END "{}"),
		HEAD(CLEANUP "Content-Length: 2, 2\r\n" END "{}"),
		HEAD(CLEANUP "Content-Length: 2 2\r\n" END "{}"),
		HEAD(CLEANUP "Content-Length:\r\n" END "{}"),
		HEAD(CLEANUP "Content-Length: 18446744073709551618\r\n" END "{}"),
		HEAD(CLEANUP "Content-Length: 2\r\n" END "{}{}"),
		HEAD(CLEANUP END "{}"),
	};
	struct serve_fixture *fixture = *state;
	struct kolk_admin_options o = serve_options(fixture);

	o.listen = "127.0.0.1:0";
	o.token = TOKEN;
	o.token_size = sizeof TOKEN - 1;
	o.request_timeout_ns = 2 * KOLK_S_NS;
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_OK);
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
		if (serve_ask_bytes(fixture, heads[i].bytes, heads[i].size) != 400)
			fail_msg("head %zu: %.40s", i, fixture->answer);
	assert_int_equal(serve_ask(fixture, CLEANUP "Content-Length:\t2\r\nX-Y_z.1: \xc3\xa4\tb\r\n" END
				    "{}"),
			 200);
}

static const struct CMUnitTest tests[] = {
	SERVE_TEST(a_connection_serves_one_request),
	SERVE_TEST(a_head_comes_byte_by_byte),
	SERVE_TEST(what_is_no_http),
	SERVE_TEST(what_can_be_read_in_two_ways),
	SERVE_TEST(heads_that_are_in_doubt),
};

CMOCKA_TESTS(serve_head, tests);
