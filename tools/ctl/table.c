/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - see table.h. */
#include "tools/ctl/table.h"

#include <stdlib.h>
#include <string.h>

#include "tools/ctl/text.h"

enum { CELL_COLUMNS = 44, CELL_BYTES = 1200 };

void table_open(struct table *table, const struct column *columns, bool live)
{
	memset(table, 0, sizeof *table);
	for (; columns->title != NULL && table->column_count < TABLE_COLUMNS; columns++) {
		if (columns->live && !live)
			continue;
		table->widths[table->column_count] = (int)strlen(columns->title);
		table->columns[table->column_count++] = columns;
	}
}

void table_cut(struct table *table, size_t cells)
{
	while (table->cell_count > cells)
		free(table->cells[--table->cell_count].text);
}

void table_close(struct table *table)
{
	table_cut(table, 0);
	free(table->cells);
	memset(table, 0, sizeof *table);
}

static void grow(struct table *table)
{
	size_t capacity = table->capacity > 0 ? table->capacity * 2 : 256;
	struct cell *cells = realloc(table->cells, capacity * sizeof *cells);

	if (cells == NULL) {
		fputs("out of memory\n", stderr);
		exit(1);
	}
	table->cells = cells;
	table->capacity = capacity;
}

void table_number(struct table *table, enum style style, double value, const char *text)
{
	const size_t at = table->cell_count % table->column_count;
	char clean[CELL_BYTES];
	struct cell *cell;
	int *width = &table->widths[at];

	if (table->cell_count == table->capacity)
		grow(table);
	cell = &table->cells[table->cell_count++];
	text_clean(text, clean, sizeof clean, table->columns[at]->whole ? 0 : CELL_COLUMNS);
	*cell = (struct cell){ .text = strdup(clean),
			      .width = text_width(clean),
			      .style = style,
			      .value = value };
	if (cell->text == NULL) {
		fputs("out of memory\n", stderr);
		exit(1);
	}
	*width = cell->width > *width ? cell->width : *width;
}

void table_text(struct table *table, enum style style, const char *text)
{
	table_number(table, style, 0, text);
}

void table_count(struct table *table, enum style style, uint64_t count)
{
	char text[TEXT_NUMBER];

	table_number(table, style, (double)count, text_count(count, text));
}

size_t table_rows(const struct table *table)
{
	return table->cell_count / table->column_count;
}

const struct cell *table_cell(const struct table *table, size_t row, size_t column)
{
	return &table->cells[row * table->column_count + column];
}

size_t table_find(const struct table *table, const char *title)
{
	size_t i = 0;

	while (i < table->column_count && strcmp(table->columns[i]->title, title) != 0)
		i++;
	return i;
}

/* ---- sorting: rows are moved whole, in an order found by a merge-free stable qsort */

struct order {
	const struct cell *cell;
	size_t row;
	bool right, reverse;
};

static int compare(const void *left, const void *right)
{
	const struct order *a = left, *b = right;
	int by = a->right
			 ? (a->cell->value < b->cell->value) - (a->cell->value > b->cell->value)
			 : strcmp(a->cell->text, b->cell->text);

	if (by == 0)
		return (a->row > b->row) - (a->row < b->row);
	return a->reverse ? -by : by;
}

void table_sort(struct table *table, size_t column, bool reverse)
{
	size_t rows = table_rows(table), width = table->column_count;
	struct order *order = calloc(rows + 1, sizeof *order);
	struct cell *cells = calloc(table->capacity + 1, sizeof *cells);

	if (order != NULL && cells != NULL && column < width) {
		for (size_t i = 0; i < rows; i++)
			order[i] = (struct order){ table_cell(table, i, column), i,
						  table->columns[column]->right, reverse };
		qsort(order, rows, sizeof *order, compare);
		for (size_t i = 0; i < rows; i++)
			memcpy(cells + i * width, table->cells + order[i].row * width,
			       width * sizeof *cells);
		memcpy(table->cells, cells, rows * width * sizeof *cells);
	}
	free(order);
	free(cells);
}

/* ---- printing */

const char *style_begin(enum style style)
{
	static const char *const codes[STYLES] = { "\033[0m",  "\033[1m",  "\033[2m", "\033[32m",
						  "\033[33m", "\033[31m", "\033[36m" };

	return codes[style];
}

static void print_cell(FILE *file, const struct cell *cell, int columns, bool right)
{
	int blank = columns > cell->width ? columns - cell->width : 0;

	fprintf(file, "%*s%s%s%s%*s", right ? blank : 0, "",
		cell->style != PLAIN ? style_begin(cell->style) : "", cell->text,
		cell->style != PLAIN ? style_begin(PLAIN) : "", right ? 0 : blank, "");
}

/* Of a row: behind it are empty cells alone, which need no blanks. */
static size_t last_text(const struct table *table, size_t row)
{
	size_t last = table->column_count - 1;

	while (last > 0 && table_cell(table, row, last)->text[0] == 0)
		last--;
	return last;
}

void table_print(const struct table *table, FILE *file, bool colour)
{
	for (size_t row = 0; row <= table_rows(table); row++) {
		const size_t last = row == 0 ? table->column_count - 1 :
					       last_text(table, row - 1);

		for (size_t i = 0; i <= last; i++) {
			const struct column *column = table->columns[i];
			struct cell head = { (char *)column->title, (int)strlen(column->title),
					    HEAD, 0 };
			struct cell cell = row == 0 ? head : *table_cell(table, row - 1, i);
			bool open_end = i == last && !column->right;

			cell.style = colour ? cell.style : PLAIN;
			print_cell(file, &cell, open_end ? 0 : table->widths[i], column->right);
			fputs(i < last ? "  " : "\n", file);
		}
	}
}
