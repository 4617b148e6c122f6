/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_server.c - how a listener speaks TLS: its configuration, which certificate serves which name,
 * and what it asks of clients.
 *
 * There is no session cache, and no renegotiation. Resumption is by tickets (tls_tickets.c).
 */
#include <string.h>

#include <kolk/listen.h>

#include "core/base/ascii.h"
#include "core/base/atomic.h"
#include "core/base/container.h"
#include "transport/tls_state.h"

enum { CERTIFICATES_MAX = 64, NAME_MAX_BYTES = 253 };
#define TICKET_LIFETIME_NS (12 * 3600 * KOLK_S_NS)
#define TICKET_LIFETIME_MIN_NS (60 * KOLK_S_NS)
#define TICKET_LIFETIME_MAX_NS (7 * 24 * 3600 * KOLK_S_NS)

/* ---- which certificate */

/* A DNS name of subjectAltName; "*." in front stands for one label (RFC 6125, section 6.4.3). */
static bool san_is(const mbedtls_x509_buf *san, const char *name)
{
	const char *text = (const char *)san->p, *dot = strchr(name, '.');

	if (san->len > 2 && text[0] == '*' && text[1] == '.')
		return dot != NULL && dot != name &&
		       kolk__word_is(text + 1, san->len - 1, dot);
	return kolk__word_is(text, san->len, name);
}

static bool serves(const mbedtls_x509_crt *certificate, const char *name, bool by_wildcard)
{
	enum { DNS_NAME = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2 };

	for (const mbedtls_x509_sequence *san = &certificate->subject_alt_names; san != NULL;
	     san = san->next)
		if ((san->buf.tag & (MBEDTLS_ASN1_TAG_CLASS_MASK | MBEDTLS_ASN1_TAG_VALUE_MASK)) ==
			    DNS_NAME &&
		    (san->buf.len > 0 && san->buf.p[0] == '*') == by_wildcard &&
		    san_is(&san->buf, name))
			return true;
	return false;
}

/* All that serve the name: mbedTLS takes the first whose key the client can verify. */
static int show_certificates(struct kolk__tls_server *server, mbedtls_ssl_context *ssl,
			     const char *name, bool by_wildcard)
{
	int result = 0, shown = 0;

	for (uint32_t i = 0; i < server->own_count && result == 0; i++) {
		struct kolk__tls_own *own = &server->own[i];

		if (!serves(&own->certificate, name, by_wildcard))
			continue;
		result = mbedtls_ssl_set_hs_own_cert(ssl, &own->certificate, &own->key);
		shown++;
	}
	return result != 0 ? result : shown;
}

/* [a-z0-9._-], made lower case. False = it is no name. */
static bool name_read(char *name, const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		char c = kolk__lower((char)bytes[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
		      c == '.'))
			return false;
		name[i] = c;
	}
	name[size] = 0;
	return size > 0;
}

static void name_forget(struct kolk__tls *tls)
{
	if (tls->server_name != NULL)
		kolk__dealloc(tls->server->transport, tls->server_name,
			      strlen(tls->server_name) + 1);
	tls->server_name = NULL;
}

/* mbedTLS' callback; twice if a second hello is asked for (RFC 8446, section 4.1.4). What is no
 * name is passed over. */
static int on_server_name(void *user, mbedtls_ssl_context *ssl, const unsigned char *bytes,
			  size_t size)
{
	struct kolk__tls *tls = kolk__container_of(ssl, struct kolk__tls, ssl);
	struct kolk__tls_server *server = user;
	char name[NAME_MAX_BYTES + 1];
	int shown;

	if (size > NAME_MAX_BYTES || !name_read(name, bytes, size))
		return 0;
	if (tls->server_name != NULL)
		return strcmp(tls->server_name, name) == 0 ? 0 : MBEDTLS_ERR_SSL_BAD_INPUT_DATA;
	tls->server_name = kolk__alloc(server->transport, size + 1);
	if (tls->server_name == NULL)
		return MBEDTLS_ERR_SSL_ALLOC_FAILED;
	memcpy(tls->server_name, name, size + 1);
	shown = show_certificates(server, ssl, name, false);
	if (shown == 0)
		shown = show_certificates(server, ssl, name, true);
	return shown < 0 ? shown : 0;
}

/* ---- certificates of clients */

/* What is wrong with it. While there is none, or it was not verified yet, nothing. */
static uint32_t client_flaws(const mbedtls_ssl_context *ssl)
{
	uint32_t flags = mbedtls_ssl_get_verify_result(ssl);

	return flags == UINT32_MAX ? 0 :
	       flags & ~(uint32_t)(MBEDTLS_X509_BADCERT_MISSING | MBEDTLS_X509_BADCERT_SKIP_VERIFY);
}

static unsigned char alert_of(uint32_t flaws)
{
	return (flaws & MBEDTLS_X509_BADCERT_REVOKED) != 0 ? MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED :
	       (flaws & MBEDTLS_X509_BADCERT_EXPIRED) != 0 ? MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED :
	       (flaws & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0 ? MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA :
								 MBEDTLS_SSL_ALERT_MSG_BAD_CERT;
}

/* Clients that need not show a certificate may not show a bad one: mbedTLS goes on with it then. */
int kolk__tls_server_handshake(struct kolk__tls *tls)
{
	mbedtls_ssl_context *ssl = &tls->ssl;
	uint32_t flaws = 0;
	int result = 0;

	if (tls->server->client_auth != KOLK_CLIENT_AUTH_OPTIONAL)
		return mbedtls_ssl_handshake(ssl);
	while (result == 0 && flaws == 0 && !kolk__tls_is_over(ssl)) {
		result = mbedtls_ssl_handshake_step(ssl);
		flaws = client_flaws(ssl);
	}
	if (flaws == 0)
		return result;
	(void)mbedtls_ssl_send_alert_message(ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, alert_of(flaws));
	return MBEDTLS_ERR_X509_CERT_VERIFY_FAILED;
}

void kolk__tls_server_forget(struct kolk__tls *tls)
{
	if (tls->server == NULL)
		return;
	name_forget(tls);
	kolk__tls_server_unref(tls->server);
}

void kolk__tls_peer(const struct kolk__link *link, struct kolk_stream_peer *peer)
{
	const struct kolk__tls *tls = link->tls;
	const mbedtls_ssl_context *ssl = &tls->ssl;
	const mbedtls_x509_crt *certificate = NULL;

	if (tls->server->client_auth != KOLK_CLIENT_AUTH_NONE &&
	    mbedtls_ssl_get_verify_result(ssl) == 0)
		certificate = mbedtls_ssl_get_peer_cert(ssl);
	peer->tls_version = kolk__tls_is_13(ssl) ? KOLK__TLS13 : KOLK__TLS12;
	peer->alpn = mbedtls_ssl_get_alpn_protocol(ssl);
	peer->server_name = tls->server_name;
	peer->cipher_suite = mbedtls_ssl_get_ciphersuite(ssl);
	peer->certificate = certificate != NULL ? certificate->raw.p : NULL;
	peer->certificate_size = certificate != NULL ? certificate->raw.len : 0;
}

/* ---- the configuration */

static const char *options_flaw(const struct kolk_listener_tls *o)
{
	bool has_anchors = o->ca_file != NULL || o->ca_directory != NULL;
	bool asks = o->client_auth != KOLK_CLIENT_AUTH_NONE;

	if (o->version_min != 0 && o->version_min != KOLK__TLS12 &&
	    (o->version_min != KOLK__TLS13 || KOLK__TLS_VERSION_MAX < KOLK__TLS13))
		return "version_min";
	if (o->profile > KOLK_TLS_COMPATIBLE)
		return "profile";
	if (o->client_auth > KOLK_CLIENT_AUTH_REQUIRED)
		return "client_auth";
	if (o->certificates == NULL || o->certificate_count == 0)
		return "certificates";
	if (o->certificate_count > CERTIFICATES_MAX)
		return "certificate_count";
	if (o->tickets_off > 1)
		return "tickets_off";
	if (has_anchors != asks)
		return o->ca_directory != NULL ? "ca_directory" : "ca_file";
	if (o->crl_file != NULL && !asks)
		return "crl_file";
	if (o->ticket_lifetime_ns != 0 && (o->ticket_lifetime_ns < TICKET_LIFETIME_MIN_NS ||
					   o->ticket_lifetime_ns > TICKET_LIFETIME_MAX_NS))
		return "ticket_lifetime_ns";
	return NULL;
}

static enum kolk_err load_trust(struct kolk__tls_server *server, const struct kolk_listener_tls *o,
				struct kolk_failure *failure)
{
	struct kolk__tls_files files = {
		.ca_file = o->ca_file, .ca_directory = o->ca_directory, .crl_file = o->crl_file,
		.trusts = o->client_auth != KOLK_CLIENT_AUTH_NONE,
	};
	enum kolk_err err = kolk__tls_load(&server->common, &files, failure);

	/* A directory without a certificate: every client would be refused. */
	if (err == KOLK_OK && files.trusts && server->common.anchors.raw.p == NULL)
		err = kolk__tls_refuse(failure, KOLK_E_TLS, "ca_directory", 0);
	return err;
}

static enum kolk_err load_own(struct kolk__tls_server *server, const struct kolk_listener_tls *o,
			      struct kolk_failure *failure)
{
	enum kolk_err err = KOLK_OK;

	server->own = kolk__alloc(server->transport, o->certificate_count * sizeof *server->own);
	if (server->own == NULL)
		return kolk__tls_refuse(failure, KOLK_E_MEMORY, "certificates", 0);
	server->own_count = o->certificate_count;
	for (uint32_t i = 0; i < server->own_count; i++)
		kolk__tls_own_init(&server->own[i]);
	for (uint32_t i = 0; i < server->own_count && err == KOLK_OK; i++) {
		struct kolk__tls_files files = {
			.certificate_file = o->certificates[i].certificate_file,
			.key_file = o->certificates[i].key_file, .own = &server->own[i],
		};

		if (files.certificate_file == NULL || files.key_file == NULL)
			err = kolk__tls_refuse(failure, KOLK_E_OPTIONS,
					       files.key_file != NULL ? "certificate_file" :
									"key_file", 0);
		else
			err = kolk__tls_load(&server->common, &files, failure);
	}
	return err;
}

static int authmode_of(uint32_t client_auth)
{
	return client_auth == KOLK_CLIENT_AUTH_NONE	? MBEDTLS_SSL_VERIFY_NONE :
	       client_auth == KOLK_CLIENT_AUTH_OPTIONAL ? MBEDTLS_SSL_VERIFY_OPTIONAL :
							  MBEDTLS_SSL_VERIFY_REQUIRED;
}

static enum kolk_err settle(struct kolk__tls_server *server, const struct kolk_listener_tls *o,
			    struct kolk_failure *failure)
{
	mbedtls_ssl_config *ssl = &server->common.ssl;
	int result;

	kolk__tls_common_settle(&server->common, o->version_min, o->profile);
	mbedtls_ssl_conf_authmode(ssl, authmode_of(o->client_auth));
	mbedtls_ssl_conf_ca_chain(ssl, &server->common.anchors,
				  o->crl_file != NULL ? &server->common.revoked : NULL);
	mbedtls_ssl_conf_verify(ssl, kolk__tls_verify_client, NULL);
	mbedtls_ssl_conf_sni(ssl, on_server_name, server);
	if (!o->tickets_off)
		mbedtls_ssl_conf_session_tickets_cb(ssl, kolk__tls_ticket_seal,
						    kolk__tls_ticket_open, server);
	if (o->tickets_off || o->client_auth != KOLK_CLIENT_AUTH_NONE)
		kolk__tls_no_tickets13(ssl);
	errno = 0;
	result = mbedtls_ssl_conf_own_cert(ssl, &server->own[0].certificate, &server->own[0].key);
	return result == 0 ? KOLK_OK :
			     kolk__tls_refuse(failure, KOLK_E_TLS, "certificate_file", result);
}

static enum kolk_err fill(struct kolk__tls_server *server, const struct kolk_listener_tls *o,
			  struct kolk_failure *failure)
{
	const char *field = options_flaw(o);
	enum kolk_err err = field == NULL ? KOLK_OK :
					    kolk__tls_refuse(failure, KOLK_E_OPTIONS, field, 0);

	if (err == KOLK_OK)
		err = kolk__tls_common_seed(&server->common, true, failure);
	if (err == KOLK_OK)
		err = kolk__tls_common_alpn(&server->common, o->alpn, failure);
	if (err == KOLK_OK)
		err = load_trust(server, o, failure);
	if (err == KOLK_OK)
		err = load_own(server, o, failure);
	if (err != KOLK_OK)
		return err;
	server->client_auth = o->client_auth;
	server->ticket_lifetime_ns =
		o->ticket_lifetime_ns != 0 ? o->ticket_lifetime_ns : TICKET_LIFETIME_NS;
	return settle(server, o, failure);
}

enum kolk_err kolk__tls_server_open(struct kolk__transport *transport,
				    const struct kolk_listener_tls *options,
				    struct kolk_failure *failure,
				    struct kolk__tls_server **server)
{
	struct kolk__tls_server *opened = kolk__alloc(transport, sizeof *opened);
	enum kolk_err err;

	if (opened == NULL)
		return kolk__tls_refuse(failure, KOLK_E_MEMORY, "tls", 0);
	opened->transport = transport;
	kolk__store_relaxed(&opened->refs, 1);
	pthread_mutex_init(&opened->tickets_lock, NULL);
	kolk__tls_common_init(&opened->common);
	err = fill(opened, options, failure);
	if (err == KOLK_OK)
		*server = opened;
	else
		kolk__tls_server_unref(opened);
	return err;
}

struct kolk__tls_server *kolk__tls_server_ref(struct kolk__tls_server *server)
{
	kolk__add_relaxed(&server->refs, 1);
	return server;
}

void kolk__tls_server_unref(struct kolk__tls_server *server)
{
	struct kolk__transport *transport;

	if (server == NULL || kolk__sub_acq_rel(&server->refs, 1) != 1)
		return;
	transport = server->transport;
	kolk__tls_common_free(&server->common);
	for (uint32_t i = 0; i < server->own_count; i++)
		kolk__tls_own_free(&server->own[i]);
	kolk__dealloc(transport, server->own, server->own_count * sizeof *server->own);
	pthread_mutex_destroy(&server->tickets_lock);
	mbedtls_platform_zeroize(server->ticket_key, sizeof server->ticket_key);
	kolk__dealloc(transport, server, sizeof *server);
}
