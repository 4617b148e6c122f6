/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate.c - requests per second of a route and tenant: token buckets.
 *
 * A bucket is one word: the time at which it will be full (GCRA, ITU-T I.371). It is full now when
 * that is past; each token moves it on by 1/rate; a request is refused when it would be more than the
 * burst ahead. A full bucket is what a new one is, so its place may be taken by another at any time: a
 * table of fixed size needs no list, no lock and no cleaning.
 *
 * Threads. The words `owner` and `full_ns` of a place are changed by compare-and-swap alone, and
 * publish nothing but themselves: relaxed would do, the accesses below are stronger. What races cost
 * is counted in tokens: a place is taken between another thread's look and its token: that token is
 * the newcomer's. Two threads take two places for one bucket at once: the later one finds the
 * other's on its second look and gives its own back. A bucket whose places are all in use takes the
 * one that is nearest to full, whose tenant then begins with a full bucket. No loop waits for another
 * thread: a compare-and-swap that fails TRIES times in a row lets the request pass.
 */
#include "tools/gateway/rate.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/base/atomic.h"

enum {
	SETS = 8192, /* of WAYS places: 65 536 buckets that are not full, 1 MiB */
	WAYS = 8,
	TRIES = 64
};

struct place {
	/* W: takers of a full place, by compare-and-swap. R: all. Means: hash of route and tenant; 0 =
	 * none. */
	kolk__atomic_u64 owner;
	/* W: takers of tokens, by compare-and-swap. R: all. Means: when the bucket is full, ns. */
	kolk__atomic_u64 full_ns;
};

struct gw_rates {
	uint64_t key[2];
	struct place places[SETS * WAYS]; /* memory that no bucket touches is not resident */
};

struct gw_rates *gw_rates_make(void)
{
	struct gw_rates *rates = calloc(1, sizeof *rates);

	if (rates != NULL && getrandom(rates->key, sizeof rates->key, 0) != sizeof rates->key) {
		gw_rates_free(rates);
		return NULL;
	}
	return rates;
}

void gw_rates_free(struct gw_rates *rates)
{
	free(rates);
}

/* ---- whose buckets: FNV-1a (Fowler, Noll, Vo) of what the file says of the route */

static uint64_t add_bytes(uint64_t hash, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* With its NUL; one that is missing is a byte that begins no text. */
static uint64_t add_text(uint64_t hash, const char *text)
{
	return text != NULL ? add_bytes(hash, text, strlen(text) + 1) : add_bytes(hash, "\xff", 1);
}

uint64_t gw_rate_identity(const struct gw_route *route)
{
	const uint32_t limit[2] = { route->requests_per_second, route->burst };
	uint64_t hash = add_bytes(UINT64_C(0xcbf29ce484222325), limit, sizeof limit);

	hash = add_text(hash, route->host);
	hash = add_text(hash, route->path);
	hash = add_text(hash, route->header_name);
	hash = add_text(hash, route->header_value);
	for (const char *const *method = route->methods; method != NULL && *method != NULL; method++)
		hash = add_text(hash, *method);
	return hash;
}

/* ---- which bucket: SipHash-1-3 (Aumasson, Bernstein), so that no tenant can choose another's */

struct sip {
	uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static void round_once(struct sip *s)
{
	s->a += s->b;
	s->b = rotate(s->b, 13) ^ s->a;
	s->a = rotate(s->a, 32);
	s->c += s->d;
	s->d = rotate(s->d, 16) ^ s->c;
	s->a += s->d;
	s->d = rotate(s->d, 21) ^ s->a;
	s->c += s->b;
	s->b = rotate(s->b, 17) ^ s->c;
	s->c = rotate(s->c, 32);
}

static void absorb(struct sip *s, uint64_t word)
{
	s->d ^= word;
	round_once(s);
	s->a ^= word;
}

static uint64_t owner_of(const struct gw_rates *rates, uint64_t route, const char *tenant)
{
	struct sip s = { rates->key[0] ^ UINT64_C(0x736f6d6570736575),
			 rates->key[1] ^ UINT64_C(0x646f72616e646f6d),
			 rates->key[0] ^ UINT64_C(0x6c7967656e657261),
			 rates->key[1] ^ UINT64_C(0x7465646279746573) };
	size_t size = strlen(tenant);
	uint64_t word, hash;

	absorb(&s, route);
	for (; size >= sizeof word; tenant += sizeof word, size -= sizeof word) {
		memcpy(&word, tenant, sizeof word);
		absorb(&s, word);
	}
	word = (uint64_t)size << 56;
	memcpy(&word, tenant, size);
	absorb(&s, word);
	s.c ^= 0xff;
	for (int i = 0; i < 3; i++)
		round_once(&s);
	hash = s.a ^ s.b ^ s.c ^ s.d;
	return hash != 0 ? hash : 1;
}

/* ---- its place */

static struct place *find(struct place *set, uint64_t owner)
{
	for (uint32_t i = 0; i < WAYS; i++)
		if (kolk__load_acquire(&set[i].owner) == owner)
			return &set[i];
	return NULL;
}

/* The one that is full, or nearest to it. */
static struct place *nearest_to_full(struct place *set)
{
	struct place *best = set;

	for (uint32_t i = 1; i < WAYS; i++)
		if (kolk__load_relaxed(&set[i].full_ns) < kolk__load_relaxed(&best->full_ns))
			best = &set[i];
	return best;
}

/* NULL after TRIES: others take places at the same time. */
static struct place *find_or_take(struct place *set, uint64_t owner, uint64_t now_ns)
{
	for (int i = 0; i < TRIES; i++) {
		struct place *place = find(set, owner), *first;
		uint64_t before, full;

		if (place != NULL)
			return place;
		place = nearest_to_full(set);
		before = kolk__load_acquire(&place->owner);
		full = kolk__load_acquire(&place->full_ns);
		if (!kolk__cas_acq_rel(&place->owner, &before, owner))
			continue;
		if (full > now_ns) /* another's, which is forgotten */
			(void)kolk__cas_acq_rel(&place->full_ns, &full, 0);
		first = find(set, owner);
		if (first == NULL || first == place)
			return place;
		(void)kolk__cas_acq_rel(&place->owner, &owner, 0);
		return first;
	}
	return NULL;
}

/* ---- tokens */

uint64_t gw_rate_take(struct gw_rates *rates, const struct gw_route *route, const char *tenant,
		      uint64_t now_ns)
{
	const uint64_t owner = route->requests_per_second != 0 ?
				       owner_of(rates, route->identity, tenant) : 0;
	struct place *place = owner != 0 ? find_or_take(&rates->places[owner % SETS * WAYS], owner,
							now_ns) : NULL;
	uint64_t step_ns, ahead_ns, full;

	if (place == NULL)
		return 0;
	step_ns = KOLK_S_NS / route->requests_per_second;
	ahead_ns = step_ns * (route->burst != 0 ? route->burst : route->requests_per_second);
	full = kolk__load_acquire(&place->full_ns);
	for (int i = 0; i < TRIES; i++) {
		uint64_t next = (full > now_ns ? full : now_ns) + step_ns;

		if (next - now_ns > ahead_ns)
			return next - now_ns - ahead_ns;
		if (kolk__cas_acq_rel(&place->full_ns, &full, next))
			return 0;
	}
	return 0;
}
