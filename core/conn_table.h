/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn_table.h - the connections of a key, each at a position.
 *
 * The table grows by segments, each twice as long as the one before it. Segments never move, so a
 * position is found without a lock, and growing copies nothing. A free position is a hole: its
 * entry links it to the next free one of its segment, and says (LISTED) whether the position's
 * token is in the idle list. Free positions of low segments are used first, so a key that has
 * shrunk uses few segments.
 *
 * KEY.R1 (table, segment published) -> KEY.A1 (read): its memory
 * KEY.R2 (entry stored)    -> KEY.A2 (entry read): the connection's memory and key
 *
 * Tokens (idle_list.h). Entries are written under key.lock, except that the thread that has taken
 * the token of a hole clears LISTED without it.
 */
#ifndef KOLK_CONN_TABLE_H
#define KOLK_CONN_TABLE_H

#include "core/key.h"

/* 4, 8, 16 ... positions: more than KOLK_CONNECTIONS_MAX. */
enum { KOLK__SEGMENTS = 19, KOLK__SEGMENT_MIN = 4, KOLK__SEGMENTS_NEAR = 2 };
_Static_assert((uint64_t)KOLK__SEGMENT_MIN * ((1u << KOLK__SEGMENTS) - 1) >= KOLK_CONNECTIONS_MAX,
	       "each connection has a position");
#define KOLK__NOWHERE UINT32_MAX /* a connection that stands in no table */

/* An entry is a connection, or a hole. Never used: 0, which is a hole, too. */
#define KOLK__HOLE UINT64_C(1)
#define KOLK__LISTED UINT64_C(2) /* its token is in the idle list, or taken by a thread that has yet
                                  * to look here */
enum { KOLK__HOLE_NEXT_SHIFT = 8 }; /* the next free one of the segment, + 1; 0 = none */

struct kolk__segment {
	uint32_t capacity;         /* constant */
	uint32_t open;             /* under key.lock: connections in it */
	uint32_t used;             /* under key.lock: entries from here on were never used */
	uint32_t free;             /* under key.lock: the first free one below used, + 1; 0 = none */
	struct kolk__idle_list *idle; /* constant; NULL = its tokens are bits of the table */
	kolk__atomic_u64 entry[];  /* W: above. R: anyone */
};

typedef KOLK__ATOMIC(struct kolk__segment *) kolk__segment_ptr;

/* W: under key.lock. R: anyone. Pairs: KEY.R1/A1 */
struct kolk__conn_table {
	/* W: anyone, by atomic or and and. Means: which tokens of the first KOLK__BIT_TOKENS
	 * positions are in the idle list. */
	kolk__atomic_u64 bits;
	kolk__segment_ptr near[KOLK__SEGMENTS_NEAR];
	KOLK__ATOMIC(kolk__segment_ptr *) far; /* the others; NULL = there are none */
	/* Under key.lock: walks that are in it, and count connections that leave before they are
	 * reached. */
	struct kolk__walk *walks;
};

/* The first position of a segment, and the segment of a position. */
static inline uint32_t kolk__segment_begin(uint32_t segment)
{
	return KOLK__SEGMENT_MIN * ((1u << segment) - 1);
}

static inline uint32_t kolk__segment_of(uint32_t position)
{
	return 31 - (uint32_t)__builtin_clz(position / KOLK__SEGMENT_MIN + 1);
}

/* NULL = it does not exist yet, nor do those after it. */
static inline struct kolk__segment *kolk__segment_at(const struct kolk__conn_table *table,
						     uint32_t i)
{
	const kolk__segment_ptr *far;

	if (i < KOLK__SEGMENTS_NEAR)
		return kolk__load_acquire(&table->near[i]); /* KEY.A1 <- KEY.R1 */
	far = kolk__load_acquire(&table->far); /* KEY.A1 <- KEY.R1 */
	return far == NULL || i >= KOLK__SEGMENTS ? NULL :
						    kolk__load_acquire(&far[i - KOLK__SEGMENTS_NEAR]);
}

/* The connection of an entry; NULL = a hole. */
static inline struct kolk__conn *kolk__conn_of_entry(uint64_t entry)
{
	return entry == 0 || (entry & KOLK__HOLE) ? NULL : (struct kolk__conn *)(uintptr_t)entry;
}

/* The entry of a position that was used. */
static inline kolk__atomic_u64 *kolk__conn_entry(struct kolk__conn_table *table, uint32_t position)
{
	uint32_t i = kolk__segment_of(position);
	struct kolk__segment *segment = kolk__segment_at(table, i);

	return &segment->entry[position - kolk__segment_begin(i)];
}

/* All under key.lock. */
enum kolk_err kolk__conn_table_add(struct kolk_key *key, struct kolk__conn *conn);
void kolk__conn_table_remove(struct kolk_key *key, struct kolk__conn *conn);
void kolk__conn_table_free(struct kolk_key *key);
/* Return whether this is a connection of the key; if so, it stays one while the lock is held. */
bool kolk__conn_table_has(const struct kolk_key *key, const struct kolk__conn *conn);
/* For check.c: positions that say that their token is in the idle list. */
uint32_t kolk__conn_table_listed(const struct kolk_key *key);
/* Find the first connection at or after position *at, and set *at to the position after it.
 * NULL = there is none, and *at is KOLK__NOWHERE; or *steps positions were passed, and there may be
 * more from *at on. steps NULL = no bound, for check.c only: all others walk in slices (walk.h). */
struct kolk__conn *kolk__conn_next(struct kolk_key *key, uint32_t *at, uint32_t *steps);

#endif
