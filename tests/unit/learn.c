/* SPDX-License-Identifier: Apache-2.0 */
/* learn.c - the resource, its pool, and its callers. */
#include "tests/unit/learn.h"

#include "core/engine.h"

static enum kolk_err maker_create(void *user, void **resource)
{
	struct maker *maker = user;
	bool fails = maker->made < 32 && (maker->fails >> maker->made & 1);

	maker->made++;
	*resource = maker;
	return fails ? KOLK_E_RESOURCE : maker->err;
}

static const struct kolk_resource_driver maker_driver = {
	.size = sizeof maker_driver, .name = "maker", .create = maker_create,
};

struct kolk_pool_options options_of(struct maker *maker)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = "learn";
	o.resource = &maker_driver;
	o.driver_user = maker;
	o.connections_max = 4;
	o.idle_min = KOLK_NONE;
	o.retry_interval_ns = KOLK_MS_NS;
	o.retry_max_ns = KOLK_MS_NS;
	return o;
}

enum kolk_err take(struct fixture *fix, struct kolk_key *key, struct kolk_lease *lease)
{
	return kolk_acquire(key, kolk__sim_now(fix->sim) + 10 * KOLK_S_NS, lease);
}

enum kolk_err acquire_result(struct fixture *fix, struct kolk_key *key)
{
	struct kolk_lease lease;
	enum kolk_err err = take(fix, key, &lease);

	if (err == KOLK_OK)
		assert_int_equal(kolk_release(&lease), KOLK_OK);
	return err;
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct caller *caller = user;

	caller->err = err;
	caller->at_ns = kolk__sim_now(caller->fix->sim);
	if (err == KOLK_OK)
		caller->lease = *lease;
}

enum kolk_err begin(struct fixture *fix, struct caller *caller, struct kolk_key *key,
		    uint64_t wait_ns)
{
	*caller = (struct caller){ .fix = fix };
	caller->err = kolk_acquire_async(kolk_engine_loop(fix->engine, 0), key,
					 kolk__sim_now(fix->sim) + wait_ns, &caller->acquire,
					 on_lease, caller);
	if (caller->err == KOLK_OK)
		caller->lease = caller->acquire.lease;
	return caller->err;
}

struct kolk_pool *kept_at_one(struct fixture *fix)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = "kept";
	o.address = "192.0.2.4:7";
	o.connections_max = 8;
	o.idle_min = 1;
	o.idle_timeout_ns = 3600 * KOLK_S_NS;
	o.lifetime_ns = KOLK_FOREVER;
	return pool_of(fix, &o);
}

static void around_lock(void *user, int change)
{
	struct watch *watch = user;
	uint32_t now = kolk__load_relaxed(watch->count);
	uint32_t changed = now > watch->seen ? now - watch->seen : watch->seen - now;

	watch->held += change;
	if (watch->held != 0)
		return;
	watch->most = changed > watch->most ? changed : watch->most;
	watch->seen = now;
}

void watch_begin(struct fixture *fix, struct watch *watch, const kolk__atomic_u32 *count)
{
	*watch = (struct watch){ .count = count, .seen = kolk__load_relaxed(count) };
	fix->engine->on_lock = around_lock;
	fix->engine->on_lock_user = watch;
}
