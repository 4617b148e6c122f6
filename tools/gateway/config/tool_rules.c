/* SPDX-License-Identifier: Apache-2.0 */
/* tool_rules.c - what is wrong with the rules of an MCP route's tools, and the rules made of it. */
#include <string.h>

#include "tools/gateway/config/file.h"

static void patterns_check(struct gw_check *c, const struct kolk_config_place *map, const char *key,
			   const char *const *patterns)
{
	const struct kolk_config_place *list = kolk_config_place(map, key);

	for (uint32_t i = 0; patterns != NULL && patterns[i] != NULL; i++) {
		const char *flaw = gw_tool_pattern_flaw(patterns[i]);

		if (flaw != NULL)
			gw_wrong(c, kolk_config_place_entry(list, i), flaw,
				 "this is no pattern of names of tools");
	}
}

/* An empty list is none in the struct, and stands in the file all the same. */
static bool is_there(const struct kolk_config_place *map, const char *key)
{
	return kolk_config_place(map, key) != map;
}

static void tenant_check(struct gw_check *c, struct gw_tool_tenant *tenants, uint32_t at)
{
	struct gw_tool_tenant *tenant = &tenants[at];

	tenant->lists.allows = is_there(tenant->place, "allow");
	patterns_check(c, tenant->place, "allow", tenant->lists.allow);
	patterns_check(c, tenant->place, "deny", tenant->lists.deny);
	if (!tenant->lists.allows && tenant->lists.deny == NULL)
		gw_wrong(c, tenant->place, "write 'allow' or 'deny', or leave it out",
			 "this tenant has no list");
	for (uint32_t i = 0; i < at && tenant->name != NULL; i++)
		if (tenants[i].name != NULL && strcmp(tenants[i].name, tenant->name) == 0) {
			gw_wrong(c, kolk_config_place(tenant->place, "name"),
				 "write its lists in one place",
				 "the tenant '%s' has lists already", tenant->name);
			break;
		}
}

void gw_route_tools_check(struct gw_check *c, struct gw_route *route)
{
	const struct kolk_config_place *mcp = kolk_config_place(route->place, "mcp");
	struct gw_tool_options *tools = &route->access.tools;

	tools->lists.allows = is_there(mcp, "tools_allow");
	patterns_check(c, mcp, "tools_allow", tools->lists.allow);
	patterns_check(c, mcp, "tools_deny", tools->lists.deny);
	for (uint32_t i = 0; i < tools->tenants.count; i++)
		tenant_check(c, tools->tenants.items, i);
	if (tools->tenants.count > 0 &&
	    (route->tenant == GW_TENANT_NONE ||
	     c->file->config.tenants_options.from == GW_TENANTS_NONE))
		gw_wrong(c, kolk_config_place(mcp, "tools_tenants"),
			 "set 'from' in 'tenants' of 'gateway', and no 'tenant: none' in the route",
			 "clients of this route are not told apart");
}

void gw_route_tools_make(struct gw_check *c)
{
	for (uint32_t i = 0; i < c->file->config.route_count; i++) {
		struct gw_route *route = &c->file->config.routes[i];

		if (!gw_tool_options_are_set(&route->access.tools))
			continue;
		route->access.tool_rules = gw_tool_rules_make(&route->access.tools);
		if (route->access.tool_rules == NULL)
			gw_wrong(c, route->place, "", "there is no memory for the rules");
	}
}
