/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwt.h - signed bearer tokens (RFC 7519): RS256 and ES256, by the keys of a JSON Web Key Set.
 *
 *   jwks.c   a key set (RFC 7517): which keys there are, and whether a signature is one's
 *   jwt.c    a token: its form, its header, its claims
 *   jwks_url.c, jwks_fetch.c, jwks_where.c   key sets by URL
 *
 * The key decides the algorithm, never the token (RFC 8725, section 3.1): a token names one of the
 * two, and only a key of that kind is tried. Nothing that a token says of keys (jwk, jku, x5c, x5u) is
 * looked at.
 */
#ifndef KOLK_GATEWAY_JWT_H
#define KOLK_GATEWAY_JWT_H

#include "tools/gateway/tenant.h"

struct gw_keys;

enum gw_algorithm { GW_RS256 = 1, GW_ES256 };

/* Bytes, not closed by a zero. */
struct gw_bytes {
	const uint8_t *bytes;
	size_t size;
};

enum {
	GW_TOKEN_MAX = 8192, /* bytes of a token */
	GW_KEYS_MAX = 64     /* of a set */
};

/* jwks.c */

/* Read a file; NULL and the trouble. Keys that cannot verify either algorithm (use "enc", other kinds)
 * are passed over; a set without any that can is trouble, and so are two of one algorithm and kid. */
struct gw_keys *gw_keys_read(const char *path, struct gw_trouble *trouble);
/* The same of a text. */
struct gw_keys *gw_keys_parse(const struct gw_bytes *text, struct gw_trouble *trouble);
void gw_keys_free(struct gw_keys *keys);
/* Whether the key of that algorithm and kid made the signature of what was signed; kid NULL = the only
 * one of the algorithm, false where there are several. One key is tried, never more: that takes a
 * millisecond of a processor. Any thread. */
bool gw_keys_verify(const struct gw_keys *keys, enum gw_algorithm algorithm, const char *kid,
		    const struct gw_bytes parts[2]);
uint32_t gw_keys_count(const struct gw_keys *keys);
/* Whether there is a key of that algorithm and kid. */
bool gw_keys_has(const struct gw_keys *keys, enum gw_algorithm algorithm, const char *kid);
bool gw_sha256(const struct gw_bytes *of, uint8_t digest[32]);
/* base64url without padding (RFC 7515, section 2), one spelling for each value: the size, or -1. `to`
 * has size * 3 / 4 bytes. */
long gw_base64url(const char *text, size_t size, uint8_t *to);

/* jwt.c */

struct gw_jwt {
	int64_t now_s;   /* given: s since 1970 */
	/* Until when it is good: exp and the leeway. Of one that is not: until when it stays so, at
	 * least; 0 = its signature was not looked at. */
	int64_t until_s;
	bool no_key;     /* it names a key that is not there, which may come */
	char tenant[GW_TENANT_SIZE];
};

/* Who a good token is of. False: it is not good, and tenant is not set. */
bool gw_jwt_read(const struct gw_keys *keys, const struct gw_tenants_options *options,
		 const struct gw_bytes *token, struct gw_jwt *jwt);

#endif
