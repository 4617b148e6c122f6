/* SPDX-License-Identifier: Apache-2.0 */
/* config_text.h - configurations of the tests: read from a text or a file. */
#ifndef KOLK_TESTS_OPS_CONFIG_TEXT_H
#define KOLK_TESTS_OPS_CONFIG_TEXT_H

#include "tools/ops/config.h"

#define CONFIG_FILES OPS_TEST_FILES "/config/"
#define ENVIRONMENT(...) ((const char *const[]){ __VA_ARGS__, NULL })

extern const char *const config_nothing[]; /* an environment without variables */
extern const char *const config_world[];   /* what the files of config/ expect */

/* Of a text, or of good/NAME; to be freed. */
struct kolk_config *must_parse(const char *text, const char *const *environment);
struct kolk_config *must_load(const char *name);

/* So many allocations of a configuration succeed from now on; UINT32_MAX = all. */
extern uint32_t config_allocations_left;

#endif
