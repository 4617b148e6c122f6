/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make.c - a session or a connection is made ahead, for the next one that needs it.
 *
 * A session is made by a client as the tenant's own would be, whose only request is initialize, and
 * is left behind when that client closes. A session that one client has alone would end with it: then
 * the client is kept for that one (ahead.c). Where neither can be, it is a connection: a client of a
 * virgin session that it has alone holds it, and the pool could not end it to make room. What the
 * configuration in force does not lead to is not made.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/mcp/child.h"
#include "tools/gateway/mcp/client.h"
#include "tools/gateway/mcp/federation.h"
#include "tools/gateway/warm/warm.h"

#define MAKE_NS (10 * KOLK_S_NS)

struct gw_warm_job {
	struct gw_warm_job *next, **at; /* in loop->warm->jobs */
	struct gw_warm *warm;
	struct gw_loop *loop;
	const struct gw_warm_pair *pair;
	struct kolk_mcp_client *client; /* NULL = it makes a connection, or is being closed */
	const struct gw_mcp_pool *pool; /* of the client */
	const struct gw_mcp_holder *holder;
	struct kolk_acquire acquire;
	struct kolk_call call;
};

static void finish(struct gw_warm_job *job, enum gw_warm_outcome outcome)
{
	struct gw_warm *warm = job->warm;

	*job->at = job->next;
	if (job->next != NULL)
		job->next->at = job->at;
	free(job);
	gw_warm_job_ended(warm, outcome);
}

/* ---- connections */

static void on_acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct gw_warm_job *job = user;
	struct kolk_lease copy;

	if (err == KOLK_OK) {
		copy = *lease;
		(void)kolk_release(&copy);
	}
	finish(job, err == KOLK_OK ? GW_WARM_MADE : GW_WARM_FAILED);
}

static void make_connection(struct gw_warm_job *job, struct kolk_pool *pool)
{
	const char *tenant = gw_warm_pair_text(job->pair, GW_WARM_TENANT);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	enum kolk_err err;

	who.tenant = tenant[0] != '\0' ? tenant : NULL;
	err = kolk_acquire_as_async(job->loop->loop, pool, &who, kolk_in_ns(MAKE_NS),
				    &job->acquire, on_acquired, job);
	if (err != KOLK_PENDING)
		on_acquired(job, err, &job->acquire.lease);
}

/* ---- sessions */

static bool is_alone(const struct gw_mcp_pool *pool, enum gw_warm_kind kind)
{
	return kind == GW_WARM_SESSION && pool->options.isolation == KOLK_MCP_ISOLATION_SESSION;
}

/* True: it waits for the one that gets it. */
static bool keep(const struct gw_warm_job *job)
{
	const struct gw_warm_made made = { .pair = job->pair, .pool = job->pool,
					   .holder = job->holder, .client = job->client };

	return is_alone(job->pool, (enum gw_warm_kind)job->pair->kind) && !job->loop->warm->ending &&
	       gw_warm_ahead_put(job->loop, &made);
}

static void on_end(void *user, struct kolk_mcp_call *call, const struct kolk_mcp_result *result)
{
	struct gw_warm_job *job = user;
	/* A server that turned out to have no sessions needs none. */
	bool made = result->err == KOLK_OK || result->err == KOLK_E_UNSUPPORTED;

	(void)call;
	if (job->client != NULL && !(result->err == KOLK_OK && keep(job)))
		kolk_mcp_client_close(job->client);
	finish(job, made ? GW_WARM_MADE : GW_WARM_FAILED);
}

static const struct kolk_mcp_handler handler = { .size = sizeof handler, .end = on_end };

static const char *text_or_null(const struct gw_warm_pair *pair, enum gw_warm_text which)
{
	const char *text = gw_warm_pair_text(pair, which);

	return text[0] != '\0' ? text : NULL;
}

/* As gw_mcp_session_make and mcp/begin.c's open_own have them: the same identity. */
static enum kolk_err open_client(struct gw_warm_job *job, struct gw_mcp_pool *pool,
				 struct kolk_mcp *mcp)
{
	struct kolk_mcp_client_options options = KOLK_INIT(kolk_mcp_client_options);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct gw_mcp_call call = { .pool = pool, .home = job->loop };
	char name[GW_MCP_SESSION_NAME];
	enum kolk_err err;

	who.tenant = text_or_null(job->pair, GW_WARM_TENANT);
	if (is_alone(pool, (enum gw_warm_kind)job->pair->kind))
		who.session = gw_mcp_session_name(job->loop, name);
	options.who = &who;
	options.protocol_version = text_or_null(job->pair, GW_WARM_VERSION);
	options.capabilities = pool->options.sharing == KOLK_MCP_MULTIPLEXED ?
				       NULL : text_or_null(job->pair, GW_WARM_CAPABILITIES);
	options.client_info = text_or_null(job->pair, GW_WARM_CLIENT_INFO);
	err = gw_mcp_client_open(&call, mcp, &options, &job->client);
	job->pool = pool;
	job->holder = call.holder;
	return err;
}

static void make_session(struct gw_warm_job *job, struct gw_mcp_pool *pool, struct kolk_mcp *mcp)
{
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);

	if (open_client(job, pool, mcp) != KOLK_OK) {
		finish(job, GW_WARM_FAILED);
		return;
	}
	request.method = "initialize";
	request.deadline_ns = kolk_in_ns(MAKE_NS);
	if (kolk_mcp_start(job->client, &request, &handler, job, NULL) == KOLK_PENDING)
		return;
	kolk_mcp_client_close(job->client);
	finish(job, GW_WARM_FAILED);
}

/* Whether a session that was made serves a client: left in the pool, or kept for it. */
static bool serves(const struct gw_mcp_pool *pool, enum gw_warm_kind kind)
{
	const bool alone = pool->options.isolation == KOLK_MCP_ISOLATION_SESSION;

	if (kind == GW_WARM_CALL)
		return !(pool->calls_alone && alone);
	return kind == GW_WARM_SESSION && pool->sessions != NULL &&
	       !(pool->options.sharing == KOLK_MCP_VIRGIN && alone);
}

static void make_of_mcp(struct gw_warm_job *job, struct gw_mcp_pool *pool)
{
	const struct gateway *gateway = job->loop->gateway;
	enum gw_warm_kind kind = (enum gw_warm_kind)job->pair->kind;
	struct kolk_pool *connections = kolk_pool_find(gateway->engine, pool->name);

	if (serves(pool, kind) && (pool->tokens == NULL || gw_mcp_holder_of(pool) != NULL))
		make_session(job, pool, kind == GW_WARM_CALL ? gw_mcp_calls(pool) : pool->sessions);
	else if (connections != NULL && pool->options.transport != KOLK_MCP_STDIO)
		make_connection(job, connections);
	else
		finish(job, GW_WARM_SKIPPED);
}

/* ---- what the configuration leads to */

/* Members by DNS are as many as there are addresses, and counted by the names of their pools. */
static struct kolk_pool *member_pool(const struct gw_target *target, const char *name)
{
	const struct gw_balancer *balancer = target->balancer;

	for (uint32_t i = 0; balancer != NULL && i < balancer->count; i++)
		if (strcmp(balancer->members[i].name, name) == 0)
			return balancer->members[i].pool;
	return NULL;
}

/* One of a federation has no route of its own. */
static struct gw_mcp_pool *mcp_pool(const struct gw_target *target, const char *name)
{
	struct gw_mcp_pool *pool = target->mcp;
	const struct gw_mcp_federation *several = pool != NULL ? pool->federation : NULL;

	for (uint32_t i = 0; several != NULL && i < several->count; i++)
		if (strcmp(several->members[i].pool->name, name) == 0)
			return several->members[i].pool;
	return pool != NULL && several == NULL && strcmp(pool->name, name) == 0 ? pool : NULL;
}

static void make(struct gw_warm_job *job)
{
	const struct gw_view *view = job->loop->view;
	const char *name = gw_warm_pair_text(job->pair, GW_WARM_POOL);

	for (uint32_t i = 0; i < view->config->route_count; i++) {
		const struct gw_target *target = &view->targets[i];
		const char *pool = target->route->pool;
		struct kolk_pool *member = member_pool(target, name);
		struct gw_mcp_pool *mcp = mcp_pool(target, name);

		if (mcp != NULL)
			make_of_mcp(job, mcp);
		else if (pool != NULL && strcmp(pool, name) == 0 && target->pool != NULL)
			make_connection(job, target->pool);
		else if (member != NULL)
			make_connection(job, member);
		else
			continue;
		return;
	}
	finish(job, GW_WARM_SKIPPED);
}

/* ---- jobs */

static void begin(struct kolk_call *posted, void *user)
{
	struct gw_warm_job *job = user;
	struct gw_warm_loop *loop = job->loop->warm;

	(void)posted;
	job->at = &loop->jobs;
	job->next = loop->jobs;
	if (job->next != NULL)
		job->next->at = &job->next;
	loop->jobs = job;
	if (loop->ending)
		finish(job, GW_WARM_SKIPPED);
	else
		make(job);
}

void gw_warm_job_start(struct gw_warm *warm, struct gw_loop *loop, const struct gw_warm_pair *pair)
{
	struct gw_warm_job *job = calloc(1, sizeof *job);

	if (job != NULL) {
		job->warm = warm;
		job->loop = loop;
		job->pair = pair;
	}
	if (job != NULL && kolk_loop_call(loop->loop, &job->call, begin, job) == KOLK_OK)
		return;
	free(job);
	gw_warm_job_ended(warm, GW_WARM_FAILED);
}

void gw_warm_jobs_end(struct gw_loop *loop)
{
	struct gw_warm_job *next;

	loop->warm->ending = true;
	for (struct gw_warm_job *job = loop->warm->jobs; job != NULL; job = next) {
		struct kolk_mcp_client *client = job->client;

		next = job->next;
		job->client = NULL;
		if (client != NULL)
			kolk_mcp_client_close(client); /* on_end follows from step */
		else if (kolk_acquire_cancel(&job->acquire) == KOLK_OK)
			finish(job, GW_WARM_SKIPPED);
	}
}
