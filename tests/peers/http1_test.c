/* SPDX-License-Identifier: Apache-2.0 */
/* http1_test.c - HTTP/1.1 against nginx: every shape of an answer, bodies both ways,
 * connections that the server ends after three requests, reloads meanwhile. */
#include "core/base/atomic.h"
#include "tests/peers/peers.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/drivers/http_fixture.h"

static bool open_fixture(struct http_fixture *fixture, const struct kit_peer *nginx, bool tls)
{
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options options = KOLK_INIT(kolk_tls_options);

	options.ca_file = nginx->ca_file;
	options.server_name = "localhost";
	pool.address = tls ? nginx->tls_address : nginx->address;
	pool.tls = tls ? &options : NULL;
	pool.waiters_max = 10000;
	return CHECK(http_fixture_open(fixture, &pool));
}

static void check_answer(struct http_fixture *fixture, const char *method, const char *target,
			 uint32_t status, const char *body)
{
	struct kolk_http_response response;

	CHECK_ERR(http_fixture_call(fixture, method, target, &response), KOLK_OK);
	if (!CHECK(response.status == status) || !CHECK(http_fixture_says(&response, body)))
		tap_note("%s %s: %u, %zu bytes", method, target, response.status,
			 response.body_size);
	kolk_http_response_free(&response);
}

static void check_size(struct http_fixture *fixture, const char *target, size_t size)
{
	struct kolk_http_response response;
	size_t wrong = 0;

	CHECK_ERR(http_fixture_call(fixture, "GET", target, &response), KOLK_OK);
	CHECK(response.status == 200 && response.body_size == size);
	for (size_t i = 0; i < response.body_size; i++)
		wrong += ((const char *)response.body)[i] != 'x';
	CHECK(wrong == 0);
	kolk_http_response_free(&response);
}

static void check_shapes(struct http_fixture *fixture)
{
	check_answer(fixture, "GET", "/small", 200, "small\n");
	check_answer(fixture, "HEAD", "/small", 200, "");
	check_answer(fixture, "GET", "/empty", 200, "");
	check_answer(fixture, "GET", "/204", 204, "");
	check_answer(fixture, "GET", "/echo?n=abc", 200, "abc");
	check_answer(fixture, "GET", "/chunked?n=abc", 200, "abc");
	check_answer(fixture, "HEAD", "/chunked?n=abc", 200, "");
	check_answer(fixture, "GET", "/close?n=x", 200, "x");
	check_size(fixture, "/bytes/0", 0);
	check_size(fixture, "/bytes/1", 1);
	check_size(fixture, "/bytes/65536", 65536);
	check_size(fixture, "/bytes/10000000", 10000000);
	check_size(fixture, "/chunked-bytes/1000000", 1000000);
}

static void check_not_modified(struct http_fixture *fixture)
{
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct kolk_http_response first, second = KOLK_INIT(kolk_http_response);
	struct kolk_http_field field = {"If-None-Match", NULL};

	CHECK_ERR(http_fixture_call(fixture, "GET", "/small", &first), KOLK_OK);
	field.value = kolk_http_field(first.fields, first.field_count, "etag");
	if (CHECK(field.value != NULL)) {
		request.target = "/small";
		request.fields = &field;
		request.field_count = 1;
		CHECK_ERR(kolk_http_call(fixture->http, fixture->key, &request, NULL, &second),
			  KOLK_OK);
		CHECK(second.status == 304 && second.body_size == 0);
	}
	kolk_http_response_free(&first);
	kolk_http_response_free(&second);
}

static void check_trailers(struct http_fixture *fixture)
{
	struct kolk_http_response response;

	CHECK_ERR(http_fixture_call(fixture, "GET", "/trailer?n=abc", &response), KOLK_OK);
	CHECK(http_fixture_says(&response, "abc"));
	if (CHECK(response.trailer_count == 1))
		CHECK(strcmp(response.trailers[0].name, "x-nonce") == 0 &&
		      strcmp(response.trailers[0].value, "abc") == 0);
	kolk_http_response_free(&response);
}

/* ---- uploads */

struct upload {
	size_t left;
	uint32_t calls;
};

static enum kolk_err pull(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct upload *upload = user;

	*size = upload->left < capacity ? upload->left : capacity;
	if (upload->calls++ % 3 == 0 && *size > 100)
		*size = 100;
	memset(buffer, 'u', *size);
	upload->left -= *size;
	return KOLK_OK;
}

static void check_upload(struct http_fixture *fixture, size_t size, bool in_memory, bool chunked,
			 uint32_t expect)
{
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct kolk_http_response response = KOLK_INIT(kolk_http_response);
	struct upload upload = {.left = size};
	char *body = in_memory ? calloc(1, size + 1) : NULL;
	char text[32];

	request.method = "POST";
	request.target = "/sink";
	request.expect_continue = expect;
	if (in_memory) {
		request.body = body;
		request.body_size = size;
	} else {
		request.pull = pull;
		request.pull_size = chunked ? KOLK_HTTP_CHUNKED : size;
	}
	snprintf(text, sizeof text, "%zu", size);
	CHECK_ERR(kolk_http_call(fixture->http, fixture->key, &request, &upload, &response), KOLK_OK);
	if (!CHECK(response.status == 200 &&
		   atol(response.body == NULL ? "" : response.body) == (long)size))
		tap_note("%zu bytes: %u %.*s", size, response.status, (int)response.body_size,
			 (const char *)response.body);
	kolk_http_response_free(&response);
	free(body);
}

static void check_uploads(struct http_fixture *fixture)
{
	static const size_t sizes[] = {1, 1000, 16384, 100000, 3000000};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		check_upload(fixture, sizes[i], true, false, 0);
		check_upload(fixture, sizes[i], false, false, 0);
		check_upload(fixture, sizes[i], false, true, 0);
		check_upload(fixture, sizes[i], true, false, 1);
		check_upload(fixture, sizes[i], false, true, 1);
	}
}

static void run_shapes(bool tls)
{
	struct kit_nginx_options options = {.tls = tls};
	struct kit_peer *nginx = kit_nginx_start(&options);
	struct http_fixture fixture;

	if (nginx == NULL)
		return;
	if (open_fixture(&fixture, nginx, tls)) {
		check_shapes(&fixture);
		check_not_modified(&fixture);
		check_trailers(&fixture);
		check_uploads(&fixture);
		CHECK(http_fixture_stats(&fixture).created <= 4); /* /close; warm spares */
		CHECK(http_fixture_stats(&fixture).destroyed[KOLK_REASON_DIRTY] <= 1);
	}
	CHECK(http_fixture_close(&fixture));
	kit_peer_close(nginx);
}

static void test_shapes(void)
{
	run_shapes(false);
}

static void test_shapes_tls(void)
{
	run_shapes(true);
}

/* HTTP/1.0's manner: the end of the stream is the end of the body. */
static void test_until_close(void)
{
	struct kit_nginx_options options = {.tls = true};
	struct kit_peer *nginx = kit_nginx_start(&options);

	if (nginx == NULL)
		return;
	for (int tls = 0; tls < 2; tls++) {
		struct http_fixture fixture;

		if (!open_fixture(&fixture, nginx, tls != 0))
			break;
		for (int i = 0; i < 5; i++)
			check_answer(&fixture, "GET", "/old?n=old", 200, "old");
		CHECK(http_fixture_stats(&fixture).created >= 5); /* none serves twice */
		CHECK(http_fixture_close(&fixture));
	}
	kit_peer_close(nginx);
}

/* ---- many */

struct many {
	struct http_fixture fixture;
	kolk__atomic_u64 left, done, failed, wrong, retried;
	struct kolk_call post;
	uint32_t callers;
	kolk__atomic_u32 busy;
};

struct caller {
	struct many *many;
	uint64_t number, expected;
	char body[32];
	size_t size;
};

static void next(struct caller *caller);

static void on_body(void *user, struct kolk_http_exchange *exchange, const void *data,
		    size_t size)
{
	struct caller *caller = user;

	(void)exchange;
	if (caller->size + size <= sizeof caller->body)
		memcpy(caller->body + caller->size, data, size);
	caller->size += size;
}

static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t count)
{
	struct caller *caller = user;
	struct many *many = caller->many;
	char expected[32];
	int size = snprintf(expected, sizeof expected, "%llu",
			    (unsigned long long)caller->expected);

	(void)trailers;
	(void)count;
	kolk__add_acq_rel(&many->retried, kolk_http_retried(exchange));
	if (err != KOLK_OK) {
		if (kolk__add_acq_rel(&many->failed, 1) < 5)
			tap_note("request %llu: %s%s",
				 (unsigned long long)caller->expected, kolk_err_name(err),
				 kolk_http_retried(exchange) ? ", sent twice" : "");
	} else if (caller->size != (size_t)size ||
		   memcmp(caller->body, expected, caller->size) != 0) {
		kolk__add_acq_rel(&many->wrong, 1);
	}
	kolk__add_acq_rel(&many->done, 1);
	next(caller);
}

static void next(struct caller *caller)
{
	static const struct kolk_http_handler handler = {
		.size = (uint32_t)sizeof handler, .body = on_body, .end = on_end};
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct many *many = caller->many;
	unsigned long left = kolk__load_acquire(&many->left);
	char target[64];

	if (left == 0) {
		kolk__sub_acq_rel(&many->busy, 1);
		return;
	}
	kolk__store_release(&many->left, left - 1);
	caller->expected = left;
	caller->size = 0;
	snprintf(target, sizeof target, "/echo?n=%lu", left);
	request.target = target;
	request.replayable = 1;
	if (kolk_http_start(many->fixture.http, many->fixture.key, &request, &handler, caller, NULL) !=
	    KOLK_PENDING) {
		kolk__add_acq_rel(&many->failed, 1);
		kolk__sub_acq_rel(&many->busy, 1);
	}
}

static void begin_many(struct kolk_call *post, void *user)
{
	struct caller *caller = user;

	(void)post;
	for (uint32_t i = 0; i < caller->many->callers; i++)
		next(&caller[i]);
}

static void run_many(struct many *many, uint64_t requests, uint32_t callers,
		     void (*meanwhile)(void *), void *user)
{
	struct caller *caller = calloc(callers, sizeof *caller);
	uint64_t began = tap_now_ms();

	kolk__store_release(&many->left, requests);
	kolk__store_release(&many->busy, callers);
	many->callers = callers;
	for (uint32_t i = 0; i < callers; i++)
		caller[i].many = many;
	CHECK_ERR(kolk_loop_call(many->fixture.loop, &many->post, begin_many, caller), KOLK_OK);
	while (kolk__load_acquire(&many->busy) > 0 && tap_now_ms() < began + 300000) {
		tap_nap();
		if (meanwhile != NULL)
			meanwhile(user);
	}
	CHECK(kolk__load_acquire(&many->busy) == 0);
	CHECK(kolk__load_acquire(&many->done) == requests);
	CHECK(kolk__load_acquire(&many->failed) == 0);
	CHECK(kolk__load_acquire(&many->wrong) == 0);
	tap_note("%lu requests in %llu ms, %lu retried, %llu connections",
		 kolk__load_acquire(&many->done), (unsigned long long)(tap_now_ms() - began),
		 kolk__load_acquire(&many->retried),
		 (unsigned long long)http_fixture_stats(&many->fixture).created);
	free(caller);
}

/* The server ends a connection after its third answer, and says so. */
static void test_keepalive_requests(void)
{
	struct kit_nginx_options options = {.keepalive_requests = 3, .workers = 1};
	struct kit_peer *nginx = kit_nginx_start(&options);
	struct many many = {0};

	if (nginx == NULL)
		return;
	if (open_fixture(&many.fixture, nginx, false))
		run_many(&many, peers_requests(100000), 16, NULL, NULL);
	CHECK(http_fixture_close(&many.fixture));
	kit_peer_close(nginx);
}

struct reloads {
	struct kit_peer *nginx;
	uint64_t next_ms;
	uint32_t count;
};

static void reload(void *user)
{
	struct reloads *reloads = user;

	if (tap_now_ms() < reloads->next_ms)
		return;
	CHECK(kit_nginx_reload(reloads->nginx, NULL));
	reloads->count++;
	reloads->next_ms = tap_now_ms() + 200;
}

static void run_reloads(uint32_t keepalive_requests)
{
	struct kit_nginx_options options = {.keepalive_requests = keepalive_requests,
					    .workers = 2};
	struct kit_peer *nginx = kit_nginx_start(&options);
	struct reloads reloads = {.nginx = nginx}; /* the first is beside the first requests */
	struct many many = {0};

	if (nginx == NULL)
		return;
	if (open_fixture(&many.fixture, nginx, false))
		run_many(&many, peers_requests(100000), 16, reload, &reloads);
	CHECK(reloads.count > 0);
	tap_note("%u reloads", reloads.count);
	CHECK(http_fixture_close(&many.fixture));
	kit_peer_close(nginx);
}

static void test_reload(void)
{
	run_reloads(3);
}

static void test_reload_keepalive(void)
{
	run_reloads(0);
}

static const struct tap_test tests[] = {
	{"shapes", test_shapes},
	{"shapes over TLS", test_shapes_tls},
	{"until the end of the stream", test_until_close},
	{"keepalive_requests 3", test_keepalive_requests},
	{"keepalive_requests 3 and reloads", test_reload},
	{"reloads", test_reload_keepalive},
};
TAP_TESTS(http1, tests);
