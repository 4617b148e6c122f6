/* SPDX-License-Identifier: Apache-2.0 */
/* manual_test.c - docs/gateway.md and docs/pooled-tools.md say what the gateway's rows say:
 * kolk-gateway-manual writes them. */
#include <stdlib.h>
#include <string.h>

#include "tests/kit/cmocka/run.h"
#include "tests/ops/manual.h"
#include "tools/gateway/config/file.h"

static void the_page_has_the_rows(void **state)
{
	char *text = manual_read(GATEWAY_TEST_FILES "/../../docs/gateway.md");
	char *page;

	(void)state;
	assert_non_null(text);
	page = manual_program_page(text, &gw_file_section);
	if (strcmp(text, page) != 0)
		fail_msg("run kolk-gateway-manual on docs/gateway.md");
	assert_non_null(strstr(page, "| `listen` |"));
	assert_non_null(strstr(page, "| `tls.certificate_file` |"));
	assert_non_null(strstr(page, "| `cors.origins` |"));
	free(page);
	free(text);
}

static void the_page_of_tools_has_the_rows(void **state)
{
	char *text = manual_read(GATEWAY_TEST_FILES "/../../docs/pooled-tools.md");
	char *page;

	(void)state;
	assert_non_null(text);
	page = manual_program_page(text, &gw_file_section);
	if (strcmp(text, page) != 0)
		fail_msg("run kolk-gateway-manual on docs/pooled-tools.md");
	assert_non_null(strstr(page, "| `sql_from` |"));
	assert_non_null(strstr(page, "| `http.path` |"));
	assert_non_null(strstr(page, "| `length_max` |"));
	assert_non_null(strstr(page, "| `value` |"));
	free(page);
	free(text);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(the_page_has_the_rows),
	cmocka_unit_test(the_page_of_tools_has_the_rows),
};

CMOCKA_TESTS(gateway_manual, tests);
