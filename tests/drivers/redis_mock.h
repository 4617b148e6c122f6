/* SPDX-License-Identifier: Apache-2.0 */
/* redis_mock.h - an engine, a Redis pool of one connection, and a mock Redis that knows PING,
 * ECHO and little else, or follows a script. */
#ifndef KOLK_TESTS_REDIS_MOCK_H
#define KOLK_TESTS_REDIS_MOCK_H

#include <stdbool.h>
#include <stdint.h>

#include <kolk/kolk.h>
#include <kolk/redis.h>

#include "core/base/atomic.h"
#include "tests/kit/mock.h"

/* What a script says when the end of a command has come; a NULL ends it. */
struct redis_line {
	const char *until, *say;
};

/* Zeros, or options and step set, before one of the opens. */
struct redis_fixture {
	struct kit_mock *mock;
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
	struct kolk_redis_options redis;
	uint64_t ready_ns; /* 0 = more than a busy machine's hiccups */
	kolk__atomic_int step; /* synchronizes the mock with the test */
	kolk__atomic_bool left; /* the test's: the caller does not wait for the reply any more */
	kolk__atomic_int pushes;
	const struct redis_line *script;
	struct kolk_lease lease; /* of redis_mock_open_script */
};

void redis_mock_open_on(struct redis_fixture *fixture, const struct kit_mock_options *mock);
void redis_mock_open(struct redis_fixture *fixture, kit_mock_fn *mock_fn);
/* With a mock that follows the script, and a lease, which ends with the close. */
void redis_mock_open_script(struct redis_fixture *fixture, uint32_t resp,
			    const struct redis_line *script);
void redis_mock_close(struct redis_fixture *fixture);
struct kolk_lease redis_lease(struct redis_fixture *fixture);
/* The number of its connection. */
uint64_t redis_number(const struct kolk_lease *lease);
enum kolk_err redis_echo(const struct kolk_lease *lease, const char *word, uint64_t ms);

/* The mock's side: AUTH, SELECT and PING of the dial; true = it is answered. */
bool mock_open_well(struct kit_mock_conn *conn);
/* The word of the next ECHO or PING, however it was sent. */
bool mock_next_word(struct kit_mock_conn *conn, char word[64]);
bool mock_say_word(struct kit_mock_conn *conn, const char *word);
void mock_serve(struct kit_mock_conn *conn);
/* Until the test has set left; 5 s at most. */
void mock_await_left(struct kit_mock_conn *conn, const struct redis_fixture *fixture);

#endif
