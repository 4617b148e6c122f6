/* SPDX-License-Identifier: Apache-2.0 */
/* hash_table_test.c - core/base/hash_table.c: finds what is in it while it grows, in small steps. */
#include "tests/unit/unit.h"

#include <string.h>

#include "core/base/container.h"
#include "core/base/hash_table.h"

enum { ITEMS = 20000 };

struct item {
	struct kolk__hash_node node;
	uint32_t number, visits;
};

static struct item items[ITEMS];

static uint32_t mixed(uint32_t number)
{
	uint64_t product = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(product >> 32) ^ (uint32_t)product;
}

static struct item *item_of(const struct kolk__hash_node *node)
{
	return kolk__container_of((uintptr_t)node, struct item, node);
}

static bool has_number(const struct kolk__hash_node *node, const void *number)
{
	return item_of(node)->number == *(const uint32_t *)number;
}

static bool is_in(const struct kolk__hash_table *table, uint32_t number, uint32_t hash)
{
	return kolk__hash_find(table, hash, has_number, &number) == &items[number].node;
}

static void add(struct kolk__hash_table *table, uint32_t number, uint32_t hash)
{
	items[number] = (struct item){ .node.hash = hash, .number = number };
	assert_true(kolk__hash_add(table, kolk_sys_linux(), &items[number].node));
}

/* Whatever is looked for while the table grows, and one that was removed is not. */
static void items_are_found_while_it_grows(void **state)
{
	struct kolk__hash_table table = { 0 };
	uint32_t absent = ITEMS;

	(void)state;
	for (uint32_t i = 0; i < ITEMS; i++) {
		add(&table, i, mixed(i));
		for (uint32_t j = i % 97; j <= i; j += i / 20 + 1)
			assert_true(is_in(&table, j, mixed(j)));
		assert_null(kolk__hash_find(&table, mixed(i), has_number, &absent));
	}
	assert_int_equal(table.count, ITEMS);
	for (uint32_t i = 0; i < ITEMS; i += 2)
		kolk__hash_remove(&table, &items[i].node);
	for (uint32_t i = 0; i < ITEMS; i++)
		assert_true(is_in(&table, i, mixed(i)) == (i % 2 != 0));
	assert_int_equal(table.count, ITEMS / 2);
	kolk__hash_free(&table, kolk_sys_linux());
}

/* No add moves more than a few buckets, and one growth is done before the next begins. */
static void growth_is_incremental(void **state)
{
	struct kolk__hash_table table = { 0 };
	uint32_t growths = 0;
	size_t size;

	(void)state;
	for (uint32_t i = 0; i < ITEMS; i++) {
		struct kolk__hash_table before = table;
		void *outgrown;

		add(&table, i, mixed(i));
		if (table.size != before.size) {
			assert_null(before.old);
			assert_int_equal(table.moved, 0);
			growths++;
		} else {
			assert_true(table.moved - before.moved <= KOLK__HASH_MOVED);
		}
		outgrown = kolk__hash_take_outgrown(&table, &size);
		assert_int_equal(outgrown != NULL, before.old != NULL && table.old == NULL);
		if (outgrown != NULL) {
			assert_int_equal(size, table.size / 2 * sizeof table.buckets[0]);
			kolk_sys_linux()->deallocate(NULL, outgrown, size);
		}
	}
	assert_int_equal(growths, 13); /* 1, 2, 4, ... 4 096 buckets: five items each at most */
	kolk__hash_free(&table, kolk_sys_linux());
}

/* As a keyed hash is: at random. */
static uint32_t scattered(uint32_t number)
{
	uint64_t z = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(z ^ z >> 31);
}

static uint32_t ways_taken(const struct kolk__hash_table *table)
{
	uint32_t taken = 0;

	for (uint32_t i = 0; i < table->size; i++)
		for (int way = 0; way < KOLK__HASH_WAYS; way++)
			taken += table->buckets[i].item[way] != NULL;
	return taken;
}

/* The buckets of an item, when the table has just begun to grow, and how many items have no way of
 * their own just before. */
static void an_item_takes_few_bytes(void **state)
{
	struct kolk__hash_table table = { 0 };
	size_t size, outgrown;

	(void)state;
	for (uint32_t i = 0; i < ITEMS; i++) {
		if (i >= 640 && i == table.size * KOLK__HASH_LOAD)
			assert_in_range(i - ways_taken(&table), i / 100, i / 15);
		add(&table, i, scattered(i));
		kolk_sys_linux()->deallocate(NULL, kolk__hash_take_outgrown(&table, &outgrown),
					     outgrown);
		size = table.size + (table.old != NULL ? table.size / 2 : 0);
		if (i >= 64)
			assert_in_range(size * sizeof table.buckets[0] / i, 12, 39);
	}
	kolk__hash_free(&table, kolk_sys_linux());
}

/* Hashes that are all the same: a chain. */
static void equal_hashes_are_chained(void **state)
{
	struct kolk__hash_table table = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 40; i++)
		add(&table, i, 7);
	for (uint32_t i = 0; i < 40; i += 3)
		kolk__hash_remove(&table, &items[i].node);
	for (uint32_t i = 0; i < 40; i++)
		assert_true(is_in(&table, i, 7) == (i % 3 != 0));
	for (uint32_t i = 0; i < 40; i++)
		if (i % 3 != 0)
			kolk__hash_remove(&table, &items[i].node);
	assert_int_equal(table.count, 0);
	kolk__hash_free(&table, kolk_sys_linux());
}

static void count_visit(struct kolk__hash_node *node, void *user)
{
	(void)user;
	item_of(node)->visits++;
}

/* At every size, and at every point of a growth, at which a scan may begin. */
static void a_scan_sees_all_once_while_the_table_grows(void **state)
{
	(void)state;
	for (uint32_t begin = 1; begin < 150; begin++) {
		struct kolk__hash_table table = { 0 };
		uint32_t count = 0, cursor = 0;

		while (count < begin)
			add(&table, count, mixed(count)), count++;
		do {
			cursor = kolk__hash_scan(&table, cursor, count_visit, NULL);
			for (uint32_t more = begin % 5; more > 0 && count < 1000; more--)
				add(&table, count, mixed(count)), count++;
		} while (cursor != 0);
		for (uint32_t i = 0; i < count; i++)
			assert_true(items[i].visits == 1 || (i >= begin && items[i].visits == 0));
		kolk__hash_free(&table, kolk_sys_linux());
	}
}

static void remove_visit(struct kolk__hash_node *node, void *table)
{
	item_of(node)->visits++;
	kolk__hash_remove(table, node);
	node->next = &items[ITEMS - 1].node; /* its memory is something else now */
}

/* As at the end of an engine: each is removed by the visit, also those of one chain. */
static void a_visit_may_remove(void **state)
{
	(void)state;
	for (uint32_t count = 1; count < 150; count++) {
		struct kolk__hash_table table = { 0 };
		uint32_t cursor = 0;

		for (uint32_t i = 0; i < count; i++)
			add(&table, i, mixed(i) % 4);
		while (table.count > 0)
			cursor = kolk__hash_scan(&table, cursor, remove_visit, &table);
		for (uint32_t i = 0; i < count; i++)
			assert_int_equal(items[i].visits, 1);
		kolk__hash_free(&table, kolk_sys_linux());
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(items_are_found_while_it_grows),
	cmocka_unit_test(growth_is_incremental),
	cmocka_unit_test(an_item_takes_few_bytes),
	cmocka_unit_test(equal_hashes_are_chained),
	cmocka_unit_test(a_scan_sees_all_once_while_the_table_grows),
	cmocka_unit_test(a_visit_may_remove),
};

CMOCKA_TESTS(hash_table, tests);
