/* SPDX-License-Identifier: Apache-2.0 */
/*
 * atomic.h - the only place with memory orders; the order is in the name.
 *
 * relaxed  the value alone matters
 * acquire  what the writer did before its release is visible after this load
 * release  what this thread did before is visible to who acquires the value
 * sc       part of the single total order: for store-load edges (labels SC in wait.h)
 *
 * On x86-64 an sc load is a plain load and every read-modify-write is a full fence, so the
 * SC edges of the hot path cost nothing beyond the compare-and-swap that is there anyway.
 */
#ifndef KOLK_ATOMIC_H
#define KOLK_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#define KOLK_LIKELY(x) __builtin_expect(!!(x), 1)
#define KOLK_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define KOLK_CACHE_LINE 64

/* Part of the hit path: inlined. Kept out of it: it would cost the hit registers. */
#define KOLK_HOT inline __attribute__((always_inline))
#define KOLK_COLD __attribute__((noinline, cold))

#define kolk__load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define kolk__load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define kolk__load_sc(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define kolk__store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define kolk__store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define kolk__store_sc(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define kolk__exchange_acq_rel(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define kolk__exchange_sc(p, v) __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define kolk__add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define kolk__sub_relaxed(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_RELAXED)
#define kolk__add_acq_rel(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define kolk__sub_acq_rel(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL)
#define kolk__add_sc(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)

/* Compare and swap: true when *p was expected and is now desired. */
#define kolk__cas_acquire(p, expected, desired)                                            \
	__atomic_compare_exchange_n((p), (expected), (desired), false, __ATOMIC_ACQUIRE,    \
				    __ATOMIC_RELAXED)
#define kolk__cas_acq_rel(p, expected, desired)                                            \
	__atomic_compare_exchange_n((p), (expected), (desired), false, __ATOMIC_ACQ_REL,    \
				    __ATOMIC_ACQUIRE)
#define kolk__cas_sc(p, expected, desired)                                                 \
	__atomic_compare_exchange_n((p), (expected), (desired), false, __ATOMIC_SEQ_CST,    \
				    __ATOMIC_SEQ_CST)

/* A counter with one writer: readers see some value of it, never a torn one. */
#define kolk__count(p) kolk__store_relaxed((p), kolk__load_relaxed(p) + 1)

static inline void kolk__pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
