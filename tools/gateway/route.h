/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.h - where a request goes: the routes of a configuration, in the order in which they are
 * tried.
 *
 * The first one that matches is taken: an exact host before "*.name" (the longer first) before any
 * host; of these the longest path; of these in the order of the file.
 *
 * A view is what was made of one configuration. A reload makes another one; exchanges go on with
 * that which they began with. It is freed when no loop uses it any more: each loop counts its own
 * users, so that no request touches what another loop writes.
 */
#ifndef KOLK_GATEWAY_ROUTE_H
#define KOLK_GATEWAY_ROUTE_H

#include "tools/gateway/balance.h"
#include "tools/gateway/config/config.h"
#include "tools/gateway/count.h"
#include "tools/gateway/match.h"

struct gw_target {
	const struct gw_route *route;
	struct kolk_pool *pool;    /* of GW_ACTION_POOL; NULL = it has a balancer */
	const struct gw_balancer *balancer;
	struct gw_mcp_pool *mcp;   /* it is of an MCP server (mcp/mcp.h); NULL = not */
	struct gw_mcp_cache *cache; /* of results of that server; NULL = none */
	struct gw_count *count;    /* its numbers, those of the same route in another view */
	size_t host_size, path_size; /* of route->host and path; path without a '/' at its end */
	bool path_literal;         /* nothing of path is encoded */
	/* match.c: of those with a path, the next in its bucket; of others, the next of its host. */
	const struct gw_target *next;
	const struct gw_match_host *host;
	uint64_t path_hash;
	uint32_t segments;         /* of path */
	/* Lists of CORS, joined by ", "; NULL = none. */
	char *cors_methods, *cors_headers, *cors_expose;
};

/* What a loop writes for each request: a cache line of its own. */
struct gw_view_loop {
	uint32_t users;            /* exchanges that go by the view; and the loop, for new ones */
	uint32_t unused[15];
};

struct gw_view {
	struct gw_config *config;
	struct gw_target *targets; /* config->route_count, in the order of trial */
	struct gw_match match;     /* of them */
	struct gw_balancer *balancers; /* config->balancer_count */
	struct gw_probe *probes;   /* health.c: those of balancers that have checks */
	uint32_t probe_count;
	struct gw_count *unrouted; /* numbers of requests that no route takes */
	uint32_t loops;            /* that use it; under a lock */
	struct gw_view_loop of_loop[KOLK_LOOPS_MAX];
};

/* Make a view. From KOLK_OK on it owns the configuration, with the other views of it: members that
 * names resolve to change while the rest stays. Errors: E_MEMORY. */
KOLK_MUST_CHECK enum kolk_err gw_view_make(struct gw_config *config, struct gw_view **view);
/* Look its pools up, when the engine has them; all loops of the engine use it from here on. */
void gw_view_bind(struct gw_view *view, struct kolk_engine *engine);
/* One user more of this loop, or one less; on the loop. The last one of the last loop frees it. */
struct gw_view *gw_view_use(struct gw_view *view, uint32_t loop);
void gw_view_leave(struct gw_view *view, uint32_t loop);
void gw_view_free(struct gw_view *view);

/* The target of a request, or NULL. A CORS preflight goes where its request will. */
const struct gw_target *gw_view_find(const struct gw_view *view,
				     const struct kolk_http_request_head *head);
/* The target whose metadata (mcp.resource) a request is for, or NULL. */
const struct gw_target *gw_view_find_metadata(const struct gw_view *view,
					      const struct kolk_http_request_head *head);
/* Whether it is a CORS preflight: the method that it asks for, or NULL. */
const char *gw_preflight_method(const struct kolk_http_request_head *head);
/* Whether it does not take a request for this path: 400. It could be read as another one, whose
 * route is another; or what is left of it for the upstream would begin with "//". */
bool gw_target_refuses(const struct gw_target *target, const char *path);
/* What the upstream sees of the path: all; with strip_prefix, what follows the route's. */
const char *gw_target_rest(const struct gw_target *target, const char *path);

#endif
