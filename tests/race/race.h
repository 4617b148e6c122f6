/* SPDX-License-Identifier: Apache-2.0 */
/* race.h - what the files of kolk-race share. */
#ifndef KOLK_TESTS_RACE_H
#define KOLK_TESTS_RACE_H

#include <stdbool.h>
#include <stdint.h>

extern uint64_t race_ms; /* how long each test runs; --ms N */

uint64_t race_random(uint64_t *state);

/* Whether a test that began then goes on: for race_ms, and on a loaded machine until its threads
 * have done that much, for 10 s at most. */
bool race_goes_on(uint64_t began_ms, uint64_t done, uint64_t wanted);

#endif
