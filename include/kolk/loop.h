/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/loop.h - one event loop per core, run by the engine or by you.
 *
 * With KOLK_LOOPS_EMBEDDER each loop belongs to the first thread that runs or steps it.
 * In one turn completions are reaped before callbacks and acquires are served.
 */
#ifndef KOLK_LOOP_H
#define KOLK_LOOP_H

#include <kolk/error.h>

/* One posted call. Memory is the caller's until it ran. */
struct kolk_call {
	uint64_t opaque[6];
};
typedef void kolk_call_fn(struct kolk_call *call, void *user);

/* One timer. Memory is the caller's while it is armed; all zero before its first start. */
struct kolk_timer {
	uint64_t opaque[8];
};
typedef void kolk_timer_fn(struct kolk_timer *timer, void *user);

KOLK_BEGIN

/* Run turns until kolk_loop_stop. Errors: E_THREAD (an engine's loop, or another thread's),
 * E_FORKED, E_IO. */
KOLK_API enum kolk_err kolk_loop_run(struct kolk_loop *loop);

/* Run one turn: wait at most timeout_ns (0 = do not wait) for something to do, do it.
 * Errors as kolk_loop_run. */
KOLK_API enum kolk_err kolk_loop_step(struct kolk_loop *loop, uint64_t timeout_ns);

/* Return a descriptor that is readable when kolk_loop_step(loop, 0) has something to do, for the
 * poll or epoll set of the embedder (level-triggered); the loop owns it, it is valid until
 * kolk_engine_destroy. Step once after adding it. Neither timers nor what the loop's
 * thread itself began since the last step make it readable: bound each wait by
 * kolk_loop_next_timer. The two together need no tick. Any thread. */
KOLK_API int kolk_loop_fd(struct kolk_loop *loop);
/* Return when the loop wants to be stepped at the latest, absolute; KOLK_FOREVER = when its
 * descriptor is readable. A time in the past = now: ask after your last call into kolk before
 * you wait, since a request that is made or fed between two steps is due at once. From the
 * loop's thread. */
KOLK_API uint64_t kolk_loop_next_timer(struct kolk_loop *loop);

/* Make kolk_loop_run return after its turn. Any thread. */
KOLK_API void kolk_loop_stop(struct kolk_loop *loop);

/* Have callback run on the loop's thread, exactly once, from step. Any thread. */
KOLK_API enum kolk_err kolk_loop_call(struct kolk_loop *loop, struct kolk_call *call,
				      kolk_call_fn *callback, void *user);

/* Have callback run on the loop once, from step, when the time has come (absolute; not before
 * it, and as late as the loop is); an armed timer is moved. stop: it will not run; nothing
 * happens when it is not armed. From the loop's thread. Errors: E_THREAD. */
KOLK_API enum kolk_err kolk_timer_start(struct kolk_loop *loop, struct kolk_timer *timer,
					uint64_t due_ns, kolk_timer_fn *callback, void *user);
KOLK_API void kolk_timer_stop(struct kolk_timer *timer);

/* Return the time of the loop's step: the clock of kolk_in_ns(0), read when a callback of the
 * step first asks for it, and again for each timer that fires; between two steps, the clock
 * itself. It costs next to nothing, and is behind by at most what ran in the step before: for
 * deadlines and idle times, not to measure what takes less than a step. From the loop's
 * thread. */
KOLK_API uint64_t kolk_loop_now(struct kolk_loop *loop);

/* The loop that the calling thread runs, or NULL. */
KOLK_API struct kolk_loop *kolk_loop_current(void);
/* Whether the calling thread is the loop's: the one that runs or steps it, also between two steps
 * (where kolk_loop_current says NULL). A loop that no thread stepped yet becomes its own. */
KOLK_API bool kolk_loop_is_mine(struct kolk_loop *loop);
/* Whether the loop is active (kolk_engine_loops_set). Any thread. */
KOLK_API bool kolk_loop_is_active(const struct kolk_loop *loop);
KOLK_API uint32_t kolk_loop_index(const struct kolk_loop *loop);
KOLK_API struct kolk_engine *kolk_loop_engine(const struct kolk_loop *loop);

KOLK_END

#endif
