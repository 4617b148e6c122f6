/* SPDX-License-Identifier: Apache-2.0 */
/* listen_loops_test.c - listeners while the number of active loops changes: who accepts, and that
 * nothing is lost that comes meanwhile. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/kit/counting.h"
#include "tests/wire/listening.h"

enum { LOOPS = 3, DIALS = 48, DIALS_MAX = 1000, CLIENTS = 3, CHANGES = 100 };

static struct kolk_engine_options engine_of(uint32_t loops)
{
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);

	o.loops = loops;
	o.loops_reserved = LOOPS;
	return o;
}

/* Streams that are open, one by one. */
struct dials {
	struct listening l;
	int fds[DIALS_MAX];
	uint32_t count;
};

/* Which loop accepts the next one; LOOPS = none did. */
static uint32_t dial(struct dials *d)
{
	int fd = d->count < DIALS_MAX ? client_dial(kolk_listener_address(d->l.listener)) : -1;

	if (!CHECK(fd >= 0))
		return LOOPS;
	d->fds[d->count++] = fd;
	if (!CHECK(WITHIN_MS(5000, kolk__load_sc(&d->l.opened) == d->count)))
		return LOOPS;
	return kolk__load_sc(&d->l.last_loop);
}

/* Bits of the loops that accept so many. */
static uint32_t loops_of(struct dials *d, int dials)
{
	uint32_t loops = 0;

	for (int i = 0; i < dials && !tap_is_failing(); i++)
		loops |= 1u << dial(d);
	return loops;
}

static void dials_close(struct dials *d)
{
	for (uint32_t i = 0; i < d->count; i++) {
		CHECK(client_echoes(d->fds[i], 10)); /* on whichever loop */
		close(d->fds[i]);
	}
	CHECK(WITHIN_MS(5000, kolk__load_sc(&d->l.ended) == d->count));
	listening_close(&d->l);
}

static void accepts_on_active_loops(void)
{
	struct kolk_engine_options o = engine_of(1);
	struct kolk_loop_info info = KOLK_INIT(kolk_loop_info);
	struct dials d = { .count = 0 };

	MUST(listening_open(&d.l, &o, NULL));
	CHECK(kolk_engine_loop_count(d.l.engine) == LOOPS);
	CHECK(loops_of(&d, 20) == 1);
	CHECK_ERR(kolk_engine_loops_set(d.l.engine, LOOPS + 1), KOLK_E_OPTIONS);
	CHECK_ERR(kolk_engine_loops_set(d.l.engine, 3), KOLK_OK);
	CHECK(loops_of(&d, DIALS) == 7);
	CHECK_ERR(kolk_engine_loops_set(d.l.engine, 2), KOLK_OK);
	CHECK(loops_of(&d, DIALS) == 3);
	CHECK(kolk_loop_is_active(kolk_engine_loop(d.l.engine, 1)));
	CHECK(!kolk_loop_is_active(kolk_engine_loop(d.l.engine, 2)));
	CHECK_ERR(kolk_loop_inspect(kolk_engine_loop(d.l.engine, 2), &info), KOLK_OK);
	CHECK(info.active == 0);
	CHECK_ERR(kolk_engine_loops_set(d.l.engine, 1), KOLK_OK);
	CHECK(loops_of(&d, 20) == 1);
	dials_close(&d);
}

/* Loops get to know it one by one. */
static void accepts_on_active_loops_of_one_socket(void)
{
	struct kolk_listener_options listener = KOLK_INIT(kolk_listener_options);
	struct kolk_engine_options o = engine_of(1);
	struct dials d = { .count = 0 };
	char address[64];

	snprintf(address, sizeof address, "unix:@kolk-loops-%d", (int)getpid());
	listener.address = address;
	MUST(listening_open(&d.l, &o, &listener));
	CHECK(WITHIN_MS(5000, loops_of(&d, 10) == 1));
	CHECK_ERR(kolk_engine_loops_set(d.l.engine, 3), KOLK_OK);
	CHECK((loops_of(&d, 10) & 8) == 0);
	CHECK_ERR(kolk_engine_loops_set(d.l.engine, 1), KOLK_OK);
	CHECK(WITHIN_MS(5000, loops_of(&d, 10) == 1));
	CHECK(listening_stats(&d.l).paused == 0);
	dials_close(&d);
}

/* ---- a kernel that cannot choose among sockets */

static int cannot_share(void *context, int fd, uint32_t count)
{
	(void)context;
	(void)fd;
	(void)count;
	return -ENOPROTOOPT;
}

static struct kolk_sys sys;

static void one_socket_where_the_kernel_cannot(void)
{
	struct kolk_engine_options o = engine_of(1);
	struct dials d = { .count = 0 };

	sys = *counting_sys();
	sys.sock_share = cannot_share;
	o.sys = &sys;
	MUST(listening_open(&d.l, &o, NULL));
	CHECK(WITHIN_MS(5000, loops_of(&d, 10) == 1));
	CHECK_ERR(kolk_engine_loops_set(d.l.engine, 2), KOLK_OK);
	CHECK((loops_of(&d, 10) & ~3u) == 0);
	dials_close(&d);
}

static void refused_where_the_kernel_cannot(void)
{
	struct kolk_engine_options o = engine_of(LOOPS);
	struct dials d = { .count = 0 };

	sys = *counting_sys();
	sys.sock_share = cannot_share;
	o.sys = &sys;
	MUST(listening_open(&d.l, &o, NULL));
	CHECK_ERR(kolk_engine_loops_set(d.l.engine, 1), KOLK_E_IO);
	CHECK(kolk_loop_is_active(kolk_engine_loop(d.l.engine, 2)));
	CHECK(loops_of(&d, DIALS) == 7);
	dials_close(&d);
}

/* ---- under load */

struct client {
	struct listening *l;
	pthread_t thread;
	uint64_t echoes, lost;
	kolk__atomic_u32 *stop;
};

static void *dial_on(void *user)
{
	struct client *client = user;

	while (kolk__load_acquire(client->stop) == 0 && client->lost == 0) {
		int fd = client_dial(kolk_listener_address(client->l->listener));

		if (fd >= 0 && client_echoes(fd, 100))
			client->echoes++;
		else
			client->lost++;
		close(fd);
	}
	return NULL;
}

static void changes_under_load(const struct kolk_listener_options *listener)
{
	struct kolk_engine_options o = engine_of(LOOPS);
	struct listening l = { 0 };
	kolk__atomic_u32 stop = { 0 };
	struct client clients[CLIENTS];
	uint64_t echoes = 0;

	MUST(listening_open(&l, &o, listener));
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){ .l = &l, .stop = &stop };
		CHECK(pthread_create(&clients[i].thread, NULL, dial_on, &clients[i]) == 0);
	}
	for (uint32_t i = 0; i < CHANGES; i++) {
		CHECK_ERR(kolk_engine_loops_set(l.engine, 1 + i * 2 % LOOPS), KOLK_OK);
		usleep(2000);
	}
	kolk__store_release(&stop, 1);
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(clients[i].thread, NULL);
		CHECK(clients[i].lost == 0);
		echoes += clients[i].echoes;
	}
	tap_note("%d changes, %llu connections", CHANGES, (unsigned long long)echoes);
	CHECK(echoes > CHANGES);
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.ended) == kolk__load_sc(&l.opened)));
	listening_close(&l);
}

static void loses_nothing(void)
{
	changes_under_load(NULL);
}

static void loses_nothing_of_one_socket(void)
{
	struct kolk_listener_options listener = KOLK_INIT(kolk_listener_options);
	char address[64];

	snprintf(address, sizeof address, "unix:@kolk-loops-%d", (int)getpid());
	listener.address = address;
	changes_under_load(&listener);
}

static const struct tap_test tests[] = {
	{ "active loops accept, others go on", accepts_on_active_loops },
	{ "of one socket, too", accepts_on_active_loops_of_one_socket },
	{ "one socket for all where the kernel cannot choose", one_socket_where_the_kernel_cannot },
	{ "or it is refused", refused_where_the_kernel_cannot },
	{ "no connection is lost while it changes", loses_nothing },
	{ "nor on one socket", loses_nothing_of_one_socket },
};
TAP_TESTS(listen_loops, tests);
