/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search.h - a victim search: which connections are visited, and what it found (search.c).
 *
 *     kolk__search_fill(&search, who, all);
 *     kolk__search_begin(&search);            under accounting
 *     kolk__search_run(&search);              under no lock
 *     kolk__search_end(&search, now_ns);      under accounting
 */
#ifndef KOLK_SEARCH_H
#define KOLK_SEARCH_H

#include "core/permits.h"

struct kolk__search {
	const struct kolk__requester *who;
	struct kolk__account *requester;
	const struct kolk_pool *pool; /* NULL = any */
	bool own;                     /* only of the requester itself */
	uint32_t requester_share;      /* with one more connection */
	uint64_t now_ns;
	uint64_t lent_before_ns;      /* a connection idle since before then may be lent */
	bool starved;                 /* its key has waited for lend_after without a connection */
	bool all;                     /* more than one slice: a search by maintenance */
	uint32_t population, visits;  /* connections that the limit counts; visited of these */
	uint32_t slice;               /* the next one of the engine's */
	uint32_t slice_size;          /* visits of one slice, at most */
	bool few;                     /* a candidate may be evicted: a smaller slice is enough */
	bool none_idle;               /* no idle connection was seen so far */
	bool known;                   /* a complete search saw no idle connection, a moment ago */
	uint64_t known_until_ns;
	struct kolk__candidate hints[KOLK__CANDIDATES]; /* what earlier searches found idle */
	uint32_t hint_count;
	struct kolk__candidate found[KOLK__CANDIDATES]; /* those idle for longest, in that order */
	uint32_t found_count;
	struct kolk__conn *idle;      /* found: idle for the longest time, and may be evicted */
	uint64_t idle_since_ns;
	struct kolk_key *victim;      /* found: a leased connection's key, of the largest share */
	struct kolk__account *victim_account;
	uint32_t victim_share;
	struct kolk_key *sibling;     /* found: the requester's own key with the most connections */
	uint32_t sibling_open, sibling_share; /* its connections; up to this many it keeps all */
};

/* Prepare a search for this key: of one slice; or, with all, on until one is idle, or none is. The
 * key may have been recycled: then the choice is worse, not wrong. */
void kolk__search_fill(struct kolk__search *search, const struct kolk__requester *who, bool all);
/* Begin with what earlier searches left. Under accounting. */
void kolk__search_begin(struct kolk__search *search);
/* No lock held. */
void kolk__search_run(struct kolk__search *search);
/* Leave what later searches begin with. Under accounting. */
void kolk__search_end(const struct kolk__search *search, uint64_t now_ns);
/* Were all connections visited, or as many as one search may visit? */
bool kolk__search_is_complete(const struct kolk__search *search);
/* May a connection of this key be evicted that has been idle since since_ns? */
bool kolk__search_may_evict(const struct kolk__search *search, struct kolk_key *key,
			    uint64_t since_ns);

#endif
