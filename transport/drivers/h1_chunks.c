/* SPDX-License-Identifier: Apache-2.0 */
/* h1_chunks.c - the line that a chunk begins with (RFC 9112, section 7.1). */
#include "core/base/ascii.h"
#include "transport/drivers/h1_fields.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool h1_chunk_size(const char *line, size_t size, uint64_t *chunk, size_t *digits)
{
	size_t i;

	*chunk = 0;
	for (i = 0; i < size && kolk__hex_digit(line[i]) >= 0; i++) {
		if (i == 16)
			return false;
		*chunk = *chunk << 4 | (uint64_t)kolk__hex_digit(line[i]);
	}
	*digits = i;
	return i > 0 && *chunk <= INT64_MAX;
}

static size_t token_size(const char *text, size_t size)
{
	size_t i = 0;

	while (i < size && h1_is_token(text + i, 1))
		i++;
	return i;
}

/* A quoted string (RFC 9110, section 5.6.4); 0 = it is none. */
static size_t quoted_size(const char *text, size_t size)
{
	size_t i = 1;

	for (; i < size && text[i] != '"'; i++) {
		i += text[i] == '\\';
		if (i == size || !h1_is_value(text + i, 1))
			return 0;
	}
	return i < size ? i + 1 : 0;
}

static size_t blanks_size(const char *text, size_t size)
{
	size_t i = 0;

	while (i < size && is_blank(text[i]))
		i++;
	return i;
}

/* What is at the beginning, behind blanks: its size with them; 0 = it is not there. */
static size_t behind_blanks(const char *text, size_t size, char c)
{
	size_t blanks = blanks_size(text, size);

	return blanks < size && text[blanks] == c ? blanks + 1 : 0;
}

static size_t word_size(const char *text, size_t size, bool may_be_quoted)
{
	size_t blanks = blanks_size(text, size), word;

	if (may_be_quoted && blanks < size && text[blanks] == '"')
		word = quoted_size(text + blanks, size - blanks);
	else
		word = token_size(text + blanks, size - blanks);
	return word > 0 ? blanks + word : 0;
}

/* RFC 9112, section 7.1.1: ";" name, or ";" name "=" value; blanks before each of the four. */
bool h1_chunk_extensions(const char *text, size_t size)
{
	while (size > 0) {
		size_t at = behind_blanks(text, size, ';');
		size_t name = at > 0 ? word_size(text + at, size - at, false) : 0;
		size_t equals, value;

		if (name == 0)
			return false;
		at += name;
		equals = behind_blanks(text + at, size - at, '=');
		if (equals > 0) {
			at += equals;
			value = word_size(text + at, size - at, true);
			if (value == 0)
				return false;
			at += value;
		}
		text += at;
		size -= at;
	}
	return true;
}
