/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/tenant.h - tenants, to whom connections belong: limits, weight, rotation.
 *
 * A tenant is known by its name, for as long as it has a key or limits of its own. Keys that were
 * opened without one (kolk_pool_key) and keys of pools with KOLK_ISOLATION_SHARED have no tenant:
 * the limits of key, pool and engine apply to them, and fairness counts them all as one tenant of
 * weight 1.
 *
 * Fairness. When the engine's limit is reached, shares are max-min fair by weight: the next permit
 * goes to the waiting tenant with the fewest connections per weight. At a pool's own limit it goes
 * to the tenant that has waited longest. At both limits, a tenant with more connections per weight
 * than a waiting one gives connections back as its leases end. Capacity that some tenants do not
 * use is lent to those that can use it. Guide: docs/tenants.md.
 * Threads: any.
 */
#ifndef KOLK_TENANT_H
#define KOLK_TENANT_H

#include <kolk/error.h>

/* 0 = leave as it is (initially the limits of the engine's options, and weight 1). */
struct kolk_tenant_limits {
	uint32_t size;            /* sizeof; set by KOLK_INIT */
	uint32_t connections_max; /* all pools; KOLK_UNLIMITED */
	uint32_t keys_max;        /* all pools; KOLK_UNLIMITED */
	uint32_t weight;          /* 1 .. 1000 */
};                                /* since 0.1 */

KOLK_BEGIN

/* Give a tenant limits of its own, before or after its first key. Leases are never dropped:
 * above a lowered limit idle connections close at once, leased ones on release.
 * limits NULL = the engine's again. Errors: E_OPTIONS (no name, a name of more than 255 bytes, or
 * the weight), E_MEMORY, E_FORKED. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_tenant_limits_set(struct kolk_engine *engine, const char *tenant,
		       const struct kolk_tenant_limits *limits);

/* Outdate every connection of the tenant, in all pools; see kolk_engine_rotate. "" = connections of
 * keys without a tenant. */
KOLK_API size_t kolk_tenant_rotate(struct kolk_engine *engine, const char *tenant);

/* Dial every open key of the tenant up to idle_min, as kolk_pool_warm does. Blocks unless
 * deadline_ns is 0; not on a loop. No pool may be closed meanwhile. Errors: E_NOT_FOUND (no tenant
 * of this name has a key), and those of kolk_pool_warm. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_tenant_warm(struct kolk_engine *engine,
							const char *tenant, uint64_t deadline_ns);

KOLK_END

#endif
