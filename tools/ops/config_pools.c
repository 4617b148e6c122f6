/* SPDX-License-Identifier: Apache-2.0 */
/* config_pools.c - what contradicts something else in a pool, or between pools. */
#include "tools/ops/config_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ops/config_error.h"
#include "tools/ops/config_protocol.h"
#include "tools/ops/config_schema.h"
#include "tools/ops/config_yaml.h"

/* Where this field is set; the pool when it is not. */
static const struct kolk__node *at(const struct kolk__config_pool *pool, const char *field)
{
	const struct kolk__setting *setting;

	return kolk__pool_node(pool, field, &setting);
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
	const struct kolk__given_options o = { table, &pool->options, &full };
	bool ok = true;

	if ((full.bind_port_min == 0) != (full.bind_port_max == 0))
		return kolk__wrong(kolk__at_key(r, at_either(pool, "bind_port_min",
							     "bind_port_max")), "",
				   "'bind_port_min' and 'bind_port_max' go together");
	kolk_option_defaults(table, &full);
	for (const struct kolk_option_bound *b = table->bounds; b->field != NULL; b++)
		ok = kolk__bound_check(r, &o, b, at_either(pool, b->field, b->other)) && ok;
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
			return kolk__wrong(kolk__at(r, node),
					   "sha256// and 44 characters of base64",
					   "this is no pin");
		node = node->next;
		if (++pins > 8)
			return kolk__wrong(kolk__at(r, list), "", "more than 8 pins");
	}
	return true;
}

static bool tls_fields_check(struct kolk__reading *r, const struct kolk__config_pool *pool)
{
	const struct kolk_tls_options *o = &pool->tls;
	const struct kolk__node *node = at(pool, "record_max");

	if (o->certificate_file != NULL && o->key_file == NULL)
		return kolk__wrong(kolk__at_key(r, at(pool, "certificate_file")), "",
				   "'certificate_file' needs its 'key_file'");
	if (o->key_file != NULL && o->certificate_file == NULL)
		return kolk__wrong(kolk__at_key(r, at(pool, "key_file")), "",
				   "'key_file' needs its 'certificate_file'");
	if (o->verify_off && o->crl_file != NULL)
		return kolk__wrong(kolk__at_key(r, at(pool, "crl_file")), "leave one of them out",
				   "'crl_file' is not looked at with 'verify: false'");
	if ((o->record_max & (o->record_max - 1)) != 0)
		return kolk__wrong(kolk__at(r, node), "512B, 1KiB, 2KiB or 4KiB",
				   "'record_max' must be a power of two");
	return pins_check(r, pool);
}

static bool words_check(struct kolk__reading *r, const struct kolk__node *list, const char *flaw)
{
	return list->count <= 256 ? flaw == NULL || kolk__wrong(kolk__at(r, list), "", "%s", flaw) :
				    kolk__wrong(kolk__at(r, list), "", "more than 256 entries");
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
		return kolk__wrong(kolk__at(r, at(pool, "child")), "", "'command' is missing here");
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		const struct kolk__node *other = kolk__tree_find(pool->node, others[i]);

		if (other != NULL)
			return kolk__wrong(kolk__at_key(r, other), "leave one of them out",
					   "'%s' and 'child' exclude each other", others[i]);
	}
	if (o->command[0] == NULL || o->command[0][0] != '/')
		return kolk__wrong(kolk__at(r, at(pool, "command")),
				   "there is no search and no shell",
				   "a command begins with an absolute path");
	if (o->directory != NULL && o->directory[0] != '/')
		return kolk__wrong(kolk__at(r, at(pool, "directory")), "",
				   "a directory is an absolute path");
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
	const char *flaw = kolk__address_flaw(rest, 1);

	if (strncmp(rest, "unix:", 5) != 0 && rest[0] != '/' && strchr(rest, '/') != NULL)
		return kolk__wrong(kolk__at(r, at(pool, "address")),
				   "URLs are of http, https, redis, rediss, postgresql",
				   "an address is host:port, or a URL");
	if (flaw != NULL)
		return kolk__wrong(kolk__at(r, at(pool, "address")), flaw, "this is no address");
	if (tls != NULL && tls->kind == KOLK__NOTHING)
		return kolk__wrong(kolk__at_key(r, tls), "write {} for TLS with its defaults",
				   "'tls' has no value");
	if (wanted && plain_scheme)
		return kolk__wrong(kolk__at_key(r, tls), "",
				   "'tls' contradicts the address, which is without TLS");
	if (pool->tls_off && tls_scheme)
		return kolk__wrong(kolk__at(r, at(pool, "enabled")), "",
				   "'enabled: false' contradicts the address, which is with TLS");
	if (strncmp(rest, "unix:", 5) == 0 && (wanted || tls_scheme) &&
	    pool->tls.server_name == NULL)
		return kolk__wrong(kolk__at_key(r, tls != NULL ? tls : at(pool, "address")),
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
		return kolk__wrong(kolk__at_key(r, at(pool, "warm")),
				   "set 'idle_min' to what should be ready",
				   "there is nothing to warm: 'idle_min' is none");
	for (uint32_t i = 0; i < pool->warm.count; i++) {
		if (pool->options.isolation == KOLK_ISOLATION_SESSION && keys[i].session == NULL)
			return kolk__wrong(kolk__at(r, keys[i].node), "",
					   "'session' is missing here: the isolation is 'session'");
		for (uint32_t j = 0; j < i; j++)
			if (kolk__key_is_same(&keys[i], &keys[j]))
				return kolk__wrong(kolk__at(r, keys[i].node), "",
						   "this key is warmed twice");
	}
	return true;
}

static bool pool_check(struct kolk__reading *r, struct kolk__config_pool *pool)
{
	const bool child = kolk__tree_find(pool->node, "child") != NULL;
	bool ok;

	pool->options.size = sizeof pool->options;
	if (!child && pool->options.address != NULL && !kolk__pool_url(r, pool))
		return false;
	if (!child && pool->options.address == NULL)
		ok = kolk__wrong(kolk__at(r, pool->node), "", "'address' is missing here");
	else
		ok = child ? child_check(r, pool) : address_check(r, pool);
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
	const size_t size_max = kolk__setting_find(kolk__pools_section(), "name")->max;
	const struct kolk__node *node = kolk__tree_find(pool->node, "name");
	char name[KOLK__CANCEL_POOL_NAME_BYTES];

	if (!kolk__protocol_cancel_pool_name(pool->options.name, pool->protocol, name))
		return true;
	if (strlen(name) > size_max)
		return kolk__wrong(kolk__at(r, node), "take a shorter name",
				   "cancel requests go by a pool NAME.cancel, which has more than "
				   "%zu bytes", size_max);
	return kolk__config_pool_named(config, name) == NULL ||
	       kolk__wrong(kolk__at(r, node), "take another name",
			   "cancel requests go by a pool NAME.cancel, and there is one of this name");
}

static bool cancel_pools_check(struct kolk__reading *r, const struct kolk_config *config)
{
	bool ok = true;

	for (uint32_t i = 0; i < config->pools.count; i++)
		ok = cancel_pool_check(r, config, kolk__config_pool_at(config, i)) && ok;
	return ok;
}

bool kolk__pools_check(struct kolk__reading *r, struct kolk_config *config)
{
	struct kolk__named *names =
		kolk__arena_get(r->arena, (config->pools.count + 1) * sizeof *names);
	bool ok = true;

	if (names == NULL)
		return kolk__no_memory(r);
	config->pools_named = names;
	/* A file that was cut off must not drain everything. */
	if (kolk__tree_find(config->file, "pools") == NULL)
		return kolk__wrong(kolk__at(r, config->file), "write 'pools: []' for none",
				   "'pools' is missing");
	for (uint32_t i = 0; i < config->pools.count; i++) {
		struct kolk__config_pool *pool = kolk__config_pool_at(config, i);

		ok = pool_check(r, pool) && ok;
		names[i] = (struct kolk__named){ pool->options.name,
						 kolk__tree_find(pool->node, "name"), pool };
	}
	ok = kolk__names_differ(r, names, config->pools.count, "pools") && ok;
	return cancel_pools_check(r, config) && ok;
}
