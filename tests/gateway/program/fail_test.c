/* SPDX-License-Identifier: Apache-2.0 */
/* fail_test.c - what the gateway answers by itself, and what it says when one side fails. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"

static char text[PROGRAM_TEXT];

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static bool has(const char *wanted)
{
	bool had = strstr(text, wanted) != NULL;

	if (!had)
		tap_note("no '%s' in: %s", wanted, text);
	return had;
}

static void play(struct kit_mock_conn *conn, void *user)
{
	char head[4096];

	(void)user;
	while (kit_mock_read_until(conn, "\r\n\r\n", head, sizeof head, 10000)) {
		if (strstr(head, "GET /cut-length") != NULL) {
			kit_mock_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
			return;
		}
		if (strstr(head, "GET /cut-chunked") != NULL) {
			kit_mock_say(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
					   "4\r\nhalf\r\n");
			return;
		}
		if (strstr(head, "GET /cut") != NULL)
			return;
		if (strstr(head, "GET /nonsense") != NULL) {
			kit_mock_say(conn, "what?\r\n\r\n");
			return;
		}
		if (strstr(head, "silent") != NULL) {
			kit_mock_drain(conn, 120000);
			return;
		}
		kit_mock_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	}
}

static bool begin(struct program *program, struct kit_mock **mock)
{
	char pools[512];

	*mock = kit_mock_open(&(struct kit_mock_options){ .play = play });
	if (*mock == NULL)
		return FAILED("there is an upstream");
	snprintf(pools, sizeof pools,
		 "  - {name: up, address: \"%s\", protocol: http}\n"
		 "  - {name: one, address: \"%s\", protocol: http, limits: {connections_max: 1, "
		 "idle_min: 0, waiters_max: 1}, timeouts: {acquire: 120s}}\n"
		 "  - {name: dead, address: \"127.0.0.1:1\", protocol: http}\n",
		 kit_mock_address(*mock), kit_mock_address(*mock));
	return program_start(
		program, pools,
		"    - {match: {path: /one}, pool: one, strip_prefix: true}\n"
		"    - {match: {path: /dead}, pool: dead}\n"
		"    - {match: {path: /quick}, pool: up, strip_prefix: true, "
		"timeouts: {request: 200ms}}\n"
		"    - {match: {path: /small}, pool: up, limits: {body: 10B}}\n"
		"    - {match: {path: /cors}, pool: up, cors: {origins: [\"https://a.b\"], "
		"methods: [PUT]}}\n"
		"    - {match: {path: /fixed}, answer: {status: 201, body: hello}}\n"
		"    - {match: {path: /moved}, redirect: {status: 308, location: \"/new\"}}\n"
		"    - {match: {path: /up}, pool: up, strip_prefix: true}\n");
}

static void end(struct program *program, struct kit_mock *mock)
{
	CHECK(program_stop(program, 15000));
	kit_mock_close(mock);
}

static void test_own_answers(void)
{
	static const struct {
		const char *request, *wanted, *also;
	} rows[] = {
		{ GET("/fixed"), "HTTP/1.1 201 Created\r\n", "\r\n\r\nhello" },
		{ GET("/moved/x"), "HTTP/1.1 308 ", "location: /new\r\n" },
		{ GET("/nowhere"), "HTTP/1.1 404 ", "\"status\":404}\n" },
		{ GET("/fixedly"), "HTTP/1.1 404 ", "\"status\":404}\n" }, /* whole segments */
		{ GET("/up/../fixed"), "HTTP/1.1 400 ", "\"status\":400}\n" },
		{ GET("/up/%2E%2e"), "HTTP/1.1 400 ", "\"status\":400}\n" },
		{ GET("/up/..%2ffixed"), "HTTP/1.1 400 ", "\"status\":400}\n" },
		{ GET("//fixed"), "HTTP/1.1 400 ", "\"status\":400}\n" },
		{ GET("/up//evil.test/x"), "HTTP/1.1 400 ", "\"status\":400}\n" },
		{ GET("/up/x..y"), "HTTP/1.1 200 ", "ok" },
		{ GET("/dead"), "HTTP/1.1 502 ", "\"phase\":\"dial\",\"status\":502}\n" },
		{ GET("/up/cut"), "HTTP/1.1 502 ", "\"phase\":\"request\",\"status\":502}\n" },
		{ GET("/up/nonsense"), "HTTP/1.1 502 ", "\"status\":502}\n" },
		{ GET("/quick/silent"), "HTTP/1.1 504 ", "\"phase\":\"request\",\"status\":504}\n" },
		{ "POST /small/silent HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 11\r\n\r\n"
		  "hello world",
		  "HTTP/1.1 413 ", "\"status\":413}\n" },
		{ "POST /small/silent HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: "
		  "chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n",
		  "HTTP/1.1 413 ", "\"status\":413}\n" },
		{ "OPTIONS /cors HTTP/1.1\r\nHost: a\r\nConnection: close\r\nOrigin: https://a.b\r\n"
		  "Access-Control-Request-Method: PUT\r\n\r\n",
		  "HTTP/1.1 204 ", "access-control-allow-methods: PUT\r\n" },
		{ "GET /cors HTTP/1.1\r\nHost: a\r\nConnection: close\r\nOrigin: https://a.b\r\n\r\n",
		  "HTTP/1.1 200 ", "access-control-allow-origin: https://a.b\r\n" },
	};
	struct program program;
	struct kit_mock *mock;

	MUST(begin(&program, &mock));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		CHECK(program_ask(&program, rows[i].request, text) == 0);
		CHECK(has(rows[i].wanted) && has(rows[i].also));
	}
	CHECK(program_logged(&program, "\"pool\":\"dead\",\"error\":\"KOLK_E_CONN_REFUSED\","
				       "\"phase\":\"dial\""));
	end(&program, mock);
}

#define POST_SMALL "POST /small/silent HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

enum { CHUNKS = 30, LARGE_CHUNKS = 2000 };

/* Pieces of a body of which the first is too large, as they come: in one read, or in many. */
static bool send_chunks(int fd, int count)
{
	static char chunk[1024 + 7];
	bool sent = true;

	memset(chunk, 'x', sizeof chunk);
	memcpy(chunk, "400\r\n", 5);
	memcpy(chunk + sizeof chunk - 2, "\r\n", 2);
	for (int i = 0; i < count && sent; i++)
		sent = send(fd, chunk, sizeof chunk, MSG_NOSIGNAL) == sizeof chunk;
	return sent && client_send(fd, "0\r\n\r\n");
}

/* The answer arrives though the body goes on, and what was sent behind it is answered, too. */
static void test_large_body(void)
{
	struct program program;
	struct kit_mock *mock;
	int fd;

	MUST(begin(&program, &mock));
	for (int i = 0; i < 50; i++) {
		fd = program_connect(&program);
		CHECK(client_send(fd, POST_SMALL) && send_chunks(fd, CHUNKS));
		CHECK(client_send(fd, GET("/fixed")) && client_read(fd, NULL, text));
		CHECK(has("HTTP/1.1 413 ") && has("HTTP/1.1 201 ") && has("\r\n\r\nhello"));
		close(fd);
	}
	end(&program, mock);
}

/* One that never ends: the connection does, behind the answer (RFC 9112, section 9.6). */
static void test_endless_body(void)
{
	struct program program;
	struct kit_mock *mock;
	int fd;

	MUST(begin(&program, &mock));
	for (int i = 0; i < 10; i++) {
		fd = program_connect(&program);
		CHECK(client_send(fd, POST_SMALL));
		(void)send_chunks(fd, LARGE_CHUNKS);
		CHECK(client_read(fd, "\"status\":413}\n", text));
		CHECK(has("HTTP/1.1 413 "));
		close(fd);
	}
	end(&program, mock);
}

static bool text_has_bytes(const char *wanted, size_t size, size_t had)
{
	for (size_t i = 0; i + size <= had; i++)
		if (memcmp(text + i, wanted, size) == 0)
			return true;
	return false;
}

/* HTTP/2: the answer is whole, and the stream ends without an error (RFC 9113, section 8.1). */
static void test_large_body_http2(void)
{
	static const char head[] =
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0" /* SETTINGS */
		"\0\0\32\1\4\0\0\0\1" /* HEADERS: POST, http, :path, :authority */
		"\203\206\4\15/small/silent\1\7a.local";
	static const char pieces[4][9 + 100] = { /* DATA */
		"\0\0\144\0\0\0\0\0\1", "\0\0\144\0\0\0\0\0\1",
		"\0\0\144\0\0\0\0\0\1", "\0\0\144\0\0\0\0\0\1"
	};
	static const char reset[] = "\0\0\4\3\0\0\0\0\1\0\0\0\0", /* RST_STREAM, NO_ERROR */
			  body[] = "\"status\":413}\n";
	struct program program;
	struct kit_mock *mock;
	size_t had = 0;
	ssize_t size;
	int fd;

	MUST(begin(&program, &mock));
	fd = program_connect(&program);
	CHECK(send(fd, head, sizeof head - 1, MSG_NOSIGNAL) == sizeof head - 1);
	CHECK(WITHIN_MS(5000, kit_mock_counts(mock).bytes_in > 0)); /* the body is wanted */
	CHECK(send(fd, pieces, sizeof pieces, MSG_NOSIGNAL) == sizeof pieces);
	while (!text_has_bytes(reset, sizeof reset - 1, had) &&
	       (size = recv(fd, text + had, sizeof text - had, 0)) > 0)
		had += (size_t)size;
	CHECK(text_has_bytes(reset, sizeof reset - 1, had));
	CHECK(text_has_bytes(body, sizeof body - 1, had));
	close(fd);
	end(&program, mock);
}

/* Half an answer is never taken for a whole one. */
static void test_half_answers(void)
{
	struct program program;
	struct kit_mock *mock;

	MUST(begin(&program, &mock));
	CHECK(program_ask(&program, GET("/up/cut-length"), text) == ECONNRESET);
	CHECK(program_ask(&program, GET("/up/cut-chunked"), text) == ECONNRESET);
	CHECK(strstr(text, "0\r\n\r\n") == NULL);
	CHECK(program_curl(&program, "/up/cut-length --http2-prior-knowledge", text) == 92);
	CHECK(program_curl(&program, "/up/cut-chunked --http2-prior-knowledge", text) == 92);
	end(&program, mock);
}

/* Connections on which an answer has come. */
static int answered(const int fds[8])
{
	char byte;
	int count = 0;

	for (int i = 0; i < 8; i++)
		count += recv(fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
	return count;
}

static void test_full(void)
{
	struct program program;
	struct kit_mock *mock;
	int fds[8];

	MUST(begin(&program, &mock));
	for (int i = 0; i < 8; i++) {
		fds[i] = program_connect(&program);
		CHECK(client_send(fds[i], GET("/one/silent")));
		/* It has the connection: until then it would be the one that waits. */
		CHECK(i > 0 || WITHIN_MS(5000, kit_mock_counts(mock).bytes_in > 0));
	}
	CHECK(kit_mock_counts(mock).open == 1);
	/* one has the connection, one waits, the others were refused */
	CHECK(WITHIN_MS(5000, answered(fds) == 6));
	CHECK(program_ask(&program, GET("/one/silent"), text) == 0);
	CHECK(has("HTTP/1.1 503 ") && has("retry-after: ") && has("\"phase\":\"acquire\""));
	for (int i = 0; i < 8; i++)
		close(fds[i]); /* who is gone frees the upstream's connection */
	CHECK(WITHIN_MS(5000, kit_mock_counts(mock).open == 0));
	CHECK(program_logged(&program, "\"status\":0,"));
	end(&program, mock);
}

/* ---- who asks */

/* A file with the SHA-256 of "alice"; path has 40 bytes. */
static bool tokens_put(char *path)
{
	static const char line[] =
		"alice 2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90\n";
	int fd = mkstemp(strcpy(path, "/tmp/kolk-tokens-XXXXXX"));
	bool ok = fd >= 0 && write(fd, line, sizeof line - 1) == sizeof line - 1;

	close(fd);
	return ok;
}

static void test_who_asks(void)
{
	static const struct {
		const char *request, *wanted, *also;
	} rows[] = {
		{ GET("/fixed"), "HTTP/1.1 201 ", "hello" },
		{ GET("/moved"), "HTTP/1.1 308 ", "" },
		{ GET("/open/x"), "HTTP/1.1 200 ", "ok" },
		{ GET("/own"), "HTTP/1.1 401 ", "\"error\":\"there is no bearer token, or not a good one\"" },
		{ GET("/up/x"), "HTTP/1.1 401 ", "www-authenticate: Bearer\r\n" },
		{ "GET /up/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer bob\r\n"
		  "\r\n", "HTTP/1.1 401 ", "there is no bearer token, or not a good one" },
		{ "GET /up/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer alice\r\n"
		  "\r\n", "HTTP/1.1 200 ", "ok" },
		{ GET("/nowhere"), "HTTP/1.1 404 ", "" },
	};
	struct kit_mock *mock = kit_mock_open(&(struct kit_mock_options){ .play = play });
	char pools[256], routes[1024], path[40];
	struct program program;

	MUST(mock != NULL && tokens_put(path));
	snprintf(pools, sizeof pools, "  - {name: up, address: \"%s\", protocol: http}\n",
		 kit_mock_address(mock));
	snprintf(routes, sizeof routes,
		 "    - {match: {path: /fixed}, answer: {status: 201, body: hello}}\n"
		 "    - {match: {path: /moved}, redirect: {status: 308, location: \"/new\"}}\n"
		 "    - {match: {path: /own}, answer: {body: hello}, tenant: required}\n"
		 "    - {match: {path: /open}, pool: up, tenant: none}\n"
		 "    - {match: {path: /up}, pool: up}\n"
		 "  tenants: {from: bearer, file: %s}\n", path);
	MUST(program_start(&program, pools, routes));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		CHECK(program_ask(&program, rows[i].request, text) == 0);
		CHECK(has(rows[i].wanted) && has(rows[i].also));
	}
	CHECK(program_logged(&program, "\"tenant\":\"alice\""));
	unlink(path);
	end(&program, mock);
}

static void play_heads(struct kit_mock_conn *conn, void *user)
{
	while (kit_mock_read_until(conn, "\r\n\r\n", user, 4096, 5000))
		kit_mock_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

/* The field that a trusted proxy alone may set: without one the request has no tenant, whatever route
 * it takes. */
static void test_field_of_nobody(void)
{
	static const char form[] = "GET %s HTTP/1.1\r\nHost: a\r\nX-Tenant: mallory\r\n"
				   "Connection: close\r\n\r\n";
	char pools[256], request[256], head[4096] = "";
	struct program program;
	struct kit_mock *mock = kit_mock_open(
		&(struct kit_mock_options){ .play = play_heads, .user = head });

	MUST(mock != NULL);
	snprintf(pools, sizeof pools, "  - {name: up, address: \"%s\", protocol: http}\n",
		 kit_mock_address(mock));
	MUST(program_start(&program, pools,
			   "    - {match: {path: /open}, pool: up, tenant: none}\n"
			   "    - {match: {path: /up}, pool: up}\n"
			   "  trusted_proxies: [192.0.2.1]\n"
			   "  tenants: {from: header, header: x-tenant}\n"));
	snprintf(request, sizeof request, form, "/up");
	CHECK(program_ask(&program, request, text) == 0 && has("HTTP/1.1 403 "));
	CHECK(strstr(text, "www-authenticate") == NULL);
	snprintf(request, sizeof request, form, "/open");
	CHECK(program_ask(&program, request, text) == 0 && has("HTTP/1.1 200 "));
	CHECK(strstr(head, "GET /open ") != NULL && strstr(head, "mallory") == NULL);
	end(&program, mock);
}

/* ---- descriptors */

/* Clock ticks of the processor that it has used. */
static unsigned long ticks(const struct program *program)
{
	unsigned long user = 0, system = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)program->pid);
	file = fopen(path, "r");
	CHECK(file != NULL && fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
					   "%lu %lu", &user, &system) == 2);
	if (file != NULL)
		fclose(file);
	return user + system;
}

static bool asks(int fd, const char *path, const char *until, const char *wanted)
{
	char request[128];

	snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
	return client_send(fd, request) && client_read(fd, until, text) && has(wanted);
}

/* A client that waits in the kernel's queue, and one whose request needs a dial. */
static void test_no_descriptors(void)
{
	struct program program;
	struct kit_mock *mock;
	struct rlimit limit, none;
	unsigned long before;
	int fd, late;

	MUST(begin(&program, &mock));
	fd = program_connect(&program);
	CHECK(asks(fd, "/moved", "\r\n\r\n", "HTTP/1.1 308 "));
	MUST(prlimit(program.pid, RLIMIT_NOFILE, NULL, &limit) == 0);
	none = (struct rlimit){ 3, limit.rlim_max };
	CHECK(prlimit(program.pid, RLIMIT_NOFILE, &none, NULL) == 0);
	late = program_connect(&program);
	CHECK(client_send(late, GET("/up/x")));
	CHECK(asks(fd, "/up/x", "}\n", "HTTP/1.1 503 ") &&
	      has("{\"error\":\"out of file descriptors\",\"phase\":\"dial\""));
	before = ticks(&program);
	usleep(500000);
	CHECK(ticks(&program) - before < (unsigned long)sysconf(_SC_CLK_TCK) / 4);
	CHECK(asks(fd, "/moved", "\r\n\r\n", "HTTP/1.1 308 "));
	CHECK(prlimit(program.pid, RLIMIT_NOFILE, &limit, NULL) == 0);
	CHECK(client_read(late, NULL, text) && has("HTTP/1.1 200 OK\r\n"));
	CHECK(asks(fd, "/up/x", "\r\n\r\nok", "HTTP/1.1 200 OK\r\n"));
	close(fd);
	close(late);
	end(&program, mock);
}

static const struct tap_test tests[] = {
	{ "the gateway's own answers", test_own_answers },
	{ "who asks is asked where it matters", test_who_asks },
	{ "a tenant's field that anyone could set goes no further", test_field_of_nobody },
	{ "a body that is too large and goes on", test_large_body },
	{ "a body that is too large and does not end", test_endless_body },
	{ "a body that is too large over HTTP/2", test_large_body_http2 },
	{ "an upstream that goes in its answer resets the client", test_half_answers },
	{ "a full pool; clients that go", test_full },
	{ "out of descriptors, and back", test_no_descriptors },
};
TAP_TESTS(fail, tests);
