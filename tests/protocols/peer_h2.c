/* SPDX-License-Identifier: Apache-2.0 */
/* peer_h2.c - a server of HTTP/2 that answers each path with itself: at once, later, in another order,
 * or not; refuses streams, says goodbye in one step or two, resets what it has begun. */
#include "tests/protocols/protocols.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PEERS = 256, HELD = 16 };

struct stream {
	struct stream *next, **prev;
	char nonce[24];
	bool is_head;
	bool early;     /* it was answered before its body came */
	bool trailer;   /* its answer has one */
	size_t said;    /* of the body */
};

struct h2_peer {
	uint64_t number;
	struct world *world;
	nghttp2_session *session;
	int32_t held[HELD]; /* streams that wait for their answer */
	int count;
	int32_t done;       /* the highest that was executed */
	int32_t last;       /* what is above it will not be */
	bool leaving, over;
	bool warned;        /* a GOAWAY that excludes nothing was said */
	bool tight;         /* windows of nothing */
	struct stream *streams;
};

static struct h2_peer peers[PEERS];

static void forget(struct h2_peer *peer)
{
	nghttp2_session_del(peer->session);
	while (peer->streams != NULL) {
		struct stream *stream = peer->streams;

		peer->streams = stream->next;
		free(stream);
	}
}

void peer_h2_forget(void)
{
	for (int i = 0; i < PEERS; i++)
		forget(&peers[i]);
	memset(peers, 0, sizeof peers);
}

/* In pieces; now and then it stops in the middle, and the stream is reset. */
static ssize_t read_nonce(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t length,
			  uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct stream *stream = source->ptr;
	struct h2_peer *peer = user;
	size_t left = strlen(stream->nonce) - stream->said, size = 1 + below(peer->world, left);
	nghttp2_nv trailer = { (uint8_t *)"x-trailer", (uint8_t *)stream->nonce, 9,
			       strlen(stream->nonce), 0 };

	if (size > length)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (stream->said > 0 && !peer->world->calm && below(peer->world, 16) == 0) {
		(void)nghttp2_submit_rst_stream(session, 0, id, NGHTTP2_INTERNAL_ERROR);
		return NGHTTP2_ERR_DEFERRED;
	}
	memcpy(buffer, stream->nonce + stream->said, size);
	stream->said += size;
	if (size < left)
		return (ssize_t)size;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (stream->trailer) {
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		(void)nghttp2_submit_trailer(session, id, &trailer, 1);
	}
	return (ssize_t)size;
}

static void answer(struct h2_peer *peer, int32_t id)
{
	struct stream *stream = nghttp2_session_get_stream_user_data(peer->session, id);
	nghttp2_data_provider body = { .source.ptr = stream, .read_callback = read_nonce };
	nghttp2_nv fields[] = {
		{ (uint8_t *)":status", (uint8_t *)"200", 7, 3, 0 },
		{ (uint8_t *)"x-nonce", NULL, 7, 0, 0 },
		{ (uint8_t *)"trailer", (uint8_t *)"x-trailer", 7, 9, 0 },
	};

	if (stream == NULL) /* it was reset meanwhile */
		return;
	fields[1].value = (uint8_t *)stream->nonce;
	fields[1].valuelen = strlen(stream->nonce);
	stream->trailer = !stream->is_head && below(peer->world, 4) == 0;
	(void)nghttp2_submit_response(peer->session, id, fields, stream->trailer ? 3 : 2, stream->is_head ? NULL : &body);
	if (!peer->world->calm && below(peer->world, 32) == 0)
		(void)nghttp2_submit_rst_stream(peer->session, 0, id, NGHTTP2_INTERNAL_ERROR);
}

/* A request is there in full. */
static void asked(struct h2_peer *peer, int32_t id, struct stream *stream)
{
	struct world *world = peer->world;

	if (id > peer->last)
		return;
	if (!world->calm && below(world, 16) == 0) {
		(void)nghttp2_submit_rst_stream(peer->session, 0, id, NGHTTP2_REFUSED_STREAM);
		return;
	}
	peer_executed(world, stream->nonce);
	peer->done = id > peer->done ? id : peer->done;
	if (!world->calm && below(world, 32) == 0 && !peer->leaving) {
		peer->leaving = true;
		if (below(world, 2)) {
			peer->warned = true;
			(void)nghttp2_submit_shutdown_notice(peer->session);
		} else {
			peer->last = peer->done;
			(void)nghttp2_submit_goaway(peer->session, 0, peer->last, NGHTTP2_NO_ERROR, NULL, 0);
		}
	}
	if (!world->calm && below(world, 3) == 0 && peer->count < HELD)
		peer->held[peer->count++] = id;
	else
		answer(peer, id);
}

/* Its head is there, and its body is not: leave to go on, or an answer too early. */
static void looked(struct h2_peer *peer, int32_t id, struct stream *stream)
{
	static const nghttp2_nv go_on = { (uint8_t *)":status", (uint8_t *)"100", 7, 3, 0 };

	if (!peer->world->calm && below(peer->world, 8) == 0) {
		stream->early = true;
		asked(peer, id, stream);
	} else if (below(peer->world, 2) == 0) {
		(void)nghttp2_submit_headers(peer->session, 0, id, NULL, &go_on, 1, NULL);
	}
}

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct stream *stream;
	struct h2_peer *peer = user;

	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	stream = calloc(1, sizeof *stream);
	if (stream == NULL)
		abort();
	stream->next = peer->streams;
	stream->prev = &peer->streams;
	if (stream->next != NULL)
		stream->next->prev = &stream->next;
	peer->streams = stream;
	return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_size, const uint8_t *value, size_t size, uint8_t flags, void *user)
{
	struct stream *stream =
		nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	(void)flags;
	(void)user;
	if (stream != NULL && name_size == 5 && memcmp(name, ":path", 5) == 0 && size > 1)
		snprintf(stream->nonce, sizeof stream->nonce, "%.*s", (int)size - 1, value + 1);
	if (stream != NULL && name_size == 7 && memcmp(name, ":method", 7) == 0)
		stream->is_head = size == 4 && memcmp(value, "HEAD", 4) == 0;
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct stream *stream;

	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (stream == NULL || stream->early)
		return 0;
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		asked(user, frame->hd.stream_id, stream);
	else if (frame->hd.type == NGHTTP2_HEADERS)
		looked(user, frame->hd.stream_id, stream);
	return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
	struct stream *stream = nghttp2_session_get_stream_user_data(session, id);

	(void)code;
	(void)user;
	if (stream == NULL)
		return 0;
	*stream->prev = stream->next;
	if (stream->next != NULL)
		stream->next->prev = stream->prev;
	free(stream);
	(void)nghttp2_session_set_stream_user_data(session, id, NULL);
	return 0;
}

static void open(struct h2_peer *peer, struct world *world, uint64_t number)
{
	nghttp2_session_callbacks *calls;
	nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1 + (uint32_t)below(world, 8) },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0 },
	};

	forget(peer);
	*peer = (struct h2_peer){ .number = number, .world = world, .last = INT32_MAX };
	if (nghttp2_session_callbacks_new(&calls) != 0)
		abort();
	nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin);
	nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_close);
	if (nghttp2_session_server_new(&peer->session, calls, peer) != 0)
		abort();
	nghttp2_session_callbacks_del(calls);
	peer->tight = !world->calm && below(world, 8) == 0;
	(void)nghttp2_submit_settings(peer->session, 0, settings, peer->tight ? 2 : 1);
}

/* What a peer changes while streams are open. */
static void change(struct h2_peer *peer)
{
	struct world *world = peer->world;
	nghttp2_settings_entry settings = { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0 };

	if (peer->warned && (world->calm || below(world, 2) == 0)) { /* the second phase */
		peer->warned = false;
		peer->last = nghttp2_session_get_last_proc_stream_id(peer->session);
		(void)nghttp2_submit_goaway(peer->session, 0, peer->last, NGHTTP2_NO_ERROR, NULL, 0);
	}
	if (peer->tight && (world->calm || below(world, 2) == 0)) {
		peer->tight = false;
		settings.settings_id = NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE;
		settings.value = world->calm ? 65535 : 1 + (uint32_t)below(world, 30);
		(void)nghttp2_submit_settings(peer->session, 0, &settings, 1);
	} else if (below(world, 32) == 0) {
		settings.value = (uint32_t)below(world, 8) + world->calm;
		(void)nghttp2_submit_settings(peer->session, 0, &settings, 1);
	}
}

static void speak(struct h2_peer *peer)
{
	const uint8_t *bytes;
	ssize_t size;

	while (!peer->over && (size = nghttp2_session_mem_send(peer->session, &bytes)) > 0)
		peer->over = !peer_say(peer->world, peer->number, (const char *)bytes, (size_t)size);
}

void peer_h2_play(struct world *world, uint64_t number, const uint8_t *bytes, size_t size)
{
	struct h2_peer *peer = &peers[number % PEERS];

	if (peer->number != number)
		open(peer, world, number);
	if (peer->over)
		return;
	if (nghttp2_session_mem_recv(peer->session, bytes, size) < 0)
		world_break(world, "a client breaks HTTP/2");
	change(peer);
	while (peer->count > 0 && (world->calm || below(world, 2))) {
		int which = (int)below(world, (uint64_t)peer->count);

		answer(peer, peer->held[which]);
		peer->held[which] = peer->held[--peer->count];
	}
	speak(peer);
	if (!peer->over && !nghttp2_session_want_read(peer->session) &&
	    !nghttp2_session_want_write(peer->session)) {
		kolk__sim_peer_ends(world->sim, number, false);
		peer->over = true;
	}
}
