/* SPDX-License-Identifier: Apache-2.0 */
/* event.c - telling who listens. No lock is held; what nobody asked for costs one load. */
#include <stdarg.h>
#include <stdio.h>

#include "core/engine.h"

static void tell(struct kolk_engine *engine, const struct kolk_event *event)
{
	if (kolk__listens(engine, event->kind))
		engine->on_event(engine->event_user, event);
}

void kolk__tell(struct kolk_engine *engine, enum kolk_event_kind kind, struct kolk_key *key,
		const struct kolk__conn *conn, uint64_t elapsed_ns)
{
	struct kolk_event event = { .kind = kind, .pool = key->pool, .key = key,
				    .elapsed_ns = elapsed_ns };

	if (!kolk__listens(engine, kind))
		return;
	event.now_ns = kolk__now(engine);
	event.connection = conn != NULL ? conn->number : 0;
	if (kind == KOLK_EVENT_DESTROYED || kind == KOLK_EVENT_EVICTED)
		event.reason = (enum kolk_reason)conn->reason;
	tell(engine, &event);
}

void kolk__tell_pool(struct kolk_pool *pool, enum kolk_event_kind kind)
{
	struct kolk_event event = { .kind = kind, .pool = pool,
				    .now_ns = kolk__now(pool->engine) };

	tell(pool->engine, &event);
}

void kolk__tell_failure(struct kolk_key *key, const struct kolk__conn *conn,
			enum kolk_event_kind kind, const struct kolk_failure *failure)
{
	struct kolk_event event = { .kind = kind, .pool = key->pool, .key = key,
				    .now_ns = kolk__now(key->engine), .failure = failure,
				    .connection = conn != NULL ? conn->number : 0 };

	tell(key->engine, &event);
}

void kolk__log(struct kolk_engine *engine, enum kolk_log_level level, const char *subject,
	       const char *format, ...)
{
	char text[256];
	va_list args;

	if (engine->on_log == NULL || level > engine->log_level)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	engine->on_log(engine->log_user, level, subject, text);
}
