/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unsolicited_test.c - what the peer sends between the end of the dial and the first bytes of a
 * lease. Harmless records (session tickets, alerts, a HelloRequest), whole or in part, cost no
 * connection, wherever the lease is used; data never becomes an answer.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/kit/mock.h"
#include "tests/wire/wire.h"

/* ---- the peer: echoes lines, and sends what a test requests */

enum what {
	TICKETS,     /* TLS 1.3: NewSessionTicket; 1.2: a HelloRequest */
	WARNING,     /* an alert that is no end */
	DATA,        /* an unsolicited line */
	PUSH,        /* the same, and the driver knows it */
	PONG,        /* the answer to a ping that was not sent */
	KEY_UPDATE,  /* TLS 1.3: mbedTLS cannot (docs/limits.md) */
	NOTIFY,      /* close_notify */
	FIN,
	RST
};

struct peer {
	enum what what;
	uint32_t count;      /* how often; 0 = 1 */
	uint32_t size;       /* TICKETS: bytes of each; 0 = 200 */
	size_t cut;          /* the first segment of the last record; 0 = it is not cut */
	kolk__atomic_u32 speak, said; /* the n-th connection, from 1; 1 = half of it has come, 2 = all */
	kolk__atomic_u64 bytes; /* that have come so, on the wire */
	kolk__atomic_u32 gate; /* the other half */
	kolk__atomic_u32 behind; /* right behind the next answer */
	kolk__atomic_u32 pings; /* that came */
};

static bool is_tls13(void)
{
	return strstr(kolk_tls_text(), "TLS 1.3") != NULL;
}

static void send_ticket(struct kit_mock_conn *conn, uint32_t size)
{
	static uint8_t text[16 * 1024]; /* written alike by all */
	static const uint8_t request[] = { 0, 0, 0, 0 };
	uint32_t body = size + 15;
	const uint8_t head[] = { 4, (uint8_t)(body >> 16), (uint8_t)(body >> 8), (uint8_t)body,
				 0, 0, 0x1c, 0x20, 1, 2, 3, 4, 2, 7, 7, (uint8_t)(size >> 8),
				 (uint8_t)size };

	if (!is_tls13()) {
		(void)kit_mock_send_record(conn, 22, request, sizeof request);
		return;
	}
	memcpy(text, head, sizeof head);
	memset(text + sizeof head, 0, size + 2); /* the ticket, and no extensions */
	(void)kit_mock_send_record(conn, 22, text, sizeof head + size + 2);
}

static void say_once(struct kit_mock_conn *conn, const struct peer *peer)
{
	static const uint8_t user_canceled[] = { 1, 90 }, key_update[] = { 24, 0, 0, 1, 0 };

	if (peer->what == TICKETS)
		send_ticket(conn, peer->size != 0 ? peer->size : 200);
	else if (peer->what == WARNING)
		(void)kit_mock_send_record(conn, 21, user_canceled, 2);
	else if (peer->what == DATA)
		(void)kit_mock_say(conn, "stray\n");
	else if (peer->what == PUSH)
		(void)kit_mock_say(conn, "push\n");
	else if (peer->what == PONG)
		(void)kit_mock_say(conn, "+PONG\r\n");
	else if (peer->what == KEY_UPDATE)
		(void)kit_mock_send_record(conn, 22, key_update, sizeof key_update);
	else if (peer->what == NOTIFY)
		kit_mock_notify(conn);
	else if (peer->what == FIN)
		kit_mock_cut(conn);
	else
		kit_mock_reset(conn);
}

static void say(struct kit_mock_conn *conn, struct peer *peer)
{
	uint64_t before = kit_mock_wire_out(conn);

	kolk__store_relaxed(&peer->speak, 0);
	for (uint32_t i = 1; i < peer->count; i++)
		say_once(conn, peer);
	kolk__store_relaxed(&peer->bytes, kit_mock_wire_out(conn) - before + peer->cut);
	kit_mock_cut_records(conn, peer->cut, &peer->gate, &peer->said);
	say_once(conn, peer);
	kit_mock_cut_records(conn, 0, NULL, NULL);
	kit_mock_arrive(conn);
	kolk__store_relaxed(&peer->bytes, kit_mock_wire_out(conn) - before);
	kolk__store_release(&peer->said, 2);
}

static bool answer(struct kit_mock_conn *conn, struct peer *peer, const char *line)
{
	bool is_ping = strcmp(line, "PING\r\n") == 0;
	bool behind = kolk__exchange_acq_rel(&peer->behind, 0); /* this answer, not one before */

	kolk__add_relaxed(&peer->pings, is_ping);
	if (!kit_mock_say(conn, is_ping ? "+PONG\r\n" : line))
		return false;
	if (behind)
		say(conn, peer);
	return true;
}

static void play(struct kit_mock_conn *conn, void *user)
{
	struct peer *peer = user;
	char line[64];

	while (kit_mock_wait(conn, 100) && !kit_mock_has_ended(conn)) {
		if (kit_mock_number(conn) + 1 == kolk__load_acquire(&peer->speak))
			say(conn, peer);
		if (kit_mock_read_until(conn, "\n", line, sizeof line, 1) && !answer(conn, peer, line))
			return;
	}
}

/* ---- the user of the lease */

enum user {
	HOME,    /* the connection's loop */
	LOOP,    /* another loop */
	THREAD,  /* a plain thread, and loops use the pool, too */
	THREADS, /* plain threads alone */
	USERS
};

struct use {
	struct kolk_call call;
	struct kolk_loop *loop; /* NULL = a plain thread */
	struct kolk_key *key;
	struct kolk_acquire acquire;
	struct kolk_io send, recv;
	struct kolk_lease lease;
	char answer[64];
	size_t size;
	kolk__atomic_u32 left;  /* callbacks to come */
	kolk__atomic_u32 submitted; /* both calls were made */
	enum kolk_err err;      /* of the acquire, then the first of send and recv */
};

static void use_done(struct use *use, enum kolk_err err)
{
	if (use->err == KOLK_OK)
		use->err = err;
	(void)kolk__sub_acq_rel(&use->left, 1);
}

static bool finished(struct use *use)
{
	return CHECK(WITHIN_MS(8000, kolk__load_acquire(&use->left) == 0));
}

static void leased(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct use *use = user;

	if (err == KOLK_OK)
		use->lease = *lease;
	use_done(use, err);
}

static void acquire(struct kolk_call *call, void *user)
{
	struct use *use = user;
	enum kolk_err err = kolk_acquire_async(use->loop, use->key, kolk_in_ms(5000), &use->acquire,
					       leased, use);

	(void)call;
	if (err != KOLK_PENDING)
		leased(use, err, &use->acquire.lease);
}

static enum kolk_err use_begin(struct use *use)
{
	use->err = KOLK_OK;
	use->size = 0;
	if (use->loop == NULL)
		return kolk_acquire(use->key, kolk_in_ms(5000), &use->lease);
	kolk__store_relaxed(&use->left, 1);
	(void)kolk_loop_call(use->loop, &use->call, acquire, use);
	return finished(use) ? use->err : KOLK_E_TIMEOUT;
}

static void sent(void *user, enum kolk_err err, size_t size)
{
	(void)size;
	use_done(user, err);
}

static void received(void *user, enum kolk_err err, size_t size)
{
	struct use *use = user;

	use->size = size;
	use_done(use, err);
}

static const char question[] = "hello\n";

/* Both at once, as a driver does: the receive must not bring what the send refused to send
 * after. */
static void ask(struct kolk_call *call, void *user)
{
	struct use *use = user;
	enum kolk_err err = kolk_send_async(use->loop, &use->lease, &use->send, question, 6,
					    kolk_in_ms(3000), sent, use);

	(void)call;
	if (err != KOLK_PENDING)
		use_done(use, err);
	err = kolk_recv_async(use->loop, &use->lease, &use->recv, use->answer, sizeof use->answer,
			      kolk_in_ms(3000), received, use);
	kolk__store_relaxed(&use->submitted, 1);
	if (err != KOLK_PENDING)
		use_done(use, err);
}

/* The answer is only read when the gate is open: behind half a record there is none. */
static enum kolk_err use_ask(struct use *use, struct peer *peer)
{
	if (use->loop != NULL) {
		kolk__store_relaxed(&use->left, 2);
		kolk__store_relaxed(&use->submitted, 0);
		(void)kolk_loop_call(use->loop, &use->call, ask, use);
		CHECK(WITHIN_MS(8000, kolk__load_relaxed(&use->submitted) != 0));
		kolk__store_release(&peer->gate, 1);
		return finished(use) ? use->err : KOLK_E_TIMEOUT;
	}
	use->err = kolk_send_all(&use->lease, question, 6, kolk_in_ms(3000));
	kolk__store_release(&peer->gate, 1);
	if (use->err == KOLK_OK)
		use->err = kolk_recv(&use->lease, use->answer, sizeof use->answer,
				     kolk_in_ms(3000), &use->size);
	return use->err;
}

static void release_lease(struct kolk_call *call, void *user)
{
	struct use *use = user;

	(void)call;
	use_done(use, use->err == KOLK_OK ? kolk_release(&use->lease) : kolk_discard(&use->lease));
}

static void use_end(struct use *use)
{
	kolk__store_relaxed(&use->left, 1);
	if (use->loop == NULL)
		release_lease(NULL, use);
	else
		(void)kolk_loop_call(use->loop, &use->call, release_lease, use);
	(void)finished(use);
}

/* ---- a fresh connection at home on loop 0, which was not used */

struct fixture {
	struct wire wire;
	struct kit_mock *mock;
	struct peer peer;
	enum user user;
	bool plain, accepts_pushes, pings;
	kolk__atomic_u32 heard; /* pushes */
	struct use home, use;
};

/* A driver that accepts pushes, and nothing else that is unsolicited. */
static enum kolk_err heard(void *user, void *session, struct kolk_exchange *exchange,
			   const void *data, size_t size)
{
	struct fixture *s = user;
	uint32_t *have = session;
	const char *bytes = data;

	(void)exchange;
	for (size_t i = 0; i < size; i++, ++*have)
		if (bytes[i] != "push\n"[*have % 5])
			return KOLK_E_PROTOCOL;
	kolk__store_release(&s->heard, *have / 5);
	return KOLK_OK;
}

static const struct kolk_driver push_driver = {
	.size = sizeof push_driver, .session_bytes = sizeof(uint32_t), .name = "pushes", .heard = heard,
};

static void fixture_user(struct fixture *s, enum user user)
{
	s->user = user;
	s->use.loop = user == HOME || user == LOOP ?
			      kolk_engine_loop(s->wire.engine, user == LOOP) : NULL;
}

static bool fixture_open(struct fixture *s)
{
	struct kit_mock_options m = { .play = play, .user = &s->peer,
				      .cert = s->plain ? NULL : &wire_certs.good };
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_tls_options trust = KOLK_INIT(kolk_tls_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	s->mock = kit_mock_open(&m);
	if (s->mock == NULL)
		return false;
	snprintf(s->wire.address, sizeof s->wire.address, "%s", kit_mock_address(s->mock));
	engine.loops = s->user == LOOP ? 2 : 1;
	trust.ca_file = wire_certs.ca_path;
	trust.server_name = "localhost";
	o.tls = s->plain ? NULL : &trust;
	o.driver = s->accepts_pushes ? &push_driver : s->pings ? kolk_driver_redis_ping() : NULL;
	o.driver_user = s;
	o.ping_interval_ns = s->pings ? 2 * KOLK_MS_NS : 0;
	o.ping_timeout_ns = s->pings ? 500 * KOLK_MS_NS : 0;
	o.connections_max = 1;
	o.idle_min = KOLK_NONE;
	if (!wire_engine(&s->wire, &engine) || !wire_pool(&s->wire, &o))
		return false;
	s->home.key = s->use.key = s->wire.key;
	if (s->user != THREADS)
		s->home.loop = kolk_engine_loop(s->wire.engine, 0);
	fixture_user(s, s->user);
	return true;
}

static void fixture_close(struct fixture *s)
{
	wire_close(&s->wire);
	kit_mock_close(s->mock);
}

/* From the second one on it streams, when a loop reads. */
static struct kolk_lease_info renew(struct fixture *s)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct peer nothing = { 0 };

	(void)kolk_pool_clear(s->wire.pool);
	CHECK_ERR(use_begin(&s->home), KOLK_OK);
	CHECK_ERR(use_ask(&s->home, &nothing), KOLK_OK);
	use_end(&s->home);
	(void)kolk_pool_clear(s->wire.pool);
	CHECK_ERR(use_begin(&s->home), KOLK_OK);
	CHECK_ERR(kolk_lease_info(&s->home.lease, &info), KOLK_OK);
	use_end(&s->home);
	return info;
}

/* Its number. */
static uint64_t fresh(struct fixture *s)
{
	struct kolk_lease_info info = renew(s);

	CHECK(info.loop == 0 && !info.reused);
	return info.connection;
}

static uint64_t unread(const struct fixture *s)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	(void)kolk_engine_stats(s->wire.engine, &stats);
	return stats.unread_bytes;
}

/* The home loop has it, but has not decrypted it: the connection is leased. */
static bool has_come(struct fixture *s)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	CHECK_ERR(kolk_lease_info(&s->use.lease, &info), KOLK_OK);
	return unread(s) > 0 || info.outdated;
}

static void speak(struct fixture *s, bool idle)
{
	kolk__store_relaxed(&s->peer.gate, 0);
	kolk__store_relaxed(&s->peer.said, 0);
	/* a connection is ready before it is accepted */
	CHECK(WITHIN_MS(3000, kit_mock_counts(s->mock).accepted == wire_stats(s->wire.pool).created));
	kolk__store_release(&s->peer.speak, (uint32_t)kit_mock_counts(s->mock).accepted);
	CHECK(WITHIN_MS(3000, kolk__load_acquire(&s->peer.said)));
	if (!idle && s->user != THREADS)
		CHECK(WITHIN_MS(3000, has_come(s)));
	if (idle && s->user != THREADS)
		usleep(5000); /* its loop may look at it, or not */
}

/* A lease; the peer sends while its connection is idle, or after its begin. */
static void lease_beside(struct fixture *s, bool idle)
{
	if (idle)
		speak(s, idle);
	CHECK_ERR(use_begin(&s->use), KOLK_OK);
	if (!idle)
		speak(s, idle);
}

static bool is_answer(const struct use *use)
{
	return use->size == 6 && memcmp(use->answer, question, 6) == 0;
}

/* Whether this combination is tried: all are, or a third of them where --stride asks for little. */
static bool is_chosen(void)
{
	static uint32_t next_user;

	return wire_stride <= 8 || next_user++ % 3 == 0;
}

/* ---- harmless */

static const struct {
	const char *name;
	struct peer peer;
} harmless[] = {
	{ "a ticket", { .what = TICKETS } },
	{ "16 tickets of 7 KB", { .what = TICKETS, .count = 16, .size = 7000 } },
	{ "a ticket, cut in its header", { .what = TICKETS, .cut = 3 } },
	{ "a ticket, cut after 20 bytes", { .what = TICKETS, .cut = 20 } },
	{ "a ticket, cut after 100 bytes", { .what = TICKETS, .cut = 100 } },
	{ "30 tickets, the last one cut", { .what = TICKETS, .count = 30, .cut = 20 } },
	{ "a ticket of 7 KB, cut after 6 KB", { .what = TICKETS, .size = 7000, .cut = 6000 } },
	{ "a warning", { .what = WARNING } },
	{ "a warning, cut", { .what = WARNING, .cut = 10 } },
};

static void unharmed_by(enum user user, bool idle, size_t n)
{
	struct fixture s = { .peer = harmless[n].peer, .user = user };
	uint64_t number;

	MUST(fixture_open(&s));
	for (int i = 0; i < 2; i++) {
		struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

		number = fresh(&s);
		lease_beside(&s, idle);
		CHECK_ERR(kolk_lease_info(&s.use.lease, &info), KOLK_OK);
		if (!CHECK_ERR(use_ask(&s.use, &s.peer), KOLK_OK) || !CHECK(is_answer(&s.use)) ||
		    !CHECK(info.connection == number))
			tap_note("%s, user %d, %s", harmless[n].name, user, idle ? "idle" : "leased");
		use_end(&s.use);
	}
	fixture_close(&s);
}

static void unharmed(enum user user)
{
	for (size_t n = 0; n < 2 * sizeof harmless / sizeof harmless[0]; n++)
		if (is_chosen())
			unharmed_by(user, n % 2 != 0, n / 2);
}

static void at_home(void)
{
	unharmed(HOME);
}

static void on_another_loop(void)
{
	unharmed(LOOP);
}

static void on_a_thread(void)
{
	unharmed(THREAD);
}

static void on_threads_alone(void)
{
	unharmed(THREADS);
}

/* ---- what the driver knows */

static void pushed_by(enum user user, bool plain, bool idle, const struct peer *peer)
{
	struct fixture s = { .peer = *peer, .user = user, .plain = plain, .accepts_pushes = true };
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	uint32_t count = peer->count != 0 ? peer->count : 1;
	uint64_t number;

	MUST(fixture_open(&s));
	number = fresh(&s);
	if (idle)
		speak(&s, idle);
	if (idle && user != THREADS)
		CHECK(WITHIN_MS(3000, kolk__load_acquire(&s.heard) >= count - (peer->cut != 0)));
	CHECK_ERR(use_begin(&s.use), KOLK_OK);
	if (!idle)
		speak(&s, idle);
	/* All of them: what comes after the send is the caller's. */
	if (!idle && user != THREADS)
		CHECK(WITHIN_MS(3000, unread(&s) >= kolk__load_relaxed(&s.peer.bytes)));
	CHECK_ERR(kolk_lease_info(&s.use.lease, &info), KOLK_OK);
	if (!CHECK_ERR(use_ask(&s.use, &s.peer), KOLK_OK) || !CHECK(is_answer(&s.use)) ||
	    !CHECK(info.connection == number) || !CHECK(kolk__load_acquire(&s.heard) == count))
		tap_note("%u pushes, cut %zu, user %d, %s, %s; %u heard", peer->count, peer->cut, user,
			 plain ? "plain" : "TLS", idle ? "idle" : "leased", kolk__own(&s.heard));
	use_end(&s.use);
	fixture_close(&s);
}

static void pushes(void)
{
	static const struct peer peers[] = {
		{ .what = PUSH }, { .what = PUSH, .count = 500 }, { .what = PUSH, .cut = 3 },
		{ .what = PUSH, .cut = 12 }, { .what = PUSH, .count = 20, .cut = 12 },
	};

	for (size_t n = 0; n < sizeof peers / sizeof peers[0]; n++)
		for (enum user user = HOME; user < USERS; user++)
			for (int i = 0; i < 4; i++)
				if ((i < 2 || peers[n].cut == 0) && is_chosen())
					pushed_by(user, i >= 2, i % 2 != 0, &peers[n]);
}

/* ---- not harmless */

static const struct {
	const char *name;
	struct peer peer;
} harmful[] = {
	{ "data", { .what = DATA } },
	{ "data, cut in its header", { .what = DATA, .cut = 3 } },
	{ "data, cut after 12 bytes", { .what = DATA, .cut = 12 } },
	{ "a KeyUpdate", { .what = KEY_UPDATE } },
	{ "close_notify", { .what = NOTIFY } },
	{ "an end of the stream", { .what = FIN } },
	{ "a reset", { .what = RST } },
};

/* Refused before anything is sent; half a record shows only later what it is. While it lay idle its
 * loop may have closed it: then another one answers. */
static void refused_by(enum user user, bool accepts_pushes, bool idle, size_t n)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct fixture s = { .peer = harmful[n].peer, .user = user, .accepts_pushes = accepts_pushes };
	uint64_t number;
	enum kolk_err err;
	bool ok;

	MUST(fixture_open(&s));
	number = fresh(&s);
	lease_beside(&s, idle);
	err = use_ask(&s.use, &s.peer);
	CHECK_ERR(kolk_lease_info(&s.use.lease, &info), KOLK_OK);
	if (idle && info.connection != number)
		ok = CHECK_ERR(err, KOLK_OK) && CHECK(is_answer(&s.use));
	else
		ok = CHECK_ERR(err, KOLK_E_CLOSED) && CHECK(s.use.size == 0) &&
		     CHECK(!info.written || harmful[n].peer.cut != 0);
	if (!ok)
		tap_note("%s, user %d, %s", harmful[n].name, user, idle ? "idle" : "leased");
	use_end(&s.use);
	fixture_close(&s);
}

static void refused(void)
{
	for (size_t n = 0; n < sizeof harmful / sizeof harmful[0]; n++)
		for (enum user user = HOME; user < USERS; user++) {
			if (harmful[n].peer.what == KEY_UPDATE && !is_tls13())
				continue;
			for (int i = 0; i < 4; i++)
				if (is_chosen())
					refused_by(user, i % 2 != 0, i / 2 != 0, n);
		}
}

/* ---- at release */

/* Connections that have ended, for whatever reason. */
static uint64_t closed(const struct fixture *s)
{
	struct kolk_stats stats = wire_stats(s->wire.pool);
	uint64_t sum = 0;

	for (int i = 0; i < KOLK_REASONS; i++)
		sum += stats.destroyed[i];
	return sum;
}

/* Directly behind an answer: harmless bytes cost no connection, others are never an answer. */
static void released_by(enum user user, bool is_harmless, size_t n)
{
	struct fixture s = { .peer = is_harmless ? harmless[n].peer : harmful[n].peer, .user = user };
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct peer open = { .gate = KOLK__ATOMIC_INIT(1) };
	uint64_t number;
	enum kolk_err err;
	bool ok;

	MUST(fixture_open(&s));
	number = fresh(&s);
	kolk__store_release(&s.peer.behind, 1);
	CHECK_ERR(use_begin(&s.use), KOLK_OK);
	err = use_ask(&s.use, &open);
	if (err != KOLK_E_RESET || s.peer.what != RST) { /* it may overtake the answer */
		CHECK_ERR(err, KOLK_OK);
		CHECK(is_answer(&s.use));
	}
	CHECK(WITHIN_MS(3000, kolk__load_acquire(&s.peer.said)));
	use_end(&s.use);
	/* On its way when the next lease sends, data would look like its answer. */
	if (!is_harmless)
		(void)WITHIN_MS(300, closed(&s) > 0);
	CHECK_ERR(use_begin(&s.use), KOLK_OK);
	CHECK_ERR(kolk_lease_info(&s.use.lease, &info), KOLK_OK);
	err = use_ask(&s.use, &s.peer);
	ok = is_harmless || info.connection != number || err == KOLK_OK ?
		     CHECK_ERR(err, KOLK_OK) && CHECK(is_answer(&s.use)) :
		     CHECK(err == KOLK_E_CLOSED || err == KOLK_E_TLS) && CHECK(s.use.size == 0);
	ok = CHECK(!is_harmless || info.connection == number) && ok;
	if (!ok)
		tap_note("%s, user %d", is_harmless ? harmless[n].name : harmful[n].name, user);
	use_end(&s.use);
	fixture_close(&s);
}

static void at_release(void)
{
	for (enum user user = HOME; user < USERS; user++) {
		for (size_t n = 0; n < sizeof harmless / sizeof harmless[0]; n++)
			if (is_chosen())
				released_by(user, true, n);
		for (size_t n = 0; n < sizeof harmful / sizeof harmful[0]; n++)
			if ((harmful[n].peer.what != KEY_UPDATE || is_tls13()) && is_chosen())
				released_by(user, false, n);
	}
}

/* ---- pings */

static uint64_t ended(const struct fixture *s, enum kolk_reason reason)
{
	return wire_stats(s->wire.pool).destroyed[reason];
}

/* What comes before a ping does not end it, and does not answer it. */
static void pinged_by(enum user user, bool is_harmless, const struct peer *peer)
{
	struct fixture s = { .peer = *peer, .user = user, .pings = true };
	uint64_t created;
	uint32_t before;

	MUST(fixture_open(&s));
	(void)renew(&s); /* one that is pinged is not cleared */
	created = wire_stats(s.wire.pool).created;
	speak(&s, true);
	before = kolk__load_relaxed(&s.peer.pings);
	usleep(user == THREADS ? 35000 : 5000); /* some pings, as much as half a record lets them */
	kolk__store_release(&s.peer.gate, 1);
	if (is_harmless) {
		if (!CHECK(WITHIN_MS(3000, kolk__load_relaxed(&s.peer.pings) > before + 2)))
			wire_report(s.wire.pool);
	}
	else
		CHECK(WITHIN_MS(3000, ended(&s, KOLK_REASON_PEER_DATA) +
					      ended(&s, KOLK_REASON_PING_FAILED) > 0));
	if (!CHECK(wire_stats(s.wire.pool).created == created || !is_harmless))
		wire_report(s.wire.pool);
	fixture_close(&s);
}

static void pings(void)
{
	static const struct peer pongs[] = { { .what = PONG }, { .what = PONG, .cut = 12 } };

	for (size_t n = 0; n < sizeof harmless / sizeof harmless[0]; n += 3) {
		pinged_by(HOME, true, &harmless[n].peer);
		pinged_by(THREADS, true, &harmless[n].peer);
	}
	for (size_t n = 0; n < 2; n++) {
		pinged_by(HOME, false, &pongs[n]);
		pinged_by(THREADS, false, &pongs[n]);
	}
}

/* ---- a random mixture */

static uint64_t draw(uint64_t *state, uint64_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state % below;
}

/* Some of what may come, cut anywhere or not; sometimes data. */
static void peer_draw(struct peer *peer, uint64_t *random)
{
	static const enum what whats[] = { TICKETS, TICKETS, TICKETS, WARNING, DATA };

	peer->what = whats[draw(random, 5)];
	peer->count = 1 + (uint32_t)draw(random, 5);
	peer->size = 1 + (uint32_t)draw(random, 9000);
	peer->cut = draw(random, 2) ? 1 + draw(random, 100) : 0;
	if (peer->what == DATA)
		peer->count = 1;
}

enum moment { IDLE, LEASED, BEHIND, MOMENTS };

/* One lease, and unsolicited bytes at some moment of it. The invariant: harmless bytes are never
 * refused, data is never an answer (behind one, the next lease may find it). */
static void mix(struct fixture *s, uint64_t *random)
{
	enum moment moment = (enum moment)draw(random, MOMENTS);
	struct peer open = { .gate = KOLK__ATOMIC_INIT(1) };
	bool was_data = s->peer.what == DATA;
	uint64_t before;
	enum kolk_err err;

	peer_draw(&s->peer, random);
	fixture_user(s, (enum user)draw(random, THREADS));
	if (moment == IDLE || draw(random, 3) == 0)
		(void)renew(s);
	before = ended(s, KOLK_REASON_PEER_DATA);
	if (moment == IDLE)
		speak(s, true);
	/* On its way when the lease sends, it would look like its answer. */
	if (moment == IDLE && s->peer.what == DATA)
		(void)WITHIN_MS(300, ended(s, KOLK_REASON_PEER_DATA) > before);
	CHECK_ERR(use_begin(&s->use), KOLK_OK);
	if (moment == LEASED) {
		speak(s, true);
		(void)WITHIN_MS(300, has_come(s)); /* unless it does not stream: then it is seen */
	}
	kolk__store_release(&s->peer.behind, moment == BEHIND);
	err = use_ask(&s->use, moment == BEHIND ? &open : &s->peer);
	if ((err != KOLK_OK && !((s->peer.what == DATA || was_data) && err == KOLK_E_CLOSED)) ||
	    (err == KOLK_OK && memcmp(s->use.answer, question, s->use.size < 6 ? s->use.size : 6))) {
		FAILED("the law holds");
		tap_note("what %d, count %u, size %u, cut %zu, moment %d, user %d: error %d",
			 s->peer.what, s->peer.count, s->peer.size, s->peer.cut, moment, s->user, err);
	}
	if (moment != BEHIND || !kolk__exchange_acq_rel(&s->peer.behind, 0))
		CHECK(WITHIN_MS(3000, kolk__load_acquire(&s->peer.said)));
	kolk__store_release(&s->peer.gate, 1);
	if (kolk__load_acquire(&s->peer.said) != 0)
		CHECK(WITHIN_MS(3000, kolk__load_acquire(&s->peer.said) == 2));
	use_end(&s->use);
	if (s->peer.what == DATA && moment == BEHIND)
		(void)WITHIN_MS(300, ended(s, KOLK_REASON_PEER_DATA) > before);
	kolk__store_relaxed(&s->peer.gate, 0);
	kolk__store_relaxed(&s->peer.said, 0);
}

static void mixture(void)
{
	struct fixture s = { .user = LOOP };
	uint64_t random = 88172645463325252u;

	MUST(fixture_open(&s));
	(void)fresh(&s);
	for (int i = 0; i < (wire_stride <= 8 ? 60 : 20) && !tap_is_failing(); i++)
		mix(&s, &random);
	fixture_close(&s);
}

static const struct tap_test tests[] = {
	{ "tickets and alerts before the first send, at home", at_home },
	{ "the same, on another loop", on_another_loop },
	{ "the same, on a thread beside a loop", on_a_thread },
	{ "the same, on threads alone", on_threads_alone },
	{ "pushes before the first send, everywhere", pushes },
	{ "the same directly behind an answer", at_release },
	{ "the same before a ping", pings },
	{ "the same in a random mixture", mixture },
	{ "data, or an end, before the first send is never an answer", refused },
};
TAP_TESTS(unsolicited, tests);
