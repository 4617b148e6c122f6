/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_tickets.c - session tickets of a listener (RFC 5077; RFC 8446, section 4.6.1): the session,
 * sealed with a key of the listener's configuration.
 *
 * The key that seals is replaced after ticket_lifetime_ns, and opens for as long again. Every
 * configuration has keys of its own: what was agreed on under another one, with other anchors or
 * another profile, is not resumed. A session of TLS 1.2 brings back the client's certificate as it
 * was verified; one of TLS 1.3 would lose it, so there are none where clients show certificates
 * (tls_server.c).
 *
 * A ticket: name of the key (8), nonce (12), the session sealed by AES-256-GCM, tag (16). The name
 * is authenticated with it. Nonces are random: fewer than 2^32 tickets per key (NIST SP 800-38D,
 * section 8.3).
 */
#include <string.h>

#include <mbedtls/gcm.h>

#include "transport/tls_state.h"

enum { NAME = 8, NONCE = 12, TAG = 16, HEAD = NAME + NONCE, KEY_BITS = 256 };

static const uint8_t no_name[NAME];

/* ---- keys */

static int key_make(struct kolk__tls_server *server, struct kolk__ticket_key *key, uint64_t now_ns)
{
	mbedtls_ctr_drbg_context *drbg = &server->common.drbg;
	int result;

	key->made_ns = now_ns;
	do {
		result = mbedtls_ctr_drbg_random(drbg, key->name, sizeof key->name);
	} while (result == 0 && memcmp(key->name, no_name, NAME) == 0);
	return result != 0 ? result : mbedtls_ctr_drbg_random(drbg, key->key, sizeof key->key);
}

/* The key to seal with, a fresh one if it is time. */
static int key_to_seal(struct kolk__tls_server *server, struct kolk__ticket_key *key)
{
	struct kolk__ticket_key *newest = &server->ticket_key[0];
	uint64_t now_ns = kolk__link_now(server->transport);
	int result = 0;

	pthread_mutex_lock(&server->tickets_lock);
	if (memcmp(newest->name, no_name, NAME) == 0 ||
	    now_ns - newest->made_ns >= server->ticket_lifetime_ns) {
		struct kolk__ticket_key fresh;

		result = key_make(server, &fresh, now_ns);
		if (result == 0) {
			server->ticket_key[1] = *newest;
			*newest = fresh;
		}
		mbedtls_platform_zeroize(&fresh, sizeof fresh);
	}
	*key = *newest;
	pthread_mutex_unlock(&server->tickets_lock);
	return result;
}

/* The key of this name, if it may still open. */
static bool key_to_open(struct kolk__tls_server *server, const uint8_t *name,
			struct kolk__ticket_key *key)
{
	uint64_t now_ns = kolk__link_now(server->transport);
	bool found = false;

	pthread_mutex_lock(&server->tickets_lock);
	for (int i = 0; i < 2 && !found; i++) {
		*key = server->ticket_key[i];
		found = memcmp(key->name, no_name, NAME) != 0 &&
			memcmp(key->name, name, NAME) == 0 &&
			now_ns - key->made_ns < 2 * server->ticket_lifetime_ns;
	}
	pthread_mutex_unlock(&server->tickets_lock);
	return found;
}

/* ---- tickets */

/* text: HEAD bytes of name and nonce, then size bytes, then the tag. In place. */
static int gcm(const struct kolk__ticket_key *key, bool seal, uint8_t *text, size_t size)
{
	uint8_t *nonce = text + NAME, *body = text + HEAD, *tag = body + size;
	mbedtls_gcm_context context;
	int result;

	mbedtls_gcm_init(&context);
	result = mbedtls_gcm_setkey(&context, MBEDTLS_CIPHER_ID_AES, key->key, KEY_BITS);
	if (result == 0 && seal)
		result = mbedtls_gcm_crypt_and_tag(&context, MBEDTLS_GCM_ENCRYPT, size, nonce,
						   NONCE, text, NAME, body, body, TAG, tag);
	else if (result == 0)
		result = mbedtls_gcm_auth_decrypt(&context, size, nonce, NONCE, text, NAME, tag,
						  TAG, body, body);
	mbedtls_gcm_free(&context); /* wiped by mbedTLS */
	return result;
}

int kolk__tls_ticket_seal(void *user, const mbedtls_ssl_session *session, unsigned char *start,
			  const unsigned char *end, size_t *size, uint32_t *lifetime_s)
{
	struct kolk__tls_server *server = user;
	size_t space = (size_t)(end - start), saved = 0;
	struct kolk__ticket_key key;
	int result;

	*size = 0;
	*lifetime_s = 0; /* mbedTLS reads it whatever is returned */
	if (space < HEAD + TAG)
		return MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL;
	result = mbedtls_ssl_session_save(session, start + HEAD, space - HEAD - TAG, &saved);
	if (result == 0)
		result = mbedtls_ctr_drbg_random(&server->common.drbg, start + NAME, NONCE);
	if (result == 0)
		result = key_to_seal(server, &key);
	if (result != 0)
		return result;
	memcpy(start, key.name, NAME);
	result = gcm(&key, true, start, saved);
	mbedtls_platform_zeroize(&key, sizeof key);
	if (result != 0)
		return result;
	*size = HEAD + saved + TAG;
	*lifetime_s = (uint32_t)(server->ticket_lifetime_ns / KOLK_S_NS);
	return 0;
}

/* The client's certificate may have expired since it was verified. */
static bool has_expired(const mbedtls_ssl_session *session)
{
	const mbedtls_x509_crt *certificate = session->MBEDTLS_PRIVATE(peer_cert);

	return certificate != NULL && mbedtls_x509_time_is_past(&certificate->valid_to);
}

int kolk__tls_ticket_open(void *user, mbedtls_ssl_session *session, unsigned char *ticket,
			  size_t size)
{
	struct kolk__tls_server *server = user;
	struct kolk__ticket_key key;
	int result = MBEDTLS_ERR_SSL_INVALID_MAC;

	if (size < HEAD + TAG)
		return result;
	if (key_to_open(server, ticket, &key) && gcm(&key, false, ticket, size - HEAD - TAG) == 0)
		result = mbedtls_ssl_session_load(session, ticket + HEAD, size - HEAD - TAG);
	mbedtls_platform_zeroize(&key, sizeof key);
	if (result == 0 && has_expired(session)) {
		mbedtls_ssl_session_free(session);
		mbedtls_ssl_session_init(session);
		result = MBEDTLS_ERR_SSL_SESSION_TICKET_EXPIRED;
	}
	return result;
}
