/* SPDX-License-Identifier: Apache-2.0 */
/* counters.c - counters and histograms of a key, made on first use. */
#include "core/counters.h"

#include "core/engine.h"

struct kolk__counters *kolk__key_counters(struct kolk_key *key)
{
	static struct kolk__counters lost; /* memory is out: counts of this key are lost */
	struct kolk__counters *counters = kolk__load_acquire(&key->counters); /* COUNTS.A1 <- COUNTS.R1 */
	struct kolk__counters *expected = NULL;

	if (counters != NULL)
		return counters;
	counters = kolk__allocate(key->engine, sizeof *counters);
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
	hists = kolk__allocate(key->engine, sizeof *hists);
	if (hists == NULL ||
	    kolk__cas_acq_rel(&key->hists, &expected, hists)) /* COUNTS.R1 -> COUNTS.A1 */
		return hists;
	kolk__deallocate(key->engine, hists, sizeof *hists);
	return expected;
}

void kolk__counters_add(struct kolk__counters *into, const struct kolk__counters *from)
{
	kolk__atomic_u64 *to = (kolk__atomic_u64 *)into;
	const kolk__atomic_u64 *more = (const kolk__atomic_u64 *)from;
	uint64_t worst = kolk__load_relaxed(&from->overtaken_max_ns);
	uint64_t seen = kolk__load_relaxed(&into->overtaken_max_ns);

	for (size_t i = 0; i < sizeof *into / sizeof *to; i++)
		kolk__add_relaxed(&to[i], kolk__load_relaxed(&more[i]));
	/* the one that is no sum */
	kolk__store_relaxed(&into->overtaken_max_ns, seen > worst ? seen : worst);
}

void kolk__hists_free(struct kolk_engine *engine, struct kolk__hists *hists)
{
	kolk__hist_free(engine->sys, &hists->wait);
	kolk__hist_free(engine->sys, &hists->lease);
	kolk__hist_free(engine->sys, &hists->dial);
}
