/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h - the named upstreams of an engine. */
#ifndef KOLK_POOL_INTERNAL_H
#define KOLK_POOL_INTERNAL_H

#include "core/engine.h"
#include "core/walk.h"

enum kolk__pool_state { KOLK__OPEN, KOLK__DRAINING, KOLK__NOTIFYING, KOLK__CLOSED };

enum { KOLK__PLACES = 4, KOLK__DRAWS_MAX = 8 };

struct kolk_pool {
	struct kolk_engine *engine;    /* constant */
	struct kolk__upstream *upstream;   /* may be replaced; dials take a reference */
	struct kolk__lock upstream_lock; /* a leaf: dials do not wait for a walk of all keys */
	struct kolk__lock lock;        /* the table of keys, the name, the state's changes */
	/* W: under lock; from NOTIFYING on the notifying thread (drain_done.c). R: anyone
	 * (acquire). */
	kolk__atomic_u32 state;
	kolk__atomic_u32 open;         /* W: under accounting. Connections, all keys; <= limit */
	uint32_t refs;                 /* under accounting: while > 0 it is not closed */
	uint32_t holds;                /* under accounting. Of refs: kolk_key_hold */
	kolk__atomic_u32 dialing;      /* W: under accounting; <= dials_max */
	kolk__atomic_u32 idle;         /* sum of key.idle, with the same rules */
	kolk__atomic_u32 shrinking; /* W: under accounting. Of open: closing for a lowered limit */
	struct kolk__limit limit;                        /* keys that wait for connections or dials
	                                                  * of the pool */
	struct kolk__audit audit;      /* under registry and accounting */
	kolk__atomic_u32 epoch;        /* sc: rotations so far */
	uint32_t isolation;            /* constant, as resource: an update refuses to change it */
	uint64_t replacements;         /* under lock: so far (key_open.c) */
	bool suspended;                /* under lock: DRAINING or CLOSED only until it is resumed */
	bool creating;                   /* while its own key is made: that has no session, whatever
	                                  * the isolation */
	/* Its options with all defaults filled in: a snapshot, replaced as a whole (settings.c). W:
	 * under lock. R: anyone, by kolk__setting. Texts and pointers in it are NULL. */
	KOLK__ATOMIC(struct kolk_pool_options *) settings;
	struct kolk_pool_options snapshots[2];
	bool resource;
	/* The pools that it draws from; NULL = that pool is freed. W: under registry. */
	struct kolk_pool *draws_from[KOLK__DRAWS_MAX];
	uint32_t dependants;           /* under accounting: pools that draw from it and are not
	                                * CLOSED */
	bool drain_waits;              /* under lock, as are the next two: it drains when its
	                                * dependants are closed */
	bool drain_suspends;
	uint64_t drain_deadline_ns;
	uint8_t account_class;         /* constant: KOLK__DRAWING if it draws from others */
	kolk__atomic_bool must_reset;  /* W: under lock. R: releases (relaxed) */
	struct kolk__health health; /* what was learned of its peer */
	uint8_t *identity;             /* under lock: canonical bytes (identity.h) */
	size_t identity_size;
	struct kolk__alarm drain_alarm;
	/* For the log: callers refused, by why, over all pools that this memory has held. W: the
	 * refusing thread (relaxed: statistic). R: maintenance. */
	kolk__atomic_u64 refused[KOLK_REFUSALS];
	uint64_t refused_logged[KOLK_REFUSALS]; /* W, R: maintenance */
	/* W: maintenance. R: the refusing thread (relaxed: a time) */
	kolk__atomic_u64 refused_log_at_ns;
	kolk__atomic_u32 refused_armed; /* 1 = refused_alarm is armed, or about to be */
	struct kolk__alarm refused_alarm;
	struct kolk_key *key;          /* the key without tenant */
	struct kolk__hash_table key_table; /* under lock */
	struct kolk_key *keys;         /* under lock: all, newest first */
	struct kolk__walk *walks;      /* under lock: over its keys, underway */
	/* Under lock: where lists of keys that are read in pieces (inspect.c) continue: after this
	 * number; 0 = unused. */
	struct kolk__place {
		uint64_t after;
		struct kolk_key *next;
	} places[KOLK__PLACES];
	uint32_t place_last;           /* the youngest of them */
	struct kolk__counters retired; /* of keys that are gone */
	struct kolk__many retired_many;
	struct kolk__hists hists;
	struct kolk_pool *next;        /* under engine.registry */
	char name[64];
};

/* The current value of an option of a pool. O2 <- O1 (settings.c). */
#define kolk__setting(pool, name) \
	kolk__load_relaxed(kolk__as_atomic(&kolk__load_acquire(&(pool)->settings)->name))

/* Return whether it has idle_max or pool_idle_max (idle_max.c). Constant for its life. */
static inline bool kolk__counts_idle(const struct kolk_pool *pool)
{
	return kolk__setting(pool, idle_max) != KOLK_UNLIMITED ||
	       kolk__setting(pool, pool_idle_max) != KOLK_UNLIMITED;
}

/* Remove it from the engine's list and free its parts. Nothing of it may be in use. */
void kolk__pool_free(struct kolk_pool *pool);
/* What its keys may do has changed: let each serve waiters and dial. No lock held. */
void kolk__pool_dispatch(struct kolk_pool *pool);
/* A limit above pools changed. No lock held. */
void kolk__limits_changed(struct kolk_engine *engine);
/* Take the registry lock if the pool is in the registry, which keeps it; false, with no lock held,
 * if it is not: the handle was closed meanwhile. */
bool kolk__registry_lock_for(struct kolk_pool *pool);
void kolk__registry_unlock_for(struct kolk_pool *pool);

#endif
