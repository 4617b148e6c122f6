/* SPDX-License-Identifier: Apache-2.0 */
/* pump.c - see pump.h: on a plain thread, and on a loop. */
#include "transport/drivers/pump.h"

/* ---- times */

void pump_set_times(struct pump *pump, uint64_t deadline_ns, uint64_t idle_ns)
{
	uint64_t pool_idle_ns = KOLK_FOREVER, pool_request_ns = KOLK_FOREVER;

	if (deadline_ns == 0 || idle_ns == 0) /* an operation will report a stale lease */
		(void)kolk_lease_timeouts(&pump->lease, &pool_idle_ns, &pool_request_ns);
	pump->deadline_ns = deadline_ns != 0 ? deadline_ns : kolk_in_ns(pool_request_ns);
	pump->idle_ns = idle_ns != 0 ? idle_ns : pool_idle_ns;
}

/* ---- callbacks run inside the lease */

struct write_args {
	struct pump *pump;
	const void *data;
	size_t size;
};

static enum kolk_err run_on_write(void *user, void *session)
{
	struct write_args *write_args = user;

	write_args->size = write_args->pump->callbacks->on_write(write_args->pump, session,
								 &write_args->data);
	return KOLK_OK;
}

static enum kolk_err call_on_write(struct pump *pump, const void **data, size_t *size)
{
	struct write_args write_args = { .pump = pump };
	enum kolk_err err = kolk_lease_session(&pump->lease, pump->callbacks->driver,
					       run_on_write, &write_args);

	*data = write_args.data;
	*size = write_args.size;
	return err;
}

struct read_args {
	struct pump *pump;
	size_t size;
};

static enum kolk_err run_on_read(void *user, void *session)
{
	struct read_args *read_args = user;

	return read_args->pump->callbacks->on_read(read_args->pump, session,
						   read_args->pump->buffer, read_args->size);
}

static enum kolk_err call_on_read(struct pump *pump, size_t size)
{
	struct read_args read_args = { pump, size };

	pump->any_received = pump->any_received || size > 0;
	return kolk_lease_session(&pump->lease, pump->callbacks->driver, run_on_read, &read_args);
}

/* The next byte must come, or the next bytes must go, before then. */
static uint64_t operation_deadline(const struct pump *pump)
{
	uint64_t idle_ns;

	if (pump->idle_ns == KOLK_FOREVER)
		return pump->deadline_ns;
	idle_ns = kolk_in_ns(pump->idle_ns);
	return idle_ns < pump->deadline_ns ? idle_ns : pump->deadline_ns;
}

/* ---- on a plain thread */

/* Sends, and receives while the peer reads no more. */
static enum kolk_err send_and_receive(struct pump *pump, struct kolk_transfer *transfer)
{
	enum kolk_err err = kolk_send_recv(&pump->lease, transfer, operation_deadline(pump));

	/* The peer resets what it has not read; bytes that it sent before can still be received. */
	pump->write_closed = err == KOLK_E_RESET || err == KOLK_E_CLOSED;
	if (err != KOLK_OK && !pump->write_closed)
		return err;
	return transfer->received > 0 ? call_on_read(pump, transfer->received) : KOLK_PENDING;
}

/* Everything that on_write has now. KOLK_PENDING: not done yet. */
static enum kolk_err send_all_pending(struct pump *pump)
{
	struct kolk_transfer transfer = { .buffer = pump->buffer, .capacity = pump->capacity };
	enum kolk_err err = KOLK_PENDING;

	while (err == KOLK_PENDING && !pump->write_closed) {
		if (transfer.size == 0)
			err = call_on_write(pump, &transfer.data, &transfer.size);
		if (err != KOLK_OK && err != KOLK_PENDING)
			return err;
		if (transfer.size == 0)
			return KOLK_PENDING;
		err = send_and_receive(pump, &transfer);
	}
	/* The protocol was done before everything was sent: the rest goes at once, or the
	 * connection is not used again. */
	if (err == KOLK_OK && transfer.size > 0)
		(void)!kolk_send_all(&pump->lease, transfer.data, transfer.size, kolk_in_ns(0));
	return err;
}

static enum kolk_err receive(struct pump *pump)
{
	size_t size;
	enum kolk_err err = kolk_recv(&pump->lease, pump->buffer, pump->capacity,
				      operation_deadline(pump), &size);

	return err == KOLK_OK || err == KOLK_E_CLOSED ? call_on_read(pump, size) : err;
}

enum kolk_err pump_run(struct pump *pump)
{
	enum kolk_err err;

	do {
		err = send_all_pending(pump);
		if (err == KOLK_PENDING)
			err = receive(pump);
	} while (err == KOLK_PENDING);
	if (err == KOLK_OK)
		(void)kolk_lease_served(&pump->lease);
	return err;
}

/* ---- on a loop: a send and a receive, each restarted by itself until the pump is done */

static void send_next(struct pump *pump);
static void receive_next(struct pump *pump);

/* Done when none of its operations is in flight any more. */
static void finish_if_idle(struct pump *pump)
{
	if (pump->sending)
		(void)kolk_io_cancel(pump->send);
	if (pump->receiving)
		(void)kolk_io_cancel(&pump->recv);
	if (pump->sending || pump->receiving || pump->callback_depth > 0)
		return;
	kolk_timer_stop(&pump->timer);
	if (pump->err == KOLK_OK)
		(void)kolk_lease_served(&pump->lease);
	pump->callbacks->on_done(pump, pump->err);
}

/* The pump has the lease until it is done: one that is stale was revoked. */
static void set_done(struct pump *pump, enum kolk_err err)
{
	if (!pump->done)
		pump->err = err == KOLK_E_LEASE_STALE ? KOLK_E_REVOKED : err;
	pump->done = true;
}

/* At the end of a callback: whatever can be done now. */
static void advance(struct pump *pump)
{
	send_next(pump);
	receive_next(pump);
	pump->callback_depth--;
	if (pump->done)
		finish_if_idle(pump);
}

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	struct pump *pump = user;

	(void)size;
	pump->sending = false;
	pump->callback_depth++;
	/* A peer that answers early and closes resets what it has not read; the receive brings the
	 * answer, and then the end. */
	pump->write_closed = pump->receiving && (err == KOLK_E_RESET || err == KOLK_E_CLOSED);
	if (err != KOLK_OK && !pump->write_closed)
		set_done(pump, err);
	advance(pump);
}

static void send_next(struct pump *pump)
{
	enum kolk_err err;

	if (pump->done || pump->sending || pump->write_closed)
		return;
	err = call_on_write(pump, &pump->data, &pump->size);
	if (err == KOLK_OK && pump->size > 0 && !pump->done) {
		pump->sending = true;
		pump->send_deadline_ns = operation_deadline(pump);
		err = kolk_send_async(pump->loop, &pump->lease, pump->send, pump->data,
				      pump->size, pump->send_deadline_ns, on_sent, pump);
		if (err == KOLK_PENDING) {
			if (pump->last_write)
				kolk_io_lazy(pump->send, true); /* the peer will speak next */
			return;
		}
		pump->sending = false;
	}
	if (err != KOLK_OK)
		set_done(pump, err);
}

static void on_received(void *user, enum kolk_err err, size_t size)
{
	struct pump *pump = user;

	pump->receiving = false;
	pump->callback_depth++;
	/* Also when it was ended meanwhile: the bytes have left the socket, so they count. */
	if (err == KOLK_OK || (err == KOLK_E_CLOSED && !pump->done))
		err = call_on_read(pump, size);
	else if (err == KOLK_E_TIMEOUT && pump->send_deadline_ns > kolk_in_ns(0))
		err = KOLK_PENDING; /* no answer yet: a long request is still going out */
	if (err != KOLK_PENDING)
		set_done(pump, err);
	advance(pump);
}

static void receive_next(struct pump *pump)
{
	enum kolk_err err;

	if (pump->done || pump->receiving || pump->paused)
		return;
	pump->receiving = true;
	err = kolk_recv_async(pump->loop, &pump->lease, &pump->recv, pump->buffer, pump->capacity,
			      operation_deadline(pump), on_received, pump);
	if (err == KOLK_PENDING)
		return;
	pump->receiving = false;
	set_done(pump, err);
}

/* ---- from its owner */

static void on_timer(struct kolk_timer *timer, void *user)
{
	struct pump *pump = user;

	(void)timer;
	if (!pump->done)
		pump->err = KOLK_E_TIMEOUT; /* it was paused for too long */
	pump->done = true;
	finish_if_idle(pump);
}

/* on_done runs from step: when no operation is in flight that would lead there, the timer does. */
static void finish_soon(struct pump *pump)
{
	if (pump->sending || pump->receiving)
		finish_if_idle(pump);
	else if (pump->callback_depth == 0)
		(void)kolk_timer_start(pump->loop, &pump->timer, 1, on_timer, pump);
}

enum kolk_err pump_start(struct pump *pump, struct kolk_loop *loop, struct kolk_io *send)
{
	pump->loop = loop;
	pump->send = send;
	pump->callback_depth++;
	send_next(pump);
	receive_next(pump);
	pump->callback_depth--;
	if (!pump->done)
		return KOLK_PENDING;
	if (!pump->sending && !pump->receiving)
		return pump->err;
	finish_if_idle(pump); /* the operation that began has to end first */
	return KOLK_PENDING;
}

void pump_more(struct pump *pump)
{
	send_next(pump);
	if (pump->done)
		finish_soon(pump);
}

void pump_pause(struct pump *pump)
{
	pump->paused = true;
	(void)kolk_timer_start(pump->loop, &pump->timer, pump->deadline_ns, on_timer, pump);
}

void pump_resume(struct pump *pump)
{
	if (!pump->paused || pump->done)
		return;
	pump->paused = false;
	kolk_timer_stop(&pump->timer);
	if (pump->callback_depth == 0)
		receive_next(pump);
	if (pump->done)
		finish_soon(pump);
}

void pump_abort(struct pump *pump, enum kolk_err err)
{
	if (pump->done)
		return;
	set_done(pump, err);
	finish_soon(pump);
}
