/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener_loops.c - which loops are active, and what of listeners follows them.
 *
 * No socket is closed and no loop ends here, so that nothing which is queued on either is lost:
 *   1. An address with a socket for each loop: the kernel is told how many of them get what is
 *      dialled from now on. The others go on to accept: what had come to their queues before.
 *   2. One socket for all loops: those that are not active do not accept; what is queued is the
 *      others'.
 *   3. A listener that is ordered to stop keeps out of it: its sockets may be closed already.
 * Under engine.listeners, so that a listener which begins meanwhile has the number before or after.
 */
#include "core/event.h"
#include "core/listener.h"

/* The kernel's part. 0 or -errno. */
static int share(struct kolk_listener *listener, uint32_t loops)
{
	const struct kolk_sys *sys = listener->engine->sys;
	int err;

	KOLK__HELD(&listener->engine->listeners);
	if (listener->shared || listener->stopping || loops == listener->told)
		return 0;
	err = sys->sock_share(sys->context, listener->parts[0].fd, loops);
	if (err == 0)
		listener->told = loops;
	return err;
}

/* The loops' part, which cannot fail. */
static void follow(struct kolk_listener *listener, uint32_t loops)
{
	KOLK__HELD(&listener->engine->listeners);
	if (!listener->shared || listener->count == 1)
		return;
	for (uint32_t i = 0; i < listener->count; i++)
		if (!listener->parts[i].closed)
			kolk__acceptor_set_active(listener->parts[i].acceptor, i < loops);
}

enum kolk_err kolk__listener_loops(struct kolk_listener *listener)
{
	uint32_t loops = kolk__load_relaxed(&listener->engine->loops_active);

	if (share(listener, loops) != 0)
		return KOLK_E_IO;
	follow(listener, loops);
	return KOLK_OK;
}

/* All listeners, or none. */
static bool share_all(struct kolk_engine *engine, uint32_t before, uint32_t loops)
{
	struct kolk_listener *l = engine->listener_list;

	while (l != NULL && share(l, loops) == 0)
		l = l->next;
	if (l == NULL)
		return true;
	for (struct kolk_listener *undo = engine->listener_list; undo != l; undo = undo->next)
		(void)share(undo, before);
	return false;
}

enum kolk_err kolk_engine_loops_set(struct kolk_engine *engine, uint32_t loops)
{
	uint32_t cpus = engine->sys->cpu_count, before;
	bool done;

	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	if (loops == 0)
		loops = cpus < engine->shard_count ? cpus : engine->shard_count;
	if (loops > engine->shard_count)
		return KOLK_E_OPTIONS;
	kolk__take_lock(engine, &engine->listeners);
	before = kolk__load_relaxed(&engine->loops_active);
	done = share_all(engine, before, loops);
	if (done) {
		kolk__store_relaxed(&engine->loops_active, loops);
		for (struct kolk_listener *l = engine->listener_list; l != NULL; l = l->next)
			follow(l, loops);
	}
	kolk__give_lock(engine, &engine->listeners);
	if (!done)
		return KOLK_E_IO;
	if (loops != before)
		kolk__log(engine, KOLK_LOG_INFO, "engine", "%u of %u loops are active", loops,
			  engine->shard_count);
	return KOLK_OK;
}

bool kolk_loop_is_active(const struct kolk_loop *loop)
{
	return loop->index < kolk__load_relaxed(&loop->engine->loops_active);
}
