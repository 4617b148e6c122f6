/* SPDX-License-Identifier: Apache-2.0 */
/* key_evict.c - too many keys: the one that has been unreferenced for the longest time is freed. */
#include "core/conn_table.h"
#include "core/effects.h"
#include "core/identity.h"
#include "core/key_life.h"
#include "core/pool.h"
#include "core/release.h"

struct attempt {
	uint64_t now_ns;
	bool closes; /* closes idle connections; false = it only looks */
	bool stays;  /* the key */
};

/* Does this connection keep its key? Not if it is closing. When the attempt only looks, an idle one
 * does if it was leased within the last second, by a caller that looks the key up each time
 * (kolk_acquire_as). When it closes, one that is idle now does, since it was leased a moment ago,
 * when it could not be taken. */
static bool is_used(const struct attempt *attempt, const struct kolk__conn *conn)
{
	enum kolk__state state = kolk__conn_state(conn);

	if (state == KOLK__IDLE && !attempt->closes)
		return kolk__load_relaxed(&conn->idle_since_ns) + KOLK_S_NS > attempt->now_ns;
	return state != KOLK__FREE && state != KOLK__CLOSING;
}

static void stay(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;

	KOLK__HELD(&key->lock);
	kolk__take_lock(engine, &engine->accounting);
	kolk__key_lru_add(key); /* unless it has a reference */
	kolk__give_lock(engine, &engine->accounting);
}

static void attempt_part(void *context, struct kolk__walk *walk, struct kolk_key *key,
			 struct kolk__effects *effects)
{
	struct attempt *attempt = context;
	struct kolk__conn *conn;

	attempt->stays = kolk__load_relaxed(&key->refs) != 0;
	while (!attempt->stays && (conn = kolk__walk_conn(walk, key)) != NULL) {
		if (attempt->closes && kolk__conn_take(conn, KOLK__CLOSING))
			kolk__retire(conn, KOLK_REASON_RECLAIMED);
		else
			attempt->stays = is_used(attempt, conn);
	}
	if (attempt->stays) {
		stay(key);
		kolk__walk_end(walk);
	} else if (attempt->closes && !walk->inside) {
		effects->todo |= KOLK__UNUSED;
	}
}

/* True = the key stays. The caller has no reference to it: it may be freed at any time. */
static bool attempt_run(struct kolk_key *key, uint64_t now_ns, bool closes)
{
	struct attempt attempt = { .now_ns = now_ns, .closes = closes };
	struct kolk__walk walk;

	kolk__walk_begin_key(&walk, key, kolk__load_relaxed(&key->id));
	kolk__walk_run(&walk, attempt_part, &attempt);
	return attempt.stays;
}

/* Close the key's connections; it is freed with the last one. If it is opened again meanwhile, it
 * dials anew. False = the key was used within the last second and gets another chance, or one of
 * its connections is leased: it becomes the most recently used. */
static bool try_evict_key(struct kolk_key *key, uint64_t now_ns, bool chance)
{
	KOLK__NO_LOCK();
	return !(chance && attempt_run(key, now_ns, false)) && !attempt_run(key, now_ns, true);
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
