/* SPDX-License-Identifier: Apache-2.0 */
/* cache.h - tokens whose signature was looked at, by their SHA-256. */
#ifndef KOLK_GATEWAY_JWT_CACHE_H
#define KOLK_GATEWAY_JWT_CACHE_H

#include "tools/gateway/jwt/jwt.h"

struct gw_jwt_cache;

struct gw_jwt_cache *gw_jwt_cache_make(void); /* NULL = no memory */
void gw_jwt_cache_free(struct gw_jwt_cache *cache);
enum gw_jwt_known {
	GW_JWT_UNKNOWN = 0, /* it has to be read */
	GW_JWT_GOOD,
	GW_JWT_REFUSED
};

/* What is known of it at jwt->now_s; of a good one fills in the rest. Any thread; never waits. A cache
 * that is NULL knows nothing. */
enum gw_jwt_known gw_jwt_cache_find(struct gw_jwt_cache *cache, const uint8_t digest[32],
				    struct gw_jwt *jwt);
/* Keep a good one, up to jwt->until_s, in the place of an older good one; not when another thread uses
 * that place. */
void gw_jwt_cache_keep(struct gw_jwt_cache *cache, const uint8_t digest[32],
		       const struct gw_jwt *jwt);
/* The same of one that was refused: up to jwt->until_s, for at most a minute. */
void gw_jwt_cache_refuse(struct gw_jwt_cache *cache, const uint8_t digest[32],
			 const struct gw_jwt *jwt);

#endif
