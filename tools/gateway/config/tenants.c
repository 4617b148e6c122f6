/* SPDX-License-Identifier: Apache-2.0 */
/* tenants.c - what is wrong with tenants, trusted proxies and the access log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/config/file.h"
#include "tools/gateway/jwt/jwks_url.h"
#include "tools/gateway/tenant.h"

/* ---- trusted proxies */

/* "10.0.0.0/8", "::1": NULL, or what to write instead. */
static const char *network_read(const char *text, struct gw_network *network)
{
	const char *slash = strchr(text, '/');
	uint32_t high = strchr(text, ':') != NULL ? 128 : 32;
	size_t size = slash != NULL ? (size_t)(slash - text) : strlen(text);
	char address[64];
	uint32_t bits = high;

	if (size >= sizeof address)
		return "write an address or a network: 10.0.0.0/8";
	snprintf(address, sizeof address, "%.*s", (int)size, text);
	if (!gw_address_read(address, network->address))
		return "write an address or a network: 10.0.0.0/8, ::1";
	if (slash != NULL) {
		const char *digits = slash + 1;

		if (digits[0] == 0 || strlen(digits) > 3 || digits[strspn(digits, "0123456789")] != 0)
			return "the number of bits follows the '/': 10.0.0.0/8";
		bits = (uint32_t)atoi(digits);
	}
	if (bits > high)
		return high == 32 ? "IPv4 has 32 bits" : "IPv6 has 128 bits";
	network->bits = bits + (128 - high);
	for (uint32_t i = network->bits; i < 128; i++)
		if (network->address[i / 8] & 0x80 >> i % 8)
			return "the bits behind the prefix must be zero: 10.0.0.0/8, not 10.1.2.3/8";
	return NULL;
}

static void trusted_check(struct gw_check *c)
{
	const char *const *texts = c->file->trusted_proxies;
	const struct kolk_config_place *list = kolk_config_place(c->file->place, "trusted_proxies");
	struct gw_network *networks;
	uint32_t count = 0;

	while (texts != NULL && texts[count] != NULL)
		count++;
	networks = kolk_config_memory(c->config, c->error, (count + 1) * sizeof *networks);
	for (uint32_t i = 0; networks != NULL && i < count; i++) {
		const char *flaw = network_read(texts[i], &networks[i]);

		if (flaw != NULL)
			gw_wrong(c, kolk_config_place_entry(list, i), flaw,
				 "this is no address of a proxy");
	}
	c->file->config.trusted = networks;
	c->file->config.trusted_count = networks != NULL ? count : 0;
}

/* ---- who asks */

#define FROM(word) (1u << GW_TENANTS_##word)

/* Which keys go with which `from`; required: it needs this one. */
static const struct tenant_key {
	const char *key, *suggestion;
	uint32_t allowed, required;
	size_t offset;
} keys[] = {
#define KEY(member, allowed_, required_, suggestion_)       \
	{ #member, suggestion_, allowed_, required_, offsetof(struct gw_tenants_options, member) }
	KEY(file, FROM(BEARER), FROM(BEARER), "write file: /etc/kolk/tokens"),
	KEY(header, FROM(HEADER), FROM(HEADER), "write header: x-tenant"),
	KEY(issuer, FROM(JWT), FROM(JWT), "write the 'iss' of your tokens, or any"),
	KEY(audience, FROM(JWT), FROM(JWT), "write the 'aud' of your tokens, or any"),
	KEY(keys_file, FROM(JWT), 0, ""),
	KEY(keys_url, FROM(JWT), 0, ""),
	KEY(keys_ca_file, FROM(JWT), 0, ""),
	KEY(claim, FROM(JWT) | FROM(CLIENT_CERTIFICATE), 0, ""),
};

static void keys_check(struct gw_check *c, const struct kolk_config_place *place)
{
	static const char *const froms[] = { "none", "bearer", "header", "client_certificate", "jwt" };
	const struct gw_tenants_options *o = &c->file->config.tenants_options;
	const uint32_t from = 1u << o->from;
	const struct {
		const char *key;
		uint64_t ns;
	} times[] = { { "leeway", o->leeway_ns }, { "keys_refresh", o->keys_refresh_ns },
		      { "keys_max_age", o->keys_max_age_ns } };

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		const char *value;

		memcpy(&value, (const char *)o + keys[i].offset, sizeof value);
		if (value != NULL && !(keys[i].allowed & from))
			gw_wrong(c, kolk_config_place(place, keys[i].key), "leave it out",
				 "'%s' does not go with 'from: %s'", keys[i].key, froms[o->from]);
		if (value == NULL && keys[i].required & from)
			gw_wrong(c, place, keys[i].suggestion, "'%s' is missing here", keys[i].key);
	}
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
		if (times[i].ns != 0 && o->from != GW_TENANTS_JWT)
			gw_wrong(c, kolk_config_place(place, times[i].key), "leave it out",
				 "'%s' does not go with 'from: %s'", times[i].key, froms[o->from]);
}

/* Keys of tokens are in a file or at a URL; what belongs to a URL goes with no file. */
static void key_source_check(struct gw_check *c, const struct kolk_config_place *place)
{
	const struct gw_tenants_options *o = &c->file->config.tenants_options;
	const struct {
		const char *key;
		bool there;
	} of_url[] = { { "keys_ca_file", o->keys_ca_file != NULL },
		       { "keys_refresh", o->keys_refresh_ns != 0 },
		       { "keys_max_age", o->keys_max_age_ns != 0 } };
	struct gw_url url;
	const char *flaw = o->keys_url != NULL ? gw_key_url_read(o->keys_url, &url) : NULL;
	uint64_t refresh_ns = o->keys_refresh_ns != 0 ? o->keys_refresh_ns : GW_KEYS_REFRESH_NS;

	if (o->from != GW_TENANTS_JWT)
		return;
	if (o->keys_file == NULL && o->keys_url == NULL)
		gw_wrong(c, place, "write keys_file: /etc/kolk/jwks.json, or keys_url: https://...",
			 "'keys_file' or 'keys_url' is missing here");
	if (o->keys_file != NULL && o->keys_url != NULL)
		gw_wrong(c, kolk_config_place(place, "keys_url"), "leave out one of the two",
			 "keys come from a file or from a URL");
	if (flaw != NULL)
		gw_wrong(c, kolk_config_place(place, "keys_url"), flaw,
			 "'keys_url' is no URL of keys");
	for (size_t i = 0; i < sizeof of_url / sizeof of_url[0]; i++)
		if (of_url[i].there && o->keys_url == NULL)
			gw_wrong(c, kolk_config_place(place, of_url[i].key), "leave it out",
				 "'%s' does not go without 'keys_url'", of_url[i].key);
	if (flaw == NULL && o->keys_url != NULL && !url.tls && o->keys_ca_file != NULL)
		gw_wrong(c, kolk_config_place(place, "keys_ca_file"), "leave it out",
			 "'keys_ca_file' does not go with http://");
	if (o->keys_max_age_ns != 0 && o->keys_max_age_ns < refresh_ns)
		gw_wrong(c, kolk_config_place(place, "keys_max_age"),
			 "several times keys_refresh, so that a fetch may fail",
			 "'keys_max_age' is shorter than 'keys_refresh'");
}

static void header_check(struct gw_check *c, const struct kolk_config_place *place)
{
	struct gw_tenants_options *o = &c->file->config.tenants_options;
	const struct kolk_config_place *at = kolk_config_place(place, "header");
	uint8_t mark = 0;

	if (o->header == NULL)
		return;
	if (!gw_is_token(o->header))
		gw_wrong(c, at, "as x-tenant", "'header' is no name of a field");
	if (o->from == GW_TENANTS_HEADER && c->file->trusted_proxies == NULL)
		gw_wrong(c, at, "list the proxies in 'trusted_proxies' of 'gateway'",
			 "anyone could set this header");
	o->header = gw_copy_lower(c, o->header, strlen(o->header));
	if (o->header != NULL)
		kolk_http_field_marks(&(struct kolk_http_field){ o->header, "" }, 1, &mark);
	if (mark != 0)
		gw_wrong(c, at, "as x-tenant", "'%s' is never passed on", o->header);
}

static void certificate_check(struct gw_check *c, const struct kolk_config_place *place)
{
	const struct gw_tenants_options *o = &c->file->config.tenants_options;
	bool asked = false;

	if (o->from != GW_TENANTS_CLIENT_CERTIFICATE)
		return;
	for (uint32_t i = 0; i < c->file->config.listener_count; i++)
		asked |= c->file->config.listeners[i].tls.client_auth != KOLK_CLIENT_AUTH_NONE;
	if (!asked)
		gw_wrong(c, kolk_config_place(place, "from"),
			 "write client_auth: required in 'tls' of a listener",
			 "no client is asked for a certificate");
	if (o->claim != NULL && strcmp(o->claim, "cn") != 0 && strcmp(o->claim, "dns") != 0 &&
	    strcmp(o->claim, "uri") != 0)
		gw_wrong(c, kolk_config_place(place, "claim"), "cn, dns or uri",
			 "'claim' is not in a certificate");
}

/* In a file "any" is written out: it is no default. */
static const char *unless_any(const char *text)
{
	return text != NULL && strcmp(text, "any") == 0 ? NULL : text;
}

void gw_tenants_check(struct gw_check *c)
{
	const struct kolk_config_place *place = kolk_config_place(c->file->place, "tenants");
	struct gw_tenants_options *o = &c->file->config.tenants_options;
	const char *log = c->file->config.access_log.path;

	trusted_check(c);
	keys_check(c, place);
	key_source_check(c, place);
	header_check(c, place);
	certificate_check(c, place);
	o->issuer = unless_any(o->issuer);
	o->audience = unless_any(o->audience);
	if (log != NULL && log[0] != '/' && strcmp(log, "-") != 0 && strcmp(log, "off") != 0)
		gw_wrong(c, gw_place(c->file->place, "access_log", "path"),
			 "write /path, - for standard error, or off", "'path' is no whole path");
}

void gw_tenants_load(struct gw_check *c)
{
	const struct gw_tenants_options *o = &c->file->config.tenants_options;
	const struct kolk_config_place *place = kolk_config_place(c->file->place, "tenants");
	const char *key = o->from == GW_TENANTS_BEARER ? "file" :
			  o->keys_url != NULL	       ? "keys_ca_file" : "keys_file";
	struct gw_trouble trouble = { .line = 0 };
	char where[32] = "";

	c->file->config.tenants = gw_tenants_make(o, &trouble);
	if (c->file->config.tenants != NULL)
		return;
	if (trouble.line != 0)
		snprintf(where, sizeof where, ", line %u", trouble.line);
	gw_wrong(c, kolk_config_place(place, key), trouble.suggestion, "'%s'%s: %s", key, where,
		 trouble.what);
}
