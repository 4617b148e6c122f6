/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h - one picture in cells, drawn by page.c and shown by ncurses or as text. */
#ifndef KOLK_TOP_FRAME_H
#define KOLK_TOP_FRAME_H

#include <wchar.h>

#include "tools/ctl/table.h"

struct glyph {
	wchar_t c; /* 0 = the right half of a wide one */
	enum style style;
};

struct frame {
	int rows, columns;
	struct glyph *glyphs;
};

/* Blank, of this size. False without memory. */
bool frame_open(struct frame *frame, int rows, int columns);
void frame_close(struct frame *frame);

/* Put a clean text; what does not fit is cut off. Returns the column behind it. */
int frame_put(struct frame *frame, int row, int column, enum style style, const char *text);
/* Put a table's titles at a row, and at most `rows` of its rows from `first` on below. */
void frame_table(struct frame *frame, int row, int rows, const struct table *table, size_t first,
		 size_t sorted, enum style title);

/* As text, without blank ends. */
void frame_print(const struct frame *frame, FILE *file, bool colour);

#endif
