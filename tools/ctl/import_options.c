/* SPDX-License-Identifier: Apache-2.0 */
/* import_options.c - options of a pool of others: by a table where one is one key here. */
#include <stdlib.h>
#include <string.h>

#include "core/base/ascii.h"
#include "tools/ctl/import.h"

enum { OF_HTTP = 1, OF_REDIS = 2, OF_POSTGRES = 4, OF_ANY = 7 };

/* ---- options that are one key here */

static const struct rename {
	const char *names;	   /* theirs */
	const char *section, *key; /* "" = the pool's; "*" = its protocol's */
	unsigned of;
} renames[] = {
	{ "min_size min_connections minconn min_idle", "limits", "idle_min", OF_ANY },
	{ "max_size max_connections maxconn pool_size", "limits", "connections_max", OF_ANY },
	{ "max_idle max_idle_connections", "limits", "idle_max", OF_ANY },
	{ "max_waiting max_waiters max_queue", "limits", "waiters_max", OF_ANY },
	{ "max_uses max_queries", "limits", "uses_max", OF_ANY },
	{ "max_idle_time idle_timeout max_inactive_connection_lifetime", "timeouts", "idle",
	  OF_ANY },
	{ "max_lifetime max_age pool_recycle", "timeouts", "lifetime", OF_ANY },
	{ "acquire_timeout pool_timeout wait_timeout", "timeouts", "acquire", OF_ANY },
	{ "connect_timeout connection_timeout socket_connect_timeout", "timeouts", "connect",
	  OF_ANY },
	{ "socket_timeout read_timeout", "timeouts", "socket", OF_ANY },
	{ "timeout command_timeout query_timeout request_timeout", "timeouts", "request",
	  OF_ANY },
	{ "health_check_interval ping_interval", "health", "ping_interval", OF_ANY },
	{ "health_check_timeout ping_timeout", "health", "ping_timeout", OF_ANY },
	{ "validation_query test_query", "postgres", "validation_query", OF_POSTGRES },
	{ "validate_on_borrow test_on_borrow pool_pre_ping", "postgres", "validate_on_borrow",
	  OF_POSTGRES },
	{ "validate_on_return test_on_return", "postgres", "validate_on_return", OF_POSTGRES },
	{ "validation_timeout", "postgres", "validation_timeout", OF_POSTGRES },
	{ "application_name", "postgres", "application_name", OF_POSTGRES },
	{ "client_name", "redis", "client_name", OF_REDIS },
	{ "user username", "*", "user", OF_REDIS | OF_POSTGRES },
	{ "database dbname db", "*", "database", OF_REDIS | OF_POSTGRES },
	{ "base_path", "http", "base_path", OF_HTTP },
	{ "ca_file ssl_ca_certs sslrootcert ssl_ca_file", "tls", "ca_file", OF_ANY },
	{ "certificate_file cert_file ssl_certfile sslcert", "tls", "certificate_file",
	  OF_ANY },
	{ "key_file ssl_keyfile sslkey", "tls", "key_file", OF_ANY },
	{ "verify ssl_verify verify_ssl", "tls", "verify", OF_ANY },
	{ "server_name", "tls", "server_name", OF_ANY },
};

static unsigned bit_of(const struct import_pool *pool)
{
	return pool->protocol == KOLK__PROTOCOL_HTTP	? OF_HTTP
	       : pool->protocol == KOLK__PROTOCOL_REDIS ? OF_REDIS
							: OF_POSTGRES;
}

static const struct rename *rename_find(const struct import_pool *pool, const char *name)
{
	for (size_t i = 0; i < sizeof renames / sizeof renames[0]; i++)
		if ((renames[i].of & bit_of(pool)) != 0 &&
		    import_is_one_of(name, renames[i].names))
			return &renames[i];
	return NULL;
}

static const struct kolk__setting *setting_of(const char *section, const char *key)
{
	const struct kolk__section *pools = kolk__setting_find(&kolk__schema, "pools")->section;
	const struct kolk__setting *map = kolk__setting_find(pools, section);

	return kolk__setting_find(map != NULL ? map->section : pools, key);
}

static bool is_secret(const char *section, const char *key)
{
	const struct kolk__setting *setting = setting_of(section, key);

	return setting != NULL &&
	       (setting->kind == KOLK__STRING || setting->kind == KOLK__PASSWORD);
}

const struct import_entry *import_entry(const struct import_pool *pool, const char *section,
					const char *key)
{
	for (uint32_t i = 0; i < pool->count; i++)
		if (strcmp(pool->entries[i].section, section) == 0 &&
		    strcmp(pool->entries[i].key, key) == 0)
			return &pool->entries[i];
	return NULL;
}

bool import_put(struct import *import, struct import_pool *pool,
		const struct kolk__node *option, const struct import_entry *entry)
{
	const struct import_entry *other = import_entry(pool, entry->section, entry->key);
	const char *dot = entry->section[0] != 0 && entry->key[0] != 0 ? "." : "";

	if (other != NULL) {
		if (option != NULL)
			import_left(import, option,
				    import_text(import, "line %u says it, too", other->line));
		return false;
	}
	if (pool->count < IMPORT_ENTRIES)
		pool->entries[pool->count++] = *entry;
	if (entry->value != NULL)
		import_became(import,
			      import_text(import, "%s%s%s", entry->section, dot, entry->key),
			      is_secret(entry->section, entry->key) ? NULL : entry->value);
	return true;
}

static void option_rename(struct import *import, struct import_pool *pool,
			  const struct kolk__node *option, const struct rename *rename)
{
	const bool own = strcmp(rename->section, "*") == 0;
	struct import_entry entry = { own ? import_protocol_name(pool) : rename->section,
				      rename->key, NULL, option->key_line };
	const struct kolk__setting *setting = setting_of(entry.section, entry.key);
	const char *why = "this build has no driver for it";

	if (setting != NULL)
		entry.value = import_value(import, setting, option, &why);
	if (entry.value == NULL) {
		import_left(import, option, why);
		return;
	}
	if (!import_put(import, pool, option, &entry))
		return;
	if (strcmp(entry.key, "connections_max") == 0)
		pool->connections_max = (uint32_t)strtoul(entry.value, NULL, 10);
	import_done(import, option, NULL);
}

/* ---- passwords */

/* Of capitals, digits and '_'. */
static const char *variable_name(struct import *import, const struct import_pool *pool)
{
	char *name = import_text(import, "%s%s_PASSWORD",
				 pool->name[0] >= '0' && pool->name[0] <= '9' ? "_" : "",
				 pool->name);

	for (char *c = name; *c != 0; c++)
		*c = *c >= 'a' && *c <= 'z' ? (char)(*c + ('A' - 'a'))
		     : (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ? *c
									    : '_';
	return name;
}

static bool is_taken(const struct import *import, const char *name)
{
	for (const struct import_pool *other = import->pools; other != NULL;
	     other = other->next)
		if (other->password_name != NULL && strcmp(other->password_name, name) == 0)
			return true;
	return false;
}

static const char *password_name(struct import *import, const struct import_pool *pool)
{
	const char *first = variable_name(import, pool), *name = first;

	for (int i = 2; is_taken(import, name); i++)
		name = import_text(import, "%s_%d", first, i);
	return name;
}

const char *import_password(struct import *import, struct import_pool *pool,
			    const struct kolk__node *option, const char *password)
{
	struct import_entry entry = { import_protocol_name(pool), "password", NULL,
				      option != NULL ? option->key_line : pool->url_line };

	if (import_refers(password)) {
		entry.value = import_own(import, password);
		import_put(import, pool, option, &entry);
		return NULL;
	}
	if (import_entry(pool, entry.section, entry.key) == NULL)
		pool->password_name = password_name(import, pool);
	entry.value = import_text(import, "${%s}",
				  pool->password_name != NULL ? pool->password_name : "");
	return import_put(import, pool, option, &entry)
		       ? import_text(
				 import,
				 "set the variable %s to this password, or write file:/path",
				 pool->password_name)
		       : NULL;
}

static void option_password(struct import *import, struct import_pool *pool,
			    const struct kolk__node *option)
{
	const uint32_t left_out = import->left_out;
	const char *todo;

	if (pool->protocol == KOLK__PROTOCOL_HTTP || !import_is_text(option) ||
	    option->size == 0) {
		import_left(import, option,
			    pool->protocol == KOLK__PROTOCOL_HTTP
				    ? "write http.headers in the tools of this pool"
				    : "this is no password");
		return;
	}
	todo = import_password(import, pool, option, option->text);
	if (import->left_out == left_out)
		import_done(import, option, todo);
}

static void option_password_from(struct import *import, struct import_pool *pool,
				 const struct kolk__node *option)
{
	const bool file = strcmp(option->key, "password_file") == 0;
	struct import_entry entry = { import_protocol_name(pool), "password", NULL,
				      option->key_line };

	if (pool->protocol == KOLK__PROTOCOL_HTTP || !import_is_text(option)) {
		import_left(import, option, "this is no password");
		return;
	}
	entry.value = file ? import_text(import, "file:%s", import_own(import, option->text))
			   : import_text(import, "${%s}", option->text);
	if (import_put(import, pool, option, &entry))
		import_done(import, option, NULL);
}

/* ---- options that are more than a key */

static void option_map(struct import *import, struct import_pool *pool,
		       const struct kolk__node *map)
{
	const struct import_path before = import_enter(import, map->key);

	import_options(import, pool, map);
	import_leave(import, &before);
}

/* "ssl: true", "sslmode: require", "ssl: {ca_file: ...}" */
static void option_tls(struct import *import, struct import_pool *pool,
		       const struct kolk__node *option)
{
	const struct import_entry entry = { "tls", "", "{}", option->key_line };
	const char *on = import_is_text(option) ? import_switch(option->text) : NULL;

	if (option->kind == KOLK__MAP) {
		import_put(import, pool, NULL, &entry);
		import->became[0] = 0;
		option_map(import, pool, option);
	} else if (on == NULL && !import_is_text(option)) {
		import_left(import, option, "true or false is expected");
	} else if (on != NULL ? strcmp(on, "false") == 0
			      : strcmp(option->text, "disable") == 0) {
		import_done(import, option, "there is no TLS without 'tls'");
	} else if (import_put(import, pool, option, &entry)) {
		if (on != NULL ||
		    import_is_one_of(option->text, "require verify-ca verify-full"))
			import_done(import, option, "chain and name are verified");
		else
			import_left(
				import, option,
				"TLS is required where it was optional: leave 'tls' out if the "
				"server has none");
	}
}

/* Idle connections of Redis are checked by PING, and of HTTP as `http.ping` says. */
static bool option_ping(struct import *import, const struct import_pool *pool,
			const struct kolk__node *option)
{
	if (!import_is_one_of(option->key, "validation_query test_query") ||
	    pool->protocol != KOLK__PROTOCOL_REDIS || !import_is_text(option) ||
	    !kolk__word_equal(option->text, "PING"))
		return false;
	import_done(import, option, "idle connections are checked by PING");
	return true;
}

static void option_socket(struct import *import, struct import_pool *pool,
			  const struct kolk__node *option)
{
	struct import_entry entry = { "", "address", NULL, option->key_line };

	if (!import_is_text(option) || option->text[0] != '/') {
		import_left(import, option, "an absolute path is expected");
		return;
	}
	entry.value = import_text(import, "unix:%s", import_own(import, option->text));
	if (import_put(import, pool, option, &entry))
		import_done(import, option, NULL);
}

static bool is_port(const char *text)
{
	return import_refers(text) ||
	       (strlen(text) < 6 && text[0] != 0 && text[strspn(text, "0123456789")] == 0);
}

static void option_part(struct import *import, struct import_pool *pool,
			const struct kolk__node *option)
{
	const struct import_entry *address = import_entry(pool, "", "address");
	const bool port = strcmp(option->key, "port") == 0;

	if (!import_is_text(option) || option->size == 0 || (port && !is_port(option->text))) {
		import_left(import, option, port ? "this is no port" : "this is no host");
	} else if (address != NULL) {
		import_left(import, option,
			    import_text(import, "line %u says it, too", address->line));
	} else {
		*(port ? &pool->port : &pool->host) = option;
		import_became(import, "address", NULL);
		import_done(import, option, NULL);
	}
}

/* What to do about options that have no key here. */
static const char *advice(struct import *import, const struct import_pool *pool,
			  const char *name)
{
	static const char *const advices[][2] = {
		{ "retry_attempts retries max_retries retry_on_failure retry_delay "
		  "retry_on_timeout",
		  "dials are repeated by themselves: health.retry_interval, health.retry_max" },
		{ "headers default_headers auth token api_key bearer_token",
		  "write http.headers in the tools of this pool" },
		{ "server_settings options parameters", "write them in postgres.parameters" },
		{ "reset_query on_release", "postgres.reset says when connections are reset" },
		{ "init_query on_connect setup init",
		  "write postgres.parameters, as search_path" },
		{ "validation_query test_query health_check_path",
		  "idle connections are checked by http.ping, http.ping_target" },
		{ "max_overflow", "add it to limits.connections_max" },
	};

	for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++)
		if (import_is_one_of(name, advices[i][0]))
			return advices[i][1];
	return import_text(import,
			   "no option of pools of %s that is known: look at docs/migrating.md",
			   import_protocol_name(pool));
}

static void option_any(struct import *import, struct import_pool *pool,
		       const struct kolk__node *option)
{
	const struct rename *rename = rename_find(pool, option->key);

	if (import_is_one_of(option->key, IMPORT_URLS) ||
	    import_is_one_of(option->key, IMPORT_TYPES) ||
	    (strcmp(option->key, "name") == 0 && option->kind == KOLK__TEXT))
		return; /* taken before */
	if (option->kind == KOLK__NOTHING)
		import_done(import, option, "empty: the default");
	else if (rename != NULL)
		option_rename(import, pool, option, rename);
	else if (import_is_one_of(option->key, "host hostname port"))
		option_part(import, pool, option);
	else if (import_is_one_of(option->key, "password passwd"))
		option_password(import, pool, option);
	else if (import_is_one_of(option->key, "password_file password_env"))
		option_password_from(import, pool, option);
	else if (import_is_one_of(option->key, "ssl tls sslmode ssl_mode"))
		option_tls(import, pool, option);
	else if (import_is_one_of(option->key, "unix_socket_path socket_path"))
		option_socket(import, pool, option);
	else if (option->kind == KOLK__MAP && import_is_one_of(option->key, IMPORT_INNER))
		option_map(import, pool, option);
	else if (!option_ping(import, pool, option))
		import_left(import, option, advice(import, pool, option->key));
}

void import_options(struct import *import, struct import_pool *pool,
		    const struct kolk__node *map)
{
	for (const struct kolk__node *option = map->first; option != NULL;
	     option = option->next)
		option_any(import, pool, option);
}
