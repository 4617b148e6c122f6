/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/engine.h - open and close the house: loops, limits, maintenance, drain.
 *
 * Threads:  create and destroy from one thread; the rest from any.
 * Fork:     the engine belongs to the process that made it; in a child every call answers
 *           KOLK_E_FORKED and touches nothing of the parent's.
 */
#ifndef KOLK_ENGINE_H
#define KOLK_ENGINE_H

#include <kolk/events.h>

enum kolk_loop_owner {
	KOLK_LOOPS_ENGINE = 0, /* the engine runs each loop on a thread of its own */
	KOLK_LOOPS_EMBEDDER    /* the embedder's threads call kolk_loop_run or kolk_loop_step */
};

enum kolk_backend {
	KOLK_BACKEND_AUTO = 0, /* io_uring; epoll on any failure of it, told in log and stats */
	KOLK_BACKEND_IO_URING, /* io_uring or KOLK_E_BACKEND */
	KOLK_BACKEND_EPOLL
};

struct kolk_engine_options {
	uint32_t size;            /* sizeof; set by KOLK_INIT */
	uint32_t loops;           /* active ones; 0 = one per online CPU; <= KOLK_LOOPS_MAX */
	uint32_t loop_owner;      /* enum kolk_loop_owner */
	uint32_t backend;         /* enum kolk_backend */
	uint32_t connections_max; /* whole engine; 0 = 100; <= KOLK_CONNECTIONS_MAX */
	uint32_t connections_reserved; /* memory for so many, so that the limit can be raised
	                                * later; 0 = connections_max */
	uint32_t waiters_max;     /* whole engine; 0 = 10 000; KOLK_UNLIMITED */
	uint32_t keys_max;        /* whole engine; 0 = 100 000; KOLK_UNLIMITED */
	uint32_t tenant_connections_max; /* each tenant, all pools; 0 = 10; KOLK_UNLIMITED;
	                           * kolk_tenant_limits_set changes it for one */
	uint32_t tenant_keys_max; /* each tenant, all pools; 0 = 1 000; KOLK_UNLIMITED */
	uint32_t dials_max;       /* in flight, whole engine; 0 = 64 */
	uint32_t event_mask;      /* KOLK_EVENT_BIT(...) | ...; 0 = none */
	uint32_t log_level;       /* enum kolk_log_level: this and worse are told */
	uint32_t resources_max;   /* resources of pools that draw from others (draws_from), all such
	                           * pools, besides connections_max; memory for so many; 0 = none:
	                           * such pools are refused; <= KOLK_CONNECTIONS_MAX */
	uint64_t maintenance_interval_ns; /* maintenance wakes at the latest then; 0 = 10 s */
	uint64_t lend_after_ns;   /* at a full limit, an idle connection of a tenant that has no
	                           * more than its fair share is lent to others only after so
	                           * long; and who waits that long and has none at all gets the
	                           * next that comes back; 0 = 1 s; KOLK_AT_ONCE, KOLK_FOREVER =
	                           * never */
	uint64_t seed;            /* of jitter; 0 = from the system, as the secret of hashes always */
	kolk_event_fn *on_event;  /* NULL = no events */
	void *event_user;
	kolk_log_fn *on_log;      /* NULL = silence */
	void *log_user;
	const struct kolk_sys *sys;   /* NULL = this machine; borrowed, outlives the engine */
	struct kolk_failure *failure; /* NULL, or filled when create fails; borrowed */
	uint32_t loops_reserved;  /* so many are opened, and run, so that more can be made active
	                           * later; 0 = loops; <= KOLK_LOOPS_MAX */
	uint32_t reserved;        /* zero */
};                                /* since 0.1 */

#define KOLK_LOOPS_MAX 256
#define KOLK_CONNECTIONS_MAX (1u << 20)

KOLK_BEGIN

/* Open an engine: reserve its memory, open its loops, start its threads. *engine is set
 * only on KOLK_OK and is then the caller's, to be ended by kolk_engine_destroy.
 * Errors: E_OPTIONS (failure->field names it), E_MEMORY, E_BACKEND, E_FILES, E_IO. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_engine_create(const struct kolk_engine_options *options, struct kolk_engine **engine);

/* Close what is still open at once (streams are reset, and end with E_DRAINING; then waiters end
 * with E_DRAINING, leases are revoked; pools that draw from others first, in 5 s at most), stop
 * the threads, free everything. Blocks until closed, 10 s at most. No other thread may be inside a
 * call on this engine, but for releasing leases, and no handle of it may be used afterwards;
 * embedder's loops must have returned. With io_uring, a blocking call of a thread that stepped one
 * of its loops may fail with EINTR shortly after this has returned: the kernel ends the rings
 * later, and interrupts these threads without a signal. NULL is allowed.
 * Errors, with the engine still there: E_TIMEOUT (a resource is leased, or a callback of its
 * driver does not return, or an operation is not completed: nothing is taken from under anybody.
 * The engine goes on draining and refuses new work; release what is leased, or wait for it with
 * kolk_engine_wait_closed or an embedder's loops, and call this again; a child that takes longer
 * to end is killed instead), E_FORKED (nothing is touched: the child leaves it to exit or exec),
 * E_THREAD (called from a callback). */
KOLK_API enum kolk_err kolk_engine_destroy(struct kolk_engine *engine);

/* Drain every pool (see kolk_pool_drain); returns at once. */
KOLK_API enum kolk_err kolk_engine_drain(struct kolk_engine *engine, uint64_t deadline_ns);

/* The same for a signal handler (async-signal-safe): only stores and wakes maintenance,
 * which then drains every pool with a deadline grace_ns later. */
KOLK_API void kolk_engine_drain_from_signal(struct kolk_engine *engine, uint64_t grace_ns);

/* True when every pool is closed. */
KOLK_API bool kolk_engine_is_closed(struct kolk_engine *engine);

/* Wait until every pool is closed. Blocks. Errors: E_TIMEOUT, E_THREAD (on a loop), E_FORKED. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_engine_wait_closed(struct kolk_engine *engine,
							       uint64_t deadline_ns);

/* Change the total limit, up to connections_reserved. Leases are never dropped: above a
 * lowered limit, idle connections close at once and leased ones on release.
 * Errors: E_OPTIONS (0 or beyond the reserve), E_FORKED. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_engine_connections_max_set(struct kolk_engine *engine, uint32_t connections_max);

/* Change what tenants without limits of their own may have. 0 = leave as it is. Leases are
 * never dropped, as above. */
KOLK_API void kolk_engine_tenant_limits_set(struct kolk_engine *engine, uint32_t connections_max,
					    uint32_t keys_max);

/* Outdate every connection: idle ones close at once, leased ones when they come back, dials
 * in flight are never handed out. What is dialled from now on is new. Also forgets the TLS
 * sessions. For secrets or certificates that were replaced; kolk_pool_rotate,
 * kolk_tenant_rotate and kolk_key_rotate do it for a part. Returns how many connections
 * are outdated. */
KOLK_API size_t kolk_engine_rotate(struct kolk_engine *engine);

/* Which idle connections are meant. NULL or 0 = any. */
struct kolk_filter {
	uint32_t size;      /* sizeof; set by KOLK_INIT */
	uint32_t reserved;  /* zero */
	const char *pool;   /* of the pool of this name */
	const char *tenant; /* of this tenant; "" = of the keys without one */
	uint64_t idle_ns;   /* idle for at least so long */
};                          /* since 0.1 */

/* Evict the idle connections that are meant (filter NULL = all); returns how many began to close: 0
 * also when the filter's size is not set, or it asks for what this library does not know.
 * Leases go on; connections below idle_min are dialled again. */
KOLK_API size_t kolk_engine_clear(struct kolk_engine *engine, const struct kolk_filter *filter);

/* The engine's clock now: what deadlines are compared with. */
KOLK_API uint64_t kolk_engine_now(struct kolk_engine *engine);

/* Change how many loops are active, up to loops_reserved (0 = one per online CPU, as far as there
 * are so many): from now on listeners accept on loops 0 .. loops-1, and dials of plain threads go
 * there. The others run on: what they have is served to its end, and no task is lost. HTTP servers
 * part with their connections there when no request is lost by it (kolk/http_server.h). Errors:
 * E_OPTIONS (beyond the reserve), E_IO (this kernel cannot leave out sockets of a listener's
 * address), with nothing changed; E_FORKED. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_engine_loops_set(struct kolk_engine *engine,
							     uint32_t loops);

/* Loops by number, 0 .. count-1, those that are not active too; NULL beyond. */
KOLK_API uint32_t kolk_engine_loop_count(const struct kolk_engine *engine);
KOLK_API struct kolk_loop *kolk_engine_loop(struct kolk_engine *engine, uint32_t index);

/* The back end in use: "io_uring", "epoll" or "simulator". */
KOLK_API const char *kolk_engine_backend(const struct kolk_engine *engine);

/* Walk everything and verify the conservation laws (connections, permits, waiters,
 * operations). Exact while no other thread is inside a call; otherwise only the laws that
 * hold at every instant are checked. Takes all locks: for tests and operators, not for
 * a hot path. Returns KOLK_OK, or KOLK_E_IN_USE with the broken law in *law (static text;
 * law may be NULL). */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_check(struct kolk_engine *engine, const char **law);

KOLK_END

#endif
