/* SPDX-License-Identifier: Apache-2.0 */
/*
 * member.c - a request to a federation that is for one of its servers: whose its name is, its
 * message with the name that the server knows, and its way there.
 */
#include <stdio.h>
#include <string.h>

#include "tools/gateway/json.h"
#include "tools/gateway/mcp/adapt.h"
#include "tools/gateway/mcp/federation.h"
#include "tools/gateway/mcp/modern.h"

/* ---- answers of the gateway's own */

void gw_mcp_call_answer(struct gw_mcp_call *call, const char *text)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

	result.result = text;
	result.result_size = strlen(text);
	gw_mcp_call_end(call, &result);
}

void gw_mcp_call_error(struct gw_mcp_call *call, int code, const char *text)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);
	char error[256];

	result.err = KOLK_E_SERVER;
	result.error = error;
	result.error_code = code;
	result.error_size = (size_t)snprintf(error, sizeof error,
					     "{\"code\":%d,\"message\":\"%s\"}", code, text);
	gw_mcp_call_end(call, &result);
}

/* ---- what it is for */

static const struct named {
	const char *method;
	enum gw_mcp_names kind;
	const char *key;             /* of params */
} all_named[] = {
	{ "tools/call", GW_MCP_TOOL, "name" },
	{ "prompts/get", GW_MCP_PROMPT, "name" },
	{ "resources/read", GW_MCP_URI, "uri" },
	{ "resources/subscribe", GW_MCP_URI, "uri" },
	{ "resources/unsubscribe", GW_MCP_URI, "uri" },
};

/* The name that a request has, and its kind; size 0 = it has none. False: it is for no one server. */
static bool find_name(const struct gw_mcp_call *call, enum gw_mcp_names *kind,
		      struct kolk_mcp_part *name)
{
	struct kolk_mcp_part ref;

	if (strcmp(call->message->method, "completion/complete") == 0) {
		ref = gw_json_member_of(call->message->params, "ref");
		*name = gw_json_member_of(ref, "uri");
		*kind = GW_MCP_URI;
		if (!gw_json_says(gw_json_member_of(ref, "type"), "ref/resource")) {
			*name = gw_json_member_of(ref, "name");
			*kind = GW_MCP_PROMPT;
		}
		return true;
	}
	for (size_t i = 0; i < sizeof all_named / sizeof all_named[0]; i++)
		if (strcmp(call->message->method, all_named[i].method) == 0) {
			*kind = all_named[i].kind;
			*name = gw_json_member_of(call->message->params, all_named[i].key);
			return true;
		}
	return false;
}

static void refuse(struct gw_mcp_call *call, enum gw_mcp_names kind)
{
	if (kind == GW_MCP_URI)
		gw_mcp_call_error(call, call->modern ? -32602 : -32002, "Resource not found");
	else
		gw_mcp_call_error(call, -32602,
				  kind == GW_MCP_TOOL ? "Unknown tool" : "Unknown prompt");
}

/* ---- its message */

bool gw_mcp_call_rewrite(struct gw_mcp_call *call, struct kolk_mcp_part params)
{
	struct gw_pipe text = { .data = NULL };
	struct kolk_mcp_envelope read = KOLK_INIT(kolk_mcp_envelope);
	bool ok = gw_pipe_put(&text, "{\"jsonrpc\":\"2.0\",\"id\":") &&
		  gw_mcp_put(&text, call->message->id) && gw_pipe_put(&text, ",\"method\":\"") &&
		  gw_pipe_put(&text, call->message->method) && gw_pipe_put(&text, "\",\"params\":") &&
		  gw_mcp_put(&text, params) && gw_pipe_put(&text, "}");

	if (!ok || kolk_mcp_read(text.data, text.size, &read) != KOLK_OK) {
		gw_pipe_free(&text);
		return false;
	}
	gw_pipe_free(&call->rewritten);
	call->rewritten = text;
	*call->message = read;
	return true;
}

/* ---- its way */

static void take_pool(struct gw_mcp_call *call)
{
	struct gw_mcp_pool *pool = call->pool->federation->members[call->member].pool;

	if (call->suspended_max == 0)
		call->suspended_max = pool->suspended_max;
	call->pool = pool;
	gw_tool_rules_unref(call->tools); /* they allowed the name that the client knows */
	call->tools = NULL;
}

/* From the client's session to that with the server. */
static void enter(struct gw_mcp_call *call)
{
	struct gw_mcp_session *with = gw_mcp_federated_with(call->session, call->member);

	if (with == NULL) {
		gw_mcp_call_refuse(call, 502, "the server does not answer");
		return;
	}
	call->of_slot = call->session->slot;
	call->of_generation = call->repeated ? 0 : call->session->generation;
	call->slot = with->slot;
	call->generation = with->generation;
	gw_mcp_session_remove(call);
	take_pool(call);
	gw_mcp_call_begin(call);
}

/* The server did not know the session, or the session had ended before it was used; or once more does
 * no harm. */
static bool may_repeat(const struct gw_mcp_call *call, const struct kolk_mcp_result *result)
{
	return call->of_generation != 0 && result->lost != 0 && call->kind == GW_MCP_REQUEST &&
	       !call->stream && call->asks == NULL &&
	       (result->status >= 400 || result->reused == 0 ||
		gw_mcp_is_replayable(call->message->method));
}

bool gw_mcp_member_repeats(struct gw_mcp_call *call, const struct kolk_mcp_result *result)
{
	struct gw_mcp_loop *mcp = call->home->mcp;
	struct gw_mcp_session *session = call->of_slot < mcp->capacity ? mcp->slots[call->of_slot] : NULL;

	if (!may_repeat(call, result) || session == NULL || session->generation != call->of_generation)
		return false;
	gw_mcp_input_end(call);
	gw_mcp_session_remove(call);
	gw_mcp_session_add(session, call);
	call->repeated = true;
	call->pool = session->pool;
	gw_mcp_federated_reach(call, call->member, enter);
	return true;
}

bool gw_mcp_member_route(struct gw_mcp_call *call, bool *refused)
{
	struct gw_mcp_owner owner = { .member = 0 };
	struct gw_pipe params = { .data = NULL };
	struct kolk_mcp_part name;
	enum gw_mcp_names kind;
	bool ok;

	if (!find_name(call, &kind, &name))
		return false;
	*refused = true;
	if (!gw_mcp_name_find(call, kind, name, &owner)) {
		gw_pipe_free(&owner.name);
		refuse(call, kind);
		return true;
	}
	call->member = owner.member;
	ok = gw_mcp_replace(&params, call->message->params, name, gw_mcp_text(&owner.name)) &&
	     gw_mcp_call_rewrite(call, gw_mcp_text(&params));
	gw_pipe_free(&owner.name);
	gw_pipe_free(&params);
	*refused = !ok;
	if (!ok)
		gw_mcp_call_refuse(call, 503, kolk_err_text(KOLK_E_MEMORY));
	else if (call->modern)
		take_pool(call);
	else
		gw_mcp_federated_reach(call, call->member, enter);
	return true;
}
