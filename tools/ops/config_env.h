/* SPDX-License-Identifier: Apache-2.0 */
/* config_env.h - what the environment says besides the file. */
#ifndef KOLK_OPS_CONFIG_ENV_H
#define KOLK_OPS_CONFIG_ENV_H

#include <stdbool.h>
#include <stddef.h>

struct kolk_config;
struct kolk__node;
struct kolk__reading;

/* The value of a variable; NULL = not set. */
const char *kolk__environment_get(const struct kolk__reading *r, const char *name, size_t size);
/* The tree that the environment adds; NULL and the error said. */
struct kolk__node *kolk__environment_tree(struct kolk__reading *r);
/* The one variable that is about pools. */
bool kolk__environment_pools(struct kolk__reading *r, struct kolk_config *config);

#endif
