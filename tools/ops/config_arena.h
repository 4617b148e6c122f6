/* SPDX-License-Identifier: Apache-2.0 */
/* config_arena.h - memory: everything of a configuration, wiped and freed together. */
#ifndef KOLK_OPS_CONFIG_ARENA_H
#define KOLK_OPS_CONFIG_ARENA_H

#include <stddef.h>

struct kolk__arena {
	struct kolk__chunk *chunks;
};

void *kolk__arena_get(struct kolk__arena *arena, size_t size); /* zeroed; NULL = no memory */
/* A copy of these bytes, with a NUL. */
char *kolk__arena_text(struct kolk__arena *arena, const char *bytes, size_t size);
void kolk__arena_free(struct kolk__arena *arena);

#endif
