/* SPDX-License-Identifier: Apache-2.0 */
/*
 * duplex_test.c - kolk_send_recv: more is sent and received than the buffers of two sockets hold,
 * to peers that stop reading when their own data is not read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/kit/mock.h"
#include "tests/wire/wire.h"

enum { MUCH = 12 << 20, BUFFER = 16 * 1024, BLOCK = 64 * 1024 };

struct fixture {
	bool tls, unix_socket, streams;
	kit_mock_fn *play;
	char path[64]; /* this process's own: two runs at once do not meet */
	struct kit_mock *mock;
	struct wire w;
	uint8_t *bytes; /* MUCH of them, all 64 KiB of them different */
};

/* ---- peers */

static void play_echo(struct kit_mock_conn *conn, void *user)
{
	uint8_t *block = malloc(BLOCK);
	size_t size;

	(void)user;
	while ((size = kit_mock_read_some(conn, block, BLOCK, 20000)) > 0 &&
	       kit_mock_send(conn, block, size))
		;
	free(block);
}

static void play_silence(struct kit_mock_conn *conn, void *user)
{
	(void)user;
	(void)kit_mock_wait(conn, 2000000);
}

/* It has nothing to say, and listens late. */
static void play_half_close(struct kit_mock_conn *conn, void *user)
{
	uint8_t byte;

	(void)user;
	if (!kit_mock_read(conn, &byte, 1, 5000))
		return;
	kit_mock_half_close(conn);
	(void)kit_mock_wait(conn, 200000);
	(void)kit_mock_drain(conn, 20000);
}

/* ---- the fixture */

static bool open_fixture(struct fixture *fixture)
{
	struct kit_mock_options m = { .play = fixture->play, .user = fixture, .receive_bytes = BLOCK };
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options t = KOLK_INIT(kolk_tls_options);

	m.cert = fixture->tls ? &wire_certs.good : NULL;
	snprintf(fixture->path, sizeof fixture->path, "/tmp/kolk-duplex-%d.sock", (int)getpid());
	m.unix_path = fixture->unix_socket ? fixture->path : NULL;
	fixture->mock = kit_mock_open(&m);
	fixture->bytes = malloc(MUCH);
	if (!CHECK(fixture->mock != NULL) || !CHECK(fixture->bytes != NULL))
		return false;
	for (size_t i = 0; i < MUCH; i++)
		fixture->bytes[i] = (uint8_t)(i ^ i >> 8 ^ i >> 16);
	snprintf(fixture->w.address, sizeof fixture->w.address, "%s", kit_mock_address(fixture->mock));
	engine.loops = 1;
	o.connections_max = 1;
	o.idle_min = KOLK_NONE;
	t.verify_off = 1;
	o.tls = fixture->tls ? &t : NULL;
	return wire_engine(&fixture->w, &engine) && wire_pool(&fixture->w, &o);
}

static void close_fixture(struct fixture *fixture)
{
	wire_close(&fixture->w);
	kit_mock_close(fixture->mock);
	free(fixture->bytes);
}

/* ---- a loop's caller before: from then on the connection streams */

struct loop_user {
	struct kolk_call call;
	struct kolk_key *key;
	struct kolk_loop *loop;
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	struct kolk_io send, recv;
	char bytes[4];
	enum kolk_err err;
	kolk__atomic_u32 done;
};

static void loop_done(void *memory, enum kolk_err err, size_t size)
{
	struct loop_user *user = memory;

	user->err = err == KOLK_OK && size != sizeof user->bytes ? KOLK_E_PROTOCOL : err;
	(void)kolk_release(&user->lease);
	kolk__store_release(&user->done, 1);
}

static void loop_sent(void *memory, enum kolk_err err, size_t size)
{
	(void)memory;
	CHECK_ERR(err, KOLK_OK);
	CHECK(size == 4);
}

static void loop_leased(void *memory, enum kolk_err err, const struct kolk_lease *lease)
{
	struct loop_user *user = memory;

	CHECK_ERR(err, KOLK_OK);
	user->lease = *lease;
	CHECK_ERR(kolk_recv_async(user->loop, lease, &user->recv, user->bytes, 4, kolk_in_ms(5000),
				  loop_done, user), KOLK_PENDING);
	CHECK_ERR(kolk_send_async(user->loop, lease, &user->send, "abcd", 4, kolk_in_ms(5000),
				  loop_sent, user), KOLK_PENDING);
}

static void loop_begin(struct kolk_call *call, void *memory)
{
	struct loop_user *user = memory;
	enum kolk_err err = kolk_acquire_async(user->loop, user->key, kolk_in_ms(5000),
					       &user->acquire, loop_leased, user);

	(void)call;
	if (err != KOLK_PENDING)
		loop_leased(user, err, &user->acquire.lease);
}

static void use_on_loop(struct fixture *fixture)
{
	struct loop_user user = { .key = fixture->w.key,
				  .loop = kolk_engine_loop(fixture->w.engine, 0) };

	(void)kolk_loop_call(user.loop, &user.call, loop_begin, &user);
	if (!CHECK(WITHIN_MS(20000, kolk__load_acquire(&user.done))))
		abort(); /* its memory is in use */
	CHECK_ERR(user.err, KOLK_OK);
}

/* ---- the tests */

/* What came is what goes at this place. */
static bool is_right(const struct fixture *fixture, size_t at, const uint8_t *bytes, size_t size)
{
	return at + size <= MUCH && memcmp(fixture->bytes + at, bytes, size) == 0;
}

static enum kolk_err exchange(struct fixture *fixture, const struct kolk_lease *lease, size_t size)
{
	static uint8_t buffer[BUFFER];
	struct kolk_transfer transfer = { .data = fixture->bytes, .size = size, .buffer = buffer,
					  .capacity = BUFFER };
	uint64_t deadline_ns = kolk_in_ms(60000);
	enum kolk_err err = KOLK_OK;
	size_t has = 0;
	bool right = true;

	while (err == KOLK_OK && right && has < size) {
		err = transfer.size > 0 ?
			      kolk_send_recv(lease, &transfer, deadline_ns) :
			      kolk_recv(lease, buffer, BUFFER, deadline_ns, &transfer.received);
		right = is_right(fixture, has, buffer, transfer.received);
		has += transfer.received;
		right = right && (transfer.size == 0 || transfer.received > 0);
	}
	CHECK(right);
	return err;
}

static void echo(struct fixture fixture)
{
	struct kolk_lease lease;

	fixture.play = play_echo;
	MUST(open_fixture(&fixture));
	if (fixture.streams)
		use_on_loop(&fixture);
	for (size_t size = MUCH; size > 0; size = size == MUCH ? BLOCK : 0) {
		MUST(CHECK_ERR(kolk_acquire(fixture.w.key, kolk_in_ms(5000), &lease), KOLK_OK));
		CHECK_ERR(exchange(&fixture, &lease, size), KOLK_OK);
		CHECK_ERR(kolk_release(&lease), KOLK_OK);
	}
	CHECK(wire_stats(fixture.w.pool).created == 1); /* it was clean */
	close_fixture(&fixture);
}

static void all_comes_back(void)
{
	for (int tls = 0; tls < 2; tls++)
		for (int streams = 0; streams < 2; streams++) {
			echo((struct fixture){ .tls = tls, .streams = streams });
			echo((struct fixture){ .tls = tls, .streams = streams, .unix_socket = true });
		}
}

static void ends_at_the_deadline(void)
{
	uint8_t byte;

	for (int tls = 0; tls < 2; tls++) {
		struct fixture fixture = { .tls = tls, .play = play_silence };
		struct kolk_lease lease;

		MUST(open_fixture(&fixture));
		MUST(CHECK_ERR(kolk_acquire(fixture.w.key, kolk_in_ms(5000), &lease), KOLK_OK));
		struct kolk_transfer transfer = { fixture.bytes, MUCH, &byte, 1, 0 };
		CHECK_ERR(kolk_send_recv(&lease, &transfer, kolk_in_ms(100)), KOLK_E_TIMEOUT);
		CHECK(transfer.size > 0 && transfer.received == 0);
		CHECK_ERR(kolk_release(&lease), KOLK_OK);
		CHECK(WITHIN_MS(3000, wire_stats(fixture.w.pool).open == 0)); /* half is sent */
		close_fixture(&fixture);
	}
}

static void half_closed(void)
{
	struct fixture fixture = { .play = play_half_close };
	struct kolk_transfer transfer;
	struct kolk_lease lease;
	uint8_t byte;

	MUST(open_fixture(&fixture));
	MUST(CHECK_ERR(kolk_acquire(fixture.w.key, kolk_in_ms(5000), &lease), KOLK_OK));
	transfer = (struct kolk_transfer){ fixture.bytes, MUCH, &byte, 1, 0 };
	CHECK_ERR(kolk_send_recv(&lease, &transfer, kolk_in_ms(20000)), KOLK_E_CLOSED);
	CHECK(transfer.size > 0);
	CHECK_ERR(kolk_send_all(&lease, transfer.data, transfer.size, kolk_in_ms(20000)), KOLK_OK);
	CHECK(WITHIN_MS(5000, kit_mock_counts(fixture.mock).bytes_in == MUCH));
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	close_fixture(&fixture);
}

static void refused(void)
{
	struct fixture fixture = { .play = play_echo };
	struct kolk_transfer transfer = { "x", 1, NULL, 0, 9 };
	struct kolk_lease lease, stale;
	uint8_t byte;

	MUST(open_fixture(&fixture));
	MUST(CHECK_ERR(kolk_acquire(fixture.w.key, kolk_in_ms(5000), &lease), KOLK_OK));
	CHECK_ERR(kolk_send_recv(&lease, &transfer, kolk_in_ms(100)), KOLK_E_OPTIONS);
	CHECK(transfer.size == 1 && transfer.received == 0);
	transfer = (struct kolk_transfer){ "x", 0, &byte, 1, 0 };
	CHECK_ERR(kolk_send_recv(&lease, &transfer, kolk_in_ms(100)), KOLK_OK);
	stale = lease;
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	transfer = (struct kolk_transfer){ "x", 1, &byte, 1, 0 };
	CHECK_ERR(kolk_send_recv(&stale, &transfer, kolk_in_ms(100)), KOLK_E_LEASE_STALE);
	CHECK(kit_mock_counts(fixture.mock).bytes_in == 0);
	close_fixture(&fixture);
}

static const struct tap_test tests[] = {
	{ "duplex: more than two sockets hold comes back", all_comes_back },
	{ "duplex: a peer that does nothing costs the deadline", ends_at_the_deadline },
	{ "duplex: a peer that ended its direction may still read", half_closed },
	{ "duplex: a refused call sends nothing", refused },
};
TAP_TESTS(duplex, tests);
