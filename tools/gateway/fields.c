/* SPDX-License-Identifier: Apache-2.0 */
/* fields.c - a list of header fields that is being written, and trailers that are kept. */
#include "tools/gateway/fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve_fields(struct gw_fields *fields, size_t capacity)
{
	struct kolk_http_field *at;
	uint8_t *marks;

	if (capacity <= fields->capacity)
		return true;
	at = realloc(fields->at, capacity * sizeof *at);
	if (at != NULL)
		fields->at = at;
	marks = realloc(fields->marks, capacity);
	if (marks != NULL)
		fields->marks = marks;
	if (at == NULL || marks == NULL)
		return false;
	fields->capacity = capacity;
	return true;
}

bool gw_fields_begin(struct gw_fields *fields, size_t count, size_t text_size)
{
	if (text_size > fields->text_capacity) {
		char *text = realloc(fields->text, text_size);

		if (text == NULL)
			return false;
		fields->text = text;
		fields->text_capacity = text_size;
	}
	fields->count = fields->text_size = 0;
	return reserve_fields(fields, count + GW_FIELDS_OWN);
}

void gw_fields_add(struct gw_fields *fields, const char *name, const char *value)
{
	fields->at[fields->count++] = (struct kolk_http_field){ name, value };
}

void gw_fields_print(struct gw_fields *fields, const char *name, const char *format, ...)
{
	size_t left = fields->text_capacity - fields->text_size;
	char *text = fields->text + fields->text_size;
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(text, left, format, arguments);
	va_end(arguments);
	if (size < 0 || left == 0)
		return;
	fields->text_size += (size_t)size < left ? (size_t)size + 1 : left;
	gw_fields_add(fields, name, text);
}

void gw_fields_free(struct gw_fields *fields)
{
	free(fields->at);
	free(fields->marks);
	free(fields->text);
	*fields = (struct gw_fields){ 0 };
}

/* ---- trailers */

static const char *copy(char **at, const char *text)
{
	size_t size = strlen(text) + 1;
	char *begin = memcpy(*at, text, size);

	*at += size;
	return begin;
}

bool gw_trailers_keep(struct gw_trailers *trailers, const struct kolk_http_field *fields,
		      size_t count, const uint8_t *marks)
{
	size_t size = 0, kept = 0;
	char *text;

	if (count == 0)
		return true;
	if (count > GW_TRAILERS_MAX)
		return false;
	for (size_t i = 0; i < count; i++)
		size += strlen(fields[i].name) + strlen(fields[i].value) + 2;
	text = trailers->text = malloc(size);
	if (text == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		if (marks[i] == 0) {
			trailers->at[kept].name = copy(&text, fields[i].name);
			trailers->at[kept++].value = copy(&text, fields[i].value);
		}
	return true;
}

void gw_trailers_reset(struct gw_trailers *trailers)
{
	if (trailers->text == NULL) /* nothing was kept */
		return;
	free(trailers->text);
	*trailers = (struct gw_trailers){ 0 };
}
