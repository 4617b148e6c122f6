/* SPDX-License-Identifier: Apache-2.0 */
/* h2_memory.c - see h2_memory.h. */
#include "transport/drivers/h2_memory.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
	SMALLEST = 64,
	KEPT = 256,     /* blocks of each size */
	LARGE = H2_MEMORY_SIZES
};

/* In front of each block, as large as its alignment. */
struct h2_block {
	struct h2_block *next; /* while it is free */
	size_t index;          /* of its size; LARGE = none of ours */
};
_Static_assert(sizeof(struct h2_block) % _Alignof(max_align_t) == 0, "blocks are aligned");

static struct h2_block *block_of(void *at)
{
	return (struct h2_block *)at - 1;
}

static size_t size_of(size_t index)
{
	return (size_t)SMALLEST << index;
}

static size_t index_of(size_t size)
{
	size_t index = 0;

	while (index < LARGE && size_of(index) < size)
		index++;
	return index;
}

static void *get(size_t size, void *user)
{
	struct h2_memory *memory = user;
	size_t index = index_of(size);
	struct h2_block *block = index < LARGE ? memory->free[index] : NULL;

	if (block != NULL) {
		memory->free[index] = block->next;
		memory->kept[index]--;
		return block + 1;
	}
	block = malloc(sizeof *block + (index < LARGE ? size_of(index) : size));
	if (block == NULL)
		return NULL;
	block->index = index;
	return block + 1;
}

static void put(void *at, void *user)
{
	struct h2_memory *memory = user;
	struct h2_block *block;

	if (at == NULL)
		return;
	block = block_of(at);
	if (block->index == LARGE || memory->kept[block->index] == KEPT) {
		free(block);
		return;
	}
	block->next = memory->free[block->index];
	memory->free[block->index] = block;
	memory->kept[block->index]++;
}

static void *get_zeroed(size_t count, size_t size, void *user)
{
	void *at;

	if (size > 0 && count > SIZE_MAX / 2 / size)
		return NULL;
	at = get(count * size, user);
	if (at != NULL)
		memset(at, 0, count * size);
	return at;
}

static void *resize_large(struct h2_block *block, size_t size)
{
	struct h2_block *larger = realloc(block, sizeof *block + size);

	return larger == NULL ? NULL : larger + 1;
}

static void *resize(void *at, size_t size, void *user)
{
	struct h2_block *block = at == NULL ? NULL : block_of(at);
	void *other;

	if (block == NULL)
		return get(size, user);
	if (block->index == LARGE)
		return resize_large(block, size);
	if (size <= size_of(block->index))
		return at;
	other = get(size, user);
	if (other == NULL)
		return NULL;
	memcpy(other, at, size_of(block->index));
	put(at, user);
	return other;
}

void h2_memory_init(struct h2_memory *memory)
{
	*memory = (struct h2_memory){ .ng = { .mem_user_data = memory, .malloc = get, .free = put,
					      .calloc = get_zeroed, .realloc = resize } };
}

void h2_memory_free(struct h2_memory *memory)
{
	for (size_t i = 0; i < H2_MEMORY_SIZES; i++) {
		while (memory->free[i] != NULL) {
			struct h2_block *block = memory->free[i];

			memory->free[i] = block->next;
			free(block);
		}
		memory->kept[i] = 0;
	}
}
