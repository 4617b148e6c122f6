/* SPDX-License-Identifier: Apache-2.0 */
/* tools.c - what is wrong with pooled tools, and what is made of them. */
#include <kolk/postgres.h>
#include <kolk/redis.h>
#include <string.h>

#include "tools/gateway/config/tools.h"

static const struct kolk_config_place *at(const struct gw_tool *tool, const char *key)
{
	return kolk_config_place(tool->place, key);
}

static bool is_set(const struct gw_tool *tool, const char *key)
{
	return at(tool, key) != tool->place;
}

void *gw_tool_memory(void *user, size_t size)
{
	struct gw_check *c = user;

	return kolk_config_memory(c->config, c->error, size);
}

static const char *keep(struct gw_check *c, struct gw_text *text)
{
	char *copy = text->failed ? NULL : gw_tool_memory(c, gw_text_size(text) + 1);

	if (copy != NULL)
		memcpy(copy, gw_text_data(text), gw_text_size(text));
	gw_text_free(text);
	return copy != NULL ? copy : "";
}

/* ---- names, parameters */

static bool is_name(const char *name, const char *more)
{
	for (; *name != '\0'; name++)
		if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
		      (*name >= '0' && *name <= '9') || strchr(more, *name) != NULL))
			return false;
	return true;
}

static void parameter_make(struct gw_check *c, struct gw_parameter *p)
{
	struct gw_text json = { .failed = false };

	if (p->fallback == NULL)
		return;
	if (p->type == GW_PARAMETER_STRING || p->type == GW_PARAMETER_ENUM)
		gw_text_string(&json, p->fallback, strlen(p->fallback));
	else
		gw_text_say(&json, p->fallback);
	p->fallback_json = keep(c, &json);
}

static void parameters_check(struct gw_check *c, struct gw_tool *tool)
{
	struct gw_parameter *all = tool->parameters.items;

	for (uint32_t i = 0; i < tool->parameters.count; i++) {
		const char *name = all[i].name != NULL ? all[i].name : "x";
		const char *flaw = gw_parameter_flaw(&all[i]);

		if (!is_name(name, "_") || (name[0] >= '0' && name[0] <= '9'))
			gw_wrong(c, kolk_config_place(all[i].place, "name"),
				 "letters, digits and '_', no digit in front",
				 "'%s' is no name of a parameter", name);
		if (all[i].name != NULL && gw_parameter_find(tool, name, strlen(name)) != i)
			gw_wrong(c, all[i].place, "leave one of them out",
				 "there are two parameters '%s'", name);
		if (flaw != NULL)
			gw_wrong(c, all[i].place, "", "parameter '%s': %s", name, flaw);
		parameter_make(c, &all[i]);
	}
}

/* A parameter that a key names. */
static bool from_check(struct gw_check *c, struct gw_tool *tool, const char *key, const char *name)
{
	tool->from = gw_parameter_find(tool, name, strlen(name));
	if (tool->from == UINT32_MAX)
		return gw_wrong(c, at(tool, key), "add it to 'parameters'",
				"there is no parameter '%s'", name);
	if (gw_tool_parameter(tool, tool->from)->items_max != 0)
		return gw_wrong(c, at(tool, key), "leave 'items_max' out in it",
				"the parameter '%s' is a list", name);
	if (!gw_tool_parameter(tool, tool->from)->required)
		return gw_wrong(c, at(tool, key), "write required: true in it",
				"the parameter '%s' may be missing", name);
	return true;
}

/* ---- templates */

struct gw_template_maker gw_tool_maker(struct gw_check *c, struct gw_tool *tool)
{
	return (struct gw_template_maker){ .tool = tool, .memory = gw_tool_memory, .user = c };
}

bool gw_tool_template_make(const struct gw_template_maker *maker,
			   const struct kolk_config_place *place, const char *text,
			   struct gw_template *made)
{
	struct gw_check *c = maker->user;
	const char *flaw = gw_template_read(maker, text, made);

	return flaw == NULL || gw_wrong(c, place, "a parameter is named by {{name}}", "%s", flaw);
}

static bool has_places(const struct gw_template *made)
{
	return made->count > 1 || (made->count == 1 && made->parts[0].parameter != GW_LITERAL);
}

/* Of a list each item makes a word. */
static bool lists_check(const struct gw_template_maker *maker, const struct kolk_config_place *list,
			const struct gw_words *made)
{
	struct gw_check *c = maker->user;
	uint32_t most = 0;

	for (uint32_t i = 0; i < made->count; i++) {
		uint32_t parameter = gw_template_list(&made->at[i], maker->tool);

		if (parameter == GW_LISTS)
			return gw_wrong(c, kolk_config_place_entry(list, i), "write one of them in each",
					"there are two lists in it");
		most += parameter != GW_LITERAL ? gw_tool_parameter(maker->tool, parameter)->items_max : 1;
	}
	return most <= GW_TOOL_ARGUMENTS_MAX ||
	       gw_wrong(c, list, "write a smaller 'items_max'", "with its lists it may be more than %u",
			GW_TOOL_ARGUMENTS_MAX);
}

bool gw_tool_words_make(const struct gw_template_maker *maker, const struct kolk_config_place *list,
			const char *const *words, struct gw_words *made)
{
	struct gw_check *c = maker->user;
	struct gw_template *all;
	uint32_t count = 0;
	bool good = true;

	while (words != NULL && words[count] != NULL)
		count++;
	if (count > GW_TOOL_WORDS_MAX)
		return gw_wrong(c, list, "", "there are more than %u", GW_TOOL_WORDS_MAX);
	all = gw_tool_memory(c, (count + 1) * sizeof *all);
	for (uint32_t i = 0; all != NULL && i < count; i++)
		good &= gw_tool_template_make(maker, kolk_config_place_entry(list, i), words[i],
					      &all[i]);
	*made = (struct gw_words){ all, all != NULL ? count : 0 };
	return good && lists_check(maker, list, made);
}

/* What a command is does not depend on an argument. */
static void command_words_make(const struct gw_template_maker *maker,
			       const struct kolk_config_place *list, const char *const *words,
			       struct gw_words *made)
{
	struct gw_check *c = maker->user;

	if (!gw_tool_words_make(maker, list, words, made))
		return;
	if (made->count == 0 || words[0][0] == '\0')
		gw_wrong(c, list, "as [GET, \"{{key}}\"]", "the command is missing here");
	else if (has_places(&made->at[0]))
		gw_wrong(c, kolk_config_place_entry(list, 0), "write a command, and {{name}} behind it",
			 "no argument may say what the command is");
}

static void cases_check(struct gw_check *c, struct gw_tool *tool)
{
	const struct gw_template_maker maker = gw_tool_maker(c, tool);
	struct gw_tool_case *all = tool->cases.items;
	const char *const *values = NULL;

	if (tool->case_of == NULL)
		gw_wrong(c, at(tool, "cases"), "write case_of: NAME", "'case_of' is missing here");
	else if (from_check(c, tool, "case_of", tool->case_of))
		values = gw_tool_parameter(tool, tool->from)->values;
	for (uint32_t i = 0; i < tool->cases.count; i++) {
		const char *value = all[i].value != NULL ? all[i].value : "";
		bool found = values == NULL;

		for (const char *const *v = values; v != NULL && *v != NULL; v++)
			found |= strcmp(*v, value) == 0;
		for (uint32_t j = 0; j < i; j++)
			if (all[j].value != NULL && strcmp(all[j].value, value) == 0)
				gw_wrong(c, all[i].place, "leave one of them out",
					 "there are two cases of '%s'", value);
		if (!found)
			gw_wrong(c, all[i].place, "add it to 'values' of the parameter",
				 "'%s' has never the value '%s'", tool->case_of, value);
		command_words_make(&maker, kolk_config_place(all[i].place, "redis"), all[i].redis,
				   &all[i].words);
	}
}

/* ---- SQL, programs */

static void sql_make(struct gw_check *c, struct gw_tool *tool)
{
	const struct gw_template_maker maker = gw_tool_maker(c, tool);
	const char *flaw = gw_template_read_sql(&maker);

	if (flaw != NULL)
		gw_wrong(c, at(tool, "sql"), "as where id = {{id}}", "%s", flaw);
}

static void query_check(struct gw_check *c, struct gw_tool *tool)
{
	if (!from_check(c, tool, "sql_from", tool->sql_from))
		return;
	if (gw_tool_parameter(tool, tool->from)->type != GW_PARAMETER_STRING ||
	    gw_tool_parameter(tool, tool->from)->values != NULL)
		gw_wrong(c, at(tool, "sql_from"), "write 'sql' for a statement of your own",
			 "'sql_from' is a string of the client's");
	if (tool->parameters.count > 1)
		gw_wrong(c, at(tool, "sql_from"), "leave the others out",
			 "a statement of the client's has no other parameters");
	if (tool->writes)
		gw_wrong(c, at(tool, "read_only"), "write 'sql' for a statement that writes",
			 "a statement of the client's is read-only");
}

static void command_make(struct gw_check *c, struct gw_tool *tool)
{
	const struct gw_template_maker maker = gw_tool_maker(c, tool);
	const struct kolk_config_place *list = at(tool, "environment");
	uint32_t i = 0;

	command_words_make(&maker, at(tool, "command"), tool->command, &tool->words);
	if (tool->command != NULL && tool->command[0] != NULL && tool->command[0][0] != '/')
		gw_wrong(c, at(tool, "command"), "as [/usr/bin/df, \"-h\"]",
			 "a program is named by its absolute path");
	if (tool->directory != NULL && tool->directory[0] != '/')
		gw_wrong(c, at(tool, "directory"), "write it from / on",
			 "'directory' is not an absolute path");
	for (const char *const *e = tool->environment; e != NULL && *e != NULL; e++, i++)
		if (strchr(*e, '=') == NULL || (*e)[0] == '=')
			gw_wrong(c, kolk_config_place_entry(list, i), "as LANG=C.UTF-8",
				 "this is no variable");
}

/* ---- the whole */

static void redis_make(struct gw_check *c, struct gw_tool *tool)
{
	const struct gw_template_maker maker = gw_tool_maker(c, tool);

	command_words_make(&maker, at(tool, "redis"), tool->redis, &tool->words);
}

static const struct kind {
	const char *key;
	enum gw_tool_kind kind;
	const char *protocol; /* of its pool */
	const struct kolk_driver *(*driver)(void);
	void (*make)(struct gw_check *c, struct gw_tool *tool);
} kinds[] = {
	{ "sql", GW_TOOL_SQL, "postgres", kolk_driver_postgres, sql_make },
	{ "sql_from", GW_TOOL_QUERY, "postgres", kolk_driver_postgres, query_check },
	{ "redis", GW_TOOL_REDIS, "redis", kolk_driver_redis, redis_make },
	{ "cases", GW_TOOL_CASES, "redis", kolk_driver_redis, cases_check },
	{ "http", GW_TOOL_HTTP, "http", kolk_driver_http, gw_tool_http_check },
	{ "command", GW_TOOL_COMMAND, NULL, NULL, command_make },
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* Keys of one kind alone. */
static void keys_check(struct gw_check *c, const struct gw_tool *tool)
{
	static const struct {
		const char *key;
		enum gw_tool_kind of, or;
	} keys[] = { { "rows_max", GW_TOOL_SQL, GW_TOOL_QUERY },
		     { "read_only", GW_TOOL_SQL, GW_TOOL_QUERY },
		     { "case_of", GW_TOOL_CASES, GW_TOOL_CASES },
		     { "environment", GW_TOOL_COMMAND, GW_TOOL_COMMAND },
		     { "inherit", GW_TOOL_COMMAND, GW_TOOL_COMMAND },
		     { "directory", GW_TOOL_COMMAND, GW_TOOL_COMMAND },
		     { "calls_max", GW_TOOL_COMMAND, GW_TOOL_COMMAND } };

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (is_set(tool, keys[i].key) && tool->kind != keys[i].of && tool->kind != keys[i].or)
			gw_wrong(c, at(tool, keys[i].key), "leave it out",
				 "'%s' is not of this kind of tool", keys[i].key);
}

/* A client's statement may change its session: the next one on that connection would be another's. */
static bool is_reset(const struct kolk_pool_options *pool)
{
	const struct kolk_postgres_options *options = pool->driver_user;

	return options == NULL || options->reset != KOLK_POSTGRES_RESET_NEVER;
}

static void pool_check(struct gw_check *c, const struct gw_tool *tool, const struct kind *kind)
{
	const struct kolk_pool_options *pool = NULL;

	if (kind->driver == NULL) {
		if (tool->pool != NULL)
			gw_wrong(c, at(tool, "pool"), "leave it out", "a program has no pool");
		return;
	}
	if (tool->pool == NULL) {
		gw_wrong(c, tool->place, "write pool: NAME", "'pool' is missing here");
		return;
	}
	for (uint32_t i = 0; (pool = kolk_config_pool(c->config, i)) != NULL; i++)
		if (pool->name != NULL && strcmp(pool->name, tool->pool) == 0 &&
		    kolk_config_mcp(c->config, i) == NULL)
			break;
	if (pool == NULL)
		gw_wrong(c, at(tool, "pool"), "add it to 'pools'", "there is no pool '%s'", tool->pool);
	else if (pool->driver != kind->driver())
		gw_wrong(c, at(tool, "pool"), "name another pool",
			 "the pool '%s' is not of protocol %s", tool->pool, kind->protocol);
	else if (kind->kind == GW_TOOL_QUERY && !is_reset(pool))
		gw_wrong(c, at(tool, "pool"), "name a pool that resets its connections",
			 "the pool '%s' has reset: never, and 'sql_from' may change its sessions",
			 tool->pool);
}

static const struct kind *kind_of(struct gw_check *c, const struct gw_tool *tool)
{
	const struct kind *found = NULL;

	for (uint32_t i = 0; i < KINDS; i++) {
		if (!is_set(tool, kinds[i].key))
			continue;
		if (found != NULL)
			gw_wrong(c, at(tool, kinds[i].key), "leave one of them out",
				 "a tool has '%s' or '%s'", found->key, kinds[i].key);
		found = &kinds[i];
	}
	if (found == NULL)
		gw_wrong(c, tool->place, "sql, sql_from, redis, cases, http or command",
			 "the tool does nothing");
	return found;
}

static void tool_check(struct gw_check *c, struct gw_tool *tool)
{
	const struct kind *kind = kind_of(c, tool);
	struct gw_text listed = { .failed = false };

	if (tool->name != NULL && !is_name(tool->name, "_-."))
		gw_wrong(c, at(tool, "name"), "letters, digits, '_', '-' and '.'",
			 "'%s' is no name of a tool", tool->name);
	parameters_check(c, tool);
	if (kind == NULL || c->error->mistakes > 0)
		return; /* what follows takes these for good */
	tool->kind = kind->kind;
	keys_check(c, tool);
	pool_check(c, tool, kind);
	kind->make(c, tool);
	gw_tool_describe(tool, &listed);
	tool->listed = keep(c, &listed);
}

static const struct gw_tool *tool_named(const struct gw_check *c, const char *name)
{
	const struct gw_config *config = &c->file->config;

	for (uint32_t i = 0; i < config->tool_count; i++)
		if (config->tools[i].name != NULL && strcmp(config->tools[i].name, name) == 0)
			return &config->tools[i];
	return NULL;
}

void gw_tools_check(struct gw_check *c)
{
	struct gw_tool *all = c->file->config.tools;

	for (uint32_t i = 0; i < c->file->config.tool_count; i++) {
		all[i].index = i;
		if (all[i].name != NULL && tool_named(c, all[i].name) != &all[i])
			gw_wrong(c, at(&all[i], "name"), "rename one of them",
				 "there are two tools '%s'", all[i].name);
		tool_check(c, &all[i]);
	}
}

void gw_tools_route_check(struct gw_check *c, struct gw_route *route)
{
	const struct kolk_config_place *list = kolk_config_place(route->place, "tools");
	uint32_t count = 0;

	while (route->tools != NULL && route->tools[count] != NULL)
		count++;
	if (count == 0)
		gw_wrong(c, list, "write tools: [NAME]", "the route has no tools");
	route->tool_list = gw_tool_memory(c, (count + 1) * sizeof(const struct gw_tool *));
	for (uint32_t i = 0; route->tool_list != NULL && i < count; i++) {
		const struct gw_tool *tool = tool_named(c, route->tools[i]);

		for (uint32_t j = 0; j < route->tool_count; j++)
			if (route->tool_list[j] == tool)
				gw_wrong(c, kolk_config_place_entry(list, i), "leave one of them out",
					 "the tool '%s' is there twice", route->tools[i]);
		if (tool == NULL)
			gw_wrong(c, kolk_config_place_entry(list, i), "add it to 'tools' of the file",
				 "there is no tool '%s'", route->tools[i]);
		else
			route->tool_list[route->tool_count++] = tool;
	}
}
