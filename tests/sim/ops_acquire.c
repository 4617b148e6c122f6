/* SPDX-License-Identifier: Apache-2.0 */
/* ops_acquire.c - random acquires: tried, blocking, asynchronous, cancelled; which errors
 * they may get. */
#include "tests/sim/ops.h"

static bool is_refusal(const struct pool_slot *pool, enum kolk_err err)
{
	switch (err) {
	case KOLK_E_EMPTY:
	case KOLK_E_TIMEOUT:
	case KOLK_E_QUEUE_FULL:
	case KOLK_E_MEMORY:
	case KOLK_E_FILES:
	case KOLK_E_RESOLVE:
	case KOLK_E_CONN_REFUSED:
	case KOLK_E_UNREACHABLE:
	case KOLK_E_CLOSED:
	case KOLK_E_RESET:
	case KOLK_E_PROTOCOL:
	case KOLK_E_AUTH:
	case KOLK_E_RESOURCE:
	case KOLK_E_DIAL_TIMEOUT:
	case KOLK_E_CIRCUIT:
	case KOLK_E_DEADLINE:
		return true;
	case KOLK_E_ROTATED:
		return pool->any_replaced; /* by now it may be in service again */
	case KOLK_E_LIMIT:
		return true; /* a key by identity, and there are too many */
	case KOLK_E_DRAINING:
		return pool->draining || pool->any_resumed;
	default:
		return false;
	}
}

static void ops_acquired(struct world *world, struct pool_slot *pool, enum kolk_err err,
			 const struct kolk_lease *lease, uint64_t began_ns)
{
	if (err == KOLK_OK)
		ops_lease_add(world, pool, lease, began_ns);
	else if (!is_refusal(pool, err))
		world_break(world, "an acquire failed for a reason that was not there");
}

void ops_try(struct world *world)
{
	struct pool_slot *pool = ops_any_pool(world);
	struct key_slot *key = ops_any_key(world, pool);
	uint64_t began_ns = kolk__sim_now(world->sim);
	struct kolk_lease lease;
	enum kolk_err err;
	bool open;

	if (key == NULL)
		return;
	key->busy++;
	open = world_open_to_others(world, true);
	err = kolk_try_acquire(key->key, &lease);
	(void)world_open_to_others(world, open);
	key->busy--;
	ops_acquired(world, pool, ops_traced(world, "try", err), &lease, began_ns);
}

void ops_block(struct world *world)
{
	struct pool_slot *pool = ops_any_pool(world);
	struct key_slot *key;
	struct kolk_lease lease;
	uint64_t deadline_ns, began_ns = kolk__sim_now(world->sim);
	enum kolk_err err;

	if (world->depth >= 2 || (key = ops_any_key(world, pool)) == NULL)
		return;
	deadline_ns = began_ns + below(world, 20 * KOLK_MS_NS);
	key->busy++;
	world_trace(world, "acquire ...");
	err = kolk_acquire(key->key, deadline_ns, &lease);
	key->busy--;
	ops_traced(world, "acquire", err);
	if (err == KOLK_E_TIMEOUT && kolk__sim_now(world->sim) < deadline_ns)
		world_break(world, "a time-out came before the deadline");
	ops_acquired(world, pool, err, &lease, began_ns);
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct wait_slot *wait = user;
	struct world *world = wait->world;

	ops_traced(world, "acquired later", err);
	if (!wait->pending)
		world_break(world, "a callback ran twice, or after a cancel");
	if (world->in_call)
		world_break(world, "a callback ran inside the call");
	if (err == KOLK_E_TIMEOUT && kolk__sim_now(world->sim) < wait->deadline_ns)
		world_break(world, "a time-out came before the deadline");
	wait->pending = false;
	ops_acquired(world, wait->pool, err, lease, wait->began_ns);
}

/* By handle, or (key NULL) by identity: then what was replaced is in service again. */
static enum kolk_err async_by(struct world *world, struct pool_slot *pool,
			      const struct key_slot *key, uint64_t index)
{
	struct wait_slot *wait = &world->waits[below(world, WAITS)];
	struct kolk_key_options who;
	enum kolk_err err;
	char tenant[8];

	if (wait->pending)
		return KOLK_E_IN_USE;
	*wait = (struct wait_slot){ .world = world, .pool = pool, .loop = ops_any_loop(world) };
	wait->began_ns = kolk__sim_now(world->sim);
	wait->deadline_ns = wait->began_ns + below(world, 200 * KOLK_MS_NS);
	if (below(world, 16) == 0)
		wait->deadline_ns = KOLK_FOREVER;
	world->in_call = true;
	who = ops_who_is(pool, index, tenant);
	err = key != NULL ? kolk_acquire_async(wait->loop, key->key, wait->deadline_ns,
					       &wait->acquire, on_lease, wait) :
			    kolk_acquire_as_async(wait->loop, pool->pool, &who, wait->deadline_ns,
						  &wait->acquire, on_lease, wait);
	world->in_call = false;
	wait->pending = ops_traced(world, "acquire_async", err) == KOLK_PENDING;
	if (!wait->pending)
		ops_acquired(world, pool, err, &wait->acquire.lease, wait->began_ns);
	return err;
}

void ops_async(struct world *world)
{
	struct pool_slot *pool = ops_any_pool(world);
	const struct key_slot *key = ops_any_key(world, pool);

	if (key != NULL)
		(void)async_by(world, pool, key, 0);
}

void ops_async_as(struct world *world)
{
	struct pool_slot *pool = ops_any_pool(world);
	uint64_t index = below(world, KEYS);
	enum kolk_err err;

	if (pool->pool == NULL)
		return;
	err = async_by(world, pool, NULL, index);
	if (err == KOLK_E_IN_USE || err == KOLK_E_LIMIT || err == KOLK_E_MEMORY ||
	    err == KOLK_E_DRAINING)
		return; /* the key was not opened */
	for (int k = 0; k < KEYS; k++) /* shared: several tenants' slots are one key */
		if (k == (int)index || (pool->isolation == KOLK_ISOLATION_SHARED &&
					k % 2 == (int)index % 2))
			pool->keys[k].replaced = false;
}

void ops_cancel_one(struct world *world, struct wait_slot *wait)
{
	enum kolk_err err;

	if (wait->world == NULL)
		return;
	err = ops_traced(world, "cancel", kolk_acquire_cancel(&wait->acquire));
	if (err != (wait->pending ? KOLK_OK : KOLK_E_NOT_FOUND))
		world_break(world, "a cancel did not know whether the acquire is pending");
	wait->pending = false;
}

void ops_cancel(struct world *world)
{
	ops_cancel_one(world, &world->waits[below(world, WAITS)]);
}
