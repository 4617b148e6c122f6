/* SPDX-License-Identifier: Apache-2.0 */
/* trip_tls.c - the round trips on bare mbedTLS: blocking sockets, all requests, all answers. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/echo.h"
#include "bench/trip.h"
#include "tests/kit/cert.h"
#include "transport/tls_compat.h"

struct bare {
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context drbg;
	mbedtls_ssl_config config;
	mbedtls_x509_crt authority;
};

struct lane {
	int fd;
	mbedtls_ssl_context ssl;
	uint64_t sent_ns;
};

static int put(void *user, const unsigned char *bytes, size_t size)
{
	return (int)send(*(int *)user, bytes, size, MSG_NOSIGNAL);
}

static int get(void *user, unsigned char *bytes, size_t size)
{
	return (int)recv(*(int *)user, bytes, size, 0);
}

static void bare_open(struct bare *bare, const struct trip *trip)
{
	const struct kit_cert *authority = trip->authority;

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

static void bare_close(struct bare *bare)
{
	mbedtls_ssl_config_free(&bare->config);
	mbedtls_x509_crt_free(&bare->authority);
	mbedtls_ctr_drbg_free(&bare->drbg);
	mbedtls_entropy_free(&bare->entropy);
}

static void lane_open(struct lane *lane, struct bare *bare, uint16_t port)
{
	int result;

	lane->fd = dial_port(port);
	mbedtls_ssl_init(&lane->ssl);
	if (mbedtls_ssl_setup(&lane->ssl, &bare->config) != 0 ||
	    mbedtls_ssl_set_hostname(&lane->ssl, NULL) != 0)
		die("mbedTLS is out of memory");
	mbedtls_ssl_set_bio(&lane->ssl, &lane->fd, put, get, NULL);
	do {
		result = mbedtls_ssl_handshake(&lane->ssl);
	} while (kolk__tls_is_ticket(result));
	if (result != 0)
		die("a bare handshake failed: -0x%x", (unsigned)-result);
}

static void lane_write(struct lane *lane, const unsigned char *bytes, size_t size)
{
	while (size > 0) {
		int put_size = mbedtls_ssl_write(&lane->ssl, bytes, size);

		if (put_size <= 0)
			die("a bare write failed");
		bytes += put_size;
		size -= (size_t)put_size;
	}
}

static void lane_read(struct lane *lane, unsigned char *bytes, size_t size)
{
	while (size > 0) {
		int got = mbedtls_ssl_read(&lane->ssl, bytes, size);

		if (kolk__tls_is_ticket(got))
			continue;
		if (got <= 0)
			die("a bare read failed");
		size -= (size_t)got;
	}
}

void trip_bare_tls(struct trip *trip)
{
	struct lane *lanes = calloc(trip->connections, sizeof *lanes);
	unsigned char *bytes = malloc(trip->size), *answer = malloc(trip->size);
	struct bare bare;
	bool going = true;

	memset(bytes, 'x', trip->size);
	bytes[trip->size - 1] = '\n';
	bare_open(&bare, trip);
	for (uint32_t i = 0; i < trip->connections; i++)
		lane_open(&lanes[i], &bare, trip->port);
	trip_begin(trip);
	while (going) {
		for (uint32_t i = 0; i < trip->connections; i++) {
			lanes[i].sent_ns = clock_now();
			lane_write(&lanes[i], bytes, trip->size);
		}
		for (uint32_t i = 0; i < trip->connections; i++) {
			lane_read(&lanes[i], answer, trip->size);
			going = trip_done(trip, lanes[i].sent_ns) != 0 && going;
		}
	}
	trip_end(trip);
	for (uint32_t i = 0; i < trip->connections; i++) {
		mbedtls_ssl_free(&lanes[i].ssl);
		close(lanes[i].fd);
	}
	bare_close(&bare);
	free(lanes);
	free(bytes);
	free(answer);
}
