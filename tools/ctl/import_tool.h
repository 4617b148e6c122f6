/* SPDX-License-Identifier: Apache-2.0 */
/* import_tool.h - a tool on its way: what the files about tools share. */
#ifndef KOLK_CTL_IMPORT_TOOL_H
#define KOLK_CTL_IMPORT_TOOL_H

#include "tools/ctl/import.h"

enum { IMPORT_PARAMETERS = 32, IMPORT_LINES = 24, IMPORT_WORDS = 64, IMPORT_TOOLS = 64 };

/* NULL = not said. Values as they are written, lists in brackets. */
struct import_parameter {
	const char *name, *type, *description, *fallback, *values;
	const char *minimum, *maximum, *length_min, *length_max;
	uint32_t line;
	const struct kolk__node *listed; /* its values; NULL = any */
	bool required;
};

/* A key of the tool, or of its `http`. */
struct import_line {
	const char *key, *value;
	bool of_http, as_is; /* as_is: a list, already written */
};

struct import_tool {
	struct import *import;
	const struct kolk__node *map;
	const char *name;
	const struct import_pool *pool; /* NULL = none */
	struct import_parameter parameters[IMPORT_PARAMETERS];
	uint32_t parameter_count;
	struct import_line lines[IMPORT_LINES];
	uint32_t line_count;
	const char *cases;	       /* lines of a list; NULL = none */
	const struct kolk__node *does; /* the option that says what the tool does */
	bool has_cases;
	const char *flaw; /* why it is left out; NULL = it is not */
	struct kolk__node flaw_at;
	struct import_path flaw_path;
};

struct import_words {
	const char *words[IMPORT_WORDS];
	uint32_t count;
};

/* ---- import_tools.c */

struct import_parameter *import_parameter(struct import_tool *tool, const char *name,
					  size_t size);
/* A key of the tool; as_is: a list, already written. */
void import_line(struct import_tool *tool, const char *key, const char *value, bool as_is);
bool import_has_line(const struct import_tool *tool, const char *key);
/* The option at hand is told: it became this key. */
void import_became_done(struct import_tool *tool, const struct kolk__node *option,
			const char *key);
/* An option beside what it does, told; false = it is none. */
bool import_tool_option(struct import_tool *tool, const struct kolk__node *option);
/* The tool is left out because of this option. Always false. */
bool import_flaw(struct import_tool *tool, const struct kolk__node *option, const char *why);

/* ---- import_parameters.c */

void import_parameters(struct import_tool *tool, const struct kolk__node *all);
void import_parameters_write(struct import_tool *tool);

/* ---- import_template.c */

/* {{ name }} as {{name}}, each the name of a parameter, in a text as our files write it. NULL =
 * there is another, and the tool is left out because of this option. */
const char *import_template(struct import_tool *tool, const struct kolk__node *option,
			    const char *text);
/* A list of texts, or a text that is split where it has spaces outside of quotes. */
bool import_split(struct import_tool *tool, const struct kolk__node *option,
		  struct import_words *words);
/* "[a, b]" of templates, of which the first has no parameter; NULL = as import_template. */
const char *import_list(struct import_tool *tool, const struct kolk__node *option,
			const struct import_words *words);
/* The parameter that a text is, and nothing else; NULL = it is more or less. */
struct import_parameter *import_whole(struct import_tool *tool, const char *text);

/* ---- import_sql.c */

/* One statement. NULL = the tool is left out because of it. */
const char *import_sql(struct import_tool *tool, const struct kolk__node *option, bool *writes);

/* ---- import_call.c, import_http.c */

/* What the tool does, by an option that says it; false = this option says no such thing. */
bool import_call(struct import_tool *tool, const struct kolk__node *option);
/* Whether they are arguments that stand beside their command, and were taken with it. */
bool import_is_of_command(const struct import_tool *tool, const struct kolk__node *option);
/* By the keys of a map: method, path, query, headers, body. */
void import_http(struct import_tool *tool, const struct kolk__node *map);
bool import_http_has(const char *key);
void import_http_request(struct import_tool *tool, const struct kolk__node *option,
			 const char *method, const char *target);

/* ---- import_program.c */

void import_program(struct import_tool *tool, const struct kolk__node *option,
		    const struct import_words *words);
/* Of a script, beside its command and arguments. */
void import_program_options(struct import_tool *tool, const struct kolk__node *script);
/* The name of a program, without its path. */
const char *import_base(const char *path);

#endif
