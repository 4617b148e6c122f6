/* SPDX-License-Identifier: Apache-2.0 */
/* redis_mock_test.c - the Redis driver against servers that are late, talkative or wrong. */
#include "tests/kit/cmocka/run.h"

#include <stdlib.h>
#include <string.h>

#include "tests/drivers/redis_mock.h"
#include "tests/kit/tap.h"

/* ---- setup */

/* The first connection answers AUTH and SELECT when the dial has given up. */
static void mock_late_setup(struct kit_mock_conn *conn, void *user)
{
	struct redis_fixture *fixture = user;
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
		mock_serve(conn);
}

static void late_setup_is_never_read(void **state)
{
	struct redis_fixture fixture = { 0 };
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_lease lease;

	(void)state;
	fixture.ready_ns = 100 * KOLK_MS_NS;
	fixture.redis.password = "canary";
	fixture.redis.database = 1;
	redis_mock_open(&fixture, mock_late_setup);
	/* The time is short for the good connections as well: some of them may fail. */
	assert_true(WITHIN_MS(10000,
			      kolk_acquire(fixture.key, kolk_in_ms(3000), &lease) == KOLK_OK));
	assert_true(kolk_key_failure(fixture.key, &failure));
	assert_int_equal(failure.err, KOLK_E_DIAL_TIMEOUT);
	assert_int_equal(failure.phase, KOLK_PHASE_READY);
	assert_int_equal(redis_echo(&lease, "mine", 1000), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	redis_mock_close(&fixture);
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
	struct redis_fixture *fixture = user;
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
	static const char resource[] = "the server loads, is busy or full, or has lost its master";
	static const char *const details[] = { resource, resource, "user or password" };
	struct kolk_lease lease;

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct redis_fixture fixture = { .step = KOLK__ATOMIC_INIT(i) };
		struct kolk_failure failure = KOLK_INIT(kolk_failure);

		redis_mock_open(&fixture, mock_refusals);
		assert_int_equal(kolk_acquire(fixture.key, kolk_in_ms(1000), &lease), expected[i]);
		assert_true(kolk_key_failure(fixture.key, &failure));
		if (i < 3)
			assert_string_equal(failure.detail, details[i]);
		else
			assert_null(failure.detail);
		redis_mock_close(&fixture);
	}
}

/* ---- idle */

/* At a step of the test, something arrives unsolicited. */
static void mock_idle(struct kit_mock_conn *conn, void *user)
{
	struct redis_fixture *fixture = user;
	char word[64];

	if (!mock_open_well(conn))
		return;
	if (kit_mock_number(conn) > 0) {
		mock_serve(conn);
		return;
	}
	if (!mock_next_word(conn, word) || !mock_say_word(conn, word))
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
		struct redis_fixture fixture = { 0 };
		struct kolk_lease lease;
		uint64_t number;

		redis_mock_open(&fixture, mock_idle);
		lease = redis_lease(&fixture);
		number = redis_number(&lease);
		assert_int_equal(redis_echo(&lease, "first", 1000), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		kolk__store_release(&fixture.step, step);
		assert_true(WITHIN_MS(2000, step == 2 || kolk__load_acquire(&fixture.step) == 9));
		lease = redis_lease(&fixture);
		if (redis_number(&lease) == number) { /* a hit before it was seen */
			assert_int_not_equal(redis_echo(&lease, "second", 1000), KOLK_OK);
			assert_int_equal(kolk_release(&lease), KOLK_OK);
			lease = redis_lease(&fixture);
		}
		assert_int_not_equal(redis_number(&lease), number);
		assert_int_equal(redis_echo(&lease, "third", 1000), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		redis_mock_close(&fixture);
	}
}

/* RESP3: pushes may come at any time, in any pieces. */
static void mock_pushes(struct kit_mock_conn *conn, void *user)
{
	static const char push[] = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
	struct redis_fixture *fixture = user;
	char text[512], word[64];

	if (!kit_mock_read_until(conn, "$4\r\nPING\r\n", text, sizeof text, 1000))
		return;
	kit_mock_say(conn, "%2\r\n+server\r\n+redis\r\n$5\r\nproto\r\n:3\r\n");
	kit_mock_say(conn, push);
	kit_mock_say(conn, "+PONG\r\n");
	if (!mock_next_word(conn, word))
		return;
	kit_mock_say(conn, push);
	mock_say_word(conn, word);
	while (kolk__load_acquire(&fixture->step) == 0 && kit_mock_wait(conn, 1000))
		;
	kit_mock_say(conn, push); /* idle */
	kit_mock_send(conn, push, 9);
	kolk__store_release(&fixture->step, 2);
	if (!mock_next_word(conn, word))
		return;
	kit_mock_send(conn, push + 9, sizeof push - 1 - 9);
	mock_say_word(conn, word);
	kit_mock_drain(conn, 2000);
}

static void pushes_come_at_any_time(void **state)
{
	struct redis_fixture fixture = { 0 };
	struct kolk_lease lease;
	uint64_t number;

	(void)state;
	if (!kolk_redis_has_resp3())
		SKIP_BECAUSE("hiredis is older than 1.0");
	fixture.redis.resp = 3;
	redis_mock_open(&fixture, mock_pushes);
	lease = redis_lease(&fixture);
	number = redis_number(&lease);
	assert_int_equal(redis_echo(&lease, "first", 1000), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	kolk__store_release(&fixture.step, 1);
	assert_true(WITHIN_MS(2000, kolk__load_acquire(&fixture.step) == 2)); /* received at the
	                                                                       * latest by the next
	                                                                       * lease */
	lease = redis_lease(&fixture);
	assert_int_equal(redis_number(&lease), number);
	assert_int_equal(redis_echo(&lease, "second", 1000), KOLK_OK);
	assert_int_equal(kolk__load_acquire(&fixture.pushes), 4);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	redis_mock_close(&fixture);
}

/* ---- abandoned commands */

/* The first reply comes when its caller has left; fixture.step says what else is wrong. */
static void mock_late(struct kit_mock_conn *conn, void *user)
{
	struct redis_fixture *fixture = user;
	char word[64];

	if (!mock_open_well(conn))
		return;
	if (kit_mock_number(conn) == 0) {
		if (!mock_next_word(conn, word))
			return;
		mock_await_left(conn, fixture);
		if (kolk__load_acquire(&fixture->step) == 1) /* and when the pool has given up */
			(void)WITHIN_MS(5000, kit_mock_counts(kit_mock_of(conn)).accepted == 2);
		if (kolk__load_acquire(&fixture->step) == 3)
			kit_mock_send_slowly(conn, "$5\r\nfirst\r\n", 11, 1, 5000);
		else
			mock_say_word(conn, word);
		if (kolk__load_acquire(&fixture->step) == 2)
			kit_mock_say(conn, "+OK\r\n"); /* and an unsolicited one */
	}
	mock_serve(conn);
}

static void late_replies_are_discarded(void **state)
{
	(void)state;
	for (int step = 0; step <= 3; step++) {
		struct redis_fixture fixture = { .step = KOLK__ATOMIC_INIT(step) };
		struct kolk_lease lease;
		uint64_t number;

		redis_mock_open(&fixture, mock_late);
		lease = redis_lease(&fixture);
		number = redis_number(&lease);
		assert_int_equal(redis_echo(&lease, "first", 100), KOLK_E_TIMEOUT);
		kolk__store_release(&fixture.left, true);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		lease = redis_lease(&fixture);
		/* In time and in order: the same one; too late, or out of step: not. */
		if (step == 0 || step == 3)
			assert_int_equal(redis_number(&lease), number);
		else
			assert_int_not_equal(redis_number(&lease), number);
		assert_int_equal(redis_echo(&lease, "second", 1000), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		redis_mock_close(&fixture);
	}
}

/* Three replies, cut at every byte: then the deadline passes, and the rest comes. */
static const char three[] = "$1\r\na\r\n*2\r\n:1\r\n:2\r\n-ERR b\r\n";

static void mock_cut(struct kit_mock_conn *conn, void *user)
{
	struct redis_fixture *fixture = user;
	char text[512];
	size_t cut = (size_t)kolk__load_acquire(&fixture->step);

	if (!mock_open_well(conn))
		return;
	if (kit_mock_read_until(conn, "$5\r\nthird\r\n", text, sizeof text, 3000)) {
		kit_mock_send(conn, three, cut);
		while (kolk__load_acquire(&fixture->step) >= 0 && kit_mock_wait(conn, 500))
			;
		kit_mock_send(conn, three + cut, sizeof three - 1 - cut);
	}
	mock_serve(conn);
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
		struct redis_fixture fixture = { .step = KOLK__ATOMIC_INIT(cut) };
		const struct kolk_redis_reply *reply;
		struct kolk_lease lease;
		uint64_t number;

		redis_mock_open(&fixture, mock_cut);
		lease = redis_lease(&fixture);
		number = redis_number(&lease);
		request.deadline_ns = kolk_in_ms(50);
		assert_int_equal(kolk_redis_pipeline(&lease, &request, &reply), KOLK_E_TIMEOUT);
		assert_null(reply);
		kolk__store_release(&fixture.step, -1);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		lease = redis_lease(&fixture);
		assert_int_equal(redis_number(&lease), number);
		assert_int_equal(redis_echo(&lease, "mine", 1000), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		redis_mock_close(&fixture);
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
	struct redis_fixture *fixture = user;
	char word[64];

	if (!mock_open_well(conn) || !mock_next_word(conn, word))
		return;
	if (kit_mock_number(conn) == 0) {
		kit_mock_say(conn, answers[kolk__load_acquire(&fixture->step)]);
		if (kolk__load_acquire(&fixture->step) == 5 && mock_next_word(conn, word))
			kit_mock_say(conn, "re\r\n");
		kit_mock_drain(conn, 2000);
		return;
	}
	mock_say_word(conn, word);
	mock_serve(conn);
}

static void hostile_replies(void **state)
{
	static const enum kolk_err expected[] = { KOLK_E_LIMIT, KOLK_E_LIMIT, KOLK_E_LIMIT,
						  KOLK_E_PROTOCOL, KOLK_OK, KOLK_OK };

	(void)state;
	for (int step = 0; step < 6; step++) {
		struct redis_fixture fixture = { .step = KOLK__ATOMIC_INIT(step) };
		struct kolk_lease lease;
		uint64_t number;

		redis_mock_open(&fixture, mock_hostile);
		lease = redis_lease(&fixture);
		number = redis_number(&lease);
		assert_int_equal(redis_echo(&lease, "first", 1000), expected[step]);
		if (step >= 4) /* one too many, or its beginning: not for the next command either */
			assert_int_not_equal(redis_echo(&lease, "more", 1000), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		lease = redis_lease(&fixture);
		assert_int_not_equal(redis_number(&lease), number);
		assert_int_equal(redis_echo(&lease, "mine", 1000), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		redis_mock_close(&fixture);
	}
}

/* ---- once more, but never twice */

/* Serves one ECHO on the first connection, then executes and hangs up. */
static void mock_hang_up(struct kit_mock_conn *conn, void *user)
{
	char word[64];

	(void)user;
	if (!mock_open_well(conn))
		return;
	if (kit_mock_number(conn) == 0 && mock_next_word(conn, word))
		mock_say_word(conn, word);
	while (mock_next_word(conn, word)) {
		kit_mock_execute(conn, (uint64_t)atoi(word));
		if (kit_mock_number(conn) == 0)
			return;
		mock_say_word(conn, word);
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
		struct redis_fixture fixture = { 0 };
		struct kolk_lease lease;

		request.commands = &command;
		request.count = 1;
		request.replayable = replayable;
		request.deadline_ns = kolk_in_ms(3000);
		redis_mock_open(&fixture, mock_hang_up);
		lease = redis_lease(&fixture);
		assert_int_equal(redis_echo(&lease, "first", 1000), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		assert_int_equal(kolk_redis_call(fixture.key, &request, &reply),
				 replayable ? KOLK_OK : KOLK_E_CLOSED);
		assert_int_equal(kit_mock_executions(fixture.mock, 77), 1 + replayable);
		kolk_redis_reply_free(reply);
		redis_mock_close(&fixture);
	}
}

/* On its first connection it says how long a value is, and of it no more than its beginning. */
static void mock_long_value(struct kit_mock_conn *conn, void *user)
{
	char text[512];

	(void)user;
	if (!mock_open_well(conn) ||
	    !kit_mock_read_until(conn, "$4\r\nlong\r\n", text, sizeof text, 10000))
		return;
	kit_mock_say(conn, kit_mock_number(conn) == 0 ? "$100000\r\nxxxx" : "$4\r\nxxxx\r\n");
	kit_mock_drain(conn, 10000);
}

/* A call's own limit ends it before what is too long has come; others go on. */
static void a_call_limits_its_reply(void **state)
{
	static const char *const words[] = { "ECHO", "long" };
	const struct kolk_redis_command command = { 2, words, NULL };
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);
	const struct kolk_redis_reply *reply;
	struct redis_fixture fixture = { 0 };

	(void)state;
	request.commands = &command;
	request.count = 1;
	request.reply_bytes_max = 1000;
	request.deadline_ns = kolk_in_ms(10000);
	redis_mock_open(&fixture, mock_long_value);
	assert_int_equal(kolk_redis_call(fixture.key, &request, &reply), KOLK_E_LIMIT);
	assert_int_equal(kolk_redis_call(fixture.key, &request, &reply), KOLK_OK);
	assert_string_equal(reply->text, "xxxx");
	kolk_redis_reply_free(reply);
	redis_mock_close(&fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_call_limits_its_reply),
	cmocka_unit_test(late_setup_is_never_read),
	cmocka_unit_test(refusals_are_distinguished),
	cmocka_unit_test(unsolicited_on_an_idle_connection),
	cmocka_unit_test(pushes_come_at_any_time),
	cmocka_unit_test(late_replies_are_discarded),
	cmocka_unit_test(cut_pipelines),
	cmocka_unit_test(hostile_replies),
	cmocka_unit_test(only_replayable_calls_are_repeated),
};
CMOCKA_TESTS(redis_mock, tests);
