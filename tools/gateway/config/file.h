/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - the section `gateway` on its way: read, checked, ready.
 *
 *   rows.c             which keys there are, and which field each is; balancer_rows.c,
 *                      tools_rows.c
 *   config.c           from a file to a configuration, and its end
 *   fixed.c            what a program that runs cannot change
 *   listen.c           what is wrong with listeners
 *   balancer.c         what is wrong with balancers
 *   route.c            what is wrong with routes
 *   federation.c       what is wrong with several MCP servers behind a route
 *   mcp.c              what is wrong with the authorisation of MCP routes; its texts
 *   tool_rules.c       what is wrong with rules of tools
 *   tenants.c          what is wrong with tenants and trusted proxies
 *   tracing.c          what is wrong with tracing
 *   tools.c            what is wrong with pooled tools, and what is made of them
 *   files.c            whether programs, directories and addresses of the file can be used here
 */
#ifndef KOLK_GATEWAY_CONFIG_FILE_H
#define KOLK_GATEWAY_CONFIG_FILE_H

#include "tools/gateway/config/config.h"

/* What the file is read into: the program's struct of a struct kolk_config. */
struct gw_file {
	struct gw_config config;
	struct kolk_config_list listen; /* struct gw_listener */
	struct kolk_config_list balancers; /* struct gw_balancer_options */
	struct kolk_config_list routes; /* struct gw_route */
	struct kolk_config_list tools; /* struct gw_tool: beside `gateway` */
	const char *const *trusted_proxies;
	const struct kolk_config_place *place;
};

/* rows.c: what a program with this section is. */
extern const struct kolk_section gw_file_section;
extern const struct kolk_section gw_file_section_silent; /* `listen` may be missing */

/* balancer_rows.c: of an item of `members`, of `balancers`. */
extern const struct kolk_option_table gw_member_rows, gw_balancer_rows;

/* A configuration that is being checked. */
struct gw_check {
	struct kolk_config *config;
	struct gw_file *file;
	struct kolk_config_error *error;
};

/* Report a mistake at a place, with a suggestion. Always false. */
#define gw_wrong(check, place, suggestion, ...) \
	kolk_config_wrong((check)->config, (check)->error, place, suggestion, __VA_ARGS__)
/* Where a key of a map in a map stands; where the map does; else the outer one. */
const struct kolk_config_place *gw_place(const struct kolk_config_place *outer, const char *map,
					 const char *key);
/* A copy that lives as long as the configuration, in small letters; NULL and the error said. */
char *gw_copy_lower(struct gw_check *check, const char *text, size_t size);
/* Whether a text is a token (RFC 9110, section 5.6.2). */
bool gw_is_token(const char *text);
/* Whether every byte is visible ASCII or a space. */
bool gw_is_printable(const char *text);

/* An address of IPv4 (mapped into IPv6) or IPv6. */
bool gw_address_read(const char *text, uint8_t address[16]);
/* The address behind "tcp://" or "tls://", as the library reads it; *tls: it was "tls://". */
const char *gw_address_without_scheme(const char *address, bool *tls);

/* Each reports what is wrong. listen.c; its files once all else is right: */
void gw_listeners_check(struct gw_check *check);
void gw_listeners_files_check(struct gw_check *check);
/* balancer.c */
void gw_balancers_check(struct gw_check *check);
/* route.c; the pool that the key of a map names: it is there, and speaks HTTP, or, with
 * sessions, is an MCP server's. */
void gw_routes_check(struct gw_check *check);
void gw_pool_check(struct gw_check *check, const struct kolk_config_place *place, const char *name,
		   bool sessions);
/* federation.c: a route that has `federation`. */
void gw_federation_check(struct gw_check *check, struct gw_route *route);
/* mcp.c: mcp.resource of a route, and what is made of it. */
void gw_mcp_route_check(struct gw_check *check, struct gw_route *route);
/* mcp.client_token with a pool, by its name and number. */
void gw_mcp_pass_check(struct gw_check *check, const struct gw_route *route, const char *name,
		       uint32_t pool);
/* tool_rules.c: mcp.tools_* of a route; and, when all else is right, the rules of all routes: */
void gw_route_tools_check(struct gw_check *check, struct gw_route *route);
void gw_route_tools_make(struct gw_check *check);
/* tenants.c; the files of tokens and keys, into config.tenants: */
void gw_tenants_check(struct gw_check *check);
void gw_tenants_load(struct gw_check *check);
/* tools.c; the tools that a route names, once these are checked: */
void gw_tools_check(struct gw_check *check);
void gw_tools_route_check(struct gw_check *check, struct gw_route *route);
/* tracing.c */
void gw_tracing_check(struct gw_check *check);
/* warm.c */
void gw_warm_check(struct gw_check *check);
/* files.c, once all else is right. What the program uses while it runs: programs, directories, local
 * addresses; of children, too, which kolk_config_try looks at. What a start opens; with warnings it is
 * only a check, and what kolk-gateway.service makes need not be there: that is a warning. What may
 * come later, too. */
void gw_used_check(struct gw_check *check, bool children);
void gw_opened_check(struct gw_check *check, struct kolk_config_error *warnings);
void gw_later_check(struct gw_check *check);

#endif
