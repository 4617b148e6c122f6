/* SPDX-License-Identifier: Apache-2.0 */
/* redis_call.h - one call: its commands as bytes, its replies, on a lease. */
#ifndef KOLK_REDIS_CALL_H
#define KOLK_REDIS_CALL_H

#include "transport/drivers/redis.h"
#include "transport/drivers/pump.h"

/* The idle time-out restarts with each slice sent. */
enum { REDIS_BUFFER = 16384, REDIS_SMALL = 512, REDIS_SLICE = 256 << 10 };

struct kolk_redis_call {
	struct pump pump; /* first */
	struct kolk_io send;

	/* The request; stays for a second attempt. */
	uint8_t *request;      /* NULL = it waits for a message */
	const char *exclusive; /* the name of a command that must be the only one of its call; NULL
	                        * = none */
	uint8_t *kinds;        /* enum redis_kind of each command; NULL = all are plain */
	uint64_t request_size;
	uint64_t deadline_ns;  /* 0 = by the options */
	uint64_t replies;
	uint32_t commands;
	uint32_t reply_bytes_max; /* 0 = by the options */
	uint8_t effects;
	uint8_t small[REDIS_SMALL]; /* the request, if it fits */

	/* Progress. */
	uint64_t request_sent; /* bytes of the request that were sent */
	uint32_t at;           /* commands that are answered */
	const struct kolk_redis_reply *reply;

	/* On a loop. */
	struct kolk_loop *loop;
	kolk_redis_done_fn *callback;
	void *user;
	struct kolk_call posted; /* the end of a call with which nothing is in flight */
	enum kolk_err err;
	bool end_posted;

	/* A one-shot call: acquires its leases. */
	struct kolk_key *key;
	struct kolk_acquire acquire;
	uint32_t dead_skipped; /* dead connections that were skipped */
	bool acquiring, retried, replayable, cancelled;
	void (*ended)(struct kolk_redis_call *call, enum kolk_err err);

	uint8_t buffer[REDIS_BUFFER]; /* last: only the rest is cleared */
};

/* Classify and encode. request NULL = listen. Afterwards redis_call_fini, also when it fails. */
enum kolk_err redis_call_init(struct kolk_redis_call *call,
			      const struct kolk_redis_request *request);
void redis_call_fini(struct kolk_redis_call *call);
/* On a lease, on a plain thread: returns when it has ended. */
enum kolk_err redis_call_run(struct kolk_redis_call *call, const struct kolk_lease *lease);
/* On a loop: KOLK_PENDING, and ended will be called from step. */
enum kolk_err redis_call_begin(struct kolk_redis_call *call, const struct kolk_lease *lease);
/* Have `ended` called from step. */
void redis_call_post(struct kolk_redis_call *call, enum kolk_err err);
/* Run the owner's callback, and free the call. */
void redis_call_notify(struct kolk_redis_call *call, enum kolk_err err);
/* For its creation on a loop; its callback is the caller's to set. */
enum kolk_err redis_call_make(struct kolk_loop *loop, const struct kolk_redis_request *request,
			      struct kolk_redis_call **call);
void redis_call_free(struct kolk_redis_call *call);

/* Memory of one call, not initialized; from and to any thread. NULL = no memory. */
struct kolk_redis_call *redis_call_cache_get(void);
void redis_call_cache_put(struct kolk_redis_call *call);

#endif
