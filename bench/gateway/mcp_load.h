/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_load.h - clients of an MCP server for bench/gateway/run --mcp, on one thread: wrk and h2load know
 * neither sessions nor streams of events.
 *
 *   mcp_load.c         arguments, the loop, the figures
 *   mcp_load_client.c  what a client does, in which order
 *   mcp_load_answer.c  where an answer ends
 *   mcp_load_stdio.c   one client of a child process
 */
#ifndef KOLK_BENCH_GATEWAY_MCP_LOAD_H
#define KOLK_BENCH_GATEWAY_MCP_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/kit/measure.h"

/* What a client repeats. */
enum load_kind {
	LOAD_LEGACY,  /* initialize once; then a call, again and again */
	LOAD_MODERN,  /* a stateless call (2026-07-28) */
	LOAD_SESSION, /* initialize, a call, the end of the session: together one call of the figures */
	LOAD_IDLE,    /* initialize, then a stream of events (GET) that stays */
	LOAD_LISTEN   /* such a stream, stateless (2026-07-28) */
};

enum load_step { LOAD_INITIALIZE, LOAD_INITIALIZED, LOAD_CALL, LOAD_DELETE, LOAD_GET, LOAD_STEPS };

enum { LOAD_TEXT = 1024, LOAD_ANSWER = 32768 };

struct load_text {
	size_t size;
	char bytes[LOAD_TEXT];
};

struct load_client {
	struct load *load;
	int fd;
	bool open;             /* a connection is there, or begins */
	bool busy, stays;      /* a step is under way; the stream of events is there */
	bool due;              /* paced: a call waits for the one before it */
	enum load_step step;
	uint64_t began_ns;     /* of the call of the figures: when it was due, if it is paced */
	uint64_t due_ns;       /* paced: of the next call */
	char session[256];
	size_t received;
	char answer[LOAD_ANSWER + 1];
};

struct load {
	enum load_kind kind;
	uint16_t port;
	const char *path;
	uint32_t count;        /* clients */
	double seconds, rate;  /* rate 0 = as fast as it goes; calls per second in sum */
	int epoll;
	struct load_client *clients;
	uint64_t calls, failed, streams, stream_bytes;
	bool over;             /* nothing new is begun */
	struct hist latency;   /* ns */
};

/* ---- mcp_load_client.c */

/* Connect, and take the first step. */
void load_client_begin(struct load_client *client);
/* There is something to read, or the connection has ended. */
void load_client_read(struct load_client *client);
/* Paced: it is time for the next call. */
void load_client_due(struct load_client *client);
/* End its session, unless it is still waiting for an answer. */
void load_client_end(struct load_client *client);
/* The text of a step, without what comes before the client's session. */
void load_body(enum load_kind kind, enum load_step step, struct load_text *text);

/* ---- mcp_load_answer.c */

struct load_answer {
	size_t size;           /* whole, with its head; 0 = more must come */
	int status;
	const char *body;
};

/* answer ends with a NUL. head_alone: a stream of events begins, which does not end. */
struct load_answer load_answer_read(const char *answer, size_t size, bool head_alone);
/* The value of a field of the head, into to; "" = there is none. */
void load_answer_field(const char *answer, const char *name, char *to, size_t capacity);

/* ---- mcp_load_stdio.c */

/* Calls of a child process, one after the other; prints the figures. The exit status. */
int load_stdio(double seconds, char **command);

_Noreturn void load_die(const char *what);
void load_print(const struct load *load, double seconds);

#endif
