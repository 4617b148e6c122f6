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

struct kolk__counters *kolk__key_counters(struct kolk_key *key)
{
	struct kolk__counters *counters = kolk__load_acquire(&key->counters); /* COUNTS.A1 <- COUNTS.R1 */
	struct kolk__counters *expected = NULL;

	if (counters != NULL)
		return counters;
	counters = allocate(key->engine, sizeof *counters);
	if (counters == NULL)
		return &lost;
	if (kolk__cas_acq_rel(&key->counters, &expected, counters)) /* COUNTS.R1 -> COUNTS.A1 */
		return counters;
	kolk__deallocate(key->engine, counters, sizeof *counters);
	return expected;
}

struct kolk__hists *kolk__key_hists(struct kolk_key *key)
{
	struct kolk__hists *hists = kolk__load_acquire(&key->hists); /* COUNTS.A1 <- COUNTS.R1 */
	struct kolk__hists *expected = NULL;

	if (hists != NULL)
		return hists;
	hists = allocate(key->engine, sizeof *hists);
	if (hists == NULL)
		return NULL;
	hists->wait.is_summary = hists->lease.is_summary = hists->dial.is_summary =
		!kolk__setting(kolk__own(&key->pool), key_histograms);
	if (kolk__cas_acq_rel(&key->hists, &expected, hists)) /* COUNTS.R1 -> COUNTS.A1 */
		return hists;
	kolk__deallocate(key->engine, hists, sizeof *hists);
	return expected;
}

/* ---- by reason: connections that ended, callers that were refused */

enum { COUNT_BITS = 56 };
_Static_assert(KOLK_REASONS + KOLK_REFUSALS < 255, "fits into the highest byte");

static kolk__atomic_u64 *all_of(struct kolk__reasons *reasons)
{
	return &reasons->destroyed[0];
}

static struct kolk__reasons *reasons_open(struct kolk_engine *engine, struct kolk__counters *c)
{
	struct kolk__reasons *reasons = kolk__load_acquire(&c->by_reason); /* COUNTS.A1 <- COUNTS.R1 */
	struct kolk__reasons *expected = NULL;

	if (reasons != NULL)
		return reasons;
	reasons = allocate(engine, sizeof *reasons);
	if (reasons == NULL ||
	    kolk__cas_acq_rel(&c->by_reason, &expected, reasons)) /* COUNTS.R1 -> COUNTS.A1 */
		return reasons;
	kolk__deallocate(engine, reasons, sizeof *reasons);
	return expected;
}

/* Where this one is counted; NULL = memory is out. Places of few are taken in order and stay, so
 * two threads that count the same one for the first time meet at the same free place: the second
 * finds what the first has put there, and none gets two places. Relaxed: a place is one word. */
static kolk__atomic_u64 *place_of(struct kolk_engine *engine, struct kolk__counters *c, uint32_t i)
{
	uint64_t mine = (uint64_t)(i + 1) << COUNT_BITS;
	struct kolk__reasons *reasons;

	if (c == &lost)
		return NULL;
	for (int at = 0; at < KOLK__FEW; at++) {
		uint64_t seen = kolk__load_relaxed(&c->few[at]);

		if (seen == 0 && kolk__cas_acq_rel(&c->few[at], &seen, mine))
			return &c->few[at];
		if (seen >> COUNT_BITS == i + 1)
			return &c->few[at];
	}
	reasons = reasons_open(engine, c);
	return reasons != NULL ? &all_of(reasons)[i] : NULL;
}

void kolk__count_destroyed(struct kolk_key *key, uint8_t reason)
{
	kolk__atomic_u64 *place = place_of(key->engine, kolk__key_counters(key), reason);

	if (place != NULL)
		kolk__add_relaxed(place, 1);
}

bool kolk__count_refusal(struct kolk_engine *engine, struct kolk__counters *counters,
			 enum kolk_refusal why)
{
	kolk__atomic_u64 *place = place_of(engine, counters, KOLK_REASONS + (uint32_t)why);

	if (place != NULL)
		kolk__add_relaxed(place, 1);
	return place != NULL;
}

uint64_t kolk__refusals(const struct kolk__counters *c)
{
	const struct kolk__reasons *reasons =
		kolk__load_acquire(&c->by_reason); /* COUNTS.A1 <- COUNTS.R1 */
	uint64_t sum = 0;

	for (int i = 0; reasons != NULL && i < KOLK_REFUSALS; i++)
		sum += kolk__load_relaxed(&reasons->refused[i]);
	for (int at = 0; at < KOLK__FEW; at++) {
		uint64_t seen = kolk__load_relaxed(&c->few[at]);

		if (seen >> COUNT_BITS > KOLK_REASONS)
			sum += seen & ((UINT64_C(1) << COUNT_BITS) - 1);
	}
	return sum;
}

/* ---- sums */

void kolk__counters_init(struct kolk__counters *counters, struct kolk__reasons *reasons)
{
	memset(counters, 0, sizeof *counters);
	memset(reasons, 0, sizeof *reasons);
	kolk__store_release(&counters->by_reason, reasons); /* COUNTS.R1 -> COUNTS.A1 */
}

static void add_reasons(struct kolk__reasons *into, const struct kolk__counters *from)
{
	struct kolk__reasons *more = kolk__load_acquire(&from->by_reason); /* COUNTS.A1 <- COUNTS.R1 */

	for (uint32_t i = 0; more != NULL && i < KOLK_REASONS + KOLK_REFUSALS; i++)
		kolk__add_relaxed(&all_of(into)[i], kolk__load_relaxed(&all_of(more)[i]));
	for (int at = 0; at < KOLK__FEW; at++) {
		uint64_t seen = kolk__load_relaxed(&from->few[at]);

		if (seen != 0)
			kolk__add_relaxed(&all_of(into)[(seen >> COUNT_BITS) - 1],
					  seen & ((UINT64_C(1) << COUNT_BITS) - 1));
	}
}

void kolk__counters_add(struct kolk__counters *into, const struct kolk__counters *from)
{
	kolk__atomic_u64 *to = (kolk__atomic_u64 *)into;
	const kolk__atomic_u64 *more = (const kolk__atomic_u64 *)from;
	uint64_t worst = kolk__load_relaxed(&from->overtaken_max_ns);
	uint64_t seen = kolk__load_relaxed(&into->overtaken_max_ns);

	for (size_t i = 0; i < offsetof(struct kolk__counters, few) / sizeof *to; i++)
		kolk__add_relaxed(&to[i], kolk__load_relaxed(&more[i]));
	/* the one that is no sum */
	kolk__store_relaxed(&into->overtaken_max_ns, seen > worst ? seen : worst);
	add_reasons(kolk__own(&into->by_reason), from);
}

void kolk__counters_free(struct kolk_engine *engine, struct kolk__counters *counters)
{
	kolk__deallocate(engine, kolk__own(&counters->by_reason), sizeof(struct kolk__reasons));
	kolk__deallocate(engine, counters, sizeof *counters);
}

void kolk__hists_free(struct kolk_engine *engine, struct kolk__hists *hists)
{
	kolk__hist_free(engine->sys, &hists->wait);
	kolk__hist_free(engine->sys, &hists->lease);
	kolk__hist_free(engine->sys, &hists->dial);
}
