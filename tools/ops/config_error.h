/* SPDX-License-Identifier: Apache-2.0 */
/* config_error.h - what is wrong, and where: in the file, or in a variable of the environment. */
#ifndef KOLK_OPS_CONFIG_ERROR_H
#define KOLK_OPS_CONFIG_ERROR_H

#include <kolk/ops/config.h>

#include "tools/ops/config_arena.h"

struct kolk__node;
struct kolk__section;

/* What is being read or opened, and what went wrong so far. */
struct kolk__reading {
	struct kolk__arena *arena; /* NULL once it is read */
	const char *name;          /* of the file */
	const char *const *environment;
	const struct kolk__section *schema; /* of the file */
	struct kolk_config_error *error;
};

/* Where a mistake is, and the error that a caller gets for it. */
struct kolk__place {
	struct kolk__reading *r;
	const char *source;    /* the environment variable; NULL = the file */
	uint32_t line, column; /* 0 = all of it */
	enum kolk_err err;
};

struct kolk__place kolk__at(struct kolk__reading *r, const struct kolk__node *node);
/* Its key instead of its value; the value of a node without a key. */
struct kolk__place kolk__at_key(struct kolk__reading *r, const struct kolk__node *node);
struct kolk__place kolk__at_variable(struct kolk__reading *r, const char *name);
struct kolk__place kolk__at_file(struct kolk__reading *r);
/* The same as kolk__at, for another error than KOLK_E_OPTIONS. */
struct kolk__place kolk__at_err(struct kolk__reading *r, const struct kolk__node *node,
				enum kolk_err err);

/* Reports one mistake and returns false; reading goes on for the next, but not without memory
 * (kolk__reading_failed). */
bool kolk__wrong(struct kolk__place at, const char *suggestion, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same; returns the error. */
enum kolk_err kolk__refused(struct kolk__place at, const char *suggestion, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
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

#endif
