/* SPDX-License-Identifier: Apache-2.0 */
/* listen_close_test.c - listeners: where they may be, how they stop, close and go with the engine. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
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

/* ---- where */

static void taken_addresses_are_told(void)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { 0 }, other = { 0 };

	MUST(listening_open(&l, NULL, NULL));
	other.engine = l.engine;
	o.address = address_of(&l);
	CHECK_ERR(listening_add(&other, &o, &failure), KOLK_E_IN_USE);
	CHECK(failure.os_error == EADDRINUSE && failure.field == NULL);
	o.address = "203.0.113.1:80";
	CHECK_ERR(listening_add(&other, &o, &failure), KOLK_E_OPTIONS);
	CHECK(failure.field != NULL && strcmp(failure.field, "address") == 0);
	o.address = "localhost:80";
	CHECK_ERR(listening_add(&other, &o, &failure), KOLK_E_OPTIONS);
	o.address = "127.0.0.1";
	CHECK_ERR(listening_add(&other, &o, &failure), KOLK_E_OPTIONS);
	o.address = "unix:/nowhere/at/all";
	CHECK_ERR(listening_add(&other, &o, &failure), KOLK_E_OPTIONS);
	CHECK(failure.os_error == ENOENT);
	listening_close(&l);
}

static int plain_listener(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
	if (bind(fd, (struct sockaddr *)&un, sizeof un) == 0 && listen(fd, 1) == 0)
		return fd;
	close(fd);
	return -1;
}

static void unix_files(void)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { 0 }, other = { 0 };
	char text[64], *path = text + 5;
	int fd, client;

	MUST(listening_open(&l, NULL, NULL));
	other.engine = l.engine;
	snprintf(text, sizeof text, "unix:/tmp/kolk-listen-%d", getpid());
	o.address = text;
	fd = plain_listener(path);
	MUST(fd >= 0);
	CHECK_ERR(listening_add(&other, &o, &failure), KOLK_E_IN_USE); /* it is listened at */
	close(fd);
	CHECK_ERR(listening_add(&other, &o, &failure), KOLK_OK); /* stale: replaced */
	client = client_dial(text);
	CHECK(client_echoes(client, 10));
	close(client);
	CHECK(WITHIN_MS(5000, kolk__load_sc(&other.ended) == 1));
	CHECK_ERR(kolk_listener_close(other.listener, 0, NULL, NULL), KOLK_OK);
	CHECK(access(path, F_OK) != 0);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600); /* no socket: stays */
	close(fd);
	CHECK_ERR(listening_add(&other, &o, &failure), KOLK_E_IN_USE);
	CHECK(access(path, F_OK) == 0);
	unlink(path);
	o.unix_owner = "4294967296"; /* not root */
	CHECK_ERR(listening_add(&other, &o, &failure), KOLK_E_OPTIONS);
	o.unix_owner = "no-such-user-here";
	CHECK_ERR(listening_add(&other, &o, &failure), KOLK_E_OPTIONS);
	CHECK(failure.field != NULL && strcmp(failure.field, "unix_owner") == 0);
	CHECK(access(path, F_OK) != 0);
	listening_close(&l);
}

static void given_sockets(void)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { 0 }, other = { 0 };
	struct sockaddr_in here = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), copy, client;
	char address[64];

	MUST(bind(fd, (struct sockaddr *)&here, sizeof here) == 0);
	MUST(listening_open(&l, NULL, NULL));
	other.engine = l.engine;
	o.socket = fd;
	CHECK_ERR(listening_add(&other, &o, &failure), KOLK_E_OPTIONS); /* it does not listen */
	CHECK(failure.field != NULL && strcmp(failure.field, "socket") == 0);
	MUST(listen(fd, 10) == 0);
	copy = dup(fd); /* the service manager's */
	CHECK_ERR(listening_add(&other, &o, &failure), KOLK_OK);
	snprintf(address, sizeof address, "%s", kolk_listener_address(other.listener));
	for (int i = 0; i < 20; i++) {
		client = client_dial(address);
		CHECK(client_echoes(client, 10));
		close(client);
	}
	CHECK_ERR(kolk_listener_close(other.listener, kolk_in_ms(1000), NULL, NULL), KOLK_OK);
	client = client_dial(address); /* it goes on listening for others */
	CHECK(client >= 0);
	close(client);
	close(copy);
	listening_close(&l);
}

/* ---- stop and close */

static kolk__atomic_u32 closed;

static void on_closed(void *user)
{
	(void)user;
	kolk__add_sc(&closed, 1);
}

static void stops(void)
{
	struct listening l = { 0 };
	char address[64];
	int fd;

	MUST(listening_open(&l, NULL, NULL));
	snprintf(address, sizeof address, "%s", address_of(&l));
	fd = client_dial(address);
	CHECK(client_echoes(fd, 10));
	kolk_listener_stop(l.listener);
	CHECK(WITHIN_MS(5000, ({ int no = client_dial(address); close(no); no < 0; })));
	CHECK(client_echoes(fd, 10)); /* the stream goes on */
	kolk_listener_stop(l.listener);
	kolk__store_sc(&closed, 0);
	CHECK_ERR(kolk_listener_close(l.listener, kolk_in_ms(60000), on_closed, NULL), KOLK_OK);
	CHECK(client_echoes(fd, 10));
	CHECK(kolk__load_sc(&closed) == 0);
	close(fd);
	CHECK(WITHIN_MS(5000, kolk__load_sc(&closed) == 1));
	CHECK(kolk__load_sc(&l.ended) == kolk__load_sc(&l.opened));
	listening_close(&l);
}

static void closes_at_the_deadline(void)
{
	enum { CLIENTS = 150 };
	struct listening l = { .conduct = SINK };
	uint64_t began_ms;
	int fd[CLIENTS];

	MUST(listening_open(&l, NULL, NULL));
	for (int i = 0; i < CLIENTS; i++)
		fd[i] = client_dial(address_of(&l));
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.opened) == CLIENTS));
	began_ms = tap_now_ms();
	CHECK_ERR(kolk_listener_close(l.listener, kolk_in_ms(100), NULL, NULL), KOLK_OK);
	CHECK(tap_now_ms() - began_ms >= 99);
	CHECK(kolk__load_sc(&l.ended) == CLIENTS);
	CHECK((int32_t)kolk__load_sc(&l.last_err) == KOLK_E_DRAINING);
	for (int i = 0; i < CLIENTS; i++) {
		CHECK(client_next(fd[i]) == -ECONNRESET);
		close(fd[i]);
	}
	listening_close(&l);
}

static void in_use_at_the_limit(void)
{
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { .conduct = SINK };
	int fd[6];

	o.streams_max = 2;
	MUST(listening_open(&l, NULL, &o));
	for (int i = 0; i < 6; i++)
		fd[i] = client_dial(address_of(&l));
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.opened) == 2));
	CHECK_ERR(kolk_listener_close(l.listener, 0, NULL, NULL), KOLK_OK);
	for (int i = 0; i < 6; i++) {
		CHECK(client_next(fd[i]) == -ECONNRESET);
		close(fd[i]);
	}
	listening_close(&l);
}

/* Also with what is being sent. */
static void destroy_ends_streams(void)
{
	enum { CLIENTS = 20 };
	struct listening l = { .conduct = PUSH, .push_size = 1 << 20,
			       .clients = CLIENTS };
	char some[65536] = { 0 };
	int fd[CLIENTS];

	MUST(listening_open(&l, NULL, NULL));
	for (int i = 0; i < CLIENTS; i++) {
		fd[i] = client_dial(address_of(&l));
		CHECK(client_send(fd[i], some, i % 2 == 0 ? 1 : sizeof some));
	}
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.opened) == CLIENTS &&
				      kolk__load_sc(&l.received) > CLIENTS));
	listening_close(&l);
	CHECK(kolk__load_sc(&l.ended) == CLIENTS);
	CHECK((int32_t)kolk__load_sc(&l.last_err) == KOLK_E_DRAINING);
	for (int i = 0; i < CLIENTS; i++)
		close(fd[i]);
}

/* ---- loops of the embedder */

static void embedders_loops(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct listening l = { 0 };
	char got[4];
	int fd;

	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.loops = 1;
	MUST(listening_open(&l, &e, NULL)); /* does not wait for the loop */
	fd = client_dial(address_of(&l));
	CHECK(client_send(fd, "echo", 4));
	while (recv(fd, got, 4, MSG_DONTWAIT) < 0 && errno == EAGAIN)
		CHECK_ERR(kolk_loop_step(kolk_engine_loop(l.engine, 0), KOLK_MS_NS), KOLK_OK);
	CHECK(memcmp(got, "echo", 4) == 0);
	CHECK_ERR(kolk_listener_close(l.listener, 0, on_closed, NULL), KOLK_OK);
	kolk__store_sc(&closed, 0);
	while (kolk__load_sc(&closed) == 0)
		CHECK_ERR(kolk_loop_step(kolk_engine_loop(l.engine, 0), KOLK_MS_NS), KOLK_OK);
	CHECK(client_next(fd) == -ECONNRESET);
	close(fd);
	listening_close(&l);
}

static void *run_loop(void *loop)
{
	(void)kolk_loop_run(loop);
	return NULL;
}

/* The thread of a loop has returned: its streams are told at the end of the engine. */
static void a_loop_whose_thread_ended(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct listening l = { .conduct = SINK, .clients = 1 };
	pthread_t thread;
	int fd;

	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.loops = 1;
	MUST(listening_open(&l, &e, NULL));
	MUST(pthread_create(&thread, NULL, run_loop, kolk_engine_loop(l.engine, 0)) == 0);
	fd = client_dial(address_of(&l));
	CHECK(client_send(fd, "x", 1));
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.received) == 1));
	kolk_loop_stop(kolk_engine_loop(l.engine, 0));
	pthread_join(thread, NULL);
	listening_close(&l);
	CHECK(kolk__load_sc(&l.ended) == 1);
	CHECK(client_next(fd) <= 0);
	close(fd);
}

/* A child has the parent's sockets, and leaves them alone. */
static void in_a_fork(void)
{
	struct listening l = { 0 };
	int fd, status = 0;
	pid_t child;

	if (!wire_may_fork())
		return;
	MUST(listening_open(&l, NULL, NULL));
	fd = client_dial(address_of(&l));
	CHECK(client_echoes(fd, 10));
	child = fork();
	if (child == 0) {
		struct kolk_io io;

		kolk_stream_reset(kolk__load_sc(&l.last));
		_exit(kolk_stream_send(kolk__load_sc(&l.last), &io, "x", 1, NULL, NULL) == KOLK_E_FORKED &&
				      kolk_listener_close(l.listener, 0, NULL, NULL) ==
					      KOLK_E_FORKED ? 0 : 1);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(client_echoes(fd, 10));
	close(fd);
	CHECK(ends(&l, 1));
	listening_close(&l);
}

/* Larger than what a socket takes at once, so that it is still being sent when the stream is closed:
 * from within the callback of the send before it. */
static void closes_behind_the_next_send(void)
{
	enum { PIECE = 4 * 1024 * 1024 };
	struct listening l = { .conduct = PUSH, .push_size = PIECE, .pushes_max = 2, .closes = true };
	char *got = malloc(2 * PIECE);
	int fd;

	MUST(listening_open(&l, NULL, NULL));
	fd = client_dial(address_of(&l));
	CHECK(client_send(fd, "hello", 5));
	CHECK(client_recv(fd, got, 2 * PIECE) == 2 * PIECE);
	CHECK(client_next(fd) == 0);
	close(fd);
	CHECK(ends(&l, 1));
	CHECK(kolk__load_sc(&l.last_err) == KOLK_OK && kolk__load_relaxed(&l.sends_failed) == 0);
	free(got);
	listening_close(&l);
}

static const struct tap_test tests[] = {
	{ "addresses that are taken, or none", taken_addresses_are_told },
	{ "Unix sockets: stale files go, others stay", unix_files },
	{ "a socket that was given", given_sockets },
	{ "a stream closes behind a send that began in a callback", closes_behind_the_next_send },
	{ "a listener that stopped accepts no more", stops },
	{ "streams end at the deadline", closes_at_the_deadline },
	{ "a listener at its limit closes", in_use_at_the_limit },
	{ "the end of the engine ends streams", destroy_ends_streams },
	{ "loops of the embedder", embedders_loops },
	{ "a loop whose thread ended", a_loop_whose_thread_ended },
	{ "in a fork's child", in_a_fork },
};
TAP_TESTS(listen_close, tests);
