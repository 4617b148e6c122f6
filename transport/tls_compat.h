/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_compat.h - the differences between mbedTLS 2.28 and 3.6, in one place.
 *
 * 2.28: TLS 1.2 only; without mbedtls_ssl_set_hostname it checks no name, silently
 * (CVE-2025-27809); it cannot match IP addresses; tls.c deals with both.
 */
#ifndef KOLK_TLS_COMPAT_H
#define KOLK_TLS_COMPAT_H

#include <mbedtls/version.h>
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <mbedtls/build_info.h>
#include <psa/crypto.h>
#endif
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/base64.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

enum { KOLK__TLS12 = 0x0303, KOLK__TLS13 = 0x0304 };

#if MBEDTLS_VERSION_NUMBER >= 0x03000000

#ifdef MBEDTLS_SSL_PROTO_TLS1_3
#define KOLK__TLS_VERSION_MAX KOLK__TLS13
#else
#define KOLK__TLS_VERSION_MAX KOLK__TLS12
#endif

#define KOLK__TLS13_SUITES                                                       \
	MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256, MBEDTLS_TLS1_3_AES_128_GCM_SHA256, \
	MBEDTLS_TLS1_3_AES_256_GCM_SHA384,

typedef uint16_t kolk__tls_group;
#define KOLK__GROUP(name) MBEDTLS_SSL_IANA_TLS_GROUP_##name
#define KOLK__GROUP_X25519 KOLK__GROUP(X25519)
#define kolk__tls_groups mbedtls_ssl_conf_groups

static inline int kolk__tls_library_init(void)
{
	return psa_crypto_init() == PSA_SUCCESS ? 0 : -1;
}

static inline void kolk__tls_versions(mbedtls_ssl_config *config, uint32_t min)
{
	mbedtls_ssl_conf_min_tls_version(config, min == KOLK__TLS13 ? MBEDTLS_SSL_VERSION_TLS1_3 :
								      MBEDTLS_SSL_VERSION_TLS1_2);
#if defined(MBEDTLS_SSL_SESSION_TICKETS) && defined(MBEDTLS_SSL_PROTO_TLS1_3) && \
	MBEDTLS_VERSION_NUMBER >= 0x03060100
	mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
		config, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
#endif
}

static inline int kolk__pk_parse_key(mbedtls_pk_context *key, const uint8_t *bytes, size_t size,
				     mbedtls_ctr_drbg_context *drbg)
{
	return mbedtls_pk_parse_key(key, bytes, size, NULL, 0, mbedtls_ctr_drbg_random, drbg);
}

static inline int kolk__pk_check_pair(const mbedtls_pk_context *public,
				      const mbedtls_pk_context *private,
				      mbedtls_ctr_drbg_context *drbg)
{
	return mbedtls_pk_check_pair(public, private, mbedtls_ctr_drbg_random, drbg);
}

static inline int kolk__sha256(const uint8_t *bytes, size_t size, uint8_t digest[32])
{
	return mbedtls_sha256(bytes, size, digest, 0);
}

#define kolk__sha256_starts(sum) mbedtls_sha256_starts((sum), 0)
#define kolk__sha256_update mbedtls_sha256_update
#define kolk__sha256_finish mbedtls_sha256_finish
#define KOLK__ERR_BAD_CERTIFICATE MBEDTLS_ERR_SSL_BAD_CERTIFICATE

static inline bool kolk__tls_is_13(const mbedtls_ssl_context *ssl)
{
	return mbedtls_ssl_get_version_number(ssl) == MBEDTLS_SSL_VERSION_TLS1_3;
}

static inline bool kolk__tls_session_is_13(const mbedtls_ssl_session *session)
{
	return session->MBEDTLS_PRIVATE(tls_version) == MBEDTLS_SSL_VERSION_TLS1_3;
}

/* A server that neither issues nor takes tickets of TLS 1.3. */
static inline void kolk__tls_no_tickets13(mbedtls_ssl_config *config)
{
#ifdef MBEDTLS_SSL_PROTO_TLS1_3
	mbedtls_ssl_conf_tls13_key_exchange_modes(config,
						  MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL);
#ifdef MBEDTLS_SSL_SESSION_TICKETS
	mbedtls_ssl_conf_new_session_tickets(config, 0);
#endif
#else
	(void)config;
#endif
}

#else

#define MBEDTLS_PRIVATE(member) member

#define KOLK__TLS_VERSION_MAX KOLK__TLS12
#define KOLK__TLS13_SUITES

typedef mbedtls_ecp_group_id kolk__tls_group;
#define KOLK__GROUP(name) MBEDTLS_ECP_DP_##name
#define KOLK__GROUP_X25519 KOLK__GROUP(CURVE25519)
#define kolk__tls_groups mbedtls_ssl_conf_curves

static inline int kolk__tls_library_init(void)
{
	return 0;
}

static inline void kolk__tls_versions(mbedtls_ssl_config *config, uint32_t min)
{
	(void)min; /* 1.2 is all there is */
	mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3,
				     MBEDTLS_SSL_MINOR_VERSION_3);
}

static inline int kolk__pk_parse_key(mbedtls_pk_context *key, const uint8_t *bytes, size_t size,
				     mbedtls_ctr_drbg_context *drbg)
{
	(void)drbg;
	return mbedtls_pk_parse_key(key, bytes, size, NULL, 0);
}

static inline int kolk__pk_check_pair(const mbedtls_pk_context *public,
				      const mbedtls_pk_context *private,
				      mbedtls_ctr_drbg_context *drbg)
{
	(void)drbg;
	return mbedtls_pk_check_pair(public, private);
}

static inline int kolk__sha256(const uint8_t *bytes, size_t size, uint8_t digest[32])
{
	return mbedtls_sha256_ret(bytes, size, digest, 0);
}

#define kolk__sha256_starts(sum) mbedtls_sha256_starts_ret((sum), 0)
#define kolk__sha256_update mbedtls_sha256_update_ret
#define kolk__sha256_finish mbedtls_sha256_finish_ret
#define KOLK__ERR_BAD_CERTIFICATE MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE

static inline bool kolk__tls_is_13(const mbedtls_ssl_context *ssl)
{
	(void)ssl;
	return false;
}

static inline bool kolk__tls_session_is_13(const mbedtls_ssl_session *session)
{
	(void)session;
	return false;
}

static inline void kolk__tls_no_tickets13(mbedtls_ssl_config *config)
{
	(void)config;
}

#endif

static inline bool kolk__tls_is_over(const mbedtls_ssl_context *ssl)
{
	return ssl->MBEDTLS_PRIVATE(state) == MBEDTLS_SSL_HANDSHAKE_OVER;
}

/* The chain was checked, and mbedtls_ssl_get_verify_result gives the cause: the chain, or the usage
 * of the certificate. */
static inline bool kolk__tls_is_flawed(int error)
{
	return error == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED || error == KOLK__ERR_BAD_CERTIFICATE;
}

/* 2.28 does not reassemble a message from several records, 3.6 does up to the size of one
 * record. */
static inline bool kolk__tls_is_too_long(int error)
{
	return error == MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE ||
	       error == MBEDTLS_ERR_SSL_BAD_INPUT_DATA;
}

/* A part of a record was read, and the rest is missing. */
static inline bool kolk__tls_has_part(const mbedtls_ssl_context *ssl)
{
	return ssl->MBEDTLS_PRIVATE(in_left) != 0;
}

/* It is one of data, for certain: TLS 1.3 does not show that before it is whole. */
static inline bool kolk__tls_has_part_of_data(const mbedtls_ssl_context *ssl)
{
	return kolk__tls_has_part(ssl) && !kolk__tls_is_13(ssl) &&
	       ssl->MBEDTLS_PRIVATE(in_hdr)[0] == MBEDTLS_SSL_MSG_APPLICATION_DATA;
}

/* A TLS 1.3 ticket arrived instead of data (3.6). */
static inline bool kolk__tls_is_ticket(int result)
{
#ifdef MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET
	return result == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET;
#else
	(void)result;
	return false;
#endif
}

#endif
