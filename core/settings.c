/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.c - what a pool was told: options read, defaults filled in, checked, applied, and
 * changed while it works.
 */
#include "core/settings.h"

#include <string.h>

#include "core/identity.h"
#include "core/options.h"
#include "core/pool.h"

/* ---- defaults and checks */

static void defaults(struct kolk_pool_options *o, bool can_ping)
{
	uint32_t idle_min;

	o->connections_max = kolk__count_or(o->connections_max, 10);
	o->pool_connections_max = kolk__count_or(o->pool_connections_max, KOLK_UNLIMITED);
	idle_min = o->connections_max < 2 ? o->connections_max : 2;
	o->idle_min = kolk__count_or(o->idle_min, idle_min);
	o->waiters_max = kolk__count_or(o->waiters_max, 50);
	o->dials_max = kolk__count_or(o->dials_max, 4);
	o->uses_max = kolk__count_or(o->uses_max, KOLK_UNLIMITED);
	o->acquire_timeout_ns = kolk__ns_or(o->acquire_timeout_ns, 5 * KOLK_S_NS);
	o->overtake_max_ns = kolk__ns_or(o->overtake_max_ns, 1 * KOLK_MS_NS);
	o->idle_timeout_ns = kolk__ns_or(o->idle_timeout_ns, 30 * KOLK_S_NS);
	o->lifetime_ns = kolk__ns_or(o->lifetime_ns, 30 * 60 * KOLK_S_NS);
	o->resolve_timeout_ns = kolk__ns_or(o->resolve_timeout_ns, 5 * KOLK_S_NS);
	o->connect_timeout_ns = kolk__ns_or(o->connect_timeout_ns, 5 * KOLK_S_NS);
	o->tls_timeout_ns = kolk__ns_or(o->tls_timeout_ns, 5 * KOLK_S_NS);
	o->ready_timeout_ns = kolk__ns_or(o->ready_timeout_ns, 5 * KOLK_S_NS);
	o->ping_interval_ns = kolk__ns_or(o->ping_interval_ns,
					  can_ping ? 15 * KOLK_S_NS : KOLK_FOREVER);
	o->ping_timeout_ns = kolk__ns_or(o->ping_timeout_ns, KOLK_S_NS);
	o->mend_timeout_ns = kolk__ns_or(o->mend_timeout_ns, KOLK_S_NS);
	o->mend_bytes_max = kolk__count_or(o->mend_bytes_max, 64 * 1024);
	o->retry_interval_ns = kolk__ns_or(o->retry_interval_ns, 200 * KOLK_MS_NS);
	o->retry_max_ns = kolk__ns_or(o->retry_max_ns, o->retry_interval_ns > 2 * KOLK_S_NS ?
							o->retry_interval_ns : 2 * KOLK_S_NS);
	o->circuit_failures = kolk__count_or(o->circuit_failures, 5);
	o->circuit_percent = kolk__count_or(o->circuit_percent, 50);
	o->auth_retry_ns = kolk__ns_or(o->auth_retry_ns, 60 * KOLK_S_NS);
	o->lease_overdue_ns = kolk__ns_or(o->lease_overdue_ns, 60 * KOLK_S_NS);
	o->keepalive_ns = kolk__ns_or(o->keepalive_ns, 60 * KOLK_S_NS);
	o->unacked_ns = kolk__ns_or(o->unacked_ns, 20 * KOLK_S_NS);
}

struct field {
	const char *name;
	bool bad;
};

/* What would never work, or contradicts something else. Durations that are really zero make
 * no sense but for overtaking. */
static enum kolk_err values_check(const struct kolk_pool_options *o)
{
	const struct field fields[] = {
		{ "isolation", o->isolation > KOLK_ISOLATION_SESSION },
		{ "connections_max", o->connections_max == 0 ||
					     o->connections_max > KOLK_CONNECTIONS_MAX },
		{ "pool_connections_max", o->pool_connections_max == 0 },
		{ "idle_min", o->idle_min > o->connections_max ||
				      o->idle_min > o->pool_connections_max },
		{ "dials_max", o->dials_max == 0 },
		{ "uses_max", o->uses_max == 0 },
		{ "acquire_timeout_ns", o->acquire_timeout_ns == 0 },
		{ "idle_timeout_ns", o->idle_timeout_ns == 0 },
		{ "lifetime_ns", o->lifetime_ns == 0 },
		{ "resolve_timeout_ns", o->resolve_timeout_ns == 0 },
		{ "connect_timeout_ns", o->connect_timeout_ns == 0 },
		{ "tls_timeout_ns", o->tls_timeout_ns == 0 },
		{ "ready_timeout_ns", o->ready_timeout_ns == 0 },
		{ "ping_interval_ns", o->ping_interval_ns == 0 },
		{ "ping_timeout_ns", o->ping_timeout_ns == 0 },
		{ "retry_interval_ns", o->retry_interval_ns == 0 ||
					       o->retry_interval_ns == KOLK_FOREVER },
		{ "retry_max_ns", o->retry_max_ns < o->retry_interval_ns ||
					  o->retry_max_ns == KOLK_FOREVER },
		{ "circuit_percent", o->circuit_percent > 100 },
		{ "eager_dials", o->eager_dials > 1 },
		{ "hopeless_waits", o->hopeless_waits > 1 },
		{ "mend_bytes_max", o->mend_bytes_max == 0 },
		{ "reserved", o->reserved != 0 },
		{ "auth_retry_ns", o->auth_retry_ns == 0 },
		{ "lease_overdue_ns", o->lease_overdue_ns == 0 },
		{ "keepalive_ns", o->keepalive_ns == 0 },
		{ "unacked_ns", o->unacked_ns == 0 },
		{ "bind_port_min", o->bind_port_min > o->bind_port_max ||
					   (o->bind_port_min == 0) != (o->bind_port_max == 0) },
		{ "bind_port_max", o->bind_port_max > 65535 },
	};

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (fields[i].bad)
			return kolk__refuse(o->failure, fields[i].name);
	return KOLK_OK;
}

static enum kolk_err names_check(const struct kolk_pool_options *o)
{
	size_t size = o->name != NULL ? strnlen(o->name, sizeof((struct kolk_pool *)0)->name) : 0;

	if (size == 0 || size == sizeof((struct kolk_pool *)0)->name)
		return kolk__refuse(o->failure, "name");
	if ((o->address != NULL) + (o->resource != NULL) + (o->child != NULL) != 1)
		return kolk__refuse(o->failure, "address");
	if (o->child != NULL && (o->bind_address != NULL || o->bind_port_min != 0))
		return kolk__refuse(o->failure, o->bind_address != NULL ? "bind_address" :
									  "bind_port_min");
	if (o->child != NULL && o->name_servers != NULL)
		return kolk__refuse(o->failure, "name_servers");
	if (o->resource != NULL && (o->resource->size != sizeof *o->resource ||
				    (o->resource->create == NULL) ==
					    (o->resource->create_for == NULL)))
		return kolk__refuse(o->failure, "resource");
	if (o->address == NULL && o->tls != NULL)
		return kolk__refuse(o->failure, "tls");
	if (o->resource != NULL && o->driver != NULL)
		return kolk__refuse(o->failure, "driver");
	if (o->driver != NULL && o->driver->size != sizeof *o->driver)
		return kolk__refuse(o->failure, "driver");
	return KOLK_OK;
}

/* ---- reading */

/* The canonical bytes of what it says about whom to talk to and how: as the transport read it,
 * so that "tls://" is TLS, and another spelling of a name is the same name. */
static enum kolk_err identify(struct kolk_engine *engine, struct kolk__settings *s)
{
	const char *address = kolk__origin_address(s->origin);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_pool_options o = s->o;
	uint8_t files[32];

	if (kolk__origin_is_tls(s->origin)) {
		tls = o.tls != NULL ? *o.tls : tls;
		tls.server_name = kolk__origin_server_name(s->origin);
		o.tls = &tls;
	}
	o.bind_address = kolk__origin_bind(s->origin);
	kolk__origin_digest(s->origin, files);
	s->identity_size = kolk__identity_pool(&o, address, files, NULL, 0);
	s->identity = kolk__allocate(engine, s->identity_size);
	if (s->identity == NULL)
		return KOLK_E_MEMORY;
	(void)kolk__identity_pool(&o, address, files, s->identity, s->identity_size);
	return KOLK_OK;
}

enum kolk_err kolk__settings_read(struct kolk_engine *engine,
				  const struct kolk_pool_options *options,
				  struct kolk__settings *s)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	enum kolk_err err;

	*s = (struct kolk__settings){ 0 };
	if (!kolk__options_read(&s->o, (uint32_t)sizeof s->o, options))
		return kolk__refuse(NULL, "size");
	if (s->o.child != NULL &&
	    !kolk__options_read(&s->child, (uint32_t)sizeof s->child, s->o.child))
		return kolk__refuse(s->o.failure, "child");
	s->o.child = s->o.child != NULL ? &s->child : NULL;
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	err = names_check(&s->o);
	if (err != KOLK_OK)
		return err;
	err = kolk__origin_open(engine->transport, &s->o, &failure, &s->origin);
	if (err != KOLK_OK) {
		if (s->o.failure != NULL)
			*s->o.failure = failure;
		return err;
	}
	defaults(&s->o, kolk__origin_can_ping(s->origin));
	err = values_check(&s->o);
	kolk__origin_tune(s->origin, &s->o);
	if (err == KOLK_OK)
		err = identify(engine, s);
	if (err != KOLK_OK)
		kolk__settings_drop(engine, s);
	return err;
}

void kolk__settings_drop(struct kolk_engine *engine, struct kolk__settings *s)
{
	if (s->origin != NULL)
		kolk__origin_unref(s->origin);
	kolk__deallocate(engine, s->identity, s->identity_size);
	s->origin = NULL;
	s->identity = NULL;
}

/* ---- applying */

static void fill(struct kolk_pool *pool, const struct kolk_pool_options *o)
{
	kolk__store_relaxed(&pool->connections_max, o->connections_max);
	kolk__store_relaxed(&pool->pool_connections_max, o->pool_connections_max);
	kolk__store_relaxed(&pool->idle_min, o->idle_min);
	kolk__store_relaxed(&pool->waiters_max, o->waiters_max);
	kolk__store_relaxed(&pool->dials_max, o->dials_max);
	kolk__store_relaxed(&pool->uses_max, o->uses_max);
	kolk__store_relaxed(&pool->peer.failures_max, o->circuit_failures);
	kolk__store_relaxed(&pool->peer.percent_max, o->circuit_percent);
	kolk__store_relaxed(&pool->eager_dials, o->eager_dials);
	kolk__store_relaxed(&pool->hopeless_waits, o->hopeless_waits);
	kolk__store_relaxed(&pool->auth_retry_ns, o->auth_retry_ns);
	kolk__store_relaxed(&pool->idle_timeout_ns, o->idle_timeout_ns);
	kolk__store_relaxed(&pool->lifetime_ns, o->lifetime_ns);
	kolk__store_relaxed(&pool->overtake_max_ns, o->overtake_max_ns);
	kolk__store_relaxed(&pool->acquire_timeout_ns, o->acquire_timeout_ns);
	kolk__store_relaxed(&pool->ping_interval_ns, o->ping_interval_ns);
	kolk__store_relaxed(&pool->retry_interval_ns, o->retry_interval_ns);
	kolk__store_relaxed(&pool->retry_max_ns, o->retry_max_ns);
	kolk__store_relaxed(&pool->lease_overdue_ns, o->lease_overdue_ns);
	kolk__store_relaxed(&pool->must_reset,
			    o->resource != NULL && o->resource->reset != NULL);
}

void kolk__settings_apply(struct kolk_pool *pool, struct kolk__settings *s)
{
	struct kolk__origin *origin = pool->origin;
	uint8_t *identity = pool->identity;
	size_t identity_size = pool->identity_size;

	fill(pool, &s->o);
	kolk__take_lock(pool->engine, &pool->origin_lock);
	pool->origin = s->origin;
	kolk__give_lock(pool->engine, &pool->origin_lock);
	pool->identity = s->identity;
	pool->identity_size = s->identity_size;
	s->origin = origin;
	s->identity = identity;
	s->identity_size = identity_size;
}

enum kolk_err kolk_pool_check(struct kolk_engine *engine, const struct kolk_pool_options *options)
{
	struct kolk__settings s;
	enum kolk_err err = kolk__settings_read(engine, options, &s);

	if (err == KOLK_OK)
		kolk__settings_drop(engine, &s);
	return err;
}

/* What a pool is can not be changed: its name, who shares its connections, and of which kind they
 * are. */
static enum kolk_err same_pool(const struct kolk_pool *pool, const struct kolk_pool_options *o)
{
	if (strcmp(o->name, pool->name) != 0)
		return kolk__refuse(o->failure, "name");
	if (o->isolation != pool->isolation)
		return kolk__refuse(o->failure, "isolation");
	if ((o->resource != NULL) != pool->resource)
		return kolk__refuse(o->failure, "resource");
	return KOLK_OK;
}

/* True when what it talks to changed. */
static enum kolk_err update(struct kolk_pool *pool, struct kolk__settings *s, bool *another)
{
	struct kolk_engine *engine = pool->engine;
	enum kolk_err err = KOLK_OK;

	kolk__take_lock(engine, &pool->lock);
	if (kolk__load_acquire(&pool->state) != KOLK__OPEN)
		err = KOLK_E_DRAINING;
	*another = s->identity_size != pool->identity_size ||
		   memcmp(s->identity, pool->identity, s->identity_size) != 0;
	if (err == KOLK_OK)
		kolk__settings_apply(pool, s);
	kolk__give_lock(engine, &pool->lock);
	return err;
}

enum kolk_err kolk_pool_update(struct kolk_pool *pool, const struct kolk_pool_options *options)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk__settings s;
	bool another = false;
	enum kolk_err err = kolk__settings_read(engine, options, &s);

	if (err != KOLK_OK)
		return err;
	err = same_pool(pool, &s.o);
	if (err == KOLK_OK)
		err = update(pool, &s, &another);
	kolk__settings_drop(engine, &s);
	if (err != KOLK_OK)
		return err;
	if (another) {
		kolk__log(engine, KOLK_LOG_INFO, "pool", "pool %s goes to %s now", pool->name,
			  s.o.address != NULL ? s.o.address :
			  s.o.child != NULL   ? "another child" : "another resource");
		kolk__peer_forget(pool);
		(void)kolk_pool_rotate(pool);
	}
	kolk__pool_look(pool);
	kolk__hungry_feed(engine);
	return KOLK_OK;
}

/* ---- limits alone */

static void limits_apply(struct kolk_pool *pool, const struct kolk_pool_options *o)
{
	kolk__store_relaxed(&pool->connections_max, o->connections_max);
	kolk__store_relaxed(&pool->pool_connections_max, o->pool_connections_max);
	kolk__store_relaxed(&pool->idle_min, o->idle_min);
	kolk__store_relaxed(&pool->waiters_max, o->waiters_max);
	kolk__store_relaxed(&pool->idle_timeout_ns, o->idle_timeout_ns);
	kolk__store_relaxed(&pool->lifetime_ns, o->lifetime_ns);
	kolk__store_relaxed(&pool->overtake_max_ns, o->overtake_max_ns);
}

/* What is given over what is there, checked as a whole. Under pool.lock. */
static enum kolk_err limits_merge(struct kolk_pool *pool, const struct kolk_pool_limits *l)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.connections_max = kolk__count_or(l->connections_max, pool->connections_max);
	o.pool_connections_max =
		kolk__count_or(l->pool_connections_max, pool->pool_connections_max);
	o.idle_min = l->idle_min != 0	 ? l->idle_min :
		     pool->idle_min != 0 ? pool->idle_min : KOLK_NONE;
	if (l->idle_min == 0 && o.idle_min != KOLK_NONE && o.idle_min > o.connections_max)
		o.idle_min = o.connections_max; /* the floor follows a lowered limit */
	o.waiters_max = l->waiters_max != 0    ? l->waiters_max :
			pool->waiters_max != 0 ? pool->waiters_max : KOLK_NONE;
	o.idle_timeout_ns = kolk__ns_or(l->idle_timeout_ns, pool->idle_timeout_ns);
	o.lifetime_ns = kolk__ns_or(l->lifetime_ns, pool->lifetime_ns);
	o.overtake_max_ns = l->overtake_max_ns != 0    ? l->overtake_max_ns :
			    pool->overtake_max_ns != 0 ? pool->overtake_max_ns : KOLK_AT_ONCE;
	if (o.connections_max == 0 || o.pool_connections_max == 0 || o.idle_timeout_ns == 0 ||
	    o.lifetime_ns == 0)
		return KOLK_E_OPTIONS;
	defaults(&o, true);
	if (values_check(&o) != KOLK_OK)
		return KOLK_E_OPTIONS;
	limits_apply(pool, &o);
	return KOLK_OK;
}

enum kolk_err kolk_pool_limits_set(struct kolk_pool *pool, const struct kolk_pool_limits *limits)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk_pool_limits l;
	enum kolk_err err;

	if (!kolk__options_read(&l, (uint32_t)sizeof l, limits) || l.reserved != 0)
		return KOLK_E_OPTIONS;
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	kolk__take_lock(engine, &pool->lock);
	err = limits_merge(pool, &l);
	kolk__give_lock(engine, &pool->lock);
	if (err != KOLK_OK)
		return err;
	kolk__pool_look(pool);
	kolk__hungry_feed(engine);
	return KOLK_OK;
}
