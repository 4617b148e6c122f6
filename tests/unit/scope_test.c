/* SPDX-License-Identifier: Apache-2.0 */
/* scope_test.c - scope.c: what is taken in a scope is given back when it ends, and only that. */
#include "tests/unit/unit.h"

#include <string.h>

#include "core/engine.h"
#include "core/release.h"

/* ---- memory that is out */

static void *refuse(void *context, size_t alignment, size_t size)
{
	(void)context;
	(void)alignment;
	(void)size;
	return NULL;
}

static const struct kolk_sys *real;

static void memory_is_out(struct kolk_engine *engine)
{
	static struct kolk_sys none;

	real = engine->sys;
	none = *real;
	none.allocate = refuse;
	engine->sys = &none;
}

static void memory_is_back(struct kolk_engine *engine)
{
	engine->sys = real;
}

/* ---- leases */

static uint64_t soon(struct fixture *fix)
{
	return kolk__sim_now(fix->sim) + KOLK_S_NS;
}

static struct kolk_lease take(struct fixture *fix, struct kolk_scope *scope)
{
	struct kolk_lease lease;

	assert_int_equal(kolk_scope_acquire(scope, fix->key, soon(fix), &lease), KOLK_OK);
	return lease;
}

static void end(struct kolk_scope *scope)
{
	assert_int_equal(kolk_scope_end(scope, KOLK_SCOPE_RELEASE), KOLK_OK);
}

static uint64_t misuse(const struct fixture *fix)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_engine_stats(fix->engine, &stats), KOLK_OK);
	return stats.misuse;
}

static void the_end_releases_what_is_held(void **state)
{
	struct fixture *fix = *state;
	struct kolk_scope scope;
	struct kolk_lease early;

	kolk_scope_begin(&scope);
	end(&scope); /* of nothing */
	early = take(fix, &scope);
	(void)take(fix, &scope);
	assert_int_equal(kolk_release(&early), KOLK_OK);
	assert_int_equal(stats_of(fix->pool).leased, 1);
	end(&scope);
	assert_int_equal(stats_of(fix->pool).leased, 0);
	assert_int_equal(stats_of(fix->pool).idle, 2);
	assert_int_equal(misuse(fix), 0);
	(void)take(fix, &scope); /* once more */
	end(&scope);
	assert_int_equal(stats_of(fix->pool).leased, 0);
}

/* The connection of a lease that ended before is another caller's by now. */
static void another_ones_lease_is_left_alone(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease early, other;
	struct kolk_scope scope;

	kolk_scope_begin(&scope);
	early = take(fix, &scope);
	assert_int_equal(kolk_release(&early), KOLK_OK);
	assert_int_equal(kolk_acquire(fix->key, soon(fix), &other), KOLK_OK);
	assert_ptr_equal(other.connection, early.connection);
	end(&scope);
	assert_int_equal(stats_of(fix->pool).leased, 1);
	assert_int_equal(kolk_release(&other), KOLK_OK);
	assert_int_equal(misuse(fix), 0);
}

static void the_end_may_discard(void **state)
{
	struct fixture *fix = *state;
	struct kolk_scope scope;

	kolk_scope_begin(&scope);
	(void)take(fix, &scope);
	assert_int_equal(kolk_scope_end(&scope, KOLK_SCOPE_DISCARD), KOLK_OK);
	fixture_run(fix, 50 * KOLK_MS_NS);
	assert_int_equal(stats_of(fix->pool).destroyed[KOLK_REASON_DISCARDED], 1);
	assert_int_equal(stats_of(fix->pool).leased, 0);
}

/* An engine with threads: the simulator's has eight connections. */
static void more_leases_than_are_inside(void **state)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct kolk_engine *engine;
	struct kolk_lease lease[40];
	struct kolk_scope scope;
	struct kolk_pool *pool;

	(void)state;
	e.loops = 1;
	e.resources_max = 64;
	p.name = "things";
	p.resource = &unit_things;
	p.connections_max = 40;
	assert_int_equal(kolk_engine_create(&e, &engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(engine, &p, &pool), KOLK_OK);
	kolk_scope_begin(&scope);
	for (int i = 0; i < 40; i++)
		assert_int_equal(kolk_scope_acquire(&scope, kolk_pool_key(pool),
						    kolk_in_ms(10000), &lease[i]), KOLK_OK);
	for (int i = 0; i < 40; i += 2)
		assert_int_equal(kolk_release(&lease[i]), KOLK_OK);
	end(&scope);
	for (int i = 0; i < 40; i++)
		assert_int_equal(kolk_release(&lease[i]), KOLK_E_LEASE_STALE);
	assert_int_equal(stats_of(pool).leased, 0);
	assert_int_equal(kolk_engine_destroy(engine), KOLK_OK);
}

/* However many leases a request takes one after the other, their places are used again: the engine
 * gives no memory. */
static void places_are_used_again(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease kept, lease;
	struct kolk_scope scope;

	kolk_scope_begin(&scope);
	kept = take(fix, &scope);
	lease = take(fix, &scope);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	memory_is_out(fix->engine);
	for (int i = 0; i < 1000; i++) {
		lease = take(fix, &scope);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
	}
	memory_is_back(fix->engine);
	end(&scope);
	assert_int_equal(kolk_release(&kept), KOLK_E_LEASE_STALE);
}

static void without_memory_nothing_is_acquired(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_lease lease[KOLK_SCOPE_INSIDE], one_more;
	struct kolk_scope scope;
	struct kolk_pool *pool;

	o.name = "wide";
	o.address = "192.0.2.1:7";
	o.connections_max = KOLK_SCOPE_INSIDE;
	pool = pool_of(fix, &o);
	kolk_scope_begin(&scope);
	for (int i = 0; i < KOLK_SCOPE_INSIDE; i++)
		assert_int_equal(kolk_scope_acquire(&scope, kolk_pool_key(pool), soon(fix),
						    &lease[i]), KOLK_OK);
	memory_is_out(fix->engine);
	assert_int_equal(kolk_scope_acquire(&scope, kolk_pool_key(pool), soon(fix), &one_more),
			 KOLK_E_MEMORY);
	assert_int_equal(kolk_release(&lease[3]), KOLK_OK); /* its place is another's now */
	assert_int_equal(kolk_scope_acquire(&scope, kolk_pool_key(pool), soon(fix), &one_more),
			 KOLK_OK);
	memory_is_back(fix->engine);
	end(&scope);
	assert_int_equal(stats_of(pool).leased, 0);
	assert_int_equal(stats_of(pool).waiting, 0);
}

static void leases_come_and_go(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease lease, stale;
	struct kolk_scope scope;

	kolk_scope_begin(&scope);
	assert_int_equal(kolk_acquire(fix->key, soon(fix), &lease), KOLK_OK);
	assert_int_equal(kolk_scope_add(&scope, &lease), KOLK_OK);
	stale = take(fix, &scope);
	assert_int_equal(kolk_scope_remove(&scope, &lease), KOLK_OK);
	assert_int_equal(kolk_scope_remove(&scope, &lease), KOLK_E_NOT_FOUND);
	end(&scope);
	assert_int_equal(kolk_scope_add(&scope, &stale), KOLK_E_LEASE_STALE);
	assert_int_equal(stats_of(fix->pool).leased, 1);
	assert_int_equal(kolk_release(&lease), KOLK_OK); /* it was kept */
}

/* As if another thread were inside an operation on it. */
static void a_busy_lease_is_given_back_later(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease busy;
	struct kolk_scope scope;

	kolk_scope_begin(&scope);
	busy = take(fix, &scope);
	(void)take(fix, &scope);
	assert_int_equal(kolk__operation_begin(&busy, NULL), KOLK_OK);
	assert_int_equal(kolk_scope_end(&scope, KOLK_SCOPE_RELEASE), KOLK_E_LEASE_BUSY);
	assert_int_equal(stats_of(fix->pool).leased, 1);
	assert_true(kolk__operation_end(busy.connection));
	end(&scope);
	assert_int_equal(stats_of(fix->pool).leased, 0);
}

/* ---- acquires that are pending */

struct told {
	enum kolk_err err;
	int times;
};

static void on_acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct told *told = user;

	(void)lease;
	told->err = err;
	told->times++;
}

static enum kolk_err start(struct fixture *fix, struct kolk_scope *scope,
			   struct kolk_scope_acquire *acquire, struct told *told)
{
	return kolk_scope_acquire_async(scope, kolk_engine_loop(fix->engine, 0), fix->key,
					soon(fix), acquire, on_acquired, told);
}

static void what_comes_later_is_in_the_scope(void **state)
{
	struct fixture *fix = *state;
	struct kolk_scope_acquire first, second;
	struct told told = { KOLK_OK, 0 };
	struct kolk_scope scope;

	kolk_scope_begin(&scope);
	assert_int_equal(start(fix, &scope, &first, &told), KOLK_PENDING);
	fixture_run(fix, 50 * KOLK_MS_NS);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.err, KOLK_OK);
	assert_int_equal(kolk_scope_acquire_cancel(&first), KOLK_E_NOT_FOUND);
	end(&scope);
	assert_int_equal(kolk_release(&first.acquire.lease), KOLK_E_LEASE_STALE);
	assert_int_equal(start(fix, &scope, &second, &told), KOLK_OK); /* at once */
	end(&scope);
	assert_int_equal(told.times, 1);
	assert_int_equal(stats_of(fix->pool).leased, 0);
}

static void the_end_cancels_what_is_pending(void **state)
{
	struct fixture *fix = *state;
	struct kolk_scope_acquire acquire[3];
	struct told told = { KOLK_OK, 0 };
	struct kolk_scope scope;

	kolk_scope_begin(&scope);
	for (int i = 0; i < 3; i++)
		assert_int_equal(start(fix, &scope, &acquire[i], &told), KOLK_PENDING);
	assert_int_equal(kolk_scope_acquire_cancel(&acquire[1]), KOLK_OK);
	assert_int_equal(kolk_scope_end(&scope, KOLK_SCOPE_DISCARD), KOLK_OK);
	fixture_run(fix, 50 * KOLK_MS_NS);
	assert_int_equal(told.times, 0);
	assert_int_equal(stats_of(fix->pool).leased, 0);
	assert_int_equal(stats_of(fix->pool).waiting, 0);
	assert_int_equal(stats_of(fix->pool).cancelled, 3);
}

/* ---- items */

struct ended {
	struct kolk_scope_item item;
	enum kolk_err answer;
	int place; /* when it ended, 1 = first */
	enum kolk_scope_outcome outcome;
};

static int places;

static enum kolk_err on_end(void *user, enum kolk_scope_outcome outcome)
{
	struct ended *ended = user;

	ended->place = ++places;
	ended->outcome = outcome;
	return ended->answer;
}

static void items_end_the_last_one_first(void **state)
{
	struct ended item[4] = { { .answer = KOLK_OK } };
	struct kolk_scope scope;

	(void)state;
	places = 0;
	item[1].answer = KOLK_E_LEASE_BUSY; /* not now */
	kolk_scope_begin(&scope);
	for (int i = 0; i < 4; i++)
		kolk_scope_add_item(&scope, &item[i].item, on_end, &item[i]);
	kolk_scope_remove_item(&item[2].item);
	kolk_scope_remove_item(&item[2].item);
	assert_int_equal(kolk_scope_end(&scope, KOLK_SCOPE_DISCARD), KOLK_E_LEASE_BUSY);
	assert_int_equal(item[3].place, 1);
	assert_int_equal(item[1].place, 2);
	assert_int_equal(item[2].place, 0);
	assert_int_equal(item[0].place, 3);
	assert_int_equal(item[0].outcome, KOLK_SCOPE_DISCARD);
	item[1].answer = KOLK_OK;
	end(&scope);
	assert_int_equal(item[1].place, 4);
	assert_int_equal(item[1].outcome, KOLK_SCOPE_RELEASE);
	end(&scope);
	assert_int_equal(places, 4);
}

/* user: the first of two. */
static enum kolk_err on_end_of_both(void *user, enum kolk_scope_outcome outcome)
{
	struct ended *both = user;

	kolk_scope_remove_item(&both[1].item);
	memset(&both[1].item, 0xff, sizeof both[1].item); /* as if it were freed */
	return on_end(&both[0], outcome);
}

/* A client closes its calls: one of them could not be ended a moment ago. */
static void an_item_may_remove_one_that_stayed(void **state)
{
	struct ended item[3] = { { .answer = KOLK_OK } };
	struct kolk_scope scope;

	(void)state;
	places = 0;
	item[1].answer = item[2].answer = KOLK_E_LEASE_BUSY;
	kolk_scope_begin(&scope);
	kolk_scope_add_item(&scope, &item[0].item, on_end_of_both, item);
	for (int i = 1; i < 3; i++)
		kolk_scope_add_item(&scope, &item[i].item, on_end, &item[i]);
	assert_int_equal(kolk_scope_end(&scope, KOLK_SCOPE_RELEASE), KOLK_E_LEASE_BUSY);
	assert_int_equal(places, 3);
	item[2].answer = KOLK_OK;
	end(&scope);
	assert_int_equal(places, 4); /* the other one that stayed */
	assert_int_equal(item[2].place, 4);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(the_end_releases_what_is_held, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(another_ones_lease_is_left_alone, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(the_end_may_discard, fixture_open, fixture_close),
	cmocka_unit_test(more_leases_than_are_inside),
	cmocka_unit_test_setup_teardown(places_are_used_again, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(without_memory_nothing_is_acquired, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(leases_come_and_go, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(a_busy_lease_is_given_back_later, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(what_comes_later_is_in_the_scope, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(the_end_cancels_what_is_pending, fixture_open,
					fixture_close),
	cmocka_unit_test(items_end_the_last_one_first),
	cmocka_unit_test(an_item_may_remove_one_that_stayed),
};

CMOCKA_TESTS(scope, tests);
