/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_apply.c - reload: from one configuration to the next, or not at all.
 *
 *   check   everything that can be known before
 *   change  in an order in which each step can be undone
 *   end     what cannot fail, and cannot be undone: lower limits, drains
 */
#include "tools/ops/config_open.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/sized.h"
#include "tools/ops/config_check.h"
#include "tools/ops/config_life.h"
#include "tools/ops/config_protocol.h"
#include "tools/ops/config_schema.h"

struct reload {
	struct kolk__opening to; /* the next one, on its way into the engine that works */
	const struct kolk_config *before;
	/* Of the next one's pools, what was done so far. */
	struct done {
		struct kolk_pool *pool;
		bool added, cancel_pool_added;
		uint32_t warmed; /* of its keys to warm were handled */
	} *done;
	uint32_t pools_done, tenants_done;
	uint32_t total_before, total_after; /* connections of the engine */
	uint32_t loops_before;              /* active ones */
};

static uint32_t or(uint32_t value, uint32_t fallback)
{
	return value != 0 ? value : fallback;
}

/* The engine's options with their defaults. */
static struct kolk_engine_options engine_of(const struct kolk_config *config)
{
	struct kolk_engine_options full = config->engine;

	kolk_option_defaults(kolk_option_table("engine"), &full);
	return full;
}

/* A limit for a call where 0 leaves it as it is: what neither says is the program's. */
static uint32_t changed(uint32_t from, uint32_t to, uint32_t in_force)
{
	return from != 0 || to != 0 ? in_force : 0;
}

/* What the engine has now may be the program's own: it stays unless one of the two files says
 * something. */
static enum kolk_err totals(struct reload *l)
{
	struct kolk_engine_info info = KOLK_INIT(kolk_engine_info);
	enum kolk_err err = kolk_engine_inspect(l->to.engine, &info);

	l->total_before = info.connections_max;
	l->loops_before = 0;
	while (l->loops_before < info.loops &&
	       kolk_loop_is_active(kolk_engine_loop(l->to.engine, l->loops_before)))
		l->loops_before++;
	l->total_after = or(changed(l->before->engine.connections_max,
				    l->to.config->engine.connections_max,
				    engine_of(l->to.config).connections_max), l->total_before);
	return err;
}

/* ---- check */

/* Is the name free for what the file wants: a pool that works by `before`, or none? */
static enum kolk_err name_check(struct reload *l, const struct kolk__config_pool *pool,
				const char *name, bool is_ours)
{
	struct kolk_pool *there = kolk_pool_find(l->to.engine, name);
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);
	struct kolk__shown shown = kolk__show(name, strlen(name));

	if (there == NULL)
		return KOLK_OK;
	(void)kolk_pool_inspect(there, &info);
	if (info.draining && !(info.suspended && is_ours)) /* drained by an operator: it stays so */
		return kolk__refused(kolk__at_err(&l->to.reading, pool->node, KOLK_E_NAME_TAKEN),
				     "reload again when its leases have ended",
				     "the pool %s was drained and is not gone yet", shown.text);
	if (!is_ours)
		return kolk__refused(kolk__at_err(&l->to.reading, pool->node, KOLK_E_NAME_TAKEN),
				     "take another name", "the program has a pool %s of its own", shown.text);
	return KOLK_OK;
}

/* The same for the name of its cancel pool. */
static enum kolk_err cancel_pool_check(struct reload *l, const struct kolk__config_pool *pool,
				       const struct kolk__config_pool *old)
{
	char name[KOLK__CANCEL_POOL_NAME_BYTES];

	return kolk__protocol_cancel_pool_name(pool->options.name, pool->protocol, name) ?
		       name_check(l, pool, name, old != NULL && old->protocol == pool->protocol) :
		       KOLK_OK;
}

static enum kolk_err pool_check(struct reload *l, const struct kolk__config_pool *pool)
{
	const struct kolk__config_pool *old =
		kolk__config_pool_named(l->before, pool->options.name);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool_options o = pool->options;
	const struct kolk__setting *setting;
	enum kolk_err err = name_check(l, pool, o.name, old != NULL);

	if (err == KOLK_OK)
		err = cancel_pool_check(l, pool, old);
	if (err != KOLK_OK)
		return err;
	if (old != NULL && old->options.isolation != o.isolation)
		return kolk__refused(kolk__at(&l->to.reading,
					      kolk__pool_node(pool, "isolation", &setting)),
				     "give the pool another name",
				     "the isolation of %s cannot change while it works",
				     kolk__show(o.name, strlen(o.name)).text);
	o.failure = &failure;
	err = kolk_pool_check(l->to.engine, &o);
	if (err == KOLK_OK || (err == KOLK_E_NAME_TAKEN && old != NULL))
		return KOLK_OK;
	return kolk__pool_refused(&l->to, pool, err, &failure);
}

static enum kolk_err check(struct reload *l)
{
	enum kolk_err err = kolk__life_check(&l->to.reading, l->before, l->to.config);

	for (uint32_t i = 0; i < l->to.config->pools.count; i++) {
		enum kolk_err each = pool_check(l, kolk__config_pool_at(l->to.config, i));

		err = err == KOLK_OK ? each : err; /* the others' mistakes are reported, too */
	}
	return err;
}

/* ---- change, and back */

static enum kolk_err engine_raise(struct reload *l)
{
	const struct kolk__node *node =
		kolk__config_node(l->to.config, "engine", "connections_max");
	enum kolk_err err;

	if (l->total_after <= l->total_before)
		return KOLK_OK;
	err = kolk_engine_connections_max_set(l->to.engine, l->total_after);
	if (err == KOLK_OK)
		return KOLK_OK;
	return kolk__refused(kolk__at_err(&l->to.reading, node, err),
			     "restart with a higher 'connections_reserved'",
			     "'connections_max' is above what the engine reserved");
}

static enum kolk_err pool_update(struct reload *l, struct kolk_pool *pool,
				 const struct kolk__config_pool *to)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool_options o = to->options;
	enum kolk_err err;

	o.failure = &failure;
	err = kolk__protocol_update(pool, to->protocol, &o);
	return err == KOLK_OK ? KOLK_OK :
				kolk__pool_refused(&l->to, to, err, &failure);
}

/* At once where others have yet to be changed, and back if those cannot be: no request is lost by
 * either. */
static enum kolk_err loops_change(struct reload *l)
{
	uint32_t before = l->before->engine.loops, after = l->to.config->engine.loops;
	enum kolk_err err = before == after ? KOLK_OK : kolk_engine_loops_set(l->to.engine, after);
	const struct kolk__node *node = kolk__config_node(l->to.config, "engine", "loops");

	if (err == KOLK_E_OPTIONS)
		return kolk__refused(kolk__at_err(&l->to.reading, node, err),
				     "restart with a higher 'loops_reserved'",
				     "'loops' is above what the engine reserved");
	if (err != KOLK_OK)
		return kolk__refused(kolk__at_err(&l->to.reading, node, err),
				     "restart, or leave it as it was",
				     "'loops' cannot change while the engine works: %s",
				     kolk_err_text(err));
	return KOLK_OK;
}

static bool is_among(const struct kolk__config_key *key, const struct kolk__config_pool *pool)
{
	const struct kolk__config_key *keys = pool != NULL ? pool->warm.items : NULL;

	for (uint32_t i = 0; pool != NULL && i < pool->warm.count; i++)
		if (kolk__key_is_same(key, &keys[i]))
			return true;
	return false;
}

/* One pool: added, or updated; then its new keys are warmed. */
static enum kolk_err pool_change(struct reload *l, const struct kolk__config_pool *to)
{
	const struct kolk__config_pool *old =
		kolk__config_pool_named(l->before, to->options.name);
	const struct kolk__config_key *keys = to->warm.items;
	struct done *done = &l->done[l->pools_done];
	enum kolk_err err;

	done->pool = kolk_pool_find(l->to.engine, to->options.name);
	done->added = done->pool == NULL;
	done->cancel_pool_added = !done->added && old->protocol != to->protocol;
	err = done->added ? kolk__pool_add(&l->to, to, &done->pool) :
			    pool_update(l, done->pool, to);
	/* An update may have changed the pool and not its cancel pool. */
	l->pools_done += err == KOLK_OK || !done->added;
	if (err != KOLK_OK)
		return err;
	for (; err == KOLK_OK && done->warmed < to->warm.count; done->warmed += err == KOLK_OK)
		if (done->added || !is_among(&keys[done->warmed], old))
			err = kolk__key_warm_begin(&l->to, done->pool, &keys[done->warmed]);
	return err;
}

static void pool_close(struct reload *l, struct kolk_pool *pool)
{
	if (pool != NULL)
		(void)!kolk_admin_pool_close(pool, kolk_engine_now(l->to.engine) + KOLK_S_NS);
}

static void pool_back(struct reload *l, const struct done *done,
		      const struct kolk__config_pool *from)
{
	const struct kolk__config_pool *old =
		kolk__config_pool_named(l->before, from->options.name);
	const struct kolk__config_key *keys = from->warm.items;

	for (uint32_t i = 0; i < done->warmed; i++)
		if (done->added || !is_among(&keys[i], old))
			kolk__key_warm_end(done->pool, &keys[i]);
	/* Both worked a moment ago; a pool that does not close at once goes on draining. */
	if (done->added || done->cancel_pool_added)
		pool_close(l, kolk__protocol_cancel_pool(done->pool, from->protocol));
	if (done->added)
		pool_close(l, done->pool);
	else
		(void)!kolk__protocol_update(done->pool, old->protocol, &old->options);
}

/* Limits of `to` when those of `from` are in force. What it does not say any more is the
 * engine's again; either may be NULL. */
static enum kolk_err tenant_change(struct reload *l, const struct kolk__config_tenant *from,
				   const struct kolk__config_tenant *to,
				   const struct kolk_config *config)
{
	const struct kolk_engine_options engine = engine_of(config);
	struct kolk_tenant_limits limits, full;

	if (to == NULL)
		return kolk_tenant_limits_set(l->to.engine, from->name, NULL);
	limits = full = to->limits;
	kolk_option_defaults(kolk_option_table("tenant"), &full);
	if (from != NULL && from->limits.connections_max != 0)
		limits.connections_max = or(limits.connections_max, engine.tenant_connections_max);
	if (from != NULL && from->limits.keys_max != 0)
		limits.keys_max = or(limits.keys_max, engine.tenant_keys_max);
	if (from != NULL && from->limits.weight != 0)
		limits.weight = full.weight;
	return kolk_tenant_limits_set(l->to.engine, to->name, &limits);
}

static enum kolk_err tenants_change(struct reload *l)
{
	enum kolk_err err = KOLK_OK;

	while (err == KOLK_OK && l->tenants_done < l->to.config->tenants.count) {
		const struct kolk__config_tenant *to =
			kolk__config_tenant_at(l->to.config, l->tenants_done);

		err = tenant_change(l, kolk__config_tenant_named(l->before, to->name), to,
				    l->to.config);
		if (err != KOLK_OK)
			return kolk__refused(kolk__at_err(&l->to.reading, to->node, err), "",
					     "this tenant's limits are refused: %s",
					     kolk_err_text(err));
		l->tenants_done++;
	}
	return err;
}

static enum kolk_err change(struct reload *l)
{
	enum kolk_err err = engine_raise(l);

	if (err == KOLK_OK)
		err = loops_change(l);
	for (uint32_t i = 0; err == KOLK_OK && i < l->to.config->pools.count; i++)
		err = pool_change(l, kolk__config_pool_at(l->to.config, i));
	return err == KOLK_OK ? tenants_change(l) : err;
}

static void back(struct reload *l)
{
	while (l->tenants_done > 0) {
		const struct kolk__config_tenant *from =
			kolk__config_tenant_at(l->to.config, --l->tenants_done);

		(void)tenant_change(l, from, kolk__config_tenant_named(l->before, from->name),
				    l->before);
	}
	while (l->pools_done > 0) {
		l->pools_done--;
		pool_back(l, &l->done[l->pools_done],
			  kolk__config_pool_at(l->to.config, l->pools_done));
	}
	(void)!kolk_engine_loops_set(l->to.engine, l->loops_before);
	if (l->total_after > l->total_before)
		(void)!kolk_engine_connections_max_set(l->to.engine, l->total_before);
}

/* ---- end */

static void pool_drain(struct reload *l, struct kolk_pool *pool)
{
	uint64_t now_ns = kolk_engine_now(l->to.engine);

	if (pool != NULL)
		(void)kolk_pool_drain(pool, now_ns + l->to.config->drain_grace_ns);
}

static void pool_end(struct reload *l, const struct kolk__config_pool *old)
{
	struct kolk_pool *pool = kolk_pool_find(l->to.engine, old->options.name);
	const struct kolk__config_pool *now =
		kolk__config_pool_named(l->to.config, old->options.name);
	const struct kolk__config_key *keys = old->warm.items;

	if (pool == NULL)
		return;
	if (now == NULL || now->protocol != old->protocol)
		pool_drain(l, kolk__protocol_cancel_pool(pool, old->protocol));
	if (now == NULL) {
		pool_drain(l, pool);
		return;
	}
	if (l->done[now - kolk__config_pool_at(l->to.config, 0)].added)
		return;
	for (uint32_t i = 0; i < old->warm.count; i++)
		if (!is_among(&keys[i], now))
			kolk__key_warm_end(pool, &keys[i]);
}

static void end(struct reload *l)
{
	const struct kolk_config *config = l->to.config;
	const struct kolk_engine_options *before = &l->before->engine, *after = &config->engine;
	const struct kolk_engine_options full = engine_of(config);

	for (uint32_t i = 0; i < l->before->tenants.count; i++) {
		const struct kolk__config_tenant *old = kolk__config_tenant_at(l->before, i);

		if (kolk__config_tenant_named(config, old->name) == NULL)
			(void)tenant_change(l, old, NULL, config);
	}
	for (uint32_t i = 0; i < l->before->pools.count; i++)
		pool_end(l, kolk__config_pool_at(l->before, i));
	kolk_engine_tenant_limits_set(
		l->to.engine,
		changed(before->tenant_connections_max, after->tenant_connections_max,
			full.tenant_connections_max),
		changed(before->tenant_keys_max, after->tenant_keys_max, full.tenant_keys_max));
	if (l->total_after < l->total_before)
		(void)!kolk_engine_connections_max_set(l->to.engine, l->total_after);
}

/* ---- the program's own sections */

static enum kolk_err program_prepare(struct reload *l)
{
	const struct kolk_config_program *program = &l->to.config->program;
	struct kolk_config_error *error = l->to.reading.error;
	enum kolk_err err = program->prepare != NULL ? program->prepare(program->user, l->before,
									l->to.config, error) :
						       KOLK_OK;

	if (err != KOLK_OK && error->mistakes == 0)
		return kolk__refused(kolk__at_err(&l->to.reading, l->to.config->file, err), "",
				     "the program refuses it: %s", kolk_err_text(err));
	return err;
}

static void program_done(struct reload *l, enum kolk_err err)
{
	const struct kolk_config_program *program = &l->to.config->program;

	if (program->done != NULL)
		program->done(program->user, l->before, l->to.config, err);
}

static enum kolk_err apply(struct reload *l)
{
	enum kolk_err err = check(l);

	if (err == KOLK_OK)
		err = totals(l);
	if (err != KOLK_OK)
		return err;
	l->done = calloc(l->to.config->pools.count + 1, sizeof *l->done);
	if (l->done == NULL)
		return kolk__refused(kolk__at_err(&l->to.reading, l->to.config->file,
						  KOLK_E_MEMORY), "", "%s",
				     kolk_err_text(KOLK_E_MEMORY));
	err = program_prepare(l);
	if (err == KOLK_OK) {
		err = change(l);
		if (err == KOLK_OK)
			end(l);
		else
			back(l);
		program_done(l, err);
	}
	free(l->done);
	return err;
}

enum kolk_err kolk_config_apply(struct kolk_engine *engine, const struct kolk_config *before,
				const struct kolk_config *after, struct kolk_config_error *error)
{
	struct kolk_config_error own_error = KOLK_INIT(kolk_config_error);
	struct reload l = { .to = { .reading = { .name = after->name, .error = &own_error },
				    .config = after, .engine = engine, .dial = true },
			    .before = before };
	enum kolk_err err;

	if (!kolk__config_error_fits(error))
		return KOLK_E_OPTIONS;
	err = apply(&l);
	(void)kolk__sized_write(error, &own_error);
	return err;
}
