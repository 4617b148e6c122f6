/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acquire.c - hits: of the connection in the thread's cache (hit) and of the idle list
 * (kolk__hit_slow), and the public functions. A caller that is not served here goes to miss.c.
 */
#include "core/acquire.h"
#include "core/event.h"
#include "core/identity.h"
#include "core/idle.h"
#include "core/pool.h"
#include "core/thread_cache.h"
#include "core/release.h"
#include "core/wait.h"

_Thread_local struct kolk__cached_conn kolk__thread_cache[KOLK__THREAD_CACHE_SIZE]
	__attribute__((tls_model("initial-exec")));

/* Lease a connection without taking its token: the one that this thread used last for the key, even
 * if others have used it since, then those that it returned before. If the thread's cache has
 * another key in this place, the key's first connection. */
static struct kolk__conn *lease_likely(struct kolk_key *key, uint64_t *lease_word)
{
	struct kolk__cached_conn *cached = kolk__cached_conn_of(key);
	struct kolk__conn *conn = cached->conn;

	if (cached->key_id != kolk__load_relaxed(&key->id))
		return kolk__lease_first(key, lease_word);
	do {
		*lease_word = kolk__conn_lease_of(conn, key);
		if (*lease_word != 0 && kolk__usable_or_retire(conn, *lease_word))
			return conn;
		conn = kolk__returned_pop(cached);
	} while (conn != NULL);
	return NULL;
}

/* May a new caller be served before a waiter? Counts nothing yet. */
static KOLK_COLD bool may_overtake(struct kolk_key *key, uint64_t gate)
{
	return gate != KOLK__GATE_STOP && kolk__now(key->engine) < gate;
}

static KOLK_COLD void overtake_count(struct kolk_key *key, uint64_t gate)
{
	uint64_t waited = kolk__now(key->engine) +
			  kolk__setting(kolk__own(&key->pool), overtake_max_ns) - gate;

	kolk__count_rare(key, KOLK__OVERTAKES);
	KOLK__PROBE(overtake, key, waited);
	kolk__raise_rare(key, KOLK__OVERTAKEN_MAX, waited);
}

/* The rest of a hit whose lease is to be timed, or whose connection is to be retired. False = it is
 * retired, and there is no lease. */
static bool is_usable(struct kolk_lease *lease)
{
	struct kolk__conn *conn = lease->connection;
	bool usable = kolk__usable_or_retire(conn, lease->ticket);

	if (usable && kolk__is_timed(lease->ticket))
		kolk__lease_timed(conn);
	if (!usable)
		*lease = (struct kolk_lease){ 0 };
	return usable;
}

KOLK_COLD enum kolk_err kolk__hit_slow(struct kolk_key *key, struct kolk_lease *lease, bool taken)
{
	uint64_t now_ns = kolk__load_relaxed(key->clock);
	uint64_t gate = kolk__load_relaxed(&key->gate); /* relaxed: the waiter's load is the
							 * one in SC1 */
	struct kolk__conn *conn;
	uint64_t lease_word;

	if (taken && is_usable(lease))
		return KOLK_OK;
	if (now_ns == 0)
		now_ns = kolk__clock_miss(key->engine);
	if (now_ns == 0)
		return KOLK_E_FORKED;
	if (gate != KOLK__GATE_OPEN && !may_overtake(key, gate))
		return KOLK_E_EMPTY;
	conn = lease_likely(key, &lease_word);
	if (conn == NULL) {
		conn = kolk__take_idle(key, KOLK__LEASED, &lease_word);
		/* DUTY (idle_list.h); left to maintenance, because pool.lock may be held */
		if (kolk__load_sc(&key->gate) == KOLK__GATE_STOP)
			kolk__alarm_arm(key->engine, &key->alarm, kolk__now(key->engine));
	}
	if (conn == NULL)
		return KOLK_E_EMPTY;
	kolk__cached_conn_set(key, conn, lease_word);
	kolk__lease_fill(conn, lease_word, now_ns, lease);
	if (gate != KOLK__GATE_OPEN)
		overtake_count(key, gate);
	if (key->notify_acquired)
		kolk__notify(key, conn, KOLK_EVENT_ACQUIRED, 0);
	return KOLK_OK;
}

/* The hit: one compare-and-swap on the connection that this thread used last for the key, if no
 * other thread has used it since. False = kolk__hit_slow goes on; *taken: the connection is leased
 * already, but the lease is timed or the connection is to be retired. The callers make any other
 * call a tail call, so they save no registers. */
static KOLK_HOT bool hit(struct kolk_key *key, struct kolk_lease *lease, bool *taken)
{
	uint64_t now_ns = kolk__load_relaxed(key->clock);
	uint64_t id = kolk__load_relaxed(&key->id);
	struct kolk__cached_conn *cached = kolk__cached_conn_of(key);
	struct kolk__conn *conn = cached->conn;
	uint64_t word = cached->idle_word;

	*taken = false;
	/* relaxed: the waiter's load, under the lock, is the one in SC1 */
	if (KOLK_UNLIKELY(now_ns == 0 || kolk__load_relaxed(&key->gate) != KOLK__GATE_OPEN ||
			  cached->key_id != id || !kolk__conn_lease(conn, word)))
		return false;
	cached->idle_word = word + KOLK__GENERATION;
	word = kolk__lease_word_after(word);
	kolk__lease_begin(conn, word, now_ns, lease);
	/* Loaded after the swap, so the swap does not wait for this load. */
	*taken = kolk__is_timed(word) || kolk__load_relaxed(&conn->retire_reason) != 0;
	return KOLK_LIKELY(!*taken);
}

bool kolk_key_has_idle(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	bool has;

	if (kolk__is_child(engine))
		return false;
	kolk__take_lock(engine, &key->lock);
	has = kolk__has_idle(key);
	kolk__give_lock(engine, &key->lock);
	return has;
}

/* ---- what callers call */

KOLK_HOT_ENTRY enum kolk_err kolk_try_acquire(struct kolk_key *key, struct kolk_lease *lease)
{
	bool taken;

	return KOLK_LIKELY(hit(key, lease, &taken)) ? KOLK_OK : kolk__try_slow(key, lease, taken);
}

KOLK_HOT_ENTRY enum kolk_err kolk_acquire(struct kolk_key *key, uint64_t deadline_ns,
					  struct kolk_lease *lease)
{
	bool taken;

	return KOLK_LIKELY(hit(key, lease, &taken)) ?
		       KOLK_OK : kolk__acquire_slow(key, deadline_ns, lease, taken);
}

static enum kolk_err wait_on(struct kolk_loop *loop, struct kolk__waiter *waiter)
{
	if (!kolk__is_owner(loop) || loop->engine != waiter->key->engine)
		return KOLK_E_THREAD;
	waiter->loop = loop;
	return kolk__wait_async(waiter);
}

enum kolk_err kolk_acquire_async(struct kolk_loop *loop, struct kolk_key *key,
				 uint64_t deadline_ns, struct kolk_acquire *acquire,
				 kolk_acquired_fn *callback, void *user)
{
	struct kolk__waiter *waiter = kolk__waiter_of(acquire);
	enum kolk_err err;
	bool taken;

	waiter->loop = NULL; /* not pending: a cancel finds nothing */
	if (hit(key, &acquire->lease, &taken))
		return KOLK_OK;
	err = kolk__hit_slow(key, &acquire->lease, taken);
	if (err != KOLK_E_EMPTY)
		return err;
	*waiter = (struct kolk__waiter){ .key = key, .deadline.due_ns = deadline_ns,
					 .callback = callback, .user = user };
	return wait_on(loop, waiter);
}

enum kolk_err kolk_waiter_acquire_async(struct kolk_loop *loop, struct kolk_key *key,
					uint64_t deadline_ns, struct kolk_acquire *acquire,
					kolk_acquired_fn *callback, void *user)
{
	struct kolk__waiter *waiter = kolk__waiter_of(acquire);
	enum kolk_err err;

	*waiter = (struct kolk__waiter){ .key = key, .deadline.due_ns = deadline_ns,
					 .callback = callback, .user = user };
	kolk__store_relaxed(&waiter->state, KOLK__COUNTED);
	err = kolk__hit_slow(key, &acquire->lease, false);
	if (err == KOLK_E_EMPTY)
		err = wait_on(loop, waiter);
	if (kolk__load_relaxed(&waiter->state) == KOLK__COUNTED) /* served, or refused */
		kolk_waiter_remove(key);
	return err;
}

/* ---- by identity instead of by handle */

/* A hit of the key with this identity, if there is one. Under the pool's lock, so that the key
 * stays without a reference. */
static bool hit_as(struct kolk_pool *pool, const struct kolk_key_options *who,
		   struct kolk_lease *lease)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk__identity id;
	struct kolk_key *key;
	bool served = false, taken;

	kolk__identity_make(engine, pool->isolation, who, &id);
	kolk__take_lock(engine, &pool->lock);
	key = kolk__key_find(pool, &id);
	if (key != NULL && !key->notify_acquired) /* no callback runs under a lock */
		served = hit(key, lease, &taken) || kolk__hit_slow(key, lease, taken) == KOLK_OK;
	kolk__give_lock(engine, &pool->lock);
	return served;
}

/* KOLK_OK = served; KOLK_E_EMPTY = *key is open, and the caller has a reference to it. */
static enum kolk_err begin_as(struct kolk_pool *pool, const struct kolk_key_options *who,
			      struct kolk_lease *lease, struct kolk_key **key)
{
	struct kolk_key_options copy;
	enum kolk_err err = kolk__key_options_read(pool, &who, &copy);

	*lease = (struct kolk_lease){ 0 };
	if (err != KOLK_OK)
		return err;
	if (kolk__is_child(pool->engine))
		return KOLK_E_FORKED;
	if (!who->replaces && hit_as(pool, who, lease))
		return KOLK_OK;
	err = kolk__key_open(pool, who, KOLK__KEY_TRANSIENT, key);
	return err == KOLK_OK ? KOLK_E_EMPTY : err;
}

enum kolk_err kolk_acquire_as(struct kolk_pool *pool, const struct kolk_key_options *who,
			      uint64_t deadline_ns, struct kolk_lease *lease)
{
	struct kolk_key *key;
	enum kolk_err err = begin_as(pool, who, lease, &key);

	if (err != KOLK_E_EMPTY)
		return err;
	err = kolk_acquire(key, deadline_ns, lease);
	kolk__key_drop(key);
	return err;
}

enum kolk_err kolk_acquire_as_async(struct kolk_loop *loop, struct kolk_pool *pool,
				    const struct kolk_key_options *who, uint64_t deadline_ns,
				    struct kolk_acquire *acquire, kolk_acquired_fn *callback,
				    void *user)
{
	struct kolk_key *key;
	enum kolk_err err;

	kolk__waiter_of(acquire)->loop = NULL; /* not pending: a cancel finds nothing */
	err = begin_as(pool, who, &acquire->lease, &key);
	if (err != KOLK_E_EMPTY)
		return err;
	err = kolk_acquire_async(loop, key, deadline_ns, acquire, callback, user);
	kolk__key_drop(key); /* a waiter keeps it */
	return err;
}
