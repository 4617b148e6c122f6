/* SPDX-License-Identifier: Apache-2.0 */
/* sign.h - tokens that are signed for tests, and the key set that verifies them. */
#ifndef KOLK_TESTS_GATEWAY_SIGN_H
#define KOLK_TESTS_GATEWAY_SIGN_H

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/entropy.h>
#include <mbedtls/rsa.h>

/* Two keys, "r" and "e". */
struct signer {
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context drbg;
	mbedtls_rsa_context rsa;
	mbedtls_ecp_group group;
	mbedtls_mpi secret;
	mbedtls_ecp_point point;
	char jwks[2048];
	char modulus[512]; /* of the RSA key, base64url */
};

void signer_open(struct signer *signer);
void signer_close(struct signer *signer);
/* header.payload.signature, by the key that the algorithm wants ("RS256", "ES256", "HS256" with the RSA
 * modulus as its secret, "none"). Freed with free. */
char *signer_token(struct signer *signer, const char *algorithm, const char *header,
		   const char *payload);
void base64url(const void *bytes, size_t size, char *to);

#endif
