/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - the numbers of spans that were exported, as JSON and as metrics. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tools/gateway/export.h"
#include "tools/gateway/status/status.h"

/* A lock for all: spans are counted by batches, but for those that are lost. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct numbers {
	uint64_t exported, lost;     /* spans */
	uint64_t exports, failures;  /* requests to the collector; of them, those that failed */
	char error[160];             /* of the last one; "" = it was well */
	char endpoint[256];          /* "" = there is no tracing */
} shared;

void gw_trace_count_spans(uint64_t exported, uint64_t lost)
{
	pthread_mutex_lock(&lock);
	shared.exported += exported;
	shared.lost += lost;
	pthread_mutex_unlock(&lock);
}

bool gw_trace_count_export(bool failed, const char *error)
{
	bool other;

	pthread_mutex_lock(&lock);
	shared.exports++;
	shared.failures += failed;
	other = strcmp(shared.error, error) != 0;
	snprintf(shared.error, sizeof shared.error, "%s", error);
	pthread_mutex_unlock(&lock);
	return other;
}

void gw_trace_show(const char *endpoint)
{
	pthread_mutex_lock(&lock);
	snprintf(shared.endpoint, sizeof shared.endpoint, "%s", endpoint != NULL ? endpoint : "");
	shared.error[0] = '\0';
	pthread_mutex_unlock(&lock);
}

void gw_status_put_traces(json_t *root)
{
	struct numbers numbers;
	json_t *object;

	gw_status_copy(&lock, &shared, &numbers, sizeof numbers);
	if (numbers.endpoint[0] == '\0')
		return;
	object = json_object();
	gw_status_put_text(object, "endpoint", numbers.endpoint);
	gw_status_put(object, "exported", numbers.exported);
	gw_status_put(object, "lost", numbers.lost);
	gw_status_put(object, "exports", numbers.exports);
	gw_status_put(object, "failures", numbers.failures);
	gw_status_put_text(object, "error", numbers.error);
	json_object_set_new_nocheck(root, "traces", object);
}

void gw_status_print_traces(FILE *out)
{
	struct numbers numbers;

	gw_status_copy(&lock, &shared, &numbers, sizeof numbers);
	if (numbers.endpoint[0] == '\0')
		return;
	fprintf(out,
		"# HELP kolk_gateway_spans_total Spans of sampled requests, by what became of them.\n"
		"# TYPE kolk_gateway_spans_total counter\n"
		"kolk_gateway_spans_total{outcome=\"exported\"} %" PRIu64 "\n"
		"kolk_gateway_spans_total{outcome=\"lost\"} %" PRIu64 "\n",
		numbers.exported, numbers.lost);
	fprintf(out,
		"# HELP kolk_gateway_span_exports_total Requests to the collector, by how they ended.\n"
		"# TYPE kolk_gateway_span_exports_total counter\n"
		"kolk_gateway_span_exports_total{outcome=\"ok\"} %" PRIu64 "\n"
		"kolk_gateway_span_exports_total{outcome=\"failed\"} %" PRIu64 "\n",
		numbers.exports - numbers.failures, numbers.failures);
}
