/* SPDX-License-Identifier: Apache-2.0 */
/* upstream.c - an upstream: its pool of sessions, what it has on each loop, its end. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "transport/drivers/mcp/inside.h"

struct mcp_loop *kolk__mcp_loop(struct kolk_mcp *mcp, const struct kolk_loop *loop)
{
	return &mcp->loops[kolk_loop_index(loop)];
}

void kolk__mcp_client_opened(struct kolk_mcp *mcp)
{
	(void)pthread_mutex_lock(&mcp->lock);
	mcp->open++;
	mcp->clients++;
	(void)pthread_mutex_unlock(&mcp->lock);
}

void kolk__mcp_wait_for_end(struct kolk_mcp *mcp)
{
	(void)pthread_mutex_lock(&mcp->lock);
	mcp->clients++;
	(void)pthread_mutex_unlock(&mcp->lock);
}

void kolk__mcp_client_freed(struct kolk_mcp *mcp)
{
	(void)pthread_mutex_lock(&mcp->lock);
	if (--mcp->clients == 0)
		(void)pthread_cond_broadcast(&mcp->quiet);
	(void)pthread_mutex_unlock(&mcp->lock);
}

/* ---- open */

enum { BLOCKS_KEPT = 64, TEXTS_KEPT = 16 }; /* of each kind; texts are large */

static void mcp_free(struct kolk_mcp *mcp)
{
	for (uint32_t i = 0; i < mcp->loop_count; i++) {
		if (mcp->loops[i].http != NULL)
			(void)kolk_http_close(mcp->loops[i].http, NULL, NULL);
		blocks_free(&mcp->loops[i].acquires);
		blocks_free(&mcp->loops[i].parsers);
		blocks_free(&mcp->loops[i].calls);
		blocks_free(&mcp->loops[i].texts);
		kolk__table_free(&mcp->loops[i].groups);
	}
	kolk__mcp_identities_free(mcp);
	(void)pthread_cond_destroy(&mcp->quiet);
	(void)pthread_mutex_destroy(&mcp->lock);
	free(mcp->loops);
	free(mcp->texts);
	free(mcp->client_info);
	free(mcp);
}

static enum kolk_err open_loops(struct kolk_mcp *mcp)
{
	uint32_t count = kolk_engine_loop_count(mcp->engine);
	enum kolk_err err = KOLK_OK;

	mcp->loops = calloc(count, sizeof *mcp->loops);
	if (mcp->loops == NULL)
		return KOLK_E_MEMORY;
	for (uint32_t i = 0; i < count && err == KOLK_OK; i++) {
		struct mcp_loop *loop = &mcp->loops[i];

		loop->mcp = mcp;
		loop->loop = kolk_engine_loop(mcp->engine, i);
		mcp_list_init(&loop->probing);
		mcp_list_init(&loop->ending);
		loop->acquires.max = loop->parsers.max = loop->calls.max = BLOCKS_KEPT;
		loop->texts.max = TEXTS_KEPT;
		err = kolk_http_open(loop->loop, NULL, &loop->http);
		mcp->loop_count = i + 1;
	}
	return err;
}

static enum kolk_isolation isolation(const struct kolk_mcp_options *options)
{
	switch (options->isolation) {
	case KOLK_MCP_ISOLATION_TENANT:
		return KOLK_ISOLATION_TENANT;
	case KOLK_MCP_ISOLATION_SHARED:
		return KOLK_ISOLATION_SHARED;
	default:
		return KOLK_ISOLATION_SESSION;
	}
}

/* A session that one client has alone has a key of its own: there is one, and none ahead. */
static bool is_alone(const struct kolk_mcp_options *options)
{
	return options->sharing == KOLK_MCP_BOUND &&
	       options->isolation == KOLK_MCP_ISOLATION_SESSION;
}

static enum kolk_err add_sessions(struct kolk_mcp *mcp)
{
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	const struct kolk_mcp_options *o = &mcp->options;
	const char *const draws_from[] = {
		mcp->connections != NULL ? kolk_pool_name(mcp->connections) : NULL, NULL
	};

	pool.name = o->name;
	pool.isolation = isolation(o);
	pool.resource = &kolk__mcp_sessions;
	pool.driver_user = mcp;
	pool.draws_from = mcp->connections != NULL ? draws_from : NULL;
	pool.connections_max = is_alone(o) ? 1 : o->sessions_max;
	pool.pool_connections_max = o->pool_sessions_max;
	pool.idle_min = is_alone(o) || o->idle_min == 0 ? KOLK_NONE : o->idle_min;
	pool.waiters_max = o->waiters_max;
	pool.uses_max = KOLK_UNLIMITED;
	pool.idle_timeout_ns = o->idle_timeout_ns;
	pool.lifetime_ns = o->lifetime_ns;
	pool.acquire_timeout_ns = o->acquire_timeout_ns;
	pool.ready_timeout_ns = o->initialize_timeout_ns;
	pool.auth_retry_ns = KOLK_S_NS; /* the next request may have another token */
	pool.lease_overdue_ns = KOLK_FOREVER;
	/* A WebSocket's server closes it if its own pings are not answered. */
	pool.ping_interval_ns = o->transport == KOLK_MCP_WEBSOCKET ? o->ping_interval_ns :
								     KOLK_FOREVER;
	pool.ping_timeout_ns = 5 * KOLK_S_NS;
	pool.failure = o->failure;
	return kolk_pool_add(mcp->engine, &pool, &mcp->sessions);
}

static enum kolk_err mcp_open(struct kolk_mcp *mcp, const struct kolk_mcp_options *options)
{
	const char *field = NULL;
	enum kolk_err err = kolk__mcp_options_read(mcp, options, &field);

	if (err != KOLK_OK)
		return kolk__mcp_refuse(&mcp->options, err, field);
	err = open_loops(mcp);
	return err == KOLK_OK ? add_sessions(mcp) : err;
}

/* made: NULL, or with its engine, and its connections or its server. */
static enum kolk_err open_made(struct kolk_mcp *made, const struct kolk_mcp_options *options,
			       struct kolk_mcp **mcp)
{
	pthread_condattr_t monotonic;
	enum kolk_err err;

	if (made == NULL)
		return KOLK_E_MEMORY;
	(void)pthread_mutex_init(&made->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&made->quiet, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	mcp_list_init(&made->unused);
	kolk__store_relaxed(&made->close_until_ns, KOLK_FOREVER);
	mcp_list_init(&made->shared);
	err = mcp_open(made, options);
	if (err != KOLK_OK)
		mcp_free(made);
	else
		*mcp = made;
	return err;
}

enum kolk_err kolk_mcp_open(struct kolk_pool *connections, const struct kolk_mcp_options *options,
			    struct kolk_mcp **mcp)
{
	struct kolk_mcp *made = calloc(1, sizeof *made);

	if (made != NULL) {
		made->connections = connections;
		made->engine = kolk_pool_engine(connections);
	}
	return open_made(made, options, mcp);
}

enum kolk_err kolk_mcp_local_open(struct kolk_engine *engine, const struct kolk_mcp_server *server,
				  const struct kolk_mcp_options *options, struct kolk_mcp **mcp)
{
	struct kolk_mcp_server own;
	struct kolk_mcp *made;

	if (!kolk__sized_read(&own, server) || own.message == NULL)
		return KOLK_E_OPTIONS;
	made = calloc(1, sizeof *made);
	if (made != NULL) {
		made->server = own;
		made->engine = engine;
	}
	return open_made(made, options, mcp);
}

/* ---- close */

/* Clients that are being closed have ended, and sessions of makings that failed. */
static enum kolk_err wait_for_clients(struct kolk_mcp *mcp, uint64_t deadline_ns)
{
	struct timespec until = { .tv_sec = (time_t)(deadline_ns / KOLK_S_NS),
				  .tv_nsec = (long)(deadline_ns % KOLK_S_NS) };
	enum kolk_err err = KOLK_OK;

	(void)pthread_mutex_lock(&mcp->lock);
	if (mcp->open != 0)
		err = KOLK_E_IN_USE;
	while (err == KOLK_OK && mcp->clients != 0)
		if (pthread_cond_timedwait(&mcp->quiet, &mcp->lock, &until) == ETIMEDOUT)
			err = mcp->clients != 0 ? KOLK_E_TIMEOUT : KOLK_OK;
	(void)pthread_mutex_unlock(&mcp->lock);
	return err;
}

enum kolk_err kolk_mcp_close(struct kolk_mcp *mcp, uint64_t deadline_ns)
{
	enum kolk_err err;

	if (kolk_loop_current() != NULL)
		return KOLK_E_THREAD;
	kolk__store_relaxed(&mcp->close_until_ns, kolk__mcp_making_deadline(deadline_ns));
	err = wait_for_clients(mcp, deadline_ns);
	if (err == KOLK_OK)
		err = kolk_pool_close(mcp->sessions, deadline_ns);
	if (err != KOLK_OK)
		return err;
	(void)pthread_mutex_lock(&mcp->lock);
	mcp->closed = true;
	(void)pthread_mutex_unlock(&mcp->lock);
	/* Makings that failed meanwhile; what is left of them ends with the HTTP clients. */
	(void)wait_for_clients(mcp, deadline_ns);
	mcp_free(mcp);
	return KOLK_OK;
}

/* ---- ask */

struct kolk_pool *kolk_mcp_pool(const struct kolk_mcp *mcp)
{
	return mcp->sessions;
}

enum kolk_err kolk_mcp_stats(const struct kolk_mcp *mcp, struct kolk_mcp_stats *stats)
{
	struct kolk_mcp_stats own = KOLK_INIT(kolk_mcp_stats);
	struct kolk_mcp *locked = (struct kolk_mcp *)(uintptr_t)mcp;

	(void)pthread_mutex_lock(&locked->lock);
	own.clients = mcp->open;
	(void)pthread_mutex_unlock(&locked->lock);
	for (uint32_t i = 0; i < mcp->loop_count; i++) {
		const struct mcp_counts *counts = &mcp->loops[i].counts;

		own.calls += kolk__load_relaxed(&counts->calls);
		own.cancelled += kolk__load_relaxed(&counts->cancelled);
		own.lost += kolk__load_relaxed(&counts->lost);
		own.remade += kolk__load_relaxed(&counts->remade);
		own.close_failed += kolk__load_relaxed(&counts->close_failed);
		own.isolation_violations += kolk__load_relaxed(&counts->violations);
		own.virgin_hits += kolk__load_relaxed(&counts->virgin_hits);
	}
	return kolk__sized_write(stats, &own) ? KOLK_OK : KOLK_E_OPTIONS;
}
