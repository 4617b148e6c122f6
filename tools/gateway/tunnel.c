/* SPDX-License-Identifier: Apache-2.0 */
/* tunnel.c - an exchange that became another protocol: bytes from client to upstream and back. */
#include "tools/gateway/proxy.h"

enum { RECEIVE_BYTES = 16384 };

/* Again at the end of each operation that was in flight. */
void gw_tunnel_close(struct gw_exchange *x)
{
	struct gw_tunnel *tunnel = &x->passed->tunnel;

	if (!tunnel->closing && tunnel->sending)
		(void)kolk_io_cancel(&tunnel->send);
	if (!tunnel->closing && tunnel->receiving)
		(void)kolk_io_cancel(&tunnel->recv);
	tunnel->closing = true;
	if (!tunnel->open || tunnel->sending || tunnel->receiving)
		return;
	tunnel->open = false;
	(void)kolk_release(&tunnel->lease); /* closes it: it speaks another protocol */
	gw_proxy_tunnel_ended(x);
}

/* The client gets what came before, and learns how it ended; its own end closes the tunnel. */
static void upstream_ended(struct gw_exchange *x, enum kolk_err err)
{
	x->down.ended = true;
	if (err == KOLK_E_CLOSED)
		kolk_http_server_more(x->front);
	else
		gw_proxy_cancel(x);
}

/* ---- client to upstream */

static void send_up(struct gw_exchange *x);

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	struct gw_exchange *x = user;

	x->passed->tunnel.sending = false;
	gw_pipe_drop(&x->up, size);
	if (x->passed->tunnel.closing)
		gw_tunnel_close(x);
	else if (err != KOLK_OK)
		upstream_ended(x, err);
	else
		send_up(x);
}

static void send_up(struct gw_exchange *x)
{
	struct gw_tunnel *tunnel = &x->passed->tunnel;
	enum kolk_err err;

	if (tunnel->sending)
		return;
	if (x->up.size == 0) {
		kolk_http_server_resume(x->front);
		if (x->up.ended)
			gw_tunnel_close(x); /* all that the client sent was passed on */
		return;
	}
	kolk_http_server_pause(x->front); /* nothing may move what is being sent */
	err = kolk_send_async(x->loop->loop, &tunnel->lease, &tunnel->send, x->up.data + x->up.begin,
			      x->up.size, KOLK_FOREVER, on_sent, x);
	tunnel->sending = err == KOLK_PENDING;
	if (err != KOLK_PENDING)
		upstream_ended(x, err);
}

void gw_tunnel_send(struct gw_exchange *x, const void *data, size_t size)
{
	if (!gw_pipe_push(&x->up, data, size))
		gw_proxy_cancel(x);
	else
		send_up(x);
}

void gw_tunnel_send_end(struct gw_exchange *x)
{
	x->up.ended = true;
	send_up(x);
}

/* ---- upstream to client */

static void on_received(void *user, enum kolk_err err, size_t size)
{
	struct gw_exchange *x = user;

	x->passed->tunnel.receiving = false;
	if (x->passed->tunnel.closing) {
		gw_tunnel_close(x);
	} else if (err != KOLK_OK) {
		upstream_ended(x, err);
	} else {
		gw_pipe_commit(&x->down, size);
		kolk_http_server_more(x->front);
		gw_tunnel_receive(x);
	}
}

void gw_tunnel_receive(struct gw_exchange *x)
{
	struct gw_tunnel *tunnel = &x->passed->tunnel;
	enum kolk_err err = KOLK_E_MEMORY;
	char *room;

	if (!tunnel->open || tunnel->closing || tunnel->receiving || x->down.ended ||
	    x->down.size >= GW_PIPE_HIGH)
		return;
	room = gw_pipe_reserve(&x->down, RECEIVE_BYTES);
	if (room != NULL)
		err = kolk_recv_async(x->loop->loop, &tunnel->lease, &tunnel->recv, room,
				      RECEIVE_BYTES, KOLK_FOREVER, on_received, x);
	tunnel->receiving = err == KOLK_PENDING;
	if (err != KOLK_PENDING)
		upstream_ended(x, err);
}

void gw_tunnel_open(struct gw_exchange *x, const struct kolk_lease *lease, const void *data,
		    size_t size)
{
	x->passed->tunnel = (struct gw_tunnel){ .lease = *lease, .open = true };
	x->up.ended = false; /* that was the request */
	(void)kolk_lease_pin(lease); /* it lasts as long as its client wants */
	if (size > 0 && !gw_pipe_push(&x->down, data, size))
		gw_proxy_cancel(x);
	kolk_http_server_more(x->front);
	gw_tunnel_receive(x);
}
