/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_child_test.c - walks the options of a child that a reload changes without another child, and
 * looks at what a child that works then does otherwise: nothing else shows what is in force.
 */
#include "tests/kit/cmocka/run.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/ops/config.h"
#include "tools/ops/config_schema.h"

/* ---- what is expected of each */

/* A shell that says "ready" and is told "go". What is logged of it, until it has ended. */
struct behaviour {
	const char *setting, *before, *after; /* its values */
	const char *beside;                   /* other settings */
	const char *script;
	bool ends_by_itself; /* otherwise its pool is cleared */
	const char *logged_before, *logged_after;
};

static const struct behaviour behaviours[] = {
	{ "stop_timeout", "60s", "none", "term_timeout: 60s",
	  "trap \"exit 3\" TERM; echo ready; read go; cat; sleep 0.2", false,
	  "ended with status 0\n", "ended with status 3\n" },
	{ "term_timeout", "60s", "none", "stop_timeout: none",
	  "trap \"sleep 0.2; exit 0\" TERM; echo ready; while :; do sleep 0.01; done", false,
	  "ended with status 0\n", "ended with signal 9\n" },
	{ "lines_max", "3", "2", "stop_timeout: 60s",
	  "echo ready; read go; printf \"1\\n2\\n3\\n4\\n\" >&2; exit 7", true,
	  "1\n2\n3\nended by itself with status 7: 4\n",
	  "1\n2\nended by itself with status 7: 4\n" },
	{ "last_words", "true", "false", "stop_timeout: 60s",
	  "echo ready; read go; echo farewell >&2; exit 7", true,
	  "farewell\nended by itself with status 7: farewell\n",
	  "farewell\nended by itself with status 7\n" },
};

static const struct behaviour *behaviour_of(const struct kolk__setting *setting)
{
	for (size_t i = 0; i < sizeof behaviours / sizeof behaviours[0]; i++)
		if (strcmp(behaviours[i].setting, setting->name) == 0)
			return &behaviours[i];
	fail_msg("what does a child otherwise when '%s' changes?", setting->name);
	return NULL;
}

/* ---- an engine whose log is kept */

struct fixture {
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_config *config; /* in force */
	pthread_mutex_t lock;
	char logged[1000]; /* of children, without their names */
};

static void on_log(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	struct fixture *fixture = user;
	const char *line = strstr(text, "] ");
	size_t used;

	(void)level;
	if (strcmp(subject, "child") != 0 || line == NULL)
		return;
	pthread_mutex_lock(&fixture->lock);
	used = strlen(fixture->logged);
	(void)snprintf(fixture->logged + used, sizeof fixture->logged - used, "%s\n", line + 2);
	pthread_mutex_unlock(&fixture->lock);
}

static struct kolk_config *parse(const struct behaviour *b, const char *value)
{
	static const char *const nothing[] = { NULL };
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config;
	char text[1000], message[600];

	(void)snprintf(text, sizeof text,
		       "pools: [{name: a, limits: {connections_max: 1, idle_min: none},"
		       " child: {command: [/bin/sh, -c, '%s'], %s, %s: %s}}]",
		       b->script, b->beside, b->setting, value);
	if (kolk_config_parse("walk", text, strlen(text), nothing, &config, &error) == KOLK_OK)
		return config;
	kolk_config_error_text(&error, message, sizeof message);
	fail_msg("%s\n%s", message, text);
	return NULL;
}

static void fixture_open(struct fixture *fixture, const struct behaviour *b)
{
	struct kolk_engine_options base = KOLK_INIT(kolk_engine_options);

	*fixture = (struct fixture){ .config = parse(b, b->before),
				     .lock = PTHREAD_MUTEX_INITIALIZER };
	base.on_log = on_log;
	base.log_user = fixture;
	base.log_level = KOLK_LOG_DEBUG;
	assert_int_equal(kolk_config_open(fixture->config, &base, &fixture->engine, NULL), KOLK_OK);
	fixture->pool = kolk_pool_find(fixture->engine, "a");
}

static void fixture_close(struct fixture *fixture)
{
	assert_int_equal(kolk_engine_destroy(fixture->engine), KOLK_OK);
	kolk_config_free(fixture->config);
}

static void reload(struct fixture *fixture, const struct behaviour *b)
{
	struct kolk_config *after = parse(b, b->after);

	assert_int_equal(kolk_config_apply(fixture->engine, fixture->config, after, NULL), KOLK_OK);
	kolk_config_free(fixture->config);
	fixture->config = after;
}

/* ---- one child's life */

/* Moves out what was logged so far. */
static void logged_take(struct fixture *fixture, char *to)
{
	pthread_mutex_lock(&fixture->lock);
	strcat(to, fixture->logged);
	fixture->logged[0] = 0;
	pthread_mutex_unlock(&fixture->lock);
}

static void expect_logged(struct fixture *fixture, const struct behaviour *b, const char *expected)
{
	char logged[4000] = "";

	for (int i = 0; i < 10000 && strstr(logged, "ended") == NULL; i++) {
		usleep(1000);
		logged_take(fixture, logged);
	}
	if (strcmp(logged, expected) != 0)
		fail_msg("'%s': a child does\n%swhere this is expected:\n%s", b->setting, logged,
			 expected);
}

static uint64_t children(const struct fixture *fixture)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_pool_stats(fixture->pool, &stats), KOLK_OK);
	return stats.created;
}

static void child_lives(struct fixture *fixture, const struct behaviour *b, bool is_reloaded)
{
	struct kolk_lease lease;
	uint64_t before;
	char ready[8];
	size_t size;

	assert_int_equal(kolk_acquire(kolk_pool_key(fixture->pool), kolk_in_ms(10000), &lease),
			 KOLK_OK);
	assert_int_equal(kolk_recv(&lease, ready, sizeof ready, kolk_in_ms(10000), &size), KOLK_OK);
	before = children(fixture);
	if (is_reloaded)
		reload(fixture, b);
	assert_int_equal(kolk_send_all(&lease, "go\n", 3, kolk_in_ms(10000)), KOLK_OK);
	if (!b->ends_by_itself) {
		(void)kolk_release(&lease);
		assert_int_equal(kolk_pool_clear(fixture->pool), 1);
	}
	expect_logged(fixture, b, is_reloaded ? b->logged_after : b->logged_before);
	if (b->ends_by_itself)
		(void)kolk_release(&lease);
	assert_int_equal(children(fixture), before); /* it was the same child */
}

static void a_child_that_works_is_reloaded(void **state)
{
	const struct kolk__section *pools = kolk__setting_find(&kolk__schema, "pools")->section;
	const struct kolk__section *section = kolk__setting_find(pools, "child")->section;
	size_t walked = 0;

	(void)state;
	for (size_t i = 0; i < section->count; i++) {
		const struct kolk__setting *setting = &section->settings[i];
		const struct behaviour *b;
		struct fixture fixture;

		assert_true(setting->allowed & KOLK__MAY_CHANGE);
		if (setting->allowed & KOLK__IS_IDENTITY)
			continue; /* walk_test.c: another identity, so another child */
		b = behaviour_of(setting);
		fixture_open(&fixture, b);
		child_lives(&fixture, b, false);
		child_lives(&fixture, b, true);
		fixture_close(&fixture);
		walked++;
	}
	assert_int_equal(walked, sizeof behaviours / sizeof behaviours[0]);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_child_that_works_is_reloaded),
};

CMOCKA_TESTS(walk_child, tests);
