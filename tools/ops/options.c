/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c - every option of this library, once: as rows, like those of the engine and its pools
 * (core/option_tables.h).
 */
#include "tools/ops/options.h"

#include "tools/ops/config.h"
#include "tools/ops/config_protocol.h"
#include "tools/ops/config_yaml.h"
#include "tools/ops/metrics.h"

enum {
	IDENTITY = KOLK_OPTION_IDENTITY, LIFE = KOLK_OPTION_LIFE, NONE = KOLK_OPTION_NONE,
	REQUIRED = KOLK_OPTION_REQUIRED, NEGATED = KOLK_OPTION_NEGATED,
	SECRET = KOLK_OPTION_SECRET, OWN = KOLK_OPTION_OWN
};

typedef const char *text;
typedef const char *const *list;
typedef const void *bytes;
typedef struct kolk__secret secret;
typedef kolk_reload_fn *reload_pointer;
typedef kolk_log_fn *log_pointer;
typedef kolk_admin_text_fn *text_pointer;
typedef void *pointer;
typedef struct kolk_failure *failure_pointer;

#define YEAR (365 * 24 * 3600 * KOLK_S_NS)

/* clang-format off */

/* ---- the admin server's, all of them */

#define ADMIN_OPTIONS(X)                                                                    \
	KOLK_OPTION_FIELD(X, uint32_t, size, SIZE, 0)                                       \
	KOLK_OPTION_FIELD(X, uint32_t, token_size, POINTER, 0)                              \
	X(text, listen, TEXT, LIFE, 0, 1, 200, "listen", NULL,                              \
	  "unix:/path, ip:port, [v6]:port", "required",                                     \
	  "TCP needs a token; port 0: the system's choice")                                 \
	X(bytes, token, POINTER, LIFE | SECRET, 0, KOLK_ADMIN_TOKEN_MIN, KOLK__VALUE_MAX,   \
	  "token", NULL, "secret, 16 bytes at least", "none", "")                           \
	X(list, hosts, LIST, LIFE, 0, 1, 255, "hosts", NULL, "list of names", "none",       \
	  "by which browsers may reach it on TCP, besides localhost and addresses")         \
	X(uint32_t, clients_max, COUNT, LIFE, 16, 1, 1024, "clients_max", NULL, NULL, NULL, \
	  "at once")                                                                        \
	KOLK_OPTION_FIELD(X, uint32_t, unused, POINTER, 0)                                  \
	X(uint32_t, body_max, BYTES, LIFE, 64 * 1024, 1, 16 << 20, "body_max", NULL, NULL,  \
	  NULL, "of a request")                                                             \
	X(uint32_t, metrics_tenants_max, COUNT, LIFE | NONE, KOLK__METRICS_TENANTS, 1,      \
	  KOLK__METRICS_TENANTS_MAX, "metrics_tenants_max", NULL, NULL, NULL,               \
	  "with rows of their own in `/metrics`: those with the most connections and waiters")\
	X(uint64_t, request_timeout_ns, DURATION, LIFE, 10 * KOLK_S_NS, KOLK_MS_NS, YEAR,   \
	  "request_timeout", NULL, NULL, NULL, "")                                          \
	KOLK_OPTION_FIELD(X, reload_pointer, reload, POINTER, 0)                            \
	KOLK_OPTION_FIELD(X, pointer, reload_user, POINTER, 0)                              \
	KOLK_OPTION_FIELD(X, log_pointer, on_log, POINTER, 0)                               \
	KOLK_OPTION_FIELD(X, pointer, log_user, POINTER, 0)                                 \
	KOLK_OPTION_FIELD(X, failure_pointer, failure, POINTER, 0)                          \
	KOLK_OPTION_FIELD(X, text_pointer, program_status, POINTER, 0)                      \
	KOLK_OPTION_FIELD(X, text_pointer, program_metrics, POINTER, 0)                     \
	KOLK_OPTION_FIELD(X, pointer, program_user, POINTER, 0)                             \
	X(uint64_t, log_stats_interval_ns, DURATION, LIFE | NONE, 60 * KOLK_S_NS,           \
	  KOLK_MS_NS, YEAR, "log_stats_interval", NULL, NULL, NULL,                         \
	  "a line of statistics of each pool in the log")

#define KOLK_OPTION_STRUCT struct kolk_admin_options
#define KOLK_OPTION_SHADOW struct admin_shadow
struct admin_shadow { ADMIN_OPTIONS(KOLK_OPTION_MEMBER) };
KOLK_OPTION_PROVE(ADMIN_OPTIONS, 0);
static const struct kolk_option admin_rows[] = { ADMIN_OPTIONS(KOLK_OPTION_ROW) };
const struct kolk_option_table kolk__admin_table = KOLK_OPTION_TABLE("admin", admin_rows);
#undef KOLK_OPTION_STRUCT
#undef KOLK_OPTION_SHADOW

/* ---- a file's, beside those of the libraries */

#define KOLK_OPTION_STRUCT struct kolk_config
static const struct kolk_option file_rows[] = {
	KOLK_OPTION_ROW(uint64_t, drain_grace_ns, DURATION, NONE, 30 * KOLK_S_NS, KOLK_MS_NS, YEAR,
			"engine.drain_grace", NULL, NULL, NULL,
			"how long leases of a removed pool may go on")
};
const struct kolk_option_table kolk__file_table = KOLK_OPTION_TABLE("file", file_rows);
#undef KOLK_OPTION_STRUCT

#define KOLK_OPTION_STRUCT struct kolk__config_tenant
static const struct kolk_option tenant_rows[] = {
	KOLK_OPTION_ROW(text, name, TEXT, REQUIRED, 0, 1, 255, "tenants.name", NULL, NULL, NULL, "")
};
const struct kolk_option_table kolk__tenant_own = KOLK_OPTION_TABLE("tenant", tenant_rows);
#undef KOLK_OPTION_STRUCT

static const struct kolk_option_word protocols[] = {
	{ "raw", KOLK__PROTOCOL_RAW }, { "http", KOLK__PROTOCOL_HTTP },
	{ "redis", KOLK__PROTOCOL_REDIS }, { "postgres", KOLK__PROTOCOL_POSTGRES },
	{ "mcp", KOLK__PROTOCOL_MCP }, { NULL, 0 }
};

#define KOLK_OPTION_STRUCT struct kolk__config_pool
static const struct kolk_option pool_rows[] = {
	KOLK_OPTION_ROW(uint32_t, tls_off, SWITCH, IDENTITY | NEGATED, 0, 0, 1, "tls.enabled", NULL,
			NULL, NULL, "false: the section is ignored")
	KOLK_OPTION_ROW(uint32_t, protocol, WORD, IDENTITY, 0, 0, 0, "protocol", protocols, NULL,
			NULL, "how it is opened, pinged and proved clean; its options: the section "
			"of its name")
	KOLK_OPTION_ROW(text, mcp_token_file, TEXT, LIFE, 0, 1, 4095, "mcp.token_file", NULL, "path",
			"none", "its first line is sent to the server as bearer token; read again "
			"when it changes")
};
const struct kolk_option_table kolk__pool_own = KOLK_OPTION_TABLE("pool", pool_rows);
#undef KOLK_OPTION_STRUCT

#define KOLK_OPTION_STRUCT struct kolk__config_key
static const struct kolk_option warm_rows[] = {
	KOLK_OPTION_ROW(text, tenant, TEXT, OWN, 0, 1, 255, "warm.tenant", NULL, NULL, "none", "")
	KOLK_OPTION_ROW(text, session, TEXT, OWN, 0, 1, 255, "warm.session", NULL, NULL, "none",
			"required with `isolation: session`")
	KOLK_OPTION_ROW(secret, credential, POINTER, OWN | SECRET, 0, 1, KOLK__VALUE_MAX,
			"warm.credential", NULL, NULL, "none", "")
};
const struct kolk_option_table kolk__warm_table = KOLK_OPTION_TABLE("warm", warm_rows);
#undef KOLK_OPTION_STRUCT

/* clang-format on */
