/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_query.c - a request on a key: lease, run, release; once more on another connection where
 * that is safe.
 */
#include "transport/drivers/pg_run.h"

#include <stdlib.h>

/* Never after it was cancelled. The proof is that the kernel got nothing, or the caller's word
 * and that a connection which had lain idle ended before it said anything. */
bool pg_run_may_retry(const struct kolk_postgres_call *run, enum kolk_err err)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	if (run->deaf || (err != KOLK_E_CLOSED && err != KOLK_E_RESET) ||
	    kolk_lease_info(&run->talk.lease, &info) != KOLK_OK)
		return false;
	return !info.written || (run->request.replayable && info.reused && !run->talk.heard);
}

enum kolk_err kolk_postgres_query(struct kolk_key *key, const struct kolk_postgres_request *request,
				  uint64_t deadline_ns, struct kolk_postgres_result **result)
{
	struct kolk_postgres_call run;
	enum kolk_err err = pg_run_init(&run, NULL, key, request, deadline_ns);
	bool again = false;

	if (err != KOLK_OK)
		return err;
	do {
		pg_run_reset(&run);
		err = kolk_acquire(key, run.talk.deadline_ns, &run.talk.lease);
		if (err != KOLK_OK)
			break;
		err = pg_run_blocking(&run);
		again = !again && pg_run_may_retry(&run, err);
		if (again)
			(void)kolk_discard(&run.talk.lease);
		else
			(void)kolk_postgres_release(&run.talk.lease);
	} while (again);
	if (result != NULL)
		*result = pg_run_take_result(&run);
	pg_run_free(&run);
	return err;
}

/* ---- on a loop */

static enum kolk_err begin(struct kolk_postgres_call *run, struct kolk_loop *loop);

static void tell(struct kolk_postgres_call *run)
{
	run->done(run->user, run->err, pg_run_take_result(run));
	pg_run_free(run);
	free(run);
}

static void tell_from_step(struct kolk_timer *timer, void *user)
{
	(void)timer;
	tell(user);
}

/* It has ended: the callback runs from step, never from within the call that began it. */
static void finish(struct kolk_postgres_call *run, enum kolk_err err)
{
	run->err = err;
	run->ending = true;
	if (run->inside)
		(void)kolk_timer_start(run->talk.loop, &run->timer, 1, tell_from_step, run);
	else
		tell(run);
}

static void ended(struct kolk_postgres_call *run, struct kolk_loop *loop, enum kolk_err err)
{
	bool again = !run->retried && pg_run_may_retry(run, err);

	if (!again) {
		(void)kolk_postgres_release(&run->talk.lease);
		finish(run, err);
		return;
	}
	(void)kolk_discard(&run->talk.lease);
	pg_run_reset(run);
	run->retried = true;
	err = begin(run, loop);
	if (err != KOLK_PENDING)
		finish(run, err);
}

static void over(struct talk *talk, enum kolk_err err)
{
	struct kolk_postgres_call *run = (struct kolk_postgres_call *)(void *)talk;

	ended(run, talk->loop, pg_run_outcome(run, err));
}

static void start(struct kolk_postgres_call *run, struct kolk_loop *loop)
{
	enum kolk_err err;

	run->talk.lease = run->acquire.lease;
	err = pg_run_build(run);
	if (err == KOLK_OK)
		err = talk_start(&run->talk, loop);
	if (err != KOLK_PENDING)
		ended(run, loop, err);
}

static void acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct kolk_postgres_call *run = user;

	(void)lease;
	run->acquiring = false;
	if (err == KOLK_OK)
		start(run, run->talk.loop);
	else
		finish(run, err);
}

static enum kolk_err begin(struct kolk_postgres_call *run, struct kolk_loop *loop)
{
	enum kolk_err err;

	run->talk.loop = loop;
	run->acquiring = true;
	err = kolk_acquire_async(loop, run->key, run->talk.deadline_ns, &run->acquire, acquired,
				 run);
	run->acquiring = err == KOLK_PENDING;
	if (err != KOLK_OK)
		return err;
	start(run, loop);
	return KOLK_PENDING;
}

enum kolk_err kolk_postgres_query_async(struct kolk_loop *loop, struct kolk_key *key,
					const struct kolk_postgres_request *request,
					uint64_t deadline_ns, kolk_postgres_done_fn *done,
					void *user, struct kolk_postgres_call **call)
{
	static const struct talk_side side = { &pg_driver, pg_run_give, pg_run_take, over };
	enum kolk_err err;
	struct kolk_postgres_call *run = pg_run_new(&side, NULL, key, request, deadline_ns, &err);

	if (run == NULL)
		return err;
	run->done = done;
	run->user = user;
	run->key = key;
	run->inside = true;
	err = begin(run, loop);
	if (err != KOLK_PENDING) {
		free(run);
		return err;
	}
	run->inside = false;
	if (call != NULL)
		*call = run;
	return KOLK_PENDING;
}

void kolk_postgres_call_cancel(struct kolk_postgres_call *call)
{
	if (call->ending)
		return;
	if (!call->acquiring) {
		call->deaf = true; /* what comes yet is counted, and told to nobody */
		talk_end(&call->talk, KOLK_E_CANCELLED);
	} else if (kolk_acquire_cancel(&call->acquire) == KOLK_OK) {
		call->acquiring = false;
		call->inside = true;
		finish(call, KOLK_E_CANCELLED);
	}
}
