/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_profile.c - which cipher suites and groups are offered, best first (RFC 9325).
 *
 * Never offered: static ECDH, CCM_8, 3DES, curves of less than 256 bits. ChaCha20 is before AES,
 * because it costs mbedTLS less. With TLS 1.2 the key in a certificate must use one of the groups,
 * too.
 *
 * A server of ours accepts neither DHE, whose cost a client chooses (RFC 9325, section 4.2), nor
 * RSA key exchange in any profile: its decryption must take the same time whatever the client
 * sends, and 2.28.3's does not (CVE-2024-23170).
 */
#include "transport/tls_state.h"

#define AEAD                                                   \
	KOLK__TLS13_SUITES                                     \
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, \
	MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,   \
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,       \
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,         \
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,       \
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384

#define DHE_AEAD                                               \
	MBEDTLS_TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256,     \
	MBEDTLS_TLS_DHE_RSA_WITH_AES_128_GCM_SHA256,           \
	MBEDTLS_TLS_DHE_RSA_WITH_AES_256_GCM_SHA384

#define ECDHE_CBC                                              \
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,       \
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,         \
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384,       \
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384,         \
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,          \
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,            \
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,          \
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA

#define OLD                                                    \
	MBEDTLS_TLS_DHE_RSA_WITH_AES_128_CBC_SHA256,           \
	MBEDTLS_TLS_DHE_RSA_WITH_AES_256_CBC_SHA256,           \
	MBEDTLS_TLS_DHE_RSA_WITH_AES_128_CBC_SHA,              \
	MBEDTLS_TLS_DHE_RSA_WITH_AES_256_CBC_SHA,              \
	MBEDTLS_TLS_RSA_WITH_AES_128_GCM_SHA256,               \
	MBEDTLS_TLS_RSA_WITH_AES_256_GCM_SHA384,               \
	MBEDTLS_TLS_RSA_WITH_AES_128_CBC_SHA256,               \
	MBEDTLS_TLS_RSA_WITH_AES_256_CBC_SHA256,               \
	MBEDTLS_TLS_RSA_WITH_AES_128_CBC_SHA,                  \
	MBEDTLS_TLS_RSA_WITH_AES_256_CBC_SHA

static const int default_suites[] = { AEAD, DHE_AEAD, ECDHE_CBC, 0 };
static const int strict_suites[] = { AEAD, 0 };
static const int compatible_suites[] = { AEAD, DHE_AEAD, ECDHE_CBC, OLD, 0 };
static const int server_suites[] = { AEAD, ECDHE_CBC, 0 };

#ifdef MBEDTLS_ECP_DP_BP256R1_ENABLED
#define BRAINPOOL , KOLK__GROUP(BP256R1), KOLK__GROUP(BP384R1), KOLK__GROUP(BP512R1)
#else
#define BRAINPOOL
#endif
#define BEST KOLK__GROUP_X25519, KOLK__GROUP(SECP256R1), KOLK__GROUP(SECP384R1)

static const kolk__tls_group default_groups[] = { BEST, KOLK__GROUP(SECP521R1),
						  KOLK__GROUP(NONE) };
static const kolk__tls_group strict_groups[] = { BEST, KOLK__GROUP(NONE) };
static const kolk__tls_group compatible_groups[] = { BEST, KOLK__GROUP(SECP521R1) BRAINPOOL,
						     KOLK__GROUP(NONE) };

static const struct {
	const int *suites, *server_suites;
	const kolk__tls_group *groups;
	unsigned dh_bits_min; /* RFC 9325, section 4.1 */
} profiles[] = {
	[KOLK_TLS_DEFAULT] = { default_suites, server_suites, default_groups, 2048 },
	[KOLK_TLS_STRICT] = { strict_suites, strict_suites, strict_groups, 2048 },
	[KOLK_TLS_COMPATIBLE] = { compatible_suites, server_suites, compatible_groups, 1024 },
};

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
/* mbedTLS 3.6.6 refuses RSA-PSS in TLS 1.2, and a server selects it if it is first in the list
 * (mbedTLS issue 10672): it is last. TLS 1.3 has nothing else for RSA keys. */
static const uint16_t signatures[] = {
	MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
	MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512, MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
	MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384, MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
	MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256, MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
	MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512, MBEDTLS_TLS1_3_SIG_NONE
};

static void offer_signatures(mbedtls_ssl_config *config)
{
	mbedtls_ssl_conf_sig_algs(config, signatures);
}
#else
static void offer_signatures(mbedtls_ssl_config *config)
{
	(void)config; /* its default: SHA-2 */
}
#endif

void kolk__tls_offer(mbedtls_ssl_config *config, uint32_t profile, bool server)
{
	mbedtls_ssl_conf_ciphersuites(config, server ? profiles[profile].server_suites :
						       profiles[profile].suites);
	offer_signatures(config);
	kolk__tls_groups(config, profiles[profile].groups);
	mbedtls_ssl_conf_dhm_min_bitlen(config, profiles[profile].dh_bits_min);
}
