/* SPDX-License-Identifier: Apache-2.0 */
/* import_program.c - a tool that is a program: its arguments, never a shell's text. */
#include <string.h>

#include "tools/ctl/import_tool.h"

const char *import_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* ---- programs whose arguments are programs */

static bool takes_value(const char *word)
{
	return strstr(word, "{{") != NULL;
}

/* "-c", "-lc", "-ne", "--eval", "--eval=...": a program follows, or is in it. */
static bool is_code_option(struct import *import, const char *word)
{
	static const char names[] = "--command --eval --exec --execute --expression --print";

	if (word[0] != '-' || word[1] == 0)
		return false;
	return word[1] != '-' ? strpbrk(word + 1, "cCeEpr") != NULL :
				import_is_one_of(import_text(import, "%.*s",
							     (int)strcspn(word, "="), word),
						 names);
}

/* Is what a caller sends in a program that these options say, or does it say which file is run? */
static bool is_code(struct import *import, const struct import_words *words, uint32_t from)
{
	bool code = true; /* what comes next is a program, or the file of one */

	for (uint32_t i = from; i < words->count; i++) {
		const char *word = words->words[i];

		if (is_code_option(import, word)) {
			code = true;
			if (takes_value(word))
				return true;
		} else if (word[0] != '-') {
			if (code && takes_value(word))
				return true;
			code = false;
		}
	}
	return false;
}

static bool takes_any(const struct import_words *words, uint32_t from)
{
	for (uint32_t i = from; i < words->count; i++)
		if (takes_value(words->words[i]))
			return true;
	return false;
}

/* Would what a caller sends be a part of a program: of a shell, of a language, of SQL? These may
 * stand behind others, as env and sudo. What they get as an argument of a program is data. */
static bool is_program_of_caller(struct import *import, const struct import_words *words)
{
	static const char languages[] =
		"sh bash dash zsh ksh mksh ash fish csh tcsh python pypy perl ruby node nodejs "
		"deno bun php lua Rscript pwsh powershell su";
	/* Of these each argument is one, or may be. */
	static const char whole[] =
		"psql mysql mariadb sqlite duckdb mongo mongosh ssh awk gawk mawk nawk sed eval "
		"parallel watch";

	for (uint32_t i = 0; i < words->count; i++) {
		const char *base = import_base(words->words[i]);
		const char *name = import_text(import, "%.*s",
					       (int)strcspn(base, "0123456789."), base);

		if (import_is_one_of(name, languages))
			return is_code(import, words, i + 1);
		if (import_is_one_of(name, whole))
			return takes_any(words, i + 1);
	}
	return false;
}

static const char *program_flaw(struct import *import, const struct kolk__node *option,
				const struct import_words *words)
{
	if (words->count == 0)
		return "it names no program";
	if (import_is_text(option) && strpbrk(option->text, "|&;<>`()*?") != NULL)
		return "it is for a shell: write a program that does it";
	if (is_program_of_caller(import, words))
		return "it runs what a caller sends as a program: write one that takes it as an "
		       "argument";
	if (words->words[0][0] != '/' && strchr(words->words[0], '/') != NULL)
		return "write the absolute path of the program";
	return NULL;
}

void import_program(struct import_tool *tool, const struct kolk__node *option,
		    const struct import_words *words)
{
	const char *flaw = program_flaw(tool->import, option, words), *list;
	const bool found = flaw == NULL && words->words[0][0] != '/';
	struct import_words own = { .count = 0 };

	if (flaw != NULL) {
		import_flaw(tool, option, flaw);
		return;
	}
	if (found)
		own.words[own.count++] = "/usr/bin/env";
	for (uint32_t i = 0; i < words->count && own.count < IMPORT_WORDS; i++)
		own.words[own.count++] = words->words[i];
	if (strstr(words->words[0], "{{") != NULL) {
		import_flaw(tool, option, "a parameter cannot say the program");
		return;
	}
	if (words->count + found > IMPORT_WORDS) {
		import_flaw(tool, option, "more than 64 arguments");
		return;
	}
	list = import_list(tool, option, &own);
	if (list == NULL)
		return;
	import_line(tool, "command", list, true);
	import_line(tool, "inherit", "[PATH, HOME]", true);
	import_became(tool->import, "command", NULL);
	import_became(tool->import, "inherit", NULL);
	if (tool->pool != NULL)
		import_left(tool->import, option, "a program gets no connection of a pool");
	else
		import_done(tool->import, option,
			    found ? "it is found by PATH; an absolute path is stricter" : NULL);
	tool->pool = NULL;
}

/* ---- options of a script */

static void environment(struct import_tool *tool, const struct kolk__node *option)
{
	const char *list = "";

	if (option->count > IMPORT_WORDS || import_has_line(tool, "environment")) {
		import_left(tool->import, option,
			    "there are at most 64 variables, in one list");
		return;
	}
	for (const struct kolk__node *node = option->first; node != NULL; node = node->next) {
		const char *equals = option->kind == KOLK__MAP ? "=" : "";

		if (!import_is_text(node)) {
			import_left(tool->import, option, "names and values are expected");
			return;
		}
		list = import_text(
			tool->import, "%s%s%s", list, list[0] != 0 ? ", " : "",
			import_quoted(tool->import,
				      import_text(tool->import, "%s%s%s",
						  equals[0] != 0 ? node->key : "", equals,
						  import_own(tool->import, node->text))));
	}
	import_line(tool, "environment", import_text(tool->import, "[%s]", list), true);
	import_became_done(tool, option, "environment");
}

/* Of a program alone: told when it is known what the tool does. */
void import_program_options(struct import_tool *tool, const struct kolk__node *script)
{
	const struct import_path before = import_enter(tool->import, script->key);
	const bool runs = tool->pool == NULL;

	for (const struct kolk__node *option = script->first; option != NULL;
	     option = option->next)
		if (import_is_one_of(option->key, "command args arguments"))
			continue;
		else if (runs && import_is_one_of(option->key, "env environment") &&
			 option->kind != KOLK__TEXT)
			environment(tool, option);
		else if (runs && import_is_one_of(option->key, "cwd directory working_dir") &&
			 import_is_text(option) && option->text[0] == '/' &&
			 !import_has_line(tool, "directory")) {
			import_line(tool, "directory", import_own(tool->import, option->text),
				    false);
			import_became_done(tool, option, "directory");
		} else if (!import_tool_option(tool, option))
			import_left(tool->import, option, "no option of scripts that is known");
	import_leave(tool->import, &before);
}
