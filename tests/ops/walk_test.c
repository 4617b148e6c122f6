/* SPDX-License-Identifier: Apache-2.0 */
/* walk_test.c - walks the tables of options, by way of the schema: a reload changes each that they
 * call reloadable and refuses each that is for life, and each that is part of the identity makes
 * another identity. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ops/inside.h"
#include "tools/ops/config.h"
#include "tools/ops/config_schema.h"

static const char *const nothing[] = { NULL };

/* A key and its value; "" = none. */
struct pair {
	const char *key, *value;
};

/* What must stand beside others to be right. */
static const struct pair beside[] = { { "pools.bind_port_min", "2000" },
				      { "pools.bind_port_max", "6000" },
				      { "limits.idle_min", "none" },
				      { "tls.verify", "false" },
				      { "redis.password", "six" },
				      { "postgres.user", "six" },
				      { "child.command", "[/bin/cat]" },
				      { "engine.connections_reserved", "300" },
				      { "engine.loops", "2" },
				      { "engine.loops_reserved", "4" },
				      { "admin.listen", "'unix:/tmp/six'" },
				      { "tenants.name", "six" },
				      { "warm.tenant", "six" },
				      { "warm.session", "six" },
				      { "", "" } };

struct fixture {
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_config *config; /* in force */
};

/* ---- files */

static void pair_put(char *text, const struct pair *pair, const char *prefix, bool *any)
{
	size_t size = strlen(prefix);

	if (strncmp(pair->key, prefix, size) != 0)
		return;
	sprintf(text + strlen(text), "%s%s: %s", *any ? ", " : "", pair->key + size, pair->value);
	*any = true;
}

static void pairs_put(char *text, const char *section, const struct pair *changed)
{
	char prefix[32];
	bool any = strcmp(section, "pools") == 0; /* behind others */

	snprintf(prefix, sizeof prefix, "%s.", section);
	for (const struct pair *pair = beside; pair->key[0] != 0; pair++)
		if (strcmp(pair->key, changed->key) != 0)
			pair_put(text, pair, prefix, &any);
	pair_put(text, changed, prefix, &any);
}

/* One pool, of this protocol or with TLS, in which one key is changed. */
static void text_make(char *text, const char *section, const struct pair *changed)
{
	static const char *const always[] = { "limits", "timeouts", "health" };
	const bool is_driver = strcmp(section, "http") == 0 || strcmp(section, "redis") == 0 ||
			       strcmp(section, "postgres") == 0;
	const bool is_child = strcmp(section, "child") == 0;
	const bool is_own = is_driver || is_child || strcmp(section, "tls") == 0;

	sprintf(text, "pools: [{name: a%s%s%s",
		is_child ? "" : ", address: '192.0.2.1:80'", is_driver ? ", protocol: " : "",
		is_driver ? section : "");
	if (!is_child) /* it has neither ports nor addresses */
		pairs_put(text, "pools", changed);
	for (int i = 0; i < 3; i++) {
		sprintf(text + strlen(text), ", %s: {", always[i]);
		pairs_put(text, always[i], changed);
		strcat(text, "}");
	}
	if (is_own) {
		sprintf(text + strlen(text), ", %s: {", section);
		pairs_put(text, section, changed);
		strcat(text, "}");
	}
	strcat(text, "}]");
}

/* Of texts and lists that cannot be just anything. */
static const struct pair values[] = {
	{ "pins", "[sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=]" },
	{ "bind_address", "127.0.0.7" },
	{ "name_servers", "'127.0.0.7:53'" },
	{ "command", "[/bin/true]" },
	{ "environment", "[SEVEN=8]" },
	{ "inherit", "[PATH]" },
	{ "directory", "/tmp" },
	{ "base_path", "/seven" },
	{ "listen", "'unix:/tmp/seven'" },
	{ "token", "seven-times-seven" },
	{ "", "" }
};

/* A value that is none of the defaults, nor in beside. */
static const char *value_of(const struct kolk__setting *setting)
{
	switch (setting->kind) {
	case KOLK__DURATION:
		return setting->max < 7 * KOLK_S_NS ? "7ms" : "7s"; /* expect_reloaded: 7 s */
	case KOLK__COUNT:
		return strcmp(setting->name, "bind_port_max") == 0	  ? "7000" :
		       strcmp(setting->name, "connections_reserved") == 0 ? "400" :
		       strcmp(setting->name, "loops_reserved") == 0	  ? "5" : "3";
	case KOLK__SIZE:
		return setting->min <= 2048 ? "2KiB" : "128KiB";
	case KOLK__SWITCH:
		return "true";
	case KOLK__SWITCH_OFF:
		return strcmp(setting->name, "verify") == 0 ? "true" : "false";
	case KOLK__WORD:
		return setting->words[strcmp(setting->name, "version_min") != 0].name;
	case KOLK__STRINGS:
	case KOLK__STRING:
	case KOLK__PASSWORD:
		for (const struct pair *pair = values; pair->key[0] != 0; pair++)
			if (strcmp(setting->name, pair->key) == 0)
				return pair->value;
		return setting->kind == KOLK__STRINGS ? "[seven, eight]" : "seven";
	default:
		return "seven";
	}
}

/* ---- reloads */

static struct kolk_config *parse(const char *text)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config;
	char message[600];

	if (kolk_config_parse("walk", text, strlen(text), nothing, &config, &error) == KOLK_OK)
		return config;
	kolk_config_error_text(&error, message, sizeof message);
	fail_msg("%s\n%s", message, text);
	return NULL;
}

static void reload(struct fixture *fixture, const char *text)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *after = parse(text);
	char message[600];

	if (kolk_config_apply(fixture->engine, fixture->config, after, &error) != KOLK_OK) {
		kolk_config_error_text(&error, message, sizeof message);
		fail_msg("%s\n%s", message, text);
	}
	kolk_config_free(fixture->config);
	fixture->config = after;
}

struct bytes {
	uint8_t at[2048];
	size_t size;
};

static struct bytes identity_of(const struct fixture *fixture)
{
	struct bytes bytes;
	const uint8_t *identity = inside_identity(fixture->pool, &bytes.size);

	assert_true(bytes.size <= sizeof bytes.at);
	memcpy(bytes.at, identity, bytes.size);
	return bytes;
}

static bool same(const struct bytes *a, const struct bytes *b)
{
	return a->size == b->size && memcmp(a->at, b->at, a->size) == 0;
}

/* The number in force, of an option of the pool itself. */
static uint64_t number_of(const struct fixture *fixture, const struct kolk__setting *setting)
{
	return inside_number(setting->option, inside_settings(fixture->pool));
}

static bool is_number(const struct kolk__setting *setting)
{
	return setting->option->kind >= KOLK_OPTION_COUNT &&
	       setting->option->kind <= KOLK_OPTION_WORD;
}

/* What the file says, as it was read. */
static uint64_t wanted(const struct fixture *fixture, const struct kolk__setting *setting)
{
	const char *pool = (const char *)kolk__config_pool_at(fixture->config, 0);

	return inside_number(setting->option,
			     pool + setting->offset - setting->option->offset);
}

static void walk_one(struct fixture *fixture, const char *section,
		     const struct kolk__setting *setting)
{
	const bool is_identity = (setting->allowed & KOLK__IS_IDENTITY) != 0;
	const bool is_seen = setting->table == kolk_option_table("pool") && is_number(setting);
	struct bytes before, after;
	char text[2000], key[64];
	uint64_t was = 0;

	text_make(text, section, &(struct pair){ "", "" });
	reload(fixture, text);
	before = identity_of(fixture);
	if (is_seen)
		was = number_of(fixture, setting);
	snprintf(key, sizeof key, "%s.%s", section, setting->name);
	text_make(text, section, &(struct pair){ key, value_of(setting) });
	reload(fixture, text);
	after = identity_of(fixture);
	if (same(&before, &after) != !is_identity)
		fail_msg("'%s': the identity is %s", key, same(&before, &after) ? "the same" : "another");
	if (!is_seen && !is_identity && strcmp(section, "child") != 0) /* walk_child_test.c */
		fail_msg("'%s': nothing shows whether it is in force", key);
	if (!is_seen)
		return;
	if (number_of(fixture, setting) == was || number_of(fixture, setting) != wanted(fixture, setting))
		fail_msg("'%s' is not in force: %llu", key,
			 (unsigned long long)number_of(fixture, setting));
}

/* Of files, names and what makes another pool, other tests know. */
static bool is_left_out(const struct kolk__setting *setting)
{
	static const char *const out[] = { "name", "address", "isolation", "ca_file", "ca_directory",
					   "certificate_file", "key_file", "crl_file",
					   "idle_max", "pool_idle_max" };

	for (size_t i = 0; i < sizeof out / sizeof out[0]; i++)
		if (strcmp(setting->name, out[i]) == 0)
			return true;
	return setting->option == NULL;
}

static void every_option_is_reloaded(void **state)
{
	static const char *const sections[] = { "pools", "limits", "timeouts", "health", "tls",
						"http", "redis", "postgres", "child" };
	const struct kolk__section *pools = kolk__setting_find(&kolk__schema, "pools")->section;
	struct fixture fixture = { .config = NULL };
	char text[2000];
	uint32_t walked = 0;

	(void)state;
	text_make(text, "pools", &(struct pair){ "", "" });
	fixture.config = parse(text);
	assert_int_equal(kolk_config_open(fixture.config, NULL, &fixture.engine, NULL), KOLK_OK);
	fixture.pool = kolk_pool_find(fixture.engine, "a");
	for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
		const struct kolk__section *section =
			i == 0 ? pools : kolk__setting_find(pools, sections[i])->section;

		for (size_t j = 0; j < section->count; j++) {
			if (is_left_out(&section->settings[j]))
				continue;
			assert_true(section->settings[j].allowed & KOLK__MAY_CHANGE);
			walk_one(&fixture, sections[i], &section->settings[j]);
			walked++;
		}
	}
	assert_in_range(walked, 80, 200);
	assert_int_equal(kolk_engine_destroy(fixture.engine), KOLK_OK);
	kolk_config_free(fixture.config);
}

/* ---- the engine, the admin server, tenants, keys to warm */

/* One section of these, in which one key is changed. */
static void section_make(char *text, const char *section, const struct pair *changed)
{
	const bool is_warm = strcmp(section, "warm") == 0;
	const bool is_list = is_warm || strcmp(section, "tenants") == 0;

	sprintf(text, "%s%s: %s{", is_warm ? "pools: [{name: a, address: '192.0.2.1:80', "
					     "isolation: session, " : "",
		section, is_list ? "[" : "");
	pairs_put(text, section, changed);
	strcat(text, is_warm ? "}]}]" : is_list ? "}]\npools: []" : "}\npools: []");
}

static void change(char *text, const char *section, const struct kolk__setting *setting)
{
	char key[64];

	snprintf(key, sizeof key, "%s.%s", section, setting->name);
	section_make(text, section, &(struct pair){ key, value_of(setting) });
}

static void fixture_open(struct fixture *fixture, const char *section)
{
	char text[2000];

	section_make(text, section, &(struct pair){ "", "" });
	fixture->config = parse(text);
	assert_int_equal(kolk_config_open(fixture->config, NULL, &fixture->engine, NULL), KOLK_OK);
}

static void fixture_close(struct fixture *fixture)
{
	assert_int_equal(kolk_engine_destroy(fixture->engine), KOLK_OK);
	kolk_config_free(fixture->config);
}

static void expect_for_life(struct fixture *fixture, const char *section,
			    const struct kolk__setting *setting)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *after;
	char text[2000], message[80];

	change(text, section, setting);
	after = parse(text);
	if (kolk_config_apply(fixture->engine, fixture->config, after, &error) != KOLK_E_OPTIONS)
		fail_msg("%s.%s: a reload changes it", section, setting->name);
	snprintf(message, sizeof message, "'%s' cannot change while the %s works", setting->name, section);
	assert_string_equal(error.message, message);
	kolk_config_free(after);
}

/* The number in force, by the name of its field; the first tenant's for tenants. */
static uint64_t number_in_force(const struct fixture *fixture, const struct kolk__setting *setting)
{
	struct kolk_engine_info info = KOLK_INIT(kolk_engine_info);
	struct kolk_tenant_info tenant = { .open = 0 };
	uint32_t loops = 0;
	uint64_t cursor = 0, drain_grace_ns = kolk_config_drain_grace_ns(fixture->config);
	const bool of_tenant = setting->table == kolk_option_table("tenant");
	const struct {
		const char *field;
		bool of_tenant;
		const void *number;
	} numbers[] = {
		{ "connections_max", true, &tenant.connections_max },
		{ "keys_max", true, &tenant.keys_max },
		{ "weight", true, &tenant.weight },
		{ "connections_max", false, &info.connections_max },
		{ "tenant_connections_max", false, &info.tenant_connections_max },
		{ "tenant_keys_max", false, &info.tenant_keys_max },
		{ "drain_grace_ns", false, &drain_grace_ns },
		{ "loops", false, &loops },
	};

	assert_int_equal(kolk_engine_inspect(fixture->engine, &info), KOLK_OK);
	(void)kolk_engine_tenants(fixture->engine, &cursor, &tenant, 1);
	while (loops < info.loops && kolk_loop_is_active(kolk_engine_loop(fixture->engine, loops)))
		loops++;
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (of_tenant == numbers[i].of_tenant &&
		    strcmp(setting->field, numbers[i].field) == 0)
			return setting->kind == KOLK__DURATION ?
				       *(const uint64_t *)numbers[i].number :
				       *(const uint32_t *)numbers[i].number;
	fail_msg("who knows '%s'?", setting->field);
	return 0;
}

static void expect_reloaded(struct fixture *fixture, const char *section,
			    const struct kolk__setting *setting)
{
	uint64_t wanted = setting->kind == KOLK__DURATION ? 7 * KOLK_S_NS : 3;
	char text[2000];

	change(text, section, setting);
	reload(fixture, text);
	if (number_in_force(fixture, setting) != wanted)
		fail_msg("'%s.%s' is not in force: %llu", section, setting->name,
			 (unsigned long long)number_in_force(fixture, setting));
	section_make(text, section, &(struct pair){ "", "" });
	reload(fixture, text);
	assert_true(number_in_force(fixture, setting) != wanted);
}

static void engine_admin_and_tenants(void **state)
{
	static const char *const sections[] = { "engine", "admin", "tenants" };
	uint32_t refused = 0, changed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
		const struct kolk__section *section =
			kolk__setting_find(&kolk__schema, sections[i])->section;
		struct fixture fixture = { .config = NULL };

		fixture_open(&fixture, sections[i]);
		for (size_t j = 0; j < section->count; j++) {
			const struct kolk__setting *setting = &section->settings[j];
			const bool may_change = (setting->allowed & KOLK__MAY_CHANGE) != 0;

			if (setting->allowed & KOLK__REQUIRED)
				continue; /* the tenant's name: another is another tenant */
			(may_change ? expect_reloaded : expect_for_life)(&fixture, sections[i],
									 setting);
			changed += may_change;
			refused += !may_change;
		}
		fixture_close(&fixture);
	}
	assert_in_range(changed, 7, 50);
	assert_in_range(refused, 15, 50);
}

/* The key that is warm; another one ages out. */
static uint64_t warm_key(const struct fixture *fixture)
{
	struct kolk_key_info keys[16];
	struct kolk_pool *pool = kolk_pool_find(fixture->engine, "a");
	uint64_t cursor = 0, id = 0;
	size_t count = kolk_pool_keys(pool, &cursor, keys, 16);
	uint32_t warm = 0;

	for (size_t i = 0; i < count; i++)
		if (keys[i].handles > 0 && keys[i].tenant[0] != 0)
			id = keys[i].id, warm++;
	assert_int_equal(warm, 1);
	return id;
}

static void keys_to_warm(void **state)
{
	const struct kolk__section *pools = kolk__setting_find(&kolk__schema, "pools")->section;
	const struct kolk__section *section = kolk__setting_find(pools, "warm")->section;
	struct fixture fixture = { .config = NULL };
	char text[2000];
	uint64_t first;

	(void)state;
	fixture_open(&fixture, "warm");
	first = warm_key(&fixture);
	for (size_t i = 0; i < section->count; i++) {
		change(text, "warm", &section->settings[i]);
		reload(&fixture, text);
		if (warm_key(&fixture) == first)
			fail_msg("warm.%s: the same key", section->settings[i].name);
		section_make(text, "warm", &(struct pair){ "", "" });
		reload(&fixture, text);
		first = warm_key(&fixture); /* the same, or another one when that was gone */
	}
	assert_int_equal(section->count, 3);
	fixture_close(&fixture);
}

/* What the identity keeps of a password is a digest under the engine's secret. */
static void a_password_is_not_in_the_identity(void **state)
{
	static const char text[] = "pools: [{name: a, address: '192.0.2.1:80', protocol: redis,"
				   " redis: {user: somebody, password: hunter2}}]";
	struct fixture fixture = { .config = parse(text) };
	struct bytes bytes;
	int users = 0, passwords = 0;

	(void)state;
	assert_int_equal(kolk_config_open(fixture.config, NULL, &fixture.engine, NULL), KOLK_OK);
	fixture.pool = kolk_pool_find(fixture.engine, "a");
	bytes = identity_of(&fixture);
	for (size_t i = 0; i + 8 <= bytes.size; i++) {
		users += memcmp(bytes.at + i, "somebody", 8) == 0;
		passwords += memcmp(bytes.at + i, "hunter2", 7) == 0;
	}
	assert_int_equal(users, 1);
	assert_int_equal(passwords, 0);
	assert_int_equal(kolk_engine_destroy(fixture.engine), KOLK_OK);
	kolk_config_free(fixture.config);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(every_option_is_reloaded),
	cmocka_unit_test(engine_admin_and_tenants),
	cmocka_unit_test(keys_to_warm),
	cmocka_unit_test(a_password_is_not_in_the_identity),
};

CMOCKA_TESTS(walk, tests);
