/* SPDX-License-Identifier: Apache-2.0 */
/* route.c - what is wrong with routes: what they match, what they do, what contradicts it. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "tools/gateway/config/file.h"
#include "tools/gateway/path.h"

/* ---- match */

static const struct kolk_config_place *at(const struct gw_route *route, const char *map,
					  const char *key)
{
	return gw_place(route->place, map, key);
}

static bool is_set(const struct gw_route *route, const char *key)
{
	return kolk_config_place(route->place, key) != route->place;
}

/* NULL, or what to write instead. */
static const char *path_flaw(const char *path)
{
	if (path[0] != '/')
		return "a path begins with '/', and is no pattern";
	if (strpbrk(path, "?#") != NULL)
		return "a path has no query: routes do not look at it";
	if (strpbrk(path, "*^$()[]{}|\\") != NULL)
		return "a path is a prefix of whole segments, not a pattern: /api fits /api/users";
	if (gw_path_reading(path) == GW_PATH_DOTS || strstr(path, "//") != NULL)
		return "write it without empty segments, '.' and '..'";
	if (gw_path_reading(path) != GW_PATH_PLAIN || strchr(path, ';') != NULL)
		return "write it as it is compared: letters, digits and -._~ decoded, no %2F, no ';'";
	return gw_is_printable(path) && strchr(path, ' ') == NULL ?
		       NULL : "other bytes than visible ASCII are written as %20";
}

static const char *host_flaw(const char *host)
{
	const char *name = strncmp(host, "*.", 2) == 0 ? host + 2 : host;

	if (strstr(host, "://") != NULL)
		return "write the name alone: api.example.com";
	if (strchr(name, '*') != NULL)
		return "a '*' stands in front alone: *.example.com";
	if (strchr(host, ':') != NULL && host[0] != '[')
		return "write it without the port";
	if (host[strlen(host) - 1] == '.')
		return "write it without the dot at its end";
	return name[0] != 0 && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-._[]:")] == 0 ?
		       NULL : "a name has letters, digits, '-' and '.'; others are written xn--...";
}

static void methods_check(struct gw_check *c, const struct gw_route *route, const char *map,
			  const char *const *methods)
{
	uint32_t i = 0;

	for (; methods != NULL && *methods != NULL; methods++, i++) {
		const struct kolk_config_place *entry =
			kolk_config_place_entry(at(route, map, "methods"), i);

		if (!gw_is_token(*methods))
			gw_wrong(c, entry, "as GET", "this is no method");
		else if (strpbrk(*methods, "abcdefghijklmnopqrstuvwxyz") != NULL)
			gw_wrong(c, entry, "methods are written in capitals: GET",
				 "no client sends this method");
		else if (strcmp(*methods, "CONNECT") == 0)
			gw_wrong(c, entry, "leave it out", "CONNECT is never passed on");
	}
}

/* "name: value" to two texts. */
static void header_check(struct gw_check *c, struct gw_route *route)
{
	const char *text = route->header_name;
	const char *colon = strchr(text, ':');
	size_t size = colon != NULL ? (size_t)(colon - text) : strlen(text);
	char *name = gw_copy_lower(c, text, size);

	if (name == NULL)
		return;
	route->header_name = name;
	if (!gw_is_token(name))
		gw_wrong(c, at(route, "match", "header"), "write \"name: value\", or a name alone",
			 "'header' does not begin with the name of a field");
	else if (strcmp(name, "host") == 0)
		gw_wrong(c, at(route, "match", "header"), "write 'host' in 'match'",
			 "Host has a key of its own");
	if (colon == NULL)
		return;
	route->header_value = colon + 1 + strspn(colon + 1, " ");
	if (!gw_is_printable(route->header_value))
		gw_wrong(c, at(route, "match", "header"), "", "no field has such a value");
}

static void match_check(struct gw_check *c, struct gw_route *route)
{
	const char *flaw;

	if (route->host != NULL) {
		route->host = gw_copy_lower(c, route->host, strlen(route->host));
		flaw = route->host != NULL ? host_flaw(route->host) : NULL;
		if (flaw != NULL)
			gw_wrong(c, at(route, "match", "host"), flaw, "'host' is no host's name");
	}
	flaw = route->path != NULL ? path_flaw(route->path) : NULL;
	if (flaw != NULL)
		gw_wrong(c, at(route, "match", "path"), flaw, "'path' matches nothing");
	methods_check(c, route, "match", route->methods);
	if (route->header_name != NULL)
		header_check(c, route);
}

/* ---- what it does */

/* May requests go to it, and with sessions, if it is an MCP server's? */
static bool is_proxied(const struct gw_check *c, const struct kolk_pool_options *pool, uint32_t i,
		       bool sessions)
{
	return pool->driver == kolk_driver_http() ||
	       (sessions && kolk_config_mcp(c->config, i) != NULL);
}

/* The names of the pools that it could be. */
static void pools_text(const struct gw_check *c, bool sessions, char *text, size_t size)
{
	const char *said = sessions ? "pools of protocol http or mcp are: " :
				      "pools of protocol http are: ";
	const struct kolk_pool_options *pool;
	size_t used = 0;

	snprintf(text, size, "add it to 'pools'");
	for (uint32_t i = 0; (pool = kolk_config_pool(c->config, i)) != NULL && used < size; i++)
		if (is_proxied(c, pool, i, sessions))
			used += (size_t)snprintf(text + used, size - used, "%s%s",
						 used == 0 ? said : ", ", pool->name);
}

void gw_pool_check(struct gw_check *c, const struct kolk_config_place *place, const char *name,
		   bool sessions)
{
	const struct kolk_pool_options *pool;
	char pools[100];
	uint32_t i;

	pool = gw_config_pool(c->config, name, &i);
	if (pool == NULL) {
		pools_text(c, sessions, pools, sizeof pools);
		gw_wrong(c, kolk_config_place(place, "pool"), pools, "there is no pool '%s'", name);
	} else if (!is_proxied(c, pool, i, sessions)) {
		gw_wrong(c, kolk_config_place(place, "pool"), "write 'protocol: http' in the pool",
			 "the pool '%s' does not speak HTTP", name);
	}
}

static void mcp_check(struct gw_check *c, struct gw_route *route)
{
	const struct kolk_config_place *place = kolk_config_place(route->place, "mcp");
	uint32_t i;

	if (route->action == GW_ACTION_TOOLS || route->federation.count > 0)
		gw_mcp_route_check(c, route);
	else if (route->pool == NULL)
		gw_wrong(c, place, "leave it out",
			 "'mcp' is of a route with a 'pool', a 'federation' or 'tools'");
	else if (gw_config_pool(c->config, route->pool, &i) != NULL && kolk_config_mcp(c->config, i) == NULL)
		gw_wrong(c, place, "write 'protocol: mcp' in the pool",
			 "the pool '%s' is no MCP server's", route->pool);
	else
		gw_mcp_route_check(c, route);
	if (route->pool != NULL && gw_config_pool(c->config, route->pool, &i) != NULL)
		gw_mcp_pass_check(c, route, route->pool, i);
}

static void balancer_check(struct gw_check *c, const struct gw_route *route)
{
	const struct gw_config *config = &c->file->config;

	for (uint32_t i = 0; i < config->balancer_count; i++)
		if (config->balancers[i].name != NULL &&
		    strcmp(config->balancers[i].name, route->balancer) == 0)
			return;
	gw_wrong(c, kolk_config_place(route->place, "balancer"), "add it to 'balancers' of 'gateway'",
		 "there is no balancer '%s'", route->balancer);
}

static void answer_check(struct gw_check *c, const struct gw_route *route)
{
	if (route->answer_content_type != NULL && !gw_is_printable(route->answer_content_type))
		gw_wrong(c, at(route, "answer", "content_type"), "as application/json",
			 "'content_type' is no media type");
	if (route->answer_content_type != NULL && route->answer_body == NULL)
		gw_wrong(c, at(route, "answer", "content_type"), "set 'body', or leave it out",
			 "an empty answer has no 'content_type'");
	if ((route->answer_status == 204 || route->answer_status == 205 ||
	     route->answer_status == 304) && route->answer_body != NULL)
		gw_wrong(c, at(route, "answer", "body"), "leave it out",
			 "an answer with status %u has no body", route->answer_status);
}

static void redirect_check(struct gw_check *c, const struct gw_route *route)
{
	static const uint32_t good[] = { 0, 301, 302, 303, 307, 308 };
	bool found = false;

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		found |= route->redirect_status == good[i];
	if (!found)
		gw_wrong(c, at(route, "redirect", "status"), "301, 302, 303, 307 or 308",
			 "%u is no redirect", route->redirect_status);
	if (route->redirect_location != NULL &&
	    (!gw_is_printable(route->redirect_location) || strchr(route->redirect_location, ' ')))
		gw_wrong(c, at(route, "redirect", "location"), "other bytes are written as %20",
			 "'location' is no URI");
}

/* Exactly one of the five. */
static void action_check(struct gw_check *c, struct gw_route *route)
{
	static const struct {
		const char *key;
		enum gw_action action;
	} actions[] = { { "pool", GW_ACTION_POOL }, { "balancer", GW_ACTION_POOL },
			{ "federation", GW_ACTION_POOL }, { "answer", GW_ACTION_ANSWER },
			{ "redirect", GW_ACTION_REDIRECT }, { "tools", GW_ACTION_TOOLS } };
	uint32_t count = 0;

	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
		if (!is_set(route, actions[i].key))
			continue;
		if (count++ == 0)
			route->action = actions[i].action;
		else
			gw_wrong(c, kolk_config_place(route->place, actions[i].key),
				 "leave one of them out",
				 "a route has one of 'pool', 'balancer', 'federation', 'tools', 'answer' and "
				 "'redirect'");
	}
	if (count == 0)
		gw_wrong(c, route->place, "write pool: NAME",
			 "'pool' is missing here, or 'balancer', 'federation', 'tools', 'answer' or "
			 "'redirect'");
	if (route->action == GW_ACTION_POOL && route->pool != NULL)
		gw_pool_check(c, route->place, route->pool, true);
	if (route->action == GW_ACTION_POOL && route->balancer != NULL)
		balancer_check(c, route);
	if (is_set(route, "federation"))
		gw_federation_check(c, route);
	if (is_set(route, "tools"))
		gw_tools_route_check(c, route);
	if (is_set(route, "mcp"))
		mcp_check(c, route);
	if (is_set(route, "answer"))
		answer_check(c, route);
	if (is_set(route, "redirect"))
		redirect_check(c, route);
}

/* ---- upgrades */

static const char *upgrade_flaw(const char *protocol)
{
	const char *slash = strchr(protocol, '/');
	char name[256]; /* a text of the file is not longer */

	snprintf(name, sizeof name, "%.*s", (int)strcspn(protocol, "/"), protocol);
	return gw_is_token(name) && (slash == NULL || gw_is_token(slash + 1)) ?
		       NULL : "write a name, with a version or without: websocket, IRC/6.9";
}

/* [none] becomes an empty list. */
static void upgrades_check(struct gw_check *c, struct gw_route *route)
{
	static const char *const none[] = { NULL };
	const struct kolk_config_place *list = kolk_config_place(route->place, "upgrades");
	const char *const *u = route->upgrades;
	uint32_t i = 0;

	if (is_set(route, "upgrades") && u == NULL)
		gw_wrong(c, list, "write [none], or leave it out", "'upgrades' is empty");
	if (u != NULL && strcmp(u[0], "none") == 0 && u[1] == NULL)
		u = route->upgrades = none;
	for (; u != NULL && *u != NULL; u++, i++) {
		const struct kolk_config_place *entry = kolk_config_place_entry(list, i);
		const char *flaw = upgrade_flaw(*u);

		if (flaw != NULL)
			gw_wrong(c, entry, flaw, "this is no protocol");
		else if (strncasecmp(*u, "h2c", 3) == 0)
			gw_wrong(c, entry, "leave it out", "h2c is never passed on");
		else if (strcmp(*u, "none") == 0)
			gw_wrong(c, entry, "leave it out", "'none' stands alone");
	}
}

/* ---- what comes with a pool alone, and with each other */

static void pool_keys_check(struct gw_check *c, struct gw_route *route)
{
	static const char *const keys[] = { "timeouts", "host", "strip_prefix", "upgrades" };

	for (size_t i = 0; i < sizeof keys / sizeof keys[0] && route->action != GW_ACTION_POOL; i++)
		if (is_set(route, keys[i]))
			gw_wrong(c, kolk_config_place(route->place, keys[i]), "leave it out",
				 "'%s' is of a route to a pool", keys[i]);
	if (route->strip_prefix && route->path == NULL)
		gw_wrong(c, kolk_config_place(route->place, "strip_prefix"),
			 "set 'path' in 'match'", "there is no prefix to strip");
	if (route->burst != 0 && route->requests_per_second == 0)
		gw_wrong(c, at(route, "limits", "burst"), "set 'requests_per_second'",
			 "'burst' alone is no limit");
	if (route->host_name == NULL || strcmp(route->host_name, "keep") == 0) {
		route->host_mode = GW_HOST_KEEP;
		route->host_name = NULL;
	} else if (strcmp(route->host_name, "upstream") == 0) {
		route->host_mode = GW_HOST_UPSTREAM;
		route->host_name = NULL;
	} else {
		route->host_mode = GW_HOST_NAME;
		if (!gw_is_printable(route->host_name) || strpbrk(route->host_name, " /@?#") != NULL)
			gw_wrong(c, kolk_config_place(route->place, "host"),
				 "keep, upstream, or a name, with a port or without",
				 "'host' is no host's name");
	}
}

static void tenant_check(struct gw_check *c, struct gw_route *route)
{
	if (route->tenant == GW_TENANT_REQUIRED &&
	    c->file->config.tenants_options.from == GW_TENANTS_NONE)
		gw_wrong(c, kolk_config_place(route->place, "tenant"), "set 'from' in 'tenants'",
			 "no request says who asks");
	if (route->tenant == 0)
		route->tenant = route->action == GW_ACTION_POOL ||
						route->action == GW_ACTION_TOOLS ?
					GW_TENANT_REQUIRED : GW_TENANT_NONE;
}

/* "scheme://host" with a port or without, as browsers send it (RFC 6454, section 7). */
static const char *origin_flaw(const char *origin)
{
	const char *host = strstr(origin, "://");

	if (strcmp(origin, "*") == 0 || strcmp(origin, "null") == 0)
		return NULL;
	if (host == NULL || host == origin || host[3] == 0)
		return "write it as https://app.example.com";
	if (strpbrk(host + 3, "/?#@ *") != NULL)
		return "write scheme, host and port alone, without '/' at the end";
	return strpbrk(origin, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == NULL && gw_is_printable(origin) ?
		       NULL : "write it in small letters, as browsers do";
}

static void names_check(struct gw_check *c, const struct gw_route *route, const char *key,
			const char *const *names)
{
	uint32_t i = 0;

	for (; names != NULL && *names != NULL; names++, i++)
		if (!gw_is_token(*names))
			gw_wrong(c, kolk_config_place_entry(at(route, "cors", key), i), "",
				 "this is no name of a field");
}

static void cors_check(struct gw_check *c, const struct gw_route *route)
{
	const struct kolk_config_place *list = at(route, "cors", "origins");
	uint32_t i = 0;

	if (is_set(route, "cors") && route->cors_origins == NULL)
		gw_wrong(c, list, "write origins: [\"https://app.example.com\"]",
			 "'cors' allows no origin");
	for (const char *const *o = route->cors_origins; o != NULL && *o != NULL; o++, i++) {
		const char *flaw = origin_flaw(*o);

		if (flaw != NULL)
			gw_wrong(c, kolk_config_place_entry(list, i), flaw, "this is no origin");
		if (strcmp(*o, "*") == 0 && route->cors_credentials)
			gw_wrong(c, at(route, "cors", "credentials"), "list the origins",
				 "with origin '*' any page could ask as the user");
		if (strcmp(*o, "null") == 0 && route->cors_credentials) /* of any sandboxed frame */
			gw_wrong(c, at(route, "cors", "credentials"), "leave 'null' out",
				 "with origin 'null' any page could ask as the user");
	}
	methods_check(c, route, "cors", route->cors_methods);
	names_check(c, route, "headers", route->cors_headers);
	names_check(c, route, "expose", route->cors_expose);
}

/* ---- all of them */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_list(const char *const *a, const char *const *b)
{
	while (a != NULL && b != NULL && *a != NULL && *b != NULL && strcmp(*a, *b) == 0)
		a++, b++;
	return (a == NULL || *a == NULL) && (b == NULL || *b == NULL);
}

static bool matches_same(const struct gw_route *a, const struct gw_route *b)
{
	return same_text(a->host, b->host) && same_text(a->path, b->path) &&
	       same_text(a->header_name, b->header_name) &&
	       same_text(a->header_value, b->header_value) && same_list(a->methods, b->methods);
}

static void twins_check(struct gw_check *c)
{
	const struct gw_route *all = c->file->config.routes;

	for (uint32_t i = 1; i < c->file->config.route_count; i++)
		for (uint32_t j = 0; j < i; j++)
			if (matches_same(&all[i], &all[j])) {
				gw_wrong(c, all[i].place, "leave one of them out",
					 "route %u matches the same as route %u", i + 1, j + 1);
				break;
			}
}

void gw_routes_check(struct gw_check *c)
{
	for (uint32_t i = 0; i < c->file->config.route_count; i++) {
		struct gw_route *route = &c->file->config.routes[i];

		route->index = i;
		match_check(c, route);
		action_check(c, route);
		pool_keys_check(c, route);
		tenant_check(c, route);
		upgrades_check(c, route);
		cors_check(c, route);
	}
	if (c->file->config.route_count == 0)
		gw_wrong(c, kolk_config_place(c->file->place, "routes"),
			 "write routes: [{pool: NAME}]", "every request would be answered with 404");
	twins_check(c);
}
