/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.c - core/base/ring.h: one producer at a time, many consumers.
 *
 * Tokens that circulate: the thread that took one owns its cell, which is plain. Two owners are a data race
 * for ThreadSanitizer and a wrong count for every build. The producer word is taken by one try; a
 * thread that misses it, or finds the ring full, keeps its token until a later try.
 *
 * Numbers that pass once: one producer, and each consumer sees them grow; each is seen once.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "core/base/atomic.h"
#include "core/base/ring.h"
#include "tests/kit/measure.h"
#include "tests/kit/tap.h"
#include "tests/race/race.h"

enum { THREADS = 4, TOKENS = 12, SIZE = 32 };

struct token_cell {
	uint64_t owners, uses; /* plain: the owner's alone */
};

struct circle {
	struct kolk__ring ring;
	uint32_t buffer[SIZE];
	kolk__atomic_u32 producing;
	kolk__atomic_bool stop;
	struct token_cell cells[TOKENS];
};

struct circle_thread {
	pthread_t thread;
	struct circle *circle;
	uint32_t kept[TOKENS], count;
	uint64_t taken, refused, full;
};

/* By one try; without it the token is kept. */
static void put_back(struct circle_thread *self)
{
	struct circle *circle = self->circle;
	uint32_t idle = 0;

	if (!kolk__cas_acquire(&circle->producing, &idle, 1)) {
		self->refused++;
		return;
	}
	if (kolk__ring_put(&circle->ring, circle->buffer, self->kept[self->count - 1]))
		self->count--;
	else
		self->full++;
	kolk__store_release(&circle->producing, 0);
}

static void *circulate(void *arg)
{
	struct circle_thread *self = arg;
	struct circle *circle = self->circle;
	uint64_t random = (uintptr_t)self + clock_now();
	uint32_t token;

	while (!kolk__load_relaxed(&circle->stop)) {
		uint64_t r = race_random(&random);

		if (r % 2 == 0 && kolk__ring_take(&circle->ring, circle->buffer, &token)) {
			struct token_cell *cell = &circle->cells[token];

			self->taken++;
			cell->uses++;
			CHECK(++cell->owners == 1);
			if (r % 64 == 2)
				sched_yield();
			cell->owners--;
			if (!CHECK(self->count < TOKENS))
				break;
			self->kept[self->count++] = token;
		}
		if (self->count > 0 && r % 8 != 0)
			put_back(self);
	}
	return NULL;
}

/* Each token is in the ring or kept, once, and was used as often as it was taken. */
static void audit_circle(struct circle *circle, struct circle_thread *threads)
{
	uint32_t seen[TOKENS] = { 0 }, token;
	uint64_t taken = 0, uses = 0, refused = 0, full = 0;

	for (int i = 0; i <= TOKENS && kolk__ring_take(&circle->ring, circle->buffer, &token); i++)
		seen[token]++; /* a broken ring is as good as endless */
	for (int i = 0; i < THREADS; i++) {
		for (uint32_t k = 0; k < threads[i].count; k++)
			seen[threads[i].kept[k]]++;
		taken += threads[i].taken;
		refused += threads[i].refused;
		full += threads[i].full;
	}
	for (int i = 0; i < TOKENS; i++) {
		CHECK(seen[i] == 1);
		uses += circle->cells[i].uses;
	}
	CHECK(uses == taken && taken > 0);
	tap_note("%llu taken, %llu times another was producing, %llu times full",
		 (unsigned long long)taken, (unsigned long long)refused,
		 (unsigned long long)full);
}

static void circulate_through(uint32_t size)
{
	struct circle circle = { 0 };
	struct circle_thread threads[THREADS] = { 0 };

	kolk__ring_init(&circle.ring, size);
	for (uint32_t i = 0; i < TOKENS; i++)
		threads[i % THREADS].kept[threads[i % THREADS].count++] = i;
	for (int i = 0; i < THREADS; i++) {
		threads[i].circle = &circle;
		pthread_create(&threads[i].thread, NULL, circulate, &threads[i]);
	}
	for (uint64_t end_ns = clock_now() + race_ms / 2 * 1000000; clock_now() < end_ns;)
		tap_nap();
	kolk__store_relaxed(&circle.stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i].thread, NULL);
	audit_circle(&circle, threads);
}

static void tokens_circulate(void)
{
	circulate_through(16);
}

static void tokens_circulate_through_a_full_ring(void)
{
	circulate_through(4);
}

/* ---- numbers that pass once */

struct stream {
	struct kolk__ring ring;
	uint32_t buffer[SIZE];
	kolk__atomic_bool over;
};

struct consumer {
	pthread_t thread;
	struct stream *stream;
	uint64_t count, sum;
	bool grew;
};

static void *consume(void *arg)
{
	struct consumer *self = arg;
	struct stream *stream = self->stream;
	uint32_t number, last = 0;
	bool over;

	self->grew = true;
	do { /* empty after the end: really empty */
		over = kolk__load_acquire(&stream->over);
		while (kolk__ring_take(&stream->ring, stream->buffer, &number)) {
			self->grew &= number > last;
			last = number;
			self->count++;
			self->sum += number;
		}
		sched_yield();
	} while (!over);
	return NULL;
}

static void numbers_pass_once(void)
{
	struct stream stream = { 0 };
	struct consumer consumers[THREADS - 1] = { 0 };
	uint64_t end_ns = clock_now() + race_ms / 2 * 1000000, count = 0, sum = 0;
	uint32_t number = 1;

	kolk__ring_init(&stream.ring, SIZE);
	for (int i = 0; i < THREADS - 1; i++) {
		consumers[i].stream = &stream;
		pthread_create(&consumers[i].thread, NULL, consume, &consumers[i]);
	}
	while ((number % 1024 != 0 || clock_now() < end_ns) && number != UINT32_MAX) {
		if (kolk__ring_put(&stream.ring, stream.buffer, number))
			number++;
		else
			sched_yield();
	}
	kolk__store_release(&stream.over, true);
	for (int i = 0; i < THREADS - 1; i++) {
		pthread_join(consumers[i].thread, NULL);
		CHECK(consumers[i].grew);
		count += consumers[i].count;
		sum += consumers[i].sum;
	}
	CHECK(count == number - 1);
	CHECK(sum == (uint64_t)number * (number - 1) / 2);
	tap_note("%llu numbers", (unsigned long long)count);
}

static const struct tap_test tests[] = {
	{ "tokens of a ring circulate, one producer at a time", tokens_circulate },
	{ "tokens circulate through a ring that is often full", tokens_circulate_through_a_full_ring },
	{ "numbers pass through a ring once, and in order", numbers_pass_once },
};

TAP_TESTS(ring, tests);
