/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http1_nonce_test.c - no request gets another's answer: every request carries a nonce, every
 * answer is made of it, in pieces and with pauses; three in ten requests are cancelled at a random
 * instant.
 */
#include "core/base/atomic.h"
#include "tests/peers/peers.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/drivers/http_fixture.h"
#include "tests/kit/mock.h"

enum { CALLERS = 64, NONCE = 16, REPEAT_MAX = 120 };

static uint64_t rnd(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

/* ---- the server */

static bool say(struct kit_mock_conn *conn, const char *text, size_t size, uint64_t *state)
{
	uint64_t how = rnd(state) % 100;

	if (how < 60 || size < 2)
		return kit_mock_send(conn, text, size);
	if (how < 95)
		return kit_mock_send_split(conn, text, size, 1 + rnd(state) % (size - 1),
					   (uint32_t)(rnd(state) % 100));
	return kit_mock_send_slowly(conn, text, size, 1 + size / 4, 50);
}

static size_t chunked(char *text, const char *nonce, size_t repeat, uint64_t *state)
{
	char *at =
		text + sprintf(text, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");

	while (repeat > 0) {
		size_t now = 1 + rnd(state) % repeat;

		at += sprintf(at, "%zx%s\r\n", now * NONCE,
			      rnd(state) % 8 == 0 ? ";x=\"y\"" : "");
		for (size_t i = 0; i < now; i++, at += NONCE)
			memcpy(at, nonce, NONCE);
		at += sprintf(at, "\r\n");
		repeat -= now;
	}
	at += sprintf(at, "0\r\nX-Nonce: %.16s\r\n\r\n", nonce);
	return (size_t)(at - text);
}

static size_t answer(char *text, const char *nonce, uint64_t *state)
{
	size_t repeat = 1 + rnd(state) % REPEAT_MAX;
	char *at = text;

	if (rnd(state) % 8 == 0)
		at += sprintf(at, "HTTP/1.1 103 Early Hints\r\nX-Nonce: %.16s\r\n\r\n", nonce);
	if (rnd(state) % 2 == 0)
		return (size_t)(at - text) + chunked(at, nonce, repeat, state);
	at += sprintf(at, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s\r\n", repeat * NONCE,
		      rnd(state) % 50 == 0 ? "Connection: close\r\n" : "");
	for (size_t i = 0; i < repeat; i++, at += NONCE)
		memcpy(at, nonce, NONCE);
	*at = '\0';
	return (size_t)(at - text);
}

static void mock_run(struct kit_mock_conn *conn, void *user)
{
	uint64_t state = (kit_mock_number(conn) + 1) * UINT64_C(0x9e3779b97f4a7c15);
	char text[16384], nonce[NONCE + 1];

	(void)user;
	while (kit_mock_read_until(conn, "\r\n\r\n", text, sizeof text, 60000)) {
		const char *path = strstr(text, " /");
		uint64_t how = rnd(&state) % 1000;
		bool last;
		size_t size;

		if (path == NULL || strlen(path) < 2 + NONCE)
			return;
		memcpy(nonce, path + 2, NONCE);
		nonce[NONCE] = '\0';
		if (strstr(text, "content-length: 16") != NULL &&
		    (!kit_mock_read(conn, text, NONCE, 60000) ||
		     memcmp(text, nonce, NONCE) != 0))
			return;
		if (how < 200 &&
		    !kit_mock_wait(conn, (uint32_t)(rnd(&state) % (how < 2 ? 20000 : 300))))
			return;
		size = answer(text, nonce, &state);
		last = strstr(text, "Connection: close") != NULL;
		if (!say(conn, text, size, &state) || last)
			return;
	}
}

/* ---- the callers */

struct test {
	struct http_fixture fixture;
	struct kolk_call post;
	uint64_t left, state;
	uint64_t whole, cancelled, failed, foreign, retried;
	kolk__atomic_u32 busy;
	struct caller {
		struct test *test;
		struct kolk_http_exchange *exchange;
		struct kolk_timer timer;
		char nonce[NONCE + 1];
		uint64_t body;
		enum cancel { STAY, AT_ONCE, BY_TIMER, IN_HEAD, IN_BODY } cancel;
	} caller[CALLERS];
};

static void next(struct caller *caller);

static void on_informational(void *user, struct kolk_http_exchange *exchange,
			     const struct kolk_http_head *head)
{
	struct caller *caller = user;
	const char *nonce = kolk_http_field(head->fields, head->field_count, "x-nonce");

	(void)exchange;
	caller->test->foreign += nonce == NULL || strcmp(nonce, caller->nonce) != 0;
}

static void on_head(void *user, struct kolk_http_exchange *exchange,
		    const struct kolk_http_head *head)
{
	struct caller *caller = user;

	caller->test->failed += head->status != 200;
	if (caller->cancel == IN_HEAD)
		kolk_http_cancel(exchange);
}

static void on_body(void *user, struct kolk_http_exchange *exchange, const void *data,
		    size_t size)
{
	struct caller *caller = user;
	const char *bytes = data;

	for (size_t i = 0; i < size; i++, caller->body++)
		if (bytes[i] != caller->nonce[caller->body % NONCE]) {
			caller->test->foreign++;
			break;
		}
	if (caller->cancel == IN_BODY)
		kolk_http_cancel(exchange);
}

static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t count)
{
	struct caller *caller = user;
	struct test *test = caller->test;

	kolk_timer_stop(&caller->timer);
	test->retried += kolk_http_retried(exchange);
	if (err == KOLK_OK) {
		test->whole++;
		test->foreign += caller->body == 0 || caller->body % NONCE != 0;
		test->foreign += count > 0 && strcmp(trailers[0].value, caller->nonce) != 0;
	} else if (err == KOLK_E_CANCELLED && caller->cancel != STAY) {
		test->cancelled++;
	} else {
		if (test->failed++ < 5)
			tap_note("%s", kolk_err_name(err));
	}
	next(caller);
}

static void cancel_now(struct kolk_timer *timer, void *user)
{
	struct caller *caller = user;

	(void)timer;
	kolk_http_cancel(caller->exchange);
}

static void plan(struct caller *caller)
{
	uint64_t *state = &caller->test->state;

	caller->cancel = STAY;
	if (rnd(state) % 100 < 30) {
		uint64_t how = 1 + rnd(state) % 8;

		caller->cancel = how <= IN_BODY ? (enum cancel)how : BY_TIMER;
	}
}

static void next(struct caller *caller)
{
	static const struct kolk_http_handler handler = {.size = (uint32_t)sizeof handler,
							 .informational = on_informational,
							 .head = on_head,
							 .body = on_body,
							 .end = on_end};
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct test *test = caller->test;
	char target[NONCE + 2];

	if (test->left == 0) {
		kolk__sub_acq_rel(&test->busy, 1);
		return;
	}
	test->left--;
	snprintf(caller->nonce, sizeof caller->nonce, "%016llx",
		 (unsigned long long)(rnd(&test->state) << 24 ^ rnd(&test->state)));
	snprintf(target, sizeof target, "/%s", caller->nonce);
	caller->body = 0;
	plan(caller);
	request.target = target;
	request.authority = "nonce";
	if (rnd(&test->state) % 4 == 0) {
		request.method = "POST";
		request.body = caller->nonce;
		request.body_size = NONCE;
	}
	if (kolk_http_start(test->fixture.http, test->fixture.key, &request, &handler, caller,
			    &caller->exchange) != KOLK_PENDING) {
		test->failed++;
		kolk__sub_acq_rel(&test->busy, 1);
	} else if (caller->cancel == AT_ONCE) {
		kolk_http_cancel(caller->exchange);
	} else if (caller->cancel == BY_TIMER) {
		(void)kolk_timer_start(test->fixture.loop, &caller->timer,
				       kolk_in_us(rnd(&test->state) % 800), cancel_now, caller);
	}
}

static void begin(struct kolk_call *post, void *user)
{
	struct test *test = user;

	(void)post;
	for (int i = 0; i < CALLERS; i++)
		next(&test->caller[i]);
}

static void run(const struct kit_cert *cert, uint64_t requests, uint64_t mend_ns,
		enum kolk_backend backend)
{
	struct kit_mock_options options = {.play = mock_run, .cert = cert};
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kit_mock *mock = kit_mock_open(&options);
	struct test *test = calloc(1, sizeof *test);
	uint64_t began = tap_now_ms();
	struct kolk_stats stats;

	tls.verify_off = 1;
	pool.address = kit_mock_address(mock);
	pool.tls = cert != NULL ? &tls : NULL;
	pool.connections_max = 40;
	pool.waiters_max = CALLERS;
	pool.dials_max = 16;
	pool.mend_timeout_ns = mend_ns;
	MUST(http_fixture_open_on(&test->fixture, &pool, backend));
	test->left = requests;
	test->state = peers_seed() | 1;
	kolk__store_release(&test->busy, CALLERS);
	for (int i = 0; i < CALLERS; i++)
		test->caller[i].test = test;
	CHECK_ERR(kolk_loop_call(test->fixture.loop, &test->post, begin, test), KOLK_OK);
	while (kolk__load_acquire(&test->busy) > 0 && tap_now_ms() < began + 600000)
		tap_nap();
	CHECK(kolk__load_acquire(&test->busy) == 0);
	CHECK(test->foreign == 0);
	CHECK(test->failed == 0);
	CHECK(test->whole + test->cancelled == requests);
	CHECK(test->cancelled > requests / 20); /* what does not wait for its time: 3 of 8 of 30 % */
	stats = http_fixture_stats(&test->fixture);
	tap_note("seed %llu: %llu whole, %llu cancelled, %llu foreign, %llu retried; %llu "
		 "connections, %llu reset, %llu not; %llu ms",
		 (unsigned long long)peers_seed(), (unsigned long long)test->whole,
		 (unsigned long long)test->cancelled, (unsigned long long)test->foreign,
		 (unsigned long long)test->retried, (unsigned long long)stats.created,
		 (unsigned long long)stats.mends_ok, (unsigned long long)stats.mends_failed,
		 (unsigned long long)(tap_now_ms() - began));
	CHECK(http_fixture_close(&test->fixture));
	kit_mock_close(mock);
	free(test);
}

static void test_nonce(void)
{
	run(NULL, peers_requests(160000), 0, KOLK_BACKEND_AUTO);
}

static void test_nonce_epoll(void)
{
	run(NULL, peers_requests(40000), 0, KOLK_BACKEND_EPOLL);
}

/* Outstanding answers are never drained: closed at once. */
static void test_nonce_closing(void)
{
	run(NULL, peers_requests(40000), KOLK_AT_ONCE, KOLK_BACKEND_AUTO);
}

static void test_nonce_tls(void)
{
	static const struct kit_cert_spec spec = {.subject = "localhost", .dns = "localhost"};
	struct kit_cert cert;

	MUST(kit_cert_make(&spec, NULL, &cert));
	run(&cert, peers_requests(20000), 0, KOLK_BACKEND_AUTO);
}

static const struct tap_test tests[] = {
	{"nonces", test_nonce},
	{"nonces on epoll", test_nonce_epoll},
	{"nonces, nothing reset", test_nonce_closing},
	{"nonces over TLS", test_nonce_tls},
};
TAP_TESTS(http1_nonce, tests);
