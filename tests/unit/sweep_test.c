/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep_test.c - sweep.c and what a replaced credential brings about: when it has returned,
 * nobody is given what was dialled before.
 */
#include "tests/unit/unit.h"

#include <string.h>

#include "core/engine.h"

/* ---- the bed's keys */

static struct kolk_key *open_key(struct bed *bed, const char *tenant, const char *credential,
				 uint32_t replaces)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	struct kolk_key *key = NULL;

	o.tenant = tenant;
	o.credential = credential;
	o.credential_size = credential != NULL ? (uint32_t)strlen(credential) : 0;
	o.replaces = replaces;
	assert_int_equal(kolk_key_open(bed->pool, &o, &key), KOLK_OK);
	return key;
}

static struct kolk_lease take(struct bed *bed, struct kolk_key *key)
{
	struct kolk_lease lease;

	assert_int_equal(kolk_acquire(key, kolk__sim_now(bed->sim) + KOLK_S_NS, &lease), KOLK_OK);
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

static uint64_t use(struct bed *bed, struct kolk_key *key)
{
	struct kolk_lease lease = take(bed, key);
	uint64_t number = number_of(lease);

	give(lease);
	return number;
}

static uint64_t rotated(struct bed *bed)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_engine_stats(bed->engine, &stats), KOLK_OK);
	return stats.destroyed[KOLK_REASON_ROTATED];
}

/* ---- each scope */

enum scope { ENGINE, TENANT, POOL, KEY };

static size_t rotate(struct bed *bed, enum scope scope, struct kolk_key *key)
{
	switch (scope) {
	case ENGINE:
		return kolk_engine_rotate(bed->engine);
	case TENANT:
		return kolk_tenant_rotate(bed->engine, kolk_key_tenant(key));
	case POOL:
		return kolk_pool_rotate(kolk_key_pool(key));
	default:
		return kolk_key_rotate(key);
	}
}

/* A tenant's two keys in two pools, and somebody else's: who is outdated by what. */
static void each_scope(void **state)
{
	struct bed *bed = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *first = bed->pool;
	struct kolk_key *keys[4];
	/*                            a/1    a2/1   a/2    b/1  */
	static const bool hit[][4] = { { true, true, true, true },
				       { true, false, true, false },
				       { true, true, false, true },
				       { true, false, false, false } };

	o.name = "second";
	o.address = "192.0.2.2:7";
	o.idle_min = KOLK_NONE;
	keys[0] = open_key(bed, "a", NULL, 0);
	keys[1] = open_key(bed, "a2", NULL, 0);
	keys[3] = open_key(bed, "b", NULL, 0);
	assert_int_equal(kolk_pool_add(bed->engine, &o, &bed->pool), KOLK_OK);
	keys[2] = open_key(bed, "a", NULL, 0);
	for (int scope = ENGINE; scope <= KEY; scope++) {
		uint64_t before[4];

		bed_run(bed, KOLK_S_NS); /* as many as there will be are idle */
		for (int i = 0; i < 4; i++)
			before[i] = use(bed, keys[i]);
		assert_true(rotate(bed, (enum scope)scope, keys[0]) > 0);
		for (int i = 0; i < 4; i++)
			assert_int_equal(use(bed, keys[i]) != before[i], hit[scope][i]);
	}
	for (int i = 0; i < 4; i++)
		kolk_key_close(keys[i]);
	assert_int_equal(kolk_pool_close(bed->pool, kolk__sim_now(bed->sim)), KOLK_OK);
	bed->pool = first;
}

static void a_lease_goes_on_and_is_closed_when_it_comes_back(void **state)
{
	struct bed *bed = *state;

	for (int scope = ENGINE; scope <= KEY; scope++) {
		struct kolk_key *key = open_key(bed, "t", NULL, 0);
		struct kolk_lease old = take(bed, key);
		uint64_t number = number_of(old), before = rotated(bed);

		assert_true(rotate(bed, (enum scope)scope, key) >= 1);
		assert_int_equal(kolk_send_all(&old, "PING\r\n", 6, KOLK_FOREVER), KOLK_OK);
		assert_int_equal(number_of(old), number);
		assert_int_not_equal(use(bed, key), number);
		give(old);
		bed_run(bed, 20 * KOLK_MS_NS);
		assert_true(rotated(bed) > before);
		assert_int_not_equal(use(bed, key), number);
		kolk_key_close(key);
	}
}

/* The moment between a release's store and its look at what was said of the connection: another
 * thread's acquire may come by right then. */
static void a_release_is_half_way(void **state)
{
	struct bed *bed = *state;
	struct kolk_key *key = open_key(bed, "t", NULL, 0);

	for (int scope = ENGINE; scope <= KEY; scope++)
		for (int way = 0; way < 3; way++) {
			struct kolk_lease old = take(bed, key), now = { 0 };
			struct kolk__conn *conn = old.connection;
			uint64_t number = number_of(old), word = old.ticket;

			assert_true(rotate(bed, (enum scope)scope, key) >= 1);
			assert_true(kolk__conn_give(conn, &word));
			if (way == 0) /* as with a clock that is kept: the shortest way */
				kolk__store_relaxed(&bed->engine->page->clock_ns,
						    kolk__sim_now(bed->sim));
			if (way == 2 || kolk_try_acquire(key, &now) != KOLK_OK)
				now = take(bed, key);
			kolk__store_relaxed(&bed->engine->page->clock_ns, 0);
			assert_int_not_equal(number_of(now), number);
			give(now);
			bed_run(bed, 50 * KOLK_MS_NS);
		}
	kolk_key_close(key);
}

static void a_dial_in_flight_is_never_handed_out(void **state)
{
	struct bed *bed = *state;

	for (int scope = ENGINE; scope <= KEY; scope++)
		for (uint64_t us = 0; us < 2000; us += 100) {
			struct kolk_key *key = open_key(bed, "t", NULL, 0);
			uint64_t last = bed->engine->next_number, number;
			struct kolk_lease lease;

			assert_int_equal(kolk_try_acquire(key, &lease), KOLK_E_EMPTY);
			assert_true(bed->engine->next_number > last);
			bed_run(bed, us * KOLK_US_NS);
			last = bed->engine->next_number;
			(void)rotate(bed, (enum scope)scope, key);
			number = use(bed, key);
			assert_true(number > last);
			kolk_key_close(key);
			(void)kolk_pool_clear(bed->pool);
			bed_run(bed, 50 * KOLK_MS_NS);
			(void)kolk_pool_clear(bed->pool);
			bed_run(bed, 50 * KOLK_MS_NS);
		}
}

static void unknown_and_empty(void **state)
{
	struct bed *bed = *state;
	uint64_t number = use(bed, bed->key);

	assert_int_equal(kolk_tenant_rotate(bed->engine, "nobody of this name"), 0);
	assert_int_equal(kolk_tenant_rotate(bed->engine, NULL), 0);
	assert_int_equal(use(bed, bed->key), number);
	assert_true(kolk_tenant_rotate(bed->engine, "") > 0); /* the keys without one */
	assert_int_not_equal(use(bed, bed->key), number);
}

/* ---- a credential takes the place of another */

struct heard {
	struct kolk_acquire acquire;
	enum kolk_err err;
	uint32_t times;
};

static void hear(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct heard *heard = user;

	heard->err = err;
	heard->times++;
	if (lease != NULL) {
		struct kolk_lease copy = *lease;

		give(copy);
	}
}

static void stand_in_line(struct bed *bed, struct kolk_key *key, struct heard *heard)
{
	assert_int_equal(kolk_acquire_async(kolk_engine_loop(bed->engine, 0), key, KOLK_FOREVER,
					    &heard->acquire, hear, heard), KOLK_PENDING);
}

static void replaced(void **state)
{
	struct bed *bed = *state;
	struct kolk_key *old = open_key(bed, "t", "1", 0), *other = open_key(bed, "u", "1", 0);
	struct kolk_key *fresh, *again;
	struct kolk_lease leases[4], lease;
	struct heard waiter = { 0 }, others = { 0 };
	uint64_t others_number = use(bed, other), first, second;

	for (int i = 0; i < 4; i++)
		leases[i] = take(bed, old);
	first = number_of(leases[0]);
	stand_in_line(bed, old, &waiter);
	fresh = open_key(bed, "t", "2", 1);
	bed_run(bed, 5 * KOLK_MS_NS);
	assert_true(waiter.times == 1 && waiter.err == KOLK_E_ROTATED);
	assert_int_equal(kolk_try_acquire(old, &lease), KOLK_E_ROTATED);
	assert_int_equal(kolk_acquire(old, kolk__sim_now(bed->sim) + KOLK_S_NS, &lease),
			 KOLK_E_ROTATED);
	assert_int_equal(use(bed, other), others_number); /* another tenant of the same secret */
	assert_int_equal(number_of(leases[0]), first);    /* leases go on */
	/* Back again, with leases of before still out: those stay outdated. */
	again = open_key(bed, "t", "1", 0);
	assert_ptr_equal(again, old);
	stand_in_line(bed, old, &others);
	give(leases[0]);
	bed_run(bed, 100 * KOLK_MS_NS);
	assert_true(others.times == 1 && others.err == KOLK_OK);
	second = use(bed, old);
	for (int i = 0; i < 4; i++)
		assert_int_not_equal(second, i > 0 ? number_of(leases[i]) : first);
	for (int i = 1; i < 4; i++)
		give(leases[i]);
	bed_run(bed, 100 * KOLK_MS_NS);
	assert_true(use(bed, old) > bed->engine->next_number - 4);
	kolk_key_close(again);
	kolk_key_close(old);
	kolk_key_close(fresh);
	kolk_key_close(other);
}

/* A dial was under way when its credential was replaced, and the key is back before it ends. */
static void replaced_and_back_while_it_dials(void **state)
{
	struct bed *bed = *state;
	struct kolk_key *old = open_key(bed, "t", "1", 0), *fresh, *again;
	struct kolk_lease lease;
	uint64_t last;

	assert_int_equal(kolk_try_acquire(old, &lease), KOLK_E_EMPTY);
	last = bed->engine->next_number;
	fresh = open_key(bed, "t", "2", 1);
	again = open_key(bed, "t", "1", 1);
	assert_ptr_equal(again, old);
	assert_true(use(bed, old) > last);
	assert_int_equal(kolk_try_acquire(fresh, &lease), KOLK_E_ROTATED);
	kolk_key_close(again);
	kolk_key_close(old);
	kolk_key_close(fresh);
}

/* Nobody holds it any more, but somebody waits: it goes when he is told. */
static void a_replaced_key_goes_with_its_last_waiter(void **state)
{
	struct bed *bed = *state;
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct kolk_key *old = open_key(bed, "t", "1", 0), *fresh;
	struct heard waiter = { 0 };

	kolk__sim_outage(bed->sim, KOLK_FOREVER);
	stand_in_line(bed, old, &waiter);
	bed_run(bed, 20 * KOLK_MS_NS);
	if (waiter.times > 0) { /* the first dial failed on his behalf */
		waiter.times = 0;
		stand_in_line(bed, old, &waiter);
	}
	kolk_key_close(old);
	fresh = open_key(bed, "t", "2", 1);
	bed_run(bed, KOLK_S_NS);
	assert_int_equal(waiter.times, 1);
	assert_int_equal(kolk_engine_stats(bed->engine, &stats), KOLK_OK);
	assert_int_equal(stats.keys, 2);
	kolk_key_close(fresh);
	kolk__sim_outage(bed->sim, 0);
}

/* The same at a drain: the key is gone at once, so a resume does not find it. */
static void a_drained_key_goes_with_its_last_waiter(void **state)
{
	struct bed *bed = *state;
	struct kolk_key *key = open_key(bed, "t", "1", 0);
	struct heard waiter = { 0 };

	kolk__sim_outage(bed->sim, KOLK_FOREVER);
	stand_in_line(bed, key, &waiter);
	while (waiter.times == 0)
		bed_run(bed, 100 * KOLK_US_NS);
	stand_in_line(bed, key, &waiter); /* its dial failed: it waits for the next */
	assert_int_equal(kolk__own(&key->open), 0);
	kolk_key_close(key);
	assert_int_equal(stats_of(bed->pool).keys, 2);
	assert_int_equal(kolk_pool_suspend(bed->pool, KOLK_FOREVER), KOLK_OK);
	assert_int_equal(stats_of(bed->pool).keys, 1);
	assert_int_equal(kolk_pool_resume(bed->pool), KOLK_OK);
	bed_run(bed, KOLK_S_NS);
	assert_int_equal(waiter.times, 2);
	kolk__sim_outage(bed->sim, 0);
}

/* What was refused may be welcome after a rotation: who waits does not wait for the back-off. */
static void a_rotation_dials_for_those_who_wait(void **state)
{
	struct bed *bed = *state;
	struct kolk_key *key = open_key(bed, "t", "1", 0);
	struct heard waiter = { 0 };

	kolk__sim_outage(bed->sim, KOLK_FOREVER);
	for (uint32_t told = 1; key->retry_at_ns < kolk__sim_now(bed->sim) + 100 * KOLK_MS_NS; told++) {
		stand_in_line(bed, key, &waiter);
		while (waiter.times < told)
			bed_run(bed, KOLK_MS_NS);
	}
	waiter.times = 0;
	stand_in_line(bed, key, &waiter);
	kolk__sim_outage(bed->sim, 0);
	bed_run(bed, 20 * KOLK_MS_NS);
	assert_int_equal(waiter.times, 0);
	assert_int_equal(kolk_key_rotate(key), 0);
	bed_run(bed, 20 * KOLK_MS_NS);
	assert_true(waiter.times == 1 && waiter.err == KOLK_OK);
	kolk_key_close(key);
}

/* He is told, and steps back before he hears it, when the key is gone already. */
static void told_and_cancelled(void **state)
{
	struct bed *bed = *state;
	struct kolk_key *old = open_key(bed, "t", "1", 0), *fresh;
	struct heard waiter = { 0 };

	kolk__sim_outage(bed->sim, KOLK_FOREVER);
	stand_in_line(bed, old, &waiter);
	while (waiter.times == 0)
		bed_run(bed, 100 * KOLK_US_NS);
	stand_in_line(bed, old, &waiter); /* nobody dials for him: it has just failed */
	assert_int_equal(kolk__own(&old->open), 0);
	kolk_key_close(old);
	fresh = open_key(bed, "t", "2", 1);
	assert_null(old->identity);
	assert_int_equal(kolk_acquire_cancel(&waiter.acquire), KOLK_OK);
	bed_run(bed, KOLK_S_NS);
	assert_int_equal(waiter.times, 1);
	kolk_key_close(fresh);
	kolk__sim_outage(bed->sim, 0);
}

/* Who keeps no handles opens the key each time: the old credential serves again, by new dials, and
 * what replaced it goes on. */
static void replaced_and_asked_for_by_name(void **state)
{
	struct bed *bed = *state;
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	uint64_t deadline_ns = kolk__sim_now(bed->sim) + KOLK_S_NS, last, first;
	struct kolk_key *old;
	struct kolk_lease lease;

	who.tenant = "t";
	who.credential = "1";
	who.credential_size = 1;
	old = open_key(bed, "t", "1", 0);
	(void)use(bed, old);
	kolk_key_close(old);
	who.credential = "2";
	who.replaces = 1;
	assert_int_equal(kolk_acquire_as(bed->pool, &who, deadline_ns, &lease), KOLK_OK);
	first = number_of(lease);
	give(lease);
	who.replaces = 0;
	assert_int_equal(kolk_acquire_as(bed->pool, &who, deadline_ns, &lease), KOLK_OK);
	assert_int_equal(number_of(lease), first);
	give(lease);
	last = bed->engine->next_number;
	who.credential = "1";
	assert_int_equal(kolk_acquire_as(bed->pool, &who, deadline_ns, &lease), KOLK_OK);
	assert_true(number_of(lease) > last);
	give(lease);
}

/* ---- isolation */

static void isolation(void **state)
{
	struct bed *bed = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_key_options k = KOLK_INIT(kolk_key_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool *shared, *session;
	struct kolk_key *a, *b, *c;

	o.address = "192.0.2.1:7";
	o.name = "shared";
	o.isolation = KOLK_ISOLATION_SHARED;
	assert_int_equal(kolk_pool_add(bed->engine, &o, &shared), KOLK_OK);
	o.name = "session";
	o.isolation = KOLK_ISOLATION_SESSION;
	assert_int_equal(kolk_pool_add(bed->engine, &o, &session), KOLK_OK);
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
	assert_int_not_equal(use(bed, b), use(bed, c));
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
	struct bed *bed = *state;
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
		assert_int_equal(kolk_key_open(bed->pool, &o[i], &key), KOLK_E_OPTIONS);
		assert_null(key);
		if (i < 6)
			assert_string_equal(failure.field, fields[i]);
	}
	for (int i = 0; i < 7; i++) { /* whatever the lease was, it is none now */
		struct kolk_lease lease = { bed, 1 };
		struct kolk_acquire acquire = { { bed, 1 }, { 0 } };

		assert_int_equal(kolk_acquire_as(bed->pool, &o[i], 0, &lease), KOLK_E_OPTIONS);
		assert_int_equal(kolk_release(&lease), KOLK_E_LEASE_STALE);
		assert_int_equal(kolk_acquire_as_async(kolk_engine_loop(bed->engine, 0), bed->pool,
						       &o[i], 0, &acquire, hear, NULL),
				 KOLK_E_OPTIONS);
		assert_int_equal(kolk_release(&acquire.lease), KOLK_E_LEASE_STALE);
	}
	o[0].tenant = o[0].session = text + 1; /* 255 bytes: the most */
	assert_int_equal(kolk_key_open(bed->pool, &o[0], &key), KOLK_OK);
	assert_string_equal(kolk_key_tenant(key), text + 1);
	kolk_key_close(key);
}

#define IN_BED(test) cmocka_unit_test_setup_teardown(test, bed_open, bed_close)

static const struct CMUnitTest tests[] = {
	IN_BED(each_scope),
	IN_BED(a_lease_goes_on_and_is_closed_when_it_comes_back),
	IN_BED(a_release_is_half_way),
	IN_BED(a_dial_in_flight_is_never_handed_out),
	IN_BED(unknown_and_empty),
	IN_BED(replaced),
	IN_BED(replaced_and_back_while_it_dials),
	IN_BED(a_replaced_key_goes_with_its_last_waiter),
	IN_BED(a_drained_key_goes_with_its_last_waiter),
	IN_BED(a_rotation_dials_for_those_who_wait),
	IN_BED(told_and_cancelled),
	IN_BED(replaced_and_asked_for_by_name),
	IN_BED(isolation),
	IN_BED(slips),
};

CMOCKA_TESTS(sweep, tests);
