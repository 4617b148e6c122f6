/* SPDX-License-Identifier: Apache-2.0 */
/* reload.c - the engine, its upstreams, and requests through its pools. */
#include "tests/ops/reload.h"

#include <stdio.h>
#include <string.h>

#include "tests/kit/cmocka/run.h"
#include "tests/ops/config_text.h"

struct kolk_config *parse(struct fixture *fixture, const char *text)
{
	char filled[4000], *to = filled;
	struct kolk_config *config;

	for (; *text != 0; text++) {
		struct kit_origin *origin = text[0] == '%' && text[1] == 'A' ? fixture->a :
					    text[0] == '%' && text[1] == 'B' ? fixture->b : NULL;

		if (origin != NULL)
			to += sprintf(to, "127.0.0.1:%u", kit_origin_port(origin));
		else
			*to++ = *text;
		text += origin != NULL;
	}
	if (kolk_config_parse("test", filled, (size_t)(to - filled), config_nothing, &config,
			      &fixture->error) != KOLK_OK) {
		kolk_config_error_text(&fixture->error, fixture->message, sizeof fixture->message);
		fail_msg("%s", fixture->message);
	}
	return config;
}

void open_by(struct fixture *fixture, const char *text)
{
	struct kit_origin_options options = { .behaviour = KIT_ECHO };

	memset(fixture, 0, sizeof *fixture);
	fixture->error = (struct kolk_config_error)KOLK_INIT(kolk_config_error);
	fixture->a = kit_origin_open(&options);
	fixture->b = kit_origin_open(&options);
	assert_true(fixture->a != NULL && fixture->b != NULL);
	fixture->config = parse(fixture, text);
	assert_int_equal(kolk_config_open(fixture->config, NULL, &fixture->engine, &fixture->error),
			 KOLK_OK);
}

void fixture_close(struct fixture *fixture)
{
	const char *law = "";

	if (kolk_check(fixture->engine, &law) != KOLK_OK)
		fail_msg("%s", law);
	assert_int_equal(kolk_engine_destroy(fixture->engine), KOLK_OK);
	kolk_config_free(fixture->config);
	kit_origin_close(fixture->a);
	kit_origin_close(fixture->b);
}

enum kolk_err reload(struct fixture *fixture, const char *text)
{
	struct kolk_config *after = parse(fixture, text);
	enum kolk_err err = kolk_config_apply(fixture->engine, fixture->config, after, &fixture->error);

	if (err != KOLK_OK) {
		kolk_config_error_text(&fixture->error, fixture->message, sizeof fixture->message);
		kolk_config_free(after);
		return err;
	}
	kolk_config_free(fixture->config);
	fixture->config = after;
	return KOLK_OK;
}

void must_reload(struct fixture *fixture, const char *text)
{
	if (reload(fixture, text) != KOLK_OK)
		fail_msg("%s", fixture->message);
}

void expect_refused(struct fixture *fixture, const char *text, enum kolk_err err,
		    const char *message)
{
	assert_int_equal(reload(fixture, text), err);
	assert_int_equal(fixture->error.err, err);
	assert_string_equal(fixture->message, message);
}

struct kolk_key *key_of(struct fixture *fixture, const char *pool, const char *tenant)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	struct kolk_key *key;

	o.tenant = tenant;
	assert_int_equal(kolk_key_open(kolk_pool_find(fixture->engine, pool), &o, &key), KOLK_OK);
	return key;
}

enum kolk_err exchange(const struct kolk_lease *lease)
{
	char answer[16];
	size_t size, got = 0;
	enum kolk_err err = kolk_send_all(lease, "hello\n", 6, kolk_in_ms(10000));

	while (err == KOLK_OK && got < 6) {
		err = kolk_recv(lease, answer + got, sizeof answer - got, kolk_in_ms(10000), &size);
		got += err == KOLK_OK ? size : 0;
	}
	return err != KOLK_OK ? err : memcmp(answer, "hello\n", 6) == 0 ? KOLK_OK : KOLK_E_PROTOCOL;
}

enum kolk_err request(struct kolk_key *key)
{
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(key, kolk_in_ms(10000), &lease);

	if (err != KOLK_OK)
		return err;
	err = exchange(&lease);
	(void)kolk_release(&lease);
	return err;
}

struct kolk_stats stats_of(struct fixture *fixture, const char *pool)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_pool_stats(kolk_pool_find(fixture->engine, pool), &stats), KOLK_OK);
	return stats;
}

struct kolk_pool_info info_of(struct fixture *fixture, const char *pool)
{
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);

	assert_int_equal(kolk_pool_inspect(kolk_pool_find(fixture->engine, pool), &info), KOLK_OK);
	return info;
}
