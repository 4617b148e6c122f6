/* SPDX-License-Identifier: Apache-2.0 */
/* certs.h - the files of a server with several certificates, and of its clients, good and bad. */
#ifndef KOLK_KIT_CERTS_H
#define KOLK_KIT_CERTS_H

#include "tests/kit/cert.h"

enum { KIT_CERTS_PATH = 96 };

struct kit_cert_files {
	struct kit_cert cert;
	char pem[KIT_CERTS_PATH], key[KIT_CERTS_PATH];
};

struct kit_certs {
	char directory[32];
	struct kit_cert_files authority, other_authority;
	struct kit_cert_files first, second, wild; /* first.test, second.test, *.wild.test */
	struct kit_cert_files client, expired, revoked, only_servers; /* of clients */
	struct kit_cert_files foreign;            /* likewise, of other_authority */
	char crl[KIT_CERTS_PATH];                  /* of authority: revoked */
};

bool kit_certs_open(struct kit_certs *certs);
void kit_certs_close(struct kit_certs *certs);

#endif
