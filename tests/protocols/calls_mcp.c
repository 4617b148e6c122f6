/* SPDX-License-Identifier: Apache-2.0 */
/* calls_mcp.c - calls to a server of MCP, on sessions that several callers use: each is done at most
 * once, and its answer is its own. */
#include "tests/protocols/protocols.h"

#include <stdio.h>
#include <string.h>

static const char *const tenants[MCP_TENANTS] = { "ann", "bob" };

static bool client_open(struct world *world, uint32_t loop, uint32_t tenant)
{
	struct kolk_mcp_client_options client = KOLK_INIT(kolk_mcp_client_options);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);

	who.tenant = tenants[tenant];
	client.who = &who;
	return kolk_mcp_client_open(world->mcp, kolk_engine_loop(world->engine, loop), &client,
				    &world->mcp_clients[loop][tenant]) == KOLK_OK;
}

/* The session that a client had alone is gone: another client takes its place. */
static void replace_client(struct world *world, uint32_t loop, uint32_t tenant)
{
	bool opened = false;

	for (int i = 0; i < CALLS; i++) {
		struct call *call = &world->calls[i];

		if (call->mcp != NULL && call->client == loop && call->tenant == tenant)
			call->closed = true;
	}
	kolk_mcp_client_close(world->mcp_clients[loop][tenant]);
	for (int i = 0; i < 20 && !opened; i++) /* memory may be out */
		opened = client_open(world, loop, tenant);
	if (!opened)
		world_break(world, "a client of MCP does not open");
}

static void on_end(void *user, struct kolk_mcp_call *mcp, const struct kolk_mcp_result *result)
{
	struct call *call = user;
	enum kolk_err err = result->err;
	char expected[64];

	(void)mcp;
	snprintf(expected, sizeof expected, "{\"says\":\"%s\"}", call->text);
	if (err == KOLK_OK && (result->result_size != strlen(expected) ||
			       memcmp(result->result, expected, result->result_size) != 0))
		world_break(call->world, "a caller got another one's result");
	/* Its session was lost too often, or while it was made; or the server lied then. */
	if (err == KOLK_E_PROTOCOL || err == KOLK_E_SERVER)
		err = KOLK_E_CLOSED;
	calls_must_be_possible(call, err);
	call->mcp = NULL;
	if (result->lost && call->mcp_client == call->world->mcp_clients[call->client][call->tenant])
		replace_client(call->world, call->client, call->tenant);
	calls_over(call, err);
}

void calls_mcp(struct world *world, struct call *call)
{
	static const struct kolk_mcp_handler handler = { .size = sizeof handler, .end = on_end };
	struct kolk_mcp_request r = KOLK_INIT(kolk_mcp_request);
	char params[64];
	enum kolk_err err;

	call->client = (uint32_t)below(world, world->loops);
	call->tenant = (uint32_t)below(world, MCP_TENANTS);
	call->mcp_client = world->mcp_clients[call->client][call->tenant];
	snprintf(params, sizeof params, "{\"name\":\"%s\"}", call->text);
	r.method = "tools/call";
	r.params = params;
	r.params_size = strlen(params);
	r.deadline_ns = kolk__sim_now(world->sim) + (1 + below(world, 3000)) * KOLK_MS_NS;
	call->replayable = false;
	call->calm = world->calm;
	err = kolk_mcp_start(call->mcp_client, &r, &handler, call, &call->mcp);
	call->pending = err == KOLK_PENDING;
	if (!call->pending)
		calls_must_be_possible(call, err);
}

bool mcp_open(struct world *world, struct kolk_pool *connections)
{
	static const uint32_t sharings[] = { KOLK_MCP_BOUND, KOLK_MCP_VIRGIN, KOLK_MCP_EXCLUSIVE,
					     KOLK_MCP_MULTIPLEXED };
	struct kolk_mcp_options o = KOLK_INIT(kolk_mcp_options);

	o.era = KOLK_MCP_LEGACY;
	o.sharing = sharings[below(world, 4)];
	o.isolation = o.sharing == KOLK_MCP_BOUND && below(world, 2) ? KOLK_MCP_ISOLATION_SESSION :
								KOLK_MCP_ISOLATION_TENANT;
	o.requests_max = 1 + (uint32_t)below(world, 4);
	o.sessions_max = 1 + (uint32_t)below(world, 4);
	o.idle_timeout_ns = (20 + below(world, 3000)) * KOLK_MS_NS;
	o.lifetime_ns = (100 + below(world, 20000)) * KOLK_MS_NS;
	o.initialize_timeout_ns = (100 + below(world, 1000)) * KOLK_MS_NS;
	if (kolk_mcp_open(connections, &o, &world->mcp) != KOLK_OK)
		return false;
	for (uint32_t i = 0; i < world->loops; i++)
		for (uint32_t t = 0; t < MCP_TENANTS; t++)
			if (!client_open(world, i, t))
				return false;
	return true;
}

void mcp_clients_close(struct world *world)
{
	for (uint32_t i = 0; i < world->loops; i++)
		for (int t = 0; t < MCP_TENANTS; t++)
			kolk_mcp_client_close(world->mcp_clients[i][t]);
}

void mcp_close(struct world *world)
{
	struct kolk_mcp_stats stats = KOLK_INIT(kolk_mcp_stats);

	if (kolk_mcp_stats(world->mcp, &stats) != KOLK_OK || stats.isolation_violations != 0)
		world_break(world, "a session was another one's");
	if (kolk_mcp_close(world->mcp, kolk__sim_now(world->sim) + 5 * KOLK_S_NS) != KOLK_OK)
		world_break(world, "an upstream of MCP does not close");
}
