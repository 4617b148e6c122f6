/* SPDX-License-Identifier: Apache-2.0 */
/* mutex.c - the rival: what most programs have, one mutex, a list, a condition variable. */
#include <stdlib.h>

#include "bench/kit.h"

struct item {
	struct item *next;
	uint64_t idle_since_ns;
};

struct mutex_pool {
	pthread_mutex_t lock;
	pthread_cond_t returned;
	struct item *idle;
	uint64_t acquired, released;
	struct item items[];
};

struct mutex_pool *mutex_pool_open(uint32_t connections)
{
	struct mutex_pool *pool = calloc(1, sizeof *pool + connections * sizeof pool->items[0]);

	if (pool == NULL)
		die("out of memory");
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->returned, NULL);
	for (uint32_t i = 0; i < connections; i++) {
		pool->items[i].next = pool->idle;
		pool->idle = &pool->items[i];
	}
	return pool;
}

void mutex_pool_close(struct mutex_pool *pool)
{
	free(pool);
}

void *mutex_pool_acquire(struct mutex_pool *pool)
{
	struct item *item;

	pthread_mutex_lock(&pool->lock);
	while (pool->idle == NULL)
		pthread_cond_wait(&pool->returned, &pool->lock);
	item = pool->idle;
	pool->idle = item->next;
	pool->acquired++;
	pthread_mutex_unlock(&pool->lock);
	return item;
}

void mutex_pool_release(struct mutex_pool *pool, void *connection)
{
	struct item *item = connection;

	pthread_mutex_lock(&pool->lock);
	item->next = pool->idle;
	pool->idle = item;
	pool->released++;
	pthread_mutex_unlock(&pool->lock);
	pthread_cond_signal(&pool->returned);
}
