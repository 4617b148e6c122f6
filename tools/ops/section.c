/* SPDX-License-Identifier: Apache-2.0 */
/* section.c - a program's own keys: its description as a part of the schema (kolk/ops/section.h). */
#include "tools/ops/section.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/sized.h"
#include "tools/ops/config.h"
#include "tools/ops/config_check.h"
#include "tools/ops/config_error.h"
#include "tools/ops/config_schema.h"
#include "tools/ops/config_yaml.h"

/* ---- from a description to the schema */

/* A section that is being made. */
struct making {
	struct kolk__reading *r;
	const struct kolk_section *from;
	struct kolk__setting *settings;
	struct kolk__rows *rows;
	struct kolk__section *to;
	uint32_t depth;
};

static struct kolk__section *section_make(struct kolk__reading *r, const struct kolk_section *from,
					  uint32_t depth);

/* The description itself is wrong: the program's mistake, not the file's. */
static bool misdescribed(const struct making *m, const char *what, const char *key)
{
	return kolk__wrong(kolk__at_file(m->r), "", "the program's section '%s' %s%s%s%s",
			   m->from->name, what, key != NULL ? ": '" : "", key != NULL ? key : "",
			   key != NULL ? "'" : "");
}

static bool put(struct making *m, const struct kolk__setting *setting)
{
	if (kolk__setting_find(m->to, setting->name) != NULL)
		return misdescribed(m, "declares a key twice", setting->name);
	m->settings[m->to->count++] = *setting;
	return true;
}

static bool put_rows(struct making *m, const struct kolk_section_part *part)
{
	struct kolk__rows *rows = &m->rows[m->to->rows_count];
	struct kolk__setting setting;

	*rows = (struct kolk__rows){ part->table, part->key != NULL ? part->key : "",
				     part->offset };
	for (uint32_t i = 0; i < part->table->count; i++)
		if (kolk__setting_of(rows, &part->table->options[i], &setting) && !put(m, &setting))
			return false;
	for (size_t i = 0; i < m->to->rows_count; i++)
		if (m->rows[i].table == rows->table && m->rows[i].base == rows->base)
			return true; /* another part of the same struct */
	m->to->rows_count++;
	return true;
}

static bool put_section(struct making *m, const struct kolk_section_part *part)
{
	const bool list = part->kind == KOLK_SECTION_LIST;
	const struct kolk__section *section = section_make(m->r, part->section, m->depth + 1);

	return section != NULL &&
	       put(m, &(struct kolk__setting){
			      .name = part->key,
			      .field = part->key,
			      .kind = list ? KOLK__SECTIONS : KOLK__SECTION,
			      .allowed = KOLK__MAY_CHANGE | (part->required ? KOLK__REQUIRED : 0),
			      .offset = part->offset,
			      .size = list ? sizeof(struct kolk_config_list) : part->section->struct_size,
			      .max = part->entries_max != 0 ? part->entries_max : 1000,
			      .section = section });
}

static bool parts_put(struct making *m)
{
	bool ok = true;

	for (uint32_t i = 0; ok && i < m->from->part_count; i++) {
		const struct kolk_section_part *part = &m->from->parts[i];

		if (part->kind == KOLK_SECTION_KEYS && part->table != NULL)
			ok = put_rows(m, part);
		else if ((part->kind == KOLK_SECTION_MAP || part->kind == KOLK_SECTION_LIST) &&
			 part->section != NULL && part->key != NULL)
			ok = put_section(m, part);
		else
			ok = misdescribed(m, "has a part that is none", NULL);
	}
	return ok && (m->to->count > 0 || misdescribed(m, "has no keys", NULL));
}

/* The library's sections stand before the program's in that of the whole file. */
static struct kolk__section *section_make(struct kolk__reading *r, const struct kolk_section *from,
					  uint32_t depth)
{
	const size_t given = depth == 0 ? kolk__schema.count : 0;
	struct making m = { .r = r, .from = from, .depth = depth };
	size_t count = given;

	if (depth >= KOLK__DEPTH_MAX) {
		misdescribed(&m, "is too deep", NULL);
		return NULL;
	}
	for (uint32_t i = 0; i < from->part_count; i++)
		count += from->parts[i].table != NULL ? from->parts[i].table->count : 1;
	m.to = kolk__arena_get(r->arena, sizeof *m.to);
	m.settings = kolk__arena_get(r->arena, (count + 1) * sizeof *m.settings);
	m.rows = kolk__arena_get(r->arena, (from->part_count + 1) * sizeof *m.rows);
	if (m.to == NULL || m.settings == NULL || m.rows == NULL) {
		kolk__no_memory(r);
		return NULL;
	}
	if (given > 0)
		memcpy(m.settings, kolk__schema.settings, given * sizeof *m.settings);
	*m.to = (struct kolk__section){ .name = given > 0 ? kolk__schema.name : from->name,
					.settings = m.settings, .count = given, .rows = m.rows,
					.item_size = from->struct_size,
					.node_offset = from->place_offset,
					.keyed = from->keyed != 0 };
	return parts_put(&m) ? m.to : NULL;
}

const struct kolk__section *kolk__program_schema(struct kolk__reading *r,
						 const struct kolk_config_program *program,
						 size_t offset)
{
	struct kolk__section *file = section_make(r, program->file, 0);
	struct kolk__setting *settings = file != NULL ? (void *)(uintptr_t)file->settings : NULL;

	if (file == NULL)
		return NULL;
	for (size_t i = kolk__schema.count; i < file->count; i++)
		settings[i].offset += offset;
	for (size_t i = 0; i < file->rows_count; i++)
		((struct kolk__rows *)(uintptr_t)file->rows)[i].base += offset;
	file->node_offset += file->node_offset != 0 ? offset : 0;
	return file;
}

/* ---- reading */

void kolk__section_begin(const struct kolk__section *section, void *target)
{
	for (size_t i = 0; i < section->rows_count; i++) {
		const struct kolk_option_table *table = section->rows[i].table;

		if (table->count > 0 && table->options[0].kind == KOLK_OPTION_SIZE)
			memcpy((char *)target + section->rows[i].base, &table->struct_size,
			       sizeof table->struct_size);
	}
	for (size_t i = 0; i < section->count; i++)
		if (section->settings[i].kind == KOLK__SECTION)
			kolk__section_begin(section->settings[i].section,
					    (char *)target + section->settings[i].offset);
}

/* Where the field of a table is set in the map; the map when it is not there. */
static const struct kolk__node *field_node(const struct kolk__section *section,
					   const struct kolk__node *map,
					   const struct kolk_option_table *table, const char *field)
{
	for (size_t i = 0; i < section->count; i++) {
		const struct kolk__setting *setting = &section->settings[i];
		const struct kolk__node *node = setting->table == table &&
						strcmp(setting->field, field) == 0 ?
						kolk__tree_find(map, setting->name) : NULL;

		if (node != NULL)
			return node;
	}
	return map;
}

static bool bounds_check(struct kolk__reading *r, const struct kolk__section *section,
			 const struct kolk__node *map, const struct kolk__given_options *o)
{
	bool ok = true;

	for (const struct kolk_option_bound *b = o->table->bounds; b->field != NULL; b++) {
		const struct kolk__node *at = field_node(section, map, o->table, b->field);

		if (at == map)
			at = field_node(section, map, o->table, b->other);
		ok = kolk__bound_check(r, o, b, at) && ok;
	}
	return ok;
}

bool kolk__section_check(struct kolk__reading *r, const struct kolk__section *section,
			 const struct kolk__node *map, const void *target)
{
	bool ok = true;

	for (size_t i = 0; i < section->rows_count; i++) {
		const struct kolk_option_table *table = section->rows[i].table;
		const void *given = (const char *)target + section->rows[i].base;
		void *full;

		if (table->bounds == NULL)
			continue;
		full = kolk__arena_get(r->arena, table->struct_size);
		if (full == NULL)
			return kolk__no_memory(r);
		memcpy(full, given, table->struct_size);
		kolk_option_defaults(table, full);
		ok = bounds_check(r, section, map,
				  &(struct kolk__given_options){ table, given, full }) && ok;
	}
	return ok;
}

/* ---- what a program asks */

const void *kolk_config_own(const struct kolk_config *config)
{
	return config->own;
}

/* What a mistake is reported to: a struct of a caller, which may be older. */
static struct kolk__reading reading_of(const struct kolk_config *config,
				       struct kolk_config_error *own_error,
				       const struct kolk_config_error *error)
{
	(void)kolk__sized_read(own_error, error);
	return (struct kolk__reading){ .name = config->name, .error = own_error };
}

void *kolk_config_memory(struct kolk_config *config, struct kolk_config_error *error, size_t size)
{
	struct kolk_config_error own_error;
	struct kolk__reading r;
	void *memory = kolk__arena_get(&config->arena, size);

	if (memory != NULL)
		return memory;
	r = reading_of(config, &own_error, error);
	kolk__no_memory(&r);
	(void)kolk__sized_write(error, &own_error);
	return NULL;
}

static const struct kolk__node *node_of(const struct kolk_config_place *place)
{
	return (const void *)place;
}

static const struct kolk_config_place *place_of(const struct kolk__node *node)
{
	return (const void *)node;
}

const struct kolk_config_place *kolk_config_place(const struct kolk_config_place *map,
						  const char *key)
{
	const struct kolk__node *node = kolk__tree_find(node_of(map), key);

	return node != NULL ? place_of(node) : map;
}

const struct kolk_config_place *kolk_config_place_entry(const struct kolk_config_place *list,
							uint32_t index)
{
	const struct kolk__node *node = list != NULL && node_of(list)->kind == KOLK__LIST ?
						node_of(list)->first : NULL;

	while (node != NULL && index-- > 0)
		node = node->next;
	return node != NULL ? place_of(node) : list;
}

const struct kolk_config_place *kolk_config_place_of(const struct kolk_config *config,
						     const char *section, uint32_t index,
						     const char *key)
{
	const struct kolk__setting *setting;

	if (strcmp(section, "pools") != 0)
		return place_of(kolk__config_node(config, section, key));
	return place_of(kolk__pool_node(kolk__config_pool_at(config, index), key, &setting));
}

bool kolk_config_wrong(const struct kolk_config *config, struct kolk_config_error *error,
		       const struct kolk_config_place *place, const char *suggestion,
		       const char *format, ...)
{
	struct kolk_config_error own_error;
	struct kolk__reading r = reading_of(config, &own_error, error);
	char message[sizeof own_error.message];
	va_list list;

	va_start(list, format);
	vsnprintf(message, sizeof message, format, list);
	va_end(list);
	kolk__wrong(place != NULL ? kolk__at(&r, node_of(place)) : kolk__at_file(&r), suggestion,
		    "%s", message);
	(void)kolk__sized_write(error, &own_error);
	return false;
}
