/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-unit [part of the name of a test, or of its file]: each source file alone, in a simulated
 * world without faults. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/lock.h"
#include "tests/kit/tap.h"

static void turn(void *user)
{
	struct fixture *fix = user;

	fixture_run(fix, KOLK_MS_NS);
}

int fixture_open(void **state)
{
	struct fixture *fix = calloc(1, sizeof *fix);
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);

	fix->sim = kolk__sim_open(1);
	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.connections_max = 8;
	e.sys = kolk__sim_sys(fix->sim);
	p.name = "test";
	p.address = "192.0.2.1:7";
	p.connections_max = 4;
	kolk__sim_on_wait(fix->sim, turn, fix);
	*state = fix;
	if (kolk_engine_create(&e, &fix->engine) != KOLK_OK ||
	    kolk_pool_add(fix->engine, &p, &fix->pool) != KOLK_OK)
		return -1;
	fix->key = kolk_pool_key(fix->pool);
	return 0;
}

int fixture_close(void **state)
{
	struct fixture *fix = *state;
	const char *law = NULL;
	int wrong = kolk_check(fix->engine, &law) != KOLK_OK;

	if (law != NULL)
		print_message("BROKEN: %s\n", law);
	wrong += kolk_engine_destroy(fix->engine) != KOLK_OK;
	wrong += kolk__sim_broken(fix->sim) != NULL || kolk__sim_leaks(fix->sim) != NULL;
	kolk__sim_close(fix->sim);
	free(fix);
	return wrong;
}

void fixture_run(struct fixture *fix, uint64_t ns)
{
	uint64_t end_ns = kolk__sim_now(fix->sim) + ns;

	while (kolk__sim_now(fix->sim) < end_ns) {
		(void)kolk_loop_step(kolk_engine_loop(fix->engine, 0), 0);
		(void)kolk_engine_maintain(fix->engine);
		kolk__sim_pass(fix->sim, 100 * KOLK_US_NS);
	}
}

struct kolk_pool *pool_of(struct fixture *fix, const struct kolk_pool_options *o)
{
	struct kolk_pool *pool;

	assert_int_equal(kolk_pool_add(fix->engine, o, &pool), KOLK_OK);
	return pool;
}

struct kolk_key *key_with(struct kolk_pool *pool, struct kolk_key_options o)
{
	struct kolk_key *key = NULL;

	o.size = o.size != 0 ? o.size : (uint32_t)sizeof o;
	if (o.credential != NULL && o.credential_size == 0)
		o.credential_size = (uint32_t)strlen(o.credential);
	assert_int_equal(kolk_key_open(pool, &o, &key), KOLK_OK);
	return key;
}

struct kolk_key *key_of(struct kolk_pool *pool, const char *tenant)
{
	return key_with(pool, (struct kolk_key_options){ .tenant = tenant });
}

static enum kolk_err thing_create(void *user, void **thing)
{
	static int one;

	(void)user;
	*thing = &one;
	return KOLK_OK;
}

const struct kolk_resource_driver unit_things = { .size = sizeof unit_things, .name = "thing",
						  .create = thing_create };

struct kolk_stats stats_of(struct kolk_pool *pool)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_pool_stats(pool, &stats), KOLK_OK);
	return stats;
}

struct kolk_pool_info info_of(struct kolk_pool *pool)
{
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);

	assert_int_equal(kolk_pool_inspect(pool, &info), KOLK_OK);
	return info;
}

/* ---- another thread */

void accesses_are_not_seen(void **state)
{
	(void)state;
	SKIP_BECAUSE("accesses are seen where assertions are checked");
}

#ifdef KOLK__ASSERTIONS
static struct intruder waiting;

static void before_access(void)
{
	if ((!waiting.any_lock && kolk__locks_held() != 0) || waiting.place-- > 0)
		return;
	kolk__on_access = NULL;
	waiting.act(waiting.user);
}

bool intruder_waits(const struct intruder *intruder)
{
	waiting = *intruder;
	kolk__on_access = before_access;
	return true;
}

bool intruder_came(void)
{
	bool came = kolk__on_access == NULL;

	kolk__on_access = NULL;
	return came;
}
#else
bool intruder_waits(const struct intruder *intruder)
{
	(void)intruder;
	return false;
}

bool intruder_came(void)
{
	return false;
}
#endif

int main(int argc, char **argv)
{
	return cmocka_suites_run(argc > 1 ? argv[1] : NULL);
}
