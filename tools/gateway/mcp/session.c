/* SPDX-License-Identifier: Apache-2.0 */
/* session.c - sessions of clients: each is a client of its own of the upstream (kolk/mcp.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/mcp/adapt.h"
#include "tools/gateway/mcp/client.h"
#include "tools/gateway/mcp/federation.h"
#include "tools/gateway/warm/warm.h"

/* ---- made */

static bool is_version(const char *version)
{
	static const char *const known[] = { "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25" };

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(version, known[i]) == 0)
			return true;
	return false;
}

const char *gw_mcp_version_asked(const struct kolk_mcp_envelope *message)
{
	return is_version(message->version) ? message->version : NULL;
}

static char *copy(struct kolk_mcp_part part)
{
	return part.size > 0 ? strndup(part.data, part.size) : NULL;
}

const char *gw_mcp_session_name(const struct gw_loop *loop, char name[GW_MCP_SESSION_NAME])
{
	snprintf(name, GW_MCP_SESSION_NAME, "%x.%llx", kolk_loop_index(loop->loop),
		 (unsigned long long)++loop->mcp->generation);
	return name;
}

/* One that was made before it came, for such a client of its tenant. */
static bool take_client(struct gw_mcp_session *session, struct gw_mcp_call *call)
{
	session->client = call->adapts ? NULL : gw_warm_ahead_take(call);
	session->ahead = session->client != NULL;
	session->holder = call->holder;
	return session->ahead;
}

/* What the client says of itself is what the server is told. A version that is not known: the
 * server's answer says which is. */
static enum kolk_err open_client(struct gw_mcp_session *session, struct gw_mcp_call *call)
{
	const struct kolk_mcp_envelope *message = call->message;
	struct kolk_mcp_client_options options = KOLK_INIT(kolk_mcp_client_options);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	bool multiplexed = session->pool->options.sharing == KOLK_MCP_MULTIPLEXED;
	char *capabilities = multiplexed ? NULL : copy(message->capabilities);
	char *client_info = copy(message->client_info);
	char name[GW_MCP_SESSION_NAME];
	enum kolk_err err;

	who.tenant = call->tenant[0] != '\0' ? call->tenant : NULL;
	if (session->pool->options.isolation == KOLK_MCP_ISOLATION_SESSION)
		who.session = gw_mcp_session_name(session->loop, name);
	options.who = &who;
	options.protocol_version = gw_mcp_version_asked(message);
	options.capabilities = capabilities;
	options.client_info = client_info;
	err = gw_mcp_client_open(call,
				 !call->adapts                ? session->pool->sessions :
				 session->pool->modern != NULL ? session->pool->modern :
								 session->pool->calls,
				 &options, &session->client);
	session->holder = call->holder;
	free(capabilities);
	free(client_info);
	return err;
}

static void list(struct gw_mcp_loop *mcp, struct gw_mcp_session *session)
{
	session->at = &mcp->all;
	session->next = mcp->all;
	if (session->next != NULL)
		session->next->at = &session->next;
	mcp->all = session;
}

struct gw_mcp_session *gw_mcp_session_make(struct gw_mcp_call *call, enum kolk_err *err)
{
	struct gw_mcp_session *session = calloc(1, sizeof *session);
	struct gw_mcp_loop *mcp = call->home->mcp;

	*err = KOLK_E_MEMORY;
	if (session == NULL)
		return NULL;
	session->loop = call->home;
	session->pool = call->pool;
	call->adapts = call->adapts || gw_mcp_is_stateless(call->pool);
	*err = take_client(session, call) ? KOLK_OK : open_client(session, call);
	if (*err == KOLK_OK && call->adapts && !gw_mcp_adapt(session))
		*err = KOLK_E_MEMORY;
	if (*err != KOLK_OK) {
		if (session->client != NULL)
			kolk_mcp_client_close(session->client);
		free(session);
		return NULL;
	}
	list(mcp, session);
	return session;
}

struct gw_mcp_session *gw_mcp_session_make_federated(struct gw_mcp_call *call)
{
	struct gw_mcp_session *session = calloc(1, sizeof *session);

	if (session == NULL)
		return NULL;
	session->loop = call->home;
	session->pool = call->pool;
	session->federated = gw_mcp_federated_make(call);
	if (session->federated == NULL) {
		free(session);
		return NULL;
	}
	list(call->home->mcp, session);
	return session;
}

/* ---- ended */

static bool is_open(const struct gw_mcp_session *session)
{
	return session->client != NULL ||
	       (session->federated != NULL && !session->federated->closed);
}

static void free_if_over(struct gw_mcp_session *session)
{
	if (is_open(session) || session->calls != NULL)
		return;
	*session->at = session->next;
	if (session->next != NULL)
		session->next->at = session->at;
	gw_mcp_adapted_free(session->adapted);
	gw_mcp_federated_free(session->federated);
	free(session);
}

void gw_mcp_session_close(struct gw_mcp_session *session)
{
	struct gw_mcp_loop *mcp = session->loop->mcp;
	struct kolk_mcp_client *client = session->client;

	if (!is_open(session))
		return;
	kolk_timer_stop(&session->idle);
	if (session->generation != 0) {
		mcp->slots[session->slot] = NULL;
		mcp->count--;
		mcp->free_slots[mcp->capacity - mcp->count - 1] = session->slot;
		session->generation = 0;
	}
	session->retired = false; /* its last call does not close it once more */
	gw_mcp_input_close(session);
	gw_warm_session_end(session->loop, session->warm);
	session->warm = NULL;
	session->client = NULL;
	if (session->federated != NULL)
		gw_mcp_federated_close(session);
	else
		kolk_mcp_client_close(client); /* its calls end from step */
	free_if_over(session);
}

static bool is_busy(const struct gw_mcp_session *session)
{
	return session->calls != NULL ||
	       (session->federated != NULL && gw_mcp_federated_is_busy(session));
}

uint32_t gw_mcp_sessions_busy(const struct gw_mcp_loop *mcp)
{
	uint32_t busy = 0;

	if (mcp != NULL)
		for (const struct gw_mcp_session *session = mcp->all; session != NULL;
		     session = session->next)
			busy += is_busy(session);
	return busy;
}

/* It is put off by calls, and by what is under way. */
static void on_idle(struct kolk_timer *timer, void *user)
{
	struct gw_mcp_session *session = user;
	uint64_t due_ns = session->used_ns + session->pool->idle_timeout_ns;
	uint64_t now_ns = kolk_loop_now(session->loop->loop);

	if (!is_busy(session) && now_ns >= due_ns) {
		gw_mcp_session_close(session);
		return;
	}
	if (now_ns >= due_ns)
		due_ns = now_ns + session->pool->idle_timeout_ns;
	(void)kolk_timer_start(session->loop->loop, timer, due_ns, on_idle, session);
}

/* ---- found */

/* None is free. */
static bool grow(struct gw_mcp_loop *mcp)
{
	uint32_t capacity = mcp->capacity == 0 ? 64 : 2 * mcp->capacity;
	struct gw_mcp_session **grown;
	uint32_t *grown_free;

	if (capacity > GW_MCP_SESSIONS_MAX)
		return false;
	grown = realloc(mcp->slots, capacity * sizeof *grown);
	if (grown != NULL)
		mcp->slots = grown;
	grown_free = realloc(mcp->free_slots, capacity * sizeof *grown_free);
	if (grown_free != NULL)
		mcp->free_slots = grown_free;
	if (grown == NULL || grown_free == NULL)
		return false;
	memset(grown + mcp->capacity, 0, (capacity - mcp->capacity) * sizeof *grown);
	for (uint32_t i = 0; i < capacity - mcp->capacity; i++)
		grown_free[i] = capacity - 1 - i;
	mcp->capacity = capacity;
	gw_mcp_ids_fit(&mcp->ids, capacity);
	return true;
}

bool gw_mcp_session_enter(struct gw_mcp_session *session)
{
	struct gw_mcp_loop *mcp = session->loop->mcp;

	if (mcp->count == mcp->capacity && !grow(mcp))
		return false;
	session->slot = mcp->free_slots[mcp->capacity - mcp->count - 1];
	session->generation = ++mcp->generation;
	mcp->slots[session->slot] = session;
	mcp->count++;
	session->used_ns = kolk_loop_now(session->loop->loop);
	if (session->pool->idle_timeout_ns != KOLK_FOREVER)
		(void)kolk_timer_start(session->loop->loop, &session->idle,
				       session->used_ns + session->pool->idle_timeout_ns, on_idle,
				       session);
	return true;
}

/* The server is shown another principal's token now: what is under way goes on, and nothing is begun.
 * The session may be gone then. */
static bool is_retired(struct gw_mcp_session *session, const struct gw_mcp_call *call)
{
	const struct gw_mcp_holder *now = gw_mcp_holder_of(session->pool);
	bool begins = call->kind == GW_MCP_REQUEST || call->kind == GW_MCP_LISTEN;

	if (now != NULL && now != session->holder)
		gw_mcp_session_retire(session);
	if (!session->retired || !begins)
		return false;
	if (session->calls == NULL)
		gw_mcp_session_close(session);
	return true;
}

void gw_mcp_session_retire(struct gw_mcp_session *session)
{
	if (session->retired)
		return;
	session->retired = true;
	for (struct gw_mcp_call *call = session->calls; call != NULL; call = call->next)
		if (call->kind == GW_MCP_LISTEN && call->back != NULL)
			kolk_mcp_cancel(call->back);
}

struct gw_mcp_session *gw_mcp_session_find(struct gw_mcp_call *call)
{
	struct gw_mcp_loop *mcp = call->home->mcp;
	struct gw_mcp_session *session =
		call->slot < mcp->capacity ? mcp->slots[call->slot] : NULL;

	if (session == NULL || session->generation != call->generation ||
	    session->pool != call->pool || is_retired(session, call))
		return NULL;
	session->used_ns = kolk_loop_now(session->loop->loop);
	return session;
}

/* ---- calls */

void gw_mcp_session_add(struct gw_mcp_session *session, struct gw_mcp_call *call)
{
	call->session = session;
	call->at = &session->calls;
	call->next = session->calls;
	if (call->next != NULL)
		call->next->at = &call->next;
	session->calls = call;
}

void gw_mcp_session_remove(struct gw_mcp_call *call)
{
	struct gw_mcp_session *session = call->session;

	call->session = NULL;
	*call->at = call->next;
	if (call->next != NULL)
		call->next->at = call->at;
	session->used_ns = kolk_loop_now(session->loop->loop);
	if (session->retired && session->calls == NULL && session->client != NULL)
		gw_mcp_session_close(session);
	else
		free_if_over(session);
}

/* ---- what the client says of calls */

static bool is_id(const struct gw_mcp_ask *ask, struct kolk_mcp_part id)
{
	char text[24];

	if (ask->shown == 0)
		return ask->size == id.size && memcmp(ask->id, id.data, id.size) == 0;
	return (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)ask->shown) ==
		       id.size && memcmp(text, id.data, id.size) == 0;
}

bool gw_mcp_session_reply(struct gw_mcp_session *session, const struct kolk_mcp_envelope *answer)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);
	struct gw_mcp_call *asked = session->calls;
	struct gw_mcp_ask **at = NULL, *ask = NULL;

	if (session->adapted != NULL)
		return gw_mcp_input_reply(session, answer);
	for (; asked != NULL && ask == NULL; asked = ask == NULL ? asked->next : asked)
		for (at = &asked->asks; *at != NULL && ask == NULL; at = ask == NULL ? &(*at)->next : at)
			if (is_id(*at, answer->id))
				ask = *at;
	if (ask == NULL)
		return false; /* it comes too late */
	result.result = answer->result.data;
	result.result_size = answer->result.size;
	result.error = answer->error.data;
	result.error_size = answer->error.size;
	*at = ask->next;
	if (asked->back != NULL)
		(void)kolk_mcp_reply(asked->back, ask->id, ask->size, &result);
	free(ask);
	return true;
}

bool gw_mcp_session_cancel(struct gw_mcp_session *session, struct kolk_mcp_part id)
{
	struct gw_mcp_call *call = session->calls;

	while (call != NULL && !(call->kind == GW_MCP_REQUEST && call->message->id.size == id.size &&
				 memcmp(call->message->id.data, id.data, id.size) == 0))
		call = call->next;
	if (call != NULL && (call->back != NULL || call->fanout != NULL))
		gw_mcp_call_cancel(call);
	else if (call != NULL)
		gw_mcp_input_cancel(call);
	return call != NULL;
}
