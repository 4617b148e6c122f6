/* SPDX-License-Identifier: Apache-2.0 */
/* auth.c - who asks, by its token; what is said to one that may not. */
#include <stdlib.h>
#include <string.h>

#include "tests/mcp/inside.h"

/* "narrow" = its scope does not do. */
struct entry {
	char token[1024], principal[32], scope[16];
};

static bool find(const char *path, const char *token, struct entry *entry)
{
	FILE *file = fopen(path, "re");
	char line[1200];
	bool found = false;

	while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
		entry->scope[0] = '\0';
		found = sscanf(line, "%1023s %31s %15s", entry->token, entry->principal,
			       entry->scope) >= 2 && strcmp(entry->token, token) == 0;
	}
	if (file != NULL)
		fclose(file);
	return found;
}

static void refuse(struct mcp_exchange *exchange, uint32_t status, const char *challenge)
{
	struct mcp_fixture *fixture = exchange->fixture;
	json_t *message = mcp_error_message(NULL, mcp_error_object(MCP_REFUSED, "token", NULL));

	mcp_count(fixture, MCP_N_refused, 1);
	if (status == 401 && fixture->options.on_refused != NULL)
		fixture->options.on_refused(fixture->options.on_refused_user);
	mcp_reply(exchange, &(struct mcp_reply){ .status = status, .type = "application/json",
						 .challenge = challenge,
						 .text = json_dumps(message, JSON_COMPACT) });
	json_decref(message);
}

bool mcp_is_authorized(struct mcp_exchange *exchange)
{
	const char *path = exchange->fixture->options.tokens;
	const char *shown = mcp_field(exchange, "authorization");
	struct entry entry;

	if (path == NULL)
		return true;
	if (shown == NULL || strncmp(shown, "Bearer ", 7) != 0 || !find(path, shown + 7, &entry)) {
		refuse(exchange, 401, "Bearer realm=\"fixture\", resource_metadata="
				      "\"https://fixture.test/.well-known/oauth-protected-resource\"");
		return false;
	}
	if (strcmp(entry.scope, "narrow") == 0) {
		refuse(exchange, 403, "Bearer error=\"insufficient_scope\", scope=\"files:write\"");
		return false;
	}
	memcpy(exchange->principal, entry.principal, sizeof exchange->principal);
	return true;
}
