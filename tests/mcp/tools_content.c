/* SPDX-License-Identifier: Apache-2.0 */
/* tools_content.c - tools that the official conformance suite calls: content, logs, progress. */
#include <string.h>

#include "tests/mcp/tools.h"

/* A PNG of one red pixel; a WAV file without a sample. */
const char mcp_image[] = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAA"
			 "AABJRU5ErkJggg==";
const char mcp_audio[] = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=";

enum { STEP_MS = 50 };

static void simple_text(struct mcp_call *call)
{
	mcp_text_result(call, "This is a simple text response for testing.");
}

static void image(struct mcp_call *call)
{
	mcp_result(call, json_pack("{s:[{s:s, s:s, s:s}]}", "content", "type", "image", "data",
				   mcp_image, "mimeType", "image/png"));
}

static void audio(struct mcp_call *call)
{
	mcp_result(call, json_pack("{s:[{s:s, s:s, s:s}]}", "content", "type", "audio", "data",
				   mcp_audio, "mimeType", "audio/wav"));
}

static json_t *resource(const char *uri, const char *type, const char *text)
{
	return json_pack("{s:s, s:{s:s, s:s, s:s}}", "type", "resource", "resource", "uri", uri,
			 "mimeType", type, "text", text);
}

static void embedded_resource(struct mcp_call *call)
{
	mcp_result(call, json_pack("{s:[o]}", "content",
				   resource("test://embedded-resource", "text/plain",
					    "This is an embedded resource content.")));
}

static void several(struct mcp_call *call)
{
	mcp_result(call, json_pack("{s:[{s:s, s:s}, {s:s, s:s, s:s}, o]}", "content", "type", "text",
				   "text", "Multiple content types test:", "type", "image", "data",
				   mcp_image, "mimeType", "image/png",
				   resource("test://mixed-content-resource", "application/json",
					    "{\"test\":\"data\",\"value\":123}")));
}

static void logs(struct mcp_call *call)
{
	static const char *const texts[] = { "Tool execution started", "Tool processing data",
					     "Tool execution completed" };

	mcp_log_message(call, "info", texts[call->step]);
	if (call->step < 2)
		mcp_later(call, STEP_MS);
	else
		mcp_text_result(call, "Tool with logging executed successfully");
}

static void logs_once(struct mcp_call *call)
{
	mcp_log_message(call, "info", "test_logging_tool ran");
	mcp_text_result(call, "logged if the request says a level");
}

static void progress(struct mcp_call *call)
{
	mcp_progress(call, 50 * call->step, 100);
	if (call->step < 2)
		mcp_later(call, STEP_MS);
	else
		mcp_text_result(call, "progress %s", call->token != NULL ? "reported" : "not wanted");
}

static void fails(struct mcp_call *call)
{
	mcp_tool_error(call, "This tool intentionally returns an error for testing");
}

/* The answer comes on the stream that the client opens again. */
static void reconnection(struct mcp_call *call)
{
	struct mcp_stream *stream = call->stream;

	if (call->step > 0 || call->session == NULL || stream->kind == MCP_LINES || stream->named) {
		mcp_text_result(call, "Reconnection test completed successfully.");
		return;
	}
	mcp_stream_sse(stream);
	mcp_stream_close(stream);
	mcp_later(call, 100);
}

static void header_param(struct mcp_call *call)
{
	mcp_text_result(call, "region=%s", mcp_argument(call, "region", "none"));
}

static void streams(struct mcp_call *call)
{
	mcp_text_result(call, "a result, and no request of the server's own");
}

static void tools_changed(struct mcp_call *call)
{
	mcp_notify_all(call->fixture, "tools");
	mcp_text_result(call, "tools changed");
}

static void prompts_changed(struct mcp_call *call)
{
	mcp_notify_all(call->fixture, "prompts");
	mcp_text_result(call, "prompts changed");
}

static void schema_used(struct mcp_call *call)
{
	mcp_text_result(call, "the schema was used");
}

/* clang-format off */
static const char header_schema[] =
	"{\"type\":\"object\",\"properties\":{"
	"\"region\":{\"type\":\"string\",\"description\":\"also in Mcp-Param-Region\",\"x-mcp-header\":\"Region\"},"
	"\"level\":{\"type\":\"integer\",\"description\":\"in the body alone\"}}}";
static const char full_schema[] =
	"{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\","
	"\"$defs\":{\"address\":{\"$anchor\":\"addressDef\",\"type\":\"object\",\"properties\":{"
	"\"street\":{\"type\":\"string\"},\"city\":{\"type\":\"string\"}}}},"
	"\"properties\":{\"name\":{\"type\":\"string\"},\"address\":{\"$ref\":\"#/$defs/address\"},"
	"\"contactMethod\":{\"type\":\"string\",\"enum\":[\"phone\",\"email\"]},"
	"\"phone\":{\"type\":\"string\"},\"email\":{\"type\":\"string\"}},"
	"\"allOf\":[{\"anyOf\":[{\"required\":[\"phone\"]},{\"required\":[\"email\"]}]}],"
	"\"if\":{\"properties\":{\"contactMethod\":{\"const\":\"phone\"}},\"required\":[\"contactMethod\"]},"
	"\"then\":{\"required\":[\"phone\"]},\"else\":{\"required\":[\"email\"]},"
	"\"additionalProperties\":false}";

const struct mcp_tool mcp_tools_content[] = {
	{ "test_simple_text", "Text", NULL, simple_text },
	{ "test_image_content", "An image", NULL, image },
	{ "test_audio_content", "Sound", NULL, audio },
	{ "test_embedded_resource", "A resource in the result", NULL, embedded_resource },
	{ "test_multiple_content_types", "Text, an image and a resource", NULL, several },
	{ "test_tool_with_logging", "Three log messages, 50 ms apart", NULL, logs },
	{ "test_logging_tool", "One log message", NULL, logs_once },
	{ "test_tool_with_progress", "Progress 0, 50, 100, if a token was given", NULL, progress },
	{ "test_error_handling", "A result that is an error", NULL, fails },
	{ "test_reconnection", "Closes its stream; answers 100 ms later on the one that resumes it", NULL,
	  reconnection },
	{ "test_x_mcp_header", "An argument that a header mirrors", header_schema, header_param },
	{ "test_streaming_elicitation", "A stream without requests of the server", NULL, streams },
	{ "test_trigger_tool_change", "Notifies that the list of tools changed", NULL, tools_changed },
	{ "test_trigger_prompt_change", "Notifies that the list of prompts changed", NULL, prompts_changed },
	{ "json_schema_2020_12_tool", "A schema with much of JSON Schema 2020-12", full_schema, schema_used },
	{ NULL, NULL, NULL, NULL }
};
/* clang-format on */
