/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option_tables.c - the tables of option_tables.h, key_options.h and listener_options.h as data,
 * and the compiler's proof that each describes its struct: a field that is added, moved or changed
 * and has no row there does not build.
 */
#include "core/key_options.h"
#include "core/listener_options.h"

#include <string.h>

static const struct kolk_option_word kolk__loop_owners[] = {
	{ "engine", KOLK_LOOPS_ENGINE }, { "embedder", KOLK_LOOPS_EMBEDDER }, { NULL, 0 }
};
static const struct kolk_option_word kolk__backends[] = {
	{ "auto", KOLK_BACKEND_AUTO },
	{ "io_uring", KOLK_BACKEND_IO_URING },
	{ "epoll", KOLK_BACKEND_EPOLL },
	{ NULL, 0 }
};
static const struct kolk_option_word kolk__log_levels[] = { { "error", KOLK_LOG_ERROR },
							    { "warn", KOLK_LOG_WARN },
							    { "info", KOLK_LOG_INFO },
							    { "debug", KOLK_LOG_DEBUG },
							    { NULL, 0 } };
static const struct kolk_option_word kolk__isolations[] = { { "tenant", KOLK_ISOLATION_TENANT },
							    { "shared", KOLK_ISOLATION_SHARED },
							    { "session", KOLK_ISOLATION_SESSION },
							    { NULL, 0 } };
static const struct kolk_option_word kolk__tls_versions[] = { { "1.2", 0x0303 },
							      { "1.3", 0x0304 },
							      { NULL, 0 } };
static const struct kolk_option_word kolk__tls_profiles[] = {
	{ "default", KOLK_TLS_DEFAULT }, { "strict", KOLK_TLS_STRICT },
	{ "compatible", KOLK_TLS_COMPATIBLE }, { NULL, 0 } };

#define KOLK_OPTION_STRUCT struct kolk_engine_options
#define KOLK_OPTION_SHADOW struct engine_shadow
struct engine_shadow { KOLK__ENGINE_OPTIONS(KOLK_OPTION_MEMBER) };
KOLK_OPTION_PROVE(KOLK__ENGINE_OPTIONS, 0);
static const struct kolk_option engine_rows[] = { KOLK__ENGINE_OPTIONS(KOLK_OPTION_ROW) };
static const struct kolk_option_bound engine_bounds[] = {
	{ "connections_reserved", true, "connections_max" },
	{ "loops_reserved", true, "loops" },
	{ NULL, 0, NULL }
};
const struct kolk_option_table kolk__engine_table =
	KOLK_OPTION_TABLE_BOUND("engine", engine_rows, engine_bounds);
#undef KOLK_OPTION_STRUCT
#undef KOLK_OPTION_SHADOW

#define KOLK_OPTION_STRUCT struct kolk_pool_options
#define KOLK_OPTION_SHADOW struct pool_shadow
struct pool_shadow { KOLK__POOL_OPTIONS(KOLK_OPTION_MEMBER) };
KOLK_OPTION_PROVE(KOLK__POOL_OPTIONS, 4);
static const struct kolk_option pool_rows[] = { KOLK__POOL_OPTIONS(KOLK_OPTION_ROW) };
static const struct kolk_option_bound pool_bounds[] = {
	{ "idle_min", false, "connections_max" },
	{ "idle_min", false, "pool_connections_max" },
	{ "idle_min", false, "idle_max" },
	{ "idle_min", false, "pool_idle_max" },
	{ "retry_max_ns", true, "retry_interval_ns" },
	{ "bind_port_min", false, "bind_port_max" },
	{ NULL, 0, NULL }
};
const struct kolk_option_table kolk__pool_table =
	KOLK_OPTION_TABLE_BOUND("pool", pool_rows, pool_bounds);
#undef KOLK_OPTION_STRUCT
#undef KOLK_OPTION_SHADOW

#define KOLK_OPTION_STRUCT struct kolk_tls_options
#define KOLK_OPTION_SHADOW struct tls_shadow
struct tls_shadow { KOLK__TLS_OPTIONS(KOLK_OPTION_MEMBER) };
KOLK_OPTION_PROVE(KOLK__TLS_OPTIONS, 0);
static const struct kolk_option tls_rows[] = { KOLK__TLS_OPTIONS(KOLK_OPTION_ROW) };
const struct kolk_option_table kolk__tls_table = KOLK_OPTION_TABLE("tls", tls_rows);
#undef KOLK_OPTION_STRUCT
#undef KOLK_OPTION_SHADOW

#define KOLK_OPTION_STRUCT struct kolk_child_options
#define KOLK_OPTION_SHADOW struct child_shadow
struct child_shadow { KOLK__CHILD_OPTIONS(KOLK_OPTION_MEMBER) };
KOLK_OPTION_PROVE(KOLK__CHILD_OPTIONS, 0);
static const struct kolk_option child_rows[] = { KOLK__CHILD_OPTIONS(KOLK_OPTION_ROW) };
const struct kolk_option_table kolk__child_table = KOLK_OPTION_TABLE("child", child_rows);
#undef KOLK_OPTION_STRUCT
#undef KOLK_OPTION_SHADOW

#define KOLK_OPTION_STRUCT struct kolk_tenant_limits
#define KOLK_OPTION_SHADOW struct tenant_shadow
struct tenant_shadow { KOLK__TENANT_OPTIONS(KOLK_OPTION_MEMBER) };
KOLK_OPTION_PROVE(KOLK__TENANT_OPTIONS, 0);
static const struct kolk_option tenant_rows[] = { KOLK__TENANT_OPTIONS(KOLK_OPTION_ROW) };
const struct kolk_option_table kolk__tenant_table = KOLK_OPTION_TABLE("tenant", tenant_rows);
#undef KOLK_OPTION_STRUCT
#undef KOLK_OPTION_SHADOW

#define KOLK_OPTION_STRUCT struct kolk_listener_options
#define KOLK_OPTION_SHADOW struct listener_shadow
struct listener_shadow { KOLK__LISTENER_OPTIONS(KOLK_OPTION_MEMBER) };
KOLK_OPTION_PROVE(KOLK__LISTENER_OPTIONS, 0);
static const struct kolk_option listener_rows[] = { KOLK__LISTENER_OPTIONS(KOLK_OPTION_ROW) };
const struct kolk_option_table kolk__listener_table =
	KOLK_OPTION_TABLE("listener", listener_rows);
#undef KOLK_OPTION_STRUCT
#undef KOLK_OPTION_SHADOW

/* A key's identity is written without a table (identity.c): no field of it is forgotten. */
#define KOLK_OPTION_STRUCT struct kolk_key_options
#define KOLK_OPTION_SHADOW struct key_shadow
struct key_shadow { KOLK__KEY_OPTIONS(KOLK_OPTION_MEMBER) };
KOLK_OPTION_PROVE(KOLK__KEY_OPTIONS, 0);
#undef KOLK_OPTION_STRUCT
#undef KOLK_OPTION_SHADOW

const struct kolk_option_table *kolk_option_table(const char *name)
{
	static const struct kolk_option_table *const tables[] = {
		&kolk__engine_table, &kolk__pool_table, &kolk__tls_table, &kolk__child_table,
		&kolk__tenant_table, &kolk__listener_table
	};

	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		if (strcmp(tables[i]->name, name) == 0)
			return tables[i];
	return NULL;
}
