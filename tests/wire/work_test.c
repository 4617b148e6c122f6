/* SPDX-License-Identifier: Apache-2.0 */
/* work_test.c - work.c: what blocks does not hold up other work while there may be one more
 * thread. */
#include <kolk/sys/sys.h>

#include "core/base/atomic.h"
#include "tests/wire/wire.h"

enum { TOGETHER = 2, MEET_MS = 2000 };

struct meeting {
	struct kolk_op op[TOGETHER];
	kolk__atomic_u32 inside, met;
	uint32_t ended;
};

static void meet(struct kolk_op *op)
{
	struct meeting *meeting = op->owner;

	kolk__add_acq_rel(&meeting->inside, 1);
	if (WITHIN_MS(MEET_MS, kolk__load_acquire(&meeting->inside) == TOGETHER))
		kolk__add_acq_rel(&meeting->met, 1);
}

static void nothing(struct kolk_op *op)
{
	(void)op;
}

static void ended(struct kolk_op *op)
{
	((struct meeting *)op->owner)->ended++;
}

static void submit(const struct kolk_sys *sys, struct kolk_ring *ring, struct meeting *meeting,
		   uint32_t which, void (*work)(struct kolk_op *op))
{
	meeting->op[which] = (struct kolk_op){ .kind = KOLK_OP_WORK, .fd = -1, .work = work,
					       .done = ended, .owner = meeting };
	sys->ring_submit(ring, &meeting->op[which]);
}

static bool run_until(const struct kolk_sys *sys, struct kolk_ring *ring,
		      const struct meeting *meeting, uint32_t count)
{
	return WITHIN_MS(10000, sys->ring_step(ring, KOLK_MS_NS) >= 0 && meeting->ended == count);
}

/* One thread is idle, and was signalled for the first; it is not awake when the second comes. */
static void idle_thread_has_work(void)
{
	const struct kolk_sys *sys = kolk_sys_linux();
	struct meeting meeting = { .ended = 0 };
	const char *name, *why;
	struct kolk_ring *ring;

	MUST(sys->ring_open(sys->context, wire_backend, &ring, &name, &why) == KOLK_OK);
	for (int i = 0; i < 10; i++) {
		meeting = (struct meeting){ .ended = 0 };
		submit(sys, ring, &meeting, 0, nothing);
		CHECK(run_until(sys, ring, &meeting, 1));
		tap_nap(); /* it goes to sleep again */
		for (uint32_t k = 0; k < TOGETHER; k++)
			submit(sys, ring, &meeting, k, meet);
		CHECK(run_until(sys, ring, &meeting, 1 + TOGETHER));
		CHECK(kolk__load_acquire(&meeting.met) == TOGETHER);
	}
	sys->ring_close(ring);
}

static const struct tap_test tests[] = {
	{ "work that blocks does not hold up other work", idle_thread_has_work },
};
TAP_TESTS(work, tests);
