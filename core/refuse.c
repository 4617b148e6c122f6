/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refuse.c - count callers that get no connection, by reason: in their key, tenant and pool.
 */
#include "core/refuse.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/container.h"
#include "core/event.h"
#include "core/pool.h"

enum kolk_refusal kolk__refusal_of(enum kolk_err err)
{
	switch (err) {
	case KOLK_E_CIRCUIT:
		return KOLK_REFUSAL_CIRCUIT;
	case KOLK_E_AUTH:
		return KOLK_REFUSAL_ACCOUNT;
	case KOLK_E_DEADLINE:
		return KOLK_REFUSAL_DEADLINE;
	case KOLK_E_QUEUE_FULL:
		return KOLK_REFUSAL_QUEUE_FULL;
	case KOLK_E_DRAINING:
		return KOLK_REFUSAL_DRAINING;
	case KOLK_E_ROTATED:
		return KOLK_REFUSAL_ROTATED;
	default:
		return KOLK_REFUSAL_DIAL_FAILED;
	}
}

enum kolk_refusal kolk__refusal_of_wait(const struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	enum kolk_refusal why = KOLK_REFUSAL_TIMEOUT;

	KOLK__HELD(&key->lock);
	if (kolk__own(&key->open) >= kolk__setting(kolk__own(&key->pool), connections_max))
		return KOLK_REFUSAL_KEY_LIMIT;
	kolk__take_lock(engine, &engine->accounting);
	if (kolk__own(&key->permit_queue) == &kolk__own(&key->account)->limit.queue)
		why = KOLK_REFUSAL_TENANT_LIMIT;
	else if (kolk__own(&key->permit_queue) == &kolk__own(&key->pool)->limit.queue)
		why = KOLK_REFUSAL_POOL_LIMIT;
	else if (kolk__own(&key->permit_queue) != NULL)
		why = KOLK_REFUSAL_ENGINE_LIMIT;
	kolk__give_lock(engine, &engine->accounting);
	return why;
}

/* Allocated at the first refusal, like a key's counters: most tenants never have one. */
static kolk__atomic_u64 *counts_of(struct kolk_engine *engine, struct kolk__tenant *tenant)
{
	static kolk__atomic_u64 lost[KOLK_REFUSALS]; /* out of memory */
	const size_t size = sizeof lost;
	kolk__atomic_u64 *counts = kolk__load_acquire(&tenant->refused); /* COUNTS.A1 <- COUNTS.R1 */
	kolk__atomic_u64 *expected = NULL;

	if (counts != NULL)
		return counts;
	counts = kolk__allocate(engine, size);
	if (counts == NULL)
		return lost;
	if (kolk__cas_acq_rel(&tenant->refused, &expected, counts)) /* COUNTS.R1 -> COUNTS.A1 */
		return counts;
	kolk__deallocate(engine, counts, size);
	return expected;
}

static void count_above_key(struct kolk_pool *pool, struct kolk__tenant *tenant,
			    enum kolk_refusal why)
{
	if (tenant != NULL)
		kolk__add_relaxed(&counts_of(pool->engine, tenant)[why], 1);
	kolk__add_relaxed(&pool->refused[why], 1);
	/* relaxed: a refusal that maintenance does not see yet is logged with the next one */
	if (kolk__load_relaxed(&pool->refused_armed) == 0 &&
	    kolk__exchange_acq_rel(&pool->refused_armed, 1) == 0)
		kolk__alarm_arm(pool->engine, &pool->refused_alarm,
				kolk__load_relaxed(&pool->refused_log_at_ns));
}

void kolk__count_refused(struct kolk_key *key, enum kolk_err err)
{
	enum kolk_refusal why = kolk__refusal_of(err);

	KOLK__HELD(&key->lock);
	kolk__count_refusal(key->engine, kolk__key_counters(key), why, false);
	count_above_key(kolk__own(&key->pool), kolk__tenant_of(key), why);
}

void kolk__count_timed_out(struct kolk_key *key)
{
	enum kolk_refusal why = kolk__refusal_of_wait(key);

	KOLK__HELD(&key->lock);
	kolk__count_refusal(key->engine, kolk__key_counters(key), why, true);
	count_above_key(kolk__own(&key->pool), kolk__tenant_of(key), why);
}

void kolk__refused_open(struct kolk_pool *pool, const char *name, enum kolk_refusal why)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk__tenant *tenant = kolk__tenant_find(engine, name);

	KOLK__HELD(&pool->lock);
	kolk__count_refusal(engine, &pool->retired, why, false);
	count_above_key(pool, tenant, why);
	if (tenant != NULL)
		kolk__tenant_unref(engine, tenant);
}

/* ---- the log: a line per pool and reason in ten seconds, written by maintenance */

#define LOG_AGAIN_NS (10 * KOLK_S_NS)

static void log_one(struct kolk_pool *pool, const char *name, enum kolk_refusal why)
{
	uint64_t count = kolk__load_relaxed(&pool->refused[why]);
	uint64_t more = count - pool->refused_logged[why];

	pool->refused_logged[why] = count;
	if (more != 0)
		kolk__log(pool->engine, KOLK_LOG_WARN, "acquire",
			  "pool %s: callers refused: %" PRIu64 ": %s", name, more,
			  kolk_refusal_text(why));
}

/* Since the alarm was armed the pool may have been closed, and its memory be another pool's: the
 * counts go on there, so none is lost, but they are logged under the newer name. */
void kolk__refusals_fire(struct kolk__alarm *alarm, uint64_t now_ns)
{
	struct kolk_pool *pool = kolk__container_of(alarm, struct kolk_pool, refused_alarm);
	char name[sizeof pool->name];

	KOLK__NO_LOCK();
	kolk__take_lock(pool->engine, &pool->lock);
	memcpy(name, pool->name, sizeof name);
	kolk__store_relaxed(&pool->refused_log_at_ns, now_ns + LOG_AGAIN_NS);
	kolk__give_lock(pool->engine, &pool->lock);
	kolk__exchange_acq_rel(&pool->refused_armed, 0); /* what comes now arms it again */
	for (int why = 0; why < KOLK_REFUSALS; why++)
		log_one(pool, name, (enum kolk_refusal)why);
}
