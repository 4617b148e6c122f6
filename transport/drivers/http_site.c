/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_site.c - who waits for which connection of a key.
 *
 * Over HTTP/1.1 each exchange acquires for itself, and the pool's queue is the queue. Over HTTP/2 a
 * connection serves many: no more acquires are under way than there are connections needed for
 * those who wait. While it is not known which it will be, one acquire finds out.
 */
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/http_client.h"

enum { BUCKETS_MIN = 16 };

/* ---- the table */

static struct http_site **bucket(struct kolk_http *http, const struct kolk_key *key)
{
	uint64_t mixed = (uint64_t)(uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15);

	return &http->buckets[(mixed >> 32) & (http->bucket_count - 1)];
}

/* No memory for a larger one: longer chains. */
static void grow(struct kolk_http *http)
{
	uint32_t count = http->bucket_count == 0 ? BUCKETS_MIN : http->bucket_count * 2;
	uint32_t old_count = http->bucket_count;
	struct http_site **old = http->buckets, **buckets;

	if (http->sites < http->bucket_count || count == 0)
		return;
	buckets = calloc(count, sizeof *buckets);
	if (buckets == NULL)
		return;
	http->buckets = buckets;
	http->bucket_count = count;
	for (uint32_t i = 0; i < old_count; i++) {
		while (old[i] != NULL) {
			struct http_site *site = old[i], **at = bucket(http, site->key);

			old[i] = site->next;
			site->next = *at;
			*at = site;
		}
	}
	free(old);
}

struct http_site *http_site_get(struct kolk_http *http, struct kolk_key *key)
{
	struct http_site *site, **at;

	grow(http);
	if (http->buckets == NULL)
		return NULL;
	at = bucket(http, key);
	for (site = *at; site != NULL; site = site->next)
		if (site->key == key)
			return site;
	site = calloc(1, sizeof *site);
	if (site == NULL)
		return NULL;
	site->http = http;
	site->key = key;
	http_list_init(&site->queue);
	http_list_init(&site->acquiring);
	http_list_init(&site->conns);
	site->next = *at;
	*at = site;
	http->sites++;
	return site;
}

void http_site_put(struct http_site *site)
{
	struct http_site **at = bucket(site->http, site->key);

	if (site->exchanges > 0 || !http_list_empty(&site->conns))
		return;
	while (*at != site)
		at = &(*at)->next;
	*at = site->next;
	site->http->sites--;
	free(site);
}

/* ---- leases */

struct look {
	enum http_protocol protocol;
	bool reused;
	const char *authority; /* the session's: good as long as the lease */
};

static enum kolk_err look(void *user, void *session)
{
	struct http_session *http = session;
	struct look *seen = user;

	seen->protocol = http->protocol;
	seen->reused = http->used;
	seen->authority = http->authority;
	http->used = true;
	return KOLK_OK;
}

static void queue_add(struct http_site *site, struct kolk_http_exchange *exchange, bool first)
{
	exchange->state = HTTP_QUEUED;
	http_list_add(first ? site->queue.next : &site->queue, &exchange->link);
	site->queued++;
}

static void queue_take(struct kolk_http_exchange *exchange)
{
	http_list_del(&exchange->link);
	exchange->site->queued--;
}

/* Of whom it is put on, and not before: the pool may have got another address meanwhile. */
static void name_authority(struct kolk_http_exchange *exchange, const char *authority)
{
	if (exchange->unnamed)
		exchange->request.authority = authority;
}

static void start_h1(struct kolk_http_exchange *exchange, const struct kolk_lease *lease,
		     const char *authority)
{
	struct kolk_lease own = *lease;
	enum kolk_err err;

	exchange->state = HTTP_ON_H1;
	http_alive(exchange);
	name_authority(exchange, authority);
	err = h1_start(exchange, lease);
	if (err == KOLK_PENDING)
		return;
	(void)kolk_release(&own);
	if (!http_again(exchange, err, HTTP_UNSENT))
		http_end_soon(exchange, err);
}

static void start_h2(struct kolk_http_exchange *exchange, const struct kolk_lease *lease,
		     const char *authority)
{
	struct http_site *site = exchange->site;
	struct http_conn *conn = h2_adopt(site, lease);
	struct kolk_lease own = *lease;

	if (conn == NULL) {
		(void)kolk_discard(&own);
		http_end_soon(exchange, KOLK_E_MEMORY);
		return;
	}
	conn->site = site;
	conn->authority = authority;
	http_list_add(&site->conns, &conn->link);
	site->streams = conn->streams;
	queue_add(site, exchange, true); /* whoever is first gets on it */
}

/* A used connection failed this request, and a server that ends one ends others: its second and
 * last chance is not spent on another used one, as long as that can be helped. */
static bool wants_fresh(struct kolk_http_exchange *exchange, const struct look *seen)
{
	return exchange->retried && seen->reused && seen->protocol == HTTP_1 &&
	       exchange->unsent++ < HTTP_AGAIN_MAX;
}

/* A lease is there; whose acquire it was matters only over HTTP/1.1. */
static void got(struct kolk_http_exchange *exchange, const struct kolk_lease *lease)
{
	struct http_site *site = exchange->site;
	struct kolk_lease own = *lease;
	struct look seen = { HTTP_UNKNOWN, false, NULL };
	enum kolk_err err = kolk_lease_session(lease, &http_driver, look, &seen);

	http_list_del(&exchange->link);
	site->acquiring_count--;
	if (err != KOLK_OK) {
		(void)kolk_discard(&own);
		http_end_soon(exchange, err);
		return;
	}
	exchange->reused = seen.reused;
	site->protocol = seen.protocol;
	if (wants_fresh(exchange, &seen)) {
		(void)kolk_discard(&own);
		queue_add(site, exchange, true);
	} else if (seen.protocol == HTTP_2) {
		start_h2(exchange, lease, seen.authority);
	} else {
		start_h1(exchange, lease, seen.authority);
	}
}

/* One connection more cannot be had, but those that are there will serve him. */
static bool can_wait(const struct http_site *site, enum kolk_err err)
{
	return site->protocol == HTTP_2 && kolk_err_class(err) == KOLK_CLASS_LATER &&
	       err != KOLK_E_TIMEOUT && err != KOLK_E_DEADLINE &&
	       (site->acquiring_count > 0 || !http_list_empty(&site->conns));
}

static void acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct kolk_http_exchange *exchange = user;
	struct http_site *site = exchange->site;

	site->exchanges++; /* it stays until this is over */
	if (err == KOLK_OK) {
		got(exchange, lease);
	} else {
		http_list_del(&exchange->link);
		site->acquiring_count--;
		if (can_wait(site, err))
			queue_add(site, exchange, true);
		else if (!http_again(exchange, err, HTTP_UNSENT)) /* ended while it was opened */
			http_end(exchange, err, NULL, 0);
	}
	http_site_push(site);
	site->exchanges--;
	http_site_put(site);
}

/* False: not one acquire more at the moment. */
static bool acquire(struct kolk_http_exchange *exchange)
{
	struct http_site *site = exchange->site;
	enum kolk_err err;

	queue_take(exchange);
	exchange->state = HTTP_ACQUIRING;
	http_list_add(&site->acquiring, &exchange->link);
	site->acquiring_count++;
	err = kolk_acquire_async(site->http->loop, site->key, exchange->deadline_ns,
				 &exchange->acquire, acquired, exchange);
	if (err == KOLK_OK) {
		got(exchange, &exchange->acquire.lease);
	} else if (err != KOLK_PENDING) {
		http_list_del(&exchange->link);
		site->acquiring_count--;
		if (can_wait(site, err)) {
			queue_add(site, exchange, true);
			return false;
		}
		http_end_soon(exchange, err);
	}
	return true;
}

/* ---- who is served */

/* A connection with room; those without go to the end of the list. */
static struct http_conn *roomy(struct http_site *site)
{
	for (struct http_link *link = site->conns.next; link != &site->conns; link = link->next) {
		struct http_conn *conn = (struct http_conn *)(void *)link;

		if (conn->room == 0)
			continue;
		if (link != site->conns.next) {
			http_list_del(link);
			http_list_add(site->conns.next, link);
		}
		return conn;
	}
	return NULL;
}

/* A limit of no streams is for a short time (RFC 9113, section 6.5.2): another connection would be
 * told the same. */
static bool is_stopped(const struct http_site *site)
{
	const struct http_link *link = site->conns.next;

	while (link != &site->conns && !((const struct http_conn *)(const void *)link)->stopped)
		link = link->next;
	return link != &site->conns;
}

static uint32_t acquires_wanted(const struct http_site *site)
{
	uint32_t waiting = site->queued + site->acquiring_count;

	if (site->protocol == HTTP_1)
		return waiting;
	if (site->protocol == HTTP_UNKNOWN)
		return 1;
	if (site->streams == 0)
		return is_stopped(site) ? 0 : 1;
	return (waiting + site->streams - 1) / site->streams;
}

static void submit(struct http_conn *conn, struct kolk_http_exchange *exchange)
{
	enum kolk_err err;

	exchange->state = HTTP_ON_H2;
	http_alive(exchange);
	name_authority(exchange, conn->authority);
	err = h2_submit(conn, exchange);
	if (err == KOLK_E_LIMIT)
		queue_add(exchange->site, exchange, true);
	else if (err != KOLK_PENDING)
		http_end_soon(exchange, err);
}

/* Who is served next: those without an acquire of their own first, for an acquire that is given up
 * may have begun a dial. */
static struct kolk_http_exchange *next_waiting(struct http_site *site)
{
	struct http_link *list = http_list_empty(&site->queue) ? &site->acquiring : &site->queue;

	return http_list_empty(list) ? NULL : http_exchange_of(list->next);
}

static bool serve_on_h2(struct http_site *site)
{
	struct http_conn *conn = roomy(site);
	struct kolk_http_exchange *exchange = conn != NULL ? next_waiting(site) : NULL;

	if (exchange == NULL || !http_site_remove(exchange))
		return false;
	submit(conn, exchange);
	return true;
}

void http_site_push(struct http_site *site)
{
	while (serve_on_h2(site))
		;
	while (!http_list_empty(&site->queue) && site->acquiring_count < acquires_wanted(site)) {
		if (!acquire(http_exchange_of(site->queue.next)))
			return;
		while (serve_on_h2(site))
			;
	}
}

void http_site_add(struct http_site *site, struct kolk_http_exchange *exchange, bool first)
{
	queue_add(site, exchange, first);
	http_site_push(site);
}

bool http_site_remove(struct kolk_http_exchange *exchange)
{
	struct http_site *site = exchange->site;

	if (exchange->state == HTTP_QUEUED) {
		queue_take(exchange);
		return true;
	}
	if (exchange->state != HTTP_ACQUIRING ||
	    kolk_acquire_cancel(&exchange->acquire) != KOLK_OK)
		return false;
	http_list_del(&exchange->link);
	site->acquiring_count--;
	return true;
}

void http_site_quit(struct http_site *site)
{
	struct http_link *link = site->conns.next;

	while (link != &site->conns) {
		struct http_link *next = link->next;

		h2_quit((struct http_conn *)(void *)link);
		link = next;
	}
}

/* ---- what h2 tells of its connections */

void http_conn_room(struct http_conn *conn)
{
	struct http_site *site = conn->site;

	site->streams = conn->streams;
	http_site_push(site);
}

bool http_conn_wanted(const struct http_conn *conn)
{
	return next_waiting(conn->site) != NULL;
}

void http_conn_gone(struct http_conn *conn)
{
	struct http_site *site = conn->site;
	struct kolk_http *http = site->http;

	http_list_del(&conn->link);
	http_site_push(site);
	http_site_put(site);
	http_close_check(http);
}

struct kolk_http *http_site_client(const struct http_site *site)
{
	return site->http;
}
