/* SPDX-License-Identifier: Apache-2.0 */
/* lists.c - the lists of a status as tables: pools, tenants, keys, connections, loops, waiters. */
#define _GNU_SOURCE
#include "tools/ctl/view.h"

#include <stdio.h>
#include <string.h>

#include "tools/ctl/text.h"

/* ---- cells that several tables have */

static void rate_cell(struct table *table, enum style loud, double per_s)
{
	char text[TEXT_NUMBER];

	table_number(table, per_s > 0 ? loud : DIM, per_s, text_rate(per_s, text));
}

static void time_cell(struct table *table, enum style style, double seconds)
{
	char text[TEXT_NUMBER];

	table_number(table, seconds > 0 ? style : DIM, seconds,
		     seconds > 0 ? text_duration(seconds, text) : "-");
}

static void some_cell(struct table *table, enum style loud, uint64_t count)
{
	table_count(table, count > 0 ? loud : DIM, count);
}

static enum style fullness(double ratio)
{
	return ratio >= 1 ? BAD : ratio >= 0.8 ? WARN : PLAIN;
}

/* "12/40", sorted by the 12. */
static void of_limit_cell(struct table *table, uint64_t count, uint64_t limit)
{
	bool bounded = limit > 0 && limit < UINT32_MAX - 1;
	char text[64];

	snprintf(text, sizeof text, bounded ? "%llu/%llu" : "%llu", (unsigned long long)count,
		 (unsigned long long)limit);
	table_number(table, bounded ? fullness((double)count / (double)limit) : PLAIN,
		     (double)count, text);
}

static bool matches(const char *filter, const char *one, const char *other)
{
	return filter == NULL || strcasestr(one, filter) != NULL ||
	       strcasestr(other, filter) != NULL;
}

/* ---- pools */

static const json_t *same_name(const json_t *list, const char *name)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i,
			   entry) if (strcmp(view_text(entry, "name"), name) == 0) return entry;
	return NULL;
}

static void pool_state(struct table *table, const json_t *pool)
{
	const char *state = view_text(pool, "state"), *circuit = view_text(pool, "circuit");
	char text[64];

	if (strcmp(state, "open") == 0 && circuit[0] != 0 && strcmp(circuit, "closed") != 0) {
		snprintf(text, sizeof text, "circuit %.40s", circuit);
		table_text(table, strcmp(circuit, "open") == 0 ? BAD : WARN, text);
	} else {
		table_text(table, strcmp(state, "open") == 0 ? GOOD : WARN, state);
	}
}

/* Of the last five minutes; of a server without them, since its start. */
static double quantile_s(const json_t *pool, const char *metric, const char *part)
{
	const json_t *latency = json_object_get(pool, "latencyRecent");

	if (latency == NULL)
		latency = json_object_get(pool, "latency");
	return view_number(json_object_get(latency, metric), part) / 1e9;
}

static void pool_failure(struct table *table, const json_t *pool)
{
	const json_t *failure = json_object_get(pool, "lastFailure");
	double seconds = view_number(failure, "secondsAgo");
	char text[200], ago[TEXT_NUMBER];

	if (!json_is_object(failure)) {
		table_text(table, DIM, "-");
		return;
	}
	text_duration(seconds, ago);
	snprintf(text, sizeof text, seconds < 1 ? "%.80s, now" : "%.80s, %s ago",
		 view_text(failure, "error"), ago);
	table_text(table, seconds < 60 ? WARN : DIM, text);
}

static void pool_row(struct table *table, const json_t *pool, const json_t *before,
		     double seconds)
{
	const json_t *connections = json_object_get(pool, "connections");
	const json_t *now = view_counters(pool), *then = view_counters(before);
	double hit = view_share(now, seconds > 0 ? then : NULL, "reused", "acquired");
	uint64_t refused = view_refused(pool), refused_then = view_refused(before);
	char text[TEXT_NUMBER], why[64];

	table_text(table, ACCENT, view_text(pool, "name"));
	pool_state(table, pool);
	of_limit_cell(table, view_count(connections, "open"),
		      view_count(json_object_get(pool, "limits"), "poolConnectionsMax"));
	some_cell(table, PLAIN, view_count(connections, "idle"));
	some_cell(table, PLAIN, view_count(connections, "leased"));
	some_cell(table, PLAIN, view_count(connections, "dialing"));
	some_cell(table, WARN, view_count(pool, "waiting"));
	some_cell(table, seconds > 0 && refused > refused_then ? BAD : PLAIN, refused);
	table_text(table, PLAIN, view_refused_for(pool, before, why, sizeof why));
	if (seconds > 0)
		rate_cell(table, PLAIN, view_rate(now, then, "acquired", seconds));
	snprintf(text, sizeof text, "%.1f", hit * 100);
	table_number(table, hit > 0 ? PLAIN : DIM, hit, hit > 0 ? text : "-");
	if (seconds > 0) {
		rate_cell(table, PLAIN, view_rate(now, then, "dialled", seconds));
		rate_cell(table, BAD, view_rate(now, then, "dialFailed", seconds));
	}
	time_cell(table, PLAIN, quantile_s(pool, "wait", "p99Ns"));
	time_cell(table, PLAIN, quantile_s(pool, "dial", "p50Ns"));
	table_text(table, PLAIN, view_text(pool, "address"));
	pool_failure(table, pool);
}

static void pools(struct table *table, const struct view *view)
{
	const json_t *before = json_object_get(view->before, "pools"), *pool;
	double seconds = view_seconds(view->status, view->before);
	size_t i;

	json_array_foreach(json_object_get(view->status, "pools"), i, pool) {
		const char *name = view_text(pool, "name");

		if (matches(view->filter, name, view_text(pool, "address")))
			pool_row(table, pool, same_name(before, name), seconds);
	}
}

/* ---- routes */

/* Of requests so far that ended like this: loud while there are more. */
static void outcome_cell(struct table *table, double per_s, uint64_t count)
{
	some_cell(table, per_s > 0 ? BAD : PLAIN, count);
}

static void bytes_cell(struct table *table, uint64_t bytes)
{
	char text[TEXT_NUMBER];

	table_number(table, bytes > 0 ? PLAIN : DIM, (double)bytes, text_bytes(bytes, text));
}

static void route_row(struct table *table, const json_t *route, const json_t *before,
		      double seconds)
{
	const json_t *now = json_object_get(route, "outcomes");
	const json_t *then = json_object_get(before, "outcomes");
	const json_t *latency = json_object_get(route, "latency");
	uint64_t refused = view_refused(route), refused_then = view_refused(before);
	char why[64];

	table_text(table, ACCENT, view_text(route, "name"));
	if (seconds > 0)
		rate_cell(table, PLAIN, view_rate(route, before, "requests", seconds));
	some_cell(table, PLAIN, view_count(route, "inFlight"));
	some_cell(table, PLAIN, view_count(route, "requests"));
	some_cell(table, PLAIN, view_count(now, "2xx"));
	some_cell(table, PLAIN, view_count(now, "3xx"));
	some_cell(table, PLAIN, view_count(now, "4xx"));
	outcome_cell(table, view_rate(now, then, "5xx", seconds), view_count(now, "5xx"));
	some_cell(table, PLAIN, view_count(now, "client_gone"));
	outcome_cell(table, view_rate(now, then, "broken", seconds), view_count(now, "broken"));
	some_cell(table, before != NULL && refused > refused_then ? WARN : PLAIN, refused);
	table_text(table, PLAIN, view_refused_for(route, before, why, sizeof why));
	time_cell(table, PLAIN, view_number(latency, "p50Ns") / 1e9);
	time_cell(table, PLAIN, view_number(latency, "p99Ns") / 1e9);
	time_cell(table, PLAIN, view_number(latency, "p999Ns") / 1e9);
	bytes_cell(table, view_count(route, "bytesIn"));
	bytes_cell(table, view_count(route, "bytesOut"));
}

static void routes(struct table *table, const struct view *view)
{
	const json_t *before = view_list(view->before, SECTION_ROUTES), *route;
	double seconds = view_seconds(view->status, view->before);
	size_t i;

	json_array_foreach(view_list(view->status, SECTION_ROUTES), i, route) {
		const char *name = view_text(route, "name");

		if (matches(view->filter, name, ""))
			route_row(table, route, same_name(before, name), seconds);
	}
}

/* ---- members of balancers */

static void member_row(struct table *table, const struct view *view, const json_t *member)
{
	const json_t *before = view_member_of(view->before, member);
	const json_t *name = view_member_name(view->status, member);
	const double seconds = view_seconds(view->status, view->before);
	const bool up = strcmp(view_text(member, "state"), "up") == 0;
	const bool stale = name != NULL && strcmp(view_text(name, "state"), "resolved") != 0;

	table_text(table, ACCENT, view_text(member, "pool"));
	table_text(table, PLAIN, view_text(member, "balancer"));
	table_text(table, up ? GOOD : BAD, view_text(member, "state"));
	if (seconds > 0)
		rate_cell(table, PLAIN, view_rate(member, before, "requests", seconds));
	some_cell(table, PLAIN, view_count(member, "inFlight"));
	some_cell(table, PLAIN, view_count(member, "requests"));
	outcome_cell(table, view_rate(member, before, "failed", seconds),
		     view_count(member, "failed"));
	some_cell(table, PLAIN, view_count(member, "moved"));
	table_text(table, PLAIN, view_text(member, "from"));
	time_cell(table, stale ? BAD : PLAIN, view_number(name, "ageNs") / 1e9);
}

static void members(struct table *table, const struct view *view)
{
	const json_t *member;
	size_t i;

	json_array_foreach(view_list(view->status, SECTION_MEMBERS), i, member)
		if (matches(view->filter, view_text(member, "pool"), view_text(member, "from")))
			member_row(table, view, member);
}

/* ---- tenants */

static void tenants(struct table *table, const struct view *view)
{
	const json_t *tenant;
	size_t i;

	json_array_foreach(json_object_get(view->status, "tenants"), i, tenant) {
		uint64_t open = view_count(tenant, "open");
		uint64_t limit = view_count(tenant, "connectionsMax");
		bool bounded = limit > 0 && limit < UINT32_MAX - 1;
		double ratio = bounded ? (double)open / (double)limit : 0;
		char bar[128];

		if (!matches(view->filter, view_text(tenant, "name"), ""))
			continue;
		text_bar(ratio, 12, bar, sizeof bar);
		table_text(table, ACCENT, view_text(tenant, "name"));
		of_limit_cell(table, open, limit);
		table_number(table, fullness(ratio) == PLAIN ? GOOD : fullness(ratio), ratio,
			     bounded ? bar : "");
		some_cell(table, WARN, view_count(tenant, "waiting"));
		some_cell(table, PLAIN, view_refused(tenant));
		table_text(table, PLAIN, view_refused_for(tenant, NULL, bar, sizeof bar));
		some_cell(table, PLAIN, view_count(tenant, "keys"));
		some_cell(table, PLAIN, view_count(tenant, "weight"));
		some_cell(table, PLAIN, view_count(tenant, "recalls"));
	}
}

/* ---- keys */

static void keys(struct table *table, const struct view *view)
{
	const json_t *key;
	size_t i;

	json_array_foreach(json_object_get(view->status, "keys"), i, key) {
		const char *error = view_text(key, "lastError");
		uint64_t failures = view_count(key, "failures");

		if (!matches(view->filter, view_text(key, "tenant"), view_text(key, "pool")))
			continue;
		table_text(table, PLAIN, view_text(key, "pool"));
		table_text(table, ACCENT, view_text(key, "tenant"));
		table_text(table, PLAIN, view_text(key, "session"));
		some_cell(table, PLAIN, view_count(key, "open"));
		some_cell(table, PLAIN, view_count(key, "idle"));
		some_cell(table, PLAIN, view_count(key, "leased"));
		some_cell(table, WARN, view_count(key, "waiting"));
		time_cell(table, WARN, view_number(key, "oldestWaitMs") / 1e3);
		some_cell(table, PLAIN, view_count(key, "acquired"));
		table_text(table, failures > 0 ? BAD : DIM, failures > 0 ? error : "-");
	}
}

/* ---- connections */

static void connections(struct table *table, const struct view *view)
{
	double now_ms = view_number(view->status, "timestamp");
	const json_t *c;
	size_t i;

	json_array_foreach(json_object_get(view->status, "connectionDetails"), i, c) {
		bool overdue = json_is_true(json_object_get(c, "overdue"));
		double age = (now_ms - view_number(c, "createTime")) / 1e3;
		char number[TEXT_NUMBER];

		if (!matches(view->filter, view_text(c, "name"), view_text(c, "userId")))
			continue;
		snprintf(number, sizeof number, "%llu",
			 (unsigned long long)view_count(c, "connection"));
		table_number(table, PLAIN, view_number(c, "connection"), number);
		table_text(table, PLAIN, view_text(c, "name"));
		table_text(table, ACCENT, view_text(c, "userId"));
		table_text(table, overdue ? BAD : PLAIN, view_text(c, "state"));
		some_cell(table, PLAIN, view_count(c, "loop"));
		some_cell(table, PLAIN, view_count(c, "uses"));
		time_cell(table, PLAIN, age > 0 ? age : 0);
		time_cell(table, PLAIN, view_number(c, "idleMinutes") * 60);
		time_cell(table, overdue ? BAD : PLAIN, view_number(c, "leasedMs") / 1e3);
	}
}

/* ---- loops, waiters, overdue leases */

static void loops(struct table *table, const struct view *view)
{
	const json_t *loop;
	size_t i;

	json_array_foreach(json_object_get(view->status, "loops"), i, loop) {
		uint64_t unread = view_count(loop, "unreadBytes");
		char text[TEXT_NUMBER];

		table_count(table, ACCENT, view_count(loop, "index"));
		some_cell(table, PLAIN, view_count(loop, "connections"));
		some_cell(table, PLAIN, view_count(loop, "leased"));
		table_number(table, unread > 0 ? PLAIN : DIM, (double)unread,
			     text_bytes(unread, text));
	}
}

static void waiters(struct table *table, const struct view *view)
{
	const json_t *waiter;
	size_t i;

	json_array_foreach(json_object_get(view->status, "waiters"), i, waiter) {
		if (!matches(view->filter, view_text(waiter, "pool"), view_text(waiter, "tenant")))
			continue;
		table_text(table, PLAIN, view_text(waiter, "pool"));
		table_text(table, ACCENT, view_text(waiter, "tenant"));
		some_cell(table, WARN, view_count(waiter, "waiting"));
		time_cell(table, WARN, view_number(waiter, "oldestMs") / 1e3);
	}
}

static void overdue(struct table *table, const struct view *view)
{
	const json_t *lease;
	size_t i;

	json_array_foreach(json_object_get(view->status, "overdue"), i, lease) {
		char text[TEXT_NUMBER];

		if (!matches(view->filter, view_text(lease, "pool"), view_text(lease, "tenant")))
			continue;
		table_text(table, PLAIN, view_text(lease, "pool"));
		table_text(table, ACCENT, view_text(lease, "tenant"));
		table_count(table, PLAIN, view_count(lease, "connection"));
		time_cell(table, BAD, view_number(lease, "leasedMs") / 1e3);
		snprintf(text, sizeof text, "%#llx",
			 (unsigned long long)view_count(lease, "tag"));
		table_text(table, PLAIN, text);
	}
}

/* ---- all tables */

/* clang-format off */
#define TEXT(name) { .title = name }
#define NUMBER(name) { .title = name, .right = true }
#define RATE(name) { .title = name, .right = true, .live = true }
#define END { .title = NULL }

static const struct column pool_columns[] = {
	TEXT("POOL"), TEXT("STATE"), NUMBER("OPEN"), NUMBER("IDLE"), NUMBER("LEASED"),
	NUMBER("DIAL"), NUMBER("WAIT"), NUMBER("REFUSED"), TEXT("MOST FOR"), RATE("LEASE/S"),
	NUMBER("REUSED%"), RATE("DIAL/S"), RATE("FAIL/S"), NUMBER("WAIT-P99"), NUMBER("DIAL-P50"),
	TEXT("ADDRESS"), TEXT("LAST FAILURE"), END
};
static const struct column route_columns[] = {
	TEXT("ROUTE"), RATE("REQ/S"), NUMBER("ACTIVE"), NUMBER("REQUESTS"), NUMBER("2XX"),
	NUMBER("3XX"), NUMBER("4XX"), NUMBER("5XX"), NUMBER("GONE"), NUMBER("BROKEN"),
	NUMBER("REFUSED"), TEXT("MOST FOR"), NUMBER("P50"), NUMBER("P99"), NUMBER("P99.9"),
	NUMBER("IN"), NUMBER("OUT"), END
};
static const struct column member_columns[] = {
	TEXT("MEMBER"), TEXT("BALANCER"), TEXT("CHECKS"), RATE("REQ/S"), NUMBER("ACTIVE"),
	NUMBER("REQUESTS"), NUMBER("FAILED"), NUMBER("MOVED"), TEXT("FROM"), NUMBER("RESOLVED"), END
};
_Static_assert(sizeof pool_columns / sizeof pool_columns[0] - 1 <= TABLE_COLUMNS &&
		       sizeof route_columns / sizeof route_columns[0] - 1 <= TABLE_COLUMNS,
	       "the widest table has a place for each cell of a row");
static const struct column tenant_columns[] = {
	TEXT("TENANT"), NUMBER("OPEN"), NUMBER("OF LIMIT"), NUMBER("WAIT"), NUMBER("REFUSED"),
	TEXT("MOST FOR"), NUMBER("KEYS"), NUMBER("WEIGHT"), NUMBER("RECALLS"), END
};
static const struct column key_columns[] = {
	TEXT("POOL"), TEXT("TENANT"), TEXT("SESSION"), NUMBER("OPEN"), NUMBER("IDLE"),
	NUMBER("LEASED"), NUMBER("WAIT"), NUMBER("OLDEST"), NUMBER("LEASES"),
	TEXT("LAST ERROR"), END
};
static const struct column connection_columns[] = {
	NUMBER("NUMBER"), TEXT("POOL"), TEXT("TENANT"), TEXT("STATE"), NUMBER("LOOP"),
	NUMBER("USES"), NUMBER("AGE"), NUMBER("IDLE"), NUMBER("LEASED"), END
};
static const struct column loop_columns[] = {
	NUMBER("LOOP"), NUMBER("CONNECTIONS"), NUMBER("LEASED"), NUMBER("UNREAD"), END
};
static const struct column waiter_columns[] = {
	TEXT("WAITS FOR"), TEXT("TENANT"), NUMBER("CALLERS"), NUMBER("OLDEST"), END
};
static const struct column overdue_columns[] = {
	TEXT("OVERDUE LEASE"), TEXT("TENANT"), NUMBER("CONNECTION"), NUMBER("LEASED"),
	TEXT("TAG"), END
};
/* clang-format on */

typedef void fill_fn(struct table *table, const struct view *view);

static const struct {
	const char *title;
	const struct column *columns;
	fill_fn *fill;
} sections[SECTIONS] = {
	[SECTION_POOLS] = { "pools", pool_columns, pools },
	[SECTION_ROUTES] = { "routes", route_columns, routes },
	[SECTION_MEMBERS] = { "members", member_columns, members },
	[SECTION_TENANTS] = { "tenants", tenant_columns, tenants },
	[SECTION_KEYS] = { "keys", key_columns, keys },
	[SECTION_CONNECTIONS] = { "connections", connection_columns, connections },
	[SECTION_LOOPS] = { "loops", loop_columns, loops },
	[SECTION_WAITERS] = { "waiters", waiter_columns, waiters },
	[SECTION_OVERDUE] = { "overdue", overdue_columns, overdue },
};

const char *view_title(enum section section)
{
	return sections[section].title;
}

const json_t *view_list(const json_t *status, enum section section)
{
	if (section == SECTION_ROUTES || section == SECTION_MEMBERS)
		return view_program_list(status, sections[section].title);
	return json_object_get(status, section == SECTION_CONNECTIONS ? "connectionDetails" :
									 sections[section].title);
}

void view_table(enum section section, const struct view *view, struct table *table)
{
	bool live = view_seconds(view->status, view->before) > 0;

	table_open(table, sections[section].columns, live);
	sections[section].fill(table, view);
}
