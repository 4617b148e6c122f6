/* SPDX-License-Identifier: Apache-2.0 */
/* event.c - events and the log. No lock is held; an event that is not wanted costs one load. */
#include "core/event.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/pool.h"

static void notify(struct kolk_engine *engine, const struct kolk_event *event)
{
	KOLK__NO_LOCK();
	if (kolk__event_wanted(engine, event->kind))
		engine->on_event(engine->event_user, event);
}

void kolk__notify(struct kolk_key *key, const struct kolk__conn *conn, enum kolk_event_kind kind,
		  uint64_t elapsed_ns)
{
	struct kolk_engine *engine = key->engine;
	struct kolk_event event = { .kind = kind, .pool = kolk__own(&key->pool), .key = key,
				    .elapsed_ns = elapsed_ns };

	if (!kolk__event_wanted(engine, kind))
		return;
	event.now_ns = kolk__now(engine);
	event.connection = conn != NULL ? conn->number : 0;
	if (kind == KOLK_EVENT_DESTROYED || kind == KOLK_EVENT_EVICTED)
		event.reason = (enum kolk_reason)kolk__own(&conn->reason);
	notify(engine, &event);
}

void kolk__notify_pool(struct kolk_pool *pool, enum kolk_event_kind kind)
{
	struct kolk_event event = { .kind = kind, .pool = pool,
				    .now_ns = kolk__now(pool->engine) };

	notify(pool->engine, &event);
}

void kolk__notify_failure(struct kolk_key *key, const struct kolk__conn *conn,
			  enum kolk_event_kind kind, const struct kolk_failure *failure)
{
	struct kolk_event event = { .kind = kind, .pool = kolk__own(&key->pool), .key = key,
				    .now_ns = kolk__now(key->engine), .failure = failure,
				    .connection = conn != NULL ? conn->number : 0 };

	notify(key->engine, &event);
}

/* ---- the log */

/* Control characters of ISO 6429, and what ends lines or turns the direction of text. */
static bool is_deceptive(uint32_t c)
{
	return (c >= 0x80 && c <= 0x9f) || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0x061c ||
	       c == 0xfeff;
}

/* How many bytes the character here has; 0 when it is not shown as it is. */
static size_t plain_size(const char *text)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = (unsigned char)text[0];
	size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	uint32_t c = first & (0x7fu >> size);

	if (first < 0x80)
		return first >= ' ' && first != 0x7f;
	if (first < 0xc0 || first > 0xf4)
		return 0;
	for (size_t i = 1; i < size; i++) {
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | ((unsigned char)text[i] & 0x3f);
	}
	return c < least[size] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || is_deceptive(c) ?
		       0 : size;
}

/* The rest as \xNN: names are whatever a caller gives, and one text is one line. */
static void write_plain(const char *text, char *line)
{
	while (*text != 0) {
		size_t size = plain_size(text);

		if (size == 0)
			line += sprintf(line, "\\x%02x", (unsigned)(unsigned char)*text++);
		for (; size != 0; size--)
			*line++ = *text++;
	}
	*line = 0;
}

void kolk__log(struct kolk_engine *engine, enum kolk_log_level level, const char *subject,
	       const char *format, ...)
{
	char text[256], line[4 * sizeof text];
	va_list args;

	KOLK__NO_LOCK();
	if (engine->on_log == NULL || level > engine->log_level)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	write_plain(text, line);
	engine->on_log(engine->log_user, level, subject, line);
}
