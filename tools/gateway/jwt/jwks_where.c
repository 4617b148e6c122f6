/* SPDX-License-Identifier: Apache-2.0 */
/* jwks_where.c - where a key set may be. */
#include <string.h>

#include "tools/gateway/jwt/jwks_url.h"

/* An address of this machine, or its name. */
static bool is_here(const char *host, size_t size)
{
	return (size > 4 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= size) ||
	       (size == 5 && strncmp(host, "[::1]", 5) == 0) ||
	       (size == 9 && strncmp(host, "localhost", 9) == 0);
}

const char *gw_key_url_read(const char *text, struct gw_url *url)
{
	const char *flaw = gw_url_read(text, url), *at = url->authority;
	size_t port;

	if (flaw != NULL || url->tls)
		return flaw;
	port = at[0] == '[' ? strcspn(at, "]") + 1 : strcspn(at, ":");
	return is_here(at, port) ? NULL : "write https://: keys that anybody could change are none";
}
