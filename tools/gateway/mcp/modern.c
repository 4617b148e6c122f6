/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modern.c - stateless requests (version 2026-07-28): whether a request is one, and whether its
 * header says what its body does.
 */
#include <mbedtls/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/mcp/modern.h"

enum { HEADER_MISMATCH = -32020, VERSION_UNSUPPORTED = -32022, INVALID_PARAMS = -32602 };

static const char *field(const struct gw_exchange *x, const char *name)
{
	return kolk_http_field(x->head->fields, x->head->field_count, name);
}

static bool is_legacy(const char *version)
{
	return strncmp(version, "2024-", 5) == 0 || strncmp(version, "2025-", 5) == 0;
}

bool gw_mcp_is_modern(const struct gw_exchange *x, const struct kolk_mcp_envelope *message)
{
	const char *version = x != NULL ? field(x, "mcp-protocol-version") : NULL;

	if (message != NULL && (message->meta_version[0] != '\0' ||
				strcmp(message->method, "server/discover") == 0))
		return true;
	if (version != NULL && is_legacy(version))
		return false;
	if (version != NULL && strcmp(version, GW_MCP_MODERN) == 0)
		return true;
	return x != NULL && field(x, "mcp-method") != NULL;
}

/* Methods that this version took away. They would change a session that others use. */
bool gw_mcp_is_subscription(const struct gw_mcp_call *call)
{
	return call->modern && strcmp(call->message->method, "subscriptions/listen") == 0;
}

bool gw_mcp_is_removed(const char *method)
{
	static const char *const methods[] = { "initialize", "ping", "logging/setLevel",
					       "resources/subscribe", "resources/unsubscribe" };

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (strcmp(methods[i], method) == 0)
			return true;
	return false;
}

/* ---- the header */

static const char begins[] = "=?base64?", ends[] = "?=";

/* Whether a field says this text: as it is, or in base64. */
static bool says(const char *value, const char *text, size_t size)
{
	size_t length = strlen(value), room = length + 1, decoded = 0;
	unsigned char *bytes;
	bool same;

	if (strncmp(value, begins, sizeof begins - 1) != 0 || length < sizeof begins + 1 ||
	    strcmp(value + length - 2, ends) != 0)
		return length == size && memcmp(value, text, size) == 0;
	bytes = malloc(room);
	same = bytes != NULL &&
	       mbedtls_base64_decode(bytes, room, &decoded,
				     (const unsigned char *)value + sizeof begins - 1,
				     length - (sizeof begins - 1) - 2) == 0 &&
	       decoded == size && memcmp(bytes, text, size) == 0;
	free(bytes);
	return same;
}

static bool is_named(const char *method)
{
	return strcmp(method, "tools/call") == 0 || strcmp(method, "prompts/get") == 0 ||
	       strcmp(method, "resources/read") == 0;
}

static bool is_name_right(const struct gw_exchange *x, const struct kolk_mcp_envelope *message)
{
	const char *value = field(x, "mcp-name");
	bool right;
	char *text;

	if (!is_named(message->method))
		return true;
	if (value == NULL || message->name.size == 0)
		return value == NULL && message->name.size == 0;
	text = malloc(message->name.size);
	right = text != NULL && says(value, text, kolk_mcp_decode(message->name, text));
	free(text);
	return right;
}

/* A field that must be there, and say this. */
static bool is_right(const struct gw_exchange *x, const char *name, const char *text)
{
	const char *value = field(x, name);

	return value != NULL && says(value, text, strlen(text));
}

/* ---- what is wrong with a request: NULL = nothing; otherwise an error of JSON-RPC, and its status */

static const char *print_error(char error[256], int code, const char *text)
{
	snprintf(error, 256, "{\"code\":%d,\"message\":\"%s\"}", code, text);
	return error;
}

/* What can stand in JSON as it is. */
static const char *repeatable(const char *text)
{
	for (const char *at = text; *at != '\0'; at++)
		if (*at < ' ' || *at > '~' || *at == '"' || *at == '\\')
			return "";
	return text;
}

const char *gw_mcp_modern_flaw(const struct gw_exchange *x, const struct kolk_mcp_envelope *message,
			       char error[256])
{
	if (message->meta_version[0] == '\0' || message->meta_capabilities.size == 0 ||
	    message->meta_capabilities.data[0] != '{')
		return print_error(error, INVALID_PARAMS,
				   "_meta needs io.modelcontextprotocol/protocolVersion and "
				   "io.modelcontextprotocol/clientCapabilities");
	if (x != NULL && !is_right(x, "mcp-protocol-version", message->meta_version))
		return print_error(error, HEADER_MISMATCH,
				   "MCP-Protocol-Version is missing, or not what _meta says");
	if (strcmp(message->meta_version, GW_MCP_MODERN) != 0) {
		snprintf(error, 256,
			 "{\"code\":%d,\"message\":\"Unsupported protocol version\",\"data\":"
			 "{\"supported\":[\"" GW_MCP_MODERN "\"],\"requested\":\"%s\"}}",
			 VERSION_UNSUPPORTED, repeatable(message->meta_version));
		return error;
	}
	if (x != NULL && !is_right(x, "mcp-method", message->method))
		return print_error(error, HEADER_MISMATCH, "Mcp-Method is missing, or not the method");
	if (x != NULL && !is_name_right(x, message))
		return print_error(error, HEADER_MISMATCH, "Mcp-Name is missing, or not the name");
	return NULL;
}

/* ---- a server with sessions behind it */

static bool is_cacheable(const char *method)
{
	static const char *const methods[] = { "server/discover", "tools/list", "prompts/list",
					       "resources/list", "resources/templates/list",
					       "resources/read" };

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (strcmp(methods[i], method) == 0)
			return true;
	return false;
}

/* What results of this version say besides, in front of what the server said. */
const char *gw_mcp_modern_members(const struct gw_mcp_call *call)
{
	const char *method = call->message->method;

	if (strcmp(method, "server/discover") == 0)
		return "\"resultType\":\"complete\",\"supportedVersions\":[\"" GW_MCP_MODERN
		       "\"],\"ttlMs\":0,\"cacheScope\":\"private\"";
	return is_cacheable(method) ?
		       "\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\"" :
		       "\"resultType\":\"complete\"";
}

/* Once more does no harm. Most are calls of tools. */
bool gw_mcp_is_replayable(const char *method)
{
	if (strcmp(method, "tools/call") == 0)
		return false;
	return is_cacheable(method) || strcmp(method, "prompts/get") == 0 ||
	       strcmp(method, "completion/complete") == 0 || strcmp(method, "ping") == 0;
}
