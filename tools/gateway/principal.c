/* SPDX-License-Identifier: Apache-2.0 */
/* principal.c - whose a token is, as it says itself: nothing of its signature is looked at. */
#include "tools/gateway/principal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Its claims: a JSON object; NULL = it is no JWT. */
static json_t *claims_of(const struct gw_bytes *token)
{
	const uint8_t *first = memchr(token->bytes, '.', token->size), *second;
	const uint8_t *end = token->bytes + token->size;
	uint8_t text[GW_TOKEN_MAX];
	json_t *claims;
	long size;

	if (first == NULL || token->size > GW_TOKEN_MAX)
		return NULL;
	second = memchr(first + 1, '.', (size_t)(end - first) - 1);
	if (second == NULL)
		return NULL;
	size = gw_base64url((const char *)first + 1, (size_t)(second - first) - 1, text);
	claims = size > 0 ? json_loadb((const char *)text, (size_t)size, JSON_REJECT_DUPLICATES, NULL) :
			    NULL;
	if (json_is_object(claims))
		return claims;
	json_decref(claims);
	return NULL;
}

/* Of a list of one, that one. */
static const json_t *audience_of(const json_t *claims)
{
	const json_t *audience = json_object_get(claims, "aud");

	return json_array_size(audience) == 1 ? json_array_get(audience, 0) : audience;
}

/* Texts of JSON have no zeros here: they can stand between them. */
static bool digest_claims(const json_t *claims, uint8_t digest[32])
{
	const char *issuer = json_string_value(json_object_get(claims, "iss"));
	const char *subject = json_string_value(json_object_get(claims, "sub"));
	const json_t *audience = audience_of(claims);
	char *said = audience != NULL ? json_dumps(audience, JSON_COMPACT | JSON_ENCODE_ANY) :
					strdup("");
	bool ok = issuer != NULL && subject != NULL && said != NULL;
	size_t size = ok ? strlen(issuer) + strlen(subject) + strlen(said) + 5 : 0;
	char *text = ok ? malloc(size) : NULL;

	if (text != NULL) {
		char *at = stpcpy(text, "J") + 1;

		at = stpcpy(stpcpy(at, issuer) + 1, subject) + 1;
		strcpy(at, said);
		ok = gw_sha256(&(struct gw_bytes){ (const uint8_t *)text, size }, digest);
	}
	free(said);
	free(text);
	return ok && text != NULL;
}

bool gw_principal_of(const char *token, struct gw_principal *principal)
{
	const struct gw_bytes bytes = { (const uint8_t *)token, strlen(token) };
	json_t *claims = claims_of(&bytes);

	principal->readable = claims != NULL && digest_claims(claims, principal->digest);
	json_decref(claims);
	return principal->readable || gw_sha256(&bytes, principal->digest);
}

bool gw_principal_is_for(const char *token, const char *audience)
{
	json_t *claims = claims_of(&(struct gw_bytes){ (const uint8_t *)token, strlen(token) });
	const json_t *said = json_object_get(claims, "aud"), *each;
	bool found = json_is_string(said) && strcmp(json_string_value(said), audience) == 0;
	size_t i;

	json_array_foreach(said, i, each)
		found |= json_is_string(each) && strcmp(json_string_value(each), audience) == 0;
	json_decref(claims);
	return found;
}
