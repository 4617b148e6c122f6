/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id.c - the ids of sessions and of suspended calls: where one is, sealed by AES-256-GCM. Use,
 * tenant, principal and route are authenticated with it: an id that another one shows, or on another
 * route, is none.
 *
 *   iv (12, random) | loop (4) slot (4) generation (8), encrypted | tag (16)
 */
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
	if (strlen(text) != 2 * size)
		return false;
	for (size_t i = 0; i < size; i++, text += 2) {
		if (kolk__hex_digit_lower(text[0]) < 0 || kolk__hex_digit_lower(text[1]) < 0)
			return false;
		bytes[i] = (uint8_t)(kolk__hex_digit_lower(text[0]) << 4 | kolk__hex_digit_lower(text[1]));
	}
	return true;
}

bool gw_mcp_id_seal(mbedtls_gcm_context *ids, const struct gw_mcp_place *place,
		    char id[GW_MCP_ID_SIZE])
{
	uint8_t sealed[SEALED], plain[PLAIN], bound[BOUND_MAX];
	const size_t bound_size = bound_to(place, bound);
	bool ok;

	memcpy(plain, &place->loop, 4);
	memcpy(plain + 4, &place->slot, 4);
	memcpy(plain + 8, &place->generation, 8);
	ok = getrandom(sealed, IV, 0) == IV &&
	     mbedtls_gcm_crypt_and_tag(ids, MBEDTLS_GCM_ENCRYPT, PLAIN, sealed, IV, bound, bound_size,
				       plain, sealed + IV, TAG, sealed + IV + PLAIN) == 0;
	if (ok)
		to_hex(sealed, SEALED, id);
	return ok;
}

bool gw_mcp_id_open(mbedtls_gcm_context *ids, const char *id, struct gw_mcp_place *place)
{
	uint8_t sealed[SEALED], plain[PLAIN], bound[BOUND_MAX];
	const size_t bound_size = bound_to(place, bound);

	if (!from_hex(id, sealed, SEALED) ||
	    mbedtls_gcm_auth_decrypt(ids, PLAIN, sealed, IV, bound, bound_size,
				     sealed + IV + PLAIN, TAG, sealed + IV, plain) != 0)
		return false;
	memcpy(&place->loop, plain, 4);
	memcpy(&place->slot, plain + 4, 4);
	memcpy(&place->generation, plain + 8, 8);
	return true;
}
