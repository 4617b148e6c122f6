/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - random numbers, jitter, and the clock where maintenance keeps none. */
#include "core/engine.h"

/* splitmix64 (Steele, Lea, Flood, 2014): for jitter, not for secrets. */
uint64_t kolk__random(struct kolk_engine *engine)
{
	uint64_t z = kolk__add_relaxed(&engine->random_state, UINT64_C(0x9e3779b97f4a7c15)) +
		     UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t kolk__jitter(struct kolk_engine *engine, uint64_t ns)
{
	uint64_t tenth = ns / 10;

	return tenth != 0 ? ns - kolk__random(engine) % tenth : ns;
}

uint64_t kolk__clock_miss(struct kolk_engine *engine)
{
	if (kolk__is_child(engine))
		return 0;
	kolk__add_relaxed(&engine->page->misses, 1);
	return kolk__now(engine);
}
