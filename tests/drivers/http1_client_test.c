/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http1_client_test.c - the client against servers that misbehave: whose answer a byte is, what
 * is sent again, when a connection is kept, and that every exchange ends once.
 */
#include "core/base/atomic.h"
#include "tests/kit/cmocka/run.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/drivers/http1_corpus.h"
#include "tests/drivers/http_fixture.h"
#include "tests/kit/control.h"
#include "tests/kit/mock.h"
#include "tests/kit/tap.h"

#define OK11 "HTTP/1.1 200 OK\r\n"

/* ---- a client and its mock server */

struct fixture {
	struct kit_mock *mock;
	struct http_fixture client;
	struct kolk_http_driver_options driver;
	struct kolk_pool_options pool;
	struct kolk_tls_options tls;
	const struct kit_cert *cert; /* NULL = plain */
	uint32_t receive_bytes;	     /* of the mock's sockets; 0 = as usual */
};

static void fixture_prepare(struct fixture *fixture)
{
	memset(fixture, 0, sizeof *fixture);
	fixture->driver = (struct kolk_http_driver_options)KOLK_INIT(kolk_http_driver_options);
	fixture->pool = (struct kolk_pool_options)KOLK_INIT(kolk_pool_options);
	fixture->tls = (struct kolk_tls_options)KOLK_INIT(kolk_tls_options);
	fixture->pool.idle_min = KOLK_NONE;
	fixture->pool.connections_max = 4;
}

static void fixture_open(struct fixture *fixture, kit_mock_fn *mock_fn, void *user)
{
	struct kit_mock_options options = {.play = mock_fn,
					   .user = user,
					   .cert = fixture->cert,
					   .receive_bytes = fixture->receive_bytes};

	fixture->tls.verify_off = 1;
	fixture->pool.tls = fixture->cert != NULL ? &fixture->tls : NULL;
	fixture->mock = kit_mock_open(&options);
	assert_non_null(fixture->mock);
	fixture->pool.address = kit_mock_address(fixture->mock);
	fixture->pool.driver_user = &fixture->driver;
	assert_true(http_fixture_open(&fixture->client, &fixture->pool));
}

static void fixture_close(struct fixture *fixture)
{
	assert_true(http_fixture_close(&fixture->client));
	kit_mock_close(fixture->mock);
}

static bool head(struct kit_mock_conn *conn, char *text, size_t size)
{
	return kit_mock_read_until(conn, "\r\n\r\n", text, size, 20000);
}

/* ---- one exchange, watched */

struct ask {
	struct http_fixture *client;
	struct kolk_http_request request;
	struct kolk_http_handler handler;
	struct kolk_http_exchange *exchange;
	struct kolk_call post, later, last;
	sem_t done;
	enum kolk_err started, err;
	kolk__atomic_u32 heads, bodies, ends;
	uint32_t informational, status, reused;
	size_t body_size;
	char body[4096];
	bool retried;
	enum { NOTHING, CANCEL_IN_HEAD, CANCEL_IN_BODY, PAUSE_IN_HEAD } act;
	struct kolk_lease lease; /* upgraded */
	size_t behind;
	uint64_t pull_left;
	uint32_t pulls;
};

static void on_informational(void *user, struct kolk_http_exchange *exchange,
			     const struct kolk_http_head *info)
{
	(void)exchange;
	(void)info;
	((struct ask *)user)->informational++;
}

static void on_head(void *user, struct kolk_http_exchange *exchange,
		    const struct kolk_http_head *answer)
{
	struct ask *ask = user;

	kolk__add_acq_rel(&ask->heads, 1);
	ask->status = answer->status;
	ask->reused = answer->reused;
	if (ask->act == CANCEL_IN_HEAD)
		kolk_http_cancel(exchange);
	if (ask->act == PAUSE_IN_HEAD)
		kolk_http_pause(exchange);
}

static void on_body(void *user, struct kolk_http_exchange *exchange, const void *data,
		    size_t size)
{
	struct ask *ask = user;

	kolk__add_acq_rel(&ask->bodies, 1);
	if (ask->body_size + size < sizeof ask->body)
		memcpy(ask->body + ask->body_size, data, size);
	ask->body_size += size;
	if (ask->act == CANCEL_IN_BODY)
		kolk_http_cancel(exchange);
}

static void on_upgraded(void *user, struct kolk_http_exchange *exchange,
			const struct kolk_lease *lease, const void *data, size_t size)
{
	struct ask *ask = user;

	(void)exchange;
	ask->lease = *lease;
	ask->behind = size;
	memcpy(ask->body, data, size < sizeof ask->body ? size : 0);
}

static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t count)
{
	struct ask *ask = user;

	(void)trailers;
	(void)count;
	kolk__add_acq_rel(&ask->ends, 1);
	ask->err = err;
	ask->retried = kolk_http_retried(exchange);
	sem_post(&ask->done);
}

static enum kolk_err pull(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct ask *ask = user;

	ask->pulls++;
	*size = ask->pull_left < capacity ? (size_t)ask->pull_left : capacity;
	memset(buffer, 'p', *size);
	ask->pull_left -= *size;
	return KOLK_OK;
}

static void ask_init(struct ask *ask, struct http_fixture *client, const char *method,
		     const char *target)
{
	memset(ask, 0, sizeof *ask);
	ask->client = client;
	ask->request = (struct kolk_http_request)KOLK_INIT(kolk_http_request);
	ask->request.method = method;
	ask->request.target = target;
	ask->request.deadline_ns = kolk_in_ms(5000);
	ask->handler = (struct kolk_http_handler)KOLK_INIT(kolk_http_handler);
	ask->handler.informational = on_informational;
	ask->handler.head = on_head;
	ask->handler.body = on_body;
	ask->handler.upgraded = on_upgraded;
	ask->handler.end = on_end;
	sem_init(&ask->done, 0, 0);
}

static void start(struct kolk_call *post, void *user)
{
	struct ask *ask = user;

	(void)post;
	ask->started = kolk_http_start(ask->client->http, ask->client->key, &ask->request,
				       &ask->handler, ask, &ask->exchange);
	if (ask->started != KOLK_PENDING)
		sem_post(&ask->done);
}

static void ask_start(struct ask *ask)
{
	assert_int_equal(kolk_loop_call(ask->client->loop, &ask->post, start, ask), KOLK_OK);
}

static enum kolk_err ask_wait(struct ask *ask)
{
	while (sem_wait(&ask->done) != 0)
		;
	if (ask->started != KOLK_PENDING)
		return ask->started;
	assert_int_equal(kolk__load_acquire(&ask->ends), 1);
	return ask->err;
}

static enum kolk_err ask_run(struct ask *ask)
{
	ask_start(ask);
	return ask_wait(ask);
}

static void on_loop(struct ask *ask, kolk_call_fn *run)
{
	assert_int_equal(kolk_loop_call(ask->client->loop, &ask->later, run, ask), KOLK_OK);
}

static void cancel(struct kolk_call *post, void *user)
{
	(void)post;
	kolk_http_cancel(((struct ask *)user)->exchange);
}

static void pause_now(struct kolk_call *post, void *user)
{
	(void)post;
	kolk_http_pause(((struct ask *)user)->exchange);
}

static void resume(struct kolk_call *post, void *user)
{
	(void)post;
	kolk_http_resume(((struct ask *)user)->exchange);
}

/* GET / answers this with status 200, on a connection that is reused or not. */
static void expect_get(struct http_fixture *client, const char *body)
{
	struct ask ask;

	ask_init(&ask, client, "GET", "/");
	assert_int_equal(ask_run(&ask), KOLK_OK);
	assert_int_equal(ask.status, 200);
	assert_int_equal(ask.body_size, strlen(body));
	assert_memory_equal(ask.body, body, ask.body_size);
}

/* ---- the corpus over the wire: none leaves a connection in doubt */

static void mock_row(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	while (head(conn, text, sizeof text)) {
		const struct http1_case *row =
			&http1_cases[kolk__load_acquire((kolk__atomic_u32 *)user)];
		bool bad = strstr(text, " /bad ") != NULL || strstr(text, "bad:1") != NULL;

		if (!bad && !kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood"))
			return;
		if (bad && !kit_mock_send(conn, row->bytes, row->size))
			return;
		if (bad && (row->verdict == UNTIL || row->verdict == CUT))
			return;
	}
}

static void ask_row(struct fixture *fixture, const struct http1_case *row)
{
	static const char *const methods[] = {"GET", "HEAD", "CONNECT", "GET"};
	struct ask ask;
	enum kolk_err err;

	ask_init(&ask, &fixture->client, methods[row->request],
		 row->request == CONNECT ? "bad:1" : "/bad");
	ask.request.upgrade = row->request == UPGRADE ? "websocket" : NULL;
	ask.request.deadline_ns = kolk_in_ms(20000);
	err = ask_run(&ask);
	if ((err == KOLK_OK) != (row->verdict != REFUSE && row->verdict != CUT))
		fail_msg("%s: %s", row->name, kolk_err_name(err));
	if (err == KOLK_OK && row->verdict != SWITCH && row->body != NULL &&
	    (ask.body_size != strlen(row->body) ||
	     memcmp(ask.body, row->body, ask.body_size) != 0))
		fail_msg("%s: body \"%.*s\"", row->name, (int)ask.body_size, ask.body);
	if (row->verdict == SWITCH) {
		assert_int_equal(kolk_release(&ask.lease), KOLK_OK);
	}
	expect_get(&fixture->client, "good");
}

static void test_corpus(void **state)
{
	struct fixture fixture;
	uint64_t kept = 0, refused = 0;
	kolk__atomic_u32 index = { 0 };

	(void)state;
	fixture_prepare(&fixture);
	fixture.driver.head_bytes_max = 512;
	fixture.driver.fields_max = 8;
	fixture.driver.informational_max = 4;
	fixture_open(&fixture, mock_row, &index);
	for (uint32_t i = 0; i < http1_case_count; i++) {
		const struct http1_case *row = &http1_cases[i];
		uint64_t before = http_fixture_stats(&fixture.client).created;
		bool fresh;

		kolk__store_release(&index, i);
		ask_row(&fixture, row);
		fresh = http_fixture_stats(&fixture.client).created > before;
		if (row->verdict != KEEP && !fresh && i > 0)
			fail_msg("%s: the connection was kept", row->name);
		kept += !fresh;
		refused += row->verdict == REFUSE;
	}
	assert_true(kept > 40); /* and what is beyond doubt is kept */
	assert_int_equal(http_fixture_stats(&fixture.client).destroyed[KOLK_REASON_PROTOCOL], refused);
	assert_true(http_fixture_stats(&fixture.client).destroyed[KOLK_REASON_PEER_CLOSED] > 0);
	fixture_close(&fixture);
}

/* ---- unsolicited bytes */

static void mock_idle_junk(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	if (!head(conn, text, sizeof text))
		return;
	kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood");
	kit_mock_wait(conn, 2000);
	kit_mock_say(conn, OK11 "Content-Length: 6\r\n\r\npoison");
	kit_mock_drain(conn, 20000);
}

static void test_idle_junk(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_prepare(&fixture);
	fixture_open(&fixture, mock_idle_junk, NULL);
	for (uint64_t i = 1; i <= 50; i++) {
		bool killed;

		expect_get(&fixture.client, "good");
		killed = WITHIN_MS(5000,
				   http_fixture_stats(&fixture.client).destroyed[KOLK_REASON_PEER_DATA] +
						   http_fixture_stats(&fixture.client).mends_failed >=
					   i);
		assert_true(killed);
	}
	assert_int_equal(http_fixture_stats(&fixture.client).created, 50);
	fixture_close(&fixture);
}

/* ---- Expect: 100-continue */

struct expect_mock {
	const char *answer; /* instead of 100; NULL = 100 comes */
	uint32_t silence_us;
	kolk__atomic_u32 bodies;
};

static void mock_expect(struct kit_mock_conn *conn, void *user)
{
	struct expect_mock *expect = user;
	char text[4096];

	while (head(conn, text, sizeof text)) {
		if (strstr(text, "expect: 100-continue") == NULL) {
			kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood");
			continue;
		}
		if (expect->answer != NULL) {
			kit_mock_say(conn, expect->answer);
			if (kit_mock_read(conn, NULL, 1, 300))
				kolk__add_acq_rel(&expect->bodies, 1);
			continue;
		}
		if (expect->silence_us == 0)
			kit_mock_say(conn, "HTTP/1.1 100 Continue\r\n\r\n");
		if (!kit_mock_read(conn, NULL, 1000, 5000))
			return;
		kolk__add_acq_rel(&expect->bodies, 1);
		kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\nsent");
	}
}

static void run_expect(struct expect_mock *expect, uint32_t status, const char *body,
		       uint64_t created)
{
	struct fixture fixture;
	struct ask ask;

	fixture_prepare(&fixture);
	fixture.driver.continue_timeout_ns = 50 * KOLK_MS_NS;
	fixture_open(&fixture, mock_expect, expect);
	ask_init(&ask, &fixture.client, "POST", "/");
	ask.request.pull = pull;
	ask.request.pull_size = ask.pull_left = 1000;
	ask.request.expect_continue = 1;
	assert_int_equal(ask_run(&ask), KOLK_OK);
	assert_int_equal(ask.status, status);
	assert_memory_equal(ask.body, body, strlen(body));
	expect_get(&fixture.client, "good");
	assert_int_equal(http_fixture_stats(&fixture.client).created, created);
	fixture_close(&fixture);
}

static void test_expect(void **state)
{
	struct expect_mock refused = {.answer =
					      "HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno"};
	struct expect_mock early = {.answer = OK11 "Content-Length: 2\r\n\r\nok"};
	struct expect_mock invited = {0}, silent = {.silence_us = 1};

	(void)state;
	run_expect(&invited, 200, "sent", 1);
	run_expect(&silent, 200, "sent", 1);
	run_expect(&refused, 417, "no", 2); /* CVE-2024-24791: nothing of it is used again */
	run_expect(&early, 200, "ok", 2);
	assert_int_equal(
		kolk__load_acquire(&invited.bodies) + kolk__load_acquire(&silent.bodies), 2);
	assert_int_equal(
		kolk__load_acquire(&refused.bodies) + kolk__load_acquire(&early.bodies), 0);
}

/* The 100 arrives while the caller pauses: the body is sent when the caller resumes. */
static void mock_late_continue(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	if (!head(conn, text, sizeof text))
		return;
	usleep(100000);
	kit_mock_say(conn, "HTTP/1.1 100 Continue\r\n\r\n");
	if (kit_mock_read(conn, NULL, 1000, 20000))
		kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\nsent");
}

static void test_expect_paused(void **state)
{
	struct fixture fixture;
	struct ask ask;

	(void)state;
	fixture_prepare(&fixture);
	fixture.driver.continue_timeout_ns = 3600 * KOLK_S_NS;
	fixture_open(&fixture, mock_late_continue, NULL);
	ask_init(&ask, &fixture.client, "POST", "/");
	ask.request.pull = pull;
	ask.request.pull_size = ask.pull_left = 1000;
	ask.request.expect_continue = 1;
	ask_start(&ask);
	on_loop(&ask, pause_now);
	usleep(300000);
	assert_int_equal(kolk_loop_call(fixture.client.loop, &ask.last, resume, &ask), KOLK_OK);
	assert_int_equal(ask_wait(&ask), KOLK_OK);
	assert_int_equal(ask.status, 200);
	fixture_close(&fixture);
}

/* ---- an answer before the request is sent */

static void mock_early(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	while (head(conn, text, sizeof text)) {
		if (strstr(text, "POST") == NULL) {
			kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood");
			continue;
		}
		kit_mock_say(conn, "HTTP/1.1 413 Too much\r\nContent-Length: 2\r\n\r\nno");
		kit_mock_wait(conn, 300000); /* reads nothing of the body */
		return;
	}
}

static void test_early_answer(void **state)
{
	struct fixture fixture;
	struct ask ask;

	(void)state;
	fixture_prepare(&fixture);
	fixture_open(&fixture, mock_early, NULL);
	for (int chunked = 0; chunked < 2; chunked++) {
		ask_init(&ask, &fixture.client, "POST", "/");
		ask.request.pull = pull;
		ask.pull_left = 100 << 20;
		ask.request.pull_size = chunked ? KOLK_HTTP_CHUNKED : ask.pull_left;
		assert_int_equal(ask_run(&ask), KOLK_OK);
		assert_int_equal(ask.status, 413);
		assert_true(ask.pull_left > 0);
		expect_get(&fixture.client, "good");
	}
	assert_int_equal(http_fixture_stats(&fixture.client).created, 3);
	fixture_close(&fixture);
}

/* The same from a server that closes at once, with the body unread: TCP resets, and bytes sent
 * before are received all the same. */
static void mock_early_end(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	if (!head(conn, text, sizeof text))
		return;
	kit_mock_say(conn, "HTTP/1.1 413 Too much\r\nContent-Length: 2\r\n\r\nno");
}

static void test_early_end(void **state)
{
	struct fixture fixture;
	struct ask ask;

	(void)state;
	fixture_prepare(&fixture);
	fixture_open(&fixture, mock_early_end, NULL);
	for (int i = 0; i < 100; i++) {
		ask_init(&ask, &fixture.client, "POST", "/");
		ask.request.pull = pull;
		ask.pull_left = 100 << 20;
		ask.request.pull_size = ask.pull_left;
		assert_int_equal(ask_run(&ask), KOLK_OK);
		assert_int_equal(ask.status, 413);
	}
	fixture_close(&fixture);
}

/* ---- what is sent again, and what is not */

static void mock_stale(struct kit_mock_conn *conn, void *user)
{
	char text[4096];
	const char *reset = user;
	uint32_t served = 0;

	while (head(conn, text, sizeof text)) {
		const char *id = strstr(text, "x-id: ");

		if (id != NULL && served++ == 1 && kit_mock_number(conn) % 2 == 0) {
			kit_mock_execute(conn, strtoull(id + 6, NULL, 10));
			if (reset != NULL)
				kit_mock_reset(conn);
			return; /* it was executed, and no byte of an answer comes */
		}
		if (id != NULL)
			kit_mock_execute(conn, strtoull(id + 6, NULL, 10));
		kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood");
	}
}

static enum kolk_err ask_id(struct fixture *fixture, const char *method, uint32_t id,
			    bool replayable, bool *retried)
{
	struct kolk_http_field field = {"x-id", NULL};
	char text[16];
	struct ask ask;
	enum kolk_err err;

	snprintf(text, sizeof text, "%u", id);
	field.value = text;
	ask_init(&ask, &fixture->client, method, "/");
	ask.request.fields = &field;
	ask.request.field_count = 1;
	ask.request.replayable = replayable;
	err = ask_run(&ask);
	*retried = ask.retried;
	return err;
}

static void run_stale(const char *reset)
{
	struct fixture fixture;
	bool retried;

	fixture_prepare(&fixture);
	fixture.pool.connections_max = 1;
	fixture_open(&fixture, mock_stale, (void *)(uintptr_t)reset);
	assert_int_equal(ask_id(&fixture, "GET", 1, true, &retried), KOLK_OK);
	assert_int_equal(ask_id(&fixture, "GET", 2, true, &retried),
			 KOLK_OK); /* fails, then again */
	assert_true(retried);
	assert_int_equal(kit_mock_executions(fixture.mock, 2), 2);
	fixture_close(&fixture);

	fixture_prepare(&fixture);
	fixture.pool.connections_max = 1;
	fixture_open(&fixture, mock_stale, (void *)(uintptr_t)reset);
	assert_int_equal(ask_id(&fixture, "POST", 1, false, &retried), KOLK_OK);
	assert_int_equal(ask_id(&fixture, "POST", 2, false, &retried),
			 reset != NULL ? KOLK_E_RESET : KOLK_E_CLOSED);
	assert_false(retried);
	assert_int_equal(kit_mock_executions_max(fixture.mock), 1);
	fixture_close(&fixture);
}

static void test_stale(void **state)
{
	(void)state;
	run_stale(NULL);
	run_stale("reset");
}

/* Two used connections, both about to end: the second chance is not spent on the other one. */
static void mock_doomed(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	for (uint32_t served = 0; head(conn, text, sizeof text); served++) {
		if (kit_mock_number(conn) < 2 && served == 1)
			return;
		kit_mock_execute(conn, strstr(text, "x-id: ") != NULL);
		while (kit_mock_counts(kit_mock_of(conn)).accepted < 2)
			if (!kit_mock_wait(conn, 1000))
				return;
		if (!kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood"))
			return;
	}
}

static void test_second_chance(void **state)
{
	struct fixture fixture;
	struct ask ask[2];
	bool retried;

	(void)state;
	fixture_prepare(&fixture);
	fixture_open(&fixture, mock_doomed, NULL);
	for (int i = 0; i < 2; i++) {
		ask_init(&ask[i], &fixture.client, "GET", "/");
		ask_start(&ask[i]);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(ask_wait(&ask[i]), KOLK_OK);
	assert_int_equal(http_fixture_stats(&fixture.client).created, 2);
	assert_int_equal(ask_id(&fixture, "GET", 1, true, &retried), KOLK_OK);
	assert_true(retried);
	assert_int_equal(kit_mock_executions(fixture.mock, 1), 1);
	fixture_close(&fixture);
}

/* The server gives up idle connections just when they are used again. */
static void mock_impatient(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	while (kit_mock_read_until(conn, "\r\n\r\n", text, sizeof text, 2)) {
		const char *id = strstr(text, "x-id: ");

		kit_mock_execute(conn, strtoull(id + 6, NULL, 10));
		if (!kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood"))
			return;
	}
	if (kit_mock_number(conn) % 2 == 0)
		kit_mock_reset(conn);
}

static void test_idle_race(void **state)
{
	uint32_t ok = 0, failed = 0;
	struct fixture fixture;
	bool retried;

	(void)state;
	fixture_prepare(&fixture);
	fixture.pool.connections_max = 1;
	fixture_open(&fixture, mock_impatient, NULL);
	for (uint32_t i = 0; i < 1500; i++) {
		enum kolk_err err = ask_id(&fixture, "POST", i, false, &retried);

		assert_false(retried);
		assert_true(err == KOLK_OK || err == KOLK_E_CLOSED || err == KOLK_E_RESET);
		ok += err == KOLK_OK;
		failed += err != KOLK_OK;
		usleep(1500 + i % 1000);
	}
	print_message("%u answered, %u failed\n", ok, failed);
	assert_true(ok > 1000);
	assert_int_equal(kit_mock_executions_max(fixture.mock), 1);
	fixture_close(&fixture);
}

/* ---- time */

static void mock_trickle(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	while (head(conn, text, sizeof text)) {
		if (strstr(text, " /silent ") != NULL) {
			kit_mock_drain(conn, 20000);
			return;
		}
		kit_mock_say(conn, OK11 "Content-Length: 10\r\n\r\n");
		for (int i = 0; i < 10; i++) {
			if (!kit_mock_wait(conn, 20000) || !kit_mock_say(conn, "x"))
				return;
		}
	}
}

static enum kolk_err ask_timed(struct fixture *fixture, const char *target, uint64_t deadline_ms,
			       uint64_t idle_ms, uint64_t *took_ms)
{
	uint64_t began = tap_now_ms();
	struct kit_control control;
	struct ask ask;
	enum kolk_err err;

	ask_init(&ask, &fixture->client, "GET", target);
	ask.request.deadline_ns = kolk_in_ms(deadline_ms);
	ask.request.idle_timeout_ns = idle_ms * KOLK_MS_NS;
	kit_control_begin(&control);
	err = ask_run(&ask);
	assert_true(kit_control_end(&control) < 400);
	*took_ms = tap_now_ms() - began;
	return err;
}

static void test_time(void **state)
{
	struct fixture fixture;
	uint64_t took;

	(void)state;
	fixture_prepare(&fixture);
	fixture_open(&fixture, mock_trickle, NULL);
	assert_int_equal(ask_timed(&fixture, "/silent", 100, 0, &took), KOLK_E_TIMEOUT);
	assert_true(took >= 100);
	assert_int_equal(ask_timed(&fixture, "/silent", 10000, 100, &took), KOLK_E_TIMEOUT);
	assert_true(took >= 100);
	assert_int_equal(ask_timed(&fixture, "/", 10000, 150, &took),
			 KOLK_OK); /* never idle so long */
	assert_true(took >= 200);
	assert_int_equal(ask_timed(&fixture, "/", 100, 150, &took), KOLK_E_TIMEOUT);
	assert_int_equal(ask_timed(&fixture, "/", 10000, 150, &took), KOLK_OK);
	fixture_close(&fixture);
}

/* ---- a caller goes away */

static void mock_sizes(struct kit_mock_conn *conn, void *user)
{
	char text[4096], *body = malloc(48 << 20);

	(void)user;
	memset(body, 'b', 48 << 20);
	memcpy(body, "good", 4);
	while (head(conn, text, sizeof text)) {
		size_t size = strstr(text, " /huge ") != NULL	 ? 48 << 20
			      : strstr(text, " /large ") != NULL ? 1 << 20
			      : strstr(text, " /small ") != NULL ? 30000
								 : 4;
		char line[96];

		snprintf(line, sizeof line, OK11 "Content-Length: %zu\r\n\r\n", size);
		if (!kit_mock_say(conn, line) || !kit_mock_wait(conn, 5000) ||
		    !kit_mock_send(conn, body, size))
			break;
	}
	free(body);
}

static void test_drain(void **state)
{
	struct fixture fixture;
	struct ask ask;

	(void)state;
	fixture_prepare(&fixture);
	fixture_open(&fixture, mock_sizes, NULL);
	for (int i = 0; i < 5; i++) {
		ask_init(&ask, &fixture.client, "GET", "/small");
		ask.act = i % 2 == 0 ? CANCEL_IN_HEAD : CANCEL_IN_BODY;
		assert_int_equal(ask_run(&ask), KOLK_E_CANCELLED);
		assert_int_equal(kolk__load_acquire(&ask.heads), 1);
		usleep(20000);
		expect_get(&fixture.client, "good");
	}
	assert_int_equal(http_fixture_stats(&fixture.client).created, 1); /* read away */
	ask_init(&ask, &fixture.client, "GET", "/large");
	ask.act = CANCEL_IN_HEAD;
	assert_int_equal(ask_run(&ask), KOLK_E_CANCELLED);
	expect_get(&fixture.client, "good");
	assert_int_equal(http_fixture_stats(&fixture.client).created, 2); /* too much for that */
	fixture_close(&fixture);
}

/* ---- back-pressure */

static void test_pause(void **state)
{
	struct fixture fixture;
	struct ask ask;
	uint64_t sent;
	bool shown;

	(void)state;
	fixture_prepare(&fixture);
	fixture_open(&fixture, mock_sizes, NULL);
	expect_get(&fixture.client, "good"); /* the server has its bytes ready then */
	ask_init(&ask, &fixture.client, "GET", "/huge");
	ask.act = PAUSE_IN_HEAD;
	ask.request.idle_timeout_ns = 2 * KOLK_S_NS; /* a pause is not idleness */
	ask_start(&ask);
	shown = WITHIN_MS(10000, kolk__load_acquire(&ask.heads) == 1);
	assert_true(shown);
	usleep(2200000);
	assert_int_equal(kolk__load_acquire(&ask.bodies), 0);
	assert_int_equal(kolk__load_acquire(&ask.ends), 0);
	sent = kit_mock_counts(fixture.mock).bytes_out;
	on_loop(&ask, resume);
	assert_int_equal(ask_wait(&ask), KOLK_OK);
	assert_int_equal(ask.body_size, 48 << 20);
	assert_true(sent < 32 << 20); /* what socket buffers hold */
	expect_get(&fixture.client, "good");
	assert_int_equal(http_fixture_stats(&fixture.client).created, 1);

	ask_init(&ask, &fixture.client, "GET", "/small"); /* cancelled in a pause */
	ask.act = PAUSE_IN_HEAD;
	ask_start(&ask);
	usleep(20000);
	on_loop(&ask, cancel);
	assert_int_equal(ask_wait(&ask), KOLK_E_CANCELLED);
	assert_int_equal(kolk__load_acquire(&ask.bodies), 0);
	expect_get(&fixture.client, "good");
	fixture_close(&fixture);
}

/* ---- connections that end at the wrong moment */

static void mock_window(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	while (head(conn, text, sizeof text)) {
		if (strncmp(text, "POST", 4) == 0) {
			kit_mock_wait(conn, 5000000); /* reads no more: the window fills */
			return;
		}
		kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood");
	}
}

static void test_cancel_while_sending(void **state)
{
	char *body = calloc(1, 8 << 20);
	struct fixture fixture;
	struct ask ask;

	(void)state;
	fixture_prepare(&fixture);
	fixture.receive_bytes = 4096;
	fixture_open(&fixture, mock_window, NULL);
	expect_get(&fixture.client, "good");
	ask_init(&ask, &fixture.client, "POST", "/");
	ask.request.body = body;
	ask.request.body_size = 8 << 20;
	ask_start(&ask);
	usleep(30000);
	on_loop(&ask, cancel);
	assert_int_equal(ask_wait(&ask), KOLK_E_CANCELLED);
	expect_get(&fixture.client, "good");
	assert_int_equal(http_fixture_stats(&fixture.client).created, 2);
	fixture_close(&fixture);
	free(body);
}

static void mock_cut(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	while (head(conn, text, sizeof text)) {
		if (strstr(text, " / ") != NULL) {
			kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood");
			continue;
		}
		kit_mock_say(conn, strstr(text, "length") != NULL ? OK11
					   "Content-Length: 9\r\n\r\nhalf"
								  : OK11 "\r\nhalf");
		kit_mock_wait(conn, 2000);
		if (strstr(text, "reset") != NULL)
			kit_mock_reset(conn);
		else if (strstr(text, "cut") != NULL)
			kit_mock_cut(conn);
		return;
	}
}

static void expect_end(struct fixture *fixture, const char *target, enum kolk_err err)
{
	struct ask ask;

	expect_get(&fixture->client, "good"); /* so that the connection is a used one */
	ask_init(&ask, &fixture->client, "GET", target);
	ask.request.replayable = 1;
	assert_int_equal(ask_run(&ask), err);
	assert_false(ask.retried); /* part of an answer has come */
	assert_int_equal(ask.body_size, 4);
}

static void test_cut_answers(void **state)
{
	static const struct kit_cert_spec spec = {.subject = "localhost", .dns = "localhost"};
	struct kit_cert cert;
	struct fixture fixture;

	(void)state;
	assert_true(kit_cert_make(&spec, NULL, &cert));
	for (int tls = 0; tls < 2; tls++) {
		fixture_prepare(&fixture);
		fixture.cert = tls ? &cert : NULL;
		fixture_open(&fixture, mock_cut, NULL);
		expect_end(&fixture, "/length", KOLK_E_CLOSED);
		expect_end(&fixture, "/length-reset", KOLK_E_RESET);
		expect_end(&fixture, "/length-cut", tls ? KOLK_E_TLS_TRUNCATED : KOLK_E_CLOSED);
		expect_end(&fixture, "/until-close", KOLK_OK);
		expect_end(&fixture, "/until-close-cut", tls ? KOLK_E_TLS_TRUNCATED : KOLK_OK);
		expect_end(&fixture, "/until-close-reset", KOLK_E_RESET);
		fixture_close(&fixture);
	}
}

/* ---- another protocol on the same connection */

static void mock_upgrade(struct kit_mock_conn *conn, void *user)
{
	char text[4096];
	size_t size;

	(void)user;
	while (head(conn, text, sizeof text)) {
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

static void run_upgrade(struct fixture *fixture, struct ask *ask)
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
	expect_get(&fixture->client, "good");
}

static void test_upgrade(void **state)
{
	struct fixture fixture;
	struct ask ask;

	(void)state;
	fixture_prepare(&fixture);
	fixture_open(&fixture, mock_upgrade, NULL);
	ask_init(&ask, &fixture.client, "GET", "/");
	ask.request.upgrade = "echo";
	run_upgrade(&fixture, &ask);
	ask_init(&ask, &fixture.client, "CONNECT", "example:443");
	run_upgrade(&fixture, &ask);
	assert_int_equal(http_fixture_stats(&fixture.client).created, 3);
	fixture_close(&fixture);
}

/* The request for a tunnel was cancelled: no other request goes into it, though its answer looks
 * complete (RFC 9110, section 9.3.6: a Content-Length in it means nothing). */
static void mock_tunnel(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	while (head(conn, text, sizeof text)) {
		if (strncmp(text, "CONNECT ", 8) != 0) {
			kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood");
			continue;
		}
		usleep(100000);
		kit_mock_say(conn, OK11 "Content-Length: 0\r\n\r\n");
		if (head(conn, text, sizeof text))
			kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\nevil");
		return;
	}
}

static void test_tunnel_left(void **state)
{
	struct fixture fixture;
	struct ask ask;

	(void)state;
	fixture_prepare(&fixture);
	fixture_open(&fixture, mock_tunnel, NULL);
	ask_init(&ask, &fixture.client, "CONNECT", "example:443");
	ask_start(&ask);
	usleep(50000);
	on_loop(&ask, cancel);
	assert_int_equal(ask_wait(&ask), KOLK_E_CANCELLED);
	usleep(200000);
	expect_get(&fixture.client, "good");
	assert_int_equal(http_fixture_stats(&fixture.client).created, 2);
	fixture_close(&fixture);
}

/* ---- what the peer says of itself */

static void mock_last(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	while (head(conn, text, sizeof text))
		kit_mock_say(conn, user);
}

static void test_keep_alive_max(void **state)
{
	static char last[] = OK11 "Keep-Alive: max=1\r\nContent-Length: 4\r\n\r\ngood";
	static char at_once[] = OK11 "Keep-Alive: timeout=0\r\nContent-Length: 4\r\n\r\ngood";
	struct fixture fixture;

	(void)state;
	for (int how = 0; how < 4; how++) {
		uint32_t ignored = how & 1;

		fixture_prepare(&fixture);
		fixture.driver.keep_alive_ignored = ignored;
		fixture_open(&fixture, mock_last, how & 2 ? at_once : last);
		expect_get(&fixture.client, "good");
		expect_get(&fixture.client, "good");
		assert_int_equal(http_fixture_stats(&fixture.client).created, ignored ? 1 : 2);
		fixture_close(&fixture);
	}
}

static void mock_keep_alive(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	while (head(conn, text, sizeof text))
		kit_mock_say(conn, OK11
			     "Keep-Alive: timeout=3, max=50\r\nContent-Length: 4\r\n\r\ngood");
}

static void test_keep_alive(void **state)
{
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);
	struct fixture fixture;

	(void)state;
	for (uint32_t ignored = 0; ignored < 2; ignored++) {
		fixture_prepare(&fixture);
		fixture.driver.keep_alive_ignored = ignored;
		fixture_open(&fixture, mock_keep_alive, NULL);
		expect_get(&fixture.client, "good");
		assert_int_equal(kolk_pool_inspect(fixture.client.pool, &info), KOLK_OK);
		assert_int_equal(info.peer_idle_ns, ignored ? 0 : 3 * KOLK_S_NS / 8 * 7);
		fixture_close(&fixture);
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
	struct fixture fixture;

	(void)state;
	fixture_prepare(&fixture);
	fixture_open(&fixture, mock_last, NULL);
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
	fixture_close(&fixture);
}

/* ---- a pool that is given another address */

/* Says what Host it was told; to /hang nothing. */
static void mock_host(struct kit_mock_conn *conn, void *user)
{
	char text[4096], answer[4200];

	(void)user;
	while (head(conn, text, sizeof text)) {
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
	struct fixture fixture;

	fixture_prepare(&fixture);
	fixture.pool.connections_max = connections_max;
	fixture_open(&fixture, mock_host, NULL);
	expect_get(&fixture.client, kit_mock_address(fixture.mock));
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
		on_loop(&hang, cancel);
	assert_int_equal(ask_wait(&ask), KOLK_OK);
	assert_int_equal(ask.body_size, strlen(address));
	assert_memory_equal(ask.body, address, ask.body_size);
	if (!queued)
		on_loop(&hang, cancel);
	assert_int_equal(ask_wait(&hang), KOLK_E_CANCELLED);
	fixture_close(&fixture);
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

	while (head(conn, text, sizeof text)) {
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
	struct fixture fixture;
	bool held;

	fixture_prepare(&fixture);
	fixture.driver.ping = ping;
	fixture.driver.ping_target = target;
	fixture.pool.ping_interval_ns = 50 * KOLK_MS_NS;
	fixture_open(&fixture, mock_ping, &pings);
	expect_get(&fixture.client, "good");
	if (unhealthy)
		held = WITHIN_MS(5000, http_fixture_stats(&fixture.client).pings_failed > 0);
	else
		held = WITHIN_MS(5000, kolk__load_acquire(&pings) > 1);
	assert_true(held);
	expect_get(&fixture.client, "good");
	assert_int_equal(http_fixture_stats(&fixture.client).created, unhealthy ? 2 : 1);
	fixture_close(&fixture);
}

static void test_ping(void **state)
{
	(void)state;
	run_ping(KOLK_HTTP_PING_OPTIONS, NULL, false);
	run_ping(KOLK_HTTP_PING_HEAD, "/live", false);
	run_ping(KOLK_HTTP_PING_HEAD, "/sick", true);
}

/* ---- requests that would be two */

struct bad_request {
	const char *method, *target, *authority, *name, *value;
};

static const struct bad_request bad_requests[] = {
	{"GET /x HTTP/1.1\r\n", "/", NULL, NULL, NULL},
	{"G ET", "/", NULL, NULL, NULL},
	{"", "/", NULL, NULL, NULL},
	{"GET", "", NULL, NULL, NULL},
	{"GET", "x", NULL, NULL, NULL},
	{"GET", "*", NULL, NULL, NULL},
	{"GET", "/ HTTP/1.1\r\nX: y", NULL, NULL, NULL},
	{"GET", "/a b", NULL, NULL, NULL},
	{"GET", "/a\nb", NULL, NULL, NULL},
	{"GET", "/a\x7f", NULL, NULL, NULL},
	{"GET", "/\xc3\xa4", NULL, NULL, NULL},
	{"GET", "/a#b", NULL, NULL, NULL},
	{"GET", "http://a/", NULL, NULL, NULL},
	{"CONNECT", "/", NULL, NULL, NULL},
	{"CONNECT", "host", NULL, NULL, NULL},
	{"GET", "/", "", NULL, NULL},
	{"GET", "/", "a b", NULL, NULL},
	{"GET", "/", "a\r\nX: y", NULL, NULL},
	{"GET", "/", "a,b", NULL, NULL},
	{"GET", "/", "u@a", NULL, NULL},
	{"GET", "/", "a/b", NULL, NULL},
	{"GET", "/", NULL, "", "x"},
	{"GET", "/", NULL, "X Y", "x"},
	{"GET", "/", NULL, "X:", "x"},
	{"GET", "/", NULL, "X\r\nY", "x"},
	{"GET", "/", NULL, "X", "a\r\nY: b"},
	{"GET", "/", NULL, "X", "a\nY: b"},
	{"GET", "/", NULL, "X", "a\rb"},
	{"GET", "/", NULL, "X", " a"},
	{"GET", "/", NULL, "X", "a\t"},
	{"GET", "/", NULL, "X", "\x01"},
	{"GET", "/", NULL, "X", "\x7f"},
	{"GET", "/", NULL, "Host", "a"},
	{"GET", "/", NULL, "Content-Length", "0"},
	{"GET", "/", NULL, "content-LENGTH", "0"},
	{"GET", "/", NULL, "Transfer-Encoding", "chunked"},
	{"GET", "/", NULL, "Connection", "close"},
	{"GET", "/", NULL, "Keep-Alive", "x"},
	{"GET", "/", NULL, "Proxy-Connection", "x"},
	{"GET", "/", NULL, "Upgrade", "h2c"},
	{"GET", "/", NULL, "TE", "trailers"},
	{"GET", "/", NULL, "Trailer", "x"},
	{"GET", "/", NULL, "Expect", "100-continue"},
	{"GET", "/", NULL, "HTTP2-Settings", "x"},
};

static void test_bad_requests(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_prepare(&fixture);
	fixture_open(&fixture, mock_sizes, NULL);
	for (size_t i = 0; i < sizeof bad_requests / sizeof *bad_requests; i++) {
		const struct bad_request *bad = &bad_requests[i];
		struct kolk_http_field field = {bad->name, bad->value};
		struct ask ask;

		ask_init(&ask, &fixture.client, bad->method, bad->target);
		ask.request.authority = bad->authority;
		ask.request.fields = &field;
		ask.request.field_count = bad->name != NULL;
		if (ask_run(&ask) != KOLK_E_OPTIONS || kolk__load_acquire(&ask.ends) != 0)
			fail_msg("row %zu was not refused", i);
	}
	assert_int_equal(http_fixture_stats(&fixture.client).created, 0);
	expect_get(&fixture.client, "good");
	fixture_close(&fixture);
}

static void test_bad_bodies(void **state)
{
	static const struct kolk_http_field host = {"Host", "a"};
	struct fixture fixture;
	struct ask ask;

	(void)state;
	fixture_prepare(&fixture);
	fixture_open(&fixture, mock_sizes, NULL);
	ask_init(&ask, &fixture.client, "POST", "/");
	ask.request.body = "x";
	ask.request.body_size = 1;
	ask.request.pull = pull;
	assert_int_equal(ask_run(&ask), KOLK_E_OPTIONS);
	ask_init(&ask, &fixture.client, "POST", "/");
	ask.request.expect_continue = 1;
	assert_int_equal(ask_run(&ask), KOLK_E_OPTIONS);
	ask_init(&ask, &fixture.client, "POST", "/"); /* less than promised */
	ask.request.pull = pull;
	ask.request.pull_size = 1000;
	ask.pull_left = 500;
	assert_int_equal(ask_run(&ask), KOLK_E_OPTIONS);
	ask_init(&ask, &fixture.client, "POST", "/"); /* trailers are checked when they are sent */
	ask.request.pull = pull;
	ask.request.pull_size = KOLK_HTTP_CHUNKED;
	ask.request.trailers = &host;
	ask.request.trailer_count = 1;
	assert_int_equal(ask_run(&ask), KOLK_E_OPTIONS);
	expect_get(&fixture.client, "good");
	fixture_close(&fixture);
}

/* ---- ends */

static void mock_silent(struct kit_mock_conn *conn, void *user)
{
	(void)user;
	kit_mock_drain(conn, 20000);
}

static void test_close(void **state)
{
	struct fixture fixture;
	struct ask ask[20];

	(void)state;
	fixture_prepare(&fixture); /* 4 connections: the others wait */
	fixture_open(&fixture, mock_silent, NULL);
	for (int i = 0; i < 20; i++) {
		ask_init(&ask[i], &fixture.client, "GET", "/");
		ask_start(&ask[i]);
	}
	usleep(50000);
	assert_int_equal(kolk_http_close(fixture.client.http, NULL, NULL), KOLK_OK);
	fixture.client.http = NULL;
	for (int i = 0; i < 20; i++)
		assert_int_equal(ask_wait(&ask[i]), KOLK_E_CANCELLED);
	fixture_close(&fixture);
}

static void test_call(void **state)
{
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct kolk_http_response response = KOLK_INIT(kolk_http_response);
	struct kolk_http_options options = KOLK_INIT(kolk_http_options);
	struct fixture fixture;

	(void)state;
	fixture_prepare(&fixture);
	fixture_open(&fixture, mock_sizes, NULL);
	assert_int_equal(kolk_http_close(fixture.client.http, NULL, NULL), KOLK_OK);
	options.response_bytes_max = 40000;
	assert_int_equal(kolk_http_open(fixture.client.loop, &options, &fixture.client.http), KOLK_OK);
	assert_int_equal(http_fixture_call(&fixture.client, "GET", "/small", &response), KOLK_OK);
	assert_int_equal(response.body_size, 30000);
	kolk_http_response_free(&response);
	assert_int_equal(http_fixture_call(&fixture.client, "GET", "/large", &response), KOLK_E_LIMIT);
	assert_int_equal(response.status, 200);
	kolk_http_response_free(&response);
	kolk_http_response_free(&response);
	request.target = "no";
	assert_int_equal(
		kolk_http_call(fixture.client.http, fixture.client.key, &request, NULL, &response),
		KOLK_E_OPTIONS);
	kolk_http_response_free(&response);
	fixture_close(&fixture);
}

/* ---- much in both directions: a client that sends all before it reads waits for ever */

enum { MUCH = 12 << 20 };

/* /echo: what comes goes back at once, and nothing is read while that is stuck. /first: all of the
 * answer before a byte of the request is read. */
static void mock_much(struct kit_mock_conn *conn, void *user)
{
	static char bytes[65536];
	char text[4096];
	size_t left, size;

	(void)user;
	while (head(conn, text, sizeof text)) {
		bool first = strstr(text, " /first ") != NULL;

		snprintf(text, sizeof text, OK11 "Content-Length: %d\r\n\r\n", MUCH);
		if (!kit_mock_say(conn, text))
			return;
		for (left = MUCH; first && left > 0; left -= size) {
			size = left < sizeof bytes ? left : sizeof bytes;
			if (!kit_mock_send(conn, bytes, size))
				return;
		}
		for (left = MUCH; left > 0; left -= size) {
			char received[65536];

			size = left < sizeof received ? left : sizeof received;
			size = kit_mock_read_some(conn, received, size, 20000);
			if (size == 0 || (!first && !kit_mock_send(conn, received, size)))
				return;
		}
	}
}

static enum kolk_err pull_much(void *user, void *buffer, size_t capacity, size_t *size)
{
	size_t *left = user;

	*size = *left < capacity ? *left : capacity;
	memset(buffer, 'm', *size);
	*left -= *size;
	return KOLK_OK;
}

static void much(const struct kit_cert *cert, const char *target, bool pulled)
{
	struct kolk_http_response response = KOLK_INIT(kolk_http_response);
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	char *body = calloc(1, MUCH);
	size_t left = MUCH;
	struct fixture fixture;

	fixture_prepare(&fixture);
	fixture.cert = cert;
	fixture.receive_bytes = 4096;
	fixture_open(&fixture, mock_much, NULL);
	request.method = "PUT";
	request.target = target;
	request.deadline_ns = kolk_in_ms(60000);
	request.body = pulled ? NULL : body;
	request.body_size = pulled ? 0 : MUCH;
	request.pull = pulled ? pull_much : NULL;
	request.pull_size = pulled ? MUCH : 0;
	assert_int_equal(kolk_http_call(fixture.client.http, fixture.client.key, &request,
					&left, &response),
			 KOLK_OK);
	assert_int_equal(response.body_size, MUCH);
	kolk_http_response_free(&response);
	free(body);
	fixture_close(&fixture);
}

static void test_much(void **state)
{
	static const struct kit_cert_spec spec = {.subject = "localhost", .dns = "localhost"};
	struct kit_cert cert;

	(void)state;
	assert_true(kit_cert_make(&spec, NULL, &cert));
	for (int how = 0; how < 8; how++)
		much(how & 1 ? &cert : NULL, how & 2 ? "/echo" : "/first", how & 4);
}

static void test_refused_dial(void **state)
{
	struct fixture fixture;
	struct ask ask;

	(void)state;
	fixture_prepare(&fixture);
	fixture_open(&fixture, mock_silent, NULL);
	kit_mock_close(fixture.mock);
	fixture.mock = NULL;
	ask_init(&ask, &fixture.client, "GET", "/");
	ask.request.replayable = 1;
	assert_int_equal(ask_run(&ask), KOLK_E_CONN_REFUSED);
	fixture_close(&fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_corpus),
	cmocka_unit_test(test_idle_junk),
	cmocka_unit_test(test_expect),
	cmocka_unit_test(test_early_answer),
	cmocka_unit_test(test_stale),
	cmocka_unit_test(test_second_chance),
	cmocka_unit_test(test_idle_race),
	cmocka_unit_test(test_time),
	cmocka_unit_test(test_drain),
	cmocka_unit_test(test_pause),
	cmocka_unit_test(test_cancel_while_sending),
	cmocka_unit_test(test_cut_answers),
	cmocka_unit_test(test_upgrade),
	cmocka_unit_test(test_keep_alive),
	cmocka_unit_test(test_contradictions),
	cmocka_unit_test(test_moved),
	cmocka_unit_test(test_ping),
	cmocka_unit_test(test_bad_requests),
	cmocka_unit_test(test_bad_bodies),
	cmocka_unit_test(test_close),
	cmocka_unit_test(test_call),
	cmocka_unit_test(test_much),
	cmocka_unit_test(test_refused_dial),
	cmocka_unit_test(test_expect_paused),
	cmocka_unit_test(test_tunnel_left),
	cmocka_unit_test(test_keep_alive_max),
	cmocka_unit_test(test_early_end),
};
CMOCKA_TESTS(http1_client, tests);
