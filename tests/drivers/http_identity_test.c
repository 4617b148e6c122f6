/* SPDX-License-Identifier: Apache-2.0 */
/* http_identity_test.c - requests by identity: who shares a connection, and what happens to the key
 * when its pool drains or closes, its credential is replaced, or it is one of very many. */
#include "tests/drivers/http1_client.h"

#include <stdio.h>
#include <string.h>

#include "tests/kit/cmocka/run.h"

/* A request that says who asks. */
struct asker {
	struct ask ask;
	struct kolk_key_options who;
};

static void start_as(struct kolk_call *post, void *user)
{
	struct asker *asker = user;
	struct ask *ask = &asker->ask;

	(void)post;
	ask->started = kolk_http_start_as(ask->client->http, ask->client->pool, &asker->who,
					  &ask->request, &ask->handler, ask, &ask->exchange);
	if (ask->started != KOLK_PENDING)
		sem_post(&ask->done);
}

static void asker_start(struct asker *asker, struct http_fixture *client, const char *tenant,
			const char *credential)
{
	ask_init(&asker->ask, client, "GET", "/");
	asker->who = (struct kolk_key_options)KOLK_INIT(kolk_key_options);
	asker->who.tenant = tenant;
	asker->who.credential = credential;
	asker->who.credential_size = credential != NULL ? (uint32_t)strlen(credential) : 0;
	assert_int_equal(kolk_loop_call(client->loop, &asker->ask.post, start_as, asker), KOLK_OK);
}

static enum kolk_err ask_as(struct http_fixture *client, const char *tenant,
			    const char *credential, bool *reused)
{
	struct asker asker;
	enum kolk_err err;

	asker_start(&asker, client, tenant, credential);
	err = ask_wait(&asker.ask);
	*reused = asker.ask.reused;
	return err;
}

static void expect_served(struct http_fixture *client, const char *tenant, const char *credential,
			  bool reused)
{
	bool was;

	assert_int_equal(ask_as(client, tenant, credential, &was), KOLK_OK);
	assert_int_equal(was, reused);
}

static void answers(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	while (http1_head(conn, text, sizeof text))
		if (!kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood"))
			break;
}

/* Says nothing until its client is gone. */
static void is_silent(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	(void)http1_head(conn, text, sizeof text);
	(void)http1_head(conn, text, sizeof text);
}

static void open_with(struct http1_fixture *fixture, kit_mock_fn *mock)
{
	http1_prepare(fixture);
	http1_open(fixture, mock, NULL);
}

static void an_identity_has_its_own_connections(void **state)
{
	struct http1_fixture fixture;

	(void)state;
	open_with(&fixture, answers);
	expect_served(&fixture.client, "a", NULL, false);
	expect_served(&fixture.client, "b", NULL, false);
	expect_served(&fixture.client, "a", "secret", false);
	expect_served(&fixture.client, "a", "secres", false);
	expect_served(&fixture.client, NULL, NULL, false);
	for (int i = 0; i < 10; i++) {
		expect_served(&fixture.client, "a", NULL, true);
		expect_served(&fixture.client, "b", NULL, true);
		expect_served(&fixture.client, "a", "secret", true);
		expect_served(&fixture.client, "a", "secres", true);
		expect_served(&fixture.client, NULL, NULL, true);
		http1_expect_get(&fixture.client, "good"); /* by handle: the same key */
	}
	http1_close(&fixture);
}

/* Many more than a client remembers, each twice in turn. */
static void thousands_of_identities(void **state)
{
	struct http1_fixture fixture;
	struct kolk_stats stats;
	char tenant[16];
	bool reused;

	(void)state;
	open_with(&fixture, answers);
	for (int i = 0; i < 1200; i++) {
		snprintf(tenant, sizeof tenant, "t%d", i / 2 * 2 + i % 2 * 7);
		assert_int_equal(ask_as(&fixture.client, tenant, NULL, &reused), KOLK_OK);
	}
	stats = http_fixture_stats(&fixture.client);
	assert_true(stats.keys > 1);
	http1_close(&fixture);
}

static void what_is_refused_says_which_field(void **state)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct http1_fixture fixture;
	struct asker asker;

	(void)state;
	open_with(&fixture, answers);
	ask_init(&asker.ask, &fixture.client, "GET", "/");
	asker.who = (struct kolk_key_options)KOLK_INIT(kolk_key_options);
	asker.who.credential_size = 3;
	asker.who.failure = &failure;
	assert_int_equal(kolk_loop_call(fixture.client.loop, &asker.ask.post, start_as, &asker), 0);
	assert_int_equal(ask_wait(&asker.ask), KOLK_E_OPTIONS);
	assert_string_equal(failure.field, "credential_size");
	/* The request breaks a rule: the key is not kept for it. */
	asker_start(&asker, &fixture.client, "a", NULL);
	assert_int_equal(ask_wait(&asker.ask), KOLK_OK);
	http1_close(&fixture);
}

/* ---- pools that drain and close */

static struct kolk_pool *add_again(struct http1_fixture *fixture)
{
	assert_int_equal(kolk_pool_add(fixture->client.engine, &fixture->pool,
				       &fixture->client.pool), KOLK_OK);
	return fixture->client.pool;
}

static void a_pool_closes_behind_its_requests(void **state)
{
	struct http1_fixture fixture;

	(void)state;
	open_with(&fixture, answers);
	for (int i = 0; i < 5; i++) {
		expect_served(&fixture.client, "a", NULL, false);
		expect_served(&fixture.client, "a", NULL, true);
		assert_int_equal(kolk_pool_close(fixture.client.pool, kolk_in_ms(5000)), KOLK_OK);
		(void)add_again(&fixture); /* in the same memory: it knows no key of that one */
	}
	fixture.client.key = kolk_pool_key(fixture.client.pool);
	http1_close(&fixture);
}

static void a_pool_that_is_closed_waits_for_revoked_requests(void **state)
{
	struct http1_fixture fixture;
	struct asker askers[4];

	(void)state;
	open_with(&fixture, is_silent);
	for (int i = 0; i < 4; i++)
		asker_start(&askers[i], &fixture.client, i % 2 ? "a" : "b", NULL);
	while (http_fixture_stats(&fixture.client).leased < 4)
		;
	assert_int_equal(kolk_pool_close(fixture.client.pool, kolk_in_ms(50)), KOLK_OK);
	for (int i = 0; i < 4; i++)
		assert_int_not_equal(ask_wait(&askers[i].ask), KOLK_OK);
	(void)add_again(&fixture);
	http1_close(&fixture);
}

static void a_pool_that_drains_refuses_until_it_is_resumed(void **state)
{
	struct http1_fixture fixture;
	bool reused;

	(void)state;
	open_with(&fixture, answers);
	expect_served(&fixture.client, "a", NULL, false);
	assert_int_equal(kolk_pool_suspend(fixture.client.pool, kolk_in_ms(1000)), KOLK_OK);
	/* Requests that come do not keep it open. */
	while (!kolk_pool_is_closed(fixture.client.pool))
		assert_int_equal(ask_as(&fixture.client, "a", NULL, &reused), KOLK_E_DRAINING);
	assert_int_equal(kolk_pool_resume(fixture.client.pool), KOLK_OK);
	expect_served(&fixture.client, "a", NULL, false);
	expect_served(&fixture.client, "a", NULL, true);
	http1_close(&fixture);
}

/* ---- credentials that are replaced */

static void a_replaced_credential_is_opened_again(void **state)
{
	struct http1_fixture fixture;
	struct asker asker;

	(void)state;
	open_with(&fixture, answers);
	expect_served(&fixture.client, "a", "old", false);
	expect_served(&fixture.client, "a", "old", true);
	ask_init(&asker.ask, &fixture.client, "GET", "/");
	asker.who = (struct kolk_key_options)KOLK_INIT(kolk_key_options);
	asker.who.tenant = "a";
	asker.who.credential = "new";
	asker.who.credential_size = 3;
	asker.who.replaces = 1;
	assert_int_equal(kolk_loop_call(fixture.client.loop, &asker.ask.post, start_as, &asker), 0);
	assert_int_equal(ask_wait(&asker.ask), KOLK_OK);
	expect_served(&fixture.client, "a", "old", false); /* as kolk_key_open: it serves again */
	expect_served(&fixture.client, "a", "new", true);
	http1_close(&fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(an_identity_has_its_own_connections),
	cmocka_unit_test(thousands_of_identities),
	cmocka_unit_test(what_is_refused_says_which_field),
	cmocka_unit_test(a_pool_closes_behind_its_requests),
	cmocka_unit_test(a_pool_that_is_closed_waits_for_revoked_requests),
	cmocka_unit_test(a_pool_that_drains_refuses_until_it_is_resumed),
	cmocka_unit_test(a_replaced_credential_is_opened_again),
};

CMOCKA_TESTS(http_identity, tests);
