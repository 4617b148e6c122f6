/* SPDX-License-Identifier: Apache-2.0 */
/* status_lists.c - the lists of the status: keys, their waiters, connections, overdue leases. */
#include "tools/ops/status_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1024 };

/* ---- keys and their waiters */

/* "user:pool", the way in which such dashboards call one user's connections to a server. */
static void put_name(json_t *object, const char *tenant, const char *pool, uint64_t id)
{
	char text[2 * KOLK__SHOWN_MAX], first[KOLK__SHOWN_MAX], second[KOLK__SHOWN_MAX];

	(void)snprintf(text, sizeof text, "%s:%s", kolk__shown(tenant, first),
		       kolk__shown(pool, second));
	json_object_set_new_nocheck(object, "key", json_string(text));
	kolk__put_count(object, "keyId", id);
}

static void add_waiters(struct status *status, const char *pool, const struct kolk_key_info *info)
{
	json_t *object;

	if (json_array_size(status->waiters) >= STATUS_LISTED) {
		status->truncated = true;
		return;
	}
	object = json_object();
	put_name(object, info->tenant, pool, info->id);
	kolk__put_text(object, "pool", pool);
	kolk__put_text(object, "tenant", info->tenant);
	kolk__put_count(object, "waiting", info->waiting);
	kolk__put_ms(object, "oldestMs", info->oldest_wait_ns);
	json_array_append_new(status->waiters, object);
}

static void add_key(struct status *status, const char *pool, const struct kolk_key_info *info)
{
	json_t *object;

	if (json_array_size(status->keys) >= status->options.keys) {
		status->truncated = true;
		return;
	}
	object = json_object();
	kolk__put_count(object, "id", info->id);
	kolk__put_text(object, "pool", pool);
	kolk__put_text(object, "tenant", info->tenant);
	kolk__put_text(object, "session", info->session);
	kolk__put_bool(object, "hasCredential", info->has_credential != 0);
	kolk__put_bool(object, "rotated", info->rotated != 0);
	kolk__put_count(object, "idle", info->idle);
	kolk__put_count(object, "leased", info->leased);
	kolk__put_count(object, "dialing", info->dialing);
	kolk__put_count(object, "pinging", info->pinging);
	kolk__put_count(object, "closing", info->closing);
	kolk__put_count(object, "open", info->open);
	kolk__put_count(object, "waiting", info->waiting);
	kolk__put_count(object, "handles", info->handles);
	kolk__put_count(object, "failures", info->failures);
	kolk__put_text(object, "lastError",
		       info->last_err == KOLK_OK ? "" : kolk_err_name(info->last_err));
	kolk__put_ms(object, "oldestWaitMs", info->oldest_wait_ns);
	kolk__put_count(object, "waitNs", info->wait_ns);
	kolk__put_count(object, "acquired", info->acquired);
	json_array_append_new(status->keys, object);
}

static bool is_meant(const char *wanted, const char *name)
{
	return wanted == NULL || strcmp(wanted, name) == 0;
}

static bool is_found(const struct status *status, const char *pool, const char *tenant)
{
	const char *text = status->options.search;

	return is_meant(status->options.tenant, tenant) &&
	       (text == NULL || kolk__has_text(pool, text) || kolk__has_text(tenant, text));
}

/* Until as many waiters were found as the pool has: any of its keys may have them. */
static void keys_of_pool(struct status *status, const struct kolk__pool_view *pool,
			 struct kolk_key_info *piece)
{
	uint64_t cursor = 0, waiting = 0, seen = 0;
	size_t got;

	while ((got = kolk_pool_keys(pool->pool, &cursor, piece, PIECE)) != 0) {
		seen += got;
		for (size_t i = 0; i < got; i++) {
			waiting += piece[i].waiting;
			if (!is_found(status, pool->info.name, piece[i].tenant))
				continue;
			add_key(status, pool->info.name, &piece[i]);
			if (piece[i].waiting != 0)
				add_waiters(status, pool->info.name, &piece[i]);
		}
		if (waiting >= pool->stats.waiting && status->options.tenant == NULL &&
		    status->options.search == NULL && json_array_size(status->keys) >= status->options.keys) {
			status->truncated |= seen < pool->stats.keys;
			return;
		}
	}
}

bool kolk__status_keys(struct status *status)
{
	struct kolk_key_info *piece = malloc(PIECE * sizeof *piece);

	for (size_t p = 0; piece != NULL && p < status->view.pool_count; p++) {
		const struct kolk__pool_view *pool = &status->view.pools[p];

		if (is_meant(status->options.pool, pool->info.name))
			keys_of_pool(status, pool, piece);
	}
	free(piece);
	return piece != NULL;
}

/* ---- connections */

static void add_overdue(struct status *status, const struct kolk_connection_info *info)
{
	json_t *object;

	if (json_array_size(status->overdue) >= STATUS_LISTED) {
		status->truncated = true;
		return;
	}
	object = json_object();
	put_name(object, info->tenant, info->pool, info->key);
	kolk__put_text(object, "pool", info->pool);
	kolk__put_text(object, "tenant", info->tenant);
	kolk__put_count(object, "connection", info->number);
	kolk__put_ms(object, "leasedMs", info->leased_ns);
	kolk__put_count(object, "tag", info->tag);
	json_array_append_new(status->overdue, object);
}

static void add_connection(struct status *status, const struct kolk_connection_info *info)
{
	json_t *object;

	if (json_array_size(status->connections) >= status->options.connections) {
		status->truncated = true;
		return;
	}
	object = json_object();
	put_name(object, info->tenant, info->pool, info->key);
	kolk__put_text(object, "name", info->pool);
	kolk__put_text(object, "userId", info->tenant);
	kolk__put_count(object, "lastUsed", status->now_ms - info->idle_ns / KOLK_MS_NS);
	kolk__put_count(object, "createTime", status->now_ms - info->age_ns / KOLK_MS_NS);
	json_object_set_new_nocheck(object, "idleMinutes",
				    json_real((double)(info->idle_ns / KOLK_MS_NS) / 60e3));
	kolk__put_text(object, "state", kolk_state_name((enum kolk_state)info->state));
	kolk__put_count(object, "connection", info->number);
	kolk__put_count(object, "loop", info->loop);
	kolk__put_count(object, "uses", info->uses);
	kolk__put_ms(object, "leasedMs", info->leased_ns);
	kolk__put_count(object, "tag", info->tag);
	kolk__put_bool(object, "overdue", info->overdue != 0);
	kolk__put_bool(object, "pinned", info->pinned != 0);
	json_array_append_new(status->connections, object);
}

bool kolk__status_connections(struct status *status)
{
	struct kolk_connection_info *piece = malloc(PIECE * sizeof *piece);
	uint64_t cursor = 0;
	size_t got;

	while (piece != NULL && (got = kolk_engine_connections(status->engine, &cursor, piece,
							       PIECE)) != 0)
		for (size_t i = 0; i < got; i++) {
			status->overdue_count += piece[i].overdue; /* alerts are of all */
			kolk__idle_times_add(status->idle_times, &status->view, &piece[i]);
			if (!is_meant(status->options.pool, piece[i].pool) ||
			    !is_found(status, piece[i].pool, piece[i].tenant))
				continue;
			add_connection(status, &piece[i]);
			if (piece[i].overdue)
				add_overdue(status, &piece[i]);
		}
	free(piece);
	return piece != NULL;
}
