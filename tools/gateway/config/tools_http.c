/* SPDX-License-Identifier: Apache-2.0 */
/* tools_http.c - what is wrong with `http` of a pooled tool, and what is made of it. */
#include <string.h>

#include "tools/gateway/config/tools.h"
#include "tools/gateway/path.h"

static const char *method_flaw(const struct gw_tool *tool)
{
	static const char *const good[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" };
	const char *method = tool->http_method != NULL ? tool->http_method : "GET";

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		if (strcmp(good[i], method) == 0)
			return tool->http_body != NULL && i < 2 ? "a request to read has no body" :
								  NULL;
	return "'method' is GET, HEAD, POST, PUT, PATCH or DELETE";
}

/* With a letter for each argument all servers read it alike. */
static const char *path_flaw(const struct gw_tool *tool, const struct gw_template *path)
{
	struct gw_argument each[GW_PARAMETERS_MAX];
	struct gw_text text = { .failed = false };
	const char *flaw = NULL;

	for (uint32_t i = 0; i < GW_PARAMETERS_MAX; i++)
		each[i] = (struct gw_argument){ .text = "x", .size = 1, .json = { "\"x\"", 3 } };
	gw_template_put_url(path, each, &text);
	gw_text_put(&text, "", 1);
	if (text.failed || tool->http_path[0] != '/' || strpbrk(gw_text_data(&text), "?# ") != NULL ||
	    !gw_is_printable(gw_text_data(&text)) ||
	    gw_path_reading(gw_text_data(&text)) != GW_PATH_PLAIN)
		flaw = "'path' is no path: as /users/{{id}}, without a query";
	for (uint32_t i = 0; flaw == NULL && i < path->count; i++) {
		uint32_t p = path->parts[i].parameter;

		if (p != GW_LITERAL && !gw_tool_parameter(tool, p)->required &&
		    gw_tool_parameter(tool, p)->fallback == NULL)
			flaw = "a parameter of 'path' is required, or has a default";
	}
	if (flaw == NULL && gw_template_list(path, tool) != GW_LITERAL)
		flaw = "a list has no place in 'path'";
	gw_text_free(&text);
	return flaw;
}

static const char *query_flaw(const struct gw_words *query)
{
	for (uint32_t i = 0; i < query->count; i++) {
		const struct gw_template *word = &query->at[i];

		if (word->count == 0 || word->parts[0].parameter != GW_LITERAL ||
		    memchr(word->parts[0].text, '=', word->parts[0].size) == NULL)
			return "an entry of 'query' is \"name={{value}}\"";
		for (uint32_t k = 0; k < word->count; k++)
			for (size_t n = 0; word->parts[k].parameter == GW_LITERAL &&
					   n < word->parts[k].size; n++)
				if (word->parts[k].text[n] <= ' ' || word->parts[k].text[n] > '~' ||
				    strchr("&#", word->parts[k].text[n]) != NULL)
					return "in 'query' other bytes are written as %20";
	}
	return NULL;
}

static const char *body_flaw(const struct gw_tool *tool, const struct gw_template *body)
{
	const struct gw_argument none[GW_PARAMETERS_MAX] = { { .size = 0 } };
	struct gw_text text = { .failed = false };
	bool good;

	gw_template_put_json(body, none, &text);
	good = !text.failed && gw_is_json(gw_text_data(&text), gw_text_size(&text), false);
	gw_text_free(&text);
	for (uint32_t i = 0; i < body->count; i++)
		if (body->parts[i].quoted && body->parts[i].parameter != GW_LITERAL &&
		    gw_tool_parameter(tool, body->parts[i].parameter)->items_max != 0)
			return "a list has no place inside a string of 'body'";
	return good ? NULL : "'body' is no JSON, with null for each {{name}}";
}

/* Those that are the library's: kolk_http_request.fields. */
static bool is_own_field(const char *name)
{
	static const char *const own[] = {
		"host", "content-length", "transfer-encoding", "connection", "keep-alive",
		"proxy-connection", "upgrade", "te", "trailer", "expect", "http2-settings"
	};

	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		if (strcmp(own[i], name) == 0)
			return true;
	return false;
}

static void headers_make(struct gw_check *c, struct gw_tool *tool)
{
	const struct kolk_config_place *list = gw_place(tool->place, "http", "headers");
	struct kolk_http_field *fields;
	uint32_t count = 0;

	while (tool->http_headers != NULL && tool->http_headers[count] != NULL)
		count++;
	fields = gw_tool_memory(c, (count + 1) * sizeof *fields);
	for (uint32_t i = 0; fields != NULL && i < count && i < 32; i++) {
		const char *text = tool->http_headers[i], *colon = strchr(text, ':');
		char *name = gw_copy_lower(c, text, colon != NULL ? (size_t)(colon - text) : 0);

		if (name == NULL)
			return;
		if (!gw_is_token(name) || !gw_is_printable(text) || is_own_field(name))
			gw_wrong(c, kolk_config_place_entry(list, i), "as \"Accept: text/plain\"",
				 "this is no field of a tool's request");
		else
			fields[tool->field_count++] = (struct kolk_http_field){
				name, colon + 1 + strspn(colon + 1, " ")
			};
	}
	if (count > 30)
		gw_wrong(c, list, "", "there are more than 30");
	tool->fields = fields;
}

void gw_tool_http_check(struct gw_check *c, struct gw_tool *tool)
{
	const struct kolk_config_place *place = kolk_config_place(tool->place, "http");
	const struct gw_template_maker maker = gw_tool_maker(c, tool);
	struct gw_template *both = gw_tool_memory(c, 2 * sizeof *both);
	const char *flaw = method_flaw(tool);

	if (both == NULL || tool->http_path == NULL)
		return; /* which is reported */
	if (!gw_tool_template_make(&maker, place, tool->http_path, &both[0]) ||
	    (tool->http_body != NULL && !gw_tool_template_make(&maker, place, tool->http_body, &both[1])) ||
	    !gw_tool_words_make(&maker, kolk_config_place(place, "query"), tool->http_query, &tool->words))
		return;
	tool->path = &both[0];
	tool->body = tool->http_body != NULL ? &both[1] : NULL;
	flaw = flaw != NULL ? flaw : path_flaw(tool, tool->path);
	flaw = flaw != NULL ? flaw : query_flaw(&tool->words);
	if (flaw == NULL && tool->body != NULL)
		flaw = body_flaw(tool, tool->body);
	if (flaw != NULL)
		gw_wrong(c, place, "", "%s", flaw);
	headers_make(c, tool);
}
