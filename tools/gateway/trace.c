/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - the trace that a request belongs to: continued or begun, and passed on. */
#include "tools/gateway/trace.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/base/ascii.h"
#include "tools/gateway/export.h"
#include "tools/gateway/proxy.h"

/* ---- traceparent: 00-(32 digits)-(16 digits)-(2 digits) */

void gw_trace_hex(const uint8_t *bytes, size_t size, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		*text++ = digits[bytes[i] >> 4];
		*text++ = digits[bytes[i] & 15];
	}
	*text = '\0';
}

/* -1 = these are no two digits. */
static int byte_of(const char *text)
{
	int high = kolk__hex_digit_lower(text[0]), low = kolk__hex_digit_lower(text[1]);

	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* False = they are not all digits, or they are all zero. */
static bool id_read(const char *text, size_t size, uint8_t *bytes)
{
	int any = 0;

	for (size_t i = 0; i < size; i++) {
		int byte = byte_of(text + 2 * i);

		if (byte < 0)
			return false;
		bytes[i] = (uint8_t)byte;
		any |= byte;
	}
	return any != 0;
}

/* Of a later version what this one has is read, if nothing follows it or more parts do. Of the flags
 * the first says sampled, and the second (level 2) that the id is random. */
bool gw_traceparent_read(const char *text, struct gw_trace *trace)
{
	const size_t size = strlen(text);
	int version, flags;

	if (size < GW_TRACEPARENT_SIZE - 1 || text[2] != '-' || text[35] != '-' || text[52] != '-')
		return false;
	version = byte_of(text);
	flags = byte_of(text + 53);
	if (version < 0 || version == 0xff || flags < 0)
		return false;
	if (size >= GW_TRACEPARENT_SIZE && (version == 0 || text[55] != '-'))
		return false;
	trace->flags = flags & 3;
	return id_read(text + 3, sizeof trace->id, trace->id) &&
	       id_read(text + 36, sizeof trace->parent, trace->parent);
}

void gw_traceparent_write(const struct gw_trace *trace, char text[GW_TRACEPARENT_SIZE])
{
	memcpy(text, "00-", 3);
	gw_trace_hex(trace->id, sizeof trace->id, text + 3);
	text[35] = '-';
	gw_trace_hex(trace->client, sizeof trace->client, text + 36);
	text[52] = '-';
	gw_trace_hex(&trace->flags, 1, text + 53);
}

/* ---- ids: of the kernel's generator, as other programs take them for random */

static void random_get(struct gw_tracer *tracer, uint8_t *bytes, size_t size)
{
	if (tracer->random_left < size) {
		/* So many bytes are never fewer (getrandom(2)). */
		(void)!getrandom(tracer->random, sizeof tracer->random, 0);
		tracer->random_left = sizeof tracer->random;
	}
	tracer->random_left -= size;
	memcpy(bytes, tracer->random + tracer->random_left, size);
}

static bool is_sampled(const uint8_t id[16], uint64_t sample_from)
{
	uint64_t number = 0;

	for (size_t i = 9; i < 16; i++)
		number = number << 8 | id[i];
	return number >= sample_from;
}

/* The only one: two are none. */
static const char *parent_of(const struct gw_exchange *x)
{
	const struct kolk_http_request_head *head = x->head;
	const char *found = NULL;

	if (x->loop->tracer->to->trusted_only && !x->trusted)
		return NULL;
	for (uint32_t i = 0; i < head->field_count; i++) {
		if (strcmp(head->fields[i].name, "traceparent") != 0)
			continue;
		if (found != NULL)
			return NULL;
		found = head->fields[i].value;
	}
	return found;
}

void gw_trace_begin(struct gw_exchange *x)
{
	struct gw_tracer *tracer = x->loop->tracer;
	const char *parent = parent_of(x);

	if (x->trace == NULL)
		x->trace = malloc(sizeof *x->trace);
	x->traced = x->trace != NULL;
	if (!x->traced)
		return;
	*x->trace = (struct gw_trace){ .flags = 0 };
	if (parent == NULL || !gw_traceparent_read(parent, x->trace)) {
		memset(x->trace->parent, 0, sizeof x->trace->parent);
		random_get(tracer, x->trace->id, sizeof x->trace->id);
		x->trace->flags = is_sampled(x->trace->id, tracer->to->sample_from);
	}
	random_get(tracer, x->trace->server, sizeof x->trace->server);
	random_get(tracer, x->trace->client, sizeof x->trace->client);
}

/* ---- on its way */

bool gw_trace_is_continued(const struct gw_trace *trace)
{
	static const uint8_t none[8];

	return memcmp(trace->parent, none, sizeof none) != 0;
}

/* tracestate goes with the traceparent that it came with. */
void gw_trace_forward(struct gw_exchange *x)
{
	struct gw_fields *fields = &x->loop->fields;
	const bool continued = gw_trace_is_continued(x->trace);
	char text[GW_TRACEPARENT_SIZE];

	for (uint32_t i = 0; i < x->head->field_count; i++) {
		const char *name = x->head->fields[i].name;

		if (strncmp(name, "trace", 5) == 0 &&
		    (strcmp(name, "traceparent") == 0 ||
		     (strcmp(name, "tracestate") == 0 && !continued)))
			fields->marks[i] |= KOLK_HTTP_MARK_OWN;
	}
	gw_traceparent_write(x->trace, text);
	gw_fields_print(fields, "traceparent", "%s", text);
}

void gw_trace_ask(struct gw_exchange *x, struct kolk_pool *pool)
{
	x->trace->pool = pool;
	x->trace->retried = x->moved;
	x->trace->carried_ns = x->trace->end_ns = 0; /* those of another member */
	if (x->trace->begin_ns == 0)
		x->trace->begin_ns = kolk_in_ns(0);
}

void gw_trace_head(struct gw_exchange *x, const struct kolk_http_exchange *back,
		   const struct kolk_http_head *head)
{
	x->trace->carried_ns = kolk_http_carried_ns(back);
	x->trace->head_ns = kolk_in_ns(0);
	x->trace->status = head->status;
	x->trace->version = head->version;
	x->trace->reused = head->reused != 0;
}

void gw_trace_answered(struct gw_exchange *x, const struct kolk_http_exchange *back)
{
	if (x->trace->carried_ns == 0)
		x->trace->carried_ns = kolk_http_carried_ns(back);
	x->trace->end_ns = kolk_in_ns(0);
	x->trace->retried |= kolk_http_retried(back);
}
