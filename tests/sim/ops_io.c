/* SPDX-License-Identifier: Apache-2.0 */
/* ops_io.c - random I/O on leases: each byte is of the lease's own echo. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/ops.h"

static void io_over(struct lease_slot *slot, enum kolk_err err)
{
	struct world *world = slot->world;

	ops_traced(world, "operation", err);
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

	if (err == KOLK_OK)
		check_echo(slot, size); /* the driver is inside the lease: others do not release it */
	slot->receiving = false;
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

uint64_t ops_soon(struct world *world)
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
			      ops_soon(world), on_sent, slot);
	world_trace(world, "lease %d sends '%s'", (int)(slot - world->leases), slot->out);
	slot->sending = ops_traced(world, "send_async", err) == KOLK_PENDING;
}

static void begin_recv(struct world *world, struct lease_slot *slot, struct kolk_loop *loop)
{
	enum kolk_err err;

	if (slot->receiving)
		return;
	err = kolk_recv_async(loop, &slot->lease, &slot->recv, slot->in, sizeof slot->in,
			      ops_soon(world), on_received, slot);
	slot->receiving = ops_traced(world, "recv_async", err) == KOLK_PENDING;
}

void ops_io(struct world *world)
{
	struct lease_slot *slot = ops_any_lease(world);

	if (slot == NULL || slot->pool->resource)
		return;
	if (!slot->sending && !slot->receiving)
		slot->loop = ops_any_loop(world);
	if (below(world, 2))
		begin_send(world, slot, slot->loop);
	else
		begin_recv(world, slot, slot->loop);
}

void ops_io_blocking(struct world *world)
{
	struct lease_slot *slot = ops_any_lease(world);
	enum kolk_err err;
	size_t size = 0;

	if (slot == NULL || world->depth >= 2 || slot->pool->resource || slot->sending ||
	    slot->receiving || slot->awaiting)
		return;
	slot->gone = slot->blocking = true; /* no other operation may take it meanwhile */
	message(world, slot);
	err = kolk_send_all(&slot->lease, slot->out, strlen(slot->out), ops_soon(world));
	while (ops_traced(world, "send or recv", err) == KOLK_OK && slot->awaiting) {
		err = kolk_recv(&slot->lease, slot->in, sizeof slot->in, ops_soon(world), &size);
		if (err == KOLK_OK)
			check_echo(slot, size);
	}
	slot->gone = slot->blocking = false;
}

void ops_io_cancel(struct world *world)
{
	struct lease_slot *slot = &world->leases[below(world, LEASES)];

	if (slot->used && slot->receiving &&
	    ops_traced(world, "io_cancel", kolk_io_cancel(&slot->recv)) != KOLK_OK)
		world_break(world, "an operation in flight cannot be cancelled");
}
