/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nonces_test.c - no client gets another's answer. Every request has a nonce, which the upstream
 * says in its answer; three in ten clients disappear at a random instant, connections are cut and
 * reset on both sides of the gateway, and the upstream restarts; HTTP/1.1 and HTTP/2 on both sides, on
 * both back ends. When all have gone, nothing is left in the gateway.
 */
#include <kolk/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gateway/program/echo.h"
#include "tests/gateway/program/program.h"
#include "tests/kit/nonce.h"
#include "tests/kit/relay.h"

/* What may stay in the gateway while it runs is what it keeps for the next requests, whose number is
 * bounded, per loop: exchanges (tools/gateway/proxy.c: UNUSED_MAX, with two buffers of up to 64 KiB),
 * those of the client (HTTP_BLOCKS_KEPT of six kinds) and of the server (HS_IDLE_MAX, with three
 * buffers), blocks for nghttp2 (h2_memory.c: KEPT of each size). Most are there after the first
 * requests: then 2 000 requests bring 150 to 1 400 blocks more, of 3 to 7 MiB. */
enum { LOOPS = 2, BODY_MAX = 32768, WARM_UP = 500, BLOCKS_MAX = 2000, BYTES_MAX = 24 << 20 };

/* ---- clients */

struct clients {
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_http *http[LOOPS];
	kolk__atomic_u64 whole, own; /* whole answers; those of the gateway, 502 and the like */
};

struct ask {
	struct kolk_http_exchange *exchange;
	char nonce[ECHO_NONCE + 1];
	uint32_t status;
	uint64_t size;
	bool foreign;
	char body[BODY_MAX];
};

static bool is_own(const struct ask *ask, const struct kolk_http_field *fields, size_t count)
{
	const char *nonce = kolk_http_field(fields, count, "x-nonce");

	return nonce != NULL && strcmp(nonce, ask->nonce) == 0;
}

static struct ask *ask_of(void *slot)
{
	return ((struct kit_nonce_slot *)slot)->memory;
}

static void on_head(void *user, struct kolk_http_exchange *exchange, const struct kolk_http_head *head)
{
	struct ask *ask = ask_of(user);

	(void)exchange;
	ask->status = head->status;
	ask->foreign |= head->status == 200 && !is_own(ask, head->fields, head->field_count);
}

static void on_body(void *user, struct kolk_http_exchange *exchange, const void *data, size_t size)
{
	struct ask *ask = ask_of(user);

	(void)exchange;
	for (size_t i = 0; i < size && ask->status == 200; i++)
		ask->foreign |= ((const char *)data)[i] != ask->nonce[ask->size++ % ECHO_NONCE];
}

static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t count)
{
	struct kit_nonce_slot *slot = user;
	struct clients *clients = slot->options->user;
	struct ask *ask = slot->memory;

	(void)exchange;
	ask->exchange = NULL;
	if (err == KOLK_OK && ask->status == 200)
		ask->foreign |= ask->size == 0 || ask->size % ECHO_NONCE != 0 ||
				(count > 0 && !is_own(ask, trailers, count));
	if (err == KOLK_OK)
		kolk__add_relaxed(ask->status == 200 ? &clients->whole : &clients->own, 1);
	if (ask->foreign)
		kit_nonce_done(slot, KOLK_OK, ~slot->nonce);
	else if (err == KOLK_OK && ask->status != 200)
		kit_nonce_done(slot, KOLK_E_CLOSED, 0);
	else
		kit_nonce_done(slot, err, slot->nonce);
}

static enum kolk_err start(struct kit_nonce_slot *slot)
{
	static const struct kolk_http_handler handler = { .size = sizeof handler,
							  .head = on_head,
							  .body = on_body,
							  .end = on_end };
	struct clients *clients = slot->options->user;
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	uint64_t random = slot->nonce * UINT64_C(0x9e3779b97f4a7c15) | 1;
	struct ask *ask = slot->memory;
	struct kolk_http_field field = { "x-nonce", ask->nonce };
	char target[ECHO_NONCE + 2];

	ask->status = 0;
	ask->size = 0;
	ask->foreign = false;
	snprintf(ask->nonce, sizeof ask->nonce, "%016llx", (unsigned long long)slot->nonce);
	snprintf(target, sizeof target, "/%s", ask->nonce);
	request.target = target;
	request.authority = "nonce";
	request.fields = &field;
	request.field_count = 1;
	request.trailers_accepted = 1;
	request.deadline_ns = kolk_in_ms(30000);
	if (echo_random(&random) % 2 == 0) {
		request.method = "POST";
		request.body = ask->body;
		request.body_size = ECHO_NONCE * (1 + echo_random(&random) % 32);
		if (echo_random(&random) % 8 == 0)
			request.body_size = BODY_MAX;
		for (size_t i = 0; i < request.body_size; i += ECHO_NONCE)
			memcpy(ask->body + i, ask->nonce, ECHO_NONCE);
	}
	return kolk_http_start(clients->http[kolk_loop_index(slot->loop)],
			       kolk_pool_key(clients->pool), &request, &handler, slot,
			       &ask->exchange);
}

static void cancel(struct kit_nonce_slot *slot)
{
	struct ask *ask = slot->memory;

	if (ask->exchange != NULL)
		kolk_http_cancel(ask->exchange);
}

/* A client that cancels is gone: HTTP/1.1 by its connection, HTTP/2 by its stream. */
static bool clients_open(struct clients *clients, const char *address, uint32_t protocols)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_http_driver_options driver = KOLK_INIT(kolk_http_driver_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);

	*clients = (struct clients){ .engine = NULL };
	engine.loops = LOOPS;
	driver.protocols = protocols;
	driver.drain_bytes_max = KOLK_AT_ONCE;
	driver.resets_max = 1000000;
	pool.name = "clients";
	pool.address = address;
	pool.driver = kolk_driver_http();
	pool.driver_user = &driver;
	pool.connections_max = protocols == KOLK_HTTP_2_ONLY ? 8 : 64;
	pool.dials_max = 16;
	pool.waiters_max = 128;
	pool.mend_timeout_ns = KOLK_AT_ONCE;
	if (!CHECK_ERR(kolk_engine_create(&engine, &clients->engine), KOLK_OK) ||
	    !CHECK_ERR(kolk_pool_add(clients->engine, &pool, &clients->pool), KOLK_OK))
		return false;
	for (uint32_t i = 0; i < LOOPS; i++)
		if (!CHECK_ERR(kolk_http_open(kolk_engine_loop(clients->engine, i), NULL,
					      &clients->http[i]), KOLK_OK))
			return false;
	return true;
}

static void clients_close(struct clients *clients)
{
	for (uint32_t i = 0; i < LOOPS; i++)
		CHECK_ERR(kolk_http_close(clients->http[i], NULL, NULL), KOLK_OK);
	kolk_engine_drain(clients->engine, kolk_in_ms(2000));
	CHECK_ERR(kolk_engine_wait_closed(clients->engine, kolk_in_ms(10000)), KOLK_OK);
	CHECK_ERR(kolk_engine_destroy(clients->engine), KOLK_OK);
}

/* ---- a run */

struct combination {
	const char *backend;
	uint32_t front, back; /* enum kolk_http_protocols */
};

/* Clients come through a bad network, and go. */
static void ask_all(const struct program *program, const struct combination *what, uint64_t count)
{
	char name[64], target[32];
	bool http2 = what->front == KOLK_HTTP_2_ONLY; /* few connections, of many requests each */
	struct kit_relay_options network = { .target = target, .seed = count + what->front,
					     .faults = { .cut = http2 ? 450 : 200,
							 .reset = http2 ? 450 : 200,
							 .delay = 20, .split = 50,
							 .within_bytes = http2 ? 262144 : 32768 } };
	struct kit_nonce_options options = { .requests = count, .start = start, .cancel = cancel,
					     .slot_bytes = sizeof(struct ask) };
	struct kit_nonce_counts counts;
	struct kit_relay *relay;
	struct clients clients;

	snprintf(target, sizeof target, "127.0.0.1:%u", program->port);
	snprintf(name, sizeof name, "%s, HTTP/%s to HTTP/%s", what->backend,
		 http2 ? "2" : "1.1", what->back == KOLK_HTTP_2_ONLY ? "2" : "1.1");
	relay = kit_relay_open(&network);
	MUST(relay != NULL);
	MUST(clients_open(&clients, kit_relay_address(relay), what->front));
	options.engine = clients.engine;
	options.user = &clients;
	options.seed = count;
	CHECK(kit_nonce_run(name, &options, &counts));
	CHECK(counts.foreign == 0);
	CHECK(counts.ok > count / 5);
	tap_note("%s: %llu whole answers, %llu of the gateway's own; %llu connections, %llu cut, "
		 "%llu reset",
		 name, (unsigned long long)kolk__load_relaxed(&clients.whole),
		 (unsigned long long)kolk__load_relaxed(&clients.own),
		 (unsigned long long)kit_relay_counts(relay).connections,
		 (unsigned long long)kit_relay_counts(relay).cut,
		 (unsigned long long)kit_relay_counts(relay).reset);
	clients_close(&clients);
	kit_relay_close(relay);
}

/* No stream, no connection of the pool, no other descriptor. */
static void expect_nothing_left(const struct program *program, uint32_t descriptors)
{
	uint32_t left = 0;

	if (!CHECK(WITHIN_MS(15000,
			     (left = program_descriptors(program)) <= descriptors)))
		tap_note("%u descriptors before, %u after", descriptors, left);
}

static bool begin(struct program *program, const struct combination *what, const char *upstream)
{
	char engine[64], pools[512];

	snprintf(engine, sizeof engine, "loops: 2, backend: %s", what->backend);
	snprintf(pools, sizeof pools,
		 "  - {name: up, address: \"%s\", protocol: http, http: {%sresets_max: 1000000},\n"
		 "     limits: {connections_max: %d, dials_max: 16, idle_min: 0, waiters_max: 256},\n"
		 "     timeouts: {idle: 1s}, health: {circuit_failures: none}}\n",
		 upstream, what->back == KOLK_HTTP_2_ONLY ? "version: 2, " : "",
		 what->back == KOLK_HTTP_2_ONLY ? 8 : 64);
	return program_start_with(program, &(struct program_file){
						   .engine = engine,
						   .pools = pools,
						   .routes = "    - {match: {path: /}, pool: up}\n",
						   .gateway = "  server: {resets_max: 1000000}\n",
						   .counted = true });
}

/* The blocks that a gateway has left at its end, when it had one request: what the C library keeps. */
static uint64_t blocks_of_one(const struct combination *what, const char *upstream)
{
	static char text[PROGRAM_TEXT];
	struct program program;

	if (!CHECK(begin(&program, what, upstream)))
		return 0;
	(void)program_ask(&program,
			  "GET /1 HTTP/1.1\r\nHost: a\r\nX-Nonce: 1\r\nConnection: close\r\n\r\n",
			  text);
	CHECK(program_stop(&program, 10000));
	return program.blocks_left;
}

static void ask_twice(struct program *program, const struct combination *what, struct echo *echo)
{
	uint32_t descriptors = program_descriptors(program);
	uint64_t blocks, bytes;

	echo_restart_often(echo);
	ask_all(program, what, WARM_UP);
	expect_nothing_left(program, descriptors);
	blocks = program_blocks(program);
	bytes = program_bytes(program);
	ask_all(program, what, program_options.nonces);
	echo_restart_no_more(echo);
	expect_nothing_left(program, descriptors);
	tap_note("%u restarts; allocated %llu KiB in %llu blocks, then %llu KiB in %llu",
		 kolk__load_relaxed(&echo->restarts), (unsigned long long)bytes / 1024,
		 (unsigned long long)blocks, (unsigned long long)program_bytes(program) / 1024,
		 (unsigned long long)program_blocks(program));
	CHECK(program_blocks(program) <= blocks + BLOCKS_MAX);
	CHECK(program_bytes(program) <= bytes + BYTES_MAX);
}

/* While it runs it keeps some memory for the next requests; at its end nothing of any is left: as many
 * blocks as after one request. */
static void run(const struct combination *what)
{
	struct kit_relay_options network = { .seed = 1,
					     .faults = { .cut = 30, .reset = 30, .delay = 20,
							 .split = 50, .within_bytes = 65536 } };
	struct program program;
	struct kit_relay *relay;
	struct echo echo;
	uint64_t one;

	MUST(echo_open(&echo));
	network.target = echo.address;
	relay = kit_relay_open(&network);
	MUST(relay != NULL);
	one = blocks_of_one(what, kit_relay_address(relay));
	MUST(begin(&program, what, kit_relay_address(relay)));
	ask_twice(&program, what, &echo);
	CHECK(program_stop(&program, 10000));
	if (!CHECK(program.blocks_left == one))
		tap_note("%llu blocks are left, %llu after one request",
			 (unsigned long long)program.blocks_left, (unsigned long long)one);
	kit_relay_close(relay);
	echo_close(&echo);
}

static void run_on(const char *backend, uint32_t front, uint32_t back)
{
	if (strcmp(backend, "io_uring") == 0 && tap_io_uring_refused() != NULL)
		tap_skip(tap_io_uring_refused());
	else
		run(&(struct combination){ backend, front, back });
}

#define COMBINATION(name, backend, front, back)          \
	static void name(void)                               \
	{                                                    \
		run_on(backend, KOLK_HTTP_##front##_ONLY, KOLK_HTTP_##back##_ONLY); \
	}
COMBINATION(epoll_1_to_1, "epoll", 1, 1)
COMBINATION(epoll_1_to_2, "epoll", 1, 2)
COMBINATION(epoll_2_to_1, "epoll", 2, 1)
COMBINATION(epoll_2_to_2, "epoll", 2, 2)
COMBINATION(io_uring_1_to_1, "io_uring", 1, 1)
COMBINATION(io_uring_1_to_2, "io_uring", 1, 2)
COMBINATION(io_uring_2_to_1, "io_uring", 2, 1)
COMBINATION(io_uring_2_to_2, "io_uring", 2, 2)

static const struct tap_test tests[] = {
	{ "nonces on epoll, HTTP/1.1 to HTTP/1.1", epoll_1_to_1 },
	{ "nonces on epoll, HTTP/1.1 to HTTP/2", epoll_1_to_2 },
	{ "nonces on epoll, HTTP/2 to HTTP/1.1", epoll_2_to_1 },
	{ "nonces on epoll, HTTP/2 to HTTP/2", epoll_2_to_2 },
	{ "nonces on io_uring, HTTP/1.1 to HTTP/1.1", io_uring_1_to_1 },
	{ "nonces on io_uring, HTTP/1.1 to HTTP/2", io_uring_1_to_2 },
	{ "nonces on io_uring, HTTP/2 to HTTP/1.1", io_uring_2_to_1 },
	{ "nonces on io_uring, HTTP/2 to HTTP/2", io_uring_2_to_2 },
};
TAP_TESTS(nonces, tests);
