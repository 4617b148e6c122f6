/* SPDX-License-Identifier: Apache-2.0 */
/*
 * burst.c - do requests wait behind handshakes? Round trips on one pool, timed one by one,
 * without and with a cold burst of 100 full TLS handshakes of another pool on the same loop.
 *
 * The TLS server would be another machine: here its thread is made as nice as can be, so that
 * what is measured is the client's share.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/echo.h"
#include "bench/kit.h"
#include "core/base/atomic.h"

enum { CALLERS = 4, SIZE = 64, HANDSHAKES = 100, ROUNDS = 5 };

struct burst {
	struct kolk_engine *engine;
	struct kolk_loop *loop;
	struct kolk_key *key;
	KOLK__ATOMIC(struct hist *) window; /* where latencies are recorded now; NULL = nowhere */
	kolk__atomic_u32 busy;
	kolk__atomic_bool stop;
};

struct caller {
	struct burst *burst;
	struct kolk_call call;
	struct kolk_acquire acquire;
	struct kolk_io send, recv;
	struct kolk_lease lease;
	uint64_t began_ns;
	size_t got;
	char bytes[SIZE], answer[SIZE];
};

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease);

static void check(enum kolk_err err, const char *what)
{
	if (err != KOLK_OK && err != KOLK_PENDING)
		die("%s: %s", what, kolk_err_text(err));
}

static void caller_next(struct kolk_call *call, void *user)
{
	struct caller *caller = user;
	enum kolk_err err;

	(void)call;
	if (kolk__load_relaxed(&caller->burst->stop)) {
		kolk__sub_acq_rel(&caller->burst->busy, 1);
		return;
	}
	caller->got = 0;
	caller->began_ns = clock_now();
	err = kolk_acquire_async(caller->burst->loop, caller->burst->key,
				 caller->began_ns + 5 * KOLK_S_NS, &caller->acquire, on_lease,
				 caller);
	if (err != KOLK_PENDING)
		on_lease(caller, err, &caller->acquire.lease);
}

static void on_received(void *user, enum kolk_err err, size_t size)
{
	struct caller *caller = user;
	struct hist *window;

	check(err, "receive");
	caller->got += size;
	if (caller->got < SIZE) {
		check(kolk_recv_async(caller->burst->loop, &caller->lease, &caller->recv,
				      caller->answer, SIZE, KOLK_FOREVER, on_received, caller),
		      "receive");
		return;
	}
	check(kolk_release(&caller->lease), "release");
	window = kolk__load_acquire(&caller->burst->window);
	if (window != NULL)
		hist_add(window, clock_now() - caller->began_ns);
	caller_next(&caller->call, caller);
}

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	(void)user;
	(void)size;
	check(err, "send");
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct caller *caller = user;

	check(err, "acquire");
	caller->lease = *lease;
	check(kolk_send_async(caller->burst->loop, lease, &caller->send, caller->bytes, SIZE,
			      KOLK_FOREVER, on_sent, caller), "send");
	check(kolk_recv_async(caller->burst->loop, lease, &caller->recv, caller->answer, SIZE,
			      KOLK_FOREVER, on_received, caller), "receive");
}

static struct kolk_pool *pool_add(struct kolk_engine *engine, const char *name, uint16_t port,
				  uint32_t connections, const char *ca_path)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_pool *pool;
	char address[40];

	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	o.name = name;
	o.address = address;
	o.connections_max = o.idle_min = connections;
	o.dials_max = 16;
	o.tls_timeout_ns = 60 * KOLK_S_NS;
	tls.ca_file = ca_path;
	tls.resume_off = 1;
	o.tls = ca_path != NULL ? &tls : NULL;
	check(kolk_pool_add(engine, &o, &pool), "pool");
	return pool;
}

/* One round: quiet for as long as the burst lasts, then the burst. */
static double round_run(struct burst *burst, uint16_t tls_port, const char *ca_path,
			struct hist *quiet, struct hist *loud)
{
	struct kolk_pool *pool = pool_add(burst->engine, "burst", tls_port, HANDSHAKES, ca_path);
	uint64_t began_ns;

	kolk__store_release(&burst->window, quiet);
	usleep(400000);
	kolk__store_release(&burst->window, loud);
	began_ns = clock_now();
	check(kolk_pool_warm(pool, kolk_in_ms(60000)), "burst");
	began_ns = clock_now() - began_ns;
	kolk__store_release(&burst->window, NULL);
	check(kolk_pool_close(pool, kolk_in_ms(5000)), "close");
	return (double)began_ns / 1e6;
}

int scenario_burst(const struct args *args)
{
	struct kolk_engine_options options = KOLK_INIT(kolk_engine_options);
	struct hist *quiet = calloc(1, sizeof *quiet), *loud = calloc(1, sizeof *loud);
	struct caller *callers = calloc(CALLERS, sizeof *callers);
	struct echo *echo = echo_open();
	struct bench_origin origin;
	struct burst burst = { .busy = KOLK__ATOMIC_INIT(CALLERS) };
	FILE *json = json_open(args);
	double burst_ms[ROUNDS];
	uint64_t p99[2];

	bench_origin_open_nice(&origin);
	options.loops = 1;
	options.backend = args->backend;
	options.connections_max = HANDSHAKES + CALLERS;
	check(kolk_engine_create(&options, &burst.engine), "engine");
	burst.loop = kolk_engine_loop(burst.engine, 0);
	burst.key = kolk_pool_key(pool_add(burst.engine, "requests", echo_port(echo), CALLERS,
					   NULL));
	for (int i = 0; i < CALLERS; i++) {
		callers[i].burst = &burst;
		(void)kolk_loop_call(burst.loop, &callers[i].call, caller_next, &callers[i]);
	}
	for (int i = 0; i < ROUNDS; i++) {
		progress("round %d of %d", i + 1, ROUNDS);
		burst_ms[i] = round_run(&burst, kit_origin_port(origin.origin), origin.ca_path,
					quiet, loud);
	}
	progress("%s", "");
	kolk__store_relaxed(&burst.stop, true);
	while (kolk__load_acquire(&burst.busy) > 0)
		usleep(1000);
	p99[0] = hist_at(quiet, 0.99);
	p99[1] = hist_at(loud, 0.99);
	if (json != NULL) {
		fprintf(json, "{\"scenario\":\"burst\",\"handshakes\":%d,\"burst_ms\":%.0f,", HANDSHAKES,
			median(burst_ms, ROUNDS));
		json_hist(json, "quiet_ns", quiet, 0);
		fputc(',', json);
		json_hist(json, "burst_ns", loud, 0);
		fprintf(json, ",\"p99_ratio\":%.2f}\n", (double)p99[1] / (double)p99[0]);
	} else {
		printf("%d full handshakes in %.0f ms beside round trips of %d callers, one loop\n"
		       "without   p50 %8.1f   p99 %8.1f   p99.9 %8.1f us  (%llu)\n"
		       "with      p50 %8.1f   p99 %8.1f   p99.9 %8.1f us  (%llu)   p99 x %.2f\n",
		       HANDSHAKES, median(burst_ms, ROUNDS), CALLERS,
		       (double)hist_at(quiet, 0.5) / 1e3, (double)p99[0] / 1e3,
		       (double)hist_at(quiet, 0.999) / 1e3, (unsigned long long)quiet->count,
		       (double)hist_at(loud, 0.5) / 1e3, (double)p99[1] / 1e3,
		       (double)hist_at(loud, 0.999) / 1e3, (unsigned long long)loud->count,
		       (double)p99[1] / (double)p99[0]);
	}
	json_close(json);
	kolk_engine_destroy(burst.engine);
	bench_origin_close(&origin);
	echo_close(echo);
	free(callers);
	free(quiet);
	free(loud);
	return 0;
}
