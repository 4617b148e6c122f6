/* SPDX-License-Identifier: Apache-2.0 */
/* siphash_test.c - core/base/siphash.c: the keyed hash of the reference. */
#include "tests/unit/unit.h"

#include <string.h>

#include "core/base/siphash.h"

/* The reference's own vector: key 00..0f, message 00..0e, 128 bits (SipHash, Aumasson and
 * Bernstein, test vectors of the reference implementation). */
static void siphash_matches_the_reference(void **state)
{
	static const uint8_t expected[16] = { 0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11,
					      0x7e, 0x08, 0xec, 0x0f, 0x97, 0xcf, 0xc3, 0xd9 };
	struct kolk__secret secret;
	struct kolk__digest digest;
	uint8_t key[16], message[15];

	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	for (uint8_t i = 0; i < 15; i++)
		message[i] = i;
	memcpy(&secret, key, sizeof key);
	digest = kolk__siphash(&secret, message, sizeof message);
	assert_memory_equal(&digest, expected, sizeof expected);
}

static const struct CMUnitTest tests[] = { cmocka_unit_test(siphash_matches_the_reference) };

CMOCKA_TESTS(siphash, tests);
