/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.c - a server that is a child process with `era: auto`: has it sessions? A stateless request
 * asks it first (server/discover), in a child that serves such requests if it answers. An error,
 * silence or its end says that it has sessions: some servers end when they are asked, so no session
 * is in that child. The silence of one that has answered before says that it is busy.
 */
#include "tools/gateway/mcp/child.h"

/* How long it is believed; if it said nothing. */
#define ERA_NS (3600 * KOLK_S_NS)
#define SILENT_NS (60 * KOLK_S_NS)
/* It may have to be downloaded first. */
#define ASK_NS (10 * KOLK_S_NS)

static void set_era(struct gw_mcp_pool *pool, enum kolk_mcp_era era, uint64_t believed_ns)
{
	kolk__store_relaxed(&pool->child_era, kolk_in_ns(believed_ns) << 2 | (uint64_t)era);
	if (era == KOLK_MCP_LEGACY)
		(void)kolk_pool_rotate(kolk_mcp_pool(pool->modern)); /* its child has no use */
}

/* ---- asked */

static void leave(struct gw_mcp_call *call)
{
	*call->at = call->next;
	if (call->next != NULL)
		call->next->at = call->at;
	kolk_mcp_client_close(call->own);
	call->own = NULL;
}

/* False = it says nothing of that. */
static bool take_era(struct gw_mcp_pool *pool, const struct kolk_mcp_result *result)
{
	const bool answered = result->err == KOLK_OK || result->err == KOLK_E_SERVER;
	const enum kolk_mcp_era era = gw_mcp_child_said(gw_mcp_child_era(pool), result);

	if (era != KOLK_MCP_ERA_AUTO)
		set_era(pool, era, answered ? ERA_NS : SILENT_NS);
	return era != KOLK_MCP_ERA_AUTO;
}

static void on_end(void *user, struct kolk_mcp_call *back, const struct kolk_mcp_result *result)
{
	struct gw_mcp_call *call = user;

	(void)back;
	call->back = NULL;
	if (result->err == KOLK_E_CANCELLED || !take_era(call->pool, result)) {
		gw_mcp_call_end(call, result);
		return;
	}
	leave(call);
	gw_mcp_call_begin(call);
}

bool gw_mcp_child_ask(struct gw_mcp_call *call)
{
	static const struct kolk_mcp_handler handler = { .size = sizeof handler, .end = on_end };
	struct kolk_mcp_client_options options = KOLK_INIT(kolk_mcp_client_options);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);
	uint64_t until_ns = kolk__load_relaxed(&call->pool->child_era) >> 2;

	if (call->pool->modern == NULL || kolk_in_ns(0) < until_ns)
		return false;
	who.tenant = call->tenant[0] != '\0' ? call->tenant : NULL;
	options.who = &who;
	if (kolk_mcp_client_open(call->pool->modern, call->home->loop, &options, &call->own) != KOLK_OK)
		return false;
	gw_mcp_call_list(call);
	request.method = "server/discover";
	request.deadline_ns = kolk_in_ns(ASK_NS);
	if (kolk_mcp_start(call->own, &request, &handler, call, &call->back) == KOLK_PENDING)
		return true;
	leave(call);
	return false;
}
