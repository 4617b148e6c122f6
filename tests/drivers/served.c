/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/drivers/served.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/kit/cmocka/run.h"

enum { QUEUE_MAX = 65536 };

/* ---- the callee */

struct call {
	struct served *served;
	struct kolk_http_server_exchange *exchange;
	uint64_t left, at; /* of GET /bytes/N */
	char *queue;       /* of echoes */
	size_t size, capacity;
	bool ended;
};

char served_byte(uint64_t at)
{
	return (char)('a' + at % 23);
}

static enum kolk_err pull_bytes(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct call *call = user;

	*size = call->left < capacity ? (size_t)call->left : capacity;
	for (size_t i = 0; i < *size; i++)
		((char *)buffer)[i] = served_byte(call->at++);
	call->left -= *size;
	kolk__add_relaxed(&call->served->pulled, *size);
	return KOLK_OK;
}

static enum kolk_err pull_echo(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct call *call = user;

	if (call->size == 0)
		return call->ended ? KOLK_OK : KOLK_PENDING;
	*size = call->size < capacity ? call->size : capacity;
	memcpy(buffer, call->queue, *size);
	call->size -= *size;
	memmove(call->queue, call->queue + *size, call->size);
	if (call->size < QUEUE_MAX)
		kolk_http_server_resume(call->exchange);
	return KOLK_OK;
}

static void give_answer(struct call *call, const struct kolk_http_request_head *head)
{
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	answer.status = 200;
	if (strncmp(head->target, "/bytes/", 7) == 0) {
		call->left = strtoull(head->target + 7, NULL, 10);
		answer.pull = pull_bytes;
		answer.pull_size = call->left;
	} else if (strcmp(head->target, "/echo") == 0) {
		answer.pull = pull_echo;
		answer.pull_size = KOLK_HTTP_CHUNKED;
	} else if (strcmp(head->target, "/upgrade") == 0 && head->upgrade != NULL) {
		answer.status = 101;
		answer.upgrade = head->upgrade;
		answer.pull = pull_echo;
		answer.pull_size = KOLK_HTTP_CHUNKED;
	} else {
		answer.body = "hello";
		answer.body_size = 5;
	}
	assert_int_equal(kolk_http_server_answer(call->exchange, &answer), KOLK_OK);
}

static void *on_request(void *user, struct kolk_http_server_exchange *exchange,
			const struct kolk_http_request_head *head)
{
	struct served *served = user;
	struct call *call = calloc(1, sizeof *call);

	call->served = served;
	call->exchange = exchange;
	if (strcmp(head->target, "/hold") != 0) {
		give_answer(call, head);
	} else {
		served->held = exchange;
		kolk__store_release(&served->holding, true);
	}
	kolk__add_acq_rel(&served->requests, 1);
	return call;
}

static void on_body(void *user, struct kolk_http_server_exchange *exchange, const void *data,
		    size_t size)
{
	struct call *call = user;

	if (call->size + size > call->capacity) {
		call->capacity = call->size + size;
		call->queue = realloc(call->queue, call->capacity);
	}
	memcpy(call->queue + call->size, data, size);
	call->size += size;
	if (call->size >= QUEUE_MAX)
		kolk_http_server_pause(exchange);
	kolk_http_server_more(exchange);
}

static void on_body_end(void *user, struct kolk_http_server_exchange *exchange,
			const struct kolk_http_field *trailers, size_t count)
{
	struct call *call = user;

	(void)trailers;
	(void)count;
	call->ended = true;
	kolk_http_server_more(exchange);
}

static void on_end(void *user, struct kolk_http_server_exchange *exchange, enum kolk_err err)
{
	struct call *call = user;

	(void)exchange;
	if (err != KOLK_OK)
		kolk__add_acq_rel(&call->served->gone, 1);
	kolk__add_acq_rel(&call->served->ends, 1);
	free(call->queue);
	free(call);
}

static void on_refused(void *user, const struct kolk_stream *stream, uint32_t status)
{
	struct served *served = user;
	struct kolk_stream_peer peer = KOLK_INIT(kolk_stream_peer);

	kolk_stream_peer(stream, &peer);
	assert_string_equal(peer.address, "127.0.0.1");
	(void)status;
	kolk__add_relaxed(&served->refused, 1);
}

/* ---- a server */

const struct kolk_http_server_handler served_handler = {
	.size = sizeof served_handler, .request = on_request, .body = on_body,
	.body_end = on_body_end, .end = on_end, .refused = on_refused};

static void open_on(struct served *served, enum kolk_backend backend,
		    const struct kolk_http_server_options *options,
		    const struct kolk_listener_tls *tls)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_listener_options listener = KOLK_INIT(kolk_listener_options);

	memset(served, 0, sizeof *served);
	engine.loops = 2;
	engine.backend = backend;
	assert_int_equal(kolk_engine_create(&engine, &served->engine), KOLK_OK);
	assert_int_equal(kolk_http_server_open(served->engine, options, &served_handler, served,
					       &served->server), KOLK_OK);
	listener.address = tls != NULL ? "tls://127.0.0.1:0" : "127.0.0.1:0";
	listener.tls = tls;
	assert_int_equal(kolk_http_server_listen(served->server, &listener, &served->listener),
			 KOLK_OK);
	served->port = (uint16_t)atoi(strrchr(kolk_listener_address(served->listener), ':') + 1);
}

void served_open(struct served *served, enum kolk_backend backend,
		 const struct kolk_http_server_options *options)
{
	open_on(served, backend, options, NULL);
}

void served_open_tls(struct served *served, enum kolk_backend backend,
		     const struct kolk_listener_tls *tls)
{
	open_on(served, backend, NULL, tls);
}

void served_wait_for(kolk__atomic_u32 *count, uint32_t value)
{
	for (int i = 0; i < 5000 && kolk__load_acquire(count) != value; i++)
		usleep(1000);
	assert_int_equal(kolk__load_acquire(count), value);
}

void served_wait_quiet(struct served *served)
{
	struct kolk_listener_stats stats = KOLK_INIT(kolk_listener_stats);

	for (int i = 0; i < 5000; i++) {
		kolk_listener_stats(served->listener, &stats);
		if (stats.streams == 0)
			break;
		usleep(1000);
	}
	assert_int_equal(stats.streams, 0);
	assert_int_equal(kolk__load_acquire(&served->requests), kolk__load_acquire(&served->ends));
}

void served_close(struct served *served)
{
	assert_int_equal(kolk_http_server_close(served->server, kolk_in_ms(5000), NULL, NULL),
			 KOLK_OK);
	assert_int_equal(kolk__load_acquire(&served->requests), kolk__load_acquire(&served->ends));
	assert_int_equal(kolk_engine_destroy(served->engine), KOLK_OK);
}
