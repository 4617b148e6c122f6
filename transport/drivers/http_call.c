/* SPDX-License-Identifier: Apache-2.0 */
/* http_call.c - requests for threads that block: posted to the client's loop, where the answer is
 * collected. */
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/http_client.h"

/* What a response points to. */
struct memory {
	void *head, *trailers;
	char *body;
	size_t capacity;
};

struct call {
	struct kolk_call post;
	struct kolk_http *http;
	struct kolk_key *key;
	kolk_http_pull_fn *pull;        /* the caller's */
	void *user;                     /* of pull */
	struct kolk_http_request own;   /* the request with our pull */
	struct kolk_http_response response;
	enum kolk_err err, failed;      /* failed: why we cancelled it */
	sem_t done;
};

/* ---- on the loop */

/* A copy of fields, their text behind them. */
static void *copy_fields(const struct kolk_http_field *fields, size_t count)
{
	size_t size = count * sizeof *fields;
	struct kolk_http_field *copy;
	char *at;

	for (size_t i = 0; i < count; i++)
		size += strlen(fields[i].name) + strlen(fields[i].value) + 2;
	copy = malloc(size + 1);
	if (copy == NULL)
		return NULL;
	at = (char *)(copy + count);
	for (size_t i = 0; i < count; i++) {
		copy[i].name = strcpy(at, fields[i].name);
		at += strlen(at) + 1;
		copy[i].value = strcpy(at, fields[i].value);
		at += strlen(at) + 1;
	}
	return copy;
}

static void fail(struct call *call, struct kolk_http_exchange *exchange, enum kolk_err err)
{
	call->failed = err;
	kolk_http_cancel(exchange);
}

static void on_head(void *user, struct kolk_http_exchange *exchange,
		    const struct kolk_http_head *head)
{
	struct call *call = user;
	struct memory *memory = call->response.memory;

	memory->head = copy_fields(head->fields, head->field_count);
	if (memory->head == NULL) {
		fail(call, exchange, KOLK_E_MEMORY);
		return;
	}
	call->response.status = head->status;
	call->response.version = head->version;
	call->response.field_count = head->field_count;
	call->response.fields = memory->head;
	if (head->body_size != KOLK_HTTP_CHUNKED && strcmp(call->own.method, "HEAD") != 0 &&
	    head->status != 304 && head->body_size > call->http->options.response_bytes_max)
		fail(call, exchange, KOLK_E_LIMIT);
}

static bool reserve(struct memory *memory, size_t size)
{
	size_t capacity = memory->capacity == 0 ? 4096 : memory->capacity;
	char *body;

	while (capacity < size)
		capacity *= 2;
	if (capacity == memory->capacity)
		return true;
	body = realloc(memory->body, capacity);
	if (body == NULL)
		return false;
	memory->body = body;
	memory->capacity = capacity;
	return true;
}

static void on_body(void *user, struct kolk_http_exchange *exchange, const void *data, size_t size)
{
	struct call *call = user;
	struct kolk_http_response *response = &call->response;
	struct memory *memory = response->memory;

	if (size > call->http->options.response_bytes_max - response->body_size) {
		fail(call, exchange, KOLK_E_LIMIT);
	} else if (!reserve(memory, response->body_size + size + 1)) {
		fail(call, exchange, KOLK_E_MEMORY);
	} else {
		memcpy(memory->body + response->body_size, data, size);
		response->body = memory->body;
		response->body_size += size;
		memory->body[response->body_size] = '\0';
	}
}

static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t count)
{
	struct call *call = user;
	struct memory *memory = call->response.memory;

	if (count > 0) {
		memory->trailers = copy_fields(trailers, count);
		if (memory->trailers == NULL)
			call->failed = KOLK_E_MEMORY;
		else
			call->response.trailer_count = (uint32_t)count;
		call->response.trailers = memory->trailers;
	}
	call->response.retried = kolk_http_retried(exchange);
	call->err = call->failed != KOLK_OK ? call->failed : err;
	(void)sem_post(&call->done);
}

static enum kolk_err pull(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct call *call = user;

	return call->pull(call->user, buffer, capacity, size);
}

static void start(struct kolk_call *post, void *user)
{
	static const struct kolk_http_handler handler = {
		.size = (uint32_t)sizeof handler, .head = on_head, .body = on_body, .end = on_end
	};
	struct call *call = user;
	enum kolk_err err;

	(void)post;
	err = kolk_http_start(call->http, call->key, &call->own, &handler, call, NULL);
	if (err == KOLK_PENDING)
		return;
	call->err = err;
	(void)sem_post(&call->done);
}

/* ---- on the caller's thread */

static enum kolk_err run(struct call *call)
{
	enum kolk_err err;

	if (call->own.method == NULL)
		call->own.method = "GET";
	call->pull = call->own.pull;
	if (call->pull != NULL)
		call->own.pull = pull;
	if (sem_init(&call->done, 0, 0) != 0)
		return KOLK_E_IO;
	err = kolk_loop_call(call->http->loop, &call->post, start, call);
	while (err == KOLK_OK && sem_wait(&call->done) != 0)
		; /* a signal */
	(void)sem_destroy(&call->done);
	return err != KOLK_OK ? err : call->err;
}

/* A response that has no memory could not be freed. */
static bool can_free(const struct kolk_http_response *response)
{
	return kolk__sized_size(response) >=
	       offsetof(struct kolk_http_response, memory) + sizeof response->memory;
}

enum kolk_err kolk_http_call(struct kolk_http *http, struct kolk_key *key,
			     const struct kolk_http_request *request, void *pull_user,
			     struct kolk_http_response *response)
{
	struct call call = { .http = http, .key = key, .user = pull_user };
	enum kolk_err err;

	if (http == NULL || key == NULL || !kolk__sized_read(&call.own, request) ||
	    !can_free(response))
		return KOLK_E_OPTIONS;
	if (kolk_loop_current() != NULL)
		return KOLK_E_THREAD;
	call.response.memory = calloc(1, sizeof(struct memory));
	if (call.response.memory == NULL) {
		(void)kolk__sized_write(response, &call.response);
		return KOLK_E_MEMORY;
	}
	err = run(&call);
	(void)kolk__sized_write(response, &call.response);
	return err;
}

void kolk_http_response_free(struct kolk_http_response *response)
{
	const struct kolk_http_response empty = KOLK_INIT(kolk_http_response);
	struct memory *memory = can_free(response) ? response->memory : NULL;

	if (memory == NULL)
		return;
	free(memory->head);
	free(memory->trailers);
	free(memory->body);
	free(memory);
	(void)kolk__sized_write(response, &empty);
}

const char *kolk_http_field(const struct kolk_http_field *fields, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (fields[i].name[0] == name[0] && strcmp(fields[i].name, name) == 0)
			return fields[i].value;
	return NULL;
}
