/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input.c - what a call needs of the client. A tool asks by mcp_input until it has all that it
 * needs; what is missing becomes requests to the client (sessions), or a result input_required
 * (2026-07-28), and the tool runs again with what came.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/mcp/tools.h"

enum { ROUNDS_MAX = 4 };

const json_t *mcp_capabilities(const struct mcp_call *call)
{
	return call->session != NULL ? call->session->capabilities :
				       json_object_get(call->meta, MCP_META("clientCapabilities"));
}

const json_t *mcp_input(struct mcp_call *call, const char *key, const char *method, json_t *params)
{
	const json_t *given = json_object_get(call->inputs, key);
	json_t *request;

	if (given != NULL) {
		json_decref(params);
		return given;
	}
	request = json_pack("{s:s}", "method", method);
	json_object_set_new(request, "params", params != NULL ? params : json_object());
	if (call->asked == NULL)
		call->asked = json_object();
	json_object_set_new(call->asked, key, request);
	return NULL;
}

/* What the form says if it was accepted. One that was not is asked for again. */
const json_t *mcp_elicited(struct mcp_call *call, const char *key, const char *question)
{
	const json_t *given = json_object_get(call->inputs, key);
	const char *action = json_string_value(json_object_get(given, "action"));
	const json_t *content = json_object_get(given, "content");

	if (action != NULL && strcmp(action, "accept") == 0 && json_is_object(content))
		return content;
	if (given != NULL)
		json_object_del(call->inputs, key);
	(void)mcp_input(call, key, "elicitation/create", json_loads(question, 0, NULL));
	return NULL;
}

/* ---- 2026-07-28: in the request */

/* False = they are wrong, and the call is answered. */
bool mcp_inputs_read(struct mcp_call *call)
{
	json_t *inputs = json_object_get(call->params, "inputResponses");
	json_t *state = json_object_get(call->params, "requestState");

	if (inputs != NULL && !json_is_object(inputs)) {
		mcp_fail_status(call, 400, mcp_error_object(MCP_PARAMS, "inputResponses is no object",
							    NULL));
		return false;
	}
	if (call->session != NULL)
		return true;
	call->inputs = inputs != NULL ? json_copy(inputs) : NULL;
	if (state == NULL)
		return true;
	call->state = json_is_string(state) ? mcp_unseal(call->fixture, json_string_value(state)) : NULL;
	if (call->state != NULL)
		return true;
	mcp_fail(call, MCP_PARAMS, "Invalid requestState");
	return false;
}

static void answer_required(struct mcp_call *call)
{
	json_t *result = json_pack("{s:s, s:O}", "resultType", "input_required", "inputRequests",
				   call->asked);
	char *state = call->state != NULL ? mcp_seal(call->fixture, call->state) : NULL;

	if (state != NULL)
		json_object_set_new(result, "requestState", json_string(state));
	free(state);
	mcp_result(call, result);
}

/* ---- sessions: requests on the call's own stream */

static void ask(struct mcp_call *call, const char *key, json_t *request)
{
	struct mcp_session *session = call->session;
	size_t size = strlen(key) + 1;
	struct mcp_ask *one = calloc(1, sizeof *one + size);

	one->call = call;
	one->id = ++session->next_ask;
	memcpy(one->key, key, size);
	one->next = session->asks;
	session->asks = one;
	call->waiting++;
	mcp_count(call->fixture, MCP_N_asks, 1);
	request = json_copy(request);
	json_object_set_new(request, "jsonrpc", json_string("2.0"));
	json_object_set_new(request, "id", json_integer((json_int_t)one->id));
	mcp_send(call->stream, request);
}

void mcp_asks_drop(struct mcp_session *session, const struct mcp_call *call)
{
	for (struct mcp_ask **at = &session->asks; *at != NULL;) {
		struct mcp_ask *one = *at;

		if (one->call == call) {
			*at = one->next;
			free(one);
		} else {
			at = &one->next;
		}
	}
}

static struct mcp_ask *ask_take(struct mcp_session *session, const json_t *id)
{
	for (struct mcp_ask **at = &session->asks; *at != NULL; at = &(*at)->next)
		if (json_is_integer(id) && (uint64_t)json_integer_value(id) == (*at)->id) {
			struct mcp_ask *one = *at;

			*at = one->next;
			return one;
		}
	return NULL;
}

void mcp_replied(struct mcp_session *session, const json_t *message)
{
	struct mcp_ask *one = ask_take(session, json_object_get(message, "id"));
	json_t *result = json_object_get(message, "result");
	struct mcp_call *call;

	mcp_count(session->fixture, one != NULL ? MCP_N_replies : MCP_N_replies_unknown, 1);
	if (one == NULL)
		return;
	call = one->call;
	if (call->inputs == NULL)
		call->inputs = json_object();
	if (result != NULL)
		json_object_set(call->inputs, one->key, result);
	else
		json_object_set_new(call->inputs, one->key,
				    json_pack("{s:O?}", "error", json_object_get(message, "error")));
	free(one);
	if (--call->waiting == 0)
		call->run(call);
}

/* ---- both */

static const char *lacking(const struct mcp_call *call)
{
	static const char *const of[][2] = { { "elicitation/create", "elicitation" },
					     { "sampling/createMessage", "sampling" },
					     { "roots/list", "roots" } };
	const char *key;
	json_t *request;

	json_object_foreach(call->asked, key, request) {
		const char *method = json_string_value(json_object_get(request, "method"));

		for (size_t i = 0; i < 3; i++)
			if (strcmp(of[i][0], method) == 0 &&
			    json_object_get(mcp_capabilities(call), of[i][1]) == NULL)
				return of[i][1];
	}
	return NULL;
}

static void ask_all(struct mcp_call *call)
{
	json_t *asked = call->asked, *request;
	const char *key;

	call->asked = NULL;
	json_object_foreach(asked, key, request)
		ask(call, key, request);
	json_decref(asked);
}

/* True = something is missing, and the tool returns. */
bool mcp_need(struct mcp_call *call)
{
	const char *capability;

	if (call->asked == NULL)
		return false;
	capability = lacking(call);
	if (capability != NULL && call->session == NULL)
		mcp_fail_status(call, 400, mcp_error_object(MCP_NO_CAPABILITY,
			"Missing required client capability",
			json_pack("{s:{s:{}}}", "requiredCapabilities", capability)));
	else if (capability != NULL)
		mcp_tool_error(call, "The client has not declared %s", capability);
	else if (call->session == NULL)
		answer_required(call);
	else if (++call->rounds > ROUNDS_MAX)
		mcp_tool_error(call, "The client was asked %d times", ROUNDS_MAX);
	else
		ask_all(call);
	return true;
}
