/* SPDX-License-Identifier: Apache-2.0 */
/* pg_options.c - every option of the PostgreSQL driver, once (kolk/options.h), and their check. */
#include "transport/drivers/pg_session.h"

#include <string.h>

/* clang-format off */

enum { IDENTITY = KOLK_OPTION_IDENTITY, NONE = KOLK_OPTION_NONE, SECRET = KOLK_OPTION_SECRET };

#define MANY 1000000000u
#define DAY_NS (24 * 3600 * KOLK_S_NS)

typedef const char *text;
typedef const char *const *list;
typedef kolk_credentials_fn *credentials_pointer;
typedef kolk_postgres_notice_fn *notice_pointer;
typedef void *pointer;

static const struct kolk_option_word resets[] = {
	{ "dirty", KOLK_POSTGRES_RESET_DIRTY }, { "always", KOLK_POSTGRES_RESET_ALWAYS },
	{ "never", KOLK_POSTGRES_RESET_NEVER }, { NULL, 0 }
};

#define POSTGRES_OPTIONS(X)                                                                        \
	KOLK_OPTION_FIELD(X, uint32_t, size, SIZE, 0)                                              \
	X(uint32_t, reset, WORD, IDENTITY, 0, 0, 0, "postgres.reset", resets, NULL, NULL,          \
	  "when a connection that comes back gets DISCARD ALL")                                    \
	X(text, user, TEXT, IDENTITY, 0, 1, 255, "postgres.user", NULL, NULL, "required", "")      \
	X(text, password, TEXT, IDENTITY | SECRET, 0, 1, 65536, "postgres.password", NULL, NULL,   \
	  "none", "")                                                                              \
	KOLK_OPTION_FIELD(X, credentials_pointer, credentials, POINTER, IDENTITY)                  \
	KOLK_OPTION_FIELD(X, pointer, credentials_user, POINTER, IDENTITY)                         \
	X(text, database, TEXT, IDENTITY, 0, 1, 255, "postgres.database", NULL, NULL,              \
	  "as the user is called", "")                                                             \
	X(text, application_name, TEXT, IDENTITY, 0, 1, 255, "postgres.application_name", NULL,    \
	  NULL, "kolk", "")                                                                        \
	X(list, parameters, LIST, IDENTITY, 0, 1, 65536, "postgres.parameters", NULL,              \
	  "list of name, value, name, value", "none", "start-up parameters, as search_path")       \
	KOLK_OPTION_FIELD(X, notice_pointer, notice, POINTER, IDENTITY)                            \
	KOLK_OPTION_FIELD(X, pointer, notice_user, POINTER, IDENTITY)                              \
	X(uint32_t, tls_direct, SWITCH, IDENTITY, 0, 0, 1, "postgres.tls_direct", NULL, NULL,      \
	  NULL, "TLS from the first byte (PostgreSQL 17)")                                         \
	X(uint32_t, scram_required, SWITCH, IDENTITY, 0, 0, 1, "postgres.scram_required", NULL,    \
	  NULL, NULL, "refuse a server that asks for no password, or for another than by SCRAM")   \
	X(uint32_t, md5_allowed, SWITCH, IDENTITY, 0, 0, 1, "postgres.md5_allowed", NULL, NULL,    \
	  NULL, "answer to md5, which is broken")                                                  \
	X(uint32_t, clear_allowed, SWITCH, IDENTITY, 0, 0, 1, "postgres.clear_allowed", NULL,      \
	  NULL, NULL, "hand the password over, inside TLS only")                                   \
	X(uint32_t, scram_rounds_max, COUNT, IDENTITY, 65536, 1, MANY,                             \
	  "postgres.scram_rounds_max", NULL, NULL, NULL, "refuse to hash more often")              \
	X(uint32_t, message_bytes_max, BYTES, IDENTITY, 16 << 20, 1, 1 << 30,                      \
	  "postgres.message_bytes_max", NULL, NULL, NULL, "of a message that is received")         \
	X(uint32_t, prepared_max, COUNT, IDENTITY | NONE, 32, 1, 1024, "postgres.prepared_max",    \
	  NULL, NULL, NULL, "statements that a connection keeps prepared")                         \
	X(uint32_t, notes_max, COUNT, IDENTITY, 64, 1, MANY, "postgres.notes_max", NULL, NULL,     \
	  NULL, "notifications that wait for a lease's holder")                                    \
	X(uint64_t, cancel_after_ns, DURATION, IDENTITY, 20 * KOLK_MS_NS, 1,                       \
	  365 * DAY_NS, "postgres.cancel_after", NULL, NULL, NULL,                                 \
	  "how long what was left running may go on until the server is asked to cancel it")        \
	X(text, validation_query, TEXT, IDENTITY, 0, 1, 4096, "postgres.validation_query", NULL,   \
	  NULL, "the empty query", "of pings, and of the next two")                                \
	X(uint32_t, validate_on_borrow, SWITCH, IDENTITY, 0, 0, 1, "postgres.validate_on_borrow",  \
	  NULL, NULL, NULL, "before a call by key uses a connection that was not made for it")      \
	X(uint32_t, validate_on_return, SWITCH, IDENTITY, 0, 0, 1, "postgres.validate_on_return",  \
	  NULL, NULL, NULL, "after each lease that ran anything; no caller waits")                 \
	X(uint64_t, validation_timeout_ns, DURATION, IDENTITY, KOLK_S_NS, KOLK_MS_NS,              \
	  365 * DAY_NS, "postgres.validation_timeout", NULL, NULL, NULL, "on borrow")

/* clang-format on */

#define KOLK_OPTION_STRUCT struct kolk_postgres_options
#define KOLK_OPTION_SHADOW struct postgres_shadow
struct postgres_shadow { POSTGRES_OPTIONS(KOLK_OPTION_MEMBER) };
KOLK_OPTION_PROVE(POSTGRES_OPTIONS, 0);
static const struct kolk_option rows[] = { POSTGRES_OPTIONS(KOLK_OPTION_ROW) };
const struct kolk_option_table pg_option_table = KOLK_OPTION_TABLE("postgres", rows);

static bool are_pairs(const char *const *parameters)
{
	size_t count = 0;

	while (parameters != NULL && parameters[count] != NULL)
		count++;
	return count % 2 == 0;
}

/* tls_direct matters over TLS only: it must be agreed on by ALPN then. */
static bool offers_postgres(const struct kolk_tls_options *tls)
{
	const char *const *alpn = tls != NULL ? tls->alpn : NULL;

	while (alpn != NULL && *alpn != NULL && strcmp(*alpn, "postgresql") != 0)
		alpn++;
	return tls == NULL || (alpn != NULL && *alpn != NULL);
}

enum kolk_err pg_options_check(const void *options, const struct kolk_pool_options *pool,
			       const char **field)
{
	const struct kolk_postgres_options *o = options;

	*field = o->user == NULL && o->credentials == NULL	     ? "user" :
		 !are_pairs(o->parameters)			     ? "parameters" :
		 o->tls_direct == 1 && !offers_postgres(pool->tls) ? "tls_direct" : NULL;
	return *field == NULL ? KOLK_OK : KOLK_E_OPTIONS;
}
