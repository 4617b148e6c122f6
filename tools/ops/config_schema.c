/* SPDX-License-Identifier: Apache-2.0 */
/* config_schema.c - the keys of a file, and which field of which options each is. */
#include "tools/ops/config.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */

enum { DEFAULT = KOLK__MAY_BE_DEFAULT, NONE = KOLK__MAY_BE_NONE,
       UNLIMITED = KOLK__MAY_BE_UNLIMITED, FOREVER = KOLK__MAY_BE_FOREVER,
       CHANGE = KOLK__MAY_CHANGE };

#define MANY 1000000000u /* more than anybody means, less than the spelled values */
#define US KOLK_US_NS
#define MS KOLK_MS_NS
#define YEAR (365 * 24 * 3600 * KOLK_S_NS)
#define PATH 4095

#define SETTING(key, member, kind_, may, low, high)                                \
	.name = key, .field = #member, .kind = KOLK__##kind_, .allowed = may,            \
	.min = low, .max = high
#define ENGINE(key, kind_, member, may, low, high, ...)                                  \
	{ SETTING(key, member, kind_, may, low, high),                                 \
	  .offset = offsetof(struct kolk_config, engine.member), __VA_ARGS__ }
#define POOL(key, kind_, member, may, low, high, ...)                                    \
	{ SETTING(key, member, kind_, may, low, high),                                 \
	  .offset = offsetof(struct kolk__config_pool, options.member), __VA_ARGS__ }
#define TLS(key, kind_, member, may, low, high, ...)                                     \
	{ SETTING(key, member, kind_, may, low, high),                                 \
	  .offset = offsetof(struct kolk__config_pool, tls.member), __VA_ARGS__ }
#define CHILD(key, kind_, member, may, low, high, ...)                                   \
	{ SETTING(key, member, kind_, may, low, high),                                 \
	  .offset = offsetof(struct kolk__config_pool, child.member), __VA_ARGS__ }
#define OF(of, key, kind_, member, may, low, high, ...)                                  \
	{ SETTING(key, member, kind_, may, low, high),                                 \
	  .offset = offsetof(struct of, member), __VA_ARGS__ }
#define SECTION(key, part) { .name = key, .field = key, .kind = KOLK__SECTION, .section = part }
#define ALL(settings_) .settings = settings_, .count = sizeof(settings_) / sizeof(settings_)[0]

/* ---- words */

static const struct kolk__word backends[] = {
	{ "auto", KOLK_BACKEND_AUTO }, { "io_uring", KOLK_BACKEND_IO_URING },
	{ "epoll", KOLK_BACKEND_EPOLL }, { NULL, 0 }
};
static const struct kolk__word log_levels[] = {
	{ "error", KOLK_LOG_ERROR }, { "warn", KOLK_LOG_WARN }, { "info", KOLK_LOG_INFO },
	{ "debug", KOLK_LOG_DEBUG }, { NULL, 0 }
};
static const struct kolk__word protocols[] = {
	{ "raw", KOLK__PROTOCOL_RAW }, { "redis", KOLK__PROTOCOL_REDIS },
	{ "http", KOLK__PROTOCOL_HTTP }, { NULL, 0 }
};
static const struct kolk__word isolations[] = {
	{ "tenant", KOLK_ISOLATION_TENANT }, { "shared", KOLK_ISOLATION_SHARED },
	{ "session", KOLK_ISOLATION_SESSION }, { NULL, 0 }
};
static const struct kolk__word tls_versions[] = {
	{ "1.2", 0x0303 }, { "1.3", 0x0304 }, { NULL, 0 }
};

/* ---- the engine, the admin server, tenants */

static const struct kolk__setting engine_settings[] = {
	ENGINE("connections_max", COUNT, connections_max, CHANGE, 1, KOLK_CONNECTIONS_MAX),
	ENGINE("connections_reserved", COUNT, connections_reserved, 0, 1, KOLK_CONNECTIONS_MAX),
	ENGINE("tenant_connections_max", COUNT, tenant_connections_max, UNLIMITED | CHANGE, 1, MANY),
	ENGINE("tenant_keys_max", COUNT, tenant_keys_max, UNLIMITED | CHANGE, 1, MANY),
	ENGINE("waiters_max", COUNT, waiters_max, UNLIMITED, 1, MANY),
	ENGINE("keys_max", COUNT, keys_max, UNLIMITED, 1, MANY),
	ENGINE("dials_max", COUNT, dials_max, 0, 1, KOLK_CONNECTIONS_MAX),
	ENGINE("loops", COUNT, loops, DEFAULT, 1, KOLK_LOOPS_MAX),
	ENGINE("backend", WORD, backend, 0, 0, 0, .words = backends),
	ENGINE("log_level", WORD, log_level, 0, 0, 0, .words = log_levels),
	ENGINE("maintenance_interval", DURATION, maintenance_interval_ns, 0, MS, YEAR),
	ENGINE("lend_after", DURATION, lend_after_ns, NONE | FOREVER, US, YEAR),
	OF(kolk_config, "drain_grace", DURATION, drain_grace_ns, NONE | CHANGE, MS, YEAR),
};
static const struct kolk__section engine = { "engine", ALL(engine_settings) };

static const struct kolk__setting admin_settings[] = {
	OF(kolk_config, "listen", STRING, admin.options.listen, 0, 1, 200),
	OF(kolk_config, "token", SECRET, admin.token, 0, KOLK_ADMIN_TOKEN_MIN, KOLK__VALUE_MAX),
	OF(kolk_config, "hosts", STRINGS, admin.options.hosts, 0, 1, 255),
	OF(kolk_config, "clients_max", COUNT, admin.options.clients_max, 0, 1, 1024),
	OF(kolk_config, "requests_max", COUNT, admin.options.requests_max, 0, 1, MANY),
	OF(kolk_config, "body_max", SIZE, admin.options.body_max, 0, 1024, 64 << 20),
	OF(kolk_config, "request_timeout", DURATION, admin.options.request_timeout_ns, 0, MS, YEAR),
};
static const struct kolk__section admin = { "admin", ALL(admin_settings) };

static const struct kolk__setting tenant_settings[] = {
	OF(kolk__config_tenant, "name", STRING, name, KOLK__REQUIRED, 1, 255),
	OF(kolk__config_tenant, "connections_max", COUNT, limits.connections_max, UNLIMITED, 1, MANY),
	OF(kolk__config_tenant, "keys_max", COUNT, limits.keys_max, UNLIMITED, 1, MANY),
	OF(kolk__config_tenant, "weight", COUNT, limits.weight, 0, 1, 1000),
};
static const struct kolk__section tenants = { "tenants", ALL(tenant_settings),
					      .item_size = sizeof(struct kolk__config_tenant) };

/* ---- pools */

static const struct kolk__setting tls_settings[] = {
	OF(kolk__config_pool, "enabled", SWITCH_OFF, tls_off, 0, 0, 0),
	TLS("verify", SWITCH_OFF, verify_off, 0, 0, 0),
	TLS("server_name", STRING, server_name, 0, 1, 255),
	TLS("ca_file", STRING, ca_file, 0, 1, PATH),
	TLS("ca_directory", STRING, ca_directory, 0, 1, PATH),
	TLS("certificate_file", STRING, certificate_file, 0, 1, PATH),
	TLS("key_file", STRING, key_file, 0, 1, PATH),
	TLS("crl_file", STRING, crl_file, 0, 1, PATH),
	TLS("alpn", STRINGS, alpn, 0, 1, 255),
	TLS("pins", STRINGS, pins, 0, 1, 255),
	TLS("version_min", WORD, version_min, 0, 0, 0, .words = tls_versions),
	TLS("resume", SWITCH_OFF, resume_off, 0, 0, 0),
	TLS("record_max", SIZE, record_max, 0, 512, 4096),
};
static const struct kolk__section tls = { "tls", ALL(tls_settings) };

static const struct kolk__setting child_settings[] = {
	CHILD("command", STRINGS, command, KOLK__REQUIRED, 1, PATH),
	CHILD("environment", STRINGS, environment, 0, 1, KOLK__VALUE_MAX),
	CHILD("inherit", STRINGS, inherit, 0, 1, 255),
	CHILD("directory", STRING, directory, 0, 1, PATH),
	CHILD("files_max", COUNT, files_max, 0, 3, MANY),
	CHILD("stop_timeout", DURATION, stop_timeout_ns, NONE, MS, YEAR),
	CHILD("term_timeout", DURATION, term_timeout_ns, NONE, MS, YEAR),
	CHILD("lines_max", COUNT, lines_max, NONE | UNLIMITED, 1, MANY),
	CHILD("last_words", SWITCH_OFF, last_words_off, 0, 0, 0),
};
static const struct kolk__section child = { "child", ALL(child_settings) };

static const struct kolk__setting limit_settings[] = {
	POOL("connections_max", COUNT, connections_max, 0, 1, KOLK_CONNECTIONS_MAX),
	POOL("pool_connections_max", COUNT, pool_connections_max, UNLIMITED, 1, KOLK_CONNECTIONS_MAX),
	POOL("idle_min", COUNT, idle_min, NONE, 1, KOLK_CONNECTIONS_MAX),
	POOL("waiters_max", COUNT, waiters_max, NONE, 1, MANY),
	POOL("dials_max", COUNT, dials_max, 0, 1, KOLK_CONNECTIONS_MAX),
	POOL("uses_max", COUNT, uses_max, UNLIMITED, 1, MANY),
};
static const struct kolk__section limits = { "limits", ALL(limit_settings) };

static const struct kolk__setting timeout_settings[] = {
	POOL("acquire", DURATION, acquire_timeout_ns, FOREVER, US, YEAR),
	POOL("overtake", DURATION, overtake_max_ns, NONE | FOREVER, US, YEAR),
	POOL("idle", DURATION, idle_timeout_ns, FOREVER, MS, YEAR),
	POOL("lifetime", DURATION, lifetime_ns, FOREVER, MS, YEAR),
	POOL("resolve", DURATION, resolve_timeout_ns, 0, MS, YEAR),
	POOL("connect", DURATION, connect_timeout_ns, 0, MS, YEAR),
	POOL("tls", DURATION, tls_timeout_ns, 0, MS, YEAR),
	POOL("ready", DURATION, ready_timeout_ns, 0, MS, YEAR),
	POOL("keepalive", DURATION, keepalive_ns, FOREVER, KOLK_S_NS, YEAR),
	POOL("unacked", DURATION, unacked_ns, FOREVER, MS, YEAR),
};
static const struct kolk__section timeouts = { "timeouts", ALL(timeout_settings) };

static const struct kolk__setting health_settings[] = {
	POOL("ping_interval", DURATION, ping_interval_ns, FOREVER, MS, YEAR),
	POOL("ping_timeout", DURATION, ping_timeout_ns, 0, MS, YEAR),
	POOL("mend_timeout", DURATION, mend_timeout_ns, NONE, MS, YEAR),
	POOL("mend_bytes_max", SIZE, mend_bytes_max, 0, 1, 1 << 30),
	POOL("retry_interval", DURATION, retry_interval_ns, 0, MS, YEAR),
	POOL("retry_max", DURATION, retry_max_ns, 0, MS, YEAR),
	POOL("auth_retry", DURATION, auth_retry_ns, 0, MS, YEAR),
	POOL("circuit_failures", COUNT, circuit_failures, NONE, 1, MANY),
	POOL("circuit_percent", COUNT, circuit_percent, 0, 1, 100),
	POOL("lease_overdue", DURATION, lease_overdue_ns, FOREVER, MS, YEAR),
};
static const struct kolk__section health = { "health", ALL(health_settings) };

static const struct kolk__setting warm_settings[] = {
	OF(kolk__config_key, "tenant", STRING, tenant, 0, 1, 255),
	OF(kolk__config_key, "session", STRING, session, 0, 1, 255),
	OF(kolk__config_key, "credential", SECRET, credential, 0, 1, KOLK__VALUE_MAX),
};
static const struct kolk__section warm = { "warm", ALL(warm_settings),
					   .item_size = sizeof(struct kolk__config_key) };

static const struct kolk__setting pool_settings[] = {
	POOL("name", STRING, name, KOLK__REQUIRED, 1, 63),
	POOL("address", STRING, address, 0, 1, 300),
	OF(kolk__config_pool, "protocol", WORD, protocol, 0, 0, 0, .words = protocols),
	POOL("isolation", WORD, isolation, 0, 0, 0, .words = isolations),
	POOL("bind_address", STRING, bind_address, 0, 1, 255),
	POOL("bind_port_min", COUNT, bind_port_min, 0, 1, 65535),
	POOL("bind_port_max", COUNT, bind_port_max, 0, 1, 65535),
	POOL("name_servers", STRING, name_servers, 0, 1, 255),
	POOL("eager_dials", SWITCH, eager_dials, 0, 0, 0),
	POOL("hopeless_waits", SWITCH, hopeless_waits, 0, 0, 0),
	SECTION("tls", &tls),
	SECTION("child", &child),
	SECTION("limits", &limits),
	SECTION("timeouts", &timeouts),
	SECTION("health", &health),
	OF(kolk__config_pool, "warm", SECTIONS, warm, 0, 0, 1000, .section = &warm),
};
static const struct kolk__section pools = { "pools", ALL(pool_settings),
					    .item_size = sizeof(struct kolk__config_pool) };

static const struct kolk__setting file_settings[] = {
	SECTION("engine", &engine),
	SECTION("admin", &admin),
	OF(kolk_config, "tenants", SECTIONS, tenants, 0, 0, 10000, .section = &tenants),
	OF(kolk_config, "pools", SECTIONS, pools, 0, 0, 1000, .section = &pools),
};
const struct kolk__section kolk__schema = { "the file", ALL(file_settings) };

/* clang-format on */

/* ---- finding, and guessing what was meant */

const struct kolk__setting *kolk__setting_find(const struct kolk__section *section,
					       const char *name)
{
	for (size_t i = 0; i < section->count; i++)
		if (strcmp(section->settings[i].name, name) == 0)
			return &section->settings[i];
	return NULL;
}

/* How many letters must be put in, left out, changed or swapped with their neighbour
 * (optimal string alignment); more than 24 letters are no slip. */
static uint32_t distance(const char *a, const char *b)
{
	uint32_t row[3][26], *before = row[0], *last = row[1], *now = row[2];
	size_t length_a = strlen(a), length_b = strlen(b);

	if (length_a > 24 || length_b > 24)
		return UINT32_MAX;
	for (uint32_t j = 0; j <= length_b; j++)
		last[j] = j;
	for (uint32_t i = 1; i <= length_a; i++) {
		uint32_t *oldest = before;

		now[0] = i;
		for (uint32_t j = 1; j <= length_b; j++) {
			uint32_t best = last[j - 1] + (a[i - 1] != b[j - 1]);

			best = last[j] + 1 < best ? last[j] + 1 : best;
			best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
		before = last;
		last = now;
		now = oldest;
	}
	return last[length_b];
}

static const struct kolk__setting *nearest(const struct kolk__section *section, const char *name)
{
	const struct kolk__setting *found = NULL;
	uint32_t best = 1 + (uint32_t)strlen(name) / 4;

	for (size_t i = 0; i < section->count; i++) {
		uint32_t d = distance(name, section->settings[i].name);

		if (d < best || (d == best && found == NULL)) {
			best = d;
			found = &section->settings[i];
		}
	}
	return found;
}

/* Is it the name of the key, or that of the field in C, with its unit or without? */
static bool is_called(const struct kolk__setting *setting, const char *name)
{
	const char *dot = strrchr(setting->field, '.');
	const char *field = dot != NULL ? dot + 1 : setting->field;
	size_t size = strlen(name);

	return strcmp(setting->name, name) == 0 ||
	       (strncmp(field, name, size) == 0 &&
		(field[size] == 0 || strcmp(field + size, "_ns") == 0));
}

static const struct kolk__section *section_of(const struct kolk__section *section,
					      const char *name, const char **key)
{
	for (size_t i = 0; i < section->count; i++)
		if (is_called(&section->settings[i], name)) {
			*key = section->settings[i].name;
			return section;
		}
	for (size_t i = 0; i < section->count; i++) {
		const struct kolk__section *inner = section->settings[i].section;
		const struct kolk__section *found =
			inner != NULL ? section_of(inner, name, key) : NULL;

		if (found != NULL)
			return found;
	}
	return NULL;
}

void kolk__setting_suggest(const struct kolk__section *section, const char *name, char *text,
			   size_t size)
{
	const struct kolk__setting *near = nearest(section, name);
	const struct kolk__section *other;
	const char *key = NULL;

	text[0] = 0;
	if (near != NULL) {
		snprintf(text, size, "did you mean '%s'?", near->name);
		return;
	}
	other = section_of(section, name, &key);
	if (other == NULL)
		other = section_of(&kolk__schema, name, &key);
	if (other == section)
		snprintf(text, size, "did you mean '%s'?", key);
	else if (other != NULL)
		snprintf(text, size, "did you mean '%s' in '%s'?", key, other->name);
}
