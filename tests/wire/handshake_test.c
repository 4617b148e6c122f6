/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handshake_test.c - a proxy with one fault per TLS handshake: at every position in both
 * directions it stalls, cuts, or flips a bit. The server is an origin of the tests', or a listener.
 *
 * A dial with a fault may fail with any typed error. It may only succeed when the connection
 * then works (a flip can hit what TLS does not protect, as a record's version).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/kit/certs.h"
#include "tests/wire/listening.h"

enum { CALLERS = 16, DIRECTIONS = 64, STALL_MS = 200 };
enum fault { STALL, CUT, FLIP, FAULTS };

struct plan {
	enum fault fault;
	int to_client; /* direction */
	uint64_t position;
};

struct direction {
	int fd[2];        /* client's, server's */
	uint64_t moved[2]; /* from client, from server */
	struct plan plan;
	bool fault, stalled[2];
};

struct proxy {
	int listener;
	uint16_t port, origin_port;
	pthread_t thread;
	struct direction directions[DIRECTIONS];
	struct plan *plans;
	kolk__atomic_u64 count, next;
	kolk__atomic_u64 length[2]; /* of an unhurt handshake, both directions */
	kolk__atomic_u32 stop;
};

static int connected(uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

static void direction_close(struct direction *direction)
{
	close(direction->fd[0]);
	close(direction->fd[1]);
	direction->fd[0] = direction->fd[1] = -1;
}

static void direction_open(struct proxy *proxy)
{
	int fd = accept(proxy->listener, NULL, NULL), one = 1;
	uint64_t i = kolk__add_relaxed(&proxy->next, 1);

	for (int l = 0; l < DIRECTIONS; l++) {
		struct direction *direction = &proxy->directions[l];

		if (direction->fd[0] >= 0)
			continue;
		*direction = (struct direction){ .fd = { fd, connected(proxy->origin_port) } };
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		direction->fault = i < kolk__load_acquire(&proxy->count);
		if (direction->fault)
			direction->plan = proxy->plans[i];
		return;
	}
	close(fd);
}

/* Move the bytes of one side to the other, with the fault at its position. */
static void direction_move(struct proxy *proxy, struct direction *direction, int from)
{
	uint8_t bytes[4096];
	ssize_t got = recv(direction->fd[from], bytes, sizeof bytes, MSG_DONTWAIT);
	uint64_t at = direction->moved[from], place = direction->plan.position - at;
	bool here = direction->fault && direction->plan.to_client == from && place < (uint64_t)got;
	size_t size = (size_t)got;

	if (got <= 0) {
		direction_close(direction);
		return;
	}
	if (here && direction->plan.fault == FLIP)
		bytes[place] ^= (uint8_t)(1 << direction->plan.position % 8);
	else if (here)
		size = (size_t)place;
	if (size > 0 && send(direction->fd[1 - from], bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
		direction->stalled[from] = true;
	direction->moved[from] += (uint64_t)got;
	if (!direction->fault)
		kolk__store_relaxed(&proxy->length[from], direction->moved[from]);
	if (here && direction->plan.fault == CUT)
		direction_close(direction);
	else if (here && direction->plan.fault == STALL)
		direction->stalled[from] = true;
}

static void *proxy_run(void *arg)
{
	struct pollfd polled[1 + 2 * DIRECTIONS];
	struct proxy *proxy = arg;

	while (!kolk__load_relaxed(&proxy->stop)) {
		polled[0] = (struct pollfd){ .fd = proxy->listener, .events = POLLIN };
		for (int l = 0; l < 2 * DIRECTIONS; l++) {
			struct direction *direction = &proxy->directions[l / 2];

			/* One that is stalled is still watched for its end: POLLHUP, POLLERR. */
			polled[1 + l] = (struct pollfd){
				.fd = direction->fd[l % 2],
				.events = direction->stalled[l % 2] ? POLLRDHUP : POLLIN };
		}
		poll(polled, 1 + 2 * DIRECTIONS, 20);
		for (int l = 0; l < 2 * DIRECTIONS; l++) {
			struct direction *direction = &proxy->directions[l / 2];

			if (polled[1 + l].revents == 0 || direction->fd[0] != polled[1 + l / 2 * 2].fd)
				continue;
			if (direction->stalled[l % 2])
				direction_close(direction);
			else
				direction_move(proxy, direction, l % 2);
		}
		if (polled[0].revents != 0)
			direction_open(proxy);
	}
	return NULL;
}

static bool proxy_open(struct proxy *proxy, uint16_t to)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	socklen_t size = sizeof here;

	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memset(proxy, 0, sizeof *proxy);
	for (int l = 0; l < DIRECTIONS; l++)
		proxy->directions[l].fd[0] = proxy->directions[l].fd[1] = -1;
	proxy->origin_port = to;
	proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(proxy->listener, (struct sockaddr *)&here, size) != 0 ||
	    listen(proxy->listener, DIRECTIONS) != 0 ||
	    getsockname(proxy->listener, (struct sockaddr *)&here, &size) != 0)
		return false;
	proxy->port = ntohs(here.sin_port);
	return pthread_create(&proxy->thread, NULL, proxy_run, proxy) == 0;
}

static void proxy_close(struct proxy *proxy)
{
	kolk__store_relaxed(&proxy->stop, 1);
	pthread_join(proxy->thread, NULL);
	for (int l = 0; l < DIRECTIONS; l++)
		if (proxy->directions[l].fd[0] >= 0)
			direction_close(&proxy->directions[l]);
	close(proxy->listener);
	free(proxy->plans);
}

/* ---- the dials */

struct dials {
	struct wire *w;
	struct proxy *proxy;
	kolk__atomic_u32 callers;
	kolk__atomic_u64 worked, typed[64]; /* by -code */
};

static bool is_expected(enum kolk_err err)
{
	return err == KOLK_E_TLS || err == KOLK_E_TLS_VERIFY || err == KOLK_E_CLOSED ||
	       err == KOLK_E_RESET || err == KOLK_E_DIAL_TIMEOUT || err == KOLK_E_TLS_TRUNCATED ||
	       err == KOLK_E_TIMEOUT;
}

/* With TLS 1.3 the client is done before the server has read its last bytes: a fault there shows at
 * the first request. */
static enum kolk_err exchange(const struct kolk_lease *lease)
{
	static const char line[] = "unhurt\n";
	uint64_t deadline_ns = kolk_in_ms(500);
	size_t size = 0, got;
	char answer[sizeof line];
	enum kolk_err err = kolk_send_all(lease, line, strlen(line), deadline_ns);

	while (err == KOLK_OK && size < strlen(line)) {
		err = kolk_recv(lease, answer + size, sizeof answer - size, deadline_ns, &got);
		size += got;
	}
	if (err == KOLK_OK && memcmp(answer, line, size) != 0)
		err = KOLK_E_PROTOCOL;
	return err;
}

static void *dial_all(void *arg)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	struct dials *d = arg;
	struct kolk_lease lease;
	struct kolk_key *key;
	char tenant[16];

	/* A key each: one that fails is probed by one dial at a time. */
	snprintf(tenant, sizeof tenant, "caller%u", kolk__add_relaxed(&d->callers, 1));
	o.tenant = tenant;
	if (!CHECK_ERR(kolk_key_open(d->w->pool, &o, &key), KOLK_OK))
		return NULL;
	while (kolk__load_relaxed(&d->proxy->next) < kolk__own(&d->proxy->count)) {
		enum kolk_err err = kolk_acquire(key, kolk_in_ms(20000), &lease);

		if (err == KOLK_OK) {
			err = exchange(&lease);
			kolk__add_relaxed(&d->worked, err == KOLK_OK);
			(void)kolk_discard(&lease);
		}
		if (err == KOLK_OK)
			continue;
		if (!CHECK(is_expected(err)))
			tap_note("%s", kolk_err_name(err));
		kolk__add_relaxed(&d->typed[-(int)err % 64], 1);
	}
	kolk_key_close(key);
	return NULL;
}

static void plan_all(struct proxy *proxy, uint64_t stride)
{
	uint64_t length[2] = { kolk__load_relaxed(&proxy->length[0]),
			       kolk__load_relaxed(&proxy->length[1]) };
	uint64_t i = 0;

	proxy->plans = calloc((length[0] + length[1] + 2) * FAULTS,
			      sizeof *proxy->plans);
	for (int to_client = 0; to_client < 2; to_client++)
		for (uint64_t at = 0; at < length[to_client]; at += stride)
			for (int fault = 0; fault < FAULTS; fault++)
				proxy->plans[i++] = (struct plan){ (enum fault)fault, to_client, at };
	kolk__store_release(&proxy->count, i);
}

static void report(struct dials *d)
{
	struct proxy *proxy = d->proxy;

	tap_note("%llu + %llu bytes, %llu handshakes hurt; %llu worked all the same, %llu "
		 "E_TLS, "
		 "%llu E_TLS_VERIFY, %llu E_CLOSED, %llu E_DIAL_TIMEOUT",
		 (unsigned long long)kolk__load_relaxed(&proxy->length[0]),
		 (unsigned long long)kolk__load_relaxed(&proxy->length[1]),
		 (unsigned long long)kolk__own(&proxy->count),
		 (unsigned long long)kolk__own(&d->worked),
		 (unsigned long long)kolk__own(&d->typed[-KOLK_E_TLS]),
		 (unsigned long long)kolk__own(&d->typed[-KOLK_E_TLS_VERIFY]),
		 (unsigned long long)kolk__own(&d->typed[-KOLK_E_CLOSED]),
		 (unsigned long long)kolk__own(&d->typed[-KOLK_E_DIAL_TIMEOUT]));
	/* Of the flips, few hit what is not protected; a stall or a cut never works. */
	CHECK(kolk__own(&d->worked) < kolk__own(&proxy->count) / 20 + 10);
}

/* All dials, through a proxy to a server at this port, that ca_file certifies by this name. */
static void hurt_all(struct proxy *proxy, uint16_t port, const char *ca_file, const char *name)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	pthread_t threads[CALLERS];
	struct wire w = { 0 };
	struct kolk_lease lease;
	struct dials d = { .w = &w, .proxy = proxy };

	engine.loops = 2;
	engine.connections_max = CALLERS + 1;
	tls.ca_file = ca_file;
	tls.server_name = name;
	tls.resume_off = 1;
	o.tls = &tls;
	o.connections_max = 1;
	o.dials_max = CALLERS;
	o.idle_min = KOLK_NONE;
	o.tls_timeout_ns = STALL_MS * KOLK_MS_NS;
	o.retry_interval_ns = o.retry_max_ns = 10 * KOLK_US_NS;
	o.circuit_failures = KOLK_NONE; /* the dials fail on purpose */
	MUST(proxy_open(proxy, port));
	snprintf(w.address, sizeof w.address, "127.0.0.1:%u", proxy->port);
	MUST(wire_engine(&w, &engine) && wire_pool(&w, &o));
	/* On a busy machine the first may take longer than a stall. */
	MUST(WITHIN_MS(5000, kolk_acquire(w.key, kolk_in_ms(5000), &lease) == KOLK_OK));
	kolk__store_relaxed(&proxy->next, 0);
	plan_all(proxy, wire_stride);
	(void)kolk_discard(&lease);
	for (int i = 0; i < CALLERS; i++)
		MUST(pthread_create(&threads[i], NULL, dial_all, &d) == 0);
	for (int i = 0; i < CALLERS; i++)
		pthread_join(threads[i], NULL);
	report(&d);
	(void)kolk_pool_clear(w.pool);
	CHECK(WITHIN_MS(2000, wire_stats(w.pool).open == 0));
	wire_close(&w);
	proxy_close(proxy);
}

static void every_byte(void)
{
	static struct proxy proxy;
	struct kit_origin_options origin = { .cert = &wire_certs.good };
	struct wire w = { 0 };

	MUST(wire_origin(&w, &origin));
	hurt_all(&proxy, kit_origin_port(w.origin), wire_certs.ca_path, "localhost");
	wire_close(&w);
}

/* It is left with nothing: no stream, no handshake, no memory. A stream that was shown is told its
 * end. */
static void every_byte_to_a_listener(void)
{
	static struct proxy proxy;
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct kolk_listener_tls tls = KOLK_INIT(kolk_listener_tls);
	struct kolk_certificate certificate;
	struct kolk_listener_stats stats;
	struct listening l = { 0 };
	struct kit_certs certs;

	MUST(CHECK(kit_certs_open(&certs)));
	certificate = (struct kolk_certificate){ certs.first.pem, certs.first.key };
	tls.certificates = &certificate;
	tls.certificate_count = 1;
	o.tls = &tls;
	o.handshake_timeout_ns = STALL_MS * KOLK_MS_NS;
	MUST(listening_open(&l, NULL, &o));
	hurt_all(&proxy, (uint16_t)atoi(strrchr(kolk_listener_address(l.listener), ':') + 1),
		 certs.authority.pem, "first.test");
	CHECK(WITHIN_MS(5000, listening_stats(&l).streams == 0));
	stats = listening_stats(&l);
	tap_note("%llu accepted: %u shown, %llu handshakes failed, %llu timed out",
		 (unsigned long long)stats.accepted, kolk__load_sc(&l.opened),
		 (unsigned long long)stats.handshake_failed,
		 (unsigned long long)stats.handshake_timeout);
	CHECK(stats.handshakes == 0);
	CHECK(stats.accepted == kolk__load_sc(&l.opened) + stats.handshake_failed +
					stats.handshake_timeout);
	CHECK(WITHIN_MS(2000, kolk__load_sc(&l.ended) == kolk__load_sc(&l.opened)));
	listening_close(&l);
	kit_certs_close(&certs);
}

static const struct tap_test tests[] = {
	{ "every byte of a TLS handshake: stalled, cut, flipped", every_byte },
	{ "every byte of a TLS handshake with a listener", every_byte_to_a_listener },
};
TAP_TESTS(handshake, tests);
