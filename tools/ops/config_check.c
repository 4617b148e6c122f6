/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_check.c - what contradicts something else, and the last strokes: defaults that only
 * the whole can tell, pointers from one part to another.
 */
#include "tools/ops/config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/ascii.h"
#include "tools/ops/options.h"

/* ---- places */

static bool is_called(const struct kolk__setting *setting, const char *field)
{
	const char *dot = strrchr(setting->field, '.');

	return strcmp(setting->name, field) == 0 ||
	       strcmp(dot != NULL ? dot + 1 : setting->field, field) == 0;
}

/* The node of a field in a map or a map inside it; *setting is set to what it is. */
static const struct kolk__node *field_find(const struct kolk__section *section,
					   const struct kolk__node *map, const char *field,
					   const struct kolk__setting **setting)
{
	const struct kolk__node *node = NULL;

	for (size_t i = 0; i < section->count && node == NULL; i++)
		if (is_called(&section->settings[i], field)) {
			*setting = &section->settings[i];
			node = kolk__tree_find(map, (*setting)->name);
		}
	for (size_t i = 0; i < section->count && node == NULL; i++)
		if (section->settings[i].kind == KOLK__SECTION)
			node = field_find(section->settings[i].section,
					  kolk__tree_find(map, section->settings[i].name),
					  field, setting);
	return node;
}

const struct kolk__node *kolk__config_place(const struct kolk_config *config, const char *section,
					    const char *field)
{
	const struct kolk__section *schema = kolk__setting_find(&kolk__schema, section)->section;
	const struct kolk__node *file = kolk__tree_find(config->file, section);
	const struct kolk__setting *setting;
	const struct kolk__node *node = NULL;

	if (config->overlay != NULL)
		node = field_find(schema, kolk__tree_find(config->overlay, section), field,
				  &setting);
	if (node == NULL)
		node = field_find(schema, file, field, &setting);
	if (node == NULL)
		node = file;
	return node != NULL ? node : config->file;
}

static const struct kolk__section *pools_section(void)
{
	return kolk__setting_find(&kolk__schema, "pools")->section;
}

const struct kolk__node *kolk__pool_place(const struct kolk__config_pool *pool, const char *field,
					  const struct kolk__setting **setting)
{
	const struct kolk__node *node;

	*setting = NULL;
	node = field_find(pools_section(), pool->node, field, setting);
	return node != NULL ? node : pool->node;
}

/* ---- one is more than the other */

/* A struct of options: as the file gives it, and with its defaults. */
struct options {
	const struct kolk_option_table *table;
	const void *given, *full;
};

static const struct kolk_option *option_of(const struct options *o, const char *field)
{
	const struct kolk_option *option = o->table->options;

	while (strcmp(option->field, field) != 0)
		option++;
	return option;
}

static uint64_t number(const struct kolk_option *option, const void *options)
{
	uint64_t wide;
	uint32_t narrow;

	memcpy(&wide, (const char *)options + option->offset, option->size);
	memcpy(&narrow, (const char *)options + option->offset, sizeof narrow);
	return option->size == sizeof wide ? wide : narrow;
}

static void number_text(const struct options *o, const char *field, char *text, size_t size)
{
	const struct kolk_option *option = option_of(o, field);
	const char *dot = strrchr(option->key, '.');
	char value[32];

	if (option->kind == KOLK_OPTION_DURATION)
		kolk__duration_text(number(option, o->full), value, sizeof value);
	else
		snprintf(value, sizeof value, "%llu",
			 (unsigned long long)number(option, o->full));
	snprintf(text, size, "'%s' (%s%s)", dot != NULL ? dot + 1 : option->key, value,
		 number(option, o->given) != 0 ? "" : ", the default");
}

/* What the table says of two of them; place: where the bounded one is set, or else the other. */
static bool bound_check(struct kolk__reading *r, const struct options *o,
			const struct kolk_option_bound *bound, const struct kolk__node *place)
{
	const char *low = bound->at_least ? bound->other : bound->field;
	const char *high = bound->at_least ? bound->field : bound->other;
	char low_text[80], high_text[80];

	if (number(option_of(o, low), o->full) <= number(option_of(o, high), o->full))
		return true;
	number_text(o, low, low_text, sizeof low_text);
	number_text(o, high, high_text, sizeof high_text);
	return kolk__wrong(r, place, "", "%s is more than %s", low_text, high_text);
}

/* ---- addresses */

static bool port_is_good(const char *text, int port_min)
{
	size_t size = strlen(text);

	return size > 0 && size <= 5 && strspn(text, "0123456789") == size &&
	       atoi(text) >= port_min && atoi(text) <= 65535;
}

/* "host:port", "[v6]:port" or "unix:/path"; NULL or what is wrong. */
static const char *address_flaw(const char *text, int port_min)
{
	const char *colon = strrchr(text, ':');

	if (strncmp(text, "unix:", 5) == 0)
		return text[5] != '/'		? "a Unix socket is written unix:/path" :
		       strlen(text + 5) > 107 ? "a Unix socket's path has at most 107 bytes" :
						NULL;
	if (colon == NULL || colon == text)
		return "an address is written host:port";
	if (!port_is_good(colon + 1, port_min))
		return "the port is a number up to 65535";
	if (text[0] == '[')
		return colon[-1] == ']' ? NULL : "write [v6 address]:port";
	return memchr(text, ':', (size_t)(colon - text)) == NULL ? NULL :
								   "write [v6 address]:port";
}

/* A URL where an address belongs. Nothing of it but host and port is shown: there may be a password. */
static const struct url {
	const char *scheme, *port, *protocol;
	bool tls;
} urls[] = {
	{ "https://", "443", "http", true },	   { "http://", "80", "http", false },
	{ "rediss://", "6379", "redis", true },	   { "redis://", "6379", "redis", false },
	{ "postgresql://", "5432", "postgres", false }, { "postgres://", "5432", "postgres", false },
};

static void url_suggest(const struct url *url, const char *text, char *suggestion, size_t size)
{
	const char *host = text + strlen(url->scheme), *end = host + strcspn(host, "/?#"), *at;
	const char *colon;

	for (at = host; at < end; at++)
		if (*at == '@')
			host = at + 1;
	/* Of "[v6]:port", the colon behind the bracket. */
	at = memchr(host, ']', (size_t)(end - host));
	at = at != NULL ? at : host;
	colon = memchr(at, ':', (size_t)(end - at));
	if (end == host || end - host > 60) {
		snprintf(suggestion, size, "write host:port, and 'protocol: %s'%s", url->protocol,
			 url->tls ? ", and 'tls: {}'" : "");
		return;
	}
	snprintf(suggestion, size, "write %.*s%s%s, and 'protocol: %s'%s", (int)(end - host), host,
		 colon == NULL ? ":" : "", colon == NULL ? url->port : "", url->protocol,
		 url->tls ? " and 'tls: {}'" : "");
}

/* True when it is one, and *suggestion says what to write instead; rest: behind tls:// or tcp://. */
static bool is_url(const char *text, const char *rest, char *suggestion, size_t size)
{
	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
		if (kolk__word_begins(text, urls[i].scheme)) {
			url_suggest(&urls[i], text, suggestion, size);
			return true;
		}
	snprintf(suggestion, size, "nothing stands in front of the host or behind the port");
	return strncmp(rest, "unix:", 5) != 0 && strchr(rest, '/') != NULL;
}

/* ---- engine, admin, tenants */

static bool engine_check(struct kolk__reading *r, struct kolk_config *config)
{
	const struct kolk_option_table *table = kolk_option_table("engine");
	struct kolk_engine_options full = config->engine;
	const struct options o = { table, &config->engine, &full };
	bool ok = true;

	config->engine.size = sizeof config->engine;
	kolk_option_defaults(&kolk__file_table, config);
	kolk_option_defaults(table, &full);
	for (const struct kolk_option_bound *b = table->bounds; b->field != NULL; b++)
		ok = bound_check(r, &o, b, kolk__config_place(config, "engine", b->field)) && ok;
	return ok;
}

/* The address of a listener: a path, or an IP address (no name: which of its addresses?). */
static bool listen_check(struct kolk__reading *r, const struct kolk__node *at,
			 const struct kolk_admin_options *admin)
{
	/* Port 0: the system's choice. */
	const char *flaw = address_flaw(admin->listen, 0), *colon = strrchr(admin->listen, ':');
	char host[64];
	unsigned char bytes[16];
	bool six = admin->listen[0] == '[';

	if (flaw != NULL)
		return kolk__wrong(r, at, flaw, "'listen' is no address");
	if (strncmp(admin->listen, "unix:", 5) == 0)
		return true;
	snprintf(host, sizeof host, "%.*s", (int)(colon - admin->listen) - (six ? 2 : 0),
		 admin->listen + (six ? 1 : 0));
	if (inet_pton(six ? AF_INET6 : AF_INET, host, bytes) != 1)
		return kolk__wrong(r, at, "write unix:/path, 127.0.0.1:port or [::1]:port",
				   "'listen' needs an IP address, not a name");
	return admin->token != NULL ||
	       kolk__wrong(r, at, "set admin.token, or listen on unix:/path",
			   "'listen' on TCP needs a 'token'");
}

static bool admin_check(struct kolk__reading *r, struct kolk_config *config)
{
	struct kolk_admin_options *o = &config->admin;
	const struct kolk__node *file = kolk__tree_find(config->file, "admin");
	const struct kolk__node *variables = kolk__tree_find(config->overlay, "admin");

	o->size = sizeof *o;
	o->token_size = o->token != NULL ? (uint32_t)strlen(o->token) : 0;
	if (o->listen != NULL)
		return listen_check(r, kolk__config_place(config, "admin", "listen"), o);
	if (variables->count > 0)
		file = variables->first;
	if (file == NULL || (file->kind == KOLK__NOTHING && file != variables->first))
		return true; /* no admin server is wanted */
	return kolk__wrong(r, file, "as unix:/run/kolk/admin.sock", "'listen' is missing in 'admin'");
}

static int by_name(const void *a, const void *b)
{
	const struct kolk__named *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0	? order :
	       x->node->line != y->node->line ? (x->node->line < y->node->line ? -1 : 1) :
				  (x->node->column > y->node->column) -
					  (x->node->column < y->node->column);
}

/* No name twice; of duplicates, the last is reported. */
static bool names_differ(struct kolk__reading *r, struct kolk__named *names, uint32_t names_count,
			 const char *what)
{
	qsort(names, names_count, sizeof *names, by_name);
	for (uint32_t i = 1; i < names_count; i++) {
		struct kolk__shown shown = kolk__show(names[i].name, strlen(names[i].name));
		char first[64];

		if (strcmp(names[i - 1].name, names[i].name) != 0)
			continue;
		snprintf(first, sizeof first, "the first is in line %u", names[i - 1].node->line);
		return kolk__wrong(r, names[i].node, first, "two %s are called %s", what,
				   shown.text);
	}
	return true;
}

static void *named(const struct kolk__named *names, uint32_t names_count, const char *name)
{
	uint32_t low = 0, high = names_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = strcmp(names[middle].name, name);

		if (order == 0)
			return names[middle].item;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

struct kolk__config_pool *kolk__config_pool_named(const struct kolk_config *config,
						  const char *name)
{
	return named(config->pools_named, config->pools.count, name);
}

struct kolk__config_tenant *kolk__config_tenant_named(const struct kolk_config *config,
						      const char *name)
{
	return named(config->tenants_named, config->tenants.count, name);
}

static bool tenants_check(struct kolk__reading *r, struct kolk_config *config)
{
	struct kolk__named *names =
		kolk__arena_get(r->arena, (config->tenants.count + 1) * sizeof *names);

	if (names == NULL)
		return kolk__no_memory(r);
	config->tenants_named = names;
	for (uint32_t i = 0; i < config->tenants.count; i++) {
		struct kolk__config_tenant *tenant = kolk__config_tenant_at(config, i);

		tenant->limits.size = sizeof tenant->limits;
		names[i] = (struct kolk__named){ tenant->name,
						 kolk__tree_find(tenant->node, "name"), tenant };
	}
	return names_differ(r, names, config->tenants.count, "tenants");
}

/* ---- pools */

/* Where this field is set; the pool when it is not. */
static const struct kolk__node *at(const struct kolk__config_pool *pool, const char *field)
{
	const struct kolk__setting *setting;

	return kolk__pool_place(pool, field, &setting);
}

/* A field that is set; otherwise the other one's place. */
static const struct kolk__node *at_either(const struct kolk__config_pool *pool,
					  const char *field, const char *other)
{
	const struct kolk__node *node = at(pool, field);

	return node != pool->node ? node : at(pool, other);
}

static bool numbers_check(struct kolk__reading *r, const struct kolk__config_pool *pool)
{
	const struct kolk_option_table *table = kolk_option_table("pool");
	struct kolk_pool_options full = pool->options;
	const struct options o = { table, &pool->options, &full };
	bool ok = true;

	if ((full.bind_port_min == 0) != (full.bind_port_max == 0))
		return kolk__wrong_key(r, at_either(pool, "bind_port_min", "bind_port_max"), "",
				       "'bind_port_min' and 'bind_port_max' go together");
	kolk_option_defaults(table, &full);
	for (const struct kolk_option_bound *b = table->bounds; b->field != NULL; b++)
		ok = bound_check(r, &o, b, at_either(pool, b->field, b->other)) && ok;
	return ok;
}

static bool pins_check(struct kolk__reading *r, const struct kolk__config_pool *pool)
{
	static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const struct kolk__node *list = at(pool, "pins"), *node = list->first;
	uint32_t pins = 0;

	for (const char *const *pin = pool->tls.pins; pin != NULL && *pin != NULL; pin++) {
		if (strncmp(*pin, "sha256//", 8) != 0 || strlen(*pin) != 8 + 44 ||
		    strspn(*pin + 8, base64) != 43 || (*pin)[51] != '=')
			return kolk__wrong(r, node, "sha256// and 44 characters of base64",
					   "this is no pin");
		node = node->next;
		if (++pins > 8)
			return kolk__wrong(r, list, "", "more than 8 pins");
	}
	return true;
}

static bool tls_fields_check(struct kolk__reading *r, const struct kolk__config_pool *pool)
{
	const struct kolk_tls_options *o = &pool->tls;
	const struct kolk__node *node = at(pool, "record_max");

	if (o->certificate_file != NULL && o->key_file == NULL)
		return kolk__wrong_key(r, at(pool, "certificate_file"), "",
				       "'certificate_file' needs its 'key_file'");
	if (o->key_file != NULL && o->certificate_file == NULL)
		return kolk__wrong_key(r, at(pool, "key_file"), "",
				       "'key_file' needs its 'certificate_file'");
	if (o->verify_off && o->crl_file != NULL)
		return kolk__wrong_key(r, at(pool, "crl_file"), "leave one of them out",
				       "'crl_file' is not looked at with 'verify: false'");
	if ((o->record_max & (o->record_max - 1)) != 0)
		return kolk__wrong(r, node, "512B, 1KiB, 2KiB or 4KiB",
				   "'record_max' must be a power of two");
	return pins_check(r, pool);
}

static bool words_check(struct kolk__reading *r, const struct kolk__node *list, const char *flaw)
{
	return list->count <= 256 ? flaw == NULL || kolk__wrong(r, list, "", "%s", flaw) :
				    kolk__wrong(r, list, "", "more than 256 entries");
}

static const char *pairs_flaw(const char *const *list)
{
	for (; list != NULL && *list != NULL; list++)
		if ((*list)[0] == '=' || strchr(*list, '=') == NULL)
			return "an environment is a list of NAME=value";
	return NULL;
}

static const char *names_flaw(const char *const *list)
{
	uint32_t count = 0;

	for (; list != NULL && *list != NULL; list++, count++)
		if (strchr(*list, '=') != NULL || count == 64)
			return "'inherit' is a list of names, at most 64";
	return NULL;
}

/* A child instead of an address, and nothing that is an address's. */
static bool child_check(struct kolk__reading *r, struct kolk__config_pool *pool)
{
	static const char *const others[] = { "address", "tls", "bind_address", "bind_port_min",
					      "name_servers" };
	const struct kolk_child_options *o = &pool->child;

	if (o->command == NULL)
		return kolk__wrong(r, at(pool, "child"), "", "'command' is missing here");
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		const struct kolk__node *other = kolk__tree_find(pool->node, others[i]);

		if (other != NULL)
			return kolk__wrong_key(r, other, "leave one of them out",
					       "'%s' and 'child' exclude each other", others[i]);
	}
	if (o->command[0] == NULL || o->command[0][0] != '/')
		return kolk__wrong(r, at(pool, "command"), "there is no search and no shell",
				   "a command begins with an absolute path");
	if (o->directory != NULL && o->directory[0] != '/')
		return kolk__wrong(r, at(pool, "directory"), "", "a directory is an absolute path");
	pool->child.size = sizeof pool->child;
	pool->options.child = &pool->child;
	return words_check(r, at(pool, "command"), NULL) &&
	       words_check(r, at(pool, "environment"), pairs_flaw(o->environment)) &&
	       words_check(r, at(pool, "inherit"), names_flaw(o->inherit));
}

/* The address, and whether it goes with the TLS that is asked for. */
static bool address_check(struct kolk__reading *r, struct kolk__config_pool *pool)
{
	const struct kolk__node *tls = kolk__tree_find(pool->node, "tls");
	const char *text = pool->options.address;
	bool tls_scheme = strncmp(text, "tls://", 6) == 0;
	bool plain_scheme = strncmp(text, "tcp://", 6) == 0;
	bool wanted = tls != NULL && !pool->tls_off;
	const char *rest = text + (tls_scheme || plain_scheme ? 6 : 0);
	const char *flaw = address_flaw(rest, 1);
	char suggestion[128];

	if (is_url(text, rest, suggestion, sizeof suggestion))
		return kolk__wrong(r, at(pool, "address"), suggestion,
				   "an address is no URL, but host:port");
	if (flaw != NULL)
		return kolk__wrong(r, at(pool, "address"), flaw, "this is no address");
	if (tls != NULL && tls->kind == KOLK__NOTHING)
		return kolk__wrong_key(r, tls, "write {} for TLS with its defaults",
				       "'tls' has no value");
	if (wanted && plain_scheme)
		return kolk__wrong_key(r, tls, "", "'tls' contradicts the tcp:// of the address");
	if (pool->tls_off && tls_scheme)
		return kolk__wrong(r, at(pool, "enabled"), "",
				   "'enabled: false' contradicts the tls:// of the address");
	if (strncmp(rest, "unix:", 5) == 0 && (wanted || tls_scheme) &&
	    pool->tls.server_name == NULL)
		return kolk__wrong_key(r, tls != NULL ? tls : at(pool, "address"),
				       "set 'server_name'",
				       "TLS over a Unix socket has no name to verify");
	pool->tls.size = sizeof pool->tls;
	pool->options.tls = wanted ? &pool->tls : NULL;
	return true;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool kolk__key_is_same(const struct kolk__config_key *a, const struct kolk__config_key *b)
{
	return same_text(a->tenant, b->tenant) && same_text(a->session, b->session) &&
	       a->credential.size == b->credential.size &&
	       (a->credential.size == 0 ||
		memcmp(a->credential.bytes, b->credential.bytes, a->credential.size) == 0);
}

static bool warm_check(struct kolk__reading *r, const struct kolk__config_pool *pool)
{
	const struct kolk__config_key *keys = pool->warm.items;

	if (pool->warm.count > 0 && pool->options.idle_min == KOLK_NONE)
		return kolk__wrong_key(r, at(pool, "warm"), "set 'idle_min' to what should be ready",
				       "there is nothing to warm: 'idle_min' is none");
	for (uint32_t i = 0; i < pool->warm.count; i++) {
		if (pool->options.isolation == KOLK_ISOLATION_SESSION && keys[i].session == NULL)
			return kolk__wrong(r, keys[i].node, "",
					   "'session' is missing here: the isolation is 'session'");
		for (uint32_t j = 0; j < i; j++)
			if (kolk__key_is_same(&keys[i], &keys[j]))
				return kolk__wrong(r, keys[i].node, "", "this key is warmed twice");
	}
	return true;
}

static bool pool_check(struct kolk__reading *r, struct kolk__config_pool *pool)
{
	bool ok;

	pool->options.size = sizeof pool->options;
	if (kolk__tree_find(pool->node, "child") == NULL && pool->options.address == NULL)
		return kolk__wrong(r, pool->node, "", "'address' is missing here");
	ok = kolk__tree_find(pool->node, "child") != NULL ? child_check(r, pool) :
							    address_check(r, pool);
	/* Each is reported, whatever the others say. */
	ok = kolk__protocol_check(r, pool) && ok;
	ok = tls_fields_check(r, pool) && ok;
	ok = numbers_check(r, pool) && ok;
	return warm_check(r, pool) && ok;
}

/* The name of a cancel pool is valid and free. Once names are sorted. */
static bool cancel_pool_check(struct kolk__reading *r, const struct kolk_config *config,
			      const struct kolk__config_pool *pool)
{
	const size_t size_max = kolk__setting_find(pools_section(), "name")->max;
	const struct kolk__node *node = kolk__tree_find(pool->node, "name");
	char name[KOLK__CANCEL_POOL_NAME_BYTES];

	if (!kolk__protocol_cancel_pool_name(pool->options.name, pool->protocol, name))
		return true;
	if (strlen(name) > size_max)
		return kolk__wrong(r, node, "take a shorter name",
				   "cancel requests go by a pool NAME.cancel, which has more than "
				   "%zu bytes", size_max);
	return kolk__config_pool_named(config, name) == NULL ||
	       kolk__wrong(r, node, "take another name",
			   "cancel requests go by a pool NAME.cancel, and there is one of this name");
}

static bool cancel_pools_check(struct kolk__reading *r, const struct kolk_config *config)
{
	bool ok = true;

	for (uint32_t i = 0; i < config->pools.count; i++)
		ok = cancel_pool_check(r, config, kolk__config_pool_at(config, i)) && ok;
	return ok;
}

static bool pools_check(struct kolk__reading *r, struct kolk_config *config)
{
	struct kolk__named *names =
		kolk__arena_get(r->arena, (config->pools.count + 1) * sizeof *names);
	bool ok = true;

	if (names == NULL)
		return kolk__no_memory(r);
	config->pools_named = names;
	/* A file that was cut off must not drain everything. */
	if (kolk__tree_find(config->file, "pools") == NULL)
		return kolk__wrong(r, config->file, "write 'pools: []' for none",
				   "'pools' is missing");
	for (uint32_t i = 0; i < config->pools.count; i++) {
		struct kolk__config_pool *pool = kolk__config_pool_at(config, i);

		ok = pool_check(r, pool) && ok;
		names[i] = (struct kolk__named){ pool->options.name,
						 kolk__tree_find(pool->node, "name"), pool };
	}
	ok = names_differ(r, names, config->pools.count, "pools") && ok;
	return cancel_pools_check(r, config) && ok;
}

bool kolk__config_check(struct kolk__reading *r, struct kolk_config *config)
{
	bool ok = engine_check(r, config);

	ok = admin_check(r, config) && ok;
	ok = tenants_check(r, config) && ok;
	return pools_check(r, config) && ok;
}
