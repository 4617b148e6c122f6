/* SPDX-License-Identifier: Apache-2.0 */
/* inside.c - see inside.h. */
#include "tests/ops/inside.h"

#include "core/engine.h"
#include "core/base/option.h"
#include "core/pool.h"

const void *inside_settings(const struct kolk_pool *pool)
{
	return kolk__own(&pool->settings);
}

const uint8_t *inside_identity(const struct kolk_pool *pool, size_t *size)
{
	*size = pool->identity_size;
	return pool->identity;
}

uint64_t inside_number(const struct kolk_option *option, const void *options)
{
	return kolk__option_number(option, options);
}
