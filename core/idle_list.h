/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle_list.h - where acquire finds an idle connection other than this thread's last one.
 *
 * The list holds tokens. Each position of a key's connection table has one, for as long as the
 * table lives, whichever connection is there. At any time the token is
 *   - in the list,
 *   - held by one thread, between take and what that thread then does with it, or
 *   - dropped, as the connection's word (NO_TOKEN) or the hole (no LISTED) then says.
 * So a list never holds more tokens than there are positions. A token is a number, not a pointer:
 * what is at that position is examined when the token is taken (take_by_token, idle.c).
 *
 * A token only points; the state word decides. A hit by the thread's cache leaves the token where
 * it is, and so does the first acquire of a key that the thread did not use last
 * (kolk__lease_first). A thread that takes a token and finds the connection leased drops the token,
 * and the holder puts it back when it makes the connection idle. Hence an idle connection's token
 * is in the list, or held by a thread that is about to examine this connection.
 *
 * Where a token is:
 *   - The first KOLK__BIT_TOKENS positions: a bit each, in one word.
 *   - The others: a list for each segment of the table, made of lanes, one per CPU but at most one
 *     per KOLK__LANE_MIN positions. Each thread starts at its own lane. A lane keeps the last
 *     tokens put in a few words, and those that they displace in a ring (base/ring.h). The ring has
 *     one producer at a time: a thread that finds another one there pushes onto the segment's stack
 *     instead of waiting. Marks say which lanes, and whether the stack, may hold tokens.
 *
 * Order. Low positions are taken first, so the surplus of a burst, which is at high ones, is not
 * used and ages; within a lane, what was put last.
 *
 * Edges. "then" stands for a full fence: on at least one side, the load sees what the other side's
 * store wrote.
 * MARK: put a token, then load its mark (clear: set) | clear a mark, then look again (found: set)
 * SC1:  put a token, make idle, then load the gate   | close the gate, then take tokens
 * DUTY: while a thread holds a token, or has cleared a mark that it is about to set again, a waiter
 *       can find the list empty. The connection that the thread takes will be released; for all
 *       others that it hid from the waiter it is responsible: if the gate is closed afterwards, it
 *       arms the key's alarm, which dispatches the waiters (kolk__hit_slow). Threads under key.lock
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

/* Make a list for this many positions, a power of two. NULL = there is no memory. */
struct kolk__idle_list *kolk__idle_list_new(struct kolk_engine *engine, uint32_t capacity);
void kolk__idle_list_free(struct kolk_engine *engine, struct kolk__idle_list *list);

/* Put the caller's token into the list. */
void kolk__token_put(struct kolk_key *key, uint32_t position);
/* Take a token. False = the list was empty at one moment. */
bool kolk__token_take(struct kolk_key *key, uint32_t *position);
/* Find the lowest position whose token is one of the bits, and leave the token there. False = there
 * is none. */
bool kolk__token_peek(struct kolk_key *key, uint32_t *position);
/* Return whether the list may hold tokens, by its marks: a hint. */
bool kolk__may_have_idle(const struct kolk_key *key);
/* For check.c: no other thread puts or takes. */
uint32_t kolk__tokens_count(const struct kolk_key *key);

#endif
