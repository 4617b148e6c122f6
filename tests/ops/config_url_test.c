/* SPDX-License-Identifier: Apache-2.0 */
/* config_url_test.c - addresses that are URLs: each part arrives where a key of its own would put it. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <string.h>

#include "tests/ops/config_text.h"
#include "tools/ops/config_protocol.h"

struct row {
	const char *url, *more; /* keys of the pool beside it */
	const char *address;
	enum kolk__protocol_number protocol;
	const char *user, *password, *path; /* path: the database's name, the base path, the endpoint */
	uint32_t database;
	const char *application_name;
};

static const struct row rows[] = {
	{ "https://api.internal", "", "tls://api.internal:443", KOLK__PROTOCOL_HTTP,
	  .path = NULL },
	{ "HTTPS://api.internal:8443/", "", "tls://api.internal:8443", KOLK__PROTOCOL_HTTP,
	  .path = NULL },
	{ "http://[::1]/v2/", "", "tcp://[::1]:80", KOLK__PROTOCOL_HTTP, .path = "/v2" },
	{ "https://h/a%20b/c", ", protocol: http, tls: {verify: false}", "tls://h:443",
	  KOLK__PROTOCOL_HTTP, .path = "/a%20b/c" },
	{ "https://h/mcp/", ", protocol: mcp", "tls://h:443", KOLK__PROTOCOL_MCP, .path = "/mcp/" },
	{ "https://h/", ", protocol: mcp, mcp: {path: /own}", "tls://h:443", KOLK__PROTOCOL_MCP,
	  .path = "/own" },
	{ "redis://cache", "", "tcp://cache:6379", KOLK__PROTOCOL_REDIS, .path = NULL },
	{ "redis://:s3cret@cache:7000/12", "", "tcp://cache:7000", KOLK__PROTOCOL_REDIS,
	  .password = "s3cret", .database = 12 },
	{ "rediss://app:p%40ss%2F%25@[fd00::1]/", "", "tls://[fd00::1]:6379", KOLK__PROTOCOL_REDIS,
	  .user = "app", .password = "p@ss/%" },
	{ "postgresql://app:a@b@db.internal/shop", "", "db.internal:5432", KOLK__PROTOCOL_POSTGRES,
	  .user = "app", .password = "a@b", .path = "shop" },
	{ "postgres://app@db:5433/s%20p?sslmode=disable", "", "tcp://db:5433",
	  KOLK__PROTOCOL_POSTGRES, .user = "app", .path = "s p" },
	{ "postgresql://db?sslmode=verify-full&application_name=web%2D1",
	  ", postgres: {user: app, password: env}", "tls://db:5432", KOLK__PROTOCOL_POSTGRES,
	  .user = "app", .password = "env", .application_name = "web-1" },
	{ "postgresql://app@db/shop?sslmode=require", ", tls: {}", "tls://db:5432",
	  KOLK__PROTOCOL_POSTGRES, .user = "app", .path = "shop" },
};

static void same(const char *what, const char *got, const char *expected, const struct row *row)
{
	if ((got == NULL) != (expected == NULL) || (got != NULL && strcmp(got, expected) != 0))
		fail_msg("%s: %s is '%s', not '%s'", row->url, what, got != NULL ? got : "none",
			 expected != NULL ? expected : "none");
}

static void check(const struct kolk__config_pool *pool, const struct row *row)
{
	same("the address", pool->options.address, row->address, row);
	assert_int_equal(pool->protocol, row->protocol);
	same("the driver's options are there", pool->options.driver_user != NULL ? "" : NULL, "", row);
	if (row->protocol == KOLK__PROTOCOL_HTTP) {
		same("base_path", pool->http.base_path, row->path, row);
	} else if (row->protocol == KOLK__PROTOCOL_MCP) {
		same("path", pool->mcp.path, row->path, row);
	} else if (row->protocol == KOLK__PROTOCOL_REDIS) {
		same("user", pool->redis.user, row->user, row);
		same("password", pool->redis.password, row->password, row);
		assert_int_equal(pool->redis.database, row->database);
	} else {
		same("user", pool->postgres.user, row->user, row);
		same("password", pool->postgres.password, row->password, row);
		same("database", pool->postgres.database, row->path, row);
		same("application_name", pool->postgres.application_name, row->application_name, row);
	}
}

static void each_part_arrives(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct kolk_config *config;
		char text[300];

		snprintf(text, sizeof text, "pools: [{name: p, address: \"%s\"%s}]\n", rows[i].url,
			 rows[i].more);
		config = must_parse(text, config_nothing);
		check(kolk__config_pool_at(config, 0), &rows[i]);
		kolk_config_free(config);
	}
}

/* What a message shows, and where: nothing of a URL. */
static void no_message_shows_a_secret(void **state)
{
	static const char *const urls[] = {
		"https://app:hunter2@h/", "redis://app:hunter2@/2", "redis://app:hunter2@h/x",
		"redis://app:hunter2@h?x", "postgresql://app:hunter2@h/db#x",
		"postgresql://app:hunter2%2@h/db", "postgresql://app:hunter2@h/db?a=hunter2",
		"postgresql://app:hunter2@h/db?sslmode=hunter2", "redis://app:hunter2@h:99999",
		"redis://app:hunter2@h:1:2", "wss://app:hunter2@h", "redis://hunter2@h",
	};

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		struct kolk_config_error error = KOLK_INIT(kolk_config_error);
		struct kolk_config *config = NULL;
		char text[200], told[3000];

		snprintf(text, sizeof text, "pools: [{name: p, address: \"%s\"}]\n", urls[i]);
		assert_int_equal(kolk_config_parse("test", text, strlen(text), config_nothing, &config,
						   &error),
				 KOLK_E_OPTIONS);
		assert_int_equal(error.mistakes, 1);
		kolk_config_error_text(&error, told, sizeof told);
		if (strstr(told, "hunter2") != NULL)
			fail_msg("%s: %s", urls[i], told);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(each_part_arrives),
	cmocka_unit_test(no_message_shows_a_secret),
};

CMOCKA_TESTS(config_url, tests);
