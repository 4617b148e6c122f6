/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - a control measurement for bounds of wall time: a thread that only sleeps, over and
 * over. Beside other load it wakes late like every thread, and its clock stands still meanwhile. A
 * bound in its time is one of what the code does, and not of what else runs on the machine.
 */
#ifndef KOLK_KIT_CONTROL_H
#define KOLK_KIT_CONTROL_H

#include <pthread.h>
#include <stdint.h>

#include "core/base/atomic.h"

struct kit_control {
	pthread_t thread;
	kolk__atomic_u32 stop;
	kolk__atomic_u32 slept_ms;
	uint64_t worst_ns; /* the longest that it woke late; read after the end */
};

void kit_control_begin(struct kit_control *control);
/* Its time since then, ms. Never more than wall time. */
uint32_t kit_control_ms(const struct kit_control *control);
/* The same, and ends it. */
uint32_t kit_control_end(struct kit_control *control);

#endif
