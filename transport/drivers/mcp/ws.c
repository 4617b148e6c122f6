/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ws.c - a session of a WebSocket: an HTTP/1.1 connection out of the pool is upgraded (RFC 6455,
 * subprotocol "mcp"), and carries a message of JSON-RPC in each text message. It ends with its
 * connection.
 */
#include <mbedtls/base64.h>
#include <mbedtls/md.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "transport/drivers/mcp/inside.h"
#include "transport/drivers/mcp/ws_frame.h"

/* Pongs are not queued for a server that does not read. */
enum { BACKLOG_MAX = 16 };

/* ---- messages */

struct socket {
	struct ws ws;
	bool pinging;
};

static enum kolk_err queue_frame(struct mcp_pipe *pipe, uint8_t opcode, const void *data,
				 size_t size)
{
	struct socket *socket = pipe->wire_user;
	struct mcp_line *line = kolk__mcp_line_make(size + WS_HEAD_MAX);

	if (line == NULL)
		return KOLK_E_MEMORY;
	line->size = kolk__ws_write(&socket->ws, opcode, (struct kolk__mcp_bytes){ data, size },
				    line->text);
	if (line->size == 0) {
		free(line);
		return KOLK_E_RESOURCE;
	}
	kolk__mcp_pipe_queue(pipe, line);
	return KOLK_OK;
}

static enum kolk_err encode(struct mcp_pipe *pipe, const char *text, size_t size)
{
	return queue_frame(pipe, WS_TEXT, text, size);
}

static enum kolk_err on_text(void *user, const char *data, size_t size)
{
	return kolk__mcp_pipe_append(user, data, size);
}

static enum kolk_err on_text_end(void *user)
{
	return kolk__mcp_pipe_end_message(user);
}

static void on_ping(void *user, const uint8_t *data, size_t size)
{
	struct mcp_pipe *pipe = user;
	uint32_t queued = 0;

	for (const struct mcp_line *line = pipe->first; line != NULL && queued < BACKLOG_MAX;
	     line = line->next)
		queued++;
	if (queued < BACKLOG_MAX)
		(void)queue_frame(pipe, WS_PONG, data, size);
}

static void on_pong(void *user)
{
	struct mcp_pipe *pipe = user;
	struct socket *socket = pipe->wire_user;

	if (socket->pinging)
		pipe->making_waits = false;
	socket->pinging = false;
}

static enum kolk_err take(struct mcp_pipe *pipe, const char *data, size_t size)
{
	struct socket *socket = pipe->wire_user;
	enum kolk_err err;

	if (socket->ws.code != 0)
		return KOLK_E_CLOSED;
	err = kolk__ws_read(&socket->ws, data, size);
	if (err != KOLK_OK && socket->ws.code == 0)
		socket->ws.code = err == KOLK_E_MEMORY ? WS_INTERNAL_ERROR : WS_INVALID_DATA;
	if (err == KOLK_OK && (pipe->leased || pipe->making != NULL))
		kolk__mcp_pipe_send_next(pipe); /* pongs */
	return err;
}

static void ping(struct mcp_pipe *pipe)
{
	struct socket *socket = pipe->wire_user;

	socket->pinging = true;
	if (queue_frame(pipe, WS_PING, NULL, 0) != KOLK_OK)
		pipe->making_waits = false;
}

static bool farewell(struct mcp_pipe *pipe)
{
	struct socket *socket = pipe->wire_user;
	uint16_t code = socket->ws.code;
	uint8_t said[2];

	if (pipe->broken != KOLK_OK && code == 0)
		return false; /* there is no connection */
	while (pipe->first != NULL)
		kolk__mcp_pipe_drop_first(pipe);
	if (code == 0)
		code = WS_NORMAL;
	said[0] = (uint8_t)(code >> 8);
	said[1] = (uint8_t)code;
	return queue_frame(pipe, WS_CLOSE, said, code == WS_NO_STATUS ? 0 : 2) == KOLK_OK;
}

static void close_socket(struct mcp_pipe *pipe)
{
	struct socket *socket = pipe->wire_user;

	kolk__ws_end(&socket->ws);
	free(socket);
}

static const struct mcp_wire wire = { .encode = encode, .take = take, .ping = ping,
				      .farewell = farewell, .close = close_socket,
				      .listens = true };

/* ---- the upgrade */

struct opening {
	struct mcp_post post;
	struct kolk_resource_op *op;
	struct mcp_loop *loop;
	struct mcp_identity *identity;
	uint64_t deadline_ns;
	enum kolk_err err;
	struct mcp_pipe *pipe; /* once it is open */
	bool accepted;
	bool renewed;          /* another token was tried */
	char key[25];          /* Sec-WebSocket-Key */
};

static bool key_make(char key[25])
{
	unsigned char nonce[16];
	size_t size;

	return getrandom(nonce, sizeof nonce, 0) == sizeof nonce &&
	       mbedtls_base64_encode((unsigned char *)key, 25, &size, nonce, sizeof nonce) == 0;
}

/* Whether that is what the server makes of the key. */
static bool is_accept(const char *accept, const char *key)
{
	unsigned char text[61], hash[20], expected[29];
	size_t size = (size_t)snprintf((char *)text, sizeof text, "%s%s", key,
				       "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");

	return accept != NULL &&
	       mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA1), text, size, hash) == 0 &&
	       mbedtls_base64_encode(expected, sizeof expected, &size, hash, sizeof hash) == 0 &&
	       strcmp(accept, (const char *)expected) == 0;
}

static void on_head(struct mcp_post *post, const struct kolk_http_head *head)
{
	struct opening *opening = mcp_container_of(post, struct opening, post);
	const char *protocol = kolk_http_field(head->fields, head->field_count,
					       "sec-websocket-protocol");

	opening->accepted =
		head->status == 101 &&
		is_accept(kolk_http_field(head->fields, head->field_count, "sec-websocket-accept"),
			  opening->key) &&
		protocol != NULL && strcmp(protocol, "mcp") == 0 &&
		kolk_http_field(head->fields, head->field_count, "sec-websocket-extensions") == NULL;
}

static struct mcp_pipe *pipe_make(struct mcp_loop *loop, const struct kolk_lease *lease)
{
	static const struct ws_handler handler = { on_text, on_text_end, on_ping, on_pong };
	struct mcp_pipe *pipe = kolk__mcp_pipe_open(loop, lease);
	struct socket *socket = pipe != NULL ? calloc(1, sizeof *socket) : NULL;

	if (socket != NULL && kolk__ws_begin(&socket->ws, &handler, pipe) == KOLK_OK) {
		kolk__mcp_pipe_set_wire(pipe, &wire, socket);
		return pipe;
	}
	free(socket);
	free(pipe);
	return NULL;
}

static void on_upgraded(struct mcp_post *post, const struct kolk_lease *lease, const void *data,
			size_t size)
{
	struct opening *opening = mcp_container_of(post, struct opening, post);
	struct kolk_lease own = *lease;

	if (opening->accepted)
		opening->pipe = pipe_make(opening->loop, &own);
	if (opening->pipe == NULL) {
		opening->err = opening->accepted ? KOLK_E_MEMORY : KOLK_E_PROTOCOL;
		(void)kolk_discard(&own);
		return;
	}
	(void)kolk_lease_pin(&opening->pipe->child);
	if (size > 0)
		kolk__mcp_pipe_feed(opening->pipe, data, size);
}

static enum kolk_err judge(const struct opening *opening, enum kolk_err err)
{
	uint32_t status = opening->post.status;

	if (err != KOLK_OK)
		return kolk__mcp_making_error(err, opening->post.carried);
	if (opening->err != KOLK_OK)
		return opening->err;
	return status == 401 || status == 403 ? KOLK_E_AUTH : KOLK_E_SERVER;
}

static enum kolk_err ask(struct opening *opening);

/* The token was refused, and there is another one, which was not tried. */
static bool is_renewed(struct opening *opening, enum kolk_err err)
{
	if (err != KOLK_OK || opening->renewed ||
	    !kolk__mcp_token_renewed(&opening->post, opening->identity))
		return false;
	opening->renewed = true;
	return true;
}

static void on_end(struct mcp_post *post, enum kolk_err err)
{
	struct opening *opening = mcp_container_of(post, struct opening, post);

	if (opening->pipe != NULL) {
		kolk__mcp_pipe_session(opening->pipe, opening->identity, opening->op,
				       opening->deadline_ns);
		free(opening);
		return;
	}
	if (is_renewed(opening, err)) {
		err = ask(opening);
		if (err == KOLK_PENDING)
			return;
	} else {
		err = judge(opening, err);
		if (err == KOLK_E_AUTH)
			kolk__mcp_refused(opening->identity, post);
	}
	kolk__mcp_pipe_session_failed(opening->identity, opening->op, err);
	free(opening);
}

static enum kolk_err ask(struct opening *opening)
{
	static const struct mcp_post_handler handler = { .head = on_head, .upgraded = on_upgraded,
							 .end = on_end };
	struct mcp_post_options options = { .method = "GET", .identity = opening->identity,
					    .upgrade = "websocket" };
	const struct kolk_http_field fields[] = { { "sec-websocket-key", opening->key },
						  { "sec-websocket-version", "13" },
						  { "sec-websocket-protocol", "mcp" } };

	if (!key_make(opening->key))
		return KOLK_E_RESOURCE;
	options.fields = fields;
	options.field_count = sizeof fields / sizeof *fields;
	options.deadline_ns = kolk__mcp_making_deadline(opening->deadline_ns);
	return kolk__mcp_post_start(&opening->post, opening->loop, &handler, &options);
}

void kolk__mcp_ws_create(struct mcp_loop *loop, struct mcp_identity *identity,
			 struct kolk_resource_op *op, uint64_t deadline_ns)
{
	struct opening *opening = calloc(1, sizeof *opening);
	enum kolk_err err = KOLK_E_MEMORY;

	if (opening != NULL) {
		opening->op = op;
		opening->loop = loop;
		opening->identity = identity;
		opening->deadline_ns = deadline_ns;
		err = ask(opening);
	}
	if (err == KOLK_PENDING)
		return;
	free(opening);
	kolk__mcp_pipe_session_failed(identity, op, err);
}
