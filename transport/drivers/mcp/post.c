/* SPDX-License-Identifier: Apache-2.0 */
/* post.c - one HTTP exchange that carries messages of MCP. */
#include <stdlib.h>

#include "core/base/ascii.h"
#include "transport/drivers/mcp/inside.h"

enum {
	OWN_FIELDS_MAX = 11,
	FIELDS_MAX = OWN_FIELDS_MAX + MCP_FIELDS_MAX,
	BATCH_MAX = 1000,
	RETRY_MS = 1000,
	TEXT_BYTES = 4096, /* memory for a message, unless it is longer */
	/* Bytes of an error's body that are looked at. */
	ERROR_BYTES_MAX = 65536
};

/* ---- what comes */

static void show(void *user, const struct mcp_message *message)
{
	struct mcp_post *post = user;

	if (post->failed == KOLK_OK)
		post->handler->message(post, message);
}

static enum kolk_err read_text(struct mcp_post *post)
{
	const struct mcp_reading reading = { .text = post->text, .size = post->size,
					     .batch_max = post->batches ? BATCH_MAX : 0,
					     .show = show, .user = post };

	if (post->handler->message == NULL)
		return KOLK_OK;
	return kolk__mcp_messages_read(&reading);
}

/* ---- memory for a message: of most a block */

static char *text_get(struct mcp_loop *loop, size_t capacity)
{
	return capacity == TEXT_BYTES ? blocks_get(&loop->texts, TEXT_BYTES) : malloc(capacity);
}

static void text_put(struct mcp_loop *loop, char *text, size_t capacity)
{
	if (capacity == TEXT_BYTES)
		blocks_put(&loop->texts, text);
	else
		free(text);
}

static bool grow(struct mcp_post *post, size_t capacity)
{
	struct mcp_loop *loop = post->loop;
	char *text = post->capacity > TEXT_BYTES ? realloc(post->text, capacity) :
						   text_get(loop, capacity);

	if (text == NULL)
		return false;
	if (post->capacity == TEXT_BYTES) {
		memcpy(text, post->text, post->size);
		text_put(loop, post->text, TEXT_BYTES);
	}
	post->text = text;
	post->capacity = capacity;
	return true;
}

static bool append(struct mcp_post *post, const void *data, size_t size)
{
	size_t capacity = post->capacity == 0 ? TEXT_BYTES : post->capacity;

	while (capacity < post->size + size)
		capacity *= 2;
	if (capacity != post->capacity && !grow(post, capacity))
		return false;
	memcpy(post->text + post->size, data, size);
	post->size += size;
	return true;
}

/* More of a message. */
static enum kolk_err take(struct mcp_post *post, const void *data, size_t size)
{
	if (size > post->loop->mcp->options.message_bytes_max - post->size)
		return KOLK_E_LIMIT;
	return append(post, data, size) ? KOLK_OK : KOLK_E_MEMORY;
}

/* An event is whole. One without data, or of a type of the server's own, is none of ours. */
static enum kolk_err take_event(struct mcp_post *post)
{
	const struct kolk__sse_parser *sse = post->sse;
	bool ours = sse->type_size == 0 ||
		    (sse->type_size == 7 && memcmp(sse->type, "message", 7) == 0);
	enum kolk_err err = KOLK_OK;

	if (sse->has_retry)
		post->retry_ms = sse->retry_ms;
	if (post->handler->event != NULL)
		err = post->handler->event(post);
	else if (ours && post->size > 0)
		err = read_text(post);
	else if (post->handler->mark != NULL && (sse->has_retry || sse->has_id))
		post->handler->mark(post);
	post->size = 0;
	return err;
}

/* A stream that is silent has no parser; if one of its events had an id, only if it lasts. */
static enum kolk_err sse_get(struct mcp_post *post)
{
	uint64_t event_max = post->loop->mcp->options.message_bytes_max + ERROR_BYTES_MAX;
	char *id = post->last_id;
	enum kolk_err err = KOLK_OK;

	if (post->sse != NULL)
		return KOLK_OK;
	post->sse = blocks_get(&post->loop->parsers, sizeof *post->sse);
	if (post->sse == NULL)
		return KOLK_E_MEMORY;
	if (post->events_begun)
		err = kolk__sse_go_on(post->sse, event_max, id,
				      id != NULL ? (uint32_t)strlen(id) : 0);
	else
		kolk__sse_begin(post->sse, event_max);
	post->events_begun = true;
	post->last_id = NULL;
	free(id);
	return err;
}

static void sse_put(struct mcp_loop *loop, struct kolk__sse_parser *sse)
{
	if (sse == NULL)
		return;
	kolk__sse_end(sse);
	blocks_put(&loop->parsers, sse);
}

static enum kolk_err take_events(struct mcp_post *post, const void *data, size_t size)
{
	const uint8_t *at = data;
	enum kolk__sse_event event;
	enum kolk_err err = sse_get(post);

	while (err == KOLK_OK && post->failed == KOLK_OK) {
		err = kolk__sse_next(post->sse, &at, &size, &event);
		if (err != KOLK_OK || event == SSE_MORE)
			break;
		err = event == SSE_DATA ? take(post, post->sse->data, post->sse->data_size) :
					  take_event(post);
	}
	return err;
}

/* The next event may be long in coming. */
static void rest(struct mcp_post *post)
{
	struct kolk__sse_parser *sse = post->sse;

	if (post->size > 0)
		return;
	text_put(post->loop, post->text, post->capacity);
	post->text = NULL;
	post->capacity = 0;
	if (sse == NULL || !kolk__sse_is_silent(sse) || (sse->id_size > 0 && !post->lasts))
		return;
	if (sse->id_size > 0)
		post->last_id = strndup(sse->id, sse->id_size);
	if (sse->id_size > 0 && post->last_id == NULL)
		return;
	sse_put(post->loop, sse);
	post->sse = NULL;
}

static void on_body(void *user, struct kolk_http_exchange *exchange, const void *data, size_t size)
{
	struct mcp_post *post = user;
	enum kolk_err err = KOLK_OK;

	(void)exchange;
	if (post->failed != KOLK_OK)
		return;
	if (post->status >= 400) {
		if (post->size + size <= ERROR_BYTES_MAX)
			err = append(post, data, size) ? KOLK_OK : KOLK_E_MEMORY;
	} else if (post->body == MCP_BODY_JSON) {
		err = take(post, data, size);
	} else if (post->body == MCP_BODY_EVENTS) {
		err = take_events(post, data, size);
	}
	if (err != KOLK_OK)
		kolk__mcp_post_cancel(post, err);
	if (post->body == MCP_BODY_EVENTS)
		rest(post);
}

static bool is_type(const char *value, const char *type)
{
	size_t size = strlen(type);

	if (value != NULL && strcmp(value, type) == 0) /* most write it so */
		return true;
	for (size_t i = 0; i < size; i++)
		if (value == NULL || kolk__lower(value[i]) != type[i])
			return false;
	return value[size] == '\0' || value[size] == ';' || value[size] == ' ';
}

static void on_head(void *user, struct kolk_http_exchange *exchange,
		    const struct kolk_http_head *head)
{
	struct mcp_post *post = user;
	const char *type = kolk_http_field(head->fields, head->field_count, "content-type");

	(void)exchange;
	post->status = head->status;
	if ((head->status == 401 || head->status == 403) && post->challenge == NULL)
		post->challenge = kolk__mcp_challenge(head);
	post->body = is_type(type, "application/json")	? MCP_BODY_JSON :
		     is_type(type, "text/event-stream") ? MCP_BODY_EVENTS :
							  MCP_BODY_DROPPED;
	if (post->handler->head != NULL && post->failed == KOLK_OK)
		post->handler->head(post, head);
}

static void on_upgraded(void *user, struct kolk_http_exchange *exchange,
			const struct kolk_lease *lease, const void *data, size_t size)
{
	struct mcp_post *post = user;

	(void)exchange;
	post->handler->upgraded(post, lease, data, size);
}

/* Whether a text has a word, whatever the case of its letters. */
static bool has_word(const char *text, size_t size, const char *word)
{
	size_t length = strlen(word), same = 0;

	for (size_t i = 0; i + length <= size; i++) {
		for (same = 0; same < length && kolk__lower(text[i + same]) == word[same];)
			same++;
		if (same == length)
			return true;
	}
	return false;
}

static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t count)
{
	struct mcp_post *post = user;
	struct kolk__sse_parser *sse = post->sse;
	struct mcp_loop *loop = post->loop;
	size_t capacity = post->capacity;
	char *text, *challenge = post->challenge, *last_id = post->last_id;

	post->carried = kolk_http_carried_ns(exchange) != 0;
	(void)trailers;
	(void)count;
	if (post->failed != KOLK_OK)
		err = post->failed;
	if (err == KOLK_OK && post->status >= 400) {
		/* What explains an error need not be a message. */
		post->sessions_error = has_word(post->text, post->size, "session");
		if (post->body == MCP_BODY_JSON)
			(void)read_text(post);
	} else if (err == KOLK_OK && post->body == MCP_BODY_JSON && post->size > 0) {
		err = read_text(post);
	}
	text = post->text;
	post->text = NULL;
	post->exchange = NULL;
	post->handler->end(post, err);
	text_put(loop, text, capacity); /* messages that were shown from here live until now */
	free(challenge);
	free(last_id);
	sse_put(loop, sse);
}

bool kolk__mcp_post_lost(const struct mcp_post *post)
{
	return post->named && (post->status == 404 || post->status == 410 ||
			       (post->status == 400 && post->sessions_error));
}

/* ---- what is sent */

struct head {
	struct kolk_http_field fields[FIELDS_MAX];
	uint32_t count, checked; /* checked: the first ones, which are words of this library */
	char *authorization;
};

static void put(struct head *head, const char *name, const char *value)
{
	head->fields[head->count++] = (struct kolk_http_field){ name, value };
}

static enum kolk_err make_head(struct head *head, const struct mcp_post_options *options)
{
	enum kolk_err err;

	head->count = 0;
	head->authorization = NULL;
	if (options->body != NULL)
		put(head, "content-type", "application/json");
	if (options->method[0] == 'P')
		put(head, "accept", "application/json, text/event-stream");
	else if (options->method[0] == 'G' && options->upgrade == NULL)
		put(head, "accept", "text/event-stream");
	if (options->session != NULL) {
		if (options->session->version[0] != '\0')
			put(head, "mcp-protocol-version", options->session->version);
	}
	head->checked = head->count;
	if (options->session != NULL && options->session->id != NULL)
		put(head, "mcp-session-id", options->session->id);
	if (options->last_event_id != NULL)
		put(head, "last-event-id", options->last_event_id);
	if (options->version != NULL)
		put(head, "mcp-protocol-version", options->version);
	if (options->rpc_method != NULL)
		put(head, "mcp-method", options->rpc_method);
	if (options->rpc_name != NULL)
		put(head, "mcp-name", options->rpc_name);
	for (uint32_t i = 0; i < options->field_count; i++)
		put(head, options->fields[i].name, options->fields[i].value);
	err = kolk__mcp_authorization(options, &head->authorization);
	if (head->authorization != NULL)
		put(head, "authorization", head->authorization);
	return err;
}

static enum kolk_err start(struct mcp_post *post, const struct mcp_post_options *options,
			   const struct head *head)
{
	static const struct kolk_http_handler handler = { .size = sizeof handler, .head = on_head,
							  .body = on_body, .end = on_end,
							  .upgraded = on_upgraded };
	const struct kolk_mcp *mcp = post->loop->mcp;
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);

	request.method = options->method;
	request.target = options->session != NULL && options->session->endpoint != NULL ?
				 options->session->endpoint : mcp->options.path;
	request.fields = head->fields;
	request.field_count = head->count;
	request.fields_checked = head->checked;
	request.body = options->body;
	request.body_size = options->body_size;
	request.upgrade = options->upgrade;
	request.replayable = options->replayable;
	request.cancel_closes = options->cancel_closes;
	request.deadline_ns = options->deadline_ns;
	request.idle_timeout_ns = KOLK_FOREVER; /* a tool may be silent until its deadline */
	who.tenant = options->identity->tenant[0] != '\0' ? options->identity->tenant : NULL;
	return kolk_http_start_as(post->loop->http, mcp->connections, &who, &request, &handler,
				  post, &post->exchange);
}

enum kolk_err kolk__mcp_post_start(struct mcp_post *post, struct mcp_loop *loop,
				   const struct mcp_post_handler *handler,
				   const struct mcp_post_options *options)
{
	struct head head;
	enum kolk_err err;

	memset(post, 0, sizeof *post);
	post->loop = loop;
	post->handler = handler;
	post->retry_ms = RETRY_MS;
	post->lasts = options->lasts;
	post->named = options->session != NULL &&
		      (options->session->id != NULL || options->session->endpoint != NULL);
	post->batches = options->session != NULL &&
			strcmp(options->session->version, "2025-03-26") == 0;
	err = make_head(&head, options);
	if (err == KOLK_OK)
		err = start(post, options, &head);
	if (head.authorization != NULL) {
		post->token_hash = kolk__mcp_token_hash(head.authorization);
		explicit_bzero(head.authorization, strlen(head.authorization));
	}
	free(head.authorization);
	return err;
}

bool kolk__mcp_post_unsent(const struct mcp_post *post)
{
	return post->exchange != NULL && kolk_http_carried_ns(post->exchange) == 0 &&
	       !kolk_http_retried(post->exchange);
}

void kolk__mcp_post_cancel(struct mcp_post *post, enum kolk_err err)
{
	if (post->exchange == NULL || post->failed != KOLK_OK)
		return;
	post->failed = err;
	kolk_http_cancel(post->exchange);
}
