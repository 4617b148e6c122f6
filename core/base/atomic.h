/* SPDX-License-Identifier: Apache-2.0 */
/*
 * atomic.h - the only place with memory orders; the order is in the name.
 *
 * relaxed  the value alone matters
 * acquire  what the writer did before its release is visible after this load
 * release  what this thread did before is visible to a thread that acquires the value
 * sc       part of the single total order: for store-load edges (labels SC in conn.h)
 * own      relaxed, by the only writer, or under the lock that all writers hold: what is read
 *          stays true until this thread changes it
 *
 * On x86-64 an sc load is a plain load and every read-modify-write is a full fence, so the
 * SC edges of the hot path cost nothing beyond the compare-and-swap that is there anyway.
 *
 * An atomic has a type of its own, with the size and alignment of its value: it can not be read
 * or written but by the accesses below, and they take nothing else (tests/shape/run tries both).
 */
#ifndef KOLK_ATOMIC_H
#define KOLK_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#define KOLK_LIKELY(x) __builtin_expect(!!(x), 1)
#define KOLK_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define KOLK_CACHE_LINE 64
#if defined(__SANITIZE_THREAD__)
#define KOLK__TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KOLK__TSAN 1
#endif
#endif

/* Part of the hit path: inlined. Kept out of it: it would cost the hit registers. */
#define KOLK_HOT inline __attribute__((always_inline))
#define KOLK_COLD __attribute__((noinline, cold))
/* Of a function of some ten nanoseconds: begins with a cache line of its own. Where it happened to
 * begin made up to 1.1 times the cost of a hit, by what was linked before it. */
#define KOLK_HOT_ENTRY __attribute__((aligned(KOLK_CACHE_LINE)))

/* An atomic of this type; each use of KOLK__ATOMIC is another type, so a type that functions take
 * pointers to needs a name. */
#define KOLK__ATOMIC(type) struct { type atomic_; }
#define KOLK__ATOMIC_INIT(value) { (value) }
typedef KOLK__ATOMIC(bool) kolk__atomic_bool;
typedef KOLK__ATOMIC(uint8_t) kolk__atomic_u8;
typedef KOLK__ATOMIC(uint16_t) kolk__atomic_u16;
typedef KOLK__ATOMIC(uint32_t) kolk__atomic_u32;
typedef KOLK__ATOMIC(uint64_t) kolk__atomic_u64;
typedef KOLK__ATOMIC(int) kolk__atomic_int;
typedef KOLK__ATOMIC(int32_t) kolk__atomic_i32;
typedef KOLK__ATOMIC(int64_t) kolk__atomic_i64;
typedef KOLK__ATOMIC(uintptr_t) kolk__atomic_uptr;
_Static_assert(sizeof(kolk__atomic_bool) == 1 && sizeof(kolk__atomic_u32) == 4 &&
		       sizeof(kolk__atomic_u64) == 8 &&
		       _Alignof(kolk__atomic_u64) == _Alignof(uint64_t),
	       "an atomic has the layout of its value");

/* A plain word as an atomic: where others give the type. Fields of public structs (a pool's options
 * in force, a socket's options) and what the kernel shares (io_uring's flags); nothing of ours. */
#define kolk__as_atomic(p)                                                                 \
	((struct { __typeof__(*(p)) atomic_; } __attribute__((may_alias)) *)(p))

/* The word of an atomic that threads sleep on, for the kernel's futex calls. */
#define kolk__futex(p) (&(p)->atomic_)

/* Before each access that has an order, where assertions are checked: there a test that is one
 * thread lets others come in. W: that test. Weak: the libraries above this one have none. */
#ifdef NDEBUG
#define kolk__access() ((void)0)
#else
extern void (*kolk__on_access)(void) __attribute__((weak));
#define kolk__access()                                                                     \
	(KOLK_UNLIKELY(&kolk__on_access != 0 && kolk__on_access != 0) ? kolk__on_access() : (void)0)
#endif

#define kolk__load_relaxed(p) __atomic_load_n(&(p)->atomic_, __ATOMIC_RELAXED)
#define kolk__load_acquire(p) (kolk__access(), __atomic_load_n(&(p)->atomic_, __ATOMIC_ACQUIRE))
#define kolk__load_sc(p) (kolk__access(), __atomic_load_n(&(p)->atomic_, __ATOMIC_SEQ_CST))
#define kolk__store_relaxed(p, v) __atomic_store_n(&(p)->atomic_, (v), __ATOMIC_RELAXED)
#define kolk__store_release(p, v)                                                          \
	(kolk__access(), __atomic_store_n(&(p)->atomic_, (v), __ATOMIC_RELEASE))
#define kolk__store_sc(p, v)                                                               \
	(kolk__access(), __atomic_store_n(&(p)->atomic_, (v), __ATOMIC_SEQ_CST))
#define kolk__exchange_acq_rel(p, v)                                                       \
	(kolk__access(), __atomic_exchange_n(&(p)->atomic_, (v), __ATOMIC_ACQ_REL))
/* A lock's word is given back: no other comes in before it. */
#define kolk__exchange_given(p, v) __atomic_exchange_n(&(p)->atomic_, (v), __ATOMIC_ACQ_REL)
#define kolk__exchange_sc(p, v)                                                            \
	(kolk__access(), __atomic_exchange_n(&(p)->atomic_, (v), __ATOMIC_SEQ_CST))
#define kolk__add_relaxed(p, v) __atomic_fetch_add(&(p)->atomic_, (v), __ATOMIC_RELAXED)
#define kolk__sub_relaxed(p, v) __atomic_fetch_sub(&(p)->atomic_, (v), __ATOMIC_RELAXED)
#define kolk__add_acq_rel(p, v)                                                            \
	(kolk__access(), __atomic_fetch_add(&(p)->atomic_, (v), __ATOMIC_ACQ_REL))
#define kolk__sub_acq_rel(p, v)                                                            \
	(kolk__access(), __atomic_fetch_sub(&(p)->atomic_, (v), __ATOMIC_ACQ_REL))
#define kolk__add_sc(p, v)                                                                 \
	(kolk__access(), __atomic_fetch_add(&(p)->atomic_, (v), __ATOMIC_SEQ_CST))

#define kolk__or_sc(p, v)                                                                  \
	(kolk__access(), __atomic_fetch_or(&(p)->atomic_, (v), __ATOMIC_SEQ_CST))
#define kolk__and_sc(p, v)                                                                 \
	(kolk__access(), __atomic_fetch_and(&(p)->atomic_, (v), __ATOMIC_SEQ_CST))

/* A full fence. ThreadSanitizer knows none; to it an exchange is one. */
#ifdef KOLK__TSAN
#define kolk__fence_sc() ((void)__atomic_exchange_n(&(int){ 0 }, 1, __ATOMIC_SEQ_CST))
#else
#define kolk__fence_sc() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

/* Compare and swap: true when *p was expected and is now desired. */
#define kolk__cas_acquire(p, expected, desired)                                            \
	(kolk__access(),                                                                   \
	 __atomic_compare_exchange_n(&(p)->atomic_, (expected), (desired), false,           \
				     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
#define kolk__cas_acq_rel(p, expected, desired)                                            \
	(kolk__access(),                                                                   \
	 __atomic_compare_exchange_n(&(p)->atomic_, (expected), (desired), false,           \
				     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
#define kolk__cas_sc(p, expected, desired)                                                 \
	(kolk__access(),                                                                   \
	 __atomic_compare_exchange_n(&(p)->atomic_, (expected), (desired), false,           \
				     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))

#define kolk__own(p) kolk__load_relaxed(p)
/* Readers see some value of it, never a torn one. */
#define kolk__own_add(p, v) kolk__store_relaxed((p), kolk__own(p) + (v))
#define kolk__own_sub(p, v) kolk__store_relaxed((p), kolk__own(p) - (v))

static inline void kolk__pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
