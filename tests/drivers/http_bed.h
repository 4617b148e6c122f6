/* SPDX-License-Identifier: Apache-2.0 */
/* http_bed.h - an engine, a pool of HTTP connections and a client of its first loop, for tests. */
#ifndef KOLK_TESTS_HTTP_BED_H
#define KOLK_TESTS_HTTP_BED_H

#include <kolk/http.h>
#include <kolk/kolk.h>
#include <string.h>

struct http_bed {
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
	struct kolk_loop *loop;
	struct kolk_http *http;
};

/* An engine of one loop; the pool's options as given, its driver set. */
static inline bool http_bed_open_on(struct http_bed *bed, struct kolk_pool_options *pool,
				    enum kolk_backend backend)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);

	memset(bed, 0, sizeof *bed);
	engine.loops = 1;
	engine.backend = backend;
	pool->name = "http";
	pool->driver = kolk_driver_http();
	if (kolk_engine_create(&engine, &bed->engine) != KOLK_OK)
		return false;
	if (kolk_pool_add(bed->engine, pool, &bed->pool) != KOLK_OK)
		return false;
	bed->key = kolk_pool_key(bed->pool);
	bed->loop = kolk_engine_loop(bed->engine, 0);
	return kolk_http_open(bed->loop, NULL, &bed->http) == KOLK_OK;
}

static inline bool http_bed_open(struct http_bed *bed, struct kolk_pool_options *pool)
{
	return http_bed_open_on(bed, pool, KOLK_BACKEND_AUTO);
}

static inline bool http_bed_close(struct http_bed *bed)
{
	bool closed = bed->http == NULL || kolk_http_close(bed->http, NULL, NULL) == KOLK_OK;

	if (bed->engine == NULL)
		return false;
	kolk_engine_drain(bed->engine, kolk_in_ms(2000));
	closed = kolk_engine_wait_closed(bed->engine, kolk_in_ms(5000)) == KOLK_OK && closed;
	kolk_engine_destroy(bed->engine);
	return closed;
}

static inline struct kolk_stats http_bed_stats(const struct http_bed *bed)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	kolk_pool_stats(bed->pool, &stats);
	return stats;
}

/* GET, or whatever; the whole answer. */
static inline enum kolk_err http_bed_call(struct http_bed *bed, const char *method,
					  const char *target, struct kolk_http_response *response)
{
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);

	request.method = method;
	request.target = target;
	request.deadline_ns = kolk_in_ms(10000);
	*response = (struct kolk_http_response)KOLK_INIT(kolk_http_response);
	return kolk_http_call(bed->http, bed->key, &request, NULL, response);
}

static inline bool http_bed_says(const struct kolk_http_response *response, const char *body)
{
	return response->body_size == strlen(body) &&
	       (response->body_size == 0 || memcmp(response->body, body, response->body_size) == 0);
}

#endif
