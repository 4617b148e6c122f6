/* SPDX-License-Identifier: Apache-2.0 */
/* http.c - exchanges of HTTP: the body as a whole, paths, who may ask, answers. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/mcp/inside.h"

const char *mcp_field(const struct mcp_exchange *exchange, const char *name)
{
	return kolk_http_field(exchange->head->fields, exchange->head->field_count, name);
}

/* ---- answers */

enum { FIELDS_MAX = 7 };

static void answer_fields(const struct mcp_reply *reply, struct kolk_http_answer *answer,
			  struct kolk_http_field *fields)
{
	uint32_t count = 0;

	if (reply->type != NULL)
		fields[count++] = (struct kolk_http_field){ "Content-Type", reply->type };
	if (reply->type != NULL && strcmp(reply->type, "text/event-stream") == 0) {
		fields[count++] = (struct kolk_http_field){ "Cache-Control", "no-cache, no-transform" };
		fields[count++] = (struct kolk_http_field){ "X-Accel-Buffering", "no" };
	}
	if (reply->session != NULL)
		fields[count++] = (struct kolk_http_field){ "Mcp-Session-Id", reply->session };
	if (reply->allow != NULL)
		fields[count++] = (struct kolk_http_field){ "Allow", reply->allow };
	if (reply->challenge != NULL)
		fields[count++] = (struct kolk_http_field){ "WWW-Authenticate", reply->challenge };
	answer->status = reply->status;
	answer->fields = fields;
	answer->field_count = count;
}

/* It will not answer again, whatever comes of it. */
static void give(struct mcp_exchange *exchange, const struct kolk_http_answer *answer)
{
	exchange->answered = true;
	if (kolk_http_server_answer(exchange->http, answer) != KOLK_OK)
		kolk_http_server_cancel(exchange->http);
}

void mcp_reply(struct mcp_exchange *exchange, const struct mcp_reply *reply)
{
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);
	struct kolk_http_field fields[FIELDS_MAX];

	if (exchange->answered) {
		free(reply->text);
		return;
	}
	answer_fields(reply, &answer, fields);
	exchange->answer = reply->text;
	answer.body = reply->text;
	answer.body_size = reply->text != NULL ? strlen(reply->text) : 0;
	give(exchange, &answer);
}

void mcp_refuse(struct mcp_exchange *exchange, uint32_t status, int code, const char *why)
{
	json_t *message = mcp_error_message(NULL, mcp_error_object(code, why, NULL));

	mcp_reply(exchange, &(struct mcp_reply){ .status = status, .type = "application/json",
						 .allow = status == 405 ? "POST, GET, DELETE" : NULL,
						 .text = json_dumps(message, JSON_COMPACT) });
	json_decref(message);
}

void mcp_accepted(struct mcp_exchange *exchange)
{
	char *text = exchange->fixture->options.accepted_body ? strdup("{\"accepted\":true}") : NULL;

	mcp_reply(exchange, &(struct mcp_reply){ .status = 202, .text = text,
						 .type = text != NULL ? "application/json" : NULL });
}

static enum kolk_err pull(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct mcp_exchange *exchange = user;
	enum kolk_err err = KOLK_OK;

	*size = 0;
	if (exchange->stream != NULL)
		err = mcp_stream_pull(exchange->stream, buffer, capacity, size);
	exchange->waits = err == KOLK_PENDING;
	return err;
}

static void comment(struct kolk_timer *timer, void *user)
{
	struct mcp_exchange *exchange = user;
	struct mcp_fixture *fixture = exchange->fixture;

	if (exchange->stream == NULL)
		return;
	mcp_stream_put(exchange->stream, ": \n\n", 4);
	(void)kolk_timer_start(fixture->loop, timer, kolk_in_ms(fixture->options.comment), comment,
			       exchange);
}

void mcp_show(struct mcp_exchange *exchange, struct mcp_stream *stream, const char *type)
{
	const struct mcp_session *session = stream->session;
	struct mcp_fixture *fixture = exchange->fixture;
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);
	struct kolk_http_field fields[FIELDS_MAX];
	struct mcp_reply reply = { .status = stream->status, .type = type };

	if (session != NULL && session != fixture->anonymous &&
	    session->version >= MCP_2025_03_26 && !fixture->options.no_session_id)
		reply.session = session->id;
	answer_fields(&reply, &answer, fields);
	answer.pull = pull;
	answer.pull_size = KOLK_HTTP_CHUNKED;
	give(exchange, &answer);
	if (fixture->options.comment != 0 && stream->kind == MCP_SSE)
		(void)kolk_timer_start(fixture->loop, &exchange->timer,
				       kolk_in_ms(fixture->options.comment), comment, exchange);
}

/* ---- who may ask */

static bool is_this_machine(const char *authority)
{
	static const char *const names[] = { "localhost", "127.0.0.1", "[::1]" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		size_t size = strlen(names[i]);

		if (strncasecmp(authority, names[i], size) == 0 &&
		    (authority[size] == '\0' || authority[size] == ':'))
			return true;
	}
	return false;
}

static bool may_ask(const struct mcp_exchange *exchange)
{
	const char *origin = mcp_field(exchange, "origin");

	if (exchange->fixture->options.any_host)
		return true;
	if (!is_this_machine(exchange->head->authority))
		return false;
	if (origin == NULL)
		return true;
	origin = strstr(origin, "://");
	return origin != NULL && is_this_machine(origin + 3);
}

/* ---- paths */

static void forget(struct mcp_exchange *exchange)
{
	mcp_sessions_forget(exchange->fixture);
	mcp_accepted(exchange);
}

static void end_streams(struct mcp_exchange *exchange)
{
	mcp_streams_end(exchange->fixture);
	mcp_accepted(exchange);
}

static const struct path {
	const char *path, *method;
	void (*run)(struct mcp_exchange *exchange);
} paths[] = {
	{ "/mcp", "POST", mcp_post },
	{ "/mcp", "GET", mcp_get },
	{ "/mcp", "DELETE", mcp_delete },
	{ "/sse", "GET", mcp_get_sse },
	{ "/message", "POST", mcp_post_message },
	{ "/numbers", "GET", mcp_numbers },
	{ "/forget", "POST", forget },
	{ "/end-streams", "POST", end_streams },
};

static bool is_path(const char *target, const char *path)
{
	size_t size = strlen(path);

	return strncmp(target, path, size) == 0 && (target[size] == '\0' || target[size] == '?');
}

static void route(struct mcp_exchange *exchange)
{
	bool found = false;

	if (!may_ask(exchange)) {
		mcp_refuse(exchange, 403, MCP_REFUSED, "Forbidden: Host or Origin");
		return;
	}
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		if (!is_path(exchange->head->target, paths[i].path))
			continue;
		found = true;
		if ((strcmp(paths[i].path, "/mcp") == 0 || strcmp(paths[i].path, "/sse") == 0) &&
		    !mcp_is_authorized(exchange))
			return;
		if (strcmp(exchange->head->method, paths[i].method) == 0) {
			paths[i].run(exchange);
			return;
		}
	}
	mcp_refuse(exchange, found ? 405 : 404, MCP_REFUSED,
		   found ? "Method not allowed" : "Not found");
}

/* ---- handlers */

static void *on_request(void *user, struct kolk_http_server_exchange *http,
			const struct kolk_http_request_head *head)
{
	struct mcp_exchange *exchange = calloc(1, sizeof *exchange);

	*exchange = (struct mcp_exchange){ .fixture = user, .http = http, .head = head };
	return exchange;
}

static void on_body(void *user, struct kolk_http_server_exchange *http, const void *data,
		    size_t size)
{
	struct mcp_exchange *exchange = user;

	(void)http;
	if (exchange->size + size > exchange->capacity) {
		exchange->capacity = 2 * (exchange->size + size);
		exchange->body = realloc(exchange->body, exchange->capacity);
	}
	memcpy(exchange->body + exchange->size, data, size);
	exchange->size += size;
}

static void on_body_end(void *user, struct kolk_http_server_exchange *http,
			const struct kolk_http_field *trailers, size_t count)
{
	(void)http, (void)trailers, (void)count;
	route(user);
}

static void on_end(void *user, struct kolk_http_server_exchange *http, enum kolk_err err)
{
	struct mcp_exchange *exchange = user;

	(void)http, (void)err;
	kolk_timer_stop(&exchange->timer);
	if (exchange->stream != NULL)
		mcp_stream_left(exchange->stream);
	free(exchange->answer);
	free(exchange->body);
	free(exchange);
}

const struct kolk_http_server_handler mcp_http_handler = { .size = sizeof mcp_http_handler,
							   .request = on_request,
							   .body = on_body,
							   .body_end = on_body_end,
							   .end = on_end };
