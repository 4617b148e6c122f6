/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_batch.c - a request as bytes: Parse, Bind, Describe, Execute for each statement, one Sync
 * at the end; or one Query.
 *
 * A long batch is split: the next part goes out when all of the last one is answered (Flush
 * requests the answers), so a caller that cancels in the middle leaves no half-sent part behind.
 */
#include "transport/drivers/pg_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENT_BYTES = 32768, NAME_BYTES = 16 };

static void name_of(uint32_t number, char *name)
{
	if (number == 0)
		name[0] = 0;
	else
		snprintf(name, NAME_BYTES, "kolk%u", number);
}

static void put_close(struct pg_bytes *out, uint32_t number)
{
	char name[NAME_BYTES];
	size_t begun = pg_begin(out, 'C');

	name_of(number, name);
	pg_put_u8(out, 'S');
	pg_put_text(out, name);
	pg_end(out, begun);
}

static void put_parse(struct pg_bytes *out, const char *name,
		      const struct kolk_postgres_statement *statement)
{
	size_t begun = pg_begin(out, 'P');

	pg_put_text(out, name);
	pg_put_text(out, statement->sql);
	pg_put_u16(out, (uint16_t)statement->value_count);
	for (uint32_t i = 0; i < statement->value_count; i++)
		pg_put_u32(out, statement->values[i].type);
	pg_end(out, begun);
}

static void put_bind(struct pg_bytes *out, const char *name,
		     const struct kolk_postgres_statement *statement)
{
	size_t begun = pg_begin(out, 'B');

	pg_put_u8(out, 0); /* the portal without a name */
	pg_put_text(out, name);
	pg_put_u16(out, (uint16_t)statement->value_count);
	for (uint32_t i = 0; i < statement->value_count; i++)
		pg_put_u16(out, statement->values[i].binary != 0);
	pg_put_u16(out, (uint16_t)statement->value_count);
	for (uint32_t i = 0; i < statement->value_count; i++) {
		const struct kolk_postgres_value *value = &statement->values[i];

		pg_put_u32(out, value->data != NULL ? value->size : UINT32_MAX);
		if (value->data != NULL)
			pg_put(out, value->data, value->size);
	}
	pg_put_u16(out, 1);
	pg_put_u16(out, (statement->flags & KOLK_POSTGRES_BINARY) != 0);
	pg_end(out, begun);
}

static void put_execute(struct pg_bytes *out, bool describe)
{
	static const uint8_t bytes[] = { 'D', 0, 0, 0, 6, 'P', 0,
					 'E', 0, 0, 0, 9, 0, 0, 0, 0, 0 };

	pg_put(out, describe ? bytes : bytes + 7, describe ? sizeof bytes : sizeof bytes - 7);
}

/* The name that it is prepared under; Parse where it is not yet. */
static void prepare(struct kolk_postgres_call *run, struct pg_session *session, uint32_t index,
		    char *name)
{
	const struct kolk_postgres_statement *statement = &run->request.statements[index];
	struct pg_prepared *prepared = NULL;
	bool there = false;
	uint32_t evict = 0;

	if (statement->flags & KOLK_POSTGRES_PREPARE) {
		prepared = pg_prepared_find(session, statement);
		there = prepared != NULL;
		if (!there)
			prepared = pg_prepared_add(session, statement, &evict);
		run->sent[index] = prepared != NULL ? prepared->number : 0;
	}
	name_of(run->sent[index], name);
	if (evict != 0)
		put_close(&run->out, evict);
	if (!there)
		put_parse(&run->out, name, statement);
}

/* statement_timeout until the end of the transaction, which without one around is this batch.
 * (SET LOCAL would warn outside of one.) */
static void put_timeout(struct kolk_postgres_call *run)
{
	char text[16];
	struct kolk_postgres_value value = { .data = text };
	const struct kolk_postgres_statement setting = {
		"select set_config('statement_timeout', $1, true)", &value, 1, 0
	};

	value.size = (uint32_t)snprintf(text, sizeof text, "%u", run->request.timeout_ms);
	put_parse(&run->out, "", &setting);
	put_bind(&run->out, "", &setting);
	put_execute(&run->out, false);
	run->timeout_pending = true;
}

static void cut(struct kolk_postgres_call *run, uint32_t answered)
{
	run->segments[run->segments_count++] = (struct pg_segment){ run->out.size, answered };
}

static void put_statements(struct kolk_postgres_call *run, struct pg_session *session)
{
	char name[NAME_BYTES];
	size_t begun = 0;
	uint32_t answered = 0, unconfirmed;

	while ((unconfirmed = pg_prepared_unconfirmed(session)) != 0)
		put_close(&run->out, unconfirmed);
	if (run->request.timeout_ms != 0)
		put_timeout(run);
	for (uint32_t i = 0; i < run->request.count; i++) {
		prepare(run, session, i, name);
		put_bind(&run->out, name, &run->request.statements[i]);
		put_execute(&run->out, true);
		if (i + 1 == run->request.count || run->out.size - begun < SEGMENT_BYTES)
			continue;
		pg_end(&run->out, pg_begin(&run->out, 'H'));
		cut(run, answered);
		begun = run->out.size;
		answered = i + 1;
	}
	if (run->request.source != NULL) { /* see pg_run.c */
		pg_end(&run->out, pg_begin(&run->out, 'H'));
		cut(run, answered);
		answered = run->request.count;
	}
	pg_end(&run->out, pg_begin(&run->out, 'S'));
	cut(run, answered);
}

enum kolk_err pg_batch_write(struct kolk_postgres_call *run, struct pg_session *session)
{
	const struct kolk_postgres_statement *statements = run->request.statements;
	uint32_t count = run->request.count;
	bool dirty = false;

	if (session->cancelling)
		return KOLK_E_LEASE_STALE;
	if (session->broken)
		return KOLK_E_CLOSED;
	if (session->outstanding > 0)
		return KOLK_E_LEASE_BUSY;
	run->sent = calloc(count, sizeof *run->sent);
	run->segments = calloc(count + 1, sizeof *run->segments);
	if (run->sent == NULL || run->segments == NULL)
		return KOLK_E_MEMORY;
	if (statements[0].flags & KOLK_POSTGRES_SIMPLE) {
		pg_put_message(&run->out, 'Q', statements[0].sql);
		cut(run, 0);
	} else {
		put_statements(run, session);
	}
	if (run->out.failed) {
		session->broken = true; /* which statements are prepared is not known any more */
		return KOLK_E_MEMORY;
	}
	for (uint32_t i = 0; i < count; i++)
		dirty |= (statements[i].flags & KOLK_POSTGRES_HARMLESS) == 0;
	session->used = true;
	session->simple = (statements[0].flags & KOLK_POSTGRES_SIMPLE) != 0;
	session->dirty |= dirty;
	return KOLK_OK;
}

/* 26000: it is not prepared (DISCARD or DEALLOCATE by hand); 0A000: its columns have changed. The
 * server also keeps the types it inferred for parameters when the table changes: a value does not
 * fit (22), cannot be converted (42), a type was dropped (XX000). */
static bool is_stale(const char *sqlstate)
{
	static const char *const states[] = { "26000", "0A000", "XX000", "22", "42" };

	for (size_t i = 0; i < sizeof states / sizeof *states; i++)
		if (strncmp(sqlstate, states[i], strlen(states[i])) == 0)
			return true;
	return false;
}

void pg_batch_failed(const struct kolk_postgres_call *run, struct pg_session *session,
		     const char *sqlstate)
{
	if (run->finished < run->request.count && run->sent[run->finished] != 0 &&
	    is_stale(sqlstate))
		pg_prepared_set_parsed(session, run->sent[run->finished], false);
}
