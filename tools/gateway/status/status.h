/* SPDX-License-Identifier: Apache-2.0 */
/* status.h - the gateway's numbers: counted as exchanges go, and shown by the admin server. */
#ifndef KOLK_GATEWAY_STATUS_H
#define KOLK_GATEWAY_STATUS_H

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tools/gateway/count.h"

/* A number of an object, and a text. */
static inline void gw_status_put(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new_nocheck(object, key, json_integer((json_int_t)value));
}

static inline void gw_status_put_text(json_t *object, const char *key, const char *value)
{
	json_object_set_new_nocheck(object, key, json_string(value));
}

/* What is counted under a lock, as it was at one moment; shared and copy are of one type. */
static inline void gw_status_copy(pthread_mutex_t *lock, const void *shared, void *copy,
				  size_t size)
{
	pthread_mutex_lock(lock);
	memcpy(copy, shared, size);
	pthread_mutex_unlock(lock);
}

struct gw_exchange;
struct gw_loop;
struct gw_mcp;
struct gw_tools;

/* Its target is known: from here on it is in flight there. */
void gw_status_begin(struct gw_exchange *x);
/* It goes by another view from here on: gw_status_begin follows. */
void gw_status_withdraw(struct gw_exchange *x);
/* The end of its client's side, as kolk_http_server_handler.end gives it. */
void gw_status_end(struct gw_exchange *x, enum kolk_err err);
/* The server refused something with this status before it was an exchange. */
void gw_status_refused(struct gw_loop *loop, uint32_t status);

/* From here on the pools of MCP servers are shown; NULL = not any more. While there is no admin server
 * that asks. */
void gw_status_show_mcp(const struct gw_mcp *mcp);

/* The value of a label, without its quotes: malloc'd; NULL = no memory. */
char *gw_status_escaped(const char *text);

/* latency.c: how long it took, as JSON; as the rows of a histogram. */
struct gw_status_label {
	const char *key, *value;     /* escaped */
};
json_t *gw_status_latency(const struct gw_numbers *numbers);
void gw_status_print_histogram(FILE *out, const char *name, const struct gw_status_label *label,
			       const struct gw_numbers *numbers);

/* mcp.c: the same of pools of MCP servers; tools.c: and of each pooled tool. */
void gw_status_put_mcp(json_t *root);
void gw_status_print_mcp(FILE *out);
void gw_status_put_tools(json_t *root, const struct gw_tools *tools);

/* kolk_admin_text_fn: the member "program" of the status, and the gateway's metrics. Any thread. */
char *gw_status_json(void *user);
char *gw_status_metrics(void *user);

/* balance.c: the same of members of balancers. */
void gw_status_put_members(json_t *root);
void gw_status_print_members(FILE *out);
/* The same to a file. */
void gw_status_print_label(FILE *out, const char *text);

/* dns.c: the same of names that resolve to members. */
void gw_status_put_names(json_t *root);
void gw_status_print_names(FILE *out);

/* trace.c: the same of spans. */
void gw_status_put_traces(json_t *root);
void gw_status_print_traces(FILE *out);

/* warm.c: the same of a warm start. */
void gw_status_put_warm(json_t *root);
void gw_status_print_warm(FILE *out);

#endif
