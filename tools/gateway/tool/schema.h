/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h - parameters of a tool: what clients are told of them, and arguments that are checked. */
#ifndef KOLK_GATEWAY_TOOL_SCHEMA_H
#define KOLK_GATEWAY_TOOL_SCHEMA_H

#include <kolk/mcp.h>

#include "tools/gateway/tool/tool.h"
#include "tools/gateway/tool/json.h"

/* What a call gave for a parameter, or its default. */
struct gw_argument {
	const char *text;            /* of a string what it says, any bytes; of others as JSON has it */
	size_t size;
	struct kolk_mcp_part json;   /* size 0 = it was not given, and has no default */
	struct gw_argument *items;   /* of a list, which has no text; malloc'd; NULL = it is none */
	uint32_t count;              /* of them */
};

/* NULL, or what is wrong with a default or a bound of it; sets lowest and highest. */
const char *gw_parameter_flaw(struct gw_parameter *parameter);
/* Its number; UINT32_MAX = there is none of that name. */
uint32_t gw_parameter_find(const struct gw_tool *tool, const char *name, size_t size);
/* The tool as tools/list has it. */
void gw_tool_describe(const struct gw_tool *tool, struct gw_text *to);

/* Those of a call, one for each parameter. */
struct gw_arguments {
	struct gw_argument at[GW_PARAMETERS_MAX];
	char *memory;                /* of their texts; to be freed */
	char flaw[256];              /* which is wrong and why, for the model that made it */
};

/* Read the object of a call's arguments, in which their JSON stays. False = one of them is wrong. */
bool gw_arguments_read(const struct gw_tool *tool, struct kolk_mcp_part object,
		       struct gw_arguments *arguments);
void gw_arguments_free(struct gw_arguments *arguments);

#endif
