/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdio.h - a client at standard input and output (kolk-gateway --stdio): a message of JSON-RPC
 * in each line, of versions with sessions and without, to the MCP server of one route.
 *
 *   lines.h              the lines
 *   stdio.c              a line becomes a call, what comes of it lines
 *   stdio_session.c      the client's session: made, made again when it was lost; its stream
 *
 * All of it is on one loop, which is front and home of these calls. What the client says while its
 * session is being made waits in the input.
 */
#ifndef KOLK_GATEWAY_MCP_STDIO_H
#define KOLK_GATEWAY_MCP_STDIO_H

#include <semaphore.h>

#include "tools/gateway/lines.h"
#include "tools/gateway/mcp/mcp.h"

/* Calls at a time; requests beyond are refused. A line, where the route has no limits.body. */
enum { GW_STDIO_CALLS_MAX = 256, GW_STDIO_LINE_MAX = 16 << 20 };
/* A stream that the server ended is asked for again. */
#define GW_STDIO_LISTEN_NS KOLK_S_NS

struct gw_stdio {
	struct gw_loop *loop;
	const struct gw_target *target;
	struct gw_lines *lines;
	struct gw_mcp_line *first;   /* in the order in which they came */
	uint32_t count;
	bool wants;                  /* it waits for a line */
	bool ending;                 /* no more lines are wanted */
	bool over;                   /* ending, and nothing is left: no more calls begin */
	sem_t is_over;
	struct kolk_call turn;
	bool posted;

	struct gw_pipe initialize;   /* as the client said it; empty = not */
	struct gw_mcp_call *making;  /* of the session; NULL = none is being made */
	struct gw_mcp_call *listening; /* its stream */
	uint32_t slot;               /* of the session */
	uint64_t generation;         /* 0 = there was none */
	bool initialized;            /* the client said so */
	struct kolk_timer relisten;
};

/* A call of this client. */
struct gw_mcp_line {
	struct gw_stdio *stdio;
	struct gw_mcp_line *next;
	struct gw_mcp_call *call;
	bool quiet;                  /* the client gets nothing of it */
	bool waits;                  /* for the session */
	bool lost;                   /* with its session; it is sent again in the next one */
	bool repeated;
};

/* ---- stdio.c */

/* Before there are other threads: standard input and output are taken, and are nothing to others. */
bool gw_stdio_take(int fds[2]);
/* Whether a configuration has a route of this path to an MCP server; says that it has none. */
bool gw_stdio_check(const struct gw_config *config, const char *path);
/* Serve fds, by the route of this path. At the end of the input the process gets SIGTERM. */
struct gw_stdio *gw_stdio_begin(struct gateway *gateway, const char *path, const int fds[2]);
/* Finish the calls, until the deadline. Not on a loop. */
void gw_stdio_end(struct gateway *gateway, struct gw_stdio *stdio, uint64_t deadline_ns);
/* A call has something to say. */
void gw_stdio_turn(struct gw_mcp_line *line);
/* True = the request was not processed because its session was lost, and is sent again. */
bool gw_stdio_repeats(const struct gw_mcp_call *call, const struct kolk_mcp_result *result);

/* A call without a message. NULL = no memory. */
struct gw_mcp_call *gw_stdio_open(struct gw_stdio *stdio);
/* End the call with an error of the gateway's own; text has no quotes. */
void gw_stdio_refuse(struct gw_mcp_call *call, int code, const char *text);
/* Free a call with which nothing is to be done. */
void gw_stdio_drop(struct gw_mcp_call *call);
/* Read the call's message. False = it was refused. */
bool gw_stdio_read(struct gw_mcp_call *call);

/* ---- stdio_session.c */

/* initialize; another message of a session. */
void gw_stdio_initialize(struct gw_mcp_call *call);
void gw_stdio_in_session(struct gw_mcp_call *call);
/* A call has ended: it may be the one that made the session, or its stream. */
void gw_stdio_ended(struct gw_stdio *stdio, struct gw_mcp_call *call);

/* ---- call.c, front.c: what this client has in common with those over HTTP */

/* A call of a route; speaks: it has a message. NULL = no memory. */
struct gw_mcp_call *gw_mcp_call_open(struct gw_loop *loop, const struct gw_target *target,
				     const char *tenant, bool speaks);
enum gw_mcp_kind gw_mcp_kind_of(const struct kolk_mcp_envelope *message);

#endif
