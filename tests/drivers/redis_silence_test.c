/* SPDX-License-Identifier: Apache-2.0 */
/* redis_silence_test.c - a long request on a slow line: what goes out is no silence. */
#include "tests/kit/cmocka/run.h"

#include <stdlib.h>

#include "tests/drivers/redis_mock.h"
#include "tests/kit/tap.h"

/* Far more than the kernel keeps for a peer that does not read. */
enum { LONG_BYTES = 24 << 20, LONG_PARTS = 48 };

static void mock_slow_reader(struct kit_mock_conn *conn, void *user)
{
	size_t left = LONG_BYTES;
	char text[512];

	(void)user;
	if (!mock_open_well(conn) ||
	    !kit_mock_read_until(conn, "25165824\r\n", text, sizeof text, 2000))
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
	struct redis_fixture *fixture;
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
		struct redis_fixture fixture = { .redis.silence_timeout_ns = 400 * KOLK_MS_NS };
		struct start start = { .fixture = &fixture, .request = &request };
		const struct kolk_redis_reply *reply;

		redis_mock_open_on(&fixture, &slow);
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
		redis_mock_close(&fixture);
	}
	free(value);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(what_goes_out_is_no_silence),
};
CMOCKA_TESTS(redis_silence, tests);
