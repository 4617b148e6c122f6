/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tool.h - pooled tools: an MCP server of the gateway's own, whose tools run on its pools.
 *
 *   config/tools_rows.c  the keys of `tools`
 *   config/tools.c       what is wrong with a tool; what is made of it
 *   template.h           texts with {{name}} in them
 *   schema.h             what a client is told of parameters; its arguments, read and checked
 *   json.h               JSON, written
 *   server.c             the server: initialize, tools/list, tools/call (kolk/mcp_local.h)
 *   call.h               a call under way, and its result
 *   sql.c, redis.c, http.c, command.c
 *                        what a call does, by the kind of its tool
 *   process.h            child processes of command tools, on threads
 *
 * An argument is bound where the protocol of the tool has a place for it: a parameter of a statement,
 * an argument of a Redis command or of a program. Where it has none, in a URL and in JSON, it is
 * encoded as what it is. So no argument can become a part of a command.
 */
#ifndef KOLK_GATEWAY_TOOL_H
#define KOLK_GATEWAY_TOOL_H

#include <kolk/http.h>
#include <kolk/ops/section.h>

struct gw_template;

enum {
	GW_TOOLS_MAX = 256, GW_PARAMETERS_MAX = 32, GW_TOOL_CASES_MAX = 64, GW_TOOL_WORDS_MAX = 64,
	GW_TOOL_CALLS = 4, GW_TOOL_ROWS = 100,
	/* Items of a list; words of a command with those of its lists. */
	GW_TOOL_ITEMS_MAX = 1000, GW_TOOL_ARGUMENTS_MAX = 1024
};
#define GW_TOOL_TIMEOUT_NS (10 * KOLK_S_NS)
#define GW_TOOL_TIMEOUT_MAX_NS (600 * KOLK_S_NS)
#define GW_TOOL_BYTES (256u << 10)
#define GW_TOOL_LENGTH 4096

enum gw_parameter_type {
	GW_PARAMETER_STRING = 0, GW_PARAMETER_INTEGER, GW_PARAMETER_NUMBER, GW_PARAMETER_BOOLEAN,
	GW_PARAMETER_ENUM
};

/* An item of `parameters`. */
struct gw_parameter {
	uint32_t type;               /* enum gw_parameter_type */
	uint32_t required;
	const char *name, *description;
	const char *fallback;        /* `default`; NULL = none */
	const char *const *values;   /* of STRING and ENUM; NULL = any */
	const char *minimum, *maximum; /* of INTEGER and NUMBER; NULL = none */
	uint32_t length_min, length_max; /* of STRING, characters; 0 = none; 0 = GW_TOOL_LENGTH */
	uint32_t items_max;          /* it is a list of such values; 0 = it is one of them */
	const struct kolk_config_place *place;
	const char *fallback_json;   /* made of fallback */
	long double lowest, highest; /* made of minimum and maximum */
};

/* Words of a Redis command, of a program, of a query. */
struct gw_words {
	const struct gw_template *at;
	uint32_t count;
};

/* An item of `cases`. */
struct gw_tool_case {
	const char *const *redis;
	const char *value;           /* of the parameter `case_of` */
	const struct kolk_config_place *place;
	struct gw_words words;       /* made of redis */
};

enum gw_tool_kind {
	GW_TOOL_SQL, GW_TOOL_QUERY, GW_TOOL_REDIS, GW_TOOL_CASES, GW_TOOL_HTTP, GW_TOOL_COMMAND
};

enum gw_tool_result { GW_TOOL_STRUCTURED = 0, GW_TOOL_SUCCESS };

/* An item of `tools`. */
struct gw_tool {
	uint32_t result;             /* enum gw_tool_result */
	uint32_t writes;             /* 1 = not in a read-only transaction */
	uint32_t rows_max;           /* 0 = GW_TOOL_ROWS */
	uint32_t calls_max;          /* children at a time; 0 = GW_TOOL_CALLS */
	const char *name, *title, *description;
	const char *pool;            /* NULL = of a command */
	uint64_t timeout_ns;         /* 0 = GW_TOOL_TIMEOUT_NS */
	uint64_t bytes_max;          /* 0 = GW_TOOL_BYTES */
	const char *sql, *sql_from;  /* one of these: which is its kind */
	const char *const *redis, *const *command;
	const char *case_of;         /* with cases */
	const char *http_method, *http_path, *http_body;
	const char *const *http_query, *const *http_headers;
	const char *const *environment, *const *inherit;
	const char *directory;       /* NULL = "/" */
	struct kolk_config_list parameters; /* struct gw_parameter */
	struct kolk_config_list cases; /* struct gw_tool_case */
	const struct kolk_config_place *place;

	/* Made of these by config/tools.c. */
	uint32_t kind;               /* enum gw_tool_kind */
	uint32_t index;              /* in the order of the file */
	uint32_t from;               /* QUERY, CASES: number of the parameter */
	struct gw_words words;       /* REDIS, COMMAND; HTTP: its query */
	const struct gw_template *path, *body; /* HTTP */
	const struct kolk_http_field *fields;
	uint32_t field_count;
	const char *statement;       /* SQL: with $1, $2 ... */
	const uint32_t *bound;       /* whose parameters these are */
	uint32_t bound_count;
	const char *listed;          /* as tools/list has it, JSON */
};

static inline const struct gw_parameter *gw_tool_parameter(const struct gw_tool *tool, uint32_t i)
{
	return (const struct gw_parameter *)tool->parameters.items + i;
}

static inline uint64_t gw_tool_bytes_max(const struct gw_tool *tool)
{
	return tool->bytes_max != 0 ? tool->bytes_max : GW_TOOL_BYTES;
}

/* config/tools_rows.c: of one item. */
extern const struct kolk_section gw_tool_section;

#endif
