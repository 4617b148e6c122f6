/* SPDX-License-Identifier: Apache-2.0 */
/* pg_session.c - the state of a connection: outstanding replies, reported settings, what may have
 * changed. */
#include "transport/drivers/pg_session.h"

#include <stdlib.h>
#include <string.h>

enum { PARAMETERS_BYTES_MAX = 16384 };

void pg_session_notice(const struct pg_session *session, const struct pg_message *message)
{
	struct kolk_postgres_error error;

	if (session->options->notice != NULL && pg_get_error(message, &error))
		session->options->notice(session->options->notice_user, &error);
}

/* ---- parameters */

static const char *next_parameter(const char *at)
{
	const char *value = at + strlen(at) + 1;

	return value + strlen(value) + 1;
}

const char *pg_session_parameter(const struct pg_session *session, const char *name)
{
	const char *at = session->parameters;

	for (uint32_t i = 0; i < session->parameters_size;
	     i = (uint32_t)(next_parameter(at + i) - at))
		if (strcmp(at + i, name) == 0)
			return at + i + strlen(at + i) + 1;
	return NULL;
}

static void remove_parameter(struct pg_session *session, const char *name)
{
	char *at = session->parameters;
	uint32_t next;

	for (uint32_t i = 0; i < session->parameters_size; i = next) {
		next = (uint32_t)(next_parameter(at + i) - at);
		if (strcmp(at + i, name) != 0)
			continue;
		memmove(at + i, at + next, session->parameters_size - next);
		session->parameters_size -= next - i;
		return;
	}
}

static enum kolk_err parameter_status(struct pg_session *session, const struct pg_message *message)
{
	struct pg_cursor cursor = pg_cursor_of(message);
	const char *name = pg_get_text(&cursor);
	char *parameters;

	(void)pg_get_text(&cursor);
	if (!pg_cursor_ended(&cursor))
		return KOLK_E_PROTOCOL;
	remove_parameter(session, name);
	if (message->size > PARAMETERS_BYTES_MAX - session->parameters_size)
		return KOLK_E_LIMIT;
	parameters = realloc(session->parameters, session->parameters_size + message->size);
	if (parameters == NULL)
		return KOLK_E_MEMORY;
	memcpy(parameters + session->parameters_size, message->body, message->size);
	session->parameters = parameters;
	session->parameters_size += message->size;
	return KOLK_OK;
}

/* ---- notifications */

static enum kolk_err on_notification(struct pg_session *session, const struct pg_message *message,
				     bool keep)
{
	uint32_t max = session->options->notes_max;
	struct pg_cursor cursor = pg_cursor_of(message);
	uint32_t pid = pg_get_u32(&cursor);
	const char *channel = pg_get_text(&cursor), *payload = pg_get_text(&cursor);
	struct pg_notification *notification;

	if (!pg_cursor_ended(&cursor) || strlen(channel) >= sizeof notification->value.channel)
		return KOLK_E_PROTOCOL;
	if (!keep)
		return KOLK_OK;
	notification = session->notifications_count < max ? calloc(1, sizeof *notification) : NULL;
	if (notification != NULL)
		notification->value.payload = strdup(payload);
	if (notification == NULL || notification->value.payload == NULL) {
		free(notification);
		session->notifications_lost = true;
		return KOLK_OK;
	}
	notification->value.pid = pid;
	memcpy(notification->value.channel, channel, strlen(channel) + 1);
	if (session->notifications == NULL)
		session->notifications_end = &session->notifications;
	*session->notifications_end = notification;
	session->notifications_end = &notification->next;
	session->notifications_count++;
	return KOLK_OK;
}

struct pg_notification *pg_session_notification(struct pg_session *session)
{
	struct pg_notification *notification = session->notifications;

	if (notification != NULL) {
		session->notifications = notification->next;
		session->notifications_count--;
	}
	return notification;
}

void pg_session_drop_notifications(struct pg_session *session)
{
	for (struct pg_notification *notification;
	     (notification = pg_session_notification(session)) != NULL; free(notification))
		free(notification->value.payload);
	session->notifications_lost = false;
}

/* ---- outstanding replies, clean and dirty */

enum kolk_err pg_session_async(struct pg_session *session, const struct pg_message *message,
			       bool keep)
{
	switch (message->type) {
	case 'S':
		return parameter_status(session, message);
	case 'N':
		pg_session_notice(session, message);
		return KOLK_OK;
	case 'A':
		return on_notification(session, message, keep);
	default:
		return KOLK_PENDING;
	}
}

enum kolk_err pg_session_ready(struct pg_session *session, const struct pg_message *message)
{
	uint8_t status = message->size == 1 ? message->body[0] : 0;

	if (session->outstanding == 0 || !session->answered ||
	    (status != 'I' && status != 'T' && status != 'E'))
		return KOLK_E_PROTOCOL;
	session->outstanding--;
	session->status = (char)status;
	session->copy = PG_COPY_NONE;
	session->answered = false;
	return KOLK_OK;
}

bool pg_session_may_copy_in(const struct pg_session *session)
{
	return session->simple || session->unsynced;
}

enum kolk_err pg_session_discard(struct pg_session *session, const struct pg_message *message)
{
	switch (message->type) {
	case '1': case '2': case '3': case 'D': case 'T': case 'c': case 'd': case 'n':
		return KOLK_PENDING;
	case 'G':
		session->copy = PG_COPY_IN;
		return pg_session_may_copy_in(session) ? KOLK_PENDING : KOLK_E_PROTOCOL;
	case 'H':
		session->copy = PG_COPY_OUT;
		return KOLK_PENDING;
	case 'E':
	case 'C':
	case 'I':
		session->answered = true;
		session->copy = PG_COPY_NONE;
		return KOLK_PENDING;
	default:
		return KOLK_E_PROTOCOL;
	}
}

bool pg_session_needs_reset(const struct pg_session *session)
{
	switch (session->options->reset) {
	case KOLK_POSTGRES_RESET_ALWAYS:
		return session->used;
	case KOLK_POSTGRES_RESET_NEVER:
		return false;
	default:
		return session->dirty;
	}
}

bool pg_session_needs_validation(const struct pg_session *session)
{
	return session->options->validate_on_return && session->used;
}

enum kolk_err pg_session_clean(struct pg_session *session)
{
	if (session->broken)
		return KOLK_E_PROTOCOL;
	if (session->notifications != NULL || session->notifications_lost)
		pg_session_drop_notifications(session);
	if (session->outstanding > 0 || session->barrier || session->status != 'I' ||
	    !pg_reader_at_boundary(&session->reader) || pg_session_needs_reset(session) ||
	    pg_session_needs_validation(session))
		return KOLK_PENDING;
	pg_reader_free(&session->reader);
	session->sqlstate[0] = 0;
	return KOLK_OK;
}

void pg_session_free(struct pg_session *session)
{
	pg_login_free(session);
	pg_prepared_clear(session);
	free(session->prepared);
	pg_session_drop_notifications(session);
	pg_reader_free(&session->reader);
	free(session->parameters);
	session->parameters = NULL;
	session->parameters_size = 0;
	session->prepared = NULL;
	session->secret = 0;
}
