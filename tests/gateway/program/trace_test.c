/* SPDX-License-Identifier: Apache-2.0 */
/* trace_test.c - spans of requests at a collector: what they say, and what becomes of them when it fails,
 * refuses, hangs or changes. */
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"
#include "tests/kit/certs.h"
#include "tests/kit/control.h"

static char text[PROGRAM_TEXT];

#define ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"
#define GET(path) "GET " path " HTTP/1.1\r\nHost: a.test:81\r\nConnection: close\r\n"

/* ---- a collector, which keeps the spans that it accepts */

enum { SPANS_MAX = 4096 };

struct collector {
	struct kit_mock *mock;
	KOLK__ATOMIC(const char *) says;  /* the head of its answers; NULL = it hangs */
	pthread_mutex_t lock;
	json_t *spans;                    /* under it; each with "service" */
	kolk__atomic_u32 asked, bad;      /* exports; those that are no OTLP */
};

static const char accepts[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
			      "Content-Length: 2\r\n\r\n{}";
static const char rejects[] = "HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\n"
			      "{\"partialSuccess\":{\"rejectedSpans\":\"2\",\"errorMessage\":\"too\\u0007old\"}}";
static const char refuses[] = "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n";
static const char is_busy[] = "HTTP/1.1 503 No\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n";

static void keep(struct collector *c, const json_t *body)
{
	json_t *resource = json_array_get(json_object_get(body, "resourceSpans"), 0);
	json_t *scope = json_array_get(json_object_get(resource, "scopeSpans"), 0);
	json_t *attributes = json_object_get(json_object_get(resource, "resource"), "attributes");
	const char *service = json_string_value(json_object_get(
		json_object_get(json_array_get(attributes, 0), "value"), "stringValue"));
	json_t *spans = json_object_get(scope, "spans"), *span;
	size_t i;

	if (service == NULL || json_array_size(spans) == 0)
		kolk__add_acq_rel(&c->bad, 1);
	pthread_mutex_lock(&c->lock);
	json_array_foreach(spans, i, span) {
		json_object_set_new(span, "service", json_string(service));
		json_array_append(c->spans, span);
	}
	pthread_mutex_unlock(&c->lock);
}

static void play_collector(struct kit_mock_conn *conn, void *user)
{
	struct collector *c = user;
	char head[4096], *body;

	while (kit_mock_read_until(conn, "\r\n\r\n", head, sizeof head, 20000)) {
		const char *size = strstr(head, "ontent-length: "), *says;
		const size_t bytes = size != NULL ? strtoul(size + 15, NULL, 10) : 0;
		json_t *json;

		body = malloc(bytes + 1);
		if (!kit_mock_read(conn, body, bytes, 10000))
			kolk__add_acq_rel(&c->bad, 1);
		json = json_loadb(body, bytes, 0, NULL);
		free(body);
		if (json == NULL || strncmp(head, "POST /v1/traces HTTP/1.1\r\n", 26) != 0 ||
		    strstr(head, "content-type: application/json\r\n") == NULL)
			kolk__add_acq_rel(&c->bad, 1);
		kolk__add_acq_rel(&c->asked, 1);
		says = kolk__load_acquire(&c->says);
		if (says == NULL) {
			json_decref(json);
			kit_mock_drain(conn, 20000);
			return;
		}
		if (says == accepts)
			keep(c, json);
		json_decref(json);
		kit_mock_say(conn, says);
	}
}

static bool collector_open_tls(struct collector *c, const char *says, const struct kit_cert *cert)
{
	*c = (struct collector){ .spans = json_array() };
	pthread_mutex_init(&c->lock, NULL);
	kolk__store_release(&c->says, says);
	c->mock = kit_mock_open(&(struct kit_mock_options){ .play = play_collector, .user = c,
							    .cert = cert });
	return c->mock != NULL || FAILED("there is a collector");
}

static bool collector_open(struct collector *c, const char *says)
{
	return collector_open_tls(c, says, NULL);
}

static void collector_close(struct collector *c)
{
	kit_mock_close(c->mock);
	CHECK(kolk__load_acquire(&c->bad) == 0);
	json_decref(c->spans);
}

static size_t span_count(struct collector *c)
{
	size_t count;

	pthread_mutex_lock(&c->lock);
	count = json_array_size(c->spans);
	pthread_mutex_unlock(&c->lock);
	return count;
}

static bool has_spans(struct collector *c, size_t count)
{
	return WITHIN_MS(10000, span_count(c) >= count) ||
	       FAILED("the collector has the spans");
}

/* The span of this kind whose attribute of this name is so; NULL, and a failed check: there is none. */
static const char *attribute(const json_t *span, const char *key);

static const json_t *span_of(struct collector *c, int kind, const char *key, const char *value)
{
	const json_t *span, *found = NULL;
	size_t i;

	pthread_mutex_lock(&c->lock);
	json_array_foreach(c->spans, i, span)
		if (json_integer_value(json_object_get(span, "kind")) == kind &&
		    strcmp(attribute(span, key), value) == 0)
			found = span;
	pthread_mutex_unlock(&c->lock);
	if (found == NULL)
		tap_note("no span of kind %d with %s %s", kind, key, value);
	tap_check(found != NULL, "there is such a span", __FILE__, __LINE__);
	return found;
}

/* "" = it has none. */
static const char *attribute(const json_t *span, const char *key)
{
	const json_t *attributes = json_object_get(span, "attributes"), *one, *value;
	size_t i;

	json_array_foreach(attributes, i, one) {
		if (strcmp(json_string_value(json_object_get(one, "key")), key) != 0)
			continue;
		value = json_object_get(one, "value");
		if (json_object_get(value, "boolValue") != NULL)
			return json_is_true(json_object_get(value, "boolValue")) ? "true" : "false";
		value = json_object_iter_value(json_object_iter((json_t *)(uintptr_t)value));
		return json_string_value(value);
	}
	return "";
}

static const char *member(const json_t *span, const char *key)
{
	const char *value = json_string_value(json_object_get(span, key));

	return value != NULL ? value : "";
}

static json_int_t code(const json_t *span)
{
	return json_integer_value(json_object_get(json_object_get(span, "status"), "code"));
}

#define IS(got, wanted)                                                                    \
	do {                                                                                   \
		const char *got_ = (got);                                                      \
		CHECK(strcmp(got_, wanted) == 0);                                              \
		if (strcmp(got_, wanted) != 0)                                                 \
			tap_note("'%s' is not '%s'", got_, wanted);                            \
	} while (0)

/* ---- an upstream that says which trace it saw, and a gateway */

static void play_upstream(struct kit_mock_conn *conn, void *user)
{
	char head[4096], answer[512];

	(void)user;
	while (kit_mock_read_until(conn, "\r\n\r\n", head, sizeof head, 10000)) {
		char *at = strstr(head, "traceparent: ");

		if (at != NULL)
			at[13 + 55] = '\0';
		snprintf(answer, sizeof answer, "HTTP/1.1 %s\r\nContent-Length: 0\r\nx-saw: %s\r\n\r\n",
			 strstr(head, "GET /api/bad") != NULL ? "503 No" : "200 OK",
			 at != NULL ? at + 13 : "nothing");
		kit_mock_say(conn, answer);
	}
}

struct traced {
	struct program program;
	struct kit_mock *upstream;
	const char *engine; /* NULL = program.h's */
	bool tls;           /* of the collector */
	char pools[512];
	char tracing[512];
};

static const char routes[] = "    - {match: {path: /api}, pool: up}\n"
			     "    - {match: {path: /dead}, pool: dead, strip_prefix: true}\n"
			     "    - {match: {path: /ok}, answer: {status: 200}}\n";

static struct program_file file_of(struct traced *t, const struct collector *c, const char *more)
{
	snprintf(t->tracing, sizeof t->tracing,
		 "  tracing: {endpoint: \"http%s://%s/v1/traces\", %s}\n", t->tls ? "s" : "",
		 kit_mock_address(c->mock), more);
	snprintf(t->pools, sizeof t->pools,
		 "  - {name: up, address: \"%s\", protocol: http}\n"
		 "  - {name: dead, address: \"127.0.0.1:1\", protocol: http}\n"
		 "admin: {listen: \"unix:/tmp/kolk-traces-%d.sock\"}\n",
		 kit_mock_address(t->upstream), (int)getpid());
	return (struct program_file){ .engine = t->engine, .pools = t->pools, .routes = routes,
				      .gateway = t->tracing };
}

static bool begin(struct traced *t, const struct collector *c, const char *more)
{
	struct program_file file;

	t->upstream = kit_mock_open(&(struct kit_mock_options){ .play = play_upstream });
	if (t->upstream == NULL)
		return FAILED("there is an upstream");
	file = file_of(t, c, more);
	return program_start_with(&t->program, &file);
}

static void end(struct traced *t)
{
	CHECK(program_stop(&t->program, 10000));
	kit_mock_close(t->upstream);
}

static void ask(const struct traced *t, const char *request, int times)
{
	for (int i = 0; i < times; i++)
		CHECK(program_ask(&t->program, request, text) == 0 &&
		      strncmp(text, "HTTP/1.1 ", 9) == 0);
}

/* Whether the admin server says so, soon. */
static bool says(const struct traced *t, const char *path, const char *wanted)
{
	char socket[64];

	snprintf(socket, sizeof socket, "/tmp/kolk-traces-%d.sock", (int)getpid());
	return program_admin_says(&t->program, socket, path, wanted, text);
}

/* ---- tests */

static void expect_continued(struct collector *c)
{
	const json_t *server = span_of(c, 2, "url.path", "/api/x"), *client;
	char saw[64];

	client = span_of(c, 3, "http.response.status_code", "200");
	IS(member(server, "traceId"), ID);
	IS(member(server, "parentSpanId"), PARENT);
	IS(member(server, "traceState"), "a=b");
	IS(member(server, "name"), "GET /api");
	IS(member(server, "service"), "edge \"1\"");
	IS(attribute(server, "http.request.method"), "GET");
	IS(attribute(server, "http.route"), "/api");
	IS(attribute(server, "http.response.status_code"), "200");
	IS(attribute(server, "server.address"), "a.test");
	IS(attribute(server, "server.port"), "81");
	IS(attribute(server, "client.address"), "127.0.0.1");
	IS(attribute(server, "network.protocol.version"), "1.1");
	IS(attribute(server, "user_agent.original"), "a\"\\b");
	IS(attribute(server, "error.type"), "");
	CHECK(code(server) == 0);
	IS(member(client, "traceId"), ID);
	IS(member(client, "parentSpanId"), member(server, "spanId"));
	IS(attribute(client, "kolk.pool"), "up");
	CHECK(attribute(client, "kolk.connection.reused")[0] != 0);
	CHECK(atoi(attribute(client, "kolk.ttfb_us")) > 0);
	CHECK(strncmp(attribute(client, "url.full"), "http://127.0.0.1:", 17) == 0 &&
	      strstr(attribute(client, "url.full"), "/api/x") != NULL);
	snprintf(saw, sizeof saw, "x-saw: 00-" ID "-%s-01\r\n", member(client, "spanId"));
	CHECK(strstr(text, saw) != NULL);
	CHECK(strtoull(member(server, "endTimeUnixNano"), NULL, 10) >=
	      strtoull(member(client, "endTimeUnixNano"), NULL, 10) - 1000000);
	CHECK(llabs((long long)(strtoull(member(server, "startTimeUnixNano"), NULL, 10) / 1000000000) -
		    (long long)time(NULL)) < 60);
}

static void ask_for_trouble(const struct traced *t)
{
	ask(t, GET("/dead/y") "traceparent: 00-" ID "-" PARENT "-01\r\n\r\n", 1);
	ask(t, GET("/api/bad") "traceparent: 00-" ID "-" PARENT "-01\r\n\r\n", 1);
	ask(t, "BREW /ok HTTP/1.1\r\nHost: [::1]:82\r\nConnection: close\r\n"
	       "traceparent: 00-" ID "-" PARENT "-01\r\n\r\n", 1);
}

static void expect_trouble(struct collector *c)
{
	const json_t *span = span_of(c, 2, "url.path", "/dead/y");

	CHECK(code(span) == 2);
	IS(attribute(span, "error.type"), "KOLK_E_CONN_REFUSED");
	IS(attribute(span, "http.response.status_code"), "502");
	IS(member(json_object_get(span, "status"), "message"), "dial: connection refused: nothing listens at the address");
	span = span_of(c, 3, "kolk.pool", "dead");
	IS(attribute(span, "url.full"), "http://127.0.0.1:1/y");
	IS(attribute(span, "http.response.status_code"), "");
	IS(attribute(span, "kolk.connection.reused"), "");
	span = span_of(c, 3, "http.response.status_code", "503");
	IS(attribute(span, "error.type"), "503");
	CHECK(code(span) == 2);
	span = span_of(c, 2, "url.path", "/ok");
	IS(member(span, "name"), "HTTP /ok");
	IS(attribute(span, "http.request.method_original"), "BREW");
	IS(attribute(span, "server.address"), "::1");
}

static void expect_no_secret(struct collector *c)
{
	char *all;

	pthread_mutex_lock(&c->lock);
	all = json_dumps(c->spans, 0);
	pthread_mutex_unlock(&c->lock);
	CHECK(strstr(all, "secret") == NULL && strstr(all, "unseen") == NULL);
	free(all);
}

static void test_spans(void)
{
	struct collector c;
	struct traced t = { .engine = NULL };

	MUST(collector_open(&c, accepts));
	MUST(begin(&t, &c, "sample: 0, interval: 50ms, service_name: 'edge \"1\"'"));
	ask(&t, GET("/api/unseen") "\r\n", 1); /* it has no parent, and is not sampled */
	CHECK(strstr(text, "-00\r\n") != NULL);
	ask(&t, GET("/api/x?token=secret") "traceparent: 00-" ID "-" PARENT "-01\r\n"
	    "tracestate: a=b\r\nuser-agent: a\"\\b\r\nauthorization: secret\r\n\r\n", 1);
	CHECK(has_spans(&c, 2));
	expect_continued(&c);
	CHECK(program_logged(&t.program, ",\"trace_id\":\"" ID "\""));
	ask_for_trouble(&t);
	CHECK(has_spans(&c, 7));
	expect_trouble(&c);
	expect_no_secret(&c);
	CHECK(says(&t, "/api/pool-status", "\"exported\":7,\"lost\":0,"));
	CHECK(says(&t, "/metrics", "kolk_gateway_spans_total{outcome=\"exported\"} 7\n"));
	end(&t);
	collector_close(&c);
}

/* Kept while it fails, and told once; what is beyond the queue is lost. */
static void test_failures(void)
{
	struct collector c;
	struct traced t = { .engine = "loops: 1" };

	MUST(collector_open(&c, is_busy));
	MUST(begin(&t, &c, "sample: 1, interval: 20ms, queue_max: 16"));
	ask(&t, GET("/ok") "\r\n", 1);
	CHECK(program_says(&t.program, "/v1/traces: status 503\n"));
	CHECK(NEVER_MS(2500, kolk__load_acquire(&c.asked) > 1)); /* Retry-After, not 1 s */
	ask(&t, GET("/ok") "\r\n", 40);
	CHECK(says(&t, "/api/pool-status", "\"exported\":0,\"lost\":25,\"exports\":"));
	CHECK(strstr(text, ",\"error\":\"status 503\"}") != NULL);
	kolk__store_release(&c.says, accepts);
	CHECK(program_says(&t.program, "/v1/traces: they arrive again\n"));
	CHECK(has_spans(&c, 16));
	kolk__store_release(&c.says, refuses); /* which no repetition changes */
	ask(&t, GET("/ok") "\r\n", 1);
	CHECK(program_says(&t.program, "/v1/traces: status 400\n"));
	kolk__store_release(&c.says, rejects);
	ask(&t, GET("/ok") "\r\n", 2);
	CHECK(program_says(&t.program, "/v1/traces: spans are rejected: too?old\n"));
	CHECK(says(&t, "/metrics", "\nkolk_gateway_spans_total{outcome=\"lost\"} 28\n"));
	CHECK(strstr(text, "\nkolk_gateway_span_exports_total{outcome=\"failed\"} ") != NULL);
	end(&t);
	collector_close(&c);
}

/* A reload to another collector takes along what waits. */
static void test_reload(void)
{
	struct collector c, other;
	struct program_file file;
	struct traced t = { .engine = NULL };

	MUST(collector_open(&c, NULL) && collector_open(&other, accepts));
	MUST(begin(&t, &c, "sample: 1, interval: 20ms"));
	ask(&t, GET("/ok") "\r\n", 3);
	CHECK(WITHIN_MS(10000, kolk__load_acquire(&c.asked) > 0));
	file = file_of(&t, &other, "sample: 1, interval: 20ms");
	CHECK(program_configure_with(&t.program, &file) && program_reload(&t.program));
	CHECK(has_spans(&other, 3));
	CHECK(program_reload(&t.program)); /* the same again */
	ask(&t, GET("/api") "\r\n", 1);
	CHECK(has_spans(&other, 5));
	file.gateway = NULL; /* off: nothing is added, nothing told */
	CHECK(program_configure_with(&t.program, &file) && program_reload(&t.program));
	ask(&t, GET("/api") "\r\n", 1);
	CHECK(strstr(text, "x-saw: nothing\r\n") != NULL);
	CHECK(says(&t, "/api/pool-status", "\"program\":"));
	CHECK(strstr(text, "\"traces\":") == NULL && strstr(text, "(traces") == NULL);
	end(&t);
	CHECK(span_count(&other) == 5);
	collector_close(&c);
	collector_close(&other);
}

/* At the end what waits is exported, within a second: also where the collector hangs. */
static void test_end(void)
{
	struct collector c;
	struct traced t = { .engine = NULL };
	struct kit_control control;
	uint32_t asked;

	MUST(collector_open(&c, accepts));
	MUST(begin(&t, &c, "sample: 1, interval: 1h"));
	ask(&t, GET("/ok") "\r\n", 5);
	CHECK(span_count(&c) == 0);
	end(&t);
	CHECK(span_count(&c) == 5);
	kolk__store_release(&c.says, NULL);
	asked = kolk__load_acquire(&c.asked);
	MUST(begin(&t, &c, "sample: 1, interval: 10ms"));
	for (int i = 0; i < 50; i++)
		ask(&t, GET("/ok") "\r\n", 1);
	CHECK(WITHIN_MS(5000, kolk__load_acquire(&c.asked) > asked));
	kit_control_begin(&control);
	end(&t);
	CHECK(kit_control_end(&control) < 5000);
	collector_close(&c);
}

/* Its certificate is verified. */
static void test_tls(void)
{
	struct traced t = { .tls = true };
	struct kit_certs certs;
	struct kit_cert cert;
	struct collector c;
	char more[256];

	MUST(CHECK(kit_certs_open(&certs)));
	MUST(kit_cert_make(&(struct kit_cert_spec){ .subject = "collector", .ip = "127.0.0.1" },
			   &certs.authority.cert, &cert));
	MUST(collector_open_tls(&c, accepts, &cert));
	for (int trusted = 1; trusted >= 0; trusted--) {
		snprintf(more, sizeof more, "sample: 1, interval: 20ms, ca_file: %s",
			 trusted ? certs.authority.pem : certs.other_authority.pem);
		MUST(begin(&t, &c, more));
		ask(&t, GET("/ok") "\r\n", 2);
		CHECK(trusted ? has_spans(&c, 2) : program_says(&t.program, "(tls)\n"));
		end(&t);
	}
	CHECK(span_count(&c) == 2);
	collector_close(&c);
	kit_certs_close(&certs);
}

static const struct tap_test tests[] = {
	{ "spans say what became of a request, and no secret of it", test_spans },
	{ "a collector that fails gets spans later, and is told of once", test_failures },
	{ "a collector's certificate is verified", test_tls },
	{ "another collector after a reload; none", test_reload },
	{ "the end of the gateway exports what waits, and waits a second at most", test_end },
};
TAP_TESTS(trace, tests);
