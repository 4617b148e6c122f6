/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lists.h - what the tables of a status are made of, within: see view.h.
 *
 *   lists.c       the engine's; which table each section is
 *   gateway.c     kolk-gateway's
 *   cells.c       cells that several tables have
 */
#ifndef KOLK_CTL_LISTS_H
#define KOLK_CTL_LISTS_H

#include "tools/ctl/view.h"

/* ---- cells.c */

/* 0 is dim. */
void rate_cell(struct table *table, enum style loud, double per_s);
void time_cell(struct table *table, enum style style, double seconds);
void some_cell(struct table *table, enum style loud, uint64_t count);
void bytes_cell(struct table *table, uint64_t bytes);
/* Of what ended like this so far: loud while there is more. */
void outcome_cell(struct table *table, double per_s, uint64_t count);
enum style fullness(double ratio);
/* "12/40", sorted by the 12. */
void of_limit_cell(struct table *table, uint64_t count, uint64_t limit);
/* A row with these names is shown. filter NULL = all are. */
bool matches(const char *filter, const char *one, const char *other);
/* The entry of a list with this "name"; NULL = there is none. */
const json_t *same_name(const json_t *list, const char *name);

/* ---- columns */

#define TEXT(name) { .title = name }
#define NUMBER(name) { .title = name, .right = true }
#define RATE(name) { .title = name, .right = true, .live = true }
#define END { .title = NULL }

/* ---- gateway.c */

typedef void fill_fn(struct table *table, const struct view *view);

extern const struct column route_columns[], member_columns[], federation_columns[], tool_columns[];
fill_fn fill_routes, fill_members, fill_federations, fill_tools;

#endif
