/* SPDX-License-Identifier: Apache-2.0 */
/* listen_edge_test.c - listeners and streams at the edges of their rules. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/kit/counting.h"
#include "tests/wire/listening.h"
#include "transport/stream.h"

static const char *address_of(struct listening *l)
{
	return kolk_listener_address(l->listener);
}

/* ---- sends */

static enum kolk_err second;

/* With the memory of the one that is in flight. */
static void send_again(struct kolk_stream *stream)
{
	struct kolk__io *io = kolk__link_of_stream(stream)->sending;

	MUST(io != NULL);
	second = kolk_stream_send(stream, (struct kolk_io *)(void *)io, "never", 5, NULL, NULL);
}

static void sends_one_at_a_time(void)
{
	enum { SIZE = 8 << 20 };
	struct listening l = { .conduct = PUSH, .push_size = SIZE, .pushes_max = 1 };
	char *got = malloc(SIZE);
	int fd;

	MUST(listening_open(&l, NULL, NULL));
	fd = client_dial(address_of(&l));
	CHECK(client_send(fd, "x", 1));
	CHECK(client_recv(fd, got, 1) == 1);
	listening_call(&l, send_again);
	CHECK_ERR(second, KOLK_E_IN_USE);
	CHECK(client_recv(fd, got, SIZE - 1) == SIZE - 1);
	CHECK(kolk__load_sc(&l.sends_failed) == 0);
	close(fd);
	free(got);
	listening_close(&l);
}

/* ---- stop */

/* What was accepted before is served, also if it has to wait for others. */
static void serves_the_held(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { 0 };
	int first, held;

	e.loops = 1;
	o.streams_max = 1;
	MUST(listening_open(&l, &e, &o));
	first = client_dial(address_of(&l));
	CHECK(client_echoes(first, 10));
	held = client_dial(address_of(&l));
	CHECK(WITHIN_MS(5000, listening_stats(&l).accepted == 2));
	kolk_listener_stop(l.listener);
	CHECK(client_echoes(first, 10));
	close(first);
	CHECK(client_echoes(held, 10));
	close(held);
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.ended) == 2));
	listening_close(&l);
}

static int given_socket(char address[64])
{
	struct sockaddr_in here = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof here;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (bind(fd, (struct sockaddr *)&here, sizeof here) != 0 || listen(fd, 64) != 0 ||
	    getsockname(fd, (struct sockaddr *)&here, &size) != 0)
		return -1;
	snprintf(address, 64, "127.0.0.1:%d", ntohs(here.sin_port));
	return fd;
}

/* The other process that has the socket: one byte, and its echo. */
static int serve_by_another(int socket)
{
	int served = 0, fd;
	char byte;

	while ((fd = accept4(socket, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		served += client_recv(fd, &byte, 1) == 1 && client_send(fd, &byte, 1);
		close(fd);
	}
	return served;
}

/* Each client is served by the one or by the other. */
static int hand_over(int round)
{
	enum { CLIENTS = 24 };
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { 0 };
	int fd[CLIENTS], copy, lost = 0;
	char address[64], byte;

	o.socket = given_socket(address);
	copy = dup(o.socket);
	if (!listening_open(&l, NULL, &o))
		return CLIENTS;
	for (int i = 0; i < CLIENTS; i++) {
		fd[i] = client_dial(address);
		CHECK(client_send(fd[i], "x", 1));
		if (i == round % CLIENTS)
			kolk_listener_stop(l.listener);
	}
	usleep(20000); /* whatever its loops accept, they have */
	(void)serve_by_another(copy);
	for (int i = 0; i < CLIENTS; i++) {
		lost += client_recv(fd[i], &byte, 1) != 1;
		close(fd[i]);
	}
	l.clients = 1;
	listening_close(&l);
	close(copy);
	return lost;
}

static void loses_no_client(void)
{
	int lost = 0;

	for (int round = 0; round < 48; round++)
		lost += hand_over(round);
	CHECK(lost == 0);
	tap_note("%d clients lost", lost);
}

/* ---- the end */

static void *run_loop(void *loop)
{
	(void)kolk_loop_run(loop);
	return NULL;
}

/* The first of two loops gives the socket back, the thread of the other has returned: file and
 * socket go all the same. */
static void unlistens_for_loops_that_ended(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { .conduct = SINK };
	pthread_t thread;
	char text[64];

	snprintf(text, sizeof text, "unix:/tmp/kolk-listen-%d", getpid());
	o.address = text;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.loops = 2;
	MUST(listening_open(&l, &e, &o));
	MUST(pthread_create(&thread, NULL, run_loop, kolk_engine_loop(l.engine, 1)) == 0);
	usleep(20000); /* it runs */
	kolk_loop_stop(kolk_engine_loop(l.engine, 1));
	pthread_join(thread, NULL);
	kolk_listener_stop(l.listener);
	for (int i = 0; i < 5; i++)
		CHECK_ERR(kolk_loop_step(kolk_engine_loop(l.engine, 0), KOLK_MS_NS), KOLK_OK);
	listening_close(&l);
	CHECK(access(text + 5, F_OK) != 0);
	CHECK(client_begin(text) < 0);
}

static void on_closed(void *user)
{
	kolk__add_sc((kolk__atomic_u32 *)user, 1);
}

/* It has ended when it is closed again; the engine goes before the loop could tell it. */
static void tells_the_end_of_the_second_close(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct listening l = { .conduct = SINK };
	kolk__atomic_u32 closed = { 0 };

	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.loops = 1;
	MUST(listening_open(&l, &e, NULL));
	CHECK_ERR(kolk_listener_close(l.listener, 0, NULL, NULL), KOLK_E_TIMEOUT);
	for (int i = 0; i < 5; i++)
		CHECK_ERR(kolk_loop_step(kolk_engine_loop(l.engine, 0), KOLK_MS_NS), KOLK_OK);
	CHECK_ERR(kolk_listener_close(l.listener, 0, on_closed, &closed), KOLK_OK);
	listening_close(&l);
	CHECK(kolk__load_sc(&closed) == 1);
}

static int files_in(const char *folder)
{
	DIR *files = opendir(folder);
	int count = -2; /* "." and ".." */

	while (files != NULL && readdir(files) != NULL)
		count++;
	if (files != NULL)
		closedir(files);
	return count;
}

/* Bound, and not listened at: a successor that is about to. */
static int bound(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
	CHECK(bind(fd, (struct sockaddr *)&un, sizeof un) == 0);
	return fd;
}

static void removes_its_own_file_only(void)
{
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { 0 };
	char text[64] = "unix:/tmp/kolk-listen-XXXXXX", *folder = text + 5;
	int fd, client;

	MUST(mkdtemp(folder) != NULL);
	strcat(text, "/socket");
	o.address = text;
	MUST(listening_open(&l, NULL, &o));
	CHECK(strcmp(address_of(&l), text) == 0);
	client = client_dial(text);
	CHECK(client_echoes(client, 10));
	close(client);
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.ended) == 1));
	CHECK(unlink(folder) == 0);
	fd = bound(folder);
	l.clients = 1;
	listening_close(&l);
	CHECK(access(folder, F_OK) == 0);
	close(fd);
	l = (struct listening){ 0 }; /* it is stale now */
	MUST(listening_open(&l, NULL, &o));
	listening_close(&l);
	*strrchr(text, '/') = 0;
	CHECK(files_in(folder) == 0);
	CHECK(rmdir(folder) == 0);
}

/* ---- addresses */

static struct kolk_stream_peer peer;

static void ask_peer(struct kolk_stream *stream)
{
	peer = (struct kolk_stream_peer)KOLK_INIT(kolk_stream_peer);
	kolk_stream_peer(stream, &peer);
}

static void tells_ipv4_at_an_ipv6_socket(void)
{
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { 0 };
	char to[64];
	int fd;

	o.address = "[::]:0";
	MUST(listening_open(&l, NULL, &o));
	snprintf(to, sizeof to, "127.0.0.1:%s", strrchr(address_of(&l), ':') + 1);
	fd = client_dial(to);
	CHECK(client_echoes(fd, 10));
	listening_call(&l, ask_peer);
	CHECK(strcmp(peer.address, "127.0.0.1") == 0);
	CHECK(strcmp(peer.local_address, "127.0.0.1") == 0);
	close(fd);
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.ended) == 1));
	listening_close(&l);
}

/* No IPv6 network has the number of an IPv4 address. */
static void numbers_differ(void)
{
	struct kolk_stream v6 = { .family = AF_INET6 }, v4 = { .family = AF_INET };
	uint64_t six = 0, four = 0;

	inet_pton(AF_INET6, "2001:db8:ffff:ffff::1", v6.peer);
	inet_pton(AF_INET, "32.1.13.184", v4.peer);
	CHECK(kolk__stream_peer_number(&v6, &six) && kolk__stream_peer_number(&v4, &four));
	CHECK(six != four);
}

static void counts_bytes_behind_proxy_headers(void)
{
	static const char bytes[] = "\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00hello";
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { 0 };
	char got[5];
	int fd;

	o.proxy_protocol = 1;
	MUST(listening_open(&l, NULL, &o));
	fd = client_dial(address_of(&l));
	CHECK(client_send(fd, bytes, sizeof bytes - 1));
	CHECK(client_recv(fd, got, 5) == 5);
	CHECK(listening_stats(&l).bytes_received == 5);
	close(fd);
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.ended) == 1));
	listening_close(&l);
}

/* ---- a ring that knows no streams */

static kolk__atomic_u32 polls;

static void submit_counted(struct kolk_ring *ring, struct kolk_op *op)
{
	kolk__add_relaxed(&polls, op->kind == KOLK_OP_POLL);
	kolk_sys_linux()->ring_submit(ring, op);
}

static void use_no_streams(struct kolk_stream *stream)
{
	kolk__link_of_stream(stream)->loop->no_streams = true;
}

/* Its bytes and its end are read away, not looked at again and again. */
static void closes_paused_streams(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct listening l = { .conduct = HOLD };
	struct kolk_sys sys = *counting_sys();
	int fd;

	sys.ring_submit = submit_counted;
	e.sys = &sys;
	e.loops = 1;
	MUST(listening_open(&l, &e, NULL));
	fd = client_dial(address_of(&l));
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.opened) == 1));
	listening_call(&l, use_no_streams);
	CHECK(client_send(fd, "x", 1));
	shutdown(fd, SHUT_WR);
	kolk__store_relaxed(&polls, 0);
	listening_call(&l, kolk_stream_close);
	CHECK(WITHIN_MS(1000, kolk__load_sc(&l.ended) == 1));
	CHECK(kolk__load_relaxed(&polls) < 10);
	close(fd);
	listening_close(&l);
}

/* ---- out of descriptors */

static kolk__atomic_u32 warnings;

static void on_log(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	(void)user;
	(void)subject;
	if (level == KOLK_LOG_WARN && strstr(text, "accept: error") != NULL)
		kolk__add_sc(&warnings, 1);
}

static void come_and_go(const char *address)
{
	int fd[20];

	for (;;) {
		for (int i = 0; i < 20; i++)
			fd[i] = client_dial(address);
		for (int i = 0; i < 20; i++) {
			close(fd[i]);
			usleep(2000);
		}
	}
}

static void warns_once_a_second(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct listening l = { 0 };
	struct rlimit limit, none;
	pid_t child;

	if (!wire_may_fork())
		return;
	e.loops = 1;
	e.on_log = on_log;
	e.log_level = KOLK_LOG_WARN;
	MUST(listening_open(&l, &e, NULL));
	child = fork();
	if (child == 0)
		come_and_go(address_of(&l));
	MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	none = (struct rlimit){ 0, limit.rlim_max };
	for (int i = 0; i < 50; i++) { /* errors come and go, for 2.5 s */
		CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
		usleep(25000);
		CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
		usleep(25000);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	CHECK(listening_stats(&l).accept_errors > 0);
	CHECK(kolk__load_sc(&warnings) <= 4);
	tap_note("%u warnings, %llu errors", kolk__load_sc(&warnings),
		 (unsigned long long)listening_stats(&l).accept_errors);
	CHECK(WITHIN_MS(5000, listening_stats(&l).streams == 0));
	listening_close(&l);
}

static const struct tap_test tests[] = {
	{ "a second send is refused, and the first goes on", sends_one_at_a_time },
	{ "a connection that was held is served after the stop", serves_the_held },
	{ "a socket goes to another process: no client is lost", loses_no_client },
	{ "one of two loops has stopped: the socket's file goes", unlistens_for_loops_that_ended },
	{ "a second close is told, also by the engine's end", tells_the_end_of_the_second_close },
	{ "a listener removes its own file only", removes_its_own_file_only },
	{ "an IPv4 client of an IPv6 socket", tells_ipv4_at_an_ipv6_socket },
	{ "numbers of addresses differ", numbers_differ },
	{ "bytes that come with a PROXY header are counted", counts_bytes_behind_proxy_headers },
	{ "a ring without streams: a paused stream closes", closes_paused_streams },
	{ "out of descriptors: a warning a second", warns_once_a_second },
};
TAP_TESTS(listen_edge, tests);
