/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random.c - kolk-fault --random: memory runs out at random under load, for seconds.
 *
 * Each round opens an engine with pools of every kind. Threads and callers on its loops lease,
 * send and receive, and release; another thread adds, rotates, updates and closes pools, while one
 * of 2 000, 200 or 20 allocations fails. Then memory is back. The invariants:
 *
 *   a) every call ends soon after its deadline, with success or an error of the table below;
 *   b) when memory is back, every pool serves again;
 *   c) the audit holds, the engine is destroyed, no block and no descriptor is left.
 *
 * A call that does not end is reported with the process id; KOLK_FAULT_HOLD=1 keeps the process
 * for a debugger.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kolk/kolk.h>

#include "core/base/atomic.h"
#include "tests/fault/fault.h"
#include "tests/kit/tap.h"

enum { POOLS = 6, THREADS = 3, FIBRES = 4, CALLERS = THREADS + FIBRES + 1 };
enum { CALL_MS = 1000, LATE_MS = 6000, ROUND_MS = 1500, SERVES_AGAIN_MS = 8000 };
enum { ERRORS = 128, LINE_BYTES = 60000 };

/* One that makes calls, and what it is in: the main thread looks whether it comes out. */
struct caller {
	struct world *world;
	struct kolk_pool *pool;        /* that it uses now */
	pthread_t thread;
	uint64_t random;
	KOLK__ATOMIC(const char *) doing; /* NULL = nothing */
	kolk__atomic_u64 late_ms;      /* when that has to be over */
	/* a fibre's, on a loop of the engine */
	struct kolk_loop *loop;
	struct kolk_call call;
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	struct kolk_io io;
	char answer[4096];
	size_t size, got;
	kolk__atomic_u32 pending;
};

struct world {
	struct kolk_engine *engine;
	struct kolk_pool *pools[POOLS];
	struct caller callers[CALLERS];
	kolk__atomic_u32 stop;
	uint32_t round;
	uint64_t seed;
};

static kolk__atomic_u64 errors_seen[ERRORS]; /* calls by their error */

/* ---- what a call may say */

static bool is_honest(enum kolk_err err)
{
	switch (err) {
	case KOLK_OK:
	case KOLK_E_MEMORY:
	case KOLK_E_TIMEOUT:   /* the pool backs off, or the call waited for one that failed */
	case KOLK_E_CLOSED:    /* the pool was closed or the connection rotated under it */
	case KOLK_E_ROTATED:
	case KOLK_E_DRAINING:
	case KOLK_E_CANCELLED: /* a fibre cancels some of its receives */
		return true;
	default:
		return false;
	}
}

static uint64_t below(struct caller *caller, uint64_t bound)
{
	uint64_t z = caller->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	return (z ^ z >> 31) % bound;
}

static void begin(struct caller *caller, const char *doing, uint64_t ms)
{
	kolk__store_relaxed(&caller->late_ms, tap_now_ms() + ms + LATE_MS);
	kolk__store_release(&caller->doing, doing);
}

static enum kolk_err end(struct caller *caller, enum kolk_err err)
{
	const char *doing = kolk__own(&caller->doing);

	kolk__add_relaxed(&errors_seen[-(int)err], 1);
	kolk__store_release(&caller->doing, NULL);
	if (!CHECK(is_honest(err)))
		tap_note("%s: %s, pool %s", doing, kolk_err_name(err),
			 caller->pool != NULL ? kolk_pool_name(caller->pool) : "none");
	return err;
}

/* ---- pools of every kind */

static enum kolk_err pool_add(struct world *world, uint32_t kind, const char *name,
			      struct kolk_pool **pool)
{
	static const char *const command[] = { "/bin/cat", NULL };
	struct kolk_child_options child = KOLK_INIT(kolk_child_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options t = KOLK_INIT(kolk_tls_options);
	bool with_tls = kind == 1 || kind == 2;
	char address[64];

	o.hopeless_waits = 1; /* a lease is held for so long that a wait may look hopeless */
	snprintf(address, sizeof address, "%s:%u", kind == 3 ? "localhost" : "127.0.0.1",
		 with_tls ? fault_tls : fault_plain);
	t.ca_file = fault_ca_path;
	child.command = command;
	child.stop_timeout_ns = child.term_timeout_ns = 100 * KOLK_MS_NS;
	o.name = name;
	o.address = kind != 5 ? address : NULL;
	o.child = kind == 5 ? &child : NULL;
	o.tls = with_tls ? &t : NULL;
	o.driver = kind < 2 || kind == 4 ? kolk_driver_redis_ping() : NULL;
	o.connections_max = 4;
	o.uses_max = 10;
	o.idle_timeout_ns = 200 * KOLK_MS_NS;
	o.ping_interval_ns = 20 * KOLK_MS_NS;
	o.retry_interval_ns = 2 * KOLK_MS_NS;
	o.retry_max_ns = 20 * KOLK_MS_NS;
	return kolk_pool_add(world->engine, &o, pool);
}

static struct kolk_key *pick_key(struct caller *caller)
{
	caller->pool = caller->world->pools[below(caller, POOLS)];
	return kolk_pool_key(caller->pool);
}

/* A line to be echoed: its last bytes, mostly few. */
static char line[LINE_BYTES];

static const char *pick_line(struct caller *caller, size_t *size)
{
	*size = 1 + below(caller, below(caller, 8) == 0 ? LINE_BYTES : 64);
	return line + LINE_BYTES - *size;
}

/* ---- threads: the blocking calls */

static enum kolk_err echo(struct caller *caller, const struct kolk_lease *lease)
{
	size_t got = 0, wanted, size;
	const char *text = pick_line(caller, &wanted);
	char answer[4096];
	enum kolk_err err;

	begin(caller, "send", CALL_MS);
	err = end(caller, kolk_send_all(lease, text, wanted, kolk_in_ms(CALL_MS)));
	while (err == KOLK_OK && got < wanted) {
		begin(caller, "receive", CALL_MS);
		err = end(caller, kolk_recv(lease, answer, sizeof answer, kolk_in_ms(CALL_MS),
					    &size));
		CHECK(size <= wanted - got && memcmp(answer, text + got, size) == 0);
		got += size;
	}
	return err;
}

static enum kolk_err request(struct caller *caller, struct kolk_key *key)
{
	struct kolk_lease lease;
	enum kolk_err err;

	begin(caller, "acquire", CALL_MS);
	err = end(caller, kolk_acquire(key, kolk_in_ms(CALL_MS), &lease));
	if (err != KOLK_OK)
		return err;
	err = below(caller, 16) == 0 ? KOLK_OK : echo(caller, &lease);
	begin(caller, "release", CALL_MS);
	(void)end(caller, err == KOLK_OK && below(caller, 16) != 0 ? kolk_release(&lease) :
								     kolk_discard(&lease));
	return err;
}

static void *thread_main(void *arg)
{
	struct caller *caller = arg;

	fault_spare_me();
	while (!kolk__load_acquire(&caller->world->stop))
		(void)request(caller, pick_key(caller));
	return NULL;
}

/* ---- fibres: the asynchronous calls, on the engine's loops */

static void fibre_next(struct caller *caller);

static void fibre_done(struct caller *caller, enum kolk_err err)
{
	begin(caller, "release on a loop", CALL_MS);
	(void)end(caller, err == KOLK_OK ? kolk_release(&caller->lease) :
					   kolk_discard(&caller->lease));
	fibre_next(caller);
}

static void fibre_receive(struct caller *caller);

static void fibre_received(void *user, enum kolk_err err, size_t size)
{
	struct caller *caller = user;

	CHECK(size <= caller->size - caller->got &&
	      memcmp(caller->answer, line + LINE_BYTES - caller->size + caller->got, size) == 0);
	caller->got += size;
	(void)end(caller, err);
	if (err == KOLK_OK && caller->got < caller->size)
		fibre_receive(caller);
	else
		fibre_done(caller, err);
}

static void fibre_receive(struct caller *caller)
{
	enum kolk_err err;

	begin(caller, "receive on a loop", CALL_MS);
	err = kolk_recv_async(caller->loop, &caller->lease, &caller->io, caller->answer,
			      sizeof caller->answer, kolk_in_ms(CALL_MS), fibre_received, caller);
	if (err != KOLK_PENDING)
		fibre_received(caller, err, 0);
	else if (below(caller, 32) == 0)
		(void)kolk_io_cancel(&caller->io);
}

static void fibre_sent(void *user, enum kolk_err err, size_t size)
{
	struct caller *caller = user;

	(void)size;
	(void)end(caller, err);
	caller->got = 0;
	if (err == KOLK_OK)
		fibre_receive(caller);
	else
		fibre_done(caller, err);
}

static void fibre_acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct caller *caller = user;
	const char *text = pick_line(caller, &caller->size);

	(void)end(caller, err);
	if (err != KOLK_OK) {
		fibre_next(caller);
		return;
	}
	caller->lease = *lease;
	begin(caller, "send on a loop", CALL_MS);
	err = kolk_send_async(caller->loop, &caller->lease, &caller->io, text, caller->size,
			      kolk_in_ms(CALL_MS), fibre_sent, caller);
	if (err != KOLK_PENDING)
		fibre_sent(caller, err, 0);
}

static void fibre_run(struct kolk_call *call, void *user)
{
	struct caller *caller = user;
	enum kolk_err err;

	(void)call;
	if (kolk__load_acquire(&caller->world->stop)) {
		kolk__store_release(&caller->pending, 0);
		return;
	}
	begin(caller, "acquire on a loop", CALL_MS);
	err = kolk_acquire_async(caller->loop, pick_key(caller), kolk_in_ms(CALL_MS),
				 &caller->acquire, fibre_acquired, caller);
	if (err != KOLK_PENDING)
		fibre_acquired(caller, err, &caller->acquire.lease);
}

/* By a call, not at once: so no chain of hits grows the stack. */
static void fibre_next(struct caller *caller)
{
	(void)kolk_loop_call(caller->loop, &caller->call, fibre_run, caller);
}

/* ---- the thread that changes the pools */

static void short_lived_pool(struct caller *caller)
{
	struct kolk_pool *pool;
	uint32_t kind = (uint32_t)below(caller, POOLS);
	enum kolk_err err;

	caller->pool = NULL;
	begin(caller, "add a pool", CALL_MS);
	err = end(caller, pool_add(caller->world, kind, "short-lived", &pool));
	if (err != KOLK_OK)
		return;
	caller->pool = pool;
	(void)request(caller, kolk_pool_key(pool));
	caller->pool = NULL;
	begin(caller, "close a pool", 1000 + CALL_MS);
	err = end(caller, kolk_pool_close(pool, kolk_in_ms(below(caller, 50))));
	CHECK_ERR(err, KOLK_OK);
}

static void tenant_request(struct caller *caller)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	struct kolk_pool *pool = caller->world->pools[below(caller, POOLS)];
	struct kolk_key *key;
	char tenant[16];

	snprintf(tenant, sizeof tenant, "t%llu", (unsigned long long)below(caller, 8));
	o.tenant = tenant;
	caller->pool = pool;
	begin(caller, "open a key", CALL_MS);
	if (end(caller, kolk_key_open(pool, &o, &key)) != KOLK_OK)
		return;
	(void)request(caller, key);
	if (below(caller, 2) == 0)
		(void)kolk_tenant_rotate(caller->world->engine, tenant);
	kolk_key_close(key);
}

static void manage(struct caller *caller)
{
	struct kolk_pool *pool = caller->world->pools[below(caller, POOLS)];
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	caller->pool = pool;
	switch (below(caller, 8)) {
	case 0:
		(void)kolk_pool_clear(pool);
		break;
	case 1:
		(void)kolk_pool_rotate(pool);
		break;
	case 2:
		begin(caller, "warm", CALL_MS);
		(void)end(caller, kolk_pool_warm(pool, kolk_in_ms(CALL_MS)));
		break;
	case 3:
		begin(caller, "statistics", CALL_MS);
		(void)end(caller, kolk_pool_stats(pool, &stats));
		break;
	case 4:
	case 5:
		short_lived_pool(caller);
		break;
	default:
		tenant_request(caller);
	}
}

static void *manager_main(void *arg)
{
	struct caller *caller = arg;

	fault_spare_me();
	while (!kolk__load_acquire(&caller->world->stop)) {
		manage(caller);
		usleep(2000);
	}
	return NULL;
}

/* ---- a round */

/* No thread may be in a call for longer than its bound: a call that hangs is reported, and the
 * program ends, because nothing else will end it. */
static void check_progress(struct world *world)
{
	for (int i = 0; i < CALLERS; i++) {
		struct caller *caller = &world->callers[i];
		const char *doing = kolk__load_acquire(&caller->doing);

		if (doing == NULL || tap_now_ms() < kolk__load_relaxed(&caller->late_ms))
			continue;
		printf("not ok - random: caller %d stands in: %s\nBail out! it hangs (process %d)\n",
		       i, doing, (int)getpid());
		if (getenv("KOLK_FAULT_HOLD") != NULL)
			pause();
		_exit(1);
	}
}

static void watch_for(struct world *world, uint64_t ms)
{
	for (uint64_t until = tap_now_ms() + ms; tap_now_ms() < until; usleep(20000))
		check_progress(world);
}

static bool callers_start(struct world *world)
{
	bool started = true;

	for (int i = 0; i < CALLERS; i++) {
		struct caller *caller = &world->callers[i];

		*caller = (struct caller){ .world = world, .random = world->seed + world->round *
								    CALLERS + (uint64_t)i };
		if (i < FIBRES) {
			caller->loop = kolk_engine_loop(world->engine, (uint32_t)i % 2);
			kolk__store_relaxed(&caller->pending, 1);
			fibre_next(caller);
		} else {
			started = started && pthread_create(&caller->thread, NULL,
							    i == FIBRES ? manager_main :
									  thread_main,
							    caller) == 0;
		}
	}
	return CHECK(started);
}

static void callers_stop(struct world *world)
{
	kolk__store_release(&world->stop, 1);
	for (int i = 0; i < CALLERS; i++) {
		struct caller *caller = &world->callers[i];

		while (kolk__load_acquire(&caller->pending))
			watch_for(world, 1);
		while (i >= FIBRES && pthread_tryjoin_np(caller->thread, NULL) != 0)
			watch_for(world, 1);
	}
}

/* Invariant b. The error of an earlier dial is reported to one caller, so the first may fail. */
static void serves_again(struct world *world)
{
	struct caller caller = { .world = world };

	for (int i = 0; i < POOLS; i++) {
		enum kolk_err err = KOLK_E_MEMORY;

		caller.pool = world->pools[i];
		for (uint64_t until = tap_now_ms() + SERVES_AGAIN_MS;
		     err != KOLK_OK && tap_now_ms() < until;)
			err = request(&caller, kolk_pool_key(caller.pool));
		if (!CHECK_ERR(err, KOLK_OK))
			tap_note("pool %s does not serve again", kolk_pool_name(caller.pool));
	}
}

static bool world_open(struct world *world, uint32_t backend)
{
	static const char *const names[POOLS] = { "ping", "ping over TLS", "raw over TLS",
						  "by name", "ping too", "children" };
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);

	o.loops = 2;
	o.backend = backend;
	o.connections_max = 64;
	o.tenant_connections_max = 64;
	o.maintenance_interval_ns = 50 * KOLK_MS_NS;
	o.sys = fault_sys;
	o.log_level = KOLK_LOG_WARN;
	o.on_log = fault_on_log;
	if (!CHECK_ERR(kolk_engine_create(&o, &world->engine), KOLK_OK))
		return false;
	for (uint32_t i = 0; i < POOLS; i++)
		if (!CHECK_ERR(pool_add(world, i, names[i], &world->pools[i]), KOLK_OK))
			return false;
	return true;
}

static void live(struct world *world)
{
	static const uint32_t one_of[] = { 20, 200, 2000 };
	const char *law = NULL;

	fault_random(world->seed + world->round, one_of[world->round % 3]);
	if (!callers_start(world))
		return;
	watch_for(world, ROUND_MS);
	fault_random(0, 0);
	watch_for(world, ROUND_MS / 5);
	callers_stop(world);
	serves_again(world);
	if (!CHECK_ERR(kolk_check(world->engine, &law), KOLK_OK))
		tap_note("broken: %s", law);
}

static uint32_t descriptors(void)
{
	DIR *open = opendir("/proc/self/fd");
	uint32_t count = 0;

	while (open != NULL && readdir(open) != NULL)
		count++;
	if (open != NULL)
		closedir(open);
	return count;
}

static void round_run(struct world *world, uint32_t backend)
{
	struct caller *watched = &world->callers[0];

	kolk__store_relaxed(&world->stop, 0);
	if (world_open(world, backend))
		live(world);
	if (world->engine == NULL)
		return;
	begin(watched, "destroy", 0);
	CHECK_ERR(kolk_engine_destroy(world->engine), KOLK_OK);
	kolk__store_release(&watched->doing, NULL);
}

static void report(void)
{
	for (int i = 0; i < ERRORS; i++)
		if (kolk__own(&errors_seen[i]) != 0)
			tap_note("%llu calls: %s", (unsigned long long)kolk__own(&errors_seen[i]),
				 kolk_err_name((enum kolk_err)-i));
	tap_note("%llu allocations failed", (unsigned long long)fault_failed());
}

static struct world world;
static uint32_t chosen_backend;
static uint64_t chosen_seconds;

static void run(void)
{
	uint64_t until = tap_now_ms() + chosen_seconds * 1000;
	uint32_t fds = 0;

	for (; tap_now_ms() < until && !tap_is_failing(); world.round++) {
		int64_t before = fault_live();

		round_run(&world, chosen_backend);
		CHECK(fault_live() == before);
		if (world.round > 0) /* the first may leave what a library keeps */
			CHECK(descriptors() == fds);
		fds = descriptors();
	}
	tap_note("%u rounds, seed %llu", world.round, (unsigned long long)world.seed);
	report();
	CHECK(fault_failed() > 0);
}

int fault_random_run(uint32_t backend, uint64_t seconds, uint64_t seed)
{
	const char *suite = backend == KOLK_BACKEND_IO_URING ? "random io_uring" : "random epoll";
	const char *refused = backend == KOLK_BACKEND_IO_URING ? tap_io_uring_refused() : NULL;
	static const struct tap_test test = { "memory runs out at random", run };
	size_t ran = 0;

	if (refused != NULL)
		return tap_skip_all(suite, refused);
	chosen_backend = backend;
	chosen_seconds = seconds;
	world.seed = seed;
	memset(line, 'x', LINE_BYTES - 1);
	line[LINE_BYTES - 1] = '\n';
	return tap_run(suite, &test, 1, NULL, &ran);
}
