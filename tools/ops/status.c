/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.c - the status as JSON, in the shape that dashboards of connection pools expect:
 * totals, connections per user, one entry per connection; and beside it what Kolk knows more.
 */
#include "tools/ops/status_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/sized.h"

static void put_limit(json_t *object, const char *key, uint32_t limit)
{
	json_object_set_new_nocheck(object, key, limit == KOLK_UNLIMITED ? json_null() :
									   json_integer(limit));
}

/* ---- statistics */

static json_t *gauges(const struct kolk_stats *s)
{
	json_t *object = json_object();

	kolk__put_count(object, "idle", s->idle);
	kolk__put_count(object, "leased", s->leased);
	kolk__put_count(object, "dialing", s->dialing);
	kolk__put_count(object, "pinging", s->pinging);
	kolk__put_count(object, "closing", s->closing);
	kolk__put_count(object, "open", s->open);
	return object;
}

static json_t *counters(const struct kolk_stats *s)
{
	json_t *object = json_object();

	kolk__put_count(object, "acquired", s->acquired);
	kolk__put_count(object, "released", s->released);
	kolk__put_count(object, "reused", s->reused);
	kolk__put_count(object, "waited", s->waited);
	kolk__put_count(object, "dialled", s->dialled);
	kolk__put_count(object, "created", s->created);
	kolk__put_count(object, "dialFailed", s->dial_failed);
	kolk__put_count(object, "timeouts", s->timeouts);
	kolk__put_count(object, "rejected", s->rejected);
	kolk__put_count(object, "cancelled", s->cancelled);
	kolk__put_count(object, "handedOver", s->handed_over);
	kolk__put_count(object, "overtakes", s->overtakes);
	kolk__put_count(object, "staleDiscarded", s->stale_discarded);
	kolk__put_count(object, "pingsOk", s->pings_ok);
	kolk__put_count(object, "pingsFailed", s->pings_failed);
	kolk__put_count(object, "mendsOk", s->mends_ok);
	kolk__put_count(object, "mendsFailed", s->mends_failed);
	kolk__put_count(object, "overdue", s->overdue);
	return object;
}

static json_t *close_reasons(const struct kolk_stats *s)
{
	json_t *object = json_object();

	for (int i = 0; i < KOLK_REASONS; i++)
		if (s->destroyed[i] != 0)
			kolk__put_count(object, kolk_reason_name((enum kolk_reason)i),
					s->destroyed[i]);
	return object;
}

/* Those of close_reasons that are faults. */
static json_t *close_faults(const struct kolk_stats *s)
{
	json_t *array = json_array();

	for (int i = 0; i < KOLK_REASONS; i++)
		if (s->destroyed[i] != 0 && kolk_reason_is_fault((enum kolk_reason)i))
			json_array_append_new(array, json_string_nocheck(kolk_reason_name(
							     (enum kolk_reason)i)));
	return array;
}

/* Reasons without refused callers are left out. */
static json_t *refused_part(const uint64_t refused[16])
{
	json_t *object = json_object();

	for (int i = 0; i < KOLK_REFUSALS; i++)
		if (refused[i] != 0)
			kolk__put_count(object, kolk_refusal_name((enum kolk_refusal)i),
					refused[i]);
	return object;
}

static void put_quantiles(json_t *object, const char *key, const struct kolk_quantiles *q)
{
	json_t *inner = json_object();

	kolk__put_count(inner, "count", q->count);
	kolk__put_count(inner, "meanNs", q->count != 0 ? q->sum / q->count : 0);
	kolk__put_count(inner, "p50Ns", q->p50);
	kolk__put_count(inner, "p90Ns", q->p90);
	kolk__put_count(inner, "p99Ns", q->p99);
	kolk__put_count(inner, "p999Ns", q->p999);
	kolk__put_count(inner, "maxNs", q->max);
	json_object_set_new_nocheck(object, key, inner);
}

static void put_stats(json_t *object, const struct kolk_stats *s)
{
	json_t *latency = json_object();

	put_quantiles(latency, "wait", &s->wait);
	put_quantiles(latency, "lease", &s->lease);
	put_quantiles(latency, "dial", &s->dial);
	json_object_set_new_nocheck(object, "connections", gauges(s));
	kolk__put_count(object, "waiting", s->waiting);
	json_object_set_new_nocheck(object, "counters", counters(s));
	json_object_set_new_nocheck(object, "refused", refused_part(s->refused));
	json_object_set_new_nocheck(object, "closeReasons", close_reasons(s));
	json_object_set_new_nocheck(object, "closeFaults", close_faults(s));
	json_object_set_new_nocheck(object, "latency", latency);
}

/* The same of the last five minutes; an older engine without earlier requests has none yet. */
static void put_recent(json_t *object, const struct status *status,
		       const struct kolk__pool_view *pool)
{
	static const char *const names[KOLK__METRICS] = { "wait", "lease", "dial" };
	json_t *recent;

	if (status->since == NULL)
		return;
	recent = json_object();
	kolk__put_count(recent, "seconds", status->since_seconds);
	for (int m = 0; m < KOLK__METRICS; m++) {
		struct kolk_quantiles q = kolk__latencies_quantiles(
			status->since, &status->view, pool, (enum kolk_metric)m);

		put_quantiles(recent, names[m], &q);
	}
	json_object_set_new_nocheck(object, "latencyRecent", recent);
}

/* ---- engine, pools, tenants, loops */

static json_t *engine_part(const struct status *status)
{
	const struct kolk__view *view = &status->view;
	json_t *object = json_object(), *limits = json_object();

	kolk__put_bool(object, "draining", view->engine.draining != 0);
	kolk__put_count(object, "pools", view->stats.pools);
	kolk__put_count(object, "keys", view->stats.keys);
	kolk__put_count(object, "tenants", view->tenants_all);
	put_stats(object, &view->stats);
	put_recent(object, status, NULL);
	kolk__put_count(object, "misuse", view->stats.misuse);
	kolk__put_count(object, "unreadBytes", view->stats.unread_bytes);
	put_limit(limits, "connectionsMax", view->engine.connections_max);
	put_limit(limits, "connectionsReserved", view->engine.connections_reserved);
	put_limit(limits, "tenantConnectionsMax", view->engine.tenant_connections_max);
	put_limit(limits, "tenantKeysMax", view->engine.tenant_keys_max);
	put_limit(limits, "waitersMax", view->engine.waiters_max);
	put_limit(limits, "keysMax", view->engine.keys_max);
	put_limit(limits, "dialsMax", view->engine.dials_max);
	json_object_set_new_nocheck(object, "limits", limits);
	return object;
}

static json_t *last_failure(struct kolk_engine *engine, const struct kolk_pool_info *info)
{
	uint64_t now_ns = kolk_engine_now(engine);
	json_t *object;

	if (info->failure.err == KOLK_OK)
		return json_null();
	object = json_object();
	kolk__put_text(object, "error", kolk_err_name(info->failure.err));
	kolk__put_text(object, "text", kolk_err_text(info->failure.err));
	kolk__put_text(object, "phase", kolk_phase_name(info->failure.phase));
	kolk__put_text(object, "detail",
		       info->failure_detail != NULL ? info->failure_detail : "");
	kolk__put_count(object, "secondsAgo",
			now_ns > info->failure_at_ns ?
				(now_ns - info->failure_at_ns) / KOLK_S_NS : 0);
	return object;
}

static json_t *limits_of(const struct kolk_pool_info *info)
{
	json_t *object = json_object();

	put_limit(object, "connectionsMax", info->connections_max);
	put_limit(object, "poolConnectionsMax", info->pool_connections_max);
	kolk__put_count(object, "idleMin", info->idle_min);
	put_limit(object, "idleMax", info->idle_max);
	put_limit(object, "poolIdleMax", info->pool_idle_max);
	kolk__put_count(object, "waitersMax", info->waiters_max);
	kolk__put_ms(object, "idleTimeoutMs", info->idle_timeout_ns);
	kolk__put_ms(object, "lifetimeMs", info->lifetime_ns);
	return object;
}

static void put_average(json_t *object, const char *key, uint64_t ns)
{
	json_object_set_new_nocheck(object, key, json_real((double)ns / (double)KOLK_MS_NS));
}

/* What pools elsewhere report of themselves, in their words. */
static json_t *statistics(const struct status *status, const struct kolk__pool_view *pool)
{
	const struct kolk__pool_stats s = kolk__pool_stats(
		pool, &status->idle_times[pool - status->view.pools]);
	json_t *object = json_object();

	kolk__put_count(object, "size", s.size);
	kolk__put_count(object, "available", s.available);
	kolk__put_count(object, "totalCreated", s.created);
	kolk__put_count(object, "totalDestroyed", s.destroyed);
	kolk__put_count(object, "reused", s.reused);
	kolk__put_count(object, "timeoutErrors", s.timeouts);
	kolk__put_count(object, "connectionErrors", s.errors);
	put_average(object, "averageConnectionMs", s.connection_ns);
	put_average(object, "averageAcquireMs", s.acquire_ns);
	put_average(object, "averageReleaseMs", s.release_ns);
	put_average(object, "averageLeaseMs", s.lease_ns);
	put_average(object, "averageIdleMs", s.idle_ns);
	return object;
}

static json_t *pool_part(const struct status *status, const struct kolk__pool_view *pool)
{
	const struct kolk_pool_info *info = &pool->info;
	json_t *object = json_object();

	kolk__put_text(object, "name", info->name);
	kolk__put_text(object, "address", info->address);
	kolk__put_bool(object, "tls", info->tls != 0);
	kolk__put_bool(object, "resource", info->resource != 0);
	kolk__put_text(object, "state", !info->draining			? "open" :
					kolk_pool_is_closed(pool->pool) ? "closed" : "draining");
	kolk__put_bool(object, "suspended", info->suspended != 0);
	kolk__put_text(object, "circuit", kolk_circuit_name((enum kolk_circuit)info->circuit));
	kolk__put_text(object, "isolation", kolk__isolation_name(info->isolation));
	kolk__put_count(object, "keys", pool->stats.keys);
	kolk__put_count(object, "dialFailuresInARow", info->dial_failures);
	kolk__put_ms(object, "peerIdleMs", info->peer_idle_ns);
	json_object_set_new_nocheck(object, "limits", limits_of(info));
	json_object_set_new_nocheck(object, "lastFailure", last_failure(status->engine, info));
	put_stats(object, &pool->stats);
	put_recent(object, status, pool);
	json_object_set_new_nocheck(object, "statistics", statistics(status, pool));
	return object;
}

static json_t *pools_part(struct status *status)
{
	const struct kolk__view *view = &status->view;
	json_t *array = json_array();

	for (size_t i = 0; i < view->pool_count; i++)
		if (status->options.pool == NULL ||
		    strcmp(status->options.pool, view->pools[i].info.name) == 0)
			json_array_append_new(array, pool_part(status, &view->pools[i]));
	return array;
}

static json_t *tenants_part(struct status *status)
{
	const struct kolk__view *view = &status->view;
	json_t *array = json_array();

	for (size_t i = 0; i < view->tenant_count; i++) {
		const struct kolk_tenant_info *info = &view->tenants[i].info;
		json_t *object = json_object();

		kolk__put_text(object, "name", info->name);
		kolk__put_count(object, "open", info->open);
		kolk__put_count(object, "waiting", info->waiting);
		kolk__put_count(object, "keys", info->keys);
		put_limit(object, "connectionsMax", info->connections_max);
		put_limit(object, "keysMax", info->keys_max);
		kolk__put_count(object, "weight", info->weight);
		kolk__put_bool(object, "ownLimits", info->own_limits != 0);
		kolk__put_count(object, "recalls", info->recalls);
		json_object_set_new_nocheck(object, "refused",
					    refused_part(view->tenants[i].stats.refused));
		json_array_append_new(array, object);
	}
	status->truncated |= view->tenants_left_out;
	return array;
}

static json_t *user_counts(const struct kolk__view *view)
{
	json_t *object = json_object();

	for (size_t i = 0; i < view->tenant_count; i++) {
		char text[KOLK__SHOWN_MAX];

		const struct kolk_tenant_info *info = &view->tenants[i].info;

		if (info->open != 0)
			kolk__put_count(object, kolk__shown(info->name, text), info->open);
	}
	return object;
}

static json_t *loops_part(struct kolk_engine *engine)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < kolk_engine_loop_count(engine); i++) {
		struct kolk_loop_info info = KOLK_INIT(kolk_loop_info);
		json_t *object = json_object();

		(void)kolk_loop_inspect(kolk_engine_loop(engine, i), &info);
		kolk__put_count(object, "index", i);
		kolk__put_count(object, "connections", info.connections);
		kolk__put_count(object, "leased", info.leased);
		json_object_set_new_nocheck(object, "active", json_boolean(info.active != 0));
		kolk__put_count(object, "unreadBytes", info.unread_bytes);
		json_array_append_new(array, object);
	}
	return array;
}

/* ---- the whole */

uint64_t kolk__wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The four settings that gateways of this kind have, whatever they pool. */
static json_t *config_part(const struct kolk__view *view)
{
	uint64_t idle_ns = KOLK_FOREVER;
	json_t *object = json_object();

	for (size_t i = 0; i < view->pool_count; i++)
		if (view->pools[i].info.idle_timeout_ns < idle_ns)
			idle_ns = view->pools[i].info.idle_timeout_ns;
	put_limit(object, "maxConnectionsPerUser", view->engine.tenant_connections_max);
	put_limit(object, "maxTotalConnections", view->engine.connections_max);
	kolk__put_ms(object, "connectionTimeout", idle_ns);
	kolk__put_ms(object, "cleanupInterval", view->engine.maintenance_interval_ns);
	return object;
}

static void head(struct status *status)
{
	json_t *root = status->root;

	kolk__put_count(root, "timestamp", status->now_ms);
	kolk__put_text(root, "version", kolk_version_text());
	kolk__put_text(root, "backend", kolk_engine_backend(status->engine));
	kolk__put_text(root, "tls", kolk_tls_text());
	kolk__put_count(root, "uptimeSeconds", status->view.engine.age_ns / KOLK_S_NS);
	kolk__put_count(root, "totalConnections", status->view.stats.open);
	json_object_set_new_nocheck(root, "userConnectionCounts", user_counts(&status->view));
}

static void find_recent(struct status *status, struct kolk__trend *trend)
{
	uint64_t now_ns = kolk_engine_now(status->engine), age_ns = status->view.engine.age_ns;

	if (trend == NULL)
		return;
	status->since = kolk__latencies_since(&trend->latencies, now_ns, age_ns);
	if (status->since != NULL)
		status->since_seconds = (status->since->at_ns != 0 ?
						 now_ns - status->since->at_ns : age_ns) /
					KOLK_S_NS;
}

/* False = no memory. */
static bool program_part(struct status *status)
{
	const struct kolk__program *program = status->program;
	json_t *json;
	char *text;

	if (program == NULL || program->status == NULL)
		return true;
	text = program->status(program->user);
	if (text == NULL)
		return false;
	json = json_loads(text, JSON_DECODE_ANY, NULL);
	free(text);
	json_object_set_new_nocheck(status->root, "program", json != NULL ? json : json_null());
	return true;
}

static char *compose(struct status *status, struct kolk__trend *trend)
{
	json_t *root = status->root;

	if (!kolk__status_keys(status) || !kolk__status_connections(status) ||
	    !program_part(status))
		return NULL;
	find_recent(status, trend);
	head(status);
	json_object_set_nocheck(root, "connectionDetails", status->connections);
	json_object_set_new_nocheck(root, "config", config_part(&status->view));
	json_object_set_new_nocheck(root, "engine", engine_part(status));
	json_object_set_new_nocheck(root, "pools", pools_part(status));
	json_object_set_new_nocheck(root, "tenants", tenants_part(status));
	json_object_set_nocheck(root, "keys", status->keys);
	json_object_set_new_nocheck(root, "loops", loops_part(status->engine));
	json_object_set_nocheck(root, "waiters", status->waiters);
	json_object_set_nocheck(root, "overdue", status->overdue);
	json_object_set_new_nocheck(root, "alerts",
				    kolk__alerts(status->engine, &status->view,
						 status->overdue_count, trend));
	kolk__put_bool(root, "truncated", status->truncated);
	return json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(6));
}

static uint32_t listed(uint32_t asked)
{
	return asked == 0 ? STATUS_LISTED : asked == KOLK_NONE ? 0 : asked;
}

char *kolk__status_json(struct kolk_engine *engine, const struct kolk_status_options *options,
			struct kolk__trend *trend, const struct kolk__program *program)
{
	struct status status = { .engine = engine, .program = program, .now_ms = kolk__wall_ms() };
	struct kolk__tenants_asked asked;
	char *text = NULL;

	if (options != NULL && !kolk__sized_read(&status.options, options))
		return NULL;
	status.options.connections = listed(status.options.connections);
	status.options.keys = listed(status.options.keys);
	status.options.tenants = listed(status.options.tenants);
	status.root = json_object();
	status.keys = json_array();
	status.waiters = json_array();
	status.connections = json_array();
	status.overdue = json_array();
	asked = (struct kolk__tenants_asked){ status.options.tenants, status.options.tenant,
					      status.options.search,
					      status.options.tenants_by_refused != 0 };
	if (kolk__view_open(engine, &asked, &status.view))
		status.idle_times = calloc(status.view.pool_count + 1, sizeof *status.idle_times);
	if (status.idle_times != NULL)
		text = compose(&status, trend);
	free(status.idle_times);
	kolk__view_close(&status.view);
	json_decref(status.root);
	json_decref(status.keys);
	json_decref(status.waiters);
	json_decref(status.connections);
	json_decref(status.overdue);
	return text;
}

char *kolk_status_json(struct kolk_engine *engine, const struct kolk_status_options *options)
{
	return kolk__status_json(engine, options, NULL, NULL);
}
