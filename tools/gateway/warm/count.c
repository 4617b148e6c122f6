/* SPDX-License-Identifier: Apache-2.0 */
/*
 * count.c - how often each pair was used, in bounded memory.
 *
 * Space-Saving (Metwally, Agrawal, El Abbadi, 2005): when all places are taken, a new pair takes that
 * of a pair with few uses, and begins with these and one more, so that what is used often enough
 * stays. Of all pairs the least used one would be the one to go; here it is the least used of LOOK
 * that follow a hand going round, which needs no order of them all. Each use costs a bounded time:
 * an index place with more than CHAIN_MAX pairs, which only names that were chosen for it can have,
 * takes no other.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "tools/gateway/warm/warm.h"

enum { LOOK = 8, CHAIN_MAX = 16 };

struct gw_warm_count {
	struct gw_warm_pair **pairs;  /* `used` of them */
	struct gw_warm_pair **index;  /* by hash: a power of two, at least `max` */
	uint32_t used, max, mask, hand;
	uint64_t seed;
};

struct gw_warm_count *gw_warm_count_make(uint32_t pairs_max)
{
	struct gw_warm_count *count = calloc(1, sizeof *count);

	if (count == NULL)
		return NULL;
	count->max = pairs_max;
	while (count->mask < pairs_max)
		count->mask = 2 * count->mask + 1;
	count->pairs = calloc(pairs_max, sizeof(struct gw_warm_pair *));
	count->index = calloc((size_t)count->mask + 1, sizeof(struct gw_warm_pair *));
	if (count->pairs != NULL && count->index != NULL &&
	    getrandom(&count->seed, sizeof count->seed, 0) == sizeof count->seed)
		return count;
	gw_warm_count_free(count);
	return NULL;
}

void gw_warm_count_free(struct gw_warm_count *count)
{
	if (count == NULL)
		return;
	for (uint32_t i = 0; i < count->used; i++)
		free(count->pairs[i]);
	free(count->pairs);
	free(count->index);
	free(count);
}

/* ---- pairs */

static bool is_valid(const struct gw_warm_use *use)
{
	const struct kolk_mcp_part *texts = use->texts;

	for (int i = 0; i < GW_WARM_TEXTS; i++)
		if (texts[i].size > 0 && memchr(texts[i].data, '\0', texts[i].size) != NULL)
			return false;
	return texts[GW_WARM_POOL].size > 0 && texts[GW_WARM_POOL].size < 64 &&
	       texts[GW_WARM_TENANT].size < GW_TENANT_SIZE && texts[GW_WARM_VERSION].size < 33 &&
	       texts[GW_WARM_CAPABILITIES].size <= GW_WARM_PROFILE_MAX &&
	       texts[GW_WARM_CLIENT_INFO].size <= GW_WARM_PROFILE_MAX;
}

struct gw_warm_pair *gw_warm_pair_make(const struct gw_warm_use *use, uint64_t uses)
{
	struct gw_warm_pair *pair;
	size_t size = GW_WARM_TEXTS;
	char *at;

	if (!is_valid(use))
		return NULL;
	for (int i = 0; i < GW_WARM_TEXTS; i++)
		size += use->texts[i].size;
	pair = calloc(1, sizeof *pair + size);
	if (pair == NULL)
		return NULL;
	pair->uses = uses;
	pair->kind = use->kind;
	pair->size = (uint32_t)size;
	at = pair->text;
	for (int i = 0; i < GW_WARM_TEXTS; i++) {
		if (use->texts[i].size > 0)
			memcpy(at, use->texts[i].data, use->texts[i].size);
		at += use->texts[i].size + 1;
	}
	return pair;
}

const char *gw_warm_pair_text(const struct gw_warm_pair *pair, enum gw_warm_text which)
{
	const char *at = pair->text;

	for (int i = 0; i < (int)which; i++)
		at += strlen(at) + 1;
	return at;
}

/* FNV-1a (Fowler, Noll, Vo), from a random begin. */
static uint64_t hash_of(const struct gw_warm_count *count, const struct gw_warm_use *use)
{
	uint64_t hash = count->seed ^ (uint64_t)use->kind;

	for (int i = 0; i < GW_WARM_TEXTS; i++) {
		for (size_t j = 0; j < use->texts[i].size; j++)
			hash = (hash ^ (uint8_t)use->texts[i].data[j]) * UINT64_C(0x100000001b3);
		hash = (hash ^ 0xff) * UINT64_C(0x100000001b3);
	}
	return hash ^ hash >> 32;
}

static bool is_of(const struct gw_warm_pair *pair, const struct gw_warm_use *use)
{
	const char *at = pair->text;

	if (pair->kind != use->kind)
		return false;
	for (int i = 0; i < GW_WARM_TEXTS; i++) {
		size_t size = strlen(at);

		if (size != use->texts[i].size ||
		    (size > 0 && memcmp(at, use->texts[i].data, size) != 0))
			return false;
		at += size + 1;
	}
	return true;
}

/* ---- uses */

static struct gw_warm_pair **place(const struct gw_warm_count *count, uint64_t hash)
{
	return &count->index[hash & count->mask];
}

static void unlink_pair(struct gw_warm_count *count, const struct gw_warm_pair *pair)
{
	struct gw_warm_pair **at = place(count, pair->hash);

	while (*at != pair)
		at = &(*at)->next;
	*at = pair->next;
}

/* The one to go, of those that follow the hand. */
static uint32_t victim(struct gw_warm_count *count)
{
	uint32_t best = count->hand;

	for (uint32_t i = 0; i < LOOK; i++) {
		if (count->pairs[count->hand]->uses < count->pairs[best]->uses)
			best = count->hand;
		count->hand = (count->hand + 1) % count->max;
	}
	return best;
}

static void add(struct gw_warm_count *count, const struct gw_warm_use *use, uint64_t hash)
{
	struct gw_warm_pair *pair = gw_warm_pair_make(use, 1);
	uint32_t at = count->used;

	if (pair == NULL)
		return;
	if (count->used == count->max) {
		at = victim(count);
		pair->uses = count->pairs[at]->uses + 1;
		unlink_pair(count, count->pairs[at]);
		free(count->pairs[at]);
	} else {
		count->used++;
	}
	count->pairs[at] = pair;
	pair->hash = hash;
	pair->next = *place(count, hash);
	*place(count, hash) = pair;
}

void gw_warm_count_use(struct gw_warm_count *count, const struct gw_warm_use *use)
{
	uint64_t hash = hash_of(count, use);
	struct gw_warm_pair *pair = *place(count, hash);
	int seen = 0;

	while (pair != NULL && (pair->hash != hash || !is_of(pair, use))) {
		if (++seen == CHAIN_MAX)
			return;
		pair = pair->next;
	}
	if (pair != NULL)
		pair->uses++;
	else
		add(count, use, hash);
}

void gw_warm_count_show(const struct gw_warm_count *count, gw_warm_pair_fn *show, void *user)
{
	for (uint32_t i = 0; i < count->used; i++)
		show(user, count->pairs[i]);
}

void gw_warm_count_halve(struct gw_warm_count *count)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count->used; i++) {
		struct gw_warm_pair *pair = count->pairs[i];

		pair->uses /= 2;
		if (pair->uses > 0) {
			count->pairs[kept++] = pair;
			continue;
		}
		unlink_pair(count, pair);
		free(pair);
	}
	count->used = kept;
	count->hand = 0;
}
