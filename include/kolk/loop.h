/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/loop.h - event loops, one per core, run by the engine or by the embedder.
 *
 * With KOLK_LOOPS_EMBEDDER each loop belongs to the first thread that runs or steps it.
 * In each turn, completions are reaped before callbacks run and acquires are served.
 */
#ifndef KOLK_LOOP_H
#define KOLK_LOOP_H

#include <kolk/error.h>

/* One posted call. The memory is the caller's and must stay valid until it has run. */
struct kolk_call {
	uint64_t opaque[6];
};
typedef void kolk_call_fn(struct kolk_call *call, void *user);

/* One timer. The memory is the caller's and must stay valid while it is armed; all zero before its
 * first start. */
struct kolk_timer {
	uint64_t opaque[8];
};
typedef void kolk_timer_fn(struct kolk_timer *timer, void *user);

KOLK_BEGIN

/* Run turns until kolk_loop_stop. Errors: E_THREAD (an engine's loop, or another thread's),
 * E_FORKED, E_IO. */
KOLK_API enum kolk_err kolk_loop_run(struct kolk_loop *loop);

/* Run one turn: wait at most timeout_ns (0 = do not wait) for something to do, and do it. Errors as
 * kolk_loop_run. */
KOLK_API enum kolk_err kolk_loop_step(struct kolk_loop *loop, uint64_t timeout_ns);

/* Return a descriptor that is readable when kolk_loop_step(loop, 0) has something to do, for the
 * poll or epoll set of the embedder (level-triggered); the loop owns it, and it is valid until
 * kolk_engine_destroy. Step once after adding it. Timers, and what the loop's own thread has begun
 * since the last step, do not make it readable: bound each wait by kolk_loop_next_timer. With both,
 * no periodic step is needed. Any thread. */
KOLK_API int kolk_loop_fd(struct kolk_loop *loop);
/* Return the latest time at which the loop must be stepped, absolute; KOLK_FOREVER = only when its
 * descriptor is readable; a time in the past = now. Call it just before you wait, after your last
 * other call into kolk: a request that is begun or fed between two steps is due at once. From the
 * loop's thread. */
KOLK_API uint64_t kolk_loop_next_timer(struct kolk_loop *loop);

/* Make kolk_loop_run return after its turn. Any thread. */
KOLK_API void kolk_loop_stop(struct kolk_loop *loop);

/* Run callback on the loop's thread, exactly once, from step. Any thread. */
KOLK_API enum kolk_err kolk_loop_call(struct kolk_loop *loop, struct kolk_call *call,
				      kolk_call_fn *callback, void *user);

/* Run callback on the loop once, from step, when due_ns (absolute) has come: never earlier, and
 * later only by what the loop is late. Starting an armed timer moves it. After stop the callback
 * does not run; stopping a timer that is not armed does nothing. From the loop's thread. Errors:
 * E_THREAD. */
KOLK_API enum kolk_err kolk_timer_start(struct kolk_loop *loop, struct kolk_timer *timer,
					uint64_t due_ns, kolk_timer_fn *callback, void *user);
KOLK_API void kolk_timer_stop(struct kolk_timer *timer);

/* Return the time of the loop's step. The clock (that of kolk_in_ns(0)) is read when a callback of
 * the step first asks for the time, and again for each timer that fires; between two steps, each
 * call reads it. The time may lag by as long as the step has been running: use it for deadlines and
 * idle times, not to measure anything shorter than a step. From the loop's thread. */
KOLK_API uint64_t kolk_loop_now(struct kolk_loop *loop);

/* Return the loop that the calling thread is running, or NULL. */
KOLK_API struct kolk_loop *kolk_loop_current(void);
/* Return whether the loop belongs to the calling thread, which runs or steps it; also between two
 * steps, where kolk_loop_current returns NULL. A loop that no thread has stepped yet comes to
 * belong to the calling thread. */
KOLK_API bool kolk_loop_is_mine(struct kolk_loop *loop);
/* Return whether the loop is active (kolk_engine_loops_set). Any thread. */
KOLK_API bool kolk_loop_is_active(const struct kolk_loop *loop);
KOLK_API uint32_t kolk_loop_index(const struct kolk_loop *loop);
KOLK_API struct kolk_engine *kolk_loop_engine(const struct kolk_loop *loop);

KOLK_END

#endif
