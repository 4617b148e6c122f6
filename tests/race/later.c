/* SPDX-License-Identifier: Apache-2.0 */
/*
 * later.c - asynchronous resources whose operations another thread completes, while callers lease
 * them, and while the engine is destroyed: it is gone as soon as the last one is completed.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>

#include <kolk/kolk.h>

#include "core/base/atomic.h"
#include "tests/kit/measure.h"
#include "tests/kit/tap.h"
#include "tests/race/race.h"

enum { CALLERS = 4, LEASES = 50 };

struct completer {
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct work *first;
	bool stop;
	kolk__atomic_u64 made, ended, leases;
};

/* The memory of an operation. */
struct work {
	struct work *next;
	struct kolk_resource_op *op;
	int *thing; /* NULL = to be made */
	bool ends;
};

static void complete(struct completer *completer, struct work *work)
{
	int *thing = work->thing;

	if (thing == NULL) {
		kolk__add_relaxed(&completer->made, 1);
		kolk_resource_created(work->op, calloc(1, sizeof *thing));
		return;
	}
	if (work->ends) {
		kolk__add_relaxed(&completer->ended, 1);
		free(thing);
	} else {
		*thing = 0; /* neutral */
	}
	kolk_resource_done(work->op);
}

static void *completing(void *user)
{
	struct completer *completer = user;
	struct work *work;

	pthread_mutex_lock(&completer->lock);
	for (;;) {
		while ((work = completer->first) == NULL && !completer->stop)
			pthread_cond_wait(&completer->more, &completer->lock);
		if (work == NULL)
			break;
		completer->first = work->next;
		pthread_mutex_unlock(&completer->lock);
		complete(completer, work);
		pthread_mutex_lock(&completer->lock);
	}
	pthread_mutex_unlock(&completer->lock);
	return NULL;
}

static void begin(struct completer *completer, struct kolk_resource_op *op, int *thing, bool ends)
{
	struct work *work = kolk_resource_op_memory(op);

	*work = (struct work){ .op = op, .thing = thing, .ends = ends };
	pthread_mutex_lock(&completer->lock);
	work->next = completer->first;
	completer->first = work;
	pthread_cond_signal(&completer->more);
	pthread_mutex_unlock(&completer->lock);
}

static void begin_create(void *user, struct kolk_resource_op *op,
			 const struct kolk_resource_request *request)
{
	(void)request;
	begin(user, op, NULL, false);
}

static void begin_reset(void *user, struct kolk_resource_op *op, void *resource)
{
	begin(user, op, resource, false);
}

static void begin_destroy(void *user, struct kolk_resource_op *op, void *resource)
{
	begin(user, op, resource, true);
}

static const struct kolk_resource_driver driver = {
	.size = sizeof driver, .op_bytes = sizeof(struct work), .name = "later",
	.begin_create = begin_create, .begin_ping = begin_reset, .begin_reset = begin_reset,
	.begin_destroy = begin_destroy,
};

static void *leasing(void *user)
{
	struct completer *completer = user;
	struct kolk_lease lease;

	for (int i = 0; i < LEASES; i++) {
		int *thing;

		if (!CHECK_ERR(kolk_acquire(kolk_pool_key(completer->pool), kolk_in_ms(20000),
					    &lease), KOLK_OK))
			break;
		thing = kolk_lease_resource(&lease);
		CHECK(*thing == 0);
		*thing = 1;
		CHECK_ERR(i % 8 == 0 ? kolk_discard(&lease) : kolk_release(&lease), KOLK_OK);
		kolk__add_relaxed(&completer->leases, 1);
	}
	return NULL;
}

static bool engine_open(struct completer *completer)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	e.loops = 2;
	o.name = "later";
	o.resource = &driver;
	o.driver_user = completer;
	o.connections_max = 3;
	o.closes_max = 1;
	o.ping_interval_ns = KOLK_MS_NS;
	return CHECK_ERR(kolk_engine_create(&e, &completer->engine), KOLK_OK) &&
	       CHECK_ERR(kolk_pool_add(completer->engine, &o, &completer->pool), KOLK_OK);
}

static void one_engine(struct completer *completer)
{
	pthread_t callers[CALLERS];

	MUST(engine_open(completer));
	for (int i = 0; i < CALLERS; i++)
		MUST(pthread_create(&callers[i], NULL, leasing, completer) == 0);
	for (int i = 0; i < CALLERS; i++)
		pthread_join(callers[i], NULL);
	CHECK_ERR(kolk_check(completer->engine, NULL), KOLK_OK);
	CHECK_ERR(kolk_engine_destroy(completer->engine), KOLK_OK);
}

static void completed_elsewhere(void)
{
	uint64_t end_ns = clock_now() + race_ms * KOLK_MS_NS, engines = 0;
	struct completer completer = { .lock = PTHREAD_MUTEX_INITIALIZER,
				       .more = PTHREAD_COND_INITIALIZER };
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, completing, &completer) == 0);
	do
		one_engine(&completer);
	while (++engines < 3 || clock_now() < end_ns);
	pthread_mutex_lock(&completer.lock);
	completer.stop = true;
	pthread_cond_signal(&completer.more);
	pthread_mutex_unlock(&completer.lock);
	pthread_join(thread, NULL);
	CHECK(kolk__own(&completer.made) == kolk__own(&completer.ended));
	tap_note("%llu engines, %llu leases, %llu resources", (unsigned long long)engines,
		 (unsigned long long)kolk__own(&completer.leases),
		 (unsigned long long)kolk__own(&completer.made));
}

static const struct tap_test tests[] = {
	{ "another thread completes the operations of resources", completed_elsewhere }
};

TAP_TESTS(later, tests);
