/* SPDX-License-Identifier: Apache-2.0 */
/* config_read.h - from the tree to options, by the schema. */
#ifndef KOLK_OPS_CONFIG_READ_H
#define KOLK_OPS_CONFIG_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kolk__node;
struct kolk__reading;
struct kolk__section;

/* What a list is read into. */
struct kolk__array {
	void *items;
	uint32_t count;
};

/* A map by the settings of its section, into the struct that the offsets are of. */
bool kolk__section_read(struct kolk__reading *r, const struct kolk__section *section,
			const struct kolk__node *map, void *target);

/* kolk__section_read puts a list's nodes into the last member of its structs. */
#define KOLK__NODE_IS_LAST(type)                                                       \
	_Static_assert(offsetof(struct type, node) + sizeof(void *) == sizeof(struct type), \
		       "node is the last member")

#endif
