/* SPDX-License-Identifier: Apache-2.0 */
/*
 * era.c - whether a server has sessions (legacy) or none (modern).
 *
 * It is asked server/discover, by one loop for all. An answer, or an error that only the modern era
 * has, says modern; any other 4xx, or another error, legacy. 401, 403, 5xx and a broken connection
 * say nothing: those that wait are told, and the next call asks again. What was found has a date:
 * after MCP_ERA_NS it is asked for again, and before, when the server refutes it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

struct probe {
	struct mcp_post post;
	struct mcp_loop *loop;
	struct mcp_identity *identity;
	struct mcp_modern *modern;
	uint64_t id;
	bool answered, error_is_modern;
	bool renewed;          /* another token was tried */
};

static bool is_modern_error(int32_t code)
{
	return code == -32020 || code == -32021 || code == -32022;
}

static enum kolk_mcp_era era_of(const struct kolk_mcp *mcp)
{
	return (enum kolk_mcp_era)(kolk__load_relaxed(&mcp->era_word) & 3);
}

/* The same, while it is believed. */
static enum kolk_mcp_era era_believed(const struct mcp_loop *loop)
{
	uint64_t word = kolk__load_relaxed(&loop->mcp->era_word);

	if (loop->mcp->options.era != KOLK_MCP_ERA_AUTO)
		return loop->mcp->options.era;
	return kolk_loop_now(loop->loop) < word >> 2 ? (enum kolk_mcp_era)(word & 3) :
						       KOLK_MCP_ERA_AUTO;
}

/* ---- those that wait */

static void end_probing(struct kolk_mcp_call *call, enum kolk_err err, uint32_t status)
{
	call->post.status = status;
	kolk__mcp_call_end_soon(call, err);
}

/* The probe's token was refused. Where each client has its own, that says nothing of others. */
static bool may_be_taken(const struct kolk_mcp_call *call, enum kolk_err err,
			 const struct mcp_identity *asker)
{
	const struct mcp_identity *identity = call->client->identity;

	return err == KOLK_E_AUTH && identity->mcp->options.credentials == NULL && identity != asker;
}

static void run_waiting(struct kolk_call *posted, void *user)
{
	struct mcp_loop *loop = user;
	struct kolk_mcp *mcp = loop->mcp;
	const struct mcp_identity *asker;
	struct mcp_link waiting;
	enum kolk_mcp_era era;
	enum kolk_err err;
	uint32_t status;

	(void)posted;
	(void)pthread_mutex_lock(&mcp->lock);
	loop->wants_era = loop->era_posted = false;
	era = era_of(mcp);
	err = mcp->era_err;
	status = mcp->era_status;
	asker = mcp->era_asker;
	(void)pthread_mutex_unlock(&mcp->lock);
	mcp_list_take(&waiting, &loop->probing);
	while (!mcp_list_empty(&waiting)) {
		struct kolk_mcp_call *call =
			mcp_container_of(waiting.next, struct kolk_mcp_call, link);

		kolk__mcp_era_remove(call);
		if (era != KOLK_MCP_ERA_AUTO)
			kolk__mcp_call_go(call, era);
		else if (may_be_taken(call, err, asker))
			kolk__mcp_era_enqueue(call);
		else
			end_probing(call, err, status);
	}
}

/* ---- the probe */

/* What was found, or AUTO and why nothing was. */
static void probe_done(struct kolk_mcp *mcp, enum kolk_mcp_era era, enum kolk_err err,
		       uint32_t status)
{
	(void)pthread_mutex_lock(&mcp->lock);
	mcp->era_probing = false;
	/* relaxed: the word stands for itself */
	kolk__store_relaxed(&mcp->era_word, kolk_in_ns(MCP_ERA_NS) << 2 | (uint64_t)era);
	mcp->era_err = err;
	mcp->era_status = status;
	/* Without clients none waits, and the loops' parts may be about to be freed; also while the end
	 * of a session counts as a client. */
	for (uint32_t i = 0; mcp->clients > 0 && !mcp->closed && i < mcp->loop_count; i++) {
		struct mcp_loop *loop = &mcp->loops[i];

		if (!loop->wants_era || loop->era_posted)
			continue;
		loop->era_posted = true;
		(void)kolk_loop_call(loop->loop, &loop->era_call, run_waiting, loop);
	}
	(void)pthread_mutex_unlock(&mcp->lock);
}

static void on_message(struct mcp_post *post, const struct mcp_message *message)
{
	struct probe *probe = mcp_container_of(post, struct probe, post);

	if (message->method.size > 0 ||
	    (post->status < 400 && !kolk__mcp_is_answer_to(message, probe->id)))
		return;
	probe->answered = message->result.size > 0;
	probe->error_is_modern = is_modern_error(message->error_code);
}

static enum kolk_err send_probe(struct probe *probe);

static bool is_renewed(struct probe *probe)
{
	if (probe->renewed || !kolk__mcp_token_renewed(&probe->post, probe->identity))
		return false;
	probe->renewed = true;
	probe->answered = probe->error_is_modern = false;
	return send_probe(probe) == KOLK_PENDING;
}

static void on_end(struct mcp_post *post, enum kolk_err err)
{
	struct probe *probe = mcp_container_of(post, struct probe, post);
	struct kolk_mcp *mcp = probe->loop->mcp;
	uint32_t status = post->status;
	enum kolk_mcp_era era = KOLK_MCP_ERA_AUTO;

	if (status == 401 || status == 403)
		kolk__mcp_refused(probe->identity, post); /* is_renewed may begin it anew */
	if (is_renewed(probe))
		return;
	if (status == 401 || status == 403)
		err = KOLK_E_AUTH;
	if (status >= 500)
		err = KOLK_E_SERVER;
	else if (err == KOLK_E_AUTH)
		era = KOLK_MCP_ERA_AUTO;
	else if (probe->answered || probe->error_is_modern)
		era = KOLK_MCP_MODERN;
	else if (err == KOLK_OK || err == KOLK_E_PROTOCOL)
		era = KOLK_MCP_LEGACY;
	kolk__mcp_identity_unref(probe->identity);
	kolk__mcp_modern_free(probe->modern);
	free(probe);
	probe_done(mcp, era, err, status);
}

static enum kolk_err send_probe(struct probe *probe)
{
	static const struct mcp_post_handler handler = { .message = on_message, .end = on_end };
	const struct mcp_modern *modern = probe->modern;
	const struct mcp_post_options options = {
		.method = "POST", .replayable = true, .identity = probe->identity,
		.body = modern->body, .body_size = modern->body_size, .version = modern->version,
		.rpc_method = modern->method,
		.deadline_ns = kolk_in_ns(probe->loop->mcp->options.initialize_timeout_ns)
	};

	return kolk__mcp_post_start(&probe->post, probe->loop, &handler, &options);
}

static void probe(struct mcp_loop *loop, struct mcp_identity *identity)
{
	struct probe *made = calloc(1, sizeof *made);
	enum kolk_err err = KOLK_E_MEMORY;
	uint64_t id = kolk__mcp_next_id(loop);
	char body[96];

	(void)snprintf(body, sizeof body,
		       "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"server/discover\"}",
		       (unsigned long long)id);
	if (made != NULL)
		made->modern = kolk__mcp_modern_make(identity, body, strlen(body));
	if (made != NULL && made->modern != NULL) {
		made->loop = loop;
		made->id = id;
		made->identity = kolk__mcp_identity_of(loop->mcp, identity->key);
		err = send_probe(made);
	}
	if (err == KOLK_PENDING)
		return;
	if (made != NULL && made->identity != NULL)
		kolk__mcp_identity_unref(made->identity);
	if (made != NULL)
		kolk__mcp_modern_free(made->modern);
	free(made);
	probe_done(loop->mcp, KOLK_MCP_ERA_AUTO, err, 0);
}

/* ---- ask */

/* True: this loop is to ask. */
static bool want_era(struct mcp_loop *loop, const struct mcp_identity *identity)
{
	struct kolk_mcp *mcp = loop->mcp;
	bool ask;

	(void)pthread_mutex_lock(&mcp->lock);
	ask = !mcp->era_probing;
	if (ask)
		mcp->era_asker = identity;
	mcp->era_probing = true;
	loop->wants_era = true;
	(void)pthread_mutex_unlock(&mcp->lock);
	return ask;
}

/* It is a waiter of the key of its sessions, whether there will be any or not: waiters_max bounds
 * those that wait. */
void kolk__mcp_era_enqueue(struct kolk_mcp_call *call)
{
	struct mcp_loop *loop = call->client->loop;
	enum kolk_mcp_era era = era_believed(loop);
	enum kolk_err err;

	if (era != KOLK_MCP_ERA_AUTO) {
		kolk__mcp_call_go(call, era);
		return;
	}
	err = kolk_waiter_add(call->client->identity->key);
	if (err != KOLK_OK) {
		kolk__mcp_call_end_soon(call, err);
		return;
	}
	call->state = MCP_PROBING;
	mcp_list_add(&loop->probing, &call->link);
	if (want_era(loop, call->client->identity))
		probe(loop, call->client->identity);
}

void kolk__mcp_era_remove(struct kolk_mcp_call *call)
{
	mcp_list_del(&call->link);
	kolk_waiter_remove(call->client->identity->key);
}

void kolk__mcp_era_forget(struct kolk_mcp *mcp)
{
	kolk__store_relaxed(&mcp->era_word, (uint64_t)era_of(mcp));
}

enum kolk_mcp_era kolk_mcp_era(const struct kolk_mcp *mcp)
{
	return mcp->options.era != KOLK_MCP_ERA_AUTO ? mcp->options.era : era_of(mcp);
}
