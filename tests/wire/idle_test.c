/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle_test.c - connections that are idle for long, thousands at once: their keep-alive probes fall
 * due together, the kernel's queues drop many of them, and none of the connections may end.
 */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/kit/restarted.h"
#include "tests/wire/listening.h"

enum { CROWD = 2000 };

/* ---- sockets of this process */

static int number_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof value;

	return getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

static uint16_t port_of(int fd, bool peers)
{
	struct sockaddr_in at = { 0 };
	socklen_t size = sizeof at;
	int failed = peers ? getpeername(fd, (struct sockaddr *)&at, &size) :
			     getsockname(fd, (struct sockaddr *)&at, &size);

	return failed == 0 && at.sin_family == AF_INET ? ntohs(at.sin_port) : 0;
}

/* Those connections whose peer is at this port, or those that are there themselves. */
static uint32_t find(uint16_t port, bool peers, int fds[CROWD])
{
	uint32_t count = 0;

	for (int fd = 3; fd < 3 * CROWD && count < CROWD; fd++)
		if (port_of(fd, peers) == port && port_of(fd, true) != 0)
			fds[count++] = fd;
	return count;
}

static bool may_open(uint32_t files)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= files)
		return true;
	tap_skip("RLIMIT_NOFILE is too low for thousands of connections");
	return false;
}

/* ---- a server that accepts and says nothing, and a pool of idle connections to it */

struct crowd {
	struct wire w;
	int listener;
	int clients[CROWD], accepted[CROWD];
};

static bool accept_all(struct crowd *c)
{
	const struct timeval patience = { .tv_sec = 30 };

	setsockopt(c->listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	for (uint32_t i = 0; i < CROWD; i++) {
		c->accepted[i] = kit_accept(c->listener);
		if (!CHECK(c->accepted[i] >= 0))
			return false;
	}
	return true;
}

static bool crowd_open(struct crowd *c)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	c->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!CHECK(bind(c->listener, (struct sockaddr *)&at, sizeof at) == 0) ||
	    !CHECK(listen(c->listener, 1024) == 0))
		return false;
	snprintf(c->w.address, sizeof c->w.address, "127.0.0.1:%u", port_of(c->listener, false));
	e.loops = 1;
	e.connections_max = e.tenant_connections_max = CROWD;
	o.connections_max = o.pool_connections_max = o.idle_min = CROWD;
	o.dials_max = 64;
	o.idle_timeout_ns = KOLK_FOREVER;
	o.keepalive_ns = 2 * KOLK_S_NS;
	o.unacked_ns = 11 * KOLK_S_NS;
	return wire_engine(&c->w, &e) && wire_pool(&c->w, &o) &&
	       CHECK_ERR(kolk_pool_warm(c->w.pool, 0), KOLK_OK) && accept_all(c) &&
	       CHECK(WITHIN_MS(10000, wire_stats(c->w.pool).idle == CROWD)) &&
	       CHECK(find(port_of(c->listener, false), true, c->clients) == CROWD);
}

/* None has ended: there is none that was made in place of another one. */
static void crowd_close(struct crowd *c)
{
	struct kolk_stats stats = wire_stats(c->w.pool);

	CHECK(stats.idle == CROWD && stats.created == CROWD);
	wire_close(&c->w);
	for (uint32_t i = 0; i < CROWD; i++)
		close(c->accepted[i]);
	close(c->listener);
}

/* What is sent to these sockets is lost, or not any more. */
static bool lose(const int fds[CROWD], bool on)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog program = { .len = 1, .filter = &none };

	const int name = on ? SO_ATTACH_FILTER : SO_DETACH_FILTER;

	for (uint32_t i = 0; i < CROWD; i++)
		if (setsockopt(fds[i], SOL_SOCKET, name, &program, sizeof program) != 0)
			return false;
	return true;
}

/* How many have a probe that is not answered. */
static uint32_t unanswered(const int fds[CROWD])
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < CROWD; i++) {
		struct tcp_info info = { 0 };
		socklen_t size = sizeof info;

		if (getsockopt(fds[i], IPPROTO_TCP, TCP_INFO, &info, &size) == 0)
			count += info.tcpi_probes > 0;
	}
	return count;
}

/* As in a queue that is full, but the first probe of each: by themselves so few lose none. With more
 * than unacked_ns from one probe to the next, each of them would have been the end of its
 * connection. */
static void lost_probes_end_nothing(void)
{
	static struct crowd c;

	if (!may_open(2 * CROWD + 200))
		return;
	MUST(crowd_open(&c));
	if (!lose(c.accepted, true)) {
		tap_skip("sockets take no filter here");
		crowd_close(&c);
		return;
	}
	CHECK(WITHIN_MS(10000, unanswered(c.clients) == CROWD));
	CHECK(lose(c.accepted, false));
	CHECK(WITHIN_MS(20000, unanswered(c.clients) == 0));
	crowd_close(&c);
}

/* ---- what a listener accepts */

enum { ACCEPTED = 600 };

static bool accept_some(struct listening *l, const struct kolk_listener_options *o,
			int clients[ACCEPTED], int accepted[CROWD])
{
	if (!listening_open(l, NULL, o))
		return false;
	for (uint32_t i = 0; i < ACCEPTED; i++) {
		clients[i] = client_dial(kolk_listener_address(l->listener));
		if (!CHECK(clients[i] >= 0 && WITHIN_MS(10000, kolk__load_sc(&l->opened) == i + 1)))
			return false;
	}
	return CHECK(find(port_of(clients[0], true), false, accepted) == ACCEPTED);
}

static void end_some(struct listening *l, const int clients[ACCEPTED])
{
	for (uint32_t i = 0; i < ACCEPTED; i++)
		close(clients[i]);
	CHECK(WITHIN_MS(10000, kolk__load_sc(&l->ended) == ACCEPTED));
	listening_close(l);
}

static void accepted_ones_differ(void)
{
	static int clients[ACCEPTED], accepted[CROWD];
	uint32_t with[61] = { 0 }, most = 0;
	struct listening l = { .conduct = ECHO };

	if (!may_open(2 * ACCEPTED + 200))
		return;
	MUST(accept_some(&l, NULL, clients, accepted));
	for (uint32_t i = 0; i < ACCEPTED; i++) {
		int seconds = number_of(accepted[i], IPPROTO_TCP, TCP_KEEPIDLE);

		CHECK(number_of(accepted[i], SOL_SOCKET, SO_KEEPALIVE) == 1 &&
		      number_of(accepted[i], IPPROTO_TCP, TCP_KEEPINTVL) == 10 &&
		      number_of(accepted[i], IPPROTO_TCP, TCP_KEEPCNT) == 9);
		if (CHECK(seconds >= 30 && seconds <= 60))
			with[seconds]++;
	}
	for (uint32_t i = 30; i <= 60; i++)
		most = with[i] > most ? with[i] : most;
	tap_note("at most %u of %d have the same time", most, ACCEPTED);
	CHECK(most <= ACCEPTED / 4);
	end_some(&l, clients);
}

static void accepted_ones_without(void)
{
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	static int clients[ACCEPTED], accepted[CROWD];
	struct listening l = { .conduct = ECHO };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), system_s;

	system_s = number_of(fd, IPPROTO_TCP, TCP_KEEPIDLE);
	close(fd);
	if (!may_open(2 * ACCEPTED + 200))
		return;
	o.keepalive_ns = KOLK_FOREVER;
	MUST(accept_some(&l, &o, clients, accepted));
	for (uint32_t i = 0; i < ACCEPTED; i++)
		CHECK(number_of(accepted[i], SOL_SOCKET, SO_KEEPALIVE) == 0 &&
		      number_of(accepted[i], IPPROTO_TCP, TCP_KEEPIDLE) == system_s);
	end_some(&l, clients);
}

static const struct tap_test tests[] = {
	{ "idle connections: a lost probe ends none", lost_probes_end_nothing },
	{ "accepted connections are not probed all at once", accepted_ones_differ },
	{ "accepted connections without keep-alive", accepted_ones_without },
};
TAP_TESTS(idle, tests);
