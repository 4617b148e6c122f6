/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.h - the trace that a request belongs to (W3C Trace Context, level 1).
 *
 *   trace     what a request caused, in all programs that it went through; it has an id
 *   span      the part of one program. The gateway has two for a request: its own (SERVER), and
 *             below that what it asked an upstream (CLIENT), whose id is what the upstream sees
 *   sampled   spans of the trace are exported (export.h). That is decided where it begins:
 *             here by its id, else by the client, and passed on
 *
 * A trace that begins here is sampled if the last 56 bits of its id, a number, are at least sample_from:
 * programs that decide so, with the same share, decide alike.
 */
#ifndef KOLK_GATEWAY_TRACE_H
#define KOLK_GATEWAY_TRACE_H

#include <kolk/http.h>

struct gw_exchange;

#define GW_TRACE_RANDOM (UINT64_C(1) << 56) /* sample_from of no trace at all */

enum { GW_TRACEPARENT_SIZE = 56 }; /* of its text, with the NUL */

/* Of an exchange that is traced. Times are those of kolk_in_ns(0); 0 = it did not happen. */
struct gw_trace {
	uint8_t id[16];
	uint8_t parent[8];         /* all zero = it begins here */
	uint8_t server[8], client[8]; /* the ids of its spans */
	uint8_t flags;             /* as in traceparent */
	bool retried;              /* it was sent twice */
	bool reused;               /* the upstream's connection had been used before */
	struct kolk_pool *pool;    /* it went to; NULL = to none */
	uint64_t begin_ns;         /* the upstream was asked, */
	uint64_t carried_ns;       /* had a connection, */
	uint64_t head_ns;          /* and answered; */
	uint64_t end_ns;           /* that ended */
	uint32_t status, version;  /* of its answer; 0 = none */
};

/* Read the value of a traceparent: id, parent and flags. False = it is none. */
bool gw_traceparent_read(const char *text, struct gw_trace *trace);
/* Write the one for the upstream. */
void gw_traceparent_write(const struct gw_trace *trace, char text[GW_TRACEPARENT_SIZE]);
/* Whether it began elsewhere. */
bool gw_trace_is_continued(const struct gw_trace *trace);
/* Lower-case hexadecimal, and a NUL. */
void gw_trace_hex(const uint8_t *bytes, size_t size, char *text);

/* All on the loop. The head of the exchange is there, and who the client is: continue its trace, or
 * begin one. The loop has a tracer. Without memory it is not traced. */
void gw_trace_begin(struct gw_exchange *x);
/* The fields of its head are being passed on: mark those of the client's trace that are not, and add
 * the gateway's. */
void gw_trace_forward(struct gw_exchange *x);
/* The upstream was asked; has answered; has ended, shown by the handlers of kolk_http. */
void gw_trace_ask(struct gw_exchange *x, struct kolk_pool *pool);
void gw_trace_head(struct gw_exchange *x, const struct kolk_http_exchange *back,
		   const struct kolk_http_head *head);
void gw_trace_answered(struct gw_exchange *x, const struct kolk_http_exchange *back);
/* span.c: its client's side has ended with err: its spans are exported if it is sampled. */
void gw_trace_end(struct gw_exchange *x, enum kolk_err err);

#endif
