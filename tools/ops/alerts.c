/* SPDX-License-Identifier: Apache-2.0 */
/* alerts.c - what an operator should look at: limits that are near, endpoints that fail. */
#include "tools/ops/status.h"

#include <stdio.h>
#include <string.h>

enum { ALERTS_MAX = 200 };
#define NEAR 0.8

struct subject {
	const char *kind; /* engine, pool, tenant, endpoint */
	const char *name;
};

static void alert(json_t *alerts, const char *level, struct subject subject,
		  const char *text, double ratio)
{
	json_t *object;

	if (json_array_size(alerts) >= ALERTS_MAX)
		return;
	object = json_object();
	kolk__put_text(object, "level", level);
	kolk__put_text(object, "subject", subject.kind);
	kolk__put_text(object, "name", subject.name);
	kolk__put_text(object, "text", text);
	json_object_set_new_nocheck(object, "ratio", json_real(ratio));
	json_array_append_new(alerts, object);
}

/* A limit that is reached while callers wait is worse than one that is near. */
static void look_at_limit(json_t *alerts, struct subject subject, const char *what,
			  uint32_t used, uint32_t limit, bool wanted)
{
	double ratio;
	char text[128];

	if (limit == 0 || limit == KOLK_UNLIMITED)
		return;
	ratio = (double)used / limit;
	if (ratio < NEAR)
		return;
	(void)snprintf(text, sizeof text, "%u of %u %s", used, limit, what);
	alert(alerts, ratio >= 1 && wanted ? "critical" : "warning", subject, text, ratio);
}

static void look_at_engine(json_t *alerts, const struct kolk__view *view, size_t overdue)
{
	const struct subject subject = { "engine", "" };
	const struct kolk_stats *stats = &view->stats;
	char text[128];

	look_at_limit(alerts, subject, "connections are open", stats->open,
		      view->engine.connections_max, stats->waiting != 0);
	look_at_limit(alerts, subject, "callers wait", stats->waiting,
		      view->engine.waiters_max, true);
	look_at_limit(alerts, subject, "keys are known", stats->keys, view->engine.keys_max,
		      false);
	if (view->engine.draining)
		alert(alerts, "warning", subject, "every pool is draining or closed", 0);
	if (overdue == 0)
		return;
	(void)snprintf(text, sizeof text, "leases that are out for longer than lease_overdue: %zu",
		       overdue);
	alert(alerts, "warning", subject, text, 0);
}

static void look_at_circuit(json_t *alerts, const struct kolk_pool_info *info)
{
	const struct subject subject = { "endpoint", info->name };
	char text[320];

	if (info->circuit == KOLK_CIRCUIT_CLOSED && info->dial_failures < 3)
		return;
	(void)snprintf(text, sizeof text,
		       "%.100s: the circuit is %s, %llu dials failed in a row: %s%s%s",
		       info->address, kolk_circuit_name((enum kolk_circuit)info->circuit),
		       (unsigned long long)info->dial_failures, kolk_err_text(info->failure.err),
		       info->failure.detail != NULL ? ": " : "",
		       info->failure.detail != NULL ? info->failure.detail : "");
	alert(alerts, info->circuit == KOLK_CIRCUIT_OPEN ? "critical" : "warning", subject, text,
	      0);
}

static void look_at_pool(json_t *alerts, const struct kolk__pool_view *pool)
{
	const struct subject subject = { "pool", pool->info.name };

	look_at_limit(alerts, subject, "connections are open", pool->stats.open,
		      pool->info.pool_connections_max, pool->stats.waiting != 0);
	look_at_circuit(alerts, &pool->info);
	if (pool->info.draining)
		alert(alerts, "warning", subject, "it is draining or closed", 0);
}

static void look_at_tenants(json_t *alerts, const struct kolk__view *view)
{
	for (size_t i = 0; i < view->tenant_count; i++) {
		const struct kolk_tenant_info *info = &view->tenants[i];
		const struct subject subject = { "tenant", info->name };

		look_at_limit(alerts, subject, "connections are open", info->open,
			      info->connections_max, info->waiting != 0);
		look_at_limit(alerts, subject, "keys are known", info->keys, info->keys_max,
			      false);
	}
}

/* ---- what grows */

static void counts_take(struct kolk__counts *counts, const struct kolk__view *view,
			uint64_t now_ns)
{
	*counts = (struct kolk__counts){ .at_ns = now_ns };
	for (size_t i = 0; i < view->pool_count && i < KOLK__TREND_POOLS; i++) {
		memcpy(counts->pools[i].name, view->pools[i].info.name,
		       sizeof counts->pools[i].name);
		counts->pools[i].timeouts = view->pools[i].stats.timeouts;
		counts->pools[i].dial_failed = view->pools[i].stats.dial_failed;
		counts->count++;
	}
}

static void tell_growth(json_t *alerts, const struct kolk__pool_view *pool,
			const struct kolk__counts *before, uint64_t now_ns)
{
	const struct subject subject = { "pool", pool->info.name };
	unsigned long long seconds = (now_ns - before->at_ns) / KOLK_S_NS + 1;
	char text[128];

	for (size_t i = 0; i < before->count; i++) {
		if (strcmp(before->pools[i].name, pool->info.name) != 0)
			continue;
		if (pool->stats.timeouts > before->pools[i].timeouts) {
			(void)snprintf(text, sizeof text, "callers that timed out in the last %2$llu s: %1$llu",
				       (unsigned long long)(pool->stats.timeouts -
							    before->pools[i].timeouts),
				       seconds);
			alert(alerts, "warning", subject, text, 0);
		}
		if (pool->stats.dial_failed > before->pools[i].dial_failed) {
			(void)snprintf(text, sizeof text, "dials that failed in the last %2$llu s: %1$llu",
				       (unsigned long long)(pool->stats.dial_failed -
							    before->pools[i].dial_failed),
				       seconds);
			alert(alerts, "warning", subject, text, 0);
		}
	}
}

/* Two snapshots, so that the one to compare with is always 30 to 60 s old. */
static void look_at_trend(json_t *alerts, const struct kolk__view *view,
			  struct kolk__trend *trend, uint64_t now_ns)
{
	if (trend->since.at_ns == 0) {
		counts_take(&trend->since, view, now_ns);
		trend->before = trend->since;
	}
	for (size_t i = 0; i < view->pool_count; i++)
		tell_growth(alerts, &view->pools[i], &trend->before, now_ns);
	if (now_ns - trend->since.at_ns < 30 * KOLK_S_NS)
		return;
	trend->before = trend->since;
	counts_take(&trend->since, view, now_ns);
}

json_t *kolk__alerts(struct kolk_engine *engine, const struct kolk__view *view, size_t overdue,
		     struct kolk__trend *trend)
{
	json_t *alerts = json_array();

	look_at_engine(alerts, view, overdue);
	for (size_t i = 0; i < view->pool_count; i++)
		look_at_pool(alerts, &view->pools[i]);
	look_at_tenants(alerts, view);
	if (trend != NULL)
		look_at_trend(alerts, view, trend, kolk_engine_now(engine));
	return alerts;
}
