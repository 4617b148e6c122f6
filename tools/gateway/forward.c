/* SPDX-License-Identifier: Apache-2.0 */
/* forward.c - the fields on their way: those of one connection stay behind, and who asked, how and
 * through whom is said (RFC 9110, section 7.6; RFC 7239). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/gateway/proxy.h"

#define PSEUDONYM "kolk-gateway"

enum {
	TEXT_MIN = 2048,    /* values that the gateway makes, beside those that it continues */
	AUTHORITY_MAX = 255 /* a longer one is not repeated in Forwarded */
};

/* ---- what was said of the client before */

struct before {
	size_t forwarded_size, for_size; /* of the values, each with ", " behind it */
	const char *proto, *host, *request_id;
};

static int by_name(const void *name, const void *entry)
{
	return strcmp(name, *(const char *const *)entry);
}

/* What a proxy says of its client, and of what that asked for. Of others it is made up. */
static bool is_forwarding(const char *name)
{
	static const char *const names[] = { /* in the order of strcmp */
		"cf-connecting-ip", "cf-connecting-ipv6", "client-cert", "client-cert-chain",
		"client-ip", "fastly-client-ip", "forwarded", "forwarded-for", "true-client-ip",
		"x-azure-clientip", "x-azure-socketip", "x-client-ip", "x-cluster-client-ip",
		"x-envoy-external-address", "x-original-forwarded-for", "x-original-host",
		"x-original-url", "x-originating-ip", "x-real-ip", "x-remote-addr", "x-remote-ip",
		"x-rewrite-url",
	};

	if (name[0] != 'x' && strchr("cft", name[0]) == NULL) /* most are none */
		return false;
	return strncmp(name, "x-forwarded", 11) == 0 ||
	       bsearch(name, names, sizeof names / sizeof *names, sizeof *names, by_name) != NULL;
}

/* The field that the tenant was told by. */
static bool is_tenant(const struct gw_exchange *x, const char *name)
{
	const struct gw_tenants_options *tenants = &x->view->config->tenants_options;

	if (tenants->from == GW_TENANTS_HEADER)
		return strcmp(name, tenants->header) == 0;
	return (tenants->from == GW_TENANTS_BEARER || tenants->from == GW_TENANTS_JWT) &&
	       strcmp(name, "authorization") == 0;
}

/* Servers that pass fields on as variables (CGI, RFC 3875, section 4.1.18) make one name of x-tenant
 * and x_tenant: what was decided by the first could be said anew by the second. */
static bool is_disguised(const char *name)
{
	return strchr(name, '_') != NULL;
}

/* Fields that the gateway writes: "x-forwarded-for" and the like. Others, of a trusted proxy, are
 * passed on. */
static bool is_written(const char *name)
{
	if (name[0] != 'x')
		return strcmp(name, "forwarded") == 0;
	return strcmp(name, "x-forwarded-for") == 0 || strcmp(name, "x-forwarded-proto") == 0 ||
	       strcmp(name, "x-forwarded-host") == 0;
}

static void note(struct before *before, const struct kolk_http_field *field)
{
	if (strcmp(field->name, "forwarded") == 0)
		before->forwarded_size += strlen(field->value) + 2;
	else if (strcmp(field->name, "x-forwarded-for") == 0)
		before->for_size += strlen(field->value) + 2;
	else if (strcmp(field->name, "x-forwarded-proto") == 0)
		before->proto = field->value;
	else if (strcmp(field->name, "x-forwarded-host") == 0)
		before->host = field->value;
}

static struct before look_before(const struct gw_exchange *x)
{
	const struct kolk_http_request_head *head = x->head;
	struct before before = { 0 };

	if (x->target->route->request_id != 0)
		before.request_id =
			kolk_http_field(head->fields, head->field_count, "x-request-id");
	for (uint32_t i = 0; x->trusted && i < head->field_count; i++)
		note(&before, &head->fields[i]);
	return before;
}

/* ---- the request */

static bool may_pass(const struct gw_exchange *x, const char *name, uint8_t mark)
{
	if (is_written(name))
		return false;
	if (is_tenant(x, name) && x->tenant[0] != '\0') /* also if Connection names it */
		return true;
	if (is_tenant(x, name) && x->view->config->tenants_options.from == GW_TENANTS_HEADER)
		return false; /* it was not asked whether the client may say so */
	if (mark != 0 || is_disguised(name) || (is_forwarding(name) && !x->trusted))
		return false;
	return x->target->route->request_id == 0 || strcmp(name, "x-request-id") != 0;
}

/* A list that proxies before this one began, and what this one adds. */
static void continue_list(const struct gw_exchange *x, const char *name, const char *added)
{
	const struct kolk_http_request_head *head = x->head;
	struct gw_fields *fields = &x->loop->fields;
	char *text = fields->text + fields->text_size, *at = text;

	for (uint32_t i = 0; x->trusted && i < head->field_count; i++)
		if (strcmp(head->fields[i].name, name) == 0)
			at = stpcpy(stpcpy(at, head->fields[i].value), ", ");
	at = stpcpy(at, added);
	fields->text_size += (size_t)(at - text) + 1;
	gw_fields_add(fields, name, text);
}

/* for=192.0.2.1;host="example.org:8443";proto=https. A client's Host has no quote and no backslash:
 * the library refuses it. */
static void add_forwarding(struct gw_exchange *x, const struct before *before)
{
	struct gw_fields *fields = &x->loop->fields;
	const char *scheme = x->tls ? "https" : "http", *authority = x->head->authority;
	const char *client = x->client[0] == '\0' ? "unknown" : x->client;
	bool v6 = strchr(client, ':') != NULL;
	char element[sizeof x->client + AUTHORITY_MAX + 64], *at = element;

	at = stpcpy(stpcpy(at, v6 ? "for=\"[" : "for="), client);
	at = stpcpy(at, v6 ? "]\"" : "");
	if (authority[0] != '\0' && strlen(authority) <= AUTHORITY_MAX)
		at = stpcpy(stpcpy(stpcpy(at, ";host=\""), authority), "\"");
	stpcpy(stpcpy(at, ";proto="), scheme);
	continue_list(x, "forwarded", element);
	continue_list(x, "x-forwarded-for", client);
	gw_fields_add(fields, "x-forwarded-proto", before->proto != NULL ? before->proto : scheme);
	if (before->host != NULL || authority[0] != '\0')
		gw_fields_add(fields, "x-forwarded-host",
			      before->host != NULL ? before->host : authority);
}

static const char *via(uint32_t version)
{
	return version == 20 ? "2 " PSEUDONYM : version == 10 ? "1.0 " PSEUDONYM : "1.1 " PSEUDONYM;
}

/* An id that comes from the client is kept if it is short and harmless. */
static void add_request_id(struct gw_exchange *x, const char *given)
{
	size_t size = given == NULL ? 0 : strlen(given);

	if (size > 0 && size < sizeof x->request_id && strpbrk(given, "\"\\ ") == NULL)
		memcpy(x->request_id, given, size + 1);
	else if (x->request_id[0] == '\0')
		snprintf(x->request_id, sizeof x->request_id, "%016llx%04x%012llx",
			 (unsigned long long)x->loop->gateway->request_id_base,
			 x->loop->index & 0xffff,
			 (unsigned long long)++x->loop->request_ids);
	gw_fields_add(&x->loop->fields, "x-request-id", x->request_id);
}

static bool write_fields(struct gw_exchange *x)
{
	const struct kolk_http_request_head *head = x->head;
	struct gw_fields *fields = &x->loop->fields;
	struct before before = look_before(x);
	bool all_checked = head->version < 20; /* and what the gateway makes of its values */

	if (!gw_fields_begin(fields, head->field_count,
			     TEXT_MIN + before.forwarded_size + before.for_size +
				     strlen(head->target) + 2)) /* see target_of */
		return false;
	kolk_http_field_marks(head->fields, head->field_count, fields->marks);
	if (x->traced)
		gw_trace_forward(x);
	for (uint32_t i = 0; i < head->field_count; i++) {
		if (!may_pass(x, head->fields[i].name, fields->marks[i]))
			continue;
		gw_fields_add(fields, head->fields[i].name, head->fields[i].value);
		all_checked &= fields->marks[i] == 0;
	}
	add_forwarding(x, &before);
	gw_fields_add(fields, "via", via(head->version));
	fields->checked = all_checked ? (uint32_t)fields->count : 0;
	if (x->target->route->request_id != 0)
		add_request_id(x, before.request_id);
	return true;
}

/* With strip_prefix: what follows the route's path; "/" if that is nothing. Of the query nothing
 * is lost: "/api?x" is "/?x", for which write_fields left room behind its own text. */
static const char *target_of(const struct gw_exchange *x)
{
	const char *rest = gw_target_rest(x->target, x->head->target);
	struct gw_fields *fields = &x->loop->fields;
	char *text = fields->text + fields->text_size;

	if (*rest == '/' || *rest == '*')
		return rest;
	sprintf(text, "/%s", rest);
	return text;
}

/* Another one is not asked for, which a server may do with any (RFC 9110, section 7.8). */
static bool may_upgrade(const struct gw_route *route, const char *protocol)
{
	static const char *const websocket[] = { "websocket", NULL };
	const char *const *allowed = route->upgrades != NULL ? route->upgrades : websocket;

	while (protocol != NULL && *allowed != NULL)
		if (strcasecmp(*allowed++, protocol) == 0)
			return true;
	return false;
}

static bool is_safe(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
	       strcmp(method, "OPTIONS") == 0;
}

bool gw_forward_may_repeat(const struct kolk_http_request_head *head)
{
	return head->body_size == 0 && is_safe(head->method);
}

bool gw_forward_request(struct gw_exchange *x, struct kolk_http_request *request)
{
	const struct kolk_http_request_head *head = x->head;
	const struct gw_route *route = x->target->route;

	if (!write_fields(x))
		return false;
	request->method = head->method;
	request->target = target_of(x);
	request->scheme = x->tls ? "https" : "http"; /* not the client's word */
	request->fields = x->loop->fields.at;
	request->field_count = (uint32_t)x->loop->fields.count;
	request->fields_checked = x->loop->fields.checked;
	if (route->host_mode == GW_HOST_NAME)
		request->authority = route->host_name;
	else if (route->host_mode == GW_HOST_KEEP && head->authority[0] != '\0')
		request->authority = head->authority;
	request->replayable = gw_forward_may_repeat(head);
	request->upgrade = head->body_size == 0 && may_upgrade(route, head->upgrade) ?
				   head->upgrade : NULL;
	request->trailers_accepted = request->upgrade == NULL ? head->trailers_accepted : 0;
	if (route->request_timeout_ns != 0)
		request->deadline_ns = route->request_timeout_ns == KOLK_FOREVER ?
					       KOLK_FOREVER : x->begin_ns + route->request_timeout_ns;
	request->idle_timeout_ns = route->idle_timeout_ns;
	return true;
}

/* ---- the answer */

/* What the gateway says by itself, where the route has it. */
static bool is_own(const struct gw_route *route, const char *name)
{
	return (route->cors_origins != NULL && gw_is_cors_field(name)) ||
	       (route->request_id != 0 && strcmp(name, "x-request-id") == 0);
}

bool gw_forward_answer(struct gw_exchange *x, const struct kolk_http_head *head,
		       struct kolk_http_answer *answer)
{
	struct gw_fields *fields = &x->loop->fields;
	const struct gw_route *route = x->target->route;

	if (!gw_fields_begin(fields, head->field_count, TEXT_MIN))
		return false;
	kolk_http_field_marks(head->fields, head->field_count, fields->marks);
	for (uint32_t i = 0; i < head->field_count; i++)
		if (fields->marks[i] == 0 && !is_own(route, head->fields[i].name))
			gw_fields_add(fields, head->fields[i].name, head->fields[i].value);
	gw_fields_add(fields, "via", via(head->version));
	answer->fields_checked = head->version < 20 ? (uint32_t)fields->count : 0;
	if (route->request_id != 0 && head->status >= 200)
		gw_fields_add(fields, "x-request-id", x->request_id);
	gw_answer_add_cors(x, fields);
	answer->fields = fields->at;
	answer->field_count = (uint32_t)fields->count;
	return true;
}

/* ---- trailers. A recipient may add them to the fields of the head, and nothing was decided by them:
 * they may not say what the head said, also behind a trusted proxy, which passes on its client's. */

static bool is_credential(const char *name)
{
	return strcmp(name, "authorization") == 0 || strcmp(name, "proxy-authorization") == 0 ||
	       strcmp(name, "cookie") == 0;
}

static bool is_request_trailer(const struct gw_exchange *x, const char *name)
{
	return !is_forwarding(name) && !is_credential(name) && !is_tenant(x, name) &&
	       !is_disguised(name) && strcmp(name, "via") != 0 && strcmp(name, "x-request-id") != 0;
}

static bool is_answer_trailer(const struct gw_exchange *x, const char *name)
{
	return !gw_is_cors_field(name) && strcmp(name, "via") != 0 &&
	       !is_own(x->target->route, name);
}

static bool keep(struct gw_exchange *x, bool request, const struct kolk_http_field *fields,
		 size_t count)
{
	uint8_t marks[GW_TRAILERS_MAX];

	if (count == 0)
		return true;
	if (count > GW_TRAILERS_MAX)
		return false;
	kolk_http_field_marks(fields, count, marks);
	for (size_t i = 0; i < count; i++)
		marks[i] |= !(request ? is_request_trailer(x, fields[i].name) :
					is_answer_trailer(x, fields[i].name));
	return gw_trailers_keep(request ? &x->passed->up_trailers : &x->passed->down_trailers,
				fields, count, marks);
}

bool gw_forward_request_trailers(struct gw_exchange *x, const struct kolk_http_field *fields,
				 size_t count)
{
	return keep(x, true, fields, count);
}

bool gw_forward_answer_trailers(struct gw_exchange *x, const struct kolk_http_field *fields,
				size_t count)
{
	return keep(x, false, fields, count);
}
