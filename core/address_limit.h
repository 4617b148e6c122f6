/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address_limit.h - how many streams a listener has of each address: one IPv4 address, or the /64
 * of an IPv6 one.
 *
 * Sum: the counts of all entries == streams that were counted; an entry without any is freed.
 */
#ifndef KOLK_ADDRESS_LIMIT_H
#define KOLK_ADDRESS_LIMIT_H

#include "core/base/hash_table.h"
#include "core/base/lock.h"
#include "core/base/siphash.h"

struct kolk__address_limit {
	struct kolk__lock lock; /* all below */
	struct kolk__hash_table table;
	uint32_t streams_max;   /* constant; of one address */
};

void kolk__address_limit_init(struct kolk__address_limit *limit, uint32_t streams_max);
/* Count one more of the address with this number; false = it has as many as it may have, or there
 * is no memory. A peer that chooses its addresses cannot steer the hash. */
bool kolk__address_limit_add(struct kolk__address_limit *limit, const struct kolk_sys *sys,
			     const struct kolk__secret *secret, uint64_t address);
void kolk__address_limit_remove(struct kolk__address_limit *limit, const struct kolk_sys *sys,
				const struct kolk__secret *secret, uint64_t address);
/* All streams have ended. */
void kolk__address_limit_free(struct kolk__address_limit *limit, const struct kolk_sys *sys);

#endif
