/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines.h - lines of a standard input to a loop, one at a time, and text from it to a standard output.
 * Both may be anything: pipes, files, terminals. So each has a thread, which waits for it.
 *
 *   input ─► reader ── on_line ──► loop ── gw_lines_put ──► writer ─► output
 *                   ◄─ gw_lines_next ──   ◄── on_written ──
 *
 * Memory is bounded: the reader holds a line and a piece, and reads no other until it is asked for;
 * the writer holds GW_PIPE_HIGH bytes and the last text twice.
 */
#ifndef KOLK_GATEWAY_LINES_H
#define KOLK_GATEWAY_LINES_H

#include <kolk/kolk.h>

#include "tools/gateway/pipe.h"

struct gw_lines;

struct gw_line {
	const char *data;            /* until gw_lines_next; without the end of the line */
	size_t size;
	bool too_long;               /* and dropped */
	bool last;                   /* the input has ended */
};

struct gw_lines_options {
	struct kolk_loop *loop;
	int in, out;                 /* closed by gw_lines_close */
	size_t size_max;             /* of a line */
	/* On the loop. on_written: there is room again, or the output is broken. */
	void (*on_line)(void *user, const struct gw_line *line);
	void (*on_written)(void *user);
	void *user;
};

/* NULL = no memory, no threads. The signals that the caller has blocked are the threads', too. */
struct gw_lines *gw_lines_open(const struct gw_lines_options *options);
/* on_line runs once more. Not before it has returned, or run at all. On the loop. */
void gw_lines_next(struct gw_lines *lines);
/* Write it. False = there is no room now. What goes to a broken output is dropped. On the loop. */
bool gw_lines_put(struct gw_lines *lines, const void *text, size_t size);
bool gw_lines_has_room(struct gw_lines *lines);
bool gw_lines_is_broken(struct gw_lines *lines);
/* Both threads end; what was put is written until the deadline. Not on the loop. What is posted to the
 * loop has to run before gw_lines_free. */
void gw_lines_close(struct gw_lines *lines, uint64_t deadline_ns);
void gw_lines_free(struct gw_lines *lines);

#endif
