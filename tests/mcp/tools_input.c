/* SPDX-License-Identifier: Apache-2.0 */
/* tools_input.c - tools that need something of the client: sampling, elicitation, roots. */
#include <stdlib.h>
#include <string.h>

#include "tests/mcp/tools.h"

/* clang-format off */
#define FORM(message, properties, required) \
	"{\"mode\":\"form\",\"message\":\"" message "\",\"requestedSchema\":{\"type\":\"object\",\"properties\":{" \
	properties "},\"required\":[" required "]}}"
#define ONE(message, name, type) FORM(message, "\"" name "\":{\"type\":\"" type "\"}", "\"" name "\"")
static const char ask_name[] = ONE("What is your name?", "name", "string");
static const char ask_ok[] = ONE("Please confirm", "ok", "boolean");
static const char ask_step1[] = ONE("Step 1: What is your name?", "name", "string");
static const char ask_step2[] = ONE("Step 2: What is your favorite color?", "color", "string");
static const char ask_defaults[] = FORM("Please review and update the form fields with defaults",
	"\"name\":{\"type\":\"string\",\"description\":\"User name\",\"default\":\"John Doe\"},"
	"\"age\":{\"type\":\"integer\",\"description\":\"User age\",\"default\":30},"
	"\"score\":{\"type\":\"number\",\"description\":\"User score\",\"default\":95.5},"
	"\"status\":{\"type\":\"string\",\"description\":\"User status\","
	"\"enum\":[\"active\",\"inactive\",\"pending\"],\"default\":\"active\"},"
	"\"verified\":{\"type\":\"boolean\",\"description\":\"Verification status\",\"default\":true}", "");
#define TITLED(list, a, b, c) "\"" list "\":[{\"const\":\"value1\",\"title\":\"" a "\"}," \
	"{\"const\":\"value2\",\"title\":\"" b "\"},{\"const\":\"value3\",\"title\":\"" c "\"}]"
#define OPTIONS "\"enum\":[\"option1\",\"option2\",\"option3\"]"
static const char ask_enums[] = FORM("Please select options from the enum fields",
	"\"untitledSingle\":{\"type\":\"string\",\"description\":\"One\"," OPTIONS "},"
	"\"titledSingle\":{\"type\":\"string\",\"description\":\"One, with titles\","
	TITLED("oneOf", "First Option", "Second Option", "Third Option") "},"
	"\"legacyEnum\":{\"type\":\"string\",\"description\":\"One, with names\",\"enum\":[\"opt1\",\"opt2\",\"opt3\"],"
	"\"enumNames\":[\"Option One\",\"Option Two\",\"Option Three\"]},"
	"\"untitledMulti\":{\"type\":\"array\",\"description\":\"Some\",\"minItems\":1,\"maxItems\":3,"
	"\"items\":{\"type\":\"string\"," OPTIONS "}},"
	"\"titledMulti\":{\"type\":\"array\",\"description\":\"Some, with titles\",\"minItems\":1,\"maxItems\":3,"
	"\"items\":{" TITLED("anyOf", "First Choice", "Second Choice", "Third Choice") "}}", "");
static const char prompt_schema[] = "{\"type\":\"object\",\"properties\":{\"prompt\":{\"type\":\"string\","
	"\"description\":\"what to ask the model\"}},\"required\":[\"prompt\"]}";
static const char message_schema[] = "{\"type\":\"object\",\"properties\":{\"message\":{\"type\":\"string\","
	"\"description\":\"what to ask the user\"}},\"required\":[\"message\"]}";
/* clang-format on */

static const json_t *sampled(struct mcp_call *call, const char *key, const char *prompt)
{
	return mcp_input(call, key, "sampling/createMessage",
			 json_pack("{s:[{s:s, s:{s:s, s:s}}], s:i}", "messages", "role", "user",
				   "content", "type", "text", "text", prompt, "maxTokens", 100));
}

/* The text of a sampled message; "" = none. */
static const char *text_of(const json_t *given)
{
	const json_t *content = json_object_get(given, "content");
	const char *text = json_string_value(json_object_get(content, "text"));

	return text != NULL ? text : "";
}

static const json_t *listed(struct mcp_call *call)
{
	return mcp_input(call, "client_roots", "roots/list", NULL);
}

static const char *member(const json_t *content, const char *name)
{
	const char *text = json_string_value(json_object_get(content, name));

	return text != NULL ? text : "unknown";
}

/* ---- of sessions first */

static void sampling(struct mcp_call *call)
{
	const json_t *given = sampled(call, "answer", mcp_argument(call, "prompt", "Hello"));

	if (!mcp_need(call))
		mcp_text_result(call, "LLM response: %s", text_of(given));
}

/* Whatever the client did with the form is told. */
static void form(struct mcp_call *call, json_t *params, const char *what)
{
	const json_t *given = mcp_input(call, "form", "elicitation/create", params);
	char *content;

	if (mcp_need(call))
		return;
	content = json_dumps(json_object_get(given, "content"), JSON_COMPACT);
	mcp_text_result(call, "%s: action=%s, content=%s", what, member(given, "action"),
			content != NULL ? content : "{}");
	free(content);
}

static void elicitation(struct mcp_call *call)
{
	json_t *params = json_loads(ONE("", "response", "string"), 0, NULL);

	json_object_set_new(params, "message", json_string(mcp_argument(call, "message", "Hello")));
	form(call, params, "User response");
}

static void elicitation_defaults(struct mcp_call *call)
{
	form(call, json_loads(ask_defaults, 0, NULL), "Elicitation completed");
}

static void elicitation_enums(struct mcp_call *call)
{
	form(call, json_loads(ask_enums, 0, NULL), "Elicitation completed");
}

static void missing_capability(struct mcp_call *call)
{
	const json_t *given = sampled(call, "answer", "Reply with the single word: pong");

	if (!mcp_need(call))
		mcp_text_result(call, "sampled: %s", text_of(given));
}

/* ---- of 2026-07-28 first */

static void required_elicitation(struct mcp_call *call)
{
	const json_t *name = mcp_elicited(call, "user_name", ask_name);

	if (!mcp_need(call))
		mcp_text_result(call, "Hello, %s!", member(name, "name"));
}

static void required_sampling(struct mcp_call *call)
{
	const json_t *given = sampled(call, "capital_question", "What is the capital of France?");

	if (!mcp_need(call))
		mcp_text_result(call, "Sampling response: %s", text_of(given));
}

static void required_roots(struct mcp_call *call)
{
	const json_t *given = listed(call);

	if (!mcp_need(call))
		mcp_text_result(call, "%zu roots, the first is %s",
				json_array_size(json_object_get(given, "roots")),
				member(json_array_get(json_object_get(given, "roots"), 0), "uri"));
}

static void state_set(struct mcp_call *call, json_t *state)
{
	json_decref(call->state);
	call->state = state;
}

static void required_state(struct mcp_call *call)
{
	bool first = call->state == NULL;

	(void)mcp_elicited(call, "confirm", ask_ok);
	if (first)
		state_set(call, json_pack("{s:s}", "tool", "confirm"));
	if (mcp_need(call))
		return;
	if (first && call->session == NULL)
		mcp_fail(call, MCP_PARAMS, "Missing requestState");
	else
		mcp_text_result(call, "state-ok: integrity-ok");
}

static void required_several(struct mcp_call *call)
{
	const json_t *name = mcp_elicited(call, "user_name", ask_name);
	const json_t *greeting = sampled(call, "greeting", "Generate a greeting");
	const json_t *roots = listed(call);

	if (call->state == NULL)
		state_set(call, json_pack("{s:s}", "tool", "several"));
	if (!mcp_need(call))
		mcp_text_result(call, "%s %s, %zu roots", text_of(greeting), member(name, "name"),
				json_array_size(json_object_get(roots, "roots")));
}

/* Two rounds; what the first one gave is in the state. */
static void required_rounds(struct mcp_call *call)
{
	const json_t *done = json_object_get(call->state, "name");
	const json_t *given;

	if (done == NULL) {
		given = call->state != NULL ? mcp_elicited(call, "step1", ask_step1) : NULL;
		if (given == NULL) {
			state_set(call, json_pack("{s:i}", "round", 1));
			(void)mcp_elicited(call, "step1", ask_step1);
			mcp_need(call);
			return;
		}
		state_set(call, json_pack("{s:i, s:s}", "round", 2, "name", member(given, "name")));
	}
	given = mcp_elicited(call, "step2", ask_step2);
	if (!mcp_need(call))
		mcp_text_result(call, "%s likes %s", member(call->state, "name"), member(given, "color"));
}

/* Only what the client can do. */
static void required_capabilities(struct mcp_call *call)
{
	const json_t *capabilities = mcp_capabilities(call);

	if (json_object_get(capabilities, "elicitation") != NULL)
		(void)mcp_elicited(call, "user_name", ask_name);
	if (json_object_get(capabilities, "sampling") != NULL)
		(void)sampled(call, "greeting", "Generate a short greeting");
	if (json_object_get(capabilities, "roots") != NULL)
		(void)listed(call);
	if (!mcp_need(call))
		mcp_text_result(call, "as much as the client can");
}

/* clang-format off */
#define REQUIRED(name) "test_input_required_result_" name
const struct mcp_tool mcp_tools_input[] = {
	{ "test_sampling", "Asks the client's model", prompt_schema, sampling },
	{ "test_elicitation", "Asks the user", message_schema, elicitation },
	{ "test_elicitation_sep1034_defaults", "Asks with defaults", NULL, elicitation_defaults },
	{ "test_elicitation_sep1330_enums", "Asks with enums", NULL, elicitation_enums },
	{ "test_missing_capability", "Needs sampling", NULL, missing_capability },
	{ REQUIRED("elicitation"), "Asks the user for a name", NULL, required_elicitation },
	{ REQUIRED("sampling"), "Asks the client's model", NULL, required_sampling },
	{ REQUIRED("list_roots"), "Asks for the client's roots", NULL, required_roots },
	{ REQUIRED("request_state"), "Asks, with a state", NULL, required_state },
	{ REQUIRED("multiple_inputs"), "Asks for three things at once", NULL, required_several },
	{ REQUIRED("multi_round"), "Asks twice", NULL, required_rounds },
	{ REQUIRED("tampered_state"), "Asks, with a state that is checked", NULL, required_state },
	{ REQUIRED("capabilities"), "Asks for what the client can do", NULL, required_capabilities },
	{ NULL, NULL, NULL, NULL }
};
/* clang-format on */
