/* SPDX-License-Identifier: Apache-2.0 */
/* unsolicited.c - what the peer sends, whole or in part, and who uses the lease. */
#include "tests/wire/unsolicited.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- the peer */

bool peer_is_tls13(void)
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

	if (!peer_is_tls13()) {
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

enum kolk_err use_begin(struct use *use)
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

const char use_question[] = "hello\n";

/* Both at once, as a driver does: the receive must not bring what the send refused to send
 * after. */
static void ask(struct kolk_call *call, void *user)
{
	struct use *use = user;
	enum kolk_err err = kolk_send_async(use->loop, &use->lease, &use->send, use_question, 6,
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

enum kolk_err use_ask(struct use *use, struct peer *peer)
{
	if (use->loop != NULL) {
		kolk__store_relaxed(&use->left, 2);
		kolk__store_relaxed(&use->submitted, 0);
		(void)kolk_loop_call(use->loop, &use->call, ask, use);
		CHECK(WITHIN_MS(8000, kolk__load_relaxed(&use->submitted) != 0));
		kolk__store_release(&peer->gate, 1);
		return finished(use) ? use->err : KOLK_E_TIMEOUT;
	}
	use->err = kolk_send_all(&use->lease, use_question, 6, kolk_in_ms(3000));
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

void use_end(struct use *use)
{
	kolk__store_relaxed(&use->left, 1);
	if (use->loop == NULL)
		release_lease(NULL, use);
	else
		(void)kolk_loop_call(use->loop, &use->call, release_lease, use);
	(void)finished(use);
}

/* ---- the connection */

/* A driver that accepts pushes, and nothing else that is unsolicited. */
static enum kolk_err heard(void *user, void *session, struct kolk_exchange *exchange,
			   const void *data, size_t size)
{
	struct unsolicited *s = user;
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

void unsolicited_user(struct unsolicited *s, enum user user)
{
	s->user = user;
	s->use.loop = user == HOME || user == LOOP ?
			      kolk_engine_loop(s->wire.engine, user == LOOP) : NULL;
}

bool unsolicited_open(struct unsolicited *s)
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
	o.ping_timeout_ns = s->pings ? 10 * KOLK_S_NS : 0; /* none is to time out */
	o.connections_max = 1;
	o.idle_min = KOLK_NONE;
	if (!wire_engine(&s->wire, &engine) || !wire_pool(&s->wire, &o))
		return false;
	s->home.key = s->use.key = s->wire.key;
	if (s->user != THREADS)
		s->home.loop = kolk_engine_loop(s->wire.engine, 0);
	unsolicited_user(s, s->user);
	return true;
}

void unsolicited_close(struct unsolicited *s)
{
	wire_close(&s->wire);
	kit_mock_close(s->mock);
}

struct kolk_lease_info unsolicited_renew(struct unsolicited *s)
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

uint64_t unsolicited_fresh(struct unsolicited *s)
{
	struct kolk_lease_info info = unsolicited_renew(s);

	CHECK(info.loop == 0 && !info.reused);
	return info.connection;
}

uint64_t unsolicited_unread(const struct unsolicited *s)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	(void)kolk_engine_stats(s->wire.engine, &stats);
	return stats.unread_bytes;
}

bool unsolicited_has_come(struct unsolicited *s)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	CHECK_ERR(kolk_lease_info(&s->use.lease, &info), KOLK_OK);
	return unsolicited_unread(s) > 0 || info.outdated;
}

void unsolicited_speak(struct unsolicited *s, bool idle)
{
	kolk__store_relaxed(&s->peer.gate, 0);
	kolk__store_relaxed(&s->peer.said, 0);
	/* a connection is ready before it is accepted */
	CHECK(WITHIN_MS(3000, kit_mock_counts(s->mock).accepted == wire_stats(s->wire.pool).created));
	kolk__store_release(&s->peer.speak, (uint32_t)kit_mock_counts(s->mock).accepted);
	CHECK(WITHIN_MS(3000, kolk__load_acquire(&s->peer.said)));
	if (!idle && s->user != THREADS)
		CHECK(WITHIN_MS(3000, unsolicited_has_come(s)));
	if (idle && s->user != THREADS)
		usleep(5000); /* its loop may look at it, or not */
}

void unsolicited_lease(struct unsolicited *s, bool idle)
{
	if (idle)
		unsolicited_speak(s, idle);
	CHECK_ERR(use_begin(&s->use), KOLK_OK);
	if (!idle)
		unsolicited_speak(s, idle);
}

bool use_is_answer(const struct use *use)
{
	return use->size == 6 && memcmp(use->answer, use_question, 6) == 0;
}

bool unsolicited_is_chosen(void)
{
	static uint32_t next_user;

	return wire_stride <= 8 || next_user++ % 3 == 0;
}

uint64_t unsolicited_ended(const struct unsolicited *s, enum kolk_reason reason)
{
	return wire_stats(s->wire.pool).destroyed[reason];
}
