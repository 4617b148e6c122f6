/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_test.c - metrics_tenants.c: the first tenants and the rest, and all of 100 000. */
#include "tests/kit/cmocka/run.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/atomic.h"
#include "tests/ops/admin_bench.h"

enum { QUIET = 100000, BUSY = 40, KEY_MAX = 7, LISTED = 20, CALLS = 400, COMING = 1000 };

struct fixture {
	struct admin_bench bench; /* its engine and server alone */
	struct kolk_loop *loop;
	struct kolk_pool *pool;
	struct kolk_acquire calls[CALLS];
	bool pending[CALLS];
	struct kolk_lease leases[CALLS];
	uint32_t call_count, lease_count;
};

/* ---- an engine of 100 000 tenants, of whom a few are busy */

static enum kolk_err thing_create(void *user, void **thing)
{
	*thing = user;
	return KOLK_OK;
}

static const struct kolk_resource_driver things = { .size = sizeof things, .name = "thing",
						    .create = thing_create };

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct fixture *fixture = user;

	assert_int_equal(err, KOLK_OK);
	fixture->leases[fixture->lease_count++] = *lease;
}

/* A lease, or a caller that waits for as long as the test. */
static void acquire(struct fixture *fixture, struct kolk_key *key, bool waits)
{
	uint32_t at = fixture->call_count++, before = fixture->lease_count;
	struct kolk_acquire *call = &fixture->calls[at];
	enum kolk_err err = kolk_acquire_async(fixture->loop, key, KOLK_FOREVER, call, on_lease,
					       fixture);

	if (err == KOLK_OK)
		fixture->leases[fixture->lease_count++] = call->lease;
	else
		assert_int_equal(err, KOLK_PENDING);
	for (int i = 0; !waits && i < 10000 && fixture->lease_count == before; i++)
		assert_int_equal(kolk_loop_step(fixture->loop, KOLK_MS_NS), KOLK_OK);
	assert_int_equal(fixture->lease_count - before, !waits);
	fixture->pending[at] = waits;
}

static void tenant_add(struct kolk_engine *engine, const char *name)
{
	struct kolk_tenant_limits limits = KOLK_INIT(kolk_tenant_limits);

	limits.weight = 2;
	assert_int_equal(kolk_tenant_limits_set(engine, name, &limits), KOLK_OK);
}

/* Tenant i has 1 .. 9 callers: leases up to the limit of its key, the others wait. */
static void be_busy(struct fixture *fixture)
{
	char name[32];

	for (int i = 0; i < BUSY; i++) {
		struct kolk_key_options o = KOLK_INIT(kolk_key_options);
		struct kolk_key *key;

		(void)snprintf(name, sizeof name, "busy-%02d", i * 7 % BUSY);
		o.tenant = name;
		assert_int_equal(kolk_key_open(fixture->pool, &o, &key), KOLK_OK);
		for (int calls = 0; calls <= i % 9; calls++)
			acquire(fixture, key, calls >= KEY_MAX);
	}
	acquire(fixture, kolk_pool_key(fixture->pool), false); /* without a tenant */
	acquire(fixture, kolk_pool_key(fixture->pool), false);
}

static void open_engine(struct fixture *fixture)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);

	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.connections_max = CALLS;
	assert_int_equal(kolk_engine_create(&e, &fixture->bench.engine), KOLK_OK);
	fixture->loop = kolk_engine_loop(fixture->bench.engine, 0);
	p.name = "things";
	p.resource = &things;
	p.connections_max = KEY_MAX;
	p.idle_min = KOLK_NONE;
	p.driver_user = fixture;
	assert_int_equal(kolk_pool_add(fixture->bench.engine, &p, &fixture->pool), KOLK_OK);
	fixture->bench.server = (struct kolk__admin_server){ .engine = fixture->bench.engine,
							     .metrics_tenants = LISTED };
}

static int fixture_open(void **state)
{
	*state = calloc(1, sizeof(struct fixture));
	open_engine(*state);
	return 0;
}

static int many_open(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	char name[32];

	open_engine(fixture);
	for (int i = 0; i < QUIET; i++) {
		(void)snprintf(name, sizeof name, "quiet-%05d", i);
		tenant_add(fixture->bench.engine, name);
	}
	be_busy(fixture);
	*state = fixture;
	return 0;
}

static int fixture_close(void **state)
{
	struct fixture *fixture = *state;

	for (uint32_t i = 0; i < fixture->call_count; i++)
		if (fixture->pending[i])
			assert_int_equal(kolk_acquire_cancel(&fixture->calls[i]), KOLK_OK);
	for (uint32_t i = 0; i < fixture->lease_count; i++)
		assert_int_equal(kolk_release(&fixture->leases[i]), KOLK_OK);
	free(fixture->bench.response.owned);
	json_decref(fixture->bench.json);
	kolk__latencies_free(&fixture->bench.server.trend.latencies);
	assert_int_equal(kolk_engine_destroy(fixture->bench.engine), KOLK_OK);
	free(fixture);
	return 0;
}

/* ---- the first and the rest */

struct row {
	char name[64];
	unsigned long long number;
};

/* Its rows, in order. */
static size_t rows_of(const char *text, const char *family, struct row *rows, size_t capacity)
{
	char begin[80];
	size_t count = 0;

	(void)snprintf(begin, sizeof begin, "\n%s{tenant=\"", family);
	while ((text = strstr(text, begin)) != NULL) {
		assert_true(count < capacity);
		text += strlen(begin);
		assert_int_equal(sscanf(text, "%63[^\"]\"} %llu\n", rows[count].name,
					&rows[count].number), 2);
		text = strchr(text, '}'); /* the next begins with this line's end */
		count++;
	}
	return count;
}

static unsigned long long sum_of(const struct row *rows, size_t count)
{
	unsigned long long sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += rows[i].number;
	return sum;
}

static void the_first_and_the_rest(void **state)
{
	struct fixture *fixture = *state;
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct row open[LISTED + 1], waiting[LISTED + 1], others[LISTED + 1];
	const char *text;

	assert_int_equal(kolk_engine_stats(fixture->bench.engine, &stats), KOLK_OK);
	assert_int_equal(stats.open, fixture->lease_count);
	assert_int_equal(stats.waiting, fixture->call_count - fixture->lease_count);
	assert_in_range(stats.waiting, 10, 40);
	assert_int_equal(admin_get(&fixture->bench, "/metrics"), 200);
	text = fixture->bench.response.body;
	assert_true(fixture->bench.response.size < 32768);
	assert_int_equal(rows_of(text, "kolk_tenant_connections", open, LISTED + 1), LISTED + 1);
	assert_int_equal(rows_of(text, "kolk_tenant_waiters", waiting, LISTED + 1), LISTED + 1);
	for (int i = 0; i < LISTED; i++) {
		unsigned long long a = open[i].number + waiting[i].number;
		unsigned long long b = open[i + 1].number + waiting[i + 1].number;

		assert_string_equal(open[i].name, waiting[i].name);
		assert_non_null(strstr(open[i].name, "busy-"));
		if (i < LISTED - 1)
			assert_true(a > b || (a == b && strcmp(open[i].name, open[i + 1].name) < 0));
	}
	/* Of each number of callers from 5 to 9 there are four tenants: these are the 20. */
	assert_int_equal(open[0].number + waiting[0].number, 9);
	assert_int_equal(open[LISTED - 1].number + waiting[LISTED - 1].number, 5);
	assert_string_equal(open[LISTED].name, "(rest)");
	assert_string_equal(waiting[LISTED].name, "(rest)");
	assert_int_equal(sum_of(open, LISTED + 1), stats.open);
	assert_int_equal(sum_of(waiting, LISTED + 1), stats.waiting);
	/* No counter and no limit has a rest. */
	assert_int_equal(rows_of(text, "kolk_tenant_connections_limit", others, LISTED), LISTED);
	assert_int_equal(rows_of(text, "kolk_tenant_recalled_total", others, LISTED), LISTED);
}

static void none_is_listed(void **state)
{
	struct fixture *fixture = *state;
	struct row row;
	const char *text;

	fixture->bench.server.metrics_tenants = 0;
	assert_int_equal(admin_get(&fixture->bench, "/metrics"), 200);
	text = fixture->bench.response.body;
	assert_int_equal(rows_of(text, "kolk_tenant_connections", &row, 1), 1);
	assert_string_equal(row.name, "(rest)");
	assert_int_equal(row.number, fixture->lease_count);
	assert_int_equal(rows_of(text, "kolk_tenant_connections_limit", &row, 1), 0);
}

/* The order of refused callers is another one: who has the most need not have a connection. */
static void the_most_refused(void **state)
{
	struct fixture *fixture = *state;
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	char name[32], line[120];
	struct kolk_pool *pool;
	struct kolk_key *key, *other;

	p.name = "narrow";
	p.resource = &things;
	p.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_add(fixture->bench.engine, &p, &pool), KOLK_OK);
	for (int i = 0; i < 30; i++) {
		struct kolk_tenant_limits limits = KOLK_INIT(kolk_tenant_limits);
		struct kolk_key_options o = KOLK_INIT(kolk_key_options);

		(void)snprintf(name, sizeof name, "refused-%02d", i);
		limits.keys_max = 1;
		assert_int_equal(kolk_tenant_limits_set(fixture->bench.engine, name, &limits),
				 KOLK_OK);
		o.tenant = name;
		assert_int_equal(kolk_key_open(pool, &o, &key), KOLK_OK);
		o.credential = "another one";
		o.credential_size = 11;
		for (int n = 0; n < i; n++)
			assert_int_equal(kolk_key_open(pool, &o, &other), KOLK_E_LIMIT);
	}
	assert_int_equal(admin_get(&fixture->bench, "/metrics"), 200);
	for (int i = 0; i < 30; i++) {
		(void)snprintf(line, sizeof line,
			       "\nkolk_tenant_refused_total{tenant=\"refused-%02d\",reason=\"tenant_"
			       "limit\"} %d\n", i, i);
		assert_int_equal(strstr(fixture->bench.response.body, line) != NULL,
				 i >= 30 - LISTED);
	}
}

/* ---- all */

struct watch {
	struct kolk_engine *engine;
	kolk__atomic_int stop;
	uint32_t rounds;
};

static void *come_and_go(void *user)
{
	struct watch *watch = user;
	char name[32];

	for (; kolk__load_relaxed(&watch->stop) == 0; watch->rounds++) {
		(void)snprintf(name, sizeof name, "coming-%03u", watch->rounds % COMING);
		if (watch->rounds / COMING % 2 == 0)
			tenant_add(watch->engine, name);
		else
			(void)!kolk_tenant_limits_set(watch->engine, name, NULL);
	}
	return NULL;
}

/* What was seen of a family. */
struct seen {
	uint8_t quiet[QUIET], coming[COMING];
	uint32_t families, rows, rests;
	unsigned long long open;
};

static void see_family(struct seen *seen)
{
	for (int i = 0; i < QUIET; i++)
		if (seen->quiet[i] != 1)
			fail_msg("quiet-%05d is there %u times", i, seen->quiet[i]);
	memset(seen->quiet, 0, sizeof seen->quiet);
	memset(seen->coming, 0, sizeof seen->coming);
	seen->families++;
}

static void see_line(struct seen *seen, const char *line)
{
	const char *name = strstr(line, "{tenant=\"");
	unsigned long long number;
	unsigned index;

	if (strncmp(line, "# TYPE kolk_tenant", 18) == 0 && seen->rows != 0)
		see_family(seen);
	if (name == NULL)
		return;
	assert_int_equal(sscanf(strrchr(line, '}'), "} %llu\n", &number), 1);
	name += strlen("{tenant=\"");
	seen->rows++;
	seen->open += strncmp(line, "kolk_tenant_connections{", 24) == 0 ? number : 0;
	seen->rests += strncmp(name, "(rest)", 6) == 0;
	if (sscanf(name, "quiet-%u", &index) == 1)
		seen->quiet[index]++;
	else if (sscanf(name, "coming-%u", &index) == 1)
		assert_int_equal(seen->coming[index]++, 0);
}

static size_t bytes_in_use(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

/* Reads all in small pieces; returns how much more memory was in use than before, at most. */
static size_t read_all(struct kolk__metrics_stream *stream, struct seen *seen, size_t *total)
{
	size_t most = 0, before = bytes_in_use(), size = 0;
	char piece[4096], line[512];
	ssize_t got;

	while ((got = kolk__metrics_read(stream, piece, sizeof piece)) > 0) {
		size_t now = bytes_in_use();

		most = now > before && now - before > most ? now - before : most;
		*total += (size_t)got;
		for (ssize_t i = 0; i < got; i++) {
			assert_true(size < sizeof line - 1);
			line[size++] = piece[i];
			line[size] = 0;
			if (piece[i] != '\n')
				continue;
			see_line(seen, line);
			size = 0;
		}
	}
	assert_int_equal(got, 0);
	assert_int_equal(size, 0);
	return most;
}

static void each_of_all_once_while_others_come_and_go(void **state)
{
	static struct seen seen;
	struct fixture *fixture = *state;
	struct watch watch = { .engine = fixture->bench.engine };
	struct kolk__metrics_stream *stream;
	size_t total = 0, most;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, come_and_go, &watch), 0);
	stream = kolk__metrics_open(watch.engine, NULL);
	assert_non_null(stream);
	most = read_all(stream, &seen, &total);
	kolk__metrics_close(stream);
	kolk__store_relaxed(&watch.stop, 1);
	pthread_join(thread, NULL);
	/* The fifth, of refused callers, has no rows of theirs. */
	assert_int_equal(seen.families, 4);
	assert_int_equal(seen.rests, 2);
	assert_int_equal(seen.open, fixture->lease_count);
	assert_true(watch.rounds > COMING);
	assert_true(total > 4 * QUIET * 40);
	if (most > 1 << 20) /* and the thousand that come */
		fail_msg("%zu bytes for a text of %zu", most, total);
}

/* ---- names */

static void no_two_names_look_alike(void **state)
{
	static const char *const names[] = { "(rest)", "\\x28rest)", "\xff", "\\xff", "\\\xff",
					     "DOMAIN\\user" };
	static const char *const lines[] = {
		"tenant=\"\\\\x28rest)\"",    "tenant=\"\\\\x5cx28rest)\"",
		"tenant=\"\\\\xff\"",	      "tenant=\"\\\\x5cxff\"",
		"tenant=\"\\\\x5c\\\\xff\"", "tenant=\"DOMAIN\\\\user\"",
	};
	const struct kolk__pair all = { "tenants", "all" };
	const struct kolk__request request = { .method = "GET", .path = "/metrics", .query = &all };
	struct fixture *fixture = *state;
	char line[100];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		tenant_add(fixture->bench.engine, names[i]);
	for (size_t with_query = 0; with_query < 2; with_query++) {
		struct kolk__request this = request;

		this.query_count = with_query;
		assert_int_equal(admin_ask(&fixture->bench, &this), 200);
		for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
			(void)snprintf(line, sizeof line, "\nkolk_tenant_waiters{%s} 0\n", lines[i]);
			if (strstr(fixture->bench.response.body, line) == NULL)
				fail_msg("not there: %s", line);
		}
		assert_non_null(strstr(fixture->bench.response.body,
				       "\nkolk_tenant_waiters{tenant=\"(rest)\"} 0\n"));
	}
}

/* ---- what may be asked */

static void what_may_be_asked(void **state)
{
	static const struct kolk__pair wrong[] = {
		{ "tenants", "20" }, { "tenants", NULL }, { "tenants", "" }, { "tenants", "ALL" },
		{ "tenants", "all " }, { "Tenants", "all" }, { "search", "quiet" }, { "", "" },
	};
	static const struct kolk__pair all = { "tenants", "all" };
	struct kolk__request request = { .method = "GET", .path = "/metrics", .query_count = 1 };
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		request.query = &wrong[i];
		assert_int_equal(admin_ask(&fixture->bench, &request), 400);
		assert_string_equal(admin_code(&fixture->bench), "bad_query");
	}
	request.query = &all;
	assert_int_equal(admin_ask(&fixture->bench, &request), 200);
	assert_non_null(strstr(fixture->bench.response.type, "version=0.0.4"));
	fixture->bench.server.has_token = true;
	assert_int_equal(admin_ask(&fixture->bench, &request), 401);
	assert_null(fixture->bench.response.stream);
}

#define OF_MANY(name) cmocka_unit_test_setup_teardown(name, many_open, fixture_close)
#define OF_FEW(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

static const struct CMUnitTest tests[] = {
	OF_MANY(the_first_and_the_rest),
	OF_MANY(none_is_listed),
	OF_FEW(the_most_refused),
	OF_MANY(each_of_all_once_while_others_come_and_go),
	OF_FEW(no_two_names_look_alike),
	OF_FEW(what_may_be_asked),
};

CMOCKA_TESTS(metrics, tests);
