/* SPDX-License-Identifier: Apache-2.0 */
/* admin_test.c - routes.c, guard.c, status.c, metrics.c: every question and its answer, without
 * a socket. */
#include "tests/kit/cmocka/run.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/kit/origin.h"
#include "tools/ops/admin.h"
#include "tools/ops/guard.h"

#define TOKEN "a token of thirty-two characters"
#define CREDENTIAL "credential-that-nobody-may-see"

struct bench {
	struct kolk_engine *engine;
	struct kit_origin *origin;
	struct kolk_pool *pool, *dead;
	struct kolk_key *alice, *odd;
	struct kolk__admin_server server;
	enum kolk_err reload_err;
	char log[4096];
	/* the last answer */
	struct kolk__response response;
	json_t *json;
};

static void on_log(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	struct bench *bench = user;
	size_t size = strlen(bench->log);

	(void)level;
	(void)snprintf(bench->log + size, sizeof bench->log - size, "%s: %s\n", subject, text);
}

static enum kolk_err reload(void *user, char *text, size_t capacity)
{
	struct bench *bench = user;

	(void)snprintf(text, capacity, "%s", bench->reload_err == KOLK_OK ? "2 pools changed" :
									     "kolk.yaml:3:1: no");
	return bench->reload_err;
}

static struct kolk_key *open_key(struct kolk_pool *pool, const char *tenant)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	struct kolk_key *key;

	o.tenant = tenant;
	o.credential = CREDENTIAL;
	o.credential_size = sizeof CREDENTIAL - 1;
	assert_int_equal(kolk_key_open(pool, &o, &key), KOLK_OK);
	return key;
}

static int bench_open(void **state)
{
	struct bench *bench = calloc(1, sizeof *bench);
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	char address[64];

	bench->origin = kit_origin_open(&(struct kit_origin_options){ 0 });
	e.loops = 1;
	e.connections_max = 10;
	assert_int_equal(kolk_engine_create(&e, &bench->engine), KOLK_OK);
	(void)snprintf(address, sizeof address, "127.0.0.1:%u", kit_origin_port(bench->origin));
	p.name = "search";
	p.address = address;
	p.connections_max = 4;
	p.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_add(bench->engine, &p, &bench->pool), KOLK_OK);
	p.name = "dead";
	p.address = "127.0.0.1:1";
	assert_int_equal(kolk_pool_add(bench->engine, &p, &bench->dead), KOLK_OK);
	bench->alice = open_key(bench->pool, "alice");
	bench->odd = open_key(bench->pool, "\xff\"<b>\n");
	bench->server = (struct kolk__admin_server){ .engine = bench->engine,
						     .reload = reload,
						     .reload_user = bench,
						     .on_log = on_log,
						     .log_user = bench,
						     .wait_ns = 2 * KOLK_S_NS };
	kolk__page_policy(bench->server.page_policy, sizeof bench->server.page_policy);
	*state = bench;
	return 0;
}

static void forget(struct bench *bench)
{
	json_decref(bench->json);
	free(bench->response.owned);
	bench->json = NULL;
	bench->response = (struct kolk__response){ 0 };
}

static int bench_close(void **state)
{
	struct bench *bench = *state;

	forget(bench);
	kolk__latencies_free(&bench->server.trend.latencies);
	assert_int_equal(kolk_engine_destroy(bench->engine), KOLK_OK);
	kit_origin_close(bench->origin);
	/* No answer contains a secret. */
	assert_null(strstr(bench->log, TOKEN));
	assert_null(strstr(bench->log, CREDENTIAL));
	free(bench);
	return 0;
}

/* Ask; the status. What is no page and no metrics must be JSON, and an error must say so. */
static unsigned ask_as(struct bench *bench, const struct kolk__request *request)
{
	forget(bench);
	kolk__answer(&bench->server, request, &bench->response);
	assert_non_null(bench->response.policy);
	if (bench->response.owned != NULL) {
		assert_null(strstr(bench->response.body, TOKEN));
		assert_null(strstr(bench->response.body, CREDENTIAL));
	}
	if (strncmp(bench->response.type, "application/json", 16) != 0)
		return bench->response.status;
	bench->json = json_loadb(bench->response.body, bench->response.size, 0, NULL);
	assert_non_null(bench->json);
	assert_true((bench->response.status >= 400) ==
		    (json_object_get(bench->json, "error") != NULL));
	return bench->response.status;
}

static unsigned get(struct bench *bench, const char *path)
{
	return ask_as(bench, &(struct kolk__request){ .method = "GET", .path = path });
}

static unsigned send_json(struct bench *bench, const char *method, const char *path,
			  const char *body)
{
	return ask_as(bench, &(struct kolk__request){ .method = method,
						      .path = path,
						      .content_type = "application/json",
						      .body = body,
						      .body_size = strlen(body) });
}

static unsigned post(struct bench *bench, const char *path, const char *body)
{
	return send_json(bench, "POST", path, body);
}

static unsigned status_of(struct bench *bench, const char *name, const char *value)
{
	const struct kolk__pair pair = { name, value };

	return ask_as(bench, &(struct kolk__request){ .method = "GET",
						      .path = "/api/pool-status",
						      .query = &pair,
						      .query_count = 1 });
}

static const char *text_at(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "(none)";
}

static json_int_t number_at(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

static const char *code(const struct bench *bench)
{
	return text_at(json_object_get(bench->json, "error"), "code");
}

static struct kolk_lease take(struct kolk_key *key)
{
	struct kolk_lease lease;

	assert_int_equal(kolk_acquire(key, kolk_in_ms(5000), &lease), KOLK_OK);
	return lease;
}

static void fill(struct kolk_key *key, int count)
{
	struct kolk_lease leases[8];

	for (int i = 0; i < count; i++)
		leases[i] = take(key);
	for (int i = 0; i < count; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
}

/* ---- status */

static void the_status_has_its_shape(void **state)
{
	static const char *const names[] = {
		"timestamp", "version", "backend", "tls", "uptimeSeconds", "totalConnections",
		"userConnectionCounts", "connectionDetails", "config", "engine", "pools", "tenants",
		"keys", "loops", "waiters", "overdue", "alerts", "truncated",
	};
	struct bench *bench = *state;
	struct kolk_lease lease = take(bench->alice);
	const json_t *connection, *pool, *config;

	assert_int_equal(kolk_lease_tag(&lease, 99), KOLK_OK);
	assert_int_equal(get(bench, "/api/pool-status"), 200);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_non_null(json_object_get(bench->json, names[i]));
	assert_int_equal(json_object_size(bench->json), sizeof names / sizeof names[0]);
	assert_true(number_at(bench->json, "totalConnections") >= 1);
	connection = json_array_get(json_object_get(bench->json, "connectionDetails"), 0);
	assert_string_equal(text_at(connection, "key"), "alice:search");
	assert_string_equal(text_at(connection, "userId"), "alice");
	assert_string_equal(text_at(connection, "state"), "leased");
	assert_int_equal(number_at(connection, "tag"), 99);
	assert_true(number_at(connection, "createTime") <= number_at(bench->json, "timestamp"));
	pool = json_array_get(json_object_get(bench->json, "pools"), 0);
	assert_string_equal(text_at(pool, "name"), "search");
	assert_string_equal(text_at(pool, "state"), "open");
	assert_string_equal(text_at(pool, "isolation"), "tenant");
	assert_int_equal(number_at(json_object_get(pool, "limits"), "connectionsMax"), 4);
	assert_int_equal(number_at(json_object_get(pool, "connections"), "leased"), 1);
	config = json_object_get(bench->json, "config");
	assert_int_equal(number_at(config, "maxTotalConnections"), 10);
	assert_int_equal(number_at(config, "connectionTimeout"), 30000);
	assert_int_equal(number_at(config, "cleanupInterval"), 10000);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
}

static void lists_are_filtered_and_bounded(void **state)
{
	struct bench *bench = *state;
	const json_t *list;

	fill(bench->alice, 3);
	assert_int_equal(status_of(bench, "connections", "2"), 200);
	assert_int_equal(json_array_size(json_object_get(bench->json, "connectionDetails")), 2);
	assert_true(json_is_true(json_object_get(bench->json, "truncated")));
	assert_int_equal(status_of(bench, "keys", "0"), 200);
	assert_int_equal(json_array_size(json_object_get(bench->json, "keys")), 0);
	assert_int_equal(status_of(bench, "pool", "dead"), 200);
	assert_int_equal(json_array_size(json_object_get(bench->json, "pools")), 1);
	assert_int_equal(json_array_size(json_object_get(bench->json, "connectionDetails")), 0);
	assert_int_equal(status_of(bench, "tenant", "alice"), 200);
	list = json_object_get(bench->json, "keys");
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(text_at(json_array_get(list, 0), "tenant"), "alice");
	assert_int_equal(status_of(bench, "tenant", "nobody"), 404);
	assert_string_equal(code(bench), "no_such_user");
	assert_int_equal(status_of(bench, "pool", "none"), 404);
	assert_string_equal(code(bench), "no_such_pool");
}

static void bad_queries(void **state)
{
	static const struct kolk__pair pairs[] = {
		{ "connections", "" },	{ "connections", "-1" },  { "connections", "1x" },
		{ "connections", NULL }, { "keys", "10001" },	  { "tenants", "99999999999999999999" },
		{ "tenants", "0x10" },	{ "Connections", "1" },	  { "", "" },
		{ "pool", NULL },
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		assert_int_equal(status_of(bench, pairs[i].name, pairs[i].value), 400);
		assert_string_equal(code(bench), "bad_query");
	}
	assert_int_equal(ask_as(bench, &(struct kolk__request){ .method = "GET",
								.path = "/metrics",
								.query = pairs,
								.query_count = 1 }),
			 400);
	assert_int_equal(ask_as(bench, &(struct kolk__request){ .method = "GET",
								.path = "/api/pool-status",
								.malformed = true }),
			 400);
}

static void names_that_hurt_are_shown_harmless(void **state)
{
	struct bench *bench = *state;
	const json_t *key;

	fill(bench->odd, 1);
	assert_int_equal(get(bench, "/api/pool-status"), 200);
	key = json_array_get(json_object_get(bench->json, "keys"), 0);
	assert_string_equal(text_at(key, "tenant"), "\\xff\"<b>\\x0a");
	assert_int_equal(get(bench, "/metrics"), 200);
	assert_non_null(strstr(bench->response.body, "{tenant=\"\\\\xff\\\"<b>\\\\x0a\"}"));
}

static const json_t *find_alert(const struct bench *bench, const char *subject, const char *part)
{
	const json_t *alert;
	size_t i;

	json_array_foreach(json_object_get(bench->json, "alerts"), i, alert)
		if (strcmp(text_at(alert, "subject"), subject) == 0 &&
		    strstr(text_at(alert, "text"), part) != NULL)
			return alert;
	return NULL;
}

static void what_is_near_a_limit_is_reported(void **state)
{
	struct bench *bench = *state;
	struct kolk_lease lease, leases[4];

	assert_int_equal(kolk_engine_connections_max_set(bench->engine, 5), KOLK_OK);
	assert_int_equal(get(bench, "/api/pool-status"), 200);
	assert_int_equal(json_array_size(json_object_get(bench->json, "alerts")), 0);
	fill(bench->alice, 4);
	assert_int_equal(get(bench, "/api/pool-status"), 200);
	/* They are idle: for information alone. */
	assert_string_equal(text_at(find_alert(bench, "engine", "4 of 5 connections"), "level"),
			    "info");
	assert_int_equal(json_array_size(json_object_get(bench->json, "alerts")), 1);
	for (int i = 0; i < 4; i++)
		leases[i] = take(bench->alice);
	assert_int_equal(get(bench, "/api/pool-status"), 200);
	assert_string_equal(text_at(find_alert(bench, "engine", "4 connections are leased"),
				    "level"), "warning");
	assert_null(find_alert(bench, "engine", "4 of 5 connections"));
	for (int i = 0; i < 4; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
	/* What grew since the last request but one. */
	assert_int_not_equal(kolk_acquire(kolk_pool_key(bench->dead), kolk_in_ms(500), &lease),
			     KOLK_OK);
	assert_int_equal(get(bench, "/api/pool-status"), 200);
	assert_non_null(find_alert(bench, "pool", "dials that failed"));
}

static void failures_and_draining_are_reported(void **state)
{
	struct bench *bench = *state;
	struct kolk_lease lease;
	const json_t *pool;

	assert_int_not_equal(kolk_acquire(kolk_pool_key(bench->dead), kolk_in_ms(500), &lease),
			     KOLK_OK);
	assert_int_equal(get(bench, "/api/pool-status"), 200);
	pool = json_array_get(json_object_get(bench->json, "pools"), 1);
	assert_string_equal(text_at(json_object_get(pool, "lastFailure"), "error"),
			    "KOLK_E_CONN_REFUSED");
	assert_string_equal(text_at(json_object_get(pool, "lastFailure"), "phase"), "CONNECT");
	assert_int_equal(kolk_pool_drain(bench->pool, KOLK_FOREVER), KOLK_OK);
	assert_int_equal(get(bench, "/api/pool-status"), 200);
	assert_non_null(find_alert(bench, "pool", "draining"));
	pool = json_array_get(json_object_get(bench->json, "pools"), 0);
	assert_string_not_equal(text_at(pool, "state"), "open");
}

/* Four callers time out at the limit of their key, which is 4; in the status of engine, pool and
 * tenant, in the metrics, and as an alert that no filter hides. */
static void refused_callers_are_reported_with_their_reason(void **state)
{
	static const char *const lines[] = {
		"\nkolk_refused_total{pool=\"search\",reason=\"key_limit\"} 4\n",
		"\nkolk_refused_total{pool=\"search\",reason=\"circuit\"} 0\n",
		"\nkolk_tenant_refused_total{tenant=\"alice\",reason=\"key_limit\"} 4\n",
	};
	struct bench *bench = *state;
	struct kolk_lease leases[4], lease;
	const json_t *tenant;

	assert_int_equal(get(bench, "/api/pool-status"), 200);
	for (int i = 0; i < 4; i++)
		leases[i] = take(bench->alice);
	for (int i = 0; i < 4; i++)
		assert_int_equal(kolk_acquire(bench->alice, kolk_in_ms(2), &lease), KOLK_E_TIMEOUT);
	assert_int_equal(status_of(bench, "search", "nobody has this name"), 200);
	assert_int_equal(json_array_size(json_object_get(bench->json, "tenants")), 0);
	assert_string_equal(text_at(find_alert(bench, "pool", "callers refused in the last 1 s: 4 "
						"(4 key_limit)"), "level"), "critical");
	assert_int_equal(number_at(json_object_get(json_object_get(bench->json, "engine"),
						   "refused"), "key_limit"), 4);
	assert_int_equal(status_of(bench, "search", "LIC"), 200);
	tenant = json_array_get(json_object_get(bench->json, "tenants"), 0);
	assert_string_equal(text_at(tenant, "name"), "alice");
	assert_int_equal(number_at(json_object_get(tenant, "refused"), "key_limit"), 4);
	assert_int_equal(status_of(bench, "sort", "refused"), 200);
	tenant = json_array_get(json_object_get(bench->json, "tenants"), 0);
	assert_string_equal(text_at(tenant, "name"), "alice");
	assert_int_equal(get(bench, "/metrics"), 200);
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		if (strstr(bench->response.body, lines[i]) == NULL)
			fail_msg("not there: %s", lines[i]);
	for (int i = 0; i < 4; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
}

/* A search covers all tenants, not only those that would be listed. */
static void a_tenant_is_found_among_many(void **state)
{
	enum { MANY = 3000 };
	static struct kolk_key *keys[MANY];
	struct bench *bench = *state;
	const struct kolk__pair pairs[] = { { "search", "NANT-2987" }, { "tenants", "300" } };
	char name[32];

	for (int i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof name, "tenant-%04d", i);
		keys[i] = open_key(bench->pool, name);
	}
	assert_int_equal(status_of(bench, "tenants", "300"), 200);
	assert_int_equal(json_array_size(json_object_get(bench->json, "tenants")), 300);
	assert_int_equal(ask_as(bench, &(struct kolk__request){ .method = "GET",
								.path = "/api/pool-status",
								.query = pairs,
								.query_count = 2 }), 200);
	assert_int_equal(json_array_size(json_object_get(bench->json, "tenants")), 1);
	assert_string_equal(text_at(json_array_get(json_object_get(bench->json, "tenants"), 0),
				    "name"), "tenant-2987");
	assert_int_equal(number_at(json_object_get(bench->json, "engine"), "tenants"), MANY + 2);
	for (int i = 0; i < MANY; i++)
		kolk_key_close(keys[i]);
}

/* The first request to an engine that is older than the window. */
static struct kolk_quantiles dials_of_late(struct bench *bench)
{
	const struct kolk__tenants_asked asked = { .max = 1 };
	const struct kolk__snapshot *since = kolk__latencies_since(
		&bench->server.trend.latencies, kolk_engine_now(bench->engine), KOLK_FOREVER);
	struct kolk_quantiles q;
	struct kolk__view view;

	assert_true(kolk__view_open(bench->engine, &asked, &view));
	q = kolk__latencies_quantiles(since, &view, NULL, KOLK_METRIC_DIAL);
	kolk__view_close(&view);
	return q;
}

static void latencies_are_those_of_late(void **state)
{
	struct bench *bench = *state;
	struct kolk_quantiles q;
	const json_t *recent;

	fill(bench->alice, 2);
	assert_int_equal(get(bench, "/api/pool-status"), 200);
	recent = json_object_get(json_object_get(bench->json, "engine"), "latencyRecent");
	assert_int_equal(number_at(json_object_get(recent, "dial"), "count"), 2);
	assert_true(number_at(json_object_get(recent, "dial"), "p50Ns") > 1000);
	assert_int_equal(dials_of_late(bench).count, 0);
	bench->server.trend.latencies.snapshots[0].at_ns -= 300 * KOLK_S_NS; /* it was taken then */
	assert_int_equal(kolk_pool_clear(bench->pool), 2);
	fill(bench->alice, 1);
	assert_int_equal(get(bench, "/health"), 200); /* any request takes the next one */
	assert_true(bench->server.trend.latencies.snapshots[1].at_ns != 0);
	q = dials_of_late(bench);
	assert_int_equal(q.count, 1);
	assert_true(q.p50 > 1000 && q.p50 <= q.max && q.sum > 0);
}

/* ---- metrics, health, page */

static void metrics_have_what_happened(void **state)
{
	static const char *const lines[] = {
		"\nkolk_connections_limit 10\n",
		"\nkolk_acquired_total{pool=\"search\"} 2\n",
		"\nkolk_connections{pool=\"search\",state=\"idle\"} 2\n",
		"\nkolk_closed_total{pool=\"search\",reason=\"IDLE_TIMEOUT\"} 0\n",
		"\nkolk_dial_seconds_bucket{pool=\"search\",le=\"+Inf\"} 2\n",
		"\nkolk_dial_seconds_count{pool=\"search\"} 2\n",
		"\nkolk_circuit{pool=\"dead\",state=\"open\"} 0\n",
		"\nkolk_tenant_connections{tenant=\"alice\"} 2\n",
		"\nkolk_loop_connections{loop=\"0\"} 2\n",
	};
	struct bench *bench = *state;

	fill(bench->alice, 2);
	assert_int_equal(get(bench, "/metrics"), 200);
	assert_non_null(strstr(bench->response.type, "version=0.0.4"));
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		if (strstr(bench->response.body, lines[i]) == NULL)
			fail_msg("not there: %s", lines[i]);
	assert_null(strstr(bench->response.body, "kolk_pool_connections_limit{"));
}

static void health_and_readiness(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(get(bench, "/health"), 200);
	assert_string_equal(text_at(bench->json, "status"), "ok");
	assert_int_equal(get(bench, "/ready"), 200);
	assert_int_equal(post(bench, "/api/drain", "{\"pool\":\"dead\"}"), 202);
	assert_int_equal(get(bench, "/ready"), 200);
	/* No target is a slip, and not everything. */
	assert_int_equal(post(bench, "/api/drain", "{\"graceMs\":0}"), 400);
	assert_string_equal(code(bench), "bad_target");
	assert_int_equal(get(bench, "/ready"), 200);
	assert_int_equal(post(bench, "/api/drain", "{\"all\":true,\"graceMs\":0}"), 202);
	assert_string_equal(text_at(bench->json, "status"), "draining");
	assert_int_equal(get(bench, "/ready"), 503);
	assert_string_equal(code(bench), "draining");
	assert_int_equal(get(bench, "/health"), 200);
	assert_int_equal(kolk_engine_wait_closed(bench->engine, kolk_in_ms(5000)), KOLK_OK);
}

static void the_page_runs_only_its_own_script(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(get(bench, "/"), 200);
	assert_string_equal(bench->response.type, "text/html; charset=utf-8");
	assert_int_equal(bench->response.size, strlen(bench->response.body));
	assert_non_null(strstr(bench->response.policy, "default-src 'none'; script-src 'sha256-"));
	assert_null(strstr(bench->response.policy, "sha256-'"));
	assert_null(strstr(bench->response.policy, "unsafe"));
	/* One file: nothing is fetched from elsewhere, nothing is put in as HTML. */
	assert_null(strstr(bench->response.body, "src="));
	assert_null(strstr(bench->response.body, "innerHTML"));
	assert_null(strstr(bench->response.body, "@import"));
	assert_null(strstr(strstr(bench->response.body, "<script>") + 1, "<script"));
}

/* ---- actions */

static void cleanup_closes_what_is_idle(void **state)
{
	struct bench *bench = *state;
	struct kolk_lease lease;

	fill(bench->alice, 3);
	lease = take(bench->alice);
	assert_int_equal(post(bench, "/api/cleanup-connections", "{\"idleMs\":60000}"), 200);
	assert_int_equal(number_at(bench->json, "cleaned"), 0);
	assert_int_equal(post(bench, "/api/cleanup-connections", "{\"user\":\"\"}"), 200);
	assert_int_equal(number_at(bench->json, "cleaned"), 0);
	assert_int_equal(post(bench, "/api/cleanup-connections", "{\"pool\":\"none\"}"), 404);
	assert_int_equal(post(bench, "/api/cleanup-connections",
			      "{\"user\":\"alice\",\"pool\":\"search\"}"), 200);
	assert_int_equal(number_at(bench->json, "before"), 3);
	assert_int_equal(number_at(bench->json, "cleaned"), 2);
	assert_int_equal(number_at(bench->json, "after"), 1);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	/* No body means everything. */
	assert_int_equal(post(bench, "/api/cleanup-connections", ""), 200);
	assert_int_equal(number_at(bench->json, "after"), 0);
	assert_non_null(strstr(bench->log, "admin: POST /api/cleanup-connections: 200\n"));
}

static void warm_up_dials(void **state)
{
	struct bench *bench = *state;
	struct kolk_pool_limits limits = KOLK_INIT(kolk_pool_limits);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	limits.idle_min = 1;
	assert_int_equal(kolk_pool_limits_set(bench->pool, &limits), KOLK_OK);
	assert_int_equal(post(bench, "/api/warmup", "{\"pool\":\"search\"}"), 200);
	assert_string_equal(text_at(bench->json, "status"), "warm");
	assert_int_equal(kolk_pool_stats(bench->pool, &stats), KOLK_OK);
	assert_int_equal(stats.idle, 3); /* of alice, of the odd name, without tenant */
	assert_int_equal(post(bench, "/api/warmup", "{\"user\":\"alice\"}"), 200);
	limits.idle_min = 1;
	assert_int_equal(kolk_pool_limits_set(bench->dead, &limits), KOLK_OK);
	assert_int_equal(post(bench, "/api/warmup", "{\"pool\":\"dead\"}"), 503);
	assert_string_equal(code(bench), "KOLK_E_CONN_REFUSED");
	assert_int_equal(post(bench, "/api/warmup", "{}"), 400);
	assert_int_equal(post(bench, "/api/warmup", "{\"all\":true}"), 400);
}

static void evict_marks_leased_connections_stale_too(void **state)
{
	struct bench *bench = *state;
	struct kolk_lease lease;
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	fill(bench->alice, 2);
	lease = take(bench->alice);
	assert_int_equal(post(bench, "/api/evict", "{\"user\":\"alice\"}"), 200);
	assert_int_equal(number_at(bench->json, "outdated"), 2);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	for (int i = 0; i < 500; i++) {
		assert_int_equal(kolk_pool_stats(bench->pool, &stats), KOLK_OK);
		if (stats.open == 0)
			break;
		(void)nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
	}
	assert_int_equal(stats.open, 0);
	assert_int_equal(stats.destroyed[KOLK_REASON_ROTATED], 2);
	assert_int_equal(post(bench, "/api/evict", "{\"pool\":\"search\"}"), 200);
	assert_int_equal(post(bench, "/api/evict", "{\"all\":true}"), 200);
	assert_int_equal(post(bench, "/api/evict", "{}"), 400);
	assert_string_equal(code(bench), "bad_target");
	assert_int_equal(post(bench, "/api/evict", "{\"all\":true,\"pool\":\"search\"}"), 400);
	assert_int_equal(post(bench, "/api/evict", "{\"pool\":\"none\"}"), 404);
}

static void what_was_drained_is_resumed(void **state)
{
	struct bench *bench = *state;
	struct kolk_lease lease;

	assert_int_equal(post(bench, "/api/drain", "{\"pool\":\"search\"}"), 202);
	assert_int_equal(kolk_acquire(bench->alice, kolk_in_ms(100), &lease), KOLK_E_DRAINING);
	assert_int_equal(get(bench, "/api/pool-status"), 200);
	assert_true(json_is_true(json_object_get(
		json_array_get(json_object_get(bench->json, "pools"), 0), "suspended")));
	assert_non_null(find_alert(bench, "pool", "an operator drained it"));
	assert_int_equal(post(bench, "/api/resume", "{}"), 400);
	assert_int_equal(post(bench, "/api/resume", "{\"pool\":\"none\"}"), 404);
	assert_int_equal(post(bench, "/api/resume", "{\"pool\":\"search\"}"), 200);
	assert_string_equal(text_at(bench->json, "status"), "open");
	fill(bench->alice, 1);
	/* All of them; and one that the program drained stays so. */
	assert_int_equal(post(bench, "/api/drain", "{\"all\":true}"), 202);
	assert_int_equal(kolk_pool_drain(bench->dead, 0), KOLK_OK);
	assert_int_equal(post(bench, "/api/resume", "{\"all\":true}"), 200);
	fill(bench->alice, 1);
	assert_int_equal(post(bench, "/api/resume", "{\"pool\":\"dead\"}"), 409);
	assert_string_equal(code(bench), "not_suspended");
}

static void unknown_users_are_reported(void **state)
{
	static const char *const paths[] = { "/api/cleanup-connections", "/api/warmup", "/api/evict" };
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		assert_int_equal(post(bench, paths[i], "{\"user\":\"alcie\"}"), 404);
		assert_string_equal(code(bench), "no_such_user");
		assert_int_equal(post(bench, paths[i], "{\"user\":\"alice\"}"), 200);
	}
}

static void a_reload_says_what_happened(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(send_json(bench, "PUT", "/api/config", ""), 200);
	assert_string_equal(text_at(bench->json, "message"), "2 pools changed");
	bench->reload_err = KOLK_E_OPTIONS;
	assert_int_equal(send_json(bench, "PUT", "/api/config", "{}"), 422);
	assert_string_equal(code(bench), "KOLK_E_OPTIONS");
	assert_string_equal(text_at(json_object_get(bench->json, "error"), "message"),
			    "kolk.yaml:3:1: no");
	assert_int_equal(send_json(bench, "PUT", "/api/config", "{\"a\":1}"), 400);
	bench->server.reload = NULL;
	assert_int_equal(send_json(bench, "PUT", "/api/config", "{}"), 501);
}

static void *warm_slow(void *user)
{
	struct bench *bench = user;
	static const char body[] = "{\"pool\":\"slow\"}";

	kolk__answer(&bench->server,
		     &(struct kolk__request){ .method = "POST",
					      .path = "/api/warmup",
					      .content_type = "application/json",
					      .body = body,
					      .body_size = sizeof body - 1 },
		     &bench->response);
	return NULL;
}

/* A warm-up holds keys of the pool: closing it ends the warm-up, and waits for that. */
static void a_pool_is_not_closed_under_a_request(void **state)
{
	struct bench *bench = *state;
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct kolk_pool *slow;
	pthread_t thread;
	char address[64];

	(void)snprintf(address, sizeof address, "127.0.0.1:%u", kit_origin_port(bench->origin));
	kit_origin_behave(bench->origin, KIT_SILENT, 0);
	p.name = "slow";
	p.address = address;
	p.tls = &tls; /* its handshake is never answered */
	tls.verify_off = 1;
	assert_int_equal(kolk_pool_add(bench->engine, &p, &slow), KOLK_OK);
	assert_int_equal(pthread_create(&thread, NULL, warm_slow, bench), 0);
	while (stats.dialing == 0)
		assert_int_equal(kolk_pool_stats(slow, &stats), KOLK_OK);
	assert_int_equal(kolk_admin_pool_close(slow, kolk_in_ms(1000)), KOLK_OK);
	assert_null(kolk_pool_find(bench->engine, "slow"));
	pthread_join(thread, NULL);
	assert_int_equal(bench->response.status, 409);
}

/* ---- who may, and what is not understood */

static const char *const actions[] = { "/api/cleanup-connections", "/api/warmup", "/api/evict",
				       "/api/drain", "/api/resume" };

static void bad_bodies(void **state)
{
	static const char *const bodies[] = {
		"{", "[]", "1", "null", "\"x\"", "{} {}", "{\"unknown\":1}", "{\"pool\":1}",
		"{\"pool\":null}", "{\"pool\":\"a\",\"pool\":\"b\"}", "{\"pool\":\"\xff\"}",
		"{\"pool\":\"\\u0000\"}", "{'pool':'a'}", "\xef\xbb\xbf{}", "{\"pool\":\"\\ud800\"}",
	};
	static const char *const drains[] = { "{\"graceMs\":-1}", "{\"graceMs\":1.5}",
					      "{\"graceMs\":\"1\"}", "{\"graceMs\":1e3}",
					      "{\"graceMs\":9223372036854775807}",
					      "{\"graceMs\":99999999999999999999}" };
	struct bench *bench = *state;
	char deep[5000], name[700];

	for (size_t a = 0; a < sizeof actions / sizeof actions[0]; a++)
		for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
			assert_int_equal(post(bench, actions[a], bodies[i]), 400);
	for (size_t i = 0; i < sizeof drains / sizeof drains[0]; i++)
		assert_int_equal(post(bench, "/api/drain", drains[i]), 400);
	memset(deep, '[', sizeof deep - 1);
	deep[sizeof deep - 1] = 0;
	assert_int_equal(post(bench, "/api/drain", deep), 400);
	(void)snprintf(name, sizeof name, "{\"pool\":\"%0600d\"}", 0);
	assert_int_equal(post(bench, "/api/drain", name), 400);
	assert_int_equal(get(bench, "/ready"), 200); /* nothing was done */
}

static void types_of_bodies(void **state)
{
	static const struct {
		const char *type, *encoding;
		unsigned status;
	} cases[] = {
		{ "application/json", NULL, 200 },
		{ "Application/JSON; charset=UTF-8", NULL, 200 },
		{ "application/json", "identity", 200 },
		{ "application/json; charset=utf-16", NULL, 415 },
		{ "application/json", "gzip", 415 },
		{ "application/jsonp", NULL, 415 },
		{ "text/plain", NULL, 415 },
		{ "application/x-www-form-urlencoded", NULL, 415 },
		{ NULL, NULL, 415 },
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(
			ask_as(bench, &(struct kolk__request){
					      .method = "POST",
					      .path = "/api/cleanup-connections",
					      .content_type = cases[i].type,
					      .content_encoding = cases[i].encoding,
					      .body = "{}",
					      .body_size = 2 }),
			cases[i].status);
	assert_int_equal(ask_as(bench, &(struct kolk__request){ .method = "POST",
								.path = "/api/drain",
								.too_large = true }),
			 413);
	assert_int_equal(ask_as(bench, &(struct kolk__request){ .method = "GET",
								.path = "/health",
								.body = "{}",
								.body_size = 2 }),
			 400);
}

static void paths_and_methods(void **state)
{
	static const char *const looks[] = { "/", "/health", "/ready", "/metrics",
					     "/api/pool-status" };
	static const char *const nowhere[] = { "", "/healthz", "/api", "/api/", "/metrics/",
					       "//", "/../etc/passwd", "/API/pool-status" };
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++) {
		const struct kolk__request head = { .method = "HEAD", .path = looks[i] };

		assert_int_equal(ask_as(bench, &head), 200);
		assert_int_equal(post(bench, looks[i], "{}"), 405);
		assert_string_equal(bench->response.allow, "GET, HEAD");
	}
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
		assert_int_equal(get(bench, actions[i]), 405);
		assert_string_equal(bench->response.allow, "POST");
	}
	assert_int_equal(post(bench, "/api/config", "{}"), 405);
	assert_string_equal(bench->response.allow, "PUT");
	assert_int_equal(send_json(bench, "OPTIONS", "/api/drain", ""), 405);
	for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++)
		assert_int_equal(get(bench, nowhere[i]), 404);
}

static void only_the_token_opens(void **state)
{
	static const struct {
		const char *shown;
		unsigned status;
	} cases[] = {
		{ NULL, 401 },
		{ "", 401 },
		{ TOKEN, 401 },
		{ "Bearer", 401 },
		{ "Bearer ", 401 },
		{ "Bearer  " TOKEN, 401 },
		{ "Bearer a token of thirty-two character", 401 },
		{ "Bearer " TOKEN " ", 401 },
		{ "Bearer A token of thirty-two characters", 401 },
		{ "Basic " TOKEN, 401 },
		{ "Bearer " TOKEN, 200 },
		{ "bearer " TOKEN, 200 },
	};
	static const char *const paths[] = { "/metrics", "/api/pool-status" };
	struct bench *bench = *state;

	bench->server.has_token = true;
	assert_true(kolk__digest(TOKEN, sizeof TOKEN - 1, bench->server.token_digest));
	for (size_t p = 0; p < 2; p++)
		for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
			assert_int_equal(
				ask_as(bench, &(struct kolk__request){
						      .method = "GET",
						      .path = paths[p],
						      .authorization = cases[i].shown }),
				cases[i].status);
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
		assert_int_equal(post(bench, actions[i], "{}"), 401);
	assert_int_equal(send_json(bench, "PUT", "/api/config", ""), 401);
	/* What says nothing about anybody is open, so that probes and browsers find it. */
	assert_int_equal(get(bench, "/health"), 200);
	assert_int_equal(get(bench, "/ready"), 200);
	assert_int_equal(get(bench, "/"), 200);
	assert_non_null(strstr(bench->log, "not the right token"));
	assert_true(strlen(bench->log) < 200); /* once per second */
}

static void pages_of_others_may_not_act(void **state)
{
	static char own_name[] = "kolk.example";
	static char *own_names[] = { own_name, NULL };
	static const struct {
		const char *host, *origin, *site;
		unsigned status;
	} cases[] = {
		{ "127.0.0.1:9100", NULL, NULL, 200 },
		{ "[::1]:9100", NULL, NULL, 200 },
		{ "localhost", NULL, NULL, 200 },
		{ "kolk.example:9100", NULL, NULL, 200 },
		{ "KOLK.example:9100", "https://kolk.EXAMPLE:9100", "same-origin", 200 },
		{ "127.0.0.1:9100", "http://127.0.0.1:9100", "same-origin", 200 },
		{ NULL, NULL, NULL, 403 },
		{ "", NULL, NULL, 403 },
		{ ":9100", NULL, NULL, 403 },
		{ "[::1", NULL, NULL, 403 },
		{ "evil.example:9100", NULL, NULL, 403 },
		{ "127.0.0.1.evil.example", NULL, NULL, 403 },
		{ "kolk.example.evil.example", NULL, NULL, 403 },
		{ "evil.example:9100", "http://evil.example:9100", "same-origin", 403 },
		{ "127.0.0.1:9100", "http://evil.example", NULL, 403 },
		{ "127.0.0.1:9100", "http://127.0.0.1:9101", NULL, 403 },
		{ "127.0.0.1:9100", "null", NULL, 403 },
		{ "127.0.0.1:9100", NULL, "cross-site", 403 },
		{ "127.0.0.1:9100", NULL, "same-site", 403 },
	};
	struct bench *bench = *state;
	struct kolk__request request = { .method = "POST", .path = "/api/cleanup-connections" };

	bench->server.tcp = true;
	bench->server.hosts = own_names;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		request.host = cases[i].host;
		request.origin = cases[i].origin;
		request.fetch_site = cases[i].site;
		assert_int_equal(ask_as(bench, &request), cases[i].status);
	}
}

/* A Unix socket that SSH forwards is reached by browsers too: at 127.0.0.1, whatever name a page
 * gives that address. Over http a browser may send no more than Host when it reads. */
static void a_unix_socket_knows_its_names(void **state)
{
	static char own_name[] = "kolk.example";
	static char *own_names[] = { own_name, NULL };
	static const struct {
		const char *host, *origin;
		bool fetched;
		unsigned status;
	} cases[] = {
		{ NULL, NULL, false, 200 },
		{ "localhost", NULL, false, 200 },
		{ "127.0.0.1:9100", NULL, false, 200 },
		{ "[::1]:9100", NULL, false, 200 },
		{ "kolk.example:9100", NULL, false, 200 },
		{ "kolk", NULL, false, 200 },
		{ "127.0.0.1:9100", "http://127.0.0.1:9100", true, 200 },
		{ "localhost:9100", NULL, true, 200 },
		{ "kolk.example", "https://kolk.example", false, 200 },
		{ "evil.example:9100", NULL, false, 403 },
		{ "evil.example:9100", "http://evil.example:9100", false, 403 },
		{ "evil.example:9100", NULL, true, 403 },
		{ "kolk.evil.example", NULL, false, 403 },
		{ "kolk:9100", NULL, true, 403 },
		{ "kolk:9100", "http://kolk:9100", false, 403 },
		{ "localhost:9100", "http://evil.example", false, 403 },
		{ "", NULL, false, 403 },
		{ NULL, NULL, true, 403 },
	};
	static const char *const questions[][2] = {
		{ "GET", "/api/pool-status" }, { "GET", "/metrics" }, { "HEAD", "/metrics" },
		{ "POST", "/api/cleanup-connections" }, { "PUT", "/api/config" },
	};
	struct bench *bench = *state;

	bench->server.hosts = own_names;
	for (size_t q = 0; q < sizeof questions / sizeof questions[0]; q++)
		for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
			assert_int_equal(ask_as(bench, &(struct kolk__request){
							       .method = questions[q][0],
							       .path = questions[q][1],
							       .host = cases[i].host,
							       .origin = cases[i].origin,
							       .fetched = cases[i].fetched }),
					 cases[i].status);
	/* What says nothing about anybody is read by any name. */
	assert_int_equal(ask_as(bench, &(struct kolk__request){ .method = "GET",
								.path = "/health",
								.host = "evil.example" }),
			 200);
}

static void an_engine_without_pools(void **state)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_status_options o = KOLK_INIT(kolk_status_options);
	struct kolk_engine *engine;
	char *text;

	(void)state;
	e.loops = 1;
	assert_int_equal(kolk_engine_create(&e, &engine), KOLK_OK);
	text = kolk_status_json(engine, NULL);
	assert_non_null(text);
	free(text);
	o.size = 3;
	assert_null(kolk_status_json(engine, &o));
	text = kolk_metrics_text(engine);
	assert_non_null(text);
	free(text);
	assert_int_equal(kolk_engine_destroy(engine), KOLK_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_open, bench_close)

static const struct CMUnitTest tests[] = {
	TEST(the_status_has_its_shape),
	TEST(lists_are_filtered_and_bounded),
	TEST(bad_queries),
	TEST(names_that_hurt_are_shown_harmless),
	TEST(what_is_near_a_limit_is_reported),
	TEST(refused_callers_are_reported_with_their_reason),
	TEST(a_tenant_is_found_among_many),
	TEST(latencies_are_those_of_late),
	TEST(failures_and_draining_are_reported),
	TEST(metrics_have_what_happened),
	TEST(health_and_readiness),
	TEST(the_page_runs_only_its_own_script),
	TEST(cleanup_closes_what_is_idle),
	TEST(warm_up_dials),
	TEST(evict_marks_leased_connections_stale_too),
	TEST(what_was_drained_is_resumed),
	TEST(unknown_users_are_reported),
	TEST(a_reload_says_what_happened),
	TEST(a_pool_is_not_closed_under_a_request),
	TEST(bad_bodies),
	TEST(types_of_bodies),
	TEST(paths_and_methods),
	TEST(only_the_token_opens),
	TEST(pages_of_others_may_not_act),
	TEST(a_unix_socket_knows_its_names),
	cmocka_unit_test(an_engine_without_pools),
};

CMOCKA_TESTS(admin, tests);
