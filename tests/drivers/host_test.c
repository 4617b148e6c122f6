/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_test.c - a client in a host's own event loop: requests that are made, fed and cancelled
 * between two steps go on without a tick. See tests/kit/host.h.
 */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/atomic.h"
#include "tests/drivers/http_fixture.h"
#include "tests/kit/control.h"
#include "tests/kit/host.h"
#include "tests/kit/mock.h"
#include "tests/kit/tap.h"

enum { PIECE = 4096, STALL_MS = 5000 };

struct upload {
	struct http_fixture fixture;
	struct kit_mock *mock;
	struct kolk_http_exchange *exchange;
	kolk__atomic_u64 size; /* of the body; the mock's thread reads it */
	uint64_t left;       /* what pull has not given yet */
	size_t ready;        /* bytes that the host has for pull at the moment */
	bool starved, ended, closed;
	enum kolk_err err;
};

/* ---- the peer: reads slowly through a small window, then answers */

static void sink(struct kit_mock_conn *conn, void *user)
{
	const struct upload *upload = user;
	char head[2048];

	while (kit_mock_read_until(conn, "\r\n\r\n", head, sizeof head, 20000)) {
		if (strncmp(head, "POST", 4) == 0 &&
		    !kit_mock_read(conn, NULL, (size_t)kolk__load_relaxed(&upload->size), 60000))
			return;
		kit_mock_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	}
}

/* ---- the host: has a piece of the body now and then */

static enum kolk_err pull(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct upload *upload = user;

	*size = upload->ready < capacity ? upload->ready : capacity;
	if (*size > upload->left)
		*size = (size_t)upload->left;
	upload->starved = *size == 0 && upload->left > 0;
	if (upload->starved)
		return KOLK_PENDING;
	memset(buffer, 'b', *size);
	upload->ready -= *size;
	upload->left -= *size;
	return KOLK_OK;
}

static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t trailer_count)
{
	struct upload *upload = user;

	(void)exchange;
	(void)trailers;
	(void)trailer_count;
	upload->err = err;
	upload->ended = true;
}

static const struct kolk_http_handler handler = { .size = sizeof handler, .end = on_end };

static void upload_open(struct upload *upload, uint32_t receive_bytes)
{
	struct kit_mock_options mock = { .play = sink, .user = upload,
					 .receive_bytes = receive_bytes };
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct http_fixture *fixture = &upload->fixture;

	upload->mock = kit_mock_open(&mock);
	assert_non_null(upload->mock);
	engine.loops = 1;
	engine.loop_owner = KOLK_LOOPS_EMBEDDER;
	pool.name = "host";
	pool.address = kit_mock_address(upload->mock);
	pool.driver = kolk_driver_http();
	assert_int_equal(kolk_engine_create(&engine, &fixture->engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(fixture->engine, &pool, &fixture->pool), KOLK_OK);
	fixture->key = kolk_pool_key(fixture->pool);
	fixture->loop = kolk_engine_loop(fixture->engine, 0);
	assert_int_equal(kolk_loop_step(fixture->loop, 0), KOLK_OK);
	assert_int_equal(kolk_http_open(fixture->loop, NULL, &fixture->http), KOLK_OK);
}

static void on_closed(void *user)
{
	((struct upload *)user)->closed = true;
}

static void upload_close(struct upload *upload)
{
	struct http_fixture *fixture = &upload->fixture;

	assert_int_equal(kolk_http_close(fixture->http, on_closed, upload), KOLK_OK);
	while (!upload->closed)
		assert_true(kit_host_step(fixture->loop, STALL_MS));
	assert_int_equal(kolk_engine_drain(fixture->engine, kolk_in_ms(1000)), KOLK_OK);
	while (!kolk_engine_is_closed(fixture->engine))
		assert_true(kit_host_step(fixture->loop, STALL_MS));
	assert_int_equal(kolk_engine_destroy(fixture->engine), KOLK_OK);
	kit_mock_close(upload->mock);
}

static void upload_start(struct upload *upload, uint64_t size)
{
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);

	kolk__store_relaxed(&upload->size, size);
	upload->left = size;
	upload->ended = false;
	request.method = size > 0 ? "POST" : "GET";
	if (size > 0) {
		request.pull = pull;
		request.pull_size = size;
	}
	request.deadline_ns = kolk_in_ms(60000);
	assert_int_equal(kolk_http_start(upload->fixture.http, upload->fixture.key, &request, &handler,
					 upload, &upload->exchange), KOLK_PENDING);
}

/* piece: how much the host has for each call of kolk_http_more, which it makes between steps. */
static void upload_run(struct upload *upload, size_t piece)
{
	while (!upload->ended) {
		if (upload->starved) {
			upload->ready = piece;
			upload->starved = false;
			kolk_http_more(upload->exchange);
		}
		assert_true(kit_host_step(upload->fixture.loop, STALL_MS));
	}
}

/* Uploads so much, in pieces of so much; ms, by the clock of control.h. */
static uint64_t uploads(uint64_t size, size_t piece, uint32_t receive_bytes)
{
	struct upload upload = { 0 };
	struct kit_control control;
	uint64_t ms;

	upload_open(&upload, receive_bytes);
	kit_control_begin(&control);
	upload_start(&upload, size);
	upload_run(&upload, piece);
	assert_int_equal(upload.err, KOLK_OK);
	ms = kit_control_end(&control);
	upload_close(&upload);
	return ms;
}

static void pieces_between_steps(void **state)
{
	(void)state;
	assert_true(uploads(100000, PIECE, 16384) < 2000);
}

static void hundred_megabytes(void **state)
{
	(void)state;
	print_message("# 100 MB in %llu ms\n",
		      (unsigned long long)uploads(100000000, 100000, 0));
}

static void many_small_requests(void **state)
{
	struct upload upload = { 0 };
	struct kit_control control;

	(void)state;
	upload_open(&upload, 0);
	kit_control_begin(&control);
	for (int i = 0; i < 1000; i++) {
		upload_start(&upload, 0);
		upload_run(&upload, 0);
		assert_int_equal(upload.err, KOLK_OK);
	}
	assert_true(kit_control_end(&control) < 10000);
	upload_close(&upload);
}

static void cancelled_between_steps(void **state)
{
	struct upload upload = { 0 };

	(void)state;
	upload_open(&upload, 16384);
	for (uint64_t i = 0; i < 20; i++) {
		upload_start(&upload, 100000);
		for (uint64_t turn = 0; turn < i && !upload.ended; turn++)
			if (!upload.starved)
				(void)kit_host_step(upload.fixture.loop, 1);
		if (!upload.ended)
			kolk_http_cancel(upload.exchange);
		while (!upload.ended)
			assert_true(kit_host_step(upload.fixture.loop, STALL_MS));
		assert_int_equal(upload.err, KOLK_E_CANCELLED);
	}
	upload_close(&upload);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(many_small_requests),
	cmocka_unit_test(pieces_between_steps),
	cmocka_unit_test(cancelled_between_steps),
	cmocka_unit_test(hundred_megabytes),
};

CMOCKA_TESTS(host, tests);
