/* SPDX-License-Identifier: Apache-2.0 */
/* unit.h - what unit tests share: cmocka, and an engine in the simulator. */
#ifndef KOLK_TESTS_UNIT_H
#define KOLK_TESTS_UNIT_H

#include <kolk/kolk.h>

#include "tests/kit/cmocka/run.h"
#include "tests/sim/sim.h"

struct fixture {
	struct kolk__sim *sim;
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
	void *user; /* the test's own */
};

/* cmocka fixtures: *state is a struct fixture with an engine of one loop on a world without
 * faults, and a raw pool of 4 connections. */
int fixture_open(void **state);
int fixture_close(void **state); /* fails when the audit or the world finds something */
/* Let the world and the engine go on for so long. */
void fixture_run(struct fixture *fix, uint64_t ns);

/* Must work. */
struct kolk_pool *pool_of(struct fixture *fix, const struct kolk_pool_options *o);
struct kolk_key *key_of(struct kolk_pool *pool, const char *tenant);
/* The same with all options; size 0 = this library's, credential_size 0 = of a text. */
struct kolk_key *key_with(struct kolk_pool *pool, struct kolk_key_options o);

/* Another thread: it comes in before the place-th access of an atomic that has an order (atomic.h)
 * and does something whole. The thread that it interrupts holds no lock then; with any_lock, also
 * when it holds some: what comes takes none. */
struct intruder {
	int place;
	void (*act)(void *user);
	void *user;
	bool any_lock;
};

/* A test that is skipped: the one of a suite that needs them, in builds that do not show accesses. */
void accesses_are_not_seen(void **state);
/* False = this build does not show its accesses: skip. */
bool intruder_waits(const struct intruder *intruder);
/* It comes no more; true = it came. */
bool intruder_came(void);

/* Resources that cost nothing: all of them are one and the same. */
extern const struct kolk_resource_driver unit_things;

struct kolk_stats stats_of(struct kolk_pool *pool);
struct kolk_pool_info info_of(struct kolk_pool *pool);

#endif
