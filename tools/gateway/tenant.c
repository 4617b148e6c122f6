/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tenant.c - who asks: by a bearer token, a proxy's field, a client's certificate, a signed token.
 *
 * A bearer token is found by its SHA-256: digests are sorted by their SHA-256 behind a random number,
 * so how long the search takes says nothing of a digest, and then compared in constant time.
 */
#define _GNU_SOURCE /* strerrordesc_np, explicit_bzero */
#include "tools/gateway/tenant.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/ascii.h"
#include "tools/gateway/jwt/jwks_url.h"

enum { TOKENS_MAX = 1000000 };

/* A line of a bearer file. */
struct token {
	uint8_t order[32];  /* what the lines are sorted by */
	uint8_t digest[32]; /* SHA-256 of the token */
	char *tenant;
};

struct gw_tenants {
	uint8_t salt[32];
	struct token *tokens;
	size_t token_count, token_capacity;
	struct gw_keys *keys;
	struct gw_jwt_cache *cache;
	struct gw_key_source *source; /* instead of both; not its own */
};

bool gw_tenant_set(char tenant[GW_TENANT_SIZE], const char *name, size_t size)
{
	if (size == 0 || size >= GW_TENANT_SIZE)
		return false;
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
			return false;
	memcpy(tenant, name, size);
	tenant[size] = 0;
	return true;
}

/* ---- digests */

static bool sha256(const void *bytes, size_t size, uint8_t digest[32])
{
	return gw_sha256(&(struct gw_bytes){ bytes, size }, digest);
}

static bool order_of(const struct gw_tenants *tenants, const uint8_t digest[32], uint8_t order[32])
{
	uint8_t both[64];

	memcpy(both, tenants->salt, 32);
	memcpy(both + 32, digest, 32);
	return sha256(both, sizeof both, order);
}

static int by_order(const void *a, const void *b)
{
	return memcmp(((const struct token *)a)->order, ((const struct token *)b)->order, 32);
}

static bool is_equal(const uint8_t a[32], const uint8_t b[32])
{
	volatile uint8_t different = 0;

	for (int i = 0; i < 32; i++)
		different |= a[i] ^ b[i];
	return different == 0;
}

/* ---- the file of bearer tokens */

static bool refuse(struct gw_trouble *trouble, const char *what, const char *suggestion)
{
	snprintf(trouble->what, sizeof trouble->what, "%s", what);
	trouble->suggestion = suggestion;
	return false;
}

static bool digest_read(const char *text, uint8_t digest[32])
{
	for (int i = 0; i < 32; i++) {
		int high = kolk__hex_digit(text[2 * i]);
		int low = high >= 0 ? kolk__hex_digit(text[2 * i + 1]) : -1;

		if (low < 0)
			return false;
		digest[i] = (uint8_t)(high << 4 | low);
	}
	return text[64] == 0;
}

static struct token *token_new(struct gw_tenants *tenants)
{
	if (tenants->token_count == tenants->token_capacity) {
		size_t capacity = tenants->token_capacity * 2 + 64;
		struct token *more = capacity > TOKENS_MAX ?
					     NULL : realloc(tenants->tokens, capacity * sizeof *more);

		if (more == NULL)
			return NULL;
		tenants->tokens = more;
		tenants->token_capacity = capacity;
	}
	return &tenants->tokens[tenants->token_count];
}

/* "NAME DIGEST"; the name may have spaces inside. */
static bool line_read(struct gw_tenants *tenants, char *line, struct gw_trouble *trouble)
{
	static const char form[] = "write NAME and the 64 digits of sha256sum";
	struct token *token;
	char name[GW_TENANT_SIZE], *last;

	line[strcspn(line, "\r\n")] = 0;
	line += strspn(line, " \t");
	if (*line == 0 || *line == '#')
		return true;
	for (last = line + strlen(line); last > line && (last[-1] == ' ' || last[-1] == '\t');)
		*--last = 0;
	last = strrchr(line, ' ') > strrchr(line, '\t') ? strrchr(line, ' ') : strrchr(line, '\t');
	if (last == NULL)
		return refuse(trouble, "a name and a digest are expected", form);
	token = token_new(tenants);
	if (token == NULL)
		return refuse(trouble, "too many tokens", "");
	if (!digest_read(last + 1, token->digest))
		return refuse(trouble, "the last word is no SHA-256 in hexadecimal", form);
	while (last > line && (last[-1] == ' ' || last[-1] == '\t'))
		last--;
	if (!gw_tenant_set(name, line, (size_t)(last - line)))
		return refuse(trouble, "a name has 1 to 255 bytes, and no control characters", form);
	token->tenant = strdup(name);
	if (token->tenant == NULL || !order_of(tenants, token->digest, token->order))
		return refuse(trouble, "out of memory", "");
	tenants->token_count++;
	return true;
}

static bool lines_read(struct gw_tenants *tenants, FILE *file, struct gw_trouble *trouble)
{
	char *line = NULL;
	size_t capacity = 0;
	bool ok = true;

	while (ok && getline(&line, &capacity, file) >= 0) {
		trouble->line++;
		ok = line_read(tenants, line, trouble);
	}
	free(line);
	if (!ok)
		return false;
	trouble->line = 0;
	if (tenants->token_count == 0)
		return refuse(trouble, "there is no token in it",
			      "write NAME and the 64 digits of sha256sum");
	qsort(tenants->tokens, tenants->token_count, sizeof *tenants->tokens, by_order);
	for (size_t i = 1; i < tenants->token_count; i++)
		if (by_order(&tenants->tokens[i - 1], &tenants->tokens[i]) == 0)
			return refuse(trouble, "one token is of two lines", "remove one");
	return true;
}

FILE *gw_file_open(const char *path, const char *suggestion, struct gw_trouble *trouble)
{
	/* O_NONBLOCK: a FIFO would wait for a writer before it is seen to be none. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
	struct stat about;
	bool ok = file != NULL && fstat(fileno(file), &about) == 0;

	if (!ok) {
		snprintf(trouble->what, sizeof trouble->what, "cannot be read: %s",
			 strerrordesc_np(errno));
		trouble->suggestion = suggestion;
	} else if (!S_ISREG(about.st_mode)) {
		ok = refuse(trouble, "it is no regular file", "");
	} else if (about.st_mode & S_IWOTH) {
		ok = refuse(trouble, "all users of this machine may write it", "chmod o-w");
	}
	if (ok)
		return file;
	if (file != NULL)
		fclose(file);
	else if (fd >= 0)
		close(fd);
	return NULL;
}

static bool bearer_read(struct gw_tenants *tenants, const char *path, struct gw_trouble *trouble)
{
	FILE *file = gw_file_open(path, "write the path of a file of tokens", trouble);
	bool ok = file != NULL && lines_read(tenants, file, trouble);

	if (file != NULL)
		fclose(file);
	return ok;
}

bool gw_anchors_read(const char *path, struct gw_trouble *trouble)
{
	FILE *file = gw_file_open(path, "write the path of a PEM file", trouble);
	mbedtls_x509_crt anchors;
	bool ok;

	if (file == NULL)
		return false;
	fclose(file);
	mbedtls_x509_crt_init(&anchors);
	ok = mbedtls_x509_crt_parse_file(&anchors, path) >= 0; /* some: those that are understood */
	mbedtls_x509_crt_free(&anchors);
	return ok || refuse(trouble, "it has no certificate", "PEM");
}

/* ---- made and freed */

void gw_tenants_bind(struct gw_tenants *tenants, struct gw_key_source *source)
{
	tenants->source = source;
}

struct gw_tenants *gw_tenants_make(const struct gw_tenants_options *o, struct gw_trouble *trouble)
{
	struct gw_tenants *tenants = calloc(1, sizeof *tenants);
	bool ok = tenants != NULL && getrandom(tenants->salt, sizeof tenants->salt, 0) ==
					     (ssize_t)sizeof tenants->salt;

	*trouble = (struct gw_trouble){ .suggestion = "" };
	if (!ok)
		refuse(trouble, "out of memory", "");
	else if (o->from == GW_TENANTS_BEARER)
		ok = bearer_read(tenants, o->file, trouble);
	else if (o->from == GW_TENANTS_JWT && o->keys_url != NULL)
		ok = o->keys_ca_file == NULL || gw_anchors_read(o->keys_ca_file, trouble);
	else if (o->from == GW_TENANTS_JWT) {
		tenants->keys = gw_keys_read(o->keys_file, trouble);
		ok = tenants->keys != NULL;
		if (ok)
			tenants->cache = gw_jwt_cache_make(); /* NULL = slower */
	}
	if (ok)
		return tenants;
	gw_tenants_free(tenants);
	return NULL;
}

void gw_tenants_free(struct gw_tenants *tenants)
{
	if (tenants == NULL)
		return;
	for (size_t i = 0; i < tenants->token_count; i++)
		free(tenants->tokens[i].tenant);
	free(tenants->tokens);
	gw_keys_free(tenants->keys);
	gw_jwt_cache_free(tenants->cache);
	free(tenants);
}

/* ---- what a request says */

/* The value of a field that is there once; NULL. */
static const char *field_once(const struct kolk_http_request_head *head, const char *name)
{
	const char *found = NULL;

	for (uint32_t i = 0; i < head->field_count; i++) {
		if (strcmp(head->fields[i].name, name) != 0)
			continue;
		if (found != NULL)
			return NULL;
		found = head->fields[i].value;
	}
	return found;
}

const char *gw_tenant_token(const struct kolk_http_request_head *head)
{
	static const char scheme[] = "bearer ";
	const char *value = field_once(head, "authorization");

	for (size_t i = 0; value != NULL && i < sizeof scheme - 1; i++)
		if ((value[i] | (scheme[i] != ' ' ? 0x20 : 0)) != scheme[i])
			return NULL;
	return value != NULL ? value + sizeof scheme - 1 + strspn(value + sizeof scheme - 1, " ") :
			       NULL;
}

static bool by_bearer(const struct gw_tenants *tenants, const char *text,
		      char tenant[GW_TENANT_SIZE])
{
	size_t size = strlen(text), low = 0, high = tenants->token_count;
	uint8_t digest[32], order[32];

	if (size == 0 || size > GW_TOKEN_MAX || !sha256(text, size, digest) ||
	    !order_of(tenants, digest, order))
		return false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct token *token = &tenants->tokens[middle];
		int difference = memcmp(token->order, order, 32);

		if (difference == 0)
			return is_equal(token->digest, digest) &&
			       gw_tenant_set(tenant, token->tenant, strlen(token->tenant));
		if (difference < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* What keys know of a token. */
static bool jwt_look(const struct gw_key_set *set, const struct gw_tenants_options *options,
		     const struct gw_bytes *token, struct gw_jwt *jwt)
{
	enum gw_jwt_known known;
	uint8_t digest[32];

	if (token->size == 0 || token->size > GW_TOKEN_MAX || !gw_sha256(token, digest))
		return false;
	known = gw_jwt_cache_find(set->cache, digest, jwt);
	if (known == GW_JWT_UNKNOWN && gw_jwt_read(set->keys, options, token, jwt)) {
		gw_jwt_cache_keep(set->cache, digest, jwt);
		known = GW_JWT_GOOD;
	} else if (known == GW_JWT_UNKNOWN && jwt->until_s != 0 && !jwt->no_key) {
		gw_jwt_cache_refuse(set->cache, digest, jwt);
	}
	return known == GW_JWT_GOOD;
}

static uint32_t by_jwt(const struct gw_config *config, const char *text,
		       char tenant[GW_TENANT_SIZE])
{
	const struct gw_tenants *tenants = config->tenants;
	const struct gw_bytes token = { (const uint8_t *)text, strlen(text) };
	struct gw_key_set of_file = { .keys = tenants->keys, .cache = tenants->cache };
	struct gw_key_set *set = tenants->source == NULL ?
					 &of_file : gw_key_source_use(tenants->source);
	struct gw_jwt jwt = { .now_s = (int64_t)time(NULL) };
	bool good;

	if (set == NULL)
		return 503;
	good = jwt_look(set, &config->tenants_options, &token, &jwt);
	if (tenants->source != NULL && jwt.no_key)
		gw_key_source_want(tenants->source);
	if (tenants->source != NULL)
		gw_key_source_leave(tenants->source, set);
	if (good)
		memcpy(tenant, jwt.tenant, sizeof jwt.tenant);
	return good ? 0 : 401;
}

/* ---- certificates */

/* The last common name of the subject, which is the most specific one. */
static bool common_name(const mbedtls_x509_crt *certificate, char tenant[GW_TENANT_SIZE])
{
	const mbedtls_x509_name *found = NULL;

	for (const mbedtls_x509_name *n = &certificate->subject; n != NULL; n = n->next)
		if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &n->oid) == 0)
			found = n;
	return found != NULL &&
	       (found->val.tag == MBEDTLS_ASN1_UTF8_STRING ||
		found->val.tag == MBEDTLS_ASN1_PRINTABLE_STRING ||
		found->val.tag == MBEDTLS_ASN1_IA5_STRING) &&
	       gw_tenant_set(tenant, (const char *)found->val.p, found->val.len);
}

/* The first name of a kind in its subjectAltName (RFC 5280, section 4.2.1.6): 2 = DNS, 6 = URI. */
static bool alternative_name(const mbedtls_x509_crt *certificate, unsigned kind,
			     char tenant[GW_TENANT_SIZE])
{
	for (const mbedtls_x509_sequence *n = &certificate->subject_alt_names; n != NULL; n = n->next)
		if (n->buf.p != NULL && ((unsigned)n->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) == kind)
			return gw_tenant_set(tenant, (const char *)n->buf.p, n->buf.len);
	return false;
}

static bool by_certificate(const char *claim, const struct kolk_stream_peer *peer,
			   char tenant[GW_TENANT_SIZE])
{
	mbedtls_x509_crt certificate;
	bool ok;

	if (peer->certificate == NULL)
		return false;
	mbedtls_x509_crt_init(&certificate);
	ok = mbedtls_x509_crt_parse_der(&certificate, peer->certificate,
					peer->certificate_size) == 0 &&
	     (claim == NULL || strcmp(claim, "cn") == 0 ? common_name(&certificate, tenant) :
	      strcmp(claim, "dns") == 0 ? alternative_name(&certificate, 2, tenant) :
					  alternative_name(&certificate, 6, tenant));
	mbedtls_x509_crt_free(&certificate);
	return ok;
}

uint32_t gw_tenant_of(const struct gw_config *config, const struct kolk_http_request_head *head,
		      const struct kolk_stream_peer *peer, char tenant[GW_TENANT_SIZE])
{
	const struct gw_tenants_options *o = &config->tenants_options;
	const bool by_token = o->from == GW_TENANTS_BEARER || o->from == GW_TENANTS_JWT;
	const char *text = o->from == GW_TENANTS_HEADER ? field_once(head, o->header) :
			   by_token			? gw_tenant_token(head) : NULL;
	bool ok;

	tenant[0] = 0;
	switch (o->from) {
	case GW_TENANTS_NONE:
		return 0;
	case GW_TENANTS_BEARER:
		ok = text != NULL && by_bearer(config->tenants, text, tenant);
		break;
	case GW_TENANTS_HEADER:
		ok = text != NULL && gw_config_trusts(config, peer) &&
		     gw_tenant_set(tenant, text, strlen(text));
		break;
	case GW_TENANTS_CLIENT_CERTIFICATE:
		ok = by_certificate(o->claim, peer, tenant);
		break;
	default:
		return text != NULL ? by_jwt(config, text, tenant) : 401;
	}
	return ok ? 0 : by_token ? 401 : 403;
}

uint64_t gw_tenants_retry_ns(const struct gw_config *config)
{
	return gw_key_source_retry_ns(config->tenants->source);
}
