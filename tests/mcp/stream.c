/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c - messages to the client: one JSON answer, SSE events, or lines; and lies. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/mcp/inside.h"

enum { CUT_MS = 20 };

struct mcp_stream *mcp_stream_new(struct mcp_fixture *fixture, struct mcp_session *session)
{
	struct mcp_stream *stream = calloc(1, sizeof *stream);

	*stream = (struct mcp_stream){ .fixture = fixture, .session = session, .status = 200 };
	if (session != NULL) {
		stream->number = session->next_stream++;
		stream->next = session->streams;
		session->streams = stream;
	}
	return stream;
}

static void unlink_stream(struct mcp_stream *stream)
{
	struct mcp_stream **at = &stream->session->streams;

	while (*at != stream)
		at = &(*at)->next;
	*at = stream->next;
	if (stream->session->get == stream)
		stream->session->get = NULL;
	stream->session = NULL;
}

void mcp_stream_free_if_over(struct mcp_stream *stream)
{
	if (stream->exchange != NULL || stream->pending != 0 || stream->standing)
		return;
	if (stream->session != NULL)
		unlink_stream(stream);
	json_decref(stream->answers);
	free(stream->out);
	free(stream);
}

void mcp_stream_attach(struct mcp_stream *stream, struct mcp_exchange *exchange)
{
	stream->exchange = exchange;
	exchange->stream = stream;
	if (stream->get)
		mcp_count(stream->fixture, MCP_N_get_streams_now, 1);
}

void mcp_stream_detach(struct mcp_stream *stream)
{
	stream->exchange->stream = NULL;
	stream->exchange = NULL;
	stream->at = stream->size = 0;
	if (stream->get)
		mcp_count(stream->fixture, MCP_N_get_streams_now, -1);
}

void mcp_stream_left(struct mcp_stream *stream)
{
	mcp_stream_detach(stream);
	if (stream->call != NULL) /* 2026-07-28: that is how clients cancel */
		mcp_call_cancel(stream->call, "disconnect");
	else if (stream->named && stream->session != NULL)
		mcp_session_end(stream->session, MCP_N_sessions_deleted);
	else
		mcp_stream_free_if_over(stream);
}

void mcp_stream_close(struct mcp_stream *stream)
{
	struct mcp_exchange *exchange = stream->exchange;
	struct mcp_stream *rest;

	if (exchange == NULL)
		return;
	rest = mcp_stream_new(stream->fixture, NULL);
	rest->kind = MCP_SSE;
	rest->out = stream->out;
	rest->at = stream->at;
	rest->size = stream->size;
	rest->capacity = stream->capacity;
	stream->out = NULL;
	stream->capacity = 0;
	mcp_stream_detach(stream);
	mcp_stream_attach(rest, exchange);
	mcp_stream_end(rest);
}

/* ---- bytes */

static void line_write(const char *text)
{
	struct iovec parts[2] = { { (char *)(uintptr_t)text, strlen(text) },
				  { (char *)(uintptr_t)"\n", 1 } };

	while (parts[0].iov_len + parts[1].iov_len > 0) {
		ssize_t done = writev(STDOUT_FILENO, parts, 2);

		if (done < 0 && errno != EINTR)
			return;
		for (int i = 0; i < 2 && done > 0; i++) {
			size_t part = (size_t)done < parts[i].iov_len ? (size_t)done : parts[i].iov_len;

			parts[i].iov_base = (char *)parts[i].iov_base + part;
			parts[i].iov_len -= part;
			done -= (ssize_t)part;
		}
	}
}

void mcp_stream_put(struct mcp_stream *stream, const char *text, size_t size)
{
	if (stream->exchange == NULL)
		return;
	if (stream->at == stream->size)
		stream->at = stream->size = 0;
	if (stream->size + size > stream->capacity) {
		stream->capacity = 2 * (stream->size + size);
		stream->out = realloc(stream->out, stream->capacity);
	}
	memcpy(stream->out + stream->size, text, size);
	stream->size += size;
	if (stream->exchange->waits)
		kolk_http_server_more(stream->exchange->http);
}

enum kolk_err mcp_stream_pull(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct mcp_stream *stream = user;
	size_t left = stream->size - stream->at;

	if (left == 0)
		return stream->ends && !stream->cut ? KOLK_OK : KOLK_PENDING;
	*size = left < capacity ? left : capacity;
	memcpy(buffer, stream->out + stream->at, *size);
	stream->at += *size;
	return KOLK_OK;
}

void mcp_stream_event(struct mcp_stream *stream, const char *id, const char *text)
{
	if (stream->named)
		mcp_stream_put(stream, "event: message\n", 15);
	if (id[0] != '\0') {
		mcp_stream_put(stream, "id: ", 4);
		mcp_stream_put(stream, id, strlen(id));
		mcp_stream_put(stream, "\n", 1);
	}
	mcp_stream_put(stream, "data: ", 6);
	mcp_stream_put(stream, text, strlen(text));
	mcp_stream_put(stream, "\n\n", 2);
}

static void put_message(struct mcp_stream *stream, const char *text)
{
	char id[32] = "";

	if (stream->kind == MCP_LINES) {
		line_write(text);
		return;
	}
	if (stream->session != NULL && !stream->named && stream->session != stream->fixture->anonymous)
		mcp_log(stream, text, id);
	mcp_stream_event(stream, id, text);
}

/* ---- SSE from here on */

void mcp_stream_sse(struct mcp_stream *stream)
{
	const struct mcp_session *session = stream->session;
	char id[32];

	if (stream->kind != MCP_UNDECIDED)
		return;
	stream->kind = MCP_SSE;
	stream->status = 200;
	if (stream->exchange != NULL)
		mcp_show(stream->exchange, stream, "text/event-stream");
	if (session != NULL && session->version >= MCP_2025_11_25 &&
	    session != stream->fixture->anonymous) { /* so that it can be asked for again */
		mcp_log(stream, "", id);
		mcp_stream_put(stream, "id: ", 4);
		mcp_stream_put(stream, id, strlen(id));
		mcp_stream_put(stream, "\nretry: 500\ndata: \n\n", 20);
	}
	for (size_t i = 0; i < json_array_size(stream->answers); i++) {
		char *text = json_dumps(json_array_get(stream->answers, i), JSON_COMPACT);

		put_message(stream, text);
		free(text);
	}
	json_decref(stream->answers);
	stream->answers = NULL;
}

void mcp_stream_end(struct mcp_stream *stream)
{
	stream->ends = true;
	stream->standing = false;
	if (stream->kind == MCP_UNDECIDED)
		mcp_stream_sse(stream);
	if (stream->exchange != NULL && stream->exchange->waits)
		kolk_http_server_more(stream->exchange->http);
}

/* ---- messages */

void mcp_send(struct mcp_stream *stream, json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);

	mcp_stream_sse(stream);
	put_message(stream, text);
	free(text);
	json_decref(message);
}

static char *padded(char *text, size_t blanks)
{
	size_t size = strlen(text);

	text = realloc(text, size + blanks + 1);
	memmove(text + 1 + blanks, text + 1, size);
	memset(text + 1, ' ', blanks);
	return text;
}

/* The answer's text, after the lies that are due. */
static char *lied(struct mcp_fixture *fixture, json_t *message)
{
	uint32_t blanks = fixture->options.huge_bytes;
	char *text;

	if (mcp_lies(fixture, wrong_id))
		json_object_set_new(message, "id", json_string("wrong"));
	if (mcp_lies(fixture, wrong_jsonrpc))
		json_object_set_new(message, "jsonrpc", json_string("1.0"));
	text = json_dumps(message, JSON_COMPACT);
	if (mcp_lies(fixture, bad_json))
		text[strlen(text) - 1] = ',';
	if (mcp_lies(fixture, huge))
		text = padded(text, blanks != 0 ? blanks : 16 << 20);
	return text;
}

static void cut(struct kolk_timer *timer, void *user)
{
	struct mcp_exchange *exchange = user;

	(void)timer;
	kolk_http_server_cancel(exchange->http);
}

/* In the middle of it the connection is reset, when what came before has been sent. */
static void put_half(struct mcp_stream *stream, const char *text)
{
	if (stream->kind == MCP_UNDECIDED && stream->exchange != NULL)
		mcp_show(stream->exchange, stream, "application/json");
	if (stream->kind == MCP_SSE)
		mcp_stream_put(stream, "data: ", 6);
	stream->cut = true;
	mcp_stream_put(stream, text, strlen(text) / 2);
	if (stream->exchange != NULL)
		(void)kolk_timer_start(stream->fixture->loop, &stream->exchange->timer,
				       kolk_in_ms(CUT_MS), cut, stream->exchange);
}

static void put_json(struct mcp_stream *stream, char *text)
{
	const struct mcp_session *session = stream->session;
	struct mcp_fixture *fixture = stream->fixture;
	struct mcp_exchange *exchange = stream->exchange;

	stream->ends = true;
	if (exchange == NULL) {
		free(text);
		return;
	}
	mcp_reply(exchange, &(struct mcp_reply){
		.status = stream->status, .type = "application/json", .text = text,
		.session = session != NULL && session != fixture->anonymous &&
			!fixture->options.no_session_id ? session->id : NULL });
}

static void put_batch(struct mcp_stream *stream, json_t *message)
{
	if (stream->answers == NULL)
		stream->answers = json_array();
	json_array_append(stream->answers, message);
	if (stream->pending == 0)
		put_json(stream, json_dumps(stream->answers, JSON_COMPACT));
}

static void put_answer(struct mcp_stream *stream, char *text)
{
	if (stream->kind != MCP_LINES && mcp_fails(stream->fixture, cut)) {
		put_half(stream, text);
		free(text);
	} else if (stream->kind == MCP_UNDECIDED) {
		put_json(stream, text);
	} else {
		put_message(stream, text);
		free(text);
	}
}

static void answer_is_over(struct mcp_stream *stream)
{
	if (stream->pending == 0 && !stream->standing && stream->kind == MCP_SSE)
		mcp_stream_end(stream);
	mcp_stream_free_if_over(stream);
}

void mcp_answer(struct mcp_stream *stream, json_t *message)
{
	struct mcp_fixture *fixture = stream->fixture;
	char *text;

	stream->pending--;
	mcp_count(fixture, MCP_N_answers, 1);
	if (fixture->options.sse && stream->status == 200)
		mcp_stream_sse(stream);
	if (mcp_lies(fixture, unknown_id))
		mcp_send(stream, json_pack("{s:s, s:s, s:{}}", "jsonrpc", "2.0", "id", "unknown",
					   "result"));
	if (stream->kind == MCP_UNDECIDED && stream->batch) {
		put_batch(stream, message);
	} else {
		text = lied(fixture, message);
		if (mcp_lies(fixture, twice)) {
			mcp_stream_sse(stream);
			put_message(stream, text);
		}
		put_answer(stream, text);
	}
	json_decref(message);
	answer_is_over(stream);
}

void mcp_unanswered(struct mcp_stream *stream)
{
	stream->pending--;
	if (stream->pending == 0 && stream->kind == MCP_UNDECIDED && stream->answers != NULL)
		put_json(stream, json_dumps(stream->answers, JSON_COMPACT));
	else if (stream->pending == 0 && stream->kind == MCP_UNDECIDED && !stream->standing)
		mcp_stream_sse(stream);
	answer_is_over(stream);
}
