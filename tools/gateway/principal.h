/* SPDX-License-Identifier: Apache-2.0 */
/*
 * principal.h - whose a bearer token is: issuer, subject and audience of one that can be read (a
 * JWT), so that a refreshed token is of the same principal; of another one the token itself.
 */
#ifndef KOLK_GATEWAY_PRINCIPAL_H
#define KOLK_GATEWAY_PRINCIPAL_H

#include "tools/gateway/jwt/jwt.h"

struct gw_principal {
	uint8_t digest[32]; /* SHA-256; zeros = nobody in particular */
	bool readable;
};

/* Says nothing of whether the token is good. False: no digest could be made. */
bool gw_principal_of(const char *token, struct gw_principal *principal);
/* Whether `aud` of a JWT has this. */
bool gw_principal_is_for(const char *token, const char *audience);

#endif
