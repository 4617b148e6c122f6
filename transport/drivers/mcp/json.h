/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - a strict reader of JSON (RFC 8259) that is fed in pieces cut anywhere, and
 * reports tokens.
 *
 * No tree, no memory of its own, no recursion. Everything that the RFC demands is checked:
 * UTF-8 (no overlong form, no surrogate, nothing above U+10FFFF), escapes, numbers, no byte
 * order mark, nothing but white space behind the value. The tokens do not depend on where
 * the text was cut.
 */
#ifndef KOLK_MCP_JSON_H
#define KOLK_MCP_JSON_H

#include <kolk/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	KOLK__JSON_DEPTH_MAX = 512, /* one bit each */
	KOLK__JSON_KEY_MAX = 64,    /* decoded bytes that are kept of a key */
};

enum kolk__json_token {
	TOKEN_MORE, /* the piece is used up */
	TOKEN_OBJECT,
	TOKEN_OBJECT_END,
	TOKEN_ARRAY,
	TOKEN_ARRAY_END,
	TOKEN_KEY,
	TOKEN_STRING,
	TOKEN_INTEGER, /* a number without fraction and exponent */
	TOKEN_NUMBER,  /* another number */
	TOKEN_TRUE,
	TOKEN_FALSE,
	TOKEN_NULL,
	TOKEN_NONE, /* the text was refused */
};

/* How the text of a string or number is kept. */
enum kolk__json_keep {
	KEEP_NOTHING,
	KEEP_DECODED, /* without quotes, escapes resolved */
	KEEP_RAW,     /* as it was written, quotes included */
};

/* What is kept of the token that is being read, or was read last. */
struct kolk__json_text {
	const char *bytes; /* of a key: good until the next call */
	char *to;	   /* where they are put, if they are put together */
	uint32_t size, max; /* size <= max */
	uint8_t keep;	    /* enum kolk__json_keep */
	bool cut;	    /* there was more than max */
	bool ambiguous; /* U+0000, or half a surrogate pair: readers differ in what they make of it */
};

struct kolk__json {
	uint64_t at;	    /* offset of the next byte in the text */
	uint64_t token_at;  /* offset of the token that is being read, or was read last */
	uint64_t bytes_max; /* of the whole text */
	uint32_t depth;	    /* containers that are open */
	uint32_t depth_max; /* 1 ... KOLK__JSON_DEPTH_MAX */
	uint32_t report_depth; /* tokens inside of more containers are not reported */
	enum kolk_err err;  /* stays */
	uint8_t state, token;
	/* a string: */
	uint8_t part; /* plain, or a kind of escape */
	bool is_key;
	uint8_t hex_left;  /* digits of \uXXXX that are missing */
	uint8_t utf8_left; /* continuation bytes that are missing, and bounds of the next one */
	uint8_t utf8_low, utf8_high;
	uint16_t unit, surrogate; /* UTF-16: being read; the first half of a pair, or 0 */
	/* a number or literal: */
	uint8_t number;
	const char *literal; /* what is missing of it */
	uint8_t literal_token;
	uintptr_t origin; /* during a call: where the text would begin, if all of it were there */
	struct kolk__json_text text; /* of the token */
	struct kolk__json_text next; /* what was asked for by kolk__json_keep */
	char key[KOLK__JSON_KEY_MAX];
	bool in_object; /* the innermost open container is one */
	/* Bit n: the n-th open container is an object. */
	uint64_t objects[KOLK__JSON_DEPTH_MAX / 64];
};

/* Begin a text: reports tokens at every depth, until report_depth is set. */
void kolk__json_begin(struct kolk__json *json, uint64_t bytes_max, uint32_t depth_max);
/* Keep the text of the next value if it is a string or a number, in max bytes at `bytes`. */
void kolk__json_keep(struct kolk__json *json, enum kolk__json_keep keep, char *bytes,
		     uint32_t max);
/* The next token of the piece *at, of which *left bytes are left. KOLK_E_PROTOCOL: this is
 * no JSON; KOLK_E_LIMIT: too deep, too long. A key is always kept (json->text). A number
 * ends with the byte behind it. */
enum kolk_err kolk__json_next(struct kolk__json *json, const uint8_t **at, size_t *left,
			      enum kolk__json_token *token);
/* The text ends here. KOLK_OK: it was one value; a number that is the whole text is not
 * reported. */
enum kolk_err kolk__json_end(struct kolk__json *json);

/* A string or number is being read, and it is a value. */
bool kolk__json_in_scalar(const struct kolk__json *json);

#endif
