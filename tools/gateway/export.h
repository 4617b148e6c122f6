/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export.h - spans on their way to a collector, by OTLP: HTTP with JSON.
 *
 *   collector   where they go: a URL, the pool of its connections, the options of `tracing`
 *   tracer      of a loop, which alone touches it: two batches of spans, as text. One is filled while
 *               the other is on its way; when that has arrived, they change places
 *
 * A batch is sent when a quarter of queue_max is in it, or interval after its first span. If that
 * fails for a reason that may pass (no connection, a time-out, 429, 502, 503, 504), it is kept, and
 * sent again 1, 2, 4 ... 30 s later, with up to 20 % jitter downwards, or when Retry-After says, if
 * that is later. Other failures lose it, and the next one waits as long. Spans beyond queue_max are
 * lost. A loop never waits for any of it.
 */
#ifndef KOLK_GATEWAY_EXPORT_H
#define KOLK_GATEWAY_EXPORT_H

#include <kolk/http.h>
#include <kolk/kolk.h>
#include <semaphore.h>

#include "tools/gateway/config/config.h"
#include "tools/gateway/url.h"

struct gateway;
struct gw_loop;

enum {
	GW_SPAN_MAX = 10240, /* bytes of a span */
	GW_HEAD_MAX = 2048   /* of what is in front of the spans of a batch */
};

/* It does not change. */
struct gw_collector {
	char *endpoint, *service_name, *ca_file; /* copies; "" = the default */
	struct gw_url url;
	struct kolk_pool *pool;
	uint64_t sample_from, interval_ns, timeout_ns;
	uint32_t queue_max;
	bool trusted_only;
	size_t head_size;
	char head[GW_HEAD_MAX];
};

struct gw_batch {
	char *text;          /* GW_HEAD_MAX bytes for the head, then the spans */
	size_t size, capacity;
	uint32_t spans;
};

struct gw_tracer {
	struct gw_loop *loop;
	const struct gw_collector *to; /* NULL = there is no tracing now */
	struct gw_batch filling, sending; /* sending.spans > 0: it is on its way, or failed */
	struct kolk_timer timer;
	struct kolk_http_exchange *exchange; /* NULL = none is on its way */
	uint64_t first_ns;   /* of filling: when its first span came */
	uint64_t retry_ns;   /* nothing is sent before that */
	uint32_t failed;     /* in a row */
	uint32_t status;     /* of the answer; 0 = none */
	uint64_t retry_after_ns; /* it says; 0 = it does not */
	size_t answer_size;
	char answer[1024];   /* its body; the rest is dropped */
	sem_t *stopped;      /* posted when exchange has ended; NULL = nobody waits */
	sem_t *finished;     /* posted when nothing is left, or an export failed; likewise */
	size_t random_left;
	uint8_t random[256]; /* for ids; see trace.c */
};

/* collector.c. The collector of a configuration: the gateway's as long as it is the same, a new one, or
 * NULL. Not on a loop; its loops are open. Errors: those of kolk_pool_add. */
KOLK_MUST_CHECK enum kolk_err gw_collector_open(struct gateway *gateway,
						const struct gw_config *config,
						struct gw_collector **collector);
/* No tracer has it. NULL is allowed. */
void gw_collector_close(struct gw_collector *collector);

/* export.c. From now on tracers have this collector, or none. What waits goes there; exports that are
 * under way are broken off. Blocks until they have ended; not on a loop. */
void gw_tracing_swap(struct gateway *gateway, struct gw_collector *collector);
/* Export what waits, until then at most; the rest is lost. Tracing ends. Not on a loop. */
void gw_tracing_end(struct gateway *gateway, uint64_t until_ns);
void gw_tracing_free(struct gateway *gateway);

/* On the loop, where there is a collector: room for so many spans of GW_SPAN_MAX bytes, behind a comma
 * if there has to be one; NULL = they are lost. Then what was written there. */
char *gw_export_room(struct gw_tracer *tracer, uint32_t spans);
void gw_export_put(struct gw_tracer *tracer, size_t size, uint32_t spans);

/* status/trace.c: numbers, for the admin server. Any thread. */
void gw_trace_count_spans(uint64_t exported, uint64_t lost);
/* An export ended; error "" = well. Whether that is another one than the last time. */
bool gw_trace_count_export(bool failed, const char *error);
/* They are shown from now on, as those of this endpoint; NULL = not any more. */
void gw_trace_show(const char *endpoint);

#endif
