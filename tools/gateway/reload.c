/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload.c - another configuration, without losing a request.
 *
 *   1. The file is read and checked; nothing has changed yet.
 *   2. Loops are told: a request that its pool refuses from now on, because it drains, is deferred.
 *   3. Pools are added, updated, drained (kolk_config_apply): all, or nothing.
 *   4. Loops get the new view; what is deferred goes by it. Other exchanges end by the old one.
 *
 * Members that DNS names change in the same way, by a new view of the same configuration.
 */
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/gateway/config/fixed.h"
#include "tools/gateway/dns/dns.h"
#include "tools/gateway/export.h"
#include "tools/gateway/health.h"
#include "tools/gateway/jwt/jwks_url.h"
#include "tools/gateway/mcp/mcp.h"
#include "tools/gateway/proxy.h"
#include "tools/gateway/tool/server.h"

/* ---- on every loop */

struct visit {
	struct kolk_call call;
	struct gw_loop *loop;
	gw_loop_fn *run;
	void *user;
	sem_t done;
};

static void visit(struct kolk_call *call, void *user)
{
	struct visit *visit = user;

	(void)call;
	visit->run(visit->loop, visit->user);
	sem_post(&visit->done);
}

void gw_each_loop(struct gateway *gateway, gw_loop_fn *run, void *user)
{
	for (uint32_t i = 0; i < gateway->loop_count; i++) {
		struct visit one = { .loop = &gateway->loops[i], .run = run, .user = user };

		sem_init(&one.done, 0, 0);
		if (kolk_loop_call(one.loop->loop, &one.call, visit, &one) == KOLK_OK)
			while (sem_wait(&one.done) != 0)
				; /* a signal */
		sem_destroy(&one.done);
	}
}

static void begin(struct gw_loop *loop, void *user)
{
	(void)user;
	loop->reloading = true;
}

static void end(struct gw_loop *loop, void *user)
{
	struct gw_view *before = loop->view, *after = user;

	loop->reloading = false;
	loop->view = after;
	gw_proxy_run_deferred(loop);
	if (before == after)
		return;
	gw_health_move(loop, before, after);
	gw_view_leave(before, loop->index); /* its exchanges go on */
}

/* ---- the whole */

struct use {
	const struct kolk_pool *pool;
	bool used;
};

static void look_for_use(struct gw_loop *loop, void *user)
{
	struct use *use = user;

	use->used |= gw_proxy_uses(loop, use->pool);
}

/* Its connections are closed, and it will not be resumed. */
static bool is_over(struct kolk_pool *pool)
{
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);

	return kolk_pool_is_closed(pool) && kolk_pool_inspect(pool, &info) == KOLK_OK &&
	       !info.suspended;
}

/* Asked on the loops: when one answers, the end of an exchange is behind it, and in the library. */
static bool is_used(struct gateway *gateway, const struct kolk_pool *pool)
{
	struct use use = { .pool = pool };

	gw_each_loop(gateway, look_for_use, &use);
	return use.used;
}

/* Under reload_lock: all loops go by the view in force, which names none of these pools. */
static void reap(struct gateway *gateway)
{
	struct kolk_pool *pool;

	for (uint32_t i = 0; (pool = kolk_engine_pool(gateway->engine, i)) != NULL;)
		if (!is_over(pool) || is_used(gateway, pool) ||
		    kolk_admin_pool_close(pool, kolk_in_ns(0)) != KOLK_OK)
			i++; /* otherwise the next one has this number now */
}

void gw_reap(struct gateway *gateway)
{
	if (pthread_mutex_trylock(&gateway->reload_lock) != 0)
		return;
	reap(gateway);
	pthread_mutex_unlock(&gateway->reload_lock);
}

/* Of a view before, if it is of the same configuration, caches stay. */
static void bind(struct gateway *gateway, struct gw_view *view, struct gw_dns_names *names)
{
	const struct gw_view *before = gateway->view;

	gw_dns_bind(names, view, gateway->engine);
	gw_view_bind(view, gateway->engine);
	gw_mcp_bind(gateway, view, before->config == view->config ? before : NULL);
}

static enum kolk_err apply(struct gateway *gateway, struct gw_view *after,
			   struct gw_dns_names *names, struct kolk_config_error *error)
{
	struct gw_view *before = gateway->view;
	enum kolk_err err;

	gw_each_loop(gateway, begin, NULL);
	err = kolk_config_apply(gateway->engine, before->config->pools, after->config->pools, error);
	if (err == KOLK_OK) {
		bind(gateway, after, names);
		gateway->view = after;
		gw_mcp_unbind(before);
	}
	gw_each_loop(gateway, end, gateway->view);
	return err;
}

bool gw_members_renew(void *user)
{
	struct gateway *gateway = user;
	struct gw_view *after;
	enum kolk_err err;

	if (pthread_mutex_trylock(&gateway->reload_lock) != 0)
		return false;
	err = gw_view_make(gateway->view->config, &after);
	if (err == KOLK_OK) {
		gw_each_loop(gateway, begin, NULL);
		bind(gateway, after, gateway->names);
		gateway->view = after;
		gw_each_loop(gateway, end, after);
	}
	pthread_mutex_unlock(&gateway->reload_lock);
	return err == KOLK_OK;
}

static enum kolk_err load(struct gateway *gateway, struct gw_view **view,
			  struct kolk_config_error *error)
{
	struct gw_config *config;
	enum kolk_err err = gw_config_load(gateway->path, &config, error);

	reap(gateway);
	if (err != KOLK_OK)
		return err;
	if (!gw_listen_same(gateway->view->config, config)) {
		snprintf(error->message, sizeof error->message,
			 "gateway.listen cannot change without a restart");
		gw_config_free(config);
		return KOLK_E_OPTIONS;
	}
	if (!gw_mcp_same(gateway->view->config, config)) {
		snprintf(error->message, sizeof error->message,
			 "pools of protocol mcp cannot change without a restart");
		gw_config_free(config);
		return KOLK_E_OPTIONS;
	}
	if (!gw_tools_same(gateway->view->config, config)) {
		snprintf(error->message, sizeof error->message,
			 "tools, and the tools of routes, cannot change without a restart");
		gw_config_free(config);
		return KOLK_E_OPTIONS;
	}
	err = gw_config_usable(config, false, error);
	if (err == KOLK_OK)
		err = gw_view_make(config, view);
	if (err != KOLK_OK)
		gw_config_free(config);
	return err;
}

enum kolk_err gw_keys_open(struct gateway *gateway, const struct gw_config *config,
			   struct gw_key_source **keys)
{
	const struct gw_tenants_options *options = &config->tenants_options;
	const struct gw_key_place place = { gateway->engine, gateway->loops[0].http };
	enum kolk_err err = KOLK_OK;

	*keys = NULL;
	if (options->keys_url == NULL)
		return KOLK_OK;
	if (gateway->keys != NULL && gw_key_source_is(gateway->keys, options))
		*keys = gateway->keys;
	else
		err = gw_key_source_open(&place, options, keys);
	gw_tenants_bind(config->tenants, *keys);
	return err;
}

/* All loops go by the view in force: none asks the other source. */
static void keys_swap(struct gateway *gateway, struct gw_key_source *keys)
{
	struct gw_key_source *before = gateway->keys;

	gateway->keys = keys;
	gw_key_source_show(keys);
	if (keys != NULL)
		gw_key_source_adjust(keys, &gateway->view->config->tenants_options);
	if (keys != before)
		gw_key_source_close(before);
}

static enum kolk_err reload(struct gateway *gateway, struct kolk_config_error *error)
{
	struct gw_collector *collector = gateway->collector;
	struct gw_dns_names *names = NULL;
	struct gw_key_source *keys;
	struct gw_view *view;
	enum kolk_err err = load(gateway, &view, error);

	if (err != KOLK_OK)
		return err;
	err = gw_keys_open(gateway, view->config, &keys);
	if (err == KOLK_OK)
		err = gw_collector_open(gateway, view->config, &collector);
	if (err == KOLK_OK)
		err = gw_listen_renew(gateway, view->config);
	if (err == KOLK_OK)
		err = gw_dns_names_open(gateway->dns, view->config, &names, error);
	if (err == KOLK_OK)
		err = apply(gateway, view, names, error);
	if (err == KOLK_OK) {
		gw_dns_names_close(gateway->names);
		gateway->names = names;
		keys_swap(gateway, keys);
		gw_tracing_swap(gateway, collector);
		return KOLK_OK;
	}
	if (keys != gateway->keys)
		gw_key_source_close(keys);
	if (collector != gateway->collector)
		gw_collector_close(collector);
	gw_dns_names_close(names);
	gw_view_free(view);
	return err;
}

/* What is in force, and what of the file is not. */
static void done_text(const struct gateway *gateway, char *text, size_t capacity)
{
	const struct gw_config *config = gateway->view->config;
	char *fixed = gw_config_fixed(config), changes[400] = "";

	if (fixed != NULL)
		gw_config_fixed_changes(gateway->fixed, fixed, changes, sizeof changes);
	free(fixed);
	snprintf(text, capacity, "%s: %u %s in force%s%s", gateway->path, config->route_count,
		 config->route_count == 1 ? "route is" : "routes are",
		 changes[0] != '\0' ? "; after a restart: " : "", changes);
}

enum kolk_err gw_reload(void *user, char *text, size_t capacity)
{
	struct gateway *gateway = user;
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	enum kolk_err err;

	pthread_mutex_lock(&gateway->reload_lock);
	err = reload(gateway, &error);
	if (err == KOLK_OK)
		done_text(gateway, text, capacity);
	else if (error.message[0] != '\0')
		kolk_config_error_text(&error, text, capacity);
	else
		snprintf(text, capacity, "%s: %s", gateway->path, kolk_err_text(err));
	pthread_mutex_unlock(&gateway->reload_lock);
	return err;
}
