/* SPDX-License-Identifier: Apache-2.0 */
/* h2_end_test.c - how an HTTP/2 connection ends: by a flood, while it is idle, by its pool or
 * client, and what becomes of the streams on it. */
#define _GNU_SOURCE /* memmem */
#include <pthread.h>
#include <string.h>

#include "tests/kit/cmocka/run.h"
#include "tests/drivers/h2_wire.h"

static void a_flood_ends_the_connection(void **state)
{
	struct h2_fixture *fixture = h2_wire_open(NULL, 0);

	(void)state;
	assert_int_equal(h2_get(fixture, "/flood").err, KOLK_E_FLOOD);
	assert_int_equal(h2_get(fixture, "/ok").err, KOLK_OK);
	assert_int_equal(h2_accepted(fixture), 2);
	h2_wire_close(fixture);
}

/* The connection that a request ends: counted once, as what it was. */
static void expect_reason(const char *target, enum kolk_err err, enum kolk_reason reason,
			  bool result)
{
	struct kolk_http_driver_options options = { .ping_interval_ns = 30 * KOLK_MS_NS,
						    .ping_timeout_ns = 300 * KOLK_MS_NS,
						    .requests_max = 2 };
	struct h2_fixture *fixture = h2_wire_open(&options, 0);
	struct result end = h2_get(fixture, target);

	if (end.err != err)
		fail_msg("%s: %s", target, kolk_err_name(end.err));
	if (reason == KOLK_REASON_USES)
		assert_int_equal(h2_get(fixture, target).err, KOLK_OK);
	SOON(h2_ended(fixture, reason) == 1);
	assert_int_equal(h2_ended(fixture, KOLK_REASON_DISCARDED), 0);
	assert_int_equal(h2_ended(fixture, KOLK_REASON_DIRTY), 0);
	if (result)
		SOON(kolk__load_acquire(&fixture->server.goaways) == 1);
	h2_wire_close(fixture);
}

static void *ask_and_give_up(void *arg)
{
	struct ask what = { .target = "/hold", .deadline_ms = 1000 };

	assert_int_equal(h2_ask(arg, &what).err, KOLK_E_TIMEOUT);
	return NULL;
}

static void what_the_pool_wills_is_named_so(void **state)
{
	struct h2_fixture *fixture = h2_wire_open(NULL, 0);
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, ask_and_give_up, fixture);
	SOON(kolk__load_acquire(&fixture->server.holds) == 1);
	assert_int_equal(kolk_pool_rotate(fixture->pool), 1);
	pthread_join(thread, NULL);
	SOON(h2_ended(fixture, KOLK_REASON_ROTATED) == 1);
	assert_int_equal(h2_ended(fixture, KOLK_REASON_DISCARDED), 0);
	h2_wire_close(fixture);
}

static void what_ends_a_connection_is_named(void **state)
{
	(void)state;
	expect_reason("/flood", KOLK_E_FLOOD, KOLK_REASON_FLOOD, false);
	expect_reason("/push", KOLK_E_PROTOCOL, KOLK_REASON_PROTOCOL, true);
	expect_reason("/even", KOLK_E_PROTOCOL, KOLK_REASON_PROTOCOL, true);
	expect_reason("/die", KOLK_E_RESET, KOLK_REASON_PEER_RESET, false);
	expect_reason("/mute", KOLK_E_CLOSED, KOLK_REASON_PING_TIMEOUT, false);
	expect_reason("/goaway", KOLK_OK, KOLK_REASON_PEER_CLOSED, false);
	expect_reason("/ok", KOLK_OK, KOLK_REASON_USES, false);
}

/* ---- while it is idle */

static void ping(struct kit_mock_conn *conn, void *user)
{
	struct h2_server *server = user;

	kolk__store_release(&server->greet, NULL);
	kit_mock_wait(conn, 50000);
	kit_mock_send(conn, "\0\0\10\6\0\0\0\0\0" "abcdefgh", 17);
}

static void the_peer_speaks_while_it_is_idle(void **state)
{
	struct h2_fixture *fixture = h2_wire_open(NULL, 0);

	(void)state;
	kolk__store_release(&fixture->server.greet, ping);
	assert_int_equal(h2_get(fixture, "/ok").err, KOLK_OK);
	SOON(kolk__load_acquire(&fixture->server.pongs) == 1);
	assert_true(h2_get(fixture, "/ok").mine);
	assert_int_equal(h2_accepted(fixture), 1);
	h2_wire_close(fixture);
}

static void goaway(struct kit_mock_conn *conn, void *user)
{
	struct h2_server *server = user;

	kolk__store_release(&server->greet, NULL);
	kit_mock_wait(conn, 50000);
	kit_mock_send(conn, "\0\0\10\7\0\0\0\0\0" "\0\0\0\1\0\0\0\0", 17);
}

static void the_peer_leaves_while_it_is_idle(void **state)
{
	struct h2_fixture *fixture = h2_wire_open_pinging(NULL, 0, KOLK_FOREVER);

	(void)state;
	kolk__store_release(&fixture->server.greet, goaway);
	assert_int_equal(h2_get(fixture, "/ok").err, KOLK_OK);
	SOON(kit_mock_counts(fixture->mock).open == 0);
	SOON(h2_ended(fixture, KOLK_REASON_PEER_CLOSED) == 1); /* it said so, in good order */
	assert_true(h2_get(fixture, "/ok").mine);
	assert_int_equal(h2_accepted(fixture), 2);
	h2_wire_close(fixture);
}

/* Reads up to the pool's ping, which it does not answer. */
static void goaway_for_a_ping(struct kit_mock_conn *conn, void *user)
{
	static const char ping_head[] = { 0, 0, 8, 6, 0 };
	struct h2_server *server = user;
	uint8_t in[4096];
	size_t size;

	kolk__store_release(&server->greet, NULL);
	do
		size = kit_mock_read_some(conn, in, sizeof in, 60000);
	while (size > 0 && memmem(in, size, ping_head, sizeof ping_head) == NULL);
	goaway(conn, user);
}

static void the_peer_leaves_while_it_is_pinged(void **state)
{
	struct h2_fixture *fixture = h2_wire_open(NULL, 0);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	(void)state;
	kolk__store_release(&fixture->server.greet, goaway_for_a_ping);
	assert_int_equal(h2_get(fixture, "/ok").err, KOLK_OK);
	SOON(h2_ended(fixture, KOLK_REASON_PEER_CLOSED) == 1);
	assert_int_equal(h2_ended(fixture, KOLK_REASON_PING_FAILED), 0);
	assert_int_equal(kolk_pool_stats(fixture->pool, &stats), KOLK_OK);
	assert_int_equal(stats.stale_discarded, 1);
	assert_int_equal(stats.pings_failed, 0);
	h2_wire_close(fixture);
}

static void the_pool_pings(void **state)
{
	struct h2_fixture *fixture = h2_wire_open(NULL, 0);

	(void)state;
	assert_int_equal(h2_get(fixture, "/ok").err, KOLK_OK);
	SOON(kolk__load_acquire(&fixture->server.pings) >= 3); /* ping_interval_ns is 50 ms */
	assert_true(h2_get(fixture, "/ok").mine);
	assert_int_equal(h2_accepted(fixture), 1);
	h2_wire_close(fixture);
}

/* It answers PINGs, and has nothing else to say: servers of gRPC end a connection at the fourth. */
static void a_silent_stream_is_pinged_thrice(void **state)
{
	struct kolk_http_driver_options options = { .ping_interval_ns = 30 * KOLK_MS_NS };
	struct h2_fixture *fixture = h2_wire_open_pinging(&options, 0, KOLK_FOREVER);

	(void)state;
	for (uint32_t i = 1; i <= 2; i++) { /* the end of the second answer: it has spoken */
		assert_int_equal(h2_ask(fixture, &(struct ask){ .target = "/hold",
								.deadline_ms = 1000 }).err,
				 KOLK_E_TIMEOUT);
		assert_int_equal(kolk__load_acquire(&fixture->server.pings), 3 * i);
		assert_true(h2_get(fixture, "/ok").mine);
	}
	assert_int_equal(h2_accepted(fixture), 1);
	h2_wire_close(fixture);
}

/* The peer stops reading in the middle of an upload: the connection does not outlive it
 * (CVE-2024-22201), though not even the PING can be sent. */
static void a_peer_that_does_not_read(void **state)
{
	struct kolk_http_driver_options options = { .ping_interval_ns = 200 * KOLK_MS_NS,
						    .ping_timeout_ns = 200 * KOLK_MS_NS };
	struct h2_fixture *fixture = h2_wire_open(&options, 1 << 30);
	struct result result = h2_ask(fixture, &(struct ask){ .target = "/deaf", .method = "PUT",
							      .body_size = 60000000 });

	(void)state;
	assert_int_equal(result.err, KOLK_E_CLOSED);
	assert_true(result.took_ms >= 390);
	assert_int_equal(result.executions, 0);
	assert_true(h2_get(fixture, "/ok").mine);
	assert_int_equal(h2_accepted(fixture), 2);
	h2_wire_close(fixture);
}

/* ---- the end */

static void a_close_sends_goaway(void **state)
{
	struct h2_fixture *fixture = h2_wire_open(NULL, 0);

	(void)state;
	assert_int_equal(h2_get(fixture, "/ok").err, KOLK_OK);
	SOON(kolk_key_has_idle(kolk_pool_key(fixture->pool)));
	assert_int_equal(kolk_pool_clear(fixture->pool), 1);
	SOON(kolk__load_acquire(&fixture->server.goaways) == 1);
	h2_wire_close(fixture);
}

static void *ask_hold(void *arg)
{
	struct result result = h2_get(arg, "/hold");

	assert_int_equal(result.err, KOLK_E_CANCELLED);
	return NULL;
}

static void closed_with_streams_open(void **state)
{
	struct h2_fixture *fixture = h2_wire_open(NULL, 0);
	pthread_t thread[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		pthread_create(&thread[i], NULL, ask_hold, fixture);
	SOON(kolk__load_acquire(&fixture->server.holds) == 8);
	assert_int_equal(kolk_http_close(fixture->http, NULL, NULL), KOLK_OK);
	for (int i = 0; i < 8; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(kolk_http_open(kolk_engine_loop(fixture->engine, 0), NULL, &fixture->http),
			 KOLK_OK);
	h2_wire_close(fixture);
}

static void *ask_hold_revoked(void *arg)
{
	assert_int_equal(h2_get(arg, "/hold").err, KOLK_E_REVOKED);
	return NULL;
}

/* Credentials or settings are replaced while streams are open: those go on, no other joins them. */
static void no_stream_joins_a_stale_connection(void **state)
{
	struct h2_fixture *fixture = h2_wire_open(NULL, 0);
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, ask_hold, fixture);
	SOON(kolk__load_acquire(&fixture->server.holds) == 1);
	assert_true(h2_get(fixture, "/ok").mine);
	assert_int_equal(h2_accepted(fixture), 1);
	assert_int_equal(kolk_pool_rotate(fixture->pool), 1);
	for (int i = 0; i < 5; i++)
		assert_true(h2_get(fixture, "/ok").mine);
	assert_int_equal(h2_accepted(fixture), 2);
	assert_int_equal(kit_mock_counts(fixture->mock).open, 2);
	assert_int_equal(kolk_http_close(fixture->http, NULL, NULL), KOLK_OK);
	pthread_join(thread, NULL);
	assert_int_equal(kolk_http_open(kolk_engine_loop(fixture->engine, 0), NULL, &fixture->http),
			 KOLK_OK);
	h2_wire_close(fixture);
}

/* The pool is drained under them: at its deadline the lease is revoked, and every caller is
 * told so. */
static void drained_with_streams_open(void **state)
{
	struct h2_fixture *fixture = h2_wire_open(NULL, 0);
	pthread_t thread[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		pthread_create(&thread[i], NULL, ask_hold_revoked, fixture);
	SOON(kolk__load_acquire(&fixture->server.holds) == 8);
	assert_int_equal(kolk_pool_drain(fixture->pool, kolk_in_ms(100)), KOLK_OK);
	for (int i = 0; i < 8; i++)
		pthread_join(thread[i], NULL);
	SOON(kolk_pool_is_closed(fixture->pool));
	h2_wire_close(fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_flood_ends_the_connection),
	cmocka_unit_test(what_ends_a_connection_is_named),
	cmocka_unit_test(what_the_pool_wills_is_named_so),
	cmocka_unit_test(the_peer_speaks_while_it_is_idle),
	cmocka_unit_test(the_peer_leaves_while_it_is_idle),
	cmocka_unit_test(the_peer_leaves_while_it_is_pinged),
	cmocka_unit_test(the_pool_pings),
	cmocka_unit_test(a_silent_stream_is_pinged_thrice),
	cmocka_unit_test(a_peer_that_does_not_read),
	cmocka_unit_test(a_close_sends_goaway),
	cmocka_unit_test(closed_with_streams_open),
	cmocka_unit_test(no_stream_joins_a_stale_connection),
	cmocka_unit_test(drained_with_streams_open),
};
CMOCKA_TESTS(h2_end, tests);
