/* SPDX-License-Identifier: Apache-2.0 */
/* bare_tls.h - mbedTLS on a blocking socket with nothing around it: the limit of TLS scenarios. */
#ifndef KOLK_BENCH_BARE_TLS_H
#define KOLK_BENCH_BARE_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/kit/cert.h"
#include "transport/tls_compat.h"

struct bare {
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context drbg;
	mbedtls_ssl_config config;
	mbedtls_x509_crt authority;
};

struct bare_lane {
	int fd;
	mbedtls_ssl_context ssl;
	uint64_t sent_ns;
};

void bare_open(struct bare *bare, const struct kit_cert *authority);
void bare_close(struct bare *bare);
/* Connect and shake hands; session NULL = a full handshake. */
void bare_lane_open(struct bare_lane *lane, struct bare *bare, uint16_t port,
		    const mbedtls_ssl_session *session);
void bare_lane_write(struct bare_lane *lane, const unsigned char *bytes, size_t size);
/* All of it; true when a session ticket of TLS 1.3 came before. */
bool bare_lane_read(struct bare_lane *lane, unsigned char *bytes, size_t size);
void bare_lane_close(struct bare_lane *lane);

#endif
