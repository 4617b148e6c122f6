/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.c - create and destroy an engine. Nothing here is hot.
 */
#include "core/engine.h"
#include "core/conn_table.h"

#include "core/dial.h"
#include "core/drain.h"
#include "core/event.h"
#include "core/listener.h"
#include "core/option_tables.h"
#include "core/options.h"
#include "core/pool.h"
#include "core/release.h"

uint64_t kolk_engine_now(struct kolk_engine *engine)
{
	return kolk__now(engine);
}

uint32_t kolk_engine_loop_count(const struct kolk_engine *engine)
{
	return engine->shard_count;
}

struct kolk_loop *kolk_engine_loop(struct kolk_engine *engine, uint32_t index)
{
	return index < engine->shard_count ? &engine->shards[index] : NULL;
}

const char *kolk_engine_backend(const struct kolk_engine *engine)
{
	return kolk__transport_backend(engine->transport);
}

static void log_hook(void *user, enum kolk_log_level level, const char *subject,
		     const char *text)
{
	kolk__log(user, level, subject, "%s", text);
}

/* ---- create */

static enum kolk_err options_check(struct kolk_engine_options *o, const struct kolk_sys *sys)
{
	const char *field;

	if (o->loops == 0)
		o->loops = sys->cpu_count;
	kolk_option_defaults(&kolk__engine_table, o);
	field = kolk_option_check(&kolk__engine_table, o);
	if (field == NULL && o->loop_owner == KOLK_LOOPS_ENGINE && sys->thread_start == NULL)
		field = "loop_owner";
	if (field == NULL && (o->event_mask & ~KOLK_EVENT_ALL ||
			      (o->event_mask != 0 && o->on_event == NULL)))
		field = "event_mask";
	return field == NULL ? KOLK_OK : kolk__refuse(o->failure, field);
}

static void engine_fill(struct kolk_engine *engine, const struct kolk_engine_options *o)
{
	kolk__lock_init(&engine->registry, KOLK__RANK_REGISTRY);
	kolk__lock_init(&engine->tenants.lock, KOLK__RANK_TENANTS);
	kolk__lock_init(&engine->accounting, KOLK__RANK_LEAF);
	kolk__lock_init(&engine->listeners, KOLK__RANK_LEAF);
	kolk__lock_init(&engine->maintain.lock, KOLK__RANK_LEAF);
	engine->event_mask = o->event_mask;
	engine->created_ns = kolk__now(engine);
	engine->log_level = o->log_level;
	engine->on_event = o->on_event;
	engine->event_user = o->event_user;
	engine->on_log = o->on_log;
	engine->log_user = o->log_user;
	engine->maintenance_interval_ns = o->maintenance_interval_ns;
	engine->threads = engine->sys->thread_start != NULL;
	engine->waiters_max = o->waiters_max;
	engine->keys_max = o->keys_max;
	engine->dials_max = o->dials_max;
	kolk__store_relaxed(&engine->totals[KOLK__CONNECTIONS].limit, o->connections_max);
	kolk__store_relaxed(&engine->totals[KOLK__DRAWING].limit, o->resources_max);
	kolk__store_relaxed(&engine->tenant_connections_max, o->tenant_connections_max);
	kolk__store_relaxed(&engine->tenant_keys_max, o->tenant_keys_max);
	engine->lend_after_ns = o->lend_after_ns;
	engine->hash_mask = UINT32_MAX;
	engine->search_slice = KOLK__SEARCH_SLICE;
	engine->fail_slice = KOLK__FAIL_SLICE;
	engine->walk_slice = KOLK__SLICE;
	engine->calls = (struct kolk__calls){ .make_idle = kolk__make_idle_task,
					      .dial_failed = kolk__on_dial_failed,
					      .retry = kolk__retry_fire,
					      .drain_waited = kolk__drain_waited };
	kolk__counters_init(&engine->retired, &engine->retired_many);
	kolk__tenants_open(engine);
	engine->conn_count = o->connections_reserved + o->resources_max;
	engine->shard_count = o->loops_reserved;
	kolk__store_relaxed(&engine->loops_active, o->loops);
}

static void seed(struct kolk_engine *engine, uint64_t given)
{
	const struct kolk_sys *sys = engine->sys;

	if (given == 0)
		sys->random_bytes(sys->context, &given, sizeof given);
	kolk__store_relaxed(&engine->random_state, given);
	sys->random_bytes(sys->context, &engine->secret, sizeof engine->secret);
}

/* Memory for everything that the hot path touches: afterwards it allocates nothing. */
static enum kolk_err reserve(struct kolk_engine *engine)
{
	const struct kolk_sys *sys = engine->sys;

	engine->page = sys->page_open(sys->context);
	engine->conns = kolk__allocate(engine, engine->conn_count * sizeof engine->conns[0]);
	engine->links = kolk__allocate(engine, engine->conn_count * sizeof engine->links[0]);
	engine->shards = kolk__allocate(engine, engine->shard_count * sizeof engine->shards[0]);
	if (engine->page == NULL || engine->conns == NULL || engine->links == NULL ||
	    engine->shards == NULL)
		return KOLK_E_MEMORY;
	engine->page->alive = 1;
	for (uint32_t i = engine->conn_count; i-- > 0;) {
		struct kolk__conn *conn = &engine->conns[i];

		conn->clock = &engine->page->clock_ns;
		kolk__store_relaxed(&conn->position, KOLK__NOWHERE);
		conn->next_free = engine->free;
		engine->free = conn;
	}
	return KOLK_OK;
}

static enum kolk_err start(struct kolk_engine *engine, const struct kolk_engine_options *o)
{
	const struct kolk__link_callbacks host = { .ready = kolk__on_ready,
						   .failed = kolk__on_dial_failed,
						   .abandoned = kolk__on_dial_abandoned,
						   .pinged = kolk__on_pinged,
						   .reset_done = kolk__on_reset_done,
						   .key = kolk__conn_key,
						   .retire = kolk__on_peer_closed,
						   .on_unsolicited = kolk__on_unsolicited,
						   .closed = kolk__on_closed,
						   .log = log_hook,
						   .log_user = engine };
	enum kolk_err err = kolk__transport_open(engine->sys, &host, o->backend,
						 &engine->transport);

	if (err == KOLK_OK)
		kolk__transport_busy_poll_set(engine->transport, o->busy_poll_ns);
	for (uint32_t i = 0; err == KOLK_OK && i < engine->shard_count; i++)
		err = kolk__shard_open(engine, i);
	if (err == KOLK_OK)
		err = kolk__maintain_open(engine);
	for (uint32_t i = 0; err == KOLK_OK && o->loop_owner == KOLK_LOOPS_ENGINE &&
			     i < engine->shard_count; i++)
		err = kolk__shard_start(&engine->shards[i]);
	return err;
}

static void engine_free(struct kolk_engine *engine);

enum kolk_err kolk_engine_create(const struct kolk_engine_options *options,
				 struct kolk_engine **out)
{
	struct kolk_engine_options o;
	const struct kolk_sys *sys;
	struct kolk_engine *engine;
	enum kolk_err err;

	*out = NULL;
	if (!kolk__sized_read(&o, options))
		return kolk__refuse(o.failure, "size");
	if (!kolk__failure_fits(o.failure))
		return KOLK_E_OPTIONS;
	sys = o.sys != NULL ? o.sys : kolk_sys_linux();
	if (!kolk__sized_known(sys, sizeof *sys) || sys->size < sizeof *sys)
		return kolk__refuse(o.failure, "sys");
	err = options_check(&o, sys);
	if (err != KOLK_OK)
		return err;
	engine = sys->allocate(sys->context, KOLK_CACHE_LINE, sizeof *engine);
	if (engine == NULL)
		return kolk__refuse_as(o.failure, KOLK_E_MEMORY, NULL);
	engine->sys = sys;
	engine_fill(engine, &o);
	err = reserve(engine);
	if (err == KOLK_OK) {
		seed(engine, o.seed);
		err = start(engine, &o);
	}
	if (err != KOLK_OK) {
		const struct kolk_failure failure = {
			.size = (uint32_t)sizeof failure,
			.err = err,
			.err_class = kolk_err_class(err),
			.detail = engine->transport != NULL ?
					  kolk__transport_why_not(engine->transport) : NULL,
		};

		engine_free(engine);
		(void)kolk__sized_write(o.failure, &failure);
		return err;
	}
	kolk__log(engine, KOLK_LOG_INFO, "engine", "%u loops on %s, %u connections at most",
		  engine->shard_count, kolk_engine_backend(engine),
		  kolk__own(&engine->totals[KOLK__CONNECTIONS].limit));
	*out = engine;
	return KOLK_OK;
}

/* ---- destroy */

static void free_recycled(struct kolk_engine *engine)
{
	while (engine->free_keys != NULL) {
		struct kolk_key *key = engine->free_keys;

		engine->free_keys = key->list_next;
		kolk__deallocate(engine, key, sizeof *key);
	}
	while (engine->free_pools != NULL) {
		struct kolk_pool *pool = engine->free_pools;

		engine->free_pools = pool->next;
		kolk__deallocate(engine, pool, sizeof *pool);
	}
}

/* Stop what runs, free what is there: the engine may be half made, or whole and closed. */
static void engine_free(struct kolk_engine *engine)
{
	const struct kolk_sys *sys = engine->sys;

	kolk__maintain_close(engine);
	for (uint32_t i = 0; engine->shards != NULL && i < engine->shard_count; i++)
		kolk__shard_join(&engine->shards[i]);
	kolk__listeners_drop(engine);
	for (uint32_t i = 0; engine->shards != NULL && i < engine->shard_count; i++)
		kolk__shard_close(&engine->shards[i]);
	kolk__listeners_free(engine);
	while (engine->pools != NULL)
		kolk__pool_free(engine->pools);
	free_recycled(engine);
	kolk__tenants_close(engine);
	if (engine->transport != NULL)
		kolk__transport_close(engine->transport);
	kolk__hists_free(engine, &engine->hists);
	kolk__deallocate(engine, engine->shards,
			 engine->shard_count * sizeof engine->shards[0]);
	kolk__deallocate(engine, engine->links, engine->conn_count * sizeof engine->links[0]);
	kolk__deallocate(engine, engine->conns, engine->conn_count * sizeof engine->conns[0]);
	if (engine->page != NULL)
		sys->page_close(sys->context, engine->page);
	sys->deallocate(sys->context, engine, sizeof *engine);
}

/* How long destroy waits for what ends by itself: resources that are leased, callbacks of their
 * drivers, children, which are killed then. */
#define DESTROY_NS (10 * KOLK_S_NS)
/* And for the callbacks of a loop that cannot be stepped here. */
#define ORPHAN_NS (20 * KOLK_MS_NS)

/* False: one cannot be stepped. An io_uring ring takes orders of the thread that stepped it first,
 * and that one has returned: what is open on it can only end with the ring. */
static bool step_all(struct kolk_engine *engine)
{
	bool all = true;

	for (uint32_t i = 0; i < engine->shard_count; i++) {
		struct kolk_loop *loop = &engine->shards[i];

		kolk__store_relaxed(&loop->owner, (uintptr_t)0);
		all &= kolk_loop_step(loop, KOLK_MS_NS) == KOLK_OK;
		kolk__store_relaxed(&loop->owner, (uintptr_t)0);
	}
	if (!engine->threads)
		(void)kolk_engine_maintain(engine);
	return all;
}

/* Resources are the caller's memory, and need no ring to end. */
static bool has_resources(struct kolk_engine *engine)
{
	bool any = false;

	kolk__take_lock(engine, &engine->registry);
	for (struct kolk_pool *pool = engine->pools; pool != NULL; pool = pool->next)
		any |= pool->resource && !kolk_pool_is_closed(pool);
	kolk__give_lock(engine, &engine->registry);
	return any;
}

/* An embedder's loops have returned: run them here until everything is closed, or can be. */
static enum kolk_err run_until_closed(struct kolk_engine *engine,
				      bool (*is_closed)(struct kolk_engine *engine))
{
	const struct kolk_sys *sys = engine->sys;
	uint64_t begun_ns = kolk__now(engine);
	uint32_t expected = 0;

	while (!is_closed(engine)) {
		bool orphaned = !step_all(engine);
		uint64_t now_ns = kolk__now(engine);

		if (orphaned && now_ns >= begun_ns + ORPHAN_NS && !has_resources(engine))
			return KOLK_OK;
		if (now_ns >= begun_ns + DESTROY_NS)
			return KOLK_E_TIMEOUT;
		if (orphaned)
			(void)sys->wait(sys->context, &expected, 0, now_ns + KOLK_MS_NS);
	}
	return KOLK_OK;
}

/* Before the pools: what their handlers do at the end of a stream may need those. */
static void close_listeners(struct kolk_engine *engine)
{
	kolk__listeners_close(engine);
	if (engine->shards[0].thread == NULL)
		(void)run_until_closed(engine, kolk__listeners_are_closed);
	else
		kolk__listeners_wait(engine, kolk__now(engine) + DESTROY_NS);
}

enum kolk_err kolk_engine_destroy(struct kolk_engine *engine)
{
	enum kolk_err err;

	if (engine == NULL)
		return KOLK_OK;
	if (kolk__on_loop(engine))
		return KOLK_E_THREAD;
	if (kolk__is_child(engine)) /* its threads are not here, its sockets the parent's */
		return KOLK_E_FORKED;
	close_listeners(engine);
	kolk__drain_all(engine, 0, kolk__now(engine) + DESTROY_NS / 2);
	if (engine->shards[0].thread == NULL)
		err = run_until_closed(engine, kolk_engine_is_closed);
	else
		err = kolk_engine_wait_closed(engine, kolk__now(engine) + DESTROY_NS);
	if (err != KOLK_OK && has_resources(engine)) {
		kolk__log(engine, KOLK_LOG_WARN, "engine", "not destroyed: resources are in use");
		return err;
	}
	if (err != KOLK_OK) /* children: they are ours to kill */
		kolk__log(engine, KOLK_LOG_WARN, "engine", "closed by force");
	engine_free(engine);
	return KOLK_OK;
}

/* ---- limits */

enum kolk_err kolk_engine_connections_max_set(struct kolk_engine *engine,
					      uint32_t connections_max)
{
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	if (connections_max == 0 ||
	    connections_max > engine->conn_count -
				      kolk__load_relaxed(&engine->totals[KOLK__DRAWING].limit))
		return KOLK_E_OPTIONS;
	kolk__take_lock(engine, &engine->accounting);
	kolk__store_relaxed(&engine->totals[KOLK__CONNECTIONS].limit, connections_max);
	kolk__give_lock(engine, &engine->accounting);
	kolk__limits_changed(engine);
	return KOLK_OK;
}
