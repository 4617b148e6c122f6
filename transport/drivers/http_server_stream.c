/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_stream.c - connections on streams of kolk/listen.h. */
#include <stdlib.h>

#include <string.h>

#include "transport/drivers/http_server_h2.h"

static struct kolk_stream *stream_of(const struct hs_conn *conn)
{
	return conn->wire_user;
}

/* ---- the wire */

static struct kolk_io *io_of(struct hs_conn *conn)
{
	return conn->h2 != NULL ? &conn->h2->io : conn->exchange->io;
}

/* An exchange of HTTP/1 has memory for a send only while one is in flight: a stream of events may
 * be silent for hours. */
static bool io_get(struct hs_conn *conn)
{
	if (conn->h2 != NULL)
		return true;
	conn->exchange->io = blocks_get(&conn->loop->ios, sizeof(struct kolk_io));
	return conn->exchange->io != NULL;
}

static void io_put(struct hs_conn *conn)
{
	if (conn->h2 != NULL)
		return;
	blocks_put(&conn->loop->ios, conn->exchange->io);
	conn->exchange->io = NULL;
}

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	struct hs_conn *conn = user;

	kolk__own_add(&conn->loop->counters.sent, size);
	io_put(conn);
	hs_conn_sent(conn, err);
}

static enum kolk_err wire_send(struct hs_conn *conn, const void *data, size_t size)
{
	enum kolk_err err;

	if (!io_get(conn))
		return KOLK_E_MEMORY;
	err = kolk_stream_send(stream_of(conn), io_of(conn), data, size, on_sent, conn);
	if (err != KOLK_PENDING)
		io_put(conn);
	else if (hs_conn_is_written(conn))
		kolk_io_lazy(io_of(conn), true);
	return err;
}

static void wire_hurry(struct hs_conn *conn)
{
	kolk_io_lazy(io_of(conn), false);
}

static void wire_pause(struct hs_conn *conn)
{
	kolk_stream_pause(stream_of(conn));
}

static void wire_resume(struct hs_conn *conn)
{
	kolk_stream_resume(stream_of(conn));
}

static void wire_close(struct hs_conn *conn)
{
	kolk_stream_close(stream_of(conn));
}

static void wire_reset(struct hs_conn *conn)
{
	kolk_stream_reset(stream_of(conn));
}

static const struct hs_wire wire = {
	.send = wire_send, .hurry = wire_hurry, .pause = wire_pause, .resume = wire_resume,
	.close = wire_close, .reset = wire_reset
};

/* ---- the stream's handlers */

static void *on_open(void *listener_user, struct kolk_stream *stream)
{
	struct hs_loop *loop = hs_loop_of(listener_user, kolk_stream_loop(stream));
	struct kolk_stream_peer peer = KOLK_INIT(kolk_stream_peer);
	struct hs_conn *conn;

	if (loop->draining)
		return NULL;
	conn = calloc(1, sizeof *conn);
	if (conn == NULL)
		return NULL;
	kolk_stream_peer(stream, &peer);
	conn->tls = peer.tls_version != 0;
	conn->wire = &wire;
	conn->wire_user = stream;
	hs_conn_begin(conn, loop);
	if (peer.alpn != NULL && strcmp(peer.alpn, "h2") == 0 && hs_h2_open(conn) != KOLK_OK) {
		hs_conn_end(conn, KOLK_E_MEMORY);
		free(conn);
		return NULL;
	}
	return conn;
}

static void on_data(void *user, struct kolk_stream *stream, const void *bytes, size_t size)
{
	struct hs_conn *conn = user;

	(void)stream;
	kolk__own_add(&conn->loop->counters.received, size);
	hs_conn_data(conn, bytes, size);
}

static void on_end(void *user, struct kolk_stream *stream, enum kolk_err err)
{
	(void)stream;
	hs_conn_end(user, err);
	free(user);
}

const struct kolk_stream_handler hs_stream_handler = {
	.size = sizeof(struct kolk_stream_handler), .open = on_open, .data = on_data, .end = on_end
};
