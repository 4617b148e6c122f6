/* SPDX-License-Identifier: Apache-2.0 */
/* import_tools.c - tools of others: pooled tools of the gateway, and the route that has them.
 */
#include <string.h>

#include "tools/ctl/import_tool.h"

bool import_flaw(struct import_tool *tool, const struct kolk__node *option, const char *why)
{
	if (tool->flaw == NULL) {
		struct import_path *path = &tool->flaw_path;

		memcpy(path->text, tool->import->path, sizeof path->text);
		tool->flaw_at = *option;
		tool->flaw = why;
	}
	return false;
}

void import_line(struct import_tool *tool, const char *key, const char *value, bool as_is)
{
	if (tool->line_count < IMPORT_LINES)
		tool->lines[tool->line_count++] =
			(struct import_line){ .key = key, .value = value, .as_is = as_is };
}

bool import_has_line(const struct import_tool *tool, const char *key)
{
	for (uint32_t i = 0; i < tool->line_count; i++)
		if (strcmp(tool->lines[i].key, key) == 0)
			return true;
	return false;
}

void import_became_done(struct import_tool *tool, const struct kolk__node *option,
			const char *key)
{
	import_became(tool->import, key, NULL);
	import_done(tool->import, option, NULL);
}

/* ---- options of a tool, beside what it does */

/* What it is when it is right; NULL and why. */
static const char *option_value(struct import_tool *tool, const struct kolk__node *option,
				const char *key, const char **why)
{
	const struct kolk__setting setting = {
		.kind = strcmp(key, "timeout") == 0	? KOLK__DURATION
			: strcmp(key, "rows_max") == 0	? KOLK__COUNT
			: strcmp(key, "read_only") == 0 ? KOLK__SWITCH
							: KOLK__STRING,
		.min = strcmp(key, "timeout") == 0 ? KOLK_MS_NS : 1,
		.max = strcmp(key, "timeout") == 0    ? 600 * KOLK_S_NS
		       : strcmp(key, "rows_max") == 0 ? 10000
		       : strcmp(key, "title") == 0    ? 255
						      : 4096,
	};

	return import_value(tool->import, &setting, option, why);
}

bool import_tool_option(struct import_tool *tool, const struct kolk__node *option)
{
	static const char *const keys[][2] = {
		{ "description", "description" },
		{ "title", "title" },
		{ "timeout", "timeout" },
		{ "max_rows rows_max row_limit", "rows_max" },
	};
	const char *why, *value;

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		if (!import_is_one_of(option->key, keys[i][0]))
			continue;
		if (import_has_line(tool, keys[i][1])) {
			import_left(tool->import, option, "another option says it, too");
			return true;
		}
		value = option_value(tool, option, keys[i][1], &why);
		if (value == NULL) {
			import_left(tool->import, option, why);
			return true;
		}
		import_line(tool, keys[i][1], value, false);
		import_became(tool->import, keys[i][1], i > 1 ? value : NULL);
		import_done(tool->import, option, NULL);
		return true;
	}
	return false;
}

static const char *advice(const char *name)
{
	if (import_is_one_of(name, "cache cache_ttl cache_seconds"))
		return "results of tools are not cached";
	if (import_is_one_of(name, "retries retry max_retries"))
		return "calls are not repeated: they may have had an effect";
	return "no option of tools that is known: look at docs/pooled-tools.md";
}

static void option_take(struct import_tool *tool, const struct kolk__node *option)
{
	if (import_is_one_of(option->key, "pool parameters name"))
		return; /* taken before */
	if (tool->has_cases && import_is_one_of(option->key, "case_of case switch by")) {
		import_became(tool->import, "case_of", NULL);
		import_done(tool->import, option, NULL);
	} else if (option->kind == KOLK__NOTHING)
		import_done(tool->import, option, "empty: the default");
	else if (import_is_of_command(tool, option))
		import_became_done(tool, option, "of the command");
	else if (!import_tool_option(tool, option) && !import_call(tool, option))
		import_left(tool->import, option, advice(option->key));
}

static void pool_take(struct import_tool *tool)
{
	const struct kolk__node *pool = kolk__tree_find(tool->map, "pool");

	if (pool == NULL || pool->kind == KOLK__NOTHING)
		return;
	tool->pool = import_is_text(pool) ? import_pool_find(tool->import, pool->text) : NULL;
	if (tool->pool == NULL) {
		import_flaw(tool, pool, "there is no such pool in what was translated");
		return;
	}
	import_became(tool->import, "pool", NULL);
	import_done(tool->import, pool, NULL);
}

static void tool_translate(struct import_tool *tool)
{
	const struct kolk__node *parameters = kolk__tree_find(tool->map, "parameters");

	pool_take(tool);
	if (parameters != NULL && parameters->kind > KOLK__TEXT)
		import_parameters(tool, parameters);
	tool->has_cases = kolk__tree_find(tool->map, "cases") != NULL;
	for (const struct kolk__node *option = tool->map->first;
	     option != NULL && tool->flaw == NULL; option = option->next)
		option_take(tool, option);
	if (tool->does == NULL)
		import_flaw(tool, &(struct kolk__node){ .line = tool->map->key_line },
			    "no option that is known says what it does");
}

/* ---- writing */

static void http_write(struct import_tool *tool)
{
	bool is_open = false;

	for (uint32_t i = 0; i < tool->line_count; i++) {
		const struct import_line *at = &tool->lines[i];

		if (!at->of_http)
			continue;
		if (!is_open)
			fprintf(tool->import->out, "    http:\n");
		is_open = true;
		if (at->as_is)
			fprintf(tool->import->out, "      %s: %s\n", at->key, at->value);
		else
			import_write(tool->import, 6, at->key, at->value);
	}
}

static void line_write(struct import_tool *tool, const struct import_line *at)
{
	if (at->of_http)
		return;
	if (at->as_is)
		fprintf(tool->import->out, "    %s: %s\n", at->key, at->value);
	else
		import_write(tool->import, 4, at->key, at->value);
}

static bool is_heading(const struct import_line *at)
{
	return import_is_one_of(at->key, "title description");
}

static void tool_write(struct import_tool *tool)
{
	struct import *import = tool->import;

	if (import->tools++ == 0)
		fprintf(import->out, "tools:\n");
	fprintf(import->out, "  - name: %s\n", import_quoted(import, tool->name));
	for (uint32_t i = 0; i < tool->line_count; i++)
		if (is_heading(&tool->lines[i]))
			line_write(tool, &tool->lines[i]);
	if (tool->pool != NULL)
		import_write(import, 4, "pool", tool->pool->name);
	import_parameters_write(tool);
	for (uint32_t i = 0; i < tool->line_count; i++)
		if (!is_heading(&tool->lines[i]))
			line_write(tool, &tool->lines[i]);
	http_write(tool);
	if (tool->cases != NULL)
		fprintf(import->out, "    cases:\n%s", tool->cases);
	fprintf(import->out,
		"    result: success\n"); /* the form of answers that these tools have */
	import->tool_names =
		import->tool_names == NULL
			? tool->name
			: import_text(import, "%s %s", import->tool_names, tool->name);
}

/* ---- all of them */

static bool is_name(const char *name)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";

	return name[0] != 0 && name[strspn(name, letters)] == 0 && strlen(name) <= 64;
}

static void tool_take(struct import *import, const struct kolk__node *map)
{
	struct import_tool tool = { .import = import, .map = map, .name = map->key };
	const struct kolk__node here = {
		.line = map->key_line
	}; /* the tool, as its path says */
	const struct import_mark mark = import_mark(import);
	const struct import_path before = import_enter(import, map->key);

	if (!is_name(map->key))
		import_flaw(&tool, &here,
			    "the name of a tool has letters, digits, '_', '-' and '.'");
	else if (import->tool_names != NULL && import_is_one_of(map->key, import->tool_names))
		import_flaw(&tool, &here, "another tool has this name");
	else if (import->tools == IMPORT_TOOLS)
		import_flaw(&tool, &here, "a route has at most 64 tools");
	else
		tool_translate(&tool);
	if (tool.flaw == NULL) {
		tool_write(&tool);
	} else {
		import_forget(import, &mark);
		memcpy(import->path, tool.flaw_path.text, sizeof import->path);
		import_left(import, &tool.flaw_at,
			    import_text(import, "the tool is left out: %s", tool.flaw));
	}
	import_leave(import, &before);
}

void import_tools(struct import *import, const struct kolk__node *tools)
{
	import_each(import, tools, tool_take);
}

/* ---- the top of the file */

static const char *listen_text(struct import *import, const struct kolk__node *server)
{
	const struct kolk__node *host = kolk__tree_find(server, "host");
	const struct kolk__node *port = kolk__tree_find(server, "port");
	const struct import_path before = import_enter(import, "server");
	const char *address = "127.0.0.1", *number = "8080";

	for (const struct kolk__node *option = server != NULL ? server->first : NULL;
	     option != NULL; option = option->next) {
		if (import_is_text(option) && (option == host || option == port)) {
			import_became(import, "gateway.listen", NULL);
			import_done(import, option, NULL);
		} else {
			import_left(import, option, "no option of servers that is known");
		}
	}
	import_leave(import, &before);
	if (import_is_text(host) && strcmp(host->text, "localhost") != 0)
		address = import_own(import, host->text);
	if (import_is_text(port))
		number = import_own(import, port->text);
	return import_text(import, strchr(address, ':') != NULL ? "[%s]:%s" : "%s:%s", address,
			   number);
}

void import_gateway(struct import *import, const struct kolk__node *root)
{
	const struct kolk__node *server = kolk__tree_find(root, "server");
	const char *address;

	for (const struct kolk__node *option = root->first; option != NULL;
	     option = option->next)
		if (!import_is_one_of(option->key, "pools tools") &&
		    (option != server || option->kind != KOLK__MAP))
			import_left(import, option, "no part of a tools file that is known");
	address = listen_text(import,
			      server != NULL && server->kind == KOLK__MAP ? server : NULL);
	if (import->tools == 0)
		return;
	fprintf(import->out, "gateway:\n  listen:\n    - address: %s\n",
		import_quoted(import, address));
	fprintf(import->out, "  routes:\n    - match: {path: /mcp}\n      tools: [");
	for (const char *name = import->tool_names; *name != 0; name += *name == ' ') {
		const size_t size = strcspn(name, " ");

		fprintf(import->out, "%s%.*s", name != import->tool_names ? ", " : "",
			(int)size, name);
		name += size;
	}
	fprintf(import->out, "]\n");
}
