/* SPDX-License-Identifier: Apache-2.0 */
/* message.h - what is known of a JSON-RPC message of MCP. */
#ifndef KOLK_MCP_MESSAGE_H
#define KOLK_MCP_MESSAGE_H

#include "transport/drivers/mcp/json.h"

/* Field, level (whose member it is), name, how its text is kept, bytes that are kept at
 * most. */
#define KOLK__MCP_FIELD_TABLE(X) \
	X(JSONRPC, MESSAGE, "jsonrpc", KEEP_DECODED, 8) \
	X(ID, MESSAGE, "id", KEEP_RAW, 256) \
	X(METHOD, MESSAGE, "method", KEEP_DECODED, 128) \
	X(PARAMS, MESSAGE, "params", KEEP_NOTHING, 0) \
	X(RESULT, MESSAGE, "result", KEEP_NOTHING, 0) \
	X(ERROR, MESSAGE, "error", KEEP_NOTHING, 0) \
	X(NAME, PARAMS, "name", KEEP_DECODED, 256) \
	X(URI, PARAMS, "uri", KEEP_DECODED, 2048) \
	X(PROGRESS_TOKEN, PARAMS, "progressToken", KEEP_RAW, 256) /* notifications/progress */ \
	X(REQUEST_ID, PARAMS, "requestId", KEEP_RAW, 256) /* notifications/cancelled */ \
	X(INITIALIZE_VERSION, PARAMS, "protocolVersion", KEEP_DECODED, 32) /* initialize */ \
	X(INITIALIZE_CAPABILITIES, PARAMS, "capabilities", KEEP_NOTHING, 0) /* likewise */ \
	X(INITIALIZE_CLIENT, PARAMS, "clientInfo", KEEP_NOTHING, 0) /* likewise */ \
	X(PARAMS_META, PARAMS, "_meta", KEEP_NOTHING, 0) \
	X(RESULT_VERSION, RESULT, "protocolVersion", KEEP_DECODED, 32) /* of initialize */ \
	X(RESULT_TYPE, RESULT, "resultType", KEEP_DECODED, 32) \
	X(RESULT_META, RESULT, "_meta", KEEP_NOTHING, 0) \
	X(CODE, ERROR, "code", KEEP_RAW, 32) \
	X(META_TOKEN, META, "progressToken", KEEP_RAW, 256) \
	X(META_VERSION, META, "io.modelcontextprotocol/protocolVersion", KEEP_DECODED, 32) \
	X(META_CAPABILITIES, META, "io.modelcontextprotocol/clientCapabilities", KEEP_NOTHING, \
	  0) \
	X(META_CLIENT, META, "io.modelcontextprotocol/clientInfo", KEEP_NOTHING, 0) \
	X(META_SUBSCRIPTION, META, "io.modelcontextprotocol/subscriptionId", KEEP_RAW, 256)

enum kolk__mcp_field_name {
#define X(field, level, name, keep, max) MCP_##field,
	KOLK__MCP_FIELD_TABLE(X)
#undef X
		KOLK__MCP_FIELDS,
};

enum {
#define X(field, level, name, keep, max) +max
	KOLK__MCP_TEXT_MAX =
		KOLK__MCP_FIELD_TABLE(X), /* a buffer that is large enough for every message */
#undef X
};

enum kolk__mcp_kind {
	MCP_INVALID, /* no message of JSON-RPC 2.0: `fault` says why */
	MCP_REQUEST,
	MCP_NOTIFICATION,
	MCP_RESULT_ANSWER,
	MCP_ERROR_ANSWER,
};

/* Fault, code of JSON-RPC that answers it, text. */
#define KOLK__MCP_FAULT_TABLE(X) \
	X(NONE, 0, "no fault") \
	X(JSON, -32700, "this is not JSON") \
	X(TOO_DEEP_OR_LONG, -32700, "nested too deeply, or too long") \
	X(NO_MESSAGE, -32600, "a message is an object") \
	X(BATCH_EMPTY, -32600, "a batch without messages") \
	X(BATCH_LONG, -32600, "too many messages in a batch") \
	X(JSONRPC, -32600, "jsonrpc must be 2.0") \
	X(SHAPE, -32600, \
	  "neither request, notification, result nor error, or more than one of them") \
	X(ID, -32600, "an id is a string or an integer") \
	X(METHOD, -32600, "a method is a string") \
	X(PARAMS, -32600, "params and _meta are objects") \
	X(TOKEN, -32600, "a progress token is a string or an integer") \
	X(ERROR, -32600, "an error is an object with an integer code") \
	X(VERSION, -32600, "a protocol version is a string") \
	X(TWICE, -32600, "a member occurs twice") \
	X(LOOKALIKE, -32600, "a name differs from a member's in case alone") \
	X(AMBIGUOUS, -32600, \
	  "U+0000 or half a surrogate pair in a name or in what identifies a message") \
	X(TEXT_LONG, -32600, "an id, a method or a token is too long")

enum kolk__mcp_fault {
#define X(fault, code, text) MCP_FAULT_##fault,
	KOLK__MCP_FAULT_TABLE(X)
#undef X
};

enum kolk__mcp_type {
	MCP_STRING,
	MCP_INTEGER,
	MCP_NUMBER, /* with a fraction or an exponent */
	MCP_BOOLEAN,
	MCP_NULL,
	MCP_OBJECT,
	MCP_ARRAY,
};

/* A value, once it is known. */
struct kolk__mcp_field {
	uint64_t at,
		size; /* its bytes in the text: offset from the beginning of the whole text */
	const char *text; /* strings and numbers of fields that are kept; not terminated */
	uint32_t text_size;
	uint8_t type; /* enum kolk__mcp_type */
	bool cut;     /* the text was longer than what is kept */
};

struct kolk__mcp_message {
	enum kolk__mcp_kind kind;   /* when it is whole */
	enum kolk__mcp_fault fault; /* the first, as soon as it is seen */
	uint64_t at, size;	    /* its bytes in the text; size: when it is whole */
	uint32_t known;		    /* bits of the fields whose values have been read whole */
	int32_t code;		    /* MCP_CODE */
	struct kolk__mcp_field fields[KOLK__MCP_FIELDS];
};

static inline bool kolk__mcp_has(const struct kolk__mcp_message *message,
				 enum kolk__mcp_field_name field)
{
	return (message->known >> field & 1) != 0;
}

/* The field is a string or integer, and not cut: what an id or a token has to be. */
bool kolk__mcp_has_token(const struct kolk__mcp_message *message,
			 enum kolk__mcp_field_name field);
/* The field is a string, and this one. */
bool kolk__mcp_is(const struct kolk__mcp_message *message, enum kolk__mcp_field_name field,
		  const char *text);
/* A string that is kept raw, decoded into `out` (at most size bytes): two spellings of an id
 * become equal. A number stays what it is. Returns the decoded size. */
size_t kolk__mcp_decode(char *out, const char *raw, size_t size);

int32_t kolk__mcp_fault_code(enum kolk__mcp_fault fault);
const char *kolk__mcp_fault_text(enum kolk__mcp_fault fault);

/* For envelope.c: a field has become known. Its fault, if it has one. */
enum kolk__mcp_fault kolk__mcp_check_field(struct kolk__mcp_message *message,
					   enum kolk__mcp_field_name field);
/* The kind of a message without a fault, all of whose fields are known. MCP_INVALID: *fault. */
enum kolk__mcp_kind kolk__mcp_kind_of(const struct kolk__mcp_message *message,
				      enum kolk__mcp_fault *fault);

#endif
