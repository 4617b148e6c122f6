/* SPDX-License-Identifier: Apache-2.0 */
/* h2_fields.c - heads and trailers of HTTP/2 while they are received. */
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/h2.h"

static bool grow(void **memory, uint32_t *capacity, uint32_t need, size_t each)
{
	uint32_t more = *capacity < 16 ? 16 : *capacity;
	void *bigger;

	if (need <= *capacity)
		return true;
	while (more < need)
		more *= 2;
	bigger = realloc(*memory, more * each);
	if (bigger == NULL)
		return false;
	*memory = bigger;
	*capacity = more;
	return true;
}

static uint32_t append(struct h2_fields *fields, const nghttp2_vec *text)
{
	uint32_t at = fields->size;

	memcpy(fields->text + at, text->base, text->len);
	fields->text[at + text->len] = '\0';
	fields->size += (uint32_t)text->len + 1;
	return at;
}

enum kolk_err h2_fields_add(struct h2_fields *fields, const nghttp2_vec *name,
			    const nghttp2_vec *value)
{
	uint32_t need = fields->size + (uint32_t)(name->len + value->len) + 2;
	struct kolk_http_field *field;

	if (!grow((void **)&fields->text, &fields->capacity, need, 1) ||
	    !grow((void **)&fields->at, &fields->at_capacity, fields->count + 1,
		  sizeof *fields->at))
		return KOLK_E_MEMORY;
	field = &fields->at[fields->count++];
	field->name = (const char *)(uintptr_t)append(fields, name);
	field->value = (const char *)(uintptr_t)append(fields, value);
	return KOLK_OK;
}

static const char *name_of(const struct h2_fields *fields, uint32_t i)
{
	return fields->text + (uintptr_t)fields->at[i].name;
}

static const char *value_of(const struct h2_fields *fields, uint32_t i)
{
	return fields->text + (uintptr_t)fields->at[i].value;
}

static bool is_cookie(const struct h2_fields *fields, uint32_t i)
{
	return strcmp(name_of(fields, i), "cookie") == 0;
}

/* The size of all cookies with "; " behind each; *count of them. */
static uint32_t cookies_size(const struct h2_fields *fields, uint32_t *count)
{
	uint32_t size = 0;

	*count = 0;
	for (uint32_t i = 0; i < fields->count; i++)
		if (is_cookie(fields, i)) {
			size += (uint32_t)strlen(value_of(fields, i)) + 2;
			++*count;
		}
	return size;
}

/* The first gets the text of all, the others go. */
static void join(struct h2_fields *fields)
{
	uint32_t begin = fields->size, kept = 0;
	bool first = true;

	for (uint32_t i = 0; i < fields->count; i++) {
		struct kolk_http_field field = fields->at[i];
		size_t size = strlen(value_of(fields, i));

		if (!is_cookie(fields, i)) {
			fields->at[kept++] = field;
			continue;
		}
		memcpy(fields->text + fields->size, value_of(fields, i), size);
		memcpy(fields->text + fields->size + size, "; ", 2);
		fields->size += (uint32_t)size + 2;
		field.value = (const char *)(uintptr_t)begin;
		if (first)
			fields->at[kept++] = field;
		first = false;
	}
	fields->text[fields->size - 2] = '\0';
	fields->count = kept;
}

enum kolk_err h2_fields_join_cookies(struct h2_fields *fields)
{
	uint32_t count, size = cookies_size(fields, &count);

	if (count < 2)
		return KOLK_OK;
	if (!grow((void **)&fields->text, &fields->capacity, fields->size + size, 1))
		return KOLK_E_MEMORY;
	join(fields);
	return KOLK_OK;
}

void h2_fields_finish(struct h2_fields *fields)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		fields->at[i].name = fields->text + (uintptr_t)fields->at[i].name;
		fields->at[i].value = fields->text + (uintptr_t)fields->at[i].value;
	}
}

void h2_fields_clear(struct h2_fields *fields)
{
	fields->size = fields->count = 0;
}

void h2_fields_free(struct h2_fields *fields)
{
	free(fields->text);
	free(fields->at);
	*fields = (struct h2_fields){ 0 };
}
