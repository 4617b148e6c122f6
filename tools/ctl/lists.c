/* SPDX-License-Identifier: Apache-2.0 */
/* lists.c - the lists of a status as tables: pools, tenants, keys, connections, loops, waiters. */
#include "tools/ctl/lists.h"

#include <stdio.h>
#include <string.h>

#include "tools/ctl/text.h"

/* ---- pools */

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
static const struct column pool_columns[] = {
	TEXT("POOL"), TEXT("STATE"), NUMBER("OPEN"), NUMBER("IDLE"), NUMBER("LEASED"),
	NUMBER("DIAL"), NUMBER("WAIT"), NUMBER("REFUSED"), TEXT("MOST FOR"), RATE("LEASE/S"),
	NUMBER("REUSED%"), RATE("DIAL/S"), RATE("FAIL/S"), NUMBER("WAIT-P99"), NUMBER("DIAL-P50"),
	TEXT("ADDRESS"), TEXT("LAST FAILURE"), END
};
_Static_assert(sizeof pool_columns / sizeof pool_columns[0] - 1 <= TABLE_COLUMNS,
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

static const struct {
	const char *title;
	const struct column *columns;
	fill_fn *fill;
} sections[SECTIONS] = {
	[SECTION_POOLS] = { "pools", pool_columns, pools },
	[SECTION_ROUTES] = { "routes", route_columns, fill_routes },
	[SECTION_MEMBERS] = { "members", member_columns, fill_members },
	[SECTION_FEDERATIONS] = { "federations", federation_columns, fill_federations },
	[SECTION_TOOLS] = { "tools", tool_columns, fill_tools },
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
	if (section >= SECTION_ROUTES && section <= SECTION_TOOLS)
		return view_program_list(status, sections[section].title);
	return json_object_get(status, section == SECTION_CONNECTIONS ? "connectionDetails" :
									 sections[section].title);
}

size_t view_rows(const json_t *status, enum section section)
{
	const json_t *list = view_list(status, section), *entry;
	size_t i, rows = 0;

	if (section != SECTION_FEDERATIONS)
		return json_array_size(list);
	json_array_foreach(list, i, entry)
		rows += json_array_size(json_object_get(entry, "servers"));
	return rows;
}

void view_table(enum section section, const struct view *view, struct table *table)
{
	bool live = view_seconds(view->status, view->before) > 0;

	table_open(table, sections[section].columns, live);
	sections[section].fill(table, view);
}
