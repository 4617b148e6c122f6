/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep_test.c - sweep.c and what a replaced credential causes: when it has returned, no caller
 * gets a connection that was dialled before.
 */
#include "tests/unit/unit.h"

#include <string.h>

#include "core/engine.h"

/* ---- the fixture's keys */

static struct kolk_key *open_key(struct fixture *fix, const char *tenant, const char *credential,
				 uint32_t replaces)
{
	return key_with(fix->pool, (struct kolk_key_options){ .tenant = tenant, .replaces = replaces,
							      .credential = credential });
}

static struct kolk_lease take(struct fixture *fix, struct kolk_key *key)
{
	struct kolk_lease lease;

	assert_int_equal(kolk_acquire(key, kolk__sim_now(fix->sim) + KOLK_S_NS, &lease), KOLK_OK);
	return lease;
}

static uint64_t number_of(struct kolk_lease lease)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	assert_int_equal(kolk_lease_info(&lease, &info), KOLK_OK);
	return info.connection;
}

static void give(struct kolk_lease lease)
{
	assert_int_equal(kolk_release(&lease), KOLK_OK);
}

static uint64_t use(struct fixture *fix, struct kolk_key *key)
{
	struct kolk_lease lease = take(fix, key);
	uint64_t number = number_of(lease);

	give(lease);
	return number;
}

static uint64_t rotated(struct fixture *fix)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_engine_stats(fix->engine, &stats), KOLK_OK);
	return stats.destroyed[KOLK_REASON_ROTATED];
}

/* ---- each scope */

enum scope { ENGINE, TENANT, POOL, KEY };

static size_t rotate(struct fixture *fix, enum scope scope, struct kolk_key *key)
{
	switch (scope) {
	case ENGINE:
		return kolk_engine_rotate(fix->engine);
	case TENANT:
		return kolk_tenant_rotate(fix->engine, kolk_key_tenant(key));
	case POOL:
		return kolk_pool_rotate(kolk_key_pool(key));
	default:
		return kolk_key_rotate(key);
	}
}

/* A tenant's two keys in two pools, and another tenant's: which become stale by what. */
static void each_scope(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *first = fix->pool;
	struct kolk_key *keys[4];
	/*                            a/1    a2/1   a/2    b/1  */
	static const bool hit[][4] = { { true, true, true, true },
				       { true, false, true, false },
				       { true, true, false, true },
				       { true, false, false, false } };

	o.name = "second";
	o.address = "192.0.2.2:7";
	o.idle_min = KOLK_NONE;
	keys[0] = open_key(fix, "a", NULL, 0);
	keys[1] = open_key(fix, "a2", NULL, 0);
	keys[3] = open_key(fix, "b", NULL, 0);
	assert_int_equal(kolk_pool_add(fix->engine, &o, &fix->pool), KOLK_OK);
	keys[2] = open_key(fix, "a", NULL, 0);
	for (int scope = ENGINE; scope <= KEY; scope++) {
		uint64_t before[4];

		fixture_run(fix, KOLK_S_NS); /* as many as there will be are idle */
		for (int i = 0; i < 4; i++)
			before[i] = use(fix, keys[i]);
		assert_true(rotate(fix, (enum scope)scope, keys[0]) > 0);
		for (int i = 0; i < 4; i++)
			assert_int_equal(use(fix, keys[i]) != before[i], hit[scope][i]);
	}
	for (int i = 0; i < 4; i++)
		kolk_key_close(keys[i]);
	assert_int_equal(kolk_pool_close(fix->pool, kolk__sim_now(fix->sim)), KOLK_OK);
	fix->pool = first;
}

static void a_lease_goes_on_and_is_closed_when_it_comes_back(void **state)
{
	struct fixture *fix = *state;

	for (int scope = ENGINE; scope <= KEY; scope++) {
		struct kolk_key *key = open_key(fix, "t", NULL, 0);
		struct kolk_lease old = take(fix, key);
		uint64_t number = number_of(old), before = rotated(fix);

		assert_true(rotate(fix, (enum scope)scope, key) >= 1);
		assert_int_equal(kolk_send_all(&old, "PING\r\n", 6, KOLK_FOREVER), KOLK_OK);
		assert_int_equal(number_of(old), number);
		assert_int_not_equal(use(fix, key), number);
		give(old);
		fixture_run(fix, 20 * KOLK_MS_NS);
		assert_true(rotated(fix) > before);
		assert_int_not_equal(use(fix, key), number);
		kolk_key_close(key);
	}
}

/* The moment between a release's store and its load of the retire reason: another thread's acquire
 * may come by right then. */
static void a_release_is_half_way(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key *key = open_key(fix, "t", NULL, 0);

	for (int scope = ENGINE; scope <= KEY; scope++)
		for (int way = 0; way < 3; way++) {
			struct kolk_lease old = take(fix, key), now = { 0 };
			struct kolk__conn *conn = old.connection;
			uint64_t number, word;

			give(old);
			old = take(fix, key); /* by the cache: its token stays in the list */
			assert_ptr_equal(old.connection, conn);
			number = number_of(old);
			word = old.ticket;

			assert_true(rotate(fix, (enum scope)scope, key) >= 1);
			assert_true(kolk__conn_release(conn, &word));
			if (way == 0) /* as with a clock that is kept: the shortest way */
				kolk__store_relaxed(&fix->engine->page->clock_ns,
						    kolk__sim_now(fix->sim));
			if (way == 2 || kolk_try_acquire(key, &now) != KOLK_OK)
				now = take(fix, key);
			kolk__store_relaxed(&fix->engine->page->clock_ns, 0);
			assert_int_not_equal(number_of(now), number);
			give(now);
			fixture_run(fix, 50 * KOLK_MS_NS);
		}
	kolk_key_close(key);
}

static void a_dial_in_flight_is_never_handed_out(void **state)
{
	struct fixture *fix = *state;

	for (int scope = ENGINE; scope <= KEY; scope++)
		for (uint64_t us = 0; us < 2000; us += 100) {
			struct kolk_key *key = open_key(fix, "t", NULL, 0);
			uint64_t last = fix->engine->next_number, number;
			struct kolk_lease lease;

			assert_int_equal(kolk_try_acquire(key, &lease), KOLK_E_EMPTY);
			assert_true(fix->engine->next_number > last);
			fixture_run(fix, us * KOLK_US_NS);
			last = fix->engine->next_number;
			(void)rotate(fix, (enum scope)scope, key);
			number = use(fix, key);
			assert_true(number > last);
			kolk_key_close(key);
			(void)kolk_pool_clear(fix->pool);
			fixture_run(fix, 50 * KOLK_MS_NS);
			(void)kolk_pool_clear(fix->pool);
			fixture_run(fix, 50 * KOLK_MS_NS);
		}
}

static void unknown_and_empty(void **state)
{
	struct fixture *fix = *state;
	uint64_t number = use(fix, fix->key);

	assert_int_equal(kolk_tenant_rotate(fix->engine, "nobody of this name"), 0);
	assert_int_equal(kolk_tenant_rotate(fix->engine, NULL), 0);
	assert_int_equal(use(fix, fix->key), number);
	assert_true(kolk_tenant_rotate(fix->engine, "") > 0); /* the keys without one */
	assert_int_not_equal(use(fix, fix->key), number);
}

/* ---- a credential takes the place of another */

struct result {
	struct kolk_acquire acquire;
	enum kolk_err err;
	uint32_t times;
};

static void on_result(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct result *result = user;

	result->err = err;
	result->times++;
	if (lease != NULL) {
		struct kolk_lease copy = *lease;

		give(copy);
	}
}

static void queue_up(struct fixture *fix, struct kolk_key *key, struct result *result)
{
	assert_int_equal(kolk_acquire_async(kolk_engine_loop(fix->engine, 0), key, KOLK_FOREVER,
					    &result->acquire, on_result, result), KOLK_PENDING);
}

static void replaced(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key *old = open_key(fix, "t", "1", 0), *other = open_key(fix, "u", "1", 0);
	struct kolk_key *fresh, *again;
	struct kolk_lease leases[4], lease;
	struct result waiter = { 0 }, others = { 0 };
	uint64_t others_number = use(fix, other), first, second;

	for (int i = 0; i < 4; i++)
		leases[i] = take(fix, old);
	first = number_of(leases[0]);
	queue_up(fix, old, &waiter);
	fresh = open_key(fix, "t", "2", 1);
	fixture_run(fix, 5 * KOLK_MS_NS);
	assert_true(waiter.times == 1 && waiter.err == KOLK_E_ROTATED);
	assert_int_equal(kolk_try_acquire(old, &lease), KOLK_E_ROTATED);
	assert_int_equal(kolk_acquire(old, kolk__sim_now(fix->sim) + KOLK_S_NS, &lease),
			 KOLK_E_ROTATED);
	assert_int_equal(use(fix, other), others_number); /* another tenant of the same secret */
	assert_int_equal(number_of(leases[0]), first);    /* leases go on */
	/* Back again, with earlier leases still out: those stay stale. */
	again = open_key(fix, "t", "1", 0);
	assert_ptr_equal(again, old);
	queue_up(fix, old, &others);
	give(leases[0]);
	fixture_run(fix, 100 * KOLK_MS_NS);
	assert_true(others.times == 1 && others.err == KOLK_OK);
	second = use(fix, old);
	for (int i = 0; i < 4; i++)
		assert_int_not_equal(second, i > 0 ? number_of(leases[i]) : first);
	for (int i = 1; i < 4; i++)
		give(leases[i]);
	fixture_run(fix, 100 * KOLK_MS_NS);
	assert_true(use(fix, old) > fix->engine->next_number - 4);
	kolk_key_close(again);
	kolk_key_close(old);
	kolk_key_close(fresh);
	kolk_key_close(other);
}

/* A dial was under way when its credential was replaced, and the key is back before it ends. */
static void replaced_and_back_while_it_dials(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key *old = open_key(fix, "t", "1", 0), *fresh, *again;
	struct kolk_lease lease;
	uint64_t last;

	assert_int_equal(kolk_try_acquire(old, &lease), KOLK_E_EMPTY);
	last = fix->engine->next_number;
	fresh = open_key(fix, "t", "2", 1);
	again = open_key(fix, "t", "1", 1);
	assert_ptr_equal(again, old);
	assert_true(use(fix, old) > last);
	assert_int_equal(kolk_try_acquire(fresh, &lease), KOLK_E_ROTATED);
	kolk_key_close(again);
	kolk_key_close(old);
	kolk_key_close(fresh);
}

/* It has no reference any more, but a waiter: it goes when the waiter ends. */
static void a_replaced_key_goes_with_its_last_waiter(void **state)
{
	struct fixture *fix = *state;
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct kolk_key *old = open_key(fix, "t", "1", 0), *fresh;
	struct result waiter = { 0 };

	kolk__sim_outage(fix->sim, KOLK_FOREVER);
	queue_up(fix, old, &waiter);
	fixture_run(fix, 20 * KOLK_MS_NS);
	if (waiter.times > 0) { /* the first dial failed for it */
		waiter.times = 0;
		queue_up(fix, old, &waiter);
	}
	kolk_key_close(old);
	fresh = open_key(fix, "t", "2", 1);
	fixture_run(fix, KOLK_S_NS);
	assert_int_equal(waiter.times, 1);
	assert_int_equal(kolk_engine_stats(fix->engine, &stats), KOLK_OK);
	assert_int_equal(stats.keys, 2);
	kolk_key_close(fresh);
	kolk__sim_outage(fix->sim, 0);
}

/* The same at a drain: the key is gone at once, so a resume does not find it. */
static void a_drained_key_goes_with_its_last_waiter(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key *key = open_key(fix, "t", "1", 0);
	struct result waiter = { 0 };

	kolk__sim_outage(fix->sim, KOLK_FOREVER);
	queue_up(fix, key, &waiter);
	while (waiter.times == 0)
		fixture_run(fix, 100 * KOLK_US_NS);
	queue_up(fix, key, &waiter); /* its dial failed: it waits for the next */
	assert_int_equal(kolk__own(&key->open), 0);
	kolk_key_close(key);
	assert_int_equal(stats_of(fix->pool).keys, 2);
	assert_int_equal(kolk_pool_suspend(fix->pool, KOLK_FOREVER), KOLK_OK);
	assert_int_equal(stats_of(fix->pool).keys, 1);
	assert_int_equal(kolk_pool_resume(fix->pool), KOLK_OK);
	fixture_run(fix, KOLK_S_NS);
	assert_int_equal(waiter.times, 2);
	kolk__sim_outage(fix->sim, 0);
}

/* What was refused may be welcome after a rotation: who waits does not wait for the back-off. */
static void a_rotation_dials_for_those_who_wait(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key *key = open_key(fix, "t", "1", 0);
	struct result waiter = { 0 };

	kolk__sim_outage(fix->sim, KOLK_FOREVER);
	for (uint32_t told = 1; key->retry_at_ns < kolk__sim_now(fix->sim) + 100 * KOLK_MS_NS; told++) {
		queue_up(fix, key, &waiter);
		while (waiter.times < told)
			fixture_run(fix, KOLK_MS_NS);
	}
	waiter.times = 0;
	queue_up(fix, key, &waiter);
	kolk__sim_outage(fix->sim, 0);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_int_equal(waiter.times, 0);
	assert_int_equal(kolk_key_rotate(key), 0);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_true(waiter.times == 1 && waiter.err == KOLK_OK);
	kolk_key_close(key);
}

/* The waiter is finished, and is cancelled before its callback, when the key is gone already. */
static void finished_and_cancelled(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key *old = open_key(fix, "t", "1", 0), *fresh;
	struct result waiter = { 0 };

	kolk__sim_outage(fix->sim, KOLK_FOREVER);
	queue_up(fix, old, &waiter);
	while (waiter.times == 0)
		fixture_run(fix, 100 * KOLK_US_NS);
	queue_up(fix, old, &waiter); /* no dial for it: the last one has just failed */
	assert_int_equal(kolk__own(&old->open), 0);
	kolk_key_close(old);
	fresh = open_key(fix, "t", "2", 1);
	assert_null(old->identity);
	assert_int_equal(kolk_acquire_cancel(&waiter.acquire), KOLK_OK);
	fixture_run(fix, KOLK_S_NS);
	assert_int_equal(waiter.times, 1);
	kolk_key_close(fresh);
	kolk__sim_outage(fix->sim, 0);
}

/* A caller without handles opens the key each time: the old credential is in service again, by new
 * dials, and what replaced it goes on. */
static void replaced_and_asked_for_by_name(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	uint64_t deadline_ns = kolk__sim_now(fix->sim) + KOLK_S_NS, last, first;
	struct kolk_key *old;
	struct kolk_lease lease;

	who.tenant = "t";
	who.credential = "1";
	who.credential_size = 1;
	old = open_key(fix, "t", "1", 0);
	(void)use(fix, old);
	kolk_key_close(old);
	who.credential = "2";
	who.replaces = 1;
	assert_int_equal(kolk_acquire_as(fix->pool, &who, deadline_ns, &lease), KOLK_OK);
	first = number_of(lease);
	give(lease);
	who.replaces = 0;
	assert_int_equal(kolk_acquire_as(fix->pool, &who, deadline_ns, &lease), KOLK_OK);
	assert_int_equal(number_of(lease), first);
	give(lease);
	last = fix->engine->next_number;
	who.credential = "1";
	assert_int_equal(kolk_acquire_as(fix->pool, &who, deadline_ns, &lease), KOLK_OK);
	assert_true(number_of(lease) > last);
	give(lease);
}

/* ---- isolation */

static void isolation(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_key_options k = KOLK_INIT(kolk_key_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool *shared, *session;
	struct kolk_key *a, *b, *c;

	o.address = "192.0.2.1:7";
	o.name = "shared";
	o.isolation = KOLK_ISOLATION_SHARED;
	assert_int_equal(kolk_pool_add(fix->engine, &o, &shared), KOLK_OK);
	o.name = "session";
	o.isolation = KOLK_ISOLATION_SESSION;
	assert_int_equal(kolk_pool_add(fix->engine, &o, &session), KOLK_OK);
	k.tenant = "a";
	k.failure = &failure;
	assert_int_equal(kolk_key_open(shared, &k, &a), KOLK_OK);
	assert_ptr_equal(a, kolk_pool_key(shared));
	assert_string_equal(kolk_key_tenant(a), "");
	assert_int_equal(kolk_key_open(session, &k, &b), KOLK_E_OPTIONS);
	assert_null(b);
	assert_string_equal(failure.field, "session");
	k.session = "";
	assert_int_equal(kolk_key_open(session, &k, &b), KOLK_E_OPTIONS);
	k.session = "s";
	assert_int_equal(kolk_key_open(session, &k, &b), KOLK_OK);
	k.session = "s2";
	assert_int_equal(kolk_key_open(session, &k, &c), KOLK_OK);
	assert_ptr_not_equal(b, c);
	assert_int_not_equal(use(fix, b), use(fix, c));
	kolk_key_close(b);
	kolk_key_close(c);
	k.tenant = "b";
	assert_int_equal(kolk_key_open(shared, &k, &b), KOLK_OK);
	assert_ptr_equal(a, b);
	k.credential = "x";
	k.credential_size = 1;
	assert_int_equal(kolk_key_open(shared, &k, &c), KOLK_OK);
	assert_ptr_not_equal(a, c); /* a credential always tells keys apart */
	kolk_key_close(a);
	kolk_key_close(b);
	kolk_key_close(c);
}

static void slips(void **state)
{
	struct fixture *fix = *state;
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_key_options o[7];
	static const char *const fields[] = { "tenant",	  "session",  "credential_size",
					      "credential_size", "replaces", "reserved" };
	char text[257];
	struct kolk_key *key;

	memset(text, 'x', sizeof text - 1);
	text[256] = 0;
	for (int i = 0; i < 7; i++) {
		o[i] = (struct kolk_key_options)KOLK_INIT(kolk_key_options);
		o[i].failure = &failure;
	}
	o[0].tenant = text;
	o[1].session = text;
	o[2].credential = "x";
	o[3].credential_size = 1;
	o[4].replaces = 2;
	o[5].reserved = 1;
	o[6].size = 4;
	for (int i = 0; i < 7; i++) {
		assert_int_equal(kolk_key_open(fix->pool, &o[i], &key), KOLK_E_OPTIONS);
		assert_null(key);
		if (i < 6)
			assert_string_equal(failure.field, fields[i]);
	}
	for (int i = 0; i < 7; i++) { /* whatever the lease was, it is none now */
		struct kolk_lease lease = { fix, 1 };
		struct kolk_acquire acquire = { { fix, 1 }, { 0 } };

		assert_int_equal(kolk_acquire_as(fix->pool, &o[i], 0, &lease), KOLK_E_OPTIONS);
		assert_int_equal(kolk_release(&lease), KOLK_E_LEASE_STALE);
		assert_int_equal(kolk_acquire_as_async(kolk_engine_loop(fix->engine, 0), fix->pool,
						       &o[i], 0, &acquire, on_result, NULL),
				 KOLK_E_OPTIONS);
		assert_int_equal(kolk_release(&acquire.lease), KOLK_E_LEASE_STALE);
	}
	o[0].tenant = o[0].session = text + 1; /* 255 bytes: the most */
	assert_int_equal(kolk_key_open(fix->pool, &o[0], &key), KOLK_OK);
	assert_string_equal(kolk_key_tenant(key), text + 1);
	kolk_key_close(key);
}

#define IN_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

static const struct CMUnitTest tests[] = {
	IN_FIXTURE(each_scope),
	IN_FIXTURE(a_lease_goes_on_and_is_closed_when_it_comes_back),
	IN_FIXTURE(a_release_is_half_way),
	IN_FIXTURE(a_dial_in_flight_is_never_handed_out),
	IN_FIXTURE(unknown_and_empty),
	IN_FIXTURE(replaced),
	IN_FIXTURE(replaced_and_back_while_it_dials),
	IN_FIXTURE(a_replaced_key_goes_with_its_last_waiter),
	IN_FIXTURE(a_drained_key_goes_with_its_last_waiter),
	IN_FIXTURE(a_rotation_dials_for_those_who_wait),
	IN_FIXTURE(finished_and_cancelled),
	IN_FIXTURE(replaced_and_asked_for_by_name),
	IN_FIXTURE(isolation),
	IN_FIXTURE(slips),
};

CMOCKA_TESTS(sweep, tests);
