/* SPDX-License-Identifier: Apache-2.0 */
/* status_test.c - what the admin server says of requests that were made: status and metrics. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"

static char text[PROGRAM_TEXT];

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#define POST(path, size, body)                                                             \
	"POST " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: " size      \
	"\r\n\r\n" body

static void play(struct kit_mock_conn *conn, void *user)
{
	char head[4096];

	(void)user;
	while (kit_mock_read_until(conn, "\r\n\r\n", head, sizeof head, 10000)) {
		if (strstr(head, "GET /cut") != NULL) {
			kit_mock_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
			return;
		}
		if (strstr(head, "GET /silent") != NULL) {
			kit_mock_drain(conn, 10000);
			return;
		}
		if (strstr(head, "GET /locked") != NULL)
			kit_mock_say(conn, "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n");
		else
			kit_mock_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	}
}

struct watched {
	struct program program;
	struct kit_mock *mock;
	char socket[64]; /* of the admin server */
	char pools[512];
};

static const char routes[] =
	"    - {match: {path: /api}, pool: up}\n"
	"    - {match: {path: /cut}, pool: up}\n"
	"    - {match: {path: /silent}, pool: up}\n"
	"    - {match: {path: /dead}, pool: dead}\n"
	"    - {match: {path: /small}, pool: up, limits: {body: 10B}}\n"
	"    - {match: {path: /rare, host: a, methods: [GET]}, answer: {status: 204},\n"
	"       limits: {requests_per_second: 1, burst: 1}}\n"
	"    - {match: {path: /moved}, redirect: {location: /api}}\n";

static bool begin(struct watched *w, const char *rest)
{
	snprintf(w->socket, sizeof w->socket, "/tmp/kolk-gateway-status-%d.sock", (int)getpid());
	w->mock = kit_mock_open(&(struct kit_mock_options){ .play = play });
	if (w->mock == NULL)
		return FAILED("there is an upstream");
	snprintf(w->pools, sizeof w->pools,
		 "  - {name: up, address: \"%s\", protocol: http}\n"
		 "  - {name: dead, address: \"127.0.0.1:1\", protocol: http}\n"
		 "admin: {listen: \"unix:%s\"}\n",
		 kit_mock_address(w->mock), w->socket);
	return program_start(&w->program, w->pools, rest);
}

/* Whether the admin server says so at this path, soon. */
static bool says(const struct watched *w, const char *path, const char *wanted)
{
	return program_admin_says(&w->program, w->socket, path, wanted, text);
}

#define STATUS(wanted) says(w, "/api/pool-status", wanted)
#define METRIC(wanted) says(w, "/metrics", "\nkolk_gateway_" wanted "\n")

static bool answers(const struct watched *w, const char *request, const char *status)
{
	program_ask(&w->program, request, text);
	return strncmp(text, "HTTP/1.1 ", 9) == 0 && strncmp(text + 9, status, 3) == 0;
}

/* One whose client is there, and goes. */
static void ask_and_go(const struct watched *w)
{
	int fd = program_connect(&w->program);

	CHECK(client_send(fd, GET("/silent")));
	CHECK(STATUS("\"name\":\"/silent\",\"inFlight\":1,\"requests\":0,"));
	CHECK(METRIC("in_flight{route=\"/silent\"} 1"));
	close(fd);
}

static void ask_all(const struct watched *w)
{
	for (int i = 0; i < 3; i++)
		CHECK(answers(w, GET("/api"), "200"));
	CHECK(answers(w, POST("/api", "5", "hello"), "200"));
	CHECK(answers(w, GET("/cut"), "200"));
	CHECK(answers(w, GET("/dead"), "502"));
	CHECK(answers(w, POST("/small", "11", ""), "413"));
	CHECK(answers(w, GET("/rare"), "204"));
	CHECK(answers(w, GET("/rare"), "429"));
	CHECK(answers(w, GET("/moved"), "302"));
	CHECK(answers(w, GET("/nowhere"), "404"));
	CHECK(answers(w, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"));
	ask_and_go(w);
}

#define API                                                                                \
	"{\"name\":\"/api\",\"inFlight\":0,\"requests\":4,\"outcomes\":{\"1xx\":0,"               \
	"\"2xx\":4,\"3xx\":0,\"4xx\":0,\"5xx\":0,\"client_gone\":0,\"broken\":0},"               \
	"\"refused\":{\"tenant\":0,\"rate\":0,\"body\":0},\"bytesIn\":5,\"bytesOut\":8,"          \
	"\"latency\":{\"count\":4,\"meanNs\":"

static void expect_numbers(const struct watched *w)
{
	CHECK(STATUS("\"program\":{\"name\":\"kolk-gateway\",\"routes\":[{\"name\":"));
	CHECK(STATUS(API));
	CHECK(METRIC("requests_total{route=\"/api\",outcome=\"2xx\"} 4"));
	CHECK(METRIC("received_bytes_total{route=\"/api\"} 5"));
	CHECK(METRIC("sent_bytes_total{route=\"/api\"} 8"));
	CHECK(METRIC("request_seconds_count{route=\"/api\"} 4"));
	CHECK(METRIC("request_seconds_bucket{route=\"/api\",le=\"10\"} 4"));
	CHECK(METRIC("requests_total{route=\"/cut\",outcome=\"broken\"} 1"));
	CHECK(METRIC("requests_total{route=\"/silent\",outcome=\"client_gone\"} 1"));
	CHECK(METRIC("in_flight{route=\"/silent\"} 0"));
	CHECK(METRIC("requests_total{route=\"/dead\",outcome=\"5xx\"} 1"));
	CHECK(METRIC("refused_total{route=\"/small\",reason=\"body\"} 1"));
	CHECK(METRIC("requests_total{route=\"GET a/rare\",outcome=\"2xx\"} 1"));
	CHECK(METRIC("refused_total{route=\"GET a/rare\",reason=\"rate\"} 1"));
	CHECK(METRIC("requests_total{route=\"/moved\",outcome=\"3xx\"} 1"));
	CHECK(METRIC("requests_total{route=\"(none)\",outcome=\"4xx\"} 2"));
}

/* The routes /api, changed, and /new; the others are gone. */
static void expect_reloaded(struct watched *w)
{
	MUST(program_configure(&w->program, w->pools,
			       "    - {match: {path: /new}, answer: {status: 200}}\n"
			       "    - {match: {path: /api/}, answer: {status: 204}}\n"));
	MUST(program_reload(&w->program));
	CHECK(STATUS(API));
	CHECK(answers(w, GET("/api"), "204"));
	CHECK(METRIC("requests_total{route=\"/api\",outcome=\"2xx\"} 5"));
	CHECK(METRIC("requests_total{route=\"/new\",outcome=\"2xx\"} 0"));
	CHECK(METRIC("requests_total{route=\"(none)\",outcome=\"4xx\"} 2"));
	CHECK(strstr(text, "/moved") == NULL);
}

static void test_numbers(void)
{
	struct watched w;

	MUST(begin(&w, routes));
	ask_all(&w);
	expect_numbers(&w);
	expect_reloaded(&w);
	CHECK(program_stop(&w.program, 10000));
	kit_mock_close(w.mock);
}

/* By the gateway, and not by the upstream. */
static void test_refused_tenants(void)
{
	struct watched watched, *w = &watched;

	MUST(begin(w, "    - {match: {path: /}, pool: up}\n"
		       "  tenants: {from: header, header: x-tenant}\n"
		       "  trusted_proxies: [127.0.0.1]\n"));
	CHECK(answers(w, GET("/"), "403"));
	CHECK(answers(w, "GET /locked HTTP/1.1\r\nHost: a\r\nX-Tenant: alice\r\n"
			  "Connection: close\r\n\r\n", "401"));
	CHECK(METRIC("requests_total{route=\"/\",outcome=\"4xx\"} 2"));
	CHECK(METRIC("refused_total{route=\"/\",reason=\"tenant\"} 1"));
	CHECK(program_stop(&w->program, 10000));
	kit_mock_close(w->mock);
}

static const struct tap_test tests[] = {
	{ "numbers of each route in status and metrics, also after a reload", test_numbers },
	{ "who asks is not known: a refusal, and not where the upstream says so", test_refused_tenants },
};
TAP_TESTS(status, tests);
