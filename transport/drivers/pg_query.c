/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_query.c - a request on a key: lease, run, release; retried on another connection where that is
 * safe.
 */
#include "transport/drivers/pg_run.h"

#include <stdlib.h>

/* Never after it was cancelled. Safe is: no byte was given to the kernel, or the caller declared it
 * replayable and a reused connection ended before a byte of the answer. */
bool pg_run_may_retry(const struct kolk_postgres_call *run, enum kolk_err err)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	if (run->discarding || (err != KOLK_E_CLOSED && err != KOLK_E_RESET) ||
	    kolk_lease_info(&run->pump.lease, &info) != KOLK_OK)
		return false;
	return !info.written || (run->request.replayable && info.reused && !run->pump.any_received);
}

enum kolk_err kolk_postgres_query(struct kolk_key *key, const struct kolk_postgres_request *request,
				  uint64_t deadline_ns, struct kolk_postgres_result **result)
{
	struct kolk_postgres_call run;
	enum kolk_err err = pg_run_init(&run, request);
	bool retry = false;

	if (err != KOLK_OK)
		return err;
	pg_run_by_key(&run, key, deadline_ns);
	do {
		pg_run_reset(&run);
		err = kolk_postgres_acquire(key, run.pump.deadline_ns, &run.pump.lease);
		if (err != KOLK_OK)
			break;
		err = pg_run_blocking(&run);
		retry = !retry && pg_run_may_retry(&run, err);
		if (retry)
			(void)kolk_discard(&run.pump.lease);
		else
			(void)kolk_postgres_release(&run.pump.lease);
	} while (retry);
	if (result != NULL)
		*result = pg_run_take_result(&run);
	pg_run_free(&run);
	return err;
}

/* ---- on a loop */

static enum kolk_err begin(struct kolk_postgres_call *run, struct kolk_loop *loop);

static void notify(struct kolk_postgres_call *run)
{
	run->done(run->user, run->err, pg_run_take_result(run));
	pg_run_free(run);
	free(run);
}

static void notify_from_step(struct kolk_timer *timer, void *user)
{
	(void)timer;
	notify(user);
}

/* It has ended: the callback runs from step, never from within the call that began it. */
static void finish(struct kolk_postgres_call *run, enum kolk_err err)
{
	run->err = err;
	run->ending = true;
	if (run->starting)
		(void)kolk_timer_start(run->pump.loop, &run->timer, 1, notify_from_step, run);
	else
		notify(run);
}

static void ended(struct kolk_postgres_call *run, struct kolk_loop *loop, enum kolk_err err)
{
	bool retry = !run->retried && pg_run_may_retry(run, err);

	if (!retry) {
		(void)kolk_postgres_release(&run->pump.lease);
		finish(run, err);
		return;
	}
	(void)kolk_discard(&run->pump.lease);
	pg_run_reset(run);
	run->retried = true;
	err = begin(run, loop);
	if (err != KOLK_PENDING)
		finish(run, err);
}

static void on_done(struct pump *pump, enum kolk_err err)
{
	struct kolk_postgres_call *run = (struct kolk_postgres_call *)(void *)pump;

	ended(run, pump->loop, pg_run_outcome(run, err));
}

static void run_batch(struct kolk_postgres_call *run, struct kolk_loop *loop)
{
	enum kolk_err err = pg_run_build(run);

	if (err == KOLK_OK)
		err = pump_start(&run->pump, loop, &run->send);
	if (err != KOLK_PENDING)
		ended(run, loop, err);
}

/* A connection that fails is closed, and the next is taken: in the end a new one. */
static void on_validated(void *user, enum kolk_err err, struct kolk_postgres_result *result)
{
	struct kolk_postgres_call *run = user;

	kolk_postgres_result_free(result);
	run->validation = NULL;
	if (err == KOLK_OK) {
		run_batch(run, run->pump.loop);
		return;
	}
	(void)kolk_discard(&run->pump.lease);
	if (err != KOLK_E_CANCELLED && pg_validation_is_over(run->pump.deadline_ns))
		err = KOLK_E_TIMEOUT;
	else if (err != KOLK_E_CANCELLED)
		err = begin(run, run->pump.loop);
	if (err != KOLK_PENDING)
		finish(run, err);
}

static void start(struct kolk_postgres_call *run, struct kolk_loop *loop)
{
	run->pump.lease = run->acquire.lease;
	if (!pg_validation_is_due(&run->pump.lease))
		run_batch(run, loop);
	else if (pg_validation_start(run, loop, on_validated) != KOLK_PENDING)
		ended(run, loop, KOLK_E_MEMORY);
}

static void acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct kolk_postgres_call *run = user;

	(void)lease;
	run->acquiring = false;
	if (err == KOLK_OK)
		start(run, run->pump.loop);
	else
		finish(run, err);
}

static enum kolk_err begin(struct kolk_postgres_call *run, struct kolk_loop *loop)
{
	enum kolk_err err;

	run->pump.loop = loop;
	run->acquiring = true;
	err = kolk_acquire_async(loop, run->key, run->pump.deadline_ns, &run->acquire, acquired,
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
	static const struct pump_callbacks callbacks = { &pg_driver, pg_run_on_write,
							pg_run_on_read, on_done };
	struct kolk_postgres_call *run;
	enum kolk_err err = pg_run_make(&callbacks, request, &run);

	if (err != KOLK_OK)
		return err;
	pg_run_by_key(run, key, deadline_ns);
	run->done = done;
	run->user = user;
	run->starting = true;
	err = begin(run, loop);
	if (err != KOLK_PENDING) {
		free(run);
		return err;
	}
	run->starting = false;
	if (call != NULL)
		*call = run;
	return KOLK_PENDING;
}

void kolk_postgres_call_cancel(struct kolk_postgres_call *call)
{
	if (call->ending)
		return;
	if (call->validation != NULL) {
		kolk_postgres_call_cancel(call->validation);
	} else if (!call->acquiring) {
		call->discarding = true; /* what is still received is counted, and not delivered */
		pump_abort(&call->pump, KOLK_E_CANCELLED);
	} else if (kolk_acquire_cancel(&call->acquire) == KOLK_OK) {
		call->acquiring = false;
		call->starting = true;
		finish(call, KOLK_E_CANCELLED);
	}
}
