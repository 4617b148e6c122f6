/* SPDX-License-Identifier: Apache-2.0 */
/* h2_wire.c - a pool of HTTP/2 connections, and whole requests through it. */
#include "tests/drivers/h2_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/kit/cmocka/run.h"

void h2_nap_ms(int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

struct h2_fixture *h2_wire_open(const struct kolk_http_driver_options *options, uint32_t window)
{
	return h2_wire_open_pinging(options, window, 50 * KOLK_MS_NS);
}

struct h2_fixture *h2_wire_open_pinging(const struct kolk_http_driver_options *options,
					uint32_t window, uint64_t ping_interval_ns)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	struct h2_fixture *fixture = calloc(1, sizeof *fixture);

	fixture->server.window = window;
	fixture->mock = kit_mock_open(&(struct kit_mock_options){ .play = h2_server_run,
								  .user = &fixture->server });
	assert_non_null(fixture->mock);
	if (options != NULL)
		fixture->options = *options;
	fixture->options.size = (uint32_t)sizeof fixture->options;
	fixture->options.protocols = KOLK_HTTP_2_ONLY;
	engine.loops = 2;
	pool.name = "mock";
	pool.address = kit_mock_address(fixture->mock);
	pool.driver = kolk_driver_http();
	pool.driver_user = &fixture->options;
	pool.idle_min = KOLK_NONE;
	pool.ping_interval_ns = ping_interval_ns;
	assert_int_equal(kolk_engine_create(&engine, &fixture->engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(fixture->engine, &pool, &fixture->pool), KOLK_OK);
	assert_int_equal(kolk_http_open(kolk_engine_loop(fixture->engine, 0), NULL, &fixture->http),
			 KOLK_OK);
	return fixture;
}

void h2_wire_close(struct h2_fixture *fixture)
{

	assert_int_equal(kolk_http_close(fixture->http, NULL, NULL), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(fixture->engine), KOLK_OK);
	kit_mock_close(fixture->mock);
	free(fixture);
}

static uint64_t now_ms(void)
{
	return kolk_in_ns(0) / KOLK_MS_NS;
}

struct result h2_ask_by(struct h2_fixture *fixture, struct kolk_http *http,
			const struct ask *what)
{
	static char body[60000000];
	struct kolk_http_response response = KOLK_INIT(kolk_http_response);
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	uint64_t id = kolk__add_relaxed(&fixture->id, 1) + 1, began_ms = now_ms();
	struct result result;
	char text[24];

	snprintf(text, sizeof text, "%llu", (unsigned long long)id);
	request.fields = &(struct kolk_http_field){ "X-Id", text };
	request.field_count = 1;
	request.target = what->target;
	request.method = what->method;
	request.body = body;
	request.body_size = what->body_size;
	request.replayable = what->replayable;
	request.expect_continue = what->expect;
	request.deadline_ns = what->deadline_ms != 0 ? kolk_in_ms(what->deadline_ms) : 0;
	request.idle_timeout_ns = what->idle_ms * KOLK_MS_NS;
	result.err = kolk_http_call(http, kolk_pool_key(fixture->pool), &request, NULL,
				    &response);
	result.status = response.status;
	result.retried = response.retried;
	result.body_size = response.body_size;
	result.mine = response.body_size == strlen(text) &&
		    memcmp(response.body, text, response.body_size) == 0;
	result.executions = kit_mock_executions(fixture->mock, id);
	result.took_ms = now_ms() - began_ms;
	kolk_http_response_free(&response);
	return result;
}

struct result h2_ask(struct h2_fixture *fixture, const struct ask *what)
{
	return h2_ask_by(fixture, fixture->http, what);
}

struct result h2_get(struct h2_fixture *fixture, const char *target)
{
	return h2_ask(fixture, &(struct ask){ .target = target });
}

uint64_t h2_accepted(struct h2_fixture *fixture)
{
	return kit_mock_counts(fixture->mock).accepted;
}

uint64_t h2_ended(struct h2_fixture *fixture, enum kolk_reason reason)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_pool_stats(fixture->pool, &stats), KOLK_OK);
	return stats.destroyed[reason];
}
