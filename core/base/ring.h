/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - a queue of tokens (32-bit numbers, by value) on ConcurrencyKit's ring. First in, first
 * out. No other file of the library includes ck_ring.h.
 *
 * May run together   put  take
 *             put     x    yes     x one producer at a time: the caller sees to it, and what it
 *             take   yes   yes       does that with (release to acquire) carries p_tail
 *
 * TOKEN.R1 (put, p_tail) -> TOKEN.A1 (take): the entry, and what the producer did before.
 * TOKEN.R2 (take, c_head) -> TOKEN.A2 (put): the entry was copied and may be overwritten. The order
 *     of put is the branch on c_head: a store does not run ahead of it.
 * Neither is a full fence: a caller that puts, or takes, and then looks at something else (SC
 * edges) has to add one.
 *
 * Emptiness: take loads c_head, then p_tail. Both only grow and c_head does not pass p_tail, so
 *     when they are equal the ring was empty at the moment of the second load. (ck's trydequeue
 *     also fails when another consumer was faster: it says nothing about emptiness.)
 * Progress:  put is wait-free. take is lock-free: its compare-and-swap fails only when another
 *     consumer took an entry; a thread that stops delays no other.
 * Admitted:  the counters have 32 bits. A consumer that stops between its copy and its
 *     compare-and-swap and goes on after an exact multiple of 2^32 further takes returns what the
 *     entry was.
 * A put that answers "full" may have seen an old c_head: it was full a moment ago.
 *
 * Processors: on x86-64 (TSO) ck's fences are compiler barriers. Elsewhere ck 0.7.1 and 0.7.2
 *     order the copy of an entry before the compare-and-swap on c_head with a fence of stores
 *     alone. The copy is a load, so another consumer could let the producer overwrite an entry
 *     that is not yet read (fixed after 0.7.2 as here: load-store). And put publishes with a
 *     fence of stores: what the producer loaded before would not be ordered; here it is.
 */
#ifndef KOLK_RING_H
#define KOLK_RING_H

#include <ck_pr.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/atomic.h"

/* Only while ck_ring.h is read: its functions are inline. */
#if defined(KOLK_CK_TSAN_H)
#define memcpy kolk__ck_copy
#elif !defined(CK_MD_TSO)
#define ck_pr_fence_store_atomic ck_pr_fence_load_store
#define ck_pr_fence_store ck_pr_fence_release
#endif
#include <ck_ring.h>
#if defined(KOLK_CK_TSAN_H)
#undef memcpy
#elif !defined(CK_MD_TSO)
#undef ck_pr_fence_store_atomic
#undef ck_pr_fence_store
#endif

struct kolk__token {
	uint32_t value;
};
CK_RING_PROTOTYPE(kolk__token, kolk__token)

/* c_head, p_tail and the rest each have a line when the ring begins one; its owner may use what
 * remains of the third for what is written as rarely as the size. */
struct kolk__ring {
	struct ck_ring ck;
};

/* size is a power of two, 2 at least: the ring holds size - 1. */
static inline void kolk__ring_init(struct kolk__ring *ring, uint32_t size)
{
	KOLK__ASSERT(size >= 2 && (size & (size - 1)) == 0);
	ck_ring_init(&ring->ck, size);
}

/* The one producer's. buffer: of size entries, the same in each call. False = full. */
static inline bool kolk__ring_put(struct kolk__ring *ring, uint32_t *buffer, uint32_t token)
{
	struct kolk__token entry = { token };

	/* TOKEN.R1 -> TOKEN.A1, TOKEN.A2 <- TOKEN.R2 */
	return ck_ring_enqueue_spmc_kolk__token(&ring->ck, (struct kolk__token *)(void *)buffer,
						&entry);
}

/* The oldest. False = it was empty at one moment, and *token is as it was. */
static inline bool kolk__ring_take(struct kolk__ring *ring, uint32_t *buffer, uint32_t *token)
{
	struct kolk__token entry;

	/* TOKEN.A1 <- TOKEN.R1, TOKEN.R2 -> TOKEN.A2 */
	if (!ck_ring_dequeue_spmc_kolk__token(&ring->ck, (struct kolk__token *)(void *)buffer,
					      &entry))
		return false;
	*token = entry.value;
	return true;
}

/* How many it holds; exact while no thread puts or takes. */
static inline uint32_t kolk__ring_count(const struct kolk__ring *ring)
{
	return ck_ring_size(&ring->ck);
}

#endif
