/* SPDX-License-Identifier: Apache-2.0 */
/* import_value.c - values of others as ours: ${NAME}, seconds, counts, switches. */
#define _GNU_SOURCE /* vasprintf */
#include <kolk/kolk.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/ctl/import.h"
#include "tools/ops/config_value.h"

void import_no_memory(void)
{
	fputs("kolk-ctl: out of memory\n", stderr);
	exit(2);
}

char *import_text(struct import *import, const char *format, ...)
{
	char *text = NULL, *kept;
	va_list list;
	int size;

	va_start(list, format);
	size = vasprintf(&text, format, list);
	va_end(list);
	kept = size >= 0 ? kolk__arena_text(&import->arena, text, (size_t)size) : NULL;
	if (kept == NULL)
		import_no_memory();
	explicit_bzero(text, (size_t)size);
	free(text);
	return kept;
}

bool import_is_text(const struct kolk__node *node)
{
	return node != NULL && node->kind == KOLK__TEXT && strlen(node->text) == node->size;
}

bool import_is_one_of(const char *word, const char *words)
{
	const size_t size = strlen(word);

	for (const char *at = words; *at != 0; at += strcspn(at, " "), at += *at == ' ')
		if (strcspn(at, " ") == size && strncmp(at, word, size) == 0)
			return true;
	return false;
}

/* ---- ${NAME} */

/* How long the ${NAME} or ${NAME:-default} is that begins here; 0 = none does. */
static size_t reference(const char *text)
{
	static const char name[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
	const char *end = strncmp(text, "${", 2) == 0 ? strchr(text, '}') : NULL;
	size_t size = end != NULL ? strspn(text + 2, name) : 0;

	if (size == 0 || (text[2] >= '0' && text[2] <= '9') ||
	    (text[size + 2] != '}' && strncmp(text + size + 2, ":-", 2) != 0))
		return 0;
	return (size_t)(end - text) + 1;
}

bool import_refers(const char *text)
{
	const char *at = text;

	while ((at = strchr(at, '$')) != NULL && reference(at) == 0)
		at++;
	return at != NULL;
}

const char *import_find(const char *text, const char *stops)
{
	while (*text != 0 && strchr(stops, *text) == NULL)
		text += reference(text) > 0 ? reference(text) : 1;
	return text;
}

const char *import_own(struct import *import, const char *text)
{
	char *own = import_text(import, "%s%s", text, text), *to = own;

	while (*text != 0) {
		const size_t size = reference(text);

		if (size > 0) {
			memmove(to, text, size);
			text += size;
			to += size;
			continue;
		}
		if (*text == '$')
			*to++ = '$';
		*to++ = *text++;
	}
	*to = 0;
	return own;
}

/* ---- switches, counts */

const char *import_switch(const char *text)
{
	static const char *const on[] = { "true", "yes", "on", "1" };
	static const char *const off[] = { "false", "no", "off", "0" };

	for (size_t i = 0; i < sizeof on / sizeof on[0]; i++) {
		if (strcasecmp(text, on[i]) == 0)
			return "true";
		if (strcasecmp(text, off[i]) == 0)
			return "false";
	}
	return NULL;
}

static bool is_digits(const char *text)
{
	return text[0] != 0 && text[strspn(text, "0123456789")] == 0 && strlen(text) < 19;
}

static const char *count_value(struct import *import, const struct kolk__setting *setting,
			       const char *text, const char **why)
{
	const uint64_t value = is_digits(text) ? strtoull(text, NULL, 10) : UINT64_MAX;

	*why = "a whole number is expected";
	if (value == UINT64_MAX)
		return NULL;
	if (value == 0 && (setting->allowed & KOLK__MAY_BE_NONE) != 0)
		return "none";
	*why = import_text(import, "must be %llu to %llu here",
			   (unsigned long long)setting->min, (unsigned long long)setting->max);
	return value >= setting->min && value <= setting->max
		       ? import_text(import, "%llu", (unsigned long long)value)
		       : NULL;
}

/* ---- durations */

/* Digits with a point among them, as nanoseconds. */
static bool to_ns(const char *text, uint64_t *ns)
{
	const size_t whole = strspn(text, "0123456789");
	const size_t part = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;
	uint64_t unit = KOLK_S_NS;

	if (whole == 0 || whole > 9 || text[whole + (text[whole] == '.') + part] != 0)
		return false;
	*ns = strtoull(text, NULL, 10) * KOLK_S_NS;
	for (size_t i = 0; i < part && unit > 1; i++) {
		unit /= 10;
		*ns += (uint64_t)(text[whole + 1 + i] - '0') * unit;
	}
	return true;
}

/* "30s" is a duration already. */
static bool has_unit(const char *text)
{
	const size_t digits = strspn(text, "0123456789");

	return digits > 0 && digits < 10 && import_is_one_of(text + digits, "ms s m h d");
}

const char *import_seconds(struct import *import, const char *text)
{
	char own[32];
	uint64_t ns;

	if (import_refers(text))
		return import_text(import, "%ss", text);
	if (has_unit(text))
		return text;
	if (!to_ns(text, &ns))
		return NULL;
	if (ns == 0)
		return "0s";
	kolk__duration_text(ns, own, sizeof own);
	return import_text(import, "%s", own);
}

static uint64_t unit_ns(const char *unit)
{
	return strcmp(unit, "ms") == 0 ? KOLK_MS_NS
	       : unit[0] == 's'	       ? KOLK_S_NS
	       : unit[0] == 'm'	       ? 60 * KOLK_S_NS
	       : unit[0] == 'h'	       ? 3600 * KOLK_S_NS
				       : 24 * 3600 * KOLK_S_NS;
}

static const char *duration_value(struct import *import, const struct kolk__setting *setting,
				  const char *text, const char **why)
{
	const char *value = import_seconds(import, text);
	char low[32], high[32];
	uint64_t ns;

	*why = "a number of seconds is expected";
	if (value == NULL || import_refers(text))
		return value;
	if (!to_ns(text, &ns))
		ns = strtoull(text, NULL, 10) * unit_ns(text + strspn(text, "0123456789"));
	if (ns == 0 && (setting->allowed & KOLK__MAY_BE_FOREVER) != 0)
		return "forever";
	kolk__duration_text(setting->min, low, sizeof low);
	kolk__duration_text(setting->max, high, sizeof high);
	*why = import_text(import, "must be %s to %s here", low, high);
	return ns >= setting->min && ns <= setting->max ? value : NULL;
}

/* ---- any */

static const char *word_value(struct import *import, const struct kolk__setting *setting,
			      const char *text, const char **why)
{
	(void)import;
	*why = "there is no such word for it here";
	for (const struct kolk_option_word *word = setting->words; word->name != NULL; word++)
		if (strcasecmp(word->name, text) == 0)
			return word->name;
	return NULL;
}

const char *import_value(struct import *import, const struct kolk__setting *setting,
			 const struct kolk__node *node, const char **why)
{
	*why = "a value is expected, without a list or keys of its own";
	if (!import_is_text(node))
		return NULL;
	if (setting->kind == KOLK__DURATION)
		return duration_value(import, setting, node->text, why);
	if (import_refers(node->text))
		return import_own(import, node->text);
	switch (setting->kind) {
	case KOLK__COUNT:
		return count_value(import, setting, node->text, why);
	case KOLK__SWITCH:
	case KOLK__SWITCH_OFF:
		*why = "true or false is expected";
		return import_switch(node->text);
	case KOLK__WORD:
		return word_value(import, setting, node->text, why);
	default:
		*why = import_text(import, "must have %llu to %llu bytes here",
				   (unsigned long long)setting->min,
				   (unsigned long long)setting->max);
		return node->size >= setting->min && node->size <= setting->max
			       ? import_own(import, node->text)
			       : NULL;
	}
}
