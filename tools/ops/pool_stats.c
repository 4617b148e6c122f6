/* SPDX-License-Identifier: Apache-2.0 */
/* pool_stats.c - counters and averages of a pool: for the status, and as lines in the log. */
#include "tools/ops/pool_stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ops/admin.h"

enum { PIECE = 256, LINE_SIZE = 512 };

void kolk__idle_times_add(struct kolk__idle_times *times, const struct kolk__view *view,
			  const struct kolk_connection_info *info)
{
	if (info->state != KOLK_STATE_IDLE)
		return;
	for (size_t i = 0; i < view->pool_count; i++)
		if (strcmp(view->pools[i].info.name, info->pool) == 0) {
			times[i].count++;
			times[i].sum_ns += info->idle_ns;
			return;
		}
}

static uint64_t average(uint64_t sum, uint64_t count)
{
	return count != 0 ? sum / count : 0;
}

struct kolk__pool_stats kolk__pool_stats(const struct kolk__pool_view *pool,
					 const struct kolk__idle_times *times)
{
	const struct kolk_stats *s = &pool->stats;
	struct kolk__pool_stats stats = {
		.size = s->open,
		.available = s->idle,
		.created = s->created,
		.reused = s->reused,
		.timeouts = s->timeouts,
		.errors = s->dial_failed,
		.connection_ns = average(s->dial.sum, s->dial.count),
		.acquire_ns = average(s->wait.sum, s->acquired),
		.lease_ns = average(s->lease.sum, s->lease.count),
		.release_ns = average(s->release_sum_ns, s->release_count),
		.idle_ns = average(times->sum_ns, times->count),
	};

	for (int i = 0; i < KOLK_REASONS; i++)
		stats.destroyed += s->destroyed[i];
	return stats;
}

/* ---- in the log */

void kolk__stats_log_open(struct kolk__stats_log *log, uint64_t interval_ns, uint64_t now_ns)
{
	log->interval_ns = interval_ns;
	log->due_ns = now_ns + interval_ns;
}

int kolk__stats_log_wait(const struct kolk__stats_log *log, uint64_t now_ns, int wait_ms)
{
	uint64_t left_ms;

	if (log->interval_ns == 0)
		return wait_ms;
	left_ms = now_ns < log->due_ns ? (log->due_ns - now_ns) / KOLK_MS_NS + 1 : 0;
	if (wait_ms >= 0 && (uint64_t)wait_ms < left_ms)
		return wait_ms;
	return left_ms < INT32_MAX ? (int)left_ms : INT32_MAX;
}

/* As "1.25 ms": a program's locale may write a comma for %g. */
static const char *ms(char text[32], uint64_t ns)
{
	(void)snprintf(text, 32, "%" PRIu64 ".%03" PRIu64 " ms", ns / KOLK_MS_NS,
		       ns % KOLK_MS_NS / KOLK_US_NS);
	return text;
}

static void write_line(const struct kolk__admin_server *server, const char *pool,
		       const struct kolk__pool_stats *s)
{
	char line[LINE_SIZE], connection[32], acquire[32], release[32], lease[32], idle[32];
	char shown[KOLK__SHOWN_MAX];

	(void)snprintf(line, sizeof line,
		       "pool %s: size %" PRIu64 ", available %" PRIu64 ", created %" PRIu64
		       ", destroyed %" PRIu64 ", reused %" PRIu64 ", time-outs %" PRIu64
		       ", connection errors %" PRIu64 ", averages: connection %s, acquire %s, "
		       "release %s, lease %s, idle %s",
		       kolk__shown(pool, shown), s->size, s->available, s->created, s->destroyed,
		       s->reused, s->timeouts, s->errors, ms(connection, s->connection_ns),
		       ms(acquire, s->acquire_ns), ms(release, s->release_ns),
		       ms(lease, s->lease_ns), ms(idle, s->idle_ns));
	server->on_log(server->log_user, KOLK_LOG_INFO, "stats", line);
}

static void idle_times(struct kolk_engine *engine, const struct kolk__view *view,
		       struct kolk__idle_times *times)
{
	struct kolk_connection_info *piece = malloc(PIECE * sizeof *piece);
	uint64_t cursor = 0;
	size_t got;

	while (piece != NULL && (got = kolk_engine_connections(engine, &cursor, piece, PIECE)) != 0)
		for (size_t i = 0; i < got; i++)
			kolk__idle_times_add(times, view, &piece[i]);
	free(piece);
}

static void write_lines(const struct kolk__admin_server *server)
{
	const struct kolk__tenants_asked one = { .max = 1 };
	struct kolk__idle_times *times = NULL;
	struct kolk__view view;

	kolk__pools_read_lock();
	if (kolk__view_open(server->engine, &one, &view))
		times = calloc(view.pool_count + 1, sizeof *times);
	if (times != NULL)
		idle_times(server->engine, &view, times);
	for (size_t i = 0; times != NULL && i < view.pool_count; i++) {
		struct kolk__pool_stats stats = kolk__pool_stats(&view.pools[i], &times[i]);

		write_line(server, view.pools[i].info.name, &stats);
	}
	kolk__view_close(&view);
	kolk__pools_read_unlock();
	free(times);
}

void kolk__stats_log_run(struct kolk__stats_log *log, struct kolk__admin_server *server)
{
	uint64_t now_ns = kolk_engine_now(server->engine);

	if (log->interval_ns == 0 || server->on_log == NULL || now_ns < log->due_ns)
		return;
	log->due_ns = now_ns + log->interval_ns;
	write_lines(server);
}
