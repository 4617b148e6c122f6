/* SPDX-License-Identifier: Apache-2.0 */
/* frame.c - see frame.h. */
#include "tools/top/frame.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

bool frame_open(struct frame *frame, int rows, int columns)
{
	size_t cells = (size_t)rows * (size_t)columns;

	frame->rows = rows;
	frame->columns = columns;
	frame->glyphs = calloc(cells + 1, sizeof *frame->glyphs);
	if (frame->glyphs == NULL)
		return false;
	for (size_t i = 0; i < cells; i++)
		frame->glyphs[i].c = L' ';
	return true;
}

void frame_close(struct frame *frame)
{
	free(frame->glyphs);
	frame->glyphs = NULL;
}

void pen_put(struct pen *pen, enum style style, const char *text)
{
	struct frame *frame = pen->frame;
	mbstate_t state = { 0 };
	wchar_t wide;

	if (pen->row < 0 || pen->row >= frame->rows || pen->column < 0)
		return;
	for (size_t size; *text != 0; text += size) {
		struct glyph *glyph = &frame->glyphs[pen->row * frame->columns + pen->column];
		int width;

		size = mbrtowc(&wide, text, strlen(text), &state);
		if (size == (size_t)-1 || size == (size_t)-2 || size == 0)
			break;
		width = wcwidth(wide);
		if (width < 1 || pen->column + width > frame->columns)
			break;
		*glyph = (struct glyph){ wide, style };
		if (width == 2)
			glyph[1] = (struct glyph){ 0, style };
		pen->column += width;
	}
}

void pen_next_row(struct pen *pen, int column)
{
	pen->row++;
	pen->column = column;
}

/* Row 0 are the titles. */
static void put_row(struct pen *pen, const struct listing *listing, size_t row)
{
	const struct table *table = listing->table;
	int left = 0;

	for (size_t i = 0; i < table->column_count; i++) {
		const struct column *column = table->columns[i];
		struct cell head = { (char *)column->title, (int)strlen(column->title),
				    i == listing->sorted ? ACCENT : listing->title, 0 };
		const struct cell *cell = row == 0 ? &head : table_cell(table, row - 1, i);
		int blank = column->right ? table->widths[i] - cell->width : 0;

		pen->column = left + blank;
		pen_put(pen, cell->style, cell->text);
		left += table->widths[i] + 2;
	}
	pen_next_row(pen, 0);
}

void pen_list(struct pen *pen, const struct listing *listing, size_t rows)
{
	put_row(pen, listing, 0);
	for (size_t i = 0; i < rows; i++)
		put_row(pen, listing, listing->first + i + 1);
}

static int end_of(const struct frame *frame, int row)
{
	int end = frame->columns;

	while (end > 0 && frame->glyphs[row * frame->columns + end - 1].c == L' ')
		end--;
	return end;
}

void frame_print(const struct frame *frame, FILE *file, bool colour)
{
	int rows = frame->rows;

	while (rows > 0 && end_of(frame, rows - 1) == 0)
		rows--;
	for (int row = 0; row < rows; row++) {
		enum style style = PLAIN;

		for (int i = 0, end = end_of(frame, row); i < end; i++) {
			const struct glyph *glyph = &frame->glyphs[row * frame->columns + i];
			char bytes[MB_LEN_MAX + 1] = "";

			if (colour && glyph->style != style) {
				fputs(style_begin(PLAIN), file);
				fputs(glyph->style != PLAIN ? style_begin(glyph->style) : "",
				      file);
			}
			style = glyph->style;
			if (glyph->c != 0 && wctomb(bytes, glyph->c) > 0)
				fputs(bytes, file);
		}
		fprintf(file, "%s\n", colour && style != PLAIN ? style_begin(PLAIN) : "");
	}
}
