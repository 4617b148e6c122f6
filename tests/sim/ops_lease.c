/* SPDX-License-Identifier: Apache-2.0 */
/* ops_lease.c - random operations on leases: given back, used when stale or foreign, inspected. */
#include "core/acquire.h"
#include "tests/sim/ops.h"

/* Revoked: the deadline of its pool's drain has passed. */
static bool may_be_revoked(const struct world *world, const struct lease_slot *slot)
{
	return slot->pool->any_resumed ||
	       (slot->pool->draining && kolk__sim_now(world->sim) >= slot->pool->drain_at_ns);
}

/* No caller gets a connection that was dialled before a rotation that has returned. A waiter may
 * have been served before it and called back later, but not with one that became ready after it. */
static void must_be_current(struct world *world, const struct pool_slot *pool,
			    const struct kolk_lease *lease, uint64_t began_ns)
{
	const struct kolk__conn *conn = lease->connection;

	for (int i = 0; i < KEYS; i++) {
		const struct key_slot *slot = &pool->keys[i];

		if (slot->key == kolk__own(&conn->key) && conn->number <= slot->floor &&
		    (began_ns > slot->rotated_at_ns ||
		     kolk__own(&conn->ready_at_ns) > slot->rotated_at_ns))
			world_break(world, "a stale connection was handed out");
	}
}

void ops_lease_add(struct world *world, struct pool_slot *pool, const struct kolk_lease *lease,
		   uint64_t began_ns)
{
	struct lease_slot *free = NULL;

	for (int i = 0; i < LEASES; i++) {
		struct lease_slot *slot = &world->leases[i];

		if (!slot->used)
			free = slot;
		else if (slot->lease.connection == lease->connection && !slot->gone &&
			 !may_be_revoked(world, slot))
			world_break(world, "a connection was leased twice");
	}
	must_be_current(world, pool, lease, began_ns);
	if (free == NULL) {
		struct kolk_lease copy = *lease;

		(void)kolk_release(&copy);
		return;
	}
	*free = (struct lease_slot){ .world = world, .lease = *lease, .pool = pool, .used = true };
}

struct lease_slot *ops_any_lease(struct world *world)
{
	uint64_t start = below(world, LEASES);

	for (uint64_t i = 0; i < LEASES; i++) {
		struct lease_slot *slot = &world->leases[(start + i) % LEASES];

		if (slot->used && !slot->gone)
			return slot;
	}
	return NULL;
}

/* A lease that the caller holds answers OK, unless a drain took it. */
static void must_hold(struct world *world, const struct lease_slot *slot, enum kolk_err err)
{
	if (err != KOLK_OK && !(err == KOLK_E_LEASE_STALE && may_be_revoked(world, slot)))
		world_break(world, "a lease that is held does not work");
}

void ops_give_back(struct world *world, struct lease_slot *slot, bool discard)
{
	bool flying = slot->sending || slot->receiving, open;
	struct lease_slot was = { .pool = slot->pool, .lease = slot->lease };
	struct kolk_loop *own_loop = world->own_loop;
	enum kolk_err err;

	/* Bytes are expected: with raw bytes only the caller knows. */
	discard = discard || (slot->awaiting && !slot->pool->counting);
	slot->gone = flying;
	slot->used = flying;
	if (flying) /* it is given back by its loop's thread */
		world->own_loop = slot->loop;
	open = world_open_to_others(world, true);
	err = discard ? kolk_discard(&was.lease) : kolk_release(&was.lease);
	(void)world_open_to_others(world, open);
	world->own_loop = own_loop;
	must_hold(world, &was, ops_traced(world, discard ? "discard" : "release", err));
	world->stale[below(world, STALES)] = was.lease;
}

void ops_stale(struct world *world)
{
	struct kolk_lease *lease = &world->stale[below(world, STALES)];
	enum kolk_err err;

	if (lease->connection == NULL)
		return;
	switch (below(world, 3)) {
	case 0:
		err = kolk_release(lease);
		break;
	case 1:
		err = kolk_discard(lease);
		break;
	default:
		err = kolk_lease_tag(lease, 1);
	}
	if (ops_traced(world, "use of a stale lease", err) != KOLK_E_LEASE_STALE)
		world_break(world, "a stale lease was not refused");
}

void ops_foreign(struct world *world)
{
	struct lease_slot *slot = ops_any_lease(world);

	if (slot != NULL && kolk_engine_release(world->other, &slot->lease) != KOLK_E_LEASE_FOREIGN)
		world_break(world, "a lease of another engine was not refused");
}

void ops_inspect_lease(struct world *world)
{
	struct lease_slot *slot = ops_any_lease(world);
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	if (slot == NULL)
		return;
	if (!slot->sending && !slot->receiving) {
		must_hold(world, slot, kolk_lease_tag(&slot->lease, 7));
		if (below(world, 4) == 0)
			must_hold(world, slot, kolk_lease_pin(&slot->lease));
		if (below(world, 8) == 0)
			must_hold(world, slot, kolk_lease_peer_idle(&slot->lease, KOLK_MS_NS +
						below(world, 2 * KOLK_S_NS)));
		if (below(world, 4) == 0)
			must_hold(world, slot, kolk_lease_served(&slot->lease));
	}
	must_hold(world, slot, kolk_lease_info(&slot->lease, &info));
}

void ops_release(struct world *world)
{
	struct lease_slot *slot = ops_any_lease(world);

	if (slot != NULL)
		ops_give_back(world, slot, below(world, 8) == 0);
}

void ops_give_back_all(struct world *world)
{
	for (int i = 0; i < LEASES; i++)
		if (world->leases[i].used && !world->leases[i].gone)
			ops_give_back(world, &world->leases[i], false);
}

void ops_release_beside(struct world *world)
{
	struct lease_slot *slot = ops_any_lease(world);

	if (slot != NULL && !slot->sending && !slot->receiving)
		ops_give_back(world, slot, below(world, 2));
}
