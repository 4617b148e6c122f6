/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token.h - the token that an MCP server is shown: the first line of mcp.token_file.
 *
 * A holder is a principal that the file has named. A refreshed token is of the same holder: what was
 * made with the one before goes on with it. Another holder's token makes new sessions, and those of
 * the one before go on with its last token until they end. Tokens that cannot be read are all of one
 * holder. Any thread.
 */
#ifndef KOLK_GATEWAY_MCP_TOKEN_H
#define KOLK_GATEWAY_MCP_TOKEN_H

#include <kolk/driver.h>
#include <kolk/key.h>

#include "tools/gateway/principal.h"

struct gw_mcp_tokens;

struct gw_mcp_holder {
	struct gw_mcp_holder *next;
	struct gw_mcp_tokens *tokens;
	struct gw_principal who;     /* constant; zeros if it is not readable */
	char *text;                  /* its last token, under the lock */
};

/* NULL = no memory. The file is read when it is asked for. */
struct gw_mcp_tokens *gw_mcp_tokens_open(const char *path, uint32_t loop_count);
void gw_mcp_tokens_free(struct gw_mcp_tokens *tokens); /* NULL is allowed */
/* Whose token the file has now: looked for each time, read when it is another, or was written. NULL =
 * there is none. */
struct gw_mcp_holder *gw_mcp_tokens_look(struct gw_mcp_tokens *tokens);
/* How often the holder was another one. */
uint64_t gw_mcp_tokens_changes(const struct gw_mcp_tokens *tokens);
/* SHA-256 of its last token. False: it has none. */
bool gw_mcp_holder_digest(const struct gw_mcp_holder *holder, uint8_t digest[32]);
/* Of kolk_mcp_options; user is a holder, NULL = E_AUTH. On a loop. */
enum kolk_err gw_mcp_on_credentials(void *user, struct kolk_key *key,
				    struct kolk_credentials *credentials);

#endif
