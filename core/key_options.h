/* SPDX-License-Identifier: Apache-2.0 */
/* key_options.h - every option of a tenant and of a key, once, as those of option_tables.h. */
#ifndef KOLK_KEY_OPTIONS_H
#define KOLK_KEY_OPTIONS_H

#include "core/option_tables.h"

/* clang-format off */
/* 0 leaves a limit as it is; at first it is the engine's. */
#define KOLK__TENANT_OPTIONS(X)                                                                    \
	KOLK_OPTION_FIELD(X, uint32_t, size, SIZE, 0)                                                    \
	X(uint32_t, connections_max, COUNT, UNLIMITED, KOLK_UNLIMITED, 1, KOLK__MANY,              \
	  "tenants.connections_max", NULL, NULL, "`engine.tenant_connections_max`", "all pools")   \
	X(uint32_t, keys_max, COUNT, UNLIMITED, KOLK_UNLIMITED, 1, KOLK__MANY,                     \
	  "tenants.keys_max", NULL, NULL, "`engine.tenant_keys_max`", "all pools")                 \
	X(uint32_t, weight, COUNT, 0, 1, 1, 1000, "tenants.weight", NULL, NULL, NULL,              \
	  "of its share when a limit is full")

#define KOLK__KEY_OPTIONS(X)                                                                       \
	KOLK_OPTION_FIELD(X, uint32_t, size, SIZE, 0)                                                    \
	KOLK_OPTION_FIELD(X, uint32_t, credential_size, POINTER, OWN) /* its digest */                   \
	KOLK_OPTION_FIELD(X, kolk__text, tenant, POINTER, OWN) /* as the pool's isolation says */        \
	KOLK_OPTION_FIELD(X, const void *, credential, POINTER, OWN)                                     \
	KOLK_OPTION_FIELD(X, kolk__text, session, POINTER, OWN)                                          \
	KOLK_OPTION_FIELD(X, uint32_t, replaces, SWITCH, 0)                                              \
	KOLK_OPTION_FIELD(X, uint32_t, reserved, RESERVED, 0)                                            \
	KOLK_OPTION_FIELD(X, kolk__failure_pointer, failure, POINTER, 0)

/* clang-format on */

#endif
