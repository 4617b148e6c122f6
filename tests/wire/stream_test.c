/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_test.c - connections that loops read stream (transport/input.h): other readers come in
 * between, unread data, unsolicited data.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/kit/measure.h"
#include "tests/kit/mock.h"
#include "tests/wire/wire.h"

/* ---- a request on a loop, asked for by the test's thread */

struct call {
	struct kolk_call call;
	struct kolk_loop *loop;
	struct kolk_key *key;
	struct kolk_acquire acquire;
	struct kolk_io io;
	struct kolk_lease lease;
	const char *line;
	char answer[64];
	size_t size;
	kolk__atomic_u32 done;
	enum kolk_err err;
};

static void call_done(struct call *call, enum kolk_err err)
{
	if (err == KOLK_OK)
		err = kolk_release(&call->lease);
	else
		(void)kolk_discard(&call->lease);
	call->err = err;
	kolk__store_release(&call->done, 1);
}

static void call_received(void *user, enum kolk_err err, size_t size)
{
	struct call *call = user;

	call->size += size;
	if (err == KOLK_OK && call->size < strlen(call->line))
		err = kolk_recv_async(call->loop, &call->lease, &call->io,
				      call->answer + call->size, sizeof call->answer - call->size,
				      kolk_in_ms(5000), call_received, call);
	else if (err == KOLK_OK && (call->size != strlen(call->line) ||
				    memcmp(call->answer, call->line, call->size) != 0))
		err = KOLK_E_PROTOCOL;
	if (err != KOLK_PENDING)
		call_done(call, err);
}

static void call_sent(void *user, enum kolk_err err, size_t size)
{
	(void)size;
	call_received(user, err, 0);
}

static void call_leased(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct call *call = user;

	if (err == KOLK_OK) {
		call->lease = *lease;
		err = kolk_send_async(call->loop, lease, &call->io, call->line,
				      strlen(call->line), kolk_in_ms(5000), call_sent, call);
	}
	if (err != KOLK_PENDING)
		call_done(call, err);
}

static void call_begin(struct kolk_call *posted, void *user)
{
	struct call *call = user;
	enum kolk_err err = kolk_acquire_async(call->loop, call->key, kolk_in_ms(5000),
					       &call->acquire, call_leased, call);

	(void)posted;
	if (err != KOLK_PENDING)
		call_leased(call, err, &call->acquire.lease);
}

static enum kolk_err loop_request(struct wire *w, uint32_t loop, const char *line)
{
	struct call call = { .loop = kolk_engine_loop(w->engine, loop), .key = w->key,
			     .line = line };

	(void)kolk_loop_call(call.loop, &call.call, call_begin, &call);
	if (!CHECK(WITHIN_MS(6000, kolk__load_acquire(&call.done))))
		abort(); /* its memory is in use */
	return call.err;
}

/* ---- several readers, one after the other, on one connection */

static bool one_connection(struct wire *w, bool tls)
{
	struct kit_origin_options origin = { .cert = tls ? &wire_certs.good : NULL };
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_tls_options trust = KOLK_INIT(kolk_tls_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	engine.loops = 2;
	trust.ca_file = wire_certs.ca_path;
	trust.server_name = "localhost";
	o.tls = tls ? &trust : NULL;
	o.connections_max = o.idle_min = 1;
	return wire_origin(w, &origin) && wire_engine(w, &engine) && wire_pool(w, &o);
}

static void in_turn(bool tls)
{
	struct wire w = { 0 };

	MUST(one_connection(&w, tls));
	for (int i = 0; i < 40; i++) {
		char line[32];

		snprintf(line, sizeof line, "turn %d\n", i);
		if (i % 4 == 3) /* a plain thread; the others are both loops */
			CHECK_ERR(wire_request(w.key, line), KOLK_OK);
		else
			CHECK_ERR(loop_request(&w, (uint32_t)(i % 2), line), KOLK_OK);
	}
	CHECK(wire_stats(w.pool).created == 1);
	wire_close(&w);
}

static void readers_in_turn(void)
{
	in_turn(false);
}

static void readers_in_turn_tls(void)
{
	in_turn(true);
}

/* TLS 1.3 sends tickets after the handshake, to a connection that may be idle by then. */
static void tickets_are_no_data(void)
{
	struct wire w = { 0 };

	MUST(one_connection(&w, true));
	CHECK_ERR(loop_request(&w, 0, "hello\n"), KOLK_OK); /* the pool streams from now on */
	CHECK_ERR(loop_request(&w, 1, "hello\n"), KOLK_OK);
	for (uint64_t i = 2; i < 8; i++) {
		(void)kolk_pool_clear(w.pool); /* refilled: idle_min */
		CHECK(WITHIN_MS(2000, wire_stats(w.pool).created >= i &&
					      wire_stats(w.pool).idle == 1));
		usleep(20000);
		CHECK_ERR(loop_request(&w, (uint32_t)i % 2, "hello\n"), KOLK_OK);
		CHECK(wire_stats(w.pool).created == i);
	}
	CHECK(wire_stats(w.pool).destroyed[KOLK_REASON_PEER_DATA] == 0);
	wire_close(&w);
}

/* ---- unsolicited data */

static void hang_up_on_stream(void)
{
	double late_ms[20];
	struct wire w = { 0 };

	MUST(one_connection(&w, false));
	for (uint64_t i = 0; i < 20; i++) {
		uint64_t began_ns;

		CHECK_ERR(loop_request(&w, 0, "hello\n"), KOLK_OK);
		CHECK_ERR(loop_request(&w, 1, "hello\n"), KOLK_OK);
		/* Both loops have read now: which one is the home does not matter. */
		CHECK_ERR(loop_request(&w, 0, "hello\n"), KOLK_OK);
		began_ns = clock_now();
		kit_origin_hang_up(w.origin, i % 2 != 0);
		CHECK(WITHIN_MS(1000, wire_stats(w.pool).stale_discarded == i + 1));
		late_ms[i] = (double)(clock_now() - began_ns) / 1e6;
	}
	tap_note("out of the idle list %.2f ms after the peer began to hang up (median)",
		 median(late_ms, 20));
	wire_close(&w);
}

static void junk_while_idle(void)
{
	struct kit_origin_options origin = { .behaviour = KIT_JUNK, .after = 1 };
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct wire w = { 0 };
	uint64_t early = 0;

	engine.loops = 1;
	MUST(wire_origin(&w, &origin) && wire_engine(&w, &engine) && wire_pool(&w, NULL));
	for (uint64_t i = 0; i < 20; i++) {
		enum kolk_err err;
		uint64_t out;

		/* Each answer is followed by an unsolicited line, 2 ms later: on a slow
		 * machine together with the answer, which the caller sees then. */
		err = loop_request(&w, 0, "hello\n");
		early += err == KOLK_E_PROTOCOL;
		CHECK(err == KOLK_OK || err == KOLK_E_PROTOCOL);
		CHECK(WITHIN_MS(1000, (out = wire_stats(w.pool).destroyed[KOLK_REASON_PEER_DATA],
				       out + early >= i + 1)));
	}
	wire_close(&w);
}

/* ---- a flood that is not read */

struct flood {
	int listener;
	kolk__atomic_u64 sent;
	kolk__atomic_u32 stop;
};

/* Numbers in order, as fast as they are taken. */
static void *flood(void *arg)
{
	struct flood *flood = arg;
	int fd = accept(flood->listener, NULL, NULL);
	uint32_t block[4096], next = 0;
	char start;

	if (fd < 0 || recv(fd, &start, 1, 0) != 1)
		return NULL;
	while (!kolk__load_relaxed(&flood->stop)) {
		size_t size = sizeof block, at = 0;

		for (size_t i = 0; i < 4096; i++)
			block[i] = next++;
		while (at < size && !kolk__load_relaxed(&flood->stop)) {
			ssize_t sent = send(fd, (char *)block + at, size - at,
					    MSG_DONTWAIT | MSG_NOSIGNAL);

			if (sent > 0)
				at += (size_t)sent;
			else if (errno != EAGAIN)
				return NULL;
			kolk__add_relaxed(&flood->sent, sent > 0 ? (uint64_t)sent : 0);
		}
	}
	close(fd);
	return NULL;
}

struct loop_reader {
	struct kolk_call call;
	struct kolk_loop *loop;
	struct kolk_lease lease;
	struct kolk_io io;
	uint32_t next, answer[1000];
	size_t left, have;
	kolk__atomic_u32 done;
	bool wrong;
};

static void on_received(void *user, enum kolk_err err, size_t size);

static void receive_more(struct kolk_call *call, void *user)
{
	struct loop_reader *t = user;
	enum kolk_err err = kolk_recv_async(t->loop, &t->lease, &t->io,
					    (char *)t->answer + t->have,
					    sizeof t->answer - t->have, kolk_in_ms(5000), on_received, t);

	(void)call;
	if (err != KOLK_PENDING)
		on_received(t, err, 0);
}

static void on_received(void *user, enum kolk_err err, size_t size)
{
	struct loop_reader *t = user;
	size_t whole = (t->have += size) / 4;

	for (size_t i = 0; i < whole; i++)
		t->wrong = t->wrong || t->answer[i] != t->next++;
	memmove(t->answer, t->answer + whole, t->have % 4);
	t->have %= 4;
	t->left -= size < t->left ? size : t->left;
	if (err == KOLK_OK && t->left > 0) {
		receive_more(&t->call, t);
		return;
	}
	t->wrong = t->wrong || err != KOLK_OK;
	kolk__store_release(&t->done, 1);
}

/* Three equal counts, 50 ms apart. */
static uint64_t settled(struct flood *f)
{
	uint64_t sent = kolk__load_relaxed(&f->sent), now;

	for (int equal = 1; equal < 3; equal++) {
		usleep(50000);
		now = kolk__load_relaxed(&f->sent);
		if (now != sent)
			equal = 0;
		sent = now;
	}
	return sent;
}

static void unread_flood(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	socklen_t size = sizeof here;
	struct flood f = { 0 };
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct loop_reader t = { .left = 4 };
	struct wire w = { 0 };
	uint64_t sent;
	pthread_t thread;
	int buffer = 65536;

	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(f.listener, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
	MUST(bind(f.listener, (struct sockaddr *)&here, size) == 0 && listen(f.listener, 8) == 0 &&
	     getsockname(f.listener, (struct sockaddr *)&here, &size) == 0);
	MUST(pthread_create(&thread, NULL, flood, &f) == 0);
	snprintf(w.address, sizeof w.address, "127.0.0.1:%u", ntohs(here.sin_port));
	engine.loops = 1;
	o.connections_max = o.idle_min = 1;
	MUST(wire_engine(&w, &engine) && wire_pool(&w, &o));
	MUST(kolk_acquire(w.key, kolk_in_ms(3000), &t.lease) == KOLK_OK);
	CHECK_ERR(kolk_send_all(&t.lease, "g", 1, kolk_in_ms(1000)), KOLK_OK);
	t.loop = kolk_engine_loop(w.engine, 0);
	(void)kolk_loop_call(t.loop, &t.call, receive_more, &t); /* a first look: it streams now */
	CHECK(WITHIN_MS(5000, kolk__load_acquire(&t.done)));
	sent = settled(&f);
	(void)kolk_engine_stats(w.engine, &stats);
	CHECK(stats.unread_bytes > 64 * 1024 && stats.unread_bytes < 2 << 20);
	tap_note("the peer could send %llu KiB before it had to wait",
		 (unsigned long long)sent / 1024);
	CHECK(sent < 16 << 20);
	kolk__store_relaxed(&t.done, 0); /* nothing of it is under way */
	t.left = 64 << 20;
	(void)kolk_loop_call(t.loop, &t.call, receive_more, &t);
	CHECK(WITHIN_MS(20000, kolk__load_acquire(&t.done)) && !t.wrong);
	kolk__store_relaxed(&f.stop, 1);
	CHECK_ERR(kolk_release(&t.lease), KOLK_OK);
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).destroyed[KOLK_REASON_DIRTY] +
				      wire_stats(w.pool).destroyed[KOLK_REASON_PEER_DATA] >= 1));
	(void)kolk_engine_stats(w.engine, &stats);
	CHECK(stats.unread_bytes == 0);
	wire_close(&w);
	pthread_join(thread, NULL);
	close(f.listener);
}

/* ---- read to the end, while the stream is paused */

enum { HELD = 128 * 1024 + 1 }; /* one byte more than is buffered unread */

struct held {
	kolk__atomic_u32 on_received; /* the connection was released */
	bool hangs_up;  /* instead of sending unsolicited data */
};

static void held_play(struct kit_mock_conn *conn, void *user)
{
	static char block[HELD];
	struct held *held = user;

	if (!kit_mock_read(conn, NULL, 1, 5000) || !kit_mock_send(conn, block, 4) ||
	    !kit_mock_read(conn, NULL, 1, 5000) || !kit_mock_send(conn, block, sizeof block))
		return;
	while (!kolk__load_acquire(&held->on_received))
		if (!kit_mock_wait(conn, 1000))
			return;
	if (!held->hangs_up && kit_mock_say(conn, "unsolicited\n"))
		(void)kit_mock_drain(conn, 5000);
}

static uint64_t unread_bytes(const struct wire *w)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	(void)kolk_engine_stats(w->engine, &stats);
	return stats.unread_bytes;
}

/* Zeros are not numbers in order: only how many there are counts here. */
static bool receive_all(struct loop_reader *t, size_t size)
{
	t->left = size;
	kolk__store_release(&t->done, 0);
	(void)kolk_loop_call(t->loop, &t->call, receive_more, t);
	return WITHIN_MS(5000, kolk__load_acquire(&t->done)) && t->left == 0;
}

/* The last holder read everything: it is clean, and watched like any other. */
static void watched_again(bool hangs_up)
{
	struct held held = { .hangs_up = hangs_up };
	struct kit_mock_options m = { .play = held_play, .user = &held };
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kit_mock *mock = kit_mock_open(&m);
	enum kolk_reason reason = hangs_up ? KOLK_REASON_PEER_CLOSED : KOLK_REASON_PEER_DATA;
	struct loop_reader t = { .left = 0 };
	struct wire w = { 0 };

	MUST(mock != NULL);
	snprintf(w.address, sizeof w.address, "%s", kit_mock_address(mock));
	engine.loops = 1;
	o.connections_max = 1;
	o.idle_min = KOLK_NONE;
	MUST(wire_engine(&w, &engine) && wire_pool(&w, &o));
	MUST(kolk_acquire(w.key, kolk_in_ms(3000), &t.lease) == KOLK_OK);
	t.loop = kolk_engine_loop(w.engine, 0);
	CHECK_ERR(kolk_send_all(&t.lease, "a", 1, kolk_in_ms(1000)), KOLK_OK);
	MUST(receive_all(&t, 4)); /* it streams now */
	CHECK_ERR(kolk_send_all(&t.lease, "b", 1, kolk_in_ms(1000)), KOLK_OK);
	CHECK(WITHIN_MS(3000, unread_bytes(&w) == HELD));
	MUST(receive_all(&t, HELD));
	CHECK(WITHIN_MS(1000, kolk_release(&t.lease) == KOLK_OK));
	CHECK(wire_stats(w.pool).idle == 1);
	kolk__store_release(&held.on_received, 1);
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).destroyed[reason] == 1));
	wire_close(&w);
	kit_mock_close(mock);
}

static void watched_after_much(void)
{
	watched_again(false);
	watched_again(true);
}

/* ---- much in both directions at once: nothing is lost, doubled or left lying */

enum { PUMPED = 4 << 20 };

/*
 * The two traps of mbedTLS between asynchronous ends. A write that was refused and is
 * repeated with other bytes loses the first: sends of all sizes while the peer is slow. A read
 * that says "more input" with records still in its queue stalls: many small records in one
 * segment.
 */
struct pump {
	struct kolk_call call;
	struct kolk_loop *loop;
	struct kolk_lease lease;
	struct kolk_io send, recv;
	char *bytes, answer[5000];
	size_t sent, received;
	kolk__atomic_u32 done;
	uint32_t wrong;
};

static void pump_sent(void *user, enum kolk_err err, size_t size);
static void pump_received(void *user, enum kolk_err err, size_t size);

static void pump_more(struct pump *p)
{
	size_t left = PUMPED - p->sent, size = 1 + p->sent % 40000;

	if (left == 0)
		return;
	if (kolk_send_async(p->loop, &p->lease, &p->send, p->bytes + p->sent,
			    size < left ? size : left, kolk_in_ms(10000), pump_sent,
			    p) != KOLK_PENDING)
		p->wrong++;
}

static void pump_write(struct pump *p)
{
	if (kolk_recv_async(p->loop, &p->lease, &p->recv, p->answer, 1 + p->received % 5000,
			    kolk_in_ms(10000), pump_received, p) != KOLK_PENDING)
		p->wrong++;
}

static void pump_sent(void *user, enum kolk_err err, size_t size)
{
	struct pump *p = user;

	p->wrong += err != KOLK_OK;
	p->sent += size;
	if (p->wrong == 0)
		pump_more(p);
}

static void pump_received(void *user, enum kolk_err err, size_t size)
{
	struct pump *p = user;

	p->wrong += err != KOLK_OK || memcmp(p->answer, p->bytes + p->received, size) != 0;
	p->received += size;
	if (p->wrong == 0 && p->received < PUMPED)
		pump_write(p);
	else
		kolk__store_release(&p->done, 1);
}

static void pump_begin(struct kolk_call *call, void *user)
{
	(void)call;
	pump_more(user);
	pump_write(user);
}

static void pump(bool tls, uint32_t loop)
{
	struct pump p = { .bytes = malloc(PUMPED) };
	uint64_t state = 88172645463325252u;
	struct wire w = { 0 };

	memset(p.bytes, 'x', PUMPED);
	for (size_t at = 0; at < PUMPED;) { /* lines: short ones, then long ones */
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		at += 1 + state % (at / 40000 % 2 ? 8000 : 12);
		if (at < PUMPED)
			p.bytes[at] = '\n';
	}
	p.bytes[PUMPED - 1] = '\n';
	MUST(one_connection(&w, tls));
	MUST(kolk_acquire(w.key, kolk_in_ms(3000), &p.lease) == KOLK_OK);
	p.loop = kolk_engine_loop(w.engine, loop);
	(void)kolk_loop_call(p.loop, &p.call, pump_begin, &p);
	if (!CHECK(WITHIN_MS(20000, kolk__load_acquire(&p.done))))
		abort(); /* its memory is in use */
	CHECK(p.wrong == 0 && p.received == PUMPED);
	CHECK(WITHIN_MS(1000, kolk_release(&p.lease) != KOLK_E_LEASE_BUSY));
	CHECK(wire_stats(w.pool).created == 1);
	wire_close(&w);
	free(p.bytes);
}

static void much_plain(void)
{
	pump(false, 0);
	pump(false, 1);
}

static void much_tls(void)
{
	pump(true, 0);
	pump(true, 1);
}

/* ---- a close with a receive in flight */

static void lone_begin(struct kolk_call *posted, void *user)
{
	struct call *call = user;

	(void)posted;
	call->err = kolk_acquire_async(call->loop, call->key, kolk_in_ms(5000), &call->acquire,
				       NULL, NULL);
	if (call->err == KOLK_OK) {
		call->lease = call->acquire.lease;
		CHECK_ERR(kolk_recv_async(call->loop, &call->lease, &call->io, call->answer,
					  sizeof call->answer, kolk_in_ms(9000), call_received,
					  call), KOLK_PENDING);
		call->err = kolk_discard(&call->lease);
	}
}

static void closes_with_receive(void)
{
	double ms[20];
	struct wire w = { 0 };

	MUST(one_connection(&w, false));
	for (int i = 0; i < 20; i++) {
		struct call call = { .loop = kolk_engine_loop(w.engine, (uint32_t)i % 2),
				     .key = w.key, .line = "nothing\n" };
		uint64_t began_ns;

		CHECK_ERR(loop_request(&w, 0, "hello\n"), KOLK_OK);
		began_ns = clock_now();
		(void)kolk_loop_call(call.loop, &call.call, lone_begin, &call);
		CHECK(WITHIN_MS(1000, kit_origin_counts(w.origin).ended == (uint64_t)i + 1));
		ms[i] = (double)(clock_now() - began_ns) / 1e6;
		CHECK(WITHIN_MS(1000, kolk__load_acquire(&call.done)) && call.err != KOLK_OK);
	}
	CHECK(median(ms, 20) < 50);
	tap_note("the peer saw the end after %.2f ms (median)", median(ms, 20));
	wire_close(&w);
}

static const struct tap_test tests[] = {
	{ "a thread and two loops read one connection in turn", readers_in_turn },
	{ "the same over TLS", readers_in_turn_tls },
	{ "a session ticket is not unsolicited data", tickets_are_no_data },
	{ "a peer that hangs up on a stream", hang_up_on_stream },
	{ "a peer that sends unsolicited data on a stream", junk_while_idle },
	{ "an unread flood is held back, and nothing of it is lost", unread_flood },
	{ "a paused stream is watched again when all is read", watched_after_much },
	{ "much in both directions", much_plain },
	{ "much in both directions, over TLS", much_tls },
	{ "a close with a receive in flight reaches the peer within 50 ms", closes_with_receive },
};
TAP_TESTS(stream, tests);
