/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_scram.c - SCRAM-SHA-256. Names are those of RFC 5802, section 3.
 *
 * Hi is PBKDF2 (RFC 8018), of which the first block is all that is wanted. It is written here on
 * cloned hash states: two compressions per round, where a general HMAC takes four.
 */
#include "transport/drivers/pg_scram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <mbedtls/base64.h>
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>

enum { BLOCK = 64, BLOCK_INDEX = 4, ROUNDS_MIN = 4096, SALT_MAX = 256, MESSAGE_MAX = 2048 };

/* An HMAC key: the states after its inner and outer block. */
struct keyed {
	mbedtls_md_context_t inner, outer, work;
};

static int keyed_init(struct keyed *keyed, const void *secret, size_t size)
{
	const mbedtls_md_info_t *sha = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
	uint8_t block[BLOCK] = { 0 };
	int bad = 0;

	if (size > BLOCK)
		bad |= mbedtls_md(sha, secret, size, block);
	else
		memcpy(block, secret, size);
	mbedtls_md_init(&keyed->inner);
	mbedtls_md_init(&keyed->outer);
	mbedtls_md_init(&keyed->work);
	bad |= mbedtls_md_setup(&keyed->inner, sha, 0);
	bad |= mbedtls_md_setup(&keyed->outer, sha, 0);
	bad |= mbedtls_md_setup(&keyed->work, sha, 0);
	if (bad != 0)
		return bad;
	for (int i = 0; i < BLOCK; i++)
		block[i] ^= 0x36;
	bad |= mbedtls_md_starts(&keyed->inner);
	bad |= mbedtls_md_update(&keyed->inner, block, BLOCK);
	for (int i = 0; i < BLOCK; i++)
		block[i] ^= 0x36 ^ 0x5c;
	bad |= mbedtls_md_starts(&keyed->outer);
	bad |= mbedtls_md_update(&keyed->outer, block, BLOCK);
	mbedtls_platform_zeroize(block, sizeof block);
	return bad;
}

static void keyed_free(struct keyed *keyed)
{
	mbedtls_md_free(&keyed->inner);
	mbedtls_md_free(&keyed->outer);
	mbedtls_md_free(&keyed->work);
}

/* HMAC; hash may be where the data lie. */
static int keyed_hash(struct keyed *keyed, const void *data, size_t size, uint8_t *hash)
{
	int bad = mbedtls_md_clone(&keyed->work, &keyed->inner);

	bad |= mbedtls_md_update(&keyed->work, data, size);
	bad |= mbedtls_md_finish(&keyed->work, hash);
	bad |= mbedtls_md_clone(&keyed->work, &keyed->outer);
	bad |= mbedtls_md_update(&keyed->work, hash, PG_HASH);
	return bad | mbedtls_md_finish(&keyed->work, hash);
}

static int hmac(const uint8_t *key, const void *data, size_t size, uint8_t *hash)
{
	struct keyed keyed;
	int bad = keyed_init(&keyed, key, PG_HASH);

	if (bad == 0)
		bad = keyed_hash(&keyed, data, size, hash);
	keyed_free(&keyed);
	return bad;
}

enum kolk_err pg_scram_begin(struct pg_scram *scram, const char *user, uint32_t rounds_max,
			     const char *nonce)
{
	uint8_t random[18];
	size_t size;

	memset(scram, 0, sizeof *scram);
	scram->user = user;
	scram->rounds_max = rounds_max;
	if (nonce != NULL) {
		snprintf(scram->nonce, sizeof scram->nonce, "%s", nonce);
		return KOLK_OK;
	}
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return KOLK_E_IO;
	return mbedtls_base64_encode((unsigned char *)scram->nonce, sizeof scram->nonce, &size,
				     random, sizeof random) == 0 ?
		       KOLK_OK : KOLK_E_IO;
}

size_t pg_scram_first(const struct pg_scram *scram, char *text, size_t capacity)
{
	int size = snprintf(text, capacity, "n,,n=%s,r=%s", scram->user, scram->nonce);

	return size < 0 || (size_t)size >= capacity ? 0 : (size_t)size + 1;
}

/* ---- server-first-message: "r=" nonce ",s=" salt ",i=" rounds, perhaps extensions after it. */

struct first {
	const char *nonce;
	size_t nonce_size;
	uint8_t salt[SALT_MAX + BLOCK_INDEX];
	size_t salt_size;
	uint32_t rounds;
};

/* The attribute's value and its size, and on to what is behind its comma. */
static const char *attribute(const char **at, char name, size_t *size)
{
	const char *value = *at + 2;

	if ((*at)[0] != name || (*at)[1] != '=')
		return NULL;
	*size = strcspn(value, ",");
	*at = value + *size + (value[*size] == ',');
	return value;
}

static bool parse_rounds(const char *text, size_t size, uint32_t *rounds)
{
	uint32_t value = 0;

	if (size == 0 || size > 8)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint32_t)(text[i] - '0');
	}
	*rounds = value;
	return true;
}

static enum kolk_err parse_first(const struct pg_scram *scram, const char *at,
				 struct first *first)
{
	size_t ours = strlen(scram->nonce), size;
	const char *text;

	first->nonce = attribute(&at, 'r', &first->nonce_size);
	if (first->nonce == NULL)
		return KOLK_E_PROTOCOL;
	if (first->nonce_size <= ours || memcmp(first->nonce, scram->nonce, ours) != 0)
		return KOLK_E_AUTH; /* it answers another client, or adds nothing of its own */
	text = attribute(&at, 's', &size);
	if (text == NULL || size == 0 ||
	    mbedtls_base64_decode(first->salt, SALT_MAX, &first->salt_size,
				  (const unsigned char *)text, size) != 0)
		return KOLK_E_PROTOCOL;
	text = attribute(&at, 'i', &size);
	if (text == NULL || !parse_rounds(text, size, &first->rounds))
		return KOLK_E_PROTOCOL;
	if (first->rounds > scram->rounds_max)
		return KOLK_E_LIMIT;
	return first->rounds < ROUNDS_MIN ? KOLK_E_AUTH : KOLK_OK;
}

/* SaltedPassword := Hi(password, salt, rounds); U1 is the HMAC of the salt and INT(1) behind it. */
static int hi(const struct kolk_credentials *credentials, struct first *first, uint8_t *salted)
{
	struct keyed keyed;
	uint8_t round[PG_HASH];
	int bad = keyed_init(&keyed, credentials->secret, credentials->secret_size);

	memcpy(first->salt + first->salt_size, (const uint8_t[BLOCK_INDEX]){ 0, 0, 0, 1 },
	       BLOCK_INDEX);
	if (bad == 0)
		bad = keyed_hash(&keyed, first->salt, first->salt_size + BLOCK_INDEX, round);
	memcpy(salted, round, PG_HASH);
	for (uint32_t i = 1; i < first->rounds && bad == 0; i++) {
		bad = keyed_hash(&keyed, round, PG_HASH, round);
		for (int j = 0; j < PG_HASH; j++)
			salted[j] ^= round[j];
	}
	keyed_free(&keyed);
	mbedtls_platform_zeroize(round, sizeof round);
	return bad;
}

/* ClientProof, and the signature that the server must send. */
static int prove(struct pg_scram *scram, const uint8_t *salted, const char *auth_message,
		 uint8_t *proof)
{
	const mbedtls_md_info_t *sha = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
	uint8_t client_key[PG_HASH], stored_key[PG_HASH], server_key[PG_HASH];
	size_t size = strlen(auth_message);
	int bad = hmac(salted, "Client Key", 10, client_key);

	bad |= mbedtls_md(sha, client_key, PG_HASH, stored_key);
	bad |= hmac(stored_key, auth_message, size, proof);
	for (int i = 0; i < PG_HASH; i++)
		proof[i] ^= client_key[i];
	bad |= hmac(salted, "Server Key", 10, server_key);
	bad |= hmac(server_key, auth_message, size, scram->server_signature);
	mbedtls_platform_zeroize(client_key, sizeof client_key);
	mbedtls_platform_zeroize(stored_key, sizeof stored_key);
	mbedtls_platform_zeroize(server_key, sizeof server_key);
	return bad;
}

enum kolk_err pg_scram_final(struct pg_scram *scram, const char *server_first,
			     const struct kolk_credentials *credentials,
			     char text[PG_SCRAM_TEXT_MAX])
{
	struct first first = { 0 };
	char message[MESSAGE_MAX]; /* AuthMessage */
	uint8_t salted[PG_HASH], proof[PG_HASH];
	size_t size;
	int bare, length, bad;
	enum kolk_err err = parse_first(scram, server_first, &first);

	if (err != KOLK_OK)
		return err;
	bare = snprintf(text, PG_SCRAM_TEXT_MAX, "c=biws,r=%.*s", (int)first.nonce_size,
			first.nonce);
	length = snprintf(message, sizeof message, "n=%s,r=%s,%s,%s", scram->user, scram->nonce,
			  server_first, text);
	if (bare < 0 || bare + 64 > PG_SCRAM_TEXT_MAX || length < 0 ||
	    (size_t)length >= sizeof message)
		return KOLK_E_PROTOCOL;
	bad = hi(credentials, &first, salted);
	bad |= prove(scram, salted, message, proof);
	mbedtls_platform_zeroize(salted, sizeof salted);
	if (bad != 0)
		return KOLK_E_MEMORY;
	memcpy(text + bare, ",p=", 3);
	if (mbedtls_base64_encode((unsigned char *)text + bare + 3,
				  (size_t)(PG_SCRAM_TEXT_MAX - bare - 3), &size, proof,
				  PG_HASH) != 0)
		return KOLK_E_PROTOCOL;
	scram->answered = true;
	return KOLK_OK;
}

enum kolk_err pg_scram_verify(const struct pg_scram *scram, const char *server_final)
{
	uint8_t signature[PG_HASH + 1];
	size_t size, length;
	const char *text = attribute(&server_final, 'v', &length);
	uint8_t differ = 0;

	if (!scram->answered || text == NULL ||
	    mbedtls_base64_decode(signature, sizeof signature, &size,
				  (const unsigned char *)text, length) != 0 ||
	    size != PG_HASH)
		return KOLK_E_AUTH;
	for (int i = 0; i < PG_HASH; i++)
		differ |= signature[i] ^ scram->server_signature[i];
	return differ == 0 ? KOLK_OK : KOLK_E_AUTH;
}
