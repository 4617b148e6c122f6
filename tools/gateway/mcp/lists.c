/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lists.c - lists of a federation: all pages of all servers, with the names that clients use, in
 * the order of the file and on one page. A server that does not answer is left out.
 */
#include <stdio.h>
#include <string.h>

#include "tools/gateway/json.h"
#include "tools/gateway/mcp/federation.h"

static const struct gw_mcp_list {
	const char *method, *member, *key; /* key: of an entry, what is its name */
	enum gw_mcp_names kind;
} all_lists[] = {
	{ "tools/list", "tools", "name", GW_MCP_TOOL },
	{ "prompts/list", "prompts", "name", GW_MCP_PROMPT },
	{ "resources/list", "resources", "uri", GW_MCP_URI },
	{ "resources/templates/list", "resourceTemplates", "uriTemplate", GW_MCP_URI },
};

/* ---- asked */

/* A page, with the _meta that a stateless request needs. */
static bool put_request(struct gw_pipe *out, const struct gw_mcp_call *whole,
			struct kolk_mcp_part cursor)
{
	bool ok = gw_pipe_put(out, "{\"jsonrpc\":\"2.0\",\"id\":") && gw_mcp_put(out, whole->message->id) &&
		  gw_pipe_put(out, ",\"method\":\"") && gw_pipe_put(out, whole->message->method) &&
		  gw_pipe_put(out, "\",\"params\":{");

	if (cursor.size > 0)
		ok = ok && gw_pipe_put(out, "\"cursor\":") && gw_mcp_put(out, cursor);
	if (whole->modern)
		ok = ok && gw_pipe_put(out, cursor.size > 0 ? ",\"_meta\":" : "\"_meta\":") &&
		     gw_mcp_put(out, whole->message->meta);
	return ok && gw_pipe_put(out, "}}");
}

static void ask(struct gw_mcp_fanout *fanout, uint32_t member, struct kolk_mcp_part cursor)
{
	struct gw_pipe text = { .data = NULL };

	if (put_request(&text, fanout->whole, cursor))
		gw_mcp_fanout_send(fanout, member, &text);
	else
		gw_mcp_member_told(fanout->federation, member, kolk_err_text(KOLK_E_MEMORY),
				   false);
	gw_pipe_free(&text);
}

/* ---- answered */

/* A client that takes another one of two names than the gateway would show what the server says as
 * another server's. */
static bool is_named_once(struct kolk_mcp_part entry, const char *key)
{
	struct gw_json_member member;
	uint32_t count = 0;

	while (gw_json_next(&entry, &member))
		count += gw_json_says(member.name, key);
	return count == 1;
}

/* An entry with the name that clients use. One whose name would not lead back is left out. */
static bool put_entry(struct gw_mcp_fanout *fanout, uint32_t member, struct kolk_mcp_part entry)
{
	const struct gw_mcp_list *list = fanout->list;
	struct kolk_mcp_part name = gw_json_member_of(entry, list->key);
	struct gw_pipe *got = &fanout->shares[member].got, shown = { .data = NULL };
	struct gw_mcp_owner owner = { .member = 0 };
	bool ok;

	if (name.size < 2 || name.data[0] != '"' || !is_named_once(entry, list->key))
		return true;
	ok = gw_mcp_name_put(&shown, &fanout->federation->members[member], list->kind, name);
	if (ok && gw_mcp_name_find(fanout->whole, list->kind, gw_mcp_text(&shown), &owner) &&
	    owner.member == member)
		ok = gw_pipe_put(got, got->size > 0 ? "," : "") &&
		     gw_mcp_replace(got, entry, name, gw_mcp_text(&shown));
	gw_pipe_free(&owner.name);
	gw_pipe_free(&shown);
	return ok;
}

/* How long others may keep it, and who: as the least of the pages says. */
static void take_hints(struct gw_mcp_fanout *fanout, struct kolk_mcp_part result)
{
	uint64_t ms = 0;

	(void)!gw_json_number(gw_json_member_of(result, "ttlMs"), &ms);
	fanout->ttl_ms = ms < fanout->ttl_ms ? ms : fanout->ttl_ms;
	fanout->private |= !gw_json_says(gw_json_member_of(result, "cacheScope"), "public");
}

static void leave_out(struct gw_mcp_fanout *fanout, uint32_t member, const char *reason)
{
	gw_pipe_free(&fanout->shares[member].got);
	fanout->shares[member].answered = false;
	fanout->ttl_ms = 0;
	gw_mcp_member_told(fanout->federation, member, reason, false);
}

static size_t size_of(const struct gw_mcp_fanout *fanout)
{
	size_t size = 0;

	for (uint32_t i = 0; i < fanout->federation->count; i++)
		size += fanout->shares[i].got.size;
	return size;
}

static void page(struct gw_mcp_fanout *fanout, uint32_t member, struct gw_mcp_call *call)
{
	struct gw_mcp_share *share = &fanout->shares[member];
	struct kolk_mcp_part result = gw_mcp_fanout_result(fanout, member, call), entry;
	struct kolk_mcp_part entries = gw_json_member_of(result, fanout->list->member);
	struct kolk_mcp_part next = gw_json_member_of(result, "nextCursor");
	bool ok = true;

	if (result.size == 0) { /* also of a page that is not the first: half a list is none */
		gw_pipe_free(&share->got);
		fanout->ttl_ms = 0;
		return;
	}
	take_hints(fanout, result);
	if (entries.size > 0 && entries.data[0] == '[')
		while (ok && gw_json_entry_next(&entries, &entry))
			ok = put_entry(fanout, member, entry);
	if (!ok)
		leave_out(fanout, member, kolk_err_text(KOLK_E_MEMORY));
	else if (size_of(fanout) > GW_MCP_LIST_MAX ||
		 (next.size > 0 && next.data[0] == '"' && ++share->pages >= GW_MCP_PAGES_MAX))
		leave_out(fanout, member, "its list is too long");
	else if (next.size > 0 && next.data[0] == '"' && !fanout->cancelled &&
		 !(fanout->whole->modern && gw_mcp_call_is_gone(fanout->whole)))
		ask(fanout, member, next);
}

/* ---- together */

static bool put_list(struct gw_pipe *out, const struct gw_mcp_fanout *fanout)
{
	bool ok = gw_pipe_put(out, "{"), any = false;
	char hints[96];

	if (fanout->whole->modern) {
		snprintf(hints, sizeof hints,
			 "\"resultType\":\"complete\",\"ttlMs\":%llu,\"cacheScope\":\"%s\",",
			 (unsigned long long)fanout->ttl_ms, fanout->private ? "private" : "public");
		ok = ok && gw_pipe_put(out, hints);
	}
	ok = ok && gw_pipe_put(out, "\"") && gw_pipe_put(out, fanout->list->member) &&
	     gw_pipe_put(out, "\":[");
	for (uint32_t i = 0; ok && i < fanout->federation->count; i++) {
		if (fanout->shares[i].got.size == 0)
			continue;
		ok = gw_pipe_put(out, any ? "," : "") && gw_mcp_put(out, gw_mcp_text(&fanout->shares[i].got));
		any = true;
	}
	return ok && gw_pipe_put(out, "]}");
}

static void together(struct gw_mcp_fanout *fanout)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);
	struct gw_pipe text = { .data = NULL };
	bool any = false;

	for (uint32_t i = 0; i < fanout->federation->count; i++) {
		any |= fanout->shares[i].answered;
		if (!fanout->shares[i].answered) /* also if there was no memory to ask it */
			fanout->ttl_ms = 0;
	}
	if (!any) {
		if (!gw_mcp_fanout_refuses(fanout))
			gw_mcp_call_error(fanout->whole, -32603, "no server of the federation answers");
		return;
	}
	result.err = put_list(&text, fanout) ? KOLK_OK : KOLK_E_MEMORY;
	result.result = text.data;
	result.result_size = text.size;
	gw_mcp_call_end(fanout->whole, &result);
	gw_pipe_free(&text);
}

static const struct gw_mcp_list *list_of(const struct gw_mcp_call *call)
{
	for (size_t i = 0; i < sizeof all_lists / sizeof all_lists[0]; i++)
		if (strcmp(call->message->method, all_lists[i].method) == 0)
			return &all_lists[i];
	return NULL;
}

static void gather(struct gw_mcp_call *call)
{
	static const struct kolk_mcp_part first = { NULL, 0 };
	struct gw_mcp_fanout *fanout = gw_mcp_fanout_open(call);

	if (fanout == NULL)
		return;
	fanout->list = list_of(call);
	fanout->ttl_ms = UINT32_MAX;
	fanout->ended = page;
	fanout->done = together;
	for (uint32_t i = 0; i < fanout->federation->count; i++) {
		if (call->modern || gw_mcp_federated_with(call->session, i) != NULL)
			ask(fanout, i, first);
		else
			fanout->ttl_ms = 0; /* that is told already */
	}
	gw_mcp_fanout_begun(fanout);
}

bool gw_mcp_list_begin(struct gw_mcp_call *call)
{
	if (list_of(call) == NULL)
		return false;
	if (gw_json_member_of(call->message->params, "cursor").size > 0)
		gw_mcp_call_error(call, -32602, "Invalid cursor"); /* there is one page alone */
	else if (call->modern)
		gather(call);
	else
		gw_mcp_federated_reach(call, GW_FEDERATION_MAX, gather);
	return true;
}
