/* SPDX-License-Identifier: Apache-2.0 */
/* control.c - see control.h. */
#include "tests/kit/control.h"

#include <stdlib.h>
#include <time.h>

#include "core/base/atomic.h"
#include "tests/kit/measure.h"

enum { SLEEP_NS = 1000000 };

static void *sleeper(void *user)
{
	struct kit_control *control = user;
	const struct timespec time = { 0, SLEEP_NS };

	while (!kolk__load_relaxed(&control->stop)) {
		uint64_t began_ns = clock_now(), late_ns;

		nanosleep(&time, NULL);
		kolk__add_relaxed(&control->slept_ms, 1);
		late_ns = clock_now() - began_ns - SLEEP_NS;
		if (late_ns > control->worst_ns)
			control->worst_ns = late_ns;
	}
	return NULL;
}

void kit_control_begin(struct kit_control *control)
{
	*control = (struct kit_control){ .stop = 0 };
	if (pthread_create(&control->thread, NULL, sleeper, control) != 0)
		abort();
}

uint32_t kit_control_ms(const struct kit_control *control)
{
	return kolk__load_relaxed(&control->slept_ms);
}

uint32_t kit_control_end(struct kit_control *control)
{
	kolk__store_relaxed(&control->stop, 1);
	pthread_join(control->thread, NULL);
	return kit_control_ms(control);
}
