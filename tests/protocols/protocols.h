/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protocols.h - libkolk-drivers on the simulated street: clients that give up at random, peers that
 * speak the protocols and fail at random, one seed, one history.
 */
#ifndef KOLK_TESTS_PROTOCOLS_H
#define KOLK_TESTS_PROTOCOLS_H

#include <kolk/kolk.h>

#include <kolk/http.h>
#include <kolk/mcp.h>
#include <kolk/postgres.h>
#include <kolk/redis.h>

#include "tests/sim/sim.h"

enum { PORT_HTTP = 80, PORT_HTTP2 = 8080, PORT_MCP = 8081, PORT_PG = 5432, PORT_REDIS = 6379 };
enum { NONCES = 1 << 16, CALLS = 24, LOOPS_MAX = 3, MCP_TENANTS = 2 };

struct world;

struct call {
	struct world *world;
	uint64_t nonce;
	char text[24];        /* it, in digits: what must come back */
	bool pending, cancelled, replayable;
	bool calm;            /* it began when nothing failed any more */
	struct kolk_http_exchange *http; /* one of these, while it is pending */
	struct kolk_redis_call *redis;
	struct kolk_postgres_call *pg;
	struct kolk_mcp_call *mcp;
	struct kolk_mcp_client *mcp_client;
	uint32_t tenant;
	struct kolk_acquire acquire; /* a lease for several commands, one after the other */
	struct kolk_lease lease;
	struct kolk_loop *loop;
	uint64_t deadline_ns;
	bool acquiring, subscribed;
	uint32_t step, steps, what;
	uint32_t status;
	char body[64];
	size_t body_size;
	size_t pulled;
	uint32_t client;      /* which of the HTTP clients */
	bool paused;          /* by a handler: nothing more is shown */
	bool starved;         /* its pull had nothing */
	bool closed;          /* its client is: it may end as cancelled */
	bool headed, trailed; /* its head was shown; a trailer was announced */
	struct kolk_http_field http_trailer;
	struct kolk_postgres_value pg_value; /* borrowed while it is under way */
	struct kolk_postgres_statement pg_statements[2];
	struct kolk_postgres_request pg_request;
	uint32_t last;        /* which of the replies must be the nonce */
};

struct world {
	struct kolk__sim *sim;
	struct kolk_engine *engine;
	uint32_t loops;
	struct kolk_http *http[LOOPS_MAX];
	struct kolk_key *http_key, *http2_key, *redis_key, *pg_key, *mcp_key;
	struct kolk_mcp *mcp;
	struct kolk_mcp_client *mcp_clients[LOOPS_MAX][MCP_TENANTS];
	struct kolk_redis_options redis;
	struct call calls[CALLS];
	uint8_t executed[NONCES];    /* how often a peer acted on it */
	uint64_t nonce, steps, asked, answered, cancelled, failed, mended;
	bool calm, trace;
	bool closing[LOOPS_MAX]; /* the client of HTTP: another one takes its place */
	const char *broken;
};

void world_break(struct world *world, const char *law);
void world_trace(struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static inline uint64_t below(struct world *world, uint64_t bound)
{
	return kolk__sim_below(world->sim, bound);
}

/* peers.c: a kolk__sim_peer_fn; user = the world. */
void peers_play(void *user, uint64_t peer, uint16_t port, const uint8_t *bytes, size_t size);
void peers_forget(void);
/* What a peer says, or a part of it and then the end: false. And that it acted on a request. */
bool peer_say(struct world *world, uint64_t peer, const char *text, size_t size);
void peer_executed(struct world *world, const char *nonce);

/* peer_h2.c */
void peer_h2_play(struct world *world, uint64_t peer, const uint8_t *bytes, size_t size);
void peer_h2_forget(void);

/* peer_pg.c */
void peer_pg_play(struct world *world, uint64_t peer, const uint8_t *bytes, size_t size);
void peer_pg_forget(void);

/* peer_mcp.c */
void peer_mcp_play(struct world *world, uint64_t peer, const uint8_t *bytes, size_t size);
void peer_mcp_forget(void);

/* calls.c */
void calls_random(struct world *world);
bool calls_pending(const struct world *world);
void calls_http(struct world *world, struct call *call);
void calls_http2(struct world *world, struct call *call);
void calls_redis(struct world *world, struct call *call);
void calls_over(struct call *call, enum kolk_err err);
void calls_must_be_possible(struct call *call, enum kolk_err err);

/* calls_redis.c: several commands on one lease */
void calls_redis_lease(struct world *world, struct call *call);
/* True: it is such a call, and was given up. */
bool calls_redis_lease_cancel(struct call *call);

void calls_pg(struct world *world, struct call *call);

/* calls_mcp.c: an upstream and its clients; closed when the clients' calls have ended */
bool mcp_open(struct world *world, struct kolk_pool *connections);
void mcp_clients_close(struct world *world);
void mcp_close(struct world *world);
void calls_mcp(struct world *world, struct call *call);

#endif
