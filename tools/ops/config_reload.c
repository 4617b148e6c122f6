/* SPDX-License-Identifier: Apache-2.0 */
/* config_reload.c - a file once more, and what is left of the last one. */
#include <pthread.h>
#include <stdio.h>

#include "tools/ops/config.h"

/* PUT /api/config comes on a thread of its own, SIGHUP on another. */
static pthread_mutex_t reloading = PTHREAD_MUTEX_INITIALIZER;

/* The first mistake, and how many more there are: `kolk-ctl check` lists them. */
static void one_line(struct kolk_config_error *error, char *text, size_t capacity)
{
	size_t used;

	error->more[0] = 0;
	used = kolk_config_error_text(error, text, capacity);
	if (error->mistakes > 1 && used < capacity)
		snprintf(text + used, capacity - used, " (and %u more mistake%s)",
			 error->mistakes - 1, error->mistakes == 2 ? "" : "s");
}

enum kolk_err kolk_config_reload(void *user, char *text, size_t capacity)
{
	struct kolk_config_source *source = user;
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *after;
	enum kolk_err err;

	pthread_mutex_lock(&reloading);
	err = source->config->own != NULL ?
		      kolk_config_load_for(&source->config->program, source->path, &after, &error) :
		      kolk_config_load(source->path, NULL, &after, &error);
	if (err == KOLK_OK)
		err = kolk_config_apply(source->engine, source->config, after, &error);
	if (err != KOLK_OK) {
		kolk_config_free(after);
		one_line(&error, text, capacity);
	} else {
		kolk_config_free(source->config);
		source->config = after;
		snprintf(text, capacity, "%s is in force: %u pool%s, %u tenant%s with own limits",
			 source->path, after->pools.count, after->pools.count == 1 ? "" : "s",
			 after->tenants.count, after->tenants.count == 1 ? "" : "s");
	}
	pthread_mutex_unlock(&reloading);
	return err;
}

static bool is_suspended(struct kolk_pool *pool)
{
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);

	return kolk_pool_inspect(pool, &info) == KOLK_OK && info.suspended;
}

size_t kolk_config_reap(struct kolk_engine *engine)
{
	size_t freed = 0;
	struct kolk_pool *pool;

	for (uint32_t i = 0; (pool = kolk_engine_pool(engine, i)) != NULL;)
		if (kolk_pool_is_closed(pool) && !is_suspended(pool) &&
		    kolk_admin_pool_close(pool, kolk_engine_now(engine)) == KOLK_OK)
			freed++; /* the next one has this number now */
		else
			i++;
	return freed;
}
