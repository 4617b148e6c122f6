/* SPDX-License-Identifier: Apache-2.0 */
/* ops.h - the random operations of callers, by what they work on. ops.c draws one. */
#ifndef KOLK_TESTS_SIM_OPS_H
#define KOLK_TESTS_SIM_OPS_H

#include "tests/sim/world.h"

/* ops.c */
enum kolk_err ops_traced(struct world *world, const char *what, enum kolk_err err);
struct kolk_loop *ops_any_loop(struct world *world);
struct pool_slot *ops_any_pool(struct world *world);
/* Two tenants with two keys each: told apart by credential. */
struct kolk_key_options ops_who_is(const struct pool_slot *pool, uint64_t index, char tenant[8]);
enum kolk_err ops_key_open(struct world *world, struct pool_slot *pool, uint64_t index,
			   bool replaces);
/* A key of a pool that is there, opened when it is not; NULL when it cannot be. */
struct key_slot *ops_any_key(struct world *world, struct pool_slot *pool);

/* ops_lease.c */
struct lease_slot *ops_any_lease(struct world *world);
void ops_give_back(struct world *world, struct lease_slot *slot, bool discard);
void ops_stale(struct world *world);
void ops_foreign(struct world *world);
void ops_inspect_lease(struct world *world);
void ops_release(struct world *world);
/* A lease that no operation uses: only one thread at a time may. */
void ops_release_beside(struct world *world);

/* ops_acquire.c */
void ops_try(struct world *world);
void ops_block(struct world *world);
void ops_async(struct world *world);
void ops_async_as(struct world *world);
void ops_cancel_one(struct world *world, struct wait_slot *wait);
void ops_cancel(struct world *world);

/* ops_io.c */
uint64_t ops_soon(struct world *world);
void ops_io(struct world *world);
void ops_io_blocking(struct world *world);
void ops_io_cancel(struct world *world);

/* ops_key.c */
void ops_key_close(struct world *world);
void ops_warm(struct world *world);
void ops_rotate(struct world *world);
/* One credential takes the place of the tenant's other one. */
void ops_replace(struct world *world);
/* Its callers give up, it is closed, maintenance finds it in a permit queue and lets it go, and its
 * memory is the next key's. */
void ops_recycle_beside(struct world *world);

/* ops_pool.c */
void ops_tenant_limits(struct world *world);
void ops_limits(struct world *world);
void ops_drain(struct world *world);
void ops_resume(struct world *world);
void ops_pool_again(struct world *world);
void ops_drain_by_signal(struct world *world);
void ops_stats(struct world *world);
void ops_clear(struct world *world);
void ops_clear_some(struct world *world);
void ops_pool_beside(struct world *world);

#endif
