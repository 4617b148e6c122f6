/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.c - tokens whose signature was looked at: that costs up to a millisecond, a look here a
 * SHA-256. Good tokens and refused ones have places of their own: who sends bad ones drives no good
 * one out. A refused one is forgotten after a minute, so that a clock that was wrong does no harm for
 * long.
 *
 * Threads. `taken` of a set is a try-lock: R1 (store 0 after the entries were read or written) pairs
 * with A1 (the compare-and-swap from 0 to 1), so who takes it sees the entries whole. Who does not get
 * it goes on without: a miss, or nothing kept.
 */
#include "tools/gateway/jwt/cache.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/atomic.h"

enum {
	SETS = 512, /* of WAYS good tokens and as many refused: 2048 each, 680 KiB */
	WAYS = 4,
	REFUSED_S = 60
};

struct entry {
	uint8_t digest[32];
	int64_t until_s; /* 0 = empty */
	char tenant[GW_TENANT_SIZE];
};

struct refused {
	uint8_t digest[32];
	int64_t until_s; /* 0 = empty */
};

struct set {
	kolk__atomic_u32 taken; /* W, R: all. Pairs: R1 -> A1. Means: a thread is at the entries */
	/* Under taken. */
	uint32_t next, next_refused; /* to replace */
	struct entry entries[WAYS];
	struct refused refused[WAYS];
};

struct gw_jwt_cache {
	struct set sets[SETS];
};

struct gw_jwt_cache *gw_jwt_cache_make(void)
{
	return calloc(1, sizeof(struct gw_jwt_cache));
}

void gw_jwt_cache_free(struct gw_jwt_cache *cache)
{
	free(cache);
}

/* A1 <- R1. NULL = another thread is there. */
static struct set *set_take(struct gw_jwt_cache *cache, const uint8_t digest[32])
{
	struct set *set = &cache->sets[(digest[0] << 8 | digest[1]) % SETS];
	uint32_t expected = 0;

	return kolk__cas_acquire(&set->taken, &expected, 1) ? set : NULL;
}

static bool is_good(const struct set *set, const uint8_t digest[32], struct gw_jwt *jwt)
{
	for (int i = 0; i < WAYS; i++) {
		const struct entry *entry = &set->entries[i];

		if (jwt->now_s >= entry->until_s || memcmp(entry->digest, digest, 32) != 0)
			continue;
		jwt->until_s = entry->until_s;
		memcpy(jwt->tenant, entry->tenant, sizeof jwt->tenant);
		return true;
	}
	return false;
}

/* One that ends later than it may was kept before the clock was set back. */
static bool is_refused(const struct set *set, const uint8_t digest[32], int64_t now_s)
{
	for (int i = 0; i < WAYS; i++) {
		const struct refused *refused = &set->refused[i];

		if (now_s < refused->until_s && refused->until_s - now_s <= REFUSED_S &&
		    memcmp(refused->digest, digest, 32) == 0)
			return true;
	}
	return false;
}

enum gw_jwt_known gw_jwt_cache_find(struct gw_jwt_cache *cache, const uint8_t digest[32],
				    struct gw_jwt *jwt)
{
	struct set *set = cache != NULL ? set_take(cache, digest) : NULL;
	enum gw_jwt_known known;

	if (set == NULL)
		return GW_JWT_UNKNOWN;
	known = is_good(set, digest, jwt)		? GW_JWT_GOOD :
		is_refused(set, digest, jwt->now_s) ? GW_JWT_REFUSED : GW_JWT_UNKNOWN;
	kolk__store_release(&set->taken, 0); /* R1 -> A1 */
	return known;
}

void gw_jwt_cache_keep(struct gw_jwt_cache *cache, const uint8_t digest[32],
		       const struct gw_jwt *jwt)
{
	struct set *set = cache != NULL ? set_take(cache, digest) : NULL;
	struct entry *entry;

	if (set == NULL)
		return;
	entry = &set->entries[set->next++ % WAYS];
	memcpy(entry->digest, digest, 32);
	memcpy(entry->tenant, jwt->tenant, sizeof entry->tenant);
	entry->until_s = jwt->until_s;
	kolk__store_release(&set->taken, 0); /* R1 -> A1 */
}

void gw_jwt_cache_refuse(struct gw_jwt_cache *cache, const uint8_t digest[32],
			 const struct gw_jwt *jwt)
{
	struct set *set = cache != NULL ? set_take(cache, digest) : NULL;
	struct refused *refused;

	if (set == NULL)
		return;
	refused = &set->refused[set->next_refused++ % WAYS];
	memcpy(refused->digest, digest, 32);
	refused->until_s = jwt->until_s - jwt->now_s < REFUSED_S ? jwt->until_s :
								   jwt->now_s + REFUSED_S;
	kolk__store_release(&set->taken, 0); /* R1 -> A1 */
}
