/* SPDX-License-Identifier: Apache-2.0 */
/* driver_test.c - transport/driver.c: an answer in every cut, and none that is wrong. */
#include "tests/unit/unit.h"

#include <string.h>

/* Feed a whole answer in pieces of this size, as after a ping; the last result. */
static enum kolk_err feed(const char *answer, size_t piece)
{
	const struct kolk_driver *driver = kolk_driver_redis_ping();
	uint64_t session[8] = { 0 };
	size_t size = strlen(answer);
	enum kolk_err err = KOLK_PENDING;

	assert_true(driver->session_bytes <= sizeof session);
	for (size_t at = 0; at < size && err == KOLK_PENDING; at += piece)
		err = driver->feed(NULL, session, NULL, answer + at,
				   size - at < piece ? size - at : piece);
	return err;
}

static void redis_answers(void **state)
{
	(void)state;
	for (size_t piece = 1; piece <= 7; piece++)
		assert_int_equal(feed("+PONG\r\n", piece), KOLK_OK);
	assert_int_equal(feed("+PON", 7), KOLK_PENDING);
	assert_int_equal(feed("+PONG\r\n+", 8), KOLK_E_PROTOCOL);
	assert_int_equal(feed("-ERR unknown\r\n", 14), KOLK_E_PROTOCOL);
	assert_int_equal(feed("-NOAUTH", 7), KOLK_E_AUTH);
}

int driver_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(redis_answers),
	};

	return cmocka_run_group_tests_name("driver", tests, NULL, NULL);
}
