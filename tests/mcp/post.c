/* SPDX-License-Identifier: Apache-2.0 */
/* post.c - POST, GET and DELETE of eras that have sessions; and lines of stdio. */
#include <stdlib.h>
#include <string.h>

#include "tests/mcp/tools.h"

enum kind { REQUEST, NOTIFICATION, RESPONSE, WRONG };

static enum kind kind_of(const json_t *message)
{
	const json_t *id = json_object_get(message, "id");
	const json_t *version = json_object_get(message, "jsonrpc");
	bool answers = json_object_get(message, "result") != NULL ||
		       json_object_get(message, "error") != NULL;

	if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0)
		return WRONG;
	if (json_is_string(json_object_get(message, "method")))
		return id == NULL ? NOTIFICATION :
		       json_is_string(id) || json_is_number(id) ? REQUEST : WRONG;
	return answers ? RESPONSE : WRONG;
}

static bool is_method(const json_t *message, const char *method)
{
	const char *given = json_string_value(json_object_get(message, "method"));

	return given != NULL && strcmp(given, method) == 0;
}

static bool serves_sessions(const struct mcp_fixture *fixture)
{
	return (fixture->versions & ~(1u << MCP_2026_07_28 | 1u << MCP_2024_11_05)) != 0;
}

/* ---- messages of a session */

static void note(struct mcp_session *session, const json_t *message, enum kind kind)
{
	if (kind == NOTIFICATION)
		mcp_notification(session->fixture, session, message);
	else if (kind == RESPONSE)
		mcp_replied(session, message);
}

static bool batch_is_right(const struct mcp_session *session, const json_t *messages,
			   uint32_t *requests)
{
	const json_t *message;
	size_t i;

	json_array_foreach(messages, i, message) {
		enum kind kind = kind_of(message);

		if (kind == WRONG || is_method(message, "initialize"))
			return false;
		*requests += kind == REQUEST;
	}
	return i > 0 && session->version == MCP_2025_03_26;
}

static void serve_batch(struct mcp_exchange *exchange, struct mcp_session *session,
			json_t *messages)
{
	struct mcp_stream *stream = NULL;
	uint32_t requests = 0;
	json_t *message;
	size_t i;

	mcp_count(exchange->fixture, MCP_N_batches, 1);
	if (!batch_is_right(session, messages, &requests)) {
		mcp_refuse(exchange, 400, MCP_INVALID, "Invalid batch");
		return;
	}
	if (requests > 0) {
		stream = mcp_stream_new(exchange->fixture, session);
		stream->batch = true;
		stream->pending = requests + 1; /* one for this function */
		mcp_stream_attach(stream, exchange);
	} else {
		mcp_accepted(exchange);
	}
	json_array_foreach(messages, i, message)
		if (kind_of(message) == REQUEST)
			mcp_request(stream, message, exchange);
		else
			note(session, message, kind_of(message));
	if (stream != NULL)
		mcp_unanswered(stream);
}

static void serve_one(struct mcp_exchange *exchange, struct mcp_session *session, json_t *message)
{
	struct mcp_stream *stream;

	if (kind_of(message) != REQUEST) {
		mcp_accepted(exchange);
		note(session, message, kind_of(message));
		return;
	}
	stream = mcp_stream_new(exchange->fixture, session);
	stream->pending = 1;
	mcp_stream_attach(stream, exchange);
	mcp_request(stream, message, exchange);
}

/* ---- whose session, and whether it is lost by now */

static bool version_is_right(struct mcp_exchange *exchange, const struct mcp_session *session)
{
	const char *version = mcp_field(exchange, "mcp-protocol-version");

	if (session->version < MCP_2025_06_18)
		return true;
	if (version == NULL)
		mcp_count(exchange->fixture, MCP_N_version_missing, 1);
	return version == NULL || strcmp(version, mcp_versions[session->version]) == 0;
}

static bool is_lost(struct mcp_exchange *exchange, struct mcp_session *session)
{
	const struct mcp_options *options = &exchange->fixture->options;
	uint32_t status = options->lose != 0 ? 404 : options->lose_400 != 0 ? 400 : 410;
	uint32_t after = options->lose + options->lose_400 + options->lose_410;

	if (after == 0 || session->requests++ < after)
		return false;
	mcp_count(exchange->fixture, MCP_N_faults, 1);
	mcp_session_end(session, MCP_N_sessions_lost);
	mcp_refuse(exchange, status, MCP_REFUSED,
		   status == 400 ? "Bad Request: no valid session ID provided" : "Session not found");
	return true;
}

/* The session that it names, or an answer. */
static struct mcp_session *session_of(struct mcp_exchange *exchange)
{
	const char *id = mcp_field(exchange, "mcp-session-id");
	struct mcp_fixture *fixture = exchange->fixture;
	struct mcp_session *session;

	if (fixture->anonymous != NULL)
		return fixture->anonymous;
	if (id == NULL) {
		mcp_count(fixture, MCP_N_session_missing, 1);
		mcp_refuse(exchange, 400, MCP_REFUSED, "Bad Request: Mcp-Session-Id is required");
		return NULL;
	}
	session = mcp_session_find(fixture, id);
	if (session == NULL || session->stdio) {
		mcp_count(fixture, MCP_N_session_unknown, 1);
		mcp_refuse(exchange, 404, -32001, "Session not found");
		return NULL;
	}
	if (strcmp(session->principal, exchange->principal) != 0) {
		mcp_count(fixture, MCP_N_foreign, 1);
		mcp_refuse(exchange, 404, -32001, "Session not found");
		return NULL;
	}
	if (!version_is_right(exchange, session)) {
		mcp_refuse(exchange, 400, MCP_REFUSED, "Bad Request: MCP-Protocol-Version");
		return NULL;
	}
	return session;
}

/* ---- faults that come before anything else */

static bool fails(struct mcp_exchange *exchange, const json_t *message)
{
	struct mcp_fixture *fixture = exchange->fixture;
	const struct mcp_options *options = &fixture->options;

	if (is_method(message, "initialize") || is_method(message, "server/discover")) {
		if (options->init_status != 0)
			mcp_refuse(exchange, options->init_status, MCP_REFUSED, "init_status");
		return options->init_status != 0;
	}
	if (json_object_get(message, "id") == NULL)
		return false;
	if (mcp_fails(fixture, reset)) {
		kolk_http_server_cancel(exchange->http);
		return true;
	}
	if (mcp_fails(fixture, fail)) {
		mcp_refuse(exchange, options->fail_status != 0 ? options->fail_status : 503,
			   MCP_REFUSED, "fail");
		return true;
	}
	return false;
}

/* ---- POST */

static void post_initialize(struct mcp_exchange *exchange, json_t *message)
{
	struct mcp_fixture *fixture = exchange->fixture;
	struct mcp_session *session = fixture->anonymous;

	if (session != NULL) { /* stateless: all clients have it */
		json_decref(session->capabilities);
		json_decref(session->client);
		session->capabilities = session->client = NULL;
	} else {
		session = mcp_session_new(fixture);
		memcpy(session->principal, exchange->principal, sizeof session->principal);
	}
	serve_one(exchange, session, message);
}

/* Of a server that has no sessions. */
static json_t *no_version(const json_t *message)
{
	json_t *wanted = json_object_get(json_object_get(message, "params"), "protocolVersion");

	return mcp_error_object(MCP_NO_VERSION, "Unsupported protocol version",
				json_pack("{s:[s], s:O*}", "supported", mcp_versions[MCP_2026_07_28],
					  "requested", wanted));
}

static void post_legacy(struct mcp_exchange *exchange, json_t *message)
{
	struct mcp_session *session;

	if (!serves_sessions(exchange->fixture)) {
		json_t *error = mcp_error_message(json_object_get(message, "id"), no_version(message));

		mcp_reply(exchange, &(struct mcp_reply){ .status = 400, .type = "application/json",
							 .text = json_dumps(error, JSON_COMPACT) });
		json_decref(error);
	} else if (is_method(message, "initialize") && mcp_field(exchange, "mcp-session-id") == NULL) {
		post_initialize(exchange, message);
	} else {
		session = session_of(exchange);
		if (session == NULL || is_lost(exchange, session))
			return;
		if (json_is_array(message))
			serve_batch(exchange, session, message);
		else
			serve_one(exchange, session, message);
	}
}

static bool accepts(const struct mcp_exchange *exchange, const char *type)
{
	const char *accept = mcp_field(exchange, "accept");

	return accept != NULL && (strstr(accept, type) != NULL || strstr(accept, "*/*") != NULL);
}

static bool post_is_right(struct mcp_exchange *exchange)
{
	const char *type = mcp_field(exchange, "content-type");

	if (type == NULL || strncmp(type, "application/json", 16) != 0)
		mcp_refuse(exchange, 415, MCP_REFUSED, "Content-Type must be application/json");
	else if (!accepts(exchange, "application/json") || !accepts(exchange, "text/event-stream"))
		mcp_refuse(exchange, 406, MCP_REFUSED,
			   "Accept must have application/json and text/event-stream");
	return !exchange->answered;
}

static json_t *message_of(struct mcp_exchange *exchange)
{
	json_t *message = json_loadb(exchange->body, exchange->size, JSON_ALLOW_NUL, NULL);

	if (message == NULL) {
		mcp_refuse(exchange, 400, MCP_PARSE, "Parse error");
	} else if (!json_is_array(message) && kind_of(message) == WRONG) {
		mcp_refuse(exchange, 400, MCP_INVALID, "Invalid Request");
		json_decref(message);
		message = NULL;
	}
	return message;
}

void mcp_post(struct mcp_exchange *exchange)
{
	json_t *message;

	if (!post_is_right(exchange) || (message = message_of(exchange)) == NULL)
		return;
	if (fails(exchange, message))
		;
	else if ((exchange->fixture->versions & 1u << MCP_2026_07_28) != 0 &&
		 mcp_is_modern(exchange, message))
		mcp_post_modern(exchange, message);
	else
		post_legacy(exchange, message);
	json_decref(message);
}

/* ---- GET and DELETE */

static void get_open(struct mcp_exchange *exchange, struct mcp_session *session)
{
	struct mcp_stream *before = session->get;
	struct mcp_stream *stream = mcp_stream_new(exchange->fixture, session);

	if (before != NULL) { /* nothing shows it, and its events can be asked for as before */
		before->standing = false;
		mcp_stream_free_if_over(before);
	}
	session->get = stream;
	stream->standing = stream->get = true;
	mcp_stream_attach(stream, exchange);
	mcp_stream_sse(stream);
}

void mcp_get(struct mcp_exchange *exchange)
{
	const char *version = mcp_field(exchange, "mcp-protocol-version");
	const char *last = mcp_field(exchange, "last-event-id");
	struct mcp_fixture *fixture = exchange->fixture;
	struct mcp_session *session;

	if (!serves_sessions(fixture) || fixture->options.stateless ||
	    (version != NULL && strcmp(version, mcp_versions[MCP_2026_07_28]) == 0)) {
		mcp_refuse(exchange, 405, MCP_REFUSED, "Method not allowed");
	} else if (!accepts(exchange, "text/event-stream")) {
		mcp_refuse(exchange, 406, MCP_REFUSED, "Accept must have text/event-stream");
	} else if ((session = session_of(exchange)) != NULL) {
		if (fixture->options.conflict ||
		    (last == NULL && session->get != NULL && session->get->exchange != NULL))
			mcp_refuse(exchange, 409, MCP_REFUSED, "Conflict: one stream per session");
		else if (last != NULL)
			mcp_resume(exchange, session, last);
		else
			get_open(exchange, session);
	}
}

void mcp_delete(struct mcp_exchange *exchange)
{
	const char *version = mcp_field(exchange, "mcp-protocol-version");
	struct mcp_session *session;

	if (!serves_sessions(exchange->fixture) || exchange->fixture->options.stateless ||
	    (version != NULL && strcmp(version, mcp_versions[MCP_2026_07_28]) == 0)) {
		mcp_refuse(exchange, 405, MCP_REFUSED, "Method not allowed");
		return;
	}
	session = session_of(exchange);
	if (session == NULL)
		return;
	mcp_session_end(session, MCP_N_sessions_deleted);
	mcp_reply(exchange, &(struct mcp_reply){ .status = 200 });
}

/* ---- 2024-11-05: a GET is the session */

static void put_endpoint(const struct mcp_exchange *exchange, struct mcp_session *session)
{
	const char *wanted = session->fixture->options.endpoint;
	const char *address = wanted != NULL ? strstr(wanted, "%s") : NULL;
	char event[512];

	if (wanted == NULL)
		wanted = "/message?sessionId=";
	snprintf(event, sizeof event, "event: endpoint\ndata: %.*s%s%s%s\n\n",
		 (int)(address != NULL ? address - wanted : 0), wanted,
		 address != NULL ? exchange->head->authority : "", address != NULL ? address + 2 : wanted,
		 session->id);
	if (wanted[0] != '\0')
		mcp_stream_put(session->get, event, strlen(event));
}

void mcp_get_sse(struct mcp_exchange *exchange)
{
	struct mcp_session *session;

	if ((exchange->fixture->versions & 1u << MCP_2024_11_05) == 0) {
		mcp_refuse(exchange, 404, MCP_REFUSED, "Not found");
		return;
	}
	session = mcp_session_new(exchange->fixture);
	session->version = MCP_2024_11_05;
	session->get = mcp_stream_new(exchange->fixture, session);
	session->get->standing = session->get->get = session->get->named = true;
	mcp_stream_attach(session->get, exchange);
	mcp_stream_sse(session->get);
	put_endpoint(exchange, session);
}

void mcp_post_message(struct mcp_exchange *exchange)
{
	const char *id = strstr(exchange->head->target, "sessionId=");
	struct mcp_session *session = id != NULL ? mcp_session_find(exchange->fixture, id + 10) : NULL;
	json_t *message;

	if (session == NULL || session->version != MCP_2024_11_05 || session->get == NULL) {
		mcp_count(exchange->fixture, MCP_N_session_unknown, 1);
		mcp_refuse(exchange, 404, MCP_REFUSED, "Session not found");
		return;
	}
	message = message_of(exchange);
	if (message != NULL && !fails(exchange, message) && !is_lost(exchange, session)) {
		mcp_accepted(exchange);
		if (kind_of(message) == REQUEST) {
			session->get->pending++;
			mcp_request(session->get, message, exchange);
		} else {
			note(session, message, kind_of(message));
		}
	}
	json_decref(message);
}

/* ---- stdio */

static void line_batch(struct mcp_fixture *fixture, json_t *messages)
{
	json_t *message;
	size_t i;

	mcp_count(fixture, MCP_N_batches, 1);
	json_array_foreach(messages, i, message)
		if (kind_of(message) == REQUEST) {
			fixture->lines->pending++;
			mcp_request(fixture->lines, message, NULL);
		} else {
			note(fixture->stdio, message, kind_of(message));
		}
}

void mcp_line(struct mcp_fixture *fixture, const char *line, size_t size)
{
	json_t *message = json_loadb(line, size, JSON_ALLOW_NUL, NULL), *error = NULL;
	enum kind kind = json_is_array(message) ? NOTIFICATION : kind_of(message);
	uint32_t status;

	if (message == NULL || kind == WRONG)
		error = mcp_error_object(message == NULL ? MCP_PARSE : MCP_INVALID, "Invalid Request",
					 NULL);
	else if (kind == REQUEST && (fixture->versions & 1u << MCP_2026_07_28) != 0 &&
		 mcp_is_modern(NULL, message))
		error = mcp_modern_error(fixture, message, NULL, &status);
	else if (kind == REQUEST && fixture->versions == 1u << MCP_2026_07_28)
		error = no_version(message);
	if (error != NULL) {
		mcp_send(fixture->lines, mcp_error_message(json_object_get(message, "id"), error));
	} else if (json_is_array(message)) {
		line_batch(fixture, message);
	} else if (kind == REQUEST) {
		fixture->lines->pending++;
		mcp_request(fixture->lines, message, NULL);
	} else {
		note(fixture->stdio, message, kind);
	}
	json_decref(message);
}
