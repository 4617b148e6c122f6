/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_method_test.c - methods of HTTP on a route to an MCP server: which a version has, and which not. */
#include <stdio.h>
#include <string.h>

#include "tests/gateway/program/program.h"

static char text[PROGRAM_TEXT];

/* A request without a body is answered with this status, these methods in Allow, and an error that says
 * why. */
static bool is_refused(const struct program *program, const char *method, const char *fields,
		       const char *status)
{
	char arguments[256];
	const char *at;

	snprintf(arguments, sizeof arguments, "/mcp -X %s %s -w '~%%{http_code} %%header{allow}'", method,
		 fields);
	if (program_curl(program, arguments, text) != 0)
		return false;
	at = strchr(text, '~');
	return at != NULL && strcmp(at + 1, status) == 0 &&
	       strstr(text, "\"error\":{\"code\":-32600,") != NULL;
}

#define MODERN "-H 'Mcp-Protocol-Version: 2026-07-28'"
#define LEGACY "-H 'Mcp-Protocol-Version: 2025-11-25'"

/* Stateless requests are POST alone; sessions have GET and DELETE, too. The gateway
 * says so itself: at the server's address nothing listens. */
static void test_methods(void)
{
	static const struct {
		const char *method, *fields, *status;
	} rows[] = {
		{ "GET", MODERN, "405 POST" },
		{ "DELETE", MODERN, "405 POST" },
		{ "PUT", MODERN, "405 POST" },
		{ "GET", "-H 'Mcp-Method: tools/list'", "405 POST" },
		{ "DELETE", MODERN " -H 'Mcp-Session-Id: 4711'", "405 POST" },
		{ "PUT", LEGACY, "405 GET, POST, DELETE" },
		{ "OPTIONS", LEGACY, "405 GET, POST, DELETE" },
		{ "GET", LEGACY, "400 " }, /* of no session */
		{ "DELETE", LEGACY, "400 " },
		{ "DELETE", "", "400 " },
	};
	struct program program;

	MUST(program_start(&program, "  - {name: tools, protocol: mcp, address: \"127.0.0.1:1\"}\n",
			   "    - {match: {path: /mcp}, pool: tools}\n"));
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (!is_refused(&program, rows[i].method, rows[i].fields, rows[i].status)) {
			tap_note("%s %s: %.300s", rows[i].method, rows[i].fields, text);
			FAILED("it is refused with the status of its row");
		}
	CHECK(program_stop(&program, 15000));
}

static const struct tap_test tests[] = {
	{ "methods that a version has not", test_methods },
};
TAP_TESTS(mcp_method, tests);
