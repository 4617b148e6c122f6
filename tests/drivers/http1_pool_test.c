/* SPDX-License-Identifier: Apache-2.0 */
/* http1_pool_test.c - the HTTP driver and its pool: what the peer says of itself, options that
 * cannot work, another address, pings. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <string.h>

#include "tests/drivers/http1_client.h"
#include "tests/kit/tap.h"

/* ---- what the peer says of itself */

static void mock_last(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	while (http1_head(conn, text, sizeof text))
		kit_mock_say(conn, user);
}

static void test_keep_alive_max(void **state)
{
	static char last[] = OK11 "Keep-Alive: max=1\r\nContent-Length: 4\r\n\r\ngood";
	static char at_once[] = OK11 "Keep-Alive: timeout=0\r\nContent-Length: 4\r\n\r\ngood";
	struct http1_fixture fixture;

	(void)state;
	for (int how = 0; how < 4; how++) {
		uint32_t ignored = how & 1;

		http1_prepare(&fixture);
		fixture.driver.keep_alive_ignored = ignored;
		http1_open(&fixture, mock_last, how & 2 ? at_once : last);
		http1_expect_get(&fixture.client, "good");
		http1_expect_get(&fixture.client, "good");
		assert_int_equal(http_fixture_stats(&fixture.client).created, ignored ? 1 : 2);
		http1_close(&fixture);
	}
}

static void mock_keep_alive(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	while (http1_head(conn, text, sizeof text))
		kit_mock_say(conn, OK11
			     "Keep-Alive: timeout=3, max=50\r\nContent-Length: 4\r\n\r\ngood");
}

static void test_keep_alive(void **state)
{
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);
	struct http1_fixture fixture;

	(void)state;
	for (uint32_t ignored = 0; ignored < 2; ignored++) {
		http1_prepare(&fixture);
		fixture.driver.keep_alive_ignored = ignored;
		http1_open(&fixture, mock_keep_alive, NULL);
		http1_expect_get(&fixture.client, "good");
		assert_int_equal(kolk_pool_inspect(fixture.client.pool, &info), KOLK_OK);
		assert_int_equal(info.peer_idle_ns, ignored ? 0 : 3 * KOLK_S_NS / 8 * 7);
		http1_close(&fixture);
	}
}

/* ---- options that cannot work are refused when the pool is added, not at each dial */

struct contradiction {
	uint32_t protocols;
	const char *alpn[3]; /* [0] NULL = none */
	bool plain;
	const char *field;   /* NULL = it can work */
};

static const struct contradiction contradictions[] = {
	{KOLK_HTTP_1_ONLY, {"h2"}, false, "protocols"},
	{KOLK_HTTP_1_ONLY, {"http/1.1", "h2"}, false, "protocols"},
	{KOLK_HTTP_1_ONLY, {"http/1.1"}, false, NULL},
	{KOLK_HTTP_1_ONLY, {NULL}, false, NULL},
	{KOLK_HTTP_2_ONLY, {NULL}, false, "protocols"},
	{KOLK_HTTP_2_ONLY, {"http/1.1"}, false, "protocols"},
	{KOLK_HTTP_2_ONLY, {"h2"}, false, NULL},
	{KOLK_HTTP_2_ONLY, {NULL}, true, NULL},
	{KOLK_HTTP_BY_ALPN, {"h2", "http/1.1"}, false, NULL},
	{KOLK_HTTP_BY_ALPN, {"h2", "http/1.0"}, false, "protocols"},
	{KOLK_HTTP_BY_ALPN, {NULL}, false, NULL},
	{KOLK_HTTP_2_ONLY + 1, {NULL}, true, "protocols"},
};

static void test_contradictions(void **state)
{
	struct http1_fixture fixture;

	(void)state;
	http1_prepare(&fixture);
	http1_open(&fixture, mock_last, NULL);
	for (size_t i = 0; i < sizeof contradictions / sizeof *contradictions; i++) {
		const struct contradiction *row = &contradictions[i];
		struct kolk_failure failure = KOLK_INIT(kolk_failure);
		struct kolk_http_driver_options driver = fixture.driver;
		struct kolk_pool_options pool = fixture.pool;

		driver.protocols = row->protocols;
		pool.driver_user = &driver;
		fixture.tls.alpn = row->alpn[0] != NULL ? row->alpn : NULL;
		pool.tls = row->plain ? NULL : &fixture.tls;
		pool.failure = &failure;
		if (kolk_pool_check(fixture.client.engine, &pool) !=
			    (row->field == NULL ? KOLK_OK : KOLK_E_OPTIONS) ||
		    (row->field != NULL && (failure.field == NULL ||
					    strcmp(failure.field, row->field) != 0)))
			fail_msg("row %zu: %s", i, failure.field == NULL ? "" : failure.field);
	}
	http1_close(&fixture);
}

/* ---- a pool that is given another address */

/* Says what Host it was told; to /hang nothing. */
static void mock_host(struct kit_mock_conn *conn, void *user)
{
	char text[4096], answer[4200];

	(void)user;
	while (http1_head(conn, text, sizeof text)) {
		char *host = strstr(text, "host: ");

		if (strstr(text, " /hang ") != NULL) {
			kit_mock_drain(conn, 20000);
			return;
		}
		host[6 + strcspn(host + 6, "\r")] = '\0';
		snprintf(answer, sizeof answer, OK11 "Content-Length: %zu\r\n\r\n%s",
			 strlen(host + 6), host + 6);
		kit_mock_say(conn, answer);
	}
}

static void moved(uint32_t connections_max, bool queued)
{
	struct kit_mock *other = kit_mock_open(&(struct kit_mock_options){ .play = mock_host });
	const char *address = kit_mock_address(other);
	struct ask hang, ask;
	struct http1_fixture fixture;

	http1_prepare(&fixture);
	fixture.pool.connections_max = connections_max;
	http1_open(&fixture, mock_host, NULL);
	http1_expect_get(&fixture.client, kit_mock_address(fixture.mock));
	ask_init(&hang, &fixture.client, "GET", "/hang");
	ask_start(&hang); /* the client knows the key all the time */
	assert_true(WITHIN_MS(5000, http_fixture_stats(&fixture.client).leased == 1));
	ask_init(&ask, &fixture.client, "GET", "/");
	if (queued) {
		ask_start(&ask);
		assert_true(WITHIN_MS(5000, http_fixture_stats(&fixture.client).waiting == 1));
	}
	fixture.pool.address = address;
	assert_int_equal(kolk_pool_update(fixture.client.pool, &fixture.pool), KOLK_OK);
	if (!queued)
		ask_start(&ask);
	else
		ask_on_loop(&hang, ask_cancel);
	assert_int_equal(ask_wait(&ask), KOLK_OK);
	assert_int_equal(ask.body_size, strlen(address));
	assert_memory_equal(ask.body, address, ask.body_size);
	if (!queued)
		ask_on_loop(&hang, ask_cancel);
	assert_int_equal(ask_wait(&hang), KOLK_E_CANCELLED);
	http1_close(&fixture);
	kit_mock_close(other);
}

static void test_moved(void **state)
{
	(void)state;
	moved(2, false);
	moved(1, true);
}

/* ---- pings */

static void mock_ping(struct kit_mock_conn *conn, void *user)
{
	kolk__atomic_u32 *pings = user;
	char text[4096];

	while (http1_head(conn, text, sizeof text)) {
		if (strncmp(text, "OPTIONS * ", 10) == 0 ||
		    strncmp(text, "HEAD /live ", 11) == 0) {
			kolk__add_acq_rel(pings, 1);
			kit_mock_say(conn,
				     text[0] == 'O'
					     ? "HTTP/1.1 405 No\r\nContent-Length: 2\r\n\r\nno"
					     : OK11 "Content-Length: 20\r\n\r\n");
		} else if (strncmp(text, "HEAD /sick ", 11) == 0) {
			kit_mock_say(conn, "HTTP/1.1 503 No\r\nContent-Length: 20\r\n\r\n");
		} else {
			kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood");
		}
	}
}

static void run_ping(uint32_t ping, const char *target, bool unhealthy)
{
	kolk__atomic_u32 pings = { 0 };
	struct http1_fixture fixture;
	bool held;

	http1_prepare(&fixture);
	fixture.driver.ping = ping;
	fixture.driver.ping_target = target;
	fixture.pool.ping_interval_ns = 50 * KOLK_MS_NS;
	http1_open(&fixture, mock_ping, &pings);
	http1_expect_get(&fixture.client, "good");
	if (unhealthy)
		held = WITHIN_MS(5000, http_fixture_stats(&fixture.client).pings_failed > 0);
	else
		held = WITHIN_MS(5000, kolk__load_acquire(&pings) > 1);
	assert_true(held);
	http1_expect_get(&fixture.client, "good");
	assert_int_equal(http_fixture_stats(&fixture.client).created, unhealthy ? 2 : 1);
	http1_close(&fixture);
}

static void test_ping(void **state)
{
	(void)state;
	run_ping(KOLK_HTTP_PING_OPTIONS, NULL, false);
	run_ping(KOLK_HTTP_PING_HEAD, "/live", false);
	run_ping(KOLK_HTTP_PING_HEAD, "/sick", true);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_keep_alive),
	cmocka_unit_test(test_contradictions),
	cmocka_unit_test(test_moved),
	cmocka_unit_test(test_ping),
	cmocka_unit_test(test_keep_alive_max),
};
CMOCKA_TESTS(http1_pool, tests);
