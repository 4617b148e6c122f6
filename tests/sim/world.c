/* SPDX-License-Identifier: Apache-2.0 */
/* world.c - a random engine: set up, run, brought to rest. */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/permits.h"
#include "core/pool.h"
#include "core/thread_cache.h"
#include "tests/sim/step.h"

void world_break(struct world *world, const char *law)
{
	if (world->broken == NULL)
		world->broken = law;
}

void world_trace(struct world *world, const char *format, ...)
{
	va_list args;

	if (!world->trace)
		return;
	printf("%8llu %14.6f ms  %*s", (unsigned long long)world->steps,
	       (double)kolk__sim_now(world->sim) / 1e6, world->depth * 2, "");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

static void on_event(void *user, const struct kolk_event *event)
{
	struct world *world = user;

	world->events++;
	world->created += event->kind == KOLK_EVENT_CREATED;
	kolk__sim_record(world->sim, ((uint64_t)event->kind << 8) | (uint64_t)event->reason);
	kolk__sim_record(world->sim, event->connection);
	world_trace(world, "  event %s %s/%s connection %llu %s", kolk_event_name(event->kind),
		    kolk_pool_name(event->pool),
		    event->key != NULL ? kolk_key_tenant(event->key) : "*",
		    (unsigned long long)event->connection,
		    event->reason != 0 ? kolk_reason_name(event->reason) : "");
	for (int i = 0; i < POOLS; i++)
		if (event->kind == KOLK_EVENT_CLOSED && world->pools[i].pool == event->pool &&
		    world->pools[i].closed_events++ > 0)
			world_break(world, "a pool's closed event came twice");
}

/* ---- a resource that fails at random */

static enum kolk_err resource_create(void *user, void **resource)
{
	struct world *world = user;

	if (!world->calm && below(world, 8) == 0)
		return KOLK_E_RESOURCE;
	world->resources++;
	*resource = world;
	return KOLK_OK;
}

static enum kolk_err resource_maybe(void *user, void *resource)
{
	struct world *world = user;

	if (resource != world)
		world_break(world, "a driver got a resource that it did not make");
	return !world->calm && below(world, 16) == 0 ? KOLK_E_RESOURCE : KOLK_OK;
}

static void resource_destroy(void *user, void *resource)
{
	struct world *world = user;

	(void)resource;
	world->resources--;
}

static const struct kolk_resource_driver resource_driver = {
	.size = sizeof resource_driver, .name = "random", .create = resource_create,
	.validate = resource_maybe, .reset = resource_maybe, .destroy = resource_destroy,
};

/* ---- random options */

static uint32_t pick(struct world *world, uint32_t low, uint32_t high)
{
	return low + (uint32_t)below(world, high - low + 1);
}

static uint64_t pick_ms(struct world *world, uint64_t low, uint64_t high)
{
	return (low + below(world, high - low + 1)) * KOLK_MS_NS;
}

/* Each host in two spellings. */
static const char *address_of(struct world *world, int index, uint32_t host)
{
	static const char *const addresses[2][2][2] = {
		{ { "upstream.example:6379", "tcp://UPSTREAM.example:6379" },
		  { "other.example:6379", "other.Example:6379" } },
		{ { "192.0.2.1:7", "tcp://192.0.2.1:7" }, { "[2001:db8::1]:7", "[2001:DB8:0::1]:7" } },
	};

	return index != 2 ? addresses[index & 1][host][below(world, 2)] : NULL;
}

void world_pool_options(struct world *world, const struct pool_slot *slot, uint32_t host,
			struct kolk_pool_options *out)
{
	static const char *const names[POOLS] = { "ping", "raw", "resource", "counting" };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	int index = (int)(slot - world->pools);

	o.name = names[index];
	o.isolation = slot->isolation;
	o.circuit_failures = below(world, 4) ? pick(world, 1, 6) : KOLK_NONE;
	o.circuit_percent = pick(world, 1, 100);
	o.auth_retry_ns = pick_ms(world, 1, 500);
	o.eager_dials = (uint32_t)below(world, 2);
	o.hopeless_waits = (uint32_t)below(world, 2);
	o.key_histograms = (uint32_t)below(world, 2);
	o.address = address_of(world, index, host);
	o.driver = index == 0 ? kolk_driver_redis_ping() :
		   index == 3 ? &driver_counting : NULL;
	o.resource = index != 2 ? NULL : host ? &later_driver : &resource_driver;
	o.closes_max = pick(world, 1, 3);
	o.close_timeout_ns = pick_ms(world, 1, 500);
	o.driver_user = world;
	o.connections_max = pick(world, 1, 8);
	o.idle_min = below(world, 2) ? pick(world, 1, o.connections_max) : KOLK_NONE;
	o.pool_connections_max = below(world, 2) ? pick(world, o.connections_max, 16) : 0;
	if (slot->isolation == KOLK_ISOLATION_TENANT && index != 1) { /* constant, as that is */
		o.idle_max = 3;
		o.pool_idle_max = 4;
		if (o.idle_min != KOLK_NONE && o.idle_min > o.idle_max)
			o.idle_min = o.idle_max;
	}
	o.waiters_max = pick(world, 1, 12);
	o.dials_max = pick(world, 1, 6);
	o.uses_max = below(world, 4) == 0 ? pick(world, 1, 20) : 0;
	o.overtake_max_ns = below(world, 3) == 0 ? KOLK_AT_ONCE : pick_ms(world, 1, 20);
	o.idle_timeout_ns = pick_ms(world, 20, 5000);
	o.lifetime_ns = pick_ms(world, 100, 20000);
	o.resolve_timeout_ns = o.tls_timeout_ns = o.ready_timeout_ns = pick_ms(world, 5, 3000);
	o.connect_timeout_ns = pick_ms(world, 5, 3000);
	o.ping_interval_ns = pick_ms(world, 10, 3000);
	o.ping_timeout_ns = pick_ms(world, 1, 500);
	o.mend_timeout_ns = below(world, 8) ? pick_ms(world, 1, 500) : KOLK_AT_ONCE;
	o.mend_bytes_max = pick(world, 4, 400);
	o.retry_interval_ns = pick_ms(world, 1, 200);
	o.retry_max_ns = o.retry_interval_ns + pick_ms(world, 0, 2000);
	o.lease_overdue_ns = pick_ms(world, 10, 2000);
	*out = o;
}

void world_pool_add(struct world *world, struct pool_slot *slot)
{
	struct kolk_pool_options o;
	enum kolk_err err;

	*slot = (struct pool_slot){ .resource = slot == &world->pools[2],
				    .counting = slot == &world->pools[3] };
	slot->isolation = pick(world, KOLK_ISOLATION_TENANT, KOLK_ISOLATION_SESSION);
	slot->host = (uint32_t)below(world, 2);
	world_pool_options(world, slot, slot->host, &o);
	err = kolk_pool_add(world->engine, &o, &slot->pool);
	world_trace(world, "add pool %s: %s", o.name, kolk_err_name(err));
	kolk__sim_record(world->sim, (uint64_t)(int64_t)err);
	if (err != KOLK_OK && err != KOLK_E_MEMORY && err != KOLK_E_LIMIT)
		world_break(world, "a pool with sound options is refused");
	if (err != KOLK_OK)
		slot->pool = NULL;
}

/* Each seed has its own mixture of faults, and one in eight has none. */
static void choose_faults(struct world *world, bool any)
{
	for (int i = 0; i < KOLK__SIM_FAULT_COUNT; i++) {
		uint32_t chance = 0;

		if (any && below(world, 2) == 0)
			chance = 1u << below(world, i == KOLK__SIM_SHORT ||
						    i == KOLK__SIM_REORDERED ? 16 : 14);
		if (i == KOLK__SIM_JUMP || i == KOLK__SIM_SLOW || i == KOLK__SIM_ENOMEM)
			chance = chance > 1024 ? 1024 : chance;
		kolk__sim_chance(world->sim, (enum kolk__sim_fault)i, chance);
	}
	if (any && below(world, 3) == 0)
		kolk__sim_idle_limit(world->sim, pick_ms(world, 20, 3000));
}

static struct kolk_engine *engine_open(struct world *world, uint32_t mask)
{
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);
	struct kolk_engine *engine = NULL;

	o.loops = world->loops;
	o.loop_owner = KOLK_LOOPS_EMBEDDER;
	o.connections_reserved = 48;
	o.connections_max = pick(world, 2, 48);
	o.waiters_max = pick(world, 4, 40);
	o.keys_max = pick(world, 6, 20);
	o.tenant_connections_max = pick(world, 1, 20);
	o.tenant_keys_max = pick(world, 1, 6);
	o.lend_after_ns = below(world, 2) ? pick_ms(world, 1, 300) : KOLK_AT_ONCE;
	o.dials_max = pick(world, 1, 16);
	o.event_mask = mask;
	o.on_event = on_event;
	o.event_user = world;
	o.sys = kolk__sim_sys(world->sim);
	if (kolk_engine_create(&o, &engine) != KOLK_OK)
		return NULL;
	if (below(world, 2)) /* so that victim searches of callers do not visit all */
		engine->search_slice = pick(world, 1, 8);
	return engine;
}

static void audit_limits(struct world *world);

/* The laws that hold while a call is between two of its locks: what kolk_check() checks while other
 * threads run. */
static void audit_between_locks(struct world *world)
{
	struct kolk_engine *engine = world->engine;
	const char *law = NULL;

	engine->threads = true;
	if (kolk_check(engine, &law) != KOLK_OK)
		world_break(world, law);
	engine->threads = false;
	audit_limits(world);
}

/* Another thread has a cache of its own. */
static void change_thread(struct world *world)
{
	for (int i = 0; i < KOLK__THREAD_CACHE_SIZE; i++) {
		struct kolk__cached_conn cached = kolk__thread_cache[i];

		kolk__thread_cache[i] = world->other_cache[i];
		world->other_cache[i] = cached;
	}
}

/* The world is one thread. Others come in between, where it holds no lock: what they do is done
 * before it goes on. */
static void come_in(struct world *world)
{
	bool in_call = world->in_call;

	world->open_to_others = world->in_call = false;
	world->beside = true;
	world->came++;
	world->depth++;
	change_thread(world);
	world_trace(world, "beside:");
	audit_between_locks(world);
	for (uint64_t count = 1 + below(world, 4); count > 0; count--) {
		ops_beside(world);
		audit_limits(world);
	}
	change_thread(world);
	world->depth--;
	world->beside = false;
	world->open_to_others = true;
	world->in_call = in_call;
}

static struct world *present; /* the one that lives */

/* Before an access to what threads share. */
static void before_access(void)
{
	if (present->open_to_others && kolk__locks_held() == 0 && below(present, 128) == 0)
		come_in(present);
}

bool world_open_to_others(struct world *world, bool open)
{
	bool was = world->open_to_others;

	world->open_to_others = open && !world->calm && !world->beside;
	return was;
}

/* Before a lock is taken, and after it was given back. */
static void around_lock(void *user, int change)
{
	struct world *world = user;
	int held = world->locks + (change < 0 ? change : 0);

	world->locks = held;
	if (held == 0 && world->open_to_others && below(world, 16) == 0)
		come_in(world);
	world->locks += change > 0 ? change : 0;
}

struct world *world_open(uint64_t seed, bool trace)
{
	struct world *world = calloc(1, sizeof *world);
	uint32_t mask = KOLK_EVENT_ALL;

	if (world == NULL)
		return NULL;
	world->trace = trace;
	world->sim = kolk__sim_open(seed);
	if (world->sim == NULL)
		return NULL;
	world->loops = pick(world, 1, 3);
	/* An engine with an event for every lease leaves the fast path: let half of the seeds take
	 * it. */
	if (below(world, 2))
		mask &= ~(KOLK_EVENT_BIT(KOLK_EVENT_ACQUIRED) | KOLK_EVENT_BIT(KOLK_EVENT_RELEASED));
	world->engine = engine_open(world, mask);
	world->other = engine_open(world, 0);
	if (world->engine == NULL || world->other == NULL)
		return NULL;
	kolk__sim_on_wait(world->sim, world_turn, world);
	if (!streams_open(world))
		return NULL;
	for (int i = 0; i < POOLS; i++)
		world_pool_add(world, &world->pools[i]);
	choose_faults(world, seed % 8 != 0);
	world->engine->fail_slice = (uint32_t)(1 + seed % 4); /* few wait at a time */
	world->engine->walk_slice = (uint32_t)(2 + seed % 7); /* a key has few connections */
	world->engine->on_lock = around_lock;
	world->engine->on_lock_user = world;
	present = world;
	kolk__on_access = before_access;
	return world;
}

void world_close(struct world *world)
{
	kolk__on_access = NULL;
	kolk__sim_close(world->sim);
	free(world->streams);
	free(world);
}

/* ---- living */

static void must_be_bounded(struct world *world, struct bounded *count, uint32_t now,
			    uint32_t limit, const char *law)
{
	if (now > limit && now > count->last) {
		world_trace(world, "%s: %u > %u, was %u", law, now, limit, count->last);
		world_break(world, law);
	}
	count->last = now;
}

/* After every step, over all shards, closing connections counted. */
static void audit_limits(struct world *world)
{
	struct kolk_engine *engine = world->engine;
	struct kolk__tenant *tenant;
	char name[8];

	must_be_bounded(world, &world->engine_open, kolk__own(&engine->totals[0].open),
			kolk__own(&engine->totals[0].limit), "the engine's limit is exceeded");
	for (int i = 0; i < POOLS; i++)
		if (world->pools[i].pool != NULL)
			must_be_bounded(world, &world->pool_open[i],
					kolk__own(&world->pools[i].pool->open),
					kolk__own(&world->pools[i].pool->settings)
						->pool_connections_max,
					"a pool's limit is exceeded");
	for (uint64_t i = 0; i < KEYS; i++) {
		ops_tenant_name(i, name);
		tenant = kolk__tenant_find(engine, name);
		if (tenant == NULL) {
			world->tenant_open[i].last = 0;
			continue;
		}
		must_be_bounded(world, &world->tenant_open[i], kolk__own(&tenant->connections.open),
				kolk__tenant_limit(engine, tenant), "a tenant's limit is exceeded");
		kolk__tenant_unref(engine, tenant);
	}
}

/* A result that one loop decides reaches another by a task: that takes a turn more. */
static void late_waits(struct world *world, uint64_t began_ns)
{
	for (int i = 0; i < WAITS; i++)
		if (world->waits[i].pending && world->waits[i].deadline_ns < began_ns &&
		    ++world->waits[i].late > 2)
			world_break(world, "a waiter outlived its deadline by two turns");
}

static void step_loop(struct world *world, uint32_t index)
{
	uint64_t came = world->came;

	world->open_to_others = !world->calm && !world->beside;
	/* What others gave it meanwhile, its descriptor tells from then on. */
	if (!sim_loop_step(world->sim, kolk_engine_loop(world->engine, index)) &&
	    came == world->came)
		world_break(world, "a loop has work that its host does not know of");
	world->open_to_others = false;
}

/* Whatever was armed meanwhile: it fires in time. */
static void must_wake_for(struct world *world, uint64_t next_ns)
{
	struct kolk__maintain *maintain = &world->engine->maintain;
	const struct kolk__timer *timer = kolk__alarm_next(world->engine);

	if (timer != NULL && timer->due_ns < next_ns && kolk__load_relaxed(&maintain->kicked) == 0)
		world_break(world, "maintenance sleeps over an alarm");
}

void world_maintain(struct world *world)
{
	struct kolk_engine *engine = world->engine;

	if (world->maintaining)
		return; /* there is one such thread */
	world->maintaining = true;
	world->open_to_others = !world->calm && !world->beside;
	must_wake_for(world, kolk_engine_maintain(engine));
	world->open_to_others = world->maintaining = false;
	/* The maintenance thread of an engine with threads keeps the coarse clock, sometimes. */
	kolk__store_relaxed(&engine->page->clock_ns,
			    below(world, 4) != 0 ? kolk__sim_now(world->sim) : 0);
}

void world_turn(void *user)
{
	struct world *world = user;
	uint64_t began_ns = kolk__sim_now(world->sim), next_ns;

	world->depth++;
	later_turn(world);
	for (uint32_t i = 0; i < world->loops; i++)
		step_loop(world, i);
	late_waits(world, began_ns);
	world_maintain(world);
	audit_limits(world);
	if (world->depth < 3 && !world->calm && below(world, 2)) {
		ops_random(world);
		audit_limits(world);
	}
	next_ns = kolk__sim_next(world->sim);
	if (next_ns > kolk__sim_now(world->sim) + 50 * KOLK_MS_NS)
		kolk__sim_pass(world->sim, 1 + below(world, 5 * KOLK_MS_NS));
	else
		kolk__sim_pass(world->sim, next_ns > kolk__sim_now(world->sim) ?
						   next_ns - kolk__sim_now(world->sim) : 1000);
	world->depth--;
}

static void live(struct world *world)
{
	uint64_t now_ns = kolk__sim_now(world->sim);
	uint64_t next_ns;

	switch (below(world, 16)) {
	case 0:
	case 1:
		step_loop(world, (uint32_t)below(world, world->loops));
		break;
	case 2:
		world_maintain(world);
		break;
	case 3:
		kolk__sim_pass(world->sim, below(world, KOLK_MS_NS));
		break;
	case 4:
	case 5:
		next_ns = kolk__sim_next(world->sim);
		if (next_ns != KOLK_FOREVER && next_ns > now_ns)
			kolk__sim_pass(world->sim, next_ns - now_ns);
		break;
	case 6:
		world_turn(world);
		break;
	case 7:
		if (below(world, 32) == 0)
			kolk__sim_pass(world->sim, below(world, 20 * KOLK_S_NS));
		else if (below(world, 64) == 0)
			kolk__sim_outage(world->sim, now_ns + below(world, 5 * KOLK_S_NS));
		else if (below(world, 8) == 0)
			kolk__sim_hurt(world->sim);
		break;
	default:
		ops_random(world);
	}
}

static void audit(struct world *world)
{
	const char *law = NULL;

	audit_limits(world);

	if (kolk_check(world->engine, &law) != KOLK_OK)
		world_break(world, law);
	if (kolk__sim_broken(world->sim) != NULL)
		world_break(world, kolk__sim_broken(world->sim));
}

void world_step(struct world *world)
{
	world->steps++;
	live(world);
	audit(world);
	kolk__sim_record(world->sim, kolk__sim_now(world->sim));
}

/* ---- coming to rest */

/* With no fault left and no other caller, an acquire must succeed in a minute. */
static void must_serve(struct world *world, struct pool_slot *slot,
		       const struct key_slot *key)
{
	struct kolk_lease lease;
	enum kolk_err err = KOLK_OK;

	for (int i = 0; i < 20; i++) { /* a dial that failed before may still be reported */
		err = kolk_acquire(key->key, kolk__sim_now(world->sim) + 60 * KOLK_S_NS, &lease);
		if (err == KOLK_OK || err == KOLK_E_TIMEOUT || err == KOLK_E_DRAINING ||
		    err == KOLK_E_ROTATED)
			break;
		/* Refused before the next trial: let time pass, in steps that a dial survives. */
		for (int turn = 0; turn < 200 && err == KOLK_E_CIRCUIT; turn++)
			world_turn(world);
	}
	world_trace(world, "an acquire in peace: %s", kolk_err_name(err));
	if (err == KOLK_OK && kolk_release(&lease) != KOLK_OK)
		world_break(world, "a good lease cannot be released");
	if (err != KOLK_OK && !(err == KOLK_E_DRAINING && slot->draining) &&
	    !(err == KOLK_E_ROTATED && key->replaced))
		world_break(world, "nothing fails any more, but a caller is not served");
}

static void come_to_rest(struct world *world)
{
	world->calm = true;
	for (int i = 0; i < KOLK__SIM_FAULT_COUNT; i++)
		kolk__sim_chance(world->sim, (enum kolk__sim_fault)i, 0);
	kolk__sim_outage(world->sim, 0);
	kolk__sim_idle_limit(world->sim, 0);
	if (kolk_engine_connections_max_set(world->engine, 48) != KOLK_OK)
		world_break(world, "the engine refuses its own reserve");
	for (int i = 0; i < 4000; i++) {
		bool pending = false;

		ops_give_back_all(world);
		world_turn(world);
		for (int w = 0; w < WAITS; w++)
			pending = pending || world->waits[w].pending;
		for (int l = 0; l < LEASES; l++)
			pending = pending || world->leases[l].used;
		if (!pending)
			return;
	}
	world_break(world, "faults are over, but a wait or an operation does not end");
}

static void close_all(struct world *world)
{
	const char *left;

	streams_close(world);
	(void)kolk_engine_drain(world->engine, kolk__sim_now(world->sim) + KOLK_S_NS);
	if (kolk_engine_wait_closed(world->engine, kolk__sim_now(world->sim) + 600 * KOLK_S_NS) !=
	    KOLK_OK)
		world_break(world, "a drained engine does not close");
	audit(world);
	if (world->broken != NULL)
		return; /* keep everything as it is, for a debugger */
	(void)kolk_engine_destroy(world->engine);
	(void)kolk_engine_destroy(world->other);
	streams_free(world);
	left = kolk__sim_leaks(world->sim);
	if (left != NULL)
		world_break(world, left);
	if (world->sessions != 0)
		world_break(world, "a driver's close was not called, or twice");
	if (world->resources != 0)
		world_break(world, "a resource was not destroyed");
}

void world_end(struct world *world)
{
	if (world->broken == NULL)
		come_to_rest(world);
	if (world->broken == NULL)
		starvation(world);
	for (int p = 0; p < POOLS && world->broken == NULL; p++)
		for (int k = 0; k < KEYS; k++)
			if (world->pools[p].pool != NULL && world->pools[p].keys[k].key != NULL)
				must_serve(world, &world->pools[p], &world->pools[p].keys[k]);
	if (world->broken == NULL)
		streams_serve(world);
	if (world->broken == NULL)
		storm(world);
	audit(world);
	if (world->broken == NULL)
		close_all(world);
	if (world->broken == NULL && kolk__sim_broken(world->sim) != NULL)
		world_break(world, kolk__sim_broken(world->sim));
}
