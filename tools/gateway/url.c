/* SPDX-License-Identifier: Apache-2.0 */
/* url.c - the parts of a URL (RFC 3986), of which little is allowed. */
#include "tools/gateway/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool port_is_good(const char *text, size_t size)
{
	unsigned long port = strtoul(text, NULL, 10);

	return size >= 1 && size <= 5 && strspn(text, "0123456789") >= size && port >= 1 &&
	       port <= 65535;
}

/* How long the host is; 0 = there is none. */
static size_t host_size(const char *at, size_t size)
{
	const char *bracket = memchr(at, ']', size);
	const size_t name = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789-._");

	if (at[0] != '[')
		return name < size ? name : size;
	return bracket != NULL && bracket > at + 2 ? (size_t)(bracket - at) + 1 : 0;
}

const char *gw_url_read(const char *text, struct gw_url *url)
{
	static const char form[] = "write https://host/path or https://host:port/path";
	const char *at = text + (starts(text, "https://") ? 8 : 7);
	size_t size, host;

	url->tls = starts(text, "https://");
	if (!url->tls && !starts(text, "http://"))
		return form;
	for (const char *c = text; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~' || *c == '#' || *c == '"' || *c == '\\')
			return "write it without blanks, quotes and '#', as in ASCII";
	size = strcspn(at, "/?");
	host = host_size(at, size);
	if (memchr(at, '@', size) != NULL)
		return "a name and a password are not sent: leave them out";
	if (host == 0 || size >= sizeof url->authority - 8 || (size > host && at[host] != ':') ||
	    (size > host && !port_is_good(at + host + 1, size - host - 1)))
		return form;
	if (at[size] == '?')
		return "begin the path with '/'";
	snprintf(url->authority, sizeof url->authority, "%.*s", (int)size, at);
	snprintf(url->address, sizeof url->address, "%.*s%s", (int)size, at,
		 size > host ? "" : url->tls ? ":443" : ":80");
	url->target = at[size] == '/' ? at + size : "/";
	return NULL;
}
