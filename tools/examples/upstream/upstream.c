/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/kit/origin.h"

const char *upstream_address(int argc, char **argv)
{
	static char address[32];
	struct kit_origin *origin;

	if (argc > 1)
		return argv[1];
	origin = kit_origin_open(&(struct kit_origin_options){ .behaviour = KIT_ECHO });
	if (origin == NULL) {
		fprintf(stderr, "cannot open an upstream on loopback\n");
		exit(1);
	}
	snprintf(address, sizeof address, "127.0.0.1:%u", kit_origin_port(origin));
	return address;
}
