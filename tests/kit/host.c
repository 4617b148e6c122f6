/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tests/kit/host.h"

#include <poll.h>

bool kit_host_step(struct kolk_loop *loop, int max_ms)
{
	struct pollfd fd = { .fd = kolk_loop_fd(loop), .events = POLLIN };
	uint64_t limit_ns = kolk_in_ms((uint64_t)max_ms), now_ns = kolk_in_ns(0);
	uint64_t timer_ns = kolk_loop_next_timer(loop);
	uint64_t until_ns = timer_ns < limit_ns ? timer_ns : limit_ns;
	uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
	struct timespec left = { .tv_sec = (time_t)(left_ns / KOLK_S_NS),
				 .tv_nsec = (long)(left_ns % KOLK_S_NS) };

	if (ppoll(&fd, 1, &left, NULL) <= 0 && timer_ns > kolk_in_ns(0))
		return false;
	return kolk_loop_step(loop, 0) == KOLK_OK;
}
