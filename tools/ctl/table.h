/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - rows and columns that line up, with a style and a value to sort by in each cell. */
#ifndef KOLK_CTL_TABLE_H
#define KOLK_CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum style { PLAIN, HEAD, DIM, GOOD, WARN, BAD, ACCENT, STYLES };

struct column {
	const char *title;
	bool right; /* numbers stand at the right */
	bool live;  /* only when there are two moments to compare */
	bool whole; /* texts are not cut */
};

struct cell {
	char *text; /* clean */
	int width;
	enum style style;
	double value; /* what right columns are sorted by */
};

enum { TABLE_COLUMNS = 20 };
struct table {
	const struct column *columns[TABLE_COLUMNS];
	int widths[TABLE_COLUMNS];
	size_t column_count, cell_count, capacity;
	struct cell *cells;
};

/* Columns end with a title of NULL; live ones are left out unless asked for. */
void table_open(struct table *table, const struct column *columns, bool live);
void table_close(struct table *table);
/* Remove the last cells until so many are left. */
void table_cut(struct table *table, size_t cells);

/* Append the next cell, row by row. The text is cleaned and cut. */
void table_text(struct table *table, enum style style, const char *text);
void table_number(struct table *table, enum style style, double value, const char *text);
void table_count(struct table *table, enum style style, uint64_t count);

size_t table_rows(const struct table *table);
const struct cell *table_cell(const struct table *table, size_t row, size_t column);
/* A column of this title; the number of columns when there is none. */
size_t table_find(const struct table *table, const char *title);
/* Numbers: largest first; texts: from a to z; reverse turns it round. Stable. */
void table_sort(struct table *table, size_t column, bool reverse);

void table_print(const struct table *table, FILE *file, bool colour);
/* The escape sequence that begins a style; style PLAIN ends one. */
const char *style_begin(enum style style);

#endif
