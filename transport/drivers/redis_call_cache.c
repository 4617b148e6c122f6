/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_call_cache.c - memory of calls on a loop. A call has a buffer of 16 KiB in it: each thread
 * caches a few that ended, so that the next call finds warm pages and needs no allocation.
 *
 * They are freed when the thread ends, by the mechanism of C++'s thread_local objects. Unlike a key
 * of pthread_key_create(3) it knows which library the function is in, and keeps that loaded until
 * the thread has ended: a plugin may be unloaded before.
 */
#include <stdlib.h>

#include "transport/drivers/redis_call.h"

enum { CACHE_MAX = 64 };

/* Itanium C++ ABI, 3.3.5.2, and its form for threads (glibc 2.18). */
extern int __cxa_thread_atexit_impl(void (*run)(void *object), void *object, void *library);
extern void *__dso_handle __attribute__((visibility("hidden")));

struct cache {
	struct kolk_redis_call *calls[CACHE_MAX];
	uint32_t count;
	bool registered; /* will be cleared when its thread ends */
};

static _Thread_local struct cache cache;

static void cache_clear(void *memory)
{
	struct cache *ended = memory;

	while (ended->count > 0)
		free(ended->calls[--ended->count]);
	ended->registered = false;
}

struct kolk_redis_call *redis_call_cache_get(void)
{
	return cache.count > 0 ? cache.calls[--cache.count] :
				 malloc(sizeof(struct kolk_redis_call));
}

void redis_call_cache_put(struct kolk_redis_call *call)
{
	if (!cache.registered)
		cache.registered =
			__cxa_thread_atexit_impl(cache_clear, &cache, &__dso_handle) == 0;
	if (cache.registered && cache.count < CACHE_MAX)
		cache.calls[cache.count++] = call;
	else
		free(call);
}
