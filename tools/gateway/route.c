/* SPDX-License-Identifier: Apache-2.0 */
/* route.c - where a request goes: the routes of a configuration, in the order of trial. */
#include "tools/gateway/route.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/gateway/mcp/cache.h"
#include "tools/gateway/path.h"

/* ---- the order of trial */

static bool is_wildcard(const struct gw_route *route)
{
	return route->host != NULL && strncmp(route->host, "*.", 2) == 0;
}

/* 2 = an exact host, 1 = a wildcard, 0 = any. */
static int host_rank(const struct gw_route *route)
{
	return route->host == NULL ? 0 : is_wildcard(route) ? 1 : 2;
}

static int descending(size_t a, size_t b)
{
	return a < b ? 1 : a > b ? -1 : 0;
}

static int by_trial(const void *left, const void *right)
{
	const struct gw_target *a = left, *b = right;
	int ranks = host_rank(b->route) - host_rank(a->route), order;

	if (ranks != 0)
		return ranks;
	order = is_wildcard(a->route) ? descending(a->host_size, b->host_size) : 0;
	if (order == 0)
		order = descending(a->path_size, b->path_size);
	return order != 0 ? order : descending(b->route->index, a->route->index);
}

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
	if (!ok) {
		free_parts(made);
		free(made);
		return KOLK_E_MEMORY;
	}
	qsort(made->targets, config->route_count, sizeof *made->targets, by_trial);
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

/* ---- what matches */

/* An authority without its port, and without the dot of the root: "a.test." is "a.test". */
static size_t host_size(const char *authority)
{
	const char *bracket = strrchr(authority, ']');
	const char *colon = strchr(bracket != NULL ? bracket : authority, ':');
	size_t size = colon != NULL ? (size_t)(colon - authority) : strlen(authority);

	return size > 0 && authority[size - 1] == '.' ? size - 1 : size;
}

/* size: host_size(authority) */
static bool host_matches(const struct gw_target *target, const char *authority, size_t size)
{
	const char *host = target->route->host;
	size_t wanted = target->host_size;

	if (host == NULL)
		return true;
	if (!is_wildcard(target->route))
		return size == wanted && strncasecmp(authority, host, size) == 0;
	wanted -= 1; /* ".name" */
	return size > wanted && strncasecmp(authority + size - wanted, host + 1, wanted) == 0;
}

static bool path_matches(const struct gw_target *target, const char *path, bool literal)
{
	char next;

	if (target->path_size == 0)
		return true;
	if (!literal || !target->path_literal)
		return gw_path_match(target->route->path, target->path_size, path) !=
		       GW_PATH_NO_MATCH;
	if (strncmp(path, target->route->path, target->path_size) != 0)
		return false;
	next = path[target->path_size];
	return next == '\0' || next == '/' || next == '?';
}

static bool method_matches(const struct gw_route *route, const char *method)
{
	for (const char *const *wanted = route->methods; wanted != NULL; wanted++) {
		if (*wanted == NULL)
			return false;
		if (strcmp(*wanted, method) == 0)
			return true;
	}
	return true;
}

static bool header_matches(const struct gw_route *route, const struct kolk_http_request_head *head)
{
	if (route->header_name == NULL)
		return true;
	for (uint32_t i = 0; i < head->field_count; i++)
		if (strcmp(head->fields[i].name, route->header_name) == 0 &&
		    (route->header_value == NULL ||
		     strcmp(head->fields[i].value, route->header_value) == 0))
			return true;
	return false;
}

const char *gw_preflight_method(const struct kolk_http_request_head *head)
{
	if (strcmp(head->method, "OPTIONS") != 0 ||
	    kolk_http_field(head->fields, head->field_count, "origin") == NULL)
		return NULL;
	return kolk_http_field(head->fields, head->field_count, "access-control-request-method");
}

const struct gw_target *gw_view_find(const struct gw_view *view,
				     const struct kolk_http_request_head *head)
{
	const char *preflight = gw_preflight_method(head);
	bool literal = gw_path_is_literal(head->target);
	size_t host = host_size(head->authority);

	for (uint32_t i = 0; i < view->config->route_count; i++) {
		const struct gw_target *target = &view->targets[i];
		const struct gw_route *route = target->route;
		bool cors = preflight != NULL && route->cors_origins != NULL;

		if (host_matches(target, head->authority, host) &&
		    path_matches(target, head->target, literal) &&
		    method_matches(route, cors ? preflight : head->method) &&
		    (cors || header_matches(route, head)))
			return target;
	}
	return NULL;
}

const struct gw_target *gw_view_find_metadata(const struct gw_view *view,
					      const struct kolk_http_request_head *head)
{
	const size_t prefix = sizeof GW_METADATA_PATH - 1;
	size_t size, host;

	if (strncmp(head->target, GW_METADATA_PATH, prefix) != 0)
		return NULL;
	size = strcspn(head->target, "?");
	host = host_size(head->authority);
	for (uint32_t i = 0; i < view->config->route_count; i++) {
		const struct gw_target *target = &view->targets[i];
		const char *path = target->route->access.metadata_path;

		if (path != NULL && strlen(path) == size && memcmp(path, head->target, size) == 0 &&
		    host_matches(target, head->authority, host))
			return target;
	}
	return NULL;
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
