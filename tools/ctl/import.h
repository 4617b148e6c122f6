/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import.h - kolk-ctl import: a tools file of others becomes a gateway's configuration.
 *
 *   import.c          the command: reads, writes, exit status
 *   import_report.c   what each option became, as a table
 *   import_value.c    their values as ours: ${NAME}, seconds, counts, switches
 *   import_yaml.c     texts as YAML
 *   import_pools.c    pools: what makes one whole, and writing them
 *   import_options.c  their options: by a table where one is one key here
 *   import_url.c      addresses that are URLs
 *   import_tools.c    tools, and the route that has them; import_parameters.c: their parameters
 *   import_call.c     what a tool does; import_sql.c, import_http.c, import_program.c,
 *                     import_template.c: by its kind
 *
 * Memory is the arena's, which is wiped at the end: a file holds passwords. Without memory the
 * program ends, as everywhere in kolk-ctl. Nothing of a password comes into the report.
 */
#ifndef KOLK_CTL_IMPORT_H
#define KOLK_CTL_IMPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tools/ctl/table.h"
#include "tools/ops/config_error.h"
#include "tools/ops/config_protocol.h"
#include "tools/ops/config_schema.h"
#include "tools/ops/config_yaml.h"

/* A key of ours and its value, in a section of its map; "" = the map itself. */
struct import_entry {
	const char *section, *key;
	const char *value; /* NULL = the URL says it: not written, and no other option may */
	uint32_t line;	   /* of the option that it came from */
};

enum { IMPORT_ENTRIES = 64, IMPORT_PATH = 200, IMPORT_BECAME = 400 };

struct import_pool {
	const char *name;
	uint32_t protocol; /* enum kolk__protocol_number */
	struct import_entry entries[IMPORT_ENTRIES];
	uint32_t count;
	uint32_t connections_max;
	/* What makes an address together. */
	const struct kolk__node *host, *port;
	uint32_t url_line;
	const char *password_name; /* the variable that has its password; NULL = none */
	struct import_pool *next;
};

struct import {
	struct kolk__reading reading;
	struct kolk__arena arena;
	struct table report;
	uint32_t translated, left_out;
	char path[IMPORT_PATH];	    /* "pools.orders": what is being translated */
	char became[IMPORT_BECAME]; /* keys that the option at hand became */
	struct import_pool *pools;  /* those that are written */
	FILE *out;		    /* the configuration */
	uint32_t tools;		    /* written so far */
	const char *tool_names;	    /* of these, with spaces between them */
};

/* ---- import_report.c */

void import_report_open(struct import *import);
/* Add to what the option at hand became. */
void import_became(struct import *import, const char *key, const char *value);
/* The option at hand is told: translated; or left out, wholly unless it became something, and
 * why. remark NULL = none. */
void import_done(struct import *import, const struct kolk__node *option, const char *remark);
void import_left(struct import *import, const struct kolk__node *option, const char *remark);
/* What was told since a mark is forgotten: of a pool or a tool that is left out as a whole. */
struct import_mark {
	uint32_t translated, left_out;
	size_t cells;
};
struct import_mark import_mark(const struct import *import);
void import_forget(struct import *import, const struct import_mark *mark);
/* A part of the file has a name: "pools", "pools.orders"; it ends with the text that was
 * before. */
struct import_path {
	char text[IMPORT_PATH];
};
struct import_path import_enter(struct import *import, const char *name);
void import_leave(struct import *import, const struct import_path *before);

/* ---- import_value.c */

void import_no_memory(void) __attribute__((noreturn));
/* In the arena. */
char *import_text(struct import *import, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
bool import_is_text(const struct kolk__node *node);
/* Does it hold a ${NAME}? */
bool import_refers(const char *text);
/* The first character of stops that is in no ${...}; the end when there is none. */
const char *import_find(const char *text, const char *stops);
/* As our files write it: ${NAME} stays, another dollar sign is $$. */
const char *import_own(struct import *import, const char *text);
/* A value for this setting; NULL and *why when it is none. */
const char *import_value(struct import *import, const struct kolk__setting *setting,
			 const struct kolk__node *node, const char **why);
/* Seconds as a duration; NULL = they are none. */
const char *import_seconds(struct import *import, const char *text);
/* "true" or "false"; NULL = it is neither. */
const char *import_switch(const char *text);
/* Is it one of these words, which have spaces between them? */
bool import_is_one_of(const char *word, const char *words);

/* ---- import_yaml.c */

/* "key: value" behind so many spaces; a text of several lines as a block. */
void import_write(struct import *import, int indent, const char *key, const char *value);
/* A text in quotes where it needs them, for lists in one line. */
const char *import_quoted(struct import *import, const char *value);

/* ---- import_pools.c */

void import_pools(struct import *import, const struct kolk__node *pools);
void import_pools_write(struct import *import);
struct import_pool *import_pool_find(const struct import *import, const char *name);
const char *import_protocol_name(const struct import_pool *pool);
/* Each entry of a map or a list of maps, with its name as its key. */
typedef void import_each_fn(struct import *import, const struct kolk__node *entry);
void import_each(struct import *import, const struct kolk__node *all, import_each_fn *each);

/* ---- import_options.c */

#define IMPORT_URLS "url uri dsn connection_string connection_url base_url"
#define IMPORT_TYPES "type kind driver backend"
#define IMPORT_INNER "connection config options settings pool" /* maps in a pool's */

void import_options(struct import *import, struct import_pool *pool,
		    const struct kolk__node *map);
/* NULL = there is none. */
const struct import_entry *import_entry(const struct import_pool *pool, const char *section,
					const char *key);
/* False: another option said it, and this one (NULL = it is told later) is left out. */
bool import_put(struct import *import, struct import_pool *pool,
		const struct kolk__node *option, const struct import_entry *entry);
/* A password that is no ${NAME} becomes one; what to do about it, or NULL. */
const char *import_password(struct import *import, struct import_pool *pool,
			    const struct kolk__node *option, const char *password);

/* ---- import_url.c */

/* Does it begin with a scheme? */
bool import_is_url(const char *text);
/* The address of a pool and what else it says; false = it is none that there is a driver for,
 * and was told. */
bool import_url(struct import *import, struct import_pool *pool,
		const struct kolk__node *option);

/* ---- import_tools.c */

void import_tools(struct import *import, const struct kolk__node *tools);
/* Where the tools are served, and what else is at the top of the file. */
void import_gateway(struct import *import, const struct kolk__node *root);

#endif
