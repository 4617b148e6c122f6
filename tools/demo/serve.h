/* SPDX-License-Identifier: Apache-2.0 */
/* serve.h - kolk-demo --serve: its upstreams, its clients, its configuration file. */
#ifndef KOLK_DEMO_SERVE_H
#define KOLK_DEMO_SERVE_H

#include <kolk/kolk.h>
#include <pthread.h>

#include "core/base/atomic.h"
#include "tests/kit/origin.h"

enum { UPSTREAMS = 4, TENANTS = 5, GROUP_MAX = 20 };

struct upstream {
	const char *name; /* of its pool */
	bool tls, is_up;
	enum kit_behaviour behaviour;
	uint32_t after;             /* answers, then it behaves as configured */
	uint32_t clients;           /* per tenant */
	uint32_t hold_ms, pause_ms; /* at most */
};

/* ---- serve_clients.c */

struct client {
	pthread_t thread;
	struct kolk_key *key;
	const struct group *group;
	uint32_t number; /* from 1; of the next upstream from 101 */
	uint64_t random;
};

/* The clients of one upstream. */
struct group {
	const struct upstream *upstream;
	uint32_t first; /* number */
	uint32_t count;
	kolk__atomic_u32 stop; /* W: clients_stop. R: clients */
	struct client clients[GROUP_MAX];
};

/* Start clients of every tenant at the pool. */
void clients_start(struct group *group, struct kolk_pool *pool);
/* Stop them and wait; no client holds a key of the pool then. */
void clients_stop(struct group *group);

/* ---- serve_config.c */

struct places {
	const char *config, *socket, *ca; /* paths */
	uint16_t ports[UPSTREAMS];
};

struct options;
struct gateway_places;

/* Write the configuration to start with. False: errno says why. */
bool config_write(const struct places *places);
/* And that of kolk-gateway. */
bool config_write_gateway(const char *path, const struct options *options,
			  const struct gateway_places *places);

#endif
