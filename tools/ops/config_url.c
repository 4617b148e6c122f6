/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_url.c - an address that is a URL (RFC 3986): what it says becomes what keys of the pool
 * would say, and the address host:port.
 *
 *   https://host/base/path             protocol http, tls; http.base_path, or mcp.path
 *   redis://user:password@host:6379/2  protocol redis; redis.user, password, database
 *   postgresql://user:password@host/db?sslmode=verify-full&application_name=shop
 *
 * No message shows a part of it: there may be a password.
 */
#include "tools/ops/config_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/ascii.h"
#include "tools/ops/config_error.h"
#include "tools/ops/config_protocol.h"
#include "tools/ops/config_yaml.h"

static const struct scheme {
	const char *begin, *port;
	enum kolk__protocol_number protocol;
	const char *transport; /* in front of host:port; "" = what 'tls' says */
} schemes[] = {
	{ "https://", "443", KOLK__PROTOCOL_HTTP, "tls://" },
	{ "http://", "80", KOLK__PROTOCOL_HTTP, "tcp://" },
	{ "rediss://", "6379", KOLK__PROTOCOL_REDIS, "tls://" },
	{ "redis://", "6379", KOLK__PROTOCOL_REDIS, "tcp://" },
	{ "postgresql://", "5432", KOLK__PROTOCOL_POSTGRES, "" },
	{ "postgres://", "5432", KOLK__PROTOCOL_POSTGRES, "" },
};

struct part {
	const char *data; /* NULL = it has none */
	size_t size;
};

struct url {
	struct kolk__reading *r;
	struct kolk__config_pool *pool;
	const struct scheme *scheme;
	const char *transport;
	struct part user, password, host, path, query; /* path with its '/', query without its '?' */
};

/* ---- what is wrong */

/* The URL as a whole. */
static bool wrong(const struct url *url, const char *suggestion, const char *flaw)
{
	const struct kolk__setting *setting;

	return kolk__wrong(kolk__at(url->r, kolk__pool_node(url->pool, "address", &setting)),
			   suggestion, "%s", flaw);
}

/* What the URL says the file may not say, too. */
static bool is_free(const struct url *url, const char *section, const char *key)
{
	const struct kolk__node *map = kolk__tree_find(url->pool->node, section);
	const struct kolk__node *node = map != NULL ? kolk__tree_find(map, key) : NULL;

	return node == NULL || kolk__wrong(kolk__at_key(url->r, node), "leave one of them out",
					   "'%s' is in the URL of 'address', too", key);
}

/* ---- its parts */

static struct part part(const char *begin, const char *end)
{
	return (struct part){ begin, (size_t)(end - begin) };
}

static bool split(struct url *url, const char *rest)
{
	const char *end = rest + strcspn(rest, "/?#"), *at = NULL, *path = end;

	for (const char *c = rest; c < end; c++)
		if (*c == '@')
			at = c;
	if (at != NULL) {
		const char *colon = memchr(rest, ':', (size_t)(at - rest));

		url->user = part(rest, colon != NULL ? colon : at);
		if (colon != NULL)
			url->password = part(colon + 1, at);
		rest = at + 1;
	}
	url->host = part(rest, end);
	end = path + strcspn(path, "?#");
	url->path = part(path, end);
	if (*end == '?') {
		path = end + 1;
		end = path + strcspn(path, "#");
		url->query = part(path, end);
	}
	if (*end != '\0')
		return wrong(url, "leave out '#' and what follows", "this URL has a fragment");
	return url->host.size > 0 || wrong(url, "", "this URL has no host");
}

/* Its text, %XX decoded. */
static bool decode(const struct url *url, struct part coded, const char **text)
{
	char *at = kolk__arena_get(url->r->arena, coded.size + 1);

	if (at == NULL)
		return kolk__no_memory(url->r);
	*text = at;
	for (size_t i = 0; i < coded.size; i++) {
		const char *c = coded.data + i;
		int high, low;

		if (*c != '%') {
			*at++ = *c;
			continue;
		}
		high = i + 2 < coded.size ? kolk__hex_digit(c[1]) : -1;
		low = high >= 0 ? kolk__hex_digit(c[2]) : -1;
		if (low < 0 || high + low == 0)
			return wrong(url, "a percent sign is written as %25",
				     "a percent sign of this URL begins no byte");
		*at++ = (char)(high << 4 | low);
		i += 2;
	}
	*at = '\0';
	return true;
}

/* A text that this key of this section would give; "" is none. */
static bool take(const struct url *url, struct part coded, const char *key, const char **text)
{
	return coded.size == 0 || (is_free(url, kolk__protocol_of(url->scheme->protocol)->name, key) &&
				   decode(url, coded, text));
}

/* ---- of each protocol */

/* Behind the path's '/'. */
static struct part path_rest(const struct url *url)
{
	const size_t slash = url->path.size > 0;

	return (struct part){ url->path.data + slash, url->path.size - slash };
}

static bool take_http(struct url *url)
{
	struct kolk__config_pool *pool = url->pool;
	const bool mcp = pool->protocol == KOLK__PROTOCOL_MCP;
	struct part path = url->path;

	if (url->user.data != NULL)
		return wrong(url, "requests have a field 'authorization'",
			     "a URL of http has no user and no password here");
	if (url->query.data != NULL)
		return wrong(url, "leave out '?' and what follows", "this URL has a query");
	while (!mcp && path.size > 0 && path.data[path.size - 1] == '/')
		path.size--;
	if (path.size == 0 || (mcp && path.size == 1))
		return true;
	if (!is_free(url, mcp ? "mcp" : "http", mcp ? "path" : "base_path"))
		return false;
	/* As it is: what is encoded in it is the server's to decode. */
	*(mcp ? &pool->mcp.path : &pool->http.base_path) =
		kolk__arena_text(url->r->arena, path.data, path.size);
	return (mcp ? pool->mcp.path : pool->http.base_path) != NULL || kolk__no_memory(url->r);
}

static bool take_redis(struct url *url)
{
	struct kolk_redis_options *redis = &url->pool->redis;
	const struct part number = path_rest(url);

	if (url->query.data != NULL)
		return wrong(url, "leave out '?' and what follows", "this URL has a query");
	if (number.size > 0 && !is_free(url, "redis", "database"))
		return false;
	if (number.size > 9 || strspn(number.data, "0123456789") < number.size)
		return wrong(url, "as in redis://host:6379/2",
			     "the path of this URL is no number of a database");
	if (url->user.size > 0 && url->password.size == 0)
		return wrong(url, "a password alone is written redis://:password@host",
			     "this URL has a user without a password");
	if (number.size > 0)
		redis->database = (uint32_t)strtoul(number.data, NULL, 10);
	return take(url, url->user, "user", &redis->user) &&
	       take(url, url->password, "password", &redis->password);
}

/* With TLS chain and name are verified, unless the file says otherwise: more than libpq does for
 * "require". Whether there is TLS is not left to the server. */
static bool take_sslmode(struct url *url, struct part mode)
{
	static const char *const with[] = { "require", "verify-ca", "verify-full" };

	for (size_t i = 0; i < sizeof with / sizeof with[0]; i++)
		if (strlen(with[i]) == mode.size && memcmp(with[i], mode.data, mode.size) == 0)
			url->transport = "tls://";
	if (mode.size == 7 && memcmp("disable", mode.data, 7) == 0)
		url->transport = "tcp://";
	return url->transport[0] != '\0' ||
	       wrong(url, "write sslmode=verify-full or sslmode=disable",
		     "this sslmode leaves open whether there is TLS");
}

static bool take_parameter(struct url *url, struct part name, struct part value)
{
	static const char mode[] = "sslmode", application[] = "application_name";

	if (name.size == sizeof mode - 1 && memcmp(name.data, mode, name.size) == 0)
		return take_sslmode(url, value);
	if (name.size == sizeof application - 1 && memcmp(name.data, application, name.size) == 0)
		return take(url, value, application, &url->pool->postgres.application_name);
	return wrong(url, "known are sslmode and application_name; others are keys of the pool",
		     "a parameter of this URL is not known");
}

static bool take_postgres(struct url *url)
{
	struct kolk_postgres_options *postgres = &url->pool->postgres;
	const char *at = url->query.data, *end = at != NULL ? at + url->query.size : NULL;

	if (!take(url, url->user, "user", &postgres->user) ||
	    !take(url, url->password, "password", &postgres->password) ||
	    !take(url, path_rest(url), "database", &postgres->database))
		return false;
	while (at != NULL && at < end) {
		const char *ends = at + strcspn(at, "&");
		const char *equals = memchr(at, '=', (size_t)(ends - at));

		if (!take_parameter(url, part(at, equals != NULL ? equals : ends),
				    part(equals != NULL ? equals + 1 : ends, ends)))
			return false;
		at = ends + (*ends == '&');
	}
	return true;
}

/* ---- the whole */

static bool take_protocol(struct url *url)
{
	struct kolk__config_pool *pool = url->pool;
	const struct kolk__node *node = kolk__tree_find(pool->node, "protocol");
	const enum kolk__protocol_number said = url->scheme->protocol;

	if (node != NULL && pool->protocol != said &&
	    !(said == KOLK__PROTOCOL_HTTP && pool->protocol == KOLK__PROTOCOL_MCP))
		return kolk__wrong(kolk__at(url->r, node), "leave one of them out",
				   "'protocol' contradicts the URL of 'address', which is of %s",
				   kolk__protocol_of(said)->name);
	if (node == NULL)
		pool->protocol = said;
	return true;
}

/* "tls://host:port" */
static bool take_host(struct url *url)
{
	const struct part host = url->host;
	const char *bracket = memchr(host.data, ']', host.size);
	const char *from = bracket != NULL ? bracket : host.data;
	const bool port = memchr(from, ':', (size_t)(host.data + host.size - from)) != NULL;
	const size_t size = strlen(url->transport) + host.size + 8;
	char *address = kolk__arena_get(url->r->arena, size);

	if (address == NULL)
		return kolk__no_memory(url->r);
	snprintf(address, size, "%s%.*s%s%s", url->transport, (int)host.size, host.data,
		 port ? "" : ":", port ? "" : url->scheme->port);
	url->pool->options.address = address;
	return true;
}

bool kolk__pool_url(struct kolk__reading *r, struct kolk__config_pool *pool)
{
	static bool (*const takes[KOLK__PROTOCOLS])(struct url *) = {
		[KOLK__PROTOCOL_HTTP] = take_http,
		[KOLK__PROTOCOL_REDIS] = take_redis,
		[KOLK__PROTOCOL_POSTGRES] = take_postgres,
	};
	struct url url = { .r = r, .pool = pool };
	const char *text = pool->options.address;

	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0] && url.scheme == NULL; i++)
		if (kolk__word_begins(text, schemes[i].begin))
			url.scheme = &schemes[i];
	if (url.scheme == NULL)
		return true;
	url.transport = url.scheme->transport;
	return split(&url, text + strlen(url.scheme->begin)) && take_protocol(&url) &&
	       takes[url.scheme->protocol](&url) && take_host(&url);
}
