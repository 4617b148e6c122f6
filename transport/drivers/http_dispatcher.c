/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_dispatcher.c - which exchange of a key gets which connection.
 *
 * Over HTTP/1.1 each exchange acquires for itself, and waits in the pool's queue. Over HTTP/2 a
 * connection carries many: no more acquires are pending than connections are needed for the waiting
 * exchanges. While the protocol is unknown, one acquire finds out, unless a limit makes it wait for
 * a lease.
 */
#include "transport/drivers/http_client.h"

/* ---- leases */

struct session_info {
	enum http_protocol protocol;
	bool reused, may_be_stale; /* see struct kolk_http_exchange */
	const char *authority; /* the session's: good as long as the lease */
};

static enum kolk_err read_session(void *user, void *session)
{
	struct http_session *http = session;
	struct session_info *info = user;

	info->protocol = http->protocol;
	info->reused = http->used;
	info->authority = http->authority;
	http->used = true;
	return KOLK_OK;
}

static void queue_add(struct http_dispatcher *dispatcher, struct kolk_http_exchange *exchange,
		      bool first)
{
	exchange->state = HTTP_QUEUED;
	exchange->carried = false;
	http_list_add(first ? dispatcher->queue.next : &dispatcher->queue, &exchange->link);
	dispatcher->queued++;
}

static void queue_remove(struct kolk_http_exchange *exchange)
{
	http_list_del(&exchange->link);
	exchange->dispatcher->queued--;
}

/* Set when the exchange gets its connection, not before: the pool may have another address by
 * then. */
static void set_authority(struct kolk_http_exchange *exchange, const char *authority)
{
	if (exchange->default_authority)
		exchange->asked->request.authority = authority;
}

static void set_carried(struct kolk_http_exchange *exchange)
{
	exchange->carried = true;
	exchange->carried_ns = kolk_loop_now(exchange->http->loop);
}

static void start_h1(struct kolk_http_exchange *exchange, const struct kolk_lease *lease,
		     const char *authority)
{
	struct kolk_lease own = *lease;
	enum kolk_err err;

	exchange->state = HTTP_ON_H1;
	http_record_activity(exchange);
	set_authority(exchange, authority);
	set_carried(exchange);
	err = h1_start(exchange, lease);
	if (err == KOLK_PENDING)
		return;
	exchange->carried = false;
	(void)kolk_release(&own);
	if (!http_retry(exchange, err, HTTP_UNSENT))
		http_end_soon(exchange, err);
}

static void start_h2(struct kolk_http_exchange *exchange, const struct kolk_lease *lease,
		     const char *authority)
{
	struct http_dispatcher *dispatcher = exchange->dispatcher;
	struct http_conn *conn = h2_adopt(dispatcher, lease);
	struct kolk_lease own = *lease;

	if (conn == NULL) {
		(void)kolk_discard(&own);
		http_end_soon(exchange, KOLK_E_MEMORY);
		return;
	}
	conn->dispatcher = dispatcher;
	conn->authority = authority;
	http_list_add(dispatcher->conns.next, &conn->link); /* those behind may be full */
	dispatcher->streams = conn->streams;
	queue_add(dispatcher, exchange, true); /* the first of the queue gets a stream */
}

/* A stale connection failed this request, and a server that ends one ends others: the only retry
 * is not spent on another that may be stale, where that can be avoided. */
static bool wants_new(const struct kolk_http_exchange *exchange, const struct session_info *info)
{
	return exchange->retried && info->may_be_stale && info->protocol == HTTP_1;
}

/* Over HTTP/1.1 a retry and a first attempt exchange their leases, if the retry got one that may be
 * stale, or the first attempt a new one while a retry waits: the one that is not returned is queued
 * again, first. Retries stand at the head of the acquiring list. */
static struct kolk_http_exchange *choose(struct kolk_http_exchange *exchange,
					 const struct session_info *info)
{
	struct http_dispatcher *dispatcher = exchange->dispatcher;
	struct http_link *acquiring = &dispatcher->acquiring;
	struct kolk_http_exchange *other;

	if (info->protocol != HTTP_1 || exchange->retried != info->may_be_stale ||
	    http_list_empty(acquiring))
		return exchange;
	other = http_exchange_of(exchange->retried ? acquiring->prev : acquiring->next);
	if (other->retried == exchange->retried || !http_dispatcher_remove(other))
		return exchange;
	queue_add(dispatcher, exchange, true);
	return other;
}

/* Before its first use. */
static bool lay_idle(const struct kolk_lease *lease)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	return kolk_lease_info(lease, &info) == KOLK_OK && info.reused != 0;
}

/* A lease was granted, to whichever exchange of the key should have it. */
static void on_lease(struct kolk_http_exchange *exchange, const struct kolk_lease *lease)
{
	struct http_dispatcher *dispatcher = exchange->dispatcher;
	struct kolk_lease own = *lease;
	struct session_info info = { .protocol = HTTP_UNKNOWN };
	enum kolk_err err = kolk_lease_session(lease, &http_driver, read_session, &info);

	http_list_del(&exchange->link);
	dispatcher->acquiring_count--;
	if (err != KOLK_OK) {
		(void)kolk_discard(&own);
		http_end_soon(exchange, err);
		return;
	}
	dispatcher->protocol = info.protocol;
	info.may_be_stale = info.reused || lay_idle(lease);
	exchange = choose(exchange, &info);
	exchange->reused = info.reused;
	exchange->may_be_stale = info.may_be_stale;
	if (wants_new(exchange, &info) && exchange->unsent++ < HTTP_RETRIES_MAX) {
		(void)kolk_discard(&own);
		queue_add(dispatcher, exchange, true);
	} else if (info.protocol == HTTP_2) {
		start_h2(exchange, lease, info.authority);
	} else {
		start_h1(exchange, lease, info.authority);
	}
}

/* Another connection cannot be had, but the existing ones will carry the exchange. */
static bool can_wait(const struct http_dispatcher *dispatcher, enum kolk_err err)
{
	return dispatcher->protocol == HTTP_2 && kolk_err_class(err) == KOLK_CLASS_LATER &&
	       err != KOLK_E_TIMEOUT && err != KOLK_E_DEADLINE &&
	       (dispatcher->acquiring_count > 0 || !http_list_empty(&dispatcher->conns));
}

/* A connection that ended while it was being opened is like one that was found dead. A failed
 * handshake of TLS is not: the next one would fail, too. */
static bool closed_early(enum kolk_err err)
{
	return err != KOLK_E_TLS;
}

static void acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct kolk_http_exchange *exchange = user;
	struct http_dispatcher *dispatcher = exchange->dispatcher;

	dispatcher->exchanges++; /* keeps the dispatcher until the end of this function */
	if (err == KOLK_OK) {
		on_lease(exchange, lease);
	} else {
		http_list_del(&exchange->link);
		dispatcher->acquiring_count--;
		if (can_wait(dispatcher, err))
			queue_add(dispatcher, exchange, true);
		else if (!closed_early(err) || !http_retry(exchange, err, HTTP_UNSENT))
			http_end(exchange, err, NULL, 0);
	}
	http_dispatcher_run(dispatcher);
	dispatcher->exchanges--;
	http_dispatcher_put(dispatcher);
}

/* False: no further acquire at the moment. */
static bool acquire(struct kolk_http_exchange *exchange)
{
	struct http_dispatcher *dispatcher = exchange->dispatcher;
	enum kolk_err err;

	queue_remove(exchange);
	exchange->state = HTTP_ACQUIRING;
	http_list_add(exchange->retried ? dispatcher->acquiring.next : &dispatcher->acquiring,
		      &exchange->link);
	dispatcher->acquiring_count++;
	err = kolk_acquire_async(dispatcher->http->loop, dispatcher->key, exchange->deadline_ns,
				 &exchange->asked->acquire, acquired, exchange);
	if (err == KOLK_OK) {
		on_lease(exchange, &exchange->asked->acquire.lease);
	} else if (err != KOLK_PENDING) {
		http_list_del(&exchange->link);
		dispatcher->acquiring_count--;
		if (can_wait(dispatcher, err)) {
			queue_add(dispatcher, exchange, true);
			return false;
		}
		http_end_soon(exchange, err);
	}
	return true;
}

/* ---- dispatch */

/* A connection with a free stream. Those without go to the end of the list, each once until it has
 * one again: behind the first that went, all have none. */
static struct http_conn *conn_with_capacity(struct http_dispatcher *dispatcher)
{
	struct http_link *link = dispatcher->conns.next;

	for (; link != &dispatcher->conns; link = dispatcher->conns.next) {
		struct http_conn *conn = (struct http_conn *)(void *)link;

		if (conn->full)
			return NULL;
		if (conn->streams_free > 0)
			return conn;
		conn->full = true;
		http_list_del(link);
		http_list_add(&dispatcher->conns, link);
	}
	return NULL;
}

/* A limit of no streams is for a short time (RFC 9113, section 6.5.2): another connection would get
 * the same. */
static bool has_zero_limit(const struct http_dispatcher *dispatcher)
{
	const struct http_link *link = dispatcher->conns.next;

	while (link != &dispatcher->conns &&
	       !((const struct http_conn *)(const void *)link)->zero_limit)
		link = link->next;
	return link != &dispatcher->conns;
}

/* One acquire finds out the protocol with its dial. If it waits for a lease that others have, then
 * the other exchanges wait in the pool's queue as well, which bounds them. */
static bool finds_protocol(const struct http_dispatcher *dispatcher)
{
	const struct http_link *acquiring = &dispatcher->acquiring;

	return http_list_empty(acquiring) ||
	       !kolk_acquire_waits_for_lease(&http_exchange_of(acquiring->next)->asked->acquire);
}

static uint32_t acquires_wanted(const struct http_dispatcher *dispatcher)
{
	uint32_t waiting = dispatcher->queued + dispatcher->acquiring_count;

	if (dispatcher->protocol == HTTP_1)
		return waiting;
	if (dispatcher->protocol == HTTP_UNKNOWN)
		return finds_protocol(dispatcher) ? 1 : waiting;
	if (dispatcher->streams == 0)
		return has_zero_limit(dispatcher) ? 0 : 1;
	return (waiting + dispatcher->streams - 1) / dispatcher->streams;
}

static void submit(struct http_conn *conn, struct kolk_http_exchange *exchange)
{
	enum kolk_err err;

	exchange->state = HTTP_ON_H2;
	http_record_activity(exchange);
	set_authority(exchange, conn->authority);
	set_carried(exchange);
	err = h2_submit(conn, exchange);
	if (err == KOLK_PENDING)
		return;
	exchange->carried = false;
	if (err == KOLK_E_LIMIT)
		queue_add(exchange->dispatcher, exchange, true);
	else
		http_end_soon(exchange, err);
}

/* The next to dispatch: exchanges without an acquire first, because an acquire that is cancelled
 * may have begun a dial. */
static struct kolk_http_exchange *next_waiting(struct http_dispatcher *dispatcher)
{
	struct http_link *list = http_list_empty(&dispatcher->queue) ?
					 &dispatcher->acquiring : &dispatcher->queue;

	return http_list_empty(list) ? NULL : http_exchange_of(list->next);
}

static bool dispatch_on_h2(struct http_dispatcher *dispatcher)
{
	struct http_conn *conn = conn_with_capacity(dispatcher);
	struct kolk_http_exchange *exchange = conn != NULL ? next_waiting(dispatcher) : NULL;

	if (exchange == NULL || !http_dispatcher_remove(exchange))
		return false;
	submit(conn, exchange);
	return true;
}

void http_dispatcher_run(struct http_dispatcher *dispatcher)
{
	while (dispatch_on_h2(dispatcher))
		;
	while (!http_list_empty(&dispatcher->queue) &&
	       dispatcher->acquiring_count < acquires_wanted(dispatcher)) {
		if (!acquire(http_exchange_of(dispatcher->queue.next)))
			return;
		while (dispatch_on_h2(dispatcher))
			;
	}
}

void http_dispatcher_enqueue(struct http_dispatcher *dispatcher,
			     struct kolk_http_exchange *exchange, bool first)
{
	queue_add(dispatcher, exchange, first);
	http_dispatcher_run(dispatcher);
}

bool http_dispatcher_remove(struct kolk_http_exchange *exchange)
{
	struct http_dispatcher *dispatcher = exchange->dispatcher;

	if (exchange->state == HTTP_QUEUED) {
		queue_remove(exchange);
		return true;
	}
	if (exchange->state != HTTP_ACQUIRING ||
	    kolk_acquire_cancel(&exchange->asked->acquire) != KOLK_OK)
		return false;
	http_list_del(&exchange->link);
	dispatcher->acquiring_count--;
	return true;
}

void http_dispatcher_drain(struct http_dispatcher *dispatcher)
{
	struct http_link *link = dispatcher->conns.next;

	while (link != &dispatcher->conns) {
		struct http_link *next = link->next;

		h2_drain((struct http_conn *)(void *)link);
		link = next;
	}
}

/* ---- called by h2 */

void http_conn_has_streams(struct http_conn *conn)
{
	if (!conn->full)
		return;
	conn->full = false;
	http_list_del(&conn->link);
	http_list_add(conn->dispatcher->conns.next, &conn->link);
}

void http_conn_on_capacity(struct http_conn *conn)
{
	struct http_dispatcher *dispatcher = conn->dispatcher;

	dispatcher->streams = conn->streams;
	http_dispatcher_run(dispatcher);
}

bool http_conn_has_waiters(const struct http_conn *conn)
{
	return next_waiting(conn->dispatcher) != NULL;
}

void http_conn_remove(struct http_conn *conn)
{
	struct http_dispatcher *dispatcher = conn->dispatcher;
	struct kolk_http *http = dispatcher->http;

	conn->full = false;
	http_list_del(&conn->link);
	http_dispatcher_run(dispatcher);
	http_dispatcher_put(dispatcher);
	http_close_check(http);
}

struct kolk_http *http_dispatcher_client(const struct http_dispatcher *dispatcher)
{
	return dispatcher->http;
}
