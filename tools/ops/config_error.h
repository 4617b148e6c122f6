/* SPDX-License-Identifier: Apache-2.0 */
/* config_error.h - what is wrong, and where: in the file, or in a variable of the environment. */
#ifndef KOLK_OPS_CONFIG_ERROR_H
#define KOLK_OPS_CONFIG_ERROR_H

#include <kolk/ops/config.h>

#include "tools/ops/config_arena.h"

struct kolk__node;

/* What is being read or opened, and what went wrong so far. */
struct kolk__reading {
	struct kolk__arena *arena; /* NULL once it is read */
	const char *name;          /* of the file */
	const char *const *environment;
	struct kolk_config_error *error;
};

/* Each reports one mistake and returns false; reading goes on for the next, but not without memory
 * (kolk__reading_failed). */
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

#endif
