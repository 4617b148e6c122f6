/* SPDX-License-Identifier: Apache-2.0 */
/* config_balancer.c - what is wrong with balancers: members, what a hash is of, checks. */
#include <string.h>

#include "tools/gateway/config_file.h"

static void members_check(struct gw_check *c, const struct gw_balancer_options *b)
{
	const struct gw_member_options *all = b->members.items;

	if (b->members.count == 0)
		gw_wrong(c, kolk_config_place(b->place, "members"), "write members: [{pool: NAME}]",
			 "a balancer without members");
	for (uint32_t i = 0; i < b->members.count; i++) {
		if (all[i].pool == NULL)
			continue;
		gw_pool_check(c, all[i].place, all[i].pool, false);
		for (uint32_t j = 0; j < i; j++)
			if (all[j].pool != NULL && strcmp(all[i].pool, all[j].pool) == 0)
				gw_wrong(c, kolk_config_place(all[i].place, "pool"),
					 "write its 'weight'", "'%s' is a member already",
					 all[i].pool);
	}
}

/* "header NAME" to its parts. */
static void header_check(struct gw_check *c, struct gw_balancer_options *b)
{
	const char *name = b->hash_by + strlen("header ");

	b->hash_mode = GW_HASH_BY_HEADER;
	b->hash_header = gw_copy_lower(c, name, strlen(name));
	if (b->hash_header != NULL && !gw_is_token(b->hash_header))
		gw_wrong(c, kolk_config_place(b->place, "hash_by"), "write header NAME",
			 "'hash_by' names no field");
}

static void hash_check(struct gw_check *c, struct gw_balancer_options *b)
{
	const struct kolk_config_place *place = kolk_config_place(b->place, "hash_by");

	if (b->policy == GW_BALANCE_HASH && b->hash_by == NULL)
		gw_wrong(c, b->place, "write hash_by: tenant, path, or header NAME",
			 "'hash_by' is missing here");
	if (b->hash_by == NULL)
		return;
	if (b->policy != GW_BALANCE_HASH)
		gw_wrong(c, place, "write policy: hash", "'hash_by' is of the policy hash");
	else if (strcmp(b->hash_by, "path") == 0)
		b->hash_mode = GW_HASH_BY_PATH;
	else if (strncmp(b->hash_by, "header ", strlen("header ")) == 0)
		header_check(c, b);
	else if (strcmp(b->hash_by, "tenant") != 0)
		gw_wrong(c, place, "tenant, path, or header NAME", "'hash_by' is none of its words");
	else if (c->file->config.tenants_options.from == GW_TENANTS_NONE)
		gw_wrong(c, place, "set 'from' in 'tenants'", "no request says who asks");
}

static void health_check(struct gw_check *c, const struct gw_balancer_options *b)
{
	const char *path = b->health_path;

	if (path != NULL &&
	    (path[0] != '/' || strpbrk(path, " #") != NULL || !gw_is_printable(path)))
		gw_wrong(c, gw_place(b->place, "health", "path"), "as /healthz",
			 "'path' is none to ask for");
}

static void twins_check(struct gw_check *c)
{
	const struct gw_balancer_options *all = c->file->config.balancers;

	for (uint32_t i = 1; i < c->file->config.balancer_count; i++)
		for (uint32_t j = 0; j < i; j++)
			if (all[i].name != NULL && all[j].name != NULL &&
			    strcmp(all[i].name, all[j].name) == 0)
				gw_wrong(c, kolk_config_place(all[i].place, "name"), "",
					 "two balancers have this name");
}

void gw_balancers_check(struct gw_check *c)
{
	for (uint32_t i = 0; i < c->file->config.balancer_count; i++) {
		struct gw_balancer_options *b = &c->file->config.balancers[i];

		members_check(c, b);
		hash_check(c, b);
		health_check(c, b);
	}
	twins_check(c);
}
