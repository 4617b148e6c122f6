/* SPDX-License-Identifier: Apache-2.0 */
/* cells.c - cells that several tables have; and which rows a filter lets through. */
#define _GNU_SOURCE /* strcasestr */
#include <stdio.h>
#include <string.h>

#include "tools/ctl/lists.h"
#include "tools/ctl/text.h"

void rate_cell(struct table *table, enum style loud, double per_s)
{
	char text[TEXT_NUMBER];

	table_number(table, per_s > 0 ? loud : DIM, per_s, text_rate(per_s, text));
}

void time_cell(struct table *table, enum style style, double seconds)
{
	char text[TEXT_NUMBER];

	table_number(table, seconds > 0 ? style : DIM, seconds,
		     seconds > 0 ? text_duration(seconds, text) : "-");
}

void some_cell(struct table *table, enum style loud, uint64_t count)
{
	table_count(table, count > 0 ? loud : DIM, count);
}

enum style fullness(double ratio)
{
	return ratio >= 1 ? BAD : ratio >= 0.8 ? WARN : PLAIN;
}

/* "12/40", sorted by the 12. */
void of_limit_cell(struct table *table, uint64_t count, uint64_t limit)
{
	bool bounded = limit > 0 && limit < UINT32_MAX - 1;
	char text[64];

	snprintf(text, sizeof text, bounded ? "%llu/%llu" : "%llu", (unsigned long long)count,
		 (unsigned long long)limit);
	table_number(table, bounded ? fullness((double)count / (double)limit) : PLAIN,
		     (double)count, text);
}

bool matches(const char *filter, const char *one, const char *other)
{
	return filter == NULL || strcasestr(one, filter) != NULL ||
	       strcasestr(other, filter) != NULL;
}

/* Of requests so far that ended like this: loud while there are more. */
void outcome_cell(struct table *table, double per_s, uint64_t count)
{
	some_cell(table, per_s > 0 ? BAD : PLAIN, count);
}

void bytes_cell(struct table *table, uint64_t bytes)
{
	char text[TEXT_NUMBER];

	table_number(table, bytes > 0 ? PLAIN : DIM, (double)bytes, text_bytes(bytes, text));
}

const json_t *same_name(const json_t *list, const char *name)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i,
			   entry) if (strcmp(view_text(entry, "name"), name) == 0) return entry;
	return NULL;
}
