/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - what the configuration file says to kolk-gateway: its section `gateway`, checked.
 *
 * A configuration does not change once it is loaded. Texts, lists and structs of the library's
 * options live as long as it. In numbers 0 is the default, as in the library's options; lists are
 * NULL-terminated, and NULL when they are empty. What is one row of a table of options has a kind
 * of kolk/options.h: uint32_t, uint64_t, const char * or const char *const *.
 */
#ifndef KOLK_GATEWAY_CONFIG_H
#define KOLK_GATEWAY_CONFIG_H

#include <kolk/http_server.h>
#include <kolk/ops/section.h>

#include "tools/gateway/config/balancer.h"
#include "tools/gateway/config/mcp.h"
#include "tools/gateway/config/warm.h"

struct gw_tool;
struct gw_tenants; /* tenant.h: tokens and keys that were read */

/* An item of `listen`. options.tls is &tls where the file has `tls`, and certificate is its first;
 * options.handler and user are the server's. */
struct gw_listener {
	const char *socket_name; /* `socket`: FileDescriptorName of socket activation
				  * (sd_listen_fds(3)); options.address where none is passed */
	struct kolk_listener_options options;
	struct kolk_listener_tls tls;
	struct kolk_certificate certificate;
	const char *unix_mode;   /* `unix_mode`: octal digits; options.unix_mode is the number */
	const struct kolk_config_place *place; /* in the file: for kolk_config_wrong */
};

/* `tenants.from`: how a request says who asks. */
enum gw_tenants_from {
	GW_TENANTS_NONE = 0,           /* nobody is told apart */
	GW_TENANTS_BEARER,             /* Authorization: Bearer, by the digests in file */
	GW_TENANTS_HEADER,             /* the field `header`, from trusted proxies alone */
	GW_TENANTS_CLIENT_CERTIFICATE, /* the subject of the client's certificate */
	GW_TENANTS_JWT                 /* a signed bearer token, by keys of a file or a URL */
};

#define GW_KEYS_REFRESH_NS (600 * KOLK_S_NS)
#define GW_KEYS_MAX_AGE_NS (24 * 3600 * KOLK_S_NS)

struct gw_tenants_options {
	uint32_t from;         /* enum gw_tenants_from */
	uint32_t reserved;
	const char *file;      /* of BEARER: lines "NAME SHA-256 in hex" */
	const char *header;    /* of HEADER: lower case */
	const char *issuer;    /* of JWT: required iss; NULL = any (in the file: "any") */
	const char *audience;  /* of JWT: required in aud; NULL = any (likewise) */
	const char *keys_file; /* of JWT: a JWKS; or keys_url: where one is fetched */
	const char *keys_url;
	const char *keys_ca_file; /* of keys_url: PEM; NULL = the system's anchors */
	const char *claim;     /* of JWT: who it is; NULL = "sub"; of CLIENT_CERTIFICATE: "cn", "dns"
				* or "uri"; NULL = "cn" */
	uint64_t keys_refresh_ns; /* of keys_url: fetched again; 0 = GW_KEYS_REFRESH_NS */
	uint64_t keys_max_age_ns; /* likewise: in force for so long after the last fetch that succeeded;
				   * 0 = GW_KEYS_MAX_AGE_NS; KOLK_FOREVER */
	uint64_t leeway_ns;    /* of JWT: clocks may differ by so much; 0 = 30 s; KOLK_AT_ONCE */
};

/* An address, or a network of them, whose X-Forwarded-* fields and tenant header are believed.
 * IPv4 is mapped into IPv6 (::ffff:a.b.c.d). */
struct gw_network {
	uint8_t address[16];
	uint32_t bits;         /* of the prefix: 0 .. 128 */
};

/* `parents` of tracing: whose traces are continued. */
enum gw_parents {
	GW_PARENTS_ANY = 0,
	GW_PARENTS_TRUSTED     /* those of trusted_proxies */
};

enum { GW_TRACE_QUEUE = 2048 };
#define GW_TRACE_INTERVAL_NS (5 * KOLK_S_NS)
#define GW_TRACE_TIMEOUT_NS (10 * KOLK_S_NS)

/* `tracing`. */
struct gw_tracing_options {
	const char *endpoint;  /* URL of the collector; NULL = no tracing */
	const char *sample;    /* "0" to "1"; NULL = "0.01" */
	const char *service_name; /* NULL = "kolk-gateway" */
	const char *ca_file;   /* PEM; NULL = the system's anchors */
	uint64_t sample_from;  /* of `sample`: trace.h */
	uint32_t parents;      /* enum gw_parents */
	uint32_t queue_max;    /* spans, of each loop; 0 = GW_TRACE_QUEUE */
	uint64_t interval_ns;  /* 0 = GW_TRACE_INTERVAL_NS */
	uint64_t timeout_ns;   /* of an export; 0 = GW_TRACE_TIMEOUT_NS */
};

/* `access_log`. */
struct gw_access_log_options {
	const char *path;      /* "-" = standard error; NULL or "off" = none */
};

enum gw_action {
	GW_ACTION_POOL = 0,    /* passed on to a pool, to one of a balancer, to those of a federation */
	GW_ACTION_ANSWER, GW_ACTION_REDIRECT, /* which are in the file */
	GW_ACTION_TOOLS        /* an MCP server of the gateway's own */
};

/* `host`: what the upstream sees as Host. Another word than these is GW_HOST_NAME. */
enum gw_host {
	GW_HOST_KEEP = 0,      /* what the client sent */
	GW_HOST_UPSTREAM,      /* the address of the pool */
	GW_HOST_NAME           /* host_name */
};

/* `tenant` of a route: whether a request has to say who asks. */
enum gw_route_tenant {
	GW_TENANT_REQUIRED = 1, /* what the file's default is for a pool */
	GW_TENANT_NONE          /* and for an answer or a redirect: all ask as one */
};

/* `ambiguous_path`: a path that servers could read in two ways (path.h). */
enum gw_ambiguous {
	GW_AMBIGUOUS_REFUSE = 0, /* 400 */
	GW_AMBIGUOUS_PASS        /* passed on as it came; segments "." and ".." are refused still */
};

/* An item of `routes`. All parts of a match must hold; NULL = any. */
struct gw_route {
	uint64_t identity;       /* gw_rate_identity */
	uint32_t index;          /* in the order of the file, from 0 */
	uint32_t action;         /* enum gw_action: which of pool, answer, redirect, tools the file has */
	uint32_t tenant;         /* enum gw_route_tenant */

	const char *host;        /* match.host: lower case, without port; "*.name" = below name */
	const char *path;        /* match.path: prefix by whole segments; begins with '/' */
	const char *const *methods; /* match.methods */
	const char *header_name; /* match.header: "name: value"; lower case */
	const char *header_value; /* NULL = whatever it is */
	uint32_t ambiguous_path; /* enum gw_ambiguous */

	const char *pool;        /* this, or the name of a balancer */
	const char *balancer;
	const char *const *tools; /* of GW_ACTION_TOOLS: their names, and these: */
	const struct gw_tool **tool_list;
	uint32_t tool_count, reserved;
	struct kolk_config_list federation; /* struct gw_federation_options; empty = none */
	uint32_t answer_status;  /* answer.status: 200 .. 599; 0 = 200 */
	uint32_t redirect_status; /* redirect.status: 301, 302, 303, 307, 308; 0 = 302 */
	const char *answer_body; /* answer.body; NULL = empty */
	const char *answer_content_type; /* NULL = "text/plain; charset=utf-8" */
	const char *redirect_location;

	uint64_t request_timeout_ns; /* timeouts.request; 0 = the pool's */
	uint64_t idle_timeout_ns; /* timeouts.idle; 0 = the pool's; of tunnels none */
	uint64_t body_bytes_max;  /* limits.body; 0 = the server's; more is 413 */
	uint32_t requests_per_second; /* limits.requests_per_second, of each tenant; 0 = any */
	uint32_t burst;           /* limits.burst; 0 = requests_per_second */

	uint32_t host_mode;      /* host: enum gw_host */
	uint32_t strip_prefix;   /* 1 = the upstream's target is without path */
	const char *host_name;
	const char *const *upgrades; /* protocols that a client may switch to; NULL = websocket; [none] in
				      * the file is an empty list */
	const char *const *mcp_hosts; /* mcp.hosts: by which an MCP route may be reached; NULL = see the
				       * row */
	uint64_t mcp_suspend_ns; /* mcp.suspend_timeout; 0 = 60 s */
	uint32_t mcp_suspended_max; /* mcp.suspended_max; 0 = half of the pool's connections_max */
	uint64_t mcp_age_ns;     /* mcp.stream_age_max; 0 = 24 h; KOLK_FOREVER */
	uint32_t mcp_cache_max; /* mcp.cache_max: bytes; 0 = GW_MCP_CACHE_MAX; KOLK_NONE */
	struct gw_mcp_access access; /* of an MCP route */
	uint32_t request_id;     /* 1 = X-Request-Id is passed on, or made */
	uint32_t cors_credentials; /* cors.credentials */
	const char *const *cors_origins; /* cors.origins; "*" = any; NULL = no CORS */
	const char *const *cors_methods; /* NULL = GET, HEAD, POST */
	const char *const *cors_headers; /* that a request may have; NULL = those it asks for */
	const char *const *cors_expose;
	uint64_t cors_max_age_ns; /* 0 = 10 min */
	const struct kolk_config_place *place; /* in the file */
};

struct gw_config {
	struct kolk_config *pools; /* the rest of the file: engine, admin, pools, tenants' limits */

	struct gw_listener *listeners;
	struct gw_balancer_options *balancers;
	struct gw_route *routes;   /* in the order of the file */
	struct gw_network *trusted; /* trusted_proxies */
	struct gw_tool *tools;     /* beside `gateway`: tool/tool.h */
	uint32_t listener_count, balancer_count, route_count, trusted_count, tool_count;

	struct gw_tenants_options tenants_options;
	struct gw_access_log_options access_log;
	struct gw_tracing_options tracing;
	struct gw_warm_options warm;
	struct kolk_http_server_options server; /* size set; the others as in the file */
	uint64_t drain_timeout_ns; /* from SIGTERM to the end; 0 = 10 s; KOLK_AT_ONCE;
				    * KOLK_FOREVER */

	struct gw_tenants *tenants; /* made with the configuration, freed with it */
	uint32_t views;            /* that own it (route.c), under its lock */
};

/* Read and check a file, with everything that it names: tokens, keys, the pools of routes.
 * *config is set only on KOLK_OK and is then the caller's. Errors: as kolk_config_load. */
KOLK_MUST_CHECK enum kolk_err gw_config_load(const char *path, struct gw_config **config,
					     struct kolk_config_error *error);
/* The same of a program that listens nowhere: the file may be without listeners. */
KOLK_MUST_CHECK enum kolk_err gw_config_load_silent(const char *path, struct gw_config **config,
						    struct kolk_config_error *error);
/* As kolk_config_try, and of all that the file names on this machine: programs, directories, addresses;
 * with listens, what a start opens, too. warnings: what may come later. */
KOLK_MUST_CHECK enum kolk_err gw_config_try(const struct gw_config *config, bool listens,
					    struct kolk_config_error *error,
					    struct kolk_config_error *warnings);
/* The same of a program that starts, or (opens false) has what it opened and reloads; without what
 * kolk_config_open or kolk_config_apply says. */
KOLK_MUST_CHECK enum kolk_err gw_config_usable(const struct gw_config *config, bool opens,
					       struct kolk_config_error *error);
/* Wipe and free it. NULL is allowed. */
void gw_config_free(struct gw_config *config);

/* The pool of this name, and its number in the file (index may be NULL); NULL = there is none. */
const struct kolk_pool_options *gw_config_pool(const struct kolk_config *pools, const char *name,
					       uint32_t *index);

/* Whether the peer is one of trusted_proxies, or at the other end of a Unix socket of this machine. A
 * PROXY header can say that a client came through a Unix socket, too: that is another machine's, and
 * not trusted. */
bool gw_config_trusts(const struct gw_config *config, const struct kolk_stream_peer *peer);

#endif
