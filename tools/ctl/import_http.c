/* SPDX-License-Identifier: Apache-2.0 */
/* import_http.c - a tool that is a request of HTTP. */
#include <stdlib.h>
#include <string.h>

#include "tools/ctl/import_tool.h"

/* Queries of the path and beside it are one list. */
static void line(struct import_tool *tool, const char *key, const char *value, bool as_is)
{
	for (uint32_t i = 0; i < tool->line_count; i++)
		if (tool->lines[i].of_http && strcmp(tool->lines[i].key, key) == 0) {
			const char *first = tool->lines[i].value;

			tool->lines[i].value =
				import_text(tool->import, "%.*s, %s", (int)strlen(first) - 1,
					    first, value + 1);
			return;
		}
	if (tool->line_count < IMPORT_LINES)
		tool->lines[tool->line_count++] =
			(struct import_line){ key, value, .of_http = true, .as_is = as_is };
}

static void done(struct import_tool *tool, const struct kolk__node *option, const char *key)
{
	import_became(tool->import, "http", NULL);
	import_became(tool->import, key, NULL);
	import_done(tool->import, option, NULL);
}

/* ---- method and target */

static void method(struct import_tool *tool, const struct kolk__node *option, const char *text)
{
	char *own = import_text(tool->import, "%s", text);

	for (char *c = own; *c != 0; c++)
		if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - ('a' - 'A'));
	if (import_is_one_of(own, "GET POST PUT PATCH DELETE HEAD"))
		line(tool, "method", own, false);
	else
		import_flaw(tool, option,
			    "the method is GET, POST, PUT, PATCH, DELETE or HEAD");
}

/* A path without one of its values would be another path. */
static void values_require(struct import_tool *tool, const char *path)
{
	for (uint32_t i = 0; i < tool->parameter_count; i++) {
		struct import_parameter *parameter = &tool->parameters[i];

		if (parameter->fallback == NULL &&
		    strstr(path, import_text(tool->import, "{{%s}}", parameter->name)) != NULL)
			parameter->required = true;
	}
}

/* "/path?a=1&b={{b}}" */
static void target(struct import_tool *tool, const struct kolk__node *option, const char *text)
{
	const char *own = import_template(tool, option, text), *query, *list = "";

	if (own == NULL)
		return;
	if (own[0] != '/' || strchr(own, '#') != NULL) {
		import_flaw(tool, option,
			    "a path begins with '/': host and port are the pool's");
		return;
	}
	query = own + strcspn(own, "?");
	line(tool, "path", import_text(tool->import, "%.*s", (int)(query - own), own), false);
	values_require(tool, import_text(tool->import, "%.*s", (int)(query - own), own));
	if (*query == 0)
		return;
	for (query++; *query != 0; query += *query == '&') {
		const size_t size = strcspn(query, "&");

		list = import_text(tool->import, "%s%s%s", list, list[0] != 0 ? ", " : "",
				   import_quoted(tool->import, import_text(tool->import, "%.*s",
									   (int)size, query)));
		query += size;
	}
	line(tool, "query", import_text(tool->import, "[%s]", list), true);
}

/* ---- query and headers: {a: b}, ["a=b"] */

static const char *pairs(struct import_tool *tool, const struct kolk__node *option,
			 const char *between)
{
	const char *list = "";

	if ((option->kind != KOLK__MAP && option->kind != KOLK__LIST) ||
	    option->count > IMPORT_WORDS / 2) {
		import_flaw(tool, option, "a map of at most 32 names and values is expected");
		return NULL;
	}
	for (const struct kolk__node *node = option->first; node != NULL; node = node->next) {
		const char *text =
			import_is_text(node) ? import_template(tool, option, node->text) : NULL;

		if (text == NULL) {
			import_flaw(tool, option, "a map of names and values is expected");
			return NULL;
		}
		if (option->kind == KOLK__MAP)
			text = import_text(tool->import, "%s%s%s", node->key, between, text);
		list = import_text(tool->import, "%s%s%s", list, list[0] != 0 ? ", " : "",
				   import_quoted(tool->import, text));
	}
	return import_text(tool->import, "[%s]", list);
}

static void headers(struct import_tool *tool, const struct kolk__node *option)
{
	const char *list = pairs(tool, option, ": ");

	if (list != NULL && strstr(list, "{{") != NULL)
		import_flaw(tool, option, "a header has no value of a parameter here");
	else if (list != NULL)
		line(tool, "headers", list, true);
}

/* ---- body */

/* As JSON writes one (RFC 8259, section 6): 01234 and "1." are texts. */
static bool is_number(const char *text)
{
	static const char digits[] = "0123456789";
	const char *at = text + (text[0] == '-');
	size_t size = strspn(at, digits);

	if (size == 0 || (at[0] == '0' && size > 1))
		return false;
	at += size;
	if (*at == '.') {
		size = strspn(at + 1, digits);
		at += size > 0 ? 1 + size : 0;
	}
	if (*at == 'e' || *at == 'E') {
		size_t sign = at[1] == '-' || at[1] == '+';

		size = strspn(at + 1 + sign, digits);
		at += size > 0 ? 1 + sign + size : 0;
	}
	return *at == 0;
}

static void json_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (const unsigned char *c = (const unsigned char *)text; *c != 0; c++)
		if (*c < ' ')
			fprintf(out, "\\u%04x", *c);
		else
			fprintf(out, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
	fputc('"', out);
}

/* A scalar: a parameter, a number, true, false, or a text. */
static bool json_scalar(struct import_tool *tool, const struct kolk__node *node, FILE *out)
{
	const struct import_parameter *whole =
		import_is_text(node) ? import_whole(tool, node->text) : NULL;
	const char *text;

	if (whole != NULL)
		return fprintf(out, "{{%s}}", whole->name) > 0;
	if (node->kind == KOLK__NOTHING)
		return fputs("null", out) >= 0;
	if (!import_is_text(node))
		return import_flaw(tool, node, "a zero byte in a body");
	if (!node->quoted &&
	    (is_number(node->text) || import_is_one_of(node->text, "true false")))
		return fputs(node->text, out) >= 0;
	text = import_template(tool, node, node->text);
	if (text != NULL)
		json_text(out, text);
	return text != NULL;
}

static bool json(struct import_tool *tool, const struct kolk__node *node, FILE *out)
{
	const bool map = node->kind == KOLK__MAP;
	bool ok = true;

	if (!map && node->kind != KOLK__LIST)
		return json_scalar(tool, node, out);
	fputc(map ? '{' : '[', out);
	for (const struct kolk__node *child = node->first; child != NULL && ok;
	     child = child->next) {
		fputs(child != node->first ? ", " : "", out);
		if (map) {
			json_text(out, import_own(tool->import, child->key));
			fputs(": ", out);
		}
		ok = json(tool, child, out);
	}
	fputc(map ? '}' : ']', out);
	return ok;
}

static void body(struct import_tool *tool, const struct kolk__node *option)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out;
	bool ok;

	if (import_is_text(option)) {
		const char *own = import_template(tool, option, option->text);

		if (own != NULL)
			line(tool, "body", own, false);
		return;
	}
	out = open_memstream(&text, &size);
	if (out == NULL)
		import_no_memory();
	ok = json(tool, option, out);
	if (fclose(out) != 0)
		import_no_memory();
	if (ok)
		line(tool, "body", import_text(tool->import, "%s", text), false);
	else
		import_flaw(tool, option, "this body cannot be written as JSON");
	explicit_bzero(text, size);
	free(text);
}

/* ---- the whole */

static const char *key_of(const char *key)
{
	static const char *const keys[][2] = {
		{ "method", "method" },
		{ "path url endpoint", "path" },
		{ "query params query_params", "query" },
		{ "headers", "headers" },
		{ "body json data", "body" },
	};

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (import_is_one_of(key, keys[i][0]))
			return keys[i][1];
	return NULL;
}

bool import_http_has(const char *key)
{
	return key_of(key) != NULL;
}

static void take(struct import_tool *tool, const struct kolk__node *option)
{
	const char *key = key_of(option->key), *list;

	if (import_has_line(tool, key) && strcmp(key, "query") != 0) {
		import_left(tool->import, option, "another option says it, too");
		return;
	}
	if (strcmp(key, "method") == 0 && import_is_text(option))
		method(tool, option, option->text);
	else if (strcmp(key, "path") == 0 && import_is_text(option))
		target(tool, option, option->text);
	else if (strcmp(key, "query") == 0) {
		list = pairs(tool, option, "=");
		if (list != NULL)
			line(tool, "query", list, true);
	} else if (strcmp(key, "headers") == 0) {
		headers(tool, option);
	} else if (strcmp(key, "body") == 0) {
		body(tool, option);
	} else {
		import_flaw(tool, option, "a value is expected");
	}
	if (tool->flaw == NULL)
		done(tool, option, key);
}

void import_http(struct import_tool *tool, const struct kolk__node *map)
{
	for (const struct kolk__node *option = map->first; option != NULL;
	     option = option->next)
		if (import_http_has(option->key))
			take(tool, option);
		else if (map != tool->map)
			import_left(tool->import, option,
				    "no option of requests that is known");
	if (!import_has_line(tool, "path"))
		import_flaw(tool, map, "a request has a 'path'");
}

void import_http_request(struct import_tool *tool, const struct kolk__node *option,
			 const char *verb, const char *path)
{
	method(tool, option, verb);
	target(tool, option, path);
}
