/* SPDX-License-Identifier: Apache-2.0 */
/* ops.c - what callers do, at random, and which results they must get. */
#include <stdio.h>
#include <string.h>

#include "core/acquire.h"
#include "core/pool.h"
#include "tests/sim/world.h"

static enum kolk_err traced(struct world *world, const char *what, enum kolk_err err)
{
	world_trace(world, "%s: %s", what, kolk_err_name(err));
	kolk__sim_record(world->sim, (uint64_t)(int64_t)err);
	return err;
}

static struct kolk_loop *any_loop(struct world *world)
{
	return kolk_engine_loop(world->engine, (uint32_t)below(world, world->loops));
}

static struct pool_slot *any_pool(struct world *world)
{
	return &world->pools[below(world, POOLS)];
}

void ops_tenant_name(uint64_t index, char name[8])
{
	snprintf(name, 8, "t%llu", (unsigned long long)index);
}

/* Two tenants with two keys each: told apart by credential. */
static struct kolk_key_options who_is(const struct pool_slot *pool, uint64_t index, char tenant[8])
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);

	ops_tenant_name(index / 2, tenant);
	o.tenant = tenant;
	o.credential = index % 2 ? "secret" : "older secret";
	o.credential_size = (uint32_t)strlen(o.credential);
	o.session = pool->isolation == KOLK_ISOLATION_SESSION ? "s" : NULL;
	return o;
}

static enum kolk_err key_open(struct world *world, struct pool_slot *pool, uint64_t index,
			      bool replaces)
{
	char tenant[8];
	struct kolk_key_options o = who_is(pool, index, tenant);

	o.replaces = replaces;
	return traced(world, "open key", kolk_key_open(pool->pool, &o, &pool->keys[index].key));
}

/* A key of a pool that is there, opened when it is not; NULL when it cannot be. */
static struct key_slot *any_key(struct world *world, struct pool_slot *pool)
{
	uint64_t index = below(world, KEYS);
	struct key_slot *slot = &pool->keys[index];

	if (pool->pool == NULL)
		return NULL;
	if (slot->key != NULL)
		return slot;
	if (key_open(world, pool, index, false) != KOLK_OK)
		slot->key = NULL;
	slot->replaced = false;
	return slot->key != NULL ? slot : NULL;
}

/* ---- leases */

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

static struct lease_slot *any_lease(struct world *world)
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

static void give_back(struct world *world, struct lease_slot *slot, bool discard)
{
	bool flying = slot->sending || slot->receiving;
	enum kolk_err err;

	/* Bytes are expected: with raw bytes only the caller knows. */
	discard = discard || (slot->awaiting && !slot->pool->counting);
	err = discard ? traced(world, "discard", kolk_discard(&slot->lease)) :
			traced(world, "release", kolk_release(&slot->lease));
	must_hold(world, slot, err);
	world->stale[below(world, STALES)] = slot->lease;
	slot->gone = flying;
	slot->used = flying;
}

static void stale(struct world *world)
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
	if (traced(world, "use of a stale lease", err) != KOLK_E_LEASE_STALE)
		world_break(world, "a stale lease was not refused");
}

static void foreign(struct world *world)
{
	struct lease_slot *slot = any_lease(world);

	if (slot != NULL && kolk_engine_release(world->other, &slot->lease) != KOLK_E_LEASE_FOREIGN)
		world_break(world, "a lease of another engine was not refused");
}

static void inspect_lease(struct world *world)
{
	struct lease_slot *slot = any_lease(world);
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
	}
	must_hold(world, slot, kolk_lease_info(&slot->lease, &info));
}

/* ---- acquire */

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

static void acquired(struct world *world, struct pool_slot *pool, enum kolk_err err,
		     const struct kolk_lease *lease, uint64_t began_ns)
{
	if (err == KOLK_OK)
		ops_lease_add(world, pool, lease, began_ns);
	else if (!is_refusal(pool, err))
		world_break(world, "an acquire failed for a reason that was not there");
}

static void try(struct world *world)
{
	struct pool_slot *pool = any_pool(world);
	struct key_slot *key = any_key(world, pool);
	struct kolk_lease lease;

	if (key != NULL)
		acquired(world, pool,
			 traced(world, "try", kolk_try_acquire(key->key, &lease)), &lease,
			 kolk__sim_now(world->sim));
}

static void block(struct world *world)
{
	struct pool_slot *pool = any_pool(world);
	struct key_slot *key;
	struct kolk_lease lease;
	uint64_t deadline_ns, began_ns = kolk__sim_now(world->sim);
	enum kolk_err err;

	if (world->depth >= 2 || (key = any_key(world, pool)) == NULL)
		return;
	deadline_ns = began_ns + below(world, 20 * KOLK_MS_NS);
	key->busy++;
	world_trace(world, "acquire ...");
	err = kolk_acquire(key->key, deadline_ns, &lease);
	key->busy--;
	traced(world, "acquire", err);
	if (err == KOLK_E_TIMEOUT && kolk__sim_now(world->sim) < deadline_ns)
		world_break(world, "a time-out came before the deadline");
	acquired(world, pool, err, &lease, began_ns);
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct wait_slot *wait = user;
	struct world *world = wait->world;

	traced(world, "acquired later", err);
	if (!wait->pending)
		world_break(world, "a callback ran twice, or after a cancel");
	if (world->in_call)
		world_break(world, "a callback ran inside the call");
	if (err == KOLK_E_TIMEOUT && kolk__sim_now(world->sim) < wait->deadline_ns)
		world_break(world, "a time-out came before the deadline");
	wait->pending = false;
	acquired(world, wait->pool, err, lease, wait->began_ns);
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
	*wait = (struct wait_slot){ .world = world, .pool = pool, .loop = any_loop(world) };
	wait->began_ns = kolk__sim_now(world->sim);
	wait->deadline_ns = wait->began_ns + below(world, 200 * KOLK_MS_NS);
	if (below(world, 16) == 0)
		wait->deadline_ns = KOLK_FOREVER;
	world->in_call = true;
	who = who_is(pool, index, tenant);
	err = key != NULL ? kolk_acquire_async(wait->loop, key->key, wait->deadline_ns,
					       &wait->acquire, on_lease, wait) :
			    kolk_acquire_as_async(wait->loop, pool->pool, &who, wait->deadline_ns,
						  &wait->acquire, on_lease, wait);
	world->in_call = false;
	wait->pending = traced(world, "acquire_async", err) == KOLK_PENDING;
	if (!wait->pending)
		acquired(world, pool, err, &wait->acquire.lease, wait->began_ns);
	return err;
}

static void async(struct world *world)
{
	struct pool_slot *pool = any_pool(world);
	const struct key_slot *key = any_key(world, pool);

	if (key != NULL)
		(void)async_by(world, pool, key, 0);
}

static void async_as(struct world *world)
{
	struct pool_slot *pool = any_pool(world);
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

static void cancel_one(struct world *world, struct wait_slot *wait)
{
	enum kolk_err err;

	if (wait->world == NULL)
		return;
	err = traced(world, "cancel", kolk_acquire_cancel(&wait->acquire));
	if (err != (wait->pending ? KOLK_OK : KOLK_E_NOT_FOUND))
		world_break(world, "a cancel did not know whether the acquire is pending");
	wait->pending = false;
}

static void cancel(struct world *world)
{
	cancel_one(world, &world->waits[below(world, WAITS)]);
}

/* ---- I/O */

static void io_over(struct lease_slot *slot, enum kolk_err err)
{
	struct world *world = slot->world;

	traced(world, "operation", err);
	if (err != KOLK_OK)
		slot->awaiting = true; /* unknown what the peer has seen */
	if (slot->gone && !slot->sending && !slot->receiving)
		slot->used = slot->gone = false;
}

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	struct lease_slot *slot = user;

	slot->sending = false;
	if (err == KOLK_OK && size != strlen(slot->out))
		world_break(slot->world, "a send was reported done, but was not");
	io_over(slot, err);
}

/* Each byte must be the next of this lease's own echo; a peer's junk is recognised by its
 * letters. */
static void check_echo(struct lease_slot *slot, size_t size)
{
	world_trace(slot->world, "received '%.*s' of '%s' at %u", (int)size, slot->in, slot->out,
		    slot->matched);
	for (size_t i = 0; i < size; i++) {
		if (driver_skips(slot->in[i]))
			continue;
		if (slot->out[slot->matched] != slot->in[i])
			world_break(slot->world, "a lease received another one's bytes");
		else
			slot->matched++;
	}
	slot->awaiting = slot->out[slot->matched] != 0;
	if (slot->pool->counting && (!slot->gone || slot->blocking))
		(void)driver_got(&slot->lease, slot->in, size);
}

static void on_received(void *user, enum kolk_err err, size_t size)
{
	struct lease_slot *slot = user;

	slot->receiving = false;
	if (err == KOLK_OK)
		check_echo(slot, size);
	io_over(slot, err);
}

static void message(struct world *world, struct lease_slot *slot)
{
	snprintf(slot->out, sizeof slot->out, "%010u", ++world->nonce * 7919u);
	slot->matched = 0;
	slot->awaiting = true;
	if (slot->pool->counting)
		(void)driver_expect(&slot->lease, (uint32_t)strlen(slot->out));
}

static uint64_t soon(struct world *world)
{
	return kolk__sim_now(world->sim) + below(world, 50 * KOLK_MS_NS);
}

static void begin_send(struct world *world, struct lease_slot *slot, struct kolk_loop *loop)
{
	enum kolk_err err;

	if (slot->sending || slot->awaiting)
		return;
	message(world, slot);
	err = kolk_send_async(loop, &slot->lease, &slot->send, slot->out, strlen(slot->out),
			      soon(world), on_sent, slot);
	world_trace(world, "lease %d sends '%s'", (int)(slot - world->leases), slot->out);
	slot->sending = traced(world, "send_async", err) == KOLK_PENDING;
}

static void begin_recv(struct world *world, struct lease_slot *slot, struct kolk_loop *loop)
{
	enum kolk_err err;

	if (slot->receiving)
		return;
	err = kolk_recv_async(loop, &slot->lease, &slot->recv, slot->in, sizeof slot->in,
			      soon(world), on_received, slot);
	slot->receiving = traced(world, "recv_async", err) == KOLK_PENDING;
}

static void io(struct world *world)
{
	struct lease_slot *slot = any_lease(world);

	if (slot == NULL || slot->pool->resource)
		return;
	if (!slot->sending && !slot->receiving)
		slot->loop = any_loop(world);
	if (below(world, 2))
		begin_send(world, slot, slot->loop);
	else
		begin_recv(world, slot, slot->loop);
}

static void io_blocking(struct world *world)
{
	struct lease_slot *slot = any_lease(world);
	enum kolk_err err;
	size_t size = 0;

	if (slot == NULL || world->depth >= 2 || slot->pool->resource || slot->sending ||
	    slot->receiving || slot->awaiting)
		return;
	slot->gone = slot->blocking = true; /* no other operation may take it meanwhile */
	message(world, slot);
	err = kolk_send_all(&slot->lease, slot->out, strlen(slot->out), soon(world));
	while (traced(world, "send or recv", err) == KOLK_OK && slot->awaiting) {
		err = kolk_recv(&slot->lease, slot->in, sizeof slot->in, soon(world), &size);
		if (err == KOLK_OK)
			check_echo(slot, size);
	}
	slot->gone = slot->blocking = false;
}

static void io_cancel(struct world *world)
{
	struct lease_slot *slot = &world->leases[below(world, LEASES)];

	if (slot->used && slot->receiving &&
	    traced(world, "io_cancel", kolk_io_cancel(&slot->recv)) != KOLK_OK)
		world_break(world, "an operation in flight cannot be cancelled");
}

static void release(struct world *world)
{
	struct lease_slot *slot = any_lease(world);

	if (slot != NULL)
		give_back(world, slot, below(world, 8) == 0);
}

void ops_give_back_all(struct world *world)
{
	for (int i = 0; i < LEASES; i++)
		if (world->leases[i].used && !world->leases[i].gone)
			give_back(world, &world->leases[i], false);
}

/* ---- pools and keys */

static bool is_busy(const struct pool_slot *pool)
{
	for (int k = 0; k < KEYS; k++)
		if (pool->keys[k].busy)
			return true;
	return pool->busy > 0;
}

static void key_close(struct world *world)
{
	struct pool_slot *pool = any_pool(world);
	struct key_slot *slot = &pool->keys[below(world, KEYS)];

	if (pool->pool == NULL || slot->key == NULL || slot->busy)
		return;
	world_trace(world, "close key");
	kolk_key_close(slot->key);
	slot->key = NULL;
}

static void warm(struct world *world)
{
	struct pool_slot *pool = any_pool(world);
	struct key_slot *key;

	if (world->depth >= 2 || pool->pool == NULL || (key = any_key(world, pool)) == NULL)
		return;
	key->busy++;
	traced(world, "warm", below(world, 2) ? kolk_key_warm(key->key, soon(world)) :
					      kolk_pool_warm(pool->pool, soon(world)));
	key->busy--;
}

/* floor: next_number when the rotation began. What it dialled itself is current. */
static void raise_floor(struct world *world, struct key_slot *slot, uint64_t floor)
{
	slot->floor = floor;
	slot->rotated_at_ns = kolk__sim_now(world->sim);
}

/* What was dialled until then is stale for these keys: of one pool or all, one tenant or all. */
static void raise_floors(struct world *world, const struct pool_slot *pool, int tenant,
			 uint64_t floor)
{
	for (int p = 0; p < POOLS; p++)
		for (int k = 0; k < KEYS; k++)
			if ((pool == NULL || pool == &world->pools[p]) &&
			    (tenant < 0 || tenant == k / 2))
				raise_floor(world, &world->pools[p].keys[k], floor);
}

static void rotate(struct world *world)
{
	struct pool_slot *pool = any_pool(world);
	int tenant = (int)below(world, KEYS / 2);
	uint64_t floor = world->engine->next_number;
	struct key_slot *key;
	char name[8];

	world_trace(world, "rotate");
	switch (below(world, 4)) {
	case 0:
		kolk__sim_record(world->sim, kolk_engine_rotate(world->engine));
		raise_floors(world, NULL, -1, floor);
		return;
	case 1:
		if (pool->pool == NULL)
			return;
		kolk__sim_record(world->sim, kolk_pool_rotate(pool->pool));
		raise_floors(world, pool, -1, floor);
		return;
	case 2:
		ops_tenant_name((uint64_t)tenant, name);
		kolk__sim_record(world->sim, kolk_tenant_rotate(world->engine, name));
		for (int p = 0; p < POOLS; p++)
			if (world->pools[p].isolation != KOLK_ISOLATION_SHARED)
				raise_floors(world, &world->pools[p], tenant, floor);
		return;
	default:
		if ((key = any_key(world, pool)) == NULL)
			return;
		kolk__sim_record(world->sim, kolk_key_rotate(key->key));
		raise_floor(world, key, floor);
	}
}

/* One credential takes the place of the tenant's other one. */
static void replace(struct world *world)
{
	struct pool_slot *pool = any_pool(world);
	uint64_t index = below(world, KEYS), floor = world->engine->next_number;
	struct key_slot *old = &pool->keys[index ^ 1];

	if (pool->pool == NULL || pool->keys[index].key != NULL ||
	    pool->isolation == KOLK_ISOLATION_SHARED)
		return;
	if (key_open(world, pool, index, true) != KOLK_OK) {
		pool->keys[index].key = NULL;
		return;
	}
	pool->keys[index].replaced = false;
	old->replaced = pool->any_replaced = true;
	raise_floor(world, old, floor);
}

static void tenant_limits(struct world *world)
{
	struct kolk_tenant_limits l = KOLK_INIT(kolk_tenant_limits);
	char name[8];

	ops_tenant_name(below(world, KEYS / 2), name);
	l.connections_max = (uint32_t)below(world, 24);
	l.keys_max = (uint32_t)below(world, 6);
	l.weight = (uint32_t)below(world, 5);
	if (below(world, 4) == 0) {
		kolk_engine_tenant_limits_set(world->engine, (uint32_t)below(world, 20),
					      (uint32_t)below(world, 6));
		return;
	}
	traced(world, "tenant limits",
	       kolk_tenant_limits_set(world->engine, name, below(world, 3) ? &l : NULL));
}

static void limits(struct world *world)
{
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct pool_slot *pool = any_pool(world);
	enum kolk_err err;

	if (below(world, 4) == 0) {
		traced(world, "connections_max",
		       kolk_engine_connections_max_set(world->engine,
						       1 + (uint32_t)below(world, 48)));
		return;
	}
	if (pool->pool == NULL)
		return;
	l.connections_max = 1 + (uint32_t)below(world, 10);
	l.idle_min = below(world, 2) ? KOLK_NONE : 1;
	l.pool_connections_max = below(world, 2) ? 1 + (uint32_t)below(world, 20) : 0;
	l.overtake_max_ns = below(world, 2) ? KOLK_AT_ONCE : below(world, 10 * KOLK_MS_NS);
	world->open_to_others = !world->calm && !world->beside;
	err = kolk_pool_limits_set(pool->pool, &l);
	world->open_to_others = false;
	traced(world, "limits", err);
}

static void drain(struct world *world)
{
	struct pool_slot *pool = any_pool(world);
	uint64_t at_ns = kolk__sim_now(world->sim) + below(world, 100 * KOLK_MS_NS);

	if (pool->pool == NULL)
		return;
	if (!pool->draining || at_ns < pool->drain_at_ns)
		pool->drain_at_ns = at_ns;
	pool->draining = true;
	if (below(world, 2))
		traced(world, "suspend", kolk_pool_suspend(pool->pool, at_ns));
	else
		traced(world, "drain", kolk_pool_drain(pool->pool, at_ns));
}

static void resume(struct world *world)
{
	struct pool_slot *pool = any_pool(world);

	if (pool->pool == NULL || !pool->draining)
		return;
	if (traced(world, "resume", kolk_pool_resume(pool->pool)) != KOLK_OK)
		return; /* its closed event is being delivered */
	pool->draining = false;
	pool->any_resumed = true;
	pool->closed_events = 0;
}

static void pool_again(struct world *world)
{
	struct pool_slot *pool = any_pool(world);
	uint64_t deadline_ns;

	if (world->depth > 0 || is_busy(pool))
		return;
	if (pool->pool == NULL) {
		world_pool_add(world, pool);
		return;
	}
	if (!pool->draining)
		return;
	for (int i = 0; i < LEASES; i++) /* handles of it end with it */
		if (world->leases[i].used && world->leases[i].pool == pool)
			return;
	for (int i = 0; i < WAITS; i++)
		if (world->waits[i].pending && world->waits[i].pool == pool)
			return;
	deadline_ns = kolk__sim_now(world->sim) + 3600 * KOLK_S_NS; /* time jumps, too */
	world->calm = true; /* no other may use it meanwhile */
	if (traced(world, "close pool", kolk_pool_close(pool->pool, deadline_ns)) != KOLK_OK)
		world_break(world, "a drained pool does not close");
	else if (pool->closed_events != 1)
		world_break(world, "a closed pool did not say so exactly once");
	world->calm = false;
	pool->pool = NULL;
}

static void drain_by_signal(struct world *world)
{
	kolk_engine_drain_from_signal(world->engine, 50 * KOLK_MS_NS);
	for (int i = 0; i < POOLS; i++) {
		world->pools[i].draining = true;
		world->pools[i].drain_at_ns = 0; /* when maintenance sees it */
	}
	world_trace(world, "SIGTERM");
	(void)kolk_engine_maintain(world->engine); /* so that no later pool is meant */
}

static void stats(struct world *world)
{
	struct kolk_stats s = KOLK_INIT(kolk_stats);
	uint64_t refused = 0;

	if (kolk_engine_stats(world->engine, &s) != KOLK_OK)
		world_break(world, "no statistics");
	if (s.idle + s.leased + s.dialing + s.pinging + s.closing != s.open)
		world_break(world, "the gauges do not add up");
	for (int i = 0; i < KOLK_REFUSALS; i++)
		refused += s.refused[i];
	if (refused != s.rejected + s.timeouts)
		world_break(world, "callers refused do not add up by reason");
	kolk__sim_record(world->sim, s.acquired);
	kolk__sim_record(world->sim, s.created);
}

static void clear(struct world *world)
{
	struct pool_slot *pool = any_pool(world);

	if (pool->pool != NULL)
		kolk__sim_record(world->sim, kolk_pool_clear(pool->pool));
}

static void clear_some(struct world *world)
{
	struct kolk_filter filter = KOLK_INIT(kolk_filter);
	char name[8];

	ops_tenant_name(below(world, KEYS / 2), name);
	filter.tenant = below(world, 2) ? name : NULL;
	filter.pool = below(world, 2) ? "raw" : NULL;
	filter.idle_ns = below(world, 500 * KOLK_MS_NS);
	kolk__sim_record(world->sim, kolk_engine_clear(world->engine, &filter));
}

/* A lease that no operation uses: only one thread at a time may. */
static void release_beside(struct world *world)
{
	struct lease_slot *slot = any_lease(world);

	if (slot != NULL && !slot->sending && !slot->receiving)
		give_back(world, slot, below(world, 2));
}

/* A key that only its callers keep, or NULL. */
static struct key_slot *starved_key(struct world *world)
{
	uint64_t start = below(world, POOLS * KEYS);

	for (uint64_t i = start; i < start + POOLS * KEYS; i++) {
		struct pool_slot *pool = &world->pools[i / KEYS % POOLS];
		struct key_slot *slot = &pool->keys[i % KEYS];

		if (pool->pool != NULL && slot->key != NULL && !slot->busy &&
		    kolk__own(&slot->key->open) == 0 && kolk__own(&slot->key->waiting) > 0)
			return slot;
	}
	return NULL;
}

/* One that is not open becomes open. */
static void open_any(struct world *world)
{
	uint64_t start = below(world, POOLS * KEYS);

	for (uint64_t i = start; i < start + POOLS * KEYS; i++) {
		struct pool_slot *pool = &world->pools[i / KEYS % POOLS];

		if (pool->pool == NULL || pool->keys[i % KEYS].key != NULL)
			continue;
		if (key_open(world, pool, i % KEYS, false) != KOLK_OK)
			pool->keys[i % KEYS].key = NULL;
		pool->keys[i % KEYS].replaced = false;
		return;
	}
}

/* Its callers give up, it is closed, maintenance finds it in a permit queue and lets it go, and its
 * memory is the next key's. */
static void recycle_beside(struct world *world)
{
	struct key_slot *slot = starved_key(world);

	if (slot == NULL)
		return;
	for (int i = 0; i < WAITS; i++)
		if (world->waits[i].pending && !world->waits[i].loop->stepping &&
		    kolk__waiter_of(&world->waits[i].acquire)->key == slot->key)
			cancel_one(world, &world->waits[i]);
	world_trace(world, "close key");
	kolk_key_close(slot->key);
	slot->key = NULL;
	world_maintain(world);
	open_any(world);
}

static void pool_beside(struct world *world)
{
	int depth = world->depth;

	if (!world->maintaining)
		return; /* a loop cannot wait for itself */
	world->depth = 0;
	pool_again(world);
	world->depth = depth;
}

static void other_loop(struct world *world)
{
	(void)kolk_loop_step(any_loop(world), 0); /* refused when it is the one that is inside */
}

void ops_beside(struct world *world)
{
	static void (*const runs[])(struct world *world) = {
		try, recycle_beside, recycle_beside, recycle_beside, release_beside, other_loop,
		other_loop, pool_beside,
		drain, limits, tenant_limits, rotate };

	runs[below(world, sizeof runs / sizeof runs[0])](world);
}

void ops_random(struct world *world)
{
	static const struct {
		void (*run)(struct world *world);
		uint32_t weight;
	} ops[] = { { try, 40 }, { async, 50 }, { async_as, 12 },
		    { block, 16 }, { cancel, 10 }, { release, 90 },
		    { io, 70 }, { io_blocking, 12 }, { io_cancel, 4 }, { stale, 8 },
		    { foreign, 2 }, { inspect_lease, 6 }, { key_close, 4 }, { warm, 2 },
		    { limits, 2 }, { clear, 1 }, { clear_some, 1 },
		    { tenant_limits, 2 }, { rotate, 2 }, { replace, 2 }, { stats, 2 },
		    { drain, 1 }, { resume, 3 }, { pool_again, 6 },
		    { manage_update, 2 }, { manage_tenant_warm, 1 }, { manage_inspect, 2 } };
	uint32_t sum = 0, at;

	if (below(world, 20000) == 0) {
		drain_by_signal(world);
		return;
	}
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
		sum += ops[i].weight;
	at = (uint32_t)below(world, sum);
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		if (at < ops[i].weight) {
			ops[i].run(world);
			return;
		}
		at -= ops[i].weight;
	}
}
