/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_h2_test.c - the HTTP/2 side of the HTTP server, without I/O: an honest client over nghttp2,
 * and hostile ones whose frames are written by hand. */
#include "tests/kit/cmocka/run.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/drivers/server_wire.h"
#include "transport/drivers/http_server_h2.h"

enum { STREAMS = 256 };

/* One answer, as the client saw it. */
struct seen {
	uint32_t status, informational, heads, error, closed;
	size_t size;
	char body[4096];   /* its beginning */
	char trailer[64];
};

struct fixture {
	struct server_wire wire;
	nghttp2_session *client;
	size_t taken;      /* of what the server sent */
	struct seen seen[STREAMS];
	const char *body;  /* of the next request */
	size_t body_size, body_at;
	bool body_open;    /* more of it comes later */
	bool goaway;
	uint32_t goaway_code;
};

/* ---- the client */

static struct seen *seen_of(struct fixture *fixture, int32_t id)
{
	assert_true(id / 2 < STREAMS);
	return &fixture->seen[id / 2];
}

static int on_header(nghttp2_session *client, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_size, const uint8_t *value, size_t size, uint8_t flags, void *user)
{
	struct seen *seen = seen_of(user, frame->hd.stream_id);

	(void)client;
	(void)flags;
	if (name_size == 7 && memcmp(name, ":status", 7) == 0) {
		uint32_t status = (uint32_t)strtoul((const char *)value, NULL, 10);

		seen->informational = status < 200 ? status : seen->informational;
		seen->status = status >= 200 ? status : 0;
		seen->heads += status >= 200;
	}
	if (name[0] == 'x')
		snprintf(seen->trailer, sizeof seen->trailer, "%.*s", (int)size,
			 (const char *)value);
	return 0;
}

static int on_data(nghttp2_session *client, uint8_t flags, int32_t id, const uint8_t *data,
		   size_t size, void *user)
{
	struct seen *seen = seen_of(user, id);

	(void)client;
	(void)flags;
	if (seen->size + size < sizeof seen->body)
		memcpy(seen->body + seen->size, data, size);
	seen->size += size;
	return 0;
}

static int on_close(nghttp2_session *client, int32_t id, uint32_t error, void *user)
{
	(void)client;
	seen_of(user, id)->closed++;
	seen_of(user, id)->error = error;
	return 0;
}

static int on_frame(nghttp2_session *client, const nghttp2_frame *frame, void *user)
{
	struct fixture *fixture = user;

	(void)client;
	if (frame->hd.type == NGHTTP2_GOAWAY) {
		fixture->goaway = true;
		fixture->goaway_code = frame->goaway.error_code;
	}
	return 0;
}

static ssize_t on_read(nghttp2_session *client, int32_t id, uint8_t *buffer, size_t capacity,
		       uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct fixture *fixture = user;
	size_t left = fixture->body_size - fixture->body_at;
	size_t size = left < capacity ? left : capacity;

	(void)client;
	(void)id;
	(void)source;
	if (size == 0 && fixture->body_open)
		return NGHTTP2_ERR_DEFERRED;
	memcpy(buffer, fixture->body + fixture->body_at, size);
	fixture->body_at += size;
	if (size == left && !fixture->body_open)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)size;
}

/* What each has for the other, until both are silent. */
static void talk(struct fixture *fixture)
{
	struct server_wire *wire = &fixture->wire;

	for (;;) {
		const uint8_t *data;
		ssize_t size = nghttp2_session_mem_send(fixture->client, &data);

		assert_true(size >= 0);
		if (size > 0)
			server_wire_feed(wire, data, (size_t)size);
		server_wire_turn(wire);
		if (size == 0 && fixture->taken == wire->out_size)
			return;
		assert_true(nghttp2_session_mem_recv(fixture->client,
						     (uint8_t *)wire->out + fixture->taken,
						     wire->out_size - fixture->taken) >= 0);
		fixture->taken = wire->out_size;
	}
}

static void client_begin(struct fixture *fixture)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;

	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_option_new(&option);
	nghttp2_option_set_no_http_messaging(option, 0);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_client_new2(&fixture->client, callbacks, fixture, option);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	nghttp2_submit_settings(fixture->client, NGHTTP2_FLAG_NONE, NULL, 0);
}

struct pair {
	const char *name, *value;
};

static int32_t request(struct fixture *fixture, const struct pair *fields, size_t count)
{
	nghttp2_data_provider body = {.read_callback = on_read};
	nghttp2_nv nv[16];

	for (size_t i = 0; i < count; i++)
		nv[i] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)fields[i].name,
				     .namelen = strlen(fields[i].name),
				     .value = (uint8_t *)(uintptr_t)fields[i].value,
				     .valuelen = strlen(fields[i].value)};
	fixture->body_at = 0;
	return nghttp2_submit_request(fixture->client, NULL, nv, count,
				      fixture->body != NULL ? &body : NULL, NULL);
}

static int32_t ask(struct fixture *fixture, const char *method, const char *path)
{
	const struct pair fields[] = {{":method", method}, {":scheme", "http"},
				      {":authority", "a"}, {":path", path}};

	return request(fixture, fields, 4);
}

/* ---- the callee */

static void answer_hello(struct server_wire *wire)
{
	server_wire_answer(wire, "hello");
}

static void answer_nothing(struct server_wire *wire)
{
	(void)wire;
}

static int open_fixture(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);

	fixture->wire.http2 = true;
	server_wire_open(&fixture->wire);
	fixture->wire.on_request = answer_hello;
	client_begin(fixture);
	*state = fixture;
	return 0;
}

static int close_fixture(void **state)
{
	struct fixture *fixture = *state;

	nghttp2_session_del(fixture->client);
	server_wire_close(&fixture->wire);
	free(fixture);
	return 0;
}

static void again(struct fixture *fixture)
{
	server_wire_again(&fixture->wire);
	nghttp2_session_del(fixture->client);
	fixture->taken = 0;
	fixture->goaway = false;
	fixture->body = NULL;
	fixture->body_open = false;
	memset(fixture->seen, 0, sizeof fixture->seen);
	client_begin(fixture);
}

static void expect_log(const struct fixture *fixture, const char *log)
{
	assert_string_equal(fixture->wire.log, log);
}

/* ---- frames written by hand */

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static void put_frame(uint8_t *at, size_t length, uint8_t type, uint8_t flags, uint32_t stream)
{
	const uint8_t head[9] = {(uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length,
				 type, flags, (uint8_t)(stream >> 24), (uint8_t)(stream >> 16),
				 (uint8_t)(stream >> 8), (uint8_t)stream};

	memcpy(at, head, sizeof head);
}

/* :method GET, :scheme http, :path /, :authority a: a whole head of a request. */
static const uint8_t get_block[] = {0x82, 0x86, 0x84, 0x41, 0x01, 'a'};

static void put_get(uint8_t *at, uint8_t flags, uint32_t stream)
{
	put_frame(at, sizeof get_block, NGHTTP2_HEADERS, flags, stream);
	memcpy(at + 9, get_block, sizeof get_block);
}

enum { GET_SIZE = 9 + sizeof get_block, GET_FLAGS = NGHTTP2_FLAG_END_STREAM };
enum { GET_WHOLE = GET_FLAGS | NGHTTP2_FLAG_END_HEADERS };

/* A client whose frames are written by hand; setting 0 = none. */
static void raw_begin(struct fixture *fixture, uint8_t setting, uint32_t value)
{
	const uint8_t pair[6] = {0, setting, (uint8_t)(value >> 24), (uint8_t)(value >> 16),
				 (uint8_t)(value >> 8), (uint8_t)value};
	uint8_t frame[9 + sizeof pair];

	again(fixture);
	server_wire_say(&fixture->wire, preface);
	put_frame(frame, setting != 0 ? sizeof pair : 0, NGHTTP2_SETTINGS, 0, 0);
	memcpy(frame + 9, pair, sizeof pair);
	server_wire_feed(&fixture->wire, frame, setting != 0 ? sizeof frame : 9);
}

static void raw_get(struct fixture *fixture, uint32_t stream)
{
	uint8_t frame[GET_SIZE];

	put_get(frame, GET_WHOLE, stream);
	server_wire_feed(&fixture->wire, frame, sizeof frame);
}

/* ---- requests and answers */

static void test_get(void **state)
{
	struct fixture *fixture = *state;

	(void)ask(fixture, "GET", "/a?b");
	talk(fixture);
	assert_int_equal(fixture->seen[0].status, 200);
	assert_memory_equal(fixture->seen[0].body, "hello", 6);
	assert_int_equal(fixture->seen[0].error, NGHTTP2_NO_ERROR);
	expect_log(fixture, "request GET /a?b|end|done OK|");
	for (int i = 0; i < 100; i++)
		(void)ask(fixture, "GET", "/");
	talk(fixture);
	for (int i = 1; i <= 100; i++)
		assert_int_equal(fixture->seen[i].size, 5);
	assert_false(fixture->wire.closed || fixture->wire.reset);
}

static void expect_cookie(struct server_wire *wire)
{
	const struct kolk_http_request_head *head = &wire->exchange->parser.head;

	assert_int_equal(head->field_count, 3);
	assert_string_equal(kolk_http_field(head->fields, 3, "cookie"), "a=1; b=2; c=3");
	assert_string_equal(head->fields[2].value, "z");
	server_wire_answer(wire, "hello");
}

static void test_cookies(void **state)
{
	static const struct pair fields[] = {
		{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"},
		{"x", "y"}, {"cookie", "a=1"}, {"cookie", "b=2"}, {"y", "z"}, {"cookie", "c=3"}
	};
	struct fixture *fixture = *state;

	fixture->wire.on_request = expect_cookie;
	(void)request(fixture, fields, 9);
	talk(fixture);
	assert_int_equal(fixture->seen[0].status, 200);
}

/* The preface in pieces. */
static void test_preface_cut(void **state)
{
	struct fixture *fixture = *state;

	for (size_t cut = 1; cut < 60; cut++) {
		const uint8_t *data;
		ssize_t size;

		again(fixture);
		(void)ask(fixture, "GET", "/");
		size = nghttp2_session_mem_send(fixture->client, &data);
		while (size > 0) {
			size_t first = (size_t)size < cut ? (size_t)size : cut;

			server_wire_feed(&fixture->wire, data, first);
			if ((size_t)size > first)
				server_wire_feed(&fixture->wire, data + first, (size_t)size - first);
			size = nghttp2_session_mem_send(fixture->client, &data);
		}
		talk(fixture);
		assert_int_equal(fixture->seen[0].status, 200);
	}
}

static void test_head_and_empty(void **state)
{
	struct fixture *fixture = *state;

	(void)ask(fixture, "HEAD", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[0].status, 200);
	assert_int_equal(fixture->seen[0].size, 0);
	assert_int_equal(fixture->seen[0].closed, 1);
}

static void test_pulled(void **state)
{
	struct fixture *fixture = *state;
	struct server_wire *wire = &fixture->wire;

	wire->on_request = server_wire_answer_pulled;
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[0].heads, 1);
	wire->pulled = "abc";
	wire->pulled_size = 3;
	talk(fixture);
	assert_int_equal(fixture->seen[0].size, 0); /* not before more */
	kolk_http_server_more(wire->exchange);
	talk(fixture);
	assert_memory_equal(fixture->seen[0].body, "abc", 4);
	wire->pull_ends = true;
	kolk_http_server_more(wire->exchange);
	talk(fixture);
	assert_string_equal(fixture->seen[0].trailer, "1");
	assert_int_equal(fixture->seen[0].closed, 1);
	expect_log(fixture, "request GET /|end|done OK|");
}

static void test_pull_fails(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = server_wire_answer_pulled;
	fixture->wire.pull_err = KOLK_E_RESET;
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[0].error, NGHTTP2_INTERNAL_ERROR);
	expect_log(fixture, "request GET /|end|done E_RESET|");
	fixture->wire.on_request = answer_hello; /* the connection goes on */
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[1].size, 5);
}

static void inform_first(struct server_wire *wire)
{
	static const struct kolk_http_field link[] = {{"Link", "</a>; rel=preload"}};

	assert_int_equal(kolk_http_server_inform(wire->exchange, 103, link, 1), KOLK_OK);
	server_wire_answer(wire, "hello");
}

static void test_inform(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = inform_first;
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[0].informational, 103);
	assert_int_equal(fixture->seen[0].status, 200);
}

/* ---- bodies of requests */

static void pause_exchange(struct server_wire *wire)
{
	kolk_http_server_pause(wire->exchange);
}

static void answer_at_end(struct server_wire *wire)
{
	server_wire_answer(wire, "got it");
}

static void test_body(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_nothing;
	fixture->wire.on_body_end = answer_at_end;
	fixture->body = "hello";
	fixture->body_size = 5;
	(void)ask(fixture, "POST", "/");
	talk(fixture);
	expect_log(fixture, "request POST /|body hello|end|done OK|");
	assert_memory_equal(fixture->seen[0].body, "got it", 7);
}

static size_t total;

static void count_body(struct server_wire *wire, const void *data, size_t size)
{
	(void)wire;
	(void)data;
	total += size;
}

/* What is paused holds one window, and the client no more. */
static void test_back_pressure(void **state)
{
	struct fixture *fixture = *state;
	struct server_wire *wire = &fixture->wire;
	size_t size = 900000;
	char *body = malloc(size);

	memset(body, 'x', size);
	total = 0;
	wire->on_request = pause_exchange;
	wire->on_body = count_body;
	wire->on_body_end = answer_at_end;
	fixture->body = body;
	fixture->body_size = size;
	(void)ask(fixture, "POST", "/");
	talk(fixture);
	assert_int_equal(total, 0);
	assert_true(fixture->body_at <= 65536);
	server_wire_wait(wire, 3600 * KOLK_S_NS); /* not the client's time */
	kolk_http_server_resume(wire->exchange);
	talk(fixture);
	assert_int_equal(total, size);
	assert_int_equal(fixture->seen[0].status, 200);
	free(body);
}

static void test_continue(void **state)
{
	static const struct pair fields[] = {{":method", "POST"}, {":scheme", "http"},
					     {":authority", "a"}, {":path", "/"},
					     {"expect", "100-continue"}};
	struct fixture *fixture = *state;

	fixture->wire.on_request = pause_exchange;
	fixture->wire.on_body_end = answer_at_end;
	fixture->body = "";
	fixture->body_size = 0;
	fixture->body_open = true;
	(void)request(fixture, fields, 5);
	talk(fixture);
	assert_int_equal(fixture->seen[0].informational, 0);
	kolk_http_server_resume(fixture->wire.exchange);
	talk(fixture);
	assert_int_equal(fixture->seen[0].informational, 100);
}

/* An answer before the body: the client is told to stop, and the connection goes on. */
static void test_early_answer(void **state)
{
	struct fixture *fixture = *state;

	fixture->body = "x";
	fixture->body_size = 1;
	fixture->body_open = true;
	(void)ask(fixture, "POST", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[0].status, 200);
	assert_int_equal(fixture->seen[0].closed, 1);
	assert_int_equal(fixture->seen[0].error, NGHTTP2_NO_ERROR);
	assert_non_null(strstr(fixture->wire.log, "done OK|"));
	fixture->body = NULL;
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[1].size, 5);
}

static void test_body_limit(void **state)
{
	struct fixture *fixture = *state;
	char body[100];

	memset(body, 'x', sizeof body);
	fixture->wire.options.body_bytes_max = 50;
	fixture->wire.on_request = answer_nothing;
	fixture->body = body;
	fixture->body_size = sizeof body;
	(void)ask(fixture, "POST", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[0].status, 413);
	expect_log(fixture, "request POST /|done E_LIMIT|");
}

static void test_body_timeout(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_nothing;
	fixture->body = "";
	fixture->body_size = 0;
	fixture->body_open = true;
	(void)ask(fixture, "POST", "/");
	talk(fixture);
	server_wire_wait(&fixture->wire, 31 * KOLK_S_NS);
	talk(fixture);
	assert_int_equal(fixture->seen[0].status, 408);
	expect_log(fixture, "request POST /|done E_TIMEOUT|");
}

/* A trailer is no field of the head, as in HTTP/1.1. */
static void test_refused_trailers(void **state)
{
	static const char *const names[] = {"host", "content-length", "expect"};
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_nothing;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		uint8_t frame[64] = {0};
		size_t size = strlen(names[i]);

		raw_begin(fixture, 0, 0);
		put_get(frame, NGHTTP2_FLAG_END_HEADERS, 1);
		server_wire_feed(&fixture->wire, frame, GET_SIZE);
		put_frame(frame, size + 4, NGHTTP2_HEADERS, GET_WHOLE, 1);
		frame[9] = 0; /* literal, not indexed, new name */
		frame[10] = (uint8_t)size;
		memcpy(frame + 11, names[i], size);
		frame[11 + size] = 1;
		frame[12 + size] = '0';
		server_wire_feed(&fixture->wire, frame, 13 + size);
		expect_log(fixture, "request GET /|done E_PROTOCOL|");
	}
}

static void say_data(struct fixture *fixture, const char *data, uint8_t flags)
{
	uint8_t frame[64];
	size_t size = strlen(data);

	put_frame(frame, size, NGHTTP2_DATA, flags, 1);
	memcpy(frame + 9, data, size);
	server_wire_feed(&fixture->wire, frame, 9 + size);
}

/* A head that announces a body of so many bytes, less than ten. */
static void announce(struct fixture *fixture, char digit)
{
	uint8_t frame[GET_SIZE + 18] = {0};

	raw_begin(fixture, 0, 0);
	put_get(frame, NGHTTP2_FLAG_END_HEADERS, 1);
	put_frame(frame, sizeof frame - 9, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1);
	frame[GET_SIZE + 1] = 14; /* literal, not indexed, new name */
	memcpy(frame + GET_SIZE + 2, "content-length", 14);
	frame[GET_SIZE + 16] = 1;
	frame[GET_SIZE + 17] = (uint8_t)digit;
	server_wire_feed(&fixture->wire, frame, sizeof frame);
}

/* A body whose end does not come where it was announced is malformed (RFC 9113, section 8.1.1): its
 * last byte would make a whole request of it for a server behind a proxy. */
static void test_announced_body(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_nothing;
	announce(fixture, '4');
	say_data(fixture, "he", 0);
	say_data(fixture, "ll", 0);
	expect_log(fixture, "request GET /|body he|body l|");
	say_data(fixture, "", NGHTTP2_FLAG_END_STREAM);
	expect_log(fixture, "request GET /|body he|body l|body l|end|");
	announce(fixture, '4');
	say_data(fixture, "hell", 0);
	say_data(fixture, "o", 0);
	expect_log(fixture, "request GET /|body hel|done E_PROTOCOL|");
	announce(fixture, '4');
	say_data(fixture, "hell", NGHTTP2_FLAG_END_STREAM);
	expect_log(fixture, "request GET /|body hell|end|");
	fixture->wire.on_request = pause_exchange;
	announce(fixture, '4');
	say_data(fixture, "hell", 0);
	kolk_http_server_resume(fixture->wire.exchange);
	server_wire_turn(&fixture->wire);
	expect_log(fixture, "request GET /|body hel|");
	say_data(fixture, "", NGHTTP2_FLAG_END_STREAM);
	expect_log(fixture, "request GET /|body hel|body l|end|");
}

static void expect_unknown_size(struct server_wire *wire)
{
	assert_true(wire->exchange->parser.head.body_size == KOLK_HTTP_CHUNKED);
}

static void test_announced_nothing(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = expect_unknown_size;
	announce(fixture, '0');
	say_data(fixture, "h", 0);
	expect_log(fixture, "request GET /|done E_PROTOCOL|");
	announce(fixture, '0');
	say_data(fixture, "", NGHTTP2_FLAG_END_STREAM);
	expect_log(fixture, "request GET /|end|");
}

/* An answer in memory is sent, whatever the body does. */
static void test_answer_then_limit(void **state)
{
	struct fixture *fixture = *state;
	uint8_t frames[GET_SIZE + 9 + 40] = {0};

	fixture->wire.options.body_bytes_max = 20;
	raw_begin(fixture, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 2);
	put_get(frames, NGHTTP2_FLAG_END_HEADERS, 1);
	put_frame(frames + GET_SIZE, 40, NGHTTP2_DATA, 0, 1);
	server_wire_feed(&fixture->wire, frames, sizeof frames);
	expect_log(fixture, "request GET /|");
	memset(frames, 0, 13);
	put_frame(frames, 4, NGHTTP2_WINDOW_UPDATE, 0, 1);
	frames[12] = 3;
	server_wire_feed(&fixture->wire, frames, 13);
	expect_log(fixture, "request GET /|done OK|");
}

/* Over TLS it is ALPN that says so. And nothing but the preface is the preface. */
static void test_preface_else(void **state)
{
	struct fixture *fixture = *state;

	server_wire_say(&fixture->wire, "PRI # HTTP/2.0\r\n\r\n");
	assert_null(fixture->wire.conn.h2);
	server_wire_again(&fixture->wire);
	fixture->wire.conn.tls = true;
	server_wire_say(&fixture->wire, "PRI * HTTP/2.0\r\n\r\n");
	assert_null(fixture->wire.conn.h2);
	assert_int_equal(fixture->wire.refused, 505);
}

/* ---- heads that are refused */

static void expect_refused(struct fixture *fixture, const struct pair *fields, size_t count,
			   uint32_t status)
{
	again(fixture);
	(void)request(fixture, fields, count);
	talk(fixture);
	if (fixture->seen[0].error == NGHTTP2_PROTOCOL_ERROR) /* nghttp2 refused it before us */
		fixture->seen[0].status = fixture->wire.refused = status;
	if (fixture->seen[0].status != status || fixture->wire.refused != status)
		fail_msg("%s: %s: %u", fields[count - 1].name, fields[count - 1].value,
			 fixture->seen[0].status);
	expect_log(fixture, "");
	fixture->wire.on_request = answer_hello;
	(void)ask(fixture, "GET", "/"); /* the connection goes on */
	talk(fixture);
	assert_int_equal(fixture->seen[1].size, 5);
}

#define METHOD(method) {":method", method}, {":scheme", "http"}

static void test_refused_heads(void **state)
{
	static const struct {
		struct pair fields[6];
		size_t count;
		uint32_t status;
	} rows[] = {
		{{METHOD("GET"), {":authority", "a/b"}, {":path", "/"}}, 4, 400},
		{{METHOD("GET"), {":authority", "u@a"}, {":path", "/"}}, 4, 400},
		{{METHOD("GET"), {":authority", "a,b"}, {":path", "/"}}, 4, 400},
		{{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {"host", "b"}}, 5, 400},
		{{METHOD("GET"), {":path", "/"}, {"host", "a b"}}, 4, 400},
		{{METHOD("GET"), {":authority", "a"}, {":path", "/a#b"}}, 4, 400},
		{{METHOD("OPTIONS"), {":authority", "a"}, {":path", "*"}, {"expect", "x"}}, 5, 417},
		{{{":method", "GET"}, {":scheme", "ftp"}, {":authority", "a"}, {":path", "/"}}, 4, 400},
		{{{":method", "CONNECT"}, {":authority", "a:1"}}, 2, 501},
		{{METHOD("POST"), {":authority", "a"}, {":path", "/"}, {"expect", "200-ok"}}, 5, 417},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		expect_refused(fixture, rows[i].fields, rows[i].count, rows[i].status);
}

/* What nghttp2 refuses for us: the callee does not see it. */
static void test_malformed_heads(void **state)
{
	static const struct pair rows[][5] = {
		{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {"x", "a\r\nb: c"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {"x", "a\nb"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "/a\r\n"}, {"x", "y"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {"x y", "z"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {"connection", "close"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {"transfer-encoding", "chunked"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {"te", "gzip"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {":path", "/b"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {":status", "200"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {"content-length", "-1"}},
		{METHOD("GET"), {":authority", "a"}, {":path", ""}, {"x", "y"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "a"}, {"x", "y"}},
		{METHOD("G T"), {":authority", "a"}, {":path", "/"}, {"x", "y"}},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		again(fixture);
		(void)request(fixture, rows[i], 5);
		talk(fixture);
		if (fixture->wire.log[0] != '\0' ||
		    (fixture->seen[0].status != 0 && fixture->seen[0].status < 400))
			fail_msg("row %zu: %s %u", i, fixture->wire.log, fixture->seen[0].status);
	}
}

static void test_large_head(void **state)
{
	struct fixture *fixture = *state;
	char value[3000];
	struct pair fields[16] = {METHOD("GET"), {":authority", "a"}, {":path", "/"}};

	memset(value, 'x', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	for (size_t i = 4; i < 16; i++)
		fields[i] = (struct pair){"x", value};
	expect_refused(fixture, fields, 16, 431);
	fixture->wire.options.fields_max = 8;
	value[10] = '\0';
	expect_refused(fixture, fields, 16, 431);
	fixture->wire.options.target_bytes_max = 64;
	memset(value, '/', 100);
	value[100] = '\0';
	fields[3].value = value;
	expect_refused(fixture, fields, 4, 414);
}

/* ---- ends */

static void test_client_resets(void **state)
{
	struct fixture *fixture = *state;
	int32_t id;

	fixture->wire.on_request = answer_nothing;
	id = ask(fixture, "GET", "/");
	talk(fixture);
	nghttp2_submit_rst_stream(fixture->client, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
	talk(fixture);
	expect_log(fixture, "request GET /|end|done E_RESET|");
	(void)ask(fixture, "GET", "/2");
	talk(fixture);
	server_wire_feed(&fixture->wire, NULL, 0); /* the client goes */
	assert_true(fixture->wire.reset);
	server_wire_end(&fixture->wire, KOLK_OK);
	assert_non_null(strstr(fixture->wire.log, "request GET /2|end|done E_CLOSED|"));
}

static void test_cancel(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_nothing;
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	kolk_http_server_cancel(fixture->wire.exchange);
	expect_log(fixture, "request GET /|end|"); /* from step */
	talk(fixture);
	assert_int_equal(fixture->seen[0].error, NGHTTP2_CANCEL);
	expect_log(fixture, "request GET /|end|done E_CANCELLED|");
	assert_false(fixture->wire.closed || fixture->wire.reset);
}

static void cancel_in_body(struct server_wire *wire, const void *data, size_t size)
{
	(void)data;
	(void)size;
	kolk_http_server_cancel(wire->exchange);
}

/* What comes in the same read is not shown any more. */
static void test_cancel_in_body(void **state)
{
	struct fixture *fixture = *state;
	uint8_t frames[512], *at = frames;

	fixture->wire.on_request = answer_nothing;
	fixture->wire.on_body = cancel_in_body;
	raw_begin(fixture, 0, 0);
	put_get(at, NGHTTP2_FLAG_END_HEADERS, 1);
	at += GET_SIZE;
	for (int i = 0; i < 3; i++, at += 12) {
		put_frame(at, 3, NGHTTP2_DATA, i == 2 ? NGHTTP2_FLAG_END_STREAM : 0, 1);
		memcpy(at + 9, "one", 3);
	}
	server_wire_feed(&fixture->wire, frames, (size_t)(at - frames));
	expect_log(fixture, "request GET /|body one|done E_CANCELLED|");
	assert_false(fixture->wire.closed || fixture->wire.reset);
}

static struct kolk_http_server_exchange *first;
static uint32_t pulls;

/* The first of two streams that pulls cancels both. */
static enum kolk_err pull_and_cancel(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct server_wire *wire = user;

	(void)buffer;
	(void)capacity;
	(void)size;
	pulls++;
	kolk_http_server_cancel(first);
	kolk_http_server_cancel(wire->exchange);
	return KOLK_PENDING;
}

static void answer_and_cancel(struct server_wire *wire)
{
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	answer.status = 200;
	answer.pull = pull_and_cancel;
	answer.pull_size = KOLK_HTTP_CHUNKED;
	first = wire->requests == 1 ? wire->exchange : first;
	assert_int_equal(kolk_http_server_answer(wire->exchange, &answer), KOLK_OK);
}

static void test_cancel_in_pull(void **state)
{
	struct fixture *fixture = *state;
	uint8_t frames[2 * GET_SIZE];

	pulls = 0;
	fixture->wire.on_request = answer_and_cancel;
	raw_begin(fixture, 0, 0);
	put_get(frames, GET_WHOLE, 1);
	put_get(frames + GET_SIZE, GET_WHOLE, 3);
	server_wire_feed(&fixture->wire, frames, sizeof frames);
	assert_int_equal(pulls, 1);
	assert_int_equal(fixture->wire.ends, 2);
}

/* end does not wait for a client that does not read, nor takes the connection's error. */
static void test_cancel_blocked(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_nothing;
	raw_begin(fixture, 0, 0);
	fixture->wire.hold_sends = true;
	raw_get(fixture, 1);
	server_wire_answer(&fixture->wire, "hello");
	server_wire_turn(&fixture->wire); /* in flight */
	raw_get(fixture, 3);
	kolk_http_server_cancel(fixture->wire.exchange);
	server_wire_turn(&fixture->wire);
	assert_non_null(strstr(fixture->wire.log, "done E_CANCELLED|"));
	server_wire_clear(&fixture->wire);
	raw_get(fixture, 5);
	kolk_http_server_cancel(fixture->wire.exchange);
	server_wire_end(&fixture->wire, KOLK_E_RESET);
	assert_non_null(strstr(fixture->wire.log, "done E_CANCELLED|"));
	fixture->wire.hold_sends = false;
}

static void test_server_drain(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_nothing;
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	hs_loop_drain(&fixture->wire.loop);
	talk(fixture);
	assert_true(fixture->goaway && !fixture->wire.closed);
	server_wire_answer(&fixture->wire, "last");
	talk(fixture);
	assert_memory_equal(fixture->seen[0].body, "last", 5);
	assert_true(fixture->wire.closed);
	fixture->wire.loop.draining = false;
}

static void answer_close(struct server_wire *wire)
{
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	answer.status = 200;
	answer.close = 1;
	assert_int_equal(kolk_http_server_answer(wire->exchange, &answer), KOLK_OK);
}

static void test_answer_close(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_close;
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[0].status, 200);
	assert_true(fixture->goaway && fixture->wire.closed);
	assert_int_equal(fixture->goaway_code, NGHTTP2_NO_ERROR);
}

/* The client ends its direction: between requests it went; with one that waits for its answer, too,
 * unless half_close lets it. A request that is not whole has no end. */
static void test_client_ends(void **state)
{
	struct fixture *fixture = *state;
	uint8_t frame[GET_SIZE];

	(void)ask(fixture, "GET", "/");
	talk(fixture);
	server_wire_feed(&fixture->wire, NULL, 0);
	assert_true(fixture->wire.closed && !fixture->wire.reset);

	fixture->wire.options.half_close = 1;
	fixture->wire.on_request = answer_nothing;
	raw_begin(fixture, 0, 0);
	raw_get(fixture, 1);
	server_wire_feed(&fixture->wire, NULL, 0);
	assert_false(fixture->wire.closed || fixture->wire.reset);
	server_wire_answer(&fixture->wire, "hello");
	server_wire_turn(&fixture->wire);
	expect_log(fixture, "request GET /|end|done OK|");
	assert_true(fixture->wire.closed);

	raw_begin(fixture, 0, 0);
	put_get(frame, NGHTTP2_FLAG_END_HEADERS, 1);
	server_wire_feed(&fixture->wire, frame, sizeof frame);
	server_wire_feed(&fixture->wire, NULL, 0);
	expect_log(fixture, "request GET /|done E_CLOSED|");
	assert_true(fixture->wire.closed);
}

static void test_requests_max(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.options.requests_max = 2;
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	assert_false(fixture->goaway);
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[1].size, 5);
	assert_true(fixture->goaway && fixture->wire.closed);
}

static void test_idle(void **state)
{
	struct fixture *fixture = *state;

	(void)ask(fixture, "GET", "/");
	talk(fixture);
	server_wire_wait(&fixture->wire, 61 * KOLK_S_NS);
	talk(fixture);
	assert_true(fixture->goaway && fixture->wire.closed);
	assert_int_equal(fixture->goaway_code, NGHTTP2_NO_ERROR);
}

/* ---- hostile clients */

/* The preface, SETTINGS, and then one frame many times: it ends with ENHANCE_YOUR_CALM, or a reset. */
static void flood(struct fixture *fixture, const uint8_t *frame, size_t size)
{
	uint8_t settings[9];
	uint32_t count = 0;

	again(fixture);
	server_wire_say(&fixture->wire, preface);
	put_frame(settings, 0, NGHTTP2_SETTINGS, 0, 0);
	server_wire_feed(&fixture->wire, settings, sizeof settings);
	for (; count < 20000 && !fixture->wire.closed && !fixture->wire.reset; count++) {
		server_wire_feed(&fixture->wire, frame, size);
		if (fixture->wire.out_size > SERVER_WIRE_TEXT / 2)
			fixture->wire.out_size = 0;
	}
	if (count == 20000)
		fail_msg("type %u is not bounded", frame[3]);
}

static void test_floods(void **state)
{
	struct fixture *fixture = *state;
	uint8_t frame[9 + 64] = {0};

	put_frame(frame, 8, NGHTTP2_PING, 0, 0);
	flood(fixture, frame, 17);
	put_frame(frame, 0, NGHTTP2_SETTINGS, 0, 0);
	flood(fixture, frame, 9);
	memset(frame, 0, sizeof frame);
	put_frame(frame, 5, NGHTTP2_PRIORITY, 0, 1);
	flood(fixture, frame, 14);
	put_frame(frame, 4, NGHTTP2_WINDOW_UPDATE, 0, 0);
	frame[12] = 1;
	flood(fixture, frame, 13);
	put_frame(frame, 10, 0xee, 0, 0); /* of a type that nobody knows */
	flood(fixture, frame, 19);
}

/* HEADERS and RST_STREAM, again and again (CVE-2023-44487): the callee sees no more than the burst. */
static void test_rapid_reset(void **state)
{
	struct fixture *fixture = *state;
	uint32_t count = 0;

	fixture->wire.on_request = answer_nothing;
	fixture->wire.options.resets_max = 1;
	for (; count < 1000 && !fixture->wire.closed; count++) {
		int32_t id = ask(fixture, "GET", "/");
		const uint8_t *data;
		ssize_t size;

		if (id < 0 || id / 2 >= STREAMS)
			break;
		while ((size = nghttp2_session_mem_send(fixture->client, &data)) > 0)
			server_wire_feed(&fixture->wire, data, (size_t)size);
		nghttp2_submit_rst_stream(fixture->client, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
		talk(fixture);
	}
	assert_true(fixture->goaway && fixture->wire.closed);
	assert_int_equal(fixture->goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
	assert_true(count <= 30);
}

/* CVE-2025-8671: the client makes the server reset its streams, here by a window that overflows. */
static void test_made_reset(void **state)
{
	struct fixture *fixture = *state;
	uint8_t window[13] = {0};
	uint32_t count = 0;

	fixture->wire.on_request = answer_nothing;
	fixture->wire.options.resets_max = 1;
	raw_begin(fixture, 0, 0);
	for (; count < 400 && !fixture->wire.closed; count++) {
		raw_get(fixture, 1 + 2 * count);
		put_frame(window, 4, NGHTTP2_WINDOW_UPDATE, 0, 1 + 2 * count);
		memcpy(window + 9, "\x7f\xff\xff\xff", 4);
		server_wire_feed(&fixture->wire, window, sizeof window);
	}
	assert_true(fixture->wire.closed && count <= 30);
}

/* A callee that cancels is no client that floods. */
static void test_many_cancels(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_nothing;
	fixture->wire.options.resets_max = 1;
	raw_begin(fixture, 0, 0);
	for (uint32_t i = 0; i < 100; i++) {
		raw_get(fixture, 1 + 2 * i);
		kolk_http_server_cancel(fixture->wire.exchange);
		server_wire_turn(&fixture->wire);
	}
	assert_false(fixture->wire.closed || fixture->wire.reset);
}

/* Heads on a stream that has ended: nghttp2 drops them. */
static void test_late_heads(void **state)
{
	struct fixture *fixture = *state;
	uint32_t count = 0;

	raw_begin(fixture, 0, 0);
	raw_get(fixture, 1);
	for (; count < 20000 && !fixture->wire.closed && !fixture->wire.reset; count++)
		raw_get(fixture, 1);
	assert_true(count < 2000);
}

/* Streams beyond streams_max, of a client that does not read: what waits for it is bounded. */
static void test_unread(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_nothing;
	fixture->wire.options.resets_max = 1000000;
	raw_begin(fixture, 0, 0);
	fixture->wire.hold_sends = true;
	for (uint32_t i = 0; i < 20000; i++)
		raw_get(fixture, 1 + 2 * i);
	assert_true(nghttp2_session_get_outbound_queue_size(fixture->wire.conn.h2->ng) < 2000);
}

/* CVE-2024-27316: a head without an end. */
static void test_continuation_flood(void **state)
{
	struct fixture *fixture = *state;
	uint8_t head[10] = {0}, frame[9 + 4] = {0};
	uint32_t count = 0;

	again(fixture);
	server_wire_say(&fixture->wire, preface);
	put_frame(head, 0, NGHTTP2_SETTINGS, 0, 0);
	server_wire_feed(&fixture->wire, head, 9);
	put_frame(head, 1, NGHTTP2_HEADERS, 0, 1);
	head[9] = 0x82; /* :method GET */
	server_wire_feed(&fixture->wire, head, 10);
	put_frame(frame, 0, NGHTTP2_CONTINUATION, 0, 1);
	for (; count < 1000 && !fixture->wire.closed && !fixture->wire.reset; count++)
		server_wire_feed(&fixture->wire, frame, 9);
	assert_true(count <= 12);
	expect_log(fixture, "");
}

/* The first head of a connection, or a later one, stops: before its last byte, or before
 * CONTINUATION. PING between is no progress. */
static void expect_slow_head(struct fixture *fixture, uint32_t requests, size_t size, uint8_t flags)
{
	uint8_t frame[GET_SIZE];

	raw_begin(fixture, 0, 0);
	for (uint32_t i = 0; i < requests; i++)
		raw_get(fixture, 1 + 2 * i);
	put_get(frame, flags, 1 + 2 * requests);
	server_wire_feed(&fixture->wire, frame, size);
	server_wire_wait(&fixture->wire, 9 * KOLK_S_NS);
	assert_false(fixture->wire.closed || fixture->wire.reset);
	server_wire_wait(&fixture->wire, 2 * KOLK_S_NS);
	if (!fixture->wire.closed && !fixture->wire.reset)
		fail_msg("%u requests, %zu bytes, flags %u", requests, size, flags);
}

static void test_slow_head(void **state)
{
	struct fixture *fixture = *state;

	for (uint32_t requests = 0; requests < 2; requests++)
		for (size_t size = 10; size <= GET_SIZE; size++)
			expect_slow_head(fixture, requests, size,
					 size == GET_SIZE ? GET_FLAGS : GET_WHOLE);
}

/* A connection on which each read ends in the middle of another head is not slow. */
static void test_heads_cut(void **state)
{
	struct fixture *fixture = *state;
	uint8_t frames[2 * GET_SIZE];

	raw_begin(fixture, 0, 0);
	raw_get(fixture, 1);
	put_get(frames, GET_WHOLE, 3);
	server_wire_feed(&fixture->wire, frames, 12);
	for (uint32_t id = 3; id < 43; id += 2) {
		put_get(frames, GET_WHOLE, id);
		put_get(frames + GET_SIZE, GET_WHOLE, id + 2);
		server_wire_wait(&fixture->wire, 4 * KOLK_S_NS);
		server_wire_feed(&fixture->wire, frames + 12, GET_SIZE);
	}
	assert_false(fixture->wire.closed || fixture->wire.reset);
	assert_int_equal(fixture->wire.ends, 21);
}

/* A window of 0: the answer is not taken. (PING between is no progress.) */
static void expect_stalled(struct fixture *fixture, void (*answer)(struct server_wire *wire))
{
	uint8_t ping[17] = {0};

	fixture->wire.on_request = answer;
	raw_begin(fixture, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
	raw_get(fixture, 1);
	put_frame(ping, 8, NGHTTP2_PING, 0, 0);
	for (int i = 0; i < 7; i++) {
		expect_log(fixture, "request GET /|end|");
		server_wire_feed(&fixture->wire, ping, sizeof ping);
		server_wire_wait(&fixture->wire, 4 * KOLK_S_NS);
	}
	expect_log(fixture, "request GET /|end|");
	server_wire_wait(&fixture->wire, 5 * KOLK_S_NS);
	expect_log(fixture, "request GET /|end|done E_TIMEOUT|");
	assert_false(fixture->wire.closed || fixture->wire.reset);
}

static void test_stalled_answer(void **state)
{
	struct fixture *fixture = *state;

	expect_stalled(fixture, answer_hello);
	fixture->wire.pulled = "abc";
	fixture->wire.pulled_size = 3;
	expect_stalled(fixture, server_wire_answer_pulled);
}

/* Not so what the callee, or the wire, holds up; and a client that takes a byte at a time. */
static void test_slow_answer(void **state)
{
	struct fixture *fixture = *state;
	uint8_t window[13] = {0};

	fixture->wire.on_request = server_wire_answer_pulled;
	raw_begin(fixture, 0, 0);
	raw_get(fixture, 1);
	server_wire_wait(&fixture->wire, 3600 * KOLK_S_NS);
	expect_log(fixture, "request GET /|end|");
	fixture->wire.on_request = answer_hello;
	raw_begin(fixture, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
	raw_get(fixture, 1);
	put_frame(window, 4, NGHTTP2_WINDOW_UPDATE, 0, 1);
	window[12] = 1;
	for (int i = 0; i < 4; i++) {
		server_wire_wait(&fixture->wire, 25 * KOLK_S_NS);
		expect_log(fixture, "request GET /|end|");
		server_wire_feed(&fixture->wire, window, sizeof window);
	}
	server_wire_feed(&fixture->wire, window, sizeof window);
	expect_log(fixture, "request GET /|end|done OK|");
}

/* Another stream, or half heads, do not keep a body waiting that does not come. */
static void test_body_timeout_busy(void **state)
{
	struct fixture *fixture = *state;
	uint8_t frame[GET_SIZE];

	fixture->wire.on_request = answer_nothing;
	raw_begin(fixture, 0, 0);
	put_get(frame, NGHTTP2_FLAG_END_HEADERS, 1);
	server_wire_feed(&fixture->wire, frame, sizeof frame);
	fixture->wire.on_request = answer_hello;
	for (uint32_t id = 3; id < 43; id += 2) {
		put_get(frame, GET_WHOLE, id);
		server_wire_feed(&fixture->wire, frame, 12);
		server_wire_wait(&fixture->wire, 2 * KOLK_S_NS);
		server_wire_feed(&fixture->wire, frame + 12, sizeof frame - 12);
		server_wire_wait(&fixture->wire, 2 * KOLK_S_NS);
	}
	assert_non_null(strstr(fixture->wire.log, "done E_TIMEOUT|"));
}

/* Random bytes behind the preface, and cut frames: nothing but an end. */
static void test_garbage(void **state)
{
	struct fixture *fixture = *state;
	uint8_t bytes[300];
	uint64_t seed = 88172645463325252u;

	for (int round = 0; round < 2000; round++) {
		size_t size;

		for (size_t i = 0; i < sizeof bytes; i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			bytes[i] = (uint8_t)(seed >> 32);
		}
		size = bytes[0];
		if (round % 2 == 0) /* a frame that looks right */
			put_frame(bytes, bytes[0] % 64, bytes[3] % 11, bytes[4], bytes[8] % 4);
		again(fixture);
		server_wire_say(&fixture->wire, preface);
		if (size > 0)
			server_wire_feed(&fixture->wire, bytes, size);
		server_wire_end(&fixture->wire, KOLK_E_RESET);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

static const struct CMUnitTest tests[] = {
	TEST(test_announced_body), TEST(test_announced_nothing),
	TEST(test_get),		  TEST(test_cookies),	   TEST(test_preface_cut),  TEST(test_head_and_empty),
	TEST(test_pulled),	  TEST(test_pull_fails),   TEST(test_inform),
	TEST(test_body),	  TEST(test_back_pressure), TEST(test_continue),
	TEST(test_early_answer),  TEST(test_body_limit),   TEST(test_body_timeout),
	TEST(test_refused_heads), TEST(test_malformed_heads), TEST(test_large_head),
	TEST(test_client_resets), TEST(test_cancel),	   TEST(test_server_drain),
	TEST(test_requests_max),  TEST(test_idle),	   TEST(test_floods),
	TEST(test_rapid_reset),	  TEST(test_continuation_flood), TEST(test_slow_head),
	TEST(test_heads_cut),	  TEST(test_stalled_answer), TEST(test_slow_answer),
	TEST(test_body_timeout_busy), TEST(test_made_reset), TEST(test_many_cancels),
	TEST(test_late_heads),	  TEST(test_unread),	   TEST(test_cancel_in_body),
	TEST(test_cancel_in_pull), TEST(test_cancel_blocked), TEST(test_answer_close),
	TEST(test_client_ends),	  TEST(test_refused_trailers), TEST(test_answer_then_limit),
	TEST(test_preface_else),
	TEST(test_garbage),
};
CMOCKA_TESTS(http_server_h2, tests);
