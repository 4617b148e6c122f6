/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h - the metrics, as one text or in pieces; and what the files that write them share. */
#ifndef KOLK_OPS_METRICS_H
#define KOLK_OPS_METRICS_H

#include <stdio.h>
#include <sys/types.h>

#include "tools/ops/view.h"

enum { KOLK__METRICS_TENANTS = 20, KOLK__METRICS_TENANTS_MAX = 10000 };

/* As kolk_metrics_text, with rows of so many tenants, and what the program adds; NULL = no program. */
char *kolk__metrics_text(struct kolk_engine *engine, uint32_t tenants_max,
			 const struct kolk__program *program);

/* The same with rows of every tenant, written while they are read, a slice of tenants at a time.
 * Open looks at pools; read and close only at the engine. One thread at a time. NULL = no memory,
 * or the engine belongs to a parent process. */
struct kolk__metrics_stream;
struct kolk__metrics_stream *kolk__metrics_open(struct kolk_engine *engine,
						const struct kolk__program *program);
/* Returns how many bytes were filled; 0 = there are no more, -1 = no memory. */
ssize_t kolk__metrics_read(struct kolk__metrics_stream *stream, char *bytes, size_t capacity);
void kolk__metrics_close(struct kolk__metrics_stream *stream); /* NULL is allowed */

/* ---- metrics.c */

/* What write puts into out, as a text of so many bytes; NULL = no memory, or write said false. */
typedef bool kolk__write_fn(FILE *out, void *user);
char *kolk__written(kolk__write_fn *write, void *user, size_t *size);

/* All but the families of tenants. */
char *kolk__metrics_head(struct kolk_engine *engine, const struct kolk__program *program,
			 size_t *size);

void kolk__put_family(FILE *out, const char *name, const char *type, const char *help);
/* name{label="value" with the value escaped. */
void kolk__put_label(FILE *out, const char *name, const char *label, const char *value);

/* ---- metrics_tenants.c: those that the view lists, and max with the most refused callers */
bool kolk__put_tenants(FILE *out, struct kolk_engine *engine, const struct kolk__view *view,
		       size_t max);

#endif
