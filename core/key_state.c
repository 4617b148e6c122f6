/* SPDX-License-Identifier: Apache-2.0 */
/* key_state.c - a key refuses, its waiters end, and its connections become stale. */
#include "core/conn_table.h"
#include "core/effects.h"
#include "core/pool.h"
#include "core/release.h"
#include "core/wait.h"

void kolk__key_changed(struct kolk_key *key, struct kolk__effects *effects)
{
	KOLK__HELD(&key->lock);
	kolk__add_sc(&key->changes, 1);
	if (!key->awaited) /* the usual case, which saves a system call for each dial */
		return;
	key->awaited = false;
	kolk__effects_wake(effects, kolk__futex(&key->changes), UINT32_MAX);
}

uint32_t kolk__epoch_of(const struct kolk_key *key)
{
	return kolk__load_sc(&key->engine->epoch) + kolk__load_sc(&kolk__tenant_of(key)->epoch) +
	       kolk__load_sc(&kolk__own(&key->pool)->epoch) + kolk__load_sc(&key->epoch);
}

static void fail_slice(struct kolk_key *key, enum kolk_err err, struct kolk__effects *effects)
{
	KOLK__HELD(&key->lock);
	for (uint32_t n = key->engine->fail_slice; n > 0 && key->fail_last != NULL; n--)
		(void)kolk__waiter_fail_first(key, err, effects);
	if (key->fail_last != NULL)
		kolk__alarm_arm(key->engine, &key->alarm, effects->now_ns);
}

/* Key and pool stay until the last of them was ended. */
void kolk__key_fail_waiters(struct kolk_key *key, enum kolk_err err, struct kolk__effects *effects)
{
	KOLK__HELD(&key->lock);
	key->fail_last = key->last;
	fail_slice(key, err, effects);
	if (key->fail_last == NULL)
		return;
	if (key->fail_err == KOLK_OK)
		kolk__key_ref(key);
	key->fail_err = (int16_t)err;
}

bool kolk__key_fail_more(struct kolk_key *key, struct kolk__effects *effects)
{
	KOLK__HELD(&key->lock);
	if (key->fail_err == KOLK_OK)
		return false;
	fail_slice(key, (enum kolk_err)key->fail_err, effects);
	if (key->fail_last != NULL)
		return false;
	key->fail_err = KOLK_OK;
	return true;
}

void kolk__key_refuse(struct kolk_key *key, enum kolk_err err, struct kolk__effects *effects)
{
	KOLK__HELD(&key->lock);
	kolk__store_release(&key->refuse_err, err);
	kolk__key_fail_waiters(key, err, effects);
	effects->todo |= KOLK__DISPATCH; /* closes idle connections and the gate */
	kolk__key_changed(key, effects);
}

static bool mark_stale(struct kolk__conn *conn, uint32_t epoch)
{
	enum kolk__state state = kolk__conn_state(conn);

	KOLK__HELD(&kolk__own(&conn->key)->lock);
	if (conn->epoch == epoch)
		return false;
	if (state == KOLK__DIALING || state == KOLK__CLOSING)
		return state == KOLK__DIALING; /* its epoch is compared when it is ready */
	kolk__conn_set_retire_reason(conn, KOLK_REASON_ROTATED); /* SC2 */
	if (kolk__conn_take(conn, KOLK__CLOSING))
		kolk__retire(conn, KOLK_REASON_ROTATED);
	return true;
}

static void back_off_reset(struct kolk_key *key, struct kolk__effects *effects)
{
	KOLK__HELD(&key->lock);
	key->failures = 0; /* the new credential or endpoint may be accepted */
	kolk__store_relaxed(&key->probation, false);
	key->retry_at_ns = 0;
	effects->todo |= KOLK__DIAL;
	kolk__tls_sessions_forget(key->engine->transport, &key->tls_sessions);
}

size_t kolk__key_mark_stale(struct kolk__walk *walk, struct kolk_key *key,
			    struct kolk__effects *effects)
{
	uint32_t epoch = kolk__epoch_of(key);
	struct kolk__conn *conn;
	size_t count = 0;

	KOLK__HELD(&key->lock);
	if (walk->first)
		back_off_reset(key, effects);
	while ((conn = kolk__walk_conn(walk, key)) != NULL)
		count += mark_stale(conn, epoch);
	return count;
}
