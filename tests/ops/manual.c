/* SPDX-License-Identifier: Apache-2.0 */
/* manual.c - see manual.h. A section's rows are what stands below its heading: the lines that begin
 * with "| `" of a page in Markdown, from the first .TP to the next .SH of one for man(1). */
#define _GNU_SOURCE /* open_memstream */
#include "tests/ops/manual.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ops/config_schema.h"
#include "tools/ops/config_value.h"

#define MANY 1000000000u

/* ---- what a setting may be, is, and when it changes */

static void amount_put(FILE *out, const struct kolk__setting *setting, uint64_t value)
{
	static const char *const units[] = { "GiB", "MiB", "KiB" };
	char text[40];

	if (setting->kind == KOLK__DURATION) {
		kolk__duration_text(value, text, sizeof text);
		fputs(text, out);
		return;
	}
	for (int i = 0; setting->kind == KOLK__SIZE && i < 3; i++)
		if (value % (UINT64_C(1) << (30 - 10 * i)) == 0) {
			fprintf(out, "%llu%s", (unsigned long long)(value >> (30 - 10 * i)), units[i]);
			return;
		}
	fprintf(out, "%llu%s", (unsigned long long)value, setting->kind == KOLK__SIZE ? "B" : "");
}

static void bounds_put(FILE *out, const struct kolk__setting *setting)
{
	if (setting->kind == KOLK__COUNT && setting->max == MANY && setting->min == 1) {
		fputs("count", out);
	} else if (setting->kind == KOLK__COUNT && setting->max == MANY) {
		amount_put(out, setting, setting->min);
		fputs(" or more", out);
	} else {
		amount_put(out, setting, setting->min);
		fputs(" to ", out);
		amount_put(out, setting, setting->max);
	}
}

static void words_put(FILE *out, const struct kolk_option_word *word)
{
	for (const char *comma = ""; word->name != NULL; word++, comma = ", ")
		fprintf(out, "%s%s", comma, word->name);
}

static void range_put(FILE *out, const struct kolk__setting *setting)
{
	static const struct {
		uint32_t allowed;
		const char *word;
	} spelled[] = { { KOLK__MAY_BE_DEFAULT, "auto" }, { KOLK__MAY_BE_NONE, "none" },
			{ KOLK__MAY_BE_UNLIMITED, "unlimited" }, { KOLK__MAY_BE_FOREVER, "forever" } };

	if (setting->range != NULL)
		fputs(setting->range, out);
	else if (setting->kind == KOLK__WORD)
		words_put(out, setting->words);
	else if (setting->kind == KOLK__SWITCH || setting->kind == KOLK__SWITCH_OFF)
		fputs("switch", out);
	else if (setting->kind == KOLK__STRING)
		fprintf(out, "%u to %u bytes", (unsigned)setting->min, (unsigned)setting->max);
	else if (setting->kind == KOLK__SECRET || setting->kind == KOLK__PASSWORD)
		fputs("secret", out);
	else
		bounds_put(out, setting);
	for (size_t i = 0; i < sizeof spelled / sizeof spelled[0]; i++)
		if (setting->allowed & spelled[i].allowed)
			fprintf(out, ", %s", spelled[i].word);
}

/* Defaults give way to these: "2, or `connections_max`". */
static void bounds_of(FILE *out, const struct kolk__setting *setting)
{
	const struct kolk_option_bound *bound = setting->table->bounds;

	for (const char *or = setting->fallback != 0 ? ", or " : "";
	     bound != NULL && bound->field != NULL; bound++) {
		const struct kolk_option *other = setting->table->options;
		const char *dot;

		if (strcmp(bound->field, setting->field) != 0)
			continue;
		while (strcmp(other->field, bound->other) != 0)
			other++;
		dot = strrchr(other->key, '.');
		fprintf(out, "%s`%s`", or, dot != NULL ? dot + 1 : other->key);
		or = ", or ";
	}
}

static void usual_put(FILE *out, const struct kolk__setting *setting)
{
	const struct kolk_option_word *word = setting->words;

	if (setting->usual != NULL) {
		fputs(setting->usual, out);
	} else if (setting->allowed & KOLK__REQUIRED) {
		fputs("required", out);
	} else if (setting->kind == KOLK__WORD) {
		while (word->name != NULL && word->value != setting->fallback)
			word++;
		fputs(word->name, out);
	} else if (setting->kind == KOLK__SWITCH || setting->kind == KOLK__SWITCH_OFF) {
		fputs(setting->kind == KOLK__SWITCH ? "false" : "true", out);
	} else if (setting->allowed & KOLK__MAY_BE_UNLIMITED && setting->fallback == UINT32_MAX) {
		fputs("unlimited", out);
	} else {
		if (setting->fallback != 0)
			amount_put(out, setting, setting->fallback);
		bounds_of(out, setting);
	}
}

static const char *reload_of(const struct kolk__setting *setting)
{
	if (!(setting->allowed & KOLK__MAY_CHANGE))
		return "life";
	if (setting->allowed & KOLK__IS_IDENTITY)
		return "new connections";
	return setting->allowed & KOLK__REQUIRED ? "" : "yes";
}

/* ---- rows */

static void markdown_row(FILE *out, const struct kolk__setting *setting)
{
	const char *reload = reload_of(setting);

	fprintf(out, "| `%s` | ", setting->name);
	range_put(out, setting);
	fputs(" | ", out);
	usual_put(out, setting);
	fprintf(out, " | %s%s| %s%s|\n", reload, reload[0] != 0 ? " " : "", setting->text,
		setting->text[0] != 0 ? " " : "");
}

/* `words` are bold, and a dash is no hyphen. */
static void man_text(FILE *out, const char *text, bool capital)
{
	bool bold = false;

	for (; *text != 0; text++, capital = false) {
		if (*text == '`')
			fputs((bold = !bold) ? "\\fB" : "\\fR", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(capital && *text >= 'a' && *text <= 'z' ? *text - 'a' + 'A' : *text, out);
	}
}

static void man_row(FILE *out, const struct kolk__setting *setting)
{
	const char *reload = reload_of(setting);
	char *usual = NULL;
	size_t size = 0;
	FILE *text = open_memstream(&usual, &size);

	usual_put(text, setting);
	fclose(text);
	fprintf(out, ".TP\n\\fB%s\\fR\n", setting->name);
	range_put(out, setting);
	fputs(strncmp(usual, "required", 8) == 0 ? "; " : "; default: ", out);
	man_text(out, usual, false);
	fputs(strcmp(reload, "life") == 0 ? "; not changed by a reload.\n" :
	      strcmp(reload, "yes") == 0  ? "; changed by a reload.\n" :
	      reload[0] != 0		  ? "; a reload dials anew.\n" : ".\n", out);
	free(usual);
	if (setting->text[0] == 0)
		return;
	man_text(out, setting->text, strncmp(setting->text, "tls://", 6) != 0);
	fputs(".\n", out);
}

static void rows_put(FILE *out, const struct kolk__section *section, bool man)
{
	for (size_t i = 0; i < section->count; i++) {
		const struct kolk__setting *setting = &section->settings[i];

		if (setting->kind == KOLK__SECTION || setting->kind == KOLK__SECTIONS)
			continue; /* a heading of its own */
		(man ? man_row : markdown_row)(out, setting);
	}
}

/* ---- pages */

static const struct kolk__section *section_named(const struct kolk__section *in, const char *name)
{
	const struct kolk__setting *setting = kolk__setting_find(in, name);

	return setting != NULL ? setting->section : NULL;
}

/* The section that a line is the heading of. */
static const struct kolk__section *heading(const char *line, bool man)
{
	const struct kolk__section *pools = section_named(&kolk__schema, "pools");
	const char *top = man ? ".SH " : "## ", *inner = man ? ".SH POOLS, " : "### pools: ";
	char name[32] = "";

	if (strncmp(line, inner, strlen(inner)) == 0)
		sscanf(line + strlen(inner), "%31[A-Za-z]", name);
	else if (strncmp(line, top, strlen(top)) == 0)
		sscanf(line + strlen(top), "%31[A-Za-z]", name), pools = &kolk__schema;
	for (char *c = name; man && *c != 0; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
	return name[0] != 0 ? section_named(pools, name) : NULL;
}

char *manual_page(const char *text, bool man)
{
	const struct kolk__section *section = NULL;
	const char *row = man ? ".TP" : "| `", *head = man ? ".SH " : "#";
	char *page = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&page, &size);
	bool old = false; /* inside the rows that are made anew */

	for (const char *line = text; *line != 0;) {
		const char *end = strchr(line, '\n') != NULL ? strchr(line, '\n') + 1 :
							       line + strlen(line);
		bool is_row = strncmp(line, row, 3) == 0;

		if (strncmp(line, head, strlen(head)) == 0) {
			section = heading(line, man);
			old = false;
		}
		if (section != NULL && is_row && !old)
			rows_put(out, section, man);
		old = section != NULL && (is_row || (man && old));
		if (!old)
			fwrite(line, 1, (size_t)(end - line), out);
		line = end;
	}
	fclose(out);
	return page;
}

/* ---- a program's page */

static void program_rows(FILE *out, const struct kolk_section *section, const char *outer)
{
	char prefix[64];

	for (uint32_t i = 0; i < section->part_count; i++) {
		const struct kolk_section_part *part = &section->parts[i];
		const struct kolk__rows rows = { part->table, part->key != NULL ? part->key : "", 0 };
		struct kolk__setting setting;

		snprintf(prefix, sizeof prefix, "%s%s.", outer, part->key != NULL ? part->key : "");
		if (part->kind == KOLK_SECTION_LIST)
			fprintf(out, "| `%s%s` | list | %s | see below |\n", outer, part->key,
				part->required ? "required" : "none");
		else if (part->kind == KOLK_SECTION_MAP)
			program_rows(out, part->section, prefix);
		for (uint32_t n = 0; part->table != NULL && n < part->table->count; n++) {
			if (!kolk__setting_of(&rows, &part->table->options[n], &setting))
				continue;
			fprintf(out, "| `%s%s` | ", outer, setting.name);
			range_put(out, &setting);
			fputs(" | ", out);
			usual_put(out, &setting);
			fprintf(out, "%s| %s%s|\n", setting.usual == NULL || setting.usual[0] != 0 ? " " : "",
				setting.text, setting.text[0] != 0 ? " " : "");
		}
	}
}

/* The section below the heading "### NAME" or "### NAME: LIST"; NAME may be a list itself, or in one. */
static const struct kolk_section *program_heading(const char *line, const struct kolk_section *own)
{
	const struct kolk_section *found = NULL;
	char text[64];

	for (uint32_t i = 0; i < own->part_count; i++) {
		snprintf(text, sizeof text, "### %s: %s\n", own->name,
			 own->parts[i].kind == KOLK_SECTION_LIST ? own->parts[i].key : "");
		if (strncmp(line, text, strlen(text)) == 0)
			return own->parts[i].section;
	}
	for (uint32_t i = 0; i < own->part_count && found == NULL; i++)
		if (own->parts[i].kind != KOLK_SECTION_KEYS)
			found = program_heading(line, own->parts[i].section);
	snprintf(text, sizeof text, "### %s\n", own->name);
	return found != NULL || strncmp(line, text, strlen(text)) != 0 ? found : own;
}

char *manual_program_page(const char *text, const struct kolk_section *file)
{
	const struct kolk_section *section = NULL;
	char *page = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&page, &size);
	bool old = false;

	for (const char *line = text; *line != 0;) {
		const char *end = strchrnul(line, '\n');
		const bool is_row = strncmp(line, "| `", 3) == 0;

		end += *end != 0;
		if (*line == '#')
			section = NULL;
		for (uint32_t i = 0; *line == '#' && section == NULL && i < file->part_count; i++)
			section = program_heading(line, file->parts[i].section);
		if (section != NULL && is_row && !old)
			program_rows(out, section, "");
		old = section != NULL && is_row;
		if (!old)
			fwrite(line, 1, (size_t)(end - line), out);
		line = end;
	}
	fclose(out);
	return page;
}

char *manual_read(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (file != NULL && getdelim(&text, &size, 0, file) < 0) {
		free(text);
		text = NULL;
	}
	if (file != NULL)
		fclose(file);
	return text;
}
