/* SPDX-License-Identifier: Apache-2.0 */
/* schema.c - parameters of a tool: what clients are told of them, and arguments that are checked. */
#include "tools/gateway/tool/schema.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/json.h"

static bool is_text(const struct gw_parameter *parameter)
{
	return parameter->type == GW_PARAMETER_STRING || parameter->type == GW_PARAMETER_ENUM;
}

/* ---- a value */

static size_t characters(const char *text, size_t size)
{
	size_t count = 0;

	for (size_t i = 0; i < size; i++)
		count += ((uint8_t)text[i] & 0xc0) != 0x80;
	return count;
}

static bool is_one_of(const char *const *values, const char *text, size_t size)
{
	for (; *values != NULL; values++)
		if (strlen(*values) == size && memcmp(*values, text, size) == 0)
			return true;
	return false;
}

static const char *text_flaw(const struct gw_parameter *p, const char *text, size_t size)
{
	size_t most = p->length_max != 0 ? p->length_max : GW_TOOL_LENGTH;

	if (p->values != NULL && !is_one_of(p->values, text, size))
		return "is none of the values that it may have";
	if (p->type == GW_PARAMETER_ENUM)
		return NULL;
	if (characters(text, size) > most)
		return "is too long";
	return characters(text, size) < p->length_min ? "is too short" : NULL;
}

static bool is_integer(const char *text, size_t size)
{
	char digits[24];

	if (size >= sizeof digits || !gw_is_json_number(text, size) ||
	    memchr(text, '.', size) != NULL || memchr(text, 'e', size) != NULL ||
	    memchr(text, 'E', size) != NULL)
		return false;
	memcpy(digits, text, size);
	digits[size] = '\0';
	errno = 0;
	(void)strtoll(digits, NULL, 10);
	return errno == 0;
}

/* What a value of another type is not. */
static const char *type_flaw(const struct gw_parameter *p)
{
	static const char *const flaws[] = { "is no string", "is no integer of 64 bits", "is no number",
					     "is neither true nor false", "is no string" };

	return flaws[p->type];
}

/* Two integers of 64 bits may be one double: bounds are compared with more. */
_Static_assert(LDBL_MANT_DIG >= 64, "a long double has every integer of 64 bits");

/* What receives it reads a double. */
static bool is_double(long double number)
{
	return isfinite((double)number);
}

static const char *number_flaw(const struct gw_parameter *p, const char *text, size_t size)
{
	char digits[64];
	long double number;

	if (p->type == GW_PARAMETER_INTEGER && !is_integer(text, size))
		return type_flaw(p);
	if (size >= sizeof digits || !gw_is_json_number(text, size))
		return type_flaw(p);
	memcpy(digits, text, size);
	digits[size] = '\0';
	number = strtold(digits, NULL);
	if (!is_double(number))
		return type_flaw(p);
	if (p->minimum != NULL && number < p->lowest)
		return "is less than its minimum";
	return p->maximum != NULL && number > p->highest ? "is more than its maximum" : NULL;
}

/* NULL, or why the parameter may not have it; of a string what it says. */
static const char *value_flaw(const struct gw_parameter *p, const char *text, size_t size)
{
	if (is_text(p))
		return text_flaw(p, text, size);
	if (p->type != GW_PARAMETER_BOOLEAN)
		return number_flaw(p, text, size);
	return (size == 4 && memcmp(text, "true", 4) == 0) ||
			       (size == 5 && memcmp(text, "false", 5) == 0) ?
		       NULL : type_flaw(p);
}

static bool bound_read(const char *text, long double *number)
{
	if (text == NULL)
		return true;
	*number = strtold(text, NULL);
	return gw_is_json_number(text, strlen(text)) && is_double(*number);
}

const char *gw_parameter_flaw(struct gw_parameter *p)
{
	const bool number = p->type == GW_PARAMETER_INTEGER || p->type == GW_PARAMETER_NUMBER;

	if (!bound_read(p->minimum, &p->lowest) || !bound_read(p->maximum, &p->highest))
		return "'minimum' and 'maximum' are numbers";
	if (!number && (p->minimum != NULL || p->maximum != NULL))
		return "'minimum' and 'maximum' are of integer and number";
	if (p->minimum != NULL && p->maximum != NULL && p->lowest > p->highest)
		return "'minimum' is more than 'maximum'";
	if (p->type != GW_PARAMETER_STRING && (p->length_min != 0 || p->length_max != 0))
		return "'length_min' and 'length_max' are of string";
	if (p->length_min > (p->length_max != 0 ? p->length_max : GW_TOOL_LENGTH))
		return "'length_min' is more than 'length_max'";
	if (!is_text(p) && p->values != NULL)
		return "'values' is of string and enum";
	if (p->type == GW_PARAMETER_ENUM && p->values == NULL)
		return "an enum has 'values'";
	if (p->fallback == NULL)
		return NULL;
	if (p->items_max != 0)
		return "a list has no 'default'";
	if (p->required)
		return "a parameter that is required has no 'default'";
	return value_flaw(p, p->fallback, strlen(p->fallback)) != NULL ?
		       "'default' is no value that it may have" : NULL;
}

/* ---- told */

static void put_member(struct gw_text *to, const char *name, const char *value)
{
	if (value == NULL)
		return;
	gw_text_say(to, ",");
	gw_text_string(to, name, strlen(name));
	gw_text_say(to, ":");
	gw_text_string(to, value, strlen(value));
}

static void put_bare(struct gw_text *to, const char *name, const char *value)
{
	if (value == NULL)
		return;
	gw_text_say(to, name);
	gw_text_say(to, value);
}

static void put_values(struct gw_text *to, const char *const *values)
{
	for (const char *const *v = values; v != NULL && *v != NULL; v++) {
		gw_text_say(to, v == values ? ",\"enum\":[" : ",");
		gw_text_string(to, *v, strlen(*v));
	}
	gw_text_say(to, values != NULL ? "]" : "");
}

static void describe_parameter(const struct gw_parameter *p, struct gw_text *to)
{
	static const char *const types[] = { "string", "integer", "number", "boolean", "string" };
	const bool list = p->items_max != 0;

	gw_text_string(to, p->name, strlen(p->name));
	gw_text_say(to, ":{\"type\":\"");
	gw_text_say(to, list ? "array" : types[p->type]);
	gw_text_say(to, "\"");
	put_member(to, "description", p->description);
	if (list) {
		gw_text_say(to, ",\"maxItems\":");
		gw_text_number(to, p->items_max);
		gw_text_say(to, ",\"items\":{\"type\":\"");
		gw_text_say(to, types[p->type]);
		gw_text_say(to, "\"");
	}
	put_values(to, p->values);
	put_bare(to, ",\"minimum\":", p->minimum);
	put_bare(to, ",\"maximum\":", p->maximum);
	if (p->type == GW_PARAMETER_STRING && p->values == NULL) {
		gw_text_say(to, ",\"maxLength\":");
		gw_text_number(to, p->length_max != 0 ? p->length_max : GW_TOOL_LENGTH);
		if (p->length_min != 0) {
			gw_text_say(to, ",\"minLength\":");
			gw_text_number(to, p->length_min);
		}
	}
	put_bare(to, ",\"default\":", p->fallback_json);
	gw_text_say(to, list ? "}}" : "}");
}

/* Reads alone: clients may call it without asking. */
static bool reads(const struct gw_tool *tool)
{
	if (tool->kind == GW_TOOL_HTTP)
		return tool->http_method == NULL || strcmp(tool->http_method, "GET") == 0 ||
		       strcmp(tool->http_method, "HEAD") == 0;
	return tool->kind == GW_TOOL_QUERY || (tool->kind == GW_TOOL_SQL && !tool->writes);
}

void gw_tool_describe(const struct gw_tool *tool, struct gw_text *to)
{
	bool first = true;

	gw_text_say(to, "{\"name\":");
	gw_text_string(to, tool->name, strlen(tool->name));
	put_member(to, "title", tool->title);
	put_member(to, "description", tool->description);
	gw_text_say(to, ",\"inputSchema\":{\"type\":\"object\",\"properties\":{");
	for (uint32_t i = 0; i < tool->parameters.count; i++) {
		gw_text_say(to, i > 0 ? "," : "");
		describe_parameter(gw_tool_parameter(tool, i), to);
	}
	gw_text_say(to, "}");
	for (uint32_t i = 0; i < tool->parameters.count; i++) {
		const struct gw_parameter *p = gw_tool_parameter(tool, i);

		if (!p->required)
			continue;
		gw_text_say(to, first ? ",\"required\":[" : ",");
		gw_text_string(to, p->name, strlen(p->name));
		first = false;
	}
	gw_text_say(to, first ? "" : "]");
	gw_text_say(to, ",\"additionalProperties\":false}");
	if (reads(tool))
		gw_text_say(to, ",\"annotations\":{\"readOnlyHint\":true}");
	gw_text_say(to, "}");
}

/* ---- read */

uint32_t gw_parameter_find(const struct gw_tool *tool, const char *name, size_t size)
{
	for (uint32_t i = 0; i < tool->parameters.count; i++) {
		const char *own = gw_tool_parameter(tool, i)->name;

		if (strlen(own) == size && memcmp(own, name, size) == 0)
			return i;
	}
	return UINT32_MAX;
}

static uint32_t find_member(const struct gw_tool *tool, struct kolk_mcp_part name)
{
	for (uint32_t i = 0; i < tool->parameters.count; i++)
		if (gw_json_says(name, gw_tool_parameter(tool, i)->name))
			return i;
	return UINT32_MAX;
}

static bool is_null(struct kolk_mcp_part value)
{
	return value.size == 4 && memcmp(value.data, "null", 4) == 0;
}

/* NULL, or what is wrong. *to moves behind what was decoded. */
static const char *take_one(const struct gw_parameter *p, struct kolk_mcp_part value,
			    struct gw_argument *argument, char **to)
{
	const bool string = value.data[0] == '"';

	if (string != is_text(p) || value.data[0] == '{' || value.data[0] == '[')
		return type_flaw(p);
	argument->json = value;
	argument->text = *to;
	argument->size = string ? kolk_mcp_decode(value, *to) : value.size;
	if (!string)
		memcpy(*to, value.data, value.size);
	*to += argument->size;
	return value_flaw(p, argument->text, argument->size);
}

static const char *take_list(const struct gw_parameter *p, struct kolk_mcp_part value,
			     struct gw_argument *argument, char **to)
{
	struct kolk_mcp_part rest = value, entry;
	const char *flaw = NULL;
	uint32_t count = 0;

	if (value.data[0] != '[')
		return "is no list";
	while (count <= p->items_max && gw_json_entry_next(&rest, &entry))
		count++;
	if (count > p->items_max)
		return "has too many items";
	argument->json = value;
	argument->items = calloc(count + 1, sizeof *argument->items);
	if (argument->items == NULL)
		return "needs more memory than there is";
	for (rest = value; flaw == NULL && gw_json_entry_next(&rest, &entry);)
		flaw = take_one(p, entry, &argument->items[argument->count++], to);
	return flaw;
}

static const char *take(const struct gw_parameter *p, struct kolk_mcp_part value,
			struct gw_argument *argument, char **to)
{
	return p->items_max != 0 ? take_list(p, value, argument, to) : take_one(p, value, argument, to);
}

static void fall_back(const struct gw_parameter *p, struct gw_argument *argument)
{
	if (argument->json.size > 0 || p->fallback == NULL)
		return;
	argument->text = p->fallback;
	argument->size = strlen(p->fallback);
	argument->json = (struct kolk_mcp_part){ p->fallback_json, strlen(p->fallback_json) };
}

static bool wrong(struct gw_arguments *arguments, const char *what, const char *name,
		  const char *flaw)
{
	snprintf(arguments->flaw, sizeof arguments->flaw, "%s '%s' %s", what, name, flaw);
	return false;
}

static bool all_are_there(const struct gw_tool *tool, struct gw_arguments *arguments)
{
	for (uint32_t i = 0; i < tool->parameters.count; i++) {
		const struct gw_parameter *p = gw_tool_parameter(tool, i);

		fall_back(p, &arguments->at[i]);
		if (arguments->at[i].json.size == 0 && p->required)
			return wrong(arguments, "argument", p->name, "is missing");
	}
	return true;
}

static bool none(struct gw_arguments *arguments, const char *text)
{
	snprintf(arguments->flaw, sizeof arguments->flaw, "%s", text);
	return false;
}

/* The name is the client's: it is decoded to memory, and cut. */
static bool unknown(struct gw_arguments *arguments, struct kolk_mcp_part name, char *memory)
{
	size_t size = kolk_mcp_decode(name, memory);

	snprintf(arguments->flaw, sizeof arguments->flaw, "there is no parameter '%.*s'",
		 size < 64 ? (int)size : 64, memory);
	return false;
}

bool gw_arguments_read(const struct gw_tool *tool, struct kolk_mcp_part object,
		       struct gw_arguments *arguments)
{
	struct gw_json_member member;
	char *to = arguments->memory = malloc(object.size + 1);

	memset(arguments->at, 0, sizeof arguments->at);
	if (to == NULL)
		return none(arguments, "there is no memory");
	if (object.size > 0 && object.data[0] != '{' && !is_null(object))
		return none(arguments, "'arguments' is no object");
	while (gw_json_next(&object, &member)) {
		uint32_t i = find_member(tool, member.name);
		const struct gw_parameter *p;
		const char *flaw;

		if (i == UINT32_MAX)
			return unknown(arguments, member.name, to);
		p = gw_tool_parameter(tool, i);
		if (is_null(member.value))
			continue;
		if (arguments->at[i].json.size > 0)
			return wrong(arguments, "argument", p->name, "is given twice");
		flaw = take(p, member.value, &arguments->at[i], &to);
		if (flaw != NULL)
			return wrong(arguments, arguments->at[i].count > 0 ? "an item of argument" : "argument",
				     p->name, flaw);
	}
	return all_are_there(tool, arguments);
}

void gw_arguments_free(struct gw_arguments *arguments)
{
	for (uint32_t i = 0; i < GW_PARAMETERS_MAX; i++)
		free(arguments->at[i].items);
	free(arguments->memory);
}
