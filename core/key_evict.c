/* SPDX-License-Identifier: Apache-2.0 */
/* key_evict.c - keys are many: the one that nobody has held for the longest time goes. */
#include "core/effects.h"
#include "core/identity.h"
#include "core/key_life.h"
#include "core/release.h"

/* Is one of its connections more than closing? Idle ones count when they were leased a moment ago:
 * by somebody who looks the key up each time (kolk_acquire_as). Under key.lock. */
static bool is_used(const struct kolk_key *key, uint64_t now_ns)
{
	const struct kolk__table *table = kolk__own(&key->table);

	KOLK__HELD(&key->lock);
	for (uint32_t i = 0; table != NULL && i < kolk__own(&table->used); i++) {
		const struct kolk__conn *conn = kolk__own(&table->entry[i]);
		enum kolk__state state = conn == NULL ? KOLK__FREE :
				       kolk__conn_state(conn);

		if (state == KOLK__IDLE ?
			    now_ns - kolk__load_relaxed(&conn->idle_since_ns) < KOLK_S_NS :
			    state != KOLK__FREE && state != KOLK__CLOSING)
			return true;
	}
	return false;
}

/* Close what it has; it goes with its last connection. Somebody may have opened it again
 * meanwhile: then it dials anew. False = it was used lately and gets another chance, or somebody
 * has a lease: it stands behind the others again. */
static bool try_reclaim(struct kolk_key *key, uint64_t now_ns, bool chance)
{
	struct kolk_engine *engine = key->engine;
	KOLK__EFFECTS(effects);
	struct kolk__conn *conn;
	uint64_t word;
	bool stays;

	KOLK__NO_LOCK();
	kolk__key_lock(key, &effects, now_ns);
	stays = chance && is_used(key, now_ns);
	while (!stays && kolk__load_relaxed(&key->handles) == 0 &&
	       (conn = kolk__shelf_take(key, KOLK__CLOSING, &word)) != NULL)
		kolk__retire(conn, KOLK_REASON_RECLAIMED);
	stays = stays || is_used(key, now_ns);
	if (stays && key->identity != NULL && kolk__load_relaxed(&key->handles) == 0) {
		kolk__take_lock(engine, &engine->ledger);
		kolk__key_park(key);
		kolk__give_lock(engine, &engine->ledger);
	}
	effects.todo |= stays ? 0 : KOLK__UNUSED;
	kolk__key_unlock(&effects);
	return !stays;
}

/* The clock algorithm (Corbato, 1968), with so many chances at most. */
enum { CHANCES = 8 };

static void reclaim(struct kolk_engine *engine, const struct kolk__tenant *tenant)
{
	uint64_t now_ns = kolk__now(engine);
	struct kolk_key *key;

	for (int i = CHANCES; i >= 0; i--) {
		key = kolk__key_parked_pop(engine, tenant);
		if (key == NULL || try_reclaim(key, now_ns, i > 0))
			return;
	}
}

void kolk__keys_keep_few(struct kolk_engine *engine, struct kolk__tenant *tenant)
{
	uint32_t count = kolk__load_relaxed(&engine->key_count);

	KOLK__NO_LOCK();
	if (count >= engine->keys_max - engine->keys_max / 16)
		reclaim(engine, NULL);
	if (tenant != NULL && kolk__tenant_nearly_full(engine, tenant))
		reclaim(engine, tenant);
}

void kolk__keys_keep_few_of(struct kolk_engine *engine, const struct kolk__identity *id)
{
	struct kolk__tenant *tenant =
		kolk__tenant_find(engine, (const char *)id->bytes + 1);

	kolk__keys_keep_few(engine, tenant);
	if (tenant != NULL)
		kolk__tenant_unref(engine, tenant);
}
