/* SPDX-License-Identifier: Apache-2.0 */
/* jwks.c - a JSON Web Key Set (RFC 7517, RFC 7518 section 6): RSA and P-256 keys. */
#include <jansson.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>
#include <mbedtls/sha256.h>
#include <mbedtls/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/jwt/jwt.h"

enum {
	RSA_BYTES_MIN = 256,  /* RFC 7518, section 3.3 */
	RSA_BYTES_MAX = 1024, /* what mbedTLS calculates with */
	P256 = 32
};

struct key {
	enum gw_algorithm algorithm;
	char kid[256]; /* "" = none */
	mbedtls_pk_context rsa;
	uint8_t point[1 + 2 * P256]; /* ES256: uncompressed */
};

struct gw_keys {
	struct key keys[GW_KEYS_MAX];
	uint32_t count;
};

/* ---- base64url */

static int digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *found = c != 0 ? strchr(digits, c) : NULL;

	return found != NULL ? (int)(found - digits) : -1;
}

long gw_base64url(const char *text, size_t size, uint8_t *to)
{
	uint32_t bits = 0, count = 0;
	long used = 0;

	for (size_t i = 0; i < size; i++) {
		int d = digit(text[i]);

		if (d < 0)
			return -1;
		bits = bits << 6 | (uint32_t)d;
		count += 6;
		if (count >= 8) {
			count -= 8;
			to[used++] = (uint8_t)(bits >> count);
			bits &= (1u << count) - 1;
		}
	}
	return size % 4 == 1 || bits != 0 ? -1 : used;
}

/* ---- keys */

static bool refuse(struct gw_trouble *trouble, const char *what, const char *suggestion)
{
	snprintf(trouble->what, sizeof trouble->what, "%s", what);
	trouble->suggestion = suggestion;
	return false;
}

static const char *text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

/* A member in base64url; its size, or -1. */
static long member(const json_t *object, const char *name, uint8_t *to, size_t capacity)
{
	const char *text = text_of(object, name);
	size_t size = text != NULL ? strlen(text) : 0;

	return text == NULL || size * 3 / 4 > capacity ? -1 : gw_base64url(text, size, to);
}

static bool rsa_make(struct key *key, const json_t *from)
{
	uint8_t n[RSA_BYTES_MAX], e[8], nothing[RSA_BYTES_MAX] = { 0 }, digest[32] = { 0 };
	long n_size = member(from, "n", n, sizeof n), e_size = member(from, "e", e, sizeof e);
	mbedtls_rsa_context *rsa;

	if (n_size < RSA_BYTES_MIN || n[0] == 0 || e_size < 1 || (e[e_size - 1] & 1) == 0 ||
	    (e_size == 1 && e[0] < 3) ||
	    mbedtls_pk_setup(&key->rsa, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA)) != 0)
		return false;
	rsa = mbedtls_pk_rsa(key->rsa);
	if (mbedtls_rsa_import_raw(rsa, n, (size_t)n_size, NULL, 0, NULL, 0, NULL, 0, e,
				   (size_t)e_size) != 0 ||
	    mbedtls_rsa_complete(rsa) != 0 || mbedtls_rsa_check_pubkey(rsa) != 0)
		return false;
	/* What mbedTLS calculates once for a key is calculated here, before there are threads. */
	nothing[n_size - 1] = 2;
	(void)!mbedtls_pk_verify(&key->rsa, MBEDTLS_MD_SHA256, digest, sizeof digest, nothing,
				 (size_t)n_size);
	key->algorithm = GW_RS256;
	return true;
}

static bool point_read(const struct key *key, mbedtls_ecp_group *group, mbedtls_ecp_point *point)
{
	return mbedtls_ecp_group_load(group, MBEDTLS_ECP_DP_SECP256R1) == 0 &&
	       mbedtls_ecp_point_read_binary(group, point, key->point, sizeof key->point) == 0 &&
	       mbedtls_ecp_check_pubkey(group, point) == 0;
}

static bool ec_make(struct key *key, const json_t *from)
{
	mbedtls_ecp_group group;
	mbedtls_ecp_point point;
	bool ok;

	if (member(from, "x", key->point + 1, P256) != P256 ||
	    member(from, "y", key->point + 1 + P256, P256) != P256)
		return false;
	key->point[0] = 4;
	mbedtls_ecp_group_init(&group);
	mbedtls_ecp_point_init(&point);
	ok = point_read(key, &group, &point);
	mbedtls_ecp_point_free(&point);
	mbedtls_ecp_group_free(&group);
	key->algorithm = GW_ES256;
	return ok;
}

/* "use", "key_ops" and "alg", where they are there, allow it. */
static bool is_for(const json_t *from, const char *algorithm)
{
	const char *use = text_of(from, "use"), *named = text_of(from, "alg");
	const json_t *operations = json_object_get(from, "key_ops"), *operation;
	bool verify = operations == NULL;
	size_t i;

	json_array_foreach(operations, i, operation)
		verify |= json_is_string(operation) &&
			  strcmp(json_string_value(operation), "verify") == 0;
	return verify && (use == NULL || strcmp(use, "sig") == 0) &&
	       (named == NULL || strcmp(named, algorithm) == 0);
}

/* The key of that algorithm and kid, "" = without; NULL as kid: the only one of the algorithm. */
static const struct key *find(const struct gw_keys *keys, enum gw_algorithm algorithm,
			      const char *kid)
{
	const struct key *found = NULL;

	for (uint32_t i = 0; i < keys->count; i++) {
		const struct key *key = &keys->keys[i];

		if (key->algorithm != algorithm || (kid != NULL && strcmp(kid, key->kid) != 0))
			continue;
		if (found != NULL)
			return NULL;
		found = key;
	}
	return found;
}

/* False: the key is broken. One for something else is passed over. */
static bool key_add(struct gw_keys *keys, const json_t *from)
{
	const char *kind = text_of(from, "kty"), *curve = text_of(from, "crv");
	const char *kid = text_of(from, "kid");
	struct key *key = &keys->keys[keys->count];
	const bool rsa = kind != NULL && strcmp(kind, "RSA") == 0 && is_for(from, "RS256");
	const bool ec = kind != NULL && strcmp(kind, "EC") == 0 && curve != NULL &&
			strcmp(curve, "P-256") == 0 && is_for(from, "ES256");

	if (kind == NULL || (kid != NULL && strlen(kid) >= sizeof key->kid) ||
	    (json_object_get(from, "kid") != NULL && kid == NULL))
		return false;
	if (!rsa && !ec)
		return true;
	if (kid != NULL)
		memcpy(key->kid, kid, strlen(kid) + 1);
	keys->count++; /* freed from here on */
	return rsa ? rsa_make(key, from) : ec_make(key, from);
}

/* Whether tokens cannot tell the last key from one before it. */
static bool is_ambiguous(const struct gw_keys *keys)
{
	const struct key *last = keys->count > 0 ? &keys->keys[keys->count - 1] : NULL;

	return last != NULL && find(keys, last->algorithm, last->kid) != last;
}

static bool set_read(struct gw_keys *keys, const json_t *set, struct gw_trouble *trouble)
{
	const json_t *list = json_object_get(set, "keys"), *each;
	size_t i;

	if (!json_is_array(list))
		return refuse(trouble, "it is no JSON Web Key Set", "as {\"keys\": [...]}");
	json_array_foreach(list, i, each) {
		if (keys->count == GW_KEYS_MAX)
			return refuse(trouble, "more than 64 keys", "");
		if (!key_add(keys, each)) {
			snprintf(trouble->what, sizeof trouble->what, "key %zu is no key that "
				 "can be used", i + 1);
			trouble->suggestion = "RSA keys have at least 2048 bits, EC keys are on P-256";
			return false;
		}
		if (is_ambiguous(keys)) {
			snprintf(trouble->what, sizeof trouble->what,
				 "key %zu has the kid of another key of its algorithm", i + 1);
			trouble->suggestion = "each has a kid of its own";
			return false;
		}
	}
	return keys->count > 0 ||
	       refuse(trouble, "no key in it is for RS256 or ES256", "add one");
}

static json_t *json_read(const char *path, struct gw_trouble *trouble)
{
	FILE *file = gw_file_open(path, "write the path of a JSON Web Key Set", trouble);
	json_error_t error;
	json_t *set;

	if (file == NULL)
		return NULL;
	set = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
	fclose(file);
	if (set == NULL) {
		refuse(trouble, "it is not JSON", "as {\"keys\": [...]}");
		trouble->line = error.line > 0 ? (uint32_t)error.line : 0;
	}
	return set;
}

/* The set is freed. */
static struct gw_keys *keys_make(json_t *set, struct gw_trouble *trouble)
{
	struct gw_keys *keys = set != NULL ? calloc(1, sizeof *keys) : NULL;

	if (set != NULL && keys == NULL)
		refuse(trouble, "out of memory", "");
	for (uint32_t i = 0; keys != NULL && i < GW_KEYS_MAX; i++)
		mbedtls_pk_init(&keys->keys[i].rsa);
	if (keys != NULL && !set_read(keys, set, trouble)) {
		gw_keys_free(keys);
		keys = NULL;
	}
	json_decref(set);
	return keys;
}

struct gw_keys *gw_keys_read(const char *path, struct gw_trouble *trouble)
{
	return keys_make(json_read(path, trouble), trouble);
}

struct gw_keys *gw_keys_parse(const struct gw_bytes *text, struct gw_trouble *trouble)
{
	json_t *set = json_loadb((const char *)text->bytes, text->size, JSON_REJECT_DUPLICATES, NULL);

	if (set == NULL)
		refuse(trouble, "it is not JSON", "as {\"keys\": [...]}");
	return keys_make(set, trouble);
}

uint32_t gw_keys_count(const struct gw_keys *keys)
{
	return keys->count;
}

bool gw_keys_has(const struct gw_keys *keys, enum gw_algorithm algorithm, const char *kid)
{
	return find(keys, algorithm, kid) != NULL;
}

void gw_keys_free(struct gw_keys *keys)
{
	for (uint32_t i = 0; keys != NULL && i < GW_KEYS_MAX; i++)
		mbedtls_pk_free(&keys->keys[i].rsa);
	free(keys);
}

/* ---- signatures */

static bool rs256(const struct key *key, const uint8_t digest[32], const struct gw_bytes *signature)
{
	mbedtls_pk_context *pk = (mbedtls_pk_context *)(uintptr_t)&key->rsa; /* it is not changed */

	return signature->size == mbedtls_pk_get_len(pk) &&
	       mbedtls_pk_verify(pk, MBEDTLS_MD_SHA256, digest, 32, signature->bytes,
				 signature->size) == 0;
}

/* Of two numbers of 32 bytes (RFC 7518, section 3.4). The group is this call's own: mbedTLS keeps in it
 * what it calculates. */
static bool es256(const struct key *key, const uint8_t digest[32], const struct gw_bytes *signature)
{
	mbedtls_ecp_group group;
	mbedtls_ecp_point point;
	mbedtls_mpi r, s;
	bool ok;

	if (signature->size != (size_t)2 * P256)
		return false;
	mbedtls_ecp_group_init(&group);
	mbedtls_ecp_point_init(&point);
	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&s);
	ok = point_read(key, &group, &point) &&
	     mbedtls_mpi_read_binary(&r, signature->bytes, P256) == 0 &&
	     mbedtls_mpi_read_binary(&s, signature->bytes + P256, P256) == 0 &&
	     mbedtls_ecdsa_verify(&group, digest, 32, &point, &r, &s) == 0;
	mbedtls_mpi_free(&s);
	mbedtls_mpi_free(&r);
	mbedtls_ecp_point_free(&point);
	mbedtls_ecp_group_free(&group);
	return ok;
}

bool gw_sha256(const struct gw_bytes *of, uint8_t digest[32])
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	return mbedtls_sha256(of->bytes, of->size, digest, 0) == 0;
#else
	return mbedtls_sha256_ret(of->bytes, of->size, digest, 0) == 0;
#endif
}

bool gw_keys_verify(const struct gw_keys *keys, enum gw_algorithm algorithm, const char *kid,
		    const struct gw_bytes parts[2])
{
	const struct key *key = find(keys, algorithm, kid);
	uint8_t digest[32];

	if (key == NULL || !gw_sha256(&parts[0], digest))
		return false;
	return algorithm == GW_RS256 ? rs256(key, digest, &parts[1]) :
				       es256(key, digest, &parts[1]);
}
