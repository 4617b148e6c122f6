/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - a configuration on its way: text -> tree -> values -> checked -> engine.
 *
 *   config_yaml.c    text to tree, bounded: depth, sizes, no aliases
 *   options.c        this library's own options, as rows
 *   config_schema.c  which keys there are, and which field of which options each is
 *   config_read.c    tree to options by the schema
 *   config_value.c   one scalar: ${ENV}, file:, counts, durations, sizes, words
 *   config_env.c     what the environment says besides
 *   config_protocol.c  which driver a protocol is, and what its pools need
 *   config_check.c   what contradicts something else
 *   config_open.c    options to an engine
 *   config_apply.c   one configuration to the next, or back
 */
#ifndef KOLK_OPS_CONFIG_INTERNAL_H
#define KOLK_OPS_CONFIG_INTERNAL_H

#include <kolk/kolk.h>
#include <kolk/http.h>
#include <kolk/ops/config.h>
#include <kolk/postgres.h>
#include <kolk/redis.h>

#include "core/base/sized.h"

#define KOLK__TEXT_MAX (1024 * 1024) /* a file */
#define KOLK__VALUE_MAX (64 * 1024)  /* one scalar, also after ${} and file: */
#define KOLK__DEPTH_MAX 8
#define KOLK__KEYS_MAX 64 /* of one map */
#define KOLK__NODES_MAX 65536

/* ---- memory: everything of a configuration, wiped and freed together */

struct kolk__arena {
	struct kolk__chunk *chunks;
};

void *kolk__arena_get(struct kolk__arena *arena, size_t size); /* zeroed; NULL = no memory */
void kolk__arena_free(struct kolk__arena *arena);

/* ---- the tree */

enum kolk__node_kind { KOLK__NOTHING, KOLK__TEXT, KOLK__LIST, KOLK__MAP };

struct kolk__node {
	enum kolk__node_kind kind;
	uint32_t line, column;         /* from 1; 0 = from the environment */
	uint32_t key_line, key_column; /* in a map */
	uint32_t count;                /* of what it contains */
	const char *key;               /* in a map */
	const char *source;            /* the environment variable; NULL = the file */
	const char *text;
	size_t size;
	struct kolk__node *first, *last, *next;
};

/* Where we are, and what went wrong. */
struct kolk__reading {
	struct kolk__arena *arena;
	const char *name; /* of the file */
	const char *const *environment;
	struct kolk_config_error *error;
};

/* Text to tree; NULL and the error said. */
struct kolk__node *kolk__tree_parse(struct kolk__reading *r, const char *text, size_t size);
/* What stands at this key of a map; NULL = it is not there. */
struct kolk__node *kolk__tree_find(const struct kolk__node *map, const char *key);
/* Put a node at the end of a list or map. */
void kolk__tree_add(struct kolk__node *parent, struct kolk__node *node);

/* ---- errors: each says one and returns false; reading goes on for the next, but not without memory
 * (kolk__reading_failed) */

bool kolk__wrong(struct kolk__reading *r, const struct kolk__node *at, const char *suggestion,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same, at the key instead of at the value. */
bool kolk__wrong_key(struct kolk__reading *r, const struct kolk__node *at,
		     const char *suggestion, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
bool kolk__no_memory(struct kolk__reading *r);
static inline bool kolk__reading_failed(const struct kolk__reading *r)
{
	return r->error->err == KOLK_E_MEMORY;
}
/* Whether a caller's error can be filled in: NULL, or a struct of known size. */
bool kolk__config_error_fits(const struct kolk_config_error *error);

/* A text for an error: in quotes, short, control bytes shown as \xNN. */
struct kolk__shown {
	char text[96];
};
struct kolk__shown kolk__show(const char *text, size_t size);

/* ---- the schema */

enum kolk__kind {
	KOLK__COUNT,       /* uint32_t */
	KOLK__DURATION,    /* uint64_t, ns */
	KOLK__SIZE,        /* uint32_t or uint64_t, bytes */
	KOLK__SWITCH,      /* uint32_t: true = 1 */
	KOLK__SWITCH_OFF,  /* uint32_t: false = 1 */
	KOLK__WORD,        /* uint32_t: the value of a word */
	KOLK__STRING,      /* const char * */
	KOLK__STRINGS,     /* const char *const *, NULL-terminated */
	KOLK__SECRET,      /* struct kolk__secret */
	KOLK__PASSWORD,    /* const char *: a secret without zero bytes */
	KOLK__SECTION,     /* a map, of the same struct */
	KOLK__SECTIONS     /* a list of maps: struct kolk__array */
};

enum kolk__allowed { /* besides a number in the range */
	KOLK__MAY_BE_DEFAULT = 1,   /* 0 and auto = the default */
	KOLK__MAY_BE_NONE = 2,      /* 0, none and off: KOLK_NONE, KOLK_AT_ONCE */
	KOLK__MAY_BE_UNLIMITED = 4, /* KOLK_UNLIMITED */
	KOLK__MAY_BE_FOREVER = 8,   /* forever and off: KOLK_FOREVER */
	KOLK__REQUIRED = 16,
	KOLK__MAY_CHANGE = 32, /* a reload can change it */
	KOLK__IS_IDENTITY = 64 /* by new connections */
};

struct kolk__section;

struct kolk__setting {
	const char *name;  /* the key in the file */
	const char *field; /* what struct kolk_failure calls it */
	enum kolk__kind kind;
	uint32_t allowed; /* enum kolk__allowed */
	size_t offset, size;
	uint64_t min, max;                   /* numbers; lengths of texts */
	const struct kolk_option_word *words;      /* WORD: up to a NULL name */
	const struct kolk__section *section; /* SECTION, SECTIONS */
	/* For the manual, as in struct kolk_option. */
	const char *range, *usual, *text;
	uint64_t fallback;
	const struct kolk_option *option;    /* NULL = a section */
	const struct kolk_option_table *table; /* that option is of */
};

struct kolk__section {
	const char *name;
	const struct kolk__setting *settings;
	size_t count;
	size_t item_size; /* SECTIONS: of the struct of one */
};

extern const struct kolk__section kolk__schema; /* the whole file: struct kolk_config */

const struct kolk__setting *kolk__setting_find(const struct kolk__section *section,
					       const char *name);
/* What was probably meant: by edit distance, then in other sections. "" = no idea. */
void kolk__setting_suggest(const struct kolk__section *section, const char *name, char *text,
			   size_t size);

/* ---- values */

struct kolk__secret {
	const void *bytes;
	size_t size;
};

struct kolk__array {
	void *items;
	uint32_t count;
};

/* An array's items by their names, sorted. */
struct kolk__named {
	const char *name;
	const struct kolk__node *node; /* of the name */
	void *item;
};

bool kolk__value_read(struct kolk__reading *r, const struct kolk__setting *setting,
		      const struct kolk__node *node, void *target);
/* A duration in the biggest unit that leaves no rest. */
void kolk__duration_text(uint64_t ns, char *text, size_t size);
/* The value of a variable; NULL = not set. */
const char *kolk__environment_get(const struct kolk__reading *r, const char *name, size_t size);

/* ---- a configuration */

struct kolk__config_tenant {
	const char *name;
	struct kolk_tenant_limits limits;
	const struct kolk__node *node;
};

struct kolk__config_key {
	const char *tenant, *session;
	struct kolk__secret credential;
	const struct kolk__node *node;
};

enum kolk__protocol_number {
	KOLK__PROTOCOL_RAW,
	KOLK__PROTOCOL_HTTP,
	KOLK__PROTOCOL_REDIS,
	KOLK__PROTOCOL_POSTGRES,
	KOLK__PROTOCOLS
};

struct kolk__config_pool {
	struct kolk_pool_options options;
	struct kolk_tls_options tls;
	struct kolk_child_options child;
	struct kolk_http_driver_options http; /* of these three, that of the protocol */
	struct kolk_redis_options redis;
	struct kolk_postgres_options postgres;
	uint32_t tls_off;
	uint32_t protocol; /* enum kolk__protocol_number */
	struct kolk__array warm; /* struct kolk__config_key */
	const struct kolk__node *node;
};

/* kolk__section_read puts a list's nodes into the last member of its structs. */
#define KOLK__NODE_IS_LAST(type)                                                       \
	_Static_assert(offsetof(struct type, node) + sizeof(void *) == sizeof(struct type), \
		       "node is the last member")
KOLK__NODE_IS_LAST(kolk__config_tenant);
KOLK__NODE_IS_LAST(kolk__config_key);
KOLK__NODE_IS_LAST(kolk__config_pool);

struct kolk_config {
	struct kolk__arena arena;
	const char *name;
	struct kolk__node *file;    /* kept to say where something is that fails later */
	struct kolk__node *overlay; /* the environment's, in the same shape */
	struct kolk_engine_options engine;
	uint64_t drain_grace_ns;
	struct kolk_admin_options admin;
	struct kolk__array tenants; /* struct kolk__config_tenant */
	struct kolk__array pools;   /* struct kolk__config_pool */
	struct kolk__named *tenants_named, *pools_named;
};

/* config_protocol.c: what a protocol's pools are. */
struct kolk__protocol {
	const char *name;
	const struct kolk_driver *(*driver)(void); /* NULL = not in this build */
	size_t offset; /* of its options in struct kolk__config_pool; 0 = it has none */
};
const struct kolk__protocol *kolk__protocol_of(uint32_t number);
/* Driver, its options, and what TLS is to agree on when the file does not say. */
bool kolk__protocol_check(struct kolk__reading *r, struct kolk__config_pool *pool);
/* As the calls on pools; those of PostgreSQL handle the cancel pool, too. */
enum kolk_err kolk__protocol_add(struct kolk_engine *engine, uint32_t protocol,
				 const struct kolk_pool_options *options, struct kolk_pool **pool);
enum kolk_err kolk__protocol_update(struct kolk_pool *pool, uint32_t protocol,
				    const struct kolk_pool_options *options);
/* The name of the cancel pool of a pool of this name; false: this protocol's pools have none. */
#define KOLK__CANCEL_POOL_NAME_BYTES 72
bool kolk__protocol_cancel_pool_name(const char *pool, uint32_t protocol,
				     char name[KOLK__CANCEL_POOL_NAME_BYTES]);
/* The cancel pool; NULL = a pool of this protocol has none. */
struct kolk_pool *kolk__protocol_cancel_pool(struct kolk_pool *pool, uint32_t protocol);

/* A map by the settings of its section, into the struct that the offsets are of. */
bool kolk__section_read(struct kolk__reading *r, const struct kolk__section *section,
			const struct kolk__node *map, void *target);

/* The tree that the environment adds; NULL and the error said. */
struct kolk__node *kolk__environment_tree(struct kolk__reading *r);
bool kolk__environment_pools(struct kolk__reading *r, struct kolk_config *config);

bool kolk__config_check(struct kolk__reading *r, struct kolk_config *config);

/* Where a section of the file or the environment sets this key, or the key of this C field;
 * else where the section is, else the file. */
const struct kolk__node *kolk__config_place(const struct kolk_config *config, const char *section,
					    const char *field);
/* The same in a pool, with its setting; the pool and NULL when it is not set there. */
const struct kolk__node *kolk__pool_place(const struct kolk__config_pool *pool, const char *field,
					  const struct kolk__setting **setting);

static inline struct kolk__config_pool *kolk__config_pool_at(const struct kolk_config *config,
							     uint32_t index)
{
	return (struct kolk__config_pool *)config->pools.items + index;
}

static inline struct kolk__config_tenant *
kolk__config_tenant_at(const struct kolk_config *config, uint32_t index)
{
	return (struct kolk__config_tenant *)config->tenants.items + index;
}

struct kolk__config_pool *kolk__config_pool_named(const struct kolk_config *config,
						  const char *name);
struct kolk__config_tenant *kolk__config_tenant_named(const struct kolk_config *config,
						      const char *name);
bool kolk__key_is_same(const struct kolk__config_key *a, const struct kolk__config_key *b);

/* ---- steps of open that apply takes too */

/* Says what went wrong at a place, and returns err. */
enum kolk_err kolk__refused(const struct kolk_config *config, const struct kolk__node *at,
			    enum kolk_err err, struct kolk_config_error *error,
			    const char *suggestion, const char *format, ...)
	__attribute__((format(printf, 6, 7)));
/* The error of a call on a pool, reported at the key of the field that it names. */
enum kolk_err kolk__pool_refused(const struct kolk_config *config,
				 const struct kolk__config_pool *pool, enum kolk_err err,
				 const struct kolk_failure *failure,
				 struct kolk_config_error *error);
enum kolk_err kolk__pool_add(struct kolk_engine *engine, const struct kolk_config *config,
			     const struct kolk__config_pool *pool, struct kolk_pool **made,
			     struct kolk_config_error *error);
/* Open a key to warm and begin to dial; its handle is kept. */
enum kolk_err kolk__key_warm_begin(struct kolk_pool *pool, const struct kolk_config *config,
				   const struct kolk__config_key *key,
				   struct kolk_config_error *error);
/* Give back the handle that kolk__key_warm_begin kept. */
void kolk__key_warm_end(struct kolk_pool *pool, const struct kolk__config_key *key);

#endif
