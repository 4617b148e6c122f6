/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/ops/section.h - a program's own keys in the configuration file.
 *
 * A program describes its sections with the rows that describe the library's (kolk/options.h). They
 * are read into its structs and have the same values (durations, sizes, words, ${NAME}, file:/path
 * for secrets) and the same errors, with file, line, column and what was probably meant. A key
 * that neither the library nor the program declares is an error.
 *
 *     static const struct kolk_section_part parts[] = {
 *             { .kind = KOLK_SECTION_KEYS, .key = "proxy.", .table = &table },
 *             { .kind = KOLK_SECTION_LIST, .key = "routes", .section = &route,
 *               .offset = offsetof(struct proxy, routes) },
 *     };
 *     static const struct kolk_section proxy = KOLK_SECTION("proxy", struct proxy, place, parts);
 *
 * What is not in the file is zero in a struct, as in the library's: the default. Fill it in with
 * kolk_option_defaults. `size` of a struct whose rows begin with KOLK_OPTION_SIZE is set, and what
 * its table's bounds say is checked.
 *
 * Threads:  as kolk/ops/config.h; hooks run on the thread that loads or applies.
 * Lifetime: a description is constant and outlives every configuration that was read by it.
 */
#ifndef KOLK_OPS_SECTION_H
#define KOLK_OPS_SECTION_H

#include <kolk/ops/config.h>
#include <kolk/options.h>

struct kolk_section;
struct kolk_config_place; /* where something stands in the file; as long as its configuration */

enum kolk_section_kind {
	KOLK_SECTION_KEYS = 1, /* rows of a table: a key for each */
	KOLK_SECTION_MAP,      /* a key whose value is a map: a section in the section */
	KOLK_SECTION_LIST      /* a key whose value is a list of maps: struct kolk_config_list */
};

/* A part of a section. */
struct kolk_section_part {
	uint32_t kind;               /* enum kolk_section_kind */
	uint32_t required;           /* 1 = MAP, LIST: the key must be in the file */
	uint32_t entries_max;        /* LIST: 0 = 1000 */
	uint32_t offset;             /* in the section's struct: of the table's struct, of the map's, of
	                              * the list; bytes */
	const char *key;             /* KEYS: those rows whose key begins so and has no dot behind it;
	                              * what follows is the key in the file; NULL = "" */
	const struct kolk_option_table *table; /* KEYS */
	const struct kolk_section *section;    /* MAP; LIST: of one entry */
};

/* A map of the file, and the struct that it is read into. At most 8 levels deep. */
struct kolk_section {
	const char *name;            /* as errors call it */
	uint32_t struct_size;        /* of an entry of a list */
	uint32_t place_offset;       /* of a member of type const struct kolk_config_place *, which is
	                              * not the first; NULL in it = not in the file. 0 = no such
	                              * member */
	const struct kolk_section_part *parts;
	uint32_t part_count;
	uint32_t keyed;              /* 1 = of a LIST, which may be written as a map, too: the keys of
	                              * that are the first key of its entries (a name) */
};

#define KOLK_SECTION(name_, type_, place_, parts_)                                         \
	{ name_, (uint32_t)sizeof(type_), (uint32_t)offsetof(type_, place_), parts_,       \
	  (uint32_t)(sizeof(parts_) / sizeof((parts_)[0])), 0 }
#define KOLK_SECTION_KEYED(name_, type_, place_, parts_)                                   \
	{ name_, (uint32_t)sizeof(type_), (uint32_t)offsetof(type_, place_), parts_,       \
	  (uint32_t)(sizeof(parts_) / sizeof((parts_)[0])), 1 }

/* What a list is read into. */
struct kolk_config_list {
	void *items;                 /* structs of the section, in the order of the file */
	uint32_t count;
};

/* A program that has keys of its own. */
struct kolk_config_program {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t reserved;           /* zero */
	const struct kolk_section *file; /* its keys at the top of the file, beside the library's;
	                              * required */
	const char *const *environment; /* as in kolk_config_load; reloads use it, too */
	/* While a file is read: what contradicts something else. `own` is what kolk_config_own
	 * returns, and may be changed until it returns. Pools are as the file gives them, and may
	 * have mistakes that are reported already. kolk_config_wrong reports one, and then nothing is
	 * loaded. May be NULL, as all hooks. */
	void (*check)(void *user, struct kolk_config *config, void *own,
		      struct kolk_config_error *error);
	/* kolk_config_apply: everything was checked, nothing is changed yet. Make what the new
	 * configuration needs and can fail. Anything but KOLK_OK refuses the reload: report why with
	 * kolk_config_wrong, and undo what was made. */
	enum kolk_err (*prepare)(void *user, const struct kolk_config *before,
				 const struct kolk_config *after, struct kolk_config_error *error);
	/* After a prepare that returned KOLK_OK, exactly once. KOLK_OK: after is in force, and
	 * before is freed soon; otherwise before still is, and after is freed. */
	void (*done)(void *user, const struct kolk_config *before, const struct kolk_config *after,
		     enum kolk_err err);
	void *user;                  /* of the hooks */
};                                   /* since 0.1 */

KOLK_BEGIN

/* As kolk_config_load and kolk_config_parse, for a file in which the program has keys of its own.
 * program is copied. kolk_config_reload loads with the program of the configuration in force, and
 * kolk_config_apply calls the hooks of the new one. Errors: as these; E_OPTIONS also for a
 * description that breaks a rule above, or a key that is declared twice: the message says which. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_config_load_for(const struct kolk_config_program *program, const char *path,
		     struct kolk_config **config, struct kolk_config_error *error);
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_config_parse_for(const struct kolk_config_program *program, const char *name,
		      const char *text, size_t size, struct kolk_config **config,
		      struct kolk_config_error *error);

/* The program's struct (that of program->file), as long as the configuration; NULL = it was loaded
 * without a program. */
KOLK_API const void *kolk_config_own(const struct kolk_config *config);

/* Zeroed memory that is wiped and freed with the configuration; only in `check`. NULL = there is
 * none, and error says so. */
KOLK_API void *kolk_config_memory(struct kolk_config *config, struct kolk_config_error *error,
				  size_t size);

/* Where the value of this key stands in a map; the map itself when it is not there. */
KOLK_API const struct kolk_config_place *kolk_config_place(const struct kolk_config_place *map,
							   const char *key);
/* Where an entry of a list stands, from 0; the list itself when it has fewer. */
KOLK_API const struct kolk_config_place *
kolk_config_place_entry(const struct kolk_config_place *list, uint32_t index);

/* Where the library's own key stands: of the sections "engine" and "admin" (index 0), of a pool
 * ("pools", by its index), also within a section of it; of engine and admin in the environment,
 * too. The section when the key is not there. */
KOLK_API const struct kolk_config_place *kolk_config_place_of(const struct kolk_config *config,
							      const char *section,
							      uint32_t index, const char *key);

/* Report a mistake there, with a suggestion ("" = none): one line each, without secrets. It sets
 * error->err to E_OPTIONS; a program may set another one afterwards. The first mistake is in
 * error's members, the others in `more`. place NULL = the whole file. In hooks and after loading;
 * of several threads, each with an error of its own. Always false. */
KOLK_API bool kolk_config_wrong(const struct kolk_config *config, struct kolk_config_error *error,
				const struct kolk_config_place *place, const char *suggestion,
				const char *format, ...) __attribute__((format(printf, 5, 6)));

/* What a path is for. */
enum kolk_path_use {
	KOLK_PATH_READ = 1, /* a file */
	KOLK_PATH_RUN,      /* a program */
	KOLK_PATH_ENTER,    /* a directory: files of it are opened, or a program runs in it */
	KOLK_PATH_WRITE,    /* a file, which is made if it is not there */
	KOLK_PATH_BIND      /* a Unix socket; one that is there is replaced */
};

/* Why this user cannot use a path so, in words that are constant; NULL = nothing is in the way. Any
 * thread. It opens nothing: what is in a file may be wrong. */
KOLK_API const char *kolk_config_path_flaw(const char *path, enum kolk_path_use use);

/* Why this machine cannot bind an IP address, written with a port ("1.2.3.4:80", "[::1]:80") or
 * without one, in words that are constant; NULL = nothing is in the way, or it is no IP address.
 * The port is not tried: a program that runs may have it. Any thread. */
KOLK_API const char *kolk_config_address_flaw(const char *address);

KOLK_END

#endif
