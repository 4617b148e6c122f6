/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - every option of an MCP upstream, once (kolk/options.h); its own copy of them. */
#include <stdio.h>
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

/* clang-format off */

enum { LIFE = KOLK_OPTION_LIFE, FOREVER = KOLK_OPTION_FOREVER, UNLIMITED = KOLK_OPTION_UNLIMITED };

#define HOUR_NS (3600 * KOLK_S_NS)
#define DAY_NS (24 * HOUR_NS)
#define MANY 1000000u
#define TEXT_MAX 255
#define JSON_MAX 65536

typedef const char *text;
typedef kolk_credentials_fn *credentials_pointer;
typedef void *pointer;
typedef struct kolk_failure *failure_pointer;

static const struct kolk_option_word isolations[] = {
	{ "session", KOLK_MCP_ISOLATION_SESSION }, { "tenant", KOLK_MCP_ISOLATION_TENANT },
	{ "shared", KOLK_MCP_ISOLATION_SHARED }, { NULL, 0 }
};
static const struct kolk_option_word sharings[] = {
	{ "bound", KOLK_MCP_BOUND }, { "virgin", KOLK_MCP_VIRGIN },
	{ "exclusive", KOLK_MCP_EXCLUSIVE }, { "multiplexed", KOLK_MCP_MULTIPLEXED }, { NULL, 0 }
};

static const struct kolk_option_word eras[] = {
	{ "auto", KOLK_MCP_ERA_AUTO }, { "legacy", KOLK_MCP_LEGACY }, { "modern", KOLK_MCP_MODERN },
	{ NULL, 0 }
};

static const struct kolk_option_word transports[] = {
	{ "http", KOLK_MCP_HTTP }, { "stdio", KOLK_MCP_STDIO }, { "sse", KOLK_MCP_HTTP_SSE },
	{ "auto", KOLK_MCP_HTTP_AUTO }, { "websocket", KOLK_MCP_WEBSOCKET }, { NULL, 0 }
};

#define MCP_OPTIONS(X)                                                                             \
	KOLK_OPTION_FIELD(X, uint32_t, size, SIZE, 0)                                              \
	X(uint32_t, isolation, WORD, LIFE, 0, 0, 0, "mcp.isolation", isolations, NULL, NULL,       \
	  "whose sessions may be used again")                                                      \
	X(uint32_t, sharing, WORD, LIFE, 0, 0, 0, "mcp.sharing", sharings, NULL, NULL,             \
	  "how sessions are used")                                                                 \
	X(uint32_t, requests_max, COUNT, LIFE, 100, 1, MANY, "mcp.requests_max", NULL, NULL, NULL, \
	  "multiplexed: calls at a time on a session")                                             \
	X(uint32_t, era, WORD, LIFE, 0, 0, 0, "mcp.era", eras, NULL, NULL,                         \
	  "auto: the server is asked")                                                             \
	X(uint32_t, transport, WORD, LIFE, 0, 0, 0, "mcp.transport", transports, NULL, NULL,       \
	  "stdio: of a child process; sse: HTTP+SSE of 2024-11-05; auto: http, or else sse")       \
	X(text, name, TEXT, LIFE, 0, 1, 63, NULL, NULL, NULL, "NAME.mcp", "")                      \
	X(text, path, TEXT, LIFE, 0, 1, 4096, "mcp.path", NULL, NULL, "/mcp", "of the endpoint")   \
	X(uint32_t, sessions_max, COUNT, LIFE, 10, 1, MANY, "mcp.sessions_max", NULL, NULL, NULL,  \
	  "per key")                                                                               \
	X(uint32_t, pool_sessions_max, COUNT, LIFE | UNLIMITED, KOLK_UNLIMITED, 1, MANY,           \
	  "mcp.pool_sessions_max", NULL, NULL, NULL, "all keys of the pool")                       \
	X(uint32_t, idle_min, COUNT, LIFE, 0, 0, MANY, "mcp.idle_min", NULL, NULL, "none",           \
	  "sessions per key, kept ready")                                                          \
	X(uint32_t, waiters_max, COUNT, LIFE, 1000, 1, MANY, "mcp.waiters_max", NULL, NULL, NULL,  \
	  "calls that wait for a session, or for the era, per key")                                \
	X(uint64_t, idle_timeout_ns, DURATION, LIFE | FOREVER, HOUR_NS / 2, KOLK_MS_NS,            \
	  365 * DAY_NS, "mcp.idle_timeout", NULL, NULL, NULL, "of sessions")                       \
	X(uint64_t, lifetime_ns, DURATION, LIFE | FOREVER, DAY_NS, KOLK_MS_NS, 365 * DAY_NS,       \
	  "mcp.lifetime", NULL, NULL, NULL, "of sessions")                                         \
	X(uint64_t, acquire_timeout_ns, DURATION, LIFE, 10 * KOLK_S_NS, KOLK_MS_NS, DAY_NS,        \
	  "mcp.acquire_timeout", NULL, NULL, NULL, "the longest wait for a session")               \
	X(uint64_t, initialize_timeout_ns, DURATION, LIFE, 10 * KOLK_S_NS, KOLK_MS_NS, DAY_NS,     \
	  "mcp.initialize_timeout", NULL, NULL, NULL, "to make a session")                         \
	X(uint64_t, ping_interval_ns, DURATION, LIFE | FOREVER, 15 * KOLK_S_NS, KOLK_MS_NS, DAY_NS, \
	  "mcp.ping_interval", NULL, NULL, NULL, "of idle sessions over websocket")                \
	X(uint64_t, request_timeout_ns, DURATION, LIFE | FOREVER, 0, KOLK_MS_NS, 365 * DAY_NS,     \
	  NULL, NULL, NULL, NULL, "")                                                              \
	X(uint64_t, message_bytes_max, BYTES, LIFE, 16 << 20, 1024, 1 << 30,                       \
	  "mcp.message_bytes_max", NULL, NULL, NULL, "of a message of the server")                 \
	X(text, client_name, TEXT, LIFE, 0, 1, TEXT_MAX, "mcp.client_name", NULL, NULL, "kolk",    \
	  "told to the server")                                                                    \
	X(text, client_version, TEXT, LIFE, 0, 1, TEXT_MAX, "mcp.client_version", NULL, NULL,      \
	  "the library's", "told to the server")                                                   \
	X(text, capabilities, TEXT, LIFE, 0, 2, JSON_MAX, "mcp.capabilities", NULL, NULL, "{}",    \
	  "JSON, told to the server")                                                              \
	X(text, protocol_version, TEXT, LIFE, 0, 10, 10, "mcp.protocol_version", NULL, "a version", \
	  "2025-11-25", "that is asked for")                                                       \
	KOLK_OPTION_FIELD(X, credentials_pointer, credentials, POINTER, LIFE)                      \
	KOLK_OPTION_FIELD(X, pointer, credentials_user, POINTER, LIFE)                             \
	KOLK_OPTION_FIELD(X, failure_pointer, failure, POINTER, 0)

/* clang-format on */

#define KOLK_OPTION_STRUCT struct kolk_mcp_options
#define KOLK_OPTION_SHADOW struct mcp_shadow
struct mcp_shadow { MCP_OPTIONS(KOLK_OPTION_MEMBER) };
KOLK_OPTION_PROVE(MCP_OPTIONS, 0);
static const struct kolk_option rows[] = { MCP_OPTIONS(KOLK_OPTION_ROW) };
static const struct kolk_option_table table = KOLK_OPTION_TABLE("mcp", rows);

const struct kolk_option_table *kolk_mcp_option_table(void)
{
	return &table;
}

enum kolk_err kolk__mcp_refuse(const struct kolk_mcp_options *options, enum kolk_err err,
			       const char *field)
{
	const struct kolk_failure failure = { .size = (uint32_t)sizeof failure,
					      .err = err,
					      .err_class = kolk_err_class(err),
					      .phase = KOLK_PHASE_OPTIONS,
					      .field = field };

	(void)kolk__sized_write(options->failure, &failure);
	return err;
}

/* What goes into a request line without escaping. */
static bool is_path(const char *path)
{
	for (const char *c = path; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f || *c == '#')
			return false;
	return path[0] == '/';
}

static bool is_object(const char *json)
{
	return kolk__mcp_is_object(json, strlen(json));
}

/* A session is what its messages travel on: there is none in the modern era. */
static bool is_legacy_alone(const struct kolk_mcp *mcp)
{
	return mcp->server.message != NULL || mcp->options.transport == KOLK_MCP_HTTP_SSE ||
	       mcp->options.transport == KOLK_MCP_WEBSOCKET;
}

static void fill_in(struct kolk_mcp *mcp, char name[64])
{
	struct kolk_mcp_options *o = &mcp->options;

	if (o->path == NULL)
		o->path = "/mcp";
	if (o->client_name == NULL)
		o->client_name = "kolk";
	if (o->client_version == NULL)
		o->client_version = kolk_version_text();
	if (o->capabilities == NULL)
		o->capabilities = "{}";
	if (o->protocol_version == NULL)
		o->protocol_version = "2025-11-25";
	if (o->request_timeout_ns == 0)
		o->request_timeout_ns = mcp->connections != NULL ?
						kolk_pool_request_timeout_ns(mcp->connections) :
						60 * KOLK_S_NS;
	if (o->era == KOLK_MCP_ERA_AUTO && (is_legacy_alone(mcp) || o->transport == KOLK_MCP_STDIO))
		o->era = KOLK_MCP_LEGACY;
	if (mcp_shares_children(mcp)) { /* no wider than children are: those of a tenant */
		o->sharing = KOLK_MCP_MULTIPLEXED;
		if (o->isolation == KOLK_MCP_ISOLATION_SESSION)
			o->isolation = KOLK_MCP_ISOLATION_TENANT;
	}
	if (o->name != NULL)
		return;
	(void)snprintf(name, 64, "%.59s.mcp",
		       mcp->connections != NULL ? kolk_pool_name(mcp->connections) : "local");
	o->name = name;
}

/* The texts, one behind the other. */
static bool copy_texts(struct kolk_mcp *mcp)
{
	struct kolk_mcp_options *o = &mcp->options;
	const char **texts[] = { &o->name,           &o->path,         &o->client_name,
				 &o->client_version, &o->capabilities, &o->protocol_version };
	size_t size = 0;
	char *at;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		size += strlen(*texts[i]) + 1;
	mcp->texts = at = malloc(size);
	if (at == NULL)
		return false;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		size = strlen(*texts[i]) + 1;
		*texts[i] = memcpy(at, *texts[i], size);
		at += size;
	}
	return true;
}

static char *client_info(const struct kolk_mcp_options *options)
{
	const struct mcp_text name = mcp_text_of(options->client_name);
	const struct mcp_text version = mcp_text_of(options->client_version);
	size_t size = 6 * (name.size + version.size) + 32;
	char *info = malloc(size), *at = info;

	if (info == NULL)
		return NULL;
	at = stpcpy(at, "{\"name\":");
	at = kolk__mcp_json_string(at, name);
	at = stpcpy(at, ",\"version\":");
	at = kolk__mcp_json_string(at, version);
	(void)stpcpy(at, "}");
	return info;
}

enum kolk_err kolk__mcp_options_read(struct kolk_mcp *mcp, const struct kolk_mcp_options *options,
				     const char **field)
{
	const struct kolk_mcp_options none = KOLK_INIT(kolk_mcp_options);
	char name[64];

	*field = "size";
	if (!kolk__sized_read(&mcp->options, options != NULL ? options : &none))
		return KOLK_E_OPTIONS;
	kolk_option_defaults(&table, &mcp->options);
	*field = kolk_option_check(&table, &mcp->options);
	if (*field != NULL)
		return KOLK_E_OPTIONS;
	fill_in(mcp, name);
	*field = !is_path(mcp->options.path) ? "path" :
		 !kolk__mcp_version_known(mcp_text_of(mcp->options.protocol_version)) ? "protocol_version" :
		 !is_object(mcp->options.capabilities) ? "capabilities" :
		 is_legacy_alone(mcp) && mcp->options.era == KOLK_MCP_MODERN ? "era" :
		 mcp->server.message != NULL && mcp->options.transport != 0 ? "transport" : NULL;
	if (*field != NULL)
		return KOLK_E_OPTIONS;
#ifndef KOLK_WEBSOCKET
	if (mcp->options.transport == KOLK_MCP_WEBSOCKET) {
		*field = "transport"; /* built without libwslay */
		return KOLK_E_UNSUPPORTED;
	}
#endif
	if (!copy_texts(mcp))
		return KOLK_E_MEMORY;
	mcp->client_info = client_info(&mcp->options);
	return mcp->client_info != NULL ? KOLK_OK : KOLK_E_MEMORY;
}
