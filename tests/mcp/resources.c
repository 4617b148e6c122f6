/* SPDX-License-Identifier: Apache-2.0 */
/* resources.c - resources that the official conformance suite reads. */
#include <string.h>

#include "tests/mcp/tools.h"

static const struct resource {
	const char *uri, *name, *type, *text; /* text NULL = the image */
} resources[] = {
	{ "test://static-text", "static-text", "text/plain",
	  "This is the content of the static text resource." },
	{ "test://static-binary", "static-binary", "image/png", NULL },
	{ "test://watched-resource", "watched-resource", "text/plain", "Watched resource content" },
	{ "test://embedded-resource", "embedded-resource", "text/plain",
	  "This is an embedded resource content." },
	{ "test://mixed-content-resource", "mixed-content-resource", "application/json",
	  "{\"test\":\"data\",\"value\":123}" },
};
static const char template_head[] = "test://template/", template_tail[] = "/data";

json_t *mcp_resources_list(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof resources / sizeof *resources; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "uri", resources[i].uri, "name",
						      resources[i].name, "mimeType", resources[i].type));
	return list;
}

json_t *mcp_templates_list(void)
{
	return json_pack("[{s:s, s:s, s:s}]", "uriTemplate", "test://template/{id}/data", "name",
			 "template", "mimeType", "application/json");
}

static void contents(struct mcp_call *call, const char *uri, const char *type, const char *text)
{
	mcp_result(call, json_pack("{s:[{s:s, s:s, s:s}]}", "contents", "uri", uri, "mimeType", type,
				   text != NULL ? "text" : "blob", text != NULL ? text : mcp_image));
}

static bool is_template(const char *uri)
{
	size_t size = strlen(uri), tail = sizeof template_tail - 1, head = sizeof template_head - 1;

	return size > head + tail && size < 512 && strncmp(uri, template_head, head) == 0 &&
	       strcmp(uri + size - tail, template_tail) == 0;
}

static void template_read(struct mcp_call *call, const char *uri)
{
	size_t head = sizeof template_head - 1;
	char text[2048], id[512];

	snprintf(id, sizeof id, "%.*s", (int)(strlen(uri) - head - sizeof template_tail + 1), uri + head);
	snprintf(text, sizeof text, "{\"id\":\"%s\",\"templateTest\":true,\"data\":\"Data for ID: %s\"}",
		 id, id);
	contents(call, uri, "application/json", text);
}

void mcp_resources_read(struct mcp_call *call)
{
	const char *uri = json_string_value(json_object_get(call->params, "uri"));

	if (uri == NULL) {
		mcp_fail(call, MCP_PARAMS, "No uri");
		return;
	}
	for (size_t i = 0; i < sizeof resources / sizeof *resources; i++)
		if (strcmp(resources[i].uri, uri) == 0) {
			contents(call, uri, resources[i].type, resources[i].text);
			return;
		}
	if (is_template(uri))
		template_read(call, uri);
	else
		mcp_fail_status(call, 200,
				mcp_error_object(call->session != NULL ? MCP_NO_RESOURCE : MCP_PARAMS,
						 "Resource not found", json_pack("{s:s}", "uri", uri)));
}
