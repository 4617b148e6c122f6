/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_prepared.c - which statements a connection's server keeps prepared. The account is written when
 * Parse is sent; who finds that it failed drops the entry again.
 */
#include "transport/drivers/pg_session.h"

#include <stdlib.h>
#include <string.h>

enum { PREPARED_DEFAULT = 32, PREPARED_MOST = 1024 };

/* FNV-1a: it only finds, a comparison of the texts decides, and the list is short. */
static uint64_t hash_of(const char *sql)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *sql != 0; sql++)
		hash = (hash ^ (uint8_t)*sql) * UINT64_C(0x100000001b3);
	return hash;
}

static uint32_t most(const struct pg_session *session)
{
	uint32_t max = session->options->prepared_max;

	return max == 0 ? PREPARED_DEFAULT : max == KOLK_NONE ? 0 : max;
}

struct pg_prepared *pg_prepared_find(struct pg_session *session, const char *sql)
{
	uint64_t hash = session->prepared_count > 0 ? hash_of(sql) : 0;

	for (uint32_t i = 0; i < session->prepared_count; i++) {
		struct pg_prepared *at = &session->prepared[i];

		if (at->hash == hash && strcmp(at->sql, sql) == 0) {
			at->used = ++session->prepared_clock;
			return at;
		}
	}
	return NULL;
}

static struct pg_prepared *place(struct pg_session *session, uint32_t *evict)
{
	struct pg_prepared *oldest;

	if (session->prepared == NULL)
		session->prepared = calloc(most(session), sizeof *session->prepared);
	if (session->prepared == NULL)
		return NULL;
	if (session->prepared_count < most(session))
		return &session->prepared[session->prepared_count++];
	oldest = session->prepared;
	for (uint32_t i = 1; i < session->prepared_count; i++)
		if (session->prepared[i].used < oldest->used)
			oldest = &session->prepared[i];
	*evict = oldest->number;
	free(oldest->sql);
	return oldest;
}

struct pg_prepared *pg_prepared_add(struct pg_session *session, const char *sql, uint32_t *evict)
{
	char *copy = most(session) > 0 && most(session) <= PREPARED_MOST ? strdup(sql) : NULL;
	struct pg_prepared *at;

	*evict = 0;
	if (copy == NULL)
		return NULL;
	at = place(session, evict);
	if (at == NULL) {
		free(copy);
		return NULL;
	}
	*at = (struct pg_prepared){ copy, hash_of(sql), ++session->prepared_clock,
				    ++session->prepared_last };
	return at;
}

void pg_prepared_drop(struct pg_session *session, uint32_t number)
{
	for (uint32_t i = 0; i < session->prepared_count; i++) {
		struct pg_prepared *at = &session->prepared[i];

		if (at->number != number)
			continue;
		free(at->sql);
		*at = session->prepared[--session->prepared_count];
		return;
	}
}

void pg_prepared_forget(struct pg_session *session)
{
	for (uint32_t i = 0; i < session->prepared_count; i++)
		free(session->prepared[i].sql);
	session->prepared_count = 0;
}
