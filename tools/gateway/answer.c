/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - what the gateway answers by itself: fixed answers, redirects, CORS preflights,
 * refusals, and failures of upstreams. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "tools/gateway/proxy.h"
#include "tools/gateway/status/status.h"

static void give(struct gw_exchange *x, struct kolk_http_answer *answer)
{
	struct gw_fields *fields = &x->loop->fields;

	answer->fields = fields->at;
	answer->field_count = (uint32_t)fields->count;
	if (kolk_http_server_answer(x->front, answer) != KOLK_OK) {
		gw_proxy_cancel(x);
		return;
	}
	x->state = GW_ANSWERED;
	x->status = answer->status;
	x->sent += answer->body_size;
}

static bool begin(struct gw_exchange *x)
{
	bool ok = gw_fields_begin(&x->loop->fields, 0, 512);

	if (!ok)
		gw_proxy_cancel(x);
	return ok;
}

/* Texts of 204 and 304 would be refused. */
static void set_body(struct kolk_http_answer *answer, const char *body)
{
	if (answer->status == 204 || answer->status == 205 || answer->status == 304)
		return;
	answer->body = body;
	answer->body_size = strlen(body);
}

/* ---- routes that go to no pool */

void gw_answer_route(struct gw_exchange *x)
{
	const struct gw_route *route = x->target->route;
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);
	struct gw_fields *fields = &x->loop->fields;

	if (!begin(x))
		return;
	if (route->action == GW_ACTION_REDIRECT) {
		answer.status = route->redirect_status == 0 ? 302 : route->redirect_status;
		gw_fields_add(fields, "location", route->redirect_location);
	} else {
		answer.status = route->answer_status == 0 ? 200 : route->answer_status;
		gw_fields_add(fields, "content-type",
			      route->answer_content_type != NULL ? route->answer_content_type :
								   "text/plain; charset=utf-8");
		set_body(&answer, route->answer_body != NULL ? route->answer_body : "");
	}
	gw_answer_add_cors(x, fields);
	give(x, &answer);
}

/* ---- metadata of a resource, which no tenant is asked for */

bool gw_answer_metadata(struct gw_exchange *x)
{
	const struct gw_target *target = gw_view_find_metadata(x->view, x->head);
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);
	struct gw_fields *fields = &x->loop->fields;
	const char *method = x->head->method;

	if (target == NULL)
		return false;
	x->target = target;
	gw_status_begin(x);
	if (gw_preflight_method(x->head) != NULL && target->route->cors_origins != NULL) {
		gw_answer_preflight(x);
		return true;
	}
	if (!begin(x))
		return true;
	answer.status = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ? 200 : 405;
	if (answer.status == 405)
		gw_fields_add(fields, "allow", "GET, HEAD");
	else
		gw_fields_add(fields, "content-type", "application/json");
	if (answer.status == 200)
		set_body(&answer, target->route->access.metadata);
	gw_answer_add_cors(x, fields);
	give(x, &answer);
	return true;
}

/* ---- CORS (the Fetch standard, section 3.2) */

bool gw_is_cors_field(const char *name)
{
	return strncmp(name, "access-control-", 15) == 0;
}

static const char *allowed_origin(const struct gw_exchange *x)
{
	const struct gw_route *route = x->target->route;
	const char *origin = kolk_http_field(x->head->fields, x->head->field_count, "origin");

	if (origin == NULL || route->cors_origins == NULL)
		return NULL;
	for (const char *const *allowed = route->cors_origins; *allowed != NULL; allowed++)
		if (strcmp(*allowed, "*") == 0 || strcasecmp(*allowed, origin) == 0)
			return origin;
	return NULL;
}

void gw_answer_add_cors(const struct gw_exchange *x, struct gw_fields *fields)
{
	const char *origin;

	if (x->target == NULL || x->target->route->cors_origins == NULL)
		return;
	gw_fields_add(fields, "vary", "Origin");
	origin = allowed_origin(x);
	if (origin == NULL)
		return;
	gw_fields_add(fields, "access-control-allow-origin", origin);
	if (x->target->route->cors_credentials != 0)
		gw_fields_add(fields, "access-control-allow-credentials", "true");
	if (x->target->cors_expose != NULL)
		gw_fields_add(fields, "access-control-expose-headers", x->target->cors_expose);
}

void gw_answer_preflight(struct gw_exchange *x)
{
	const struct kolk_http_request_head *head = x->head;
	const struct gw_target *target = x->target;
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);
	struct gw_fields *fields = &x->loop->fields;
	const char *headers = target->cors_headers != NULL ? target->cors_headers :
			      kolk_http_field(head->fields, head->field_count,
					      "access-control-request-headers");
	uint64_t age_ns = target->route->cors_max_age_ns;

	if (!begin(x))
		return;
	answer.status = 204;
	gw_answer_add_cors(x, fields);
	if (allowed_origin(x) != NULL) {
		gw_fields_add(fields, "access-control-allow-methods",
			      target->cors_methods != NULL ? target->cors_methods :
							     "GET, HEAD, POST");
		if (headers != NULL)
			gw_fields_add(fields, "access-control-allow-headers", headers);
		gw_fields_print(fields, "access-control-max-age", "%llu",
				(unsigned long long)(age_ns == 0 ? 600 : age_ns / KOLK_S_NS));
	}
	give(x, &answer);
}

/* ---- refusals and failures: one line of JSON */

/* A request that shows nothing is told no error (RFC 6750, section 3.1). */
static void add_challenge(const struct gw_exchange *x, struct gw_fields *fields)
{
	const struct gw_route *route = x->target != NULL ? x->target->route : NULL;
	bool shown = kolk_http_field(x->head->fields, x->head->field_count, "authorization") != NULL;

	gw_fields_add(fields, "www-authenticate",
		      route == NULL || route->access.challenge == NULL ? "Bearer" :
		      shown ? route->access.challenge_invalid : route->access.challenge);
}

static void give_line(struct gw_exchange *x, uint32_t status, uint64_t retry_ns, const char *allow)
{
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);
	struct gw_fields *fields = &x->loop->fields;

	if (!begin(x))
		return;
	answer.status = status;
	gw_fields_add(fields, "content-type", "application/json");
	if (status == 401)
		add_challenge(x, fields);
	if (allow != NULL)
		gw_fields_add(fields, "allow", allow);
	if (retry_ns != 0)
		gw_fields_print(fields, "retry-after", "%llu",
				(unsigned long long)((retry_ns + KOLK_S_NS - 1) / KOLK_S_NS));
	set_body(&answer, x->asking->text);
	gw_answer_add_cors(x, fields);
	give(x, &answer);
}

void gw_answer_text(struct gw_exchange *x, uint32_t status, const char *allow)
{
	give_line(x, status, 0, allow);
}

static const char *refusal_text(uint32_t status)
{
	static const struct {
		uint32_t status;
		const char *text;
	} texts[] = {
		{ 400, "the path could be read in two ways" },
		{ 401, "there is no bearer token, or not a good one" },
		{ 403, "who asks is not known, or may not say so" },
		{ 404, "no route leads there" },
		{ 413, "the body is larger than the route takes" },
		{ 429, "more requests than the route takes" },
		{ 431, "more trailers than the gateway takes" },
		{ 502, "the answer of the upstream cannot be passed on" },
		{ 503, "out of memory" },
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "refused";
}

void gw_answer_refusal(struct gw_exchange *x, uint32_t status, uint64_t retry_ns)
{
	x->refused = status;
	snprintf(x->asking->text, sizeof x->asking->text, "{\"error\":\"%s\",\"status\":%u}\n",
		 refusal_text(status), status);
	give_line(x, status, retry_ns, NULL);
}

void gw_answer_no_keys(struct gw_exchange *x)
{
	x->refused = 503;
	snprintf(x->asking->text, sizeof x->asking->text,
		 "{\"error\":\"the keys of tokens are not here\",\"phase\":\"keys\","
		 "\"status\":503}\n");
	give_line(x, 503, gw_tenants_retry_ns(x->view->config), NULL);
}

void gw_answer_no_members(struct gw_exchange *x)
{
	x->failed = KOLK_E_RESOLVE;
	x->phase = "resolve";
	snprintf(x->asking->text, sizeof x->asking->text,
		 "{\"error\":\"no address of the servers is known\",\"phase\":\"resolve\","
		 "\"status\":503}\n");
	give_line(x, 503, KOLK_S_NS, NULL);
}

/* How long a caller of the same identity would wait now: at least a second. */
static uint64_t retry_after_ns(const struct gw_exchange *x)
{
	struct kolk_pool *pool = x->member != NULL ? x->member->pool : x->target->pool;
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_key *key;
	uint64_t wait_ns = 0;

	who.tenant = x->tenant[0] == '\0' ? NULL : x->tenant;
	if (pool != NULL && kolk_key_open(pool, &who, &key) == KOLK_OK) {
		wait_ns = kolk_key_wait_ns(key);
		kolk_key_close(key);
	}
	return wait_ns == 0 ? KOLK_S_NS : wait_ns;
}

void gw_answer_failure(struct gw_exchange *x, enum kolk_err err, const char *phase)
{
	uint32_t status = kolk_http_status_of(err);

	if (status == 499) { /* the gateway cancelled it for another reason than its client */
		gw_proxy_cancel(x);
		return;
	}
	snprintf(x->asking->text, sizeof x->asking->text,
		 "{\"error\":\"%s\",\"phase\":\"%s\",\"status\":%u}\n", kolk_err_text(err), phase,
		 status);
	give_line(x, status, status == 503 ? retry_after_ns(x) : 0, NULL);
}
