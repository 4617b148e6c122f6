/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial.c - connections made and closed: acquire, discard, again; beside the same by hand.
 * And the herd: thousands of waiters on an endpoint that is dead for some seconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/bare_tls.h"
#include "bench/echo.h"
#include "bench/kit.h"
#include "core/base/atomic.h"
#include "tests/kit/origin.h"

enum { ROUNDS = 5, CALLERS = 4 };

struct dialling {
	uint16_t port;
	const struct kit_cert *authority; /* NULL = plain */
	const char *ca_path;
	bool resume;
	uint32_t backend;
	uint64_t duration_ns;
	struct hist latency;
	uint64_t dials;
};

/* ---- kolk: so many callers on one loop, each discards what it gets */

struct caller {
	struct dialling *d;
	struct kolk_loop *loop;
	struct kolk_key *key;
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	struct kolk_io io;
	char answer[8];
	uint64_t began_ns, end_ns;
	uint32_t *busy;
};

static void caller_next(struct caller *caller);

static void over(struct caller *caller, enum kolk_err err)
{
	if (err != KOLK_OK)
		die("a dial failed: %s", kolk_err_text(err));
	(void)kolk_discard(&caller->lease);
	caller->d->dials++;
	hist_add(&caller->d->latency, clock_now() - caller->began_ns);
	caller_next(caller);
}

static void on_received(void *user, enum kolk_err err, size_t size)
{
	(void)size;
	over(user, err);
}

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	struct caller *caller = user;

	(void)size;
	if (err == KOLK_OK)
		err = kolk_recv_async(caller->loop, &caller->lease, &caller->io, caller->answer,
				      sizeof caller->answer, KOLK_FOREVER, on_received, caller);
	if (err != KOLK_PENDING)
		over(caller, err);
}

/* Over TLS with one exchange of a byte: TLS 1.3 gives its ticket after the handshake. */
static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct caller *caller = user;

	if (err == KOLK_OK)
		caller->lease = *lease;
	if (err == KOLK_OK && caller->d->ca_path != NULL)
		err = kolk_send_async(caller->loop, lease, &caller->io, "\n", 1, KOLK_FOREVER,
				      on_sent, caller);
	if (err != KOLK_PENDING)
		over(caller, err);
}

static void caller_next(struct caller *caller)
{
	enum kolk_err err;

	caller->began_ns = clock_now();
	if (caller->began_ns >= caller->end_ns) {
		--*caller->busy;
		return;
	}
	err = kolk_acquire_async(caller->loop, caller->key, caller->began_ns + 10 * KOLK_S_NS,
				 &caller->acquire, on_lease, caller);
	if (err != KOLK_PENDING)
		on_lease(caller, err, &caller->acquire.lease);
}

static void pool_open(const struct dialling *d, uint32_t loops_owner, uint32_t waiters,
		      struct kolk_engine **engine, struct kolk_pool **pool)
{
	struct kolk_engine_options options = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	char address[40];
	enum kolk_err err;

	options.loops = 1;
	options.loop_owner = loops_owner;
	options.backend = d->backend;
	options.waiters_max = waiters;
	snprintf(address, sizeof address, "127.0.0.1:%u", d->port);
	o.name = "dial";
	o.address = address;
	o.connections_max = CALLERS;
	o.idle_min = KOLK_NONE;
	o.waiters_max = waiters;
	o.circuit_failures = KOLK_NONE; /* the herd waits, and is not refused */
	tls.ca_file = d->ca_path;
	tls.resume_off = !d->resume;
	o.tls = d->ca_path != NULL ? &tls : NULL;
	err = kolk_engine_create(&options, engine);
	if (err == KOLK_OK)
		err = kolk_pool_add(*engine, &o, pool);
	if (err != KOLK_OK)
		die("cannot open the pool: %s", kolk_err_text(err));
}

static void dial_kolk(struct dialling *d)
{
	struct caller callers[CALLERS];
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	uint32_t busy = CALLERS;

	pool_open(d, KOLK_LOOPS_EMBEDDER, 0, &engine, &pool);
	for (int i = 0; i < CALLERS; i++) {
		callers[i] = (struct caller){ .d = d, .loop = kolk_engine_loop(engine, 0),
					      .key = kolk_pool_key(pool), .busy = &busy,
					      .end_ns = clock_now() + d->duration_ns };
		caller_next(&callers[i]);
	}
	while (busy > 0)
		if (kolk_loop_step(callers[0].loop, KOLK_S_NS) != KOLK_OK)
			die("the loop does not turn");
	kolk_engine_drain(engine, kolk_in_ms(1000));
	while (!kolk_engine_is_closed(engine))
		(void)kolk_loop_step(callers[0].loop, KOLK_MS_NS);
	kolk_engine_destroy(engine);
}

/* ---- by hand: one after the other, blocking */

/* The newest: a ticket of TLS 1.3 is for one use. */
static bool keep_session(struct bare_lane *lane, mbedtls_ssl_session *session, bool wanted)
{
	mbedtls_ssl_session_free(session);
	mbedtls_ssl_session_init(session);
	return wanted && mbedtls_ssl_get_session(&lane->ssl, session) == 0;
}

static void dial_by_hand(struct dialling *d)
{
	uint64_t end_ns = clock_now() + d->duration_ns, began_ns;
	mbedtls_ssl_session session;
	struct bare_lane lane;
	unsigned char answer[1];
	bool has_session = false;
	struct bare bare;

	if (d->authority != NULL)
		bare_open(&bare, d->authority);
	mbedtls_ssl_session_init(&session);
	while ((began_ns = clock_now()) < end_ns) {
		if (d->authority == NULL) {
			close(dial_port(d->port));
		} else {
			bare_lane_open(&lane, &bare, d->port, has_session ? &session : NULL);
			bare_lane_write(&lane, (const unsigned char *)"\n", 1);
			if (bare_lane_read(&lane, answer, 1) || KOLK__TLS_VERSION_MAX == KOLK__TLS12)
				has_session = keep_session(&lane, &session, d->resume);
			bare_lane_close(&lane);
		}
		d->dials++;
		hist_add(&d->latency, clock_now() - began_ns);
	}
	mbedtls_ssl_session_free(&session);
	if (d->authority != NULL)
		bare_close(&bare);
}

/* ---- rounds of both */

struct figures {
	double rate[ROUNDS];
	struct hist latency;
	uint64_t full, resumed;
};

static void measure(const struct dialling *plan, struct kit_origin *origin, struct figures f[2])
{
	static void (*const drivers[2])(struct dialling *) = { dial_kolk, dial_by_hand };
	struct dialling *d = malloc(sizeof *d);

	if (origin == NULL)
		pin_to_cpu(0); /* the echo peer is on the last one */
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < 2; i++) {
			struct kit_origin_counts before = { 0 }, after = { 0 };
			uint64_t began_ns = clock_now();

			progress("round %d of %d: %s", round + 1, ROUNDS, i ? "by hand" : "kolk");
			*d = *plan;
			before = origin ? kit_origin_counts(origin) : before;
			drivers[i](d);
			after = origin ? kit_origin_counts(origin) : after;
			f[i].rate[round] = (double)d->dials * 1e9 / (double)(clock_now() - began_ns);
			f[i].resumed += after.resumed - before.resumed;
			f[i].full += after.handshakes - before.handshakes -
				     (after.resumed - before.resumed);
			hist_merge(&f[i].latency, &d->latency);
		}
	}
	progress("%s", "");
	free(d);
}

static void tell(FILE *json, const char *what, struct figures f[2])
{
	static const char *const names[2] = { "kolk", "by hand" };

	for (int i = 0; json == NULL && i < 2; i++)
		printf("%-16s %-8s %9.0f dials/s  p50 %8.1f us  p99 %8.1f us  %6llu full %7llu "
		       "resumed\n", what, names[i], median(f[i].rate, ROUNDS),
		       (double)hist_at(&f[i].latency, 0.5) / 1e3,
		       (double)hist_at(&f[i].latency, 0.99) / 1e3, (unsigned long long)f[i].full,
		       (unsigned long long)f[i].resumed);
	if (json == NULL)
		return;
	fprintf(json, "{\"scenario\":\"dial\",\"what\":\"%s\"", what);
	for (int i = 0; i < 2; i++) {
		fprintf(json, ",\"%s\":{\"dials_per_s\":%.0f,\"full\":%llu,\"resumed\":%llu,",
			i ? "limit_by_hand" : "kolk", median(f[i].rate, ROUNDS),
			(unsigned long long)f[i].full, (unsigned long long)f[i].resumed);
		json_hist(json, "latency_ns", &f[i].latency, 0);
		fprintf(json, "}");
	}
	fprintf(json, "}\n");
}

/* ---- the herd */

struct herd {
	struct kolk_loop *loop;
	struct kolk_key *key;
	kolk__atomic_u32 served;
	kolk__atomic_u64 failed; /* dials of which a waiter got the error */
	kolk__atomic_bool stop;
};

struct waiter {
	struct herd *herd;
	struct kolk_call call;
	struct kolk_acquire acquire;
};

static void waiter_begin(struct kolk_call *call, void *user);

/* Served: releases it at once. A failed dial: is enqueued again. */
static void waiter_over(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct waiter *waiter = user;
	struct kolk_lease mine;

	if (err == KOLK_OK) {
		mine = *lease;
		(void)kolk_release(&mine);
		kolk__add_relaxed(&waiter->herd->served, 1);
		return;
	}
	kolk__add_relaxed(&waiter->herd->failed, 1);
	if (!kolk__load_relaxed(&waiter->herd->stop))
		(void)kolk_loop_call(waiter->herd->loop, &waiter->call, waiter_begin, waiter);
}

static void waiter_begin(struct kolk_call *call, void *user)
{
	struct waiter *waiter = user;
	enum kolk_err err = kolk_acquire_async(waiter->herd->loop, waiter->herd->key,
					       kolk_in_ms(60000), &waiter->acquire, waiter_over,
					       waiter);

	(void)call;
	if (err != KOLK_PENDING)
		waiter_over(waiter, err, &waiter->acquire.lease);
}

static int reserve_port(uint16_t *port)
{
	struct sockaddr_in here = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof here;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&here, size) != 0 ||
	    getsockname(fd, (struct sockaddr *)&here, &size) != 0)
		die("no port to be had");
	*port = ntohs(here.sin_port);
	return fd; /* bound, not listening: connections are refused */
}

static void herd(const struct args *args, FILE *json)
{
	uint32_t count = args->connections ? args->connections : 10000, dialing_max = 0;
	struct waiter *waiters = calloc(count, sizeof *waiters);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct dialling d = { .backend = args->backend };
	int listener = reserve_port(&d.port);
	double dead_s = 2, recovered_ms;
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct herd herd = { 0 };
	uint64_t began_ns;

	pool_open(&d, KOLK_LOOPS_ENGINE, count, &engine, &pool);
	herd.loop = kolk_engine_loop(engine, 0);
	herd.key = kolk_pool_key(pool);
	for (uint32_t i = 0; i < count; i++) {
		waiters[i].herd = &herd;
		(void)kolk_loop_call(herd.loop, &waiters[i].call, waiter_begin, &waiters[i]);
	}
	for (began_ns = clock_now(); clock_now() - began_ns < (uint64_t)(dead_s * 1e9);) {
		kolk_pool_stats(pool, &stats);
		dialing_max = stats.dialing > dialing_max ? stats.dialing : dialing_max;
		usleep(200);
	}
	kolk_pool_stats(pool, &stats);
	began_ns = clock_now();
	if (listen(listener, 64) != 0)
		die("cannot listen");
	while (kolk__load_relaxed(&herd.served) < count)
		usleep(200);
	recovered_ms = (double)(clock_now() - began_ns) / 1e6;
	if (json != NULL)
		fprintf(json, "{\"scenario\":\"dial\",\"what\":\"herd\",\"waiters\":%u,"
			"\"dead_s\":%.1f,\"attempts\":%llu,\"attempts_per_s\":%.1f,"
			"\"dials_in_flight_max\":%u,\"dials_bound\":4,\"waiters_failed\":%llu,"
			"\"recovered_ms\":%.1f}\n", count, dead_s,
			(unsigned long long)stats.dialled, (double)stats.dialled / dead_s,
			dialing_max, (unsigned long long)kolk__own(&herd.failed), recovered_ms);
	else
		printf("%u waiters, dead for %.1f s: %llu attempts (%.1f/s), at most %u in flight "
		       "(bound 4), %llu waiters told;\n  all served %.1f ms after it came back\n",
		       count, dead_s, (unsigned long long)stats.dialled,
		       (double)stats.dialled / dead_s, dialing_max,
		       (unsigned long long)kolk__own(&herd.failed), recovered_ms);
	kolk__store_relaxed(&herd.stop, true);
	kolk_engine_destroy(engine);
	close(listener);
	free(waiters);
}

/* ---- the scenario */

int scenario_dial(const struct args *args)
{
	static struct figures f[2];
	struct dialling *plan = calloc(1, sizeof *plan);
	FILE *json = json_open(args);

	plan->backend = args->backend;
	plan->duration_ns = (uint64_t)(args->seconds * 1e9 / (double)ROUNDS);
	plan->resume = args->resume;
	if (args->herd) {
		herd(args, json);
	} else if (args->tls || args->resume) {
		struct bench_origin origin;

		bench_origin_open(&origin);
		plan->port = kit_origin_port(origin.origin);
		plan->ca_path = origin.ca_path;
		plan->authority = &origin.authority;
		measure(plan, origin.origin, f);
		tell(json, plan->resume ? "tls, resumed" : "tls, full", f);
		bench_origin_close(&origin);
	} else {
		struct echo *echo = echo_open();

		plan->port = echo_port(echo);
		measure(plan, NULL, f);
		tell(json, "plain", f);
		echo_close(echo);
	}
	json_close(json);
	free(plan);
	return 0;
}
