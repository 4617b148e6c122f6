/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_test.c - what an idle plain connection takes of Kolk's memory, fresh or used: two engines
 * of the same kind, one with more connections, and the difference of what they allocated. The
 * pool's histograms are not in it: they grow with the times that occur, not with connections. Nor
 * is what a loop keeps for dials: eight at most, by how many dials overlapped. And what happens to
 * it when there is no memory to ping or reset it.
 */
#include <sys/resource.h>

#include "core/base/atomic.h"
#include "core/pool.h"
#include "tests/kit/counting.h"
#include "tests/wire/wire.h"
#include "transport/link.h"

/* At all of these but the last the key's table has just doubled: half of its positions are free.
 * The first ones bring the table. */
static const uint32_t numbers[] = { 5, 13, 29, 61, 125, 253, 509, 1021, 1024 };
enum { FEW = 2, MANY = 1024, NUMBERS = sizeof numbers / sizeof numbers[0], FILES = 2 * MANY + 200 };
/* docs/limits.md: 192 + 16 in core, 256 in transport, 20 for each position of the key's table. */
enum { BYTES_MAX = 512 };

/* May this process have so many descriptors? */
static bool files_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return false;
	if (limit.rlim_cur >= FILES)
		return true;
	limit.rlim_cur = FILES;
	return limit.rlim_max >= FILES && setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* Nothing is done with them, or a request each. */
static bool use_all(struct wire *w, uint32_t connections, bool exchange)
{
	static struct kolk_lease lease[MANY];
	bool good = true;

	for (uint32_t i = 0; i < connections && good; i++)
		good = CHECK_ERR(kolk_acquire(w->key, kolk_in_ms(5000), &lease[i]), KOLK_OK) &&
		       (!exchange || CHECK_ERR(wire_exchange(&lease[i], "memory\n"), KOLK_OK));
	for (uint32_t i = 0; i < connections && good; i++)
		kolk_release(&lease[i]);
	return good && CHECK(wire_stats(w->pool).idle == connections);
}

static const struct kolk_sys *counted;

static const struct kolk_sys *sys_of(size_t size)
{
	return size == sizeof(struct kolk__progress) ? kolk_sys_linux() : counted;
}

static void *allocate_counted(void *context, size_t alignment, size_t size)
{
	return sys_of(size)->allocate(context, alignment, size);
}

static void deallocate_counted(void *context, void *memory, size_t size)
{
	sys_of(size)->deallocate(context, memory, size);
}

/* All octaves of the pool's histograms are there from now on. */
static bool histograms_reserve(struct kolk_pool *pool)
{
	bool all = true;

	for (int i = 0; i < KOLK__TIMES; i++)
		all = CHECK(kolk__hist_reserve(pool->engine->sys, &pool->hists.of[i])) && all;
	return all;
}

/* Bytes of an engine with so many idle connections; 0 = it failed. */
static int64_t engine_bytes(uint32_t connections, bool exchange)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct wire w = { 0 };
	int64_t before = counting_bytes(), after = before;
	struct kolk_sys sys;

	counted = counting_sys();
	sys = *counted;
	sys.allocate = allocate_counted;
	sys.deallocate = deallocate_counted;
	e.loops = 1;
	e.sys = &sys;
	e.connections_max = e.tenant_connections_max = connections;
	o.connections_max = o.pool_connections_max = connections;
	if (wire_engine(&w, &e) && wire_origin(&w, NULL) && wire_pool(&w, &o) &&
	    histograms_reserve(w.pool) && use_all(&w, connections, exchange))
		after = counting_bytes();
	wire_close(&w);
	return after - before;
}

static void check_bytes(const char *what, bool exchange)
{
	int64_t few, many, each;

	if (!files_raise()) {
		tap_skip("too few descriptors");
		return;
	}
	few = engine_bytes(FEW, exchange);
	for (int i = 0; i < NUMBERS; i++) {
		many = engine_bytes(numbers[i], exchange);
		each = (many - few) / (numbers[i] - FEW);
		tap_note("%s, %u: %lld bytes each", what, numbers[i], (long long)each);
		CHECK(few > 0 && many > few);
		CHECK(each <= BYTES_MAX);
	}
}

static void a_fresh_idle_connection_is_small(void)
{
	check_bytes("fresh", false);
}

static void a_used_idle_connection_is_small(void)
{
	check_bytes("used", true);
}

/* ---- no memory for a ping or a reset, but what the loop keeps */

enum { PEERS = 16 };

static kolk__atomic_bool none_left;
static kolk__atomic_u32 refused;

static void *allocate(void *context, size_t alignment, size_t size)
{
	if (size == sizeof(struct kolk__progress) && kolk__load_relaxed(&none_left)) {
		kolk__add_relaxed(&refused, 1);
		return NULL;
	}
	return kolk_sys_linux()->allocate(context, alignment, size);
}

/* The peer never answers. */
static enum kolk_err begin(void *user, void *session, struct kolk_exchange *exchange)
{
	(void)user;
	(void)session;
	(void)exchange;
	return KOLK_PENDING;
}

static enum kolk_err not_clean(void *user, void *session)
{
	(void)user;
	(void)session;
	return KOLK_PENDING;
}

static const struct kolk_driver pinging = {
	.size = sizeof pinging, .name = "pinging", .ping = begin,
};
static const struct kolk_driver resetting = {
	.size = sizeof resetting, .name = "resetting", .mend = begin, .clean = not_clean,
};

/* So many idle connections; from now on none_left holds. */
static bool peers_open(struct wire *w, const struct kolk_driver *driver)
{
	struct kit_origin_options silent = { .behaviour = KIT_SILENT };
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	static struct kolk_sys sys;

	sys = *kolk_sys_linux();
	sys.allocate = allocate;
	kolk__store_relaxed(&none_left, false);
	kolk__store_relaxed(&refused, 0);
	e.loops = 1;
	e.sys = &sys;
	o.driver = driver;
	o.connections_max = o.idle_min = PEERS;
	o.ping_interval_ns = 50 * KOLK_MS_NS;
	o.ping_timeout_ns = o.mend_timeout_ns = 60 * KOLK_S_NS;
	if (!wire_engine(w, &e) || !wire_origin(w, &silent) || !wire_pool(w, &o) ||
	    !CHECK_ERR(kolk_pool_warm(w->pool, kolk_in_ms(5000)), KOLK_OK))
		return false;
	kolk__store_relaxed(&none_left, true);
	return true;
}

static void peers_close(struct wire *w)
{
	kolk__store_relaxed(&none_left, false);
	wire_close(w);
}

/* Those that cannot be asked stay as they are, and are asked again. */
static void a_ping_without_memory_closes_nothing(void)
{
	struct kolk_stats stats;
	struct wire w = { 0 };

	if (peers_open(&w, &pinging)) {
		CHECK(WITHIN_MS(5000, kolk__load_relaxed(&refused) > 2 * PEERS));
		stats = wire_stats(w.pool);
		CHECK(stats.open == PEERS);
		CHECK(stats.pinging > 0 && stats.pinging < PEERS);
	}
	peers_close(&w);
}

/* Those that cannot be made clean are closed, for a reason that is not the peer's. */
static void a_reset_without_memory_closes(void)
{
	static struct kolk_lease lease[PEERS];
	struct kolk_stats stats;
	struct wire w = { 0 };
	bool good = peers_open(&w, &resetting);

	for (int i = 0; i < PEERS && good; i++)
		good = CHECK_ERR(kolk_acquire(w.key, kolk_in_ms(2000), &lease[i]), KOLK_OK) &&
		       CHECK_ERR(kolk_send_all(&lease[i], "x\n", 2, kolk_in_ms(2000)), KOLK_OK);
	for (int i = 0; i < PEERS && good; i++)
		kolk_release(&lease[i]);
	if (good) {
		CHECK(WITHIN_MS(5000, wire_stats(w.pool).destroyed[KOLK_REASON_IO_ERROR] > 0));
		CHECK(WITHIN_MS(5000, kolk__load_relaxed(&refused) >=
					      wire_stats(w.pool).destroyed[KOLK_REASON_IO_ERROR]));
		stats = wire_stats(w.pool);
		CHECK(stats.pinging > 0);
		CHECK(stats.destroyed[KOLK_REASON_DIRTY] == 0);
	}
	peers_close(&w);
}

static const struct tap_test tests[] = {
	{ "a connection that was not used takes little memory", a_fresh_idle_connection_is_small },
	{ "a connection that was used takes little memory", a_used_idle_connection_is_small },
	{ "a ping without memory closes nothing", a_ping_without_memory_closes_nothing },
	{ "a reset without memory closes the connection", a_reset_without_memory_closes },
};
TAP_TESTS(memory, tests);
