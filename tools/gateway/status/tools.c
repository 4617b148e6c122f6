/* SPDX-License-Identifier: Apache-2.0 */
/* tools.c - the numbers of pooled tools, for the admin server. */
#include "tools/gateway/status/status.h"
#include "tools/gateway/tool/call.h"

/* relaxed: each number is right, and nothing depends on how they were a moment ago */
static json_t *number_of(const kolk__atomic_u64 *number)
{
	return json_integer((json_int_t)kolk__load_relaxed(number));
}

void gw_status_put_tools(json_t *root, const struct gw_tools *tools)
{
	static const char *const kinds[] = { "sql", "query", "redis", "redis", "http", "command" };
	const struct gw_config *config = tools->view->config;
	json_t *list = json_array();

	for (uint32_t i = 0; i < config->tool_count; i++) {
		const char *pool = config->tools[i].pool;
		json_t *tool = json_object();

		json_object_set_new_nocheck(tool, "name", json_string(config->tools[i].name));
		json_object_set_new_nocheck(tool, "calls", number_of(&tools->numbers[i].calls));
		json_object_set_new_nocheck(tool, "failed", number_of(&tools->numbers[i].failed));
		json_object_set_new_nocheck(tool, "inFlight", number_of(&tools->numbers[i].in_flight));
		json_object_set_new_nocheck(tool, "kind", json_string(kinds[config->tools[i].kind]));
		json_object_set_new_nocheck(tool, "pool", json_string(pool != NULL ? pool : ""));
		json_array_append_new(list, tool);
	}
	json_object_set_new_nocheck(root, "tools", list);
}
