/* SPDX-License-Identifier: Apache-2.0 */
/* top.h - kolk-top: its data and its view. */
#ifndef KOLK_TOP_TOP_H
#define KOLK_TOP_TOP_H

#include "tools/ctl/client.h"
#include "tools/ctl/view.h"
#include "tools/top/frame.h"

enum { HISTORY = 120, FILTER_SIZE = 64 };

struct top {
	struct client *client;
	uint64_t interval_ms;
	json_t *status, *before;      /* the last two moments; NULL = not yet */
	double history[HISTORY];      /* leases per second, newest last */
	int history_count;
	char problem[1024];           /* "" = the last poll worked */

	/* What the keys change. */
	enum section focus;           /* the table that gets the space, is sorted and scrolled */
	bool alone;                   /* nothing else is shown */
	char sorted[SECTIONS][32];    /* title of a column; "" = as it comes */
	bool reverse[SECTIONS];
	int aside;                    /* rows of each table that is not in the focus */
	size_t first;                 /* row at the top of the focused table */
	char filter[FILTER_SIZE];     /* "" = everything */
	bool paused, typing, help;    /* typing: the filter */
};

/* Ask once more. */
enum outcome top_poll(struct top *top);

/* Draw everything into a frame. */
void page_draw(struct top *top, struct frame *frame);

/* Run on the terminal until the user leaves. */
enum outcome screen_run(struct top *top);

#endif
