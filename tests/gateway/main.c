/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-gateway-test [part of the name of a test, or of its file]: the gateway's files, alone. */
#include "tests/kit/cmocka/run.h"

int main(int argc, char **argv)
{
	return cmocka_suites_run(argc > 1 ? argv[1] : NULL);
}
