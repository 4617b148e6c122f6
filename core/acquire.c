/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acquire.c - the front door: hit, or look, dial, wait, refuse. The hit path is the first
 * screen of this file.
 */
#include "core/release.h"
#include "core/wait.h"

/* Per thread and key, the connection used last: it is warm, and nobody else tries it first.
 * Entries are compared by the key's id, which is never used twice, so one of an engine that
 * is gone is never followed. */
enum { RECENTS = 8 };
struct recent {
	uint64_t key_id;
	struct kolk__conn *conn;
};
static _Thread_local struct recent recents[RECENTS] __attribute__((tls_model("initial-exec")));

static inline struct recent *recent_of(uint64_t key_id)
{
	return &recents[key_id % RECENTS];
}

void kolk__recent_set(uint64_t key_id, struct kolk__conn *conn)
{
	struct recent *recent = recent_of(key_id);

	if (recent->conn != conn || recent->key_id != key_id)
		*recent = (struct recent){ key_id, conn };
}

/* Take this connection if it is idle and of this key. */
static inline uint64_t take_for(struct kolk_key *key, struct kolk__conn *conn,
				enum kolk__hand hand)
{
	uint64_t word = kolk__conn_take(conn, hand);

	if (word != 0 && KOLK_UNLIKELY(kolk__load_relaxed(&conn->key) != key)) {
		kolk__park_later(conn); /* a recycled slot: it was never ours */
		return 0;
	}
	return word;
}

void kolk__lease_fill(struct kolk_key *key, struct kolk__conn *conn, uint64_t word,
		      uint64_t now_ns, struct kolk_lease *lease)
{
	uint64_t uses = kolk__load_relaxed(&conn->uses) + 1; /* relaxed: ours alone */

	lease->connection = conn;
	lease->ticket = word;
	kolk__store_relaxed(&conn->uses, uses);
	if (KOLK_UNLIKELY(uses % 64 == 0)) { /* one in 64 is timed: a clock read per lease
					      * would cost more than the lease */
		now_ns = kolk__now(key->engine);
		conn->attention |= KOLK__TIMED;
	}
	kolk__store_relaxed(&conn->leased_at_ns, now_ns);
}

/* May somebody who comes now be served before who waits? Counts nothing yet. */
static bool may_overtake(struct kolk_key *key, uint64_t gate)
{
	return gate != KOLK__GATE_STOP && kolk__now(key->engine) < gate;
}

static void overtake_count(struct kolk_key *key, uint64_t gate)
{
	struct kolk__counters *counters = kolk__load_acquire(&key->counters);
	uint64_t waited = kolk__now(key->engine) + kolk__load_relaxed(
				&key->pool->overtake_max_ns) - gate;
	uint64_t seen;

	if (counters == NULL)
		return;
	kolk__add_relaxed(&counters->overtakes, 1);
	seen = kolk__load_relaxed(&counters->overtaken_max_ns);
	/* Losing means that somebody else raised it. */
	while (seen < waited && !kolk__cas_acq_rel(&counters->overtaken_max_ns, &seen, waited))
		;
}

static void hit_told(struct kolk_key *key, struct kolk__conn *conn)
{
	kolk__tell(key->engine, KOLK_EVENT_ACQUIRED, key, conn, 0);
}

/* The hit: one compare-and-swap on the connection that this thread used last, or on the
 * first idle one of the table. KOLK_E_EMPTY = nothing idle, or not now. */
static inline enum kolk_err hit(struct kolk_key *key, struct kolk_lease *lease)
{
	uint64_t now_ns = kolk__load_relaxed(key->clock);
	uint64_t gate = kolk__load_relaxed(&key->gate); /* relaxed: SC1 is the waiter's look */
	uint64_t id = kolk__load_relaxed(&key->id);
	struct recent *recent = recent_of(id);
	struct kolk__conn *conn = recent->conn;
	uint64_t word = 0;

	if (KOLK_UNLIKELY(now_ns == 0)) {
		now_ns = kolk__clock_miss(key->engine);
		if (now_ns == 0)
			return KOLK_E_FORKED;
	}
	if (KOLK_UNLIKELY(gate != KOLK__GATE_OPEN) && !may_overtake(key, gate))
		return KOLK_E_EMPTY;
	if (KOLK_LIKELY(recent->key_id == id))
		word = take_for(key, conn, KOLK__LEASED);
	if (KOLK_UNLIKELY(word == 0)) {
		conn = kolk__shelf_take(key, KOLK__LEASED);
		if (conn == NULL)
			return KOLK_E_EMPTY;
		word = kolk__load_relaxed(&conn->hand);
		kolk__recent_set(id, conn);
	}
	kolk__lease_fill(key, conn, word, now_ns, lease);
	if (KOLK_UNLIKELY(gate != KOLK__GATE_OPEN))
		overtake_count(key, gate);
	if (KOLK_UNLIKELY(key->listens_acquired))
		hit_told(key, conn);
	return KOLK_OK;
}

/* ---- the shelf, walked */

/* Take the first idle connection from `low` on, then those before it. Complete: NULL means
 * that each was seen not idle at some moment of the walk. */
struct kolk__conn *kolk__shelf_take(struct kolk_key *key, enum kolk__hand hand)
{
	struct kolk__table *table = kolk__load_acquire(&key->table); /* KEY.A1 <- KEY.R1 */
	uint32_t low = kolk__load_relaxed(&key->low);
	uint32_t used;

	if (table == NULL)
		return NULL;
	used = kolk__load_acquire(&table->used);
	low = low < used ? low : 0;
	for (uint32_t step = 0; step < used; step++) {
		uint32_t i = low + step < used ? low + step : low + step - used;
		struct kolk__conn *conn = kolk__load_acquire(&table->entry[i]); /* KEY.A2 */

		if (conn != NULL && take_for(key, conn, hand) != 0) {
			kolk__store_relaxed(&key->low, i + 1);
			return conn;
		}
	}
	return NULL;
}

bool kolk__shelf_has_idle(struct kolk_key *key)
{
	struct kolk__table *table = kolk__load_acquire(&key->table);
	uint32_t used = table != NULL ? kolk__load_acquire(&table->used) : 0;

	for (uint32_t i = 0; i < used; i++) {
		struct kolk__conn *conn = kolk__load_acquire(&table->entry[i]);

		if (conn != NULL && kolk__hand_of(kolk__load_sc(&conn->hand)) == KOLK__IDLE &&
		    kolk__load_relaxed(&conn->key) == key)
			return true;
	}
	return false;
}

bool kolk_key_has_idle(struct kolk_key *key)
{
	return !kolk__is_child(key->engine) && kolk__shelf_has_idle(key);
}

/* ---- the miss */

/* Refuse, serve from the shelf, or stand in line: the one place that decides, under
 * key.lock. KOLK_PENDING = enrolled. waiter NULL = a try, which never stands in line. */
static enum kolk_err miss_locked(struct kolk_key *key, struct kolk__waiter *waiter,
				 struct kolk_lease *lease, uint64_t now_ns, bool *room)
{
	struct kolk__conn *conn;

	key->awake = true;
	if (key->refusing)
		return KOLK_E_DRAINING;
	if (key->first == NULL) {
		conn = kolk__shelf_take(key, KOLK__LEASED);
		if (conn != NULL) {
			kolk__lease_fill(key, conn, kolk__load_relaxed(&conn->hand), now_ns,
					 lease);
			return KOLK_OK;
		}
	}
	if (waiter == NULL) {
		*room = kolk__dial_more(key, now_ns, 1);
		return KOLK_E_EMPTY;
	}
	if (!kolk__waiter_enrol(key, waiter))
		return KOLK_E_QUEUE_FULL;
	kolk__serve(key, waiter, now_ns);
	if (waiter->state == KOLK__FINISHED) {
		*lease = waiter->lease;
		return (enum kolk_err)waiter->err;
	}
	*room = kolk__dial_more(key, now_ns, 0);
	return KOLK_PENDING;
}

static enum kolk_err miss(struct kolk_key *key, struct kolk__waiter *waiter,
			  struct kolk_lease *lease, uint64_t now_ns)
{
	struct kolk_engine *engine = key->engine;
	bool room = false;
	enum kolk_err err;

	kolk__take_lock(engine, &key->lock);
	err = miss_locked(key, waiter, lease, now_ns, &room);
	if (err == KOLK_E_DRAINING || err == KOLK_E_QUEUE_FULL)
		kolk__add_relaxed(&kolk__key_counters(key)->rejected, 1);
	kolk__give_lock(engine, &key->lock);
	if (room)
		kolk__make_room(key);
	if (err == KOLK_OK && key->listens_acquired)
		hit_told(key, lease->connection);
	if (err == KOLK_PENDING && kolk__listens(engine, KOLK_EVENT_WAITER_QUEUED))
		kolk__tell(engine, KOLK_EVENT_WAITER_QUEUED, key, NULL, 0);
	return err;
}

enum kolk_err kolk_try_acquire(struct kolk_key *key, struct kolk_lease *lease)
{
	enum kolk_err err = hit(key, lease);

	if (KOLK_LIKELY(err == KOLK_OK))
		return err;
	*lease = (struct kolk_lease){ 0 };
	return err == KOLK_E_EMPTY ? miss(key, NULL, lease, kolk__now(key->engine)) : err;
}

/* ---- blocking */

enum { SPINS = 64 }; /* 1 to 3 us: less than what sleeping and being woken costs */

/* Hope that somebody gives one back right now. Never while another one must be served. */
static bool spin(struct kolk_key *key, struct kolk_lease *lease)
{
	for (int i = 0; i < SPINS; i++) {
		kolk__pause();
		if (hit(key, lease) == KOLK_OK)
			return true;
	}
	return false;
}

/* A signalled waiter looks at the shelf itself: true = it is served or finished. */
static bool look(struct kolk_key *key, struct kolk__waiter *waiter)
{
	struct kolk_engine *engine = key->engine;
	bool over;

	for (int i = 0; i < SPINS && !kolk__shelf_has_idle(key); i++)
		kolk__pause();
	kolk__take_lock(engine, &key->lock);
	if (waiter->state == KOLK__SIGNALLED) {
		key->signalled = false;
		kolk__store_release(&waiter->state, KOLK__WAITING);
		kolk__serve(key, waiter, kolk__now(engine));
	}
	over = waiter->state == KOLK__FINISHED;
	kolk__give_lock(engine, &key->lock);
	return over;
}

/* The deadline passed: leave, unless a result was there first. */
static void give_up(struct kolk_key *key, struct kolk__waiter *waiter)
{
	struct kolk_engine *engine = key->engine;
	uint64_t now_ns = kolk__now(engine);
	bool late;

	kolk__take_lock(engine, &key->lock);
	late = waiter->state != KOLK__FINISHED;
	if (late) {
		kolk__waiter_leave(key, waiter);
		waiter->err = KOLK_E_TIMEOUT;
		kolk__add_relaxed(&kolk__key_counters(key)->timeouts, 1);
		kolk__serve(key, NULL, now_ns); /* the signal may have been ours: pass it on */
	}
	kolk__give_lock(engine, &key->lock);
	if (late) {
		kolk__tell(engine, KOLK_EVENT_WAITER_TIMED_OUT, key, NULL,
			   now_ns - waiter->enrolled_ns);
		kolk__key_look(key);
	}
}

static enum kolk_err wait_blocking(struct kolk_key *key, uint64_t deadline_ns,
				   struct kolk__waiter *waiter, struct kolk_lease *lease)
{
	const struct kolk_sys *sys = key->engine->sys;

	for (;;) {
		uint32_t state = kolk__load_acquire(&waiter->state); /* WAIT.A1 <- WAIT.R1 */

		if (state == KOLK__FINISHED || (state == KOLK__SIGNALLED && look(key, waiter)))
			break;
		if (kolk__load_acquire(&waiter->state) != KOLK__WAITING)
			continue;
		if (!sys->wait(sys->context, &waiter->state, KOLK__WAITING, deadline_ns)) {
			give_up(key, waiter);
			break;
		}
	}
	if (waiter->err != KOLK_OK)
		return (enum kolk_err)waiter->err;
	*lease = waiter->lease;
	kolk__wait_record(key, kolk__now(key->engine) - waiter->enrolled_ns);
	if (key->listens_acquired)
		hit_told(key, lease->connection);
	return KOLK_OK;
}

static enum kolk_err acquire_slowly(struct kolk_key *key, uint64_t deadline_ns,
				    struct kolk_lease *lease)
{
	struct kolk__waiter waiter = { .key = key };
	enum kolk_err err;
	uint64_t now_ns;

	if (kolk__on_loop(key->engine))
		return KOLK_E_THREAD; /* it would wait for itself */
	if (spin(key, lease))
		return KOLK_OK;
	now_ns = kolk__now(key->engine);
	if (deadline_ns == 0)
		deadline_ns = now_ns + key->pool->acquire_timeout_ns;
	waiter.enrolled_ns = now_ns;
	err = deadline_ns > now_ns ? miss(key, &waiter, lease, now_ns) : KOLK_E_TIMEOUT;
	return err == KOLK_PENDING ? wait_blocking(key, deadline_ns, &waiter, lease) : err;
}

enum kolk_err kolk_acquire(struct kolk_key *key, uint64_t deadline_ns, struct kolk_lease *lease)
{
	enum kolk_err err = hit(key, lease);

	if (KOLK_LIKELY(err == KOLK_OK))
		return err;
	*lease = (struct kolk_lease){ 0 };
	return err == KOLK_E_EMPTY ? acquire_slowly(key, deadline_ns, lease) : err;
}

/* ---- asynchronous */

static struct kolk__waiter *waiter_of(struct kolk_acquire *acquire)
{
	return (struct kolk__waiter *)(void *)acquire;
}

enum kolk_err kolk_acquire_async(struct kolk_loop *loop, struct kolk_key *key,
				 uint64_t deadline_ns, struct kolk_acquire *acquire,
				 kolk_acquired_fn *callback, void *user)
{
	struct kolk__waiter *waiter = waiter_of(acquire);
	enum kolk_err err = hit(key, &acquire->lease);
	uint64_t now_ns;

	waiter->loop = NULL; /* not pending: a cancel finds nothing */
	if (KOLK_LIKELY(err == KOLK_OK) || err != KOLK_E_EMPTY)
		return err;
	if (!kolk__is_owner(loop) || loop->engine != key->engine)
		return KOLK_E_THREAD;
	now_ns = kolk__now(key->engine);
	if (deadline_ns == 0)
		deadline_ns = now_ns + key->pool->acquire_timeout_ns;
	*waiter = (struct kolk__waiter){ .key = key, .loop = loop, .enrolled_ns = now_ns,
					 .callback = callback, .user = user };
	err = deadline_ns > now_ns ? miss(key, waiter, &acquire->lease, now_ns) :
				     KOLK_E_TIMEOUT;
	if (err != KOLK_PENDING)
		waiter->loop = NULL;
	else if (deadline_ns != KOLK_FOREVER)
		kolk__heap_push(&loop->deadlines, &waiter->deadline, deadline_ns);
	return err;
}

enum kolk_err kolk_acquire_cancel(struct kolk_acquire *acquire)
{
	struct kolk__waiter *waiter = waiter_of(acquire);
	struct kolk_loop *loop = waiter->loop;
	struct kolk_key *key = waiter->key;
	bool queued;

	if (loop == NULL)
		return KOLK_E_NOT_FOUND;
	if (!kolk__is_owner(loop))
		return KOLK_E_THREAD;
	kolk__take_lock(key->engine, &key->lock);
	queued = waiter->state == KOLK__WAITING;
	if (queued) {
		kolk__waiter_leave(key, waiter);
		kolk__serve(key, NULL, waiter->enrolled_ns);
	}
	kolk__add_relaxed(&kolk__key_counters(key)->cancelled, 1);
	kolk__give_lock(key->engine, &key->lock);
	if (kolk__timer_is_armed(&waiter->deadline))
		kolk__heap_remove(&loop->deadlines, &waiter->deadline);
	if (!queued) {
		kolk__letters_take(loop); /* if it is between the threads, now it is here */
		kolk__done_remove(loop, waiter);
		if (waiter->err == KOLK_OK)
			(void)kolk_release(&waiter->lease);
	}
	waiter->loop = NULL;
	kolk__key_look(key);
	return KOLK_OK;
}
