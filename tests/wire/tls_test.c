/* SPDX-License-Identifier: Apache-2.0 */
/* tls_test.c - which certificates are trusted, what is resumed, what a truncated stream means. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/kit/mock.h"
#include "tests/wire/wire.h"

/* A pool to an origin with this certificate; tls.server_name and others as given. */
static bool open_tls(struct wire *w, const struct kit_cert *cert, struct kolk_tls_options *tls,
		     struct kit_origin_options *origin)
{
	struct kit_origin_options plain = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	if (origin == NULL)
		origin = &plain;
	origin->cert = cert;
	if (tls->ca_file == NULL && !tls->verify_off)
		tls->ca_file = wire_certs.ca_path;
	o.tls = tls;
	return wire_origin(w, origin) && wire_engine(w, NULL) && wire_pool(w, &o);
}

static void trusted(void)
{
	struct wire w = { 0 };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	char line[3000];

	MUST(open_tls(&w, &wire_certs.good, &tls, NULL));
	memset(line, 'x', sizeof line);
	memcpy(line + sizeof line - 2, "\n", 2);
	for (int i = 0; i < 50; i++)
		CHECK_ERR(wire_request(w.key, line), KOLK_OK);
	CHECK(wire_stats(w.pool).created <= 2);
	wire_close(&w);
}

static void expect_refusal(const struct kit_cert *cert, const char *name)
{
	struct wire w = { 0 };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);

	tls.server_name = name;
	MUST(open_tls(&w, cert, &tls, NULL));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_TLS_VERIFY);
	CHECK(kolk_key_failure(w.key, &failure));
	CHECK(failure.phase == KOLK_PHASE_TLS && failure.err_class == KOLK_CLASS_TRUST &&
	      failure.tls_error != 0 && failure.detail != NULL);
	CHECK(kit_origin_counts(w.origin).answered == 0);
	wire_close(&w);
}

static void expired(void)
{
	expect_refusal(&wire_certs.expired, NULL);
}

static void wrong_name(void)
{
	expect_refusal(&wire_certs.other_name, "localhost");
}

static void wrong_address(void)
{
	expect_refusal(&wire_certs.other_name, NULL); /* dialled by IP, which it does not name */
}

static void unknown_authority(void)
{
	expect_refusal(&wire_certs.unknown_issuer, NULL);
}

static void self_signed(void)
{
	expect_refusal(&wire_certs.self_signed, NULL);
}

/* A Unix socket has no name: without one there is nothing to verify against. */
static void no_name(void)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool *pool = NULL;

	MUST(wire_engine(&w, NULL));
	o.name = "nameless";
	o.address = "unix:/tmp/kolk-nameless.sock";
	o.tls = &tls;
	o.failure = &failure;
	tls.ca_file = wire_certs.ca_path;
	CHECK_ERR(kolk_pool_add(w.engine, &o, &pool), KOLK_E_OPTIONS);
	CHECK(failure.field != NULL && strstr(failure.field, "server_name") != NULL);
	CHECK(pool == NULL);
	wire_close(&w);
}

static void name_of_choice(void)
{
	struct wire w = { 0 };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);

	tls.server_name = "other.example";
	MUST(open_tls(&w, &wire_certs.other_name, &tls, NULL));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	wire_close(&w);
}

static void opting_out_is_explicit(void)
{
	struct wire w = { 0 };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);

	tls.verify_off = 1;
	MUST(open_tls(&w, &wire_certs.self_signed, &tls, NULL));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	wire_close(&w);
}

static void missing_files(void)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool *pool = NULL;

	MUST(wire_engine(&w, NULL));
	o.name = "nofile";
	o.address = "127.0.0.1:1";
	o.tls = &tls;
	o.failure = &failure;
	tls.ca_file = "/nonexistent/ca.pem";
	CHECK_ERR(kolk_pool_add(w.engine, &o, &pool), KOLK_E_TLS);
	CHECK(failure.field != NULL && strstr(failure.field, "ca_file") != NULL);
	wire_close(&w);
}

static void resumption(void)
{
	struct kit_origin_options origin = { .behaviour = KIT_CLOSE, .after = 1 };
	struct wire w = { 0 };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kit_origin_counts counts;

	MUST(open_tls(&w, &wire_certs.good, &tls, &origin));
	for (int i = 0; i < 20; i++) {
		CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
		CHECK(WITHIN_MS(1000, kit_origin_counts(w.origin).ended >= (uint64_t)i + 1));
	}
	counts = kit_origin_counts(w.origin);
	tap_note("%llu of %llu handshakes resumed", (unsigned long long)counts.resumed,
		 (unsigned long long)counts.handshakes);
	CHECK(counts.resumed >= 10);
	wire_close(&w);
}

static void no_resumption_when_off(void)
{
	struct kit_origin_options origin = { .behaviour = KIT_CLOSE, .after = 1 };
	struct wire w = { 0 };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);

	tls.resume_off = 1;
	MUST(open_tls(&w, &wire_certs.good, &tls, &origin));
	for (int i = 0; i < 5; i++) {
		CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
		CHECK(WITHIN_MS(1000, kit_origin_counts(w.origin).ended >= (uint64_t)i + 1));
	}
	CHECK(kit_origin_counts(w.origin).resumed == 0);
	wire_close(&w);
}

/* The server ends the stream after its answer: what the next receive says, and why it closed. */
static void stream_ends(enum kit_behaviour behaviour, enum kolk_err expected)
{
	struct kit_origin_options origin = { .behaviour = behaviour, .after = 1 };
	struct wire w = { 0 };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_lease lease;
	char byte;
	size_t size;

	MUST(open_tls(&w, &wire_certs.good, &tls, &origin));
	CHECK_ERR(kolk_acquire(w.key, 0, &lease), KOLK_OK);
	CHECK_ERR(wire_exchange(&lease, "hello\n"), KOLK_OK);
	CHECK_ERR(kolk_recv(&lease, &byte, 1, kolk_in_ms(1000), &size), expected);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).destroyed[KOLK_REASON_IO_ERROR] == 1));
	wire_close(&w);
}

static void cut(void)
{
	stream_ends(KIT_CUT, KOLK_E_TLS_TRUNCATED);
}

static void close_notify_end(void)
{
	stream_ends(KIT_CLOSE, KOLK_E_CLOSED);
}

static void plain_server(void)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	enum kolk_err err;

	tls.ca_file = wire_certs.ca_path;
	o.tls = &tls;
	o.tls_timeout_ns = 100 * KOLK_MS_NS;
	MUST(wire_origin(&w, NULL) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	err = wire_request(w.key, "hello\n");
	CHECK(err == KOLK_E_TLS || err == KOLK_E_DIAL_TIMEOUT);
	wire_close(&w);
}

static void refuse_plainly(struct kit_mock_conn *conn, void *user)
{
	char hello[512];

	(void)user;
	if (kit_mock_read_some(conn, hello, sizeof hello, 5000) > 0)
		(void)kit_mock_say(conn, "HTTP/1.1 400 Bad Request\r\n\r\n");
}

/* As a server of HTTP answers TLS: the failure says what came. */
static void plain_answer(void)
{
	const struct kit_mock_options m = { .play = refuse_plainly };
	struct kit_mock *mock = kit_mock_open(&m);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct wire w = { 0 };

	tls.ca_file = wire_certs.ca_path;
	o.tls = &tls;
	MUST(mock != NULL);
	o.address = kit_mock_address(mock);
	MUST(wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_TLS);
	CHECK(kolk_key_failure(w.key, &failure));
	CHECK(failure.detail != NULL &&
	      strcmp(failure.detail, "what the peer sent is no record of TLS: does it speak TLS?") == 0);
	wire_close(&w);
	kit_mock_close(mock);
}

static enum kolk_err await_greeting(void *user, void *session, struct kolk_exchange *exchange)
{
	(void)user, (void)session, (void)exchange;
	return KOLK_PENDING;
}

static enum kolk_err read_greeting(void *user, void *session, struct kolk_exchange *exchange,
				   const void *bytes, size_t size)
{
	(void)user, (void)session, (void)exchange;
	return ((const char *)bytes)[size - 1] == '\n' ? KOLK_OK : KOLK_PENDING;
}

/* Its first word may come in one piece with the end of the handshake. */
static void server_speaks_first(void)
{
	struct kit_origin_options origin = { .cert = &wire_certs.good, .greeting = "welcome\n" };
	struct kolk_driver driver = KOLK_INIT(kolk_driver);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_lease lease;
	struct wire w = { 0 };

	driver.name = "greeted";
	driver.open = await_greeting;
	driver.feed = read_greeting;
	tls.ca_file = wire_certs.ca_path;
	tls.resume_off = 1;
	o.tls = &tls;
	o.driver = &driver;
	MUST(wire_origin(&w, &origin) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	for (int i = 0; i < 20; i++) {
		if (!CHECK_ERR(kolk_acquire(w.key, kolk_in_ms(15000), &lease), KOLK_OK))
			break;
		CHECK_ERR(wire_exchange(&lease, "hello\n"), KOLK_OK);
		CHECK_ERR(kolk_discard(&lease), KOLK_OK);
	}
	wire_close(&w);
}

/* Dials that wait for the first one's session are cancelled at random moments. */
static void closed_in_a_burst(void)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kit_origin_options origin = { .cert = &wire_certs.good };
	struct kolk_lease nothing;
	struct wire w = { 0 };

	MUST(wire_origin(&w, &origin));
	engine.loops = 4;
	tls.ca_file = wire_certs.ca_path;
	o.tls = &tls;
	o.connections_max = o.idle_min = o.dials_max = 8;
	for (int i = 0; i < 60; i++) {
		MUST(wire_engine(&w, &engine) && wire_pool(&w, &o));
		CHECK_ERR(kolk_try_acquire(w.key, &nothing), KOLK_E_EMPTY);
		usleep((unsigned)(i * 397 % 9000));
		CHECK_ERR(kolk_engine_destroy(w.engine), KOLK_OK);
	}
	w.engine = NULL;
	wire_close(&w);
}

static void pinned(void)
{
	const char *pins[3] = { "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	char pin[64];

	MUST(kit_pin_make(&wire_certs.good, pin));
	for (int i = 0; i < 3; i++) { /* wrong; right as the second; right, and nothing else */
		struct wire w = { 0 };

		tls.pins = pins;
		pins[1] = i > 0 ? pin : NULL;
		tls.verify_off = i == 2;
		MUST(open_tls(&w, &wire_certs.good, &tls, NULL));
		CHECK_ERR(wire_request(w.key, "hello\n"), i == 0 ? KOLK_E_TLS_VERIFY : KOLK_OK);
		wire_close(&w);
	}
	{ /* trust in nothing but a key is no trust in another one */
		struct wire w = { 0 };

		MUST(open_tls(&w, &wire_certs.self_signed, &tls, NULL));
		CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_TLS_VERIFY);
		wire_close(&w);
	}
}

static void revoked(void)
{
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	char path[] = "/tmp/kolk-crl-XXXXXX", pem[2048];
	int fd = mkstemp(path);

	MUST(fd >= 0 && kit_crl_make(&wire_certs.authority, &wire_certs.good, pem, sizeof pem) &&
	     kit_file_write(path, pem));
	close(fd);
	tls.crl_file = path;
	for (int i = 0; i < 2; i++) {
		struct wire w = { 0 };

		tls.server_name = i ? "other.example" : NULL;
		MUST(open_tls(&w, i ? &wire_certs.other_name : &wire_certs.good, &tls, NULL));
		CHECK_ERR(wire_request(w.key, "hello\n"), i ? KOLK_OK : KOLK_E_TLS_VERIFY);
		wire_close(&w);
	}
	unlink(path);
}

static const struct tap_test tests[] = {
	{ "a good certificate", trusted },
	{ "an expired certificate", expired },
	{ "a certificate for another name", wrong_name },
	{ "a certificate that does not name the address", wrong_address },
	{ "an unknown authority", unknown_authority },
	{ "a self-signed certificate", self_signed },
	{ "no name given", no_name },
	{ "a name of choice", name_of_choice },
	{ "turning verification off is explicit", opting_out_is_explicit },
	{ "files that are missing", missing_files },
	{ "a server that speaks first", server_speaks_first },
	{ "closed in the middle of a cold burst", closed_in_a_burst },
	{ "a pinned key", pinned },
	{ "a revoked certificate", revoked },
	{ "sessions are resumed", resumption },
	{ "sessions are not resumed when that is off", no_resumption_when_off },
	{ "a stream that is cut", cut },
	{ "a stream that ends with close_notify", close_notify_end },
	{ "a server that speaks no TLS", plain_server },
	{ "a server that answers TLS in plain text", plain_answer },
};
TAP_TESTS(tls, tests);
