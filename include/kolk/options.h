/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/options.h - tables that describe the fields of options structs.
 *
 * One row for each field: its name, kind, default, range, whether it is part of a connection's
 * identity, whether it can change while a pool works, its key in a configuration file, and one line
 * about it. Defaults, checks, identity, the schema of the configuration file and the tables of the
 * manual are made from these rows alone. A driver that has options of its own describes them with
 * the same rows (struct kolk_driver, options).
 * Threads: any; everything here is constant.
 */
#ifndef KOLK_PUBLIC_OPTIONS_H
#define KOLK_PUBLIC_OPTIONS_H

#include <kolk/base.h>

enum kolk_option_kind {
	KOLK_OPTION_SIZE,     /* uint32_t: sizeof the struct, its first field */
	KOLK_OPTION_RESERVED, /* must be zero */
	KOLK_OPTION_COUNT,    /* uint32_t */
	KOLK_OPTION_BYTES,    /* uint32_t or uint64_t */
	KOLK_OPTION_DURATION, /* uint64_t, ns */
	KOLK_OPTION_SWITCH,   /* uint32_t: 0 or 1 */
	KOLK_OPTION_WORD,     /* uint32_t: one of words */
	KOLK_OPTION_TEXT,     /* const char * */
	KOLK_OPTION_LIST,     /* const char *const *, NULL-terminated */
	KOLK_OPTION_POINTER   /* a callback, its argument, another struct; only programs set it */
};

enum kolk_option_flag {
	/* Part of a connection's identity: a new value means new connections, and closes the old
	 * ones. */
	KOLK_OPTION_IDENTITY = 1,
	KOLK_OPTION_LIFE = 2,       /* cannot change during the life of its object */
	KOLK_OPTION_NONE = 4,       /* may be KOLK_NONE or KOLK_AT_ONCE */
	KOLK_OPTION_UNLIMITED = 8,  /* may be KOLK_UNLIMITED */
	KOLK_OPTION_FOREVER = 16,   /* may be KOLK_FOREVER */
	KOLK_OPTION_COMPUTED = 32,  /* the default depends on the machine: usual says how */
	KOLK_OPTION_REQUIRED = 64,  /* in a file */
	KOLK_OPTION_NEGATED = 128,  /* a file says the opposite: "verify: false" = verify_off 1 */
	KOLK_OPTION_SECRET = 256,   /* a file may say file:/path; never shown, wiped when freed */
	KOLK_OPTION_POWER = 512,    /* a power of two */
	KOLK_OPTION_OWN = 1024,     /* part of the identity, but not as it stands */
	KOLK_OPTION_AUTO = 2048     /* a file may say auto: the default */
};

struct kolk_option_word {
	const char *name;
	uint64_t value;
};

struct kolk_option {
	const char *field;       /* in C */
	const char *key;         /* in a file: "limits.dials_max"; NULL = only programs set it */
	uint16_t kind;           /* enum kolk_option_kind */
	uint16_t flags;          /* enum kolk_option_flag | ... */
	uint16_t offset, size;   /* in the struct, bytes */
	uint64_t fallback;       /* what 0 means */
	uint64_t min, max;       /* of numbers; of texts: bytes */
	const struct kolk_option_word *words; /* WORD: up to a NULL name */
	const char *range;       /* as people read it; NULL = from kind, min and max */
	const char *usual;       /* the default as people read it; NULL = from fallback */
	const char *text;        /* one line; "" = the name says it */
};

/* A bound between two options of one struct: field is at most other, or at least. If field has its
 * default, this is adjusted; otherwise options that break the bound are refused. */
struct kolk_option_bound {
	const char *field;
	uint32_t at_least;       /* 1; 0 = at most */
	const char *other;       /* its own default gives way to none, or comes before in bounds */
};

struct kolk_option_table {
	uint32_t struct_size;    /* of the struct that it describes */
	uint32_t count;          /* of options */
	const char *name;        /* of the struct, in files and errors: "pool" */
	const struct kolk_option *options; /* in the order of the struct */
	const struct kolk_option_bound *bounds; /* up to a NULL field; NULL = none */
};

/* For tables that are written once, as a macro of rows X(...) with the parameters of
 * KOLK_OPTION_ROW. Where these are used, KOLK_OPTION_STRUCT is defined as "struct NAME". */
#define KOLK_OPTION_ROW(type_, field_, kind_, flags_, fallback_, min_, max_, key_, words_, range_, \
			usual_, text_)                                                           \
	{ .field = #field_, .key = key_, .kind = KOLK_OPTION_##kind_, .flags = (uint16_t)(flags_), \
	  .offset = (uint16_t)offsetof(KOLK_OPTION_STRUCT, field_),                              \
	  .size = (uint16_t)sizeof(type_), .fallback = (fallback_), .min = (min_),               \
	  .max = (max_), .words = words_, .range = range_, .usual = usual_, .text = text_ },

#define KOLK_OPTION_TABLE(name_, rows_) KOLK_OPTION_TABLE_BOUND(name_, rows_, NULL)
#define KOLK_OPTION_TABLE_BOUND(name_, rows_, bounds_)                               \
	{ .struct_size = (uint32_t)sizeof(KOLK_OPTION_STRUCT), .name = name_,        \
	  .options = rows_, .count = (uint32_t)(sizeof(rows_) / sizeof(rows_)[0]),   \
	  .bounds = bounds_ }
/* A field that is not an option: the size, one that must be zero, one that only programs set. */
#define KOLK_OPTION_FIELD(X, type, field, kind, flags) \
	X(type, field, kind, flags, 0, 0, 0, NULL, NULL, NULL, NULL, "")
/* Prove at compile time that the rows are all the fields of the struct, at their offsets.
 * KOLK_OPTION_SHADOW is a struct of ROWS(KOLK_OPTION_MEMBER); padding: bytes between fields. */
#define KOLK_OPTION_MEMBER(type, field, ...) type field;
#define KOLK_OPTION_SIZE_OF(type, ...) +sizeof(type)
#define KOLK_OPTION_SAME_PLACE(type, field, ...) \
	_Static_assert(offsetof(KOLK_OPTION_SHADOW, field) == offsetof(KOLK_OPTION_STRUCT, field), #field);
#define KOLK_OPTION_PROVE(ROWS, padding)                                             \
	ROWS(KOLK_OPTION_SAME_PLACE)                                                 \
	_Static_assert(padding ROWS(KOLK_OPTION_SIZE_OF) == sizeof(KOLK_OPTION_STRUCT), \
		       "a field is missing")

KOLK_BEGIN

/* Return the table of "engine", "pool", "tls", "child", "tenant" (its limits) or "listener"; NULL
 * for other names. Tables of drivers: kolk_driver_http()->options and so on. */
KOLK_API const struct kolk_option_table *kolk_option_table(const char *name);

/* Fill in every default of a struct that the table describes; KOLK_NONE and KOLK_AT_ONCE become
 * 0. */
KOLK_API void kolk_option_defaults(const struct kolk_option_table *table, void *options);
/* Return the first field with a value that is not allowed, defaults filled in; NULL = all is
 * well. */
KOLK_API const char *kolk_option_check(const struct kolk_option_table *table, const void *options);

KOLK_END

#endif
