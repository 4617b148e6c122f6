/* SPDX-License-Identifier: Apache-2.0 */
/* talk.c - conversations on a lease: on a plain thread, and on a loop. See talk.h. */
#include "transport/drivers/talk.h"

/* ---- times */

uint64_t talk_deadline(uint64_t ns)
{
	uint64_t now_ns = kolk_in_ns(0);

	return ns < KOLK_FOREVER - now_ns ? now_ns + ns : KOLK_FOREVER;
}

void talk_times(struct talk *talk, uint64_t deadline_ns, uint64_t idle_ns)
{
	uint64_t pool_idle_ns = KOLK_FOREVER, pool_whole_ns = KOLK_FOREVER;

	if (deadline_ns == 0 || idle_ns == 0) /* a stale lease is found out by who uses it */
		(void)kolk_lease_timeouts(&talk->lease, &pool_idle_ns, &pool_whole_ns);
	talk->deadline_ns = deadline_ns != 0 ? deadline_ns : talk_deadline(pool_whole_ns);
	talk->idle_ns = idle_ns != 0 ? idle_ns : pool_idle_ns;
}

/* ---- the side's functions run inside the lease */

struct given {
	struct talk *talk;
	const void *data;
	size_t size;
};

static enum kolk_err run_give(void *user, void *session)
{
	struct given *given = user;

	given->size = given->talk->side->give(given->talk, session, &given->data);
	return KOLK_OK;
}

static enum kolk_err give(struct talk *talk, const void **data, size_t *size)
{
	struct given given = { .talk = talk };
	enum kolk_err err = kolk_lease_session(&talk->lease, talk->side->driver, run_give, &given);

	*data = given.data;
	*size = given.size;
	return err;
}

struct taken {
	struct talk *talk;
	size_t size;
};

static enum kolk_err run_take(void *user, void *session)
{
	struct taken *taken = user;

	return taken->talk->side->take(taken->talk, session, taken->talk->buffer, taken->size);
}

static enum kolk_err take(struct talk *talk, size_t size)
{
	struct taken taken = { talk, size };

	talk->heard = talk->heard || size > 0;
	return kolk_lease_session(&talk->lease, talk->side->driver, run_take, &taken);
}

/* The next byte must come, or the next bytes must go, before then. */
static uint64_t operation_deadline(const struct talk *talk)
{
	uint64_t idle_ns;

	if (talk->idle_ns == KOLK_FOREVER)
		return talk->deadline_ns;
	idle_ns = kolk_in_ns(talk->idle_ns);
	return idle_ns < talk->deadline_ns ? idle_ns : talk->deadline_ns;
}

/* ---- on a plain thread */

/* What was given, and what comes while the peer takes no more of it. */
static enum kolk_err exchange(struct talk *talk, struct kolk_transfer *transfer)
{
	enum kolk_err err = kolk_send_recv(&talk->lease, transfer, operation_deadline(talk));

	/* It resets what it has not read; what it said before is there to be received. */
	talk->cut = err == KOLK_E_RESET || err == KOLK_E_CLOSED;
	if (err != KOLK_OK && !talk->cut)
		return err;
	return transfer->received > 0 ? take(talk, transfer->received) : KOLK_PENDING;
}

/* All that the side has to say now. KOLK_PENDING: the conversation goes on. */
static enum kolk_err send_out(struct talk *talk)
{
	struct kolk_transfer transfer = { .buffer = talk->buffer, .capacity = talk->capacity };
	enum kolk_err err = KOLK_PENDING;

	while (err == KOLK_PENDING && !talk->cut) {
		if (transfer.size == 0)
			err = give(talk, &transfer.data, &transfer.size);
		if (err != KOLK_OK && err != KOLK_PENDING)
			return err;
		if (transfer.size == 0)
			return KOLK_PENDING;
		err = exchange(talk, &transfer);
	}
	/* It ended before all was said: the rest goes at once, or the connection is not used again. */
	if (err == KOLK_OK && transfer.size > 0)
		(void)!kolk_send_all(&talk->lease, transfer.data, transfer.size, kolk_in_ns(0));
	return err;
}

static enum kolk_err receive(struct talk *talk)
{
	size_t size;
	enum kolk_err err = kolk_recv(&talk->lease, talk->buffer, talk->capacity,
				      operation_deadline(talk), &size);

	return err == KOLK_OK || err == KOLK_E_CLOSED ? take(talk, size) : err;
}

enum kolk_err talk_run(struct talk *talk)
{
	enum kolk_err err;

	do {
		err = send_out(talk);
		if (err == KOLK_PENDING)
			err = receive(talk);
	} while (err == KOLK_PENDING);
	return err;
}

/* ---- on a loop: a send and a receive, each going on by itself until the talk is done */

static void speak(struct talk *talk);
static void listen(struct talk *talk);

/* It is over when nothing of it is in flight any more. */
static void leave(struct talk *talk)
{
	if (talk->sending)
		(void)kolk_io_cancel(&talk->send);
	if (talk->receiving)
		(void)kolk_io_cancel(&talk->recv);
	if (talk->sending || talk->receiving || talk->inside > 0)
		return;
	kolk_timer_stop(&talk->timer);
	talk->side->over(talk, talk->err);
}

static void finish(struct talk *talk, enum kolk_err err)
{
	if (!talk->done)
		talk->err = err;
	talk->done = true;
}

/* At the end of a callback: whatever can be done now. */
static void go_on(struct talk *talk)
{
	speak(talk);
	listen(talk);
	talk->inside--;
	if (talk->done)
		leave(talk);
}

static void spoken(void *user, enum kolk_err err, size_t size)
{
	struct talk *talk = user;

	(void)size;
	talk->sending = false;
	talk->inside++;
	/* A peer that answers early and closes resets what it has not read; the receive brings the
	 * answer, and then the end. */
	talk->cut = talk->receiving && (err == KOLK_E_RESET || err == KOLK_E_CLOSED);
	if (err != KOLK_OK && !talk->cut)
		finish(talk, err);
	go_on(talk);
}

static void speak(struct talk *talk)
{
	enum kolk_err err;

	if (talk->done || talk->sending || talk->cut)
		return;
	err = give(talk, &talk->data, &talk->size);
	if (err == KOLK_OK && talk->size > 0 && !talk->done) {
		talk->sending = true;
		talk->quiet_ns = operation_deadline(talk);
		err = kolk_send_async(talk->loop, &talk->lease, &talk->send, talk->data,
				      talk->size, talk->quiet_ns, spoken, talk);
		if (err == KOLK_PENDING)
			return;
		talk->sending = false;
	}
	if (err != KOLK_OK)
		finish(talk, err);
}

static void listened(void *user, enum kolk_err err, size_t size)
{
	struct talk *talk = user;

	talk->receiving = false;
	talk->inside++;
	/* Also when it was ended meanwhile: what came is gone from the socket, and counts. */
	if (err == KOLK_OK || (err == KOLK_E_CLOSED && !talk->done))
		err = take(talk, size);
	else if (err == KOLK_E_TIMEOUT && talk->quiet_ns > kolk_in_ns(0))
		err = KOLK_PENDING; /* nobody answers yet: much is still going out */
	if (err != KOLK_PENDING)
		finish(talk, err);
	go_on(talk);
}

static void listen(struct talk *talk)
{
	enum kolk_err err;

	if (talk->done || talk->receiving || talk->paused)
		return;
	talk->receiving = true;
	err = kolk_recv_async(talk->loop, &talk->lease, &talk->recv, talk->buffer, talk->capacity,
			      operation_deadline(talk), listened, talk);
	if (err == KOLK_PENDING)
		return;
	talk->receiving = false;
	finish(talk, err);
}

/* ---- from its owner */

static void timer_fired(struct kolk_timer *timer, void *user)
{
	struct talk *talk = user;

	(void)timer;
	if (!talk->done)
		talk->err = KOLK_E_TIMEOUT; /* it was paused for too long */
	talk->done = true;
	leave(talk);
}

/* over runs from step: when nothing is in flight that would lead there, the timer does. */
static void leave_soon(struct talk *talk)
{
	if (talk->sending || talk->receiving)
		leave(talk);
	else if (talk->inside == 0)
		(void)kolk_timer_start(talk->loop, &talk->timer, 1, timer_fired, talk);
}

enum kolk_err talk_start(struct talk *talk, struct kolk_loop *loop)
{
	talk->loop = loop;
	talk->inside++;
	speak(talk);
	listen(talk);
	talk->inside--;
	if (!talk->done)
		return KOLK_PENDING;
	if (!talk->sending && !talk->receiving)
		return talk->err;
	leave(talk); /* the half that began has to end first */
	return KOLK_PENDING;
}

void talk_more(struct talk *talk)
{
	speak(talk);
	if (talk->done)
		leave_soon(talk);
}

void talk_pause(struct talk *talk)
{
	talk->paused = true;
	(void)kolk_timer_start(talk->loop, &talk->timer, talk->deadline_ns, timer_fired, talk);
}

void talk_go(struct talk *talk)
{
	if (!talk->paused || talk->done)
		return;
	talk->paused = false;
	kolk_timer_stop(&talk->timer);
	if (talk->inside == 0)
		listen(talk);
	if (talk->done)
		leave_soon(talk);
}

void talk_end(struct talk *talk, enum kolk_err err)
{
	if (talk->done)
		return;
	finish(talk, err);
	leave_soon(talk);
}
