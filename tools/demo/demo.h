/* SPDX-License-Identifier: Apache-2.0 */
/* demo.h - the main job: traffic of many callers, pooled and with a connection per request. */
#ifndef KOLK_DEMO_H
#define KOLK_DEMO_H

#include <kolk/kolk.h>

#include "tests/kit/measure.h"

struct protocol {
	const char *name;
	const struct kolk_driver *(*driver)(void);
	/* Write a request for this host; its size. */
	size_t (*request)(char *buffer, size_t capacity, const char *host);
	/* Bytes of the whole answer, 0 = more must come, -1 = that is no answer. */
	long (*answer)(const char *bytes, size_t size, size_t request_size);
};

/* NULL when there is none of this name. */
const struct protocol *protocol_find(const char *name);

struct options {
	const char *target;   /* NULL = the embedded origin */
	const char *ca, *json;
	bool tls, serve;
	const struct protocol *protocol;
	double seconds;
	uint32_t callers;
	uint32_t backend;
};

/* Without the admin server there is nothing to serve. */
#ifdef KOLK_OPS
enum { CAN_SERVE = true };
#else
enum { CAN_SERVE = false };
#endif

/* Those that are wrong end the program, with status 2. */
void options_read(int argc, char **argv, struct options *o);

/* What one way of doing it gave. */
struct outcome {
	double requests_per_s;
	uint64_t requests, failed;
	enum kolk_err last_error;
	struct hist request, acquire, release;
	struct kolk_stats stats; /* at the end */
};

/* Drive so many callers over the engine's loops for so long, with a line of progress. */
void traffic_run(struct kolk_pool *pool, const struct options *options, const char *what,
		 struct outcome *outcome);
/* Sit still, so that pings and evictions can be seen. */
void traffic_rest(double seconds);

struct report {
	const struct options *options;
	struct kolk_engine *engine;
	const char *warning; /* what the engine logged about its back end, or "" */
	const char *where;   /* the target */
	const struct outcome *pooled, *unpooled;
};

void report_table(const struct report *report);
/* False when the file cannot be written. */
bool report_json(const struct report *report);

/* Keep several tenants busy with the admin server open, until SIGINT or SIGTERM. */
void serve_run(uint32_t backend);
/* Where its socket is, unless something else is there already. */
void serve_directory(char *path, size_t capacity);
/* How to start it and where it will be. */
void serve_hint(void);

#endif
