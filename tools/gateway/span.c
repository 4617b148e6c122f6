/* SPDX-License-Identifier: Apache-2.0 */
/*
 * span.c - the spans of a request as OTLP's JSON, after OpenTelemetry's semantic conventions of HTTP.
 *
 * Of what a client sends, a span has the method, host, path and user agent: neither query nor other
 * fields, which may have secrets.
 */
#include <assert.h>
#include <kolk/inspect.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/gateway/export.h"
#include "tools/gateway/proxy.h"

enum {
	VALUE_MAX = 512,   /* bytes of a value as it is written, escapes included */
	KEY_MAX = 80,      /* of a name, with what JSON has around it and its value */
	TEXTS_MAX = 10,    /* attributes that are texts; beside them tracestate, name, message */
	OTHERS_MAX = 6,    /* numbers and switches */
	FRAME_MAX = 512    /* ids, times, kind */
};
static_assert((TEXTS_MAX + 3) * (VALUE_MAX + KEY_MAX) + OTHERS_MAX * (KEY_MAX + 20) + FRAME_MAX <=
		      (int)GW_SPAN_MAX, "a span fits into its room");

enum kind { SERVER = 2, CLIENT = 3 };

/* ---- JSON: what does not fit would be left out */

struct out {
	char *at, *end;
	const char *between; /* "" in front of the first attribute, then "," */
};

static void add_bytes(struct out *out, const char *bytes, size_t size)
{
	if (size > (size_t)(out->end - out->at))
		return;
	memcpy(out->at, bytes, size);
	out->at += size;
}

static void add(struct out *out, const char *text)
{
	add_bytes(out, text, strlen(text));
}

static void add_hex(struct out *out, const char *key, const uint8_t *bytes, size_t size)
{
	char text[33];

	gw_trace_hex(bytes, size, text);
	add(out, key);
	add(out, text);
	add(out, "\"");
}

static void add_number(struct out *out, uint64_t number)
{
	char text[21];

	add_bytes(out, text, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)number));
}

/* What is beyond VALUE_MAX is cut. Of UTF-8 each byte is escaped, so that any bytes are a text. */
static void add_escaped(struct out *out, const char *text, size_t size)
{
	size_t left = VALUE_MAX;
	char escape[7];

	for (size_t i = 0; i < size && left >= sizeof escape - 1; i++) {
		const unsigned char c = (unsigned char)text[i];
		const bool plain = c >= ' ' && c <= '~' && c != '"' && c != '\\';

		if (!plain)
			snprintf(escape, sizeof escape, "\\u%04x", c);
		add_bytes(out, plain ? text + i : escape, plain ? 1 : 6);
		left -= plain ? 1 : 6;
	}
}

static void add_key(struct out *out, const char *key, const char *type)
{
	add(out, out->between);
	add(out, "{\"key\":\"");
	add(out, key);
	add(out, "\",\"value\":{\"");
	add(out, type);
	out->between = ",";
}

static void add_part(struct out *out, const char *key, const char *text, size_t size)
{
	add_key(out, key, "stringValue\":\"");
	add_escaped(out, text, size);
	add(out, "\"}}");
}

/* None if it is NULL or "". */
static void add_text(struct out *out, const char *key, const char *text)
{
	if (text != NULL && text[0] != '\0')
		add_part(out, key, text, strlen(text));
}

/* As in OTLP, numbers are texts. None if it is 0. */
static void add_count(struct out *out, const char *key, uint64_t number)
{
	if (number == 0)
		return;
	add_key(out, key, "intValue\":\"");
	add_number(out, number);
	add(out, "\"}}");
}

/* ---- what both spans have */

static const char *version_text(uint32_t version)
{
	return version == 20 ? "2" : version == 10 ? "1.0" : version == 11 ? "1.1" : "";
}

/* Methods that the conventions know: of others there are as many as clients like. */
static bool is_known(const char *method)
{
	static const char *const known[] = { "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS",
					     "PATCH", "CONNECT", "TRACE" };

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(method, known[i]) == 0)
			return true;
	return false;
}

static void add_method(struct out *out, const char *method)
{
	add_text(out, "http.request.method", is_known(method) ? method : "_OTHER");
	if (!is_known(method))
		add_text(out, "http.request.method_original", method);
}

/* "host:port", "[v6]:port", "host", "unix:/path". */
static void add_server(struct out *out, const char *authority)
{
	const char *bracket = authority[0] == '[' ? strchr(authority, ']') : NULL;
	const char *colon = strchr(bracket != NULL ? bracket : authority, ':');
	size_t size = colon != NULL ? (size_t)(colon - authority) : strlen(authority);
	unsigned port = 0;

	if (strncmp(authority, "unix:", 5) == 0)
		add_text(out, "server.address", authority + 5);
	else if (bracket != NULL)
		add_part(out, "server.address", authority + 1, (size_t)(bracket - authority) - 1);
	else if (size > 0)
		add_part(out, "server.address", authority, size);
	if (colon != NULL && sscanf(colon, ":%5u", &port) == 1)
		add_count(out, "server.port", port);
}

/* What kind of error it was: of the gateway's, else by a status from bad on. */
static void add_answer(struct out *out, uint32_t status, uint32_t bad, enum kolk_err err)
{
	char text[12];

	snprintf(text, sizeof text, "%u", status);
	add_count(out, "http.response.status_code", status);
	if (err != KOLK_OK || status >= bad)
		add_text(out, "error.type", err != KOLK_OK ? kolk_err_name(err) : text);
}

/* Times of the clock that the loop goes by, as those of the world. */
struct times {
	uint64_t begin_ns, end_ns;
};

static uint64_t world_ns(uint64_t ns)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * KOLK_S_NS + (uint64_t)now.tv_nsec - (kolk_in_ns(0) - ns);
}

static void begin_span(struct out *out, const struct gw_trace *trace, enum kind kind)
{
	add_hex(out, "{\"traceId\":\"", trace->id, sizeof trace->id);
	add_hex(out, ",\"spanId\":\"", kind == SERVER ? trace->server : trace->client, 8);
	if (kind == CLIENT)
		add_hex(out, ",\"parentSpanId\":\"", trace->server, 8);
	else if (gw_trace_is_continued(trace))
		add_hex(out, ",\"parentSpanId\":\"", trace->parent, 8);
	add(out, kind == SERVER ? ",\"kind\":2" : ",\"kind\":3");
}

static void add_times(struct out *out, const struct times *times)
{
	const uint64_t begin_ns = world_ns(times->begin_ns);

	add(out, ",\"startTimeUnixNano\":\"");
	add_number(out, begin_ns);
	add(out, "\",\"endTimeUnixNano\":\"");
	add_number(out, begin_ns + (times->end_ns - times->begin_ns));
	add(out, "\",\"attributes\":[");
	out->between = "";
}

/* With what failed, beside a bad answer. */
static void end_span(struct out *out, bool bad, const struct gw_exchange *x)
{
	char message[VALUE_MAX];

	add(out, "]");
	if (x->failed != KOLK_OK) {
		snprintf(message, sizeof message, "%s: %s", x->phase, kolk_err_text(x->failed));
		add(out, ",\"status\":{\"code\":2,\"message\":\"");
		add_escaped(out, message, strlen(message));
		add(out, "\"}");
	} else if (bad) {
		add(out, ",\"status\":{\"code\":2}");
	}
	add(out, "}");
}

/* ---- the request */

static void add_name(struct out *out, const struct gw_exchange *x)
{
	const char *method = is_known(x->head->method) ? x->head->method : "HTTP";
	const struct gw_route *route = x->target != NULL ? x->target->route : NULL;
	const char *path = route == NULL ? "" : route->path == NULL ? "/" : route->path;
	char name[VALUE_MAX];

	snprintf(name, sizeof name, "%s%s%s", method, path[0] != '\0' ? " " : "", path);
	add(out, ",\"name\":\"");
	add_escaped(out, name, strlen(name));
	add(out, "\"");
}

/* As the client sent it, unless it is longer than the standard allows for (section 3.3.1.5). */
static void add_state(struct out *out, const struct gw_exchange *x)
{
	const char *state = kolk_http_field(x->head->fields, x->head->field_count, "tracestate");

	if (state == NULL || !gw_trace_is_continued(x->trace) || strlen(state) > VALUE_MAX)
		return;
	add(out, ",\"traceState\":\"");
	add_escaped(out, state, strlen(state));
	add(out, "\"");
}

static void write_server(struct out *out, const struct gw_exchange *x, enum kolk_err err)
{
	const struct kolk_http_request_head *head = x->head;
	const struct gw_route *route = x->target != NULL ? x->target->route : NULL;

	begin_span(out, x->trace, SERVER);
	add_name(out, x);
	add_state(out, x);
	add_times(out, &(struct times){ x->begin_ns, x->begin_ns + x->took_ns });
	add_method(out, head->method);
	add_text(out, "url.scheme", x->tls ? "https" : "http");
	add_part(out, "url.path", head->target, strcspn(head->target, "?"));
	if (route != NULL)
		add_text(out, "http.route", route->path != NULL ? route->path : "/");
	add_server(out, head->authority);
	add_text(out, "client.address", x->client);
	add_text(out, "network.protocol.version", version_text(head->version));
	add_text(out, "user_agent.original",
		 kolk_http_field(head->fields, head->field_count, "user-agent"));
	add_answer(out, x->status, 500, x->failed != KOLK_OK ? x->failed : err);
	end_span(out, x->status >= 500, x);
}

/* ---- its part at the upstream */

/* From one instant to the next, us; 0 = one of them did not come. */
static uint64_t us_between(uint64_t from_ns, uint64_t to_ns)
{
	return from_ns == 0 || to_ns <= from_ns ? 0 : (to_ns - from_ns) / KOLK_US_NS;
}

static void add_phases(struct out *out, const struct gw_trace *trace)
{
	if (trace->carried_ns != 0) {
		add_key(out, "kolk.connection.reused", "boolValue\":");
		add(out, trace->reused ? "true}}" : "false}}");
	}
	add_count(out, "kolk.acquire_us", us_between(trace->begin_ns, trace->carried_ns));
	add_count(out, "kolk.ttfb_us", us_between(trace->carried_ns, trace->head_ns));
}

/* Of a Unix socket there is none. */
static void add_url(struct out *out, const struct gw_exchange *x, const struct kolk_pool_info *pool)
{
	const char *path = gw_target_rest(x->target, x->head->target);
	char url[VALUE_MAX];

	if (strncmp(pool->address, "unix:", 5) == 0)
		return;
	snprintf(url, sizeof url, "%s://%s%s%.*s", pool->tls != 0 ? "https" : "http", pool->address,
		 path[0] == '/' ? "" : "/", (int)strcspn(path, "?"), path);
	add_text(out, "url.full", url);
}

static void write_client(struct out *out, const struct gw_exchange *x, enum kolk_err err)
{
	const struct gw_trace *trace = x->trace;
	const uint64_t end_ns = trace->end_ns != 0 ? trace->end_ns : kolk_in_ns(0);
	const bool broken_off = trace->end_ns == 0;
	struct kolk_pool_info pool = KOLK_INIT(kolk_pool_info);

	begin_span(out, trace, CLIENT);
	add(out, ",\"name\":\"");
	add(out, is_known(x->head->method) ? x->head->method : "HTTP");
	add(out, "\"");
	add_times(out, &(struct times){ trace->begin_ns, end_ns });
	add_method(out, x->head->method);
	if (trace->pool != NULL && kolk_pool_inspect(trace->pool, &pool) == KOLK_OK) {
		add_text(out, "kolk.pool", pool.name);
		add_server(out, pool.address);
		add_url(out, x, &pool);
	}
	add_text(out, "network.protocol.version", version_text(trace->version));
	add_answer(out, trace->status, 400,
		   x->failed != KOLK_OK ? x->failed : broken_off ? err : KOLK_OK);
	add_count(out, "http.request.resend_count", trace->retried);
	add_phases(out, trace);
	end_span(out, trace->status >= 400, x);
}

void gw_trace_end(struct gw_exchange *x, enum kolk_err err)
{
	struct gw_tracer *tracer = x->loop->tracer;
	const uint32_t spans = x->trace->begin_ns != 0 ? 2 : 1;
	char *room;
	struct out out;

	if (tracer == NULL || (x->trace->flags & 1) == 0)
		return;
	room = gw_export_room(tracer, spans);
	if (room == NULL)
		return;
	out = (struct out){ .at = room, .end = room + GW_SPAN_MAX };
	write_server(&out, x, err);
	if (spans == 2) {
		add(&out, ",");
		out.end = out.at + GW_SPAN_MAX;
		write_client(&out, x, err);
	}
	gw_export_put(tracer, (size_t)(out.at - room), spans);
}
