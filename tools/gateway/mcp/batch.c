/* SPDX-License-Identifier: Apache-2.0 */
/* batch.c - arrays of messages: taken apart, and answered together. */
#include "tools/gateway/mcp/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/json.h"

/* Answers that are longer together become events, and each is given away as the client takes it. */
enum { ARRAY_BYTES = 1 << 20, ID_MAX = 1024 };

bool gw_mcp_batch_agreed(const struct kolk_mcp_result *initialized)
{
	const struct kolk_mcp_part said = { initialized->result, initialized->result_size };

	return gw_json_says(gw_json_member_of(said, "protocolVersion"), GW_MCP_ARRAYS);
}

/* ---- the end */

static void free_batch(struct gw_mcp_batch *batch)
{
	batch->whole->batch = NULL;
	for (uint32_t i = 0; i < batch->count; i++)
		gw_mcp_call_unref(batch->calls[i]);
	free(batch);
}

static void refuse(struct gw_mcp_call *whole, const char *error)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

	result.error = error;
	result.error_size = strlen(error);
	pthread_mutex_lock(&whole->lock);
	(void)!gw_mcp_write_error(whole, &result);
	pthread_mutex_unlock(&whole->lock);
	gw_mcp_call_finish(whole, 400);
}

/* ---- answers; whole's lock is held, and its calls are this thread's alone */

static struct kolk_mcp_part part_of(const struct gw_pipe *pipe)
{
	return (struct kolk_mcp_part){ pipe->data + pipe->begin, pipe->size };
}

/* An answer of JSON as an event: ends of its lines begin other lines of data. */
static bool put_event(struct gw_pipe *out, struct kolk_mcp_part json)
{
	static const char begins[] = "event: message\ndata: ", line[] = "\ndata: ";
	bool ok = gw_pipe_push(out, begins, sizeof begins - 1);

	while (ok && json.size > 0) {
		size_t size = 0;

		while (size < json.size && json.data[size] != '\n' && json.data[size] != '\r')
			size++;
		ok = size == 0 || gw_pipe_push(out, json.data, size);
		if (size == json.size)
			break;
		ok = ok && (json.data[size] == '\r' ? gw_pipe_push(out, " ", 1) :
						      gw_pipe_push(out, line, sizeof line - 1));
		json.data += size + 1;
		json.size -= size + 1;
	}
	return ok && gw_pipe_push(out, "\n\n", 2);
}

/* What a call has goes to the client, unless there is too much of it already. False: it stays. */
static bool move(struct gw_mcp_call *whole, struct gw_mcp_call *call)
{
	struct kolk_mcp_part has = part_of(&call->out);

	if (has.size > 0 && !whole->gone) {
		if (whole->out.size >= GW_PIPE_HIGH)
			return false;
		if (call->stream)
			(void)!gw_pipe_push(&whole->out, has.data, has.size);
		else
			(void)!put_event(&whole->out, has);
	}
	gw_pipe_reset(&call->out);
	return true;
}

/* True: all have ended, and all is moved. */
static bool move_all(struct gw_mcp_batch *batch)
{
	bool moved = true, ended = true;

	for (uint32_t i = 0; i < batch->count; i++) {
		struct gw_mcp_call *call = batch->calls[i];

		if (call->stream || call->done || batch->whole->gone)
			moved &= move(batch->whole, call);
		ended &= call->done;
	}
	batch->whole->paused = !moved;
	return ended && moved;
}

static bool is_stream(const struct gw_mcp_batch *batch)
{
	size_t size = 0;

	for (uint32_t i = 0; i < batch->count; i++) {
		if (batch->calls[i]->stream && batch->calls[i]->out.size > 0)
			return true;
		size += batch->calls[i]->out.size;
	}
	return size > ARRAY_BYTES;
}

static bool have_ended(const struct gw_mcp_batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++)
		if (!batch->calls[i]->done)
			return false;
	return true;
}

/* Without a request nothing is answered; cancelled requests alone are answered by a stream without an
 * event, as one is. */
static void put_array(struct gw_mcp_batch *batch)
{
	struct gw_pipe *out = &batch->whole->out;
	bool ok = true, any = false;

	for (uint32_t i = 0; ok && i < batch->count; i++) {
		struct kolk_mcp_part has = part_of(&batch->calls[i]->out);

		if (has.size == 0)
			continue;
		ok = gw_pipe_push(out, any ? "," : "[", 1) && gw_pipe_push(out, has.data, has.size);
		any = true;
	}
	if (!any)
		batch->whole->stream = batch->requests > 0;
	batch->failed = !ok || (any && !gw_pipe_push(out, "]", 1));
	if (batch->failed)
		gw_pipe_reset(out);
}

/* That of all requests, if they agree: a session that is lost is 404. Without one, the worst. */
static uint32_t status_of(const struct gw_mcp_batch *batch)
{
	uint32_t status = 0;

	if (batch->failed)
		return 503;
	for (uint32_t i = 0; i < batch->count; i++) {
		const struct gw_mcp_call *call = batch->calls[i];

		if (batch->requests == 0)
			status = call->status > status ? call->status : status;
		else if (call->kind != GW_MCP_REQUEST || call->stream)
			continue; /* a request that is a stream was cancelled */
		else if (status != 0 && call->status != status)
			return 200;
		else
			status = call->status;
	}
	return status != 0 ? status : 200;
}

/* What the server asks for with 401 or 403 is said once. */
static void take_challenge(struct gw_mcp_batch *batch)
{
	struct gw_mcp_call *whole = batch->whole;

	pthread_mutex_lock(&whole->lock);
	for (uint32_t i = 0; i < batch->count && whole->challenge == NULL; i++) {
		whole->challenge = batch->calls[i]->challenge;
		batch->calls[i]->challenge = NULL;
	}
	pthread_mutex_unlock(&whole->lock);
}

/* ---- turns */

static void resume_calls(const struct gw_mcp_batch *batch, bool gone)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		struct gw_mcp_call *call = batch->calls[i];

		call->gone = gone;
		if (!call->paused || call->out.size > GW_PIPE_LOW)
			continue;
		call->paused = false;
		if (call->back != NULL)
			kolk_mcp_resume(call->back);
	}
}

/* True: it has ended. */
static bool turn(struct gw_mcp_batch *batch)
{
	struct gw_mcp_call *whole = batch->whole;
	bool ended, stream, gone;

	pthread_mutex_lock(&whole->lock);
	gone = whole->gone;
	stream = whole->stream = whole->stream || is_stream(batch);
	ended = stream || gone ? move_all(batch) : have_ended(batch);
	if (ended && batch->begun && !stream && !gone)
		put_array(batch);
	pthread_mutex_unlock(&whole->lock);
	resume_calls(batch, gone);
	if (stream && !ended)
		gw_mcp_call_tell(whole);
	return ended && batch->begun;
}

void gw_mcp_batch_turn(struct gw_mcp_batch *batch)
{
	struct gw_mcp_call *whole = batch->whole;
	bool ended = false;
	uint32_t status;

	batch->again = true;
	if (batch->turning)
		return;
	batch->turning = true;
	while (batch->again && !ended) {
		batch->again = false;
		ended = turn(batch);
	}
	batch->turning = false;
	if (!ended)
		return;
	status = status_of(batch);
	if (status == 401 || status == 403)
		take_challenge(batch);
	free_batch(batch);
	gw_mcp_call_finish(whole, status);
}

/* ---- the beginning */

static void no_memory(struct gw_mcp_batch *batch)
{
	batch->fault.fault = "there is no memory";
	batch->fault.fault_code = -32603;
}

static void take(void *user, const struct kolk_mcp_envelope *message)
{
	struct gw_mcp_batch *batch = user;
	const struct gw_mcp_call *whole = batch->whole;
	struct gw_mcp_call *call;

	if (message->fault != NULL) {
		batch->fault = *message;
		return;
	}
	call = gw_mcp_call_split(whole);
	if (call == NULL) {
		no_memory(batch);
		return;
	}
	call->batch = batch;
	*call->message = *message;
	call->kind = message->method[0] == '\0' ? GW_MCP_REPLY :
		     message->id.size == 0     ? GW_MCP_NOTIFICATION : GW_MCP_REQUEST;
	batch->requests += call->kind == GW_MCP_REQUEST;
	batch->calls[batch->count++] = call;
}

static bool same_id(struct kolk_mcp_part a, struct kolk_mcp_part b)
{
	char left[ID_MAX], right[ID_MAX];
	size_t size;

	if (a.size > ID_MAX || b.size > ID_MAX || (a.data[0] == '"') != (b.data[0] == '"'))
		return false;
	size = kolk_mcp_decode(a, left);
	return kolk_mcp_decode(b, right) == size && memcmp(left, right, size) == 0;
}

static bool is_id_used(const struct gw_mcp_batch *batch, uint32_t at)
{
	for (uint32_t i = 0; i < at; i++)
		if (batch->calls[i]->kind == GW_MCP_REQUEST &&
		    same_id(batch->calls[i]->message->id, batch->calls[at]->message->id))
			return true;
	return false;
}

/* What is wrong with it, as an error of JSON-RPC; NULL = nothing. */
static const char *flaw(const struct gw_mcp_batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		const struct gw_mcp_call *call = batch->calls[i];

		if (strcmp(call->message->method, "initialize") == 0)
			return "{\"code\":-32600,\"message\":\"initialize comes alone\"}";
		if (call->message->meta_version[0] != '\0')
			return "{\"code\":-32600,\"message\":\"its version has no arrays\"}";
		if (call->kind == GW_MCP_REQUEST && is_id_used(batch, i))
			return "{\"code\":-32600,\"message\":\"two requests have one id\"}";
	}
	return NULL;
}

static bool read_array(struct gw_mcp_batch *batch)
{
	const struct gw_pipe *body = &batch->whole->body;

	return kolk_mcp_read_array(body->data + body->begin, body->size, take, batch) == KOLK_OK &&
	       batch->fault.fault == NULL;
}

void gw_mcp_batch_begin(struct gw_mcp_call *whole)
{
	struct gw_mcp_batch *batch;
	const char *error = NULL;
	char text[256];

	if (whole->session->arrays == 0) {
		refuse(whole, "{\"code\":-32600,\"message\":\"this version has no arrays of messages\"}");
		return;
	}
	batch = calloc(1, sizeof *batch);
	if (batch == NULL) {
		gw_mcp_call_refuse(whole, 503, kolk_err_text(KOLK_E_MEMORY));
		return;
	}
	batch->whole = whole;
	if (!read_array(batch)) {
		snprintf(text, sizeof text, "{\"code\":%d,\"message\":\"%s\"}",
			 batch->fault.fault_code, batch->fault.fault);
		error = text;
	} else {
		error = flaw(batch);
	}
	if (error != NULL) {
		free_batch(batch);
		refuse(whole, error);
		return;
	}
	whole->batch = batch;
	for (uint32_t i = 0; i < batch->count; i++)
		gw_mcp_call_give(batch->calls[i]);
	batch->begun = true;
	gw_mcp_batch_turn(batch);
}
