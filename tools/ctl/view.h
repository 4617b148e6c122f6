/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.h - the status of an admin server as figures and tables: what kolk-ctl prints once and
 * kolk-top again and again.
 *
 * Whatever is missing in a status counts as 0 or "": an older server shows less.
 */
#ifndef KOLK_CTL_VIEW_H
#define KOLK_CTL_VIEW_H

#include <jansson.h>

#include "tools/ctl/table.h"

enum section {
	SECTION_POOLS,
	SECTION_ROUTES, /* of a program that has some: kolk-gateway */
	SECTION_MEMBERS, /* likewise: of its balancers */
	SECTION_FEDERATIONS, /* their servers */
	SECTION_TOOLS, /* pooled tools */
	SECTION_TENANTS,
	SECTION_KEYS,
	SECTION_CONNECTIONS,
	SECTION_LOOPS,
	SECTION_WAITERS,
	SECTION_OVERDUE,
	SECTIONS
};

/* Of the whole engine; rates are per second between two moments. */
struct summary {
	char version[64], backend[64], tls[96];
	double uptime_s, seconds; /* between the moments; 0 = there is only one */
	uint64_t open, limit, idle, leased, dialing, pinging, closing, waiting;
	uint64_t acquired, refused, dial_failed;
	char refused_for[64]; /* the reason of most; "" = none */
	double reused; /* share of the leases, all so far or between the moments */
	double acquired_s, dialled_s, dial_failed_s, refused_s, closed_s;
};

/* before NULL = there is no earlier moment. */
void view_summary(const json_t *status, const json_t *before, struct summary *summary);

/* What the tables show. */
struct view {
	const json_t *status, *before; /* before NULL = there is no earlier moment */
	const char *filter;            /* only rows that have this in a name; NULL = all */
};

const char *view_title(enum section section);
/* Opens the table and fills it. */
void view_table(enum section section, const struct view *view, struct table *table);

struct alert {
	enum style style;
	char text[700];
};

/* Alerts by number; false beyond. */
bool view_alert(const json_t *status, size_t index, struct alert *alert);

/* members.c: a list of the program's own part, as kolk-gateway has it; the same member in another status,
 * and the name in DNS that resolved to one; NULL = there is none. */
const json_t *view_program_list(const json_t *status, const char *name);
const json_t *view_member_of(const json_t *status, const json_t *member);
const json_t *view_member_name(const json_t *status, const json_t *member);

uint64_t view_count(const json_t *object, const char *name);
double view_number(const json_t *object, const char *name);
const char *view_text(const json_t *object, const char *name);
const json_t *view_counters(const json_t *object);
/* The list of a section; NULL = there is none. And how many rows its table has, without a filter. */
const json_t *view_list(const json_t *status, enum section section);
size_t view_rows(const json_t *status, enum section section);
/* Callers that got no connection, all reasons; and for which the most, as "602 circuit": since
 * `before` if that is there and any were. "" = no caller was refused. */
uint64_t view_refused(const json_t *object);
const char *view_refused_for(const json_t *object, const json_t *before, char *text,
			     size_t capacity);
/* Between two moments; 0 = there is only one, or the clock was set back. */
double view_seconds(const json_t *status, const json_t *before);
/* How fast a counter grew, and which share of what `whole` grew by is `part`. */
double view_rate(const json_t *now, const json_t *before, const char *name, double seconds);
double view_share(const json_t *now, const json_t *before, const char *part, const char *whole);

#endif
