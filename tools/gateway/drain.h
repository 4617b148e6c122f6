/* SPDX-License-Identifier: Apache-2.0 */
/* drain.h - what the end of drain_timeout breaks off. */
#ifndef KOLK_GATEWAY_DRAIN_H
#define KOLK_GATEWAY_DRAIN_H

#include <kolk/error.h>
#include <stdint.h>

struct gateway;
struct gw_exchange;

/* Of a loop, or of all. */
struct gw_broken_off {
	uint64_t end_ns;   /* from when on what ends without success is broken off; 0 = it is not near */
	uint32_t requests; /* that had no whole answer */
	uint32_t streams;  /* of events of MCP, and tunnels */
	uint32_t sessions; /* of MCP with a call under way */
};

/* The server is about to be closed, with this deadline. Not on a loop, as gw_drain_say. */
void gw_drain_begin(struct gateway *gateway, uint64_t end_ns);
/* On the loop of an exchange, whose client's side ended with err after took_ns. */
void gw_drain_count(struct gw_exchange *x, enum kolk_err err);
/* A line to standard error, if something was broken off, with how long it had. Once the server is
 * closed, and before MCP is. */
void gw_drain_say(struct gateway *gateway, uint64_t began_ns);

#endif
