/* SPDX-License-Identifier: Apache-2.0 */
/* http1_upgrade_test.c - another protocol on the same connection: upgrades and tunnels. */
#include "tests/kit/cmocka/run.h"

#include <string.h>

#include "tests/drivers/http1_client.h"
#include "tests/kit/tap.h"

static void mock_upgrade(struct kit_mock_conn *conn, void *user)
{
	char text[4096];
	size_t size;

	(void)user;
	while (http1_head(conn, text, sizeof text)) {
		if (strstr(text, "upgrade: echo") != NULL)
			kit_mock_say(
				conn,
				"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: echo\r\n"
				"\r\nhello");
		else if (strncmp(text, "CONNECT ", 8) == 0)
			kit_mock_say(conn, "HTTP/1.1 200 OK\r\n\r\nhello");
		else
			kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood");
		if (strstr(text, "GET / ") == text && strstr(text, "upgrade") == NULL)
			continue;
		while ((size = kit_mock_read_some(conn, text, sizeof text, 5000)) > 0)
			kit_mock_send(conn, text, size);
		return;
	}
}

static void run_upgrade(struct http1_fixture *fixture, struct ask *ask)
{
	char text[16];
	size_t size;

	assert_int_equal(ask_run(ask), KOLK_OK);
	assert_int_equal(ask->behind, 5);
	assert_memory_equal(ask->body, "hello", 5);
	assert_int_equal(kolk_send_all(&ask->lease, "ping", 4, kolk_in_ms(2000)), KOLK_OK);
	assert_int_equal(kolk_recv(&ask->lease, text, sizeof text, kolk_in_ms(2000), &size),
			 KOLK_OK);
	assert_memory_equal(text, "ping", 4);
	assert_int_equal(kolk_release(&ask->lease), KOLK_OK);
	http1_expect_get(&fixture->client, "good");
}

static void test_upgrade(void **state)
{
	struct http1_fixture fixture;
	struct ask ask;

	(void)state;
	http1_prepare(&fixture);
	http1_open(&fixture, mock_upgrade, NULL);
	ask_init(&ask, &fixture.client, "GET", "/");
	ask.request.upgrade = "echo";
	run_upgrade(&fixture, &ask);
	ask_init(&ask, &fixture.client, "CONNECT", "example:443");
	run_upgrade(&fixture, &ask);
	assert_int_equal(http_fixture_stats(&fixture.client).created, 3);
	http1_close(&fixture);
}

/* The request for a tunnel was cancelled: no other request goes into it, though its answer looks
 * complete (RFC 9110, section 9.3.6: a Content-Length in it means nothing). */
struct tunnel {
	kolk__atomic_bool asked, left, said;
};

static void mock_tunnel(struct kit_mock_conn *conn, void *user)
{
	struct tunnel *tunnel = user;
	char text[4096];

	while (http1_head(conn, text, sizeof text)) {
		if (strncmp(text, "CONNECT ", 8) != 0) {
			kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood");
			continue;
		}
		kolk__store_release(&tunnel->asked, true);
		(void)WITHIN_MS(5000, kolk__load_acquire(&tunnel->left));
		kit_mock_say(conn, OK11 "Content-Length: 0\r\n\r\n");
		kolk__store_release(&tunnel->said, true);
		if (http1_head(conn, text, sizeof text))
			kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\nevil");
		return;
	}
}

static void test_tunnel_left(void **state)
{
	struct tunnel tunnel = {0};
	struct http1_fixture fixture;
	struct ask ask;

	(void)state;
	http1_prepare(&fixture);
	http1_open(&fixture, mock_tunnel, &tunnel);
	ask_init(&ask, &fixture.client, "CONNECT", "example:443");
	ask_start(&ask);
	assert_true(WITHIN_MS(5000, kolk__load_acquire(&tunnel.asked)));
	ask_on_loop(&ask, ask_cancel);
	assert_int_equal(ask_wait(&ask), KOLK_E_CANCELLED);
	kolk__store_release(&tunnel.left, true);
	assert_true(WITHIN_MS(5000, kolk__load_acquire(&tunnel.said)));
	assert_true(WITHIN_MS(5000, http_fixture_stats(&fixture.client).leased == 0));
	http1_expect_get(&fixture.client, "good");
	assert_int_equal(http_fixture_stats(&fixture.client).created, 2);
	http1_close(&fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_upgrade),
	cmocka_unit_test(test_tunnel_left),
};
CMOCKA_TESTS(http1_upgrade, tests);
