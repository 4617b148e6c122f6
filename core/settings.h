/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - a pool's options, read and checked, and not yet applied. */
#ifndef KOLK_SETTINGS_H
#define KOLK_SETTINGS_H

#include "core/engine.h"

struct kolk__settings {
	struct kolk_pool_options o; /* with every default filled in */
	struct kolk_tls_options tls;     /* o.tls */
	struct kolk_child_options child; /* o.child, likewise */
	struct kolk__upstream *upstream;
	uint8_t *identity;          /* canonical bytes (identity.h) */
	size_t identity_size;
};

/* Read, complete and check; opens certificate files. On KOLK_OK the caller applies or drops. */
enum kolk_err kolk__settings_read(struct kolk_engine *engine,
				  const struct kolk_pool_options *options,
				  struct kolk__settings *settings);
void kolk__settings_drop(struct kolk_engine *engine, struct kolk__settings *settings);
/* Give them to the pool; *settings holds afterwards what is to be dropped. True when they say
 * another identity. A pool that works: under pool.lock. */
bool kolk__settings_apply(struct kolk_pool *pool, struct kolk__settings *settings);

#endif
