/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unsolicited_test.c - what the peer sends between the end of the dial and the first bytes of a
 * lease. Harmless records (session tickets, alerts, a HelloRequest), whole or in part, cost no
 * connection, wherever the lease is used; data never becomes an answer.
 */
#include <string.h>
#include <unistd.h>

#include "tests/wire/unsolicited.h"

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
	struct unsolicited s = { .peer = harmless[n].peer, .user = user };
	uint64_t number;

	MUST(unsolicited_open(&s));
	for (int i = 0; i < 2; i++) {
		struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

		number = unsolicited_fresh(&s);
		unsolicited_lease(&s, idle);
		CHECK_ERR(kolk_lease_info(&s.use.lease, &info), KOLK_OK);
		if (!CHECK_ERR(use_ask(&s.use, &s.peer), KOLK_OK) ||
		    !CHECK(use_is_answer(&s.use)) || !CHECK(info.connection == number))
			tap_note("%s, user %d, %s", harmless[n].name, user, idle ? "idle" : "leased");
		use_end(&s.use);
	}
	unsolicited_close(&s);
}

static void unharmed(enum user user)
{
	for (size_t n = 0; n < 2 * sizeof harmless / sizeof harmless[0]; n++)
		if (unsolicited_is_chosen())
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
	struct unsolicited s = { .peer = *peer, .user = user, .plain = plain,
				 .accepts_pushes = true };
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	uint32_t count = peer->count != 0 ? peer->count : 1;
	uint64_t number;

	MUST(unsolicited_open(&s));
	number = unsolicited_fresh(&s);
	if (idle)
		unsolicited_speak(&s, idle);
	if (idle && user != THREADS)
		CHECK(WITHIN_MS(3000, kolk__load_acquire(&s.heard) >= count - (peer->cut != 0)));
	CHECK_ERR(use_begin(&s.use), KOLK_OK);
	if (!idle)
		unsolicited_speak(&s, idle);
	/* All of them: what comes after the send is the caller's. */
	if (!idle && user != THREADS)
		CHECK(WITHIN_MS(3000, unsolicited_unread(&s) >= kolk__load_relaxed(&s.peer.bytes)));
	CHECK_ERR(kolk_lease_info(&s.use.lease, &info), KOLK_OK);
	if (!CHECK_ERR(use_ask(&s.use, &s.peer), KOLK_OK) || !CHECK(use_is_answer(&s.use)) ||
	    !CHECK(info.connection == number) || !CHECK(kolk__load_acquire(&s.heard) == count))
		tap_note("%u pushes, cut %zu, user %d, %s, %s; %u heard", peer->count, peer->cut, user,
			 plain ? "plain" : "TLS", idle ? "idle" : "leased", kolk__own(&s.heard));
	use_end(&s.use);
	unsolicited_close(&s);
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
				if ((i < 2 || peers[n].cut == 0) && unsolicited_is_chosen())
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

/* Connections that have ended, for whatever reason. */
static uint64_t closed(const struct unsolicited *s)
{
	struct kolk_stats stats = wire_stats(s->wire.pool);
	uint64_t sum = 0;

	for (int i = 0; i < KOLK_REASONS; i++)
		sum += stats.destroyed[i];
	return sum;
}

/* Refused before anything is sent; half a record shows only later what it is. While it lay idle its
 * loop may have closed it: then another one answers. */
static void refused_by(enum user user, bool accepts_pushes, bool idle, size_t n)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct unsolicited s = { .peer = harmful[n].peer, .user = user,
				 .accepts_pushes = accepts_pushes };
	uint64_t number, before;
	enum kolk_err err;
	bool ok;

	MUST(unsolicited_open(&s));
	number = unsolicited_fresh(&s);
	before = closed(&s);
	if (idle)
		unsolicited_speak(&s, idle);
	/* What its loop has received and not seen yet is as good as on its way. */
	if (idle && user != THREADS)
		(void)WITHIN_MS(300, unsolicited_unread(&s) > 0 || closed(&s) > before);
	CHECK_ERR(use_begin(&s.use), KOLK_OK);
	if (!idle)
		unsolicited_speak(&s, idle);
	err = use_ask(&s.use, &s.peer);
	CHECK_ERR(kolk_lease_info(&s.use.lease, &info), KOLK_OK);
	if (idle && info.connection != number)
		ok = CHECK_ERR(err, KOLK_OK) && CHECK(use_is_answer(&s.use));
	else
		ok = CHECK_ERR(err, KOLK_E_CLOSED) && CHECK(s.use.size == 0) &&
		     CHECK(!info.written || harmful[n].peer.cut != 0);
	if (!ok)
		tap_note("%s, user %d, %s", harmful[n].name, user, idle ? "idle" : "leased");
	use_end(&s.use);
	unsolicited_close(&s);
}

static void refused(void)
{
	for (size_t n = 0; n < sizeof harmful / sizeof harmful[0]; n++)
		for (enum user user = HOME; user < USERS; user++) {
			if (harmful[n].peer.what == KEY_UPDATE && !peer_is_tls13())
				continue;
			for (int i = 0; i < 4; i++)
				if (unsolicited_is_chosen())
					refused_by(user, i % 2 != 0, i / 2 != 0, n);
		}
}

/* ---- at release */

/* Directly behind an answer: harmless bytes cost no connection, others are never an answer. */
static void released_by(enum user user, bool is_harmless, size_t n)
{
	struct unsolicited s = { .peer = is_harmless ? harmless[n].peer : harmful[n].peer,
				 .user = user };
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct peer open = { .gate = KOLK__ATOMIC_INIT(1) };
	uint64_t number;
	enum kolk_err err;
	bool ok;

	MUST(unsolicited_open(&s));
	number = unsolicited_fresh(&s);
	kolk__store_release(&s.peer.behind, 1);
	CHECK_ERR(use_begin(&s.use), KOLK_OK);
	err = use_ask(&s.use, &open);
	if (err != KOLK_E_RESET || s.peer.what != RST) { /* it may overtake the answer */
		CHECK_ERR(err, KOLK_OK);
		CHECK(use_is_answer(&s.use));
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
		     CHECK_ERR(err, KOLK_OK) && CHECK(use_is_answer(&s.use)) :
		     CHECK(err == KOLK_E_CLOSED || err == KOLK_E_TLS) && CHECK(s.use.size == 0);
	ok = CHECK(!is_harmless || info.connection == number) && ok;
	if (!ok)
		tap_note("%s, user %d", is_harmless ? harmless[n].name : harmful[n].name, user);
	use_end(&s.use);
	unsolicited_close(&s);
}

static void at_release(void)
{
	for (enum user user = HOME; user < USERS; user++) {
		for (size_t n = 0; n < sizeof harmless / sizeof harmless[0]; n++)
			if (unsolicited_is_chosen())
				released_by(user, true, n);
		for (size_t n = 0; n < sizeof harmful / sizeof harmful[0]; n++)
			if ((harmful[n].peer.what != KEY_UPDATE || peer_is_tls13()) &&
			    unsolicited_is_chosen())
				released_by(user, false, n);
	}
}

/* What comes before a ping does not end it, and does not answer it. An answer that comes while a ping
 * is out is taken for its own, and the real one is unsolicited. */
static void pinged_by(enum user user, bool is_harmless, const struct peer *peer)
{
	struct unsolicited s = { .peer = *peer, .user = user, .pings = true };
	uint64_t created;
	uint32_t before;

	MUST(unsolicited_open(&s));
	(void)unsolicited_renew(&s); /* one that is pinged is not cleared */
	created = wire_stats(s.wire.pool).created;
	unsolicited_speak(&s, true);
	before = kolk__load_relaxed(&s.peer.pings);
	usleep(user == THREADS ? 35000 : 5000); /* some pings, as much as half a record lets them */
	kolk__store_release(&s.peer.gate, 1);
	if (is_harmless) {
		if (!CHECK(WITHIN_MS(20000, kolk__load_relaxed(&s.peer.pings) > before + 2)))
			wire_report(s.wire.pool);
	}
	else if (!CHECK(WITHIN_MS(20000, unsolicited_ended(&s, KOLK_REASON_PEER_DATA) > 0)))
		wire_report(s.wire.pool);
	if (!CHECK(wire_stats(s.wire.pool).created == created || !is_harmless))
		wire_report(s.wire.pool);
	unsolicited_close(&s);
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

static const struct tap_test tests[] = {
	{ "tickets and alerts before the first send, at home", at_home },
	{ "the same, on another loop", on_another_loop },
	{ "the same, on a thread beside a loop", on_a_thread },
	{ "the same, on threads alone", on_threads_alone },
	{ "pushes before the first send, everywhere", pushes },
	{ "the same directly behind an answer", at_release },
	{ "the same before a ping", pings },
	{ "data, or an end, before the first send is never an answer", refused },
};
TAP_TESTS(unsolicited, tests);
