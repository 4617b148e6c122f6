/* SPDX-License-Identifier: Apache-2.0 */
/* serve.h - the town of kolk-demo --serve: its shops, who visits them, the file it works by. */
#ifndef KOLK_DEMO_SERVE_H
#define KOLK_DEMO_SERVE_H

#include <kolk/kolk.h>
#include <pthread.h>

#include "core/base/atomic.h"
#include "tests/kit/origin.h"

enum { SHOPS = 4, TENANTS = 5, CROWD_MAX = 20 };

struct shop {
	const char *name; /* of its pool */
	bool tls, is_there;
	enum kit_behaviour behaviour;
	uint32_t after;             /* answers, then it behaves like that */
	uint32_t visitors;          /* per tenant */
	uint32_t hold_ms, pause_ms; /* at most */
};

/* ---- serve_visitors.c */

struct visitor {
	pthread_t thread;
	struct kolk_key *key;
	const struct crowd *crowd;
	uint32_t number; /* from 1; of the next shop from 101 */
	uint64_t random;
};

/* The visitors of one shop. */
struct crowd {
	const struct shop *shop;
	uint32_t first; /* number */
	uint32_t count;
	kolk__atomic_u32 stop; /* W: visitors_leave. R: visitors */
	struct visitor visitors[CROWD_MAX];
};

/* Some of every tenant begin to visit the pool. */
void visitors_come(struct crowd *crowd, struct kolk_pool *pool);
/* Wait until all have left; nobody holds a key of the pool then. */
void visitors_leave(struct crowd *crowd);

/* ---- serve_config.c */

struct places {
	const char *config, *socket, *ca; /* paths */
	uint16_t ports[SHOPS];
};

/* Write the configuration that the town begins with. False: errno says why. */
bool config_write(const struct places *places);

#endif
