/* SPDX-License-Identifier: Apache-2.0 */
/* federation.c - federations of the configuration, how their servers are, and their requests. */
#include "tools/gateway/mcp/federation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/say.h"

/* ---- of the configuration */

static struct gw_mcp_pool *pool_named(struct gw_mcp *mcp, const char *name)
{
	for (uint32_t i = 0; i < mcp->count; i++)
		if (strcmp(mcp->pools[i].name, name) == 0)
			return &mcp->pools[i];
	return NULL;
}

static bool is_same(const struct gw_mcp_federation *made, const struct gw_route *route)
{
	const struct gw_federation_options *all = route->federation.items;
	bool same = made->count == route->federation.count;

	for (uint32_t i = 0; same && i < made->count; i++)
		same = strcmp(made->members[i].pool->name, all[i].pool) == 0 &&
		       strcmp(made->members[i].prefix, all[i].prefix) == 0 &&
		       made->members[i].timeout_ns == all[i].timeout_ns;
	return same && strcmp(made->route, route->path != NULL ? route->path : "/") == 0;
}

/* Its sessions live as long as those that live longest. */
static uint64_t idle_timeout_of(const struct gw_mcp_federation *federation)
{
	uint64_t longest_ns = 0;

	for (uint32_t i = 0; i < federation->count; i++)
		if (federation->members[i].pool->idle_timeout_ns > longest_ns)
			longest_ns = federation->members[i].pool->idle_timeout_ns;
	return longest_ns;
}

static struct gw_mcp_federation *make(struct gw_mcp *mcp, const struct gw_route *route)
{
	const struct gw_federation_options *all = route->federation.items;
	uint32_t count = route->federation.count;
	struct gw_mcp_federation *made = calloc(1, sizeof *made + count * sizeof *made->members);

	if (made == NULL)
		return NULL;
	made->route = strdup(route->path != NULL ? route->path : "/");
	if (made->route == NULL) {
		free(made);
		return NULL;
	}
	pthread_mutex_init(&made->lock, NULL);
	made->count = count;
	for (uint32_t i = 0; i < count; i++) {
		made->members[i].pool = pool_named(mcp, all[i].pool);
		snprintf(made->members[i].prefix, GW_PREFIX_SIZE, "%s", all[i].prefix);
		made->members[i].timeout_ns = all[i].timeout_ns;
	}
	snprintf(made->pool.name, sizeof made->pool.name, "(federation)");
	made->pool.federation = made;
	made->pool.idle_timeout_ns = idle_timeout_of(made);
	made->next = kolk__load_relaxed(&mcp->federations);
	/* R1: what a reader of A1 (status/status.c) finds there is whole. */
	kolk__store_release(&mcp->federations, made);
	return made;
}

static struct gw_mcp_federation *find(struct gw_mcp *mcp, const struct gw_route *route)
{
	struct gw_mcp_federation *made = kolk__load_relaxed(&mcp->federations); /* its only writer */

	while (made != NULL && !is_same(made, route))
		made = made->next;
	return made != NULL ? made : make(mcp, route);
}

struct gw_mcp_pool *gw_mcp_federation_of(struct gateway *gateway, const struct gw_route *route)
{
	struct gw_mcp_federation *made;

	if (route->federation.count == 0)
		return NULL;
	made = find(gateway->mcp, route);
	if (made == NULL)
		gw_say("%s: %s", route->path != NULL ? route->path : "/", kolk_err_text(KOLK_E_MEMORY));
	return made != NULL ? &made->pool : NULL;
}

void gw_mcp_federations_free(struct gw_mcp *mcp)
{
	struct gw_mcp_federation *made, *next;

	for (made = kolk__load_relaxed(&mcp->federations); made != NULL; made = next) {
		next = made->next;
		pthread_mutex_destroy(&made->lock);
		free(made->route);
		free(made);
	}
}

/* ---- how its servers are */

void gw_mcp_member_told(struct gw_mcp_federation *federation, uint32_t member, const char *error,
			bool down)
{
	struct gw_mcp_member *of = &federation->members[member];
	bool changed;

	pthread_mutex_lock(&federation->lock);
	of->asked++;
	of->failed += error != NULL;
	changed = of->down != down && (down || error == NULL);
	of->down = changed ? down : of->down;
	snprintf(of->error, sizeof of->error, "%s", error != NULL ? error : "");
	pthread_mutex_unlock(&federation->lock);
	if (changed && down)
		gw_say("federation %s: what %s has is left out: %s", federation->route, of->pool->name,
		       error);
	else if (changed)
		gw_say("federation %s: %s answers again", federation->route, of->pool->name);
}

/* ---- a request of a client */

static bool begin_modern(struct gw_mcp_call *call)
{
	bool refused = false;

	if (call->kind == GW_MCP_NOTIFICATION) /* this version has none over HTTP */
		gw_mcp_call_finish(call, 202);
	else if (gw_mcp_member_route(call, &refused))
		return refused;
	else if (strcmp(call->message->method, "server/discover") == 0)
		gw_mcp_discover_all(call);
	else if (strcmp(call->message->method, "subscriptions/listen") == 0)
		gw_mcp_listen_all(call);
	else if (!gw_mcp_list_begin(call))
		gw_mcp_call_error(call, -32601, "Method not found");
	return true;
}

bool gw_mcp_federation_begin(struct gw_mcp_call *call)
{
	if (call->modern)
		return begin_modern(call);
	if (call->kind == GW_MCP_INITIALIZE)
		gw_mcp_federated_initialize(call);
	else
		gw_mcp_federated_begin(call);
	return true;
}
