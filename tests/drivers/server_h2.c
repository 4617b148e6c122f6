/* SPDX-License-Identifier: Apache-2.0 */
/* server_h2.c - connections of the HTTP server over HTTP/2 for cmocka. */
#include "tests/drivers/server_h2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kit/cmocka/run.h"

/* ---- the client */

static struct seen *seen_of(struct fixture *fixture, int32_t id)
{
	assert_true(id / 2 < STREAMS);
	return &fixture->seen[id / 2];
}

static int on_header(nghttp2_session *client, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_size, const uint8_t *value, size_t size, uint8_t flags, void *user)
{
	struct seen *seen = seen_of(user, frame->hd.stream_id);

	(void)client;
	(void)flags;
	if (name_size == 7 && memcmp(name, ":status", 7) == 0) {
		uint32_t status = (uint32_t)strtoul((const char *)value, NULL, 10);

		seen->informational = status < 200 ? status : seen->informational;
		seen->status = status >= 200 ? status : 0;
		seen->heads += status >= 200;
	}
	if (name[0] == 'x')
		snprintf(seen->trailer, sizeof seen->trailer, "%.*s", (int)size,
			 (const char *)value);
	return 0;
}

static int on_data(nghttp2_session *client, uint8_t flags, int32_t id, const uint8_t *data,
		   size_t size, void *user)
{
	struct seen *seen = seen_of(user, id);

	(void)client;
	(void)flags;
	if (seen->size + size < sizeof seen->body)
		memcpy(seen->body + seen->size, data, size);
	seen->size += size;
	return 0;
}

static int on_close(nghttp2_session *client, int32_t id, uint32_t error, void *user)
{
	(void)client;
	seen_of(user, id)->closed++;
	seen_of(user, id)->error = error;
	return 0;
}

static int on_frame(nghttp2_session *client, const nghttp2_frame *frame, void *user)
{
	struct fixture *fixture = user;

	(void)client;
	if (frame->hd.type == NGHTTP2_GOAWAY) {
		fixture->goaway = true;
		fixture->goaway_code = frame->goaway.error_code;
	}
	return 0;
}

static ssize_t on_read(nghttp2_session *client, int32_t id, uint8_t *buffer, size_t capacity,
		       uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct fixture *fixture = user;
	size_t left = fixture->body_size - fixture->body_at;
	size_t size = left < capacity ? left : capacity;

	(void)client;
	(void)id;
	(void)source;
	if (size == 0 && fixture->body_open)
		return NGHTTP2_ERR_DEFERRED;
	memcpy(buffer, fixture->body + fixture->body_at, size);
	fixture->body_at += size;
	if (size == left && !fixture->body_open)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)size;
}

void talk(struct fixture *fixture)
{
	struct server_wire *wire = &fixture->wire;

	for (;;) {
		const uint8_t *data;
		ssize_t size = nghttp2_session_mem_send(fixture->client, &data);

		assert_true(size >= 0);
		if (size > 0)
			server_wire_feed(wire, data, (size_t)size);
		server_wire_turn(wire);
		if (size == 0 && fixture->taken == wire->out_size)
			return;
		assert_true(nghttp2_session_mem_recv(fixture->client,
						     (uint8_t *)wire->out + fixture->taken,
						     wire->out_size - fixture->taken) >= 0);
		fixture->taken = wire->out_size;
	}
}

static void client_begin(struct fixture *fixture)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;

	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_option_new(&option);
	nghttp2_option_set_no_http_messaging(option, 0);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_client_new2(&fixture->client, callbacks, fixture, option);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	nghttp2_submit_settings(fixture->client, NGHTTP2_FLAG_NONE, NULL, 0);
}

int32_t request(struct fixture *fixture, const struct pair *fields, size_t count)
{
	nghttp2_data_provider body = {.read_callback = on_read};
	nghttp2_nv nv[16];

	for (size_t i = 0; i < count; i++)
		nv[i] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)fields[i].name,
				     .namelen = strlen(fields[i].name),
				     .value = (uint8_t *)(uintptr_t)fields[i].value,
				     .valuelen = strlen(fields[i].value)};
	fixture->body_at = 0;
	return nghttp2_submit_request(fixture->client, NULL, nv, count,
				      fixture->body != NULL ? &body : NULL, NULL);
}

int32_t ask(struct fixture *fixture, const char *method, const char *path)
{
	const struct pair fields[] = {{":method", method}, {":scheme", "http"},
				      {":authority", "a"}, {":path", path}};

	return request(fixture, fields, 4);
}

int open_fixture(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);

	fixture->wire.http2 = true;
	server_wire_open(&fixture->wire);
	fixture->wire.on_request = answer_hello;
	client_begin(fixture);
	*state = fixture;
	return 0;
}

int close_fixture(void **state)
{
	struct fixture *fixture = *state;

	nghttp2_session_del(fixture->client);
	server_wire_close(&fixture->wire);
	free(fixture);
	return 0;
}

void again(struct fixture *fixture)
{
	server_wire_again(&fixture->wire);
	nghttp2_session_del(fixture->client);
	fixture->taken = 0;
	fixture->goaway = false;
	fixture->body = NULL;
	fixture->body_open = false;
	memset(fixture->seen, 0, sizeof fixture->seen);
	client_begin(fixture);
}

/* ---- frames written by hand */

void put_frame(uint8_t *at, size_t length, uint8_t type, uint8_t flags, uint32_t stream)
{
	const uint8_t head[9] = {(uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length,
				 type, flags, (uint8_t)(stream >> 24), (uint8_t)(stream >> 16),
				 (uint8_t)(stream >> 8), (uint8_t)stream};

	memcpy(at, head, sizeof head);
}

void put_get(uint8_t *at, uint8_t flags, uint32_t stream)
{
	static const uint8_t block[GET_BLOCK_SIZE] = GET_BLOCK;

	put_frame(at, sizeof block, NGHTTP2_HEADERS, flags, stream);
	memcpy(at + 9, block, sizeof block);
}

void raw_begin(struct fixture *fixture, uint8_t setting, uint32_t value)
{
	const uint8_t pair[6] = {0, setting, (uint8_t)(value >> 24), (uint8_t)(value >> 16),
				 (uint8_t)(value >> 8), (uint8_t)value};
	uint8_t frame[9 + sizeof pair];

	again(fixture);
	server_wire_say(&fixture->wire, PREFACE);
	put_frame(frame, setting != 0 ? sizeof pair : 0, NGHTTP2_SETTINGS, 0, 0);
	memcpy(frame + 9, pair, sizeof pair);
	server_wire_feed(&fixture->wire, frame, setting != 0 ? sizeof frame : 9);
}

void raw_get(struct fixture *fixture, uint32_t stream)
{
	uint8_t frame[GET_SIZE];

	put_get(frame, GET_WHOLE, stream);
	server_wire_feed(&fixture->wire, frame, sizeof frame);
}
