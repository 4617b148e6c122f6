/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dialog.h - stateless requests (2026-07-28) to a server with sessions that asks its client
 * something.
 *
 *   client                    gateway                        server
 *   tools/call ──────────────► the same, on a pooled session ►
 *              ◄── input_required, requestState ◄── elicitation/create
 *                              (the call is suspended)
 *   tools/call, inputResponses,
 *   requestState ────────────► the answer ──────────────────►
 *              ◄────────────── result ◄──────────────────────
 *
 * A dialog is the server's call, which goes on over several requests of the client. Between two of
 * them it is suspended, in a slot; requestState says which: sealed as ids of sessions
 * are, for tenant and route, good once, until mcp.suspend_timeout. All of it is its home's.
 */
#ifndef KOLK_GATEWAY_MCP_DIALOG_H
#define KOLK_GATEWAY_MCP_DIALOG_H

#include "tools/gateway/mcp/mcp.h"

/* Suspended calls of the program; more, or more of a tenant than its route says, end with 503. */
enum { GW_MCP_SUSPENDED_MAX = 4096 };
/* Requests of a server that a call holds; more are refused. */
enum { GW_MCP_ASKED_MAX = 64 };

/* How a requestState of the gateway's begins; an id follows (id.h). */
#define GW_MCP_STATE_PREFIX "kolk1."

/* A request of the server that is not answered. */
struct gw_mcp_asked {
	struct gw_mcp_asked *next;
	uint32_t key;                /* in inputRequests */
	struct gw_pipe id, method, params; /* of the server; params: JSON */
};

struct gw_mcp_dialog {
	struct gw_loop *loop;
	struct gw_mcp_call *call;    /* the client's request that waits; NULL = suspended */
	struct kolk_timer timer;     /* of the request, or of the suspension */
	struct kolk_timer soon;      /* what the server asks is told when all that came is read */
	struct gw_mcp_asked *asked;         /* the oldest first */
	uint32_t asked_count, next_key;
	bool elicits, samples, lists; /* what the client can do */
	bool timed_out;              /* the request: it is cancelled */
	bool crowded;                /* there are too many: likewise */
	bool cancelled;              /* for whatever reason: what its server asks is told no client */
	bool over;                   /* the suspension: likewise */

	/* While it is suspended. */
	struct kolk_mcp_client *own;
	struct kolk_mcp_call *back;  /* NULL = the server has ended it */
	uint32_t slot;
	uint64_t generation;
	struct gw_mcp_pool *pool;
	uint64_t route;
	char tenant[GW_TENANT_SIZE];
	uint8_t principal[32];
	char method[sizeof ((struct kolk_mcp_envelope *)0)->method];
	struct gw_pipe name;         /* params.name, or params.uri: JSON */
	/* How the server ended it. */
	struct kolk_mcp_result ended;
	struct gw_pipe ended_result, ended_error;
	char *challenge;             /* of ended; NULL = none */
};

/* ---- dialog.c */

/* Whether its server may ask its client. */
bool gw_mcp_dialog_wanted(const struct gw_mcp_call *call);
/* Whether its session is made with its client's capabilities: that of such a call, and that of a list,
 * which may hang on what the client of a later call can be asked. */
bool gw_mcp_dialog_told(const struct gw_mcp_call *call);
/* Before it is sent. False = no memory. */
bool gw_mcp_dialog_begin(struct gw_mcp_call *call);
/* It was refused. */
void gw_mcp_dialog_drop(struct gw_mcp_call *call);
void gw_mcp_dialog_free(struct gw_mcp_dialog *dialog);
/* The suspended one that a request names, or NULL. */
struct gw_mcp_dialog *gw_mcp_dialog_find(const struct gw_mcp_call *call);
/* It is suspended no more: it goes on for this request. */
void gw_mcp_dialog_attach(struct gw_mcp_dialog *dialog, struct gw_mcp_call *call);
/* What is asked is told to the client, when all that came is read. */
void gw_mcp_dialog_ask_soon(struct gw_mcp_dialog *dialog);
void gw_mcp_asked_free(struct gw_mcp_asked *asked);
/* A request of the server that no client is asked: it is told that there is no such method. */
void gw_mcp_ask_refuse(struct kolk_mcp_call *back, const struct kolk_mcp_message *message);
/* Those that are suspended on this loop are ended. */
void gw_mcp_dialogs_end(struct gw_loop *loop);
extern const struct kolk_mcp_handler gw_mcp_handler_dialog; /* user is the dialog */

/* ---- continue.c */

/* At front: whether it goes on with a suspended call, and where. */
void gw_mcp_dialog_route(struct gw_mcp_call *call);
/* Instead of the begin of a new one. */
void gw_mcp_dialog_continue(struct gw_mcp_call *call);

#endif
