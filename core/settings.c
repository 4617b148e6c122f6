/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.c - options of a pool: read, defaults filled in, checked, applied, and changed while it
 * works.
 */
#include "core/settings.h"
#include "core/event.h"

#include <string.h>

#include "core/draws.h"
#include "core/effects.h"
#include "core/identity.h"
#include "core/option_tables.h"
#include "core/options.h"
#include "core/pool.h"

/* ---- defaults and checks */

static void defaults(struct kolk_pool_options *o, bool can_ping)
{
	if (o->ping_interval_ns == 0 && !can_ping)
		o->ping_interval_ns = KOLK_FOREVER; /* there is nothing to do then */
	kolk_option_defaults(&kolk__pool_table, o);
}

/* What would never work, or contradicts something else. */
static enum kolk_err values_check(const struct kolk_pool_options *o)
{
	const char *field = kolk_option_check(&kolk__pool_table, o);

	if (field == NULL && (o->bind_port_min == 0) != (o->bind_port_max == 0))
		field = "bind_port_min";
	return field == NULL ? KOLK_OK : kolk__refuse(o->failure, field);
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
	if (o->address == NULL && o->tls != NULL)
		return kolk__refuse(o->failure, "tls");
	if (o->resource != NULL && o->driver != NULL)
		return kolk__refuse(o->failure, "driver");
	return kolk__draws_check(o);
}

/* ---- reading */

/* The canonical bytes of what the options say about the peer and how to talk to it: as the
 * transport read it, so that "tls://" is TLS, and another spelling of a name is the same name. */
static enum kolk_err identify(struct kolk_engine *engine, struct kolk__settings *s)
{
	const struct kolk_driver *driver = kolk__upstream_driver(s->upstream);
	struct kolk__identity_parts parts = { .address = kolk__upstream_address(s->upstream) };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk__writer w = { .secret = &engine->secret };
	struct kolk_pool_options o = s->o;

	parts.driver_options = driver != NULL ? driver->options : NULL;
	if (kolk__upstream_is_tls(s->upstream)) {
		tls = o.tls != NULL ? *o.tls : tls;
		tls.server_name = kolk__upstream_server_name(s->upstream);
		o.tls = &tls;
	}
	o.bind_address = kolk__upstream_bind(s->upstream);
	kolk__upstream_digest(s->upstream, parts.files);
	kolk__identity_pool(&o, &parts, &w);
	s->identity_size = w.size;
	s->identity = kolk__allocate(engine, s->identity_size);
	if (s->identity == NULL)
		return KOLK_E_MEMORY;
	w = (struct kolk__writer){ .to = s->identity, .capacity = s->identity_size,
				   .secret = &engine->secret };
	kolk__identity_pool(&o, &parts, &w);
	return KOLK_OK;
}

/* What the driver says of its options, complete. */
static enum kolk_err driver_check(const struct kolk_pool_options *o,
				  const struct kolk_driver *driver, const void *options)
{
	const char *field = kolk_option_check(driver->options, options);
	enum kolk_err err = KOLK_OK;

	if (field != NULL)
		return kolk__refuse(o->failure, field);
	if (driver->check != NULL)
		err = driver->check(options, o, &field);
	return err == KOLK_OK ? err : kolk__refuse_as(o->failure, err, field);
}

/* The upstream's own copy of a driver's options, read, complete and checked. */
static enum kolk_err driver_copy(struct kolk_engine *engine, struct kolk__settings *s,
				 const struct kolk_driver *driver, void *read)
{
	const struct kolk_option_table *table = driver->options;
	enum kolk_err err;
	size_t size;
	void *copy;

	memcpy(read, &table->struct_size, sizeof table->struct_size);
	if (s->o.driver_user != NULL &&
	    !kolk__sized_copy(read, table->struct_size, s->o.driver_user))
		return kolk__refuse(s->o.failure, "driver_user");
	kolk_option_defaults(table, read);
	err = driver_check(&s->o, driver, read);
	if (err != KOLK_OK)
		return err;
	size = kolk__option_copy_size(table, read);
	copy = kolk__allocate(engine, size);
	if (copy == NULL)
		return KOLK_E_MEMORY;
	kolk__option_copy(table, read, copy);
	kolk__upstream_own_options(s->upstream, copy, size);
	s->o.driver_user = copy;
	return KOLK_OK;
}

static enum kolk_err driver_read(struct kolk_engine *engine, struct kolk__settings *s)
{
	const struct kolk_driver *driver = kolk__upstream_driver(s->upstream);
	enum kolk_err err;
	size_t size;
	void *read;

	if (driver == NULL || driver->options == NULL)
		return KOLK_OK;
	size = driver->options->struct_size;
	read = kolk__allocate(engine, size);
	if (read == NULL)
		return KOLK_E_MEMORY;
	err = driver_copy(engine, s, driver, read);
	explicit_bzero(read, size);
	kolk__deallocate(engine, read, size);
	return err;
}

/* The structs that the options point to. */
static enum kolk_err parts_check(struct kolk__settings *s)
{
	const char *field = NULL;

	if (s->o.child != NULL) {
		kolk_option_defaults(&kolk__child_table, &s->child);
		field = kolk_option_check(&kolk__child_table, &s->child);
	}
	if (field == NULL && s->o.tls != NULL)
		field = kolk_option_check(&kolk__tls_table, s->o.tls);
	return field != NULL ? kolk__refuse(s->o.failure, field) : KOLK_OK;
}

static enum kolk_err upstream_read(struct kolk_engine *engine, struct kolk__settings *s)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	enum kolk_err err = kolk__upstream_open(engine->transport, &s->o, &failure, &s->upstream);

	if (err == KOLK_OK)
		return driver_read(engine, s);
	(void)kolk__sized_write(s->o.failure, &failure);
	return err;
}

/* The options, and those that they point to; drivers are the transport's to read. */
static enum kolk_err sizes_read(struct kolk__settings *s, const struct kolk_pool_options *options)
{
	struct kolk_pool_options *o = &s->o;

	if (!kolk__sized_read(o, options))
		return kolk__refuse(o->failure, "size");
	if (!kolk__failure_fits(o->failure))
		return KOLK_E_OPTIONS;
	if (o->tls != NULL && !kolk__sized_read(&s->tls, o->tls))
		return kolk__refuse(o->failure, "tls");
	if (o->child != NULL && !kolk__sized_read(&s->child, o->child))
		return kolk__refuse(o->failure, "child");
	o->tls = o->tls != NULL ? &s->tls : NULL;
	o->child = o->child != NULL ? &s->child : NULL;
	return KOLK_OK;
}

enum kolk_err kolk__settings_read(struct kolk_engine *engine,
				  const struct kolk_pool_options *options,
				  struct kolk__settings *s)
{
	enum kolk_err err;

	*s = (struct kolk__settings){ 0 };
	err = sizes_read(s, options);
	if (err != KOLK_OK)
		return err;
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	err = names_check(&s->o);
	if (err == KOLK_OK)
		err = parts_check(s);
	if (err == KOLK_OK)
		err = upstream_read(engine, s);
	if (err == KOLK_OK) {
		defaults(&s->o, kolk__upstream_can_ping(s->upstream));
		err = values_check(&s->o);
	}
	if (err == KOLK_OK) {
		kolk__upstream_tune(s->upstream, &s->o);
		err = identify(engine, s);
	}
	if (err != KOLK_OK)
		kolk__settings_drop(engine, s);
	return err;
}

void kolk__settings_drop(struct kolk_engine *engine, struct kolk__settings *s)
{
	if (s->upstream != NULL)
		kolk__upstream_unref(s->upstream);
	kolk__deallocate(engine, s->identity, s->identity_size);
	s->upstream = NULL;
	s->identity = NULL;
}

/* ---- applying */

/* Under pool.lock, or before the pool is published. O1: a thread that reads the pointer (O2) reads
 * the values that were written before it. A reader that sleeps across two replacements sees newer
 * values in its snapshot: each is one word, so each is one that was in force. */
static void snapshot_replace(struct kolk_pool *pool, const struct kolk_pool_options *o)
{
	struct kolk_pool_options *next = kolk__own(&pool->settings) == &pool->snapshots[0] ?
						 &pool->snapshots[1] : &pool->snapshots[0];

	for (uint32_t i = 0; i < kolk__pool_table.count; i++) {
		const struct kolk_option *option = &kolk__pool_table.options[i];
		void *field = (char *)next + option->offset;

		if (option->kind < KOLK_OPTION_COUNT || option->kind > KOLK_OPTION_WORD)
			continue; /* texts and pointers are the caller's */
		if (option->size == sizeof(uint64_t))
			kolk__store_relaxed(kolk__as_atomic((uint64_t *)field),
					    kolk__option_number(option, o));
		else
			kolk__store_relaxed(kolk__as_atomic((uint32_t *)field),
					    (uint32_t)kolk__option_number(option, o));
	}
	kolk__store_release(&pool->settings, next); /* O1 */
}

static void upstream_replace(struct kolk_pool *pool, struct kolk__settings *s)
{
	struct kolk__upstream *upstream = pool->upstream;
	uint8_t *identity = pool->identity;
	size_t identity_size = pool->identity_size;

	kolk__take_lock(pool->engine, &pool->upstream_lock);
	pool->upstream = s->upstream;
	kolk__give_lock(pool->engine, &pool->upstream_lock);
	pool->identity = s->identity;
	pool->identity_size = s->identity_size;
	s->upstream = upstream;
	s->identity = identity;
	s->identity_size = identity_size;
}

static bool is_another(const struct kolk_pool *pool, const struct kolk__settings *s)
{
	return pool->upstream == NULL || s->identity_size != pool->identity_size ||
	       memcmp(s->identity, pool->identity, s->identity_size) != 0;
}

bool kolk__settings_apply(struct kolk_pool *pool, struct kolk__settings *s)
{
	bool another = is_another(pool, s);

	snapshot_replace(pool, &s->o);
	kolk__store_relaxed(&pool->must_reset, kolk__upstream_must_reset(s->upstream));
	/* Connections to the same peer keep their upstream: new time-outs apply to them, too. */
	if (another)
		upstream_replace(pool, s);
	else
		kolk__upstream_tune(pool->upstream, &s->o);
	return another;
}

enum kolk_err kolk_pool_check(struct kolk_engine *engine, const struct kolk_pool_options *options)
{
	struct kolk__settings s;
	enum kolk_err err = kolk__settings_read(engine, options, &s);

	if (err == KOLK_OK)
		kolk__settings_drop(engine, &s);
	return err;
}

/* What a pool is can not be changed: its name, its isolation, what kind of connections it has, and
 * how many may be idle (that decides whether hits take its connections, see key_init). */
static enum kolk_err same_pool(struct kolk_pool *pool, const struct kolk_pool_options *o)
{
	if (strcmp(o->name, pool->name) != 0)
		return kolk__refuse(o->failure, "name");
	if (o->isolation != pool->isolation)
		return kolk__refuse(o->failure, "isolation");
	if ((o->resource != NULL) != pool->resource)
		return kolk__refuse(o->failure, "resource");
	if (o->idle_max != kolk__setting(pool, idle_max))
		return kolk__refuse(o->failure, "idle_max");
	if (o->pool_idle_max != kolk__setting(pool, pool_idle_max))
		return kolk__refuse(o->failure, "pool_idle_max");
	if (!kolk__draws_are(pool, o->draws_from))
		return kolk__refuse(o->failure, "draws_from");
	return KOLK_OK;
}

/* *another: what it talks to changed. The keys follow in slices; one above a lowered limit has no
 * further permit at once, and stops (its gate) when its turn comes. Those of another endpoint dial
 * when their old connections are stale. */
static enum kolk_err update(struct kolk_pool *pool, struct kolk__settings *s, bool *another)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk__walk walk = { .over = true };
	enum kolk_err err = KOLK_OK;

	kolk__take_lock(engine, &pool->lock);
	if (kolk__load_acquire(&pool->state) != KOLK__OPEN && !pool->suspended) {
		err = KOLK_E_DRAINING;
	} else {
		*another = kolk__settings_apply(pool, s);
		kolk__walk_begin_locked(&walk, pool);
	}
	kolk__give_lock(engine, &pool->lock);
	kolk__walk_update(&walk, *another ? KOLK__DISPATCH : KOLK__DISPATCH | KOLK__DIAL);
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
		kolk__health_reset(pool);
		(void)kolk_pool_rotate(pool);
	}
	kolk__permits_grant(engine);
	return KOLK_OK;
}

/* ---- limits alone */

/* What is given over what is there, checked as a whole. Under pool.lock. */
static enum kolk_err limits_merge(struct kolk_pool *pool, const struct kolk_pool_limits *l)
{
	struct kolk_pool_options o = *kolk__own(&pool->settings); /* written under the lock */

	KOLK__HELD(&pool->lock);
	o.connections_max = kolk__count_or(l->connections_max, o.connections_max);
	o.pool_connections_max = kolk__count_or(l->pool_connections_max, o.pool_connections_max);
	o.idle_min = kolk__count_or(l->idle_min, o.idle_min);
	if (l->idle_min == 0 && o.idle_min > o.connections_max)
		o.idle_min = o.connections_max; /* the floor follows a lowered limit */
	o.waiters_max = kolk__count_or(l->waiters_max, o.waiters_max);
	o.idle_timeout_ns = kolk__ns_or(l->idle_timeout_ns, o.idle_timeout_ns);
	o.lifetime_ns = kolk__ns_or(l->lifetime_ns, o.lifetime_ns);
	o.overtake_max_ns = kolk__ns_or(l->overtake_max_ns, o.overtake_max_ns);
	if (values_check(&o) != KOLK_OK)
		return KOLK_E_OPTIONS;
	snapshot_replace(pool, &o);
	return KOLK_OK;
}

enum kolk_err kolk_pool_limits_set(struct kolk_pool *pool, const struct kolk_pool_limits *limits)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk__walk walk = { .over = true };
	struct kolk_pool_limits l;
	enum kolk_err err;

	if (!kolk__sized_read(&l, limits) || l.reserved != 0)
		return KOLK_E_OPTIONS;
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	kolk__take_lock(engine, &pool->lock);
	err = limits_merge(pool, &l);
	if (err == KOLK_OK)
		kolk__walk_begin_locked(&walk, pool);
	kolk__give_lock(engine, &pool->lock);
	kolk__walk_update(&walk, KOLK__DISPATCH | KOLK__DIAL); /* as update */
	if (err == KOLK_OK)
		kolk__permits_grant(engine);
	return err;
}
