/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.c - a request is checked and composed: the message once, as it is sent, also if it is
 * sent again. Its id is ours, and so is its progress token.
 */
#include <stdlib.h>

#include "core/base/ascii.h"
#include "transport/drivers/credential.h"
#include "transport/drivers/mcp/inside.h"

enum { METHOD_MAX = 128, ENVELOPE_MAX = 96 };

/* Ids stay below 2^53: a JSON number beyond is not exact everywhere. */
uint64_t kolk__mcp_next_id(struct mcp_loop *loop)
{
	return (uint64_t)kolk_loop_index(loop->loop) << 44 | ++loop->next_id;
}

static bool is_method(const char *method)
{
	size_t size = 0;

	for (; method[size] != '\0'; size++)
		if (method[size] <= ' ' || method[size] >= 0x7f || method[size] == '"' ||
		    method[size] == '\\')
			return false;
	return size > 0 && size <= METHOD_MAX;
}

/* What the library says itself. */
static bool is_own(const struct kolk_mcp *mcp, const char *name)
{
	static const char *const own[] = { "accept", "content-type", "mcp-session-id",
					   "mcp-protocol-version", "mcp-method", "mcp-name",
					   "last-event-id" };

	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (kolk__word_equal(name, own[i]))
			return true;
	return mcp->options.credentials != NULL && kolk__word_equal(name, "authorization");
}

static bool are_fields_valid(const struct kolk_mcp *mcp, const struct kolk_mcp_request *request)
{
	for (uint32_t i = 0; i < request->field_count; i++)
		if (request->fields[i].name == NULL || request->fields[i].value == NULL ||
		    is_own(mcp, request->fields[i].name))
			return false;
	return true;
}

static bool is_valid(const struct kolk_mcp *mcp, const struct kolk_mcp_request *request)
{
	return request->method != NULL && is_method(request->method) &&
	       request->notification <= 1 && request->replayable <= 1 &&
	       request->field_count <= MCP_FIELDS_MAX &&
	       (request->field_count == 0 || request->fields != NULL) &&
	       (request->params != NULL || request->params_size == 0) &&
	       are_fields_valid(mcp, request);
}

/* The params of a message that was read become the request's. False: there are others, or the
 * envelope is that of an older library. */
static bool take_message(struct kolk_mcp_request *request)
{
	const struct kolk_mcp_envelope *message = request->message;

	if (message == NULL)
		return true;
	if (request->params_size != 0 || kolk__sized_size(message) < sizeof *message)
		return false;
	request->params = message->params.data;
	request->params_size = message->params.size;
	return true;
}

/* ---- the message */

struct composed {
	struct mcp_text token; /* in the message */
	bool modern;           /* it says what only the modern era has */
	bool valid;            /* the message is what was meant, its params no more than that */
	size_t params_size;
};

static void look(void *user, const struct mcp_message *message)
{
	struct composed *composed = user;

	composed->valid = message->params.size == composed->params_size;
	composed->token = message->token;
	for (int i = 0; i < 3; i++)
		composed->modern |= message->modern[i].size > 0;
}

static size_t write_message(char *at, uint64_t id, const struct kolk_mcp_request *request)
{
	const char *begin = at;

	at = stpcpy(at, "{\"jsonrpc\":\"2.0\"");
	if (request->notification == 0) {
		at = stpcpy(at, ",\"id\":");
		at += kolk__mcp_digits(at, id);
	}
	at = stpcpy(stpcpy(stpcpy(at, ",\"method\":\""), request->method), "\"");
	if (request->params_size > 0) {
		at = stpcpy(at, ",\"params\":");
		memcpy(at, request->params, request->params_size);
		at += request->params_size;
	}
	*at++ = '}';
	return (size_t)(at - begin);
}

/* The caller's progress token is kept behind the message, and the id takes its place. There is room
 * for both. */
static void replace_token(struct kolk_mcp_call *call, char *body, struct mcp_text token, char *kept)
{
	char id[MCP_DIGITS];
	size_t digits = kolk__mcp_digits(id, call->id);
	char *at = body + (token.data - body), *rest = at + token.size;

	call->token.data = memcpy(kept, at, token.size);
	call->token.size = token.size;
	memmove(at + digits, rest, call->body_size - (size_t)(rest - body));
	memcpy(at, id, digits);
	call->body_size += digits - token.size;
}

/* What is in the message that was written: its params were read, or are now. */
static struct composed look_at(const struct kolk_mcp_call *call,
			       const struct kolk_mcp_request *request)
{
	const struct kolk_mcp_envelope *message = request->message;
	struct composed composed = { .params_size = request->params_size };
	const struct mcp_reading reading = { .text = call->body, .size = call->body_size,
					     .show = look, .user = &composed };

	if (message == NULL) {
		if (kolk__mcp_messages_read(&reading) != KOLK_OK)
			composed.valid = false;
		return composed;
	}
	composed.valid = true;
	composed.modern = message->modern != 0;
	if (message->meta_token.size == 0)
		return composed;
	/* "}" alone is behind its params. */
	composed.token.data = call->body + call->body_size - 1 - request->params_size +
			      (message->meta_token.data - message->params.data);
	composed.token.size = message->meta_token.size;
	return composed;
}

static enum kolk_err compose(struct kolk_mcp_call *call, const struct kolk_mcp_request *request,
			     char *body)
{
	struct composed composed;
	char *kept;

	call->body = body;
	call->body_size = write_message(body, call->id, request);
	composed = look_at(call, request);
	if (!composed.valid)
		return KOLK_E_OPTIONS;
	call->says_modern = composed.modern;
	kept = body + call->body_size + ENVELOPE_MAX;
	if (composed.token.size > 0 && !call->notification)
		replace_token(call, body, composed.token, kept);
	return KOLK_OK;
}

/* ---- the call */

static size_t fields_size(const struct kolk_mcp_request *request)
{
	size_t size = request->field_count * sizeof *request->fields;

	for (uint32_t i = 0; i < request->field_count; i++)
		size += strlen(request->fields[i].name) + strlen(request->fields[i].value) + 2;
	return size;
}

static char *copy_fields(struct kolk_mcp_call *call, const struct kolk_mcp_request *request)
{
	struct kolk_http_field *fields = call->own != NULL ? (void *)(call->own + 1) : call->memory;
	char *at = (char *)(fields + request->field_count);

	for (uint32_t i = 0; i < request->field_count; i++) {
		fields[i].name = at;
		at = stpcpy(at, request->fields[i].name) + 1;
		fields[i].value = at;
		at = stpcpy(at, request->fields[i].value) + 1;
	}
	call->fields = fields;
	call->field_count = request->field_count;
	return at;
}

static uint64_t deadline(const struct kolk_mcp_client *client, uint64_t deadline_ns)
{
	if (deadline_ns != 0)
		return deadline_ns;
	return kolk__mcp_in_ns(client->loop, client->loop->mcp->options.request_timeout_ns);
}

struct kolk_mcp_call *kolk__mcp_call_new(struct kolk_mcp_client *client)
{
	struct kolk_mcp_call *call = blocks_get(&client->loop->calls, sizeof *call);

	if (call != NULL)
		*call = (struct kolk_mcp_call){ .client = client };
	return call;
}

/* begin() adds it. */
static bool set_scope(struct kolk_mcp_call *call, struct kolk_scope *scope)
{
	if (scope == NULL)
		return true;
	call->scoped = calloc(1, sizeof *call->scoped);
	if (call->scoped != NULL)
		call->scoped->scope = scope;
	return call->scoped != NULL;
}

enum kolk_err kolk__mcp_call_make(struct kolk_mcp_client *client,
				  const struct kolk_mcp_request *request,
				  struct kolk_mcp_call **call)
{
	bool exclusive = client->loop->mcp->options.sharing == KOLK_MCP_EXCLUSIVE;
	struct kolk_mcp_request own;
	struct kolk_mcp_call *made;
	enum kolk_err err = KOLK_E_MEMORY;

	if (!kolk__sized_read(&own, request) || !take_message(&own) ||
	    !is_valid(client->loop->mcp, &own))
		return KOLK_E_OPTIONS;
	made = kolk__mcp_call_new(client);
	if (made != NULL && set_scope(made, own.scope))
		made->memory = malloc((exclusive ? sizeof *made->own : 0) + fields_size(&own) +
				      strlen(own.method) + 2 * own.params_size +
				      (size_t)3 * ENVELOPE_MAX);
	if (made != NULL && made->memory != NULL) {
		made->own = exclusive ? made->memory : NULL;
		made->id = kolk__mcp_next_id(client->loop);
		made->deadline_ns = deadline(client, own.deadline_ns);
		made->notification = own.notification != 0;
		made->replayable = own.replayable != 0;
		made->initialize = strcmp(own.method, "initialize") == 0 ||
				   strcmp(own.method, "notifications/initialized") == 0;
		err = compose(made, &own, copy_fields(made, &own));
	}
	if (err == KOLK_OK)
		*call = made;
	else if (made != NULL)
		kolk__mcp_call_free(made);
	return err;
}

void kolk__mcp_call_forget(struct kolk_mcp_call *call)
{
	if (!call->modern || call->post.exchange == NULL || !kolk_http_sent(call->post.exchange))
		return;
	kolk__mcp_modern_free(call->as_modern);
	call->as_modern = NULL;
	if (call->token.size > 0) /* in memory */
		return;
	http_credentials_wipe(call->fields, call->field_count);
	call->field_count = 0;
	free(call->memory);
	call->memory = NULL;
}

void kolk__mcp_call_free(struct kolk_mcp_call *call)
{
	http_credentials_wipe(call->fields, call->field_count);
	kolk__mcp_modern_free(call->as_modern);
	free(call->scoped);
	free(call->last_event_id);
	free(call->resume_timer);
	free(call->challenge);
	free(call->memory);
	blocks_put(&call->client->loop->calls, call);
}
