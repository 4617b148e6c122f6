/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy.h - the header of the PROXY protocol, version 2, in front of a connection: who dialled the
 * proxy (haproxy's proxy-protocol.txt, section 2.2). No I/O.
 */
#ifndef KOLK_PROXY_H
#define KOLK_PROXY_H

#include <stddef.h>
#include <stdint.h>

/* A longer header is refused: addresses are at most 216 bytes, and what proxies tell beside them
 * is hundreds. */
enum { KOLK__PROXY_MAX = 4096 };

struct kolk__proxy {
	uint16_t family; /* AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC = the connection's own addresses */
	uint16_t peer_port, local_port;
	uint8_t peer[16], local[16];
};

/* The size of the header that these bytes begin with; 0 = more are needed; -1 = it is none, or one
 * of another version, or not as it must be. */
int32_t kolk__proxy_read(const uint8_t *bytes, size_t size, struct kolk__proxy *proxy);

#endif
