/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp.h - routes to MCP servers: pools of `protocol: mcp`.
 *
 *   mcp.c          the upstreams of the configuration: opened, closed
 *   front.c        a client's HTTP request: checked (origin.h), read, answered
 *   client.h       clients of kolk/mcp.h, and whose token their server is shown
 *   call.c         between the two loops of a call
 *   begin.c        what it asks of the server; answer.c: what comes back; challenge.h: with a 401
 *   session.h      sessions of clients; id.h: their ids; token.h: the tokens that servers are shown
 *   stdio.h        a client at standard input and output
 *   modern.h       stateless requests (2026-07-28); legacy.h: those that listen
 *   write.h        messages as events, and as JSON; batch.h: arrays of messages
 *   child.h        whether a child process has sessions; tool/server.h: servers of the gateway's own
 *   adapt.h        clients with sessions of a server that has none (2026-07-28); dialog.h: stateless
 *                  requests whose server has sessions and asks
 *   tools.h        tools that a client may not have; federation.h: several servers behind one route
 *   cached.h       answers that are kept; cache.h: where. age.h, silence.h: streams
 *
 *   front ── to_home ──► home ──► kolk/mcp.h ──► server
 *         ◄── to_front ──      ◄──
 *
 * A session lives on one loop, its home: that of the request that made it. A request may come on
 * another loop, its front. A call is one request of a client, and has a half on each; what both use
 * is under its lock. Where front and home are one loop nothing is posted on the way back.
 */
#ifndef KOLK_GATEWAY_MCP_H
#define KOLK_GATEWAY_MCP_H

#include <kolk/mcp.h>
#include <pthread.h>

#include "tools/gateway/mcp/cache.h"
#include "tools/gateway/mcp/id.h"
#include "tools/gateway/mcp/token.h"
#include "tools/gateway/mcp/write.h"
#include "tools/gateway/proxy.h"

/* The version without sessions. */
#define GW_MCP_MODERN "2026-07-28"
/* A comment on streams that are silent for so long: proxies on the way end them otherwise. */
#define GW_MCP_COMMENT_NS (25 * KOLK_S_NS)
/* Sessions of clients on a loop, more are 503; with servers, of all pools (the engine's resources). */
enum { GW_MCP_SESSIONS_MAX = 65536, GW_MCP_RESOURCES_MAX = 16384 };

/* An upstream. Constant while the program runs. */
struct gw_mcp_pool {
	char name[64];
	struct kolk_mcp *sessions;   /* for clients with sessions; NULL = `era: modern` */
	struct kolk_mcp *calls;      /* for stateless requests */
	struct kolk_mcp *modern;     /* instead, if a child with `era: auto` has no sessions */
	struct kolk_mcp_options options;
	struct gw_mcp_tokens *tokens; /* token.h; NULL = none is sent */
	uint64_t idle_timeout_ns;    /* of sessions of clients */
	uint64_t request_timeout_ns; /* of a call without a deadline */
	/* Not constant: until when it is believed to have no sessions; calls that wait for clients. */
	kolk__atomic_u64 stateless_until_ns, suspended, child_era;
	kolk__atomic_u64 rotated;    /* changes of the token's holder that its sessions know of */
	kolk__atomic_u64 tools_denied; /* requests for tools */
	kolk__atomic_u64 changed[GW_MCP_PARTS_OF_SERVER]; /* how often it said so */
	struct gw_mcp_cache_numbers cached; /* of the caches of its routes */
	uint32_t suspended_max;      /* calls of a tenant that wait for clients; unless the route says */
	bool may_be_stateless, calls_alone; /* `era: auto`; each of calls has a session of its own */
	bool local;                  /* the gateway's own: tool/server.h */
	struct gw_mcp_federation *federation; /* its servers are others; NULL = it is an upstream */
};

struct gw_mcp {
	struct gw_mcp_pool *pools;   /* those of `pools`, then those of routes with tools: from tools_at */
	uint32_t count, tools_at;
	struct gw_tools *tools;      /* tool/server.h; NULL = no route has any */
	KOLK__ATOMIC(struct gw_mcp_federation *) federations; /* W: bind, under reload_lock */
};

struct gw_mcp_call;
struct gw_mcp_session;

/* What a loop has. */
struct gw_mcp_loop {
	struct gw_mcp_session *all;
	struct gw_mcp_session **slots;
	uint32_t *free_slots, capacity, count, unused_count; /* of slots capacity - count are free */
	uint64_t generation;         /* the last one */
	struct gw_mcp_call *alone;   /* calls without a session */
	struct gw_mcp_call *unused;  /* that have ended, for the next ones of this front */
	bool draining, closing;      /* streams that only listen end; all sessions are being closed */
	uint64_t asked;              /* the last id of a request to a client */
	struct gw_mcp_ids ids;       /* with the same random key on each loop */
	uint64_t random;             /* of ages: age.h */
	struct gw_mcp_call *silent, **silent_end; /* by comment_ns: silence.h */
	struct kolk_timer comment;   /* of the first one */
};

enum gw_mcp_kind {
	GW_MCP_INITIALIZE, GW_MCP_REQUEST, GW_MCP_NOTIFICATION, GW_MCP_REPLY, GW_MCP_LISTEN,
	GW_MCP_DELETE, GW_MCP_BATCH
};

/* A request of the server to the client that was not answered yet. */
struct gw_mcp_ask {
	struct gw_mcp_ask *next;
	uint64_t shown;              /* its id for the client; 0 = the server's */
	size_t size;
	char id[];                   /* JSON */
};

struct gw_mcp_call {
	/* Written by front before home sees it. */
	enum gw_mcp_kind kind;
	bool modern;                 /* it is stateless; home is front, unless: */
	bool continues;              /* it goes on with a suspended one, in `slot` of its home */
	bool passes;                 /* mcp.client_token: the server is shown `token` */
	struct gw_mcp_pool *pool;
	struct gw_loop *front, *home;
	uint32_t slot, field_count;  /* fields in field_text */
	uint64_t generation;         /* of the session that it names */
	uint64_t route;              /* identity of its route */
	uint64_t deadline_ns;        /* 0 = the pool's */
	struct gw_pipe body;
	struct kolk_mcp_envelope *message; /* of body; one that has none says nothing */
	uint8_t principal[32];       /* of its token: principal.h; zeros = none is looked at */
	char *token;                 /* NULL = none; of passes */
	char *last_event_id;         /* of GET; NULL = none */
	struct gw_pipe field_text;   /* NAME NUL VALUE NUL ... */
	struct gw_tool_rules *tools; /* it holds them; NULL = its client may have all */

	/* Front's. */
	struct gw_exchange *x;       /* NULL = it has ended */
	struct gw_mcp_line *line;    /* instead of x: stdio.h */
	bool given, answered, kept;  /* to home; over HTTP; kept: it goes to the loop's `unused` */
	char *told;                  /* challenge.h: what was made for its client; NULL = nothing */
	struct gw_mcp_call *silent_next, **silent_at; /* in the loop's `silent`; NULL = it is not */
	uint64_t comment_ns;

	/* Home's. */
	bool begun, reopened, repeated; /* reopened: begun once more; repeated: of_generation */
	bool discovers;              /* server/discover of a server with sessions: it asks initialize */
	bool adapts;                 /* initialize of a server without sessions: it asks discover */
	bool relistens;              /* its stream is asked for again, with other resources */
	bool suspends, logs;         /* its answer is what the server asks; log messages are passed */
	const struct gw_mcp_holder *holder; /* of own: as of a session */
	struct gw_mcp_session *session;
	struct kolk_mcp_client *own; /* of a call without a session */
	struct gw_mcp_call *next, **at; /* in session->calls, or in the loop's `alone` */
	struct kolk_mcp_call *back;  /* NULL = not begun, or ended */
	struct gw_mcp_ask *asks;
	struct gw_mcp_asking *asking; /* a server without sessions needs something of the client */
	struct gw_pipe params;       /* instead of the client's; empty = the client's */
	uint64_t suspend_ns;         /* the longest wait for the client's answers */
	uint32_t suspended_max;      /* calls of its tenant that may */
	enum kolk_err ended;         /* how it ended at the server */
	uint64_t age_max_ns;         /* of a stream that only listens; 0 = GW_MCP_STREAM_AGE_NS */
	struct kolk_timer age;
	struct gw_mcp_dialog *dialog; /* its server may ask its client; NULL = not */
	struct gw_mcp_subscription *subscription; /* of a server with sessions; NULL = it is none */
	struct gw_mcp_cache *cache;  /* of its route; NULL = none */
	struct gw_mcp_cache_key *cached; /* its answer may be kept; NULL = not */
	struct gw_mcp_batch *batch;  /* the array that it is, or is a message of; NULL = none */
	struct gw_mcp_fanout *fanout; /* of a federation: that it became, or is a part of; NULL = none */
	struct gw_pipe rewritten;    /* its message as a server of a federation gets it; empty = body's */
	uint32_t member;             /* which server of its federation it is for */
	uint32_t of_slot;            /* its client's session, of which it went to that with the server */
	uint64_t of_generation;      /* 0 = it did not, or a second time: repeated */

	kolk__atomic_u32 refs;       /* W, R: any. Means: front, home, and each that is posted */
	pthread_mutex_t lock;
	/* Under it. */
	struct gw_pipe out;          /* the answer's body */
	uint32_t status, tools_denied; /* of the answer; how many tools were */
	char *challenge;             /* of the server, with 401 or 403; NULL = none */
	char *tool_denied;           /* the first one; NULL = none */
	bool stream;                 /* it is one of events */
	bool done;                   /* nothing more comes */
	bool gone;                   /* front has ended */
	bool paused;                 /* the server is slowed down */
	bool front_posted, home_posted;
	char *session_id;            /* to be said; NULL = none */
	struct kolk_call to_front, to_home;

	char *tenant;                /* as before home sees it; behind it, as message */
};

/* ---- mcp.c */

/* Engine options that the pools of the configuration need. */
void gw_mcp_engine_options(const struct gw_config *config, struct kolk_engine_options *options);
/* Open what the configuration has; the engine and the loops are there. Says what is wrong. */
bool gw_mcp_open(struct gateway *gateway);
/* Whether both have the same pools of this protocol, with the same options. */
bool gw_mcp_same(const struct gw_config *before, const struct gw_config *after);
/* The upstreams of a view's routes; as gw_view_bind. before: another view of its configuration, whose
 * caches it has, too; NULL = none. */
void gw_mcp_bind(struct gateway *gateway, struct gw_view *view, const struct gw_view *before);
/* Another configuration than this view's is in force, or none: its caches are closed. Any thread. */
void gw_mcp_unbind(const struct gw_view *view);
/* Streams that only listen end; not on a loop. */
void gw_mcp_drain(struct gateway *gateway);
/* Sessions are ended, then all is freed; exchanges have ended. Not on a loop. False = not by then. */
bool gw_mcp_close(struct gateway *gateway, uint64_t deadline_ns);

/* ---- front.c: an exchange that goes to an MCP server; as in proxy.c */

void gw_mcp_request(struct gw_exchange *x);
void gw_mcp_body(struct gw_exchange *x, const void *data, size_t size);
void gw_mcp_body_end(struct gw_exchange *x);
void gw_mcp_front_end(struct gw_exchange *x);
/* Home has something for front. */
void gw_mcp_front_turn(struct gw_mcp_call *call);

/* ---- call.c */

/* Front is done with it: home's turn. */
void gw_mcp_call_give(struct gw_mcp_call *call);
/* Front has room again, or is gone. */
void gw_mcp_call_wake(struct gw_mcp_call *call);
void gw_mcp_call_unref(struct gw_mcp_call *call);
void gw_mcp_calls_free(struct gw_mcp_loop *mcp); /* what is kept for calls; none is left */
/* Another call of the same client, in the same session, of whose home its front is: without a message.
 * NULL = no memory. */
struct gw_mcp_call *gw_mcp_call_split(const struct gw_mcp_call *whole);
/* The rest is home's. Front is told that there is something in `out`. */
void gw_mcp_call_tell(struct gw_mcp_call *call);
bool gw_mcp_call_is_gone(struct gw_mcp_call *call);
void gw_mcp_call_close_own(struct gw_mcp_call *call);
/* The server is told, if its call has not ended; dialog.c: also that it is suspended no more. Of a
 * request to all servers of a federation each is. */
void gw_mcp_call_cancel(struct gw_mcp_call *call);
/* The end: with this status, if its answer has not begun; "refuse" with an error of the gateway's own,
 * whose text has no quotes. Nothing is done with it any more. */
void gw_mcp_call_finish(struct gw_mcp_call *call, uint32_t status);
void gw_mcp_call_refuse(struct gw_mcp_call *call, uint32_t status, const char *text);

/* ---- begin.c, answer.c: on its home */

void gw_mcp_call_begin(struct gw_mcp_call *call);
/* The token of a holder before was refused: begin again, once, or the session is gone. Else false. */
bool gw_mcp_call_reopen(struct gw_mcp_call *call);
/* Send it, or once more; what the client is told, before the end and then. */
void gw_mcp_call_start(struct gw_mcp_call *call);
void gw_mcp_call_pass(struct gw_mcp_call *call, const struct kolk_mcp_message *message);
void gw_mcp_call_end(struct gw_mcp_call *call, const struct kolk_mcp_result *result);
void gw_mcp_call_list(struct gw_mcp_call *call); /* it has no session: to the loop's `alone` */
/* The server has sessions: what it says at their beginning tells what it is. */
void gw_mcp_call_discover(struct gw_mcp_call *call);
extern const struct kolk_mcp_handler gw_mcp_handler; /* user is the call */
extern const struct kolk_mcp_handler gw_mcp_handler_alone; /* of a call without a session */

#include "tools/gateway/mcp/session.h"

#endif
