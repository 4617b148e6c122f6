/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnel.h - an exchange that became another protocol: bytes from client to upstream and back.
 *
 *   front ── body ──► up ── send ──► lease     front is paused while a send is in flight
 *   front ◄── pull ── down ◄── recv ── lease   no receive while down is full
 *
 * The first side that ends, ends the tunnel: what came from it is sent to the other one first.
 *   upstream ends   down ends: front takes the rest, and ends (an error: at once, by a reset)
 *   client ends     the rest of up is sent; then the tunnel closes, and down ends
 *   front ended     the tunnel closes
 * Until it closes front is there, so nothing here asks.
 */
#ifndef KOLK_GATEWAY_TUNNEL_H
#define KOLK_GATEWAY_TUNNEL_H

#include <kolk/io.h>
#include <kolk/lease.h>

struct gw_exchange;

struct gw_tunnel {
	struct kolk_lease lease;
	struct kolk_io send, recv;
	bool open, closing;
	bool sending, receiving; /* in flight */
};

/* The upstream agreed: the lease is the tunnel's, and bytes that came behind its head. */
void gw_tunnel_open(struct gw_exchange *x, const struct kolk_lease *lease, const void *data,
		    size_t size);
/* The client sent bytes, or said that it sends no more. */
void gw_tunnel_send(struct gw_exchange *x, const void *data, size_t size);
void gw_tunnel_send_end(struct gw_exchange *x);
/* There is room in down again. */
void gw_tunnel_receive(struct gw_exchange *x);
/* End it: nothing is begun any more, and when nothing is in flight, maybe at once, the lease is given
 * back and gw_proxy_tunnel_ended called, which may free x. */
void gw_tunnel_close(struct gw_exchange *x);

#endif
