/* SPDX-License-Identifier: Apache-2.0 */
/* export.c - batches of spans: filled, sent, sent again. */
#define _GNU_SOURCE /* sem_clockwait */
#include "tools/gateway/export.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "tools/gateway/gateway.h"
#include "tools/gateway/say.h"

static const char tail[] = "]}]}]}";

#define PAUSE_NS (30 * KOLK_S_NS)     /* the longest of the gateway's own between two tries, */
#define RETRY_AFTER_NS (3600 * KOLK_S_NS) /* and of the collector's */

enum { CAPACITY_MIN = 64 * 1024, ERROR_MAX = 160 };

static void schedule(struct gw_tracer *tracer);

/* ---- batches */

static void forget(struct gw_batch *batch)
{
	batch->spans = 0;
	batch->size = GW_HEAD_MAX;
}

static void lose(struct gw_batch *batch)
{
	gw_trace_count_spans(0, batch->spans);
	forget(batch);
}

static bool reserve(struct gw_batch *batch, size_t more)
{
	size_t capacity = batch->capacity;
	char *text;

	if (capacity == 0) {
		capacity = CAPACITY_MIN;
		batch->size = GW_HEAD_MAX;
	}
	while (capacity - batch->size < more)
		capacity *= 2;
	if (capacity == batch->capacity)
		return true;
	text = realloc(batch->text, capacity);
	if (text == NULL)
		return false;
	batch->text = text;
	batch->capacity = capacity;
	return true;
}

char *gw_export_room(struct gw_tracer *tracer, uint32_t spans)
{
	struct gw_batch *batch = &tracer->filling;

	if (batch->spans + tracer->sending.spans + spans > tracer->to->queue_max ||
	    !reserve(batch, spans * (GW_SPAN_MAX + sizeof ",") + sizeof tail)) {
		gw_trace_count_spans(0, spans);
		return NULL;
	}
	if (batch->spans > 0)
		batch->text[batch->size++] = ',';
	return batch->text + batch->size;
}

void gw_export_put(struct gw_tracer *tracer, size_t size, uint32_t spans)
{
	struct gw_batch *batch = &tracer->filling;
	const bool first = batch->spans == 0;

	batch->size += size;
	batch->spans += spans;
	if (first)
		tracer->first_ns = kolk_loop_now(tracer->loop->loop);
	if (tracer->exchange == NULL && (first || batch->spans >= tracer->to->queue_max / 4))
		schedule(tracer);
}

/* ---- what became of a batch */

/* 1, 2, 4 ... s after so many failures, up to 20 % less. */
static uint64_t pause_ns(uint32_t failed)
{
	uint64_t ns = failed > 5 ? PAUSE_NS : KOLK_S_NS << (failed - 1);
	uint16_t random = 0;

	(void)!getrandom(&random, sizeof random, GRND_NONBLOCK);
	return (ns < PAUSE_NS ? ns : PAUSE_NS) / 5 / 65536 * (5 * 65536 - random);
}

/* RFC 9110, section 10.2.3. A date is not read: the gateway's own pause holds. */
static uint64_t seconds_of(const char *text)
{
	unsigned long long seconds;

	if (text == NULL || text[0] == '\0' || text[strspn(text, "0123456789")] != '\0')
		return 0;
	seconds = strtoull(text, NULL, 10);
	return seconds < RETRY_AFTER_NS / KOLK_S_NS ? seconds * KOLK_S_NS : RETRY_AFTER_NS;
}

static bool may_pass(const struct gw_tracer *tracer)
{
	const uint32_t status = tracer->status;

	return status == 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

static void note(const struct gw_tracer *tracer, bool failed, const char *error)
{
	if (!gw_trace_count_export(failed, error) || tracer->to == NULL)
		return;
	gw_say("traces, %s: %s", tracer->to->endpoint,
	       error[0] != '\0' ? error : "they arrive again");
}

static void fail(struct gw_tracer *tracer, const char *error)
{
	uint64_t pause = pause_ns(++tracer->failed);

	if (pause < tracer->retry_after_ns)
		pause = tracer->retry_after_ns;
	tracer->retry_ns = kolk_in_ns(pause);
	if (!may_pass(tracer))
		lose(&tracer->sending);
	note(tracer, true, error);
}

/* How many spans the collector refused of a batch that it took, and why. */
static uint64_t rejected(const struct gw_tracer *tracer, char error[ERROR_MAX])
{
	json_t *root = json_loadb(tracer->answer, tracer->answer_size, 0, NULL);
	const json_t *partial = json_object_get(root, "partialSuccess");
	const json_t *count = json_object_get(partial, "rejectedSpans");
	const char *text = json_string_value(json_object_get(partial, "errorMessage"));
	uint64_t spans = json_is_string(count) ? strtoull(json_string_value(count), NULL, 10) :
						 (uint64_t)json_integer_value(count);

	if (spans > tracer->sending.spans)
		spans = tracer->sending.spans;
	if (spans > 0)
		snprintf(error, ERROR_MAX, "spans are rejected: %s", text != NULL ? text : "");
	json_decref(root);
	return spans;
}

static void succeed(struct gw_tracer *tracer)
{
	char error[ERROR_MAX] = "";
	uint64_t lost = rejected(tracer, error);

	for (char *at = error; *at != '\0'; at++) /* it is the collector's text */
		if (*at < ' ' || *at > '~')
			*at = '?';
	gw_trace_count_spans(tracer->sending.spans - lost, lost);
	forget(&tracer->sending);
	tracer->failed = 0;
	tracer->retry_ns = 0;
	note(tracer, false, error);
}

static void report(struct gw_tracer *tracer, enum kolk_err err, const char *phase)
{
	char error[ERROR_MAX];

	if (err == KOLK_OK && tracer->status >= 200 && tracer->status < 300) {
		succeed(tracer);
		return;
	}
	if (err == KOLK_OK)
		snprintf(error, sizeof error, "status %u", tracer->status);
	else
		snprintf(error, sizeof error, "%s (%s)", kolk_err_text(err), phase);
	if (err != KOLK_OK)
		tracer->status = 0;
	fail(tracer, error);
}

static void post(sem_t **waits)
{
	sem_t *sem = *waits;

	*waits = NULL;
	if (sem != NULL)
		sem_post(sem);
}

/* Whoever waits for the end of all is told that it is there, or will not come. */
static void settle(struct gw_tracer *tracer)
{
	if (tracer->to == NULL) {
		lose(&tracer->sending);
		lose(&tracer->filling);
	}
	if (tracer->sending.spans + tracer->filling.spans == 0 || tracer->failed > 0)
		post(&tracer->finished);
	post(&tracer->stopped);
	schedule(tracer);
}

/* ---- an export */

static void on_head(void *user, struct kolk_http_exchange *exchange, const struct kolk_http_head *head)
{
	struct gw_tracer *tracer = user;

	(void)exchange;
	tracer->status = head->status;
	tracer->retry_after_ns =
		seconds_of(kolk_http_field(head->fields, head->field_count, "retry-after"));
}

static void on_body(void *user, struct kolk_http_exchange *exchange, const void *data, size_t size)
{
	struct gw_tracer *tracer = user;
	size_t left = sizeof tracer->answer - tracer->answer_size;

	(void)exchange;
	size = size < left ? size : left;
	memcpy(tracer->answer + tracer->answer_size, data, size);
	tracer->answer_size += size;
}

/* One that a reload broke off is sent again at once. */
static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t trailer_count)
{
	struct gw_tracer *tracer = user;

	(void)trailers, (void)trailer_count;
	tracer->exchange = NULL;
	if (err != KOLK_E_CANCELLED || tracer->stopped == NULL)
		report(tracer, err, kolk_http_phase_of(err, exchange));
	settle(tracer);
}

static const struct kolk_http_handler handler = { .size = sizeof handler, .head = on_head,
						  .body = on_body, .end = on_end };

static enum kolk_err start(struct gw_tracer *tracer)
{
	static const struct kolk_http_field fields[] = { { "content-type", "application/json" },
							 { "user-agent", "kolk-gateway" } };
	const struct gw_collector *to = tracer->to;
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	char *text = tracer->sending.text + GW_HEAD_MAX - to->head_size;

	memcpy(text, to->head, to->head_size);
	memcpy(tracer->sending.text + tracer->sending.size, tail, sizeof tail - 1);
	request.method = "POST";
	request.target = to->url.target;
	request.authority = to->url.authority;
	request.fields = fields;
	request.field_count = sizeof fields / sizeof *fields;
	request.body = text;
	request.body_size = tracer->sending.size - GW_HEAD_MAX + to->head_size + sizeof tail - 1;
	request.replayable = 1; /* a span that comes twice has one id */
	request.deadline_ns = kolk_in_ns(to->timeout_ns);
	return kolk_http_start(tracer->loop->http, kolk_pool_key(to->pool), &request, &handler,
			       tracer, &tracer->exchange);
}

static void send_batch(struct gw_tracer *tracer)
{
	struct gw_batch sending = tracer->sending;
	enum kolk_err err;

	if (sending.spans == 0) {
		tracer->sending = tracer->filling;
		tracer->filling = sending;
	}
	tracer->status = 0;
	tracer->retry_after_ns = 0;
	tracer->answer_size = 0;
	err = start(tracer);
	if (err == KOLK_PENDING)
		return;
	tracer->exchange = NULL;
	report(tracer, err, kolk_http_phase_of(err, NULL));
	settle(tracer);
}

/* ---- when */

static void on_timer(struct kolk_timer *timer, void *user)
{
	(void)timer;
	schedule(user);
}

/* Send what is due, or set the timer for it. The end of an export does so, too. */
static void schedule(struct gw_tracer *tracer)
{
	const struct gw_collector *to = tracer->to;
	uint64_t now_ns = kolk_in_ns(0), due_ns = now_ns;

	kolk_timer_stop(&tracer->timer);
	if (to == NULL || tracer->exchange != NULL ||
	    tracer->sending.spans + tracer->filling.spans == 0)
		return;
	if (tracer->sending.spans == 0 && tracer->filling.spans < to->queue_max / 4 &&
	    tracer->finished == NULL)
		due_ns = tracer->first_ns + to->interval_ns;
	if (due_ns < tracer->retry_ns)
		due_ns = tracer->retry_ns;
	if (due_ns <= now_ns)
		send_batch(tracer);
	else
		(void)kolk_timer_start(tracer->loop->loop, &tracer->timer, due_ns, on_timer, tracer);
}

/* ---- from outside the loops */

struct swap {
	const struct gw_collector *to;
	sem_t stopped;
	uint32_t waiting;
};

static void swap(struct gw_loop *loop, void *user)
{
	struct gw_tracer *tracer = &loop->gateway->tracers[loop->index];
	struct swap *swap = user;

	tracer->to = swap->to;
	tracer->failed = 0;
	tracer->retry_ns = 0;
	loop->tracer = swap->to != NULL ? tracer : NULL;
	if (tracer->exchange == NULL) {
		settle(tracer);
		return;
	}
	tracer->stopped = &swap->stopped;
	swap->waiting++;
	kolk_http_cancel(tracer->exchange);
}

static void wait_for(sem_t *sem, uint32_t count)
{
	while (count > 0)
		count -= sem_wait(sem) == 0; /* a signal may interrupt it */
}

void gw_tracing_swap(struct gateway *gateway, struct gw_collector *collector)
{
	struct gw_collector *before = gateway->collector;
	struct swap visit = { .to = collector };

	if (collector == before)
		return;
	gateway->collector = collector;
	gw_trace_show(collector != NULL ? collector->endpoint : NULL);
	sem_init(&visit.stopped, 0, 0);
	gw_each_loop(gateway, swap, &visit);
	wait_for(&visit.stopped, visit.waiting);
	sem_destroy(&visit.stopped);
	gw_collector_close(before);
}

static void finish(struct gw_loop *loop, void *user)
{
	struct gw_tracer *tracer = &loop->gateway->tracers[loop->index];

	tracer->finished = user;
	tracer->failed = 0;
	tracer->retry_ns = 0; /* once more */
	if (tracer->exchange == NULL)
		settle(tracer);
}

static void give_up(struct gw_loop *loop, void *user)
{
	(void)user;
	loop->gateway->tracers[loop->index].finished = NULL;
}

void gw_tracing_end(struct gateway *gateway, uint64_t until_ns)
{
	const struct timespec until = { .tv_sec = (time_t)(until_ns / KOLK_S_NS),
					.tv_nsec = (long)(until_ns % KOLK_S_NS) };
	bool in_time = true;
	sem_t finished;

	if (gateway->collector == NULL)
		return;
	sem_init(&finished, 0, 0);
	gw_each_loop(gateway, finish, &finished);
	for (uint32_t i = 0; i < gateway->loop_count && in_time; i++)
		in_time = sem_clockwait(&finished, CLOCK_MONOTONIC, &until) == 0;
	gw_each_loop(gateway, give_up, NULL);
	sem_destroy(&finished);
	gw_tracing_swap(gateway, NULL);
}

void gw_tracing_free(struct gateway *gateway)
{
	for (uint32_t i = 0; i < gateway->loop_count; i++) {
		free(gateway->tracers[i].filling.text);
		free(gateway->tracers[i].sending.text);
	}
	free(gateway->tracers);
}
