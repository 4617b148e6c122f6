/* SPDX-License-Identifier: Apache-2.0 */
/* collector.c - where spans go: a collector of a configuration. */
#include <kolk/ops/admin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/export.h"
#include "tools/gateway/gateway.h"

static const char *or_empty(const char *text)
{
	return text != NULL ? text : "";
}

static char *copy_of(const char *text)
{
	char *copy = malloc(strlen(or_empty(text)) + 1);

	if (copy != NULL)
		strcpy(copy, or_empty(text));
	return copy;
}

static void collector_free(struct gw_collector *collector)
{
	free(collector->endpoint);
	free(collector->service_name);
	free(collector->ca_file);
	free(collector);
}

/* As JSON has it; a file is UTF-8. */
static size_t put_escaped(char *at, const char *text)
{
	size_t size = 0;

	for (; *text != '\0'; text++) {
		const unsigned char c = (unsigned char)*text;
		const bool plain = c >= ' ' && c != '"' && c != '\\';

		size += (size_t)sprintf(at + size, plain ? "%c" : "\\u%04x", c);
	}
	return size;
}

/* Whose spans they are. A name has 255 bytes at most, six for each as JSON. */
static void put_head(struct gw_collector *collector)
{
	const char *name = collector->service_name;
	char *at = collector->head;

	at += sprintf(at, "{\"resourceSpans\":[{\"resource\":{\"attributes\":["
			  "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"");
	at += put_escaped(at, name[0] != '\0' ? name : "kolk-gateway");
	at += sprintf(at, "\"}},{\"key\":\"service.version\",\"value\":{\"stringValue\":\"%s\"}}]},"
			  "\"scopeSpans\":[{\"scope\":{\"name\":\"kolk-gateway\",\"version\":\"%s\"},"
			  "\"spans\":[",
		      kolk_version_text(), kolk_version_text());
	collector->head_size = (size_t)(at - collector->head);
}

/* Names are unique, and for a moment there are two collectors: another one has the next number. */
static enum kolk_err pool_add(struct gw_collector *collector, const struct gateway *gateway)
{
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	enum kolk_err err = KOLK_E_NAME_TAKEN;
	char name[32];

	tls.ca_file = collector->ca_file[0] != '\0' ? collector->ca_file : NULL;
	pool.name = name;
	pool.address = collector->url.address;
	pool.tls = collector->url.tls ? &tls : NULL;
	pool.driver = kolk_driver_http();
	pool.connections_max = gateway->loop_count; /* an export of each loop at once */
	pool.idle_min = KOLK_NONE;
	pool.circuit_failures = KOLK_NONE; /* tracers have pauses of their own */
	for (int i = 1; i <= 9 && err == KOLK_E_NAME_TAKEN; i++) {
		snprintf(name, sizeof name, i == 1 ? "(traces)" : "(traces %d)", i);
		err = kolk_pool_add(gateway->engine, &pool, &collector->pool);
	}
	return err;
}

static void take_over(struct gw_collector *collector, const struct gw_tracing_options *options)
{
	collector->endpoint = copy_of(options->endpoint);
	collector->service_name = copy_of(options->service_name);
	collector->ca_file = copy_of(options->ca_file);
	collector->sample_from = options->sample_from;
	collector->trusted_only = options->parents == GW_PARENTS_TRUSTED;
	collector->queue_max = options->queue_max != 0 ? options->queue_max : GW_TRACE_QUEUE;
	collector->interval_ns = options->interval_ns != 0 ? options->interval_ns :
							     GW_TRACE_INTERVAL_NS;
	collector->timeout_ns = options->timeout_ns != 0 ? options->timeout_ns : GW_TRACE_TIMEOUT_NS;
}

static bool is_same(const struct gw_collector *a, const struct gw_collector *b)
{
	return strcmp(a->endpoint, b->endpoint) == 0 && strcmp(a->ca_file, b->ca_file) == 0 &&
	       strcmp(a->service_name, b->service_name) == 0 && a->sample_from == b->sample_from &&
	       a->trusted_only == b->trusted_only && a->queue_max == b->queue_max &&
	       a->interval_ns == b->interval_ns && a->timeout_ns == b->timeout_ns;
}

static enum kolk_err complete(struct gw_collector *collector)
{
	if (collector->endpoint == NULL || collector->service_name == NULL ||
	    collector->ca_file == NULL)
		return KOLK_E_MEMORY;
	if (gw_url_read(collector->endpoint, &collector->url) != NULL)
		return KOLK_E_OPTIONS;
	put_head(collector);
	return KOLK_OK;
}

enum kolk_err gw_collector_open(struct gateway *gateway, const struct gw_config *config,
				struct gw_collector **collector)
{
	struct gw_collector *made;
	enum kolk_err err;

	*collector = NULL;
	if (config->tracing.endpoint == NULL)
		return KOLK_OK;
	made = calloc(1, sizeof *made);
	if (made == NULL)
		return KOLK_E_MEMORY;
	take_over(made, &config->tracing);
	err = complete(made);
	if (err == KOLK_OK && gateway->collector != NULL && is_same(made, gateway->collector)) {
		collector_free(made);
		*collector = gateway->collector;
		return KOLK_OK;
	}
	if (err == KOLK_OK)
		err = pool_add(made, gateway);
	if (err == KOLK_OK)
		*collector = made;
	else
		collector_free(made);
	return err;
}

void gw_collector_close(struct gw_collector *collector)
{
	if (collector == NULL)
		return;
	(void)!kolk_admin_pool_close(collector->pool, kolk_in_ns(0)); /* else gw_reap does */
	collector_free(collector);
}
