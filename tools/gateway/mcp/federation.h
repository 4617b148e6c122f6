/* SPDX-License-Identifier: Apache-2.0 */
/*
 * federation.h - several MCP servers behind one route.
 *
 *   federation.c       the federations of a configuration, and how their servers are
 *   names.c            names that tell the server: PREFIX_NAME, PREFIX+URI
 *   federated.c        a client's session with several servers: one with each
 *   member.c           a request that is for one server, and what its client is told of it
 *   fanout.c           a request that becomes one to each server
 *   lists.c            lists: all pages of all servers
 *   merge.c            what servers say of themselves, as one
 *   streams.c          streams that listen
 *
 *   client                    gateway                        servers a, b
 *   tools/list ──────────────► tools/list ──────────────────► a, b
 *              ◄── a_x, b_x ◄── x, x ◄───────────────────────
 *   tools/call a_x ──────────► tools/call x ────────────────► a
 *
 * A request for one server becomes a call of that server's pool, with its message written anew, and
 * goes on as if it had come by a route to it: tokens, eras, questions, cancellation are as there. A
 * request for all becomes a fan-out: calls of its own, whose front is the home of the whole. Clients
 * with sessions have one with each server; these are made at initialize, and again when one is needed
 * that has ended.
 */
#ifndef KOLK_GATEWAY_MCP_FEDERATION_H
#define KOLK_GATEWAY_MCP_FEDERATION_H

#include "tools/gateway/mcp/mcp.h"

/* Of a list: pages of one server, bytes of all; a server with more is left out. */
enum { GW_MCP_PAGES_MAX = 100, GW_MCP_LIST_MAX = 16 << 20 };

/* A server of a federation. */
struct gw_mcp_member {
	struct gw_mcp_pool *pool;
	char prefix[GW_PREFIX_SIZE];
	uint64_t timeout_ns;
	/* Under the federation's lock: what was asked of it for all, and how that ended last. */
	uint64_t asked, failed;
	bool down;
	char error[96];
};

/* Kept until the program ends: sessions have it. */
struct gw_mcp_federation {
	struct gw_mcp_federation *next;
	struct gw_mcp_pool pool;     /* of calls and sessions before it is known which server's they are */
	char *route;                 /* path of the first route that had it */
	pthread_mutex_t lock;
	uint32_t count;
	struct gw_mcp_member members[];
};

/* ---- federation.c */

/* That of a route, found or made, as what its calls have for a pool. NULL = it has none. */
struct gw_mcp_pool *gw_mcp_federation_of(struct gateway *gateway, const struct gw_route *route);
void gw_mcp_federations_free(struct gw_mcp *mcp);
/* A member was asked: NULL = it answered; otherwise why not. down: whoever asks; said when that
 * changes. */
void gw_mcp_member_told(struct gw_mcp_federation *federation, uint32_t member, const char *error,
			bool down);
/* A request of a client. False: it is a call of a member's pool now, and goes on as such. */
bool gw_mcp_federation_begin(struct gw_mcp_call *call);

/* ---- names.c */

enum gw_mcp_names { GW_MCP_TOOL, GW_MCP_PROMPT, GW_MCP_URI };

/* Whose a name is, and what that server calls it: a string of JSON. */
struct gw_mcp_owner {
	uint32_t member;
	struct gw_pipe name;         /* the caller frees it, also if there is no owner */
};
/* Whose it is that clients call so, a string of JSON. Asked for each name that is listed, and before
 * each use of one: what is no name here is neither shown nor used. False: no server's. */
bool gw_mcp_name_find(const struct gw_mcp_call *call, enum gw_mcp_names kind,
		      struct kolk_mcp_part name, struct gw_mcp_owner *owner);
/* What clients call it, as JSON; name is the server's, a string of JSON. False = no memory. */
bool gw_mcp_name_put(struct gw_pipe *out, const struct gw_mcp_member *member,
		     enum gw_mcp_names kind, struct kolk_mcp_part name);
/* JSON with another text in the place of a part of it. */
bool gw_mcp_replace(struct gw_pipe *out, struct kolk_mcp_part json, struct kolk_mcp_part part,
		    struct kolk_mcp_part text);
static inline struct kolk_mcp_part gw_mcp_text(const struct gw_pipe *pipe)
{
	return (struct kolk_mcp_part){ pipe->size > 0 ? pipe->data + pipe->begin : NULL, pipe->size };
}
static inline bool gw_mcp_put(struct gw_pipe *out, struct kolk_mcp_part part)
{
	return part.size == 0 || gw_pipe_push(out, part.data, part.size);
}

/* ---- federated.c: on the home of the session */

/* What a session has with each server: where that one is. */
struct gw_mcp_federated {
	struct gw_pipe initialize;   /* as the client said it */
	bool closed;
	struct {
		uint32_t slot;
		uint64_t generation; /* 0 = there was none */
	} members[GW_FEDERATION_MAX];
};

struct gw_mcp_federated *gw_mcp_federated_make(const struct gw_mcp_call *call);
void gw_mcp_federated_free(struct gw_mcp_federated *federated);
/* It is being closed: so are its sessions. */
void gw_mcp_federated_close(struct gw_mcp_session *session);
bool gw_mcp_federated_is_busy(const struct gw_mcp_session *session);
/* Its session with a member; NULL = there is none now. */
struct gw_mcp_session *gw_mcp_federated_with(struct gw_mcp_session *session, uint32_t member);
/* Make the sessions that are missing: with one member, or with all (GW_FEDERATION_MAX); then go on. */
void gw_mcp_federated_reach(struct gw_mcp_call *call, uint32_t member,
			    void (*next)(struct gw_mcp_call *call));
/* initialize, and whatever else comes in a session. */
void gw_mcp_federated_initialize(struct gw_mcp_call *call);
void gw_mcp_federated_begin(struct gw_mcp_call *call);

/* ---- member.c */

/* A request that names what it is for. False: it is none of these. Otherwise it is the member's from
 * here on, or was refused: *refused. */
bool gw_mcp_member_route(struct gw_mcp_call *call, bool *refused);
/* The session with the server was lost before it saw the request: it is said again on a new one, once.
 * False: that cannot be. */
bool gw_mcp_member_repeats(struct gw_mcp_call *call, const struct kolk_mcp_result *result);
/* Its message is another one. False = no memory. */
bool gw_mcp_call_rewrite(struct gw_mcp_call *call, struct kolk_mcp_part params);
/* It is answered by the gateway: with a result; with an error of JSON-RPC. */
void gw_mcp_call_answer(struct gw_mcp_call *call, const char *result);
void gw_mcp_call_error(struct gw_mcp_call *call, int code, const char *text);

/* ---- fanout.c: on its home */

/* What is asked of a member. */
struct gw_mcp_share {
	struct gw_mcp_call *call;    /* the last one; NULL = none */
	struct gw_pipe got;          /* of it, so far */
	uint64_t until_ns;           /* its timeout is for all pages; 0 = nothing was asked yet */
	uint32_t pages;
	bool answered;
	bool acknowledged;           /* a subscription: it has begun */
};

struct gw_mcp_list;

struct gw_mcp_fanout {
	struct gw_mcp_call *whole;
	struct gw_mcp_federation *federation;
	/* A member's call has ended, and may be followed by another one; all have, and it is freed. */
	void (*ended)(struct gw_mcp_fanout *fanout, uint32_t member, struct gw_mcp_call *call);
	void (*done)(struct gw_mcp_fanout *fanout);
	void (*next)(struct gw_mcp_call *call); /* of gw_mcp_federated_reach */
	uint32_t left;               /* calls; and 1 until all have begun */
	bool single;                 /* one member alone is asked */
	bool cancelled;              /* by the client: that is how the whole ends */
	bool streams;                /* what members say is for the client */
	bool beginning, acknowledged; /* a subscription: some were not asked; the client was told */
	struct kolk_timer timer;     /* a subscription: a server that does not begin is left out */
	uint64_t ttl_ms;             /* of a list: the shortest */
	bool private;                /* not for others */
	const struct gw_mcp_list *list;     /* of a list: which one */
	struct gw_mcp_share shares[];
};

/* NULL = no memory: the whole was refused. */
struct gw_mcp_fanout *gw_mcp_fanout_open(struct gw_mcp_call *whole);
/* A message for a member, NULL = it listens; with its session, if the client has sessions. */
void gw_mcp_fanout_send(struct gw_mcp_fanout *fanout, uint32_t member, const struct gw_pipe *text);
/* All have begun. */
void gw_mcp_fanout_begun(struct gw_mcp_fanout *fanout);
/* What the call answered; its status is told. size 0: none, or an error. */
struct kolk_mcp_part gw_mcp_fanout_result(struct gw_mcp_fanout *fanout, uint32_t member,
					  struct gw_mcp_call *call);
/* No server answered: if one refused the client's own token, the client is refused, with what that
 * server asks for; true, and it has ended. Of `done`. */
bool gw_mcp_fanout_refuses(struct gw_mcp_fanout *fanout);
/* Something of a part: it has ended; it says something. The front of the whole has room, or is gone. */
void gw_mcp_fanout_turn(struct gw_mcp_call *part);
void gw_mcp_fanout_pass(struct gw_mcp_call *part, const struct kolk_mcp_message *message);
void gw_mcp_fanout_wake(struct gw_mcp_fanout *fanout, bool gone);
/* All that is under way is cancelled; the client cancels the whole. */
void gw_mcp_fanout_cancel(struct gw_mcp_fanout *fanout);
void gw_mcp_fanout_cancel_whole(struct gw_mcp_fanout *fanout);

/* Whether a call is a part of another one. */
static inline bool gw_mcp_fanout_has(const struct gw_mcp_call *call)
{
	return call->fanout != NULL && call->fanout->whole != call;
}

/* ---- lists.c, merge.c, streams.c */

/* A list of all members. False: the call is none. */
bool gw_mcp_list_begin(struct gw_mcp_call *call);
/* server/discover; the same of sessions that were made, into text. */
void gw_mcp_discover_all(struct gw_mcp_call *call);
bool gw_mcp_merge_initialize(const struct gw_mcp_fanout *fanout, struct gw_pipe *text);
/* To all sessions of a client: logging/setLevel, a notification. */
void gw_mcp_tell_all(struct gw_mcp_call *call);
/* GET; subscriptions/listen. */
void gw_mcp_listen_all(struct gw_mcp_call *call);
/* What a member's stream says, for the client. */
void gw_mcp_stream_pass(struct gw_mcp_fanout *fanout, uint32_t member,
			const struct kolk_mcp_message *message);

#endif
