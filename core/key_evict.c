/* SPDX-License-Identifier: Apache-2.0 */
/* key_evict.c - too many keys: the one that has been unreferenced for the longest time is freed. */
#include "core/conn_table.h"
#include "core/effects.h"
#include "core/identity.h"
#include "core/idle.h"
#include "core/idle_list.h"
#include "core/key_life.h"
#include "core/release.h"

/* Does it have a connection that is more than closing? Idle ones count when they were leased a
 * moment ago: by a caller that looks the key up each time (kolk_acquire_as). Under key.lock. */
static bool is_used(const struct kolk_key *key, uint64_t now_ns)
{
	const struct kolk__conn *conn;

	KOLK__HELD(&key->lock);
	KOLK__EACH_CONN(key, conn) {
		enum kolk__state state = kolk__conn_state(conn);

		if (state == KOLK__IDLE ?
			    now_ns - kolk__load_relaxed(&conn->idle_since_ns) < KOLK_S_NS :
			    state != KOLK__FREE && state != KOLK__CLOSING)
			return true;
	}
	return false;
}

/* Close its connections; it goes with the last one. If it was opened again meanwhile, it dials
 * anew. False = it was used lately and gets another chance, or a connection is leased: it is the
 * most recently used again. */
static bool try_evict_key(struct kolk_key *key, uint64_t now_ns, bool chance)
{
	struct kolk_engine *engine = key->engine;
	KOLK__EFFECTS(effects);
	struct kolk__conn *conn;
	uint64_t word;
	bool stays;

	KOLK__NO_LOCK();
	kolk__key_lock(key, &effects, now_ns);
	stays = chance && is_used(key, now_ns);
	while (!stays && kolk__load_relaxed(&key->refs) == 0 &&
	       (conn = kolk__take_idle(key, KOLK__CLOSING, &word)) != NULL)
		kolk__retire(conn, KOLK_REASON_RECLAIMED);
	stays = stays || is_used(key, now_ns) || kolk__may_have_idle(key);
	if (stays && key->identity != NULL && kolk__load_relaxed(&key->refs) == 0) {
		kolk__take_lock(engine, &engine->accounting);
		kolk__key_lru_add(key);
		kolk__give_lock(engine, &engine->accounting);
	}
	effects.todo |= stays ? 0 : KOLK__UNUSED;
	kolk__key_unlock(&effects);
	return !stays;
}

/* The clock algorithm (Corbato, 1968), with so many chances at most. */
enum { CHANCES = 8 };

static void evict_unreferenced(struct kolk_engine *engine, const struct kolk__tenant *tenant)
{
	uint64_t now_ns = kolk__now(engine);
	struct kolk_key *key;

	for (int i = CHANCES; i >= 0; i--) {
		key = kolk__key_lru_pop(engine, tenant);
		if (key == NULL || try_evict_key(key, now_ns, i > 0))
			return;
	}
}

void kolk__keys_trim(struct kolk_engine *engine, struct kolk__tenant *tenant)
{
	uint32_t count = kolk__load_relaxed(&engine->key_count);

	KOLK__NO_LOCK();
	if (count >= engine->keys_max - engine->keys_max / 16)
		evict_unreferenced(engine, NULL);
	if (tenant != NULL && kolk__tenant_nearly_full(engine, tenant))
		evict_unreferenced(engine, tenant);
}

void kolk__keys_trim_for(struct kolk_engine *engine, const struct kolk__identity *id)
{
	struct kolk__tenant *tenant =
		kolk__tenant_find(engine, (const char *)id->bytes + 1);

	kolk__keys_trim(engine, tenant);
	if (tenant != NULL)
		kolk__tenant_unref(engine, tenant);
}
