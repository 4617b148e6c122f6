/* SPDX-License-Identifier: Apache-2.0 */
/* redis_mock.c - an engine, a pool of one connection to a mock Redis, and what the mock says. */
#include "tests/drivers/redis_mock.h"

#include <stdio.h>
#include <string.h>

#include "tests/kit/cmocka/run.h"

#define HELLO "%2\r\n+server\r\n+redis\r\n$5\r\nproto\r\n:3\r\n"

static void on_push(void *user, const struct kolk_redis_reply *push)
{
	struct redis_fixture *fixture = user;

	if (push->count == 2 && strcmp(push->elements[0].text, "invalidate") == 0)
		kolk__add_acq_rel(&fixture->pushes, 1);
}

void redis_mock_open_on(struct redis_fixture *fixture, const struct kit_mock_options *mock)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct kit_mock_options m = *mock;

	fixture->redis.size = sizeof fixture->redis;
	fixture->redis.on_push = fixture->script == NULL ? on_push : NULL;
	fixture->redis.push_user = fixture;
	m.user = fixture;
	fixture->mock = kit_mock_open(&m);
	assert_non_null(fixture->mock);
	e.loops = 1;
	p.name = "redis";
	p.address = kit_mock_address(fixture->mock);
	p.driver = kolk_driver_redis();
	p.driver_user = &fixture->redis;
	p.connections_max = 1;
	p.idle_min = KOLK_NONE;
	p.retry_interval_ns = 5 * KOLK_MS_NS;
	p.retry_max_ns = 10 * KOLK_MS_NS;
	p.ready_timeout_ns = fixture->ready_ns != 0 ? fixture->ready_ns : 2 * KOLK_S_NS;
	p.mend_timeout_ns = 2 * KOLK_S_NS;
	p.ping_interval_ns = KOLK_FOREVER;
	assert_int_equal(kolk_engine_create(&e, &fixture->engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(fixture->engine, &p, &fixture->pool), KOLK_OK);
	fixture->key = kolk_pool_key(fixture->pool);
}

void redis_mock_open(struct redis_fixture *fixture, kit_mock_fn *mock_fn)
{
	redis_mock_open_on(fixture, &(struct kit_mock_options){ .play = mock_fn });
}

static void mock_script(struct kit_mock_conn *conn, void *user)
{
	const struct redis_fixture *fixture = user;
	char text[512];

	if (!kit_mock_read_until(conn, "PING\r\n", text, sizeof text, 3000) ||
	    !kit_mock_say(conn, fixture->redis.resp == 3 ? HELLO "+PONG\r\n" : "+PONG\r\n"))
		return;
	for (const struct redis_line *line = fixture->script; line->until != NULL; line++)
		if (!kit_mock_read_until(conn, line->until, text, sizeof text, 3000) ||
		    !kit_mock_say(conn, line->say))
			return;
	(void)kit_mock_drain(conn, 3000);
}

void redis_mock_open_script(struct redis_fixture *fixture, uint32_t resp,
			    const struct redis_line *script)
{
	*fixture = (struct redis_fixture){ .script = script, .redis.resp = resp };
	redis_mock_open(fixture, mock_script);
	fixture->lease = redis_lease(fixture);
}

void redis_mock_close(struct redis_fixture *fixture)
{
	if (fixture->script != NULL)
		assert_int_equal(kolk_release(&fixture->lease), KOLK_OK);
	assert_int_equal(kolk_check(fixture->engine, NULL), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(fixture->engine), KOLK_OK);
	kit_mock_close(fixture->mock);
}

struct kolk_lease redis_lease(struct redis_fixture *fixture)
{
	struct kolk_lease lease;

	assert_int_equal(kolk_acquire(fixture->key, kolk_in_ms(5000), &lease), KOLK_OK);
	return lease;
}

uint64_t redis_number(const struct kolk_lease *lease)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	assert_int_equal(kolk_lease_info(lease, &info), KOLK_OK);
	return info.connection;
}

enum kolk_err redis_echo(const struct kolk_lease *lease, const char *word, uint64_t ms)
{
	const char *words[] = { "ECHO", word };
	const struct kolk_redis_reply *reply;
	enum kolk_err err = kolk_redis_command(lease, kolk_in_ms(ms), 2, words, NULL, &reply);

	if (err == KOLK_OK)
		assert_string_equal(reply->text, word);
	else
		assert_null(reply);
	kolk_redis_reply_free(reply);
	return err;
}

/* ---- the server */

bool mock_open_well(struct kit_mock_conn *conn)
{
	char text[512];

	return kit_mock_read_until(conn, "$4\r\nPING\r\n", text, sizeof text, 3000) &&
	       kit_mock_say(conn, "+PONG\r\n");
}

bool mock_next_word(struct kit_mock_conn *conn, char word[64])
{
	char text[256];

	if (!kit_mock_read_until(conn, "*2\r\n$4\r\n", text, sizeof text, 5000) ||
	    !kit_mock_read(conn, NULL, 6, 1000) ||
	    !kit_mock_read_until(conn, "\r\n", text, sizeof text, 1000) ||
	    !kit_mock_read_until(conn, "\r\n", word, 64, 1000))
		return false;
	word[strlen(word) - 2] = '\0';
	return true;
}

bool mock_say_word(struct kit_mock_conn *conn, const char *word)
{
	char text[128];

	snprintf(text, sizeof text, "$%zu\r\n%.63s\r\n", strlen(word), word);
	return kit_mock_say(conn, text);
}

void mock_serve(struct kit_mock_conn *conn)
{
	char word[64];

	while (mock_next_word(conn, word) && mock_say_word(conn, word))
		;
}

void mock_await_left(struct kit_mock_conn *conn, const struct redis_fixture *fixture)
{
	for (int ms = 0; ms < 5000 && !kolk__load_acquire(&fixture->left); ms++)
		if (!kit_mock_wait(conn, 1000))
			return;
}
