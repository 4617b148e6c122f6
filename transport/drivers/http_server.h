/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_server.h - what the files of the HTTP server share. hs = HTTP server.
 *
 *   http_server.c          servers, listeners, loops
 *   http_server_exchange.c calls of callees
 *   http_server_conn.c     a connection: input, time-outs, its end
 *   http_server_answer.c   an exchange's answer: checked, written, sent
 *   http_server_loop.c     what connections of a loop share: time-outs, the date, idle memory
 *   http_server_stream.c   connections on streams (kolk/listen.h); _options.c; _stats.c
 *   h1_request.c, h1_answer.c  HTTP/1.1; http_server_h2.h, http_server_h2*.c  HTTP/2
 *   http_marks.c           fields of a proxy
 *
 * A connection is fed bytes and gives bytes to a wire: a stream, or a test. It has memory for a
 * request (the exchange) only while it has one; between two requests it keeps struct hs_conn alone.
 * Handlers run inside hs_conn_run, never inside a call of the callee's.
 */
#ifndef KOLK_DRIVERS_HTTP_SERVER_H
#define KOLK_DRIVERS_HTTP_SERVER_H

#include <kolk/http_server.h>

#include "core/base/atomic.h"
#include "transport/drivers/blocks.h"
#include "transport/drivers/h1_request.h"
#include "transport/drivers/h2.h"
#include "transport/drivers/h2_memory.h"

enum {
	HS_OUT_BYTES = 16384, HS_WRITE_MAX = 32768, /* pulled at once; written at once */
	HS_IDLE_MAX = 128       /* exchanges without a connection that a loop keeps */
};

/* ---- what drives a connection */

struct hs_conn;

/* Where bytes go. hs_conn_sent reports the end of a send, hs_conn_end the end of the wire: after
 * close or reset too, and when no send is in flight. */
struct hs_wire {
	/* One at a time. KOLK_PENDING = hs_conn_sent will run; an error = it will not. */
	enum kolk_err (*send)(struct hs_conn *conn, const void *data, size_t size);
	void (*hurry)(struct hs_conn *conn); /* something waits for hs_conn_sent */
	void (*pause)(struct hs_conn *conn);
	void (*resume)(struct hs_conn *conn);
	void (*close)(struct hs_conn *conn); /* what is being sent first; no more bytes come */
	void (*reset)(struct hs_conn *conn);
};

struct hs_loop;

/* What a loop is driven by. */
struct hs_clock {
	uint64_t (*now)(struct hs_loop *loop);
	void (*arm)(struct hs_loop *loop, uint64_t due_ns); /* hs_loop_expire then */
	void (*post)(struct hs_loop *loop); /* hs_loop_run soon, from step */
};

/* ---- connections */

/* What a connection waits for. The time-out of each is one, so that a queue is in order. */
enum hs_wait { HS_WAIT_NOTHING, HS_WAIT_HEAD, HS_WAIT_BODY, HS_WAIT_IDLE, HS_WAITS };

struct hs_link {
	struct hs_link *next, *prev;
};

void hs_list_remove(struct hs_link *link); /* from its list, if it is in one */

struct hs_h2;
struct hs_h2_stream;

/* One client. What an idle one costs is this. */
struct hs_conn {
	struct hs_link all;      /* in loop->conns */
	struct hs_link waiting;  /* in loop->waiting[wait] */
	struct hs_link to_run;   /* in loop->to_run, while run_posted */
	struct hs_loop *loop;
	const struct hs_wire *wire;
	void *wire_user;         /* a stream */
	struct kolk_http_server_exchange *exchange; /* NULL = between two requests */
	struct hs_h2 *h2;        /* it speaks HTTP/2; NULL = HTTP/1 */
	uint64_t due_ns;         /* of wait */
	uint32_t requests;       /* so far */
	uint8_t wait;            /* enum hs_wait */
	bool tls;
	bool paused;             /* the wire is */
	bool peer_ended;         /* no more bytes will come */
	bool ending;             /* close or reset was called: only hs_conn_end follows */
	bool running;            /* in hs_conn_run */
	bool again;              /* something changed meanwhile */
	bool run_posted;
	bool blank;              /* an empty line came since the last request */
	enum kolk_err err;       /* why it is reset */
};

struct hs_buffer {
	char *data;
	size_t size, capacity;
};

/* What is left to be sent of an answer. */
enum hs_phase {
	HS_NO_ANSWER,
	HS_MEMORY,   /* the body, from the callee's memory */
	HS_PULL,
	HS_WRITTEN   /* all of it is in out, sending, or gone */
};

/* A request and its answer; and the connection's memory while it has one. */
struct kolk_http_server_exchange {
	struct kolk_http_server_exchange *next; /* in loop->idle */
	struct hs_conn *conn;
	void *user;
	struct h1_request_parser parser;
	struct kolk_http_answer answer; /* without its fields */
	uint64_t body_sent;
	uint64_t drained;        /* bytes that the callee left */
	struct hs_buffer out;    /* to be sent */
	struct hs_buffer sending;
	struct hs_buffer kept;   /* received and not read */
	const uint8_t *in;       /* to be read: in kept, or in what was just received */
	size_t in_size;
	struct kolk_io *io;      /* the wire's, of the send in flight; NULL = none is */
	enum hs_phase phase;
	enum kolk_err err;       /* of end, when the wire has ended; OK = that of the wire */
	bool running;            /* `request` was called, and end was not */
	bool body_done;          /* the request is whole, or no more of it is shown */
	bool paused;             /* by the callee */
	bool continue_due;       /* the client waits for 100 */
	bool pull_pending;
	bool in_flight;          /* a send is */
	bool keep;               /* the answer said so */
	bool chunked;            /* the answer is */
	bool tunnel;             /* the answer is 101 */
	bool refusing;           /* the library's own answer, and then the end */

	/* A stream of HTTP/2: http_server_h2.h. */
	struct hs_h2 *h2;        /* NULL = HTTP/1 */
	struct hs_h2_stream *stream; /* NULL = it never was one */
};

/* W: the loop's thread. R: any, relaxed: a sum that is read is of no instant. */
struct hs_counters {
	kolk__atomic_u64 connections, exchanges; /* now */
	kolk__atomic_u64 requests, requests_http2, answered, gone, timed_out, failed, refused;
	kolk__atomic_u64 status[6], received, sent;
};

/* What connections of one loop share. One thread. */
struct hs_loop {
	const struct kolk_loop *kolk; /* NULL in tests: it stays active */
	const struct kolk_http_server_options *options;
	const struct kolk_http_server_handler *handler;
	void *server_user;
	const struct hs_clock *clock;
	struct hs_link conns, to_run, waiting[HS_WAITS];
	struct kolk_http_server_exchange *idle;
	uint32_t idle_count;
	struct blocks blocks, ios; /* for what is pulled; for sends of HTTP/1 */
	uint32_t to_drain;         /* connections that do not know yet that the server ends */
	uint64_t now_ns, armed_ns; /* armed_ns: KOLK_FOREVER = not */
	uint64_t date_ns;          /* until then date is right */
	struct h2_memory h2_memory;
	struct hs_counters counters;
	bool draining;             /* the server is being closed */
	char date[H1_DATE_SIZE];
};

/* --- http_server_loop.c --- */

void hs_loop_init(struct hs_loop *loop);
/* Free what it keeps. No connection is left. */
void hs_loop_free(struct hs_loop *loop);
/* End what waited too long. */
void hs_loop_expire(struct hs_loop *loop);
/* Run connections that hs_conn_post has put off. */
void hs_loop_run(struct hs_loop *loop);
/* Close connections between two requests; others say "close" and end. */
void hs_loop_drain(struct hs_loop *loop);
bool hs_loop_parts(const struct hs_loop *loop); /* its connections are to go elsewhere */
const char *hs_loop_date(struct hs_loop *loop);
/* Wait for something from now on. */
void hs_conn_wait(struct hs_conn *conn, enum hs_wait wait);
/* Have hs_conn_run run, from step. */
void hs_conn_post(struct hs_conn *conn);
/* Make the memory of one request that of the next. */
void hs_exchange_renew(struct kolk_http_server_exchange *exchange);
/* Memory for a request; NULL = there is none. */
struct kolk_http_server_exchange *hs_exchange_get(struct hs_conn *conn);
void hs_exchange_put(struct hs_loop *loop, struct kolk_http_server_exchange *exchange);
bool hs_reserve(struct hs_buffer *buffer, size_t size);
/* Memory for what is pulled, if it has none; and back: all was sent, and there is no more yet. */
void hs_block_get(struct hs_loop *loop, struct hs_buffer *buffer);
void hs_exchange_silent(struct kolk_http_server_exchange *exchange);

/* --- http_server_conn.c --- */

/* conn's wire, wire_user, tls are set. */
void hs_conn_begin(struct hs_conn *conn, struct hs_loop *loop);
/* Bytes came; size 0 = no more will. */
void hs_conn_data(struct hs_conn *conn, const void *data, size_t size);
void hs_conn_sent(struct hs_conn *conn, enum kolk_err err);
/* The wire has ended. The connection is the caller's again. */
void hs_conn_end(struct hs_conn *conn, enum kolk_err err);
/* What it waited for did not come. */
void hs_conn_expire(struct hs_conn *conn);
/* Read, call handlers, write: what can be done now. */
void hs_conn_run(struct hs_conn *conn);
/* End the exchange with err, when the wire has ended, which is reset. */
void hs_conn_fail(struct hs_conn *conn, enum kolk_err err);
void hs_conn_close(struct hs_conn *conn);
/* Nothing is to be done when what is being sent has gone: the client speaks next. */
bool hs_conn_is_written(const struct hs_conn *conn);
/* Tell the callee. */
void hs_exchange_end(struct kolk_http_server_exchange *exchange, enum kolk_err err);
/* The answer was sent. */
void hs_conn_answered(struct hs_conn *conn);

/* --- http_server_answer.c --- */

enum kolk_err hs_answer(struct kolk_http_server_exchange *exchange,
			const struct kolk_http_answer *answer);
enum kolk_err hs_inform(struct kolk_http_server_exchange *exchange,
			const struct kolk_http_answer *answer);
/* Answer with status and a short text, then close. */
void hs_refuse(struct kolk_http_server_exchange *exchange, uint32_t status);
bool hs_write(struct kolk_http_server_exchange *exchange, const void *data, size_t size);
void hs_flush(struct kolk_http_server_exchange *exchange); /* send what there is */

/* --- http_server_stats.c --- */

/* A callee gets to know it; it learns of its end; the library refuses what is no exchange. */
void hs_count_request(struct kolk_http_server_exchange *exchange);
void hs_count_end(struct hs_loop *loop, enum kolk_err err);
void hs_count_refused(struct hs_conn *conn, uint32_t status);
void hs_count_answer(struct hs_loop *loop, uint32_t status);
void hs_stats_add(const struct hs_loop *loop, struct kolk_http_server_stats *stats);

/* --- http_server_stream.c, http_server.c, http_server_options.c --- */

extern const struct kolk_stream_handler hs_stream_handler;
struct hs_loop *hs_loop_of(struct kolk_http_server *server, struct kolk_loop *loop);
extern const struct kolk_option_table hs_option_table;

#endif
