/* SPDX-License-Identifier: Apache-2.0 */
/* loop_tasks_test.c - loop_tasks.c: tasks run in order, and one is taken back at a constant cost. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <time.h>

#include "core/engine.h"

/* ---- tasks */

enum { TASKS = 8 };

struct noted {
	struct kolk__task task;
	int *count, order;
};

static void note(struct kolk__task *task)
{
	struct noted *noted = (struct noted *)(void *)task;

	noted->order = ++*noted->count;
}

static void run_tasks(struct kolk_loop *loop)
{
	struct kolk_loop *outer = kolk__loop_enter(loop);

	(void)kolk__tasks_run(loop);
	(void)kolk__loop_enter(outer);
}

/* Of the first, of one in the middle and of the last, in this order; some were taken from the
 * mailbox by the first of them, others come after that. */
static void cancelled_tasks_do_not_run(void **state)
{
	struct fixture *fix = *state;
	struct kolk_loop *loop = kolk_engine_loop(fix->engine, 0);
	struct noted tasks[TASKS] = { 0 };
	int count = 0;

	assert_true(kolk__is_owner(loop));
	for (int i = 0; i < TASKS; i++)
		tasks[i].count = &count;
	for (int i = 0; i < TASKS - 2; i++)
		kolk__post(loop, &tasks[i].task, note);
	kolk__task_cancel(loop, &tasks[0].task);
	kolk__post(loop, &tasks[TASKS - 2].task, note);
	kolk__post(loop, &tasks[TASKS - 1].task, note);
	kolk__task_cancel(loop, &tasks[3].task);
	kolk__task_cancel(loop, &tasks[TASKS - 1].task);
	kolk__post(loop, &tasks[0].task, note);
	run_tasks(loop);
	assert_int_equal(count, TASKS - 2);
	assert_int_equal(tasks[1].order, 1);
	assert_int_equal(tasks[2].order, 2);
	assert_int_equal(tasks[3].order, 0);
	assert_int_equal(tasks[4].order, 3);
	assert_int_equal(tasks[TASKS - 2].order, 5);
	assert_int_equal(tasks[0].order, 6);
}

/* ---- what it costs */

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * KOLK_S_NS + (uint64_t)now.tv_nsec;
}

/* The last first, as they would be found last. Per task, the least of three. */
static uint64_t cancel_ns(struct kolk_loop *loop, uint64_t count)
{
	struct noted *tasks = calloc(count, sizeof *tasks);
	uint64_t least_ns = UINT64_MAX;

	assert_non_null(tasks);
	for (int round = 0; round < 3; round++) {
		uint64_t begin_ns = cpu_ns(), ns;

		for (uint64_t i = 0; i < count; i++)
			kolk__post(loop, &tasks[i].task, note);
		for (uint64_t i = count; i > 0; i--)
			kolk__task_cancel(loop, &tasks[i - 1].task);
		ns = (cpu_ns() - begin_ns) / count;
		least_ns = ns < least_ns ? ns : least_ns;
	}
	free(tasks);
	return least_ns;
}

/* With 40 times as many it was 40 times as much. */
static void a_cancel_costs_the_same_among_many(void **state)
{
	struct fixture *fix = *state;
	struct kolk_loop *loop = kolk_engine_loop(fix->engine, 0);
	uint64_t few_ns, many_ns;

	assert_true(kolk__is_owner(loop));
	few_ns = cancel_ns(loop, 500);
	many_ns = cancel_ns(loop, 20000);
	assert_in_range(many_ns, 0, 8 * (few_ns + 10));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(cancelled_tasks_do_not_run, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(a_cancel_costs_the_same_among_many, fixture_open,
					fixture_close),
};

CMOCKA_TESTS(loop_tasks, tests);
