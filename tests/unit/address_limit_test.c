/* SPDX-License-Identifier: Apache-2.0 */
/* address_limit_test.c - core/address_limit.c: counts per address, and no entry is left without one. */
#include "tests/unit/unit.h"

#include "core/address_limit.h"
#include "tests/kit/counting.h"

enum { ADDRESSES = 5000, MAX = 3 };

static const struct kolk__secret secret = { { 1, 2 } };

static bool add(struct kolk__address_limit *limit, uint64_t address)
{
	return kolk__address_limit_add(limit, counting_sys(), &secret, address);
}

static void leave(struct kolk__address_limit *limit, uint64_t address)
{
	kolk__address_limit_remove(limit, counting_sys(), &secret, address);
}

static void each_address_has_its_own(void **state)
{
	struct kolk__address_limit limit = { 0 };
	int64_t before = counting_bytes();

	(void)state;
	kolk__address_limit_init(&limit, MAX);
	for (int round = 0; round < MAX; round++)
		for (uint64_t i = 0; i < ADDRESSES; i++)
			assert_true(add(&limit, i << 32));
	for (uint64_t i = 0; i < ADDRESSES; i++)
		assert_false(add(&limit, i << 32));
	assert_int_equal(limit.table.count, ADDRESSES);
	for (uint64_t i = 0; i < ADDRESSES; i++) {
		leave(&limit, i << 32);
		assert_true(add(&limit, i << 32));
		assert_false(add(&limit, i << 32));
	}
	for (int round = 0; round < MAX; round++)
		for (uint64_t i = 0; i < ADDRESSES; i++)
			leave(&limit, i << 32);
	assert_int_equal(limit.table.count, 0);
	kolk__address_limit_free(&limit, counting_sys());
	assert_true(counting_bytes() == before);
}

static const struct CMUnitTest tests[] = { cmocka_unit_test(each_address_has_its_own) };

CMOCKA_TESTS(address_limit, tests);
