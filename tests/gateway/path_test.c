/* SPDX-License-Identifier: Apache-2.0 */
/* path_test.c - all paths of a few pieces, against two servers that read them in their own order. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/path.h"

static const char *const pieces[] = { "/", ".", "a", ";", "\\", "%2f", "%2E", "%61", "%00", "%5C",
				      "%3b" };
enum { PIECES = sizeof pieces / sizeof *pieces, LONGEST = 5, PATH_MAX_SIZE = 3 * LONGEST + 2 };

static size_t decode(const char *from, size_t size, char *to)
{
	size_t made = 0;
	unsigned byte;

	for (size_t i = 0; i < size; i++) {
		if (from[i] == '%' && sscanf(from + i, "%%%2x", &byte) == 1) {
			to[made++] = (char)byte;
			i += 2;
		} else {
			to[made++] = from[i];
		}
	}
	to[made] = '\0';
	return made;
}

/* What a server makes of a path: "/a/b" of its segments that are not empty; whether one is dots. */
struct served {
	char path[2 * PATH_MAX_SIZE];
	bool dots;
};

static void add(struct served *served, const char *segment, size_t size)
{
	if (size == 0)
		return;
	served->dots |= (size == 1 && segment[0] == '.') || (size == 2 && memcmp(segment, "..", 2) == 0);
	snprintf(served->path + strlen(served->path), sizeof served->path - strlen(served->path),
		 "/%.*s", (int)size, segment);
}

/* Decodes, takes '\' for '/', then splits, then drops parameters. */
static struct served decodes_first(const char *path)
{
	struct served served = { .path = "" };
	char text[PATH_MAX_SIZE];

	decode(path, strlen(path), text);
	for (char *at = text; *at != '\0';) {
		size_t size = strcspn(at, "/\\");

		add(&served, at, size < strcspn(at, ";") ? size : strcspn(at, ";"));
		at += size + (at[size] != '\0');
	}
	return served;
}

/* Splits, drops parameters, then decodes. */
static struct served splits_first(const char *path)
{
	struct served served = { .path = "" };
	char text[PATH_MAX_SIZE];

	for (const char *at = path; *at != '\0';) {
		size_t size = strcspn(at, "/"), name = strcspn(at, "/;");

		add(&served, text, decode(at, name, text));
		at += size + (at[size] != '\0');
	}
	return served;
}

static bool is_below_a(const struct served *served)
{
	return strncmp(served->path, "/a", 2) == 0 &&
	       (served->path[2] == '\0' || served->path[2] == '/');
}

static void check(const char *path)
{
	struct served one = decodes_first(path), other = splits_first(path);
	enum gw_path_reading reading = gw_path_reading(path);
	bool below = gw_path_match("/a", 2, path) != GW_PATH_NO_MATCH;

	if ((one.dots || other.dots) && reading != GW_PATH_DOTS)
		fail_msg("%s has a segment of dots", path);
	if (below != is_below_a(&one))
		fail_msg("%s is %s /a", path, below ? "not below" : "below");
	if (reading == GW_PATH_PLAIN && strstr(path, "%3b") == NULL &&
	    strcmp(one.path, other.path) != 0)
		fail_msg("%s is %s or %s", path, one.path, other.path);
	if (reading == GW_PATH_PLAIN && gw_path_is_literal(path) &&
	    below != (strncmp(path, "/a", 2) == 0 && (path[2] == '\0' || path[2] == '/')))
		fail_msg("%s is not compared as it is", path);
}

static void servers_agree_on_what_passes(void **state)
{
	size_t count = 1;

	(void)state;
	for (int i = 0; i < LONGEST; i++)
		count *= PIECES + 1;
	for (size_t number = 0; number < count; number++) {
		char path[PATH_MAX_SIZE] = "/";

		for (size_t left = number; left > 0; left /= PIECES + 1)
			if (left % (PIECES + 1) > 0)
				strcat(path, pieces[left % (PIECES + 1) - 1]);
		check(path);
	}
}

static void what_reaches_an_upstream_names_no_host(void **state)
{
	(void)state;
	assert_true(gw_path_begins_well("/"));
	assert_true(gw_path_begins_well("/a//b"));
	assert_true(gw_path_begins_well("/?//"));
	assert_true(gw_path_begins_well("?x"));
	assert_true(gw_path_begins_well(""));
	assert_true(gw_path_begins_well("*"));
	assert_false(gw_path_begins_well("//a"));
	assert_false(gw_path_begins_well("/\\a"));
	assert_false(gw_path_begins_well("/%2Fa"));
	assert_false(gw_path_begins_well("/%5ca"));
	assert_false(gw_path_begins_well("%2fa"));
	assert_false(gw_path_begins_well(";a/b"));
}

static void the_last_segment_is_told(void **state)
{
	static const char *const empty[] = { "/", "/a/", "/a/;b", "/a/%3Bb", "/a/?b", "/a%2f", "/a\\" };
	static const char *const full[] = { "/a", "/a;b", "/a/b?c/", "/a/b%3bc", "/a/%20" };

	(void)state;
	for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
		assert_true(gw_path_ends_empty(empty[i]));
	for (size_t i = 0; i < sizeof full / sizeof *full; i++)
		assert_false(gw_path_ends_empty(full[i]));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(the_last_segment_is_told),
	cmocka_unit_test(servers_agree_on_what_passes),
	cmocka_unit_test(what_reaches_an_upstream_names_no_host),
};
CMOCKA_TESTS(path, tests);
