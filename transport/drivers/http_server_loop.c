/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_loop.c - what the connections of a loop share: queues of time-outs, the date, and the
 * memory of requests, which idle connections do not hold. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "transport/drivers/http_server_h2.h"

/* ---- lists */

static void list_init(struct hs_link *list)
{
	list->next = list->prev = list;
}

static void list_add(struct hs_link *list, struct hs_link *link)
{
	link->next = list;
	link->prev = list->prev;
	list->prev->next = link;
	list->prev = link;
}

void hs_list_remove(struct hs_link *link)
{
	link->next->prev = link->prev;
	link->prev->next = link->next;
	list_init(link);
}

/* What is pulled at once, as a chunk; so many are kept, of answers that are silent. */
enum { BLOCK_BYTES = HS_OUT_BYTES + 64, BLOCKS_KEPT = 16, IOS_KEPT = 128 };
enum { BUFFER_KEPT = 65536 }; /* of what waits for the next request */
enum { SLICE = 64 }; /* connections that end in one turn of a loop */

#define CONN_OF(link, member) \
	((struct hs_conn *)(void *)((char *)(link) - offsetof(struct hs_conn, member)))

void hs_loop_init(struct hs_loop *loop)
{
	list_init(&loop->conns);
	list_init(&loop->to_run);
	for (size_t i = 0; i < HS_WAITS; i++)
		list_init(&loop->waiting[i]);
	h2_memory_init(&loop->h2_memory);
	loop->blocks.max = BLOCKS_KEPT;
	loop->ios.max = IOS_KEPT;
	loop->armed_ns = KOLK_FOREVER;
}

static void exchange_free(struct kolk_http_server_exchange *exchange)
{
	hs_h2_stream_free(exchange->stream);
	h1_request_free(&exchange->parser);
	free(exchange->out.data);
	free(exchange->sending.data);
	free(exchange->kept.data);
	free(exchange->io);
	free(exchange);
}

void hs_loop_free(struct hs_loop *loop)
{
	while (loop->idle != NULL) {
		struct kolk_http_server_exchange *exchange = loop->idle;

		loop->idle = exchange->next;
		exchange_free(exchange);
	}
	loop->idle_count = 0;
	h2_memory_free(&loop->h2_memory);
	blocks_free(&loop->blocks);
	blocks_free(&loop->ios);
}

/* ---- time-outs */

static uint64_t timeout_of(const struct hs_loop *loop, enum hs_wait wait)
{
	return wait == HS_WAIT_HEAD ? loop->options->header_timeout_ns :
	       wait == HS_WAIT_BODY ? loop->options->body_timeout_ns :
	       wait == HS_WAIT_IDLE ? loop->options->idle_timeout_ns : KOLK_FOREVER;
}

static void arm(struct hs_loop *loop, uint64_t due_ns)
{
	if (due_ns >= loop->armed_ns)
		return;
	loop->armed_ns = due_ns;
	loop->clock->arm(loop, due_ns);
}

void hs_conn_wait(struct hs_conn *conn, enum hs_wait wait)
{
	uint64_t timeout_ns = timeout_of(conn->loop, wait);

	if (wait == HS_WAIT_NOTHING && conn->wait == HS_WAIT_NOTHING)
		return;
	hs_list_remove(&conn->waiting);
	conn->wait = (uint8_t)wait;
	if (timeout_ns == KOLK_FOREVER)
		return;
	conn->due_ns = conn->loop->now_ns + timeout_ns;
	list_add(&conn->loop->waiting[wait], &conn->waiting);
	arm(conn->loop, conn->due_ns);
}

/* What of a queue is due, at its head; when the next one is: now, if there are more. */
static uint64_t expire_queue(struct hs_loop *loop, struct hs_link *list)
{
	for (uint32_t count = 0; list->next != list; count++) {
		struct hs_conn *conn = CONN_OF(list->next, waiting);

		if (conn->due_ns > loop->now_ns || count == SLICE)
			return conn->due_ns;
		hs_list_remove(&conn->waiting);
		hs_conn_expire(conn);
	}
	return KOLK_FOREVER;
}

void hs_loop_expire(struct hs_loop *loop)
{
	uint64_t next_ns = KOLK_FOREVER;

	loop->now_ns = loop->clock->now(loop);
	loop->armed_ns = KOLK_FOREVER;
	for (size_t i = 0; i < HS_WAITS; i++) {
		uint64_t due_ns = expire_queue(loop, &loop->waiting[i]);

		next_ns = due_ns < next_ns ? due_ns : next_ns;
	}
	if (next_ns != KOLK_FOREVER)
		arm(loop, next_ns);
}

/* ---- runs */

void hs_conn_post(struct hs_conn *conn)
{
	conn->again = true;
	if (conn->running || conn->run_posted || conn->ending)
		return;
	conn->run_posted = true;
	if (conn->loop->to_run.next == &conn->loop->to_run)
		conn->loop->clock->post(conn->loop);
	list_add(&conn->loop->to_run, &conn->to_run);
}

bool hs_loop_parts(const struct hs_loop *loop)
{
	return loop->kolk != NULL && !kolk_loop_is_active(loop->kolk);
}

/* ---- the end of a server, a slice of connections in a turn */

static void drain(struct hs_conn *conn)
{
	if (conn->h2 != NULL)
		hs_h2_drain(conn);
	else if (conn->exchange == NULL && !conn->ending)
		hs_conn_close(conn);
}

static void drain_slice(struct hs_loop *loop)
{
	uint32_t count = 0;

	while (loop->to_drain > 0 && loop->conns.next != &loop->conns && count++ < SLICE) {
		struct hs_conn *conn = CONN_OF(loop->conns.next, all);

		hs_list_remove(&conn->all);
		list_add(&loop->conns, &conn->all);
		loop->to_drain--;
		drain(conn);
	}
	if (loop->conns.next == &loop->conns)
		loop->to_drain = 0;
	if (loop->to_drain > 0)
		loop->clock->post(loop);
}

void hs_loop_drain(struct hs_loop *loop)
{
	loop->draining = true;
	loop->to_drain = (uint32_t)kolk__own(&loop->counters.connections);
	loop->now_ns = loop->clock->now(loop);
	drain_slice(loop);
}

/* Those that are posted meanwhile are run by the next one. */
void hs_loop_run(struct hs_loop *loop)
{
	struct hs_link now;

	if (loop->to_drain > 0)
		drain_slice(loop);
	if (loop->to_run.next == &loop->to_run)
		return;
	loop->now_ns = loop->clock->now(loop);
	now = loop->to_run;
	now.next->prev = now.prev->next = &now;
	list_init(&loop->to_run);
	while (now.next != &now) {
		struct hs_conn *conn = CONN_OF(now.next, to_run);

		hs_list_remove(&conn->to_run);
		conn->run_posted = false;
		hs_conn_run(conn);
	}
}

/* ---- the date */

const char *hs_loop_date(struct hs_loop *loop)
{
	struct timespec now;

	if (loop->now_ns < loop->date_ns)
		return loop->date;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	loop->date_ns = loop->now_ns + KOLK_S_NS - (uint64_t)now.tv_nsec;
	h1_write_date((uint64_t)now.tv_sec, loop->date);
	return loop->date;
}

/* ---- memory */

bool hs_reserve(struct hs_buffer *buffer, size_t size)
{
	size_t need = buffer->size + size;
	char *data;

	if (need <= buffer->capacity)
		return true;
	if (need < 2 * buffer->capacity)
		need = 2 * buffer->capacity;
	data = realloc(buffer->data, need < 1024 ? 1024 : need);
	if (data == NULL)
		return false;
	buffer->data = data;
	buffer->capacity = need < 1024 ? 1024 : need;
	return true;
}

void hs_block_get(struct hs_loop *loop, struct hs_buffer *buffer)
{
	if (buffer->data != NULL)
		return;
	buffer->data = blocks_get(&loop->blocks, BLOCK_BYTES);
	buffer->size = 0;
	buffer->capacity = buffer->data != NULL ? BLOCK_BYTES : 0;
}

static void give_back(struct hs_loop *loop, struct hs_buffer *buffer)
{
	if (buffer->capacity == BLOCK_BYTES)
		blocks_put(&loop->blocks, buffer->data);
	else
		free(buffer->data);
	*buffer = (struct hs_buffer){ 0 };
}

void hs_exchange_silent(struct kolk_http_server_exchange *exchange)
{
	give_back(exchange->conn->loop, &exchange->out);
	give_back(exchange->conn->loop, &exchange->sending);
	if (exchange->in_size == 0)
		give_back(exchange->conn->loop, &exchange->kept);
}

void hs_exchange_renew(struct kolk_http_server_exchange *exchange)
{
	h1_request_begin(&exchange->parser);
	exchange->phase = HS_NO_ANSWER;
	exchange->err = KOLK_OK;
	exchange->body_sent = exchange->drained = 0;
	exchange->running = exchange->body_done = exchange->paused = false;
	exchange->continue_due = exchange->pull_pending = exchange->keep = false;
	exchange->chunked = exchange->tunnel = exchange->refusing = false;
	exchange->h2 = NULL;
}

struct kolk_http_server_exchange *hs_exchange_get(struct hs_conn *conn)
{
	struct hs_loop *loop = conn->loop;
	struct kolk_http_server_exchange *exchange = loop->idle;

	if (exchange != NULL) {
		loop->idle = exchange->next;
		loop->idle_count--;
	} else {
		exchange = calloc(1, sizeof *exchange);
		if (exchange == NULL)
			return NULL;
	}
	exchange->conn = conn;
	exchange->next = NULL;
	exchange->parser.limits = (struct h1_request_limits){
		.head_bytes_max = loop->options->head_bytes_max,
		.target_bytes_max = loop->options->target_bytes_max,
		.fields_max = loop->options->fields_max,
		.body_bytes_max = loop->options->body_bytes_max,
		.tls = conn->tls,
	};
	hs_exchange_renew(exchange);
	exchange->parser.blank = conn->blank;
	return exchange;
}

static void shrink(struct hs_buffer *buffer)
{
	buffer->size = 0;
	if (buffer->capacity <= BUFFER_KEPT)
		return;
	free(buffer->data);
	buffer->data = NULL;
	buffer->capacity = 0;
}

void hs_exchange_put(struct hs_loop *loop, struct kolk_http_server_exchange *exchange)
{
	if (loop->idle_count == HS_IDLE_MAX) {
		exchange_free(exchange);
		return;
	}
	free(exchange->io); /* of a send that was lost with its loop */
	exchange->io = NULL;
	shrink(&exchange->out);
	shrink(&exchange->sending);
	shrink(&exchange->kept);
	hs_h2_stream_shrink(exchange->stream);
	exchange->in_size = 0;
	exchange->in = NULL;
	exchange->conn = NULL;
	exchange->next = loop->idle;
	loop->idle = exchange;
	loop->idle_count++;
}
