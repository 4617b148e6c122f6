/* SPDX-License-Identifier: Apache-2.0 */
/* h1_exchange.h - an exchange of HTTP/1.1 on its lease (h1.c), and its memory (h1_memory.c). */
#ifndef KOLK_DRIVERS_H1_EXCHANGE_H
#define KOLK_DRIVERS_H1_EXCHANGE_H

#include "transport/drivers/blocks.h"
#include "transport/drivers/http.h"
#include "transport/drivers/pump.h"

/* Blocks that an exchange has only while it needs them: `sending` until the request is sent; `in`
 * while an answer comes that is not a silent stream of events, which waits for its next bytes with
 * `few`: a comment, a notification without params. Servers write pieces of 16 KiB, the first one
 * with their head: it is received at once. */
enum { H1_SMALL_BYTES = 2048, H1_IN_BYTES = 16384 + 4096, H1_OUT_BYTES = 16384,
       H1_FEW_BYTES = 128 };

struct h1_sending {
	struct kolk_io io;                /* not zeroed, like small */
	struct kolk_timer continue_timer; /* for 100 (Continue) */
	char small[H1_SMALL_BYTES];
};

enum h1_phase {
	SEND_HEAD,
	AWAIT_CONTINUE, /* the head is out; the body waits for 100 (Continue) */
	SEND_BODY,      /* the body */
	LAST_WRITE,     /* everything was returned; when on_write is called again, everything is
	                 * sent */
	SENT
};

struct h1_exchange {
	struct pump pump;
	struct kolk_http_exchange *exchange;
	enum h1_phase phase;
	bool in_callback;    /* in on_read: what handlers ask for is done when they have returned */
	bool upload_stopped; /* an early answer: no more of the body */
	bool pull_pending;   /* pull had nothing */
	bool switched;
	uint64_t body_sent;  /* bytes of the body */
	uint64_t peer_idle_ns;
	uint64_t continue_ns;
	const uint8_t *unparsed; /* received and not parsed: paused, or another protocol's */
	size_t unparsed_size;
	char *trailer_text;      /* the parser's, taken out of the session */
	struct kolk_http_field *trailers;
	uint32_t trailer_count;
	char *out;               /* small, or allocated */
	size_t out_size;
	size_t secret_size;      /* of a head with credentials: out begins with it, wiped at its end */
	struct h1_sending *sending; /* a block; NULL = the request is sent */
	uint8_t *in;             /* a block; NULL = few is used */
	bool events;             /* the answer is a stream of events */
	uint8_t few[H1_FEW_BYTES]; /* not zeroed */
};

/* NULL = there is no memory. The blocks are those of its client. */
struct h1_exchange *h1_exchange_make(struct h1_blocks *blocks);
void h1_exchange_free(struct h1_blocks *blocks, struct h1_exchange *h1);
/* Memory for what is sent; what was in it is lost. False = there is none. */
bool h1_out_reserve(struct h1_exchange *h1, size_t size);
/* Nothing is sent any more. */
void h1_out_end(struct h1_exchange *h1);
/* Before the next bytes of a stream of events, which may be long in coming; so many came last, and
 * are parsed. */
void h1_choose_input(struct h1_exchange *h1, struct h1_message *message, size_t received);

#endif
