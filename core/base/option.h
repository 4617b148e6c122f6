/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option.h - what is made from a table of options (kolk/options.h) besides defaults and checks: the
 * bytes of the identity, a copy that owns its texts.
 */
#ifndef KOLK_OPTION_H
#define KOLK_OPTION_H

#include <kolk/options.h>

#include "core/base/siphash.h"

/* The value of a number's field. */
uint64_t kolk__option_number(const struct kolk_option *option, const void *options);
void kolk__option_number_set(const struct kolk_option *option, void *options, uint64_t value);

/* How many bytes a copy has, with all texts and lists. */
size_t kolk__option_copy_size(const struct kolk_option_table *table, const void *options);
/* Copy into so many bytes. */
void kolk__option_copy(const struct kolk_option_table *table, const void *options, void *copy);

/* ---- identity: lengths first, so that no two configurations give the same bytes */

struct kolk__writer {
	uint8_t *to;
	size_t capacity, size; /* size goes on when capacity is exceeded */
	const struct kolk__secret *secret;
};

void kolk__write(struct kolk__writer *w, const void *bytes, size_t size);
void kolk__write_u32(struct kolk__writer *w, uint32_t value);
void kolk__write_text(struct kolk__writer *w, const char *text);
/* Every field that is part of the identity as it stands; secrets as their keyed digest. */
void kolk__option_identity(const struct kolk_option_table *table, const void *options,
			   struct kolk__writer *w);

#endif
