/* SPDX-License-Identifier: Apache-2.0 */
/* admin_status_test.c - status.c, metrics.c: what the status, the metrics and the page say. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ops/admin_bench.h"

/* ---- status */

static void the_status_has_its_shape(void **state)
{
	static const char *const names[] = {
		"timestamp", "version", "backend", "tls", "uptimeSeconds", "totalConnections",
		"userConnectionCounts", "connectionDetails", "config", "engine", "pools", "tenants",
		"keys", "loops", "waiters", "overdue", "alerts", "truncated",
	};
	struct admin_bench *bench = *state;
	struct kolk_lease lease = admin_take(bench->alice);
	const json_t *connection, *pool, *config;

	assert_int_equal(kolk_lease_tag(&lease, 99), KOLK_OK);
	assert_int_equal(admin_get(bench, "/api/pool-status"), 200);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_non_null(json_object_get(bench->json, names[i]));
	assert_int_equal(json_object_size(bench->json), sizeof names / sizeof names[0]);
	assert_true(admin_number(bench->json, "totalConnections") >= 1);
	connection = json_array_get(json_object_get(bench->json, "connectionDetails"), 0);
	assert_string_equal(admin_text(connection, "key"), "alice:search");
	assert_string_equal(admin_text(connection, "userId"), "alice");
	assert_string_equal(admin_text(connection, "state"), "leased");
	assert_int_equal(admin_number(connection, "tag"), 99);
	assert_true(admin_number(connection, "createTime") <=
		    admin_number(bench->json, "timestamp"));
	pool = json_array_get(json_object_get(bench->json, "pools"), 0);
	assert_string_equal(admin_text(pool, "name"), "search");
	assert_string_equal(admin_text(pool, "state"), "open");
	assert_string_equal(admin_text(pool, "isolation"), "tenant");
	assert_int_equal(admin_number(json_object_get(pool, "limits"), "connectionsMax"), 4);
	assert_int_equal(admin_number(json_object_get(pool, "limits"), "idleMax"), 4);
	assert_int_equal(admin_number(json_object_get(pool, "connections"), "leased"), 1);
	config = json_object_get(bench->json, "config");
	assert_int_equal(admin_number(config, "maxTotalConnections"), 10);
	assert_int_equal(admin_number(config, "connectionTimeout"), 30000);
	assert_int_equal(admin_number(config, "cleanupInterval"), 10000);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
}

static void lists_are_filtered_and_bounded(void **state)
{
	struct admin_bench *bench = *state;
	const json_t *list;

	admin_fill(bench->alice, 3);
	assert_int_equal(admin_status(bench, "connections", "2"), 200);
	assert_int_equal(json_array_size(json_object_get(bench->json, "connectionDetails")), 2);
	assert_true(json_is_true(json_object_get(bench->json, "truncated")));
	assert_int_equal(admin_status(bench, "keys", "0"), 200);
	assert_int_equal(json_array_size(json_object_get(bench->json, "keys")), 0);
	assert_int_equal(admin_status(bench, "pool", "dead"), 200);
	assert_int_equal(json_array_size(json_object_get(bench->json, "pools")), 1);
	assert_int_equal(json_array_size(json_object_get(bench->json, "connectionDetails")), 0);
	assert_int_equal(admin_status(bench, "tenant", "alice"), 200);
	list = json_object_get(bench->json, "keys");
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(admin_text(json_array_get(list, 0), "tenant"), "alice");
	assert_int_equal(admin_status(bench, "tenant", "nobody"), 404);
	assert_string_equal(admin_code(bench), "no_such_user");
	assert_int_equal(admin_status(bench, "pool", "none"), 404);
	assert_string_equal(admin_code(bench), "no_such_pool");
}

static void bad_queries(void **state)
{
	static const struct kolk__pair pairs[] = {
		{ "connections", "" },	{ "connections", "-1" },  { "connections", "1x" },
		{ "connections", NULL }, { "keys", "10001" },	  { "tenants", "99999999999999999999" },
		{ "tenants", "0x10" },	{ "Connections", "1" },	  { "", "" },
		{ "pool", NULL },
	};
	struct admin_bench *bench = *state;

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		assert_int_equal(admin_status(bench, pairs[i].name, pairs[i].value), 400);
		assert_string_equal(admin_code(bench), "bad_query");
	}
	assert_int_equal(admin_ask(bench, &(struct kolk__request){ .method = "GET",
								   .path = "/metrics",
								   .query = pairs,
								   .query_count = 1 }),
			 400);
	assert_int_equal(admin_ask(bench, &(struct kolk__request){ .method = "GET",
								   .path = "/api/pool-status",
								   .malformed = true }),
			 400);
}

static void names_that_hurt_are_shown_harmless(void **state)
{
	struct admin_bench *bench = *state;
	const json_t *key;

	admin_fill(bench->odd, 1);
	assert_int_equal(admin_get(bench, "/api/pool-status"), 200);
	key = json_array_get(json_object_get(bench->json, "keys"), 0);
	assert_string_equal(admin_text(key, "tenant"), "\\xff\"<b>\\x0a");
	assert_int_equal(admin_get(bench, "/metrics"), 200);
	assert_non_null(strstr(bench->response.body, "{tenant=\"\\\\xff\\\"<b>\\\\x0a\"}"));
}

static void what_is_near_a_limit_is_reported(void **state)
{
	struct admin_bench *bench = *state;
	struct kolk_lease lease, leases[4];

	assert_int_equal(kolk_engine_connections_max_set(bench->engine, 5), KOLK_OK);
	assert_int_equal(admin_get(bench, "/api/pool-status"), 200);
	assert_int_equal(json_array_size(json_object_get(bench->json, "alerts")), 0);
	admin_fill(bench->alice, 4);
	assert_int_equal(admin_get(bench, "/api/pool-status"), 200);
	/* They are idle: for information alone. */
	assert_string_equal(admin_text(admin_alert(bench, "engine", "4 of 5 connections"), "level"),
			    "info");
	assert_int_equal(json_array_size(json_object_get(bench->json, "alerts")), 1);
	for (int i = 0; i < 4; i++)
		leases[i] = admin_take(bench->alice);
	assert_int_equal(admin_get(bench, "/api/pool-status"), 200);
	assert_string_equal(admin_text(admin_alert(bench, "engine", "4 connections are leased"),
				       "level"), "warning");
	assert_null(admin_alert(bench, "engine", "4 of 5 connections"));
	for (int i = 0; i < 4; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
	/* What grew since the last request but one. */
	assert_int_not_equal(kolk_acquire(kolk_pool_key(bench->dead), kolk_in_ms(500), &lease),
			     KOLK_OK);
	assert_int_equal(admin_get(bench, "/api/pool-status"), 200);
	assert_non_null(admin_alert(bench, "pool", "dials that failed"));
}

static void failures_and_draining_are_reported(void **state)
{
	struct admin_bench *bench = *state;
	struct kolk_lease lease;
	const json_t *pool;

	assert_int_not_equal(kolk_acquire(kolk_pool_key(bench->dead), kolk_in_ms(500), &lease),
			     KOLK_OK);
	assert_int_equal(admin_get(bench, "/api/pool-status"), 200);
	pool = json_array_get(json_object_get(bench->json, "pools"), 1);
	assert_string_equal(admin_text(json_object_get(pool, "lastFailure"), "error"),
			    "KOLK_E_CONN_REFUSED");
	assert_string_equal(admin_text(json_object_get(pool, "lastFailure"), "phase"), "CONNECT");
	assert_int_equal(kolk_pool_drain(bench->pool, KOLK_FOREVER), KOLK_OK);
	assert_int_equal(admin_get(bench, "/api/pool-status"), 200);
	assert_non_null(admin_alert(bench, "pool", "draining"));
	pool = json_array_get(json_object_get(bench->json, "pools"), 0);
	assert_string_not_equal(admin_text(pool, "state"), "open");
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
	struct admin_bench *bench = *state;
	struct kolk_lease leases[4], lease;
	const json_t *tenant;

	assert_int_equal(admin_get(bench, "/api/pool-status"), 200);
	for (int i = 0; i < 4; i++)
		leases[i] = admin_take(bench->alice);
	for (int i = 0; i < 4; i++)
		assert_int_equal(kolk_acquire(bench->alice, kolk_in_ms(50), &lease), KOLK_E_TIMEOUT);
	assert_int_equal(admin_status(bench, "search", "nobody has this name"), 200);
	assert_int_equal(json_array_size(json_object_get(bench->json, "tenants")), 0);
	assert_string_equal(admin_text(admin_alert(bench, "pool",
						   "callers refused in the last 1 s: 4 "
						   "(4 key_limit)"), "level"), "critical");
	assert_int_equal(admin_number(json_object_get(json_object_get(bench->json, "engine"),
						      "refused"), "key_limit"), 4);
	assert_int_equal(admin_status(bench, "search", "LIC"), 200);
	tenant = json_array_get(json_object_get(bench->json, "tenants"), 0);
	assert_string_equal(admin_text(tenant, "name"), "alice");
	assert_int_equal(admin_number(json_object_get(tenant, "refused"), "key_limit"), 4);
	assert_int_equal(admin_status(bench, "sort", "refused"), 200);
	tenant = json_array_get(json_object_get(bench->json, "tenants"), 0);
	assert_string_equal(admin_text(tenant, "name"), "alice");
	assert_int_equal(admin_get(bench, "/metrics"), 200);
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
	struct admin_bench *bench = *state;
	const struct kolk__pair pairs[] = { { "search", "NANT-2987" }, { "tenants", "300" } };
	char name[32];

	for (int i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof name, "tenant-%04d", i);
		keys[i] = admin_key(bench->pool, name);
	}
	assert_int_equal(admin_status(bench, "tenants", "300"), 200);
	assert_int_equal(json_array_size(json_object_get(bench->json, "tenants")), 300);
	assert_int_equal(admin_ask(bench, &(struct kolk__request){ .method = "GET",
								   .path = "/api/pool-status",
								   .query = pairs,
								   .query_count = 2 }), 200);
	assert_int_equal(json_array_size(json_object_get(bench->json, "tenants")), 1);
	assert_string_equal(admin_text(json_array_get(json_object_get(bench->json, "tenants"), 0),
				       "name"), "tenant-2987");
	assert_int_equal(admin_number(json_object_get(bench->json, "engine"), "tenants"), MANY + 2);
	for (int i = 0; i < MANY; i++)
		kolk_key_close(keys[i]);
}

/* The first request to an engine that is older than the window. */
static struct kolk_quantiles dials_of_late(struct admin_bench *bench)
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
	struct admin_bench *bench = *state;
	struct kolk_quantiles q;
	const json_t *recent;

	admin_fill(bench->alice, 2);
	assert_int_equal(admin_get(bench, "/api/pool-status"), 200);
	recent = json_object_get(json_object_get(bench->json, "engine"), "latencyRecent");
	assert_int_equal(admin_number(json_object_get(recent, "dial"), "count"), 2);
	assert_true(admin_number(json_object_get(recent, "dial"), "p50Ns") > 1000);
	assert_int_equal(dials_of_late(bench).count, 0);
	bench->server.trend.latencies.snapshots[0].at_ns -= 300 * KOLK_S_NS; /* it was taken then */
	assert_int_equal(kolk_pool_clear(bench->pool), 2);
	admin_fill(bench->alice, 1);
	assert_int_equal(admin_get(bench, "/health"), 200); /* any request takes the next one */
	assert_true(bench->server.trend.latencies.snapshots[1].at_ns != 0);
	q = dials_of_late(bench);
	assert_int_equal(q.count, 1);
	assert_true(q.p50 > 1000 && q.p50 <= q.max && q.sum > 0);
}

/* As when a reload removes a pool and a later one adds it again, or an address comes back to a name. */
static void latencies_of_a_pool_that_came_anew(void **state)
{
	struct admin_bench *bench = *state;
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	char address[64];

	admin_fill(bench->alice, 1);
	assert_int_equal(admin_get(bench, "/health"), 200); /* takes a snapshot */
	kolk_key_close(bench->alice);
	kolk_key_close(bench->odd);
	assert_int_equal(kolk_pool_close(bench->pool, KOLK_FOREVER), KOLK_OK);
	(void)snprintf(address, sizeof address, "127.0.0.1:%u", kit_origin_port(bench->origin));
	p.name = "search";
	p.address = address;
	p.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_add(bench->engine, &p, &bench->pool), KOLK_OK);
	bench->alice = admin_key(bench->pool, "alice");
	admin_fill(bench->alice, 2);
	assert_int_equal(dials_of_late(bench).count, 2);
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
	struct admin_bench *bench = *state;

	admin_fill(bench->alice, 2);
	assert_int_equal(admin_get(bench, "/metrics"), 200);
	assert_non_null(strstr(bench->response.type, "version=0.0.4"));
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		if (strstr(bench->response.body, lines[i]) == NULL)
			fail_msg("not there: %s", lines[i]);
	assert_null(strstr(bench->response.body, "kolk_pool_connections_limit{"));
}

static void health_and_readiness(void **state)
{
	struct admin_bench *bench = *state;

	assert_int_equal(admin_get(bench, "/health"), 200);
	assert_string_equal(admin_text(bench->json, "status"), "ok");
	assert_int_equal(admin_get(bench, "/ready"), 200);
	assert_int_equal(admin_post(bench, "/api/drain", "{\"pool\":\"dead\"}"), 202);
	assert_int_equal(admin_get(bench, "/ready"), 200);
	/* No target is a slip, and not everything. */
	assert_int_equal(admin_post(bench, "/api/drain", "{\"graceMs\":0}"), 400);
	assert_string_equal(admin_code(bench), "bad_target");
	assert_int_equal(admin_get(bench, "/ready"), 200);
	assert_int_equal(admin_post(bench, "/api/drain", "{\"all\":true,\"graceMs\":0}"), 202);
	assert_string_equal(admin_text(bench->json, "status"), "draining");
	assert_int_equal(admin_get(bench, "/ready"), 503);
	assert_string_equal(admin_code(bench), "draining");
	assert_int_equal(admin_get(bench, "/health"), 200);
	assert_int_equal(kolk_engine_wait_closed(bench->engine, kolk_in_ms(5000)), KOLK_OK);
}

static void the_page_runs_only_its_own_script(void **state)
{
	struct admin_bench *bench = *state;

	assert_int_equal(admin_get(bench, "/"), 200);
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

static const struct CMUnitTest tests[] = {
	TEST(the_status_has_its_shape),
	TEST(lists_are_filtered_and_bounded),
	TEST(bad_queries),
	TEST(names_that_hurt_are_shown_harmless),
	TEST(what_is_near_a_limit_is_reported),
	TEST(refused_callers_are_reported_with_their_reason),
	TEST(a_tenant_is_found_among_many),
	TEST(latencies_are_those_of_late),
	TEST(latencies_of_a_pool_that_came_anew),
	TEST(failures_and_draining_are_reported),
	TEST(metrics_have_what_happened),
	TEST(health_and_readiness),
	TEST(the_page_runs_only_its_own_script),
	cmocka_unit_test(an_engine_without_pools),
};

CMOCKA_TESTS(admin_status, tests);
