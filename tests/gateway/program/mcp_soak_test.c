/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_soak_test.c - many clients of MCP routes at once: sessions of all kinds that are counted in, and
 * clients that are gone in the middle of their calls. How much of it: main.c's options.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/gateway/program/program.h"
#include "tests/mcp/fixture.h"

enum { CLIENTS_MAX = 64, CLIENTS = 16, TENANTS = 4 };

struct place {
	struct program program;
	struct mcp_fixture *server; /* NULL = children */
	bool modern;                /* its clients are of the era without sessions */
	kolk__atomic_u32 answered, gone, failed;
};

static bool begin(struct place *place, const char *upstream, const char *versions, const char *mcp)
{
	struct mcp_options o = { .listen = "127.0.0.1:0", .versions = versions };
	char pools[1024];

	if (upstream == NULL) {
		place->server = mcp_fixture_open(&o);
		if (place->server == NULL)
			return FAILED("there is a server");
	}
	snprintf(pools, sizeof pools,
		 "  - {name: tools, protocol: mcp, %s%s%s, limits: {idle_min: 0, connections_max: 200}, "
		 "health: {mend_timeout: none}, mcp: {sessions_max: 2000, %s}}\n",
		 upstream != NULL ? upstream : "address: \"",
		 upstream != NULL ? "" : mcp_fixture_address(place->server), upstream != NULL ? "" : "\"", mcp);
	return program_start_with(&place->program, &(struct program_file){
		.engine = "loops: 3, connections_max: 2000, tenant_connections_max: unlimited",
		.pools = pools, .routes = "    - {match: {path: /mcp}, pool: tools}\n",
		.gateway = "  tenants: {from: header, header: x-user}\n"
			   "  trusted_proxies: [\"127.0.0.0/8\"]\n" });
}

static uint64_t number(const struct place *place, enum mcp_number of)
{
	return mcp_fixture_number(place->server, of);
}

static void end(struct place *place)
{
	CHECK(program_stop(&place->program, 20000));
	if (place->server == NULL)
		return;
	CHECK(WITHIN_MS(10000, number(place, MCP_N_sessions_open) == 0));
	CHECK(WITHIN_MS(10000, number(place, MCP_N_calls_now) == 0));
	CHECK(number(place, MCP_N_leaks) == 0);
	CHECK(number(place, MCP_N_duplicate_ids) == 0 && number(place, MCP_N_duplicate_tokens) == 0);
	mcp_fixture_close(place->server);
}

/* ---- a client */

struct client {
	struct place *place;
	uint32_t number;
	unsigned seed;
	uint64_t rounds;
	char session[256]; /* "" = none */
	char text[PROGRAM_TEXT];
};

static int begin_request(struct client *client, const char *line, const char *fields,
			 const char *body)
{
	int fd = program_connect(&client->place->program);
	char request[4096];

	snprintf(request, sizeof request,
		 "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-User: t%u\r\n"
		 "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
		 "%s%s%s%sContent-Length: %zu\r\n\r\n%s",
		 line, client->number % TENANTS, client->session[0] != '\0' ? "Mcp-Session-Id: " : "",
		 client->session, client->session[0] != '\0' ? "\r\n" : "", fields, strlen(body), body);
	if (fd >= 0 && !client_send(fd, request))
		FAILED("a request is sent");
	return fd;
}

/* The answer's status. */
static int finish(struct client *client, int fd)
{
	client_read(fd, NULL, client->text);
	close(fd);
	return strncmp(client->text, "HTTP/1.1 ", 9) == 0 ? atoi(client->text + 9) : 0;
}

static bool initialize(struct client *client)
{
	static const char body[] =
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
		"\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}";
	const char *at;

	client->session[0] = '\0';
	if (finish(client, begin_request(client, "POST /mcp", "", body)) != 200)
		return false;
	at = strstr(client->text, "mcp-session-id: ");
	return at != NULL && sscanf(at, "mcp-session-id: %250s", client->session) == 1;
}

static int begin_call(struct client *client, const char *tool, const char *arguments)
{
	static const char meta[] =
		",\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
		"\"io.modelcontextprotocol/clientCapabilities\":{},"
		"\"io.modelcontextprotocol/clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}";
	char fields[256] = "", body[1024];

	if (client->place->modern)
		snprintf(fields, sizeof fields,
			 "Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: %s\r\n",
			 tool);
	snprintf(body, sizeof body,
		 "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"tools/call\",\"params\":{\"name\":\"%s\","
		 "\"arguments\":{%s}%s}}", 1 + rand_r(&client->seed) % 3, tool, arguments,
		 client->place->modern ? meta : "");
	return begin_request(client, "POST /mcp", fields, body);
}

static bool fail(struct client *client, const char *what)
{
	tap_note("client %u: %s: %.300s", client->number, what, client->text);
	kolk__add_acq_rel(&client->place->failed, 1);
	return false;
}

/* All of them at once, each in a thread. */
static void run(struct place *place, uint32_t count, uint64_t rounds, void *(*be)(void *))
{
	struct client *clients = calloc(count, sizeof *clients);
	pthread_t threads[CLIENTS_MAX];

	for (uint32_t i = 0; i < count; i++) {
		clients[i].place = place;
		clients[i].number = i;
		clients[i].seed = i + 7;
		clients[i].rounds = rounds;
		pthread_create(&threads[i], NULL, be, &clients[i]);
	}
	for (uint32_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	free(clients);
	CHECK(kolk__load_acquire(&place->failed) == 0);
}

/* ---- sessions: the server counts calls in each, and who called before */

static bool count_in(struct client *client, const char *owner, int from, int to)
{
	char arguments[64], wanted[64];

	snprintf(arguments, sizeof arguments, "\"owner\":\"%s\"", owner);
	for (int i = from; i <= to; i++) {
		/* What is the tenant's is counted by all of its clients: i is 0. */
		snprintf(wanted, sizeof wanted, from > 0 ? "{\\\"count\\\":%d,\\\"leaked\\\":false" :
							   "\\\"leaked\\\":false", i);
		if (finish(client, begin_call(client, "counter", arguments)) != 200 ||
		    strstr(client->text, wanted) == NULL)
			return fail(client, "it is alone in its session");
	}
	return true;
}

static void *count_alone(void *user)
{
	struct client *client = user;
	char owner[64];

	for (uint64_t i = 0; i < client->rounds; i++) {
		snprintf(owner, sizeof owner, "c%u-%llu", client->number, (unsigned long long)i);
		if (!initialize(client)) {
			fail(client, "a session is made");
			break;
		}
		if (!count_in(client, owner, 1, 3))
			break;
		if (finish(client, begin_request(client, "DELETE /mcp", "", "")) != 200) {
			fail(client, "a session is ended");
			break;
		}
	}
	return NULL;
}

static void *count_with_tenant(void *user)
{
	struct client *client = user;
	char owner[64];

	snprintf(owner, sizeof owner, "t%u", client->number % TENANTS);
	for (uint64_t i = 0; i < client->rounds; i++) {
		if (!initialize(client)) {
			fail(client, "a session is made");
			break;
		}
		if (!count_in(client, owner, 0, 2))
			break;
		(void)finish(client, begin_request(client, "DELETE /mcp", "", ""));
	}
	return NULL;
}

static void test_sessions(void)
{
	static const struct {
		const char *mcp;
		void *(*be)(void *);
	} kinds[] = {
		{ "isolation: session, sharing: bound", count_alone },
		{ "isolation: session, sharing: virgin", count_alone },
		{ "isolation: session, sharing: exclusive", count_alone },
		{ "isolation: session, sharing: multiplexed", count_alone },
		{ "isolation: tenant, sharing: virgin", count_alone },
		{ "isolation: tenant, sharing: exclusive", count_with_tenant },
		{ "isolation: tenant, sharing: multiplexed", count_with_tenant },
	};
	uint64_t each = program_options.sessions / CLIENTS_MAX;

	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		struct place place = { .server = NULL };

		MUST(begin(&place, NULL, "2025-11-25", kinds[k].mcp));
		run(&place, CLIENTS_MAX, each, kinds[k].be);
		tap_note("%s: %llu sessions of clients, %llu of the server", kinds[k].mcp,
			 (unsigned long long)(each * CLIENTS_MAX),
			 (unsigned long long)number(&place, MCP_N_sessions_created));
		end(&place);
	}
}

/* ---- clients that are gone: no answer has another one's nonce */

static bool is_own(const struct client *client, const char *nonce)
{
	bool seen = false;

	for (const char *at = client->text; (at = strstr(at, "n-")) != NULL; at += 2)
		if (at[2] >= '0' && at[2] <= '9') {
			if (strncmp(at, nonce, strlen(nonce)) != 0)
				return false;
			seen = true;
		}
	return seen;
}

static void *come_and_go(void *user)
{
	struct client *client = user;
	char arguments[128], nonce[40];
	int fd, status;

	if (!client->place->modern && !initialize(client)) {
		fail(client, "a session is made");
		return NULL;
	}
	for (uint64_t i = 0; i < client->rounds; i++) {
		snprintf(nonce, sizeof nonce, "n-%u-%llu-", client->number, (unsigned long long)i);
		snprintf(arguments, sizeof arguments, "\"ms\":%d,\"steps\":2,\"nonce\":\"%s\"",
			 rand_r(&client->seed) % 3, nonce);
		fd = begin_call(client, rand_r(&client->seed) % 2 ? "progress" : "slow", arguments);
		if (rand_r(&client->seed) % 10 < 3) {
			usleep((useconds_t)rand_r(&client->seed) % 5000);
			close(fd);
			kolk__add_acq_rel(&client->place->gone, 1);
			continue;
		}
		status = finish(client, fd);
		if (status == 404 && !client->place->modern && initialize(client))
			continue; /* of HTTP+SSE and of children: a session that was lost */
		if (status != 200 || !is_own(client, nonce)) {
			fail(client, nonce);
			break;
		}
		kolk__add_acq_rel(&client->place->answered, 1);
	}
	return NULL;
}

static void test_gone(void)
{
	static const char child[] = "child: {command: [" MCP_FIXTURE_PROGRAM ", --stdio]}";
	static const struct {
		const char *name, *upstream, *versions, *mcp;
		bool modern;
	} kinds[] = {
		{ "bound", NULL, "2025-11-25", "sharing: bound", false },
		{ "exclusive", NULL, "2025-11-25", "isolation: tenant, sharing: exclusive", false },
		{ "multiplexed", NULL, "2025-11-25", "isolation: tenant, sharing: multiplexed", false },
		{ "no sessions", NULL, "2026-07-28", "era: modern", true },
		{ "no sessions, to sessions", NULL, "2025-11-25",
		  "isolation: tenant, sharing: multiplexed", true },
		{ "sessions, to none", NULL, "2026-07-28", "sharing: bound", false },
		{ "HTTP+SSE", NULL, NULL,
		  "transport: sse, path: /sse, isolation: tenant, sharing: multiplexed", false },
		{ "children", child, NULL, "isolation: tenant, sharing: multiplexed", false },
	};

	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		struct place place = { .modern = kinds[k].modern };
		uint32_t answered, gone;

		MUST(begin(&place, kinds[k].upstream, kinds[k].versions, kinds[k].mcp));
		run(&place, CLIENTS, program_options.calls / CLIENTS, come_and_go);
		answered = kolk__load_acquire(&place.answered);
		gone = kolk__load_acquire(&place.gone);
		tap_note("%s: %u answered, %u gone", kinds[k].name, answered, gone);
		CHECK(answered > program_options.calls / 2 && gone > program_options.calls / 5);
		end(&place);
	}
}

static const struct tap_test tests[] = {
	{ "sessions of many clients", test_sessions },
	{ "clients that are gone in the middle of their calls", test_gone },
};
TAP_TESTS(mcp_soak, tests);
