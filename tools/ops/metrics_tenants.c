/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics_tenants.c - the families of tenants: rows of the first tenants, or of all of them.
 *
 * Of all there may be 100 000, so that text is made while it is read: what belongs to pools at
 * once, then family by family (the format wants the rows of one together), a slice of tenants at a
 * time. Tenants come and go meanwhile: each family has every tenant that stays, and none twice.
 *
 * What has no row of its own is in the row "(rest)": the sum over a family's rows is the engine's
 * number. Counters have no such row: it would go back when a tenant gets a row, and rate() would
 * take that for a restart. A tenant of that name is shown as "\x28rest)".
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ops/metrics.h"

#define REST "(rest)"

struct family {
	const char *name, *type, *help;
	enum { OPEN, WAITING, LIMIT, RECALLS, REFUSED } rows;
};

static const struct family families[] = {
	{ "kolk_tenant_connections", "gauge", "Connections of a tenant.", OPEN },
	{ "kolk_tenant_waiters", "gauge", "Callers of a tenant that wait.", WAITING },
	{ "kolk_tenant_connections_limit", "gauge", "Connections that a tenant may have.", LIMIT },
	{ "kolk_tenant_recalled_total", "counter",
	  "Connections of a tenant that were taken back for others.", RECALLS },
	{ "kolk_tenant_refused_total", "counter",
	  "Callers of a tenant that got no connection, by the reason.", REFUSED },
};
enum { FAMILIES = sizeof families / sizeof families[0] };

/* ---- rows */

static void begin(FILE *out, const struct family *family)
{
	kolk__put_family(out, family->name, family->type, family->help);
}

static void put_tenant(FILE *out, const struct family *family, const char *name)
{
	char text[KOLK__SHOWN_MAX];

	kolk__put_label(out, family->name, "tenant", kolk__shown_apart(name, REST, text));
}

static void put_number(FILE *out, const struct family *family, const char *name, uint64_t number)
{
	put_tenant(out, family, name);
	fprintf(out, "} %" PRIu64 "\n", number);
}

static void put_refused(FILE *out, const struct family *family,
			const struct kolk__tenant_view *tenant)
{
	for (int why = 0; why < KOLK_REFUSALS; why++) {
		if (tenant->stats.refused[why] == 0)
			continue;
		put_tenant(out, family, tenant->info.name);
		fprintf(out, ",reason=\"%s\"} %" PRIu64 "\n",
			kolk_refusal_name((enum kolk_refusal)why), tenant->stats.refused[why]);
	}
}

static void put_rows(FILE *out, const struct family *family, const struct kolk__tenant_view *tenant)
{
	const struct kolk_tenant_info *info = &tenant->info;
	const uint32_t numbers[] = { [OPEN] = info->open, [WAITING] = info->waiting,
				     [LIMIT] = info->connections_max, [RECALLS] = info->recalls };

	if (family->rows == REFUSED)
		put_refused(out, family, tenant);
	else if (family->rows != LIMIT || info->connections_max != KOLK_UNLIMITED)
		put_number(out, family, info->name, numbers[family->rows]);
}

static void put_rest(FILE *out, const struct family *family, uint64_t open, uint64_t waiting)
{
	if (family->rows != OPEN && family->rows != WAITING)
		return;
	kolk__put_label(out, family->name, "tenant", REST);
	fprintf(out, "} %" PRIu64 "\n", family->rows == OPEN ? open : waiting);
}

/* ---- of the first */

/* Those with the most refused callers need not have a connection: they are others. */
bool kolk__put_tenants(FILE *out, struct kolk_engine *engine, const struct kolk__view *view,
		       size_t max)
{
	const struct kolk__tenants_asked asked = { .max = max, .by_refused = true };
	struct kolk__view refused = { 0 };
	bool good = kolk__view_tenants(engine, &asked, &refused);

	for (size_t f = 0; good && f < FAMILIES; f++) {
		const struct kolk__view *listed = families[f].rows == REFUSED ? &refused : view;

		begin(out, &families[f]);
		for (size_t i = 0; i < listed->tenant_count; i++)
			put_rows(out, &families[f], &listed->tenants[i]);
		put_rest(out, &families[f], view->rest.open, view->rest.waiting);
	}
	kolk__view_close(&refused);
	return good;
}

/* ---- of all */

/* 32 at least: so none is listed twice (kolk_engine_tenants). */
enum { SLICE = 256 };

struct kolk__metrics_stream {
	struct kolk_engine *engine;
	char *text;      /* what was written last */
	size_t size, at; /* of it; at: how much was read */
	size_t family;   /* that is written next */
	uint64_t cursor; /* of kolk_engine_tenants; 0 = the family begins */
};

/* All tenants have rows: what is left are keys without one. */
static void end(FILE *out, struct kolk__metrics_stream *stream)
{
	struct kolk_tenant_stats nameless = KOLK_INIT(kolk_tenant_stats);

	(void)kolk_tenant_stats(stream->engine, "", &nameless);
	put_rest(out, &families[stream->family], nameless.open, nameless.waiting);
	stream->family++;
	stream->cursor = 0;
}

static bool write_slice(FILE *out, void *user)
{
	struct kolk__metrics_stream *stream = user;
	const struct family *family = &families[stream->family];
	struct kolk_tenant_info *slice = malloc(SLICE * sizeof *slice);
	size_t got;

	if (slice == NULL)
		return false;
	if (stream->cursor == 0)
		begin(out, family);
	got = kolk_engine_tenants(stream->engine, &stream->cursor, slice, SLICE);
	for (size_t i = 0; i < got; i++) {
		struct kolk__tenant_view tenant = { slice[i], KOLK_INIT(kolk_tenant_stats) };

		if (family->rows == REFUSED)
			(void)kolk_tenant_stats(stream->engine, slice[i].name, &tenant.stats);
		put_rows(out, family, &tenant);
	}
	if (got == 0)
		end(out, stream);
	free(slice);
	return true;
}

/* Until there is text: a slice of tenants without refused callers has none. */
static bool fill(struct kolk__metrics_stream *stream)
{
	stream->size = stream->at = 0;
	while (stream->size == 0 && stream->family < FAMILIES) {
		free(stream->text);
		stream->text = kolk__written(write_slice, stream, &stream->size);
		if (stream->text == NULL)
			return false;
	}
	return true;
}

struct kolk__metrics_stream *kolk__metrics_open(struct kolk_engine *engine,
						const struct kolk__program *program)
{
	struct kolk__metrics_stream *stream = calloc(1, sizeof *stream);

	if (stream == NULL)
		return NULL;
	stream->engine = engine;
	stream->text = kolk__metrics_head(engine, program, &stream->size);
	if (stream->text != NULL)
		return stream;
	kolk__metrics_close(stream);
	return NULL;
}

ssize_t kolk__metrics_read(struct kolk__metrics_stream *stream, char *bytes, size_t capacity)
{
	size_t size;

	if (stream->at == stream->size && !fill(stream))
		return -1;
	size = stream->size - stream->at < capacity ? stream->size - stream->at : capacity;
	if (size != 0)
		memcpy(bytes, stream->text + stream->at, size);
	stream->at += size;
	return (ssize_t)size;
}

void kolk__metrics_close(struct kolk__metrics_stream *stream)
{
	if (stream != NULL)
		free(stream->text);
	free(stream);
}
