/* SPDX-License-Identifier: Apache-2.0 */
/* redis_tree.c - memory of replies: trees in chunks that double, bounded. */
#include <stddef.h>
#include <stdlib.h>

#include "transport/drivers/redis_parser.h"

enum {
	CHUNK_MIN = 128,
	CHUNK_GROWN = 1 << 20 /* chunks double up to it */
};

struct redis_chunk {
	struct redis_chunk *next;
	size_t size, used; /* of bytes */
	_Alignas(16) uint8_t bytes[];
};

void *redis_tree_refuse(struct redis_parser *parser, enum kolk_err err)
{
	parser->err = err;
	return NULL;
}

static bool tree_grow(struct redis_parser *parser, struct redis_tree *tree, size_t need)
{
	size_t size = tree->last == NULL ? need : tree->last->size * 2;
	struct redis_chunk *chunk;

	/* A push that began under another call's limit may be beyond this one's. */
	if (tree->bytes > parser->limits.bytes_max || need > parser->limits.bytes_max - tree->bytes) {
		redis_tree_refuse(parser, KOLK_E_LIMIT);
		return false;
	}
	size = size > CHUNK_GROWN ? CHUNK_GROWN : size;
	size = size < CHUNK_MIN ? CHUNK_MIN : size;
	size = size < need ? need : size;
	size = (size + 15) & ~(size_t)15;
	chunk = malloc(sizeof *chunk + size);
	if (chunk == NULL) {
		redis_tree_refuse(parser, KOLK_E_MEMORY);
		return false;
	}
	*chunk = (struct redis_chunk){ .size = size };
	if (tree->last != NULL)
		tree->last->next = chunk;
	else
		tree->first = chunk;
	tree->last = chunk;
	/* The last chunk may exceed the bound; the rest never gets below zero. */
	tree->bytes = tree->bytes + size > parser->limits.bytes_max ? parser->limits.bytes_max :
								      tree->bytes + size;
	return true;
}

void *redis_tree_alloc(struct redis_parser *parser, size_t size, size_t soon, size_t align)
{
	struct redis_tree *tree = parser->growing;
	struct redis_chunk *chunk = tree->last;
	void *memory;

	if (chunk != NULL)
		chunk->used = (chunk->used + align - 1) & ~(align - 1);
	if (chunk == NULL || chunk->used > chunk->size || chunk->size - chunk->used < size) {
		if (size > SIZE_MAX / 4 || !tree_grow(parser, tree, size + soon))
			return size > SIZE_MAX / 4 ? redis_tree_refuse(parser, KOLK_E_LIMIT) : NULL;
		chunk = tree->last;
	}
	memory = chunk->bytes + chunk->used;
	chunk->used += size;
	return memory;
}

static void chunks_free(struct redis_chunk *chunk)
{
	while (chunk != NULL) {
		struct redis_chunk *next = chunk->next;

		free(chunk);
		chunk = next;
	}
}

struct redis_tree *redis_parser_tree(struct redis_parser *parser,
				     const struct kolk_redis_reply *value)
{
	return value->type == KOLK_REDIS_PUSH ? &parser->push : &parser->answer;
}

void redis_parser_drop(struct redis_parser *parser, struct redis_tree *tree)
{
	chunks_free(tree->first);
	*tree = (struct redis_tree){ 0 };
	if (tree == &parser->answer)
		parser->batch = NULL;
}

struct kolk_redis_reply *redis_parser_take(struct redis_parser *parser, struct redis_tree *tree)
{
	struct kolk_redis_reply *root = (void *)tree->first->bytes;

	*tree = (struct redis_tree){ 0 };
	if (tree == &parser->answer)
		parser->batch = NULL;
	return root;
}

void kolk_redis_reply_free(const struct kolk_redis_reply *reply)
{
	if (reply != NULL)
		chunks_free((void *)((uintptr_t)reply - offsetof(struct redis_chunk, bytes)));
}
