/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2.c - a leased HTTP/2 connection: one receive armed, one send for all that was queued in a turn,
 * a PING when it is silent, and back to the pool when nothing is on it.
 */
#include "transport/drivers/h2.h"
#include "transport/drivers/http_client.h"

#include <stdlib.h>
#include <string.h>

#define SEND_NS (30 * KOLK_S_NS)     /* a peer that does not read for so long is gone */
#define GOODBYE_NS (100 * KOLK_MS_NS) /* a GOAWAY for what it did is not waited for longer */
#define LINGER_NS (2 * KOLK_MS_NS)   /* the next request of a caller often comes at once */
#define AGAIN_NS (200 * KOLK_MS_NS)  /* who was refused one connection more asks again */

static void settle(struct h2_conn *conn);

static struct h2_conn *conn_of(struct http_conn *conn)
{
	return (struct h2_conn *)(void *)conn;
}

static struct kolk_loop *loop_of(const struct h2_conn *conn)
{
	return http_loop(http_site_client(conn->http.site));
}

static void ruin(struct h2_conn *conn, enum kolk_err err)
{
	if (conn->err == KOLK_OK)
		conn->err = err;
}

static void on_soon(struct kolk_call *call, void *user)
{
	struct h2_conn *conn = user;

	(void)call;
	conn->soon = false;
	settle(conn);
}

void h2_conn_soon(struct h2_conn *conn)
{
	if (conn->soon || conn->settling)
		return;
	conn->soon = true;
	(void)kolk_loop_call(loop_of(conn), &conn->call, on_soon, conn);
}

/* ---- bytes */

static void on_received(void *user, enum kolk_err err, size_t size)
{
	struct h2_conn *conn = user;

	conn->receiving = false;
	if (err == KOLK_OK) {
		conn->settling = true;
		err = h2_session_feed(conn->session, conn->in, size, kolk_in_ns(0));
	} else if (err == KOLK_E_CANCELLED && conn->withdrawn) {
		err = KOLK_OK;
	}
	conn->withdrawn = false;
	if (err != KOLK_OK)
		ruin(conn, err);
	settle(conn);
}

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	struct h2_conn *conn = user;

	(void)size;
	conn->sending = false;
	/* It takes no more; answers and a GOAWAY may have come before the end, which follows. */
	conn->cut = conn->receiving && !conn->withdrawn &&
		    (err == KOLK_E_RESET || err == KOLK_E_CLOSED);
	if (conn->cut)
		h2_session_retire(conn->session);
	else if (err != KOLK_OK)
		ruin(conn, err);
	settle(conn);
}

static void listen_on(struct h2_conn *conn)
{
	enum kolk_err err;

	if (conn->receiving || conn->parting)
		return;
	err = kolk_recv_async(loop_of(conn), &conn->http.lease, &conn->recv, conn->in,
			      sizeof conn->in, KOLK_FOREVER, on_received, conn);
	if (err == KOLK_PENDING)
		conn->receiving = true;
	else
		ruin(conn, err);
}

static void withdraw(struct h2_conn *conn)
{
	if (!conn->receiving || conn->withdrawn)
		return;
	conn->withdrawn = true;
	(void)kolk_io_cancel(&conn->recv);
}

static void flush(struct h2_conn *conn)
{
	enum kolk_err err;
	size_t size;

	if (conn->sending || conn->cut)
		return;
	size = h2_session_take(conn->session, conn->out, sizeof conn->out, kolk_in_ns(0));
	if (size == 0)
		return;
	conn->goodbye = conn->session->err != KOLK_OK;
	err = kolk_send_async(loop_of(conn), &conn->http.lease, &conn->send, conn->out, size,
			      kolk_in_ns(conn->goodbye ? GOODBYE_NS : SEND_NS), on_sent, conn);
	if (err == KOLK_PENDING)
		conn->sending = true;
	else
		ruin(conn, err);
}

/* ---- the end of a lease */

/* Asked while operations are in flight: nothing of the streams was handed to the kernel. */
static bool nothing_written(const struct h2_conn *conn)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	return kolk_lease_info(&conn->http.lease, &info) == KOLK_OK && !info.written;
}

static enum kolk_err let_go(void *user, void *session)
{
	struct h2_conn *conn = user;

	(void)session;
	kolk__store_release(&conn->session->held, false);
	return KOLK_OK;
}

/* Every stream ends, and both operations: then the lease can. */
static bool wind_up(struct h2_conn *conn)
{
	conn->http.room = 0;
	h2_session_over(conn->session, conn->err, nothing_written(conn));
	h2_requests_settle(conn);
	withdraw(conn);
	if (conn->sending && !conn->goodbye) {
		conn->session->tells = false; /* behind half a frame nothing can be said */
		(void)kolk_io_cancel(&conn->send);
	}
	return !conn->receiving && !conn->sending;
}

/* What ended it, and was not the pool's will: that it knows itself. */
static enum kolk_reason reason_of(const struct h2_conn *conn)
{
	const struct h2_session *session = conn->session;

	if (conn->silent)
		return KOLK_REASON_PING_TIMEOUT;
	if (conn->err != KOLK_OK)
		return http_reason(conn->err);
	if (session->goaway_came)
		return KOLK_REASON_PEER_CLOSED;
	if (session->total >= session->limits.streams_total_max)
		return KOLK_REASON_USES;
	return KOLK_REASON_DISCARDED;
}

/* The lease ends. Requests whose callers pause with a whole answer may outlive it. */
static void part(struct h2_conn *conn)
{
	kolk_timer_stop(&conn->timer);
	(void)kolk_lease_session(&conn->http.lease, kolk_driver_http(), let_go, conn);
	if (conn->err == KOLK_OK && h2_session_is_neutral(conn->session))
		(void)kolk_release(&conn->http.lease);
	else
		(void)kolk_discard_for(&conn->http.lease, reason_of(conn));
	conn->parted = true;
	conn->http.room = 0;
	http_conn_gone(&conn->http);
}

static void conn_free(struct h2_conn *conn)
{
	h2_session_unref(conn->session);
	free(conn);
}

/* ---- what is to be done now */

static bool is_spent(const struct h2_conn *conn)
{
	const struct h2_session *session = conn->session;

	return session->leaving || conn->outdated ||
	       session->total >= session->limits.streams_total_max;
}

static bool is_empty(const struct h2_conn *conn)
{
	return conn->requests == NULL && conn->session->open == 0 && !conn->sending &&
	       !h2_session_has_output(conn->session);
}

bool h2_conn_is_outdated(struct h2_conn *conn)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	conn->outdated = conn->outdated ||
			 kolk_lease_info(&conn->http.lease, &info) != KOLK_OK || info.outdated;
	if (conn->outdated)
		conn->http.room = 0;
	return conn->outdated;
}

/* How many more streams there may be. */
static uint32_t room_of(const struct h2_conn *conn)
{
	const struct h2_session *session = conn->session;
	uint32_t most = h2_session_limit(session) - session->open;
	uint32_t left = session->limits.streams_total_max - session->total;
	uint32_t requests = conn->http.site->requests;

	if (!h2_session_has_room(session) || conn->quits || conn->outdated ||
	    conn->err != KOLK_OK)
		return 0;
	if (requests != 0 && requests < session->limits.streams_total_max)
		left = requests > session->total ? requests - session->total : 0;
	return left < most ? left : most;
}

/* A peer that ends its connections after so many requests (nginx: keepalive_requests) looks at
 * none that was sent beyond them. So the next connections are sent no more than the last one
 * served; when one served as many and goes on, twice as many. */
static void learn(struct h2_conn *conn)
{
	struct h2_session *session = conn->session;
	struct http_site *site = conn->http.site;

	if (session->goaway_came && !conn->learned && session->goaway_last < INT32_MAX) {
		uint32_t served = ((uint32_t)session->goaway_last + 1) / 2;

		conn->learned = true;
		if (served > 0 && served < session->total)
			site->requests = served;
		site->calm += session->hurry;
	}
	while (!session->leaving && site->requests != 0 && session->open == 0 &&
	       session->total >= site->requests) /* or nobody would use it, and nobody give it back */
		site->requests = site->requests < 1u << 30 ? 2 * site->requests : 0;
}

void h2_conn_measure(struct h2_conn *conn)
{
	learn(conn);
	conn->http.streams = h2_session_limit(conn->session);
	conn->http.stopped = conn->http.streams == 0 && !is_spent(conn) && !conn->quits &&
			     conn->err == KOLK_OK;
	if (conn->http.site->requests != 0 && conn->http.site->requests < conn->http.streams)
		conn->http.streams = conn->http.site->requests;
	conn->http.room = room_of(conn);
}

/* For whoever waits. */
static void offer(struct h2_conn *conn)
{
	h2_conn_measure(conn);
	if (conn->http.room > 0 && http_conn_wanted(&conn->http))
		http_conn_room(&conn->http);
}

/* Silent for too long: ask; still silent: dead. */
static uint64_t watch(struct h2_conn *conn, uint64_t now_ns)
{
	struct h2_session *session = conn->session;
	uint32_t calm = conn->http.site->calm < 6 ? conn->http.site->calm : 6;
	uint64_t interval_ns = conn->options.ping_interval_ns << calm;
	uint64_t since_ns = session->heard_ns;

	if (conn->options.ping_interval_ns == KOLK_FOREVER || session->open == 0)
		return KOLK_FOREVER;
	if (session->pinged_ns == 0) {
		if (session->busy_ns > since_ns)
			since_ns = session->busy_ns;
		if (now_ns < since_ns + interval_ns)
			return since_ns + interval_ns;
		(void)h2_session_ping(session, now_ns);
	}
	if (session->pinged_ns > since_ns)
		since_ns = session->pinged_ns;
	conn->silent = now_ns >= since_ns + conn->options.ping_timeout_ns;
	if (conn->silent)
		ruin(conn, KOLK_E_CLOSED);
	return since_ns + conn->options.ping_timeout_ns;
}

static uint64_t sooner(uint64_t a_ns, uint64_t b_ns)
{
	return b_ns != 0 && b_ns < a_ns ? b_ns : a_ns;
}

static void on_timer(struct kolk_timer *timer, void *user)
{
	struct h2_conn *conn = user;

	(void)timer;
	if (http_conn_wanted(&conn->http)) /* an acquire that was refused may succeed now */
		http_conn_room(&conn->http);
	settle(conn);
}

/* Everything that time brings; the timer is set for the next of it. */
static void mind_the_clock(struct h2_conn *conn)
{
	uint64_t now_ns = kolk_in_ns(0), due_ns;

	(void)h2_conn_is_outdated(conn);
	due_ns = sooner(watch(conn, now_ns), h2_session_haunt(conn->session, now_ns));
	due_ns = sooner(due_ns, h2_requests_release(conn, now_ns));
	if (conn->empty_ns != 0 && !conn->parting)
		due_ns = sooner(due_ns, conn->empty_ns + LINGER_NS);
	if (http_conn_wanted(&conn->http))
		due_ns = sooner(due_ns, now_ns + AGAIN_NS);
	flush(conn); /* resets, and bodies that need not wait any longer */
	if (due_ns != KOLK_FOREVER)
		(void)kolk_timer_start(loop_of(conn), &conn->timer, due_ns, on_timer, conn);
}

/* Nothing is on it: give it back, after a moment. */
static bool is_to_part(struct h2_conn *conn)
{
	if (conn->quits && conn->requests == NULL && !conn->sending)
		return true; /* ghosts are not waited for */
	if (!is_empty(conn) || (!is_spent(conn) && http_conn_wanted(&conn->http))) {
		conn->empty_ns = 0;
		return false;
	}
	if (conn->empty_ns == 0)
		conn->empty_ns = kolk_in_ns(0);
	return is_spent(conn) || kolk_in_ns(0) >= conn->empty_ns + LINGER_NS;
}

/* Sending ended a stream (one that was given up unsent), and somebody waits for its place. */
static bool has_gained(const struct h2_conn *conn)
{
	return room_of(conn) > conn->http.room && http_conn_wanted(&conn->http);
}

/* Tell callers, take new requests, send: until there is nothing more to tell. */
static void work(struct h2_conn *conn)
{
	do {
		h2_requests_settle(conn);
		offer(conn);
		flush(conn);
		if (conn->session->err != KOLK_OK)
			ruin(conn, conn->session->err);
	} while (conn->err == KOLK_OK && (conn->todo != NULL || has_gained(conn)));
}

/* True: its lease can end. */
static bool go_on(struct h2_conn *conn)
{
	bool over = false;

	if (conn->err == KOLK_OK)
		work(conn);
	conn->parting = conn->err == KOLK_OK && is_to_part(conn);
	if (conn->err == KOLK_OK)
		mind_the_clock(conn);
	if (conn->parting) {
		withdraw(conn);
		over = !conn->receiving;
	} else if (conn->err == KOLK_OK) {
		listen_on(conn);
	}
	if (conn->err != KOLK_OK)
		over = wind_up(conn);
	return over && !conn->soon;
}

static void settle(struct h2_conn *conn)
{
	conn->settling = true;
	if (!conn->parted && go_on(conn))
		part(conn);
	if (conn->parted)
		h2_requests_settle(conn);
	conn->settling = false;
	if (conn->parted && conn->requests == NULL && !conn->soon)
		conn_free(conn);
}

/* ---- for the client */

static enum kolk_err take_hold(void *user, void *session)
{
	struct http_session *http = session;
	struct h2_conn *conn = user;

	if (http->protocol != HTTP_2 || http->h2 == NULL)
		return KOLK_E_UNSUPPORTED;
	conn->session = http->h2;
	conn->options = *http->options;
	conn->tls = http->tls;
	h2_session_ref(conn->session);
	kolk__store_release(&conn->session->held, true);
	return KOLK_OK;
}

struct http_conn *h2_adopt(struct http_site *site, const struct kolk_lease *lease)
{
	struct h2_conn *conn = malloc(sizeof *conn);

	if (conn == NULL)
		return NULL;
	memset(conn, 0, offsetof(struct h2_conn, in));
	conn->http.site = site;
	conn->http.lease = *lease;
	if (kolk_lease_session(lease, kolk_driver_http(), take_hold, conn) != KOLK_OK) {
		free(conn);
		return NULL;
	}
	(void)kolk_lease_pin(lease); /* a busy connection is not a forgotten one */
	h2_conn_measure(conn);
	listen_on(conn); /* what came since the lease began is heard before anything is sent */
	h2_conn_soon(conn);
	return &conn->http;
}

void h2_quit(struct http_conn *http)
{
	struct h2_conn *conn = conn_of(http);

	conn->quits = true;
	http->room = 0;
	h2_conn_soon(conn);
}
