/* SPDX-License-Identifier: Apache-2.0 */
/* input.c - streams, watches, and the bytes that nobody took yet. See input.h. */
#include "transport/input.h"

#include <errno.h>
#include <string.h>

#include "core/base/atomic.h"

static void stream_event(struct kolk_op *op);

static void stream_submit(struct kolk__link *link)
{
	KOLK__HOME(link);
	link->paused = false;
	kolk__submit(link->tloop, &link->watch_op, KOLK_OP_STREAM, link->fd, NULL, 0, stream_event,
		     link);
}

/* There is room again. An idle connection, too, must hear what its peer does. */
static void stream_resume(struct kolk__link *link)
{
	if (link->paused && !link->ended && !link->watch_op.in_flight)
		stream_submit(link);
}

/* ---- bytes */

enum { ROOM = 4096, ROOM_BULK = 17 * 1024 }; /* the second holds a whole TLS record */
enum { SPARE_MIN = 32 * 1024, SPARE_MAX = 256 * 1024 };

uint8_t *kolk__input_room(struct kolk__link *link, size_t *size)
{
	KOLK__AT_HOME(link, kolk__load_relaxed(&link->streaming));
	if (!kolk__buffer_reserve(link->tloop->transport, &link->in,
				  link->bulk ? ROOM_BULK : ROOM))
		return NULL;
	*size = link->in.capacity - link->in.end;
	return link->in.bytes + link->in.end;
}

void kolk__input_came(struct kolk__link *link, size_t size)
{
	link->in.end += size;
	kolk__add_relaxed(&link->tloop->unread, size);
	link->bulk = link->in.end == link->in.capacity;
}

/* A peer that sends faster than its answers are taken fills a large buffer for a moment. Memory of
 * that size fresh from the heap costs more than the bytes in it (page faults), so a few such
 * buffers stay with the loop and go from link to link. Both are the home loop's. */
static bool stash(struct kolk__link *link, const uint8_t *bytes, size_t size)
{
	struct kolk__tloop *tloop = link->tloop;
	size_t used = kolk__input_size(link);

	KOLK__HOME(link);
	if (used + size > link->in.capacity && used + size > SPARE_MIN && tloop->spares > 0 &&
	    tloop->spare[tloop->spares - 1].capacity >= used + size) {
		struct kolk__buffer large = tloop->spare[--tloop->spares];

		if (used > 0)
			memcpy(large.bytes, link->in.bytes + link->in.start, used);
		large.end = used;
		kolk__buffer_free(tloop->transport, &link->in);
		link->in = large;
	}
	if (!kolk__buffer_reserve(tloop->transport, &link->in, size))
		return false;
	memcpy(link->in.bytes + link->in.end, bytes, size);
	link->in.end += size;
	return true;
}

static void unstash(struct kolk__link *link)
{
	struct kolk__tloop *tloop = link->tloop;

	if (link->in.capacity <= SPARE_MIN || link->in.capacity > SPARE_MAX ||
	    tloop->spares == KOLK__SPARES || !kolk__load_relaxed(&link->streaming))
		return;
	tloop->spare[tloop->spares++] = link->in;
	link->in = (struct kolk__buffer){ 0 };
}

static uint32_t unread_of(const struct kolk__link *link)
{
	return (uint32_t)kolk__input_size(link) | (link->ended ? KOLK__UNREAD_END : 0);
}

size_t kolk__input_take(struct kolk__link *link, void *bytes, size_t size)
{
	size_t there = kolk__input_size(link);

	KOLK__AT_HOME(link, kolk__load_relaxed(&link->streaming));
	if (size > there)
		size = there;
	if (size == 0)
		return 0;
	memcpy(bytes, link->in.bytes + link->in.start, size);
	link->in.start += size;
	kolk__sub_relaxed(&link->tloop->unread, size);
	if (link->in.start == link->in.end) {
		link->in.start = link->in.end = 0;
		unstash(link);
	}
	kolk__store_release(&link->unread, unread_of(link));
	if (kolk__input_size(link) == 0 && kolk__load_relaxed(&link->streaming))
		stream_resume(link);
	return size;
}

void kolk__input_free(struct kolk__link *link)
{
	kolk__sub_relaxed(&link->tloop->unread, kolk__input_size(link));
	kolk__buffer_free(link->tloop->transport, &link->in);
}

uint64_t kolk__tloop_unread(const struct kolk__tloop *tloop)
{
	return kolk__load_relaxed(&tloop->unread);
}

/* ---- the stream */

static void stream_begin(struct kolk__link *link)
{
	KOLK__HOME(link);
	link->wants_stream = false;
	kolk__store_release(&link->streaming, 1);
	stream_submit(link);
}

static void stream_pause(struct kolk__link *link)
{
	KOLK__HOME(link);
	link->paused = true;
	kolk__cancel(link->tloop, &link->watch_op);
}

/* Who waits for the stream looks again, and may wait again. */
static void wake_reader(struct kolk__link *link)
{
	struct kolk__io *io = link->reader;

	link->reader = NULL;
	if (kolk__link_is_away(link))
		kolk__exchange_input(link);
	else if (io != NULL)
		kolk__io_resume(io);
}

static void stream_broken(struct kolk__link *link, int32_t result)
{
	KOLK__HOME(link);
	link->ended = true;
	link->end_error = result;
	kolk__store_sc(&link->unread, unread_of(link)); /* STREAM.SC */
	kolk__link_hung_up(link, kolk__link_reason(kolk__err_of(result)));
	wake_reader(link);
}

static void unasked(struct kolk__link *link)
{
	if (link->tls != NULL || link->origin->driver->heard != NULL)
		link->tloop->transport->host.came(link->connection);
	else
		kolk__link_hung_up(link, KOLK_REASON_PEER_DATA);
}

/* Straight to who waits, or was served in this very turn and does not know yet: an answer that
 * comes in pieces is copied once, and told once. */
static size_t hand_over(struct kolk__link *link, const uint8_t *bytes, size_t size)
{
	struct kolk__io *io = link->reader != NULL ? link->reader : link->filled;

	if (io == NULL || link->tls != NULL || kolk__input_size(link) != 0)
		return 0;
	if (size > io->size - io->moved)
		size = io->size - io->moved;
	memcpy(io->buffer + io->moved, bytes, size);
	io->moved += size;
	return size;
}

static void arrived(struct kolk__link *link, const uint8_t *bytes, size_t size)
{
	struct kolk__io *io = link->reader;
	size_t taken;

	KOLK__HOME(link);
	if (link->ended)
		return;
	taken = hand_over(link, bytes, size);
	bytes += taken;
	size -= taken;
	if (size > 0 && !stash(link, bytes, size)) {
		stream_pause(link);
		stream_broken(link, -ENOMEM);
		return;
	}
	if (size > 0) {
		kolk__add_relaxed(&link->tloop->unread, size);
		kolk__store_sc(&link->unread, (uint32_t)kolk__input_size(link)); /* STREAM.SC */
	}
	if (kolk__input_size(link) > KOLK__UNREAD_MAX && !link->paused)
		stream_pause(link);
	if (io != NULL && taken > 0)
		link->filled = io;
	if (io != NULL || kolk__link_is_away(link))
		wake_reader(link);
	else if (!kolk__load_sc(&link->used)) /* STREAM.SC: nobody asked for it */
		unasked(link);
}

/* Its last word: it was broken, paused, or it stops for another reader. */
static void stream_over(struct kolk__link *link, int32_t result)
{
	KOLK__HOME(link);
	if (result == -EOPNOTSUPP) {
		link->tloop->no_streams = true;
		kolk__transport_log(link->tloop->transport, KOLK_LOG_WARN,
				    "no multishot receive here: one operation per receive");
	}
	if (result == -EOPNOTSUPP || (result == -ECANCELED && link->yields)) {
		kolk__store_release(&link->streaming, 0); /* STREAM.R1 -> STREAM.A1 */
		kolk__input_watch(link);
		wake_reader(link);
	} else if (result != -ECANCELED) {
		stream_broken(link, result);
	} else if (link->reader != NULL || kolk__input_size(link) == 0) {
		stream_resume(link);
	}
}

static void yielded(struct kolk__link *link);

static void stream_event(struct kolk_op *op)
{
	struct kolk__link *link = op->owner;

	if (link->phase == KOLK__CLOSING_LINK) {
		if (!op->in_flight)
			kolk__link_close_if_quiet(link);
	} else if (op->in_flight) {
		arrived(link, op->data, (size_t)op->result);
	} else {
		stream_over(link, op->result);
		if (link->yields)
			yielded(link);
	}
}

/* ---- watch, or stream */

static void watch_event(struct kolk_op *op)
{
	struct kolk__link *link = op->owner;

	if (link->phase == KOLK__CLOSING_LINK)
		kolk__link_close_if_quiet(link);
	else if (op->result != -ECANCELED)
		kolk__link_hung_up(link, kolk__link_reason(kolk__err_of(op->result)));
	else
		kolk__input_read(link);
}

static bool may_stream(const struct kolk__link *link)
{
	return !link->yields && !link->tloop->no_streams && !link->hung_up;
}

void kolk__input_watch(struct kolk__link *link)
{
	KOLK__HOME(link);
	if (may_stream(link) && kolk__load_relaxed(&link->origin->streams))
		stream_begin(link);
	else
		kolk__submit(link->tloop, &link->watch_op, KOLK_OP_WATCH, link->fd, NULL, 0,
			     watch_event, link);
}

bool kolk__input_wait(struct kolk__link *link, struct kolk__io *io)
{
	KOLK__HOME(link);
	KOLK__ON_TLOOP(io->tloop);
	if (!kolk__load_relaxed(&link->streaming)) {
		if (!may_stream(link))
			return false;
		kolk__store_relaxed(&link->origin->streams, true);
		link->wants_stream = true;
		if (link->watch_op.in_flight) {
			kolk__cancel(link->tloop, &link->watch_op);
			return false; /* this once: the stream begins when both have ended */
		}
		stream_begin(link);
	}
	link->reader = io;
	stream_resume(link);
	return true;
}

void kolk__input_read(struct kolk__link *link)
{
	KOLK__HOME(link);
	if (link->wants_stream && !link->watch_op.in_flight && !link->recv_op.in_flight)
		stream_begin(link);
}

/* ---- another reader */

static void yield_answer(struct kolk__note *note)
{
	struct kolk__link *link = kolk__link_of_note(note);

	KOLK__ON_TLOOP(kolk__load_relaxed(&link->stranger));
	kolk__store_relaxed(&link->stranger, NULL);
	kolk__store_release(&link->note_out, 0);
	kolk__io_yielded(link);
}

/* The socket is the holder's: tell it, wherever it waits. A note that is on its way here already is
 * another question, and answered when it comes. */
static void yielded(struct kolk__link *link)
{
	const struct kolk_sys *sys = link->tloop->transport->sys;
	struct kolk__tloop *stranger = kolk__load_sc(&link->stranger); /* YIELD.SC */

	KOLK__HOME(link);
	kolk__store_release(&link->streaming, 0); /* STREAM.R1 -> STREAM.A1 */
	if (stranger == NULL)
		sys->wake(sys->context, kolk__futex(&link->streaming), UINT32_MAX);
	else if (!kolk__exchange_sc(&link->note_out, 1))
		kolk__tloop_post(stranger, &link->note, yield_answer);
}

static void yield_asked(struct kolk__note *note)
{
	struct kolk__link *link = kolk__link_of_note(note);

	KOLK__HOME(link);
	(void)kolk__exchange_sc(&link->note_out, 0); /* YIELD.SC */
	if (link->phase == KOLK__CLOSING_LINK) {
		kolk__link_close_if_quiet(link);
		return;
	}
	link->yields = true;
	if (link->watch_op.in_flight && kolk__load_relaxed(&link->streaming)) {
		kolk__cancel(link->tloop, &link->watch_op); /* stream_event goes on */
		return;
	}
	if (!link->watch_op.in_flight && !link->hung_up) /* it was paused */
		kolk__input_watch(link);
	yielded(link);
}

bool kolk__input_yield(struct kolk__link *link, uint64_t deadline_ns)
{
	const struct kolk_sys *sys = link->tloop->transport->sys;

	if (!kolk__exchange_sc(&link->note_out, 1))
		kolk__tloop_post(link->tloop, &link->note, yield_asked);
	while (kolk__load_acquire(&link->streaming)) /* STREAM.A1 <- STREAM.R1 */
		if (!sys->wait(sys->context, kolk__futex(&link->streaming), 1, deadline_ns))
			return !kolk__load_acquire(&link->streaming);
	return true;
}

void kolk__input_yield_async(struct kolk__link *link, struct kolk__tloop *tloop)
{
	KOLK__ON_TLOOP(tloop);
	kolk__store_sc(&link->stranger, tloop);
	if (!kolk__exchange_sc(&link->note_out, 1)) /* YIELD.SC */
		kolk__tloop_post(link->tloop, &link->note, yield_asked);
}
