/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint.h - where a pool dials to, in one spelling: two texts that mean the same host and
 * port become the same bytes, two that do not stay different.
 *
 *   names      lower case, no trailing dot, A-labels (IDNA 2008, RFC 5891)
 *   addresses  as inet_ntop(3) writes them; ::ffff:1.2.3.4 is not 1.2.3.4
 *   zones      "[fe80::1%eth0]": the interface's number, since that is what is dialled
 *   paths      byte for byte; "unix:@name" is a name in the abstract name space (unix(7))
 */
#ifndef KOLK_ENDPOINT_H
#define KOLK_ENDPOINT_H

#include <kolk/sys/sys.h>

enum { KOLK__HOST_MAX = 256, KOLK__ENDPOINT_MAX = KOLK__HOST_MAX + 16 };

struct kolk__endpoint {
	char text[KOLK__ENDPOINT_MAX]; /* "host:port", "[v6%zone]:port", "unix:/path" */
	char host[KOLK__HOST_MAX];     /* name or address, without zone; "" = a Unix socket */
	uint32_t port;
	struct kolk_address address;   /* size 0 = a name, to be resolved */
};

/* False when it is none. */
bool kolk__endpoint_read(const char *text, struct kolk__endpoint *endpoint);
/* A name, or an address without brackets and zone. */
bool kolk__host_read(const char *text, char host[KOLK__HOST_MAX]);
/* "1.2.3.4" or "::1" or "fe80::1%eth0". */
bool kolk__literal_read(const char *text, uint32_t port, struct kolk_address *address);
void kolk__literal_write(const struct kolk_address *address, char text[KOLK__HOST_MAX]);

#endif
