/* SPDX-License-Identifier: Apache-2.0 */
/* ask.h - requests that ask a configuration whose they are. */
#ifndef KOLK_TESTS_GATEWAY_ASK_H
#define KOLK_TESTS_GATEWAY_ASK_H

#include "tools/gateway/tenant.h"

/* Of fields up to a NULL name. */
struct request {
	struct kolk_http_field fields[4];
	struct kolk_http_request_head head;
	struct kolk_stream_peer peer;
	char tenant[GW_TENANT_SIZE];
};

uint32_t ask(const struct gw_config *config, struct request *r);
uint32_t ask_bearer(const struct gw_config *config, const char *token,
		    char tenant[GW_TENANT_SIZE]);
/* A file of that text in /tmp; path has 40 bytes. */
void file_put(char *path, const char *text);
/* The tenants of good options. */
struct gw_tenants *must_make(const struct gw_tenants_options *o);

#endif
