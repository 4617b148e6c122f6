/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - reading options: zero = default, contradictions refused. Their size: base/sized.h.
 */
#ifndef KOLK_OPTIONS_H
#define KOLK_OPTIONS_H

#include <kolk/kolk.h>

#include "core/base/sized.h"

/* Whether a failure could be filled in: NULL, or one that has its size. */
bool kolk__failure_fits(const struct kolk_failure *failure);

/* Say which field, and return the error: err, or E_OPTIONS. failure may be NULL. */
enum kolk_err kolk__refuse_as(struct kolk_failure *failure, enum kolk_err err, const char *field);
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
