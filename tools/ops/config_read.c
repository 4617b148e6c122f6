/* SPDX-License-Identifier: Apache-2.0 */
/* config_read.c - from the tree to options, by the schema. */
#include "tools/ops/config_read.h"

#include <stdio.h>
#include <string.h>

#include <kolk/ops/section.h>

#include "tools/ops/config_error.h"
#include "tools/ops/config_schema.h"
#include "tools/ops/config_value.h"
#include "tools/ops/config_yaml.h"
#include "tools/ops/section.h"

static bool sections_read(struct kolk__reading *r, const struct kolk__setting *setting,
			  const struct kolk__node *list, struct kolk_config_list *array);

static const char *kind_text(const struct kolk__node *node)
{
	static const char *const texts[] = { "nothing", "a value", "a list", "a map" };

	return texts[node->kind];
}

static bool strings_read(struct kolk__reading *r, const struct kolk__setting *setting,
			 const struct kolk__node *list, const char *const **target)
{
	struct kolk__setting item = *setting;
	const char **texts;
	uint32_t count = 0;

	if (list->kind != KOLK__LIST)
		return kolk__wrong(kolk__at(r, list), "write [a, b]", "'%s' is a list, not %s",
				   setting->name, kind_text(list));
	if (list->count > 64)
		return kolk__wrong(kolk__at(r, list), "", "'%s' has more than 64 entries",
				   setting->name);
	texts = kolk__arena_get(r->arena, (list->count + 1) * sizeof *texts);
	if (texts == NULL)
		return kolk__no_memory(r);
	item.kind = KOLK__STRING;
	for (const struct kolk__node *node = list->first; node != NULL; node = node->next)
		if (!kolk__value_read(r, &item, node, &texts[count++]))
			return false;
	*target = count > 0 ? texts : NULL;
	return true;
}

/* A value where keys belong: "tls: false", "timeouts: 30s". */
static void section_hint(const struct kolk__setting *setting, const struct kolk__node *node,
			 char *hint, size_t size)
{
	const bool value = node->kind == KOLK__TEXT;

	if (strcmp(setting->name, "tls") != 0)
		snprintf(hint, size, "write %s: {%s: ...}, or leave it out", setting->name,
			 setting->section->settings[0].name);
	else if (value && (strcmp(node->text, "false") == 0 || strcmp(node->text, "off") == 0 ||
			   strcmp(node->text, "no") == 0))
		snprintf(hint, size, "leave 'tls' out, or write tls: {enabled: false}");
	else
		snprintf(hint, size, "write tls: {} for TLS with its defaults");
}

static bool setting_read(struct kolk__reading *r, const struct kolk__setting *setting,
			 const struct kolk__node *node, void *target)
{
	void *field = (char *)target + setting->offset;
	char hint[96];

	switch (setting->kind) {
	case KOLK__SECTION:
		if (node->kind == KOLK__NOTHING) /* all of it is commented out */
			return true;
		section_hint(setting, node, hint, sizeof hint);
		if (node->kind != KOLK__MAP)
			return kolk__wrong(kolk__at(r, node), hint,
					   "'%s' has keys of its own: %s cannot be here",
					   setting->name, kind_text(node));
		return kolk__section_read(r, setting->section, node, field);
	case KOLK__SECTIONS:
		return sections_read(r, setting, node, field);
	case KOLK__STRINGS:
		return strings_read(r, setting, node, field);
	default:
		return kolk__value_read(r, setting, node, field);
	}
}

/* The section beside it that has such a key and is empty: its keys are not indented. */
static const struct kolk__setting *unindented(const struct kolk__section *section,
					      const struct kolk__node *map, const char *key)
{
	for (size_t i = 0; i < section->count; i++) {
		const struct kolk__setting *beside = &section->settings[i];
		const struct kolk__node *node = kolk__tree_find(map, beside->name);

		if (beside->kind == KOLK__SECTION && node != NULL && node->kind == KOLK__NOTHING &&
		    kolk__setting_find(beside->section, key) != NULL)
			return beside;
	}
	return NULL;
}

/* The section of the pool's protocol, when it has such a key. */
static const struct kolk__setting *of_protocol(const struct kolk__section *section,
					       const struct kolk__node *map, const char *key)
{
	const struct kolk__node *node = kolk__tree_find(map, "protocol");
	const struct kolk__setting *named =
		node != NULL && node->kind == KOLK__TEXT ? kolk__setting_find(section, node->text) :
							   NULL;

	return named != NULL && named->kind == KOLK__SECTION &&
			       kolk__setting_find(named->section, key) != NULL ?
		       named : NULL;
}

static bool unknown(struct kolk__reading *r, const struct kolk__section *section,
		    const struct kolk__node *map, const struct kolk__node *node)
{
	const struct kolk__setting *beside = unindented(section, map, node->key);
	const struct kolk__setting *protocol = of_protocol(section, map, node->key);
	struct kolk__shown shown = kolk__show(node->key, strlen(node->key));
	const bool top = section == r->schema;
	char suggestion[96];

	if (beside != NULL)
		snprintf(suggestion, sizeof suggestion, "indent it, it is a key of '%s'",
			 beside->name);
	else if (protocol != NULL)
		snprintf(suggestion, sizeof suggestion, "did you mean '%.40s' in '%s'?",
			 node->key, protocol->name);
	else
		snprintf(suggestion, sizeof suggestion, "%s",
			 kolk__setting_suggest(r->schema, section, node->key).text);
	return kolk__wrong(kolk__at_key(r, node), suggestion, "unknown key %s in %s%s%s",
			   shown.text, top ? "" : "'", section->name, top ? "" : "'");
}

static bool required_check(struct kolk__reading *r, const struct kolk__section *section,
			   const struct kolk__node *map)
{
	bool ok = true;

	for (size_t i = 0; i < section->count; i++) {
		const struct kolk__setting *setting = &section->settings[i];

		if (setting->allowed & KOLK__REQUIRED &&
		    kolk__tree_find(map, setting->name) == NULL)
			ok = kolk__wrong(kolk__at(r, map), "", "'%s' is missing here",
					 setting->name);
	}
	return ok;
}

bool kolk__section_read(struct kolk__reading *r, const struct kolk__section *section,
			const struct kolk__node *map, void *target)
{
	bool ok = true;

	if (map->kind != KOLK__MAP)
		return kolk__wrong(kolk__at(r, map), "",
				   "keys and values are expected here, not %s", kind_text(map));
	for (const struct kolk__node *node = map->first; node != NULL; node = node->next) {
		const struct kolk__setting *setting = kolk__setting_find(section, node->key);
		bool good = setting != NULL ? setting_read(r, setting, node, target) :
					      unknown(r, section, map, node);

		ok = ok && good;
		if (kolk__reading_failed(r))
			return false;
	}
	if (section->node_offset != 0)
		memcpy((char *)target + section->node_offset, &map, sizeof map);
	ok = required_check(r, section, map) && ok;
	return ok && kolk__section_check(r, section, map, target);
}

/* An entry of a map as one of a list: what stands in front of the colon is its first setting. */
static struct kolk__node *entry_of_map(struct kolk__reading *r, const struct kolk__section *section,
				       const struct kolk__node *node)
{
	const char *first = section->settings[0].name;
	struct kolk__node *entry = kolk__arena_get(r->arena, 2 * sizeof *entry), *name = entry + 1;

	if (entry == NULL) {
		kolk__no_memory(r);
		return NULL;
	}
	if (node->kind != KOLK__MAP && node->kind != KOLK__NOTHING) {
		kolk__wrong(kolk__at(r, node), "write {} for one that has nothing else",
			    "'%s' is a map, not %s", node->key, kind_text(node));
		return NULL;
	}
	if (node->kind == KOLK__MAP && kolk__tree_find(node, first) != NULL) {
		kolk__wrong(kolk__at(r, kolk__tree_find(node, first)), "leave it out",
			    "'%s' is '%s' already", first, node->key);
		return NULL;
	}
	*name = (struct kolk__node){ .kind = KOLK__TEXT, .quoted = true, .line = node->key_line,
				     .column = node->key_column, .key_line = node->key_line,
				     .key_column = node->key_column, .key = first,
				     .text = node->key, .size = strlen(node->key),
				     .next = node->first };
	*entry = *node;
	entry->kind = KOLK__MAP;
	entry->key = NULL;
	entry->next = NULL;
	entry->first = name;
	entry->last = node->first != NULL ? node->last : name;
	entry->count++;
	return entry;
}

static const struct kolk__node *list_of_map(struct kolk__reading *r,
					    const struct kolk__section *section,
					    const struct kolk__node *map)
{
	struct kolk__node *list = kolk__arena_get(r->arena, sizeof *list), *entry;

	if (list == NULL) {
		kolk__no_memory(r);
		return NULL;
	}
	*list = (struct kolk__node){ .kind = KOLK__LIST, .line = map->line, .column = map->column };
	for (const struct kolk__node *node = map->first; node != NULL; node = node->next) {
		entry = entry_of_map(r, section, node);
		if (entry == NULL)
			return NULL;
		kolk__tree_add(list, entry);
	}
	return list;
}

static bool entry_read(struct kolk__reading *r, const struct kolk__setting *setting,
		       const struct kolk__node *node, void *item)
{
	const struct kolk__section *section = setting->section;
	char hint[96] = "";

	kolk__section_begin(section, item);
	if (node->kind == KOLK__MAP)
		return kolk__section_read(r, section, node, item);
	for (size_t i = 0; i < section->count && hint[0] == '\0'; i++)
		if (section->settings[i].allowed & KOLK__REQUIRED)
			snprintf(hint, sizeof hint, "write {%s: ...}", section->settings[i].name);
	return kolk__wrong(kolk__at(r, node), hint,
			   "an entry of '%s' has keys of its own: %s cannot be here", setting->name,
			   kind_text(node));
}

static bool sections_read(struct kolk__reading *r, const struct kolk__setting *setting,
			  const struct kolk__node *list, struct kolk_config_list *array)
{
	const struct kolk__section *section = setting->section;
	bool ok = true;
	char *item;

	if (list->kind == KOLK__MAP && section->keyed) {
		list = list_of_map(r, section, list);
		if (list == NULL)
			return false;
	}
	if (list->kind != KOLK__LIST)
		return kolk__wrong(kolk__at(r, list),
				   list->kind == KOLK__MAP ? "begin each entry with a dash: '- '" :
							     "write [] for none",
				   "'%s' is a list, not %s", setting->name, kind_text(list));
	if (list->count > setting->max)
		return kolk__wrong(kolk__at(r, list), "", "more than %u entries in '%s'",
				   (unsigned)setting->max, setting->name);
	item = kolk__arena_get(r->arena, (list->count + 1) * section->item_size);
	if (item == NULL)
		return kolk__no_memory(r);
	array->items = item;
	array->count = list->count;
	for (const struct kolk__node *node = list->first; node != NULL; node = node->next) {
		ok = entry_read(r, setting, node, item) && ok;
		if (kolk__reading_failed(r))
			return false;
		item += section->item_size;
	}
	return ok;
}
