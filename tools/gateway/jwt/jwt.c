/* SPDX-License-Identifier: Apache-2.0 */
/* jwt.c - a signed bearer token: its form, its header, its claims (RFC 7515, 7519, 8725). */
#include "tools/gateway/jwt/jwt.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The three parts of "header.payload.signature", as they stand in the token. */
struct parts {
	struct gw_bytes header, payload, signature;
};

static bool split(const struct gw_bytes *token, struct parts *parts)
{
	const uint8_t *end = token->bytes + token->size;
	const uint8_t *first = memchr(token->bytes, '.', token->size), *second;

	if (first == NULL)
		return false;
	second = memchr(first + 1, '.', (size_t)(end - first) - 1);
	if (second == NULL || memchr(second + 1, '.', (size_t)(end - second) - 1) != NULL)
		return false;
	parts->header = (struct gw_bytes){ token->bytes, (size_t)(first - token->bytes) };
	parts->payload = (struct gw_bytes){ first + 1, (size_t)(second - first) - 1 };
	parts->signature = (struct gw_bytes){ second + 1, (size_t)(end - second) - 1 };
	return true;
}

/* A JSON object, no name of which is there twice; NULL = it is none. */
static json_t *object_read(const struct gw_bytes *part)
{
	uint8_t text[GW_TOKEN_MAX];
	long size = gw_base64url((const char *)part->bytes, part->size, text);
	json_t *object;

	if (size <= 0)
		return NULL;
	object = json_loadb((const char *)text, (size_t)size, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(object))
		return object;
	json_decref(object);
	return NULL;
}

/* ---- header */

static bool is_text(const json_t *value, const char *text)
{
	return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* 0 = none of the two: "none", HS256 and all others. */
static enum gw_algorithm algorithm_of(const json_t *header)
{
	const json_t *alg = json_object_get(header, "alg");

	return is_text(alg, "RS256") ? GW_RS256 : is_text(alg, "ES256") ? GW_ES256 : 0;
}

/* Nothing in it must be understood that is not (RFC 7515, section 4.1.11), and it is no token of
 * another kind (RFC 8725, section 3.11). */
static bool header_is_good(const json_t *header)
{
	const json_t *type = json_object_get(header, "typ"), *kid = json_object_get(header, "kid");

	return json_object_get(header, "crit") == NULL && (kid == NULL || json_is_string(kid)) &&
	       (type == NULL || is_text(type, "JWT") || is_text(type, "jwt") ||
		is_text(type, "at+jwt") || is_text(type, "application/at+jwt"));
}

static bool signature_is_good(const struct gw_keys *keys, const struct gw_bytes *token,
			      const struct parts *parts, const json_t *header)
{
	uint8_t bytes[GW_TOKEN_MAX];
	long size = gw_base64url((const char *)parts->signature.bytes, parts->signature.size, bytes);
	const struct gw_bytes both[2] = {
		{ token->bytes, parts->header.size + 1 + parts->payload.size },
		{ bytes, size > 0 ? (size_t)size : 0 }
	};

	return size > 0 &&
	       gw_keys_verify(keys, algorithm_of(header),
			      json_string_value(json_object_get(header, "kid")), both);
}

/* ---- claims */

/* A time: whole seconds or a fraction. False: there is none, or it is no time. */
static bool time_read(const json_t *value, int64_t *seconds)
{
	const double real = json_is_real(value) ? json_real_value(value) : 0;

	if (json_is_integer(value))
		*seconds = json_integer_value(value);
	else if (json_is_real(value) && fabs(real) < 1e15)
		*seconds = (int64_t)floor(real);
	else
		return false;
	return *seconds >= 0 && *seconds < INT64_C(1000000000000);
}

static bool times_are_good(const json_t *claims, int64_t leeway_s, struct gw_jwt *jwt)
{
	const json_t *begins = json_object_get(claims, "nbf");
	int64_t from = 0, until;

	if (!time_read(json_object_get(claims, "exp"), &until) ||
	    (begins != NULL && !time_read(begins, &from)) || jwt->now_s >= until + leeway_s)
		return false;
	jwt->until_s = jwt->now_s + leeway_s < from ? from - leeway_s : until + leeway_s;
	return jwt->now_s + leeway_s >= from;
}

/* "aud" is one text or a list of them. */
static bool audience_is(const json_t *audience, const char *wanted)
{
	const json_t *each;
	bool found = is_text(audience, wanted);
	size_t i;

	json_array_foreach(audience, i, each) {
		if (!json_is_string(each))
			return false;
		found |= is_text(each, wanted);
	}
	return found;
}

static bool claims_are_good(const struct gw_tenants_options *o, const json_t *claims,
			    struct gw_jwt *jwt)
{
	const uint64_t leeway_ns = o->leeway_ns == 0		? 30 * KOLK_S_NS :
				   o->leeway_ns == KOLK_AT_ONCE ? 0 : o->leeway_ns;
	const char *tenant = json_string_value(
		json_object_get(claims, o->claim != NULL ? o->claim : "sub"));

	return times_are_good(claims, (int64_t)(leeway_ns / KOLK_S_NS), jwt) &&
	       (o->issuer == NULL || is_text(json_object_get(claims, "iss"), o->issuer)) &&
	       (o->audience == NULL || audience_is(json_object_get(claims, "aud"), o->audience)) &&
	       tenant != NULL && gw_tenant_set(jwt->tenant, tenant, strlen(tenant));
}

/* ---- all of it: what is not signed is not looked at, beyond its header */

bool gw_jwt_read(const struct gw_keys *keys, const struct gw_tenants_options *options,
		 const struct gw_bytes *token, struct gw_jwt *jwt)
{
	json_t *header = NULL, *claims = NULL;
	struct parts parts;
	bool ok;

	jwt->until_s = 0;
	jwt->no_key = false;
	if (token->size > GW_TOKEN_MAX || !split(token, &parts))
		return false;
	header = object_read(&parts.header);
	ok = header != NULL && algorithm_of(header) != 0 && header_is_good(header);
	if (ok) {
		const char *kid = json_string_value(json_object_get(header, "kid"));

		jwt->no_key = kid != NULL && !gw_keys_has(keys, algorithm_of(header), kid);
		jwt->until_s = INT64_MAX;
		ok = signature_is_good(keys, token, &parts, header);
	}
	if (ok)
		claims = object_read(&parts.payload);
	ok = claims != NULL && claims_are_good(options, claims, jwt);
	json_decref(claims);
	json_decref(header);
	return ok;
}
