/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.pml - acquire, release, wait, cancel and close of one key, checked exhaustively.
 *
 * Two connections, two threads that hold them at first (they release; with BARGE they may
 * come again and overtake), two waiters (they may give up at any moment; with PATIENT they
 * have no deadline, so a lost wake-up is a deadlock), and with CLOSE a drain. Every access to the
 * state word and to the gate is a step of its own, as in the code; what happens under key.lock is
 * atomic only as far as those two are not touched.
 *
 *   label in the code                   here
 *   SC1, release: word, gate            release()
 *   SC1, waiter: gate, word             dispatch() after it was queued
 *   STATE.A1 (take)                     take()
 *   wait.c  kolk__dispatch_waiters      dispatch()
 *   miss.c  recheck, give_up            waiter
 *   key_state.c kolk__key_refuse           closer
 *
 * Proved: no connection has two holders; no waiter waits for ever (an invalid end state);
 * every waiter ends once. With WEAK_RELEASE or WEAK_WAITER the two accesses of one side of
 * SC1 change places, as they may without sc; with FORGETFUL a waiter that gives up keeps its
 * signal. Each must make the model fail: tests/model/run checks that, too.
 */
#define CONNS 2
#define WAITERS 2
#define NONE 9

mtype = { IDLE, LEASED, CLOSED };             /* state word */
mtype = { UNQUEUED, WAITING, SIGNALLED, FINISHED }; /* waiter */
mtype = { OPEN, STOP, UNTIL };                /* gate; UNTIL = overtaking is allowed */

mtype word[CONNS] = LEASED;
byte holders[CONNS] = 1;
mtype gate = OPEN;
bool lock, signalled, refusing;
chan queue = [WAITERS] of { byte };
mtype state[WAITERS] = UNQUEUED;
byte result[WAITERS] = NONE; /* connection, or NONE = an error */
byte ends[WAITERS];
byte ended;

inline acquire_lock() { atomic { !lock -> lock = true } }
inline release_lock() { lock = false }

/* One compare-and-swap out of IDLE; got tells. */
inline take_now(c, got)
{
	if
	:: word[c] == IDLE -> word[c] = LEASED; holders[c]++; assert(holders[c] == 1); got = true
	:: else -> got = false
	fi
}

inline take(c, got) { atomic { take_now(c, got) } }

/* Scan the table: each connection is loaded once. c = NONE when none was idle. */
inline take_idle(c, got)
{
	c = 0;
	take(c, got);
	if
	:: !got -> atomic { c = 1; take_now(c, got); if :: !got -> c = NONE :: else -> got = false fi }
	:: got -> got = false
	fi
}

inline has_idle(any)
{
	any = false;
	if :: word[0] == IDLE -> any = true :: else -> skip fi;
	if :: !any && word[1] == IDLE -> any = true :: else -> skip fi
}

inline remove(w)
{
	if :: state[w] == SIGNALLED -> signalled = false :: else -> skip fi;
	queue ?? eval(w)
}

/* Under the lock. me = the caller's own waiter or NONE. The clock is arbitrary: a waiter may be due
 * or not whenever it is asked. */
inline dispatch(me, w, c, got, any)
{
	gate = STOP; /* SC1: first the gate, then the words */
	do
	:: refusing -> take_idle(c, got);
		if :: c == NONE -> break
		   :: else -> atomic { holders[c]--; word[c] = CLOSED } fi
	:: !refusing && empty(queue) -> break
	:: !refusing && nempty(queue) ->
		queue ? <w>;
		if
		:: true -> /* it is the caller itself, or it is due */
			take_idle(c, got);
			if
			:: c == NONE -> break
			:: else -> atomic { remove(w); result[w] = c; ends[w]++; state[w] = FINISHED }
			fi
		:: w != me -> /* it is not due: signal it, if there is something for it */
			if
			:: !signalled -> has_idle(any);
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
	atomic { holders[c0]--; word[c0] = IDLE };
#else
	atomic { holders[c0]--; word[c0] = IDLE };
	seen = gate;
#endif
	if
	:: seen == OPEN -> seen = 0
	:: seen == UNTIL -> seen = 0 /* the clock is before the gate's time */
	:: seen != OPEN -> seen = 0; acquire_lock(); dispatch(NONE, w, c, got, any); release_lock()
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
		:: seen != STOP -> take_idle(c, got);
			if
			:: c != NONE -> mine = c; release(mine, w, c, got, any, seen)
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
	:: refusing -> d_step { ends[me]++; result[me] = NONE; state[me] = FINISHED }
	:: else ->
		got = false; c = NONE;
		if :: empty(queue) -> take_idle(c, got) :: nempty(queue) -> skip fi;
		if
		:: c != NONE -> d_step { ends[me]++; result[me] = c; state[me] = FINISHED }
		:: else ->
			d_step { state[me] = WAITING; queue ! me }
#ifdef WEAK_WAITER
			/* loads the words before the gate is closed */
			has_idle(any);
			if :: any -> dispatch(me, w, c, got, any) :: else -> gate = STOP fi
#else
			dispatch(me, w, c, got, any)
#endif
		fi
	fi;
	release_lock();
	do
	:: state[me] == FINISHED -> break
	:: state[me] == SIGNALLED -> /* scan; again and again until it is served or due */
		acquire_lock();
		if
		:: state[me] == SIGNALLED -> dispatch(me, w, c, got, any)
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
			atomic { remove(me); state[me] = FINISHED; ends[me]++ }
			dispatch(NONE, w, c, got, any)
#endif
		:: else -> skip
		fi;
		release_lock()
#endif
	od;
	if
	:: result[me] != NONE -> mine = result[me]; release(mine, w, c, got, any, seen)
	:: else -> skip
	fi;
	assert(ends[me] == 1);
	ended++
}

/* Refuses from now on: ends the waiters, closes what is idle; releases close the rest. */
proctype closer()
{
	byte w, c; bool got, any;

#ifdef CLOSE
		acquire_lock();
		refusing = true;
		do
		:: atomic { nempty(queue) -> queue ? <w>; remove(w);
			result[w] = NONE; ends[w]++; state[w] = FINISHED }
		:: empty(queue) -> break
		od;
		dispatch(NONE, w, c, got, any);
		release_lock();
#endif
	ended++
}

/* All have ended: nothing may be left behind. */
proctype judge()
{
	ended == 5;
	assert(empty(queue) && !lock && !signalled);
	assert(refusing || gate == OPEN);
	assert(word[0] != LEASED && word[1] != LEASED);
	assert(!refusing || (word[0] == CLOSED && word[1] == CLOSED))
}

init {
	atomic {
		run releaser(0, true); run releaser(1, false);
		run waiter(0); run waiter(1);
		run closer(); run judge()
	}
}
