/* SPDX-License-Identifier: Apache-2.0 */
/* ws_frame.h - frames of a WebSocket (RFC 6455) without extensions, as a client reads and writes
 * them. Only text messages are taken. */
#ifndef KOLK_DRIVERS_MCP_WS_FRAME_H
#define KOLK_DRIVERS_MCP_WS_FRAME_H

#include <kolk/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/drivers/mcp/bytes.h"

enum {
	WS_TEXT = 1,
	WS_CLOSE = 8,
	WS_PING = 9,
	WS_PONG = 10,
	WS_CONTROL_MAX = 125,  /* payload of a control frame */
	WS_HEAD_MAX = 14,      /* header of a frame that is sent */
	WS_FRAME_MAX = 1 << 30 /* payload of a frame that is received */
};

/* Why a connection is closed, RFC 6455 section 7.4.1. */
enum {
	WS_NORMAL = 1000,
	WS_PROTOCOL_ERROR = 1002,
	WS_UNSUPPORTED = 1003,
	WS_NO_STATUS = 1005, /* never sent */
	WS_INVALID_DATA = 1007,
	WS_TOO_BIG = 1009,
	WS_INTERNAL_ERROR = 1011
};

/* The text that has come is checked as it comes. */
struct ws_utf8 {
	uint8_t left, low, high; /* continuation bytes that are missing, bounds of the next one */
};

struct ws_handler;

struct ws {
	struct wslay_frame_context *wslay;
	const struct ws_handler *handler;
	void *user;
	const uint8_t *in;       /* what is being read */
	size_t in_size;
	char *out;               /* where a frame is being written */
	bool in_frame, in_message, control, fin;
	uint8_t opcode;
	uint64_t left;           /* payload of the frame */
	struct ws_utf8 utf8;
	uint8_t payload[WS_CONTROL_MAX]; /* of a control frame */
	uint8_t payload_size;
	uint16_t code;           /* what is to be said when the connection is closed; 0 = nothing
				  * was wrong */
};

/* What is read. An error ends the reading. */
struct ws_handler {
	enum kolk_err (*text)(void *user, const char *data, size_t size); /* a part of a message */
	enum kolk_err (*end)(void *user);                                 /* that is whole now */
	void (*ping)(void *user, const uint8_t *data, size_t size);       /* to be answered */
	void (*pong)(void *user);
};

/* handler is borrowed. Errors: E_MEMORY. */
enum kolk_err kolk__ws_begin(struct ws *ws, const struct ws_handler *handler, void *user);
void kolk__ws_end(struct ws *ws);

/* Read what has come, in any pieces. Errors, after each of which nothing more is read, and ws->code
 * is set: E_CLOSED (a close frame), E_PROTOCOL, E_LIMIT (WS_FRAME_MAX); those of the handler. */
enum kolk_err kolk__ws_read(struct ws *ws, const void *data, size_t size);

/* Write a masked frame, at most payload.size + WS_HEAD_MAX bytes; returns how many, 0 = there are
 * no random numbers. */
size_t kolk__ws_write(struct ws *ws, uint8_t opcode, struct kolk__mcp_bytes payload, char *to);

#endif
