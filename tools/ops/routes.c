/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routes.c - from a request to a response: authorization, routes, GET handlers.
 *
 * Checks come in this order: doubts, path, method, token, origin, body; so that a client without
 * the token learns only that there is a server, and nothing is done on a doubtful request.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ops/guard.h"
#include "tools/ops/mcp_status.h"
#include "tools/ops/reply.h"

enum { LISTED_MAX = 10000 };

#define NO_POLICY "default-src 'none'; frame-ancestors 'none'"

/* ---- GET */

static bool read_count(const char *text, uint32_t *count)
{
	unsigned long value;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	value = strtoul(text, &end, 10);
	*count = value == 0 ? KOLK_NONE : (uint32_t)value;
	return *end == 0 && value <= LISTED_MAX;
}

static bool read_sort(const char *text, struct kolk_status_options *o)
{
	o->tenants_by_refused = strcmp(text, "refused") == 0;
	return o->tenants_by_refused || strcmp(text, "connections") == 0;
}

static void refuse_query(struct kolk__response *response, const char *name)
{
	kolk__reply_error(response, 400, "bad_query",
			  kolk__about("this query is not expected, or has a wrong value",
				      name).text);
}

static bool read_query(struct kolk__admin_server *server, const struct kolk__request *request,
		       struct kolk_status_options *o, struct kolk__response *response)
{
	for (size_t i = 0; i < request->query_count; i++) {
		const struct kolk__pair *pair = &request->query[i];
		bool good = pair->value != NULL;

		if (strcmp(pair->name, "connections") == 0)
			good = good && read_count(pair->value, &o->connections);
		else if (strcmp(pair->name, "keys") == 0)
			good = good && read_count(pair->value, &o->keys);
		else if (strcmp(pair->name, "tenants") == 0)
			good = good && read_count(pair->value, &o->tenants);
		else if (strcmp(pair->name, "pool") == 0)
			o->pool = pair->value;
		else if (strcmp(pair->name, "tenant") == 0)
			o->tenant = pair->value;
		else if (strcmp(pair->name, "search") == 0)
			o->search = pair->value;
		else if (strcmp(pair->name, "sort") == 0)
			good = good && read_sort(pair->value, o);
		else
			good = false;
		if (!good) {
			refuse_query(response, pair->name);
			return false;
		}
	}
	if (o->pool != NULL && kolk_pool_find(server->engine, o->pool) == NULL) {
		kolk__reply_error(response, 404, "no_such_pool",
				  kolk__about("there is no such pool", o->pool).text);
		return false;
	}
	return o->tenant == NULL || kolk__reply_knows(server, o->tenant, response);
}

static void get_status(struct kolk__admin_server *server, const struct kolk__request *request,
		       struct kolk__response *response)
{
	struct kolk_status_options o = KOLK_INIT(kolk_status_options);

	if (read_query(server, request, &o, response))
		kolk__reply_text(response, 200, response->type,
				 kolk__status_json(server->engine, &o, &server->trend,
						   &server->program));
}

static void get_metrics(struct kolk__admin_server *server, const struct kolk__request *request,
			struct kolk__response *response)
{
	static const char type[] = "text/plain; version=0.0.4; charset=utf-8";

	for (size_t i = 0; i < request->query_count; i++) {
		const struct kolk__pair *pair = &request->query[i];

		if (strcmp(pair->name, "tenants") != 0 || pair->value == NULL ||
		    strcmp(pair->value, "all") != 0) {
			refuse_query(response, pair->name);
			return;
		}
	}
	if (request->query_count == 0) {
		kolk__reply_text(response, 200, type,
				 kolk__metrics_text(server->engine, server->metrics_tenants,
						    &server->program));
		return;
	}
	response->stream = kolk__metrics_open(server->engine, &server->program);
	if (response->stream == NULL) {
		kolk__reply_text(response, 200, type, NULL);
		return;
	}
	response->status = 200;
	response->type = type;
}

static void get_health(struct kolk__admin_server *server, const struct kolk__request *request,
		       struct kolk__response *response)
{
	struct kolk_engine_info info = KOLK_INIT(kolk_engine_info);
	enum kolk_err err = kolk_engine_inspect(server->engine, &info);

	(void)request;
	if (err == KOLK_OK)
		kolk__reply_json(response, 200, json_pack("{s:s}", "status", "ok"));
	else
		kolk__reply_error(response, 503, kolk_err_name(err), kolk_err_text(err));
}

/* Ready for requests: some pool neither drains nor has given its endpoint up. */
static void get_ready(struct kolk__admin_server *server, const struct kolk__request *request,
		      struct kolk__response *response)
{
	struct kolk_pool *pool;
	uint32_t pools = 0, working = 0, broken = 0;

	(void)request;
	for (; (pool = kolk_engine_pool(server->engine, pools)) != NULL; pools++) {
		struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);

		if (kolk_pool_inspect(pool, &info) != KOLK_OK || info.draining)
			continue;
		broken += info.circuit == KOLK_CIRCUIT_OPEN;
		working += info.circuit != KOLK_CIRCUIT_OPEN;
	}
	if (working != 0 || pools == 0)
		kolk__reply_json(response, 200, json_pack("{s:s}", "status", "ready"));
	else
		kolk__reply_error(response, 503, broken != 0 ? "circuit_open" : "draining",
				  broken != 0 ? "the circuit of every endpoint is open" :
						"every pool is draining or closed");
}

static void get_page(struct kolk__admin_server *server, const struct kolk__request *request,
		     struct kolk__response *response)
{
	(void)request;
	response->status = 200;
	response->type = "text/html; charset=utf-8";
	response->policy = server->page_policy;
	response->body = kolk__page;
	response->size = kolk__page_size;
}

/* ---- the table */

struct route {
	const char *method, *path;
	kolk__route_fn *run;
	bool open; /* needs no token: shows no names */
	bool acts;
	bool asks; /* takes a query */
	bool may_close; /* pools, in the program's callback */
};

static const struct route routes[] = {
	{ "GET", "/", get_page, .open = true },
	{ "GET", "/health", get_health, .open = true },
	{ "GET", "/ready", get_ready, .open = true },
	{ "GET", "/metrics", get_metrics, .asks = true },
	{ "GET", "/api/pool-status", get_status, .asks = true },
	{ "POST", "/api/cleanup-connections", kolk__post_cleanup, .acts = true },
	{ "GET", "/api/mcp/pool-status", kolk__get_mcp_status, .asks = false },
	{ "POST", "/api/mcp/cleanup-connections", kolk__post_mcp_cleanup, .acts = true },
	{ "POST", "/api/warmup", kolk__post_warmup, .acts = true },
	{ "POST", "/api/evict", kolk__post_evict, .acts = true },
	{ "POST", "/api/drain", kolk__post_drain, .acts = true },
	{ "POST", "/api/resume", kolk__post_resume, .acts = true },
	{ "PUT", "/api/config", kolk__put_config, .acts = true, .may_close = true },
};

static const struct route *find_route(const char *path)
{
	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
		if (strcmp(routes[i].path, path) == 0)
			return &routes[i];
	return NULL;
}

static void log_line(struct kolk__admin_server *server, enum kolk_log_level level,
		     const struct route *route, const char *outcome)
{
	char text[128];

	if (server->on_log == NULL)
		return;
	(void)snprintf(text, sizeof text, "%s %s: %s", route->method, route->path, outcome);
	server->on_log(server->log_user, level, "admin", text);
}

/* Guessed tokens must not fill the log: one line per second. */
static void log_refused(struct kolk__admin_server *server, const struct route *route)
{
	uint64_t now_ns = kolk_engine_now(server->engine);

	if (server->refused_logged_ns != 0 && now_ns - server->refused_logged_ns < KOLK_S_NS)
		return;
	server->refused_logged_ns = now_ns;
	log_line(server, KOLK_LOG_WARN, route, "not the right token, 401");
}

static bool is_method(const struct route *route, const char *method)
{
	return strcmp(route->method, method) == 0 ||
	       (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

/* May this be done? Otherwise the response says why not. */
static bool admit(struct kolk__admin_server *server, const struct route *route,
		  const struct kolk__request *request, struct kolk__response *response)
{
	const char *why;

	if (!route->open && !kolk__is_authorized(server, request)) {
		log_refused(server, route);
		kolk__reply_error(response, 401, "unauthorized",
				  "the bearer token is missing or wrong");
		return false;
	}
	/* On TCP reading needs the token; a Unix socket may have none. */
	why = route->acts || (!route->open && !server->tcp) ? kolk__cross_origin(server, request) : NULL;
	if (why != NULL) {
		log_line(server, KOLK_LOG_WARN, route, "from a foreign page, 403");
		kolk__reply_error(response, 403, "foreign_origin", why);
		return false;
	}
	if (request->too_large) {
		kolk__reply_error(response, 413, "too_large", "the body is too large");
		return false;
	}
	if (request->body_size != 0 && !route->acts) {
		kolk__reply_error(response, 400, "bad_request", "no body is expected");
		return false;
	}
	if (request->body_size != 0 && !kolk__is_json(request)) {
		kolk__reply_error(response, 415, "not_json",
				  "the body must be application/json in UTF-8");
		return false;
	}
	if (request->malformed || (request->query_count != 0 && !route->asks)) {
		kolk__reply_error(response, 400, "bad_query", "no such query is expected");
		return false;
	}
	return true;
}

void kolk__answer(struct kolk__admin_server *server, const struct kolk__request *request,
		  struct kolk__response *response)
{
	const struct route *route = find_route(request->path);
	char status[16];

	*response = (struct kolk__response){ .type = "application/json; charset=utf-8",
					     .policy = NO_POLICY };
	if (request->doubtful) {
		kolk__reply_error(response, 400, "bad_request",
				  "a header is there twice, or the end of the body is in doubt");
		return;
	}
	if (route == NULL) {
		kolk__reply_error(response, 404, "not_found", "there is no such path");
		return;
	}
	if (!is_method(route, request->method)) {
		response->allow =
			strcmp(route->method, "GET") == 0 ? "GET, HEAD" : route->method;
		kolk__reply_error(response, 405, "method_not_allowed",
				  kolk__about("allowed here", response->allow).text);
		return;
	}
	if (!admit(server, route, request, response))
		return;
	if (!route->may_close) {
		kolk__pools_read_lock();
		kolk__latencies_tick(&server->trend.latencies, server->engine);
	}
	route->run(server, request, response);
	if (!route->may_close)
		kolk__pools_read_unlock();
	if (route->acts) {
		(void)snprintf(status, sizeof status, "%u", response->status);
		log_line(server, KOLK_LOG_INFO, route, status);
	}
}
