/* SPDX-License-Identifier: Apache-2.0 */
/* tools.c - the tools by name, their list, arguments and results of text. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/mcp/tools.h"

static const struct mcp_tool *const groups[] = { mcp_tools_content, mcp_tools_input,
						   mcp_tools_own };
enum { GROUPS = sizeof groups / sizeof *groups };

const struct mcp_tool *mcp_tool_find(const char *name)
{
	for (size_t i = 0; i < GROUPS; i++)
		for (const struct mcp_tool *tool = groups[i]; tool->name != NULL; tool++)
			if (strcmp(tool->name, name) == 0)
				return tool;
	return NULL;
}

json_t *mcp_tools_list(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < GROUPS; i++)
		for (const struct mcp_tool *tool = groups[i]; tool->name != NULL; tool++) {
			json_t *schema = tool->schema != NULL ?
				json_loads(tool->schema, 0, NULL) :
				json_pack("{s:s, s:{}}", "type", "object", "properties");

			json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "name", tool->name,
							      "description", tool->description,
							      "inputSchema", schema));
		}
	return list;
}

json_t *mcp_tool_schema(struct mcp_fixture *fixture, const char *name)
{
	json_t *tool;
	size_t i;

	json_array_foreach(fixture->tools, i, tool)
		if (strcmp(json_string_value(json_object_get(tool, "name")), name) == 0)
			return json_object_get(tool, "inputSchema");
	return NULL;
}

const char *mcp_argument(const struct mcp_call *call, const char *name, const char *otherwise)
{
	const json_t *given = json_object_get(json_object_get(call->params, "arguments"), name);

	return json_is_string(given) ? json_string_value(given) : otherwise;
}

uint64_t mcp_argument_number(const struct mcp_call *call, const char *name, uint64_t otherwise)
{
	const json_t *given = json_object_get(json_object_get(call->params, "arguments"), name);

	return json_is_integer(given) && json_integer_value(given) >= 0 ?
		(uint64_t)json_integer_value(given) : otherwise;
}

static json_t *text_content(const char *format, va_list arguments)
{
	char *text;
	json_t *content;

	if (vasprintf(&text, format, arguments) < 0)
		abort();
	content = json_pack("[{s:s, s:o}]", "type", "text", "text",
			    json_stringn_nocheck(text, strlen(text)));
	free(text);
	return content;
}

void mcp_text_result(struct mcp_call *call, const char *format, ...)
{
	va_list arguments;
	json_t *content;

	va_start(arguments, format);
	content = text_content(format, arguments);
	va_end(arguments);
	mcp_result(call, json_pack("{s:o}", "content", content));
}

void mcp_tool_error(struct mcp_call *call, const char *format, ...)
{
	va_list arguments;
	json_t *content;

	va_start(arguments, format);
	content = text_content(format, arguments);
	va_end(arguments);
	mcp_result(call, json_pack("{s:o, s:b}", "content", content, "isError", 1));
}
