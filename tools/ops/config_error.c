/* SPDX-License-Identifier: Apache-2.0 */
/* config_error.c - see config_error.h. */
#include "tools/ops/config_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/sized.h"
#include "tools/ops/config_yaml.h"

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

static void say(struct kolk__reading *r, const struct kolk__node *at, uint32_t line,
		uint32_t column, const char *suggestion, const char *format, va_list list)
{
	struct kolk_config_error other = KOLK_INIT(kolk_config_error);
	struct kolk_config_error *e = r->error->mistakes++ == 0 ? r->error : &other;

	e->err = KOLK_E_OPTIONS;
	e->line = at->source == NULL ? line : 0;
	e->column = at->source == NULL ? column : 0;
	snprintf(e->file, sizeof e->file, "%s", at->source != NULL ? at->source : r->name);
	snprintf(e->suggestion, sizeof e->suggestion, "%s", suggestion);
	vsnprintf(e->message, sizeof e->message, format, list);
	if (e == &other)
		add_line(r->error, &other);
}

bool kolk__wrong(struct kolk__reading *r, const struct kolk__node *at, const char *suggestion,
		 const char *format, ...)
{
	va_list list;

	va_start(list, format);
	say(r, at, at->line, at->column, suggestion, format, list);
	va_end(list);
	return false;
}

bool kolk__wrong_key(struct kolk__reading *r, const struct kolk__node *at,
		     const char *suggestion, const char *format, ...)
{
	bool has_key = at->key_line != 0;
	va_list list;

	va_start(list, format);
	say(r, at, has_key ? at->key_line : at->line, has_key ? at->key_column : at->column,
	    suggestion, format, list);
	va_end(list);
	return false;
}

bool kolk__no_memory(struct kolk__reading *r)
{
	const struct kolk__node nowhere = { .line = 0 };

	*r->error = (struct kolk_config_error)KOLK_INIT(kolk_config_error);
	kolk__wrong(r, &nowhere, "", "%s", kolk_err_text(KOLK_E_MEMORY));
	r->error->err = KOLK_E_MEMORY;
	return false;
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
	length = snprintf(text, size, "%s%s: %s%s%s%s%s", e.file, place, e.message,
			  e.suggestion[0] != 0 ? ": " : "", e.suggestion,
			  e.more[0] != 0 ? "\n" : "", e.more);
	return (size_t)length;
}
