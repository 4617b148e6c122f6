/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_verify.c - which certificates are trusted: checks in addition to those of mbedTLS, which
 * calls this for each certificate of a chain, from the authority down.
 *
 * A name is always checked, here or by mbedTLS: a DNS name by mbedtls_ssl_set_hostname, an IP
 * literal here, since 2.28 cannot match addresses. mbedTLS does not check the extended key usage
 * and the name constraints of authorities (RFC 5280, sections 4.2.1.12 and 4.2.1.10). The
 * constraints are applied to the name that was requested, and not to other names of the
 * certificate: it is trusted for that one alone.
 */
#include <arpa/inet.h>
#include <string.h>

#include <mbedtls/asn1.h>

#include "core/base/ascii.h"
#include "transport/tls_state.h"

enum {
	SEQUENCE = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE,
	/* GeneralName */
	DNS_NAME = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2,
	IP_ADDRESS = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 7,
	/* NameConstraints; the other one is 1 */
	PERMITTED = MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_ASN1_CONSTRUCTED | 0,
};

/* ---- names that are addresses */

/* Its size in bytes; 0 = no address. */
static size_t address_of(const char *name, uint8_t bytes[16])
{
	if (inet_pton(AF_INET, name, bytes) == 1)
		return 4;
	return inet_pton(AF_INET6, name, bytes) == 1 ? 16 : 0;
}

bool kolk__tls_is_address(const char *name)
{
	uint8_t bytes[16];

	return address_of(name, bytes) != 0;
}

/* Does this certificate name the address? iPAddress entries of subjectAltName only (RFC 9110
 * section 4.3.5): never the common name. */
static bool names_address(const mbedtls_x509_crt *certificate, const char *name)
{
	uint8_t bytes[16];
	size_t size = address_of(name, bytes);

	for (const mbedtls_x509_sequence *san = &certificate->subject_alt_names; san != NULL;
	     san = san->next)
		if ((san->buf.tag & (MBEDTLS_ASN1_TAG_CLASS_MASK | MBEDTLS_ASN1_TAG_VALUE_MASK)) ==
			    IP_ADDRESS &&
		    san->buf.len == size && memcmp(san->buf.p, bytes, size) == 0)
			return true;
	return false;
}

/* ---- name constraints of an authority */

struct der {
	unsigned char *at;
	const unsigned char *end;
};

static bool enter(struct der *from, int tag, struct der *inner)
{
	size_t size;

	if (mbedtls_asn1_get_tag(&from->at, from->end, &size, tag) != 0)
		return false;
	inner->at = from->at;
	inner->end = from->at += size;
	return true;
}

static bool is_at(const struct der *der, int tag)
{
	return der->at < der->end && *der->at == tag;
}

/* The value of the extension; mbedTLS has been through all of them. */
static bool constraints_find(const mbedtls_x509_crt *authority, struct der *value)
{
	static const uint8_t id[] = { 0x55, 0x1d, 0x1e }; /* 2.5.29.30 */
	struct der all = { authority->v3_ext.p, authority->v3_ext.p + authority->v3_ext.len };
	struct der list, one, oid, critical;

	if (authority->v3_ext.p == NULL || !enter(&all, SEQUENCE, &list))
		return false;
	while (enter(&list, SEQUENCE, &one)) {
		if (!enter(&one, MBEDTLS_ASN1_OID, &oid) || oid.end - oid.at != sizeof id ||
		    memcmp(oid.at, id, sizeof id) != 0)
			continue;
		if (is_at(&one, MBEDTLS_ASN1_BOOLEAN))
			(void)enter(&one, MBEDTLS_ASN1_BOOLEAN, &critical);
		return enter(&one, MBEDTLS_ASN1_OCTET_STRING, value);
	}
	return false;
}

/* "example.org" is a base of itself and of "a.example.org", ".example.org" of the latter, "" of
 * every name. */
static bool is_below(const char *name, const struct der *base)
{
	size_t size = strlen(name), wanted = (size_t)(base->end - base->at);

	if (wanted > size ||
	    !kolk__word_is((const char *)base->at, wanted, name + size - wanted))
		return false;
	return wanted == 0 || wanted == size || *base->at == '.' || name[size - wanted - 1] == '.';
}

/* An address and a mask of the same size. */
static bool is_in_network(const char *name, const struct der *base)
{
	uint8_t bytes[16];
	size_t size = address_of(name, bytes);

	if ((size_t)(base->end - base->at) != 2 * size)
		return false;
	for (size_t i = 0; i < size; i++)
		if (((bytes[i] ^ base->at[i]) & base->at[size + i]) != 0)
			return false;
	return true;
}

/* GeneralSubtrees: those of another type of name do not restrict this one. */
static bool subtrees_allow(struct der list, const struct kolk__tls_config *config, bool permitted)
{
	int kind = config->by_address ? IP_ADDRESS : DNS_NAME;
	bool any = false, below = false;
	struct der subtree, base;

	while (list.at < list.end) {
		if (!enter(&list, SEQUENCE, &subtree))
			return false;
		if (!enter(&subtree, kind, &base))
			continue;
		any = true;
		below = below || (config->by_address ? is_in_network(config->name, &base) :
						       is_below(config->name, &base));
	}
	return permitted ? below || !any : !below;
}

static bool may_sign_name(const struct kolk__tls_config *config, const mbedtls_x509_crt *authority)
{
	struct der value, lists, list;

	if (!constraints_find(authority, &value))
		return true;
	if (!enter(&value, SEQUENCE, &lists))
		return false;
	while (lists.at < lists.end) {
		int tag = *lists.at;

		if (!enter(&lists, tag, &list) || !subtrees_allow(list, config, tag == PERMITTED))
			return false;
	}
	return true;
}

/* ---- each certificate */

static bool is_pinned(const struct kolk__tls_config *config, const mbedtls_x509_crt *certificate)
{
	uint8_t digest[KOLK__PIN];
	bool found = config->pin_count == 0;

	if (kolk__sha256(certificate->pk_raw.p, certificate->pk_raw.len, digest) != 0)
		return false;
	for (uint32_t i = 0; i < config->pin_count; i++)
		found = found || memcmp(config->pin[i], digest, sizeof digest) == 0;
	return found;
}

static uint32_t usage_flaws(const mbedtls_x509_crt *authority, const char *id, size_t size)
{
	return mbedtls_x509_crt_check_extended_key_usage(authority, id, size) != 0 ?
		       (uint32_t)KOLK__FLAW_AUTHORITY_USAGE : 0;
}

static uint32_t authority_flaws(const struct kolk__tls_config *config,
				const mbedtls_x509_crt *authority)
{
	uint32_t flaws = usage_flaws(authority, MBEDTLS_OID_SERVER_AUTH,
				     MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH));

	if (!may_sign_name(config, authority))
		flaws |= KOLK__FLAW_CONSTRAINTS;
	return flaws;
}

int kolk__tls_verify(void *user, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
	const struct kolk__tls_config *config = user;

	if (!config->verify) /* only the key counts */
		*flags = 0;
	else if (depth > 0)
		*flags |= authority_flaws(config, certificate);
	else if (config->by_address && !names_address(certificate, config->name))
		*flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
	if (depth == 0 && !is_pinned(config, certificate))
		*flags |= KOLK__FLAW_PIN;
	return 0;
}

/* There is no name that the client was asked for, to which an authority's constraints could be
 * applied: such an authority is not trusted for clients. */
int kolk__tls_verify_client(void *user, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
	struct der value;

	(void)user;
	if (depth == 0)
		return 0;
	*flags |= usage_flaws(certificate, MBEDTLS_OID_CLIENT_AUTH,
			      MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH));
	if (constraints_find(certificate, &value))
		*flags |= KOLK__FLAW_CONSTRAINTS;
	return 0;
}
