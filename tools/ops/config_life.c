/* SPDX-License-Identifier: Apache-2.0 */
/* config_life.c - what cannot change from one configuration to the next. */
#include "tools/ops/config_life.h"

#include <string.h>

#include "tools/ops/config.h"
#include "tools/ops/config_check.h"
#include "tools/ops/config_error.h"
#include "tools/ops/config_schema.h"
#include "tools/ops/config_yaml.h"

static bool texts_differ(const char *a, const char *b)
{
	return a != b && (a == NULL || b == NULL || strcmp(a, b) != 0);
}

static bool lists_differ(const char *const *a, const char *const *b)
{
	while (a != NULL && b != NULL && *a != NULL && *b != NULL && strcmp(*a, *b) == 0)
		a++, b++;
	return (a != NULL && *a != NULL) || (b != NULL && *b != NULL);
}

static bool differs(const struct kolk__setting *setting, const void *a, const void *b)
{
	switch (setting->kind) {
	case KOLK__STRING:
	case KOLK__PASSWORD:
		return texts_differ(*(const char *const *)a, *(const char *const *)b);
	case KOLK__STRINGS:
		return lists_differ(*(const char *const *const *)a, *(const char *const *const *)b);
	default:
		return memcmp(a, b, setting->size) != 0;
	}
}

static enum kolk_err changed(struct kolk__reading *r, const struct kolk__node *node,
			     const char *setting, const char *section)
{
	return kolk__refused(kolk__at(r, node), "restart, or leave it as it was",
			     "'%s' cannot change while the %s works", setting, section);
}

/* What engine and admin server have for life must stay. */
static enum kolk_err library_check(struct kolk__reading *r, const struct kolk_config *before,
				   const struct kolk_config *after, const char *name)
{
	const struct kolk__section *section = kolk__setting_find(&kolk__schema, name)->section;

	for (size_t i = 0; i < section->count; i++) {
		const struct kolk__setting *setting = &section->settings[i];

		if (!(setting->allowed & KOLK__MAY_CHANGE) &&
		    differs(setting, (const char *)before + setting->offset,
			    (const char *)after + setting->offset))
			return changed(r, kolk__config_node(after, name, setting->name),
				       setting->name, name);
	}
	return KOLK_OK;
}

/* A map of the program's, in both configurations. */
struct pair {
	const struct kolk__section *section;
	const struct kolk__node *map; /* of the new one; NULL = not in the file */
	const char *before, *after;
};

static enum kolk_err program_check(struct kolk__reading *r, const struct pair *pair, size_t first)
{
	const struct kolk__section *section = pair->section;
	enum kolk_err err = KOLK_OK;

	for (size_t i = first; err == KOLK_OK && i < section->count; i++) {
		const struct kolk__setting *setting = &section->settings[i];
		const struct kolk__node *node = kolk__tree_find(pair->map, setting->name);
		const struct pair inner = { setting->section, node != NULL ? node : pair->map,
					    pair->before + setting->offset,
					    pair->after + setting->offset };

		if (setting->kind == KOLK__SECTION)
			err = program_check(r, &inner, 0);
		else if (!(setting->allowed & KOLK__MAY_CHANGE) &&
			 differs(setting, inner.before, inner.after))
			err = changed(r, inner.map, setting->name, "program");
	}
	return err;
}

enum kolk_err kolk__life_check(struct kolk__reading *r, const struct kolk_config *before,
			       const struct kolk_config *after)
{
	const struct pair file = { after->schema, after->file, (const char *)before,
				   (const char *)after };
	enum kolk_err err = library_check(r, before, after, "engine");

	if (err == KOLK_OK)
		err = library_check(r, before, after, "admin");
	if (err == KOLK_OK && before->own != NULL && before->program.file == after->program.file)
		err = program_check(r, &file, kolk__schema.count);
	return err;
}
