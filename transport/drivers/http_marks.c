/* SPDX-License-Identifier: Apache-2.0 */
/* http_marks.c - which fields a proxy must not pass on (RFC 9110, section 7.6.1). */
#include <kolk/http_server.h>

#include <string.h>

#include "core/base/ascii.h"
#include "transport/drivers/h1_fields.h"
#include "transport/drivers/http.h"

enum { NAMES_MAX = 64 }; /* that the Connection fields of a message may mark */

struct message {
	const struct kolk_http_field *fields;
	size_t count;
	uint8_t *marks;
};

struct marked {
	const char *name;
	uint8_t mark;
};

/* Messages have dozens of fields, and few of these: their size tells most of them apart. */
static const struct marked *marked_of(size_t size)
{
	static const struct marked of_2[] = { { "te", KOLK_HTTP_MARK_HOP_BY_HOP }, { 0 } };
	static const struct marked of_4[] = { { "host", KOLK_HTTP_MARK_OWN }, { 0 } };
	static const struct marked of_6[] = { { "expect", KOLK_HTTP_MARK_OWN }, { 0 } };
	static const struct marked of_7[] = { { "trailer", KOLK_HTTP_MARK_OWN },
					      { "upgrade", KOLK_HTTP_MARK_HOP_BY_HOP }, { 0 } };
	static const struct marked of_10[] = { { "connection", KOLK_HTTP_MARK_HOP_BY_HOP },
					       { "keep-alive", KOLK_HTTP_MARK_HOP_BY_HOP }, { 0 } };
	static const struct marked of_14[] = { { "content-length", KOLK_HTTP_MARK_OWN },
					       { "http2-settings", KOLK_HTTP_MARK_HOP_BY_HOP },
					       { 0 } };
	static const struct marked of_16[] = { { "proxy-connection", KOLK_HTTP_MARK_HOP_BY_HOP },
					       { 0 } };
	static const struct marked of_17[] = { { "transfer-encoding", KOLK_HTTP_MARK_HOP_BY_HOP },
					       { 0 } };
	static const struct marked *const of[] = { [2] = of_2, [4] = of_4, [6] = of_6, [7] = of_7,
						   [10] = of_10, [14] = of_14, [16] = of_16,
						   [17] = of_17 };

	return size < sizeof of / sizeof of[0] ? of[size] : NULL;
}

uint8_t http_field_mark(const char *name, size_t size)
{
	const struct marked *marked = marked_of(size);

	for (; marked != NULL && marked->name != NULL; marked++)
		if (kolk__lower(name[0]) == marked->name[0] &&
		    (memcmp(name, marked->name, size) == 0 ||
		     kolk__word_begins(name, marked->name)))
			return marked->mark;
	return 0;
}

/* By its first letter alone, most are not. */
static bool may_be_marked(const char *name)
{
	static const bool begins[256] = {
		['c'] = true, ['e'] = true, ['h'] = true, ['k'] = true, ['p'] = true, ['t'] = true,
		['u'] = true, ['C'] = true, ['E'] = true, ['H'] = true, ['K'] = true, ['P'] = true,
		['T'] = true, ['U'] = true,
	};

	return begins[(uint8_t)*name];
}

static void mark_member(const struct message *message, const char *member, size_t size)
{
	for (size_t i = 0; i < message->count; i++)
		if (kolk__word_is(member, size, message->fields[i].name))
			message->marks[i] |= KOLK_HTTP_MARK_HOP_BY_HOP;
}

static void mark_all(const struct message *message)
{
	for (size_t i = 0; i < message->count; i++)
		message->marks[i] |= KOLK_HTTP_MARK_HOP_BY_HOP;
}

/* Mostly it was made lower-case before. */
static bool is_connection(const char *name)
{
	return strcmp(name, "connection") == 0 || kolk__word_equal(name, "connection");
}

/* What the Connection fields name, but for what is marked by its own name, as Keep-Alive. More
 * names than any honest message has cost no more: then all is marked. */
static void mark_named(const struct message *message)
{
	uint32_t names = 0;

	for (size_t i = 0; i < message->count; i++) {
		const char *list = message->fields[i].value, *member;
		size_t size;

		if (!(message->marks[i] & KOLK_HTTP_MARK_HOP_BY_HOP) ||
		    !is_connection(message->fields[i].name))
			continue;
		if (strcmp(list, "keep-alive") == 0) /* it has its mark, and most say nothing else */
			continue;
		while ((member = h1_next_member(&list, &size)) != NULL) {
			if (++names > NAMES_MAX) {
				mark_all(message);
				return;
			}
			if (!(http_field_mark(member, size) & KOLK_HTTP_MARK_HOP_BY_HOP))
				mark_member(message, member, size);
		}
	}
}

/* Of what has its mark by its own name: of the fields of a connection, Connection alone begins so,
 * and most say nothing else. */
static bool names_others(const struct kolk_http_field *field, uint8_t mark)
{
	return (mark & KOLK_HTTP_MARK_HOP_BY_HOP) && kolk__lower(field->name[0]) == 'c' &&
	       strcmp(field->value, "keep-alive") != 0;
}

void kolk_http_field_marks(const struct kolk_http_field *fields, size_t count, uint8_t *marks)
{
	const struct message message = { .fields = fields, .count = count, .marks = marks };
	bool named = false;

	for (size_t i = 0; i < count; i++) {
		const char *name = fields[i].name;

		marks[i] = may_be_marked(name) ? http_field_mark(name, strlen(name)) : 0;
		named |= marks[i] != 0 && names_others(&fields[i], marks[i]);
	}
	if (named)
		mark_named(&message);
}
