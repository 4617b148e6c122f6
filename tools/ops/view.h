/* SPDX-License-Identifier: Apache-2.0 */
/* view.h - one look at an engine, which status and metrics tell in their own ways. */
#ifndef KOLK_OPS_VIEW_H
#define KOLK_OPS_VIEW_H

#include <kolk/kolk.h>
#include <kolk/ops/status.h>

struct kolk__pool_view {
	struct kolk_pool *pool;
	struct kolk_pool_info info;
	struct kolk_stats stats;
};

struct kolk__view {
	struct kolk_engine_info engine;
	struct kolk_stats stats;
	struct kolk__pool_view *pools;
	size_t pool_count;
	struct kolk_tenant_info *tenants; /* those with the most connections and waiters first */
	size_t tenant_count, tenants_all;
	bool tenants_left_out;
};

/* tenant: NULL, or the only one to look at. False when there is no memory or the engine belongs
 * to a parent process; close it anyway. */
bool kolk__view_open(struct kolk_engine *engine, size_t tenants_max, const char *tenant,
		     struct kolk__view *view);
void kolk__view_close(struct kolk__view *view);

/* Bytes that somebody gave as UTF-8 text: as they are, or with \xNN. */
enum { KOLK__SHOWN_MAX = 4 * 255 + 1 };
const char *kolk__shown(const char *bytes, char text[KOLK__SHOWN_MAX]);

const char *kolk__isolation_name(uint32_t isolation);

#endif
