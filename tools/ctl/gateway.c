/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway.c - the lists of kolk-gateway's part of a status as tables: routes, members of balancers,
 * servers of federations, pooled tools.
 */
#include <stdio.h>
#include <string.h>

#include "tools/ctl/lists.h"
#include "tools/ctl/text.h"

/* ---- routes */

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

void fill_routes(struct table *table, const struct view *view)
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

void fill_members(struct table *table, const struct view *view)
{
	const json_t *member;
	size_t i;

	json_array_foreach(view_list(view->status, SECTION_MEMBERS), i, member)
		if (matches(view->filter, view_text(member, "pool"), view_text(member, "from")))
			member_row(table, view, member);
}

/* ---- servers of federations: how each answered when it was asked for all */

/* The one before, of the first federation of the same route: a reload may have added another one, whose
 * numbers are smaller, so that no rate is shown. */
static const json_t *server_of(const json_t *status, const json_t *federation, size_t at)
{
	const json_t *list = view_list(status, SECTION_FEDERATIONS), *entry;
	size_t i;

	json_array_foreach(list, i, entry)
		if (strcmp(view_text(entry, "route"), view_text(federation, "route")) == 0)
			return json_array_get(json_object_get(entry, "servers"), at);
	return NULL;
}

static void server_row(struct table *table, const struct view *view, const json_t *federation,
		       size_t at)
{
	const json_t *server = json_array_get(json_object_get(federation, "servers"), at);
	const json_t *before = server_of(view->before, federation, at);
	const double seconds = view_seconds(view->status, view->before);
	const bool up = strcmp(view_text(server, "state"), "up") == 0;
	const char *error = view_text(server, "error");

	table_text(table, ACCENT, view_text(server, "pool"));
	table_text(table, PLAIN, view_text(federation, "route"));
	table_text(table, PLAIN, view_text(server, "prefix"));
	table_text(table, up ? GOOD : BAD, view_text(server, "state"));
	if (seconds > 0)
		rate_cell(table, PLAIN, view_rate(server, before, "asked", seconds));
	some_cell(table, PLAIN, view_count(server, "asked"));
	outcome_cell(table, view_rate(server, before, "failed", seconds), view_count(server, "failed"));
	table_text(table, error[0] != 0 ? WARN : DIM, error[0] != 0 ? error : "-");
}

void fill_federations(struct table *table, const struct view *view)
{
	const json_t *federation, *server;
	size_t i, j;

	json_array_foreach(view_list(view->status, SECTION_FEDERATIONS), i, federation)
		json_array_foreach(json_object_get(federation, "servers"), j, server)
			if (matches(view->filter, view_text(server, "pool"), view_text(federation, "route")))
				server_row(table, view, federation, j);
}

/* ---- pooled tools */

static void tool_row(struct table *table, const struct view *view, const json_t *tool)
{
	const json_t *before = same_name(view_list(view->before, SECTION_TOOLS), view_text(tool, "name"));
	const double seconds = view_seconds(view->status, view->before);

	table_text(table, ACCENT, view_text(tool, "name"));
	table_text(table, PLAIN, view_text(tool, "kind"));
	table_text(table, PLAIN, view_text(tool, "pool"));
	if (seconds > 0)
		rate_cell(table, PLAIN, view_rate(tool, before, "calls", seconds));
	some_cell(table, PLAIN, view_count(tool, "inFlight"));
	some_cell(table, PLAIN, view_count(tool, "calls"));
	outcome_cell(table, view_rate(tool, before, "failed", seconds), view_count(tool, "failed"));
}

void fill_tools(struct table *table, const struct view *view)
{
	const json_t *tool;
	size_t i;

	json_array_foreach(view_list(view->status, SECTION_TOOLS), i, tool)
		if (matches(view->filter, view_text(tool, "name"), view_text(tool, "pool")))
			tool_row(table, view, tool);
}

/* clang-format off */
const struct column route_columns[] = {
	TEXT("ROUTE"), RATE("REQ/S"), NUMBER("ACTIVE"), NUMBER("REQUESTS"), NUMBER("2XX"),
	NUMBER("3XX"), NUMBER("4XX"), NUMBER("5XX"), NUMBER("GONE"), NUMBER("BROKEN"),
	NUMBER("REFUSED"), TEXT("MOST FOR"), NUMBER("P50"), NUMBER("P99"), NUMBER("P99.9"),
	NUMBER("IN"), NUMBER("OUT"), END
};
const struct column member_columns[] = {
	TEXT("MEMBER"), TEXT("BALANCER"), TEXT("CHECKS"), RATE("REQ/S"), NUMBER("ACTIVE"),
	NUMBER("REQUESTS"), NUMBER("FAILED"), NUMBER("MOVED"), TEXT("FROM"), NUMBER("RESOLVED"), END
};
const struct column federation_columns[] = {
	TEXT("SERVER"), TEXT("FEDERATION"), TEXT("PREFIX"), TEXT("STATE"), RATE("ASKED/S"),
	NUMBER("ASKED"), NUMBER("FAILED"), TEXT("LAST ERROR"), END
};
const struct column tool_columns[] = {
	TEXT("TOOL"), TEXT("KIND"), TEXT("POOL"), RATE("CALL/S"), NUMBER("ACTIVE"), NUMBER("CALLS"),
	NUMBER("FAILED"), END
};
/* clang-format on */
_Static_assert(sizeof route_columns / sizeof route_columns[0] - 1 <= TABLE_COLUMNS,
	       "the widest table has a place for each cell of a row");
