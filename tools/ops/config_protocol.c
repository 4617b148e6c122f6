/* SPDX-License-Identifier: Apache-2.0 */
/* config_protocol.c - "protocol: http | redis | postgres | mcp": the drivers behind the words. */
#include "tools/ops/config_protocol.h"

#include <stdio.h>
#include <string.h>

#include "tools/ops/config_check.h"
#include "tools/ops/config_error.h"
#include "tools/ops/config_yaml.h"

#ifdef KOLK_WITH_DRIVERS
#define DRIVER(name) kolk_driver_##name
#else
#define DRIVER(name) NULL
#endif

static const struct kolk__protocol protocols[KOLK__PROTOCOLS] = {
	[KOLK__PROTOCOL_RAW] = { "raw", kolk_driver_raw, 0 },
	[KOLK__PROTOCOL_HTTP] = { "http", DRIVER(http), offsetof(struct kolk__config_pool, http) },
	[KOLK__PROTOCOL_REDIS] = { "redis", DRIVER(redis),
				   offsetof(struct kolk__config_pool, redis) },
	[KOLK__PROTOCOL_POSTGRES] = { "postgres", DRIVER(postgres),
				      offsetof(struct kolk__config_pool, postgres) },
	[KOLK__PROTOCOL_MCP] = { "mcp", DRIVER(http), offsetof(struct kolk__config_pool, http) },
};

const struct kolk__protocol *kolk__protocol_of(uint32_t number)
{
	return &protocols[number];
}

/* ---- checks */

static bool alpn_check(struct kolk__reading *r, const struct kolk__config_pool *pool)
{
	char suggestion[64];
	bool ok = true;

	for (uint32_t i = 0; i < KOLK__PROTOCOLS; i++) {
		const struct kolk__node *node = kolk__tree_find(pool->node, protocols[i].name);

		if (i == pool->protocol || node == NULL ||
		    (i == KOLK__PROTOCOL_HTTP && pool->protocol == KOLK__PROTOCOL_MCP))
			continue;
		snprintf(suggestion, sizeof suggestion, "write 'protocol: %s', or leave it out",
			 protocols[i].name);
		ok = kolk__wrong(kolk__at_key(r, node), suggestion, "'%s' is another protocol's",
				 protocols[i].name);
	}
	return ok;
}

/* RFC 7301: what is agreed on decides which HTTP is spoken. */
static const char *const *usual_alpn(const struct kolk__config_pool *pool)
{
	static const char *const http[] = { "h2", "http/1.1", NULL };
	static const char *const one[] = { "http/1.1", NULL }, *const two[] = { "h2", NULL };
	static const char *const postgres[] = { "postgresql", NULL };

	if (pool->protocol == KOLK__PROTOCOL_POSTGRES)
		return pool->postgres.tls_direct ? postgres : NULL;
	if (pool->protocol != KOLK__PROTOCOL_HTTP && pool->protocol != KOLK__PROTOCOL_MCP)
		return NULL;
	return pool->http.protocols == KOLK_HTTP_1_ONLY ? one :
	       pool->http.protocols == KOLK_HTTP_2_ONLY ? two : http;
}

/* "tls://" in front asks for TLS, too. */
static void alpn_fill(struct kolk__config_pool *pool)
{
	const char *address = pool->options.address;
	bool scheme = address != NULL && strncmp(address, "tls://", 6) == 0;

	if (pool->options.tls == NULL && !scheme)
		return;
	if (pool->tls.alpn == NULL)
		pool->tls.alpn = usual_alpn(pool);
	if (pool->tls.alpn != NULL)
		pool->options.tls = &pool->tls;
}

/* A WebSocket begins as a request of HTTP/1.1. */
static bool websocket_check(struct kolk__reading *r, struct kolk__config_pool *pool)
{
	const struct kolk__setting *setting;
	const struct kolk__node *node = kolk__pool_node(pool, "transport", &setting);

#ifndef KOLK_WEBSOCKET
	return kolk__wrong(kolk__at(r, node), "build with libwslay (Debian package libwslay-dev)",
			   "this build has no 'websocket'");
#endif
	if (pool->options.child != NULL)
		return kolk__wrong(kolk__at(r, node), "leave it out",
				   "'websocket' is no transport of a 'child'");
	if (pool->http.protocols == KOLK_HTTP_2_ONLY)
		return kolk__wrong(kolk__at(r, node), "leave 'version' of 'http' out",
				   "'websocket' begins as HTTP/1.1");
	pool->http.protocols = KOLK_HTTP_1_ONLY;
	return true;
}

/* A child is spoken to by lines, and has no driver. A stream of the server may last for hours. */
static bool mcp_check(struct kolk__reading *r, struct kolk__config_pool *pool)
{
	const bool child = pool->options.child != NULL;
	const struct kolk__setting *setting;

	pool->mcp.size = sizeof pool->mcp;
	if (pool->options.lease_overdue_ns == 0)
		pool->options.lease_overdue_ns = KOLK_FOREVER;
	if (pool->mcp.path != NULL && pool->mcp.path[0] != '/')
		return kolk__wrong(kolk__at(r, kolk__pool_node(pool, "path", &setting)),
				   "a path begins with '/'", "'path' is no path");
	if (pool->mcp.transport == KOLK_MCP_STDIO && !child)
		return kolk__wrong(kolk__at(r, kolk__pool_node(pool, "transport", &setting)),
				   "leave it out", "'stdio' is the transport of a 'child'");
	if (pool->mcp.transport == KOLK_MCP_WEBSOCKET && !websocket_check(r, pool))
		return false;
	if (!child)
		return true;
	if (pool->mcp.transport > KOLK_MCP_STDIO)
		return kolk__wrong(kolk__at(r, kolk__pool_node(pool, "transport", &setting)),
				   "leave it out", "this is a transport of an 'address'");
	pool->mcp.transport = KOLK_MCP_STDIO;
	pool->options.driver = NULL;
	pool->options.driver_user = NULL;
	return true;
}

bool kolk__protocol_check(struct kolk__reading *r, struct kolk__config_pool *pool)
{
	const struct kolk__protocol *protocol = &protocols[pool->protocol];
	const struct kolk__node *section = kolk__tree_find(pool->node, protocol->name);
	const struct kolk__setting *setting;

	pool->http.size = sizeof pool->http;
	pool->redis.size = sizeof pool->redis;
	pool->postgres.size = sizeof pool->postgres;
	if (protocol->driver == NULL)
		return kolk__wrong(kolk__at(r, kolk__pool_node(pool, "protocol", &setting)), "",
				   "this build has no drivers: 'protocol' can only be raw");
	pool->options.driver = protocol->driver();
	if (protocol->offset != 0)
		pool->options.driver_user = (char *)pool + protocol->offset;
	if (pool->protocol == KOLK__PROTOCOL_MCP && !mcp_check(r, pool))
		return false;
	alpn_fill(pool);
	if (!alpn_check(r, pool))
		return false;
	if (pool->protocol == KOLK__PROTOCOL_POSTGRES && pool->postgres.user == NULL)
		return kolk__wrong(kolk__at(r, section != NULL ? section : pool->node),
				   "write postgres: {user: NAME, password: file:/path}",
				   "'user' of 'postgres' is missing here");
	if (pool->redis.user != NULL && pool->redis.password == NULL)
		return kolk__wrong(kolk__at_key(r, kolk__tree_find(section, "user")), "",
				   "'user' needs its 'password'");
	return true;
}

/* ---- pools */

bool kolk__protocol_cancel_pool_name(const char *pool, uint32_t protocol,
				     char name[KOLK__CANCEL_POOL_NAME_BYTES])
{
	snprintf(name, KOLK__CANCEL_POOL_NAME_BYTES, "%s.cancel", pool);
	return protocol == KOLK__PROTOCOL_POSTGRES;
}

#ifdef KOLK_WITH_DRIVERS

const struct kolk_option_table *kolk__protocol_mcp_table(void)
{
	return kolk_mcp_option_table();
}

enum kolk_err kolk__protocol_add(struct kolk_engine *engine, uint32_t protocol,
				 const struct kolk_pool_options *options, struct kolk_pool **pool)
{
	return protocol == KOLK__PROTOCOL_POSTGRES ? kolk_postgres_pool_add(engine, options, pool) :
						     kolk_pool_add(engine, options, pool);
}

enum kolk_err kolk__protocol_update(struct kolk_pool *pool, uint32_t protocol,
				    const struct kolk_pool_options *options)
{
	return protocol == KOLK__PROTOCOL_POSTGRES ? kolk_postgres_pool_update(pool, options) :
						     kolk_pool_update(pool, options);
}

/* It is found by its name, which other protocols' pools may have, too. */
struct kolk_pool *kolk__protocol_cancel_pool(struct kolk_pool *pool, uint32_t protocol)
{
	return protocol == KOLK__PROTOCOL_POSTGRES ? kolk_postgres_pool_cancel(pool) : NULL;
}

#else

const struct kolk_option_table *kolk__protocol_mcp_table(void)
{
	return NULL;
}

enum kolk_err kolk__protocol_add(struct kolk_engine *engine, uint32_t protocol,
				 const struct kolk_pool_options *options, struct kolk_pool **pool)
{
	(void)protocol;
	return kolk_pool_add(engine, options, pool);
}

enum kolk_err kolk__protocol_update(struct kolk_pool *pool, uint32_t protocol,
				    const struct kolk_pool_options *options)
{
	(void)protocol;
	return kolk_pool_update(pool, options);
}

struct kolk_pool *kolk__protocol_cancel_pool(struct kolk_pool *pool, uint32_t protocol)
{
	(void)pool;
	(void)protocol;
	return NULL;
}

#endif
