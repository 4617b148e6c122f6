/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - what is known of a member of a balancer: requests in flight, numbers, health.
 *
 * A member is told by its name and that of its balancer: what is known of it goes on over a reload as
 * long as the balancer has it. It is freed when no view has it any more. An exchange that goes on may
 * have an old view for long: members of that one alone are shown as long as requests are there.
 */
#ifndef KOLK_GATEWAY_LOAD_H
#define KOLK_GATEWAY_LOAD_H

#include <kolk/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/atomic.h"

struct gw_probe;

/*
 * Threads. What requests change is a line of its own, changed by read-modify-write on any loop. An
 * exchange adds one to in_flight when the member is chosen for it, and takes it off once, on the same
 * loop: no reader sees less than 0. Who chooses reads it while others write: its choice is by a
 * moment ago, which is as good. What checks change is written by the loop that makes them alone.
 * No word publishes anything but itself: relaxed.
 */
struct gw_load {
	/* W: any loop, for each request. R: any thread. */
	_Alignas(KOLK_CACHE_LINE) kolk__atomic_u32 in_flight;
	kolk__atomic_u64 requests; /* that ended there, whatever became of them */
	kolk__atomic_u64 answered; /* of these: to the end */
	kolk__atomic_u64 failed;   /* of these: the member or its pool failed */
	kolk__atomic_u64 moved;    /* of these: went on to another member */

	/* W: the loop that makes checks. R: any thread. */
	_Alignas(KOLK_CACHE_LINE) kolk__atomic_bool down; /* its checks say so */
	kolk__atomic_u32 status;   /* of the answer to the last check; 0 = none came */
	kolk__atomic_int err;      /* of the last check: enum kolk_err */
	kolk__atomic_u64 checks, checks_failed;
	uint32_t in_a_row;         /* checks that say otherwise than `down`; this loop alone */
	struct gw_probe *probe;    /* that checks it by the newest view (health.c); this loop alone */

	/* W: a reload. R: any thread. */
	kolk__atomic_u32 weight;
	char *balancer, *pool;     /* constant; the name of the member (gw_member) */
	char *host;                /* constant: what resolved to it; "" = it is in the file */
	struct gw_load *next, **at; /* at: what points to it. These four under a lock */
	uint32_t users;
	uint64_t serial;           /* of the last view in force that had it */
};

/* One user more of what there is, or a new one; host NULL = "". Any thread. NULL = no memory. */
struct gw_load *gw_load_open(const char *balancer, const char *pool, const char *host);
/* One user less. Any thread. NULL is allowed. */
void gw_load_close(struct gw_load *load);

/* It is a member of the view that comes into force, with this weight. Under reload_lock; then, once for
 * all members of the view, the next. */
void gw_load_bind(struct gw_load *load, uint32_t weight);
void gw_load_bound(void);

/* A request goes there. On a loop, as the next. */
static inline void gw_load_begin(struct gw_load *load)
{
	(void)kolk__add_relaxed(&load->in_flight, 1);
}

/* It does so no more. */
static inline void gw_load_end(struct gw_load *load, bool answered, bool failed)
{
	(void)kolk__sub_relaxed(&load->in_flight, 1);
	(void)kolk__add_relaxed(&load->requests, 1);
	if (answered)
		(void)kolk__add_relaxed(&load->answered, 1);
	if (failed)
		(void)kolk__add_relaxed(&load->failed, 1);
}

/* Each of the view in force, and each that has requests, in the order in which they were opened first.
 * Under the lock: run is quick, and opens and closes none. Any thread. */
typedef void gw_load_fn(void *user, const struct gw_load *load);
void gw_load_each(gw_load_fn *run, void *user);

#endif
