/* SPDX-License-Identifier: Apache-2.0 */
/* pg_result.h - the result of a statement: columns, rows, its tag or its error. */
#ifndef KOLK_PG_RESULT_H
#define KOLK_PG_RESULT_H

#include "transport/drivers/pg_wire.h"

struct pg_column {
	const char *name; /* in the allocation of the columns */
	uint32_t type;
	uint32_t binary;
};

/* A value of a row: where it begins in bytes; size UINT32_MAX = NULL. */
struct pg_cell {
	uint32_t at, size;
};

struct kolk_postgres_result {
	struct kolk_postgres_result *next;
	struct pg_column *columns;
	struct pg_cell *cells;
	char *bytes;
	uint32_t columns_count, rows;
	size_t cells_count, cells_capacity, bytes_size, bytes_capacity;
	uint8_t *error_body;                    /* the message that error points into */
	struct kolk_postgres_error error;
	const struct kolk_postgres_error *request_error; /* of the first result: the error of any
	                                                  * statement */
	bool described, done, failed;
	char tag[64];
	/* Small results fit here: one allocation each. Others begin here. */
	_Alignas(8) char few_columns[128];
	struct pg_cell few_cells[4];
	char few_bytes[128];
};

struct kolk_postgres_result *pg_result_new(void);
/* RowDescription. Errors: E_PROTOCOL, E_MEMORY. */
enum kolk_err pg_result_describe(struct kolk_postgres_result *result,
				 const struct pg_message *message);
/* DataRow, stored. Errors: E_PROTOCOL, E_MEMORY, E_LIMIT (more than bytes_max). */
enum kolk_err pg_result_row(struct kolk_postgres_result *result, const struct pg_message *message,
			    size_t bytes_max);
/* DataRow, delivered; returns what the callback returns. */
enum kolk_err pg_result_deliver(struct kolk_postgres_result *result,
				const struct pg_message *message,
				const struct kolk_postgres_request *request,
				uint32_t statement);
/* CommandComplete. */
enum kolk_err pg_result_done(struct kolk_postgres_result *result, const struct pg_message *message);
/* ErrorResponse. */
enum kolk_err pg_result_fail(struct kolk_postgres_result *result, const struct pg_message *message,
			     uint32_t statement);

#endif
