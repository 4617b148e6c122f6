/* SPDX-License-Identifier: Apache-2.0 */
/* page.c - the picture: the engine in a few lines, alerts, tables, and the keys at the bottom.
 */
#include <stdio.h>
#include <string.h>

#include "tools/ctl/text.h"
#include "tools/top/top.h"

enum { ALERTS = 4, HEAD_ROWS = 5, LABEL = 9, BAR = 32, ROOM_MIN = 4 };

static int put(struct frame *frame, int row, int column, enum style style, const char *label,
	       const char *value)
{
	column = frame_put(frame, row, column, DIM, label);
	return frame_put(frame, row, column + 1, style, value) + 3;
}

static int put_count(struct frame *frame, int row, int column, enum style loud,
		     const char *label, uint64_t count)
{
	char text[TEXT_NUMBER];

	return put(frame, row, column, count > 0 ? loud : DIM, label, text_count(count, text));
}

static int put_rate(struct frame *frame, int row, int column, enum style loud,
		    const char *label, double per_s)
{
	char number[TEXT_NUMBER], text[TEXT_NUMBER + 2];

	snprintf(text, sizeof text, "%s/s", text_rate(per_s, number));
	return put(frame, row, column, per_s > 0 ? loud : DIM, label, text);
}

/* ---- the engine */

/* "kolk 0.1.0  io_uring  mbedTLS ...   up 3 m 5 s" */
static void title(const struct top *top, const struct summary *s, struct frame *frame)
{
	char text[300], uptime[TEXT_NUMBER];
	int column;

	snprintf(text, sizeof text, "kolk %s", s->version);
	column = frame_put(frame, 0, 0, HEAD, text);
	snprintf(text, sizeof text, "%s, %s, %s", s->backend, s->tls,
		 client_where(top->client));
	column = frame_put(frame, 0, column + 2, DIM, text);
	snprintf(text, sizeof text, "up %s", text_duration(s->uptime_s, uptime));
	if (column + 2 + (int)strlen(text) <= frame->columns)
		frame_put(frame, 0, frame->columns - (int)strlen(text), PLAIN, text);
}

static int bar_width(const struct frame *frame)
{
	return frame->columns / 3 < BAR ? frame->columns / 3 : BAR;
}

static void fill_line(const struct summary *s, struct frame *frame, int row)
{
	double full = s->limit > 0 ? (double)s->open / (double)s->limit : 0;
	enum style style = full >= 1 ? BAD : full >= 0.8 ? WARN : GOOD;
	char bar[256], text[64];
	int column;

	text_bar(full, bar_width(frame), bar, sizeof bar);
	frame_put(frame, row, 0, DIM, "open");
	column = frame_put(frame, row, LABEL, style, bar);
	snprintf(text, sizeof text, "%llu of %llu", (unsigned long long)s->open,
		 (unsigned long long)s->limit);
	column = frame_put(frame, row, column + 1, style == GOOD ? HEAD : style, text) + 3;
	column = put_count(frame, row, column, HEAD, "leased", s->leased);
	column = put_count(frame, row, column, PLAIN, "idle", s->idle);
	column = put_count(frame, row, column, PLAIN, "dialing", s->dialing);
	column = put_count(frame, row, column, PLAIN, "pinging", s->pinging);
	(void)put_count(frame, row, column, PLAIN, "closing", s->closing);
}

/* Leases per second so far, the newest at the right. */
static int spark(const struct top *top, struct frame *frame, int row, int column, int width)
{
	static const char *const steps[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	int from = top->history_count > width ? top->history_count - width : 0;
	double most = 0;

	for (int i = from; i < top->history_count; i++)
		most = top->history[i] > most ? top->history[i] : most;
	for (int i = from; i < top->history_count; i++) {
		int step = most > 0 ? (int)(top->history[i] / most * 7.99) : 0;

		frame_put(frame, row, column + width - (top->history_count - i), GOOD,
			  text_is_utf8() ? steps[step]
			  : step > 5	 ? "#"
			  : step > 2	 ? "="
					 : "_");
	}
	return column + width;
}

static void lease_line(const struct top *top, const struct summary *s, struct frame *frame,
		       int row)
{
	char number[TEXT_NUMBER], text[64];
	int column;

	frame_put(frame, row, 0, DIM, "leases");
	column = spark(top, frame, row, LABEL, bar_width(frame));
	snprintf(text, sizeof text, "%s/s", text_rate(s->acquired_s, number));
	column = frame_put(frame, row, column + 1, HEAD, text) + 3;
	snprintf(text, sizeof text, "%.1f %%", s->reused * 100);
	column = put(frame, row, column, PLAIN, "reused", text);
	column = put_rate(frame, row, column, PLAIN, "dials", s->dialled_s);
	(void)put_rate(frame, row, column, PLAIN, "closed", s->closed_s);
}

static void trouble_line(const struct summary *s, struct frame *frame, int row)
{
	int column;

	frame_put(frame, row, 0, DIM, "trouble");
	column = put_count(frame, row, LABEL, WARN, "waiting", s->waiting);
	column = put_rate(frame, row, column, BAD, "refused", s->refused_s);
	if (s->refused_for[0] != 0)
		column = put(frame, row, column, s->refused_s > 0 ? BAD : DIM, "most:",
			     s->refused_for);
	(void)put_rate(frame, row, column, BAD, "dials failed", s->dial_failed_s);
}

static int alerts(const struct top *top, struct frame *frame, int row)
{
	enum style style;
	char text[700];
	size_t i = 0;

	for (; i < ALERTS && view_alert(top->status, i, &style, text, sizeof text); i++) {
		frame_put(frame, row, 0, style, text_is_utf8() ? "▲" : "!");
		frame_put(frame, row++, 2, style, text);
	}
	return row;
}

/* ---- tables */

/* Rows come and go between two polls: the first one shown stays within what there is. */
static void scroll_within(struct top *top, size_t rows, size_t room)
{
	size_t last = rows > room ? rows - room : 0;

	top->first = top->first < last ? top->first : last;
}

static int section(struct top *top, struct frame *frame, int row, int room, enum section which)
{
	bool focused = which == top->focus;
	struct table table;
	size_t sorted = TABLE_COLUMNS, rows;
	char more[64];
	int shown;

	view_table(which, top->status, top->before, top->filter[0] != 0 ? top->filter : NULL,
		   &table);
	rows = table_rows(&table);
	if (top->sorted[which][0] != 0)
		sorted = table_find(&table, top->sorted[which]);
	if (sorted < table.column_count)
		table_sort(&table, sorted, top->reverse[which]);
	/* "1 more" would take the row that the one takes. */
	shown = rows <= (size_t)room + 1 ? (int)rows : room;
	if (focused)
		scroll_within(top, rows, (size_t)shown);
	if (rows > 0 || focused) {
		frame_table(frame, row, shown, &table, focused ? top->first : 0, sorted,
			    focused ? HEAD : DIM);
		row += 1 + shown;
		if (rows > (size_t)shown) {
			snprintf(more, sizeof more, "%zu more", rows - (size_t)shown);
			frame_put(frame, row++, 0, DIM, more);
		}
		row++;
	}
	table_close(&table);
	return row;
}

static bool is_aside(const struct top *top, enum section which)
{
	/* Keys and connections are long lists: they are shown on request. */
	return !top->alone && which != top->focus && which != SECTION_KEYS &&
	       which != SECTION_CONNECTIONS;
}

/* Rows that the tables aside will take, so that the focused one gets the rest. */
static int rows_aside(const struct top *top)
{
	static const char *const lists[SECTIONS] = {
		[SECTION_POOLS] = "pools",     [SECTION_TENANTS] = "tenants",
		[SECTION_LOOPS] = "loops",     [SECTION_WAITERS] = "waiters",
		[SECTION_OVERDUE] = "overdue",
	};
	int sum = 0;

	for (enum section i = 0; i < SECTIONS; i++) {
		size_t rows = lists[i] != NULL
				      ? json_array_size(json_object_get(top->status, lists[i]))
				      : 0;

		if (is_aside(top, i) && rows > 0)
			sum += rows > (size_t)top->aside ? top->aside + 3 : (int)rows + 2;
	}
	return sum;
}

static void tables(struct top *top, struct frame *frame, int row)
{
	int room = frame->rows - row - 4 - rows_aside(top);

	if (room < ROOM_MIN)
		room = ROOM_MIN;
	for (enum section i = 0; i < SECTIONS && row < frame->rows - 2; i++) {
		if (i == top->focus)
			row = section(top, frame, row, room, i);
		else if (is_aside(top, i))
			row = section(top, frame, row, top->aside, i);
	}
}

/* ---- the last line, and help */

static void blank_row(struct frame *frame, int row)
{
	for (int i = 0; i < frame->columns; i++)
		frame->glyphs[row * frame->columns + i] = (struct glyph){ L' ', PLAIN };
}

static void bottom(const struct top *top, struct frame *frame)
{
	int row = frame->rows - 1;
	char text[160], clean[200];

	blank_row(frame, row);
	if (top->typing || top->filter[0] != 0) {
		snprintf(text, sizeof text, "filter: %s%s   ",
			 text_clean(top->filter, clean, sizeof clean, 60),
			 top->typing ? "_" : "");
		frame_put(frame, row, frame_put(frame, row, 0, ACCENT, text), DIM,
			  top->typing ? "Enter keeps it, Esc drops it" : "Esc drops it");
		return;
	}
	if (top->paused)
		frame_put(frame, row, 0, WARN, "paused: p goes on");
	else
		frame_put(frame, row, 0, DIM,
			  "q quit  p pause  Tab table  Enter alone  s sort  r reverse  / "
			  "filter  ? help");
}

static void help(struct frame *frame, int row)
{
	static const char *const lines[] = {
		"q        leave",
		"p Space  pause, go on",
		"Tab      next table: pools, tenants, keys, connections, loops, waiters, "
		"overdue",
		"Enter    the table alone, and back",
		"s S      sort it by the next or the previous column; r turns the order round",
		"/        show only what has this in its name; Esc shows everything again",
		"Up Down  scroll the table; also PgUp, PgDn, Home",
		"+ -      ask more or less often",
		"",
		"REUSED%  leases on a connection that was used before, since the last poll",
		"WAIT-P99 of acquires that had to wait; DIAL-P50 from resolve to ready: of the last "
		"five minutes",
		"REFUSED  callers that got no connection, and for which reason the most",
		"any key goes back",
	};

	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		frame_put(frame, row + (int)i, 2, PLAIN, lines[i]);
}

void page_draw(struct top *top, struct frame *frame)
{
	struct summary summary;
	int row = HEAD_ROWS;

	if (top->status != NULL) {
		view_summary(top->status, top->before, &summary);
		title(top, &summary, frame);
		fill_line(&summary, frame, 1);
		lease_line(top, &summary, frame, 2);
		trouble_line(&summary, frame, 3);
	}
	if (top->problem[0] != 0)
		frame_put(frame, HEAD_ROWS - 1, 0, BAD, top->problem);
	if (top->help) {
		help(frame, row);
	} else if (top->status != NULL) {
		int end = alerts(top, frame, row);

		tables(top, frame, end > row ? end + 1 : row);
	}
	bottom(top, frame);
}
