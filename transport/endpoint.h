/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint.h - the address that a pool dials, in canonical form: two texts that mean the same host
 * and port become the same bytes, two that do not stay different.
 *
 *   names      lower case, no trailing dot, A-labels (IDNA 2008, RFC 5891)
 *   addresses  as inet_ntop(3) writes them; ::ffff:1.2.3.4 is not 1.2.3.4
 *   zones      "[fe80::1%eth0]": the interface's number when it was read; a dial looks the name up
 *              again
 *   paths      byte for byte; "unix:@name" is a name in the abstract name space (unix(7))
 */
#ifndef KOLK_ENDPOINT_H
#define KOLK_ENDPOINT_H

#include <kolk/sys/sys.h>

enum { KOLK__HOST_MAX = 256, KOLK__ENDPOINT_MAX = KOLK__HOST_MAX + 16, KOLK__ZONE_MAX = 16 };

struct kolk__endpoint {
	char text[KOLK__ENDPOINT_MAX]; /* "host:port", "[v6%zone]:port", "unix:/path" */
	char host[KOLK__HOST_MAX];     /* name or address, without zone; "" = a Unix socket */
	uint32_t port;
	struct kolk_address address;   /* size 0 = a name, to be resolved */
	char zone[KOLK__ZONE_MAX];     /* the interface's name, when it was given by name; or "" */
};

/* False when it is none. */
bool kolk__endpoint_read(const char *text, struct kolk__endpoint *endpoint);
/* A name, or an address without brackets and zone. */
bool kolk__host_read(const char *text, char host[KOLK__HOST_MAX]);
/* The name of an interface in "fe80::1%eth0" or "[fe80::1%eth0]:80"; "" = none, or a number. */
void kolk__zone_name(const char *text, char zone[KOLK__ZONE_MAX]);
/* The interface of that name may be another than when the text was read (a tunnel that was set up
 * again). "" = nothing to do; false = there is none. */
bool kolk__zone_update(const char zone[KOLK__ZONE_MAX], struct kolk_address *address);
/* "1.2.3.4" or "::1" or "fe80::1%eth0". */
bool kolk__literal_read(const char *text, uint32_t port, struct kolk_address *address);
/* At most 16 bytes, with the NUL. */
void kolk__v4_write(const uint8_t bytes[4], char *text);
void kolk__literal_write(const struct kolk_address *address, char text[KOLK__HOST_MAX]);

#endif
