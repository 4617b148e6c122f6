/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_server.c - a server that speaks as gRPC does, over nghttp2. */
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gateway/program/grpc.h"
#include "tests/kit/tap.h"

enum { PREFIX = 5, STREAMED = 5 };

struct stream {
	struct stream *next;
	int32_t id;
	char method[32];
	uint8_t *in, *out;    /* messages that came, and that go */
	size_t in_size, out_size, out_at;
	const char *status;   /* of the trailers; NULL = more may come */
};

struct session {
	nghttp2_session *ng;
	struct kit_mock_conn *conn;
	struct grpc_server *server;
	struct stream *all;
};

#define FIELD(name, value) \
	{ (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), strlen(name), strlen(value), 0 }

static void append(uint8_t **to, size_t *had, const void *data, size_t size)
{
	uint8_t *grown = realloc(*to, *had + size);

	if (grown == NULL)
		abort();
	memcpy(grown + *had, data, size);
	*to = grown;
	*had += size;
}

/* ---- answers */

static ssize_t give(nghttp2_session *ng, int32_t id, uint8_t *buffer, size_t capacity,
		    uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct stream *stream = source->ptr;
	size_t left = stream->out_size - stream->out_at, size = left < capacity ? left : capacity;
	nghttp2_nv trailers[] = {
		FIELD("grpc-status", stream->status != NULL ? stream->status : ""),
		FIELD("grpc-message", "na%C3%AFve 100%25"), FIELD("x-sum-bin", "AAEC"),
	};

	(void)user;
	if (size > 0)
		memcpy(buffer, stream->out + stream->out_at, size);
	stream->out_at += size;
	if (size == left && stream->status != NULL) {
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		nghttp2_submit_trailer(ng, id, trailers, 3);
	} else if (size == 0) {
		return NGHTTP2_ERR_DEFERRED;
	}
	return (ssize_t)size;
}

static void answer(struct session *session, struct stream *stream)
{
	nghttp2_nv head[] = { FIELD(":status", "200"), FIELD("content-type", "application/grpc") };
	nghttp2_data_provider body = { .source.ptr = stream, .read_callback = give };

	nghttp2_submit_response(session->ng, stream->id, head, 2, &body);
}

/* Trailers-Only: a head that ends the stream. */
static void answer_head_alone(struct session *session, const struct stream *stream,
			      const char *status)
{
	nghttp2_nv head[] = { FIELD(":status", "200"), FIELD("content-type", "application/grpc"),
			      FIELD("grpc-status", status), FIELD("grpc-message", "enough") };

	nghttp2_submit_response(session->ng, stream->id, head, 4, NULL);
}

static bool is(const struct stream *stream, const char *method)
{
	return strcmp(stream->method, method) == 0;
}

static void on_request_end(struct session *session, struct stream *stream)
{
	if (is(stream, "/echo/None")) {
		answer_head_alone(session, stream, "5");
	} else if (is(stream, "/echo/Reset")) {
		nghttp2_submit_rst_stream(session->ng, 0, stream->id, NGHTTP2_INTERNAL_ERROR);
	} else if (is(stream, "/echo/Bidi")) {
		stream->status = "0";
		nghttp2_session_resume_data(session->ng, stream->id);
	} else if (!is(stream, "/echo/Early") && !is(stream, "/echo/Hang")) {
		for (int i = 0; i < (is(stream, "/echo/Stream") ? STREAMED : 1); i++)
			append(&stream->out, &stream->out_size, stream->in, stream->in_size);
		stream->status = is(stream, "/echo/Late") ? "13" : "0";
		answer(session, stream);
	}
}

/* ---- requests */

static int on_begin(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct stream *stream = calloc(1, sizeof *stream);
	struct session *session = user;

	if (stream == NULL || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		abort();
	stream->id = frame->hd.stream_id;
	stream->next = session->all;
	session->all = stream;
	return nghttp2_session_set_stream_user_data(ng, frame->hd.stream_id, stream);
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_size, const uint8_t *value, size_t size, uint8_t flags, void *user)
{
	struct stream *stream = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
	struct grpc_server *server = ((struct session *)user)->server;
	struct grpc_seen *seen = &server->seen;
	const struct {
		const char *name;
		char *to;
		size_t capacity;
	} kept[] = {
		{ ":path", stream->method, sizeof stream->method },
		{ "te", seen->te, sizeof seen->te },
		{ "content-type", seen->content_type, sizeof seen->content_type },
		{ "grpc-timeout", seen->timeout, sizeof seen->timeout },
		{ "x-id-bin", seen->metadata, sizeof seen->metadata },
	};

	(void)name_size, (void)flags;
	pthread_mutex_lock(&server->lock);
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		if (strcmp((const char *)name, kept[i].name) == 0 && size < kept[i].capacity)
			memcpy(kept[i].to, value, size + 1);
	pthread_mutex_unlock(&server->lock);
	return 0;
}

static void set_code(struct grpc_server *server, uint32_t code)
{
	pthread_mutex_lock(&server->lock);
	server->seen.code = code;
	pthread_mutex_unlock(&server->lock);
}

static int on_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data,
		    size_t size, void *user)
{
	struct stream *stream = nghttp2_session_get_stream_user_data(ng, id);

	(void)flags, (void)user;
	if (stream == NULL || is(stream, "/echo/Hang") || is(stream, "/echo/Early"))
		return 0;
	if (is(stream, "/echo/Bidi")) {
		append(&stream->out, &stream->out_size, data, size);
		nghttp2_session_resume_data(ng, id);
	} else {
		append(&stream->in, &stream->in_size, data, size);
	}
	return 0;
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct stream *stream = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
	struct session *session = user;

	if (stream == NULL ||
	    (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS) {
		set_code(session->server, UINT32_MAX);
		if (is(stream, "/echo/Bidi"))
			answer(session, stream);
		else if (is(stream, "/echo/Early"))
			answer_head_alone(session, stream, "8");
		kolk__add_acq_rel(&session->server->requests, 1);
	}
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		on_request_end(session, stream);
	return 0;
}

static int on_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
	struct grpc_server *server = ((struct session *)user)->server;

	if (nghttp2_session_get_stream_user_data(ng, id) == NULL)
		return 0;
	set_code(server, code);
	kolk__add_acq_rel(&server->closed, 1);
	return 0;
}

/* ---- connections */

static nghttp2_session *session_make(struct session *session)
{
	nghttp2_settings_entry settings = { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100 };
	nghttp2_session_callbacks *callbacks;

	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	nghttp2_session_server_new(&session->ng, callbacks, session);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_submit_settings(session->ng, 0, &settings, 1);
	return session->ng;
}

static bool flush(struct session *session)
{
	const uint8_t *out;
	ssize_t size;

	while ((size = nghttp2_session_mem_send(session->ng, &out)) > 0)
		if (!kit_mock_send(session->conn, out, (size_t)size))
			return false;
	return size == 0;
}

static void play(struct kit_mock_conn *conn, void *user)
{
	struct session session = { .conn = conn, .server = user };
	uint8_t in[16384];
	size_t size;

	session_make(&session);
	while (flush(&session)) {
		size = kit_mock_read_some(conn, in, sizeof in, 60000);
		if (size == 0 || nghttp2_session_mem_recv(session.ng, in, size) < 0)
			break;
	}
	nghttp2_session_del(session.ng);
	for (struct stream *stream; (stream = session.all) != NULL;) {
		session.all = stream->next;
		free(stream->in);
		free(stream->out);
		free(stream);
	}
}

bool grpc_server_open(struct grpc_server *server)
{
	*server = (struct grpc_server){ .seen.code = UINT32_MAX };
	pthread_mutex_init(&server->lock, NULL);
	server->mock = kit_mock_open(&(struct kit_mock_options){ .play = play, .user = server });
	return server->mock != NULL || FAILED("there is an upstream");
}

void grpc_server_close(struct grpc_server *server)
{
	kit_mock_close(server->mock);
	pthread_mutex_destroy(&server->lock);
}

struct grpc_seen grpc_server_seen(struct grpc_server *server)
{
	struct grpc_seen seen;

	pthread_mutex_lock(&server->lock);
	seen = server->seen;
	pthread_mutex_unlock(&server->lock);
	return seen;
}
