/* SPDX-License-Identifier: Apache-2.0 */
/* view.h - a snapshot of an engine, from which status and metrics are made. */
#ifndef KOLK_OPS_VIEW_H
#define KOLK_OPS_VIEW_H

#include <kolk/kolk.h>
#include <kolk/ops/admin.h>
#include <kolk/ops/status.h>

/* What a program adds, as in struct kolk_admin_options; each may be NULL. */
struct kolk__program {
	kolk_admin_text_fn *status, *metrics;
	void *user;
};

struct kolk__pool_view {
	struct kolk_pool *pool;
	struct kolk_pool_info info;
	struct kolk_stats stats;
};

struct kolk__tenant_view {
	struct kolk_tenant_info info;
	struct kolk_tenant_stats stats;
};

struct kolk__view {
	struct kolk_engine_info engine;
	struct kolk_stats stats;
	struct kolk__pool_view *pools;
	size_t pool_count;
	struct kolk__tenant_view *tenants; /* in the order that was asked for */
	size_t tenant_count, tenants_all;
	bool tenants_left_out;
	/* Of all that are not listed, and of keys without a tenant: with the listed ones, all there
	 * is, although connections come and go meanwhile. */
	struct {
		uint64_t open, waiting;
	} rest;
	/* Always: those whose callers wait near a limit. */
	struct kolk_tenant_info *near_limit;
	size_t near_limit_count;
};

/* Which tenants to list, and in which order. */
struct kolk__tenants_asked {
	size_t max;
	const char *only; /* NULL, or the one of this name */
	const char *like; /* NULL, or those with this in their name; ASCII letters of either case */
	bool by_refused;  /* those with the most refused callers first; else connections and waiters */
};

/* False when there is no memory or the engine belongs to a parent process; close it anyway. */
bool kolk__view_open(struct kolk_engine *engine, const struct kolk__tenants_asked *asked,
		     struct kolk__view *view);
/* Only the tenants, into a view of zeros. */
bool kolk__view_tenants(struct kolk_engine *engine, const struct kolk__tenants_asked *asked,
			struct kolk__view *view);
void kolk__view_close(struct kolk__view *view);

/* ASCII letters of either case. */
bool kolk__has_text(const char *name, const char *part);
/* From 80 % of a limit on it is near. */
bool kolk__is_near(uint64_t used, uint32_t limit);
/* Callers refused, for whatever reason. */
uint64_t kolk__refused_all(const uint64_t refused[16]);

/* A client's bytes as UTF-8 text: as they are, or with \xNN for what is no printable ASCII and for
 * backslashes. */
enum { KOLK__SHOWN_MAX = 4 * 255 + 1 };
const char *kolk__shown(const char *bytes, char text[KOLK__SHOWN_MAX]);
/* The same, and no two names look alike, nor does one look like `other`: what is UTF-8 is escaped
 * too where it has "\x" in it, or is `other`. */
const char *kolk__shown_apart(const char *bytes, const char *other, char text[KOLK__SHOWN_MAX]);

const char *kolk__isolation_name(uint32_t isolation);

#endif
