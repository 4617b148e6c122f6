/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_parser.h - bytes to replies: hiredis reads the protocol, and builds our trees.
 *
 * No I/O. Everything is bounded: depth, elements of an array, bytes of a tree and of an incomplete
 * value. After an error nothing more is read.
 */
#ifndef KOLK_REDIS_PARSER_H
#define KOLK_REDIS_PARSER_H

#include <kolk/redis.h>

struct redisReader;
struct redis_chunk;

/* A tree that grows: its root lies at the beginning of its first chunk. */
struct redis_tree {
	struct redis_chunk *first, *last;
	uint64_t bytes; /* of all chunks */
};

struct redis_limits {
	uint32_t depth_max;    /* arrays in arrays, the outermost counted */
	uint32_t elements_max; /* of one array */
	uint64_t bytes_max;    /* of a tree; of a value that is not complete yet */
};

struct redis_parser {
	struct redisReader *reader;
	struct redis_limits limits;
	struct redis_tree answer; /* of the replies to requests */
	struct redis_tree push;   /* of pushes in between */
	struct redis_tree *growing; /* the tree that grows now */
	struct kolk_redis_reply *batch; /* several replies become elements of one array, or NULL */
	uint32_t batch_count, batch_at;
	const uint8_t *input; /* fed, and not parsed yet */
	size_t input_size;
	struct kolk_redis_reply *bulk; /* a long string that is being read, or NULL */
	size_t bulk_at;                /* bytes received of it, and of the line end after it */
	size_t bulk_min;               /* what is long: 4096 bytes; tests want less */
	enum kolk_err err; /* stays */
};

enum kolk_err redis_parser_open(struct redis_parser *parser, const struct redis_limits *limits);
void redis_parser_close(struct redis_parser *parser);

/* Expect count replies, 2 or more: they become one array. E_MEMORY, E_LIMIT. */
enum kolk_err redis_parser_expect(struct redis_parser *parser, uint32_t count);
/* More bytes. They are the caller's, and must stay until redis_parser_next has returned
 * KOLK_PENDING or redis_parser_buffer has copied what was not parsed. */
enum kolk_err redis_parser_feed(struct redis_parser *parser, const void *data, size_t size);
enum kolk_err redis_parser_buffer(struct redis_parser *parser);
/* The next complete value: KOLK_OK, KOLK_PENDING = more bytes are needed, or an error. It lies in
 * parser->push if it is a push, otherwise in parser->answer, and stays there until it is taken or
 * dropped: before the next one, unless it is one of a batch. */
enum kolk_err redis_parser_next(struct redis_parser *parser, struct kolk_redis_reply **value);
/* The tree of a complete value. */
struct redis_tree *redis_parser_tree(struct redis_parser *parser,
				     const struct kolk_redis_reply *value);
/* Take over the tree that the last value completed; drop it. */
struct kolk_redis_reply *redis_parser_take(struct redis_parser *parser, struct redis_tree *tree);
void redis_parser_drop(struct redis_parser *parser, struct redis_tree *tree);

/* redis_tree.c: */
/* The parser fails with this error. Returns NULL. */
void *redis_tree_refuse(struct redis_parser *parser, enum kolk_err err);
/* Memory in the growing tree for a value of size bytes; soon = bytes that will follow it. NULL: the
 * parser has failed (E_MEMORY, E_LIMIT). */
void *redis_tree_alloc(struct redis_parser *parser, size_t size, size_t soon, size_t align);

/* No part of a value was received; the part received is of a push. Both after KOLK_PENDING. */
bool redis_parser_at_boundary(const struct redis_parser *parser);
bool redis_parser_in_push(const struct redis_parser *parser);

#endif
