/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle_max.c - idle_max and pool_idle_max: count idle connections, and say which one closes.
 *
 * In a pool with one of these limits, a connection is counted from the end of its lease (or dial)
 * until the next lease begins or it closes: while it is idle, and while the library has it (reset,
 * pinged, TAKEN). Its mark is 0, or says which key counts it.
 *
 * 1. The holder sets the mark and raises both counts, then compares the values it found. Additions
 *    to a count are ordered, so of leases that end together no more stay than the limit allows. A
 *    count that is raised and at once lowered again can make another connection close that need
 *    not.
 * 2. The mark is cleared by a compare-and-swap, and only the thread that clears it lowers the
 *    counts: a drain deadline that revokes a lease just as it begins lowers nothing twice.
 * 3. The mark names one key (by its id, which is never used twice), so the count that is lowered is
 *    the one that was raised. A key's count is lowered after the mark is cleared: it is never below
 *    the number of marks, nor below 0.
 * 4. The plain hit never takes a connection of such a pool, because its keys have no clock
 *    (key.c, key_init).
 *
 * A new connection is counted but never refused: a caller of kolk_try_acquire may have asked for
 * it. If it exceeds the limit, the next release closes one.
 *
 * A released connection goes to a waiting caller, so as many more may be idle as callers wait. A
 * caller that begins to wait just after the release has looked still gets one: the close returns
 * the permits, and the key dials.
 */
#include "core/idle.h"
#include "core/pool.h"

static uint32_t mark_of(const struct kolk_key *key)
{
	return (uint32_t)(kolk__load_relaxed(&key->id) % UINT32_MAX) + 1;
}

bool kolk__idle_enter(struct kolk__conn *conn, bool always)
{
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_pool *pool = kolk__own(&key->pool);
	uint64_t waiting = kolk__load_relaxed(&key->waiting);
	uint32_t of_key, of_pool;

	KOLK__STATE(conn, KOLK__IS_BUSY | KOLK__IS_DIALING);
	KOLK__ASSERT(kolk__load_relaxed(&conn->idle_mark) == 0);
	if (KOLK_LIKELY(!kolk__counts_idle(pool)))
		return true;
	kolk__store_relaxed(&conn->idle_mark, mark_of(key));
	of_key = kolk__add_relaxed(&key->idle, 1);
	of_pool = kolk__add_relaxed(&pool->idle, 1);
	if (always)
		return true;
	if (of_key < kolk__setting(pool, idle_max) + waiting &&
	    (of_pool < kolk__setting(pool, pool_idle_max) + waiting ||
	     of_key < kolk__setting(pool, idle_min)))
		return true;
	kolk__idle_leave(conn);
	return false;
}

KOLK_COLD void kolk__idle_leave(struct kolk__conn *conn)
{
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_pool *pool = kolk__own(&key->pool);
	uint32_t mark = mark_of(key);

	if (!kolk__cas_acq_rel(&conn->idle_mark, &mark, 0)) /* it was another thread that did */
		return;
	kolk__sub_relaxed(&key->idle, 1);
	kolk__sub_relaxed(&pool->idle, 1);
}
