/* SPDX-License-Identifier: Apache-2.0 */
/* rows.c - the keys of the section `gateway`: which field of which struct each is. */
#include <string.h>

#include "tools/gateway/config/file.h"
#include "tools/gateway/tool/tool.h"

enum {
	REQUIRED = KOLK_OPTION_REQUIRED, NEGATED = KOLK_OPTION_NEGATED, NONE = KOLK_OPTION_NONE,
	FOREVER = KOLK_OPTION_FOREVER
};

typedef const char *text;
typedef const char *const *list;

#define DAY (24 * 3600 * KOLK_S_NS)
#define NAME 255
#define PATH 4095
#define TEXT_MAX 65536
#define MANY 1000000000u

/* clang-format off */

/* ---- listen: beside the rows of the library's listener */

static const struct kolk_option_word versions[] = {
	{ "1.2", 0x0303 }, { "1.3", 0x0304 }, { NULL, 0 }
};
static const struct kolk_option_word profiles[] = {
	{ "default", KOLK_TLS_DEFAULT }, { "strict", KOLK_TLS_STRICT },
	{ "compatible", KOLK_TLS_COMPATIBLE }, { NULL, 0 }
};
static const struct kolk_option_word client_auths[] = {
	{ "none", KOLK_CLIENT_AUTH_NONE }, { "optional", KOLK_CLIENT_AUTH_OPTIONAL },
	{ "required", KOLK_CLIENT_AUTH_REQUIRED }, { NULL, 0 }
};

#define KOLK_OPTION_STRUCT struct gw_listener
static const struct kolk_option listener_rows[] = {
	KOLK_OPTION_ROW(text, socket_name, TEXT, 0, 0, 1, NAME, "socket", NULL, NULL, "none",
			"the service manager's socket by this name; without it `address`")
	KOLK_OPTION_ROW(text, unix_mode, TEXT, 0, 0, 3, 4, "unix_mode", NULL, "octal digits", "0660",
			"of a Unix socket's file")
	KOLK_OPTION_ROW(text, certificate.certificate_file, TEXT, REQUIRED, 0, 1, PATH,
			"tls.certificate_file", NULL, "path", NULL,
			"PEM: the certificate, then its chain; SIGHUP reads it again")
	KOLK_OPTION_ROW(text, certificate.key_file, TEXT, REQUIRED, 0, 1, PATH, "tls.key_file",
			NULL, "path", NULL, "PEM")
	KOLK_OPTION_ROW(uint32_t, tls.version_min, WORD, 0, 0x0303, 0, 0, "tls.version_min", versions,
			NULL, NULL, "")
	KOLK_OPTION_ROW(uint32_t, tls.profile, WORD, 0, 0, 0, 0, "tls.profile", profiles, NULL, NULL,
			"suites and groups")
	KOLK_OPTION_ROW(uint32_t, tls.client_auth, WORD, 0, 0, 0, 0, "tls.client_auth", client_auths,
			NULL, NULL, "certificates of clients")
	KOLK_OPTION_ROW(text, tls.ca_file, TEXT, 0, 0, 1, PATH, "tls.ca_file", NULL, "path", "none",
			"PEM: signs certificates of clients")
	KOLK_OPTION_ROW(text, tls.ca_directory, TEXT, 0, 0, 1, PATH, "tls.ca_directory", NULL, "path",
			"none", "")
	KOLK_OPTION_ROW(text, tls.crl_file, TEXT, 0, 0, 1, PATH, "tls.crl_file", NULL, "path", "none",
			"revoked certificates of clients")
	KOLK_OPTION_ROW(list, tls.alpn, LIST, 0, 0, 1, NAME, "tls.alpn", NULL, "list",
			"h2, http/1.1", "in order of preference")
	KOLK_OPTION_ROW(uint32_t, tls.tickets_off, SWITCH, NEGATED, 0, 0, 1, "tls.tickets", NULL, NULL,
			NULL, "clients may resume sessions")
	KOLK_OPTION_ROW(uint64_t, tls.ticket_lifetime_ns, DURATION, 0, 12 * 3600 * KOLK_S_NS,
			60 * KOLK_S_NS, 7 * DAY, "tls.ticket_lifetime", NULL, NULL, NULL, "")
};
static const struct kolk_option_table listener_table = KOLK_OPTION_TABLE("listen", listener_rows);
#undef KOLK_OPTION_STRUCT

/* ---- tenants, access_log, tracing */

static const struct kolk_option_word parents[] = {
	{ "any", GW_PARENTS_ANY }, { "trusted", GW_PARENTS_TRUSTED }, { NULL, 0 }
};

static const struct kolk_option_word froms[] = {
	{ "none", GW_TENANTS_NONE }, { "bearer", GW_TENANTS_BEARER }, { "header", GW_TENANTS_HEADER },
	{ "client_certificate", GW_TENANTS_CLIENT_CERTIFICATE }, { "jwt", GW_TENANTS_JWT },
	{ NULL, 0 }
};

#define KOLK_OPTION_STRUCT struct gw_file
static const struct kolk_option file_rows[] = {
	KOLK_OPTION_ROW(list, trusted_proxies, LIST, 0, 0, 1, 64, "trusted_proxies", NULL,
			"list of addresses and networks", "none",
			"whose X-Forwarded fields and tenant header are believed; peers at a Unix socket "
			"are too, unless a PROXY header is what says so")
	KOLK_OPTION_ROW(uint64_t, config.drain_timeout_ns, DURATION, NONE | FOREVER, 10 * KOLK_S_NS,
			KOLK_MS_NS, DAY, "drain_timeout", NULL, NULL, NULL,
			"how long the end may take after SIGTERM, in all. Requests may go on but for the "
			"last quarter (0.5 to 1 s), in which connections are closed")
	KOLK_OPTION_ROW(text, config.warm.state_file, TEXT, 0, 0, 1, PATH, "warm_state_file", NULL,
			"path", "none",
			"which upstreams tenants used most, for the next start, without credentials: "
			"their sessions and connections are made before they ask. Written at the end and "
			"every `warm_interval`, for its owner alone; a file that is something else is "
			"left as it is")
	KOLK_OPTION_ROW(uint32_t, config.warm.pairs_max, COUNT, 0, 1000, 1, 10000, "warm_pairs_max",
			NULL, NULL, NULL, "tenants and upstreams that are counted (by each loop) and kept")
	KOLK_OPTION_ROW(uint32_t, config.warm.rate, COUNT, 0, 20, 1, 10000, "warm_rate", NULL, NULL,
			NULL, "sessions and connections that are begun in a second, 16 at a time")
	KOLK_OPTION_ROW(uint64_t, config.warm.interval_ns, DURATION, 0, 300 * KOLK_S_NS, KOLK_S_NS,
			DAY, "warm_interval", NULL, NULL, NULL, "from one write to the next")
	KOLK_OPTION_ROW(uint64_t, config.warm.half_life_ns, DURATION, 0, DAY, KOLK_S_NS, 365 * DAY,
			"warm_half_life", NULL, NULL, NULL,
			"what a use counts halves in this time: a tenant who was there once is forgotten "
			"after three of them")
	KOLK_OPTION_ROW(uint32_t, config.tenants_options.from, WORD, 0, 0, 0, 0, "tenants.from", froms,
			"none, bearer, header, client_certificate, jwt", NULL, "")
	KOLK_OPTION_ROW(text, config.tenants_options.file, TEXT, 0, 0, 1, PATH, "tenants.file", NULL,
			"path", "required with bearer",
			"lines of a tenant's name and the SHA-256 of its token in hexadecimal; refused if "
			"all users may write it, as `keys_file` and the files of `tls`")
	KOLK_OPTION_ROW(text, config.tenants_options.header, TEXT, 0, 0, 1, NAME, "tenants.header",
			NULL, "name of a field", "required with header", "from trusted proxies alone")
	KOLK_OPTION_ROW(text, config.tenants_options.issuer, TEXT, 0, 0, 1, NAME, "tenants.issuer",
			NULL, "text, any", "required with jwt", "`iss` of tokens")
	KOLK_OPTION_ROW(text, config.tenants_options.audience, TEXT, 0, 0, 1, NAME,
			"tenants.audience", NULL, "text, any", "required with jwt", "in `aud` of tokens")
	KOLK_OPTION_ROW(text, config.tenants_options.keys_file, TEXT, 0, 0, 1, PATH,
			"tenants.keys_file", NULL, "path", "this, or `keys_url`, with jwt",
			"JSON Web Key Set: RSA and P-256 keys (RS256, ES256), each with a `kid` of its "
			"own; a token without `kid` is taken where one key is of its algorithm")
	KOLK_OPTION_ROW(text, config.tenants_options.keys_url, TEXT, 0, 0, 1, PATH,
			"tenants.keys_url", NULL, "https://host/path", "none",
			"the same, fetched from there: at the start, every `keys_refresh`, and when a "
			"token names a key that is not there, at most once in 10 s. http:// only from "
			"this machine. Redirects are not followed; at most 256 KiB, within 5 s")
	KOLK_OPTION_ROW(text, config.tenants_options.keys_ca_file, TEXT, 0, 0, 1, PATH,
			"tenants.keys_ca_file", NULL, "path", "the system's",
			"PEM: signs the certificate of `keys_url`")
	KOLK_OPTION_ROW(uint64_t, config.tenants_options.keys_refresh_ns, DURATION, 0,
			GW_KEYS_REFRESH_NS, KOLK_S_NS, DAY, "tenants.keys_refresh", NULL, NULL, NULL,
			"how often, or up to 20 % more often; after a failure 1, 2, 4 ... s, at most this")
	KOLK_OPTION_ROW(uint64_t, config.tenants_options.keys_max_age_ns, DURATION, FOREVER,
			GW_KEYS_MAX_AGE_NS, KOLK_S_NS, 365 * DAY, "tenants.keys_max_age", NULL, NULL, NULL,
			"how long keys are in force while no fetch succeeds; then 503")
	KOLK_OPTION_ROW(text, config.tenants_options.claim, TEXT, 0, 0, 1, NAME, "tenants.claim", NULL,
			"name of a claim; cn, dns, uri", "sub; cn",
			"the tenant in a token; in a certificate's subject or subjectAltName")
	KOLK_OPTION_ROW(uint64_t, config.tenants_options.leeway_ns, DURATION, NONE, 30 * KOLK_S_NS,
			KOLK_S_NS, 3600 * KOLK_S_NS, "tenants.leeway", NULL, NULL, NULL,
			"by which clocks may differ, for `exp` and `nbf`")
	KOLK_OPTION_ROW(text, config.access_log.path, TEXT, 0, 0, 1, PATH, "access_log.path", NULL,
			"path, -, off", "off",
			"JSON lines; - is standard error; opened again at SIGHUP. A value is cut at 1 "
			"KiB. A file that takes nothing (a full disk, a pipe that is not read) costs "
			"lines, never requests: the next line tells how many, as `lost`")
	KOLK_OPTION_ROW(text, config.tracing.endpoint, TEXT, REQUIRED, 0, 1, NAME, "tracing.endpoint",
			NULL, "URL", NULL,
			"where spans go by OTLP (HTTP, JSON), the whole URL: "
			"http://127.0.0.1:4318/v1/traces. Without `tracing` there are none")
	KOLK_OPTION_ROW(text, config.tracing.sample, TEXT, 0, 0, 1, 20, "tracing.sample", NULL,
			"0 to 1", "0.01",
			"the share of new traces that are sampled. A trace that a client began is as its "
			"`traceparent` says")
	KOLK_OPTION_ROW(uint32_t, config.tracing.parents, WORD, 0, 0, 0, 0, "tracing.parents", parents,
			"any, trusted", NULL,
			"whose traces are continued: any client's, or those of `trusted_proxies` alone")
	KOLK_OPTION_ROW(text, config.tracing.service_name, TEXT, 0, 0, 1, NAME, "tracing.service_name",
			NULL, "text", "kolk-gateway", "`service.name` of the spans")
	KOLK_OPTION_ROW(text, config.tracing.ca_file, TEXT, 0, 0, 1, PATH, "tracing.ca_file", NULL,
			"path", "the system's", "PEM: signs the certificate of `endpoint`")
	KOLK_OPTION_ROW(uint32_t, config.tracing.queue_max, COUNT, 0, GW_TRACE_QUEUE, 16, 1000000,
			"tracing.queue_max", NULL, NULL, NULL,
			"spans of each loop that wait or are on their way; more are lost, and counted. A "
			"quarter of it goes at once")
	KOLK_OPTION_ROW(uint64_t, config.tracing.interval_ns, DURATION, 0, GW_TRACE_INTERVAL_NS,
			10 * KOLK_MS_NS, 3600 * KOLK_S_NS, "tracing.interval", NULL, NULL, NULL,
			"the longest time that a span waits for others")
	KOLK_OPTION_ROW(uint64_t, config.tracing.timeout_ns, DURATION, 0, GW_TRACE_TIMEOUT_NS,
			10 * KOLK_MS_NS, 600 * KOLK_S_NS, "tracing.timeout", NULL, NULL, NULL,
			"of an export, from the dial to the end of the answer")
};
static const struct kolk_option_table file_table = KOLK_OPTION_TABLE("gateway", file_rows);
#undef KOLK_OPTION_STRUCT

/* ---- routes */

#define KOLK_OPTION_STRUCT struct gw_federation_options
static const struct kolk_option federation_rows[] = {
	KOLK_OPTION_ROW(text, pool, TEXT, REQUIRED, 0, 1, 63, "pool", NULL, "name of a pool", NULL,
			"of protocol mcp")
	KOLK_OPTION_ROW(text, prefix, TEXT, 0, 0, 1, GW_PREFIX_SIZE - 1, "prefix", NULL,
			"a to z, 0 to 9, -", "the pool's name",
			"of its names: tools and prompts are PREFIX_NAME, URIs of resources PREFIX+URI")
	KOLK_OPTION_ROW(uint64_t, timeout_ns, DURATION, 0, GW_FEDERATION_TIMEOUT_NS, 10 * KOLK_MS_NS,
			3600 * KOLK_S_NS, "timeout", NULL, NULL, NULL,
			"how long lists, and the beginning of a session or of a subscription, wait for it. "
			"What it has is left out then")
};
static const struct kolk_option_table federation_table =
	KOLK_OPTION_TABLE("federation", federation_rows);
#undef KOLK_OPTION_STRUCT

static const struct kolk_option_word route_tenants[] = {
	{ "required", GW_TENANT_REQUIRED }, { "none", GW_TENANT_NONE }, { NULL, 0 }
};

static const struct kolk_option_word ambiguous[] = {
	{ "refuse", GW_AMBIGUOUS_REFUSE }, { "pass", GW_AMBIGUOUS_PASS }, { NULL, 0 }
};

static const struct kolk_option_word client_tokens[] = {
	{ "strip", GW_CLIENT_TOKEN_STRIP }, { "pass", GW_CLIENT_TOKEN_PASS }, { NULL, 0 }
};

#define KOLK_OPTION_STRUCT struct gw_tool_tenant
static const struct kolk_option tool_tenant_rows[] = {
	KOLK_OPTION_ROW(text, name, TEXT, REQUIRED, 0, 1, NAME, "name", NULL, "text", NULL,
			"of the tenant")
	KOLK_OPTION_ROW(list, lists.allow, LIST, 0, 0, 1, NAME, "allow", NULL, "list of patterns",
			"those of the route", "of these the tenant has those that fit here, too")
	KOLK_OPTION_ROW(list, lists.deny, LIST, 0, 0, 1, NAME, "deny", NULL, "list of patterns",
			"those of the route", "that are denied to the tenant besides")
};
static const struct kolk_option_table tool_tenant_table =
	KOLK_OPTION_TABLE("tools_tenants", tool_tenant_rows);
#undef KOLK_OPTION_STRUCT

#define KOLK_OPTION_STRUCT struct gw_route
static const struct kolk_option route_rows[] = {
	KOLK_OPTION_ROW(text, host, TEXT, 0, 0, 1, NAME, "match.host", NULL, "name, *.name", "any",
			"without port; *.name: below it")
	KOLK_OPTION_ROW(text, path, TEXT, 0, 0, 1, PATH, "match.path", NULL, "/path", "any",
			"prefix of whole segments; the longest one that fits is taken")
	KOLK_OPTION_ROW(list, methods, LIST, 0, 0, 1, 32, "match.methods", NULL, "list", "any", "")
	KOLK_OPTION_ROW(text, header_name, TEXT, 0, 0, 1, 1024, "match.header", NULL, "name: value",
			"any", "a name alone: whatever its value is")
	KOLK_OPTION_ROW(uint32_t, ambiguous_path, WORD, 0, 0, 0, 0, "ambiguous_path", ambiguous, NULL,
			NULL, "with %2F, //, \\ and the like, which servers read in two ways")
	KOLK_OPTION_ROW(text, pool, TEXT, 0, 0, 1, 63, "pool", NULL, "name of a pool",
			"one of these five", "of protocol http or mcp")
	KOLK_OPTION_ROW(text, balancer, TEXT, 0, 0, 1, 63, "balancer", NULL, "name of a balancer",
			"one of these five", "where it would say `pool`: one of several")
	KOLK_OPTION_ROW(list, tools, LIST, 0, 0, 1, 64, "tools", NULL, "list of names",
			"one of these five", "an MCP server of the gateway's own with these tools")
	KOLK_OPTION_ROW(uint32_t, tenant, WORD, 0, 0, 0, 0, "tenant", route_tenants, NULL,
			"required; none with `answer`, `redirect`",
			"none: clients are not told apart, and share `limits` and connections")
	KOLK_OPTION_ROW(uint32_t, answer_status, COUNT, 0, 200, 200, 599, "answer.status", NULL, NULL,
			NULL, "")
	KOLK_OPTION_ROW(text, answer_body, TEXT, 0, 0, 1, TEXT_MAX, "answer.body", NULL, "text",
			"none", "")
	KOLK_OPTION_ROW(text, answer_content_type, TEXT, 0, 0, 1, NAME, "answer.content_type", NULL,
			"text", "text/plain; charset=utf-8", "")
	KOLK_OPTION_ROW(uint32_t, redirect_status, COUNT, 0, 302, 300, 399, "redirect.status", NULL,
			"301, 302, 303, 307, 308", NULL, "")
	KOLK_OPTION_ROW(text, redirect_location, TEXT, REQUIRED, 0, 1, PATH, "redirect.location",
			NULL, "URI", NULL, "")
	KOLK_OPTION_ROW(uint64_t, request_timeout_ns, DURATION, FOREVER, 0, KOLK_MS_NS, 365 * DAY,
			"timeouts.request", NULL, NULL, "the pool's", "the whole exchange")
	KOLK_OPTION_ROW(uint64_t, idle_timeout_ns, DURATION, FOREVER, 0, KOLK_MS_NS, 365 * DAY,
			"timeouts.idle", NULL, NULL, "the pool's", "the longest pause in it")
	KOLK_OPTION_ROW(uint64_t, body_bytes_max, BYTES, 0, 0, 1, INT64_MAX, "limits.body", NULL,
			"size", "the server's", "of a request; more is 413")
	KOLK_OPTION_ROW(uint32_t, requests_per_second, COUNT, 0, 0, 1, 1000000,
			"limits.requests_per_second", NULL, NULL, "any",
			"of each tenant; more is 429. A reload refills nothing unless it changes the "
			"limit or `match`")
	KOLK_OPTION_ROW(uint32_t, burst, COUNT, 0, 0, 1, 1000000, "limits.burst", NULL, NULL,
			"`requests_per_second`", "so many at once after a pause")
	KOLK_OPTION_ROW(text, host_name, TEXT, 0, 0, 1, NAME, "host", NULL, "keep, upstream, name",
			"keep", "what the upstream sees as Host")
	KOLK_OPTION_ROW(uint32_t, strip_prefix, SWITCH, 0, 0, 0, 1, "strip_prefix", NULL, NULL, NULL,
			"the upstream sees the path without `match.path`")
	KOLK_OPTION_ROW(list, upgrades, LIST, 0, 0, 1, NAME, "upgrades", NULL, "list, [none]",
			"websocket", "protocols that a client may switch to; others are not asked for")
	KOLK_OPTION_ROW(list, mcp_hosts, LIST, 0, 0, 1, NAME, "mcp.hosts", NULL, "list of names",
			"see text", "of Host, without port, of requests to an MCP server; others are 403. Without "
			"it, and without `match.host`: of clients on this machine localhost, "
			"127.0.0.1 and [::1], of others any")
	KOLK_OPTION_ROW(uint64_t, mcp_suspend_ns, DURATION, 0, 60 * KOLK_S_NS, KOLK_MS_NS, DAY,
			"mcp.suspend_timeout", NULL, NULL, NULL,
			"how long a call waits for what its server asked the client, where one of the "
			"two has sessions and the other has none")
	KOLK_OPTION_ROW(uint32_t, mcp_suspended_max, COUNT, 0, 0, 1, 4096, "mcp.suspended_max", NULL,
			NULL, "half of the pool's `limits.connections_max`",
			"calls of a tenant that wait so at a time, where the server has sessions; more "
			"are 503")
	KOLK_OPTION_ROW(uint64_t, mcp_age_ns, DURATION, FOREVER, DAY, KOLK_S_NS, 365 * DAY,
			"mcp.stream_age_max", NULL, NULL, NULL,
			"the greatest age of a stream that only listens (GET, subscriptions/listen): it "
			"ends then, each up to a tenth of the time earlier, and its client asks again")
	KOLK_OPTION_ROW(uint32_t, mcp_cache_max, BYTES, NONE, GW_MCP_CACHE_MAX, 64 << 10, 1 << 30,
			"mcp.cache_max", NULL, NULL, NULL,
			"memory for results of a server of 2026-07-28 that say how long they hold; none: "
			"they are not kept. One of them has a quarter of it at most")
	KOLK_OPTION_ROW(text, access.resource, TEXT, 0, 0, 1, 1024, "mcp.resource", NULL,
			"https://host/path", "none",
			"the URI by which clients know the MCP server. Metadata of the resource (RFC "
			"9728) is served for it, and a 401 of the gateway says where. With "
			"`tenants.audience: any` it is the audience that tokens need")
	KOLK_OPTION_ROW(list, access.servers, LIST, 0, 0, 1, 1024, "mcp.authorization_servers", NULL,
			"list of URLs", "required with `mcp.resource`",
			"issuers of its tokens, as the metadata says")
	KOLK_OPTION_ROW(list, access.scopes, LIST, 0, 0, 1, NAME, "mcp.scopes", NULL, "list", "none",
			"that a client is told to ask for; not checked")
	KOLK_OPTION_ROW(uint32_t, access.client_token, WORD, 0, 0, 0, 0, "mcp.client_token",
			client_tokens, NULL, NULL,
			"what becomes of a client's bearer token. pass: the server is shown it, and its "
			"401 and 403 reach the client with their WWW-Authenticate, which names the "
			"metadata of `mcp.resource` if there is one; for a server that takes tokens "
			"which are for the URI that clients know. With `isolation: session`, `sharing: "
			"bound` and no `token_file`")
	KOLK_OPTION_ROW(list, access.tools.lists.allow, LIST, 0, 0, 1, NAME, "mcp.tools_allow", NULL,
			"list of patterns", "every tool",
			"tools that clients see and may call: all others are unknown to them. '*' in a "
			"pattern is any bytes; [] is no tool")
	KOLK_OPTION_ROW(list, access.tools.lists.deny, LIST, 0, 0, 1, NAME, "mcp.tools_deny", NULL,
			"list of patterns", "none", "tools that are unknown to clients, also if `tools_allow` has them")
	KOLK_OPTION_ROW(uint32_t, request_id, SWITCH, 0, 0, 0, 1, "request_id", NULL, NULL, NULL,
			"X-Request-Id is passed on, or made")
	KOLK_OPTION_ROW(list, cors_origins, LIST, REQUIRED, 0, 1, NAME, "cors.origins", NULL,
			"list of scheme://host, or *", NULL, "whose pages may ask")
	KOLK_OPTION_ROW(list, cors_methods, LIST, 0, 0, 1, 32, "cors.methods", NULL, "list",
			"GET, HEAD, POST", "")
	KOLK_OPTION_ROW(list, cors_headers, LIST, 0, 0, 1, NAME, "cors.headers", NULL, "list",
			"what is asked for", "that a request may have")
	KOLK_OPTION_ROW(list, cors_expose, LIST, 0, 0, 1, NAME, "cors.expose", NULL, "list", "none",
			"that a page may read of an answer")
	KOLK_OPTION_ROW(uint32_t, cors_credentials, SWITCH, 0, 0, 0, 1, "cors.credentials", NULL,
			NULL, NULL, "")
	KOLK_OPTION_ROW(uint64_t, cors_max_age_ns, DURATION, 0, 600 * KOLK_S_NS, KOLK_S_NS, DAY,
			"cors.max_age", NULL, NULL, NULL, "how long a browser keeps the answer")
};
static const struct kolk_option_table route_table = KOLK_OPTION_TABLE("routes", route_rows);
#undef KOLK_OPTION_STRUCT

/* ---- sections: a map whose keys are fields of the struct around it has the offset 0 */

#define KEYS(prefix, table_) { .kind = KOLK_SECTION_KEYS, .key = prefix, .table = table_ }
#define MAP(key_, section_) { .kind = KOLK_SECTION_MAP, .key = key_, .section = section_ }
/* One table, all of whose keys begin so. */
#define PREFIXED(variable, name_, of, table_)                                              \
	static const struct kolk_section_part variable##_parts[] = { KEYS(name_ ".", table_) }; \
	static const struct kolk_section variable = { .name = name_,                       \
		.struct_size = sizeof(struct of), .parts = variable##_parts, .part_count = 1 }

PREFIXED(listener_tls, "tls", gw_listener, &listener_table);
PREFIXED(match, "match", gw_route, &route_table);
PREFIXED(answer, "answer", gw_route, &route_table);
PREFIXED(redirect, "redirect", gw_route, &route_table);
PREFIXED(timeouts, "timeouts", gw_route, &route_table);
PREFIXED(limits, "limits", gw_route, &route_table);
PREFIXED(cors, "cors", gw_route, &route_table);
PREFIXED(health, "health", gw_balancer_options, &gw_balancer_rows);
PREFIXED(dns, "dns", gw_balancer_options, &gw_balancer_rows);
PREFIXED(tenants, "tenants", gw_file, &file_table);
PREFIXED(access_log, "access_log", gw_file, &file_table);
PREFIXED(tracing, "tracing", gw_file, &file_table);

static const struct kolk_section_part member_parts[] = { KEYS("", &gw_member_rows) };
static const struct kolk_section members =
	KOLK_SECTION("members", struct gw_member_options, place, member_parts);

static const struct kolk_section_part balancer_parts[] = {
	{ .kind = KOLK_SECTION_LIST, .key = "members", .section = &members, .required = 1,
	  .entries_max = GW_MEMBERS_MAX, .offset = offsetof(struct gw_balancer_options, members) },
	KEYS("", &gw_balancer_rows),
	MAP("health", &health),
	MAP("dns", &dns),
};
static const struct kolk_section balancers =
	KOLK_SECTION("balancers", struct gw_balancer_options, place, balancer_parts);

static const struct kolk_section_part tool_tenant_parts[] = { KEYS("", &tool_tenant_table) };
static const struct kolk_section tool_tenants =
	KOLK_SECTION("tools_tenants", struct gw_tool_tenant, place, tool_tenant_parts);
static const struct kolk_section_part mcp_parts[] = {
	KEYS("mcp.", &route_table),
	{ .kind = KOLK_SECTION_LIST, .key = "tools_tenants", .section = &tool_tenants,
	  .offset = offsetof(struct gw_route, access.tools.tenants) },
};
static const struct kolk_section mcp = { .name = "mcp", .struct_size = sizeof(struct gw_route),
	.parts = mcp_parts, .part_count = 2 };
static const struct kolk_section_part federation_parts[] = { KEYS("", &federation_table) };
static const struct kolk_section federation =
	KOLK_SECTION("federation", struct gw_federation_options, place, federation_parts);

static const struct kolk_section_part route_parts[] = {
	KEYS("", &route_table),
	{ .kind = KOLK_SECTION_LIST, .key = "federation", .section = &federation,
	  .entries_max = GW_FEDERATION_MAX, .offset = offsetof(struct gw_route, federation) },
	MAP("match", &match), MAP("answer", &answer), MAP("redirect", &redirect),
	MAP("timeouts", &timeouts), MAP("limits", &limits), MAP("cors", &cors), MAP("mcp", &mcp),
};
static const struct kolk_section routes =
	KOLK_SECTION("routes", struct gw_route, place, route_parts);

/* The library's tables are put in before main. */
static struct kolk_section_part listener_parts[] = {
	{ .kind = KOLK_SECTION_KEYS, .key = "listen.",
	  .offset = offsetof(struct gw_listener, options) },
	KEYS("", &listener_table),
	MAP("tls", &listener_tls),
};
static const struct kolk_section listeners =
	KOLK_SECTION("listen", struct gw_listener, place, listener_parts);

static struct kolk_section_part server_parts[] = {
	{ .kind = KOLK_SECTION_KEYS, .key = "http." },
};
static const struct kolk_section server = { .name = "server",
	.struct_size = sizeof(struct kolk_http_server_options), .parts = server_parts,
	.part_count = 1 };

#define LISTEN(needed)                                                                      \
	{ .kind = KOLK_SECTION_LIST, .key = "listen", .section = &listeners, .required = needed, \
	  .entries_max = 64, .offset = offsetof(struct gw_file, listen) }

static const struct kolk_section_part gateway_parts[] = {
	LISTEN(1),
	MAP("tenants", &tenants),
	MAP("access_log", &access_log),
	MAP("tracing", &tracing),
	{ .kind = KOLK_SECTION_MAP, .key = "server", .section = &server,
	  .offset = offsetof(struct gw_file, config.server) },
	{ .kind = KOLK_SECTION_LIST, .key = "balancers", .section = &balancers, .entries_max = 256,
	  .offset = offsetof(struct gw_file, balancers) },
	{ .kind = KOLK_SECTION_LIST, .key = "routes", .section = &routes, .required = 1,
	  .offset = offsetof(struct gw_file, routes) },
	KEYS("", &file_table),
};
static const struct kolk_section gateway =
	KOLK_SECTION("gateway", struct gw_file, place, gateway_parts);

#define TOOLS                                                                                  \
	{ .kind = KOLK_SECTION_LIST, .key = "tools", .section = &gw_tool_section,              \
	  .entries_max = GW_TOOLS_MAX, .offset = offsetof(struct gw_file, tools) }
static const struct kolk_section_part whole_parts[] = {
	{ .kind = KOLK_SECTION_MAP, .key = "gateway", .section = &gateway, .required = 1 },
	TOOLS,
};
const struct kolk_section gw_file_section = { .name = "the file",
	.struct_size = sizeof(struct gw_file), .parts = whole_parts, .part_count = 2 };

/* The same of a program that listens nowhere. */
static struct kolk_section_part silent_parts[sizeof gateway_parts / sizeof gateway_parts[0]];
static const struct kolk_section silent =
	KOLK_SECTION("gateway", struct gw_file, place, silent_parts);
static const struct kolk_section_part whole_silent_parts[] = {
	{ .kind = KOLK_SECTION_MAP, .key = "gateway", .section = &silent, .required = 1 },
	TOOLS,
};
const struct kolk_section gw_file_section_silent = { .name = "the file",
	.struct_size = sizeof(struct gw_file), .parts = whole_silent_parts, .part_count = 2 };

/* clang-format on */

__attribute__((constructor)) static void tables_put(void)
{
	listener_parts[0].table = kolk_option_table("listener");
	server_parts[0].table = kolk_http_server_option_table();
	memcpy(silent_parts, gateway_parts, sizeof silent_parts);
	silent_parts[0] = (struct kolk_section_part)LISTEN(0);
}
