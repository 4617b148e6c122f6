/* SPDX-License-Identifier: Apache-2.0 */
/* latency.c - see latency.h. */
#include "tools/ops/latency.h"

#include <stdlib.h>
#include <string.h>

#define EVERY_NS (60 * KOLK_S_NS)
#define WINDOW_NS (5 * EVERY_NS)

static uint64_t bound_ns(size_t index)
{
	static const uint64_t eighths[8] = { 1000, 1091, 1189, 1297, 1414, 1542, 1682, 1834 };

	return eighths[index % 8] << index / 8;
}

static void read_buckets(struct kolk_pool *pool, enum kolk_metric metric,
			 struct kolk__buckets *buckets)
{
	uint64_t bounds[KOLK__BOUNDS];

	for (size_t i = 0; i < KOLK__BOUNDS; i++)
		bounds[i] = bound_ns(i);
	kolk_pool_buckets(pool, metric, bounds, KOLK__BOUNDS, buckets->below, &buckets->count,
			  &buckets->sum_ns);
}

/* ---- snapshots */

static bool snapshot_take(struct kolk__snapshot *snapshot, const struct kolk__view *view,
			  uint64_t now_ns)
{
	*snapshot = (struct kolk__snapshot){ .at_ns = now_ns, .count = view->pool_count };
	snapshot->pools = calloc(view->pool_count + 1, sizeof *snapshot->pools);
	for (size_t i = 0; snapshot->pools != NULL && i < view->pool_count; i++) {
		struct kolk__pool_buckets *to = &snapshot->pools[i];

		to->id = view->pools[i].info.id;
		for (int m = 0; m < KOLK__METRICS; m++)
			read_buckets(view->pools[i].pool, (enum kolk_metric)m, &to->metrics[m]);
	}
	return snapshot->pools != NULL;
}

static void snapshot_keep(struct kolk__latencies *latencies, struct kolk__snapshot fresh)
{
	struct kolk__snapshot *all = latencies->snapshots;

	free(all[KOLK__SNAPSHOTS - 1].pools);
	memmove(&all[1], &all[0], (KOLK__SNAPSHOTS - 1) * sizeof all[0]);
	all[0] = fresh;
}

void kolk__latencies_tick(struct kolk__latencies *latencies, struct kolk_engine *engine)
{
	const struct kolk__tenants_asked nobody = { .only = "" };
	uint64_t now_ns = kolk_engine_now(engine);
	struct kolk__snapshot fresh;
	struct kolk__view view;

	if (latencies->snapshots[0].at_ns != 0 &&
	    now_ns - latencies->snapshots[0].at_ns < EVERY_NS)
		return;
	if (kolk__view_open(engine, &nobody, &view) && snapshot_take(&fresh, &view, now_ns))
		snapshot_keep(latencies, fresh);
	kolk__view_close(&view);
}

static uint64_t distance(uint64_t now_ns, uint64_t at_ns)
{
	uint64_t age_ns = now_ns - at_ns;

	return age_ns > WINDOW_NS ? age_ns - WINDOW_NS : WINDOW_NS - age_ns;
}

const struct kolk__snapshot *kolk__latencies_since(const struct kolk__latencies *latencies,
						   uint64_t now_ns, uint64_t age_ns)
{
	static const struct kolk__snapshot start; /* nothing was counted */
	const struct kolk__snapshot *best = NULL;

	if (age_ns <= WINDOW_NS)
		return &start;
	for (int i = 0; i < KOLK__SNAPSHOTS && latencies->snapshots[i].at_ns != 0; i++) {
		const struct kolk__snapshot *one = &latencies->snapshots[i];

		if (best == NULL || distance(now_ns, one->at_ns) < distance(now_ns, best->at_ns))
			best = one;
	}
	return best;
}

void kolk__latencies_free(struct kolk__latencies *latencies)
{
	for (int i = 0; i < KOLK__SNAPSHOTS; i++)
		free(latencies->snapshots[i].pools);
	memset(latencies, 0, sizeof *latencies);
}

/* ---- quantiles */

static const struct kolk__buckets *find(const struct kolk__snapshot *snapshot, uint64_t id,
					enum kolk_metric metric)
{
	for (size_t i = 0; snapshot->pools != NULL && i < snapshot->count; i++)
		if (snapshot->pools[i].id == id)
			return &snapshot->pools[i].metrics[metric];
	return NULL;
}

/* Add what the pool has counted since; one that is newer than the snapshot counts from zero. */
static void add(struct kolk__buckets *sum, const struct kolk__snapshot *since,
		const struct kolk__pool_view *pool, enum kolk_metric metric)
{
	static const struct kolk__buckets nothing;
	const struct kolk__buckets *then = find(since, pool->info.id, metric);
	struct kolk__buckets now;

	read_buckets(pool->pool, metric, &now);
	if (then == NULL)
		then = &nothing;
	for (size_t i = 0; i < KOLK__BOUNDS; i++)
		sum->below[i] += now.below[i] - then->below[i];
	sum->count += now.count - then->count;
	sum->sum_ns += now.sum_ns - then->sum_ns;
}

/* The first bound below which this share is. */
static uint64_t quantile(const struct kolk__buckets *buckets, uint64_t per_mille)
{
	uint64_t wanted = (buckets->count * per_mille + 999) / 1000;
	size_t i = 0;

	while (i < KOLK__BOUNDS - 1 && buckets->below[i] < wanted)
		i++;
	return buckets->count != 0 ? bound_ns(i) : 0;
}

struct kolk_quantiles kolk__latencies_quantiles(const struct kolk__snapshot *since,
						const struct kolk__view *view,
						const struct kolk__pool_view *pool,
						enum kolk_metric metric)
{
	struct kolk__buckets sum = { 0 };

	for (size_t i = 0; i < view->pool_count; i++)
		if (pool == NULL || pool == &view->pools[i])
			add(&sum, since, &view->pools[i], metric);
	return (struct kolk_quantiles){ .count = sum.count, .sum = sum.sum_ns,
					.p50 = quantile(&sum, 500), .p90 = quantile(&sum, 900),
					.p99 = quantile(&sum, 990), .p999 = quantile(&sum, 999),
					.max = quantile(&sum, 1000) };
}
