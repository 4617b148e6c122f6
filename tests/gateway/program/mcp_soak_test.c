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
#include "tests/gateway/program/mcp_place.h"

enum { CLIENTS_MAX = 64, CLIENTS = 16, TENANTS = 4 };

struct run {
	struct place place;
	bool modern; /* its clients are of the era without sessions */
	kolk__atomic_u32 answered, gone, failed;
};

static bool begin(struct run *run, const char *upstream, const char *versions, const char *mcp)
{
	char more[256];

	snprintf(more, sizeof more, "sessions_max: 2000, %s", mcp);
	return place_open(&run->place, &(struct place_options){
		.upstream = upstream, .server.versions = versions, .mcp = more, .users = true,
		.pool = "limits: {idle_min: 0, connections_max: 200}, health: {mend_timeout: none}",
		.engine = "loops: 3, connections_max: 2000, tenant_connections_max: unlimited" });
}

/* ---- a client */

struct client {
	struct run *run;
	uint32_t number;
	unsigned seed;
	uint64_t rounds;
	char tenant[16];
	char session[512]; /* its field; "" = none */
};

static bool initialize(struct client *client)
{
	const struct place *place = &client->run->place;

	return post(place, "", INITIALIZE("2025-11-25", "")) == 200 && take_session(client->session);
}

/* Whether the server knew it. */
static bool end_session(const struct client *client)
{
	return ask(&client->run->place, "DELETE /mcp", client->session, "") == 200;
}

static int begin_call(struct client *client, const char *tool, const char *arguments)
{
	char fields[512], body[1024];

	if (client->run->modern)
		modern_fields(fields, "tools/call", tool);
	snprintf(body, sizeof body, REQUEST("%d", "tools/call", "\"name\":\"%s\",\"arguments\":{%s}%s"),
		 1 + rand_r(&client->seed) % 3, tool, arguments,
		 client->run->modern ? "," META("", "") : "");
	return begin_request(&client->run->place, "POST /mcp",
			     client->run->modern ? fields : client->session, body);
}

static bool fail(struct client *client, const char *what)
{
	tap_note("client %u: %s: %.300s", client->number, what, text);
	kolk__add_acq_rel(&client->run->failed, 1);
	return false;
}

/* All of them at once, each in a thread. */
static void run_clients(struct run *run, uint32_t clients_count, uint64_t rounds,
			void *(*be)(void *))
{
	struct client *clients = calloc(clients_count, sizeof *clients);
	pthread_t threads[CLIENTS_MAX];

	for (uint32_t i = 0; i < clients_count; i++) {
		clients[i].run = run;
		clients[i].number = i;
		clients[i].seed = i + 7;
		clients[i].rounds = rounds;
		snprintf(clients[i].tenant, sizeof clients[i].tenant, "t%u", i % TENANTS);
		pthread_create(&threads[i], NULL, be, &clients[i]);
	}
	for (uint32_t i = 0; i < clients_count; i++)
		pthread_join(threads[i], NULL);
	free(clients);
	CHECK(kolk__load_acquire(&run->failed) == 0);
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
		if (read_answer(begin_call(client, "counter", arguments)) != 200 || !has(wanted))
			return fail(client, "it is alone in its session");
	}
	return true;
}

static void *count_alone(void *of)
{
	struct client *client = of;
	char owner[64];

	user = client->tenant;
	for (uint64_t i = 0; i < client->rounds; i++) {
		snprintf(owner, sizeof owner, "c%u-%llu", client->number, (unsigned long long)i);
		if (!initialize(client)) {
			fail(client, "a session is made");
			break;
		}
		if (!count_in(client, owner, 1, 3))
			break;
		if (!end_session(client)) {
			fail(client, "a session is ended");
			break;
		}
	}
	return NULL;
}

static void *count_with_tenant(void *of)
{
	struct client *client = of;
	char owner[64];

	user = client->tenant;
	snprintf(owner, sizeof owner, "%s", client->tenant);
	for (uint64_t i = 0; i < client->rounds; i++) {
		if (!initialize(client)) {
			fail(client, "a session is made");
			break;
		}
		if (!count_in(client, owner, 0, 2))
			break;
		(void)end_session(client);
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
		struct run run = { .modern = false };

		MUST(begin(&run, NULL, "2025-11-25", kinds[k].mcp));
		run_clients(&run, CLIENTS_MAX, each, kinds[k].be);
		tap_note("%s: %llu sessions of clients, %llu of the server", kinds[k].mcp,
			 (unsigned long long)(each * CLIENTS_MAX),
			 (unsigned long long)number(&run.place, MCP_N_sessions_created));
		place_close(&run.place);
	}
}

/* ---- clients that are gone: no answer has another one's nonce */

static bool is_own(const char *nonce)
{
	bool seen = false;

	for (const char *at = text; (at = strstr(at, "n-")) != NULL; at += 2)
		if (at[2] >= '0' && at[2] <= '9') {
			if (strncmp(at, nonce, strlen(nonce)) != 0)
				return false;
			seen = true;
		}
	return seen;
}

static void *come_and_go(void *of)
{
	struct client *client = of;
	char arguments[128], nonce[40];
	int fd, got;

	user = client->tenant;
	if (!client->run->modern && !initialize(client)) {
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
			kolk__add_acq_rel(&client->run->gone, 1);
			continue;
		}
		got = read_answer(fd);
		if (got == 404 && !client->run->modern && initialize(client))
			continue; /* of HTTP+SSE and of children: a session that was lost */
		if (got != 200 || !is_own(nonce)) {
			fail(client, nonce);
			break;
		}
		kolk__add_acq_rel(&client->run->answered, 1);
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
		struct run run = { .modern = kinds[k].modern };
		uint32_t answered, gone;

		MUST(begin(&run, kinds[k].upstream, kinds[k].versions, kinds[k].mcp));
		run_clients(&run, CLIENTS, program_options.calls / CLIENTS, come_and_go);
		answered = kolk__load_acquire(&run.answered);
		gone = kolk__load_acquire(&run.gone);
		tap_note("%s: %u answered, %u gone", kinds[k].name, answered, gone);
		CHECK(answered > program_options.calls / 2 && gone > program_options.calls / 5);
		place_close(&run.place);
	}
}

static const struct tap_test tests[] = {
	{ "sessions of many clients", test_sessions },
	{ "clients that are gone in the middle of their calls", test_gone },
};
TAP_TESTS(mcp_soak, tests);
