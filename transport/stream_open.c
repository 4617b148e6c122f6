/* SPDX-License-Identifier: Apache-2.0 */
/* stream_open.c - from an accepted connection to a stream that is shown: its PROXY header, and
 * whether it may be there at all. TLS: stream_tls.c. */
#include "transport/input.h"
#include "transport/os_error.h"
#include "transport/stream.h"

#include "core/base/atomic.h"

/* It is shown, or it never will be. */
void kolk__stream_opened(struct kolk_stream *stream)
{
	kolk__stream_queue_leave(stream);
	if (stream->handshaking)
		kolk__own_sub(&stream->acceptor->handshakes, 1);
	stream->handshaking = false;
}

void kolk__stream_show(struct kolk_stream *stream)
{
	const struct kolk__listening *listening = stream->acceptor->listening;
	struct kolk__link *link = kolk__link_of_stream(stream);

	kolk__stream_opened(stream);
	kolk__link_accepted(link);
	if (link->tls == NULL) /* behind a PROXY header */
		kolk__stream_count(stream, kolk__input_size(link));
	stream->state = KOLK__STREAM_OPEN;
	stream->user = listening->handler.open(listening->user, stream);
	if (stream->user == NULL) {
		kolk__own_add(&stream->acceptor->refused_open, 1);
		kolk__stream_fail(stream, KOLK_OK, true);
		return;
	}
	stream->shown = true;
	kolk__stream_go_on(stream);
}

/* Who it is is known. */
static void admit(struct kolk_stream *stream)
{
	const struct kolk__listening *listening = stream->acceptor->listening;
	uint64_t number;

	if (listening->take_address != NULL && kolk__stream_peer_number(stream, &number)) {
		stream->counted = listening->take_address(listening->listener, number);
		if (!stream->counted) {
			kolk__own_add(&stream->acceptor->refused_address, 1);
			kolk__stream_fail(stream, KOLK_OK, true);
			return;
		}
	}
	if (listening->has_tls)
		kolk__stream_tls_begin(stream);
	else
		kolk__stream_show(stream);
}

static void on_header(struct kolk_op *op);

static void receive_header(struct kolk_stream *stream)
{
	struct kolk__link *link = kolk__link_of_stream(stream);
	size_t size;
	uint8_t *space = kolk__input_reserve(link, &size);

	if (space == NULL) {
		kolk__stream_fail(stream, KOLK_E_MEMORY, true);
		return;
	}
	kolk__op_recv(&link->progress->recv_op, link->fd, space, size);
	kolk__submit(link->loop, &link->progress->recv_op, on_header, link);
}

static void read_header(struct kolk_stream *stream)
{
	struct kolk__link *link = kolk__link_of_stream(stream);
	struct kolk__proxy proxy;
	int32_t size = kolk__proxy_read(link->in.bytes + link->in.start, kolk__input_size(link),
					&proxy);

	if (size == 0) {
		receive_header(stream);
	} else if (size < 0) {
		kolk__own_add(&stream->acceptor->proxy_failed, 1);
		kolk__stream_fail(stream, KOLK_E_PROTOCOL, true);
	} else {
		link->in.start += (uint32_t)size;
		kolk__sub_relaxed(&link->loop->unread, (size_t)size);
		kolk__stream_peer_proxied(stream, &proxy);
		admit(stream);
	}
}

static void on_header(struct kolk_op *op)
{
	struct kolk__link *link = op->owner;
	struct kolk_stream *stream = kolk__stream_of(link);

	KOLK__HOME(link);
	if (stream->state == KOLK__STREAM_ENDING) {
		kolk__stream_end_if_quiescent(stream);
	} else if (op->result <= 0) {
		kolk__own_add(&stream->acceptor->proxy_failed, 1);
		kolk__stream_fail(stream, kolk__err_of(op->result), true);
	} else {
		kolk__input_received(link, (size_t)op->result);
		read_header(stream);
	}
}

void kolk__stream_late_opening(struct kolk_stream *stream)
{
	if (stream->state == KOLK__STREAM_LINGERING) {
		kolk__stream_late_linger(stream);
		return;
	}
	kolk__own_add(&stream->acceptor->handshake_timeout, 1);
	kolk__stream_fail(stream, KOLK_E_TIMEOUT, true);
}

static void enlist(struct kolk_stream *stream)
{
	struct kolk__acceptor *acceptor = stream->acceptor;

	stream->next = acceptor->streams;
	stream->prev = &acceptor->streams;
	if (stream->next != NULL)
		stream->next->prev = &stream->next;
	acceptor->streams = stream;
	acceptor->count++;
	kolk__own_add(&acceptor->streams_now, 1);
}

bool kolk__stream_open(struct kolk__acceptor *acceptor, int fd, const struct kolk_address *peer)
{
	struct kolk__link *link = kolk__link_accept(acceptor->loop, acceptor->upstream, fd);
	struct kolk_stream *stream;

	KOLK__ON_LOOP(acceptor->loop);
	if (link == NULL)
		return false;
	stream = kolk__stream_of(link);
	stream->acceptor = acceptor;
	kolk__stream_peer_set(stream, peer);
	enlist(stream);
	if (acceptor->listening->proxy || acceptor->listening->has_tls) {
		stream->handshaking = true;
		kolk__own_add(&acceptor->handshakes, 1);
		kolk__stream_queue_join(&acceptor->opening, stream);
	}
	if (acceptor->listening->proxy)
		receive_header(stream);
	else
		admit(stream);
	return true;
}
