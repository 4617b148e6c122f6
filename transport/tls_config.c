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

/* ---- options */

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
			return kolk__tls_refuse(failure, KOLK_E_OPTIONS, "pins", 0);
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
			return kolk__tls_refuse(failure, KOLK_E_OPTIONS, "server_name", 0);
		name = read;
	}
	/* No name, no handshake: a Unix socket needs server_name, or verify_off. */
	if (name[0] == 0 && !o->verify_off)
		return kolk__tls_refuse(failure, KOLK_E_OPTIONS, "server_name", 0);
	config->name = kolk__tls_copy(&config->common, name);
	if (config->name == NULL)
		return kolk__tls_refuse(failure, KOLK_E_OPTIONS, "server_name", 0);
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
		return kolk__tls_refuse(failure, KOLK_E_OPTIONS, "version_min", 0);
	if ((o->certificate_file == NULL) != (o->key_file == NULL))
		return kolk__tls_refuse(failure, KOLK_E_OPTIONS, "key_file", 0);
	if (o->verify_off && o->crl_file != NULL)
		return kolk__tls_refuse(failure, KOLK_E_OPTIONS, "crl_file", 0);
	return KOLK_OK;
}

/* Not where TLS 1.3 may be negotiated: a server then answers in EncryptedExtensions, and mbedTLS
 * refuses that. */
static enum kolk_err set_record_max(struct kolk__tls_config *config,
				    const struct kolk_tls_options *o, struct kolk_failure *failure)
{
	config->asks_record_max = o->record_max != 0 && KOLK__TLS_VERSION_MAX == KOLK__TLS12;
	if (config->asks_record_max &&
	    mbedtls_ssl_conf_max_frag_len(&config->common.ssl, record_code(o->record_max)) != 0)
		return kolk__tls_refuse(failure, KOLK_E_OPTIONS, "record_max", 0);
	return KOLK_OK;
}

static enum kolk_err load(struct kolk__tls_config *config, const struct kolk_tls_options *o,
			  struct kolk_failure *failure)
{
	struct kolk__tls_files files = {
		.ca_file = o->ca_file, .ca_directory = o->ca_directory, .crl_file = o->crl_file,
		.trusts = !o->verify_off, .certificate_file = o->certificate_file,
		.key_file = o->key_file, .own = &config->own,
	};
	enum kolk_err err = kolk__tls_load(&config->common, &files, failure);
	int result;

	if (err != KOLK_OK)
		return err;
	memcpy(config->digest, files.digest, sizeof config->digest);
	if (o->certificate_file == NULL)
		return KOLK_OK;
	errno = 0;
	result = mbedtls_ssl_conf_own_cert(&config->common.ssl, &config->own.certificate,
					   &config->own.key);
	return result == 0 ? KOLK_OK :
			     kolk__tls_refuse(failure, KOLK_E_TLS, "certificate_file", result);
}

static enum kolk_err fill(struct kolk__tls_config *config, const struct kolk_tls_options *o,
			  const char *host, struct kolk_failure *failure)
{
	mbedtls_ssl_config *ssl = &config->common.ssl;
	enum kolk_err err = options_check(o, failure);

	if (err == KOLK_OK)
		err = kolk__tls_common_seed(&config->common, false, failure);
	if (err == KOLK_OK)
		err = read_name(config, o, host, failure);
	if (err == KOLK_OK)
		err = kolk__tls_common_alpn(&config->common, o->alpn, failure);
	if (err == KOLK_OK)
		err = read_pins(config, o, failure);
	if (err == KOLK_OK)
		err = load(config, o, failure);
	if (err != KOLK_OK)
		return err;
	config->resume = !o->resume_off;
	config->verify = !o->verify_off;
	kolk__tls_common_settle(&config->common, o->version_min, o->profile);
	mbedtls_ssl_conf_authmode(ssl, o->verify_off && config->pin_count == 0 ?
				  MBEDTLS_SSL_VERIFY_NONE : MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_ca_chain(ssl, &config->common.anchors,
				  o->crl_file != NULL ? &config->common.revoked : NULL);
	mbedtls_ssl_conf_verify(ssl, kolk__tls_verify, config);
	config->ssl_full_records = *ssl;
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
		return kolk__tls_refuse(failure, KOLK_E_MEMORY, "tls", 0);
	kolk__tls_common_init(&config->common);
	kolk__tls_own_init(&config->own);
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
	kolk__tls_common_free(&config->common);
	kolk__tls_own_free(&config->own);
	kolk__dealloc(transport, config, sizeof *config);
}
