/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ck_tsan.h - the bridge that tells ThreadSanitizer what ConcurrencyKit's stack and ring mean.
 *
 * TSan cannot see CK's assembly and fences. The tsan preset includes this file before any
 * other: it takes the place of ck_pr.h and gives ck_stack.h and ck_ring.h the same operations as
 * compiler atomics, with the orders that CK documents (its fences become acquire and release on
 * the accesses they stand beside). A ring's entry may be copied while it is overwritten; then the
 * compare-and-swap that follows fails and the copy is forgotten. To TSan that is a race, so the
 * copy is atomic here, and relaxed: what it may rely on are the counters. Nothing else is
 * replaced and nothing is suppressed.
 */
#ifndef KOLK_CK_TSAN_H
#define KOLK_CK_TSAN_H

#define CK_PR_H /* in place of ck_pr.h */

#include <stdbool.h> /* none of the C library's: it comes before a source's _GNU_SOURCE */
#include <stddef.h>

static inline void *ck_pr_load_ptr(const void *target)
{
	return __atomic_load_n((void *const *)target, __ATOMIC_ACQUIRE);
}

static inline void ck_pr_store_ptr(void *target, const void *value)
{
	__atomic_store_n((void **)target, (void *)(size_t)value, __ATOMIC_RELEASE);
}

static inline void *ck_pr_fas_ptr(void *target, void *value)
{
	return __atomic_exchange_n((void **)target, value, __ATOMIC_ACQ_REL);
}

static inline bool ck_pr_cas_ptr(void *target, void *expected, void *desired)
{
	return __atomic_compare_exchange_n((void **)target, &expected, desired, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static inline bool ck_pr_cas_ptr_value(void *target, void *expected, void *desired, void *seen)
{
	bool done = __atomic_compare_exchange_n((void **)target, &expected, desired, false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);

	*(void **)seen = expected;
	return done;
}

static inline unsigned ck_pr_load_uint(const unsigned *target)
{
	return __atomic_load_n(target, __ATOMIC_ACQUIRE);
}

static inline void ck_pr_store_uint(unsigned *target, unsigned value)
{
	__atomic_store_n(target, value, __ATOMIC_RELEASE);
}

static inline bool ck_pr_cas_uint_value(unsigned *target, unsigned expected, unsigned desired,
					unsigned *seen)
{
	bool done = __atomic_compare_exchange_n(target, &expected, desired, false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);

	*seen = expected;
	return done;
}

static inline bool ck_pr_cas_uint(unsigned *target, unsigned expected, unsigned desired)
{
	return ck_pr_cas_uint_value(target, expected, desired, &expected);
}

/* In place of memcpy while core/base/ring.h reads ck_ring.h. An entry is 32 bits; ck's interface of
 * pointers is compiled, too, but not called. */
static inline void kolk__ck_copy(void *to, const void *from, size_t size)
{
	if (size == sizeof(unsigned))
		__atomic_store_n((unsigned *)to,
				 __atomic_load_n((const unsigned *)from, __ATOMIC_RELAXED),
				 __ATOMIC_RELAXED);
}

static inline void ck_pr_stall(void)
{
}

static inline void ck_pr_fence_load(void)
{
}

static inline void ck_pr_fence_store(void)
{
}

static inline void ck_pr_fence_store_atomic(void)
{
}

#endif
