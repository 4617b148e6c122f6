/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h - the envelope of a whole message in memory, and texts of JSON. */
#ifndef KOLK_DRIVERS_MCP_PARTS_H
#define KOLK_DRIVERS_MCP_PARTS_H

#include <kolk/base.h>
#include <kolk/error.h>
#include <string.h>

/* A part of a text; size 0 = it is not there. */
struct mcp_text {
	const char *data;
	size_t size;
};

/* A message of JSON-RPC: a request has method and id, a notification method alone, an answer result
 * or error. */
struct mcp_message {
	struct mcp_text id;      /* JSON */
	struct mcp_text method;  /* decoded */
	struct mcp_text params, result, error; /* JSON */
	struct mcp_text token;   /* params.progressToken of a notification, otherwise that of
				  * params._meta; JSON */
	struct mcp_text version; /* result.protocolVersion, decoded */
	struct mcp_text meta;    /* params._meta, JSON */
	struct mcp_text subscription; /* the subscriptionId in it, JSON */
	struct mcp_text meta_version; /* the protocol version in it, decoded */
	struct mcp_text modern[3]; /* what only requests of the modern era say in it, JSON: version,
				    * capabilities, client */
	struct mcp_text name;    /* params.name, or params.uri if there is none, decoded */
	int32_t error_code;
	bool too_long;           /* an answer: of it the id is known, the rest was dropped */
};

/* The digits of a number, without a zero behind them: at most MCP_DIGITS. Returns how many. */
enum { MCP_DIGITS = 20 };
size_t kolk__mcp_digits(char *at, uint64_t number);

/* Whether an answer is that of our request of this id. An error may name none, when the server
 * could not read the request: it is of the exchange that carries it. */
bool kolk__mcp_is_answer_to(const struct mcp_message *message, uint64_t id);

typedef void kolk__mcp_message_fn(void *user, const struct mcp_message *message);

/* Where to look, and what for. */
struct mcp_reading {
	const char *text;
	size_t size;
	uint32_t batch_max;      /* messages in an array; 0 = no arrays */
	kolk__mcp_message_fn *show;
	void *user;
};

/* Show the message in this text, or those of an array, one by one. Errors: E_PROTOCOL (it is no
 * JSON, or no message; those before it were shown), E_LIMIT (too deep). */
enum kolk_err kolk__mcp_messages_read(const struct mcp_reading *reading);

/* Whether a text is one JSON object, or one JSON value. */
bool kolk__mcp_is_object(const char *text, size_t size);
bool kolk__mcp_is_json(const char *text, size_t size);
/* Write a JSON string of this text, at most 6 bytes for each of it and 2; returns its end. */
char *kolk__mcp_json_string(char *at, struct mcp_text text);

static inline bool mcp_text_is(struct mcp_text text, const char *word)
{
	return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

/* Whether it is a version of the protocol with sessions that is spoken here. */
bool kolk__mcp_version_known(struct mcp_text version);

static inline struct mcp_text mcp_text_of(const char *text)
{
	return (struct mcp_text){ text, strlen(text) };
}

#endif
