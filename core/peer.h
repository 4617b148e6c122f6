/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.h - what a pool has learned of the peer that it dials: does it answer, how long does
 * it keep idle connections, is it up to something?
 */
#ifndef KOLK_PEER_H
#define KOLK_PEER_H

#include <kolk/inspect.h>

#include "core/base/lock.h"

struct kolk__conn;

enum { KOLK__DIALS_SEEN = 20, KOLK__AGES = 3 };

struct kolk__peer {
	struct kolk__lock lock;  /* a leaf */
	/* ---- the circuit */
	kolk__atomic_u32 state;  /* enum kolk_circuit; W: under lock. R: anyone (relaxed) */
	uint32_t failures;       /* dials that failed in a row */
	uint32_t history, seen;  /* the last dials, newest in bit 0: 1 = failed; how many */
	uint32_t opened;         /* times in a row: the back-off doubles */
	uint64_t died_at_ns;     /* when one that died young was last counted (young.c) */
	kolk__atomic_bool doubted; /* the last that failed died young. R: anyone (relaxed) */
	kolk__atomic_bool probing; /* half-open: one dial is under way; relaxed readers: hints */
	kolk__atomic_u64 until_ns; /* open: no dial before; relaxed readers: hints */
	/* ---- idle connections that the peer closed */
	uint64_t ages_ns[KOLK__AGES], ended_ns[KOLK__AGES]; /* how long idle, when */
	/* What it allows, less a margin; 0 = unknown. R: anyone (relaxed). */
	kolk__atomic_u64 idle_ns;
	kolk__atomic_u64 learned_at_ns;
	/* ---- suspicion */
	uint64_t suspected_at_ns;
};

/* It is somebody else from now on: nothing is known of him. */
void kolk__peer_forget(struct kolk_pool *pool);

/* May a dial begin now? When the circuit is not closed, the caller's is the *probe of it.
 * false: *retry_ns says when to ask again. Any lock may be held. */
bool kolk__peer_dial(struct kolk_pool *pool, uint64_t now_ns, bool *probe, uint64_t *retry_ns);
/* The dial that was allowed did not begin. */
void kolk__peer_not_dialled(struct kolk_pool *pool, bool probe);
/* What a dial that began then made died young: from now on a connection has to prove itself.
 * False: it began before the last of these was counted, and does not count. */
bool kolk__peer_doubt(struct kolk_pool *pool, uint64_t began_ns, uint64_t now_ns);
/* How a dial ended. True when the circuit closed: keys of the pool want to dial. */
bool kolk__peer_dialled(struct kolk_pool *pool, enum kolk_err err, bool probe, uint64_t now_ns);
/* Would a caller who needs a dial be refused now? A hint. */
bool kolk__peer_refuses(const struct kolk_pool *pool, uint64_t now_ns);

/* The peer closed a connection that was idle for so long. */
void kolk__peer_idled(struct kolk_pool *pool, uint64_t age_ns, uint64_t now_ns);
/* It said so itself (HTTP's Keep-Alive: timeout=). */
void kolk__peer_told(struct kolk_pool *pool, uint64_t idle_ns, uint64_t now_ns);
/* What is known of it now, 0 = nothing. */
uint64_t kolk__peer_learned_ns(const struct kolk_pool *pool);
/* How long a connection may be idle: the pool's limit or the peer's. *peers = it is the peer's. */
uint64_t kolk__peer_idle_ns(const struct kolk_pool *pool, bool *peers);

/* The peer reset a connection: its idle siblings are pinged before they are leased again. No
 * lock held. */
void kolk__peer_suspect(struct kolk_pool *pool, uint64_t now_ns);

#endif
