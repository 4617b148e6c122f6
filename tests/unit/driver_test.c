/* SPDX-License-Identifier: Apache-2.0 */
/* driver_test.c - transport/driver.c: an answer in every cut, and none that is wrong; buffer.c: what
 * was said is forgotten. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "transport/link.h"

/* Feed a whole answer in pieces of this size, as after a ping; the last result. */
static enum kolk_err feed_pieces(const char *answer, size_t piece)
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
		assert_int_equal(feed_pieces("+PONG\r\n", piece), KOLK_OK);
	assert_int_equal(feed_pieces("+PON", 7), KOLK_PENDING);
	assert_int_equal(feed_pieces("+PONG\r\n+", 8), KOLK_E_PROTOCOL);
	assert_int_equal(feed_pieces("-ERR unknown\r\n", 14), KOLK_E_PROTOCOL);
	assert_int_equal(feed_pieces("-NOAUTH", 7), KOLK_E_AUTH);
}

/* ---- passwords */

static int freed;

static void *take(void *context, size_t alignment, size_t size)
{
	(void)context;
	(void)alignment;
	return calloc(1, size);
}

static void give(void *context, void *memory, size_t size)
{
	(void)context;
	for (size_t i = 0; i < size; i++)
		assert_int_equal(((uint8_t *)memory)[i], 0);
	freed++;
	free(memory);
}

static void what_was_said_is_forgotten(void **state)
{
	const struct kolk_sys sys = { .allocate = take, .deallocate = give };
	const struct kolk__transport transport = { .sys = &sys };
	struct kolk__buffer buffer = { 0 };

	(void)state;
	for (int i = 0; i < 100; i++) /* it grows, and moves, several times */
		assert_true(kolk__buffer_add(&transport, &buffer, "AUTH secret\r\n", 13));
	kolk__buffer_wipe(&transport, &buffer);
	assert_true(freed >= 3);
	assert_int_equal(buffer.capacity, 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(redis_answers),
	cmocka_unit_test(what_was_said_is_forgotten),
};

CMOCKA_TESTS(driver, tests);
