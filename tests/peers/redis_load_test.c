/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_load_test.c - the Redis driver under load: every command says a number that no other says,
 * many are cancelled, connections are killed, the server restarts. No reply may be another's.
 */
#include "core/base/atomic.h"
#include "tests/peers/peers.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/kit/moment.h"
#include "tests/peers/redis.h"

enum { SLOTS = 32, COMMANDS = 4, NUMBER = 24, THREADS = 4 };

struct load;

struct slot {
	struct load *load;
	struct kolk_redis_call *call;
	struct kolk_timer timer;
	char numbers[COMMANDS][NUMBER];
	uint64_t began_ns;
	uint32_t count;
	bool busy, in_flight, dirty; /* started; and that has returned */
};

struct load {
	struct redis_fixture fixture;
	struct slot slots[SLOTS];
	uint64_t random, number;
	struct kit_moment moment;
	uint64_t left, ended, right, cancelled, failed, foreign;
	uint32_t cancel_percent, dirty_percent, flying;
	bool replayable;
	enum kolk_err last;
};

static uint64_t next_random(struct load *load)
{
	load->random ^= load->random << 13;
	load->random ^= load->random >> 7;
	return load->random ^= load->random << 17;
}

static uint32_t dice(struct load *load, uint32_t sides)
{
	return (uint32_t)(next_random(load) >> 33) % sides;
}

static bool is_number(const struct kolk_redis_reply *reply, const char *number)
{
	return reply->type == KOLK_REDIS_STRING && strcmp(reply->text, number) == 0;
}

/* Replies of a call of ours and no other's. */
static bool is_mine(const struct slot *slot, const struct kolk_redis_reply *reply)
{
	if (slot->dirty)
		return true;
	if (slot->count == 1)
		return is_number(reply, slot->numbers[0]);
	for (uint32_t i = 0; i < slot->count; i++)
		if (reply->count != slot->count || !is_number(&reply->elements[i], slot->numbers[i]))
			return false;
	return true;
}

static void slot_cancel(struct slot *slot)
{
	if (slot->in_flight)
		kolk_redis_cancel(slot->call);
}

static void slot_due(struct kolk_timer *timer, void *user)
{
	(void)timer;
	slot_cancel(user);
}

static void slot_done(void *user, enum kolk_err err, const struct kolk_redis_reply *reply)
{
	struct slot *slot = user;
	struct load *load = slot->load;

	kolk_timer_stop(&slot->timer);
	slot->busy = slot->in_flight = false;
	load->flying--;
	load->ended++;
	if (err == KOLK_OK)
		kit_moment_took(&load->moment, kolk_in_ns(0) - slot->began_ns);
	if (err == KOLK_OK && is_mine(slot, reply))
		load->right++;
	else if (err == KOLK_OK)
		load->foreign++;
	else if (err == KOLK_E_CANCELLED)
		load->cancelled++;
	else {
		load->failed++;
		load->last = err;
	}
	kolk_redis_reply_free(reply);
	if (kit_moment_applies(load->cancel_percent, next_random(load)))
		slot_cancel(&load->slots[dice(load, SLOTS)]);
}

/* Calls after which the connection is not what it was. */
static void ask_dirty(struct slot *slot, const char **words, struct kolk_redis_command *commands)
{
	static const char *const dirts[][2] = { { "MULTI", NULL }, { "WATCH", "database" },
						{ "SELECT", "1" }, { "SUBSCRIBE", "news" },
						{ "RESET", NULL }, { "MULTI", NULL } };
	uint32_t which = dice(slot->load, 6);

	words[0] = dirts[which][0];
	words[1] = dirts[which][1];
	commands[0] = (struct kolk_redis_command){ words[1] != NULL ? 2 : 1, words, NULL };
	slot->count = 1;
	if (which == 5) {
		words[2] = "SELECT";
		words[3] = "1";
		commands[1] = (struct kolk_redis_command){ 2, words + 2, NULL };
		slot->count = 2;
	}
}

/* Numbers to be echoed; with dirty calls, also the value that identifies the database. */
static void ask_clean(struct slot *slot, const char **words, struct kolk_redis_command *commands)
{
	struct load *load = slot->load;

	slot->count = 1 + (dice(load, 4) == 0 ? dice(load, COMMANDS) : 0);
	for (uint32_t i = 0; i < slot->count; i++, words += 2) {
		bool database = load->dirty_percent > 0 && dice(load, 2) == 0;

		words[0] = database ? "GET" : "ECHO";
		words[1] = database ? "database" : slot->numbers[i];
		snprintf(slot->numbers[i], NUMBER, "%" PRIu64, database ? 0 : ++load->number);
		commands[i] = (struct kolk_redis_command){ 2, words, NULL };
	}
}

static void slot_start(struct slot *slot)
{
	struct load *load = slot->load;
	struct kolk_loop *loop = kolk_engine_loop(load->fixture.engine, 0);
	const char *words[2 * COMMANDS];
	struct kolk_redis_command commands[COMMANDS];
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);
	enum kolk_err err;

	slot->began_ns = kolk_in_ns(0);
	slot->dirty = dice(load, 100) < load->dirty_percent;
	if (slot->dirty)
		ask_dirty(slot, words, commands);
	else
		ask_clean(slot, words, commands);
	request.commands = commands;
	request.count = slot->count;
	request.replayable = load->replayable;
	request.deadline_ns = kolk_in_ms(20000);
	slot->busy = true;
	load->flying++;
	err = kolk_redis_call_start(loop, load->fixture.key, &request, slot_done, slot, &slot->call);
	load->left--;
	if (err != KOLK_PENDING) {
		slot->busy = false;
		load->flying--;
		load->failed++;
		load->ended++;
		load->last = err;
		return;
	}
	slot->in_flight = slot->busy;
	if (slot->in_flight && kit_moment_applies(load->cancel_percent, next_random(load)))
		kolk_timer_start(loop, &slot->timer,
				 slot->began_ns + kit_moment_pick(&load->moment, next_random(load)),
				 slot_due, slot);
}

/* Until all have ended; meanwhile, now and then, something happens. */
static void load_run(struct load *load, uint64_t requests, void (*meanwhile)(void *), void *user)
{
	struct kolk_loop *loop = kolk_engine_loop(load->fixture.engine, 0);
	uint64_t next = 0;

	load->left = requests;
	while (load->left > 0 || load->flying > 0) {
		for (int i = 0; i < SLOTS && load->left > 0; i++)
			if (!load->slots[i].busy)
				slot_start(&load->slots[i]);
		MUST(kolk_loop_step(loop, 100 * KOLK_MS_NS) == KOLK_OK);
		if (meanwhile != NULL && load->ended >= next) {
			meanwhile(user);
			next = load->ended + requests / 20;
		}
	}
}

static void load_open(struct load *load, const char *address, const char *ca_file,
		      const struct kolk_redis_options *o)
{
	struct redis_fixture_options h = { .redis = o, .address = address, .ca_file = ca_file,
				     .connections = 8, .embedded = true };

	load->fixture = redis_fixture_open(&h);
	load->random = peers_seed() | 1;
	CHECK_ERR(kolk_loop_step(kolk_engine_loop(load->fixture.engine, 0), 0), KOLK_OK); /* ours */
	for (int i = 0; i < SLOTS; i++)
		load->slots[i].load = load;
}

static void load_report(const struct load *load)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	kolk_pool_stats(load->fixture.pool, &stats);
	tap_note("seed %" PRIu64 ": %" PRIu64 " calls, %" PRIu64 " answered, %" PRIu64
		 " cancelled, %" PRIu64 " failed (%s), %" PRIu64 " foreign; %" PRIu64 " dials",
		 peers_seed(), load->ended, load->right, load->cancelled, load->failed,
		 kolk_err_name(load->last), load->foreign, stats.dialled);
}

/* ---- on a loop, with cancels at random instants */

static void nonces(const char *address, const char *ca_file, uint32_t resp, uint64_t requests)
{
	struct kolk_redis_options o = KOLK_INIT(kolk_redis_options);
	struct load load = { .cancel_percent = 30 };

	o.resp = resp;
	load_open(&load, address, ca_file, &o);
	load_run(&load, requests, NULL, NULL);
	load_report(&load);
	CHECK(load.foreign == 0);
	CHECK(load.failed == 0);
	CHECK(load.ended == requests);
	CHECK(load.cancelled > requests / 50); /* the rest came too late */
	CHECK(load.right > requests / 2);
	redis_fixture_close(&load.fixture);
}

static void test_nonces(void)
{
	struct kit_peer *peer = kit_redis_start(&(struct kit_redis_options){ .tls = true });

	if (peer == NULL)
		return;
	nonces(peer->address, NULL, 2, peers_requests(200000));
	nonces(peer->tls_address, peer->ca_file, 2, peers_requests(20000));
	if (kolk_redis_has_resp3())
		nonces(peer->address, NULL, 3, peers_requests(200000));
	kit_peer_close(peer);
}

/* Among calls that leave transactions, subscriptions, other databases behind, cancelled or not. */
static void dirt(const char *address, uint32_t resp, uint64_t requests)
{
	struct kolk_redis_options o = KOLK_INIT(kolk_redis_options);
	struct load load = { .cancel_percent = 30, .dirty_percent = 20 };

	o.resp = resp;
	load_open(&load, address, NULL, &o);
	load_run(&load, requests, NULL, NULL);
	load_report(&load);
	CHECK(load.foreign == 0);
	CHECK(load.failed == 0);
	CHECK(load.right > requests / 2);
	redis_fixture_close(&load.fixture);
}

static void test_dirt(void)
{
	struct kit_peer *peer = kit_redis_start(&(struct kit_redis_options){ 0 });
	struct redis_fixture fixture;
	struct kolk_lease lease;

	if (peer == NULL)
		return;
	fixture = redis_fixture_open(&(struct redis_fixture_options){ .address = peer->address });
	MUST(kolk_acquire(fixture.key, 0, &lease) == KOLK_OK);
	CHECK(says(&lease, "SET database 0", "OK"));
	CHECK(says(&lease, "SELECT 1", "OK"));
	CHECK(says(&lease, "SET database 1", "OK"));
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	redis_fixture_close(&fixture);
	dirt(peer->address, 2, peers_requests(100000));
	if (kolk_redis_has_resp3())
		dirt(peer->address, 3, peers_requests(100000));
	kit_peer_close(peer);
}

/* ---- on threads, with deadlines that are often missed */

struct callers {
	struct kolk_key *key;
	kolk__atomic_u64 number, right, late, failed, foreign;
	uint64_t each;
};

static void *caller_run(void *user)
{
	struct callers *callers = user;
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);
	const struct kolk_redis_reply *reply;

	for (uint64_t i = 0; i < callers->each; i++) {
		char number[NUMBER];
		const char *words[] = { "ECHO", number };
		const struct kolk_redis_command command = { 2, words, NULL };
		uint64_t n = kolk__add_acq_rel(&callers->number, 1);
		struct kolk_lease lease;
		enum kolk_err err;

		snprintf(number, sizeof number, "%" PRIu64, n);
		request.commands = &command;
		request.count = 1;
		if (kolk_acquire(callers->key, kolk_in_ms(20000), &lease) != KOLK_OK) {
			kolk__add_acq_rel(&callers->failed, 1);
			continue;
		}
		request.deadline_ns = n % 3 == 0 ? kolk_in_us(n % 100) : kolk_in_ms(20000);
		err = kolk_redis_pipeline(&lease, &request, &reply);
		(void)kolk_release(&lease);
		kolk__add_acq_rel(err == KOLK_E_TIMEOUT ? &callers->late :
				 err != KOLK_OK	       ? &callers->failed :
				 is_number(reply, number) ? &callers->right : &callers->foreign, 1);
		kolk_redis_reply_free(reply);
	}
	return NULL;
}

static void test_threads(void)
{
	struct kit_peer *peer = kit_redis_start(&(struct kit_redis_options){ 0 });
	struct kolk_redis_options o = KOLK_INIT(kolk_redis_options);
	struct redis_fixture_options h = { .redis = &o, .connections = 3 };
	struct callers callers = { .each = peers_requests(40000) / THREADS };
	pthread_t threads[THREADS];
	struct redis_fixture fixture;

	if (peer == NULL)
		return;
	h.address = peer->address;
	fixture = redis_fixture_open(&h);
	callers.key = fixture.key;
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, caller_run, &callers) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	tap_note("%" PRIu64 " answered, %" PRIu64 " late, %" PRIu64 " failed",
		 kolk__load_acquire(&callers.right), kolk__load_acquire(&callers.late),
		 kolk__load_acquire(&callers.failed));
	CHECK(kolk__load_acquire(&callers.foreign) == 0);
	CHECK(kolk__load_acquire(&callers.failed) == 0);
	CHECK(kolk__load_acquire(&callers.late) > 0 && kolk__load_acquire(&callers.right) > callers.each);
	redis_fixture_close(&fixture);
	kit_peer_close(peer);
}

/* ---- connections that end in the middle */

static void kill_all(void *user)
{
	struct redis_fixture fixture =
		redis_fixture_open(&(struct redis_fixture_options){.address = user});
	struct kolk_lease lease;

	if (CHECK_ERR(kolk_acquire(fixture.key, 0, &lease), KOLK_OK)) {
		kolk_redis_reply_free(say(&lease, "CLIENT KILL TYPE normal SKIPME yes"));
		(void)kolk_release(&lease);
	}
	redis_fixture_close(&fixture);
}

/* Replayable calls are asked once more when a used connection ends without a byte; what fails
 * nevertheless had no second proof. */
static void test_client_kill(void)
{
	struct kit_peer *peer = kit_redis_start(&(struct kit_redis_options){ 0 });
	struct kolk_redis_options o = KOLK_INIT(kolk_redis_options);
	struct load load = { .replayable = true };
	uint64_t requests = peers_requests(40000);

	if (peer == NULL)
		return;
	load_open(&load, peer->address, NULL, &o);
	load_run(&load, requests, kill_all, peer->address);
	load_report(&load);
	CHECK(load.foreign == 0);
	CHECK(load.right + load.failed == requests);
	CHECK(load.failed <= 20 * 8); /* at most what flew at a kill */
	redis_fixture_close(&load.fixture);
	kit_peer_close(peer);
}

static void restart(void *user)
{
	static int turn;

	CHECK(kit_peer_restart(user, turn++ % 2 == 0 ? SIGTERM : SIGKILL));
}

static void test_restarts(void)
{
	struct kit_peer *peer = kit_redis_start(&(struct kit_redis_options){ 0 });
	struct kolk_redis_options o = KOLK_INIT(kolk_redis_options);
	struct load load = { .replayable = true, .cancel_percent = 10 };
	uint64_t requests = peers_requests(20000);

	if (peer == NULL)
		return;
	load_open(&load, peer->address, NULL, &o);
	load_run(&load, requests, restart, peer);
	load_report(&load);
	CHECK(load.foreign == 0);
	CHECK(load.right > requests / 2);
	load.cancel_percent = 0;
	load.failed = load.right = 0;
	load_run(&load, 1000, NULL, NULL); /* and all is well again */
	CHECK(load.failed == 0 && load.right == 1000);
	redis_fixture_close(&load.fixture);
	kit_peer_close(peer);
}

static const struct tap_test tests[] = {
	{ "nonces on a loop, 30 % cancelled", test_nonces },
	{ "nonces among dirt", test_dirt },
	{ "nonces on threads, many late", test_threads },
	{ "CLIENT KILL under load", test_client_kill },
	{ "restarts under load", test_restarts },
};
TAP_TESTS(redis_load, tests);
