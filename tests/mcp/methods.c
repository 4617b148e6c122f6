/* SPDX-License-Identifier: Apache-2.0 */
/* methods.c - the methods of both eras. */
#include <stdlib.h>
#include <string.h>

#include "tests/mcp/tools.h"

json_t *mcp_server_info(void)
{
	return json_pack("{s:s, s:s}", "name", "kolk-mcp-fixture", "version", "1.0.0");
}

json_t *mcp_capabilities_of_server(bool modern)
{
	json_t *all = json_pack("{s:{s:b}, s:{s:b}, s:{s:b, s:b}, s:{}}", "tools", "listChanged", 1,
				"prompts", "listChanged", 1, "resources", "listChanged", 1,
				"subscribe", 1, "completions");

	if (!modern)
		json_object_set_new(all, "logging", json_object());
	return all;
}

/* ---- the beginning */

static enum mcp_version agree(const struct mcp_fixture *fixture, const char *wanted)
{
	enum mcp_version newest = MCP_2025_11_25;

	for (enum mcp_version i = 0; i < MCP_2026_07_28; i++)
		if ((fixture->versions & 1u << i) != 0 && wanted != NULL &&
		    strcmp(mcp_versions[i], wanted) == 0)
			return i;
	while (newest > 0 && (fixture->versions & 1u << newest) == 0)
		newest--;
	return newest;
}

static void initialize(struct mcp_call *call)
{
	const char *wanted = json_string_value(json_object_get(call->params, "protocolVersion"));
	const struct mcp_options *options = &call->fixture->options;
	struct mcp_session *session = call->session;
	json_t *capabilities = json_object_get(call->params, "capabilities");

	if (wanted == NULL || !json_is_object(capabilities)) {
		mcp_fail(call, MCP_PARAMS, "initialize needs protocolVersion and capabilities");
		return;
	}
	if (session->capabilities != NULL) {
		mcp_fail(call, MCP_INVALID, "Already initialized");
		return;
	}
	session->version = call->stream->named ? MCP_2024_11_05 : agree(call->fixture, wanted);
	session->capabilities = json_incref(capabilities);
	session->client = json_incref(json_object_get(call->params, "clientInfo"));
	if (options->early)
		mcp_send(call->stream, mcp_message("notifications/tools/list_changed", NULL));
	if (options->init_sse)
		mcp_stream_sse(call->stream);
	mcp_result(call, json_pack("{s:s, s:o, s:o, s:s}", "protocolVersion",
				   options->init_version ? "1999-01-01" :
							   mcp_versions[session->version],
				   "capabilities", mcp_capabilities_of_server(false), "serverInfo",
				   mcp_server_info(), "instructions", "A server for tests."));
}

static void discover(struct mcp_call *call)
{
	if (call->fixture->options.early)
		mcp_send(call->stream, mcp_message("notifications/tools/list_changed", NULL));
	mcp_result(call, json_pack("{s:[s], s:o, s:s}", "supportedVersions",
				   mcp_versions[MCP_2026_07_28], "capabilities",
				   mcp_capabilities_of_server(true), "instructions",
				   "A server for tests."));
}

static void ping(struct mcp_call *call)
{
	mcp_result(call, json_object());
}

/* ---- lists */

/* A page of an array: the cursor is where it begins. */
static void list_page(struct mcp_call *call, const char *name, json_t *all)
{
	const char *cursor = json_string_value(json_object_get(call->params, "cursor"));
	size_t page = call->fixture->options.page, at = cursor != NULL ? strtoul(cursor, NULL, 10) : 0;
	json_t *shown;
	char next[24];

	if (page == 0) {
		mcp_result(call, json_pack("{s:O}", name, all));
		return;
	}
	shown = json_array();
	for (size_t i = at; i < at + page && i < json_array_size(all); i++)
		json_array_append(shown, json_array_get(all, i));
	shown = json_pack("{s:o}", name, shown);
	snprintf(next, sizeof next, "%zu", at + page);
	if (at + page < json_array_size(all))
		json_object_set_new(shown, "nextCursor", json_string(next));
	mcp_result(call, shown);
}

static void tools_list(struct mcp_call *call)
{
	list_page(call, "tools", call->fixture->tools);
}

static void prompts_list(struct mcp_call *call)
{
	list_page(call, "prompts", call->fixture->prompts);
}

static void resources_list(struct mcp_call *call)
{
	list_page(call, "resources", call->fixture->resources);
}

static void templates_list(struct mcp_call *call)
{
	list_page(call, "resourceTemplates", call->fixture->templates);
}

/* ---- tools */

static void tools_call(struct mcp_call *call)
{
	const char *name = json_string_value(json_object_get(call->params, "name"));
	const struct mcp_tool *tool = name != NULL ? mcp_tool_find(name) : NULL;

	if (tool == NULL) {
		mcp_fail(call, MCP_PARAMS, "Unknown tool");
		return;
	}
	mcp_count(call->fixture, MCP_N_tool_calls, 1);
	if (!mcp_inputs_read(call))
		return;
	call->run = tool->run;
	tool->run(call);
}

/* ---- what a session remembers, and what replaced it */

static void set_level(struct mcp_call *call)
{
	int level = mcp_level(json_string_value(json_object_get(call->params, "level")));

	if (level < 0) {
		mcp_fail(call, MCP_PARAMS, "Unknown level");
		return;
	}
	call->session->level = (uint32_t)level;
	mcp_result(call, json_object());
}

static void subscribe(struct mcp_call *call)
{
	const char *uri = json_string_value(json_object_get(call->params, "uri"));
	struct mcp_session *session = call->session;

	if (uri == NULL) {
		mcp_fail(call, MCP_PARAMS, "No uri");
		return;
	}
	if (session->subscribed == NULL)
		session->subscribed = json_object();
	if (strcmp(call->method->name, "resources/subscribe") == 0)
		json_object_set_new(session->subscribed, uri, json_true());
	else
		json_object_del(session->subscribed, uri);
	mcp_result(call, json_object());
}

static void listen_to(struct mcp_call *call)
{
	json_t *wanted = json_object_get(call->params, "notifications");

	if (!json_is_object(wanted)) {
		mcp_fail_status(call, 400, mcp_error_object(MCP_PARAMS, "No notifications", NULL));
		return;
	}
	call->listens = true;
	mcp_count(call->fixture, MCP_N_listen_streams_now, 1);
	mcp_send(call->stream, mcp_message("notifications/subscriptions/acknowledged",
					   json_pack("{s:O, s:{s:O}}", "notifications", wanted, "_meta",
						     MCP_META("subscriptionId"), call->id)));
}

static void complete(struct mcp_call *call)
{
	mcp_result(call, json_pack("{s:{s:[], s:i, s:b}}", "completion", "values", "total", 0,
				   "hasMore", 0));
}

/* ---- the table */

static const struct mcp_method methods[] = {
	{ "initialize", initialize, MCP_LEGACY, NULL, false },
	{ "server/discover", discover, MCP_MODERN, NULL, true },
	{ "ping", ping, MCP_LEGACY, NULL, false },
	{ "tools/list", tools_list, MCP_LEGACY | MCP_MODERN, NULL, true },
	{ "tools/call", tools_call, MCP_LEGACY | MCP_MODERN, "name", false },
	{ "prompts/list", prompts_list, MCP_LEGACY | MCP_MODERN, NULL, true },
	{ "prompts/get", mcp_prompts_get, MCP_LEGACY | MCP_MODERN, "name", false },
	{ "resources/list", resources_list, MCP_LEGACY | MCP_MODERN, NULL, true },
	{ "resources/templates/list", templates_list, MCP_LEGACY | MCP_MODERN, NULL, true },
	{ "resources/read", mcp_resources_read, MCP_LEGACY | MCP_MODERN, "uri", true },
	{ "resources/subscribe", subscribe, MCP_LEGACY, NULL, false },
	{ "resources/unsubscribe", subscribe, MCP_LEGACY, NULL, false },
	{ "logging/setLevel", set_level, MCP_LEGACY, NULL, false },
	{ "completion/complete", complete, MCP_LEGACY | MCP_MODERN, NULL, false },
	{ "subscriptions/listen", listen_to, MCP_MODERN, NULL, false },
};

const struct mcp_method *mcp_method_find(const char *name, unsigned era)
{
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if ((methods[i].eras & era) != 0 && strcmp(methods[i].name, name) == 0)
			return &methods[i];
	return NULL;
}

/* ---- messages of the client */

static json_t *headers_of(const struct mcp_exchange *exchange)
{
	json_t *headers = json_object();

	for (uint32_t i = 0; i < exchange->head->field_count; i++)
		json_object_set_new(headers, exchange->head->fields[i].name,
				    json_stringn_nocheck(exchange->head->fields[i].value,
							 strlen(exchange->head->fields[i].value)));
	return headers;
}

/* A request, whose stream counted it as pending. */
void mcp_request(struct mcp_stream *stream, json_t *message, const struct mcp_exchange *exchange)
{
	const char *name = json_string_value(json_object_get(message, "method"));
	struct mcp_call *call = mcp_call_new(stream, message);
	const char *tool = json_string_value(json_object_get(call->params, "name"));
	const struct mcp_method *method;

	mcp_count(call->fixture, MCP_N_requests, 1);
	method = mcp_method_find(name, call->session != NULL ? MCP_LEGACY : MCP_MODERN);
	if (method == NULL) {
		mcp_fail_status(call, 404, mcp_error_object(MCP_NO_METHOD, "Method not found", NULL));
		return;
	}
	if (call->session != NULL && !call->session->initialized && method->run != initialize &&
	    method->run != ping)
		mcp_count(call->fixture, MCP_N_before_initialized, 1);
	if (exchange != NULL && tool != NULL && strcmp(tool, "whoami") == 0)
		call->headers = headers_of(exchange);
	mcp_call_start(call, method);
}

void mcp_notification(struct mcp_fixture *fixture, struct mcp_session *session,
		      const json_t *message)
{
	const char *method = json_string_value(json_object_get(message, "method"));

	mcp_count(fixture, MCP_N_notifications, 1);
	if (session == NULL)
		return;
	if (strcmp(method, "notifications/cancelled") == 0)
		mcp_cancelled(session, fixture, json_object_get(message, "params"));
	if (strcmp(method, "notifications/initialized") == 0 && !session->initialized) {
		session->initialized = true;
		mcp_count(fixture, MCP_N_sessions_initialized, 1);
	}
}
