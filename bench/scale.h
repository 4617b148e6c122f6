/* SPDX-License-Identifier: Apache-2.0 */
/* scale.h - what the series of `scale` share: the run, costs in thread CPU time, slopes, output. */
#ifndef KOLK_BENCH_SCALE_H
#define KOLK_BENCH_SCALE_H

#include "bench/kit.h"

struct scale {
	const struct args *args;
	FILE *json;          /* NULL = human */
	const char *series;  /* which runs now */
	uint64_t clock_ns;   /* of one clock_now */
	uint64_t cpu_ns;     /* of one cpu_now */
	double pass_s;       /* of one timed pass */
	double open_s;       /* the longest that opening the connections of one row may take */
	double step_s;       /* the longest that one measured step of a row may take */
};

/* CPU time of the calling thread: without what the machine does meanwhile, but for interrupts. */
uint64_t cpu_now(void);

/* CPU time of single operations, in ns */
enum { COSTS_MAX = 512 };
struct costs {
	double ns[COSTS_MAX];
	int count;
};
/* From begin (a cpu_now) to now, less the clock; false = full. */
bool costs_add(struct costs *costs, const struct scale *scale, uint64_t begin);
/* The same of so many operations together: the cost of one. */
bool costs_add_each(struct costs *costs, const struct scale *scale, uint64_t begin, uint32_t count);
double costs_median(struct costs *costs); /* sorts; 0 = none */
double costs_max(const struct costs *costs);

/* Costs at several n, and the slope of the least squares through them */
enum { POINTS_MAX = 16 };
struct points {
	double n[POINTS_MAX], ns[POINTS_MAX];
	int count;
};
void points_add(struct points *points, double n, double ns);
double points_slope(const struct points *points);

/* One row: "what" at n. Names the series in JSON; under a heading by scale_head for humans. */
void scale_head(const struct scale *scale, const char *about, const char *n);
void scale_row(const struct scale *scale, const char *what, uint32_t n, struct costs *costs);
void scale_slope(const struct scale *scale, const char *what, const struct points *points);
void scale_check(enum kolk_err err, const char *what); /* KOLK_OK and KOLK_PENDING go on */
uint64_t scale_random(uint64_t *state);

/* ---- a key with many connections, on a loop that this thread steps */

struct large_key {
	const struct scale *scale;
	bool sockets;
	struct kolk_engine *engine;
	struct kolk_loop *loop;
	struct kolk_pool *pool;
	struct kolk_key *key;
	struct kolk_lease *held; /* what is leased, `leased` of them */
	uint32_t leased, open;
	uint64_t random;
};
/* address NULL = resources in process */
void large_key_open(struct large_key *large, const struct scale *scale, uint32_t most,
		    const char *address);
void large_key_limit(struct large_key *large, uint32_t n);
/* Until so many are open and leased, or the time is over. */
void large_key_grow(struct large_key *large, uint32_t n);
/* One more, by itself: what the caller and the loop, which are one thread, spend on it. */
void large_key_grow_one(struct large_key *large, struct costs *costs);
void large_key_release(struct large_key *large, uint32_t count); /* chosen at random */
void large_key_take(struct large_key *large, uint32_t count);
void large_key_close(struct large_key *large);

/* Bursts and single steps with n connections, opened first: a table each. */
void scale_large_key(struct large_key *large, uint32_t n);

void scale_connections(const struct scale *scale);
void scale_evict(const struct scale *scale);
void scale_waiters(const struct scale *scale);
void scale_keys(const struct scale *scale);
void scale_sockets(const struct scale *scale);

#endif
