/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_shared_test.c - texts that sessions have in common are there once. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>

#include "transport/drivers/mcp/mcp.h"

static void equal_texts_are_one(void **state)
{
	static struct kolk_mcp mcp;
	struct mcp_shared *one, *same, *other;

	(void)state;
	mcp_list_init(&mcp.shared);
	one = kolk__mcp_share(&mcp, "{\"a\":1},", 7);
	same = kolk__mcp_share(&mcp, "{\"a\":1}}", 7);
	other = kolk__mcp_share(&mcp, "{\"a\":2}", 7);
	assert_non_null(one);
	assert_ptr_equal(one, same);
	assert_ptr_not_equal(one, other);
	assert_string_equal(one->text, "{\"a\":1}");
	assert_int_equal(one->size, 7);
	kolk__mcp_unshare(one);
	assert_ptr_equal(kolk__mcp_share(&mcp, "{\"a\":1}", 7), same); /* the other has it still */
	kolk__mcp_unshare(same);
	kolk__mcp_unshare(same);
	kolk__mcp_unshare(other);
	kolk__mcp_unshare(NULL);
	assert_true(mcp_list_empty(&mcp.shared));
}

/* Of many that differ a few are looked at: the others are none the less right. */
static void many_texts(void **state)
{
	enum { COUNT = 100 };
	static struct kolk_mcp mcp;
	struct mcp_shared *all[2][COUNT];
	char text[16];

	(void)state;
	mcp_list_init(&mcp.shared);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < COUNT; i++) {
			size_t size = (size_t)snprintf(text, sizeof text, "%d", i);

			all[round][i] = kolk__mcp_share(&mcp, text, size);
			assert_string_equal(all[round][i]->text, text);
			assert_ptr_equal(kolk__mcp_share(&mcp, text, size), all[round][i]);
			kolk__mcp_unshare(all[round][i]);
		}
	for (int i = 0; i < COUNT; i++) {
		kolk__mcp_unshare(all[0][i]);
		snprintf(text, sizeof text, "%d", i);
		assert_string_equal(all[1][i]->text, text);
		kolk__mcp_unshare(all[1][i]);
	}
	assert_true(mcp_list_empty(&mcp.shared));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(equal_texts_are_one),
	cmocka_unit_test(many_texts),
};
CMOCKA_TESTS(mcp_shared, tests);
