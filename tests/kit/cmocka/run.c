/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Those that are asked for run; *ran counts them. */
static int suite_run(const struct kit_suite *suite, const char *only, size_t *ran)
{
	size_t count = suite->count, chosen = 0;
	const struct CMUnitTest *tests = suite->cmocka_made != NULL ? suite->cmocka_made(&count) :
								       suite->cmocka;
	bool whole = kit_suite_named(suite, only);
	struct CMUnitTest *some = calloc(count + 1, sizeof *some);
	int failed = 0;

	if (some == NULL)
		abort();
	for (size_t i = 0; i < count; i++)
		if (whole || strstr(tests[i].name, only) != NULL)
			some[chosen++] = tests[i];
	if (chosen > 0)
		failed = _cmocka_run_group_tests(suite->name, some, chosen, NULL, NULL);
	*ran += chosen;
	free(some);
	return failed;
}

int cmocka_suites_run(const char *only)
{
	size_t count, ran = 0;
	const struct kit_suite **suites = kit_suites(&count);
	int failed = 0;

	for (size_t i = 0; i < count; i++)
		failed |= suite_run(suites[i], only, &ran);
	free(suites);
	if (ran == 0)
		printf("not ok 1 - no test has such a name\n");
	return failed != 0 || ran == 0;
}
