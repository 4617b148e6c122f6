/* SPDX-License-Identifier: Apache-2.0 */
/* h1_bytes.h - looks at the bytes of heads, sixteen at a time where there is SSE2. */
#ifndef KOLK_DRIVERS_H1_BYTES_H
#define KOLK_DRIVERS_H1_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { H1_STEP = 16 };

#ifdef __SSE2__
static inline __m128i h1_load(const char *text)
{
	return _mm_loadu_si128((const __m128i *)(const void *)text);
}
#else
/* Whether none of eight bytes is below a blank, and none is DEL (Hacker's Delight, section 6-1). */
static inline bool h1_eight_are_plain(const char *text)
{
	const uint64_t ones = 0x0101010101010101, tops = ones << 7;
	uint64_t bytes, dels;

	memcpy(&bytes, text, sizeof bytes);
	dels = bytes ^ ones * 0x7f;
	return ((((bytes - ones * ' ') & ~bytes) | ((dels - ones) & ~dels)) & tops) == 0;
}
#endif

/* Of H1_STEP bytes: a bit for each below a blank or DEL; without SSE2, for the first alone. */
static inline uint32_t h1_odd(const char *text)
{
#ifdef __SSE2__
	__m128i bytes = h1_load(text), dels = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
	__m128i below = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(' ' - 1)), bytes);

	return (uint32_t)_mm_movemask_epi8(_mm_or_si128(below, dels));
#else
	size_t size = h1_eight_are_plain(text) ? 8 : 0;

	if (size == 8 && h1_eight_are_plain(text + 8))
		return 0;
	while ((uint8_t)text[size] >= ' ' && text[size] != 0x7f)
		size++;
	return 1u << size;
#endif
}

#ifdef __SSE2__
static inline __m128i h1_letters(__m128i bytes)
{
	__m128i folded = _mm_or_si128(bytes, _mm_set1_epi8('a' ^ 'A'));
	__m128i from_a = _mm_add_epi8(folded, _mm_set1_epi8((char)(INT8_MIN - 'a')));

	return _mm_cmplt_epi8(from_a, _mm_set1_epi8(INT8_MIN + 26));
}
#endif

/* Of H1_STEP bytes: how many at their beginning are letters and "-", as most names have nothing
 * else. Without SSE2: 0. */
static inline size_t h1_name_size(const char *text)
{
#ifdef __SSE2__
	__m128i bytes = h1_load(text), dashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-'));
	int named = _mm_movemask_epi8(_mm_or_si128(h1_letters(bytes), dashes));

	return (size_t)__builtin_ctz(~(unsigned)named);
#else
	(void)text;
	return 0;
#endif
}

/* Letters of these are made lower-case; H1_STEP bytes are written. */
static inline void h1_lower(char *text, size_t size)
{
#ifdef __SSE2__
	static const char bits[2 * H1_STEP] = { [0 ... H1_STEP - 1] = 'a' ^ 'A' };
	__m128i bytes = h1_load(text);
	__m128i lower = _mm_and_si128(h1_letters(bytes), h1_load(bits + H1_STEP - size));

	_mm_storeu_si128((__m128i *)(void *)text, _mm_or_si128(bytes, lower));
#else
	(void)text;
	(void)size;
#endif
}

#endif
