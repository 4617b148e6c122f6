/* SPDX-License-Identifier: Apache-2.0 */
/* tls_common.c - what the TLS configurations of clients and servers have in common. */
#include <string.h>

#include "transport/tls_state.h"

enum kolk_err kolk__tls_refuse(struct kolk_failure *failure, enum kolk_err err, const char *field,
			       int tls_error)
{
	failure->err = tls_error != 0 && kolk__tls_is_memory(tls_error) ? KOLK_E_MEMORY : err;
	failure->err_class = kolk_err_class(failure->err);
	failure->phase = KOLK_PHASE_OPTIONS;
	failure->field = field;
	failure->tls_error = tls_error;
	return failure->err;
}

const char *kolk_tls_text(void)
{
	return KOLK__TLS_VERSION_MAX == KOLK__TLS13 ? "mbedTLS " MBEDTLS_VERSION_STRING ", TLS 1.3" :
						      "mbedTLS " MBEDTLS_VERSION_STRING ", TLS 1.2";
}

const char *kolk__tls_copy(struct kolk__tls_common *common, const char *text)
{
	size_t size = strlen(text) + 1;
	char *at = common->text + common->text_used;

	if (size > sizeof common->text - common->text_used)
		return NULL;
	common->text_used += size;
	return memcpy(at, text, size);
}

void kolk__tls_own_init(struct kolk__tls_own *own)
{
	mbedtls_x509_crt_init(&own->certificate);
	mbedtls_pk_init(&own->key);
}

void kolk__tls_own_free(struct kolk__tls_own *own)
{
	mbedtls_pk_free(&own->key); /* wiped by mbedTLS */
	mbedtls_x509_crt_free(&own->certificate);
}

void kolk__tls_common_init(struct kolk__tls_common *common)
{
	mbedtls_ssl_config_init(&common->ssl);
	mbedtls_entropy_init(&common->entropy);
	mbedtls_ctr_drbg_init(&common->drbg);
	mbedtls_x509_crt_init(&common->anchors);
	mbedtls_x509_crl_init(&common->revoked);
}

enum kolk_err kolk__tls_common_seed(struct kolk__tls_common *common, bool server,
				    struct kolk_failure *failure)
{
	static const char who[] = "kolk";
	int result;

	errno = 0;
	result = kolk__tls_library_init();
	if (result == 0)
		result = mbedtls_ctr_drbg_seed(&common->drbg, mbedtls_entropy_func,
					       &common->entropy, (const uint8_t *)who,
					       sizeof who - 1);
	if (result == 0)
		result = mbedtls_ssl_config_defaults(
			&common->ssl, server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
			MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
	return result == 0 ? KOLK_OK : kolk__tls_refuse(failure, KOLK_E_TLS, "tls", result);
}

enum kolk_err kolk__tls_common_alpn(struct kolk__tls_common *common, const char *const *alpn,
				    struct kolk_failure *failure)
{
	size_t count = 0;

	if (alpn == NULL)
		return KOLK_OK;
	for (; alpn[count] != NULL; count++) {
		if (count == KOLK__ALPN_MAX)
			return kolk__tls_refuse(failure, KOLK_E_OPTIONS, "alpn", 0);
		common->alpn[count] = kolk__tls_copy(common, alpn[count]);
		if (common->alpn[count] == NULL)
			return kolk__tls_refuse(failure, KOLK_E_OPTIONS, "alpn", 0);
	}
	if (mbedtls_ssl_conf_alpn_protocols(&common->ssl, common->alpn) != 0)
		return kolk__tls_refuse(failure, KOLK_E_OPTIONS, "alpn", 0);
	return KOLK_OK;
}

void kolk__tls_common_settle(struct kolk__tls_common *common, uint32_t version_min,
			     uint32_t profile)
{
	mbedtls_ssl_config *ssl = &common->ssl;

	mbedtls_ssl_conf_rng(ssl, mbedtls_ctr_drbg_random, &common->drbg);
	kolk__tls_versions(ssl, version_min);
	kolk__tls_offer(ssl, profile,
			ssl->MBEDTLS_PRIVATE(endpoint) == MBEDTLS_SSL_IS_SERVER);
#ifdef MBEDTLS_SSL_RENEGOTIATION
	mbedtls_ssl_conf_renegotiation(ssl, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
	mbedtls_ssl_conf_legacy_renegotiation(ssl, MBEDTLS_SSL_LEGACY_BREAK_HANDSHAKE);
}

void kolk__tls_common_free(struct kolk__tls_common *common)
{
	mbedtls_ssl_config_free(&common->ssl);
	mbedtls_x509_crt_free(&common->anchors);
	mbedtls_x509_crl_free(&common->revoked);
	mbedtls_ctr_drbg_free(&common->drbg);
	mbedtls_entropy_free(&common->entropy);
}
