/* SPDX-License-Identifier: Apache-2.0 */
/* config_arena.c - see config_arena.h. */
#define _GNU_SOURCE /* explicit_bzero */
#include "tools/ops/config_arena.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK (16 * 1024)

struct kolk__chunk {
	struct kolk__chunk *next;
	size_t size, used;
	_Alignas(max_align_t) unsigned char bytes[];
};

void *kolk__arena_get(struct kolk__arena *arena, size_t size)
{
	struct kolk__chunk *chunk = arena->chunks;
	void *memory;

	size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	if (chunk == NULL || chunk->size - chunk->used < size) {
		size_t capacity = size > CHUNK ? size : CHUNK;

		chunk = calloc(1, sizeof *chunk + capacity);
		if (chunk == NULL)
			return NULL;
		chunk->size = capacity;
		chunk->next = arena->chunks;
		arena->chunks = chunk;
	}
	memory = chunk->bytes + chunk->used;
	chunk->used += size;
	return memory;
}

char *kolk__arena_text(struct kolk__arena *arena, const char *bytes, size_t size)
{
	char *text = kolk__arena_get(arena, size + 1);

	if (text != NULL)
		memcpy(text, bytes, size);
	return text;
}

void kolk__arena_free(struct kolk__arena *arena)
{
	while (arena->chunks != NULL) {
		struct kolk__chunk *chunk = arena->chunks;

		arena->chunks = chunk->next;
		explicit_bzero(chunk->bytes, chunk->used);
		free(chunk);
	}
}
