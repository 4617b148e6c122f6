/* SPDX-License-Identifier: Apache-2.0 */
/*
 * level.c - log messages of a server with sessions: the level that a request says in _meta is
 * set in its session, which nobody else has, before the request is sent.
 */
#include <string.h>

#include "tools/gateway/json.h"
#include "tools/gateway/mcp/child.h"
#include "tools/gateway/mcp/dialog.h"
#include "tools/gateway/mcp/legacy.h"

/* A server without such a method has no log messages. */
static void on_end(void *user, struct kolk_mcp_call *back, const struct kolk_mcp_result *result)
{
	struct gw_mcp_call *call = user;

	call->back = NULL;
	call->logs = result->err == KOLK_OK;
	if ((result->err == KOLK_OK || result->err == KOLK_E_SERVER) && !gw_mcp_call_is_gone(call))
		gw_mcp_call_start(call);
	else if (call->dialog != NULL)
		gw_mcp_handler_dialog.end(call->dialog, back, result);
	else
		gw_mcp_handler_alone.end(call, back, result);
}

bool gw_mcp_level_begin(struct gw_mcp_call *call)
{
	static const struct kolk_mcp_handler handler = { .size = sizeof handler, .end = on_end };
	struct kolk_mcp_part level = gw_json_member_of(call->message->meta,
						       "io.modelcontextprotocol/logLevel");
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);
	char params[64] = "{\"level\":";
	const size_t begins = strlen(params);

	if (level.size == 0 || begins + level.size + 2 > sizeof params || !call->pool->calls_alone ||
	    kolk_mcp_era(gw_mcp_calls(call->pool)) == KOLK_MCP_MODERN)
		return false;
	memcpy(params + begins, level.data, level.size);
	params[begins + level.size] = '}';
	request.method = "logging/setLevel";
	request.params = params;
	request.params_size = begins + level.size + 1;
	request.deadline_ns = call->deadline_ns;
	return kolk_mcp_start(call->own, &request, &handler, call, &call->back) == KOLK_PENDING;
}
