/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_tls.c - TLS of streams: the handshake, and records between the ring and the handler.
 *
 * The handshake is exchange.c's, on workers; until it is over nothing is shown, and the socket is
 * read piece by piece, since link.in is the worker's during a step. A stream gets a TLS context
 * with its first byte. No more than steps_max steps of a loop's handshakes are on workers at a
 * time, because dials need them, too; the others wait in their order. Handshakes whose peers are
 * silent cost no worker, and are bounded by their time.
 *
 * A stream that is shown receives as plain ones do. What comes goes through link.in to mbedTLS.
 */
#include "core/base/atomic.h"
#include "transport/exchange.h"
#include "transport/input.h"
#include "transport/stream.h"
#include "transport/tls.h"

/* ---- how new streams speak it */

enum kolk_err kolk__listening_tls_set(struct kolk__listening *listening,
				      const struct kolk_listener_tls *options,
				      struct kolk_failure *failure)
{
	struct kolk__tls_server *server, *earlier;
	enum kolk_err err = kolk__tls_server_open(listening->transport, options, failure, &server);

	if (err != KOLK_OK)
		return err;
	if (!listening->has_tls) { /* no other thread knows it yet */
		pthread_mutex_init(&listening->tls_lock, NULL);
		listening->has_tls = true;
	}
	pthread_mutex_lock(&listening->tls_lock);
	earlier = listening->tls;
	listening->tls = server;
	pthread_mutex_unlock(&listening->tls_lock);
	kolk__tls_server_unref(earlier);
	return KOLK_OK;
}

void kolk__listening_tls_free(struct kolk__listening *listening)
{
	if (!listening->has_tls)
		return;
	kolk__tls_server_unref(listening->tls);
	pthread_mutex_destroy(&listening->tls_lock);
}

static enum kolk_err make_context(struct kolk__link *link)
{
	struct kolk__listening *listening = kolk__stream_of(link)->acceptor->listening;
	struct kolk__tls_server *server;
	enum kolk_err err;

	pthread_mutex_lock(&listening->tls_lock);
	server = kolk__tls_server_ref(listening->tls);
	pthread_mutex_unlock(&listening->tls_lock);
	err = kolk__tls_accept(link, server);
	kolk__tls_server_unref(server);
	return err;
}

/* ---- steps of handshakes on workers */

static void wait_for_step(struct kolk__link *link)
{
	struct kolk__acceptor *acceptor = kolk__stream_of(link)->acceptor;
	struct kolk__progress *progress = link->progress;

	progress->next = NULL;
	progress->prev = acceptor->steps_end;
	*acceptor->steps_end = progress;
	acceptor->steps_end = &progress->next;
}

/* Also if it does not wait. */
static void stop_waiting(struct kolk__link *link)
{
	struct kolk__progress *progress = link->progress;

	if (progress->prev == NULL)
		return;
	*progress->prev = progress->next;
	if (progress->next != NULL)
		progress->next->prev = progress->prev;
	else
		kolk__stream_of(link)->acceptor->steps_end = progress->prev;
	progress->prev = NULL;
}

/* The step may begin. If not, it waits, or failed. */
static bool may_step(struct kolk__link *link)
{
	struct kolk__acceptor *acceptor = kolk__stream_of(link)->acceptor;
	enum kolk_err err = KOLK_OK;

	if (link->tls == NULL && link->ended) { /* it came, and went without a word */
		kolk__exchange_failed(link, KOLK_E_CLOSED, 0, 0);
		return false;
	}
	if (acceptor->steps == acceptor->listening->steps_max) {
		wait_for_step(link);
		return false;
	}
	if (link->tls == NULL)
		err = make_context(link);
	if (err == KOLK_OK)
		acceptor->steps++;
	else
		kolk__exchange_failed(link, err, 0, 0);
	return err == KOLK_OK;
}

static void stepped(struct kolk__link *link)
{
	struct kolk__acceptor *acceptor = kolk__stream_of(link)->acceptor;
	struct kolk__progress *next;

	acceptor->steps--;
	while ((next = acceptor->steps_waiting) != NULL &&
	       acceptor->steps < acceptor->listening->steps_max) {
		stop_waiting(next->link);
		kolk__exchange_pump(next->link);
	}
}

/* ---- how a handshake ends */

/* At most once a second. A peer that went without a word is a health check, perhaps. */
static void log_failure(struct kolk_stream *stream, enum kolk_err err)
{
	const struct kolk__link *link = kolk__link_of_stream(stream);
	struct kolk__acceptor *acceptor = stream->acceptor;
	struct kolk__transport *transport = acceptor->loop->transport;
	uint64_t now_ns = kolk__link_now(transport);
	const char *detail = link->tls != NULL && err != KOLK_E_CLOSED ? kolk__tls_detail(link) : NULL;

	if (link->tls == NULL)
		return;
	acceptor->failed_unlogged++;
	if (acceptor->failed_logged_ns != 0 && now_ns - acceptor->failed_logged_ns < KOLK_S_NS)
		return;
	kolk__transport_log(transport, KOLK_LOG_WARN,
			    "TLS: %u handshakes of clients failed; the last: %s%s%s",
			    acceptor->failed_unlogged, kolk_err_name(err),
			    detail != NULL ? ", " : "", detail != NULL ? detail : "");
	acceptor->failed_logged_ns = now_ns;
	acceptor->failed_unlogged = 0;
}

/* An alert has to reach the peer: a reset would overtake it. */
static void failed(struct kolk__link *link, enum kolk_err err, int64_t os_error, int tls_error)
{
	struct kolk_stream *stream = kolk__stream_of(link);

	(void)os_error;
	if (stream->state == KOLK__STREAM_ENDING)
		return;
	kolk__own_add(&stream->acceptor->handshake_failed, 1);
	log_failure(stream, err);
	if (tls_error == 0 || err == KOLK_E_CLOSED || !kolk__output_flush(link)) {
		kolk__stream_fail(stream, err, err != KOLK_E_CLOSED);
		return;
	}
	kolk__stream_opened(stream);
	kolk__link_accepted(link);
	kolk__tls_close(link);
	kolk__input_free(link);
	kolk__output_free(link);
	kolk__stream_linger(stream);
}

/* Data may have come with the last message of the handshake. */
static void established(struct kolk__link *link)
{
	kolk__output_free(link);
	kolk__stream_show(kolk__stream_of(link));
}

static void quiescent(struct kolk__link *link)
{
	kolk__stream_end_if_quiescent(kolk__stream_of(link));
}

const struct kolk__accepting kolk__stream_accepting = {
	.may_step = may_step, .stepped = stepped, .established = established, .failed = failed,
	.quiescent = quiescent,
};

void kolk__stream_tls_begin(struct kolk_stream *stream)
{
	kolk__exchange_receive(kolk__link_of_stream(stream));
}

void kolk__stream_tls_stop(struct kolk_stream *stream)
{
	stop_waiting(kolk__link_of_stream(stream));
}

/* ---- records */

/* The peer said that it ends, or how it failed to. */
static void read_ended(struct kolk_stream *stream, enum kolk_err err)
{
	if (err == KOLK_E_CLOSED)
		kolk__stream_show_end(stream);
	else
		kolk__stream_fail(stream, err, false);
}

void kolk__stream_tls_show(struct kolk_stream *stream)
{
	struct kolk__link *link = kolk__link_of_stream(stream);
	enum kolk_err err = KOLK_OK;
	uint8_t record[16 * 1024];
	size_t size;

	KOLK__HOME(link);
	while (err == KOLK_OK && stream->state == KOLK__STREAM_OPEN && !stream->paused &&
	       !stream->end_shown) {
		err = kolk__tls_read(link, record, sizeof record, &size);
		if (err == KOLK_OK)
			kolk__stream_data(stream, record, size);
	}
	/* Alerts that answer what was read. A send that is in flight takes them along. */
	if (link->sending == NULL && stream->state == KOLK__STREAM_OPEN)
		(void)kolk__output_flush(link);
	if (err != KOLK_OK && err != KOLK_PENDING)
		read_ended(stream, err);
	if (stream->state == KOLK__STREAM_OPEN)
		kolk__link_trim(link);
}

void kolk__stream_tls_arrived(struct kolk_stream *stream, const uint8_t *bytes, size_t size)
{
	struct kolk__link *link = kolk__link_of_stream(stream);

	if (stream->end_shown) /* after close_notify nothing means anything */
		return;
	if (kolk__input_add(link, bytes, size))
		kolk__stream_tls_show(stream);
	else
		kolk__stream_fail(stream, KOLK_E_MEMORY, true);
}

/* ---- close_notify */

static void notified(void *user, enum kolk_err err, size_t size)
{
	struct kolk__io *io = user;

	(void)err, (void)size;
	kolk__dealloc(io->link->loop->transport, io, sizeof *io);
}

/* A socket that is full takes it later. */
bool kolk__stream_tls_notify(struct kolk_stream *stream)
{
	struct kolk__link *link = kolk__link_of_stream(stream);
	struct kolk__transport *transport = link->loop->transport;
	struct kolk__io *io;

	if (stream->notified)
		return false;
	stream->notified = true;
	kolk__tls_notify(link);
	if (kolk__output_flush(link))
		return false;
	io = kolk__alloc(transport, sizeof *io);
	if (io == NULL)
		return false;
	*io = (struct kolk__io){ .callback = notified, .user = io, .data = (const void *)"",
				 .sending = 1 };
	if (kolk__stream_send(stream, io) == KOLK_PENDING)
		return true;
	kolk__dealloc(transport, io, sizeof *io);
	return false;
}
