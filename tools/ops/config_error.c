/* SPDX-License-Identifier: Apache-2.0 */
/* config_error.c - see config_error.h. */
#include "tools/ops/config_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/sized.h"
#include "tools/ops/config_yaml.h"

/* ---- places */

struct kolk__place kolk__at_err(struct kolk__reading *r, const struct kolk__node *node,
				enum kolk_err err)
{
	struct kolk__place at = { .r = r, .source = node->source, .err = err };

	if (node->source == NULL) {
		at.line = node->line;
		at.column = node->column;
	}
	return at;
}

struct kolk__place kolk__at(struct kolk__reading *r, const struct kolk__node *node)
{
	return kolk__at_err(r, node, KOLK_E_OPTIONS);
}

struct kolk__place kolk__at_key(struct kolk__reading *r, const struct kolk__node *node)
{
	struct kolk__place at = kolk__at(r, node);

	if (node->source == NULL && node->key_line != 0) {
		at.line = node->key_line;
		at.column = node->key_column;
	}
	return at;
}

struct kolk__place kolk__at_variable(struct kolk__reading *r, const char *name)
{
	return (struct kolk__place){ .r = r, .source = name, .err = KOLK_E_OPTIONS };
}

struct kolk__place kolk__at_file(struct kolk__reading *r)
{
	return kolk__at_variable(r, NULL);
}

/* ---- mistakes */

struct kolk__shown kolk__show(const char *text, size_t size)
{
	struct kolk__shown shown;
	char *to = shown.text;

	*to++ = '\'';
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		if (to - shown.text > 80) {
			to += sprintf(to, "...");
			break;
		}
		if (c < ' ' || c >= 0x7f)
			to += sprintf(to, "\\x%02x", c);
		else
			*to++ = (char)c;
	}
	*to++ = '\'';
	*to = 0;
	return shown;
}

/* The first error is in the struct, the others in lines behind it. */
static void add_line(struct kolk_config_error *e, const struct kolk_config_error *other)
{
	size_t used = strlen(e->more);
	char line[700];
	int size;

	kolk_config_error_text(other, line, sizeof line);
	size = snprintf(e->more + used, sizeof e->more - used, "%s%s", used > 0 ? "\n" : "", line);
	if (size < 0 || (size_t)size >= sizeof e->more - used)
		e->more[used] = 0; /* whole lines only */
}

static void say(const struct kolk__place *at, const char *suggestion, const char *format,
		va_list list)
{
	struct kolk_config_error other = KOLK_INIT(kolk_config_error);
	struct kolk_config_error *first = at->r->error;
	struct kolk_config_error *e = first->mistakes++ == 0 ? first : &other;

	e->err = at->err;
	e->line = at->line;
	e->column = at->column;
	snprintf(e->file, sizeof e->file, "%s", at->source != NULL ? at->source : at->r->name);
	snprintf(e->suggestion, sizeof e->suggestion, "%s", suggestion);
	vsnprintf(e->message, sizeof e->message, format, list);
	if (e == &other)
		add_line(first, &other);
}

bool kolk__wrong(struct kolk__place at, const char *suggestion, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	say(&at, suggestion, format, list);
	va_end(list);
	return false;
}

enum kolk_err kolk__refused(struct kolk__place at, const char *suggestion, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	say(&at, suggestion, format, list);
	va_end(list);
	return at.err;
}

bool kolk__no_memory(struct kolk__reading *r)
{
	struct kolk__place at = kolk__at_file(r);

	*r->error = (struct kolk_config_error)KOLK_INIT(kolk_config_error);
	at.err = KOLK_E_MEMORY;
	return kolk__wrong(at, "", "%s", kolk_err_text(at.err));
}

bool kolk__config_error_fits(const struct kolk_config_error *error)
{
	return error == NULL || kolk__sized_size(error) != 0;
}

size_t kolk_config_error_text(const struct kolk_config_error *error, char *text, size_t size)
{
	struct kolk_config_error e;
	char place[32] = "";
	int length;

	(void)kolk__sized_read(&e, error); /* unknown parts are left out */
	if (e.line != 0)
		snprintf(place, sizeof place, ":%u:%u", e.line, e.column);
	length = snprintf(text, size, "%s%s%s%s%s%s%s%s", e.file, place,
			  e.file[0] != 0 ? ": " : "", e.message,
			  e.suggestion[0] != 0 ? ": " : "", e.suggestion,
			  e.more[0] != 0 ? "\n" : "", e.more);
	return (size_t)length;
}
