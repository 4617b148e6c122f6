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

/* Where the next text goes. */
struct pen {
	struct frame *frame;
	int row, column;
};

/* Put a clean text, and move behind it; what does not fit is cut off. */
void pen_put(struct pen *pen, enum style style, const char *text);
/* To a column of the next row. */
void pen_next_row(struct pen *pen, int column);

/* A table as it is shown. */
struct listing {
	const struct table *table;
	size_t first;     /* row at the top */
	size_t sorted;    /* column whose title stands out; the number of columns = none */
	enum style title;
};

/* Put the titles, and so many of its rows below, which it must have; then to the row after them. */
void pen_list(struct pen *pen, const struct listing *listing, size_t rows);

/* As text, without blank ends. */
void frame_print(const struct frame *frame, FILE *file, bool colour);

#endif
