/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-sim-protocols --seeds A-B [--steps N], or --seed S [--steps N] --trace. */
#include "tests/protocols/protocols.h"
#include "tests/sim/step.h"

#include <kolk/http.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <unistd.h>

/* The drivers count deadlines from the world's clock; the linker sees to that (--wrap). */
static struct kolk__sim *clock_of;
uint64_t __wrap_kolk_in_ns(uint64_t ns);
uint64_t __wrap_kolk_in_us(uint64_t us);
uint64_t __wrap_kolk_in_ms(uint64_t ms);

uint64_t __wrap_kolk_in_ns(uint64_t ns)
{
	return kolk__sim_now(clock_of) + ns;
}

uint64_t __wrap_kolk_in_us(uint64_t us)
{
	return kolk__sim_now(clock_of) + us * KOLK_US_NS;
}

uint64_t __wrap_kolk_in_ms(uint64_t ms)
{
	return kolk__sim_now(clock_of) + ms * KOLK_MS_NS;
}

/* What blocks waits for what a loop does: there is one thread, so it lets the world go on. */
static struct world *world_of;
int __wrap_sem_wait(sem_t *sem);
static void turn(struct world *world);

int __wrap_sem_wait(sem_t *sem)
{
	while (sem_trywait(sem) != 0)
		turn(world_of);
	return 0;
}

static void on_wait(void *user)
{
	turn(user);
}

void world_break(struct world *world, const char *law)
{
	if (world->broken == NULL)
		world->broken = law;
}

void world_trace(struct world *world, const char *format, ...)
{
	va_list args;

	if (!world->trace)
		return;
	printf("%8llu %14.6f ms  ", (unsigned long long)world->steps,
	       (double)kolk__sim_now(world->sim) / 1e6);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

static void on_event(void *user, const struct kolk_event *event)
{
	struct world *world = user;

	kolk__sim_record(world->sim, ((uint64_t)event->kind << 8) | (uint64_t)event->reason);
	world_trace(world, "  %s %s connection %llu %s", kolk_event_name(event->kind),
		    kolk_pool_name(event->pool), (unsigned long long)event->connection,
		    event->reason != 0 ? kolk_reason_name(event->reason) : "");
}

/* ---- a world */

static const struct kolk_http_driver_options http_options = { .size = sizeof http_options };
static const struct kolk_http_driver_options http2_options = {
	.size = sizeof http2_options, .protocols = KOLK_HTTP_2_ONLY,
	.ping_interval_ns = 300 * KOLK_MS_NS, .ping_timeout_ns = 200 * KOLK_MS_NS,
};

static const struct kolk_postgres_options pg_options = { .size = sizeof pg_options, .user = "u" };

/* driver NULL = PostgreSQL, which comes with a pool for its cancel requests. */
static struct kolk_key *pool_add(struct world *world, const char *name, const char *address,
				 const struct kolk_driver *driver, const void *options)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *pool = NULL;

	o.name = name;
	o.address = address;
	o.driver = driver != NULL ? driver : kolk_driver_postgres();
	o.driver_user = (void *)(uintptr_t)options;
	o.connections_max = 1 + (uint32_t)below(world, 6);
	o.idle_min = below(world, 2) ? 1 : KOLK_NONE;
	o.circuit_failures = KOLK_NONE;
	o.circuit_percent = 100;
	o.connect_timeout_ns = o.ready_timeout_ns = (10 + below(world, 500)) * KOLK_MS_NS;
	o.idle_timeout_ns = (20 + below(world, 3000)) * KOLK_MS_NS;
	o.ping_interval_ns = (10 + below(world, 1000)) * KOLK_MS_NS;
	o.ping_timeout_ns = (5 + below(world, 200)) * KOLK_MS_NS;
	o.mend_timeout_ns = (5 + below(world, 200)) * KOLK_MS_NS;
	o.lifetime_ns = (100 + below(world, 20000)) * KOLK_MS_NS;
	o.uses_max = below(world, 4) == 0 ? 1 + (uint32_t)below(world, 9) : 0;
	if ((driver != NULL ? kolk_pool_add(world->engine, &o, &pool) :
			      kolk_postgres_pool_add(world->engine, &o, &pool)) != KOLK_OK)
		return NULL;
	return kolk_pool_key(pool);
}

static void faults(struct world *world, bool any)
{
	for (int i = 0; i < KOLK__SIM_FAULT_COUNT; i++)
		kolk__sim_chance(world->sim, (enum kolk__sim_fault)i,
				 any && below(world, 2) && i != KOLK__SIM_JUNK &&
						 i != KOLK__SIM_JUMP && i != KOLK__SIM_RESOLVE ?
					 1u << below(world, i == KOLK__SIM_SHORT ||
								    i == KOLK__SIM_REORDERED ? 16 : 11) : 0);
}

static bool world_open(struct world *world, uint64_t seed)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);

	world->sim = clock_of = kolk__sim_open(seed);
	if (world->sim == NULL)
		return false;
	world_of = world;
	kolk__sim_on_wait(world->sim, on_wait, world);
	peers_forget();
	kolk__sim_peers(world->sim, peers_play, world);
	world->loops = 1 + (uint32_t)below(world, LOOPS_MAX);
	e.loops = world->loops;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.connections_max = e.connections_reserved = 16;
	e.resources_max = 8;
	e.event_mask = KOLK_EVENT_ALL;
	e.on_event = on_event;
	e.event_user = world;
	e.sys = kolk__sim_sys(world->sim);
	if (kolk_engine_create(&e, &world->engine) != KOLK_OK)
		return false;
	for (uint32_t i = 0; i < world->loops; i++)
		if (kolk_loop_step(kolk_engine_loop(world->engine, i), 0) != KOLK_OK ||
		    kolk_http_open(kolk_engine_loop(world->engine, i), NULL, &world->http[i]) != KOLK_OK)
			return false;
	world->mcp_key = pool_add(world, "mcp", "192.0.2.1:8081", kolk_driver_http(), &http_options);
	if (world->mcp_key == NULL || !mcp_open(world, kolk_key_pool(world->mcp_key)))
		return false;
	world->http_key = pool_add(world, "http", "192.0.2.1:80", kolk_driver_http(), &http_options);
	world->http2_key = pool_add(world, "http2", "192.0.2.1:8080", kolk_driver_http(),
				    &http2_options);
	world->redis.size = sizeof world->redis;
	world->redis.resp = kolk_redis_has_resp3() && below(world, 2) ? 3 : 2;
	world->redis_key = pool_add(world, "redis", "192.0.2.1:6379", kolk_driver_redis(),
				    &world->redis);
	world->pg_key = pool_add(world, "postgres", "192.0.2.1:5432", NULL, &pg_options);
	faults(world, seed % 8 != 0);
	return world->http_key != NULL && world->http2_key != NULL && world->redis_key != NULL &&
	       world->pg_key != NULL;
}

/* ---- living */

static void turn(struct world *world)
{
	uint64_t now_ns = kolk__sim_now(world->sim), next_ns;

	for (uint32_t i = 0; i < world->loops; i++)
		if (!sim_loop_step(world->sim, kolk_engine_loop(world->engine, i)))
			world_break(world, "a loop has work that it does not tell its host");
	(void)kolk_engine_maintain(world->engine);
	next_ns = kolk__sim_next(world->sim);
	if (next_ns > now_ns + 20 * KOLK_MS_NS)
		next_ns = now_ns + 1 + below(world, 20 * KOLK_MS_NS);
	if (next_ns > now_ns)
		kolk__sim_pass(world->sim, next_ns - now_ns);
}

static void audit(struct world *world)
{
	const char *law = NULL;

	if (kolk_check(world->engine, &law) != KOLK_OK)
		world_break(world, law);
	if (kolk__sim_broken(world->sim) != NULL)
		world_break(world, kolk__sim_broken(world->sim));
}

static void closed(void *user)
{
	*(struct kolk_http **)user = NULL;
}

/* A client is closed in the middle of everything, and a new one takes its place. */
static void replace_client(struct world *world)
{
	uint32_t which = (uint32_t)below(world, world->loops);

	world_trace(world, "client %u is closed", which);
	world->closing[which] = true;
	(void)kolk_http_close(world->http[which], closed, &world->http[which]);
	for (int t = 0; t < 20000 && world->http[which] != NULL; t++)
		turn(world);
	if (world->http[which] != NULL || kolk_http_open(kolk_engine_loop(world->engine, which), NULL,
				    &world->http[which]) != KOLK_OK)
		world_break(world, "a client does not close");
	world->closing[which] = false;
}

static void step(struct world *world)
{
	uint64_t what = below(world, 16);

	world->steps++;
	if (what < 6)
		turn(world);
	else if (what == 6)
		kolk__sim_pass(world->sim, below(world, KOLK_MS_NS));
	else if (what == 7 && below(world, 64) == 0)
		kolk__sim_outage(world->sim, kolk__sim_now(world->sim) + below(world, KOLK_S_NS));
	else if (what == 8 && below(world, 128) == 0)
		replace_client(world);
	else
		calls_random(world);
	audit(world);
}

/* A new call, whose nonce no peer has met: an earlier one may still be under way to it. */
static void ask_anew(struct world *world, struct call *call,
		     void (*ask)(struct world *, struct call *))
{
	if (!call->pending) {
		*call = (struct call){ .world = world, .nonce = ++world->nonce };
		snprintf(call->text, sizeof call->text, "%llu", (unsigned long long)call->nonce);
		world->executed[call->nonce % NONCES] = 0;
		ask(world, call);
	}
	for (int t = 0; t < 4000 && call->pending; t++)
		turn(world);
}

/* Nothing fails any more: what is under way ends, and both protocols serve again. */
static void rest(struct world *world)
{
	static void (*const ask[])(struct world *, struct call *) = { calls_http, calls_http2,
								      calls_redis, calls_pg, calls_mcp };
	struct call *last[] = { &world->calls[0], &world->calls[1], &world->calls[2],
				&world->calls[3], &world->calls[4] };

	world->calm = true;
	faults(world, false);
	kolk__sim_outage(world->sim, 0);
	for (int i = 0; i < 20000 && calls_pending(world); i++)
		turn(world);
	if (calls_pending(world))
		world_break(world, "a call outlives its deadline");
	for (int i = 0; i < 3000; i++)
		turn(world);
	for (int i = 0; i < 5 && world->broken == NULL; i++) {
		uint64_t answered = world->answered;

		/* the deadline is random and may be short: ask again until it was not */
		for (int n = 0; n < 30 && world->answered == answered; n++) {
			/* the circuit of sessions may be open */
			for (int t = 0; t < 200 && n > 0 && ask[i] == calls_mcp; t++)
				turn(world);
			ask_anew(world, last[i], ask[i]);
		}
		if (world->answered == answered)
			world_break(world, "nothing fails any more, but a protocol does not work");
	}
	audit(world);
}

static void world_close(struct world *world)
{
	const char *left;

	mcp_clients_close(world);
	for (int t = 0; t < 4000; t++)
		turn(world);
	mcp_close(world);
	for (uint32_t i = 0; i < world->loops; i++) {
		(void)kolk_http_close(world->http[i], closed, &world->http[i]);
		for (int t = 0; t < 4000 && world->http[i] != NULL; t++)
			turn(world);
		if (world->http[i] != NULL)
			world_break(world, "a client does not close");
	}
	(void)kolk_engine_drain(world->engine, kolk__sim_now(world->sim) + 100 * KOLK_MS_NS);
	for (int t = 0; t < 4000; t++)
		turn(world);
	if (kolk_engine_destroy(world->engine) != KOLK_OK)
		world_break(world, "a drained engine does not end");
	left = kolk__sim_leaks(world->sim);
	if (left != NULL)
		world_break(world, left);
	kolk__sim_close(world->sim);
}

/* ---- the program */

struct totals {
	uint64_t seeds, steps, asked, answered, cancelled, failed, broken, hash;
};

static void live(uint64_t seed, uint64_t steps, bool trace, struct totals *totals)
{
	struct world *world = calloc(1, sizeof *world);

	if (world == NULL)
		exit(3);
	world->trace = trace;
	if (!world_open(world, seed))
		world_break(world, "a world does not open");
	for (uint64_t i = 0; i < steps && world->broken == NULL; i++)
		step(world);
	if (world->broken == NULL)
		rest(world);
	totals->hash = (totals->hash ^ kolk__sim_hash(world->sim)) * UINT64_C(0x100000001b3);
	if (world->broken == NULL)
		world_close(world);
	if (world->broken != NULL) {
		totals->broken++;
		printf("BROKEN: %s\n  seed %llu, step %llu; replay: kolk-sim-protocols --seed %llu "
		       "--steps %llu --trace\n", world->broken, (unsigned long long)seed,
		       (unsigned long long)world->steps, (unsigned long long)seed,
		       (unsigned long long)steps);
	}
	totals->seeds++;
	totals->steps += world->steps;
	totals->asked += world->asked;
	totals->answered += world->answered;
	totals->cancelled += world->cancelled;
	totals->failed += world->failed;
	free(world);
}

/* Once more, with memory at the same addresses each time: with mbedTLS 3.6 a history depends on them.
 * Where that is forbidden it goes on as it is. */
static void fix_addresses(char **argv)
{
	int now = personality(0xffffffff);

	if (now != -1 && (now & ADDR_NO_RANDOMIZE) == 0 &&
	    personality((unsigned long)now | ADDR_NO_RANDOMIZE) != -1)
		(void)execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
	unsigned long long first = 1, last = 20, steps = 5000;
	struct totals totals = { 0 };
	bool trace = false;

	fix_addresses(argv);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--trace") == 0)
			trace = true;
		else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
			first = last = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--steps") == 0 && i + 1 < argc)
			steps = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seeds") != 0 || i + 1 >= argc ||
			 sscanf(argv[++i], "%llu-%llu", &first, &last) != 2) {
			puts("kolk-sim-protocols --seeds A-B [--steps N] | --seed S [--steps N] --trace");
			return 2;
		}
	}
	for (unsigned long long seed = first; seed <= last; seed++)
		live(seed, steps, trace, &totals);
	printf("seeds:  %llu\nsteps:  %llu\ncalls:  %llu: %llu answered, %llu cancelled, %llu failed\n"
	       "broken: %llu\nhash: %016llx\n", (unsigned long long)totals.seeds,
	       (unsigned long long)totals.steps, (unsigned long long)totals.asked,
	       (unsigned long long)totals.answered, (unsigned long long)totals.cancelled,
	       (unsigned long long)totals.failed, (unsigned long long)totals.broken,
	       (unsigned long long)totals.hash);
	return totals.broken != 0;
}
