/* SPDX-License-Identifier: Apache-2.0 */
/* inside.h - what a pool has inside, for tests of the configuration: core's headers and those of
 * tools/ops do not go together. */
#ifndef KOLK_TESTS_INSIDE_H
#define KOLK_TESTS_INSIDE_H

#include <kolk/kolk.h>

/* The settings in force: a struct kolk_pool_options with its numbers. */
const void *inside_settings(const struct kolk_pool *pool);
/* The canonical bytes of its identity. */
const uint8_t *inside_identity(const struct kolk_pool *pool, size_t *size);
/* The value of a number's field. */
uint64_t inside_number(const struct kolk_option *option, const void *options);

#endif
