/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ascii.h - protocols' words, whose letters are ASCII in every locale. strcasecmp and its like
 * follow the process' locale: in Turkish the upper case of "i" is not "I", so that
 * "TRANSFER-ENCODING" is not "transfer-encoding".
 */
#ifndef KOLK_BASE_ASCII_H
#define KOLK_BASE_ASCII_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static inline char kolk__lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* Whether text begins with word, in upper or lower case. Looks no further than text's end. */
static inline bool kolk__word_begins(const char *text, const char *word)
{
	for (; *word != '\0'; text++, word++)
		if (kolk__lower(*text) != kolk__lower(*word))
			return false;
	return true;
}

/* Whether these bytes are the word. */
static inline bool kolk__word_is(const char *text, size_t size, const char *word)
{
	if (strlen(word) != size)
		return false;
	for (size_t i = 0; i < size; i++)
		if (kolk__lower(text[i]) != kolk__lower(word[i]))
			return false;
	return true;
}

/* Whether both are the same word. */
static inline bool kolk__word_equal(const char *one, const char *other)
{
	return kolk__word_is(one, strlen(one), other);
}

#endif
