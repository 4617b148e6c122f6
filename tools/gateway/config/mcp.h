/* SPDX-License-Identifier: Apache-2.0 */
/* mcp.h - MCP routes as the file has them: several servers, authorisation, tools, with what is made
 * of it. */
#ifndef KOLK_GATEWAY_CONFIG_MCP_H
#define KOLK_GATEWAY_CONFIG_MCP_H

#include <kolk/ops/section.h>
#include <stdint.h>

#include "tools/gateway/mcp/tool_rules.h"

/* Where metadata of resources is (RFC 9728, section 3); the resource's path follows. */
#define GW_METADATA_PATH "/.well-known/oauth-protected-resource"

/* Bytes of results that a route keeps, unless `mcp.cache_max` says so. */
enum { GW_MCP_CACHE_MAX = 4 << 20 };

/* `mcp.client_token`: what becomes of a client's bearer token. */
enum gw_client_token {
	GW_CLIENT_TOKEN_STRIP = 0, /* it stays here */
	GW_CLIENT_TOKEN_PASS       /* the server is shown it: it is the same resource */
};

enum { GW_FEDERATION_MAX = 32, GW_PREFIX_SIZE = 33 };
#define GW_FEDERATION_TIMEOUT_NS (10 * KOLK_S_NS)

/* An item of `federation` of a route: one of several MCP servers behind it. */
struct gw_federation_options {
	uint64_t timeout_ns;   /* lists wait for it so long; 0 = GW_FEDERATION_TIMEOUT_NS */
	const char *pool;
	const char *prefix;    /* of its names; NULL in the file = the pool's name */
	const struct kolk_config_place *place;
};

struct gw_mcp_access {
	const char *resource;    /* mcp.resource; NULL = no metadata */
	const char *const *servers; /* mcp.authorization_servers */
	const char *const *scopes; /* mcp.scopes; NULL = none */
	uint32_t client_token;   /* enum gw_client_token */
	uint32_t reserved;
	/* Made of the three texts: the path of the metadata (RFC 9728, section 3.1), and its URL; the
	 * document; WWW-Authenticate for a request without a token, and with one that is not good. */
	const char *metadata_path, *metadata_url, *metadata, *challenge, *challenge_invalid;
	struct gw_tool_options tools; /* mcp.tools_* */
	struct gw_tool_rules *tool_rules; /* made of them, freed with the configuration; NULL = none */
};

#endif
