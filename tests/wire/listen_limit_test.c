/* SPDX-License-Identifier: Apache-2.0 */
/* listen_limit_test.c - listeners at their limits: streams, addresses, descriptors, PROXY headers. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/wire/listening.h"

static const char *address_of(struct listening *l)
{
	return kolk_listener_address(l->listener);
}

static bool ends(struct listening *l, uint32_t count)
{
	return WITHIN_MS(5000, kolk__load_sc(&l->ended) == count);
}

/* ---- streams */

/* Never more than that at once; who waits is served when another goes, on whatever loop it is. */
static void streams_are_bounded(void)
{
	enum { MAX = 5, CLIENTS = 40 };
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { 0 };
	int fd[CLIENTS];
	uint32_t served;

	o.streams_max = MAX;
	MUST(listening_open(&l, NULL, &o));
	for (int i = 0; i < CLIENTS; i++) {
		fd[i] = client_dial(address_of(&l));
		CHECK(fd[i] >= 0 && client_send(fd[i], &i, sizeof i));
	}
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.opened) == MAX));
	CHECK(NEVER_MS(50, kolk__load_sc(&l.opened) != MAX));
	CHECK(WITHIN_MS(5000, listening_stats(&l).paused == 2));
	CHECK(listening_stats(&l).streams == MAX);
	served = 0;
	while (served < CLIENTS && !tap_is_failing()) {
		bool any = WITHIN_MS(5000, kolk__load_sc(&l.opened) > served);

		CHECK(any);
		for (int i = 0; i < CLIENTS; i++) {
			int back = -1;

			if (fd[i] >= 0 && recv(fd[i], &back, sizeof back, MSG_DONTWAIT) > 0) {
				CHECK(back == i);
				close(fd[i]);
				fd[i] = -1;
				served++;
			}
		}
	}
	CHECK(ends(&l, CLIENTS));
	CHECK(kolk__load_sc(&l.most) <= MAX);
	CHECK(WITHIN_MS(5000, listening_stats(&l).paused == 0));
	listening_close(&l);
}

/* One at a time: no loop keeps the permit from the other. */
static void one_stream_at_a_time(void)
{
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { 0 };

	o.streams_max = 1;
	MUST(listening_open(&l, NULL, &o));
	for (int i = 0; i < 200 && !tap_is_failing(); i++) {
		int fd = client_dial(address_of(&l));

		if (!CHECK(client_echoes(fd, 10)))
			tap_note("%d: %u open, %u paused, %llu accepted, %u opened, %u ended", i,
				 listening_stats(&l).streams, listening_stats(&l).paused,
				 (unsigned long long)listening_stats(&l).accepted,
				 kolk__load_sc(&l.opened), kolk__load_sc(&l.ended));
		close(fd);
	}
	CHECK(ends(&l, 200));
	CHECK(kolk__load_sc(&l.most) == 1);
	listening_close(&l);
}

static void addresses_are_bounded(void)
{
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { 0 };
	int a, b, c;

	o.address_streams_max = 2;
	MUST(listening_open(&l, NULL, &o));
	a = client_dial(address_of(&l));
	b = client_dial(address_of(&l));
	CHECK(client_echoes(a, 10) && client_echoes(b, 10));
	c = client_dial(address_of(&l));
	CHECK(client_next(c) == -ECONNRESET);
	CHECK(listening_stats(&l).refused_address == 1);
	close(c);
	close(a);
	CHECK(ends(&l, 1));
	CHECK(WITHIN_MS(5000, listening_stats(&l).streams == 1));
	c = client_dial(address_of(&l));
	CHECK(client_echoes(c, 10));
	close(b);
	close(c);
	CHECK(ends(&l, 3));
	listening_close(&l);
}

/* ---- descriptors */

static void survives_without_descriptors(void)
{
	enum { CLIENTS = 30 };
	struct listening l = { 0 };
	struct rlimit limit, none;
	int fd[CLIENTS + 1];

	MUST(listening_open(&l, NULL, NULL));
	for (int i = 0; i < CLIENTS; i++)
		fd[i] = client_begin(address_of(&l));
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.opened) == CLIENTS));
	fd[CLIENTS] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	/* Not the numbers in use: an accept that finds nobody holds one for a moment. */
	none = (struct rlimit){ 0, limit.rlim_max };
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHECK(client_connect(fd[CLIENTS], address_of(&l)));
	CHECK(WITHIN_MS(5000, listening_stats(&l).accept_errors > 0));
	CHECK(WITHIN_MS(5000, listening_stats(&l).paused > 0));
	CHECK(kolk__load_sc(&l.opened) == CLIENTS);
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.opened) == CLIENTS + 1));
	CHECK(WITHIN_MS(5000, listening_stats(&l).paused == 0));
	for (int i = 0; i <= CLIENTS; i++)
		close(fd[i]);
	CHECK(ends(&l, CLIENTS + 1));
	listening_close(&l);
}

/* ---- PROXY headers */

#define HEADER "\r\n\r\n\0\r\nQUIT\n"

static struct kolk_stream_peer peer;

static void ask_peer(struct kolk_stream *stream)
{
	peer = (struct kolk_stream_peer)KOLK_INIT(kolk_stream_peer);
	kolk_stream_peer(stream, &peer);
}

static bool send_header(int fd, bool in_parts)
{
	static const char header[] = HEADER "\x21\x11\x00\x0f\xcb\x00\x71\x07\x0a\x00\x00\x01"
					    "\x30\x39\x01\xbb\x04\x00\x00";

	if (!in_parts)
		return client_send(fd, header, sizeof header - 1);
	for (size_t i = 0; i < sizeof header - 1; i++) {
		if (!client_send(fd, header + i, 1))
			return false;
		usleep(200);
	}
	return true;
}

static void reads_proxy_headers(void)
{
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { 0 };
	char got[5];
	int fd;

	o.proxy_protocol = 1;
	MUST(listening_open(&l, NULL, &o));
	for (int parts = 0; parts < 2; parts++) {
		fd = client_dial(address_of(&l));
		CHECK(send_header(fd, parts));
		CHECK(client_send(fd, "hello", 5));
		CHECK(client_recv(fd, got, 5) == 5 && memcmp(got, "hello", 5) == 0);
		listening_call(&l, ask_peer);
		CHECK(peer.proxied == 1 && strcmp(peer.address, "203.0.113.7") == 0);
		CHECK(peer.port == 12345 && peer.local_port == 443);
		CHECK(strcmp(peer.local_address, "10.0.0.1") == 0);
		close(fd);
	}
	fd = client_dial(address_of(&l)); /* LOCAL: a health check of the proxy */
	CHECK(client_send(fd, HEADER "\x20\x00\x00\x00" "hello", 21));
	CHECK(client_recv(fd, got, 5) == 5);
	listening_call(&l, ask_peer);
	CHECK(peer.proxied == 0 && strcmp(peer.address, "127.0.0.1") == 0);
	close(fd);
	CHECK(ends(&l, 3));
	fd = client_dial(address_of(&l));
	CHECK(client_send(fd, "GET / HTTP/1.1\r\n\r\n", 18));
	CHECK(client_next(fd) == -ECONNRESET);
	close(fd);
	CHECK(listening_stats(&l).proxy_failed == 1 && kolk__load_sc(&l.opened) == 3);
	CHECK(WITHIN_MS(5000, listening_stats(&l).streams == 0));
	CHECK(listening_stats(&l).handshakes == 0);
	listening_close(&l);
}

/* Who never sends it goes after the time-out. The limit of addresses is the clients', not the
 * proxy's. */
static void proxy_headers_are_bounded(void)
{
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { 0 };
	uint64_t began_ms = tap_now_ms();
	int a, b;

	o.proxy_protocol = 1;
	o.handshake_timeout_ns = 100 * KOLK_MS_NS;
	o.address_streams_max = 1;
	MUST(listening_open(&l, NULL, &o));
	a = client_dial(address_of(&l));
	CHECK(client_send(a, "\r\n\r\n", 4));
	CHECK(client_next(a) == -ECONNRESET);
	CHECK(tap_now_ms() - began_ms >= 100);
	CHECK(listening_stats(&l).handshake_timeout == 1);
	close(a);
	a = client_dial(address_of(&l));
	CHECK(send_header(a, false) && client_echoes(a, 10));
	b = client_dial(address_of(&l));
	CHECK(client_send(b, HEADER "\x20\x00\x00\x00", 16) && client_echoes(b, 10));
	close(b);
	b = client_dial(address_of(&l));
	CHECK(send_header(b, false));
	CHECK(client_next(b) == -ECONNRESET);
	CHECK(listening_stats(&l).refused_address == 1);
	close(a);
	close(b);
	listening_close(&l);
}

static const struct tap_test tests[] = {
	{ "at most streams_max at once, and who waits is served", streams_are_bounded },
	{ "one stream at a time, whatever loop it is on", one_stream_at_a_time },
	{ "at most address_streams_max of an address", addresses_are_bounded },
	{ "out of descriptors, and back", survives_without_descriptors },
	{ "PROXY headers", reads_proxy_headers },
	{ "PROXY headers that do not come, and limits behind them", proxy_headers_are_bounded },
};
TAP_TESTS(listen_limit, tests);
