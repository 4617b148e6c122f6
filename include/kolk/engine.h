/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/engine.h - the engine of a process: its loops, limits, maintenance and drain.
 *
 * Threads:  create and destroy from one thread; everything else from any.
 * Fork:     the engine belongs to the process that created it; in a child every call answers
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
	KOLK_BACKEND_AUTO = 0, /* io_uring; epoll if that fails in any way (the log says why) */
	KOLK_BACKEND_IO_URING, /* io_uring or KOLK_E_BACKEND */
	KOLK_BACKEND_EPOLL
};

struct kolk_engine_options {
	uint32_t size;            /* sizeof; set by KOLK_INIT */
	uint32_t loops;           /* active ones; 0 = one per online CPU; <= KOLK_LOOPS_MAX */
	uint32_t loop_owner;      /* enum kolk_loop_owner */
	uint32_t backend;         /* enum kolk_backend */
	uint32_t connections_max; /* whole engine; 0 = 100; <= KOLK_CONNECTIONS_MAX */
	uint32_t connections_reserved; /* memory is reserved for this many, so the limit can be
	                                * raised later; 0 = connections_max */
	uint32_t waiters_max;     /* whole engine; 0 = 10 000; KOLK_UNLIMITED */
	uint32_t keys_max;        /* whole engine; 0 = 100 000; KOLK_UNLIMITED */
	uint32_t tenant_connections_max; /* each tenant, all pools; 0 = 10; KOLK_UNLIMITED;
	                           * kolk_tenant_limits_set changes it for one */
	uint32_t tenant_keys_max; /* each tenant, all pools; 0 = 1 000; KOLK_UNLIMITED */
	uint32_t dials_max;       /* in flight, whole engine; 0 = 64 */
	uint32_t event_mask;      /* KOLK_EVENT_BIT(...) | ...; 0 = none */
	uint32_t log_level;       /* enum kolk_log_level: this and worse are logged */
	uint32_t resources_max;   /* resources of all pools that draw from others (draws_from),
	                           * besides connections_max; memory is reserved for this many;
	                           * 0 = none: such pools are refused; <= KOLK_CONNECTIONS_MAX */
	uint64_t maintenance_interval_ns; /* maintenance wakes at least this often; 0 = 10 s */
	uint64_t lend_after_ns;   /* at a full limit, an idle connection of a tenant that has no
	                           * more than its fair share is lent to others only after this
	                           * long, and a tenant that has waited this long and has none at
	                           * all gets the next one that comes back; 0 = 1 s; KOLK_AT_ONCE,
	                           * KOLK_FOREVER = never */
	uint64_t seed;            /* of jitter; 0 = from the system, as the secret of hashes always
	                           * is */
	kolk_event_fn *on_event;  /* NULL = no events */
	void *event_user;
	kolk_log_fn *on_log;      /* NULL = silence */
	void *log_user;
	const struct kolk_sys *sys;   /* NULL = this machine; borrowed, outlives the engine */
	struct kolk_failure *failure; /* NULL, or filled when create fails; borrowed */
	uint32_t loops_reserved;  /* this many are opened and run, so more can be made active later;
	                           * 0 = loops; <= KOLK_LOOPS_MAX */
	uint32_t reserved;        /* zero */
	uint64_t busy_poll_ns;    /* how long a loop that has nothing to do looks for events before
				   * it sleeps: saves the wake-up of its thread, and costs CPU time
				   * (docs/embedding.md); 0 = it sleeps at once; <= 10 ms */
};                                /* since 0.1 */

#define KOLK_LOOPS_MAX 256
#define KOLK_CONNECTIONS_MAX (1u << 20)

KOLK_BEGIN

/* Create an engine: reserve its memory, open its loops, start its threads. *engine is set only on
 * KOLK_OK; it is then the caller's, who ends it with kolk_engine_destroy. Errors: E_OPTIONS
 * (failure->field names it), E_MEMORY, E_BACKEND, E_FILES, E_IO. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_engine_create(const struct kolk_engine_options *options, struct kolk_engine **engine);

/* Close at once everything that is still open, stop the threads, free everything. Streams are reset
 * and end with E_DRAINING; then waiters end with E_DRAINING and leases are revoked, in pools that
 * draw from others first (for at most 5 s). Blocks until closed, 10 s at most. Other threads may
 * release leases meanwhile, but must be inside no other call on this engine, and no handle of it
 * may be used afterwards; an embedder's loops must have returned. With io_uring, a thread that
 * stepped one of the loops may see a blocking call fail with EINTR shortly after this has returned:
 * the kernel ends the rings later, and interrupts these threads without a signal. NULL is allowed.
 * Errors, all of which leave the engine in place: E_TIMEOUT (a resource is leased, or a callback of
 * its driver does not return, or one of its operations is not completed: nothing that is still in
 * use is freed. The engine goes on draining and refuses new work; release what is leased, or wait
 * for it with kolk_engine_wait_closed or an embedder's loops, and call this again. A child that
 * takes longer to end does not cause this: it is killed), E_FORKED (nothing is touched: the child
 * process leaves the engine to exit or exec), E_THREAD (called from a callback). */
KOLK_API enum kolk_err kolk_engine_destroy(struct kolk_engine *engine);

/* Drain every pool (see kolk_pool_drain); returns at once. */
KOLK_API enum kolk_err kolk_engine_drain(struct kolk_engine *engine, uint64_t deadline_ns);

/* The same from a signal handler (async-signal-safe): stores grace_ns and wakes maintenance, which
 * then drains every pool with a deadline grace_ns from then. */
KOLK_API void kolk_engine_drain_from_signal(struct kolk_engine *engine, uint64_t grace_ns);

/* True when every pool is closed. */
KOLK_API bool kolk_engine_is_closed(struct kolk_engine *engine);

/* Wait until every pool is closed. Blocks. Errors: E_TIMEOUT, E_THREAD (on a loop), E_FORKED. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_engine_wait_closed(struct kolk_engine *engine,
							       uint64_t deadline_ns);

/* Change connections_max, up to connections_reserved. Leases are never dropped: above a lowered
 * limit, idle connections close at once and leased ones on release. Errors: E_OPTIONS (0, or more
 * than is reserved), E_FORKED. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_engine_connections_max_set(struct kolk_engine *engine, uint32_t connections_max);

/* Change the limits of tenants that have none of their own. 0 = leave as it is. Leases are never
 * dropped, as above. */
KOLK_API void kolk_engine_tenant_limits_set(struct kolk_engine *engine, uint32_t connections_max,
					    uint32_t keys_max);

/* Outdate every connection: idle ones close at once, leased ones when they come back, and those
 * being dialled are never handed out. Only connections dialled from now on are used. TLS sessions
 * are forgotten, too. For use when secrets or certificates were replaced; kolk_pool_rotate,
 * kolk_tenant_rotate and kolk_key_rotate do the same for a pool, a tenant or a key. Returns how
 * many connections were outdated. */
KOLK_API size_t kolk_engine_rotate(struct kolk_engine *engine);

/* Which idle connections to evict. NULL or 0 = any. */
struct kolk_filter {
	uint32_t size;      /* sizeof; set by KOLK_INIT */
	uint32_t reserved;  /* zero */
	const char *pool;   /* of the pool of this name */
	const char *tenant; /* of this tenant; "" = of the keys without one */
	uint64_t idle_ns;   /* idle for at least this long */
};                          /* since 0.1 */

/* Evict the idle connections that match the filter (NULL = all); returns how many began to close: 0
 * also when the filter's size is not set, or it has a field that this library does not know. Leases
 * go on; connections below idle_min are dialled again. */
KOLK_API size_t kolk_engine_clear(struct kolk_engine *engine, const struct kolk_filter *filter);

/* The engine's clock now: what deadlines are compared with. */
KOLK_API uint64_t kolk_engine_now(struct kolk_engine *engine);

/* Change how many loops are active, up to loops_reserved (0 = one per online CPU, but no more than
 * are reserved): from now on listeners accept on loops 0 .. loops-1, and dials of plain threads go
 * there. The other loops keep running: what they have is served to its end, and no task is lost.
 * HTTP servers close their connections there where no request is lost by it (kolk/http_server.h).
 * Errors: E_OPTIONS (beyond the reserve), E_IO (this kernel cannot leave out sockets of a
 * listener's address), with nothing changed; E_FORKED. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_engine_loops_set(struct kolk_engine *engine,
							     uint32_t loops);

/* Loops by number, 0 .. count-1, active or not; NULL beyond. */
KOLK_API uint32_t kolk_engine_loop_count(const struct kolk_engine *engine);
KOLK_API struct kolk_loop *kolk_engine_loop(struct kolk_engine *engine, uint32_t index);

/* The back end in use: "io_uring", "epoll" or "simulator". */
KOLK_API const char *kolk_engine_backend(const struct kolk_engine *engine);

/* Walk everything and verify the conservation laws (connections, permits, waiters, operations).
 * Exact while no other thread is inside a call; otherwise checks only the laws that hold at every
 * instant. Takes all locks: for tests and operators, not for a hot path. Returns KOLK_OK, or
 * KOLK_E_IN_USE with the broken law in *law (static text; law may be NULL). */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_check(struct kolk_engine *engine, const char **law);

KOLK_END

#endif
