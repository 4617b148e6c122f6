/* SPDX-License-Identifier: Apache-2.0 */
/* listen_tls_test.c - listeners that speak TLS, against pools of Kolk's and against OpenSSL. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/kit/certs.h"
#include "tests/kit/peers.h"
#include "tests/wire/listening.h"

/* A listener with certificates, and options to change before tls_open. */
struct secure {
	struct listening l;
	struct kit_certs certs;
	struct kolk_certificate own[3];
	struct kolk_listener_tls tls;
	struct kolk_listener_options o;
	const char *patience; /* of s_client, in seconds; NULL = 5 */
};

static bool tls_prepare(struct secure *s)
{
	memset(s, 0, sizeof *s);
	s->tls = (struct kolk_listener_tls)KOLK_INIT(kolk_listener_tls);
	s->o = (struct kolk_listener_options)KOLK_INIT(kolk_listener_options);
	s->own[0] = (struct kolk_certificate){ s->certs.first.pem, s->certs.first.key };
	s->own[1] = (struct kolk_certificate){ s->certs.second.pem, s->certs.second.key };
	s->own[2] = (struct kolk_certificate){ s->certs.wild.pem, s->certs.wild.key };
	s->tls.certificates = s->own;
	s->tls.certificate_count = 3;
	s->o.tls = &s->tls;
	return CHECK(kit_certs_open(&s->certs));
}

static bool tls_open(struct secure *s)
{
	return listening_open(&s->l, NULL, &s->o);
}

static void tls_close(struct secure *s)
{
	listening_close(&s->l);
	kit_certs_close(&s->certs);
}

static const char *address_of(struct secure *s)
{
	return kolk_listener_address(s->l.listener);
}

static struct kolk_tls_options client_of(struct secure *s)
{
	struct kolk_tls_options o = KOLK_INIT(kolk_tls_options);

	o.ca_file = s->certs.authority.pem;
	o.server_name = "first.test";
	return o;
}

/* A pool to it, in the same engine. */
static struct kolk_pool *pool_add(struct secure *s, const struct kolk_tls_options *tls)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *pool = NULL;
	static uint32_t count;
	char name[16];

	snprintf(name, sizeof name, "client%u", ++count);
	o.name = name;
	o.address = address_of(s);
	o.tls = tls;
	o.idle_min = KOLK_NONE;
	o.circuit_failures = KOLK_NONE;
	CHECK_ERR(kolk_pool_add(s->l.engine, &o, &pool), KOLK_OK);
	return pool;
}

static void pool_end(struct kolk_pool *pool)
{
	CHECK_ERR(kolk_pool_close(pool, kolk_in_ms(5000)), KOLK_OK);
}

/* One request over one connection; its error. */
static enum kolk_err ask(struct secure *s, const struct kolk_tls_options *tls)
{
	struct kolk_pool *pool = pool_add(s, tls);
	enum kolk_err err = wire_request(kolk_pool_key(pool), "question\n");

	pool_end(pool);
	return err;
}

/* What s_client says, with the authority's certificate; "" = there is none here. */
static const char *openssl(struct secure *s, const char *arguments)
{
	static char output[16384];
	char all[1024];
	struct kit_openssl_talk talk = { address_of(s), "question\n", all, s->patience };

	/* Names as "CN = x": what the default writes changed with OpenSSL 3.4. */
	snprintf(all, sizeof all, "-CAfile %s -nameopt oneline %s", s->certs.authority.pem,
		 arguments);
	(void)kit_openssl_client(&talk, output, sizeof output);
	return output;
}

static bool has(const char *output, const char *text)
{
	if (strstr(output, text) != NULL)
		return true;
	tap_note("%s is not in: %.3000s", text, output);
	return false;
}

static bool speaks_13(void)
{
	return strstr(kolk_tls_text(), "TLS 1.3") != NULL;
}

/* ---- bytes */

static void echoes(void)
{
	struct kolk_tls_options client;
	struct kolk_pool *pool;
	struct secure s;
	char line[40000];

	MUST(tls_prepare(&s) && tls_open(&s));
	client = client_of(&s);
	pool = pool_add(&s, &client);
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
	pool_end(pool); /* with close_notify */
	CHECK(WITHIN_MS(5000, kolk__load_sc(&s.l.ended) == 1));
	CHECK(kolk__load_sc(&s.l.ends) == 1 && kolk__load_sc(&s.l.last_err) == KOLK_OK);
	tls_close(&s);
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

	MUST(tls_prepare(&s));
	s.l.conduct = FAREWELL;
	s.l.push_size = SIZE;
	MUST(tls_open(&s));
	client = client_of(&s);
	pool = pool_add(&s, &client);
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
	pool_end(pool);
	tls_close(&s);
}

static void an_end_without_close_notify(void)
{
	struct secure s;

	MUST(tls_prepare(&s) && tls_open(&s));
	s.patience = "0.5";
	if (*openssl(&s, "") != 0) {
		CHECK(WITHIN_MS(8000, kolk__load_sc(&s.l.ended) == 1));
		CHECK((int32_t)kolk__load_sc(&s.l.last_err) == KOLK_E_TLS_TRUNCATED);
	}
	tls_close(&s);
}

/* An alert, not a reset. */
static void what_is_no_tls(void)
{
	static const char *const garbage[] = { "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
					       "\x16\x03\x01\xff\xff" };
	struct secure s;
	uint8_t alert[7];

	MUST(tls_prepare(&s) && tls_open(&s));
	for (size_t i = 0; i < 2; i++) {
		int fd = client_dial(address_of(&s));

		CHECK(client_send(fd, garbage[i], strlen(garbage[i])));
		(void)client_recv(fd, alert, sizeof alert);
		CHECK(WITHIN_MS(5000, listening_stats(&s.l).handshake_failed == i + 1));
		close(fd);
	}
	for (size_t i = 0; i < 2; i++)
		close(client_dial(address_of(&s)));
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).handshake_failed == 4));
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).streams == 0));
	CHECK(listening_stats(&s.l).handshakes == 0 && kolk__load_sc(&s.l.opened) == 0);
	tls_close(&s);
}

/* ---- what is agreed on */

static void versions(void)
{
	struct secure s;
	const char *output;

	MUST(tls_prepare(&s));
	s.l.conduct = FAREWELL;
	MUST(tls_open(&s));
	output = openssl(&s, "-tls1_2");
	CHECK(*output == 0 || (has(output, "Protocol  : TLSv1.2") && has(output, "farewell") &&
			       has(output, "closed")));
	output = openssl(&s, "-tls1_3");
	CHECK(*output == 0 || has(output, speaks_13() ? "New, TLSv1.3" : "alert handshake failure"));
	output = openssl(&s, "-tls1_1 -cipher DEFAULT@SECLEVEL=0");
	CHECK(*output == 0 || has(output, "alert protocol version"));
	output = openssl(&s, "-tls1_2 -cipher AES128-GCM-SHA256"); /* RSA key exchange */
	CHECK(*output == 0 || has(output, "handshake failure"));
	tls_close(&s);
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

	MUST(tls_prepare(&s));
	s.l.conduct = FAREWELL;
	MUST(tls_open(&s));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		output = openssl(&s, names[i].asked);
		CHECK(*output == 0 || (has(output, names[i].shown) &&
				       has(output, "Verify return code: 0 (ok)")));
	}
	tls_close(&s);
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

	MUST(tls_prepare(&s));
	s.tls.alpn = ours;
	MUST(tls_open(&s));
	client = client_of(&s);
	client.alpn = theirs;
	client.server_name = "b.wild.test";
	pool = pool_add(&s, &client);
	CHECK_ERR(wire_request(kolk_pool_key(pool), "question\n"), KOLK_OK);
	listening_call(&s.l, see);
	CHECK(strcmp(seen.alpn, "http/1.1") == 0 && strcmp(seen.name, "b.wild.test") == 0);
	CHECK(strstr(seen.suite, "CHACHA20") != NULL);
	CHECK(seen.peer.tls_version == (speaks_13() ? 0x0304 : 0x0303));
	CHECK(seen.peer.certificate == NULL && strcmp(seen.peer.address, "127.0.0.1") == 0);
	pool_end(pool);
	client.alpn = others;
	CHECK_ERR(ask(&s, &client), KOLK_E_TLS);
	CHECK(*openssl(&s, "-alpn ftp") == 0 || has(openssl(&s, "-alpn ftp"), "no application protocol"));
	tls_close(&s);
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

	MUST(tls_prepare(&s));
	s.o.proxy_protocol = 1;
	MUST(tls_open(&s));
	client = client_of(&s);
	o.name = "proxy";
	o.address = address_of(&s);
	o.tls = &client;
	o.driver = &driver;
	o.idle_min = KOLK_NONE;
	MUST(CHECK_ERR(kolk_pool_add(s.l.engine, &o, &pool), KOLK_OK));
	CHECK_ERR(wire_request(kolk_pool_key(pool), "question\n"), KOLK_OK);
	listening_call(&s.l, see);
	CHECK(strcmp(seen.peer.address, "203.0.113.7") == 0 && seen.peer.proxied == 1);
	CHECK(seen.peer.tls_version != 0 && strcmp(seen.name, "first.test") == 0);
	pool_end(pool);
	tls_close(&s);
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
	struct kolk_tls_options client = client_of(s);
	struct kolk_pool *pool;
	enum kolk_err err;
	char arguments[256];
	const char *output;

	client.certificate_file = one->files != 0 ? files->pem : NULL;
	client.key_file = one->files != 0 ? files->key : NULL;
	pool = pool_add(s, &client);
	err = wire_request(kolk_pool_key(pool), "question\n");
	if (!CHECK((err == KOLK_OK) == passes))
		tap_note("%s: %s", one->what, kolk_err_name(err));
	if (err == KOLK_OK) {
		listening_call(&s->l, see);
		CHECK((seen.peer.certificate_size > 200) == (one->files != 0));
	}
	pool_end(pool);
	if (passes || *one->alert == 0)
		return;
	snprintf(arguments, sizeof arguments, "-tls1_2 -cert %s -key %s", files->pem, files->key);
	output = openssl(s, arguments);
	CHECK(*output == 0 || has(output, one->alert));
}

static void clients_show(uint32_t client_auth)
{
	struct secure s;

	MUST(tls_prepare(&s));
	s.tls.client_auth = client_auth;
	s.tls.ca_file = s.certs.authority.pem;
	s.tls.crl_file = s.certs.crl;
	MUST(tls_open(&s));
	for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
		show(&s, &shown[i], client_auth == KOLK_CLIENT_AUTH_REQUIRED ? shown[i].required :
									       shown[i].optional);
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).streams == 0));
	tls_close(&s);
}

static void clients_must_show(void)
{
	clients_show(KOLK_CLIENT_AUTH_REQUIRED);
}

static void clients_may_show(void)
{
	clients_show(KOLK_CLIENT_AUTH_OPTIONAL);
}

/* ---- tickets, and new certificates */

static void resume(struct secure *s, const char *version)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	char arguments[256];

	snprintf(arguments, sizeof arguments, "%s -sess_out %s.session", version, s->certs.crl);
	if (*openssl(s, arguments) == 0)
		return;
	snprintf(arguments, sizeof arguments, "%s -sess_in %s.session", version, s->certs.crl);
	for (int i = 0; i < 4; i++) /* on whichever loop it comes */
		CHECK(has(openssl(s, arguments), "Reused"));
	CHECK_ERR(kolk_listener_tls_set(s->l.listener, &s->tls, &failure), KOLK_OK);
	CHECK(has(openssl(s, arguments), "New, TLS"));
	snprintf(arguments, sizeof arguments, "%s.session", s->certs.crl);
	unlink(arguments);
}

static void tickets(void)
{
	struct secure s;

	MUST(tls_prepare(&s));
	s.l.conduct = FAREWELL;
	MUST(tls_open(&s));
	resume(&s, "-tls1_2");
	if (speaks_13())
		resume(&s, "-tls1_3");
	tls_close(&s);
}

static void bad_certificates_change_nothing(void)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_listener *plain;
	struct kolk_tls_options client;
	struct secure s;

	MUST(tls_prepare(&s) && tls_open(&s));
	client = client_of(&s);
	s.own[1].key_file = s.certs.first.key;
	CHECK_ERR(kolk_listener_tls_set(s.l.listener, &s.tls, &failure), KOLK_E_OPTIONS);
	CHECK(strcmp(failure.field, "key_file") == 0);
	s.own[1].key_file = "/nonexistent";
	CHECK_ERR(kolk_listener_tls_set(s.l.listener, &s.tls, &failure), KOLK_E_TLS);
	CHECK_ERR(kolk_listener_tls_set(s.l.listener, NULL, NULL), KOLK_E_OPTIONS);
	CHECK_ERR(ask(&s, &client), KOLK_OK);
	plain = s.l.listener;
	CHECK_ERR(listening_add(&s.l, NULL, NULL), KOLK_OK);
	CHECK_ERR(kolk_listener_tls_set(s.l.listener, &s.tls, NULL), KOLK_E_OPTIONS);
	s.l.listener = plain;
	tls_close(&s);
}

struct load {
	struct kolk_pool *pool;
	bool dials; /* for each request */
	bool may_fail;
	kolk__atomic_u32 *stop;
	kolk__atomic_u64 *asked;
};

static void *load_run(void *arg)
{
	struct load *load = arg;
	struct kolk_lease lease;

	while (!kolk__load_relaxed(load->stop)) {
		enum kolk_err err = kolk_acquire(kolk_pool_key(load->pool),
						 kolk_in_ms(load->may_fail ? 20 : 10000), &lease);

		if (err != KOLK_OK && load->may_fail)
			continue;
		if (!CHECK_ERR(err, KOLK_OK))
			break;
		err = wire_exchange(&lease, "under load\n");
		CHECK(err == KOLK_OK || load->may_fail);
		kolk__add_relaxed(load->asked, 1);
		CHECK_ERR(load->dials ? kolk_discard(&lease) : kolk_release(&lease), KOLK_OK);
		tap_nap();
	}
	return NULL;
}

/* Two certificates in turn, for the same name: clients that are there notice nothing, clients that
 * come get the one or the other. */
static void new_certificates_under_load(void)
{
	enum { THREADS = 4, CHANGES = 100, HANDSHAKES = 40 };
	uint64_t until_ms = tap_now_ms() + 20000;
	int turns = 0;
	kolk__atomic_u32 stop = { 0 };
	kolk__atomic_u64 asked = { 0 };
	struct kolk_tls_options client;
	struct kolk_stats stats;
	struct load load[2];
	pthread_t threads[THREADS];
	struct secure s;

	MUST(tls_prepare(&s) && tls_open(&s));
	client = client_of(&s);
	for (int i = 0; i < 2; i++)
		load[i] = (struct load){ pool_add(&s, &client), i == 1, false, &stop, &asked };
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, load_run, &load[i % 2]) == 0);
	for (; turns < CHANGES || (listening_stats(&s.l).accepted < HANDSHAKES && tap_now_ms() < until_ms);
	     turns++) {
		s.tls.certificate_count = turns % 2 == 0 ? 1 : 3;
		CHECK_ERR(kolk_listener_tls_set(s.l.listener, &s.tls, NULL), KOLK_OK);
		usleep(3000);
	}
	kolk__store_relaxed(&stop, 1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	stats = wire_stats(load[0].pool);
	CHECK(stats.created <= THREADS / 2);
	tap_note("%llu requests, %llu handshakes, %d changes",
		 (unsigned long long)kolk__load_relaxed(&asked),
		 (unsigned long long)listening_stats(&s.l).accepted, turns);
	CHECK(listening_stats(&s.l).handshake_failed == 0);
	pool_end(load[0].pool);
	pool_end(load[1].pool);
	tls_close(&s);
}

/* ---- slow, and many */

static void slow_handshakes_end(void)
{
	enum { CLIENTS = 20 };
	static const uint8_t hello[] = { 0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3 };
	struct kolk_tls_options client;
	struct secure s;
	int fd[CLIENTS];

	MUST(tls_prepare(&s));
	s.o.handshake_timeout_ns = 700 * KOLK_MS_NS;
	s.o.handshakes_max = 2;
	MUST(tls_open(&s));
	client = client_of(&s);
	for (int i = 0; i < CLIENTS; i++) {
		fd[i] = client_dial(address_of(&s));
		CHECK(client_send(fd[i], hello, (size_t)i % (sizeof hello + 1)));
	}
	CHECK_ERR(ask(&s, &client), KOLK_OK); /* the others do not wait for them */
	for (size_t i = 0; i < sizeof hello && client_send(fd[0], hello + i, 1); i++)
		usleep(20000);
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).handshake_timeout == CLIENTS));
	for (int i = 0; i < CLIENTS; i++) {
		CHECK(client_next(fd[i]) == -ECONNRESET || i == 0); /* a send of it was told */
		close(fd[i]);
	}
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).streams == 0));
	CHECK(listening_stats(&s.l).handshakes == 0 && listening_stats(&s.l).handshake_failed == 0);
	tls_close(&s);
}

/* More than may be on workers. */
static void many_at_once(void)
{
	enum { THREADS = 24, HANDSHAKES = 150 };
	kolk__atomic_u32 stop = { 0 };
	kolk__atomic_u64 asked = { 0 };
	struct kolk_tls_options client;
	struct load load;
	pthread_t threads[THREADS];
	struct secure s;

	MUST(tls_prepare(&s));
	s.o.handshakes_max = 1;
	MUST(tls_open(&s));
	client = client_of(&s);
	client.resume_off = 1;
	load = (struct load){ pool_add(&s, &client), true, false, &stop, &asked };
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, load_run, &load) == 0);
	CHECK(WITHIN_MS(30000, kolk__load_relaxed(&asked) >= HANDSHAKES));
	kolk__store_relaxed(&stop, 1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK(listening_stats(&s.l).handshake_failed == 0);
	pool_end(load.pool);
	tls_close(&s);
}

/* Handshakes wait for workers, are on them, and wait for their peers. */
static void closes_after(unsigned ms)
{
	enum { THREADS = 12 };
	kolk__atomic_u32 stop = { 0 };
	kolk__atomic_u64 asked = { 0 };
	struct kolk_tls_options client;
	pthread_t threads[THREADS];
	struct load load;
	struct secure s;

	MUST(tls_prepare(&s));
	s.o.handshakes_max = 2;
	MUST(tls_open(&s));
	client = client_of(&s);
	client.resume_off = 1;
	load = (struct load){ pool_add(&s, &client), true, true, &stop, &asked };
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, load_run, &load) == 0);
	CHECK(WITHIN_MS(10000, listening_stats(&s.l).handshakes >= 4));
	usleep(ms * 1000);
	/* A step of a handshake that is on a worker has to end first. */
	CHECK(WITHIN_MS(10000, kolk_listener_close(s.l.listener, 0, NULL, NULL) == KOLK_OK));
	kolk__store_relaxed(&stop, 1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pool_end(load.pool);
	tls_close(&s);
}

static void the_listener_closes(void)
{
	for (unsigned ms = 0; ms < 10; ms++)
		closes_after(ms * 3);
}

/* ---- descriptors */

static uint64_t cpu_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* Neither an accept nor a dial has one: what is there goes on, a dial is refused with the reason, the
 * loop does not run in circles, and all is well when there are some again. */
static void out_of_descriptors(void)
{
	struct kolk_tls_options client;
	struct kolk_pool *pool, *other;
	struct rlimit limit, none;
	struct secure s;
	uint64_t before_ms;
	int fd;

	MUST(tls_prepare(&s) && tls_open(&s));
	client = client_of(&s);
	pool = pool_add(&s, &client);
	other = pool_add(&s, &client);
	CHECK_ERR(wire_request(kolk_pool_key(pool), "question\n"), KOLK_OK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	/* Three are in use for good; with a limit of 0, poll(2) takes no descriptor at all. */
	none = (struct rlimit){ 3, limit.rlim_max };
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHECK(client_connect(fd, address_of(&s)));
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).accept_errors > 0));
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).paused > 0));
	before_ms = cpu_ms();
	usleep(400000);
	CHECK(cpu_ms() - before_ms < 200);
	CHECK_ERR(wire_request(kolk_pool_key(pool), "question\n"), KOLK_OK);
	CHECK_ERR(wire_request(kolk_pool_key(other), "question\n"), KOLK_E_FILES);
	CHECK(listening_stats(&s.l).handshakes == 0);
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).handshakes == 1));
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).paused == 0));
	CHECK(WITHIN_MS(5000, wire_request(kolk_pool_key(other), "question\n") == KOLK_OK));
	close(fd);
	CHECK(WITHIN_MS(5000, listening_stats(&s.l).handshake_failed == 1));
	pool_end(pool);
	pool_end(other);
	tls_close(&s);
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
	{ "tickets", tickets },
	{ "bad certificates change nothing", bad_certificates_change_nothing },
	{ "new certificates under load", new_certificates_under_load },
	{ "slow handshakes end", slow_handshakes_end },
	{ "many handshakes at once", many_at_once },
	{ "the listener closes in the middle of handshakes", the_listener_closes },
	{ "out of descriptors, and back", out_of_descriptors },
};
TAP_TESTS(listen_tls, tests);
