/* SPDX-License-Identifier: Apache-2.0 */
/* config_value.h - one scalar to one value. */
#ifndef KOLK_OPS_CONFIG_VALUE_H
#define KOLK_OPS_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kolk__node;
struct kolk__reading;
struct kolk__setting;

struct kolk__secret {
	const void *bytes;
	size_t size;
};

/* A node of text to the field of a setting. */
bool kolk__value_read(struct kolk__reading *r, const struct kolk__setting *setting,
		      const struct kolk__node *node, void *target);
/* A duration in the biggest unit that leaves no rest. */
void kolk__duration_text(uint64_t ns, char *text, size_t size);

#endif
