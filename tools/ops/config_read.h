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

/* A map by the settings of its section, into the struct that the offsets are of. The node goes to
 * its node_offset. */
bool kolk__section_read(struct kolk__reading *r, const struct kolk__section *section,
			const struct kolk__node *map, void *target);

#endif
