/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_cache.h - the addresses of a pool's host name: looked up by a dial, kept for the TTL of the
 * answer, refreshed while connections are open.
 *
 *   dns_cache   one per pool with a host name; shared by its loops, under its lock
 *   resolution  one per cache and loop that dialled: its look-up, and the dials that wait for it
 *
 * An expired answer is used while a new one is fetched (RFC 8767), for an hour at most. An address
 * that was missing from two answers in a row is gone (more, when the answers are known to be
 * subsets of a larger set): connections to it are not leased again.
 */
#ifndef KOLK_DNS_CACHE_H
#define KOLK_DNS_CACHE_H

#include "transport/link.h"

enum { KOLK__ADDRESSES = 8 }; /* of a host: so many a dial tries */

/* host and servers are copied. NULL = no memory. */
struct kolk__dns_cache *kolk__dns_cache_open(struct kolk__transport *transport, const char *host,
				     uint32_t port, const char *servers);
/* The pool is gone. The memory is freed when the last resolution has noticed, within seconds. Any
 * thread. */
void kolk__dns_cache_close(struct kolk__dns_cache *dns);
/* A connection of the pool was opened (+1) or closed (-1): without any there is no refresh. */
void kolk__dns_cache_count(struct kolk__dns_cache *dns, int change);

/* Addresses for a dial now: their count, or 0: the link waits, kolk__dial_resolved(link, result)
 * will run. -ENOMEM. [home] */
int32_t kolk__dns_cache_get(struct kolk__link *link, struct kolk_address *addresses);
/* No address could be reached, but one family had not answered yet: wait for the look-up of both.
 * True: kolk__dial_resolved will run. Once for a dial. [home] */
bool kolk__dns_cache_get_whole(struct kolk__link *link);
/* A link that may wait does not wait any more. [home] */
void kolk__dns_cache_cancel(struct kolk__link *link);

/* A hash that tells addresses apart: FNV-1a. */
static inline uint32_t kolk__address_hash(const struct kolk_address *address)
{
	uint32_t hash = 2166136261u;

	for (uint32_t i = 0; i < address->size; i++)
		hash = (hash ^ address->bytes[i]) * 16777619u;
	return hash;
}

/* Free the resolutions that are left when the loop closes. */
void kolk__resolutions_drop(struct kolk__io_loop *loop);

#endif
