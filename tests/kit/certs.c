/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/kit/certs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool make(struct kit_certs *certs, struct kit_cert_files *files,
		 const struct kit_cert_spec *spec, const struct kit_cert_files *issuer)
{
	snprintf(files->pem, sizeof files->pem, "%s/%s.pem", certs->directory, spec->subject);
	snprintf(files->key, sizeof files->key, "%s/%s.key", certs->directory, spec->subject);
	return kit_cert_make(spec, issuer != NULL ? &issuer->cert : NULL, &files->cert) &&
	       kit_file_write(files->pem, files->cert.pem) &&
	       kit_file_write(files->key, files->cert.key);
}

bool kit_certs_open(struct kit_certs *c)
{
	const struct kit_cert_spec authority = { .subject = "authority", .authority = true };
	const struct kit_cert_spec other = { .subject = "other", .authority = true };
	const struct kit_cert_spec first = { .subject = "first", .dns = "first.test" };
	const struct kit_cert_spec second = { .subject = "second", .dns = "second.test" };
	const struct kit_cert_spec wild = { .subject = "wild", .dns = "*.wild.test" };
	const struct kit_cert_spec client = { .subject = "client" };
	const struct kit_cert_spec expired = { .subject = "expired", .to = "20210101000000" };
	const struct kit_cert_spec foreign = { .subject = "foreign" };
	const struct kit_cert_spec revoked = { .subject = "revoked" };
	const struct kit_cert_spec only_servers = { .subject = "only", .only_servers = true };
	char crl[2048];

	strcpy(c->directory, "/tmp/kolk-certs-XXXXXX");
	if (mkdtemp(c->directory) == NULL)
		return false;
	snprintf(c->crl, sizeof c->crl, "%s/crl.pem", c->directory);
	return make(c, &c->authority, &authority, NULL) &&
	       make(c, &c->other_authority, &other, NULL) &&
	       make(c, &c->first, &first, &c->authority) &&
	       make(c, &c->second, &second, &c->authority) &&
	       make(c, &c->wild, &wild, &c->authority) &&
	       make(c, &c->client, &client, &c->authority) &&
	       make(c, &c->expired, &expired, &c->authority) &&
	       make(c, &c->foreign, &foreign, &c->other_authority) &&
	       make(c, &c->revoked, &revoked, &c->authority) &&
	       make(c, &c->only_servers, &only_servers, &c->authority) &&
	       kit_crl_make(&c->authority.cert, &c->revoked.cert, crl, sizeof crl) &&
	       kit_file_write(c->crl, crl);
}

void kit_certs_close(struct kit_certs *c)
{
	const struct kit_cert_files *files[] = { &c->authority, &c->other_authority, &c->first,
						 &c->second, &c->wild, &c->client, &c->expired,
						 &c->foreign, &c->revoked, &c->only_servers };

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		unlink(files[i]->pem);
		unlink(files[i]->key);
	}
	unlink(c->crl);
	rmdir(c->directory);
}
