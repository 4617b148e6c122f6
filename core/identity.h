/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h - which callers may share a connection, as bytes: memcmp decides.
 *
 * A connection belongs to a key of a pool. What a pool's configuration says about the peer and how
 * to talk to it is the pool's identity; what a caller says of itself is the key's. Keys of
 * different pools never meet, and a pool whose identity changes marks its connections stale
 * (kolk_pool_update), so the two together are the identity of a connection.
 */
#ifndef KOLK_IDENTITY_H
#define KOLK_IDENTITY_H

#include "core/base/option.h"
#include <kolk/kolk.h>

enum { KOLK__TEXT_MAX = 255 };

/* ---- of a key: made on the stack, for each look-up */

struct kolk__identity {
	uint32_t size;
	uint32_t scope_size; /* the bytes that all credentials of a tenant's session share */
	uint32_t hash;
	/* Tenant and session, each as length, bytes, 0; 1 or 0 = with or without a credential; the
	 * keyed digest of all that and of the credential. */
	uint8_t bytes[2 * (KOLK__TEXT_MAX + 2) + 1 + sizeof(struct kolk__digest)];
};

/* options are checked. */
void kolk__identity_make(const struct kolk_engine *engine, uint32_t isolation,
			 const struct kolk_key_options *options, struct kolk__identity *identity);
/* Whether these bytes of one are what the options make. */
bool kolk__identity_is(const struct kolk_engine *engine, uint32_t isolation,
		       const struct kolk_key_options *options, struct kolk__bytes made);

/* ---- of a pool */

/* What the options do not say as it stands. */
struct kolk__identity_parts {
	const char *address; /* as the transport normalised it */
	const struct kolk_option_table *driver_options; /* NULL = the driver has none */
	uint8_t files[32];   /* digest of the TLS files' content, or of a child's environment */
};

/* Write the canonical bytes of a pool's options, complete. */
void kolk__identity_pool(const struct kolk_pool_options *options,
			 const struct kolk__identity_parts *parts, struct kolk__writer *writer);

#endif
