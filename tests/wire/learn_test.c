/* SPDX-License-Identifier: Apache-2.0 */
/* learn_test.c - what a pool learns of a real peer: how long it keeps idle connections, that it is
 * not there, that dials cost more than waiting. */
#include <unistd.h>

#include "tests/kit/control.h"
#include "tests/wire/wire.h"

static uint64_t learned_ns(const struct wire *w)
{
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);

	CHECK_ERR(kolk_pool_inspect(w->pool, &info), KOLK_OK);
	return info.peer_idle_ns;
}

enum { ROUNDS_MAX = 12 };

/* Closed three times after 400 ms of silence; the next is gone before that. */
static void idle_time(void)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	uint64_t longest_ns = 400 * KOLK_MS_NS, rounds;

	o.idle_min = KOLK_NONE;
	MUST(wire_origin(&w, NULL) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	/* Three ages that agree; on a busy machine one sleeps longer. */
	for (rounds = 0; rounds < 3 || (learned_ns(&w) == 0 && rounds < ROUNDS_MAX); rounds++) {
		uint64_t began_ns = kolk_in_ns(0);

		CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
		CHECK(rounds > 2 || learned_ns(&w) == 0);
		usleep(400000);
		kit_origin_hang_up(w.origin, false);
		CHECK(WITHIN_MS(1000, wire_stats(w.pool).destroyed[KOLK_REASON_PEER_CLOSED] ==
				       rounds + 1));
		if (kolk_in_ns(0) - began_ns > longest_ns)
			longest_ns = kolk_in_ns(0) - began_ns;
	}
	CHECK(learned_ns(&w) >= 340 * KOLK_MS_NS && learned_ns(&w) < longest_ns + 60 * KOLK_MS_NS);
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).destroyed[KOLK_REASON_PEER_IDLE] == 1));
	CHECK(wire_stats(w.pool).destroyed[KOLK_REASON_PEER_CLOSED] == rounds);
	wire_close(&w);
}

/* A port without a listener, then refusals that cost no dial. */
static void circuit(void)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kit_control control;
	uint64_t dialled;

	o.circuit_failures = 3;
	o.retry_interval_ns = KOLK_MS_NS;
	o.retry_max_ns = KOLK_S_NS;
	o.idle_min = KOLK_NONE;
	MUST(wire_origin(&w, NULL) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	kit_origin_close(w.origin);
	w.origin = NULL;
	for (int i = 0; i < 3; i++)
		CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_CONN_REFUSED);
	dialled = wire_stats(w.pool).dialled;
	kit_control_begin(&control);
	for (int i = 0; i < 1000; i++) {
		enum kolk_err err = wire_request(w.key, "hello\n");

		CHECK(err == KOLK_E_CIRCUIT || err == KOLK_E_CONN_REFUSED);
	}
	/* Each probe that fails doubles the bound of the next back-off, from 1 ms on. */
	CHECK(wire_stats(w.pool).dialled - dialled <= 40);
	CHECK(kit_control_end(&control) < 3000);
	wire_close(&w);
}

static const struct tap_test tests[] = {
	{ "a peer's idle time-out is learned", idle_time },
	{ "a circuit spares a port without a listener", circuit },
};
TAP_TESTS(learn, tests);
