/* SPDX-License-Identifier: Apache-2.0 */
/* tls_test.c - TLS against OpenSSL's server: what is agreed on, what is refused, and what the failure
 * says about it. */
#include "tests/peers/peers.h"

#include <stdio.h>
#include <string.h>

#include <kolk/kolk.h>

enum { CIRCUIT = 5 }; /* failed dials that open it */

struct client {
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
};

static bool client_open(struct client *c, const struct kit_peer *server,
			struct kolk_tls_options *tls)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);

	if (tls->ca_file == NULL && !tls->verify_off)
		tls->ca_file = server->ca_file;
	if (tls->server_name == NULL)
		tls->server_name = "localhost";
	pool.name = "tls";
	pool.address = server->tls_address;
	pool.tls = tls;
	pool.connections_max = 1; /* the server serves one */
	pool.idle_min = KOLK_NONE;
	pool.circuit_failures = CIRCUIT;
	pool.retry_interval_ns = pool.retry_max_ns = 100 * KOLK_MS_NS;
	pool.failure = &failure;
	if (!CHECK_ERR(kolk_engine_create(&engine, &c->engine), KOLK_OK))
		return false;
	if (CHECK_ERR(kolk_pool_add(c->engine, &pool, &c->pool), KOLK_OK)) {
		c->key = kolk_pool_key(c->pool);
		return true;
	}
	tap_note("%s, -0x%04x", failure.field, (unsigned)-failure.tls_error);
	CHECK_ERR(kolk_engine_destroy(c->engine), KOLK_OK);
	return false;
}

static void client_close(struct client *c)
{
	CHECK_ERR(kolk_engine_destroy(c->engine), KOLK_OK);
}

static enum kolk_err ask(const struct kolk_lease *lease)
{
	enum kolk_err err = kolk_send_all(lease, "abc\n", 4, kolk_in_ms(3000));
	char answer[4];
	size_t size, got = 0;

	while (err == KOLK_OK && got < sizeof answer) {
		err = kolk_recv(lease, answer + got, sizeof answer - got, kolk_in_ms(3000), &size);
		got += err == KOLK_OK ? size : 0;
	}
	return err == KOLK_OK && memcmp(answer, "cba\n", 4) != 0 ? KOLK_E_PROTOCOL : err;
}

/* A lease of a new connection; if it can be had, a question on it. */
static enum kolk_err dial(struct client *c, struct kolk_failure *failure)
{
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(c->key, kolk_in_ms(5000), &lease);

	if (err != KOLK_OK) {
		CHECK(kolk_key_failure(c->key, failure));
		return err;
	}
	err = ask(&lease);
	CHECK_ERR(kolk_discard(&lease), KOLK_OK);
	return err;
}

static enum kolk_err try(const struct kit_peer *server, struct kolk_tls_options tls,
			 struct kolk_failure *failure)
{
	enum kolk_err err = KOLK_E_OPTIONS;
	struct client c;

	*failure = (struct kolk_failure)KOLK_INIT(kolk_failure);
	if (client_open(&c, server, &tls)) {
		err = dial(&c, failure);
		client_close(&c);
	}
	return err;
}

static bool has_tls13(void)
{
	return strstr(kolk_tls_text(), "TLS 1.3") != NULL;
}

/* ---- one server, one profile */

struct agreement {
	const char *what;
	const char *args[6];
	const char *key;
	enum kolk_tls_profile profile;
	enum kolk_err expected;
};

static void agree(const struct agreement *a)
{
	const struct kit_openssl_options options = { .key = a->key, .args = a->args };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kit_peer *server = kit_openssl_start(&options);
	struct kolk_failure failure;

	if (server == NULL)
		return;
	tls.profile = a->profile;
	if (!CHECK_ERR(try(server, tls, &failure), a->expected))
		tap_note("%s: mbedTLS' -0x%04x, %s", a->what, (unsigned)-failure.tls_error,
			 failure.detail != NULL ? failure.detail : "no detail");
	kit_peer_close(server);
}

#define WITH_SUITE(suite) { "-tls1_2", "-cipher", suite ":@SECLEVEL=0", NULL }
#define DHE_1024 { "-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0", "-dhparam", \
		   "dh1024.pem", NULL }

static void suites(void)
{
	static const struct agreement cases[] = {
		{ "static RSA", WITH_SUITE("AES128-GCM-SHA256"), "rsa:2048", KOLK_TLS_DEFAULT,
		  KOLK_E_TLS },
		{ "static RSA, compatible", WITH_SUITE("AES128-GCM-SHA256"), "rsa:2048",
		  KOLK_TLS_COMPATIBLE, KOLK_OK },
		{ "DHE, 1024 bits", DHE_1024, "rsa:2048", KOLK_TLS_DEFAULT, KOLK_E_TLS },
		{ "DHE, 1024 bits, compatible", DHE_1024, "rsa:2048", KOLK_TLS_COMPATIBLE, KOLK_OK },
		{ "DHE, 2048 bits", WITH_SUITE("DHE-RSA-AES128-GCM-SHA256"), "rsa:2048",
		  KOLK_TLS_DEFAULT, KOLK_OK },
		{ "DHE, strict", WITH_SUITE("DHE-RSA-AES128-GCM-SHA256"), "rsa:2048",
		  KOLK_TLS_STRICT, KOLK_E_TLS },
		{ "ECDHE, strict", WITH_SUITE("ECDHE-RSA-AES256-GCM-SHA384"), "rsa:2048",
		  KOLK_TLS_STRICT, KOLK_OK },
		{ "CBC", WITH_SUITE("ECDHE-RSA-AES128-SHA"), "rsa:2048", KOLK_TLS_DEFAULT, KOLK_OK },
		{ "CBC, strict", WITH_SUITE("ECDHE-RSA-AES128-SHA"), "rsa:2048", KOLK_TLS_STRICT,
		  KOLK_E_TLS },
		{ "CCM_8", WITH_SUITE("ECDHE-ECDSA-AES128-CCM8"), NULL, KOLK_TLS_COMPATIBLE,
		  KOLK_E_TLS },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		agree(&cases[i]);
}

#define WITH_GROUP(group) { "-tls1_2", "-groups", group, "-cipher", "ECDHE", NULL }

static void groups(void)
{
	static const struct agreement cases[] = {
		{ "X25519", WITH_GROUP("X25519"), NULL, KOLK_TLS_STRICT, KOLK_OK },
		{ "P-384", WITH_GROUP("P-384"), NULL, KOLK_TLS_STRICT, KOLK_OK },
		{ "P-521", WITH_GROUP("P-521"), NULL, KOLK_TLS_DEFAULT, KOLK_OK },
		{ "brainpool", WITH_GROUP("brainpoolP512r1"), "rsa:2048", KOLK_TLS_DEFAULT, KOLK_E_TLS },
		{ "brainpool, compatible", WITH_GROUP("brainpoolP512r1"), "rsa:2048",
		  KOLK_TLS_COMPATIBLE, KOLK_OK },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		agree(&cases[i]);
	if (has_tls13()) {
		static const struct agreement newest = { "TLS 1.3", { "-tls1_3", NULL }, NULL,
							 KOLK_TLS_STRICT, KOLK_OK };

		agree(&newest);
	}
}

/* ---- certificates */

struct certificate {
	const char *key, *leaf, *inter;
	enum kolk_err expected;
	const char *detail; /* NULL = not checked */
};

static void judge(const struct certificate *c)
{
	static const char *const versions[][2] = { { "-tls1_2", NULL }, { "-tls1_3", NULL } };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_failure failure;

	for (int i = 0; i < (has_tls13() ? 2 : 1); i++) {
		const struct kit_openssl_options options = { c->key, c->leaf, c->inter,
							     versions[i] };
		struct kit_peer *server = kit_openssl_start(&options);

		if (server == NULL)
			return;
		if (!CHECK_ERR(try(server, tls, &failure), c->expected) ||
		    !CHECK(c->detail == NULL ||
			   (failure.detail != NULL && strstr(failure.detail, c->detail) != NULL)))
			tap_note("%s, %.60s, %.60s: mbedTLS' -0x%04x, %s", versions[i][0],
				 c->leaf != NULL ? c->leaf : "", c->inter != NULL ? c->inter : "",
				 (unsigned)-failure.tls_error,
				 failure.detail != NULL ? failure.detail : "no detail");
		if (c->expected == KOLK_E_TLS_VERIFY)
			CHECK(failure.phase == KOLK_PHASE_TLS &&
			      failure.err_class == KOLK_CLASS_TRUST);
		kit_peer_close(server);
	}
}

static void usages(void)
{
	static const struct certificate cases[] = {
		{ .leaf = "extendedKeyUsage = serverAuth", .expected = KOLK_OK },
		{ .leaf = "extendedKeyUsage = clientAuth", .expected = KOLK_E_TLS_VERIFY,
		  .detail = "extended key usage of the certificate" },
		{ .key = "rsa:2048", .leaf = "keyUsage = critical,keyEncipherment",
		  .expected = KOLK_E_TLS_VERIFY, .detail = "key usage of the certificate" },
		{ .leaf = "1.2.3.4 = critical,DER:0500", .expected = KOLK_E_TLS_VERIFY,
		  .detail = "critical extension" },
		{ .inter = "1.2.3.4 = critical,DER:0500", .expected = KOLK_E_TLS_VERIFY,
		  .detail = "critical extension" },
		{ .inter = "extendedKeyUsage = clientAuth,emailProtection",
		  .expected = KOLK_E_TLS_VERIFY, .detail = "extended key usage of an authority" },
		{ .inter = "extendedKeyUsage = serverAuth", .expected = KOLK_OK },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		judge(&cases[i]);
}

/* The name is "localhost". */
static void name_constraints(void)
{
	static const struct certificate cases[] = {
		{ .inter = "nameConstraints = permitted;DNS:localhost", .expected = KOLK_OK },
		{ .inter = "nameConstraints = permitted;DNS:example.org,permitted;DNS:localhost",
		  .expected = KOLK_OK },
		{ .inter = "nameConstraints = permitted;email:example.org", .expected = KOLK_OK },
		{ .inter = "nameConstraints = permitted;DNS:example.org",
		  .expected = KOLK_E_TLS_VERIFY, .detail = "name constraints" },
		{ .inter = "nameConstraints = permitted;DNS:host", /* no label of its own */
		  .expected = KOLK_E_TLS_VERIFY, .detail = "name constraints" },
		{ .inter = "nameConstraints = excluded;DNS:localhost",
		  .expected = KOLK_E_TLS_VERIFY, .detail = "name constraints" },
		{ .inter = "nameConstraints = DER:0500", /* malformed */
		  .expected = KOLK_E_TLS_VERIFY, .detail = "name constraints" },
		{ .inter = "nameConstraints = DER:3003A00130",
		  .expected = KOLK_E_TLS_VERIFY, .detail = "name constraints" },
		{ .inter = "nameConstraints = critical,permitted;DNS:localhost",
		  .expected = KOLK_E_TLS_VERIFY, .detail = "critical extension" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		judge(&cases[i]);
}

/* The name is 127.0.0.1. */
static void address_constraints(void)
{
	static const struct certificate cases[] = {
		{ .inter = "nameConstraints = permitted;IP:127.0.0.0/255.0.0.0", .expected = KOLK_OK },
		{ .inter = "nameConstraints = permitted;IP:10.0.0.0/255.0.0.0",
		  .expected = KOLK_E_TLS_VERIFY },
		{ .inter = "nameConstraints = excluded;IP:127.0.0.0/255.0.0.0",
		  .expected = KOLK_E_TLS_VERIFY },
		{ .inter = "nameConstraints = permitted;IP:fe80::/ffff::", .expected = KOLK_E_TLS_VERIFY },
		{ .inter = "nameConstraints = excluded;DNS:localhost", .expected = KOLK_OK },
	};
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_failure failure;

	tls.server_name = "127.0.0.1";
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct kit_openssl_options options = { .inter = cases[i].inter };
		struct kit_peer *server = kit_openssl_start(&options);

		if (server == NULL)
			return;
		if (!CHECK_ERR(try(server, tls, &failure), cases[i].expected))
			tap_note("%s", cases[i].inter);
		kit_peer_close(server);
	}
}

static void no_ed25519(void)
{
	static const struct certificate c = { .key = "ed25519", .expected = KOLK_E_TLS,
					      .detail = "alert: handshake_failure" };

	judge(&c);
}

/* A certificate of more than 16 KiB: mbedTLS' buffers end there. */
static void long_chain(void)
{
	static char names[20000];
	const struct certificate c = { .leaf = names, .expected = KOLK_E_TLS,
				       .detail = "handshake message" };
	size_t used = (size_t)snprintf(names, sizeof names, "nsComment = ");

	memset(names + used, 'x', 17000);
	judge(&c);
}

/* ---- short records */

/* The chain, some 1 800 bytes, comes in records of 512: mbedTLS 2.28 cannot put it together, and does
 * without after that; with TLS 1.3 it is not asked for. */
static void record_max(void)
{
	static const char *const versions[][2] = { { "-tls1_2", NULL }, { "-tls1_3", NULL } };
	struct kolk_failure failure = KOLK_INIT(kolk_failure);

	for (int i = 0; i < (has_tls13() ? 2 : 1); i++) {
		const struct kit_openssl_options options = { .key = "rsa:2048",
							     .args = versions[i] };
		struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
		struct kit_peer *server = kit_openssl_start(&options);
		enum kolk_err err;
		struct client c;

		if (server == NULL)
			return;
		tls.record_max = 512;
		if (client_open(&c, server, &tls)) {
			err = dial(&c, &failure);
			if (!CHECK(err == KOLK_OK || (!has_tls13() && err == KOLK_E_TLS &&
						      failure.detail != NULL &&
						      strstr(failure.detail, "handshake message"))))
				tap_note("%s: %s, -0x%04x", versions[i][0], kolk_err_name(err),
					 (unsigned)-failure.tls_error);
			CHECK_ERR(dial(&c, &failure), KOLK_OK);
			client_close(&c);
		}
		kit_peer_close(server);
	}
}

/* ---- client certificates */

struct client_case {
	const char *args[8];
	bool shows; /* a certificate */
	enum kolk_err expected;
	const char *detail;
};

static void present(const struct client_case *c)
{
	const struct kit_openssl_options options = { .args = c->args };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	char certificate[KIT_PEER_PATH + 16], key[KIT_PEER_PATH + 16];
	struct kit_peer *server = kit_openssl_start(&options);
	struct kolk_failure failure;
	enum kolk_err err;
	int late = 0;

	if (server == NULL)
		return;
	snprintf(certificate, sizeof certificate, "%s/chain.pem", server->directory);
	snprintf(key, sizeof key, "%s/leaf.key", server->directory);
	tls.certificate_file = c->shows ? certificate : NULL;
	tls.key_file = c->shows ? key : NULL;
	do /* on a busy machine the word may come after the dial: to the first receive */
		err = try(server, tls, &failure);
	while (c->detail != NULL && err != KOLK_OK && failure.err == KOLK_OK && ++late < 20);
	if (!CHECK_ERR(err, c->expected) ||
	    !CHECK(c->detail == NULL ||
		   (failure.phase == KOLK_PHASE_TLS && failure.detail != NULL &&
		    strcmp(failure.detail, c->detail) == 0)))
		tap_note("%s: %s, %s", c->args[0], kolk_phase_name(failure.phase),
			 failure.detail != NULL ? failure.detail : "no detail");
	kit_peer_close(server);
}

/* Over TLS 1.3 the server says no after the handshake: the dial waits for that. */
static void client_certificates(void)
{
	static const struct client_case cases[] = {
		{ { "-tls1_2", "-Verify", "2", "-verify_return_error", "-CAfile", "other.pem", NULL },
		  true, KOLK_E_TLS, "alert: unknown_ca" },
		{ { "-tls1_2", "-Verify", "2", "-verify_return_error", "-CAfile", "root.pem", NULL },
		  true, KOLK_OK, NULL },
		{ { "-tls1_2", "-Verify", "2", "-CAfile", "root.pem", NULL }, false, KOLK_E_TLS,
		  "alert: handshake_failure" },
		{ { "-tls1_3", "-Verify", "2", "-verify_return_error", "-CAfile", "other.pem", NULL },
		  true, KOLK_E_TLS, "alert: unknown_ca" },
		{ { "-tls1_3", "-Verify", "2", "-CAfile", "root.pem", NULL }, false, KOLK_E_TLS,
		  "alert: certificate_required" },
		{ { "-tls1_3", "-Verify", "2", "-verify_return_error", "-CAfile", "root.pem", NULL },
		  true, KOLK_OK, NULL },
		{ { "-tls1_3", "-Verify", "2", "-num_tickets", "0", "-CAfile", "root.pem", NULL },
		  true, KOLK_OK, NULL },
		{ { "-tls1_3", "-verify", "2", "-CAfile", "root.pem", NULL }, false, KOLK_OK, NULL },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (has_tls13() || strcmp(cases[i].args[0], "-tls1_2") == 0)
			present(&cases[i]);
}

/* ---- the circuit counts them */

enum { MOST = 60 }; /* dials */

/* Dial until the circuit is open. On a busy machine an alert may come too late to fail its dial. */
static void dial_until_open(struct client *c, const char *detail)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	enum kolk_err err = KOLK_OK;
	int failed = 0;

	for (int i = 0; i < MOST && err != KOLK_E_CIRCUIT; i++) {
		err = dial(c, &failure);
		failed += err == KOLK_E_TLS;
		CHECK(err != KOLK_OK);
	}
	CHECK_ERR(err, KOLK_E_CIRCUIT);
	CHECK(failed >= CIRCUIT);
	CHECK(failure.err == KOLK_E_TLS && failure.phase == KOLK_PHASE_TLS &&
	      failure.detail != NULL && strcmp(failure.detail, detail) == 0);
	CHECK_ERR(kolk_pool_stats(c->pool, &stats), KOLK_OK);
	CHECK(stats.dial_failed >= CIRCUIT);
}

static void circuit_of(const char *version, const char *roots, bool shows, const char *detail)
{
	const char *const args[] = { version, "-Verify", "2", "-verify_return_error", "-CAfile",
				     roots, NULL };
	const struct kit_openssl_options options = { .args = args };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	char certificate[KIT_PEER_PATH + 16], key[KIT_PEER_PATH + 16];
	struct kit_peer *server = kit_openssl_start(&options);
	struct client c;

	if (server == NULL)
		return;
	snprintf(certificate, sizeof certificate, "%s/chain.pem", server->directory);
	snprintf(key, sizeof key, "%s/leaf.key", server->directory);
	tls.certificate_file = shows ? certificate : NULL;
	tls.key_file = shows ? key : NULL;
	if (client_open(&c, server, &tls)) {
		dial_until_open(&c, detail);
		client_close(&c);
	}
	kit_peer_close(server);
}

static void refusals_open_the_circuit(void)
{
	circuit_of("-tls1_2", "other.pem", true, "alert: unknown_ca");
	circuit_of("-tls1_2", "root.pem", false, "alert: handshake_failure");
	if (!has_tls13())
		return;
	circuit_of("-tls1_3", "other.pem", true, "alert: unknown_ca");
	circuit_of("-tls1_3", "root.pem", false, "alert: certificate_required");
}

static const struct tap_test tls_tests[] = {
	{ "cipher suites", suites },
	{ "groups", groups },
	{ "usages and critical extensions of certificates", usages },
	{ "name constraints", name_constraints },
	{ "constraints of addresses", address_constraints },
	{ "no Ed25519", no_ed25519 },
	{ "a chain of more than 16 KiB", long_chain },
	{ "short records", record_max },
	{ "client certificates that are refused", client_certificates },
	{ "client certificates that are refused open the circuit", refusals_open_the_circuit },
};
TAP_TESTS(openssl, tls_tests);
