/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maintain.c - maintenance: fires alarms when they are due, keeps the coarse clock while it is
 * used, and evicts for keys that wait for a permit.
 *
 * The clock. A hit stamps the connection with the engine's coarse clock, one load. Under load,
 * maintenance stores the time every TICK_NS. Now and then it withholds the clock for one tick; if
 * no hit missed it meanwhile (page.misses), it stops ticking. While the coarse clock is off, every
 * hit reads the real one, which costs 20 ns more, and maintenance does not wake up in vain.
 */
#include "core/maintain.h"
#include "core/base/container.h"
#include "core/event.h"
#include "core/drain.h"
#include "core/conn_table.h"

#include "core/dial.h"
#include "core/pool.h"
#include "core/release.h"
#include "core/wait.h"
#include "core/probation.h"
#include "core/permits.h"

#define TICK_NS (4 * KOLK_MS_NS)
#define QUIET_NS (250 * KOLK_MS_NS)  /* while the clock is off: how often to check whether to keep
                                      * it */
#define QUEUED_NS (2 * KOLK_MS_NS)   /* while a key waits for a permit */
enum { TICKS_PER_PAUSE = 250, MISSES_WORTH_A_CLOCK = 16 };

/* ---- a connection's alarm */

static uint64_t later(uint64_t since_ns, uint64_t ns)
{
	return ns >= KOLK_FOREVER - since_ns ? KOLK_FOREVER : since_ns + ns;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

enum { SLICE = 64 }; /* positions looked at while the key is locked */

/* Return whether more connections are idle than the key keeps: idle_min, or none if it need not be
 * kept warm. Counts IDLE, PINGING and TAKEN connections, from the first position on until there are
 * enough. In slices, so connections may have changed since they were counted. */
static bool is_surplus(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	uint32_t at = 0, idle = 0, steps = 0, floor = 0;
	const struct kolk__conn *conn;

	while (steps == 0 && idle <= floor) {
		steps = SLICE;
		kolk__take_lock(engine, &key->lock);
		floor = key->keep_warm ? kolk__setting(kolk__own(&key->pool), idle_min) : 0;
		while (idle <= floor && (conn = kolk__conn_next(key, &at, &steps)) != NULL)
			idle += kolk__conn_is(conn, KOLK__IS_IDLE | KOLK__IS_PINGING |
							    KOLK__IS_TAKEN);
		kolk__give_lock(engine, &key->lock);
	}
	return idle > floor;
}

static void found_set(struct kolk__conn *conn, enum kolk__found found, uint64_t detail)
{
	kolk__store_relaxed(&conn->found_detail, detail);
	kolk__store_relaxed(&conn->found, (uint8_t)found);
}

/* When it is evicted as surplus; 0 = no time is set. */
static uint64_t surplus_at(const struct kolk__conn *conn)
{
	return kolk__load_relaxed(&conn->found) == KOLK__FOUND_SURPLUS ?
		       kolk__load_relaxed(&conn->found_detail) : 0;
}

static bool was_reported(const struct kolk__conn *conn, uint64_t lease_word)
{
	return kolk__load_relaxed(&conn->found) == KOLK__FOUND_OVERDUE &&
	       kolk__load_relaxed(&conn->found_detail) == lease_word;
}

/* The surplus of a burst is evicted one by one, within a quarter of the idle time-out: each
 * connection gets its time when its alarm first fires, and the alarm fires again then (idle_due).
 * No lock held. */
static bool surplus_may_go(struct kolk__conn *conn, struct kolk_key *key, uint64_t now_ns)
{
	struct kolk_engine *engine = key->engine;
	uint64_t idle_ns = kolk__setting(kolk__load_relaxed(&key->pool), idle_timeout_ns);
	uint64_t at_ns = surplus_at(conn);
	uint32_t open;

	KOLK__NO_LOCK();
	/* A time set since it became idle is never before the end of its idle time-out. */
	if (at_ns < later(kolk__load_relaxed(&conn->idle_since_ns), idle_ns)) {
		kolk__take_lock(engine, &key->lock);
		open = kolk__own(&key->open);
		at_ns = now_ns > key->surplus_at_ns ? now_ns : key->surplus_at_ns;
		key->surplus_at_ns = at_ns + idle_ns / 4 / (open > 0 ? open : 1);
		kolk__give_lock(engine, &key->lock);
		found_set(conn, KOLK__FOUND_SURPLUS, at_ns);
	}
	return now_ns >= at_ns;
}

/* When the alarm of an idle connection fires next, if it is not used before. */
static uint64_t idle_due(const struct kolk__conn *conn, const struct kolk_pool *pool,
			 uint64_t now_ns)
{
	uint64_t since_ns = kolk__load_relaxed(&conn->idle_since_ns);
	uint64_t pinged_ns = kolk__load_relaxed(&conn->pinged_at_ns);
	uint64_t alive_ns = since_ns > pinged_ns ? since_ns : pinged_ns;
	bool by_peer;
	uint64_t idle_ns = kolk__health_idle_ns(pool, &by_peer);
	uint64_t expiry_ns = later(since_ns, idle_ns), part_ns = idle_ns / 8;
	uint32_t open = kolk__load_relaxed(&kolk__load_relaxed(&conn->key)->open);

	if (expiry_ns <= now_ns && surplus_at(conn) > now_ns)
		expiry_ns = surplus_at(conn);
	else if (expiry_ns <= now_ns) /* kept for idle_min: again in a while */
		expiry_ns = later(now_ns, open == 0 ? part_ns :
				  part_ns + part_ns / open *
					    (kolk__load_relaxed(&conn->position) % open + 1));
	return earlier(earlier(expiry_ns, kolk__load_relaxed(&conn->retire_at_ns)),
		       later(alive_ns, kolk__setting(pool, ping_interval_ns)));
}

/* Evict a connection before its peer ends it. idle_min is then refilled, except where that would
 * not end: if the peer's time-out is below KOLK__PROBATION_NS, not before the next caller. */
static void evict_early(struct kolk__conn *conn, struct kolk_key *key, uint64_t idle_ns)
{
	struct kolk_engine *engine = key->engine;

	if (idle_ns < KOLK__PROBATION_NS) {
		kolk__take_lock(engine, &key->lock);
		key->keep_warm = false;
		kolk__give_lock(engine, &key->lock);
	}
	(void)kolk__evict(conn, KOLK_REASON_PEER_IDLE);
}

static void maintain_idle(struct kolk__conn *conn, struct kolk_key *key, uint64_t now_ns)
{
	const struct kolk_pool *pool = kolk__load_relaxed(&key->pool);
	uint64_t since_ns = kolk__load_relaxed(&conn->idle_since_ns);
	uint64_t pinged_ns = kolk__load_relaxed(&conn->pinged_at_ns);
	uint64_t alive_ns = since_ns > pinged_ns ? since_ns : pinged_ns;
	uint64_t idle_ns;
	bool by_peer;

	if (now_ns >= kolk__load_relaxed(&conn->retire_at_ns) &&
	    kolk__evict(conn, KOLK_REASON_LIFETIME))
		return;
	idle_ns = kolk__health_idle_ns(pool, &by_peer);
	if (now_ns >= later(since_ns, idle_ns) && by_peer) {
		evict_early(conn, key, idle_ns);
		return;
	}
	if (now_ns >= later(since_ns, idle_ns) && is_surplus(key) &&
	    surplus_may_go(conn, key, now_ns) && kolk__evict(conn, KOLK_REASON_IDLE_TIMEOUT))
		return;
	if (now_ns >= later(alive_ns, kolk__setting(pool, ping_interval_ns)) &&
	    kolk__take_to_ping(conn)) {
		kolk__store_relaxed(&conn->pinged_at_ns, now_ns);
		kolk__ping(conn);
	}
}

/* Count it once, and fill in the event. The lease may have ended, and the connection and the key
 * may be recycled by now: nothing happened then. True = the key is referenced until the event was
 * delivered. */
static bool overdue_begin(struct kolk__conn *conn, struct kolk_key *key, uint64_t lease_word,
			  struct kolk_event *event)
{
	struct kolk_engine *engine = key->engine;
	bool same;

	KOLK__NO_LOCK();
	kolk__take_lock(engine, &key->lock);
	same = kolk__conn_table_has(key, conn) &&
	       kolk__word_with(kolk__conn_word(conn), KOLK__LEASED) == lease_word;
	if (same) {
		kolk__key_ref(key);
		kolk__count_rare(key, KOLK__OVERDUE);
		event->pool = kolk__own(&key->pool);
		event->connection = conn->number;
		event->tag = kolk__load_relaxed(&conn->tag);
	}
	kolk__give_lock(engine, &key->lock);
	return same;
}

static void maintain_leased(struct kolk__conn *conn, struct kolk_key *key, uint64_t word,
			    uint64_t now_ns)
{
	struct kolk_engine *engine = key->engine;
	const struct kolk_pool *pool = kolk__load_relaxed(&key->pool);
	uint64_t since_ns = kolk__load_relaxed(&conn->leased_at_ns);
	uint64_t held_ns = now_ns > since_ns ? now_ns - since_ns : 0; /* leased since the load */
	struct kolk_event event = { .kind = KOLK_EVENT_OVERDUE, .now_ns = now_ns, .key = key,
				    .elapsed_ns = held_ns };

	word = kolk__word_with(word, KOLK__LEASED);
	if (held_ns < kolk__setting(pool, lease_overdue_ns) || was_reported(conn, word) ||
	    kolk__load_relaxed(&conn->release_flags) & KOLK__PINNED ||
	    !overdue_begin(conn, key, word, &event))
		return;
	found_set(conn, KOLK__FOUND_OVERDUE, word);
	kolk__log(engine, KOLK_LOG_WARN, "lease",
		  "pool %s: connection %llu is out for %llu ms, owner's tag %llu",
		  event.pool->name, (unsigned long long)event.connection,
		  (unsigned long long)(held_ns / KOLK_MS_NS), (unsigned long long)event.tag);
	if (kolk__event_wanted(engine, KOLK_EVENT_OVERDUE))
		engine->on_event(engine->event_user, &event);
	kolk__key_unref(key);
}

/* SC4: may the alarm wait until the lease ends? A release that takes the slow path sees that it was
 * put off (kolk__make_idle); the fast one looks at no alarm. What makes a release slow stays to its
 * end, so it is enough to read that between two loads of the same lease's word. */
static bool put_off(struct kolk__conn *conn, uint64_t word)
{
	if (kolk__load_relaxed(&conn->release_flags) == 0)
		return false;
	kolk__store_sc(&conn->alarm_put_off, true);
	return kolk__conn_is_still_leased(conn, word);
}

/* When the alarm of a leased connection fires next: when the lease is overdue, if it was not told,
 * and at doubling distance, for settings that change. Where its end does not arm the alarm: also
 * when the next lease, or the time without one, could end. */
static uint64_t leased_due(struct kolk__conn *conn, const struct kolk_pool *pool, uint64_t word,
			   uint64_t now_ns)
{
	uint64_t since_ns = kolk__load_relaxed(&conn->leased_at_ns);
	uint64_t held_ns = now_ns > since_ns ? now_ns - since_ns : 0;
	uint64_t idle_ns = kolk__setting(pool, idle_timeout_ns);
	uint64_t overdue_ns = kolk__setting(pool, lease_overdue_ns);
	uint64_t due_ns = later(since_ns, overdue_ns);

	if (was_reported(conn, kolk__word_with(word, KOLK__LEASED)) ||
	    kolk__load_relaxed(&conn->release_flags) & KOLK__PINNED)
		due_ns = KOLK_FOREVER;
	if (put_off(conn, word))
		return earlier(due_ns, later(now_ns, held_ns > idle_ns ? held_ns : idle_ns));
	due_ns = earlier(due_ns, later(now_ns, earlier(idle_ns, overdue_ns)));
	return earlier(due_ns, later(now_ns, kolk__setting(pool, ping_interval_ns)));
}

/* Check a connection and decide when to check it again. It may be in any state, and may have become
 * another connection since the alarm was armed: nothing is assumed. */
static void conn_fire(struct kolk__conn *conn, uint64_t now_ns)
{
	uint64_t word = kolk__conn_word(conn);
	enum kolk__state state = kolk__state_of(word);
	struct kolk_key *key = kolk__load_relaxed(&conn->key);
	const struct kolk_pool *pool;
	uint64_t due_ns;

	KOLK__NO_LOCK();
	if (!kolk__is_ready(state))
		return; /* ready arms it again */
	if (kolk__load_relaxed(&conn->unproven))
		kolk__probation_check(conn, key, now_ns);
	pool = kolk__load_relaxed(&key->pool);
	if (state == KOLK__IDLE)
		maintain_idle(conn, key, now_ns);
	else if (kolk__is_leased(state))
		maintain_leased(conn, key, word, now_ns);
	due_ns = kolk__is_leased(state) ? leased_due(conn, pool, word, now_ns) :
			earlier(idle_due(conn, pool, now_ns),
				later(now_ns, kolk__setting(pool, ping_interval_ns)));
	due_ns = earlier(due_ns, kolk__probation_until(conn));
	if (due_ns <= now_ns)
		due_ns = now_ns + earlier(kolk__setting(pool, lease_overdue_ns), KOLK_S_NS);
	kolk__conn_alarm_arm(key->engine, conn, due_ns);
}

/* When the alarm of a connection that is idle from now on fires first. */
static uint64_t first_due(const struct kolk__conn *conn, const struct kolk_pool *pool,
			  uint64_t now_ns)
{
	return earlier(earlier(idle_due(conn, pool, now_ns), kolk__probation_until(conn)),
		       later(now_ns, kolk__setting(pool, lease_overdue_ns)));
}

/* When it is ready, not before: the alarm of the connection before in its place may be armed, for
 * an earlier time, and if it fires between this and the state, it finds nothing to be armed for. By
 * now the connection may be leased, or close, but only this thread ends it. */
void kolk__maintain_add(struct kolk__conn *conn, uint64_t now_ns)
{
	const struct kolk_pool *pool = kolk__pool_of(conn);

	KOLK__IN_TURN(kolk__home(conn));
	KOLK__NO_LOCK();
	kolk__conn_alarm_arm(kolk__own(&conn->key)->engine, conn, first_due(conn, pool, now_ns));
}

/* The connection may be in its next lease by now, whose alarm maintenance may be putting off:
 *
 *   here                          maintenance
 *   A: store alarm_put_off false  1: store alarm_put_off true (SC4)
 *   B: arm, for soon              2: arm, for late
 *
 * 1 behind A: the flag is set, and the end of that lease arms. 1 before A: the flag is lost, but
 * the alarm fires soon. Of B and 2 the earlier time stays, because an armed alarm is only moved
 * forward, and it cannot fire between B and a 2 behind it, because maintenance, which fires it, is
 * about to do 2. With B before A it could fire in between, be put off, and lose the flag then. */
void kolk__maintain_again(struct kolk__conn *conn, struct kolk_key *key)
{
	uint64_t now_ns = kolk__now(key->engine);

	KOLK__NO_LOCK();
	kolk__store_sc(&conn->alarm_put_off, false); /* before it is armed: see above */
	kolk__conn_alarm_arm(key->engine, conn,
			     first_due(conn, kolk__load_relaxed(&key->pool), now_ns));
}

/* The next alarm that is due fires, under no lock; false = none is. */
static bool fire_due(struct kolk_engine *engine, uint64_t now_ns)
{
	struct kolk__maintain *maintain = &engine->maintain;
	struct kolk__timer *timer;
	struct kolk__alarm *alarm;
	bool due, of_conn;

	kolk__take_lock(engine, &maintain->lock);
	timer = kolk__alarm_next(engine);
	of_conn = timer == kolk__heap_min(&maintain->conns);
	due = timer != NULL && timer->due_ns <= now_ns;
	if (due)
		kolk__heap_remove(of_conn ? &maintain->conns : &maintain->alarms, timer);
	kolk__give_lock(engine, &maintain->lock);
	if (!due)
		return false;
	if (of_conn) {
		conn_fire(kolk__container_of(timer, struct kolk__conn, alarm), now_ns);
		return true;
	}
	alarm = kolk__container_of(timer, struct kolk__alarm, timer);
	alarm->fire(alarm, now_ns);
	return true;
}

/* ---- the clock */

static uint64_t clock_turn(struct kolk_engine *engine, uint64_t now_ns)
{
	struct kolk__maintain *maintain = &engine->maintain;
	uint64_t misses = kolk__load_relaxed(&engine->page->misses);
	bool wanted = misses - maintain->misses_seen >= MISSES_WORTH_A_CLOCK;
	bool kept = kolk__load_relaxed(&engine->page->clock_ns) != 0;

	maintain->misses_seen = misses;
	if (!engine->threads)
		return KOLK_FOREVER; /* stepped: every hit reads the table's clock */
	if (!kept && !wanted)
		return now_ns + QUIET_NS;
	maintain->ticks = kept ? maintain->ticks + 1 : 0;
	kolk__store_relaxed(&engine->page->clock_ns,
			    maintain->ticks < TICKS_PER_PAUSE ? now_ns : 0);
	return now_ns + TICK_NS;
}

/* ---- one turn, and the thread */

/* A key that waits for a permit: is something idle elsewhere by now? */
static void permits_turn(struct kolk_engine *engine, uint64_t now_ns)
{
	if (kolk__load_relaxed(&engine->queued_keys) == 0)
		return;
	kolk__permits_grant(engine);
	kolk__evict_for_queued(engine, now_ns);
}

static void drain_turn(struct kolk_engine *engine, uint64_t now_ns)
{
	uint64_t grace_ns = kolk__exchange_sc(&engine->maintain.drain_grace_ns, 0);

	if (grace_ns != 0)
		kolk__drain_all(engine, later(now_ns, grace_ns - 1), later(now_ns, grace_ns - 1));
}

/* From here to next_publish no kick is needed. */
static void busy_publish(struct kolk_engine *engine)
{
	struct kolk__maintain *maintain = &engine->maintain;

	kolk__take_lock(engine, &maintain->lock);
	maintain->next_ns = 0;
	kolk__give_lock(engine, &maintain->lock);
}

/* Alarms that were armed, and keys that were queued, since the turn began are seen here; what comes
 * later sees next_ns under the same lock, and kicks. */
static uint64_t next_publish(struct kolk_engine *engine, uint64_t now_ns, uint64_t next_ns)
{
	struct kolk__maintain *maintain = &engine->maintain;
	struct kolk__timer *timer;

	kolk__take_lock(engine, &maintain->lock);
	timer = kolk__alarm_next(engine);
	if (timer != NULL)
		next_ns = earlier(next_ns, timer->due_ns);
	if (kolk__load_relaxed(&engine->queued_keys) != 0)
		next_ns = earlier(next_ns, now_ns + QUEUED_NS);
	maintain->next_ns = next_ns;
	kolk__give_lock(engine, &maintain->lock);
	return next_ns;
}

uint64_t kolk_engine_maintain(struct kolk_engine *engine)
{
	struct kolk__maintain *maintain = &engine->maintain;
	uint64_t now_ns, next_ns;

	if (kolk__is_child(engine))
		return KOLK_FOREVER;
	kolk__exchange_sc(&maintain->kicked, 0);
	busy_publish(engine);
	now_ns = kolk__now(engine);
	next_ns = earlier(clock_turn(engine, now_ns),
			  later(now_ns, engine->maintenance_interval_ns));
	drain_turn(engine, now_ns);
	while (fire_due(engine, now_ns))
		;
	permits_turn(engine, now_ns);
	next_ns = next_publish(engine, now_ns, next_ns);
	return kolk__load_acquire(&maintain->kicked) ? now_ns : next_ns;
}

static void maintain_run(void *arg)
{
	struct kolk_engine *engine = arg;
	struct kolk__maintain *maintain = &engine->maintain;

	while (!kolk__load_acquire(&maintain->stop)) {
		uint64_t next_ns = kolk_engine_maintain(engine);

		engine->sys->wait(engine->sys->context, kolk__futex(&maintain->kicked), 0, next_ns);
	}
}

enum kolk_err kolk__maintain_open(struct kolk_engine *engine)
{
	const struct kolk_sys *sys = engine->sys;

	engine->maintain.next_ns = KOLK_FOREVER;
	if (!engine->threads)
		return KOLK_OK;
	return sys->thread_start(sys->context, "kolk-maintain", maintain_run, engine,
				 &engine->maintain.thread);
}

void kolk__maintain_close(struct kolk_engine *engine)
{
	const struct kolk_sys *sys = engine->sys;

	if (engine->maintain.thread == NULL)
		return;
	kolk__store_release(&engine->maintain.stop, 1);
	kolk__maintain_kick(engine);
	sys->thread_join(sys->context, engine->maintain.thread);
	engine->maintain.thread = NULL;
}

void kolk_engine_drain_from_signal(struct kolk_engine *engine, uint64_t grace_ns)
{
	if (kolk__is_child(engine))
		return;
	kolk__exchange_sc(&engine->maintain.drain_grace_ns,
			  grace_ns == KOLK_FOREVER ? grace_ns : grace_ns + 1);
	kolk__maintain_kick(engine);
}
