/* SPDX-License-Identifier: Apache-2.0 */
/* world.h - one simulated engine: its callers, its random decisions, and what must hold. */
#ifndef KOLK_TESTS_SIM_WORLD_H
#define KOLK_TESTS_SIM_WORLD_H

#include <kolk/kolk.h>

#include "core/thread_cache.h"
#include "tests/sim/sim.h"

enum { POOLS = 4, KEYS = 4, LEASES = 48, WAITS = 24, STALES = 8, LATERS = 64 };

struct world;

struct key_slot {
	struct kolk_key *key; /* NULL = not open */
	int busy;             /* callers inside a blocking call */
	uint64_t floor;       /* rotated: connections dialled up to this number are stale */
	uint64_t rotated_at_ns;
	bool replaced;        /* its credential was */
};

/* A count that is bounded: it may be above a limit only since that was lowered, and only fall. */
struct bounded {
	uint32_t last;
};

struct pool_slot {
	struct kolk_pool *pool; /* NULL = not there */
	bool resource, counting, draining, any_replaced;
	bool any_resumed; /* its drain may still end callers later */
	int busy;             /* callers that work on all its keys */
	uint32_t host;        /* which of two it talks to */
	uint32_t isolation;
	uint64_t drain_at_ns;
	int closed_events;
	struct key_slot keys[KEYS];
};

struct lease_slot {
	struct world *world;
	struct kolk_lease lease;
	struct pool_slot *pool;
	bool used, sending, receiving, gone, blocking; /* gone: given back with operations in flight */
	bool awaiting;                       /* an answer is expected */
	struct kolk_loop *loop;              /* whose operations are in flight */
	struct kolk_io send, recv;
	uint32_t nonce, matched;
	char out[16], in[64];
};

struct wait_slot {
	struct world *world;
	struct kolk_acquire acquire;
	struct pool_slot *pool;
	struct kolk_loop *loop;
	uint64_t deadline_ns, began_ns;
	int late; /* turns beyond it */
	bool pending;
};

struct world {
	struct kolk__sim *sim;
	struct kolk_engine *engine, *other;
	uint32_t loops;
	struct bounded engine_open, pool_open[POOLS], tenant_open[KEYS];
	struct pool_slot pools[POOLS];
	struct lease_slot leases[LEASES];
	struct wait_slot waits[WAITS];
	struct kolk_lease stale[STALES];
	uint64_t steps, events, created, destroyed;
	uint32_t nonce;
	int depth, resources, sessions;
	void *later[LATERS];  /* operations that are in flight: later.c */
	int later_count;
	uint64_t later_begun, later_expired;
	int locks;            /* that the engine holds */
	bool open_to_others;  /* others may run between its accesses and its locks */
	struct kolk_loop *own_loop; /* of the thread that is in a call: others do not step it */
	struct kolk__cached_conn other_cache[KOLK__THREAD_CACHE_SIZE];
	bool beside;          /* they do */
	uint64_t came;        /* how often */
	bool maintaining;
	uint64_t resets_begun, resets_done, unsolicited;
	struct streams *streams;
	bool in_call, trace, calm;
	const char *broken;
};

/* A world with this seed; NULL when there is no memory for it. */
struct world *world_open(uint64_t seed, bool trace);
void world_close(struct world *world);
/* One random operation, then the audit. */
void world_step(struct world *world);
/* The faults stop; everything must come to rest and work again. Then close. */
void world_end(struct world *world);

void world_break(struct world *world, const char *law);
void world_trace(struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* All loops and maintenance run for a moment. */
void world_turn(void *world);
void world_maintain(struct world *world);
/* May others come in from now on? Returns whether they could until now. */
bool world_open_to_others(struct world *world, bool open);
void world_pool_add(struct world *world, struct pool_slot *slot);
/* Random options for it; name, isolation and kind are the slot's. */
void world_pool_options(struct world *world, const struct pool_slot *slot, uint32_t host,
			struct kolk_pool_options *o);

/* ops.c */
void ops_random(struct world *world);
/* What another thread may do while this one is inside a turn. */
void ops_beside(struct world *world);
void ops_tenant_name(uint64_t index, char name[8]);

/* ops_lease.c. began_ns: when its acquire began. */
void ops_lease_add(struct world *world, struct pool_slot *pool, const struct kolk_lease *lease,
		   uint64_t began_ns);
void ops_give_back_all(struct world *world);

/* streams.c: listeners, their streams, and the peers that dial them */
bool streams_open(struct world *world);
void streams_act(struct world *world); /* one random operation */
void streams_serve(struct world *world); /* with no fault left */
void streams_close(struct world *world); /* what is there; some is left to the engine's end */
uint64_t streams_opened(const struct world *world);
/* All streams have ended, in the way that they must. */
void streams_free(struct world *world);

/* storm.c: peers accept and close while there are no callers: there are few dials. */
void storm(struct world *world);

/* driver.c: the session of the counting driver's pool counts what a lease sends and receives */
extern const struct kolk_driver driver_counting;
enum kolk_err driver_expect(const struct kolk_lease *lease, uint32_t bytes);
enum kolk_err driver_got(const struct kolk_lease *lease, const char *bytes, size_t size);
bool driver_skips(char c); /* the peer may say it unasked */

/* later.c: the other of the two resource drivers; some of its operations end. */
extern const struct kolk_resource_driver later_driver;
void later_turn(struct world *world);

/* manage.c */
void manage_update(struct world *world);
void manage_tenant_warm(struct world *world);
void manage_inspect(struct world *world);

/* starvation.c: with no faults left. Ends with no lease and no waiter. */
void starvation(struct world *world);

static inline uint64_t below(struct world *world, uint64_t bound)
{
	return kolk__sim_below(world->sim, bound);
}

#endif
