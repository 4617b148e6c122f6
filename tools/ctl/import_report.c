/* SPDX-License-Identifier: Apache-2.0 */
/* import_report.c - what each option of a file became, as rows of a table. */
#include <string.h>

#include "tools/ctl/import.h"
#include "tools/ctl/text.h"

static const struct column columns[] = {
	{ .title = "LINE", .right = true },
	{ .title = "OPTION", .whole = true },
	{ .title = "BECAME", .whole = true },
	{ .title = "REMARK", .whole = true },
	{ .title = NULL },
};

void import_report_open(struct import *import)
{
	table_open(&import->report, columns, false);
}

void import_became(struct import *import, const char *key, const char *value)
{
	const size_t used = strlen(import->became);

	snprintf(import->became + used, sizeof import->became - used, "%s%s%s%s",
		 used > 0 ? ", " : "", key, value != NULL ? ": " : "",
		 value != NULL ? value : "");
}

static void row(struct import *import, const struct kolk__node *option, enum style style,
		const char *remark)
{
	const uint32_t line = option->key != NULL ? option->key_line : option->line;
	const char *dot = option->key != NULL && import->path[0] != 0 ? "." : "";
	const char *absent = style == WARN ? "left out" : "nothing";
	char path[IMPORT_PATH * 2];

	snprintf(path, sizeof path, "%s%s%s", import->path, dot,
		 option->key != NULL ? option->key : "");
	table_count(&import->report, PLAIN, line);
	table_text(&import->report, PLAIN, path);
	table_text(&import->report, style, import->became[0] != 0 ? import->became : absent);
	table_text(&import->report, PLAIN, remark != NULL ? remark : "");
	import->became[0] = 0;
}

void import_done(struct import *import, const struct kolk__node *option, const char *remark)
{
	import->translated++;
	row(import, option, GOOD, remark);
}

void import_left(struct import *import, const struct kolk__node *option, const char *remark)
{
	import->left_out++;
	row(import, option, WARN, remark);
}

struct import_mark import_mark(const struct import *import)
{
	return (struct import_mark){ import->translated, import->left_out,
				     import->report.cell_count };
}

void import_forget(struct import *import, const struct import_mark *mark)
{
	table_cut(&import->report, mark->cells);
	import->translated = mark->translated;
	import->left_out = mark->left_out;
	import->became[0] = 0;
}

struct import_path import_enter(struct import *import, const char *name)
{
	struct import_path before;
	const size_t used = strlen(import->path);

	memcpy(before.text, import->path, sizeof before.text);
	snprintf(import->path + used, sizeof import->path - used, "%s%s", used > 0 ? "." : "",
		 name);
	return before;
}

void import_leave(struct import *import, const struct import_path *before)
{
	memcpy(import->path, before->text, sizeof import->path);
}
