/* SPDX-License-Identifier: Apache-2.0 */
/* tools.h - what the fixture serves: methods, tools, prompts, resources. */
#ifndef KOLK_MCP_TOOLS_H
#define KOLK_MCP_TOOLS_H

#include "tests/mcp/inside.h"

struct mcp_method {
	const char *name;
	void (*run)(struct mcp_call *call);
	uint8_t eras;                  /* MCP_LEGACY | MCP_MODERN */
	const char *named;             /* the parameter that Mcp-Name mirrors; NULL = none */
	bool cached;                   /* its result says ttlMs and cacheScope */
};
enum { MCP_LEGACY = 1, MCP_MODERN = 2 };

struct mcp_tool {
	const char *name, *description;
	const char *schema;            /* JSON; NULL = no arguments */
	void (*run)(struct mcp_call *call);
};

/* methods.c */
const struct mcp_method *mcp_method_find(const char *name, unsigned era);
void mcp_request(struct mcp_stream *stream, json_t *message, const struct mcp_exchange *exchange);
void mcp_notification(struct mcp_fixture *fixture, struct mcp_session *session,
		      const json_t *message);
json_t *mcp_server_info(void);
json_t *mcp_capabilities_of_server(bool modern);

/* tools.c, and the tools */
json_t *mcp_tools_list(void);
const struct mcp_tool *mcp_tool_find(const char *name);
json_t *mcp_tool_schema(struct mcp_fixture *fixture, const char *name);
const char *mcp_argument(const struct mcp_call *call, const char *name, const char *otherwise);
uint64_t mcp_argument_number(const struct mcp_call *call, const char *name, uint64_t otherwise);
void mcp_text_result(struct mcp_call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void mcp_tool_error(struct mcp_call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
extern const struct mcp_tool mcp_tools_content[], mcp_tools_input[], mcp_tools_own[];
extern const char mcp_image[], mcp_audio[];

/* prompts.c, resources.c */
json_t *mcp_prompts_list(void);
void mcp_prompts_get(struct mcp_call *call);
json_t *mcp_resources_list(void);
json_t *mcp_templates_list(void);
void mcp_resources_read(struct mcp_call *call);

#endif
