/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_oneshot.c - one-shot calls: acquire, call, release. A second attempt, on another
 * connection, needs proof that the first did nothing, or the caller's declaration (replayable).
 */
#include "transport/drivers/redis_call.h"

/* How many connections found dead before a byte was sent are skipped. A server that restarted
 * leaves a few of them in the pool. */
enum { DEAD_MAX = 8 };

static bool is_closed_error(enum kolk_err err)
{
	return err == KOLK_E_CLOSED || err == KOLK_E_RESET || err == KOLK_E_TLS_TRUNCATED ||
	       err == KOLK_E_IO;
}

/* Called while the lease is held: it knows whether a byte was given to the kernel. */
static bool may_retry(struct kolk_redis_call *call, enum kolk_err err)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	if (call->cancelled || !is_closed_error(err) ||
	    kolk_lease_info(&call->pump.lease, &info) != KOLK_OK)
		return false;
	if (info.written == 0)
		return call->dead_skipped++ < DEAD_MAX;
	if (call->retried || !call->replayable || info.reused == 0 || call->pump.any_received)
		return false;
	call->retried = true;
	return true;
}

/* ---- on a plain thread */

enum kolk_err kolk_redis_call(struct kolk_key *key, const struct kolk_redis_request *request,
			      const struct kolk_redis_reply **reply)
{
	struct kolk_redis_call call;
	struct kolk_lease lease;
	enum kolk_err err = redis_call_init(&call, request);
	bool retry = true;

	if (err == KOLK_OK && request->count == 0)
		err = KOLK_E_OPTIONS;
	while (err == KOLK_OK && retry) {
		err = kolk_acquire(key, call.deadline_ns, &lease);
		if (err != KOLK_OK)
			break;
		err = redis_call_run(&call, &lease);
		retry = may_retry(&call, err);
		(void)kolk_release(&lease);
		if (retry)
			err = KOLK_OK;
		else
			break;
	}
	*reply = call.reply;
	redis_call_fini(&call);
	return err;
}

/* ---- on a loop */

static enum kolk_err acquire(struct kolk_redis_call *call);

static void oneshot_ended(struct kolk_redis_call *call, enum kolk_err err)
{
	struct kolk_lease lease = call->pump.lease;

	if (lease.connection != NULL) {
		bool retry = may_retry(call, err);

		(void)kolk_release(&lease);
		call->pump.lease = (struct kolk_lease){ 0 };
		if (retry) {
			err = acquire(call);
			if (err == KOLK_PENDING)
				return;
		}
	}
	redis_call_notify(call, err);
}

/* KOLK_PENDING, or it did not begin and the lease is released. */
static enum kolk_err begin_on(struct kolk_redis_call *call, const struct kolk_lease *lease)
{
	struct kolk_lease held = *lease;
	enum kolk_err err = redis_call_begin(call, lease);

	if (err == KOLK_PENDING)
		return err;
	if (may_retry(call, err)) { /* found dead before the first byte */
		(void)kolk_release(&held);
		call->pump.lease = (struct kolk_lease){ 0 };
		return acquire(call);
	}
	(void)kolk_release(&held);
	call->pump.lease = (struct kolk_lease){ 0 };
	return err;
}

static void acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct kolk_redis_call *call = user;

	call->acquiring = false;
	if (err == KOLK_OK)
		err = begin_on(call, lease);
	if (err != KOLK_PENDING)
		redis_call_notify(call, err);
}

static enum kolk_err acquire(struct kolk_redis_call *call)
{
	enum kolk_err err = kolk_acquire_async(call->loop, call->key, call->deadline_ns,
					       &call->acquire, acquired, call);

	if (err == KOLK_OK)
		return begin_on(call, &call->acquire.lease);
	call->acquiring = err == KOLK_PENDING;
	return err;
}

enum kolk_err kolk_redis_call_start(struct kolk_loop *loop, struct kolk_key *key,
				    const struct kolk_redis_request *request,
				    kolk_redis_done_fn *callback, void *user,
				    struct kolk_redis_call **handle)
{
	struct kolk_redis_call *call;
	enum kolk_err err;

	if (request->count == 0)
		return KOLK_E_OPTIONS;
	err = redis_call_make(loop, request, &call);
	if (err != KOLK_OK)
		return err;
	call->callback = callback;
	call->user = user;
	call->key = key;
	call->ended = oneshot_ended;
	err = acquire(call);
	if (err != KOLK_PENDING)
		redis_call_free(call);
	else if (handle != NULL)
		*handle = call;
	return err;
}

void kolk_redis_cancel(struct kolk_redis_call *call)
{
	call->cancelled = true;
	if (call->end_posted)
		return; /* it has ended already, and its callback will run */
	if (!call->acquiring) {
		pump_abort(&call->pump, KOLK_E_CANCELLED);
	} else if (kolk_acquire_cancel(&call->acquire) == KOLK_OK) {
		call->acquiring = false;
		redis_call_post(call, KOLK_E_CANCELLED);
	}
}
