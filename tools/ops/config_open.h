/* SPDX-License-Identifier: Apache-2.0 */
/* config_open.h - from a configuration to an engine: the steps of open that apply takes too. */
#ifndef KOLK_OPS_CONFIG_OPEN_H
#define KOLK_OPS_CONFIG_OPEN_H

#include "tools/ops/config.h"
#include "tools/ops/config_error.h"

/* A configuration on its way into an engine: one that it creates, or one that works. */
struct kolk__opening {
	struct kolk__reading reading; /* its errors */
	const struct kolk_config *config;
	struct kolk_engine *engine; /* NULL = not created yet */
	bool dial;                  /* keys to warm; otherwise they are only opened */
};

/* The error of a call on a pool, reported at the key of the field that it names. */
enum kolk_err kolk__pool_refused(struct kolk__opening *o, const struct kolk__config_pool *pool,
				 enum kolk_err err, const struct kolk_failure *failure);
enum kolk_err kolk__pool_add(struct kolk__opening *o, const struct kolk__config_pool *pool,
			     struct kolk_pool **made);
/* Open a key to warm and begin to dial; its handle is kept. */
enum kolk_err kolk__key_warm_begin(struct kolk__opening *o, struct kolk_pool *pool,
				   const struct kolk__config_key *key);
/* Give back the handle that kolk__key_warm_begin kept. */
void kolk__key_warm_end(struct kolk_pool *pool, const struct kolk__config_key *key);

#endif
