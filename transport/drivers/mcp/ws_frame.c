/* SPDX-License-Identifier: Apache-2.0 */
/* ws_frame.c - frames of a WebSocket by libwslay, and the rules that it leaves to its user:
 * who masks, which frame may follow which, UTF-8, codes. */
#include "transport/drivers/mcp/ws_frame.h"

#include <string.h>
#include <sys/random.h>
#include <wslay/wslay.h>

static enum kolk_err fail(struct ws *ws, uint16_t code)
{
	ws->code = code;
	return code == WS_TOO_BIG ? KOLK_E_LIMIT : KOLK_E_PROTOCOL;
}

/* ---- what wslay asks for */

static ssize_t on_recv(uint8_t *to, size_t size, int flags, void *user)
{
	struct ws *ws = user;

	(void)flags;
	if (ws->in_size == 0)
		return -1;
	if (size > ws->in_size)
		size = ws->in_size;
	memcpy(to, ws->in, size);
	ws->in += size;
	ws->in_size -= size;
	return (ssize_t)size;
}

static ssize_t on_send(const uint8_t *data, size_t size, int flags, void *user)
{
	struct ws *ws = user;

	(void)flags;
	memcpy(ws->out, data, size);
	ws->out += size;
	return (ssize_t)size;
}

static int on_mask(uint8_t *to, size_t size, void *user)
{
	(void)user;
	return getrandom(to, size, 0) == (ssize_t)size ? 0 : -1;
}

enum kolk_err kolk__ws_begin(struct ws *ws, const struct ws_handler *handler, void *user)
{
	static const struct wslay_frame_callbacks callbacks = { on_send, on_recv, on_mask };

	memset(ws, 0, sizeof *ws);
	ws->handler = handler;
	ws->user = user;
	return wslay_frame_context_init(&ws->wslay, &callbacks, ws) == 0 ? KOLK_OK : KOLK_E_MEMORY;
}

void kolk__ws_end(struct ws *ws)
{
	if (ws->wslay != NULL)
		wslay_frame_context_free(ws->wslay);
	ws->wslay = NULL;
}

/* ---- text */

static bool utf8_begin(struct ws_utf8 *utf8, uint8_t c)
{
	if (c < 0x80)
		return true;
	utf8->left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	utf8->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	utf8->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	return c >= 0xc2 && c <= 0xf4;
}

static bool utf8_check(struct ws_utf8 *utf8, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (utf8->left == 0) {
			if (!utf8_begin(utf8, data[i]))
				return false;
			continue;
		}
		if (data[i] < utf8->low || data[i] > utf8->high)
			return false;
		utf8->left--;
		utf8->low = 0x80;
		utf8->high = 0xbf;
	}
	return true;
}

/* ---- read */

/* What a server may say in a close frame. */
static bool is_code(uint16_t code)
{
	return (code >= 1000 && code <= 1014 && code != 1004 && code != WS_NO_STATUS &&
		code != 1006) ||
	       (code >= 3000 && code <= 4999);
}

static enum kolk_err on_close(struct ws *ws)
{
	struct ws_utf8 utf8 = { 0 };
	uint16_t code;

	if (ws->payload_size == 0) {
		ws->code = WS_NO_STATUS;
		return KOLK_E_CLOSED;
	}
	code = (uint16_t)(ws->payload[0] << 8 | ws->payload[1]);
	if (ws->payload_size == 1 || !is_code(code))
		return fail(ws, WS_PROTOCOL_ERROR);
	if (!utf8_check(&utf8, ws->payload + 2, ws->payload_size - 2u) || utf8.left != 0)
		return fail(ws, WS_INVALID_DATA);
	ws->code = code;
	return KOLK_E_CLOSED;
}

/* The header of a frame is there. */
static enum kolk_err frame_begin(struct ws *ws, const struct wslay_frame_iocb *frame)
{
	bool continues = frame->opcode == WSLAY_CONTINUATION_FRAME;

	ws->control = wslay_is_ctrl_frame(frame->opcode);
	ws->opcode = frame->opcode;
	ws->fin = frame->fin != 0;
	ws->left = frame->payload_length;
	ws->payload_size = 0;
	ws->in_frame = true;
	if (frame->mask != 0 || frame->rsv != 0 || frame->opcode > WS_PONG ||
	    (frame->opcode > WSLAY_BINARY_FRAME && !ws->control))
		return fail(ws, WS_PROTOCOL_ERROR);
	if (ws->control)
		return ws->fin && ws->left <= WS_CONTROL_MAX ? KOLK_OK : fail(ws, WS_PROTOCOL_ERROR);
	if (continues != ws->in_message)
		return fail(ws, WS_PROTOCOL_ERROR);
	if (frame->opcode == WSLAY_BINARY_FRAME)
		return fail(ws, WS_UNSUPPORTED);
	ws->in_message = true;
	return ws->left <= WS_FRAME_MAX ? KOLK_OK : fail(ws, WS_TOO_BIG);
}

static enum kolk_err frame_data(struct ws *ws, const uint8_t *data, size_t size)
{
	ws->left -= size;
	if (ws->control) {
		memcpy(ws->payload + ws->payload_size, data, size);
		ws->payload_size = (uint8_t)(ws->payload_size + size);
		return KOLK_OK;
	}
	if (!utf8_check(&ws->utf8, data, size))
		return fail(ws, WS_INVALID_DATA);
	return ws->handler->text(ws->user, (const char *)data, size);
}

static enum kolk_err frame_end(struct ws *ws)
{
	enum kolk_err err;

	ws->in_frame = false;
	if (ws->opcode == WS_CLOSE)
		return on_close(ws);
	if (ws->opcode == WS_PING)
		ws->handler->ping(ws->user, ws->payload, ws->payload_size);
	else if (ws->opcode == WS_PONG)
		ws->handler->pong(ws->user);
	if (ws->control || !ws->fin)
		return KOLK_OK;
	ws->in_message = false;
	if (ws->utf8.left != 0)
		return fail(ws, WS_INVALID_DATA);
	err = ws->handler->end(ws->user);
	return err == KOLK_E_PROTOCOL ? fail(ws, WS_INVALID_DATA) : err;
}

enum kolk_err kolk__ws_read(struct ws *ws, const void *data, size_t size)
{
	enum kolk_err err = KOLK_OK;

	ws->in = data;
	ws->in_size = size;
	while (err == KOLK_OK) {
		struct wslay_frame_iocb frame = { 0 };
		ssize_t got = wslay_frame_recv(ws->wslay, &frame);

		if (got == WSLAY_ERR_WANT_READ)
			return KOLK_OK;
		if (got < 0)
			return fail(ws, WS_PROTOCOL_ERROR);
		if (!ws->in_frame)
			err = frame_begin(ws, &frame);
		if (err == KOLK_OK && got > 0)
			err = frame_data(ws, frame.data, (size_t)got);
		if (err == KOLK_OK && ws->left == 0)
			err = frame_end(ws);
	}
	return err;
}

/* ---- write */

size_t kolk__ws_write(struct ws *ws, uint8_t opcode, struct kolk__mcp_bytes payload, char *to)
{
	struct wslay_frame_iocb frame = { .fin = 1, .opcode = opcode, .mask = 1,
					  .payload_length = payload.size,
					  .data = payload.bytes, .data_length = payload.size };
	ssize_t sent;

	ws->out = to;
	do {
		sent = wslay_frame_send(ws->wslay, &frame);
		if (sent < 0)
			return 0;
		frame.data += sent;
		frame.data_length -= (size_t)sent;
	} while (frame.data_length > 0);
	return (size_t)(ws->out - to);
}
