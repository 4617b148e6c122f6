/* SPDX-License-Identifier: Apache-2.0 */
/* upstream.h - whom the examples talk to: a line-echo server of their own, or argv[1]. */
#ifndef KOLK_EXAMPLE_UPSTREAM_H
#define KOLK_EXAMPLE_UPSTREAM_H

/* The address for struct kolk_pool_options. The server, if any, lives as long as the process. */
const char *upstream_address(int argc, char **argv);

#endif
