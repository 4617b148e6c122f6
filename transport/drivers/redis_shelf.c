/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_shelf.c - memory of calls on a loop. A call has a buffer of 16 KiB in it: each thread keeps
 * a few of those that ended, so that the next one's pages are warm and nobody allocates.
 *
 * They are freed when the thread ends, by what C++ has for its thread_local objects. Unlike a key
 * of pthread_key_create(3) it knows which library the function is in, and keeps that loaded until
 * the thread has ended: a plugin may be unloaded before.
 */
#include <stdlib.h>

#include "transport/drivers/redis_call.h"

enum { SHELF_MAX = 64 };

/* Itanium C++ ABI, 3.3.5.2, and its form for threads (glibc 2.18). */
extern int __cxa_thread_atexit_impl(void (*run)(void *object), void *object, void *library);
extern void *__dso_handle __attribute__((visibility("hidden")));

struct shelf {
	struct kolk_redis_call *calls[SHELF_MAX];
	uint32_t count;
	bool known; /* will be emptied when its thread ends */
};

static _Thread_local struct shelf shelf;

static void shelf_empty(void *memory)
{
	struct shelf *ended = memory;

	while (ended->count > 0)
		free(ended->calls[--ended->count]);
	ended->known = false;
}

struct kolk_redis_call *redis_shelf_get(void)
{
	return shelf.count > 0 ? shelf.calls[--shelf.count] :
				 malloc(sizeof(struct kolk_redis_call));
}

void redis_shelf_put(struct kolk_redis_call *call)
{
	if (!shelf.known)
		shelf.known = __cxa_thread_atexit_impl(shelf_empty, &shelf, &__dso_handle) == 0;
	if (shelf.known && shelf.count < SHELF_MAX)
		shelf.calls[shelf.count++] = call;
	else
		free(call);
}
