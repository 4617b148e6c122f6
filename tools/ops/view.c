/* SPDX-License-Identifier: Apache-2.0 */
/* view.c - gathers what there is to see: engine, pools, the tenants that use most. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "tools/ops/view.h"

static bool add_pool(struct kolk__view *view, struct kolk_pool *pool, size_t *capacity)
{
	struct kolk__pool_view *pools = view->pools, *one;

	if (view->pool_count == *capacity) {
		*capacity = *capacity * 2 + 16;
		pools = realloc(pools, *capacity * sizeof *pools);
		if (pools == NULL)
			return false;
		view->pools = pools;
	}
	one = &pools[view->pool_count];
	*one = (struct kolk__pool_view){ .pool = pool,
					 .info = KOLK_INIT(kolk_pool_info),
					 .stats = KOLK_INIT(kolk_stats) };
	/* One that was closed since is not shown. */
	view->pool_count += kolk_pool_inspect(pool, &one->info) == KOLK_OK &&
			    kolk_pool_stats(pool, &one->stats) == KOLK_OK;
	return true;
}

static int by_use(const void *left, const void *right)
{
	const struct kolk_tenant_info *a = left, *b = right;
	uint64_t use_a = (uint64_t)a->open + a->waiting, use_b = (uint64_t)b->open + b->waiting;

	if (use_a != use_b)
		return use_a < use_b ? 1 : -1;
	return strcmp(a->name, b->name);
}

/* Of the tenants from here on, the one of this name alone. */
static size_t only_named(struct kolk_tenant_info *tenants, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(tenants[i].name, name) == 0) {
			tenants[0] = tenants[i];
			return 1;
		}
	return 0;
}

/* Read all in pieces; whenever a piece is read, only the first of all so far are kept. */
static bool add_tenants(struct kolk_engine *engine, size_t max, const char *only,
			struct kolk__view *view)
{
	enum { PIECE = 1024 };
	uint64_t cursor = 0;
	size_t got;

	view->tenants = malloc((max + PIECE) * sizeof *view->tenants);
	if (view->tenants == NULL)
		return false;
	do {
		got = kolk_engine_tenants(engine, &cursor, view->tenants + view->tenant_count,
					  PIECE);
		view->tenants_all += got;
		view->tenant_count += only == NULL ? got :
						     only_named(view->tenants + view->tenant_count,
								got, only);
		qsort(view->tenants, view->tenant_count, sizeof *view->tenants, by_use);
		view->tenants_left_out |= view->tenant_count > max;
		if (view->tenant_count > max)
			view->tenant_count = max;
	} while (got != 0);
	return true;
}

bool kolk__view_open(struct kolk_engine *engine, size_t tenants_max, const char *tenant,
		     struct kolk__view *view)
{
	struct kolk_pool *pool;
	size_t capacity = 0;

	*view = (struct kolk__view){ .engine = KOLK_INIT(kolk_engine_info),
				     .stats = KOLK_INIT(kolk_stats) };
	if (kolk_engine_inspect(engine, &view->engine) != KOLK_OK ||
	    kolk_engine_stats(engine, &view->stats) != KOLK_OK)
		return false;
	for (uint32_t i = 0; (pool = kolk_engine_pool(engine, i)) != NULL; i++)
		if (!add_pool(view, pool, &capacity))
			return false;
	return add_tenants(engine, tenants_max, tenant, view);
}

void kolk__view_close(struct kolk__view *view)
{
	free(view->pools);
	free(view->tenants);
}

/* jansson knows what UTF-8 is: it makes no string of anything else. */
static bool is_utf8(const char *bytes)
{
	json_t *text = json_string(bytes);

	json_decref(text);
	return text != NULL;
}

const char *kolk__shown(const char *bytes, char text[KOLK__SHOWN_MAX])
{
	char *at = text;

	if (is_utf8(bytes))
		return bytes;
	for (; *bytes != 0 && at < text + KOLK__SHOWN_MAX - 4; bytes++) {
		if ((unsigned char)*bytes >= 0x80 || (unsigned char)*bytes < ' ')
			at += snprintf(at, 5, "\\x%02x", (unsigned)(unsigned char)*bytes);
		else
			*at++ = *bytes;
	}
	*at = 0;
	return text;
}

const char *kolk__isolation_name(uint32_t isolation)
{
	static const char *const names[] = { "tenant", "shared", "session" };

	return isolation < sizeof names / sizeof names[0] ? names[isolation] : "unknown";
}
