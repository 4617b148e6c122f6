/* SPDX-License-Identifier: Apache-2.0 */
/* postgres_kit.h - what the tests against PostgreSQL share: a server, an engine, a pool; short words. */
#ifndef KOLK_TESTS_POSTGRES_KIT_H
#define KOLK_TESTS_POSTGRES_KIT_H

#include <kolk/kolk.h>
#include <kolk/postgres.h>

#include "tests/peers/peers.h"

struct pg_fixture {
	struct kit_peer *peer;
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
	struct kolk_postgres_options options;
	struct kolk_pool_options pool_options;
};

/* Fill the options with what every test wants; the test changes them, then opens. */
bool pg_fixture_start(struct pg_fixture *fixture, const struct kit_postgres_options *options);
bool pg_fixture_open(struct pg_fixture *fixture);
void pg_fixture_close(struct pg_fixture *fixture);

/* A lease, or a failed check. */
bool pg_acquire(struct pg_fixture *fixture, struct kolk_lease *lease);
/* One statement on a lease, and its first value as text; "" when there is none. */
enum kolk_err pg_ask(const struct kolk_lease *lease, const char *sql, uint32_t flags, char *text,
		     size_t size);
/* The same by key. */
enum kolk_err pg_ask_key(struct kolk_key *key, const char *sql, uint32_t flags, char *text,
			 size_t size);
#define PG_ASK(lease, sql, expected)                                             \
	do {                                                                     \
		char text_[256];                                                 \
		CHECK_ERR(pg_ask(lease, sql, 0, text_, sizeof text_), KOLK_OK);  \
		if (!CHECK(strcmp(text_, expected) == 0))                        \
			tap_note("%s: %s", sql, text_);                          \
	} while (0)
uint32_t pg_pid(const struct kolk_lease *lease);

#endif
