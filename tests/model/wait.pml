/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.pml - acquire, release, wait, cancel and close of one key, checked exhaustively.
 *
 * Two connections, two threads that hold them at first (they release; with BARGE they may
 * come again and overtake), two waiters (they may give up at any moment; with PATIENT they
 * have no deadline, so a lost wake-up is a deadlock), and with CLOSE a drain. Every access to the state word
 * (hand, here) and gate is a step of its own, as in the code; what happens under key.lock is atomic only
 * as far as those two are not touched.
 *
 *   label in the code              here
 *   SC1, release: word, gate       release()
 *   SC1, waiter: gate, word        serve() after enrol
 *   STATE.A1 (take)                take()
 *   wait.c  kolk__serve            serve()
 *   acquire.c  look, give_up       waiter
 *   drain.c  key_refuse            closer
 *
 * Proved: no connection is in two hands; nobody waits for ever (an invalid end state);
 * every waiter ends once. With WEAK_RELEASE or WEAK_WAITER the two accesses of one side of
 * SC1 change places, as they may without sc; with FORGETFUL a waiter that gives up keeps its
 * signal. Each must make the model fail: tests/model/run checks that, too.
 */
#define CONNS 2
#define WAITERS 2
#define NOBODY 9

mtype = { IDLE, LEASED, CLOSED };             /* hand */
mtype = { NOWHERE, WAITING, SIGNALLED, FINISHED }; /* waiter */
mtype = { OPEN, STOP, UNTIL };                /* gate; UNTIL = overtaking is allowed */

mtype hand[CONNS] = LEASED;
byte holders[CONNS] = 1;
mtype gate = OPEN;
bool lock, signalled, refusing;
chan queue = [WAITERS] of { byte };
mtype state[WAITERS] = NOWHERE;
byte result[WAITERS] = NOBODY; /* connection, or NOBODY = an error */
byte ends[WAITERS];
byte ended;

inline acquire_lock() { atomic { !lock -> lock = true } }
inline release_lock() { lock = false }

/* One compare-and-swap out of IDLE; got tells. */
inline take_now(c, got)
{
	if
	:: hand[c] == IDLE -> hand[c] = LEASED; holders[c]++; assert(holders[c] == 1); got = true
	:: else -> got = false
	fi
}

inline take(c, got) { atomic { take_now(c, got) } }

/* Walk the shelf: each connection is looked at once. c = NOBODY when none was idle. */
inline shelf_take(c, got)
{
	c = 0;
	take(c, got);
	if
	:: !got -> atomic { c = 1; take_now(c, got); if :: !got -> c = NOBODY :: else -> got = false fi }
	:: got -> got = false
	fi
}

inline shelf_has_idle(any)
{
	any = false;
	if :: hand[0] == IDLE -> any = true :: else -> skip fi;
	if :: !any && hand[1] == IDLE -> any = true :: else -> skip fi
}

inline leave(w)
{
	if :: state[w] == SIGNALLED -> signalled = false :: else -> skip fi;
	queue ?? eval(w)
}

/* Under the lock. me = the caller's own waiter or NOBODY. The clock is anybody's guess: a
 * waiter may be due or not whenever it is asked. */
inline serve(me, w, c, got, any)
{
	gate = STOP; /* SC1: first the gate, then the hands */
	do
	:: refusing -> shelf_take(c, got);
		if :: c == NOBODY -> break
		   :: else -> atomic { holders[c]--; hand[c] = CLOSED } fi
	:: !refusing && empty(queue) -> break
	:: !refusing && nempty(queue) ->
		queue ? <w>;
		if
		:: true -> /* it is the caller itself, or it is due */
			shelf_take(c, got);
			if
			:: c == NOBODY -> break
			:: else -> atomic { leave(w); result[w] = c; ends[w]++; state[w] = FINISHED }
			fi
		:: w != me -> /* it is not due: signal it, if there is something for it */
			if
			:: !signalled -> shelf_has_idle(any);
				if
				:: any -> d_step { signalled = true; state[w] = SIGNALLED }
				:: else -> skip
				fi
			:: else -> skip
			fi;
			break
		fi
	od;
	atomic {
		w = 0; c = 0; got = false; any = false; /* dead: fewer states */
		if
		:: refusing -> gate = STOP
		:: !refusing && empty(queue) -> gate = OPEN
		:: !refusing && nempty(queue) && !signalled -> gate = STOP
		:: !refusing && nempty(queue) && signalled ->
			if :: gate = STOP :: gate = UNTIL fi
		fi
	}
}

/* The two accesses of SC1 on the releasing side. */
inline release(c0, w, c, got, any, seen)
{
#ifdef WEAK_RELEASE
	seen = gate;
	atomic { holders[c0]--; hand[c0] = IDLE };
#else
	atomic { holders[c0]--; hand[c0] = IDLE };
	seen = gate;
#endif
	if
	:: seen == OPEN -> seen = 0
	:: seen == UNTIL -> seen = 0 /* the clock is before the gate's time */
	:: seen != OPEN -> seen = 0; acquire_lock(); serve(NOBODY, w, c, got, any); release_lock()
	fi
}

/* Holds a connection, releases it, and may come back once and overtake. */
proctype releaser(byte mine; bool may_barge)
{
	byte w, c; bool got, any; mtype seen;

	release(mine, w, c, got, any, seen);
#ifdef BARGE
	if
	:: true -> skip
	:: may_barge ->
		seen = gate;
		if
		:: seen != STOP -> shelf_take(c, got);
			if
			:: c != NOBODY -> mine = c; release(mine, w, c, got, any, seen)
			:: else -> skip
			fi
		:: else -> skip
		fi
	fi;
#endif
	atomic { mine = 0; ended++ }
}

proctype waiter(byte me)
{
	byte w, c, mine; bool got, any; mtype seen;
	bool over;

	acquire_lock();
	if
	:: refusing -> d_step { ends[me]++; result[me] = NOBODY; state[me] = FINISHED }
	:: else ->
		got = false; c = NOBODY;
		if :: empty(queue) -> shelf_take(c, got) :: nempty(queue) -> skip fi;
		if
		:: c != NOBODY -> d_step { ends[me]++; result[me] = c; state[me] = FINISHED }
		:: else ->
			d_step { state[me] = WAITING; queue ! me }
#ifdef WEAK_WAITER
			/* looks at the hands before the gate is closed */
			shelf_has_idle(any);
			if :: any -> serve(me, w, c, got, any) :: else -> gate = STOP fi
#else
			serve(me, w, c, got, any)
#endif
		fi
	fi;
	release_lock();
	do
	:: state[me] == FINISHED -> break
	:: state[me] == SIGNALLED -> /* look; again and again until it is served or due */
		acquire_lock();
		if
		:: state[me] == SIGNALLED -> serve(me, w, c, got, any)
		:: else -> skip
		fi;
		release_lock()
#ifndef PATIENT
	:: state[me] != FINISHED && !over -> /* the deadline passes */
		over = true;
		acquire_lock();
		if
		:: state[me] != FINISHED ->
#ifdef FORGETFUL
			d_step { queue ?? eval(me); state[me] = FINISHED; ends[me]++ }
#else
			atomic { leave(me); state[me] = FINISHED; ends[me]++ }
			serve(NOBODY, w, c, got, any)
#endif
		:: else -> skip
		fi;
		release_lock()
#endif
	od;
	if
	:: result[me] != NOBODY -> mine = result[me]; release(mine, w, c, got, any, seen)
	:: else -> skip
	fi;
	assert(ends[me] == 1);
	ended++
}

/* Refuses from now on: ends who waits, closes what is idle; releases close the rest. */
proctype closer()
{
	byte w, c; bool got, any;

#ifdef CLOSE
		acquire_lock();
		refusing = true;
		do
		:: atomic { nempty(queue) -> queue ? <w>; leave(w);
			result[w] = NOBODY; ends[w]++; state[w] = FINISHED }
		:: empty(queue) -> break
		od;
		serve(NOBODY, w, c, got, any);
		release_lock();
#endif
	ended++
}

/* Everybody has ended: nothing may be left behind. */
proctype judge()
{
	ended == 5;
	assert(empty(queue) && !lock && !signalled);
	assert(refusing || gate == OPEN);
	assert(hand[0] != LEASED && hand[1] != LEASED);
	assert(!refusing || (hand[0] == CLOSED && hand[1] == CLOSED))
}

init {
	atomic {
		run releaser(0, true); run releaser(1, false);
		run waiter(0); run waiter(1);
		run closer(); run judge()
	}
}
