/* SPDX-License-Identifier: Apache-2.0 */
/* config_address.c - is this an address, and if it is a URL: what to write instead? */
#include "tools/ops/config_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/ascii.h"

static bool port_is_good(const char *text, int port_min)
{
	size_t size = strlen(text);

	return size > 0 && size <= 5 && strspn(text, "0123456789") == size &&
	       atoi(text) >= port_min && atoi(text) <= 65535;
}

const char *kolk__address_flaw(const char *text, int port_min)
{
	const char *colon = strrchr(text, ':');

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

/* A URL where an address belongs. Nothing of it but host and port is shown: there may be a password. */
static const struct url {
	const char *scheme, *port, *protocol;
	bool tls;
} urls[] = {
	{ "https://", "443", "http", true },	   { "http://", "80", "http", false },
	{ "rediss://", "6379", "redis", true },	   { "redis://", "6379", "redis", false },
	{ "postgresql://", "5432", "postgres", false }, { "postgres://", "5432", "postgres", false },
};

static void url_suggest(const struct url *url, const char *text, char *suggestion, size_t size)
{
	const char *host = text + strlen(url->scheme), *end = host + strcspn(host, "/?#"), *at;
	const char *colon;

	for (at = host; at < end; at++)
		if (*at == '@')
			host = at + 1;
	/* Of "[v6]:port", the colon behind the bracket. */
	at = memchr(host, ']', (size_t)(end - host));
	at = at != NULL ? at : host;
	colon = memchr(at, ':', (size_t)(end - at));
	if (end == host || end - host > 60) {
		snprintf(suggestion, size, "write host:port, and 'protocol: %s'%s", url->protocol,
			 url->tls ? ", and 'tls: {}'" : "");
		return;
	}
	snprintf(suggestion, size, "write %.*s%s%s, and 'protocol: %s'%s", (int)(end - host), host,
		 colon == NULL ? ":" : "", colon == NULL ? url->port : "", url->protocol,
		 url->tls ? " and 'tls: {}'" : "");
}

bool kolk__address_is_url(const char *text, const char *rest, char *suggestion, size_t size)
{
	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
		if (kolk__word_begins(text, urls[i].scheme)) {
			url_suggest(&urls[i], text, suggestion, size);
			return true;
		}
	snprintf(suggestion, size, "nothing stands in front of the host or behind the port");
	return strncmp(rest, "unix:", 5) != 0 && strchr(rest, '/') != NULL;
}
