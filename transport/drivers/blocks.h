/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks.h - blocks of one size that one thread returns and takes again, the last one first: it is
 * still in the processor's cache. An allocator takes another one, and for large ones it searches.
 */
#ifndef KOLK_DRIVERS_BLOCKS_H
#define KOLK_DRIVERS_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define BLOCKS_ARE_KEPT 0 /* so that a use after the return is found */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BLOCKS_ARE_KEPT 0
#endif
#endif
#ifndef BLOCKS_ARE_KEPT
#define BLOCKS_ARE_KEPT 1
#endif

struct free_block {
	struct free_block *next;
};

struct blocks {
	struct free_block *first;
	uint32_t count, max; /* kept ones */
};

/* What h1.c has blocks of: exchanges, and memory for what is sent and received. */
struct h1_blocks {
	struct blocks exchanges, out, in;
};

/* What an HTTP client has blocks of: exchanges, and what they ask, in so many sizes. */
enum { HTTP_BLOCK_SIZES = 2 };

struct http_blocks {
	struct blocks exchanges, asked[HTTP_BLOCK_SIZES];
};

/* Not zeroed. NULL = there is no memory. */
static inline void *blocks_get(struct blocks *blocks, size_t size)
{
	struct free_block *block = blocks->first;

	if (block == NULL)
		return malloc(size);
	blocks->first = block->next;
	blocks->count--;
	return block;
}

/* Whether the next one that is returned is kept. */
static inline bool blocks_keep(const struct blocks *blocks)
{
	return BLOCKS_ARE_KEPT && blocks->count < blocks->max;
}

static inline void blocks_put(struct blocks *blocks, void *returned)
{
	struct free_block *block = returned;

	if (!blocks_keep(blocks)) {
		free(returned);
		return;
	}
	block->next = blocks->first;
	blocks->first = block;
	blocks->count++;
}

static inline void blocks_free(struct blocks *blocks)
{
	struct free_block *block, *next;

	for (block = blocks->first; block != NULL; block = next) {
		next = block->next;
		free(block);
	}
	blocks->first = NULL;
	blocks->count = 0;
}

#endif
