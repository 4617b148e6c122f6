/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http2.c - fuzz: any bytes from the peer of an HTTP/2 connection with a few streams open.
 *
 * The first byte says what the streams do: whether they consume, whether their owner leaves at the
 * first byte of a body, whether a body is sent, whether the peer's SETTINGS came before.
 */
#include <stdint.h>
#include <stdlib.h>

#include "transport/drivers/h2_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STREAMS = 4, CONSUMES = 1, LEAVES = 2, SENDS = 4, READY = 8, BYTEWISE = 16 };

struct owner {
	struct h2_stream *stream;
	unsigned how, heads, ends;
	size_t body;
};

static void must(int right)
{
	if (!right)
		abort();
}

/* No callback after the owner abandoned the stream, or after its end. */
static struct owner *told(void *user)
{
	struct owner *owner = user;

	must(owner->ends == 0 && owner->stream != NULL);
	return owner;
}

static enum kolk_err on_field(void *user, const nghttp2_vec *name, const nghttp2_vec *value)
{
	(void)told(user);
	must(name->len > 0 && name->base[0] != ':' && name->base[name->len] == 0);
	for (size_t i = 0; i < name->len; i++)
		must(name->base[i] > ' ' && !(name->base[i] >= 'A' && name->base[i] <= 'Z'));
	for (size_t i = 0; i < value->len; i++)
		must(value->base[i] != '\r' && value->base[i] != '\n' && value->base[i] != 0);
	return KOLK_OK;
}

static enum kolk_err on_head(void *user, unsigned status)
{
	struct owner *owner = told(user);

	must(status == 0 || (status >= 100 && status <= 599));
	must(++owner->heads <= 4 + 2); /* informational, final, trailers */
	return KOLK_OK;
}

static enum kolk_err on_data(void *user, const uint8_t *data, size_t size)
{
	struct owner *owner = told(user);

	must(data != NULL && size > 0 && owner->heads > 0);
	owner->body += size;
	if (owner->how & CONSUMES)
		h2_stream_consume(owner->stream, size);
	else
		must(owner->body <= 65535); /* the window */
	if (owner->how & LEAVES) {
		h2_stream_abandon(owner->stream, 1);
		owner->stream = NULL;
	}
	return KOLK_OK;
}

static enum kolk_err on_pull(void *user, struct h2_body_part *part)
{
	(void)told(user);
	part->size = part->capacity < 10 ? part->capacity : 10;
	part->last = true;
	for (size_t i = 0; i < part->size; i++)
		part->buffer[i] = 'x';
	return KOLK_OK;
}

static void on_end(void *user, const struct h2_end *end)
{
	struct owner *owner = told(user);

	must(!end->unprocessed || end->err != KOLK_OK);
	owner->ends++;
	owner->stream = NULL;
}

static void take_all(struct h2_session *session)
{
	uint8_t out[4096];
	size_t all = 0, size;

	while ((size = h2_session_output(session, out, sizeof out, 1)) > 0)
		must((all += size) < 1 << 20); /* little is said in return */
}

static void submit(struct h2_session *session, struct owner *owner)
{
	static const struct h2_stream_callbacks get = { on_field, on_head, on_data, NULL, on_end };
	static const struct h2_stream_callbacks post = { on_field, on_head, on_data, on_pull, on_end };
	static const nghttp2_nv fields[] = {
		{ (uint8_t *)":method", (uint8_t *)"GET", 7, 3, 0 },
		{ (uint8_t *)":scheme", (uint8_t *)"http", 7, 4, 0 },
		{ (uint8_t *)":path", (uint8_t *)"/", 5, 1, 0 },
		{ (uint8_t *)":authority", (uint8_t *)"peer", 10, 4, 0 },
	};
	const struct h2_submission request = { owner->how & SENDS ? &post : &get, owner, fields, 4 };

	(void)h2_stream_submit(session, &request, 1, &owner->stream);
}

static void feed(struct h2_session *session, const uint8_t *data, size_t size, size_t piece)
{
	while (size > 0 && session->err == KOLK_OK) {
		piece = piece < size ? piece : size;
		(void)h2_session_feed(session, data, piece, 1);
		take_all(session);
		data += piece;
		size -= piece;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct h2_limits limits = {
		.streams_max = STREAMS, .streams_total_max = 2 * STREAMS, .head_bytes_max = 4096,
		.fields_max = 16, .informational_max = 4, .window_bytes = 65535,
		.connection_window_bytes = 1 << 20, .resets_burst = 2, .resets_per_s = 1,
		.empty_frames_burst = 50, .empty_frames_per_s = 1,
	};
	static const uint8_t settings[9] = { 0, 0, 0, NGHTTP2_SETTINGS };
	struct h2_session *session = h2_session_open(&limits, 1);
	struct owner owner[2 * STREAMS] = { 0 };
	unsigned how = size > 0 ? data[0] : 0;

	if (session == NULL || size == 0) {
		h2_session_unref(session);
		return 0;
	}
	if (how & READY)
		feed(session, settings, sizeof settings, sizeof settings);
	for (int i = 0; i < 2 * STREAMS; i++)
		owner[i].how = how;
	for (int i = 0; i < STREAMS; i++)
		submit(session, &owner[i]);
	take_all(session);
	feed(session, data + 1, size - 1, how & BYTEWISE ? 1 : size);
	for (int i = STREAMS; i < 2 * STREAMS; i++)
		if (h2_session_can_submit(session))
			submit(session, &owner[i]);
	must(session->open <= 2 * STREAMS);
	h2_session_end(session, KOLK_E_CLOSED, false);
	for (int i = 0; i < 2 * STREAMS; i++)
		must(owner[i].stream == NULL);
	must(session->open == 0);
	h2_session_unref(session);
	return 0;
}
