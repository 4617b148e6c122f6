/* SPDX-License-Identifier: Apache-2.0 */
/* http_client.h - a loop's client: http_client.c has the exchanges, http_dispatcher.c decides which
 * exchange gets which connection. All of it on the client's loop. */
#ifndef KOLK_DRIVERS_HTTP_CLIENT_H
#define KOLK_DRIVERS_HTTP_CLIENT_H

#include "transport/drivers/blocks.h"
#include "transport/drivers/http.h"
#include "transport/drivers/table.h"

/* How often an attempt that reached no server is repeated. */
enum { HTTP_RETRIES_MAX = 8 };

/* How many keys a client finds by identity without a lock; a power of two. */
enum { HTTP_RECENT_MAX = 256 };

/* How many blocks of each kind a client keeps for its next exchanges. */
enum { HTTP_BLOCKS_KEPT = 64 };

/* Gives the connections of one key to its exchanges; exists while there are any of either. */
struct http_dispatcher {
	struct kolk__hash_node node;  /* in kolk_http.dispatchers; the first */
	struct kolk_http *http;
	struct kolk_key *key;         /* held, or borrowed: then callers keep it open while their
	                               * exchanges last */
	bool held;
	bool unused;                  /* in `recent`: since the last look */
	uint32_t recent;              /* its place there + 1; 0 = it is not there */
	enum http_protocol protocol;  /* what its connections spoke last */
	uint32_t streams;             /* how many exchanges a connection accepts; HTTP_2 */
	uint32_t requests;            /* how many in its life, learned from GOAWAY; 0 = unknown.
	                               * h2.c's */
	uint32_t calm_requests;       /* ENHANCE_YOUR_CALM received; h2.c's */
	uint32_t exchanges;           /* in any state */
	uint32_t queued, acquiring_count;
	struct http_link queue;     /* exchanges, the oldest first */
	struct http_link acquiring; /* exchanges */
	struct http_link conns;     /* HTTP/2 */
};

struct kolk_http {
	struct kolk_loop *loop;
	struct kolk_http_options options; /* defaults filled in */
	uint32_t exchanges;
	struct kolk__hash_table dispatchers; /* by key */
	struct http_link all;    /* exchanges */
	struct http_link ending; /* exchanges: their end runs from step */
	struct kolk_call call;
	bool called;
	bool closing, closed;    /* closed: the call that frees it is under way */
	struct kolk_call close_call;
	kolk_http_closed_fn *close_fn;
	void *close_user;
	/* Of keys that are held, the last one of each hash: those stay a moment without exchanges.
	 * Looked through by the timer while any is there. */
	struct http_dispatcher *recent[HTTP_RECENT_MAX];
	struct kolk_timer recent_timer;
	bool recent_timed;
	struct http_blocks blocks;
	struct h1_blocks h1_blocks;
};

static inline void http_list_init(struct http_link *list)
{
	list->next = list->prev = list;
}

static inline bool http_list_empty(const struct http_link *list)
{
	return list->next == list;
}

static inline void http_list_add(struct http_link *before, struct http_link *link)
{
	link->next = before;
	link->prev = before->prev;
	before->prev->next = link;
	before->prev = link;
}

static inline void http_list_del(struct http_link *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link->next = link->prev = link;
}

static inline struct kolk_http_exchange *http_exchange_of(struct http_link *link)
{
	return (struct kolk_http_exchange *)(void *)link;
}

static inline bool http_dispatcher_idle(const struct http_dispatcher *dispatcher)
{
	return dispatcher->exchanges == 0 && http_list_empty(&dispatcher->conns);
}

/* --- http_dispatchers.c --- */

/* Find or make; NULL = no memory. */
struct http_dispatcher *http_dispatcher_get(struct kolk_http *http, struct kolk_key *key);
/* Free it if it has neither exchanges nor connections, and is not a recent one. */
void http_dispatcher_put(struct http_dispatcher *dispatcher);
/* http_dispatcher_drain of all. */
void http_dispatchers_drain(struct kolk_http *http);

/* --- http_dispatcher.c --- */

/* An exchange wants a connection: last in the queue, or first. */
void http_dispatcher_enqueue(struct http_dispatcher *dispatcher,
			     struct kolk_http_exchange *exchange, bool first);
/* Take it out of the queue, or cancel its acquire. False: it has neither. */
bool http_dispatcher_remove(struct kolk_http_exchange *exchange);
/* Dispatch waiting exchanges, as far as possible now. */
void http_dispatcher_run(struct http_dispatcher *dispatcher);
/* Return connections as soon as they are idle. */
void http_dispatcher_drain(struct http_dispatcher *dispatcher);

/* --- http_recent.c --- */

/* Find or make the one of the key of this identity, which is held. Errors: as kolk_key_hold. */
enum kolk_err http_recent_get(struct kolk_http *http, struct kolk_pool *pool,
			      const struct kolk_key_options *who,
			      struct http_dispatcher **dispatcher);
/* Whether it stays although it is idle: look again soon. */
bool http_recent_keep(struct http_dispatcher *dispatcher);
/* The client is being closed: nothing is kept. */
void http_recent_close(struct kolk_http *http);

/* --- http_client.c --- */

/* Its end runs from step, with this. */
void http_end_soon(struct kolk_http_exchange *exchange, enum kolk_err err);
/* Its end runs now. */
void http_end(struct kolk_http_exchange *exchange, enum kolk_err err,
	      const struct kolk_http_field *trailers, size_t trailer_count);
/* It could not be sent, or failed: true = it waits for another connection. */
bool http_retry(struct kolk_http_exchange *exchange, enum kolk_err err,
		enum http_processed processed);
/* Free the client, if it is being closed and nothing is left. */
void http_close_check(struct kolk_http *http);

#endif
