/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tool_rules.h - which tools of an MCP route its clients see and may call: `mcp.tools_allow`,
 * `tools_deny`, `tools_tenants`.
 *
 * A pattern is compared with the name as bytes, upper and lower case apart, and '*' in it is any
 * bytes, or none. A tool is allowed if no pattern of `deny` matches it and, where there is `allow`, one
 * of that does; and if both hold of the tenant's own lists, where the tenant has some. So a tenant has
 * never more than the route.
 *
 * Rules are shared: a call holds those that it began with, which may outlive their configuration.
 */
#ifndef KOLK_GATEWAY_TOOL_RULES_H
#define KOLK_GATEWAY_TOOL_RULES_H

#include <kolk/ops/section.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A name that is longer is that of no tool: it is denied. Bytes. */
enum { GW_TOOL_NAME_MAX = 1024 };

/* Lists as the file has them; NULL-terminated, NULL = empty. */
struct gw_tool_lists {
	const char *const *allow, *const *deny;
	bool allows; /* `allow` is there, if empty: then no tool is allowed */
};

/* An item of `mcp.tools_tenants`. */
struct gw_tool_tenant {
	const char *name;
	struct gw_tool_lists lists;
	const struct kolk_config_place *place; /* in the file */
};

struct gw_tool_options {
	struct gw_tool_lists lists;     /* of the route */
	struct kolk_config_list tenants; /* struct gw_tool_tenant; each name once */
};

struct gw_tool_rules;

/* Whether there is a rule in them. */
bool gw_tool_options_are_set(const struct gw_tool_options *options);
/* Make rules of them: all is copied, and the caller's until gw_tool_rules_unref. NULL = no memory. */
struct gw_tool_rules *gw_tool_rules_make(const struct gw_tool_options *options);
/* One holder more: returns rules. One less: the last one frees them. Any thread; NULL is allowed. */
struct gw_tool_rules *gw_tool_rules_ref(struct gw_tool_rules *rules);
void gw_tool_rules_unref(struct gw_tool_rules *rules);

/* Whether a tenant ("" = clients are not told apart) may see and call the tool of this name: as a
 * program reads it, without quotes and escapes. rules NULL = every tool. Any thread. */
bool gw_tool_rules_allow(const struct gw_tool_rules *rules, const char *tenant, const char *name,
			 size_t size);
/* Whether some tenant has lists of its own: what one tenant is told is not for all. */
bool gw_tool_rules_vary(const struct gw_tool_rules *rules);

/* NULL, or what is wrong with a pattern. */
const char *gw_tool_pattern_flaw(const char *pattern);

#endif
