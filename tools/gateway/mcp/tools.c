/* SPDX-License-Identifier: Apache-2.0 */
/* tools.c - requests for tools, and lists of them, by the rules of a route. */
#include "tools/gateway/mcp/tools.h"

#include <string.h>

#include "tools/gateway/mcp/batch.h"
#include "tools/gateway/say.h"
#include "tools/gateway/mcp/tool_list.h"

/* Counted, and kept for the access log, in the client's request; a line of the standard input has none. */
static void note(struct gw_mcp_call *call, const char *name, size_t size)
{
	struct gw_mcp_call *whole = gw_mcp_batch_has(call) ? call->batch->whole : call;
	char shown[64];
	size_t i;

	kolk__add_relaxed(&call->pool->tools_denied, 1);
	pthread_mutex_lock(&whole->lock);
	if (whole->tool_denied == NULL)
		whole->tool_denied = strndup(name, size);
	whole->tools_denied++;
	pthread_mutex_unlock(&whole->lock);
	if (call->line == NULL)
		return;
	for (i = 0; i < size && i < sizeof shown - 1; i++)
		shown[i] = name[i] >= ' ' && name[i] <= '~' ? name[i] : '?';
	shown[i] = '\0';
	gw_say("pool %s: the tool '%s' is denied", call->pool->name, shown);
}

/* Every method of tools but that which lists them: what else comes to be one says the name likewise. */
static bool names_tool(const char *method)
{
	return strncmp(method, "tools/", 6) == 0 && strcmp(method, "tools/list") != 0;
}

static void answer_unknown(struct gw_mcp_call *call)
{
	static const char unknown[] = "{\"code\":-32602,\"message\":\"Unknown tool\"}";
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

	result.err = KOLK_E_SERVER;
	result.error = unknown;
	result.error_size = sizeof unknown - 1;
	if (call->kind == GW_MCP_NOTIFICATION)
		gw_mcp_call_finish(call, 400); /* it has no answer but that */
	else
		gw_mcp_call_end(call, &result);
}

bool gw_mcp_tools_refuse(struct gw_mcp_call *call)
{
	char name[GW_TOOL_WRITTEN_MAX];
	size_t size = 0;

	name[0] = '\0';
	if (call->tools == NULL || !names_tool(call->message->method))
		return false;
	if (gw_tool_name_read(gw_json_member_of(call->message->params, "name"), name, &size) &&
	    gw_tool_rules_allow(call->tools, call->tenant, name, size))
		return false;
	note(call, name, size);
	answer_unknown(call);
	return true;
}

bool gw_mcp_tools_show(const struct gw_mcp_call *call, struct kolk_mcp_part *result,
		       struct gw_pipe *out)
{
	return strcmp(call->message->method, "tools/list") != 0 ||
	       gw_tool_list_show(call->tools, call->tenant, result, out);
}
