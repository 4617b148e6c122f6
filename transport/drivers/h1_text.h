/* SPDX-License-Identifier: Apache-2.0 */
/* h1_text.h - text that is written into a buffer, and only counted where the buffer ends. */
#ifndef KOLK_DRIVERS_H1_TEXT_H
#define KOLK_DRIVERS_H1_TEXT_H

#include <stdint.h>
#include <string.h>

struct h1_text {
	char *buffer;
	size_t size, capacity; /* size > capacity: it is not whole */
};

static inline void h1_add_bytes(struct h1_text *text, const char *bytes, size_t size)
{
	if (size <= text->capacity && text->size <= text->capacity - size)
		memcpy(text->buffer + text->size, bytes, size);
	text->size += size;
}

static inline void h1_add(struct h1_text *text, const char *string)
{
	h1_add_bytes(text, string, strlen(string));
}

static inline void h1_add_field(struct h1_text *text, const char *name, const char *value)
{
	size_t name_size = strlen(name), value_size = strlen(value);
	size_t size = name_size + value_size + 4;

	if (size <= text->capacity && text->size <= text->capacity - size) {
		char *at = text->buffer + text->size;

		memcpy(at, name, name_size);
		memcpy(at + name_size, ": ", 2);
		memcpy(at + name_size + 2, value, value_size);
		memcpy(at + name_size + 2 + value_size, "\r\n", 2);
	}
	text->size += size;
}

static inline void h1_add_number(struct h1_text *text, uint64_t number)
{
	char digits[20];
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	h1_add_bytes(text, digits + at, sizeof digits - at);
}

#endif
