/* SPDX-License-Identifier: Apache-2.0 */
/* sign.c - see sign.h. */
#include "tests/gateway/sign.h"

#include <mbedtls/md.h>
#include <mbedtls/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kit/cmocka/run.h"

void base64url(const void *from, size_t size, char *to)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const unsigned char *bytes = from;
	unsigned bits = 0, count = 0;

	for (size_t i = 0; i < size; i++) {
		bits = bits << 8 | bytes[i];
		for (count += 8; count >= 6; count -= 6)
			*to++ = digits[bits >> (count - 6) & 63];
	}
	if (count > 0)
		*to++ = digits[bits << (6 - count) & 63];
	*to = 0;
}

void signer_open(struct signer *s)
{
	unsigned char n[256], e[3], point[65];
	char x[64], y[64], exponent[8];
	size_t size;

	mbedtls_entropy_init(&s->entropy);
	mbedtls_ctr_drbg_init(&s->drbg);
	assert_int_equal(mbedtls_ctr_drbg_seed(&s->drbg, mbedtls_entropy_func, &s->entropy, NULL, 0), 0);
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	mbedtls_rsa_init(&s->rsa);
#else
	mbedtls_rsa_init(&s->rsa, MBEDTLS_RSA_PKCS_V15, 0);
#endif
	assert_int_equal(mbedtls_rsa_gen_key(&s->rsa, mbedtls_ctr_drbg_random, &s->drbg, 2048, 65537), 0);
	assert_int_equal(mbedtls_rsa_export_raw(&s->rsa, n, sizeof n, NULL, 0, NULL, 0, NULL, 0, e,
						sizeof e), 0);
	mbedtls_ecp_group_init(&s->group);
	mbedtls_mpi_init(&s->secret);
	mbedtls_ecp_point_init(&s->point);
	assert_int_equal(mbedtls_ecp_group_load(&s->group, MBEDTLS_ECP_DP_SECP256R1), 0);
	assert_int_equal(mbedtls_ecp_gen_keypair(&s->group, &s->secret, &s->point,
						 mbedtls_ctr_drbg_random, &s->drbg), 0);
	assert_int_equal(mbedtls_ecp_point_write_binary(&s->group, &s->point,
							MBEDTLS_ECP_PF_UNCOMPRESSED, &size, point,
							sizeof point), 0);
	base64url(n, sizeof n, s->modulus);
	base64url(e, sizeof e, exponent);
	base64url(point + 1, 32, x);
	base64url(point + 33, 32, y);
	snprintf(s->jwks, sizeof s->jwks,
		 "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"o\",\"k\":\"AAAA\"},\n"
		 "{\"kty\":\"RSA\",\"kid\":\"r\",\"alg\":\"RS256\",\"use\":\"sig\",\"n\":\"%s\","
		 "\"e\":\"%s\"},\n"
		 "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\",\"x\":\"%s\",\"y\":\"%s\"}]}\n",
		 s->modulus, exponent, x, y);
}

void signer_close(struct signer *s)
{
	mbedtls_ecp_point_free(&s->point);
	mbedtls_mpi_free(&s->secret);
	mbedtls_ecp_group_free(&s->group);
	mbedtls_rsa_free(&s->rsa);
	mbedtls_ctr_drbg_free(&s->drbg);
	mbedtls_entropy_free(&s->entropy);
}

static size_t rsa_sign(struct signer *s, const unsigned char digest[32], unsigned char *to)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	assert_int_equal(mbedtls_rsa_pkcs1_sign(&s->rsa, mbedtls_ctr_drbg_random, &s->drbg,
						MBEDTLS_MD_SHA256, 32, digest, to), 0);
#else
	assert_int_equal(mbedtls_rsa_pkcs1_sign(&s->rsa, mbedtls_ctr_drbg_random, &s->drbg,
						MBEDTLS_RSA_PRIVATE, MBEDTLS_MD_SHA256, 32, digest, to), 0);
#endif
	return 256;
}

static size_t ec_sign(struct signer *s, const unsigned char digest[32], unsigned char *to)
{
	mbedtls_mpi a, b;

	mbedtls_mpi_init(&a);
	mbedtls_mpi_init(&b);
	assert_int_equal(mbedtls_ecdsa_sign(&s->group, &a, &b, &s->secret, digest, 32,
					    mbedtls_ctr_drbg_random, &s->drbg), 0);
	assert_int_equal(mbedtls_mpi_write_binary(&a, to, 32), 0);
	assert_int_equal(mbedtls_mpi_write_binary(&b, to + 32, 32), 0);
	mbedtls_mpi_free(&a);
	mbedtls_mpi_free(&b);
	return 64;
}

char *signer_token(struct signer *s, const char *algorithm, const char *header, const char *payload)
{
	const mbedtls_md_info_t *md = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
	size_t room = (strlen(header) + strlen(payload)) * 4 / 3 + 1024, size = 0;
	char *token = malloc(room);
	unsigned char digest[32], signature[512];

	assert_non_null(token);
	base64url(header, strlen(header), token);
	strcat(token, ".");
	base64url(payload, strlen(payload), token + strlen(token));
	mbedtls_md(md, (const unsigned char *)token, strlen(token), digest);
	if (strcmp(algorithm, "RS256") == 0)
		size = rsa_sign(s, digest, signature);
	else if (strcmp(algorithm, "ES256") == 0)
		size = ec_sign(s, digest, signature);
	else if (strcmp(algorithm, "HS256") == 0 &&
		 mbedtls_md_hmac(md, (const unsigned char *)s->modulus, strlen(s->modulus),
				 (const unsigned char *)token, strlen(token), signature) == 0)
		size = 32;
	strcat(token, ".");
	base64url(signature, size, token + strlen(token));
	return token;
}
