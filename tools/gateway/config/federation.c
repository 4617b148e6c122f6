/* SPDX-License-Identifier: Apache-2.0 */
/* federation.c - what is wrong with several MCP servers behind one route. */
#include <string.h>

#include "tools/gateway/config/file.h"

/* A prefix is followed by '_' in names and by '+' in URIs, whose scheme it begins (RFC 3986, section
 * 3.1): it ends at the first of these, so that no name can be read in two ways. */
static bool is_prefix(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
	size_t size = strlen(text);

	return size > 0 && size < GW_PREFIX_SIZE && strchr(letters, text[0]) != NULL &&
	       text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

static void prefix_check(struct gw_check *c, const struct gw_federation_options *all, uint32_t i)
{
	const struct kolk_config_place *place = kolk_config_place(all[i].place, "prefix");

	if (!is_prefix(all[i].prefix))
		gw_wrong(c, place, "write prefix: a letter, then letters, digits and '-', up to 32, in "
				   "small letters", "'%s' is no prefix of names", all[i].prefix);
	for (uint32_t j = 0; j < i; j++)
		if (all[j].prefix != NULL && strcmp(all[i].prefix, all[j].prefix) == 0)
			gw_wrong(c, place, "give each a prefix of its own",
				 "'%s' is the prefix of another server", all[i].prefix);
}

static void pool_check(struct gw_check *c, const struct gw_route *route,
		       const struct gw_federation_options *member)
{
	const struct kolk_config_place *place = kolk_config_place(member->place, "pool");
	uint32_t i;

	if (gw_config_pool(c->config, member->pool, &i) == NULL)
		gw_wrong(c, place, "add it to 'pools'", "there is no pool '%s'", member->pool);
	else if (kolk_config_mcp(c->config, i) == NULL)
		gw_wrong(c, place, "write 'protocol: mcp' in the pool",
			 "the pool '%s' is no MCP server's", member->pool);
	else
		gw_mcp_pass_check(c, route, member->pool, i);
}

void gw_federation_check(struct gw_check *c, struct gw_route *route)
{
	struct gw_federation_options *all = route->federation.items;

	if (route->federation.count == 0)
		gw_wrong(c, kolk_config_place(route->place, "federation"),
			 "write federation: [{pool: NAME}, {pool: NAME}]", "a federation without servers");
	for (uint32_t i = 0; i < route->federation.count; i++) {
		if (all[i].timeout_ns == 0)
			all[i].timeout_ns = GW_FEDERATION_TIMEOUT_NS;
		if (all[i].pool == NULL)
			continue; /* that is told already */
		pool_check(c, route, &all[i]);
		if (all[i].prefix == NULL)
			all[i].prefix = all[i].pool;
		prefix_check(c, all, i);
	}
}
