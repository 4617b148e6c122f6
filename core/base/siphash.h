/* SPDX-License-Identifier: Apache-2.0 */
/*
 * siphash.h - SipHash-2-4: a keyed hash that nobody without the secret can steer.
 *
 * Aumasson, Bernstein: SipHash: a fast short-input PRF (2012); the 128-bit variant as in the
 * authors' reference.
 */
#ifndef KOLK_SIPHASH_H
#define KOLK_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct kolk__secret {
	uint64_t k[2];
};

struct kolk__digest {
	uint64_t d[2];
};

struct kolk__digest kolk__siphash(const struct kolk__secret *secret, const void *bytes,
				  size_t size);

#endif
