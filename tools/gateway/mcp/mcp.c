/* SPDX-License-Identifier: Apache-2.0 */
/* mcp.c - the MCP servers of the configuration: opened, closed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "tools/gateway/mcp/dialog.h"
#include "tools/gateway/mcp/federation.h"
#include "tools/gateway/say.h"
#include "tools/gateway/tool/server.h"

/* ---- open */

void gw_mcp_engine_options(const struct gw_config *config, struct kolk_engine_options *options)
{
	for (uint32_t i = 0; kolk_config_pool(config->pools, i) != NULL; i++)
		if (kolk_config_mcp(config->pools, i) != NULL)
			options->resources_max = GW_MCP_RESOURCES_MAX;
	if (gw_tool_routes(config) > 0)
		options->resources_max = GW_MCP_RESOURCES_MAX;
}

/* How stateless requests use sessions, where the server has some: shared no more widely than the file
 * says. What a client would have alone, such a request has. */
static uint32_t sharing_of_calls(const struct kolk_mcp_options *options)
{
	if (options->sharing == KOLK_MCP_MULTIPLEXED || options->sharing == KOLK_MCP_EXCLUSIVE)
		return options->isolation == KOLK_MCP_ISOLATION_SESSION ? KOLK_MCP_VIRGIN :
									   options->sharing;
	return options->sharing == KOLK_MCP_VIRGIN ||
			       options->isolation == KOLK_MCP_ISOLATION_SESSION ?
		       KOLK_MCP_VIRGIN : KOLK_MCP_EXCLUSIVE;
}

/* A child that may have none of the sessions. */
static enum kolk_err open_modern(struct kolk_pool *connections, struct gw_mcp_pool *pool)
{
	struct kolk_mcp_options options = pool->options;
	char name[64];

	snprintf(name, sizeof name, "%.52s.mcp.modern", pool->name);
	options.name = name;
	options.era = KOLK_MCP_MODERN;
	options.idle_min = 0;
	return kolk_mcp_open(connections, &options, &pool->modern);
}

static enum kolk_err open_both(struct kolk_pool *connections, struct gw_mcp_pool *pool,
			       struct kolk_failure *failure)
{
	struct kolk_mcp_options calls = pool->options;
	enum kolk_err err = KOLK_OK;
	char name[64];

	pool->may_be_stateless = calls.era == KOLK_MCP_ERA_AUTO &&
				 calls.transport != KOLK_MCP_HTTP_SSE &&
				 calls.transport != KOLK_MCP_WEBSOCKET;
	if (pool->options.era != KOLK_MCP_MODERN) {
		pool->options.era = KOLK_MCP_LEGACY;
		pool->options.failure = failure;
		err = kolk_mcp_open(connections, &pool->options, &pool->sessions);
		pool->options.failure = NULL;
		snprintf(name, sizeof name, "%.54s.mcp.once", pool->name);
		calls.name = name;
	}
	if (err == KOLK_OK && pool->may_be_stateless && calls.transport == KOLK_MCP_STDIO)
		err = open_modern(connections, pool);
	calls.sharing = sharing_of_calls(&calls);
	pool->calls_alone = calls.sharing == KOLK_MCP_VIRGIN;
	calls.failure = failure;
	return err == KOLK_OK ? kolk_mcp_open(connections, &calls, &pool->calls) : err;
}

/* Suspended calls hold connections: others of their tenant need some, too. */
static uint32_t half_of(uint32_t connections_max)
{
	return connections_max == 0 ? 5 : connections_max == 1 ? 1 : connections_max / 2;
}

static enum kolk_err open_pool(struct gateway *gateway, struct gw_mcp_pool *pool, uint32_t index)
{
	const struct kolk_config *config = gateway->view->config->pools;
	const char *token_file = kolk_config_mcp_token_file(config, index);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	enum kolk_err err;

	snprintf(pool->name, sizeof pool->name, "%s", kolk_config_pool(config, index)->name);
	pool->options = *kolk_config_mcp(config, index);
	pool->idle_timeout_ns = pool->options.idle_timeout_ns != 0 ? pool->options.idle_timeout_ns :
								     1800 * KOLK_S_NS;
	if (token_file != NULL) {
		pool->tokens = gw_mcp_tokens_open(token_file, gateway->loop_count);
		if (pool->tokens == NULL)
			return KOLK_E_MEMORY;
		pool->options.credentials = gw_mcp_on_credentials;
	}
	pool->suspended_max = half_of(kolk_config_pool(config, index)->connections_max);
	pool->request_timeout_ns = pool->options.request_timeout_ns;
	if (pool->request_timeout_ns == 0)
		pool->request_timeout_ns = kolk_pool_request_timeout_ns(
			kolk_pool_find(gateway->engine, pool->name));
	err = open_both(kolk_pool_find(gateway->engine, pool->name), pool, &failure);
	if (err != KOLK_OK)
		gw_say("pool %s: %s%s%s", pool->name, kolk_err_text(err),
		       failure.field != NULL ? ": " : "", failure.field != NULL ? failure.field : "");
	return err;
}

static bool open_loops(struct gateway *gateway)
{
	uint8_t key[32];
	bool ok = getrandom(key, sizeof key, 0) == sizeof key;

	for (uint32_t i = 0; ok && i < gateway->loop_count; i++) {
		struct gw_mcp_loop *mcp = gateway->loops[i].mcp = calloc(1, sizeof *mcp);

		if (mcp != NULL)
			mbedtls_gcm_init(&mcp->ids.gcm);
		ok = mcp != NULL && mbedtls_gcm_setkey(&mcp->ids.gcm, MBEDTLS_CIPHER_ID_AES, key,
						       8 * sizeof key) == 0 &&
		     getrandom(&mcp->random, sizeof mcp->random, 0) == sizeof mcp->random;
	}
	explicit_bzero(key, sizeof key);
	return ok;
}

/* The servers of routes with tools. */
static bool open_tools(struct gateway *gateway)
{
	struct gw_mcp *mcp = gateway->mcp;
	uint32_t count = gw_tool_routes(gateway->view->config);
	enum kolk_err err = KOLK_OK;

	mcp->tools_at = mcp->count;
	if (count == 0)
		return true;
	mcp->tools = gw_tools_open(gateway);
	for (uint32_t i = 0; mcp->tools != NULL && err == KOLK_OK && i < count; i++) {
		err = gw_tools_upstream(mcp->tools, i, &mcp->pools[mcp->count++]);
		if (err != KOLK_OK)
			gw_say("tools of route %u: %s", i + 1, kolk_err_text(err));
	}
	return mcp->tools != NULL && err == KOLK_OK;
}

bool gw_mcp_open(struct gateway *gateway)
{
	const struct kolk_config *config = gateway->view->config->pools;
	struct gw_mcp *mcp = gateway->mcp = calloc(1, sizeof *mcp);
	uint32_t count = 0;

	while (kolk_config_pool(config, count) != NULL)
		count++;
	if (mcp == NULL || !open_loops(gateway))
		return false;
	mcp->pools = calloc(count + gw_tool_routes(gateway->view->config) + 1, sizeof *mcp->pools);
	for (uint32_t i = 0; mcp->pools != NULL && i < count; i++)
		if (kolk_config_mcp(config, i) != NULL &&
		    open_pool(gateway, &mcp->pools[mcp->count++], i) != KOLK_OK)
			return false;
	return mcp->pools != NULL && open_tools(gateway);
}

/* Without memory for a cache there is none. */
static void bind(struct gw_target *target, struct gw_mcp_pool *pool)
{
	const uint32_t max = target->route->mcp_cache_max;

	target->mcp = pool;
	if (target->cache == NULL && max != KOLK_NONE && pool->options.era != KOLK_MCP_LEGACY)
		target->cache = gw_mcp_cache_open(max != 0 ? max : GW_MCP_CACHE_MAX, &pool->cached);
}

void gw_mcp_bind(struct gateway *gateway, struct gw_view *view, const struct gw_view *before)
{
	struct gw_mcp *mcp = gateway->mcp;

	for (uint32_t i = 0; i < view->config->route_count; i++) {
		struct gw_mcp_pool *several = gw_mcp_federation_of(gateway, view->targets[i].route);
		uint32_t tools = gw_tools_of_route(view->config, view->targets[i].route);

		if (before != NULL)
			view->targets[i].cache = gw_mcp_cache_ref(before->targets[i].cache);
		if (several != NULL)
			bind(&view->targets[i], several);
		for (uint32_t j = 0; view->targets[i].route->pool != NULL && j < mcp->tools_at; j++)
			if (strcmp(mcp->pools[j].name, view->targets[i].route->pool) == 0)
				bind(&view->targets[i], &mcp->pools[j]);
		if (tools != UINT32_MAX)
			view->targets[i].mcp = &mcp->pools[mcp->tools_at + tools];
	}
}

/* Exchanges may have the view longer than there are pools, whose the numbers of its caches are. */
void gw_mcp_unbind(const struct gw_view *view)
{
	for (uint32_t i = 0; i < view->config->route_count; i++)
		gw_mcp_cache_close(view->targets[i].cache);
}

/* ---- reload */

static bool same_option(const struct kolk_option *option, const char *a, const char *b)
{
	const char *left, *right;

	if (option->kind != KOLK_OPTION_TEXT)
		return memcmp(a, b, option->size) == 0;
	memcpy(&left, a, sizeof left);
	memcpy(&right, b, sizeof right);
	return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

static bool same_pool(const struct gw_config *before, const struct gw_config *after, uint32_t i,
		      uint32_t j)
{
	const struct kolk_option_table *table = kolk_mcp_option_table();
	const struct kolk_mcp_options *a = kolk_config_mcp(before->pools, i);
	const struct kolk_mcp_options *b = kolk_config_mcp(after->pools, j);
	const char *left = kolk_config_mcp_token_file(before->pools, i);
	const char *right = kolk_config_mcp_token_file(after->pools, j);
	bool same = (left == NULL) == (right == NULL) && (left == NULL || strcmp(left, right) == 0);

	for (uint32_t k = 0; same && k < table->count; k++)
		same = table->options[k].key == NULL ||
		       same_option(&table->options[k], (const char *)a + table->options[k].offset,
				   (const char *)b + table->options[k].offset);
	return same;
}

/* Whether each of one is in the other. */
static bool are_among(const struct gw_config *these, const struct gw_config *those)
{
	const struct kolk_pool_options *one, *other;

	for (uint32_t i = 0; (one = kolk_config_pool(these->pools, i)) != NULL; i++) {
		bool found = kolk_config_mcp(these->pools, i) == NULL;

		for (uint32_t j = 0;
		     !found && (other = kolk_config_pool(those->pools, j)) != NULL; j++)
			found = kolk_config_mcp(those->pools, j) != NULL &&
				strcmp(one->name, other->name) == 0 &&
				same_pool(these, those, i, j);
		if (!found)
			return false;
	}
	return true;
}

bool gw_mcp_same(const struct gw_config *before, const struct gw_config *after)
{
	return are_among(before, after) && are_among(after, before);
}

/* ---- the end */

static void drain_loop(struct gw_loop *loop, void *user)
{
	(void)user;
	loop->mcp->draining = true;
	for (struct gw_mcp_session *session = loop->mcp->all; session != NULL; session = session->next)
		for (struct gw_mcp_call *call = session->calls; call != NULL; call = call->next)
			if (call->kind == GW_MCP_LISTEN && call->back != NULL)
				kolk_mcp_cancel(call->back);
	for (struct gw_mcp_call *call = loop->mcp->alone; call != NULL; call = call->next)
		if (strcmp(call->message->method, "subscriptions/listen") == 0 && call->back != NULL)
			kolk_mcp_cancel(call->back);
}

static void close_loop(struct gw_loop *loop, void *user)
{
	struct gw_mcp_session *next;

	(void)user;
	loop->mcp->closing = true; /* one that is closed closes no others */
	for (struct gw_mcp_session *session = loop->mcp->all; session != NULL; session = next) {
		next = session->next;
		gw_mcp_session_close(session);
	}
	for (struct gw_mcp_call *call = loop->mcp->alone; call != NULL; call = call->next)
		if (call->back != NULL)
			gw_mcp_call_cancel(call);
	gw_mcp_dialogs_end(loop);
}

static bool is_open(const struct gateway *gateway)
{
	return gateway->mcp != NULL && gateway->mcp->count > 0;
}

void gw_mcp_drain(struct gateway *gateway)
{
	if (is_open(gateway))
		gw_each_loop(gateway, drain_loop, NULL);
}

/* What was posted before has run. */
static void wait_for_loop(struct gw_loop *loop, void *user)
{
	(void)loop;
	(void)user;
}

/* Its sessions begin to end. */
static void drain_one(const struct kolk_mcp *mcp, uint64_t deadline_ns)
{
	if (mcp != NULL)
		(void)kolk_pool_drain(kolk_mcp_pool(mcp), deadline_ns);
}

/* A server that is slow takes the time of no other, which would end later. */
static void drain_all(struct gw_mcp *mcp, uint64_t deadline_ns)
{
	for (uint32_t i = 0; mcp != NULL && i < mcp->count; i++) {
		drain_one(mcp->pools[i].sessions, deadline_ns);
		drain_one(mcp->pools[i].calls, deadline_ns);
		drain_one(mcp->pools[i].modern, deadline_ns);
	}
}

static bool close_one(struct kolk_mcp **mcp, uint64_t deadline_ns)
{
	if (*mcp != NULL && kolk_mcp_close(*mcp, deadline_ns) != KOLK_OK)
		return false;
	*mcp = NULL;
	return true;
}

bool gw_mcp_close(struct gateway *gateway, uint64_t deadline_ns)
{
	struct gw_mcp *mcp = gateway->mcp;
	bool ended = true;

	if (is_open(gateway) && gateway->loops[gateway->loop_count - 1].mcp != NULL) {
		gw_each_loop(gateway, close_loop, NULL);
		gw_each_loop(gateway, wait_for_loop, NULL);
	}
	drain_all(mcp, deadline_ns);
	for (uint32_t i = 0; mcp != NULL && i < mcp->count; i++)
		ended &= close_one(&mcp->pools[i].sessions, deadline_ns) &&
			 close_one(&mcp->pools[i].calls, deadline_ns) &&
			 close_one(&mcp->pools[i].modern, deadline_ns);
	if (!ended || mcp == NULL || !gw_tools_close(mcp->tools, deadline_ns))
		return ended && mcp == NULL;
	mcp->tools = NULL;
	gw_mcp_unbind(gateway->view);
	for (uint32_t i = 0; i < mcp->count; i++)
		gw_mcp_tokens_free(mcp->pools[i].tokens);
	for (uint32_t i = 0; i < gateway->loop_count && gateway->loops[i].mcp != NULL; i++) {
		gw_mcp_calls_free(gateway->loops[i].mcp);
		gw_mcp_ids_free(&gateway->loops[i].mcp->ids);
		free(gateway->loops[i].mcp->slots);
		free(gateway->loops[i].mcp->free_slots);
		free(gateway->loops[i].mcp);
	}
	gw_mcp_federations_free(mcp);
	free(mcp->pools);
	free(mcp);
	gateway->mcp = NULL;
	return true;
}
