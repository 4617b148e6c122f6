/* SPDX-License-Identifier: Apache-2.0 */
/*
 * members.h - the connections that a limit of a tenant or of a pool counts, and what victim
 * searches remember of a limit. All of it under accounting.
 *
 * The members are in a circle; a search visits some from the hand on, and moves the hand behind
 * them. A new member is linked behind the hand, which then goes one further: so neighbours were
 * opened at different times, and each stretch of the circle is a sample of all ages. For the
 * engine's limit there is no circle: all connections are in an array (search.c).
 */
#ifndef KOLK_MEMBERS_H
#define KOLK_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

struct kolk_engine;
struct kolk_key;
struct kolk__conn;
struct kolk__limit;

enum {
	KOLK__SEARCH_SLICE = 64, /* connections that a caller visits, or that are visited under a
				  * lock */
	KOLK__SEARCH_FEW = 32,   /* that a caller visits beside a candidate that it may evict */
	KOLK__CANDIDATES = 32,   /* idle connections that searches remember */
	KOLK__HANDED_OVER = 16   /* keys that maintenance is to search for */
};

/* An idle connection, and since when it was idle when it was visited. */
struct kolk__candidate {
	struct kolk__conn *conn;
	uint64_t since_ns;
};

struct kolk__members {
	uint32_t hand;             /* 0 = none, or index + 1; of the engine: slices so far */
	uint32_t evictions;        /* those that close for a key that waits for the limit */
	/* When the last search of all of them ended, if it saw none idle; or 0. */
	uint64_t none_idle_at_ns;
	struct kolk_key *victim;   /* from which it would reclaim; a hint: may be recycled */
};

/* A connection's neighbours, by index: of its tenant [0] and of its pool [1]. */
struct kolk__links {
	uint32_t next[2], prev[2];
};

/* members.c */
void kolk__member_add(struct kolk_engine *engine, struct kolk__limit *limit, uint32_t index);
void kolk__member_remove(struct kolk_engine *engine, struct kolk__limit *limit, uint32_t index);
/* The next members, up to this many or all of them; returns how many. */
uint32_t kolk__members_next(struct kolk_engine *engine, struct kolk__limit *limit,
			    struct kolk__conn **conns, uint32_t most);
/* How many there are, by a walk of all: for the audit. */
uint32_t kolk__members_count(struct kolk_engine *engine, const struct kolk__limit *limit);

#endif
