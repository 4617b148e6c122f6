/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers.h - what the tests against real servers share.
 *
 * A file offers its tests by PEERS_TESTS(redis, redis_tests), where redis_tests is an array of struct
 * tap_test: kolk-peers finds it. Servers: tests/kit/peers.h.
 */
#ifndef KOLK_TESTS_PEERS_H
#define KOLK_TESTS_PEERS_H

#include "tests/kit/peers.h"
#include "tests/kit/tap.h"

struct peers_suite {
	const char *name;
	const struct tap_test *tests;
	int count;
};

#define PEERS_TESTS(suite, array)                                                            \
	static const struct peers_suite peers_##suite = { #suite, array,                     \
							  sizeof(array) / sizeof *(array) }; \
	__attribute__((section("peers_suites"), used)) static const struct peers_suite       \
		*const peers_entry_##suite = &peers_##suite

/* How much: --requests N, else what the test thinks right; --long makes it ten times as much,
 * --at-most N makes it less. */
uint64_t peers_requests(uint64_t usual);
bool peers_long(void);
/* --seed N; printed by who uses it. */
uint64_t peers_seed(void);

#endif
