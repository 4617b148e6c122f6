/* SPDX-License-Identifier: Apache-2.0 */
/* page.c - the picture: the engine in a few lines, alerts, tables, and the keys at the bottom.
 */
#include <stdio.h>
#include <string.h>

#include "tools/ctl/text.h"
#include "tools/top/top.h"

enum { ALERTS = 4, HEAD_ROWS = 5, LABEL = 9, BAR = 32, GAP = 3, ROOM_MIN = 4 };

/* A figure, and a gap to the next one. */
static void put(struct pen *pen, enum style style, const char *label, const char *value)
{
	pen_put(pen, DIM, label);
	pen->column++;
	pen_put(pen, style, value);
	pen->column += GAP;
}

static void put_count(struct pen *pen, enum style loud, const char *label, uint64_t count)
{
	char text[TEXT_NUMBER];

	put(pen, count > 0 ? loud : DIM, label, text_count(count, text));
}

static void put_rate(struct pen *pen, enum style loud, const char *label, double per_s)
{
	char number[TEXT_NUMBER], text[TEXT_NUMBER + 2];

	snprintf(text, sizeof text, "%s/s", text_rate(per_s, number));
	put(pen, per_s > 0 ? loud : DIM, label, text);
}

/* The name of a line of figures. */
static void put_head(struct pen *pen, const char *label)
{
	pen_put(pen, DIM, label);
	pen->column = LABEL;
}

/* ---- the engine */

/* "kolk 0.1.0  io_uring  mbedTLS ...   up 3 m 5 s" */
static void title(const struct top *top, const struct summary *s, struct frame *frame)
{
	struct pen pen = { frame, 0, 0 };
	char text[300], uptime[TEXT_NUMBER];
	int right;

	snprintf(text, sizeof text, "kolk %s", s->version);
	pen_put(&pen, HEAD, text);
	pen.column += 2;
	snprintf(text, sizeof text, "%s, %s, %s", s->backend, s->tls,
		 client_where(top->client));
	pen_put(&pen, DIM, text);
	snprintf(text, sizeof text, "up %s", text_duration(s->uptime_s, uptime));
	right = frame->columns - (int)strlen(text);
	if (pen.column + 2 > right)
		return;
	pen.column = right;
	pen_put(&pen, PLAIN, text);
}

static int bar_width(const struct frame *frame)
{
	return frame->columns / 3 < BAR ? frame->columns / 3 : BAR;
}

static void fill_line(const struct summary *s, struct pen *pen)
{
	double full = s->limit > 0 ? (double)s->open / (double)s->limit : 0;
	enum style style = full >= 1 ? BAD : full >= 0.8 ? WARN : GOOD;
	char bar[256], text[64];

	text_bar(full, bar_width(pen->frame), bar, sizeof bar);
	put_head(pen, "open");
	snprintf(text, sizeof text, "%llu of %llu", (unsigned long long)s->open,
		 (unsigned long long)s->limit);
	pen_put(pen, style, bar);
	pen->column++;
	pen_put(pen, style == GOOD ? HEAD : style, text);
	pen->column += GAP;
	put_count(pen, HEAD, "leased", s->leased);
	put_count(pen, PLAIN, "idle", s->idle);
	put_count(pen, PLAIN, "dialing", s->dialing);
	put_count(pen, PLAIN, "pinging", s->pinging);
	put_count(pen, PLAIN, "closing", s->closing);
}

/* Leases per second so far, the newest at the right. */
static void spark(const struct top *top, struct pen *pen, int width)
{
	static const char *const steps[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	int from = top->history_count > width ? top->history_count - width : 0;
	int end = pen->column + width;
	double most = 0;

	for (int i = from; i < top->history_count; i++)
		most = top->history[i] > most ? top->history[i] : most;
	for (int i = from; i < top->history_count; i++) {
		int step = most > 0 ? (int)(top->history[i] / most * 7.99) : 0;

		pen->column = end - (top->history_count - i);
		pen_put(pen, GOOD, text_is_utf8() ? steps[step] :
				   step > 5	  ? "#" :
				   step > 2	  ? "=" : "_");
	}
	pen->column = end;
}

static void lease_line(const struct top *top, const struct summary *s, struct pen *pen)
{
	char number[TEXT_NUMBER], text[64];

	put_head(pen, "leases");
	spark(top, pen, bar_width(pen->frame));
	pen->column++;
	snprintf(text, sizeof text, "%s/s", text_rate(s->acquired_s, number));
	pen_put(pen, HEAD, text);
	pen->column += GAP;
	snprintf(text, sizeof text, "%.1f %%", s->reused * 100);
	put(pen, PLAIN, "reused", text);
	put_rate(pen, PLAIN, "dials", s->dialled_s);
	put_rate(pen, PLAIN, "closed", s->closed_s);
}

static void trouble_line(const struct summary *s, struct pen *pen)
{
	put_head(pen, "trouble");
	put_count(pen, WARN, "waiting", s->waiting);
	put_rate(pen, BAD, "refused", s->refused_s);
	if (s->refused_for[0] != 0)
		put(pen, s->refused_s > 0 ? BAD : DIM, "most:", s->refused_for);
	put_rate(pen, BAD, "dials failed", s->dial_failed_s);
}

static void summary_draw(const struct top *top, const struct summary *s, struct frame *frame)
{
	struct pen pen = { frame, 1, 0 };

	title(top, s, frame);
	fill_line(s, &pen);
	pen_next_row(&pen, 0);
	lease_line(top, s, &pen);
	pen_next_row(&pen, 0);
	trouble_line(s, &pen);
}

/* And a blank row, if there are any. */
static void alerts(const struct top *top, struct pen *pen)
{
	struct alert alert;
	size_t i = 0;

	for (; i < ALERTS && view_alert(top->status, i, &alert); i++) {
		pen_put(pen, alert.style, text_is_utf8() ? "▲" : "!");
		pen->column = 2;
		pen_put(pen, alert.style, alert.text);
		pen_next_row(pen, 0);
	}
	if (i > 0)
		pen_next_row(pen, 0);
}

/* ---- tables */

/* Rows come and go between two polls: the first one shown stays within what there is. */
static void scroll_within(struct top *top, size_t rows, size_t room)
{
	size_t last = rows > room ? rows - room : 0;

	top->first = top->first < last ? top->first : last;
}

/* So many rows, and how many more there are; then a blank row. */
static void list(struct pen *pen, const struct listing *listing, size_t shown)
{
	size_t rows = table_rows(listing->table);
	char more[64];

	pen_list(pen, listing, shown);
	if (rows > shown) {
		snprintf(more, sizeof more, "%zu more", rows - shown);
		pen_put(pen, DIM, more);
		pen_next_row(pen, 0);
	}
	pen_next_row(pen, 0);
}

static void section(struct top *top, struct pen *pen, int room, enum section which)
{
	struct view view = { top->status, top->before, top->filter[0] != 0 ? top->filter : NULL };
	struct table table;
	struct listing listing = { .table = &table, .sorted = TABLE_COLUMNS, .title = DIM };
	size_t rows, shown;

	view_table(which, &view, &table);
	rows = table_rows(&table);
	/* "1 more" would take the row that the one takes. */
	shown = rows <= (size_t)room + 1 ? rows : (size_t)room;
	if (top->sorted[which][0] != 0)
		listing.sorted = table_find(&table, top->sorted[which]);
	if (listing.sorted < table.column_count)
		table_sort(&table, listing.sorted, top->reverse[which]);
	if (which == top->focus) {
		scroll_within(top, rows, shown);
		listing.first = top->first;
		listing.title = HEAD;
	}
	if (rows > 0 || which == top->focus)
		list(pen, &listing, shown);
	table_close(&table);
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
	int sum = 0;

	for (enum section i = 0; i < SECTIONS; i++) {
		size_t rows = view_rows(top->status, i);

		if (is_aside(top, i) && rows > 0)
			sum += rows > (size_t)top->aside ? top->aside + 3 : (int)rows + 2;
	}
	return sum;
}

static void tables(struct top *top, struct pen *pen)
{
	int rows = pen->frame->rows, room = rows - pen->row - 4 - rows_aside(top);

	if (room < ROOM_MIN)
		room = ROOM_MIN;
	for (enum section i = 0; i < SECTIONS && pen->row < rows - 2; i++) {
		if (i == top->focus)
			section(top, pen, room, i);
		else if (is_aside(top, i))
			section(top, pen, top->aside, i);
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
	struct pen pen = { frame, frame->rows - 1, 0 };
	char text[160], clean[200];

	blank_row(frame, pen.row);
	if (top->typing || top->filter[0] != 0) {
		snprintf(text, sizeof text, "filter: %s%s   ",
			 text_clean(top->filter, clean, sizeof clean, 60),
			 top->typing ? "_" : "");
		pen_put(&pen, ACCENT, text);
		pen_put(&pen, DIM, top->typing ? "Enter keeps it, Esc drops it" : "Esc drops it");
		return;
	}
	if (top->paused)
		pen_put(&pen, WARN, "paused: p goes on");
	else
		pen_put(&pen, DIM,
			"q quit  p pause  Tab table  Enter alone  s sort  r reverse  / "
			"filter  ? help");
}

static void help(struct pen *pen)
{
	static const char *const lines[] = {
		"q        leave",
		"p Space  pause, go on",
		"Tab      next table: pools, routes, members, federations, tools, tenants, keys, "
		"connections, loops, waiters, overdue",
		"Enter    the table alone, and back",
		"s S      sort it by the next or the previous column; r turns the order round",
		"/        show only what has this in its name; Esc shows everything again",
		"Up Down  scroll the table; also PgUp, PgDn, Home",
		"+ -      ask more or less often",
		"",
		"REUSED%  leases on a connection that was used before, since the last poll",
		"WAIT-P99 of acquires that had to wait; DIAL-P50 from resolve to ready: of the last "
		"five minutes",
		"REFUSED  callers that got no connection, and for which reason the most; of a route: "
		"requests",
		"P50 P99  of a route: from a request's head to the end of its answer, since the start",
		"any key goes back",
	};

	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		pen->column = 2;
		pen_put(pen, PLAIN, lines[i]);
		pen_next_row(pen, 0);
	}
}

void page_draw(struct top *top, struct frame *frame)
{
	struct pen problem = { frame, HEAD_ROWS - 1, 0 }, pen = { frame, HEAD_ROWS, 0 };
	struct summary summary;

	if (top->status != NULL) {
		view_summary(top->status, top->before, &summary);
		summary_draw(top, &summary, frame);
	}
	pen_put(&problem, BAD, top->problem);
	if (top->help) {
		help(&pen);
	} else if (top->status != NULL) {
		alerts(top, &pen);
		tables(top, &pen);
	}
	bottom(top, frame);
}
