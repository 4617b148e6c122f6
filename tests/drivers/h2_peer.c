/* SPDX-License-Identifier: Apache-2.0 */
/* h2_peer.c - frames of RFC 9113 written by hand: HPACK without its table or Huffman's code. */
#include "tests/drivers/h2_peer.h"

#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct h2_limits h2_usual = {
	.streams_max = 100, .streams_total_max = 1000000, .head_bytes_max = 16384,
	.fields_max = 64, .informational_max = 4, .window_bytes = 1 << 20,
	.connection_window_bytes = 16 << 20, .resets_burst = 10, .resets_per_s = 1,
	.empty_frames_burst = 100, .empty_frames_per_s = 10,
};

struct h2_pair *pair_open(const struct h2_limits *limits, bool ready)
{
	struct h2_pair *pair = calloc(1, sizeof *pair);

	pair->now_ns = 1000 * KOLK_S_NS;
	pair->session = h2_session_open(limits, pair->now_ns);
	pair_take(pair);
	if (ready) {
		pair_frame(pair, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
		pair_frame(pair, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
		pair_say(pair);
		pair_take(pair);
	}
	return pair;
}

void pair_close(struct h2_pair *pair)
{
	h2_session_unref(pair->session);
	free(pair);
}

static void put32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

void pair_frame(struct h2_pair *pair, uint8_t type, uint8_t flags, int32_t id,
		const void *payload, size_t size)
{
	uint8_t *at = pair->out + pair->size;

	put32(at, (uint32_t)size << 8 | type);
	at[4] = flags;
	put32(at + 5, (uint32_t)id);
	if (size > 0)
		memcpy(at + 9, payload, size);
	pair->size += 9 + size;
}

void pair_settings(struct h2_pair *pair, uint16_t what, uint32_t value)
{
	uint8_t payload[6] = { (uint8_t)(what >> 8), (uint8_t)what };

	put32(payload + 2, value);
	pair_frame(pair, NGHTTP2_SETTINGS, 0, 0, payload, sizeof payload);
}

void pair_head(struct h2_pair *pair, int32_t id, unsigned status, bool last)
{
	char payload[16];

	/* literal without indexing, name of index 8 (":status"), three bytes */
	snprintf(payload, sizeof payload, "\x08\x03%03u", status);
	pair_frame(pair, NGHTTP2_HEADERS, (uint8_t)(NGHTTP2_FLAG_END_HEADERS | (last ? 1 : 0)), id,
		   payload, 5);
}

void pair_data(struct h2_pair *pair, int32_t id, size_t size, bool last)
{
	static const uint8_t zeros[16384];

	pair_frame(pair, NGHTTP2_DATA, last ? NGHTTP2_FLAG_END_STREAM : 0, id, zeros, size);
}

void pair_reset(struct h2_pair *pair, int32_t id, uint32_t code)
{
	uint8_t payload[4];

	put32(payload, code);
	pair_frame(pair, NGHTTP2_RST_STREAM, 0, id, payload, sizeof payload);
}

void pair_goaway(struct h2_pair *pair, int32_t last, uint32_t code)
{
	uint8_t payload[8];

	put32(payload, (uint32_t)last);
	put32(payload + 4, code);
	pair_frame(pair, NGHTTP2_GOAWAY, 0, 0, payload, sizeof payload);
}

void pair_window(struct h2_pair *pair, int32_t id, uint32_t more)
{
	uint8_t payload[4];

	put32(payload, more);
	pair_frame(pair, NGHTTP2_WINDOW_UPDATE, 0, id, payload, sizeof payload);
}

enum kolk_err pair_say(struct h2_pair *pair)
{
	size_t size = pair->size;

	pair->size = 0;
	return h2_session_feed(pair->session, pair->out, size, pair->now_ns);
}

enum kolk_err pair_say_slowly(struct h2_pair *pair)
{
	enum kolk_err err = KOLK_OK;

	for (size_t i = 0; i < pair->size && err == KOLK_OK; i++)
		err = h2_session_feed(pair->session, pair->out + i, 1, pair->now_ns);
	pair->size = 0;
	return err;
}

void pair_take(struct h2_pair *pair)
{
	pair->in_size = h2_session_output(pair->session, pair->in, sizeof pair->in, pair->now_ns);
}

/* The next frame, NULL = no more. The preface is no frame. */
static const uint8_t *next(const struct h2_pair *pair, size_t *at)
{
	const uint8_t *frame = pair->in + *at;

	if (*at == 0 && pair->in_size >= 24 && memcmp(frame, "PRI ", 4) == 0) {
		*at = 24;
		frame += 24;
	}
	if (*at + 9 > pair->in_size)
		return NULL;
	*at += 9 + (get32(frame) >> 8);
	return frame;
}

static bool is_of(const uint8_t *frame, uint8_t type, int32_t id)
{
	return frame[3] == type && (id < 0 || get32(frame + 5) == (uint32_t)id);
}

unsigned pair_count(const struct h2_pair *pair, uint8_t type, int32_t id)
{
	const uint8_t *frame;
	unsigned count = 0;

	for (size_t at = 0; (frame = next(pair, &at)) != NULL;)
		count += is_of(frame, type, id);
	return count;
}

uint32_t pair_granted(const struct h2_pair *pair, int32_t id)
{
	const uint8_t *frame;
	uint32_t sum = 0;

	for (size_t at = 0; (frame = next(pair, &at)) != NULL;)
		if (is_of(frame, NGHTTP2_WINDOW_UPDATE, id))
			sum += get32(frame + 9);
	return sum;
}

uint32_t pair_turn(struct h2_pair *pair, int32_t id)
{
	assert_int_equal(pair_say(pair), KOLK_OK);
	pair_take(pair);
	return pair_granted(pair, id);
}

int64_t pair_code(const struct h2_pair *pair, uint8_t type)
{
	const uint8_t *frame;

	for (size_t at = 0; (frame = next(pair, &at)) != NULL;)
		if (frame[3] == type)
			return get32(frame + (type == NGHTTP2_GOAWAY ? 13 : 9));
	return -1;
}

size_t pair_content(const struct h2_pair *pair, int32_t id)
{
	const uint8_t *frame;
	size_t size = 0;

	for (size_t at = 0; (frame = next(pair, &at)) != NULL;)
		if (is_of(frame, NGHTTP2_DATA, id))
			size += get32(frame) >> 8;
	return size;
}

/* ---- owners */

static enum kolk_err on_field(void *user, const nghttp2_vec *name, const nghttp2_vec *value)
{
	struct h2_owner *owner = user;

	(void)name, (void)value;
	owner->fields++;
	return KOLK_OK;
}

static enum kolk_err on_head(void *user, unsigned status)
{
	struct h2_owner *owner = user;

	owner->heads++;
	owner->informational += status >= 100 && status < 200;
	owner->trailers += status == 0;
	if (status >= 200)
		owner->status = status;
	return KOLK_OK;
}

static enum kolk_err on_data(void *user, const uint8_t *data, size_t size)
{
	struct h2_owner *owner = user;

	for (size_t i = 0; i < size; i++)
		owner->sum += data[i];
	owner->body += size;
	if (owner->consumes)
		h2_stream_consume(owner->stream, size);
	else
		owner->unconsumed += size;
	if (owner->leaves)
		h2_stream_abandon(owner->stream, owner->stream->session->now_ns);
	return KOLK_OK;
}

static enum kolk_err on_pull(void *user, struct h2_body_part *part)
{
	struct h2_owner *owner = user;
	size_t left = owner->upload == NULL ? 0 : strlen(owner->upload) - owner->uploaded;

	if (left == 0 && !owner->last)
		return KOLK_PENDING;
	part->size = left < part->capacity ? left : part->capacity;
	if (part->size > 0)
		memcpy(part->buffer, owner->upload + owner->uploaded, part->size);
	owner->uploaded += part->size;
	part->last = owner->last && part->size == left;
	return KOLK_OK;
}

static void on_end(void *user, const struct h2_end *end)
{
	struct h2_owner *owner = user;

	owner->ends++;
	owner->end = *end;
	owner->stream = NULL;
}

static const struct h2_stream_callbacks get_calls = { on_field, on_head, on_data, NULL, on_end };
static const struct h2_stream_callbacks post_calls = {on_field, on_head, on_data, on_pull,
						      on_end};

#define FIELD(name, value)                                                            \
	{ (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1, \
	  sizeof(value) - 1, NGHTTP2_NV_FLAG_NONE }

static enum kolk_err ask(struct h2_pair *pair, struct h2_owner *owner, bool post)
{
	const nghttp2_nv fields[] = {
		FIELD(":method", "GET"), FIELD(":scheme", "http"), FIELD(":path", "/"),
		FIELD(":authority", "peer"),
	};
	nghttp2_nv copy[4];
	const struct h2_submission request = { post ? &post_calls : &get_calls, owner, copy, 4 };

	memcpy(copy, fields, sizeof copy);
	if (post)
		copy[0] = (nghttp2_nv)FIELD(":method", "POST");
	return h2_stream_submit(pair->session, &request, pair->now_ns, &owner->stream);
}

enum kolk_err pair_get(struct h2_pair *pair, struct h2_owner *owner)
{
	return ask(pair, owner, false);
}

enum kolk_err pair_post(struct h2_pair *pair, struct h2_owner *owner)
{
	return ask(pair, owner, true);
}

void pair_leave(struct h2_pair *pair, struct h2_owner *owner)
{
	h2_stream_abandon(owner->stream, pair->now_ns);
	owner->stream = NULL;
}
