/* SPDX-License-Identifier: Apache-2.0 */
/* tools_rows.c - the keys of an item of `tools`: which field of which struct each is. */
#include "tools/gateway/tool/tool.h"

enum { REQUIRED = KOLK_OPTION_REQUIRED, NEGATED = KOLK_OPTION_NEGATED };

typedef const char *text;
typedef const char *const *list;

#define PATH 4095
#define WORD_MAX 4096
#define TEXT_MAX 65536

/* clang-format off */

static const struct kolk_option_word types[] = {
	{ "string", GW_PARAMETER_STRING }, { "integer", GW_PARAMETER_INTEGER },
	{ "number", GW_PARAMETER_NUMBER }, { "boolean", GW_PARAMETER_BOOLEAN },
	{ "enum", GW_PARAMETER_ENUM }, { NULL, 0 }
};

#define KOLK_OPTION_STRUCT struct gw_parameter
static const struct kolk_option parameter_rows[] = {
	KOLK_OPTION_ROW(text, name, TEXT, REQUIRED, 0, 1, 64, "name", NULL, "letters, digits, _", NULL,
			"as {{name}} says it")
	KOLK_OPTION_ROW(uint32_t, type, WORD, 0, 0, 0, 0, "type", types, NULL, NULL,
			"enum: one of `values`")
	KOLK_OPTION_ROW(text, description, TEXT, 0, 0, 1, WORD_MAX, "description", NULL, "text", "none",
			"for the model")
	KOLK_OPTION_ROW(uint32_t, required, SWITCH, 0, 0, 0, 1, "required", NULL, NULL, NULL, "")
	KOLK_OPTION_ROW(text, fallback, TEXT, 0, 0, 0, WORD_MAX, "default", NULL, "text of a value",
			"none", "of a parameter that is not required")
	KOLK_OPTION_ROW(list, values, LIST, 0, 0, 0, WORD_MAX, "values", NULL, "list",
			"any; required with enum", "of string and enum")
	KOLK_OPTION_ROW(text, minimum, TEXT, 0, 0, 1, 40, "minimum", NULL, "a number", "none",
			"of integer and number")
	KOLK_OPTION_ROW(text, maximum, TEXT, 0, 0, 1, 40, "maximum", NULL, "a number", "none", "")
	KOLK_OPTION_ROW(uint32_t, length_min, COUNT, 0, 0, 1, 1048576, "length_min", NULL, NULL, "none",
			"characters of a string")
	KOLK_OPTION_ROW(uint32_t, length_max, COUNT, 0, GW_TOOL_LENGTH, 1, 1048576, "length_max", NULL,
			NULL, NULL, "")
	KOLK_OPTION_ROW(uint32_t, items_max, COUNT, 0, 0, 1, GW_TOOL_ITEMS_MAX, "items_max", NULL,
			NULL, "none", "it is a list of such values, of so many items at most")
};
static const struct kolk_option_table parameter_table =
	KOLK_OPTION_TABLE("parameters", parameter_rows);
#undef KOLK_OPTION_STRUCT

#define KOLK_OPTION_STRUCT struct gw_tool_case
static const struct kolk_option case_rows[] = {
	KOLK_OPTION_ROW(text, value, TEXT, REQUIRED, 0, 1, WORD_MAX, "value", NULL, "text", NULL,
			"of the parameter that `case_of` names")
	KOLK_OPTION_ROW(list, redis, LIST, REQUIRED, 0, 0, WORD_MAX, "redis", NULL, "list", NULL,
			"the command of this case")
};
static const struct kolk_option_table case_table = KOLK_OPTION_TABLE("cases", case_rows);
#undef KOLK_OPTION_STRUCT

static const struct kolk_option_word results[] = {
	{ "structured", GW_TOOL_STRUCTURED }, { "success", GW_TOOL_SUCCESS }, { NULL, 0 }
};

#define KOLK_OPTION_STRUCT struct gw_tool
static const struct kolk_option tool_rows[] = {
	KOLK_OPTION_ROW(text, name, TEXT, REQUIRED, 0, 1, 64, "name", NULL, "letters, digits, _ - .",
			NULL, "as routes and clients call it")
	KOLK_OPTION_ROW(text, title, TEXT, 0, 0, 1, 255, "title", NULL, "text", "none", "for people")
	KOLK_OPTION_ROW(text, description, TEXT, 0, 0, 1, WORD_MAX, "description", NULL, "text", "none",
			"for the model")
	KOLK_OPTION_ROW(text, pool, TEXT, 0, 0, 1, 63, "pool", NULL, "name of a pool",
			"required but with `command`",
			"protocol postgres for `sql` and `sql_from`, redis, http")
	KOLK_OPTION_ROW(uint64_t, timeout_ns, DURATION, 0, GW_TOOL_TIMEOUT_NS, KOLK_MS_NS,
			GW_TOOL_TIMEOUT_MAX_NS, "timeout", NULL, NULL, NULL,
			"of a call, the wait for a connection too")
	KOLK_OPTION_ROW(uint64_t, bytes_max, BYTES, 0, GW_TOOL_BYTES, 1024, 4u << 20, "bytes_max", NULL,
			NULL, NULL, "of rows, a reply, a body, an output; more is an error")
	KOLK_OPTION_ROW(uint32_t, result, WORD, 0, 0, 0, 0, "result", results, NULL, NULL,
			"success: {\"success\", \"data\" or \"error\"}")
	KOLK_OPTION_ROW(text, sql, TEXT, 0, 0, 1, TEXT_MAX, "sql", NULL, "a statement",
			"one of these kinds", "{{name}} is a parameter of the statement")
	KOLK_OPTION_ROW(text, sql_from, TEXT, 0, 0, 1, 64, "sql_from", NULL, "name of a parameter",
			"one of these kinds",
			"the client's own SELECT or VALUES, in a read-only transaction")
	KOLK_OPTION_ROW(uint32_t, writes, SWITCH, NEGATED, 0, 0, 1, "read_only", NULL, NULL, NULL,
			"of `sql`: in a read-only transaction")
	KOLK_OPTION_ROW(uint32_t, rows_max, COUNT, 0, GW_TOOL_ROWS, 1, 10000, "rows_max", NULL, NULL,
			NULL, "in a result; others are left out, and `truncated` says so")
	KOLK_OPTION_ROW(list, redis, LIST, 0, 0, 0, WORD_MAX, "redis", NULL, "list",
			"one of these kinds", "a command and its arguments")
	KOLK_OPTION_ROW(text, case_of, TEXT, 0, 0, 1, 64, "case_of", NULL, "name of a parameter",
			"required with `cases`", "which of them it is")
	KOLK_OPTION_ROW(text, http_method, TEXT, 0, 0, 1, 32, "http.method", NULL,
			"GET, HEAD, POST, PUT, PATCH, DELETE", "GET", "")
	KOLK_OPTION_ROW(text, http_path, TEXT, REQUIRED, 0, 1, PATH, "http.path", NULL, "/path", NULL,
			"values are percent-encoded")
	KOLK_OPTION_ROW(list, http_query, LIST, 0, 0, 1, WORD_MAX, "http.query", NULL,
			"list of name=value", "none", "likewise")
	KOLK_OPTION_ROW(list, http_headers, LIST, 0, 0, 1, WORD_MAX, "http.headers", NULL,
			"list of \"Name: value\"", "none", "without {{name}}")
	KOLK_OPTION_ROW(text, http_body, TEXT, 0, 0, 1, TEXT_MAX, "http.body", NULL, "JSON", "none",
			"{{name}} is a value of it, or in a string of it")
	KOLK_OPTION_ROW(list, command, LIST, 0, 0, 0, WORD_MAX, "command", NULL, "list",
			"one of these kinds",
			"the path of a program and its arguments: a child for each call, no shell")
	KOLK_OPTION_ROW(list, environment, LIST, 0, 0, 1, WORD_MAX, "environment", NULL,
			"list of NAME=value", "none", "of children; nothing else but `inherit`")
	KOLK_OPTION_ROW(list, inherit, LIST, 0, 0, 1, 255, "inherit", NULL, "list of names", "none",
			"variables of the gateway's that children get")
	KOLK_OPTION_ROW(text, directory, TEXT, 0, 0, 1, PATH, "directory", NULL, "path", "/",
			"in which children run")
	KOLK_OPTION_ROW(uint32_t, calls_max, COUNT, 0, GW_TOOL_CALLS, 1, 64, "calls_max", NULL, NULL,
			NULL, "children at a time; other calls wait for them")
};
static const struct kolk_option_table tool_table = KOLK_OPTION_TABLE("tools", tool_rows);
#undef KOLK_OPTION_STRUCT

/* ---- sections */

static const struct kolk_section_part parameter_parts[] = {
	{ .kind = KOLK_SECTION_KEYS, .key = "", .table = &parameter_table },
};
static const struct kolk_section parameters =
	KOLK_SECTION_KEYED("parameters", struct gw_parameter, place, parameter_parts);

static const struct kolk_section_part case_parts[] = {
	{ .kind = KOLK_SECTION_KEYS, .key = "", .table = &case_table },
};
static const struct kolk_section cases =
	KOLK_SECTION("cases", struct gw_tool_case, place, case_parts);

static const struct kolk_section_part http_parts[] = {
	{ .kind = KOLK_SECTION_KEYS, .key = "http.", .table = &tool_table },
};
static const struct kolk_section http = { .name = "http", .struct_size = sizeof(struct gw_tool),
	.parts = http_parts, .part_count = 1 };

static const struct kolk_section_part tool_parts[] = {
	{ .kind = KOLK_SECTION_KEYS, .key = "", .table = &tool_table },
	{ .kind = KOLK_SECTION_MAP, .key = "http", .section = &http },
	{ .kind = KOLK_SECTION_LIST, .key = "parameters", .section = &parameters,
	  .entries_max = GW_PARAMETERS_MAX, .offset = offsetof(struct gw_tool, parameters) },
	{ .kind = KOLK_SECTION_LIST, .key = "cases", .section = &cases,
	  .entries_max = GW_TOOL_CASES_MAX, .offset = offsetof(struct gw_tool, cases) },
};
const struct kolk_section gw_tool_section =
	KOLK_SECTION("tools", struct gw_tool, place, tool_parts);

/* clang-format on */
