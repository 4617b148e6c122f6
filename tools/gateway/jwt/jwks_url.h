/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwks_url.h - a JSON Web Key Set by URL: fetched, refreshed, and in force for as long as it may be.
 *
 *   key source   where keys come from: a URL, the pool of its connections, the set in force
 *   key set      the keys of one answer, with the tokens that were read by them. It does not change,
 *                and is freed when it is not in force and no request uses it
 *
 * A source fetches on the first loop, one answer at a time:
 *   - when it is opened, and again 1, 2, 4 ... s after a failure, at most keys_refresh (30 s while
 *     no set is in force);
 *   - keys_refresh after a success;
 *   - when a token names a key that the set does not have, 10 s after the last fetch began at the
 *     earliest (keys_refresh, if that is less).
 * All but the last with up to 20 % jitter downwards. A fetch that fails changes nothing; keys_max_age
 * after the last one that succeeded no set is in force.
 */
#ifndef KOLK_GATEWAY_JWKS_URL_H
#define KOLK_GATEWAY_JWKS_URL_H

#include <kolk/http.h>

#include "tools/gateway/jwt/cache.h"
#include "tools/gateway/url.h"

struct gw_key_source;

/* jwks_where.c: as gw_url_read, but without TLS only hosts of this machine. */
const char *gw_key_url_read(const char *text, struct gw_url *url);

struct gw_key_set {
	struct gw_keys *keys;
	struct gw_jwt_cache *cache; /* NULL = slower */
	uint8_t digest[32];         /* of the answer */
	uint32_t references;
};

/* Where it fetches: the first loop of the engine, and the client of that loop. */
struct gw_key_place {
	struct kolk_engine *engine;
	struct kolk_http *http;
};

/* Open one, which begins to fetch. The options' texts are copied. Any thread. Errors: those of
 * kolk_pool_add. */
KOLK_MUST_CHECK enum kolk_err gw_key_source_open(const struct gw_key_place *place,
						 const struct gw_tenants_options *options,
						 struct gw_key_source **source);
/* Free it; its sets as well. No request uses it any more. Blocks until its fetch has ended, which is
 * cancelled; not on a loop, and before the client is closed. NULL is allowed. */
void gw_key_source_close(struct gw_key_source *source);
/* Whether it fetches what these options say, by the same anchors. Other times are taken over by
 * gw_key_source_adjust. */
bool gw_key_source_is(const struct gw_key_source *source, const struct gw_tenants_options *options);
void gw_key_source_adjust(struct gw_key_source *source, const struct gw_tenants_options *options);

/* The set in force; NULL = none. Given back by gw_key_source_leave. Any thread; waits for no
 * network. */
struct gw_key_set *gw_key_source_use(struct gw_key_source *source);
void gw_key_source_leave(struct gw_key_source *source, struct gw_key_set *set);
/* In how long one may be in force: until the next fetch, and a second at least. */
uint64_t gw_key_source_retry_ns(struct gw_key_source *source);
/* A token names a key that the set does not have. Any thread. */
void gw_key_source_want(struct gw_key_source *source);

/* Numbers, for the admin server. */
struct gw_key_numbers {
	const char *url;
	uint32_t keys;                 /* in force; 0 = none */
	uint64_t age_ns;               /* since the last fetch that succeeded; 0 = there was none */
	uint64_t fetches, failures;    /* that ended; of them, that failed */
	uint64_t unknown;              /* tokens that named a key which was not there */
	char error[160];               /* of the last fetch; "" = it succeeded */
};

/* The source whose numbers are shown from now on, until another is, or NULL. */
void gw_key_source_show(struct gw_key_source *source);
/* Show them, if there are any. Any thread; fn must not call anything here. */
typedef void gw_key_numbers_fn(void *user, const struct gw_key_numbers *numbers);
void gw_key_source_look(gw_key_numbers_fn *fn, void *user);

#endif
