/* SPDX-License-Identifier: Apache-2.0 */
/*
 * later.c - asynchronous resources for the simulator: what is begun ends at once, late, after its
 * deadline, or not before the world comes to rest; well or not.
 */
#include "tests/sim/world.h"

#include <stdlib.h>

enum kind { CREATE, PING, RESET, DESTROY };

struct thing {
	bool busy; /* an operation on it is in flight */
};

/* The driver's memory of an operation. */
struct later {
	struct kolk_resource_op *op;
	struct world *world;
	struct thing *thing;
	enum kind kind;
	bool expired;
	int place; /* in world.later */
};

static void create_end(struct later *later, const struct kolk_failure *failure)
{
	struct world *world = later->world;
	struct thing *thing = !world->calm && below(world, 8) == 0 ? NULL : calloc(1, sizeof *thing);

	world->resources += thing != NULL;
	if (thing != NULL)
		kolk_resource_created(later->op, thing);
	else
		kolk_resource_failed(later->op, failure);
}

static void end(struct later *later)
{
	struct world *world = later->world;
	const struct kolk_failure failure = { .size = sizeof failure, .err = KOLK_E_RESOURCE };

	world->later[later->place] = world->later[--world->later_count];
	((struct later *)world->later[later->place])->place = later->place;
	if (later->thing != NULL)
		later->thing->busy = false;
	if (later->kind == DESTROY)
		free(later->thing);
	if (later->kind == CREATE)
		create_end(later, &failure);
	else if (!world->calm && below(world, 8) == 0)
		kolk_resource_failed(later->op, &failure);
	else
		kolk_resource_done(later->op);
}

void later_turn(struct world *world)
{
	while (world->later_count > 0 && (world->calm || below(world, 4) == 0))
		end(world->later[below(world, (uint64_t)world->later_count)]);
}

static void begin(struct world *world, struct kolk_resource_op *op, enum kind kind,
		  struct thing *thing)
{
	struct later *later = kolk_resource_op_memory(op);

	if (later->op != NULL || (thing != NULL && thing->busy))
		world_break(world, "an operation on a resource begins before another has ended");
	if (thing != NULL)
		thing->busy = true;
	*later = (struct later){ .op = op, .world = world, .thing = thing, .kind = kind,
				 .place = world->later_count };
	world->later[world->later_count++] = later;
	world->later_begun++;
	if (world->later_count == LATERS || below(world, 4) == 0)
		end(later);
}

static void begin_create(void *user, struct kolk_resource_op *op,
			 const struct kolk_resource_request *request)
{
	if (request->key == NULL || request->deadline_ns != kolk_resource_op_deadline(op))
		world_break(user, "a create does not know for whom, or until when");
	begin(user, op, CREATE, NULL);
}

static void begin_ping(void *user, struct kolk_resource_op *op, void *resource)
{
	begin(user, op, PING, resource);
}

static void begin_reset(void *user, struct kolk_resource_op *op, void *resource)
{
	begin(user, op, RESET, resource);
}

static void begin_destroy(void *user, struct kolk_resource_op *op, void *resource)
{
	struct world *world = user;

	world->resources--;
	begin(user, op, DESTROY, resource);
}

static void expired(void *user, struct kolk_resource_op *op)
{
	struct later *later = kolk_resource_op_memory(op);
	struct world *world = user;

	world->later_expired++;
	if (later->expired || kolk__sim_now(world->sim) < kolk_resource_op_deadline(op))
		world_break(world, "an operation expires twice, or before its time");
	later->expired = true;
	if (below(world, 2))
		end(later);
}

static enum kolk_err reset(void *user, void *resource)
{
	struct thing *thing = resource;
	struct world *world = user;

	if (thing->busy)
		world_break(world, "a leased resource has an operation in flight");
	return world->calm || below(world, 2) ? KOLK_OK :
	       below(world, 8) == 0	      ? KOLK_E_RESOURCE : KOLK_PENDING;
}

const struct kolk_resource_driver later_driver = {
	.size = sizeof later_driver, .op_bytes = sizeof(struct later), .name = "later",
	.begin_create = begin_create, .begin_ping = begin_ping, .begin_reset = begin_reset,
	.begin_destroy = begin_destroy, .expired = expired, .reset = reset,
};
