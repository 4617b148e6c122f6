/* SPDX-License-Identifier: Apache-2.0 */
/* config_yaml.h - a file as a tree, in which every node knows its place. */
#ifndef KOLK_OPS_CONFIG_YAML_H
#define KOLK_OPS_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kolk__reading;

#define KOLK__TEXT_MAX (1024 * 1024) /* a file */
#define KOLK__VALUE_MAX (64 * 1024)  /* one scalar, also after ${} and file: */
#define KOLK__DEPTH_MAX 8
#define KOLK__KEYS_MAX 64 /* of one map */
#define KOLK__NODES_MAX 65536

enum kolk__node_kind { KOLK__NOTHING, KOLK__TEXT, KOLK__LIST, KOLK__MAP };

struct kolk__node {
	enum kolk__node_kind kind;
	bool quoted;                   /* a text in quotes, or of several lines */
	uint32_t line, column;         /* from 1; 0 = from the environment */
	uint32_t key_line, key_column; /* in a map */
	uint32_t count;                /* of what it contains */
	const char *key;               /* in a map */
	const char *source;            /* the environment variable; NULL = the file */
	const char *text;
	size_t size;
	struct kolk__node *first, *last, *next;
};

/* Text to tree; NULL and the error said. */
struct kolk__node *kolk__tree_parse(struct kolk__reading *r, const char *text, size_t size);
/* The same of the file that the reading is named after; config.c. */
struct kolk__node *kolk__tree_load(struct kolk__reading *r);
/* What stands at this key of a map; NULL = it is not there. */
struct kolk__node *kolk__tree_find(const struct kolk__node *map, const char *key);
/* Put a node at the end of a list or map. */
void kolk__tree_add(struct kolk__node *parent, struct kolk__node *node);

#endif
