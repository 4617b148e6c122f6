/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2.c - a leased HTTP/2 connection: one receive armed, one send for all that was queued in a turn,
 * a PING when it is silent, and back to the pool when no stream is on it.
 */
#include "transport/drivers/h2.h"
#include "transport/drivers/http_client.h"

#include <stdlib.h>
#include <string.h>

#define SEND_NS (30 * KOLK_S_NS)        /* a peer that does not read for so long is dead */
#define GOAWAY_NS (100 * KOLK_MS_NS)    /* for a GOAWAY that reports the peer's error */
#define LINGER_NS (2 * KOLK_MS_NS)      /* the next request of a caller often comes at once */
#define REACQUIRE_NS (200 * KOLK_MS_NS) /* after a refused acquire, try again */

enum {
	SILENT_PINGS = 3,  /* in a row that only their answers followed; then they are rarer */
	SILENT_FACTOR = 60 /* 5 s become 5 min */
};

static void update(struct h2_conn *conn);

static struct h2_conn *conn_of(struct http_conn *conn)
{
	return (struct h2_conn *)(void *)conn;
}

static struct kolk_loop *loop_of(const struct h2_conn *conn)
{
	return http_loop(http_dispatcher_client(conn->http.dispatcher));
}

/* It has the lease: one that is stale was revoked. */
static void conn_fail(struct h2_conn *conn, enum kolk_err err)
{
	if (conn->err == KOLK_OK)
		conn->err = err == KOLK_E_LEASE_STALE ? KOLK_E_REVOKED : err;
}

static void on_update_posted(struct kolk_call *call, void *user)
{
	struct h2_conn *conn = user;

	(void)call;
	conn->update_posted = false;
	update(conn);
}

void h2_conn_post_update(struct h2_conn *conn)
{
	if (conn->update_posted || conn->updating)
		return;
	conn->update_posted = true;
	(void)kolk_loop_call(loop_of(conn), &conn->call, on_update_posted, conn);
}

/* ---- bytes */

static void on_received(void *user, enum kolk_err err, size_t size)
{
	struct h2_conn *conn = user;

	conn->receiving = false;
	if (err == KOLK_OK) {
		conn->updating = true;
		err = h2_session_feed(conn->session, conn->in, size, kolk_in_ns(0));
	} else if (err == KOLK_E_CANCELLED && conn->recv_cancelled) {
		err = KOLK_OK;
	}
	conn->recv_cancelled = false;
	if (err != KOLK_OK)
		conn_fail(conn, err);
	update(conn);
}

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	struct h2_conn *conn = user;

	(void)size;
	conn->sending = false;
	/* The peer reads no more; answers and a GOAWAY may still arrive before its end. */
	conn->write_closed = conn->receiving && !conn->recv_cancelled &&
		    (err == KOLK_E_RESET || err == KOLK_E_CLOSED);
	if (conn->write_closed)
		h2_session_start_drain(conn->session);
	else if (err != KOLK_OK)
		conn_fail(conn, err);
	update(conn);
}

static void start_receive(struct h2_conn *conn)
{
	enum kolk_err err;

	if (conn->receiving || conn->returning)
		return;
	err = kolk_recv_async(loop_of(conn), &conn->http.lease, &conn->recv, conn->in,
			      sizeof conn->in, KOLK_FOREVER, on_received, conn);
	if (err == KOLK_PENDING)
		conn->receiving = true;
	else
		conn_fail(conn, err);
}

static void cancel_receive(struct h2_conn *conn)
{
	if (!conn->receiving || conn->recv_cancelled)
		return;
	conn->recv_cancelled = true;
	(void)kolk_io_cancel(&conn->recv);
}

static void flush(struct h2_conn *conn)
{
	enum kolk_err err;
	size_t size;

	if (conn->sending && nghttp2_session_want_write(conn->session->ng))
		kolk_io_lazy(&conn->send, false);
	if (conn->sending || conn->write_closed)
		return;
	size = h2_session_output(conn->session, conn->out, sizeof conn->out, kolk_in_ns(0));
	if (size == 0)
		return;
	conn->goaway_sending = conn->session->err != KOLK_OK;
	err = kolk_send_async(loop_of(conn), &conn->http.lease, &conn->send, conn->out, size,
			      kolk_in_ns(conn->goaway_sending ? GOAWAY_NS : SEND_NS), on_sent,
			      conn);
	if (err != KOLK_PENDING) {
		conn_fail(conn, err);
		return;
	}
	conn->sending = true;
	if (size < sizeof conn->out && !conn->goaway_sending)
		kolk_io_lazy(&conn->send, true); /* that was all: the peer will speak next */
}

/* ---- the end of a lease */

/* Checked while operations are in flight: no byte of the streams was given to the kernel. */
static bool nothing_written(const struct h2_conn *conn)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	return kolk_lease_info(&conn->http.lease, &info) == KOLK_OK && !info.written;
}

static enum kolk_err release_session(void *user, void *session)
{
	struct h2_conn *conn = user;

	(void)session;
	kolk__store_release(&conn->session->client_owned, false);
	return KOLK_OK;
}

/* Every stream ends, and both operations: then the lease can. */
static bool shut_down(struct h2_conn *conn)
{
	conn->http.streams_free = 0;
	h2_session_end(conn->session, conn->err, nothing_written(conn));
	h2_requests_update(conn);
	cancel_receive(conn);
	if (conn->sending && !conn->goaway_sending) {
		conn->session->goaway_pending = false; /* nothing can be sent behind half a frame */
		(void)kolk_io_cancel(&conn->send);
	}
	return !conn->receiving && !conn->sending;
}

/* Why it ended, except for the pool's own reasons, which the pool knows. */
static enum kolk_reason reason_of(const struct h2_conn *conn)
{
	const struct h2_session *session = conn->session;

	if (conn->ping_timed_out)
		return KOLK_REASON_PING_TIMEOUT;
	if (conn->err != KOLK_OK)
		return http_reason(conn->err);
	if (session->goaway_received)
		return KOLK_REASON_PEER_CLOSED;
	if (session->total >= session->limits.streams_total_max)
		return KOLK_REASON_USES;
	return KOLK_REASON_DISCARDED;
}

/* The lease ends. Requests whose callers pause with a whole answer may outlive it. */
static void return_lease(struct h2_conn *conn)
{
	kolk_timer_stop(&conn->timer);
	(void)kolk_lease_session(&conn->http.lease, kolk_driver_http(), release_session, conn);
	if (conn->err == KOLK_OK && h2_session_is_clean(conn->session))
		(void)kolk_release(&conn->http.lease);
	else
		(void)kolk_discard_for(&conn->http.lease, reason_of(conn));
	conn->returned = true;
	conn->http.streams_free = 0;
	http_conn_remove(&conn->http);
}

static void conn_free(struct h2_conn *conn)
{
	h2_session_unref(conn->session);
	free(conn);
}

/* ---- updates */

static bool is_exhausted(const struct h2_conn *conn)
{
	const struct h2_session *session = conn->session;

	return session->draining || conn->stale ||
	       session->total >= session->limits.streams_total_max;
}

static bool is_idle(const struct h2_conn *conn)
{
	return conn->requests == NULL && conn->session->open == 0 && !conn->sending &&
	       !h2_session_has_output(conn->session);
}

bool h2_conn_is_stale(struct h2_conn *conn)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	conn->stale = conn->stale ||
			 kolk_lease_info(&conn->http.lease, &info) != KOLK_OK || info.outdated;
	if (conn->stale)
		conn->http.streams_free = 0;
	return conn->stale;
}

void h2_conn_answered(struct h2_conn *conn)
{
	if (!conn->answered)
		(void)kolk_lease_served(&conn->http.lease);
	conn->answered = true;
}

/* How many more streams there may be. */
static uint32_t free_streams_of(const struct h2_conn *conn)
{
	const struct h2_session *session = conn->session;
	uint32_t at_once = h2_session_limit(session) - session->open;
	uint32_t left = session->limits.streams_total_max - session->total;
	uint32_t requests = conn->http.dispatcher->requests;

	if (!h2_session_can_submit(session) || conn->client_closing || conn->stale ||
	    conn->err != KOLK_OK)
		return 0;
	if (requests != 0 && requests < session->limits.streams_total_max)
		left = requests > session->total ? requests - session->total : 0;
	return left < at_once ? left : at_once;
}

/* A peer that ends its connections after a number of requests (nginx: keepalive_requests) processes
 * none beyond it. So the next connections get no more requests than the last one served; when one
 * serves as many and stays open, twice as many. */
static void learn_request_limit(struct h2_conn *conn)
{
	struct h2_session *session = conn->session;
	struct http_dispatcher *dispatcher = conn->http.dispatcher;

	if (session->goaway_received && !conn->limit_learned && session->goaway_last < INT32_MAX) {
		uint32_t served = ((uint32_t)session->goaway_last + 1) / 2;

		conn->limit_learned = true;
		if (served > 0 && served < session->total)
			dispatcher->requests = served;
		dispatcher->calm_requests += session->calm_asked;
	}
	while (!session->draining && dispatcher->requests != 0 && session->open == 0 &&
	       session->total >= dispatcher->requests) /* otherwise it would be neither used nor
	                                                * returned */
		dispatcher->requests =
			dispatcher->requests < 1u << 30 ? 2 * dispatcher->requests : 0;
}

void h2_conn_update_capacity(struct h2_conn *conn)
{
	learn_request_limit(conn);
	conn->http.streams = h2_session_limit(conn->session);
	conn->http.zero_limit = conn->http.streams == 0 && !is_exhausted(conn) &&
				!conn->client_closing && conn->err == KOLK_OK;
	if (conn->http.dispatcher->requests != 0 &&
	    conn->http.dispatcher->requests < conn->http.streams)
		conn->http.streams = conn->http.dispatcher->requests;
	conn->http.streams_free = free_streams_of(conn);
	if (conn->http.streams_free > 0)
		http_conn_has_streams(&conn->http);
}

/* Give free streams to waiting exchanges. */
static void dispatch(struct h2_conn *conn)
{
	h2_conn_update_capacity(conn);
	if (conn->http.streams_free > 0 && http_conn_has_waiters(&conn->http))
		http_conn_on_capacity(&conn->http);
}

/* Servers of gRPC end a connection with ENHANCE_YOUR_CALM ("too_many_pings") at the fourth PING
 * that comes less than 5 min after the one before it while they say nothing else. */
static uint64_t ping_interval(const struct h2_conn *conn)
{
	uint32_t calm = conn->http.dispatcher->calm_requests < 6 ?
				conn->http.dispatcher->calm_requests : 6;
	uint64_t interval_ns = conn->options.ping_interval_ns << calm;

	if (conn->session->silent_pings >= SILENT_PINGS)
		interval_ns *= SILENT_FACTOR;
	return interval_ns;
}

/* Silent for too long: ask; still silent: dead. */
static uint64_t keep_alive(struct h2_conn *conn, uint64_t now_ns)
{
	struct h2_session *session = conn->session;
	uint64_t interval_ns = ping_interval(conn);
	uint64_t since_ns = session->received_ns;

	if (conn->options.ping_interval_ns == KOLK_FOREVER || session->open == 0)
		return KOLK_FOREVER;
	if (session->pinged_ns == 0) {
		if (session->busy_ns > since_ns)
			since_ns = session->busy_ns;
		if (now_ns < since_ns + interval_ns)
			return since_ns + interval_ns;
		(void)h2_session_ping(session, now_ns);
		session->silent_pings++;
	}
	if (session->pinged_ns > since_ns)
		since_ns = session->pinged_ns;
	conn->ping_timed_out = now_ns >= since_ns + conn->options.ping_timeout_ns;
	if (conn->ping_timed_out)
		conn_fail(conn, KOLK_E_CLOSED);
	return since_ns + conn->options.ping_timeout_ns;
}

static uint64_t earlier(uint64_t a_ns, uint64_t b_ns)
{
	return b_ns != 0 && b_ns < a_ns ? b_ns : a_ns;
}

static void on_timer(struct kolk_timer *timer, void *user)
{
	struct h2_conn *conn = user;

	(void)timer;
	if (http_conn_has_waiters(&conn->http)) /* an acquire that was refused may succeed now */
		http_conn_on_capacity(&conn->http);
	update(conn);
}

/* Handles everything that is due and sets the timer for what is due next. */
static void update_timer(struct h2_conn *conn)
{
	uint64_t now_ns = kolk_in_ns(0), due_ns;

	(void)h2_conn_is_stale(conn);
	due_ns = earlier(keep_alive(conn, now_ns), h2_session_sweep_zombies(conn->session, now_ns));
	due_ns = earlier(due_ns, h2_requests_continue(conn, now_ns));
	if (conn->idle_since_ns != 0 && !conn->returning)
		due_ns = earlier(due_ns, conn->idle_since_ns + LINGER_NS);
	if (http_conn_has_waiters(&conn->http))
		due_ns = earlier(due_ns, now_ns + REACQUIRE_NS);
	flush(conn); /* resets, and bodies whose wait for 100 (Continue) ended */
	if (due_ns != KOLK_FOREVER)
		(void)kolk_timer_start(loop_of(conn), &conn->timer, due_ns, on_timer, conn);
}

/* Idle: return it to the pool, after a moment. */
static bool is_to_return(struct h2_conn *conn)
{
	if (conn->client_closing && conn->requests == NULL && !conn->sending)
		return true; /* zombies are not waited for */
	if (!is_idle(conn) || (!is_exhausted(conn) && http_conn_has_waiters(&conn->http))) {
		conn->idle_since_ns = 0;
		return false;
	}
	if (conn->idle_since_ns == 0)
		conn->idle_since_ns = kolk_in_ns(0);
	return is_exhausted(conn) || kolk_in_ns(0) >= conn->idle_since_ns + LINGER_NS;
}

/* Sending ended a stream (one that was cancelled unsent), and an exchange waits for a stream. */
static bool has_new_capacity(const struct h2_conn *conn)
{
	return free_streams_of(conn) > conn->http.streams_free &&
	       http_conn_has_waiters(&conn->http);
}

/* Run callbacks, submit requests, send: until nothing is pending. */
static void process(struct h2_conn *conn)
{
	do {
		h2_requests_update(conn);
		dispatch(conn);
		flush(conn);
		if (conn->session->err != KOLK_OK)
			conn_fail(conn, conn->session->err);
	} while (conn->err == KOLK_OK && (conn->pending != NULL || has_new_capacity(conn)));
}

/* True: its lease can end. */
static bool advance(struct h2_conn *conn)
{
	bool can_end = false;

	if (conn->err == KOLK_OK)
		process(conn);
	conn->returning = conn->err == KOLK_OK && is_to_return(conn);
	if (conn->err == KOLK_OK)
		update_timer(conn);
	if (conn->returning) {
		cancel_receive(conn);
		can_end = !conn->receiving;
	} else if (conn->err == KOLK_OK) {
		start_receive(conn);
	}
	if (conn->err != KOLK_OK)
		can_end = shut_down(conn);
	return can_end && !conn->update_posted;
}

static void update(struct h2_conn *conn)
{
	conn->updating = true;
	if (!conn->returned && advance(conn))
		return_lease(conn);
	if (conn->returned)
		h2_requests_update(conn);
	conn->updating = false;
	if (conn->returned && conn->requests == NULL && !conn->update_posted)
		conn_free(conn);
}

/* ---- for the client */

static enum kolk_err claim_session(void *user, void *session)
{
	struct http_session *http = session;
	struct h2_conn *conn = user;

	if (http->protocol != HTTP_2 || http->h2 == NULL)
		return KOLK_E_UNSUPPORTED;
	conn->session = http->h2;
	conn->options = *http->options;
	conn->tls = http->tls;
	h2_session_ref(conn->session);
	kolk__store_release(&conn->session->client_owned, true);
	return KOLK_OK;
}

struct http_conn *h2_adopt(struct http_dispatcher *dispatcher, const struct kolk_lease *lease)
{
	struct h2_conn *conn = malloc(sizeof *conn);

	if (conn == NULL)
		return NULL;
	memset(conn, 0, offsetof(struct h2_conn, in));
	conn->http.dispatcher = dispatcher;
	conn->http.lease = *lease;
	if (kolk_lease_session(lease, kolk_driver_http(), claim_session, conn) != KOLK_OK) {
		free(conn);
		return NULL;
	}
	(void)kolk_lease_pin(lease); /* a busy connection is not a forgotten one */
	h2_conn_update_capacity(conn);
	start_receive(conn); /* bytes that arrived since the lease began are handled before anything
	                      * is sent */
	h2_conn_post_update(conn);
	return &conn->http;
}

void h2_drain(struct http_conn *http)
{
	struct h2_conn *conn = conn_of(http);

	conn->client_closing = true;
	http->streams_free = 0;
	h2_conn_post_update(conn);
}
