/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.h - texts of the configuration with {{name}} in them, each the place of an argument.
 *
 * A template is read once, when the configuration is; it does not change afterwards.
 */
#ifndef KOLK_GATEWAY_TOOL_TEMPLATE_H
#define KOLK_GATEWAY_TOOL_TEMPLATE_H

#include "tools/gateway/tool/schema.h"

#define GW_LITERAL UINT32_MAX

struct gw_template_part {
	const char *text;            /* LITERAL */
	size_t size;
	uint32_t parameter;          /* its number in the tool; GW_LITERAL */
	bool quoted;                 /* inside a string of JSON */
};

struct gw_template {
	const struct gw_template_part *parts;
	uint32_t count;
};

/* Of what templates are made: memory lives as long as the configuration; NULL = there is none. */
struct gw_template_maker {
	struct gw_tool *tool;
	void *(*memory)(void *user, size_t size);
	void *user;
};

/* Read it: NULL, or what is wrong with it. */
const char *gw_template_read(const struct gw_template_maker *maker, const char *text,
			     struct gw_template *made);
/* The same of SQL: a text with $1, $2 ... instead, each for a parameter of `bound`. A {{name}} in a
 * string, a quoted name or a comment is refused: nothing is bound there. */
const char *gw_template_read_sql(const struct gw_template_maker *maker);

/* The parameter of it that is a list; GW_LITERAL = none is, GW_LISTS = several are. */
#define GW_LISTS (UINT32_MAX - 1)
uint32_t gw_template_list(const struct gw_template *made, const struct gw_tool *tool);
/* Whether each of its parameters has an argument. */
bool gw_template_is_given(const struct gw_template *made, const struct gw_argument *arguments);
/* Put it with its arguments as they are; percent-encoded; as JSON. */
void gw_template_put(const struct gw_template *made, const struct gw_argument *arguments,
		     struct gw_text *to);
void gw_template_put_url(const struct gw_template *made, const struct gw_argument *arguments,
			 struct gw_text *to);
void gw_template_put_json(const struct gw_template *made, const struct gw_argument *arguments,
			  struct gw_text *to);

#endif
