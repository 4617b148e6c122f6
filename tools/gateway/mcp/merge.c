/* SPDX-License-Identifier: Apache-2.0 */
/* merge.c - what the servers of a federation say of themselves, as one; what all of them are told. */
#include <kolk/base.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/json.h"
#include "tools/gateway/mcp/federation.h"

/* ---- capabilities: what one has, all have */

static bool has(const struct gw_mcp_fanout *fanout, const char *capability, const char *flag)
{
	for (uint32_t i = 0; i < fanout->federation->count; i++) {
		struct kolk_mcp_part value = gw_json_member_of(
			gw_json_member_of(gw_mcp_text(&fanout->shares[i].got), "capabilities"), capability);

		if (value.size > 0 && flag != NULL)
			value = gw_json_member_of(value, flag);
		if (value.size > 0 && (flag == NULL || (value.size == 4 && memcmp(value.data, "true", 4) == 0)))
			return true;
	}
	return false;
}

static bool put_capabilities(struct gw_pipe *out, const struct gw_mcp_fanout *fanout)
{
	static const struct {
		const char *name, *flags[2];
	} all[] = { { "tools", { "listChanged" } },
		    { "prompts", { "listChanged" } },
		    { "resources", { "listChanged", "subscribe" } },
		    { "logging", { NULL } },
		    { "completions", { NULL } } };
	bool ok = gw_pipe_put(out, "{"), any = false;

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		bool flagged = false;

		if (!has(fanout, all[i].name, NULL))
			continue;
		ok = ok && gw_pipe_put(out, any ? ",\"" : "\"") && gw_pipe_put(out, all[i].name) &&
		     gw_pipe_put(out, "\":{");
		for (size_t j = 0; j < 2 && all[i].flags[j] != NULL; j++) {
			if (!has(fanout, all[i].name, all[i].flags[j]))
				continue;
			ok = ok && gw_pipe_put(out, flagged ? ",\"" : "\"") &&
			     gw_pipe_put(out, all[i].flags[j]) && gw_pipe_put(out, "\":true");
			flagged = true;
		}
		ok = ok && gw_pipe_put(out, "}");
		any = true;
	}
	return ok && gw_pipe_put(out, "}");
}

/* Each server's, behind its prefix. */
static bool put_instructions(struct gw_pipe *out, const struct gw_mcp_fanout *fanout)
{
	bool ok = true, any = false;

	for (uint32_t i = 0; ok && i < fanout->federation->count; i++) {
		struct kolk_mcp_part said = gw_json_member_of(gw_mcp_text(&fanout->shares[i].got),
							      "instructions");

		if (said.size <= 2 || said.data[0] != '"')
			continue;
		ok = gw_pipe_put(out, any ? "\\n\\n" : ",\"instructions\":\"") &&
		     gw_pipe_put(out, fanout->federation->members[i].prefix) &&
		     gw_pipe_put(out, ": ") && gw_pipe_push(out, said.data + 1, said.size - 2);
		any = true;
	}
	return ok && (!any || gw_pipe_put(out, "\""));
}

static bool put_info(struct gw_pipe *out)
{
	return gw_pipe_put(out, "{\"name\":\"kolk-gateway\",\"version\":\"") &&
	       gw_pipe_put(out, kolk_version_text()) && gw_pipe_put(out, "\"}");
}

/* ---- sessions */

bool gw_mcp_merge_initialize(const struct gw_mcp_fanout *fanout, struct gw_pipe *out)
{
	static const char *const versions[] = { "2024-11-05", "2025-03-26", "2025-06-18" };
	const char *version = "2025-11-25";

	for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
		if (strcmp(fanout->whole->message->version, versions[i]) == 0)
			version = versions[i];
	return gw_pipe_put(out, "{\"protocolVersion\":\"") && gw_pipe_put(out, version) &&
	       gw_pipe_put(out, "\",\"capabilities\":") && put_capabilities(out, fanout) &&
	       gw_pipe_put(out, ",\"serverInfo\":") && put_info(out) && put_instructions(out, fanout) &&
	       gw_pipe_put(out, "}");
}

/* ---- stateless requests */

static void discovered(struct gw_mcp_fanout *fanout, uint32_t member, struct gw_mcp_call *call)
{
	struct kolk_mcp_part result = gw_mcp_fanout_result(fanout, member, call);

	if (!gw_mcp_put(&fanout->shares[member].got, result))
		fanout->shares[member].answered = false;
}

/* Not to be kept: it depends on which servers answer. */
static bool put_discover(struct gw_pipe *out, const struct gw_mcp_fanout *fanout)
{
	return gw_pipe_put(out, "{\"resultType\":\"complete\",\"supportedVersions\":[\"" GW_MCP_MODERN
				"\"],\"ttlMs\":0,\"cacheScope\":\"private\",\"capabilities\":") &&
	       put_capabilities(out, fanout) && put_instructions(out, fanout) &&
	       gw_pipe_put(out, ",\"_meta\":{\"io.modelcontextprotocol/serverInfo\":") &&
	       put_info(out) && gw_pipe_put(out, "}}");
}

static void all_discovered(struct gw_mcp_fanout *fanout)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);
	struct gw_pipe text = { .data = NULL };
	bool any = false;

	for (uint32_t i = 0; i < fanout->federation->count; i++)
		any |= fanout->shares[i].answered;
	if (!any) {
		if (!gw_mcp_fanout_refuses(fanout))
			gw_mcp_call_refuse(fanout->whole, 502, "no server of the federation answers");
		return;
	}
	result.err = put_discover(&text, fanout) ? KOLK_OK : KOLK_E_MEMORY;
	result.result = text.data;
	result.result_size = text.size;
	gw_mcp_call_end(fanout->whole, &result);
	gw_pipe_free(&text);
}

/* The message of the whole goes to all that have a session, or need none. */
static void send_all(struct gw_mcp_fanout *fanout)
{
	const struct gw_mcp_call *whole = fanout->whole;
	struct gw_pipe text = { .data = NULL };
	bool ok = gw_pipe_put(&text, "{\"jsonrpc\":\"2.0\"");

	if (whole->message->id.size > 0)
		ok = ok && gw_pipe_put(&text, ",\"id\":") && gw_mcp_put(&text, whole->message->id);
	ok = ok && gw_pipe_put(&text, ",\"method\":\"") && gw_pipe_put(&text, whole->message->method) &&
	     gw_pipe_put(&text, "\"");
	if (whole->message->params.size > 0)
		ok = ok && gw_pipe_put(&text, ",\"params\":") && gw_mcp_put(&text, whole->message->params);
	ok = ok && gw_pipe_put(&text, "}");
	for (uint32_t i = 0; ok && i < fanout->federation->count; i++)
		if (whole->modern || gw_mcp_federated_with(whole->session, i) != NULL)
			gw_mcp_fanout_send(fanout, i, &text);
	gw_pipe_free(&text);
	gw_mcp_fanout_begun(fanout);
}

void gw_mcp_discover_all(struct gw_mcp_call *call)
{
	struct gw_mcp_fanout *fanout = gw_mcp_fanout_open(call);

	if (fanout == NULL)
		return;
	fanout->ended = discovered;
	fanout->done = all_discovered;
	send_all(fanout);
}

/* ---- told to all sessions of a client */

static void told(struct gw_mcp_fanout *fanout, uint32_t member, struct gw_mcp_call *call)
{
	if (call->kind == GW_MCP_REQUEST)
		fanout->shares[member].answered = gw_mcp_fanout_result(fanout, member, call).size > 0;
}

static void all_told(struct gw_mcp_fanout *fanout)
{
	bool any = false;

	for (uint32_t i = 0; i < fanout->federation->count; i++)
		any |= fanout->shares[i].answered;
	if (fanout->whole->kind == GW_MCP_NOTIFICATION)
		gw_mcp_call_finish(fanout->whole, 202);
	else if (any)
		gw_mcp_call_answer(fanout->whole, "{}");
	else if (!gw_mcp_fanout_refuses(fanout))
		gw_mcp_call_error(fanout->whole, -32601, "Method not found");
}

void gw_mcp_tell_all(struct gw_mcp_call *call)
{
	struct gw_mcp_fanout *fanout = gw_mcp_fanout_open(call);

	if (fanout == NULL)
		return;
	fanout->ended = told;
	fanout->done = all_told;
	send_all(fanout);
}
