/* SPDX-License-Identifier: Apache-2.0 */
/*
 * websocket.c - fuzz: any bytes as the frames of a server, as the MCP driver reads them. The first
 * byte says how they are cut: in pieces they must mean the same as whole. What is shown as text
 * is UTF-8. What is written is a masked frame of the same payload.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/mcp/ws_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct meaning {
	uint64_t hash; /* of messages that are whole, pings and pongs, in their order */
	uint64_t text; /* of a message that is not yet whole */
	enum kolk_err err;
	uint16_t code;
};

static void must(bool right)
{
	if (!right)
		abort();
}

static void mix(struct meaning *meaning, uint8_t kind, const void *bytes, size_t size)
{
	for (size_t i = 0; i <= size; i++)
		meaning->hash = (meaning->hash ^
				 (i == size ? kind : ((const uint8_t *)bytes)[i] + 256u)) *
				UINT64_C(0x100000001b3);
}

/* Pieces of a text mean the same, however it is cut. */
static enum kolk_err on_text(void *user, const char *data, size_t size)
{
	struct meaning *meaning = user;

	must(size > 0);
	for (size_t i = 0; i < size; i++)
		meaning->text = (meaning->text ^ (uint8_t)data[i]) * UINT64_C(0x100000001b3);
	return KOLK_OK;
}

static enum kolk_err on_end(void *user)
{
	struct meaning *meaning = user;

	mix(meaning, 1, &meaning->text, sizeof meaning->text);
	meaning->text = 0;
	return KOLK_OK;
}

static void on_ping(void *user, const uint8_t *data, size_t size)
{
	must(size <= WS_CONTROL_MAX);
	mix(user, 2, data, size);
}

static void on_pong(void *user)
{
	mix(user, 3, NULL, 0);
}

/* Pieces in memory of their own: one byte too far is seen. */
static struct meaning read_in(const uint8_t *data, size_t size, size_t piece)
{
	static const struct ws_handler handler = { on_text, on_end, on_ping, on_pong };
	struct meaning meaning = { 0 };
	struct ws ws;

	must(kolk__ws_begin(&ws, &handler, &meaning) == KOLK_OK);
	for (size_t at = 0; at < size && meaning.err == KOLK_OK; at += piece) {
		size_t part = piece < size - at ? piece : size - at;
		uint8_t *copy = malloc(part);

		must(copy != NULL);
		memcpy(copy, data + at, part);
		meaning.err = kolk__ws_read(&ws, copy, part);
		free(copy);
	}
	meaning.code = ws.code;
	must(meaning.err == KOLK_OK || meaning.code != 0);
	kolk__ws_end(&ws);
	return meaning;
}

static void write_one(const uint8_t *data, size_t size)
{
	char *frame = malloc(size + WS_HEAD_MAX);
	size_t head = size < 126 ? 6 : size < 65536 ? 8 : 14;
	struct kolk__mcp_bytes payload = { data, size };
	struct ws ws;

	must(frame != NULL && kolk__ws_begin(&ws, NULL, NULL) == KOLK_OK);
	must(kolk__ws_write(&ws, WS_TEXT, payload, frame) == size + head);
	must((uint8_t)frame[0] == 0x81 && ((uint8_t)frame[1] & 0x80) != 0);
	for (size_t i = 0; i < size; i++)
		must(((uint8_t)frame[head + i] ^ (uint8_t)frame[head - 4 + i % 4]) == data[i]);
	kolk__ws_end(&ws);
	free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct meaning whole, pieces, bytes;

	if (size < 2)
		return 0;
	whole = read_in(data + 1, size - 1, size);
	pieces = read_in(data + 1, size - 1, 2 + (size_t)data[0] % 19);
	bytes = read_in(data + 1, size - 1, 1);
	must(whole.hash == pieces.hash && whole.err == pieces.err && whole.code == pieces.code);
	must(whole.hash == bytes.hash && whole.err == bytes.err && whole.code == bytes.code);
	write_one(data + 1, size - 1);
	return 0;
}
