/* SPDX-License-Identifier: Apache-2.0 */
/* tenant.h - who asks: the tenant of a request. */
#ifndef KOLK_GATEWAY_TENANT_H
#define KOLK_GATEWAY_TENANT_H

#include <stdio.h>

#include "tools/gateway/config/config.h"

struct gw_key_source; /* jwt/jwks_url.h */

/* With the NUL. */
#define GW_TENANT_SIZE 256

/* Why a file of tokens or keys is not taken. */
struct gw_trouble {
	uint32_t line;           /* of the file; 0 = all of it */
	char what[96];           /* without secrets */
	const char *suggestion;  /* "" = none */
};

/* Open a regular file that not every user of the machine may write: its writers decide who is who.
 * NULL and the trouble; suggestion is what to write where it cannot be read. */
FILE *gw_file_open(const char *path, const char *suggestion, struct gw_trouble *trouble);

/* Whether a file of PEM has certificates to trust, as a client of TLS reads it. False and the trouble. */
bool gw_anchors_read(const char *path, struct gw_trouble *trouble);

/* Read the files that the options name. NULL and the trouble. */
struct gw_tenants *gw_tenants_make(const struct gw_tenants_options *options,
				   struct gw_trouble *trouble);
/* Of options with keys_url: where the keys are. Before the first request; it is not freed with
 * them. */
void gw_tenants_bind(struct gw_tenants *tenants, struct gw_key_source *source);
/* NULL is allowed. */
void gw_tenants_free(struct gw_tenants *tenants);

/* Put a name there; false: it is none that a tenant may have (empty, too long, control bytes). */
bool gw_tenant_set(char tenant[GW_TENANT_SIZE], const char *name, size_t size);

/* Tell who asks, or refuse. Any thread. Returns 0, and tenant is the name ("" = nobody is told
 * apart). Where a token says it: 401 = there is none, or not a good one. Otherwise 403: nothing that
 * the client could be asked for would help. 503: there are no keys for tokens yet, or any more;
 * gw_tenants_retry_ns tells in how long there may be. */
KOLK_MUST_CHECK uint32_t gw_tenant_of(const struct gw_config *config,
				      const struct kolk_http_request_head *head,
				      const struct kolk_stream_peer *peer,
				      char tenant[GW_TENANT_SIZE]);
/* The token of "Bearer TOKEN" (RFC 6750, section 2.1), of a request with one such field; NULL. */
const char *gw_tenant_token(const struct kolk_http_request_head *head);
uint64_t gw_tenants_retry_ns(const struct gw_config *config);

#endif
