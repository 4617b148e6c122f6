/* SPDX-License-Identifier: Apache-2.0 */
/* tls_server_test.c - the TLS of listeners against the TLS of pools, through memory. */
#include <string.h>

#include "tests/unit/tls_pair.h"

/* A handshake of these two; the pair stays open. */
static void meet(struct pair *pair, struct pair_world *world, const struct kolk_tls_options *client,
		 struct kolk__tls_server *server)
{
	pair_open(pair, world, client, NULL);
	pair_accept(pair, server);
	pair_shake(pair);
}

/* ---- data and ends */

static void talk(struct pair_world *world, bool only_12)
{
	struct kolk_certificate certificates[1];
	struct kolk_listener_tls o = pair_listener(world, certificates);
	struct kolk_tls_options client = pair_client(world);
	struct kolk__tls_server *server = pair_server(world, &o);
	struct kolk_stream_peer peer;
	struct pair pair;
	char byte;
	size_t size;

	if (only_12)
		pair_only_12(server);
	meet(&pair, world, &client, server);
	kolk__tls_server_unref(server); /* the open stream keeps its own */
	assert_int_equal(pair_outcome(&pair.client), KOLK_OK);
	assert_int_equal(pair_outcome(&pair.server), KOLK_OK);
	assert_true(pair_say(&pair.client, &pair.server, "hello"));
	assert_true(pair_say(&pair.server, &pair.client, "good day"));
	peer = pair_peer(&pair);
	assert_int_equal(peer.tls_version, only_12 ? KOLK__TLS12 : KOLK__TLS_VERSION_MAX);
	assert_string_equal(peer.server_name, "first.test");
	assert_null(peer.alpn);
	assert_null(peer.certificate);
	assert_non_null(strstr(peer.cipher_suite, "CHACHA20"));
	kolk__tls_notify(&pair.client.link);
	pair_move(&pair.client, &pair.server);
	assert_int_equal(kolk__tls_read(&pair.server.link, &byte, 1, &size), KOLK_E_CLOSED);
	assert_true(pair_say(&pair.server, &pair.client, "and so on"));
	kolk__tls_notify(&pair.server.link);
	pair_move(&pair.server, &pair.client);
	assert_int_equal(kolk__tls_read(&pair.client.link, &byte, 1, &size), KOLK_E_CLOSED);
	pair_close(&pair);
}

static void data_and_close_notify(void **state)
{
	talk(*state, true);
	talk(*state, false);
}

/* Each is a record without data; what comes behind them counts. mbedTLS takes the fourth in a row
 * for an attack. */
enum { EMPTY_MAX = 3 };

static void says_nothing(struct pair_end *from, int times)
{
	for (int i = 0; i < times; i++)
		assert_int_equal(mbedtls_ssl_write(&from->link.tls->ssl, (const uint8_t *)"", 0), 0);
}

static void empty_records(void **state)
{
	struct kolk_certificate certificates[1];
	struct kolk_listener_tls o = pair_listener(*state, certificates);
	struct kolk__tls_server *server = pair_server(*state, &o);
	struct kolk_tls_options client = pair_client(*state);
	struct pair pair;
	char heard[8];
	size_t size;

	pair_open(&pair, *state, &client, NULL);
	pair_accept(&pair, server);
	pair_shake(&pair);
	for (int count = 0; count <= EMPTY_MAX; count++) {
		says_nothing(&pair.client, count);
		assert_true(pair_say(&pair.client, &pair.server, "hello"));
		says_nothing(&pair.server, count);
		assert_true(pair_say(&pair.server, &pair.client, "good day"));
	}
	says_nothing(&pair.client, EMPTY_MAX);
	pair_move(&pair.client, &pair.server);
	assert_int_equal(kolk__tls_read(&pair.server.link, heard, sizeof heard, &size),
			 KOLK_PENDING);
	pair.server.link.ended = true;
	assert_int_equal(kolk__tls_read(&pair.server.link, heard, sizeof heard, &size),
			 KOLK_E_TLS_TRUNCATED);
	pair_close(&pair);
	kolk__tls_server_unref(server);
}

static void an_end_without_close_notify(void **state)
{
	struct kolk_certificate certificates[1];
	struct kolk_listener_tls o = pair_listener(*state, certificates);
	struct kolk_tls_options client = pair_client(*state);
	struct kolk__tls_server *server = pair_server(*state, &o);
	struct pair pair;
	char byte;
	size_t size;

	meet(&pair, *state, &client, server);
	pair.server.link.ended = true;
	assert_int_equal(kolk__tls_read(&pair.server.link, &byte, 1, &size), KOLK_E_TLS_TRUNCATED);
	pair_close(&pair);
	kolk__tls_server_unref(server);
}

/* ---- names */

static const struct {
	const char *name;
	enum kolk_err expected;
} names[] = {
	{ "first.test", KOLK_OK },
	{ "second.test", KOLK_OK },
	{ "SECOND.test", KOLK_OK },
	{ "a.wild.test", KOLK_OK },
	{ "wild.test", KOLK_E_TLS_VERIFY },     /* the first serves it, and is for another name */
	{ "a.b.wild.test", KOLK_E_TLS_VERIFY }, /* a wildcard is one label */
	{ "sub.first.test", KOLK_E_TLS_VERIFY },
	{ "third.test", KOLK_E_TLS_VERIFY },
	{ "127.0.0.1", KOLK_E_TLS_VERIFY },     /* no name is sent */
};

static void names_choose_certificates(void **state)
{
	struct pair_world *world = *state;
	struct kolk_certificate certificates[] = { { world->certs.first.pem, world->certs.first.key },
						   { world->certs.wild.pem, world->certs.wild.key },
						   { world->certs.second.pem, world->certs.second.key } };
	struct kolk_listener_tls o = pair_listener(world, certificates);
	struct kolk_tls_options client = pair_client(world);
	struct kolk__tls_server *server;
	struct pair pair;

	certificates[0] = (struct kolk_certificate){ world->certs.first.pem, world->certs.first.key };
	o.certificate_count = 3;
	server = pair_server(world, &o);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		client.server_name = names[i].name;
		meet(&pair, world, &client, server);
		if (pair_outcome(&pair.client) != names[i].expected)
			fail_msg("%s: %s", names[i].name,
				 kolk_err_name(pair_outcome(&pair.client)));
		pair_close(&pair);
	}
	kolk__tls_server_unref(server);
}

/* ---- ALPN */

static void the_server_prefers_protocols(void **state)
{
	static const char *const ours[] = { "h2", "http/1.1", NULL };
	static const char *const both[] = { "http/1.1", "h2", NULL };
	static const char *const old[] = { "http/1.1", NULL };
	struct kolk_certificate certificates[1];
	struct kolk_listener_tls o = pair_listener(*state, certificates);
	struct kolk_tls_options client = pair_client(*state);
	struct kolk__tls_server *server;
	struct pair pair;

	o.alpn = ours;
	server = pair_server(*state, &o);
	client.alpn = both;
	meet(&pair, *state, &client, server);
	assert_string_equal(pair_peer(&pair).alpn, "h2");
	assert_string_equal(kolk__tls_alpn(&pair.client.link), "h2");
	pair_close(&pair);
	client.alpn = old;
	meet(&pair, *state, &client, server);
	assert_string_equal(pair_peer(&pair).alpn, "http/1.1");
	pair_close(&pair);
	client.alpn = NULL;
	meet(&pair, *state, &client, server);
	assert_int_equal(pair_outcome(&pair.server), KOLK_OK);
	assert_null(pair_peer(&pair).alpn);
	pair_close(&pair);
	kolk__tls_server_unref(server);
}

static void no_protocol_in_common(void **state)
{
	static const char *const ours[] = { "h2", NULL };
	static const char *const theirs[] = { "ftp", "http/1.1", NULL };
	struct kolk_certificate certificates[1];
	struct kolk_listener_tls o = pair_listener(*state, certificates);
	struct kolk_tls_options client = pair_client(*state);
	struct kolk__tls_server *server;
	struct pair pair;

	o.alpn = ours;
	client.alpn = theirs;
	server = pair_server(*state, &o);
	meet(&pair, *state, &client, server);
	assert_int_equal(pair_outcome(&pair.server), KOLK_E_TLS);
	assert_int_equal(pair_outcome(&pair.client), KOLK_E_TLS);
	assert_string_equal(pair_detail(&pair.client), "alert: no_application_protocol");
	assert_string_equal(pair_detail(&pair.server), "alert sent: no_application_protocol");
	pair_close(&pair);
	kolk__tls_server_unref(server);
}

/* ---- certificates of clients */

struct client_case {
	const char *what;
	size_t cert; /* in struct pair_world; 0 = none */
	enum kolk_err required, optional, none;
	const char *detail; /* of the server, where it is required */
};

#define CERT(name) offsetof(struct pair_world, name)

static const struct client_case client_cases[] = {
	{ "none", 0, KOLK_E_TLS, KOLK_OK, KOLK_OK, "the client has no certificate" },
	{ "good", CERT(certs.client), KOLK_OK, KOLK_OK, KOLK_OK, "" },
	{ "expired", CERT(certs.expired), KOLK_E_TLS_VERIFY, KOLK_E_TLS_VERIFY, KOLK_OK,
	  "the certificate has expired" },
	{ "of a foreign", CERT(certs.foreign), KOLK_E_TLS_VERIFY, KOLK_E_TLS_VERIFY, KOLK_OK,
	  "no trusted authority signed the certificate" },
	{ "revoked", CERT(certs.revoked), KOLK_E_TLS_VERIFY, KOLK_E_TLS_VERIFY, KOLK_OK,
	  "the certificate is revoked" },
	{ "for servers", CERT(certs.only_servers), KOLK_E_TLS_VERIFY, KOLK_E_TLS_VERIFY, KOLK_OK,
	  "the extended key usage of the certificate excludes this use" },
};

static void expect_client(struct pair_world *world, const struct client_case *c,
			  struct kolk__tls_server *server, enum kolk_err expected)
{
	const struct kit_cert_files *cert = (const void *)((const char *)world + c->cert);
	bool asked = server->client_auth != KOLK_CLIENT_AUTH_NONE;
	struct kolk_tls_options client = pair_client(world);
	struct pair pair;

	client.certificate_file = c->cert != 0 ? cert->pem : NULL;
	client.key_file = c->cert != 0 ? cert->key : NULL;
	meet(&pair, world, &client, server);
	if (pair_outcome(&pair.server) != expected)
		fail_msg("%s: %s, %s", c->what, kolk_err_name(pair_outcome(&pair.server)),
			 pair_detail(&pair.server));
	if (expected == KOLK_OK) {
		assert_true((pair_peer(&pair).certificate != NULL) == (asked && c->cert != 0));
		assert_true(pair_say(&pair.server, &pair.client, "welcome"));
	} else if (server->client_auth == KOLK_CLIENT_AUTH_REQUIRED) {
		assert_string_equal(pair_detail(&pair.server), c->detail);
	}
	pair_close(&pair);
}

static void clients_show(struct pair_world *world, bool only_12)
{
	struct kolk_certificate certificates[1];
	struct kolk_listener_tls o = pair_listener(world, certificates);

	for (o.client_auth = 0; o.client_auth <= KOLK_CLIENT_AUTH_REQUIRED; o.client_auth++) {
		struct kolk__tls_server *server;

		o.ca_file = o.client_auth != KOLK_CLIENT_AUTH_NONE ? world->certs.authority.pem : NULL;
		o.crl_file = o.client_auth != KOLK_CLIENT_AUTH_NONE ? world->certs.crl : NULL;
		server = pair_server(world, &o);
		if (only_12)
			pair_only_12(server);
		for (size_t i = 0; i < sizeof client_cases / sizeof *client_cases; i++) {
			const struct client_case *c = &client_cases[i];

			expect_client(world, c, server,
				      o.client_auth == KOLK_CLIENT_AUTH_NONE	 ? c->none :
				      o.client_auth == KOLK_CLIENT_AUTH_OPTIONAL ? c->optional :
										   c->required);
		}
		kolk__tls_server_unref(server);
	}
}

static void clients_show_certificates(void **state)
{
	clients_show(*state, true);
	clients_show(*state, false);
}

/* A client of TLS 1.2 learns it from the handshake, not after it. */
static void a_bad_optional_certificate_fails_the_handshake(void **state)
{
	struct pair_world *world = *state;
	struct kolk_certificate certificates[1];
	struct kolk_listener_tls o = pair_listener(world, certificates);
	struct kolk_tls_options client = pair_client(world);
	struct kolk__tls_server *server;
	struct pair pair;

	o.client_auth = KOLK_CLIENT_AUTH_OPTIONAL;
	o.ca_file = world->certs.authority.pem;
	client.certificate_file = world->certs.expired.pem;
	client.key_file = world->certs.expired.key;
	server = pair_server(world, &o);
	pair_only_12(server);
	meet(&pair, world, &client, server);
	assert_int_equal(pair_outcome(&pair.client), KOLK_E_TLS);
	assert_string_equal(pair_detail(&pair.client), "alert: certificate_expired");
	pair_close(&pair);
	kolk__tls_server_unref(server);
}

/* ---- what is refused at once */

struct refusal {
	const char *field;
	enum kolk_err expected;
	void (*spoil)(struct kolk_listener_tls *o, struct kolk_certificate *c,
		      struct pair_world *world);
};

#define SPOIL(name, what)                                                                 \
	static void name(struct kolk_listener_tls *o, struct kolk_certificate *c,         \
			 struct pair_world *world)                                        \
	{                                                                                 \
		(void)o, (void)c, (void)world;                                            \
		what;                                                                     \
	}
SPOIL(version, o->version_min = 0x0302)
SPOIL(profile, o->profile = 3)
SPOIL(auth, o->client_auth = 3)
SPOIL(nothing, o->certificates = NULL)
SPOIL(none, o->certificate_count = 0)
SPOIL(many, o->certificate_count = 65)
SPOIL(no_anchors, o->client_auth = KOLK_CLIENT_AUTH_REQUIRED)
SPOIL(anchors, o->ca_file = world->certs.authority.pem)
SPOIL(revocations, o->crl_file = world->certs.crl)
SPOIL(brief, o->ticket_lifetime_ns = 59 * KOLK_S_NS)
SPOIL(eternal, o->ticket_lifetime_ns = 8 * 24 * 3600 * KOLK_S_NS)
SPOIL(no_key, c->key_file = NULL)
SPOIL(no_file, c->certificate_file = "/nonexistent.pem")
SPOIL(a_key, c->certificate_file = world->certs.first.key)
SPOIL(another_key, c->key_file = world->certs.second.key)
SPOIL(bad_anchors, (o->client_auth = KOLK_CLIENT_AUTH_REQUIRED, o->ca_file = world->certs.crl))

static void bad_options_are_named(void **state)
{
	static const struct refusal refusals[] = {
		{ "version_min", KOLK_E_OPTIONS, version },
		{ "profile", KOLK_E_OPTIONS, profile },
		{ "client_auth", KOLK_E_OPTIONS, auth },
		{ "certificates", KOLK_E_OPTIONS, nothing },
		{ "certificates", KOLK_E_OPTIONS, none },
		{ "certificate_count", KOLK_E_OPTIONS, many },
		{ "ca_file", KOLK_E_OPTIONS, no_anchors },
		{ "ca_file", KOLK_E_OPTIONS, anchors },
		{ "crl_file", KOLK_E_OPTIONS, revocations },
		{ "ticket_lifetime_ns", KOLK_E_OPTIONS, brief },
		{ "ticket_lifetime_ns", KOLK_E_OPTIONS, eternal },
		{ "key_file", KOLK_E_OPTIONS, no_key },
		{ "certificate_file", KOLK_E_TLS, no_file },
		{ "certificate_file", KOLK_E_TLS, a_key },
		{ "key_file", KOLK_E_OPTIONS, another_key },
		{ "ca_file", KOLK_E_TLS, bad_anchors },
	};

	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		struct kolk_certificate certificates[1];
		struct kolk_listener_tls o = pair_listener(*state, certificates);
		struct kolk_failure failure = KOLK_INIT(kolk_failure);
		struct kolk__tls_server *server = NULL;
		struct pair_world *world = *state;

		refusals[i].spoil(&o, certificates, world);
		assert_int_equal(kolk__tls_server_open(world->transport, &o, &failure, &server),
				 refusals[i].expected);
		assert_string_equal(failure.field, refusals[i].field);
		assert_null(server);
	}
}

/* ---- bytes that a client did not mean */

/* The client's bytes of a handshake, one of them wrong or the last: the server ends, in a typed
 * way, and never takes the client for a good one. */
static void hurt(struct pair_world *world, struct kolk__tls_server *server, size_t at, bool cut)
{
	struct kolk_tls_options client = pair_client(world);
	size_t seen = 0, size;
	struct pair pair;

	pair_open(&pair, world, &client, NULL);
	pair_accept(&pair, server);
	for (int i = 0; i < 8 && !pair.server.link.ended; i++) {
		struct kolk__buffer *in = &pair.server.link.in;

		if (pair_outcome(&pair.client) == KOLK_PENDING)
			kolk__tls_handshake(&pair.client.link);
		size = pair_move(&pair.client, &pair.server);
		if (at >= seen && at < seen + size && cut)
			in->end -= (uint32_t)(seen + size - at);
		else if (at >= seen && at < seen + size)
			in->bytes[in->end - (seen + size - at)] ^= (uint8_t)(1 << at % 8);
		pair.server.link.ended = cut && at < seen + size;
		seen += size;
		if (pair_outcome(&pair.server) == KOLK_PENDING)
			kolk__tls_handshake(&pair.server.link);
		pair_move(&pair.server, &pair.client);
	}
	assert_true(!pair.server.link.ended || pair_outcome(&pair.server) == KOLK_E_CLOSED);
	if (pair_outcome(&pair.client) == KOLK_OK && pair_outcome(&pair.server) == KOLK_OK)
		assert_true(pair_say(&pair.client, &pair.server, "unhurt"));
	pair_close(&pair);
}

static void bytes_that_are_hurt(void **state)
{
	enum { STRIDE = 5, BYTES = 420 };
	struct kolk_certificate certificates[1];
	struct kolk_listener_tls o = pair_listener(*state, certificates);
	struct kolk__tls_server *server = pair_server(*state, &o);

	for (size_t at = 0; at < BYTES; at += STRIDE) {
		hurt(*state, server, at, false);
		hurt(*state, server, at, true);
	}
	kolk__tls_server_unref(server);
}

#define IN_WORLD(test) \
	cmocka_unit_test_setup_teardown(test, pair_world_open, pair_world_close)

static const struct CMUnitTest tests[] = {
	IN_WORLD(data_and_close_notify),
	IN_WORLD(empty_records),
	IN_WORLD(an_end_without_close_notify),
	IN_WORLD(names_choose_certificates),
	IN_WORLD(the_server_prefers_protocols),
	IN_WORLD(no_protocol_in_common),
	IN_WORLD(clients_show_certificates),
	IN_WORLD(a_bad_optional_certificate_fails_the_handshake),
	IN_WORLD(bad_options_are_named),
	IN_WORLD(bytes_that_are_hurt),
};
CMOCKA_TESTS(tls_server, tests);
