/* SPDX-License-Identifier: Apache-2.0 */
/* http2_load.c - many HTTP requests on one loop: started, cancelled at random, checked. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kit/moment.h"
#include "tests/peers/http2.h"

struct slot {
	struct load *load;
	struct kolk_http_exchange *exchange;
	struct kolk_timer timer;
	uint64_t nonce, began_ns;
	size_t size;          /* of the answer's body so far */
	uint32_t status;
	bool busy, in_flight, cancelled; /* started; and that has returned; to end early */
	char expected[24], got[24], target[256];
};

struct load {
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_loop *loop;
	struct kolk_http *http;
	struct kolk_http_driver_options http_options;
	const struct load_plan *plan;
	struct load_result result;
	struct slot *slots;
	uint64_t started, ended, nonce, state;
	struct kit_moment moment;
	char *body;
	bool closed;
};

static uint64_t random_of(struct load *load)
{
	load->state ^= load->state << 13;
	load->state ^= load->state >> 7;
	return load->state ^= load->state << 17;
}

static void next(struct slot *slot);

static void on_head(void *user, struct kolk_http_exchange *exchange,
		    const struct kolk_http_head *head)
{
	struct slot *slot = user;

	(void)exchange;
	slot->status = head->status;
	slot->load->result.version[head->version == 20 ? 2 : head->version == 11]++;
}

static void on_body(void *user, struct kolk_http_exchange *exchange, const void *data, size_t size)
{
	struct slot *slot = user;

	(void)exchange;
	if (slot->size + size < sizeof slot->got)
		memcpy(slot->got + slot->size, data, size);
	slot->size += size;
	slot->load->result.body_bytes += size;
}

/* The bytes received are the beginning of the right answer, or of another's. */
static bool is_foreign(const struct slot *slot)
{
	size_t size = slot->size < sizeof slot->got ? slot->size : sizeof slot->got;

	return size > strlen(slot->expected) || memcmp(slot->got, slot->expected, size) != 0;
}

static void judge(struct slot *slot, enum kolk_err err)
{
	const struct load_plan *plan = slot->load->plan;
	struct load_result *result = &slot->load->result;

	if (plan->nonce && slot->size > 0 && slot->status == 200 && is_foreign(slot))
		result->foreign++;
	if (err == KOLK_E_CANCELLED && slot->cancelled) {
		result->cancelled++;
		return;
	}
	if (err != KOLK_OK) {
		result->failed++;
		result->last_err = err;
		return;
	}
	result->ok++;
	kit_moment_took(&slot->load->moment, kolk_in_ns(0) - slot->began_ns);
	result->bad_status += slot->status != 200 && slot->status != 204;
	result->short_answers += (plan->nonce && slot->size != strlen(slot->expected)) ||
				 (plan->answer_size != 0 && slot->size != plan->answer_size);
}

static void cancel(struct slot *slot)
{
	if (slot->in_flight) {
		slot->cancelled = true;
		kolk_http_cancel(slot->exchange);
	}
}

static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t trailer_count)
{
	struct slot *slot = user;
	struct load *load = slot->load;

	(void)trailers, (void)trailer_count;
	load->result.retried += kolk_http_retried(exchange);
	slot->busy = slot->in_flight = false;
	kolk_timer_stop(&slot->timer);
	judge(slot, err);
	load->ended++;
	if (kit_moment_applies(load->plan->cancel_percent, random_of(load)))
		cancel(&load->slots[random_of(load) % load->plan->at_once]);
	if (load->plan->each != NULL)
		load->plan->each(load->plan->each_user, load->ended);
	if (load->started < load->plan->requests)
		next(slot);
}

static const struct kolk_http_handler handler = {
	.size = (uint32_t)sizeof handler, .head = on_head, .body = on_body, .end = on_end
};

static void on_cancel(struct kolk_timer *timer, void *user)
{
	(void)timer;
	cancel(user);
}

static void next(struct slot *slot)
{
	struct load *load = slot->load;
	const struct load_plan *plan = load->plan;
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	enum kolk_err err;

	load->started++;
	*slot = (struct slot){ .load = load, .nonce = load->nonce++, .busy = true,
				.began_ns = kolk_in_ns(0) };
	snprintf(slot->expected, sizeof slot->expected, "n%" PRIu64, slot->nonce);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(slot->target, sizeof slot->target, plan->target, slot->expected);
#pragma GCC diagnostic pop
	request.target = slot->target;
	request.method = plan->method;
	request.body = load->body;
	request.body_size = plan->body_size;
	if (plan->deadline_ms != 0)
		request.deadline_ns = kolk_in_ms(plan->deadline_ms);
	err = kolk_http_start(load->http, kolk_pool_key(load->pool), &request, &handler, slot,
			      &slot->exchange);
	if (err != KOLK_PENDING) {
		slot->busy = false;
		load->ended++;
		load->result.failed++;
		load->result.last_err = err;
		return;
	}
	slot->in_flight = slot->busy;
	if (slot->in_flight && kit_moment_applies(plan->cancel_percent, random_of(load)))
		(void)kolk_timer_start(load->loop, &slot->timer,
				       slot->began_ns +
					       kit_moment_pick(&load->moment, random_of(load)),
				       on_cancel, slot);
}

struct load_result load_run(struct load *load, const struct load_plan *plan)
{
	load->plan = plan;
	load->result = (struct load_result){ 0 };
	load->started = load->ended = 0;
	load->slots = calloc(plan->at_once, sizeof *load->slots);
	load->body = calloc(1, plan->body_size + 1);
	for (uint32_t i = 0; i < plan->at_once; i++) {
		load->slots[i].load = load;
		if (load->started < plan->requests)
			next(&load->slots[i]);
	}
	while (load->ended < plan->requests)
		load_step(load);
	free(load->slots);
	free(load->body);
	return load->result;
}

void load_step(struct load *load)
{
	(void)kolk_loop_step(load->loop, 10 * KOLK_MS_NS);
}

struct kolk_stats load_stats(struct load *load)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	(void)kolk_pool_stats(load->pool, &stats);
	return stats;
}

struct kolk_loop *load_loop(struct load *load)
{
	return load->loop;
}

struct kolk_pool *load_pool(struct load *load)
{
	return load->pool;
}

static bool pool_open(struct load *load, const struct load_options *options)
{
	static const char *const both[] = { "h2", "http/1.1", NULL };
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);

	load->http_options = options->http;
	load->http_options.size = (uint32_t)sizeof load->http_options;
	tls.ca_file = options->ca_file;
	tls.alpn = options->alpn != NULL ? options->alpn : both;
	tls.server_name = "localhost";
	pool.name = "peer";
	pool.address = options->address;
	pool.tls = options->ca_file != NULL ? &tls : NULL;
	pool.driver = kolk_driver_http();
	pool.driver_user = &load->http_options;
	pool.connections_max = options->connections_max;
	pool.idle_min = KOLK_NONE;
	pool.dials_max = 16;
	pool.circuit_failures = KOLK_NONE;
	return kolk_pool_add(load->engine, &pool, &load->pool) == KOLK_OK;
}

struct load *load_open(const struct load_options *options)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct load *load = calloc(1, sizeof *load);

	load->state = peers_seed() * 2 + 1;
	engine.loops = 1;
	engine.loop_owner = KOLK_LOOPS_EMBEDDER;
	engine.connections_max = 1000;
	engine.tenant_connections_max = KOLK_UNLIMITED;
	if (kolk_engine_create(&engine, &load->engine) == KOLK_OK) {
		load->loop = kolk_engine_loop(load->engine, 0);
		(void)kolk_loop_step(load->loop, 0); /* it is this thread's now */
		if (pool_open(load, options) &&
		    kolk_http_open(load->loop, NULL, &load->http) == KOLK_OK)
			return load;
		(void)kolk_engine_destroy(load->engine);
	}
	FAILED("the load can be opened");
	free(load);
	return NULL;
}

static void closed(void *user)
{
	*(bool *)user = true;
}

void load_close(struct load *load)
{
	uint64_t until_ms = tap_now_ms() + 10000;

	CHECK_ERR(kolk_http_close(load->http, closed, &load->closed), KOLK_OK);
	while (!load->closed && tap_now_ms() < until_ms)
		load_step(load);
	CHECK(load->closed);
	kolk_engine_drain(load->engine, kolk_in_ms(1000));
	while (!kolk_engine_is_closed(load->engine) && tap_now_ms() < until_ms)
		load_step(load);
	CHECK(kolk_engine_is_closed(load->engine));
	(void)kolk_engine_destroy(load->engine);
	free(load);
}
