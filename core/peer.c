/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.c - learning from what dials and idle connections of a pool went through.
 */
#include <string.h>

#include "core/dial.h"
#include "core/release.h"

uint64_t kolk__back_off(struct kolk_pool *pool, uint32_t failures)
{
	uint64_t bound = kolk__setting(pool, retry_interval_ns);
	uint64_t most = kolk__setting(pool, retry_max_ns);

	for (uint32_t i = 0; i < failures && bound < most; i++)
		bound = bound < most / 2 ? bound * 2 : most;
	return 1 + kolk__random(pool->engine) % bound;
}

/* ---- the circuit (Nygard: Release It!, 2007): closed, open, half-open */

/* Of the endpoint, not of this machine, of one account or of our own changing of mind. */
static bool is_its_fault(enum kolk_err err)
{
	switch (err) {
	case KOLK_E_AUTH:
	case KOLK_E_CANCELLED:
	case KOLK_E_DRAINING:
	case KOLK_E_MEMORY:
	case KOLK_E_FILES:
	case KOLK_E_PORTS:
		return false;
	default:
		return true;
	}
}

bool kolk__peer_dial(struct kolk_pool *pool, uint64_t now_ns, bool *probe, uint64_t *retry_ns)
{
	struct kolk__peer *peer = &pool->peer;
	bool may;

	*probe = false;
	if (kolk__load_relaxed(&peer->state) == KOLK_CIRCUIT_CLOSED)
		return true;
	kolk__take_lock(pool->engine, &peer->lock);
	may = kolk__own(&peer->state) == KOLK_CIRCUIT_CLOSED ||
	      (now_ns >= kolk__own(&peer->until_ns) && !kolk__own(&peer->probing));
	if (may && kolk__own(&peer->state) != KOLK_CIRCUIT_CLOSED) {
		*probe = true;
		kolk__store_relaxed(&peer->probing, true);
		kolk__store_relaxed(&peer->state, KOLK_CIRCUIT_HALF_OPEN);
	}
	*retry_ns = now_ns < kolk__own(&peer->until_ns) ? kolk__own(&peer->until_ns) :
			    now_ns + kolk__setting(pool, retry_interval_ns);
	kolk__give_lock(pool->engine, &peer->lock);
	return may;
}

void kolk__peer_not_dialled(struct kolk_pool *pool, bool probe)
{
	struct kolk__peer *peer = &pool->peer;

	if (!probe)
		return;
	kolk__take_lock(pool->engine, &peer->lock);
	kolk__store_relaxed(&peer->probing, false);
	kolk__give_lock(pool->engine, &peer->lock);
}

static bool fails_too_often(const struct kolk_pool *pool)
{
	const struct kolk__peer *peer = &pool->peer;
	uint32_t limit = kolk__setting(pool, circuit_failures);
	uint32_t failed = (uint32_t)__builtin_popcount(peer->history);

	KOLK__HELD(&peer->lock);
	if (limit == 0) /* KOLK_NONE: no circuit */
		return false;
	return peer->failures >= limit ||
	       (peer->seen == KOLK__DIALS_SEEN &&
		failed * 100 >= KOLK__DIALS_SEEN * kolk__setting(pool, circuit_percent));
}

static void note(struct kolk__peer *peer, bool failed)
{
	KOLK__HELD(&peer->lock);
	peer->history = (peer->history << 1 | failed) & ((1u << KOLK__DIALS_SEEN) - 1);
	peer->seen += peer->seen < KOLK__DIALS_SEEN;
	peer->failures = failed ? peer->failures + 1 : 0;
	if (!failed)
		kolk__store_relaxed(&peer->doubted, false);
}

static void open_circuit(struct kolk_pool *pool, uint64_t now_ns)
{
	struct kolk__peer *peer = &pool->peer;

	KOLK__HELD(&peer->lock);
	kolk__store_relaxed(&peer->state, KOLK_CIRCUIT_OPEN);
	kolk__store_relaxed(&peer->until_ns,
			    now_ns + kolk__back_off(pool, peer->opened));
	peer->opened++;
}

static void close_circuit(struct kolk__peer *peer)
{
	KOLK__HELD(&peer->lock);
	kolk__store_relaxed(&peer->state, KOLK_CIRCUIT_CLOSED);
	kolk__store_relaxed(&peer->doubted, false);
	peer->history = peer->seen = peer->opened = peer->failures = 0;
}

bool kolk__peer_doubt(struct kolk_pool *pool, uint64_t began_ns, uint64_t now_ns)
{
	struct kolk__peer *peer = &pool->peer;
	bool counts;

	kolk__take_lock(pool->engine, &peer->lock);
	counts = began_ns >= peer->died_at_ns;
	if (counts)
		peer->died_at_ns = now_ns;
	kolk__store_relaxed(&peer->doubted, true);
	kolk__give_lock(pool->engine, &peer->lock);
	return counts;
}

void kolk__peer_forget(struct kolk_pool *pool)
{
	struct kolk__peer *peer = &pool->peer;

	kolk__take_lock(pool->engine, &peer->lock);
	close_circuit(peer);
	kolk__store_relaxed(&peer->probing, false);
	memset(peer->ages_ns, 0, sizeof peer->ages_ns);
	memset(peer->ended_ns, 0, sizeof peer->ended_ns);
	kolk__store_relaxed(&peer->idle_ns, 0);
	peer->suspected_at_ns = 0;
	kolk__give_lock(pool->engine, &peer->lock);
}

/* Dials that began before it opened may still fail after that: only the probe's end decides
 * then. Who answers at all, and be it with a refusal of the credentials, is there. */
bool kolk__peer_dialled(struct kolk_pool *pool, enum kolk_err err, bool probe, uint64_t now_ns)
{
	struct kolk__peer *peer = &pool->peer;
	bool failed = err != KOLK_OK && is_its_fault(err);
	bool opened = false, closed = false;

	KOLK__NO_LOCK();
	kolk__take_lock(pool->engine, &peer->lock);
	if (probe)
		kolk__store_relaxed(&peer->probing, false);
	if (failed || err == KOLK_OK)
		note(peer, failed);
	if (failed && (kolk__own(&peer->state) == KOLK_CIRCUIT_CLOSED ? fails_too_often(pool) :
									probe)) {
		opened = kolk__own(&peer->state) == KOLK_CIRCUIT_CLOSED;
		open_circuit(pool, now_ns);
	}
	if ((err == KOLK_OK || err == KOLK_E_AUTH) &&
	    kolk__own(&peer->state) != KOLK_CIRCUIT_CLOSED) {
		closed = true;
		close_circuit(peer);
	}
	kolk__give_lock(pool->engine, &peer->lock);
	if (opened)
		kolk__log(pool->engine, KOLK_LOG_WARN, "dial", "pool %s: the circuit is open",
			  pool->name);
	if (closed)
		kolk__log(pool->engine, KOLK_LOG_INFO, "dial", "pool %s: the circuit is closed",
			  pool->name);
	return closed;
}

bool kolk__peer_refuses(const struct kolk_pool *pool, uint64_t now_ns)
{
	const struct kolk__peer *peer = &pool->peer;

	return kolk__load_relaxed(&peer->state) != KOLK_CIRCUIT_CLOSED &&
	       (kolk__load_relaxed(&peer->probing) ||
		now_ns < kolk__load_relaxed(&peer->until_ns));
}

/* ---- how long the peer keeps idle connections */

#define LEARNED_FOR_NS (10 * 60 * KOLK_S_NS) /* then it may show again that it still does so */
#define AGE_MIN_NS (100 * KOLK_MS_NS)        /* below it is no time-out, but a peer that leaves */

/* Three in a row of the same age within a tenth, and not closed at one moment (a restart). */
static uint64_t common_age(const struct kolk__peer *peer)
{
	uint64_t low = peer->ages_ns[0], high = low;

	KOLK__HELD(&peer->lock);
	for (int i = 1; i < KOLK__AGES; i++) {
		uint64_t age_ns = peer->ages_ns[i];
		uint64_t newer_ns = peer->ended_ns[i - 1], older_ns = peer->ended_ns[i];

		/* Loops tell of one moment in any order. */
		if (newer_ns < older_ns || newer_ns - older_ns < age_ns / 10)
			return 0;
		low = age_ns < low ? age_ns : low;
		high = age_ns > high ? age_ns : high;
	}
	return low >= AGE_MIN_NS && high - low <= low / 10 ? low : 0;
}

uint64_t kolk__peer_learned_ns(const struct kolk_pool *pool)
{
	uint64_t peer_ns = kolk__load_relaxed(&pool->peer.idle_ns);

	return peer_ns != 0 && kolk__load_relaxed(&pool->peer.learned_at_ns) + LEARNED_FOR_NS >=
				       kolk__now(pool->engine) ? peer_ns : 0;
}

/* A margin for the way of our next request and of its FIN. Under lock. True when it is clearly
 * less than what was known. */
static bool learned(struct kolk_pool *pool, uint64_t idle_ns, uint64_t now_ns)
{
	struct kolk__peer *peer = &pool->peer;
	uint64_t before_ns = kolk__peer_learned_ns(pool);

	KOLK__HELD(&peer->lock);
	kolk__store_relaxed(&peer->idle_ns, idle_ns - idle_ns / 8);
	kolk__store_relaxed(&peer->learned_at_ns, now_ns);
	return before_ns == 0 || kolk__own(&peer->idle_ns) < before_ns - before_ns / 8;
}

/* Alarms of connections that are there are armed for what was known when they last fired. */
static void look_earlier_at(struct kolk_key *key, uint64_t due_ns)
{
	const struct kolk__table *table = kolk__own(&key->table);

	KOLK__HELD(&key->lock);
	for (uint32_t i = 0; table != NULL && i < kolk__own(&table->used); i++) {
		struct kolk__conn *conn = kolk__own(&table->entry[i]);
		enum kolk__state state = conn == NULL ? KOLK__FREE :
				       kolk__conn_state(conn);

		if (kolk__is_ready(state))
			kolk__alarm_arm(key->engine, &conn->alarm, due_ns);
	}
}

static void look_earlier(struct kolk_pool *pool, uint64_t now_ns)
{
	struct kolk_engine *engine = pool->engine;
	uint64_t due_ns = now_ns + kolk__load_relaxed(&pool->peer.idle_ns) / 8;

	KOLK__NO_LOCK();
	kolk__take_lock(engine, &pool->lock);
	for (struct kolk_key *key = pool->keys; key != NULL; key = key->list_next) {
		kolk__take_lock(engine, &key->lock);
		look_earlier_at(key, due_ns);
		kolk__give_lock(engine, &key->lock);
	}
	kolk__give_lock(engine, &pool->lock);
}

void kolk__peer_told(struct kolk_pool *pool, uint64_t idle_ns, uint64_t now_ns)
{
	struct kolk__peer *peer = &pool->peer;
	bool less;

	kolk__take_lock(pool->engine, &peer->lock);
	less = learned(pool, idle_ns, now_ns);
	kolk__give_lock(pool->engine, &peer->lock);
	if (less)
		look_earlier(pool, now_ns);
}

void kolk__peer_idled(struct kolk_pool *pool, uint64_t age_ns, uint64_t now_ns)
{
	struct kolk__peer *peer = &pool->peer;
	uint64_t common_ns;
	bool less;

	kolk__take_lock(pool->engine, &peer->lock);
	for (int i = KOLK__AGES - 1; i > 0; i--) {
		peer->ages_ns[i] = peer->ages_ns[i - 1];
		peer->ended_ns[i] = peer->ended_ns[i - 1];
	}
	peer->ages_ns[0] = age_ns;
	peer->ended_ns[0] = now_ns;
	common_ns = common_age(peer);
	less = common_ns != 0 && learned(pool, common_ns, now_ns);
	kolk__give_lock(pool->engine, &peer->lock);
	if (less)
		look_earlier(pool, now_ns);
}

uint64_t kolk__peer_idle_ns(const struct kolk_pool *pool, bool *peers)
{
	uint64_t own_ns = kolk__setting(pool, idle_timeout_ns);
	uint64_t peer_ns = kolk__peer_learned_ns(pool);

	*peers = peer_ns != 0 && peer_ns < own_ns;
	return *peers ? peer_ns : own_ns;
}

/* ---- suspicion */

#define SUSPECT_AGAIN_NS (100 * KOLK_MS_NS)

static bool suspect_now(struct kolk_pool *pool, uint64_t now_ns)
{
	struct kolk__peer *peer = &pool->peer;
	bool now;

	kolk__take_lock(pool->engine, &peer->lock);
	now = peer->suspected_at_ns == 0 ||
	      now_ns - peer->suspected_at_ns >= SUSPECT_AGAIN_NS;
	if (now)
		peer->suspected_at_ns = now_ns;
	kolk__give_lock(pool->engine, &peer->lock);
	return now;
}

static void ping_idle(struct kolk_key *key, uint64_t now_ns)
{
	const struct kolk__table *table = kolk__own(&key->table);

	KOLK__HELD(&key->lock);
	for (uint32_t i = 0; table != NULL && i < kolk__own(&table->used); i++) {
		struct kolk__conn *conn = kolk__own(&table->entry[i]);

		if (conn == NULL || kolk__conn_take(conn, KOLK__PINGING) == 0)
			continue;
		kolk__store_relaxed(&conn->pinged_at_ns, now_ns);
		kolk__ping(conn);
	}
}

void kolk__peer_suspect(struct kolk_pool *pool, uint64_t now_ns)
{
	struct kolk_engine *engine = pool->engine;

	KOLK__NO_LOCK();
	if (kolk__setting(pool, ping_interval_ns) == KOLK_FOREVER ||
	    !suspect_now(pool, now_ns))
		return;
	kolk__take_lock(engine, &pool->lock);
	for (struct kolk_key *key = pool->keys; key != NULL; key = key->list_next) {
		kolk__take_lock(engine, &key->lock);
		ping_idle(key, now_ns);
		kolk__give_lock(engine, &key->lock);
	}
	kolk__give_lock(engine, &pool->lock);
}
