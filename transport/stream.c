/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.c - a connection that a peer dialled: what comes is shown to its handler as it lies in the
 * ring's buffer, and what its handler sends goes the way of a lease's asynchronous send.
 *
 * The end of a stream is told from its task, never inside a call of its handler.
 */
#include "transport/stream.h"

#include <errno.h>
#include <string.h>

#include "core/base/atomic.h"
#include "core/base/container.h"
#include "transport/input.h"
#include "transport/os_error.h"

/* A peer that goes on talking to a stream that was closed is reset after so much. */
enum { LINGER_BYTES_MAX = 1024 * 1024 };
/* Of a ring without streams: so much is read at a time, so often in a step. */
enum { PIECE = 16 * 1024, PIECES_MAX = 16 };

static const struct kolk_stream_handler *handler_of(const struct kolk_stream *stream)
{
	return &stream->acceptor->listening->handler;
}

/* ---- the end */

static bool is_quiescent(const struct kolk__link *link)
{
	return kolk__link_is_quiescent(link) && link->sending == NULL;
}

static void close_socket(struct kolk_stream *stream)
{
	struct kolk__link *link = kolk__link_of_stream(stream);
	const struct kolk_sys *sys = link->loop->transport->sys;

	if (stream->resets)
		sys->sock_reset(sys->context, link->fd);
	else
		sys->sock_close(sys->context, link->fd);
	link->fd = -1;
}

static void tell_end(struct kolk_stream *stream)
{
	if (stream->shown && handler_of(stream)->end != NULL)
		handler_of(stream)->end(stream->user, stream, (enum kolk_err)stream->err);
	stream->shown = false;
}

static void on_task(struct kolk__task *task);

static void post(struct kolk__link *link)
{
	if (kolk__load_relaxed(&link->task_posted)) /* the loop's own */
		return;
	kolk__store_relaxed(&link->task_posted, 1);
	kolk__io_loop_post(link->loop, &link->task, on_task);
}

void kolk__stream_end_if_quiescent(struct kolk_stream *stream)
{
	struct kolk__link *link = kolk__link_of_stream(stream);

	if (stream->state == KOLK__STREAM_ENDING && is_quiescent(link))
		post(link);
}

static void uncount_address(struct kolk_stream *stream)
{
	const struct kolk__listening *listening = stream->acceptor->listening;
	uint64_t number;

	if (stream->counted && kolk__stream_peer_number(stream, &number))
		listening->give_address(listening->listener, number);
	stream->counted = false;
}

void kolk__stream_fail(struct kolk_stream *stream, enum kolk_err err, bool resets)
{
	struct kolk__link *link = kolk__link_of_stream(stream);

	KOLK__HOME(link);
	if (stream->state == KOLK__STREAM_ENDING)
		return;
	/* All that was to be sent was sent: whatever happens then, the stream was closed well. */
	stream->err = (int8_t)(stream->state == KOLK__STREAM_LINGERING ? KOLK_OK : err);
	stream->state = KOLK__STREAM_ENDING;
	stream->resets = resets;
	*stream->prev = stream->next;
	if (stream->next != NULL)
		stream->next->prev = stream->prev;
	kolk__stream_opened(stream);
	kolk__cancel(link->loop, &link->watch_op);
	if (link->progress != NULL) {
		link->phase = KOLK__ENDING;
		kolk__stream_tls_stop(stream);
		kolk__cancel(link->loop, &link->progress->recv_op);
		kolk__cancel(link->loop, &link->progress->send_op);
	}
	if (link->sending != NULL)
		kolk__io_cancel(link->sending);
	kolk__stream_end_if_quiescent(stream);
}

static void finish(struct kolk_stream *stream)
{
	struct kolk__link *link = kolk__link_of_stream(stream);
	struct kolk__acceptor *acceptor = stream->acceptor;

	tell_end(stream);
	uncount_address(stream);
	close_socket(stream);
	kolk__link_free(link);
	kolk__acceptor_stream_ended(acceptor);
}

void kolk__stream_lost(struct kolk_stream *stream)
{
	/* As in kolk__stream_fail. */
	stream->err = (int8_t)(stream->state == KOLK__STREAM_LINGERING ? KOLK_OK : KOLK_E_DRAINING);
	stream->state = KOLK__STREAM_ENDING;
}

void kolk__stream_drop(struct kolk_stream *stream)
{
	struct kolk__link *link = kolk__link_of_stream(stream);
	struct kolk__io *io = link->sending;

	link->sending = NULL;
	if (io != NULL)
		io->callback(io->user, KOLK_E_CANCELLED, io->moved);
	tell_end(stream);
	uncount_address(stream);
}

/* ---- receiving */

static void on_bytes(struct kolk_op *op);

/* What was kept is shown first: a stream never keeps more than a ring has received. */
static bool may_read(const struct kolk_stream *stream)
{
	const struct kolk__link *link = kolk__link_of_stream(stream);

	if (link->ended || stream->state == KOLK__STREAM_ENDING)
		return false;
	return stream->state != KOLK__STREAM_OPEN ||
	       (!stream->paused && (link->tls != NULL || kolk__input_size(link) == 0));
}

static void read_more(struct kolk_stream *stream)
{
	struct kolk__link *link = kolk__link_of_stream(stream);

	if (link->watch_op.in_flight || !may_read(stream))
		return;
	kolk__op_fd(&link->watch_op, link->loop->no_streams ? KOLK_OP_POLL : KOLK_OP_STREAM,
		    link->fd);
	kolk__submit(link->loop, &link->watch_op, on_bytes, link);
}

void kolk__stream_show_end(struct kolk_stream *stream)
{
	if (stream->end_shown)
		return;
	stream->end_shown = true;
	handler_of(stream)->data(stream->user, stream, "", 0);
}

void kolk__stream_count(struct kolk_stream *stream, size_t size)
{
	stream->received += size;
	kolk__own_add(&stream->acceptor->received, size);
}

void kolk__stream_data(struct kolk_stream *stream, const void *bytes, size_t size)
{
	kolk__stream_count(stream, size);
	handler_of(stream)->data(stream->user, stream, bytes, size);
}

/* What came while it was paused, at once; the handler may do anything meanwhile. */
static void show_kept(struct kolk_stream *stream)
{
	struct kolk__link *link = kolk__link_of_stream(stream);
	struct kolk__buffer kept = link->in;
	size_t size = kolk__buffer_size(&kept);

	link->in = (struct kolk__buffer){ 0 };
	kolk__sub_relaxed(&link->loop->unread, size);
	if (size > 0)
		handler_of(stream)->data(stream->user, stream, kept.bytes + kept.start, size);
	kolk__buffer_free(link->loop->transport, &kept);
}

static void show_plain(struct kolk_stream *stream)
{
	show_kept(stream);
	if (kolk__link_of_stream(stream)->ended && stream->state == KOLK__STREAM_OPEN &&
	    !stream->paused)
		kolk__stream_show_end(stream);
}

/* It was resumed: what there is, and then on. */
void kolk__stream_go_on(struct kolk_stream *stream)
{
	struct kolk__link *link = kolk__link_of_stream(stream);

	if (stream->state != KOLK__STREAM_OPEN || stream->paused)
		return;
	if (link->tls != NULL)
		kolk__stream_tls_show(stream);
	else
		show_plain(stream);
	read_more(stream);
}

static void read_away(struct kolk_stream *stream, size_t size)
{
	stream->lingered += (uint32_t)size;
	if (stream->lingered > LINGER_BYTES_MAX)
		kolk__stream_fail(stream, KOLK_OK, true);
}

static void arrived(struct kolk_stream *stream, const uint8_t *bytes, size_t size)
{
	struct kolk__link *link = kolk__link_of_stream(stream);

	if (link->tls == NULL)
		kolk__stream_count(stream, size);
	if (stream->state == KOLK__STREAM_LINGERING)
		read_away(stream, size);
	if (stream->state != KOLK__STREAM_OPEN)
		return;
	if (link->tls != NULL)
		kolk__stream_tls_arrived(stream, bytes, size);
	else if (!stream->paused && kolk__input_size(link) == 0)
		handler_of(stream)->data(stream->user, stream, bytes, size);
	else if (!kolk__input_add(link, bytes, size))
		kolk__stream_fail(stream, KOLK_E_MEMORY, true);
}

/* The peer sends no more. */
static void ended(struct kolk_stream *stream, int32_t result)
{
	struct kolk__link *link = kolk__link_of_stream(stream);

	link->ended = true;
	if (result < 0)
		kolk__stream_fail(stream, kolk__err_of(result), false);
	else if (stream->state == KOLK__STREAM_LINGERING)
		kolk__stream_fail(stream, KOLK_OK, false);
	else if (link->tls != NULL)
		kolk__stream_tls_show(stream);
	else if (stream->state == KOLK__STREAM_OPEN && !stream->paused &&
		 kolk__input_size(link) == 0)
		kolk__stream_show_end(stream);
}

/* Of a ring without streams: it is readable. */
static int32_t read_pieces(struct kolk_stream *stream)
{
	struct kolk__link *link = kolk__link_of_stream(stream);
	const struct kolk_sys *sys = link->loop->transport->sys;
	uint8_t piece[PIECE];
	int64_t got = 1;

	for (int i = 0; i < PIECES_MAX && got > 0 && !stream->paused &&
			stream->state != KOLK__STREAM_ENDING; i++) {
		got = sys->sock_recv(sys->context, link->fd, piece, sizeof piece);
		if (got > 0)
			arrived(stream, piece, (size_t)got);
	}
	return got > 0 || got == -EAGAIN ? -ECANCELED : (int32_t)got;
}

static void on_bytes(struct kolk_op *op)
{
	struct kolk__link *link = op->owner;
	struct kolk_stream *stream = kolk__stream_of(link);
	int32_t result = op->result;

	KOLK__HOME(link);
	if (op->in_flight) {
		arrived(stream, op->data, (size_t)result);
		return;
	}
	if (op->kind == KOLK_OP_POLL && result >= 0)
		result = read_pieces(stream);
	if (result == -EOPNOTSUPP)
		kolk__input_no_streams(link->loop);
	else if (result != -ECANCELED && stream->state != KOLK__STREAM_ENDING)
		ended(stream, result);
	read_more(stream);
	kolk__stream_end_if_quiescent(stream);
}

void kolk__stream_pause(struct kolk_stream *stream)
{
	struct kolk__link *link = kolk__link_of_stream(stream);

	KOLK__HOME(link);
	if (stream->state != KOLK__STREAM_OPEN || stream->paused)
		return;
	stream->paused = true;
	kolk__cancel(link->loop, &link->watch_op);
}

void kolk__stream_resume(struct kolk_stream *stream)
{
	struct kolk__link *link = kolk__link_of_stream(stream);

	KOLK__HOME(link);
	if (stream->state != KOLK__STREAM_OPEN || !stream->paused)
		return;
	stream->paused = false;
	post(link);
}

static void on_task(struct kolk__task *task)
{
	struct kolk__link *link = kolk__link_of_task(task);
	struct kolk_stream *stream = kolk__stream_of(link);

	KOLK__HOME(link);
	kolk__store_relaxed(&link->task_posted, 0);
	if (stream->state != KOLK__STREAM_ENDING)
		kolk__stream_go_on(stream);
	else if (is_quiescent(link))
		finish(stream);
}

/* ---- sending, closing */

/* After a handshake that failed no longer than that may take. */
void kolk__stream_linger(struct kolk_stream *stream)
{
	struct kolk__link *link = kolk__link_of_stream(stream);
	const struct kolk_sys *sys = link->loop->transport->sys;
	const struct kolk__listening *listening = stream->acceptor->listening;

	stream->state = KOLK__STREAM_LINGERING;
	sys->sock_end(sys->context, link->fd);
	if (link->ended || listening->linger_ns == 0) {
		kolk__stream_fail(stream, KOLK_OK, false);
		return;
	}
	kolk__stream_queue_join(listening->linger_ns > listening->handshake_ns && !stream->shown ?
					&stream->acceptor->opening : &stream->acceptor->lingers,
				stream);
	read_more(stream);
}

/* All was sent. */
static void say_end(struct kolk_stream *stream)
{
	if (kolk__link_of_stream(stream)->tls == NULL || !kolk__stream_tls_notify(stream))
		kolk__stream_linger(stream);
}

void kolk__stream_close(struct kolk_stream *stream)
{
	struct kolk__link *link = kolk__link_of_stream(stream);

	KOLK__HOME(link);
	if (stream->state != KOLK__STREAM_OPEN)
		return;
	stream->state = KOLK__STREAM_CLOSING;
	stream->paused = false; /* what still comes is read away */
	kolk__input_free(link);
	if (link->sending == NULL)
		say_end(stream);
}

void kolk__stream_reset(struct kolk_stream *stream)
{
	kolk__stream_fail(stream, KOLK_OK, true);
}

static void sent(struct kolk__io *io, enum kolk_err err, size_t size)
{
	struct kolk__link *link = io->link;
	struct kolk_stream *stream = kolk__stream_of(link);

	KOLK__HOME(link);
	kolk__stream_queue_leave(stream);
	stream->sent += size;
	kolk__own_add(&stream->acceptor->sent, size);
	if (err != KOLK_OK)
		kolk__stream_fail(stream, err, true);
	io->callback(io->user, err, size);
	/* The callback may have begun another send, or close_notify one: its end comes here. */
	if (stream->state == KOLK__STREAM_CLOSING && link->sending == NULL)
		say_end(stream);
	kolk__stream_end_if_quiescent(stream);
}

enum kolk_err kolk__stream_send(struct kolk_stream *stream, struct kolk__io *io)
{
	struct kolk__link *link = kolk__link_of_stream(stream);
	enum kolk_err err;

	io->done = sent;
	io->deadline_ns = KOLK_FOREVER;
	err = kolk__link_send_async(link, link->loop, io);
	if (err != KOLK_PENDING)
		return err;
	stream->moved = 0;
	stream->idle_ticks = 0;
	kolk__stream_queue_join(&stream->acceptor->sends, stream);
	return KOLK_PENDING;
}

enum kolk_err kolk__stream_may_send(const struct kolk_stream *stream)
{
	const struct kolk__link *link = kolk__link_of_stream(stream);

	KOLK__HOME(link);
	if (stream->state != KOLK__STREAM_OPEN)
		return KOLK_E_CLOSED;
	return link->sending != NULL ? KOLK_E_IN_USE : KOLK_OK;
}

/* Each tick: does the peer take anything? The kernel takes more only when there is much space
 * again, so a slow peer shows in what is not acknowledged yet. */
void kolk__stream_late_send(struct kolk_stream *stream)
{
	const struct kolk__link *link = kolk__link_of_stream(stream);
	const struct kolk_sys *sys = link->loop->transport->sys;
	int64_t unsent = sys->sock_unsent(sys->context, link->fd) +
			 (int64_t)kolk__output_size(link);
	uint32_t moved = (uint32_t)(link->sending->moved - (uint64_t)unsent);

	stream->idle_ticks = moved == stream->moved ? (uint8_t)(stream->idle_ticks + 1) : 0;
	stream->moved = moved;
	if (stream->idle_ticks >= KOLK__TICKS)
		kolk__stream_fail(stream, KOLK_E_TIMEOUT, true);
	else
		kolk__stream_queue_join(&stream->acceptor->sends, stream);
}

/* The peer has its answer, as far as can be known. */
void kolk__stream_late_linger(struct kolk_stream *stream)
{
	kolk__stream_fail(stream, KOLK_OK, false);
}

/* ---- about it */

void kolk__stream_bytes(const struct kolk_stream *stream, uint64_t *received, uint64_t *sent_bytes)
{
	const struct kolk__io *io = kolk__link_of_stream(stream)->sending;

	*received = stream->received;
	*sent_bytes = stream->sent + (io != NULL ? io->moved : 0);
}

void *kolk__stream_listener(const struct kolk_stream *stream)
{
	return stream->acceptor->listening->listener;
}

uint32_t kolk__stream_loop_index(const struct kolk_stream *stream)
{
	return stream->acceptor->index;
}
