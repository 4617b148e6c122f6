/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.c - what the event `endpoint` of HTTP+SSE says: a reference (RFC 3986), which may lead
 * nowhere but to the server that said it. */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/ascii.h"
#include "transport/drivers/mcp/inside.h"

enum { ENDPOINT_MAX = 4096 };

static bool is_plain(struct mcp_text text)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] <= ' ' || text.data[i] >= 0x7f || text.data[i] == '#' ||
		    text.data[i] == '\\')
			return false;
	return text.size > 0 && text.size <= ENDPOINT_MAX;
}

static bool begins(struct mcp_text text, const char *word)
{
	for (; *word != '\0'; word++, text.data++, text.size--)
		if (text.size == 0 || kolk__lower(text.data[0]) != *word)
			return false;
	return true;
}

static struct mcp_text behind(struct mcp_text text, size_t size)
{
	return (struct mcp_text){ text.data + size, text.size - size };
}

/* Bytes in front of the first of these. */
static size_t span_to(struct mcp_text text, const char *ends)
{
	size_t size = 0;

	while (size < text.size && strchr(ends, text.data[size]) == NULL)
		size++;
	return size;
}

/* Whether "host" or "host:port" is where the pool's connections lead. */
static bool is_same_host(const struct kolk_pool_info *info, struct mcp_text authority)
{
	size_t host = span_to(authority, "]");
	char asked[sizeof info->address + 8];

	host = host < authority.size ? host : 0; /* behind an IPv6 address */
	if (authority.size == 0 || authority.size >= sizeof info->address)
		return false;
	(void)snprintf(asked, sizeof asked, "%.*s%s", (int)authority.size, authority.data,
		       span_to(behind(authority, host), ":") < authority.size - host ? "" :
		       info->tls != 0 ? ":443" : ":80");
	return kolk__word_equal(asked, info->address);
}

/* An absolute reference, or one that begins with a host: what follows the host, if that is this
 * server's. False: it is not. */
static bool strip_origin(const struct kolk_mcp *mcp, struct mcp_text *text)
{
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);
	struct mcp_text authority;

	if (kolk_pool_inspect(mcp->connections, &info) != KOLK_OK)
		return false;
	if (text->data[0] != '/') {
		const char *scheme = info.tls != 0 ? "https:" : "http:";

		if (!begins(*text, scheme))
			return false;
		*text = behind(*text, strlen(scheme));
	}
	if (!begins(*text, "//"))
		return false;
	*text = behind(*text, 2);
	authority = (struct mcp_text){ text->data, span_to(*text, "/?") };
	*text = behind(*text, authority.size);
	return is_same_host(&info, authority);
}

static char *join(struct mcp_text first, struct mcp_text second)
{
	char *target = malloc(first.size + second.size + 1);

	if (target == NULL)
		return NULL;
	memcpy(target, first.data, first.size);
	memcpy(target + first.size, second.data, second.size);
	target[first.size + second.size] = '\0';
	return target;
}

enum kolk_err kolk__mcp_endpoint(const struct kolk_mcp *mcp, struct mcp_text text, char **target)
{
	struct mcp_text base = mcp_text_of(mcp->options.path);
	size_t word = span_to(text, ":/?");
	bool absolute = word < text.size && text.data[word] == ':';

	if (!is_plain(text))
		return KOLK_E_PROTOCOL;
	base.size = span_to(base, "?");
	if (absolute || begins(text, "//")) {
		if (!strip_origin(mcp, &text))
			return KOLK_E_PROTOCOL;
		base = mcp_text_of(begins(text, "/") ? "" : "/");
	} else if (text.data[0] == '/') {
		base.size = 0;
	} else if (text.data[0] != '?') {
		while (base.data[base.size - 1] != '/')
			base.size--;
	}
	*target = join(base, text);
	return *target != NULL ? KOLK_OK : KOLK_E_MEMORY;
}
