/* SPDX-License-Identifier: Apache-2.0 */
/*
 * permit_queue.c - which key gets a permit when a limit is full: queues, shares, evictions,
 * reclaims.
 *
 * Permit queues. A key that has waiters and was denied a permit is in one queue: of its tenant (the
 * tenant's own limit), of its pool (the pool's limit or dials), or of its tenant for the engine's
 * permits. The tenants' engine queues are in a heap by share, so the next permit of the engine goes
 * to the tenant with the fewest connections per weight: max-min fair by progressive filling
 * (Bertsekas, Gallager: Data Networks, section 6.5.2). Within a queue: first come, first served.
 *
 * Evictions. When a limit is full, a connection that is idle for nearly the longest time (victim.c)
 * is evicted: of any tenant whose share is at least what the requester's will be, and after
 * lend_after_ns also of one whose share is smaller: idle capacity is lent, but not the moment it
 * becomes idle.
 *
 * Reclaims. When nothing is idle and a tenant's share is larger than the requester's will be, that
 * tenant is the victim: one connection is reclaimed from it. The next one that returns is closed
 * instead of leased again (wait.c, trim_excess). Among the keys of one tenant it is the same: a key
 * that has more connections than the requesting key will have gives one. And a key that has no
 * connection and has waited for lend_after_ns gets one from any key that has some, siblings first:
 * so more tenants than connections alternate.
 *
 * A reclaim is void when the shares have changed so that it is not due any more. All are when no
 * key is queued, and every RECLAIM_ROUND_NS: a key that is still denied then searches again, so a
 * slow victim, or one that is gone, delays no requester.
 */
#include "core/base/container.h"
#include "core/permits.h"

void kolk__permit_queue_init(struct kolk__permit_queue *queue, enum kolk__permit_queue_kind kind)
{
	*queue = (struct kolk__permit_queue){ .keys.kind = kind };
}

static struct kolk__account *account_of(struct kolk__permit_queue *queue)
{
	return kolk__container_of(queue, struct kolk__account, engine_queue);
}

/* Engine queues by share, the others by sequence; equals by sequence. */
static void queue_heap_add(struct kolk_engine *engine, struct kolk__permit_queue *queue)
{
	uint64_t sequence = ++engine->sequence;

	KOLK__HELD(&engine->accounting);
	if (queue->keys.kind == KOLK__QUEUE_ENGINE)
		kolk__heap_push(&account_of(queue)->total->engine_queues, &queue->heap_node,
				(uint64_t)kolk__share(account_of(queue), 0) << 32 |
					(uint32_t)sequence);
	else
		kolk__heap_push(&engine->limit_queues, &queue->heap_node, sequence);
}

static void queue_heap_remove(struct kolk_engine *engine, struct kolk__permit_queue *queue)
{
	KOLK__HELD(&engine->accounting);
	kolk__heap_remove(queue->keys.kind == KOLK__QUEUE_ENGINE ?
				  &account_of(queue)->total->engine_queues : &engine->limit_queues,
			  &queue->heap_node);
}

void kolk__share_changed(struct kolk_engine *engine, struct kolk__account *account)
{
	KOLK__HELD(&engine->accounting);
	if (kolk__own(&account->engine_queue.keys.count) == 0)
		return;
	queue_heap_remove(engine, &account->engine_queue);
	queue_heap_add(engine, &account->engine_queue);
}

/* kolk__permits_grant loads the counts first, without the lock. */
static void queued_count(struct kolk_engine *engine, struct kolk__permit_queue *queue, uint32_t one)
{
	KOLK__HELD(&engine->accounting);
	kolk__own_add(&engine->queued_keys, one);
	if (queue->keys.kind == KOLK__QUEUE_ENGINE)
		kolk__own_add(&account_of(queue)->total->engine_queued_keys, one);
}

/* At the end; a key that left another queue for this one keeps its sequence. */
void kolk__permit_queue_push(struct kolk_engine *engine, struct kolk__permit_queue *queue,
			     struct kolk_key *key)
{
	KOLK__HELD(&engine->accounting);
	if (kolk__own(&key->permit_queue) != NULL)
		return;
	kolk__store_relaxed(&key->permit_queue, queue);
	kolk__heap_push(&queue->keys, &key->queue_node,
			key->keep_sequence ? key->queue_node.due_ns : ++engine->sequence);
	if (kolk__own(&queue->keys.count) == 1)
		queue_heap_add(engine, queue);
	queued_count(engine, queue, 1);
}

struct kolk_key *kolk__permit_queue_first(const struct kolk__permit_queue *queue)
{
	struct kolk__timer *node = kolk__heap_min(&queue->keys);

	return node == NULL ? NULL : kolk__container_of(node, struct kolk_key, queue_node);
}

void kolk__permit_queue_remove(struct kolk_engine *engine, struct kolk_key *key)
{
	struct kolk__permit_queue *queue = kolk__own(&key->permit_queue);

	KOLK__HELD(&engine->accounting);
	if (queue == NULL)
		return;
	kolk__heap_remove(&queue->keys, &key->queue_node);
	queued_count(engine, queue, UINT32_MAX); /* minus one */
	if (kolk__own(&queue->keys.count) == 0)
		queue_heap_remove(engine, queue);
	kolk__store_relaxed(&key->permit_queue, NULL);
	if (kolk__own(&engine->queued_keys) == 0)
		kolk__reclaims_forget(engine);
}

struct kolk_key *kolk__permit_queue_pop(struct kolk_engine *engine,
					struct kolk__permit_queue *queue)
{
	struct kolk_key *key = kolk__permit_queue_first(queue);

	KOLK__HELD(&engine->accounting);
	if (key != NULL)
		kolk__permit_queue_remove(engine, key);
	return key;
}

struct kolk__permit_queue *kolk__permit_queue_of(struct kolk__timer *heap_node)
{
	return heap_node == NULL ? NULL :
	       kolk__container_of(heap_node, struct kolk__permit_queue, heap_node);
}

void kolk__permit_queue_requeue(struct kolk_engine *engine, struct kolk__permit_queue *queue)
{
	queue_heap_remove(engine, queue);
	queue_heap_add(engine, queue);
}
