/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_tls_test.c - the HTTP server over TLS, on both back ends: which protocol a client gets, and
 * bodies both ways, with the library's own client and with curl. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/drivers/http_fixture.h"
#include "tests/drivers/served.h"
#include "tests/kit/certs.h"
#include "tests/kit/tap.h"

enum { BODY = 3 << 20, ECHOES = 12 };

static const char *const both[] = {"h2", "http/1.1", NULL}, *const only_2[] = {"h2", NULL},
		  *const only_1[] = {"http/1.1", NULL};

struct fixture {
	struct kit_certs certs;
	struct served served;
	char *body; /* BODY bytes: served_byte */
};

static void open_fixture(struct fixture *f, enum kolk_backend backend, const char *const *alpn)
{
	struct kolk_listener_tls tls = KOLK_INIT(kolk_listener_tls);
	struct kolk_certificate certificate;

	assert_true(kit_certs_open(&f->certs));
	certificate.certificate_file = f->certs.first.pem;
	certificate.key_file = f->certs.first.key;
	tls.certificates = &certificate;
	tls.certificate_count = 1;
	tls.alpn = alpn;
	served_open_tls(&f->served, backend, &tls);
	f->body = malloc(BODY);
	for (size_t i = 0; i < BODY; i++)
		f->body[i] = served_byte(i);
}

/* Those that were refused in their handshake were no requests. */
static void expect_requests(struct fixture *f, uint64_t http1, uint64_t http2)
{
	struct kolk_http_server_stats stats = KOLK_INIT(kolk_http_server_stats);

	(void)kolk_http_server_stats(f->served.server, &stats);
	assert_int_equal(stats.requests, http1 + http2);
	assert_int_equal(stats.requests_http2, http2);
	assert_int_equal(stats.status[2], http1 + http2);
}

static void close_fixture(struct fixture *f)
{
	served_wait_quiet(&f->served);
	served_close(&f->served);
	kit_certs_close(&f->certs);
	free(f->body);
}

/* ---- the library's own client */

static void open_client(struct http_fixture *client, const struct fixture *f,
			enum kolk_backend backend, const char *const *alpn)
{
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);

	tls.ca_file = f->certs.authority.pem;
	tls.server_name = "first.test";
	tls.alpn = alpn;
	pool.address = kolk_listener_address(f->served.listener);
	pool.idle_min = KOLK_NONE;
	pool.tls = &tls;
	assert_true(http_fixture_open_on(client, &pool, backend));
}

static void echo(struct http_fixture *client, const struct fixture *f, size_t size,
		 uint32_t version)
{
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct kolk_http_response response = KOLK_INIT(kolk_http_response);

	request.method = "POST";
	request.target = "/echo";
	request.body = f->body;
	request.body_size = size;
	request.expect_continue = size % 2;
	request.deadline_ns = kolk_in_ms(20000);
	assert_int_equal(kolk_http_call(client->http, client->key, &request, NULL, &response),
			 KOLK_OK);
	assert_int_equal(response.status, 200);
	assert_int_equal(response.version, version);
	assert_int_equal(response.body_size, size);
	assert_memory_equal(response.body, f->body, size);
	kolk_http_response_free(&response);
}

/* Bodies both ways, on one connection that is kept. */
static void ask(struct fixture *f, enum kolk_backend backend, const char *const *alpn,
		uint32_t version)
{
	struct kolk_http_response response = KOLK_INIT(kolk_http_response);
	struct http_fixture client;

	open_client(&client, f, backend, alpn);
	for (uint32_t i = 0; i < ECHOES; i++)
		echo(&client, f, (BODY >> i % 6 * 4) - i % 2, version);
	assert_int_equal(http_fixture_call(&client, "GET", "/bytes/1000000", &response), KOLK_OK);
	assert_int_equal(response.version, version);
	assert_int_equal(response.body_size, 1000000);
	assert_memory_equal(response.body, f->body, 1000000);
	kolk_http_response_free(&response);
	assert_int_equal(http_fixture_stats(&client).created, 1);
	assert_true(http_fixture_close(&client));
	expect_requests(f, version == 11 ? ECHOES + 1 : 0, version == 20 ? ECHOES + 1 : 0);
}

/* It offers what the server does not have: no stream, and no request. */
static void ask_in_vain(struct fixture *f, enum kolk_backend backend, const char *const *alpn)
{
	struct kolk_http_response response = KOLK_INIT(kolk_http_response);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct http_fixture client;

	open_client(&client, f, backend, alpn);
	assert_int_not_equal(http_fixture_call(&client, "GET", "/", &response), KOLK_OK);
	assert_true(kolk_key_failure(client.key, &failure));
	assert_int_equal(failure.err, KOLK_E_TLS);
	kolk_http_response_free(&response);
	assert_true(http_fixture_close(&client));
	expect_requests(f, 0, 0);
}

static void own_client(enum kolk_backend backend)
{
	static const struct row {
		const char *const *server, *const *client;
		uint32_t version; /* 0 = refused */
	} rows[] = {
		{both, both, 20},    {both, only_2, 20}, {both, only_1, 11}, {both, NULL, 11},
		{only_2, both, 20}, {only_1, both, 11}, {NULL, both, 11},  {NULL, NULL, 11},
		{only_2, only_1, 0}, {only_1, only_2, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fixture f;

		open_fixture(&f, backend, rows[i].server);
		if (rows[i].version != 0)
			ask(&f, backend, rows[i].client, rows[i].version);
		else
			ask_in_vain(&f, backend, rows[i].client);
		close_fixture(&f);
	}
}

/* ---- many at once: streams of one HTTP/2 connection, their bodies interleaved */

enum { STREAMS = 40, STREAM_BYTES = 300000 };

struct one {
	struct many *many;
	struct kolk_http_exchange *exchange;
	uint64_t at;
	bool wrong;
};

struct many {
	const struct fixture *f;
	struct http_fixture client;
	struct one one[STREAMS];
	kolk__atomic_u32 ended, right;
};

static void on_part(void *user, struct kolk_http_exchange *exchange, const void *data, size_t size)
{
	struct one *one = user;

	(void)exchange;
	if (one->at + size > STREAM_BYTES || memcmp(one->many->f->body + one->at, data, size) != 0)
		one->wrong = true;
	one->at += size;
}

static void on_over(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		    const struct kolk_http_field *trailers, size_t count)
{
	struct one *one = user;

	(void)exchange;
	(void)trailers;
	(void)count;
	if (err == KOLK_OK && !one->wrong && one->at == STREAM_BYTES)
		kolk__add_acq_rel(&one->many->right, 1);
	kolk__add_acq_rel(&one->many->ended, 1);
}

static void start_all(struct kolk_call *call, void *user)
{
	static const struct kolk_http_handler handler = {
		.size = sizeof handler, .body = on_part, .end = on_over};
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct many *many = user;

	(void)call;
	request.method = "POST";
	request.target = "/echo";
	request.body = many->f->body;
	request.body_size = STREAM_BYTES;
	request.deadline_ns = kolk_in_ms(20000);
	for (int i = 0; i < STREAMS; i++) {
		struct one *one = &many->one[i];

		one->many = many;
		assert_int_equal(kolk_http_start(many->client.http, many->client.key, &request,
						 &handler, one, &one->exchange), KOLK_PENDING);
	}
}

static void many_streams(enum kolk_backend backend)
{
	struct many *many = calloc(1, sizeof *many);
	struct kolk_call call;
	struct fixture f;

	open_fixture(&f, backend, both);
	many->f = &f;
	open_client(&many->client, &f, backend, only_2);
	assert_int_equal(kolk_loop_call(many->client.loop, &call, start_all, many), KOLK_OK);
	served_wait_for(&many->ended, STREAMS);
	assert_int_equal(kolk__load_acquire(&many->right), STREAMS);
	assert_int_equal(http_fixture_stats(&many->client).created, 1);
	assert_true(http_fixture_close(&many->client));
	close_fixture(&f);
	free(many);
}

/* ---- curl */

/* What curl says of the answer's protocol and status; what it got is what it sent. */
static void curl(const struct fixture *f, const char *protocol, size_t size, const char *expected)
{
	char command[1024], said[64] = "", sent[64], got[64], *back = malloc(BODY + 1);
	FILE *file, *pipe;

	snprintf(sent, sizeof sent, "%s/sent", f->certs.directory);
	snprintf(got, sizeof got, "%s/got", f->certs.directory);
	file = fopen(sent, "w");
	assert_int_equal(fwrite(f->body, 1, size, file), size);
	fclose(file);
	snprintf(command, sizeof command,
		 "curl -sS -m 20 %s --cacert %s --resolve first.test:%u:127.0.0.1 --data-binary @%s "
		 "-o %s -w '%%{http_version} %%{http_code}' https://first.test:%u/echo 2>&1",
		 protocol, f->certs.authority.pem, f->served.port, sent, got, f->served.port);
	pipe = popen(command, "r");
	assert_non_null(fgets(said, sizeof said, pipe));
	assert_int_equal(pclose(pipe), 0);
	assert_string_equal(said, expected);
	file = fopen(got, "r");
	assert_int_equal(fread(back, 1, BODY + 1, file), size);
	fclose(file);
	assert_memory_equal(back, f->body, size);
	unlink(sent);
	unlink(got);
	free(back);
}

static void curls(enum kolk_backend backend)
{
	struct fixture f;

	open_fixture(&f, backend, both);
	for (size_t size = 1; size <= BODY; size *= 1448) {
		curl(&f, "--http2", size, "2 200");
		curl(&f, "--http1.1", size, "1.1 200");
		curl(&f, "--no-alpn", size, "1.1 200");
	}
	close_fixture(&f);
}

/* ---- tests */

static void on_backends(void (*test)(enum kolk_backend backend))
{
	test(KOLK_BACKEND_EPOLL);
	test(KOLK_BACKEND_AUTO);
}

static void test_own_client(void **state)
{
	(void)state;
	on_backends(own_client);
}

static void test_many_streams(void **state)
{
	(void)state;
	on_backends(many_streams);
}

static void test_curl(void **state)
{
	(void)state;
	if (system("curl --version 2>/dev/null | grep -q HTTP2") != 0)
		SKIP_BECAUSE("curl with HTTP/2 is not installed (package curl)");
	on_backends(curls);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_own_client),
	cmocka_unit_test(test_many_streams),
	cmocka_unit_test(test_curl),
};
CMOCKA_TESTS(http_server_tls, tests);
