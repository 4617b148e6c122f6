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

/* What a hexadecimal digit says; -1 = it is none. */
static inline int kolk__hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = kolk__lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The same, of texts that have one spelling alone. */
static inline int kolk__hex_digit_lower(char c)
{
	return c >= 'A' && c <= 'F' ? -1 : kolk__hex_digit(c);
}

/* Whether text begins with word, in upper or lower case. Looks no further than text's end. */
static inline bool kolk__word_begins(const char *text, const char *word)
{
	for (; *word != '\0'; text++, word++)
		if (kolk__lower(*text) != kolk__lower(*word))
			return false;
	return true;
}

/* Whether these bytes are the word: mostly the first says that they are not. */
static inline bool kolk__word_is(const char *text, size_t size, const char *word)
{
	for (size_t i = 0; i < size; i++)
		if (word[i] == '\0' || kolk__lower(text[i]) != kolk__lower(word[i]))
			return false;
	return word[size] == '\0';
}

/* Whether both are the same word. */
static inline bool kolk__word_equal(const char *one, const char *other)
{
	for (; kolk__lower(*one) == kolk__lower(*other); one++, other++)
		if (*one == '\0')
			return true;
	return false;
}

#endif
