/* SPDX-License-Identifier: Apache-2.0 */
/* tool_list.c - lists of tools without those that are denied. */
#include "tools/gateway/mcp/tool_list.h"

bool gw_tool_name_read(struct kolk_mcp_part string, char name[GW_TOOL_WRITTEN_MAX], size_t *size)
{
	if (string.size < 2 || string.size > GW_TOOL_WRITTEN_MAX || string.data[0] != '"')
		return false;
	*size = kolk_mcp_decode(string, name);
	return true;
}

static bool put(struct gw_pipe *out, const char *from, const char *to)
{
	return from == to || gw_pipe_push(out, from, (size_t)(to - from));
}

/* Whoever is told: a client that takes another one of two names than the gateway is not told of one that
 * is denied. What has no name cannot be called. */
static bool is_shown(const struct gw_tool_rules *rules, const char *tenant,
		     struct kolk_mcp_part tool)
{
	char name[GW_TOOL_WRITTEN_MAX];
	struct gw_json_member member;
	bool named = false;
	size_t size;

	while (gw_json_next(&tool, &member)) {
		if (!gw_json_says(member.name, "name"))
			continue;
		if (!gw_tool_name_read(member.value, name, &size) ||
		    !gw_tool_rules_allow(rules, tenant, name, size))
			return false;
		named = true;
	}
	return named;
}

/* An entry goes with what stands between it and the one before, blanks and the comma; the first that
 * is shown without: the bracket and its blanks are there. */
static bool put_tools(struct gw_pipe *out, const struct gw_tool_rules *rules, const char *tenant,
		      struct kolk_mcp_part array)
{
	const char *behind = array.data; /* what is there, or not shown */
	struct kolk_mcp_part rest = array, tool;
	bool ok = true, any = false;

	while (ok && gw_json_entry_next(&rest, &tool)) {
		if (behind == array.data)
			ok = put(out, behind, tool.data);
		if (is_shown(rules, tenant, tool)) {
			ok = ok && (!any || put(out, behind, tool.data)) &&
			     put(out, tool.data, tool.data + tool.size);
			any = true;
		}
		behind = tool.data + tool.size;
	}
	return ok && put(out, behind, array.data + array.size);
}

static bool is_list(const struct gw_json_member *member)
{
	return member->value.size > 0 && member->value.data[0] == '[' &&
	       gw_json_says(member->name, "tools");
}

static bool is_for_all(const struct gw_json_member *member)
{
	return gw_json_says(member->name, "cacheScope") && gw_json_says(member->value, "public");
}

bool gw_tool_list_show(const struct gw_tool_rules *rules, const char *tenant,
		       struct kolk_mcp_part *result, struct gw_pipe *out)
{
	static const char private[] = "\"private\"";
	const char *at = result->data;
	struct kolk_mcp_part rest = *result;
	struct gw_json_member member;
	bool ok = true;

	while (ok && rules != NULL && gw_json_next(&rest, &member)) {
		if (is_list(&member))
			ok = put(out, at, member.value.data) &&
			     put_tools(out, rules, tenant, member.value);
		else if (gw_tool_rules_vary(rules) && is_for_all(&member))
			ok = put(out, at, member.value.data) &&
			     gw_pipe_push(out, private, sizeof private - 1);
		else
			continue;
		at = member.value.data + member.value.size;
	}
	if (!ok || at == result->data)
		return ok;
	ok = put(out, at, result->data + result->size);
	*result = (struct kolk_mcp_part){ out->data + out->begin, out->size };
	return ok;
}
