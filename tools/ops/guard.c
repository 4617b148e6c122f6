/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.c - tokens, and requests that a browser sends for a foreign page.
 *
 * Such a page can make a browser send a request here (CSRF), and can give its own name this
 * server's address (DNS rebinding) so that both look like one origin. A browser tells the
 * truth in Origin, Host and Sec-Fetch-...; programs send no Origin. Over http it may send Host
 * alone. A Unix socket is no shelter: SSH forwards one to 127.0.0.1.
 */
#include "tools/ops/guard.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <mbedtls/base64.h>
#include <mbedtls/md.h>

#include "core/base/ascii.h"

bool kolk__digest(const void *data, size_t size, unsigned char digest[KOLK__DIGEST])
{
	const mbedtls_md_info_t *sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);

	return sha256 != NULL && mbedtls_md(sha256, data, size, digest) == 0;
}

/* Digests are compared, so that neither content nor length of the token shows in the time. */
bool kolk__is_authorized(const struct kolk__admin_server *server,
			 const struct kolk__request *request)
{
	static const char scheme[] = "Bearer ";
	const char *shown = request->authorization;
	unsigned char digest[KOLK__DIGEST];
	unsigned char differs = 0;

	if (!server->has_token)
		return true;
	if (shown == NULL || !kolk__word_begins(shown, scheme))
		return false;
	shown += sizeof scheme - 1;
	if (!kolk__digest(shown, strlen(shown), digest))
		return false;
	for (size_t i = 0; i < sizeof digest; i++)
		differs |= (unsigned char)(digest[i] ^ server->token_digest[i]);
	return differs == 0;
}

/* The name or address in "name:port", "[v6]:port" or without a port. */
static bool host_name(const char *host, char name[256])
{
	const char *from = host, *to, *port;

	if (host[0] == '[') {
		from++;
		to = from + strcspn(from, "]");
		port = to + (*to == ']');
	} else {
		port = to = from + strcspn(from, ":");
	}
	if (*port == ':')
		port += 1 + strspn(port + 1, "0123456789");
	if (*port != 0 || to == from || to - from >= 256 || (host[0] == '[' && *to != ']'))
		return false;
	memcpy(name, from, (size_t)(to - from));
	name[to - from] = 0;
	return true;
}

/* An address, "localhost", or a name that the operator gave: an attacker cannot register these. */
static bool is_own_host(const struct kolk__admin_server *server, const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];
	char name[256];

	if (!host_name(host, name))
		return false;
	if (kolk__word_equal(name, "localhost") || inet_pton(AF_INET, name, address) == 1 ||
	    inet_pton(AF_INET6, name, address) == 1)
		return true;
	for (char **own = server->hosts; own != NULL && *own != NULL; own++)
		if (kolk__word_equal(name, *own))
			return true;
	return false;
}

static bool is_origin_of(const char *origin, const char *host)
{
	if (kolk__word_begins(origin, "http://"))
		origin += 7;
	else if (kolk__word_begins(origin, "https://"))
		origin += 8;
	else
		return false;
	return kolk__word_equal(origin, host);
}

/* Programs on a Unix socket have no name for it, or "kolk". */
static bool is_program(const struct kolk__admin_server *server, const struct kolk__request *request)
{
	return !server->tcp && !request->fetched && request->origin == NULL &&
	       (request->host == NULL || kolk__word_equal(request->host, "kolk"));
}

const char *kolk__cross_origin(const struct kolk__admin_server *server,
			       const struct kolk__request *request)
{
	if (!is_program(server, request) &&
	    (request->host == NULL || !is_own_host(server, request->host)))
		return "the Host header is not this server's";
	if (request->origin != NULL &&
	    (request->host == NULL || !is_origin_of(request->origin, request->host)))
		return "the Origin header is another site's";
	if (request->fetch_site != NULL && strcmp(request->fetch_site, "same-origin") != 0 &&
	    strcmp(request->fetch_site, "none") != 0)
		return "the browser says that another site asked for it";
	return NULL;
}

bool kolk__is_json(const struct kolk__request *request)
{
	static const char json[] = "application/json";
	const char *type = request->content_type, *encoding = request->content_encoding;

	if (type == NULL || !kolk__word_begins(type, json))
		return false;
	type += sizeof json - 1;
	if (encoding != NULL && !kolk__word_equal(encoding, "identity"))
		return false;
	type += strspn(type, " ;");
	return *type == 0 || kolk__word_equal(type, "charset=utf-8");
}

/* ---- the page's policy */

/* 'sha256-...' of what stands between two marks of the page, as a policy wants it. */
static bool source_hash(const char *open, const char *close, char hash[64])
{
	unsigned char digest[KOLK__DIGEST];
	const char *from = strstr(kolk__page, open);
	const char *to = from != NULL ? strstr(from, close) : NULL;
	size_t size;

	if (to == NULL)
		return false;
	from += strlen(open);
	return kolk__digest(from, (size_t)(to - from), digest) &&
	       mbedtls_base64_encode((unsigned char *)hash, 64, &size, digest, sizeof digest) == 0;
}

void kolk__page_policy(char *policy, size_t capacity)
{
	char script[64] = "", style[64] = "";

	(void)source_hash("<script>", "</script>", script);
	(void)source_hash("<style>", "</style>", style);
	(void)snprintf(policy, capacity,
		       "default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; "
		       "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
		       "frame-ancestors 'none'",
		       script, style);
}
