/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_server_conn.c - one client: what comes is read as requests, one at a time, and their answers
 * go out before the next is read.
 *
 *   no exchange   between two requests, or before the first
 *   exchange      from a request's first byte on; its callee knows it while `running`, from the
 *                 head on until the answer is sent; then the rest of the body is drained
 *   refusing      the library's own answer goes out, and then the connection is closed
 *   ending        close or reset was called: the wire's end is waited for
 */
#include <string.h>

#include "transport/drivers/http_server_h2.h"

void hs_exchange_end(struct kolk_http_server_exchange *exchange, enum kolk_err err)
{
	exchange->running = false;
	exchange->paused = false;
	hs_count_end(exchange->conn->loop, err);
	exchange->conn->loop->handler->end(exchange->user, exchange, err);
}

static bool is_whole(const struct kolk_http_server_exchange *exchange)
{
	return exchange->body_done || exchange->parser.message.state == H1_WHOLE;
}

void hs_conn_close(struct hs_conn *conn)
{
	if (conn->ending)
		return;
	conn->ending = true;
	hs_conn_wait(conn, HS_WAIT_NOTHING);
	conn->wire->close(conn);
}

void hs_conn_fail(struct hs_conn *conn, enum kolk_err err)
{
	if (conn->ending)
		return;
	if (conn->exchange != NULL)
		conn->exchange->err = err;
	conn->err = err;
	conn->ending = true;
	hs_conn_wait(conn, HS_WAIT_NOTHING);
	conn->wire->reset(conn);
}

bool hs_conn_is_written(const struct hs_conn *conn)
{
	const struct kolk_http_server_exchange *exchange = conn->exchange;

	if (conn->h2 != NULL)
		return hs_h2_is_written(conn->h2);
	return exchange->phase == HS_WRITTEN && exchange->keep && exchange->in_size == 0 &&
	       is_whole(exchange);
}

static void put_exchange(struct hs_conn *conn)
{
	struct kolk_http_server_exchange *exchange = conn->exchange;

	conn->exchange = NULL;
	conn->blank = exchange->parser.blank;
	hs_exchange_put(conn->loop, exchange);
}

/* ---- what breaks a rule */

static void refuse(struct kolk_http_server_exchange *exchange, uint32_t status)
{
	hs_count_refused(exchange->conn, status);
	hs_refuse(exchange, status);
}

/* Of a request whose callee knows it. An answer that is complete is still sent. */
static void break_off(struct kolk_http_server_exchange *exchange, uint32_t status,
		      enum kolk_err err)
{
	if (exchange->phase == HS_NO_ANSWER) {
		hs_exchange_end(exchange, err);
		hs_refuse(exchange, status);
	} else if (exchange->phase == HS_PULL) {
		hs_conn_fail(exchange->conn, err);
	} else {
		exchange->in_size = 0;
		exchange->body_done = true;
		exchange->keep = false;
	}
}

static void on_parse_error(struct kolk_http_server_exchange *exchange, enum kolk_err err)
{
	uint32_t status = exchange->parser.status;

	if (err != KOLK_E_PROTOCOL)
		hs_conn_fail(exchange->conn, err);
	else if (exchange->running)
		break_off(exchange, status, status == 413 ? KOLK_E_LIMIT : KOLK_E_PROTOCOL);
	else if (hs_h2_is_preface(exchange))
		hs_h2_begin(exchange->conn);
	else if (exchange->keep) /* in a rest that is drained: it has its answer */
		hs_conn_close(exchange->conn);
	else
		refuse(exchange, status);
}

/* ---- input */

static void on_head(struct kolk_http_server_exchange *exchange)
{
	struct hs_loop *loop = exchange->conn->loop;

	exchange->conn->requests++;
	exchange->running = true;
	hs_count_request(exchange);
	exchange->continue_due = exchange->parser.head.expect_continue != 0;
	exchange->user = loop->handler->request(loop->server_user, exchange,
						&exchange->parser.head);
}

static void on_body(struct kolk_http_server_exchange *exchange, const void *data, size_t size)
{
	const struct hs_loop *loop = exchange->conn->loop;

	exchange->continue_due = false; /* it did not wait */
	if (exchange->running) {
		if (loop->handler->body != NULL)
			loop->handler->body(exchange->user, exchange, data, size);
		return;
	}
	exchange->drained += size;
	if (exchange->drained > loop->options->drain_bytes_max)
		hs_conn_close(exchange->conn);
}

static void on_request_end(struct kolk_http_server_exchange *exchange)
{
	const struct kolk_http_server_handler *handler = exchange->conn->loop->handler;

	exchange->continue_due = false;
	if (!exchange->running) {
		hs_exchange_renew(exchange); /* the rest is drained */
		return;
	}
	exchange->body_done = true;
	if (!exchange->tunnel && handler->body_end != NULL)
		handler->body_end(exchange->user, exchange, exchange->parser.message.fields,
				  exchange->parser.trailer_count);
}

static void read_request(struct kolk_http_server_exchange *exchange)
{
	struct h1_message *message = &exchange->parser.message;
	enum h1_event event;
	enum kolk_err err =
		h1_request_parse(&exchange->parser, &exchange->in, &exchange->in_size, &event);

	if (err != KOLK_OK)
		on_parse_error(exchange, err);
	else if (event == H1_HEAD)
		on_head(exchange);
	else if (event == H1_BODY)
		on_body(exchange, message->body, message->body_size);
	else if (event == H1_END)
		on_request_end(exchange);
}

static void read_tunnel(struct kolk_http_server_exchange *exchange)
{
	const struct kolk_http_server_handler *handler = exchange->conn->loop->handler;
	const uint8_t *data = exchange->in;
	size_t size = exchange->in_size;

	exchange->in_size = 0;
	if (handler->body != NULL)
		handler->body(exchange->user, exchange, data, size);
}

/* A request that was sent ahead waits for the answer before it. */
static bool can_read(struct kolk_http_server_exchange *exchange)
{
	if (exchange->conn->ending || exchange->refusing || exchange->conn->h2 != NULL) {
		exchange->in_size = 0;
		return false;
	}
	if (exchange->paused)
		return false;
	if (exchange->body_done)
		return exchange->tunnel && exchange->in_size > 0;
	return exchange->in_size > 0 || exchange->parser.message.state == H1_WHOLE;
}

static void read_input(struct kolk_http_server_exchange *exchange)
{
	while (can_read(exchange)) {
		if (exchange->body_done)
			read_tunnel(exchange);
		else
			read_request(exchange);
	}
}

/* ---- the client ends its direction */

static void on_peer_end(struct hs_conn *conn)
{
	struct kolk_http_server_exchange *exchange = conn->exchange;
	const struct kolk_http_server_handler *handler = conn->loop->handler;

	conn->peer_ended = true;
	if (conn->h2 != NULL) {
		hs_h2_peer_end(conn);
		return;
	}
	if (exchange == NULL || !exchange->running) {
		if (exchange == NULL || !exchange->refusing)
			hs_conn_close(conn);
		return;
	}
	exchange->keep = false;
	if (exchange->tunnel) {
		if (handler->body_end != NULL)
			handler->body_end(exchange->user, exchange, NULL, 0);
	} else if (!is_whole(exchange) ||
		   (exchange->phase != HS_WRITTEN && conn->loop->options->half_close == 0)) {
		hs_conn_fail(conn, KOLK_E_CLOSED);
	}
}

/* ---- the end of an answer */

static bool can_drain(const struct kolk_http_server_exchange *exchange)
{
	uint64_t max = exchange->conn->loop->options->drain_bytes_max;
	const struct h1_message *message = &exchange->parser.message;

	return max > 0 && !exchange->continue_due && message->state < H1_FINISHED &&
	       (message->state != H1_FIXED || message->left <= max);
}

void hs_conn_answered(struct hs_conn *conn)
{
	struct kolk_http_server_exchange *exchange = conn->exchange;
	bool whole = is_whole(exchange);

	if (exchange->running)
		hs_exchange_end(exchange, KOLK_OK);
	if (!exchange->keep || conn->loop->draining || (!whole && !can_drain(exchange))) {
		hs_conn_close(conn);
		return;
	}
	exchange->phase = HS_NO_ANSWER;
	if (whole && exchange->in_size == 0) {
		exchange->parser.blank = false; /* that was in front of this request */
		put_exchange(conn);
		return;
	}
	if (whole)
		hs_exchange_renew(exchange);
	conn->again = true;
}

/* ---- turns */

static bool is_idle(const struct kolk_http_server_exchange *exchange)
{
	return !exchange->running && !exchange->refusing && !exchange->in_flight &&
	       exchange->in_size == 0 && !h1_request_begun(&exchange->parser);
}

static enum hs_wait wait_of(const struct hs_conn *conn)
{
	const struct kolk_http_server_exchange *exchange = conn->exchange;

	if (conn->h2 != NULL)
		return hs_h2_wait(conn);
	if (exchange == NULL)
		return conn->requests == 0 ? HS_WAIT_HEAD : HS_WAIT_IDLE;
	if (exchange->refusing)
		return HS_WAIT_NOTHING;
	if (!exchange->running)
		return exchange->parser.message.state == H1_IN_HEAD ? HS_WAIT_HEAD : HS_WAIT_BODY;
	return is_whole(exchange) || exchange->paused ? HS_WAIT_NOTHING : HS_WAIT_BODY;
}

static bool must_pause(const struct hs_conn *conn)
{
	const struct kolk_http_server_exchange *exchange = conn->exchange;

	if (exchange == NULL || exchange->refusing)
		return false;
	/* What the client sends while the answer goes out mostly comes with the news that it has. */
	return exchange->in_size > (exchange->in_flight ? HS_OUT_BYTES : 0) ||
	       (exchange->paused && (exchange->tunnel || !is_whole(exchange)));
}

/* Bytes that cannot be read now outlive what they came in. */
static bool keep_input(struct kolk_http_server_exchange *exchange)
{
	struct hs_buffer *kept = &exchange->kept;
	bool is_kept = kept->data != NULL && exchange->in >= (const uint8_t *)kept->data &&
		       exchange->in < (const uint8_t *)kept->data + kept->size;

	if (exchange->in_size == 0 || is_kept)
		return true;
	if (exchange->in_flight)
		exchange->conn->wire->hurry(exchange->conn);
	kept->size = 0;
	if (!hs_reserve(kept, exchange->in_size))
		return false;
	memcpy(kept->data, exchange->in, exchange->in_size);
	kept->size = exchange->in_size;
	exchange->in = (const uint8_t *)kept->data;
	return true;
}

/* A body that is drained has one time-out in all, and streams of HTTP/2 have their own. */
static bool may_wait_longer(const struct hs_conn *conn)
{
	return conn->wait == HS_WAIT_BODY && conn->h2 == NULL && conn->exchange->running;
}

/* What the connection waits for from here on. */
static void update(struct hs_conn *conn, bool progress)
{
	enum hs_wait wait;
	bool pause;

	if (conn->exchange != NULL && is_idle(conn->exchange))
		put_exchange(conn);
	if (conn->h2 == NULL && conn->exchange == NULL && conn->loop->draining) {
		hs_conn_close(conn);
		return;
	}
	wait = wait_of(conn);
	if (wait != conn->wait || (progress && may_wait_longer(conn)))
		hs_conn_wait(conn, wait);
	pause = must_pause(conn);
	if (pause == conn->paused)
		return;
	conn->paused = pause;
	if (pause)
		conn->wire->pause(conn);
	else
		conn->wire->resume(conn);
}

static void run(struct hs_conn *conn, bool progress)
{
	conn->running = true;
	do {
		conn->again = false;
		if (conn->exchange != NULL)
			read_input(conn->exchange);
		if (conn->h2 != NULL && conn->exchange != NULL)
			put_exchange(conn);
		if (conn->h2 != NULL)
			hs_h2_turn(conn);
		else if (conn->exchange != NULL)
			hs_flush(conn->exchange);
	} while (conn->again && !conn->ending);
	if (!conn->ending && conn->exchange != NULL && !keep_input(conn->exchange))
		hs_conn_fail(conn, KOLK_E_MEMORY);
	if (!conn->ending)
		update(conn, progress);
	conn->running = false;
}

void hs_conn_run(struct hs_conn *conn)
{
	run(conn, false);
}

/* ---- what the wire reports */

void hs_conn_begin(struct hs_conn *conn, struct hs_loop *loop)
{
	conn->loop = loop;
	conn->all.next = &loop->conns;
	conn->all.prev = loop->conns.prev;
	loop->conns.prev->next = &conn->all;
	loop->conns.prev = &conn->all;
	conn->waiting.next = conn->waiting.prev = &conn->waiting;
	conn->to_run.next = conn->to_run.prev = &conn->to_run;
	kolk__own_add(&loop->counters.connections, 1);
	loop->now_ns = loop->clock->now(loop);
	hs_conn_wait(conn, HS_WAIT_HEAD);
}

/* More came though the wire was paused. */
static bool append_input(struct kolk_http_server_exchange *exchange, const void *data, size_t size)
{
	struct hs_buffer *kept = &exchange->kept;
	size_t left = exchange->in_size;

	if (left == 0) {
		exchange->in = data;
		exchange->in_size = size;
		return true;
	}
	memmove(kept->data, exchange->in, left);
	kept->size = left;
	if (!hs_reserve(kept, size))
		return false;
	memcpy(kept->data + left, data, size);
	kept->size = left + size;
	exchange->in = (const uint8_t *)kept->data;
	exchange->in_size = left + size;
	return true;
}

static bool get_exchange(struct hs_conn *conn)
{
	conn->exchange = hs_exchange_get(conn);
	return conn->exchange != NULL;
}

void hs_conn_data(struct hs_conn *conn, const void *data, size_t size)
{
	if (conn->ending)
		return;
	conn->loop->now_ns = conn->loop->clock->now(conn->loop);
	if (size == 0) {
		conn->running = true;
		on_peer_end(conn);
		conn->running = false;
	} else if (conn->h2 != NULL) {
		conn->running = true;
		hs_h2_data(conn, data, size);
		conn->running = false;
	} else if ((conn->exchange == NULL && !get_exchange(conn)) ||
		   !append_input(conn->exchange, data, size)) {
		hs_conn_fail(conn, KOLK_E_MEMORY);
	}
	if (!conn->ending)
		run(conn, true);
}

void hs_conn_sent(struct hs_conn *conn, enum kolk_err err)
{
	conn->loop->now_ns = conn->loop->clock->now(conn->loop);
	if (conn->h2 != NULL) {
		conn->h2->in_flight = false;
		conn->h2->sending.size = 0;
	} else {
		conn->exchange->in_flight = false;
		conn->exchange->sending.size = 0;
	}
	if (err != KOLK_OK)
		hs_conn_fail(conn, err);
	else if (!conn->ending)
		run(conn, false);
}

void hs_conn_end(struct hs_conn *conn, enum kolk_err err)
{
	struct kolk_http_server_exchange *exchange = conn->exchange;

	conn->ending = conn->running = true;
	if (exchange != NULL && exchange->running)
		hs_exchange_end(exchange, exchange->err != KOLK_OK ? exchange->err :
				       err != KOLK_OK ? err : KOLK_E_CLOSED);
	if (exchange != NULL)
		put_exchange(conn);
	if (conn->h2 != NULL) {
		hs_h2_end_streams(conn, conn->err != KOLK_OK ? conn->err :
					err != KOLK_OK ? err : KOLK_E_CLOSED);
		hs_h2_free(conn);
	}
	hs_list_remove(&conn->all);
	hs_list_remove(&conn->waiting);
	hs_list_remove(&conn->to_run);
	kolk__own_sub(&conn->loop->counters.connections, 1);
}

void hs_conn_expire(struct hs_conn *conn)
{
	struct kolk_http_server_exchange *exchange = conn->exchange;
	enum hs_wait wait = conn->wait;

	conn->wait = HS_WAIT_NOTHING;
	if (conn->ending)
		return;
	conn->running = true;
	if (conn->h2 != NULL)
		hs_h2_expire(conn, wait);
	else if (exchange != NULL && wait == HS_WAIT_HEAD && h1_request_begun(&exchange->parser))
		refuse(exchange, 408);
	else if (exchange != NULL && exchange->running)
		break_off(exchange, 408, KOLK_E_TIMEOUT);
	else
		hs_conn_close(conn);
	conn->running = false;
	if (!conn->ending)
		run(conn, false);
}
