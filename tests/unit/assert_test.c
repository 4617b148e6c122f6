/* SPDX-License-Identifier: Apache-2.0 */
/* assert_test.c - core/base/assert.h, lock.h, mailbox.h: what is wrong does stop. */
#include "tests/unit/unit.h"

#include <sys/wait.h>
#include <unistd.h>

#include "core/acquire.h"
#include "core/effects.h"
#include "core/event.h"
#include "core/pool.h"
#include "core/release.h"
#include "core/wait.h"

#ifdef KOLK__ASSERTIONS
enum { STOPPED = 42 };

static void stop(const char *text, const char *file, int line)
{
	(void)text;
	(void)file;
	(void)line;
	_exit(STOPPED);
}

/* In a child of this process, an engine of its own, which is left as it is. */
static bool stops(void (*wrong)(struct fixture *fix, struct kolk__conn *conn))
{
	struct kolk_lease lease;
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		struct fixture *fix;
		void *state;

		kolk__fatal = stop;
		if (fixture_open(&state) != 0)
			_exit(1);
		fix = state;
		if (kolk_acquire(fix->key, kolk__sim_now(fix->sim) + KOLK_S_NS, &lease) != KOLK_OK)
			_exit(1);
		wrong(fix, lease.connection);
		_exit(0);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	       WEXITSTATUS(status) == STOPPED;
}

static void falling_rank(struct fixture *fix, struct kolk__conn *conn)
{
	(void)conn;
	kolk__take_lock(fix->engine, &fix->key->lock);
	kolk__take_lock(fix->engine, &fix->pool->lock);
}

static void two_leaf_locks(struct fixture *fix, struct kolk__conn *conn)
{
	(void)conn;
	kolk__take_lock(fix->engine, &fix->engine->accounting);
	kolk__take_lock(fix->engine, &fix->engine->maintain.lock);
}

static void twice_the_same(struct fixture *fix, struct kolk__conn *conn)
{
	(void)conn;
	kolk__take_lock(fix->engine, &fix->key->lock);
	kolk__take_lock(fix->engine, &fix->key->lock);
}

static void returned_unheld(struct fixture *fix, struct kolk__conn *conn)
{
	(void)conn;
	kolk__give_lock(fix->engine, &fix->key->lock);
}

static void without_the_lock(struct fixture *fix, struct kolk__conn *conn)
{
	KOLK__EFFECTS(effects);

	(void)conn;
	kolk__effects_begin(&effects, fix->engine);
	kolk__dispatch_waiters(fix->key, &effects);
	kolk__effects_run(&effects);
}

static void effects_forgotten(struct fixture *fix, struct kolk__conn *conn)
{
	KOLK__EFFECTS(effects);

	(void)conn;
	kolk__key_lock(fix->key, &effects, kolk__sim_now(fix->sim));
	kolk__effects_settle(&effects);
}

static void effects_twice(struct fixture *fix, struct kolk__conn *conn)
{
	KOLK__EFFECTS(effects);

	(void)conn;
	kolk__key_lock(fix->key, &effects, kolk__sim_now(fix->sim));
	kolk__key_unlock(&effects);
	kolk__effects_run(&effects);
}

static void log_under_a_lock(struct fixture *fix, struct kolk__conn *conn)
{
	(void)conn;
	kolk__take_lock(fix->engine, &fix->key->lock);
	kolk__log(fix->engine, KOLK_LOG_INFO, "test", "told");
}

static void out_of_the_wrong_state(struct fixture *fix, struct kolk__conn *conn)
{
	(void)fix;
	kolk__conn_set(conn, KOLK__FREE);
}

static void in_the_wrong_state(struct fixture *fix, struct kolk__conn *conn)
{
	(void)fix;
	kolk__retire(conn, KOLK_REASON_DISCARDED);
}

static void outside_of_a_turn(struct fixture *fix, struct kolk__conn *conn)
{
	(void)fix;
	kolk__on_peer_closed(conn, KOLK_REASON_PEER_CLOSED);
}

static void nothing(struct kolk__task *task)
{
	(void)task;
}

static void posted_twice(struct fixture *fix, struct kolk__conn *conn)
{
	struct kolk__task task = { .run = NULL };

	(void)fix;
	kolk__post(kolk__home(conn), &task, nothing);
	kolk__post(kolk__home(conn), &task, nothing);
}

static void nothing_wrong(struct fixture *fix, struct kolk__conn *conn)
{
	KOLK__EFFECTS(effects);

	(void)conn;
	kolk__effects_begin(&effects, fix->engine);
	kolk__take_lock(fix->engine, &fix->pool->lock);
	kolk__effects_key(&effects, fix->key);
	effects.todo |= KOLK__DISPATCH;
	kolk__effects_settle(&effects);
	kolk__give_lock(fix->engine, &fix->pool->lock);
	kolk__effects_run(&effects);
}

static void what_is_wrong_stops(void **state)
{
	(void)state;
	assert_true(stops(falling_rank));
	assert_true(stops(two_leaf_locks));
	assert_true(stops(twice_the_same));
	assert_true(stops(returned_unheld));
	assert_true(stops(without_the_lock));
	assert_true(stops(effects_forgotten));
	assert_true(stops(effects_twice));
	assert_true(stops(log_under_a_lock));
	assert_true(stops(out_of_the_wrong_state));
	assert_true(stops(in_the_wrong_state));
	assert_true(stops(outside_of_a_turn));
	assert_true(stops(posted_twice));
	assert_false(stops(nothing_wrong));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(what_is_wrong_stops),
};

CMOCKA_TESTS(assert, tests);
#endif /* else nothing of it is in this build */
