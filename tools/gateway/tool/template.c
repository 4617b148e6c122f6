/* SPDX-License-Identifier: Apache-2.0 */
/* template.c - texts of the configuration with {{name}} in them: read, and put with arguments. */
#include "tools/gateway/tool/template.h"

#include <string.h>

/* ---- {{name}} */

/* The parameter that is named at at, which is "{{...": its number, and how long it is. NULL, or what is
 * wrong. */
static const char *place_read(const struct gw_tool *tool, const char *at, uint32_t *parameter,
			      size_t *size)
{
	const char *end = strstr(at, "}}"), *name = at + 2;
	size_t length;

	if (end == NULL)
		return "a '{{' has no '}}'";
	*size = (size_t)(end - at) + 2;
	while (*name == ' ')
		name++;
	length = (size_t)(end - name);
	while (length > 0 && end > name && name[length - 1] == ' ')
		length--;
	*parameter = gw_parameter_find(tool, name, length);
	return *parameter == UINT32_MAX ? "a {{name}} is the name of no parameter" : NULL;
}

static uint32_t places(const char *text)
{
	uint32_t count = 0;

	for (const char *at = text; (at = strstr(at, "{{")) != NULL; at += 2)
		count++;
	return count;
}

/* ---- read */

/* Whether the next byte is inside a string of JSON, after these. */
static bool quoted_after(const char *text, size_t size, bool quoted)
{
	for (size_t i = 0; i < size; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
	}
	return quoted;
}

const char *gw_template_read(const struct gw_template_maker *maker, const char *text,
			     struct gw_template *made)
{
	uint32_t most = 2 * places(text) + 1, count = 0;
	struct gw_template_part *parts = maker->memory(maker->user, most * sizeof *parts);
	bool quoted = false;

	if (parts == NULL)
		return "there is no memory";
	while (*text != '\0') {
		const char *place = strstr(text, "{{"), *flaw;
		size_t size = place != NULL ? (size_t)(place - text) : strlen(text);

		if (size > 0)
			parts[count++] = (struct gw_template_part){ text, size, GW_LITERAL, false };
		quoted = quoted_after(text, size, quoted);
		text += size;
		if (place == NULL)
			break;
		parts[count].quoted = quoted;
		flaw = place_read(maker->tool, place, &parts[count].parameter, &size);
		if (flaw != NULL)
			return flaw;
		count++;
		text += size;
	}
	*made = (struct gw_template){ parts, count };
	return NULL;
}

/* ---- SQL: where a {{name}} is a parameter, and where it would be a text */

static size_t skip_to(const char *at, const char *end)
{
	const char *found = strstr(at, end);

	return found != NULL ? (size_t)(found - at) + strlen(end) : strlen(at);
}

/* A string with escapes (E'...') ends at a quote that none of them has. */
static size_t skip_quoted(const char *at, char quote, bool escapes)
{
	size_t i = 1;

	for (; at[i] != '\0' && at[i] != quote; i++)
		if (escapes && at[i] == '\\' && at[i + 1] != '\0')
			i++;
	return at[i] == quote ? i + 1 : i;
}

static bool is_in_name(char c)
{
	return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (uint8_t)c >= 0x80;
}

/* "$tag$" ... "$tag$"; "$1" is none. */
static size_t skip_dollars(const char *at)
{
	char tag[66];
	size_t size = 1;

	if (at[1] >= '0' && at[1] <= '9')
		return 0;
	while (size < 64 && is_in_name(at[size]))
		size++;
	if (at[size] != '$')
		return 0;
	memcpy(tag, at, ++size);
	tag[size] = '\0';
	return size + skip_to(at + size, tag);
}

/* Comments of PostgreSQL are in each other. */
static size_t skip_comment(const char *at)
{
	size_t depth = 0, i = 0;

	do {
		if (strncmp(at + i, "/*", 2) == 0)
			depth++, i += 2;
		else if (strncmp(at + i, "*/", 2) == 0)
			depth--, i += 2;
		else
			i++;
	} while (depth > 0 && at[i] != '\0');
	return i;
}

static bool has_escapes(const char *begin, const char *at)
{
	return at > begin && (at[-1] == 'E' || at[-1] == 'e') &&
	       (at == begin + 1 || !is_in_name(at[-2]));
}

/* What begins at at and ends with its own mark, in which nothing is bound; 0 = it is nothing such. */
static size_t skip(const char *begin, const char *at)
{
	if (*at == '\'')
		return skip_quoted(at, '\'', has_escapes(begin, at));
	if (*at == '"')
		return skip_quoted(at, '"', false);
	if (strncmp(at, "--", 2) == 0)
		return skip_to(at, "\n");
	if (strncmp(at, "/*", 2) == 0)
		return skip_comment(at);
	return *at == '$' ? skip_dollars(at) : 0;
}

/* The place of a parameter among those that are bound: " $n ", apart from digits beside it. */
static char *put_bound(struct gw_tool *tool, uint32_t *bound, uint32_t parameter, char *to)
{
	uint32_t i = 0;

	while (i < tool->bound_count && bound[i] != parameter)
		i++;
	if (i == tool->bound_count)
		bound[tool->bound_count++] = parameter;
	*to++ = ' ';
	*to++ = '$';
	if (++i >= 10)
		*to++ = (char)('0' + i / 10);
	*to++ = (char)('0' + i % 10);
	*to++ = ' ';
	return to;
}

const char *gw_template_read_sql(const struct gw_template_maker *maker)
{
	struct gw_tool *tool = maker->tool;
	const char *begin = tool->sql, *at = begin;
	uint32_t *bound = maker->memory(maker->user, (tool->parameters.count + 1) * sizeof *bound);
	char *made = maker->memory(maker->user, strlen(begin) + 1), *to = made; /* "{{x}}" has room for " $32 " */

	if (bound == NULL || made == NULL)
		return "there is no memory";
	while (*at != '\0') {
		size_t size = skip(begin, at);
		uint32_t parameter;
		const char *flaw;

		if (size == 0 && strncmp(at, "{{", 2) == 0) {
			flaw = place_read(tool, at, &parameter, &size);
			if (flaw != NULL)
				return flaw;
			to = put_bound(tool, bound, parameter, to);
			at += size;
			continue;
		}
		size = size == 0 ? 1 : size;
		for (size_t i = 0; i + 1 < size; i++)
			if (strncmp(at + i, "{{", 2) == 0)
				return "a {{name}} in quotes or in a comment is no parameter of a statement";
		memcpy(to, at, size);
		to += size;
		at += size;
	}
	*to = '\0';
	tool->statement = made;
	tool->bound = bound;
	return NULL;
}

/* ---- put */

uint32_t gw_template_list(const struct gw_template *made, const struct gw_tool *tool)
{
	uint32_t found = GW_LITERAL;

	for (uint32_t i = 0; i < made->count; i++) {
		uint32_t parameter = made->parts[i].parameter;

		if (parameter == GW_LITERAL || gw_tool_parameter(tool, parameter)->items_max == 0)
			continue;
		found = found == GW_LITERAL || found == parameter ? parameter : GW_LISTS;
	}
	return found;
}

bool gw_template_is_given(const struct gw_template *made, const struct gw_argument *arguments)
{
	for (uint32_t i = 0; i < made->count; i++)
		if (made->parts[i].parameter != GW_LITERAL &&
		    arguments[made->parts[i].parameter].json.size == 0)
			return false;
	return true;
}

void gw_template_put(const struct gw_template *made, const struct gw_argument *arguments,
		     struct gw_text *to)
{
	for (uint32_t i = 0; i < made->count; i++) {
		const struct gw_template_part *part = &made->parts[i];

		if (part->parameter == GW_LITERAL)
			gw_text_put(to, part->text, part->size);
		else
			gw_text_put(to, arguments[part->parameter].text,
				    arguments[part->parameter].size);
	}
}

/* All but what is unreserved (RFC 3986, section 2.3). */
static void put_encoded(struct gw_text *to, const char *data, size_t size)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < size; i++) {
		uint8_t byte = (uint8_t)data[i];
		char triplet[3] = { '%', hex[byte >> 4], hex[byte & 15] };

		if (byte != 0 && strchr(plain, byte) != NULL)
			gw_text_put(to, data + i, 1);
		else
			gw_text_put(to, triplet, sizeof triplet);
	}
}

void gw_template_put_url(const struct gw_template *made, const struct gw_argument *arguments,
			 struct gw_text *to)
{
	for (uint32_t i = 0; i < made->count; i++) {
		const struct gw_template_part *part = &made->parts[i];

		if (part->parameter == GW_LITERAL)
			gw_text_put(to, part->text, part->size);
		else
			put_encoded(to, arguments[part->parameter].text,
				    arguments[part->parameter].size);
	}
}

void gw_template_put_json(const struct gw_template *made, const struct gw_argument *arguments,
			  struct gw_text *to)
{
	for (uint32_t i = 0; i < made->count; i++) {
		const struct gw_template_part *part = &made->parts[i];
		const struct gw_argument *argument;

		if (part->parameter == GW_LITERAL) {
			gw_text_put(to, part->text, part->size);
			continue;
		}
		argument = &arguments[part->parameter];
		if (part->quoted)
			gw_text_inside(to, argument->text, argument->size);
		else if (argument->json.size == 0)
			gw_text_say(to, "null");
		else
			gw_text_put(to, argument->json.data, argument->json.size);
	}
}
