/* SPDX-License-Identifier: Apache-2.0 */
/* learn.h - what tests of a pool's own decisions share: a resource whose making goes as planned,
 * and callers. */
#ifndef KOLK_TESTS_UNIT_LEARN_H
#define KOLK_TESTS_UNIT_LEARN_H

#include "core/base/atomic.h"
#include "tests/unit/unit.h"

struct maker {
	struct kolk__sim *sim;
	enum kolk_err err;      /* what the next say */
	uint32_t fails;         /* bits, from 0 on: those fail, err or not */
	uint32_t made;          /* times that one was asked for */
};

/* A pool of it: 4 connections, none kept, the shortest back-off. */
struct kolk_pool_options options_of(struct maker *maker);
/* Lease, or wait 10 s. */
enum kolk_err take(struct fixture *fix, struct kolk_key *key, struct kolk_lease *lease);
/* The result for a caller that comes now. */
enum kolk_err acquire_result(struct fixture *fix, struct kolk_key *key);

/* One that waits. */
struct caller {
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	enum kolk_err err;
	uint64_t at_ns;
	struct fixture *fix;
};

/* A caller of the first loop that waits so long; KOLK_PENDING or its result. */
enum kolk_err begin(struct fixture *fix, struct caller *caller, struct kolk_key *key,
		    uint64_t wait_ns);
/* What another thread could see of a count whenever this one holds no lock. */
struct watch {
	const kolk__atomic_u32 *count;
	int held;
	uint32_t seen, most; /* when it was seen last; the most that it changed in between */
};

/* From now on, until engine->on_lock is NULL again. */
void watch_begin(struct fixture *fix, struct watch *watch, const kolk__atomic_u32 *count);
/* A pool that keeps one idle connection for as long as its peer does. */
struct kolk_pool *kept_at_one(struct fixture *fix);

#define T(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

#endif
