/* SPDX-License-Identifier: Apache-2.0 */
/* route.c - views of a configuration: made, used by loops, freed with their last user. */
#include "tools/gateway/route.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/mcp/cache.h"
#include "tools/gateway/path.h"

/* ---- views */

/* Taken when a view is made or freed, and when a loop leaves one: never by a request that goes by the
 * newest one. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static char *join(const char *const *list, bool *ok)
{
	size_t size = 1;
	char *text;

	if (list == NULL)
		return NULL;
	for (const char *const *item = list; *item != NULL; item++)
		size += strlen(*item) + 2;
	text = calloc(1, size);
	*ok &= text != NULL;
	for (const char *const *item = list; text != NULL && *item != NULL; item++) {
		strcat(text, *item);
		if (item[1] != NULL)
			strcat(text, ", ");
	}
	return text;
}

/* NULL = the route has none. */
static const struct gw_balancer *balancer_of(const struct gw_view *view, const struct gw_route *route)
{
	for (uint32_t i = 0; route->balancer != NULL && i < view->config->balancer_count; i++)
		if (strcmp(view->config->balancers[i].name, route->balancer) == 0)
			return &view->balancers[i];
	return NULL;
}

static bool compile(struct gw_target *target, const struct gw_view *view,
		    const struct gw_route *route)
{
	bool ok = true;

	target->route = route;
	target->balancer = balancer_of(view, route);
	target->host_size = route->host == NULL ? 0 : strlen(route->host);
	target->path_size = route->path == NULL ? 0 : strlen(route->path);
	if (target->path_size > 0 && route->path[target->path_size - 1] == '/')
		target->path_size--;
	target->path_literal = target->path_size > 0 && gw_path_is_literal(route->path);
	target->cors_methods = join(route->cors_methods, &ok);
	target->cors_headers = join(route->cors_headers, &ok);
	target->cors_expose = join(route->cors_expose, &ok);
	target->count = gw_count_open(route);
	return ok && target->count != NULL;
}

/* A view less; the last one frees it. */
static void config_leave(struct gw_config *config)
{
	bool last;

	pthread_mutex_lock(&lock);
	last = --config->views == 0;
	pthread_mutex_unlock(&lock);
	if (last)
		gw_config_free(config);
}

static void free_parts(struct gw_view *view)
{
	for (uint32_t i = 0; view->targets != NULL && i < view->config->route_count; i++) {
		free(view->targets[i].cors_methods);
		free(view->targets[i].cors_headers);
		free(view->targets[i].cors_expose);
		gw_count_close(view->targets[i].count);
		gw_mcp_cache_unref(view->targets[i].cache);
	}
	free(view->targets);
	gw_match_free(&view->match);
	gw_balancers_free(view->balancers, view->config);
	gw_count_close(view->unrouted);
}

enum kolk_err gw_view_make(struct gw_config *config, struct gw_view **view)
{
	struct gw_view *made = calloc(1, sizeof *made);
	bool ok;

	if (made == NULL)
		return KOLK_E_MEMORY;
	made->config = config;
	made->targets = calloc(config->route_count + 1, sizeof *made->targets);
	made->balancers = gw_balancers_make(config);
	made->unrouted = gw_count_open(NULL);
	ok = made->targets != NULL && made->balancers != NULL && made->unrouted != NULL;
	for (uint32_t i = 0; ok && i < config->route_count; i++)
		ok = compile(&made->targets[i], made, &config->routes[i]);
	if (!ok || !gw_match_make(&made->match, made->targets, config->route_count)) {
		free_parts(made);
		free(made);
		return KOLK_E_MEMORY;
	}
	pthread_mutex_lock(&lock);
	config->views++;
	pthread_mutex_unlock(&lock);
	*view = made;
	return KOLK_OK;
}

void gw_view_bind(struct gw_view *view, struct kolk_engine *engine)
{
	gw_balancers_bind(view->balancers, view->config, engine);
	view->loops = kolk_engine_loop_count(engine);
	for (uint32_t i = 0; i < view->loops; i++)
		view->of_loop[i].users = 1; /* the loop itself */
	for (uint32_t i = 0; i < view->config->route_count; i++)
		if (view->targets[i].route->pool != NULL)
			view->targets[i].pool =
				kolk_pool_find(engine, view->targets[i].route->pool);
}

void gw_view_free(struct gw_view *view)
{
	if (view == NULL)
		return;
	free_parts(view);
	free(view->probes);
	config_leave(view->config);
	free(view);
}

struct gw_view *gw_view_use(struct gw_view *view, uint32_t loop)
{
	view->of_loop[loop].users++;
	return view;
}

void gw_view_leave(struct gw_view *view, uint32_t loop)
{
	bool last;

	if (--view->of_loop[loop].users > 0)
		return;
	pthread_mutex_lock(&lock);
	last = --view->loops == 0;
	pthread_mutex_unlock(&lock);
	if (last)
		gw_view_free(view);
}

/* ---- what it may be asked for */

const char *gw_target_rest(const struct gw_target *target, const char *path)
{
	if (target->route->strip_prefix == 0 || target->path_size == 0)
		return path;
	return path + gw_path_match(target->route->path, target->path_size, path);
}

bool gw_target_refuses(const struct gw_target *target, const char *path)
{
	enum gw_path_reading reading = gw_path_reading(path);

	return reading == GW_PATH_DOTS ||
	       (reading == GW_PATH_TWO_WAYS && target->route->ambiguous_path == GW_AMBIGUOUS_REFUSE) ||
	       !gw_path_begins_well(gw_target_rest(target, path));
}
