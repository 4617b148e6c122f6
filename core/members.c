/* SPDX-License-Identifier: Apache-2.0 */
/* members.c - circles of the connections that a limit counts (members.h). */
#include "core/members.h"

#include "core/engine.h"

/* Which links of a connection. */
static uint32_t circle_of(const struct kolk__limit *limit)
{
	KOLK__ASSERT(limit->queue.keys.kind != KOLK__QUEUE_ENGINE);
	return limit->queue.keys.kind == KOLK__QUEUE_POOL;
}

void kolk__member_add(struct kolk_engine *engine, struct kolk__limit *limit, uint32_t index)
{
	struct kolk__links *links = engine->links;
	uint32_t circle = circle_of(limit), before, after;

	KOLK__HELD(&engine->accounting);
	if (limit->members.hand == 0) {
		links[index].next[circle] = links[index].prev[circle] = index;
		limit->members.hand = index + 1;
		return;
	}
	before = limit->members.hand - 1;
	after = links[before].next[circle];
	links[index].prev[circle] = before;
	links[index].next[circle] = after;
	links[before].next[circle] = links[after].prev[circle] = index;
	limit->members.hand = after + 1;
}

void kolk__member_remove(struct kolk_engine *engine, struct kolk__limit *limit, uint32_t index)
{
	struct kolk__links *links = engine->links;
	uint32_t circle = circle_of(limit);
	uint32_t before = links[index].prev[circle], after = links[index].next[circle];

	KOLK__HELD(&engine->accounting);
	links[before].next[circle] = after;
	links[after].prev[circle] = before;
	if (limit->members.hand == index + 1)
		limit->members.hand = after != index ? after + 1 : 0;
}

uint32_t kolk__members_next(struct kolk_engine *engine, struct kolk__limit *limit,
			    struct kolk__conn **conns, uint32_t most)
{
	uint32_t circle = circle_of(limit), first = limit->members.hand, at = first, count = 0;

	KOLK__HELD(&engine->accounting);
	if (first == 0)
		return 0;
	do {
		conns[count] = &engine->conns[at - 1];
		__builtin_prefetch(conns[count++]); /* beside the walk to the next one */
		at = engine->links[at - 1].next[circle] + 1;
	} while (at != first && count < most);
	limit->members.hand = at;
	return count;
}

uint32_t kolk__members_count(struct kolk_engine *engine, const struct kolk__limit *limit)
{
	uint32_t circle = circle_of(limit), at = limit->members.hand, count = 0;

	KOLK__HELD(&engine->accounting);
	if (at == 0)
		return 0;
	do {
		at = engine->links[at - 1].next[circle] + 1;
	} while (++count <= engine->conn_count && at != limit->members.hand);
	return count;
}
