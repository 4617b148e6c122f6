/* SPDX-License-Identifier: Apache-2.0 */
/* mcp.c - what is wrong with the authorisation of MCP routes, and the texts made of it. */
#include <jansson.h>
#include <kolk/mcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/config/file.h"

static const struct kolk_config_place *at(const struct gw_route *route, const char *key)
{
	return gw_place(route->place, "mcp", key);
}

/* NULL, or what to write instead: clients compare it as a text (RFC 9728, section 3.3). */
static const char *url_flaw(const char *url)
{
	const char *host = strncmp(url, "https://", 8) == 0 ? url + 8 :
			   strncmp(url, "http://", 7) == 0  ? url + 7 : NULL;

	if (host == NULL)
		return "write it as https://mcp.example.com/mcp";
	if (host[strcspn(host, "/")] == '\0' ? host[0] == '\0' : host[0] == '/')
		return "write the host's name behind ://";
	if (strpbrk(url, "?#@ \"\\") != NULL || !gw_is_printable(url))
		return "write scheme, host, port and path alone";
	return NULL;
}

static const char *path_of(const char *url)
{
	const char *host = strstr(url, "://") + 3;

	return host + strcspn(host, "/");
}

/* A text that lives as long as the configuration; "" = no memory, and the error is said. */
static const char *keep(struct gw_check *c, const char *text)
{
	char *copy = kolk_config_memory(c->config, c->error, strlen(text) + 1);

	return copy != NULL ? strcpy(copy, text) : "";
}

static json_t *list_of(const char *const *texts)
{
	json_t *list = json_array();

	for (; texts != NULL && *texts != NULL; texts++)
		json_array_append_new(list, json_string(*texts));
	return list;
}

static void make_document(struct gw_check *c, struct gw_route *route)
{
	json_t *document = json_pack("{s:s, s:o, s:[s]}", "resource", route->access.resource,
				     "authorization_servers", list_of(route->access.servers),
				     "bearer_methods_supported", "header");
	char *text;

	if (route->access.scopes != NULL)
		json_object_set_new(document, "scopes_supported", list_of(route->access.scopes));
	text = json_dumps(document, JSON_COMPACT | JSON_PRESERVE_ORDER);
	route->access.metadata = keep(c, text != NULL ? text : "");
	free(text);
	json_decref(document);
}

static void make_texts(struct gw_check *c, struct gw_route *route)
{
	const char *path = path_of(route->access.resource);
	int origin = (int)(path - route->access.resource);
	char text[4096], invalid[4096 + 64];
	size_t used;

	snprintf(text, sizeof text, GW_METADATA_PATH "%s", strcmp(path, "/") == 0 ? "" : path);
	route->access.metadata_path = keep(c, text);
	snprintf(text, sizeof text, "%.*s%s", origin, route->access.resource, route->access.metadata_path);
	route->access.metadata_url = keep(c, text);
	used = (size_t)snprintf(text, sizeof text, "resource_metadata=\"%s\"",
				route->access.metadata_url);
	for (const char *const *s = route->access.scopes; s != NULL && *s != NULL && used < 3072; s++)
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s%s",
					 s == route->access.scopes ? ", scope=\"" : " ", *s,
					 s[1] == NULL ? "\"" : "");
	snprintf(invalid, sizeof invalid, "Bearer error=\"invalid_token\", %s", text);
	route->access.challenge_invalid = keep(c, invalid);
	snprintf(invalid, sizeof invalid, "Bearer %s", text);
	route->access.challenge = keep(c, invalid);
	make_document(c, route);
}

/* RFC 6749, section 3.3. They all stand in one field. */
static void scopes_check(struct gw_check *c, const struct gw_route *route)
{
	const struct kolk_config_place *list = at(route, "scopes");
	size_t sum = 0;
	uint32_t i = 0;

	for (const char *const *s = route->access.scopes; s != NULL && *s != NULL; s++, i++) {
		sum += strlen(*s) + 1;
		if (strpbrk(*s, " \"\\") != NULL || !gw_is_printable(*s))
			gw_wrong(c, kolk_config_place_entry(list, i), "as files:read",
				 "this is no scope");
	}
	if (sum > 1024)
		gw_wrong(c, list, "1024 bytes in all", "the scopes are too long for a field");
}

/* Nothing that one client's token made may serve another. */
void gw_mcp_pass_check(struct gw_check *c, const struct gw_route *route, const char *name,
		       uint32_t pool)
{
	const struct kolk_mcp_options *mcp = kolk_config_mcp(c->config, pool);

	if (route->access.client_token != GW_CLIENT_TOKEN_PASS || mcp == NULL)
		return;
	if (kolk_config_mcp_token_file(c->config, pool) != NULL)
		gw_wrong(c, at(route, "client_token"), "leave one of the two out",
			 "the pool '%s' has a 'token_file'", name);
	if (mcp->transport == KOLK_MCP_STDIO)
		gw_wrong(c, at(route, "client_token"), "leave it out",
			 "a child process is shown no token");
	if (mcp->transport == KOLK_MCP_WEBSOCKET)
		gw_wrong(c, at(route, "client_token"), "leave it out",
			 "a WebSocket is shown a token only when it is opened");
	if (mcp->isolation != KOLK_MCP_ISOLATION_SESSION || mcp->sharing != KOLK_MCP_BOUND)
		gw_wrong(c, at(route, "client_token"),
			 "write isolation: session and sharing: bound in 'mcp' of the pool",
			 "clients of the pool '%s' share sessions", name);
}

void gw_mcp_route_check(struct gw_check *c, struct gw_route *route)
{
	const char *flaw = route->access.resource != NULL ? url_flaw(route->access.resource) : NULL;
	uint32_t i = 0;

	if (flaw != NULL)
		gw_wrong(c, at(route, "resource"), flaw, "'resource' is no URI of a resource");
	if (route->access.resource != NULL && route->access.servers == NULL)
		gw_wrong(c, at(route, "resource"), "write authorization_servers: [https://...]",
			 "'authorization_servers' is missing here");
	if (route->access.resource == NULL && (route->access.servers != NULL || route->access.scopes != NULL))
		gw_wrong(c, at(route, route->access.servers != NULL ? "authorization_servers" : "scopes"),
			 "write 'resource' too, or leave it out", "there is no 'resource' to describe");
	for (const char *const *s = route->access.servers; s != NULL && *s != NULL; s++, i++)
		if (url_flaw(*s) != NULL)
			gw_wrong(c, kolk_config_place_entry(at(route, "authorization_servers"), i),
				 url_flaw(*s), "this is no URL of an issuer");
	scopes_check(c, route);
	if (route->action == GW_ACTION_TOOLS && route->access.client_token == GW_CLIENT_TOKEN_PASS)
		gw_wrong(c, at(route, "client_token"), "leave it out", "pooled tools are shown no token");
	gw_route_tools_check(c, route);
	if (flaw == NULL && route->access.resource != NULL)
		make_texts(c, route);
}
