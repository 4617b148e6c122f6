/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.c - the gateway's numbers: counted as exchanges go, and shown by the admin server as JSON and
 * as metrics. Routes come from the file, so that labels are bounded by it.
 */
#include "tools/gateway/status/status.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/gateway/jwt/jwks_url.h"
#include "tools/gateway/proxy.h"

static const char *const outcome_names[GW_OUTCOMES] = {
	[GW_OUTCOME_1XX] = "1xx", [GW_OUTCOME_2XX] = "2xx", [GW_OUTCOME_3XX] = "3xx",
	[GW_OUTCOME_4XX] = "4xx", [GW_OUTCOME_5XX] = "5xx",
	[GW_OUTCOME_CLIENT_GONE] = "client_gone", [GW_OUTCOME_BROKEN] = "broken",
};
static const char *const refusal_names[GW_REFUSALS] = {
	[GW_REFUSAL_TENANT] = "tenant", [GW_REFUSAL_RATE] = "rate", [GW_REFUSAL_BODY] = "body",
};

/* ---- counted as exchanges go */

void gw_status_begin(struct gw_exchange *x)
{
	x->count = x->target != NULL ? x->target->count : x->view->unrouted;
	gw_count_begin(x->count, x->loop->index);
}

void gw_status_withdraw(struct gw_exchange *x)
{
	gw_count_end(x->count, x->loop->index, NULL);
	x->count = NULL;
}

static enum gw_outcome outcome_of_status(uint32_t status)
{
	return status < 200 ? GW_OUTCOME_1XX : status < 300 ? GW_OUTCOME_2XX :
	       status < 400 ? GW_OUTCOME_3XX : status < 500 ? GW_OUTCOME_4XX : GW_OUTCOME_5XX;
}

static enum gw_outcome outcome_of(const struct gw_exchange *x, enum kolk_err err)
{
	if (x->status != 0 && (err == KOLK_OK || x->status == 101))
		return outcome_of_status(x->status);
	if (x->failed != KOLK_OK || err == KOLK_E_CANCELLED || err == KOLK_E_MEMORY ||
	    err == KOLK_E_OPTIONS || err == KOLK_E_DRAINING)
		return GW_OUTCOME_BROKEN;
	return GW_OUTCOME_CLIENT_GONE;
}

void gw_status_end(struct gw_exchange *x, enum kolk_err err)
{
	const struct gw_ended ended = { .outcome = outcome_of(x, err), .status = x->refused,
					.received = x->received, .sent = x->sent,
					.took_ns = x->took_ns };

	gw_count_end(x->count, x->loop->index, &ended);
	x->count = NULL;
}

void gw_status_refused(struct gw_loop *loop, uint32_t status)
{
	const struct gw_ended ended = { .outcome = outcome_of_status(status) };

	gw_count_begin(loop->view->unrouted, loop->index);
	gw_count_end(loop->view->unrouted, loop->index, &ended);
}

/* ---- JSON: what finds no memory is left out, as in the library's */

static uint64_t sum_of(const uint64_t *counts, uint32_t size)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < size; i++)
		sum += counts[i];
	return sum;
}

static json_t *parts(const uint64_t *counts, const char *const *names, uint32_t size)
{
	json_t *object = json_object();

	for (uint32_t i = 0; i < size; i++)
		gw_status_put(object, names[i], counts[i]);
	return object;
}

static void append_route(void *user, const char *route, const struct gw_numbers *numbers)
{
	json_t *routes = user, *object = json_object();

	gw_status_put_text(object, "name", route);
	gw_status_put(object, "inFlight", numbers->in_flight);
	gw_status_put(object, "requests", sum_of(numbers->outcomes, GW_OUTCOMES));
	json_object_set_new_nocheck(object, "outcomes",
				    parts(numbers->outcomes, outcome_names, GW_OUTCOMES));
	json_object_set_new_nocheck(object, "refused",
				    parts(numbers->refused, refusal_names, GW_REFUSALS));
	gw_status_put(object, "bytesIn", numbers->received);
	gw_status_put(object, "bytesOut", numbers->sent);
	json_object_set_new_nocheck(object, "latency", gw_status_latency(numbers));
	json_array_append_new(routes, object);
}

static void put_keys(void *user, const struct gw_key_numbers *numbers)
{
	json_t *root = user, *object = json_object();

	gw_status_put_text(object, "url", numbers->url);
	gw_status_put(object, "keys", numbers->keys);
	gw_status_put(object, "ageNs", numbers->age_ns);
	gw_status_put(object, "fetches", numbers->fetches);
	gw_status_put(object, "failures", numbers->failures);
	gw_status_put(object, "unknown", numbers->unknown);
	gw_status_put_text(object, "error", numbers->error);
	json_object_set_new_nocheck(root, "keys", object);
}

char *gw_status_json(void *user)
{
	json_t *root = json_object(), *routes = json_array();
	char *text = NULL;

	(void)user;
	gw_status_put_text(root, "name", "kolk-gateway");
	json_object_set_nocheck(root, "routes", routes);
	gw_key_source_look(put_keys, root);
	gw_status_put_traces(root);
	gw_status_put_members(root);
	gw_status_put_warm(root);
	gw_status_put_names(root);
	gw_status_put_mcp(root);
	if (gw_count_each(append_route, routes))
		text = json_dumps(root, JSON_COMPACT);
	json_decref(routes);
	json_decref(root);
	return text;
}

/* ---- metrics: the rows of a family stand together, so that numbers are gathered first */

struct row {
	char *route; /* escaped */
	struct gw_numbers numbers;
};

struct rows {
	struct row *at;
	size_t count;
	bool lost; /* no memory */
};

char *gw_status_escaped(const char *route)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (; out != NULL && *route != '\0'; route++) {
		if (*route == '\\' || *route == '"')
			fputc('\\', out);
		if (*route == '\n')
			fputs("\\n", out);
		else
			fputc(*route, out);
	}
	if (out != NULL && fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static void append_row(void *user, const char *route, const struct gw_numbers *numbers)
{
	struct rows *rows = user;
	struct row *grown = realloc(rows->at, (rows->count + 1) * sizeof *grown);
	char *text = grown != NULL ? gw_status_escaped(route) : NULL;

	if (grown != NULL)
		rows->at = grown;
	rows->lost |= text == NULL;
	if (text != NULL)
		rows->at[rows->count++] = (struct row){ text, *numbers };
}

static void family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

#define EACH(rows, row)                                                                    \
	for (const struct row *row = (rows)->at; row < (rows)->at + (rows)->count; row++)

static void put_counts(FILE *out, const struct rows *rows)
{
	family(out, "kolk_gateway_requests_total", "counter", "Requests that ended, by how.");
	EACH (rows, row)
		for (uint32_t i = 0; i < GW_OUTCOMES; i++)
			fprintf(out,
				"kolk_gateway_requests_total{route=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
				row->route, outcome_names[i], row->numbers.outcomes[i]);
	family(out, "kolk_gateway_refused_total", "counter",
	       "Requests that the gateway refused, by the reason.");
	EACH (rows, row)
		for (uint32_t i = 0; i < GW_REFUSALS; i++)
			fprintf(out,
				"kolk_gateway_refused_total{route=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
				row->route, refusal_names[i], row->numbers.refused[i]);
}

static void put_numbers(FILE *out, const struct rows *rows)
{
	family(out, "kolk_gateway_in_flight", "gauge", "Requests that have not ended.");
	EACH (rows, row)
		fprintf(out, "kolk_gateway_in_flight{route=\"%s\"} %" PRIu64 "\n", row->route,
			row->numbers.in_flight);
	family(out, "kolk_gateway_received_bytes_total", "counter",
	       "Of bodies of requests that ended.");
	EACH (rows, row)
		fprintf(out, "kolk_gateway_received_bytes_total{route=\"%s\"} %" PRIu64 "\n",
			row->route, row->numbers.received);
	family(out, "kolk_gateway_sent_bytes_total", "counter",
	       "Of bodies of answers that ended.");
	EACH (rows, row)
		fprintf(out, "kolk_gateway_sent_bytes_total{route=\"%s\"} %" PRIu64 "\n",
			row->route, row->numbers.sent);
}

static void put_histograms(FILE *out, const struct rows *rows)
{
	static const char name[] = "kolk_gateway_request_seconds";

	family(out, name, "histogram",
	       "From the head of a request to the end of its answer, those that were sent whole.");
	EACH (rows, row) {
		const struct gw_status_label label = { "route", row->route };

		gw_status_print_histogram(out, name, &label, &row->numbers);
	}
}

static void put_key_rows(void *user, const struct gw_key_numbers *numbers)
{
	FILE *out = user;
	char *url = gw_status_escaped(numbers->url);

	if (url == NULL)
		return;
	family(out, "kolk_gateway_keys", "gauge", "Keys of tokens that are in force.");
	fprintf(out, "kolk_gateway_keys{url=\"%s\"} %u\n", url, numbers->keys);
	family(out, "kolk_gateway_keys_age_seconds", "gauge",
	       "Since the last fetch of keys that succeeded; 0 = there was none.");
	fprintf(out, "kolk_gateway_keys_age_seconds{url=\"%s\"} %" PRIu64 "\n", url,
		numbers->age_ns / KOLK_S_NS);
	family(out, "kolk_gateway_keys_fetches_total", "counter", "Fetches of keys, by how they ended.");
	fprintf(out,
		"kolk_gateway_keys_fetches_total{url=\"%s\",outcome=\"ok\"} %" PRIu64 "\n"
		"kolk_gateway_keys_fetches_total{url=\"%s\",outcome=\"failed\"} %" PRIu64 "\n",
		url, numbers->fetches - numbers->failures, url, numbers->failures);
	family(out, "kolk_gateway_keys_unknown_total", "counter",
	       "Tokens that named a key which was not there.");
	fprintf(out, "kolk_gateway_keys_unknown_total{url=\"%s\"} %" PRIu64 "\n", url,
		numbers->unknown);
	free(url);
}

char *gw_status_metrics(void *user)
{
	struct rows rows = { 0 };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool ok = out != NULL && gw_count_each(append_row, &rows) && !rows.lost;

	(void)user;
	if (ok) {
		put_counts(out, &rows);
		put_numbers(out, &rows);
		put_histograms(out, &rows);
		gw_key_source_look(put_key_rows, out);
		gw_status_print_traces(out);
		gw_status_print_warm(out);
		gw_status_print_members(out);
		gw_status_print_names(out);
		gw_status_print_mcp(out);
	}
	ok = out != NULL && fclose(out) == 0 && ok;
	for (size_t i = 0; i < rows.count; i++)
		free(rows.at[i].route);
	free(rows.at);
	if (ok)
		return text;
	free(text);
	return NULL;
}
