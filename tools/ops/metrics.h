/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h - the metrics, and what the files that write them share. */
#ifndef KOLK_OPS_METRICS_H
#define KOLK_OPS_METRICS_H

#include <stdio.h>

#include "tools/ops/view.h"

enum { KOLK__METRICS_TENANTS = 20, KOLK__METRICS_TENANTS_MAX = 10000 };

/* As kolk_metrics_text, with rows of so many tenants. */
char *kolk__metrics_text(struct kolk_engine *engine, uint32_t tenants_max);

/* ---- metrics.c */

void kolk__put_family(FILE *out, const char *name, const char *type, const char *help);
/* name{label="value" with the value escaped. */
void kolk__put_label(FILE *out, const char *name, const char *label, const char *value);

/* ---- metrics_tenants.c: those that the view lists, and max with the most refused callers */
bool kolk__put_tenants(FILE *out, struct kolk_engine *engine, const struct kolk__view *view,
		       size_t max);

#endif
