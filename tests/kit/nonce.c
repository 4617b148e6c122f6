/* SPDX-License-Identifier: Apache-2.0 */
/* nonce.c - slots on loops and threads draw nonces from one counter until all are drawn. */
#define _GNU_SOURCE
#include "tests/kit/nonce.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/kit/measure.h"
#include "tests/kit/moment.h"
#include "tests/kit/tap.h"

enum { STUCK_MS = 60000, LOG_MS = 30000, FAIL_PAUSE_NS = 500000 };

/* Each has one writer at a time; a reader adds them up. */
struct counts {
	kolk__atomic_u64 ok, foreign, cancelled, failed, longest_ns;
	kolk__atomic_u64 by_code[KIT_NONCE_CODES];
	struct kit_moment moment; /* its writer's alone */
};

struct run {
	const struct kit_nonce_options *options;
	struct kit_nonce_slot *slots;
	struct kit_nonce_private *privates;
	char *memory;
	size_t slot_bytes;
	uint32_t count; /* slots */
	pthread_t *threads;
	struct counts *counts; /* slots first, then threads */
	kolk__atomic_u64 drawn;
	kolk__atomic_u32 busy; /* slots and threads that have not ended */
};

struct kit_nonce_private {
	struct run *run;
	struct counts *counts;
	struct kolk_call call;
	struct kolk_timer timer; /* for a cancel, or for a pause after a failure */
	uint64_t random, began_ns;
	bool started, in_flight; /* its start was called; has returned, and it has not ended */
	bool cancelled;          /* was asked to end early */
};

static uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

static uint64_t random_seed(const struct run *run, uint32_t number)
{
	uint64_t state = (run->options->seed + 1) * UINT64_C(0x9e3779b97f4a7c15) + number;

	random_next(&state);
	return random_next(&state) | 1;
}

/* True when another request is to be made: its nonce, which no other run used lately. */
static bool draw(struct run *run, uint64_t *nonce)
{
	uint64_t number = kolk__add_relaxed(&run->drawn, 1);

	*nonce = (run->options->seed % 1000000 + 1) * UINT64_C(1000000000) + number;
	return number < run->options->requests;
}

static bool cancel_applies(const struct kit_nonce_options *options, uint64_t *random)
{
	uint32_t percent = options->cancel_percent == 0		  ? 30
			   : options->cancel_percent == KOLK_NONE ? 0
								  : options->cancel_percent;

	return kit_moment_applies(percent, random_next(random));
}

/* When to cancel, from the start; KOLK_FOREVER = not. */
static uint64_t cancel_after(const struct kit_nonce_options *options,
			     const struct counts *counts, uint64_t *random)
{
	return cancel_applies(options, random)
		       ? kit_moment_pick(&counts->moment, random_next(random))
		       : KOLK_FOREVER;
}

static void count(struct counts *counts, enum kolk_err err, bool own, bool cancelled,
		  uint64_t took_ns)
{
	unsigned code = (unsigned)-(int)err;

	if (err == KOLK_OK) {
		kolk__add_relaxed(own ? &counts->ok : &counts->foreign, 1);
		kit_moment_took(&counts->moment, took_ns);
	} else if (cancelled && (err == KOLK_E_CANCELLED || err == KOLK_E_TIMEOUT ||
				 err == KOLK_E_DEADLINE)) {
		kolk__add_relaxed(&counts->cancelled, 1);
	} else {
		kolk__add_relaxed(&counts->failed, 1);
		kolk__add_relaxed(&counts->by_code[code < KIT_NONCE_CODES ? code : 0], 1);
	}
	if (took_ns > kolk__load_relaxed(&counts->longest_ns))
		kolk__store_relaxed(&counts->longest_ns, took_ns);
}

/* ---- on a loop */

static void slot_next(struct kit_nonce_slot *slot);

static void slot_rested(struct kolk_timer *timer, void *user)
{
	(void)timer;
	slot_next(user);
}

static void slot_cancel(struct kit_nonce_slot *slot)
{
	if (slot->private->in_flight && slot->options->cancel != NULL) {
		slot->private->cancelled = true;
		slot->options->cancel(slot);
	}
}

static void slot_due(struct kolk_timer *timer, void *user)
{
	(void)timer;
	slot_cancel(user);
}

/* A random one of the same loop; slots go round the loops. */
static struct kit_nonce_slot *another(const struct kit_nonce_slot *slot)
{
	struct run *run = slot->private->run;
	uint64_t loops = kolk_engine_loop_count(run->options->engine), own = (uint64_t)(slot - run->slots);

	return &run->slots[random_next(&slot->private->random) % (run->count / loops) * loops + own % loops];
}

/* True when the slot goes on at once. */
static bool slot_ended(struct kit_nonce_slot *slot, enum kolk_err err, uint64_t reply)
{
	struct kit_nonce_private *private = slot->private;

	private->started = private->in_flight = false;
	kolk_timer_stop(&private->timer);
	count(private->counts, err, reply == slot->nonce, private->cancelled,
	      clock_now() - private->began_ns);
	if (cancel_applies(slot->options, &private->random))
		slot_cancel(another(slot));
	if (err == KOLK_OK || private->cancelled)
		return true;
	kolk_timer_start(slot->loop, &private->timer, clock_now() + FAIL_PAUSE_NS, slot_rested,
			 slot);
	return false;
}

static void slot_next(struct kit_nonce_slot *slot)
{
	struct kit_nonce_private *private = slot->private;
	struct run *run = private->run;

	while (draw(run, &slot->nonce)) {
		uint64_t after = cancel_after(run->options, private->counts, &private->random);
		enum kolk_err err;

		slot->reply = 0;
		private->cancelled = false;
		private->began_ns = clock_now();
		private->started = true;
		err = run->options->start(slot);
		if (err == KOLK_PENDING) {
			private->in_flight = private->started;
			if (after != KOLK_FOREVER && private->in_flight)
				kolk_timer_start(slot->loop, &private->timer,
						 private->began_ns + after, slot_due, slot);
			return;
		}
		if (!slot_ended(slot, err, slot->reply))
			return;
	}
	kolk__sub_acq_rel(&run->busy, 1);
}

void kit_nonce_done(struct kit_nonce_slot *slot, enum kolk_err err, uint64_t reply)
{
	if (!CHECK(slot->private->started)) /* twice */
		return;
	if (slot_ended(slot, err, reply))
		slot_next(slot);
}

static void slot_first(struct kolk_call *call, void *user)
{
	(void)call;
	slot_next(user);
}

/* ---- on a thread */

struct caller {
	struct run *run;
	struct counts *counts;
	uint64_t random;
};

static void *call_all(void *user)
{
	struct caller caller = *(struct caller *)user;
	const struct kit_nonce_options *options = caller.run->options;
	uint64_t nonce,
		patience = options->deadline_ns == 0 ? 30 * KOLK_S_NS : options->deadline_ns;

	free(user);
	while (draw(caller.run, &nonce)) {
		uint64_t after = cancel_after(options, caller.counts, &caller.random),
			 reply = 0;
		uint64_t began_ns = clock_now();
		bool cancelled = after != KOLK_FOREVER;
		enum kolk_err err = options->call(options->user, nonce,
						  began_ns + (cancelled ? after : patience), &reply);

		count(caller.counts, err, reply == nonce, cancelled, clock_now() - began_ns);
		if (err != KOLK_OK && !cancelled)
			usleep(FAIL_PAUSE_NS / 1000);
	}
	kolk__sub_acq_rel(&caller.run->busy, 1);
	return NULL;
}

/* ---- the run */

static void sum(const struct run *run, struct kit_nonce_counts *all)
{
	memset(all, 0, sizeof *all);
	for (uint32_t i = 0; i < run->count + run->options->threads; i++) {
		struct counts *one = &run->counts[i];
		uint64_t longest_ns = kolk__load_relaxed(&one->longest_ns);

		all->ok += kolk__load_relaxed(&one->ok);
		all->foreign += kolk__load_relaxed(&one->foreign);
		all->cancelled += kolk__load_relaxed(&one->cancelled);
		all->failed += kolk__load_relaxed(&one->failed);
		for (int code = 0; code < KIT_NONCE_CODES; code++)
			all->by_code[code] += kolk__load_relaxed(&one->by_code[code]);
		all->longest_ns = longest_ns > all->longest_ns ? longest_ns : all->longest_ns;
	}
}

static void log_counts(const char *name, const struct kit_nonce_counts *counts)
{
	tap_note("%s: %" PRIu64 " answered, %" PRIu64 " cancelled, %" PRIu64 " failed, %" PRIu64
		 " foreign; the longest took %" PRIu64 " ms",
		 name, counts->ok, counts->cancelled, counts->failed, counts->foreign,
		 counts->longest_ns / 1000000);
	for (int code = 0; code < KIT_NONCE_CODES; code++)
		if (counts->by_code[code] > 0)
			tap_note("    %" PRIu64 " x %s", counts->by_code[code],
				 kolk_err_name((enum kolk_err) - code));
}

/* False when nothing ended for too long. */
static bool wait_for_all(const char *name, struct run *run, struct kit_nonce_counts *counts)
{
	uint64_t logged_ms = tap_now_ms(), moved_ms = logged_ms, before = 0;

	while (kolk__load_acquire(&run->busy) > 0) {
		uint64_t ended, now;

		usleep(2000);
		sum(run, counts);
		now = tap_now_ms();
		ended = counts->ok + counts->foreign + counts->cancelled + counts->failed;
		moved_ms = ended != before ? now : moved_ms;
		before = ended;
		if (now - moved_ms > STUCK_MS)
			return false;
		if (now - logged_ms > LOG_MS) {
			logged_ms = now;
			log_counts(name, counts);
		}
	}
	return true;
}

static void prepare(struct run *run)
{
	const struct kit_nonce_options *options = run->options;
	uint32_t loops = kolk_engine_loop_count(options->engine);
	uint32_t each = options->in_flight == 0		  ? 32
			: options->in_flight == KOLK_NONE ? 0
							  : options->in_flight;

	run->count = loops * each;
	run->slot_bytes = (options->slot_bytes + 15) / 16 * 16;
	kolk__store_relaxed(&run->busy, run->count + options->threads);
	run->slots = calloc(run->count + 1, sizeof *run->slots);
	run->privates = calloc(run->count + 1, sizeof *run->privates);
	run->memory = calloc(run->count + 1, run->slot_bytes);
	run->counts = calloc(run->count + options->threads + 1, sizeof *run->counts);
	run->threads = calloc(options->threads + 1, sizeof *run->threads);
	if (run->slots == NULL || run->privates == NULL ||
	    (run->memory == NULL && run->slot_bytes > 0) || run->counts == NULL ||
	    run->threads == NULL)
		abort();
	for (uint32_t i = 0; i < run->count; i++) {
		run->privates[i].run = run;
		run->privates[i].counts = &run->counts[i];
		run->privates[i].random = random_seed(run, i);
		run->slots[i].options = options;
		run->slots[i].loop = kolk_engine_loop(options->engine, i % loops);
		run->slots[i].memory = run->memory + i * run->slot_bytes;
		run->slots[i].private = &run->privates[i];
	}
}

static void begin(struct run *run)
{
	for (uint32_t i = 0; i < run->count; i++)
		CHECK_ERR(kolk_loop_call(run->slots[i].loop, &run->privates[i].call, slot_first,
					 &run->slots[i]),
			  KOLK_OK);
	for (uint32_t i = 0; i < run->options->threads; i++) {
		struct caller *caller = malloc(sizeof *caller);

		if (caller == NULL)
			abort();
		*caller = (struct caller){ .run = run,
					   .counts = &run->counts[run->count + i],
					   .random = random_seed(run, run->count + i) };
		if (pthread_create(&run->threads[i], NULL, call_all, caller) != 0)
			abort();
	}
}

bool kit_nonce_run(const char *name, const struct kit_nonce_options *options,
		   struct kit_nonce_counts *counts)
{
	struct run *run = calloc(1, sizeof *run);

	if (run == NULL)
		abort();
	run->options = options;
	prepare(run);
	begin(run);
	if (!CHECK(wait_for_all(name, run, counts))) {
		log_counts(name, counts);
		return false; /* what hangs still uses it */
	}
	for (uint32_t i = 0; i < options->threads; i++)
		pthread_join(run->threads[i], NULL);
	sum(run, counts);
	if (!options->quiet)
		log_counts(name, counts);
	CHECK(counts->ok + counts->foreign + counts->cancelled + counts->failed ==
	      options->requests);
	free(run->slots);
	free(run->privates);
	free(run->memory);
	free(run->counts);
	free(run->threads);
	free(run);
	return CHECK(counts->foreign == 0);
}
