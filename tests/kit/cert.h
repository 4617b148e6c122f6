/* SPDX-License-Identifier: Apache-2.0 */
/* cert.h - certificates for tests and the demonstration, made on the spot. */
#ifndef KOLK_KIT_CERT_H
#define KOLK_KIT_CERT_H

#include <stdbool.h>
#include <stddef.h>

struct kit_cert {
	char pem[2048]; /* the certificate */
	char key[512];  /* its private key, P-256 */
};

struct kit_cert_spec {
	const char *subject;  /* common name */
	const char *dns;      /* subject alternative name; NULL = none */
	const char *ip;       /* likewise, dotted IPv4; NULL = none */
	const char *from, *to; /* YYYYMMDDhhmmss; NULL = 2020 to 2049 */
	bool authority;       /* may sign others */
	bool only_servers;    /* extended key usage: serverAuth */
};

/* issuer NULL = self-signed. False when mbedTLS refuses. */
bool kit_cert_make(const struct kit_cert_spec *spec, const struct kit_cert *issuer,
		   struct kit_cert *cert);
/* A list of revoked certificates that names one, signed by the authority, PEM. */
bool kit_crl_make(const struct kit_cert *authority, const struct kit_cert *revoked, char *pem,
		  size_t size);
/* The pin of a certificate's key: "sha256//BASE64". */
bool kit_pin_make(const struct kit_cert *cert, char pin[64]);
/* Write text to a file, readable by the owner only. */
bool kit_file_write(const char *path, const char *text);

#endif
