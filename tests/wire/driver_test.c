/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver_test.c - which functions of a driver are called, and when: before TLS, at the opening, for
 * a reset, for unsolicited bytes, at the end. The protocol is lines: what is sent comes back;
 * "push..." may come at any time.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/kit/mock.h"
#include "tests/wire/wire.h"

/* ---- the driver */

struct session {
	char line[32];
	size_t size;
	uint32_t owed; /* lines */
};

struct driver {
	bool upgrades, asks_at_open; /* before TLS; at the opening */
	kolk__atomic_u32 begun, resets, heard, closed, close_messages;
	kolk__atomic_u32 slow, cleaning;                /* clean waits while it is; it does */
	char alpn[16];
};

/* Every complete line counts as an answer, but pushes. */
static enum kolk_err count_lines(struct session *session, const char *bytes, size_t size,
				 uint32_t *pushes)
{
	for (size_t i = 0; i < size; i++) {
		if (session->size == sizeof session->line)
			return KOLK_E_PROTOCOL;
		session->line[session->size++] = bytes[i];
		if (bytes[i] != '\n')
			continue;
		session->size = 0;
		if (memcmp(session->line, "push", 4) == 0)
			(*pushes)++;
		else if (session->owed-- == 0)
			return KOLK_E_PROTOCOL;
	}
	return KOLK_OK;
}

static enum kolk_err upgrade(void *user, void *session, struct kolk_exchange *exchange)
{
	struct driver *driver = user;

	(void)session;
	kolk__add_relaxed(&driver->begun, 1);
	return driver->upgrades && kolk_exchange_send(exchange, "STARTTLS\n", 9) == KOLK_OK ?
		       KOLK_PENDING : KOLK_OK;
}

static enum kolk_err open(void *user, void *memory, struct kolk_exchange *exchange)
{
	struct session *session = memory;
	struct driver *driver = user;
	const char *alpn = kolk_exchange_alpn(exchange);

	if (!kolk_exchange_is_tls(exchange))
		kolk__add_relaxed(&driver->begun, 1);
	snprintf(driver->alpn, sizeof driver->alpn, "%s", alpn != NULL ? alpn : "");
	CHECK(strcmp(kolk_pool_name(kolk_key_pool(kolk_exchange_key(exchange))), "wire") == 0);
	session->owed += driver->asks_at_open;
	return driver->asks_at_open && kolk_exchange_send(exchange, "open\n", 5) == KOLK_OK ?
		       KOLK_PENDING : KOLK_OK;
}

static enum kolk_err mend(void *user, void *memory, struct kolk_exchange *exchange)
{
	struct session *session = memory;
	struct driver *driver = user;

	kolk__add_relaxed(&driver->resets, 1);
	session->owed++;
	return kolk_exchange_send(exchange, "mend\n", 5) == KOLK_OK ? KOLK_PENDING : KOLK_E_MEMORY;
}

static enum kolk_err feed(void *user, void *memory, struct kolk_exchange *exchange,
			  const void *data, size_t size)
{
	struct session *session = memory;
	struct driver *driver = user;
	uint32_t pushes = 0;
	enum kolk_err err;

	if (driver->upgrades && !kolk_exchange_is_tls(exchange)) {
		err = size > 3 ? KOLK_E_PROTOCOL :
		      memcmp(data, "ok\n", size) != 0 ? KOLK_E_TLS :
		      size == 3 ? KOLK_OK : KOLK_PENDING;
		if (err == KOLK_E_TLS)
			kolk_exchange_detail(exchange, "STARTTLS");
		return err;
	}
	err = count_lines(session, data, size, &pushes);
	kolk__add_relaxed(&driver->heard, pushes);
	return err == KOLK_OK && session->owed > 0 ? KOLK_PENDING : err;
}

static enum kolk_err heard(void *user, void *session, struct kolk_exchange *exchange,
			   const void *data, size_t size)
{
	struct driver *driver = user;
	uint32_t pushes = 0;
	enum kolk_err err = count_lines(session, data, size, &pushes);

	kolk__add_relaxed(&driver->heard, pushes);
	return err == KOLK_OK && pushes > 0 ? kolk_exchange_send(exchange, "push thanks\n", 12) : err;
}

static enum kolk_err clean(void *user, void *memory)
{
	const struct session *session = memory;
	struct driver *driver = user;

	kolk__store_release(&driver->cleaning, 1);
	CHECK(WITHIN_MS(5000, !kolk__load_acquire(&driver->slow)));
	return session->owed == 0 ? KOLK_OK : KOLK_PENDING;
}

static void end(void *user, void *session, struct kolk_exchange *exchange)
{
	struct driver *driver = user;

	(void)session;
	kolk__add_relaxed(&driver->closed, 1);
	if (exchange != NULL && kolk_exchange_send(exchange, "bye\n", 4) == KOLK_OK)
		kolk__add_relaxed(&driver->close_messages, 1);
}

static const struct kolk_driver lines = {
	.size = sizeof lines, .session_bytes = sizeof(struct session), .name = "lines",
	.upgrade = upgrade, .open = open, .mend = mend, .feed = feed, .heard = heard,
	.clean = clean, .close = end,
};

static enum kolk_err owe(void *user, void *session)
{
	(void)user;
	((struct session *)session)->owed++;
	return KOLK_OK;
}

static enum kolk_err take_text(void *user, void *session)
{
	uint32_t pushes = 0;
	const char *line = user;

	return count_lines(session, line, strlen(line), &pushes);
}

/* ---- the peer */

struct peer {
	const char *upgrade_answer;      /* NULL = TLS, or plain, from the first byte */
	const char *greeting;            /* in one segment with the end of the handshake */
	const char *unsolicited;             /* the first connection, 5 ms after its first answer */
	size_t cut;                      /* of these: so many bytes first, the rest later */
	uint32_t answers_late_us;
	uint32_t flood;                  /* KiB before each answer */
	kolk__atomic_u32 byes, thanks, tls, lines, pushed; /* pushed: it has arrived */
};

static void push(struct kit_mock_conn *conn, struct peer *peer)
{
	if (kit_mock_wait(conn, 5000))
		(void)kit_mock_send_split(conn, peer->unsolicited, strlen(peer->unsolicited), peer->cut,
					  20000);
	kit_mock_arrive(conn);
	kolk__add_relaxed(&peer->pushed, 1);
}

static void play(struct kit_mock_conn *conn, void *user)
{
	static const char noise[1024] = "push";
	struct peer *peer = user;
	char line[64];

	if (peer->upgrade_answer != NULL &&
	    (!kit_mock_read_until(conn, "STARTTLS\n", line, sizeof line, 2000) ||
	     !kit_mock_say(conn, peer->upgrade_answer) ||
	     !kit_mock_hold(conn, peer->greeting != NULL) || !kit_mock_start_tls(conn)))
		return;
	if (peer->greeting != NULL &&
	    (!kit_mock_say(conn, peer->greeting) || !kit_mock_hold(conn, false)))
		return;
	kolk__add_relaxed(&peer->tls, peer->upgrade_answer != NULL);
	for (int n = 0; kit_mock_read_until(conn, "\n", line, sizeof line, 10000); n++) {
		kolk__add_relaxed(&peer->lines, 1);
		if (strcmp(line, "bye\n") == 0)
			kolk__add_relaxed(&peer->byes, 1);
		if (strcmp(line, "push thanks\n") == 0) {
			kolk__add_relaxed(&peer->thanks, 1);
			continue;
		}
		if (peer->answers_late_us > 0 && !kit_mock_wait(conn, peer->answers_late_us))
			return;
		for (uint32_t i = 0; i < peer->flood; i++)
			if (!kit_mock_send(conn, noise, sizeof noise))
				return;
		if (!kit_mock_say(conn, line))
			return;
		if (n == 0 && peer->unsolicited != NULL && kit_mock_number(conn) == 0)
			push(conn, peer);
	}
}

/* ---- both */

struct fixture {
	struct wire wire;
	struct driver driver;
	struct peer peer;
	struct kit_mock *mock;
	struct kolk_tls_options tls;
	bool uses_tls, steps; /* steps: the test runs the loop */
};

static const char *const alpn[] = { "lines/1", NULL };

static bool fixture_open(struct fixture *fixture, void (*change)(struct kolk_pool_options *o))
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kit_mock_options m = { .play = play, .user = &fixture->peer, .alpn = alpn };
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);

	if (fixture->uses_tls) {
		m.cert = &wire_certs.good;
		m.plain_first = fixture->peer.upgrade_answer != NULL;
		fixture->tls = (struct kolk_tls_options)KOLK_INIT(kolk_tls_options);
		fixture->tls.ca_file = wire_certs.ca_path;
		fixture->tls.server_name = "localhost";
		fixture->tls.alpn = alpn;
		o.tls = &fixture->tls;
	}
	fixture->mock = kit_mock_open(&m);
	if (fixture->mock == NULL)
		return false;
	o.address = kit_mock_address(fixture->mock);
	o.driver = &lines;
	o.driver_user = &fixture->driver;
	o.connections_max = 1;
	o.idle_min = KOLK_NONE;
	o.dials_max = 1;
	if (change != NULL)
		change(&o);
	e.loop_owner = fixture->steps ? KOLK_LOOPS_EMBEDDER : 0;
	e.loops = fixture->steps;
	return wire_engine(&fixture->wire, &e) && wire_pool(&fixture->wire, &o);
}

/* Whatever began has ended, once. */
static void fixture_close(struct fixture *fixture)
{
	wire_close(&fixture->wire);
	CHECK(kolk__load_relaxed(&fixture->driver.begun) ==
	      kolk__load_relaxed(&fixture->driver.closed));
	kit_mock_close(fixture->mock);
}

static bool lease_of(struct fixture *fixture, struct kolk_lease *lease)
{
	return tap_check_err(kolk_acquire(fixture->wire.key, kolk_in_ms(3000), lease), KOLK_OK,
			     "acquire", __FILE__, __LINE__);
}

static uint64_t number_of(const struct kolk_lease *lease)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	CHECK_ERR(kolk_lease_info(lease, &info), KOLK_OK);
	return info.connection;
}

static enum kolk_err say(const struct kolk_lease *lease, const char *line)
{
	enum kolk_err err = kolk_lease_session(lease, &lines, owe, NULL);

	return err == KOLK_OK ? kolk_send_all(lease, line, strlen(line), kolk_in_ms(2000)) : err;
}

/* The next line that is no push must be this one. */
static enum kolk_err receive_line(const struct kolk_lease *lease, const char *line)
{
	char text[128];
	size_t size = 0, got;
	enum kolk_err err;

	for (;;) {
		err = kolk_recv(lease, text + size, 1, kolk_in_ms(2000), &got);
		size += got;
		if (err != KOLK_OK || size == sizeof text - 1)
			return err != KOLK_OK ? err : KOLK_E_PROTOCOL;
		text[size] = 0;
		if (text[size - 1] != '\n')
			continue;
		err = kolk_lease_session(lease, &lines, take_text, text);
		if (err != KOLK_OK || memcmp(text, "push", 4) != 0)
			break;
		size = 0;
	}
	return err != KOLK_OK ? err : strcmp(text, line) == 0 ? KOLK_OK : KOLK_E_PROTOCOL;
}

static enum kolk_err ask(struct fixture *fixture, const char *line)
{
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(fixture->wire.key, kolk_in_ms(3000), &lease);

	if (err != KOLK_OK)
		return err;
	err = say(&lease, line);
	if (err == KOLK_OK)
		err = receive_line(&lease, line);
	CHECK_ERR(err == KOLK_OK ? kolk_release(&lease) : kolk_discard(&lease), KOLK_OK);
	return err;
}

/* ---- before TLS */

static void upgraded(void)
{
	struct fixture fixture = { .driver.upgrades = true, .peer.upgrade_answer = "ok\n",
				   .uses_tls = true };

	MUST(fixture_open(&fixture, NULL));
	for (int i = 0; i < 3; i++)
		CHECK_ERR(ask(&fixture, "hello\n"), KOLK_OK);
	CHECK(kolk__load_relaxed(&fixture.peer.tls) == 1);
	CHECK(kit_mock_counts(fixture.mock).handshakes == 1);
	CHECK(strcmp(fixture.driver.alpn, "lines/1") == 0);
	CHECK(kolk_pool_clear(fixture.wire.pool) == 1);
	CHECK(WITHIN_MS(1000, kolk__load_relaxed(&fixture.peer.byes) == 1));
	fixture_close(&fixture);
}

/* CVE-2021-22947, CVE-2021-23222: what came in plain text behind the answer is never read as if it
 * had come encrypted. */
static void plain_bytes_behind(void)
{
	static const char *const answers[] = { "ok\npush evil\n", "ok\nhello\n", "ok\n\n" };

	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		struct fixture fixture = { .driver.upgrades = true, .uses_tls = true,
					   .peer.upgrade_answer = answers[i] };

		MUST(fixture_open(&fixture, NULL));
		CHECK_ERR(ask(&fixture, "hello\n"), KOLK_E_PROTOCOL);
		CHECK(kolk__load_relaxed(&fixture.peer.lines) == 0);
		fixture_close(&fixture);
	}
}

static void soon(struct kolk_pool_options *o)
{
	o->tls_timeout_ns = 100 * KOLK_MS_NS;
	o->mend_timeout_ns = 100 * KOLK_MS_NS;
}

static void upgrade_refused(void)
{
	static const char *const answers[] = { "no\n", "o" };

	for (size_t i = 0; i < 2; i++) {
		struct fixture fixture = { .driver.upgrades = true, .uses_tls = true,
					   .peer.upgrade_answer = answers[i] };
		struct kolk_failure failure = KOLK_INIT(kolk_failure);

		MUST(fixture_open(&fixture, i == 1 ? soon : NULL));
		CHECK_ERR(ask(&fixture, "hello\n"), i == 0 ? KOLK_E_TLS : KOLK_E_DIAL_TIMEOUT);
		CHECK(kolk_key_failure(fixture.wire.key, &failure) &&
		      failure.phase == KOLK_PHASE_TLS);
		CHECK(i == 0 ? failure.detail != NULL && strcmp(failure.detail, "STARTTLS") == 0 :
			       failure.detail == NULL);
		CHECK(kolk__load_relaxed(&fixture.peer.lines) == 0);
		fixture_close(&fixture);
	}
}

/* ---- cancelled */

static void acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	(void)lease;
	*(enum kolk_err *)user = err;
}

/* A drain ends a dial in every phase, also when the next step of the dial is done and not reported
 * yet. */
static void drained_dial(void)
{
	for (int steps = 1; steps <= 30; steps++) {
		struct fixture fixture = { .driver = { .upgrades = true, .asks_at_open = true },
					   .peer = { .upgrade_answer = "ok\n",
						     .answers_late_us = 60000000 },
					   .uses_tls = true, .steps = true };
		enum kolk_err err = KOLK_PENDING;
		struct kolk_acquire acquire;
		struct kolk_loop *loop;

		MUST(fixture_open(&fixture, NULL));
		loop = kolk_engine_loop(fixture.wire.engine, 0);
		CHECK_ERR(kolk_loop_step(loop, 0), KOLK_OK);
		CHECK_ERR(kolk_acquire_async(loop, fixture.wire.key, kolk_in_ms(9000), &acquire,
					     acquired, &err), KOLK_PENDING);
		for (int i = 0; i < steps; i++) {
			CHECK_ERR(kolk_loop_step(loop, 0), KOLK_OK);
			usleep(3000); /* what it began is done */
		}
		CHECK_ERR(kolk_pool_drain(fixture.wire.pool, kolk_in_ms(9000)), KOLK_OK);
		for (int i = 0; i < 200 && !kolk_pool_is_closed(fixture.wire.pool); i++) {
			CHECK_ERR(kolk_loop_step(loop, 0), KOLK_OK);
			usleep(3000);
		}
		CHECK(kolk_pool_is_closed(fixture.wire.pool));
		CHECK_ERR(err, KOLK_E_DRAINING);
		fixture_close(&fixture);
	}
}

/* ---- reset */

static void patient(struct kolk_pool_options *o)
{
	o->mend_timeout_ns = 60 * KOLK_S_NS;
}

static void answers_owed(void)
{
	for (int tls = 0; tls < 2; tls++) {
		struct fixture fixture = { .uses_tls = tls != 0, .peer.answers_late_us = 200000 };
		struct kolk_lease lease;
		uint64_t first, size;
		char byte;

		MUST(fixture_open(&fixture, patient) && lease_of(&fixture, &lease));
		first = number_of(&lease);
		CHECK_ERR(say(&lease, "one\n"), KOLK_OK);
		CHECK_ERR(say(&lease, "two\n"), KOLK_OK);
		CHECK_ERR(kolk_recv(&lease, &byte, 1, kolk_in_ms(1), &size), KOLK_E_TIMEOUT);
		CHECK_ERR(kolk_release(&lease), KOLK_OK);
		MUST(lease_of(&fixture, &lease)); /* the waiter gets it when it is clean */
		CHECK(number_of(&lease) == first);
		CHECK_ERR(say(&lease, "three\n"), KOLK_OK);
		CHECK_ERR(receive_line(&lease, "three\n"), KOLK_OK);
		CHECK_ERR(kolk_release(&lease), KOLK_OK);
		CHECK(kolk__load_relaxed(&fixture.driver.resets) == 1);
		CHECK(wire_stats(fixture.wire.pool).mends_ok == 1);
		fixture_close(&fixture);
	}
}

static void never(struct kolk_pool_options *o)
{
	o->mend_timeout_ns = KOLK_AT_ONCE;
}

/* Too late, too much, not at all: closed, with that reason. */
static void reset_fails(void)
{
	static const struct {
		struct peer peer;
		void (*change)(struct kolk_pool_options *o);
		enum kolk_reason reason;
	} cases[] = {
		{ { .answers_late_us = 400000 }, soon, KOLK_REASON_RESET_FAILED },
		{ { .flood = 200, .answers_late_us = 2000 }, NULL, KOLK_REASON_RESET_FAILED },
		{ { .answers_late_us = 20000 }, never, KOLK_REASON_DIRTY },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fixture fixture = { .peer = cases[i].peer };
		struct kolk_lease lease;

		MUST(fixture_open(&fixture, cases[i].change) && lease_of(&fixture, &lease));
		CHECK_ERR(say(&lease, "one\n"), KOLK_OK);
		CHECK_ERR(kolk_release(&lease), KOLK_OK);
		CHECK(WITHIN_MS(2000, wire_stats(fixture.wire.pool).destroyed[cases[i].reason] == 1));
		CHECK(wire_stats(fixture.wire.pool).mends_failed == (cases[i].change != never));
		fixture_close(&fixture);
	}
}

/* The deadline of a drain also ends a reset. */
static void drained_reset(void)
{
	for (int tls = 0; tls < 2; tls++) {
		struct fixture fixture = { .uses_tls = tls != 0, .peer.answers_late_us = 60000000 };
		struct kolk_lease lease;

		MUST(fixture_open(&fixture, patient) && lease_of(&fixture, &lease));
		CHECK_ERR(say(&lease, "one\n"), KOLK_OK);
		CHECK_ERR(kolk_release(&lease), KOLK_OK);
		CHECK(WITHIN_MS(1000, kolk__load_relaxed(&fixture.driver.resets) == 1));
		CHECK_ERR(kolk_pool_drain(fixture.wire.pool, kolk_in_ms(20)), KOLK_OK);
		CHECK(WITHIN_MS(1000, kolk_pool_is_closed(fixture.wire.pool)));
		fixture_close(&fixture);
	}
}

/* ---- the peer sends unsolicited bytes */

static void pushes(void)
{
	for (int tls = 0; tls < 2; tls++)
		for (size_t cut = 1; cut < 10; cut += 4) {
			struct fixture fixture = { .uses_tls = tls != 0, .peer.unsolicited = "push me\n",
						   .peer.cut = cut };
			struct kolk_lease lease;

			MUST(fixture_open(&fixture, NULL));
			CHECK_ERR(ask(&fixture, "one\n"), KOLK_OK);
			MUST(WITHIN_MS(5000, kolk__load_relaxed(&fixture.peer.pushed) == 1));
			CHECK_ERR(ask(&fixture, "two\n"), KOLK_OK);
			CHECK(kolk__load_relaxed(&fixture.driver.heard) == 1);
			CHECK(WITHIN_MS(1000, kolk__load_relaxed(&fixture.peer.thanks) == 1));
			CHECK(kit_mock_counts(fixture.mock).accepted == 1);
			MUST(lease_of(&fixture, &lease));
			CHECK_ERR(kolk_release(&lease), KOLK_OK);
			fixture_close(&fixture);
		}
}

/* Before the connection is ready: the driver's answer is sent in its place. With TLS 1.3 the client
 * is ready before the server can send, so the lease may read it. */
static void greeted(void)
{
	bool may_be_late = strstr(kolk_tls_text(), "TLS 1.3") != NULL;
	uint32_t heard;

	struct fixture fixture = { .driver.upgrades = true, .uses_tls = true,
				   .peer = { .upgrade_answer = "ok\n", .greeting = "push hello\n" } };

	MUST(fixture_open(&fixture, NULL));
	CHECK_ERR(ask(&fixture, "one\n"), KOLK_OK);
	heard = kolk__load_relaxed(&fixture.driver.heard);
	CHECK(heard == 1 || (heard == 0 && may_be_late));
	CHECK(WITHIN_MS(1000, kolk__load_relaxed(&fixture.peer.thanks) == heard));
	CHECK_ERR(ask(&fixture, "two\n"), KOLK_OK);
	CHECK(kit_mock_counts(fixture.mock).accepted == 1);
	fixture_close(&fixture);
}

static void stray_answer(void)
{
	for (int tls = 0; tls < 2; tls++) {
		struct fixture fixture = { .uses_tls = tls != 0, .peer.unsolicited = "stray\n" };

		MUST(fixture_open(&fixture, NULL));
		CHECK_ERR(ask(&fixture, "one\n"), KOLK_OK);
		MUST(WITHIN_MS(5000, kolk__load_relaxed(&fixture.peer.pushed) == 1));
		/* a plain thread finds out with its first send, and nothing is sent */
		for (int i = 0; i < 2 && ask(&fixture, "two\n") != KOLK_OK; i++)
			;
		CHECK_ERR(ask(&fixture, "three\n"), KOLK_OK);
		CHECK(kit_mock_counts(fixture.mock).accepted == 2);
		fixture_close(&fixture);
	}
}

/* ---- its memory */

static void other_drivers_session(void)
{
	struct fixture fixture = { .peer.lines = { 0 } };
	struct kolk_lease lease;

	MUST(fixture_open(&fixture, NULL) && lease_of(&fixture, &lease));
	CHECK_ERR(kolk_lease_session(&lease, kolk_driver_raw(), owe, NULL), KOLK_E_UNSUPPORTED);
	CHECK_ERR(kolk_lease_session(&lease, &lines, owe, NULL), KOLK_OK);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	CHECK_ERR(kolk_lease_session(&lease, &lines, owe, NULL), KOLK_E_LEASE_STALE);
	fixture_close(&fixture);
}

/* ---- the same lease released twice, by a thread and by the loop that used it before */

struct twice {
	struct kolk_call call;
	struct kolk_io io;
	struct kolk_lease lease;
	struct kolk_loop *loop;
	kolk__atomic_u32 done;
	enum kolk_err err, first;
};

static void twice_sent(void *user, enum kolk_err err, size_t size)
{
	struct twice *twice = user;

	(void)size;
	twice->err = err;
	kolk__store_release(&twice->done, 1);
}

static void twice_send(struct kolk_call *call, void *user)
{
	struct twice *twice = user;

	(void)call;
	CHECK_ERR(kolk_send_async(twice->loop, &twice->lease, &twice->io, "push thanks\n", 12,
				  kolk_in_ms(2000), twice_sent, twice), KOLK_PENDING);
	/* The memory is that of the first, which goes on. */
	CHECK_ERR(kolk_send_async(twice->loop, &twice->lease, &twice->io, "never", 5,
				  kolk_in_ms(2000), twice_sent, twice), KOLK_E_LEASE_BUSY);
}

static void twice_release(struct kolk_call *call, void *user)
{
	struct twice *twice = user;
	struct kolk_lease copy = twice->lease;

	(void)call;
	twice->err = kolk_release(&copy);
	kolk__store_release(&twice->done, 1);
}

static void *twice_first(void *user)
{
	struct twice *twice = user;
	struct kolk_lease copy = twice->lease;

	twice->first = kolk_release(&copy);
	return NULL;
}

static void released_twice(void)
{
	struct fixture fixture = { .peer.lines = { 0 } };
	struct twice twice = { .done = { 0 } };
	pthread_t thread;

	MUST(fixture_open(&fixture, NULL) && lease_of(&fixture, &twice.lease));
	twice.loop = kolk_engine_loop(fixture.wire.engine, 0);
	(void)kolk_loop_call(twice.loop, &twice.call, twice_send, &twice);
	MUST(WITHIN_MS(2000, kolk__load_acquire(&twice.done)) && twice.err == KOLK_OK);
	kolk__store_relaxed(&twice.done, 0);
	kolk__store_relaxed(&fixture.driver.cleaning, 0);
	kolk__store_relaxed(&fixture.driver.slow, 1);
	MUST(pthread_create(&thread, NULL, twice_first, &twice) == 0);
	MUST(WITHIN_MS(2000, kolk__load_acquire(&fixture.driver.cleaning)));
	(void)kolk_loop_call(twice.loop, &twice.call, twice_release, &twice);
	CHECK(WITHIN_MS(2000, kolk__load_acquire(&twice.done)));
	kolk__store_release(&fixture.driver.slow, 0);
	pthread_join(thread, NULL);
	CHECK_ERR(twice.first, KOLK_OK);
	CHECK_ERR(twice.err, KOLK_E_LEASE_BUSY);
	CHECK_ERR(ask(&fixture, "one\n"), KOLK_OK);
	CHECK(kit_mock_counts(fixture.mock).accepted == 1);
	fixture_close(&fixture);
}

static const struct tap_test tests[] = {
	{ "a driver agrees on TLS in plain text", upgraded },
	{ "plain bytes behind that answer are never trusted", plain_bytes_behind },
	{ "TLS refused, or not answered: no plain text instead", upgrade_refused },
	{ "a drain ends a dial wherever it is", drained_dial },
	{ "answers owed are read before the next caller", answers_owed },
	{ "a reset has a budget of time and bytes", reset_fails },
	{ "a drain does not wait for a reset beyond its deadline", drained_reset },
	{ "a push to an idle connection, whole and in pieces", pushes },
	{ "a push before the connection is ready is answered", greeted },
	{ "an unsolicited answer", stray_answer },
	{ "a lease released twice at the same moment", released_twice },
	{ "a session is its driver's", other_drivers_session },
};
TAP_TESTS(driver, tests);
