/* SPDX-License-Identifier: Apache-2.0 */
/* tls_detail.c - the exact cause of a TLS failure as a text, from the state of mbedTLS. */
#include "transport/tls_state.h"

#define ALERTS(X)                                                                         \
	X(0, close_notify) X(10, unexpected_message) X(20, bad_record_mac)                \
	X(22, record_overflow) X(40, handshake_failure) X(42, bad_certificate)            \
	X(43, unsupported_certificate) X(44, certificate_revoked)                         \
	X(45, certificate_expired) X(46, certificate_unknown) X(47, illegal_parameter)    \
	X(48, unknown_ca) X(49, access_denied) X(50, decode_error) X(51, decrypt_error)   \
	X(70, protocol_version) X(71, insufficient_security) X(80, internal_error)        \
	X(86, inappropriate_fallback) X(90, user_canceled) X(100, no_renegotiation)       \
	X(109, missing_extension) X(110, unsupported_extension)                           \
	X(111, certificate_unobtainable) X(112, unrecognized_name)                        \
	X(113, bad_certificate_status_response) X(114, bad_certificate_hash_value)        \
	X(115, unknown_psk_identity) X(116, certificate_required)                         \
	X(120, no_application_protocol)

static const char *alert_text(uint8_t alert, bool sent)
{
	switch (alert) {
#define TEXT(number, name) \
	case number:       \
		return sent ? "alert sent: " #name : "alert: " #name;
		ALERTS(TEXT)
#undef TEXT
	default:
		return sent ? "alert sent: one without a name" : "alert: one without a name";
	}
}

/* The gravest first. */
static const struct {
	uint32_t flags;
	const char *text;
} flaws[] = {
	{ MBEDTLS_X509_BADCERT_REVOKED, "the certificate is revoked" },
	{ KOLK__FLAW_PIN, "the certificate has another key than the pinned ones" },
	{ MBEDTLS_X509_BADCERT_CN_MISMATCH, "the certificate is for another name" },
	{ MBEDTLS_X509_BADCERT_EXPIRED, "the certificate has expired" },
	{ MBEDTLS_X509_BADCERT_FUTURE, "the certificate is not valid yet" },
	{ KOLK__FLAW_CONSTRAINTS, "the name constraints of an authority exclude the name" },
	{ KOLK__FLAW_AUTHORITY_USAGE, "the extended key usage of an authority excludes this use" },
	{ MBEDTLS_X509_BADCERT_EXT_KEY_USAGE,
	  "the extended key usage of the certificate excludes this use" },
	{ MBEDTLS_X509_BADCERT_KEY_USAGE,
	  "the key usage of the certificate excludes this key exchange" },
	{ MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY,
	  "a key, curve or hash in the chain is not accepted" },
	{ MBEDTLS_X509_BADCRL_EXPIRED | MBEDTLS_X509_BADCRL_FUTURE,
	  "a list of revoked certificates is out of date" },
	{ MBEDTLS_X509_BADCRL_NOT_TRUSTED | MBEDTLS_X509_BADCRL_BAD_MD |
		  MBEDTLS_X509_BADCRL_BAD_PK | MBEDTLS_X509_BADCRL_BAD_KEY,
	  "the signature of a list of revoked certificates is not accepted" },
	{ MBEDTLS_X509_BADCERT_NOT_TRUSTED, "no trusted authority signed the certificate" },
};

static const char *flaw_text(uint32_t flags)
{
	for (size_t i = 0; i < sizeof flaws / sizeof *flaws; i++)
		if ((flags & flaws[i].flags) != 0)
			return flaws[i].text;
	return NULL;
}

/* A certificate that is not parsed; modules' codes are added up (mbedtls/error.h). */
static const char *parse_text(int error)
{
	switch (-(-error & 0x7f80)) {
	case MBEDTLS_ERR_X509_INVALID_EXTENSIONS:
		return error == MBEDTLS_ERR_X509_INVALID_EXTENSIONS +
					MBEDTLS_ERR_ASN1_UNEXPECTED_TAG ?
			       "a critical extension of a certificate is unknown to mbedTLS" :
			       "the extensions of a certificate are malformed";
	case MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG:
	case MBEDTLS_ERR_PK_UNKNOWN_PK_ALG:
	case MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE:
		return "the algorithm of a certificate is unknown to mbedTLS";
	default:
		return "a certificate is malformed";
	}
}

bool kolk__tls_is_certificate(int error)
{
	int module = -error & 0x7f80;

	return (module >= -MBEDTLS_ERR_X509_FEATURE_UNAVAILABLE &&
		module <= -MBEDTLS_ERR_X509_BAD_INPUT_DATA) ||
	       -module == MBEDTLS_ERR_PK_UNKNOWN_PK_ALG ||
	       -module == MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE;
}

static bool is_record_type(uint8_t type)
{
	return type >= MBEDTLS_SSL_MSG_CHANGE_CIPHER_SPEC && type <= MBEDTLS_SSL_MSG_APPLICATION_DATA;
}

const char *kolk__tls_detail(const struct kolk__link *link)
{
	const mbedtls_ssl_context *ssl = &link->tls->ssl;
	int error = link->tls->error;

	if (error == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
		return alert_text(ssl->MBEDTLS_PRIVATE(in_msg)[1], false);
	if (kolk__tls_is_flawed(error))
		return flaw_text(mbedtls_ssl_get_verify_result(ssl));
	if (kolk__tls_is_certificate(error))
		return parse_text(error);
	if (error == MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE)
		return "the client has no certificate";
	if (error == MBEDTLS_ERR_SSL_INVALID_RECORD && !is_record_type(ssl->MBEDTLS_PRIVATE(in_hdr)[0]))
		return "what the peer sent is no record of TLS: does it speak TLS?";
	if (kolk__tls_is_too_long(error))
		return "a handshake message of the peer is longer than mbedTLS can take";
	return link->tls->alert_sent != 0 ? alert_text(link->tls->alert_sent, true) : NULL;
}
