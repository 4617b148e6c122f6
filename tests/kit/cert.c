/* SPDX-License-Identifier: Apache-2.0 */
/* cert.c - X.509 by mbedTLS; subject alternative names are encoded here, 2.28 cannot. */
#include "tests/kit/cert.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <mbedtls/pem.h>

#include "transport/tls_compat.h"

struct maker {
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context drbg;
	mbedtls_pk_context key, issuer_key;
	mbedtls_x509_crt issuer;
	mbedtls_x509write_cert crt;
};

static bool key_make(struct maker *maker)
{
	return mbedtls_pk_setup(&maker->key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) == 0 &&
	       mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(maker->key),
				   mbedtls_ctr_drbg_random, &maker->drbg) == 0;
}

static bool key_parse(struct maker *maker, const char *pem)
{
	const unsigned char *bytes = (const unsigned char *)pem;
	size_t size = strlen(pem) + 1;

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	return mbedtls_pk_parse_key(&maker->issuer_key, bytes, size, NULL, 0,
				    mbedtls_ctr_drbg_random, &maker->drbg) == 0;
#else
	return mbedtls_pk_parse_key(&maker->issuer_key, bytes, size, NULL, 0) == 0;
#endif
}

/* SubjectAltName ::= SEQUENCE OF GeneralName: [2] a DNS name, [7] an address (RFC 5280,
 * 4.2.1.6). All of it is shorter than 128 bytes, so each length is one byte. */
static bool names_set(struct maker *maker, const struct kit_cert_spec *spec)
{
	unsigned char der[128] = { 0x30, 0 };
	size_t size = 2;

	if (spec->dns != NULL && strlen(spec->dns) < 100) {
		der[size++] = 0x82;
		der[size++] = (unsigned char)strlen(spec->dns);
		memcpy(der + size, spec->dns, strlen(spec->dns));
		size += strlen(spec->dns);
	}
	if (spec->ip != NULL) {
		der[size++] = 0x87;
		der[size++] = 4;
		if (inet_pton(AF_INET, spec->ip, der + size) != 1)
			return false;
		size += 4;
	}
	der[1] = (unsigned char)(size - 2);
	return size == 2 ||
	       mbedtls_x509write_crt_set_extension(&maker->crt, MBEDTLS_OID_SUBJECT_ALT_NAME,
						   MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME),
						   0, der, size) == 0;
}

/* ExtKeyUsageSyntax ::= SEQUENCE OF KeyPurposeId (RFC 5280, 4.2.1.12). */
static bool usage_set(struct maker *maker, const struct kit_cert_spec *spec)
{
	static const unsigned char der[] = { 0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06,
					     0x01, 0x05, 0x05, 0x07, 0x03, 0x01 };

	return !spec->only_servers ||
	       mbedtls_x509write_crt_set_extension(
		       &maker->crt, MBEDTLS_OID_EXTENDED_KEY_USAGE,
		       MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE), 0, der, sizeof der) == 0;
}

static bool serial_set(struct maker *maker)
{
	unsigned char bytes[8];

	if (mbedtls_ctr_drbg_random(&maker->drbg, bytes, sizeof bytes) != 0)
		return false;
	/* Positive, and no zero in front, which DER forbids. */
	bytes[0] = (unsigned char)((bytes[0] & 0x3f) | 0x40);
#if MBEDTLS_VERSION_NUMBER >= 0x03040000
	return mbedtls_x509write_crt_set_serial_raw(&maker->crt, bytes, sizeof bytes) == 0;
#else
	mbedtls_mpi serial;
	int result;

	mbedtls_mpi_init(&serial);
	result = mbedtls_mpi_read_binary(&serial, bytes, sizeof bytes);
	if (result == 0)
		result = mbedtls_x509write_crt_set_serial(&maker->crt, &serial);
	mbedtls_mpi_free(&serial);
	return result == 0;
#endif
}

static bool fill(struct maker *maker, const struct kit_cert_spec *spec,
		 const struct kit_cert *issuer)
{
	mbedtls_x509write_cert *crt = &maker->crt;
	char subject[128], issued_by[128];

	snprintf(subject, sizeof subject, "CN=%s", spec->subject);
	memcpy(issued_by, subject, sizeof issued_by);
	if (issuer != NULL) {
		if (!key_parse(maker, issuer->key) ||
		    mbedtls_x509_crt_parse(&maker->issuer, (const unsigned char *)issuer->pem,
					   strlen(issuer->pem) + 1) != 0 ||
		    mbedtls_x509_dn_gets(issued_by, sizeof issued_by, &maker->issuer.subject) < 0)
			return false;
	}
	mbedtls_x509write_crt_set_version(crt, MBEDTLS_X509_CRT_VERSION_3);
	mbedtls_x509write_crt_set_md_alg(crt, MBEDTLS_MD_SHA256);
	mbedtls_x509write_crt_set_subject_key(crt, &maker->key);
	mbedtls_x509write_crt_set_issuer_key(crt, issuer != NULL ? &maker->issuer_key : &maker->key);
	return mbedtls_x509write_crt_set_subject_name(crt, subject) == 0 &&
	       mbedtls_x509write_crt_set_issuer_name(crt, issued_by) == 0 && serial_set(maker) &&
	       mbedtls_x509write_crt_set_validity(
		       crt, spec->from != NULL ? spec->from : "20200101000000",
		       spec->to != NULL ? spec->to : "20491231235959") == 0 &&
	       mbedtls_x509write_crt_set_basic_constraints(crt, spec->authority, -1) == 0 &&
	       names_set(maker, spec) && usage_set(maker, spec);
}

bool kit_cert_make(const struct kit_cert_spec *spec, const struct kit_cert *issuer,
		   struct kit_cert *cert)
{
	struct maker maker;
	bool made;

	mbedtls_entropy_init(&maker.entropy);
	mbedtls_ctr_drbg_init(&maker.drbg);
	mbedtls_pk_init(&maker.key);
	mbedtls_pk_init(&maker.issuer_key);
	mbedtls_x509_crt_init(&maker.issuer);
	mbedtls_x509write_crt_init(&maker.crt);
	made = kolk__tls_library_init() == 0 &&
	       mbedtls_ctr_drbg_seed(&maker.drbg, mbedtls_entropy_func, &maker.entropy, NULL, 0) ==
		       0 &&
	       key_make(&maker) && fill(&maker, spec, issuer) &&
	       mbedtls_x509write_crt_pem(&maker.crt, (unsigned char *)cert->pem, sizeof cert->pem,
					 mbedtls_ctr_drbg_random, &maker.drbg) == 0 &&
	       mbedtls_pk_write_key_pem(&maker.key, (unsigned char *)cert->key, sizeof cert->key) ==
		       0;
	mbedtls_x509write_crt_free(&maker.crt);
	mbedtls_x509_crt_free(&maker.issuer);
	mbedtls_pk_free(&maker.issuer_key);
	mbedtls_pk_free(&maker.key);
	mbedtls_ctr_drbg_free(&maker.drbg);
	mbedtls_entropy_free(&maker.entropy);
	return made;
}

/* ---- revocation lists: RFC 5280, section 5.1, what mbedTLS reads but does not write */

struct der {
	unsigned char bytes[1024];
	size_t size;
};

static void der_raw(struct der *der, const unsigned char *bytes, size_t size)
{
	memcpy(der->bytes + der->size, bytes, size);
	der->size += size;
}

static void der_add(struct der *der, unsigned char tag, const unsigned char *bytes, size_t size)
{
	const unsigned char head[4] = { tag, 0x82, (unsigned char)(size >> 8), (unsigned char)size };
	const unsigned char brief[2] = { tag, (unsigned char)size };

	if (size < 128)
		der_raw(der, brief, sizeof brief);
	else
		der_raw(der, head, sizeof head);
	der_raw(der, bytes, size);
}

static const unsigned char ecdsa_sha256[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48,
					      0xce, 0x3d, 0x04, 0x03, 0x02 };

/* TBSCertList: version 2, algorithm, issuer, this and next update, one entry. */
static void crl_body(struct der *body, const mbedtls_x509_crt *authority,
		     const mbedtls_x509_crt *revoked)
{
	static const unsigned char version = 1, from[] = "200101000000Z", to[] = "491231235959Z";
	struct der inner = { .size = 0 }, entry = { .size = 0 }, list = { .size = 0 };

	der_add(&inner, 0x02, &version, 1);
	der_raw(&inner, ecdsa_sha256, sizeof ecdsa_sha256);
	der_raw(&inner, authority->subject_raw.p, authority->subject_raw.len);
	der_add(&inner, 0x17, from, sizeof from - 1);
	der_add(&inner, 0x17, to, sizeof to - 1);
	der_add(&entry, 0x02, revoked->serial.p, revoked->serial.len);
	der_add(&entry, 0x17, from, sizeof from - 1);
	der_add(&list, 0x30, entry.bytes, entry.size);
	der_add(&inner, 0x30, list.bytes, list.size);
	der_add(body, 0x30, inner.bytes, inner.size);
}

static bool crl_sign(struct maker *maker, const struct der *body, struct der *crl)
{
	unsigned char digest[32], bits[160] = { 0 };
	struct der all = *body;
	size_t size = 0;

	if (kolk__sha256(body->bytes, body->size, digest) != 0)
		return false;
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	if (mbedtls_pk_sign(&maker->issuer_key, MBEDTLS_MD_SHA256, digest, sizeof digest, bits + 1,
			    sizeof bits - 1, &size, mbedtls_ctr_drbg_random, &maker->drbg) != 0)
		return false;
#else
	if (mbedtls_pk_sign(&maker->issuer_key, MBEDTLS_MD_SHA256, digest, sizeof digest, bits + 1,
			    &size, mbedtls_ctr_drbg_random, &maker->drbg) != 0)
		return false;
#endif
	der_raw(&all, ecdsa_sha256, sizeof ecdsa_sha256);
	der_add(&all, 0x03, bits, size + 1); /* the first byte: no bit is unused */
	der_add(crl, 0x30, all.bytes, all.size);
	return true;
}

static bool crt_parse(mbedtls_x509_crt *crt, const struct kit_cert *cert)
{
	mbedtls_x509_crt_init(crt);
	return mbedtls_x509_crt_parse(crt, (const unsigned char *)cert->pem,
				      strlen(cert->pem) + 1) == 0;
}

bool kit_crl_make(const struct kit_cert *authority, const struct kit_cert *revoked, char *pem,
		  size_t size)
{
	struct der body = { .size = 0 }, crl = { .size = 0 };
	struct maker maker;
	mbedtls_x509_crt bad;
	bool made;

	mbedtls_entropy_init(&maker.entropy);
	mbedtls_ctr_drbg_init(&maker.drbg);
	mbedtls_pk_init(&maker.issuer_key);
	made = crt_parse(&maker.issuer, authority);
	made = crt_parse(&bad, revoked) && made &&
	       mbedtls_ctr_drbg_seed(&maker.drbg, mbedtls_entropy_func, &maker.entropy, NULL, 0) ==
		       0 &&
	       key_parse(&maker, authority->key);
	if (made) {
		crl_body(&body, &maker.issuer, &bad);
		made = crl_sign(&maker, &body, &crl) &&
		       mbedtls_pem_write_buffer("-----BEGIN X509 CRL-----\n",
						"-----END X509 CRL-----\n", crl.bytes, crl.size,
						(unsigned char *)pem, size, &size) == 0;
	}
	mbedtls_x509_crt_free(&bad);
	mbedtls_x509_crt_free(&maker.issuer);
	mbedtls_pk_free(&maker.issuer_key);
	mbedtls_ctr_drbg_free(&maker.drbg);
	mbedtls_entropy_free(&maker.entropy);
	return made;
}

bool kit_pin_make(const struct kit_cert *cert, char pin[64])
{
	unsigned char digest[32];
	mbedtls_x509_crt crt;
	size_t size = 0;
	bool made = crt_parse(&crt, cert) &&
		    kolk__sha256(crt.pk_raw.p, crt.pk_raw.len, digest) == 0 &&
		    mbedtls_base64_encode((unsigned char *)pin + 8, 56, &size, digest,
					  sizeof digest) == 0;

	memcpy(pin, "sha256//", 8);
	mbedtls_x509_crt_free(&crt);
	return made;
}

bool kit_file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return written;
}
