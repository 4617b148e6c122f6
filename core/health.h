/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.h - endpoint health: the circuit breaker, the learned idle time-out, suspicion.
 */
#ifndef KOLK_HEALTH_H
#define KOLK_HEALTH_H

#include <kolk/inspect.h>

#include "core/base/lock.h"

enum { KOLK__DIALS_SEEN = 20, KOLK__AGES = 3 };

struct kolk__health {
	struct kolk__lock lock;  /* a leaf */
	/* ---- the circuit */
	kolk__atomic_u32 state;  /* enum kolk_circuit; W: under lock. R: anyone (relaxed) */
	uint32_t failures;       /* dials that failed in a row */
	uint32_t history, seen;  /* the last dials, newest in bit 0: 1 = failed; how many */
	uint32_t opened;         /* times in a row: the back-off doubles */
	uint64_t early_close_at_ns;     /* when an early close was last counted (probation.c) */
	/* the last failed dial was an early close. R: anyone (relaxed) */
	kolk__atomic_bool probation;
	kolk__atomic_bool trial_dialing; /* half-open: one dial is under way; relaxed readers: hints */
	kolk__atomic_u64 until_ns; /* open: no dial before; relaxed readers: hints */
	/* ---- idle connections that the peer closed */
	uint64_t ages_ns[KOLK__AGES], ended_ns[KOLK__AGES]; /* how long idle, when */
	/* What it allows, less a margin; 0 = unknown. R: anyone (relaxed). */
	kolk__atomic_u64 idle_ns;
	kolk__atomic_u64 learned_at_ns;
	/* ---- suspicion */
	uint64_t suspected_at_ns;
};

/* The pool goes to another peer: nothing is known of it. */
void kolk__health_reset(struct kolk_pool *pool);

/* May a dial begin now? When the circuit is not closed, the caller's is the *trial that may close
 * it. false: *retry_ns says when to ask again. Any lock may be held. */
bool kolk__health_may_dial(struct kolk_pool *pool, uint64_t now_ns, bool *trial,
			   uint64_t *retry_ns);
/* The dial that was allowed did not begin. */
void kolk__health_not_dialled(struct kolk_pool *pool, bool trial);
/* A connection that was dialled at began_ns was closed early: from now on connections are on
 * probation. False: the dial began before the last of these was counted, and does not count. */
bool kolk__health_closed_early(struct kolk_pool *pool, uint64_t began_ns, uint64_t now_ns);
/* How a dial ended. True when the circuit closed: keys of the pool want to dial. */
bool kolk__health_dialled(struct kolk_pool *pool, enum kolk_err err, bool trial, uint64_t now_ns);
/* Would a caller that needs a dial be refused now? A hint. */
bool kolk__health_refuses(const struct kolk_pool *pool, uint64_t now_ns);

/* The peer closed a connection that was idle for so long. */
void kolk__health_idle_closed(struct kolk_pool *pool, uint64_t age_ns, uint64_t now_ns);
/* It said so itself (HTTP's Keep-Alive: timeout=). */
void kolk__health_idle_announced(struct kolk_pool *pool, uint64_t idle_ns, uint64_t now_ns);
/* What is known of it now, 0 = nothing. */
uint64_t kolk__health_learned_idle_ns(const struct kolk_pool *pool);
/* How long a connection may be idle: the pool's limit or the peer's. *peers = it is the peer's. */
uint64_t kolk__health_idle_ns(const struct kolk_pool *pool, bool *by_peer);

/* The peer reset a connection: its idle siblings are pinged before they are leased again. No
 * lock held. */
void kolk__health_suspect(struct kolk_pool *pool, uint64_t now_ns);

#endif
