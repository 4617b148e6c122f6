/* SPDX-License-Identifier: Apache-2.0 */
/* usage.c - how the program is called. */
#include "tools/gateway/usage.h"

int gw_usage(FILE *file, int status)
{
	fputs("kolk-gateway --config FILE [--check]\n"
	      "kolk-gateway --stdio ROUTE [FILE] [--check]\n\n"
	      "  --config FILE  what to do: kolk-config(5); the keys of gateway and tools are in gateway.md\n"
	      "                 and pooled-tools.md, below share/doc/kolk-gateway\n"
	      "  --stdio ROUTE  serve one MCP client at standard input and output, instead of listeners:\n"
	      "                 the server that the route with this match.path leads to\n"
	      "  --check        only say whether the file is right\n"
	      "  --version, --help\n\n"
	      "SIGHUP reads the file again and opens the access log again; SIGTERM finishes the\n"
	      "answers that are under way, and ends. So does the end of the input with --stdio, whose\n"
	      "FILE is " GW_STDIO_FILE " unless it is given.\n",
	      file);
	return status;
}

/* A file without --config, as other programs take it, is what is meant by most. */
int gw_usage_wrong(const char *path, const char *extra)
{
	if (path == NULL && extra == NULL)
		fputs("kolk-gateway: --config FILE is missing\n", stderr);
	else if (path == NULL)
		fprintf(stderr, "kolk-gateway: write --config in front of the file: --config %s\n", extra);
	else
		fprintf(stderr, "kolk-gateway: '%s' is one argument too many\n", extra);
	return gw_usage(stderr, GW_USAGE);
}
