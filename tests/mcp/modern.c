/* SPDX-License-Identifier: Apache-2.0 */
/* modern.c - 2026-07-28: the envelope of a request, the fields that mirror it, its one answer. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/mcp/tools.h"

static const json_t *meta_of(const json_t *message)
{
	return json_object_get(json_object_get(message, "params"), "_meta");
}

static const char *method_of(const json_t *message)
{
	return json_string_value(json_object_get(message, "method"));
}

static bool is_legacy_version(const char *version)
{
	for (size_t i = 0; i < MCP_2026_07_28; i++)
		if (strcmp(mcp_versions[i], version) == 0)
			return true;
	return false;
}

bool mcp_is_modern(const struct mcp_exchange *exchange, const json_t *message)
{
	const char *version, *method = method_of(message);

	if (json_object_get(meta_of(message), MCP_META("protocolVersion")) != NULL)
		return true;
	if (method != NULL && strcmp(method, "server/discover") == 0)
		return true;
	if (exchange == NULL)
		return false;
	version = mcp_field(exchange, "mcp-protocol-version");
	if (version != NULL)
		return strcmp(version, mcp_versions[MCP_2026_07_28]) == 0 ||
		       (!is_legacy_version(version) && mcp_field(exchange, "mcp-method") != NULL);
	return mcp_field(exchange, "mcp-method") != NULL;
}

/* ---- fields */

static json_t *mismatch(struct mcp_fixture *fixture, const char *field, const char *why)
{
	char text[160];

	mcp_count(fixture, MCP_N_header_mismatches, 1);
	snprintf(text, sizeof text, "%s: %s", field, why);
	return mcp_error_object(MCP_HEADER_MISMATCH, text, NULL);
}

/* The field must say what the body does (NULL = it says nothing). */
static json_t *field_error(const struct mcp_exchange *exchange, const char *name, const char *body)
{
	const char *value = mcp_field(exchange, name);
	char *text;
	bool same;

	if (value == NULL)
		return body == NULL ? NULL : mismatch(exchange->fixture, name, "missing");
	text = mcp_decoded(value);
	if (text == NULL)
		return mismatch(exchange->fixture, name, "no base64");
	same = body != NULL && strcmp(text, body) == 0;
	free(text);
	return same ? NULL : mismatch(exchange->fixture, name, "not what the body says");
}

static json_t *param_error(const struct mcp_exchange *exchange, const char *header,
			   const json_t *value)
{
	char name[96], *text = NULL;
	json_t *error;

	snprintf(name, sizeof name, "mcp-param-%s", header);
	for (char *at = name; *at != '\0'; at++)
		*at = *at >= 'A' && *at <= 'Z' ? (char)(*at | 32) : *at;
	if (json_is_string(value))
		text = strdup(json_string_value(value));
	else if (value != NULL && !json_is_null(value))
		text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	error = field_error(exchange, name, text);
	free(text);
	return error;
}

/* Arguments that the tool's schema annotates. */
static json_t *params_error(const struct mcp_exchange *exchange, const json_t *params)
{
	const char *tool = json_string_value(json_object_get(params, "name")), *name;
	json_t *schema = tool != NULL ? mcp_tool_schema(exchange->fixture, tool) : NULL;
	json_t *property, *error;

	json_object_foreach(json_object_get(schema, "properties"), name, property) {
		const json_t *header = json_object_get(property, "x-mcp-header");

		if (header == NULL)
			continue;
		error = param_error(exchange, json_string_value(header),
				    json_object_get(json_object_get(params, "arguments"), name));
		if (error != NULL)
			return error;
	}
	return NULL;
}

static json_t *fields_error(const struct mcp_exchange *exchange, const json_t *message)
{
	const json_t *params = json_object_get(message, "params");
	const struct mcp_method *method = mcp_method_find(method_of(message), MCP_MODERN);
	json_t *error = field_error(exchange, "mcp-method", method_of(message));

	if (error == NULL && method != NULL && method->named != NULL)
		error = field_error(exchange, "mcp-name",
				    json_string_value(json_object_get(params, method->named)));
	if (error == NULL && method != NULL && strcmp(method->name, "tools/call") == 0)
		error = params_error(exchange, params);
	return error;
}

/* ---- the envelope */

json_t *mcp_modern_error(struct mcp_fixture *fixture, const json_t *message,
			 const struct mcp_exchange *exchange, uint32_t *status)
{
	const json_t *meta = meta_of(message);
	const char *version = json_string_value(json_object_get(meta, MCP_META("protocolVersion")));
	json_t *error;

	*status = 400;
	if (version == NULL || !json_is_object(json_object_get(meta, MCP_META("clientCapabilities"))))
		return mcp_error_object(MCP_PARAMS,
					"_meta needs protocolVersion and clientCapabilities", NULL);
	error = exchange != NULL ? field_error(exchange, "mcp-protocol-version", version) : NULL;
	if (error != NULL)
		return error;
	if (strcmp(version, mcp_versions[MCP_2026_07_28]) != 0 ||
	    (fixture->versions & 1u << MCP_2026_07_28) == 0)
		return mcp_error_object(MCP_NO_VERSION, "Unsupported protocol version",
					json_pack("{s:[s], s:s}", "supported",
						  mcp_versions[MCP_2026_07_28], "requested", version));
	error = exchange != NULL ? fields_error(exchange, message) : NULL;
	if (error != NULL)
		return error;
	*status = 404;
	return mcp_method_find(method_of(message), MCP_MODERN) != NULL ? NULL :
		mcp_error_object(MCP_NO_METHOD, "Method not found", NULL);
}

void mcp_post_modern(struct mcp_exchange *exchange, json_t *message)
{
	struct mcp_fixture *fixture = exchange->fixture;
	struct mcp_stream *stream;
	uint32_t status;
	json_t *error;

	if (json_is_object(message) && json_object_get(message, "id") == NULL) {
		/* Of which the core has none over HTTP. */
		mcp_notification(fixture, NULL, message);
		mcp_accepted(exchange);
		return;
	}
	if (method_of(message) == NULL) {
		mcp_refuse(exchange, 400, MCP_INVALID, "Invalid Request");
		return;
	}
	error = mcp_modern_error(fixture, message, exchange, &status);
	if (error != NULL) {
		error = mcp_error_message(json_object_get(message, "id"), error);
		mcp_reply(exchange, &(struct mcp_reply){ .status = status, .type = "application/json",
							 .text = json_dumps(error, JSON_COMPACT) });
		json_decref(error);
		return;
	}
	stream = mcp_stream_new(fixture, NULL);
	stream->pending = 1;
	mcp_stream_attach(stream, exchange);
	mcp_request(stream, message, exchange);
}
