/* SPDX-License-Identifier: Apache-2.0 */
/* reload_test.c - a gateway that is reloaded while it works: pools that come and go. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"

static char text[PROGRAM_TEXT];

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#define ROUTE_A "    - {match: {path: /a}, pool: a}\n"
#define ROUTE_WS "    - {match: {path: /ws}, pool: ws}\n"

/* Answers everything; after 101 it is an echo. */
static void play(struct kit_mock_conn *conn, void *user)
{
	char data[4096];
	size_t size;

	(void)user;
	while (kit_mock_read_until(conn, "\r\n\r\n", data, sizeof data, 20000)) {
		if (strstr(data, "POST ") != NULL &&
		    !kit_mock_read_until(conn, "\r\nx-end: 1\r\n\r\n", data, sizeof data, 20000))
			return;
		if (strstr(data, "GET /ws") == NULL) {
			kit_mock_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
			continue;
		}
		kit_mock_say(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
				   "Upgrade: websocket\r\n\r\n");
		while ((size = kit_mock_read_some(conn, data, sizeof data, 20000)) > 0)
			kit_mock_send(conn, data, size);
		return;
	}
}

/* Pools of these names, all at one mock. */
static void pool_lines(char lines[512], const struct kit_mock *mock, const char *const *names)
{
	lines[0] = '\0';
	for (; *names != NULL; names++)
		snprintf(lines + strlen(lines), 512 - strlen(lines),
			 "  - {name: %s, address: \"%s\", protocol: http}\n", *names,
			 kit_mock_address(mock));
}

static bool tunnel_echoes(int fd)
{
	return client_send(fd, "ping!") && client_read(fd, "ping!", text);
}

/* ---- tunnels outlive reloads */

/* A tunnel holds its own pool, and no other one that a reload removed. */
static void test_tunnel_holds_its_pool(void)
{
	struct kit_mock *mock = kit_mock_open(&(struct kit_mock_options){ .play = play });
	struct program program;
	char both[512], ws[512], a[512];
	int fd;

	MUST(mock != NULL);
	pool_lines(both, mock, (const char *const[]){ "a", "ws", NULL });
	pool_lines(ws, mock, (const char *const[]){ "ws", NULL });
	pool_lines(a, mock, (const char *const[]){ "a", NULL });
	MUST(program_start(&program, both, ROUTE_A ROUTE_WS));
	CHECK(program_ask(&program, GET("/a"), text) == 0 && strstr(text, " 200 ") != NULL);
	fd = program_connect(&program);
	CHECK(client_send(fd, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
			      "Upgrade: websocket\r\n\r\n") &&
	      client_read(fd, "\r\n\r\n", text));
	for (int i = 0; i < 3; i++) {
		CHECK(program_configure(&program, ws, ROUTE_WS) && program_reload(&program));
		CHECK(program_configure(&program, both, ROUTE_A ROUTE_WS));
		CHECK(WITHIN_MS(5000, program_reload(&program)));
		CHECK(program_ask(&program, GET("/a"), text) == 0 && strstr(text, " 200 ") != NULL);
		CHECK(tunnel_echoes(fd));
	}
	CHECK(program_configure(&program, a, ROUTE_A) && program_reload(&program));
	CHECK(program_configure(&program, both, ROUTE_A ROUTE_WS));
	CHECK(!program_reload(&program) && tunnel_echoes(fd));
	close(fd);
	CHECK(WITHIN_MS(5000, program_reload(&program)));
	CHECK(program_stop(&program, 10000));
	kit_mock_close(mock);
}

/* ---- requests that wait over a reload */

enum { WAITING = 10 };

static void play_slowly(struct kit_mock_conn *conn, void *user)
{
	char head[4096];

	(void)user;
	while (kit_mock_read_until(conn, "\r\n\r\n", head, sizeof head, 20000)) {
		if (strstr(head, "GET /hold") != NULL)
			(void)kit_mock_drain(conn, 20000);
		kit_mock_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	}
}

static bool configure_rated(struct program *program, const struct kit_mock *mock, const char *pool)
{
	char pools[256], routes[256];

	snprintf(pools, sizeof pools,
		 "  - {name: %s, address: \"%s\", protocol: http, limits: {connections_max: 1, "
		 "idle_min: 0, waiters_max: 20}}\n", pool, kit_mock_address(mock));
	snprintf(routes, sizeof routes,
		 "    - {match: {path: /hold}, pool: %s}\n"
		 "    - {match: {path: /r}, pool: %s, limits: {requests_per_second: 1, burst: %d}}\n",
		 pool, pool, 2 * WAITING);
	return program->pid == 0 ? program_start(program, pools, routes) :
				   program_configure(program, pools, routes) && program_reload(program);
}

/* Their pool goes while they wait, and another attempt is made: no other token. The bucket has one for
 * each of them, and as many more. */
static void test_one_token_each(void)
{
	struct kit_mock *mock = kit_mock_open(&(struct kit_mock_options){ .play = play_slowly });
	struct program program = { .pid = 0 };
	int hold, fds[WAITING];

	MUST(mock != NULL && configure_rated(&program, mock, "a"));
	hold = program_connect(&program);
	CHECK(client_send(hold, GET("/hold")));
	CHECK(WITHIN_MS(5000, kit_mock_counts(mock).bytes_in > 0));
	for (int i = 0; i < WAITING; i++) {
		fds[i] = program_connect(&program);
		CHECK(client_send(fds[i], GET("/r")));
	}
	usleep(300000); /* they wait for the connection */
	CHECK(configure_rated(&program, mock, "b"));
	for (int i = 0; i < WAITING; i++) {
		CHECK(client_read(fds[i], NULL, text) && strstr(text, " 200 ") != NULL);
		close(fds[i]);
	}
	for (int i = 0; i < WAITING; i++)
		CHECK(program_ask(&program, GET("/r"), text) == 0 && strstr(text, " 200 ") != NULL);
	close(hold);
	CHECK(program_stop(&program, 15000));
	kit_mock_close(mock);
}

/* ---- under load */

enum { CLIENTS = 8, RELOADS = 100, PAUSE_US = 200 };

struct client {
	const struct program *program;
	const char *request;
	pthread_t thread;
	uint64_t answered, lost;
	kolk__atomic_u32 *stop;
};

/* A whole answer: the upstream's, or where the route is not there at the moment, 404. */
static bool ask(int fd, const char *request, char answer[PROGRAM_TEXT])
{
	size_t had = 0;
	ssize_t size;

	answer[0] = '\0';
	if (!client_send(fd, request))
		return false;
	while (strstr(answer, "\r\n\r\nok") == NULL && strstr(answer, "\"status\":404}\n") == NULL) {
		size = recv(fd, answer + had, PROGRAM_TEXT - 1 - had, 0);
		if (size <= 0)
			return false;
		had += (size_t)size;
		answer[had] = '\0';
	}
	return strncmp(answer, "HTTP/1.1 200 ", 13) == 0 ||
	       (strncmp(answer, "HTTP/1.1 404 ", 13) == 0 && strstr(request, " /some") != NULL);
}

static void *ask_on(void *user)
{
	struct client *client = user;
	char answer[PROGRAM_TEXT];
	int fd = program_connect(client->program);

	while (kolk__load_acquire(client->stop) == 0 && client->lost == 0) {
		if (ask(fd, client->request, answer)) {
			client->answered++;
		} else {
			client->lost++;
			tap_note("lost: %s: %s", client->request, answer);
		}
		usleep(PAUSE_US);
	}
	close(fd);
	return NULL;
}

/* By turns: what most requests go to is removed, and another one is there; and so is a route. How
 * many were refused first, because the pool of this name was not closed yet. */
static uint64_t reload_often(struct program *program, const struct kit_mock *mock, int reloads)
{
	static const char *const names[2][3] = { { "keep", "a", NULL }, { "keep", "b", NULL } };
	static const char *const routes[2] = {
		"    - {match: {path: /most}, pool: a}\n    - {match: {path: /keep}, pool: keep}\n",
		"    - {match: {path: /most}, pool: b}\n    - {match: {path: /keep}, pool: keep}\n"
		"    - {match: {path: /some}, pool: keep}\n",
	};
	uint64_t refused = 0;
	char pools[512];

	for (int i = 0; i < reloads && !tap_is_failing(); i++) {
		pool_lines(pools, mock, names[i & 1]);
		CHECK(program_configure(program, pools, routes[i & 1]));
		CHECK(WITHIN_MS(10000, program_reload(program) || refused++ == UINT64_MAX));
	}
	return refused;
}

static void test_reloads_under_load(void)
{
	static const char *const requests[4] = {
		"GET /most HTTP/1.1\r\nHost: a\r\n\r\n", "GET /some HTTP/1.1\r\nHost: a\r\n\r\n",
		("POST /most HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "2\r\nhi\r\n0\r\nX-End: 1\r\n\r\n"), "GET /keep HTTP/1.1\r\nHost: a\r\n\r\n",
	};
	struct kit_mock *mock = kit_mock_open(&(struct kit_mock_options){ .play = play });
	const char *given = getenv("KOLK_RELOADS");
	int reloads = given != NULL ? atoi(given) : RELOADS;
	kolk__atomic_u32 stop = { 0 };
	struct client clients[CLIENTS];
	struct program program;
	uint64_t answered = 0, lost = 0, refused, begin_ms = tap_now_ms();
	char pools[512];

	MUST(mock != NULL);
	pool_lines(pools, mock, (const char *const[]){ "b", NULL });
	MUST(program_start(&program, pools, "    - {match: {path: /}, pool: b}\n"));
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){ .program = &program, .stop = &stop,
					      .request = requests[i % 4] };
		CHECK(pthread_create(&clients[i].thread, NULL, ask_on, &clients[i]) == 0);
	}
	refused = reload_often(&program, mock, reloads);
	kolk__store_release(&stop, 1);
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(clients[i].thread, NULL);
		answered += clients[i].answered;
		lost += clients[i].lost;
	}
	tap_note("%d reloads in %llu ms (%llu refused first), %llu requests, %llu lost", reloads,
		 (unsigned long long)(tap_now_ms() - begin_ms), (unsigned long long)refused,
		 (unsigned long long)answered, (unsigned long long)lost);
	CHECK(lost == 0 && answered > 100);
	CHECK(program_stop(&program, 10000));
	kit_mock_close(mock);
}

/* ---- what another file names */

/* A program, a directory, an address or a file that cannot be used: the reload names it, and what ran
 * goes on. */
static void test_unusable(void)
{
	static const struct {
		const char *pool, *said;
	} wrong[] = {
		{ "child: {command: [/nowhere/program]}",
		  "'command' names '/nowhere/program': No such file or directory" },
		{ "child: {command: [/bin/cat], directory: /nowhere}",
		  "'directory' names '/nowhere': No such file or directory" },
		{ "address: \"127.0.0.1:1\", bind_address: 192.0.2.1",
		  "'bind_address' is 192.0.2.1: this machine does not have it" },
		{ "address: \"127.0.0.1:1\", tls: {ca_file: /usr}", "'ca_file' names '/usr': Is a directory" },
	};
	struct kit_mock *mock = kit_mock_open(&(struct kit_mock_options){ .play = play });
	struct program program;
	char pools[1024], a[512];

	MUST(mock != NULL);
	pool_lines(a, mock, (const char *const[]){ "a", NULL });
	MUST(program_start(&program, a, ROUTE_A));
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		snprintf(pools, sizeof pools, "%s  - {name: b, %s}\n", a, wrong[i].pool);
		CHECK(program_configure(&program, pools, ROUTE_A) && !program_reload(&program));
		CHECK(program_says(&program, wrong[i].said));
		CHECK(program_ask(&program, GET("/a"), text) == 0 && strstr(text, " 200 ") != NULL);
	}
	CHECK(program_configure(&program, a, ROUTE_A) && program_reload(&program));
	CHECK(program_stop(&program, 10000));
	kit_mock_close(mock);
}

static const struct tap_test tests[] = {
	{ "reloads under load lose no request", test_reloads_under_load },
	{ "a request that waits over a reload takes one token", test_one_token_each },
	{ "an old tunnel holds no pool but its own", test_tunnel_holds_its_pool },
	{ "what cannot be used is named, and changes nothing", test_unusable },
};
TAP_TESTS(reload, tests);
