/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.c - endpoint health: what a pool learns from its dials and idle connections.
 */
#include <string.h>

#include "core/conn_table.h"
#include "core/dial.h"
#include "core/event.h"
#include "core/pool.h"
#include "core/release.h"

uint64_t kolk__back_off_ns(struct kolk_pool *pool, uint32_t failures)
{
	uint64_t bound = kolk__setting(pool, retry_interval_ns);
	uint64_t most = kolk__setting(pool, retry_max_ns);

	for (uint32_t i = 0; i < failures && bound < most; i++)
		bound = bound < most / 2 ? bound * 2 : most;
	return 1 + kolk__random(pool->engine) % bound;
}

/* ---- the circuit (Nygard: Release It!, 2007): closed, open, half-open */

/* Is the endpoint to blame? Not for errors of this machine, of one account, of a dial that the pool
 * gave up, or of limits of the pools that a resource draws from. */
static bool is_its_fault(enum kolk_err err)
{
	switch (err) {
	case KOLK_E_AUTH:
	case KOLK_E_CANCELLED:
	case KOLK_E_DEADLINE:
	case KOLK_E_DRAINING:
	case KOLK_E_LIMIT:
	case KOLK_E_MEMORY:
	case KOLK_E_QUEUE_FULL:
	case KOLK_E_FILES:
	case KOLK_E_PORTS:
		return false;
	default:
		return true;
	}
}

bool kolk__health_may_dial(struct kolk_pool *pool, uint64_t now_ns, bool *trial, uint64_t *retry_ns)
{
	struct kolk__health *health = &pool->health;
	bool may;

	*trial = false;
	if (kolk__load_relaxed(&health->state) == KOLK_CIRCUIT_CLOSED)
		return true;
	kolk__take_lock(pool->engine, &health->lock);
	may = kolk__own(&health->state) == KOLK_CIRCUIT_CLOSED ||
	      (now_ns >= kolk__own(&health->until_ns) && !kolk__own(&health->trial_dialing));
	if (may && kolk__own(&health->state) != KOLK_CIRCUIT_CLOSED) {
		*trial = true;
		kolk__store_relaxed(&health->trial_dialing, true);
		kolk__store_relaxed(&health->state, KOLK_CIRCUIT_HALF_OPEN);
	}
	*retry_ns = now_ns < kolk__own(&health->until_ns) ? kolk__own(&health->until_ns) :
			    now_ns + kolk__setting(pool, retry_interval_ns);
	kolk__give_lock(pool->engine, &health->lock);
	return may;
}

void kolk__health_not_dialled(struct kolk_pool *pool, bool trial)
{
	struct kolk__health *health = &pool->health;

	if (!trial)
		return;
	kolk__take_lock(pool->engine, &health->lock);
	kolk__store_relaxed(&health->trial_dialing, false);
	kolk__give_lock(pool->engine, &health->lock);
}

static bool fails_too_often(const struct kolk_pool *pool)
{
	const struct kolk__health *health = &pool->health;
	uint32_t limit = kolk__setting(pool, circuit_failures);
	uint32_t failed = (uint32_t)__builtin_popcount(health->history);

	KOLK__HELD(&health->lock);
	if (limit == 0) /* KOLK_NONE: no circuit */
		return false;
	return health->failures >= limit ||
	       (health->seen == KOLK__DIALS_SEEN &&
		failed * 100 >= KOLK__DIALS_SEEN * kolk__setting(pool, circuit_percent));
}

static void record_dial(struct kolk__health *health, bool failed)
{
	KOLK__HELD(&health->lock);
	health->history = (health->history << 1 | failed) & ((1u << KOLK__DIALS_SEEN) - 1);
	health->seen += health->seen < KOLK__DIALS_SEEN;
	health->failures = failed ? health->failures + 1 : 0;
	if (!failed)
		kolk__store_relaxed(&health->probation, false);
}

static void open_circuit(struct kolk_pool *pool, uint64_t now_ns)
{
	struct kolk__health *health = &pool->health;

	KOLK__HELD(&health->lock);
	kolk__store_relaxed(&health->state, KOLK_CIRCUIT_OPEN);
	kolk__store_relaxed(&health->until_ns,
			    now_ns + kolk__back_off_ns(pool, health->opened));
	health->opened++;
}

static void close_circuit(struct kolk__health *health)
{
	KOLK__HELD(&health->lock);
	kolk__store_relaxed(&health->state, KOLK_CIRCUIT_CLOSED);
	kolk__store_relaxed(&health->probation, false);
	health->history = health->seen = health->opened = health->failures = 0;
}

bool kolk__health_closed_early(struct kolk_pool *pool, uint64_t began_ns, uint64_t now_ns)
{
	struct kolk__health *health = &pool->health;
	bool counts;

	kolk__take_lock(pool->engine, &health->lock);
	counts = began_ns >= health->early_close_at_ns;
	if (counts)
		health->early_close_at_ns = now_ns;
	kolk__store_relaxed(&health->probation, true);
	kolk__give_lock(pool->engine, &health->lock);
	return counts;
}

void kolk__health_reset(struct kolk_pool *pool)
{
	struct kolk__health *health = &pool->health;

	kolk__take_lock(pool->engine, &health->lock);
	close_circuit(health);
	kolk__store_relaxed(&health->trial_dialing, false);
	memset(health->ages_ns, 0, sizeof health->ages_ns);
	memset(health->ended_ns, 0, sizeof health->ended_ns);
	kolk__store_relaxed(&health->idle_ns, 0);
	health->suspected_at_ns = 0;
	kolk__give_lock(pool->engine, &health->lock);
}

/* Dials that began before the circuit opened may still fail afterwards: then only the result of the
 * trial decides. A peer that answers is there, even if it refuses the credentials. */
bool kolk__health_dialled(struct kolk_pool *pool, enum kolk_err err, bool trial, uint64_t now_ns)
{
	struct kolk__health *health = &pool->health;
	bool failed = err != KOLK_OK && is_its_fault(err);
	bool opened = false, closed = false;

	KOLK__NO_LOCK();
	kolk__take_lock(pool->engine, &health->lock);
	if (trial)
		kolk__store_relaxed(&health->trial_dialing, false);
	if (failed || err == KOLK_OK)
		record_dial(health, failed);
	if (failed && (kolk__own(&health->state) == KOLK_CIRCUIT_CLOSED ? fails_too_often(pool) :
									trial)) {
		opened = kolk__own(&health->state) == KOLK_CIRCUIT_CLOSED;
		open_circuit(pool, now_ns);
	}
	if ((err == KOLK_OK || err == KOLK_E_AUTH) &&
	    kolk__own(&health->state) != KOLK_CIRCUIT_CLOSED) {
		closed = true;
		close_circuit(health);
	}
	kolk__give_lock(pool->engine, &health->lock);
	if (opened)
		kolk__log(pool->engine, KOLK_LOG_WARN, "dial", "pool %s: the circuit is open",
			  pool->name);
	if (closed)
		kolk__log(pool->engine, KOLK_LOG_INFO, "dial", "pool %s: the circuit is closed",
			  pool->name);
	return closed;
}

bool kolk__health_refuses(const struct kolk_pool *pool, uint64_t now_ns)
{
	const struct kolk__health *health = &pool->health;

	return kolk__load_relaxed(&health->state) != KOLK_CIRCUIT_CLOSED &&
	       (kolk__load_relaxed(&health->trial_dialing) ||
		now_ns < kolk__load_relaxed(&health->until_ns));
}

/* ---- how long the peer keeps idle connections */

#define LEARNED_FOR_NS (10 * 60 * KOLK_S_NS) /* then the peer has to show it again */
#define AGE_MIN_NS (100 * KOLK_MS_NS)        /* a shorter age is a peer that fails, no time-out */

/* The age of the last three, if it is the same within a tenth and they were not closed at one
 * moment (a restart); otherwise 0. */
static uint64_t common_age(const struct kolk__health *health)
{
	uint64_t low = health->ages_ns[0], high = low;

	KOLK__HELD(&health->lock);
	for (int i = 1; i < KOLK__AGES; i++) {
		uint64_t age_ns = health->ages_ns[i];
		uint64_t newer_ns = health->ended_ns[i - 1], older_ns = health->ended_ns[i];

		/* Loops report what happened at one moment in any order. */
		if (newer_ns < older_ns || newer_ns - older_ns < age_ns / 10)
			return 0;
		low = age_ns < low ? age_ns : low;
		high = age_ns > high ? age_ns : high;
	}
	return low >= AGE_MIN_NS && high - low <= low / 10 ? low : 0;
}

uint64_t kolk__health_learned_idle_ns(const struct kolk_pool *pool)
{
	uint64_t peer_ns = kolk__load_relaxed(&pool->health.idle_ns);

	return peer_ns != 0 && kolk__load_relaxed(&pool->health.learned_at_ns) + LEARNED_FOR_NS >=
				       kolk__now(pool->engine) ? peer_ns : 0;
}

/* Keep a margin for the time that a request and the peer's FIN travel. Under lock. Return whether
 * the time is clearly less than what was known. */
static bool learned(struct kolk_pool *pool, uint64_t idle_ns, uint64_t now_ns)
{
	struct kolk__health *health = &pool->health;
	uint64_t before_ns = kolk__health_learned_idle_ns(pool);

	KOLK__HELD(&health->lock);
	kolk__store_relaxed(&health->idle_ns, idle_ns - idle_ns / 8);
	kolk__store_relaxed(&health->learned_at_ns, now_ns);
	return before_ns == 0 || kolk__own(&health->idle_ns) < before_ns - before_ns / 8;
}

/* Call run for each key, with a slice of its connections, under key.lock. */
static void each_key(struct kolk_pool *pool,
		     void (*run)(struct kolk__walk *walk, struct kolk_key *key, uint64_t ns),
		     uint64_t ns)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk__walk walk;
	struct kolk_key *key;

	KOLK__NO_LOCK();
	kolk__walk_begin(&walk, pool);
	while (kolk__walk_lock(&walk)) {
		while ((key = kolk__walk_key(&walk)) != NULL) {
			kolk__take_lock(engine, &key->lock);
			run(&walk, key, ns);
			kolk__give_lock(engine, &key->lock);
		}
		kolk__walk_unlock(&walk);
	}
}

/* The alarms of open connections are armed for the time that was known when they last fired. */
static void rearm_key_alarms(struct kolk__walk *walk, struct kolk_key *key, uint64_t due_ns)
{
	struct kolk__conn *conn;

	KOLK__HELD(&key->lock);
	while ((conn = kolk__walk_conn(walk, key)) != NULL)
		if (kolk__is_ready(kolk__conn_state(conn)))
			kolk__conn_alarm_arm(key->engine, conn, due_ns);
}

static void rearm_alarms(struct kolk_pool *pool, uint64_t now_ns)
{
	each_key(pool, rearm_key_alarms, now_ns + kolk__load_relaxed(&pool->health.idle_ns) / 8);
}

void kolk__health_idle_announced(struct kolk_pool *pool, uint64_t idle_ns, uint64_t now_ns)
{
	struct kolk__health *health = &pool->health;
	bool less;

	kolk__take_lock(pool->engine, &health->lock);
	less = learned(pool, idle_ns, now_ns);
	kolk__give_lock(pool->engine, &health->lock);
	if (less)
		rearm_alarms(pool, now_ns);
}

void kolk__health_idle_closed(struct kolk_pool *pool, uint64_t age_ns, uint64_t now_ns)
{
	struct kolk__health *health = &pool->health;
	uint64_t common_ns;
	bool less;

	kolk__take_lock(pool->engine, &health->lock);
	for (int i = KOLK__AGES - 1; i > 0; i--) {
		health->ages_ns[i] = health->ages_ns[i - 1];
		health->ended_ns[i] = health->ended_ns[i - 1];
	}
	health->ages_ns[0] = age_ns;
	health->ended_ns[0] = now_ns;
	common_ns = common_age(health);
	less = common_ns != 0 && learned(pool, common_ns, now_ns);
	kolk__give_lock(pool->engine, &health->lock);
	if (less)
		rearm_alarms(pool, now_ns);
}

uint64_t kolk__health_idle_ns(const struct kolk_pool *pool, bool *by_peer)
{
	uint64_t own_ns = kolk__setting(pool, idle_timeout_ns);
	uint64_t peer_ns = kolk__health_learned_idle_ns(pool);

	*by_peer = peer_ns != 0 && peer_ns < own_ns;
	return *by_peer ? peer_ns : own_ns;
}

/* ---- suspicion */

#define SUSPECT_AGAIN_NS (100 * KOLK_MS_NS)

static bool suspect_now(struct kolk_pool *pool, uint64_t now_ns)
{
	struct kolk__health *health = &pool->health;
	bool now;

	kolk__take_lock(pool->engine, &health->lock);
	now = health->suspected_at_ns == 0 ||
	      now_ns - health->suspected_at_ns >= SUSPECT_AGAIN_NS;
	if (now)
		health->suspected_at_ns = now_ns;
	kolk__give_lock(pool->engine, &health->lock);
	return now;
}

static void ping_idle(struct kolk__walk *walk, struct kolk_key *key, uint64_t now_ns)
{
	struct kolk__conn *conn;

	KOLK__HELD(&key->lock);
	while ((conn = kolk__walk_conn(walk, key)) != NULL) {
		if (!kolk__take_to_ping(conn))
			continue;
		kolk__store_relaxed(&conn->pinged_at_ns, now_ns);
		kolk__ping(conn);
	}
}

void kolk__health_suspect(struct kolk_pool *pool, uint64_t now_ns)
{
	KOLK__NO_LOCK();
	if (kolk__setting(pool, ping_interval_ns) != KOLK_FOREVER && suspect_now(pool, now_ns))
		each_key(pool, ping_idle, now_ns);
}
