/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_client.c - a client that speaks as gRPC does. */
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "tests/gateway/program/grpc.h"
#include "tests/kit/tap.h"

enum { PREFIX = 5, WAIT_MS = 30000 };

bool grpc_client_open(struct grpc_client *client, const char *address,
		      const struct kolk_tls_options *tls)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_http_driver_options driver = KOLK_INIT(kolk_http_driver_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);

	*client = (struct grpc_client){ .engine = NULL };
	engine.loops = 1;
	driver.protocols = KOLK_HTTP_2_ONLY;
	pool.name = "clients";
	pool.address = address;
	pool.driver = kolk_driver_http();
	pool.driver_user = &driver;
	pool.tls = tls;
	return CHECK_ERR(kolk_engine_create(&engine, &client->engine), KOLK_OK) &&
	       CHECK_ERR(kolk_pool_add(client->engine, &pool, &client->pool), KOLK_OK) &&
	       CHECK_ERR(kolk_http_open(kolk_engine_loop(client->engine, 0), NULL, &client->http),
			 KOLK_OK);
}

void grpc_client_close(struct grpc_client *client)
{
	CHECK_ERR(kolk_http_close(client->http, NULL, NULL), KOLK_OK);
	kolk_engine_drain(client->engine, kolk_in_ms(2000));
	CHECK_ERR(kolk_engine_wait_closed(client->engine, kolk_in_ms(10000)), KOLK_OK);
	CHECK_ERR(kolk_engine_destroy(client->engine), KOLK_OK);
}

/* ---- messages: the byte at a place of all that a call sends, and gets back */

static uint8_t byte_at(const struct grpc_call *call, uint64_t at)
{
	const uint32_t size = call->size;
	const uint8_t prefix[PREFIX] = { 0, (uint8_t)(size >> 24), (uint8_t)(size >> 16),
					 (uint8_t)(size >> 8), (uint8_t)size };
	uint64_t within = at % (PREFIX + size);

	return within < PREFIX ? prefix[within] : (uint8_t)(at * 31 >> 3);
}

/* Of Stream the first message comes again and again. */
static uint8_t expected_at(const struct grpc_call *call, uint64_t at)
{
	return byte_at(call, strcmp(call->method, "Stream") == 0 ? at % (PREFIX + call->size) : at);
}

static enum kolk_err pull(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct grpc_call *call = user;
	uint64_t end = call->in_turn && call->received < call->messages ?
			       (uint64_t)(call->received + 1) * (PREFIX + call->size) :
			       (uint64_t)call->messages * (PREFIX + call->size);
	size_t left = (size_t)(end - call->sent);

	*size = left < capacity ? left : capacity;
	for (size_t i = 0; i < *size; i++)
		((uint8_t *)buffer)[i] = byte_at(call, call->sent++);
	if (*size > 0)
		return KOLK_OK;
	return call->stays_open || (call->in_turn && call->received < call->messages) ?
		       KOLK_PENDING : KOLK_OK;
}

/* ---- what comes */

static void copy(char *to, size_t capacity, const struct kolk_http_field *fields, size_t count,
		 const char *name)
{
	const char *value = kolk_http_field(fields, count, name);

	snprintf(to, capacity, "%s", value != NULL ? value : "");
}

static void copy_status(struct grpc_call *call, const struct kolk_http_field *fields, size_t count)
{
	copy(call->grpc_status, sizeof call->grpc_status, fields, count, "grpc-status");
	copy(call->grpc_message, sizeof call->grpc_message, fields, count, "grpc-message");
	copy(call->binary, sizeof call->binary, fields, count, "x-sum-bin");
}

static void on_head(void *user, struct kolk_http_exchange *exchange, const struct kolk_http_head *head)
{
	struct grpc_call *call = user;

	(void)exchange;
	call->status = head->status;
	call->head_alone = head->body_size == 0;
	call->has_length = kolk_http_field(head->fields, head->field_count, "content-length") != NULL;
	copy(call->content_type, sizeof call->content_type, head->fields, head->field_count,
	     "content-type");
	copy_status(call, head->fields, head->field_count);
}

static void on_body(void *user, struct kolk_http_exchange *exchange, const void *data, size_t size)
{
	struct grpc_call *call = user;

	for (size_t i = 0; i < size; i++)
		call->broken |= ((const uint8_t *)data)[i] != expected_at(call, call->came++);
	call->received = (uint32_t)(call->came / (PREFIX + call->size));
	kolk_http_more(exchange);
	if (call->cancel_after > 0 && call->received >= call->cancel_after)
		kolk_http_cancel(exchange);
}

static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t count)
{
	struct grpc_call *call = user;

	(void)exchange;
	call->err = err;
	if (!call->head_alone)
		copy_status(call, trailers, count);
	kolk__store_release(&call->ended, 1);
}

/* ---- calls */

struct start {
	struct kolk_call call;
	struct grpc_client *client;
	struct grpc_call *what;
	enum kolk_err err;
	sem_t done;
};

static void start(struct kolk_call *self, void *user)
{
	static const struct kolk_http_handler handler = { .size = sizeof handler, .head = on_head,
							  .body = on_body, .end = on_end };
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct start *start = user;
	struct grpc_call *call = start->what;
	const struct kolk_http_field fields[] = { { "content-type", "application/grpc+proto" },
						  { "x-id-bin", "/wA" },
						  { "grpc-timeout", call->timeout } };
	char target[32];

	(void)self;
	snprintf(target, sizeof target, "/echo/%s", call->method);
	request.method = "POST";
	request.target = target;
	request.authority = "echo";
	request.fields = fields;
	request.field_count = call->timeout != NULL ? 3 : 2;
	request.trailers_accepted = 1;
	request.pull = pull;
	request.pull_size = KOLK_HTTP_CHUNKED;
	start->err = kolk_http_start(start->client->http, kolk_pool_key(start->client->pool),
				     &request, &handler, call, &call->exchange);
	sem_post(&start->done);
}

static void cancel(struct kolk_call *self, void *user)
{
	struct start *start = user;

	(void)self;
	if (kolk__load_acquire(&start->what->ended) == 0)
		kolk_http_cancel(start->what->exchange);
	sem_post(&start->done);
}

static enum kolk_err run(struct grpc_client *client, struct grpc_call *call, kolk_call_fn *what)
{
	struct start one = { .client = client, .what = call, .err = KOLK_PENDING };
	enum kolk_err err;

	sem_init(&one.done, 0, 0);
	err = kolk_loop_call(kolk_engine_loop(client->engine, 0), &one.call, what, &one);
	while (err == KOLK_OK && sem_wait(&one.done) != 0)
		; /* a signal */
	sem_destroy(&one.done);
	return err == KOLK_OK ? one.err : err;
}

bool grpc_begin(struct grpc_client *client, struct grpc_call *call)
{
	return CHECK_ERR(run(client, call, start), KOLK_PENDING);
}

bool grpc_cancel(struct grpc_client *client, struct grpc_call *call)
{
	return CHECK_ERR(run(client, call, cancel), KOLK_PENDING);
}

bool grpc_wait(struct grpc_call *call)
{
	return CHECK(WITHIN_MS(WAIT_MS, kolk__load_acquire(&call->ended) != 0));
}
