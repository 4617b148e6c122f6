/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unread_test.c - a peer sends more than was requested, or faster than it is read: the stream
 * of its connection pauses, is cancelled and begins again from within its own completions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/kit/mock.h"
#include "tests/wire/wire.h"

enum { ROUNDS = 20, BLOCK = 64 * 1024 };

/* ---- the peer: what follows each request */

struct much {
	size_t size; /* bytes, of numbers in order */
	uint32_t after_us; /* a pause before them; 0 = together with the line */
	struct kit_mock *mock;
	struct wire w;
};

static bool send_numbers(struct kit_mock_conn *conn, size_t size)
{
	uint32_t block[BLOCK / 4], next = 0;

	for (size_t left = size; left > 0;) {
		size_t part = left < BLOCK ? left : BLOCK;

		for (size_t i = 0; i < BLOCK / 4; i++)
			block[i] = next++;
		if (!kit_mock_send(conn, block, part))
			return false;
		left -= part;
	}
	return true;
}

/* "hello" comes back; "after" too, with much behind it; "more" is answered by that alone. */
static void play(struct kit_mock_conn *conn, void *user)
{
	const struct much *much = user;
	bool open = true;
	char line[16];

	while (open && kit_mock_read_until(conn, "\n", line, sizeof line, 5000)) {
		(void)kit_mock_hold(conn, much->after_us == 0);
		open = line[0] == 'm' || kit_mock_say(conn, line);
		if (line[0] != 'h' && much->after_us > 0)
			open = open && kit_mock_wait(conn, much->after_us);
		if (line[0] != 'h')
			open = open && send_numbers(conn, much->size);
		(void)kit_mock_hold(conn, false);
	}
}

static bool open_much(struct much *much, size_t size)
{
	struct kit_mock_options m = { .play = play, .user = much };
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	much->size = size;
	much->mock = kit_mock_open(&m);
	if (!CHECK(much->mock != NULL))
		return false;
	snprintf(much->w.address, sizeof much->w.address, "%s", kit_mock_address(much->mock));
	engine.loops = 1;
	o.connections_max = 1;
	o.idle_min = KOLK_NONE;
	return wire_engine(&much->w, &engine) && wire_pool(&much->w, &o);
}

static void close_much(struct much *much)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	CHECK(WITHIN_MS(3000, wire_stats(much->w.pool).leased == 0));
	CHECK(WITHIN_MS(3000, kolk_engine_stats(much->w.engine, &stats) == KOLK_OK &&
				      stats.unread_bytes == 0));
	wire_close(&much->w);
	kit_mock_close(much->mock);
}

/* ---- the caller, on the loop */

enum then { RELEASE, DISCARD_IN_FLIGHT };

struct reader {
	struct much *much;
	struct kolk_call call;
	struct kolk_loop *loop;
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	struct kolk_io io;
	const char *line;
	size_t wants, buffer; /* bytes in all, and at a time */
	enum then then;
	uint8_t *bytes;
	size_t has;
	uint64_t wrong;
	kolk__atomic_u32 reader_done;
	enum kolk_err err;
};

static void reader_done(struct reader *r, enum kolk_err err)
{
	r->err = err;
	if (err == KOLK_OK && r->then == RELEASE)
		(void)kolk_release(&r->lease);
	else
		(void)kolk_discard(&r->lease);
	kolk__store_release(&r->reader_done, 1);
}

static void check(struct reader *r, size_t at, size_t size)
{
	for (size_t i = 0; i < size && r->line[0] == 'm'; i++) {
		uint32_t number = (uint32_t)((at + i) / 4);

		r->wrong += r->bytes[i] != (uint8_t)(number >> 8 * ((at + i) % 4));
	}
}

static void received(void *user, enum kolk_err err, size_t size);

static void receive(struct reader *r)
{
	enum kolk_err err = kolk_recv_async(r->loop, &r->lease, &r->io, r->bytes, r->buffer,
					    kolk_in_ms(10000), received, r);

	if (err != KOLK_PENDING)
		reader_done(r, err);
	else if (r->then == DISCARD_IN_FLIGHT && r->has >= r->wants)
		(void)kolk_discard(&r->lease); /* its callback comes */
}

static void received(void *user, enum kolk_err err, size_t size)
{
	struct reader *r = user;

	check(r, r->has, size);
	r->has += size;
	if (err != KOLK_OK || (r->then != DISCARD_IN_FLIGHT && r->has >= r->wants))
		reader_done(r, err);
	else
		receive(r);
}

static void on_received(void *user, enum kolk_err err, size_t size)
{
	struct reader *r = user;

	(void)size;
	if (err == KOLK_OK)
		receive(r);
	else
		reader_done(r, err);
}

static void leased(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct reader *r = user;

	if (err == KOLK_OK) {
		r->lease = *lease;
		err = kolk_send_async(r->loop, lease, &r->io, r->line, strlen(r->line),
				      kolk_in_ms(5000), on_received, r);
	}
	if (err != KOLK_PENDING)
		reader_done(r, err);
}

static void begin(struct kolk_call *call, void *user)
{
	struct reader *r = user;
	enum kolk_err err = kolk_acquire_async(r->loop, r->much->w.key, kolk_in_ms(5000),
					       &r->acquire, leased, r);

	(void)call;
	if (err != KOLK_PENDING)
		leased(r, err, &r->acquire.lease);
}

/* Ask on the loop, read so much, and then. False = something that came was wrong. */
static bool ask(struct much *much, const char *line, size_t wants, size_t buffer, enum then then)
{
	struct reader r = { .much = much, .loop = kolk_engine_loop(much->w.engine, 0),
			    .line = line, .wants = wants, .buffer = buffer, .then = then,
			    .bytes = malloc(buffer) };

	(void)kolk_loop_call(r.loop, &r.call, begin, &r);
	if (!CHECK(WITHIN_MS(20000, kolk__load_acquire(&r.reader_done))))
		abort(); /* its memory is in use */
	free(r.bytes);
	if (then != DISCARD_IN_FLIGHT)
		CHECK_ERR(r.err, KOLK_OK);
	return CHECK(r.wrong == 0) && CHECK(r.has >= wants);
}

/* The pool's connections stream once one was read on a loop. */
static bool say_hello(struct much *much)
{
	return ask(much, "hello\n", 6, 64, RELEASE);
}

/* ---- the tests */

static uint64_t unsolicited(const struct much *much)
{
	return wire_stats(much->w.pool).destroyed[KOLK_REASON_PEER_DATA];
}

static void while_idle(void)
{
	struct much much = { .after_us = 2000 };

	MUST(open_much(&much, 300 * 1024) && say_hello(&much));
	for (uint64_t i = 0; i < ROUNDS; i++) {
		CHECK(ask(&much, "after\n", 6, 6, RELEASE));
		CHECK(WITHIN_MS(3000, wire_stats(much.w.pool).idle == 0));
	}
	CHECK(unsolicited(&much) > 0);
	close_much(&much);
}

static void behind_an_answer(void)
{
	struct much much = { 0 };

	MUST(open_much(&much, 200 * 1000) && say_hello(&much));
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		CHECK(ask(&much, "after\n", 6, 6, RELEASE));
		CHECK(WITHIN_MS(3000, wire_stats(much.w.pool).idle == 0));
		CHECK(wire_stats(much.w.pool).created == i); /* none was used again */
	}
	close_much(&much);
}

static void cut_short(void)
{
	struct much much = { 0 };

	MUST(open_much(&much, 8 << 20) && say_hello(&much));
	for (int i = 0; i < ROUNDS; i++)
		CHECK(ask(&much, "more\n", 1 << 20, 16 * 1024, RELEASE));
	for (int i = 0; i < ROUNDS; i++)
		CHECK(ask(&much, "more\n", (size_t)i << 16, 16 * 1024, DISCARD_IN_FLIGHT));
	close_much(&much);
}

/* A buffer for everything that is there: the stream continues in the step in which it paused. */
static void in_large_pieces(void)
{
	struct much much = { 0 };

	MUST(open_much(&much, 64 << 20) && say_hello(&much));
	CHECK(ask(&much, "more\n", 64 << 20, 1 << 20, RELEASE));
	CHECK(ask(&much, "more\n", 64 << 20, 150 * 1000, RELEASE));
	CHECK(ask(&much, "more\n", 64 << 20, 1 << 20, RELEASE));
	CHECK(wire_stats(much.w.pool).created == 1);
	close_much(&much);
}

/* ---- a reset behind more than a link keeps */

enum { KEPT = 100 * 1024, PIECE = 4096 }; /* and a block more: above KOLK__UNREAD_MAX */

struct late {
	struct kolk_call call;
	struct kolk_loop *loop;
	struct kolk_key *key;
	struct kolk_acquire acquire;
	struct kolk_io io;
	struct kolk_lease lease;
	char piece[PIECE];
	kolk__atomic_u32 begun, done;
	enum kolk_err err;
};

static void play_reset(struct kit_mock_conn *conn, void *user)
{
	char line[16];

	(void)user;
	if (!kit_mock_read_until(conn, "\n", line, sizeof line, 5000) ||
	    !send_numbers(conn, KEPT) || !kit_mock_wait(conn, 50000))
		return;
	(void)send_numbers(conn, BLOCK);
	kit_mock_reset(conn);
}

static void late_received(void *user, enum kolk_err err, size_t size)
{
	struct late *late = user;

	(void)size;
	if (kolk__load_acquire(&late->begun) == 0) { /* the stream is on; nothing is read for now */
		kolk__store_release(&late->begun, 1);
		return;
	}
	if (err == KOLK_OK)
		err = kolk_recv_async(late->loop, &late->lease, &late->io, late->piece, PIECE,
				      kolk_in_ms(5000), late_received, late);
	if (err == KOLK_PENDING)
		return;
	late->err = err;
	(void)kolk_discard(&late->lease);
	kolk__store_release(&late->done, 1);
}

static void late_sent(void *user, enum kolk_err err, size_t size)
{
	struct late *late = user;

	(void)size;
	CHECK_ERR(err, KOLK_OK);
	CHECK_ERR(kolk_recv_async(late->loop, &late->lease, &late->io, late->piece, PIECE,
				  kolk_in_ms(5000), late_received, late), KOLK_PENDING);
}

static void late_leased(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct late *late = user;

	CHECK_ERR(err, KOLK_OK);
	late->lease = *lease;
	CHECK_ERR(kolk_send_async(late->loop, lease, &late->io, "much\n", 5, kolk_in_ms(5000),
				  late_sent, late), KOLK_PENDING);
}

static void late_begin(struct kolk_call *call, void *user)
{
	struct late *late = user;
	enum kolk_err err = kolk_acquire_async(late->loop, late->key, kolk_in_ms(5000),
					       &late->acquire, late_leased, late);

	(void)call;
	if (err != KOLK_PENDING)
		late_leased(late, err, &late->acquire.lease);
}

/* The rest and the reset come while the loop does something else: it sees them at once. */
static void late_go_on(struct kolk_call *call, void *user)
{
	(void)call;
	usleep(100000);
	late_received(user, KOLK_OK, 0);
}

static void reset_behind_much(void)
{
	struct kit_mock *mock = kit_mock_open(&(struct kit_mock_options){ .play = play_reset });
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct wire w = { 0 };

	MUST(mock != NULL && wire_engine(&w, NULL));
	o.address = kit_mock_address(mock);
	MUST(wire_pool(&w, &o));
	for (int i = 0; i < 10; i++) {
		struct late late = { .loop = kolk_engine_loop(w.engine, 0), .key = w.key };

		(void)kolk_loop_call(late.loop, &late.call, late_begin, &late);
		CHECK(WITHIN_MS(5000, kolk__load_acquire(&late.begun)));
		(void)kolk_loop_call(late.loop, &late.call, late_go_on, &late);
		if (!CHECK(WITHIN_MS(6000, kolk__load_acquire(&late.done))))
			abort(); /* its memory is in use */
		CHECK_ERR(late.err, KOLK_E_RESET);
	}
	wire_close(&w);
	kit_mock_close(mock);
}

static const struct tap_test tests[] = {
	{ "a flood on an idle connection ends it, and nothing else", while_idle },
	{ "a flood behind a complete answer likewise", behind_an_answer },
	{ "a large answer that is cut short", cut_short },
	{ "a large answer in pieces as large as what waits", in_large_pieces },
	{ "a reset behind more than is kept is a reset, not an end", reset_behind_much },
};
TAP_TESTS(unread, tests);
