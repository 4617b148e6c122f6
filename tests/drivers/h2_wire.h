/* SPDX-License-Identifier: Apache-2.0 */
/* h2_wire.h - HTTP/2 through a pool, against the server of h2_server.h: a client of two loops. */
#ifndef KOLK_TESTS_H2_WIRE_H
#define KOLK_TESTS_H2_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include <kolk/http.h>
#include <kolk/kolk.h>

#include "tests/drivers/h2_server.h"

/* An engine of two loops, an HTTP/2 pool of the server, a client of the first loop. */
struct h2_fixture {
	struct h2_server server;
	struct kit_mock *mock;
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_http *http;
	struct kolk_http_driver_options options;
	kolk__atomic_u64 id;
};

/* It holds soon; how soon is the machine's matter. */
#define SOON(x)                                          \
	do {                                             \
		for (int ms_ = 0; ms_ < 5000 && !(x); ms_++) \
			h2_nap_ms(1);                    \
		assert_true(x);                          \
	} while (0)

void h2_nap_ms(int ms);
/* window: of the server, for uploads; 0 = the usual. */
struct h2_fixture *h2_wire_open(const struct kolk_http_driver_options *options, uint32_t window);
/* The same, and the pool pings this often instead of every 50 ms. */
struct h2_fixture *h2_wire_open_pinging(const struct kolk_http_driver_options *options,
					uint32_t window, uint64_t ping_interval_ns);
void h2_wire_close(struct h2_fixture *fixture);

struct ask {
	const char *target, *method;
	bool replayable, expect;
	size_t body_size;
	uint64_t deadline_ms, idle_ms;
};

struct result {
	enum kolk_err err;
	uint32_t status, retried, executions;
	size_t body_size;
	uint64_t took_ms;
	bool mine; /* the body is the request's id */
};

/* A whole request by this client, or by the fixture's; waits for its end. */
struct result h2_ask_by(struct h2_fixture *fixture, struct kolk_http *http,
			const struct ask *what);
struct result h2_ask(struct h2_fixture *fixture, const struct ask *what);
struct result h2_get(struct h2_fixture *fixture, const char *target);
/* Connections that the server accepted; that the pool closed for this reason. */
uint64_t h2_accepted(struct h2_fixture *fixture);
uint64_t h2_ended(struct h2_fixture *fixture, enum kolk_reason reason);

#endif
