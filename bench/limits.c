/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.c - bare costs on this machine, and structures that an idle list could be made of: the
 * table behind docs/decisions/0001-idle-lists.md.
 */
#define _GNU_SOURCE
#include <ck_ring.h>
#include <ck_stack.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <linux/futex.h>

#include "bench/kit.h"
#include "core/base/atomic.h"

enum { BATCHES = 7, COUNT = 1000000, RING = 64, LANES = 64 };

static kolk__atomic_u64 word;
static volatile uint64_t sink;

#define COST(name, body)                                                            \
	static double cost_##name(void)                                             \
	{                                                                           \
		uint64_t begin = clock_now();                                       \
		for (uint64_t i = 0; i < COUNT; i++) {                              \
			body;                                                       \
		}                                                                   \
		return (double)(clock_now() - begin) / (double)COUNT;               \
	}

static ck_ring_t ring;
static ck_ring_buffer_t buffer[RING];
static ck_stack_t stack;
static ck_stack_entry_t stack_entry;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static void *taken;

COST(xchg, kolk__exchange_sc(&word, i); kolk__exchange_sc(&word, i + 1))
COST(cas, uint64_t seen = kolk__load_relaxed(&word); kolk__cas_sc(&word, &seen, i);
     seen = i; kolk__cas_sc(&word, &seen, i + 1))
COST(cas_store, uint64_t seen = kolk__load_relaxed(&word); kolk__cas_acquire(&word, &seen, i);
     kolk__store_release(&word, i + 1))
COST(spsc, ck_ring_dequeue_spsc(&ring, buffer, &taken); ck_ring_enqueue_spsc(&ring, buffer, taken))
COST(spmc, ck_ring_dequeue_spmc(&ring, buffer, &taken); ck_ring_enqueue_spmc(&ring, buffer, taken))
COST(mpmc, ck_ring_dequeue_mpmc(&ring, buffer, &taken); ck_ring_enqueue_mpmc(&ring, buffer, taken))
COST(stack, ck_stack_entry_t *e = ck_stack_pop_mpmc(&stack); ck_stack_push_mpmc(&stack, e))
COST(mutex, pthread_mutex_lock(&mutex); kolk__own_add(&word, 1); pthread_mutex_unlock(&mutex);
     pthread_mutex_lock(&mutex); kolk__own_sub(&word, 1); pthread_mutex_unlock(&mutex))
COST(monotonic, sink = clock_now())
COST(coarse, struct timespec t; clock_gettime(CLOCK_MONOTONIC_COARSE, &t); sink = (uint64_t)t.tv_nsec)
COST(getcpu, sink = (uint64_t)sched_getcpu())
COST(syscall, if (i < COUNT / 10) syscall(SYS_getppid))
COST(futex_wake, if (i < COUNT / 10) syscall(SYS_futex, kolk__futex(&word), FUTEX_WAKE_PRIVATE, 1))
#if defined(__x86_64__)
COST(rdtsc, sink = __builtin_ia32_rdtsc())
#endif

/* ---- between two threads */

struct ping {
	kolk__atomic_u32 ball;
	bool sleeping;
};

static void ping_side(void *shared, uint32_t index)
{
	struct ping *ping = shared;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(index % (uint32_t)sysconf(_SC_NPROCESSORS_ONLN), &cpu);
	sched_setaffinity(0, sizeof cpu, &cpu);
	for (uint32_t i = 0; i < (ping->sleeping ? 5000u : 100000u); i++) {
		uint32_t wanted = 2 * i + index;

		while (kolk__load_acquire(&ping->ball) != wanted)
			if (ping->sleeping)
				syscall(SYS_futex, kolk__futex(&ping->ball), FUTEX_WAIT_PRIVATE,
					wanted - 1, NULL);
			else
				kolk__pause();
		kolk__store_release(&ping->ball, wanted + 1);
		if (ping->sleeping)
			syscall(SYS_futex, kolk__futex(&ping->ball), FUTEX_WAKE_PRIVATE, 1);
	}
}

static double cost_round_trip(void)
{
	struct ping ping = { .sleeping = false };

	return threads_run(2, ping_side, &ping, 0, NULL) / 100000;
}

static double cost_futex_trip(void)
{
	struct ping ping = { .sleeping = true };

	return threads_run(2, ping_side, &ping, 0, NULL) / 5000;
}

static const struct {
	const char *name, *about;
	double (*run)(void);
	double scale;
} costs[] = {
	{ "xchg_pair", "two exchanges", cost_xchg, 1 },
	{ "cas_pair", "two compare-and-swaps", cost_cas, 1 },
	{ "cas_store", "compare-and-swap, release store", cost_cas_store, 1 },
	{ "ck_ring_spsc", "dequeue + enqueue", cost_spsc, 1 },
	{ "ck_ring_spmc", "dequeue + enqueue", cost_spmc, 1 },
	{ "ck_ring_mpmc", "dequeue + enqueue", cost_mpmc, 1 },
	{ "ck_stack_mpmc", "pop + push", cost_stack, 1 },
	{ "mutex_list", "lock, pop, unlock, lock, push, unlock", cost_mutex, 1 },
	{ "clock_monotonic", "clock_gettime", cost_monotonic, 1 },
	{ "clock_coarse", "clock_gettime, coarse", cost_coarse, 1 },
#if defined(__x86_64__)
	{ "rdtsc", "time stamp counter", cost_rdtsc, 1 },
#endif
	{ "sched_getcpu", "", cost_getcpu, 1 },
	{ "syscall", "getppid", cost_syscall, 10 },
	{ "futex_wake", "no waiter", cost_futex_wake, 10 },
	{ "core_round_trip", "shared memory, there and back", cost_round_trip, 1 },
	{ "futex_round_trip", "two sleeps and wakes", cost_futex_trip, 1 },
};

/* ---- idle lists: take one, put it back, by many threads */

struct idle_list {
	const char *name;
	kolk__atomic_bool stop;
	kolk__atomic_u64 done;
	uint32_t items;
	struct {
		kolk__atomic_u64 word;
	} __attribute__((aligned(64))) hand[LANES];
	struct {
		KOLK__ATOMIC(void *) slot[4];
		ck_ring_t ring;
		ck_ring_buffer_t buffer[128];
	} __attribute__((aligned(64))) lane[LANES];
	pthread_mutex_t lock;
	uint32_t list[LANES], listed;
};

typedef uint64_t idle_list_fn(struct idle_list *idle_list, uint32_t index, uint64_t *waits);

static uint64_t idle_list_shared_mpmc(struct idle_list *s, uint32_t index, uint64_t *waits)
{
	void *item;

	(void)index;
	while (!ck_ring_dequeue_mpmc(&s->lane[0].ring, s->lane[0].buffer, &item)) {
		(*waits)++;
		sched_yield();
		if (kolk__load_relaxed(&s->stop))
			return 0;
	}
	ck_ring_enqueue_mpmc(&s->lane[0].ring, s->lane[0].buffer, item);
	return 1;
}

static uint64_t idle_list_private_spmc(struct idle_list *s, uint32_t index, uint64_t *waits)
{
	void *item;

	(void)waits;
	if (!ck_ring_dequeue_spmc(&s->lane[index].ring, s->lane[index].buffer, &item))
		return 0;
	ck_ring_enqueue_spmc(&s->lane[index].ring, s->lane[index].buffer, item);
	return 1;
}

/* Most recent first by exchange; what is displaced moves on, the last into the ring. One
 * lane per CPU as a shard would be, so producers of a ring can be many: MPMC. */
static uint64_t idle_list_slots_ring(struct idle_list *s, uint32_t index, uint64_t *waits)
{
	uint32_t home = index % 2;
	void *item = NULL;

	for (uint32_t turn = 0; item == NULL; turn++) {
		uint32_t lane = (home + turn) % 2;

		for (int i = 0; i < 4 && item == NULL; i++)
			if (kolk__load_relaxed(&s->lane[lane].slot[i]) != NULL)
				item = kolk__exchange_sc(&s->lane[lane].slot[i], NULL);
		if (item == NULL)
			(void)ck_ring_dequeue_mpmc(&s->lane[lane].ring, s->lane[lane].buffer, &item);
		if (item == NULL && turn % 2 == 1) {
			(*waits)++;
			sched_yield();
			if (kolk__load_relaxed(&s->stop))
				return 0;
		}
	}
	for (int i = 0; i < 4 && item != NULL; i++)
		item = kolk__exchange_sc(&s->lane[home].slot[i], item);
	if (item != NULL)
		ck_ring_enqueue_mpmc(&s->lane[home].ring, s->lane[home].buffer, item);
	return 1;
}

/* In place: a word per connection, tried from the thread's last one. */
static uint64_t idle_list_in_place(struct idle_list *s, uint32_t index, uint64_t *waits)
{
	static _Thread_local uint32_t last = UINT32_MAX;
	uint32_t i = last != UINT32_MAX ? last : index % s->items;

	for (uint32_t tries = 0;; tries++, i = (i + 1) % s->items) {
		uint64_t idle = kolk__load_relaxed(&s->hand[i].word);

		if (!(idle & 1) && kolk__cas_sc(&s->hand[i].word, &idle, idle + 1)) {
			uint64_t held = idle + 1;

			last = i;
			return kolk__cas_sc(&s->hand[i].word, &held, idle + 2);
		}
		if (tries % s->items == s->items - 1) {
			(*waits)++;
			sched_yield();
			if (kolk__load_relaxed(&s->stop))
				return 0;
		}
	}
}

static uint64_t idle_list_mutex(struct idle_list *s, uint32_t index, uint64_t *waits)
{
	uint32_t item;

	(void)index;
	for (;;) {
		pthread_mutex_lock(&s->lock);
		if (s->listed > 0)
			break;
		pthread_mutex_unlock(&s->lock);
		(*waits)++;
		sched_yield();
		if (kolk__load_relaxed(&s->stop))
			return 0;
	}
	item = s->list[--s->listed];
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_lock(&s->lock);
	s->list[s->listed++] = item;
	pthread_mutex_unlock(&s->lock);
	return 1;
}

static const struct {
	const char *name;
	idle_list_fn *run;
} idle_lists[] = {
	{ "shared ck_ring MPMC", idle_list_shared_mpmc },
	{ "private ck_ring SPMC", idle_list_private_spmc },
	{ "slots + ck_ring per CPU", idle_list_slots_ring },
	{ "in place (state words)", idle_list_in_place },
	{ "mutex + list", idle_list_mutex },
};
enum { IDLE_LISTS = sizeof idle_lists / sizeof idle_lists[0] };

struct idle_list_run {
	struct idle_list *idle_list;
	idle_list_fn *fn;
};

static void idle_list_thread(void *shared, uint32_t index)
{
	struct idle_list_run *run = shared;
	uint64_t done = 0, waits = 0;

	while (!kolk__load_relaxed(&run->idle_list->stop))
		done += run->fn(run->idle_list, index % LANES, &waits);
	kolk__add_relaxed(&run->idle_list->done, done);
}

static double idle_list_measure(idle_list_fn *fn, uint32_t threads, uint32_t items, double seconds)
{
	struct idle_list *idle_list = aligned_alloc(64, sizeof *idle_list);
	struct idle_list_run run = { idle_list, fn };
	double ns;

	memset(idle_list, 0, sizeof *idle_list);
	idle_list->items = items;
	pthread_mutex_init(&idle_list->lock, NULL);
	for (uint32_t i = 0; i < LANES; i++)
		ck_ring_init(&idle_list->lane[i].ring, 128);
	for (uint32_t i = 0; i < items; i++) {
		idle_list->list[idle_list->listed++] = i;
		if (fn == idle_list_private_spmc)
			ck_ring_enqueue_spmc(&idle_list->lane[i].ring, idle_list->lane[i].buffer, idle_list);
		else
			ck_ring_enqueue_mpmc(&idle_list->lane[0].ring, idle_list->lane[0].buffer, idle_list);
	}
	ns = threads_run(threads, idle_list_thread, &run, seconds, &idle_list->stop);
	ns /= (double)(kolk__own(&idle_list->done) != 0 ? kolk__own(&idle_list->done) : 1);
	free(idle_list);
	return ns;
}

static int idle_list_table(const struct args *args, FILE *json)
{
	static const uint32_t counts[] = { 1, 2, 8, 32 };
	double ns[IDLE_LISTS][8][5];

	for (int round = 0; round < 5; round++)
		for (int c = 0; c < 8; c++)
			for (int s = 0; s < IDLE_LISTS; s++) {
				uint32_t threads = counts[c % 4];
				uint32_t items = c < 4 ? threads : (threads + 1) / 2;

				progress("idle lists: round %d of 5, %u threads, %s", round + 1, threads,
					 idle_lists[s].name);
				ns[s][c][round] = c >= 4 && idle_lists[s].run == idle_list_private_spmc ?
					0 : idle_list_measure(idle_lists[s].run, threads, items,
							      args->seconds / 10);
			}
	progress("%s", "");
	if (json == NULL)
		printf("wall ns per take + give, all threads together (threads/items), median of 5\n"
		       "%-26s%9s%9s%9s%9s%9s%9s%9s%9s\n", "", "1/1", "2/2", "8/8", "32/32", "1/1",
		       "2/1", "8/4", "32/16");
	for (int s = 0; s < IDLE_LISTS; s++) {
		if (json != NULL)
			fprintf(json, "{\"scenario\":\"idle_lists\",\"list\":\"%s\",\"ns\":[",
				idle_lists[s].name);
		else
			printf("%-26s", idle_lists[s].name);
		for (int c = 0; c < 8; c++)
			fprintf(json != NULL ? json : stdout, json != NULL ? "%s%.1f" : "%s%9.1f",
				json != NULL && c > 0 ? "," : "", median(ns[s][c], 5));
		fprintf(json != NULL ? json : stdout, json != NULL ? "]}\n" : "\n");
	}
	return 0;
}

int scenario_limits(const struct args *args)
{
	FILE *json = json_open(args);
	double values[BATCHES];

	if (args->threads > 1) {
		idle_list_table(args, json);
		json_close(json);
		return 0;
	}
	ck_ring_init(&ring, RING);
	ck_ring_enqueue_mpmc(&ring, buffer, &word);
	ck_stack_init(&stack);
	ck_stack_push_mpmc(&stack, &stack_entry);
	for (size_t c = 0; c < sizeof costs / sizeof costs[0]; c++) {
		progress("limits: %s", costs[c].name);
		for (int i = 0; i < BATCHES; i++)
			values[i] = costs[c].run() * costs[c].scale;
		progress("%s", "");
		if (json != NULL)
			fprintf(json, "{\"scenario\":\"limits\",\"name\":\"%s\",\"ns\":%.2f}\n",
				costs[c].name, median(values, BATCHES));
		else
			printf("%-17s %9.1f ns  %s\n", costs[c].name, median(values, BATCHES),
			       costs[c].about);
	}
	json_close(json);
	return 0;
}
