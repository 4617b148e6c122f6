/* SPDX-License-Identifier: Apache-2.0 */
/* usage.h - how the program is called, and what is said of one that was called in another way. */
#ifndef KOLK_GATEWAY_USAGE_H
#define KOLK_GATEWAY_USAGE_H

#include <stdio.h>

enum { GW_USAGE = 2 }; /* the exit status of a wrong use */
/* The file of --stdio without one: where the service has it, too. */
#define GW_STDIO_FILE "/etc/kolk/kolk-gateway.yaml"

/* Both return the exit status. path: what --config said; extra: the first argument that is none of an
 * option. NULL = none. */
int gw_usage(FILE *file, int status);
int gw_usage_wrong(const char *path, const char *extra);

#endif
