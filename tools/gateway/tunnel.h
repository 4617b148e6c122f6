/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnel.h - an exchange that became another protocol: bytes from client to upstream and back.
 *
 *   front ── body ──► up ── send ──► lease     front is paused while a send is in flight
 *   front ◄── pull ── down ◄── recv ── lease   no receive while down is full
 *
 * The side that ends first ends the tunnel, after what came from it has been sent to the other one.
 *   upstream ends   down ends: front takes the rest, and ends (after an error at once, by a reset)
 *   client ends     the rest of up is sent; then the tunnel closes, and down ends
 *   front ended     the tunnel closes
 * front exists until the tunnel closes, so nothing here checks it.
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

/* The upstream has agreed: the tunnel gets the lease, and the bytes that came after the head. */
void gw_tunnel_open(struct gw_exchange *x, const struct kolk_lease *lease, const void *data,
		    size_t size);
/* The client sent bytes, or said that it sends no more. */
void gw_tunnel_send(struct gw_exchange *x, const void *data, size_t size);
void gw_tunnel_send_end(struct gw_exchange *x);
/* There is room in down again. */
void gw_tunnel_receive(struct gw_exchange *x);
/* Close the tunnel: it begins nothing more. When nothing is in flight, which may be at once, the lease
 * is released and gw_proxy_tunnel_ended called, which may free x. */
void gw_tunnel_close(struct gw_exchange *x);

#endif
