/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moment.h - when to cancel a request: at a random moment of what one takes here and now, so that cancels
 * meet it in each of its states, on a fast machine as on a slow one.
 */
#ifndef KOLK_KIT_MOMENT_H
#define KOLK_KIT_MOMENT_H

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

#endif
