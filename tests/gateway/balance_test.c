/* SPDX-License-Identifier: Apache-2.0 */
/* balance_test.c - which member a request goes to: shares, load, keys that stay, members that are out. */
#include "tests/kit/cmocka/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/balance.h"

enum { MEMBERS = 5, KEYS = 20000 };

static bool refusing[MEMBERS];

/* The pools of these tests are no pools: their addresses are told apart. */
bool __wrap_kolk_pool_refuses(const struct kolk_pool *pool);
bool __wrap_kolk_pool_refuses(const struct kolk_pool *pool)
{
	return ((const bool *)(const void *)pool)[0];
}

struct balanced {
	struct gw_member_options members[MEMBERS];
	struct gw_balancer_options options;
	struct gw_config config;
	struct gw_balancer *balancer;
	uint64_t random;
};

static struct balanced *balanced_of(enum gw_balance_policy policy, const uint32_t weights[MEMBERS])
{
	static const char *const names[MEMBERS] = { "a1", "a2", "a3", "a4", "a5" };
	struct balanced *b = calloc(1, sizeof *b);

	assert_non_null(b);
	b->random = UINT64_C(0x9e3779b97f4a7c15);
	b->options = (struct gw_balancer_options){ .name = "web", .policy = policy };
	for (uint32_t i = 0; i < MEMBERS && weights[i] != 0; i++) {
		b->members[i] = (struct gw_member_options){ .pool = names[i], .weight = weights[i] };
		b->options.members.count++;
	}
	b->options.members.items = b->members;
	b->config.balancers = &b->options;
	b->config.balancer_count = 1;
	b->balancer = gw_balancers_make(&b->config);
	assert_non_null(b->balancer);
	memset(refusing, 0, sizeof refusing);
	for (uint32_t i = 0; i < b->options.members.count; i++)
		b->balancer->members[i].pool = (struct kolk_pool *)(void *)&refusing[i];
	return b;
}

static void unmake(struct balanced *b)
{
	gw_balancers_free(b->balancer, &b->config);
	free(b);
}

static uint32_t choose(struct balanced *b, const char *key, const struct gw_member *except)
{
	const struct gw_choice choice = { .random = &b->random, .key = key, .except = except,
					  .key_size = key != NULL ? strlen(key) : 0 };
	const struct gw_member *member = gw_balancer_choose(b->balancer, &choice);

	return member != NULL ? (uint32_t)(member - b->balancer->members) : MEMBERS;
}

static uint32_t choose_key(struct balanced *b, uint32_t number)
{
	char key[24];

	snprintf(key, sizeof key, "tenant-%u", number);
	return choose(b, key, NULL);
}

static void set_in_flight(struct balanced *b, uint32_t member, uint32_t count)
{
	kolk__store_relaxed(&b->balancer->members[member].load->in_flight, count);
}

/* Of weight so much, within 4 standard deviations. */
static void expect_share(uint32_t count, double share)
{
	double mean = KEYS * share, deviation = sqrt(KEYS * share * (1 - share));

	if (fabs(count - mean) > 4 * deviation)
		fail_msg("%u of %d, not %.0f", count, KEYS, mean);
}

/* ---- least_in_flight */

static void without_load_it_goes_by_weight(void **state)
{
	static const uint32_t weights[MEMBERS] = { 1, 2, 5 };
	struct balanced *b = balanced_of(GW_BALANCE_LEAST_IN_FLIGHT, weights);
	uint32_t counts[MEMBERS + 1] = { 0 };

	(void)state;
	for (uint32_t i = 0; i < KEYS; i++)
		counts[choose(b, NULL, NULL)]++;
	for (uint32_t i = 0; i < 3; i++)
		expect_share(counts[i], weights[i] / 8.);
	unmake(b);
}

/* Requests that never end: in flight they stand by weight. */
static void load_is_levelled_by_weight(void **state)
{
	static const uint32_t weights[MEMBERS] = { 1, 1, 2, 4 };
	struct balanced *b = balanced_of(GW_BALANCE_LEAST_IN_FLIGHT, weights);

	(void)state;
	set_in_flight(b, 0, 500);
	for (uint32_t i = 0; i < 8000 - 500; i++)
		gw_load_begin(b->balancer->members[choose(b, NULL, NULL)].load);
	for (uint32_t i = 0; i < 4; i++)
		assert_in_range(kolk__load_relaxed(&b->balancer->members[i].load->in_flight),
				1000 * weights[i] * 98 / 100, 1000 * weights[i] * 102 / 100);
	unmake(b);
}

static void of_two_the_one_with_less_is_taken(void **state)
{
	static const uint32_t weights[MEMBERS] = { 1, 3 };
	struct balanced *b = balanced_of(GW_BALANCE_LEAST_IN_FLIGHT, weights);

	(void)state;
	set_in_flight(b, 0, 2);
	set_in_flight(b, 1, 5);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(choose(b, NULL, NULL), 1);
	set_in_flight(b, 1, 7);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(choose(b, NULL, NULL), 0);
	unmake(b);
}

/* ---- members that are out */

static void those_that_are_out_are_passed_over(void **state)
{
	static const uint32_t weights[MEMBERS] = { 1, 1, 1 };

	(void)state;
	for (int policy = GW_BALANCE_LEAST_IN_FLIGHT; policy <= GW_BALANCE_HASH; policy++) {
		struct balanced *b = balanced_of((enum gw_balance_policy)policy, weights);
		uint32_t counts[MEMBERS + 1] = { 0 };

		refusing[0] = true;
		kolk__store_relaxed(&b->balancer->members[2].load->down, true);
		for (uint32_t i = 0; i < 1000; i++)
			assert_int_equal(choose_key(b, i), 1);
		assert_int_equal(choose(b, "x", &b->balancer->members[0]), 1);
		refusing[1] = true; /* all are: all are tried */
		for (uint32_t i = 0; i < 1000; i++)
			counts[choose_key(b, i)]++;
		for (uint32_t i = 0; i < 3; i++)
			assert_in_range(counts[i], 200, 500);
		for (uint32_t i = 0; i < 100; i++) /* but the one that failed just now */
			assert_int_not_equal(choose(b, "x", &b->balancer->members[1]), 1);
		unmake(b);
	}
}

/* A member that failed, with a connection that was old, may be the only one that is not out. */
static void one_that_failed_is_the_last_to_be_tried(void **state)
{
	static const uint32_t weights[MEMBERS] = { 1, 1, 1 };
	struct balanced *b = balanced_of(GW_BALANCE_LEAST_IN_FLIGHT, weights);
	const struct gw_member *failed = &b->balancer->members[0];

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		assert_int_not_equal(choose(b, NULL, failed), 0);
	refusing[1] = refusing[2] = true;
	assert_int_equal(choose(b, NULL, failed), 0);
	refusing[0] = true;
	for (uint32_t i = 0; i < 100; i++)
		assert_int_not_equal(choose(b, NULL, failed), 0);
	unmake(b);
	b = balanced_of(GW_BALANCE_LEAST_IN_FLIGHT, (const uint32_t[MEMBERS]){ 1 });
	refusing[0] = true;
	assert_int_equal(choose(b, NULL, &b->balancer->members[0]), 0);
	b->balancer->members[0].pool = NULL;
	assert_int_equal(choose(b, NULL, NULL), MEMBERS);
	unmake(b);
}

/* ---- hash */

static void keys_are_shared_by_weight(void **state)
{
	static const uint32_t weights[MEMBERS] = { 1, 1, 2, 3, 3 };
	struct balanced *b = balanced_of(GW_BALANCE_HASH, weights);
	uint32_t counts[MEMBERS + 1] = { 0 };

	(void)state;
	for (uint32_t i = 0; i < KEYS; i++) {
		uint32_t member = choose_key(b, i);

		counts[member]++;
		assert_int_equal(choose_key(b, i), member);
	}
	for (uint32_t i = 0; i < MEMBERS; i++)
		expect_share(counts[i], weights[i] / 10.);
	unmake(b);
}

/* 1/n of them, and to all others alike; the rest stays. */
static void when_a_member_goes_its_keys_alone_move(void **state)
{
	static const uint32_t weights[MEMBERS] = { 1, 1, 1, 1, 1 };
	struct balanced *b = balanced_of(GW_BALANCE_HASH, weights);
	uint32_t counts[MEMBERS + 1] = { 0 }, moved = 0;

	(void)state;
	for (uint32_t i = 0; i < KEYS; i++) {
		uint32_t before, after;

		refusing[2] = false;
		before = choose_key(b, i);
		refusing[2] = true;
		after = choose_key(b, i);
		assert_true(before == after || before == 2);
		moved += before != after;
		counts[after] += before != after;
	}
	expect_share(moved, 1. / MEMBERS);
	for (uint32_t i = 0; i < MEMBERS; i++)
		if (i != 2)
			assert_in_range(counts[i], moved / 4 * 85 / 100, moved / 4 * 115 / 100);
	unmake(b);
}

static void a_member_that_has_more_than_its_share_is_passed_over(void **state)
{
	static const uint32_t weights[MEMBERS] = { 1, 1, 1, 1 };
	struct balanced *b = balanced_of(GW_BALANCE_HASH, weights);
	uint32_t home = choose(b, "x", NULL), next;

	(void)state;
	set_in_flight(b, home, GW_BOUND_MIN - 1);
	assert_int_equal(choose(b, "x", NULL), home);
	set_in_flight(b, home, GW_BOUND_MIN);
	next = choose(b, "x", NULL);
	assert_int_not_equal(next, home);
	assert_int_equal(choose(b, "x", &b->balancer->members[home]), next);
	for (uint32_t i = 0; i < 4; i++) /* of 411 a share is 103, and 5/4 of it 128 */
		set_in_flight(b, i, i == home ? 111 : 100);
	assert_int_equal(choose(b, "x", NULL), home);
	set_in_flight(b, home, 180);
	assert_int_equal(choose(b, "x", NULL), next);
	unmake(b);
}

/* All requests have one key: none of the members gets much more than its share. */
static void one_key_is_bounded(void **state)
{
	static const uint32_t weights[MEMBERS] = { 1, 1, 2 };
	struct balanced *b = balanced_of(GW_BALANCE_HASH, weights);

	(void)state;
	for (uint32_t i = 0; i < 4000; i++)
		gw_load_begin(b->balancer->members[choose(b, "x", NULL)].load);
	for (uint32_t i = 0; i < 3; i++)
		assert_in_range(kolk__load_relaxed(&b->balancer->members[i].load->in_flight), 0,
				1000 * weights[i] * 5 / 4 + 1);
	unmake(b);
}

static void without_a_key_it_goes_by_load(void **state)
{
	static const uint32_t weights[MEMBERS] = { 1, 1, 1, 1, 1 };
	struct balanced *b = balanced_of(GW_BALANCE_HASH, weights);
	uint32_t counts[MEMBERS + 1] = { 0 };

	(void)state;
	for (uint32_t i = 0; i < KEYS; i++)
		counts[choose(b, NULL, NULL)]++;
	for (uint32_t i = 0; i < MEMBERS; i++)
		expect_share(counts[i], 1. / MEMBERS);
	unmake(b);
}

/* ---- members that come */

static void there_are_256_members_at_most(void **state)
{
	static const uint32_t weights[MEMBERS] = { 1 };
	static const struct gw_member_options options = { .resolve = GW_RESOLVE_ADDRESSES,
							  .host = "h", .weight = 1000 };
	struct balanced *b = balanced_of(GW_BALANCE_LEAST_IN_FLIGHT, weights);
	struct kolk_pool *pool = (struct kolk_pool *)(void *)&refusing[1];
	char name[16];

	(void)state;
	for (uint32_t i = 1; i < GW_BALANCED_MAX; i++) {
		snprintf(name, sizeof name, "p@%u", i);
		assert_true(gw_balancer_add(b->balancer, &options, name, pool));
	}
	assert_false(gw_balancer_add(b->balancer, &options, "p@256", pool));
	assert_int_equal(b->balancer->count, GW_BALANCED_MAX);
	assert_string_equal(b->balancer->members[255].name, "p@255");
	assert_string_equal(b->balancer->members[255].load->host, "h");
	refusing[0] = true;
	for (int i = 0; i < 10000; i++)
		assert_in_range(choose(b, NULL, NULL), 1, GW_BALANCED_MAX - 1);
	refusing[1] = true;
	refusing[0] = false;
	assert_int_equal(choose(b, NULL, NULL), 0);
	unmake(b);
}

/* ---- what is known of them */

static void a_reload_keeps_what_is_known_of_members_that_stay(void **state)
{
	static const uint32_t weights[MEMBERS] = { 1, 1, 1 };
	struct balanced *before = balanced_of(GW_BALANCE_HASH, weights), *after;
	struct gw_load *load = before->balancer->members[1].load;

	(void)state;
	kolk__store_relaxed(&load->down, true);
	gw_load_begin(load);
	gw_load_end(load, true, false);
	after = balanced_of(GW_BALANCE_LEAST_IN_FLIGHT, weights);
	assert_ptr_equal(after->balancer->members[1].load, load);
	unmake(before);
	assert_true(kolk__load_relaxed(&load->down));
	assert_int_equal(kolk__load_relaxed(&load->requests), 1);
	unmake(after);
	after = balanced_of(GW_BALANCE_HASH, weights);
	assert_false(kolk__load_relaxed(&after->balancer->members[1].load->down));
	unmake(after);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(without_load_it_goes_by_weight),
	cmocka_unit_test(load_is_levelled_by_weight),
	cmocka_unit_test(of_two_the_one_with_less_is_taken),
	cmocka_unit_test(those_that_are_out_are_passed_over),
	cmocka_unit_test(one_that_failed_is_the_last_to_be_tried),
	cmocka_unit_test(keys_are_shared_by_weight),
	cmocka_unit_test(when_a_member_goes_its_keys_alone_move),
	cmocka_unit_test(a_member_that_has_more_than_its_share_is_passed_over),
	cmocka_unit_test(one_key_is_bounded),
	cmocka_unit_test(without_a_key_it_goes_by_load),
	cmocka_unit_test(there_are_256_members_at_most),
	cmocka_unit_test(a_reload_keeps_what_is_known_of_members_that_stay),
};

CMOCKA_TESTS(gateway_balance, tests);
