/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - the MCP servers of routes with tools: initialize, tools/list, tools/call. */
#include "tools/gateway/tool/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/gateway/tool/call.h"
#include "tools/gateway/tool/process.h"

/* ---- a session */

static enum kolk_err on_open(void *user, struct kolk_mcp_local *local, void **session_user)
{
	struct gw_tool_session *session = calloc(1, sizeof *session);

	if (session == NULL)
		return KOLK_E_MEMORY;
	session->set = user;
	session->local = local;
	*session_user = session;
	return KOLK_OK;
}

static void on_close(void *session_user, struct kolk_mcp_local *local)
{
	struct gw_tool_session *session = session_user;

	(void)local;
	while (session->calls != NULL)
		gw_tool_call_leave(session->calls);
	free(session);
}

static void answer(struct gw_tool_session *session, struct kolk_mcp_part id, const char *result,
		   size_t size)
{
	struct kolk_mcp_result with = KOLK_INIT(kolk_mcp_result);

	with.result = result;
	with.result_size = size;
	(void)kolk_mcp_local_answer(session->local, id.data, id.size, &with);
}

static void refuse(struct gw_tool_session *session, struct kolk_mcp_part id)
{
	static const char error[] = "{\"code\":-32601,\"message\":\"Method not found\"}";
	struct kolk_mcp_result with = KOLK_INIT(kolk_mcp_result);

	with.error = error;
	with.error_size = sizeof error - 1;
	(void)kolk_mcp_local_answer(session->local, id.data, id.size, &with);
}

/* The version is one that the gateway has let through, or the newest. */
static void initialize(struct gw_tool_session *session, const struct kolk_mcp_envelope *message)
{
	const char *version = message->version[0] != '\0' ? message->version : "2025-11-25";
	struct gw_text text = { .failed = false };

	gw_text_say(&text, "{\"protocolVersion\":");
	gw_text_string(&text, version, strlen(version));
	gw_text_say(&text, ",\"capabilities\":{\"tools\":{}},\"serverInfo\":{\"name\":\"kolk-gateway\","
			   "\"version\":");
	gw_text_string(&text, kolk_version_text(), strlen(kolk_version_text()));
	gw_text_say(&text, "}}");
	if (text.failed)
		kolk_mcp_local_end(session->local);
	else
		answer(session, message->id, gw_text_data(&text), gw_text_size(&text));
	gw_text_free(&text);
}

static void cancel(struct gw_tool_session *session, struct kolk_mcp_part id)
{
	for (struct gw_tool_call *call = session->calls; call != NULL; call = call->next)
		if (call->id_size == id.size && memcmp(call->id, id.data, id.size) == 0) {
			gw_tool_call_leave(call); /* nobody waits for its answer */
			break;
		}
}

static void on_message(void *session_user, struct kolk_mcp_local *local,
		       const struct kolk_mcp_envelope *message, const struct kolk_mcp_part *text)
{
	struct gw_tool_session *session = session_user;
	const char *method = message->method;

	(void)local;
	(void)text;
	if (strcmp(method, "notifications/cancelled") == 0)
		cancel(session, message->request_id);
	else if (message->id.size == 0 || method[0] == '\0')
		; /* another notification, or an answer to nothing */
	else if (strcmp(method, "tools/call") == 0)
		gw_tool_call_begin(session, message);
	else if (strcmp(method, "tools/list") == 0)
		answer(session, message->id, session->set->list, session->set->list_size);
	else if (strcmp(method, "initialize") == 0)
		initialize(session, message);
	else if (strcmp(method, "ping") == 0)
		answer(session, message->id, "{}", 2);
	else
		refuse(session, message->id);
}

/* ---- opened */

/* The longest answer: 4 MiB of JSON (bytes_max), and the text of it, in which each byte may be an escape
 * of six: 28 MiB. One that is longer than a message may be is not told to its client while others wait on
 * the same session. Twice as much: answers of several calls come at a time. */
#define ANSWER_BYTES_MAX (64u << 20)

uint32_t gw_tool_routes(const struct gw_config *config)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < config->route_count; i++)
		count += config->routes[i].action == GW_ACTION_TOOLS;
	return count;
}

uint32_t gw_tools_of_route(const struct gw_config *config, const struct gw_route *route)
{
	uint32_t number = 0;

	if (route->action != GW_ACTION_TOOLS)
		return UINT32_MAX;
	for (uint32_t i = 0; &config->routes[i] != route; i++)
		number += config->routes[i].action == GW_ACTION_TOOLS;
	return number;
}

static bool set_make(struct gw_tools *tools, const struct gw_route *route, struct gw_tool_set *set)
{
	struct gw_text list = { .failed = false };

	set->tools = tools;
	set->route = route;
	gw_text_say(&list, "{\"tools\":[");
	for (uint32_t i = 0; i < route->tool_count; i++) {
		gw_text_say(&list, i > 0 ? "," : "");
		gw_text_say(&list, route->tool_list[i]->listed);
	}
	gw_text_say(&list, "]}");
	set->list_size = gw_text_size(&list);
	set->list = list.failed ? NULL : strndup(gw_text_data(&list), set->list_size);
	gw_text_free(&list);
	return set->list != NULL;
}

static void tools_free(struct gw_tools *tools)
{
	for (uint32_t i = 0; tools->sets != NULL && i < tools->count; i++)
		free(tools->sets[i].list);
	gw_processes_close(tools->processes);
	free(tools->sets);
	free(tools->numbers);
	free(tools);
}

/* Before there are requests: the view is not in use yet on any loop. */
struct gw_tools *gw_tools_open(struct gateway *gateway)
{
	const struct gw_config *config = gateway->view->config;
	struct gw_tools *tools = calloc(1, sizeof *tools);
	bool good;

	if (tools == NULL)
		return NULL;
	tools->gateway = gateway;
	tools->numbers = calloc(config->tool_count + 1, sizeof *tools->numbers);
	tools->sets = calloc(gw_tool_routes(config) + 1, sizeof *tools->sets);
	tools->processes = gw_processes_open();
	good = tools->numbers != NULL && tools->sets != NULL && tools->processes != NULL;
	for (uint32_t i = 0; good && i < config->route_count; i++)
		if (config->routes[i].action == GW_ACTION_TOOLS)
			good = set_make(tools, &config->routes[i], &tools->sets[tools->count++]);
	if (!good) {
		tools_free(tools);
		return NULL;
	}
	tools->view = gw_view_use(gateway->view, 0);
	return tools;
}

/* The longest time-out of a tool, and some time to say that it has passed. */
static uint64_t longest_ns(const struct gw_tool_set *set)
{
	uint64_t longest = GW_TOOL_TIMEOUT_NS;

	for (uint32_t i = 0; i < set->route->tool_count; i++)
		if (set->route->tool_list[i]->timeout_ns > longest)
			longest = set->route->tool_list[i]->timeout_ns;
	return longest + 5 * KOLK_S_NS;
}

enum kolk_err gw_tools_upstream(struct gw_tools *tools, uint32_t number, struct gw_mcp_pool *pool)
{
	struct kolk_mcp_server server = KOLK_INIT(kolk_mcp_server);
	struct kolk_mcp_options options = KOLK_INIT(kolk_mcp_options);
	char name[64];
	enum kolk_err err;

	server.user = &tools->sets[number];
	server.open = on_open;
	server.message = on_message;
	server.close = on_close;
	snprintf(pool->name, 32, "tools.%u", number + 1);
	/* The server keeps nothing between two calls: a tenant's clients share its sessions. */
	options.isolation = KOLK_MCP_ISOLATION_TENANT;
	options.sharing = KOLK_MCP_MULTIPLEXED;
	/* Each loop has one of its own for each kind of client, and cheaply. */
	options.sessions_max = 16 + tools->gateway->loop_count;
	options.era = KOLK_MCP_LEGACY;
	options.message_bytes_max = ANSWER_BYTES_MAX;
	options.request_timeout_ns = longest_ns(&tools->sets[number]);
	pool->options = options;
	pool->local = true;
	pool->idle_timeout_ns = 1800 * KOLK_S_NS;
	pool->request_timeout_ns = options.request_timeout_ns;
	pool->suspended_max = 1; /* nothing of it suspends */
	snprintf(name, sizeof name, "%.32s.mcp", pool->name);
	options.name = name;
	err = kolk_mcp_local_open(tools->gateway->engine, &server, &options, &pool->sessions);
	if (err != KOLK_OK)
		return err;
	snprintf(name, sizeof name, "%.32s.mcp.once", pool->name);
	return kolk_mcp_local_open(tools->gateway->engine, &server, &options, &pool->calls);
}

/* ---- reloads */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_list(const char *const *a, const char *const *b)
{
	while (a != NULL && b != NULL && *a != NULL && *b != NULL && strcmp(*a, *b) == 0)
		a++, b++;
	return (a == NULL || *a == NULL) && (b == NULL || *b == NULL);
}

static bool same_cases(const struct gw_tool *a, const struct gw_tool *b)
{
	const struct gw_tool_case *x = a->cases.items, *y = b->cases.items;
	bool same = a->cases.count == b->cases.count;

	for (uint32_t i = 0; same && i < a->cases.count; i++)
		same = same_text(x[i].value, y[i].value) && same_list(x[i].redis, y[i].redis);
	return same;
}

/* What clients are told of a tool has all of its parameters. */
static bool same_tool(const struct gw_tool *a, const struct gw_tool *b)
{
	return same_text(a->listed, b->listed) && same_text(a->pool, b->pool) &&
	       same_text(a->sql, b->sql) && same_text(a->sql_from, b->sql_from) &&
	       same_text(a->case_of, b->case_of) && same_text(a->http_method, b->http_method) &&
	       same_text(a->http_path, b->http_path) && same_text(a->http_body, b->http_body) &&
	       same_text(a->directory, b->directory) && same_list(a->redis, b->redis) &&
	       same_list(a->command, b->command) && same_list(a->http_query, b->http_query) &&
	       same_list(a->http_headers, b->http_headers) &&
	       same_list(a->environment, b->environment) && same_list(a->inherit, b->inherit) &&
	       same_cases(a, b) && a->timeout_ns == b->timeout_ns && a->bytes_max == b->bytes_max &&
	       a->result == b->result && a->writes == b->writes && a->rows_max == b->rows_max &&
	       a->calls_max == b->calls_max;
}

/* The names of their tools: all of one are those of the other, in that order. */
static const struct gw_route *next_route(const struct gw_config *config, uint32_t *i)
{
	while (*i < config->route_count)
		if (config->routes[(*i)++].action == GW_ACTION_TOOLS)
			return &config->routes[*i - 1];
	return NULL;
}

bool gw_tools_same(const struct gw_config *before, const struct gw_config *after)
{
	const struct gw_route *a, *b;
	uint32_t i = 0, j = 0;

	if (before->tool_count != after->tool_count)
		return false;
	for (uint32_t n = 0; n < before->tool_count; n++)
		if (!same_tool(&before->tools[n], &after->tools[n]))
			return false;
	do {
		a = next_route(before, &i);
		b = next_route(after, &j);
		if ((a == NULL) != (b == NULL) || (a != NULL && !same_list(a->tools, b->tools)))
			return false;
	} while (a != NULL);
	return true;
}

/* ---- closed */

static bool is_idle(const struct gw_tools *tools)
{
	for (uint32_t i = 0; i < tools->view->config->tool_count; i++)
		if (kolk__load_acquire(&tools->numbers[i].in_flight) > 0)
			return false;
	return true;
}

static void leave_view(struct gw_loop *loop, void *user)
{
	struct gw_tools *tools = user;

	if (loop->index == 0)
		gw_view_leave(tools->view, 0);
}

bool gw_tools_close(struct gw_tools *tools, uint64_t deadline_ns)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	if (tools == NULL)
		return true;
	while (!is_idle(tools)) {
		if (kolk_in_ns(0) > deadline_ns)
			return false;
		(void)nanosleep(&moment, NULL);
	}
	gw_each_loop(tools->gateway, leave_view, tools);
	tools_free(tools);
	return true;
}
