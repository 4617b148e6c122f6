/* SPDX-License-Identifier: Apache-2.0 */
/*
 * count.c - how often each pair was used, in bounded memory.
 *
 * Uses age: one that was a half-life ago counts half. A pair has the sum of them as it was at the time
 * of the last one, and is worth what is left of it whenever that is asked; so it makes no difference how
 * often it is. A session is a use of the time at which it was open last: while it is, of now.
 *
 * Space-Saving (Metwally, Agrawal, El Abbadi, 2005): when all places are taken, a new pair takes that
 * of a pair with few uses, and begins with these and one more, so that what is used often enough
 * stays. Of all pairs the least used one would be the one to go; here it is the least used of LOOK
 * that follow a hand going round, which needs no order of them all. Each use costs a bounded time:
 * an index place with more than CHAIN_MAX pairs, which only names that were chosen for it can have,
 * takes no other.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "tools/gateway/warm/warm.h"

enum { LOOK = 8, CHAIN_MAX = 16 };

struct gw_warm_count {
	struct gw_warm_pair **pairs;  /* `used` of them */
	struct gw_warm_pair **index;  /* by hash: a power of two, at least `max` */
	uint32_t used, max, mask, hand;
	uint64_t seed, half_life_s;
};

struct gw_warm_count *gw_warm_count_make(uint32_t pairs_max, uint64_t half_life_s)
{
	struct gw_warm_count *count = calloc(1, sizeof *count);

	if (count == NULL)
		return NULL;
	count->max = pairs_max;
	count->half_life_s = half_life_s;
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

struct gw_warm_pair *gw_warm_pair_make(const struct gw_warm_use *use, double uses)
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

void gw_warm_pair_use(const struct gw_warm_pair *pair, struct gw_warm_use *use)
{
	const char *at = pair->text;

	use->kind = (enum gw_warm_kind)pair->kind;
	for (int i = 0; i < GW_WARM_TEXTS; i++) {
		use->texts[i] = (struct kolk_mcp_part){ at, strlen(at) };
		at += use->texts[i].size + 1;
	}
}

/* FNV-1a (Fowler, Noll, Vo), from a random begin. */
uint64_t gw_warm_hash(const struct gw_warm_use *use, uint64_t seed)
{
	uint64_t hash = seed ^ (uint64_t)use->kind;

	for (int i = 0; i < GW_WARM_TEXTS; i++) {
		for (size_t j = 0; j < use->texts[i].size; j++)
			hash = (hash ^ (uint8_t)use->texts[i].data[j]) * UINT64_C(0x100000001b3);
		hash = (hash ^ 0xff) * UINT64_C(0x100000001b3);
	}
	return hash ^ hash >> 32;
}

bool gw_warm_pair_is(const struct gw_warm_pair *pair, const struct gw_warm_use *use)
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

double gw_warm_aged(double uses, uint64_t age_s, uint64_t half_life_s)
{
	return age_s == 0 ? uses : uses * exp2(-(double)age_s / (double)half_life_s);
}

/* ---- uses */

/* All of a pair, at a time. */
static double uses_of(const struct gw_warm_count *count, const struct gw_warm_pair *pair,
		      uint64_t now_s)
{
	const uint64_t age_s = now_s > pair->at_s ? now_s - pair->at_s : 0;

	return gw_warm_aged(pair->uses, age_s, count->half_life_s) + pair->open;
}

static struct gw_warm_pair **place(const struct gw_warm_count *count, uint64_t hash)
{
	return &count->index[hash & count->mask];
}

/* The sessions that are open with it keep it. */
static void forget(struct gw_warm_count *count, struct gw_warm_pair *pair)
{
	struct gw_warm_pair **at = place(count, pair->hash);

	while (*at != pair)
		at = &(*at)->next;
	*at = pair->next;
	pair->forgotten = true;
	if (pair->open == 0)
		free(pair);
}

/* The one to go, of those that follow the hand. */
static uint32_t victim(struct gw_warm_count *count, uint64_t now_s)
{
	uint32_t best = count->hand;
	double least = INFINITY;

	for (uint32_t i = 0; i < LOOK; i++) {
		const double uses = uses_of(count, count->pairs[count->hand], now_s);

		if (uses < least)
			best = count->hand;
		least = uses < least ? uses : least;
		count->hand = (count->hand + 1) % count->max;
	}
	return best;
}

static struct gw_warm_pair *add(struct gw_warm_count *count, const struct gw_warm_use *use,
				uint64_t hash, uint64_t now_s)
{
	struct gw_warm_pair *pair = gw_warm_pair_make(use, 0);
	uint32_t at = count->used;

	if (pair == NULL)
		return NULL;
	if (count->used == count->max) {
		at = victim(count, now_s);
		pair->uses = uses_of(count, count->pairs[at], now_s);
		forget(count, count->pairs[at]);
	} else {
		count->used++;
	}
	count->pairs[at] = pair;
	pair->at_s = now_s;
	pair->hash = hash;
	pair->next = *place(count, hash);
	*place(count, hash) = pair;
	return pair;
}

/* Found or made; NULL = it is not counted. */
static struct gw_warm_pair *pair_of(struct gw_warm_count *count, const struct gw_warm_use *use,
				    uint64_t now_s)
{
	uint64_t hash = gw_warm_hash(use, count->seed);
	struct gw_warm_pair *pair = *place(count, hash);
	int seen = 0;

	while (pair != NULL && (pair->hash != hash || !gw_warm_pair_is(pair, use))) {
		if (++seen == CHAIN_MAX)
			return NULL;
		pair = pair->next;
	}
	return pair != NULL ? pair : add(count, use, hash, now_s);
}

/* One more, at this time. */
static void use_once(const struct gw_warm_count *count, struct gw_warm_pair *pair, uint64_t now_s)
{
	pair->uses = uses_of(count, pair, now_s) - pair->open + 1;
	pair->at_s = now_s > pair->at_s ? now_s : pair->at_s;
}

void gw_warm_count_use(struct gw_warm_count *count, const struct gw_warm_use *use, uint64_t now_s)
{
	struct gw_warm_pair *pair = pair_of(count, use, now_s);

	if (pair != NULL)
		use_once(count, pair, now_s);
}

struct gw_warm_pair *gw_warm_count_open(struct gw_warm_count *count, const struct gw_warm_use *use,
					uint64_t now_s)
{
	struct gw_warm_pair *pair = pair_of(count, use, now_s);

	if (pair != NULL)
		pair->open++;
	return pair;
}

void gw_warm_count_close(struct gw_warm_count *count, struct gw_warm_pair *pair, uint64_t now_s)
{
	pair->open--;
	if (!pair->forgotten)
		use_once(count, pair, now_s);
	else if (pair->open == 0)
		free(pair);
}

void gw_warm_count_show(const struct gw_warm_count *count, uint64_t now_s, gw_warm_pair_fn *show,
			void *user)
{
	for (uint32_t i = 0; i < count->used; i++)
		show(user, count->pairs[i], uses_of(count, count->pairs[i], now_s));
}
