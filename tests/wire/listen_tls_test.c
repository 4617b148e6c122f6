/* SPDX-License-Identifier: Apache-2.0 */
/* listen_tls_test.c - listeners that speak TLS, against pools of Kolk's and against OpenSSL. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/wire/listen_tls.h"

/* ---- bytes */

static void echoes(void)
{
	struct kolk_tls_options client;
	struct kolk_pool *pool;
	struct secure s;
	char line[40000];

	MUST(secure_prepare(&s) && secure_open(&s));
	client = secure_client(&s);
	pool = secure_pool(&s, &client);
	for (size_t size = 1; size < sizeof line; size = size * 3 + 1) {
		memset(line, 'x', size);
		line[size] = 0;
		for (int i = 0; i < 3; i++) {
			struct kolk_lease lease;
			char back[sizeof line];
			size_t got = 0, part;
			enum kolk_err err = kolk_acquire(kolk_pool_key(pool), kolk_in_ms(5000), &lease);

			MUST(err == KOLK_OK);
			err = kolk_send_all(&lease, line, size, kolk_in_ms(5000));
			for (; err == KOLK_OK && got < size; got += part)
				err = kolk_recv(&lease, back + got, size - got, kolk_in_ms(5000), &part);
			CHECK(err == KOLK_OK && memcmp(line, back, size) == 0);
			CHECK_ERR(kolk_release(&lease), KOLK_OK);
		}
	}
	CHECK(listening_stats(&s.l).streams == 1 && listening_stats(&s.l).handshakes == 0);
	CHECK(listening_stats(&s.l).bytes_received == kolk__load_relaxed(&s.l.received));
	secure_pool_end(pool); /* with close_notify */
	CHECK(WITHIN_MS(5000, kolk__load_sc(&s.l.ended) == 1));
	CHECK(kolk__load_sc(&s.l.ends) == 1 && kolk__load_sc(&s.l.last_err) == KOLK_OK);
	secure_close(&s);
}

/* Everything arrives before close_notify, although the client reads slowly. */
static void a_long_farewell(void)
{
	enum { SIZE = 6 * 1024 * 1024 };
	struct kolk_tls_options client;
	struct kolk_lease lease;
	struct kolk_pool *pool;
	enum kolk_err err;
	struct secure s;
	char piece[16384];
	size_t size = 0, part;

	MUST(secure_prepare(&s));
	s.l.conduct = FAREWELL;
	s.l.push_size = SIZE;
	MUST(secure_open(&s));
	client = secure_client(&s);
	pool = secure_pool(&s, &client);
	MUST(kolk_acquire(kolk_pool_key(pool), kolk_in_ms(5000), &lease) == KOLK_OK);
	err = kolk_send_all(&lease, "q", 1, kolk_in_ms(5000));
	for (; err == KOLK_OK; size += part) {
		err = kolk_recv(&lease, piece, sizeof piece, kolk_in_ms(5000), &part);
		if (size % (1024 * 1024) < part)
			usleep(20000);
	}
	CHECK_ERR(err, KOLK_E_CLOSED);
	CHECK(size == SIZE);
	(void)kolk_discard(&lease);
	CHECK(WITHIN_MS(5000, kolk__load_sc(&s.l.ended) == 1));
	CHECK(kolk__load_sc(&s.l.last_err) == KOLK_OK);
	secure_pool_end(pool);
	secure_close(&s);
}

static void an_end_without_close_notify(void)
{
	struct secure s;

	MUST(secure_prepare(&s) && secure_open(&s));
	s.patience = "0.5";
	if (*secure_openssl(&s, "") != 0) {
		CHECK(WITHIN_MS(8000, kolk__load_sc(&s.l.ended) == 1));
		CHECK((int32_t)kolk__load_sc(&s.l.last_err) == KOLK_E_TLS_TRUNCATED);
	}
	secure_close(&s);
}

/* An alert, not a reset. */
static void what_is_no_tls(void)
{
	static const char *const garbage[] = { "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
					       "\x16\x03\x01\xff\xff" };
	struct secure s;
	uint8_t alert[7];

	MUST(secure_prepare(&s) && secure_open(&s));
	for (size_t i = 0; i < 2; i++) {
		int fd = client_dial(secure_address(&s));

		CHECK(client_send(fd, garbage[i], strlen(garbage[i])));
		(void)client_recv(fd, alert, sizeof alert);
		CHECK(WITHIN_MS(5000, listening_stats(&s.l).handshake_failed == i + 1));
		close(fd);
	}
	for (size_t i = 0; i < 2; i++)
		close(client_dial(secure_address(&s)));
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).handshake_failed == 4));
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).streams == 0));
	CHECK(listening_stats(&s.l).handshakes == 0 && kolk__load_sc(&s.l.opened) == 0);
	secure_close(&s);
}

/* ---- what is agreed on */

static void versions(void)
{
	struct secure s;
	const char *output;

	MUST(secure_prepare(&s));
	s.l.conduct = FAREWELL;
	MUST(secure_open(&s));
	output = secure_openssl(&s, "-tls1_2");
	CHECK(*output == 0 || (secure_says(output, "Protocol  : TLSv1.2") && secure_says(output, "farewell") &&
			       secure_says(output, "closed")));
	output = secure_openssl(&s, "-tls1_3");
	CHECK(*output == 0 ||
	      secure_says(output, secure_speaks_13() ? "New, TLSv1.3" : "alert handshake failure"));
	output = secure_openssl(&s, "-tls1_1 -cipher DEFAULT@SECLEVEL=0");
	CHECK(*output == 0 || secure_says(output, "alert protocol version"));
	output = secure_openssl(&s, "-tls1_2 -cipher AES128-GCM-SHA256"); /* RSA key exchange */
	CHECK(*output == 0 || secure_says(output, "handshake failure"));
	secure_close(&s);
}

static const struct {
	const char *asked, *shown;
} names[] = {
	{ "-noservername", "CN = first" }, { "-servername first.test", "CN = first" },
	{ "-servername second.test", "CN = second" }, { "-servername a.wild.test", "CN = wild" },
	{ "-servername unknown.test", "CN = first" },
};

static void names_choose_certificates(void)
{
	struct secure s;
	const char *output;

	MUST(secure_prepare(&s));
	s.l.conduct = FAREWELL;
	MUST(secure_open(&s));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		output = secure_openssl(&s, names[i].asked);
		CHECK(*output == 0 || (secure_says(output, names[i].shown) &&
				       secure_says(output, "Verify return code: 0 (ok)")));
	}
	secure_close(&s);
}

/* ---- who it is */

static struct {
	struct kolk_stream_peer peer;
	char alpn[16], name[64], suite[64];
} seen;

static void see(struct kolk_stream *stream)
{
	struct kolk_stream_peer *peer = &seen.peer;

	memset(&seen, 0, sizeof seen);
	*peer = (struct kolk_stream_peer)KOLK_INIT(kolk_stream_peer);
	kolk_stream_peer(stream, peer);
	snprintf(seen.alpn, sizeof seen.alpn, "%s", peer->alpn != NULL ? peer->alpn : "");
	snprintf(seen.name, sizeof seen.name, "%s", peer->server_name != NULL ? peer->server_name : "");
	snprintf(seen.suite, sizeof seen.suite, "%s",
		 peer->cipher_suite != NULL ? peer->cipher_suite : "");
}

static void peers_are_told(void)
{
	static const char *const ours[] = { "h2", "http/1.1", NULL };
	static const char *const theirs[] = { "http/1.1", NULL };
	static const char *const others[] = { "ftp", NULL };
	struct kolk_tls_options client;
	struct kolk_pool *pool;
	struct secure s;

	MUST(secure_prepare(&s));
	s.tls.alpn = ours;
	MUST(secure_open(&s));
	client = secure_client(&s);
	client.alpn = theirs;
	client.server_name = "b.wild.test";
	pool = secure_pool(&s, &client);
	CHECK_ERR(wire_request(kolk_pool_key(pool), "question\n"), KOLK_OK);
	listening_call(&s.l, see);
	CHECK(strcmp(seen.alpn, "http/1.1") == 0 && strcmp(seen.name, "b.wild.test") == 0);
	CHECK(strstr(seen.suite, "CHACHA20") != NULL);
	CHECK(seen.peer.tls_version == (secure_speaks_13() ? 0x0304 : 0x0303));
	CHECK(seen.peer.certificate == NULL && strcmp(seen.peer.address, "127.0.0.1") == 0);
	secure_pool_end(pool);
	client.alpn = others;
	CHECK_ERR(secure_ask(&s, &client), KOLK_E_TLS);
	CHECK(*secure_openssl(&s, "-alpn ftp") == 0 ||
	      secure_says(secure_openssl(&s, "-alpn ftp"), "no application protocol"));
	secure_close(&s);
}

/* The proxy's header, then the client's hello. */
static enum kolk_err send_header(void *user, void *session, struct kolk_exchange *exchange)
{
	static const char header[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\xc0\0\x02\x01"
				     "\x10\x01\x01\xbb";

	(void)user, (void)session;
	return kolk_exchange_send(exchange, header, sizeof header - 1);
}

static void behind_a_proxy(void)
{
	static const struct kolk_driver driver = { .size = sizeof driver, .name = "proxy",
						   .upgrade = send_header };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options client;
	struct kolk_pool *pool;
	struct secure s;

	MUST(secure_prepare(&s));
	s.o.proxy_protocol = 1;
	MUST(secure_open(&s));
	client = secure_client(&s);
	o.name = "proxy";
	o.address = secure_address(&s);
	o.tls = &client;
	o.driver = &driver;
	o.idle_min = KOLK_NONE;
	MUST(CHECK_ERR(kolk_pool_add(s.l.engine, &o, &pool), KOLK_OK));
	CHECK_ERR(wire_request(kolk_pool_key(pool), "question\n"), KOLK_OK);
	listening_call(&s.l, see);
	CHECK(strcmp(seen.peer.address, "203.0.113.7") == 0 && seen.peer.proxied == 1);
	CHECK(seen.peer.tls_version != 0 && strcmp(seen.name, "first.test") == 0);
	secure_pool_end(pool);
	secure_close(&s);
}

/* ---- clients' certificates */

struct shown {
	const char *what;
	size_t files; /* in struct kit_certs; 0 = none */
	bool required, optional;
	const char *alert;
};

static const struct shown shown[] = {
	{ "good", offsetof(struct kit_certs, client), true, true, "" },
	{ "none", 0, false, true, "" },
	{ "expired", offsetof(struct kit_certs, expired), false, false, "certificate expired" },
	{ "revoked", offsetof(struct kit_certs, revoked), false, false, "certificate revoked" },
	{ "of another authority", offsetof(struct kit_certs, foreign), false, false, "unknown ca" },
	{ "of servers", offsetof(struct kit_certs, only_servers), false, false, "" },
};

static void show(struct secure *s, const struct shown *one, bool passes)
{
	const struct kit_cert_files *files = (const void *)((const char *)&s->certs + one->files);
	struct kolk_tls_options client = secure_client(s);
	struct kolk_pool *pool;
	enum kolk_err err;
	char arguments[256];
	const char *output;

	client.certificate_file = one->files != 0 ? files->pem : NULL;
	client.key_file = one->files != 0 ? files->key : NULL;
	pool = secure_pool(s, &client);
	err = wire_request(kolk_pool_key(pool), "question\n");
	if (!CHECK((err == KOLK_OK) == passes))
		tap_note("%s: %s", one->what, kolk_err_name(err));
	if (err == KOLK_OK) {
		listening_call(&s->l, see);
		CHECK((seen.peer.certificate_size > 200) == (one->files != 0));
	}
	secure_pool_end(pool);
	if (passes || *one->alert == 0)
		return;
	snprintf(arguments, sizeof arguments, "-tls1_2 -cert %s -key %s", files->pem, files->key);
	output = secure_openssl(s, arguments);
	CHECK(*output == 0 || secure_says(output, one->alert));
}

static void clients_show(uint32_t client_auth)
{
	struct secure s;

	MUST(secure_prepare(&s));
	s.tls.client_auth = client_auth;
	s.tls.ca_file = s.certs.authority.pem;
	s.tls.crl_file = s.certs.crl;
	MUST(secure_open(&s));
	for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
		show(&s, &shown[i], client_auth == KOLK_CLIENT_AUTH_REQUIRED ? shown[i].required :
									       shown[i].optional);
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).streams == 0));
	secure_close(&s);
}

static void clients_must_show(void)
{
	clients_show(KOLK_CLIENT_AUTH_REQUIRED);
}

static void clients_may_show(void)
{
	clients_show(KOLK_CLIENT_AUTH_OPTIONAL);
}

static const struct tap_test tests[] = {
	{ "bytes, there and back", echoes },
	{ "a long farewell to a slow client", a_long_farewell },
	{ "an end without close_notify", an_end_without_close_notify },
	{ "what is no TLS", what_is_no_tls },
	{ "versions and suites", versions },
	{ "names choose certificates", names_choose_certificates },
	{ "ALPN, and who the peer is", peers_are_told },
	{ "behind a proxy", behind_a_proxy },
	{ "clients must show a certificate", clients_must_show },
	{ "clients may show a certificate", clients_may_show },
};
TAP_TESTS(listen_tls, tests);
