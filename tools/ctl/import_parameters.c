/* SPDX-License-Identifier: Apache-2.0 */
/* import_parameters.c - parameters of a tool: a list, a map of names, or properties of a
 * schema. */
#include <stdlib.h>
#include <string.h>

#include "tools/ctl/import_tool.h"

struct import_parameter *import_parameter(struct import_tool *tool, const char *name,
					  size_t size)
{
	for (uint32_t i = 0; i < tool->parameter_count; i++)
		if (strlen(tool->parameters[i].name) == size &&
		    memcmp(tool->parameters[i].name, name, size) == 0)
			return &tool->parameters[i];
	return NULL;
}

static const char *type_of(const char *type)
{
	static const char *const types[][2] = {
		{ "string str text", "string" },
		{ "integer int", "integer" },
		{ "number float double", "number" },
		{ "boolean bool", "boolean" },
		{ "enum", "enum" },
	};

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (import_is_one_of(type, types[i][0]))
			return types[i][1];
	return NULL;
}

/* ---- options of a parameter */

static bool take_type(struct import_tool *tool, struct import_parameter *parameter,
		      const struct kolk__node *option)
{
	const char *type = type_of(option->text);

	if (type == NULL)
		return import_flaw(tool, option,
				   "a parameter is a string, integer, number, boolean or enum");
	if (parameter->type == NULL) /* "enum" of `values` before it stays */
		parameter->type = type;
	return true;
}

static bool take_values(struct import_tool *tool, struct import_parameter *parameter,
			const struct kolk__node *option)
{
	const char *list = "";

	if (option->count > IMPORT_WORDS)
		return import_flaw(tool, option, "more than 64 values");
	for (const struct kolk__node *node = option->first; node != NULL; node = node->next) {
		if (!import_is_text(node) || node->size == 0)
			return import_flaw(tool, option, "a list of texts is expected");
		list = import_text(
			tool->import, "%s%s%s", list, list[0] != 0 ? ", " : "",
			import_quoted(tool->import, import_own(tool->import, node->text)));
	}
	parameter->values = import_text(tool->import, "[%s]", list);
	parameter->listed = option;
	return true;
}

static const char **text_of(struct import_parameter *parameter, const char *key)
{
	const struct {
		const char *names;
		const char **text;
	} texts[] = {
		{ "description", &parameter->description },
		{ "default", &parameter->fallback },
		{ "minimum min ge", &parameter->minimum },
		{ "maximum max le", &parameter->maximum },
		{ "min_length minLength length_min", &parameter->length_min },
		{ "max_length maxLength length_max", &parameter->length_max },
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (import_is_one_of(key, texts[i].names))
			return texts[i].text;
	return NULL;
}

static bool is_number(const char *text, bool whole, double *value)
{
	char *end;

	if (text[strspn(text, whole ? "-0123456789" : "-0123456789.eE+")] != 0)
		return false;
	*value = strtod(text, &end);
	return end != text && *end == 0;
}

/* NULL, or why it is none of this option. */
static const char *text_flaw(const struct import_parameter *parameter, const char **text,
			     const struct kolk__node *option)
{
	const bool bound = text != &parameter->description && text != &parameter->fallback;
	double value;

	if (!import_is_text(option) || option->size > 4096)
		return "a value of at most 4096 bytes is expected";
	if (bound && (option->size > 40 || !is_number(option->text, false, &value)))
		return "a number is expected";
	return option->size > 0 ? NULL : "no default is empty: without an argument it is null";
}

/* False = it is left out, and was told, or the whole tool is. */
static bool take(struct import_tool *tool, struct import_parameter *parameter,
		 const struct kolk__node *option)
{
	const char **text = text_of(parameter, option->key);
	const char *on = import_is_text(option) ? import_switch(option->text) : NULL;

	if (option->kind == KOLK__NOTHING || strcmp(option->key, "name") == 0 ||
	    (strcmp(option->key, "description") == 0 && option->size == 0) ||
	    (text == &parameter->length_min && import_is_text(option) &&
	     strcmp(option->text, "0") == 0))
		return true; /* as without it */
	if (import_is_one_of(option->key, "enum values choices allowed_values") &&
	    option->kind == KOLK__LIST)
		return take_values(tool, parameter, option);
	if (strcmp(option->key, "type") == 0 && import_is_text(option))
		return take_type(tool, parameter, option);
	if (strcmp(option->key, "required") == 0 && on != NULL)
		parameter->required = strcmp(on, "true") == 0;
	else if (text != NULL && text_flaw(parameter, text, option) == NULL)
		*text = import_own(tool->import, option->text);
	else {
		import_left(tool->import, option,
			    text != NULL ? text_flaw(parameter, text, option)
			    : strcmp(option->key, "pattern") == 0
				    ? "a pattern is not checked: look at 'values' and bounds"
				    : "no option of parameters that is known");
		return false;
	}
	return true;
}

/* ---- what contradicts something else here */

static bool is_listed(const struct kolk__node *list, const char *name)
{
	const struct kolk__node *node = list != NULL ? list->first : NULL;

	while (node != NULL && !(import_is_text(node) && strcmp(node->text, name) == 0))
		node = node->next;
	return node != NULL;
}

/* One that the type, its values and its bounds allow. */
static bool default_is_good(const struct import_parameter *p, const char *type)
{
	const bool whole = strcmp(type, "integer") == 0;
	const size_t size = strlen(p->fallback);
	double value, bound;

	if (import_refers(p->fallback))
		return true;
	if (whole || strcmp(type, "number") == 0)
		return is_number(p->fallback, whole, &value) &&
		       !(p->minimum != NULL && is_number(p->minimum, false, &bound) &&
			 value < bound) &&
		       !(p->maximum != NULL && is_number(p->maximum, false, &bound) &&
			 value > bound);
	if (strcmp(type, "boolean") == 0)
		return import_switch(p->fallback) != NULL;
	return (p->listed == NULL || is_listed(p->listed, p->fallback)) &&
	       !(p->length_min != NULL && size < strtoul(p->length_min, NULL, 10)) &&
	       !(p->length_max != NULL && size > strtoul(p->length_max, NULL, 10));
}

static void default_check(struct import_tool *tool, struct import_parameter *parameter,
			  const char *type)
{
	if (parameter->fallback == NULL)
		return;
	if (!default_is_good(parameter, type)) {
		parameter->fallback = NULL;
		import_left(tool->import, &(struct kolk__node){ .line = parameter->line },
			    import_text(tool->import,
					"the default of parameter '%s' is no value of it",
					parameter->name));
	} else if (strcmp(type, "boolean") == 0) {
		parameter->fallback = import_switch(parameter->fallback);
	}
}

/* A bound that this type does not have. */
static void bound_drop(struct import_tool *tool, const struct import_parameter *parameter,
		       const char **bound, const char *name)
{
	if (*bound == NULL)
		return;
	*bound = NULL;
	import_left(tool->import, &(struct kolk__node){ .line = parameter->line },
		    import_text(tool->import, "'%s' of parameter '%s': its type has none", name,
				parameter->name));
}

static const char *normalize(struct import_tool *tool, struct import_parameter *parameter)
{
	const char *type = parameter->type != NULL ? parameter->type : "string";

	if (!import_is_one_of(type, "string enum")) {
		bound_drop(tool, parameter, &parameter->values, "values");
		bound_drop(tool, parameter, &parameter->length_min, "length_min");
		bound_drop(tool, parameter, &parameter->length_max, "length_max");
		parameter->listed = NULL;
	}
	if (!import_is_one_of(type, "integer number")) {
		bound_drop(tool, parameter, &parameter->minimum, "minimum");
		bound_drop(tool, parameter, &parameter->maximum, "maximum");
	}
	if (parameter->values != NULL)
		parameter->type = "enum";
	default_check(tool, parameter, type);
	if (!parameter->required || parameter->fallback == NULL)
		return NULL;
	parameter->required = false;
	return "not required: it has a default";
}

static bool is_name(const char *name)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

	return name[0] != 0 && !(name[0] >= '0' && name[0] <= '9') &&
	       name[strspn(name, letters)] == 0 && strlen(name) <= 64;
}

/* node's key is the parameter's name. */
static void parameter_take(struct import_tool *tool, const struct kolk__node *node,
			   bool required)
{
	struct import_parameter *parameter = &tool->parameters[tool->parameter_count];
	const char *remark;

	if (node->kind == KOLK__LIST) {
		import_flaw(tool, node, "a parameter has options, not a list");
		return;
	}
	if (!is_name(node->key)) {
		import_flaw(tool, node, "the name of a parameter has letters, digits and '_'");
		return;
	}
	if (tool->parameter_count == IMPORT_PARAMETERS ||
	    import_parameter(tool, node->key, strlen(node->key)) != NULL) {
		import_flaw(tool, node, "there are 32 parameters at most, each with its name");
		return;
	}
	tool->parameter_count++;
	*parameter = (struct import_parameter){ .name = node->key,
						.line = node->key_line,
						.required = required };
	if (node->kind == KOLK__TEXT)
		take_type(tool, parameter,
			  &(struct kolk__node){ .key = node->key,
						.key_line = node->key_line,
						.text = node->text,
						.kind = KOLK__TEXT });
	for (const struct kolk__node *option = node->first; option != NULL;
	     option = option->next) {
		const struct import_path before = import_enter(tool->import, node->key);

		take(tool, parameter, option);
		import_leave(tool->import, &before);
	}
	remark = normalize(tool, parameter);
	import_became(tool->import, "parameters", NULL);
	import_done(tool->import, node, remark);
}

void import_parameters(struct import_tool *tool, const struct kolk__node *all)
{
	const struct kolk__node *properties = kolk__tree_find(all, "properties");
	const struct kolk__node *required = kolk__tree_find(all, "required");
	const bool schema = properties != NULL && properties->kind == KOLK__MAP;
	const struct import_path before = import_enter(tool->import, all->key);

	for (const struct kolk__node *node = (schema ? properties : all)->first; node != NULL;
	     node = node->next) {
		const struct kolk__node *name = kolk__tree_find(node, "name");
		struct kolk__node named = *node;

		if (all->kind == KOLK__LIST) {
			named.key = import_is_text(name) ? name->text : "";
			named.key_line = node->line;
		}
		parameter_take(tool, &named, schema && is_listed(required, node->key));
	}
	import_leave(tool->import, &before);
}

/* ---- writing */

void import_parameters_write(struct import_tool *tool)
{
	if (tool->parameter_count > 0)
		fprintf(tool->import->out, "    parameters:\n");
	for (uint32_t i = 0; i < tool->parameter_count; i++) {
		const struct import_parameter *p = &tool->parameters[i];
		const struct {
			const char *key, *value;
		} texts[] = {
			{ "type", p->type },
			{ "description", p->description },
			{ "default", p->fallback },
			{ "minimum", p->minimum },
			{ "maximum", p->maximum },
			{ "length_min", p->length_min },
			{ "length_max", p->length_max },
		};

		fprintf(tool->import->out, "      - name: %s\n", p->name);
		for (size_t j = 0; j < sizeof texts / sizeof texts[0]; j++)
			if (texts[j].value != NULL)
				import_write(tool->import, 8, texts[j].key, texts[j].value);
		if (p->values != NULL)
			fprintf(tool->import->out, "        values: %s\n", p->values);
		if (p->required)
			fprintf(tool->import->out, "        required: true\n");
	}
}
