/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp.h - what the files of the MCP client share.
 *
 *   options.c   every option, once; an upstream's own copy of them
 *   upstream.c  an upstream: opened, closed, counted; first_byte.c: how soon it answers
 *   identity.c  a key of the pool of sessions, and what its sessions are made with
 *   session.c   sessions as resources of a pool: made; end.c: ended
 *   group.c     which session a call gets: the leases of a client, or of several
 *   client.c    clients are opened and closed; due.c: when their calls are looked at
 *   call.c      it is sent, hears messages, ends; cancel.c: is cancelled; resume.c: goes on
 *   start.c     a call begins; wait.c: the blocking form; request.c: its request is composed
 *   era.c       whether a server has sessions, asked now and then; token.c: the tokens it is shown
 *   modern.c    messages of the era without sessions; legacy.c: of those with sessions
 *   post.c      one HTTP exchange that carries messages
 *   stdio.c     sessions of child processes are made; local.c: of a server in this process
 *   http_sse.c  sessions of HTTP+SSE are made, and ended; endpoint.c: where they are posted to
 *   stream.c    the stream of events of such a session
 *   ws.c        sessions of WebSockets are made, what is said on one; ws_frame.c: its frames
 *   pipe_session.c  what children, WebSockets and local.c have in common: made, pinged, ended
 *   pipe.c      messages over a wire; pipe_lines.c: that of a child; pipe_stream.c: over a stream
 *   pipe_calls.c  the calls on one: whose a message is; pipe_long.c: of one that is too long
 *   note.c      messages whose end no caller waits for; parts.c: the envelope of a whole message
 *   shared.h    texts that many sessions have in common; table.c: hash tables
 *
 * All but upstream.c and identity.c runs on one loop: that of the client, or that on which the pool
 * makes and ends a session. A session belongs to the holder of its lease.
 */
#ifndef KOLK_DRIVERS_MCP_H
#define KOLK_DRIVERS_MCP_H

#include <kolk/kolk.h>
#include <kolk/mcp.h>
#include <kolk/mcp_local.h>
#include <pthread.h>
#include <string.h>

#include "core/base/atomic.h"
#include "core/base/buckets.h"
#include "core/base/heap.h"
#include "core/base/sized.h"
#include "transport/drivers/blocks.h"
#include "transport/drivers/mcp/pipe.h"
#include "transport/drivers/mcp/post.h"
#include "transport/drivers/mcp/shared.h"
#include "transport/drivers/mcp/stream.h"

enum { MCP_FIELDS_MAX = 48,    /* of a caller */
       MCP_UNUSED_MAX = 256 }; /* identities without references */

/* The version without sessions that is spoken here. */
#define MCP_MODERN_VERSION "2026-07-28"
/* How long an era that was found by a probe is believed: a legacy server may become a modern one
 * without any sign. A modern one that becomes legacy refuses what is sent. */
#define MCP_ERA_NS (3600 * KOLK_S_NS)

/* How long the wire part of a call that has ended may go on; how long a request may be on its way
 * when its cancellation has arrived. */
#define MCP_FINISH_NS KOLK_S_NS
#define MCP_CANCEL_AGAIN_NS (50 * KOLK_MS_NS)
/* How long before its deadline the making of a session ends, at most. */
#define MCP_MARGIN_NS (250 * KOLK_MS_NS)
/* How often a stream is asked for again without a message from it; how long the server may put it
 * off; how many sessions that were used before may be lost to one call, until it gives up. */
enum { MCP_RESUMES_MAX = 5, MCP_RETRY_MAX_MS = 60000, MCP_LOST_MAX = 8 };

/* W: its loop. R: kolk_mcp_stats, kolk_mcp_first_bytes. */
struct mcp_counts {
	kolk__atomic_u64 calls, cancelled, lost, remade, close_failed, violations, virgin_hits;
	kolk__atomic_u64 first_bytes_ns, first_bytes[KOLK__BUCKETS];
};

/* What an upstream has on each loop. */
struct mcp_loop {
	struct kolk_mcp *mcp;
	struct kolk_loop *loop;
	struct kolk_http *http;
	struct blocks acquires, parsers, texts, calls; /* of groups, of posts; struct kolk_mcp_call */
	uint64_t next_id;        /* of requests: no two of an upstream are equal */
	struct kolk__hash_table groups; /* MULTIPLEXED: by identity, struct mcp_group.node */
	struct mcp_link probing; /* calls that wait for the era, struct kolk_mcp_call.link */
	bool wants_era, era_posted; /* under mcp.lock: era_call runs when the probe has ended */
	struct kolk_call era_call;
	struct mcp_link ending;  /* calls whose end runs from step, struct kolk_mcp_call.link */
	struct kolk_call call;
	bool called;
	uint32_t replies, ends;  /* over HTTP under way: answers to servers, ends of sessions */
	struct mcp_counts counts;
};

struct kolk_mcp {
	struct kolk_engine *engine;
	struct kolk_pool *connections, *sessions; /* connections: NULL = `server` */
	struct kolk_mcp_server server;   /* in this process; its message NULL = none */
	struct kolk_mcp_options options; /* complete; its texts are in `texts` */
	char *texts;
	char *client_info;               /* JSON, of the options */
	struct mcp_loop *loops;
	uint32_t loop_count;
	pthread_mutex_t lock;
	pthread_cond_t quiet;            /* clients became 0 */
	/* Under the lock: */
	struct kolk__hash_table identities; /* by key, struct mcp_identity.node */
	struct mcp_link unused;          /* identities without references, the oldest first */
	uint32_t unused_count;
	struct mcp_link shared;          /* struct mcp_shared */
	uint32_t open;                   /* clients that are not closed */
	uint32_t clients;                /* and those being closed, and sessions in no pool that end */
	uint64_t next_client;
	bool era_probing, closed;        /* a probe is under way; no call waits any more */
	enum kolk_err era_err;           /* of the last probe that found no era */
	uint32_t era_status;
	const struct mcp_identity *era_asker; /* whose token it showed; compared, not read */
	/* W: any loop. R: all. Means: enum kolk_mcp_era, AUTO = not known; above 2 bits, until when
	 * it is believed, ns. */
	kolk__atomic_u64 era_word;
	/* Until when new sessions are asked for by GET (HTTP_AUTO; W, R: any loop), and DELETE may wait
	 * (W: kolk_mcp_close. R: any loop, now and then). */
	kolk__atomic_u64 http_sse_until_ns, close_until_ns;
};

/* Children without sessions, each of which serves all clients of its identity. */
static inline bool mcp_shares_children(const struct kolk_mcp *mcp)
{
	return mcp->options.transport == KOLK_MCP_STDIO && mcp->options.era == KOLK_MCP_MODERN;
}

/* Exists while a client, a session or the making of one refers to it. */
struct mcp_identity {
	struct kolk__hash_node node;  /* in mcp.identities */
	struct mcp_link unused;       /* mcp.unused, while refs is 0 */
	struct kolk_mcp *mcp;
	struct kolk_key *key;         /* of the pool of sessions; open while clients is not 0 */
	uint32_t refs, clients;       /* under mcp.lock; refs: clients, too */
	/* gone: a session of it was ended: asked by a client that has it alone. */
	kolk__atomic_bool gone, has_token;
	uint32_t refused;             /* status of the last session that was; 0 = none was */
	char *challenge;              /* of it: WWW-Authenticate; both under mcp.lock */
	void *credentials_user;       /* constant */
	/* W: under mcp.lock. R: likewise, once has_token says so. */
	char *token;                  /* kolk_mcp_client_set_token; NULL = none */
	struct mcp_shared *params;    /* of initialize */
	const char *meta;             /* members of _meta in the modern era; NULL = LEGACY */
	char tenant[];                /* "" = none; then the text of meta */
};

/* The resource. Its fields but `lost`, `used` and `told` are constant once it is made. */
struct mcp_session {
	struct mcp_identity *identity;
	char *id;                     /* Mcp-Session-Id; NULL = the server gave none */
	char version[16];             /* negotiated */
	struct mcp_shared *initialize; /* its result, JSON */
	bool lost, used, told;        /* unknown to the server; leased before; a client sent on it */
	struct mcp_pipe *pipe;        /* of transports with pipes */
	char *endpoint;               /* HTTP+SSE: the target of POST */
	struct kolk_resource_op *ending; /* HTTP+SSE: its end */
};

/* A leased session, and the calls on it. */
struct mcp_hold {
	struct mcp_link link;         /* group.holds */
	struct mcp_group *group;
	struct kolk_lease lease;
	struct mcp_session *session;
	uint32_t calls;
	bool reused;                  /* the session had been used before this lease */
};

/* Calls that share sessions: those of one client (BOUND, VIRGIN), or of the clients of an identity
 * on a loop (MULTIPLEXED). Of EXCLUSIVE each call has one for itself. */
struct mcp_group {
	struct kolk__hash_node node;  /* MULTIPLEXED: in loop.groups */
	struct mcp_loop *loop;
	struct mcp_identity *identity;
	uint32_t clients;             /* MULTIPLEXED */
	uint32_t calls_max;           /* per hold */
	struct mcp_link holds;
	struct mcp_link waiting;      /* calls, the oldest first */
	bool single;                  /* one session, ever */
	bool had_one, lost;           /* single: there was one; and it is gone */
	bool closing, first_used;     /* its client is; `first` is */
	struct mcp_acquire *acquire;  /* a block; NULL = none is pending */
	struct mcp_hold first;        /* the memory of its first hold */
};

struct kolk_mcp_client {
	struct mcp_loop *loop;
	struct mcp_identity *identity;
	struct mcp_group *group;      /* its own, or the identity's; NULL = none yet; EXCLUSIVE */
	struct mcp_link calls;        /* struct kolk_mcp_call.all */
	struct mcp_client_scope *scoped; /* it is closed with a scope; NULL = it is not */
	bool closing, looking;        /* looking: due.c is, and it is not freed */
	struct kolk__heap due;        /* struct kolk_mcp_call.due */
	uint64_t timer_ns;            /* of the timer; KOLK_FOREVER = it does not run */
	struct kolk_timer timer;
};

enum mcp_call_state {
	MCP_PROBING, /* for the era, in loop.probing */
	MCP_WAITING, /* for a session */
	MCP_SENT,
	MCP_ENDING,  /* in loop.ending */
	MCP_ENDED    /* `end` has run; what is left of it on the wire ends soon */
};

/* What `end` will be told. */
struct mcp_outcome {
	struct mcp_text answer;       /* a result, or an error of the server */
	bool is_error, lost;
	enum kolk_err err;            /* ENDING */
	int32_t error_code;
};

struct kolk_mcp_call {
	struct mcp_link link, all;    /* group.waiting, pipe.calls, loop.ending; client.calls */
	struct kolk_scope_item *scoped; /* it is cancelled with a scope; NULL = with none */
	struct kolk_mcp_client *client;
	struct kolk_mcp_handler handler;
	void *user;
	enum mcp_call_state state;
	uint32_t field_count;
	struct mcp_group *own, *group; /* own: EXCLUSIVE, in `memory` */
	struct mcp_hold *hold;        /* the session that it is on */
	struct mcp_post post;
	bool on_wire, piped, counted; /* post's end will run (STDIO: as piped); in pipe.calls; a waiter */
	uint8_t losses, resumes;      /* resumes: without a message since */
	enum kolk_err broken;         /* HTTP+SSE: the stream ended before its post */
	bool listen, notification, initialize, replayable, modern;
	bool remade, reused, paused, answered; /* answered: by local.c's server */
	bool says_modern, head_told;  /* in _meta: what only the modern era has; a listener's, by SSE */
	bool heard, renewed, resuming; /* a message came; another token was sent; resume_timer runs */
	bool cancel_early, cancel_again; /* it may be read before the request; so it is sent again */
	struct mcp_note *note;        /* the cancelling one, under way */
	struct kolk_timer *resume_timer; /* resume.c; NULL = its stream never broke off */
	char *last_event_id;          /* likewise: what follows it is asked for */
	struct kolk__timer due;       /* in client.due, unless it is never due */
	struct kolk__hash_node by_id; /* in pipe.by_id */
	uint64_t id, deadline_ns, wait_until_ns; /* wait: for a session */
	uint64_t sent_ns;             /* 0 = not, or its answer has begun */
	struct mcp_outcome outcome;
	char *challenge;              /* what `end` will be told, too */
	struct mcp_text token;        /* the caller's progress token; size 0 = none */
	const struct kolk_http_field *fields;
	const char *body;             /* the message */
	size_t body_size;
	void *memory;                 /* of what the last four, and `own`, point to; NULL = freed */
	struct mcp_modern *as_modern; /* the message as it is sent in the modern era */
};

#endif
