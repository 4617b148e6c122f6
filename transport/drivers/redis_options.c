/* SPDX-License-Identifier: Apache-2.0 */
/* redis_options.c - every option of the Redis driver, once (kolk/options.h), and their check. */
#include "transport/drivers/redis.h"

/* clang-format off */

enum { IDENTITY = KOLK_OPTION_IDENTITY, SECRET = KOLK_OPTION_SECRET,
       FOREVER = KOLK_OPTION_FOREVER };

#define MANY 1000000000u
#define DAY_NS (24 * 3600 * KOLK_S_NS)

typedef const char *text;
typedef kolk_credentials_fn *credentials_pointer;
typedef kolk_redis_push_fn *push_pointer;
typedef void *pointer;

/* request_timeout_ns and silence_timeout_ns: 0 = the pool's, which a file sets. */
#define REDIS_OPTIONS(X)                                                                           \
	KOLK_OPTION_FIELD(X, uint32_t, size, SIZE, 0)                                              \
	X(uint32_t, resp, COUNT, IDENTITY, 2, 2, 3, "redis.resp", NULL, NULL, NULL,                \
	  "version of the protocol; 3 is never quietly less")                                      \
	X(text, user, TEXT, IDENTITY, 0, 1, 255, "redis.user", NULL, NULL, "the default user",     \
	  "of an ACL; with `password`")                                                            \
	X(text, password, TEXT, IDENTITY | SECRET, 0, 1, 65536, "redis.password", NULL, NULL,      \
	  "none", "")                                                                              \
	KOLK_OPTION_FIELD(X, credentials_pointer, credentials, POINTER, IDENTITY)                  \
	KOLK_OPTION_FIELD(X, pointer, credentials_user, POINTER, IDENTITY)                         \
	X(text, client_name, TEXT, IDENTITY, 0, 1, 255, "redis.client_name", NULL, NULL, "none",   \
	  "CLIENT SETNAME; printable, no spaces")                                                  \
	X(uint32_t, database, COUNT, IDENTITY, 0, 0, INT32_MAX, "redis.database", NULL, NULL,      \
	  "0", "SELECT")                                                                           \
	X(uint32_t, depth_max, COUNT, IDENTITY, 7, 1, 64, "redis.depth_max", NULL, NULL, NULL,     \
	  "of arrays in arrays")                                                                   \
	X(uint32_t, elements_max, COUNT, IDENTITY, 1 << 20, 1, MANY, "redis.elements_max", NULL,   \
	  NULL, NULL, "of one array")                                                              \
	X(uint32_t, commands_max, COUNT, IDENTITY, 65536, 1, MANY, "redis.commands_max", NULL,     \
	  NULL, NULL, "in one call")                                                               \
	X(uint64_t, reply_bytes_max, BYTES, IDENTITY, 64 << 20, 1, UINT64_C(1) << 40,              \
	  "redis.reply_bytes_max", NULL, NULL, NULL, "all replies of one call")                    \
	X(uint64_t, request_bytes_max, BYTES, IDENTITY, 64 << 20, 1, UINT64_C(1) << 40,            \
	  "redis.request_bytes_max", NULL, NULL, NULL, "one call, encoded")                        \
	X(uint64_t, request_timeout_ns, DURATION, IDENTITY | FOREVER, 0, 1, 365 * DAY_NS, NULL,    \
	  NULL, NULL, NULL, "")                                                                    \
	X(uint64_t, silence_timeout_ns, DURATION, IDENTITY | FOREVER, 0, 1, 365 * DAY_NS, NULL,    \
	  NULL, NULL, NULL, "")                                                                    \
	KOLK_OPTION_FIELD(X, push_pointer, on_push, POINTER, IDENTITY)                             \
	KOLK_OPTION_FIELD(X, pointer, push_user, POINTER, IDENTITY)

/* clang-format on */

#define KOLK_OPTION_STRUCT struct kolk_redis_options
#define KOLK_OPTION_SHADOW struct redis_shadow
struct redis_shadow { REDIS_OPTIONS(KOLK_OPTION_MEMBER) };
KOLK_OPTION_PROVE(REDIS_OPTIONS, 0);
static const struct kolk_option rows[] = { REDIS_OPTIONS(KOLK_OPTION_ROW) };
const struct kolk_option_table redis_option_table = KOLK_OPTION_TABLE("redis", rows);

enum kolk_err redis_options_check(const void *options, const struct kolk_pool_options *pool,
				  const char **field)
{
	const struct kolk_redis_options *o = options;

	(void)pool;
	*field = o->credentials != NULL && (o->user != NULL || o->password != NULL) ? "credentials" :
		 o->user != NULL && o->password == NULL				    ? "password" :
		 o->depth_max > 7 && !kolk_redis_has_resp3()			    ? "depth_max" :
										      NULL;
	return *field == NULL ? KOLK_OK : KOLK_E_OPTIONS;
}
