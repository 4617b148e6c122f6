/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres_cancel.c - cancel requests that race with the end of what they are meant for, while
 * others use the same connections: no other statement may be cancelled.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/atomic.h"
#include "tests/kit/moment.h"
#include "tests/peers/postgres_kit.h"

enum { RACES = 10000, IN_FLIGHT = 6, LOOPS = 2 };

static struct pg_fixture w;

static kolk__atomic_u64 begun, left, strays, failed, answered, wrong;
static kolk__atomic_u32 busy;

/* One after the other: every second one is left at a random instant. */
struct racer {
	struct kolk_loop *loop;
	struct kolk_call start;
	struct kolk_timer timer;
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	struct kolk_postgres_call *call;
	struct kolk_postgres_statement statement;
	struct kolk_postgres_request request;
	uint64_t random;
	struct kit_moment moment;
	uint64_t began_ns;
	bool cancel_sent;
};

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void next(struct racer *racer);

static void done(void *user, enum kolk_err err, struct kolk_postgres_result *result)
{
	struct racer *racer = user;
	const struct kolk_postgres_error *error =
		result != NULL ? kolk_postgres_result_error(result) : NULL;

	kolk_timer_stop(&racer->timer);
	if (err == KOLK_OK)
		kit_moment_took(&racer->moment, kolk_in_ns(0) - racer->began_ns);
	if (error != NULL && strcmp(error->sqlstate, "57014") == 0) {
		kolk__add_relaxed(&strays, 1);
	} else if (err == KOLK_OK) {
		kolk__add_relaxed(&answered, 1);
		if (strcmp(kolk_postgres_result_text(result, 0, 0), "5000") != 0)
			kolk__add_relaxed(&wrong, 1);
	} else if (err == KOLK_E_CANCELLED && racer->cancel_sent) {
		kolk__add_relaxed(&left, 1);
	} else {
		kolk__add_relaxed(&failed, 1);
		tap_note("%s %s", kolk_err_name(err), error != NULL ? error->message : "");
	}
	kolk_postgres_result_free(result);
	CHECK_ERR(kolk_postgres_release(&racer->lease), KOLK_OK);
	next(racer);
}

static void cancel_now(struct kolk_timer *timer, void *user)
{
	struct racer *racer = user;

	(void)timer;
	racer->cancel_sent = true;
	kolk_postgres_call_cancel(racer->call);
}

static void give_up(enum kolk_err err)
{
	kolk__add_relaxed(&failed, 1);
	kolk__sub_acq_rel(&busy, 1);
	tap_note("%s", kolk_err_name(err));
}

static void leased(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct racer *racer = user;
	uint64_t after_ns = kit_moment_pick(&racer->moment, random_next(&racer->random));

	if (err == KOLK_OK) {
		racer->lease = *lease;
		racer->began_ns = kolk_in_ns(0);
		err = kolk_postgres_run_async(racer->loop, lease, &racer->request,
					      kolk_in_ms(20000), done, racer, &racer->call);
	}
	if (err != KOLK_PENDING)
		give_up(err);
	else if (random_next(&racer->random) % 100 < 60)
		(void)kolk_timer_start(racer->loop, &racer->timer, kolk_in_ns(after_ns), cancel_now, racer);
}

static void next(struct racer *racer)
{
	enum kolk_err err;

	racer->cancel_sent = false;
	if (kolk__load_relaxed(&left) >= peers_requests(RACES) ||
	    kolk__load_relaxed(&failed) > 100) {
		kolk__sub_acq_rel(&busy, 1);
		return;
	}
	kolk__add_relaxed(&begun, 1);
	err = kolk_acquire_async(racer->loop, w.key, kolk_in_ms(20000), &racer->acquire, leased, racer);
	if (err != KOLK_PENDING)
		leased(racer, err, &racer->acquire.lease);
}

static void first(struct kolk_call *call, void *user)
{
	(void)call;
	next(user);
}

static void race(void)
{
	static struct racer racers[LOOPS * IN_FLIGHT];

	kolk__store_relaxed(&busy, LOOPS * IN_FLIGHT);
	kolk__store_relaxed(&begun, 0);
	kolk__store_relaxed(&left, 0);
	kolk__store_relaxed(&strays, 0);
	kolk__store_relaxed(&failed, 0);
	kolk__store_relaxed(&answered, 0);
	kolk__store_relaxed(&wrong, 0);
	for (uint32_t i = 0; i < LOOPS * IN_FLIGHT; i++) {
		struct racer *racer = &racers[i];

		memset(racer, 0, sizeof *racer);
		racer->loop = kolk_engine_loop(w.engine, i % LOOPS);
		racer->statement = (struct kolk_postgres_statement){
			"select count(*) from generate_series(1, 5000)", NULL, 0,
			i % 2 != 0 ? KOLK_POSTGRES_HARMLESS : 0
		};
		racer->request = (struct kolk_postgres_request)KOLK_INIT(kolk_postgres_request);
		racer->request.count = 1;
		racer->request.statements = &racer->statement;
		racer->random = (peers_seed() + i + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
		CHECK_ERR(kolk_loop_call(racer->loop, &racer->start, first, racer), KOLK_OK);
	}
	CHECK(WITHIN_MS(600000, kolk__load_acquire(&busy) == 0));
}

static void test_races(void)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats), cancel_stats = KOLK_INIT(kolk_stats);
	char text[64];

	if (!pg_fixture_start(&w, &(struct kit_postgres_options){ .sql = NULL }))
		return;
	w.options.cancel_after_ns = 1; /* every cancelled call sends its cancel request at once */
	w.pool_options.connections_max = LOOPS * IN_FLIGHT * 2 / 3; /* they are handed around */
	w.pool_options.mend_timeout_ns = 5 * KOLK_S_NS;
	w.pool_options.dials_max = 16;
	w.pool_options.ready_timeout_ns = 20 * KOLK_S_NS;
	if (pg_fixture_open(&w)) {
		race();
		CHECK_ERR(pg_ask_key(w.key, "select count(*) from pg_stat_activity where "
					    "query like '%generate_series%' and state = 'active' "
					    "and pid <> pg_backend_pid()", 0, text, sizeof text), KOLK_OK);
		CHECK_ERR(kolk_pool_stats(w.pool, &stats), KOLK_OK);
		CHECK_ERR(kolk_pool_stats(kolk_pool_find(w.engine, "db.cancel"), &cancel_stats), KOLK_OK);
		tap_note("seed %llu: %llu begun, %llu left, %llu answered, %llu strays; %llu "
			 "cancel "
			 "requests, %llu reset, %llu not, %llu dials",
			 (unsigned long long)peers_seed(),
			 (unsigned long long)kolk__own(&begun),
			 (unsigned long long)kolk__own(&left),
			 (unsigned long long)kolk__own(&answered),
			 (unsigned long long)kolk__own(&strays),
			 (unsigned long long)cancel_stats.created,
			 (unsigned long long)stats.mends_ok,
			 (unsigned long long)stats.mends_failed,
			 (unsigned long long)stats.created);
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
		CHECK(cancel_stats.created > kolk__own(&left) / 10); /* slower: more end before */
#else
		CHECK(cancel_stats.created > kolk__own(&left) / 2);
#endif
		CHECK(kolk__own(&strays) == 0);
		CHECK(kolk__own(&wrong) == 0);
		CHECK(kolk__own(&failed) == 0);
	}
	pg_fixture_close(&w);
}

static const struct tap_test tests[] = {
	{ "cancel races: none hits a neighbour", test_races },
};
TAP_TESTS(postgres_cancel, tests);
