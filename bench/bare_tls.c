/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bare_tls.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/echo.h"
#include "bench/kit.h"

static int put(void *user, const unsigned char *bytes, size_t size)
{
	return (int)send(*(int *)user, bytes, size, MSG_NOSIGNAL);
}

static int get(void *user, unsigned char *bytes, size_t size)
{
	return (int)recv(*(int *)user, bytes, size, 0);
}

void bare_open(struct bare *bare, const struct kit_cert *authority)
{
	mbedtls_entropy_init(&bare->entropy);
	mbedtls_ctr_drbg_init(&bare->drbg);
	mbedtls_ssl_config_init(&bare->config);
	mbedtls_x509_crt_init(&bare->authority);
	if (kolk__tls_library_init() != 0 ||
	    mbedtls_ctr_drbg_seed(&bare->drbg, mbedtls_entropy_func, &bare->entropy, NULL, 0) != 0 ||
	    mbedtls_ssl_config_defaults(&bare->config, MBEDTLS_SSL_IS_CLIENT,
					MBEDTLS_SSL_TRANSPORT_STREAM,
					MBEDTLS_SSL_PRESET_DEFAULT) != 0 ||
	    mbedtls_x509_crt_parse(&bare->authority, (const unsigned char *)authority->pem,
				   strlen(authority->pem) + 1) != 0)
		die("mbedTLS does not start");
	mbedtls_ssl_conf_ca_chain(&bare->config, &bare->authority, NULL);
	mbedtls_ssl_conf_authmode(&bare->config, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_rng(&bare->config, mbedtls_ctr_drbg_random, &bare->drbg);
	kolk__tls_versions(&bare->config, KOLK__TLS12);
}

void bare_close(struct bare *bare)
{
	mbedtls_ssl_config_free(&bare->config);
	mbedtls_x509_crt_free(&bare->authority);
	mbedtls_ctr_drbg_free(&bare->drbg);
	mbedtls_entropy_free(&bare->entropy);
}

void bare_lane_open(struct bare_lane *lane, struct bare *bare, uint16_t port,
		    const mbedtls_ssl_session *session)
{
	int result;

	lane->fd = dial_port(port);
	mbedtls_ssl_init(&lane->ssl);
	if (mbedtls_ssl_setup(&lane->ssl, &bare->config) != 0 ||
	    mbedtls_ssl_set_hostname(&lane->ssl, NULL) != 0 ||
	    (session != NULL && mbedtls_ssl_set_session(&lane->ssl, session) != 0))
		die("mbedTLS is out of memory");
	mbedtls_ssl_set_bio(&lane->ssl, &lane->fd, put, get, NULL);
	do {
		result = mbedtls_ssl_handshake(&lane->ssl);
	} while (kolk__tls_is_ticket(result));
	if (result != 0)
		die("a bare handshake failed: -0x%x", (unsigned)-result);
}

void bare_lane_write(struct bare_lane *lane, const unsigned char *bytes, size_t size)
{
	while (size > 0) {
		int put_size = mbedtls_ssl_write(&lane->ssl, bytes, size);

		if (put_size <= 0)
			die("a bare write failed");
		bytes += put_size;
		size -= (size_t)put_size;
	}
}

bool bare_lane_read(struct bare_lane *lane, unsigned char *bytes, size_t size)
{
	bool ticket = false;

	while (size > 0) {
		int got = mbedtls_ssl_read(&lane->ssl, bytes, size);

		if (kolk__tls_is_ticket(got)) {
			ticket = true;
			continue;
		}
		if (got == MBEDTLS_ERR_SSL_WANT_READ) /* 3.6 says so around a ticket */
			continue;
		if (got <= 0)
			die("a bare read failed: -0x%x", (unsigned)-got);
		size -= (size_t)got;
	}
	return ticket;
}

void bare_lane_close(struct bare_lane *lane)
{
	(void)mbedtls_ssl_close_notify(&lane->ssl); /* best effort */
	mbedtls_ssl_free(&lane->ssl);
	close(lane->fd);
}
