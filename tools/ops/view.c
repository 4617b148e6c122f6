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

uint64_t kolk__refused_all(const uint64_t refused[16])
{
	uint64_t sum = 0;

	for (int i = 0; i < KOLK_REFUSALS; i++)
		sum += refused[i];
	return sum;
}

bool kolk__is_near(uint64_t used, uint32_t limit)
{
	return limit != 0 && limit != KOLK_UNLIMITED && used * 5 >= (uint64_t)limit * 4;
}

/* ---- tenants */

static int by(uint64_t a, uint64_t b, const char *name_a, const char *name_b)
{
	return a != b ? (a < b ? 1 : -1) : strcmp(name_a, name_b);
}

static int by_use(const void *left, const void *right)
{
	const struct kolk__tenant_view *a = left, *b = right;

	return by((uint64_t)a->info.open + a->info.waiting,
		  (uint64_t)b->info.open + b->info.waiting, a->info.name, b->info.name);
}

static int by_refused(const void *left, const void *right)
{
	const struct kolk__tenant_view *a = left, *b = right;

	return by(kolk__refused_all(a->stats.refused), kolk__refused_all(b->stats.refused),
		  a->info.name, b->info.name);
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool begins(const char *text, const char *part)
{
	while (*part != 0 && lower(*text) == lower(*part)) {
		text++;
		part++;
	}
	return *part == 0;
}

bool kolk__has_text(const char *text, const char *part)
{
	while (*text != 0 && !begins(text, part))
		text++;
	return *part == 0 || *text != 0;
}

static bool is_asked(const struct kolk__tenants_asked *asked, const char *name)
{
	if (asked->only != NULL && strcmp(asked->only, name) != 0)
		return false;
	return asked->like == NULL || kolk__has_text(name, asked->like);
}

static bool is_near_limit(const struct kolk_tenant_info *info)
{
	return (info->waiting != 0 && kolk__is_near(info->open, info->connections_max)) ||
	       kolk__is_near(info->keys, info->keys_max);
}

/* ---- the first of all: a heap whose root is the last of those kept */

typedef int order_fn(const void *left, const void *right);

static void swap(struct kolk__tenant_view *a, struct kolk__tenant_view *b)
{
	struct kolk__tenant_view was = *a;

	*a = *b;
	*b = was;
}

static void sift_up(struct kolk__tenant_view *heap, size_t at, order_fn *order)
{
	for (; at != 0 && order(&heap[at], &heap[(at - 1) / 2]) > 0; at = (at - 1) / 2)
		swap(&heap[at], &heap[(at - 1) / 2]);
}

static void sift_down(struct kolk__tenant_view *heap, size_t count, order_fn *order)
{
	size_t at = 0, child;

	while ((child = 2 * at + 1) < count) {
		child += child + 1 < count && order(&heap[child + 1], &heap[child]) > 0;
		if (order(&heap[child], &heap[at]) <= 0)
			return;
		swap(&heap[child], &heap[at]);
		at = child;
	}
}

/* Into a list of at most max: O(log max), and one comparison for most when there are many. */
static void keep_first(struct kolk__view *view, const struct kolk__tenants_asked *asked,
		       const struct kolk__tenant_view *one)
{
	order_fn *order = asked->by_refused ? by_refused : by_use;

	if (view->tenant_count < asked->max) {
		view->tenants[view->tenant_count] = *one;
		sift_up(view->tenants, view->tenant_count++, order);
		return;
	}
	view->tenants_left_out = true;
	if (asked->max == 0 || order(one, &view->tenants[0]) >= 0)
		return;
	view->tenants[0] = *one;
	sift_down(view->tenants, view->tenant_count, order);
}

enum { NEAR_LIMIT_MAX = 100, PIECE = 1024 };

static void get_stats(struct kolk_engine *engine, struct kolk__tenant_view *one)
{
	(void)kolk_tenant_stats(engine, one->info.name, &one->stats); /* or it is gone since */
}

static void add_tenant(struct kolk_engine *engine, const struct kolk_tenant_info *info,
		       const struct kolk__tenants_asked *asked, struct kolk__view *view)
{
	struct kolk__tenant_view one = { *info, KOLK_INIT(kolk_tenant_stats) };

	view->rest.open += info->open;
	view->rest.waiting += info->waiting;
	if (is_near_limit(info) && view->near_limit_count < NEAR_LIMIT_MAX)
		view->near_limit[view->near_limit_count++] = *info;
	if (!is_asked(asked, info->name))
		return;
	if (asked->by_refused)
		get_stats(engine, &one);
	keep_first(view, asked, &one);
}

/* All were added to the rest, with the same numbers that the list has. */
static void finish(struct kolk_engine *engine, const struct kolk__tenants_asked *asked,
		   struct kolk__view *view)
{
	struct kolk_tenant_stats nameless = KOLK_INIT(kolk_tenant_stats);

	qsort(view->tenants, view->tenant_count, sizeof *view->tenants,
	      asked->by_refused ? by_refused : by_use);
	for (size_t i = 0; i < view->tenant_count; i++) {
		view->rest.open -= view->tenants[i].info.open;
		view->rest.waiting -= view->tenants[i].info.waiting;
		if (!asked->by_refused)
			get_stats(engine, &view->tenants[i]);
	}
	(void)kolk_tenant_stats(engine, "", &nameless);
	view->rest.open += nameless.open;
	view->rest.waiting += nameless.waiting;
}

/* Read all in pieces, and keep the first of them. */
bool kolk__view_tenants(struct kolk_engine *engine, const struct kolk__tenants_asked *asked,
			struct kolk__view *view)
{
	struct kolk_tenant_info *piece = malloc(PIECE * sizeof *piece);
	uint64_t cursor = 0;
	size_t got;
	bool good;

	view->tenants = malloc((asked->max + 1) * sizeof *view->tenants); /* max may be 0 */
	view->near_limit = malloc(NEAR_LIMIT_MAX * sizeof *view->near_limit);
	good = piece != NULL && view->tenants != NULL && view->near_limit != NULL;
	while (good && (got = kolk_engine_tenants(engine, &cursor, piece, PIECE)) != 0) {
		view->tenants_all += got;
		for (size_t i = 0; i < got; i++)
			add_tenant(engine, &piece[i], asked, view);
	}
	if (good)
		finish(engine, asked, view);
	free(piece);
	return good;
}

bool kolk__view_open(struct kolk_engine *engine, const struct kolk__tenants_asked *asked,
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
	return kolk__view_tenants(engine, asked, view);
}

void kolk__view_close(struct kolk__view *view)
{
	free(view->pools);
	free(view->tenants);
	free(view->near_limit);
}

/* jansson knows what UTF-8 is: it makes no string of anything else. */
static bool is_utf8(const char *bytes)
{
	json_t *text = json_string(bytes);

	json_decref(text);
	return text != NULL;
}

/* `also` is written as \xNN too. */
static const char *escape(const char *bytes, char also, char text[KOLK__SHOWN_MAX])
{
	char *at = text;

	for (; *bytes != 0 && at < text + KOLK__SHOWN_MAX - 4; bytes++) {
		if ((unsigned char)*bytes >= 0x80 || (unsigned char)*bytes < ' ' || *bytes == also)
			at += snprintf(at, 5, "\\x%02x", (unsigned)(unsigned char)*bytes);
		else
			*at++ = *bytes;
	}
	*at = 0;
	return text;
}

const char *kolk__shown(const char *bytes, char text[KOLK__SHOWN_MAX])
{
	return is_utf8(bytes) ? bytes : escape(bytes, '\\', text);
}

const char *kolk__shown_apart(const char *bytes, const char *other, char text[KOLK__SHOWN_MAX])
{
	if (strcmp(bytes, other) == 0)
		return escape(bytes, *bytes, text);
	return is_utf8(bytes) && strstr(bytes, "\\x") == NULL ? bytes : escape(bytes, '\\', text);
}

const char *kolk__isolation_name(uint32_t isolation)
{
	static const char *const names[] = { "tenant", "shared", "session" };

	return isolation < sizeof names / sizeof names[0] ? names[isolation] : "unknown";
}
