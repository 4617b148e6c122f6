/* SPDX-License-Identifier: Apache-2.0 */
/* peers.h - what the tests against real servers share. Servers: tests/kit/peers.h. */
#ifndef KOLK_TESTS_PEERS_H
#define KOLK_TESTS_PEERS_H

#include "tests/kit/peers.h"
#include "tests/kit/tap.h"

/* How much: --requests N, else what the test thinks right; --long makes it ten times as much,
 * --at-most N makes it less. */
uint64_t peers_requests(uint64_t usual);
bool peers_long(void);
/* --seed N; printed by tests that use it. */
uint64_t peers_seed(void);

#endif
