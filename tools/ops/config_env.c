/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_env.c - what the environment says besides the file, as a tree of the same shape: it
 * goes through the same schema, and an error names the variable.
 */
#include "tools/ops/config_env.h"

#include <stdio.h>
#include <string.h>

#include "tools/ops/config.h"
#include "tools/ops/config_error.h"
#include "tools/ops/config_protocol.h"
#include "tools/ops/config_schema.h"
#include "tools/ops/config_yaml.h"

const char *kolk__environment_get(const struct kolk__reading *r, const char *name, size_t size)
{
	for (const char *const *entry = r->environment; *entry != NULL; entry++)
		if (strncmp(*entry, name, size) == 0 && (*entry)[size] == '=')
			return (*entry)[size + 1] != 0 ? *entry + size + 1 : NULL;
	return NULL;
}

/* Names that gateways know from elsewhere; their times are milliseconds without a unit. */
struct classic {
	const char *name, *key, *unit;
};
static const struct classic classics[] = {
	{ "MAX_TOTAL_CONNECTIONS", "connections_max", "" },
	{ "MAX_CONNECTIONS_PER_USER", "tenant_connections_max", "" },
	{ "CLEANUP_INTERVAL", "maintenance_interval", "ms" },
};
static const char idle[] = "CONNECTION_TIMEOUT";

static struct kolk__node *node_make(struct kolk__reading *r, enum kolk__node_kind kind,
				    const char *key, const char *source)
{
	struct kolk__node *node = kolk__arena_get(r->arena, sizeof *node);

	if (node == NULL) {
		kolk__no_memory(r);
		return NULL;
	}
	node->kind = kind;
	node->key = key;
	node->source = source;
	return node;
}

static const char *copy(struct kolk__reading *r, const char *text, size_t size, const char *unit)
{
	char *kept = kolk__arena_get(r->arena, size + strlen(unit) + 1);

	if (kept == NULL) {
		kolk__no_memory(r);
		return NULL;
	}
	memcpy(kept, text, size);
	strcpy(kept + size, unit);
	return kept;
}

struct variable {
	const char *name, *value;
	const char *unit; /* of a value without one; "" = none */
};

/* As a node of a map. What was there goes: the last one counts. */
static bool put(struct kolk__reading *r, struct kolk__node *map, const char *key,
		const struct variable *variable)
{
	struct kolk__node *node = kolk__tree_find(map, key);

	if (node == NULL) {
		node = node_make(r, KOLK__TEXT, key, NULL);
		if (node == NULL)
			return false;
		kolk__tree_add(map, node);
	}
	node->source = variable->name;
	node->text = copy(r, variable->value, strlen(variable->value), variable->unit);
	if (node->text == NULL)
		return false;
	node->size = strlen(node->text);
	return true;
}

/* "250" is 250 ms there; with a unit of its own it would be doubtful which counts. */
static bool classic_put(struct kolk__reading *r, struct kolk__node *map,
			const struct classic *classic)
{
	const char *value = kolk__environment_get(r, classic->name, strlen(classic->name));
	struct kolk__shown shown;

	if (value == NULL)
		return true;
	shown = kolk__show(value, strlen(value));
	if (strspn(value, "0123456789") != strlen(value))
		return kolk__wrong(kolk__at_variable(r, classic->name), "",
				   "%s is not a whole number%s", shown.text,
				   classic->unit[0] != 0 ? " of milliseconds" : "");
	return put(r, map, classic->key,
		   &(struct variable){ classic->name, value, classic->unit });
}

/* ---- KOLK_<SECTION>_<KEY> */

static void change_case(char *text, char from, int by)
{
	for (; *text != 0; text++)
		if (*text >= from && *text <= from + 25)
			*text = (char)(*text + by);
}

/* A section that variables may speak of. */
struct overlay {
	const struct kolk__section *section;
	struct kolk__node *map;
	char prefix[32]; /* KOLK_ENGINE_ */
};

/* KOLK_ENGINE_DIALS_MAX: the key "dials_max" of the engine, when there is one. */
static bool named_put(struct kolk__reading *r, const struct overlay *overlay, const char *entry)
{
	const char *equals = strchr(entry, '=');
	const char *name = copy(r, entry, (size_t)(equals - entry), "");
	const struct kolk__section *section = overlay->section;
	const struct kolk__setting *setting;
	char key[64];

	if (name == NULL)
		return false;
	snprintf(key, sizeof key, "%s", name + strlen(overlay->prefix));
	change_case(key, 'A', 'a' - 'A');
	setting = kolk__setting_find(section, key);
	if (setting != NULL)
		return put(r, overlay->map, setting->name,
			   &(struct variable){ name, equals + 1, "" });
	return kolk__wrong(kolk__at_variable(r, name),
			   kolk__setting_suggest(&kolk__schema, section, key).text,
			   "no key of '%s' has this name", section->name);
}

static bool named_all(struct kolk__reading *r, const char *section_name, struct kolk__node *map)
{
	struct overlay overlay = { kolk__setting_find(&kolk__schema, section_name)->section, map,
				   "" };

	snprintf(overlay.prefix, sizeof overlay.prefix, "KOLK_%s_", section_name);
	change_case(overlay.prefix, 'a', 'A' - 'a');
	for (const char *const *entry = r->environment; *entry != NULL; entry++) {
		const char *equals = strchr(*entry, '=');

		if (strncmp(*entry, overlay.prefix, strlen(overlay.prefix)) != 0 ||
		    equals == NULL || equals[1] == 0)
			continue;
		if (!named_put(r, &overlay, *entry))
			return false;
	}
	return true;
}

struct kolk__node *kolk__environment_tree(struct kolk__reading *r)
{
	struct kolk__node *root = node_make(r, KOLK__MAP, NULL, NULL);
	struct kolk__node *engine = node_make(r, KOLK__MAP, "engine", NULL);
	struct kolk__node *admin = node_make(r, KOLK__MAP, "admin", NULL);

	if (root == NULL || engine == NULL || admin == NULL)
		return NULL;
	kolk__tree_add(root, engine);
	kolk__tree_add(root, admin);
	for (size_t i = 0; i < sizeof classics / sizeof classics[0]; i++)
		if (!classic_put(r, engine, &classics[i]))
			return NULL;
	return named_all(r, "engine", engine) && named_all(r, "admin", admin) ? root : NULL;
}

/* ---- those that speak of pools */

/* A pool of MCP sessions: its sessions are meant, not the connections that they are made of. */
static void mean_sessions(struct kolk__reading *r, const struct kolk_config *config,
			  struct kolk_mcp_options *mcp, uint64_t idle_timeout_ns)
{
	const char *name = classics[0].name;

	if (mcp->idle_timeout_ns == 0)
		mcp->idle_timeout_ns = idle_timeout_ns;
	if (mcp->pool_sessions_max == 0 &&
	    kolk__environment_get(r, name, strlen(name)) != NULL)
		mcp->pool_sessions_max = config->engine.connections_max;
}

bool kolk__environment_pools(struct kolk__reading *r, struct kolk_config *config)
{
	const struct classic classic = { idle, "idle", "ms" };
	struct kolk__node *map = node_make(r, KOLK__MAP, NULL, NULL);
	const struct kolk__setting *pools = kolk__setting_find(&kolk__schema, "pools");
	const struct kolk__setting *timeouts = kolk__setting_find(pools->section, "timeouts");
	struct kolk__config_pool spoken = { .protocol = 0 };

	if (map == NULL || !classic_put(r, map, &classic) ||
	    !kolk__section_read(r, timeouts->section, map, &spoken))
		return false;
	for (uint32_t i = 0; i < config->pools.count; i++) {
		struct kolk__config_pool *pool = kolk__config_pool_at(config, i);

		if (pool->protocol == KOLK__PROTOCOL_MCP)
			mean_sessions(r, config, &pool->mcp, spoken.options.idle_timeout_ns);
		else if (pool->options.idle_timeout_ns == 0)
			pool->options.idle_timeout_ns = spoken.options.idle_timeout_ns;
	}
	return true;
}
