/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_sql.c - a statement of others, whose values become {{name}} in places where a value
 * can be bound. There they are pasted in, so that a {{name}} may stand in a text in quotes: the
 * text is taken apart, '%{{name}}%' becomes '%' || {{name}} || '%'. Where nothing can be bound,
 * as in the name of a table, the tool is left out.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/ctl/import_tool.h"

struct sql {
	struct import_tool *tool;
	const struct kolk__node *option;
	const char *at;
	FILE *out;
	char word[32]; /* the last one, in small letters; "" = something is behind it */
	char first[32];
	bool writes; /* a word says so */
	bool end;    /* behind the ';' */
};

static bool flaw(struct sql *sql, const char *why)
{
	return import_flaw(sql->tool, sql->option, why);
}

static void put(struct sql *sql, const char *end)
{
	fwrite(sql->at, 1, (size_t)(end - sql->at), sql->out);
	sql->at = end;
}

/* ---- values */

/* {{name}}, for the text up to end, which names a parameter. */
static bool bind(struct sql *sql, const struct import_parameter *parameter, const char *end)
{
	if (import_is_one_of(sql->word, "from join into update table by"))
		return flaw(sql,
			    "a value can be bound, a name cannot: write a tool for each table");
	fprintf(sql->out, "{{%s}}", parameter->name);
	sql->word[0] = 0;
	sql->at = end;
	return true;
}

/* "{{ name }}": its parameter, and where it ends. */
static const struct import_parameter *placeholder(struct sql *sql, const char *text,
						  const char **end)
{
	const char *close = strstr(text, "}}");
	const struct import_parameter *parameter;

	*end = close != NULL ? close + 2 : text;
	parameter = close != NULL
			    ? import_whole(sql->tool, import_text(sql->tool->import, "%.*s",
								  (int)(*end - text), text))
			    : NULL;
	if (parameter == NULL)
		flaw(sql, import_text(sql->tool->import, "%.*s is no parameter",
				      (int)(close != NULL ? *end - text : 2), text));
	return parameter;
}

/* The piece of a text in quotes up to end, as a text of its own. */
static void piece(struct sql *sql, const char *begin, const char *end, bool *any)
{
	if (begin == end)
		return;
	fprintf(sql->out, "%s'%.*s'", *any ? " || " : "", (int)(end - begin), begin);
	*any = true;
}

/* Its end, behind the closing quote; NULL = there is none. */
static const char *quoted_end(const char *text, char quote)
{
	for (text++; *text != 0; text++)
		if (*text == quote && text[1] == quote)
			text++;
		else if (*text == quote)
			return text + 1;
	return NULL;
}

/* Taken apart at its placeholders. */
static bool quoted_bind(struct sql *sql, const char *end)
{
	const char *begin = sql->at + 1, *close = end - 1, *next;
	bool any = false;

	while ((next = strstr(begin, "{{")) != NULL && next < close) {
		const char *behind;
		const struct import_parameter *parameter = placeholder(sql, next, &behind);

		if (parameter == NULL)
			return false;
		piece(sql, begin, next, &any);
		fprintf(sql->out, "%s{{%s}}", any ? " || " : "", parameter->name);
		any = true;
		begin = behind;
	}
	piece(sql, begin, close, &any);
	sql->at = end;
	sql->word[0] = 0;
	return true;
}

static bool quoted(struct sql *sql)
{
	const char quote = *sql->at;
	const char *end = quoted_end(sql->at, quote);
	const char *place;

	if (end == NULL)
		return flaw(sql, "a quote is not closed");
	place = strstr(sql->at, "{{");
	if (place == NULL || place >= end) {
		put(sql, end);
		sql->word[0] = 0;
		return true;
	}
	if (quote == '"')
		return flaw(sql, "a value can be bound, a name in quotes cannot");
	if (sql->word[0] == 'e' && sql->word[1] == 0)
		return flaw(sql, "{{name}} is in a text with escapes: write it without E''");
	return quoted_bind(sql, end);
}

/* ---- what is no value */

static bool skip(struct sql *sql, const char *end)
{
	const char *place = strstr(sql->at, "{{");

	if (end == NULL)
		return flaw(sql, "a comment or a text is not closed");
	if (place != NULL && place < end)
		return flaw(sql, "{{name}} is in a comment or a text that begins with '$'");
	put(sql, end);
	return true;
}

static const char *behind(const char *text, const char *close)
{
	const char *end = strstr(text, close);

	return end != NULL ? end + strlen(close) : NULL;
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       (c >= '0' && c <= '9');
}

static bool word(struct sql *sql)
{
	size_t size = 0;

	while (is_word(sql->at[size]))
		size++;
	snprintf(sql->word, sizeof sql->word, "%.*s", (int)size, sql->at);
	for (char *c = sql->word; *c != 0; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + ('a' - 'A'));
	if (sql->first[0] == 0)
		memcpy(sql->first, sql->word, sizeof sql->first);
	sql->writes = sql->writes ||
		      import_is_one_of(sql->word,
				       "insert update delete merge truncate nextval setval");
	put(sql, sql->at + size);
	return true;
}

/* $1, $tag$...$tag$, ${NAME} */
static bool dollar(struct sql *sql)
{
	struct import_tool *tool = sql->tool;
	const size_t digits = strspn(sql->at + 1, "0123456789");
	const unsigned long number = digits > 0 ? strtoul(sql->at + 1, NULL, 10) : 0;
	size_t tag = 1;

	if (number > 0 && number <= tool->parameter_count)
		return bind(sql, &tool->parameters[number - 1], sql->at + 1 + digits);
	if (digits > 0)
		return flaw(sql, "there is no parameter of this number");
	while (is_word(sql->at[tag]))
		tag++;
	if (sql->at[tag] != '$')
		return sql->at[1] == '{' ? skip(sql, sql->at + 1)
					 : flaw(sql, "a dollar sign that begins nothing");
	return skip(sql, behind(sql->at + tag + 1,
				import_text(tool->import, "%.*s", (int)tag + 1, sql->at)));
}

/* :name and %(name)s, as Python's drivers have them; false = it is none of these. */
static bool is_named(struct sql *sql, const struct import_parameter **parameter,
		     const char **end)
{
	const bool colon = *sql->at == ':';
	const char *name = sql->at + (colon ? 1 : 2);
	size_t size = 0;

	while (is_word(name[size]))
		size++;
	*parameter = import_parameter(sql->tool, name, size);
	*end = name + size + (colon ? 0 : 2);
	return *parameter != NULL && (colon || strncmp(name + size, ")s", 2) == 0);
}

static bool semicolon(struct sql *sql)
{
	sql->end = true;
	sql->at++;
	return true;
}

static bool other(struct sql *sql)
{
	if (strchr(" \t\n", *sql->at) == NULL)
		sql->word[0] = 0;
	put(sql, sql->at + 1);
	return true;
}

static bool step(struct sql *sql)
{
	const char *at = sql->at, *end;
	const struct import_parameter *parameter;

	if (sql->end && strchr(" \t\n;", *at) == NULL)
		return flaw(sql, "a tool is one statement");
	if (strncmp(at, "{{", 2) == 0) {
		parameter = placeholder(sql, at, &end);
		return parameter != NULL && bind(sql, parameter, end);
	}
	if (*at == '\'' || *at == '"')
		return quoted(sql);
	if (strncmp(at, "--", 2) == 0)
		return skip(sql, at + strcspn(at, "\n"));
	if (strncmp(at, "/*", 2) == 0)
		return skip(sql, behind(at + 2, "*/"));
	if (strncmp(at, "::", 2) == 0) {
		put(sql, at + 2);
		return true;
	}
	if ((*at == ':' || strncmp(at, "%(", 2) == 0) && is_named(sql, &parameter, &end))
		return bind(sql, parameter, end);
	return *at == '$'     ? dollar(sql)
	       : *at == ';'   ? semicolon(sql)
	       : is_word(*at) ? word(sql)
			      : other(sql);
}

const char *import_sql(struct import_tool *tool, const struct kolk__node *option, bool *writes)
{
	struct sql sql = { .tool = tool, .option = option, .at = option->text };
	char *text = NULL;
	const char *kept;
	size_t size = 0;
	bool ok = true;

	sql.out = open_memstream(&text, &size);
	if (sql.out == NULL)
		import_no_memory();
	while (ok && *sql.at != 0)
		ok = step(&sql);
	if (fclose(sql.out) != 0)
		import_no_memory();
	while (size > 0 && strchr(" \t\n", text[size - 1]) != NULL)
		text[--size] = 0;
	kept = ok ? import_own(tool->import, text) : NULL;
	explicit_bzero(text, size);
	free(text);
	*writes = !import_is_one_of(sql.first, "select values show explain table with") ||
		  sql.writes;
	return kept;
}
