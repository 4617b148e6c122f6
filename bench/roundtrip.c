/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roundtrip.c - acquire, send, receive, release against an echo peer on the other CPU, beside
 * the same loop written by hand: drivers take turns, each figure is the median of the rounds.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/echo.h"
#include "bench/trip.h"

enum { ROUNDS = 5, DRIVERS_MAX = 4 };

struct driver {
	const char *name;
	void (*run)(struct trip *trip);
};

struct figures {
	double ops[ROUNDS], cpu[ROUNDS], syscalls;
	struct hist latency;
	const char *backend;
};

static uint64_t thread_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * KOLK_S_NS + (uint64_t)now.tv_nsec;
}

void trip_begin(struct trip *trip)
{
	trip->ops = 0;
	trip->cpu_ns = thread_ns();
	trip->began_ns = clock_now();
}

uint64_t trip_done(struct trip *trip, uint64_t sent_ns)
{
	uint64_t now_ns = clock_now();

	trip->ops++;
	hist_add(&trip->latency, now_ns - sent_ns);
	return now_ns - trip->began_ns < trip->duration_ns ? now_ns : 0;
}

void trip_end(struct trip *trip)
{
	trip->wall_ns = clock_now() - trip->began_ns;
	trip->cpu_ns = thread_ns() - trip->cpu_ns;
}

/* ---- rounds */

static void pinned(const struct driver *driver, struct trip *trip)
{
	pin_to_cpu(0);
	driver->run(trip);
}

struct counted {
	const struct driver *driver;
	struct trip trip;
};

static void counted_run(void *user)
{
	struct counted *counted = user;

	pinned(counted->driver, &counted->trip);
}

/* Setting up costs system calls, too: what a longer run takes more. */
static double syscalls_per_op(const struct driver *driver, const struct trip *plan)
{
	struct counted a = { driver, *plan }, b = { driver, *plan };
	uint64_t less, more;

	a.trip.duration_ns = 50 * KOLK_MS_NS;
	b.trip.duration_ns = 350 * KOLK_MS_NS;
	less = syscalls_of(counted_run, &a);
	more = syscalls_of(counted_run, &b);
	return b.trip.ops > a.trip.ops && more > less ?
		       (double)(more - less) / (double)(b.trip.ops - a.trip.ops) : 0;
}

static void measure(const struct driver *drivers, int count, const struct trip *plan,
		    struct figures *figures)
{
	struct trip *trip = malloc(sizeof *trip);

	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < count; i++) {
			progress("round %d of %d: %s", round + 1, ROUNDS, drivers[i].name);
			*trip = *plan;
			pinned(&drivers[i], trip);
			figures[i].ops[round] = (double)trip->ops * 1e9 / (double)trip->wall_ns;
			figures[i].cpu[round] = (double)trip->cpu_ns / (double)trip->ops;
			hist_merge(&figures[i].latency, &trip->latency);
			figures[i].backend = trip->backend_name;
		}
	}
	progress("counting system calls");
	for (int i = 0; i < count; i++)
		figures[i].syscalls = syscalls_per_op(&drivers[i], plan);
	progress("%s", "");
	free(trip);
}

/* ---- output */

static void json_figures(FILE *json, struct figures *f)
{
	fprintf(json, "\"ops_per_s\":%.0f,", median(f->ops, ROUNDS));
	json_hist(json, "latency_ns", &f->latency, 0);
	fprintf(json, ",\"cpu_ns_per_op\":%.0f,\"syscalls_per_op\":%.3f", median(f->cpu, ROUNDS),
		f->syscalls);
}

static void tell(const struct args *args, const struct driver *drivers, int count,
		 const struct trip *plan, struct figures *f)
{
	FILE *json = json_open(args);
	double ops = median(f[0].ops, ROUNDS);

	if (json != NULL) {
		fprintf(json, "{\"scenario\":\"roundtrip\",\"backend\":\"%s\",\"tls\":%s,\"size\":%zu,"
			"\"connections\":%u,", f[0].backend, plan->ca_path ? "true" : "false",
			plan->size, plan->connections);
		json_figures(json, &f[0]);
		for (int i = 1; i < count; i++) {
			fprintf(json, ",\"limit_%s\":{", drivers[i].name);
			json_figures(json, &f[i]);
			fprintf(json, "},\"ratio_%s\":%.3f", drivers[i].name,
				ops / median(f[i].ops, ROUNDS));
		}
		fprintf(json, "}\n");
		json_close(json);
		return;
	}
	printf("%zu bytes, %u connections, one thread%s; kolk on %s; median of %d rounds\n"
	       "              requests/s   of kolk      p50       p99     p99.9 us   cpu ns/op   "
	       "system calls/op\n", plan->size, plan->connections, plan->ca_path ? ", TLS" : "",
	       f[0].backend, ROUNDS);
	for (int i = 0; i < count; i++)
		printf("%-12s  %10.0f  %8.2f  %8.1f  %8.1f  %8.1f   %10.0f    %8.3f\n",
		       drivers[i].name, median(f[i].ops, ROUNDS), median(f[i].ops, ROUNDS) / ops,
		       (double)hist_at(&f[i].latency, 0.5) / 1e3,
		       (double)hist_at(&f[i].latency, 0.99) / 1e3,
		       (double)hist_at(&f[i].latency, 0.999) / 1e3, median(f[i].cpu, ROUNDS),
		       f[i].syscalls);
}

/* ---- the scenario */

int scenario_roundtrip(const struct args *args)
{
	static const struct driver plain[] = { { "kolk", trip_kolk },
					       { "io_uring", trip_io_uring },
					       { "epoll", trip_epoll },
					       { "blocking", trip_blocking } };
	static const struct driver tls[] = { { "kolk", trip_kolk },
					     { "bare_tls", trip_bare_tls } };
	static struct figures figures[DRIVERS_MAX];
	struct trip plan = { .connections = args->connections ? args->connections : 64,
			     .size = args->size ? args->size : 64, .backend = args->backend,
			     .duration_ns = (uint64_t)(args->seconds * 1e9 / (double)ROUNDS) };

	if (args->tls) {
		struct bench_origin origin;

		bench_origin_open(&origin);
		plan.port = kit_origin_port(origin.origin);
		plan.ca_path = origin.ca_path;
		plan.authority = &origin.authority;
		measure(tls, 2, &plan, figures);
		tell(args, tls, 2, &plan, figures);
		bench_origin_close(&origin);
	} else {
		struct echo *echo = echo_open();

		plan.port = echo_port(echo);
		measure(plain, 4, &plan, figures);
		tell(args, plain, 4, &plan, figures);
		echo_close(echo);
	}
	return 0;
}
