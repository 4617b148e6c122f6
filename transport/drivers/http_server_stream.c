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

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	struct hs_conn *conn = user;

	kolk__own_add(&conn->loop->counters.sent, size);
	hs_conn_sent(conn, err);
}

static struct kolk_io *io_of(struct hs_conn *conn)
{
	return conn->h2 != NULL ? &conn->h2->io : &conn->exchange->io;
}

static enum kolk_err wire_send(struct hs_conn *conn, const void *data, size_t size)
{
	struct kolk_io *io = io_of(conn);
	enum kolk_err err = kolk_stream_send(stream_of(conn), io, data, size, on_sent, conn);

	if (err == KOLK_PENDING && hs_conn_is_written(conn))
		kolk_io_lazy(io, true);
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
