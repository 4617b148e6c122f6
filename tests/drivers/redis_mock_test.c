/* SPDX-License-Identifier: Apache-2.0 */
/* redis_mock_test.c - the Redis driver against servers that are late, talkative or wrong. */
#include "core/base/atomic.h"
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kolk/kolk.h>
#include <kolk/redis.h>

#include "tests/kit/mock.h"
#include "tests/kit/tap.h"

struct fixture {
	struct kit_mock *mock;
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
	struct kolk_redis_options redis;
	uint64_t ready_ns; /* 0 = more than a busy machine's hiccups */
	kolk__atomic_int step; /* synchronizes the mock with the test */
	kolk__atomic_int pushes;
};

static void on_push(void *user, const struct kolk_redis_reply *push)
{
	struct fixture *fixture = user;

	if (push->count == 2 && strcmp(push->elements[0].text, "invalidate") == 0)
		kolk__add_acq_rel(&fixture->pushes, 1);
}

static void fixture_open_on(struct fixture *fixture, const struct kit_mock_options *mock)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct kit_mock_options m = *mock;

	fixture->redis.size = sizeof fixture->redis;
	fixture->redis.on_push = on_push;
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
	p.mend_timeout_ns = 300 * KOLK_MS_NS;
	p.ping_interval_ns = KOLK_FOREVER;
	assert_int_equal(kolk_engine_create(&e, &fixture->engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(fixture->engine, &p, &fixture->pool), KOLK_OK);
	fixture->key = kolk_pool_key(fixture->pool);
}

static void fixture_open(struct fixture *fixture, kit_mock_fn *mock_fn)
{
	fixture_open_on(fixture, &(struct kit_mock_options){ .play = mock_fn });
}

static void fixture_close(struct fixture *fixture)
{
	assert_int_equal(kolk_check(fixture->engine, NULL), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(fixture->engine), KOLK_OK);
	kit_mock_close(fixture->mock);
}

static struct kolk_lease lease_of(struct fixture *fixture)
{
	struct kolk_lease lease;

	assert_int_equal(kolk_acquire(fixture->key, kolk_in_ms(3000), &lease), KOLK_OK);
	return lease;
}

static uint64_t number_of(const struct kolk_lease *lease)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	assert_int_equal(kolk_lease_info(lease, &info), KOLK_OK);
	return info.connection;
}

static enum kolk_err echo(const struct kolk_lease *lease, const char *word, uint64_t ms)
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

/* ---- a mock Redis that knows PING, ECHO and little else */

static bool open_well(struct kit_mock_conn *conn)
{
	char text[512];

	return kit_mock_read_until(conn, "$4\r\nPING\r\n", text, sizeof text, 3000) &&
	       kit_mock_say(conn, "+PONG\r\n");
}

/* The word of the next ECHO or PING, however it was sent. */
static bool next_word(struct kit_mock_conn *conn, char word[64])
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

static bool say_word(struct kit_mock_conn *conn, const char *word)
{
	char text[128];

	snprintf(text, sizeof text, "$%zu\r\n%.63s\r\n", strlen(word), word);
	return kit_mock_say(conn, text);
}

static void serve(struct kit_mock_conn *conn)
{
	char word[64];

	while (next_word(conn, word) && say_word(conn, word))
		;
}

/* ---- setup */

/* The first connection answers AUTH and SELECT when the dial has given up. */
static void mock_late_setup(struct kit_mock_conn *conn, void *user)
{
	struct fixture *fixture = user;
	char text[512];

	if (kit_mock_number(conn) == 0) {
		kit_mock_read_until(conn, "$4\r\nPING\r\n", text, sizeof text, 1000);
		kit_mock_say(conn, "+OK\r\n");
		kit_mock_wait(conn, 600000);
		kit_mock_say(conn, "+OK\r\n+PONG\r\n");
		kolk__store_release(&fixture->step, 1);
		kit_mock_drain(conn, 1000);
		return;
	}
	if (kit_mock_read_until(conn, "$4\r\nPING\r\n", text, sizeof text, 1000) &&
	    kit_mock_say(conn, "+OK\r\n+OK\r\n+PONG\r\n"))
		serve(conn);
}

static void late_setup_is_never_read(void **state)
{
	struct fixture fixture = { 0 };
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_lease lease;

	(void)state;
	fixture.ready_ns = 100 * KOLK_MS_NS;
	fixture.redis.password = "canary";
	fixture.redis.database = 1;
	fixture_open(&fixture, mock_late_setup);
	if (kolk_acquire(fixture.key, kolk_in_ms(3000), &lease) != KOLK_OK)
		lease = lease_of(&fixture);
	assert_true(kolk_key_failure(fixture.key, &failure));
	assert_int_equal(failure.err, KOLK_E_DIAL_TIMEOUT);
	assert_int_equal(failure.phase, KOLK_PHASE_READY);
	assert_int_equal(echo(&lease, "mine", 1000), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	fixture_close(&fixture);
}

static void mock_refusals(struct kit_mock_conn *conn, void *user)
{
	static const char *const answers[] = {
		"-LOADING Redis is loading the dataset in memory\r\n",
		"-ERR max number of clients reached\r\n",
		"-NOAUTH Authentication required.\r\n",
		"+PONG\r\n+OK\r\n",
		"+OK\r\n",
		"$4\r\nPONG\r\n",
	};
	struct fixture *fixture = user;
	char text[512];

	kit_mock_read_until(conn, "$4\r\nPING\r\n", text, sizeof text, 1000);
	kit_mock_say(conn, answers[kolk__load_acquire(&fixture->step)]);
	kit_mock_drain(conn, 1000);
}

static void refusals_are_distinguished(void **state)
{
	static const enum kolk_err expected[] = { KOLK_E_RESOURCE, KOLK_E_RESOURCE, KOLK_E_AUTH,
						  KOLK_E_PROTOCOL, KOLK_E_PROTOCOL,
						  KOLK_E_PROTOCOL };
	struct kolk_lease lease;

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct fixture fixture = { .step = KOLK__ATOMIC_INIT(i) };

		fixture_open(&fixture, mock_refusals);
		assert_int_equal(kolk_acquire(fixture.key, kolk_in_ms(1000), &lease), expected[i]);
		fixture_close(&fixture);
	}
}

/* ---- idle */

/* At a step of the test, something arrives unsolicited. */
static void mock_idle(struct kit_mock_conn *conn, void *user)
{
	struct fixture *fixture = user;
	char word[64];

	if (!open_well(conn))
		return;
	if (kit_mock_number(conn) > 0) {
		serve(conn);
		return;
	}
	if (!next_word(conn, word) || !say_word(conn, word))
		return;
	while (kolk__load_acquire(&fixture->step) == 0 && kit_mock_wait(conn, 1000))
		;
	if (kolk__load_acquire(&fixture->step) == 1)
		kit_mock_say(conn, "+OK\r\n");
	else if (kolk__load_acquire(&fixture->step) == 2)
		return; /* FIN */
	else
		kit_mock_say(conn, "$2\r\n"); /* of something */
	kolk__store_release(&fixture->step, 9);
	kit_mock_drain(conn, 2000);
}

static void unsolicited_on_an_idle_connection(void **state)
{
	(void)state;
	for (int step = 1; step <= 3; step++) {
		struct fixture fixture = { 0 };
		struct kolk_lease lease;
		uint64_t number;

		fixture_open(&fixture, mock_idle);
		lease = lease_of(&fixture);
		number = number_of(&lease);
		assert_int_equal(echo(&lease, "first", 1000), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		kolk__store_release(&fixture.step, step);
		assert_true(WITHIN_MS(2000, step == 2 || kolk__load_acquire(&fixture.step) == 9));
		lease = lease_of(&fixture);
		if (number_of(&lease) == number) { /* a hit before it was seen */
			assert_int_not_equal(echo(&lease, "second", 1000), KOLK_OK);
			assert_int_equal(kolk_release(&lease), KOLK_OK);
			lease = lease_of(&fixture);
		}
		assert_int_not_equal(number_of(&lease), number);
		assert_int_equal(echo(&lease, "third", 1000), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		fixture_close(&fixture);
	}
}

/* RESP3: pushes may come at any time, in any pieces. */
static void mock_pushes(struct kit_mock_conn *conn, void *user)
{
	static const char push[] = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
	struct fixture *fixture = user;
	char text[512], word[64];

	if (!kit_mock_read_until(conn, "$4\r\nPING\r\n", text, sizeof text, 1000))
		return;
	kit_mock_say(conn, "%2\r\n+server\r\n+redis\r\n$5\r\nproto\r\n:3\r\n");
	kit_mock_say(conn, push);
	kit_mock_say(conn, "+PONG\r\n");
	if (!next_word(conn, word))
		return;
	kit_mock_say(conn, push);
	say_word(conn, word);
	while (kolk__load_acquire(&fixture->step) == 0 && kit_mock_wait(conn, 1000))
		;
	kit_mock_say(conn, push); /* idle */
	kit_mock_send(conn, push, 9);
	kolk__store_release(&fixture->step, 2);
	if (!next_word(conn, word))
		return;
	kit_mock_send(conn, push + 9, sizeof push - 1 - 9);
	say_word(conn, word);
	kit_mock_drain(conn, 2000);
}

static void pushes_come_at_any_time(void **state)
{
	struct fixture fixture = { 0 };
	struct kolk_lease lease;
	uint64_t number;

	(void)state;
	if (!kolk_redis_has_resp3())
		SKIP_BECAUSE("hiredis is older than 1.0");
	fixture.redis.resp = 3;
	fixture_open(&fixture, mock_pushes);
	lease = lease_of(&fixture);
	number = number_of(&lease);
	assert_int_equal(echo(&lease, "first", 1000), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	kolk__store_release(&fixture.step, 1);
	assert_true(WITHIN_MS(2000, kolk__load_acquire(&fixture.step) == 2)); /* received at the
	                                                                       * latest by the next
	                                                                       * lease */
	lease = lease_of(&fixture);
	assert_int_equal(number_of(&lease), number);
	assert_int_equal(echo(&lease, "second", 1000), KOLK_OK);
	assert_int_equal(kolk__load_acquire(&fixture.pushes), 4);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	fixture_close(&fixture);
}

/* ---- abandoned commands */

/* The first reply comes late; fixture.step says what else is wrong. */
static void mock_late(struct kit_mock_conn *conn, void *user)
{
	struct fixture *fixture = user;
	char word[64];

	if (!open_well(conn))
		return;
	if (kit_mock_number(conn) == 0) {
		if (!next_word(conn, word))
			return;
		kit_mock_wait(conn, kolk__load_acquire(&fixture->step) == 1 ? 600000 : 80000);
		if (kolk__load_acquire(&fixture->step) == 3)
			kit_mock_send_slowly(conn, "$5\r\nfirst\r\n", 11, 1, 5000);
		else
			say_word(conn, word);
		if (kolk__load_acquire(&fixture->step) == 2)
			kit_mock_say(conn, "+OK\r\n"); /* and an unsolicited one */
	}
	serve(conn);
}

static void late_replies_are_discarded(void **state)
{
	(void)state;
	for (int step = 0; step <= 3; step++) {
		struct fixture fixture = { .step = KOLK__ATOMIC_INIT(step) };
		struct kolk_lease lease;
		uint64_t number;

		fixture_open(&fixture, mock_late);
		lease = lease_of(&fixture);
		number = number_of(&lease);
		assert_int_equal(echo(&lease, "first", 20), KOLK_E_TIMEOUT);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		lease = lease_of(&fixture);
		/* In time and in order: the same one; too late, or out of step: not. */
		if (step == 0 || step == 3)
			assert_int_equal(number_of(&lease), number);
		else
			assert_int_not_equal(number_of(&lease), number);
		assert_int_equal(echo(&lease, "second", 1000), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		fixture_close(&fixture);
	}
}

/* Three replies, cut at every byte: then the deadline passes, and the rest comes. */
static const char three[] = "$1\r\na\r\n*2\r\n:1\r\n:2\r\n-ERR b\r\n";

static void mock_cut(struct kit_mock_conn *conn, void *user)
{
	struct fixture *fixture = user;
	char text[512];
	size_t cut = (size_t)kolk__load_acquire(&fixture->step);

	if (!open_well(conn))
		return;
	if (kit_mock_read_until(conn, "$5\r\nthird\r\n", text, sizeof text, 3000)) {
		kit_mock_send(conn, three, cut);
		while (kolk__load_acquire(&fixture->step) >= 0 && kit_mock_wait(conn, 500))
			;
		kit_mock_send(conn, three + cut, sizeof three - 1 - cut);
	}
	serve(conn);
}

static void cut_pipelines(void **state)
{
	static const char *const words[][2] = { { "ECHO", "first" }, { "ECHO", "second" },
						{ "ECHO", "third" } };
	const struct kolk_redis_command commands[] = { { 2, words[0], NULL }, { 2, words[1], NULL },
						       { 2, words[2], NULL } };
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);

	(void)state;
	request.commands = commands;
	request.count = 3;
	for (int cut = 0; cut < (int)sizeof three - 1; cut++) {
		struct fixture fixture = { .step = KOLK__ATOMIC_INIT(cut) };
		const struct kolk_redis_reply *reply;
		struct kolk_lease lease;
		uint64_t number;

		fixture_open(&fixture, mock_cut);
		lease = lease_of(&fixture);
		number = number_of(&lease);
		request.deadline_ns = kolk_in_ms(10);
		assert_int_equal(kolk_redis_pipeline(&lease, &request, &reply), KOLK_E_TIMEOUT);
		assert_null(reply);
		kolk__store_release(&fixture.step, -1);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		lease = lease_of(&fixture);
		assert_int_equal(number_of(&lease), number);
		assert_int_equal(echo(&lease, "mine", 1000), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		fixture_close(&fixture);
	}
}

/* ---- replies that are no replies */

static void mock_hostile(struct kit_mock_conn *conn, void *user)
{
	static const char *const answers[] = {
		"$4294967296\r\n", "*2147483647\r\n",
		"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "HTTP/1.1 400 Bad Request\r\n",
		"$5\r\nfirst\r\n+OK\r\n", "$5\r\nfirst\r\n$4\r\nmo"
	};
	struct fixture *fixture = user;
	char word[64];

	if (!open_well(conn) || !next_word(conn, word))
		return;
	if (kit_mock_number(conn) == 0) {
		kit_mock_say(conn, answers[kolk__load_acquire(&fixture->step)]);
		if (kolk__load_acquire(&fixture->step) == 5 && next_word(conn, word))
			kit_mock_say(conn, "re\r\n");
		kit_mock_drain(conn, 2000);
		return;
	}
	say_word(conn, word);
	serve(conn);
}

static void hostile_replies(void **state)
{
	static const enum kolk_err expected[] = { KOLK_E_LIMIT, KOLK_E_LIMIT, KOLK_E_LIMIT,
						  KOLK_E_PROTOCOL, KOLK_OK, KOLK_OK };

	(void)state;
	for (int step = 0; step < 6; step++) {
		struct fixture fixture = { .step = KOLK__ATOMIC_INIT(step) };
		struct kolk_lease lease;
		uint64_t number;

		fixture_open(&fixture, mock_hostile);
		lease = lease_of(&fixture);
		number = number_of(&lease);
		assert_int_equal(echo(&lease, "first", 1000), expected[step]);
		if (step >= 4) /* one too many, or its beginning: not for the next command either */
			assert_int_not_equal(echo(&lease, "more", 1000), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		lease = lease_of(&fixture);
		assert_int_not_equal(number_of(&lease), number);
		assert_int_equal(echo(&lease, "mine", 1000), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		fixture_close(&fixture);
	}
}

/* ---- once more, but never twice */

/* Serves one ECHO on the first connection, then executes and hangs up. */
static void mock_hang_up(struct kit_mock_conn *conn, void *user)
{
	char word[64];

	(void)user;
	if (!open_well(conn))
		return;
	if (kit_mock_number(conn) == 0 && next_word(conn, word))
		say_word(conn, word);
	while (next_word(conn, word)) {
		kit_mock_execute(conn, (uint64_t)atoi(word));
		if (kit_mock_number(conn) == 0)
			return;
		say_word(conn, word);
	}
}

static void only_replayable_calls_are_repeated(void **state)
{
	static const char *const words[] = { "ECHO", "77" };
	const struct kolk_redis_command command = { 2, words, NULL };

	(void)state;
	for (uint32_t replayable = 0; replayable < 2; replayable++) {
		struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);
		const struct kolk_redis_reply *reply;
		struct fixture fixture = { 0 };
		struct kolk_lease lease;

		request.commands = &command;
		request.count = 1;
		request.replayable = replayable;
		request.deadline_ns = kolk_in_ms(3000);
		fixture_open(&fixture, mock_hang_up);
		lease = lease_of(&fixture);
		assert_int_equal(echo(&lease, "first", 1000), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		assert_int_equal(kolk_redis_call(fixture.key, &request, &reply),
				 replayable ? KOLK_OK : KOLK_E_CLOSED);
		assert_int_equal(kit_mock_executions(fixture.mock, 77), 1 + replayable);
		kolk_redis_reply_free(reply);
		fixture_close(&fixture);
	}
}

/* ---- subscribers */

static const struct kolk_redis_reply *ask(const struct kolk_lease *lease, enum kolk_err expected,
					  size_t count, const char *const *words)
{
	const struct kolk_redis_reply *reply;

	assert_int_equal(kolk_redis_command(lease, kolk_in_ms(1000), count, words, NULL, &reply),
			 expected);
	assert_int_equal(reply != NULL, expected == KOLK_OK);
	return reply;
}

static void ask_for(const struct kolk_lease *lease, enum kolk_err expected, size_t count,
		    const char *const *words)
{
	kolk_redis_reply_free(ask(lease, expected, count, words));
}

static const char *const subscribe[] = { "SUBSCRIBE", "c" };
static const char *const ping[] = { "PING" };

/* A message comes in front of the replies to two PINGs. */
static void mock_message_first(struct kit_mock_conn *conn, void *user)
{
	char text[512];

	(void)user;
	if (!open_well(conn) || !kit_mock_read_until(conn, "$1\r\nc\r\n", text, sizeof text, 2000))
		return;
	kit_mock_say(conn, "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
	while (kit_mock_read_until(conn, "PING\r\n", text, sizeof text, 3000))
		kit_mock_say(conn, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n"
				   "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
}

static void a_subscriber_asks_one_thing_at_a_time(void **state)
{
	const struct kolk_redis_command commands[] = { { 1, ping, NULL }, { 1, ping, NULL } };
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);
	const struct kolk_redis_reply *reply;
	struct fixture fixture = { 0 };
	struct kolk_lease lease;

	(void)state;
	fixture_open(&fixture, mock_message_first);
	lease = lease_of(&fixture);
	ask_for(&lease, KOLK_OK, 2, subscribe);
	request.commands = commands;
	request.count = 2;
	request.deadline_ns = kolk_in_ms(1000);
	assert_int_equal(kolk_redis_pipeline(&lease, &request, &reply), KOLK_E_UNSUPPORTED);
	assert_null(reply);
	reply = ask(&lease, KOLK_OK, 1, ping);
	assert_int_equal(reply->count, 2);
	assert_string_equal(reply->elements[0].text, "pong");
	kolk_redis_reply_free(reply);
	assert_int_equal(kolk_redis_listen(&lease, kolk_in_ms(1000), &reply), KOLK_OK);
	assert_int_equal(reply->count, 3);
	assert_string_equal(reply->elements[2].text, "m");
	kolk_redis_reply_free(reply);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	fixture_close(&fixture);
}

/* 32 messages of 4 KiB, then the reply. */
static void mock_flood(struct kit_mock_conn *conn, void *user)
{
	char text[512], body[4096];

	(void)user;
	memset(body, 'm', sizeof body);
	if (!open_well(conn) || !kit_mock_read_until(conn, "$1\r\nc\r\n", text, sizeof text, 2000))
		return;
	kit_mock_say(conn, "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
	if (!kit_mock_read_until(conn, "PING\r\n", text, sizeof text, 3000))
		return;
	for (int i = 0; i < 32; i++) {
		kit_mock_say(conn, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4096\r\n");
		kit_mock_send(conn, body, sizeof body);
		kit_mock_say(conn, "\r\n");
	}
	kit_mock_say(conn, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
	kit_mock_drain(conn, 2000);
}

static void messages_that_wait_are_bounded(void **state)
{
	(void)state;
	for (uint64_t bytes_max = 65536; bytes_max <= 1 << 20; bytes_max <<= 4) {
		struct fixture fixture = { .redis.reply_bytes_max = bytes_max };
		struct kolk_lease lease;

		fixture_open(&fixture, mock_flood);
		lease = lease_of(&fixture);
		ask_for(&lease, KOLK_OK, 2, subscribe);
		ask_for(&lease, bytes_max < 32 * 4096 ? KOLK_E_LIMIT : KOLK_OK, 1, ping);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		fixture_close(&fixture);
	}
}

/* RESET ends a transaction, too: what is subscribed to then is not queued. */
static void mock_reset(struct kit_mock_conn *conn, void *user)
{
	char text[512];

	(void)user;
	if (!open_well(conn) || !kit_mock_read_until(conn, "MULTI\r\n", text, sizeof text, 2000))
		return;
	kit_mock_say(conn, "+OK\r\n");
	if (!kit_mock_read_until(conn, "RESET\r\n", text, sizeof text, 2000))
		return;
	kit_mock_say(conn, "+RESET\r\n");
	if (!kit_mock_read_until(conn, "$1\r\nc\r\n", text, sizeof text, 2000))
		return;
	kit_mock_say(conn, "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
	kit_mock_drain(conn, 2000);
}

static void reset_ends_a_transaction(void **state)
{
	static const char *const multi[] = { "MULTI" }, *const reset[] = { "RESET" };
	struct fixture fixture = { 0 };
	struct kolk_lease lease;

	(void)state;
	fixture_open(&fixture, mock_reset);
	lease = lease_of(&fixture);
	ask_for(&lease, KOLK_OK, 1, multi);
	ask_for(&lease, KOLK_E_UNSUPPORTED, 2, subscribe);
	ask_for(&lease, KOLK_OK, 1, reset);
	ask_for(&lease, KOLK_OK, 2, subscribe);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	fixture_close(&fixture);
}

static const char hello[] = "%2\r\n+server\r\n+redis\r\n$5\r\nproto\r\n:3\r\n";

/* A subscriber may request a list that looks like a message; the confirmation of a cancelled
 * SUBSCRIBE is discarded. */
static void mock_resp3_subscriber(struct kit_mock_conn *conn, void *user)
{
	static const char confirmed[] = ">3\r\n$9\r\nsubscribe\r\n$1\r\n?\r\n:1\r\n";
	struct fixture *fixture = user;
	char text[512], answer[sizeof confirmed];

	memcpy(answer, confirmed, sizeof answer);
	if (!kit_mock_read_until(conn, "$4\r\nPING\r\n", text, sizeof text, 1000))
		return;
	kit_mock_say(conn, hello);
	kit_mock_say(conn, "+PONG\r\n");
	while (kit_mock_read_until(conn, "\r\n", text, sizeof text, 3000)) {
		if (strcmp(text, "LRANGE\r\n") == 0) {
			kit_mock_say(conn, "*2\r\n$7\r\nmessage\r\n$1\r\nx\r\n");
		} else if (strcmp(text, "SUBSCRIBE\r\n") == 0) {
			kit_mock_read(conn, NULL, 4, 1000);
			kit_mock_read(conn, text, 3, 1000);
			answer[23] = text[0];
			if (text[0] == 'l') /* late */
				kit_mock_wait(conn, 50000);
			kit_mock_say(conn, answer);
			kolk__add_acq_rel(&fixture->step, 1);
		} else if (strcmp(text, "RESET\r\n") == 0) {
			kit_mock_say(conn, "+RESET\r\n");
		} else if (strcmp(text, "HELLO\r\n") == 0) {
			kit_mock_say(conn, hello);
		} else if (memcmp(text, "kolk", 4) == 0) {
			text[strlen(text) - 2] = '\0';
			say_word(conn, text);
		}
	}
}

static void resp3_replies_to_a_subscriber_are_no_messages(void **state)
{
	static const char *const range[] = { "LRANGE" };
	const struct kolk_redis_reply *reply;
	struct fixture fixture = { .redis.resp = 3 };
	struct kolk_lease lease;

	(void)state;
	if (!kolk_redis_has_resp3())
		SKIP_BECAUSE("hiredis is older than 1.0");
	fixture_open(&fixture, mock_resp3_subscriber);
	lease = lease_of(&fixture);
	ask_for(&lease, KOLK_OK, 2, subscribe);
	reply = ask(&lease, KOLK_OK, 1, range);
	assert_int_equal(reply->count, 2);
	kolk_redis_reply_free(reply);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	fixture_close(&fixture);
}

static void a_late_confirmation_is_discarded(void **state)
{
	static const char *const late[] = { "SUBSCRIBE", "l" };
	const struct kolk_redis_reply *reply;
	struct fixture fixture = { .redis.resp = 3 };
	struct kolk_lease lease;
	uint64_t number;

	(void)state;
	if (!kolk_redis_has_resp3())
		SKIP_BECAUSE("hiredis is older than 1.0");
	fixture_open(&fixture, mock_resp3_subscriber);
	lease = lease_of(&fixture);
	number = number_of(&lease);
	assert_int_equal(kolk_redis_command(&lease, kolk_in_ms(10), 2, late, NULL, &reply),
			 KOLK_E_TIMEOUT);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	lease = lease_of(&fixture);
	assert_int_equal(number_of(&lease), number);
	reply = ask(&lease, KOLK_OK, 2, subscribe);
	assert_string_equal(reply->elements[1].text, "c");
	kolk_redis_reply_free(reply);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	fixture_close(&fixture);
}

/* ---- a long request on a slow line: what goes out is no silence */

/* Far more than the kernel keeps for a peer that does not read. */
enum { LONG_BYTES = 24 << 20, LONG_PARTS = 48 };

static void mock_slow_reader(struct kit_mock_conn *conn, void *user)
{
	size_t left = LONG_BYTES;
	char text[512];

	(void)user;
	if (!open_well(conn) || !kit_mock_read_until(conn, "25165824\r\n", text, sizeof text, 2000))
		return;
	for (size_t part = LONG_BYTES / LONG_PARTS; left > 0; left -= part) {
		kit_mock_wait(conn, 20000);
		if (!kit_mock_read(conn, NULL, part, 1000))
			return;
	}
	kit_mock_say(conn, "+OK\r\n");
	kit_mock_drain(conn, 2000);
}

struct ended {
	kolk__atomic_int count;
	enum kolk_err err;
};

static void on_long_reply(void *user, enum kolk_err err, const struct kolk_redis_reply *reply)
{
	struct ended *ended = user;

	ended->err = err;
	kolk_redis_reply_free(reply);
	kolk__add_acq_rel(&ended->count, 1);
}

struct start {
	struct kolk_call call;
	struct fixture *fixture;
	const struct kolk_redis_request *request;
	struct ended ended;
};

static void start_long(struct kolk_call *call, void *user)
{
	struct start *start = user;
	struct kolk_loop *loop = kolk_engine_loop(start->fixture->engine, 0);
	enum kolk_err err = kolk_redis_call_start(loop, start->fixture->key, start->request,
						  on_long_reply, &start->ended, NULL);

	(void)call;
	if (err != KOLK_PENDING)
		on_long_reply(&start->ended, err, NULL);
}

static void what_goes_out_is_no_silence(void **state)
{
	char *value = calloc(1, LONG_BYTES);
	const char *const words[] = { "SET", "k", value };
	const size_t sizes[] = { 3, 1, LONG_BYTES };
	const struct kolk_redis_command command = { 3, words, sizes };
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);
	struct kit_mock_options slow = { .play = mock_slow_reader, .receive_bytes = 65536 };

	(void)state;
	assert_non_null(value);
	request.commands = &command;
	request.count = 1;
	for (int on_loop = 0; on_loop < 2; on_loop++) {
		struct fixture fixture = { .redis.silence_timeout_ns = 400 * KOLK_MS_NS };
		struct start start = { .fixture = &fixture, .request = &request };
		const struct kolk_redis_reply *reply;

		fixture_open_on(&fixture, &slow);
		request.deadline_ns = kolk_in_ms(10000);
		if (on_loop) {
			assert_int_equal(kolk_loop_call(kolk_engine_loop(fixture.engine, 0), &start.call,
							start_long, &start), KOLK_OK);
			assert_true(WITHIN_MS(10000, kolk__load_acquire(&start.ended.count) == 1));
			assert_int_equal(start.ended.err, KOLK_OK);
		} else {
			assert_int_equal(kolk_redis_call(fixture.key, &request, &reply), KOLK_OK);
			kolk_redis_reply_free(reply);
		}
		fixture_close(&fixture);
	}
	free(value);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(late_setup_is_never_read),
	cmocka_unit_test(refusals_are_distinguished),
	cmocka_unit_test(unsolicited_on_an_idle_connection),
	cmocka_unit_test(pushes_come_at_any_time),
	cmocka_unit_test(late_replies_are_discarded),
	cmocka_unit_test(cut_pipelines),
	cmocka_unit_test(hostile_replies),
	cmocka_unit_test(only_replayable_calls_are_repeated),
	cmocka_unit_test(a_subscriber_asks_one_thing_at_a_time),
	cmocka_unit_test(messages_that_wait_are_bounded),
	cmocka_unit_test(reset_ends_a_transaction),
	cmocka_unit_test(resp3_replies_to_a_subscriber_are_no_messages),
	cmocka_unit_test(a_late_confirmation_is_discarded),
	cmocka_unit_test(what_goes_out_is_no_silence),
};
CMOCKA_TESTS(redis_mock, tests);
