/* SPDX-License-Identifier: Apache-2.0 */
/* tenant_limits.c - limits of tenants are set, and keys that wait for them try again. */
#include <string.h>

#include "core/option_tables.h"
#include "core/options.h"
#include "core/pool.h"

enum { NAME_MAX_BYTES = 255 };

static bool limits_are_good(struct kolk_tenant_limits l)
{
	kolk_option_defaults(&kolk__tenant_table, &l);
	return kolk_option_check(&kolk__tenant_table, &l) == NULL;
}

enum kolk_err kolk_tenant_limits_set(struct kolk_engine *engine, const char *name,
				     const struct kolk_tenant_limits *limits)
{
	struct kolk_tenant_limits l = KOLK_INIT(kolk_tenant_limits);
	enum kolk_err err;

	if (limits != NULL && !kolk__sized_read(&l, limits))
		return KOLK_E_OPTIONS;
	if (name == NULL || *name == 0 || strnlen(name, NAME_MAX_BYTES + 1) > NAME_MAX_BYTES ||
	    !limits_are_good(l))
		return KOLK_E_OPTIONS;
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	kolk__take_lock(engine, &engine->tenants.lock);
	err = kolk__tenant_limits_apply(engine, name, limits != NULL ? &l : NULL);
	kolk__give_lock(engine, &engine->tenants.lock);
	if (err == KOLK_OK)
		kolk__limits_changed(engine);
	return err;
}

void kolk_engine_tenant_limits_set(struct kolk_engine *engine, uint32_t connections_max,
				   uint32_t keys_max)
{
	if (kolk__is_child(engine))
		return;
	kolk__take_lock(engine, &engine->accounting);
	if (connections_max != 0)
		kolk__store_relaxed(&engine->tenant_connections_max, connections_max);
	if (keys_max != 0)
		kolk__store_relaxed(&engine->tenant_keys_max, keys_max);
	kolk__give_lock(engine, &engine->accounting);
	kolk__limits_changed(engine);
}
