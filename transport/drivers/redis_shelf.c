/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_shelf.c - memory of calls on a loop. A call has a buffer of 16 KiB in it: each thread keeps
 * a few of those that ended, so that the next one's pages are warm and nobody allocates.
 */
#include <pthread.h>
#include <stdlib.h>

#include "transport/drivers/redis_call.h"

enum { SHELF_MAX = 64 };

struct shelf {
	struct kolk_redis_call *calls[SHELF_MAX];
	uint32_t count;
	bool known; /* will be emptied when its thread ends */
};

static _Thread_local struct shelf shelf;
static pthread_key_t ending;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool can_end;

static void shelf_empty(void *memory)
{
	struct shelf *ended = memory;

	while (ended->count > 0)
		free(ended->calls[--ended->count]);
	ended->known = false;
}

static void prepare(void)
{
	can_end = pthread_key_create(&ending, shelf_empty) == 0;
}

struct kolk_redis_call *redis_shelf_get(void)
{
	return shelf.count > 0 ? shelf.calls[--shelf.count] :
				 malloc(sizeof(struct kolk_redis_call));
}

void redis_shelf_put(struct kolk_redis_call *call)
{
	if (!shelf.known) {
		(void)pthread_once(&once, prepare);
		shelf.known = can_end && pthread_setspecific(ending, &shelf) == 0;
	}
	if (shelf.known && shelf.count < SHELF_MAX)
		shelf.calls[shelf.count++] = call;
	else
		free(call);
}
