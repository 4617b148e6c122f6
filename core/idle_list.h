/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle_list.h - where acquire finds an idle connection that is not this thread's last one.
 *
 * The list holds tokens. Each position of a key's connection table has one, for as long as the
 * table lives, whichever connection stands there. At any time it is
 *   - in the list,
 *   - in the hand of one thread, between take and what that thread then does with it, or
 *   - dropped, which the connection's word (NO_TOKEN) or the hole (no LISTED) says.
 * So a list never holds more tokens than there are positions, and a token is a number, not a
 * pointer: what stands there by now is looked at when it is taken (take_by_token, idle.c).
 *
 * A token points, the state word decides. A hit by the thread's cache leaves the token where it is,
 * and so does the first acquire of a key that the thread did not use last (kolk__lease_first); who
 * takes a token and finds the connection leased drops it, and its holder puts it back when it makes
 * it idle. Hence: an idle connection's token is in the list, or in the hand of a thread that
 * looks at this connection next.
 *
 * Where a token is:
 *   - The first KOLK__BIT_TOKENS positions: a bit each, in one word.
 *   - Beyond, a list per segment of the table, of lanes: one per CPU, and at most one per
 *     KOLK__LANE_MIN positions. A thread uses one of them first. A lane keeps what was put last in
 *     a few words, and what is displaced there in a ring (base/ring.h). The ring has one producer
 *     at a time: a thread that finds another there pushes onto the segment's stack instead of
 *     waiting. Marks say which lanes, and whether the stack, may hold something.
 *
 * Order. Low positions are taken first, so the surplus of a burst, which stands at high ones, is
 * not used and ages; among equals, what was put last.
 *
 * Edges. "Then" is a full fence between the two: on one side or the other the second load sees
 * what the first store wrote.
 * MARK: put a token, then load its mark (clear: set) | clear a mark, then look again (found: set)
 * SC1:  put a token, make idle, then load the gate   | close the gate, then take tokens
 * DUTY: while a thread has a token in its hand, or has cleared a mark that it is about to set
 *       again, a waiter can find the list empty. That thread takes a connection, which it will
 *       release; but what else it kept from the waiter it answers for: when the gate is closed
 *       then, it has the key's alarm dispatch the waiters (kolk__hit_slow). Threads under key.lock
 *       exclude the waiter; while the gate is a time, the first waiter was signalled and looks
 *       again by itself (wait.h).
 * The model of all of them is tests/model/idle.pml.
 *
 * Progress: put is lock-free (wait-free but for the stack), take is lock-free; neither waits for a
 * thread that has stopped.
 * Reclaims: lists live as long as the table, which lives while the key has a reference or a
 * connection: callers have one or the other.
 */
#ifndef KOLK_IDLE_LIST_H
#define KOLK_IDLE_LIST_H

#include "core/conn_table.h"

enum {
	KOLK__BIT_TOKENS = 60,   /* four segments */
	KOLK__LANE_MIN = 64,
	KOLK__LANES_MAX = 32,
	KOLK__STALE_MAX = 64,    /* tokens of what is not idle that one acquire passes over */
};
_Static_assert(KOLK__BIT_TOKENS == KOLK__SEGMENT_MIN * 15, "whole segments");

/* For so many positions, a power of two. NULL = there is no memory. */
struct kolk__idle_list *kolk__idle_list_new(struct kolk_engine *engine, uint32_t capacity);
void kolk__idle_list_free(struct kolk_engine *engine, struct kolk__idle_list *list);

/* The caller's token goes into the list. */
void kolk__token_put(struct kolk_key *key, uint32_t position);
/* False = the list was empty at one moment. */
bool kolk__token_take(struct kolk_key *key, uint32_t *position);
/* The lowest position of those with a bit whose token is in the list, where it stays. False = none
 * of them is. */
bool kolk__token_peek(struct kolk_key *key, uint32_t *position);
/* A hint: false = it was empty, as far as marks tell. */
bool kolk__may_have_idle(const struct kolk_key *key);
/* For check.c: no other thread puts or takes. */
uint32_t kolk__tokens_count(const struct kolk_key *key);

#endif
