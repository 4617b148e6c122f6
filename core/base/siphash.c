/* SPDX-License-Identifier: Apache-2.0 */
/* siphash.c - SipHash-2-4 with 128 bits of output. */
#include "core/base/siphash.h"

#include <endian.h>
#include <string.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void round_once(struct state *s)
{
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

static inline uint64_t load_le(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof word);
	return le64toh(word);
}

static inline uint64_t load_rest(const uint8_t *bytes, size_t size)
{
	uint64_t word = 0;

	for (size_t i = 0; i < size; i++)
		word |= (uint64_t)bytes[i] << (8 * i);
	return word;
}

static inline void absorb(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	round_once(s);
	round_once(s);
	s->v0 ^= word;
}

static inline uint64_t finish(struct state *s)
{
	for (int i = 0; i < 4; i++)
		round_once(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static inline void begin(struct state *s, const struct kolk__secret *secret)
{
	s->v0 = secret->k[0] ^ UINT64_C(0x736f6d6570736575);
	s->v1 = secret->k[1] ^ UINT64_C(0x646f72616e646f6d) ^ 0xee;
	s->v2 = secret->k[0] ^ UINT64_C(0x6c7967656e657261);
	s->v3 = secret->k[1] ^ UINT64_C(0x7465646279746573);
}

/* The whole words, then the rest with the number of bytes above it. */
static inline void absorb_all(struct state *s, const uint8_t *bytes, size_t size)
{
	size_t left = size;

	for (; left >= 8; left -= 8, bytes += 8)
		absorb(s, load_le(bytes));
	absorb(s, (uint64_t)(size & 0xff) << 56 | load_rest(bytes, left));
}

static inline struct kolk__digest end(struct state *s)
{
	struct kolk__digest digest;

	s->v2 ^= 0xee;
	digest.d[0] = finish(s);
	s->v1 ^= 0xdd;
	digest.d[1] = finish(s);
	return digest;
}

struct kolk__digest kolk__siphash(const struct kolk__secret *secret, const void *bytes,
				  size_t size)
{
	struct state s;

	begin(&s, secret);
	absorb_all(&s, bytes, size);
	return end(&s);
}

struct kolk__digest kolk__siphash_pair(const struct kolk__secret *secret, struct kolk__bytes first,
				       struct kolk__bytes second)
{
	struct state s;

	begin(&s, secret);
	absorb_all(&s, first.start, first.size);
	absorb_all(&s, second.start, second.size);
	return end(&s);
}
