/* SPDX-License-Identifier: Apache-2.0 */
/* origin.c - Host and Origin of requests to an MCP route. */
#define _GNU_SOURCE /* strchrnul */
#include <string.h>
#include <strings.h>

#include "tools/gateway/mcp/origin.h"

/* A host of "host:port", "[v6]:port". */
static size_t host_size(const char *authority)
{
	const char *bracket = authority[0] == '[' ? strchr(authority, ']') : NULL;

	return (size_t)((bracket != NULL ? bracket + 1 : strchrnul(authority, ':')) - authority);
}

static bool is_among(const char *const *names, const char *authority)
{
	size_t size = host_size(authority);

	for (; *names != NULL; names++)
		if (strlen(*names) == size && strncasecmp(*names, authority, size) == 0)
			return true;
	return false;
}

static bool is_this_machine(const char *address)
{
	return address[0] == '\0' || strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

bool gw_mcp_is_host_good(const struct gw_exchange *x)
{
	static const char *const local[] = { "localhost", "127.0.0.1", "[::1]", NULL };
	const struct gw_route *route = x->target->route;

	if (route->mcp_hosts != NULL)
		return is_among(route->mcp_hosts, x->head->authority);
	if (route->host != NULL || !is_this_machine(x->client))
		return true;
	return is_among(local, x->head->authority);
}

bool gw_mcp_is_origin_good(const struct gw_exchange *x)
{
	const char *const *allowed = x->target->route->cors_origins;
	const char *origin = kolk_http_field(x->head->fields, x->head->field_count, "origin");
	const char *host;

	if (origin == NULL)
		return true;
	for (; allowed != NULL && *allowed != NULL; allowed++)
		if (strcmp(*allowed, "*") == 0 || strcasecmp(*allowed, origin) == 0)
			return true;
	host = strstr(origin, "://");
	return x->target->route->cors_origins == NULL && host != NULL &&
	       strcasecmp(host + 3, x->head->authority) == 0;
}
