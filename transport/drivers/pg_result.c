/* SPDX-License-Identifier: Apache-2.0 */
/* pg_result.c - results: gathered from messages, and read by the caller. */
#include "transport/drivers/pg_result.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMN_FIXED_BYTES = 18, IS_NULL = -1 };
#define CELL_NULL UINT32_MAX

struct kolk_postgres_result *pg_result_new(void)
{
	struct kolk_postgres_result *result = malloc(sizeof *result);

	if (result == NULL)
		return NULL;
	memset(result, 0, offsetof(struct kolk_postgres_result, few_columns));
	result->cells = result->few_cells;
	result->cells_capacity = sizeof result->few_cells / sizeof *result->few_cells;
	result->bytes = result->few_bytes;
	result->bytes_capacity = sizeof result->few_bytes;
	return result;
}

/* ---- columns */

static bool describe(struct kolk_postgres_result *result, struct pg_cursor cursor, char *names)
{
	for (uint32_t i = 0; i < result->columns_count; i++) {
		const char *name = pg_get_text(&cursor);
		size_t size = strlen(name) + 1;
		struct pg_column *column = &result->columns[i];

		if (cursor.bad)
			return false;
		column->name = memcpy(names, name, size);
		names += size;
		(void)pg_get_bytes(&cursor, 6); /* table and number of the column */
		column->type = pg_get_u32(&cursor);
		(void)pg_get_bytes(&cursor, 6); /* type's size and modifier */
		column->binary = pg_get_u16(&cursor);
		if (column->binary > 1)
			return false;
	}
	return pg_cursor_ended(&cursor);
}

enum kolk_err pg_result_describe(struct kolk_postgres_result *result,
				 const struct pg_message *message)
{
	struct pg_cursor cursor = pg_cursor_of(message);
	uint32_t count = pg_get_u16(&cursor);
	size_t table = count * sizeof *result->columns, size = table + message->size + 1;

	if (result->described || cursor.bad || count > INT16_MAX ||
	    cursor.left < (size_t)count * (COLUMN_FIXED_BYTES + 1))
		return KOLK_E_PROTOCOL;
	result->columns = size <= sizeof result->few_columns ? (void *)result->few_columns :
							      malloc(size);
	if (result->columns == NULL)
		return KOLK_E_MEMORY;
	result->described = true;
	result->columns_count = count;
	if (describe(result, cursor, (char *)result->columns + table))
		return KOLK_OK;
	result->columns_count = 0;
	return KOLK_E_PROTOCOL;
}

/* ---- rows */

/* The next value: false = malformed. */
static bool next_value(struct pg_cursor *cursor, struct kolk_postgres_value *value)
{
	int32_t size = (int32_t)pg_get_u32(cursor);

	value->data = NULL;
	value->size = 0;
	if (size == IS_NULL || cursor->bad)
		return !cursor->bad;
	if (size < 0)
		return false;
	value->size = (uint32_t)size;
	value->data = pg_get_bytes(cursor, value->size);
	return value->data != NULL;
}

static bool begins_row(const struct kolk_postgres_result *result, struct pg_cursor *cursor)
{
	return result->described && !result->done &&
	       pg_get_u16(cursor) == result->columns_count && !cursor->bad;
}

static size_t doubled(size_t capacity, size_t needed)
{
	while (capacity < needed)
		capacity *= 2;
	return capacity;
}

/* A larger block with what is in memory: in few, its first place, all of few. NULL = no memory. */
static void *grow(void *memory, const void *few, size_t few_size, size_t size)
{
	void *more = realloc(memory == few ? NULL : memory, size);

	if (more != NULL && memory == few)
		memcpy(more, few, few_size);
	return more;
}

static bool reserve_cells(struct kolk_postgres_result *result, size_t needed)
{
	size_t capacity = doubled(result->cells_capacity, needed);
	struct pg_cell *more;

	if (needed <= result->cells_capacity)
		return true;
	more = grow(result->cells, result->few_cells, sizeof result->few_cells,
		    capacity * sizeof *more);
	if (more == NULL)
		return false;
	result->cells = more;
	result->cells_capacity = capacity;
	return true;
}

static bool reserve_bytes(struct kolk_postgres_result *result, size_t needed)
{
	size_t capacity = doubled(result->bytes_capacity, needed);
	char *more;

	if (needed <= result->bytes_capacity)
		return true;
	more = grow(result->bytes, result->few_bytes, sizeof result->few_bytes, capacity);
	if (more == NULL)
		return false;
	result->bytes = more;
	result->bytes_capacity = capacity;
	return true;
}

static void append_value(struct kolk_postgres_result *result,
			 const struct kolk_postgres_value *value)
{
	struct pg_cell *cell = &result->cells[result->cells_count++];

	cell->at = (uint32_t)result->bytes_size;
	cell->size = value->data != NULL ? value->size : CELL_NULL;
	if (value->data == NULL)
		return;
	memcpy(result->bytes + result->bytes_size, value->data, value->size);
	result->bytes_size += value->size;
	result->bytes[result->bytes_size++] = 0;
}

enum kolk_err pg_result_row(struct kolk_postgres_result *result, const struct pg_message *message,
			    size_t bytes_max)
{
	struct pg_cursor cursor = pg_cursor_of(message);
	size_t cells = result->cells_count + result->columns_count;
	size_t bytes = result->bytes_size + message->size; /* a zero takes less than a length */
	struct kolk_postgres_value value;

	if (!begins_row(result, &cursor))
		return KOLK_E_PROTOCOL;
	if (bytes > bytes_max || cells * sizeof *result->cells > bytes_max ||
	    result->rows == UINT32_MAX)
		return KOLK_E_LIMIT;
	if (!reserve_cells(result, cells) || !reserve_bytes(result, bytes))
		return KOLK_E_MEMORY;
	for (uint32_t i = 0; i < result->columns_count; i++) {
		if (!next_value(&cursor, &value))
			return KOLK_E_PROTOCOL;
		append_value(result, &value);
	}
	result->rows++;
	return pg_cursor_ended(&cursor) ? KOLK_OK : KOLK_E_PROTOCOL;
}

enum kolk_err pg_result_deliver(struct kolk_postgres_result *result,
				const struct pg_message *message,
				const struct kolk_postgres_request *request, uint32_t statement)
{
	struct pg_cursor cursor = pg_cursor_of(message);
	struct kolk_postgres_value few[16], *values = few;
	enum kolk_err err = KOLK_E_PROTOCOL;
	bool good = begins_row(result, &cursor);

	if (good && result->columns_count > 16)
		values = malloc(result->columns_count * sizeof *values);
	if (values == NULL)
		return KOLK_E_MEMORY;
	for (uint32_t i = 0; good && i < result->columns_count; i++) {
		good = next_value(&cursor, &values[i]);
		values[i].type = result->columns[i].type;
		values[i].binary = result->columns[i].binary;
		values[i].reserved = 0;
	}
	if (good && pg_cursor_ended(&cursor))
		err = request->row(request->user, statement, values, result->columns_count);
	result->rows += err == KOLK_OK;
	if (values != few)
		free(values);
	return err;
}

/* ---- ends */

enum kolk_err pg_result_done(struct kolk_postgres_result *result, const struct pg_message *message)
{
	struct pg_cursor cursor = pg_cursor_of(message);
	const char *tag = pg_get_text(&cursor);

	if (!pg_cursor_ended(&cursor) || result->done || strlen(tag) >= sizeof result->tag)
		return KOLK_E_PROTOCOL;
	memcpy(result->tag, tag, strlen(tag) + 1);
	result->done = true;
	return KOLK_OK;
}

enum kolk_err pg_result_fail(struct kolk_postgres_result *result, const struct pg_message *message,
			     uint32_t statement)
{
	struct pg_message kept = *message;

	if (result->failed)
		return KOLK_E_PROTOCOL;
	result->error_body = malloc(message->size + 1);
	if (result->error_body == NULL)
		return KOLK_E_MEMORY;
	memcpy(result->error_body, message->body, message->size);
	kept.body = result->error_body;
	if (!pg_get_error(&kept, &result->error))
		return KOLK_E_PROTOCOL;
	result->error.statement = statement;
	result->failed = result->done = true;
	return KOLK_OK;
}

void kolk_postgres_result_free(struct kolk_postgres_result *result)
{
	while (result != NULL) {
		struct kolk_postgres_result *next = result->next;

		if ((void *)result->columns != (void *)result->few_columns)
			free(result->columns);
		if (result->cells != result->few_cells)
			free(result->cells);
		if (result->bytes != result->few_bytes)
			free(result->bytes);
		free(result->error_body);
		free(result);
		result = next;
	}
}

/* ---- for the caller */

const struct kolk_postgres_result *
kolk_postgres_result_next(const struct kolk_postgres_result *result)
{
	return result->next;
}

uint32_t kolk_postgres_result_rows(const struct kolk_postgres_result *result)
{
	return result->rows;
}

uint32_t kolk_postgres_result_columns(const struct kolk_postgres_result *result)
{
	return result->columns_count;
}

const char *kolk_postgres_result_name(const struct kolk_postgres_result *result, uint32_t column)
{
	return column < result->columns_count ? result->columns[column].name : "";
}

struct kolk_postgres_value kolk_postgres_result_value(const struct kolk_postgres_result *result,
						      uint32_t row, uint32_t column)
{
	size_t index = (size_t)row * result->columns_count + column;
	struct kolk_postgres_value value = { 0 };

	if (column >= result->columns_count || index >= result->cells_count)
		return value;
	value.type = result->columns[column].type;
	value.binary = result->columns[column].binary;
	if (result->cells[index].size == CELL_NULL)
		return value;
	value.data = result->bytes + result->cells[index].at;
	value.size = result->cells[index].size;
	return value;
}

const char *kolk_postgres_result_text(const struct kolk_postgres_result *result, uint32_t row,
				      uint32_t column)
{
	const char *text = kolk_postgres_result_value(result, row, column).data;

	return text != NULL ? text : "";
}

const char *kolk_postgres_result_tag(const struct kolk_postgres_result *result)
{
	return result->tag;
}

uint64_t kolk_postgres_result_affected(const struct kolk_postgres_result *result)
{
	const char *space = strrchr(result->tag, ' ');

	return space != NULL ? strtoull(space + 1, NULL, 10) : 0;
}

const struct kolk_postgres_error *
kolk_postgres_result_error(const struct kolk_postgres_result *result)
{
	return result->failed ? &result->error : result->request_error;
}
