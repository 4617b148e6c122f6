/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_prepared.c - which statements a connection's server keeps prepared. An entry is added when
 * Parse is sent, and confirmed by ParseComplete. A request that ends before that, by an error or
 * because its caller cancelled, leaves unconfirmed entries: the next request closes them (which is
 * no error where they do not exist), and their numbers are never used again.
 */
#include "transport/drivers/pg_session.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a: it only finds candidates, a comparison decides, and the list is short. */
static uint64_t hash_of(const struct kolk_postgres_statement *statement)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (const char *at = statement->sql; *at != 0; at++)
		hash = (hash ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
	for (uint32_t i = 0; i < statement->value_count; i++)
		hash = (hash ^ statement->values[i].type) * UINT64_C(0x100000001b3);
	return hash;
}

/* The same text and the same types: Parse would be the same. */
static bool is_same(const struct pg_prepared *at, const struct kolk_postgres_statement *statement)
{
	if (at->type_count != statement->value_count || strcmp(at->sql, statement->sql) != 0)
		return false;
	for (uint32_t i = 0; i < at->type_count; i++)
		if (at->types[i] != statement->values[i].type)
			return false;
	return true;
}

struct pg_prepared *pg_prepared_find(struct pg_session *session,
				     const struct kolk_postgres_statement *statement)
{
	uint64_t hash = session->prepared_count > 0 ? hash_of(statement) : 0;

	for (uint32_t i = 0; i < session->prepared_count; i++) {
		struct pg_prepared *at = &session->prepared[i];

		if (at->hash == hash && is_same(at, statement)) {
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
		session->prepared = calloc(session->options->prepared_max, sizeof *session->prepared);
	if (session->prepared == NULL)
		return NULL;
	if (session->prepared_count < session->options->prepared_max)
		return &session->prepared[session->prepared_count++];
	oldest = session->prepared;
	for (uint32_t i = 1; i < session->prepared_count; i++)
		if (session->prepared[i].used < oldest->used)
			oldest = &session->prepared[i];
	*evict = oldest->number;
	session->prepared_unconfirmed -= !oldest->parsed;
	free(oldest->types);
	return oldest;
}

/* Types and text, in one block. */
static bool copy_statement(struct pg_prepared *copy,
			   const struct kolk_postgres_statement *statement)
{
	size_t size = strlen(statement->sql) + 1;
	uint32_t count = statement->value_count;

	copy->types = malloc(count * sizeof *copy->types + size);
	if (copy->types == NULL)
		return false;
	copy->type_count = count;
	for (uint32_t i = 0; i < count; i++)
		copy->types[i] = statement->values[i].type;
	copy->sql = memcpy(copy->types + count, statement->sql, size);
	return true;
}

struct pg_prepared *pg_prepared_add(struct pg_session *session,
				    const struct kolk_postgres_statement *statement,
				    uint32_t *evict)
{
	struct pg_prepared *at, copy = { .hash = hash_of(statement) };

	*evict = 0;
	if (session->options->prepared_max == 0 || !copy_statement(&copy, statement))
		return NULL;
	at = place(session, evict);
	if (at == NULL) {
		free(copy.types);
		return NULL;
	}
	copy.used = ++session->prepared_clock;
	copy.number = ++session->prepared_last;
	*at = copy;
	session->prepared_unconfirmed++;
	return at;
}

void pg_prepared_set_parsed(struct pg_session *session, uint32_t number, bool parsed)
{
	for (uint32_t i = 0; i < session->prepared_count; i++) {
		struct pg_prepared *at = &session->prepared[i];

		if (at->number != number || at->parsed == parsed)
			continue;
		at->parsed = parsed;
		session->prepared_unconfirmed += parsed ? -1U : 1U;
	}
}

uint32_t pg_prepared_unconfirmed(struct pg_session *session)
{
	uint32_t number;

	if (session->prepared_unconfirmed == 0)
		return 0;
	for (uint32_t i = 0; i < session->prepared_count; i++) {
		struct pg_prepared *at = &session->prepared[i];

		if (at->parsed)
			continue;
		number = at->number;
		free(at->types);
		*at = session->prepared[--session->prepared_count];
		session->prepared_unconfirmed--;
		return number;
	}
	return 0;
}

void pg_prepared_clear(struct pg_session *session)
{
	for (uint32_t i = 0; i < session->prepared_count; i++)
		free(session->prepared[i].types);
	session->prepared_count = session->prepared_unconfirmed = 0;
}
