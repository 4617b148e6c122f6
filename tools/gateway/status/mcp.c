/* SPDX-License-Identifier: Apache-2.0 */
/* mcp.c - the numbers of pools of MCP servers, and of federations of them, as JSON and as metrics. */
#include "tools/gateway/status/status.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

#include "tools/gateway/mcp/mcp.h"
#include "tools/gateway/mcp/child.h"
#include "tools/gateway/mcp/federation.h"

/* W: gw_status_show_mcp, while there is no admin server. */
static const struct gw_mcp *shown_mcp;

void gw_status_show_mcp(const struct gw_mcp *mcp)
{
	shown_mcp = mcp;
}

static void add_stats(struct kolk_mcp_stats *sum, const struct kolk_mcp *mcp)
{
	struct kolk_mcp_stats stats = KOLK_INIT(kolk_mcp_stats);

	if (mcp == NULL || kolk_mcp_stats(mcp, &stats) != KOLK_OK)
		return;
	sum->clients += stats.clients;
	sum->calls += stats.calls;
	sum->cancelled += stats.cancelled;
	sum->lost += stats.lost;
	sum->remade += stats.remade;
	sum->close_failed += stats.close_failed;
	sum->isolation_violations += stats.isolation_violations;
	sum->virgin_hits += stats.virgin_hits;
}

static struct kolk_mcp_stats stats_of(const struct gw_mcp_pool *pool)
{
	struct kolk_mcp_stats sum = { .size = sizeof sum };

	add_stats(&sum, pool->sessions);
	add_stats(&sum, pool->calls);
	add_stats(&sum, pool->modern);
	return sum;
}

/* Its buckets are those of the gateway's own numbers. */
static void add_first_bytes(struct gw_numbers *sum, const struct kolk_mcp *mcp)
{
	uint64_t bounds_ns[GW_BUCKETS - 1], cumulative[GW_BUCKETS - 1], total, sum_ns;

	if (mcp == NULL)
		return;
	for (uint32_t i = 0; i < GW_BUCKETS - 1; i++)
		bounds_ns[i] = kolk__bucket_bound_ns(i);
	kolk_mcp_first_bytes(mcp, bounds_ns, GW_BUCKETS - 1, cumulative, &total, &sum_ns);
	for (uint32_t i = 0; i < GW_BUCKETS; i++)
		sum->buckets[i] += (i < GW_BUCKETS - 1 ? cumulative[i] : total) -
				   (i > 0 ? cumulative[i - 1] : 0);
	sum->timed += total;
	sum->sum_ns += sum_ns;
}

static struct gw_numbers first_bytes_of(const struct gw_mcp_pool *pool)
{
	struct gw_numbers sum = { 0 };

	add_first_bytes(&sum, pool->sessions);
	add_first_bytes(&sum, pool->calls);
	add_first_bytes(&sum, pool->modern);
	return sum;
}

static json_t *mcp_cache(const struct gw_mcp_cache_numbers *numbers)
{
	json_t *object = json_object();

	gw_status_put(object, "hits", kolk__load_relaxed(&numbers->hits));
	gw_status_put(object, "misses", kolk__load_relaxed(&numbers->misses));
	gw_status_put(object, "entries", kolk__load_relaxed(&numbers->entries));
	gw_status_put(object, "bytes", kolk__load_relaxed(&numbers->bytes));
	return object;
}

static json_t *mcp_pool(const struct gw_mcp_pool *pool)
{
	static const char *const eras[] = { "unknown", "legacy", "modern" };
	static const char *const transports[] = { "http", "stdio", "sse", "auto", "websocket" };
	const struct kolk_mcp_stats sum = stats_of(pool);
	const struct gw_numbers first_bytes = first_bytes_of(pool);
	json_t *object = json_object();

	json_object_set_new_nocheck(object, "name", json_string(pool->name));
	json_object_set_new_nocheck(object, "era", json_string(eras[kolk_mcp_era(gw_mcp_calls(pool))]));
	json_object_set_new_nocheck(object, "transport",
				    json_string(pool->local ? "local" : transports[pool->options.transport]));
	gw_status_put(object, "clients", sum.clients);
	gw_status_put(object, "calls", sum.calls);
	gw_status_put(object, "cancelled", sum.cancelled);
	gw_status_put(object, "sessionsLost", sum.lost);
	gw_status_put(object, "callsSentAgain", sum.remade);
	gw_status_put(object, "sessionsNotEnded", sum.close_failed);
	gw_status_put(object, "callsSuspended", kolk__load_relaxed(&pool->suspended));
	gw_status_put(object, "toolsDenied", kolk__load_relaxed(&pool->tools_denied));
	json_object_set_new_nocheck(object, "cache", mcp_cache(&pool->cached));
	gw_status_put(object, "virginHits", sum.virgin_hits);
	json_object_set_new_nocheck(object, "firstByte", gw_status_latency(&first_bytes));
	gw_status_put(object, "isolationViolations", sum.isolation_violations);
	return object;
}

static json_t *federation(struct gw_mcp_federation *of)
{
	json_t *object = json_object(), *servers = json_array();

	json_object_set_new_nocheck(object, "route", json_string(of->route));
	gw_status_put(object, "toolsDenied", kolk__load_relaxed(&of->pool.tools_denied));
	json_object_set_nocheck(object, "servers", servers);
	json_object_set_new_nocheck(object, "cache", mcp_cache(&of->pool.cached));
	pthread_mutex_lock(&of->lock);
	for (uint32_t i = 0; i < of->count; i++) {
		const struct gw_mcp_member *member = &of->members[i];
		json_t *server = json_object();

		json_object_set_new_nocheck(server, "pool", json_string(member->pool->name));
		json_object_set_new_nocheck(server, "prefix", json_string(member->prefix));
		json_object_set_new_nocheck(server, "state", json_string(member->down ? "down" : "up"));
		gw_status_put(server, "asked", member->asked);
		gw_status_put(server, "failed", member->failed);
		json_object_set_new_nocheck(server, "error", json_string(member->error));
		json_array_append_new(servers, server);
	}
	pthread_mutex_unlock(&of->lock);
	json_decref(servers);
	return object;
}

static void put_federations(json_t *root)
{
	struct gw_mcp_federation *of = kolk__load_acquire(&shown_mcp->federations); /* A1: of R1 */
	json_t *list = json_array();

	for (; of != NULL; of = of->next)
		json_array_append_new(list, federation(of));
	json_object_set_new_nocheck(root, "federations", list);
}

void gw_status_put_mcp(json_t *root)
{
	json_t *pools;

	if (shown_mcp == NULL || shown_mcp->count == 0)
		return;
	pools = json_array();
	for (uint32_t i = 0; i < shown_mcp->count; i++)
		json_array_append_new(pools, mcp_pool(&shown_mcp->pools[i]));
	json_object_set_new_nocheck(root, "mcp", pools);
	put_federations(root);
	if (shown_mcp->tools != NULL)
		gw_status_put_tools(root, shown_mcp->tools);
}

/* ---- metrics: of each pool */

/* A family of one row for each pool; outcome: a label more, NULL = none. */
static const struct family {
	const char *name, *type, *help, *outcome;
	size_t at; /* in struct gw_mcp_pool */
} families[] = {
	{ "tools_denied_total", "counter", "Requests for tools that the rules of their route deny.", NULL,
	  offsetof(struct gw_mcp_pool, tools_denied) },
	{ "mcp_cache_requests_total", "counter",
	  "Requests for results that may be kept, by whether one was.", "hit",
	  offsetof(struct gw_mcp_pool, cached.hits) },
	{ "mcp_cache_requests_total", NULL, NULL, "miss", offsetof(struct gw_mcp_pool, cached.misses) },
	{ "mcp_cache_entries", "gauge", "Results that are kept.", NULL,
	  offsetof(struct gw_mcp_pool, cached.entries) },
	{ "mcp_cache_bytes", "gauge", "Memory of results that are kept.", NULL,
	  offsetof(struct gw_mcp_pool, cached.bytes) },
};

static void print_row(FILE *out, const struct family *family, const struct gw_mcp_pool *pool)
{
	const kolk__atomic_u64 *value = (const void *)((const char *)pool + family->at);

	fprintf(out, "kolk_gateway_%s{pool=\"", family->name);
	gw_status_print_label(out, pool->name);
	if (family->outcome != NULL)
		fprintf(out, "\",outcome=\"%s", family->outcome);
	fprintf(out, "\"} %" PRIu64 "\n", kolk__load_relaxed(value));
}

/* What the library counts, at this place in struct kolk_mcp_stats. */
static void print_count(FILE *out, const char *name, const char *help, size_t at)
{
	fprintf(out, "# HELP kolk_gateway_mcp_%s %s\n# TYPE kolk_gateway_mcp_%s counter\n", name, help,
		name);
	for (uint32_t i = 0; i < shown_mcp->count; i++) {
		const struct kolk_mcp_stats stats = stats_of(&shown_mcp->pools[i]);
		const uint64_t *value = (const void *)((const char *)&stats + at);

		fprintf(out, "kolk_gateway_mcp_%s{pool=\"", name);
		gw_status_print_label(out, shown_mcp->pools[i].name);
		fprintf(out, "\"} %" PRIu64 "\n", *value);
	}
}

static void print_calls(FILE *out)
{
	static const char first_byte[] = "kolk_gateway_mcp_first_byte_seconds";

	print_count(out, "sessions_not_ended_total", "Sessions whose end the server did not confirm.",
		    offsetof(struct kolk_mcp_stats, close_failed));
	print_count(out, "virgin_hits_total",
		    "Clients of sharing virgin whose session was ready before they asked.",
		    offsetof(struct kolk_mcp_stats, virgin_hits));
	fprintf(out, "# HELP %s From when a connection had a request until its answer began.\n"
		     "# TYPE %s histogram\n", first_byte, first_byte);
	for (uint32_t i = 0; i < shown_mcp->count; i++) {
		char *name = gw_status_escaped(shown_mcp->pools[i].name);
		const struct gw_status_label label = { "pool", name };
		const struct gw_numbers numbers = first_bytes_of(&shown_mcp->pools[i]);

		if (name != NULL)
			gw_status_print_histogram(out, first_byte, &label, &numbers);
		free(name);
	}
}

void gw_status_print_mcp(FILE *out)
{
	if (shown_mcp == NULL || shown_mcp->count == 0)
		return;
	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
		const struct family *family = &families[i];

		if (family->help != NULL)
			fprintf(out, "# HELP kolk_gateway_%s %s\n# TYPE kolk_gateway_%s %s\n",
				family->name, family->help, family->name, family->type);
		for (uint32_t j = 0; j < shown_mcp->count; j++)
			print_row(out, family, &shown_mcp->pools[j]);
	}
	print_calls(out);
}
