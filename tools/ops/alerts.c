/* SPDX-License-Identifier: Apache-2.0 */
/* alerts.c - what an operator should check: limits that are near, endpoints that fail. */
#include "tools/ops/status.h"

#include <stdio.h>
#include <string.h>

enum { ALERTS_MAX = 200 };

/* What alerts are about, and the list that they are put into. */
struct subject {
	json_t *alerts;
	const char *kind; /* engine, pool, tenant, endpoint */
	const char *name;
};

struct limit {
	const char *what; /* "callers wait" */
	uint64_t used;
	uint32_t max;
};

static void alert(const struct subject *subject, const char *level, const char *text, double ratio)
{
	json_t *object;

	if (json_array_size(subject->alerts) >= ALERTS_MAX)
		return;
	object = json_object();
	kolk__put_text(object, "level", level);
	kolk__put_text(object, "subject", subject->kind);
	kolk__put_text(object, "name", subject->name);
	kolk__put_text(object, "text", text);
	json_object_set_new_nocheck(object, "ratio", json_real(ratio));
	json_array_append_new(subject->alerts, object);
}

static void check_limit(const struct subject *subject, const char *level, struct limit limit)
{
	char text[128];

	if (!kolk__is_near(limit.used, limit.max))
		return;
	(void)snprintf(text, sizeof text, "%llu of %u %s", (unsigned long long)limit.used,
		       limit.max, limit.what);
	alert(subject, level, text, (double)limit.used / limit.max);
}

/* Idle connections can be taken: leased connections and waiting callers count. */
static void check_use(const struct subject *subject, const struct kolk_stats *stats, uint32_t limit)
{
	bool full = stats->open >= limit && stats->waiting != 0;
	char text[128];

	if (!kolk__is_near((uint64_t)stats->leased + stats->waiting, limit))
		return;
	(void)snprintf(text, sizeof text, "%u connections are leased and %u callers wait; the limit is %u",
		       stats->leased, stats->waiting, limit);
	alert(subject, full ? "critical" : "warning", text,
	      (double)((uint64_t)stats->leased + stats->waiting) / limit);
}

/* For information: most of them are idle, and closed when others want one. */
static void check_open(const struct subject *subject, const struct kolk_stats *stats,
		       uint32_t limit)
{
	if (!kolk__is_near((uint64_t)stats->leased + stats->waiting, limit))
		check_limit(subject, "info",
			    (struct limit){ "connections are open", stats->open, limit });
}

static void check_engine(json_t *alerts, const struct kolk__view *view, size_t overdue)
{
	const struct subject subject = { alerts, "engine", "" };
	const struct kolk_engine_info *engine = &view->engine;
	const struct kolk_stats *stats = &view->stats;
	char text[128];

	check_use(&subject, stats, engine->connections_max);
	check_limit(&subject, stats->waiting >= engine->waiters_max ? "critical" : "warning",
		    (struct limit){ "callers wait", stats->waiting, engine->waiters_max });
	check_limit(&subject, "warning",
		    (struct limit){ "keys are known", stats->keys, engine->keys_max });
	if (engine->draining)
		alert(&subject, "warning", "every pool is draining or closed", 0);
	if (overdue == 0)
		return;
	(void)snprintf(text, sizeof text, "leases that are out for longer than lease_overdue: %zu",
		       overdue);
	alert(&subject, "warning", text, 0);
}

static void check_circuit(json_t *alerts, const struct kolk_pool_info *info)
{
	const struct subject subject = { alerts, "endpoint", info->name };
	char text[320];

	if (info->circuit == KOLK_CIRCUIT_CLOSED && info->dial_failures < 3)
		return;
	(void)snprintf(text, sizeof text,
		       "%.100s: the circuit is %s, %llu dials failed in a row: %s%s%s",
		       info->address, kolk_circuit_name((enum kolk_circuit)info->circuit),
		       (unsigned long long)info->dial_failures, kolk_err_text(info->failure.err),
		       info->failure_detail != NULL ? ": " : "",
		       info->failure_detail != NULL ? info->failure_detail : "");
	alert(&subject, info->circuit == KOLK_CIRCUIT_OPEN ? "critical" : "warning", text, 0);
}

static void check_pool(json_t *alerts, const struct kolk__pool_view *pool)
{
	const struct subject subject = { alerts, "pool", pool->info.name };

	check_use(&subject, &pool->stats, pool->info.pool_connections_max);
	check_circuit(alerts, &pool->info);
	if (pool->info.draining)
		alert(&subject, "warning",
		      pool->info.suspended ? "an operator drained it: callers are refused until it is resumed" :
					     "it is draining or closed", 0);
}

static void check_tenants(json_t *alerts, const struct kolk__view *view)
{
	for (size_t i = 0; i < view->near_limit_count; i++) {
		const struct kolk_tenant_info *info = &view->near_limit[i];
		const struct subject subject = { alerts, "tenant", info->name };
		bool full = info->open >= info->connections_max;

		if (info->waiting != 0)
			check_limit(&subject, full ? "critical" : "warning",
				    (struct limit){ "connections are open, and its callers wait",
						    info->open, info->connections_max });
		check_limit(&subject, "warning",
			    (struct limit){ "keys are known", info->keys, info->keys_max });
	}
}

/* ---- what grows */

static void counts_copy(struct kolk__counts *counts, const struct kolk__view *view,
			uint64_t now_ns)
{
	*counts = (struct kolk__counts){ .at_ns = now_ns };
	for (size_t i = 0; i < view->pool_count && i < KOLK__TREND_POOLS; i++) {
		const struct kolk_stats *stats = &view->pools[i].stats;
		struct kolk__pool_counts *to = &counts->pools[counts->count++];

		memcpy(to->name, view->pools[i].info.name, sizeof to->name);
		to->acquired = stats->acquired;
		to->dial_failed = stats->dial_failed;
		to->evicted = stats->destroyed[KOLK_REASON_ROOM];
		memcpy(to->refused, stats->refused, sizeof to->refused);
	}
}

static uint64_t grown(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static void alert_count(const struct subject *subject, const char *what, uint64_t count,
			unsigned long long seconds)
{
	char text[128];

	if (count == 0)
		return;
	(void)snprintf(text, sizeof text, "%s in the last %llu s: %llu", what, seconds,
		       (unsigned long long)count);
	alert(subject, "warning", text, 0);
}

/* "callers refused in the last 42 s: 602 (500 circuit, 102 queue full)"; critical: one in twenty. */
static void alert_refused(const struct subject *subject, const struct kolk_stats *stats,
			  const struct kolk__pool_counts *before, unsigned long long seconds)
{
	uint64_t all = 0, served = grown(stats->acquired, before->acquired);
	char text[512], why[400] = "";
	size_t used = 0;

	for (int i = 0; i < KOLK_REFUSALS; i++) {
		uint64_t more = grown(stats->refused[i], before->refused[i]);

		all += more;
		if (more != 0)
			used += (size_t)snprintf(why + used, sizeof why - used, "%s%llu %s",
						 used != 0 ? ", " : "", (unsigned long long)more,
						 kolk_refusal_name((enum kolk_refusal)i));
	}
	if (all == 0)
		return;
	(void)snprintf(text, sizeof text, "callers refused in the last %llu s: %llu (%s)", seconds,
		       (unsigned long long)all, why);
	alert(subject, all * 20 >= all + served ? "critical" : "warning", text,
	      (double)all / (double)(all + served));
}

static void alert_growth(json_t *alerts, const struct kolk__pool_view *pool,
			 const struct kolk__counts *before, uint64_t now_ns)
{
	const struct subject subject = { alerts, "pool", pool->info.name };
	const struct kolk_stats *stats = &pool->stats;
	unsigned long long seconds = (now_ns - before->at_ns) / KOLK_S_NS + 1;

	for (size_t i = 0; i < before->count; i++) {
		const struct kolk__pool_counts *then = &before->pools[i];

		if (strcmp(then->name, pool->info.name) != 0)
			continue;
		alert_refused(&subject, stats, then, seconds);
		alert_count(&subject, "dials that failed",
			    grown(stats->dial_failed, then->dial_failed), seconds);
		alert_count(&subject, "idle connections evicted for others",
			    grown(stats->destroyed[KOLK_REASON_ROOM], then->evicted), seconds);
	}
}

/* Two snapshots, so that the one to compare with is always 30 to 60 s old. */
static void check_trend(json_t *alerts, const struct kolk__view *view,
			struct kolk__trend *trend, uint64_t now_ns)
{
	if (trend->since.at_ns == 0) {
		counts_copy(&trend->since, view, now_ns);
		trend->before = trend->since;
	}
	for (size_t i = 0; i < view->pool_count; i++)
		alert_growth(alerts, &view->pools[i], &trend->before, now_ns);
	if (now_ns - trend->since.at_ns < 30 * KOLK_S_NS)
		return;
	trend->before = trend->since;
	counts_copy(&trend->since, view, now_ns);
}

json_t *kolk__alerts(struct kolk_engine *engine, const struct kolk__view *view, size_t overdue,
		     struct kolk__trend *trend)
{
	json_t *alerts = json_array();

	check_engine(alerts, view, overdue);
	for (size_t i = 0; i < view->pool_count; i++)
		check_pool(alerts, &view->pools[i]);
	if (trend != NULL)
		check_trend(alerts, view, trend, kolk_engine_now(engine));
	check_tenants(alerts, view);
	check_open(&(struct subject){ alerts, "engine", "" }, &view->stats,
		   view->engine.connections_max);
	for (size_t i = 0; i < view->pool_count; i++)
		check_open(&(struct subject){ alerts, "pool", view->pools[i].info.name },
			   &view->pools[i].stats, view->pools[i].info.pool_connections_max);
	return alerts;
}
