/* SPDX-License-Identifier: Apache-2.0 */
/* json_plain.h - bytes of a string that mean nothing but themselves, many at a time. */
#ifndef KOLK_MCP_JSON_PLAIN_H
#define KOLK_MCP_JSON_PLAIN_H

#include <endian.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Of eight: the first one is in the lowest bits. 0x80 where one is not plain; of those behind the
 * first one it may say so of others, too. */
static inline uint64_t not_plain_of_eight(const uint8_t *p)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t eight, quote, slash;

	memcpy(&eight, p, 8);
	eight = le64toh(eight);
	quote = eight ^ (ones * '"');
	slash = eight ^ (ones * '\\');
	return (((quote - ones) & ~quote) | ((slash - ones) & ~slash) |
		((eight - ones * 0x20) & ~eight) | eight) &
	       ones * 0x80;
}

#ifdef __SSE2__
/* Of sixteen: a bit for each that is not plain. As signed numbers those above 0x7f are below the
 * blank, too. */
static inline uint32_t not_plain_of_sixteen(const uint8_t *p)
{
	const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
	const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
	const __m128i slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
	const __m128i below = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '));

	return (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), below));
}
#endif

/* Where the first byte is that is above 0x7f, a control, a quote or a backslash. */
static inline const uint8_t *plain_run(const uint8_t *p, const uint8_t *end)
{
#ifdef __SSE2__
	for (; end - p >= 16; p += 16) {
		const uint32_t found = not_plain_of_sixteen(p);

		if (found != 0)
			return p + __builtin_ctz(found);
	}
#endif
	for (; end - p >= 8; p += 8) {
		const uint64_t found = not_plain_of_eight(p);

		if (found != 0)
			return p + __builtin_ctzll(found) / 8;
	}
	while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

#endif
