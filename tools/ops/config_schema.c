/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_schema.c - the keys of a file, in their sections: made from the tables of options
 * (kolk/options.h, options.h), once, before main.
 */
#include "tools/ops/config_schema.h"

#include <stdio.h>
#include <string.h>

#include "tools/ops/config.h"
#include "tools/ops/config_protocol.h"
#include "tools/ops/options.h"

/* clang-format off */

#define OF(of, key, kind_, member, high, part)                                           \
	{ .name = key, .field = #member, .kind = KOLK__##kind_, .max = high,             \
	  .offset = offsetof(struct of, member), .size = sizeof((struct of *)0)->member, \
	  .section = part }
#define SECTION(key, part) { .name = key, .field = key, .kind = KOLK__SECTION, .section = part }

/* ---- sections */

static struct kolk__section engine = { .name = "engine" };
static struct kolk__section admin = { .name = "admin" };
static struct kolk__section tenants = { .name = "tenants",
					.item_size = sizeof(struct kolk__config_tenant),
					.node_offset = offsetof(struct kolk__config_tenant, node) };
static struct kolk__section pools = { .name = "pools",
				      .item_size = sizeof(struct kolk__config_pool),
				      .node_offset = offsetof(struct kolk__config_pool, node) };
static struct kolk__section warm = { .name = "warm",
				     .item_size = sizeof(struct kolk__config_key),
				     .node_offset = offsetof(struct kolk__config_key, node) };
static struct kolk__section tls = { .name = "tls" }, child = { .name = "child" },
	limits = { .name = "limits" }, timeouts = { .name = "timeouts" },
	health = { .name = "health" }, http = { .name = "http" }, redis = { .name = "redis" },
	postgres = { .name = "postgres" }, mcp = { .name = "mcp" };

static const struct kolk__setting file_settings[] = {
	SECTION("engine", &engine),
	SECTION("admin", &admin),
	OF(kolk_config, "tenants", SECTIONS, tenants, 10000, &tenants),
	OF(kolk_config, "pools", SECTIONS, pools, 1000, &pools),
};
const struct kolk__section kolk__schema = {
	.name = "the file", .settings = file_settings,
	.count = sizeof file_settings / sizeof file_settings[0]
};

static const struct kolk__setting pool_sections[] = {
	SECTION("tls", &tls), SECTION("child", &child), SECTION("limits", &limits),
	SECTION("timeouts", &timeouts), SECTION("health", &health),
	SECTION("http", &http), SECTION("redis", &redis), SECTION("postgres", &postgres),
	SECTION("mcp", &mcp),
	OF(kolk__config_pool, "warm", SECTIONS, warm, 1000, &warm),
};

/* clang-format on */

/* ---- put together */

enum { SETTINGS_MAX = 256 };
static struct kolk__setting settings[SETTINGS_MAX];
static uint32_t settings_count;

static void begin(struct kolk__section *section)
{
	section->settings = &settings[settings_count];
}

static void put(struct kolk__section *section, const struct kolk__setting *setting)
{
	if (settings_count == SETTINGS_MAX)
		return; /* a test sees that every option has a key */
	settings[settings_count++] = *setting;
	section->count++;
}

static enum kolk__kind kind_of(const struct kolk_option *option)
{
	const bool negated = (option->flags & KOLK_OPTION_NEGATED) != 0;

	switch (option->kind) {
	case KOLK_OPTION_COUNT:
		return KOLK__COUNT;
	case KOLK_OPTION_BYTES:
		return KOLK__SIZE;
	case KOLK_OPTION_DURATION:
		return KOLK__DURATION;
	case KOLK_OPTION_SWITCH:
		return negated ? KOLK__SWITCH_OFF : KOLK__SWITCH;
	case KOLK_OPTION_WORD:
		return KOLK__WORD;
	case KOLK_OPTION_LIST:
		return KOLK__STRINGS;
	case KOLK_OPTION_POINTER:
		return option->size > sizeof(char *) ? KOLK__SECRET : KOLK__PASSWORD;
	default:
		return option->flags & KOLK_OPTION_SECRET ? KOLK__PASSWORD : KOLK__STRING;
	}
}

static uint32_t allowed_by(const struct kolk_option *option)
{
	static const struct {
		uint32_t flag, allowed;
	} same[] = {
		{ KOLK_OPTION_AUTO, KOLK__MAY_BE_DEFAULT },
		{ KOLK_OPTION_NONE, KOLK__MAY_BE_NONE },
		{ KOLK_OPTION_UNLIMITED, KOLK__MAY_BE_UNLIMITED },
		{ KOLK_OPTION_FOREVER, KOLK__MAY_BE_FOREVER },
		{ KOLK_OPTION_REQUIRED, KOLK__REQUIRED },
		{ KOLK_OPTION_IDENTITY | KOLK_OPTION_OWN, KOLK__IS_IDENTITY },
	};
	uint32_t allowed = option->flags & KOLK_OPTION_LIFE ? 0 : KOLK__MAY_CHANGE;

	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
		if (option->flags & same[i].flag)
			allowed |= same[i].allowed;
	return allowed;
}

bool kolk__setting_of(const struct kolk__rows *rows, const struct kolk_option *option,
		      struct kolk__setting *setting)
{
	size_t size = strlen(rows->prefix);

	if (option->key == NULL || strncmp(option->key, rows->prefix, size) != 0 ||
	    strchr(option->key + size, '.') != NULL)
		return false;
	*setting = (struct kolk__setting){ .name = option->key + size,
					   .field = option->field,
					   .kind = kind_of(option),
					   .allowed = allowed_by(option),
					   .offset = rows->base + option->offset,
					   .size = option->size,
					   .min = option->min,
					   .max = option->max,
					   .words = option->words,
					   .range = option->range,
					   .usual = option->usual,
					   .fallback = option->fallback,
					   .text = option->text,
					   .option = option,
					   .table = rows->table };
	return true;
}

static void put_table(struct kolk__section *section, const struct kolk_option_table *table,
		      const char *prefix, size_t base)
{
	const struct kolk__rows rows = { table, prefix, base };
	struct kolk__setting setting;

	for (uint32_t i = 0; i < table->count; i++)
		if (kolk__setting_of(&rows, &table->options[i], &setting))
			put(section, &setting);
}

static void put_driver(struct kolk__section *section, uint32_t protocol)
{
	const struct kolk__protocol *driver = kolk__protocol_of(protocol);
	char prefix[32];

	begin(section);
	if (driver->driver == NULL)
		return; /* not in this build */
	snprintf(prefix, sizeof prefix, "%s.", driver->name);
	put_table(section, driver->driver()->options, prefix, driver->offset);
}

static void put_mcp(void)
{
	const struct kolk_option_table *table = kolk__protocol_mcp_table();

	begin(&mcp);
	if (table == NULL)
		return; /* not in this build */
	put_table(&mcp, table, "mcp.", offsetof(struct kolk__config_pool, mcp));
	put_table(&mcp, &kolk__pool_own, "mcp.", 0);
}

/* A pool's sections, each of which is a map of its own; then the keys that are in none. */
static void put_pools(void)
{
	const struct kolk_option_table *pool = kolk_option_table("pool");
	const size_t base = offsetof(struct kolk__config_pool, options);

	begin(&warm);
	put_table(&warm, &kolk__warm_table, "warm.", 0);
	begin(&tls);
	put_table(&tls, &kolk__pool_own, "tls.", 0);
	put_table(&tls, kolk_option_table("tls"), "tls.", offsetof(struct kolk__config_pool, tls));
	begin(&child);
	put_table(&child, kolk_option_table("child"), "child.",
		  offsetof(struct kolk__config_pool, child));
	begin(&limits);
	put_table(&limits, pool, "limits.", base);
	begin(&timeouts);
	put_table(&timeouts, pool, "timeouts.", base);
	begin(&health);
	put_table(&health, pool, "health.", base);
	put_driver(&http, KOLK__PROTOCOL_HTTP);
	put_driver(&redis, KOLK__PROTOCOL_REDIS);
	put_driver(&postgres, KOLK__PROTOCOL_POSTGRES);
	put_mcp();
	begin(&pools);
	put_table(&pools, pool, "", base);
	put_table(&pools, &kolk__pool_own, "", 0);
	for (size_t i = 0; i < sizeof pool_sections / sizeof pool_sections[0]; i++)
		put(&pools, &pool_sections[i]);
}

__attribute__((constructor)) static void schema_make(void)
{
	begin(&engine);
	put_table(&engine, kolk_option_table("engine"), "", offsetof(struct kolk_config, engine));
	put_table(&engine, &kolk__file_table, "engine.", 0);
	begin(&admin);
	put_table(&admin, &kolk__admin_table, "", offsetof(struct kolk_config, admin));
	begin(&tenants);
	put_table(&tenants, &kolk__tenant_own, "tenants.", 0);
	put_table(&tenants, kolk_option_table("tenant"), "tenants.",
		  offsetof(struct kolk__config_tenant, limits));
	put_pools();
}

/* ---- finding, and guessing what was meant */

const struct kolk__setting *kolk__setting_find(const struct kolk__section *section,
					       const char *name)
{
	for (size_t i = 0; i < section->count; i++)
		if (strcmp(section->settings[i].name, name) == 0)
			return &section->settings[i];
	return NULL;
}

/* How many letters must be put in, left out, changed or swapped with their neighbour
 * (optimal string alignment); more than 24 letters are no slip. */
static uint32_t distance(const char *a, const char *b)
{
	uint32_t row[3][26], *before = row[0], *last = row[1], *now = row[2];
	size_t length_a = strlen(a), length_b = strlen(b);

	if (length_a > 24 || length_b > 24)
		return UINT32_MAX;
	for (uint32_t j = 0; j <= length_b; j++)
		last[j] = j;
	for (uint32_t i = 1; i <= length_a; i++) {
		uint32_t *oldest = before;

		now[0] = i;
		for (uint32_t j = 1; j <= length_b; j++) {
			uint32_t best = last[j - 1] + (a[i - 1] != b[j - 1]);

			best = last[j] + 1 < best ? last[j] + 1 : best;
			best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
		before = last;
		last = now;
		now = oldest;
	}
	return last[length_b];
}

static const struct kolk__setting *nearest(const struct kolk__section *section, const char *name)
{
	const struct kolk__setting *found = NULL;
	uint32_t best = 1 + (uint32_t)strlen(name) / 4;

	for (size_t i = 0; i < section->count; i++) {
		uint32_t d = distance(name, section->settings[i].name);

		if (d < best || (d == best && found == NULL)) {
			best = d;
			found = &section->settings[i];
		}
	}
	return found;
}

/* Is it the name of the key, or that of the field in C, with its unit or without? */
static bool is_called(const struct kolk__setting *setting, const char *name)
{
	const char *dot = strrchr(setting->field, '.');
	const char *field = dot != NULL ? dot + 1 : setting->field;
	size_t size = strlen(name);

	return strcmp(setting->name, name) == 0 ||
	       (strncmp(field, name, size) == 0 &&
		(field[size] == 0 || strcmp(field + size, "_ns") == 0 ||
		 strcmp(field + size, "_timeout_ns") == 0));
}

static const struct kolk__section *section_of(const struct kolk__section *section,
					      const char *name, const char **key)
{
	for (size_t i = 0; i < section->count; i++)
		if (is_called(&section->settings[i], name)) {
			*key = section->settings[i].name;
			return section;
		}
	for (size_t i = 0; i < section->count; i++) {
		const struct kolk__section *inner = section->settings[i].section;
		const struct kolk__section *found =
			inner != NULL ? section_of(inner, name, key) : NULL;

		if (found != NULL)
			return found;
	}
	return NULL;
}

struct kolk__suggestion kolk__setting_suggest(const struct kolk__section *file,
					      const struct kolk__section *section,
					      const char *name)
{
	const struct kolk__setting *near = nearest(section, name);
	struct kolk__suggestion meant = { "" };
	const struct kolk__section *other;
	const char *key = NULL;

	if (near != NULL) {
		snprintf(meant.text, sizeof meant.text, "did you mean '%s'?", near->name);
		return meant;
	}
	other = section_of(section, name, &key);
	if (other == NULL)
		other = section_of(file, name, &key);
	if (other == section)
		snprintf(meant.text, sizeof meant.text, "did you mean '%s'?", key);
	else if (other != NULL)
		snprintf(meant.text, sizeof meant.text, "did you mean '%s' in '%s'?", key,
			 other->name);
	return meant;
}
