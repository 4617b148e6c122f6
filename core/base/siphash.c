/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/siphash.h"

#include <string.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static void rounds(struct state *s, int count)
{
	while (count-- > 0) {
		s->v0 += s->v1;
		s->v1 = rotate(s->v1, 13) ^ s->v0;
		s->v0 = rotate(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = rotate(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = rotate(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = rotate(s->v1, 17) ^ s->v2;
		s->v2 = rotate(s->v2, 32);
	}
}

static uint64_t load_le(const uint8_t *bytes, size_t size)
{
	uint64_t word = 0;

	for (size_t i = 0; i < size; i++)
		word |= (uint64_t)bytes[i] << (8 * i);
	return word;
}

static void absorb(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	rounds(s, 2);
	s->v0 ^= word;
}

struct kolk__digest kolk__siphash(const struct kolk__secret *secret, const void *bytes,
				  size_t size)
{
	struct state s = {
		secret->k[0] ^ UINT64_C(0x736f6d6570736575),
		secret->k[1] ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
		secret->k[0] ^ UINT64_C(0x6c7967656e657261),
		secret->k[1] ^ UINT64_C(0x7465646279746573),
	};
	const uint8_t *next = bytes;
	struct kolk__digest digest;
	size_t left = size;

	for (; left >= 8; left -= 8, next += 8)
		absorb(&s, load_le(next, 8));
	absorb(&s, (uint64_t)(size & 0xff) << 56 | load_le(next, left));
	s.v2 ^= 0xee;
	rounds(&s, 4);
	digest.d[0] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
	s.v1 ^= 0xdd;
	rounds(&s, 4);
	digest.d[1] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
	return digest;
}
