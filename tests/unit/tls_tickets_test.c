/* SPDX-License-Identifier: Apache-2.0 */
/* tls_tickets_test.c - what a listener resumes, and for how long. */
#include <string.h>

#include "tests/unit/tls_pair.h"

#define LIFETIME_NS (3600 * KOLK_S_NS)

/* A server that resumes shows no certificate: its part of the handshake is short. */
enum { SHORT = 400 };

/* One connection of a client that keeps sessions; the client reads its ticket. Was it resumed? */
static bool resumes(struct pair *pair, struct pair_world *world,
		    const struct kolk_tls_options *client, struct kolk__tls_server *server,
		    kolk__tls_sessions_ptr *sessions)
{
	char byte;
	size_t size;

	pair_open(pair, world, client, sessions);
	pair_accept(pair, server);
	pair_shake(pair);
	assert_int_equal(pair_outcome(&pair->client), KOLK_OK);
	assert_int_equal(pair_outcome(&pair->server), KOLK_OK);
	assert_int_equal(kolk__tls_read(&pair->client.link, &byte, 1, &size), KOLK_PENDING);
	assert_true(pair_say(&pair->client, &pair->server, "ping"));
	assert_true(pair_say(&pair->server, &pair->client, "pong"));
	pair_pass_ns(KOLK_S_NS); /* nobody waits for this one's session any more */
	return pair->shaken < SHORT;
}

static bool resumes_once(struct pair_world *world, struct kolk__tls_server *server,
			 kolk__tls_sessions_ptr *sessions)
{
	struct kolk_tls_options client = pair_client(world);
	struct pair pair;
	bool resumed = resumes(&pair, world, &client, server, sessions);

	pair_close(&pair);
	return resumed;
}

static struct kolk__tls_server *server_open(struct pair_world *world, bool only_12)
{
	struct kolk_certificate certificates[1];
	struct kolk_listener_tls o = pair_listener(world, certificates);
	struct kolk__tls_server *server;

	o.ticket_lifetime_ns = LIFETIME_NS;
	server = pair_server(world, &o);
	if (only_12)
		pair_only_12(server);
	return server;
}

static void a_session_is_resumed(void **state)
{
	for (int only_12 = 0; only_12 < 2; only_12++) {
		struct kolk__tls_server *server = server_open(*state, only_12 == 1);
		struct pair_world *world = *state;
		kolk__tls_sessions_ptr sessions = { 0 };

		assert_false(resumes_once(world, server, &sessions));
		assert_true(resumes_once(world, server, &sessions));
		assert_true(resumes_once(world, server, &sessions));
		kolk__tls_sessions_close(world->transport, &sessions);
		kolk__tls_server_unref(server);
	}
}

/* Made with a key, resumed when it has been replaced, but not when that was as long ago. */
static void tickets_outlive_their_key_once(void **state)
{
	struct kolk__tls_server *server = server_open(*state, true);
	struct pair_world *world = *state;
	kolk__tls_sessions_ptr early = { 0 }, late = { 0 };

	assert_false(resumes_once(world, server, &early));
	pair_pass_ns(LIFETIME_NS + LIFETIME_NS / 2);
	assert_false(resumes_once(world, server, &late)); /* the key is replaced */
	assert_true(resumes_once(world, server, &early));
	pair_pass_ns(LIFETIME_NS);
	assert_false(resumes_once(world, server, &early));
	assert_true(resumes_once(world, server, &late));
	kolk__tls_sessions_close(world->transport, &early);
	kolk__tls_sessions_close(world->transport, &late);
	kolk__tls_server_unref(server);
}

/* Nobody came for so long that no key was replaced. */
static void an_old_key_does_not_open(void **state)
{
	struct kolk__tls_server *server = server_open(*state, true);
	struct pair_world *world = *state;
	kolk__tls_sessions_ptr sessions = { 0 };

	assert_false(resumes_once(world, server, &sessions));
	pair_pass_ns(2 * LIFETIME_NS);
	assert_false(resumes_once(world, server, &sessions));
	kolk__tls_sessions_close(world->transport, &sessions);
	kolk__tls_server_unref(server);
}

static void another_configuration_does_not_resume(void **state)
{
	struct kolk__tls_server *server = server_open(*state, false);
	struct kolk__tls_server *other = server_open(*state, false);
	struct pair_world *world = *state;
	kolk__tls_sessions_ptr sessions = { 0 };

	assert_false(resumes_once(world, server, &sessions));
	assert_false(resumes_once(world, other, &sessions));
	kolk__tls_sessions_close(world->transport, &sessions);
	kolk__tls_server_unref(server);
	kolk__tls_server_unref(other);
}

static void no_tickets_when_off(void **state)
{
	struct pair_world *world = *state;
	struct kolk_certificate certificates[1];
	struct kolk_listener_tls o = pair_listener(world, certificates);
	kolk__tls_sessions_ptr sessions = { 0 };
	struct kolk__tls_server *server;

	o.tickets_off = 1;
	server = pair_server(world, &o);
	assert_false(resumes_once(world, server, &sessions));
	assert_false(resumes_once(world, server, &sessions));
	kolk__tls_sessions_close(world->transport, &sessions);
	kolk__tls_server_unref(server);
}

/* TLS 1.2 brings the certificate back; TLS 1.3 would not, and does not resume. */
static void identity(struct pair_world *world, uint32_t client_auth, bool only_12)
{
	struct kolk_certificate certificates[1];
	struct kolk_listener_tls o = pair_listener(world, certificates);
	struct kolk_tls_options client = pair_client(world);
	kolk__tls_sessions_ptr sessions = { 0 };
	struct kolk__tls_server *server;
	struct pair pair;

	o.client_auth = client_auth;
	o.ca_file = world->certs.authority.pem;
	client.certificate_file = world->certs.client.pem;
	client.key_file = world->certs.client.key;
	server = pair_server(world, &o);
	if (only_12)
		pair_only_12(server);
	for (int i = 0; i < 2; i++) {
		bool resumed = resumes(&pair, world, &client, server, &sessions);
		struct kolk_stream_peer peer = pair_peer(&pair);

		assert_true(resumed == (i == 1 && peer.tls_version == KOLK__TLS12));
		assert_non_null(peer.certificate);
		assert_true(peer.certificate_size > 200);
		pair_close(&pair);
	}
	kolk__tls_sessions_close(world->transport, &sessions);
	kolk__tls_server_unref(server);
}

static void a_resumed_client_is_who_it_was(void **state)
{
	for (int only_12 = 0; only_12 < 2; only_12++) {
		identity(*state, KOLK_CLIENT_AUTH_REQUIRED, only_12 == 1);
		identity(*state, KOLK_CLIENT_AUTH_OPTIONAL, only_12 == 1);
	}
}

/* A client without a certificate may resume, and is nobody then, too. */
static void a_resumed_client_stays_nobody(void **state)
{
	struct pair_world *world = *state;
	struct kolk_certificate certificates[1];
	struct kolk_listener_tls o = pair_listener(world, certificates);
	struct kolk_tls_options client = pair_client(world);
	kolk__tls_sessions_ptr sessions = { 0 };
	struct kolk__tls_server *server;
	struct pair pair;

	o.client_auth = KOLK_CLIENT_AUTH_OPTIONAL;
	o.ca_file = world->certs.authority.pem;
	server = pair_server(world, &o);
	pair_only_12(server);
	for (int i = 0; i < 2; i++) {
		assert_true(resumes(&pair, world, &client, server, &sessions) == (i == 1));
		assert_null(pair_peer(&pair).certificate);
		pair_close(&pair);
	}
	kolk__tls_sessions_close(world->transport, &sessions);
	kolk__tls_server_unref(server);
}

/* ---- the callbacks themselves */

static void session_init(mbedtls_ssl_session *session)
{
	mbedtls_ssl_session_init(session);
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	session->MBEDTLS_PRIVATE(tls_version) = MBEDTLS_SSL_VERSION_TLS1_2;
#endif
}

/* Every bit of a ticket counts, and so does its length. */
static void a_hurt_ticket_does_not_open(void **state)
{
	struct kolk__tls_server *server = server_open(*state, true);
	unsigned char ticket[1024], copy[1024];
	mbedtls_ssl_session session, opened;
	uint32_t lifetime_s;
	size_t size;

	session_init(&session);
	assert_int_equal(kolk__tls_ticket_seal(server, &session, ticket, ticket + sizeof ticket,
					       &size, &lifetime_s), 0);
	assert_int_equal(lifetime_s, 3600);
	for (size_t bit = 0; bit <= size * 8; bit++) {
		memcpy(copy, ticket, size);
		if (bit < size * 8)
			copy[bit / 8] ^= (unsigned char)(1 << bit % 8);
		mbedtls_ssl_session_init(&opened);
		assert_true((kolk__tls_ticket_open(server, &opened, copy, size) == 0) ==
			    (bit == size * 8));
		mbedtls_ssl_session_free(&opened);
	}
	for (size_t less = 1; less <= size; less++) {
		memcpy(copy, ticket, size);
		mbedtls_ssl_session_init(&opened);
		assert_true(kolk__tls_ticket_open(server, &opened, copy, size - less) != 0);
		mbedtls_ssl_session_free(&opened);
	}
	mbedtls_ssl_session_free(&session);
	kolk__tls_server_unref(server);
}

static void a_ticket_without_space_is_none(void **state)
{
	struct kolk__tls_server *server = server_open(*state, true);
	mbedtls_ssl_session session;
	unsigned char ticket[40];
	uint32_t lifetime_s = 1;
	size_t size = 1;

	session_init(&session);
	for (size_t space = 0; space <= sizeof ticket; space++) {
		assert_true(kolk__tls_ticket_seal(server, &session, ticket, ticket + space, &size,
						  &lifetime_s) != 0);
		assert_int_equal(size, 0);
		assert_int_equal(lifetime_s, 0);
	}
	mbedtls_ssl_session_free(&session);
	kolk__tls_server_unref(server);
}

#define IN_WORLD(test) \
	cmocka_unit_test_setup_teardown(test, pair_world_open, pair_world_close)

static const struct CMUnitTest tests[] = {
	IN_WORLD(a_session_is_resumed),
	IN_WORLD(tickets_outlive_their_key_once),
	IN_WORLD(an_old_key_does_not_open),
	IN_WORLD(another_configuration_does_not_resume),
	IN_WORLD(no_tickets_when_off),
	IN_WORLD(a_resumed_client_is_who_it_was),
	IN_WORLD(a_resumed_client_stays_nobody),
	IN_WORLD(a_hurt_ticket_does_not_open),
	IN_WORLD(a_ticket_without_space_is_none),
};
CMOCKA_TESTS(tls_tickets, tests);
