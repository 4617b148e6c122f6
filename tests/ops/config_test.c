/* SPDX-License-Identifier: Apache-2.0 */
/* config_test.c - configurations that are right and that are not: values, mistakes, bounds, odd
 * files, no memory. */
#include "tests/kit/cmocka/run.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/ops/config_text.h"
#include "tools/ops/config_yaml.h"

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

	snprintf(path, sizeof path, CONFIG_FILES "bad/%s", (const char *)*state);
	expectation(path, expected, sizeof expected);
	assert_int_equal(kolk_config_load(path, config_world, &config, &e), KOLK_E_OPTIONS);
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
		found = scandir(CONFIG_FILES "bad", &names, is_yaml, alphasort);
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
	assert_int_equal(a->metrics_tenants_max, 21);
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

/* ---- bounds */

static void expect_bound(char *text, size_t size, const char *expected)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config;

	assert_int_equal(kolk_config_parse("test", text, size, config_nothing, &config, &error),
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

/* What is wrong with no file has no place in front of it. */
static void an_error_of_no_file(void **state)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	char told[400];

	(void)state;
	snprintf(error.message, sizeof error.message, "it cannot change");
	kolk_config_error_text(&error, told, sizeof told);
	assert_string_equal(told, "it cannot change");
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
	config = must_parse(text, config_nothing);
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

/* All of them are reported, the first in the struct, and each in a line. */
static void several_mistakes(void **state)
{
	static const char text[] = "engine: {dials_max: 010, dial_max: 3}\npools:\n"
				   "- {name: a, address: 'h:1', tls: false}\n"
				   "- {name: b, limits: {idle_min: -1}}\n";
	static const char checks[] = "pools:\n- {name: a, address: 'https://a@h'}\n"
				     "- {name: b, address: 'h:1', limits: {idle_min: 11}}\n"
				     "- {name: b, address: 'h:1'}\n";
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config;
	char told[3000];

	(void)state;
	assert_int_equal(kolk_config_parse("test", text, strlen(text), config_nothing, &config,
					   &error),
			 KOLK_E_OPTIONS);
	assert_int_equal(error.mistakes, 4);
	assert_int_equal(error.line, 1);
	kolk_config_error_text(&error, told, sizeof told);
	assert_non_null(strstr(told, "test:1:21: 'dials_max' is '010'"));
	assert_non_null(strstr(told, "\ntest:1:26: unknown key 'dial_max'"));
	assert_non_null(strstr(told, "\ntest:3:34: 'tls' has keys"));
	assert_non_null(strstr(told, "\ntest:4:32: 'idle_min' is a count"));
	assert_int_equal(kolk_config_parse("test", checks, strlen(checks), config_nothing, &config,
					   &error),
			 KOLK_E_OPTIONS);
	assert_int_equal(error.mistakes, 3);
	kolk_config_error_text(&error, told, sizeof told);
	assert_non_null(strstr(told, "test:2:22: a URL of http has no user"));
	assert_non_null(strstr(told, "\ntest:3:48: 'idle_min' (11)"));
	assert_non_null(strstr(told, "\ntest:4:10: two pools are called 'b'"));
}

/* ---- no memory: each allocation of a reading fails once */

static void every_allocation_fails_once(void **state)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config = NULL;
	enum kolk_err err = KOLK_E_MEMORY;
	uint32_t count;

	(void)state;
	for (count = 0; err == KOLK_E_MEMORY && count < 1000; count++) {
		config_allocations_left = count;
		err = kolk_config_load(CONFIG_FILES "good/all.yaml", config_world, &config, &error);
		assert_true(err == KOLK_OK || (config == NULL && error.err == KOLK_E_MEMORY));
	}
	config_allocations_left = UINT32_MAX;
	assert_int_equal(err, KOLK_OK);
	assert_true(count > 100);
	kolk_config_free(config);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(broken_files_are_there),
	cmocka_unit_test(defaults_stay_zero),
	cmocka_unit_test(words_are_values),
	cmocka_unit_test(variables_are_filled_in),
	cmocka_unit_test(all_values),
	cmocka_unit_test(everything_is_bounded),
	cmocka_unit_test(files_that_are_not_there),
	cmocka_unit_test(an_error_of_no_file),
	cmocka_unit_test(files_that_are_odd),
	cmocka_unit_test(every_allocation_fails_once),
	cmocka_unit_test(several_mistakes),
};

CMOCKA_TESTS(config, tests);
