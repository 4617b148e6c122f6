/* SPDX-License-Identifier: Apache-2.0 */
/* redis.h - what the tests of the Redis driver share: an engine with a pool, commands of words. */
#ifndef KOLK_TESTS_PEERS_REDIS_H
#define KOLK_TESTS_PEERS_REDIS_H

#include <kolk/kolk.h>
#include <kolk/redis.h>

struct house_options {
	const char *address, *ca_file;
	const struct kolk_redis_options *redis;
	uint32_t connections; /* 0 = 1 */
	bool embedded;        /* the test runs the loop */
	uint64_t ping_interval_ns;
};

struct house {
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
};

struct house house_open(const struct house_options *options);
void house_close(struct house *house);
const struct kolk_redis_reply *say(const struct kolk_lease *lease, const char *text);
bool says(const struct kolk_lease *lease, const char *text, const char *answer);

#endif
