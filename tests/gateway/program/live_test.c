/* SPDX-License-Identifier: Apache-2.0 */
/* live_test.c - a gateway that is reloaded, drained, and asked over both protocols on both sides. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"
#include "tests/kit/control.h"
#include "tests/kit/peers.h"

static char text[PROGRAM_TEXT];

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static void play(struct kit_mock_conn *conn, void *user)
{
	char head[4096];

	(void)user;
	while (kit_mock_read_until(conn, "\r\n\r\n", head, sizeof head, 10000)) {
		if (strstr(head, "GET /slow") != NULL)
			kit_mock_wait(conn, 500000);
		kit_mock_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	}
}

static void pool_line(char line[128], const char *name, const struct kit_mock *mock)
{
	snprintf(line, 128, "  - {name: %s, address: \"%s\", protocol: http}\n", name,
		 kit_mock_address(mock));
}

/* ---- the end */

static void test_drain(void)
{
	struct kit_mock *mock = kit_mock_open(&(struct kit_mock_options){ .play = play });
	struct program program;
	char pools[128];
	int slow, idle;

	MUST(mock != NULL);
	pool_line(pools, "up", mock);
	MUST(program_start(&program, pools, "    - {match: {path: /}, pool: up}\n"));
	slow = program_connect(&program);
	idle = program_connect(&program);
	CHECK(client_send(idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") &&
	      client_read(idle, "\r\n\r\nok", text));
	CHECK(client_send(slow, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"));
	CHECK(WITHIN_MS(5000, kit_mock_counts(mock).bytes_in > 300));
	kill(program.pid, SIGTERM);
	CHECK(client_read(idle, NULL, text) && text[0] == '\0');
	CHECK(client_read(slow, NULL, text)); /* its answer, and the end */
	CHECK(strstr(text, "connection: close\r\n") != NULL && strstr(text, "\r\n\r\nok") != NULL);
	CHECK(!program_says(&program, "broken off")); /* to the end of the program */
	CHECK(program_stop(&program, 10000));
	close(slow);
	close(idle);
	kit_mock_close(mock);
}

/* Requests, answers and tunnels that do not end by themselves: neither side reads. */
static void play_stuck(struct kit_mock_conn *conn, void *user)
{
	static const char piece[65536];
	static const char windows[] = /* of HTTP/2: as large as can be */
		"\0\0\6\4\0\0\0\0\0\0\4\177\377\377\377" /* SETTINGS */
		"\0\0\4\10\0\0\0\0\0\177\377\0\0"; /* WINDOW_UPDATE */
	char head[4096];

	(void)user;
	if (!kit_mock_read_until(conn, "\r\n\r\n", head, sizeof head, 10000))
		return;
	if (strstr(head, "PRI * HTTP/2.0") != NULL)
		kit_mock_send(conn, windows, sizeof windows - 1);
	if (strstr(head, "GET /tunnel") != NULL)
		kit_mock_say(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
				   "Upgrade: websocket\r\n\r\n");
	if (strstr(head, "GET /large") != NULL) {
		kit_mock_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
		while (kit_mock_send(conn, piece, sizeof piece))
			;
	}
	kit_mock_wait(conn, 30000000);
}

/* As much as fits. */
static void fill(int fd)
{
	static const char piece[65536];

	for (int still = 0; still < 50; still++) {
		if (send(fd, piece, sizeof piece, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			still = 0;
		else
			usleep(2000);
	}
}

enum { STUCK = 6 };

static void begin_stuck(const struct program *program, struct kit_mock *mock, int fds[STUCK])
{
	static const char *const requests[STUCK] = {
		"GET /silent HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"POST /silent HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n",
		"POST /h2 HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n",
	};

	for (int i = 0; i < STUCK; i++) {
		fds[i] = program_connect(program);
		CHECK(client_send(fds[i], requests[i]));
	}
	CHECK(client_read(fds[2], "\r\n\r\n", text) && client_read(fds[3], "\r\n\r\n", text));
	for (int i = 3; i < STUCK; i++)
		fill(fds[i]);
	CHECK(WITHIN_MS(5000, kit_mock_counts(mock).accepted >= STUCK));
}

static bool start_stuck(struct program *program, const struct kit_mock *mock, const char *timeout)
{
	char pools[256], routes[256];

	snprintf(pools, sizeof pools, "  - {name: up, address: \"%s\", protocol: http}\n"
		 "  - {name: h2, address: \"%s\", protocol: http, http: {version: 2}}\n",
		 kit_mock_address(mock), kit_mock_address(mock));
	snprintf(routes, sizeof routes, "    - {match: {path: /h2}, pool: h2}\n"
		 "    - {match: {path: /}, pool: up}\n  drain_timeout: %s\n", timeout);
	return program_start(program, pools, routes);
}

/* What is broken off is said: of these two are tunnels. */
static void test_broken_off(void)
{
	struct kit_mock *mock = kit_mock_open(&(struct kit_mock_options){ .play = play_stuck });
	struct program program;
	int fds[STUCK];

	MUST(mock != NULL);
	MUST(start_stuck(&program, mock, "1s"));
	begin_stuck(&program, mock, fds);
	kill(program.pid, SIGTERM);
	CHECK(program_says(&program, "kolk-gateway: broken off after ") &&
	      program_says(&program, " s: requests 4, streams 2, sessions 0\n"));
	(void)program_stop(&program, 60000); /* as in end_in_time */
	for (int i = 0; i < STUCK; i++)
		close(fds[i]);
	kit_mock_close(mock);
}

/* SIGTERM; how long the end took. */
static void end_in_time(const char *timeout, int ms)
{
	struct kit_mock *mock = kit_mock_open(&(struct kit_mock_options){ .play = play_stuck });
	struct program program;
	struct kit_control control;
	int fds[STUCK], took_ms, wall_ms;
	uint64_t begin_ms;
	bool stopped;

	MUST(mock != NULL);
	MUST(start_stuck(&program, mock, timeout));
	begin_stuck(&program, mock, fds);
	kit_control_begin(&control);
	begin_ms = tap_now_ms();
	stopped = program_stop(&program, 60000);
	wall_ms = (int)(tap_now_ms() - begin_ms);
	took_ms = (int)kit_control_end(&control);
	tap_note("drain_timeout: %s took %d ms", timeout, took_ms);
	CHECK(took_ms <= ms);
	/* It keeps to the time, and then some connections are open, where other load takes it. */
	CHECK(stopped || (program.status == 1 && wall_ms - took_ms > ms / 5));
	for (int i = 0; i < STUCK; i++)
		close(fds[i]);
	kit_mock_close(mock);
}

static void test_end_at_once(void)
{
	end_in_time("none", 1000);
}

static void test_end_in_time(void)
{
	end_in_time("2s", 2000);
}

/* ---- reloads */

static void test_reload(void)
{
	struct kit_mock *mock = kit_mock_open(&(struct kit_mock_options){ .play = play });
	struct program program;
	char pools[128];

	MUST(mock != NULL);
	pool_line(pools, "up", mock);
	MUST(program_start(&program, pools, "    - {match: {path: /a}, pool: up}\n"));
	CHECK(program_ask(&program, GET("/b"), text) == 0 && strstr(text, " 404 ") != NULL);
	CHECK(program_configure(&program, pools, "    - {match: {path: /b}, pool: up}\n"));
	CHECK(program_reload(&program));
	CHECK(program_ask(&program, GET("/a"), text) == 0 && strstr(text, " 404 ") != NULL);
	CHECK(program_ask(&program, GET("/b"), text) == 0 && strstr(text, " 200 ") != NULL);
	CHECK(program_configure(&program, pools, "    - {match: {path: /a}, pool: none}\n"));
	CHECK(!program_reload(&program)); /* nothing changed */
	CHECK(program_ask(&program, GET("/b"), text) == 0 && strstr(text, " 200 ") != NULL);
	CHECK(program_stop(&program, 10000));
	kit_mock_close(mock);
}

/* Options that stay until the end are said to stay, by each reload. */
static void test_options_that_stay(void)
{
	static const char pools[] = "  - {name: up, address: \"127.0.0.1:1\", protocol: http}\n";
	static const char routes[] = "    - {match: {path: /}, pool: up}\n";
	struct program program;

	MUST(program_start(&program, pools, routes));
	program.listener = ", proxy_protocol: true";
	CHECK(program_configure(&program, pools, routes));
	for (int i = 0; i < 2; i++) {
		CHECK(program_reload(&program));
		CHECK(strstr(program.said, "1 route is in force; after a restart: proxy_protocol of "
					   "listen 1\n") != NULL);
	}
	CHECK(program_ask(&program, GET("/"), text) == 0 && strstr(text, " 502 ") != NULL);
	program.listener = NULL;
	CHECK(program_configure(&program, pools, routes));
	CHECK(program_reload(&program) && strstr(program.said, "after a restart") == NULL);
	CHECK(program_stop(&program, 10000));
}

/* A client that has used up a route's requests still has after a reload, wherever the route stands then. */
static void test_limits_outlive_a_reload(void)
{
	static const char limited[] = "    - {match: {path: /a}, answer: {body: hello}, limits: "
				      "{requests_per_second: 1, burst: 30}}\n";
	struct program program;
	char routes[512];
	int passed = 0;

	MUST(program_start(&program, "  - {name: up, address: \"127.0.0.1:1\", protocol: http}\n",
			   limited));
	for (int i = 0; i < 30; i++)
		CHECK(program_ask(&program, GET("/a"), text) == 0 && strstr(text, " 200 ") != NULL);
	snprintf(routes, sizeof routes, "    - {match: {path: /z}, pool: up}\n%s", limited);
	CHECK(program_configure(&program, "  - {name: up, address: \"127.0.0.1:1\", protocol: http}\n",
				routes));
	CHECK(program_reload(&program));
	for (int i = 0; i < 30; i++) {
		CHECK(program_ask(&program, GET("/a"), text) == 0);
		passed += strstr(text, " 200 ") != NULL;
	}
	CHECK(passed < 20); /* one more each second */
	CHECK(program_stop(&program, 10000));
}

/* ---- both protocols on both sides */

static void ask_both_ways(struct program *program, const char *front, const char *path)
{
	char arguments[256];

	snprintf(arguments, sizeof arguments, "%s/small %s -w ' %%{http_code}'", path, front);
	CHECK(program_curl(program, arguments, text) == 0);
	CHECK(strncmp(text, "small", 5) == 0 && strstr(text, " 200") != NULL);
	snprintf(arguments, sizeof arguments,
		 "%s/bytes/10000000 %s -o /dev/null -w '%%{size_download} %%{http_code}'", path,
		 front);
	CHECK(program_curl(program, arguments, text) == 0);
	CHECK(strcmp(text, "10000000 200") == 0);
	snprintf(arguments, sizeof arguments,
		 "%s/sink %s --data-binary @%s/body -H 'Expect:' -w ' %%{http_code}'", path, front,
		 program->directory);
	CHECK(program_curl(program, arguments, text) == 0);
	CHECK(strncmp(text, "3000000", 7) == 0);
	snprintf(arguments, sizeof arguments, "%s/small %s -I -w ' %%{http_code}'", path, front);
	CHECK(program_curl(program, arguments, text) == 0);
	CHECK(strstr(text, "content-length: 6\r\n") != NULL && strstr(text, " 200") != NULL);
}

static void test_both_protocols(void)
{
	struct kit_peer *nginx = kit_nginx_start(&(struct kit_nginx_options){ .http2 = true });
	struct program program;
	char pools[512], command[128];

	if (nginx == NULL)
		return;
	snprintf(pools, sizeof pools,
		 "  - {name: h1, address: \"%s\", protocol: http}\n"
		 "  - {name: h2, address: \"%s\", protocol: http, http: {version: 2}}\n",
		 nginx->address, nginx->h2c_address);
	MUST(program_start(&program, pools,
			   "    - {match: {path: /h1}, pool: h1, strip_prefix: true}\n"
			   "    - {match: {path: /h2}, pool: h2, strip_prefix: true}\n"));
	snprintf(command, sizeof command, "head -c 3000000 /dev/zero >%s/body", program.directory);
	CHECK(system(command) == 0);
	ask_both_ways(&program, "--http1.1", "/h1");
	ask_both_ways(&program, "--http1.1", "/h2");
	ask_both_ways(&program, "--http2-prior-knowledge", "/h1");
	ask_both_ways(&program, "--http2-prior-knowledge", "/h2");
	CHECK(program_stop(&program, 10000));
	kit_peer_close(nginx);
}

/* Two gateways, HTTP/2 between them: as gRPC, a length that is not known, and trailers. */
static void play_trailers(struct kit_mock_conn *conn, void *user)
{
	char *request = user;

	while (kit_mock_read_until(conn, "\r\n0\r\nx-grpc: 1\r\n\r\n", request, 4096, 10000))
		kit_mock_say(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				   "5\r\nhello\r\n0\r\nGRPC-Status: 0\r\n\r\n");
}

static void test_trailers(void)
{
	char pools[128], request[4096] = "";
	struct kit_mock *mock = kit_mock_open(
		&(struct kit_mock_options){ .play = play_trailers, .user = request });
	struct program inner, outer;

	MUST(mock != NULL);
	pool_line(pools, "up", mock);
	MUST(program_start(&inner, pools, "    - {match: {path: /}, pool: up}\n"));
	snprintf(pools, sizeof pools, "  - {name: in, address: \"127.0.0.1:%u\", protocol: http, "
		 "http: {version: 2}}\n", inner.port);
	MUST(program_start(&outer, pools, "    - {match: {path: /}, pool: in}\n"));
	CHECK(program_ask(&outer,
			  "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close, te\r\n"
			  "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-GRPC: 1\r\n\r\n",
			  text) == 0);
	CHECK(strstr(request, "\r\nte: trailers\r\n") != NULL && strstr(request, "2\r\nhi") != NULL);
	CHECK(strstr(request, "\r\nx-forwarded-for: 127.0.0.1\r\n") != NULL);
	CHECK(strstr(request, "\r\nvia: 1.1 kolk-gateway\r\n") != NULL &&
	      strstr(request, "\r\nvia: 2 kolk-gateway\r\n") != NULL);
	CHECK(strstr(text, "hello\r\n0\r\ngrpc-status: 0\r\n\r\n") != NULL);
	CHECK(program_stop(&outer, 10000));
	CHECK(program_stop(&inner, 10000));
	kit_mock_close(mock);
}

static const struct tap_test tests[] = {
	{ "SIGTERM: answers under way are finished", test_drain },
	{ "SIGTERM: drain_timeout bounds all of the end", test_end_in_time },
	{ "SIGTERM: drain_timeout none", test_end_at_once },
	{ "SIGTERM: what is broken off is said", test_broken_off },
	{ "SIGHUP: other routes, or none where the file is wrong", test_reload },
	{ "options that a reload does not change", test_options_that_stay },
	{ "limits of requests outlive a reload", test_limits_outlive_a_reload },
	{ "HTTP/1.1 and HTTP/2 on both sides", test_both_protocols },
	{ "trailers both ways over HTTP/2", test_trailers },
};
TAP_TESTS(live, tests);
