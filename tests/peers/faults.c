/* SPDX-License-Identifier: Apache-2.0 */
/* faults.c - what networks and servers do to requests, the same for every driver: each ends
 * with the right answer or a typed error, in its time, and nothing leaks. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/peers/clients.h"

/* Requests of each test, and what they are given. */
/* A log-in hashes for 3 ms; ThreadSanitizer makes 30 of it, and the peer is silent so long. */
#ifdef __SANITIZE_THREAD__
#define SLOWER 5
#else
#define SLOWER 1
#endif

enum {
	CALM = 200000,
	SLOW = 4000,
	BREAKS = 20000,
	HOLES = 3000,
	ONCE = 10000,
	PATIENCE_MS = 500,
	PAUSE_US = 700000,
	TRIALS = 4800,
	CALLERS = 16,
	IDLE_US = 10000 * SLOWER,
	ROUNDS = 40,
	ROUND = 64,
	NOTICE_US = 5000, /* the kernel's own */
	TURNS = 3
};

/* The fixture of a test, and what it is to do. */
struct trial {
	struct client_fixture fixture;
	struct kit_nonce_options options;
	struct kit_nonce_counts counts;
};

static bool trial_open(struct trial *trial, const struct client *client,
		       const struct kit_relay_faults *faults, bool hasty)
{
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);

	pool.connections_max = 24;
	pool.dials_max = 24;
	pool.waiters_max = 1000;
	pool.circuit_failures = KOLK_NONE;
	pool.retry_interval_ns = 5 * KOLK_MS_NS;
	pool.retry_max_ns = 50 * KOLK_MS_NS;
	if (hasty)
		pool.ready_timeout_ns = pool.tls_timeout_ns = pool.mend_timeout_ns =
			PATIENCE_MS * KOLK_MS_NS;
	trial->fixture.hasty = hasty;
	if (!client_fixture_open(&trial->fixture, client, faults, &pool)) {
		client_fixture_close(&trial->fixture);
		return false;
	}
	trial->options = (struct kit_nonce_options){
		.engine = trial->fixture.engine,
		.seed = peers_seed(),
		.threads = client->call != NULL ? 4 : 0,
		.in_flight = client->start != NULL ? 16 : KOLK_NONE,
		.slot_bytes = client->slot_bytes,
		.user = &trial->fixture,
		.start = client->start,
		.cancel = client->cancel,
		.call = client->call,
	};
	return true;
}

static void trial_close(struct trial *trial)
{
	struct kit_relay_counts relay = { 0 };

	if (trial->fixture.relay != NULL) {
		relay = kit_relay_counts(trial->fixture.relay);
		tap_note("seed %llu: %llu connections, %llu refused, %llu cut, %llu reset, "
			 "%llu stalled, "
			 "%llu pieces late, %llu in single bytes",
			 (unsigned long long)peers_seed(),
			 (unsigned long long)relay.connections,
			 (unsigned long long)relay.refused, (unsigned long long)relay.cut,
			 (unsigned long long)relay.reset, (unsigned long long)relay.stalled,
			 (unsigned long long)relay.delayed, (unsigned long long)relay.split);
	}
	CHECK(client_fixture_close(&trial->fixture));
}

/* Requests fail only by their own cancels. */
static void check_blameless(const struct kit_nonce_counts *counts)
{
	static const enum kolk_err never[] = { KOLK_E_LEASE_STALE,   KOLK_E_LEASE_BUSY,
					       KOLK_E_LEASE_FOREIGN, KOLK_E_OPTIONS,
					       KOLK_E_THREAD,	     KOLK_E_MEMORY,
					       KOLK_E_UNSUPPORTED,   KOLK_E_NOT_FOUND,
					       KOLK_E_CANCELLED,     KOLK_E_AUTH };

	for (size_t i = 0; i < sizeof never / sizeof *never; i++)
		if (!CHECK(counts->by_code[-(int)never[i]] == 0))
			tap_note("%s", kolk_err_name(never[i]));
}

void faults_calm(const struct client *client)
{
	struct trial trial = { .fixture = { .counts = false } };

	if (!trial_open(&trial, client, NULL, false))
		return;
	trial.options.requests = peers_requests(client->calm != 0 ? client->calm : CALM);
	if (!kit_nonce_run(client->name, &trial.options, &trial.counts))
		return;
	CHECK(trial.counts.failed == 0);
	CHECK(trial.counts.cancelled > trial.options.requests / 50);
	trial_close(&trial);
}

void faults_slow(const struct client *client)
{
	const struct kit_relay_faults faults = { .delay = 200, .split = 200, .delay_us = 1000 };
	struct trial trial = { .fixture = { .counts = false } };

	if (!trial_open(&trial, client, &faults, false))
		return;
	trial.options.requests = peers_requests(SLOW);
	if (!kit_nonce_run(client->name, &trial.options, &trial.counts))
		return;
	CHECK(trial.counts.failed == 0);
	trial_close(&trial);
}

void faults_breaks(const struct client *client)
{
	const struct kit_relay_faults faults = { .refuse = 20,
						 .cut = 500,
						 .reset = 500,
						 .delay = 20,
						 .split = 20,
						 .within_bytes = 4000 };
	struct trial trial = { .fixture = { .counts = false } };

	if (!trial_open(&trial, client, &faults, true))
		return;
	trial.options.requests = peers_requests(BREAKS);
	trial.options.deadline_ns = 10 * KOLK_S_NS;
	if (!kit_nonce_run(client->name, &trial.options, &trial.counts))
		return;
	check_blameless(&trial.counts);
	CHECK(trial.counts.ok > trial.options.requests / 4); /* HTTP/2 loses many at once */
	CHECK(trial.counts.longest_ns < 12 * KOLK_S_NS);
	trial_close(&trial);
}

void faults_black_holes(const struct client *client)
{
	const struct kit_relay_faults faults = { .stall = 500, .within_bytes = 4000 };
	struct trial trial = { .fixture = { .counts = false } };

	if (!trial_open(&trial, client, &faults, true))
		return;
	trial.options.requests = peers_requests(HOLES);
	trial.options.deadline_ns = PATIENCE_MS * KOLK_MS_NS;
	trial.options.cancel_percent = KOLK_NONE;
	if (!kit_nonce_run(client->name, &trial.options, &trial.counts))
		return;
	check_blameless(&trial.counts);
	CHECK(trial.counts.ok > 0);
	CHECK(trial.counts.longest_ns < (PATIENCE_MS + 5000) * KOLK_MS_NS);
	trial_close(&trial);
}

/* ---- a server that stands still, as one does on a busy machine */

static void *pause_again(void *user)
{
	struct kit_peer *peer = user;

	for (int i = 0; i < 2; i++) {
		usleep(100000);
		kit_peer_freeze(peer);
		usleep(PAUSE_US);
		kit_peer_thaw(peer);
	}
	return NULL;
}

void faults_pause(const struct client *client)
{
	struct trial trial = { .fixture = { .counts = false } };
	pthread_t thread;

	if (!trial_open(&trial, client, NULL, false))
		return;
	trial.options.requests = peers_requests(BREAKS);
	if (!CHECK(pthread_create(&thread, NULL, pause_again, trial.fixture.peer) == 0) ||
	    !kit_nonce_run(client->name, &trial.options, &trial.counts))
		return;
	pthread_join(thread, NULL);
	CHECK(trial.counts.failed == 0);
	trial_close(&trial);
}

/* ---- a server that dies */

struct killer {
	struct kit_peer *peer;
	kolk__atomic_u32 stop;
};

static void *kill_again(void *user)
{
	struct killer *killer = user;

	for (int i = 0; i < 3 && kolk__load_acquire(&killer->stop) == 0; i++) {
		usleep(200000);
		if (!kit_peer_restart(killer->peer, SIGKILL))
			break;
	}
	return NULL;
}

void faults_restarts(const struct client *client)
{
	struct killer killer = { .stop = 0 };
	uint64_t reply = 0, until;
	struct trial trial = { .fixture = { .counts = false } };
	pthread_t thread;
	enum kolk_err err;

	if (!trial_open(&trial, client, NULL, true))
		return;
	killer.peer = trial.fixture.peer;
	trial.options.requests = peers_requests(BREAKS);
	trial.options.deadline_ns = 10 * KOLK_S_NS;
	if (!CHECK(pthread_create(&thread, NULL, kill_again, &killer) == 0) ||
	    !kit_nonce_run(client->name, &trial.options, &trial.counts))
		return;
	kolk__store_release(&killer.stop, 1);
	pthread_join(thread, NULL);
	check_blameless(&trial.counts);
	CHECK(trial.counts.ok > 0);
	until = kolk_in_ms(5000); /* it is back: requests succeed again */
	do
		err = client->call(&trial.fixture, 7, kolk_in_ms(1000), &reply);
	while (err != KOLK_OK && kolk_in_ms(0) < until);
	CHECK_ERR(err, KOLK_OK);
	CHECK(reply == 7);
	trial_close(&trial);
}

/* ---- safe retries */

void faults_once(const struct client *client)
{
	const struct kit_relay_faults faults = { .cut = 500,
						 .reset = 500,
						 .within_bytes = 4000 };
	struct trial trial = { .fixture = { .counts = true } };
	uint64_t once = 0, more = 0;

	if (!trial_open(&trial, client, &faults, true))
		return;
	trial.options.requests = peers_requests(ONCE);
	trial.options.deadline_ns = 10 * KOLK_S_NS;
	trial.options.cancel_percent = 10;
	if (!kit_nonce_run(client->name, &trial.options, &trial.counts))
		return;
	check_blameless(&trial.counts);
	if (CHECK(client->executed(&trial.fixture, &once, &more))) {
		tap_note("%llu requests were executed once, %llu more often",
			 (unsigned long long)once, (unsigned long long)more);
		CHECK(more == 0);
		CHECK(once >= trial.counts.ok);
	}
	trial_close(&trial);
}

/* ---- a server that ends idle connections exactly when they are used again */

struct caller {
	const struct trial *trial;
	uint32_t number;
	uint64_t trials, ok, foreign, failed;
};

static void *call_at_the_end(void *user)
{
	struct caller *caller = user;
	const struct kit_nonce_options *options = &caller->trial->options;
	unsigned state = (unsigned)peers_seed() + caller->number;

	for (uint64_t i = 0; i < caller->trials; i++) {
		uint64_t nonce = (caller->number + 1) * UINT64_C(1000000000) + i, reply = 0;

		if (options->call(options->user, nonce, kolk_in_ms(5000), &reply) != KOLK_OK)
			caller->failed++;
		else if (reply == nonce)
			caller->ok++;
		else
			caller->foreign++;
		usleep(IDLE_US - 500 * SLOWER + (unsigned)rand_r(&state) % (1000 * SLOWER));
	}
	return NULL;
}

static void idle_close(const struct client *client, bool reset)
{
	const struct kit_relay_faults faults = { .idle_us = IDLE_US, .idle_reset = reset };
	struct trial trial = { .fixture = { .counts = true } };
	struct caller callers[CALLERS], all = { .ok = 0 };
	uint64_t once = 0, more = 0;
	pthread_t threads[CALLERS];

	if (!trial_open(&trial, client, &faults, true))
		return;
	for (uint32_t i = 0; i < CALLERS; i++) {
		callers[i] = (struct caller){ .trial = &trial,
					      .number = i,
					      .trials = peers_requests(TRIALS) / CALLERS };
		CHECK(pthread_create(&threads[i], NULL, call_at_the_end, &callers[i]) == 0);
	}
	for (uint32_t i = 0; i < CALLERS; i++) {
		pthread_join(threads[i], NULL);
		all.ok += callers[i].ok;
		all.failed += callers[i].failed;
		all.foreign += callers[i].foreign;
	}
	CHECK(client->executed(&trial.fixture, &once, &more));
	tap_note("%s by %s: %llu answered, %llu failed, %llu foreign, %llu idle connections "
		 "ended, %llu "
		 "executed twice",
		 client->name, reset ? "RST" : "FIN", (unsigned long long)all.ok,
		 (unsigned long long)all.failed, (unsigned long long)all.foreign,
		 (unsigned long long)kit_relay_counts(trial.fixture.relay).idled,
		 (unsigned long long)more);
	CHECK(all.foreign == 0 && more == 0 && once >= all.ok);
	CHECK(all.ok > 4 * all.failed); /* most ends are seen before the connection is used */
	trial_close(&trial);
}

void faults_idle_close(const struct client *client)
{
	idle_close(client, false);
	idle_close(client, true);
}

/* ---- unsolicited answers */

static void count_turn(struct kolk_call *call, void *user)
{
	kolk__atomic_u32 *ran = user;

	(void)call;
	kolk__add_acq_rel(ran, 1);
}

/* What came before is seen after this: each loop has taken whole turns. A busy machine may need longer
 * for them than any sleep. */
static void await_turns(const struct client_fixture *fixture)
{
	static struct kolk_call calls[CLIENT_LOOPS];
	static kolk__atomic_u32 ran;

	for (int turn = 0; turn < TURNS; turn++) {
		kolk__store_relaxed(&ran, 0);
		for (uint32_t i = 0; i < CLIENT_LOOPS; i++)
			CHECK_ERR(kolk_loop_call(kolk_engine_loop(fixture->engine, i), &calls[i],
						 count_turn, &ran), KOLK_OK);
		CHECK(WITHIN_MS(20000, kolk__load_acquire(&ran) == CLIENT_LOOPS));
	}
}

void faults_junk(const struct client *client)
{
	const struct kit_relay_faults faults = { .delay = 0 };
	struct trial trial = { .fixture = { .counts = false } };
	uint64_t ok = 0, failed = 0, lines_said = 0;

	if (!trial_open(&trial, client, &faults, true))
		return;
	trial.options.requests = ROUND;
	trial.options.cancel_percent = KOLK_NONE;
	trial.options.quiet = true;
	for (int i = 0; i < ROUNDS; i++) {
		trial.options.seed = peers_seed() + (uint64_t)i;
		if (!kit_nonce_run(client->name, &trial.options, &trial.counts))
			return;
		ok += trial.counts.ok;
		failed += trial.counts.failed;
		lines_said += kit_relay_say(trial.fixture.relay, client->junk, client->junk_size);
		usleep(NOTICE_US);
		await_turns(&trial.fixture);
	}
	tap_note("%s: %llu answered, %llu failed, %llu foreign answers came while idle, 0 were "
		 "delivered",
		 client->name, (unsigned long long)ok, (unsigned long long)failed,
		 (unsigned long long)lines_said);
	CHECK(lines_said >= ROUNDS);
	CHECK(failed < ok);
	trial_close(&trial);
}
