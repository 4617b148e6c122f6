/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - reading order forms: size first, zero = default, contradictions refused.
 */
#ifndef KOLK_OPTIONS_H
#define KOLK_OPTIONS_H

#include <kolk/kolk.h>

/* Copy a caller's struct that may be older (shorter: the rest is default) or newer (longer:
 * what we do not know must be zero). False when it is neither. */
bool kolk__options_read(void *target, uint32_t target_size, const void *source);

/* Say which field, and return E_OPTIONS. failure may be NULL. */
enum kolk_err kolk__refuse(struct kolk_failure *failure, const char *field);

static inline uint32_t kolk__count_or(uint32_t value, uint32_t fallback)
{
	return value == KOLK_NONE ? 0 : value != 0 ? value : fallback;
}

static inline uint64_t kolk__ns_or(uint64_t value, uint64_t fallback)
{
	return value == KOLK_AT_ONCE ? 0 : value != 0 ? value : fallback;
}

#endif
