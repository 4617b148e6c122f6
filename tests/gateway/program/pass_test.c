/* SPDX-License-Identifier: Apache-2.0 */
/* pass_test.c - what goes through the gateway: heads, bodies, trailers, other protocols. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"

static char text[PROGRAM_TEXT];

/* A gateway with all paths on one mock. */
static bool begin(struct program *program, struct kit_mock **mock, kit_mock_fn *play, void *user)
{
	char pools[256];

	*mock = kit_mock_open(&(struct kit_mock_options){ .play = play, .user = user });
	if (*mock == NULL)
		return FAILED("there is an upstream");
	snprintf(pools, sizeof pools,
		 "  - {name: up, address: \"%s\", protocol: http, limits: {idle_min: 0}}\n",
		 kit_mock_address(*mock));
	return program_start(program, pools, "    - {match: {path: /}, pool: up}\n");
}

static void end(struct program *program, struct kit_mock *mock)
{
	CHECK(program_stop(program, 15000));
	kit_mock_close(mock);
}

/* ---- heads */

struct seen {
	char head[4096];
	const char *answer;
};

static void play_seen(struct kit_mock_conn *conn, void *user)
{
	struct seen *seen = user;

	while (kit_mock_read_until(conn, "\r\n\r\n", seen->head, sizeof seen->head, 5000))
		kit_mock_say(conn, seen->answer);
}

static bool has(const char *head, const char *field)
{
	return strstr(head, field) != NULL;
}

static void test_fields(void)
{
	struct seen seen = { .answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: "
				       "timeout=9\r\nConnection: keep-alive, x-mine\r\nX-Mine: 1\r\n"
				       "X-End: 2\r\n\r\nok" };
	struct program program;
	struct kit_mock *mock;

	MUST(begin(&program, &mock, play_seen, &seen));
	CHECK(program_ask(&program,
			  "GET /a?b=%20c HTTP/1.1\r\nHost: example.org\r\n"
			  "Connection: close, x-hop, upgrade\r\nUpgrade: TLS/1.0\r\nX-Hop: 1\r\n"
			  "TE: trailers\r\nX-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n"
			  "X_Forwarded_For: 6.6.6.6\r\nTrue-Client-IP: 6.6.6.6\r\n"
			  "Forwarded: for=6.6.6.6\r\nTraceparent: 00-1-2-3\r\nX-End: 1\r\n\r\n",
			  text) == 0);
	CHECK(strncmp(seen.head, "GET /a?b=%20c HTTP/1.1\r\nhost: example.org\r\n", 43) == 0);
	CHECK(!has(seen.head, "x-hop") && !has(seen.head, "6.6.6.6") && !has(seen.head, "close"));
	CHECK(!has(seen.head, "upgrade")); /* the route does not list it */
	CHECK(has(seen.head, "\r\ntraceparent: 00-1-2-3\r\n") && has(seen.head, "\r\nx-end: 1\r\n"));
	CHECK(has(seen.head, "\r\nte: trailers\r\n"));
	CHECK(has(seen.head, "\r\nx-forwarded-for: 127.0.0.1\r\n"));
	CHECK(has(seen.head, "\r\nx-forwarded-proto: http\r\n"));
	CHECK(has(seen.head, "\r\nx-forwarded-host: example.org\r\n"));
	CHECK(has(seen.head, "\r\nforwarded: for=127.0.0.1;host=\"example.org\";proto=http\r\n"));
	CHECK(has(seen.head, "\r\nvia: 1.1 kolk-gateway\r\n"));
	CHECK(strncmp(text, "HTTP/1.1 200 OK\r\n", 17) == 0 && has(text, "\r\nx-end: 2\r\n"));
	CHECK(has(text, "\r\nvia: 1.1 kolk-gateway\r\n") && has(text, "\r\n\r\nok"));
	CHECK(!has(text, "x-mine") && !has(text, "keep-alive") && !has(text, "timeout=9"));
	CHECK(program_logged(&program, "\"client\":\"127.0.0.1\",\"status\":200,\"method\":\"GET\","
				       "\"host\":\"example.org\",\"target\":\"/a?b=%20c\","
				       "\"version\":\"1.1\",\"bytes_in\":0,\"bytes_out\":2,"));
	end(&program, mock);
}

static void test_empty_answers(void)
{
	static const struct {
		const char *request, *answer, *wanted;
	} rows[] = {
		{ "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "content-length: 1000\r\n" },
		{ "GET", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\n" },
		{ "GET", "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n", "etag: \"1\"\r\n" },
		{ "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "content-length: 0\r\n" },
	};
	struct seen seen = { .answer = "" };
	struct program program;
	struct kit_mock *mock;
	char request[128];

	MUST(begin(&program, &mock, play_seen, &seen));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		seen.answer = rows[i].answer;
		snprintf(request, sizeof request, "%s / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
			 rows[i].request);
		CHECK(program_ask(&program, request, text) == 0);
		CHECK(has(text, rows[i].wanted));
		CHECK(strcmp(text + strlen(text) - 4, "\r\n\r\n") == 0);
	}
	CHECK(kit_mock_counts(mock).accepted <= 2); /* a connection for each loop at most */
	end(&program, mock);
}

static void test_informational_and_trailers(void)
{
	struct seen seen = { .answer = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
				       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				       "3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n" };
	struct program program;
	struct kit_mock *mock;

	MUST(begin(&program, &mock, play_seen, &seen));
	CHECK(program_ask(&program, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
			  text) == 0);
	CHECK(strncmp(text, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n", 38) == 0);
	CHECK(has(text, "HTTP/1.1 200 OK\r\n") && has(text, "abc\r\n"));
	CHECK(has(text, "\r\n0\r\nx-sum: 7\r\n\r\n"));
	end(&program, mock);
}

/* ---- bodies */

static void play_body(struct kit_mock_conn *conn, void *user)
{
	char *body = user;

	if (!kit_mock_read_until(conn, "\r\n\r\n", text, sizeof text, 5000) ||
	    !kit_mock_read_until(conn, "\r\n\r\n", body, 1024, 5000))
		return;
	kit_mock_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	kit_mock_drain(conn, 5000);
}

static void test_request_trailers(void)
{
	char body[1024], answer[PROGRAM_TEXT];
	struct program program;
	struct kit_mock *mock;

	MUST(begin(&program, &mock, play_body, body));
	CHECK(program_ask(&program,
			  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: "
			  "close\r\nExpect: 100-continue\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 9\r\n\r\n",
			  answer) == 0);
	CHECK(has(text, "transfer-encoding: chunked\r\n") && has(text, "expect: 100-continue\r\n"));
	CHECK(has(body, "hello\r\n0\r\nx-sum: 9\r\n\r\n"));
	CHECK(has(answer, "HTTP/1.1 200 OK\r\n"));
	end(&program, mock);
}

enum { LARGE = 64 << 20, PIECE = 65536, HELD_MAX = 24 << 20 };
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ /* keep what is freed, shadows */
enum { RESIDENT_MAX = 65536 }; /* KiB */
#else
enum { RESIDENT_MAX = 8192 };
#endif

static void play_large(struct kit_mock_conn *conn, void *user)
{
	static char piece[PIECE];

	(void)user;
	if (!kit_mock_read_until(conn, "\r\n\r\n", piece, sizeof piece, 5000))
		return;
	kit_mock_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n");
	memset(piece, 'x', sizeof piece);
	for (size_t sent = 0; sent < LARGE; sent += PIECE)
		if (!kit_mock_send(conn, piece, PIECE))
			return;
	kit_mock_drain(conn, 5000);
}

/* A client that does not read stops the upstream; the gateway holds a bounded part. */
static void test_slow_reader(void)
{
	struct program program;
	struct kit_mock *mock;
	uint64_t before, had = 0;
	ssize_t size;
	int fd;

	MUST(begin(&program, &mock, play_large, NULL));
	before = program_resident(&program);
	fd = program_connect(&program);
	CHECK(client_send(fd, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
	usleep(500000);
	CHECK(kit_mock_counts(mock).bytes_out < HELD_MAX); /* the kernel's buffers, mostly */
	CHECK(program_resident(&program) < before + RESIDENT_MAX);
	while ((size = read(fd, text, sizeof text)) > 0)
		had += (uint64_t)size;
	CHECK(size == 0 && had > LARGE && had < LARGE + 4096);
	CHECK(program_resident(&program) < before + RESIDENT_MAX);
	close(fd);
	end(&program, mock);
}

static void play_slow_reader(struct kit_mock_conn *conn, void *user)
{
	kolk__atomic_u32 *go = user;
	char head[4096];

	if (!kit_mock_read_until(conn, "\r\n\r\n", head, sizeof head, 5000))
		return;
	while (kolk__load_acquire(go) == 0 && kit_mock_wait(conn, 1000))
		;
	if (kit_mock_read(conn, NULL, 12 << 20, 60000))
		kit_mock_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	kit_mock_drain(conn, 5000);
}

/* An upstream that does not read stops the client. */
static void test_slow_upstream(void)
{
	static char piece[PIECE];
	struct program program;
	kolk__atomic_u32 go = { 0 };
	struct kit_mock *mock;
	size_t sent = 0, left = 12 << 20;
	uint64_t before;
	ssize_t size;
	int fd;

	MUST(begin(&program, &mock, play_slow_reader, &go));
	before = program_resident(&program);
	fd = program_connect(&program);
	CHECK(client_send(fd, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
			      "Content-Length: 12582912\r\n\r\n"));
	for (int still = 0; still < 100 && sent < left; still++) {
		size = send(fd, piece, PIECE, MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += size > 0 ? (size_t)size : 0;
		still = size > 0 ? 0 : still;
		if (size <= 0)
			usleep(2000);
	}
	CHECK(program_resident(&program) < before + RESIDENT_MAX);
	kolk__store_release(&go, 1);
	while (sent < left && (size = send(fd, piece, left - sent < PIECE ? left - sent : PIECE,
					   MSG_NOSIGNAL)) > 0)
		sent += (size_t)size;
	CHECK(client_read(fd, NULL, text) && has(text, "HTTP/1.1 200 OK\r\n"));
	close(fd);
	end(&program, mock);
}

/* ---- another protocol */

static void play_websocket(struct kit_mock_conn *conn, void *user)
{
	char data[64];
	size_t size;

	(void)user;
	if (!kit_mock_read_until(conn, "\r\n\r\n", text, sizeof text, 5000))
		return;
	kit_mock_say(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: "
			   "websocket\r\nSec-WebSocket-Accept: x\r\n\r\nfirst,");
	while ((size = kit_mock_read_some(conn, data, sizeof data, 5000)) > 0) {
		kit_mock_send(conn, data, size);
		if (memchr(data, '!', size) != NULL)
			return;
	}
}

static void test_tunnel(void)
{
	static const char request[] = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
				      "Upgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";
	char answer[PROGRAM_TEXT];
	struct program program;
	struct kit_mock *mock;
	int fd;

	MUST(begin(&program, &mock, play_websocket, NULL));
	fd = program_connect(&program);
	CHECK(client_send(fd, request));
	CHECK(client_read(fd, "first,", answer));
	CHECK(has(answer, "HTTP/1.1 101 ") && has(answer, "upgrade: websocket\r\n") &&
	      has(answer, "sec-websocket-accept: x\r\n"));
	CHECK(has(text, "upgrade: websocket\r\n") && has(text, "sec-websocket-key: k\r\n"));
	CHECK(client_send(fd, "ping,") && client_read(fd, "ping,", answer));
	CHECK(client_send(fd, "end!") && client_read(fd, NULL, answer)); /* a FIN */
	CHECK(strcmp(answer, "end!") == 0);
	close(fd);
	fd = program_connect(&program);
	CHECK(client_send(fd, request) && client_read(fd, "first,", answer));
	close(fd); /* the client goes: the upstream learns of it */
	CHECK(WITHIN_MS(5000, kit_mock_counts(mock).open == 0));
	end(&program, mock);
}

enum { LAST = 1 << 20 };

/* Says much, and is gone without having read what the client says: a part of it may be lost. */
static void play_last_words(struct kit_mock_conn *conn, void *user)
{
	static char piece[LAST];

	(void)user;
	if (!kit_mock_read_until(conn, "\r\n\r\n", piece, sizeof piece, 5000))
		return;
	kit_mock_say(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: "
			   "websocket\r\n\r\nfirst,");
	kit_mock_send(conn, piece, sizeof piece);
}

/* A client that goes on to send gets all of it, or learns that it did not. */
static void test_tunnel_last_words(void)
{
	char answer[PROGRAM_TEXT];
	struct program program;
	struct kit_mock *mock;
	size_t had = 0;
	bool reset = false;
	ssize_t size;
	int fd;

	MUST(begin(&program, &mock, play_last_words, NULL));
	fd = program_connect(&program);
	CHECK(client_send(fd, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
			      "Upgrade: websocket\r\n\r\n"));
	for (int i = 0; i < 20; i++) {
		usleep(10000);
		reset |= !client_send(fd, "more,");
	}
	while ((size = recv(fd, answer, sizeof answer, 0)) > 0)
		had += (size_t)size;
	reset |= size < 0;
	CHECK(had > LAST || reset);
	tap_note("%zu bytes, then %s", had, reset ? "a reset" : "the end");
	close(fd);
	end(&program, mock);
}

static const struct tap_test tests[] = {
	{ "fields of one connection stay behind, and who asked is said", test_fields },
	{ "answers without a body", test_empty_answers },
	{ "informational answers and trailers", test_informational_and_trailers },
	{ "trailers of a request, 100 (Continue)", test_request_trailers },
	{ "a slow client stops the upstream", test_slow_reader },
	{ "a slow upstream stops the client", test_slow_upstream },
	{ "WebSocket", test_tunnel },
	{ "WebSocket: the upstream's last words", test_tunnel_last_words },
};
TAP_TESTS(pass, tests);
