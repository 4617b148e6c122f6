/* SPDX-License-Identifier: Apache-2.0 */
/* session.c - sessions by their id, how they end, what is pushed to them. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "tests/mcp/inside.h"

static struct mcp_session **bucket(struct mcp_fixture *fixture, const char *id)
{
	uint32_t hash = 2166136261u;

	for (; *id != '\0'; id++)
		hash = (hash ^ (uint8_t)*id) * 16777619u;
	return &fixture->buckets[hash % MCP_BUCKETS];
}

static void id_make(char id[33])
{
	uint8_t bytes[16];

	(void)!getrandom(bytes, sizeof bytes, 0);
	for (size_t i = 0; i < sizeof bytes; i++)
		sprintf(id + 2 * i, "%02x", bytes[i]);
}

struct mcp_session *mcp_session_new(struct mcp_fixture *fixture)
{
	struct mcp_session *session = calloc(1, sizeof *session);
	struct mcp_session **at;

	*session = (struct mcp_session){ .fixture = fixture, .version = MCP_2025_03_26 };
	id_make(session->id);
	session->last_used_ns = kolk_in_ns(0);
	at = bucket(fixture, session->id);
	session->next = *at;
	*at = session;
	mcp_count(fixture, MCP_N_sessions_open, 1);
	mcp_count(fixture, MCP_N_sessions_created, 1);
	return session;
}

struct mcp_session *mcp_session_find(struct mcp_fixture *fixture, const char *id)
{
	uint64_t now_ns = kolk_in_ns(0), ttl_ns = fixture->options.session_ttl * UINT64_C(1000000);
	struct mcp_session *session = *bucket(fixture, id);

	while (session != NULL && strcmp(session->id, id) != 0)
		session = session->next;
	if (session != NULL && ttl_ns != 0 && now_ns - session->last_used_ns > ttl_ns) {
		mcp_session_end(session, MCP_N_sessions_lost);
		return NULL;
	}
	if (session != NULL)
		session->last_used_ns = now_ns;
	return session;
}

static void unlink_session(struct mcp_session *session)
{
	struct mcp_fixture *fixture = session->fixture;
	struct mcp_session **at = bucket(fixture, session->id);

	while (*at != session)
		at = &(*at)->next;
	*at = session->next;
	if (fixture->anonymous == session)
		fixture->anonymous = NULL;
	if (fixture->stdio == session)
		fixture->stdio = NULL;
}

static void streams_leave(struct mcp_session *session)
{
	struct mcp_stream *stream;

	while ((stream = session->streams) != NULL) {
		session->streams = stream->next;
		stream->session = NULL;
		stream->standing = false;
		if (stream->exchange != NULL && !stream->ends)
			mcp_stream_end(stream);
		mcp_stream_free_if_over(stream);
	}
}

void mcp_session_end(struct mcp_session *session, enum mcp_number why)
{
	unlink_session(session);
	while (session->calls != NULL)
		mcp_call_drop(session->calls);
	streams_leave(session);
	for (size_t i = 0; session->log != NULL && i < MCP_LOG; i++)
		free(session->log[i].text);
	free(session->log);
	json_decref(session->client);
	json_decref(session->capabilities);
	json_decref(session->subscribed);
	mcp_count(session->fixture, MCP_N_sessions_open, -1);
	mcp_count(session->fixture, why, 1);
	free(session);
}

void mcp_sessions_forget(struct mcp_fixture *fixture)
{
	for (size_t i = 0; i < MCP_BUCKETS; i++)
		while (fixture->buckets[i] != NULL)
			mcp_session_end(fixture->buckets[i], MCP_N_sessions_lost);
}

/* ---- what is pushed */

void mcp_notify(struct mcp_session *session, json_t *message)
{
	struct mcp_fixture *fixture = session->fixture;

	if (session->get == NULL) {
		mcp_count(fixture, MCP_N_dropped, 1);
		json_decref(message);
		return;
	}
	mcp_count(fixture, session->get->exchange != NULL || session->stdio ? MCP_N_pushed :
									      MCP_N_dropped, 1);
	mcp_send(session->get, message);
}

/* To a listen stream: with its id. */
static void notify_listener(struct mcp_call *call, const char *method, json_t *params)
{
	json_object_set_new(params, "_meta", json_pack("{s:O}", MCP_META("subscriptionId"), call->id));
	mcp_count(call->fixture, MCP_N_pushed, 1);
	mcp_send(call->stream, mcp_message(method, params));
}

static const json_t *filter(const struct mcp_call *call)
{
	return json_object_get(call->params, "notifications");
}

void mcp_notify_all(struct mcp_fixture *fixture, const char *change)
{
	char method[64], wanted[64];

	snprintf(method, sizeof method, "notifications/%s/list_changed", change);
	snprintf(wanted, sizeof wanted, "%sListChanged", change);
	for (size_t i = 0; i < MCP_BUCKETS; i++)
		for (struct mcp_session *at = fixture->buckets[i]; at != NULL; at = at->next)
			if (at->get != NULL && at->initialized)
				mcp_notify(at, mcp_message(method, NULL));
	for (struct mcp_call *call = fixture->calls; call != NULL; call = call->next)
		if (call->listens && json_is_true(json_object_get(filter(call), wanted)))
			notify_listener(call, method, json_object());
}

static bool listens_to(const struct mcp_call *call, const char *uri)
{
	const json_t *uris = json_object_get(filter(call), "resourceSubscriptions");
	const json_t *one;
	size_t i;

	json_array_foreach(uris, i, one)
		if (json_is_string(one) && strcmp(json_string_value(one), uri) == 0)
			return true;
	return false;
}

void mcp_notify_updated(struct mcp_fixture *fixture, const char *uri)
{
	static const char method[] = "notifications/resources/updated";

	for (size_t i = 0; i < MCP_BUCKETS; i++)
		for (struct mcp_session *at = fixture->buckets[i]; at != NULL; at = at->next)
			if (json_object_get(at->subscribed, uri) != NULL)
				mcp_notify(at, mcp_message(method, json_pack("{s:s}", "uri", uri)));
	for (struct mcp_call *call = fixture->calls; call != NULL; call = call->next)
		if (call->listens && listens_to(call, uri))
			notify_listener(call, method, json_pack("{s:s}", "uri", uri));
}

/* GET streams close; listen streams end with a result. */
void mcp_streams_end(struct mcp_fixture *fixture)
{
	struct mcp_call *next;

	for (struct mcp_call *call = fixture->calls; call != NULL; call = next) {
		next = call->next;
		if (call->listens)
			mcp_result(call, json_pack("{s:{s:O}}", "_meta", MCP_META("subscriptionId"),
						   call->id));
	}
	for (size_t i = 0; i < MCP_BUCKETS; i++)
		for (struct mcp_session *at = fixture->buckets[i]; at != NULL; at = at->next)
			if (at->get != NULL && at->get->exchange != NULL)
				mcp_stream_end(at->get);
}
