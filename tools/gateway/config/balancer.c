/* SPDX-License-Identifier: Apache-2.0 */
/* balancer.c - what is wrong with balancers: members, what a hash is of, checks. */
#include <string.h>

#include "tools/gateway/config/file.h"

/* ---- members that resolve */

/* A copy that lives as long as the configuration. NULL = no memory, which the error says. */
static const char *copy_of(struct gw_check *c, const char *text, size_t size)
{
	char *copy = kolk_config_memory(c->config, c->error, size + 1);

	if (copy != NULL)
		memcpy(copy, text, size);
	return copy;
}

static const char *host_flaw(const char *host)
{
	uint8_t address[16];

	if (gw_address_read(host, address))
		return "an address resolves to nothing else: leave 'resolve' out";
	for (const char *at = host; *at != '\0'; at++)
		if ((*at & 0x80) != 0)
			return "write the name in ASCII: xn--...";
	return NULL;
}

/* As the driver does by itself: the port that the scheme implies is left out. */
static size_t authority_size(const char *address, const char *port, bool tls)
{
	return strcmp(port, tls ? ":443" : ":80") == 0 ? (size_t)(port - address) : strlen(address);
}

/* The parts of the address of its pool, "host:port" with a scheme or without. */
static void parts_take(struct gw_check *c, struct gw_member_options *member,
		       const struct kolk_pool_options *pool)
{
	const struct kolk_config_place *place = kolk_config_place(member->place, "resolve");
	const char *address = pool->address != NULL ? pool->address : "", *port, *flaw = NULL;

	address = gw_address_without_scheme(address, &member->tls);
	member->tls = member->tls || pool->tls != NULL;
	port = strrchr(address, ':');
	if (port == NULL || address[0] == '[' || strncmp(address, "unix:", 5) == 0) {
		gw_wrong(c, place, "give it an address host:port", "the pool '%s' has no host to resolve",
			 pool->name);
		return;
	}
	member->host = copy_of(c, address, (size_t)(port - address));
	member->port = copy_of(c, port + 1, strlen(port + 1));
	member->authority = copy_of(c, address, authority_size(address, port, member->tls));
	if (member->host != NULL)
		flaw = host_flaw(member->host);
	if (flaw != NULL)
		gw_wrong(c, place, flaw, "the host of the pool '%s' is no name", pool->name);
}

static void dns_check(struct gw_check *c, const struct gw_balancer_options *b)
{
	const uint64_t min_ns = b->dns_ttl_min_ns != 0 ? b->dns_ttl_min_ns : GW_DNS_TTL_MIN_NS;
	const uint64_t max_ns = b->dns_ttl_max_ns != 0 ? b->dns_ttl_max_ns : GW_DNS_TTL_MAX_NS;
	const uint32_t each = b->dns_members_max != 0 ? b->dns_members_max : GW_DNS_MEMBERS;
	const struct gw_member_options *all = b->members.items;
	uint32_t most = 0, resolved = 0;

	for (uint32_t i = 0; i < b->members.count; i++) {
		most += all[i].resolve != GW_RESOLVE_NONE ? each : 1;
		resolved += all[i].resolve != GW_RESOLVE_NONE;
	}
	if (min_ns > max_ns)
		gw_wrong(c, gw_place(b->place, "dns", "ttl_min"), "set 'ttl_max', too",
			 "'ttl_min' is above 'ttl_max'");
	if (resolved == 0 && kolk_config_place(b->place, "dns") != b->place)
		gw_wrong(c, kolk_config_place(b->place, "dns"), "write resolve: addresses in one",
			 "no member resolves");
	if (most > GW_BALANCED_MAX)
		gw_wrong(c, kolk_config_place(b->place, "members"), "set 'members_max' in 'dns'",
			 "it could have %u members, more than %d", most, GW_BALANCED_MAX);
}

/* ---- members */

static void member_check(struct gw_check *c, struct gw_member_options *member)
{
	const uint32_t before = c->error->mistakes;
	const struct kolk_pool_options *pool;

	gw_pool_check(c, member->place, member->pool, false);
	if (member->resolve == GW_RESOLVE_NONE || c->error->mistakes != before)
		return;
	pool = gw_config_pool(c->config, member->pool, NULL);
	if (pool != NULL)
		parts_take(c, member, pool);
}

static void members_check(struct gw_check *c, const struct gw_balancer_options *b)
{
	struct gw_member_options *all = b->members.items;

	if (b->members.count == 0)
		gw_wrong(c, kolk_config_place(b->place, "members"), "write members: [{pool: NAME}]",
			 "a balancer without members");
	for (uint32_t i = 0; i < b->members.count; i++) {
		if (all[i].pool == NULL)
			continue;
		member_check(c, &all[i]);
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
		gw_wrong(c, place, "tenant, path, or header NAME", "'hash_by' has an unknown value");
	else if (c->file->config.tenants_options.from == GW_TENANTS_NONE)
		gw_wrong(c, place, "set 'from' in 'tenants'", "no request says who asks");
}

static void health_check(struct gw_check *c, const struct gw_balancer_options *b)
{
	const char *path = b->health_path;

	if (path != NULL &&
	    (path[0] != '/' || strpbrk(path, " #") != NULL || !gw_is_printable(path)))
		gw_wrong(c, gw_place(b->place, "health", "path"), "as /healthz",
			 "'path' is not the path of a request");
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
		dns_check(c, b);
		hash_check(c, b);
		health_check(c, b);
	}
	twins_check(c);
}
