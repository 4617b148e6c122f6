/* SPDX-License-Identifier: Apache-2.0 */
/* config_schema.h - which keys there are, and which field of which options each is. */
#ifndef KOLK_OPS_CONFIG_SCHEMA_H
#define KOLK_OPS_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kolk/options.h>

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

/* Rows of a table that are keys of a section: those whose key begins with prefix. */
struct kolk__rows {
	const struct kolk_option_table *table;
	const char *prefix;
	size_t base; /* where the table's struct is in what is read */
};

struct kolk__section {
	const char *name;
	const struct kolk__setting *settings;
	size_t count;
	size_t item_size;   /* SECTIONS: of the struct of one */
	size_t node_offset; /* of a pointer to the node that it was read from; 0 = none */
	bool keyed;         /* SECTIONS: a map is taken, too; its keys are the first setting */
	/* A program's: what is set and checked when a map is read (section.c). */
	const struct kolk__rows *rows;
	size_t rows_count;
};

extern const struct kolk__section kolk__schema; /* the whole file: struct kolk_config */

/* A row as a setting; false: it is no key of the section. */
bool kolk__setting_of(const struct kolk__rows *rows, const struct kolk_option *option,
		      struct kolk__setting *setting);

const struct kolk__setting *kolk__setting_find(const struct kolk__section *section,
					       const char *name);
/* What was probably meant: by edit distance, then in other sections of the file. "" = no idea. */
struct kolk__suggestion {
	char text[96];
};
struct kolk__suggestion kolk__setting_suggest(const struct kolk__section *file,
					      const struct kolk__section *section,
					      const char *name);

#endif
