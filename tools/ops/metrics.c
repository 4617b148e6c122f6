/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.c - the same view as status.c, as Prometheus wants it: base units, _total, buckets.
 *
 * Labels are pools, states, reasons and loops, whose number is bounded by the configuration.
 * Tenants are not: metrics_tenants.c.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "tools/ops/metrics.h"

void kolk__put_family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value, escaped. Pools and tenants are called as users like. */
static void put_value(FILE *out, const char *bytes)
{
	char text[KOLK__SHOWN_MAX];

	for (const char *at = kolk__shown(bytes, text); *at != 0; at++) {
		if (*at == '\n')
			fputs("\\n", out);
		else if (*at == '\\' || *at == '"')
			fprintf(out, "\\%c", *at);
		else
			fputc(*at, out);
	}
}

void kolk__put_label(FILE *out, const char *name, const char *label, const char *value)
{
	fprintf(out, "%s{%s=\"", name, label);
	put_value(out, value);
	fputc('"', out);
}

/* ---- one number per pool */

/* name, type, field of struct kolk__pool_view, help */
/* clang-format off */
#define POOL_METRICS(X) \
	X("kolk_waiters", gauge, stats.waiting, \
	  "Callers that wait for a connection.") \
	X("kolk_keys", gauge, stats.keys, \
	  "Identities that are known.") \
	X("kolk_key_connections_limit", gauge, info.connections_max, \
	  "Connections that each key may have.") \
	X("kolk_key_waiters_limit", gauge, info.waiters_max, \
	  "Callers that may wait for each key.") \
	X("kolk_pool_draining", gauge, info.draining, \
	  "1 while the pool drains or is closed.") \
	X("kolk_dial_failures_in_a_row", gauge, info.dial_failures, \
	  "Dials that failed since one worked.") \
	X("kolk_acquired_total", counter, stats.acquired, \
	  "Leases that were handed out.") \
	X("kolk_released_total", counter, stats.released, \
	  "Leases that ended.") \
	X("kolk_reused_total", counter, stats.reused, \
	  "Leases of a connection that was leased before.") \
	X("kolk_waited_total", counter, stats.waited, \
	  "Acquires that had to wait.") \
	X("kolk_timeouts_total", counter, stats.timeouts, \
	  "Waiters whose deadline passed.") \
	X("kolk_rejected_total", counter, stats.rejected, \
	  "Acquires that were refused at once.") \
	X("kolk_cancelled_total", counter, stats.cancelled, \
	  "Acquires that the caller cancelled.") \
	X("kolk_handed_over_total", counter, stats.handed_over, \
	  "Releases that were given straight to a waiter.") \
	X("kolk_overtakes_total", counter, stats.overtakes, \
	  "Newcomers that were served before a waiter.") \
	X("kolk_dials_total", counter, stats.dialled, \
	  "Dials that were begun.") \
	X("kolk_dial_failures_total", counter, stats.dial_failed, \
	  "Dials that failed.") \
	X("kolk_created_total", counter, stats.created, \
	  "Dials that became connections.") \
	X("kolk_stale_discarded_total", counter, stats.stale_discarded, \
	  "Idle connections that were found dead.") \
	X("kolk_overdue_total", counter, stats.overdue, \
	  "Leases that were out for too long.")
/* clang-format on */

#define PUT(metric, type, field, help)                                                     \
	kolk__put_family(out, metric, #type, help);                                                  \
	for (size_t i = 0; i < view->pool_count; i++) {                                  \
		kolk__put_label(out, metric, "pool", view->pools[i].info.name);                  \
		fprintf(out, "} %" PRIu64 "\n", (uint64_t)view->pools[i].field);         \
	}

/* By the names that dashboards of connection pools elsewhere have. */
static void sizes_part(FILE *out, const struct kolk__view *view)
{
	static const char size[] = "connection_pool_size", idle[] = "connection_pool_available";

	kolk__put_family(out, size, "gauge", "Connections of the pool.");
	for (size_t i = 0; i < view->pool_count; i++) {
		kolk__put_label(out, size, "pool_name", view->pools[i].info.name);
		fprintf(out, "} %" PRIu32 "\n", view->pools[i].stats.open);
	}
	kolk__put_family(out, idle, "gauge", "Connections of the pool that are idle.");
	for (size_t i = 0; i < view->pool_count; i++) {
		kolk__put_label(out, idle, "pool_name", view->pools[i].info.name);
		fprintf(out, "} %" PRIu32 "\n", view->pools[i].stats.idle);
	}
}

static void pools_part(FILE *out, const struct kolk__view *view)
{
	static const char limit[] = "kolk_pool_connections_limit";

	POOL_METRICS(PUT)
	kolk__put_family(out, limit, "gauge", "Connections that the pool may have; absent = unlimited.");
	for (size_t i = 0; i < view->pool_count; i++) {
		if (view->pools[i].info.pool_connections_max == KOLK_UNLIMITED)
			continue;
		kolk__put_label(out, limit, "pool", view->pools[i].info.name);
		fprintf(out, "} %" PRIu32 "\n", view->pools[i].info.pool_connections_max);
	}
}

/* ---- more than one number per pool */

/* A pool's numbers of one name, told apart by a second label. */
struct series {
	FILE *out;
	const char *name, *label;
};

static void put_part(const struct series *series, const struct kolk__pool_view *pool,
		     const char *value, uint64_t number)
{
	kolk__put_label(series->out, series->name, "pool", pool->info.name);
	fprintf(series->out, ",%s=\"%s\"} %" PRIu64 "\n", series->label, value, number);
}

static void parts_part(FILE *out, const struct kolk__view *view)
{
	const struct series open = { out, "kolk_connections", "state" };
	const struct series pings = { out, "kolk_pings_total", "result" };
	const struct series mends = { out, "kolk_mends_total", "result" };

	kolk__put_family(out, open.name, "gauge", "Connections by what is done with them.");
	for (size_t i = 0; i < view->pool_count; i++) {
		const struct kolk__pool_view *pool = &view->pools[i];

		put_part(&open, pool, "idle", pool->stats.idle);
		put_part(&open, pool, "leased", pool->stats.leased);
		put_part(&open, pool, "dialing", pool->stats.dialing);
		put_part(&open, pool, "pinging", pool->stats.pinging);
		put_part(&open, pool, "closing", pool->stats.closing);
	}
	kolk__put_family(out, pings.name, "counter", "Health pings of idle connections.");
	for (size_t i = 0; i < view->pool_count; i++) {
		const struct kolk__pool_view *pool = &view->pools[i];

		put_part(&pings, pool, "ok", pool->stats.pings_ok);
		put_part(&pings, pool, "failed", pool->stats.pings_failed);
	}
	kolk__put_family(out, mends.name, "counter", "Connections made neutral by their driver after a lease.");
	for (size_t i = 0; i < view->pool_count; i++) {
		const struct kolk__pool_view *pool = &view->pools[i];

		put_part(&mends, pool, "ok", pool->stats.mends_ok);
		put_part(&mends, pool, "failed", pool->stats.mends_failed);
	}
}

static void circuits_part(FILE *out, const struct kolk__view *view)
{
	const struct series series = { out, "kolk_circuit", "state" };

	kolk__put_family(out, series.name, "gauge", "1 for the state that the circuit of the endpoint is in.");
	for (size_t i = 0; i < view->pool_count; i++)
		for (uint32_t state = 0; state <= KOLK_CIRCUIT_OPEN; state++)
			put_part(&series, &view->pools[i],
				 kolk_circuit_name((enum kolk_circuit)state),
				 view->pools[i].info.circuit == state);
}

static void closed_part(FILE *out, const struct kolk__view *view)
{
	const struct series series = { out, "kolk_closed_total", "reason" };

	kolk__put_family(out, series.name, "counter", "Connections that ended, by the reason.");
	for (size_t i = 0; i < view->pool_count; i++)
		for (int reason = 1; reason < KOLK_REASONS; reason++)
			put_part(&series, &view->pools[i],
				 kolk_reason_name((enum kolk_reason)reason),
				 view->pools[i].stats.destroyed[reason]);
}

static void refused_part(FILE *out, const struct kolk__view *view)
{
	const struct series series = { out, "kolk_refused_total", "reason" };

	kolk__put_family(out, series.name, "counter", "Callers that got no connection, by the reason.");
	for (size_t i = 0; i < view->pool_count; i++)
		for (int why = 0; why < KOLK_REFUSALS; why++)
			put_part(&series, &view->pools[i],
				 kolk_refusal_name((enum kolk_refusal)why),
				 view->pools[i].stats.refused[why]);
}

/* ---- histograms */

/* Not by %g: a program's locale may write a comma. */
static void put_seconds(FILE *out, uint64_t ns)
{
	fprintf(out, "%" PRIu64 ".%09" PRIu64 "\n", ns / KOLK_S_NS, ns % KOLK_S_NS);
}

struct bound {
	const char *text;
	uint64_t ns;
};

static const struct bound bounds[] = {
	{ "0.00001", 10 * KOLK_US_NS },	  { "0.00005", 50 * KOLK_US_NS },
	{ "0.0001", 100 * KOLK_US_NS },	  { "0.0005", 500 * KOLK_US_NS },
	{ "0.001", 1 * KOLK_MS_NS },	  { "0.0025", 2500 * KOLK_US_NS },
	{ "0.005", 5 * KOLK_MS_NS },	  { "0.01", 10 * KOLK_MS_NS },
	{ "0.025", 25 * KOLK_MS_NS },	  { "0.05", 50 * KOLK_MS_NS },
	{ "0.1", 100 * KOLK_MS_NS },	  { "0.25", 250 * KOLK_MS_NS },
	{ "0.5", 500 * KOLK_MS_NS },	  { "1", KOLK_S_NS },
	{ "2.5", 2500 * KOLK_MS_NS },	  { "5", 5 * KOLK_S_NS },
	{ "10", 10 * KOLK_S_NS },
};
enum { BOUNDS = sizeof bounds / sizeof bounds[0] };

static void histogram(FILE *out, const char *name, const struct kolk__pool_view *pool,
		      enum kolk_metric metric)
{
	uint64_t ns[BOUNDS], counts[BOUNDS], total, sum_ns;
	char full[64];
	const struct series buckets = { out, full, "le" };

	for (size_t i = 0; i < BOUNDS; i++)
		ns[i] = bounds[i].ns;
	kolk_pool_buckets(pool->pool, metric, ns, BOUNDS, counts, &total, &sum_ns);
	(void)snprintf(full, sizeof full, "%s_bucket", name);
	for (size_t i = 0; i < BOUNDS; i++)
		put_part(&buckets, pool, bounds[i].text, counts[i]);
	put_part(&buckets, pool, "+Inf", total);
	(void)snprintf(full, sizeof full, "%s_sum", name);
	kolk__put_label(out, full, "pool", pool->info.name);
	fputs("} ", out);
	put_seconds(out, sum_ns);
	(void)snprintf(full, sizeof full, "%s_count", name);
	kolk__put_label(out, full, "pool", pool->info.name);
	fprintf(out, "} %" PRIu64 "\n", total);
}

static void histograms_part(FILE *out, const struct kolk__view *view)
{
	static const struct {
		const char *name, *help;
		enum kolk_metric metric;
	} families[] = {
		{ "kolk_wait_seconds", "How long acquires waited; hits do not wait and are not in it.",
		  KOLK_METRIC_WAIT },
		{ "kolk_lease_seconds", "How long leases were out: all that did I/O, some others.",
		  KOLK_METRIC_LEASE },
		{ "kolk_dial_seconds", "How long dials took that worked, from name to ready.",
		  KOLK_METRIC_DIAL },
	};

	for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
		kolk__put_family(out, families[f].name, "histogram", families[f].help);
		for (size_t i = 0; i < view->pool_count; i++)
			histogram(out, families[f].name, &view->pools[i], families[f].metric);
	}
}

/* Without quantiles: what is sampled is an average. */
static void releases_part(FILE *out, const struct kolk__view *view)
{
	kolk__put_family(out, "kolk_release_seconds", "summary",
			 "How long releases took until the connection was idle again: a sample.");
	for (size_t i = 0; i < view->pool_count; i++) {
		const struct kolk__pool_view *pool = &view->pools[i];

		kolk__put_label(out, "kolk_release_seconds_sum", "pool", pool->info.name);
		fputs("} ", out);
		put_seconds(out, pool->stats.release_sum_ns);
		kolk__put_label(out, "kolk_release_seconds_count", "pool", pool->info.name);
		fprintf(out, "} %" PRIu64 "\n", pool->stats.release_count);
	}
}

/* ---- engine, loops */

static void gauge(FILE *out, const char *name, const char *help, uint64_t number)
{
	kolk__put_family(out, name, "gauge", help);
	fprintf(out, "%s %" PRIu64 "\n", name, number);
}

static void limit(FILE *out, const char *name, const char *help, uint32_t number)
{
	if (number != KOLK_UNLIMITED)
		gauge(out, name, help, number);
}

static void engine_part(FILE *out, struct kolk_engine *engine, const struct kolk__view *view)
{
	static const char misuse[] = "kolk_misuse_total";
	const struct kolk_engine_info *info = &view->engine;

	kolk__put_family(out, "kolk_build_info", "gauge", "1, labelled with what this is.");
	kolk__put_label(out, "kolk_build_info", "version", kolk_version_text());
	fputs(",backend=\"", out);
	put_value(out, kolk_engine_backend(engine));
	fputs("\",tls=\"", out);
	put_value(out, kolk_tls_text());
	fputs("\"} 1\n", out);
	kolk__put_family(out, "kolk_uptime_seconds", "gauge", "How long ago the engine was created.");
	fputs("kolk_uptime_seconds ", out);
	put_seconds(out, info->age_ns);
	gauge(out, "kolk_pools", "Pools that are not freed.", view->stats.pools);
	gauge(out, "kolk_tenants", "Tenants that are known.", view->tenants_all);
	gauge(out, "kolk_draining", "1 while every pool drains or is closed.", info->draining);
	limit(out, "kolk_connections_limit", "Connections of the whole engine.",
	      info->connections_max);
	limit(out, "kolk_waiters_limit", "Callers of the whole engine that may wait.",
	      info->waiters_max);
	limit(out, "kolk_keys_limit", "Keys of the whole engine.", info->keys_max);
	kolk__put_family(out, misuse, "counter", "Leases that were stale, foreign or busy.");
	fprintf(out, "%s %" PRIu64 "\n", misuse, view->stats.misuse);
	gauge(out, "kolk_unread_bytes", "Bytes received and not read yet.",
	      view->stats.unread_bytes);
}

#define LOOP_METRICS(X)                                                                  \
	X("kolk_loop_connections", connections, "Connections that are at home on the loop.") \
	X("kolk_loop_leased", leased, "Of them, those that are leased.")                 \
	X("kolk_loop_unread_bytes", unread_bytes, "Bytes received and not read yet.")

#define PUT_LOOP(metric, field, help)                                                      \
	kolk__put_family(out, metric, "gauge", help);                                                \
	for (uint32_t i = 0; i < count; i++)                                             \
		fprintf(out, metric "{loop=\"%" PRIu32 "\"} %" PRIu64 "\n", i,             \
			(uint64_t)infos[i].field);

static bool loops_part(FILE *out, struct kolk_engine *engine)
{
	uint32_t count = kolk_engine_loop_count(engine);
	struct kolk_loop_info *infos = calloc(count, sizeof *infos);

	if (infos == NULL)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		infos[i].size = (uint32_t)sizeof infos[i];
		(void)kolk_loop_inspect(kolk_engine_loop(engine, i), &infos[i]);
	}
	LOOP_METRICS(PUT_LOOP)
	free(infos);
	return true;
}

/* ---- the whole */

struct whole {
	struct kolk_engine *engine;
	const struct kolk__program *program; /* NULL = none */
	uint32_t tenants_max;
	bool with_tenants;
};

static bool program_part(FILE *out, const struct kolk__program *program)
{
	char *text;

	if (program == NULL || program->metrics == NULL)
		return true;
	text = program->metrics(program->user);
	if (text == NULL)
		return false;
	fputs(text, out);
	free(text);
	return true;
}

static bool write_whole(FILE *out, void *user)
{
	const struct whole *whole = user;
	const struct kolk__tenants_asked asked = { .max = whole->tenants_max };
	struct kolk__view view;
	bool good = kolk__view_open(whole->engine, &asked, &view);

	if (good) {
		engine_part(out, whole->engine, &view);
		parts_part(out, &view);
		pools_part(out, &view);
		sizes_part(out, &view);
		circuits_part(out, &view);
		closed_part(out, &view);
		refused_part(out, &view);
		histograms_part(out, &view);
		releases_part(out, &view);
		good = loops_part(out, whole->engine) && program_part(out, whole->program);
	}
	if (good && whole->with_tenants)
		good = kolk__put_tenants(out, whole->engine, &view, asked.max);
	kolk__view_close(&view);
	return good;
}

char *kolk__written(kolk__write_fn *write, void *user, size_t *size)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, size);
	bool good;

	if (out == NULL)
		return NULL;
	good = write(out, user) && !ferror(out);
	if (fclose(out) == 0 && good)
		return text;
	free(text);
	return NULL;
}

char *kolk__metrics_head(struct kolk_engine *engine, const struct kolk__program *program,
			 size_t *size)
{
	struct whole whole = { .engine = engine, .program = program };

	return kolk__written(write_whole, &whole, size);
}

char *kolk__metrics_text(struct kolk_engine *engine, uint32_t tenants_max,
			 const struct kolk__program *program)
{
	struct whole whole = { engine, program, tenants_max, .with_tenants = true };
	size_t size;

	return kolk__written(write_whole, &whole, &size);
}

char *kolk_metrics_text(struct kolk_engine *engine)
{
	return kolk__metrics_text(engine, KOLK__METRICS_TENANTS, NULL);
}
