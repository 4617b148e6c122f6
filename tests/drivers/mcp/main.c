/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - kolk-mcp-test [OPTION] [part of the name of a test, or of its file]: the MCP client
 * against the server of tests/mcp.
 *
 *   --calls N   calls of each of the 32 clients of a run of soak_test.c
 */
#include "tests/kit/cmocka/run.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/drivers/mcp/place.h"

int main(int argc, char **argv)
{
	const char *only = NULL;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--calls") == 0 && i + 1 < argc)
			soak_calls = (uint32_t)strtoul(argv[++i], NULL, 10);
		else
			only = argv[i];
	signal(SIGPIPE, SIG_IGN);
	return cmocka_suites_run(only);
}
