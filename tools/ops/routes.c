/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routes.c - from a request to a response: who may, what is asked, what is done, what is said.
 *
 * Checks come in this order: path, method, token, origin, body; so that nobody without the
 * token learns more than that there is a server, and nothing is done on a doubtful request.
 */
#include "tools/ops/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "tools/ops/guard.h"

enum { LISTED_MAX = 10000, TEXT_MAX = 255, GRACE_MS = 10000 };
#define MS_MAX INT64_C(315360000000) /* ten years */

#define NO_POLICY "default-src 'none'; frame-ancestors 'none'"

/* ---- answers */

static void answer_text(struct kolk__response *response, unsigned status, const char *type,
			char *text)
{
	if (text == NULL) {
		response->status = 500;
		response->body = "{\"error\":{\"code\":\"KOLK_E_MEMORY\",\"message\":\"out of memory\"}}";
		response->size = strlen(response->body);
		return;
	}
	response->status = status;
	response->type = type;
	response->body = response->owned = text;
	response->size = strlen(text);
}

static void answer_json(struct kolk__response *response, unsigned status, json_t *json)
{
	answer_text(response, status, response->type, json_dumps(json, JSON_COMPACT));
	json_decref(json);
}

static void refuse(struct kolk__response *response, unsigned status, const char *code,
		   const char *message)
{
	char shown[KOLK__SHOWN_MAX];

	answer_json(response, status,
		    json_pack("{s:{s:s,s:s}}", "error", "code", code, "message",
			      kolk__shown(message, shown)));
}

/* name is what somebody sent, or one of ours. */
static void refuse_about(struct kolk__response *response, unsigned status, const char *code,
			 const char *what, const char *name)
{
	char text[320], shown[KOLK__SHOWN_MAX];

	(void)snprintf(text, sizeof text, "%s: %.255s", what, kolk__shown(name, shown));
	refuse(response, status, code, text);
}

static void refuse_err(struct kolk__response *response, enum kolk_err err)
{
	unsigned status = err == KOLK_E_NOT_FOUND			 ? 404 :
			  err == KOLK_E_TIMEOUT				 ? 504 :
			  kolk_err_class(err) == KOLK_CLASS_USAGE ||
				  kolk_err_class(err) == KOLK_CLASS_REFUSED ? 409 : 503;

	refuse(response, status, kolk_err_name(err), kolk_err_text(err));
}

/* ---- what a body may say */

struct field {
	const char *name;
	const char **text; /* one of the three */
	int64_t *number;
	bool *flag;
};

static bool read_field(const struct field *field, const json_t *value)
{
	if (field->text != NULL) {
		*field->text = json_string_value(value);
		return *field->text != NULL && json_string_length(value) <= TEXT_MAX;
	}
	if (field->number != NULL) {
		*field->number = json_integer_value(value);
		return json_is_integer(value) && *field->number >= 0 && *field->number <= MS_MAX;
	}
	*field->flag = json_is_true(value);
	return json_is_boolean(value);
}

static const struct field *find_field(const struct field *fields, const char *name)
{
	while (fields->name != NULL && strcmp(fields->name, name) != 0)
		fields++;
	return fields->name != NULL ? fields : NULL;
}

static bool read_fields(json_t *root, const struct field *fields, struct kolk__response *response)
{
	const char *name;
	json_t *value;

	if (!json_is_object(root)) {
		refuse(response, 400, "bad_json", "the body must be a JSON object");
		return false;
	}
	json_object_foreach(root, name, value) {
		const struct field *field = find_field(fields, name);

		if (field == NULL) {
			refuse_about(response, 400, "unknown_field", "there is no such field", name);
			return false;
		}
		if (!read_field(field, value)) {
			refuse_about(response, 400, "bad_value", "this field has a wrong type or value",
				     field->name);
			return false;
		}
	}
	return true;
}

/* The body as JSON, NULL when it is not good (and the response says why). Its strings live as
 * long as it does. No body is an empty object. */
static json_t *read_body(const struct kolk__request *request, const struct field *fields,
			 struct kolk__response *response)
{
	json_error_t error;
	json_t *root;

	if (request->body_size == 0)
		return json_object();
	root = json_loadb(request->body, request->body_size, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL) {
		refuse(response, 400, "bad_json", error.text);
		return NULL;
	}
	if (read_fields(root, fields, response))
		return root;
	json_decref(root);
	return NULL;
}

/* ---- looking */

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

static bool read_query(struct kolk__desk *desk, const struct kolk__request *request,
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
		else
			good = false;
		if (!good) {
			refuse_about(response, 400, "bad_query",
				     "this query is not expected, or has a wrong value",
				     pair->name);
			return false;
		}
	}
	if (o->pool != NULL && kolk_pool_find(desk->engine, o->pool) == NULL) {
		refuse_about(response, 404, "no_such_pool", "there is no such pool", o->pool);
		return false;
	}
	return true;
}

static void get_status(struct kolk__desk *desk, const struct kolk__request *request,
		       struct kolk__response *response)
{
	struct kolk_status_options o = KOLK_INIT(kolk_status_options);

	if (read_query(desk, request, &o, response))
		answer_text(response, 200, response->type,
			    kolk__status_json(desk->engine, &o, &desk->trend));
}

static void get_metrics(struct kolk__desk *desk, const struct kolk__request *request,
			struct kolk__response *response)
{
	(void)request;
	answer_text(response, 200, "text/plain; version=0.0.4; charset=utf-8",
		    kolk_metrics_text(desk->engine));
}

static void get_health(struct kolk__desk *desk, const struct kolk__request *request,
		       struct kolk__response *response)
{
	struct kolk_engine_info info = KOLK_INIT(kolk_engine_info);
	enum kolk_err err = kolk_engine_inspect(desk->engine, &info);

	(void)request;
	if (err == KOLK_OK)
		answer_json(response, 200, json_pack("{s:s}", "status", "ok"));
	else
		refuse(response, 503, kolk_err_name(err), kolk_err_text(err));
}

/* Ready for requests: some pool neither drains nor has given its endpoint up. */
static void get_ready(struct kolk__desk *desk, const struct kolk__request *request,
		      struct kolk__response *response)
{
	struct kolk_pool *pool;
	uint32_t pools = 0, working = 0, broken = 0;

	(void)request;
	for (; (pool = kolk_engine_pool(desk->engine, pools)) != NULL; pools++) {
		struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);

		if (kolk_pool_inspect(pool, &info) != KOLK_OK || info.draining)
			continue;
		broken += info.circuit == KOLK_CIRCUIT_OPEN;
		working += info.circuit != KOLK_CIRCUIT_OPEN;
	}
	if (working != 0 || pools == 0)
		answer_json(response, 200, json_pack("{s:s}", "status", "ready"));
	else
		refuse(response, 503, broken != 0 ? "circuit_open" : "draining",
		       broken != 0 ? "the circuit of every endpoint is open" :
				     "every pool is draining or closed");
}

static void get_page(struct kolk__desk *desk, const struct kolk__request *request,
		     struct kolk__response *response)
{
	(void)request;
	response->status = 200;
	response->type = "text/html; charset=utf-8";
	response->policy = desk->page_policy;
	response->body = kolk__page;
	response->size = kolk__page_size;
}

/* ---- doing */

static void nap(void)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
}

/* Until what was evicted is closed: those, or everything that is closing. */
static uint32_t wait_closed(struct kolk__desk *desk, uint64_t cleared)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	uint64_t until_ns = kolk_engine_now(desk->engine) + desk->wait_ns;

	while (kolk_engine_stats(desk->engine, &stats) == KOLK_OK && stats.closing != 0 &&
	       stats.destroyed[KOLK_REASON_CLEARED] < cleared &&
	       kolk_engine_now(desk->engine) < until_ns)
		nap();
	return stats.open;
}

static void post_cleanup(struct kolk__desk *desk, const struct kolk__request *request,
			 struct kolk__response *response)
{
	struct kolk_filter filter = KOLK_INIT(kolk_filter);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	int64_t idle_ms = 0;
	const struct field fields[] = { { "pool", .text = &filter.pool },
					{ "user", .text = &filter.tenant },
					{ "idleMs", .number = &idle_ms },
					{ NULL } };
	json_t *root = read_body(request, fields, response);
	size_t cleaned;

	if (root == NULL)
		return;
	if (filter.pool != NULL && kolk_pool_find(desk->engine, filter.pool) == NULL) {
		refuse_about(response, 404, "no_such_pool", "there is no such pool", filter.pool);
	} else {
		filter.idle_ns = (uint64_t)idle_ms * KOLK_MS_NS;
		(void)kolk_engine_stats(desk->engine, &stats);
		cleaned = kolk_engine_clear(desk->engine, &filter);
		answer_json(response, 200,
			    json_pack("{s:I,s:I,s:I}", "before", (json_int_t)stats.open, "after",
				      (json_int_t)wait_closed(
					      desk,
					      stats.destroyed[KOLK_REASON_CLEARED] + cleaned),
				      "cleaned", (json_int_t)cleaned));
	}
	json_decref(root);
}

/* Exactly one of pool, user and everything must be meant. */
struct target {
	const char *pool, *user;
	bool all;
	struct kolk_pool *found;
};

static bool find_target(struct kolk__desk *desk, struct target *target, bool all_allowed,
			struct kolk__response *response)
{
	if ((target->pool != NULL) + (target->user != NULL) + target->all != 1) {
		refuse(response, 400, "bad_target",
		       all_allowed ? "say one of \"pool\", \"user\" and \"all\": true" :
				     "say one of \"pool\" and \"user\"");
		return false;
	}
	if (target->pool == NULL)
		return true;
	target->found = kolk_pool_find(desk->engine, target->pool);
	if (target->found == NULL)
		refuse_about(response, 404, "no_such_pool", "there is no such pool", target->pool);
	return target->found != NULL;
}

static void warm_up(struct kolk__desk *desk, const struct target *target,
		    struct kolk__response *response)
{
	uint64_t until_ns = desk->wait_ns != 0 ? kolk_engine_now(desk->engine) + desk->wait_ns : 0;
	enum kolk_err err = target->found != NULL ?
				    kolk_pool_warm(target->found, until_ns) :
				    kolk_tenant_warm(desk->engine, target->user, until_ns);

	if (err == KOLK_OK)
		answer_json(response, 200, json_pack("{s:s}", "status", "warm"));
	else if (err == KOLK_E_TIMEOUT) /* it goes on */
		answer_json(response, 202, json_pack("{s:s}", "status", "warming"));
	else
		refuse_err(response, err);
}

static void post_warmup(struct kolk__desk *desk, const struct kolk__request *request,
			struct kolk__response *response)
{
	struct target target = { 0 };
	const struct field fields[] = { { "pool", .text = &target.pool },
					{ "user", .text = &target.user },
					{ NULL } };
	json_t *root = read_body(request, fields, response);

	if (root != NULL && find_target(desk, &target, false, response))
		warm_up(desk, &target, response);
	json_decref(root);
}

static void post_evict(struct kolk__desk *desk, const struct kolk__request *request,
		       struct kolk__response *response)
{
	struct target target = { 0 };
	const struct field fields[] = { { "pool", .text = &target.pool },
					{ "user", .text = &target.user },
					{ "all", .flag = &target.all },
					{ NULL } };
	json_t *root = read_body(request, fields, response);
	size_t outdated;

	if (root != NULL && find_target(desk, &target, true, response)) {
		outdated = target.found != NULL ? kolk_pool_rotate(target.found) :
			   target.user != NULL	? kolk_tenant_rotate(desk->engine, target.user) :
						  kolk_engine_rotate(desk->engine);
		answer_json(response, 200, json_pack("{s:I}", "outdated", (json_int_t)outdated));
	}
	json_decref(root);
}

static void post_drain(struct kolk__desk *desk, const struct kolk__request *request,
		       struct kolk__response *response)
{
	int64_t grace_ms = GRACE_MS;
	struct target target = { 0 };
	const struct field fields[] = { { "pool", .text = &target.pool },
					{ "graceMs", .number = &grace_ms },
					{ NULL } };
	json_t *root = read_body(request, fields, response);
	uint64_t until_ns = kolk_engine_now(desk->engine) + (uint64_t)grace_ms * KOLK_MS_NS;
	enum kolk_err err;

	target.all = target.pool == NULL;
	if (root != NULL && find_target(desk, &target, true, response)) {
		err = target.all ? kolk_engine_drain(desk->engine, until_ns) :
				   kolk_pool_drain(target.found, until_ns);
		if (err == KOLK_OK)
			answer_json(response, 202,
				    json_pack("{s:s,s:I}", "status", "draining", "graceMs",
					      (json_int_t)grace_ms));
		else
			refuse_err(response, err);
	}
	json_decref(root);
}

static void put_config(struct kolk__desk *desk, const struct kolk__request *request,
		       struct kolk__response *response)
{
	const struct field fields[] = { { NULL } };
	json_t *root = read_body(request, fields, response);
	char text[512] = "", shown[KOLK__SHOWN_MAX];
	enum kolk_err err;

	if (root == NULL)
		return;
	json_decref(root);
	if (desk->reload == NULL) {
		refuse(response, 501, "no_reload", "this program has no configuration to load");
		return;
	}
	err = desk->reload(desk->reload_user, text, sizeof text);
	text[sizeof text - 1] = 0;
	if (err == KOLK_OK)
		answer_json(response, 200,
			    json_pack("{s:s,s:s}", "status", "ok", "message",
				      kolk__shown(text, shown)));
	else
		refuse(response, 422, kolk_err_name(err),
		       text[0] != 0 ? text : kolk_err_text(err));
}

/* ---- the table */

struct route {
	const char *method, *path;
	void (*run)(struct kolk__desk *desk, const struct kolk__request *request,
		    struct kolk__response *response);
	bool open; /* needs no token: says nothing about anybody */
	bool acts;
	bool asks; /* takes a query */
};

static const struct route routes[] = {
	{ "GET", "/", get_page, .open = true },
	{ "GET", "/health", get_health, .open = true },
	{ "GET", "/ready", get_ready, .open = true },
	{ "GET", "/metrics", get_metrics, .open = false },
	{ "GET", "/api/pool-status", get_status, .asks = true },
	{ "POST", "/api/cleanup-connections", post_cleanup, .acts = true },
	{ "POST", "/api/warmup", post_warmup, .acts = true },
	{ "POST", "/api/evict", post_evict, .acts = true },
	{ "POST", "/api/drain", post_drain, .acts = true },
	{ "PUT", "/api/config", put_config, .acts = true },
};

static const struct route *find_route(const char *path)
{
	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
		if (strcmp(routes[i].path, path) == 0)
			return &routes[i];
	return NULL;
}

static void say(struct kolk__desk *desk, enum kolk_log_level level, const struct route *route,
		const char *what, unsigned status)
{
	char text[128];

	if (desk->on_log == NULL)
		return;
	(void)snprintf(text, sizeof text, "%s %s: %s%u", route->method, route->path, what, status);
	desk->on_log(desk->log_user, level, "admin", text);
}

/* Somebody who guesses must not fill the log: one line per second. */
static void say_refused(struct kolk__desk *desk, const struct route *route)
{
	uint64_t now_ns = kolk_engine_now(desk->engine);

	if (desk->refused_told_ns != 0 && now_ns - desk->refused_told_ns < KOLK_S_NS)
		return;
	desk->refused_told_ns = now_ns;
	say(desk, KOLK_LOG_WARN, route, "not the right token, ", 401);
}

static bool is_method(const struct route *route, const char *method)
{
	return strcmp(route->method, method) == 0 ||
	       (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

/* May this be done? Otherwise the response says why not. */
static bool admit(struct kolk__desk *desk, const struct route *route,
		  const struct kolk__request *request, struct kolk__response *response)
{
	const char *why;

	if (!route->open && !kolk__may_enter(desk, request)) {
		say_refused(desk, route);
		refuse(response, 401, "unauthorized", "the bearer token is missing or wrong");
		return false;
	}
	why = route->acts ? kolk__foreign(desk, request) : NULL;
	if (why != NULL) {
		say(desk, KOLK_LOG_WARN, route, "from a foreign page, ", 403);
		refuse(response, 403, "foreign_origin", why);
		return false;
	}
	if (request->too_large) {
		refuse(response, 413, "too_large", "the body is too large");
		return false;
	}
	if (request->body_size != 0 && !route->acts) {
		refuse(response, 400, "bad_request", "no body is expected");
		return false;
	}
	if (request->body_size != 0 && !kolk__is_json(request)) {
		refuse(response, 415, "not_json", "the body must be application/json in UTF-8");
		return false;
	}
	if (request->malformed || (request->query_count != 0 && !route->asks)) {
		refuse(response, 400, "bad_query", "no such query is expected");
		return false;
	}
	return true;
}

void kolk__answer(struct kolk__desk *desk, const struct kolk__request *request,
		  struct kolk__response *response)
{
	const struct route *route = find_route(request->path);

	*response = (struct kolk__response){ .type = "application/json; charset=utf-8",
					     .policy = NO_POLICY };
	if (route == NULL) {
		refuse(response, 404, "not_found", "there is no such path");
		return;
	}
	if (!is_method(route, request->method)) {
		response->allow = strcmp(route->method, "GET") == 0 ? "GET, HEAD" : route->method;
		refuse_about(response, 405, "method_not_allowed", "allowed here", response->allow);
		return;
	}
	if (!admit(desk, route, request, response))
		return;
	route->run(desk, request, response);
	if (route->acts)
		say(desk, KOLK_LOG_INFO, route, "", response->status);
}
