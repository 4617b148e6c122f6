/* SPDX-License-Identifier: Apache-2.0 */
/* admin_action_test.c - routes.c: what the admin server does when it is told to. */
#include "tests/kit/cmocka/run.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/ops/admin_bench.h"

static void cleanup_closes_what_is_idle(void **state)
{
	struct admin_bench *bench = *state;
	struct kolk_lease lease;

	admin_fill(bench->alice, 3);
	lease = admin_take(bench->alice);
	assert_int_equal(admin_post(bench, "/api/cleanup-connections", "{\"idleMs\":60000}"), 200);
	assert_int_equal(admin_number(bench->json, "cleaned"), 0);
	assert_int_equal(admin_post(bench, "/api/cleanup-connections", "{\"user\":\"\"}"), 200);
	assert_int_equal(admin_number(bench->json, "cleaned"), 0);
	assert_int_equal(admin_post(bench, "/api/cleanup-connections", "{\"pool\":\"none\"}"), 404);
	assert_int_equal(admin_post(bench, "/api/cleanup-connections",
				    "{\"user\":\"alice\",\"pool\":\"search\"}"), 200);
	assert_int_equal(admin_number(bench->json, "before"), 3);
	assert_int_equal(admin_number(bench->json, "cleaned"), 2);
	assert_int_equal(admin_number(bench->json, "after"), 1);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	/* No body means everything. */
	assert_int_equal(admin_post(bench, "/api/cleanup-connections", ""), 200);
	assert_int_equal(admin_number(bench->json, "after"), 0);
	assert_non_null(strstr(bench->log, "admin: POST /api/cleanup-connections: 200\n"));
}

static void warm_up_dials(void **state)
{
	struct admin_bench *bench = *state;
	struct kolk_pool_limits limits = KOLK_INIT(kolk_pool_limits);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	limits.idle_min = 1;
	assert_int_equal(kolk_pool_limits_set(bench->pool, &limits), KOLK_OK);
	assert_int_equal(admin_post(bench, "/api/warmup", "{\"pool\":\"search\"}"), 200);
	assert_string_equal(admin_text(bench->json, "status"), "warm");
	assert_int_equal(kolk_pool_stats(bench->pool, &stats), KOLK_OK);
	assert_int_equal(stats.idle, 3); /* of alice, of the odd name, without tenant */
	assert_int_equal(admin_post(bench, "/api/warmup", "{\"user\":\"alice\"}"), 200);
	limits.idle_min = 1;
	assert_int_equal(kolk_pool_limits_set(bench->dead, &limits), KOLK_OK);
	assert_int_equal(admin_post(bench, "/api/warmup", "{\"pool\":\"dead\"}"), 503);
	assert_string_equal(admin_code(bench), "KOLK_E_CONN_REFUSED");
	assert_int_equal(admin_post(bench, "/api/warmup", "{}"), 400);
	assert_int_equal(admin_post(bench, "/api/warmup", "{\"all\":true}"), 400);
}

static void evict_marks_leased_connections_stale_too(void **state)
{
	struct admin_bench *bench = *state;
	struct kolk_lease lease;
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	admin_fill(bench->alice, 2);
	lease = admin_take(bench->alice);
	assert_int_equal(admin_post(bench, "/api/evict", "{\"user\":\"alice\"}"), 200);
	assert_int_equal(admin_number(bench->json, "outdated"), 2);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	for (int i = 0; i < 500; i++) {
		assert_int_equal(kolk_pool_stats(bench->pool, &stats), KOLK_OK);
		if (stats.open == 0)
			break;
		(void)nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
	}
	assert_int_equal(stats.open, 0);
	assert_int_equal(stats.destroyed[KOLK_REASON_ROTATED], 2);
	assert_int_equal(admin_post(bench, "/api/evict", "{\"pool\":\"search\"}"), 200);
	assert_int_equal(admin_post(bench, "/api/evict", "{\"all\":true}"), 200);
	assert_int_equal(admin_post(bench, "/api/evict", "{}"), 400);
	assert_string_equal(admin_code(bench), "bad_target");
	assert_int_equal(admin_post(bench, "/api/evict", "{\"all\":true,\"pool\":\"search\"}"),
			 400);
	assert_int_equal(admin_post(bench, "/api/evict", "{\"pool\":\"none\"}"), 404);
}

static void what_was_drained_is_resumed(void **state)
{
	struct admin_bench *bench = *state;
	struct kolk_lease lease;

	assert_int_equal(admin_post(bench, "/api/drain", "{\"pool\":\"search\"}"), 202);
	assert_int_equal(kolk_acquire(bench->alice, kolk_in_ms(100), &lease), KOLK_E_DRAINING);
	assert_int_equal(admin_get(bench, "/api/pool-status"), 200);
	assert_true(json_is_true(json_object_get(
		json_array_get(json_object_get(bench->json, "pools"), 0), "suspended")));
	assert_non_null(admin_alert(bench, "pool", "an operator drained it"));
	assert_int_equal(admin_post(bench, "/api/resume", "{}"), 400);
	assert_int_equal(admin_post(bench, "/api/resume", "{\"pool\":\"none\"}"), 404);
	assert_int_equal(admin_post(bench, "/api/resume", "{\"pool\":\"search\"}"), 200);
	assert_string_equal(admin_text(bench->json, "status"), "open");
	admin_fill(bench->alice, 1);
	/* All of them; and one that the program drained stays so. */
	assert_int_equal(admin_post(bench, "/api/drain", "{\"all\":true}"), 202);
	assert_int_equal(kolk_pool_drain(bench->dead, 0), KOLK_OK);
	assert_int_equal(admin_post(bench, "/api/resume", "{\"all\":true}"), 200);
	admin_fill(bench->alice, 1);
	assert_int_equal(admin_post(bench, "/api/resume", "{\"pool\":\"dead\"}"), 409);
	assert_string_equal(admin_code(bench), "not_suspended");
}

static void unknown_users_are_reported(void **state)
{
	static const char *const paths[] = { "/api/cleanup-connections", "/api/warmup", "/api/evict" };
	struct admin_bench *bench = *state;

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		assert_int_equal(admin_post(bench, paths[i], "{\"user\":\"alcie\"}"), 404);
		assert_string_equal(admin_code(bench), "no_such_user");
		assert_int_equal(admin_post(bench, paths[i], "{\"user\":\"alice\"}"), 200);
	}
}

static void a_reload_says_what_happened(void **state)
{
	struct admin_bench *bench = *state;

	assert_int_equal(admin_send(bench, "PUT", "/api/config", ""), 200);
	assert_string_equal(admin_text(bench->json, "message"), "2 pools changed");
	bench->reload_err = KOLK_E_OPTIONS;
	assert_int_equal(admin_send(bench, "PUT", "/api/config", "{}"), 422);
	assert_string_equal(admin_code(bench), "KOLK_E_OPTIONS");
	assert_string_equal(admin_text(json_object_get(bench->json, "error"), "message"),
			    "kolk.yaml:3:1: no");
	assert_int_equal(admin_send(bench, "PUT", "/api/config", "{\"a\":1}"), 400);
	bench->server.reload = NULL;
	assert_int_equal(admin_send(bench, "PUT", "/api/config", "{}"), 501);
}

static void *warm_slow(void *user)
{
	struct admin_bench *bench = user;
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
	struct admin_bench *bench = *state;
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

static const struct CMUnitTest tests[] = {
	TEST(cleanup_closes_what_is_idle),
	TEST(warm_up_dials),
	TEST(evict_marks_leased_connections_stale_too),
	TEST(what_was_drained_is_resumed),
	TEST(unknown_users_are_reported),
	TEST(a_reload_says_what_happened),
	TEST(a_pool_is_not_closed_under_a_request),
};

CMOCKA_TESTS(admin_action, tests);
