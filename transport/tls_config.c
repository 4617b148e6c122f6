/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_config.c - a pool's TLS configuration, read once.
 *
 * Verification is on by default: chain and name (tls_verify.c). No SNI is sent for an address
 * (RFC 6066, section 3).
 */
#include <string.h>

#include "transport/endpoint.h"
#include "transport/tls_state.h"
#include "transport/upstream.h"

static enum kolk_err refuse(struct kolk_failure *failure, enum kolk_err err, const char *field,
			    int tls_error)
{
	failure->err = err;
	failure->err_class = kolk_err_class(err);
	failure->phase = KOLK_PHASE_OPTIONS;
	failure->field = field;
	failure->tls_error = tls_error;
	return err;
}

const char *kolk_tls_text(void)
{
	return KOLK__TLS_VERSION_MAX == KOLK__TLS13 ? "mbedTLS " MBEDTLS_VERSION_STRING ", TLS 1.3" :
						      "mbedTLS " MBEDTLS_VERSION_STRING ", TLS 1.2";
}

/* ---- options */

static char *copy(struct kolk__tls_config *config, const char *text)
{
	size_t size = strlen(text) + 1;
	char *at = config->text + config->text_used;

	if (size > sizeof config->text - config->text_used)
		return NULL;
	config->text_used += size;
	return memcpy(at, text, size);
}

static enum kolk_err read_alpn(struct kolk__tls_config *config, const struct kolk_tls_options *o,
			       struct kolk_failure *failure)
{
	size_t count = 0;

	if (o->alpn == NULL)
		return KOLK_OK;
	for (; o->alpn[count] != NULL; count++) {
		if (count == KOLK__ALPN_MAX)
			return refuse(failure, KOLK_E_OPTIONS, "alpn", 0);
		config->alpn[count] = copy(config, o->alpn[count]);
		if (config->alpn[count] == NULL)
			return refuse(failure, KOLK_E_OPTIONS, "alpn", 0);
	}
	if (mbedtls_ssl_conf_alpn_protocols(&config->ssl, config->alpn) != 0)
		return refuse(failure, KOLK_E_OPTIONS, "alpn", 0);
	return KOLK_OK;
}

static enum kolk_err read_pins(struct kolk__tls_config *config, const struct kolk_tls_options *o,
			       struct kolk_failure *failure)
{
	static const char prefix[] = "sha256//";

	for (const char *const *pin = o->pins; pin != NULL && *pin != NULL; pin++) {
		const char *text = *pin + sizeof prefix - 1;
		size_t size = 0;

		if (config->pin_count == KOLK__PINS_MAX ||
		    strncmp(*pin, prefix, sizeof prefix - 1) != 0 ||
		    mbedtls_base64_decode(config->pin[config->pin_count], KOLK__PIN, &size,
					  (const unsigned char *)text, strlen(text)) != 0 ||
		    size != KOLK__PIN)
			return refuse(failure, KOLK_E_OPTIONS, "pins", 0);
		config->pin_count++;
	}
	return KOLK_OK;
}

static enum kolk_err read_name(struct kolk__tls_config *config, const struct kolk_tls_options *o,
			       const char *host, struct kolk_failure *failure)
{
	const char *name = o->server_name != NULL ? o->server_name : host;
	char read[KOLK__HOST_MAX];

	if (name[0] != 0) {
		if (!kolk__host_read(name, read))
			return refuse(failure, KOLK_E_OPTIONS, "server_name", 0);
		name = read;
	}
	/* No name, no handshake: a Unix socket needs server_name, or verify_off. */
	if (name[0] == 0 && !o->verify_off)
		return refuse(failure, KOLK_E_OPTIONS, "server_name", 0);
	config->name = copy(config, name);
	if (config->name == NULL)
		return refuse(failure, KOLK_E_OPTIONS, "server_name", 0);
	config->by_address = kolk__tls_is_address(name);
	return KOLK_OK;
}

static unsigned char record_code(uint32_t bytes)
{
	switch (bytes) {
	case 512:
		return MBEDTLS_SSL_MAX_FRAG_LEN_512;
	case 1024:
		return MBEDTLS_SSL_MAX_FRAG_LEN_1024;
	case 2048:
		return MBEDTLS_SSL_MAX_FRAG_LEN_2048;
	case 4096:
		return MBEDTLS_SSL_MAX_FRAG_LEN_4096;
	default:
		return MBEDTLS_SSL_MAX_FRAG_LEN_NONE;
	}
}

static enum kolk_err options_check(const struct kolk_tls_options *o, struct kolk_failure *failure)
{
	if (o->version_min > KOLK__TLS_VERSION_MAX)
		return refuse(failure, KOLK_E_OPTIONS, "version_min", 0);
	if ((o->certificate_file == NULL) != (o->key_file == NULL))
		return refuse(failure, KOLK_E_OPTIONS, "key_file", 0);
	if (o->verify_off && o->crl_file != NULL)
		return refuse(failure, KOLK_E_OPTIONS, "crl_file", 0);
	return KOLK_OK;
}

static enum kolk_err seed(struct kolk__tls_config *config, struct kolk_failure *failure)
{
	static const char who[] = "kolk";
	int result;

	errno = 0;
	result = kolk__tls_library_init();
	if (result == 0)
		result = mbedtls_ctr_drbg_seed(&config->drbg, mbedtls_entropy_func,
					       &config->entropy, (const uint8_t *)who,
					       sizeof who - 1);
	if (result == 0)
		result = mbedtls_ssl_config_defaults(&config->ssl, MBEDTLS_SSL_IS_CLIENT,
						     MBEDTLS_SSL_TRANSPORT_STREAM,
						     MBEDTLS_SSL_PRESET_DEFAULT);
	return result == 0 ? KOLK_OK :
	       refuse(failure, kolk__tls_is_memory(result) ? KOLK_E_MEMORY : KOLK_E_TLS, "tls", result);
}

/* Not where TLS 1.3 may be negotiated: a server then answers in EncryptedExtensions, and mbedTLS
 * refuses that. */
static enum kolk_err set_record_max(struct kolk__tls_config *config,
				    const struct kolk_tls_options *o, struct kolk_failure *failure)
{
	config->asks_record_max = o->record_max != 0 && KOLK__TLS_VERSION_MAX == KOLK__TLS12;
	if (config->asks_record_max &&
	    mbedtls_ssl_conf_max_frag_len(&config->ssl, record_code(o->record_max)) != 0)
		return refuse(failure, KOLK_E_OPTIONS, "record_max", 0);
	return KOLK_OK;
}

static enum kolk_err fill(struct kolk__tls_config *config, const struct kolk_tls_options *o,
			  const char *host, struct kolk_failure *failure)
{
	enum kolk_err err = options_check(o, failure);

	if (err == KOLK_OK)
		err = seed(config, failure);
	if (err == KOLK_OK)
		err = read_name(config, o, host, failure);
	if (err == KOLK_OK)
		err = read_alpn(config, o, failure);
	if (err == KOLK_OK)
		err = read_pins(config, o, failure);
	if (err == KOLK_OK)
		err = kolk__tls_load(config, o, failure);
	if (err != KOLK_OK)
		return err;
	config->resume = !o->resume_off;
	config->verify = !o->verify_off;
	mbedtls_ssl_conf_rng(&config->ssl, mbedtls_ctr_drbg_random, &config->drbg);
	kolk__tls_versions(&config->ssl, o->version_min);
	kolk__tls_offer(&config->ssl, o->profile);
	mbedtls_ssl_conf_authmode(&config->ssl, o->verify_off && config->pin_count == 0 ?
				  MBEDTLS_SSL_VERIFY_NONE : MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_ca_chain(&config->ssl, &config->anchors,
				  o->crl_file != NULL ? &config->revoked : NULL);
	mbedtls_ssl_conf_verify(&config->ssl, kolk__tls_verify, config);
#ifdef MBEDTLS_SSL_RENEGOTIATION
	mbedtls_ssl_conf_renegotiation(&config->ssl, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
	mbedtls_ssl_conf_legacy_renegotiation(&config->ssl, MBEDTLS_SSL_LEGACY_BREAK_HANDSHAKE);
	config->ssl_full_records = config->ssl;
	return set_record_max(config, o, failure);
}

enum kolk_err kolk__tls_config_open(struct kolk__upstream *upstream,
				    const struct kolk_tls_options *options,
				    struct kolk_failure *failure)
{
	struct kolk__transport *transport = upstream->transport;
	struct kolk__tls_config *config = kolk__alloc(transport, sizeof *config);
	enum kolk_err err;

	if (config == NULL)
		return refuse(failure, KOLK_E_MEMORY, "tls", 0);
	mbedtls_ssl_config_init(&config->ssl);
	mbedtls_entropy_init(&config->entropy);
	mbedtls_ctr_drbg_init(&config->drbg);
	mbedtls_x509_crt_init(&config->anchors);
	mbedtls_x509_crt_init(&config->certificate);
	mbedtls_x509_crl_init(&config->revoked);
	mbedtls_pk_init(&config->key);
	err = fill(config, options, upstream->endpoint.host, failure);
	if (err != KOLK_OK) {
		kolk__tls_config_close(transport, config);
		return err;
	}
	if (options->verify_off && config->pin_count == 0)
		kolk__transport_log(transport, KOLK_LOG_WARN,
				    "TLS to %s: verification is off, any peer is trusted",
				    config->name);
	if (options->record_max != 0 && !config->asks_record_max)
		kolk__transport_log(transport, KOLK_LOG_WARN,
				    "TLS to %s: record_max does nothing: mbedTLS with TLS 1.3 "
				    "cannot take a server's answer to it", config->name);
	upstream->tls = config;
	return KOLK_OK;
}

const char *kolk__tls_config_name(const struct kolk__tls_config *config)
{
	return config->name;
}

const uint8_t *kolk__tls_config_digest(const struct kolk__tls_config *config)
{
	return config->digest;
}

void kolk__tls_config_close(struct kolk__transport *transport, struct kolk__tls_config *config)
{
	if (config == NULL)
		return;
	mbedtls_ssl_config_free(&config->ssl);
	mbedtls_pk_free(&config->key); /* wiped by mbedTLS */
	mbedtls_x509_crt_free(&config->certificate);
	mbedtls_x509_crt_free(&config->anchors);
	mbedtls_x509_crl_free(&config->revoked);
	mbedtls_ctr_drbg_free(&config->drbg);
	mbedtls_entropy_free(&config->entropy);
	kolk__dealloc(transport, config, sizeof *config);
}
