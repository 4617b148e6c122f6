/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.c - the one place that turns configuration into identity.
 *
 * Every field of the options stands in a table below, with what it means for the identity. The
 * tables are checked against the structs by the compiler: a field that is added, moved or
 * changed and not told here does not build.
 *
 *   PUT   part of the identity, byte for byte
 *   NOT   no part of it: two pools or keys that differ only here may share a connection
 *   OWN   part of it, but not as it stands: see where it is written
 */
#include "core/identity.h"

#include <string.h>

#include "core/engine.h"

typedef const char *text;
typedef const char *const *list;

#define TLS_FIELDS(PUT, NOT, OWN)                                                          \
	NOT(uint32_t, size)                                                                \
	PUT(uint32_t, verify_off)                                                          \
	PUT(uint32_t, version_min)                                                         \
	PUT(uint32_t, resume_off)                                                          \
	PUT(uint32_t, record_max)                                                          \
	NOT(uint32_t, reserved)                                                            \
	PUT(text, server_name)                                                             \
	PUT(text, ca_file) /* name and, with the digest of all files, content */           \
	PUT(text, ca_directory)                                                            \
	PUT(text, certificate_file)                                                        \
	PUT(text, key_file)                                                                \
	PUT(list, alpn)                                                                    \
	PUT(text, crl_file)                                                                \
	PUT(list, pins)

/* Times and the log bound a child, they do not say which it is. */
#define CHILD_FIELDS(PUT, NOT, OWN)                                                        \
	NOT(uint32_t, size)                                                                \
	PUT(uint32_t, files_max)                                                           \
	PUT(list, command)                                                                 \
	OWN(list, environment) /* the digest of what it amounts to, with what is inherited */ \
	OWN(list, inherit)                                                                 \
	PUT(text, directory)                                                               \
	NOT(uint64_t, stop_timeout_ns)                                                     \
	NOT(uint64_t, term_timeout_ns)                                                     \
	NOT(uint32_t, lines_max)                                                           \
	NOT(uint32_t, last_words_off)

/* Limits and times bound a connection, they do not say whose it is. */
#define POOL_FIELDS(PUT, NOT, OWN)                                                         \
	NOT(uint32_t, size)                                                                \
	PUT(uint32_t, isolation)                                                           \
	NOT(text, name) /* a handle for people */                                          \
	OWN(text, address)                                                                 \
	OWN(const struct kolk_tls_options *, tls)                                          \
	OWN(const struct kolk_driver *, driver)                                            \
	OWN(void *, driver_user)                                                           \
	OWN(const struct kolk_resource_driver *, resource)                                 \
	OWN(const struct kolk_child_options *, child)                                      \
	PUT(text, bind_address)                                                            \
	PUT(uint32_t, bind_port_min)                                                       \
	PUT(uint32_t, bind_port_max)                                                       \
	PUT(text, name_servers)                                                            \
	NOT(uint32_t, connections_max)                                                     \
	NOT(uint32_t, pool_connections_max)                                                \
	NOT(uint32_t, idle_min)                                                            \
	NOT(uint32_t, waiters_max)                                                         \
	NOT(uint32_t, dials_max)                                                           \
	NOT(uint32_t, uses_max)                                                            \
	NOT(uint32_t, circuit_failures)                                                    \
	NOT(uint32_t, circuit_percent)                                                     \
	NOT(uint32_t, eager_dials)                                                         \
	NOT(uint32_t, hopeless_waits)                                                      \
	NOT(uint32_t, mend_bytes_max)                                                      \
	NOT(uint32_t, reserved)                                                            \
	NOT(uint64_t, acquire_timeout_ns)                                                  \
	NOT(uint64_t, overtake_max_ns)                                                     \
	NOT(uint64_t, idle_timeout_ns)                                                     \
	NOT(uint64_t, lifetime_ns)                                                         \
	NOT(uint64_t, resolve_timeout_ns)                                                  \
	NOT(uint64_t, connect_timeout_ns)                                                  \
	NOT(uint64_t, tls_timeout_ns)                                                      \
	NOT(uint64_t, ready_timeout_ns)                                                    \
	NOT(uint64_t, ping_interval_ns)                                                    \
	NOT(uint64_t, ping_timeout_ns)                                                     \
	NOT(uint64_t, mend_timeout_ns)                                                     \
	NOT(uint64_t, retry_interval_ns)                                                   \
	NOT(uint64_t, retry_max_ns)                                                        \
	NOT(uint64_t, auth_retry_ns)                                                       \
	NOT(uint64_t, lease_overdue_ns)                                                    \
	NOT(uint64_t, keepalive_ns)                                                        \
	NOT(uint64_t, unacked_ns)                                                          \
	NOT(struct kolk_failure *, failure)

#define KEY_FIELDS(PUT, NOT, OWN)                                                          \
	NOT(uint32_t, size)                                                                \
	OWN(uint32_t, credential_size) /* its digest */                                    \
	OWN(text, tenant)              /* as the pool's isolation says */                  \
	OWN(const void *, credential)                                                      \
	OWN(text, session)                                                                 \
	NOT(uint32_t, replaces)                                                            \
	NOT(uint32_t, reserved)                                                            \
	NOT(struct kolk_failure *, failure)

/* The struct that a table describes must be the public one: the same fields at the same places,
 * and nothing between or behind them. */
#define MEMBER(type, name) type name;
#define SIZE_OF(type, name) +sizeof(type)
#define SAME_PLACE(type, name) \
	_Static_assert(offsetof(SHADOW, name) == offsetof(ORIGINAL, name), #name);
struct tls_shadow { TLS_FIELDS(MEMBER, MEMBER, MEMBER) };
struct child_shadow { CHILD_FIELDS(MEMBER, MEMBER, MEMBER) };
struct pool_shadow { POOL_FIELDS(MEMBER, MEMBER, MEMBER) };
struct key_shadow { KEY_FIELDS(MEMBER, MEMBER, MEMBER) };
#define SHADOW struct tls_shadow
#define ORIGINAL struct kolk_tls_options
TLS_FIELDS(SAME_PLACE, SAME_PLACE, SAME_PLACE)
_Static_assert(0 TLS_FIELDS(SIZE_OF, SIZE_OF, SIZE_OF) == sizeof(ORIGINAL), "a field is missing");
#undef SHADOW
#undef ORIGINAL
#define SHADOW struct child_shadow
#define ORIGINAL struct kolk_child_options
CHILD_FIELDS(SAME_PLACE, SAME_PLACE, SAME_PLACE)
_Static_assert(0 CHILD_FIELDS(SIZE_OF, SIZE_OF, SIZE_OF) == sizeof(ORIGINAL), "a field is missing");
#undef SHADOW
#undef ORIGINAL
#define SHADOW struct pool_shadow
#define ORIGINAL struct kolk_pool_options
POOL_FIELDS(SAME_PLACE, SAME_PLACE, SAME_PLACE)
_Static_assert(0 POOL_FIELDS(SIZE_OF, SIZE_OF, SIZE_OF) == sizeof(ORIGINAL), "a field is missing");
#undef SHADOW
#undef ORIGINAL
#define SHADOW struct key_shadow
#define ORIGINAL struct kolk_key_options
KEY_FIELDS(SAME_PLACE, SAME_PLACE, SAME_PLACE)
_Static_assert(0 KEY_FIELDS(SIZE_OF, SIZE_OF, SIZE_OF) == sizeof(ORIGINAL), "a field is missing");

/* ---- writing: lengths first, so that no two configurations give the same bytes */

struct writer {
	uint8_t *to;
	size_t capacity, size;
};

static void put(struct writer *w, const void *bytes, size_t size)
{
	if (w->size + size <= w->capacity)
		memcpy(w->to + w->size, bytes, size);
	w->size += size;
}

static void put_u32(struct writer *w, uint32_t value)
{
	put(w, &value, sizeof value);
}

static void put_text(struct writer *w, const char *value)
{
	put_u32(w, value != NULL ? (uint32_t)strlen(value) : UINT32_MAX); /* NULL is not "" */
	if (value != NULL)
		put(w, value, strlen(value));
}

static void put_list(struct writer *w, const char *const *value)
{
	uint32_t count = 0;

	while (value != NULL && value[count] != NULL)
		count++;
	put_u32(w, value != NULL ? count : UINT32_MAX);
	for (uint32_t i = 0; i < count; i++)
		put_text(w, value[i]);
}

#define WRITE(type, name) \
	_Generic(o->name, uint32_t: put_u32, text: put_text, list: put_list)(w, o->name);
#define IGNORE(type, name)

static void put_tls(struct writer *w, const struct kolk_tls_options *o, const uint8_t files[32])
{
	put_u32(w, o != NULL);
	if (o == NULL)
		return;
	TLS_FIELDS(WRITE, IGNORE, IGNORE)
	put(w, files, 32);
}

static void put_child(struct writer *w, const struct kolk_child_options *o, const uint8_t files[32])
{
	put_u32(w, o != NULL);
	if (o == NULL)
		return;
	CHILD_FIELDS(WRITE, IGNORE, IGNORE)
	put(w, files, 32);
}

size_t kolk__identity_pool(const struct kolk_pool_options *o, const char *address,
			   const uint8_t files[32], uint8_t *buffer, size_t capacity)
{
	struct writer writer = { .to = buffer, .capacity = capacity };
	struct writer *w = &writer;

	POOL_FIELDS(WRITE, IGNORE, IGNORE)
	put_text(w, address);
	put_tls(w, o->tls, files);
	put_child(w, o->child, files);
	/* Drivers are static and borrowed: who they are is where they are. */
	put(w, &o->driver, sizeof o->driver);
	put(w, &o->driver_user, sizeof o->driver_user);
	put(w, &o->resource, sizeof o->resource);
	return w->size;
}

/* ---- of a key */

/* Length, bytes, and a 0 so that it can be shown. It was checked: it fits. */
static uint8_t *put_name(uint8_t *to, const char *name)
{
	size_t size = name != NULL ? strlen(name) : 0;

	*to++ = (uint8_t)size;
	memcpy(to, name != NULL ? name : "", size + 1);
	return to + size + 1;
}

void kolk__identity_make(const struct kolk_engine *engine, uint32_t isolation,
			 const struct kolk_key_options *options, struct kolk__identity *id)
{
	bool shared = isolation == KOLK_ISOLATION_SHARED;
	struct kolk__digest digest;
	uint8_t *to = id->bytes;

	to = put_name(to, shared ? NULL : options->tenant);
	to = put_name(to, shared ? NULL : options->session);
	id->scope_size = (uint32_t)(to - id->bytes);
	*to++ = options->credential != NULL; /* nobody is an identity, too */
	digest = kolk__siphash_pair(&engine->secret, id->bytes, (size_t)(to - id->bytes),
				    options->credential, options->credential_size);
	memcpy(to, &digest, sizeof digest);
	id->size = (uint32_t)(to + sizeof digest - id->bytes);
	id->hash = (uint32_t)digest.d[0] & engine->hash_mask;
}
