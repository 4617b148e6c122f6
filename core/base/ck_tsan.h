/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ck_tsan.h - the bridge that tells ThreadSanitizer what ConcurrencyKit's stack means.
 *
 * TSan cannot see CK's assembly and fences. The tsan preset includes this file before any
 * other: it takes the place of ck_pr.h and gives ck_stack.h the same operations as compiler
 * atomics, with the orders that CK documents (its fences become acquire and release on the
 * accesses they stand beside). Nothing else is replaced and nothing is suppressed.
 */
#ifndef KOLK_CK_TSAN_H
#define KOLK_CK_TSAN_H

#define CK_PR_H /* in place of ck_pr.h */

#include <stdbool.h>
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
