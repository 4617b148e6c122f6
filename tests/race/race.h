/* SPDX-License-Identifier: Apache-2.0 */
/* race.h - what the files of kolk-race share. */
#ifndef KOLK_TESTS_RACE_H
#define KOLK_TESTS_RACE_H

#include <stdint.h>

extern uint64_t race_ms; /* how long each test runs; --ms N */

uint64_t race_random(uint64_t *state);

#endif
