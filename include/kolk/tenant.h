/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/tenant.h - who connections belong to: limits, weight, rotation.
 *
 * A tenant is known by its name as long as it has a key or limits of its own. Keys without a
 * tenant (kolk_pool_key) and those of pools with KOLK_ISOLATION_SHARED have no tenant: limits
 * of key, pool and engine hold for them, and fairness counts them as one tenant of weight 1.
 *
 * Fairness. When the engine's limit is full, shares are max-min fair by weight: the next permit
 * goes to the tenant that waits and has the fewest connections per weight. At a pool's own limit
 * it goes to the one that waits for the longest time. At both, a tenant with more connections per
 * weight than one that waits gives one back as its leases end. Capacity that others do not use is
 * lent to those that can use it. Guide: docs/tenants.md.
 * Threads: any.
 */
#ifndef KOLK_TENANT_H
#define KOLK_TENANT_H

#include <kolk/error.h>

/* 0 = leave as it is (at first: what the engine's options say, and weight 1). */
struct kolk_tenant_limits {
	uint32_t size;            /* sizeof; set by KOLK_INIT */
	uint32_t connections_max; /* all pools; KOLK_UNLIMITED */
	uint32_t keys_max;        /* all pools; KOLK_UNLIMITED */
	uint32_t weight;          /* 1 .. 1000 */
};                                /* since 0.1 */

KOLK_BEGIN

/* Give a tenant limits of its own, before or after its first key. Leases are never dropped:
 * above a lowered limit idle connections close at once, leased ones on release.
 * limits NULL = back to the engine's. Errors: E_OPTIONS (no name, or more than 255 bytes; the
 * weight), E_MEMORY, E_FORKED. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_tenant_limits_set(struct kolk_engine *engine, const char *tenant,
		       const struct kolk_tenant_limits *limits);

/* Outdate every connection of the tenant, in all pools; see kolk_engine_rotate. "" = those of
 * keys without one. */
KOLK_API size_t kolk_tenant_rotate(struct kolk_engine *engine, const char *tenant);

/* Dial every open key of the tenant up to idle_min, as kolk_pool_warm does. Blocks, but for
 * deadline_ns 0; not on a loop. No pool may be closed meanwhile. Errors: E_NOT_FOUND (no tenant
 * of this name has a key), and those of kolk_pool_warm. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_tenant_warm(struct kolk_engine *engine,
							const char *tenant, uint64_t deadline_ns);

KOLK_END

#endif
