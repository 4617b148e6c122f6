/* SPDX-License-Identifier: Apache-2.0 */
/* suite.c - the files of tests that this program was linked from. */
#include "tests/kit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kit/tap.h"

/* The linker makes both, around the section that KIT_SUITE fills. */
extern const struct kit_suite *const __start_kit_suites[], *const __stop_kit_suites[];

static const char *file_name(const struct kit_suite *suite)
{
	const char *slash = strrchr(suite->file, '/');

	return slash != NULL ? slash + 1 : suite->file;
}

static int by_file(const void *a, const void *b)
{
	const struct kit_suite *one = *(const struct kit_suite *const *)a;
	const struct kit_suite *other = *(const struct kit_suite *const *)b;
	int order = strcmp(file_name(one), file_name(other));

	return order != 0 ? order : strcmp(one->name, other->name);
}

const struct kit_suite **kit_suites(size_t *count)
{
	size_t size = (size_t)((const char *)__stop_kit_suites - (const char *)__start_kit_suites);
	const struct kit_suite **suites = malloc(size);

	if (suites == NULL)
		abort();
	memcpy(suites, __start_kit_suites, size);
	*count = size / sizeof *suites;
	qsort(suites, *count, sizeof *suites, by_file);
	return suites;
}

bool kit_suite_named(const struct kit_suite *suite, const char *only)
{
	return only == NULL || strstr(suite->name, only) != NULL ||
	       strstr(file_name(suite), only) != NULL;
}

int tap_suites_run(const char *program, const char *only)
{
	size_t count, ran = 0;
	const struct kit_suite **suites = kit_suites(&count);
	int failed = 0;
	char name[64];

	for (size_t i = 0; i < count; i++) {
		snprintf(name, sizeof name, "%s %s", program, suites[i]->name);
		failed |= tap_run(name, suites[i]->tap, suites[i]->count,
				  kit_suite_named(suites[i], only) ? NULL : only, &ran);
	}
	free(suites);
	if (ran == 0)
		printf("not ok 1 - no test has such a name\n");
	return failed != 0 || ran == 0;
}
