/* SPDX-License-Identifier: Apache-2.0 */
/* import_template.c - texts with {{name}} in them, and lists of these. */
#include <string.h>

#include "tools/ctl/import_tool.h"

static const char spaces[] = " \t\n";

/* What is between {{ and }}; its end, NULL = none begins here. */
static const char *placeholder(const char *text, const char **name, size_t *size)
{
	const char *end = strncmp(text, "{{", 2) == 0 ? strstr(text, "}}") : NULL;

	if (end == NULL)
		return NULL;
	*name = text + 2 + strspn(text + 2, spaces);
	*size = *name < end ? (size_t)(end - *name) : 0;
	while (*size > 0 && strchr(spaces, (*name)[*size - 1]) != NULL)
		--*size;
	return end + 2;
}

const char *import_template(struct import_tool *tool, const struct kolk__node *option,
			    const char *text)
{
	char *own = import_text(tool->import, "%s", text), *to = own;
	const char *name;
	size_t size;

	while (*text != 0) {
		const char *end = placeholder(text, &name, &size);

		if (end == NULL) {
			*to++ = *text++;
			continue;
		}
		if (import_parameter(tool, name, size) == NULL) {
			import_flaw(tool, option,
				    import_text(tool->import, "{{%.*s}} is no parameter",
						(int)size, name));
			return NULL;
		}
		to += sprintf(to, "{{%.*s}}", (int)size, name);
		text = end;
	}
	*to = 0;
	return import_own(tool->import, own);
}

struct import_parameter *import_whole(struct import_tool *tool, const char *text)
{
	const char *name;
	size_t size;
	const char *end = placeholder(text, &name, &size);

	return end != NULL && *end == 0 ? import_parameter(tool, name, size) : NULL;
}

/* ---- lists */

/* The end of a word: a space outside of quotes and placeholders. */
static const char *word_end(const char *text)
{
	const char *name, *end;
	char quote = 0;
	size_t size;

	while (*text != 0 && (quote != 0 || strchr(spaces, *text) == NULL)) {
		end = placeholder(text, &name, &size);
		if (end != NULL) {
			text = end;
			continue;
		}
		if (quote == 0 && (*text == '"' || *text == '\''))
			quote = *text;
		else if (*text == quote)
			quote = 0;
		text++;
	}
	return text;
}

/* Without its quotes. */
static const char *word(struct import *import, const char *text, const char *end)
{
	char *own = import_text(import, "%.*s", (int)(end - text), text), *to = own, quote = 0;

	for (const char *c = own; *c != 0; c++)
		if (quote == 0 && (*c == '"' || *c == '\''))
			quote = *c;
		else if (*c == quote)
			quote = 0;
		else
			*to++ = *c;
	*to = 0;
	return own;
}

static bool add(struct import_tool *tool, const struct kolk__node *option,
		struct import_words *words, const char *text)
{
	if (words->count == IMPORT_WORDS)
		return import_flaw(tool, option, "more than 64 arguments");
	words->words[words->count++] = text;
	return true;
}

bool import_split(struct import_tool *tool, const struct kolk__node *option,
		  struct import_words *words)
{
	if (import_is_text(option)) {
		const char *at = option->text + strspn(option->text, spaces);

		for (; *at != 0; at += strspn(at, spaces)) {
			const char *end = word_end(at);

			if (!add(tool, option, words, word(tool->import, at, end)))
				return false;
			at = end;
		}
		return true;
	}
	if (option->kind != KOLK__LIST)
		return import_flaw(tool, option, "a list of texts is expected");
	for (const struct kolk__node *node = option->first; node != NULL; node = node->next)
		if (!import_is_text(node))
			return import_flaw(tool, option, "a list of texts is expected");
		else if (!add(tool, option, words, node->text))
			return false;
	return true;
}

const char *import_list(struct import_tool *tool, const struct kolk__node *option,
			const struct import_words *words)
{
	const char *list = "";

	for (uint32_t i = 0; i < words->count; i++) {
		const char *text = import_template(tool, option, words->words[i]);

		if (text == NULL)
			return NULL;
		if (text[0] == 0) {
			import_flaw(tool, option, "an argument is not empty here");
			return NULL;
		}
		list = import_text(tool->import, "%s%s%s", list, i > 0 ? ", " : "",
				   import_quoted(tool->import, text));
	}
	if (words->count == 0 || strstr(words->words[0], "{{") != NULL) {
		import_flaw(tool, option,
			    "a command begins with a word that no parameter says");
		return NULL;
	}
	return import_text(tool->import, "[%s]", list);
}
