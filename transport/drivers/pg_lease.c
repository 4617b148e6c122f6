/* SPDX-License-Identifier: Apache-2.0 */
/* pg_lease.c - what a leased connection is asked besides statements: its state, notifications. */
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
	info->owed = session->owed;
	info->status = session->status;
	info->dirty = session->dirty;
	info->prepared = (uint16_t)(session->prepared_count - session->prepared_unsure);
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

/* ---- notifications: a conversation that only listens */

struct listening {
	struct talk talk; /* first */
	struct kolk_postgres_note *note;
};

static size_t nothing(struct talk *talk, void *memory, const void **data)
{
	(void)talk;
	(void)memory;
	*data = NULL;
	return 0;
}

static enum kolk_err take_note(void *user, void *memory)
{
	struct pg_session *session = memory;
	struct pg_note *note;

	if (session->owed > 0)
		return KOLK_E_LEASE_BUSY;
	if (session->notes_lost) {
		session->notes_lost = false;
		return KOLK_E_LIMIT;
	}
	note = pg_session_note(session);
	if (note == NULL)
		return session->broken ? KOLK_E_CLOSED : KOLK_PENDING;
	*(struct kolk_postgres_note *)user = note->note;
	free(note);
	return KOLK_OK;
}

static enum kolk_err listen(struct talk *talk, void *memory, const uint8_t *data, size_t size)
{
	struct listening *listening = (struct listening *)(void *)talk;
	struct pg_session *session = memory;
	struct pg_message message;
	enum kolk_err err = size > 0 ? KOLK_OK : KOLK_E_CLOSED;

	while (err == KOLK_OK) {
		err = pg_read(&session->reader, &data, &size, &message);
		if (err != KOLK_OK)
			break;
		err = pg_session_aside(session, &message, true);
		if (message.type == 'E')
			pg_session_tell(session, &message);
		if (err == KOLK_PENDING)
			err = message.type == 'E' ? KOLK_E_CLOSED : KOLK_E_PROTOCOL;
	}
	session->broken |= err != KOLK_PENDING;
	return err == KOLK_PENDING ? take_note(listening->note, session) : err;
}

enum kolk_err kolk_postgres_notification(const struct kolk_lease *lease, uint64_t deadline_ns,
					 struct kolk_postgres_note *note)
{
	static const struct talk_side side = { &pg_driver, nothing, listen, NULL };
	uint8_t buffer[4096];
	struct listening listening = { .note = note };
	enum kolk_err err = kolk_lease_session(lease, &pg_driver, take_note, note);

	if (err != KOLK_PENDING)
		return err;
	listening.talk.side = &side;
	listening.talk.lease = *lease;
	listening.talk.buffer = buffer;
	listening.talk.capacity = sizeof buffer;
	listening.talk.deadline_ns = deadline_ns;
	listening.talk.idle_ns = KOLK_FOREVER;
	return talk_run(&listening.talk);
}
