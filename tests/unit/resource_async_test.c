/* SPDX-License-Identifier: Apache-2.0 */
/* resource_async_test.c - resource_async.c: what begins now and is completed later, late, or when its
 * pool drains. */
#include "tests/unit/learn.h"

enum { OPS = 32 };
enum kind { CREATE, PING, RESET, DESTROY, KINDS };

/* A driver that completes nothing by itself. */
struct depot {
	struct kolk_resource_op *ops[KINDS][OPS];
	int begun[KINDS], expired;
	enum kolk_err reset_err;
	int things[OPS];
};

static void begun(struct depot *depot, enum kind kind, struct kolk_resource_op *op)
{
	assert_true(depot->begun[kind] < OPS);
	assert_true(*(uint64_t *)kolk_resource_op_memory(op) == 0);
	*(uint64_t *)kolk_resource_op_memory(op) = UINT64_MAX;
	depot->ops[kind][depot->begun[kind]++] = op;
}

static void begin_create(void *user, struct kolk_resource_op *op,
			 const struct kolk_resource_request *request)
{
	assert_non_null(request->key);
	assert_int_equal(request->deadline_ns, kolk_resource_op_deadline(op));
	begun(user, CREATE, op);
}

static void begin_ping(void *user, struct kolk_resource_op *op, void *resource)
{
	assert_non_null(resource);
	begun(user, PING, op);
}

static void begin_reset(void *user, struct kolk_resource_op *op, void *resource)
{
	assert_non_null(resource);
	begun(user, RESET, op);
}

static void begin_destroy(void *user, struct kolk_resource_op *op, void *resource)
{
	assert_non_null(resource);
	begun(user, DESTROY, op);
}

static void expired(void *user, struct kolk_resource_op *op)
{
	struct depot *depot = user;

	assert_true(*(uint64_t *)kolk_resource_op_memory(op) == UINT64_MAX);
	depot->expired++;
}

static enum kolk_err reset(void *user, void *resource)
{
	struct depot *depot = user;

	assert_non_null(resource);
	return depot->reset_err;
}

static const struct kolk_resource_driver driver = {
	.size = sizeof driver, .op_bytes = sizeof(uint64_t), .name = "later",
	.begin_create = begin_create, .begin_ping = begin_ping, .begin_reset = begin_reset,
	.begin_destroy = begin_destroy, .expired = expired, .reset = reset,
};

static struct kolk_pool_options later(struct depot *depot)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	*depot = (struct depot){ .reset_err = KOLK_OK };
	o.name = "later";
	o.resource = &driver;
	o.driver_user = depot;
	o.connections_max = 2;
	o.idle_min = KOLK_NONE;
	o.ready_timeout_ns = 100 * KOLK_MS_NS;
	o.ping_interval_ns = KOLK_FOREVER;
	o.idle_timeout_ns = KOLK_FOREVER;
	o.retry_interval_ns = KOLK_MS_NS;
	o.retry_max_ns = KOLK_MS_NS;
	return o;
}

static void created(struct depot *depot, int number)
{
	kolk_resource_created(depot->ops[CREATE][number], &depot->things[number]);
}

static void failed(struct kolk_resource_op *op, enum kolk_err err)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);

	failure.err = err;
	kolk_resource_failed(op, &failure);
}

static void turns(struct fixture *fix)
{
	assert_int_equal(kolk_check(fix->engine, NULL), KOLK_OK);
	fixture_run(fix, 2 * KOLK_MS_NS);
	assert_int_equal(kolk_check(fix->engine, NULL), KOLK_OK);
}

/* The pool drains, and every resource is destroyed once. */
static void end(struct fixture *fix, struct kolk_pool *pool, struct depot *depot, int destroys)
{
	int first = depot->begun[DESTROY];

	assert_int_equal(kolk_pool_drain(pool, 0), KOLK_OK);
	turns(fix);
	assert_int_equal(depot->begun[DESTROY] - first, destroys);
	for (; first < depot->begun[DESTROY]; first++) {
		assert_false(kolk_pool_is_closed(pool));
		kolk_resource_done(depot->ops[DESTROY][first]);
	}
	turns(fix);
	assert_true(kolk_pool_is_closed(pool));
}

static struct kolk_pool *one_leased(struct fixture *fix, struct depot *depot,
				    const struct kolk_pool_options *o, struct caller *caller)
{
	struct kolk_pool *pool = pool_of(fix, o);

	assert_int_equal(begin(fix, caller, kolk_pool_key(pool), KOLK_S_NS), KOLK_PENDING);
	turns(fix);
	assert_int_equal(depot->begun[CREATE], 1);
	assert_int_equal(caller->err, KOLK_PENDING);
	created(depot, 0);
	turns(fix);
	assert_int_equal(caller->err, KOLK_OK);
	assert_ptr_equal(kolk_lease_resource(&caller->lease), &depot->things[0]);
	return pool;
}

static void made_later(void **state)
{
	struct fixture *fix = *state;
	struct depot depot;
	struct kolk_pool_options o = later(&depot);
	struct caller caller;
	struct kolk_pool *pool = one_leased(fix, &depot, &o, &caller);

	assert_int_equal(kolk_release(&caller.lease), KOLK_OK);
	assert_int_equal(stats_of(pool).idle, 1);
	end(fix, pool, &depot, 1);
}

static void fails_with_its_own_name(void **state)
{
	struct fixture *fix = *state;
	struct kolk_failure failure = { .size = sizeof failure, .err = KOLK_E_UNREACHABLE,
					.phase = KOLK_PHASE_CONNECT, .os_error = 113,
					.detail = "no route" };
	struct depot depot;
	struct kolk_pool_options o = later(&depot);
	struct caller caller;
	struct kolk_pool *pool;

	o.retry_interval_ns = o.retry_max_ns = KOLK_S_NS;
	pool = pool_of(fix, &o);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(begin(fix, &caller, kolk_pool_key(pool), 9 * KOLK_S_NS),
				 KOLK_PENDING);
		while (depot.begun[CREATE] == i)
			turns(fix);
		kolk_resource_failed(depot.ops[CREATE][i], &failure);
		turns(fix);
		assert_int_equal(caller.err, KOLK_E_UNREACHABLE);
	}
	assert_int_equal(begin(fix, &caller, kolk_pool_key(pool), KOLK_S_NS), KOLK_E_CIRCUIT);
	assert_int_equal(stats_of(pool).dial_failed, 5);
	assert_int_equal(stats_of(pool).open, 0);
	end(fix, pool, &depot, 0);
}

/* The waiter is told in time; what comes later is destroyed, and counts until then. */
static void created_too_late(void **state)
{
	struct fixture *fix = *state;
	struct depot depot;
	struct kolk_pool_options o = later(&depot);
	struct caller caller, next;
	struct kolk_pool *pool;
	uint64_t begun_ns = kolk__sim_now(fix->sim);

	o.connections_max = 1;
	pool = pool_of(fix, &o);
	assert_int_equal(begin(fix, &caller, kolk_pool_key(pool), KOLK_S_NS), KOLK_PENDING);
	fixture_run(fix, 150 * KOLK_MS_NS);
	assert_int_equal(caller.err, KOLK_E_DIAL_TIMEOUT);
	assert_true(caller.at_ns - begun_ns < 102 * KOLK_MS_NS);
	assert_int_equal(depot.expired, 1);
	assert_int_equal(stats_of(pool).open, 1); /* its place is not free */
	assert_int_equal(stats_of(pool).dialing, 0);
	assert_int_equal(begin(fix, &next, kolk_pool_key(pool), 50 * KOLK_MS_NS), KOLK_PENDING);
	fixture_run(fix, 100 * KOLK_MS_NS);
	assert_int_equal(next.err, KOLK_E_TIMEOUT);
	assert_int_equal(depot.begun[CREATE], 1);
	assert_int_equal(begin(fix, &next, kolk_pool_key(pool), KOLK_S_NS), KOLK_PENDING);
	created(&depot, 0);
	turns(fix);
	assert_int_equal(depot.begun[DESTROY], 1);
	assert_int_equal(depot.begun[CREATE], 1);
	kolk_resource_done(depot.ops[DESTROY][0]);
	while (depot.begun[CREATE] == 1)
		turns(fix);
	created(&depot, 1);
	turns(fix);
	assert_int_equal(next.err, KOLK_OK);
	assert_int_equal(kolk_release(&next.lease), KOLK_OK);
	end(fix, pool, &depot, 1);
}

static void its_waiter_leaves(void **state)
{
	struct fixture *fix = *state;
	struct depot depot;
	struct kolk_pool_options o = later(&depot);
	struct kolk_pool *pool = pool_of(fix, &o);
	struct caller caller;

	assert_int_equal(begin(fix, &caller, kolk_pool_key(pool), KOLK_S_NS), KOLK_PENDING);
	turns(fix);
	assert_int_equal(kolk_acquire_cancel(&caller.acquire), KOLK_OK);
	turns(fix);
	created(&depot, 0);
	turns(fix);
	assert_int_equal(stats_of(pool).idle, 1);
	assert_int_equal(depot.begun[DESTROY], 0);
	end(fix, pool, &depot, 1);
}

static void its_pool_drains(void **state)
{
	struct fixture *fix = *state;
	struct depot depot;
	struct kolk_pool_options o = later(&depot);
	struct kolk_pool *pool = pool_of(fix, &o);
	struct caller caller[2];

	for (int i = 0; i < 2; i++)
		assert_int_equal(begin(fix, &caller[i], kolk_pool_key(pool), KOLK_S_NS),
				 KOLK_PENDING);
	turns(fix);
	assert_int_equal(depot.begun[CREATE], 2);
	assert_int_equal(kolk_pool_drain(pool, 0), KOLK_OK);
	turns(fix);
	assert_int_equal(caller[0].err, KOLK_E_DRAINING);
	assert_false(kolk_pool_is_closed(pool));
	created(&depot, 0);
	failed(depot.ops[CREATE][1], KOLK_E_IO);
	turns(fix);
	assert_int_equal(depot.begun[DESTROY], 1);
	kolk_resource_done(depot.ops[DESTROY][0]);
	turns(fix);
	assert_true(kolk_pool_is_closed(pool));
}

static void pings(void **state)
{
	struct fixture *fix = *state;
	struct depot depot;
	struct kolk_pool_options o = later(&depot);
	struct caller caller;
	struct kolk_pool *pool;

	o.ping_interval_ns = KOLK_S_NS;
	o.ping_timeout_ns = 100 * KOLK_MS_NS;
	pool = one_leased(fix, &depot, &o, &caller);
	assert_int_equal(kolk_release(&caller.lease), KOLK_OK);
	fixture_run(fix, KOLK_S_NS + KOLK_MS_NS);
	assert_int_equal(depot.begun[PING], 1);
	kolk_resource_done(depot.ops[PING][0]);
	turns(fix);
	assert_int_equal(stats_of(pool).pings_ok, 1);
	fixture_run(fix, KOLK_S_NS + 200 * KOLK_MS_NS); /* the next is late */
	assert_int_equal(depot.begun[PING], 2);
	assert_int_equal(depot.expired, 1);
	assert_int_equal(stats_of(pool).pings_failed, 1);
	assert_int_equal(depot.begun[DESTROY], 0); /* not under an operation */
	kolk_resource_done(depot.ops[PING][1]);
	turns(fix);
	assert_int_equal(depot.begun[DESTROY], 1);
	kolk_resource_done(depot.ops[DESTROY][0]);
	end(fix, pool, &depot, 0);
}

/* What reset answers, and how begin_reset ends, decide. */
static void resets(void **state)
{
	struct fixture *fix = *state;
	struct depot depot;
	struct kolk_pool_options o = later(&depot);
	struct caller caller;
	struct kolk_pool *pool = one_leased(fix, &depot, &o, &caller);

	depot.reset_err = KOLK_PENDING;
	assert_int_equal(kolk_release(&caller.lease), KOLK_OK);
	turns(fix);
	assert_int_equal(depot.begun[RESET], 1);
	assert_int_equal(stats_of(pool).idle, 0);
	kolk_resource_done(depot.ops[RESET][0]);
	turns(fix);
	assert_int_equal(stats_of(pool).idle, 1);
	assert_int_equal(begin(fix, &caller, kolk_pool_key(pool), KOLK_S_NS), KOLK_OK);
	assert_int_equal(kolk_release(&caller.lease), KOLK_OK);
	turns(fix);
	failed(depot.ops[RESET][1], KOLK_E_RESOURCE);
	turns(fix);
	assert_int_equal(depot.begun[DESTROY], 1);
	assert_int_equal(stats_of(pool).mends_failed, 1);
	kolk_resource_done(depot.ops[DESTROY][0]);
	end(fix, pool, &depot, 0);
}

/* Until it can be leased again, and not only until kolk_release returns. */
static void a_reset_is_in_the_time_of_a_release(void **state)
{
	struct fixture *fix = *state;
	struct depot depot;
	struct kolk_pool_options o = later(&depot);
	struct caller caller;
	struct kolk_pool *pool = one_leased(fix, &depot, &o, &caller);

	depot.reset_err = KOLK_PENDING;
	for (int i = 0; i < 16; i++) {
		if (i > 0)
			assert_int_equal(begin(fix, &caller, kolk_pool_key(pool), KOLK_S_NS),
					 KOLK_OK);
		assert_int_equal(kolk_release(&caller.lease), KOLK_OK);
		turns(fix); /* 2 ms */
		kolk_resource_done(depot.ops[RESET][i]);
		turns(fix);
	}
	assert_int_equal(stats_of(pool).release_count, 1);
	assert_true(stats_of(pool).release_sum_ns >= KOLK_MS_NS);
	end(fix, pool, &depot, 1);
}

/* At most closes_max at a time; one that is late holds no place. */
static void destroys_in_turn(void **state)
{
	struct fixture *fix = *state;
	struct depot depot;
	struct kolk_pool_options o = later(&depot);
	struct caller callers[5];
	struct kolk_pool *pool;

	o.connections_max = 5;
	o.dials_max = 5;
	o.closes_max = 2;
	o.close_timeout_ns = 100 * KOLK_MS_NS;
	pool = pool_of(fix, &o);
	for (int i = 0; i < 5; i++)
		(void)begin(fix, &callers[i], kolk_pool_key(pool), KOLK_S_NS);
	turns(fix);
	for (int i = 0; i < 5; i++)
		created(&depot, i);
	turns(fix);
	for (int i = 0; i < 5; i++)
		assert_int_equal(kolk_release(&callers[i].lease), KOLK_OK);
	assert_int_equal(kolk_pool_drain(pool, 0), KOLK_OK);
	turns(fix);
	assert_int_equal(depot.begun[DESTROY], 2);
	kolk_resource_done(depot.ops[DESTROY][1]);
	turns(fix);
	assert_int_equal(depot.begun[DESTROY], 3);
	fixture_run(fix, 150 * KOLK_MS_NS);
	assert_int_equal(depot.expired, 2);
	assert_int_equal(depot.begun[DESTROY], 5);
	for (int i = 0; i < 5; i++)
		if (i != 1)
			kolk_resource_done(depot.ops[DESTROY][i]);
	turns(fix);
	assert_true(kolk_pool_is_closed(pool));
	assert_int_equal(stats_of(pool).open, 0);
}

/* One form or the other. */
static void forms_are_not_mixed(void **state)
{
	struct fixture *fix = *state;
	struct depot depot;
	struct kolk_pool_options o = later(&depot);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_resource_driver wrong[4] = { driver, driver, unit_things, unit_things };

	wrong[0].create = unit_things.create;
	wrong[1].validate = reset;
	wrong[2].begin_destroy = begin_destroy;
	wrong[3].op_bytes = 1;
	o.failure = &failure;
	for (int i = 0; i < 4; i++) {
		struct kolk_pool *pool;

		o.resource = &wrong[i];
		assert_int_equal(kolk_pool_add(fix->engine, &o, &pool), KOLK_E_OPTIONS);
		assert_string_equal(failure.field, "resource");
	}
}

static const struct CMUnitTest tests[] = {
	T(made_later),	     T(fails_with_its_own_name), T(created_too_late), T(its_waiter_leaves),
	T(its_pool_drains),  T(pings),			 T(resets),
	T(a_reset_is_in_the_time_of_a_release),	      T(destroys_in_turn),
	T(forms_are_not_mixed),
};

CMOCKA_TESTS(resource_async, tests);
