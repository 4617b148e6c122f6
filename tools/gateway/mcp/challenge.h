/* SPDX-License-Identifier: Apache-2.0 */
/*
 * challenge.h - WWW-Authenticate for clients of a route that shows a server their tokens and has
 * metadata of its own: the server names the metadata of the URI that it knows itself by, a client
 * needs that of the URI which it asked (RFC 9728, sections 3.3 and 5.1).
 */
#ifndef KOLK_GATEWAY_MCP_CHALLENGE_H
#define KOLK_GATEWAY_MCP_CHALLENGE_H

#include <stdint.h>

#include "tools/gateway/config/mcp.h"

/* These challenges (RFC 9110, section 11.6.1) with resource_metadata of this URL, in place of their
 * own, and in each of Bearer; all else byte for byte. malloc'd; NULL = no memory, or they cannot be
 * read. */
char *gw_mcp_challenge_name(const char *challenges, const char *url);
/* What a client of the route is told with this status; the server's own = NULL: it said nothing.
 * NULL = nothing. What was made for it is kept in memory, for free(). */
const char *gw_mcp_challenge(const struct gw_mcp_access *access, const char *own, uint32_t status,
			     char **memory);

#endif
