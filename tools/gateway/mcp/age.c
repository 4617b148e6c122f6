/* SPDX-License-Identifier: Apache-2.0 */
/* age.c - the end of streams that only listen, on their home: as if the gateway drained. */
#include "tools/gateway/mcp/age.h"

#include <string.h>

/* One that has not begun at the server yet is looked at again. */
static void on_age(struct kolk_timer *timer, void *user)
{
	struct gw_mcp_call *call = user;

	(void)kolk_timer_start(call->home->loop, timer, kolk_in_ns(KOLK_S_NS), on_age, call);
	gw_mcp_call_cancel(call);
}

/* Parts of a stream from several servers end with the whole. */
static bool listens(const struct gw_mcp_call *call)
{
	return call->line == NULL && call->fanout == NULL &&
	       (call->kind == GW_MCP_LISTEN ||
		(call->modern && strcmp(call->message->method, "subscriptions/listen") == 0));
}

void gw_mcp_age_begin(struct gw_mcp_call *call)
{
	uint64_t max_ns = call->age_max_ns != 0 ? call->age_max_ns : GW_MCP_STREAM_AGE_NS;

	if (max_ns == KOLK_FOREVER || !listens(call))
		return;
	(void)kolk_timer_start(call->home->loop, &call->age,
			       kolk_in_ns(gw_mcp_age_ns(max_ns, &call->home->mcp->random)), on_age,
			       call);
}

void gw_mcp_age_end(struct gw_mcp_call *call)
{
	kolk_timer_stop(&call->age);
}
