/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle.pml - the idle lists of one key: tokens, marks, NO_TOKEN and the gate, checked exhaustively.
 *
 * Connections stand at positions. A position has one token: in the list, in the hand of a thread,
 * or dropped, which its connection's word (NO_TOKEN) or its hole (not LISTED) says. Every access to
 * the list, a mark, a word, a position, an entry and the gate is a step of its own; what is atomic
 * is one access, or a compare-and-swap with what the model only observes.
 *
 *   in the code                                    here
 *   kolk__token_put, mark            (MARK)        put()
 *   kolk__token_take, marked_take    (MARK)        take_token()
 *   take_by_token (idle.c)                         take_by_token()
 *   kolk_release, release_by_token   (SC1)         release(), set_idle(), look_at_gate()
 *   kolk__dispatch_waiters           (SC1)         dispatch()
 *   kolk__hit_slow                   (DUTY)        taker
 *   a signalled waiter's give_up     (DUTY)        overtaken
 *   kolk__evict, kolk__conn_table_remove, _add     evictor
 *
 * The list is a word that is exchanged, a ring, and a stack for what the ring does not take because
 * it has a producer; which of the two it is, is left open here. One mark stands for word and ring,
 * one for the stack. The ring itself is ConcurrencyKit's: put and take are single steps.
 *
 * Configurations: WAIT, LIST, PAIR, EVICT, OVERTAKEN (tests/model/run). Proved when all has come to rest: no waiter
 * sleeps beside an idle connection; the token of each position is in the list, or dropped, and not
 * both; the mark of what holds a token is set; an idle connection's token is in the list. On the
 * way: no connection is taken twice, or by the token of a position where it does not stand; no
 * token is put that is there already. Each way of weakening it (a name in capitals) must fail.
 */
#define NONE 9
#define OPEN 0
#define STOP 1
#define UNTIL 2 /* a time: the first waiter is signalled, and may be overtaken */

/* state word: generation, NO_TOKEN, state */
#define FREE 0
#define DIALING 1
#define IDLE 2
#define LEASED 3
#define BUSY 4
#define CLOSING 5
#define STATE(word) ((word) & 15)
#define WITH(word, state) ((word) - STATE(word) + (state))
#define NO_TOKEN 16
#define GENERATION 32
#ifdef SAME_GENERATION
#define LEAVING 0
#else
#define LEAVING GENERATION
#endif

/* entry: a connection, or a hole */
#define HOLE 4
#define LISTED 5

/* a connection's position: in this key, in none, in another key */
#define NOWHERE 7
#define ELSEWHERE 8

/* marks */
#define LANE 1
#define STACK 2

#ifdef WAIT
#define POSITIONS 1
#else
#define POSITIONS 2
#endif

byte word[2], at[2], entry[2];
byte slot;        /* a token + 1 */
byte ring, stack; /* sets of tokens */
byte marks;
byte gate;
bit lock, waiting;
bit signalled;    /* a waiter before the other one, that looks by itself */

/* observed */
byte holders[2];
byte stands[2]; /* position of the word's present life: what its position says when it is not being changed */

inline acquire_lock() { atomic { !lock -> lock = 1 } }
inline release_lock() { lock = 0 }

/* ---- the list */

inline set_mark(which)
{
#ifdef PUT_BLIND
	skip
#else
	if
	:: !(marks & which) -> marks = marks | which
	:: else -> skip
	fi
#endif
}

inline put(p, old)
{
	d_step {
		assert(slot != p + 1 && !((ring | stack) & (1 << p)));
		old = slot;
		slot = p + 1
	};
	if
	:: old != 0 -> ring = ring | (1 << (old - 1))
	:: old != 0 -> stack = stack | (1 << (old - 1)); set_mark(STACK)
	:: old == 0 -> skip
	fi;
	old = 0;
	set_mark(LANE)
}

inline pop(set, p)
{
	atomic {
		if
		:: set & 1 -> set = set - 1; p = 0
		:: set & 2 -> set = set - 2; p = 1
		:: set == 0 -> p = NONE
		fi
	}
}

inline lane_take(p)
{
	d_step {
		p = NONE;
		if :: slot != 0 -> p = slot - 1; slot = 0 :: else -> skip fi
	};
	if :: p == NONE -> pop(ring, p) :: else -> skip fi
}

inline take_token(p, seen)
{
	seen = marks;
	p = NONE;
	if
	:: seen & LANE ->
		lane_take(p);
		if
		:: p == NONE ->
			d_step { marks = marks & STACK };
#ifndef ONE_LOOK
			lane_take(p);
			if :: p != NONE -> d_step { marks = marks | LANE } :: else -> skip fi
#endif
		:: else -> skip
		fi
	:: else -> skip
	fi;
	if
	:: p == NONE && (seen & STACK) ->
		pop(stack, p);
		if
		:: p == NONE ->
			d_step { marks = marks & LANE };
#ifndef ONE_LOOK
			pop(stack, p);
			if :: p != NONE -> d_step { marks = marks | STACK } :: else -> skip fi
#endif
		:: else -> skip
		fi
	:: else -> skip
	fi;
	seen = 0
}

/* ---- connections */

/* The caller has the token of p. c = the connection there, now leased, or NONE. */
inline take_by_token(p, c, w, old)
{
	do
	:: c = entry[p];
		if
		:: c >= HOLE ->
			atomic {
				if
				:: entry[p] == c -> assert(c == LISTED); entry[p] = HOLE; c = NONE; break
				:: else -> skip
				fi
			}
		:: else ->
			w = word[c];
			if
			:: at[c] != p -> put(p, old); c = NONE; w = 0; break /* it leaves just now */
			:: else ->
				atomic {
					if
					:: word[c] == w ->
						assert(stands[c] == p && !(w & NO_TOKEN));
						if
						:: STATE(w) == IDLE ->
							assert(holders[c] == 0 && w < 7 * GENERATION);
							holders[c]++;
							word[c] = WITH(w, LEASED) + NO_TOKEN + GENERATION
						:: else -> word[c] = w + NO_TOKEN; c = NONE
						fi;
						w = 0;
						break
					:: else -> skip
					fi
				}
			fi
		fi
	od
}

/* Served under the lock, where no connection leaves. The waiter that was signalled serves itself. */
inline dispatch(p, c, w, seen, old)
{
#ifndef WEAK_WAITER
	gate = STOP; /* SC1: first the gate, then the list */
#endif
	do
	:: !waiting || signalled -> break
	:: waiting && !signalled ->
		take_token(p, seen);
		if
		:: p == NONE -> break
		:: else ->
			take_by_token(p, c, w, old);
			if :: c != NONE -> d_step { waiting = 0; c = NONE } :: else -> skip fi
		fi
	od;
	p = 0; c = 0;
	atomic {
		if
		:: signalled -> gate = UNTIL
		:: !signalled && waiting -> gate = STOP
		:: else -> gate = OPEN
		fi
	}
}

inline look_at_gate(p, c, w, seen, old)
{
	if
	:: gate == STOP -> acquire_lock(); dispatch(p, c, w, seen, old); release_lock()
	:: else -> skip
	fi
}

/* A word without NO_TOKEN becomes idle, if it is still that. */
inline cas_to_idle(mine, w, done)
{
#ifdef PLAIN_STORE
	done = (word[mine] == w);
	if
	:: done -> d_step { word[mine] = WITH(w, IDLE); holders[mine]--; w = 0 }
	:: else -> skip
	fi
#else
	d_step {
		done = (word[mine] == w);
		if :: done -> word[mine] = WITH(w, IDLE); holders[mine]--; w = 0 :: else -> skip fi
	}
#endif
}

/* The holder's, in BUSY or DIALING. */
inline set_idle(mine, p0, w, done, old)
{
	do
	:: w = word[mine];
		if
		:: !(w & NO_TOKEN) -> cas_to_idle(mine, w, done)
		:: else -> skip
		fi;
		if :: done -> done = 0; break :: else -> skip fi;
		d_step { assert(word[mine] & NO_TOKEN); word[mine] = word[mine] - NO_TOKEN; w = 0 };
#ifdef EARLY_LOOK
		early = gate;
#endif
#ifdef PUT_TWICE
		put(p0, old);
#endif
		put(p0, old)
	od
}

/* mine stands at p0 and is this caller's; w is its lease word. */
inline release(mine, p0, p, c, w, done, seen, old)
{
	cas_to_idle(mine, w, done);
	if
	:: !done -> atomic { word[mine] = WITH(word[mine], BUSY); w = 0 }; set_idle(mine, p0, w, done, old)
	:: else -> done = 0
	fi;
#ifdef EARLY_LOOK
	if
	:: early == OPEN -> skip
	:: else -> look_at_gate(p, c, w, seen, old)
	fi
#elif !defined(NO_LOOK)
	look_at_gate(p, c, w, seen, old)
#endif
}

/* ---- threads */

/* Holds a connection at first. Then it may come again: a hit by its cache, which leaves the token. */
proctype releaser(byte mine; bool again)
{
	byte p, c, w, seen, old, home = mine;
	bool done;
#ifdef EARLY_LOOK
	bit early = STOP;
#endif

	w = word[mine] & (255 - NO_TOKEN);
	release(mine, home, p, c, w, done, seen, old);
	if
	:: again -> atomic {
			if
			:: STATE(word[mine]) == IDLE && stands[mine] == home ->
				assert(holders[mine] == 0 && word[mine] < 7 * GENERATION);
				holders[mine]++;
				w = WITH(word[mine], LEASED) + GENERATION;
				word[mine] = w
			:: else -> skip
			fi
		};
		if
		:: w != 0 -> release(mine, home, p, c, w, done, seen, old)
		:: else -> skip
		fi
	:: else -> skip
	fi;
	mine = 0;
	home = 0
}

/* Looks when the gate was open or a time, at as many tokens as it likes. It may keep what it gets. */
proctype taker()
{
	byte p, c, w, seen, old, began;

	began = gate;
	if
	:: began != STOP ->
		do
		:: take_token(p, seen);
			if :: p == NONE -> c = NONE; break :: else -> skip fi;
			take_by_token(p, c, w, old);
			if
			:: c != NONE -> break
			:: c == NONE -> skip
			:: c == NONE -> break
			fi
		od;
		p = 0;
		c = 0;
#ifdef OPEN_DUTY
		if :: began == OPEN -> look_at_gate(p, c, w, seen, old) :: else -> skip fi
#elif !defined(NO_DUTY)
		look_at_gate(p, c, w, seen, old)
#endif
	:: else -> skip
	fi;
	began = OPEN
}

/* The first waiter, which was signalled and may be overtaken. It gives up: the next one's turn. */
proctype overtaken()
{
	byte p, c, w, seen, old;

	acquire_lock();
	signalled = 0;
	dispatch(p, c, w, seen, old);
	release_lock()
}

proctype waiter()
{
	byte p, c, w, seen, old;

	acquire_lock();
	waiting = 1;
	dispatch(p, c, w, seen, old);
	release_lock();
end:	!waiting
}

/* Takes connection 0, at position 0, out of idle without its token, and closes it. It, or connection
 * 1, is then dialled for the position; before that, 0 may be dialled for another key. */
proctype evictor()
{
	byte p, c, w, seen, old, new;
	bool done;
#ifdef EARLY_LOOK
	bit early = STOP;
#endif

	atomic {
		STATE(word[0]) == IDLE || STATE(word[0]) == LEASED;
		if
		:: STATE(word[0]) == IDLE ->
			assert(holders[0] == 0); holders[0]++; word[0] = WITH(word[0], CLOSING)
		:: else -> goto over
		fi
	};
	acquire_lock();
#ifdef LATE_POSITION
	d_step { w = word[0]; word[0] = WITH(w, FREE) - (w & NO_TOKEN) + LEAVING; stands[0] = NOWHERE };
	at[0] = NOWHERE;
#else
	at[0] = NOWHERE;
#ifdef PLAIN_LEAVE
	w = word[0];
#endif
	d_step {
#ifndef PLAIN_LEAVE
		w = word[0];
#endif
		word[0] = WITH(w, FREE) - (w & NO_TOKEN) + LEAVING;
		stands[0] = NOWHERE
	};
#endif
	atomic {
#ifdef FORGET_LISTED
		entry[0] = HOLE;
#else
		if :: w & NO_TOKEN -> entry[0] = HOLE :: else -> entry[0] = LISTED fi;
#endif
		w = 0; holders[0]--
	};
	release_lock();
	if
	:: true -> new = 0
	:: true -> /* 0 goes to another key, and is idle there */
		new = 1;
		word[0] = WITH(word[0], DIALING);
		d_step { at[0] = ELSEWHERE; stands[0] = ELSEWHERE };
		word[0] = WITH(word[0], IDLE)
	fi;
	word[new] = WITH(word[new], DIALING);
	acquire_lock();
	d_step { holders[new]++; at[new] = 0; stands[new] = 0 };
#ifdef PLAIN_ENTRY
	c = entry[0];
	if
	:: c == LISTED -> entry[0] = new
	:: else -> word[new] = word[new] + NO_TOKEN; entry[0] = new
	fi;
#else
	atomic {
		if
		:: entry[0] == LISTED -> entry[0] = new; w = 1
		:: else -> w = 0
		fi
	};
	if
	:: w == 0 -> word[new] = word[new] + NO_TOKEN; entry[0] = new
	:: else -> w = 0
	fi;
#endif
	c = 0;
	release_lock();
	set_idle(new, 0, w, done, old);
	look_at_gate(p, c, w, seen, old);
over:	new = 0
}

/* ---- when all has come to rest */

inline check_position(p)
{
	n = (slot == p + 1) + ((ring >> p) & 1) + ((stack >> p) & 1);
	if
	:: entry[p] >= HOLE -> assert(n == entry[p] - HOLE)
	:: else -> assert(n == !(word[entry[p]] & NO_TOKEN));
		assert(!waiting || STATE(word[entry[p]]) != IDLE)
	fi;
	assert((slot == 0 && ring == 0) || (marks & LANE));
	assert(stack == 0 || (marks & STACK))
}

proctype judge()
{
	byte n;

	timeout;
	d_step {
		assert(!lock);
		check_position(0);
#if POSITIONS == 2 && !defined(EVICT)
		check_position(1);
#endif
		n = 0
	}
}

/* A connection at its position; its token is in the list, or dropped. */
inline place(c, state, listed)
{
	word[c] = state + (listed -> 0 : NO_TOKEN);
	at[c] = c;
	stands[c] = c;
	entry[c] = c;
	holders[c] = (state == IDLE -> 0 : 1)
}

init {
	atomic {
		entry[0] = HOLE; entry[1] = HOLE; at[1] = NOWHERE; stands[1] = NOWHERE;
#ifdef WAIT
		if
		:: place(0, LEASED, 1); slot = 1; marks = LANE
		:: place(0, LEASED, 0)
		fi;
		run releaser(0, true);
#endif
#ifdef LIST
		place(0, LEASED, 0); run releaser(0, false);
		place(1, IDLE, 1); slot = 2; marks = LANE;
#endif
#ifdef PAIR
		place(0, LEASED, 0); run releaser(0, false);
		place(1, LEASED, 0); run releaser(1, false);
#endif
#ifdef EVICT
#ifdef RELEASED
		if
		:: place(0, LEASED, 1); slot = 1; marks = LANE
		:: place(0, LEASED, 0)
		fi;
		run releaser(0, true);
#else
		place(0, IDLE, 1); slot = 1; marks = LANE;
#endif
		run evictor();
#endif
#ifndef WITHOUT_TAKER
		run taker();
#endif
#ifndef WITHOUT_WAITER
		run waiter();
#endif
#ifdef OVERTAKEN
		signalled = 1; gate = UNTIL; run overtaken();
#endif
		run judge()
	}
}
