/* SPDX-License-Identifier: Apache-2.0 */
/* http_fixture.h - an engine, a pool of HTTP connections, a client of its first loop, for tests. */
#ifndef KOLK_TESTS_HTTP_FIXTURE_H
#define KOLK_TESTS_HTTP_FIXTURE_H

#include <kolk/http.h>
#include <kolk/kolk.h>
#include <string.h>

struct http_fixture {
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
	struct kolk_loop *loop;
	struct kolk_http *http;
};

/* An engine of one loop; the pool's options as given, its driver set. */
static inline bool http_fixture_open_on(struct http_fixture *fixture,
					struct kolk_pool_options *pool,
					enum kolk_backend backend)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);

	memset(fixture, 0, sizeof *fixture);
	engine.loops = 1;
	engine.backend = backend;
	pool->name = "http";
	pool->driver = kolk_driver_http();
	if (kolk_engine_create(&engine, &fixture->engine) != KOLK_OK)
		return false;
	if (kolk_pool_add(fixture->engine, pool, &fixture->pool) != KOLK_OK)
		return false;
	fixture->key = kolk_pool_key(fixture->pool);
	fixture->loop = kolk_engine_loop(fixture->engine, 0);
	return kolk_http_open(fixture->loop, NULL, &fixture->http) == KOLK_OK;
}

static inline bool http_fixture_open(struct http_fixture *fixture, struct kolk_pool_options *pool)
{
	return http_fixture_open_on(fixture, pool, KOLK_BACKEND_AUTO);
}

static inline bool http_fixture_close(struct http_fixture *fixture)
{
	bool closed = fixture->http == NULL || kolk_http_close(fixture->http, NULL, NULL) == KOLK_OK;

	if (fixture->engine == NULL)
		return false;
	kolk_engine_drain(fixture->engine, kolk_in_ms(2000));
	closed = kolk_engine_wait_closed(fixture->engine, kolk_in_ms(5000)) == KOLK_OK && closed;
	kolk_engine_destroy(fixture->engine);
	return closed;
}

static inline struct kolk_stats http_fixture_stats(const struct http_fixture *fixture)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	kolk_pool_stats(fixture->pool, &stats);
	return stats;
}

/* GET, or whatever; the whole answer. */
static inline enum kolk_err http_fixture_call(struct http_fixture *fixture, const char *method,
					      const char *target, struct kolk_http_response *response)
{
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);

	request.method = method;
	request.target = target;
	request.deadline_ns = kolk_in_ms(10000);
	*response = (struct kolk_http_response)KOLK_INIT(kolk_http_response);
	return kolk_http_call(fixture->http, fixture->key, &request, NULL, response);
}

static inline bool http_fixture_says(const struct kolk_http_response *response, const char *body)
{
	return response->body_size == strlen(body) &&
	       (response->body_size == 0 || memcmp(response->body, body, response->body_size) == 0);
}

#endif
