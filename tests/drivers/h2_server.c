/* SPDX-License-Identifier: Apache-2.0 */
/* h2_server.c - the paths of the misbehaving HTTP/2 server, and what each makes it do. */
#include "tests/drivers/h2_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

struct stream_state {
	struct stream_state *next;
	char path[64], id[24];
	size_t received, left;  /* of the request's body; of the answer's */
	bool expects, echoes, whole; /* whole: all of the request came */
	size_t echoed;
};

struct session {
	nghttp2_session *ng;
	struct kit_mock_conn *conn;
	struct h2_server *server;
	const char *raw;            /* to be sent after all that is queued */
	size_t raw_size, raw_times;
	bool dies, deaf;
	struct stream_state *all;
};

static ssize_t body_of(nghttp2_session *ng, int32_t id, uint8_t *buffer, size_t capacity,
		       uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct stream_state *stream_state = nghttp2_session_get_stream_user_data(ng, id);
	struct session *session = user;

	(void)source;
	if (stream_state->echoes) {
		size_t size = stream_state->received - stream_state->echoed;

		size = size < capacity ? size : capacity;
		memset(buffer, 'e', size);
		stream_state->echoed += size;
		if (stream_state->whole && stream_state->echoed == stream_state->received)
			*flags |= NGHTTP2_DATA_FLAG_EOF;
		else if (size == 0)
			return NGHTTP2_ERR_DEFERRED;
		return (ssize_t)size;
	}
	if (stream_state->left == 0) { /* the id is the answer */
		size_t size = strlen(stream_state->id);

		memcpy(buffer, stream_state->id, size);
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		return (ssize_t)size;
	}
	if (capacity >= stream_state->left) {
		capacity = stream_state->left;
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	}
	memset(buffer, 'x', capacity);
	stream_state->left -= capacity;
	kolk__add_acq_rel(&session->server->sent, capacity);
	return (ssize_t)capacity;
}

static void answer(struct session *session, int32_t id, struct stream_state *stream_state)
{
	nghttp2_nv status = { (uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "200", 7, 3,
			      0 };
	nghttp2_data_provider body = { .read_callback = body_of };

	kit_mock_execute(session->conn, strtoull(stream_state->id, NULL, 10));
	nghttp2_submit_response(session->ng, id, &status, 1, &body);
}

static bool is_first(const struct session *session)
{
	return kit_mock_number(session->conn) == 0;
}

/* A request is there: what its path asks for, on the first connection or on all. */
static void serve(struct session *session, int32_t id, struct stream_state *stream_state)
{
	const char *path = stream_state->path;

	if (strcmp(path, "/goaway") == 0 && is_first(session))
		nghttp2_submit_goaway(session->ng, 0, 0, NGHTTP2_NO_ERROR, NULL, 0);
	else if (strcmp(path, "/refuse") == 0 && is_first(session))
		nghttp2_submit_rst_stream(session->ng, 0, id, NGHTTP2_REFUSED_STREAM);
	else if (strcmp(path, "/always-refuse") == 0)
		nghttp2_submit_rst_stream(session->ng, 0, id, NGHTTP2_REFUSED_STREAM);
	else if (strcmp(path, "/reset") == 0)
		nghttp2_submit_rst_stream(session->ng, 0, id, NGHTTP2_INTERNAL_ERROR),
			kit_mock_execute(session->conn, strtoull(stream_state->id, NULL, 10));
	else if (strcmp(path, "/die") == 0 && is_first(session))
		session->dies = true,
		kit_mock_execute(session->conn, strtoull(stream_state->id, NULL, 10));
	else if (strcmp(path, "/flood") == 0)
		session->raw = "\0\0\10\6\0\0\0\0\0" "12345678", session->raw_size = 17,
		session->raw_times = 20000;
	else if (strcmp(path, "/push") == 0)
		session->raw = "\0\0\5\5\4\0\0\0\1" "\0\0\0\2\x82", session->raw_size = 14,
		session->raw_times = 1;
	else if (strcmp(path, "/even") == 0) /* nghttp2 finds this one */
		session->raw = "\0\0\5\1\5\0\0\0\2" "\x08\3" "200", session->raw_size = 14,
		session->raw_times = 1;
	else if (strcmp(path, "/mute") == 0)
		session->deaf = true;
	else if (strcmp(path, "/hold") == 0)
		kolk__add_acq_rel(&session->server->holds, 1);
	else
		answer(session, id, stream_state);
}

static int on_begin(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct stream_state *stream_state = calloc(1, sizeof *stream_state);
	struct session *session = user;

	stream_state->next = session->all;
	session->all = stream_state;
	return nghttp2_session_set_stream_user_data(ng, frame->hd.stream_id, stream_state);
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
		     void *user)
{
	struct stream_state *stream_state = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);

	(void)name_size, (void)value_size, (void)flags, (void)user;
	if (strcmp((const char *)name, ":path") == 0)
		snprintf(stream_state->path, sizeof stream_state->path, "%s", (const char *)value);
	else if (strcmp((const char *)name, "x-id") == 0)
		snprintf(stream_state->id, sizeof stream_state->id, "%s", (const char *)value);
	else if (strcmp((const char *)name, "expect") == 0)
		stream_state->expects = true;
	if (strcmp(stream_state->path, "/big") == 0)
		stream_state->left = H2_BIG;
	return 0;
}

static int on_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data,
		    size_t size, void *user)
{
	struct stream_state *stream_state = nghttp2_session_get_stream_user_data(ng, id);

	(void)flags, (void)data, (void)user;
	stream_state->received += size;
	if (stream_state->echoes)
		nghttp2_session_resume_data(ng, id);
	return 0;
}

/* The SETTINGS raise the limit now. */
static void open_up(struct session *session, uint32_t after_us)
{
	nghttp2_settings_entry many = { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100 };

	kit_mock_wait(session->conn, after_us);
	kolk__store_release(&session->server->full_us, 0);
	nghttp2_submit_settings(session->ng, 0, &many, 1);
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	nghttp2_nv continue_head = { (uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "100", 7, 3,
				     0 };
	struct session *session = user;
	struct stream_state *stream_state = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);

	kolk__add_acq_rel(&session->server->pongs, frame->hd.type == NGHTTP2_PING &&
				  (frame->hd.flags & NGHTTP2_FLAG_ACK));
	kolk__add_acq_rel(&session->server->pings, frame->hd.type == NGHTTP2_PING &&
				  !(frame->hd.flags & NGHTTP2_FLAG_ACK));
	kolk__add_acq_rel(&session->server->goaways, frame->hd.type == NGHTTP2_GOAWAY);
	if (frame->hd.type == NGHTTP2_SETTINGS &&
	    kolk__load_acquire(&session->server->full_us) != 0)
		open_up(session, kolk__load_acquire(&session->server->full_us));
	kolk__add_acq_rel(&session->server->resets, frame->hd.type == NGHTTP2_RST_STREAM);
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	if (stream_state != NULL && stream_state->expects &&
	    strcmp(stream_state->path, "/continue") == 0 && stream_state->received == 0 &&
	    frame->hd.type == NGHTTP2_HEADERS)
		nghttp2_submit_headers(ng, 0, frame->hd.stream_id, NULL, &continue_head, 1, NULL);
	if (stream_state != NULL && strcmp(stream_state->path, "/deaf") == 0)
		session->deaf = true;
	if (stream_state != NULL && strcmp(stream_state->path, "/echo") == 0) {
		bool begins = !stream_state->echoes;

		stream_state->echoes = true;
		stream_state->whole = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
		if (begins)
			answer(session, frame->hd.stream_id, stream_state);
		else if (stream_state->whole)
			nghttp2_session_resume_data(ng, frame->hd.stream_id);
		return 0;
	}
	if (stream_state != NULL && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
		if (strcmp(stream_state->path, "/sink") == 0 || strcmp(stream_state->path, "/continue") == 0)
			snprintf(stream_state->id, sizeof stream_state->id, "%zu", stream_state->received);
		serve(session, frame->hd.stream_id, stream_state);
	}
	return 0;
}

static nghttp2_session *session_make(struct session *session)
{
	uint32_t window = session->server->window != 0 ? session->server->window : 65535;
	nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window },
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0 },
	};
	nghttp2_session_callbacks *callbacks;

	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_server_new(&session->ng, callbacks, session);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_submit_settings(session->ng, 0, settings,
				kolk__load_acquire(&session->server->full) ? 2 : 1);
	return session->ng;
}

static bool flush(struct session *session)
{
	const uint8_t *out;
	ssize_t size;

	while ((size = nghttp2_session_mem_send(session->ng, &out)) > 0)
		if (!kit_mock_send(session->conn, out, (size_t)size))
			return false;
	for (; session->raw_times > 0; session->raw_times--)
		if (!kit_mock_send(session->conn, session->raw, session->raw_size))
			return false;
	return size == 0;
}

void h2_server_run(struct kit_mock_conn *conn, void *user)
{
	struct session session = { .conn = conn, .server = user };
	uint8_t in[16384];
	size_t size = 0;

	session_make(&session);
	for (;;) {
		kit_mock_fn *greet = kolk__load_acquire(&session.server->greet);

		/* A peer that has closed takes nothing more, but what it said before is still here. */
		(void)flush(&session);
		if (session.dies)
			break;
		if (greet != NULL && session.all != NULL)
			greet(conn, user);
		if (session.deaf) /* reads no more, but stays */
			kit_mock_wait(conn, 1500000);
		size = kit_mock_read_some(conn, in, sizeof in, 60000);
		if (size == 0 || nghttp2_session_mem_recv(session.ng, in, size) < 0)
			break;
	}
	if (session.dies)
		kit_mock_reset(conn);
	while (session.all != NULL) { /* of streams that were open */
		struct stream_state *stream_state = session.all;

		session.all = stream_state->next;
		free(stream_state);
	}
	nghttp2_session_del(session.ng);
}
