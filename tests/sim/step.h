/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step.h - one step of a simulated loop, and the law of hosts: a loop whose descriptor is not
 * readable and whose next timer is not due has nothing to do. So a host that polls needs no tick.
 */
#ifndef KOLK_TESTS_SIM_STEP_H
#define KOLK_TESTS_SIM_STEP_H

#include <kolk/kolk.h>

#include "tests/sim/sim.h"

/* Step it; false = the step did something that the loop had not announced. Time passes while it
 * runs (each reading of the clock takes some), so a timer may become due meanwhile. */
static inline bool sim_loop_step(struct kolk__sim *sim, struct kolk_loop *loop)
{
	bool readable = kolk__sim_readable(sim, kolk_loop_fd(loop));
	uint64_t due_ns = kolk_loop_next_timer(loop);
	uint64_t history = kolk__sim_hash(sim), submitted = kolk__sim_submitted(sim);

	(void)kolk_loop_step(loop, 0);
	return readable || due_ns <= kolk__sim_now(sim) ||
	       (history == kolk__sim_hash(sim) && submitted == kolk__sim_submitted(sim));
}

#endif
