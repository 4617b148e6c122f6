/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_messages.h - messages of MCP clients: literals, and formats where a part is "%s". */
#ifndef KOLK_TESTS_GATEWAY_MCP_MESSAGES_H
#define KOLK_TESTS_GATEWAY_MCP_MESSAGES_H

#define REQUEST(id, method, params) \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\",\"params\":{" params "}}"
#define CALL(id, tool, arguments) \
	REQUEST(id, "tools/call", "\"name\":\"" tool "\",\"arguments\":{" arguments "}")
#define CLIENT_INFO "\"name\":\"t\",\"version\":\"1\""
#define INITIALIZE_WITH(id, version, capabilities)                                       \
	REQUEST(id, "initialize", "\"protocolVersion\":\"" version "\",\"capabilities\":{" \
		capabilities "},\"clientInfo\":{" CLIENT_INFO "}")
#define INITIALIZE(version, capabilities) INITIALIZE_WITH("1", version, capabilities)
#define INITIALIZED "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"
#define CANCEL(id)                                                                        \
	"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":" \
	id "}}"

/* Of stateless requests. more: members with a comma behind each. */
#define META_MEMBERS(capabilities)                                    \
	"\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"," \
	"\"io.modelcontextprotocol/clientCapabilities\":{" capabilities "}"
#define META_OF(more, capabilities, client)              \
	"\"_meta\":{" more META_MEMBERS(capabilities) "," \
	"\"io.modelcontextprotocol/clientInfo\":{" client "}}"
#define META(more, capabilities) META_OF(more, capabilities, CLIENT_INFO)
#define MODERN_FIELDS(method) "Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: " method "\r\n"
#define MODERN_CALL_FIELDS(tool) MODERN_FIELDS("tools/call") "Mcp-Name: " tool "\r\n"

#endif
