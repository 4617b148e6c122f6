/* SPDX-License-Identifier: Apache-2.0 */
/* counters.c - counters and histograms of a key, made on first use. */
#include "core/counters.h"

#include <string.h>

#include "core/engine.h"
#include "core/pool.h"

static struct kolk__counters lost; /* memory is out: counts of this key are lost */

/* Of a key: small, so that many fit, and not on a cache line of its own. */
static void *allocate(struct kolk_engine *engine, size_t size)
{
	return engine->sys->allocate(engine->sys->context, _Alignof(kolk__atomic_u64), size);
}

static void hists_open(struct kolk_key *key)
{
	struct kolk__hists *hists = allocate(key->engine, sizeof *hists), *expected = NULL;

	if (hists != NULL &&
	    !kolk__cas_acq_rel(&key->hists, &expected, hists)) /* COUNTS.R1 -> COUNTS.A1 */
		kolk__deallocate(key->engine, hists, sizeof *hists);
}

struct kolk__counters *kolk__key_counters(struct kolk_key *key)
{
	struct kolk__counters *counters = kolk__load_acquire(&key->counters); /* COUNTS.A1 <- COUNTS.R1 */
	struct kolk__counters *expected = NULL;

	if (counters != NULL)
		return counters;
	if (kolk__setting(kolk__own(&key->pool), key_histograms))
		hists_open(key);
	counters = allocate(key->engine, sizeof *counters);
	if (counters == NULL)
		return &lost;
	if (kolk__cas_acq_rel(&key->counters, &expected, counters)) /* COUNTS.R1 -> COUNTS.A1 */
		return counters;
	kolk__deallocate(key->engine, counters, sizeof *counters);
	return expected;
}

/* ---- times */

void kolk__key_record(struct kolk_key *key, enum kolk__time what, uint64_t ns)
{
	const struct kolk_sys *sys = key->engine->sys;
	struct kolk__counters *counters = kolk__key_counters(key);
	struct kolk__hists *hists = kolk__load_acquire(&key->hists); /* COUNTS.A1 <- COUNTS.R1 */

	kolk__hist_record(sys, &kolk__own(&key->pool)->hists.of[what], ns);
	kolk__summary_record(&counters->times[what], ns);
	if (hists != NULL)
		kolk__hist_record(sys, &hists->of[what], ns);
}

void kolk__hists_add(struct kolk_engine *engine, struct kolk__hists *into,
		     const struct kolk__hists *from)
{
	for (int i = 0; i < KOLK__TIMES; i++)
		kolk__hist_merge(&into->of[i], engine->sys, &from->of[i]);
	kolk__summary_merge(&into->release, &from->release);
}

void kolk__hists_free(struct kolk_engine *engine, struct kolk__hists *hists)
{
	for (int i = 0; i < KOLK__TIMES; i++)
		kolk__hist_free(engine->sys, &hists->of[i]);
	kolk__summary_clear(&hists->release);
}

/* ---- one word each: connections that ended, callers that were refused, and what is rare */

enum { COUNT_BITS = 56, ALL = KOLK_REASONS + KOLK_REFUSALS + KOLK__RARE };
_Static_assert(ALL < 255, "fits into the highest byte");
_Static_assert(sizeof(struct kolk__many) == ALL * sizeof(kolk__atomic_u64), "a word for each");
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)

static kolk__atomic_u64 *all_of(struct kolk__many *many)
{
	return &many->destroyed[0];
}

static struct kolk__many *many_open(struct kolk_engine *engine, struct kolk__counters *c)
{
	struct kolk__many *many = kolk__load_acquire(&c->many); /* COUNTS.A1 <- COUNTS.R1 */
	struct kolk__many *expected = NULL;

	if (many != NULL)
		return many;
	many = allocate(engine, sizeof *many);
	if (many == NULL || kolk__cas_acq_rel(&c->many, &expected, many)) /* COUNTS.R1 -> COUNTS.A1 */
		return many;
	kolk__deallocate(engine, many, sizeof *many);
	return expected;
}

/* Where this one is counted; NULL = memory is out. Places of few are taken in order and stay, so
 * two threads that count the same one for the first time meet at the same free place: the second
 * finds what the first has put there, and none gets two places. Relaxed: a place is one word. */
static kolk__atomic_u64 *place_of(struct kolk_engine *engine, struct kolk__counters *c, uint32_t i)
{
	uint64_t mine = (uint64_t)(i + 1) << COUNT_BITS;
	struct kolk__many *many;

	if (c == &lost)
		return NULL;
	for (int at = 0; at < KOLK__FEW; at++) {
		uint64_t seen = kolk__load_relaxed(&c->few[at]);

		if (seen == 0 && kolk__cas_acq_rel(&c->few[at], &seen, mine))
			return &c->few[at];
		if (seen >> COUNT_BITS == i + 1)
			return &c->few[at];
	}
	many = many_open(engine, c);
	return many != NULL ? &all_of(many)[i] : NULL;
}

static void count(struct kolk_key *key, uint32_t i)
{
	kolk__atomic_u64 *place = place_of(key->engine, kolk__key_counters(key), i);

	if (place != NULL)
		kolk__add_relaxed(place, 1);
}

static uint32_t index_of(enum kolk__rare what)
{
	return KOLK_REASONS + KOLK_REFUSALS + (uint32_t)what;
}

void kolk__count_destroyed(struct kolk_key *key, uint8_t reason)
{
	count(key, reason);
}

void kolk__count_rare(struct kolk_key *key, enum kolk__rare what)
{
	count(key, index_of(what));
}

/* Of a place of few, what it is stays before the value. */
static void raise_place(kolk__atomic_u64 *place, uint64_t value)
{
	kolk__raise(place, (kolk__load_relaxed(place) & ~COUNT_MASK) | (value & COUNT_MASK));
}

void kolk__raise_rare(struct kolk_key *key, enum kolk__rare what, uint64_t value)
{
	kolk__atomic_u64 *place = place_of(key->engine, kolk__key_counters(key), index_of(what));

	if (place != NULL)
		raise_place(place, value);
}

void kolk__count_refusal(struct kolk_engine *engine, struct kolk__counters *counters,
			 enum kolk_refusal why, bool waited)
{
	kolk__atomic_u64 *by_why = place_of(engine, counters, KOLK_REASONS + (uint32_t)why);
	kolk__atomic_u64 *all = by_why == NULL ? NULL :
		place_of(engine, counters, index_of(waited ? KOLK__TIMEOUTS : KOLK__REJECTED));

	if (all == NULL)
		return;
	kolk__add_relaxed(by_why, 1);
	kolk__add_relaxed(all, 1);
}

/* The sum of those from one to before another. */
static uint64_t sum_of(const struct kolk__counters *c, uint32_t from, uint32_t to)
{
	struct kolk__many *many = kolk__load_acquire(&c->many); /* COUNTS.A1 <- COUNTS.R1 */
	uint64_t sum = 0;

	for (uint32_t i = from; many != NULL && i < to; i++)
		sum += kolk__load_relaxed(&all_of(many)[i]);
	for (int at = 0; at < KOLK__FEW; at++) {
		uint64_t seen = kolk__load_relaxed(&c->few[at]), which = seen >> COUNT_BITS;

		if (which > from && which <= to)
			sum += seen & COUNT_MASK;
	}
	return sum;
}

uint64_t kolk__refusals(const struct kolk__counters *c)
{
	return sum_of(c, KOLK_REASONS, KOLK_REASONS + KOLK_REFUSALS);
}

uint64_t kolk__rare_count(const struct kolk__counters *c, enum kolk__rare what)
{
	return sum_of(c, index_of(what), index_of(what) + 1);
}

/* ---- sums */

void kolk__counters_init(struct kolk__counters *counters, struct kolk__many *many)
{
	memset(counters, 0, sizeof *counters);
	memset(many, 0, sizeof *many);
	kolk__store_release(&counters->many, many); /* COUNTS.R1 -> COUNTS.A1 */
}

static void add_one(struct kolk__many *into, uint32_t i, uint64_t count)
{
	if (i == index_of(KOLK__OVERTAKEN_MAX))
		kolk__raise(&all_of(into)[i], count);
	else
		kolk__add_relaxed(&all_of(into)[i], count);
}

static void add_many(struct kolk__many *into, const struct kolk__counters *from)
{
	struct kolk__many *more = kolk__load_acquire(&from->many); /* COUNTS.A1 <- COUNTS.R1 */

	for (uint32_t i = 0; more != NULL && i < ALL; i++)
		add_one(into, i, kolk__load_relaxed(&all_of(more)[i]));
	for (int at = 0; at < KOLK__FEW; at++) {
		uint64_t seen = kolk__load_relaxed(&from->few[at]);

		if (seen != 0)
			add_one(into, (uint32_t)(seen >> COUNT_BITS) - 1, seen & COUNT_MASK);
	}
}

void kolk__counters_add(struct kolk__counters *into, const struct kolk__counters *from)
{
	kolk__atomic_u64 *to = (kolk__atomic_u64 *)into;
	const kolk__atomic_u64 *more = (const kolk__atomic_u64 *)from;

	for (size_t i = 0; i < offsetof(struct kolk__counters, few) / sizeof *to; i++)
		kolk__add_relaxed(&to[i], kolk__load_relaxed(&more[i]));
	kolk__add_relaxed(&into->times[KOLK__DIAL_TIME].count,
			  kolk__load_relaxed(&from->times[KOLK__DIAL_TIME].count));
	add_many(kolk__own(&into->many), from);
}

void kolk__counters_free(struct kolk_engine *engine, struct kolk__counters *counters)
{
	kolk__deallocate(engine, kolk__own(&counters->many), sizeof(struct kolk__many));
	kolk__deallocate(engine, counters, sizeof *counters);
}
