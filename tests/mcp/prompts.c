/* SPDX-License-Identifier: Apache-2.0 */
/* prompts.c - prompts that the official conformance suite asks for. */
#include <string.h>

#include "tests/mcp/tools.h"

static json_t *user(json_t *content)
{
	return json_pack("{s:s, s:o}", "role", "user", "content", content);
}

static json_t *text(const char *said)
{
	return user(json_pack("{s:s, s:s}", "type", "text", "text", said));
}

static void simple(struct mcp_call *call)
{
	mcp_result(call, json_pack("{s:[o]}", "messages", text("This is a simple prompt for testing.")));
}

static void with_arguments(struct mcp_call *call)
{
	char said[1024];

	snprintf(said, sizeof said, "Prompt with arguments: arg1='%s', arg2='%s'",
		 mcp_argument(call, "arg1", ""), mcp_argument(call, "arg2", ""));
	mcp_result(call, json_pack("{s:[o]}", "messages", text(said)));
}

static void with_resource(struct mcp_call *call)
{
	const char *uri = mcp_argument(call, "resourceUri", "test://embedded-resource");
	json_t *resource = json_pack("{s:s, s:{s:s, s:s, s:s}}", "type", "resource", "resource", "uri",
				     uri, "mimeType", "text/plain", "text",
				     "Embedded resource content for testing.");

	mcp_result(call, json_pack("{s:[o, o]}", "messages", user(resource),
				   text("Please process the embedded resource above.")));
}

static void with_image(struct mcp_call *call)
{
	json_t *image = json_pack("{s:s, s:s, s:s}", "type", "image", "data", mcp_image, "mimeType",
				  "image/png");

	mcp_result(call, json_pack("{s:[o, o]}", "messages", user(image),
				   text("Please analyze the image above.")));
}

static void with_input(struct mcp_call *call)
{
	static const char question[] =
		"{\"mode\":\"form\",\"message\":\"What context should the prompt use?\","
		"\"requestedSchema\":{\"type\":\"object\",\"properties\":{\"context\":"
		"{\"type\":\"string\"}},\"required\":[\"context\"]}}";
	const json_t *given = mcp_elicited(call, "user_context", question);
	const char *context = json_string_value(json_object_get(given, "context"));

	if (!mcp_need(call))
		mcp_result(call, json_pack("{s:[o]}", "messages", text(context != NULL ? context : "")));
}

static const struct prompt {
	const char *name, *description, *first, *second; /* required arguments */
	void (*run)(struct mcp_call *call);
} prompts[] = {
	{ "test_simple_prompt", "Without arguments", NULL, NULL, simple },
	{ "test_prompt_with_arguments", "With two", "arg1", "arg2", with_arguments },
	{ "test_prompt_with_embedded_resource", "With a resource", "resourceUri", NULL, with_resource },
	{ "test_prompt_with_image", "With an image", NULL, NULL, with_image },
	{ "test_input_required_result_prompt", "Asks the user first", NULL, NULL, with_input },
};

static void argument_add(json_t *prompt, const char *name)
{
	if (name == NULL)
		return;
	if (json_object_get(prompt, "arguments") == NULL)
		json_object_set_new(prompt, "arguments", json_array());
	json_array_append_new(json_object_get(prompt, "arguments"),
			      json_pack("{s:s, s:s, s:b}", "name", name, "description", "a text",
					"required", 1));
}

json_t *mcp_prompts_list(void)
{
	json_t *list = json_array(), *one;

	for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++) {
		one = json_pack("{s:s, s:s}", "name", prompts[i].name, "description",
				prompts[i].description);
		argument_add(one, prompts[i].first);
		argument_add(one, prompts[i].second);
		json_array_append_new(list, one);
	}
	return list;
}

void mcp_prompts_get(struct mcp_call *call)
{
	const char *name = json_string_value(json_object_get(call->params, "name"));

	for (size_t i = 0; name != NULL && i < sizeof prompts / sizeof *prompts; i++)
		if (strcmp(prompts[i].name, name) == 0) {
			if (!mcp_inputs_read(call))
				return;
			call->run = prompts[i].run;
			prompts[i].run(call);
			return;
		}
	mcp_fail(call, MCP_PARAMS, "Unknown prompt");
}
