/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop_test.c - asynchronous callers: every answer must carry the nonce of its request although
 * callers cancel at random moments; and loops that the embedder runs.
 */
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/kit/control.h"
#include "tests/kit/host.h"
#include "tests/kit/measure.h"
#include "tests/wire/wire.h"

enum { CALLERS = 48, LINE = 24 };

struct nonce_run {
	struct wire *w;
	uint64_t wanted;
	kolk__atomic_u64 done, cancelled, mismatches, refused, failed, unexpected;
	kolk__atomic_u64 nonce;
	kolk__atomic_u32 finished;
};

enum stage { ACQUIRING, SENDING, RECEIVING };

struct nonce_caller {
	struct nonce_run *run;
	struct kolk_loop *loop;
	struct kolk_call call, cancel_call;
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	struct kolk_io io;
	uint64_t random;
	enum stage stage, cancel_at;
	bool cancels, cancelled;
	size_t received;
	char line[LINE + 1], answer[256];
};

static void nonce_again(struct nonce_caller *c);

static void nonce_begin(struct kolk_call *call, void *user)
{
	(void)call;
	nonce_again(user);
}

/* From a fresh step, so that nothing recurses. */
static void nonce_next(struct nonce_caller *c)
{
	(void)kolk_loop_call(c->loop, &c->call, nonce_begin, c);
}

static void nonce_done(struct nonce_caller *c, enum kolk_err err)
{
	struct nonce_run *run = c->run;

	if (c->cancelled) {
		CHECK_ERR(kolk_discard(&c->lease), KOLK_OK);
		kolk__add_relaxed(&run->cancelled, 1);
	} else if (err != KOLK_OK) {
		CHECK_ERR(kolk_discard(&c->lease), KOLK_OK);
		kolk__add_relaxed(err == KOLK_E_CLOSED ? &run->failed : &run->unexpected, 1);
	} else {
		kolk__add_relaxed(&run->mismatches, memcmp(c->line, c->answer, LINE) != 0);
		CHECK_ERR(kolk_release(&c->lease), KOLK_OK);
		kolk__add_relaxed(&run->done, 1);
	}
	nonce_next(c);
}

/* The caller walks away in the middle of it: with the operation still in flight. */
static bool walks_away(struct nonce_caller *c)
{
	if (!c->cancels || c->cancel_at != c->stage)
		return false;
	c->cancelled = true;
	if (c->random % 3 == 0) { /* without a word: the release itself must cope */
		CHECK_ERR(kolk_release(&c->lease), KOLK_OK);
		return true;
	}
	CHECK_ERR(kolk_io_cancel(&c->io), KOLK_OK);
	return true;
}

static void nonce_receive(struct nonce_caller *c);

static void nonce_received(void *user, enum kolk_err err, size_t size)
{
	struct nonce_caller *c = user;

	if (c->cancelled && c->random % 3 == 0) { /* released already */
		kolk__add_relaxed(&c->run->cancelled, 1);
		nonce_next(c);
		return;
	}
	c->received += size;
	if (err == KOLK_OK && c->received < LINE && !c->cancelled)
		nonce_receive(c);
	else
		nonce_done(c, err);
}

static void nonce_receive(struct nonce_caller *c)
{
	enum kolk_err err;

	c->stage = RECEIVING;
	err = kolk_recv_async(c->loop, &c->lease, &c->io, c->answer + c->received,
			      sizeof c->answer - c->received, kolk_in_ms(5000), nonce_received, c);
	if (err != KOLK_PENDING)
		nonce_done(c, err);
	else
		(void)walks_away(c);
}

static void nonce_sent(void *user, enum kolk_err err, size_t size)
{
	struct nonce_caller *c = user;

	(void)size;
	if (c->cancelled || err != KOLK_OK)
		nonce_received(c, err, 0);
	else
		nonce_receive(c);
}

static void nonce_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct nonce_caller *c = user;

	if (err != KOLK_OK) {
		kolk__add_relaxed(&c->run->refused, 1);
		nonce_next(c);
		return;
	}
	c->lease = *lease;
	c->stage = SENDING;
	c->received = 0;
	snprintf(c->line, sizeof c->line, "%023llu\n",
		 (unsigned long long)kolk__add_relaxed(&c->run->nonce, 1));
	err = kolk_send_async(c->loop, &c->lease, &c->io, c->line, LINE, kolk_in_ms(5000),
			      nonce_sent, c);
	if (err != KOLK_PENDING)
		nonce_done(c, err);
	else
		(void)walks_away(c);
}

static void nonce_again(struct nonce_caller *c)
{
	struct nonce_run *run = c->run;
	enum kolk_err err;

	if (kolk__load_relaxed(&run->done) + kolk__load_relaxed(&run->cancelled) >= run->wanted) {
		kolk__add_acq_rel(&run->finished, 1);
		return;
	}
	c->random = c->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
	c->cancelled = false;
	c->cancels = (c->random >> 33) % 10 < 3;
	c->cancel_at = (enum stage)((c->random >> 40) % 3);
	c->stage = ACQUIRING;
	err = kolk_acquire_async(c->loop, run->w->key, 0, &c->acquire, nonce_lease, c);
	if (err != KOLK_PENDING) {
		nonce_lease(c, err, &c->acquire.lease);
	} else if (c->cancels && c->cancel_at == ACQUIRING) {
		CHECK_ERR(kolk_acquire_cancel(&c->acquire), KOLK_OK);
		kolk__add_relaxed(&run->cancelled, 1);
		nonce_next(c);
	}
}

static void nonces(uint64_t wanted, const struct kit_cert *cert)
{
	struct kit_origin_options origin = { .cert = cert };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct nonce_caller *callers = calloc(CALLERS, sizeof *callers);
	struct wire w = { 0 };
	struct nonce_run run = { .w = &w, .wanted = wanted };
	uint32_t loops;

	tls.ca_file = wire_certs.ca_path;
	o.tls = cert != NULL ? &tls : NULL;
	o.connections_max = 24;
	o.dials_max = 24;
	MUST(wire_origin(&w, &origin) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	loops = kolk_engine_loop_count(w.engine);
	for (uint32_t i = 0; i < CALLERS; i++) {
		callers[i].run = &run;
		callers[i].random = i + 1;
		callers[i].loop = kolk_engine_loop(w.engine, i % loops);
		nonce_next(&callers[i]);
	}
	CHECK(WITHIN_MS(120000, kolk__load_acquire(&run.finished) == CALLERS));
	tap_note("%llu answered, %llu cancelled, %llu refused, %llu closed, %llu mismatches",
		 (unsigned long long)kolk__own(&run.done),
		 (unsigned long long)kolk__own(&run.cancelled),
		 (unsigned long long)kolk__own(&run.refused),
		 (unsigned long long)kolk__own(&run.failed),
		 (unsigned long long)kolk__own(&run.mismatches));
	CHECK(kolk__own(&run.mismatches) == 0);
	CHECK(kolk__own(&run.unexpected) == 0);
	CHECK(kolk__own(&run.done) + kolk__own(&run.cancelled) >= wanted);
	CHECK(kolk__own(&run.cancelled) > wanted / 8);
	wire_close(&w);
	free(callers);
}

static void nonces_plain(void)
{
	nonces(wire_nonces, NULL);
}

/* Fewer: a caller that cancels costs a handshake. */
static void nonces_tls(void)
{
	nonces(3000, &wire_certs.good);
}

/* ---- the embedder's own loop: a poll set, one thread */

struct embedded {
	struct kolk_loop *loop;
	struct kolk_lease lease;
	struct kolk_io io;
	int answers;
	char in[64];
};

static void embedded_received(void *user, enum kolk_err err, size_t size)
{
	struct embedded *e = user;

	CHECK_ERR(err, KOLK_OK);
	CHECK(size == 6 && memcmp(e->in, "hello\n", 6) == 0);
	CHECK_ERR(kolk_release(&e->lease), KOLK_OK);
	e->answers++;
}

static void embedded_sent(void *user, enum kolk_err err, size_t size)
{
	struct embedded *e = user;

	CHECK_ERR(err, KOLK_OK);
	CHECK(size == 6);
	CHECK_ERR(kolk_recv_async(e->loop, &e->lease, &e->io, e->in, sizeof e->in, kolk_in_ms(2000),
				  embedded_received, e), KOLK_PENDING);
}

static void embedded_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct embedded *e = user;

	MUST(CHECK_ERR(err, KOLK_OK));
	e->lease = *lease;
	CHECK_ERR(kolk_send_async(e->loop, &e->lease, &e->io, "hello\n", 6, kolk_in_ms(2000),
				  embedded_sent, e), KOLK_PENDING);
}

static void own_loop(void)
{
	struct kolk_engine_options eo = KOLK_INIT(kolk_engine_options);
	struct wire w = { 0 };
	struct embedded e = { 0 };
	struct kolk_acquire acquire;
	struct kit_control control;

	eo.loops = 1;
	eo.loop_owner = KOLK_LOOPS_EMBEDDER;
	MUST(wire_origin(&w, NULL) && wire_engine(&w, &eo) && wire_pool(&w, NULL));
	e.loop = kolk_engine_loop(w.engine, 0);
	CHECK_ERR(kolk_loop_step(e.loop, 0), KOLK_OK);
	kit_control_begin(&control);
	for (int i = 0; i < 20; i++) {
		enum kolk_err err = kolk_acquire_async(e.loop, w.key, 0, &acquire, embedded_lease, &e);

		if (err == KOLK_OK)
			embedded_lease(&e, err, &acquire.lease);
		while (e.answers == i && CHECK(kit_host_step(e.loop, 5000)))
			;
	}
	CHECK(kit_control_end(&control) < 2000);
	wire_close(&w);
}

/* ---- what a loop's thread may not do */

struct forbidden {
	struct wire *w;
	kolk__atomic_u32 done;
};

static void forbidden_call(struct kolk_call *call, void *user)
{
	struct forbidden *f = user;
	struct kolk_lease lease, held;
	size_t size;
	char byte;
	enum kolk_err err;

	(void)call;
	err = kolk_try_acquire(f->w->key, &held);
	CHECK_ERR(err, KOLK_OK);
	CHECK_ERR(kolk_acquire(kolk_pool_key(kolk_pool_find(f->w->engine, "full")), KOLK_FOREVER,
			       &lease), KOLK_E_THREAD);
	CHECK_ERR(kolk_recv(&held, &byte, 1, KOLK_FOREVER, &size), KOLK_E_THREAD);
	CHECK_ERR(kolk_engine_wait_closed(f->w->engine, KOLK_FOREVER), KOLK_E_THREAD);
	CHECK_ERR(kolk_engine_destroy(f->w->engine), KOLK_E_THREAD);
	CHECK_ERR(kolk_release(&held), KOLK_OK);
	kolk__store_release(&f->done, 1);
}

static void no_blocking_on_loops(void)
{
	struct wire w = { 0 };
	struct forbidden f = { .w = &w };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *full;
	struct kolk_call call;

	MUST(wire_open(&w));
	CHECK_ERR(kolk_pool_warm(w.pool, kolk_in_ms(2000)), KOLK_OK);
	o.name = "full";
	o.address = "127.0.0.1:1";
	CHECK_ERR(kolk_pool_add(w.engine, &o, &full), KOLK_OK);
	CHECK_ERR(kolk_loop_call(kolk_engine_loop(w.engine, 0), &call, forbidden_call, &f), KOLK_OK);
	CHECK(WITHIN_MS(2000, kolk__load_acquire(&f.done) == 1));
	wire_close(&w);
}

/* ---- timers */

struct alarm {
	struct kolk_timer timer;
	struct kolk_loop *loop;
	uint64_t due_ns;
	int rung, rounds;
	bool early;
};

static void ring(struct kolk_timer *timer, void *user)
{
	struct alarm *alarm = user;

	alarm->early = alarm->early || kolk_in_ns(0) < alarm->due_ns;
	alarm->rung++;
	alarm->due_ns = kolk_in_ms(2);
	if (alarm->rung < alarm->rounds)
		CHECK_ERR(kolk_timer_start(alarm->loop, timer, alarm->due_ns, ring, alarm), KOLK_OK);
}

static void timers(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct alarm alarm = { .rounds = 5 }, stopped = { .rounds = 1 };
	struct wire w = { 0 };

	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	MUST(wire_engine(&w, &e));
	alarm.loop = stopped.loop = kolk_engine_loop(w.engine, 0);
	CHECK_ERR(kolk_loop_step(alarm.loop, 0), KOLK_OK);
	kolk_timer_stop(&stopped.timer); /* not armed yet: nothing happens */
	stopped.due_ns = kolk_in_ms(1);
	CHECK_ERR(kolk_timer_start(stopped.loop, &stopped.timer, stopped.due_ns, ring, &stopped),
		  KOLK_OK);
	alarm.due_ns = kolk_in_ms(500);
	CHECK_ERR(kolk_timer_start(alarm.loop, &alarm.timer, alarm.due_ns, ring, &alarm), KOLK_OK);
	alarm.due_ns = kolk_in_ms(3); /* moved */
	CHECK_ERR(kolk_timer_start(alarm.loop, &alarm.timer, alarm.due_ns, ring, &alarm), KOLK_OK);
	CHECK(kolk_loop_next_timer(alarm.loop) <= alarm.due_ns);
	kolk_timer_stop(&stopped.timer);
	for (int i = 0; i < 1000 && alarm.rung < alarm.rounds; i++)
		CHECK_ERR(kolk_loop_step(alarm.loop, KOLK_S_NS), KOLK_OK);
	CHECK(alarm.rung == 5 && !alarm.early && stopped.rung == 0);
	wire_close(&w);
}

struct hasty {
	struct kolk_loop *loop;
	uint32_t rung, in_this_step;
};

static void hurry(struct kolk_timer *timer, void *user)
{
	struct hasty *hasty = user;

	hasty->rung++;
	if (++hasty->in_this_step < 100)
		CHECK_ERR(kolk_timer_start(hasty->loop, timer, 1, hurry, hasty), KOLK_OK);
}

/* One that starts itself anew, long due, leaves the loop its other work. */
static void hasty_timer(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_timer timer = { { 0 } };
	struct hasty hasty = { 0 };
	struct wire w = { 0 };

	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	MUST(wire_engine(&w, &e));
	hasty.loop = kolk_engine_loop(w.engine, 0);
	CHECK_ERR(kolk_loop_step(hasty.loop, 0), KOLK_OK);
	CHECK_ERR(kolk_timer_start(hasty.loop, &timer, 1, hurry, &hasty), KOLK_OK);
	for (uint32_t i = 1; i <= 10; i++) {
		hasty.in_this_step = 0;
		CHECK_ERR(kolk_loop_step(hasty.loop, KOLK_S_NS), KOLK_OK);
		CHECK(hasty.in_this_step == 1 && hasty.rung == i);
	}
	kolk_timer_stop(&timer);
	wire_close(&w);
}

/* ---- a process that was stopped while the answer came */

struct stopped {
	struct embedded embedded;
	struct kolk_timer timer;
	bool sent, answered, late;
};

static void stopped_received(void *user, enum kolk_err err, size_t size)
{
	struct stopped *stopped = user;

	CHECK_ERR(err, KOLK_OK);
	CHECK(size == 6);
	stopped->answered = true;
	kolk_timer_stop(&stopped->timer);
}

/* As a driver's deadline of a request. */
static void stopped_late(struct kolk_timer *timer, void *user)
{
	struct stopped *stopped = user;

	(void)timer;
	stopped->late = true;
}

static void stopped_sent(void *user, enum kolk_err err, size_t size)
{
	struct stopped *stopped = user;
	struct embedded *e = &stopped->embedded;

	CHECK_ERR(err, KOLK_OK);
	CHECK(size == 6);
	stopped->sent = true;
	CHECK_ERR(kolk_timer_start(e->loop, &stopped->timer, kolk_in_ms(300), stopped_late, stopped),
		  KOLK_OK);
	CHECK_ERR(kolk_recv_async(e->loop, &e->lease, &e->io, e->in, sizeof e->in, kolk_in_ms(300),
				  stopped_received, stopped), KOLK_PENDING);
}

static void stopped_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct stopped *stopped = user;
	struct embedded *e = &stopped->embedded;

	MUST(CHECK_ERR(err, KOLK_OK));
	e->lease = *lease;
	CHECK_ERR(kolk_send_async(e->loop, &e->lease, &e->io, "hello\n", 6, kolk_in_ms(2000),
				  stopped_sent, stopped), KOLK_PENDING);
}

/* The answer is there when the loop goes on, long after the deadline: it wins. */
static void stopped_process(void)
{
	struct kolk_engine_options eo = KOLK_INIT(kolk_engine_options);
	struct stopped stopped = { .answered = false };
	struct kolk_acquire acquire;
	struct wire w = { 0 };
	enum kolk_err err;

	eo.loops = 1;
	eo.loop_owner = KOLK_LOOPS_EMBEDDER;
	MUST(wire_origin(&w, NULL) && wire_engine(&w, &eo) && wire_pool(&w, NULL));
	stopped.embedded.loop = kolk_engine_loop(w.engine, 0);
	CHECK_ERR(kolk_loop_step(stopped.embedded.loop, 0), KOLK_OK);
	err = kolk_acquire_async(stopped.embedded.loop, w.key, kolk_in_ms(5000), &acquire,
				 stopped_lease, &stopped);
	MUST(CHECK_ERR(err, KOLK_PENDING));
	for (int i = 0; i < 5000 && !stopped.sent; i++)
		CHECK_ERR(kolk_loop_step(stopped.embedded.loop, KOLK_MS_NS), KOLK_OK);
	usleep(400000);
	for (int i = 0; i < 5000 && !stopped.answered && !stopped.late; i++)
		CHECK_ERR(kolk_loop_step(stopped.embedded.loop, KOLK_MS_NS), KOLK_OK);
	CHECK(stopped.answered && !stopped.late);
	CHECK_ERR(kolk_release(&stopped.embedded.lease), KOLK_OK);
	wire_close(&w);
}

/* ---- the rings of a host, on the thread that creates and destroys engines */

static bool ring_works(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;

	io_uring_prep_nop(sqe);
	if (io_uring_submit_and_wait(ring, 1) != 1 || io_uring_peek_cqe(ring, &cqe) != 0)
		return false;
	io_uring_cqe_seen(ring, cqe);
	return true;
}

/* A request, and the end of the engine. */
static void use_loop(struct wire *w, uint32_t owner)
{
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);

	o.loops = 2;
	o.loop_owner = owner;
	MUST(wire_engine(w, &o) && wire_pool(w, NULL));
	if (owner == KOLK_LOOPS_ENGINE)
		CHECK_ERR(wire_request(w->key, "hello\n"), KOLK_OK);
	else
		CHECK_ERR(kolk_loop_step(kolk_engine_loop(w->engine, 0), 0), KOLK_OK);
	CHECK_ERR(kolk_engine_destroy(w->engine), KOLK_OK);
	w->engine = NULL;
}

static void beside_rings(void)
{
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);
	struct wire w = { 0 }, other = { 0 };
	struct io_uring ring;

	if (io_uring_queue_init(8, &ring, 0) != 0) {
		tap_skip("io_uring_setup is refused here");
		return;
	}
	CHECK(io_uring_register_ring_fd(&ring) == 1);
	o.loops = 1;
	o.loop_owner = KOLK_LOOPS_EMBEDDER;
	MUST(wire_engine(&other, &o) && wire_origin(&w, NULL));
	CHECK_ERR(kolk_loop_step(kolk_engine_loop(other.engine, 0), 0), KOLK_OK);
	for (uint32_t owner = KOLK_LOOPS_ENGINE; owner <= KOLK_LOOPS_EMBEDDER; owner++) {
		use_loop(&w, owner);
		CHECK(ring_works(&ring));
		CHECK_ERR(kolk_loop_step(kolk_engine_loop(other.engine, 0), 0), KOLK_OK);
	}
	io_uring_queue_exit(&ring);
	wire_close(&other);
	wire_close(&w);
}

static const struct tap_test tests[] = {
	{ "an answer that is there wins over its deadline", stopped_process },
	{ "an engine's end leaves the thread's other rings alone", beside_rings },
	{ "a timer that restarts itself fires once per step", hasty_timer },
	{ "timers fire once, in time, and not when they were stopped", timers },
	{ "nonce echo, 30 % cancelled", nonces_plain },
	{ "nonce echo over TLS, 30 % cancelled", nonces_tls },
	{ "a loop in the embedder's poll set", own_loop },
	{ "nothing blocks a loop's thread", no_blocking_on_loops },
};
TAP_TESTS(loop, tests);
