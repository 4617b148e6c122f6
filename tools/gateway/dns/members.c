/* SPDX-License-Identifier: Apache-2.0 */
/* members.c - from the addresses of a name to pools, and to the members of a view. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/dns/name.h"
#include "tools/gateway/route.h"
#include "tools/gateway/say.h"

enum { POOL_NAME = 64, ADDRESS = INET6_ADDRSTRLEN + 10 };

/* What a name becomes: members of a balancer of a view. Under reload_lock. */
struct binding {
	struct gw_dns_name *name;
	const struct gw_dns_names *names;
	struct kolk_engine *engine;
	const struct kolk_pool_options *model;  /* the pool of the file, whose options theirs are */
	const struct gw_balancer_options *balancer;
	const struct gw_member_options *options;
	uint32_t added, removed, failed;
};

/* ---- a pool */

static void address_text(char text[ADDRESS], const struct gw_ip *ip, const char *port)
{
	struct in6_addr six;
	char ip_text[INET6_ADDRSTRLEN];

	memcpy(&six, ip->bytes, sizeof six);
	if (IN6_IS_ADDR_V4MAPPED(&six))
		inet_ntop(AF_INET, ip->bytes + 12, ip_text, sizeof ip_text);
	else
		inet_ntop(AF_INET6, ip->bytes, ip_text, sizeof ip_text);
	snprintf(text, ADDRESS, IN6_IS_ADDR_V4MAPPED(&six) ? "%s:%s" : "[%s]:%s", ip_text, port);
}

/* Options as the file has them, of a pool that is at this address. */
struct pool_of {
	struct kolk_pool_options pool;
	struct kolk_tls_options tls;
	struct kolk_failure failure;
};

static void pool_options(struct pool_of *of, const struct binding *b, const char *address)
{
	const struct kolk_tls_options *tls = b->model->tls;

	*of = (struct pool_of){ .pool = KOLK_INIT(kolk_pool_options), .tls = KOLK_INIT(kolk_tls_options),
				.failure = KOLK_INIT(kolk_failure) };
	memcpy(&of->pool, b->model,
	       b->model->size < sizeof of->pool ? b->model->size : sizeof of->pool);
	of->pool.size = sizeof of->pool;
	of->pool.address = address;
	of->pool.name_servers = NULL;
	of->pool.failure = &of->failure;
	of->pool.tls = NULL;
	if (!b->options->tls)
		return;
	if (tls != NULL)
		memcpy(&of->tls, tls, tls->size < sizeof of->tls ? tls->size : sizeof of->tls);
	of->tls.size = sizeof of->tls;
	if (of->tls.server_name == NULL)
		of->tls.server_name = b->options->host; /* as it would be of the pool */
	of->pool.tls = &of->tls;
}

/* A pool has a name of 63 bytes at most, and one that drains has its name still: the next number is
 * taken. */
static enum kolk_err pool_add(const struct binding *b, const char *address, struct kolk_pool **pool)
{
	const size_t room = POOL_NAME - sizeof "@~99";
	const int size = (int)(room > strlen(address) ? room - strlen(address) : 0);
	enum kolk_err err = KOLK_E_NAME_TAKEN;
	char name[POOL_NAME];
	struct pool_of of;

	pool_options(&of, b, address);
	of.pool.name = name;
	for (int i = 1; i <= 99 && err == KOLK_E_NAME_TAKEN; i++) {
		snprintf(name, sizeof name, i == 1 ? "%.*s@%s" : "%.*s@%s~%d", size, b->model->name,
			 address, i);
		err = kolk_pool_add(b->engine, &of.pool, pool);
	}
	return err;
}

static void pool_drain(const struct binding *b, struct kolk_pool *pool)
{
	(void)kolk_pool_drain(pool, kolk_in_ns(b->names->grace_ns));
}

/* ---- members of the name */

static void member_failed(struct binding *b, const char *address, enum kolk_err err)
{
	b->failed++;
	gw_say("balancer %s: %s: %s is no member: %s", b->name->balancer, b->name->host, address,
	       kolk_err_text(err));
}

static void member_add(struct binding *b, const struct gw_ip *ip)
{
	struct gw_dns_name *name = b->name;
	struct gw_dns_member member = { .ip = *ip };
	struct gw_dns_member *grown;
	char address[ADDRESS];
	size_t size;
	enum kolk_err err = KOLK_E_MEMORY;

	address_text(address, ip, name->port);
	size = strlen(name->pool) + strlen(address) + 2;
	grown = realloc(name->members, (name->member_count + 1) * sizeof *grown);
	member.name = malloc(size);
	if (grown != NULL)
		name->members = grown;
	if (grown != NULL && member.name != NULL)
		err = pool_add(b, address, &member.pool);
	if (err != KOLK_OK) {
		free(member.name);
		member_failed(b, address, err);
		return;
	}
	snprintf(member.name, size, "%s@%s", name->pool, address);
	grown[name->member_count++] = member;
	b->added++;
}

static bool is_in(const struct gw_ips *ips, const struct gw_ip *ip)
{
	for (uint32_t i = 0; i < ips->count; i++)
		if (memcmp(&ips->at[i], ip, sizeof *ip) == 0)
			return true;
	return false;
}

static bool is_member(const struct gw_dns_name *name, const struct gw_ip *ip)
{
	for (uint32_t i = 0; i < name->member_count; i++)
		if (memcmp(&name->members[i].ip, ip, sizeof *ip) == 0)
			return true;
	return false;
}

static void remove_others(struct binding *b, const struct gw_ips *wanted)
{
	struct gw_dns_name *name = b->name;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < name->member_count; i++) {
		struct gw_dns_member *member = &name->members[i];

		if (is_in(wanted, &member->ip)) {
			name->members[kept++] = *member;
			continue;
		}
		pool_drain(b, member->pool);
		free(member->name);
		b->removed++;
	}
	name->member_count = kept;
}

/* Another configuration: what it says of the pool, the members get. */
static void update_all(struct binding *b)
{
	struct gw_dns_name *name = b->name;
	char address[ADDRESS];
	struct pool_of of;

	for (uint32_t i = 0; i < name->member_count; i++) {
		enum kolk_err err;

		address_text(address, &name->members[i].ip, name->port);
		pool_options(&of, b, address);
		of.pool.name = kolk_pool_name(name->members[i].pool);
		err = kolk_pool_update(name->members[i].pool, &of.pool);
		if (err != KOLK_OK)
			gw_say("balancer %s: %s: the pool %s stays as it was: %s", name->balancer,
			       name->host, of.pool.name, kolk_err_text(err));
	}
}

static void say_change(const struct binding *b)
{
	if (b->added + b->removed > 0)
		gw_say("balancer %s: %s: %u member%s: %u added, %u removed", b->name->balancer,
		       b->name->host, b->name->member_count,
		       b->name->member_count == 1 ? "" : "s", b->added, b->removed);
}

/* A copy of what is wanted, and of which version it is. */
static struct gw_ips wanted_of(const struct binding *b, uint32_t *version)
{
	struct gw_dns_name *name = b->name;
	struct gw_ips copy = { .at = NULL };

	pthread_mutex_lock(&name->dns->lock);
	gw_dns_take_options(name, b->balancer);
	*version = name->version;
	copy.at = calloc(name->wanted.count + 1, sizeof *copy.at);
	if (copy.at != NULL && name->wanted.count > 0) {
		copy.count = name->wanted.count;
		memcpy(copy.at, name->wanted.at, copy.count * sizeof *copy.at);
	}
	pthread_mutex_unlock(&name->dns->lock);
	return copy;
}

static void members_update(struct binding *b, uint32_t *version)
{
	struct gw_dns_name *name = b->name;
	struct gw_ips wanted = wanted_of(b, version);

	if (name->serial != b->names->serial)
		update_all(b);
	for (uint32_t i = 0; i < wanted.count; i++)
		if (!is_member(name, &wanted.at[i]))
			member_add(b, &wanted.at[i]);
	if (wanted.at != NULL)
		remove_others(b, &wanted); /* the last: what it drains is deferred until the view is bound */
	else
		b->failed++;
	free(wanted.at);
	name->serial = b->names->serial;
	say_change(b);
}

void gw_dns_members_end(struct gw_dns_name *name, uint64_t grace_ns)
{
	for (uint32_t i = 0; i < name->member_count; i++) {
		(void)kolk_pool_drain(name->members[i].pool, kolk_in_ns(grace_ns));
		free(name->members[i].name);
	}
	name->member_count = 0;
}

/* ---- members of the view */

static void name_bind(struct binding *b, struct gw_balancer *balancer)
{
	const uint32_t others = balancer->count;
	struct gw_dns_name *name = b->name;
	uint32_t version;

	members_update(b, &version);
	for (uint32_t i = 0; i < name->member_count; i++)
		if (!gw_balancer_add(balancer, b->options, name->members[i].name,
				     name->members[i].pool))
			member_failed(b, name->members[i].name, KOLK_E_MEMORY);
	pthread_mutex_lock(&name->dns->lock);
	name->bound = version;
	name->balanced = balancer->count - others;
	name->incomplete |= b->failed > 0;
	pthread_mutex_unlock(&name->dns->lock);
}

/* At once: none of them is there twice, as one whose name servers are others would be. */
static void show(const struct gw_dns_names *before, const struct gw_dns_names *names)
{
	pthread_mutex_lock(&names->dns->lock);
	for (uint32_t i = 0; before != NULL && i < before->count; i++)
		before->at[i]->shown = false;
	for (uint32_t i = 0; i < names->count; i++)
		names->at[i]->shown = true;
	pthread_mutex_unlock(&names->dns->lock);
}

void gw_dns_bind(struct gw_dns_names *names, struct gw_view *view, struct kolk_engine *engine)
{
	struct binding b = { .names = names, .engine = engine };
	const struct gw_dns_names *before = names->dns->in_force;
	uint32_t next = 0;

	names->dns->in_force = names;
	for (uint32_t i = 0; i < view->config->balancer_count; i++) {
		const struct gw_balancer_options *options = &view->config->balancers[i];
		const struct gw_member_options *members = options->members.items;

		for (uint32_t j = 0; j < options->members.count; j++) {
			if (members[j].resolve == GW_RESOLVE_NONE)
				continue;
			b.name = names->at[next++];
			b.balancer = options;
			b.options = &members[j];
			b.model = gw_config_pool(view->config->pools, members[j].pool, NULL);
			b.added = b.removed = b.failed = 0;
			name_bind(&b, &view->balancers[i]);
		}
	}
	show(before, names);
}
