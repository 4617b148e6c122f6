/* SPDX-License-Identifier: Apache-2.0 */
/* config_open.h - from a configuration to an engine: the steps of open that apply takes too. */
#ifndef KOLK_OPS_CONFIG_OPEN_H
#define KOLK_OPS_CONFIG_OPEN_H

#include "tools/ops/config.h"
#include "tools/ops/config_error.h"

/* Says what went wrong at a place, and returns err. */
enum kolk_err kolk__refused(const struct kolk_config *config, const struct kolk__node *at,
			    enum kolk_err err, struct kolk_config_error *error,
			    const char *suggestion, const char *format, ...)
	__attribute__((format(printf, 6, 7)));
/* The error of a call on a pool, reported at the key of the field that it names. */
enum kolk_err kolk__pool_refused(const struct kolk_config *config,
				 const struct kolk__config_pool *pool, enum kolk_err err,
				 const struct kolk_failure *failure,
				 struct kolk_config_error *error);
enum kolk_err kolk__pool_add(struct kolk_engine *engine, const struct kolk_config *config,
			     const struct kolk__config_pool *pool, struct kolk_pool **made,
			     struct kolk_config_error *error);
/* Open a key to warm and begin to dial; its handle is kept. */
enum kolk_err kolk__key_warm_begin(struct kolk_pool *pool, const struct kolk_config *config,
				   const struct kolk__config_key *key,
				   struct kolk_config_error *error);
/* Give back the handle that kolk__key_warm_begin kept. */
void kolk__key_warm_end(struct kolk_pool *pool, const struct kolk__config_key *key);

#endif
