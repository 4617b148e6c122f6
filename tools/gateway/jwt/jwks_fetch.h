/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwks_fetch.h - a key source within: jwks_url.c has its life and its requests, jwks_fetch.c its
 * fetches.
 *
 * Threads. What requests and the admin server see is under `lock`, which is held for a few
 * instructions; everything else belongs to the first loop.
 */
#ifndef KOLK_GATEWAY_JWKS_FETCH_H
#define KOLK_GATEWAY_JWKS_FETCH_H

#include <kolk/kolk.h>
#include <pthread.h>
#include <semaphore.h>

#include "tools/gateway/jwt/jwks_url.h"

struct gw_key_source {
	char *text, *ca_file;
	struct gw_url url;
	struct kolk_loop *loop;
	struct kolk_http *http;
	struct kolk_pool *pool;
	struct kolk_call call;       /* see asked */
	struct kolk_timer timer;

	/* Of the loop. */
	struct kolk_http_exchange *exchange; /* NULL = no fetch */
	char *answer;                /* ANSWER_MAX bytes, while one is fetched */
	size_t size;
	uint32_t status, failed;     /* failed: in a row */
	bool too_large, wanted;
	uint64_t begun_ns, refresh_at_ns;
	sem_t *stopped;              /* NULL = it is not to stop */

	pthread_mutex_t lock;
	/* Under it. */
	struct gw_key_set *set;
	struct gw_key_numbers numbers; /* age_ns is not used */
	uint64_t refresh_ns, max_age_ns;
	uint64_t fetched_ns;         /* the last that succeeded; 0 = none */
	uint64_t due_ns;             /* the next fetch; 0 = now */
	bool asked;                  /* call is on its way */
};

/* On the loop. Begin a fetch: there is none. */
void gw_key_fetch(struct gw_key_source *source);
/* The timer is set for what is due next, the fetch or the end of the set. */
void gw_key_schedule(struct gw_key_source *source);

#endif
