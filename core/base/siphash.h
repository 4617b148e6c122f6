/* SPDX-License-Identifier: Apache-2.0 */
/*
 * siphash.h - SipHash-2-4: a keyed hash that cannot be steered without the secret.
 *
 * Aumasson, Bernstein: SipHash: a fast short-input PRF (2012); the 128-bit variant as in the
 * authors' reference.
 */
#ifndef KOLK_SIPHASH_H
#define KOLK_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct kolk__secret {
	uint64_t k[2];
};

struct kolk__digest {
	uint64_t d[2];
};

struct kolk__digest kolk__siphash(const struct kolk__secret *secret, const void *bytes,
				  size_t size);

/* Of two strings, each closed by its own length, so that no other pair gives the same input; the
 * first is shorter than 256 bytes or begins with its length. */
struct kolk__digest kolk__siphash_pair(const struct kolk__secret *secret, struct kolk__bytes first,
				       struct kolk__bytes second);

#endif
