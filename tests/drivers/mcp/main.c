/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-mcp-test [part of the name of a test, or of its file]: the MCP client against the
 * server of tests/mcp. */
#include "tests/kit/cmocka/run.h"

#include <signal.h>

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	return cmocka_suites_run(argc > 1 ? argv[1] : NULL);
}
