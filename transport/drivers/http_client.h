/* SPDX-License-Identifier: Apache-2.0 */
/* http_client.h - a loop's client from the inside: http_client.c has the exchanges, http_site.c who
 * waits for which connection. All of it on the client's loop. */
#ifndef KOLK_DRIVERS_HTTP_CLIENT_H
#define KOLK_DRIVERS_HTTP_CLIENT_H

#include "transport/drivers/http.h"

/* How often an attempt that was none is made up for. */
enum { HTTP_AGAIN_MAX = 8 };

/* What a client knows of one key, while exchanges or connections of it are there. */
struct http_site {
	struct http_site *next;  /* in its bucket */
	struct kolk_http *http;
	struct kolk_key *key;    /* borrowed: whoever started an exchange holds it */
	enum http_protocol protocol; /* what its connections spoke last */
	uint32_t streams;        /* how many exchanges one of them takes; HTTP_2 */
	uint32_t requests;       /* how many in its life, as GOAWAY taught; 0 = not known. h2.c's */
	uint32_t calm;           /* how often the peer asked us to be calm; h2.c's */
	uint32_t exchanges;      /* in any state */
	uint32_t queued, acquiring_count;
	struct http_link queue;     /* exchanges, the oldest first */
	struct http_link acquiring; /* exchanges */
	struct http_link conns;     /* HTTP/2 */
};

struct kolk_http {
	struct kolk_loop *loop;
	struct kolk_http_options options; /* defaults filled in */
	uint32_t exchanges, sites;
	struct http_link all;    /* exchanges */
	struct http_link ending; /* exchanges: their end runs from step */
	struct kolk_call call;
	bool called;
	bool closing, closed;    /* closed: the call that frees it is under way */
	struct kolk_call close_call;
	kolk_http_closed_fn *close_fn;
	void *close_user;
	uint32_t bucket_count;   /* a power of two */
	struct http_site **buckets;
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

/* --- http_site.c --- */

/* Find or make; NULL = no memory. */
struct http_site *http_site_get(struct kolk_http *http, struct kolk_key *key);
/* Free it if nothing is there any more. */
void http_site_put(struct http_site *site);
/* An exchange wants a connection: last in the queue, or first. */
void http_site_add(struct http_site *site, struct kolk_http_exchange *exchange, bool first);
/* Take it out of the queue, or give its acquire up. False: it is in neither. */
bool http_site_remove(struct kolk_http_exchange *exchange);
/* Serve those who wait, as far as that is possible now. */
void http_site_push(struct http_site *site);
/* Connections that nobody uses go back as soon as they can. */
void http_site_quit(struct http_site *site);

/* --- http_client.c --- */

/* Its end runs from step, with this. */
void http_end_soon(struct kolk_http_exchange *exchange, enum kolk_err err);
/* Its end runs now. */
void http_end(struct kolk_http_exchange *exchange, enum kolk_err err,
	      const struct kolk_http_field *trailers, size_t trailer_count);
/* It could not be sent, or was and failed: true = it waits for another connection. */
bool http_again(struct kolk_http_exchange *exchange, enum kolk_err err, enum http_proof proof);
/* Free the client, if it is being closed and nothing is left. */
void http_close_check(struct kolk_http *http);

#endif
