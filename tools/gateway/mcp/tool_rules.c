/* SPDX-License-Identifier: Apache-2.0 */
/* tool_rules.c - which tools of an MCP route a tenant sees and may call. */
#include "tools/gateway/mcp/tool_rules.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/atomic.h"

/* Patterns are one text: each with a zero behind it, and one more at the end. None is empty. */
struct lists {
	char *tenant;                /* NULL = all: the route's */
	char *allow;                 /* NULL = every tool */
	char *deny;
};

struct gw_tool_rules {
	kolk__atomic_u32 refs;
	uint32_t count;              /* of tenants */
	struct lists route;          /* these are constant */
	struct lists tenants[];      /* by name */
};

bool gw_tool_options_are_set(const struct gw_tool_options *options)
{
	return options->lists.allows || options->lists.deny != NULL || options->tenants.count > 0;
}

/* ---- made */

static char *pack(const char *const *list)
{
	size_t size = 1;
	char *text, *at;

	for (const char *const *one = list; one != NULL && *one != NULL; one++)
		size += strlen(*one) + 1;
	text = at = malloc(size);
	if (text == NULL)
		return NULL;
	for (; list != NULL && *list != NULL; list++)
		at = stpcpy(at, *list) + 1;
	*at = '\0';
	return text;
}

static bool lists_make(struct lists *to, const struct gw_tool_lists *from)
{
	to->deny = pack(from->deny);
	to->allow = from->allows ? pack(from->allow) : NULL;
	return to->deny != NULL && (to->allow != NULL || !from->allows);
}

static void lists_free(struct lists *lists)
{
	free(lists->tenant);
	free(lists->allow);
	free(lists->deny);
}

static int by_tenant(const void *one, const void *other)
{
	const struct lists *a = one, *b = other;

	return strcmp(a->tenant, b->tenant);
}

static void free_rules(struct gw_tool_rules *rules)
{
	lists_free(&rules->route);
	for (uint32_t i = 0; i < rules->count; i++)
		lists_free(&rules->tenants[i]);
	free(rules);
}

struct gw_tool_rules *gw_tool_rules_make(const struct gw_tool_options *options)
{
	const struct gw_tool_tenant *tenants = options->tenants.items;
	const uint32_t count = options->tenants.count;
	struct gw_tool_rules *rules = calloc(1, sizeof *rules + count * sizeof rules->tenants[0]);
	bool ok;

	if (rules == NULL)
		return NULL;
	kolk__store_relaxed(&rules->refs, 1);
	ok = lists_make(&rules->route, &options->lists);
	for (; ok && rules->count < count; rules->count++) {
		struct lists *lists = &rules->tenants[rules->count];

		lists->tenant = strdup(tenants[rules->count].name);
		ok = lists_make(lists, &tenants[rules->count].lists) && lists->tenant != NULL;
	}
	if (!ok) {
		free_rules(rules);
		return NULL;
	}
	qsort(rules->tenants, count, sizeof rules->tenants[0], by_tenant);
	return rules;
}

struct gw_tool_rules *gw_tool_rules_ref(struct gw_tool_rules *rules)
{
	if (rules != NULL)
		(void)kolk__add_relaxed(&rules->refs, 1); /* its caller holds one */
	return rules;
}

/* Release and acquire: what every holder read of them is read before they are freed. */
void gw_tool_rules_unref(struct gw_tool_rules *rules)
{
	if (rules != NULL && kolk__sub_acq_rel(&rules->refs, 1) == 1)
		free_rules(rules);
}

/* ---- asked */

/* A '*' that took too little takes one byte more: only the last one need be tried again, so that this
 * is at most the product of both sizes. */
static bool matches(const char *pattern, const char *name, size_t size)
{
	const char *behind = NULL;   /* the last '*' */
	size_t at = 0, taken = 0;    /* taken: where what it matches ends */

	while (at < size) {
		if (*pattern == '*') {
			behind = ++pattern;
			taken = at;
		} else if (*pattern != '\0' && *pattern == name[at]) {
			pattern++;
			at++;
		} else if (behind != NULL) {
			pattern = behind;
			at = ++taken;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == '\0';
}

static bool is_among(const char *patterns, const char *name, size_t size)
{
	for (; *patterns != '\0'; patterns += strlen(patterns) + 1)
		if (matches(patterns, name, size))
			return true;
	return false;
}

static bool allowed_by(const struct lists *lists, const char *name, size_t size)
{
	return !is_among(lists->deny, name, size) &&
	       (lists->allow == NULL || is_among(lists->allow, name, size));
}

bool gw_tool_rules_allow(const struct gw_tool_rules *rules, const char *tenant, const char *name,
			 size_t size)
{
	const struct lists key = { .tenant = (char *)(uintptr_t)tenant };
	const struct lists *own;

	if (rules == NULL)
		return true;
	if (size > GW_TOOL_NAME_MAX || !allowed_by(&rules->route, name, size))
		return false;
	own = bsearch(&key, rules->tenants, rules->count, sizeof key, by_tenant);
	return own == NULL || allowed_by(own, name, size);
}

bool gw_tool_rules_vary(const struct gw_tool_rules *rules)
{
	return rules != NULL && rules->count > 0;
}

/* ---- in the file */

/* What is a pattern elsewhere would match nothing here, and a list of `deny` would deny nothing. */
const char *gw_tool_pattern_flaw(const char *pattern)
{
	if (strpbrk(pattern, "?[]{}()^$|\\") != NULL)
		return "'*' alone stands for other bytes: write read_*";
	if (pattern[0] == ' ' || pattern[strlen(pattern) - 1] == ' ')
		return "write it without blanks around it";
	for (const char *at = pattern; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return "write it without control bytes";
	return NULL;
}
