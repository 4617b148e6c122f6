/* SPDX-License-Identifier: Apache-2.0 */
/* import_pools.c - pools of others: protocol, address, and what a pool of ours needs besides.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/ctl/import.h"
#include "tools/ops/config_check.h"

/* Defaults of limits.connections_max and of engine.connections_max. */
enum { CONNECTIONS = 10, ENGINE_CONNECTIONS = 100 };

const char *import_protocol_name(const struct import_pool *pool)
{
	return kolk__protocol_of(pool->protocol)->name;
}

struct import_pool *import_pool_find(const struct import *import, const char *name)
{
	struct import_pool *pool = import->pools;

	while (pool != NULL && strcmp(pool->name, name) != 0)
		pool = pool->next;
	return pool;
}

void import_each(struct import *import, const struct kolk__node *all, import_each_fn *each)
{
	const struct import_path before = import_enter(import, all->key);

	for (const struct kolk__node *node = all->first; node != NULL; node = node->next) {
		const struct kolk__node *name = kolk__tree_find(node, "name");
		struct kolk__node entry = *node;

		if (all->kind == KOLK__LIST) {
			entry.key = import_is_text(name) ? name->text : NULL;
			entry.key_line = node->line;
		}
		if (entry.key == NULL)
			import_left(import, node, "it has no 'name'");
		else if (node->kind != KOLK__MAP)
			import_left(import, &entry, "it has no options");
		else
			each(import, &entry);
	}
	import_leave(import, &before);
}

/* ---- protocol */

/* The first option of these names, also in the maps that a pool may have. */
static const struct kolk__node *find(const struct kolk__node *map, const char *names)
{
	const struct kolk__node *found = NULL;

	for (const struct kolk__node *node = map->first; node != NULL && found == NULL;
	     node = node->next)
		if (import_is_text(node) && import_is_one_of(node->key, names))
			found = node;
		else if (node->kind == KOLK__MAP && import_is_one_of(node->key, IMPORT_INNER))
			found = find(node, names);
	return found;
}

static uint32_t protocol_of(const char *type)
{
	static const struct {
		const char *names;
		uint32_t protocol;
	} types[] = {
		{ "postgres postgresql pg asyncpg psycopg psycopg2", KOLK__PROTOCOL_POSTGRES },
		{ "redis valkey aioredis", KOLK__PROTOCOL_REDIS },
		{ "http https rest api httpx", KOLK__PROTOCOL_HTTP },
	};

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (import_is_one_of(type, types[i].names))
			return types[i].protocol;
	return KOLK__PROTOCOL_RAW;
}

static void put(struct import *import, struct import_pool *pool, const char *key,
		const char *value)
{
	const char *dot = strchr(key, '.');
	const struct import_entry entry = {
		dot != NULL ? import_text(import, "%.*s", (int)(dot - key), key) : "",
		dot != NULL ? dot + 1 : key, value, 0
	};

	import_put(import, pool, NULL, &entry);
}

/* What the pool's URL or else its type says; false = none that there is a driver for. */
static bool protocol_take(struct import *import, struct import_pool *pool,
			  const struct kolk__node *map)
{
	const struct kolk__node *type = find(map, IMPORT_TYPES), *url = find(map, IMPORT_URLS);
	const uint32_t said = type != NULL ? protocol_of(type->text) : KOLK__PROTOCOL_RAW;

	pool->protocol = said;
	if (url != NULL && !import_is_url(url->text) && said == KOLK__PROTOCOL_RAW)
		return false;
	if ((url != NULL && !import_url(import, pool, url)) ||
	    pool->protocol == KOLK__PROTOCOL_RAW)
		return false;
	put(import, pool, "protocol", import_protocol_name(pool));
	if (type == NULL)
		import->became[0] = 0;
	else if (pool->protocol == said)
		import_done(import, type, NULL);
	else
		import_left(import, type, "the URL says another protocol");
	if (type != NULL && url == NULL && strcmp(type->text, "https") == 0)
		put(import, pool, "tls.", "{}");
	import->became[0] = 0;
	return true;
}

/* ---- address */

static const char *port_of(struct import *import, const struct import_pool *pool)
{
	if (pool->port != NULL)
		return import_own(import, pool->port->text);
	return pool->protocol == KOLK__PROTOCOL_POSTGRES ? "5432"
	       : pool->protocol == KOLK__PROTOCOL_REDIS	 ? "6379"
	       : import_entry(pool, "tls", "") != NULL	 ? "443"
							 : "80";
}

/* libpq takes a directory for the place of its socket, and the port for a part of its name. */
static const char *host_and_port(struct import *import, const char *host, const char *port)
{
	const bool bare_v6 = host[0] != '[' && *import_find(host, ":") != 0;

	if (host[0] == '/')
		return import_text(import, "unix:%s/.s.PGSQL.%s", host, port);
	return import_text(import, "%s%s%s:%s", bare_v6 ? "[" : "", host, bare_v6 ? "]" : "",
			   port);
}

/* Parts, when there is no URL. */
static bool address_take(struct import *import, struct import_pool *pool,
			 const struct kolk__node *map)
{
	const char *host =
		pool->host != NULL ? import_own(import, pool->host->text) : "localhost";

	if (import_entry(pool, "", "address") != NULL)
		return true;
	if (pool->host == NULL && pool->protocol == KOLK__PROTOCOL_HTTP)
		return false;
	put(import, pool, "address", host_and_port(import, host, port_of(import, pool)));
	if (pool->host == NULL)
		import_done(import, map, "no host is said: localhost");
	import->became[0] = 0;
	return true;
}

/* The host and port of an address, which may be a URL's. */
static bool address_is_good(struct import *import, const char *address)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	const char *scheme = import_is_url(address) ? strstr(address, "://") + 3 : address;
	const char *host =
		import_text(import, "%.*s", (int)(import_find(scheme, "/?#") - scheme), scheme);
	const char *at, *end;

	if (import_refers(address) || strncmp(address, "unix:", 5) == 0)
		return true;
	at = strrchr(host, '@');
	host = at != NULL ? at + 1 : host;
	end = host + (host[0] == '[' ? strspn(host + 1, "0123456789abcdefABCDEF:.") + 1
				     : strspn(host, letters));
	if (host[0] == '[' && *end++ != ']')
		return false;
	return end != host && (*end == 0 ? scheme != address
					 : *end == ':' && kolk__address_flaw(host, 1) == NULL);
}

/* ---- a pool */

/* Who it logs in as: libpq takes $PGUSER; Redis has a user with a password alone. */
static void user_take(struct import *import, struct import_pool *pool,
		      const struct kolk__node *map)
{
	const struct import_entry *address = import_entry(pool, "", "address");
	const struct import_entry *user =
		import_entry(pool, import_protocol_name(pool), "user");

	if (pool->protocol == KOLK__PROTOCOL_POSTGRES && user == NULL &&
	    strncmp(address->value, "${", 2) != 0) {
		put(import, pool, "postgres.user", "${PGUSER:-postgres}");
		import_done(import, map,
			    "no user is said: the variable PGUSER says it, as for libpq");
	}
	if (pool->protocol == KOLK__PROTOCOL_REDIS && user != NULL && user->value != NULL &&
	    import_entry(pool, "redis", "password") == NULL) {
		pool->entries[user - pool->entries].value = NULL;
		import_left(import, map, "its user needs a password");
	}
}

/* What is kept ready is within the limit. */
static void limits_take(struct import *import, struct import_pool *pool,
			const struct kolk__node *map)
{
	const struct import_entry *min = import_entry(pool, "limits", "idle_min");
	const unsigned long ready = min != NULL ? strtoul(min->value, NULL, 10) : 0;

	if (ready <= (pool->connections_max > 0 ? pool->connections_max : CONNECTIONS))
		return;
	pool->entries[min - pool->entries].value = NULL;
	import_left(import, map,
		    import_text(import,
				"limits.idle_min: %lu is more than limits.connections_max",
				ready));
}

static void append(struct import *import, struct import_pool *pool)
{
	struct import_pool **end = &import->pools;

	while (*end != NULL)
		end = &(*end)->next;
	*end = pool;
}

/* NULL, or why there is none. */
static const char *pool_flaw(struct import *import, struct import_pool *pool,
			     const struct kolk__node *map)
{
	const struct kolk__node here = {
		.line = map->key_line
	}; /* the pool, as its path says */

	if (strlen(pool->name) > 63 || pool->name[0] == 0)
		return "the name of a pool has 1 to 63 bytes";
	if (strchr(pool->name, '$') != NULL)
		return "the name of a pool has no dollar sign here";
	if (import_pool_find(import, pool->name) != NULL)
		return "another pool has this name";
	if (!protocol_take(import, pool, map))
		return "there are drivers for PostgreSQL, Redis and HTTP: say one by 'type' or "
		       "'url'";
	put(import, pool, "isolation",
	    "shared"); /* as there: no caller has its own connections */
	import->became[0] = 0;
	import_options(import, pool, map);
	if (!address_take(import, pool, &here))
		return "it has no address: write 'url'";
	if (!address_is_good(import, import_entry(pool, "", "address")->value))
		return "its address is no host, or has no port";
	user_take(import, pool, &here);
	limits_take(import, pool, &here);
	return NULL;
}

static void pool_take(struct import *import, const struct kolk__node *map)
{
	struct import_pool *pool = kolk__arena_get(&import->arena, sizeof *pool);
	const struct import_mark mark = import_mark(import);
	struct import_path before;
	const char *flaw;

	if (pool == NULL)
		import_no_memory();
	pool->name = map->key;
	before = import_enter(import, map->key);
	flaw = pool_flaw(import, pool, map);
	import_leave(import, &before);
	if (flaw == NULL) {
		append(import, pool);
		return;
	}
	import_forget(import, &mark);
	import_left(import, map, import_text(import, "the pool is left out: %s", flaw));
}

/* All of them may be full at a time. */
static void engine_write(struct import *import, const struct kolk__node *pools)
{
	uint64_t sum = 0;

	for (const struct import_pool *pool = import->pools; pool != NULL; pool = pool->next)
		sum += pool->connections_max > 0 ? pool->connections_max : CONNECTIONS;
	if (sum <= ENGINE_CONNECTIONS)
		return;
	import_became(import, "engine.connections_max",
		      import_text(import, "%llu", (unsigned long long)sum));
	import_done(import, pools, "so that all pools can be full");
	fprintf(import->out, "engine:\n  connections_max: %llu\n", (unsigned long long)sum);
}

void import_pools(struct import *import, const struct kolk__node *pools)
{
	import_each(import, pools, pool_take);
	engine_write(import, pools);
}

/* ---- writing */

static void section_write(struct import *import, const struct import_pool *pool,
			  const char *section)
{
	const bool is_top = section[0] == 0;
	bool is_open = is_top;

	for (uint32_t i = 0; i < pool->count; i++) {
		const struct import_entry *entry = &pool->entries[i];

		if (strcmp(entry->section, section) != 0 || entry->key[0] == 0 ||
		    entry->value == NULL)
			continue;
		if (!is_open)
			fprintf(import->out, "    %s:\n", section);
		is_open = true;
		import_write(import, is_top ? 4 : 6, entry->key, entry->value);
	}
	if (!is_open && import_entry(pool, section, "") != NULL)
		fprintf(import->out, "    %s: {}\n", section);
}

void import_pools_write(struct import *import)
{
	static const char *const sections[] = { "",	  "tls",  "limits", "timeouts",
						"health", "http", "redis",  "postgres" };

	fprintf(import->out, "pools:%s\n", import->pools == NULL ? " []" : "");
	for (const struct import_pool *pool = import->pools; pool != NULL; pool = pool->next) {
		fprintf(import->out, "  - name: %s\n", import_quoted(import, pool->name));
		for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++)
			section_write(import, pool, sections[i]);
	}
}
