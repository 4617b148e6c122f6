/* SPDX-License-Identifier: Apache-2.0 */
/* config_address.c - is this an address? */
#include "tools/ops/config_check.h"

#include <stdlib.h>
#include <string.h>

static bool port_is_good(const char *text, int port_min)
{
	size_t size = strlen(text);

	return size > 0 && size <= 5 && strspn(text, "0123456789") == size &&
	       atoi(text) >= port_min && atoi(text) <= 65535;
}

const char *kolk__address_flaw(const char *text, int port_min)
{
	const char *colon = strrchr(text, ':');

	if (text[0] == '/')
		return "a Unix socket is written unix:/path";
	if (strncmp(text, "unix:", 5) == 0)
		return text[5] != '/'		? "a Unix socket is written unix:/path" :
		       strlen(text + 5) > 107 ? "a Unix socket's path has at most 107 bytes" :
						NULL;
	if (colon == NULL || colon == text)
		return "an address is written host:port";
	if (!port_is_good(colon + 1, port_min))
		return "the port is a number up to 65535";
	if (text[0] == '[')
		return colon[-1] == ']' ? NULL : "write [v6 address]:port";
	return memchr(text, ':', (size_t)(colon - text)) == NULL ? NULL :
								   "write [v6 address]:port";
}
