/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_test.c - the upstream of a pool: files by their content, another upstream while links of
 * the first live, TLS sessions that are forgotten, addresses with a zone or without a path.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/engine.h"
#include "core/key.h"
#include "tests/wire/wire.h"

/* ---- files by their content */

struct files {
	char folder[64], ca[96], copy[96], certificate[96], key[96], crl[96], anchors[96],
		anchor[128];
};

static bool files_make(struct files *f)
{
	snprintf(f->folder, sizeof f->folder, "/tmp/kolk-files-XXXXXX");
	if (mkdtemp(f->folder) == NULL)
		return false;
	snprintf(f->ca, sizeof f->ca, "%s/ca.pem", f->folder);
	snprintf(f->copy, sizeof f->copy, "%s/copy.pem", f->folder);
	snprintf(f->certificate, sizeof f->certificate, "%s/cert.pem", f->folder);
	snprintf(f->key, sizeof f->key, "%s/key.pem", f->folder);
	snprintf(f->crl, sizeof f->crl, "%s/crl.pem", f->folder);
	snprintf(f->anchors, sizeof f->anchors, "%s/anchors", f->folder);
	snprintf(f->anchor, sizeof f->anchor, "%s/one.pem", f->anchors);
	return mkdir(f->anchors, 0700) == 0 && kit_file_write(f->ca, wire_certs.authority.pem) &&
	       kit_file_write(f->copy, wire_certs.authority.pem) &&
	       kit_file_write(f->anchor, wire_certs.authority.pem);
}

static void files_remove(const struct files *f)
{
	unlink(f->ca), unlink(f->copy), unlink(f->certificate), unlink(f->key);
	unlink(f->crl), unlink(f->anchor), rmdir(f->anchors), rmdir(f->folder);
}

struct digest {
	uint8_t bytes[32];
};

static struct digest digest_of(struct wire *w, const struct kolk_tls_options *tls)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk__upstream *origin = NULL;
	struct digest digest = { { 0 } };

	o.address = "host:1";
	o.tls = tls;
	if (!CHECK_ERR(kolk__upstream_open(w->engine->transport, &o, &failure, &origin), KOLK_OK)) {
		tap_note("field %s", failure.field);
		return digest;
	}
	kolk__upstream_digest(origin, digest.bytes);
	kolk__upstream_unref(origin);
	return digest;
}

static bool same(struct digest a, struct digest b)
{
	return memcmp(&a, &b, sizeof a) == 0;
}

static void anchors_digested(struct wire *w, const struct files *f)
{
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct digest first, folder;

	tls.ca_file = f->ca;
	first = digest_of(w, &tls);
	CHECK(same(first, digest_of(w, &tls)));
	tls.ca_file = f->copy;
	CHECK(same(first, digest_of(w, &tls))); /* the path is not the content */
	CHECK(kit_file_write(f->copy, wire_certs.self_signed.pem));
	CHECK(!same(first, digest_of(w, &tls)));
	tls.ca_file = NULL;
	tls.ca_directory = f->anchors;
	folder = digest_of(w, &tls);
	CHECK(!same(first, folder)); /* what it is read as counts, too */
	CHECK(kit_file_write(f->anchor, wire_certs.self_signed.pem));
	CHECK(!same(folder, digest_of(w, &tls)));
	CHECK(kit_file_write(f->anchor, wire_certs.authority.pem));
	CHECK(same(folder, digest_of(w, &tls)));
}

static void client_digested(struct wire *w, const struct files *f)
{
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct digest first, with_client, other_client;
	char crl[2048], text[sizeof(struct kit_cert)];

	tls.ca_file = f->ca;
	first = digest_of(w, &tls);
	CHECK(kit_file_write(f->certificate, wire_certs.good.pem) &&
	      kit_file_write(f->key, wire_certs.good.key));
	tls.certificate_file = f->certificate;
	tls.key_file = f->key;
	with_client = digest_of(w, &tls);
	CHECK(!same(first, with_client));
	CHECK(kit_file_write(f->certificate, wire_certs.expired.pem) &&
	      kit_file_write(f->key, wire_certs.expired.key));
	other_client = digest_of(w, &tls);
	CHECK(!same(with_client, other_client));
	snprintf(text, sizeof text, "%s\n", wire_certs.expired.key);
	CHECK(kit_file_write(f->key, text));
	CHECK(!same(other_client, digest_of(w, &tls)));
	CHECK(kit_file_write(f->key, wire_certs.expired.key));
	snprintf(text, sizeof text, "\n%s", wire_certs.expired.pem);
	CHECK(kit_file_write(f->certificate, text));
	CHECK(!same(other_client, digest_of(w, &tls)));
	tls.certificate_file = tls.key_file = NULL;
	CHECK(same(first, digest_of(w, &tls)));
	CHECK(kit_crl_make(&wire_certs.authority, &wire_certs.good, crl, sizeof crl) &&
	      kit_file_write(f->crl, crl));
	tls.crl_file = f->crl;
	CHECK(!same(first, digest_of(w, &tls)));
}

static void files_by_content(void)
{
	struct digest zeros = { { 0 } };
	struct wire w = { 0 };
	struct files f;

	MUST(files_make(&f) && wire_engine(&w, NULL));
	CHECK(same(zeros, digest_of(&w, NULL)));
	anchors_digested(&w, &f);
	client_digested(&w, &f);
	files_remove(&f);
	wire_close(&w);
}

/* ---- another upstream */

static bool swap(struct wire *w, const struct kolk_pool_options *options)
{
	struct kolk_pool_options o = *options;

	o.name = kolk_pool_name(w->pool);
	return CHECK_ERR(kolk_pool_update(w->pool, &o), KOLK_OK);
}

/* One connection, dialled when it is asked for. */
static struct kolk_pool_options one_connection(const struct kolk_tls_options *tls)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.tls = tls;
	o.connections_max = 1;
	o.idle_min = KOLK_NONE;
	return o;
}

static void links_keep_their_upstream(bool by_name)
{
	struct kit_origin_options elsewhere = { 0 };
	struct kit_origin *second = kit_origin_open(&elsewhere);
	struct kolk_pool_options o = one_connection(NULL);
	struct kolk_lease lease;
	struct wire w = { 0 };
	char first[64], then[64];

	MUST(second != NULL && wire_origin(&w, NULL) && wire_engine(&w, NULL));
	snprintf(first, sizeof first, "%s:%u", by_name ? "localhost" : "127.0.0.1",
		 kit_origin_port(w.origin));
	snprintf(then, sizeof then, "127.0.0.1:%u", kit_origin_port(second));
	o.address = first;
	MUST(wire_pool(&w, &o));
	MUST(CHECK_ERR(kolk_acquire(w.key, 0, &lease), KOLK_OK));
	o.address = then;
	MUST(swap(&w, &o));
	CHECK_ERR(wire_exchange(&lease, "still with the first\n"), KOLK_OK);
	CHECK(kit_origin_counts(w.origin).answered == 1);
	CHECK_ERR(kolk_discard(&lease), KOLK_OK);
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	CHECK(kit_origin_counts(second).answered == 1 && kit_origin_counts(w.origin).accepted == 1);
	CHECK_ERR(kolk_acquire(w.key, 0, &lease), KOLK_OK);
	MUST(swap(&w, &o)); /* and the end of everything while a link of the second is open */
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	wire_close(&w);
	kit_origin_close(second);
}

static void swapped(void)
{
	links_keep_their_upstream(false);
}

static void swapped_name(void)
{
	links_keep_their_upstream(true);
}

/* ---- the same peer, or another */

struct spelling {
	const char *format, *bind, *server_name; /* format: of the port */
	bool tls, same; /* as the one before */
};

/* A connection stays when the pool is given the same peer in another spelling, and only then. */
static void update_all(const struct spelling *spellings, int count, const struct kit_cert *cert)
{
	struct kit_origin_options origin = { .cert = cert };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_pool_options o = one_connection(NULL);
	struct wire w = { 0 };
	char address[64];

	tls.ca_file = wire_certs.ca_path;
	o.address = address;
	MUST(wire_origin(&w, &origin) && wire_engine(&w, NULL));
	for (int i = 0; i < count; i++) {
		const struct spelling *s = &spellings[i];

		snprintf(address, sizeof address, s->format, kit_origin_port(w.origin));
		o.bind_address = s->bind;
		tls.server_name = s->server_name;
		o.tls = s->tls ? &tls : NULL;
		MUST(i == 0 ? wire_pool(&w, &o) : swap(&w, &o));
		if (i > 0 && !CHECK(WITHIN_MS(1000, wire_stats(w.pool).open == s->same)))
			tap_note("%s is %s", address, s->same ? "the same" : "another");
		CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	}
	wire_close(&w);
}

static void same_or_another(void)
{
	static const struct spelling plain[] = {
		{ "127.0.0.1:%u", NULL, NULL, false, false },
		{ "tcp://127.0.0.1.:0%u", NULL, NULL, false, true },
		{ "127.0.0.1:%u", "127.0.0.1", NULL, false, false },
		{ "localhost:%u", "127.0.0.1", NULL, false, false },
		{ "LocalHost.:%u", "127.0.0.1", NULL, false, true },
		{ "localhost:%u", "127.0.0.2", NULL, false, false },
	};
	static const struct spelling tls[] = {
		{ "127.0.0.1:%u", NULL, NULL, true, false },
		{ "tls://127.0.0.1:%u", NULL, "127.0.0.1", true, true },
		{ "127.0.0.1:%u", NULL, "localhost", true, false },
		{ "127.0.0.1:%u", NULL, "LOCALHOST.", true, true },
		{ "localhost:%u", NULL, NULL, true, false },
	};

	update_all(plain, sizeof plain / sizeof plain[0], NULL);
	update_all(tls, sizeof tls / sizeof tls[0], &wire_certs.good);
}

/* "tls://" alone is TLS with the defaults, and that is not the same as none. */
static void tls_by_prefix(void)
{
	struct kolk_pool_options o = one_connection(NULL);
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);
	char address[160];
	struct wire w = { 0 };

	if (access("/etc/ssl/certs/ca-certificates.crt", R_OK) != 0) {
		tap_skip("this system has no anchors");
		return;
	}
	MUST(wire_origin(&w, NULL) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	snprintf(address, sizeof address, "tls://%s", w.address);
	o.address = address;
	MUST(swap(&w, &o));
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).open == 0));
	CHECK_ERR(kolk_pool_inspect(w.pool, &info), KOLK_OK);
	CHECK(info.tls == 1);
	wire_close(&w);
}

/* ---- a gate: a handshake goes through it when the test says so */

static int gate_open(struct wire *w)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	socklen_t size = sizeof here;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (!CHECK(bind(fd, (struct sockaddr *)&here, size) == 0 && listen(fd, 8) == 0 &&
		   getsockname(fd, (struct sockaddr *)&here, &size) == 0))
		return -1;
	snprintf(w->address, sizeof w->address, "127.0.0.1:%u", ntohs(here.sin_port));
	return fd;
}

static bool pass(int from, int to)
{
	char bytes[4096];
	ssize_t got = recv(from, bytes, sizeof bytes, 0);

	return got > 0 && send(to, bytes, (size_t)got, MSG_NOSIGNAL) == got;
}

/* Let the bytes at the gate through, both ways, until the pool has an idle connection. A client
 * that resumes a session is ready when its last flight was sent: that goes through, too. */
static bool gate_pass(struct wire *w, int client)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(kit_origin_port(w->origin)) };
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd polled[2] = { { .fd = client, .events = POLLIN },
				    { .fd = server, .events = POLLIN } };
	bool fine, ready = false;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fine = CHECK(connect(server, (struct sockaddr *)&to, sizeof to) == 0);
	for (int i = 0; fine && !ready && i < 1000; i++) {
		ready = wire_stats(w->pool).idle == 1;
		poll(polled, 2, ready ? 0 : 5);
		for (int side = 0; fine && side < 2; side++)
			if (polled[side].revents != 0)
				fine = pass(polled[side].fd, polled[1 - side].fd);
	}
	fine = CHECK(fine && ready);
	(void)kolk_pool_clear(w->pool);
	fine = fine && CHECK(WITHIN_MS(2000, wire_stats(w->pool).open == 0));
	close(server);
	return fine;
}

static bool gated_dial(struct wire *w, int gate, bool forget, const struct kolk_pool_options *o)
{
	struct kolk_lease nothing;
	bool fine;
	int client;

	CHECK_ERR(kolk_try_acquire(w->key, &nothing), KOLK_E_EMPTY);
	client = accept4(gate, NULL, NULL, SOCK_CLOEXEC);
	/* Its first flight has come: the session to offer was chosen before. */
	fine = CHECK(recv(client, &(char){ 0 }, 1, MSG_PEEK) == 1);
	if (forget)
		kolk__tls_sessions_forget(w->engine->transport, &w->key->tls_sessions);
	if (o != NULL)
		fine = fine && swap(w, o);
	fine = fine && gate_pass(w, client);
	close(client);
	return fine;
}

/* TLS 1.3 tickets come after the handshake, with the next read: there is none here. */
static bool tickets_come_in_time(void)
{
	if (strstr(kolk_tls_text(), "TLS 1.2") != NULL)
		return true;
	tap_skip("TLS 1.3 tickets come later");
	return false;
}

/* Two dials. The second resumes what the first left, unless that was forgotten while the first
 * one's handshake was under way. An update that says the same forgets nothing. */
static void forgotten_on_the_way(bool forget, bool updated, uint64_t resumed)
{
	struct kit_origin_options origin = { .cert = &wire_certs.good };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_pool_options o = one_connection(&tls);
	struct wire w = { 0 };
	int gate = -1;

	tls.ca_file = wire_certs.ca_path;
	tls.server_name = "localhost";
	MUST(wire_origin(&w, &origin) && (gate = gate_open(&w)) >= 0);
	o.address = w.address;
	MUST(wire_engine(&w, NULL) && wire_pool(&w, &o));
	MUST(gated_dial(&w, gate, forget, updated ? &o : NULL));
	CHECK(kit_origin_counts(w.origin).resumed == 0);
	MUST(gated_dial(&w, gate, false, NULL));
	/* A client that resumes is done before its peer is. */
	CHECK(WITHIN_MS(1000, kit_origin_counts(w.origin).handshakes == 2));
	CHECK(kit_origin_counts(w.origin).resumed == resumed);
	MUST(gated_dial(&w, gate, false, NULL)); /* and then it is as it was */
	CHECK(WITHIN_MS(1000, kit_origin_counts(w.origin).resumed == resumed + 1));
	wire_close(&w);
	close(gate);
}

static void kept(void)
{
	if (tickets_come_in_time())
		forgotten_on_the_way(false, false, 1);
}

static void forgotten(void)
{
	if (tickets_come_in_time())
		forgotten_on_the_way(true, false, 0);
}

static void kept_by_an_update(void)
{
	if (tickets_come_in_time())
		forgotten_on_the_way(false, true, 1);
}

static bool request_and_end(struct wire *w)
{
	uint64_t ended = kit_origin_counts(w->origin).ended;

	return CHECK_ERR(wire_request(w->key, "hello\n"), KOLK_OK) &&
	       CHECK(WITHIN_MS(1000, kit_origin_counts(w->origin).ended > ended)) &&
	       CHECK(WITHIN_MS(1000, wire_stats(w->pool).open == 0));
}

static void stored_and_forgotten(void)
{
	struct kit_origin_options origin = { .behaviour = KIT_CLOSE, .after = 1,
					     .cert = &wire_certs.good };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_pool_options o = one_connection(&tls);
	struct wire w = { 0 };
	uint64_t before;

	tls.ca_file = wire_certs.ca_path;
	MUST(wire_origin(&w, &origin) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	kolk__tls_sessions_forget(w.engine->transport, &w.key->tls_sessions); /* none: no harm */
	for (int i = 0; i < 5; i++)
		MUST(request_and_end(&w));
	before = kit_origin_counts(w.origin).resumed;
	CHECK(before > 0);
	kolk__tls_sessions_forget(w.engine->transport, &w.key->tls_sessions);
	MUST(request_and_end(&w));
	CHECK(kit_origin_counts(w.origin).resumed == before);
	for (int i = 0; i < 5; i++)
		MUST(request_and_end(&w));
	CHECK(kit_origin_counts(w.origin).resumed > before);
	wire_close(&w);
}

/* Dials of a cold burst wait for the first one's session; it is forgotten again and again. */
static void forgotten_in_a_burst(void)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kit_origin_options origin = { .cert = &wire_certs.good };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct wire w = { 0 };

	engine.loops = 4;
	tls.ca_file = wire_certs.ca_path;
	o.tls = &tls;
	o.connections_max = o.idle_min = o.dials_max = 8;
	MUST(wire_origin(&w, &origin) && wire_engine(&w, &engine) && wire_pool(&w, &o));
	for (int i = 0; i < 20; i++) {
		CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
		for (int n = 0; n < 20 && wire_stats(w.pool).idle < 8; n++) {
			kolk__tls_sessions_forget(w.engine->transport, &w.key->tls_sessions);
			usleep((unsigned)(n * 397 % 3000));
		}
		CHECK(WITHIN_MS(5000, wire_stats(w.pool).idle == 8));
		(void)kolk_pool_clear(w.pool);
	}
	wire_close(&w);
}

/* ---- addresses */

static void abstract_socket(void)
{
	struct sockaddr_un here = { .sun_family = AF_UNIX };
	struct kolk_pool_options o = one_connection(NULL);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct kolk_lease lease;
	struct wire w = { 0 };
	char address[64];
	socklen_t size;

	snprintf(address, sizeof address, "unix:@kolk-wire-%d", getpid());
	memcpy(here.sun_path + 1, address + 6, strlen(address + 6));
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address + 6));
	MUST(bind(listener, (struct sockaddr *)&here, size) == 0 && listen(listener, 4) == 0);
	o.address = address;
	MUST(wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(kolk_acquire(w.key, kolk_in_ms(2000), &lease), KOLK_OK);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	wire_close(&w);
	close(listener);
}

/* A link-local address of this machine as "[v6%interface]:". */
static bool link_local(char *text, size_t size)
{
	struct ifaddrs *all = NULL;
	char number[INET6_ADDRSTRLEN] = "";
	bool found = false;

	if (getifaddrs(&all) != 0)
		return false;
	for (struct ifaddrs *one = all; one != NULL && !found; one = one->ifa_next) {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)one->ifa_addr;

		if (v6 == NULL || v6->sin6_family != AF_INET6 ||
		    !IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr) || !(one->ifa_flags & IFF_RUNNING))
			continue;
		inet_ntop(AF_INET6, &v6->sin6_addr, number, sizeof number);
		snprintf(text, size, "[%s%%%s]:", number, one->ifa_name);
		found = true;
	}
	freeifaddrs(all);
	return found;
}

static void zone(void)
{
	struct sockaddr_in6 here = { .sin6_family = AF_INET6 };
	struct kolk_pool_options o = one_connection(NULL);
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof here;
	struct kolk_lease lease;
	struct wire w = { 0 };
	char address[128];

	if (listener < 0 || !link_local(address, sizeof address)) {
		tap_skip("no link-local address here");
		return;
	}
	MUST(bind(listener, (struct sockaddr *)&here, size) == 0 && listen(listener, 4) == 0 &&
	     getsockname(listener, (struct sockaddr *)&here, &size) == 0);
	snprintf(address + strlen(address), 8, "%u", ntohs(here.sin6_port));
	o.address = address;
	MUST(wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(kolk_acquire(w.key, kolk_in_ms(2000), &lease), KOLK_OK);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	wire_close(&w);
	close(listener);
}

static const struct tap_test tests[] = {
	{ "files count by their content", files_by_content },
	{ "links keep their upstream", swapped },
	{ "links keep their upstream, found by name", swapped_name },
	{ "other spellings are the same peer, other peers are not", same_or_another },
	{ "TLS by a prefix is TLS", tls_by_prefix },
	{ "a session is kept", kept },
	{ "a session that is forgotten on its way is not kept", forgotten },
	{ "a session is kept by an update that says the same", kept_by_an_update },
	{ "stored sessions are forgotten", stored_and_forgotten },
	{ "sessions are forgotten in the middle of a cold burst", forgotten_in_a_burst },
	{ "an abstract Unix socket", abstract_socket },
	{ "an address with a zone", zone },
};
TAP_TESTS(upstream, tests);
