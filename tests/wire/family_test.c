/* SPDX-License-Identifier: Apache-2.0 */
/* family_test.c - names with IPv6 and IPv4 addresses: which family is dialled when one is missing, is late, or
 * cannot be reached. Both listen at the same port of ::1 and of 127.0.0.1. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/kit/control.h"
#include "tests/wire/name_server.h"
#include "tests/wire/wire.h"

/* -1 = the port is taken there, or the machine does not have the family. */
static int listen_at(int family, uint16_t port, int backlog)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const struct sockaddr *here = family == AF_INET ? (struct sockaddr *)&v4 :
							  (struct sockaddr *)&v6;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && bind(fd, here, family == AF_INET ? sizeof v4 : sizeof v6) == 0 &&
	    listen(fd, backlog) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static uint32_t accepted(int listener)
{
	uint32_t count = 0;

	for (int fd; listener >= 0 && (fd = accept(listener, NULL, NULL)) >= 0; count++)
		close(fd);
	return count;
}

enum state { ACCEPTS, REFUSES, HOLE };

struct family_case {
	const char *name;
	uint32_t v6, v4; /* addresses in the answers; of v6 only the first is not a link-local one */
	enum state v6_state;
	uint32_t drops, refuses;
	int expected; /* the family that is dialled */
	uint64_t least_ms;
};

struct families {
	struct name_server server;
	struct wire wire;
	int v6, v4, filler[4];
	char address[32];
};

/* Fill the listener's queue: what comes then is dropped. */
static void fill_queue(struct families *f, uint16_t port)
{
	const struct sockaddr_in6 hole = { .sin6_family = AF_INET6, .sin6_port = htons(port),
					   .sin6_addr = IN6ADDR_LOOPBACK_INIT };

	for (int i = 0; i < 4; i++) {
		f->filler[i] = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(f->filler[i], (const struct sockaddr *)&hole, sizeof hole);
	}
}

static bool listen_both(struct families *f, enum state v6_state)
{
	struct sockaddr_in here;
	socklen_t size = sizeof here;

	f->v6 = -1;
	f->v4 = listen_at(AF_INET, 0, 8);
	if (!CHECK(f->v4 >= 0 && getsockname(f->v4, (struct sockaddr *)&here, &size) == 0))
		return false;
	snprintf(f->address, sizeof f->address, "both.test:%u", ntohs(here.sin_port));
	if (v6_state == REFUSES)
		return true;
	f->v6 = listen_at(AF_INET6, ntohs(here.sin_port), v6_state == HOLE ? 0 : 8);
	if (f->v6 < 0)
		return false;
	if (v6_state == HOLE)
		fill_queue(f, ntohs(here.sin_port));
	return true;
}

static void answers_both(struct name_server *server, const struct family_case *c)
{
	name_server_answers(server, c->v4, "127.0.0.1", "127.0.0.1", 100);
	pthread_mutex_lock(&server->lock);
	server->count6 = c->v6;
	server->drops = c->drops;
	server->refuses = c->refuses;
	server->address6[0] = in6addr_loopback;
	for (uint32_t i = 1; i < c->v6; i++) /* no interface is named: EINVAL, at once */
		server->address6[i] = (struct in6_addr){ .s6_addr = { 0xfe, 0x80, [15] = (uint8_t)i } };
	pthread_mutex_unlock(&server->lock);
}

/* connect_ms: the time-out; 0 = the default. */
static bool families_open_with(struct families *f, const struct family_case *c, uint64_t connect_ms)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	*f = (struct families){ .filler = { -1, -1, -1, -1 } };
	if (!name_server_open(&f->server) || !listen_both(f, c->v6_state))
		return false;
	answers_both(&f->server, c);
	o.address = f->address;
	o.name_servers = f->server.where;
	o.idle_min = KOLK_NONE;
	o.connect_timeout_ns = connect_ms * KOLK_MS_NS;
	return wire_engine(&f->wire, NULL) && wire_pool(&f->wire, &o);
}

static bool families_open(struct families *f, const struct family_case *c)
{
	return families_open_with(f, c, 0);
}

static void families_close(struct families *f)
{
	wire_close(&f->wire);
	for (int i = 0; i < 4; i++)
		if (f->filler[i] >= 0)
			close(f->filler[i]);
	if (f->v6 >= 0)
		close(f->v6);
	close(f->v4);
	name_server_close(&f->server);
}

/* One dial, whatever became of its attempts. */
static bool dialled_once(struct families *f, const struct family_case *c)
{
	struct kolk_stats stats;
	struct kolk_lease lease;
	uint64_t began_ms = tap_now_ms();
	bool right;

	if (!CHECK_ERR(kolk_acquire(f->wire.key, kolk_in_ms(3000), &lease), KOLK_OK))
		return false;
	right = CHECK(tap_now_ms() - began_ms >= c->least_ms);
	stats = wire_stats(f->wire.pool);
	right = CHECK(stats.dialled == 1 && stats.created == 1 && stats.dial_failed == 0 &&
		      stats.dial.count == 1) && right;
	if (c->v6_state == ACCEPTS)
		right = CHECK(accepted(f->v6) == (c->expected == AF_INET6)) && right;
	right = CHECK(accepted(f->v4) == (c->expected == AF_INET)) && right;
	return CHECK_ERR(kolk_release(&lease), KOLK_OK) && right;
}

static void families(void)
{
	static const struct family_case cases[] = {
		{ "AAAA alone", 1, 0, ACCEPTS, 0, 0, AF_INET6, 0 },
		{ "AAAA alone, A is dropped", 1, 0, ACCEPTS, TYPE_A, 0, AF_INET6, 45 },
		{ "AAAA alone, A fails", 1, 0, ACCEPTS, 0, TYPE_A, AF_INET6, 0 },
		{ "A alone", 0, 1, ACCEPTS, 0, 0, AF_INET, 0 },
		{ "both", 1, 1, ACCEPTS, 0, 0, AF_INET6, 0 },
		{ "several of both", 3, 2, ACCEPTS, 0, 0, AF_INET6, 0 },
		{ "AAAA refuses", 1, 1, REFUSES, 0, 0, AF_INET, 0 },
		{ "no AAAA of twelve can be reached", 12, 1, REFUSES, 0, 0, AF_INET, 0 },
		{ "AAAA is a black hole", 1, 1, HOLE, 0, 0, AF_INET, 245 },
	};
	int fd = listen_at(AF_INET6, 0, 1);

	if (fd < 0) {
		tap_skip("this machine has no ::1");
		return;
	}
	close(fd);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct families f;

		if (!CHECK(families_open(&f, &cases[i])) || !dialled_once(&f, &cases[i]))
			tap_note("%s", cases[i].name);
		families_close(&f);
	}
}

/* One family's answer comes after the dial has begun with the other's, which cannot be reached. */
static void late_by(uint32_t type, struct family_case c)
{
	struct families f;
	struct kolk_lease lease;

	MUST(families_open(&f, &c));
	pthread_mutex_lock(&f.server.lock);
	f.server.delays = type;
	f.server.delay_ms = c.v6 > 1 ? 400 : 150; /* longer than attempts wait for each other */
	pthread_mutex_unlock(&f.server.lock);
	if (type == TYPE_AAAA)
		close(f.v4);
	if (!CHECK_ERR(kolk_acquire(f.wire.key, kolk_in_ms(3000), &lease), KOLK_OK))
		tap_note("late: type %u", type);
	else
		CHECK_ERR(kolk_release(&lease), KOLK_OK);
	CHECK(wire_stats(f.wire.pool).dial_failed == 0);
	if (type == TYPE_AAAA)
		f.v4 = listen_at(AF_INET, 0, 1);
	families_close(&f);
}

static void late_family(void)
{
	late_by(TYPE_A, (struct family_case){ "", 1, 1, REFUSES, 0, 0, 0, 0 });
	late_by(TYPE_A, (struct family_case){ "", 3, 1, REFUSES, 0, 0, 0, 0 });
	late_by(TYPE_AAAA, (struct family_case){ "", 1, 1, ACCEPTS, 0, 0, 0, 0 });
}

static void answer_late(struct families *f, uint32_t type, int ms)
{
	pthread_mutex_lock(&f->server.lock);
	f->server.delays = type;
	f->server.delay_ms = ms;
	f->server.ttl_s = 1;
	pthread_mutex_unlock(&f->server.lock);
}

/* Each after the last answer has expired. */
static void dials_work(struct families *f)
{
	struct kolk_lease lease;

	for (int i = 0; i < 3; i++) {
		if (!CHECK_ERR(kolk_acquire(f->wire.key, kolk_in_ms(5000), &lease), KOLK_OK))
			return;
		CHECK_ERR(kolk_discard(&lease), KOLK_OK);
		usleep(1100000);
	}
}

/* The first dial has only the address that drops what it gets. The next one has both, also when the
 * answer has expired and the family is late again. */
static void late_after_a_hole(void)
{
	const struct family_case c = { "", 1, 1, HOLE, 0, 0, 0, 0 };
	struct kolk_lease lease;
	struct families f;

	if (!wire_has_time())
		return;
	MUST(families_open_with(&f, &c, 1000));
	answer_late(&f, TYPE_A, 150);
	if (kolk_acquire(f.wire.key, kolk_in_ms(5000), &lease) == KOLK_OK)
		(void)kolk_discard(&lease); /* this process stood still, and both were there in time */
	dials_work(&f);
	CHECK(wire_stats(f.wire.pool).dial_failed <= 1);
	families_close(&f);
}

/* The same where the address refuses: no dial fails. */
static void late_again(void)
{
	const struct family_case c = { "", 1, 1, REFUSES, 0, 0, 0, 0 };
	struct families f;

	if (!wire_has_time())
		return;
	MUST(families_open(&f, &c));
	answer_late(&f, TYPE_A, 150);
	dials_work(&f);
	CHECK(wire_stats(f.wire.pool).dial_failed == 0);
	families_close(&f);
}

/* It never comes: the dial does not wait for it as long as for a name. */
static void never_comes(void)
{
	const struct family_case c = { "", 1, 1, REFUSES, TYPE_A, 0, 0, 0 };
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kit_control control;
	struct kolk_lease lease;
	struct families f;

	MUST(families_open(&f, &c));
	kit_control_begin(&control);
	CHECK_ERR(kolk_acquire(f.wire.key, kolk_in_ms(5000), &lease), KOLK_E_CONN_REFUSED);
	CHECK(kit_control_end(&control) < 2000);
	CHECK(kolk_key_failure(f.wire.key, &failure) && failure.phase == KOLK_PHASE_CONNECT);
	families_close(&f);
}

/* What a family that is not answered for any more had brought is not gone. */
static void lost_later(void)
{
	struct family_case c = { "", 1, 1, ACCEPTS, 0, 0, 0, 0 };
	struct kolk_lease lease;
	struct families f;

	if (!wire_has_time())
		return;
	MUST(families_open(&f, &c));
	pthread_mutex_lock(&f.server.lock);
	f.server.ttl_s = 1;
	pthread_mutex_unlock(&f.server.lock);
	CHECK_ERR(kolk_acquire(f.wire.key, kolk_in_ms(3000), &lease), KOLK_OK);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	CHECK(poll(&(struct pollfd){ .fd = f.v6, .events = POLLIN }, 1, 0) == 1);
	pthread_mutex_lock(&f.server.lock);
	f.server.drops = TYPE_AAAA;
	pthread_mutex_unlock(&f.server.lock);
	CHECK(NEVER_MS(5000, wire_stats(f.wire.pool).destroyed[KOLK_REASON_NAME_CHANGED] > 0));
	families_close(&f);
}

/* Both families refuse: that is one failed dial, and the failure is the last address's. */
static void both_refuse(void)
{
	const struct family_case c = { "", 1, 1, REFUSES, 0, 0, 0, 0 };
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_lease lease;
	struct kolk_stats stats;
	struct families f;

	MUST(families_open(&f, &c));
	close(f.v4);
	CHECK_ERR(kolk_acquire(f.wire.key, kolk_in_ms(3000), &lease), KOLK_E_CONN_REFUSED);
	CHECK(kolk_key_failure(f.wire.key, &failure) && failure.phase == KOLK_PHASE_CONNECT);
	stats = wire_stats(f.wire.pool);
	CHECK(stats.created == 0 && stats.dial_failed == 1 &&
	      stats.destroyed[KOLK_REASON_DIAL_FAILED] == 1);
	f.v4 = listen_at(AF_INET, 0, 1);
	families_close(&f);
}

static const struct tap_test tests[] = {
	{ "a family alone, and both of which one cannot be reached", families },
	{ "the family that can be reached comes late", late_family },
	{ "the family that can be reached comes late, after a black hole", late_after_a_hole },
	{ "the family that can be reached comes late, again and again", late_again },
	{ "the family that can be reached never comes", never_comes },
	{ "both families refuse", both_refuse },
	{ "a family that is lost later is not gone", lost_later },
};
TAP_TESTS(family, tests);
