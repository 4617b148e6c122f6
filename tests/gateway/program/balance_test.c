/* SPDX-License-Identifier: Apache-2.0 */
/* balance_test.c - a gateway before several servers: one is killed, comes back, is not well. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/gateway/program/load.h"

enum { SERVERS = 3, CLIENTS = 8, KILLS = 3, TENANTS = 24 };

static char text[PROGRAM_TEXT];

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#define MEMBERS "members: [{pool: web0}, {pool: web1}, {pool: web2}]"
#define ROUTES "    - {match: {path: /}, balancer: web}\n"
/* Circuits open soon, and try again soon. */
#define HEALTH "health: {circuit_failures: 2, retry_interval: 20ms, retry_max: 50ms}"

/* ---- servers: each says its name */

struct server {
	struct kit_mock *mock;
	char path[64];           /* of its socket */
	char answer[96];
	kolk__atomic_u32 health; /* status of /health; 0 = it is silent */
	kolk__atomic_u32 asked;  /* for anything else */
};

static void play(struct kit_mock_conn *conn, void *user)
{
	struct server *server = user;
	char head[4096], answer[96];

	while (kit_mock_read_until(conn, "\r\n\r\n", head, sizeof head, 20000)) {
		uint32_t health = kolk__load_relaxed(&server->health);

		if (strncmp(head, "GET /health ", 12) != 0) {
			(void)kolk__add_relaxed(&server->asked, 1);
			if (strncmp(head, "POST ", 5) == 0)
				(void)!kit_mock_read(conn, NULL, 5, 10000);
			kit_mock_say(conn, server->answer);
		} else if (health != 0) {
			snprintf(answer, sizeof answer,
				 "HTTP/1.1 %u x\r\nContent-Length: 0\r\n\r\n", health);
			kit_mock_say(conn, answer);
		} else {
			kit_mock_drain(conn, 20000);
		}
	}
}

static void server_name(struct server *server, int index)
{
	snprintf(server->path, sizeof server->path, "/tmp/kolk-gateway-web%d-%d", index, (int)getpid());
	snprintf(server->answer, sizeof server->answer,
		 "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nweb%d", index);
	kolk__store_relaxed(&server->health, 200);
	kolk__store_relaxed(&server->asked, 0);
}

static bool server_open(struct server *server)
{
	server->mock = kit_mock_open(&(struct kit_mock_options){ .play = play, .user = server,
								 .unix_path = server->path });
	return server->mock != NULL;
}

static void server_close(struct server *server)
{
	kit_mock_close(server->mock);
	server->mock = NULL;
}

static void pool_lines(char lines[1024], const struct server servers[SERVERS])
{
	lines[0] = '\0';
	for (int i = 0; i < SERVERS; i++)
		snprintf(lines + strlen(lines), 1024 - strlen(lines),
			 "  - {name: web%d, protocol: http, address: \"unix:%s\", " HEALTH "}\n", i,
			 servers[i].path);
}

static bool begin(struct program *program, struct server servers[SERVERS], const char *routes)
{
	char pools[1024];

	for (int i = 0; i < SERVERS; i++) {
		server_name(&servers[i], i);
		if (!server_open(&servers[i]))
			return FAILED("there is a server");
	}
	pool_lines(pools, servers);
	return program_start(program, pools, routes);
}

static void end(struct program *program, struct server servers[SERVERS])
{
	CHECK(program_stop(program, 10000));
	for (int i = 0; i < SERVERS; i++)
		server_close(&servers[i]);
}

/* Which server answers; -1 = none does. */
static int ask(const struct program *program, const char *request)
{
	const char *body;

	if (program_ask(program, request, text) != 0 || strncmp(text, "HTTP/1.1 200 ", 13) != 0)
		return -1;
	body = strstr(text, "\r\n\r\nweb");
	return body != NULL ? body[7] - '0' : -1;
}

/* ---- one is killed under load */

/* A process, so that it is killed as a server is: its sockets all at once. */
struct process {
	pid_t pid;
	int start; /* written to: it listens from then on */
};

static bool process_fork(struct process *process, struct server *server)
{
	int ends[2];
	char byte;

	if (pipe(ends) != 0)
		return false;
	process->pid = fork();
	process->start = ends[1];
	if (process->pid != 0) {
		close(ends[0]);
		return process->pid > 0;
	}
	close(ends[1]);
	if (read(ends[0], &byte, 1) == 1 && server_open(server))
		for (;;)
			pause();
	_exit(0);
}

static void process_start(const struct process *process)
{
	CHECK(write(process->start, "", 1) == 1);
	close(process->start);
}

static void process_kill(const struct process *process)
{
	kill(process->pid, SIGKILL);
	waitpid(process->pid, NULL, 0);
}

static void kill_and_start(const struct load *load, struct process processes[KILLS + 1])
{
	for (int i = 0; i < KILLS && !tap_is_failing(); i++) {
		CHECK(load_answers_more(load, "1", 50));
		process_kill(&processes[i]);
		CHECK(load_answers_more(load, "02", 50));
		process_start(&processes[i + 1]);
	}
	CHECK(load_answers_more(load, "1", 50));
}

static void test_killed_under_load(void)
{
	static struct load load;
	static struct server servers[SERVERS];
	struct process processes[KILLS + 1];
	struct program program;
	uint64_t lost;

	server_name(&servers[1], 1);
	for (int i = 0; i <= KILLS; i++)
		MUST(process_fork(&processes[i], &servers[1]));
	MUST(begin(&program, servers, ROUTES "  balancers: [{name: web, " MEMBERS "}]\n"));
	server_close(&servers[1]);
	process_start(&processes[0]);
	load_begin(&load, &program, CLIENTS);
	kill_and_start(&load, processes);
	lost = load_end(&load);
	for (int i = 0; i <= KILLS; i++)
		process_kill(&processes[i]);
	tap_note("%llu, %llu, %llu answers, %llu lost",
		 (unsigned long long)load_answers(&load, 0),
		 (unsigned long long)load_answers(&load, 1),
		 (unsigned long long)load_answers(&load, 2), (unsigned long long)lost);
	CHECK(lost == 0);
	end(&program, servers);
	unlink(servers[1].path);
}

/* ---- what is moved, and what is not */

static void test_moved(void)
{
	static struct server servers[SERVERS];
	struct program program;

	MUST(begin(&program, servers,
		   "    - {match: {path: /}, balancer: web}\n    - {match: {path: /none}, balancer: none}\n"
		   "  balancers:\n  - {name: web, members: [{pool: web0, weight: 1000}, {pool: web1}]}\n"
		   "  - {name: none, members: [{pool: web0}]}\n"));
	CHECK(ask(&program, GET("/")) >= 0);
	server_close(&servers[0]);
	for (int i = 0; i < 20; i++)
		CHECK(ask(&program, GET("/")) == 1);
	/* The body was not begun. */
	for (int i = 0; i < 20; i++)
		CHECK(ask(&program, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
				    "Content-Length: 5\r\n\r\nhello") == 1);
	CHECK(program_logged(&program, "\"pool\":\"web1\""));
	CHECK(program_ask(&program, GET("/none"), text) == 0 && strstr(text, " 50") != NULL);
	CHECK(program_logged(&program, "\"pool\":\"web0\",\"error\":"));
	server_close(&servers[1]); /* all are out: it says why, and recovers by itself */
	CHECK(program_ask(&program, GET("/"), text) == 0 && strstr(text, "\"phase\":") != NULL);
	CHECK(server_open(&servers[0]));
	CHECK(WITHIN_MS(5000, ask(&program, GET("/")) == 0));
	end(&program, servers);
}

/* ---- hash */

static int ask_as(const struct program *program, int tenant)
{
	char request[128];

	snprintf(request, sizeof request,
		 "GET / HTTP/1.1\r\nHost: a\r\nX-Tenant: t%d\r\nConnection: close\r\n\r\n", tenant);
	return ask(program, request);
}

static void test_hash(void)
{
	static struct server servers[SERVERS];
	struct program program;
	int home[TENANTS], count[SERVERS] = { 0 };

	MUST(begin(&program, servers,
		   ROUTES "  tenants: {from: header, header: x-tenant}\n"
			  "  trusted_proxies: [127.0.0.1]\n"
			  "  balancers: [{name: web, " MEMBERS ", policy: hash, hash_by: tenant}]\n"));
	for (int i = 0; i < TENANTS; i++) {
		home[i] = ask_as(&program, i);
		MUST(home[i] >= 0);
		count[home[i]]++;
	}
	CHECK(count[0] > 0 && count[1] > 0 && count[2] > 0);
	for (int i = 0; i < 2 * TENANTS; i++)
		CHECK(ask_as(&program, i % TENANTS) == home[i % TENANTS]);
	server_close(&servers[1]);
	for (int i = 0; i < TENANTS; i++) {
		int now = ask_as(&program, i);

		CHECK(home[i] == 1 ? now == 0 || now == 2 : now == home[i]);
	}
	CHECK(server_open(&servers[1]));
	for (int i = 0; i < TENANTS; i++)
		CHECK(WITHIN_MS(5000, ask_as(&program, i) == home[i]));
	end(&program, servers);
}

/* ---- checks */

#define CHECKED                                                                            \
	ROUTES "  balancers: [{name: web, " MEMBERS ",\n"                                         \
	       "    health: {path: /health, interval: 100ms, timeout: 300ms, unhealthy_after: 2}}]\n"

/* None of so many goes there. */
static bool is_left_alone(const struct program *program, int server)
{
	bool alone = true;

	for (int i = 0; i < 30; i++)
		alone &= ask(program, GET("/")) != server;
	return alone;
}

static void test_checks(void)
{
	static struct server servers[SERVERS];
	struct program program;
	char pools[1024];

	MUST(begin(&program, servers, CHECKED));
	CHECK(WITHIN_MS(5000, ask(&program, GET("/")) == 1));
	kolk__store_relaxed(&servers[1].health, 500);
	CHECK(program_says(&program, "balancer web: web1 is down: status 500\n"));
	CHECK(is_left_alone(&program, 1));
	pool_lines(pools, servers);
	CHECK(program_configure(&program, pools, CHECKED) && program_reload(&program));
	CHECK(is_left_alone(&program, 1));
	kolk__store_relaxed(&servers[1].health, 204);
	CHECK(program_says(&program, "balancer web: web1 is up\n"));
	CHECK(WITHIN_MS(5000, ask(&program, GET("/")) == 1));
	program.said[0] = '\0';
	kolk__store_relaxed(&servers[2].health, 0); /* it takes requests, and does not answer */
	CHECK(program_says(&program, "balancer web: web2 is down: the deadline passed (request)\n"));
	server_close(&servers[0]);
	CHECK(program_says(&program, "balancer web: web0 is down: "));
	for (int i = 0; i < 10; i++)
		CHECK(ask(&program, GET("/")) == 1);
	/* Without checks nothing says so any more. */
	kolk__store_relaxed(&servers[1].health, 500);
	CHECK(program_says(&program, "balancer web: web1 is down: status 500\n"));
	CHECK(WITHIN_MS(5000, ask(&program, GET("/")) == 1)); /* all are out: all are tried */
	CHECK(program_configure(&program, pools, ROUTES "  balancers: [{name: web, " MEMBERS "}]\n") &&
	      program_reload(&program));
	CHECK(WITHIN_MS(5000, ask(&program, GET("/")) == 2));
	end(&program, servers);
}

/* ---- numbers */

static void test_numbers(void)
{
	static struct server servers[SERVERS];
	struct program program;
	char pools[1024], arguments[128], socket[64];

	for (int i = 0; i < SERVERS; i++) {
		server_name(&servers[i], i);
		MUST(server_open(&servers[i]));
	}
	pool_lines(pools, servers);
	snprintf(socket, sizeof socket, "/tmp/kolk-gateway-balance-%d.sock", (int)getpid());
	snprintf(pools + strlen(pools), sizeof pools - strlen(pools),
		 "admin: {listen: \"unix:%s\"}\n", socket);
	MUST(program_start(&program, pools,
			   ROUTES "  balancers: [{name: web, members: [{pool: web0, weight: 3}]}]\n"));
	for (int i = 0; i < 4; i++)
		CHECK(ask(&program, GET("/")) == 0);
	snprintf(arguments, sizeof arguments, "/api/pool-status --unix-socket %s", socket);
	CHECK(WITHIN_MS(5000, program_curl(&program, arguments, text) == 0 &&
				      strstr(text, "{\"balancer\":\"web\",\"pool\":\"web0\","
						   "\"state\":\"up\",\"weight\":3,\"inFlight\":0,"
						   "\"requests\":4,\"failed\":0,\"moved\":0,"
						   "\"checks\":{\"count\":0,") != NULL));
	snprintf(arguments, sizeof arguments, "/metrics --unix-socket %s", socket);
	CHECK(program_curl(&program, arguments, text) == 0);
	CHECK(strstr(text, "\nkolk_gateway_member_up{balancer=\"web\",pool=\"web0\"} 1\n") != NULL);
	CHECK(strstr(text, "\nkolk_gateway_member_requests_total{balancer=\"web\",pool=\"web0\"} 4\n") !=
	      NULL);
	end(&program, servers);
}

static const struct tap_test tests[] = {
	{ "a server that is killed under load loses no GET, and comes back", test_killed_under_load },
	{ "what a server cannot have seen goes to another one", test_moved },
	{ "tenants stay with their server; when it goes, they alone move", test_hash },
	{ "a server that answers checks with 500 gets no requests until it is well", test_checks },
	{ "numbers of members in status and metrics", test_numbers },
};
TAP_TESTS(balance, tests);
