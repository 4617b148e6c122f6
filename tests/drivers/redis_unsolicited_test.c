/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_unsolicited_test.c - what a Redis sends that is no reply: the end of a subscription whose
 * shard moved away, the lines of MONITOR and of the script debugger. Against a scripted server.
 */
#include <string.h>

#include "tests/drivers/redis_mock.h"
#include "tests/kit/cmocka/run.h"
#include "tests/kit/tap.h"

#define ARRAY(mark, word, channel, count)                                                 \
	mark "3\r\n$" word "\r\n$1\r\n" channel "\r\n:" count "\r\n"
#define SUBSCRIBE(count) ARRAY("*", "9\r\nsubscribe", "c", count)
#define SSUBSCRIBE(count) ARRAY("*", "10\r\nssubscribe", "s", count)
#define UNSUBSCRIBE(count) ARRAY("*", "11\r\nunsubscribe", "c", count)
#define PUNSUBSCRIBE(count) ARRAY("*", "12\r\npunsubscribe", "c", count)
#define SUNSUBSCRIBE(channel, count) ARRAY("*", "12\r\nsunsubscribe", channel, count)
#define PUSHED_SUBSCRIBE ARRAY(">", "9\r\nsubscribe", "c", "1")
#define PUSHED_SUNSUBSCRIBE ARRAY(">", "12\r\nsunsubscribe", "s", "0")
#define LINE "+1700000000.1 [0 127.0.0.1:1] \"GET\" \"canary\"\r\n"

/* Words separated by blanks; the text of the reply, or of an array's first element. */
static enum kolk_err ask(struct redis_fixture *fixture, const char *text, const char *answer)
{
	const struct kolk_redis_reply *reply = NULL, *first;
	char copy[128], *rest = copy;
	const char *words[8];
	enum kolk_err err;
	size_t count = 0;

	strcpy(copy, text);
	while (count < 8 && (words[count] = strtok_r(rest, " ", &rest)) != NULL)
		count++;
	err = kolk_redis_command(&fixture->lease, kolk_in_ms(1000), count, words, NULL, &reply);
	if (err == KOLK_OK) {
		first = reply->count > 0 ? reply->elements : reply;
		assert_string_equal(first->text, answer);
	}
	kolk_redis_reply_free(reply);
	return err;
}

static enum kolk_err ask_two(struct redis_fixture *fixture, const char *first, const char *second)
{
	const struct kolk_redis_command commands[] = { { 1, &first, NULL }, { 1, &second, NULL } };
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);
	const struct kolk_redis_reply *reply;
	enum kolk_err err;

	request.count = 2;
	request.commands = commands;
	request.deadline_ns = kolk_in_ms(1000);
	err = kolk_redis_pipeline(&fixture->lease, &request, &reply);
	kolk_redis_reply_free(reply);
	return err;
}

static enum kolk_err expect_message(struct redis_fixture *fixture, const char *kind)
{
	const struct kolk_redis_reply *reply = NULL;
	enum kolk_err err = kolk_redis_listen(&fixture->lease, kolk_in_ms(1000), &reply);

	if (err == KOLK_OK)
		assert_string_equal(reply->elements[0].text, kind);
	kolk_redis_reply_free(reply);
	return err;
}

/* ---- subscriptions that end unsolicited */

static void a_listener_receives_the_end(void **state)
{
	static const struct redis_line scripts[][4] = {
		{ { "\r\ns\r\n", SSUBSCRIBE("1") SUNSUBSCRIBE("s", "0") }, { "w\r\n", "$1\r\nw\r\n" } },
		{ { "\r\nc\r\n", SUBSCRIBE("1") UNSUBSCRIBE("0") }, { "w\r\n", "$1\r\nw\r\n" } },
		{ { "\r\nc\r\n", SUBSCRIBE("1") PUNSUBSCRIBE("0") }, { "w\r\n", "$1\r\nw\r\n" } },
	};
	static const char *const asked[][3] = { { "SSUBSCRIBE s", "ssubscribe", "sunsubscribe" },
						{ "SUBSCRIBE c", "subscribe", "unsubscribe" },
						{ "SUBSCRIBE c", "subscribe", "punsubscribe" } };
	struct redis_fixture fixture;

	(void)state;
	for (int i = 0; i < 3; i++) {
		redis_mock_open_script(&fixture, 2, scripts[i]);
		assert_int_equal(ask(&fixture, asked[i][0], asked[i][1]), KOLK_OK);
		assert_int_equal(expect_message(&fixture, asked[i][2]), KOLK_OK);
		assert_int_equal(ask(&fixture, "ECHO w", "w"), KOLK_OK);
		redis_mock_close(&fixture);
	}
}

/* In front of a reply: it is no reply. */
static void it_is_no_reply(void **state)
{
	static const struct redis_line script[] = {
		{ "\r\ns\r\n", SSUBSCRIBE("1") },
		{ "PING\r\n", SUNSUBSCRIBE("s", "0") "+PONG\r\n" },
		{ "\r\ns\r\n", SSUBSCRIBE("1") },
		{ "\r\nc\r\n", SUNSUBSCRIBE("s", "0") SUBSCRIBE("1") },
		{ "\r\nc\r\n", UNSUBSCRIBE("0") },
		{ NULL, NULL },
	};
	struct redis_fixture fixture;

	(void)state;
	redis_mock_open_script(&fixture, 2, script);
	assert_int_equal(ask(&fixture, "SSUBSCRIBE s", "ssubscribe"), KOLK_OK);
	assert_int_equal(ask(&fixture, "PING", "PONG"), KOLK_OK);
	assert_int_equal(expect_message(&fixture, "sunsubscribe"), KOLK_OK);
	assert_int_equal(ask(&fixture, "SSUBSCRIBE s", "ssubscribe"), KOLK_OK);
	assert_int_equal(ask(&fixture, "SUBSCRIBE c", "subscribe"), KOLK_OK);
	assert_int_equal(expect_message(&fixture, "sunsubscribe"), KOLK_OK);
	assert_int_equal(ask(&fixture, "UNSUBSCRIBE c", "unsubscribe"), KOLK_OK);
	redis_mock_close(&fixture);
}

/* The slot moves while the caller ends the subscription: the end comes twice. */
static void an_end_that_crosses(void **state)
{
	static const struct redis_line script[] = {
		{ "\r\ns\r\n", SSUBSCRIBE("1") },
		{ "\r\ns\r\n", SUNSUBSCRIBE("s", "0") },
		{ "w\r\n", SUNSUBSCRIBE("s", "0") "$1\r\nw\r\n" },
		{ NULL, NULL },
	};
	struct redis_fixture fixture;

	(void)state;
	redis_mock_open_script(&fixture, 2, script);
	assert_int_equal(ask(&fixture, "SSUBSCRIBE s", "ssubscribe"), KOLK_OK);
	assert_int_equal(ask(&fixture, "SUNSUBSCRIBE s", "sunsubscribe"), KOLK_OK);
	assert_int_equal(ask_two(&fixture, "PING", "PING"), KOLK_E_UNSUPPORTED);
	assert_int_equal(ask(&fixture, "ECHO w", "w"), KOLK_OK);
	redis_mock_close(&fixture);
}

static void an_end_in_resp3(void **state)
{
	static const struct redis_line script[] = {
		{ "\r\nc\r\n", PUSHED_SUNSUBSCRIBE PUSHED_SUBSCRIBE },
		{ "w\r\n", PUSHED_SUNSUBSCRIBE "$1\r\nw\r\n" },
		{ NULL, NULL },
	};
	struct redis_fixture fixture;

	(void)state;
	if (!kolk_redis_has_resp3())
		SKIP_BECAUSE("hiredis has no RESP3");
	redis_mock_open_script(&fixture, 3, script);
	assert_int_equal(ask(&fixture, "SUBSCRIBE c", "subscribe"), KOLK_OK);
	assert_int_equal(expect_message(&fixture, "sunsubscribe"), KOLK_OK);
	assert_int_equal(ask(&fixture, "ECHO w", "w"), KOLK_OK);
	assert_int_equal(expect_message(&fixture, "sunsubscribe"), KOLK_OK);
	redis_mock_close(&fixture);
}

/* ---- connections that are taken over */

static void nothing_is_asked_after_it(void **state)
{
	static const struct redis_line monitor[] = { { "MONITOR\r\n", "+OK\r\n" LINE },
						     { NULL, NULL } },
				       debug[] = { { "YES\r\n", "+OK\r\n" }, { NULL, NULL } };
	static const char *const commands[] = { "MONITOR", "SCRIPT DEBUG YES" };
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct kit_mock_counts counts;
	struct redis_fixture fixture;

	(void)state;
	for (int i = 0; i < 2; i++) {
		redis_mock_open_script(&fixture, 2, i == 0 ? monitor : debug);
		assert_int_equal(ask(&fixture, commands[i], "OK"), KOLK_OK);
		counts = kit_mock_counts(fixture.mock);
		assert_int_equal(ask(&fixture, "GET a", ""), KOLK_E_UNSUPPORTED);
		assert_int_equal(ask(&fixture, "RESET", ""), KOLK_E_UNSUPPORTED);
		assert_int_equal(ask_two(&fixture, "PING", "PING"), KOLK_E_UNSUPPORTED);
		assert_int_equal(expect_message(&fixture, ""), KOLK_E_UNSUPPORTED);
		assert_int_equal(kit_mock_counts(fixture.mock).bytes_in, counts.bytes_in);
		assert_int_equal(kolk_release(&fixture.lease), KOLK_OK);
		assert_true(WITHIN_MS(3000, kolk_pool_stats(fixture.pool, &stats) == KOLK_OK &&
						    stats.open == 0));
		assert_int_equal(kolk_acquire(kolk_pool_key(fixture.pool), kolk_in_ms(3000),
					      &fixture.lease), KOLK_OK);
		redis_mock_close(&fixture);
	}
}

/* The only command of its call, and not where it would be queued. */
static void it_must_be_the_only_command(void **state)
{
	static const struct redis_line script[] = { { "MULTI\r\n", "+OK\r\n" }, { NULL, NULL } };
	struct redis_fixture fixture;

	(void)state;
	redis_mock_open_script(&fixture, 2, script);
	assert_int_equal(ask_two(&fixture, "MONITOR", "PING"), KOLK_E_UNSUPPORTED);
	assert_int_equal(ask_two(&fixture, "PING", "monitor"), KOLK_E_UNSUPPORTED);
	assert_int_equal(ask(&fixture, "MULTI", "OK"), KOLK_OK);
	assert_int_equal(ask(&fixture, "MONITOR", ""), KOLK_E_UNSUPPORTED);
	assert_int_equal(ask(&fixture, "SCRIPT DEBUG SYNC", ""), KOLK_E_UNSUPPORTED);
	redis_mock_close(&fixture);
}

/* The server did not let it. */
static void refused_it_changes_nothing(void **state)
{
	static const struct redis_line script[] = { { "MONITOR\r\n", "-NOPERM no\r\n" },
					      { "w\r\n", "$1\r\nw\r\n" }, { NULL, NULL } };
	struct redis_fixture fixture;

	(void)state;
	redis_mock_open_script(&fixture, 2, script);
	assert_int_equal(ask(&fixture, "MONITOR", "NOPERM no"), KOLK_OK);
	assert_int_equal(ask(&fixture, "ECHO w", "w"), KOLK_OK);
	redis_mock_close(&fixture);
}

/* ---- calls by key */

/* READONLY ends with its call: in front of the commands that need it, it is there. */
static void readonly_is_of_its_call(void **state)
{
	static const char *const readonly[] = { "READONLY" }, *const get[] = { "GET", "a" };
	static const struct kolk_redis_command commands[] = { { 1, readonly, NULL }, { 2, get, NULL } };
	static const struct redis_line script[] = {
		{ "READONLY\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "+OK\r\n$1\r\n1\r\n" },
		{ "*1\r\n$5\r\nRESET\r\n", "+RESET\r\n" },
		{ "$4\r\nkolk", "" },
		{ NULL, NULL },
	};
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);
	const struct kolk_redis_reply *reply;
	struct redis_fixture fixture;

	(void)state;
	redis_mock_open_script(&fixture, 2, script);
	assert_int_equal(kolk_release(&fixture.lease), KOLK_OK);
	request.count = 2;
	request.commands = commands;
	assert_int_equal(kolk_redis_call(kolk_pool_key(fixture.pool), &request, &reply), KOLK_OK);
	assert_string_equal(reply->elements[1].text, "1");
	kolk_redis_reply_free(reply);
	assert_int_equal(kolk_acquire(kolk_pool_key(fixture.pool), kolk_in_ms(3000), &fixture.lease),
			 KOLK_OK);
	redis_mock_close(&fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_listener_receives_the_end),
	cmocka_unit_test(it_is_no_reply),
	cmocka_unit_test(an_end_that_crosses),
	cmocka_unit_test(an_end_in_resp3),
	cmocka_unit_test(nothing_is_asked_after_it),
	cmocka_unit_test(it_must_be_the_only_command),
	cmocka_unit_test(refused_it_changes_nothing),
	cmocka_unit_test(readonly_is_of_its_call),
};
CMOCKA_TESTS(redis_unsolicited, tests);
