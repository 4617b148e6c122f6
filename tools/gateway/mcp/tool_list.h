/* SPDX-License-Identifier: Apache-2.0 */
/* tool_list.h - names of tools as JSON writes them, and lists of tools without those that are denied. */
#ifndef KOLK_GATEWAY_TOOL_LIST_H
#define KOLK_GATEWAY_TOOL_LIST_H

#include "tools/gateway/json.h"
#include "tools/gateway/pipe.h"
#include "tools/gateway/mcp/tool_rules.h"

/* A name with its quotes: each of its bytes may be an escape of six. */
enum { GW_TOOL_WRITTEN_MAX = 2 + 6 * GW_TOOL_NAME_MAX };

/* What a string of JSON says. False: no tool is called so. */
bool gw_tool_name_read(struct kolk_mcp_part string, char name[GW_TOOL_WRITTEN_MAX], size_t *size);

/* A result of tools/list becomes that for a tenant: without the tools that rules deny, in `out`, which
 * is empty; all else stays byte for byte, but that what is the tenant's alone is not said to be
 * public (`cacheScope`). It stays in its place if nothing of it changes. False = no memory. */
bool gw_tool_list_show(const struct gw_tool_rules *rules, const char *tenant,
		       struct kolk_mcp_part *result, struct gw_pipe *out);

#endif
