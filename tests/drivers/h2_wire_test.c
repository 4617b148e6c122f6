/* SPDX-License-Identifier: Apache-2.0 */
/* h2_wire_test.c - many streams on one HTTP/2 connection of a pool: threads and loops that share
 * it, limits, uploads, back-pressure. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kit/cmocka/run.h"
#include "tests/drivers/h2_wire.h"
#include "tests/kit/control.h"

/* ---- tests */

static void one_after_the_other(void **state)
{
	struct h2_fixture *fixture = h2_wire_open(NULL, 0);

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct result result = h2_get(fixture, "/ok");

		assert_int_equal(result.err, KOLK_OK);
		assert_true(result.mine);
		if (i % 20 == 0)
			h2_nap_ms(10); /* it is released, and leased again */
	}
	assert_int_equal(h2_accepted(fixture), 1);
	h2_wire_close(fixture);
}

struct many {
	struct h2_fixture *fixture;
	kolk__atomic_int wrong;
};

static void *ask_many(void *arg)
{
	struct many *many = arg;

	for (int i = 0; i < 500; i++) {
		struct result result = h2_get(many->fixture, "/ok");

		kolk__add_acq_rel(&many->wrong,
				  result.err != KOLK_OK || !result.mine || result.executions != 1);
	}
	return NULL;
}

static void many_threads_on_one_connection(void **state)
{
	struct many many = { .fixture = h2_wire_open(NULL, 0) };
	pthread_t thread[16];

	(void)state;
	for (int i = 0; i < 16; i++)
		pthread_create(&thread[i], NULL, ask_many, &many);
	for (int i = 0; i < 16; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(kolk__load_acquire(&many.wrong), 0);
	assert_int_equal(h2_accepted(many.fixture), 1);
	h2_wire_close(many.fixture);
}

struct half {
	struct h2_fixture *fixture;
	struct kolk_http *http;
	kolk__atomic_int *wrong;
};

static void *ask_now_and_then(void *arg)
{
	struct half *half = arg;

	for (int i = 0; i < 150; i++) {
		struct result result = h2_ask_by(half->fixture, half->http,
						 &(struct ask){ .target = "/ok" });

		kolk__add_acq_rel(half->wrong,
				  result.err != KOLK_OK || !result.mine || result.executions != 1);
		h2_nap_ms(i % 7);
	}
	return NULL;
}

/* Two loops, a client each, one key: connections go from one to the other when they are idle. */
static void two_loops_share_a_key(void **state)
{
	struct h2_fixture *fixture = h2_wire_open(NULL, 0);
	struct half half[2];
	kolk__atomic_int wrong = { 0 };
	pthread_t thread[6];

	(void)state;
	for (int i = 0; i < 2; i++)
		half[i] = (struct half){ fixture, fixture->http, &wrong };
	assert_int_equal(kolk_http_open(kolk_engine_loop(fixture->engine, 1), NULL, &half[1].http),
			 KOLK_OK);
	for (int i = 0; i < 6; i++)
		pthread_create(&thread[i], NULL, ask_now_and_then, &half[i % 2]);
	for (int i = 0; i < 6; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(kolk__load_acquire(&wrong), 0);
	assert_true(h2_accepted(fixture) <= 4);
	assert_int_equal(kolk_http_close(half[1].http, NULL, NULL), KOLK_OK);
	h2_wire_close(fixture);
}

struct late {
	struct h2_fixture *fixture;
	uint64_t deadline_ms;
	enum kolk_err err;
	pthread_t thread;
};

static void *ask_late(void *arg)
{
	struct late *late = arg;
	struct ask what = { .target = "/ok", .deadline_ms = late->deadline_ms };

	late->err = h2_ask(late->fixture, &what).err;
	return NULL;
}

/* RFC 9113, section 6.5.2: a limit of 0 is for a short time. Requests wait on the existing
 * connection; ten more would get the same limit. */
static void a_limit_of_no_streams(void **state)
{
	(void)state;
	for (int opens = 0; opens < 2; opens++) {
		struct h2_fixture *fixture = h2_wire_open(NULL, 0);
		struct late late[5];

		kolk__store_release(&fixture->server.full, true);
		kolk__store_release(&fixture->server.full_us, opens ? 200000 : 0);
		for (int i = 0; i < 5; i++) {
			late[i].fixture = fixture;
			late[i].deadline_ms = opens ? 5000 : 600;
			pthread_create(&late[i].thread, NULL, ask_late, &late[i]);
		}
		for (int i = 0; i < 5; i++) {
			pthread_join(late[i].thread, NULL);
			assert_int_equal(late[i].err, opens ? KOLK_OK : KOLK_E_TIMEOUT);
		}
		assert_int_equal(h2_accepted(fixture), 1);
		h2_wire_close(fixture);
	}
}

/* Cancels beyond the budget of resets: the connection stays, and the answers are discarded. */
static void a_time_out_costs_a_stream_not_the_connection(void **state)
{
	struct h2_fixture *fixture = h2_wire_open(NULL, 0);

	(void)state;
	assert_int_equal(h2_get(fixture, "/ok").err, KOLK_OK);
	for (int i = 0; i < 5; i++) {
		struct result result = h2_ask(fixture, &(struct ask){ .target = "/hold",
								      .deadline_ms = 20 });

		assert_int_equal(result.err, KOLK_E_TIMEOUT);
		assert_true(result.took_ms >= 19);
	}
	assert_true(h2_get(fixture, "/ok").mine);
	assert_int_equal(h2_accepted(fixture), 1);
	/* One whose time was up before it was sent opened no stream. */
	assert_true(kolk__load_acquire(&fixture->server.holds) >= 1);
	assert_int_equal(kolk__load_acquire(&fixture->server.resets),
			 kolk__load_acquire(&fixture->server.holds));
	h2_wire_close(fixture);
}

static void an_upload_that_stalls(void **state)
{
	struct h2_fixture *fixture = h2_wire_open(NULL, 1000);
	struct result result;

	(void)state;
	result = h2_ask(fixture, &(struct ask){ .target = "/sink", .method = "PUT",
						.body_size = 300000 });
	assert_int_equal(result.err, KOLK_OK); /* 1000 bytes at a time */
	assert_int_equal(result.body_size, 6);
	result = h2_ask(fixture, &(struct ask){ .target = "/hold", .idle_ms = 50 });
	assert_int_equal(result.err, KOLK_E_TIMEOUT);
	assert_int_equal(h2_accepted(fixture), 1);
	h2_wire_close(fixture);
}

static void expect_continue(void **state)
{
	struct kolk_http_driver_options options = { .continue_timeout_ns = 2 * KOLK_S_NS };
	struct h2_fixture *fixture = h2_wire_open(&options, 0);
	struct kit_control control;
	struct result result;

	(void)state;
	kit_control_begin(&control);
	result = h2_ask(fixture, &(struct ask){ .target = "/continue", .method = "PUT",
						.body_size = 5000, .expect = true });
	assert_int_equal(result.err, KOLK_OK);
	assert_true(kit_control_end(&control) < 1500);
	result = h2_ask(fixture, &(struct ask){ .target = "/sink", .method = "PUT",
						.body_size = 5000, .expect = true });
	assert_int_equal(result.err, KOLK_OK);
	assert_true(result.took_ms >= 1999); /* without a 100: sent all the same */
	h2_wire_close(fixture);
}

/* ---- back-pressure */

struct reader {
	struct h2_fixture *fixture;
	struct kolk_http_exchange *exchange;
	struct kolk_call call;
	size_t size;
	kolk__atomic_bool paused, done;
	enum kolk_err err;
};

static void reader_body(void *user, struct kolk_http_exchange *exchange, const void *data,
			size_t size)
{
	struct reader *reader = user;

	(void)data;
	if (reader->size == 0) {
		kolk_http_pause(exchange);
		kolk__store_release(&reader->paused, true);
	}
	reader->size += size;
}

static void reader_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		       const struct kolk_http_field *trailers, size_t trailer_count)
{
	struct reader *reader = user;

	(void)exchange, (void)trailers, (void)trailer_count;
	reader->err = err;
	kolk__store_release(&reader->done, true);
}

static void reader_start(struct kolk_call *call, void *user)
{
	static const struct kolk_http_handler handler = {
		.size = (uint32_t)sizeof handler, .body = reader_body, .end = reader_end
	};
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct reader *reader = user;

	(void)call;
	request.target = "/big";
	assert_int_equal(kolk_http_start(reader->fixture->http, kolk_pool_key(reader->fixture->pool),
					 &request, &handler, reader, &reader->exchange),
			 KOLK_PENDING);
}

static void reader_resume(struct kolk_call *call, void *user)
{
	struct reader *reader = user;

	(void)call;
	kolk_http_resume(reader->exchange);
}

/* A caller that does not read: the peer stops at the stream's window, other streams go on. */
static void a_slow_reader_stops_the_peer_not_the_others(void **state)
{
	struct kolk_http_driver_options options = { .stream_window = 100000 };
	struct h2_fixture *fixture = h2_wire_open(&options, 0);
	struct reader reader = { .fixture = fixture };

	(void)state;
	kolk_loop_call(kolk_engine_loop(fixture->engine, 0), &reader.call, reader_start, &reader);
	for (int i = 0; i < 20; i++)
		assert_true(h2_get(fixture, "/ok").mine);
	SOON(kolk__load_acquire(&reader.paused));
	h2_nap_ms(50); /* in which a peer that is not stopped would send more */
	assert_true(!kolk__load_acquire(&reader.done));
	assert_true(kolk__load_acquire(&fixture->server.sent) <= 2 * 100000);
	assert_int_equal(h2_get(fixture, "/big").body_size, H2_BIG); /* another one's */
	kolk_loop_call(kolk_engine_loop(fixture->engine, 0), &reader.call, reader_resume, &reader);
	SOON(kolk__load_acquire(&reader.done));
	assert_int_equal(reader.err, KOLK_OK);
	assert_int_equal(reader.size, H2_BIG);
	assert_int_equal(h2_accepted(fixture), 1);
	h2_wire_close(fixture);
}

/* The server sends back what comes while it comes, and takes no more while that is stuck. */
static void both_ways_at_once(void **state)
{
	struct h2_fixture *fixture = h2_wire_open(NULL, 0);
	struct ask what = { .target = "/echo", .method = "POST", .body_size = 12000000,
			    .deadline_ms = 60000 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct result result = h2_ask(fixture, &what);

		assert_int_equal(result.err, KOLK_OK);
		assert_int_equal(result.body_size, what.body_size);
	}
	assert_int_equal(h2_accepted(fixture), 1);
	h2_wire_close(fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(one_after_the_other),
	cmocka_unit_test(many_threads_on_one_connection),
	cmocka_unit_test(two_loops_share_a_key),
	cmocka_unit_test(a_limit_of_no_streams),
	cmocka_unit_test(a_time_out_costs_a_stream_not_the_connection),
	cmocka_unit_test(an_upload_that_stalls),
	cmocka_unit_test(expect_continue),
	cmocka_unit_test(a_slow_reader_stops_the_peer_not_the_others),
	cmocka_unit_test(both_ways_at_once),
};
CMOCKA_TESTS(h2_wire, tests);
