/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_principal_test.c - two clients of one tenant, each with a token of its own that the server is not
 * shown: what it says is for who asks alone is kept for each.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"
#include "tests/kit/cert.h"
#include "tests/mcp/fixture.h"

static char text[PROGRAM_TEXT];

/* Lists the tools: the answer is there, and the server has had so many requests in all. */
static bool lists(const struct program *program, struct mcp_fixture *server, const char *token,
		  uint64_t requests)
{
	char arguments[512];

	snprintf(arguments, sizeof arguments,
		 "/mcp -o /dev/null -w '%%{http_code}' -H 'Authorization: Bearer %s' "
		 "-H 'Mcp-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/list' "
		 "-H 'Content-Type: application/json' -d '{\"jsonrpc\":\"2.0\",\"id\":1,"
		 "\"method\":\"tools/list\",\"params\":{\"_meta\":{"
		 "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
		 "\"io.modelcontextprotocol/clientCapabilities\":{}}}}'", token);
	return program_curl(program, arguments, text) == 0 && strcmp(text, "200") == 0 &&
	       mcp_fixture_number(server, MCP_N_requests) == requests;
}

static void test_private(void)
{
	/* SHA-256 of "one" and "two". */
	static const char tokens[] =
		"team 7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed\n"
		"team 3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3\n";
	struct mcp_options o = { .listen = "127.0.0.1:0", .versions = "2026-07-28", .ttl = 3600000,
				 .private = 1 };
	struct mcp_fixture *server = mcp_fixture_open(&o);
	char path[64], pools[256], gateway[128];
	struct program program;

	MUST(server != NULL);
	snprintf(path, sizeof path, "/tmp/kolk-mcp-principal-%d", (int)getpid());
	MUST(kit_file_write(path, tokens));
	snprintf(pools, sizeof pools, "  - {name: tools, protocol: mcp, address: \"%s\", "
				      "limits: {idle_min: 0}, mcp: {era: modern}}\n",
		 mcp_fixture_address(server));
	snprintf(gateway, sizeof gateway, "  tenants: {from: bearer, file: %s}\n", path);
	MUST(program_start_with(&program, &(struct program_file){
		.pools = pools, .gateway = gateway,
		.routes = "    - {match: {path: /mcp}, pool: tools}\n" }));
	CHECK(lists(&program, server, "one", 1));
	CHECK(lists(&program, server, "one", 1)); /* a kept one */
	CHECK(lists(&program, server, "two", 2));
	CHECK(lists(&program, server, "two", 2));
	CHECK(lists(&program, server, "one", 2));
	CHECK(program_stop(&program, 15000));
	mcp_fixture_close(server);
	unlink(path);
}

static const struct tap_test tests[] = {
	{ "what is private is its principal's", test_private },
};
TAP_TESTS(mcp_principal, tests);
