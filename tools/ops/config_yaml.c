/* SPDX-License-Identifier: Apache-2.0 */
/* config_yaml.c - text to tree, by libyaml's events: bounded, and every node knows its place. */
#include "tools/ops/config_yaml.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "tools/ops/config_error.h"

struct walk {
	struct kolk__reading *r;
	yaml_parser_t parser;
	yaml_event_t event;
	struct kolk__node *open[KOLK__DEPTH_MAX]; /* lists and maps that we are inside */
	uint32_t depth;
	uint32_t nodes;
	struct kolk__node *key; /* the key that waits for its value */
	struct kolk__node *root;
};

/* ---- places */

static struct kolk__node mark(const yaml_mark_t *at)
{
	return (struct kolk__node){ .line = (uint32_t)at->line + 1,
				    .column = (uint32_t)at->column + 1 };
}

static bool wrong_at(struct walk *w, const yaml_mark_t *at, const char *suggestion,
		     const char *what)
{
	struct kolk__node place = mark(at);

	return kolk__wrong(kolk__at(w->r, &place), suggestion, "%s", what);
}

/* ---- nodes */

static struct kolk__node *node_make(struct walk *w, enum kolk__node_kind kind)
{
	struct kolk__node *node;

	if (w->nodes++ == KOLK__NODES_MAX) {
		wrong_at(w, &w->event.start_mark, "", "the file has too many parts");
		return NULL;
	}
	node = kolk__arena_get(w->r->arena, sizeof *node);
	if (node == NULL) {
		kolk__no_memory(w->r);
		return NULL;
	}
	*node = mark(&w->event.start_mark);
	node->kind = kind;
	return node;
}

static bool is_nothing(const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;

	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (*text == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static struct kolk__node *scalar(struct walk *w)
{
	size_t size = w->event.data.scalar.length;
	struct kolk__node *node;
	char *text;

	if (size > KOLK__VALUE_MAX) {
		wrong_at(w, &w->event.start_mark, "", "the value is longer than 64 KiB");
		return NULL;
	}
	node = node_make(w, is_nothing(&w->event) ? KOLK__NOTHING : KOLK__TEXT);
	if (node == NULL)
		return NULL;
	text = kolk__arena_get(w->r->arena, size + 1);
	if (text == NULL) {
		kolk__no_memory(w->r);
		return NULL;
	}
	memcpy(text, w->event.data.scalar.value, size);
	node->quoted = w->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	node->text = text;
	node->size = size;
	return node;
}

/* ---- putting them together */

struct kolk__node *kolk__tree_find(const struct kolk__node *map, const char *key)
{
	struct kolk__node *node = map != NULL && map->kind == KOLK__MAP ? map->first : NULL;

	while (node != NULL && strcmp(node->key, key) != 0)
		node = node->next;
	return node;
}

void kolk__tree_add(struct kolk__node *parent, struct kolk__node *node)
{
	if (parent->last != NULL)
		parent->last->next = node;
	else
		parent->first = node;
	parent->last = node;
	parent->count++;
}

static bool add_key(struct walk *w, struct kolk__node *map, struct kolk__node *key)
{
	const struct kolk__node *twin = kolk__tree_find(map, key->text);
	struct kolk__shown shown = kolk__show(key->text, key->size);
	char first[64];

	if (strlen(key->text) != key->size)
		return kolk__wrong(kolk__at(w->r, key), "", "a zero byte in a key");
	if (twin != NULL) {
		snprintf(first, sizeof first, "the first is in line %u", twin->key_line);
		return kolk__wrong(kolk__at(w->r, key), first, "%s is there twice", shown.text);
	}
	if (map->count == KOLK__KEYS_MAX)
		return kolk__wrong(kolk__at(w->r, key), "", "more than 64 keys in one map");
	w->key = key;
	return true;
}

static bool place(struct walk *w, struct kolk__node *node)
{
	struct kolk__node *parent = w->depth > 0 ? w->open[w->depth - 1] : NULL;

	if (parent == NULL) {
		w->root = node;
		return true;
	}
	if (parent->kind == KOLK__MAP && w->key == NULL) {
		if (node->kind != KOLK__TEXT)
			return kolk__wrong(kolk__at(w->r, node), "", "a key is a plain word");
		return add_key(w, parent, node);
	}
	if (parent->kind == KOLK__MAP) {
		node->key = w->key->text;
		node->key_line = w->key->line;
		node->key_column = w->key->column;
		w->key = NULL;
	}
	kolk__tree_add(parent, node);
	return true;
}

static bool open_one(struct walk *w, enum kolk__node_kind kind)
{
	struct kolk__node *node;

	if (w->depth == KOLK__DEPTH_MAX)
		return wrong_at(w, &w->event.start_mark, "", "nested too deep");
	node = node_make(w, kind);
	if (node == NULL || !place(w, node))
		return false;
	w->open[w->depth++] = node;
	return true;
}

/* ---- events */

static const yaml_char_t *tag_of(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return event->data.scalar.tag;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.tag;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.tag;
	default:
		return NULL;
	}
}

static const yaml_char_t *anchor_of(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return event->data.alias.anchor;
	case YAML_SCALAR_EVENT:
		return event->data.scalar.anchor;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.anchor;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.anchor;
	default:
		return NULL;
	}
}

static bool take(struct walk *w)
{
	struct kolk__node *node;

	if (anchor_of(&w->event) != NULL)
		return wrong_at(w, &w->event.start_mark, "write it out",
				"anchors and aliases are not allowed");
	if (tag_of(&w->event) != NULL)
		return wrong_at(w, &w->event.start_mark, "", "tags are not allowed");
	switch (w->event.type) {
	case YAML_DOCUMENT_START_EVENT:
		return w->root == NULL || wrong_at(w, &w->event.start_mark, "",
						   "more than one document");
	case YAML_SCALAR_EVENT:
		node = scalar(w);
		return node != NULL && place(w, node);
	case YAML_SEQUENCE_START_EVENT:
		return open_one(w, KOLK__LIST);
	case YAML_MAPPING_START_EVENT:
		return open_one(w, KOLK__MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		w->depth--;
		return true;
	default:
		return true;
	}
}

static const char *hint_of(const char *problem)
{
	static const char *const indentation[] = { "did not find expected key",
						   "did not find expected '-' indicator",
						   "mapping values are not allowed",
						   "block sequence entries are not allowed",
						   "could not find expected ':'" };

	if (strstr(problem, "cannot start any token") != NULL)
		return "indent with spaces, quote what begins with @ or `";
	for (size_t i = 0; i < sizeof indentation / sizeof indentation[0]; i++)
		if (strstr(problem, indentation[i]) != NULL)
			return "look at the indentation: keys of one map begin in the same column";
	return "";
}

/* What libyaml did not understand: its texts are constant, nothing of the file is in them. */
static bool not_yaml(struct walk *w)
{
	const yaml_parser_t *p = &w->parser;
	const char *problem = p->problem != NULL ? p->problem : "this is not YAML";
	const char *hint = hint_of(problem);
	char text[160];

	if (p->error == YAML_MEMORY_ERROR)
		return kolk__no_memory(w->r);
	if (p->error == YAML_READER_ERROR)
		return kolk__wrong(kolk__at_file(w->r), "the file must be UTF-8 text",
				   "%s, at byte %zu", problem, p->problem_offset);
	if (p->context != NULL)
		snprintf(text, sizeof text, "%s, %s", p->context, problem);
	else
		snprintf(text, sizeof text, "%s", problem);
	return wrong_at(w, &p->problem_mark, hint, text);
}

static bool walk_all(struct walk *w)
{
	bool ok = true, end = false;

	while (ok && !end) {
		if (!yaml_parser_parse(&w->parser, &w->event))
			return not_yaml(w);
		end = w->event.type == YAML_STREAM_END_EVENT;
		ok = take(w);
		if (w->event.type == YAML_SCALAR_EVENT)
			explicit_bzero(w->event.data.scalar.value, w->event.data.scalar.length);
		yaml_event_delete(&w->event);
	}
	return ok;
}

/* The file may hold secrets: what libyaml read ahead is wiped too. */
static void forget(yaml_parser_t *p)
{
	if (p->raw_buffer.start != NULL)
		explicit_bzero(p->raw_buffer.start,
			       (size_t)(p->raw_buffer.end - p->raw_buffer.start));
	if (p->buffer.start != NULL)
		explicit_bzero(p->buffer.start, (size_t)(p->buffer.end - p->buffer.start));
	yaml_parser_delete(p);
}

struct kolk__node *kolk__tree_parse(struct kolk__reading *r, const char *text, size_t size)
{
	struct walk w = { .r = r };
	bool ok;

	if (size > KOLK__TEXT_MAX) {
		kolk__wrong(kolk__at_file(r), "", "the file is longer than 1 MiB");
		return NULL;
	}
	if (!yaml_parser_initialize(&w.parser)) {
		kolk__no_memory(r);
		return NULL;
	}
	yaml_parser_set_input_string(&w.parser, (const unsigned char *)text, size);
	ok = walk_all(&w);
	forget(&w.parser);
	if (!ok)
		return NULL;
	if (w.root == NULL || w.root->kind == KOLK__NOTHING) {
		kolk__wrong(kolk__at_file(r), "", "the file is empty");
		return NULL;
	}
	return w.root;
}
