/* SPDX-License-Identifier: Apache-2.0 */
/* warm_test.c - warm/count.c, warm/file.c: which pairs are kept, and what a state file may be. */
#include "tests/kit/cmocka/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/gateway/warm/warm.h"

/* When all begins, and how long until a use is half of one. */
enum { BEGIN_S = 1000000, HALF_LIFE_S = 3600 };

static struct gw_warm_count *make_count(uint32_t pairs_max)
{
	return gw_warm_count_make(pairs_max, HALF_LIFE_S);
}

static struct gw_warm_use use_of(const char *pool, const char *tenant)
{
	struct gw_warm_use use = { .kind = GW_WARM_SESSION };

	use.texts[GW_WARM_POOL] = (struct kolk_mcp_part){ pool, strlen(pool) };
	use.texts[GW_WARM_TENANT] = (struct kolk_mcp_part){ tenant, strlen(tenant) };
	return use;
}

static void use_times_at(struct gw_warm_count *count, const char *tenant, int times, uint64_t now_s)
{
	struct gw_warm_use use = use_of("p", tenant);

	for (int i = 0; i < times; i++)
		gw_warm_count_use(count, &use, now_s);
}

static void use_times(struct gw_warm_count *count, const char *tenant, int times)
{
	use_times_at(count, tenant, times, BEGIN_S);
}

static void copy(void *user, const struct gw_warm_pair *pair, double uses)
{
	struct gw_warm_use use;

	gw_warm_pair_use(pair, &use);
	gw_warm_list_add(user, gw_warm_pair_make(&use, uses));
}

static struct gw_warm_list sorted_at(const struct gw_warm_count *count, uint32_t max, uint64_t now_s)
{
	struct gw_warm_list list = { .at_s = now_s };

	gw_warm_count_show(count, now_s, copy, &list);
	gw_warm_list_sort(&list, max);
	return list;
}

static struct gw_warm_list sorted(const struct gw_warm_count *count, uint32_t max)
{
	return sorted_at(count, max, BEGIN_S);
}

/* What its uses are worth then; 0 = there is none. */
static double worth(const struct gw_warm_count *count, const char *tenant, uint64_t now_s)
{
	struct gw_warm_list list = sorted_at(count, 100, now_s);
	double uses = 0;

	for (uint32_t i = 0; i < list.count; i++)
		if (strcmp(gw_warm_pair_text(list.pairs[i], GW_WARM_TENANT), tenant) == 0)
			uses = list.pairs[i]->uses;
	gw_warm_list_free(&list);
	return uses;
}

static bool is_near(double value, double wanted)
{
	return fabs(value - wanted) < 1e-9 * wanted;
}

static const char *tenant(const struct gw_warm_list *list, uint32_t at)
{
	return gw_warm_pair_text(list->pairs[at], GW_WARM_TENANT);
}

/* ---- counted */

static void the_most_used_come_first(void **state)
{
	struct gw_warm_count *count = make_count(10);
	struct gw_warm_use other = use_of("other", "bob");
	struct gw_warm_list list;

	(void)state;
	use_times(count, "alice", 3);
	use_times(count, "bob", 7);
	gw_warm_count_use(count, &other, BEGIN_S); /* of another pool: another pair */
	list = sorted(count, 10);
	assert_int_equal(list.count, 3);
	assert_string_equal(tenant(&list, 0), "bob");
	assert_true(is_near(list.pairs[0]->uses, 7));
	assert_string_equal(tenant(&list, 1), "alice");
	gw_warm_list_free(&list);
	list = sorted(count, 1);
	assert_int_equal(list.count, 1);
	gw_warm_list_free(&list);
	gw_warm_count_free(count);
}

/* 10 000 tenants that came once pass by in 64 places: the one who comes often stays. */
static void memory_is_bounded(void **state)
{
	struct gw_warm_count *count = make_count(64);
	struct gw_warm_list list;
	char name[32];

	(void)state;
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof name, "tenant%d", i);
		use_times(count, name, 1);
		use_times(count, "alice", 1);
	}
	list = sorted(count, 100);
	assert_int_equal(list.count, 64);
	assert_string_equal(tenant(&list, 0), "alice");
	assert_true(is_near(list.pairs[0]->uses, 10000));
	gw_warm_list_free(&list);
	gw_warm_count_free(count);
}

/* A use counts half after a half-life, however often that is asked meanwhile. */
static void uses_age_by_time(void **state)
{
	struct gw_warm_count *count = make_count(10);

	(void)state;
	use_times(count, "alice", 8);
	for (int i = 0; i <= 100; i++)
		assert_true(is_near(worth(count, "alice", BEGIN_S + (uint64_t)i * HALF_LIFE_S / 100),
				    8 * exp2(-i / 100.0)));
	use_times_at(count, "alice", 1, BEGIN_S + HALF_LIFE_S);
	assert_true(is_near(worth(count, "alice", BEGIN_S + HALF_LIFE_S), 5));
	assert_true(is_near(worth(count, "alice", BEGIN_S + 2 * HALF_LIFE_S), 2.5));
	assert_true(is_near(worth(count, "alice", BEGIN_S), 5)); /* the clock was set back */
	gw_warm_count_free(count);
}

static void who_came_lately_is_before_who_came_often_once(void **state)
{
	struct gw_warm_count *count = make_count(10);
	struct gw_warm_list list;

	(void)state;
	use_times(count, "alice", 9);
	use_times_at(count, "bob", 2, BEGIN_S + 3 * HALF_LIFE_S);
	list = sorted_at(count, 10, BEGIN_S + 3 * HALF_LIFE_S);
	assert_int_equal(list.count, 2);
	assert_string_equal(tenant(&list, 0), "bob");
	gw_warm_list_free(&list);
	gw_warm_count_free(count);
}

/* It is a use of now for as long as it lasts, and of its end from then on. */
static void a_session_that_is_open_is_a_use(void **state)
{
	const uint64_t end_s = BEGIN_S + 1000 * HALF_LIFE_S;
	struct gw_warm_count *count = make_count(10);
	struct gw_warm_use use = use_of("p", "alice");
	struct gw_warm_pair *first, *other;

	(void)state;
	first = gw_warm_count_open(count, &use, BEGIN_S);
	assert_non_null(first);
	assert_true(is_near(worth(count, "alice", BEGIN_S), 1));
	assert_true(is_near(worth(count, "alice", end_s), 1));
	other = gw_warm_count_open(count, &use, end_s);
	assert_ptr_equal(first, other);
	assert_true(is_near(worth(count, "alice", end_s), 2));
	gw_warm_count_close(count, first, end_s);
	assert_true(is_near(worth(count, "alice", end_s + HALF_LIFE_S), 1.5));
	gw_warm_count_close(count, other, end_s + HALF_LIFE_S);
	assert_true(is_near(worth(count, "alice", end_s + 2 * HALF_LIFE_S), 0.75));
	gw_warm_count_free(count);
}

/* More sessions are open than there are places: none of them leads to what is gone. */
static void open_sessions_outlive_their_place(void **state)
{
	struct gw_warm_count *count = make_count(8);
	struct gw_warm_pair *open[100];
	struct gw_warm_list list;
	char name[32];

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 100; i++) {
			struct gw_warm_use use;

			snprintf(name, sizeof name, "tenant%d", i / 2); /* two of each */
			use = use_of("p", name);
			open[i] = gw_warm_count_open(count, &use, BEGIN_S);
			assert_non_null(open[i]);
		}
		list = sorted(count, 100);
		assert_int_equal(list.count, 8);
		gw_warm_list_free(&list);
		for (int i = 0; i < 100; i++)
			gw_warm_count_close(count, open[i], BEGIN_S);
	}
	gw_warm_count_free(count);
}

static void what_is_too_long_is_not_counted(void **state)
{
	struct gw_warm_count *count = make_count(10);
	char *text = calloc(1, GW_WARM_PROFILE_MAX + 1);
	struct gw_warm_use use = use_of("p", "alice");
	struct gw_warm_list list;

	(void)state;
	memset(text, 'x', GW_WARM_PROFILE_MAX + 1);
	use.texts[GW_WARM_CLIENT_INFO] =
		(struct kolk_mcp_part){ text, GW_WARM_PROFILE_MAX + 1 };
	gw_warm_count_use(count, &use, BEGIN_S);
	use = use_of("p", "alice");
	use.texts[GW_WARM_TENANT] = (struct kolk_mcp_part){ "a\0b", 3 };
	gw_warm_count_use(count, &use, BEGIN_S);
	list = sorted(count, 10);
	assert_int_equal(list.count, 0);
	gw_warm_list_free(&list);
	gw_warm_count_free(count);
	free(text);
}

/* Of two loops. */
static void equal_pairs_become_one(void **state)
{
	struct gw_warm_use alice = use_of("p", "alice"), bob = use_of("p", "bob");
	struct gw_warm_list list = { .pairs = NULL };

	(void)state;
	gw_warm_list_add(&list, gw_warm_pair_make(&alice, 2));
	gw_warm_list_add(&list, gw_warm_pair_make(&bob, 4));
	gw_warm_list_add(&list, gw_warm_pair_make(&alice, 3));
	gw_warm_list_sort(&list, 10);
	assert_int_equal(list.count, 2);
	assert_string_equal(tenant(&list, 0), "alice");
	assert_true(is_near(list.pairs[0]->uses, 5));
	gw_warm_list_free(&list);
}

/* ---- the file */

static char path[64];

static int path_make(void **state)
{
	(void)state;
	snprintf(path, sizeof path, "/tmp/kolk-warm-%d", (int)getpid());
	return unlink(path) != 0 && access(path, F_OK) == 0;
}

static int path_remove(void **state)
{
	(void)state;
	(void)unlink(path);
	return 0;
}

static void put(const char *content, size_t size)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static void what_is_written_is_read(void **state)
{
	static const char info[] = "{\"name\":\"d\\u00e9sk \\\"1\\\"\"}";
	struct gw_warm_use use = use_of("github", "alice \xc3\xa9");
	struct gw_warm_use latin = use_of("github", "\xe9"); /* no UTF-8: it has no place */
	struct gw_warm_list list = { .at_s = BEGIN_S }, read = { .pairs = NULL };
	char why[GW_WARM_WHY];
	struct stat about;

	(void)state;
	use.texts[GW_WARM_VERSION] = (struct kolk_mcp_part){ "2025-11-25", 10 };
	use.texts[GW_WARM_CLIENT_INFO] = (struct kolk_mcp_part){ info, sizeof info - 1 };
	gw_warm_list_add(&list, gw_warm_pair_make(&use, 12.5));
	use.kind = GW_WARM_CONNECTION;
	gw_warm_list_add(&list, gw_warm_pair_make(&use, 5));
	gw_warm_list_add(&list, gw_warm_pair_make(&latin, 3));
	assert_true(gw_warm_file_read(path, 10, &read, why)); /* there is none yet */
	assert_int_equal(read.count, 0);
	for (int i = 0; i < 2; i++) /* over the one before */
		assert_true(gw_warm_file_write(path, &list, why));
	assert_int_equal(stat(path, &about), 0);
	assert_int_equal(about.st_mode & 07777, 0600);
	assert_true(gw_warm_file_read(path, 10, &read, why));
	assert_int_equal(read.count, 2);
	assert_int_equal(read.at_s, BEGIN_S);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(read.pairs[i]->kind, list.pairs[i]->kind);
		assert_true(is_near(read.pairs[i]->uses, list.pairs[i]->uses));
		assert_int_equal(read.pairs[i]->size, list.pairs[i]->size);
		assert_memory_equal(read.pairs[i]->text, list.pairs[i]->text, list.pairs[i]->size);
	}
	gw_warm_list_free(&read);
	assert_true(gw_warm_file_read(path, 1, &read, why)); /* the most used one */
	assert_int_equal(read.count, 1);
	assert_true(is_near(read.pairs[0]->uses, 12.5));
	gw_warm_list_free(&read);
	gw_warm_list_free(&list);
}

/* Cut at each byte, it is damaged; nothing of it is taken, and nothing is read beyond it. */
static void a_part_of_a_file_is_no_file(void **state)
{
	struct gw_warm_use use = use_of("github", "alice");
	struct gw_warm_list list = { .pairs = NULL }, read = { .pairs = NULL };
	char why[GW_WARM_WHY], whole[1024];
	size_t size;
	FILE *file;

	(void)state;
	gw_warm_list_add(&list, gw_warm_pair_make(&use, 12));
	assert_true(gw_warm_file_write(path, &list, why));
	gw_warm_list_free(&list);
	file = fopen(path, "r");
	assert_non_null(file);
	size = fread(whole, 1, sizeof whole, file);
	fclose(file);
	for (size_t part = 1; part < size; part++) {
		put(whole, part);
		assert_false(gw_warm_file_read(path, 10, &read, why));
		assert_int_equal(read.count, 0);
		assert_true(why[0] != '\0');
	}
}

#define STATE(pairs) \
	"{\"kolk-gateway\":\"warm state\",\"version\":2,\"time\":5,\"pairs\":" pairs "}"
#define PAIR "{\"kind\":\"session\",\"uses\":1,\"pool\":\"p\",\"tenant\":\"t\"}"

static void what_is_not_ours_is_not_taken(void **state)
{
	static const struct {
		const char *content, *why;
	} files[] = {
		{ "\x7f" "ELF", "line 1, column 1: it is damaged" },
		{ "[]", "it is no state of kolk-gateway" },
		{ "{\"kolk-gateway\":1}", "it is no state of kolk-gateway" },
		{ "{\"kolk-gateway\":\"warm state\",\"pairs\":[]}", "it is of another version" },
		{ "{\"kolk-gateway\":\"warm state\",\"version\":3,\"time\":5,\"pairs\":[]}",
		  "it is of another version" },
		{ "{\"kolk-gateway\":\"warm state\",\"version\":2,\"pairs\":[]}",
		  "it does not say of what time it is" },
		{ "{\"kolk-gateway\":\"warm state\",\"version\":2,\"time\":-1,\"pairs\":[]}",
		  "it does not say of what time it is" },
		{ STATE("{}"), "it has no pairs" },
		{ STATE("[" PAIR ",7]"), "pair 2 is damaged" },
		{ STATE("[{\"kind\":\"file\",\"uses\":1,\"pool\":\"p\",\"tenant\":\"t\"}]"),
		  "pair 1 is damaged" },
		{ STATE("[{\"kind\":\"call\",\"uses\":-1,\"pool\":\"p\",\"tenant\":\"t\"}]"),
		  "pair 1 is damaged" },
		{ STATE("[{\"kind\":\"call\",\"uses\":\"1\",\"pool\":\"p\",\"tenant\":\"t\"}]"),
		  "pair 1 is damaged" },
		{ STATE("[{\"kind\":\"call\",\"uses\":1,\"pool\":\"p\"}]"), "pair 1 is damaged" },
		{ STATE("[{\"kind\":\"call\",\"uses\":1,\"pool\":\"\",\"tenant\":\"t\"}]"),
		  "pair 1 is damaged" },
	};
	struct gw_warm_list read = { .pairs = NULL };
	char why[GW_WARM_WHY];

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		put(files[i].content, strlen(files[i].content));
		assert_false(gw_warm_file_read(path, 10, &read, why));
		assert_string_equal(why, files[i].why);
		assert_int_equal(read.count, 0);
	}
	put("", 0);
	assert_true(gw_warm_file_read(path, 10, &read, why));
	put(STATE("[" PAIR "]"), strlen(STATE("[" PAIR "]")));
	assert_int_equal(chmod(path, 0606), 0);
	assert_false(gw_warm_file_read(path, 10, &read, why));
	assert_string_equal(why, "all users of this machine may write it");
}

static void a_file_that_is_too_large_is_not_read(void **state)
{
	struct gw_warm_list read = { .pairs = NULL };
	char why[GW_WARM_WHY];

	(void)state;
	put(" ", 1);
	assert_int_equal(truncate(path, 16 * 1024 * 1024 + 1), 0);
	assert_false(gw_warm_file_read(path, 10, &read, why));
	assert_string_equal(why, "it is larger than 16 MiB");
}

/* A place where nothing writes is not waited for. */
static void a_fifo_is_no_file(void **state)
{
	struct gw_warm_list read = { .pairs = NULL };
	char why[GW_WARM_WHY];

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_false(gw_warm_file_read(path, 10, &read, why));
	assert_string_equal(why, "it is no regular file");
}

/* They stay a number that is read again. */
static void uses_have_an_end(void **state)
{
	static const char most[] = STATE("[{\"kind\":\"call\",\"uses\":1.7e308,"
					 "\"pool\":\"p\",\"tenant\":\"t\"}]");
	struct gw_warm_list list = { .pairs = NULL };
	char why[GW_WARM_WHY];

	(void)state;
	put(most, strlen(most));
	assert_true(gw_warm_file_read(path, 10, &list, why));
	assert_true(gw_warm_file_read(path, 10, &list, why));
	assert_int_equal(list.count, 2);
	gw_warm_list_sort(&list, 10);
	assert_int_equal(list.count, 1);
	assert_true(gw_warm_file_write(path, &list, why));
	gw_warm_list_free(&list);
	assert_true(gw_warm_file_read(path, 10, &list, why));
	assert_int_equal(list.count, 1);
	assert_true(is_near(list.pairs[0]->uses, GW_WARM_USES_MAX));
	gw_warm_list_free(&list);
}

/* It has no time, and whole numbers of uses. */
static void a_file_of_version_1_is_read(void **state)
{
	static const char before[] = "{\"kolk-gateway\":\"warm state\",\"version\":1,"
				     "\"pairs\":[" PAIR "]}";
	struct gw_warm_list read = { .pairs = NULL };
	char why[GW_WARM_WHY];

	(void)state;
	put(before, strlen(before));
	assert_true(gw_warm_file_read(path, 10, &read, why));
	assert_int_equal(read.at_s, 0);
	assert_int_equal(read.count, 1);
	assert_true(is_near(read.pairs[0]->uses, 1));
	gw_warm_list_free(&read);
}

/* Told without a write; nothing is left of it. */
static void where_it_cannot_be_written_is_found_out(void **state)
{
	char why[GW_WARM_WHY], below[96];

	(void)state;
	snprintf(below, sizeof below, "%s/state", path);
	assert_false(gw_warm_file_check(below, why));
	assert_string_equal(why, "No such file or directory");
	assert_int_equal(mkdir(path, 0700), 0);
	assert_true(gw_warm_file_check(below, why));
	assert_int_equal(rmdir(path), 0);
}

/* What is beside it is another program's. */
static void a_file_beside_it_stays(void **state)
{
	struct gw_warm_use use = use_of("github", "alice");
	struct gw_warm_list list = { .pairs = NULL };
	char why[GW_WARM_WHY], beside[80];

	(void)state;
	snprintf(beside, sizeof beside, "%s.new", path);
	gw_warm_list_add(&list, gw_warm_pair_make(&use, 12));
	assert_int_equal(symlink("elsewhere", beside), 0);
	assert_true(gw_warm_file_write(path, &list, why));
	assert_int_equal(unlink(beside), 0);
	gw_warm_list_free(&list);
}

static void *write_often(void *user)
{
	char why[GW_WARM_WHY];
	bool written = true;

	for (int i = 0; i < 200; i++)
		written &= gw_warm_file_write(path, user, why);
	return written ? user : NULL;
}

/* Two gateways with one file: it is always the whole of one of them. */
static void two_may_write_it(void **state)
{
	struct gw_warm_list list = { .pairs = NULL }, read = { .pairs = NULL };
	char why[GW_WARM_WHY], name[32];
	pthread_t threads[2];
	void *written;

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "tenant%d", i);
		gw_warm_list_add(&list, gw_warm_pair_make(&(struct gw_warm_use){
			.texts = { [GW_WARM_POOL] = { "p", 1 },
				   [GW_WARM_TENANT] = { name, strlen(name) } } }, 1));
	}
	assert_true(gw_warm_file_write(path, &list, why));
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_often, &list), 0);
	for (int i = 0; i < 200; i++) {
		assert_true(gw_warm_file_read(path, 1000, &read, why));
		assert_int_equal(read.count, 100);
		gw_warm_list_free(&read);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], &written), 0);
		assert_ptr_equal(written, &list);
	}
	gw_warm_list_free(&list);
}

#define F(name) cmocka_unit_test_setup_teardown(name, path_make, path_remove)
static const struct CMUnitTest tests[] = {
	cmocka_unit_test(the_most_used_come_first),
	cmocka_unit_test(memory_is_bounded),
	cmocka_unit_test(uses_age_by_time),
	cmocka_unit_test(who_came_lately_is_before_who_came_often_once),
	cmocka_unit_test(a_session_that_is_open_is_a_use),
	cmocka_unit_test(open_sessions_outlive_their_place),
	cmocka_unit_test(what_is_too_long_is_not_counted),
	cmocka_unit_test(equal_pairs_become_one),
	F(what_is_written_is_read),
	F(a_part_of_a_file_is_no_file),
	F(what_is_not_ours_is_not_taken),
	F(a_file_that_is_too_large_is_not_read),
	F(a_fifo_is_no_file),
	F(uses_have_an_end),
	F(a_file_of_version_1_is_read),
	F(where_it_cannot_be_written_is_found_out),
	F(a_file_beside_it_stays),
	F(two_may_write_it),
};
CMOCKA_TESTS(gateway_warm, tests);
