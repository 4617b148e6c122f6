/* SPDX-License-Identifier: Apache-2.0 */
/* names.c - names of a federation, which tell the server: PREFIX_NAME, PREFIX+URI. A prefix has
 * neither '_' nor '+', so that it ends at the first one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/mcp/federation.h"

/* Longer ones are no server's. */
enum { NAME_MAX_BYTES = 8192 };

static char mark_of(enum gw_mcp_names kind)
{
	return kind == GW_MCP_URI ? '+' : '_';
}

/* A string of JSON that says this. */
static bool put_string(struct gw_pipe *out, const char *text, size_t size)
{
	bool ok = gw_pipe_put(out, "\"");
	char escape[8];

	for (size_t i = 0; ok && i < size; i++) {
		const unsigned char c = (unsigned char)text[i];

		if (c >= ' ' && c != '"' && c != '\\') {
			ok = gw_pipe_push(out, &text[i], 1);
			continue;
		}
		snprintf(escape, sizeof escape, "\\u%04x", c);
		ok = gw_pipe_put(out, escape);
	}
	return ok && gw_pipe_put(out, "\"");
}

static bool find_decoded(const struct gw_mcp_federation *federation, const char *text, size_t size,
			 uint32_t *member)
{
	for (uint32_t i = 0; i < federation->count; i++) {
		const char *prefix = federation->members[i].prefix;

		if (strlen(prefix) == size && memcmp(prefix, text, size) == 0) {
			*member = i;
			return true;
		}
	}
	return false;
}

bool gw_mcp_name_find(const struct gw_mcp_call *call, enum gw_mcp_names kind,
		      struct kolk_mcp_part name, struct gw_mcp_owner *owner)
{
	char text[NAME_MAX_BYTES];
	const char *mark;
	size_t size;

	if (name.size < 2 || name.size > sizeof text || name.data[0] != '"')
		return false;
	size = kolk_mcp_decode(name, text);
	mark = memchr(text, mark_of(kind), size);
	if (mark == NULL || mark + 1 == text + size ||
	    !find_decoded(call->pool->federation, text, (size_t)(mark - text), &owner->member))
		return false;
	return put_string(&owner->name, mark + 1, (size_t)(text + size - mark - 1));
}

bool gw_mcp_name_put(struct gw_pipe *out, const struct gw_mcp_member *member,
		     enum gw_mcp_names kind, struct kolk_mcp_part name)
{
	const char mark = mark_of(kind);

	return gw_pipe_put(out, "\"") && gw_pipe_put(out, member->prefix) &&
	       gw_pipe_push(out, &mark, 1) && gw_pipe_push(out, name.data + 1, name.size - 1);
}

bool gw_mcp_replace(struct gw_pipe *out, struct kolk_mcp_part json, struct kolk_mcp_part part,
		    struct kolk_mcp_part text)
{
	const struct kolk_mcp_part before = { json.data, (size_t)(part.data - json.data) };
	const struct kolk_mcp_part after = { part.data + part.size,
					     json.size - before.size - part.size };

	return gw_mcp_put(out, before) && gw_mcp_put(out, text) && gw_mcp_put(out, after);
}
