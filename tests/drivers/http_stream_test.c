/* SPDX-License-Identifier: Apache-2.0 */
/* http_stream_test.c - streams of events, which last for hours: what both sides give back while they
 * are silent, and that nothing of it is missed afterwards. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/drivers/http1_client.h"
#include "tests/drivers/server_wire.h"
#include "tests/kit/tap.h"

#define EVENTS_GET \
	"GET /a?b HTTP/1.1\r\nHost: here:1\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n"

/* ---- the server */

static const struct kolk_http_request_head *head_of(const struct server_wire *wire)
{
	return &wire->exchange->parser.head;
}

static void expect_line(const struct kolk_http_request_head *head)
{
	assert_string_equal(head->method, "GET");
	assert_string_equal(head->target, "/a?b");
	assert_string_equal(head->authority, "here:1");
	assert_string_equal(head->scheme, "http");
}

static void say_event(struct server_wire *wire, const char *text)
{
	wire->pulled = text;
	wire->pulled_size = strlen(text);
	kolk_http_server_more(wire->exchange);
	server_wire_turn(wire);
	assert_non_null(strstr(wire->out, text));
}

static void trim_at_once(struct server_wire *wire)
{
	server_wire_answer_pulled(wire);
	kolk_http_server_trim(wire->exchange);
}

static struct server_wire *wire_open(void (*on_request)(struct server_wire *wire))
{
	struct server_wire *wire = calloc(1, sizeof *wire);

	assert_non_null(wire);
	server_wire_open(wire);
	wire->on_request = on_request;
	return wire;
}

static void wire_close(struct server_wire *wire)
{
	server_wire_close(wire);
	free(wire);
}

/* The fields go, the line stays; events, the end and the next request are as ever. */
static void trim(void (*on_request)(struct server_wire *wire))
{
	struct server_wire *wire = wire_open(on_request);

	server_wire_say(wire, EVENTS_GET);
	kolk_http_server_trim(wire->exchange);
	expect_line(head_of(wire));
	assert_int_equal(head_of(wire)->field_count, 0);
	assert_null(head_of(wire)->fields);
	assert_null(head_of(wire)->upgrade);
	say_event(wire, "data: 1\n\n");
	kolk_http_server_trim(wire->exchange); /* once more: nothing happens */
	expect_line(head_of(wire));
	wire->pull_ends = true;
	say_event(wire, "data: 2\n\n");
	assert_non_null(strstr(wire->log, "request GET /a?b|end|done OK|"));
	wire->pull_ends = false;
	wire->on_request = server_wire_answer_pulled;
	server_wire_say(wire, EVENTS_GET);
	expect_line(head_of(wire));
	assert_int_equal(head_of(wire)->field_count, 3);
	wire_close(wire);
}

static void test_trim(void **state)
{
	(void)state;
	trim(server_wire_answer_pulled);
}

/* From within the handler of the request, whose end is still to be shown. */
static void test_trim_at_once(void **state)
{
	(void)state;
	trim(trim_at_once);
}

/* More of the request is to come: a body, trailers. */
static void test_trim_too_early(void **state)
{
	struct server_wire *wire = wire_open(server_wire_answer_pulled);

	(void)state;
	server_wire_say(wire, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab");
	kolk_http_server_trim(wire->exchange);
	assert_int_equal(head_of(wire)->field_count, 2);
	server_wire_say(wire, "c\r\n0\r\nX-Sum: 1\r\n\r\n");
	assert_non_null(strstr(wire->log, "body ab|body c|endx-sum|"));
	assert_int_equal(head_of(wire)->field_count, 2);
	kolk_http_server_trim(wire->exchange);
	assert_int_equal(head_of(wire)->field_count, 0);
	wire_close(wire);
}

/* ---- the client */

enum { LONG_BYTES = 40000 };

struct listening {
	struct http1_fixture fixture;
	struct ask ask;
	kolk__atomic_u32 received, after_all; /* bytes; 1 = all of the request was sent for good */
	char last;
};

static void say_chunk(struct kit_mock_conn *conn, const char *data, size_t size)
{
	char head[16];

	snprintf(head, sizeof head, "%zx\r\n", size);
	(void)!(kit_mock_say(conn, head) && kit_mock_send(conn, data, size) && kit_mock_say(conn, "\r\n"));
}

/* Silence, then events of any size: one that fits into what a silent stream reads with, others that do
 * not. */
static void mock_events(struct kit_mock_conn *conn, void *user)
{
	static const size_t sizes[] = { 4, 127, 128, 129, 4096, LONG_BYTES, 1 };
	struct listening *listening = user;
	char *text = malloc(LONG_BYTES), request[4096];
	uint32_t sent = 0;

	memset(text, 'e', LONG_BYTES);
	while (http1_head(conn, request, sizeof request)) {
		kit_mock_say(conn, OK11 "Content-Type: text/event-stream\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n");
		for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
			say_chunk(conn, text, sizes[i]);
			sent += (uint32_t)sizes[i];
			if (!WITHIN_MS(10000, kolk__load_acquire(&listening->received) == sent))
				break;
		}
		kit_mock_say(conn, "0\r\n\r\n");
	}
	free(text);
}

static void on_event(void *user, struct kolk_http_exchange *exchange, const void *data, size_t size)
{
	struct ask *ask = user;
	struct listening *listening =
		(struct listening *)(void *)((char *)ask - offsetof(struct listening, ask));

	listening->last = ((const char *)data)[size - 1];
	kolk__store_release(&listening->after_all, kolk_http_sent(exchange));
	kolk__add_acq_rel(&listening->received, (uint32_t)size);
}

static struct listening *listen_begin(kit_mock_fn *mock_fn)
{
	struct listening *listening = calloc(1, sizeof *listening);

	assert_non_null(listening);
	http1_prepare(&listening->fixture);
	http1_open(&listening->fixture, mock_fn, listening);
	return listening;
}

static void listen_once(struct listening *listening, uint64_t deadline_ns)
{
	ask_init(&listening->ask, &listening->fixture.client, "GET", "/events");
	listening->ask.request.deadline_ns = listening->ask.request.idle_timeout_ns = deadline_ns;
	listening->ask.request.replayable = 1;
	listening->ask.handler.body = on_event;
	assert_int_equal(ask_run(&listening->ask), KOLK_OK);
	assert_int_equal(kolk__load_acquire(&listening->ask.ends), 1);
}

static void listen_end(struct listening *listening)
{
	http1_close(&listening->fixture);
	free(listening);
}

static void test_events(void **state)
{
	struct listening *listening = listen_begin(mock_events);

	(void)state;
	for (uint32_t i = 1; i <= 3; i++) { /* the connection is used again */
		listen_once(listening, KOLK_FOREVER);
		assert_int_equal(kolk__load_acquire(&listening->received),
				 i * (4 + 127 + 128 + 129 + 4096 + LONG_BYTES + 1));
		assert_int_equal(kolk__load_acquire(&listening->after_all), 1);
		assert_int_equal(listening->last, 'e');
	}
	assert_int_equal(http_fixture_stats(&listening->fixture.client).created, 1);
	listen_end(listening);
}

static void mock_plain(struct kit_mock_conn *conn, void *user)
{
	char request[4096];

	(void)user;
	while (http1_head(conn, request, sizeof request))
		kit_mock_say(conn, OK11 "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
}

/* Of another answer the request is never said to be given back before its end. */
static void test_no_events(void **state)
{
	struct listening *listening = listen_begin(mock_plain);

	(void)state;
	listen_once(listening, KOLK_FOREVER);
	assert_int_equal(kolk__load_acquire(&listening->received), 3);
	assert_int_equal(kolk__load_acquire(&listening->after_all), 0);
	listen_end(listening);
}

/* Nor of one that has a deadline. */
static void test_deadline(void **state)
{
	struct listening *listening = listen_begin(mock_events);

	(void)state;
	listen_once(listening, kolk_in_ms(60000));
	assert_int_equal(kolk__load_acquire(&listening->after_all), 0);
	listen_end(listening);
}

static void mock_break(struct kit_mock_conn *conn, void *user)
{
	struct listening *listening = user;
	char request[4096];

	if (!http1_head(conn, request, sizeof request))
		return;
	kit_mock_say(conn, OK11 "Content-Type: text/event-stream\r\n"
			   "Transfer-Encoding: chunked\r\n\r\n4\r\n: \n\n\r\n");
	(void)WITHIN_MS(10000, kolk__load_acquire(&listening->received) == 4);
}

/* It breaks off: a request that may be replayed is not, as it was answered. */
static void test_break(void **state)
{
	struct listening *listening = listen_begin(mock_break);

	(void)state;
	ask_init(&listening->ask, &listening->fixture.client, "GET", "/events");
	listening->ask.request.deadline_ns = listening->ask.request.idle_timeout_ns = KOLK_FOREVER;
	listening->ask.request.replayable = 1;
	listening->ask.handler.body = on_event;
	assert_int_equal(ask_run(&listening->ask), KOLK_E_CLOSED);
	assert_false(listening->ask.retried);
	assert_int_equal(kit_mock_counts(listening->fixture.mock).accepted, 1);
	listen_end(listening);
}

static void mock_silence(struct kit_mock_conn *conn, void *user)
{
	char request[4096];

	(void)user;
	if (http1_head(conn, request, sizeof request) &&
	    kit_mock_say(conn, OK11 "Content-Type: text/event-stream\r\n"
				"Transfer-Encoding: chunked\r\n\r\n"))
		kit_mock_drain(conn, 20000);
}

/* Cancelled while it is silent. */
static void test_cancel(void **state)
{
	struct listening *listening = listen_begin(mock_silence);

	(void)state;
	ask_init(&listening->ask, &listening->fixture.client, "GET", "/events");
	listening->ask.request.deadline_ns = listening->ask.request.idle_timeout_ns = KOLK_FOREVER;
	listening->ask.request.cancel_closes = 1;
	listening->ask.handler.body = on_event;
	listening->ask.act = CANCEL_IN_HEAD;
	assert_int_equal(ask_run(&listening->ask), KOLK_E_CANCELLED);
	listen_end(listening);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_trim),      cmocka_unit_test(test_trim_at_once),
	cmocka_unit_test(test_trim_too_early), cmocka_unit_test(test_events),
	cmocka_unit_test(test_no_events), cmocka_unit_test(test_deadline),
	cmocka_unit_test(test_break),     cmocka_unit_test(test_cancel),
};
CMOCKA_TESTS(http_stream, tests);
