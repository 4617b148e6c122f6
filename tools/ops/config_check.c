/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_check.c - what contradicts something else, and the last strokes: defaults that only
 * the whole can tell, pointers from one part to another.
 */
#include "tools/ops/config_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/ascii.h"
#include "tools/ops/config_error.h"
#include "tools/ops/config_schema.h"
#include "tools/ops/config_yaml.h"
#include "tools/ops/listen.h"
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

const struct kolk__node *kolk__config_node(const struct kolk_config *config, const char *section,
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

const struct kolk__section *kolk__pools_section(void)
{
	return kolk__setting_find(&kolk__schema, "pools")->section;
}

const struct kolk__node *kolk__pool_node(const struct kolk__config_pool *pool, const char *field,
					  const struct kolk__setting **setting)
{
	const struct kolk__node *node;

	*setting = NULL;
	node = field_find(kolk__pools_section(), pool->node, field, setting);
	return node != NULL ? node : pool->node;
}

/* ---- one is more than the other */

static const struct kolk_option *option_of(const struct kolk__given_options *o, const char *field)
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

static void number_text(const struct kolk__given_options *o, const char *field, char *text, size_t size)
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

bool kolk__bound_check(struct kolk__reading *r, const struct kolk__given_options *o,
		       const struct kolk_option_bound *bound, const struct kolk__node *at)
{
	const char *low = bound->at_least ? bound->other : bound->field;
	const char *high = bound->at_least ? bound->field : bound->other;
	char low_text[80], high_text[80];

	if (number(option_of(o, low), o->full) <= number(option_of(o, high), o->full))
		return true;
	number_text(o, low, low_text, sizeof low_text);
	number_text(o, high, high_text, sizeof high_text);
	return kolk__wrong(kolk__at(r, at), "", "%s is more than %s", low_text, high_text);
}

/* ---- engine, admin, tenants */

static bool engine_check(struct kolk__reading *r, struct kolk_config *config)
{
	const struct kolk_option_table *table = kolk_option_table("engine");
	struct kolk_engine_options full = config->engine;
	const struct kolk__given_options o = { table, &config->engine, &full };
	bool ok = true;

	config->engine.size = sizeof config->engine;
	kolk_option_defaults(&kolk__file_table, config);
	kolk_option_defaults(table, &full);
	for (const struct kolk_option_bound *b = table->bounds; b->field != NULL; b++)
		ok = kolk__bound_check(r, &o, b,
				       kolk__config_node(config, "engine", b->field)) && ok;
	return ok;
}

/* The address of a listener: a path, or an IP address (no name: which of its addresses?). */
static bool listen_check(struct kolk__reading *r, const struct kolk__node *at,
			 const struct kolk_admin_options *admin)
{
	/* Port 0: the system's choice. */
	const char *flaw = kolk__address_flaw(admin->listen, 0);
	struct sockaddr_storage address;
	socklen_t size;

	if (flaw != NULL)
		return kolk__wrong(kolk__at(r, at), flaw, "'listen' is no address");
	if (strncmp(admin->listen, "unix:", 5) == 0)
		return true;
	if (!kolk__ip_address_read(admin->listen, &address, &size))
		return kolk__wrong(kolk__at(r, at),
				   "write unix:/path, 127.0.0.1:port or [::1]:port",
				   "'listen' needs an IP address, not a name");
	return admin->token != NULL ||
	       kolk__wrong(kolk__at(r, at), "set admin.token, or listen on unix:/path",
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
		return listen_check(r, kolk__config_node(config, "admin", "listen"), o);
	if (variables->count > 0)
		file = variables->first;
	if (file == NULL || (file->kind == KOLK__NOTHING && file != variables->first))
		return true; /* no admin server is wanted */
	return kolk__wrong(kolk__at(r, file), "as unix:/run/kolk/admin.sock",
			   "'listen' is missing in 'admin'");
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

bool kolk__names_differ(struct kolk__reading *r, struct kolk__named *names, uint32_t names_count,
			const char *what)
{
	qsort(names, names_count, sizeof *names, by_name);
	for (uint32_t i = 1; i < names_count; i++) {
		struct kolk__shown shown = kolk__show(names[i].name, strlen(names[i].name));
		char first[64];

		if (strcmp(names[i - 1].name, names[i].name) != 0)
			continue;
		snprintf(first, sizeof first, "the first is in line %u", names[i - 1].node->line);
		return kolk__wrong(kolk__at(r, names[i].node), first, "two %s are called %s", what,
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
	return kolk__names_differ(r, names, config->tenants.count, "tenants");
}

bool kolk__config_check(struct kolk__reading *r, struct kolk_config *config)
{
	bool ok = engine_check(r, config);

	ok = admin_check(r, config) && ok;
	ok = tenants_check(r, config) && ok;
	return kolk__pools_check(r, config) && ok;
}
