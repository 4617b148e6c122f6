/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access_log.h - a line of JSON for each request.
 *
 *   access_log.c   lines, in the buffer of a loop
 *   log_file.c     the file, and the thread that writes buffers to it
 *
 * A loop writes into a buffer of its own; a full one, and one that is 0.2 s old, goes to the thread.
 * So no loop waits for a disk. While the file takes nothing, lines beyond GW_LOG_BUFFERS buffers are
 * counted instead, and so are those that an error or the end keeps from the file: the next line that
 * a loop begins a buffer with tells how many, and the end tells it on standard error.
 */
#ifndef KOLK_GATEWAY_ACCESS_LOG_H
#define KOLK_GATEWAY_ACCESS_LOG_H

#include <kolk/http_server.h>
#include <kolk/loop.h>

struct gw_access_log;
struct gw_exchange;
struct gw_loop;

enum { GW_LOG_BUFFERS = 64, GW_LOG_BYTES = 65536 };

/* A buffer: whole lines. */
struct gw_log_block {
	struct gw_log_block *next;
	uint64_t lost;               /* lines: what its first one tells */
	size_t size;
	char text[GW_LOG_BYTES];
};

/* Of a loop. */
struct gw_log_buffer {
	struct gw_log_block *block;  /* that is being written; NULL = none */
	struct kolk_timer timer;     /* armed while block is not empty */
	int64_t second;              /* that time is of, and */
	int64_t ms;                  /* of that second */
	size_t second_size;          /* bytes of time up to the second */
	char time[40];               /* as a line begins */
};

/* log_file.c */

/* Open the file and start the thread. A FIFO needs a reader. Errors: E_IO (errno
 * says why), E_MEMORY. */
KOLK_MUST_CHECK enum kolk_err gw_access_log_open(const char *path, struct gw_access_log **log);
/* Open the file again: another one may be there (logrotate). Any thread. */
void gw_access_log_reopen(struct gw_access_log *log);
/* Write what is left, and end; no loop logs any more. A file that takes nothing is waited for until
 * the deadline (absolute), for a second at most. NULL is allowed. */
void gw_access_log_close(struct gw_access_log *log, uint64_t deadline_ns);

/* An empty buffer for a line, which tells block->lost; NULL = there is none, and the line is counted
 * as lost. Any thread. */
struct gw_log_block *gw_log_block_get(struct gw_access_log *log);
/* Have it written. Any thread. */
void gw_log_block_put(struct gw_access_log *log, struct gw_log_block *block);

/* access_log.c */

/* An exchange has ended with err; on its loop. */
void gw_log_exchange(const struct gw_exchange *x, enum kolk_err err);
/* The library refused a request by itself. */
void gw_log_refused(struct gw_loop *loop, const struct kolk_stream *stream, uint32_t status);
/* Pass on what the loop has; on the loop. */
void gw_log_flush(struct gw_loop *loop);

#endif
