/* SPDX-License-Identifier: Apache-2.0 */
/* unit.h - what unit tests share: cmocka, and an engine in the simulator. */
#ifndef KOLK_TESTS_UNIT_H
#define KOLK_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <kolk/kolk.h>

#include "tests/sim/sim.h"

struct bed {
	struct kolk__sim *sim;
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
	void *user; /* the test's own */
};

/* cmocka fixtures: *state is a struct bed with an engine of one loop on a world without
 * faults, and a raw pool of 4 connections. */
int bed_open(void **state);
int bed_close(void **state); /* fails when the audit or the world finds something */
/* Let the world and the engine go on for so long. */
void bed_run(struct bed *bed, uint64_t ns);

int base_tests(void);
int hist_tests(void);
int options_tests(void);
int lease_tests(void);
int wait_tests(void);
int key_tests(void);
int driver_tests(void);
int origin_tests(void);
int inspect_tests(void);
int fair_tests(void);
int identity_tests(void);
int reuse_tests(void);
int rotate_tests(void);
int learn_tests(void);
int tenant_tests(void);
int young_tests(void);
int update_tests(void);
int recycle_tests(void);
int refuse_tests(void);
int resume_tests(void);
int kit_tests(void);

#endif
