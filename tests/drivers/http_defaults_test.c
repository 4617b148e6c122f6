/* SPDX-License-Identifier: Apache-2.0 */
/* http_defaults_test.c - as many clients as a small proxy has, of one tenant, on a pool with all
 * its defaults: none is refused. */
#include "tests/drivers/http1_client.h"

#include <string.h>

#include "tests/kit/cmocka/run.h"

enum { CLIENTS = 64, ROUNDS = 10 };

static void answers(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	while (http1_head(conn, text, sizeof text))
		if (!kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood"))
			break;
}

static void sixty_four_clients_of_one_tenant_are_served(void **state)
{
	static struct ask asks[CLIENTS];
	struct http1_fixture fixture;

	(void)state;
	http1_prepare(&fixture);
	fixture.pool = (struct kolk_pool_options)KOLK_INIT(kolk_pool_options);
	http1_open(&fixture, answers, NULL);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < CLIENTS; i++) {
			ask_init(&asks[i], &fixture.client, "GET", "/");
			ask_start(&asks[i]);
		}
		for (int i = 0; i < CLIENTS; i++) {
			assert_int_equal(ask_wait(&asks[i]), KOLK_OK);
			assert_int_equal(asks[i].status, 200);
		}
	}
	http1_close(&fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(sixty_four_clients_of_one_tenant_are_served),
};

CMOCKA_TESTS(http_defaults, tests);
