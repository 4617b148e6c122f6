/* SPDX-License-Identifier: Apache-2.0 */
/* post.h - one HTTP exchange that carries messages: what is sent, and the messages of its answer,
 * be it one JSON text or a stream of events. */
#ifndef KOLK_DRIVERS_MCP_POST_H
#define KOLK_DRIVERS_MCP_POST_H

#include <kolk/http.h>

#include "transport/drivers/mcp/parts.h"
#include "transport/drivers/mcp/sse.h"

struct mcp_loop;
struct mcp_session;
struct mcp_identity;

/* From a member to the struct that it is in. */
#define mcp_container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

struct mcp_link {
	struct mcp_link *next, *prev;
};

static inline void mcp_list_init(struct mcp_link *list)
{
	list->next = list->prev = list;
}

static inline bool mcp_list_empty(const struct mcp_link *list)
{
	return list->next == list;
}

static inline void mcp_list_add(struct mcp_link *before, struct mcp_link *link)
{
	link->next = before;
	link->prev = before->prev;
	before->prev->next = link;
	before->prev = link;
}

static inline void mcp_list_del(struct mcp_link *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link->next = link->prev = link;
}

/* All of one list to another, which has nothing yet. */
static inline void mcp_list_take(struct mcp_link *to, struct mcp_link *from)
{
	mcp_list_add(from, to);
	mcp_list_del(from);
}

struct mcp_post;

/* What a post reports, on its loop; all but `end` may be NULL. */
struct mcp_post_handler {
	void (*head)(struct mcp_post *post, const struct kolk_http_head *head);
	/* A message, as it came; of an answer with a status of 400 or more it lives until `end` has
	 * returned. The post may be cancelled in it. */
	void (*message)(struct mcp_post *post, const struct mcp_message *message);
	/* An event (sse) without a message, that has an id or says how long to wait. */
	void (*mark)(struct mcp_post *post);
	/* Instead of `message`, if it is set: an event of any type (sse, text, size). An error ends
	 * the post. */
	enum kolk_err (*event)(struct mcp_post *post);
	/* 101 to a post with upgrade: the lease is the callee's (kolk/http.h). */
	void (*upgraded)(struct mcp_post *post, const struct kolk_lease *lease, const void *data,
			 size_t size);
	/* The end, once; the post may be freed or started again in it. E_PROTOCOL: what came is no
	 * MCP; E_LIMIT: a message is too long. */
	void (*end)(struct mcp_post *post, enum kolk_err err);
};

enum mcp_body {
	MCP_BODY_DROPPED, /* none is expected */
	MCP_BODY_JSON,
	MCP_BODY_EVENTS
};

struct mcp_post {
	struct mcp_loop *loop;
	const struct mcp_post_handler *handler;
	struct kolk_http_exchange *exchange;
	uint32_t status;      /* 0 = no answer */
	bool sessions_error;  /* the text of an error speaks of a session */
	bool carried;         /* at its end: a connection had it */
	bool named;           /* a session was named in the request, or in its endpoint */
	bool batches;         /* the answer may have arrays */
	bool events_begun;    /* there was a parser */
	bool lasts;           /* as it was asked */
	uint8_t body;         /* enum mcp_body */
	enum kolk_err failed; /* why it was cancelled from within */
	uint64_t token_hash;  /* of the field that was sent; 0 = none */
	char *challenge;      /* WWW-Authenticate of 401 or 403, until `end` returns; NULL = none */
	char *text;           /* a message that is being received */
	size_t size, capacity;
	struct kolk__sse_parser *sse; /* a block of the loop; NULL = no event has begun */
	char *last_id;        /* without sse: of the last event that had one; NULL = none had */
	uint64_t retry_ms;    /* how long the server wants a reader of events to wait */
};

/* What is sent; borrowed until the end, but session and fields for the call. */
struct mcp_post_options {
	const char *method;                /* "POST", "GET", "DELETE" */
	struct mcp_identity *identity;
	const struct mcp_session *session; /* NULL = none yet */
	const char *body;
	size_t body_size;
	const struct kolk_http_field *fields;
	uint32_t field_count;
	const char *last_event_id;         /* NULL = none */
	const char *version;               /* MCP-Protocol-Version; NULL = the session's */
	const char *rpc_method, *rpc_name; /* Mcp-Method, Mcp-Name; NULL = none */
	const char *upgrade;               /* another protocol is asked for; NULL = none */
	bool replayable;
	bool cancel_closes;                /* the end of its stream is what tells the server */
	bool lasts;                        /* its stream may be silent for hours */
	uint64_t deadline_ns;
};

/* KOLK_PENDING: end will run, from step. Anything else: refused. */
enum kolk_err kolk__mcp_post_start(struct mcp_post *post, struct mcp_loop *loop,
				   const struct mcp_post_handler *handler,
				   const struct mcp_post_options *options);
/* End it: end runs from step, with err; no message any more. */
void kolk__mcp_post_cancel(struct mcp_post *post, enum kolk_err err);
/* No connection has had it: it waits for one. */
bool kolk__mcp_post_unsent(const struct mcp_post *post);
/* What came says that the server does not know the session that was named. */
bool kolk__mcp_post_lost(const struct mcp_post *post);

#endif
