/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.c - statistics: what the holders counted, summed on request.
 */
#include "core/conn_table.h"
#include "core/options.h"
#include "core/pool.h"

struct sum {
	struct kolk_stats *stats;
	struct kolk__counters counters;
	struct kolk__many many; /* of counters */
	struct kolk__hists hists;
	uint64_t leased_now;
};

static void add_conn(struct sum *sum, const struct kolk__conn *conn)
{
	uint64_t word = kolk__conn_word(conn);
	uint64_t uses = kolk__conn_uses(conn, word);

	switch (kolk__state_of(word)) {
	case KOLK__DIALING:
		sum->stats->dialing++;
		break;
	case KOLK__IDLE:
		sum->stats->idle++;
		break;
	case KOLK__LEASED:
	case KOLK__BUSY:
		sum->stats->leased++;
		break;
	case KOLK__PINGING:
	case KOLK__RESETTING:
	case KOLK__TAKEN:
		sum->stats->pinging++;
		break;
	case KOLK__CLOSING:
		sum->stats->closing++;
		break;
	case KOLK__FREE:
	case KOLK__STATES:
		return;
	}
	kolk__own_add(&sum->counters.uses, uses);
	kolk__own_add(&sum->counters.first_uses, uses != 0);
}

static void add_counters(struct sum *sum, const struct kolk_key *key)
{
	const struct kolk__counters *counters;

	KOLK__HELD(&key->lock);
	sum->stats->waiting += kolk__waiting(key);
	sum->stats->keys++;
	counters = kolk__load_acquire(&key->counters); /* COUNTS.A1 <- COUNTS.R1 */
	if (counters != NULL)
		kolk__counters_add(&sum->counters, counters);
}

/* A part of its connections. Its counters are read with the first: a connection that leaves later
 * is in none of them, but was counted here, or is added when it leaves (walk.conns_gone). */
static void add_key(struct sum *sum, struct kolk__walk *walk, struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	const struct kolk__conn *conn;

	kolk__take_lock(engine, &key->lock);
	if (walk->first)
		add_counters(sum, key);
	while ((conn = kolk__walk_conn(walk, key)) != NULL)
		add_conn(sum, conn);
	kolk__give_lock(engine, &key->lock);
}

/* A key without histograms has summaries. */
static void add_times(struct sum *sum, struct kolk_key *key)
{
	const struct kolk__hists *hists = kolk__load_acquire(&key->hists); /* COUNTS.A1 <- COUNTS.R1 */
	const struct kolk__counters *counters =
		kolk__load_acquire(&key->counters); /* COUNTS.A1 <- COUNTS.R1 */

	if (hists != NULL)
		kolk__hists_add(key->engine, &sum->hists, hists);
	for (int i = 0; hists == NULL && counters != NULL && i < KOLK__TIMES; i++)
		kolk__summary_merge(&sum->hists.of[i].all, &counters->times[i]);
}

/*
 * A pool's sum is of no single instant: its keys are read in slices (walk.h). Its counters do not
 * go backwards for that. What keys that are gone had counted is read when the walk begins; a key
 * that goes later was read before, or is added when it goes (walk.keys_gone).
 */
static void pool_begin(struct sum *sum, struct kolk__walk *walk, struct kolk_pool *pool)
{
	struct kolk_engine *engine = pool->engine;

	KOLK__HELD(&engine->registry);
	kolk__take_lock(engine, &pool->lock);
	kolk__walk_begin_locked(walk, pool);
	walk->keys_gone = walk->conns_gone = &sum->counters;
	kolk__counters_add(&sum->counters, &pool->retired);
	kolk__give_lock(engine, &pool->lock);
	kolk__hists_add(engine, &sum->hists, &pool->hists);
	sum->stats->pools++;
}

static void walk_keys(struct sum *sum, struct kolk__walk *walk)
{
	struct kolk_key *key;

	while (kolk__walk_lock(walk)) {
		while ((key = kolk__walk_key(walk)) != NULL)
			add_key(sum, walk, key);
		kolk__walk_unlock(walk);
	}
}

/* A pool that is freed meanwhile may be missing. */
static void add_engine(struct sum *sum, struct kolk_engine *engine)
{
	struct kolk__pools_walk pools;
	struct kolk__walk walk;
	struct kolk_pool *pool;

	kolk__take_lock(engine, &engine->registry);
	kolk__counters_add(&sum->counters, &engine->retired);
	kolk__hists_add(engine, &sum->hists, &engine->hists);
	kolk__give_lock(engine, &engine->registry);
	kolk__pools_begin(&pools, engine);
	while ((pool = kolk__pools_next(&pools)) != NULL) {
		pool_begin(sum, &walk, pool);
		kolk__give_lock(engine, &engine->registry);
		walk_keys(sum, &walk);
	}
}

static void finish(struct sum *sum, struct kolk_engine *engine)
{
	struct kolk_stats *s = sum->stats;
	const struct kolk__counters *c = &sum->counters;
	const kolk__atomic_u64 *rare = sum->many.rare;
	uint64_t uses = kolk__own(&c->uses);

	s->open = s->idle + s->leased + s->dialing + s->pinging + s->closing;
	s->acquired = uses;
	s->released = uses - (s->leased < uses ? s->leased : uses);
	s->reused = uses - kolk__own(&c->first_uses);
	s->waited = kolk__own(&c->waited);
	s->created = kolk__own(&c->times[KOLK__DIAL_TIME].count);
	s->dialled = kolk__own(&c->dialled);
	s->dial_failed = kolk__own(&rare[KOLK__DIAL_FAILED]);
	s->timeouts = kolk__own(&rare[KOLK__TIMEOUTS]);
	s->rejected = kolk__own(&rare[KOLK__REJECTED]);
	s->cancelled = kolk__own(&rare[KOLK__CANCELLED]);
	s->handed_over = kolk__own(&c->handed_over);
	s->overtakes = kolk__own(&rare[KOLK__OVERTAKES]);
	s->overtaken_max_ns = kolk__own(&rare[KOLK__OVERTAKEN_MAX]);
	s->stale_discarded = kolk__own(&rare[KOLK__STALE_DISCARDED]);
	s->pings_ok = kolk__own(&rare[KOLK__PINGS_OK]);
	s->pings_failed = kolk__own(&rare[KOLK__PINGS_FAILED]);
	s->mends_ok = kolk__own(&rare[KOLK__RESETS_OK]);
	s->mends_failed = kolk__own(&rare[KOLK__RESETS_FAILED]);
	s->overdue = kolk__own(&rare[KOLK__OVERDUE]);
	for (int i = 0; i < KOLK_REASONS; i++)
		s->destroyed[i] = kolk__own(&sum->many.destroyed[i]);
	for (int i = 0; i < KOLK_REFUSALS; i++)
		s->refused[i] = kolk__own(&sum->many.refused[i]);
	kolk__hist_quantiles(&sum->hists.of[KOLK__WAIT_TIME], &s->wait);
	kolk__hist_quantiles(&sum->hists.of[KOLK__LEASE_TIME], &s->lease);
	kolk__hist_quantiles(&sum->hists.of[KOLK__DIAL_TIME], &s->dial);
	s->release_count = kolk__own(&sum->hists.release.count);
	s->release_sum_ns = kolk__own(&sum->hists.release.sum);
	s->release_max_ns = kolk__own(&sum->hists.release.max);
	kolk__hists_free(engine, &sum->hists);
}
_Static_assert(KOLK_REASONS <= 32, "kolk_stats.destroyed is too small");
_Static_assert(KOLK_REFUSALS <= 16, "kolk_stats.refused is too small");

/* stats is what is summed up before the caller's gets it. */
static bool begin(struct sum *sum, struct kolk_stats *stats, const struct kolk_stats *given)
{
	*stats = (struct kolk_stats)KOLK_INIT(kolk_stats);
	*sum = (struct sum){ .stats = stats };
	kolk__counters_init(&sum->counters, &sum->many);
	return kolk__sized_size(given) != 0;
}

enum kolk_err kolk_engine_stats(struct kolk_engine *engine, struct kolk_stats *given)
{
	struct kolk_stats stats;
	struct sum sum;

	if (!begin(&sum, &stats, given))
		return KOLK_E_OPTIONS;
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	add_engine(&sum, engine);
	stats.connections_max = 0;
	for (int i = 0; i < KOLK__CLASSES; i++)
		stats.connections_max += kolk__load_relaxed(&engine->totals[i].limit);
	finish(&sum, engine);
	stats.misuse = kolk__load_relaxed(&engine->misuse);
	for (uint32_t i = 0; i < engine->shard_count; i++)
		stats.unread_bytes += kolk__io_loop_unread(engine->shards[i].io_loop);
	(void)kolk__sized_write(given, &stats);
	return KOLK_OK;
}

enum kolk_err kolk_pool_stats(struct kolk_pool *pool, struct kolk_stats *given)
{
	struct kolk__walk walk;
	struct kolk_stats stats;
	struct sum sum;

	if (!begin(&sum, &stats, given))
		return KOLK_E_OPTIONS;
	if (kolk__is_child(pool->engine))
		return KOLK_E_FORKED;
	if (!kolk__registry_lock_for(pool))
		return KOLK_E_NOT_FOUND;
	pool_begin(&sum, &walk, pool);
	kolk__registry_unlock_for(pool);
	walk_keys(&sum, &walk);
	stats.pools = 0;
	stats.connections_max = kolk__setting(pool, pool_connections_max);
	finish(&sum, pool->engine);
	(void)kolk__sized_write(given, &stats);
	return KOLK_OK;
}

enum kolk_err kolk_key_stats(struct kolk_key *key, struct kolk_stats *given)
{
	struct kolk__walk walk;
	struct kolk_stats stats;
	struct sum sum;

	if (!begin(&sum, &stats, given))
		return KOLK_E_OPTIONS;
	if (kolk__is_child(key->engine))
		return KOLK_E_FORKED;
	kolk__walk_begin_key(&walk, key, kolk__own(&key->id));
	walk.conns_gone = &sum.counters;
	walk_keys(&sum, &walk);
	add_times(&sum, key);
	stats.keys = 0;
	stats.connections_max = kolk__setting(kolk__own(&key->pool), connections_max);
	finish(&sum, key->engine);
	(void)kolk__sized_write(given, &stats);
	return KOLK_OK;
}

enum kolk_err kolk_tenant_stats(struct kolk_engine *engine, const char *name,
				struct kolk_tenant_stats *given)
{
	struct kolk_tenant_stats stats = KOLK_INIT(kolk_tenant_stats);
	struct kolk__tenant *tenant;
	const kolk__atomic_u64 *counts;

	if (name == NULL || kolk__sized_size(given) == 0)
		return KOLK_E_OPTIONS;
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	tenant = kolk__tenant_find(engine, name);
	if (tenant == NULL)
		return KOLK_E_NOT_FOUND;
	stats.open = kolk__load_relaxed(&tenant->connections.open);
	stats.waiting = kolk__load_relaxed(&tenant->waiting);
	stats.recalls = kolk__load_relaxed(&tenant->reclaimed);
	counts = kolk__load_acquire(&tenant->refused); /* COUNTS.A1 <- COUNTS.R1 */
	for (int i = 0; counts != NULL && i < KOLK_REFUSALS; i++)
		stats.refused[i] = kolk__load_relaxed(&counts[i]);
	kolk__tenant_unref(engine, tenant);
	(void)kolk__sized_write(given, &stats);
	return KOLK_OK;
}
