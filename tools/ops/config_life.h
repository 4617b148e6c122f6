/* SPDX-License-Identifier: Apache-2.0 */
/* config_life.h - what cannot change from one configuration to the next. */
#ifndef KOLK_OPS_CONFIG_LIFE_H
#define KOLK_OPS_CONFIG_LIFE_H

#include <kolk/error.h>

struct kolk__reading;
struct kolk_config;

/* What engine, admin server and the program's own maps have for life is the same in both. */
enum kolk_err kolk__life_check(struct kolk__reading *r, const struct kolk_config *before,
			       const struct kolk_config *after);

#endif
