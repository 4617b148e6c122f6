/* SPDX-License-Identifier: Apache-2.0 */
/* pool_stats_test.c - what pools elsewhere report: in the status, as metrics, and in the log. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/kit/tap.h"
#include "tests/ops/admin_bench.h"

/* Three connections were made, two of them are left, one is leased; a dial failed. */
static struct kolk_lease be_used(struct admin_bench *bench)
{
	struct kolk_lease lease;

	admin_fill(bench->alice, 3);
	lease = admin_take(bench->alice);
	assert_int_equal(kolk_discard(&lease), KOLK_OK);
	assert_int_not_equal(kolk_acquire(kolk_pool_key(bench->dead), kolk_in_ms(300), &lease),
			     KOLK_OK);
	lease = admin_take(bench->alice);
	(void)usleep(20000);
	return lease;
}

static double average(const json_t *statistics, const char *name)
{
	return json_real_value(json_object_get(statistics, name));
}

static void the_status_has_them(void **state)
{
	struct admin_bench *bench = *state;
	struct kolk_lease lease = be_used(bench);
	const json_t *pools, *one;

	assert_int_equal(admin_get(bench, "/api/pool-status"), 200);
	pools = json_object_get(bench->json, "pools");
	one = json_object_get(json_array_get(pools, 0), "statistics");
	assert_int_equal(admin_number(one, "totalCreated"), 3);
	assert_int_equal(admin_number(one, "totalDestroyed"), 1);
	assert_int_equal(admin_number(one, "size"), 2);
	assert_int_equal(admin_number(one, "available"), 1);
	assert_int_equal(admin_number(one, "reused"), 2);
	assert_int_equal(admin_number(one, "timeoutErrors"), 0);
	assert_int_equal(admin_number(one, "connectionErrors"), 0);
	assert_true(average(one, "averageConnectionMs") > 0);
	assert_true(average(one, "averageAcquireMs") > 0);
	assert_true(average(one, "averageIdleMs") >= 10);
	assert_true(json_is_real(json_object_get(one, "averageLeaseMs")));
	assert_true(json_is_real(json_object_get(one, "averageReleaseMs")));
	one = json_object_get(json_array_get(pools, 1), "statistics");
	assert_true(admin_number(one, "connectionErrors") >= 1);
	assert_true(average(one, "averageConnectionMs") == 0);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
}

static void metrics_have_the_sizes(void **state)
{
	static const char *const lines[] = {
		"\n# TYPE connection_pool_size gauge\n",
		"\nconnection_pool_size{pool_name=\"search\"} 2\n",
		"\nconnection_pool_size{pool_name=\"dead\"} 0\n",
		"\n# TYPE connection_pool_available gauge\n",
		"\nconnection_pool_available{pool_name=\"search\"} 1\n",
		"\n# TYPE kolk_release_seconds summary\n",
		"\nkolk_release_seconds_sum{pool=\"search\"} ",
		"\nkolk_release_seconds_count{pool=\"search\"} ",
	};
	struct admin_bench *bench = *state;
	struct kolk_lease lease = be_used(bench);

	assert_int_equal(admin_get(bench, "/metrics"), 200);
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		if (strstr(bench->response.body, lines[i]) == NULL)
			fail_msg("not there: %s", lines[i]);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
}

static void a_line_is_written_when_it_is_due(void **state)
{
	static const char begin[] = "stats: pool search: size 2, available 1, created 3, destroyed 1, "
				    "reused 2, time-outs 0, connection errors 0, averages: "
				    "connection ";
	struct admin_bench *bench = *state;
	struct kolk_lease lease = be_used(bench);
	struct kolk__stats_log log;
	uint64_t now_ns = kolk_engine_now(bench->engine);

	kolk__stats_log_open(&log, 60 * KOLK_S_NS, now_ns);
	kolk__stats_log_run(&log, &bench->server);
	assert_string_equal(bench->log, "");
	assert_int_equal(kolk__stats_log_wait(&log, now_ns, -1), 60001);
	assert_int_equal(kolk__stats_log_wait(&log, now_ns, 200), 200);
	assert_int_equal(kolk__stats_log_wait(&log, log.due_ns, 200), 0);
	log.due_ns = now_ns;
	kolk__stats_log_run(&log, &bench->server);
	assert_memory_equal(bench->log, begin, sizeof begin - 1);
	assert_non_null(strstr(bench->log, " ms, acquire 0.0"));
	assert_non_null(strstr(bench->log, " ms, release 0.0"));
	assert_non_null(strstr(bench->log, "\nstats: pool dead: size 0, "));
	assert_true(log.due_ns >= now_ns + 60 * KOLK_S_NS);
	bench->log[0] = 0;
	kolk__stats_log_run(&log, &bench->server); /* not again */
	kolk__stats_log_open(&log, 0, 0);          /* off */
	kolk__stats_log_run(&log, &bench->server);
	assert_string_equal(bench->log, "");
	assert_int_equal(kolk__stats_log_wait(&log, now_ns, -1), -1);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
}

/* ---- by the server's thread */

static void count_lines(void *user, enum kolk_log_level level, const char *subject,
			const char *text)
{
	kolk__atomic_u32 *lines = user;

	assert_int_equal(level, KOLK_LOG_INFO);
	if (strcmp(subject, "stats") == 0 && strncmp(text, "pool search: ", 13) == 0)
		kolk__add_acq_rel(lines, 1);
}

static void the_server_writes_it_without_clients(void **state)
{
	struct admin_bench *bench = *state;
	struct kolk_admin_options o = KOLK_INIT(kolk_admin_options);
	kolk__atomic_u32 lines = KOLK__ATOMIC_INIT(0);
	struct kolk_admin *admin;
	char path[128];

	(void)snprintf(path, sizeof path, "unix:/tmp/kolk-pool-stats-%d.sock", (int)getpid());
	o.listen = path;
	o.on_log = count_lines;
	o.log_user = &lines;
	o.log_stats_interval_ns = 20 * KOLK_MS_NS;
	assert_int_equal(kolk_admin_open(bench->engine, &o, &admin), KOLK_OK);
	assert_true(WITHIN_MS(3000, kolk__load_acquire(&lines) >= 2));
	kolk_admin_close(admin);
	kolk__store_release(&lines, 0);
	o.log_stats_interval_ns = KOLK_AT_ONCE; /* off */
	assert_int_equal(kolk_admin_open(bench->engine, &o, &admin), KOLK_OK);
	(void)usleep(100000);
	kolk_admin_close(admin);
	assert_int_equal(kolk__load_acquire(&lines), 0);
}

static const struct CMUnitTest tests[] = {
	TEST(the_status_has_them),
	TEST(metrics_have_the_sizes),
	TEST(a_line_is_written_when_it_is_due),
	TEST(the_server_writes_it_without_clients),
};

CMOCKA_TESTS(pool_stats, tests);
