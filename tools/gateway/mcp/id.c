/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id.c - the ids of sessions and of suspended calls: where one is, sealed by AES-256-GCM. Use,
 * tenant, principal and route are authenticated with it: an id that another one shows, or on another
 * route, is none.
 *
 *   iv (12, random) | loop (4) slot (4) generation (8), encrypted | tag (16)
 *
 * A client shows the id of its session with each request. What was opened is remembered with all that
 * it is bound to, so that the same words of the same client are compared, and not decrypted again.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/base/ascii.h"
#include "tools/gateway/mcp/mcp.h"

enum { IV = 12, PLAIN = 16, TAG = 16, SEALED = IV + PLAIN + TAG, BOUND_MAX = 41 + GW_TENANT_SIZE };

_Static_assert(2 * SEALED + 1 == GW_MCP_ID_SIZE, "in hexadecimal");

/* What is authenticated: the use, the route, the principal, then the tenant. Returns its size. */
static size_t bound_to(const struct gw_mcp_place *place, uint8_t out[BOUND_MAX])
{
	const size_t size = strnlen(place->tenant, GW_TENANT_SIZE);

	out[0] = (uint8_t)place->use;
	memcpy(out + 1, &place->route, 8);
	memcpy(out + 9, place->principal, 32);
	memcpy(out + 41, place->tenant, size);
	return 41 + size;
}

static void to_hex(const uint8_t *bytes, size_t size, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		*text++ = digits[bytes[i] >> 4];
		*text++ = digits[bytes[i] & 15];
	}
	*text = '\0';
}

static bool from_hex(const char *text, uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++, text += 2) {
		if (kolk__hex_digit_lower(text[0]) < 0 || kolk__hex_digit_lower(text[1]) < 0)
			return false;
		bytes[i] = (uint8_t)(kolk__hex_digit_lower(text[0]) << 4 | kolk__hex_digit_lower(text[1]));
	}
	return true;
}

bool gw_mcp_id_seal(struct gw_mcp_ids *ids, const struct gw_mcp_place *place,
		    char id[GW_MCP_ID_SIZE])
{
	uint8_t sealed[SEALED], plain[PLAIN], bound[BOUND_MAX];
	const size_t bound_size = bound_to(place, bound);
	bool ok;

	memcpy(plain, &place->loop, 4);
	memcpy(plain + 4, &place->slot, 4);
	memcpy(plain + 8, &place->generation, 8);
	ok = getrandom(sealed, IV, 0) == IV &&
	     mbedtls_gcm_crypt_and_tag(&ids->gcm, MBEDTLS_GCM_ENCRYPT, PLAIN, sealed, IV, bound, bound_size,
				       plain, sealed + IV, TAG, sealed + IV + PLAIN) == 0;
	if (ok)
		to_hex(sealed, SEALED, id);
	return ok;
}

/* ---- those that were opened */

/* An id in hexadecimal and what it is bound to, both as words. Longer names of tenants than fit are not
 * remembered. An id has a set of places: 64 ids, one place each of 256, would take every fifth from
 * another. */
enum { ID_WORDS = 2 * SEALED / 8, BOUND_WORDS = 13, SET_BITS = 5, SET_PLACES = 8 };
/* At first 256 places, at most 8 192: 1.7 MiB of a loop. */
enum { DOUBLED_MAX = 5 };

/* What is to be opened. */
struct shown {
	const char *id;
	size_t bound_size;
	uint8_t bound[BOUND_MAX];    /* zeros behind it, as far as it is remembered */
};

struct gw_mcp_opened {
	uint64_t id[ID_WORDS], bound[BOUND_WORDS];
	size_t bound_size;           /* 0 = nothing is here */
	uint64_t generation;
	uint32_t loop, slot;
};

/* In a time that does not tell where they differ. */
static bool is_same(const uint64_t *a, const void *bytes, size_t words)
{
	uint64_t different = 0, word;

	for (size_t i = 0; i < words; i++) {
		memcpy(&word, (const char *)bytes + 8 * i, 8);
		different |= a[i] ^ word;
	}
	return different == 0;
}

/* The first digits of the iv, which are random. */
static uint64_t first_digits(const char *id)
{
	uint64_t digits;

	memcpy(&digits, id, sizeof digits);
	return digits;
}

static size_t places(uint32_t doubled)
{
	return (size_t)SET_PLACES << (SET_BITS + doubled);
}

static struct gw_mcp_opened *set_of(const struct gw_mcp_ids *ids, uint64_t digits)
{
	const uint64_t hash = digits * UINT64_C(0x9e3779b97f4a7c15);

	return &ids->opened[(hash >> (64 - SET_BITS - ids->doubled)) * SET_PLACES];
}

/* Where it may be: what these digits are is no secret, without the rest. NULL = nowhere. */
static const struct gw_mcp_opened *find(const struct gw_mcp_ids *ids, uint64_t digits)
{
	const struct gw_mcp_opened *set = ids->opened != NULL ? set_of(ids, digits) : NULL;

	for (int i = 0; set != NULL && i < SET_PLACES; i++)
		if (set[i].id[0] == digits)
			return &set[i];
	return NULL;
}

static bool recall(const struct gw_mcp_ids *ids, const struct shown *shown,
		   struct gw_mcp_place *place)
{
	const struct gw_mcp_opened *opened = find(ids, first_digits(shown->id));

	if (opened == NULL || opened->bound_size != shown->bound_size ||
	    !is_same(opened->id, shown->id, ID_WORDS) ||
	    !is_same(opened->bound, shown->bound, BOUND_WORDS))
		return false;
	place->loop = opened->loop;
	place->slot = opened->slot;
	place->generation = opened->generation;
	return true;
}

static void remember(struct gw_mcp_ids *ids, const struct shown *shown,
		     const struct gw_mcp_place *place)
{
	struct gw_mcp_opened *opened;

	if (place->use != GW_MCP_USE_SESSION || shown->bound_size > sizeof opened->bound)
		return;
	if (ids->opened == NULL)
		ids->opened = calloc(places(ids->doubled), sizeof *ids->opened);
	if (ids->opened == NULL)
		return;
	opened = &set_of(ids, first_digits(shown->id))[ids->next++ % SET_PLACES];
	memcpy(opened->id, shown->id, sizeof opened->id);
	memcpy(opened->bound, shown->bound, sizeof opened->bound);
	opened->bound_size = shown->bound_size;
	opened->loop = place->loop;
	opened->slot = place->slot;
	opened->generation = place->generation;
}

static bool decrypt(struct gw_mcp_ids *ids, const struct shown *shown, struct gw_mcp_place *place)
{
	uint8_t sealed[SEALED], plain[PLAIN];

	if (!from_hex(shown->id, sealed, SEALED) ||
	    mbedtls_gcm_auth_decrypt(&ids->gcm, PLAIN, sealed, IV, shown->bound, shown->bound_size,
				     sealed + IV + PLAIN, TAG, sealed + IV, plain) != 0)
		return false;
	memcpy(&place->loop, plain, 4);
	memcpy(&place->slot, plain + 4, 4);
	memcpy(&place->generation, plain + 8, 8);
	return true;
}

bool gw_mcp_id_open(struct gw_mcp_ids *ids, const char *id, struct gw_mcp_place *place)
{
	struct shown shown;

	if (strlen(id) != 2 * SEALED)
		return false;
	shown.id = id;
	memset(shown.bound, 0, 8 * BOUND_WORDS);
	shown.bound_size = bound_to(place, shown.bound);
	if (recall(ids, &shown, place))
		return true;
	if (!decrypt(ids, &shown, place))
		return false;
	remember(ids, &shown, place);
	return true;
}

/* A place for each session: with twice as many, fewer sets have more ids than places, but an idle
 * session costs 400 bytes more. */
void gw_mcp_ids_fit(struct gw_mcp_ids *ids, uint32_t sessions)
{
	uint32_t doubled = 0;

	while (doubled < DOUBLED_MAX && places(doubled) < sessions)
		doubled++;
	if (doubled == ids->doubled)
		return;
	free(ids->opened);
	ids->opened = NULL;
	ids->doubled = doubled;
}

void gw_mcp_ids_free(struct gw_mcp_ids *ids)
{
	mbedtls_gcm_free(&ids->gcm);
	free(ids->opened);
}
