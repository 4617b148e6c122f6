/* SPDX-License-Identifier: Apache-2.0 */
/* tools.h - what the checks of pooled tools share. */
#ifndef KOLK_GATEWAY_CONFIG_TOOLS_H
#define KOLK_GATEWAY_CONFIG_TOOLS_H

#include "tools/gateway/config/file.h"
#include "tools/gateway/tool/template.h"

/* tools.c. Memory of the configuration: user is the check. */
void *gw_tool_memory(void *user, size_t size);
/* What makes the templates of a tool. */
struct gw_template_maker gw_tool_maker(struct gw_check *check, struct gw_tool *tool);
/* Read a template, or a list of them, from a place. False = it is wrong, which is reported. */
bool gw_tool_template_make(const struct gw_template_maker *maker,
			   const struct kolk_config_place *place, const char *text,
			   struct gw_template *made);
bool gw_tool_words_make(const struct gw_template_maker *maker, const struct kolk_config_place *list,
			const char *const *words, struct gw_words *made);

/* tools_http.c */
void gw_tool_http_check(struct gw_check *check, struct gw_tool *tool);

#endif
