/* SPDX-License-Identifier: Apache-2.0 */
/* child_answer_test.c - whose answer is it? A child that echoes lines, callers that leave at any
 * instant. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/base/atomic.h"
#include "tests/wire/child.h"

struct echo { /* a session: bytes that are still to come back */
	uint64_t owed;
};

static enum kolk_err echo_reset(void *user, void *session, struct kolk_exchange *exchange)
{
	(void)user;
	(void)session;
	(void)exchange;
	return KOLK_PENDING;
}

static enum kolk_err echo_feed(void *user, void *session, struct kolk_exchange *exchange,
			       const void *data, size_t size)
{
	struct echo *echo = session;

	(void)user;
	(void)exchange;
	(void)data;
	if (size > echo->owed)
		return KOLK_E_PROTOCOL;
	echo->owed -= size;
	return echo->owed == 0 ? KOLK_OK : KOLK_PENDING;
}

static enum kolk_err echo_clean(void *user, void *session)
{
	const struct echo *echo = session;

	(void)user;
	return echo->owed == 0 ? KOLK_OK : KOLK_PENDING;
}

static const struct kolk_driver echo_driver = {
	.size = sizeof echo_driver, .session_bytes = sizeof(struct echo), .name = "echo",
	.mend = echo_reset, .feed = echo_feed, .clean = echo_clean
};

static enum kolk_err owe(void *user, void *session)
{
	((struct echo *)session)->owed += (uint64_t)*(int64_t *)user;
	return KOLK_OK;
}

static void account(const struct kolk_lease *lease, int64_t bytes)
{
	CHECK_ERR(kolk_lease_session(lease, &echo_driver, owe, &bytes), KOLK_OK);
}

struct caller {
	pthread_t thread;
	struct kolk_key *key;
	uint64_t requests, id;
	uint64_t answered, left, misrouted, failed;
	uint64_t random;
};

static uint64_t draw(struct caller *caller, uint64_t below)
{
	caller->random = caller->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (caller->random >> 33) % below;
}

/* Some of the answer, all of it, or nothing: the caller leaves when its time is up. */
static void await(struct caller *caller, const struct kolk_lease *lease, const char *line,
		  uint64_t deadline_ns, bool leaves)
{
	size_t size = strlen(line), all = 0, got;
	enum kolk_err err = KOLK_OK;
	char answer[128];

	while (err == KOLK_OK && all < size) {
		err = kolk_recv(lease, answer + all, sizeof answer - all, deadline_ns, &got);
		if (err == KOLK_OK) {
			account(lease, -(int64_t)got);
			all += got;
		}
	}
	if (memcmp(answer, line, all < size ? all : size) != 0 || all > size)
		caller->misrouted++;
	else if (all == size)
		caller->answered++;
	else if (leaves && err == KOLK_E_TIMEOUT)
		caller->left++;
	else
		caller->failed++;
}

static void ask(struct caller *caller, uint64_t number)
{
	bool leaves = draw(caller, 100) < 30;
	struct kolk_lease lease;
	char line[100];
	enum kolk_err err = kolk_acquire(caller->key, kolk_in_ms(20000), &lease);

	snprintf(line, sizeof line, "%llu.%llu.%llx%.*s\n", (unsigned long long)caller->id,
		 (unsigned long long)number, (unsigned long long)caller->random,
		 (int)draw(caller, 40), "----------------------------------------");
	if (err == KOLK_OK)
		err = kolk_send_all(&lease, line, strlen(line), kolk_in_ms(20000));
	if (err != KOLK_OK) {
		caller->failed += err != KOLK_E_CLOSED; /* that one went while it was idle */
		(void)kolk_release(&lease);
		return;
	}
	account(&lease, (int64_t)strlen(line));
	if (!leaves || draw(caller, 2) != 0)
		await(caller, &lease, line,
		      leaves ? kolk_in_us(draw(caller, 10)) : kolk_in_ms(20000), leaves);
	else
		caller->left++;
	if (leaves && draw(caller, 100) == 0)
		CHECK_ERR(kolk_discard(&lease), KOLK_OK);
	else
		CHECK_ERR(kolk_release(&lease), KOLK_OK);
}

static void *call(void *arg)
{
	struct caller *caller = arg;

	for (uint64_t i = 0; i < caller->requests; i++)
		ask(caller, i);
	return NULL;
}

static void nonces(void)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_child_options child = child_of(child_cat);
	struct caller callers[8] = { { .requests = 0 } };
	struct caller sum = { .requests = 0 };
	struct wire w = { 0 };

	o.child = &child;
	o.driver = &echo_driver;
	o.connections_max = 3;
	MUST(wire_engine(&w, NULL) && wire_pool(&w, &o));
	for (uint64_t i = 0; i < 8; i++) {
		callers[i] = (struct caller){ .key = w.key, .id = i, .random = i * 7919 + 1,
					      .requests = wire_nonces / 8 };
		pthread_create(&callers[i].thread, NULL, call, &callers[i]);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(callers[i].thread, NULL);
		sum.answered += callers[i].answered;
		sum.left += callers[i].left;
		sum.misrouted += callers[i].misrouted;
		sum.failed += callers[i].failed;
	}
	tap_note("%llu requests: %llu answered, %llu left, %llu failed, %llu foreign answers; "
		 "%llu children", (unsigned long long)wire_nonces, (unsigned long long)sum.answered,
		 (unsigned long long)sum.left, (unsigned long long)sum.failed,
		 (unsigned long long)sum.misrouted, (unsigned long long)wire_stats(w.pool).created);
	CHECK(sum.misrouted == 0 && sum.failed == 0);
	child_close(&w);
}

/* The same from the loops, where a receive is cancelled at any instant. */
struct loop_caller {
	struct caller c;
	struct kolk_loop *loop;
	struct kolk_call start;
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	struct kolk_io io;
	struct kolk_timer timer;
	char line[100], answer[128];
	size_t all;
	bool leaves;
	kolk__atomic_u32 done;
};

static void loop_caller_acquire(struct loop_caller *r);

static void loop_caller_next(struct loop_caller *r, bool discard)
{
	kolk_timer_stop(&r->timer);
	CHECK_ERR(discard ? kolk_discard(&r->lease) : kolk_release(&r->lease), KOLK_OK);
	r->c.requests--;
	loop_caller_acquire(r);
}

static void loop_caller_timed_out(struct kolk_timer *timer, void *user)
{
	struct loop_caller *r = user;

	(void)timer;
	CHECK_ERR(kolk_io_cancel(&r->io), KOLK_OK);
}

static void loop_caller_receive(struct loop_caller *r);

static void loop_caller_got(void *user, enum kolk_err err, size_t size)
{
	struct loop_caller *r = user;
	size_t length = strlen(r->line);

	if (err == KOLK_OK) {
		account(&r->lease, -(int64_t)size);
		r->all += size;
	}
	if (memcmp(r->answer, r->line, r->all < length ? r->all : length) != 0 || r->all > length)
		r->c.misrouted++;
	if (err == KOLK_OK && r->all < length) {
		loop_caller_receive(r);
		return;
	}
	r->c.answered += r->all == length;
	r->c.left += r->all < length && r->leaves && err == KOLK_E_CANCELLED;
	r->c.failed += r->all < length && !(r->leaves && err == KOLK_E_CANCELLED);
	loop_caller_next(r, r->leaves && draw(&r->c, 100) == 0);
}

static void loop_caller_receive(struct loop_caller *r)
{
	enum kolk_err err = kolk_recv_async(r->loop, &r->lease, &r->io, r->answer + r->all,
					    sizeof r->answer - r->all, kolk_in_ms(20000),
					    loop_caller_got, r);

	CHECK_ERR(err, KOLK_PENDING);
}

static void loop_caller_sent(void *user, enum kolk_err err, size_t size)
{
	struct loop_caller *r = user;

	CHECK(err == KOLK_OK && size == strlen(r->line));
	account(&r->lease, (int64_t)size);
	r->all = 0;
	if (r->leaves && draw(&r->c, 2) == 0) {
		r->c.left++;
		loop_caller_next(r, false);
		return;
	}
	loop_caller_receive(r);
	if (r->leaves)
		CHECK_ERR(kolk_timer_start(r->loop, &r->timer, kolk_in_us(draw(&r->c, 50)),
					   loop_caller_timed_out, r), KOLK_OK);
}

static void loop_caller_acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct loop_caller *r = user;

	if (!CHECK_ERR(err, KOLK_OK)) {
		kolk__store_release(&r->done, 1);
		return;
	}
	r->lease = *lease;
	r->leaves = draw(&r->c, 100) < 30;
	snprintf(r->line, sizeof r->line, "%llu.%llx.%.*s\n", (unsigned long long)r->c.id,
		 (unsigned long long)r->c.random, (int)draw(&r->c, 40),
		 "----------------------------------------");
	err = kolk_send_async(r->loop, &r->lease, &r->io, r->line, strlen(r->line),
			      kolk_in_ms(20000), loop_caller_sent, r);
	if (err != KOLK_PENDING) { /* it went while it was idle: nothing was sent */
		r->c.failed += err != KOLK_E_CLOSED;
		loop_caller_next(r, false);
	}
}

static void loop_caller_acquire(struct loop_caller *r)
{
	enum kolk_err err;

	if (r->c.requests == 0) {
		kolk__store_release(&r->done, 1);
		return;
	}
	err = kolk_acquire_async(r->loop, r->c.key, kolk_in_ms(20000), &r->acquire,
				 loop_caller_acquired, r);
	if (err != KOLK_PENDING)
		loop_caller_acquired(r, err, &r->acquire.lease);
}

static void loop_caller_start(struct kolk_call *call_, void *user)
{
	(void)call_;
	loop_caller_acquire(user);
}

static void nonces_on_loops(void)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_child_options child = child_of(child_cat);
	static struct loop_caller loop_callers[8];
	struct caller sum = { .requests = 0 };
	struct wire w = { 0 };

	e.loops = 2;
	o.child = &child;
	o.driver = &echo_driver;
	o.connections_max = 3;
	MUST(wire_engine(&w, &e) && wire_pool(&w, &o));
	memset(loop_callers, 0, sizeof loop_callers);
	for (uint32_t i = 0; i < 8; i++) {
		loop_callers[i].c = (struct caller){ .key = w.key, .id = i, .random = i * 104729 + 1,
						     .requests = wire_nonces / 8 };
		loop_callers[i].loop = kolk_engine_loop(w.engine, i % 2);
		CHECK_ERR(kolk_loop_call(loop_callers[i].loop, &loop_callers[i].start,
					 loop_caller_start, &loop_callers[i]),
			  KOLK_OK);
	}
	for (int i = 0; i < 8; i++) {
		CHECK(WITHIN_MS(240000, kolk__load_acquire(&loop_callers[i].done)));
		sum.answered += loop_callers[i].c.answered;
		sum.left += loop_callers[i].c.left;
		sum.misrouted += loop_callers[i].c.misrouted;
		sum.failed += loop_callers[i].c.failed;
	}
	tap_note("%llu requests: %llu answered, %llu left, %llu failed, %llu foreign answers; "
		 "%llu children", (unsigned long long)wire_nonces, (unsigned long long)sum.answered,
		 (unsigned long long)sum.left, (unsigned long long)sum.failed,
		 (unsigned long long)sum.misrouted, (unsigned long long)wire_stats(w.pool).created);
	CHECK(sum.misrouted == 0 && sum.failed == 0);
	child_close(&w);
}

static const struct tap_test tests[] = {
	{ "children: no answer reaches another caller", nonces },
	{ "children: nor from the loops", nonces_on_loops },
};
TAP_TESTS(child_answer, tests);
