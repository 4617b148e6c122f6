/* SPDX-License-Identifier: Apache-2.0 */
/* option.c - walks a table of options: defaults, checks, copies, identity. */
#include "core/base/option.h"

#include <string.h>

static const void *field_of(const struct kolk_option *option, const void *options)
{
	return (const char *)options + option->offset;
}

static bool is_number(const struct kolk_option *option)
{
	return option->kind >= KOLK_OPTION_COUNT && option->kind <= KOLK_OPTION_WORD;
}

static const char *text_of(const struct kolk_option *option, const void *options)
{
	const char *text;

	memcpy(&text, field_of(option, options), sizeof text);
	return text;
}

static const char *const *list_of(const struct kolk_option *option, const void *options)
{
	const char *const *list;

	memcpy(&list, field_of(option, options), sizeof list);
	return list;
}

uint64_t kolk__option_number(const struct kolk_option *option, const void *options)
{
	uint64_t wide;
	uint32_t narrow;

	if (option->size == sizeof wide) {
		memcpy(&wide, field_of(option, options), sizeof wide);
		return wide;
	}
	memcpy(&narrow, field_of(option, options), sizeof narrow);
	return narrow;
}

void kolk__option_number_set(const struct kolk_option *option, void *options, uint64_t value)
{
	uint32_t narrow = (uint32_t)value;

	if (option->size == sizeof value)
		memcpy((char *)options + option->offset, &value, sizeof value);
	else
		memcpy((char *)options + option->offset, &narrow, sizeof narrow);
}

/* ---- defaults and checks */

static uint64_t spelled_none(const struct kolk_option *option)
{
	return option->size == sizeof(uint64_t) ? KOLK_AT_ONCE : KOLK_NONE;
}

static uint64_t spelled_most(const struct kolk_option *option)
{
	return option->size == sizeof(uint64_t) ? KOLK_FOREVER : KOLK_UNLIMITED;
}

static const struct kolk_option *find(const struct kolk_option_table *table, const char *field)
{
	const struct kolk_option *option = table->options;

	while (strcmp(option->field, field) != 0)
		option++;
	return option;
}

static bool is_one(const struct kolk_option_bound *bound)
{
	return bound != NULL && bound->field != NULL;
}

/* With its default; KOLK_NONE and KOLK_AT_ONCE are 0. */
static uint64_t in_force(const struct kolk_option *option, const void *options)
{
	uint64_t value = kolk__option_number(option, options);

	return value == 0 ? option->fallback : value == spelled_none(option) ? 0 : value;
}

static bool exceeds(const struct kolk_option_bound *bound, uint64_t value, uint64_t other)
{
	return bound->at_least ? value < other : value > other;
}

/* Defaults that give way to what others say. */
static void defaults_bound(const struct kolk_option_table *table, const struct kolk_option *option,
			   void *options)
{
	uint64_t value = option->fallback;

	if (kolk__option_number(option, options) != 0)
		return;
	for (const struct kolk_option_bound *b = table->bounds; is_one(b); b++) {
		uint64_t other = in_force(find(table, b->other), options);

		if (strcmp(b->field, option->field) == 0 && exceeds(b, value, other))
			value = other;
	}
	kolk__option_number_set(option, options, value);
}

void kolk_option_defaults(const struct kolk_option_table *table, void *options)
{
	for (const struct kolk_option_bound *b = table->bounds; is_one(b); b++)
		defaults_bound(table, find(table, b->field), options);
	for (uint32_t i = 0; i < table->count; i++) {
		const struct kolk_option *option = &table->options[i];

		if (is_number(option))
			kolk__option_number_set(option, options, in_force(option, options));
	}
}

static bool is_word(const struct kolk_option *option, uint64_t value)
{
	const struct kolk_option_word *word = option->words;

	while (word->name != NULL && word->value != value && value != option->fallback)
		word++;
	return word->name != NULL;
}

static bool number_is_good(const struct kolk_option *option, uint64_t value)
{
	if (option->kind == KOLK_OPTION_WORD)
		return is_word(option, value);
	if (option->kind == KOLK_OPTION_SWITCH)
		return value <= 1;
	if (value == 0 || value == spelled_none(option))
		return (option->flags & KOLK_OPTION_NONE) != 0 ||
		       (option->fallback == 0 && !(option->flags & KOLK_OPTION_COMPUTED));
	if (value == spelled_most(option))
		return (option->flags & (KOLK_OPTION_UNLIMITED | KOLK_OPTION_FOREVER)) != 0;
	return value >= option->min && value <= option->max &&
	       (!(option->flags & KOLK_OPTION_POWER) || (value & (value - 1)) == 0);
}

static bool is_good(const struct kolk_option *option, const void *options)
{
	static const uint8_t zero[8];
	const char *text;

	if (is_number(option))
		return number_is_good(option, kolk__option_number(option, options));
	if (option->kind == KOLK_OPTION_RESERVED)
		return memcmp(field_of(option, options), zero, option->size) == 0;
	if (option->kind != KOLK_OPTION_TEXT)
		return true;
	text = text_of(option, options);
	return text == NULL || strnlen(text, option->max + 1) <= option->max;
}

const char *kolk_option_check(const struct kolk_option_table *table, const void *options)
{
	for (uint32_t i = 0; i < table->count; i++)
		if (!is_good(&table->options[i], options))
			return table->options[i].field;
	for (const struct kolk_option_bound *b = table->bounds; is_one(b); b++)
		if (exceeds(b, kolk__option_number(find(table, b->field), options),
			    kolk__option_number(find(table, b->other), options)))
			return b->field;
	return NULL;
}

/* ---- copies: the struct, then its lists, then all texts */

static size_t list_count(const char *const *list)
{
	size_t count = 0;

	while (list != NULL && list[count] != NULL)
		count++;
	return count;
}

static size_t list_bytes(const char *const *list)
{
	size_t size = list != NULL ? (list_count(list) + 1) * sizeof *list : 0;

	for (; list != NULL && *list != NULL; list++)
		size += strlen(*list) + 1;
	return size;
}

size_t kolk__option_copy_size(const struct kolk_option_table *table, const void *options)
{
	size_t size = table->struct_size;

	for (uint32_t i = 0; i < table->count; i++) {
		const struct kolk_option *option = &table->options[i];
		const char *text;

		if (option->kind == KOLK_OPTION_LIST)
			size += list_bytes(list_of(option, options));
		if (option->kind != KOLK_OPTION_TEXT)
			continue;
		text = text_of(option, options);
		size += text != NULL ? strlen(text) + 1 : 0;
	}
	return size;
}

static char *text_copy(char **to, const char *text)
{
	char *copy = *to;
	size_t size = strlen(text) + 1;

	memcpy(copy, text, size);
	*to += size;
	return copy;
}

/* The pointers of the lists come first: they are aligned, as the struct is. */
static const char **list_copy(const char ***to, const char *const *list)
{
	const char **copy = *to;
	size_t count = list_count(list) + 1;

	memcpy(copy, list, count * sizeof *copy);
	*to += count;
	return copy;
}

static void lists_copy(const struct kolk_option_table *table, void *copy, const char ***to)
{
	for (uint32_t i = 0; i < table->count; i++) {
		const struct kolk_option *option = &table->options[i];
		const char **list;

		if (option->kind != KOLK_OPTION_LIST || list_of(option, copy) == NULL)
			continue;
		list = list_copy(to, list_of(option, copy));
		memcpy((char *)copy + option->offset, &list, sizeof list);
	}
}

static void texts_copy(const struct kolk_option_table *table, void *copy, char *to)
{
	for (uint32_t i = 0; i < table->count; i++) {
		const struct kolk_option *option = &table->options[i];
		char *text;

		if (option->kind == KOLK_OPTION_LIST) {
			const char **list = (const char **)(uintptr_t)list_of(option, copy);

			for (; list != NULL && *list != NULL; list++)
				*list = text_copy(&to, *list);
		} else if (option->kind == KOLK_OPTION_TEXT && text_of(option, copy) != NULL) {
			text = text_copy(&to, text_of(option, copy));
			memcpy((char *)copy + option->offset, &text, sizeof text);
		}
	}
}

void kolk__option_copy(const struct kolk_option_table *table, const void *options, void *copy)
{
	const char **lists = (const char **)(void *)((char *)copy + table->struct_size);

	memcpy(copy, options, table->struct_size);
	lists_copy(table, copy, &lists);
	texts_copy(table, copy, (char *)lists);
}

/* ---- identity */

void kolk__write(struct kolk__writer *w, const void *bytes, size_t size)
{
	if (w->size + size <= w->capacity)
		memcpy(w->to + w->size, bytes, size);
	w->size += size;
}

void kolk__write_u32(struct kolk__writer *w, uint32_t value)
{
	kolk__write(w, &value, sizeof value);
}

void kolk__write_text(struct kolk__writer *w, const char *text)
{
	kolk__write_u32(w, text != NULL ? (uint32_t)strlen(text) : UINT32_MAX); /* NULL is not "" */
	if (text != NULL)
		kolk__write(w, text, strlen(text));
}

static void write_list(struct kolk__writer *w, const char *const *list)
{
	kolk__write_u32(w, list != NULL ? (uint32_t)list_count(list) : UINT32_MAX);
	for (; list != NULL && *list != NULL; list++)
		kolk__write_text(w, *list);
}

static void write_secret(struct kolk__writer *w, const char *text)
{
	struct kolk__digest digest;

	kolk__write_u32(w, text != NULL);
	if (text == NULL)
		return;
	digest = kolk__siphash(w->secret, text, strlen(text));
	kolk__write(w, &digest, sizeof digest);
}

void kolk__option_identity(const struct kolk_option_table *table, const void *options,
			   struct kolk__writer *w)
{
	for (uint32_t i = 0; i < table->count; i++) {
		const struct kolk_option *option = &table->options[i];

		if (!(option->flags & KOLK_OPTION_IDENTITY))
			continue;
		if (option->flags & KOLK_OPTION_SECRET)
			write_secret(w, text_of(option, options));
		else if (option->kind == KOLK_OPTION_TEXT)
			kolk__write_text(w, text_of(option, options));
		else if (option->kind == KOLK_OPTION_LIST)
			write_list(w, list_of(option, options));
		else
			kolk__write(w, field_of(option, options), option->size);
	}
}
