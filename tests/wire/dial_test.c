/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial_test.c - dials that seem to succeed: a listener that is full, a peer that hangs up, a
 * connection to oneself.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/wire/wire.h"

/* ---- a Unix listener with a queue of one */

struct full {
	int fd;
	char address[80];
};

static bool full_open(struct full *full)
{
	struct sockaddr_un here = { .sun_family = AF_UNIX };

	snprintf(full->address, sizeof full->address, "unix:@kolk-full-%d", getpid());
	memcpy(here.sun_path, full->address + 5, strlen(full->address + 5));
	here.sun_path[0] = 0;
	full->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return CHECK(bind(full->fd, (struct sockaddr *)&here,
			  (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				      strlen(full->address + 5))) == 0 &&
		     listen(full->fd, 0) == 0);
}

static bool full_pool(struct wire *w, const struct full *full, uint64_t connect_ns)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.address = full->address;
	o.connections_max = 8;
	o.idle_min = KOLK_NONE;
	o.connect_timeout_ns = connect_ns;
	o.circuit_failures = KOLK_NONE;
	return wire_engine(w, NULL) && wire_pool(w, &o);
}

/* Leases until the listener's queue is full; their count. */
static int fill(struct wire *w, struct kolk_lease *leases, int most, enum kolk_err *err)
{
	int count = 0;

	while (count < most && (*err = kolk_acquire(w->key, kolk_in_ms(5000), &leases[count])) ==
				       KOLK_OK)
		count++;
	return count;
}

/* There is no accept: a connection that was not queued fails when the connect timeout is over, not
 * before. */
static void full_for_ever(void)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_lease leases[8];
	struct full full;
	struct wire w = { 0 };
	enum kolk_err err = KOLK_OK;
	uint64_t began_ms;
	int count;

	MUST(full_open(&full) && full_pool(&w, &full, 300 * KOLK_MS_NS));
	began_ms = tap_now_ms();
	count = fill(&w, leases, 8, &err);
	CHECK(count >= 1 && count <= 2);
	CHECK_ERR(err, KOLK_E_DIAL_TIMEOUT);
	CHECK(tap_now_ms() - began_ms >= 290);
	CHECK(kolk_key_failure(w.key, &failure) && failure.phase == KOLK_PHASE_CONNECT);
	CHECK(wire_stats(w.pool).created == (uint64_t)count);
	for (int i = 0; i < count; i++)
		CHECK_ERR(kolk_release(&leases[i]), KOLK_OK);
	wire_close(&w);
	close(full.fd);
}

static void *accept_later(void *arg)
{
	const struct full *full = arg;

	usleep(150000);
	for (int i = 0; i < 8; i++)
		(void)accept(full->fd, NULL, NULL); /* closed with the listener's process */
	return NULL;
}

static void full_for_a_while(void)
{
	struct kolk_lease leases[8];
	struct full full;
	struct wire w = { 0 };
	enum kolk_err err = KOLK_OK;
	pthread_t thread;
	int count;

	MUST(full_open(&full) && full_pool(&w, &full, 5 * KOLK_S_NS));
	MUST(pthread_create(&thread, NULL, accept_later, &full) == 0);
	count = fill(&w, leases, 8, &err);
	CHECK(count == 8);
	CHECK(wire_stats(w.pool).dial_failed == 0);
	for (int i = 0; i < count; i++)
		CHECK_ERR(kolk_release(&leases[i]), KOLK_OK);
	pthread_join(thread, NULL);
	wire_close(&w);
	close(full.fd);
}

/* A dial that is cancelled while it waits for the next attempt. */
static void full_and_cancelled(void)
{
	struct kolk_lease leases[2], nothing;
	struct full full;
	struct wire w = { 0 };
	int count = 0;

	MUST(full_open(&full) && full_pool(&w, &full, 30 * KOLK_S_NS));
	while (count < 2 && kolk_acquire(w.key, kolk_in_ms(300), &leases[count]) == KOLK_OK)
		count++;
	CHECK_ERR(kolk_acquire(w.key, kolk_in_ms(200), &nothing), KOLK_E_TIMEOUT);
	for (int i = 0; i < count; i++)
		CHECK_ERR(kolk_release(&leases[i]), KOLK_OK);
	CHECK_ERR(kolk_pool_drain(w.pool, kolk_in_ms(100)), KOLK_OK);
	CHECK(WITHIN_MS(2000, kolk_pool_is_closed(w.pool)));
	wire_close(&w);
	close(full.fd);
}

/* ---- peers that hang up: dials stay few, and are reported */

struct closing_listener {
	int fd;
	pthread_t thread;
	char address[32];
	kolk__atomic_u64 accepted;
};

static void *accept_and_close(void *arg)
{
	struct closing_listener *closing_listener = arg;
	int fd;

	while ((fd = accept(closing_listener->fd, NULL, NULL)) >= 0) {
		close(fd);
		kolk__add_relaxed(&closing_listener->accepted, 1);
	}
	return NULL;
}

static bool closing_listener_open(struct closing_listener *closing_listener)
{
	struct sockaddr_in here = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof here;

	*closing_listener = (struct closing_listener){
		.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)
	};
	if (!CHECK(bind(closing_listener->fd, (struct sockaddr *)&here, size) == 0 &&
		   listen(closing_listener->fd, 128) == 0 &&
		   getsockname(closing_listener->fd, (struct sockaddr *)&here, &size) == 0))
		return false;
	snprintf(closing_listener->address, sizeof closing_listener->address, "127.0.0.1:%u",
		 ntohs(here.sin_port));
	return CHECK(pthread_create(&closing_listener->thread, NULL, accept_and_close,
				    closing_listener) == 0);
}

/* Warmed, and left alone for two seconds. */
static void must_be_few(struct wire *w)
{
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);
	struct kolk_stats stats;

	CHECK_ERR(kolk_key_warm(w->key, 0), KOLK_OK);
	usleep(2000000);
	stats = wire_stats(w->pool);
	CHECK(stats.dialled >= 3 && stats.dialled < 60);
	CHECK(stats.dial_failed >= 3);
	CHECK_ERR(kolk_pool_inspect(w->pool, &info), KOLK_OK);
	CHECK(info.dial_failures > 0);
	wire_close(w);
}

static void hangs_up(void)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct closing_listener closing_listener;
	struct wire w = { 0 };

	o.idle_min = 2;
	MUST(closing_listener_open(&closing_listener) && wire_engine(&w, NULL));
	o.address = closing_listener.address;
	MUST(wire_pool(&w, &o));
	must_be_few(&w);
	(void)shutdown(closing_listener.fd, SHUT_RDWR);
	pthread_join(closing_listener.thread, NULL);
	close(closing_listener.fd);
}

/* The exchange that makes a connection ready goes well. */
static void greets_and_hangs_up(const struct kit_cert *cert)
{
	struct kit_origin_options origin = { .cert = cert, .behaviour = KIT_CLOSE, .after = 1 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct wire w = { 0 };

	tls.ca_file = wire_certs.ca_path;
	o.tls = cert != NULL ? &tls : NULL;
	o.driver = kolk_driver_redis_ping();
	o.idle_min = 2;
	MUST(wire_origin(&w, &origin) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	must_be_few(&w);
}

static void hangs_up_after_pong(void)
{
	greets_and_hangs_up(NULL);
}

static void hangs_up_after_pong_tls(void)
{
	greets_and_hangs_up(&wire_certs.good);
}

/* ---- to oneself: the port without a listener is the one that the socket gets */

static void to_oneself(void)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kit_origin *origin = kit_origin_open(&(struct kit_origin_options){ 0 });
	struct wire w = { 0 };
	enum kolk_err err;
	char address[32];
	uint16_t port;

	MUST(origin != NULL);
	port = kit_origin_port(origin); /* that is free in a moment */
	kit_origin_close(origin);
	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	o.address = address;
	o.bind_port_min = o.bind_port_max = port;
	o.idle_min = KOLK_NONE;
	MUST(wire_engine(&w, NULL) && wire_pool(&w, &o));
	err = wire_request(w.key, "hello\n");
	if (err == KOLK_E_IO) /* IP_LOCAL_PORT_RANGE */
		tap_skip("this kernel is older than 6.3");
	else
		CHECK_ERR(err, KOLK_E_CONN_REFUSED);
	CHECK(wire_stats(w.pool).created == 0);
	wire_close(&w);
}

static const struct tap_test tests[] = {
	{ "a Unix listener that stays full is waited for until the time is over", full_for_ever },
	{ "a Unix listener that is full for a while is connected to", full_for_a_while },
	{ "a dial to a full Unix listener can be cancelled", full_and_cancelled },
	{ "a peer that accepts and hangs up is dialled seldom", hangs_up },
	{ "so is one that hangs up after PONG", hangs_up_after_pong },
	{ "so is one that does so over TLS", hangs_up_after_pong_tls },
	{ "a connection to oneself is none", to_oneself },
};
TAP_TESTS(dial, tests);
