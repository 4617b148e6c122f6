/* SPDX-License-Identifier: Apache-2.0 */
/* import_yaml.c - texts as YAML that reads back as these texts. */
#include <stdlib.h>
#include <string.h>

#include "tools/ctl/import.h"

/* What YAML reads as a text, alone and in a list in one line. */
static bool is_plain(const char *text)
{
	static const char first[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_";
	static const char rest[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
		"/_.+-=@ ";
	const size_t size = strlen(text);

	return size > 0 && strchr(first, text[0]) != NULL && text[strspn(text, rest)] == 0 &&
	       text[size - 1] != ' ' && strcmp(text, "null") != 0;
}

const char *import_quoted(struct import *import, const char *value)
{
	char *text = NULL;
	const char *kept;
	size_t size = 0;
	FILE *file;

	if (is_plain(value))
		return value;
	file = open_memstream(&text, &size);
	if (file == NULL)
		import_no_memory();
	fputc('"', file);
	for (const unsigned char *c = (const unsigned char *)value; *c != 0; c++)
		if (*c == '\n')
			fputs("\\n", file);
		else if (*c < ' ' || *c == 0x7f)
			fprintf(file, "\\x%02x", *c);
		else
			fprintf(file, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
	fputc('"', file);
	fclose(file);
	kept = import_text(import, "%s", text);
	explicit_bzero(text, size);
	free(text);
	return kept;
}

/* Several lines without control characters, the first not indented, the last not empty. */
static bool is_block(const char *text)
{
	const size_t size = strlen(text);

	if (strchr(text, '\n') == NULL || text[0] == ' ' || text[0] == '\n' ||
	    (size > 1 && text[size - 2] == '\n'))
		return false;
	for (const unsigned char *c = (const unsigned char *)text; *c != 0; c++)
		if ((*c < ' ' && *c != '\n') || *c == 0x7f)
			return false;
	return true;
}

void import_write(struct import *import, int indent, const char *key, const char *value)
{
	const char *at = value, *end;
	const size_t size = strlen(value);

	if (!is_block(value)) {
		fprintf(import->out, "%*s%s: %s\n", indent, "", key,
			import_quoted(import, value));
		return;
	}
	fprintf(import->out, "%*s%s: %s\n", indent, "", key,
		value[size - 1] == '\n' ? "|" : "|-");
	for (; *at != 0; at = *end != 0 ? end + 1 : end) {
		end = at + strcspn(at, "\n");
		fprintf(import->out, "%*s%.*s\n", end > at ? indent + 2 : 0, "",
			(int)(end - at), at);
	}
}
