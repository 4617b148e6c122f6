/* SPDX-License-Identifier: Apache-2.0 */
/* redis_subscriber_test.c - a subscriber's commands: what is a message, what a reply, what is
 * discarded, and how much may wait. */
#include "tests/kit/cmocka/run.h"

#include <string.h>

#include "tests/drivers/redis_mock.h"
#include "tests/kit/tap.h"

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
	if (!mock_open_well(conn) ||
	    !kit_mock_read_until(conn, "$1\r\nc\r\n", text, sizeof text, 2000))
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
	struct redis_fixture fixture = { 0 };
	struct kolk_lease lease;

	(void)state;
	redis_mock_open(&fixture, mock_message_first);
	lease = redis_lease(&fixture);
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
	redis_mock_close(&fixture);
}

/* 32 messages of 4 KiB, then the reply. */
static void mock_flood(struct kit_mock_conn *conn, void *user)
{
	char text[512], body[4096];

	(void)user;
	memset(body, 'm', sizeof body);
	if (!mock_open_well(conn) ||
	    !kit_mock_read_until(conn, "$1\r\nc\r\n", text, sizeof text, 2000))
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
		struct redis_fixture fixture = { .redis.reply_bytes_max = bytes_max };
		struct kolk_lease lease;

		redis_mock_open(&fixture, mock_flood);
		lease = redis_lease(&fixture);
		ask_for(&lease, KOLK_OK, 2, subscribe);
		ask_for(&lease, bytes_max < 32 * 4096 ? KOLK_E_LIMIT : KOLK_OK, 1, ping);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		redis_mock_close(&fixture);
	}
}

/* RESET ends a transaction, too: what is subscribed to then is not queued. */
static void mock_reset(struct kit_mock_conn *conn, void *user)
{
	char text[512];

	(void)user;
	if (!mock_open_well(conn) ||
	    !kit_mock_read_until(conn, "MULTI\r\n", text, sizeof text, 2000))
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
	struct redis_fixture fixture = { 0 };
	struct kolk_lease lease;

	(void)state;
	redis_mock_open(&fixture, mock_reset);
	lease = redis_lease(&fixture);
	ask_for(&lease, KOLK_OK, 1, multi);
	ask_for(&lease, KOLK_E_UNSUPPORTED, 2, subscribe);
	ask_for(&lease, KOLK_OK, 1, reset);
	ask_for(&lease, KOLK_OK, 2, subscribe);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	redis_mock_close(&fixture);
}

static const char hello[] = "%2\r\n+server\r\n+redis\r\n$5\r\nproto\r\n:3\r\n";

/* A subscriber may request a list that looks like a message; the confirmation of a cancelled
 * SUBSCRIBE is discarded. */
static void mock_resp3_subscriber(struct kit_mock_conn *conn, void *user)
{
	static const char confirmed[] = ">3\r\n$9\r\nsubscribe\r\n$1\r\n?\r\n:1\r\n";
	struct redis_fixture *fixture = user;
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
				mock_await_left(conn, fixture);
			kit_mock_say(conn, answer);
			kolk__add_acq_rel(&fixture->step, 1);
		} else if (strcmp(text, "RESET\r\n") == 0) {
			kit_mock_say(conn, "+RESET\r\n");
		} else if (strcmp(text, "HELLO\r\n") == 0) {
			kit_mock_say(conn, hello);
		} else if (memcmp(text, "kolk", 4) == 0) {
			text[strlen(text) - 2] = '\0';
			mock_say_word(conn, text);
		}
	}
}

static void resp3_replies_to_a_subscriber_are_no_messages(void **state)
{
	static const char *const range[] = { "LRANGE" };
	const struct kolk_redis_reply *reply;
	struct redis_fixture fixture = { .redis.resp = 3 };
	struct kolk_lease lease;

	(void)state;
	if (!kolk_redis_has_resp3())
		SKIP_BECAUSE("hiredis is older than 1.0");
	redis_mock_open(&fixture, mock_resp3_subscriber);
	lease = redis_lease(&fixture);
	ask_for(&lease, KOLK_OK, 2, subscribe);
	reply = ask(&lease, KOLK_OK, 1, range);
	assert_int_equal(reply->count, 2);
	kolk_redis_reply_free(reply);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	redis_mock_close(&fixture);
}

static void a_late_confirmation_is_discarded(void **state)
{
	static const char *const late[] = { "SUBSCRIBE", "l" };
	const struct kolk_redis_reply *reply;
	struct redis_fixture fixture = { .redis.resp = 3 };
	struct kolk_lease lease;
	uint64_t number;

	(void)state;
	if (!kolk_redis_has_resp3())
		SKIP_BECAUSE("hiredis is older than 1.0");
	redis_mock_open(&fixture, mock_resp3_subscriber);
	lease = redis_lease(&fixture);
	number = redis_number(&lease);
	assert_int_equal(kolk_redis_command(&lease, kolk_in_ms(100), 2, late, NULL, &reply),
			 KOLK_E_TIMEOUT);
	kolk__store_release(&fixture.left, true);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	lease = redis_lease(&fixture);
	assert_int_equal(redis_number(&lease), number);
	reply = ask(&lease, KOLK_OK, 2, subscribe);
	assert_string_equal(reply->elements[1].text, "c");
	kolk_redis_reply_free(reply);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	redis_mock_close(&fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_subscriber_asks_one_thing_at_a_time),
	cmocka_unit_test(messages_that_wait_are_bounded),
	cmocka_unit_test(reset_ends_a_transaction),
	cmocka_unit_test(resp3_replies_to_a_subscriber_are_no_messages),
	cmocka_unit_test(a_late_confirmation_is_discarded),
};
CMOCKA_TESTS(redis_subscriber, tests);
