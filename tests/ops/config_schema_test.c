/* SPDX-License-Identifier: Apache-2.0 */
/* config_schema_test.c - the schema reaches every option, every key its field, and the
 * documentation names every key. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ops/config_text.h"
#include "tests/ops/manual.h"
#include "tools/ops/config_schema.h"
#include "tools/ops/config_yaml.h"

/* ---- the schema reaches everything */

static size_t field_size(const struct kolk__setting *setting)
{
	return setting->kind == KOLK__SECTION ? 0 : setting->size;
}

static void cover(uint8_t *bytes, size_t size, const struct kolk__section *section)
{
	for (size_t i = 0; i < section->count; i++) {
		const struct kolk__setting *setting = &section->settings[i];

		if (setting->kind == KOLK__SECTION)
			cover(bytes, size, setting->section);
		for (size_t j = 0; j < field_size(setting); j++) {
			assert_true(setting->offset + j < size);
			assert_int_equal(bytes[setting->offset + j], 0); /* no field has two keys */
			bytes[setting->offset + j] = 1;
		}
	}
}

struct left_out {
	size_t offset, size;
};
#define LEFT_OUT(type, field)                                                         \
	{ offsetof(struct type, field), sizeof(((struct type *)0)->field) }

/* Every byte of the struct that begins there is some key's, or is left out on purpose. */
static void expect_covered(const uint8_t *bytes, size_t size, const struct left_out *out,
			   size_t count)
{
	for (size_t at = 0; at < size; at++) {
		bool left_out = false;

		for (size_t i = 0; i < count; i++)
			left_out |= at >= out[i].offset && at < out[i].offset + out[i].size;
		if (bytes[at] == left_out)
			fail_msg("byte %zu of %zu: %s", at, size,
				 left_out ? "left out, but there is a key" : "no key sets it");
	}
}

/* padding */
#define AFTER_CLOSES_MAX { offsetof(struct kolk_pool_options, closes_max) + sizeof(uint32_t), \
			   sizeof(uint32_t) }
#define AFTER_LOOPS_RESERVED \
	{ offsetof(struct kolk_engine_options, loops_reserved) + sizeof(uint32_t), sizeof(uint32_t) }

static void every_option_has_a_key(void **state)
{
	static const struct left_out engine[] = {
		LEFT_OUT(kolk_engine_options, size), LEFT_OUT(kolk_engine_options, loop_owner),
		LEFT_OUT(kolk_engine_options, event_mask), LEFT_OUT(kolk_engine_options, seed),
		LEFT_OUT(kolk_engine_options, on_event), LEFT_OUT(kolk_engine_options, event_user),
		LEFT_OUT(kolk_engine_options, on_log), LEFT_OUT(kolk_engine_options, log_user),
		LEFT_OUT(kolk_engine_options, sys), LEFT_OUT(kolk_engine_options, failure),
		LEFT_OUT(kolk_engine_options, resources_max), AFTER_LOOPS_RESERVED,
	};
	static const struct left_out pool[] = {
		LEFT_OUT(kolk_pool_options, size), LEFT_OUT(kolk_pool_options, tls),
		LEFT_OUT(kolk_pool_options, driver), LEFT_OUT(kolk_pool_options, driver_user),
		LEFT_OUT(kolk_pool_options, resource), LEFT_OUT(kolk_pool_options, child), LEFT_OUT(kolk_pool_options, failure),
		LEFT_OUT(kolk_pool_options, closes_max), LEFT_OUT(kolk_pool_options, close_timeout_ns),
		LEFT_OUT(kolk_pool_options, draws_from), AFTER_CLOSES_MAX,
	};
	static const struct left_out tls[] = {
		LEFT_OUT(kolk_tls_options, size),
	};
	static const struct left_out child[] = { LEFT_OUT(kolk_child_options, size) };
	static const struct left_out admin[] = {
		LEFT_OUT(kolk_admin_options, size), LEFT_OUT(kolk_admin_options, unused),
		LEFT_OUT(kolk_admin_options, token_size),
		LEFT_OUT(kolk_admin_options, reload), LEFT_OUT(kolk_admin_options, reload_user),
		LEFT_OUT(kolk_admin_options, on_log), LEFT_OUT(kolk_admin_options, log_user),
		LEFT_OUT(kolk_admin_options, failure),
		LEFT_OUT(kolk_admin_options, program_status),
		LEFT_OUT(kolk_admin_options, program_metrics),
		LEFT_OUT(kolk_admin_options, program_user),
	};
	static const struct left_out tenant[] = { LEFT_OUT(kolk_tenant_limits, size) };
	static uint8_t file[sizeof(struct kolk_config)];
	static uint8_t pools[sizeof(struct kolk__config_pool)];
	static uint8_t tenants[sizeof(struct kolk__config_tenant)];

	(void)state;
	memset(file, 0, sizeof file);
	cover(file, sizeof file, &kolk__schema);
	cover(pools, sizeof pools, kolk__setting_find(&kolk__schema, "pools")->section);
	cover(tenants, sizeof tenants, kolk__setting_find(&kolk__schema, "tenants")->section);
#define COVERED(bytes, of, member, type, out)                                             \
	expect_covered(bytes + offsetof(struct of, member), sizeof(struct type), out,     \
		       sizeof out / sizeof out[0])
	COVERED(file, kolk_config, engine, kolk_engine_options, engine);
	COVERED(file, kolk_config, admin, kolk_admin_options, admin);
	COVERED(pools, kolk__config_pool, options, kolk_pool_options, pool);
	COVERED(pools, kolk__config_pool, tls, kolk_tls_options, tls);
	COVERED(pools, kolk__config_pool, child, kolk_child_options, child);
	COVERED(tenants, kolk__config_tenant, limits, kolk_tenant_limits, tenant);
}

/* good/all.yaml has every key, and every key's value arrives in its field. */
static void expect_arrived(const struct kolk__section *section, const struct kolk__node *map,
			   const void *target, const struct kolk__node *other_map,
			   const void *other)
{
	static const uint8_t zero[32];

	for (size_t i = 0; i < section->count; i++) {
		const struct kolk__setting *setting = &section->settings[i];
		bool here = kolk__tree_find(map, setting->name) != NULL;
		const void *item = here ? target : other;

		if (section == kolk__setting_find(&kolk__schema, "pools")->section &&
		    (strcmp(setting->name, "child") == 0 || strcmp(setting->name, "redis") == 0 ||
		     strcmp(setting->name, "mcp") == 0))
			continue; /* the third and the fourth pool's */
		if (!here && kolk__tree_find(other_map, setting->name) == NULL) {
			if (setting->option == NULL)
				fail_msg("good/all.yaml does not set '%s'", setting->name);
			continue; /* walk_test.c sets those of the libraries' tables */
		}
		if (setting->kind == KOLK__SECTION)
			expect_arrived(setting->section, kolk__tree_find(map, setting->name), target,
				       kolk__tree_find(other_map, setting->name), other);
		else if (strcmp(setting->name, "enabled") != 0 && /* true is zero */
			 memcmp((const char *)item + setting->offset, zero,
				field_size(setting)) == 0)
			fail_msg("'%s' has not arrived", setting->name);
	}
}

static void every_key_arrives(void **state)
{
	struct kolk_config *config = must_load("all.yaml");
	const struct kolk__config_pool *pool = kolk__config_pool_at(config, 0);
	const struct kolk__config_key *key = pool->warm.items;
	const struct kolk__config_tenant *tenant = kolk__config_tenant_at(config, 0);
	const struct kolk__section *pools = kolk__setting_find(&kolk__schema, "pools")->section;

	(void)state;
	expect_arrived(&kolk__schema, config->file, config, NULL, NULL);
	expect_arrived(pools, pool->node, pool, pool[1].node, pool + 1);
	expect_arrived(kolk__setting_find(pools, "child")->section,
		       kolk__tree_find(pool[2].node, "child"), pool + 2, NULL, NULL);
	expect_arrived(kolk__setting_find(pools, "redis")->section,
		       kolk__tree_find(pool[2].node, "redis"), pool + 2, NULL, NULL);
	expect_arrived(kolk__setting_find(pools, "mcp")->section,
		       kolk__tree_find(pool[3].node, "mcp"), pool + 3, NULL, NULL);
	assert_ptr_equal(kolk_config_mcp(config, 3), &pool[3].mcp);
	assert_string_equal(kolk_config_mcp_token_file(config, 3), "/etc/kolk/mcp-token");
	assert_null(kolk_config_mcp(config, 2));
	expect_arrived(kolk__setting_find(pools, "warm")->section, key->node, key, NULL, NULL);
	expect_arrived(kolk__setting_find(&kolk__schema, "tenants")->section, tenant->node, tenant,
		       NULL, NULL);
	kolk_config_free(config);
}

/* ---- what the documentation shows is right, and it names every key */

static char *whole_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, KOLK__TEXT_MAX);

	assert_non_null(file);
	assert_true(fread(text, 1, KOLK__TEXT_MAX - 1, file) > 0);
	fclose(file);
	return text;
}

/* Its tables say what the schema says: kolk-manual writes them. */
static void same_page(const char *text, bool man)
{
	char *page = manual_page(text, man);
	size_t same = 0;

	while (text[same] != 0 && text[same] == page[same])
		same++;
	if (text[same] != page[same])
		fail_msg("run kolk-manual on the pages: they differ at \"%.60s\"", page + same);
	free(page);
}

static void documentation_is_right(void **state)
{
	char *text = whole_file(OPS_TEST_FILES "/../../docs/configuration.md");
	char *from = text, *to;
	int examples = 0;

	(void)state;
	same_page(text, false);
	while ((from = strstr(from, "```yaml\n")) != NULL) {
		from += 8;
		to = strstr(from, "```");
		assert_non_null(to);
		*to = 0;
		kolk_config_free(must_parse(from, ENVIRONMENT("SEARCH_HOST=search.internal",
							      "ADMIN_TOKEN=0123456789abcdef",
							      "REDIS_PASSWORD=hunter2",
							      "DB_PASSWORD=hunter2")));
		examples++;
		from = to + 1;
	}
	assert_true(examples >= 1);
	free(text);
	text = whole_file(OPS_TEST_FILES "/../../docs/man/kolk-config.5");
	same_page(text, true);
	free(text);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(every_option_has_a_key),
	cmocka_unit_test(every_key_arrives),
	cmocka_unit_test(documentation_is_right),
};

CMOCKA_TESTS(config_schema, tests);
