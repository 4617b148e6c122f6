/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_status.c - status and cleanup in the form that pools of MCP clients have.
 *
 * What counts as a connection is what a caller leases: of a pool of MCP sessions a session, of
 * another pool a connection. Connections that sessions are made of are left out while there are
 * sessions; a server without sessions (2026-07-28) shows its connections.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/ops/mcp_status.h"

enum { PIECE = 256, DETAILS_MAX = 10000, TIME_SIZE = 80 };

/* A pool is listed unless its connections are those of sessions that are. */
struct seen {
	struct kolk__view view;
	bool *listed;      /* of view.pools */
	bool *drawn_from;  /* a pool of sessions is made of it */
};

struct listing {
	const struct seen *seen;
	uint64_t now_ms;
	json_t *details; /* NULL = not asked for */
	json_t *users;
	size_t total;
};

static bool draws(const struct kolk__pool_view *pool)
{
	return pool->info.draws_from[0] != 0;
}

/* False = no memory; close it anyway. */
static bool seen_open(struct kolk_engine *engine, struct seen *seen)
{
	const struct kolk__tenants_asked one = { .max = 1 };
	const struct kolk__view *view = &seen->view;

	*seen = (struct seen){ .listed = NULL };
	if (!kolk__view_open(engine, &one, &seen->view))
		return false;
	seen->listed = malloc(view->pool_count + 1);
	seen->drawn_from = calloc(view->pool_count + 1, 1);
	if (seen->listed == NULL || seen->drawn_from == NULL)
		return false;
	for (size_t i = 0; i < view->pool_count; i++) {
		seen->listed[i] = true;
		for (size_t j = 0; j < view->pool_count; j++)
			if (strcmp(view->pools[j].info.draws_from, view->pools[i].info.name) == 0) {
				seen->drawn_from[i] = true;
				seen->listed[i] = seen->listed[i] && view->pools[j].stats.open == 0;
			}
	}
	return true;
}

static void seen_close(struct seen *seen)
{
	kolk__view_close(&seen->view);
	free(seen->listed);
	free(seen->drawn_from);
}

/* NULL = it is not listed. */
static const struct kolk__pool_view *find_listed(const struct seen *seen, const char *name)
{
	for (size_t i = 0; i < seen->view.pool_count; i++)
		if (strcmp(seen->view.pools[i].info.name, name) == 0)
			return seen->listed[i] ? &seen->view.pools[i] : NULL;
	return NULL;
}

/* ---- a connection or session */

/* As Date.toISOString() writes it. */
static void put_time(json_t *object, const char *key, uint64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	char text[TIME_SIZE];
	struct tm utc;

	if (gmtime_r(&seconds, &utc) == NULL)
		return;
	(void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", utc.tm_year + 1900,
		       utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
		       (unsigned)(wall_ms % 1000));
	json_object_set_new_nocheck(object, key, json_string_nocheck(text));
}

static void count_user(json_t *users, const char *tenant)
{
	char text[KOLK__SHOWN_MAX];
	const char *user = kolk__shown(tenant, text);

	if (tenant[0] != 0)
		kolk__put_count(users, user,
				(uint64_t)json_integer_value(json_object_get(users, user)) + 1);
}

static void add_detail(struct listing *listing, const char *name,
		       const struct kolk_connection_info *info)
{
	char tenant[KOLK__SHOWN_MAX], shown[KOLK__SHOWN_MAX], hash[9];
	char key[2 * KOLK__SHOWN_MAX + sizeof hash];
	json_t *object = json_object();

	(void)snprintf(hash, sizeof hash, "%08x", info->auth_hash);
	(void)snprintf(key, sizeof key, "%s:%s%s%s", kolk__shown(info->tenant, tenant),
		       kolk__shown(name, shown), info->has_credential ? ":" : "",
		       info->has_credential ? hash : "");
	json_object_set_new_nocheck(object, "key", json_string(key));
	kolk__put_text(object, "name", name);
	kolk__put_text(object, "userId", info->tenant);
	put_time(object, "lastUsed", listing->now_ms - info->idle_ns / KOLK_MS_NS);
	put_time(object, "createTime", listing->now_ms - info->age_ns / KOLK_MS_NS);
	kolk__put_count(object, "idleMinutes", info->idle_ns / (60 * KOLK_S_NS));
	if (info->has_credential)
		kolk__put_text(object, "authHash", hash);
	json_array_append_new(listing->details, object);
}

static void add(struct listing *listing, const struct kolk_connection_info *info)
{
	const struct kolk__pool_view *pool = find_listed(listing->seen, info->pool);

	if (pool == NULL || info->state == KOLK_STATE_CLOSING)
		return;
	listing->total++;
	count_user(listing->users, info->tenant);
	if (listing->details != NULL && json_array_size(listing->details) < DETAILS_MAX)
		add_detail(listing, draws(pool) ? pool->info.draws_from : pool->info.name, info);
}

/* False = no memory. */
static bool list_all(struct kolk_engine *engine, struct listing *listing)
{
	struct kolk_connection_info *piece = malloc(PIECE * sizeof *piece);
	uint64_t cursor = 0;
	size_t got;

	while (piece != NULL && (got = kolk_engine_connections(engine, &cursor, piece, PIECE)) != 0)
		for (size_t i = 0; i < got; i++)
			add(listing, &piece[i]);
	free(piece);
	return piece != NULL;
}

/* ---- the four settings */

static uint64_t sessions_max(const struct kolk__view *view)
{
	uint64_t max = view->stats.connections_max - view->engine.connections_max, pools = 0;

	for (size_t i = 0; i < view->pool_count; i++)
		if (draws(&view->pools[i]))
			pools += view->pools[i].info.pool_connections_max;
	return pools < max ? pools : max;
}

/* Of sessions, of connections that sessions are not made of, or of both. */
static uint64_t total_max(const struct seen *seen)
{
	const struct kolk__view *view = &seen->view;
	bool connections = view->pool_count == 0;

	for (size_t i = 0; i < view->pool_count; i++)
		connections = connections || (!draws(&view->pools[i]) && !seen->drawn_from[i]);
	return sessions_max(view) + (connections ? view->engine.connections_max : 0);
}

static json_t *config_part(const struct seen *seen)
{
	uint32_t user_max = seen->view.engine.tenant_connections_max;
	uint64_t idle_ns = KOLK_FOREVER;
	json_t *config = json_object();

	for (size_t i = 0; i < seen->view.pool_count; i++)
		if (seen->listed[i] && seen->view.pools[i].info.idle_timeout_ns < idle_ns)
			idle_ns = seen->view.pools[i].info.idle_timeout_ns;
	json_object_set_new_nocheck(config, "maxConnectionsPerUser",
				    user_max == KOLK_UNLIMITED ? json_null() :
								 json_integer(user_max));
	kolk__put_count(config, "maxTotalConnections", total_max(seen));
	kolk__put_ms(config, "connectionTimeout", idle_ns);
	kolk__put_ms(config, "cleanupInterval", seen->view.engine.maintenance_interval_ns);
	return config;
}

/* ---- the routes */

static json_t *status_of(const struct listing *listing)
{
	json_t *object = json_object();

	kolk__put_count(object, "totalConnections", listing->total);
	json_object_set_nocheck(object, "userConnectionCounts", listing->users);
	if (listing->details == NULL)
		return object;
	json_object_set_nocheck(object, "connectionDetails", listing->details);
	json_object_set_new_nocheck(object, "config", config_part(listing->seen));
	return object;
}

/* The status now, only its totals unless `details`; NULL = no memory. */
static json_t *take_status(struct kolk_engine *engine, bool details)
{
	struct seen seen;
	struct listing listing = { .seen = &seen, .now_ms = kolk__wall_ms(),
				   .users = json_object(),
				   .details = details ? json_array() : NULL };
	bool good = seen_open(engine, &seen) && list_all(engine, &listing);
	json_t *status = good ? status_of(&listing) : NULL;

	seen_close(&seen);
	json_decref(listing.details);
	json_decref(listing.users);
	return status;
}

static void reply_success(struct kolk__response *response, json_t *data)
{
	if (data == NULL)
		kolk__reply_text(response, 500, response->type, NULL);
	else
		kolk__reply_json(response, 200, json_pack("{s:b,s:o}", "success", 1, "data", data));
}

void kolk__get_mcp_status(struct kolk__admin_server *server, const struct kolk__request *request,
			  struct kolk__response *response)
{
	(void)request;
	reply_success(response, take_status(server->engine, true));
}

/* Evict what is listed and idle. */
static size_t clear_listed(struct kolk_engine *engine, struct kolk_filter *filter)
{
	struct seen seen;
	bool good = seen_open(engine, &seen);
	size_t cleared = 0;

	for (size_t i = 0; good && i < seen.view.pool_count; i++) {
		filter->pool = seen.view.pools[i].info.name;
		cleared += seen.listed[i] ? kolk_engine_clear(engine, filter) : 0;
	}
	seen_close(&seen);
	return cleared;
}

void kolk__post_mcp_cleanup(struct kolk__admin_server *server, const struct kolk__request *request,
			    struct kolk__response *response)
{
	struct kolk_filter filter = KOLK_INIT(kolk_filter);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	int64_t idle_ms = 0;
	const struct kolk__field fields[] = { { "user", .text = &filter.tenant },
					      { "idleMs", .number = &idle_ms },
					      { .name = NULL } };
	json_t *root = kolk__reply_read(request, fields, response), *before, *after;
	size_t cleaned;

	if (root == NULL)
		return;
	if (filter.tenant == NULL || kolk__reply_knows(server, filter.tenant, response)) {
		filter.idle_ns = (uint64_t)idle_ms * KOLK_MS_NS;
		(void)kolk_engine_stats(server->engine, &stats);
		before = take_status(server->engine, false);
		cleaned = clear_listed(server->engine, &filter);
		(void)kolk__wait_closed(server, stats.destroyed[KOLK_REASON_CLEARED] + cleaned);
		after = take_status(server->engine, false);
		reply_success(response,
			      json_pack("{s:s,s:o,s:o,s:I}", "message",
					"Connection cleanup completed", "before", before, "after",
					after, "cleanedConnections", (json_int_t)cleaned));
	}
	json_decref(root);
}
