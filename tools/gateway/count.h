/* SPDX-License-Identifier: Apache-2.0 */
/*
 * count.h - the numbers of each route: requests by how they ended, refusals, bytes, latencies.
 *
 * A route is told by its match: the counters of a route that a reload changes otherwise go on. They
 * are freed when no view has the route any more, and begin anew if one has it later.
 */
#ifndef KOLK_GATEWAY_COUNT_H
#define KOLK_GATEWAY_COUNT_H

#include "core/base/buckets.h"
#include "tools/gateway/config/config.h"

/* How a request ended, exactly one of them: its sum is the requests that ended. */
enum gw_outcome {
	GW_OUTCOME_1XX,         /* 101: a tunnel, however it ended */
	GW_OUTCOME_2XX,         /* to 5XX: the answer was sent whole */
	GW_OUTCOME_3XX,
	GW_OUTCOME_4XX,
	GW_OUTCOME_5XX,
	GW_OUTCOME_CLIENT_GONE, /* the client went, stalled, or broke its body off before that */
	GW_OUTCOME_BROKEN,      /* the gateway broke it off, as its upstream failed in the middle */
	GW_OUTCOMES
};

/* Why the gateway refused a request of a route; an answer of the upstream's is none of them. */
enum gw_refusal {
	GW_REFUSAL_TENANT,      /* 401, 403 */
	GW_REFUSAL_RATE,        /* 429 */
	GW_REFUSAL_BODY,        /* 413 */
	GW_REFUSALS
};

enum { GW_BUCKETS = KOLK__BUCKETS };

struct gw_ended {
	enum gw_outcome outcome;
	uint32_t status;         /* that the gateway refused it with; 0 = it did not */
	uint64_t received, sent; /* bytes of bodies, and of a tunnel */
	uint64_t took_ns;        /* from its head to the end of its answer */
};

/* What all loops counted. */
struct gw_numbers {
	uint64_t in_flight;
	uint64_t outcomes[GW_OUTCOMES], refused[GW_REFUSALS];
	uint64_t received, sent;
	uint64_t buckets[GW_BUCKETS]; /* of answers that were sent whole, but for 1XX */
	uint64_t timed, sum_ns;  /* how many these are, and their sum */
};

struct gw_count;

/* The counters of a route; NULL = of requests that no route takes. One user more of those that there
 * are, or new ones. Any thread. NULL = no memory. */
struct gw_count *gw_count_open(const struct gw_route *route);
/* One user less. Any thread. NULL is allowed. */
void gw_count_close(struct gw_count *count);

/* On the loop of this index: a request began; it ended, or (NULL) goes by another route. */
void gw_count_begin(struct gw_count *count, uint32_t loop);
void gw_count_end(struct gw_count *count, uint32_t loop, const struct gw_ended *ended);

/* Each of them, in the order in which they were opened first; numbers live as long as the call. Any
 * thread. False = no memory. */
typedef void gw_count_fn(void *user, const char *route, const struct gw_numbers *numbers);
bool gw_count_each(gw_count_fn *run, void *user);

/* How many took at most so long: a bucket counts when all of it does. */
uint64_t gw_numbers_below(const struct gw_numbers *numbers, uint64_t ns);
/* The bound below which so many of a thousand are, ns: of more than 137 s it is 137 s. 0 = none. */
uint64_t gw_numbers_quantile(const struct gw_numbers *numbers, uint32_t per_mille);

#endif
