/* SPDX-License-Identifier: Apache-2.0 */
/* http_client.c - a loop's client: exchanges start, deliver their answer, end once, and are retried
 * where that is safe. */
#include <semaphore.h>
#include <stdlib.h>

#include "transport/drivers/http_client.h"
#include "transport/drivers/pump.h"

struct kolk_loop *http_loop(const struct kolk_http *http)
{
	return http->loop;
}

struct http_blocks *http_blocks(struct kolk_http *http)
{
	return &http->blocks;
}

struct h1_blocks *http_h1_blocks(struct kolk_http *http)
{
	return &http->h1_blocks;
}

/* ---- cancel, pause, resumelers */

void http_informational(struct kolk_http_exchange *exchange, const struct kolk_http_head *head)
{
	exchange->answered = true;
	if (!exchange->muted && exchange->handler.informational != NULL)
		exchange->handler.informational(exchange->user, exchange, head);
}

void http_head(struct kolk_http_exchange *exchange, struct kolk_http_head *head)
{
	exchange->answered = exchange->head_shown = true;
	head->reused = exchange->reused;
	if (!exchange->muted && exchange->handler.head != NULL)
		exchange->handler.head(exchange->user, exchange, head);
}

void http_body(struct kolk_http_exchange *exchange, const void *data, size_t size)
{
	if (!exchange->muted && exchange->handler.body != NULL && size > 0)
		exchange->handler.body(exchange->user, exchange, data, size);
}

void http_switched(struct kolk_http_exchange *exchange, const struct kolk_lease *lease,
		   const void *data, size_t size)
{
	struct kolk_lease own = *lease;

	if (exchange->muted)
		(void)kolk_discard(&own);
	else
		exchange->handler.upgraded(exchange->user, exchange, lease, data, size);
}

/* ---- time */

void http_record_activity(struct kolk_http_exchange *exchange)
{
	if (exchange->idle_ns != KOLK_FOREVER)
		exchange->active_ns = kolk_loop_now(exchange->http->loop);
}

static bool on_connection(const struct kolk_http_exchange *exchange)
{
	return exchange->state == HTTP_ON_H1 || exchange->state == HTTP_ON_H2;
}

/* When to check again. Bytes that move do not move the timer: they are checked when it fires. */
static uint64_t due(const struct kolk_http_exchange *exchange, uint64_t now_ns)
{
	bool counts = on_connection(exchange) && !exchange->paused;
	uint64_t since_ns = counts ? exchange->active_ns : now_ns;

	if (since_ns >= exchange->deadline_ns ||
	    exchange->idle_ns >= exchange->deadline_ns - since_ns)
		return exchange->deadline_ns;
	return since_ns + exchange->idle_ns;
}

static void cancel(struct kolk_http_exchange *exchange, enum kolk_err err);

static void timer_fired(struct kolk_timer *timer, void *user);

/* One that fires earlier looks again. */
static void arm(struct http_asked *asked, uint64_t due_ns)
{
	if (asked->timer_ns <= due_ns)
		return;
	asked->timer_ns = due_ns;
	(void)kolk_timer_start(asked->exchange->http->loop, &asked->timer, due_ns, timer_fired,
			       asked);
}

static void timer_fired(struct kolk_timer *timer, void *user)
{
	struct http_asked *asked = user;
	struct kolk_http_exchange *exchange = asked->exchange;
	uint64_t now_ns, due_ns;

	(void)timer;
	asked->timer_ns = KOLK_FOREVER;
	if (exchange == NULL)
		return;
	now_ns = kolk_loop_now(exchange->http->loop);
	due_ns = due(exchange, now_ns);
	if (due_ns > now_ns)
		arm(asked, due_ns);
	else
		cancel(exchange, KOLK_E_TIMEOUT);
}

/* ---- ends */

static void run_ending(struct kolk_call *call, void *user)
{
	struct kolk_http *http = user;
	struct http_link batch;

	(void)call;
	http->called = false;
	http_list_init(&batch);
	if (!http_list_empty(&http->ending)) { /* those that end meanwhile run in the next step */
		batch = http->ending;
		batch.next->prev = batch.prev->next = &batch;
		http_list_init(&http->ending);
	}
	while (!http_list_empty(&batch)) {
		struct kolk_http_exchange *exchange = http_exchange_of(batch.next);

		http_list_del(&exchange->link);
		http_end(exchange, exchange->err, NULL, 0);
	}
}

void http_end_soon(struct kolk_http_exchange *exchange, enum kolk_err err)
{
	struct kolk_http *http = exchange->http;

	exchange->state = HTTP_ENDING;
	exchange->err = err;
	http_list_add(&http->ending, &exchange->link);
	if (!http->called) {
		http->called = true;
		(void)kolk_loop_call(http->loop, &http->call, run_ending, http);
	}
}

void http_end(struct kolk_http_exchange *exchange, enum kolk_err err,
	      const struct kolk_http_field *trailers, size_t trailer_count)
{
	struct kolk_http *http = exchange->http;
	struct http_dispatcher *dispatcher = exchange->dispatcher;

	exchange->state = HTTP_ENDING;
	http_list_del(&exchange->all);
	http->exchanges--;
	exchange->handler.end(exchange->user, exchange, err, trailers, trailer_count);
	http_exchange_free(&http->blocks, exchange);
	dispatcher->exchanges--;
	http_dispatcher_put(dispatcher);
	http_close_check(http);
}

/* ---- retries */

static bool connection_failed(enum kolk_err err)
{
	return err == KOLK_E_CLOSED || err == KOLK_E_RESET || err == KOLK_E_TLS_TRUNCATED ||
	       err == KOLK_E_TLS || err == KOLK_E_IO;
}

/* A connection found dead before a byte was given to the kernel, or a GOAWAY that excludes the
 * request, was no attempt: the request takes another connection, a few times. A request that may
 * have been processed, or was refused by itself, is sent again at most once. */
static bool may_retry(struct kolk_http_exchange *exchange, enum kolk_err err,
		      enum http_processed processed)
{
	if (exchange->muted || exchange->answered || exchange->pulled || exchange->http->closing ||
	    !connection_failed(err))
		return false;
	exchange->resent |= processed == HTTP_UNPROCESSED;
	if (processed == HTTP_UNSENT || processed == HTTP_UNPROCESSED)
		return exchange->unsent++ < HTTP_RETRIES_MAX;
	if (exchange->retried)
		return false;
	exchange->retried = processed == HTTP_REFUSED ||
			    (exchange->asked->request.replayable != 0 && exchange->may_be_stale);
	return exchange->retried;
}

bool http_retry(struct kolk_http_exchange *exchange, enum kolk_err err,
		enum http_processed processed)
{
	if (!may_retry(exchange, err, processed))
		return false;
	http_dispatcher_enqueue(exchange->dispatcher, exchange, true);
	return true;
}

void http_attempt_ended(struct kolk_http_exchange *exchange, const struct http_outcome *outcome)
{
	if (outcome->err == KOLK_OK || !http_retry(exchange, outcome->err, outcome->processed))
		http_end(exchange, outcome->err, outcome->trailers, outcome->trailer_count);
}

/* ---- cancel, pause, resume */

static void cancel(struct kolk_http_exchange *exchange, enum kolk_err err)
{
	struct http_dispatcher *dispatcher = exchange->dispatcher;

	exchange->muted = true;
	if (exchange->state == HTTP_ON_H1) {
		h1_cancel(exchange, err);
	} else if (exchange->state == HTTP_ON_H2) {
		h2_cancel(exchange, err);
	} else if (exchange->state != HTTP_ENDING && http_dispatcher_remove(exchange)) {
		http_end_soon(exchange, err);
		http_dispatcher_run(dispatcher); /* its acquire may have been the only one */
	}
}

void kolk_http_cancel(struct kolk_http_exchange *exchange)
{
	cancel(exchange, KOLK_E_CANCELLED);
}

void kolk_http_pause(struct kolk_http_exchange *exchange)
{
	exchange->paused = true;
	if (exchange->state == HTTP_ON_H1)
		h1_pause(exchange);
}

void kolk_http_resume(struct kolk_http_exchange *exchange)
{
	if (!exchange->paused)
		return;
	exchange->paused = false;
	http_record_activity(exchange);
	if (exchange->state == HTTP_ON_H1)
		h1_resume(exchange);
	else if (exchange->state == HTTP_ON_H2)
		h2_resume(exchange);
}

void kolk_http_more(struct kolk_http_exchange *exchange)
{
	if (exchange->state == HTTP_ON_H1)
		h1_more(exchange);
	else if (exchange->state == HTTP_ON_H2)
		h2_more(exchange);
}

bool kolk_http_retried(const struct kolk_http_exchange *exchange)
{
	return exchange->retried || exchange->resent;
}

bool kolk_http_sent(const struct kolk_http_exchange *exchange)
{
	return exchange->asked == NULL;
}

/* ---- start */

static void begin(struct kolk_http_exchange *exchange, struct kolk_http *http,
		  struct http_dispatcher *dispatcher)
{
	const struct kolk_http_request *request = &exchange->asked->request;
	const struct kolk_pool *pool = kolk_key_pool(dispatcher->key);
	uint64_t now_ns = kolk_loop_now(http->loop), timeout_ns = kolk_pool_request_timeout_ns(pool);

	exchange->http = http;
	exchange->dispatcher = dispatcher;
	exchange->deadline_ns = timeout_ns < KOLK_FOREVER - now_ns ? now_ns + timeout_ns :
								     KOLK_FOREVER;
	if (request->deadline_ns != 0)
		exchange->deadline_ns = request->deadline_ns;
	exchange->idle_ns = request->idle_timeout_ns != 0 ? request->idle_timeout_ns :
							    kolk_pool_socket_timeout_ns(pool);
	exchange->active_ns = now_ns;
	http->exchanges++;
	dispatcher->exchanges++;
	http_list_add(&http->all, &exchange->all);
	arm(exchange->asked, due(exchange, now_ns));
}

/* What kolk_http_start and kolk_http_start_as are given. */
struct start {
	const struct kolk_http_request *request;
	const struct kolk_http_handler *handler;
	void *user;
	struct kolk_http_exchange **started;
};

static enum kolk_err may_start(struct kolk_http *http)
{
	if (!kolk_loop_is_mine(http->loop))
		return KOLK_E_THREAD;
	if (http->closing)
		return KOLK_E_DRAINING;
	return http->exchanges >= http->options.exchanges_max ? KOLK_E_LIMIT : KOLK_OK;
}

static enum kolk_err start(struct http_dispatcher *dispatcher, const struct start *start)
{
	struct kolk_http_exchange *exchange;
	enum kolk_err err = http_exchange_make(&dispatcher->http->blocks, start->request,
					       start->handler, &exchange);

	if (err != KOLK_OK) {
		http_dispatcher_put(dispatcher);
		return err;
	}
	exchange->user = start->user;
	begin(exchange, dispatcher->http, dispatcher);
	if (start->started != NULL)
		*start->started = exchange;
	http_dispatcher_enqueue(dispatcher, exchange, false);
	return KOLK_PENDING;
}

enum kolk_err kolk_http_start(struct kolk_http *http, struct kolk_key *key,
			      const struct kolk_http_request *request,
			      const struct kolk_http_handler *handler, void *user,
			      struct kolk_http_exchange **started)
{
	struct http_dispatcher *dispatcher;
	enum kolk_err err = http == NULL || key == NULL ? KOLK_E_OPTIONS : may_start(http);

	if (err != KOLK_OK)
		return err;
	dispatcher = http_dispatcher_get(http, key);
	if (dispatcher == NULL)
		return KOLK_E_MEMORY;
	return start(dispatcher, &(struct start){ request, handler, user, started });
}

enum kolk_err kolk_http_start_as(struct kolk_http *http, struct kolk_pool *pool,
				 const struct kolk_key_options *who,
				 const struct kolk_http_request *request,
				 const struct kolk_http_handler *handler, void *user,
				 struct kolk_http_exchange **started)
{
	struct http_dispatcher *dispatcher;
	enum kolk_err err = http == NULL || pool == NULL ? KOLK_E_OPTIONS : may_start(http);

	if (err == KOLK_OK)
		err = http_recent_get(http, pool, who, &dispatcher);
	if (err != KOLK_OK)
		return err;
	return start(dispatcher, &(struct start){ request, handler, user, started });
}

/* ---- open and close */

enum kolk_err kolk_http_open(struct kolk_loop *loop, const struct kolk_http_options *options,
			     struct kolk_http **http)
{
	struct kolk_http *made;

	if (loop == NULL || http == NULL ||
	    (options != NULL && !kolk__sized_known(options, sizeof *options)))
		return KOLK_E_OPTIONS;
	made = calloc(1, sizeof *made);
	if (made == NULL)
		return KOLK_E_MEMORY;
	made->loop = loop;
	for (int i = 0; i < HTTP_BLOCK_SIZES; i++)
		made->blocks.asked[i].max = HTTP_BLOCKS_KEPT;
	made->blocks.exchanges.max = HTTP_BLOCKS_KEPT;
	made->h1_blocks.exchanges.max = HTTP_BLOCKS_KEPT;
	made->h1_blocks.out.max = made->h1_blocks.in.max = HTTP_BLOCKS_KEPT;
	if (options != NULL)
		(void)kolk__sized_read(&made->options, options);
	if (made->options.exchanges_max == 0)
		made->options.exchanges_max = 100000;
	if (made->options.response_bytes_max == 0)
		made->options.response_bytes_max = 16 << 20;
	http_list_init(&made->all);
	http_list_init(&made->ending);
	*http = made;
	return KOLK_OK;
}

static void close_now(struct kolk_call *call, void *user)
{
	struct kolk_http *http = user;
	kolk_http_closed_fn *closed = http->close_fn;
	void *closed_user = http->close_user;

	(void)call;
	http_blocks_free(&http->blocks);
	blocks_free(&http->h1_blocks.exchanges);
	blocks_free(&http->h1_blocks.out);
	blocks_free(&http->h1_blocks.in);
	kolk__table_free(&http->dispatchers);
	free(http);
	closed(closed_user);
}

/* By a call of its own: the caller of this function still uses the client. */
void http_close_check(struct kolk_http *http)
{
	if (!http->closing || http->closed || http->exchanges > 0 || http->dispatchers.count > 0)
		return;
	http->closed = true;
	(void)kolk_loop_call(http->loop, &http->close_call, close_now, http);
}

static void close_begin(struct kolk_call *call, void *user)
{
	struct kolk_http *http = user;
	struct http_link *link, *next;

	(void)call;
	http->closing = true;
	for (link = http->all.next; link != &http->all; link = next) {
		next = link->next; /* ends run later: no exchange is freed here */
		kolk_http_cancel((struct kolk_http_exchange *)(void *)((char *)link -
				 offsetof(struct kolk_http_exchange, all)));
	}
	http_recent_close(http);
	http_dispatchers_drain(http);
	http_close_check(http);
}

static void wake(void *user)
{
	(void)sem_post(user);
}

enum kolk_err kolk_http_close(struct kolk_http *http, kolk_http_closed_fn *closed, void *user)
{
	enum kolk_err err;
	sem_t closed_sem;

	if (closed == NULL && kolk_loop_current() != NULL)
		return KOLK_E_THREAD;
	(void)sem_init(&closed_sem, 0, 0);
	http->close_fn = closed != NULL ? closed : wake;
	http->close_user = closed != NULL ? user : &closed_sem;
	err = kolk_loop_call(http->loop, &http->close_call, close_begin, http);
	while (err == KOLK_OK && closed == NULL && sem_wait(&closed_sem) != 0)
		; /* a signal */
	(void)sem_destroy(&closed_sem);
	return err;
}
