/* SPDX-License-Identifier: Apache-2.0 */
/* screen.c - the terminal: pictures in, keys out. */
#include <curses.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/top/top.h"

enum { ESCAPE = 27, RUBOUT = 127, PAGE = 10 };

static uint64_t now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static void screen_open(void)
{
	static const short colours[STYLES] = { -1,	    -1,	       -1,	  COLOR_GREEN,
					      COLOR_YELLOW, COLOR_RED, COLOR_CYAN };

	initscr();
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	if (!has_colors() || getenv("NO_COLOR") != NULL)
		return;
	start_color();
	use_default_colors();
	for (short i = GOOD; i < STYLES; i++)
		init_pair(i, colours[i], -1);
}

static attr_t attributes(enum style style)
{
	if (style == HEAD)
		return A_BOLD;
	if (style == DIM)
		return A_DIM;
	return style == BAD ? A_BOLD : A_NORMAL;
}

/* Runs of one style, a row at a time. */
static void show(const struct frame *frame)
{
	erase();
	for (int row = 0; row < frame->rows; row++) {
		const struct glyph *glyphs = &frame->glyphs[row * frame->columns];

		for (int i = 0; i < frame->columns; i++) {
			enum style style = glyphs[i].style;
			wchar_t text[2] = { glyphs[i].c, 0 };
			cchar_t cell;

			if (glyphs[i].c == 0 || glyphs[i].c == L' ')
				continue;
			setcchar(&cell, text, attributes(style),
				 (short)(style >= GOOD ? style : 0), NULL);
			mvadd_wch(row, i, &cell);
		}
	}
	refresh();
}

static void draw(struct top *top)
{
	struct frame frame;
	int rows = LINES > 6 ? LINES : 6, wide = COLS > 20 ? COLS : 20;

	if (!frame_open(&frame, rows, wide))
		return;
	page_draw(top, &frame);
	show(&frame);
	frame_close(&frame);
}

/* ---- keys */

/* The next title in the focused table; behind the last one comes "as it is". */
static void sort_next(struct top *top, int step)
{
	char *sorted = top->sorted[top->focus];
	struct table table;
	size_t count, at;

	view_table(top->focus, &(struct view){ top->status, top->before, NULL }, &table);
	count = table.column_count + 1;
	at = sorted[0] != 0 ? table_find(&table, sorted) : table.column_count;
	at = (at + count + (size_t)step) % count;
	sorted[0] = 0;
	if (at < table.column_count)
		snprintf(sorted, sizeof top->sorted[0], "%s", table.columns[at]->title);
	table_close(&table);
}

static void scroll_by(struct top *top, long rows)
{
	if (rows < 0 && top->first < (size_t)-rows)
		top->first = 0;
	else
		top->first += (size_t)rows; /* the picture keeps it within the table */
}

static void type(struct top *top, wint_t key)
{
	size_t size = strlen(top->filter);
	char bytes[MB_LEN_MAX + 1];
	int count;

	if (key == ESCAPE)
		top->filter[0] = 0;
	if (key == ESCAPE || key == '\n' || key == '\r') {
		top->typing = false;
	} else if (key == RUBOUT || key == '\b') {
		while (size > 0 && ((unsigned char)top->filter[size - 1] & 0xc0) == 0x80)
			size--;
		top->filter[size > 0 ? size - 1 : 0] = 0;
	} else if (key >= ' ') {
		count = wctomb(bytes, (wchar_t)key);
		if (count > 0 && size + (size_t)count < FILTER_SIZE) {
			memcpy(top->filter + size, bytes, (size_t)count);
			top->filter[size + (size_t)count] = 0;
		}
	}
}

static void move_key(struct top *top, wint_t key)
{
	switch (key) {
	case KEY_UP:
		scroll_by(top, -1);
		break;
	case KEY_DOWN:
		scroll_by(top, 1);
		break;
	case KEY_PPAGE:
		scroll_by(top, -PAGE);
		break;
	case KEY_NPAGE:
		scroll_by(top, PAGE);
		break;
	case KEY_HOME:
		top->first = 0;
		break;
	case KEY_BACKSPACE:
		if (top->typing)
			type(top, RUBOUT);
		break;
	case KEY_ENTER:
		top->alone = !top->alone;
		break;
	default:
		break;
	}
}

static void focus_next(struct top *top)
{
	top->focus = (top->focus + 1) % SECTIONS;
	top->first = 0;
}

static void interval_change(struct top *top, bool faster)
{
	uint64_t ms = faster ? top->interval_ms / 2 : top->interval_ms * 2;

	if (ms >= 100 && ms <= 3600000)
		top->interval_ms = ms;
}

/* False = the user leaves. */
static bool letter_key(struct top *top, wint_t key)
{
	switch (key) {
	case 'q':
	case 'Q':
		return false;
	case 'p':
	case ' ':
		top->paused = !top->paused;
		break;
	case '\t':
		focus_next(top);
		break;
	case '\n':
	case '\r':
		top->alone = !top->alone;
		break;
	case 's':
	case 'S':
		if (top->status != NULL)
			sort_next(top, key == 's' ? 1 : -1);
		break;
	case 'r':
		top->reverse[top->focus] = !top->reverse[top->focus];
		break;
	case '/':
		top->typing = true;
		break;
	case ESCAPE:
		top->filter[0] = 0;
		break;
	case '?':
	case 'h':
		top->help = true;
		break;
	case '+':
	case '-':
		interval_change(top, key == '+');
		break;
	default:
		break;
	}
	return true;
}

static bool handle(struct top *top, int kind, wint_t key)
{
	if (top->help) {
		top->help = false;
		return true;
	}
	if (kind == KEY_CODE_YES)
		move_key(top, key);
	else if (top->typing)
		type(top, key);
	else
		return letter_key(top, key);
	return true;
}

/* Until the next poll is due: keys, each shown at once. */
static bool keys_until(struct top *top, uint64_t due_ms)
{
	for (;;) {
		uint64_t now = now_ms();
		enum section focus = top->focus;
		wint_t key;
		int kind;

		draw(top);
		if (!top->paused && now >= due_ms)
			return true;
		timeout(top->paused ? -1 : (int)(due_ms - now));
		kind = get_wch(&key);
		if (kind != ERR && !handle(top, kind, key))
			return false;
		if (top->focus != focus && top->focus == SECTION_CONNECTIONS)
			return true; /* requested only while they are shown */
	}
}

enum outcome screen_run(struct top *top)
{
	enum outcome outcome;

	if (!isatty(0) || !isatty(1)) {
		fputs("kolk-top: this is no terminal; --once prints one picture\n", stderr);
		return USAGE;
	}
	outcome = top_poll(top);
	if (outcome != DONE) {
		fprintf(stderr, "kolk-top: %s\n", top->problem);
		return outcome;
	}
	screen_open();
	while (keys_until(top, now_ms() + top->interval_ms))
		(void)top_poll(top); /* what failed is shown, and tried again */
	endwin();
	return DONE;
}
