/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle_max.c - idle_max and pool_idle_max: how many connections are idle, and which one closes.
 *
 * A connection of a pool that has one of them is counted from the end of its lease (or of its dial)
 * until the next one begins or it closes: while it is idle, and while the library has it (reset,
 * pinged, TAKEN). Its mark says so: 0, or which key counts it.
 *
 * 1. The holder sets the mark and raises both counts, then compares what it found. The additions
 *    to one count have an order, so of leases that end together only as many stay as may: they
 *    never exceed the limit. One that is lowered again at once can make another close that had to
 *    close no more.
 * 2. The mark is cleared by a compare-and-swap, and only the thread that clears it lowers: a
 *    drain deadline that revokes a lease just when it begins lowers nothing twice.
 * 3. The mark is of one key (its id is never used twice), so what is cleared was raised there. The
 *    count of a key is lowered after its mark is cleared: it is not below its marks, nor below 0.
 * 4. A hit takes no connection of such a pool, for its keys see no clock (key.c, key_init).
 *
 * A new connection is counted but not refused: a caller that only tries may have asked for it. When
 * it is over the limit, the next release makes up for it.
 *
 * A caller that waits gets what is released: so many more may be idle. One that begins to wait when
 * the release has looked does not lose it: the close returns the permits, and the key dials.
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
