/* SPDX-License-Identifier: Apache-2.0 */
/* listen_test.c - listeners and streams against plain clients: bytes, both ends, addresses. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/kit/counting.h"
#include "tests/wire/listening.h"

static const char *address_of(struct listening *l)
{
	return kolk_listener_address(l->listener);
}

static bool ends(struct listening *l, uint32_t count)
{
	return WITHIN_MS(5000, kolk__load_sc(&l->ended) == count);
}

/* ---- bytes */

static void echoes(void)
{
	struct listening l = { 0 };
	int fd;

	MUST(listening_open(&l, NULL, NULL));
	fd = client_dial(address_of(&l));
	CHECK(fd >= 0);
	CHECK(client_echoes(fd, 1));
	CHECK(client_echoes(fd, 1000));
	CHECK(client_echoes(fd, 60000));
	CHECK(listening_stats(&l).streams == 1);
	close(fd);
	CHECK(ends(&l, 1));
	CHECK(kolk__load_sc(&l.last_err) == KOLK_OK);
	CHECK(listening_stats(&l).streams == 0 && listening_stats(&l).accepted == 1);
	listening_close(&l);
}

/* The client ends first, and still gets everything; then it learns of our end. */
static void client_half_closes(void)
{
	struct listening l = { 0 };
	char got[8];
	int fd;

	MUST(listening_open(&l, NULL, NULL));
	fd = client_dial(address_of(&l));
	CHECK(client_send(fd, "question", 8));
	shutdown(fd, SHUT_WR);
	CHECK(client_recv(fd, got, 8) == 8 && memcmp(got, "question", 8) == 0);
	CHECK(client_next(fd) == 0);
	close(fd);
	CHECK(ends(&l, 1) && kolk__load_sc(&l.ends) == 1);
	listening_close(&l);
}

/* The stream ends first; what the client still says is read away, and it sees no reset. */
static void stream_half_closes(void)
{
	struct listening l = { .conduct = FAREWELL };
	char got[8];
	int fd;

	MUST(listening_open(&l, NULL, NULL));
	fd = client_dial(address_of(&l));
	CHECK(client_send(fd, "hello", 5));
	CHECK(client_recv(fd, got, 8) == 8 && memcmp(got, "farewell", 8) == 0);
	CHECK(client_next(fd) == 0);
	CHECK(kolk__load_sc(&l.ended) == 0);
	CHECK(client_send(fd, "more", 4));
	CHECK(client_next(fd) == 0);
	close(fd);
	CHECK(ends(&l, 1));
	CHECK(kolk__load_sc(&l.last_err) == KOLK_OK);
	listening_close(&l);
}

/* A client that does not end is not waited for longer than that. */
static void lingers_for_a_while(void)
{
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { .conduct = FAREWELL };
	uint64_t began_ms = tap_now_ms();
	int fd;

	o.linger_timeout_ns = 100 * KOLK_MS_NS;
	MUST(listening_open(&l, NULL, &o));
	fd = client_dial(address_of(&l));
	CHECK(client_send(fd, "hello", 5));
	CHECK(ends(&l, 1));
	CHECK(tap_now_ms() - began_ms >= 100);
	close(fd);
	listening_close(&l);
}

/* One that goes on talking is reset, however long it may. */
static void lingers_for_so_many_bytes(void)
{
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { .conduct = FAREWELL };
	char *much = calloc(1, 1 << 20);
	bool sent = true;
	int fd;

	o.linger_timeout_ns = 60 * KOLK_S_NS;
	MUST(listening_open(&l, NULL, &o));
	fd = client_dial(address_of(&l));
	for (int i = 0; i < 20 && sent; i++)
		sent = client_send(fd, much, 1 << 20);
	CHECK(!sent);
	CHECK(ends(&l, 1));
	close(fd);
	free(much);
	listening_close(&l);
}

static void resets(void)
{
	struct listening l = { .conduct = RESET };
	char got[5];
	int fd, next;

	MUST(listening_open(&l, NULL, NULL));
	fd = client_dial(address_of(&l));
	CHECK(client_send(fd, "hello", 5));
	(void)client_recv(fd, got, 5); /* the reset may overtake it */
	next = client_next(fd);
	CHECK(next == -ECONNRESET || next == 0);
	CHECK(client_next(fd) <= 0);
	CHECK(ends(&l, 1));
	CHECK(kolk__load_sc(&l.last_err) == KOLK_OK);
	close(fd);
	/* Also when the client ended before: that is not the same to the kernel. */
	l.conduct = SINK;
	fd = client_dial(address_of(&l));
	CHECK(client_send(fd, "x", 1));
	shutdown(fd, SHUT_WR);
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.ends) == 1));
	listening_call(&l, kolk_stream_reset);
	CHECK(client_next(fd) == -ECONNRESET);
	CHECK(ends(&l, 2));
	close(fd);
	listening_close(&l);
}

static void client_resets(void)
{
	struct listening l = { .conduct = SINK };
	int fd;

	MUST(listening_open(&l, NULL, NULL));
	fd = client_dial(address_of(&l));
	CHECK(client_send(fd, "x", 1));
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.received) == 1));
	client_reset(fd);
	CHECK(ends(&l, 1));
	CHECK((int32_t)kolk__load_sc(&l.last_err) == KOLK_E_RESET);
	listening_close(&l);
}

static void is_refused(void)
{
	struct listening l = { .conduct = REFUSE };
	int fd;

	MUST(listening_open(&l, NULL, NULL));
	fd = client_dial(address_of(&l));
	CHECK(client_next(fd) == -ECONNRESET);
	CHECK(WITHIN_MS(5000, listening_stats(&l).streams == 0));
	CHECK(listening_stats(&l).refused_open == 1);
	close(fd);
	listening_close(&l);
}

/* ---- back-pressure */

/* A paused stream keeps little; the rest waits in the kernel, and then at the client. */
static void pauses(void)
{
	enum { SIZE = 8 << 20 };
	struct listening l = { .conduct = HOLD };
	char *much = calloc(1, SIZE);
	ssize_t sent = 0, part;
	uint64_t shown;
	int fd;

	MUST(listening_open(&l, NULL, NULL));
	fd = client_begin(address_of(&l));
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.opened) == 1));
	CHECK(NEVER_MS(200, (part = send(fd, much, SIZE, MSG_NOSIGNAL | MSG_DONTWAIT),
			     sent += part > 0 ? part : 0, sent >= 64 << 20)));
	CHECK(kolk__load_sc(&l.received) == 0);
	tap_note("%lld bytes were sent to it meanwhile", (long long)sent);
	listening_call(&l, kolk_stream_resume);
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.received) == (uint64_t)sent));
	listening_call(&l, kolk_stream_pause);
	shown = kolk__load_sc(&l.received);
	CHECK(send(fd, much, 1000, MSG_NOSIGNAL) == 1000);
	CHECK(NEVER_MS(50, kolk__load_sc(&l.received) != shown));
	shutdown(fd, SHUT_WR);
	listening_call(&l, kolk_stream_resume);
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.received) == shown + 1000));
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.ends) == 1));
	listening_call(&l, kolk_stream_close);
	close(fd);
	CHECK(ends(&l, 1));
	free(much);
	listening_close(&l);
}

/* Streams that are paused and resumed while their bytes are on their way keep the order of those. */
static void takes_turns(void)
{
	enum { ROUNDS = 64, PART = 256 * 1024 };
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct listening l = { .conduct = TURNS };
	uint8_t *part = malloc(PART);
	size_t sent[2] = { 0 };
	int fd[2];

	for (int i = 0; i < PART; i++)
		part[i] = (uint8_t)i;
	e.loops = 1;
	MUST(listening_open(&l, &e, NULL));
	for (int i = 0; i < 2; i++)
		fd[i] = client_begin(address_of(&l));
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.opened) == 2));
	for (int i = 0; i < 2 * ROUNDS; i++) {
		size_t at = sent[i % 2] % 256;
		ssize_t now = send(fd[i % 2], part + at, PART - at, MSG_NOSIGNAL);

		sent[i % 2] += now > 0 ? (size_t)now : 0;
		if (now <= 0)
			tap_nap();
	}
	shutdown(fd[0], SHUT_WR);
	shutdown(fd[1], SHUT_WR);
	CHECK(WITHIN_MS(10000, kolk__load_sc(&l.ends) == 2));
	CHECK(kolk__load_sc(&l.received) == sent[0] + sent[1]);
	CHECK(kolk__load_sc(&l.mismatches) == 0);
	tap_note("%llu bytes in %llu pieces", (unsigned long long)kolk__load_sc(&l.received),
		 (unsigned long long)kolk__load_sc(&l.pieces));
	close(fd[0]);
	close(fd[1]);
	free(part);
	listening_close(&l);
}

/* ---- a ring that knows no streams: a STREAM becomes work that does nothing, and ends so */

static void (*stream_done)(struct kolk_op *op);

static void work_nothing(struct kolk_op *op)
{
	(void)op;
}

static void is_unsupported(struct kolk_op *op)
{
	op->kind = KOLK_OP_STREAM;
	op->result = -EOPNOTSUPP;
	stream_done(op);
}

static void submit_no_stream(struct kolk_ring *ring, struct kolk_op *op)
{
	if (op->kind == KOLK_OP_STREAM) {
		stream_done = op->done;
		op->kind = KOLK_OP_WORK;
		op->work = work_nothing;
		op->done = is_unsupported;
	}
	kolk_sys_linux()->ring_submit(ring, op);
}

static void without_streams(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct listening l = { 0 };
	struct kolk_sys sys = *counting_sys();
	int fd, other;

	sys.ring_submit = submit_no_stream;
	e.sys = &sys;
	e.loops = 1;
	MUST(listening_open(&l, &e, NULL));
	fd = client_dial(address_of(&l));
	other = client_dial(address_of(&l));
	CHECK(client_echoes(fd, 1) && client_echoes(fd, 60000) && client_echoes(other, 10));
	shutdown(fd, SHUT_WR);
	CHECK(client_next(fd) == 0);
	close(fd);
	close(other);
	CHECK(ends(&l, 2));
	listening_close(&l);
}

/* A peer that reads nothing is reset after the time-out; one that reads slowly is not. */
static void send_times_out(void)
{
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { .conduct = PUSH, .push_size = 1 << 20 };
	uint64_t began_ms;
	static char some[512 * 1024];
	int fd;

	o.send_timeout_ns = 400 * KOLK_MS_NS;
	MUST(listening_open(&l, NULL, &o));
	fd = client_dial(address_of(&l));
	memset(some, 'x', sizeof some);
	CHECK(client_send(fd, some, 1));
	for (int i = 0; i < 15; i++) {
		CHECK(client_recv(fd, some, sizeof some) == sizeof some);
		usleep(50000);
	}
	CHECK(kolk__load_sc(&l.ended) == 0);
	began_ms = tap_now_ms();
	CHECK(ends(&l, 1));
	CHECK(tap_now_ms() - began_ms >= 200);
	CHECK((int32_t)kolk__load_sc(&l.last_err) == KOLK_E_TIMEOUT);
	CHECK(kolk__load_sc(&l.sends_failed) == 1);
	while (client_next(fd) > 0)
		;
	close(fd);
	listening_close(&l);
}

/* ---- many, and addresses */

static void many_at_once(void)
{
	enum { MANY = 2000 };
	struct listening l = { 0 };
	static int fd[MANY];
	struct rlimit limit, high;
	int64_t before;
	int good = 0;

	MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	high = limit;
	high.rlim_cur = high.rlim_max;
	if (high.rlim_max < 2 * MANY + 100 || setrlimit(RLIMIT_NOFILE, &high) != 0) {
		tap_skip("RLIMIT_NOFILE is too low");
		return;
	}
	MUST(listening_open(&l, NULL, NULL));
	before = counting_bytes();
	for (int i = 0; i < MANY; i++)
		fd[i] = client_dial(address_of(&l));
	for (int i = 0; i < MANY; i++)
		good += fd[i] >= 0 && client_send(fd[i], &i, sizeof i);
	for (int i = 0; i < MANY; i++) {
		int back = -1;

		good += client_recv(fd[i], &back, sizeof back) == sizeof back && back == i;
	}
	CHECK(good == 2 * MANY);
	CHECK(listening_stats(&l).streams == MANY);
	tap_note("%lld bytes for each", (long long)(counting_bytes() - before) / MANY);
	CHECK(counting_bytes() - before <= 600 * MANY);
	for (int i = 0; i < MANY; i++)
		close(fd[i]);
	CHECK(ends(&l, MANY));
	listening_close(&l);
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void serves_ipv6(void)
{
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { 0 };
	int fd;

	o.address = "tcp://[::1]:0";
	MUST(listening_open(&l, NULL, &o));
	CHECK(strncmp(address_of(&l), "[::1]:", 6) == 0);
	fd = client_dial(address_of(&l));
	CHECK(client_echoes(fd, 100));
	close(fd);
	listening_close(&l);
}

static struct kolk_stream_peer peer;

static void ask_peer(struct kolk_stream *stream)
{
	peer = (struct kolk_stream_peer)KOLK_INIT(kolk_stream_peer);
	kolk_stream_peer(stream, &peer);
}

static void knows_the_peer(void)
{
	struct listening l = { .conduct = SINK };
	struct sockaddr_in own;
	socklen_t size = sizeof own;
	int fd;

	MUST(listening_open(&l, NULL, NULL));
	fd = client_dial(address_of(&l));
	CHECK(getsockname(fd, (struct sockaddr *)&own, &size) == 0);
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.opened) == 1));
	listening_call(&l, ask_peer);
	CHECK(strcmp(peer.address, "127.0.0.1") == 0 && peer.port == ntohs(own.sin_port));
	CHECK(strcmp(peer.local_address, "127.0.0.1") == 0);
	CHECK(peer.local_port == (uint32_t)atoi(strrchr(address_of(&l), ':') + 1));
	CHECK(peer.proxied == 0 && peer.tls_version == 0 && peer.pid == 0);
	close(fd);
	listening_close(&l);
}

static void serves_unix(void)
{
	struct kolk_listener_options o = KOLK_INIT(kolk_listener_options);
	struct listening l = { .conduct = SINK };
	struct stat file;
	char path[64];
	int fd;

	snprintf(path, sizeof path, "unix:/tmp/kolk-listen-%d", getpid());
	o.address = path;
	o.unix_mode = 0600;
	MUST(listening_open(&l, NULL, &o));
	CHECK(strcmp(address_of(&l), path) == 0);
	CHECK(stat(path + 5, &file) == 0 && (file.st_mode & 0777) == 0600);
	fd = client_dial(path);
	CHECK(client_send(fd, "x", 1));
	CHECK(WITHIN_MS(5000, kolk__load_sc(&l.received) == 1));
	listening_call(&l, ask_peer);
	CHECK(peer.address[0] == 0 && peer.pid == (uint32_t)getpid() && peer.uid == getuid());
	close(fd);
	listening_close(&l);
	CHECK(stat(path + 5, &file) != 0);
	/* A name without a file. */
	l = (struct listening){ 0 };
	snprintf(path, sizeof path, "unix:@kolk-listen-%d", getpid());
	MUST(listening_open(&l, NULL, &o));
	fd = client_dial(path);
	CHECK(client_echoes(fd, 1000));
	close(fd);
	listening_close(&l);
}

/* Nothing else happens on the loop: the callback, which sends the next piece, runs all the same. */
static void lazy_sends_end(void)
{
	enum { PIECE = 16384, PIECES = 200 };
	struct listening l = { .conduct = PUSH, .lazy = true, .push_size = PIECE,
			       .pushes_max = PIECES };
	static char bytes[PIECE * PIECES];
	int fd;

	MUST(listening_open(&l, NULL, NULL));
	fd = client_dial(kolk_listener_address(l.listener));
	CHECK(client_send(fd, "x", 1));
	CHECK(client_recv(fd, bytes, sizeof bytes) == sizeof bytes);
	close(fd);
	listening_close(&l);
}

/* A lazy send that has to wait for its peer does not keep others waiting. */
static void lazy_sends_wait_alone(void)
{
	struct listening l = { .conduct = PUSH, .lazy = true, .push_size = 16384 };
	struct listening other = { .conduct = ECHO, .lazy = true };
	int silent[4], fd;

	MUST(listening_open(&l, NULL, NULL));
	for (int i = 0; i < 4; i++) {
		silent[i] = client_dial(kolk_listener_address(l.listener));
		CHECK(client_send(silent[i], "x", 1));
	}
	usleep(200000); /* no more is taken */
	other.engine = l.engine;
	MUST(listening_add(&other, NULL, NULL) == KOLK_OK);
	fd = client_dial(kolk_listener_address(other.listener));
	for (int i = 0; i < 300; i++)
		CHECK(client_echoes(fd, 1000));
	for (int i = 0; i < 4; i++)
		client_reset(silent[i]);
	close(fd);
	CHECK_ERR(kolk_listener_close(other.listener, kolk_in_ms(5000), NULL, NULL), KOLK_OK);
	listening_close(&l);
}

static const struct tap_test tests[] = {
	{ "what comes goes back", echoes },
	{ "a client that ends first gets everything", client_half_closes },
	{ "a client whose stream ends first sees no reset", stream_half_closes },
	{ "a client that does not end is waited for, not longer", lingers_for_a_while },
	{ "a client that talks on and on is reset", lingers_for_so_many_bytes },
	{ "a reset is one, also after the client's end", resets },
	{ "a reset of the client is told", client_resets },
	{ "a stream that open refuses is reset", is_refused },
	{ "a paused stream shows nothing, and loses nothing", pauses },
	{ "streams that are paused in turns keep the order", takes_turns },
	{ "a ring without streams: one receive after the other", without_streams },
	{ "a peer that reads nothing is reset, a slow one is not", send_times_out },
	{ "2 000 connections at once", many_at_once },
	{ "the end of a lazy send is told, though nothing else happens", lazy_sends_end },
	{ "a lazy send that is stuck keeps nobody waiting", lazy_sends_wait_alone },
	{ "IPv6", serves_ipv6 },
	{ "addresses of both ends", knows_the_peer },
	{ "Unix sockets: mode, credentials, the file goes at the end", serves_unix },
};
TAP_TESTS(listen, tests);
