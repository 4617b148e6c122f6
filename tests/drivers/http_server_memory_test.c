/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_memory_test.c - what a request allocates; and memory runs out at each allocation of an
 * exchange, one after the other: each request that the callee saw ends, and nothing leaks or is used
 * again. (The program is linked with --wrap=malloc and its like; nghttp2 allocates by itself.) */
#include "tests/kit/cmocka/run.h"

#include <stdlib.h>
#include <string.h>

#include "tests/drivers/served.h"
#include "tests/drivers/server_wire.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

kolk__atomic_u64 allocations; /* of all threads */

/* Of this thread: how many allocations succeed before the one that fails; -1 = all. */
static __thread long left = -1;

static bool fails(void)
{
	kolk__add_relaxed(&allocations, 1);
	return left >= 0 && left-- == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

static void answer(struct server_wire *wire)
{
	static const struct kolk_http_field fields[] = {{"X-A", "b"}};
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	answer.status = 200;
	answer.fields = answer.trailers = fields;
	answer.field_count = answer.trailer_count = 1;
	answer.pull = server_wire_pull;
	answer.pull_size = KOLK_HTTP_CHUNKED;
	if (kolk_http_server_answer(wire->exchange, &answer) != KOLK_OK)
		kolk_http_server_cancel(wire->exchange);
}

static const char http1[] =
	"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
	"3\r\nabc\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET /bad\r\n\r\n";

/* SETTINGS; a POST with a body; a GET. */
static const char http2[] =
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
	"\0\0\21\1\4\0\0\0\1\x83\x86\x84\0\12:authority\1a"
	"\0\0\2\0\1\0\0\0\1hi"
	"\0\0\21\1\5\0\0\0\3\x82\x86\x84\0\12:authority\1a";

/* Whether an allocation failed: the n-th from when the client speaks. */
static bool run(const char *bytes, size_t size, long n)
{
	struct server_wire *wire = calloc(1, sizeof *wire);
	char *body = calloc(1, 40000);
	bool failed;

	wire->http2 = true;
	server_wire_open(wire);
	wire->on_request = answer;
	wire->pulled = body;
	wire->pulled_size = 40000;
	wire->pull_ends = true;
	left = n;
	for (size_t at = 0; at < size && !wire->closed && !wire->reset; at += 20) {
		hs_conn_data(&wire->conn, bytes + at, size - at < 20 ? size - at : 20);
		server_wire_turn(wire);
	}
	failed = left < 0;
	left = -1;
	server_wire_end(wire, KOLK_E_RESET);
	assert_int_equal(wire->requests, wire->ends);
	server_wire_close(wire);
	free(wire);
	free(body);
	return failed;
}

static void test_each_allocation(void **state)
{
	long first = 0, second = 0;

	(void)state;
	while (run(http1, sizeof http1 - 1, first))
		first++;
	while (run(http2, sizeof http2 - 1, second))
		second++;
	assert_true(first >= 5 && second >= 5); /* some were there to fail */
}

static void answer_text(struct server_wire *wire)
{
	server_wire_answer(wire, "hello");
}

/* Streams of a connection, one after the other: nghttp2's memory is the loop's, and stays there. */
static void test_streams_allocate_nothing(void **state)
{
	char request[] = "\0\0\21\1\5\0\0\0\0\x82\x86\x84\0\12:authority\1a";
	struct server_wire *wire = calloc(1, sizeof *wire);
	uint64_t before = 0;

	(void)state;
	wire->http2 = true;
	server_wire_open(wire);
	wire->on_request = answer_text;
	server_wire_feed(wire, http2, 24 + 9); /* the preface and SETTINGS */
	for (int i = 0; i < 100; i++) {
		if (i == 50)
			before = kolk__load_relaxed(&allocations);
		request[7] = (char)((2 * i + 1) >> 8);
		request[8] = (char)(2 * i + 1);
		server_wire_clear(wire);
		hs_conn_data(&wire->conn, request, sizeof request - 1);
		server_wire_turn(wire);
	}
	assert_int_equal(wire->ends, 100);
	assert_int_equal(kolk__load_relaxed(&allocations), before);
	server_wire_close(wire);
	free(wire);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_streams_allocate_nothing),
	cmocka_unit_test(test_each_allocation),
};
CMOCKA_TESTS(http_server_memory, tests);
