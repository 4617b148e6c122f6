/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sql.c - a pooled tool that is a statement of PostgreSQL. Arguments are its parameters, by the
 * extended protocol: a text of a client is never a part of a statement.
 *
 *   sql         begin read only; the statement; commit
 *   read_only: false           the statement alone, which is a transaction
 *   sql_from    begin read only; declare a cursor for the client's text; fetch; commit
 *
 * One message has one statement, so a client's text with a second one is refused by the server. A
 * cursor is for SELECT and VALUES alone, and gives no more rows than are fetched.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/tool/call.h"

/* 1664: of a target list, in PostgreSQL (its appendix K). */
enum { STATEMENTS_MAX = 4, COLUMNS_MAX = 1664 };

/* What a request points to, as long as it is under way. */
struct gw_tool_statements {
	struct kolk_postgres_request request;
	struct kolk_postgres_statement at[STATEMENTS_MAX];
	struct kolk_postgres_value values[GW_PARAMETERS_MAX];
	char fetch[64];
	uint32_t count, answer;      /* which has the rows */
};

static uint32_t rows_max(const struct gw_tool *tool)
{
	return tool->rows_max != 0 ? tool->rows_max : GW_TOOL_ROWS;
}

/* ---- rows, as JSON */

enum { BOOL_OID = 16, INT8_OID = 20, INT2_OID = 21, INT4_OID = 23, JSON_OID = 114, FLOAT4_OID = 700,
       FLOAT8_OID = 701, NUMERIC_OID = 1700, JSONB_OID = 3802 };

static bool is_number(uint32_t type)
{
	return type == INT8_OID || type == INT2_OID || type == INT4_OID || type == FLOAT4_OID ||
	       type == FLOAT8_OID || type == NUMERIC_OID;
}

static void put_value(struct gw_text *to, const struct kolk_postgres_value *value)
{
	const char *text = value->data;

	if (text == NULL)
		gw_text_say(to, "null");
	else if (value->type == BOOL_OID)
		gw_text_say(to, text[0] == 't' ? "true" : "false");
	else if ((is_number(value->type) && gw_is_json_number(text, value->size)) ||
		 ((value->type == JSON_OID || value->type == JSONB_OID) &&
		  gw_is_json(text, value->size, false)))
		gw_text_put(to, text, value->size);
	else
		gw_text_string(to, text, value->size);
}

/* The names of columns, "name": in front of a value. Two of one name are told apart: name, name_2. */
struct names {
	struct gw_text text;
	size_t ends[COLUMNS_MAX];
};

/* How many of the first columns have the name, with this behind it. */
static uint32_t columns_called(const struct kolk_postgres_result *result, uint32_t columns,
			       const char *name, const char *behind)
{
	size_t size = strlen(name);
	uint32_t count = 0;

	for (uint32_t i = 0; i < columns; i++) {
		const char *other = kolk_postgres_result_name(result, i);

		count += strncmp(other, name, size) == 0 && strcmp(other + size, behind) == 0;
	}
	return count;
}

/* False = there is a column name_2 beside two that are called name. */
static bool names_make(struct names *names, const struct kolk_postgres_result *result)
{
	uint32_t columns = kolk_postgres_result_columns(result);
	char number[16];

	for (uint32_t column = 0; column < columns; column++) {
		const char *name = kolk_postgres_result_name(result, column);
		uint32_t same = 1 + columns_called(result, column, name, "");

		snprintf(number, sizeof number, "_%u", same);
		if (same > 1 && columns_called(result, columns, name, number) > 0)
			return false;
		gw_text_say(&names->text, column > 0 ? ",\"" : "\"");
		gw_text_inside(&names->text, name, strlen(name));
		gw_text_say(&names->text, same > 1 ? number : "");
		gw_text_say(&names->text, "\":");
		names->ends[column] = gw_text_size(&names->text);
	}
	return true;
}

static void put_row(struct gw_text *to, const struct names *names,
		    const struct kolk_postgres_result *result, uint32_t row)
{
	size_t begin = 0;

	gw_text_say(to, row > 0 ? ",{" : "{");
	for (uint32_t i = 0; i < kolk_postgres_result_columns(result); i++) {
		struct kolk_postgres_value value = kolk_postgres_result_value(result, row, i);

		gw_text_put(to, gw_text_data(&names->text) + begin, names->ends[i] - begin);
		put_value(to, &value);
		begin = names->ends[i];
	}
	gw_text_say(to, "}");
}

static bool put_rows(struct gw_tool_call *call, const struct kolk_postgres_result *result,
		     uint32_t count)
{
	struct names names = { .text = { .failed = false } };
	bool named = names_make(&names, result);

	call->data.failed |= names.text.failed;
	/* More than bytes_max is an error, so no more than that and a row is made. */
	for (uint32_t i = 0; i < count && named && !call->data.failed &&
			     gw_text_size(&call->data) <= gw_tool_bytes_max(call->tool); i++)
		put_row(&call->data, &names, result, i);
	gw_text_free(&names.text);
	return named;
}

/* False = its columns have no names of their own. */
static bool put_data(struct gw_tool_call *call, const struct kolk_postgres_result *result)
{
	uint32_t all = kolk_postgres_result_rows(result), most = rows_max(call->tool);
	uint32_t count = all < most ? all : most;

	if (kolk_postgres_result_columns(result) == 0) {
		gw_text_say(&call->data, "{\"affected\":");
		gw_text_number(&call->data, (int64_t)kolk_postgres_result_affected(result));
		gw_text_say(&call->data, "}");
		return true;
	}
	gw_text_say(&call->data, "{\"rows\":[");
	if (!put_rows(call, result, count))
		return false;
	gw_text_say(&call->data, "],\"row_count\":");
	gw_text_number(&call->data, count);
	gw_text_say(&call->data, all > most ? ",\"truncated\":true}" : ",\"truncated\":false}");
	return true;
}

static void fail_as_server(struct gw_tool_call *call, const struct kolk_postgres_result *result)
{
	const struct kolk_postgres_error *error =
		result != NULL ? kolk_postgres_result_error(result) : NULL;

	if (error == NULL)
		gw_tool_call_fail_err(call, KOLK_E_SERVER);
	else if (strcmp(error->sqlstate, "57014") == 0) /* query_canceled: statement_timeout */
		gw_tool_call_fail_err(call, KOLK_E_TIMEOUT);
	else
		gw_tool_call_fail(call, "%s: %s (SQLSTATE %s)", error->severity, error->message,
				  error->sqlstate);
}

static void on_done(void *user, enum kolk_err err, struct kolk_postgres_result *result)
{
	struct gw_tool_call *call = user;
	const struct kolk_postgres_result *rows = result;

	call->postgres = NULL;
	for (uint32_t i = 0; i < call->statements->answer && rows != NULL; i++)
		rows = kolk_postgres_result_next(rows);
	if (err == KOLK_E_SERVER) {
		fail_as_server(call, result);
	} else if (err != KOLK_OK || rows == NULL) {
		gw_tool_call_fail_err(call, err != KOLK_OK ? err : KOLK_E_PROTOCOL);
	} else if (kolk_postgres_result_columns(rows) > COLUMNS_MAX) {
		gw_tool_call_fail_err(call, KOLK_E_LIMIT);
	} else if (put_data(call, rows)) {
		gw_tool_call_end(call, NULL);
	} else {
		gw_tool_call_fail(call, "columns have one name: name them with AS");
	}
	kolk_postgres_result_free(result);
}

/* ---- statements */

static void add(struct gw_tool_statements *to, const char *sql, uint32_t flags)
{
	to->at[to->count++] = (struct kolk_postgres_statement){ .sql = sql, .flags = flags };
}

/* A text of an array ("Array Input and Output Syntax"). In quotes nothing is NULL, and numbers are
 * numbers. */
static void put_array(struct gw_text *to, const struct gw_argument *list)
{
	gw_text_say(to, "{");
	for (uint32_t i = 0; i < list->count; i++) {
		const struct gw_argument *item = &list->items[i];

		gw_text_say(to, i > 0 ? ",\"" : "\"");
		for (size_t j = 0; j < item->size; j++) {
			if (item->text[j] == '"' || item->text[j] == '\\')
				gw_text_say(to, "\\");
			gw_text_put(to, item->text + j, 1);
		}
		gw_text_say(to, "\"");
	}
	gw_text_say(to, "}");
}

/* Arrays are in `sent`, which moves while it grows. False = there is no memory. */
static bool add_values(struct gw_tool_call *call, struct gw_tool_statements *to)
{
	struct kolk_postgres_statement *statement = &to->at[to->count - 1];
	const struct gw_tool *tool = call->tool;
	size_t ends[GW_PARAMETERS_MAX], begin = 0;

	for (uint32_t i = 0; i < tool->bound_count; i++) {
		const struct gw_argument *argument = &call->arguments.at[tool->bound[i]];

		if (argument->items != NULL)
			put_array(&call->sent, argument);
		ends[i] = gw_text_size(&call->sent);
		if (argument->json.size != 0) /* otherwise it is SQL's NULL */
			to->values[i] = (struct kolk_postgres_value){
				.data = argument->text, .size = (uint32_t)argument->size
			};
	}
	for (uint32_t i = 0; i < tool->bound_count; begin = ends[i++])
		if (ends[i] > begin)
			to->values[i] = (struct kolk_postgres_value){
				.data = gw_text_data(&call->sent) + begin, .size = (uint32_t)(ends[i] - begin)
			};
	statement->values = to->values;
	statement->value_count = tool->bound_count;
	return !call->sent.failed;
}

/* False = the text is none that a statement can have. */
static bool add_query(struct gw_tool_call *call, struct gw_tool_statements *to)
{
	const struct gw_argument *query = &call->arguments.at[call->tool->from];

	if (memchr(query->text, '\0', query->size) != NULL)
		return false;
	gw_text_say(&call->sent, "declare kolk_rows no scroll cursor for ");
	gw_text_put(&call->sent, query->text, query->size);
	gw_text_put(&call->sent, "", 1);
	add(to, gw_text_data(&call->sent), 0);
	to->answer = to->count;
	snprintf(to->fetch, sizeof to->fetch, "fetch forward %u from kolk_rows",
		 rows_max(call->tool) + 1); /* one more, to know that there are more */
	add(to, to->fetch, 0);
	return !call->sent.failed;
}

static bool add_all(struct gw_tool_call *call, struct gw_tool_statements *to)
{
	const struct gw_tool *tool = call->tool;
	bool good = true;

	if (!tool->writes)
		add(to, "begin read only", KOLK_POSTGRES_HARMLESS);
	if (tool->kind == GW_TOOL_QUERY) {
		good = add_query(call, to);
	} else {
		to->answer = to->count;
		add(to, tool->statement, 0);
		good = add_values(call, to);
	}
	if (!tool->writes)
		add(to, "commit", KOLK_POSTGRES_HARMLESS);
	return good;
}

static uint32_t timeout_ms(const struct gw_tool_call *call)
{
	uint64_t now_ns = kolk_in_ns(0);

	return call->deadline_ns <= now_ns ? 1 :
					     (uint32_t)((call->deadline_ns - now_ns) / KOLK_MS_NS + 1);
}

void gw_tool_sql_begin(struct gw_tool_call *call)
{
	struct gw_tool_statements *to = call->statements = calloc(1, sizeof *to);
	enum kolk_err err;

	if (to == NULL) {
		gw_tool_call_fail_err(call, KOLK_E_MEMORY);
		return;
	}
	if (!add_all(call, to)) {
		gw_tool_call_fail(call, call->sent.failed ? "there is no memory" : "the statement has a NUL");
		return;
	}
	to->request.size = sizeof to->request;
	to->request.count = to->count;
	to->request.statements = to->at;
	to->request.timeout_ms = timeout_ms(call);
	to->request.result_bytes_max = (uint32_t)gw_tool_bytes_max(call->tool);
	err = kolk_postgres_query_async(call->loop->loop, call->key, &to->request, call->deadline_ns,
					on_done, call, &call->postgres);
	if (err != KOLK_PENDING)
		gw_tool_call_fail_err(call, err);
}

void gw_tool_sql_free(struct gw_tool_call *call)
{
	free(call->statements);
	call->statements = NULL;
}
