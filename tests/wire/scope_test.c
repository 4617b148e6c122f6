/* SPDX-License-Identifier: Apache-2.0 */
/* scope_test.c - requests on threads and on loops, of which three in ten stop at a random instant:
 * their scopes leave nothing. */
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "tests/wire/wire.h"

enum {
	SCOPES = 20000, SCOPES_FEW = 2000, ABORTED_PERCENT = 30,
	THREADS = 4, LOOPS = 2, SEATS = 16, /* of both loops */
	LEASES_MAX = 12,                    /* of a thread's request: more than are inside */
	PENDING = 3
};

struct mix {
	struct wire w;
	struct kolk_key *keys[3];
	kolk__atomic_u32 left, aborted, wrong; /* scopes to begin; of them; errors */
	sem_t over;
};

/* Whether there is one more to begin. */
static bool is_next(struct mix *mix)
{
	uint32_t left = kolk__load_relaxed(&mix->left);

	while (left != 0 && !kolk__cas_acq_rel(&mix->left, &left, left - 1))
		;
	return left != 0;
}

static void end(struct mix *mix, struct kolk_scope *scope, enum kolk_scope_outcome outcome)
{
	kolk__add_relaxed(&mix->wrong, kolk_scope_end(scope, outcome) != KOLK_OK);
}

/* ---- on a thread */

/* One of its steps; the leases that it ended itself stay in the scope's memory. */
static void step(struct mix *mix, struct kolk_scope *scope, struct kolk_lease *lease,
		 unsigned *seed)
{
	if (kolk_scope_acquire(scope, mix->keys[rand_r(seed) % 3], kolk_in_ms(50), lease) !=
	    KOLK_OK)
		return;
	switch (rand_r(seed) % 4) {
	case 0: /* ends early */
		if (wire_exchange(lease, "early\n") == KOLK_OK)
			(void)kolk_release(lease);
		else
			(void)kolk_discard(lease);
		break;
	case 1:
		(void)wire_exchange(lease, "until the end\n");
		break;
	case 2: /* its answer is not read: nothing that is proved clean */
		(void)!kolk_send_all(lease, "unread\n", 7, kolk_in_ms(1000));
		break;
	default:
		break;
	}
}

static void *run_thread(void *user)
{
	static kolk__atomic_u32 number = KOLK__ATOMIC_INIT(1);
	unsigned seed = kolk__add_acq_rel(&number, 1);
	struct mix *mix = user;

	while (is_next(mix)) {
		int steps = rand_r(&seed) % LEASES_MAX, at = 0;
		bool aborts = rand_r(&seed) % 100 < ABORTED_PERCENT;
		int stops = aborts ? rand_r(&seed) % (steps + 1) : steps;
		struct kolk_lease leases[LEASES_MAX];
		struct kolk_scope scope;

		kolk_scope_begin(&scope);
		for (; at < stops; at++)
			step(mix, &scope, &leases[at], &seed);
		kolk__add_relaxed(&mix->aborted, aborts);
		end(mix, &scope, aborts ? KOLK_SCOPE_DISCARD : KOLK_SCOPE_RELEASE);
	}
	sem_post(&mix->over);
	return NULL;
}

/* ---- on a loop */

struct seat {
	struct mix *mix;
	struct kolk_loop *loop;
	struct kolk_call call;
	struct kolk_timer timer;
	struct kolk_scope scope;
	struct kolk_scope_acquire acquires[PENDING];
	unsigned seed;
	int pending;
	bool aborts, ended;
};

static void begin(struct seat *seat);

static void on_acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct seat *seat = user;

	(void)err;
	(void)lease;
	kolk__add_relaxed(&seat->mix->wrong, seat->ended); /* after the end of its scope */
	seat->pending--;
}

static void on_timer(struct kolk_timer *timer, void *user)
{
	struct seat *seat = user;

	if (!seat->aborts && seat->pending > 0) { /* it stops only when it has all */
		(void)kolk_timer_start(seat->loop, timer, kolk_in_ns(KOLK_MS_NS), on_timer, seat);
		return;
	}
	end(seat->mix, &seat->scope, seat->aborts ? KOLK_SCOPE_DISCARD : KOLK_SCOPE_RELEASE);
	seat->ended = true;
	if (is_next(seat->mix))
		begin(seat);
	else
		sem_post(&seat->mix->over);
}

static void begin(struct seat *seat)
{
	struct mix *mix = seat->mix;
	uint64_t after_ns;

	seat->aborts = rand_r(&seat->seed) % 100 < ABORTED_PERCENT;
	kolk__add_relaxed(&mix->aborted, seat->aborts);
	seat->ended = false;
	seat->pending = 0;
	kolk_scope_begin(&seat->scope);
	for (int i = 0; i < PENDING; i++)
		seat->pending +=
			kolk_scope_acquire_async(&seat->scope, seat->loop,
						 mix->keys[rand_r(&seat->seed) % 3],
						 kolk_in_ms(50), &seat->acquires[i], on_acquired,
						 seat) == KOLK_PENDING;
	after_ns = (uint64_t)rand_r(&seat->seed) % (200 * KOLK_US_NS);
	(void)kolk_timer_start(seat->loop, &seat->timer, kolk_in_ns(after_ns), on_timer, seat);
}

static void sit_down(struct kolk_call *call, void *user)
{
	struct seat *seat = user;

	(void)call;
	if (is_next(seat->mix))
		begin(seat);
	else
		sem_post(&seat->mix->over);
}

/* ---- both */

static bool open_mix(struct mix *mix)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	static const char *const tenants[] = { "anna", "bert", "cleo" };

	engine.loops = LOOPS;
	engine.connections_max = 90;
	engine.tenant_connections_max = KOLK_UNLIMITED;
	pool.connections_max = 40;
	pool.dials_max = 16;
	if (!wire_origin(&mix->w, NULL) || !wire_engine(&mix->w, &engine) ||
	    !wire_pool(&mix->w, &pool))
		return false;
	for (int i = 0; i < 3; i++) {
		who.tenant = tenants[i];
		if (!CHECK_ERR(kolk_key_open(mix->w.pool, &who, &mix->keys[i]), KOLK_OK))
			return false;
	}
	return true;
}

static void run_mix(struct mix *mix)
{
	static struct seat seats[SEATS];
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, run_thread, mix);
	for (uint32_t i = 0; i < SEATS; i++) {
		seats[i] = (struct seat){ .mix = mix, .seed = 1000 + i,
					  .loop = kolk_engine_loop(mix->w.engine, i % LOOPS) };
		CHECK_ERR(kolk_loop_call(seats[i].loop, &seats[i].call, sit_down, &seats[i]),
			  KOLK_OK);
	}
	for (int i = 0; i < THREADS + SEATS; i++)
		while (sem_wait(&mix->over) != 0)
			; /* a signal */
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void aborted_requests_leave_nothing(void)
{
	uint32_t scopes = wire_stride > 8 ? SCOPES_FEW : SCOPES;
	struct kolk_stats s = KOLK_INIT(kolk_stats);
	static struct mix mix;

	mix = (struct mix){ .left = KOLK__ATOMIC_INIT(scopes) };
	sem_init(&mix.over, 0, 0);
	MUST(open_mix(&mix));
	run_mix(&mix);
	CHECK(kolk__load_acquire(&mix.wrong) == 0);
	CHECK(WITHIN_MS(10000, wire_stats(mix.w.pool).leased + wire_stats(mix.w.pool).waiting == 0));
	CHECK_ERR(kolk_engine_stats(mix.w.engine, &s), KOLK_OK);
	tap_note("%u scopes, %u aborted: %llu leases, %llu cancelled, %llu discarded", scopes,
		 kolk__load_acquire(&mix.aborted), (unsigned long long)s.acquired,
		 (unsigned long long)s.cancelled,
		 (unsigned long long)s.destroyed[KOLK_REASON_DISCARDED]);
	CHECK(s.leased == 0 && s.waiting == 0 && s.acquired == s.released);
	CHECK(s.misuse == 0);
	CHECK(kolk__load_acquire(&mix.aborted) > scopes / 5);
	for (int i = 0; i < 3; i++)
		kolk_key_close(mix.keys[i]);
	wire_close(&mix.w);
	sem_destroy(&mix.over);
}

static const struct tap_test tests[] = {
	{ "of requests on threads and loops that are aborted, nothing is left",
	  aborted_requests_leave_nothing },
};

TAP_TESTS(scope, tests);
