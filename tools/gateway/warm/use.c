/* SPDX-License-Identifier: Apache-2.0 */
/* use.c - what loops count: requests to upstreams, and sessions of clients. */
#include <string.h>

#include "tools/gateway/warm/warm.h"

static struct kolk_mcp_part part_of(const char *text)
{
	return (struct kolk_mcp_part){ text, strlen(text) };
}

uint64_t gw_warm_now(const struct gw_loop *loop)
{
	return (kolk_loop_now(loop->loop) + loop->warm->clock_ns) / KOLK_S_NS;
}

void gw_warm_use_pool(struct gw_loop *loop, const char *pool, const char *tenant)
{
	struct gw_warm_use use = { .kind = GW_WARM_CONNECTION };

	if (loop->warm == NULL || tenant[0] == '\0') /* the pool's own keeps idle_min */
		return;
	use.texts[GW_WARM_POOL] = part_of(pool);
	use.texts[GW_WARM_TENANT] = part_of(tenant);
	gw_warm_count_use(loop->warm->count, &use, gw_warm_now(loop));
}

/* A server that is shown the client's token gets nothing from us without it; our own, in this program,
 * is there without a session. */
static bool is_counted(const struct gw_mcp_call *call, const struct gw_mcp_pool *pool)
{
	return call->home->warm != NULL && !call->passes && !pool->local;
}

bool gw_warm_session_use(const struct gw_mcp_call *call, const struct gw_mcp_pool *pool,
			 struct gw_warm_use *use)
{
	const char *version = gw_mcp_version_asked(call->message);

	if (!is_counted(call, pool))
		return false;
	*use = (struct gw_warm_use){ .kind = GW_WARM_SESSION };
	use->texts[GW_WARM_POOL] = part_of(pool->name);
	use->texts[GW_WARM_TENANT] = part_of(call->tenant);
	use->texts[GW_WARM_VERSION] = part_of(version != NULL ? version : "");
	if (pool->options.sharing != KOLK_MCP_MULTIPLEXED)
		use->texts[GW_WARM_CAPABILITIES] = call->message->capabilities;
	use->texts[GW_WARM_CLIENT_INFO] = call->message->client_info;
	return true;
}

struct gw_warm_pair *gw_warm_session_begin(const struct gw_mcp_call *call)
{
	struct gw_warm_use use;

	return gw_warm_session_use(call, call->pool, &use) ?
		       gw_warm_count_open(call->home->warm->count, &use, gw_warm_now(call->home)) : NULL;
}

void gw_warm_session_end(struct gw_loop *loop, struct gw_warm_pair *pair)
{
	if (pair != NULL)
		gw_warm_count_close(loop->warm->count, pair, gw_warm_now(loop));
}

void gw_warm_use_call(const struct gw_mcp_call *call, bool dialog)
{
	struct gw_warm_use use = { .kind = GW_WARM_CALL };

	if (!is_counted(call, call->pool))
		return;
	use.texts[GW_WARM_POOL] = part_of(call->pool->name);
	use.texts[GW_WARM_TENANT] = part_of(call->tenant);
	if (dialog)
		use.texts[GW_WARM_CAPABILITIES] = call->message->meta_capabilities;
	gw_warm_count_use(call->home->warm->count, &use, gw_warm_now(call->home));
}
