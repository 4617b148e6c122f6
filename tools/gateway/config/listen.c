/* SPDX-License-Identifier: Apache-2.0 */
/* listen.c - what is wrong with listeners: addresses, sockets, files of TLS. */
#include <arpa/inet.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crl.h>
#include <mbedtls/x509_crt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/gateway/config/file.h"

/* ---- addresses */

static bool port_is_good(const char *text)
{
	return text[0] != 0 && strlen(text) <= 5 && text[strspn(text, "0123456789")] == 0 &&
	       atoi(text) <= 65535;
}

/* "ip:port", "[v6]:port", "unix:/path", "unix:@name"; NULL, or what to write instead. */
static const char *address_flaw(const char *text)
{
	const char *colon = strrchr(text, ':');
	char host[64];
	uint8_t bytes[16];
	bool six = text[0] == '[';
	size_t size;

	if (text[0] == '/')
		return "a Unix socket is written unix:/path or unix:@name";
	if (strncmp(text, "unix:", 5) == 0)
		return (text[5] != '/' && text[5] != '@') || text[6] == 0 ?
			       "a Unix socket is written unix:/path or unix:@name" :
		       strlen(text + 5) > 107 ? "a Unix socket's path has at most 107 bytes" : NULL;
	if (strstr(text, "://") != NULL)
		return "an address is no URL: write 0.0.0.0:8080, and 'tls' for https";
	if (colon == NULL)
		return "write the address and a port: 0.0.0.0:8080";
	if (!port_is_good(colon + 1))
		return "the port is a number up to 65535";
	size = (size_t)(colon - text);
	if (size >= sizeof host || (six && (size < 2 || colon[-1] != ']')))
		return "write [v6 address]:port";
	snprintf(host, sizeof host, "%.*s", (int)size - (six ? 2 : 0), text + (six ? 1 : 0));
	if (inet_pton(six ? AF_INET6 : AF_INET, host, bytes) == 1)
		return NULL;
	return !six && inet_pton(AF_INET6, host, bytes) == 1 ? "write [v6 address]:port" :
	       host[0] == 0 || strcmp(host, "*") == 0 ? "for all addresses write 0.0.0.0:port or "
							"[::]:port" :
	       strcmp(host, "localhost") == 0 ? "write 127.0.0.1:port or [::1]:port" :
						"write an IP address, not a name";
}

const char *gw_address_without_scheme(const char *address, bool *tls)
{
	*tls = strncmp(address, "tls://", 6) == 0;
	return *tls || strncmp(address, "tcp://", 6) == 0 ? address + 6 : address;
}

static bool is_unix(const struct gw_listener *l)
{
	bool tls;

	return l->options.address != NULL &&
	       strncmp(gw_address_without_scheme(l->options.address, &tls), "unix:", 5) == 0;
}

static void mode_check(struct gw_check *c, struct gw_listener *l)
{
	const struct kolk_config_place *at = kolk_config_place(l->place, "unix_mode");

	if (l->unix_mode == NULL)
		return;
	if (l->unix_mode[strspn(l->unix_mode, "01234567")] != 0 ||
	    strtoul(l->unix_mode, NULL, 8) > 0777 || strtoul(l->unix_mode, NULL, 8) == 0)
		gw_wrong(c, at, "write it as 0660", "'unix_mode' is an octal number up to 0777");
	l->options.unix_mode = (uint32_t)strtoul(l->unix_mode, NULL, 8);
	if (!is_unix(l))
		gw_wrong(c, at, "leave it out", "'unix_mode' is of an address unix:/path");
}

static void address_check(struct gw_check *c, struct gw_listener *l)
{
	const struct kolk_config_place *at = kolk_config_place(l->place, "address");
	const struct kolk_config_place *tls_at = kolk_config_place(l->place, "tls");
	const char *flaw;
	bool tls = false;

	if (l->options.address == NULL && l->socket_name == NULL)
		gw_wrong(c, l->place, "write address: \"0.0.0.0:8080\"", "'address' is missing here");
	if (l->options.address != NULL) {
		flaw = address_flaw(gw_address_without_scheme(l->options.address, &tls));
		if (flaw != NULL)
			gw_wrong(c, at, flaw, "'address' cannot be listened on");
	}
	if (tls && l->options.tls == NULL)
		gw_wrong(c, at, "write tls: {certificate_file: ..., key_file: ...}",
			 "tls:// needs the section 'tls'");
	if (l->options.tls != NULL && l->options.address != NULL &&
	    strncmp(l->options.address, "tcp://", 6) == 0)
		gw_wrong(c, tls_at, "leave one of them out",
			 "'tls' contradicts the tcp:// of the address");
	if (l->options.unix_owner != NULL && !is_unix(l))
		gw_wrong(c, kolk_config_place(l->place, "unix_owner"), "leave it out",
			 "'unix_owner' is of an address unix:/path");
	mode_check(c, l);
}

/* No two listen on one address, or are given one socket. */
static void twins_check(struct gw_check *c)
{
	const struct gw_listener *all = c->file->config.listeners;

	for (uint32_t i = 1; i < c->file->config.listener_count; i++)
		for (uint32_t j = 0; j < i; j++) {
			const char *a = all[i].options.address, *b = all[j].options.address;
			const char *s = all[i].socket_name, *t = all[j].socket_name;
			size_t size = a != NULL ? strlen(a) : 0;

			/* Port 0 is another one each time. */
			if (a != NULL && b != NULL && strcmp(a, b) == 0 &&
			    (size < 2 || strcmp(a + size - 2, ":0") != 0))
				gw_wrong(c, kolk_config_place(all[i].place, "address"), "",
					 "two listeners have this address");
			if (s != NULL && t != NULL && strcmp(s, t) == 0)
				gw_wrong(c, kolk_config_place(all[i].place, "socket"), "",
					 "two listeners have this socket");
		}
}

/* ---- TLS */

/* "h2" is spoken by a server that may, and "http/1.1". */
static void alpn_check(struct gw_check *c, struct gw_listener *l)
{
	static const char *const both[] = { "h2", "http/1.1", NULL }, *const one[] = { "http/1.1",
										     NULL };
	const bool only_1 = c->file->config.server.protocols == KOLK_HTTP_1_ONLY;
	const struct kolk_config_place *list = gw_place(l->place, "tls", "alpn");
	uint32_t i = 0;

	if (l->tls.alpn == NULL)
		l->tls.alpn = only_1 ? one : both;
	for (const char *const *name = l->tls.alpn; *name != NULL; name++, i++) {
		const struct kolk_config_place *at = kolk_config_place_entry(list, i);

		if (strcmp(*name, "h2") != 0 && strcmp(*name, "http/1.1") != 0)
			gw_wrong(c, at, "h2 or http/1.1", "'alpn' is what the gateway speaks");
		else if (only_1 && strcmp(*name, "h2") == 0)
			gw_wrong(c, at, "leave it out", "'version' of 'server' is 1.1 only");
	}
}

static void tls_check(struct gw_check *c, struct gw_listener *l)
{
	const bool authorities = l->tls.ca_file != NULL || l->tls.ca_directory != NULL;
	const struct kolk_config_place *auth = gw_place(l->place, "tls", "client_auth");

	l->tls.size = sizeof l->tls;
	l->options.size = sizeof l->options;
	if (kolk_config_place(l->place, "tls") == l->place || l->certificate.certificate_file == NULL)
		return;
	l->options.tls = &l->tls;
	l->tls.certificates = &l->certificate;
	l->tls.certificate_count = 1;
	if (l->tls.client_auth != KOLK_CLIENT_AUTH_NONE && !authorities)
		gw_wrong(c, auth, "set 'ca_file'", "'client_auth' needs to know who signs "
						   "certificates of clients");
	if (l->tls.client_auth == KOLK_CLIENT_AUTH_NONE && (authorities || l->tls.crl_file != NULL))
		gw_wrong(c, gw_place(l->place, "tls",
				     l->tls.ca_file != NULL	 ? "ca_file" :
				     l->tls.ca_directory != NULL ? "ca_directory" : "crl_file"),
			 "write client_auth: required, or optional",
			 "no client is asked for a certificate");
	alpn_check(c, l);
}

void gw_listeners_check(struct gw_check *c)
{
	for (uint32_t i = 0; i < c->file->config.listener_count; i++) {
		struct gw_listener *l = &c->file->config.listeners[i];

		tls_check(c, l);
		address_check(c, l);
	}
	if (c->file->config.listener_count == 0)
		gw_wrong(c, kolk_config_place(c->file->place, "listen"),
			 "write listen: [{address: \"0.0.0.0:8080\"}]", "there is nothing to listen on");
	twins_check(c);
}

/* ---- the files of TLS, as the library will read them */

/* What has been read of a listener's. */
struct files {
	mbedtls_x509_crt certificate, authorities;
	mbedtls_x509_crl revoked;
	mbedtls_pk_context key;
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context drbg;
};

static void files_begin(struct files *f)
{
	mbedtls_x509_crt_init(&f->certificate);
	mbedtls_x509_crt_init(&f->authorities);
	mbedtls_x509_crl_init(&f->revoked);
	mbedtls_pk_init(&f->key);
	mbedtls_entropy_init(&f->entropy);
	mbedtls_ctr_drbg_init(&f->drbg);
	(void)!mbedtls_ctr_drbg_seed(&f->drbg, mbedtls_entropy_func, &f->entropy, NULL, 0);
}

static void files_end(struct files *f)
{
	mbedtls_ctr_drbg_free(&f->drbg);
	mbedtls_entropy_free(&f->entropy);
	mbedtls_pk_free(&f->key);
	mbedtls_x509_crl_free(&f->revoked);
	mbedtls_x509_crt_free(&f->authorities);
	mbedtls_x509_crt_free(&f->certificate);
}

/* One file that was read with this result: 0 = it is good. */
static bool file_check(struct gw_check *c, const struct gw_listener *l, const char *key,
		       const char *path)
{
	const bool directory = strcmp(key, "ca_directory") == 0;
	const char *flaw;
	struct stat about;

	if (path == NULL)
		return true;
	flaw = kolk_config_path_flaw(path, directory ? KOLK_PATH_ENTER : KOLK_PATH_READ);
	if (flaw != NULL)
		return gw_wrong(c, gw_place(l->place, "tls", key), directory ?
					"write the path of a directory of PEM files" :
					"write the path of a PEM file that this user may read",
				"'%s' cannot be read: %s", key, flaw);
	if (stat(path, &about) == 0 && (about.st_mode & S_IWOTH) != 0)
		return gw_wrong(c, gw_place(l->place, "tls", key), "chmod o-w",
				"all users of this machine may write '%s'", key);
	return true;
}

static void read_check(struct gw_check *c, const struct gw_listener *l, const char *key, int result)
{
	if (result != 0)
		gw_wrong(c, gw_place(l->place, "tls", key), "a PEM file is wanted here",
			 "what '%s' names is not understood (mbedTLS: -0x%04x)", key,
			 (unsigned)(result < 0 ? -result : result));
}

static void key_check(struct gw_check *c, const struct gw_listener *l, struct files *f)
{
	int result;

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	result = mbedtls_pk_parse_keyfile(&f->key, l->certificate.key_file, NULL,
					  mbedtls_ctr_drbg_random, &f->drbg);
#else
	result = mbedtls_pk_parse_keyfile(&f->key, l->certificate.key_file, NULL);
#endif
	read_check(c, l, "key_file", result);
	if (result != 0 || f->certificate.version == 0)
		return;
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	result = mbedtls_pk_check_pair(&f->certificate.pk, &f->key, mbedtls_ctr_drbg_random,
				       &f->drbg);
#else
	result = mbedtls_pk_check_pair(&f->certificate.pk, &f->key);
#endif
	if (result != 0)
		gw_wrong(c, gw_place(l->place, "tls", "key_file"), "",
			 "'key_file' is not the key of 'certificate_file'");
}

/* What is no certificate is passed over; a listener that trusts nobody lets no client in. */
static void directory_check(struct gw_check *c, const struct gw_listener *l, struct files *f)
{
	(void)mbedtls_x509_crt_parse_path(&f->authorities, l->tls.ca_directory);
	if (f->authorities.version == 0 && l->tls.ca_file == NULL)
		gw_wrong(c, gw_place(l->place, "tls", "ca_directory"),
			 "write the path of a directory of PEM files",
			 "'ca_directory' has no certificate in it");
}

static void listener_files_check(struct gw_check *c, const struct gw_listener *l)
{
	struct files f;

	files_begin(&f);
	if (file_check(c, l, "certificate_file", l->certificate.certificate_file))
		read_check(c, l, "certificate_file",
			   mbedtls_x509_crt_parse_file(&f.certificate,
						       l->certificate.certificate_file));
	if (file_check(c, l, "key_file", l->certificate.key_file))
		key_check(c, l, &f);
	if (file_check(c, l, "ca_file", l->tls.ca_file) && l->tls.ca_file != NULL)
		read_check(c, l, "ca_file",
			   mbedtls_x509_crt_parse_file(&f.authorities, l->tls.ca_file));
	if (file_check(c, l, "crl_file", l->tls.crl_file) && l->tls.crl_file != NULL)
		read_check(c, l, "crl_file",
			   mbedtls_x509_crl_parse_file(&f.revoked, l->tls.crl_file));
	if (file_check(c, l, "ca_directory", l->tls.ca_directory) && l->tls.ca_directory != NULL)
		directory_check(c, l, &f);
	files_end(&f);
}

void gw_listeners_files_check(struct gw_check *c)
{
	for (uint32_t i = 0; i < c->file->config.listener_count; i++)
		if (c->file->config.listeners[i].options.tls != NULL)
			listener_files_check(c, &c->file->config.listeners[i]);
}
