/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-mcp-fixture-test [part of the name of a test, or of its file]: the fixture itself. */
#include <signal.h>

#include "tests/kit/tap.h"

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	return tap_suites_run("mcp", argc > 1 ? argv[1] : NULL);
}
