/* SPDX-License-Identifier: Apache-2.0 */
/* access_log.c - a line of JSON for each request, in the buffer of its loop. */
#include "tools/gateway/access_log.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/gateway/mcp/lock.h"
#include "tools/gateway/proxy.h"

static const uint64_t flush_ns = 200 * KOLK_MS_NS;

/* ---- a line: every value is bounded, so that it always fits */

enum {
	VALUE_MAX = 1024, /* bytes of a value as it is written, escapes included */
	KEY_MAX = 24,     /* of a name, with the quotes, colon and comma around it and its value */
	TEXTS_MAX = 14,   /* gw_log_exchange writes so many, */
	NUMBERS_MAX = 6,  /* and so many of at most 20 digits, `lost` included */
	LINE_MAX_BYTES = 64 + TEXTS_MAX * (VALUE_MAX + KEY_MAX) + NUMBERS_MAX * (20 + KEY_MAX)
};
static_assert((int)LINE_MAX_BYTES < (int)GW_LOG_BYTES, "a line fits into a buffer");

struct line {
	char text[LINE_MAX_BYTES];
	size_t size;
};

/* Inline: of a literal the compiler knows the size, and calls nothing. */
static inline __attribute__((always_inline)) void add_bytes(struct line *line, const char *bytes,
							    size_t size)
{
	if (size > sizeof line->text - line->size)
		return;
	memcpy(line->text + line->size, bytes, size);
	line->size += size;
}

#define ADD(line, literal) add_bytes(line, literal, sizeof(literal) - 1)

/* What JSON has as it is: ASCII, neither a control, nor a quote, nor a backslash. */
static const bool plain[256] = {
	[' ' ... '!'] = true, ['#' ... '['] = true, [']' ... '~'] = true,
};

/* What is beyond VALUE_MAX is an ellipsis, which no value has otherwise: its bytes would be escaped one
 * by one. */
static void add_escaped(struct line *line, const char *value)
{
	static const char ellipsis[] = "\\u2026";
	const char *end = line->text + line->size + VALUE_MAX - (sizeof ellipsis - 1);
	char *at = line->text + line->size;

	for (;; value++) {
		for (; at < end && plain[(uint8_t)*value]; value++)
			*at++ = *value;
		if (*value == '\0')
			break;
		if ((size_t)(end - at) < sizeof ellipsis - 1) {
			at = stpcpy(at, ellipsis);
			break;
		}
		at += sprintf(at, "\\u%04x", (unsigned char)*value);
	}
	line->size = (size_t)(at - line->text);
}

/* Whether there is a value, and place for it. */
static bool has_value(const struct line *line, const char *value)
{
	return value != NULL && value[0] != '\0' &&
	       sizeof line->text - line->size >= KEY_MAX + VALUE_MAX;
}

static void add_value(struct line *line, const char *value)
{
	add_escaped(line, value);
	ADD(line, "\"");
}

#define ADD_TEXT(line, key, value) \
	do { \
		const char *value_ = (value); \
\
		if (has_value(line, value_)) { \
			ADD(line, ",\"" key "\":\""); \
			add_value(line, value_); \
		} \
	} while (0)

/* Of a number, at least so many digits. */
static void add_digits(struct line *line, uint64_t value, size_t least)
{
	char digits[20];
	size_t at = sizeof digits;

	for (; value > 0 || sizeof digits - at < least; value /= 10)
		digits[--at] = (char)('0' + value % 10);
	add_bytes(line, digits + at, sizeof digits - at);
}

#define ADD_NUMBER(line, key, value) \
	do { \
		ADD(line, ",\"" key "\":"); \
		add_digits(line, value, 1); \
	} while (0)

/* The clock is the kernel's tick: many lines have the same time. */
static void write_time(struct gw_log_buffer *buffer, const struct timespec *now)
{
	int64_t ms = now->tv_nsec / 1000000;
	struct tm parts;

	if (now->tv_sec != buffer->second) {
		gmtime_r(&now->tv_sec, &parts);
		buffer->second_size = strftime(buffer->time, sizeof buffer->time,
					       "{\"time\":\"%Y-%m-%dT%H:%M:%S", &parts);
	} else if (ms == buffer->ms) {
		return;
	}
	buffer->second = now->tv_sec;
	buffer->ms = ms;
	sprintf(buffer->time + buffer->second_size, ".%03uZ\"", (unsigned)ms);
}

static void begin_line(struct line *line, struct gw_log_buffer *buffer)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	write_time(buffer, &now);
	line->size = 0;
	add_bytes(line, buffer->time, buffer->second_size + sizeof ".000Z\"" - 1);
}

/* ---- from a loop */

static void on_timer(struct kolk_timer *timer, void *user)
{
	(void)timer;
	gw_log_flush(user);
}

void gw_log_flush(struct gw_loop *loop)
{
	struct gw_log_buffer *buffer = &loop->log;

	if (buffer->block == NULL)
		return;
	kolk_timer_stop(&buffer->timer);
	gw_log_block_put(loop->gateway->log, buffer->block);
	buffer->block = NULL;
}

/* A buffer with room for a line, or NULL. */
static struct gw_log_block *block_for(struct gw_loop *loop, const struct line *line)
{
	struct gw_log_buffer *buffer = &loop->log;

	if (buffer->block != NULL && buffer->block->size + line->size > GW_LOG_BYTES)
		gw_log_flush(loop);
	if (buffer->block == NULL) {
		buffer->block = gw_log_block_get(loop->gateway->log);
		if (buffer->block != NULL)
			(void)kolk_timer_start(loop->loop, &buffer->timer, kolk_in_ns(flush_ns),
					       on_timer, loop);
	}
	return buffer->block;
}

static void end_line(struct gw_loop *loop, struct line *line)
{
	struct gw_log_block *block;

	ADD(line, "}\n");
	block = block_for(loop, line);
	if (block == NULL)
		return;
	if (block->size == 0 && block->lost > 0) {
		line->size -= 2;
		ADD_NUMBER(line, "lost", block->lost);
		ADD(line, "}\n");
	}
	memcpy(block->text + block->size, line->text, line->size);
	block->size += line->size;
}

static void add_version(struct line *line, uint32_t version)
{
	if (version == 20)
		ADD(line, ",\"version\":\"2\"");
	else if (version == 10)
		ADD(line, ",\"version\":\"1.0\"");
	else
		ADD(line, ",\"version\":\"1.1\"");
}

/* Tools that were denied: the first one, and how many of an array. */
static void add_denied(struct line *line, struct gw_mcp_call *call)
{
	const char *tool;
	uint32_t count;

	gw_mcp_call_lock(call);
	tool = call->tool_denied; /* set once */
	count = call->tools_denied;
	gw_mcp_call_unlock(call);
	if (count == 0)
		return;
	ADD_TEXT(line, "tool_denied", tool);
	ADD_NUMBER(line, "tools_denied", count);
}

void gw_log_exchange(const struct gw_exchange *x, enum kolk_err err)
{
	const struct kolk_http_request_head *head = x->head;
	const struct gw_route *route = x->target != NULL ? x->target->route : NULL;
	struct gw_loop *loop = x->loop;
	char trace[2 * sizeof x->trace->id + 1];
	struct line line;

	if (loop->gateway->log == NULL)
		return;
	begin_line(&line, &loop->log);
	ADD_TEXT(&line, "client", x->client);
	ADD_NUMBER(&line, "status", x->status);
	ADD_TEXT(&line, "tenant", x->tenant);
	ADD_TEXT(&line, "method", head->method);
	ADD_TEXT(&line, "host", head->authority);
	ADD_TEXT(&line, "target", head->target);
	add_version(&line, head->version);
	ADD_NUMBER(&line, "bytes_in", x->received);
	ADD_NUMBER(&line, "bytes_out", x->sent);
	ADD_NUMBER(&line, "duration_us", x->took_ns / 1000);
	ADD_TEXT(&line, "route", route != NULL ? route->path : NULL);
	ADD_TEXT(&line, "pool", x->member != NULL ? x->member->name :
				route != NULL ? route->pool : NULL);
	ADD_TEXT(&line, "request_id", x->request_id);
	if (x->traced) {
		gw_trace_hex(x->trace->id, sizeof x->trace->id, trace);
		ADD_TEXT(&line, "trace_id", trace);
	}
	if (x->mcp != NULL)
		add_denied(&line, x->mcp);
	if (x->phase != NULL) {
		ADD_TEXT(&line, "error", kolk_err_name(x->failed));
		ADD_TEXT(&line, "phase", x->phase);
	}
	if (err != KOLK_OK)
		ADD_TEXT(&line, "ended", kolk_err_name(err));
	end_line(loop, &line);
}

void gw_log_refused(struct gw_loop *loop, const struct kolk_stream *stream, uint32_t status)
{
	struct kolk_stream_peer peer = KOLK_INIT(kolk_stream_peer);
	struct line line;

	if (loop->gateway->log == NULL)
		return;
	kolk_stream_peer(stream, &peer);
	begin_line(&line, &loop->log);
	ADD_TEXT(&line, "client", peer.address);
	ADD_NUMBER(&line, "status", status);
	ADD_TEXT(&line, "error", "refused as it was read");
	end_line(loop, &line);
}
