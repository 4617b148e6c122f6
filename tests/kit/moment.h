/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moment.h - when to cancel a request, so that cancels meet it in each of its states, on a fast machine
 * as on a slow one. Half of them at a random time of what a request takes here and now. A loop that is
 * behind reads the answers before it looks at its timers, and then all of these come too late. The other
 * half when another request ends: that one cancels one that is in flight beside it.
 */
#ifndef KOLK_KIT_MOMENT_H
#define KOLK_KIT_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

struct kit_moment {
	uint64_t usual_ns; /* of requests that were not cancelled, lately; one writer */
};

static inline void kit_moment_took(struct kit_moment *moment, uint64_t took_ns)
{
	moment->usual_ns += took_ns / 8 - moment->usual_ns / 8;
}

/* From its start, in nanoseconds: up to 5/4 of what one takes, so that some come too late; of each
 * four one up to a half, a quarter and an eighth of that, because a few slow ones make the mean
 * longer than what most take. */
static inline uint64_t kit_moment_pick(const struct kit_moment *moment, uint64_t random)
{
	return (random >> 2) % (((moment->usual_ns * 5 / 4) >> (random & 3)) + 1000);
}

/* Whether one of the two ways applies, each to half of the percent that are to be cancelled: asked when
 * a request starts, for the first, and when one ends, for the second. */
static inline bool kit_moment_applies(uint32_t percent, uint64_t random)
{
	return random % 200 < percent;
}

#endif
