/* SPDX-License-Identifier: Apache-2.0 */
/* kit.h - what every scenario needs: arguments, time, medians, histograms, threads, output. */
#ifndef KOLK_BENCH_KIT_H
#define KOLK_BENCH_KIT_H

#include <kolk/kolk.h>
#include <kolk/sys/sys.h>
#include <pthread.h>
#include <stdio.h>

#include "core/base/atomic.h"
#include "tests/kit/measure.h"

struct args {
	const char *json;      /* NULL = human, "-" = stdout, else a file */
	const char *pool;      /* "kolk" or "mutex" */
	uint32_t threads, connections, keys, hogs, rounds;
	uint32_t burst;        /* of scale: these alone; 0 = all */
	uint64_t cycles;       /* per batch and thread; 0 = by time */
	double seconds;
	uint64_t hold_ns;
	uint64_t overtake_ns;  /* KOLK_FOREVER = the default of the library */
	uint32_t size;         /* bytes of a request; 0 = the scenario's */
	uint32_t backend;      /* enum kolk_backend */
	bool scaling, matrix, tls, resume, herd, quick;
	const char *series;    /* of scale: "connections,keys"; NULL = all */
	const char *protocol;  /* of http: "1.1" or "2" */
	const char *client;    /* of protocols: one line of the table alone, for a profiler */
	const char *concurrency, *bytes, *depth; /* of protocols: "1,8,64"; NULL = the scenario's */
};

/* Run body(thread, index) on so many threads at once; each on the CPU index % CPUs when pin. */
typedef void body_fn(void *shared, uint32_t index);
double threads_run(uint32_t threads, body_fn *body, void *shared, double seconds,
		   kolk__atomic_bool *stop);

/* A pool of in-process resources, warm: idle connections without sockets. */
struct fixture {
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
};
void fixture_open(struct fixture *fixture, uint32_t connections, uint64_t overtake_ns,
		  const struct kolk_sys *sys, uint32_t engine_max);
void fixture_close(struct fixture *fixture);
extern const struct kolk_resource_driver fixture_resource;

/* One JSON object per line, or a table row; and a progress line on a terminal. */
FILE *json_open(const struct args *args);
void json_close(FILE *file);
void json_hist(FILE *file, const char *name, const struct hist *hist, uint64_t minus);
void progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Calls of malloc and friends by the calling thread so far */
uint64_t allocations(void);
/* From now on each system call of the calling thread is refused and counted; the thread can
 * only end. False when the kernel does not let us. */
bool syscalls_watch(void);
uint64_t syscalls(void);
/* System calls of body(user), run by a thread of its own; each is counted by another one,
 * which takes some us. 0 when the kernel does not let us. */
uint64_t syscalls_of(void (*body)(void *user), void *user);

int scenario_limits(const struct args *args);
int scenario_hit(const struct args *args);
int scenario_handover(const struct args *args);
int scenario_keys(const struct args *args);
int scenario_deadline(const struct args *args);
int scenario_roundtrip(const struct args *args);
int scenario_dial(const struct args *args);
int scenario_burst(const struct args *args);
int scenario_wake(const struct args *args);
int scenario_tenants(const struct args *args);
int scenario_scale(const struct args *args);
int scenario_http(const struct args *args);
int scenario_redis(const struct args *args);
int scenario_postgres(const struct args *args);

/* The rival: the same on one mutex, a list and a condition variable. */
struct mutex_pool;
struct mutex_pool *mutex_pool_open(uint32_t connections);
void mutex_pool_close(struct mutex_pool *pool);
void *mutex_pool_acquire(struct mutex_pool *pool);
void mutex_pool_release(struct mutex_pool *pool, void *connection);

#endif
