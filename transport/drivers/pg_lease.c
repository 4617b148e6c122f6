/* SPDX-License-Identifier: Apache-2.0 */
/* pg_lease.c - calls on a leased connection besides statements: its state, notifications. */
#include "transport/drivers/pg_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum kolk_err read_info(void *user, void *memory)
{
	const struct pg_session *session = memory;
	struct kolk_postgres_info *info = user;

	*info = (struct kolk_postgres_info)KOLK_INIT(kolk_postgres_info);
	info->pid = session->pid;
	info->owed = session->outstanding;
	info->status = session->status;
	info->dirty = session->dirty;
	info->prepared = (uint16_t)(session->prepared_count - session->prepared_unconfirmed);
	memcpy(info->sqlstate, session->sqlstate, sizeof session->sqlstate);
	return KOLK_OK;
}

enum kolk_err kolk_postgres_info(const struct kolk_lease *lease, struct kolk_postgres_info *info)
{
	struct kolk_postgres_info filled;
	enum kolk_err err;

	if (kolk__sized_size(info) == 0)
		return KOLK_E_OPTIONS;
	err = kolk_lease_session(lease, &pg_driver, read_info, &filled);
	if (err == KOLK_OK)
		(void)kolk__sized_write(info, &filled);
	return err;
}

struct wanted {
	const char *name;
	char *text;
	size_t capacity;
};

static enum kolk_err read_parameter(void *user, void *memory)
{
	struct wanted *wanted = user;
	const char *text = pg_session_parameter(memory, wanted->name);

	if (text == NULL)
		return KOLK_E_NOT_FOUND;
	snprintf(wanted->text, wanted->capacity, "%s", text);
	return KOLK_OK;
}

enum kolk_err kolk_postgres_parameter(const struct kolk_lease *lease, const char *name, char *text,
				      size_t capacity)
{
	struct wanted wanted = { name, text, capacity };

	return kolk_lease_session(lease, &pg_driver, read_parameter, &wanted);
}

/* ---- notifications: a pump that only reads */

struct listener {
	struct pump pump; /* first */
	struct kolk_postgres_note *notification;
};

static size_t write_nothing(struct pump *pump, void *memory, const void **data)
{
	(void)pump;
	(void)memory;
	*data = NULL;
	return 0;
}

static enum kolk_err take_notification(void *user, void *memory)
{
	struct pg_session *session = memory;
	struct pg_notification *notification;

	if (session->outstanding > 0)
		return KOLK_E_LEASE_BUSY;
	if (session->notifications_lost) {
		session->notifications_lost = false;
		return KOLK_E_LIMIT;
	}
	notification = pg_session_notification(session);
	if (notification == NULL)
		return session->broken ? KOLK_E_CLOSED : KOLK_PENDING;
	*(struct kolk_postgres_note *)user = notification->value;
	free(notification);
	return KOLK_OK;
}

static enum kolk_err on_read(struct pump *pump, void *memory, const uint8_t *data, size_t size)
{
	struct listener *listener = (struct listener *)(void *)pump;
	struct pg_session *session = memory;
	struct pg_message message;
	enum kolk_err err = size > 0 ? KOLK_OK : KOLK_E_CLOSED;

	while (err == KOLK_OK) {
		err = pg_read(&session->reader, &data, &size, &message);
		if (err != KOLK_OK)
			break;
		err = pg_session_async(session, &message, true);
		if (message.type == 'E')
			pg_session_notice(session, &message);
		if (err == KOLK_PENDING)
			err = message.type == 'E' ? KOLK_E_CLOSED : KOLK_E_PROTOCOL;
	}
	session->broken |= err != KOLK_PENDING;
	return err == KOLK_PENDING ? take_notification(listener->notification, session) : err;
}

enum kolk_err kolk_postgres_notification(const struct kolk_lease *lease, uint64_t deadline_ns,
					 struct kolk_postgres_note *notification)
{
	static const struct pump_callbacks callbacks = { &pg_driver, write_nothing, on_read, NULL };
	uint8_t buffer[4096];
	struct listener listener = { .notification = notification };
	enum kolk_err err = kolk_lease_session(lease, &pg_driver, take_notification, notification);

	if (err != KOLK_PENDING)
		return err;
	listener.pump.callbacks = &callbacks;
	listener.pump.lease = *lease;
	listener.pump.buffer = buffer;
	listener.pump.capacity = sizeof buffer;
	listener.pump.deadline_ns = deadline_ns;
	listener.pump.idle_ns = KOLK_FOREVER;
	return pump_run(&listener.pump);
}
