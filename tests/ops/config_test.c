/* SPDX-License-Identifier: Apache-2.0 */
/* config_test.c - files that are right, files that are not, the environment, secrets. */
#include "tests/ops/manual.h"
#include "tests/kit/cmocka/run.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/ops/config.h"
#include "tools/ops/config_schema.h"
#include "tools/ops/config_yaml.h"

#define FILES OPS_TEST_FILES "/config/"

static const char *const nothing[] = { NULL };
static const char *const world[] = {
	"TEST_WORD=hunter2", "TEST_STRUCTURE=shared\n    bind_address: 10.0.0.1",
	"TEST_NUMBER=64", "TEST_EMPTY=", NULL
};

static struct kolk_config *must_parse(const char *text, const char *const *environment)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config;
	char told[600];

	if (kolk_config_parse("test", text, strlen(text), environment, &config, &error) != KOLK_OK) {
		kolk_config_error_text(&error, told, sizeof told);
		fail_msg("%s", told);
	}
	return config;
}

static void expect_error(const char *text, const char *const *environment, const char *expected)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config = (void *)1;
	char told[600];

	assert_int_equal(kolk_config_parse("test", text, strlen(text), environment, &config,
					   &error), KOLK_E_OPTIONS);
	assert_null(config);
	assert_int_equal(error.err, KOLK_E_OPTIONS);
	kolk_config_error_text(&error, told, sizeof told);
	assert_string_equal(told, expected);
}

/* ---- broken files: the first line says what is expected */

static void expectation(const char *path, char *line, size_t size)
{
	static const char mark[] = "# expect: ";
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	assert_non_null(fgets(line, (int)size, file));
	fclose(file);
	assert_memory_equal(line, mark, sizeof mark - 1);
	line[strcspn(line, "\n")] = 0;
	memmove(line, line + sizeof mark - 1, strlen(line) - (sizeof mark - 1) + 1);
}

static void broken(void **state)
{
	struct kolk_config_error e = KOLK_INIT(kolk_config_error);
	struct kolk_config *config = (void *)1;
	char path[300], expected[500], told[500];

	snprintf(path, sizeof path, FILES "bad/%s", (const char *)*state);
	expectation(path, expected, sizeof expected);
	assert_int_equal(kolk_config_load(path, world, &config, &e), KOLK_E_OPTIONS);
	assert_null(config);
	assert_string_equal(e.file, path);
	snprintf(told, sizeof told, "%u:%u: %s%s%s", e.line, e.column, e.message,
		 e.suggestion[0] != 0 ? ": " : "", e.suggestion);
	assert_string_equal(told, expected);
	assert_null(strstr(told, "hunter2")); /* secrets and variables have this in them */
	for (const char *c = told; *c != 0; c++)
		assert_true(*c >= ' ' && *c < 0x7f);
}

static int is_yaml(const struct dirent *entry)
{
	return strstr(entry->d_name, ".yaml") != NULL;
}

enum { BROKEN_MAX = 200 };

/* One test per file. */
static const struct CMUnitTest *broken_tests(size_t *count)
{
	static struct CMUnitTest tests[BROKEN_MAX];
	static struct dirent **names; /* kept: the tests' names are in it */
	static int found;

	if (names == NULL)
		found = scandir(FILES "bad", &names, is_yaml, alphasort);
	*count = found > 0 && found <= BROKEN_MAX ? (size_t)found : 0;
	for (size_t i = 0; i < *count; i++)
		tests[i] = (struct CMUnitTest){ .name = names[i]->d_name, .test_func = broken,
						.initial_state = names[i]->d_name };
	return tests;
}

KIT_SUITE(broken_files, .cmocka_made = broken_tests);

static void broken_files_are_there(void **state)
{
	size_t count;

	(void)state;
	(void)broken_tests(&count);
	assert_in_range(count, 40, BROKEN_MAX);
}

/* ---- good files */

static struct kolk_config *must_load(const char *name)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config;
	char path[300], told[600];

	snprintf(path, sizeof path, FILES "good/%s", name);
	if (kolk_config_load(path, world, &config, &error) != KOLK_OK) {
		kolk_config_error_text(&error, told, sizeof told);
		fail_msg("%s", told);
	}
	return config;
}

static void defaults_stay_zero(void **state)
{
	struct kolk_config *config = must_load("small.yaml");
	struct kolk_pool_options expected = KOLK_INIT(kolk_pool_options);
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	const struct kolk_pool_options *pool = kolk_config_pool(config, 0);

	(void)state;
	expected.name = pool->name;
	expected.address = pool->address;
	expected.driver = kolk_driver_raw();
	assert_memory_equal(pool, &expected, sizeof expected);
	assert_string_equal(pool->name, "search");
	assert_string_equal(pool->address, "search.internal:8443");
	assert_memory_equal(kolk_config_engine(config), &engine, sizeof engine);
	assert_null(kolk_config_admin(config)->listen);
	assert_null(kolk_config_pool(config, 1));
	assert_true(kolk_config_drain_grace_ns(config) == 30 * KOLK_S_NS);
	kolk_config_free(config);
	kolk_config_free(must_load("empty-sections.yaml"));
	kolk_config_free(NULL);
}

static void words_are_values(void **state)
{
	struct kolk_config *config = must_load("spelled.yaml");
	const struct kolk_engine_options *e = kolk_config_engine(config);
	const struct kolk_pool_options *p = kolk_config_pool(config, 0);

	(void)state;
	assert_int_equal(e->loops, 0);
	assert_true(e->waiters_max == KOLK_UNLIMITED && e->keys_max == KOLK_UNLIMITED);
	assert_true(e->tenant_connections_max == KOLK_UNLIMITED);
	assert_true(e->tenant_keys_max == KOLK_UNLIMITED && e->lend_after_ns == KOLK_FOREVER);
	assert_true(kolk_config_drain_grace_ns(config) == 0);
	assert_true(kolk__config_tenant_at(config, 0)->limits.connections_max == KOLK_UNLIMITED);
	assert_string_equal(p->name, "caf\xc3\xa9 \xe2\x98\x83");
	assert_true(p->pool_connections_max == KOLK_UNLIMITED && p->idle_min == KOLK_NONE);
	assert_true(p->waiters_max == KOLK_NONE && p->uses_max == KOLK_UNLIMITED);
	assert_true(p->acquire_timeout_ns == KOLK_FOREVER && p->overtake_max_ns == KOLK_AT_ONCE);
	assert_true(p->idle_timeout_ns == KOLK_FOREVER && p->lifetime_ns == KOLK_FOREVER);
	assert_true(p->keepalive_ns == KOLK_FOREVER && p->unacked_ns == KOLK_FOREVER);
	assert_true(p->ping_interval_ns == KOLK_FOREVER && p->circuit_failures == KOLK_NONE);
	assert_true(p->lease_overdue_ns == KOLK_FOREVER);
	kolk_config_free(config);
}

static void variables_are_filled_in(void **state)
{
	struct kolk_config *config = must_load("variables.yaml");
	const struct kolk_pool_options *p = kolk_config_pool(config, 0);

	(void)state;
	assert_int_equal(kolk_config_engine(config)->connections_max, 64);
	assert_int_equal(kolk_config_engine(config)->dials_max, 7);
	assert_int_equal(kolk_config_engine(config)->waiters_max, 9);
	assert_string_equal(p->name, "a$b-hunter2-c");
	assert_string_equal(p->address, "hunter2.internal:64");
	assert_string_equal(p->bind_address, "shared\n    bind_address: 10.0.0.1");
	assert_int_equal(p->isolation, KOLK_ISOLATION_TENANT);
	kolk_config_free(config);
}

static void all_values(void **state)
{
	struct kolk_config *config = must_load("all.yaml");
	const struct kolk_engine_options *e = kolk_config_engine(config);
	const struct kolk_admin_options *a = kolk_config_admin(config);
	const struct kolk_pool_options *p = kolk_config_pool(config, 0);
	const struct kolk_tls_options *t = p->tls;
	const struct kolk__config_key *key = kolk__config_pool_at(config, 0)->warm.items;

	(void)state;
	assert_int_equal(e->connections_max, 101);
	assert_int_equal(e->connections_reserved, 401);
	assert_int_equal(e->backend, KOLK_BACKEND_EPOLL);
	assert_int_equal(e->log_level, KOLK_LOG_WARN);
	assert_true(e->lend_after_ns == 1500 * KOLK_MS_NS);
	assert_string_equal(a->listen, "[::1]:9443");
	assert_int_equal(a->size, sizeof *a);
	assert_string_equal(a->hosts[0], "kolk.example");
	assert_null(a->hosts[1]);
	assert_int_equal(a->token_size, 16);
	assert_memory_equal(a->token, "0123456789abcdef", 16);
	assert_int_equal(a->body_max, 128 * 1024);
	assert_true(a->request_timeout_ns == 12 * KOLK_S_NS);
	assert_string_equal(p->driver->name, "http");
	assert_ptr_equal(p->driver_user, &kolk__config_pool_at(config, 0)->http);
	assert_int_equal(p->isolation, KOLK_ISOLATION_SESSION);
	assert_true(p->overtake_max_ns == 2 * KOLK_MS_NS && p->tls_timeout_ns == 2 * KOLK_S_NS);
	assert_true(p->lifetime_ns == 31 * 60 * KOLK_S_NS);
	assert_non_null(t);
	assert_int_equal(t->verify_off, 1);
	assert_int_equal(t->resume_off, 1);
	assert_int_equal(t->version_min, 0x0304);
	assert_int_equal(t->record_max, 4096);
	assert_int_equal(t->profile, KOLK_TLS_STRICT);
	assert_string_equal(t->alpn[0], "h2");
	assert_string_equal(t->alpn[1], "http/1.1");
	assert_null(t->alpn[2]);
	assert_null(t->pins[1]);
	assert_string_equal(key->session, "one");
	assert_memory_equal(key->credential.bytes, "a-secret", 8);
	assert_non_null(kolk_config_pool(config, 1)->tls);
	assert_null(kolk_config_pool(config, 1)->child);
	p = kolk_config_pool(config, 2);
	assert_null(p->address);
	assert_string_equal(p->child->command[0], "/usr/bin/mcp-server");
	assert_string_equal(p->child->command[1], "--stdio");
	assert_null(p->child->command[2]);
	assert_string_equal(p->child->environment[0], "API_KEY=hunter2");
	assert_true(p->child->term_timeout_ns == KOLK_AT_ONCE);
	assert_int_equal(p->child->last_words_off, 1);
	kolk_config_free(config);
}

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

#define AFTER_LOG_LEVEL (offsetof(struct kolk_engine_options, log_level) + sizeof(uint32_t))

static void every_option_has_a_key(void **state)
{
	static const struct left_out engine[] = {
		/* padding, if there is any */
		{ AFTER_LOG_LEVEL, offsetof(struct kolk_engine_options, maintenance_interval_ns) -
				   AFTER_LOG_LEVEL },
		LEFT_OUT(kolk_engine_options, size), LEFT_OUT(kolk_engine_options, loop_owner),
		LEFT_OUT(kolk_engine_options, event_mask), LEFT_OUT(kolk_engine_options, seed),
		LEFT_OUT(kolk_engine_options, on_event), LEFT_OUT(kolk_engine_options, event_user),
		LEFT_OUT(kolk_engine_options, on_log), LEFT_OUT(kolk_engine_options, log_user),
		LEFT_OUT(kolk_engine_options, sys), LEFT_OUT(kolk_engine_options, failure),
	};
	static const struct left_out pool[] = {
		LEFT_OUT(kolk_pool_options, size), LEFT_OUT(kolk_pool_options, tls),
		LEFT_OUT(kolk_pool_options, driver), LEFT_OUT(kolk_pool_options, driver_user),
		LEFT_OUT(kolk_pool_options, resource), LEFT_OUT(kolk_pool_options, child), LEFT_OUT(kolk_pool_options, failure),
		LEFT_OUT(kolk_pool_options, reserved),
	};
	static const struct left_out tls[] = {
		LEFT_OUT(kolk_tls_options, size),
	};
	static const struct left_out child[] = { LEFT_OUT(kolk_child_options, size) };
	static const struct left_out admin[] = {
		LEFT_OUT(kolk_admin_options, size), LEFT_OUT(kolk_admin_options, unused),
		LEFT_OUT(kolk_admin_options, token_size), LEFT_OUT(kolk_admin_options, reserved),
		LEFT_OUT(kolk_admin_options, reload), LEFT_OUT(kolk_admin_options, reload_user),
		LEFT_OUT(kolk_admin_options, on_log), LEFT_OUT(kolk_admin_options, log_user),
		LEFT_OUT(kolk_admin_options, failure),
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
		    (strcmp(setting->name, "child") == 0 || strcmp(setting->name, "redis") == 0))
			continue; /* the third pool's */
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
	expect_arrived(kolk__setting_find(pools, "warm")->section, key->node, key, NULL, NULL);
	expect_arrived(kolk__setting_find(&kolk__schema, "tenants")->section, tenant->node, tenant,
		       NULL, NULL);
	kolk_config_free(config);
}

/* ---- bounds */

static void expect_bound(char *text, size_t size, const char *expected)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config;

	assert_int_equal(kolk_config_parse("test", text, size, nothing, &config, &error),
			 KOLK_E_OPTIONS);
	assert_non_null(strstr(error.message, expected));
}

static void everything_is_bounded(void **state)
{
	const size_t size = KOLK__TEXT_MAX + 1;
	char *text = malloc(size);
	size_t at = 0;

	(void)state;
	memset(text, '#', size);
	expect_bound(text, size, "longer than 1 MiB");
	memset(text, 'a', size);
	memcpy(text, "pools: ", 7);
	expect_bound(text, 7 + KOLK__VALUE_MAX + 1, "longer than 64 KiB");
	for (at = 0; at < 200000; at += 2)
		memcpy(text + at, at == 0 ? "[a" : ",a", 2);
	expect_bound(text, at, "too many parts");
	at = 0;
	for (int i = 0; i < 65; i++)
		at += (size_t)sprintf(text + at, "key%d: 1\n", i);
	expect_bound(text, at, "more than 64 keys");
	memset(text, '[', 500000);
	expect_bound(text, 500000, "nested too deep");
	expect_bound(text, 0, "empty");
	memcpy(text, "pools: \xff\xfe", 9);
	expect_bound(text, 9, "UTF-8");
	at = (size_t)sprintf(text, "pools:\n");
	for (int i = 0; i < 1001; i++)
		at += (size_t)sprintf(text + at, "- {name: p%d, address: 'a:1'}\n", i);
	expect_bound(text, at, "more than 1000 entries");
	free(text);
}

static void files_that_are_not_there(void **state)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config = (void *)1;
	char told[400];

	(void)state;
	assert_int_equal(kolk_config_load("/nowhere/kolk.yaml", NULL, &config, &error),
			 KOLK_E_NOT_FOUND);
	assert_null(config);
	kolk_config_error_text(&error, told, sizeof told);
	assert_string_equal(told, "/nowhere/kolk.yaml: cannot be read: No such file or directory");
	assert_int_equal(kolk_config_load("/", NULL, &config, NULL), KOLK_E_IO);
}

static void write_some(const char *path, mode_t mode)
{
	static const char text[] = "pools:\n- {name: a, address: 'a:1'}\n";
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static void *rewriter(void *user)
{
	const char *path = user;

	for (int i = 0; i < 400; i++) {
		int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

		(void)!write(fd, "#\n", 2);
		close(fd);
	}
	return NULL;
}

/* What may stand in a file's place while a gateway works. */
static void files_that_are_odd(void **state)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config;
	char folder[] = "/tmp/kolk-config-XXXXXX", path[64], link[64], text[160];
	pthread_t thread;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/kolk.yaml", folder);
	snprintf(link, sizeof link, "%s/link.yaml", folder);
	/* A pipe without a writer. */
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(kolk_config_load(path, NULL, &config, &error), KOLK_E_OPTIONS);
	assert_string_equal(error.message, "the file is empty");
	snprintf(text, sizeof text, "pools:\n- {name: a, address: 'a:1', tls: {ca_file: %s}}\n", path);
	config = must_parse(text, nothing);
	assert_int_equal(kolk_config_try(config, &error), KOLK_E_TLS);
	kolk_config_free(config);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(kolk_config_load("/dev/zero", NULL, &config, &error), KOLK_E_OPTIONS);
	assert_string_equal(error.message, "the file is longer than 1 MiB");
	/* Everybody may write it, which a link does not hide. */
	write_some(path, 0666);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(kolk_config_load(link, NULL, &config, &error), KOLK_E_IO);
	assert_non_null(strstr(error.message, "everybody on this machine may write it"));
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(kolk_config_load(link, NULL, &config, &error), KOLK_OK);
	kolk_config_free(config);
	/* While it grows it is read whole, or not. */
	assert_int_equal(pthread_create(&thread, NULL, rewriter, path), 0);
	for (int i = 0; i < 100; i++) {
		enum kolk_err err = kolk_config_load(path, NULL, &config, &error);

		assert_true(err == KOLK_OK || strstr(error.message, "it is being written") != NULL);
		kolk_config_free(config);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

/* ---- the environment */

#define ENVIRONMENT(...) ((const char *const[]){ __VA_ARGS__, NULL })
static const char two_pools[] = "engine:\n  connections_max: 10\n  dials_max: 3\npools:\n"
				"- {name: a, address: 'a:1'}\n"
				"- {name: b, address: 'b:1', timeouts: {idle: 7s}}\n";

static void environment_over_file(void **state)
{
	struct kolk_config *config;
	const struct kolk_engine_options *e;

	(void)state;
	config = must_parse(two_pools, ENVIRONMENT("MAX_TOTAL_CONNECTIONS=500",
						   "MAX_CONNECTIONS_PER_USER=25",
						   "CONNECTION_TIMEOUT=1800000",
						   "CLEANUP_INTERVAL=300000"));
	e = kolk_config_engine(config);
	assert_int_equal(e->connections_max, 500);
	assert_int_equal(e->tenant_connections_max, 25);
	assert_int_equal(e->dials_max, 3);
	assert_true(e->maintenance_interval_ns == 300 * KOLK_S_NS);
	/* A default for pools, not an order. */
	assert_true(kolk_config_pool(config, 0)->idle_timeout_ns == 1800 * KOLK_S_NS);
	assert_true(kolk_config_pool(config, 1)->idle_timeout_ns == 7 * KOLK_S_NS);
	kolk_config_free(config);

	config = must_parse(two_pools, ENVIRONMENT("KOLK_ENGINE_CONNECTIONS_MAX=600",
						   "MAX_TOTAL_CONNECTIONS=500",
						   "KOLK_ENGINE_LEND_AFTER=off",
						   "KOLK_ENGINE_DRAIN_GRACE=5s",
						   "KOLK_ADMIN_LISTEN=unix:/run/a.sock",
						   "KOLK_ADMIN_TOKEN=$0123456789abcde",
						   "KOLK_ENGINE_DIALS_MAX=", "KOLK_OTHER=1"));
	e = kolk_config_engine(config);
	assert_int_equal(e->connections_max, 600);
	assert_int_equal(e->dials_max, 3); /* empty is not set */
	assert_true(e->lend_after_ns == KOLK_FOREVER);
	assert_true(kolk_config_drain_grace_ns(config) == 5 * KOLK_S_NS);
	assert_string_equal(kolk_config_admin(config)->listen, "unix:/run/a.sock");
	assert_memory_equal(kolk_config_admin(config)->token, "$0123456789abcde", 16);
	kolk_config_free(config);
}

static void environment_errors(void **state)
{
	static const char reserved[] = "engine:\n  connections_reserved: 400\npools: []\n";
	static const char none[] = "pools: []\n";

	(void)state;
	expect_error(none, ENVIRONMENT("MAX_TOTAL_CONNECTIONS=many"),
		     "MAX_TOTAL_CONNECTIONS: 'many' is not a whole number");
	expect_error(none, ENVIRONMENT("CONNECTION_TIMEOUT=30s"),
		     "CONNECTION_TIMEOUT: '30s' is not a whole number of milliseconds");
	expect_error(none, ENVIRONMENT("CLEANUP_INTERVAL=0"),
		     "CLEANUP_INTERVAL: 'maintenance_interval' must be 1ms to 365d, not '0ms'");
	expect_error(none, ENVIRONMENT("MAX_CONNECTIONS_PER_USER=0"),
		     "MAX_CONNECTIONS_PER_USER: 'tenant_connections_max' must be 1 to 1000000000, "
		     "not '0'");
	expect_error(none, ENVIRONMENT("KOLK_ENGINE_DAILS_MAX=3"),
		     "KOLK_ENGINE_DAILS_MAX: no key of 'engine' has this name: did you mean "
		     "'dials_max'?");
	expect_error(none, ENVIRONMENT("KOLK_ENGINE_LEND_AFTER=5"),
		     "KOLK_ENGINE_LEND_AFTER: 'lend_after' is a duration, and '5' has no unit: "
		     "write 30s, 250ms, 5m or 1h");
	expect_error(none, ENVIRONMENT("KOLK_ADMIN_TOKEN=hunter2", "KOLK_ADMIN_LISTEN=unix:/a"),
		     "KOLK_ADMIN_TOKEN: 'token' must be 16 to 65536 bytes long");
	expect_error(none, ENVIRONMENT("KOLK_ADMIN_LISTEN=127.0.0.1:80"),
		     "KOLK_ADMIN_LISTEN: 'listen' on TCP needs a 'token': set admin.token, or "
		     "listen on unix:/path");
	expect_error(none, ENVIRONMENT("KOLK_ADMIN_CLIENTS_MAX=3"),
		     "KOLK_ADMIN_CLIENTS_MAX: 'listen' is missing in 'admin': as "
		     "unix:/run/kolk/admin.sock");
	/* A conflict with a variable is reported where the file sets the other key. */
	expect_error(reserved, ENVIRONMENT("MAX_TOTAL_CONNECTIONS=401"),
		     "test:2:25: 'connections_max' (401) is more than 'connections_reserved' (400)");
	/* A value that a variable replaces must be right all the same. */
	expect_error("engine: {dials_max: x}\npools: []\n", ENVIRONMENT("KOLK_ENGINE_DIALS_MAX=3"),
		     "test:1:21: 'dials_max' is a count, and 'x' is not: write a whole number "
		     "without a unit");
}

/* ---- secrets */

static void secret_write(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static void secrets_from_files(void **state)
{
	char directory[] = "/tmp/kolk-ops-XXXXXX", path[64], text[300], expected[300];
	static const char *const contents[] = { "0123456789abcdef", "0123456789abcdef\n",
						"0123456789abcdef\r\n" };
	const char *variable[] = { NULL, NULL };

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/token", directory);
	snprintf(text, sizeof text, "KOLK_ADMIN_TOKEN=file:%s", path);
	variable[0] = text;
	for (size_t i = 0; i < 3; i++) {
		struct kolk_config *config;

		secret_write(path, contents[i], 0600);
		config = must_parse("admin: {listen: unix:/run/a.sock}\npools: []\n", variable);
		assert_int_equal(kolk_config_admin(config)->token_size, 16);
		assert_memory_equal(kolk_config_admin(config)->token, contents[0], 16);
		kolk_config_free(config);
	}
	secret_write(path, contents[0], 0644);
	snprintf(expected, sizeof expected,
		 "KOLK_ADMIN_TOKEN: the secret in '%s' is not read: everybody on this machine may "
		 "read or write it", path);
	expect_error("admin: {listen: unix:/run/a.sock}\npools: []\n", variable, expected);
	secret_write(path, "hunter2", 0640);
	expect_error("admin: {listen: unix:/run/a.sock}\npools: []\n", variable,
		     "KOLK_ADMIN_TOKEN: 'token' must be 16 to 65536 bytes long");
	unlink(path);
	rmdir(directory);
}

/* ---- no memory: each allocation of a reading fails once */

static uint32_t allocations_left = UINT32_MAX;

void *__real_kolk__arena_get(struct kolk__arena *arena, size_t size);
void *__wrap_kolk__arena_get(struct kolk__arena *arena, size_t size);

void *__wrap_kolk__arena_get(struct kolk__arena *arena, size_t size)
{
	if (allocations_left == 0)
		return NULL;
	allocations_left--;
	return __real_kolk__arena_get(arena, size);
}

static void every_allocation_fails_once(void **state)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config = NULL;
	enum kolk_err err = KOLK_E_MEMORY;
	uint32_t count;

	(void)state;
	for (count = 0; err == KOLK_E_MEMORY && count < 1000; count++) {
		allocations_left = count;
		err = kolk_config_load(FILES "good/all.yaml", world, &config, &error);
		assert_true(err == KOLK_OK || (config == NULL && error.err == KOLK_E_MEMORY));
	}
	allocations_left = UINT32_MAX;
	assert_int_equal(err, KOLK_OK);
	assert_true(count > 100);
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

/* All of them are reported, the first in the struct, and each in a line. */
static void several_mistakes(void **state)
{
	static const char text[] = "engine: {dials_max: 010, dial_max: 3}\npools:\n"
				   "- {name: a, address: 'h:1', tls: false}\n"
				   "- {name: b, limits: {idle_min: -1}}\n";
	static const char checks[] = "pools:\n- {name: a, address: 'https://h'}\n"
				     "- {name: b, address: 'h:1', limits: {idle_min: 11}}\n"
				     "- {name: b, address: 'h:1'}\n";
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config;
	char told[3000];

	(void)state;
	assert_int_equal(kolk_config_parse("test", text, strlen(text), nothing, &config, &error),
			 KOLK_E_OPTIONS);
	assert_int_equal(error.mistakes, 4);
	assert_int_equal(error.line, 1);
	kolk_config_error_text(&error, told, sizeof told);
	assert_non_null(strstr(told, "test:1:21: 'dials_max' is '010'"));
	assert_non_null(strstr(told, "\ntest:1:26: unknown key 'dial_max'"));
	assert_non_null(strstr(told, "\ntest:3:34: 'tls' has keys"));
	assert_non_null(strstr(told, "\ntest:4:32: 'idle_min' is a count"));
	assert_int_equal(kolk_config_parse("test", checks, strlen(checks), nothing, &config, &error),
			 KOLK_E_OPTIONS);
	assert_int_equal(error.mistakes, 3);
	kolk_config_error_text(&error, told, sizeof told);
	assert_non_null(strstr(told, "test:2:22: an address is no URL"));
	assert_non_null(strstr(told, "\ntest:3:48: 'idle_min' (11)"));
	assert_non_null(strstr(told, "\ntest:4:10: two pools are called 'b'"));
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
	cmocka_unit_test(broken_files_are_there),
	cmocka_unit_test(defaults_stay_zero),
	cmocka_unit_test(words_are_values),
	cmocka_unit_test(variables_are_filled_in),
	cmocka_unit_test(all_values),
	cmocka_unit_test(every_option_has_a_key),
	cmocka_unit_test(every_key_arrives),
	cmocka_unit_test(everything_is_bounded),
	cmocka_unit_test(files_that_are_not_there),
	cmocka_unit_test(files_that_are_odd),
	cmocka_unit_test(environment_over_file),
	cmocka_unit_test(environment_errors),
	cmocka_unit_test(secrets_from_files),
	cmocka_unit_test(every_allocation_fails_once),
	cmocka_unit_test(several_mistakes),
	cmocka_unit_test(documentation_is_right),
};

CMOCKA_TESTS(config, tests);
