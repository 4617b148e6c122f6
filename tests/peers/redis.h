/* SPDX-License-Identifier: Apache-2.0 */
/* redis.h - what the tests of the Redis driver share: an engine with a pool, commands of words. */
#ifndef KOLK_TESTS_PEERS_REDIS_H
#define KOLK_TESTS_PEERS_REDIS_H

#include <kolk/kolk.h>
#include <kolk/redis.h>

struct redis_fixture_options {
	const char *address, *ca_file;
	const struct kolk_redis_options *redis;
	uint32_t connections; /* 0 = 1 */
	bool embedded;        /* the test runs the loop */
	uint64_t ping_interval_ns;
};

struct redis_fixture {
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
};

struct redis_fixture redis_fixture_open(const struct redis_fixture_options *options);
void redis_fixture_close(struct redis_fixture *fixture);
const struct kolk_redis_reply *say(const struct kolk_lease *lease, const char *text);
bool says(const struct kolk_lease *lease, const char *text, const char *answer);

#endif
