/* SPDX-License-Identifier: Apache-2.0 */
/* h2_many_test.c - many HTTP/2 connections of a key without a free stream are not gone through. */
#include <sys/mman.h>

#include "tests/kit/cmocka/run.h"
#include "transport/drivers/http_client.h"

enum { MANY = 200, PAGE = 4096 };

static struct http_conn *conn_at(char *pages, size_t i)
{
	return (struct http_conn *)(void *)(pages + i * PAGE);
}

/* Connections without one, each on a page of its own. */
static char *many(struct http_dispatcher *dispatcher)
{
	char *pages = mmap(NULL, MANY * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(pages != MAP_FAILED);
	http_list_init(&dispatcher->queue);
	http_list_init(&dispatcher->acquiring);
	http_list_init(&dispatcher->conns);
	for (size_t i = 0; i < MANY; i++) {
		conn_at(pages, i)->dispatcher = dispatcher;
		http_list_add(&dispatcher->conns, &conn_at(pages, i)->link);
	}
	return pages;
}

/* A look at a page that cannot be read ends the program. */
static void full_ones_are_looked_at_once(void **state)
{
	struct http_dispatcher dispatcher = { .protocol = HTTP_2 };
	char *pages = many(&dispatcher);

	(void)state;
	http_dispatcher_run(&dispatcher);
	assert_ptr_equal(dispatcher.conns.next, &conn_at(pages, 0)->link);
	assert_int_equal(mprotect(pages + PAGE, (MANY - 1) * PAGE, PROT_NONE), 0);
	http_dispatcher_run(&dispatcher);
	assert_int_equal(mprotect(pages + PAGE, (MANY - 1) * PAGE, PROT_READ | PROT_WRITE), 0);
	munmap(pages, MANY * PAGE);
}

static void one_that_has_a_stream_again_is_found(void **state)
{
	struct http_dispatcher dispatcher = { .protocol = HTTP_2 };
	char *pages = many(&dispatcher);
	const size_t wanted[] = { MANY / 2, 0, MANY - 1 };

	(void)state;
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		struct http_conn *conn = conn_at(pages, wanted[i]);

		http_dispatcher_run(&dispatcher);
		conn->streams_free = 1;
		http_conn_has_streams(conn);
		http_dispatcher_run(&dispatcher);
		assert_ptr_equal(dispatcher.conns.next, &conn->link);
		conn->streams_free = 0;
	}
	http_dispatcher_run(&dispatcher);
	assert_ptr_not_equal(dispatcher.conns.next, &conn_at(pages, MANY - 1)->link);
	munmap(pages, MANY * PAGE);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(full_ones_are_looked_at_once),
	cmocka_unit_test(one_that_has_a_stream_again_is_found),
};
CMOCKA_TESTS(h2_many, tests);
