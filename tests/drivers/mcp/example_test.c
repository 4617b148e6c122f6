/* SPDX-License-Identifier: Apache-2.0 */
/* The example of docs/drivers/mcp.md does what the page says: it is run as a reader would. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/kit/cmocka/run.h"
#include "tests/mcp/fixture.h"

static void run(struct mcp_fixture *server, char *text, size_t size)
{
	char self[256], command[512];
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	FILE *output;
	size_t read;

	assert_true(length > 0);
	self[length] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(command, sizeof command, "%s/../tools/example-mcp %s 2>&1", self,
		 mcp_fixture_address(server));
	output = popen(command, "re");
	assert_non_null(output);
	read = fread(text, 1, size - 1, output);
	text[read] = '\0';
	if (pclose(output) != 0)
		fail_msg("%s", text);
}

static void the_example_does_what_it_says(void **state)
{
	static const char *const versions[] = { "2025-11-25", NULL };
	struct mcp_options options = { .listen = "127.0.0.1:0" };
	struct mcp_fixture *server;
	char text[4096];

	(void)state;
	for (int i = 0; i < 2; i++) {
		options.versions = versions[i];
		server = mcp_fixture_open(&options);
		assert_non_null(server);
		run(server, text, sizeof text);
		assert_non_null(strstr(text, "200 calls, 0 failed\n"));
		assert_non_null(strstr(text, "\"progressToken\":\"mine\""));
		if (i == 0)
			assert_non_null(strstr(text, " sessions made, "));
		assert_int_equal(mcp_fixture_number(server, MCP_N_tool_calls), 201);
		assert_int_equal(mcp_fixture_number(server, MCP_N_sessions_open), 0);
		assert_true(mcp_fixture_number(server, MCP_N_sessions_created) <= 8);
		mcp_fixture_close(server);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(the_example_does_what_it_says),
};
CMOCKA_TESTS(mcp_example, tests);
