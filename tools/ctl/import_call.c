/* SPDX-License-Identifier: Apache-2.0 */
/* import_call.c - what a tool does: a statement, a command of Redis, a request, a program. */
#include <string.h>
#include <strings.h>

#include "tools/ctl/import_tool.h"

/* Options whose arguments may stand beside them. */
#define FLAT "command redis exec"

static uint32_t protocol_of(const struct import_tool *tool)
{
	return tool->pool != NULL ? tool->pool->protocol : KOLK__PROTOCOL_RAW;
}

/* A text as if the file had said it at this option. */
static struct kolk__node as_said(const struct kolk__node *option, const char *text)
{
	return (struct kolk__node){ .kind = KOLK__TEXT,
				    .key = option->key,
				    .key_line = option->key_line,
				    .line = option->line,
				    .text = text,
				    .size = strlen(text) };
}

/* ---- sql */

/* "{{query}}": a statement of the caller's own. */
static void sql_from(struct import_tool *tool, const struct kolk__node *option,
		     struct import_parameter *parameter)
{
	if (parameter->listed != NULL ||
	    (parameter->type != NULL && strcmp(parameter->type, "string") != 0)) {
		import_flaw(tool, option, "the parameter that says a statement is a string");
		return;
	}
	parameter->required = true;
	parameter->fallback = NULL;
	import_line(tool, "sql_from", parameter->name, false);
	import_became(tool->import, "sql_from", NULL);
	import_done(tool->import, option,
		    "SELECT and VALUES alone, in a read-only transaction");
}

static void sql(struct import_tool *tool, const struct kolk__node *option, const char *text)
{
	struct import_parameter *whole = import_whole(tool, text);
	const struct kolk__node said = as_said(option, text);
	const char *statement;
	bool writes;

	if (whole != NULL) {
		sql_from(tool, option, whole);
		return;
	}
	statement = import_sql(tool, &said, &writes);
	if (statement == NULL)
		return;
	import_line(tool, "sql", statement, false);
	import_became(tool->import, "sql", NULL);
	if (writes) {
		import_line(tool, "read_only", "false", false);
		import_became(tool->import, "read_only: false", NULL);
	}
	import_done(tool->import, option, writes ? "it may write" : NULL);
}

/* ---- redis */

static void redis(struct import_tool *tool, const struct kolk__node *option,
		  const struct import_words *words)
{
	const char *list = import_list(tool, option, words);

	if (list == NULL)
		return;
	import_line(tool, "redis", list, true);
	import_became_done(tool, option, "redis");
}

/* The parameter that chooses a case is an enum of just these values. */
static void cases_done(struct import_tool *tool, const struct kolk__node *option,
		       struct import_parameter *by, const char *values)
{
	by->type = "enum";
	by->required = true;
	by->fallback = NULL;
	by->values = import_text(tool->import, "[%s]", values);
	import_line(tool, "case_of", by->name, false);
	import_became(tool->import, "case_of", NULL);
	import_became(tool->import, "cases", NULL);
	import_done(tool->import, option, NULL);
}

static bool case_add(struct import_tool *tool, const struct kolk__node *option,
		     const char *value, const struct import_words *words)
{
	const char *list = import_list(tool, option, words);
	const char *before = tool->cases != NULL ? tool->cases : "";

	if (list == NULL)
		return false;
	tool->cases =
		import_text(tool->import, "%s      - value: %s\n        redis: %s\n", before,
			    import_quoted(tool->import, import_own(tool->import, value)), list);
	return true;
}

/* "{{operation}}" as the command: a case for each of its values. */
static void redis_chosen(struct import_tool *tool, const struct kolk__node *option,
			 const struct import_words *words)
{
	struct import_parameter *by = import_whole(tool, words->words[0]);
	struct import_words own = *words;
	const char *values = "";

	if (by == NULL || by->listed == NULL) {
		import_flaw(tool, option, "a parameter that says the command needs its values");
		return;
	}
	for (const struct kolk__node *node = by->listed->first; node != NULL;
	     node = node->next) {
		own.words[0] = node->text;
		if (!case_add(tool, option, node->text, &own))
			return;
		values = import_text(
			tool->import, "%s%s%s", values, values[0] != 0 ? ", " : "",
			import_quoted(tool->import, import_own(tool->import, node->text)));
	}
	cases_done(tool, option, by, values);
}

static void redis_any(struct import_tool *tool, const struct kolk__node *option,
		      const struct import_words *words)
{
	if (words->count > 0 && strstr(words->words[0], "{{") != NULL)
		redis_chosen(tool, option, words);
	else
		redis(tool, option, words);
}

/* ---- cases of Redis */

/* The parameter that the tool names for it, else its only one with values. */
static struct import_parameter *case_parameter(struct import_tool *tool)
{
	struct import_parameter *by = NULL;
	uint32_t count = 0;

	for (const struct kolk__node *node = tool->map->first; node != NULL; node = node->next)
		if (import_is_one_of(node->key, "case_of case switch by") &&
		    import_is_text(node)) {
			by = import_whole(tool, node->text);
			return by != NULL ? by : import_parameter(tool, node->text, node->size);
		}
	for (uint32_t i = 0; i < tool->parameter_count; i++)
		if (tool->parameters[i].listed != NULL) {
			by = &tool->parameters[i];
			count++;
		}
	return count == 1 ? by : NULL;
}

static const struct kolk__node *first_of(const struct kolk__node *map, const char *names)
{
	const struct kolk__node *node = map->kind == KOLK__MAP ? map->first : NULL;

	while (node != NULL && !import_is_one_of(node->key, names))
		node = node->next;
	return node;
}

/* [GET, x], "GET x", {command: GET, args: [x]}, {redis: [GET, x]} */
static bool words_of(struct import_tool *tool, const struct kolk__node *node,
		     struct import_words *words)
{
	const struct kolk__node *command = first_of(node, "redis command");
	const struct kolk__node *arguments = first_of(node, "args arguments");

	if (node->kind != KOLK__MAP)
		return import_split(tool, node, words);
	if (command == NULL)
		return import_flaw(tool, node, "'command' is missing here");
	return import_split(tool, command, words) &&
	       (arguments == NULL || import_split(tool, arguments, words));
}

static void cases(struct import_tool *tool, const struct kolk__node *option)
{
	struct import_parameter *by = case_parameter(tool);
	const char *values = "";

	if (by == NULL) {
		import_flaw(tool, option, "no parameter with values chooses the case");
		return;
	}
	if (option->count > IMPORT_WORDS) {
		import_flaw(tool, option, "more than 64 cases");
		return;
	}
	for (const struct kolk__node *node = option->first; node != NULL; node = node->next) {
		const struct kolk__node *said = first_of(node, "value when case");
		const char *value = option->kind == KOLK__MAP		   ? node->key
				    : said != NULL && import_is_text(said) ? said->text
									   : NULL;
		struct import_words words = { .count = 0 };

		if (value == NULL) {
			import_flaw(tool, option, "a case has a 'value'");
			return;
		}
		if (!words_of(tool, node, &words) || !case_add(tool, option, value, &words))
			return;
		values = import_text(
			tool->import, "%s%s%s", values, values[0] != 0 ? ", " : "",
			import_quoted(tool->import, import_own(tool->import, value)));
	}
	cases_done(tool, option, by, values);
}

/* ---- script: {command: ..., args: [...]} */

static bool is_statement(const char *text)
{
	const size_t size = strcspn(text, " \n\t(");
	char first[16] = "";

	if (size >= sizeof first)
		return false;
	for (size_t i = 0; i < size; i++)
		first[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
	return import_is_one_of(first, "select values with insert update delete explain show");
}

/* The statement is the only argument, or psql's -c, or the command itself. */
static const char *statement_of(const struct kolk__node *command,
				const struct import_words *words)
{
	static const char calls[] =
		"query execute fetch fetchall fetchone fetchrow sql run_query "
		"execute_query psql";

	if (words->count > 0 && import_is_one_of(import_base(words->words[0]), calls)) {
		if (words->count == 2)
			return words->words[1];
		if (words->count == 3 && import_is_one_of(words->words[1], "-c --command"))
			return words->words[2];
	}
	return is_statement(command->text) ? command->text : NULL;
}

static void script_http(struct import_tool *tool, const struct kolk__node *option,
			const struct import_words *words)
{
	if (words->count != 2) {
		import_flaw(tool, option, "a request is a method and a path; write 'http'");
		return;
	}
	import_http_request(tool, option, words->words[0], words->words[1]);
	if (tool->flaw == NULL)
		import_became_done(tool, option, "http");
}

/* The command is in the map of the option, or is the option. */
static void script_program(struct import_tool *tool, const struct kolk__node *option,
			   const struct import_words *words)
{
	const struct kolk__node *command = first_of(option, "command");
	struct import_path before;

	if (command == NULL) {
		import_program(tool, option, words);
		return;
	}
	before = import_enter(tool->import, option->key);
	import_program(tool, command, words);
	import_leave(tool->import, &before);
}

static void script_do(struct import_tool *tool, const struct kolk__node *option,
		      struct import_words *words)
{
	const struct kolk__node *inside = first_of(option, "command");
	const struct kolk__node *command = inside != NULL ? inside : option;
	const char *statement;

	switch (protocol_of(tool)) {
	case KOLK__PROTOCOL_POSTGRES:
		statement = statement_of(command, words);
		if (statement != NULL)
			sql(tool, option, statement);
		else
			script_program(tool, option, words);
		return;
	case KOLK__PROTOCOL_REDIS:
		if (words->count > 1 && strcmp(import_base(words->words[0]), "redis-cli") == 0)
			memmove(words->words, words->words + 1,
				--words->count * sizeof(char *));
		redis_any(tool, option, words);
		return;
	case KOLK__PROTOCOL_HTTP:
		script_http(tool, option, words);
		return;
	default:
		script_program(tool, option, words);
	}
}

static void script(struct import_tool *tool, const struct kolk__node *option)
{
	const struct kolk__node *command = first_of(option, "command");
	const struct kolk__node *arguments = first_of(option, "args arguments");
	struct import_words words = { .count = 0 };

	if (command == NULL || !import_is_text(command)) {
		import_flaw(tool, option, "'command' is missing here");
		return;
	}
	if (!import_split(tool, command, &words) ||
	    (arguments != NULL && !import_split(tool, arguments, &words)))
		return;
	script_do(tool, option, &words);
	if (tool->flaw == NULL)
		import_program_options(tool, option);
}

/* {command: ..., args: [...]} among the options of the tool. */
static void flat_script(struct import_tool *tool, const struct kolk__node *option)
{
	struct import_words words = { .count = 0 };

	if (import_split(tool, option, &words) &&
	    import_split(tool, first_of(tool->map, "args arguments"), &words))
		script_do(tool, option, &words);
}

/* ---- by the option's name */

typedef void does_fn(struct import_tool *tool, const struct kolk__node *option);

static void does_sql(struct import_tool *tool, const struct kolk__node *option)
{
	if (import_is_text(option))
		sql(tool, option, option->text);
	else
		import_flaw(tool, option, "a tool is one statement");
}

static void does_redis(struct import_tool *tool, const struct kolk__node *option)
{
	struct import_words words = { .count = 0 };

	if (words_of(tool, option, &words))
		redis_any(tool, option, &words);
}

static bool is_request(const struct kolk__node *option)
{
	return option->kind == KOLK__MAP && import_is_one_of(option->key, "http request");
}

/* Its keys are in a map of their own, or among those of the tool. */
static void does_http(struct import_tool *tool, const struct kolk__node *option)
{
	struct import_path before;

	if (!is_request(option)) {
		import_http(tool, tool->map);
		return;
	}
	before = import_enter(tool->import, option->key);
	import_http(tool, option);
	import_leave(tool->import, &before);
}

static void does_program(struct import_tool *tool, const struct kolk__node *option)
{
	struct import_words words = { .count = 0 };

	if (import_split(tool, option, &words))
		import_program(tool, option, &words);
}

static does_fn *does(const struct import_tool *tool, const struct kolk__node *option)
{
	const bool map = option->kind == KOLK__MAP;
	const uint32_t protocol = protocol_of(tool);

	if (map && strcmp(option->key, "script") == 0)
		return script;
	if (import_is_text(option) && import_is_one_of(option->key, FLAT) &&
	    first_of(tool->map, "args arguments") != NULL)
		return flat_script;
	if (protocol == KOLK__PROTOCOL_POSTGRES &&
	    import_is_one_of(option->key, "sql query statement"))
		return does_sql;
	if (protocol == KOLK__PROTOCOL_REDIS && strcmp(option->key, "cases") == 0)
		return cases;
	if (protocol == KOLK__PROTOCOL_REDIS &&
	    import_is_one_of(option->key, "redis command query"))
		return does_redis;
	if (protocol == KOLK__PROTOCOL_HTTP &&
	    (import_is_one_of(option->key, "http request") || import_http_has(option->key)))
		return does_http;
	return import_is_one_of(option->key, "command script exec") && !map ? does_program
									    : NULL;
}

bool import_is_of_command(const struct import_tool *tool, const struct kolk__node *option)
{
	const struct kolk__node *command = first_of(tool->map, FLAT);

	return option == first_of(tool->map, "args arguments") && command != NULL &&
	       import_is_text(command);
}

bool import_call(struct import_tool *tool, const struct kolk__node *option)
{
	does_fn *fn = does(tool, option);

	if (fn == NULL)
		return false;
	if (tool->does == NULL) {
		tool->does = option;
		fn(tool, option);
	} else if (fn != does_http || is_request(tool->does) || is_request(option)) {
		import_left(tool->import, option,
			    import_text(tool->import, "line %u says what the tool does",
					tool->does->key_line));
	}
	return true;
}
